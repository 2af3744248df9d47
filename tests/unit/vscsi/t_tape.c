/*
 * Tests for src/vscsi/tape_rw.c and tape_move.c; expectations from SSC-3 and
 * from section 7 of the changer and tape reference.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape.h"

TAPE_SETUP(plain, .load_ms = 0)
TAPE_SETUP(volatile_buffer, .cache_volatile = true)
TAPE_SETUP(small,
           .tape = { .capacity_bytes = 100000, .early_warning_bytes = 20000 })
TAPE_SETUP(protected, .write_protect = true)

static void
blank_tape__read__is_the_end_of_data(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(read_block(t, 1000), 0x080005);
    assert_int_equal(info_of(t), 1000);
    assert_int_equal(t->rig.last.transferred, 0);
    assert_int_equal(object_now(t), 0);
}

static void
variable_block__same_length__reads_back(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(write_block(t, 'x', 1 << 20), 0);
    assert_int_equal(t->rig.last.transferred, 1 << 20);
    assert_int_equal(write_block(t, 'y', 1), 0);
    assert_int_equal(marks(t, 1), 0);
    assert_int_equal(rewind_tape(t), 0);
    assert_int_equal(read_block(t, 1 << 20), 0);
    assert_int_equal(t->rig.last.transferred, 1 << 20);
    assert_int_equal(t->big[0], 'x');
    assert_int_equal(t->big[(1 << 20) - 1], 'x');
    assert_int_equal(read_block(t, 1), 0);
    assert_int_equal(t->big[0], 'y');
    assert_int_equal(read_block(t, 1), 0x000001);
    assert_int_equal(bits_of(t), FM);
    assert_int_equal(info_of(t), 1);
    assert_int_equal(object_now(t), 3);
    assert_int_equal(file_now(t), 1);
}

static void
variable_block__shorter__ili_and_how_much(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'x', 10240);
    marks(t, 1);
    rewind_tape(t);
    assert_int_equal(read_block(t, 65536), 0);
    assert_int_equal(t->rig.last.status, 2);
    assert_int_equal(bits_of(t), ILI);
    assert_int_equal(info_of(t), 65536 - 10240);
    assert_int_equal(t->rig.last.transferred, 10240);
    assert_int_equal(object_now(t), 1);
}

static void
variable_block__longer__truncated_and_negative(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'x', 10240);
    write_block(t, 'y', 5);
    rewind_tape(t);
    t->big[4096] = 'k';
    assert_int_equal(read_block(t, 4096), 0);
    assert_int_equal(bits_of(t), ILI);
    assert_int_equal(info_of(t), 4096 - 10240);
    assert_int_equal(t->rig.last.transferred, 4096);
    assert_int_equal(t->big[4096], 'k'); /* nothing behind */
    assert_int_equal(read_block(t, 5), 0);
    assert_int_equal(t->big[0], 'y');
}

static void
sili__variable__says_nothing_of_the_length(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'x', 100);
    write_block(t, 'x', 100);
    rewind_tape(t);
    assert_int_equal(T_IN(t, 200, 0x08, 2, B3(200), 0), 0);
    assert_int_equal(t->rig.last.status, 0);
    assert_int_equal(t->rig.last.transferred, 100);
    assert_int_equal(T_IN(t, 50, 0x08, 2, B3(50), 0), 0);
    assert_int_equal(t->rig.last.status, 0);
    /* A block length in the mode: too long is told all the same. */
    rewind_tape(t);
    assert_int_equal(set_block(t, 512), 0);
    assert_int_equal(T_IN(t, 50, 0x08, 2, B3(50), 0), 0);
    assert_int_equal(t->rig.last.status, 2);
    assert_int_equal(bits_of(t), ILI);
    assert_int_equal(info_of(t), -50);
    /* Both bits are no command. */
    assert_int_equal(T_IN(t, 512, 0x08, 3, B3(1), 0), 0x052400);
}

static void
CT142__fixed_read__filemark_after_four_of_ten__six_are_left(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(set_block(t, 512), 0);
    memset(t->big, 'q', 512 * 4);
    assert_int_equal(T_OUT(t, 512 * 4, 0x0A, 1, B3(4), 0), 0);
    assert_int_equal(marks(t, 1), 0);
    assert_int_equal(T_OUT(t, 512, 0x0A, 1, B3(1), 0), 0);
    rewind_tape(t);
    assert_int_equal(T_IN(t, 5120, 0x08, 1, B3(10), 0), 0x000001);
    assert_int_equal(bits_of(t), FM);
    assert_int_equal(info_of(t), 6);
    assert_int_equal(t->rig.last.transferred, 2048);
    assert_int_equal(object_now(t), 5);
    assert_int_equal(T_IN(t, 512, 0x08, 1, B3(1), 0), 0);
}

