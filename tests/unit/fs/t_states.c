/*
 * t_states.c - the states of a volume: which arrows there are, and each of them
 * taken by what really happens to a volume
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"

#define AT (4ul << 20)

static UCHAR buffer[65536], seen[65536];

/* --- the table ------------------------------------------------------------------- */

/* Written from what a volume is, not from the table under test. */
static const struct {
    enum vol_state from;
    const char *word, *may;
} rows[] = {
    { VOL_UNMOUNTED, "unmounted", "mounted,absent,replaying" },
    { VOL_MOUNTED, "mounted",
      "mounted,verifying,ejecting,absent,replaying,dismounted" },
    { VOL_VERIFYING, "verifying", "mounted,absent,replaying,dismounted" },
    { VOL_EJECTING, "ejecting", "mounted,absent,replaying,dismounted" },
    { VOL_ABSENT, "absent",
      "mounted,absent,replaying,changed elsewhere,cancelled,dismounted" },
    { VOL_REPLAYING, "replaying",
      "mounted,verifying,absent,replaying,changed elsewhere,dismounted" },
    { VOL_CHANGED, "changed elsewhere", "absent,replaying,dismounted" },
    { VOL_CANCELLED, "cancelled", "mounted,absent,replaying,dismounted" },
    { VOL_DISMOUNTED, "dismounted", "" },
};

