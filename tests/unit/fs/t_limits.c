/*
 * t_limits.c - what is unflushed is bounded: per volume, of all, in time; and
 * what a trim does to it
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "base/clock.h"

#define AT (4ul << 20)

static UCHAR buffer[65536], seen[65536];

static struct drive_rig *
begin(void **state, int drive)
{
    struct rig *rig = *state;

    limit(64u << 20, NEVER);
    return &rig->d[drive];
}

/* --- limits and times, by the manual clock --------------------------------------------- */

static void
idle_0__however_long__not_flushed_but_for_room(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct vscsi_state now;
    struct volume *volume;

    clock_manual(true);
    limit(64 * 4096, 0);
    put_in(d, FAT("never", "NEVER", "A0000044"));
    volume = mount(d);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY((vscsi_state(d->drive, &now), now.prevented)));
    watch_reset(&d->watch);
    for (int i = 0; i < 100; i++) {
        clock_advance_ms(60000);
        usleep(500);
    }
    assert_int_equal(watch_count(&d->watch, IRP_MJ_FLUSH_BUFFERS), 0);
    assert_int_equal(info_of(volume).unflushed_bytes, 4096);
    /* Half of the room is used: flushed in the background. */
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(write_volume(volume, AT + i * 4096ul, buffer, 4096),
                         STATUS_SUCCESS);
    assert_true(EVENTUALLY(watch_count(&d->watch, IRP_MJ_FLUSH_BUFFERS) != 0));
    /* A client's own flush lets the medium go, as soon as it is quiet. */
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_true(EVENTUALLY((clock_advance_ms(1001), usleep(1000),
                            vscsi_state(d->drive, &now), !now.prevented)));
    clock_manual(false);
}

static void
limit_of_all__reached_by_two_volumes__flushed_before_the_answer(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("all1", "ALL1", "A0000045");
    const char *path2 = FAT("all2", "ALL2", "A0000046");
    struct volume *volume, *other;

    fs_set_limits(&(struct fs_limits){ .unflushed_bytes = 1u << 20,
                                       .unflushed_total_bytes = 16 * 4096,
                                       .flush_idle_ms = NEVER });
    put_in(d, path);
    volume = mount(d);
    put_in(e, path2);
    other = mount(e);
    memset(buffer, 'a', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 12 * 4096),
                     STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 12 * 4096);
    /* No room for all of it: on the medium before it is acknowledged. */
    assert_int_equal(write_volume(other, AT, buffer, 12 * 4096),
                     STATUS_SUCCESS);
    assert_int_equal(info_of(other).unflushed_bytes, 0);
    assert_true(info_of(volume).unflushed_bytes +
                    info_of(other).unflushed_bytes <=
                16 * 4096);
    pull_out(e);
    assert_on_medium(path2, AT, buffer, 12 * 4096);
    /* What the first one has is still there, and room again after a flush. */
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 8 * 4096),
                     STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 8 * 4096);
}

/* What had no room is newer than the log: the log must not be taken for what is
 * on the medium when that is remembered. */
static void
no_room__over_what_is_in_the_log__still_the_same_medium(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("over", "OVER", "A000004A");
    struct volume *volume;

    limit(8 * 4096, NEVER);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, '1', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 2 * 4096),
                     STATUS_SUCCESS);
    memset(buffer, '2', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 16 * 4096),
                     STATUS_SUCCESS);
    swap(d, path);
    assert_int_equal(read_volume(volume, AT, seen, 16 * 4096), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 16 * 4096);
    assert_int_equal(asked(), 0);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
}

static void
no_room__the_flush_fails__so_does_the_write(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    limit(4 * 4096, NEVER);
    put_in(d, FAT("flush", "FLUSH", "A0000047"));
    volume = mount(d);
    memset(buffer, 'x', sizeof buffer);
    /* More often than anybody tries again. */
    for (int i = 1; i <= 40; i++) {
        char rule[64];

        snprintf(rule, sizeof rule, "at %d flush do sense 4/44/00", i);
        fault(d, rule);
    }
    assert_true(NT_ERROR(write_volume(volume, AT, buffer, 8 * 4096)));
    assert_int_equal(asked(), 0);
}

