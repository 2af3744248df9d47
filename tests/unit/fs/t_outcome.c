/*
 * t_outcome.c - what each status means for a volume, and who tries again: the
 * table against what is documented, and those who read it at work
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "rig.h"

#include "prompt/prompt_internal.h"

#define AT (4ul << 20)

static UCHAR buffer[4096], seen[4096];

/* --- the table ------------------------------------------------------------------- */

/* IoIsErrorUserInduced's page: these wait for a person, or for a verification;
 * of all others but those of a drive that is gone the request completes. */
static void
fate__each_status__waits_if_a_person_can_help_and_fails_otherwise(void **state)
{
    static const NTSTATUS fail[] = {
        STATUS_DEVICE_DATA_ERROR,
        STATUS_CRC_ERROR,
        STATUS_DEVICE_HARDWARE_ERROR,
        STATUS_DEVICE_BUSY,
        STATUS_INVALID_PARAMETER,
        STATUS_INVALID_DEVICE_REQUEST,
        STATUS_NONEXISTENT_SECTOR,
        STATUS_INSUFFICIENT_RESOURCES,
        STATUS_ACCESS_DENIED,
        STATUS_CANCELLED,
        STATUS_RETRY,
    };
    static const struct {
        NTSTATUS status;
        enum fs_fate fate;
    } wait[] = {
        { STATUS_VERIFY_REQUIRED, FS_FATE_VERIFY },
        { STATUS_WRONG_VOLUME, FS_FATE_VERIFY },
        { STATUS_NO_MEDIA_IN_DEVICE, FS_FATE_AWAY },
        { STATUS_DEVICE_NOT_READY, FS_FATE_AWAY },
        { STATUS_UNRECOGNIZED_MEDIA, FS_FATE_AWAY },
        { STATUS_IO_TIMEOUT, FS_FATE_ASK },
        { STATUS_MEDIA_WRITE_PROTECTED, FS_FATE_ASK },
        { STATUS_DEVICE_NOT_CONNECTED, FS_FATE_GONE },
        { STATUS_DEVICE_DOES_NOT_EXIST, FS_FATE_GONE },
        { STATUS_NO_SUCH_DEVICE, FS_FATE_GONE },
        { STATUS_DELETE_PENDING, FS_FATE_GONE },
        { STATUS_IO_DEVICE_ERROR, FS_FATE_RECHECK },
    };

    (void) state;
    for (size_t i = 0; i < sizeof fail / sizeof fail[0]; i++) {
        assert_int_equal(fs_outcome(fail[i])->fate, FS_FATE_FAIL);
        assert_false(IoIsErrorUserInduced(fail[i]));
    }
    for (size_t i = 0; i < sizeof wait / sizeof wait[0]; i++) {
        enum fs_fate fate = wait[i].fate;

        assert_int_equal(fs_outcome(wait[i].status)->fate, fate);
        assert_int_equal(IoIsErrorUserInduced(wait[i].status),
                         fate != FS_FATE_GONE && fate != FS_FATE_RECHECK);
    }
}

/* An empty drive and a wrong medium end by a hand, which the drive reports; a
 * volume that is away for anything else is looked for; one that stays is tried. */
static void
again__each_reason__by_an_event_by_looking_or_by_sending(void **state)
{
    static const NTSTATUS looked[] = {
        STATUS_DEVICE_NOT_READY,      STATUS_UNRECOGNIZED_MEDIA,
        STATUS_DEVICE_NOT_CONNECTED,  STATUS_DEVICE_DOES_NOT_EXIST,
        STATUS_MEDIA_WRITE_PROTECTED, STATUS_IO_DEVICE_ERROR,
    };

    (void) state;
    assert_int_equal(fs_again(STATUS_NO_MEDIA_IN_DEVICE), FS_AGAIN_EVENT);
    assert_int_equal(fs_again(STATUS_WRONG_VOLUME), FS_AGAIN_EVENT);
    assert_int_equal(fs_again(STATUS_IO_TIMEOUT), FS_AGAIN_SEND);
    for (size_t i = 0; i < sizeof looked / sizeof looked[0]; i++)
        assert_int_equal(fs_again(looked[i]), FS_AGAIN_LOOK);
    /* The broker sends one of those who wait for exactly that. */
    assert_int_equal(prompt_text_for(STATUS_IO_TIMEOUT)->group, GROUP_TIMEOUT);
    assert_int_not_equal(prompt_text_for(STATUS_DEVICE_NOT_READY)->group,
                         GROUP_TIMEOUT);
}