static BOOLEAN
may(size_t from, const char *to)
{
    size_t len = strlen(to);

    for (const char *at = rows[from].may; *at != '\0';
         at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, to, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return TRUE;
    return FALSE;
}

/* What must hold in a state holds in it. */
static void
dress(struct volume *volume, enum vol_state state)
{
    static struct _DEVICE_OBJECT device;
    static struct witness witness;

    volume->real = volume->target = &device;
    volume->witness = &witness;
    volume->changed_elsewhere = state == VOL_CHANGED;
    volume->gone =
        state == VOL_DISMOUNTED ? STATUS_VOLUME_DISMOUNTED : STATUS_SUCCESS;
}

static NTSTATUS
reason_of(enum vol_state state)
{
    return state == VOL_MOUNTED || state == VOL_EJECTING ||
                   state == VOL_REPLAYING
               ? STATUS_SUCCESS
           : state == VOL_CHANGED ? STATUS_WRONG_VOLUME
                                  : STATUS_NO_MEDIA_IN_DEVICE;
}

static void
matrix__every_pair__allowed_or_refused_as_documented(void **state)
{
    struct volume *volume = calloc(1, sizeof *volume);

    (void) state;
    assert_int_equal(sizeof rows / sizeof rows[0], VOL_STATES);
    KeInitializeEvent(&volume->not_replaying, NotificationEvent, TRUE);
    for (size_t i = 0; i < VOL_STATES; i++) {
        assert_string_equal(fs_state_name(rows[i].from), rows[i].word);
        for (size_t j = 0; j < VOL_STATES; j++) {
            BOOLEAN want = may(i, rows[j].word), got;

            dress(volume, rows[j].from);
            volume->state = rows[i].from;
            volume->reason = STATUS_UNSUCCESSFUL;
            volume->generation = 7;
            got = fs_volume_move_locked(volume, rows[j].from,
                                        reason_of(rows[j].from), TRUE);
            if (got != want)
                fail_msg("%s -> %s: %d", rows[i].word, rows[j].word, got);
            /* Who waits for the end of a replay is told of every other state. */
            if (got && (rows[i].from == VOL_REPLAYING ||
                        rows[j].from == VOL_REPLAYING))
                assert_int_equal(KeReadStateEvent(&volume->not_replaying) != 0,
                                 rows[j].from != VOL_REPLAYING);
            /* Refused is untouched. */
            assert_int_equal(volume->state, rows[want ? j : i].from);
            assert_int_equal(volume->generation, want ? 8 : 7);
            assert_int_equal(volume->reason, want ? reason_of(rows[j].from)
                                                  : STATUS_UNSUCCESSFUL);
        }
    }
    free(volume);
}

static void
check__what_must_not_be__is_seen(void **state)
{
    struct volume *volume = calloc(1, sizeof *volume);

    (void) state;
    for (size_t i = 0; i < VOL_STATES; i++) {
        dress(volume, rows[i].from);
        volume->state = rows[i].from;
        volume->reason = reason_of(rows[i].from);
        assert_true(fs_volume_check(volume));
    }
    dress(volume, VOL_MOUNTED);
    volume->state = VOL_MOUNTED;
    volume->reason = STATUS_NO_MEDIA_IN_DEVICE;
    assert_false(fs_volume_check(volume));
    volume->reason = STATUS_SUCCESS;
    volume->real = NULL;
    assert_false(fs_volume_check(volume));
    dress(volume, VOL_ABSENT);
    volume->state = VOL_ABSENT;
    assert_false(fs_volume_check(volume));
    volume->state = VOL_DISMOUNTED;
    assert_false(fs_volume_check(volume));
    volume->state = VOL_CHANGED;
    volume->reason = STATUS_WRONG_VOLUME;
    assert_false(fs_volume_check(volume));
    volume->state = VOL_CANCELLED;
    volume->log.pages = 1;
    assert_false(fs_volume_check(volume));
    volume->state = VOL_STATES;
    assert_false(fs_volume_check(volume));
    free(volume);
}

#ifndef NDEBUG
/* In a process of its own. */
static void
assert_stopped(enum vol_state from, enum vol_state to, NTSTATUS why,
               void (*spoil)(struct volume *volume))
{
    struct rlimit none = { 0, 0 };
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct volume *volume = calloc(1, sizeof *volume);

        setrlimit(RLIMIT_CORE, &none);
        fclose(stderr);
        KeInitializeEvent(&volume->not_replaying, NotificationEvent, TRUE);
        dress(volume, to);
        volume->state = from;
        spoil(volume);
        _exit(fs_volume_move_locked(volume, to, why, FALSE));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("%s -> %s: not stopped", fs_state_name(from),
                 fs_state_name(to));
}

static void
leave(struct volume *volume)
{
    (void) volume;
}

static void
fill(struct volume *volume)
{
    volume->log.pages = 1;
}

static void
take_off(struct volume *volume)
{
    volume->real = volume->target = NULL;
}

static void
believe(struct volume *volume)
{
    volume->changed_elsewhere = FALSE;
}

/* An arrow there is, into a state whose promise is broken. */
static void
setter__invariant_does_not_hold__debug_build_stops(void **state)
{
    (void) state;
    assert_stopped(VOL_ABSENT, VOL_MOUNTED, STATUS_NO_MEDIA_IN_DEVICE, leave);
    assert_stopped(VOL_VERIFYING, VOL_MOUNTED, STATUS_SUCCESS, take_off);
    assert_stopped(VOL_MOUNTED, VOL_ABSENT, STATUS_SUCCESS, leave);
    assert_stopped(VOL_ABSENT, VOL_CANCELLED, STATUS_NO_MEDIA_IN_DEVICE, fill);
    assert_stopped(VOL_REPLAYING, VOL_CHANGED, STATUS_WRONG_VOLUME, believe);
}
#endif

static void
arrows__printed__each_with_who_and_when(void **state)
{
    const struct fs_arrow *arrows;
    size_t count, want = 0;

    (void) state;
    arrows = fs_arrows(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(arrows[i].who) > 0 && strlen(arrows[i].when) > 0);
        for (size_t j = 0; j < i; j++)
            assert_false(arrows[i].from == arrows[j].from &&
                         arrows[i].to == arrows[j].to);
    }
    for (size_t i = 0; i < VOL_STATES; i++)
        for (size_t j = 0; j < VOL_STATES; j++)
            want += may(i, rows[j].word);
    assert_int_equal(count, want);
}

/* --- each arrow, by what happens --------------------------------------------------- */

#ifndef NDEBUG
static ULONG taken[VOL_STATES][VOL_STATES];
#endif

/* Every arrow of these, since the last call. */
#define WENT(...)                                                              \
    went((const enum vol_state[]){ __VA_ARGS__ },                              \
         sizeof(const enum vol_state[]){ __VA_ARGS__ } /                       \
             sizeof(enum vol_state))

