/*
 * t_identity.c - tapes recognised by their first block; expectations from ANSI
 *                X3.27, the LTFS format, the Bacula media format, and tar(5)
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

static uint8_t block[64512];

static struct tape_identity
look(size_t length)
{
    struct tape_identity identity = { "" };

    identity_first_block(&identity, block, length);
    return identity;
}

static int
clear(void **state)
{
    (void) state;
    memset(block, 0, sizeof block);
    return 0;
}

static void
put(size_t at, const char *text)
{
    memcpy(block + at, text, strlen(text));
}

static void
ansi_label__its_volume(void **state)
{
    struct tape_identity is;

    (void) state;
    memset(block, ' ', 80);
    put(0, "VOL1ARCH01");
    block[79] = '3';
    is = look(80);
    assert_string_equal(is.format, "ANSI");
    assert_string_equal(is.label, "ARCH01");
    is = look(79); /* a label has 80 characters */
    assert_string_equal(is.format, "unknown");
}

static void
ibm_label__in_ebcdic(void **state)
{
    static const uint8_t label[] = { 0xE5, 0xD6, 0xD3, 0xF1, 0xC1,
                                     0xD9, 0xE9, 0xF0, 0xF9, 0x40 };
    struct tape_identity is;

    (void) state;
    memset(block, 0x40, 80);
    memcpy(block, label, sizeof label);
    is = look(80);
    assert_string_equal(is.format, "IBM");
    assert_string_equal(is.label, "ARZ09");
}

static void
ltfs_label__before_ansi(void **state)
{
    struct tape_identity is;

    (void) state;
    memset(block, ' ', 80);
    put(0, "VOL1AB0001L");
    put(24, "LTFS");
    block[79] = '4';
    is = look(80);
    assert_string_equal(is.format, "LTFS");
    assert_string_equal(is.label, "AB0001");
}

static void
put_big(size_t at, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        block[at + (size_t) i] = (uint8_t) value;
}

static void
bacula_label(const char *id, size_t record, size_t data)
{
    put_big(4, sizeof block);
    put(12, id);
    put_big(record, (uint32_t) -2);
    put_big(data - 4, 200);
    put(data, "Bacula 1.0 immortal\n");
    put_big(data + 21, 11);
    put(data + 21 + 4 + 32, "Full-0007");
    put(data + 21 + 4 + 32 + 10 + 1, "Default");
}

static void
bacula_label__its_volume(void **state)
{
    struct tape_identity is;

    (void) state;
    bacula_label("BB02", 24, 36);
    is = look(sizeof block);
    assert_string_equal(is.format, "Bacula");
    assert_string_equal(is.label, "Full-0007");
    memset(block, 0, sizeof block);
    bacula_label("BB01", 24, 36);
    is = look(sizeof block);
    assert_string_equal(is.format, "Bacula");
    assert_string_equal(is.label, "Full-0007");
}

static void
bacula_data_block__no_label(void **state)
{
    struct tape_identity is;

    (void) state;
    bacula_label("BB02", 24, 36);
    put_big(24, 1); /* the file index of data */
    is = look(sizeof block);
    assert_string_equal(is.format, "Bacula");
    assert_string_equal(is.label, "");
}

static void
seal_tar(void)
{
    unsigned sum = 0;
    char text[8];

    memset(block + 148, ' ', 8);
    for (unsigned i = 0; i < 512; i++)
        sum += block[i];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(block + 148, text, 7);
}

static void
tar_label__of_a_volume_header_only(void **state)
{
    struct tape_identity is;

    (void) state;
    put(0, "weekly Volume 2");
    block[156] = 'V';
    put(257, "ustar  ");
    seal_tar();
    is = look(10240);
    assert_string_equal(is.format, "tar");
    assert_string_equal(is.label, "weekly Volume 2");
    block[156] = '0'; /* a file of that name */
    seal_tar();
    is = look(10240);
    assert_string_equal(is.format, "tar");
    assert_string_equal(is.label, "");
    block[0] ^= 1; /* the sum is wrong */
    is = look(10240);
    assert_string_equal(is.format, "unknown");
}

static void
tar_label__of_a_global_header(void **state)
{
    struct tape_identity is;

    (void) state;
    put(0, "./GlobalHead.1.1");
    block[156] = 'g';
    put(257, "ustar");
    put(263, "00");
    seal_tar();
    put(512, "27 GNU.volume.label=nightly\n");
    is = look(10240);
    assert_string_equal(is.label, "nightly");
}