/* The six can be asked about, and a gone drive as an empty one; of a volume that
 * is away nothing is asked that is of one in its drive. */
static void
asked__whatever_happened__something_that_a_person_is_asked(void **state)
{
    static const NTSTATUS all[] = {
        STATUS_SUCCESS,
        STATUS_VERIFY_REQUIRED,
        STATUS_WRONG_VOLUME,
        STATUS_NO_MEDIA_IN_DEVICE,
        STATUS_DEVICE_NOT_READY,
        STATUS_UNRECOGNIZED_MEDIA,
        STATUS_IO_TIMEOUT,
        STATUS_MEDIA_WRITE_PROTECTED,
        STATUS_IO_DEVICE_ERROR,
        STATUS_DEVICE_DATA_ERROR,
        STATUS_DEVICE_BUSY,
        STATUS_RETRY,
        STATUS_INSUFFICIENT_RESOURCES,
        STATUS_DEVICE_HARDWARE_ERROR,
        STATUS_INVALID_DEVICE_REQUEST,
    };

    (void) state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        NTSTATUS why = fs_absent_reason(all[i]);

        assert_true(IoIsErrorUserInduced(why));
        assert_int_not_equal(why, STATUS_VERIFY_REQUIRED);
        assert_int_not_equal(why, STATUS_IO_TIMEOUT);
    }
    assert_int_equal(fs_absent_reason(STATUS_DELETE_PENDING),
                     STATUS_DEVICE_DOES_NOT_EXIST);
    assert_int_equal(fs_absent_reason(STATUS_NO_SUCH_DEVICE),
                     STATUS_DEVICE_DOES_NOT_EXIST);
    assert_int_equal(fs_absent_reason(STATUS_DEVICE_NOT_CONNECTED),
                     STATUS_DEVICE_NOT_CONNECTED);
}

/* --- its readers ------------------------------------------------------------------- */

/* What the drive says to requests of this kind while the volume is so. */
static struct {
    struct volume *volume;
    enum vol_state in;
    UCHAR major;
    NTSTATUS status;
    BOOLEAN on; /* atomic */
    LONG came;  /* atomic */
} trouble;

static BOOLEAN
make_trouble(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
             NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    if (!__atomic_load_n(&trouble.on, __ATOMIC_ACQUIRE) ||
        at->MajorFunction != trouble.major ||
        fs_volume_state(trouble.volume) != trouble.in)
        return FALSE;
    InterlockedIncrement(&trouble.came);
    *out_status = trouble.status;
    *out_information = 0;
    return TRUE;
}

static void
set_trouble(struct drive_rig *d, UCHAR major, NTSTATUS status)
{
    trouble.in = VOL_REPLAYING;
    trouble.major = major;
    trouble.status = status;
    trouble.came = 0;
    __atomic_store_n(&trouble.on, TRUE, __ATOMIC_RELEASE);
    __atomic_store_n(&d->watch.before, make_trouble, __ATOMIC_RELEASE);
}

static void
no_trouble(struct drive_rig *d)
{
    __atomic_store_n(&trouble.on, FALSE, __ATOMIC_RELEASE);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
}

static struct kept kept;

/* With 4096 bytes that it lacks, which were lost with the drive's cache. */
static struct volume *
yanked_dirty(struct drive_rig *d, const char *path)
{
    limit(64u << 20, NEVER);
    put_in(d, path);
    trouble.volume = mount(d);
    memset(buffer, 'O', sizeof buffer);
    assert_int_equal(write_volume(trouble.volume, AT, buffer, sizeof buffer),
                     STATUS_SUCCESS);
    swap(d, path);
    assert_not_on_medium(path, AT, buffer, sizeof buffer);
    memset(&kept, 0, sizeof kept);
    fs_set_keeper(keep, &kept);
    return trouble.volume;
}

