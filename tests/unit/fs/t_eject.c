/*
 * t_eject.c - a medium is let out; when it is not, whoever asked hears why: the
 * first cause, and at what
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "rig.h"

#define AT (8ul << 20)

static char buffer[4096];

static BOOLEAN
is_open(struct drive_rig *d)
{
    struct vscsi_state now;

    vscsi_state(d->drive, &now);
    return !now.medium || now.tray_open;
}

/* With something that is not yet on it. */
static struct volume *
dirty(struct drive_rig *d, const char *path)
{
    struct volume *volume;

    limit(64u << 20, NEVER);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'B', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, sizeof buffer),
                     STATUS_SUCCESS);
    return volume;
}

static void
eject__hand_swaps_meanwhile__not_ejected__the_other_untouched(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("hand1", "MINE", "90000001");
    const char *other = FAT("hand2", "OTHER", "90000002");
    struct vscsi_state now;
    struct volume *volume;
    enum fs_eject_step step;
    char rule[256], seen[512];
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'M', 512);
    assert_int_equal(write_volume(volume, 8 << 20, buffer, 512),
                     STATUS_SUCCESS);
    snprintf(rule, sizeof rule, "at 1 flush do swap %s", other);
    fault(d, rule);
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_WRONG_VOLUME);
    assert_int_equal(step, FS_EJECT_VERIFY);
    vscsi_state(d->drive, &now);
    assert_true(now.medium);
    assert_string_equal(now.image, other);
    req_start(&req, volume, IRP_MJ_READ, 8 << 20, seen, sizeof seen);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    swap(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal(seen[0], 'M');
    /* What was acknowledged is on the medium that was taken. */
    pull_out(d);
    image_peek(path, 8 << 20, seen, sizeof seen);
    assert_memory_equal(seen, buffer, sizeof seen);
}

static void
eject__nothing_happens_meanwhile__opens(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct vscsi_state now;
    struct volume *volume;

    put_in(d, FAT("hand3", "MINE", "90000003"));
    volume = mount(d);
    assert_int_equal(fs_eject(d->fdo, NULL), STATUS_SUCCESS);
    vscsi_state(d->drive, &now);
    assert_false(now.medium && !now.tray_open);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
}

/* The request is a UNIT ATTENTION, and every one of those may be a change. */
static void
eject__the_drive_has_told_of_its_button__flushes_and_opens(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("button", "MINE", "90000004");
    struct vscsi_state now;
    struct volume *volume;

    limit(64u << 20, NEVER);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'B', 512);
    assert_int_equal(write_volume(volume, 8 << 20, buffer, 512),
                     STATUS_SUCCESS);
    assert_true(EVENTUALLY((vscsi_state(d->drive, &now), now.prevented)));
    assert_int_equal(vscsi_press_eject(d->drive), 0);
    vscsi_state(d->drive, &now);
    assert_true(now.medium && !now.tray_open);
    assert_int_equal(fs_eject(d->fdo, NULL), STATUS_SUCCESS);
    vscsi_state(d->drive, &now);
    assert_false(now.medium && !now.tray_open);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    assert_on_medium(path, 8 << 20, buffer, 512);
}

/* 3/0C/00: a medium that takes no more, STATUS_DEVICE_DATA_ERROR. */
static void
eject__the_flush_fails__its_error_and_all_is_kept(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("full", "MINE", "90000005");
    struct volume *volume = dirty(d, path);
    enum fs_eject_step step;

    fault(d, "at 1 flush do sense 3/0c/00");
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(step, FS_EJECT_FLUSH);
    assert_false(is_open(d));
    assert_true(fs_volume_mounted(volume));
    assert_int_equal(info_of(volume).unflushed_bytes, sizeof buffer);
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_SUCCESS);
    assert_true(is_open(d));
    assert_on_medium(path, AT, buffer, sizeof buffer);
}

/* The drive tells of its button, so the volume is verified and replayed first;
 * what failed then is why, not that something had changed. */
static void
eject__the_replay_fails__its_error_and_all_is_kept(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("full2", "MINE", "90000006");
    struct volume *volume = dirty(d, path);
    enum fs_eject_step step;

    assert_true(EVENTUALLY(({
        struct vscsi_state now;

        vscsi_state(d->drive, &now);
        now.prevented;
    })));
    fault(d, "at 1+ flush do sense 3/0c/00");
    assert_int_equal(vscsi_press_eject(d->drive), 0);
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_DEVICE_DATA_ERROR);
    assert_true(step == FS_EJECT_VERIFY || step == FS_EJECT_FLUSH);
    assert_false(is_open(d));
    assert_int_equal(info_of(volume).unflushed_bytes, sizeof buffer);
}

