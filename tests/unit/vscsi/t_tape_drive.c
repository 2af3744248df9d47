/*
 * Tests for src/vscsi/tape.c, tape_mode.c, tape_log.c, tape_mam.c: loading,
 * parameters, logs, the memory of cartridges, cleaning.  From SSC-3, SPC-4 and
 * sections 7.1, 7.6 and 9.5 of the changer and tape reference.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "tape.h"

TAPE_SETUP(plain, .load_ms = 0)
TAPE_SETUP(volatile_buffer, .cache_volatile = true)
TAPE_SETUP(slow, .load_ms = 40, .tape = { .rewind_ms = 60, .unload_ms = 30 })
TAPE_SETUP(endless, .load_ms = 3600000, .tape = { .rewind_ms = 3600000 })
TAPE_SETUP(vendor, .write_protect = true, .load_ms = 100000,
           .tape = { .personality = "reinsert-vendor" })
TAPE_SETUP(dirty, .tape = { .clean_after_bytes = 3000, .cleaning_uses = 2 })
TAPE_SETUP(self_cleaning, .tape = { .clean_ms = 20 })

static void
configuration__nonsense__is_refused(void **state)
{
    struct vscsi_config config = { .name = "X", .type = VSCSI_TAPE };

    (void) state;
    config.tape.personality = "nobody";
    assert_null(vscsi_new(&config));
    assert_int_equal(errno, EINVAL);
    config.tape.personality = NULL;
    config.block_bytes = (1 << 20) + 1;
    assert_null(vscsi_new(&config));
    assert_int_equal(errno, EINVAL);
}

static void
inquiry__is_a_tape__and_pages(void **state)
{
    struct tape_rig *t = *state;

    assert_int_equal(T_IN(t, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(t->big[0], 0x01);
    assert_int_equal(t->big[1], 0x80);
    assert_memory_equal(t->big + 8, "REINSERTTAPE DRIVE      ", 24);
    assert_int_equal(T_IN(t, 96, 0x12, 1, 0x80, 0, 96, 0), 0);
    assert_memory_equal(t->big + 4, "T1", 2);
    assert_int_equal(T_IN(t, 96, 0x12, 1, 0x83, 0, 96, 0), 0);
    assert_int_equal(T_IN(t, 6, 0x05, 0, 0, 0, 0, 0), 0x062900);
    assert_int_equal(T_IN(t, 6, 0x05, 0, 0, 0, 0, 0), 0);
    assert_int_equal(number_at(t->big, 4), 1 << 20);
    assert_int_equal(number_at(t->big + 4, 2), 1);
}

static void
unload__then_load__the_cartridge_was_in_the_mouth(void **state)
{
    struct tape_rig *t = *state;

    assert_int_equal(TUR(&t->rig), 0x062900);
    assert_int_equal(TUR(&t->rig), 0x023A00);
    tape_settle(t);
    write_block(t, 'a', 10);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0);
    assert_int_equal(TUR(&t->rig), 0x023A00);
    assert_int_equal(read_block(t, 10), 0x023A00);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 1, 0), 0);
    assert_int_equal(TUR(&t->rig), 0x062800);
    assert_int_equal(TUR(&t->rig), 0);
    assert_int_equal(read_block(t, 10), 0);
    /* HOLD: off the heads, not ejected. */
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 8, 0), 0);
    assert_int_equal(TUR(&t->rig), 0x020402);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 1, 0), 0);
    assert_int_equal(TUR(&t->rig), 0);
    assert_int_equal(object_now(t), 0);
    /* EOT is of unloading. */
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 5, 0), 0x052400);
    /* Taken out of the mouth: LOAD finds nothing. */
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    assert_int_equal(vscsi_yank(t->rig.drive), -ENOENT);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 1, 0), 0x023A00);
}

static void
CT159__unload__while_prevented__is_refused(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(T(t, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0x055302);
    assert_int_equal(TUR(&t->rig), 0);
    assert_int_equal(T(t, 0x1E, 0, 0, 0, 0, 0), 0);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0);
    assert_int_equal(TUR(&t->rig), 0x023A00);
}