static void
went(const enum vol_state *way, size_t count)
{
#ifndef NDEBUG
    for (size_t i = 0; i + 1 < count; i++)
        if (!EVENTUALLY(__atomic_load_n(&fs_arrows_taken[way[i]][way[i + 1]],
                                        __ATOMIC_ACQUIRE) != 0))
            fail_msg("not taken: %s -> %s", fs_state_name(way[i]),
                     fs_state_name(way[i + 1]));
    for (size_t i = 0; i < VOL_STATES; i++)
        for (size_t j = 0; j < VOL_STATES; j++)
            taken[i][j] += __atomic_exchange_n(&fs_arrows_taken[i][j], 0,
                                               __ATOMIC_ACQ_REL);
#else
    (void) way;
    (void) count;
#endif
}

/* What happens to the volume while it is in a state, at a request of the file
 * system to the drive; once. */
static struct {
    enum vol_state in;
    struct volume *volume;
    void (*event)(struct drive_rig *d);
    struct drive_rig *d;
    ULONG code;  /* of a device control; 0: a transfer */
    LONG writes; /* atomic: of a transfer, so many are let through first */
    LONG done;   /* atomic */
} trap;

static BOOLEAN
spring(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
       NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (trap.code != 0
            ? at->MajorFunction != IRP_MJ_DEVICE_CONTROL ||
                  at->Parameters.DeviceIoControl.IoControlCode != trap.code
            : at->MajorFunction != IRP_MJ_READ &&
                  at->MajorFunction != IRP_MJ_WRITE)
        return FALSE;
    if (fs_volume_state(trap.volume) != trap.in ||
        (trap.writes != 0 && (at->MajorFunction != IRP_MJ_WRITE ||
                              InterlockedDecrement(&trap.writes) != 0)) ||
        InterlockedExchange(&trap.done, 1) != 0)
        return FALSE;
    trap.event(trap.d);
    return FALSE;
}

static void
set_trap(struct drive_rig *d, struct volume *volume, enum vol_state in,
         ULONG code, void (*event)(struct drive_rig *d))
{
    trap.in = in;
    trap.volume = volume;
    trap.event = event;
    trap.d = d;
    trap.code = code;
    trap.writes = 0;
    trap.done = 0;
    __atomic_store_n(&d->watch.before, spring, __ATOMIC_RELEASE);
}

static const char *swap_to;

static void
event_swap(struct drive_rig *d)
{
    swap(d, swap_to);
}

static void
event_verify(struct drive_rig *d)
{
    set_flag(d);
    IoVerifyVolume(d->fdo, FALSE);
}

static WORK_QUEUE_ITEM dismounting;

static VOID NTAPI
dismount_work(PVOID parameter)
{
    (void) fs_dismount(parameter, STATUS_VOLUME_DISMOUNTED);
}

/* On another thread, for who is here holds what it has to wait for. */
static void
event_dismount(struct drive_rig *d)
{
    (void) d;
    ExInitializeWorkItem(&dismounting, dismount_work, trap.volume);
    ExQueueWorkItem(&dismounting, DelayedWorkQueue);
    assert_true(EVENTUALLY(fs_volume_state(trap.volume) == VOL_DISMOUNTED));
}

static WORK_QUEUE_ITEM verifying;

static VOID NTAPI
verify_work(PVOID parameter)
{
    (void) fs_verify(parameter);
}

/* Pulled out and put back, and a verification that was on its way sees it before
 * the replay does: who replays holds the drive, but not against those. */
static void
event_settled_anew(struct drive_rig *d)
{
    ULONG before = fs_volume_generation(trap.volume);

    swap(d, swap_to);
    ExInitializeWorkItem(&verifying, verify_work, trap.volume);
    ExQueueWorkItem(&verifying, DelayedWorkQueue);
    assert_true(EVENTUALLY(fs_volume_generation(trap.volume) != before));
}

static void
event_pulled_out(struct drive_rig *d)
{
    pull_out(d);
}

/* Until the look has been. */
static void
event_hang(struct drive_rig *d)
{
    (void) d;
    assert_true(EVENTUALLY((clock_advance_ms(500), usleep(1000),
                            fs_volume_state(trap.volume) != trap.in)));
}