static void
fixed_read__another_length__ili_and_behind_it(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'a', 512);
    write_block(t, 'b', 700);
    write_block(t, 'c', 512);
    rewind_tape(t);
    set_block(t, 512);
    assert_int_equal(T_IN(t, 5120, 0x08, 1, B3(10), 0), 0);
    assert_int_equal(t->rig.last.status, 2);
    assert_int_equal(bits_of(t), ILI);
    assert_int_equal(info_of(t), 9);
    assert_int_equal(t->rig.last.transferred, 512);
    assert_int_equal(object_now(t), 2);
    /* Fixed without a block length is no command. */
    set_block(t, 0);
    assert_int_equal(T_IN(t, 512, 0x08, 1, B3(1), 0), 0x052400);
    assert_int_equal(T_IN(t, 100, 0x08, 0, B3((1 << 20) + 1), 0), 0x052400);
}

static void
write__in_the_middle__what_was_behind_is_gone(void **state)
{
    struct tape_rig *t = *state;
    struct tap_tape tap;

    tape_settle(t);
    for (char c = 'a'; c <= 'e'; c++)
        write_block(t, c, 1001);
    marks(t, 2);
    assert_int_equal(locate(t, 2), 0);
    assert_int_equal(write_block(t, 'Z', 7), 0);
    assert_int_equal(read_block(t, 10), 0x080005);
    assert_int_equal(object_now(t), 3);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, 3);
    assert_int_equal(tap.objects[1].len, 1001);
    assert_int_equal(tap.objects[1].data[1000], 'b');
    assert_int_equal(tap.objects[2].len, 7);
    assert_int_equal(tap.objects[2].data[6], 'Z');
    tap_free(&tap);
}

static void
space_blocks__filemark_end_beginning__where_it_stops(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    for (int i = 0; i < 5; i++)
        write_block(t, 'a', 10);
    marks(t, 1);
    write_block(t, 'b', 10);
    rewind_tape(t);
    assert_int_equal(space_over(t, 0, 3), 0);
    assert_int_equal(object_now(t), 3);
    assert_int_equal(space_over(t, 0, 10), 0x000001);
    assert_int_equal(bits_of(t), FM);
    assert_int_equal(info_of(t), 8);
    assert_int_equal(object_now(t), 6);
    assert_int_equal(space_over(t, 0, 4), 0x080005);
    assert_int_equal(info_of(t), 3);
    assert_int_equal(object_now(t), 7);
    assert_int_equal(space_over(t, 0, -4), 0x000001);
    assert_int_equal(bits_of(t), FM);
    assert_int_equal(info_of(t), 3);
    assert_int_equal(object_now(t), 5); /* before the mark */
    assert_int_equal(space_over(t, 0, -8), 0x000004);
    assert_int_equal(bits_of(t), EOM);
    assert_int_equal(info_of(t), 3);
    assert_int_equal(object_now(t), 0);
    assert_int_equal(space_over(t, 0, 0), 0);
    assert_int_equal(space_over(t, 4, 1), 0x052400); /* setmarks */
    assert_int_equal(T(t, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0),
                     0);
    assert_int_equal(object_now(t), 2);
}

static void
space_filemarks__both_ways_and_beyond(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    for (int i = 0; i < 3; i++) {
        write_block(t, 'a', 10);
        marks(t, 1);
    }
    marks(t, 1);
    write_block(t, 'b', 10);
    rewind_tape(t); /* a m a m a m m b */
    assert_int_equal(space_over(t, 1, 2), 0);
    assert_int_equal(object_now(t), 4);
    assert_int_equal(file_now(t), 2);
    assert_int_equal(space_over(t, 1, 5), 0x080005);
    assert_int_equal(info_of(t), 3);
    assert_int_equal(object_now(t), 8);
    assert_int_equal(space_over(t, 1, -1), 0);
    assert_int_equal(object_now(t), 6);
    assert_int_equal(space_over(t, 1, -9), 0x000004);
    assert_int_equal(info_of(t), 6);
    assert_int_equal(object_now(t), 0);
    assert_int_equal(space_over(t, 2, 2), 0); /* two in sequence */
    assert_int_equal(object_now(t), 7);
    assert_int_equal(space_over(t, 3, 0), 0);
    assert_int_equal(object_now(t), 8);
    assert_int_equal(space_over(t, 2, -2), 0);
    assert_int_equal(object_now(t), 5);
    assert_int_equal(space_over(t, 2, 3), 0x080005);
}