static int dones;

static void
count_done(struct vscsi_command *command)
{
    (void) command;
    __atomic_fetch_add(&dones, 1, __ATOMIC_SEQ_CST);
}

/* Starts a command that takes its time. */
static void
start_slow(struct tape_rig *t, const uint8_t cdb[6])
{
    memset(&t->rig.last, 0, sizeof t->rig.last);
    memcpy(t->rig.last.cdb, cdb, 6);
    t->rig.last.cdb_len = 6;
    t->rig.last.done = count_done;
    __atomic_store_n(&dones, 0, __ATOMIC_SEQ_CST);
    assert_false(vscsi_execute(t->rig.nexus, &t->rig.last));
}

static void
times__load_rewind_unload__complete_later_or_at_once(void **state)
{
    static const uint8_t rewind_cdb[6] = { 1 },
                         load_cdb[6] = { 0x1B, 0, 0, 0, 1 };
    static const uint8_t unload_cdb[6] = { 0x1B };
    struct tape_rig *t = *state;

    assert_int_equal(vscsi_insert(t->rig.drive, t->tap, NULL, 0), 0);
    WAIT_FOR(TUR(&t->rig) == 0);
    write_block(t, 'a', 1000);
    start_slow(t, rewind_cdb);
    WAIT_FOR(__atomic_load_n(&dones, __ATOMIC_SEQ_CST) == 1);
    assert_int_equal(t->rig.last.status, 0);
    assert_int_equal(object_now(t), 0);
    /* IMMED */
    assert_int_equal(read_block(t, 1000), 0);
    assert_int_equal(T(t, 0x01, 1, 0, 0, 0, 0), 0);
    WAIT_FOR(TUR(&t->rig) == 0);
    assert_int_equal(object_now(t), 0);
    start_slow(t, unload_cdb);
    WAIT_FOR(__atomic_load_n(&dones, __ATOMIC_SEQ_CST) == 1);
    assert_int_equal(TUR(&t->rig), 0x023A00);
    start_slow(t, load_cdb);
    WAIT_FOR(__atomic_load_n(&dones, __ATOMIC_SEQ_CST) == 1);
    assert_int_equal(TUR(&t->rig), 0x062800);
    assert_int_equal(TUR(&t->rig), 0);
}

static void
times__load_rewind__not_ready_meanwhile(void **state)
{
    static const uint8_t rewind_cdb[6] = { 1 };
    struct tape_rig *t = *state;

    assert_int_equal(vscsi_insert(t->rig.drive, t->tap, NULL, 0), 0);
    while (TUR(&t->rig) >> 16 == 6)
        ;
    assert_int_equal(TUR(&t->rig), 0x020401);
    assert_int_equal(
        vscsi_fault_add(t->rig.drive, "at 1 tur do becoming-ready 0", NULL, 0),
        0);
    assert_int_equal(TUR(&t->rig), 0x062800);
    write_block(t, 'a', 1000);
    /* One that is aborted never is carried out. */
    start_slow(t, rewind_cdb);
    vscsi_abort(t->rig.nexus, &t->rig.last);
    assert_int_equal(dones, 1);
    assert_int_equal(t->rig.last.result, VSCSI_ABORTED);
    assert_int_equal(object_now(t), 1);
    /* IMMED: it says that it is not there yet. */
    assert_int_equal(T(t, 0x01, 1, 0, 0, 0, 0), 0);
    assert_int_equal(TUR(&t->rig), 0x020407);
    assert_int_equal(read_block(t, 1000), 0x020407);
}

static void
reset__rewinds_and_forgets_the_mode(void **state)
{
    struct tape_rig *t = *state;
    struct vscsi_state now;

    tape_settle(t);
    set_block(t, 512);
    write_block(t, 'a', 10);
    vscsi_reset(t->rig.drive);
    assert_int_equal(read_block(t, 10), 0x062900);
    vscsi_state(t->rig.drive, &now);
    assert_int_equal(now.block_bytes, 0);
    assert_true(now.at_bot);
    assert_int_equal(read_block(t, 10), 0);
    assert_int_equal(t->big[0], 'a');
}