/* Nobody looks, for no request is in hand: half a minute passes. */
static void
event_pause(struct drive_rig *d)
{
    (void) d;
    for (int i = 0; i < 50; i++)
        clock_advance_ms(500);
}

static struct drive_rig *
begin(void **state, int drive)
{
    struct rig *rig = *state;

    fs_set_limits(&(struct fs_limits){ .unflushed_bytes = 64u << 20,
                                       .unflushed_total_bytes = 256u << 20,
                                       .flush_idle_ms = 1000000000 });
    return &rig->d[drive];
}

static void
verify(struct drive_rig *d)
{
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
}

static struct volume *
mounted_dirty(struct drive_rig *d, const char *path)
{
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'd', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    return volume;
}

static void
gone(struct drive_rig *d)
{
    pull_out(d);
    fs_media_gone(d->fdo);
}

static void
life__in_and_out(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("life", "LIFE", "C0000001");
    const char *other = FAT("life2", "OTHER", "C0000002");
    struct volume *volume = mounted_dirty(d, path);
    struct req req;

    WENT(VOL_UNMOUNTED, VOL_REPLAYING, VOL_MOUNTED);
    swap(d, path);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    WENT(VOL_MOUNTED, VOL_VERIFYING, VOL_REPLAYING, VOL_MOUNTED);
    verify(d);
    WENT(VOL_MOUNTED, VOL_REPLAYING, VOL_MOUNTED);
    swap(d, other);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    the_prompt();
    WENT(VOL_MOUNTED, VOL_VERIFYING, VOL_ABSENT);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    /* The question stays a true one. */
    gone(d);
    WENT(VOL_ABSENT, VOL_ABSENT);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    WENT(VOL_ABSENT, VOL_REPLAYING, VOL_MOUNTED);
    gone(d);
    WENT(VOL_MOUNTED, VOL_ABSENT);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    WENT(VOL_ABSENT, VOL_CANCELLED);
    fs_wanted(volume);
    WENT(VOL_CANCELLED, VOL_ABSENT);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, path);
    verify(d);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    WENT(VOL_CANCELLED, VOL_REPLAYING, VOL_MOUNTED);
}

static void
eject__opens__does_not__is_overtaken(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("out", "OUT", "C0000003");
    struct volume *volume = mounted_dirty(d, path);

    fault(d, "at 1 0x1b do sense 5/24/00");
    assert_false(NT_SUCCESS(fs_eject(d->fdo, NULL)));
    WENT(VOL_MOUNTED, VOL_EJECTING, VOL_MOUNTED);
    set_trap(d, volume, VOL_EJECTING, IOCTL_STORAGE_EJECT_MEDIA, event_verify);
    fs_eject(d->fdo, NULL);
    WENT(VOL_MOUNTED, VOL_EJECTING, VOL_REPLAYING, VOL_MOUNTED);
    put_in(d, path);
    verify(d);
    assert_int_equal(fs_eject(d->fdo, NULL), STATUS_SUCCESS);
    WENT(VOL_MOUNTED, VOL_EJECTING, VOL_ABSENT);
    put_in(d, path);
    verify(d);
    assert_true(fs_volume_mounted(volume));
    set_trap(d, volume, VOL_EJECTING, IOCTL_STORAGE_EJECT_MEDIA,
             event_dismount);
    fs_eject(d->fdo, NULL);
    WENT(VOL_EJECTING, VOL_DISMOUNTED);
}

static void
replay__changed_again__overdue(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("again", "AGAIN", "C0000004");
    struct volume *volume = mounted_dirty(d, path);
    struct req req;

    swap_to = path;
    swap(d, path);
    set_trap(d, volume, VOL_REPLAYING, 0, event_swap);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    WENT(VOL_REPLAYING, VOL_VERIFYING, VOL_REPLAYING, VOL_MOUNTED);
    clock_manual(true);
    swap(d, path);
    set_trap(d, volume, VOL_REPLAYING, 0, event_hang);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    clock_manual(false);
    WENT(VOL_REPLAYING, VOL_ABSENT, VOL_MOUNTED);
}

