/*
 * t_unflushed.c - what was acknowledged is on the medium in the end, and on no
 * other: yanks with a volatile cache, in the same drive and in another
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#define AT (4ul << 20)

static UCHAR buffer[65536], seen[65536];

static struct drive_rig *
begin(void **state, int drive)
{
    struct rig *rig = *state;

    limit(64u << 20, NEVER);
    return &rig->d[drive];
}

static void
write__yanked_unflushed__on_the_medium_when_it_is_back(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("back", "BACK", "A0000001");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'B', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 8192), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 8192);
    pull_out(d);
    assert_not_on_medium(path, AT, buffer, 8192);
    put_in(d, path);
    assert_int_equal(read_volume(volume, AT, seen, 8192), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 8192);
    assert_int_equal(asked(), 0);
    assert_int_equal(info_of(volume).replays, 1);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    /* Flushed, too: taken again, it stays. */
    pull_out(d);
    assert_on_medium(path, AT, buffer, 8192);
}

static void
write__back_in_another_drive__replayed_there(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("there", "THERE", "A0000002");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'T', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    pull_out(d);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    pull_out(e);
    assert_on_medium(path, AT, buffer, 4096);
    assert_int_equal(asked(), 0);
}

static void
write__another_medium_between__is_untouched(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("mine", "MINE", "A0000003");
    const char *other = FAT("other", "OTHER", "A0000004");
    const char *before = image_copy("other-before", other);
    char line[300];
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'M', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    swap(d, other);
    req_start(&req, volume, IRP_MJ_WRITE, AT + 8192, buffer, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    swap(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
    assert_on_medium(path, AT + 8192, buffer, 4096);
    snprintf(line, sizeof line, "cmp -s %s %s", other, before);
    assert_int_equal(system(line), 0);
}

static void
write__flushed_then_yanked__nothing_is_replayed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("quiet", "QUIET", "A0000005");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'F', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
    put_in(d, path);
    watch_reset(&d->watch);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    assert_int_equal(watch_count(&d->watch, IRP_MJ_WRITE), 0);
    assert_int_equal(info_of(volume).replays, 0);
}

/* A reset loses what the cache holds, and the medium stays where it is. */
static void
write__drive_is_reset__replayed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, FAT("reset", "RESET", "A0000006"));
    volume = mount(d);
    memset(buffer, 'R', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    fault(d, "at 1 read do sense 6/29/00");
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
    assert_int_equal(info_of(volume).replays, 1);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
}

static void
replay__yanked_in_the_middle__done_at_the_next_return(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("middle", "MIDDLE", "A0000007");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    for (int i = 0; i < 4; i++) {
        memset(buffer, 'a' + i, 4096);
        assert_int_equal(write_volume(volume, AT + i * 65536ul, buffer, 4096),
                         STATUS_SUCCESS);
    }
    swap(d, path);
    fault(d, "at 3 write do yank");
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    the_prompt();
    assert_int_equal(info_of(volume).unflushed_bytes, 4 * 4096);
    put_in(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    pull_out(d);
    for (int i = 0; i < 4; i++) {
        memset(buffer, 'a' + i, 4096);
        assert_on_medium(path, AT + i * 65536ul, buffer, 4096);
    }
}

static void
replay__write_protected__asks_and_waits_for_the_tab(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("tab", "TAB", "A0000008");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'W', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    pull_out(d);
    fault(d, "at 1 write do sense 7/27/00");
    put_in(d, path);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(the_prompt().status,
                     (uint32_t) STATUS_MEDIA_WRITE_PROTECTED);
    assert_false(req_is_done(&req));
    assert_int_equal(info_of(volume).unflushed_bytes, 4096);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
}

static void
eject__with_unflushed_data__flushed_first(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("eject", "EJECT", "A0000009");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'E', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(fs_eject(d->fdo, NULL), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    assert_on_medium(path, AT, buffer, 4096);
}

/* --- limits ----------------------------------------------------------------------- */

static void
write__no_room__acknowledged_after_a_flush(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("room", "ROOM", "A000000A");
    struct volume *volume;

    limit(65536, NEVER);
    put_in(d, path);
    volume = mount(d);
    for (int i = 0; i < 64; i++) {
        memset(buffer, i + 1, 16384);
        assert_int_equal(write_volume(volume, AT + i * 16384ul, buffer, 16384),
                         STATUS_SUCCESS);
        assert_true(info_of(volume).unflushed_bytes <= 65536);
    }
    swap(d, path);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    pull_out(d);
    for (int i = 0; i < 64; i++) {
        memset(buffer, i + 1, 16384);
        assert_on_medium(path, AT + i * 16384ul, buffer, 16384);
    }
}

static void
write__no_log_allowed__written_through(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("through", "THROUGH", "A000000B");
    struct volume *volume;

    limit(0, NEVER);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'H', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
}

static void
write__idle_for_a_while__flushed_and_unlocked(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("idle", "IDLE", "A000000C");
    struct vscsi_state now;
    struct volume *volume;

    limit(64u << 20, 20);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'I', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY(info_of(volume).unflushed_bytes == 0));
    assert_on_medium(path, AT, buffer, 4096);
    assert_true(EVENTUALLY((vscsi_state(d->drive, &now), !now.prevented)));
}

static void
write__unflushed__the_medium_is_locked_in(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct vscsi_state now;
    struct volume *volume;

    put_in(d, FAT("locked", "LOCKED", "A000000D"));
    volume = mount(d);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY((vscsi_state(d->drive, &now), now.prevented)));
    assert_int_equal(fs_eject(d->fdo, NULL), STATUS_SUCCESS);
    vscsi_state(d->drive, &now);
    assert_false(now.prevented);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
}