/* Nothing was decided; when the trouble is over, everything is there. */
static void
assert_tried_again(struct drive_rig *d, const char *path, NTSTATUS reason)
{
    struct volume *volume = trouble.volume;
    struct req req;

    req_start(&req, volume, IRP_MJ_READ, AT, seen, sizeof seen);
    assert_int_equal(the_prompt().status, (uint32_t) reason);
    assert_true(__atomic_load_n(&trouble.came, __ATOMIC_ACQUIRE) > 0);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    assert_int_equal(fs_again(info_of(volume).reason), FS_AGAIN_LOOK);
    assert_int_equal(info_of(volume).unflushed_bytes, sizeof buffer);
    assert_int_equal(kept.calls, 0);
    assert_not_on_medium(path, AT, buffer, sizeof buffer);
    no_trouble(d);
    /* As whoever looks does. */
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_SUCCESS);
    prompt_arrived(fs_volume_vpb(volume));
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, sizeof seen);
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    assert_int_equal(kept.calls, 0);
    fs_set_keeper(NULL, NULL);
    pull_out(d);
    assert_on_medium(path, AT, buffer, sizeof buffer);
}

/* That a drive aborts commands says nothing about what is on the medium. */
static void
compare__the_transport_fails__not_resumed_blindly(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("wire", "WIRE", "D0000001");

    yanked_dirty(d, path);
    set_trouble(d, IRP_MJ_READ, STATUS_IO_DEVICE_ERROR);
    assert_tried_again(d, path, STATUS_UNRECOGNIZED_MEDIA);
}

static void
compare__somebody_else_has_reserved_it__not_ready(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("mine", "MINE", "D0000002");

    yanked_dirty(d, path);
    set_trouble(d, IRP_MJ_READ, STATUS_DEVICE_BUSY);
    assert_tried_again(d, path, STATUS_DEVICE_NOT_READY);
}

/* A damaged block is no reason; but of a medium of which not one could be
 * compared nobody knows whether it was changed. */
static void
compare__not_one_block_can_be_read__not_resumed_blindly(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("worn", "WORN", "D0000003");

    yanked_dirty(d, path);
    set_trouble(d, IRP_MJ_READ, STATUS_DEVICE_DATA_ERROR);
    assert_tried_again(d, path, STATUS_UNRECOGNIZED_MEDIA);
}

/* A bad block goes to the keeper, for it stays bad; a reset does not. */
static void
replay__the_transport_fails__tried_again_and_nothing_kept(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("wire4", "WIRE", "D0000004");

    yanked_dirty(d, path);
    set_trouble(d, IRP_MJ_WRITE, STATUS_IO_DEVICE_ERROR);
    assert_tried_again(d, path, STATUS_UNRECOGNIZED_MEDIA);
}

struct opening {
    struct drive_rig *d;
    PFILE_OBJECT file;
    NTSTATUS status;
};

static void *
open_it(void *argument)
{
    struct opening *opening = argument;

    opening->status = open_volume(opening->d, &opening->file);
    return NULL;
}

/* The volume is away then, as for a read: one question, and it stands. */
static void
open__the_drive_cannot_make_sense_of_it__asked_once(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct opening opening = { .d = d };
    struct volume *volume;
    pthread_t thread;

    put_in(d, FAT("sense", "SENSE", "D0000005"));
    volume = mount(d);
    fault(d, "at * tur do sense 3/30/01");
    assert_int_equal(pthread_create(&thread, NULL, open_it, &opening), 0);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_UNRECOGNIZED_MEDIA);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    vscsi_fault_clear(d->drive);
    answer(RI_RETRY);
    pthread_join(thread, NULL);
    assert_int_equal(opening.status, STATUS_SUCCESS);
    assert_int_equal(asked(), 1);
    io_close_file(opening.file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            fate__each_status__waits_if_a_person_can_help_and_fails_otherwise),
        cmocka_unit_test(
            again__each_reason__by_an_event_by_looking_or_by_sending),
        cmocka_unit_test(
            asked__whatever_happened__something_that_a_person_is_asked),
        TEST(compare__the_transport_fails__not_resumed_blindly,
             rig_cached_disk),
        TEST(compare__somebody_else_has_reserved_it__not_ready,
             rig_cached_disk),
        TEST(compare__not_one_block_can_be_read__not_resumed_blindly,
             rig_cached_disk),
        TEST(replay__the_transport_fails__tried_again_and_nothing_kept,
             rig_cached_disk),
        TEST(open__the_drive_cannot_make_sense_of_it__asked_once, rig_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
