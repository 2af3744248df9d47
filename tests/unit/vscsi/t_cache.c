/*
 * Tests for src/vscsi/cache.c: a write cache that really loses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>

SETUP(cached, .type = VSCSI_DISK, .cache_volatile = true)
SETUP(uncached, .type = VSCSI_DISK)

static char
on_image(struct rig *rig, uint32_t lba)
{
    char byte;

    peek(rig->a, lba * UINT64_C(512), &byte, 1);
    return byte;
}

static void
write__stays_in_the_cache__reads_see_it(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 3, 2, 'W'), 0);
    assert_int_equal(rig->last.transferred, 1024);
    assert_int_equal(on_image(rig, 3), 'a');
    assert_int_equal(read_10(rig, 0, 16, 8192), 0);
    for (unsigned lba = 0; lba < 16; lba++)
        assert_int_equal(rig->data[lba * 512 + 7],
                         lba == 3 || lba == 4 ? 'W' : 'a');
}

static void
yank__loses_what_was_not_synchronised(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 1, 1, 'S'), 0);
    assert_int_equal(NONE(rig, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(on_image(rig, 1), 'S');
    assert_int_equal(write_10(rig, 0, 1, 1, 'L'), 0);
    assert_int_equal(write_10(rig, 0, 9, 1, 'L'), 0);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(on_image(rig, 1), 'S');
    assert_int_equal(on_image(rig, 9), 'a');
    settle(rig);
    assert_int_equal(read_10(rig, 9, 1, 512), 0);
    assert_int_equal(rig->data[0], 'a');
}

static void
fua__is_on_the_medium__others_are_not(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 100, 1, 'L'), 0);
    assert_int_equal(write_10(rig, 0x08, 1, 1, 'F'), 0);
    assert_int_equal(write_10(rig, 0, 200, 1, 'L'), 0);
    assert_int_equal(on_image(rig, 1), 'F');
    assert_int_equal(on_image(rig, 100), 'a');
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(on_image(rig, 1), 'F');
    assert_int_equal(on_image(rig, 200), 'a');
}

static void
eject_stop_and_free__write_it_out(void **state)
{
    struct rig *rig = *state;
    struct vscsi_config config = { .name = "D2",
                                   .type = VSCSI_DISK,
                                   .cache_volatile = true };
    struct vscsi_drive *first = rig->drive;
    struct vscsi_nexus *nexus = rig->nexus;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 1, 1, 'E'), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0, 0), 0);
    assert_int_equal(on_image(rig, 1), 'E');
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 1, 0), 0);
    assert_int_equal(write_10(rig, 0, 2, 1, 'E'), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 2, 0), 0);
    assert_int_equal(on_image(rig, 2), 'E');
    settle(rig);
    assert_int_equal(write_10(rig, 0, 3, 1, 'E'), 0);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    assert_int_equal(on_image(rig, 3), 'E');
    rig->drive = vscsi_new(&config);
    rig->nexus = vscsi_nexus_new(rig->drive, NULL, NULL);
    settle(rig);
    assert_int_equal(write_10(rig, 0, 4, 1, 'E'), 0);
    vscsi_nexus_free(rig->nexus);
    vscsi_free(rig->drive);
    assert_int_equal(on_image(rig, 4), 'E');
    rig->drive = first;
    rig->nexus = nexus;
}

static void
wce__off__writes_through(void **state)
{
    struct rig *rig = *state;
    /* header, page 08 of 18 bytes, all zero but for its header */
    uint8_t list[4 + 20] = { [4] = 0x08, [5] = 18 };

    settle(rig);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0x08, 0, 255, 0), 0);
    assert_int_equal(rig->data[4 + 2] & 0x04, 0x04);
    assert_int_equal(write_10(rig, 0, 1, 1, 'B'), 0);
    memcpy(rig->data, list, sizeof list);
    assert_int_equal(OUT(rig, sizeof list, 0x15, 0x10, 0, 0, sizeof list, 0),
                     0);
    assert_int_equal(on_image(rig, 1), 'B');
    assert_int_equal(write_10(rig, 0, 2, 1, 'T'), 0);
    assert_int_equal(on_image(rig, 2), 'T');
}

static void
uncached__no_wce_and_yank_loses_nothing(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0x08, 0, 255, 0), 0);
    assert_int_equal(rig->data[4 + 2] & 0x04, 0);
    assert_int_equal(write_10(rig, 0, 1, 1, 'T'), 0);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(on_image(rig, 1), 'T');
}