/* Lengths lie: whatever is cut off, it is read within the block alone. */
static void
cut_blocks__nothing_is_read_behind_them(void **state)
{
    (void) state;
    bacula_label("BB02", 24, 36);
    for (size_t length = 0; length < 512; length++) {
        uint8_t *tight = malloc(length != 0 ? length : 1);
        struct tape_identity is = { "" };

        assert_non_null(tight);
        memcpy(tight, block, length);
        identity_first_block(&is, tight, length);
        free(tight);
    }
}

static void
name__label_bar_code_serial_fingerprint(void **state)
{
    struct tape_identity is = {
        .serial = "S1", .barcode = "B1", .label = "L1", .first_bytes = 1
    };
    char name[RI_NAME_MAX];

    (void) state;
    identity_name(&is, name);
    assert_string_equal(name, "L1");
    is.label[0] = '\0';
    identity_name(&is, name);
    assert_string_equal(name, "B1");
    is.barcode[0] = '\0';
    identity_name(&is, name);
    assert_string_equal(name, "S1");
    is.serial[0] = '\0';
    identity_name(&is, name);
    assert_int_equal(strncmp(name, "tape-", 5), 0);
}

static void
compare__serial_before_bar_code_before_the_first_block(void **state)
{
    struct tape_identity a = { .serial = "S1",
                               .barcode = "B1",
                               .first_bytes = 1 },
                         b = a;

    (void) state;
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_SAME);
    strcpy(b.barcode, "B2"); /* a label can be swapped */
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_SAME);
    b.first_hash = 7;
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_CHANGED);
    strcpy(b.serial, "S2");
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_OTHER);
    b.serial[0] = '\0';
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_OTHER);
    strcpy(b.barcode, "B1");
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_CHANGED);
    b.barcode[0] = '\0';
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_OTHER);
    b.first_hash = 0;
    assert_int_equal(tape_identity_compare(&a, &b), IDENTITY_SAME);
}

/* --- in a drive ----------------------------------------------------------- */

static void
tape_put_in__known_before_anybody_opens_it(void **state)
{
    struct ri_tape_info info;

    (void) state;
    tape_unit_info(rig.drive[0].unit, &info);
    assert_string_equal(info.state, "empty");
    rig_insert(0, "AB0001");
    tape_unit_info(rig.drive[0].unit, &info);
    assert_string_equal(info.state, "ready");
    assert_string_equal(info.barcode, "AB0001");
    assert_string_not_equal(info.serial, "");
    assert_string_equal(info.format, "blank");
    assert_string_equal(info.tape, "AB0001");
    assert_int_equal(info.file, 0);
    rig_yank(0);
    tape_unit_info(rig.drive[0].unit, &info);
    assert_string_equal(info.state, "empty");
    assert_string_equal(info.tape, "");
}

static void
label_written__the_tape_has_its_name(void **state)
{
    struct ri_tape_info info;

    (void) state;
    memset(block, ' ', 80);
    put(0, "VOL1ARCH01");
    rig_insert(0, "AB0001");
    rig_open("");
    assert_result(rig_write(block, 80), 0);
    assert_result(rig_close(), 0);
    tape_unit_info(rig.drive[0].unit, &info);
    assert_string_equal(info.format, "ANSI");
    assert_string_equal(info.tape, "ARCH01");
    rig_yank(0);
    rig_insert(1, "AB0001");
    tape_unit_info(rig.drive[1].unit, &info);
    assert_string_equal(info.tape, "ARCH01");
}

/* A tape that somebody left in the middle is not moved to be looked at. */
static void
tape_left_in_the_middle__not_moved_by_a_look(void **state)
{
    struct vscsi_state is;

    (void) state;
    rig_insert(0, "AB0001");
    rig_open("");
    for (unsigned i = 0; i < 5; i++)
        assert_result(rig_write(rig_block(i, 512), 512), 0);
    assert_result(rig_close(), 0);
    tape_unit_looked(rig.drive[0].unit);
    vscsi_state(rig.drive[0].vscsi, &is);
    assert_int_equal(is.object, 6);
}

#define BLOCK(test) cmocka_unit_test_setup(test, clear)