/* Between the machines somebody wrote to it. */
static void
eject__changed_elsewhere_meanwhile__says_so_and_stays_closed(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("mine7", "MINE", "90000007"), *copy;
    struct volume *volume = dirty(d, path);
    enum fs_eject_step step;
    char rule[256];

    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    copy = image_copy("theirs7", path);
    image_poke(copy, AT, "THEIRS", 6);
    snprintf(rule, sizeof rule, "at 1 flush do swap %s", copy);
    fault(d, rule);
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_FILE_INVALID);
    assert_int_equal(step, FS_EJECT_VERIFY);
    assert_false(is_open(d));
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    /* Whoever asks again knows. */
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_SUCCESS);
    assert_true(is_open(d));
}

static void
eject__the_drive_does_not_open__what_it_said(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume = dirty(d, FAT("stuck", "MINE", "90000008"));
    enum fs_eject_step step;

    /* 5/24/00, START STOP UNIT: STATUS_INVALID_DEVICE_REQUEST. */
    fault(d, "at 1 0x1b do sense 5/24/00");
    assert_int_equal(fs_eject(d->fdo, &step), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(step, FS_EJECT_OPEN);
    assert_true(fs_volume_mounted(volume));
}

/* --- while another thread verifies ------------------------------------------------ */

static struct {
    LONG stopped, go; /* atomic */
} gate;

/* Each read of the verification waits, and then nobody answers it. */
static BOOLEAN
no_answer(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
          NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    if (at->MajorFunction != IRP_MJ_READ ||
        (at->Flags & SL_OVERRIDE_VERIFY_VOLUME) == 0)
        return FALSE;
    InterlockedExchange(&gate.stopped, 1);
    while (!__atomic_load_n(&gate.go, __ATOMIC_ACQUIRE))
        usleep(100);
    *out_status = STATUS_IO_TIMEOUT;
    *out_information = 0;
    return TRUE;
}

struct asking {
    PDEVICE_OBJECT drive;
    NTSTATUS status;
    enum fs_eject_step step;
};

static void *
ask(void *argument)
{
    struct asking *asking = argument;

    asking->status = fs_eject(asking->drive, &asking->step);
    return NULL;
}

static void
eject__a_verification_gets_no_answer__that_is_why(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("mute", "MINE", "90000009");
    struct volume *volume = dirty(d, path);
    struct asking asking = { .drive = d->fdo };
    pthread_t thread;
    struct req req;

    swap(d, path);
    gate.stopped = gate.go = 0;
    __atomic_store_n(&d->watch.before, no_answer, __ATOMIC_RELEASE);
    req_start(&req, volume, IRP_MJ_READ, AT, buffer, sizeof buffer);
    assert_true(EVENTUALLY(__atomic_load_n(&gate.stopped, __ATOMIC_ACQUIRE)));
    assert_int_equal(fs_volume_state(volume), VOL_VERIFYING);
    KeSetEvent(&volume->idle, 0, FALSE);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    /* It has begun to wait. */
    assert_true(EVENTUALLY(KeReadStateEvent(&volume->idle) == 0));
    InterlockedExchange(&gate.go, 1);
    the_prompt();
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_int_equal(asking.status, STATUS_IO_TIMEOUT);
    assert_int_equal(asking.step, FS_EJECT_WAIT);
    assert_false(is_open(d));
    answer(RI_CANCEL);
    req_end(&req);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(eject__hand_swaps_meanwhile__not_ejected__the_other_untouched,
             rig_cached_disk),
        TEST(eject__nothing_happens_meanwhile__opens, rig_cached_disk),
        TEST(eject__the_drive_has_told_of_its_button__flushes_and_opens,
             rig_cached_disk),
        TEST(eject__the_flush_fails__its_error_and_all_is_kept,
             rig_cached_disk),
        TEST(eject__the_replay_fails__its_error_and_all_is_kept,
             rig_cached_disk),
        TEST(eject__changed_elsewhere_meanwhile__says_so_and_stays_closed,
             rig_cached_disk),
        TEST(eject__the_drive_does_not_open__what_it_said, rig_cached_disk),
        TEST(eject__a_verification_gets_no_answer__that_is_why,
             rig_cached_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