/* More than the cache takes: 24 MiB over a 32 MiB image, scattered. */
static void
full__oldest_spill__nothing_is_mixed_up(void **state)
{
    struct rig *rig = *state;
    uint32_t chunks = 32u * 1024 * 1024 / 32768;

    make_image(rig->a, 0, 32u * 1024 * 1024);
    settle(rig);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < chunks; i++)
            assert_int_equal(write_10(rig, 0, i * 37 % chunks * 64, 64,
                                      (char) (i * 7 + 1 + (unsigned) round)),
                             0);
    for (uint32_t i = 0; i < chunks; i++) {
        assert_int_equal(read_10(rig, i * 37 % chunks * 64, 64, 32768), 0);
        for (unsigned at = 0; at < 32768; at += 500)
            assert_int_equal(rig->data[at], (uint8_t) (i * 7 + 2));
    }
    assert_int_equal(
        NONE(rig, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    for (uint32_t i = 0; i < chunks; i++) {
        char byte;

        peek(rig->a, i * 37 % chunks * UINT64_C(32768), &byte, 1);
        assert_int_equal((uint8_t) byte, (uint8_t) (i * 7 + 2));
    }
}

static void
unmap_and_write_same__over_cached_data__win(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 8, 16, 'C'), 0);
    memset(rig->data, 0, 24);
    rig->data[1] = 22;
    rig->data[3] = 16;
    rig->data[15] = 9; /* LBA 9 */
    rig->data[19] = 2; /* two blocks */
    assert_int_equal(OUT(rig, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), 0);
    memset(rig->data, 's', 512);
    assert_int_equal(OUT(rig, 512, 0x41, 0, 0, 0, 0, 12, 0, 0, 2, 0), 0);
    assert_int_equal(read_10(rig, 8, 16, 8192), 0);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(rig->data[i * 512], i == 1 || i == 2   ? 0
                                             : i == 4 || i == 5 ? 's'
                                                                : 'C');
}

struct worker {
    struct vscsi_nexus *nexus;
    unsigned slot, bad;
};

/* Writes and reads back its own sectors, interleaved with the other's. */
static void *
worker_main(void *context)
{
    struct worker *me = context;
    uint8_t out[512], back[512];
    struct vscsi_command command = { .cdb_len = 10, .data_len = 512 };

    for (unsigned i = 0; i < 20000; i++) {
        uint32_t lba = i * 13 % 32768 * 2 + me->slot;

        memset(out, (int) (i + me->slot), sizeof out);
        memcpy(command.cdb,
               ((uint8_t[]){ 0x2A, i % 64 ? 0 : 8, 0, (uint8_t) (lba >> 16),
                             (uint8_t) (lba >> 8), (uint8_t) lba, 0, 0, 1, 0 }),
               10);
        command.data = out;
        command.dir = VSCSI_TO_DRIVE;
        me->bad += !vscsi_execute(me->nexus, &command) || command.status != 0;
        command.cdb[0] = 0x28;
        command.data = back;
        command.dir = VSCSI_FROM_DRIVE;
        me->bad += !vscsi_execute(me->nexus, &command) || command.status != 0;
        me->bad += memcmp(out, back, sizeof out) != 0;
        if (i % 1000 == 0) {
            command.cdb[0] = 0x35;
            command.cdb[1] = 0;
            command.dir = VSCSI_NO_DATA;
            me->bad += !vscsi_execute(me->nexus, &command);
        }
    }
    return NULL;
}

static void
two_threads__share_lines__see_their_own_writes(void **state)
{
    struct rig *rig = *state;
    struct worker workers[2];
    pthread_t threads[2];

    make_image(rig->a, 0, 32u * 1024 * 1024);
    settle(rig);
    for (unsigned i = 0; i < 2; i++) {
        workers[i] = (struct worker){ rig->nexus, i, 0 };
        pthread_create(&threads[i], NULL, worker_main, &workers[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].bad, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(write__stays_in_the_cache__reads_see_it, cached),
        TEST(yank__loses_what_was_not_synchronised, cached),
        TEST(fua__is_on_the_medium__others_are_not, cached),
        TEST(eject_stop_and_free__write_it_out, cached),
        TEST(wce__off__writes_through, cached),
        TEST(uncached__no_wce_and_yank_loses_nothing, uncached),
        TEST(full__oldest_spill__nothing_is_mixed_up, cached),
        TEST(unmap_and_write_same__over_cached_data__win, cached),
        TEST(two_threads__share_lines__see_their_own_writes, cached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