static struct volume *beside;
static struct drive_rig *beside_drive;
static const char *beside_path;
static struct req beside_req;
static UCHAR other_data[8 * 4096];

/* The first flush: another write has come, and the medium goes and comes. */
static BOOLEAN
yank_before_the_flush(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
                      NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (at->MajorFunction != IRP_MJ_FLUSH_BUFFERS ||
        InterlockedIncrement(&watch->number) != 1)
        return FALSE;
    req_start(&beside_req, beside, IRP_MJ_WRITE, 2 * AT, other_data,
              sizeof other_data);
    assert_true(EVENTUALLY(info_of(beside).running == 0));
    swap(beside_drive, beside_path);
    return FALSE;
}

/* P2: what is in no log is not covered by a flush of the medium that came back
 * without it. */
static void
no_room__gone_before_the_flush__sent_again(void **state)
{
    struct drive_rig *d = begin(state, 0);

    limit(4 * 4096, NEVER);
    beside_drive = d;
    beside_path = FAT("beside", "BESIDE", "A000004B");
    put_in(d, beside_path);
    beside = mount(d);
    memset(buffer, 'x', sizeof buffer);
    memset(other_data, 'y', sizeof other_data);
    d->watch.number = 0;
    __atomic_store_n(&d->watch.before, yank_before_the_flush, __ATOMIC_RELEASE);
    assert_int_equal(write_volume(beside, AT, buffer, 8 * 4096),
                     STATUS_SUCCESS);
    assert_int_equal(req_end(&beside_req), STATUS_SUCCESS);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    pull_out(d);
    assert_on_medium(beside_path, AT, buffer, 8 * 4096);
    assert_on_medium(beside_path, 2 * AT, other_data, sizeof other_data);
    assert_int_equal(asked(), 0);
}

/* Removal is prevented where the medium is, not where it was. */
static void
dirty__in_another_drive__kept_in_that_one(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("moved", "MOVED", "A000004C");
    struct vscsi_state now;
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'm', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY((vscsi_state(d->drive, &now), now.prevented)));
    pull_out(d);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(info_of(volume).replays, 1);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY((vscsi_state(e->drive, &now), now.prevented)));
    assert_true(EVENTUALLY((vscsi_state(d->drive, &now), !now.prevented)));
}

static LONG deaf; /* atomic: no lock or unlock gets through */

static BOOLEAN
locks_are_lost(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
               NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) irp;
    if (!__atomic_load_n(&deaf, __ATOMIC_ACQUIRE) ||
        at->MajorFunction != IRP_MJ_DEVICE_CONTROL ||
        at->Parameters.DeviceIoControl.IoControlCode !=
            IOCTL_STORAGE_MEDIA_REMOVAL)
        return FALSE;
    InterlockedIncrement(&watch->number);
    *out_status = STATUS_DEVICE_NOT_CONNECTED;
    *out_information = 0;
    return TRUE;
}

static bool
is_locked(struct drive_rig *d)
{
    struct vscsi_state now;

    vscsi_state(d->drive, &now);
    return now.prevented;
}

/* Dirty, and no unlock of its drive gets through from now on. */
static struct volume *
begin_to_lose(struct drive_rig *d, const char *path)
{
    struct volume *volume;

    clock_manual(true);
    limit(64u << 20, 500);
    put_in(d, path);
    volume = mount(d);
    d->watch.number = 0;
    memset(buffer, 'u', sizeof buffer);
    return volume;
}