/* --- the model --------------------------------------------------------------------- */

#define CELLS 64
#define CELL  4096ul

/* Of each cell the last acknowledged content; 0: never written. */
static void
model__random_writes_flushes_yanks__nothing_lost_nothing_misplaced(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("model", "MODEL", "A0000010");
    const char *other = FAT("model2", "OTHER", "A0000011");
    const char *before = image_copy("model2-before", other);
    UCHAR model[CELLS] = { 0 };
    unsigned seed = 4711, yanks = 0;
    struct volume *volume;
    struct req req;
    char line[300];

    put_in(d, path);
    volume = mount(d);
    for (int step = 0; step < 1000; step++) {
        unsigned dice = (unsigned) rand_r(&seed) % 100;
        unsigned cell = (unsigned) rand_r(&seed) % CELLS;

        if (dice < 80) {
            UCHAR value = (UCHAR) (1 + rand_r(&seed) % 255);

            memset(buffer, value, CELL);
            assert_int_equal(
                write_volume(volume, AT + cell * CELL, buffer, CELL),
                STATUS_SUCCESS);
            model[cell] = value;
        } else if (dice < 85) {
            assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
        } else if (dice < 92) {
            swap(d, path);
            yanks++;
        } else if (dice < 94) {
            /* Into another's hands meanwhile. */
            swap(d, other);
            req_start(&req, volume, IRP_MJ_READ, AT + cell * CELL, seen, CELL);
            the_prompt();
            swap(d, path);
            answer(RI_RETRY);
            assert_int_equal(req_end(&req), STATUS_SUCCESS);
            yanks++;
        } else {
            assert_int_equal(read_volume(volume, AT + cell * CELL, seen, CELL),
                             STATUS_SUCCESS);
            memset(buffer, model[cell], CELL);
            if (model[cell] != 0)
                assert_memory_equal(seen, buffer, CELL);
        }
    }
    assert_true(yanks > 50);
    swap(d, path);
    assert_int_equal(read_volume(volume, AT, seen, CELL), STATUS_SUCCESS);
    pull_out(d);
    for (unsigned cell = 0; cell < CELLS; cell++) {
        memset(buffer, model[cell], CELL);
        if (model[cell] != 0)
            assert_on_medium(path, AT + cell * CELL, buffer, CELL);
    }
    snprintf(line, sizeof line, "cmp -s %s %s", other, before);
    assert_int_equal(system(line), 0);
    assert_true(info_of(volume).replays > 10);
}

/* Until all are done; a hand that was seen in between is answered. */
static void
end_all(struct req *reqs, int count)
{
    struct ri_prompt_info info;

    for (int i = 0; i < count; i++) {
        while (!req_is_done(&reqs[i])) {
            if (prompts(&info) != 0)
                (void) prompt_answer(info.id, RI_RETRY);
            usleep(100);
        }
        assert_int_equal(req_end(&reqs[i]), STATUS_SUCCESS);
    }
}

#define AT_ONCE 8

static UCHAR batch[AT_ONCE][CELL];

/* Eight at a time, in cells of their own, and a hand in the middle of them. */
static void
model__yanks_among_many_requests__nothing_lost(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("many", "MANY", "A0000012");
    UCHAR model[CELLS] = { 0 };
    struct req reqs[AT_ONCE + 1];
    unsigned seed = 815;
    struct volume *volume;

    limit(CELLS / 2 * CELL, 5);
    put_in(d, path);
    volume = mount(d);
    for (int round = 0; round < 150; round++) {
        unsigned first = (unsigned) rand_r(&seed) % CELLS;
        UCHAR value = (UCHAR) (1 + rand_r(&seed) % 255);

        for (unsigned i = 0; i < AT_ONCE; i++) {
            unsigned cell = (first + i) % CELLS;

            memset(batch[i], value + (int) i, CELL);
            req_start(&reqs[i], volume, IRP_MJ_WRITE, AT + cell * CELL,
                      batch[i], CELL);
            model[cell] = (UCHAR) (value + i);
            if (i == 4 && round % 3 == 0)
                swap(d, path);
        }
        req_start(&reqs[AT_ONCE], volume,
                  round % 4 == 0 ? IRP_MJ_FLUSH_BUFFERS : IRP_MJ_READ, AT, seen,
                  round % 4 == 0 ? 0 : CELL);
        if (round % 5 == 0)
            swap(d, path);
        end_all(reqs, AT_ONCE + 1);
    }
    swap(d, path);
    req_start(&reqs[0], volume, IRP_MJ_READ, AT, seen, CELL);
    end_all(reqs, 1);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    pull_out(d);
    for (unsigned cell = 0; cell < CELLS; cell++) {
        memset(buffer, model[cell], CELL);
        assert_on_medium(path, AT + cell * CELL, buffer, CELL);
    }
}