static void
not_ready_for_a_while__unit_attention__is_at_the_beginning(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    write_block(t, 'a', 10);
    assert_int_equal(
        vscsi_fault_add(t->rig.drive, "at 1 tur do becoming-ready 0", NULL, 0),
        0);
    assert_int_equal(TUR(&t->rig), 0x062800);
    assert_int_equal(object_now(t), 0);
    assert_int_equal(read_block(t, 10), 0);
}

static void
mode_pages__block_descriptor_compression_configuration(void **state)
{
    struct tape_rig *t = *state;
    struct vscsi_nexus *other;
    struct vscsi_command *last = &t->rig.last;

    tape_settle(t);
    other = vscsi_nexus_new(t->rig.drive, NULL, NULL);
    while (
        start_on(&t->rig, other, CDB(0, 0, 0, 0, 0, 0), VSCSI_NO_DATA, 0, 0) &&
        sense_of(last) != 0)
        ;
    assert_int_equal(set_block(t, 10240), 0);
    assert_true(
        start_on(&t->rig, other, CDB(0, 0, 0, 0, 0, 0), VSCSI_NO_DATA, 0, 0));
    assert_int_equal(sense_of(last), 0x062A01);
    assert_int_equal(T_IN(t, 255, 0x1A, 0, 0x3F, 0, 255, 0), 0);
    assert_int_equal(t->big[3], 8);
    assert_int_equal(t->big[2], 0x10);
    assert_int_equal(number_at(t->big + 9, 3), 10240);
    /* Compression off: DCE goes, DCC stays. */
    assert_int_equal(T_IN(t, 255, 0x1A, 8, 0x0F, 0, 255, 0), 0);
    assert_int_equal(t->big[4] & 0x3f, 0x0F);
    assert_int_equal(t->big[5], 14);
    assert_int_equal(t->big[6] & 0xC0, 0xC0);
    t->big[0] = 0;
    t->big[6] &= 0x7f;
    assert_int_equal(T_OUT(t, 20, 0x15, 0x10, 0, 0, 20, 0), 0);
    assert_int_equal(T_IN(t, 255, 0x1A, 8, 0x0F, 0, 255, 0), 0);
    assert_int_equal(t->big[6] & 0xC0, 0x40);
    assert_int_equal(T_IN(t, 255, 0x1A, 8, 0x10, 0, 255, 0), 0);
    assert_int_equal(t->big[4 + 14], 0);           /* select compression */
    assert_int_equal(t->big[4 + 10] & 0x18, 0x18); /* EEG, SEW */
    assert_int_equal(T_IN(t, 255, 0x5A, 8, 0x1D, 0, 0, 0, 0, 0, 255, 0), 0);
    /* Too long a block, another density, a third buffered mode. */
    assert_int_equal(set_block(t, (1 << 20) + 1), 0x052600);
    memcpy(t->big, (uint8_t[]){ 0, 0, 0x10, 8, 0x99 }, 5);
    memset(t->big + 5, 0, 7);
    assert_int_equal(T_OUT(t, 12, 0x15, 0x10, 0, 0, 12, 0), 0x052600);
    memcpy(t->big, (uint8_t[]){ 0, 0, 0x30, 0 }, 4);
    assert_int_equal(T_OUT(t, 4, 0x15, 0x10, 0, 0, 4, 0), 0x052600);
    assert_int_equal(T_IN(t, 255, 0x1A, 0, 0x0F, 0, 255, 0), 0);
    assert_int_equal(number_at(t->big + 9, 3), 10240); /* nothing changed */
    vscsi_nexus_free(other);
}