/* The class driver counts locks: one too many would hold the medium for ever. */
static void
assert_let_go_in_the_end(struct drive_rig *d, struct volume *volume,
                         const char *path)
{
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    assert_true(
        EVENTUALLY((clock_advance_ms(1001), usleep(1000),
                    __atomic_load_n(&d->watch.number, __ATOMIC_ACQUIRE) != 0)));
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, FALSE);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    __atomic_store_n(&deaf, 0, __ATOMIC_RELEASE);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY(is_locked(d)));
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_true(
        EVENTUALLY((clock_advance_ms(501), usleep(1000), !is_locked(d))));
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    clock_manual(false);
}

static void
unlock_is_lost__medium_back__let_go_all_the_same(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("unlock", "UNLOCK", "A000004D");
    struct volume *volume = begin_to_lose(d, path);

    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_true(EVENTUALLY(is_locked(d)));
    rest();
    deaf = 1;
    __atomic_store_n(&d->watch.before, locks_are_lost, __ATOMIC_RELEASE);
    pull_out(d);
    assert_true(fs_media_gone(d->fdo));
    assert_let_go_in_the_end(d, volume, path);
}

static struct volume *just_locked;

/* The drive is locked, and who locked it does not know yet. */
static void
pull_out_as_it_is_locked(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    (void) irp;
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL ||
        at->Parameters.DeviceIoControl.IoControlCode !=
            IOCTL_STORAGE_MEDIA_REMOVAL)
        return;
    __atomic_store_n(&watch->after, NULL, __ATOMIC_RELEASE);
    deaf = 1;
    __atomic_store_n(&watch->before, locks_are_lost, __ATOMIC_RELEASE);
    pull_out(CONTAINING_RECORD(watch, struct drive_rig, watch));
    fs_volume_change(just_locked, fs_volume_generation(just_locked), VOL_ABSENT,
                     STATUS_NO_MEDIA_IN_DEVICE);
}

static void
pulled_as_it_is_locked__unlock_is_lost__let_go_all_the_same(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("locked", "LOCKED", "A000004E");

    just_locked = begin_to_lose(d, path);
    __atomic_store_n(&d->watch.after, pull_out_as_it_is_locked,
                     __ATOMIC_RELEASE);
    assert_int_equal(write_volume(just_locked, AT, buffer, 4096),
                     STATUS_SUCCESS);
    assert_true(EVENTUALLY(fs_volume_state(just_locked) == VOL_ABSENT));
    assert_let_go_in_the_end(d, just_locked, path);
}

static NTSTATUS
trim_with(struct volume *volume, ULONG64 offset, ULONG length, UCHAR flags)
{
    struct dsm {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES head;
        DEVICE_DATA_SET_RANGE range;
    } in = { { .Size = sizeof in.head,
               .Action = DeviceDsmAction_Trim,
               .DataSetRangesOffset = offsetof(struct dsm, range),
               .DataSetRangesLength = sizeof in.range },
             { (LONGLONG) offset, length } };
    struct req req;

    req_flags = flags;
    req_control(&req, volume, NULL, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
                &in, sizeof in, 0);
    req_flags = 0;
    return req_end(&req);
}

static NTSTATUS
trim(struct volume *volume, ULONG64 offset, ULONG length)
{
    return trim_with(volume, offset, length, 0);
}

static NTSTATUS
zero(struct volume *volume, ULONG64 offset, ULONG length)
{
    return trim_with(volume, offset, length, FS_SL_MUST_ZERO);
}

/* Trimmed is gone: what was written there before must not come back over what
 * is there then, and what is written after it must. */
static void
trim__then_yanked__old_data_are_not_replayed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("trim", "TRIM", "A0000048");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'o', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4 * 4096),
                     STATUS_SUCCESS);
    assert_int_equal(trim(volume, AT, 2 * 4096), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 2 * 4096);
    memset(buffer, 'n', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    watch_reset(&d->watch);
    swap(d, path);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
    assert_int_equal(info_of(volume).replays, 1);
    /* Two runs: the new block, and the half that was not trimmed. */
    assert_int_equal(watch_count(&d->watch, IRP_MJ_WRITE), 2);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
    memset(buffer, 'o', sizeof buffer);
    assert_on_medium(path, AT + 2 * 4096, buffer, 2 * 4096);
}