/* A drive that is reset while the tape is looked at leaves it behind its first
 * block, or says so: nobody else has put it there. */
static void
looked_at__reset_meanwhile__it_lies_at_its_beginning(void **state)
{
    static const char *const rules[] = { "at 2 rewind do sense 6/29/00",
                                         "at 2 rewind do bus-free",
                                         "at 1 read do reset",
                                         "at 1 rewind do sense 6/29/00" };
    char text[128], name[16];
    int objects[8];

    (void) state;
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        snprintf(name, sizeof name, "L%u", i);
        rig_insert(0, name);
        rig_open("");
        assert_result(rig_write(rig_block(i, 1024), 1024), 0);
        assert_result(rig_write(rig_block(100, 1024), 1024), 0);
        assert_result(rig_close(), 0);
        rig_yank(0);
        assert_int_equal(
            vscsi_fault_add(rig.drive[0].vscsi, rules[i], text, sizeof text),
            0);
        rig_insert(0, name);
        rig_open("");
        assert_int_equal(rig_get().mt_fileno, 0);
        assert_int_equal(rig_get().mt_blkno, 0);
        assert_result(rig_write(rig_block(9, 1024), 1024), 0);
        assert_result(rig_close(), 0);
        assert_int_equal(rig_image(rig_path(name), objects, 8, 1024), 2);
        assert_int_equal(objects[0], 9);
        rig_yank(0);
        vscsi_fault_clear(rig.drive[0].vscsi);
    }
}

/* Its first block cannot be read: a look that found that out has not moved it, and
 * it can be written anew from its beginning. */
static void
first_block_damaged__it_lies_at_its_beginning_and_can_be_written(void **state)
{
    static const uint8_t bad[] = { 4,   0,   0, 0x80, 'd', 'a',
                                   't', 'a', 4, 0,    0,   0x80 };
    int objects[8];
    FILE *file = fopen(rig_path("BAD"), "w");

    (void) state;
    assert_non_null(file);
    assert_int_equal(fwrite(bad, 1, sizeof bad, file), sizeof bad);
    fclose(file);
    rig_insert(0, "BAD");
    for (int i = 0; i < 3; i++)
        tape_unit_looked(rig.drive[0].unit);
    rig_open("");
    assert_int_equal(rig_get().mt_fileno, 0);
    assert_int_equal(rig_get().mt_blkno, 0);
    assert_result(rig_write(rig_block(9, 1024), 1024), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("BAD"), objects, 8, 1024), 2);
    assert_int_equal(objects[0], 9);
}

/* ... and who left it at a place finds it there after a reset. */
static void
left_at_a_place__reset__first_block_cannot_be_read__goes_on_there(void **state)
{
    char text[128];
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned n = 0; n < 3; n++)
        assert_result(rig_write(rig_block(n, 1024), 1024), 0);
    assert_result(rig_close(), 0);
    vscsi_reset(rig.drive[0].vscsi);
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * read do sense 3/11/00", text,
                                     sizeof text),
                     0);
    rig_open("");
    vscsi_fault_clear(rig.drive[0].vscsi);
    assert_result(rig_write(rig_block(9, 1024), 1024), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, 1024), 6);
    assert_int_equal(objects[0], 0);
    assert_int_equal(objects[3], -1);
    assert_int_equal(objects[4], 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK(ansi_label__its_volume),
        BLOCK(ibm_label__in_ebcdic),
        BLOCK(ltfs_label__before_ansi),
        BLOCK(bacula_label__its_volume),
        BLOCK(bacula_data_block__no_label),
        BLOCK(tar_label__of_a_volume_header_only),
        BLOCK(tar_label__of_a_global_header),
        BLOCK(cut_blocks__nothing_is_read_behind_them),
        BLOCK(name__label_bar_code_serial_fingerprint),
        BLOCK(compare__serial_before_bar_code_before_the_first_block),
        TEST(tape_put_in__known_before_anybody_opens_it),
        TEST(label_written__the_tape_has_its_name),
        TEST(tape_left_in_the_middle__not_moved_by_a_look),
        TEST(looked_at__reset_meanwhile__it_lies_at_its_beginning),
        TEST(first_block_damaged__it_lies_at_its_beginning_and_can_be_written),
        TEST(left_at_a_place__reset__first_block_cannot_be_read__goes_on_there),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