/* --- the keeper --------------------------------------------------------------------- */

static void
give_up__absent_with_data__the_keeper_has_them(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct kept kept = { .answer = STATUS_DISK_FULL };
    struct volume *volume;

    put_in(d, FAT("keep", "KEEP", "A0000020"));
    volume = mount(d);
    memset(buffer, 'K', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 8192), STATUS_SUCCESS);
    fs_set_keeper(keep, &kept);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(kept.calls, 0); /* it is mounted */
    pull_out(d);
    fs_media_gone(d->fdo);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(info_of(volume).unflushed_bytes, 8192);
    kept = (struct kept){ 0 };
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(kept.runs, 1);
    assert_int_equal(kept.first, AT);
    assert_int_equal(kept.bytes, 8192);
    assert_int_equal(kept.value, 'K');
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    fs_set_keeper(NULL, NULL);
}

static void
dismount__mounted_with_data__flushed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("down", "DOWN", "A0000021");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'D', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(fs_dismount(volume, STATUS_VOLUME_DISMOUNTED),
                     STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
}

static void
dismount__absent_with_data__the_keeper_has_them(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct kept kept = { 0 };
    struct volume *volume;

    put_in(d, FAT("gone", "GONE", "A0000022"));
    volume = mount(d);
    memset(buffer, 'G', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    pull_out(d);
    fs_set_keeper(keep, &kept);
    assert_int_equal(fs_dismount(volume, STATUS_VOLUME_DISMOUNTED),
                     STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(kept.bytes, 4096);
    assert_int_equal(kept.value, 'G');
}

static void
shutdown__absent_with_data__the_keeper_has_them(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct kept kept = { 0 };
    struct volume *volume;

    put_in(d, FAT("end", "END", "A0000023"));
    volume = mount(d);
    memset(buffer, 'Z', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    pull_out(d);
    fs_media_gone(d->fdo);
    fs_set_keeper(keep, &kept);
    fs_shutdown();
    fs_set_keeper(NULL, NULL);
    assert_int_equal(kept.bytes, 4096);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
}

/* The rest is written all the same. */
static void
replay__a_bad_block__the_keeper_has_all_and_the_volume_is_back(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("bad", "BAD", "A0000024");
    struct kept kept = { 0 };
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    /* So often that it is remembered. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    memset(buffer, 'b', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 4096),
                     STATUS_SUCCESS);
    pull_out(d);
    fault(d, "at 1 write do sense 3/0c/00");
    fs_set_keeper(keep, &kept);
    put_in(d, path);
    assert_int_equal(read_volume(volume, 2 * AT, seen, 4096), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_memory_equal(seen, buffer, 4096);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(kept.bytes, 8192);
    assert_int_equal(asked(), 0);
    /* What the drive refused is not there, and nobody else changed that. */
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    pull_out(d);
    assert_on_medium(path, 2 * AT, buffer, 4096);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(write__yanked_unflushed__on_the_medium_when_it_is_back,
             rig_cached_disk),
        TEST(write__back_in_another_drive__replayed_there, rig_cached_disks),
        TEST(write__another_medium_between__is_untouched, rig_cached_disk),
        TEST(write__flushed_then_yanked__nothing_is_replayed, rig_cached_disk),
        TEST(write__drive_is_reset__replayed, rig_cached_disk),
        TEST(replay__yanked_in_the_middle__done_at_the_next_return,
             rig_cached_disk),
        TEST(replay__write_protected__asks_and_waits_for_the_tab,
             rig_cached_disk),
        TEST(eject__with_unflushed_data__flushed_first, rig_cached_disk),
        TEST(write__no_room__acknowledged_after_a_flush, rig_cached_disk),
        TEST(write__no_log_allowed__written_through, rig_cached_disk),
        TEST(write__idle_for_a_while__flushed_and_unlocked, rig_cached_disk),
        TEST(write__unflushed__the_medium_is_locked_in, rig_cached_disk),
        TEST(model__random_writes_flushes_yanks__nothing_lost_nothing_misplaced,
             rig_cached_disk),
        TEST(model__yanks_among_many_requests__nothing_lost, rig_cached_disk),
        TEST(give_up__absent_with_data__the_keeper_has_them, rig_cached_disk),
        TEST(dismount__mounted_with_data__flushed, rig_cached_disk),
        TEST(dismount__absent_with_data__the_keeper_has_them, rig_cached_disk),
        TEST(shutdown__absent_with_data__the_keeper_has_them, rig_cached_disk),
        TEST(replay__a_bad_block__the_keeper_has_all_and_the_volume_is_back,
             rig_cached_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