/* Beside what is dirty already, so that a replay has more runs than one. */
static void
write_runs(struct volume *volume)
{
    for (unsigned long n = 1; n < 8; n++)
        assert_int_equal(
            write_volume(volume, AT + n * 131072, buffer, sizeof buffer),
            STATUS_SUCCESS);
}

static void
assert_runs_on_medium(struct drive_rig *d, struct volume *volume,
                      const char *path)
{
    assert_int_equal(info_of(volume).unflushed_bytes, 0);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
    for (unsigned long n = 1; n < 8; n++)
        assert_on_medium(path, AT + n * 131072, buffer, sizeof buffer);
}

/* Promise P2: what was acknowledged before the first pull is on the medium after
 * the second; what the first replay wrote of it is written again. */
static void
P2__replay__pulled_out_in_the_middle__begins_again(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("twice", "TWICE", "C0000015");
    struct volume *volume = mounted_dirty(d, path);
    ULONG64 replays = info_of(volume).replays;
    struct req req;

    write_runs(volume);
    swap(d, path);
    set_trap(d, volume, VOL_REPLAYING, 0, event_pulled_out);
    trap.writes = 4; /* of which the drive's cache is lost */
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_NO_MEDIA_IN_DEVICE);
    WENT(VOL_MOUNTED, VOL_VERIFYING, VOL_REPLAYING, VOL_ABSENT);
    assert_int_equal(info_of(volume).unflushed_bytes, 4096 + 7 * sizeof buffer);
    assert_int_equal(info_of(volume).replays, replays);
    assert_not_on_medium(path, AT + 131072, buffer, sizeof buffer);
    put_in(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    WENT(VOL_ABSENT, VOL_REPLAYING, VOL_MOUNTED);
    assert_int_equal(info_of(volume).replays, replays + 1);
    assert_runs_on_medium(d, volume, path);
}

/* Settled anew while it is replayed: that replay is void, whatever it finds, and
 * the one for the medium that is there now begins at the beginning. */
static void
P2__replay__settled_anew_meanwhile__begins_again(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("anew", "ANEW", "C0000016");
    struct volume *volume = mounted_dirty(d, path);
    ULONG64 replays = info_of(volume).replays;

    write_runs(volume);
    swap_to = path;
    swap(d, path);
    set_trap(d, volume, VOL_REPLAYING, 0, event_settled_anew);
    trap.writes = 4;
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    WENT(VOL_VERIFYING, VOL_REPLAYING, VOL_REPLAYING, VOL_MOUNTED);
    assert_memory_equal(seen, buffer, 4096);
    assert_true(info_of(volume).replays > replays);
    assert_runs_on_medium(d, volume, path);
}

