/*
 * t_gone.c - not the medium, the drive goes: its volume is absent, and may come
 * back in any drive
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

/* As the service does, which keeps each drive open for its notifications: so
 * the device objects stay until the end. */
static PFILE_OBJECT kept_open;

static int
one(void **state)
{
    struct rig *rig;

    if (rig_cached_disks(state) != 0)
        return 1;
    rig = *state;
    return io_open_device(rig->d[0].fdo, FILE_READ_ATTRIBUTES, &kept_open);
}

static int
over(void **state)
{
    fs_shutdown();
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    ke_shutdown();
    fs_dismount_all();
    io_close_file(kept_open);
    return rig_free(state);
}

static void
assert_asks_for_the_drive(struct volume *volume)
{
    struct ri_prompt_info prompt = the_prompt();

    assert_int_equal(prompt.status, (uint32_t) STATUS_DEVICE_DOES_NOT_EXIST);
    assert_non_null(strstr(prompt.text, "is gone"));
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
}

static void
drive_removed__requests_wait__back_in_another_drive(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("gone1", "GONE1", "E0000001");
    struct volume *volume;
    struct req read, write;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'g', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(io_surprise_remove_device(d->pdo), STATUS_SUCCESS);
    pull_out(d);
    req_start(&read, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_asks_for_the_drive(volume);
    req_start(&write, volume, IRP_MJ_WRITE, AT + 8192, buffer, 4096);
    assert_true(EVENTUALLY(the_prompt().waiting == 2));
    assert_int_equal(asked(), 1);
    /* A person who says that it is there again is told the truth. */
    answer(RI_RETRY);
    assert_asks_for_the_drive(volume);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(req_end(&read), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
    assert_int_equal(req_end(&write), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_int_equal(prompts(NULL), 0);
    pull_out(e);
    assert_on_medium(path, AT, buffer, 4096);
    assert_on_medium(path, AT + 8192, buffer, 4096);
}

static void
drive_removed__told__absent_before_anybody_asks(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct fs_volume_info info;
    struct volume *volume;

    put_in(d, FAT("gone5", "GONE5", "E0000005"));
    volume = mount(d);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    io_surprise_remove_device(d->pdo);
    fs_drive_gone(d->fdo);
    fs_volume_info(volume, &info);
    assert_int_equal(info.state, VOL_ABSENT);
    assert_int_equal(info.reason, STATUS_DEVICE_DOES_NOT_EXIST);
    assert_int_equal(info.unflushed_bytes, 4096);
    assert_int_equal(asked(), 0);
}

static void
drive_removed__cancelled__the_keeper_has_the_data(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct kept kept = { 0 };
    struct volume *volume;
    struct req req;

    put_in(d, FAT("gone2", "GONE2", "E0000002"));
    volume = mount(d);
    memset(buffer, 'g', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    io_surprise_remove_device(d->pdo);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_asks_for_the_drive(volume);
    answer(RI_CANCEL);
    assert_true(NT_ERROR(req_end(&req)));
    fs_set_keeper(keep, &kept);
    fs_give_up(volume, STATUS_DEVICE_DOES_NOT_EXIST);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(kept.bytes, 4096);
    assert_int_equal(fs_volume_state(volume), VOL_CANCELLED);
}

static LONG inside, released; /* atomic */

/* A filter above a drive, that has a request while all of it is taken away. */
static BOOLEAN
hold_read(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
          NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (at->MajorFunction != IRP_MJ_READ ||
        (at->Flags & SL_OVERRIDE_VERIFY_VOLUME) != 0)
        return FALSE;
    InterlockedExchange(&inside, 1);
    while (__atomic_load_n(&released, __ATOMIC_ACQUIRE) == 0)
        usleep(100);
    return FALSE;
}

static struct req passing;
static struct volume *passed_through;

static VOID NTAPI
read_passing(PVOID parameter)
{
    (void) parameter;
    req_start(&passing, passed_through, IRP_MJ_READ, AT, seen, 4096);
}

/* Nobody else holds these device objects (no file is open). */
static void
drive_removed__a_request_is_on_its_way_to_it__its_objects_stay_until_it_is_back(
    void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("gone7", "GONE7", "E0000007");
    struct volume *volume;
    WORK_QUEUE_ITEM work;

    put_in(d, path);
    passed_through = volume = mount(d);
    inside = released = 0;
    __atomic_store_n(&d->watch.before, hold_read, __ATOMIC_RELEASE);
    ExInitializeWorkItem(&work, read_passing, NULL);
    ExQueueWorkItem(&work, DelayedWorkQueue);
    assert_true(EVENTUALLY(__atomic_load_n(&inside, __ATOMIC_ACQUIRE) == 1));
    pull_out(d);
    assert_int_equal(io_surprise_remove_device(d->pdo), STATUS_SUCCESS);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(volume->formers, 1);
    assert_ptr_equal(volume->former[0].real, d->fdo);
    InterlockedExchange(&released, 1);
    assert_true(EVENTUALLY(passing.irp != NULL && req_is_done(&passing)));
    assert_int_equal(req_end(&passing), STATUS_SUCCESS);
    assert_true(EVENTUALLY(volume->running == 0));
    /* The next time that it is looked at, they go. */
    swap(e, path);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    assert_int_equal(volume->formers, 0);
}

/* Requests, flushes and opens all the while, from two threads, as the medium
 * goes from one drive to the other and the first one is taken away. */
static LONG over_now; /* atomic */

static VOID NTAPI
keep_busy(PVOID parameter)
{
    struct volume *volume = passed_through;
    static UCHAR data[2][4096];
    UCHAR *mine = data[(ULONG_PTR) parameter];

    while (__atomic_load_n(&over_now, __ATOMIC_ACQUIRE) == 0) {
        (void) write_volume(volume, AT + (ULONG_PTR) parameter * 4096, mine,
                            4096);
        (void) fs_flush_log(volume);
        (void) fs_check_volume(volume, TRUE, FALSE);
    }
    InterlockedDecrement(&inside);
}

static void
drives_change__two_threads_send_all_the_while__nothing_stale_is_touched(
    void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("gone8", "GONE8", "E0000008");
    struct volume *volume;
    WORK_QUEUE_ITEM work[2];

    put_in(d, path);
    passed_through = volume = mount(d);
    over_now = 0;
    inside = 2;
    for (ULONG_PTR i = 0; i < 2; i++) {
        ExInitializeWorkItem(&work[i], keep_busy, (PVOID) i);
        ExQueueWorkItem(&work[i], CriticalWorkQueue);
    }
    for (int i = 0; i < 30; i++) {
        struct drive_rig *from = i % 2 == 0 ? d : e, *to = i % 2 == 0 ? e : d;

        pull_out(from);
        put_in(to, path);
        assert_ptr_equal(mount(to), volume);
    }
    pull_out(d);
    assert_int_equal(io_surprise_remove_device(d->pdo), STATUS_SUCCESS);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    InterlockedExchange(&over_now, 1);
    assert_true(EVENTUALLY(__atomic_load_n(&inside, __ATOMIC_ACQUIRE) == 0));
    assert_true(volume->formers <= 2);
}

/* The end of the system, with one waiting: nothing is left behind. */
static struct req left;

static void
drive_removed__request_waits_at_the_end__ends_with_it(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, FAT("gone3", "GONE3", "E0000003"));
    volume = mount(d);
    io_surprise_remove_device(d->pdo);
    req_start(&left, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_asks_for_the_drive(volume);
    fs_shutdown();
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    assert_int_equal(req_end(&left), STATUS_SYSTEM_SHUTDOWN);
}

/* The adapter says so, and the device objects are still there. */
static LONG answers; /* atomic: how many more say that there is no drive */
static NTSTATUS no_drive;

static BOOLEAN
say_no_drive(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
             NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    (void) at;
    *out_status = no_drive;
    *out_information = 0;
    return __atomic_load_n(&answers, __ATOMIC_ACQUIRE) != 0;
}

static void
adapter_says_gone__each_status__asked__and_on_when_it_is_back(void **state)
{
    static const NTSTATUS each[] = { STATUS_DEVICE_DOES_NOT_EXIST,
                                     STATUS_NO_SUCH_DEVICE,
                                     STATUS_DELETE_PENDING };
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;
    struct req req;

    put_in(d, FAT("gone4", "GONE4", "E0000004"));
    volume = mount(d);
    d->watch.before = say_no_drive;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        no_drive = each[i];
        __atomic_store_n(&answers, 1, __ATOMIC_RELEASE);
        req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
        assert_asks_for_the_drive(volume);
        assert_false(req_is_done(&req));
        __atomic_store_n(&answers, 0, __ATOMIC_RELEASE);
        answer(RI_RETRY);
        assert_int_equal(req_end(&req), STATUS_SUCCESS);
        assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    }
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
}

/* Nobody took the drive away: it does not answer, and will again. */
static void
adapter_says_away__absent_in_words_of_its_own__on_when_it_answers(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct fs_volume_info info;
    struct ri_prompt_info prompt;
    struct volume *volume;
    struct req req;

    put_in(d, FAT("gone6", "GONE6", "E0000006"));
    volume = mount(d);
    no_drive = STATUS_DEVICE_NOT_CONNECTED;
    __atomic_store_n(&answers, 1, __ATOMIC_RELEASE);
    d->watch.before = say_no_drive;
    fs_media_gone(d->fdo);
    fs_volume_info(volume, &info);
    assert_int_equal(info.state, VOL_ABSENT);
    assert_int_equal(info.reason, STATUS_DEVICE_NOT_CONNECTED);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    prompt = the_prompt();
    assert_int_equal(prompt.status, (uint32_t) STATUS_DEVICE_NOT_CONNECTED);
    assert_non_null(strstr(prompt.text, "is away"));
    __atomic_store_n(&answers, 0, __ATOMIC_RELEASE);
    fs_media_gone(d->fdo); /* it answers, and has a medium: nothing happens */
    fs_volume_info(volume, &info);
    assert_int_equal(info.reason, STATUS_DEVICE_NOT_CONNECTED);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
}

static NTSTATUS unknown;

static BOOLEAN
fail_to_ask(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
            NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    *out_information = 0;
    *out_status = unknown;
    return at->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
           unknown != STATUS_SUCCESS;
}

/* Who tells of a removal has to tell again. */
static void
medium_left__drive_cannot_be_asked__said_and_absent_the_next_time(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, FAT("gone7", "GONE7", "E0000007"));
    volume = mount(d);
    pull_out(d);
    unknown = STATUS_INSUFFICIENT_RESOURCES;
    d->watch.before = fail_to_ask;
    assert_false(fs_media_gone(d->fdo));
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    unknown = STATUS_SUCCESS;
    assert_true(fs_media_gone(d->fdo));
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
}

static LONG asks; /* atomic: so many were answered */

/* Somebody puts one in, as soon as the drive has said that it is empty. */
static BOOLEAN
be_empty_once(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
              NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    *out_information = 0;
    *out_status = STATUS_NO_MEDIA_IN_DEVICE;
    return at->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
           InterlockedIncrement(&asks) == 1;
}

/* Whoever saw it come may have looked before the drive told of it: the one who
 * was told by this is to look again. */
static void
medium_left__another_is_in_at_once__to_be_looked_at_again(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, FAT("gone8", "GONE8", "E0000008"));
    volume = mount(d);
    asks = 0;
    __atomic_store_n(&d->watch.before, be_empty_once, __ATOMIC_RELEASE);
    assert_false(fs_media_gone(d->fdo));
    assert_int_equal(asks, 2);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_false(fs_media_gone(d->fdo));
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
}

/* Its drive was empty in between, and has a stranger again: whoever needs the
 * volume, then or later, is not told that the drive is empty. */
static void
P3__same_wrong_medium_again__is_said_to_be_in_the_drive(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *right = FAT("gone9", "GONE9", "E0000009");
    const char *wrong = FAT("gone10", "GONE10", "E0000010");
    struct volume *volume;
    struct req req;

    put_in(d, right);
    volume = mount(d);
    swap(d, wrong);
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(fs_volume_on(d->fdo), volume);
    pull_out(d);
    assert_true(fs_media_gone(d->fdo));
    assert_int_equal(info_of(volume).reason, STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, wrong);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_SUCCESS);
    assert_int_equal(info_of(volume).reason, STATUS_WRONG_VOLUME);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    /* Nor while it is asked. */
    pull_out(d);
    assert_true(fs_media_gone(d->fdo));
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, wrong);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_SUCCESS);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_non_null(strstr(the_prompt().text, "another medium is in"));
    assert_int_equal(asked(), 1);
    swap(d, right);
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
}

#define GONE(test) cmocka_unit_test_setup_teardown(test, one, over)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        GONE(drive_removed__requests_wait__back_in_another_drive),
        GONE(drive_removed__told__absent_before_anybody_asks),
        GONE(drive_removed__cancelled__the_keeper_has_the_data),
        GONE(drive_removed__request_waits_at_the_end__ends_with_it),
        TEST(
            drive_removed__a_request_is_on_its_way_to_it__its_objects_stay_until_it_is_back,
            rig_cached_disks),
        TEST(
            drives_change__two_threads_send_all_the_while__nothing_stale_is_touched,
            rig_cached_disks),
        GONE(adapter_says_gone__each_status__asked__and_on_when_it_is_back),
        GONE(adapter_says_away__absent_in_words_of_its_own__on_when_it_answers),
        GONE(medium_left__drive_cannot_be_asked__said_and_absent_the_next_time),
        GONE(medium_left__another_is_in_at_once__to_be_looked_at_again),
        GONE(P3__same_wrong_medium_again__is_said_to_be_in_the_drive),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