/* Zeroes by trim are data: in the log as zeroes. */
static void
zero__then_yanked__zeroes_again(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("zero", "ZERO", "A0000049");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'z', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4 * 4096),
                     STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    memset(buffer, 0, sizeof buffer);
    assert_int_equal(zero(volume, AT, 2 * 4096), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 2 * 4096);
    swap(d, path);
    assert_int_equal(read_volume(volume, AT, seen, 2 * 4096), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 2 * 4096);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 2 * 4096);
    memset(buffer, 'z', sizeof buffer);
    assert_on_medium(path, AT + 2 * 4096, buffer, 2 * 4096);
}

/* A drive that did it before refuses it once, for whatever reason. */
static void
flush__refused_once__nothing_counts_as_flushed_and_the_next_one_does(
    void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("refused", "REFUSED", "A1000091");
    struct volume *volume;

    limit(64u << 20, NEVER);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'r', sizeof buffer);
    assert_int_equal(write_volume(volume, 4 << 20, buffer, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    fault(d, "at 1 flush do sense 5/20/00");
    memset(buffer, 's', sizeof buffer);
    assert_int_equal(write_volume(volume, 4 << 20, buffer, 4096),
                     STATUS_SUCCESS);
    assert_true(NT_ERROR(flush_volume(volume)));
    assert_int_equal(info_of(volume).unflushed_bytes, 4096);
    assert_not_on_medium(path, 4 << 20, buffer, 4096);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    assert_on_medium(path, 4 << 20, buffer, 4096);
}

/* A log on disk that was not told of a flush holds more than memory had: what it
 * says in 64 bytes may be of any length. */
static void
known_from_its_log__more_zeroes_than_the_limit__all_are_taken(void **state)
{
    struct rig *rig = *state;
    struct fs_known known = { .key = "known" };
    struct fs_log_head head = { .identity = &known,
                                .identity_bytes = sizeof known };
    struct volume *volume, *again = NULL;
    ULONG64 bytes;

    limit(1u << 20, NEVER);
    put_in(&rig->d[0], FAT("zeroes", "ZEROES", "A1000090"));
    volume = mount(&rig->d[0]);
    known.id = volume->id;
    assert_int_equal(fs_known_begin(rig->d[0].fdo, &head, 12 * 64, &again),
                     STATUS_SUCCESS);
    for (ULONG64 at = 0; at < 12; at++)
        assert_int_equal(
            fs_known_record(again,
                            &(struct fs_record){ .kind = FS_RECORD_ZEROES,
                                                 .offset = at << 20,
                                                 .length = 1u << 20 }),
            STATUS_SUCCESS);
    bytes = log_bytes(&again->log);
    fs_known_end(again, NULL, FALSE);
    assert_int_equal(bytes, 12u << 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(
            flush__refused_once__nothing_counts_as_flushed_and_the_next_one_does,
            rig_cached_disk),
        TEST(known_from_its_log__more_zeroes_than_the_limit__all_are_taken,
             rig_cached_disk),
        TEST(idle_0__however_long__not_flushed_but_for_room, rig_cached_disk),
        TEST(limit_of_all__reached_by_two_volumes__flushed_before_the_answer,
             rig_cached_disks),
        TEST(no_room__over_what_is_in_the_log__still_the_same_medium,
             rig_cached_disk),
        TEST(no_room__the_flush_fails__so_does_the_write, rig_cached_disk),
        TEST(no_room__gone_before_the_flush__sent_again, rig_cached_disk),
        TEST(dirty__in_another_drive__kept_in_that_one, rig_cached_disks),
        TEST(unlock_is_lost__medium_back__let_go_all_the_same, rig_cached_disk),
        TEST(pulled_as_it_is_locked__unlock_is_lost__let_go_all_the_same,
             rig_cached_disk),
        TEST(trim__then_yanked__old_data_are_not_replayed, rig_cached_disk),
        TEST(zero__then_yanked__zeroes_again, rig_cached_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