static void
changed__looked_at__taken_out(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("other", "OTHER", "C0000005");
    struct volume *volume = mounted_dirty(d, path);
    struct req req;

    for (int i = 0; i < 200; i++)
        assert_int_equal(read_volume(volume, 2 * AT, seen, 4096),
                         STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    verify(d);
    WENT(VOL_MOUNTED, VOL_REPLAYING, VOL_CHANGED);
    verify(d);
    WENT(VOL_CHANGED, VOL_REPLAYING, VOL_CHANGED);
    gone(d);
    WENT(VOL_CHANGED, VOL_ABSENT);
    put_in(d, path);
    /* Compared while the drive hangs. */
    clock_manual(true);
    set_trap(d, volume, VOL_REPLAYING, 0, event_pause);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    the_prompt();
    set_flag(d);
    answer(RI_RETRY);
    clock_manual(false);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    answer(RI_CANCEL);
    req_end(&req);
    assert_int_equal(fs_dismount(volume, STATUS_VOLUME_DISMOUNTED),
                     STATUS_SUCCESS);
    WENT(VOL_CHANGED, VOL_DISMOUNTED);
}

static void
dismount__from_each_state(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("bye", "BYE", "C0000006");
    struct volume *volume = mounted_dirty(d, path);
    struct req req;

    fs_dismount(volume, STATUS_VOLUME_DISMOUNTED);
    WENT(VOL_MOUNTED, VOL_DISMOUNTED);
    volume = mount(d);
    gone(d);
    fs_dismount(volume, STATUS_VOLUME_DISMOUNTED);
    WENT(VOL_ABSENT, VOL_DISMOUNTED);
    put_in(d, path);
    volume = mount(d);
    gone(d);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    fs_dismount(volume, STATUS_VOLUME_DISMOUNTED);
    WENT(VOL_CANCELLED, VOL_DISMOUNTED);
    volume = mounted_dirty(d, path);
    swap(d, path);
    set_trap(d, volume, VOL_VERIFYING, 0, event_dismount);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(req_end(&req), STATUS_VOLUME_DISMOUNTED);
    WENT(VOL_VERIFYING, VOL_DISMOUNTED);
    verify(d);
    volume = fs_volume_on(d->fdo);
    assert_non_null(volume);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    swap(d, path);
    set_trap(d, volume, VOL_REPLAYING, 0, event_dismount);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(req_end(&req), STATUS_VOLUME_DISMOUNTED);
    WENT(VOL_REPLAYING, VOL_DISMOUNTED);
}

static void
disc__cannot_be_written_to__nothing_to_replay(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = ISO("disc", "DISC");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    WENT(VOL_UNMOUNTED, VOL_MOUNTED);
    verify(d);
    WENT(VOL_MOUNTED, VOL_MOUNTED);
    swap(d, path);
    assert_int_equal(read_volume(volume, 0, seen, 4096), STATUS_SUCCESS);
    WENT(VOL_MOUNTED, VOL_VERIFYING, VOL_MOUNTED);
    gone(d);
    put_in(d, path);
    verify(d);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    WENT(VOL_MOUNTED, VOL_ABSENT, VOL_MOUNTED);
    gone(d);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, path);
    verify(d);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    WENT(VOL_CANCELLED, VOL_MOUNTED);
}

static void
restored__absent(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume = mounted_dirty(d, FAT("kept", "KEPT", "C0000007"));
    static UCHAR record[FS_RECORD_MAX];
    ULONG length = fs_volume_record(volume, record);

    assert_true(length != 0);
    fs_dismount(volume, STATUS_VOLUME_DISMOUNTED);
    WENT(VOL_MOUNTED, VOL_DISMOUNTED);
    assert_int_equal(fs_volume_restore(d->fdo, record, length, &volume),
                     STATUS_SUCCESS);
    WENT(VOL_UNMOUNTED, VOL_ABSENT);
}

/* --- what is no arrow does not happen, whoever tries -------------------------------- */

/* Only who is away is given up; only who was given up is wanted again. */
static void
mounted__given_up_or_wanted__stays_mounted_and_keeps_its_log(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume = mounted_dirty(d, FAT("stay", "STAY", "C0000010"));
    ULONG generation = fs_volume_generation(volume);

    fs_wanted(volume);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_int_equal(fs_volume_generation(volume), generation);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
}