static void
locate__object_file_end__and_beyond(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'a', 10);
    marks(t, 1);
    write_block(t, 'b', 10);
    assert_int_equal(locate(t, 2), 0);
    assert_int_equal(read_block(t, 10), 0);
    assert_int_equal(t->big[0], 'b');
    assert_int_equal(locate(t, 0), 0);
    assert_int_equal(object_now(t), 0);
    assert_int_equal(locate(t, 9), 0x080005);
    assert_int_equal(object_now(t), 3);
    /* LOCATE(16): file 1, end of data, file 0, file 2 */
    assert_int_equal(T(t, 0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0),
                     0);
    assert_int_equal(object_now(t), 2);
    assert_int_equal(T(t, 0x92, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                     0);
    assert_int_equal(object_now(t), 3);
    assert_int_equal(T(t, 0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                     0);
    assert_int_equal(object_now(t), 0);
    assert_int_equal(T(t, 0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0),
                     0x080005);
    /* Another partition. */
    assert_int_equal(T(t, 0x2B, 2, 0, 0, 0, 0, 0, 0, 1, 0), 0x052400);
}

static void
read_position__short__flags_and_buffer(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(T_IN(t, 20, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(t->rig.last.transferred, 20);
    assert_int_equal(t->big[0], 0x80);
    for (int i = 0; i < 3; i++)
        write_block(t, 'a', 101);
    assert_int_equal(T_IN(t, 20, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(t->big[0], 0);
    assert_int_equal(number_at(t->big + 4, 4), 3);
    assert_int_equal(number_at(t->big + 8, 4), 0);
    assert_int_equal(number_at(t->big + 13, 3), 3);
    assert_true(number_at(t->big + 16, 4) >= 303);
    assert_int_equal(marks(t, 0), 0); /* writes the buffer out */
    assert_int_equal(T_IN(t, 20, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(number_at(t->big + 8, 4), 3);
    assert_int_equal(number_at(t->big + 13, 3), 0);
}

static void
CT146_CT147__end_of_the_tape__warning_then_overflow(void **state)
{
    struct tape_rig *t = *state;
    unsigned blocks = 0;

    tape_settle(t);
    while (write_block(t, 'a', 9992) == 0 && t->rig.last.status == 0)
        assert_true(++blocks < 20);
    assert_int_equal(blocks, 8); /* 8 * 10000 = 100000 - 20000 */
    assert_int_equal(sense_of(&t->rig.last), 0x000002);
    assert_int_equal(bits_of(t), EOM);
    assert_int_equal(info_of(t), 0);
    assert_int_equal(t->rig.last.transferred, 9992);
    assert_int_equal(marks(t, 1), 0x000002);
    assert_int_equal(bits_of(t), EOM);
    assert_int_equal(object_now(t), 10);
    assert_int_equal(t->big[0] & 0x40, 0x40); /* EOP */
    assert_int_equal(write_block(t, 'b', 9992), 0x0D0002);
    assert_int_equal(bits_of(t), EOM);
    assert_int_equal(info_of(t), 9992);
    assert_int_equal(t->rig.last.transferred, 0);
    set_block(t, 3000);
    assert_int_equal(T_OUT(t, 15000, 0x0A, 1, B3(5), 0), 0x0D0002);
    assert_int_equal(info_of(t), 2);
    assert_int_equal(t->rig.last.transferred, 9000);
    assert_int_equal(object_now(t), 13);
    assert_int_equal(marks(t, 1000), 0x0D0002);
    assert_true(info_of(t) > 0 && info_of(t) < 1000);
}

static void
CT149__write_protect__writes_marks_erase_are_refused(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(write_block(t, 'a', 10), 0x072700);
    assert_int_equal(marks(t, 1), 0x072700);
    assert_int_equal(marks(t, 0), 0);
    assert_int_equal(T(t, 0x19, 0, 0, 0, 0, 0), 0x072700);
    assert_int_equal(T_IN(t, 12, 0x1A, 0, 0, 0, 12, 0), 0x052400);
    assert_int_equal(T_IN(t, 24, 0x1A, 0, 0x0A, 0, 24, 0), 0);
    assert_int_equal(t->big[2], 0x90); /* WP, buffered */
}

static void
CT148__space_back_over_the_beginning__eom_and_0004(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'a', 10);
    assert_int_equal(space_over(t, 1, -1), 0x000004);
    assert_int_equal(bits_of(t), EOM);
    assert_int_equal(info_of(t), 1);
}

static void
descriptor_sense__stream_commands__bits_and_information(void **state)
{
    struct tape_rig *t = *state;
    uint8_t list[16] = { 0, 0, 0x10, 0, 0x0A, 10, 0x04 };

    tape_settle(t);
    memcpy(t->big, list, sizeof list);
    assert_int_equal(T_OUT(t, 16, 0x15, 0x10, 0, 0, 16, 0), 0);
    write_block(t, 'a', 100);
    rewind_tape(t);
    assert_int_equal(read_block(t, 40), 0);
    assert_int_equal(t->rig.last.sense[0], 0x72);
    assert_int_equal(t->rig.last.sense[8], 0x00); /* information */
    assert_int_equal(number_at(t->rig.last.sense + 12, 8), (uint64_t) -60);
    assert_int_equal(t->rig.last.sense[20], 0x04); /* stream commands */
    assert_int_equal(t->rig.last.sense[21], 2);
    assert_int_equal(t->rig.last.sense[23], ILI);
}

static void
verify__without_and_with_data(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'a', 5000);
    write_block(t, 'b', 5000);
    marks(t, 1);
    rewind_tape(t);
    assert_int_equal(T(t, 0x13, 0, B3(5000), 0), 0);
    assert_int_equal(object_now(t), 1);
    memset(t->big, 'b', 5000);
    assert_int_equal(T_OUT(t, 5000, 0x13, 2, B3(5000), 0), 0);
    assert_int_equal(locate(t, 1), 0);
    memset(t->big, 'b', 4999);
    t->big[4999] = 'x';
    assert_int_equal(T_OUT(t, 5000, 0x13, 2, B3(5000), 0), 0x0E1D00);
    assert_int_equal(locate(t, 2), 0);
    assert_int_equal(T(t, 0x13, 0, B3(10), 0), 0x000001);
}

static void
erase__in_the_middle__the_data_end_here(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    for (int i = 0; i < 3; i++)
        write_block(t, 'a', 100);
    assert_int_equal(locate(t, 1), 0);
    assert_int_equal(T(t, 0x19, 1, 0, 0, 0, 0), 0);
    assert_int_equal(object_now(t), 1);
    assert_int_equal(read_block(t, 100), 0x080005);
    rewind_tape(t);
    assert_int_equal(read_block(t, 100), 0);
}

static void
yank__buffered_blocks__are_lost_and_the_rest_is_there(void **state)
{
    struct tape_rig *t = *state;
    struct vscsi_state now;
    struct tap_tape tap;

    tape_settle(t);
    write_block(t, 'a', 100);
    marks(t, 1);
    write_block(t, 'b', 100);
    write_block(t, 'c', 100);
    vscsi_state(t->rig.drive, &now);
    assert_int_equal(now.unwritten, 2);
    assert_int_equal(now.object, 4);
    assert_int_equal(now.file, 1);
    assert_true(now.at_eod && !now.at_bot);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, 2);
    tap_free(&tap);
    /* An overwrite that never left the buffer has destroyed nothing. */
    tape_settle(t);
    write_block(t, 'd', 5000);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, 2);
    assert_int_equal(tap.objects[0].data[0], 'a');
    tap_free(&tap);
}

static void
unbuffered_mode__yank__nothing_is_lost(void **state)
{
    struct tape_rig *t = *state;
    uint8_t list[12] = { 0, 0, 0x00, 8 };
    struct tap_tape tap;

    tape_settle(t);
    write_block(t, 'a', 10);
    memcpy(t->big, list, sizeof list);
    assert_int_equal(T_OUT(t, 12, 0x15, 0x10, 0, 0, 12, 0), 0);
    write_block(t, 'b', 10);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, 2);
    tap_free(&tap);
    /* Nothing to return early from. */
    tape_settle(t);
    assert_int_equal(T(t, 0x10, 1, 0, 0, 1, 0), 0x052400);
}

static void
filemarks__immediate__stay_in_the_buffer(void **state)
{
    struct tape_rig *t = *state;
    struct vscsi_state now;

    tape_settle(t);
    write_block(t, 'a', 10);
    assert_int_equal(T(t, 0x10, 1, 0, 0, 1, 0), 0);
    vscsi_state(t->rig.drive, &now);
    assert_int_equal(now.unwritten, 2);
    assert_int_equal(T(t, 0x10, 2, 0, 0, 1, 0), 0x052400); /* setmarks */
    assert_int_equal(space_over(t, 1, -1), 0);
    vscsi_state(t->rig.drive, &now);
    assert_int_equal(now.unwritten, 0);
}

static void
faults__by_name_of_the_command_and_by_object(void **state)
{
    static const struct {
        const char *rule;
        uint32_t sense;
    } rules[] = {
        { "at 1 filemark do sense 3/0C/00", 0x030C00 },
        { "at 1 space do sense 4/15/01", 0x041501 },
        { "at 1 locate do sense 3/3B/00", 0x033B00 },
        { "at 1 rewind do sense 4/15/02", 0x041502 },
        { "at 1 load do sense 4/53/00", 0x045300 },
        { "at 1 write lba 2-2 do sense 3/0C/01", 0x030C01 },
        { "at 1 read do sense 0/00/01 filemark info 7", 0x000001 },
    };
    struct tape_rig *t = *state;
    char text[200] = "";

    tape_settle(t);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        assert_int_equal(
            vscsi_fault_add(t->rig.drive, rules[i].rule, text, sizeof text), 0);
    assert_int_equal(write_block(t, 'a', 10), 0);
    assert_int_equal(write_block(t, 'a', 10), 0);
    assert_int_equal(write_block(t, 'a', 10), rules[5].sense);
    assert_int_equal(marks(t, 1), rules[0].sense);
    assert_int_equal(space_over(t, 0, -1), rules[1].sense);
    assert_int_equal(locate(t, 0), rules[2].sense);
    assert_int_equal(rewind_tape(t), rules[3].sense);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 1, 0), rules[4].sense);
    assert_int_equal(read_block(t, 10), rules[6].sense);
    assert_int_equal(bits_of(t), FM);
    assert_int_equal(info_of(t), 7);
    assert_int_equal(object_now(t), 2); /* none of them was carried out */
}