static void
densities__one__with_or_without_a_medium(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(T_IN(t, 255, 0x44, 0, 0, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(number_at(t->big, 2) + 2, t->rig.last.transferred);
    assert_int_equal(t->big[4], 0x58);
    assert_int_equal(T_IN(t, 255, 0x44, 1, 0, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    assert_int_equal(T_IN(t, 255, 0x44, 1, 0, 0, 0, 0, 0, 0, 255, 0), 0x023A00);
    assert_int_equal(T_IN(t, 255, 0x44, 2, 0, 0, 0, 0, 0, 0, 255, 0), 0);
}

/* The value of a log parameter; -1: it is not there. */
static int64_t
log_value(struct tape_rig *t, uint8_t page, unsigned code)
{
    uint32_t len;

    assert_int_equal(T_IN(t, 1000, 0x4D, 0, 0x40 | page, 0, 0, 0, 0, 3, 232, 0),
                     0);
    assert_int_equal(t->big[0], page);
    len = (uint32_t) number_at(t->big + 2, 2);
    assert_int_equal(len + 4, t->rig.last.transferred);
    for (uint32_t at = 4; at < len + 4; at += 4u + t->big[at + 3])
        if (number_at(t->big + at, 2) == code)
            return (int64_t) number_at(t->big + at + 4, t->big[at + 3]);
    return -1;
}

static void
logs__what_was_moved__and_alerts_once(void **state)
{
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");

    tap_record(file, 0x80000000, "bad", 3);
    fclose(file);
    tape_settle(t);
    assert_int_equal(T_IN(t, 255, 0x4D, 0, 0x40, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_memory_equal(t->big, "\0\0\0\6\0\x0c\x17\x1b\x2e\x31", 10);
    assert_int_equal(read_block(t, 3), 0x031100);
    assert_int_equal(write_block(t, 'a', 5000), 0);
    rewind_tape(t);
    space_over(t, 0, 1);
    assert_int_equal(read_block(t, 5000), 0);
    assert_int_equal(log_value(t, 0x0C, 0), 5000);
    assert_int_equal(log_value(t, 0x0C, 3), 5000);
    assert_int_equal(log_value(t, 0x17, 1), 1); /* loads */
    assert_int_equal(log_value(t, 0x31, 3), 1000000000000 >> 20);
    assert_int_equal(log_value(t, 0x2E, 5), 1); /* read failure */
    assert_int_equal(log_value(t, 0x2E, 5), 0); /* told */
    assert_int_equal(log_value(t, 0x2E, 64), 0);
    assert_int_equal(T_IN(t, 255, 0x4D, 0, 0x7E, 0, 0, 0, 0, 0, 255, 0),
                     0x052400);
}

/* A READ ATTRIBUTE value, copied; its length, or -1. */
static int
attribute(struct tape_rig *t, uint16_t id, void *to)
{
    uint32_t sense = T_IN(t, 4096, 0x8C, 0, 0, 0, 0, 0, 0, 0,
                          (uint8_t) (id >> 8), (uint8_t) id, 0, 0, 16, 0, 0, 0);
    unsigned len;

    if (sense == 0x052400)
        return -1;
    assert_int_equal(sense, 0);
    assert_int_equal(number_at(t->big + 4, 2), id);
    len = (unsigned) number_at(t->big + 7, 2);
    memcpy(to, t->big + 9, len);
    return (int) len;
}

static uint32_t
set_attribute(struct tape_rig *t, uint16_t id, uint8_t format,
              const char *value, unsigned len)
{
    memset(t->big, 0, 200);
    t->big[3] = (uint8_t) (5 + len);
    t->big[4] = (uint8_t) (id >> 8);
    t->big[5] = (uint8_t) id;
    t->big[6] = format;
    t->big[8] = (uint8_t) len;
    memcpy(t->big + 9, value, len);
    return T_OUT(t, 9 + len, 0x8D, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                 (uint8_t) (9 + len), 0, 0);
}

static void
cartridge_memory__is_kept_with_the_cartridge(void **state)
{
    struct tape_rig *t = *state;
    char value[200], serial[32], other[100];

    tape_settle(t);
    assert_int_equal(attribute(t, 0x0401, serial), 32);
    assert_int_equal(attribute(t, 0x0806, value), 32);
    assert_memory_equal(value, "VOL001L5                        ", 32);
    assert_int_equal(attribute(t, 0x0408, value), 1);
    assert_int_equal(value[0], 0);
    assert_int_equal(attribute(t, 0x0003, value), 8);
    assert_int_equal(number_at((uint8_t *) value, 8), 1);
    assert_int_equal(attribute(t, 0x0001, value), 8);
    assert_int_equal(number_at((uint8_t *) value, 8), 1000000000000 >> 20);
    assert_int_equal(attribute(t, 0x0803, value), -1);
    assert_int_equal(set_attribute(t, 0x0803, 2, "Backup 7", 8), 0);
    assert_int_equal(set_attribute(t, 0x0401, 1, "forged", 6), 0x052600);
    assert_int_equal(set_attribute(t, 0x0806, 0, "NEW", 3), 0x052600);
    assert_int_equal(set_attribute(t, 0x0806, 1, "NEW", 3), 0);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    tape_settle(t);
    assert_int_equal(attribute(t, 0x0803, value), 160);
    assert_memory_equal(value, "Backup 7        ", 16);
    assert_int_equal(attribute(t, 0x0806, value), 32);
    assert_memory_equal(value, "NEW     ", 8);
    assert_int_equal(attribute(t, 0x0003, value), 8);
    assert_int_equal(number_at((uint8_t *) value, 8), 2);
    assert_int_equal(attribute(t, 0x0401, value), 32);
    assert_memory_equal(value, serial, 32);
    assert_int_equal(set_attribute(t, 0x0803, 2, "", 0), 0); /* away with it */
    assert_int_equal(attribute(t, 0x0803, value), -1);
    /* Another cartridge is another one. */
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    snprintf(other, sizeof other, "%s/vol001l5.x", t->rig.folder);
    make_image(other, 0, 0);
    strcpy(t->tap, other);
    tape_settle(t);
    assert_int_equal(attribute(t, 0x0401, value), 32);
    assert_memory_not_equal(value, serial, 32);
    assert_int_equal(
        T_IN(t, 100, 0x8C, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0), 0);
    assert_true(number_at(t->big, 4) >= 20);
}

static void
reservation__another_initiator__conflict(void **state)
{
    struct tape_rig *t = *state;
    struct vscsi_nexus *other;

    tape_settle(t);
    other = vscsi_nexus_new(t->rig.drive, NULL, NULL);
    assert_int_equal(T(t, 0x16, 0, 0, 0, 0, 0), 0);
    assert_true(start_on(&t->rig, other, CDB(0x01, 0, 0, 0, 0, 0),
                         VSCSI_NO_DATA, 0, 0));
    assert_int_equal(t->rig.last.status, 0x18);
    assert_int_equal(T(t, 0x17, 0, 0, 0, 0, 0), 0);
    assert_true(start_on(&t->rig, other, CDB(0x01, 0, 0, 0, 0, 0),
                         VSCSI_NO_DATA, 0, 0));
    assert_int_equal(sense_of(&t->rig.last), 0x062900);
    vscsi_nexus_free(other);
}

static void
supported_opcodes__with_timeouts(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    assert_int_equal(
        T_IN(t, 64, 0xA3, 0x0C, 0x81, 0x01, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    assert_int_equal(t->big[1], 0x83);
    assert_int_equal(number_at(t->big + 2, 2), 6);
    assert_true(number_at(t->big + 10 + 8, 4) >= 60);
    assert_int_equal(
        T_IN(t, 64, 0xA3, 0x0C, 0x01, 0x28, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    assert_int_equal(t->big[1], 1); /* a tape has no READ(10) */
    assert_int_equal(T_IN(t, 64, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x052000);
}

static void
vendor_personality__codes_of_its_own(void **state)
{
    struct tape_rig *t = *state;

    assert_int_equal(T_IN(t, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_memory_equal(t->big + 16, "VENDOR TAPE     ", 16);
    assert_int_equal(vscsi_insert(t->rig.drive, t->tap, NULL, 0), 0);
    while (TUR(&t->rig) >> 16 == 6)
        ;
    assert_int_equal(TUR(&t->rig), 0x028001);
    assert_int_equal(
        vscsi_fault_add(t->rig.drive, "at 1 tur do becoming-ready 0", NULL, 0),
        0);
    while (TUR(&t->rig) >> 16 == 6)
        ;
    assert_int_equal(TUR(&t->rig), 0);
    assert_int_equal(read_block(t, 10), 0x088005);
    assert_int_equal(info_of(t), 10);
    assert_int_equal(write_block(t, 'a', 10), 0x078027);
    assert_int_equal(T(t, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0x058053);
}

static void
cleaning__asked_for__done__and_used_up(void **state)
{
    struct tape_rig *t = *state;
    char tape[96], cleaner[100];
    struct vscsi_state now;

    tape_settle(t);
    assert_int_equal(write_block(t, 'a', 2000), 0);
    assert_int_equal(write_block(t, 'a', 2000), 0);
    vscsi_state(t->rig.drive, &now);
    assert_true(now.cleaning_requested);
    assert_int_equal(T_IN(t, 18, 0x03, 0, 0, 0, 18, 0), 0);
    assert_int_equal(t->big[2], 0);
    assert_int_equal(number_at(t->big + 12, 2), 0x0017);
    assert_int_equal(log_value(t, 0x2E, 20), 1);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
    snprintf(cleaner, sizeof cleaner, "%s/CLN001CU", t->rig.folder);
    make_image(cleaner, 'c', 4096); /* what is in it is no tape */
    strcpy(tape, t->tap);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vscsi_insert(t->rig.drive, cleaner, NULL, 0), 0);
        assert_int_equal(TUR(&t->rig), i < 2 ? 0x033003 : 0x033013);
        assert_int_equal(read_block(t, 1), i < 2 ? 0x033003 : 0x033013);
        vscsi_state(t->rig.drive, &now);
        assert_false(now.cleaning_requested || now.ready);
        assert_int_equal(vscsi_yank(t->rig.drive), 0);
        assert_int_equal(TUR(&t->rig), 0x023A00);
    }
    assert_int_equal(log_value(t, 0x2E, 22), 1); /* expired */
    tape_settle(t);
}

static void
cleaning__with_a_time__ejects_the_cartridge(void **state)
{
    struct tape_rig *t = *state;
    char cleaner[100];

    snprintf(cleaner, sizeof cleaner, "%s/CLN002", t->rig.folder);
    make_image(cleaner, 0, 0);
    assert_int_equal(vscsi_insert(t->rig.drive, cleaner, NULL, 0), 0);
    assert_int_equal(TUR(&t->rig), 0x062900);
    WAIT_FOR(TUR(&t->rig) == 0x023A00);
    assert_int_equal(vscsi_yank(t->rig.drive), 0);
}

static void
buffer__cannot_be_written__deferred_error_and_kept(void **state)
{
    struct tape_rig *t = *state;
    struct rlimit old, tight = { 1000, 1000 };
    struct tap_tape tap;

    tape_settle(t);
    write_block(t, 'a', 500);
    marks(t, 1);
    write_block(t, 'b', 700);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_int_equal(marks(t, 0), 0x0D0002);
    assert_int_equal(t->rig.last.sense[0] & 0x7f, 0x71); /* deferred */
    assert_int_equal(bits_of(t), EOM);
    assert_int_equal(rewind_tape(t), 0x0D0002);
    assert_int_equal(t->rig.last.sense[0] & 0x7f, 0x71);
    assert_int_equal(object_now(t), 3); /* it did not go */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(marks(t, 0), 0);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, 3);
    assert_int_equal(tap.objects[2].len, 700);
    tap_free(&tap);
}

/* --- in a library ---------------------------------------------------------- */

static uint32_t
robot_moves(struct vscsi_nexus *robot, unsigned from, unsigned to)
{
    struct vscsi_command move = {
        .cdb = { 0xA5, 0, 0, 1, (uint8_t) (from >> 8), (uint8_t) from,
                 (uint8_t) (to >> 8), (uint8_t) to },
        .cdb_len = 12,
    };

    do {
        assert_true(vscsi_execute(robot, &move));
    } while (sense_of(&move) >> 16 == 6);
    return sense_of(&move);
}

static void
library__tape_drive__loads_unloads_cleans(void **state)
{
    struct tape_rig *t = *state;
    char folder[100], path[160];
    struct vscsi_library_config config = {
        .name = "L", .slots = 4, .drive_count = 1, .media_dir = folder
    };
    struct vscsi_library *library;
    struct vscsi_nexus *robot;
    char text[256] = "", value[40];

    snprintf(folder, sizeof folder, "%s/media", t->rig.folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/tape%d.tap", folder, i);
        make_image(path, 0, 0);
    }
    snprintf(path, sizeof path, "%s/CLN001", folder);
    make_image(path, 0, 0);
    config.drives = &t->rig.drive;
    library = vscsi_library_new(&config, text, sizeof text);
    if (library == NULL)
        fail_msg("%s", text);
    robot = vscsi_nexus_new(vscsi_library_robot(library), NULL, NULL);
    /* By name: CLN001 in slot 4096, tape0, tape1. */
    assert_int_equal(robot_moves(robot, 4097, 256), 0);
    while (TUR(&t->rig) >> 16 == 6)
        ;
    assert_int_equal(attribute(t, 0x0806, value), 32);
    assert_memory_equal(value, "TAPE0   ", 8);
    assert_int_equal(write_block(t, 'a', 4000), 0);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0); /* unload */
    assert_int_equal(TUR(&t->rig), 0x023A00);
    assert_int_equal(robot_moves(robot, 256, 4097), 0);
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 1, 0), 0x023A00); /* it is gone */
    assert_int_equal(robot_moves(robot, 4096, 256), 0);
    assert_int_equal(TUR(&t->rig), 0x033003);
    assert_int_equal(robot_moves(robot, 256, 4096), 0);
    assert_int_equal(TUR(&t->rig), 0x023A00);
    assert_int_equal(robot_moves(robot, 4097, 256), 0);
    while (TUR(&t->rig) >> 16 == 6)
        ;
    assert_int_equal(read_block(t, 4000), 0);
    assert_int_equal(t->big[0], 'a');
    /* Without being told to, the drive writes its buffer out. */
    assert_int_equal(write_block(t, 'b', 5), 0);
    assert_int_equal(robot_moves(robot, 256, 4097), 0);
    assert_int_equal(robot_moves(robot, 4097, 256), 0);
    while (TUR(&t->rig) >> 16 == 6)
        ;
    assert_int_equal(space_over(t, 0, 1), 0);
    assert_int_equal(read_block(t, 5), 0);
    vscsi_nexus_free(robot);
    vscsi_library_free(library);
}

/* --- from several threads -------------------------------------------------- */

struct player {
    struct tape_rig *tape;
    bool stop;
};

static uint32_t
send(struct vscsi_nexus *nexus, const uint8_t cdb[6], enum vscsi_dir dir,
     void *data, uint32_t len)
{
    struct vscsi_command sent = { .cdb_len = 6, .dir = dir };

    memcpy(sent.cdb, cdb, 6);
    sent.data = data;
    sent.data_len = len;
    assert_true(vscsi_execute(nexus, &sent));
    return sent.status == 0 ? 0 : sense_of(&sent);
}

/* Asks without moving the tape. */
static void *
onlooker(void *context)
{
    static const uint8_t cdbs[][6] = { { 0 },
                                       { 0x03, 0, 0, 0, 200, 0 },
                                       { 0x12, 0, 0, 0, 200, 0 },
                                       { 0x1A, 0, 0x3F, 0, 200, 0 } };
    struct player *player = context;
    struct vscsi_nexus *nexus =
        vscsi_nexus_new(player->tape->rig.drive, NULL, NULL);
    struct vscsi_state now;
    uint8_t data[200];

    for (unsigned i = 0; !__atomic_load_n(&player->stop, __ATOMIC_SEQ_CST);
         i++) {
        (void) send(nexus, cdbs[i % 4], VSCSI_FROM_DRIVE, data, sizeof data);
        vscsi_state(player->tape->rig.drive, &now);
        assert_int_equal(now.block_bytes, 0);
    }
    vscsi_nexus_free(nexus);
    return NULL;
}

static void *
hand(void *context)
{
    struct player *player = context;
    struct tape_rig *t = player->tape;

    for (unsigned i = 0; !__atomic_load_n(&player->stop, __ATOMIC_SEQ_CST);
         i++) {
        if (i % 8 == 7)
            vscsi_reset(t->rig.drive);
        else if (vscsi_yank(t->rig.drive) != 0)
            assert_int_equal(vscsi_insert(t->rig.drive, t->tap, NULL, 0), 0);
        usleep(500);
    }
    return NULL;
}

static void
threads__write_look_yank__the_image_stays_a_tape(void **state)
{
    static const uint8_t write_cdb[6] = { 0x0A, 0, 0, 4, 0, 0 },
                         mark_cdb[6] = { 0x10, 0, 0, 0, 1, 0 },
                         back_cdb[6] = { 0x11, 0, 0xff, 0xff, 0xfe, 0 },
                         read_cdb[6] = { 0x08, 2, 0, 4, 0, 0 };
    struct tape_rig *t = *state;
    struct player player = { t, false };
    pthread_t threads[3];
    struct tap_tape tap;

    tape_settle(t);
    pthread_create(&threads[0], NULL, onlooker, &player);
    pthread_create(&threads[1], NULL, onlooker, &player);
    pthread_create(&threads[2], NULL, hand, &player);
    for (unsigned i = 0; i < 3000; i++) {
        (void) send(t->rig.nexus, write_cdb, VSCSI_TO_DRIVE, t->big, 1024);
        if (i % 16 == 15)
            (void) send(t->rig.nexus, mark_cdb, VSCSI_NO_DATA, NULL, 0);
        if (i % 32 == 31) {
            (void) send(t->rig.nexus, back_cdb, VSCSI_NO_DATA, NULL, 0);
            (void) send(t->rig.nexus, read_cdb, VSCSI_FROM_DRIVE, t->big, 1024);
        }
    }
    __atomic_store_n(&player.stop, true, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    (void) vscsi_yank(t->rig.drive);
    tap_load(t->tap, &tap); /* asserts */
    tap_free(&tap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration__nonsense__is_refused),
        TAPE_TEST(inquiry__is_a_tape__and_pages, plain),
        TAPE_TEST(unload__then_load__the_cartridge_was_in_the_mouth, plain),
        TAPE_TEST(CT159__unload__while_prevented__is_refused, plain),
        TAPE_TEST(times__load_rewind_unload__complete_later_or_at_once, slow),
        TAPE_TEST(times__load_rewind__not_ready_meanwhile, endless),
        TAPE_TEST(reset__rewinds_and_forgets_the_mode, volatile_buffer),
        TAPE_TEST(not_ready_for_a_while__unit_attention__is_at_the_beginning,
                  volatile_buffer),
        TAPE_TEST(mode_pages__block_descriptor_compression_configuration,
                  plain),
        TAPE_TEST(densities__one__with_or_without_a_medium, plain),
        TAPE_TEST(logs__what_was_moved__and_alerts_once, plain),
        TAPE_TEST(cartridge_memory__is_kept_with_the_cartridge, plain),
        TAPE_TEST(reservation__another_initiator__conflict, plain),
        TAPE_TEST(supported_opcodes__with_timeouts, plain),
        TAPE_TEST(vendor_personality__codes_of_its_own, vendor),
        TAPE_TEST(cleaning__asked_for__done__and_used_up, dirty),
        TAPE_TEST(cleaning__with_a_time__ejects_the_cartridge, self_cleaning),
        TAPE_TEST(buffer__cannot_be_written__deferred_error_and_kept,
                  volatile_buffer),
        TAPE_TEST(threads__write_look_yank__the_image_stays_a_tape,
                  volatile_buffer),
        TAPE_TEST(library__tape_drive__loads_unloads_cleans, volatile_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