/* Nothing on its way to an absent volume makes it verify, eject or replay. */
static void
absent__requests_and_an_eject__stays_absent(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("away", "AWAY", "C0000011");
    struct volume *volume = mounted_dirty(d, path);
    struct req req;

    gone(d);
    req_start(&req, volume, IRP_MJ_WRITE, AT, buffer, 4096);
    the_prompt();
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    fs_eject(d->fdo, NULL);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    assert_false(req_is_done(&req));
    assert_int_equal(info_of(volume).unflushed_bytes, 4096);
    put_in(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
}

/* Neither a request nor a retry lets it be used; it is not given up while its
 * medium is there, and keeps what it lacks until then. */
static void
changed__requests__it_stays_that_and_nothing_is_written(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("chg", "CHG", "C0000012");
    struct volume *volume = mounted_dirty(d, path);
    struct req req;

    for (int i = 0; i < 200; i++)
        assert_int_equal(read_volume(volume, 2 * AT, seen, 4096),
                         STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    verify(d);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    req_start(&req, volume, IRP_MJ_WRITE, AT + 65536, buffer, 4096);
    the_prompt();
    fs_wanted(volume);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    answer(RI_RETRY);
    the_prompt();
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    assert_int_equal(info_of(volume).unflushed_bytes, 4096);
    answer(RI_CANCEL);
    req_end(&req);
    pull_out(d);
    assert_not_on_medium(path, AT, buffer, 4096);
    assert_not_on_medium(path, AT + 65536, buffer, 4096);
}

/* For good: whatever comes later, also its medium. */
static void
dismounted__everything_tried__stays_that(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("over", "OVER", "C0000013");
    struct volume *volume = mounted_dirty(d, path);

    assert_int_equal(fs_dismount(volume, STATUS_VOLUME_DISMOUNTED),
                     STATUS_SUCCESS);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    fs_wanted(volume);
    fs_use_as_it_is(volume);
    fs_volume_lose(volume, fs_volume_generation(volume),
                   STATUS_NO_MEDIA_IN_DEVICE, STATUS_NO_MEDIA_IN_DEVICE);
    fs_media_gone(d->fdo);
    for (int to = 0; to < VOL_STATES; to++)
        assert_false(fs_volume_change(volume, fs_volume_generation(volume), to,
                                      STATUS_SUCCESS));
    gone(d);
    put_in(d, path);
    assert_ptr_not_equal(mount(d), volume);
    assert_int_equal(fs_volume_state(volume), VOL_DISMOUNTED);
    assert_int_equal(read_volume(volume, AT, seen, 4096),
                     STATUS_VOLUME_DISMOUNTED);
}

/* Who decided before the volume was settled anew decides nothing. */
static void
late_word_about_another_drive__void(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("late", "LATE", "C0000014");
    struct volume *volume = mounted_dirty(d, path);
    ULONG before = fs_volume_generation(volume);

    pull_out(d);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    fs_volume_lose(volume, before, STATUS_NO_MEDIA_IN_DEVICE,
                   STATUS_NO_MEDIA_IN_DEVICE);
    assert_false(fs_volume_change(volume, before, VOL_VERIFYING,
                                  STATUS_VERIFY_REQUIRED));
    fs_media_gone(d->fdo);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_ptr_equal(info_of(volume).drive, e->fdo);
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
}

/* The last: all of them together. */
static void
arrows__each_has_been_taken(void **state)
{
    size_t count;
    const struct fs_arrow *arrows = fs_arrows(&count);

    (void) state;
    for (size_t i = 0; i < count; i++) {
#ifndef NDEBUG
        if (taken[arrows[i].from][arrows[i].to] == 0)
            fail_msg("no test: %s -> %s", fs_state_name(arrows[i].from),
                     fs_state_name(arrows[i].to));
#endif
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix__every_pair__allowed_or_refused_as_documented),
        cmocka_unit_test(check__what_must_not_be__is_seen),
#ifndef NDEBUG
        cmocka_unit_test(setter__invariant_does_not_hold__debug_build_stops),
#endif
        cmocka_unit_test(arrows__printed__each_with_who_and_when),
        TEST(life__in_and_out, rig_cached_disk),
        TEST(eject__opens__does_not__is_overtaken, rig_cached_disk),
        TEST(replay__changed_again__overdue, rig_cached_disk),
        TEST(P2__replay__pulled_out_in_the_middle__begins_again,
             rig_cached_disk),
        TEST(P2__replay__settled_anew_meanwhile__begins_again, rig_cached_disk),
        TEST(changed__looked_at__taken_out, rig_cached_disk),
        TEST(dismount__from_each_state, rig_cached_disk),
        TEST(disc__cannot_be_written_to__nothing_to_replay, rig_cdrom),
        TEST(restored__absent, rig_cached_disk),
        TEST(mounted__given_up_or_wanted__stays_mounted_and_keeps_its_log,
             rig_cached_disk),
        TEST(absent__requests_and_an_eject__stays_absent, rig_cached_disk),
        TEST(changed__requests__it_stays_that_and_nothing_is_written,
             rig_cached_disk),
        TEST(dismounted__everything_tried__stays_that, rig_cached_disk),
        TEST(late_word_about_another_drive__void, rig_cached_disks),
        cmocka_unit_test(arrows__each_has_been_taken),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