static void
position_index__a_hundred_thousand_blocks__spacing_is_no_scan(void **state)
{
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");

    for (unsigned i = 0; i < 100000; i++) {
        tap_record(file, 0, &i, 4);
        if (i % 1000 == 999)
            tap_word(file, 0);
    }
    fclose(file);
    tape_settle(t);
    assert_int_equal(space_over(t, 3, 0), 0);
    assert_int_equal(object_now(t), 100100);
    /* Quadratic, this would be 10^10 steps. */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(space_over(t, 1, -1), 0);
        for (unsigned j = 0; j < 1000; j++)
            assert_int_equal(space_over(t, 0, -1), 0);
        assert_int_equal(read_block(t, 4), 0);
        assert_int_equal(t->big[0] | t->big[1] << 8 | t->big[2] << 16,
                         (99 - i) * 1000);
        assert_int_equal(space_over(t, 0, -1), 0);
    }
    assert_int_equal(object_now(t), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TAPE_TEST(blank_tape__read__is_the_end_of_data, plain),
        TAPE_TEST(variable_block__same_length__reads_back, plain),
        TAPE_TEST(variable_block__shorter__ili_and_how_much, volatile_buffer),
        TAPE_TEST(variable_block__longer__truncated_and_negative, plain),
        TAPE_TEST(sili__variable__says_nothing_of_the_length, plain),
        TAPE_TEST(CT142__fixed_read__filemark_after_four_of_ten__six_are_left,
                  plain),
        TAPE_TEST(fixed_read__another_length__ili_and_behind_it, plain),
        TAPE_TEST(write__in_the_middle__what_was_behind_is_gone, plain),
        TAPE_TEST(space_blocks__filemark_end_beginning__where_it_stops, plain),
        TAPE_TEST(space_filemarks__both_ways_and_beyond, volatile_buffer),
        TAPE_TEST(locate__object_file_end__and_beyond, plain),
        TAPE_TEST(read_position__short__flags_and_buffer, volatile_buffer),
        TAPE_TEST(CT146_CT147__end_of_the_tape__warning_then_overflow, small),
        TAPE_TEST(CT149__write_protect__writes_marks_erase_are_refused,
                  protected),
        TAPE_TEST(CT148__space_back_over_the_beginning__eom_and_0004, plain),
        TAPE_TEST(descriptor_sense__stream_commands__bits_and_information,
                  plain),
        TAPE_TEST(verify__without_and_with_data, plain),
        TAPE_TEST(erase__in_the_middle__the_data_end_here, volatile_buffer),
        TAPE_TEST(yank__buffered_blocks__are_lost_and_the_rest_is_there,
                  volatile_buffer),
        TAPE_TEST(unbuffered_mode__yank__nothing_is_lost, volatile_buffer),
        TAPE_TEST(filemarks__immediate__stay_in_the_buffer, volatile_buffer),
        TAPE_TEST(faults__by_name_of_the_command_and_by_object, plain),
        TAPE_TEST(position_index__a_hundred_thousand_blocks__spacing_is_no_scan,
                  plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
