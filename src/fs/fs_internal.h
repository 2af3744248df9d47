/*
 * fs_internal.h - volumes, and who does what with them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_FS_INTERNAL_H
#define FS_FS_INTERNAL_H

#include "fs/fs.h"

#include <ntddstor.h>

#include "fs/identity.h"
#include "fs/log.h"
#include "fs/witness.h"

#define FS_TAG 0x6C6F5652       /* 'RVol' */

/* A drive, and the top of its stack. */
struct fs_drive {
    PDEVICE_OBJECT real, target;
};

#define FORMER_MOST 8

/*
 * A volume.  `lock` guards everything from state on; it is a leaf: nothing is
 * called with it held but list and thread primitives.  The VPB spin lock is
 * never taken inside it.
 *
 * count is the media change count of the drive under which the volume was
 * verified.  Every request carries it, so the class driver can refuse one that
 * was decided before a change.
 */
struct volume {
    LIST_ENTRY link;               /* fs.volumes */
    PDEVICE_OBJECT device;         /* ours */
    PVPB vpb;                      /* holds a reference */
    struct identity id;            /* changed by the verifying thread only */
    ULONG64 size_bytes;            /* never change: part of the identity */
    ULONG block_bytes;
    BOOLEAN duplicate;
    char key[96];                  /* never changes */

    KSPIN_LOCK lock;
    enum vol_state state;          /* volume_state.c alone writes it */
    NTSTATUS reason;
    NTSTATUS cause;                /* of that: what was said, exactly */
    PDEVICE_OBJECT told_in;        /* borrowed, a name: the drive that it was
                                    * told to be in; NULL: it is not, or has
                                    * another name */
    BOOLEAN told_away;
    BOOLEAN untold;                /* by what was in its drive last */
    PDEVICE_OBJECT real;           /* the drive; both hold a reference, for it
                                    * may be taken away */
    PDEVICE_OBJECT target;         /* top of its stack */
    struct fs_drive former[FORMER_MOST]; /* left, with references: a request on
                                    * its way may still be for one */
    ULONG formers;
    ULONG count;
    ULONG generation;              /* moves with every verification */
    ULONG64 since_ms;
    LONG64 running;                /* requests below us: all, and those that
                                    * modify times RUNNING_WRITE */
    KEVENT idle;                   /* set while running is 0 and wanted */
    LIST_ENTRY posted;             /* IRPs for the worker, in order */
    PIRP tried;                    /* borrowed; atomic: an answer to this one
                                    * ends a question (fs_try_one) */
    BOOLEAN begun;                 /* atomic: something was read or written
                                    * since it was nobody's */
    BOOLEAN worker_busy;
    BOOLEAN accept_unknown;        /* a person vouched for the medium */
    BOOLEAN read_only;
    BOOLEAN write_protected;       /* read-only, and a person can change it */
    BOOLEAN write_through;         /* the drive has a volatile cache */
    BOOLEAN logging;               /* ... and writes go into the log instead */
    BOOLEAN vouched;               /* nothing to compare it with: new, or a
                                    * person's word */
    BOOLEAN vouched_changed;       /* ... though it was changed elsewhere */
    BOOLEAN doubted;               /* it is there with another content */
    BOOLEAN changed_before;        /* ... as was told when it was settled last */
    BOOLEAN as_it_is;              /* a person wants it whatever was changed */
    BOOLEAN taken_as_it_is;        /* ... and it was mounted so */
    ULONG uses;                    /* as it was; files know how often */
    BOOLEAN given_up;              /* once at least, and last what was sent
                                    * before this generation, for this reason */
    ULONG given_up_generation;
    NTSTATUS given_up_for;
    BOOLEAN changed_elsewhere;     /* why it is not mounted */
    ULONG replays;
    struct witness *witness;       /* NULL: never seen on a writable medium */
    PIRP sample;                   /* a read for the witness, if no write was
                                    * below us since it was sent; borrowed */
    ULONG asked;                   /* requests since the last sample */
    ULONG sample_every;            /* of so many one is the next */
    BOOLEAN can_trim;
    BOOLEAN trim_zeroes;
    BOOLEAN marked_dirty;          /* FSCTL_MARK_VOLUME_DIRTY */
    NTSTATUS gone;                 /* atomic; not 0: dismounted, and for good:
                                    * what every request gets */
    LONG handles;                  /* open files, and exports */
    ULONG64 sight_ms;              /* when it was last kept in sight; 0: not */
    PFILE_OBJECT locked_by;        /* borrowed; its cleanup unlocks */

    /* writes of ours to the blocks that identify the volume */
    BOOLEAN head_dirty;            /* atomic to read */
    LONG head_running;
    ULONG head_generation;
    BOOLEAN refresh_due;
    KTIMER refresh_timer;
    KDPC refresh_dpc;
    WORK_QUEUE_ITEM work;          /* the worker of this volume */
    WORK_QUEUE_ITEM refresh_work;

    /* What was acknowledged under this generation and is not flushed.  A put
     * and a flush count only if the volume's generation is still that under
     * which they were sent, so nothing changes the log of a volume that is
     * not MOUNTED or EJECTING but who holds resume_mutex. */
    KSPIN_LOCK log_lock;           /* inside of volume.lock; a leaf */
    struct log log;
    BOOLEAN misfit;                /* a change failed, had no room, or another
                                    * beside it: the medium may not be as the
                                    * log */
    ULONG flushed;                 /* the last epoch that a flush covered, */
    ULONG flushed_generation;      /* of what was sent under this one */
    ULONG64 written_ms;            /* the last put */
    BOOLEAN tending, tend_again;   /* tend_work is queued or runs; once more */
    KTIMER tend_timer;
    KDPC tend_dpc;
    WORK_QUEUE_ITEM tend_work;
    PDEVICE_OBJECT prevented;      /* where removal is, with a reference;
                                    * tend_work's */
    ULONG prevented_generation;    /* ... and of the volume then */
    KEVENT not_replaying;          /* signaled unless VOL_REPLAYING */
    KMUTEX resume_mutex;           /* compare, replay, give away; inside of the
                                    * DeviceLock, outside of spin locks; held
                                    * over requests to the drive */

    /* The log on disk, if there is one: commit.c.  commit_mutex: one batch at a
     * time; held over the disk, inside resume_mutex or alone; nothing that
     * serves requests waits for it. */
    KMUTEX commit_mutex;
    void *disk_log;                /* with commit_mutex */
    ULONG64 disk_live;             /* atomic: bytes of it that count */
    LIST_ENTRY committing;         /* with log_lock: IRPs for the next batch */
    BOOLEAN commit_queued;         /* with log_lock: commit_work is */
    BOOLEAN commit_running;        /* with log_lock: it looks again */
    BOOLEAN flush_due;             /* with log_lock: the log is to be told of */
    ULONG disk_flushed;            /* this flush */
    BOOLEAN disk_filling;          /* atomic: a flush should make room */
    BOOLEAN disk_stale;            /* atomic: its replay would undo changes */
    BOOLEAN id_on_disk;            /* with lock: the head on disk counts */
    WORK_QUEUE_ITEM commit_work;

    /* while the worker verifies: overdue.c */
    PIRP in_hand;                  /* the request that it does so for */
    BOOLEAN watch_on;
    ULONG steps;                   /* commands of replays; atomic */
    ULONG watch_steps;             /* at the last look */
    KTIMER watch_timer;
    KDPC watch_dpc;
    KEVENT watch_over;             /* the last look has ended */
    WORK_QUEUE_ITEM watch_work;
};

#define RUNNING_WRITE (1ll << 32)

struct fs {
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT control_disk;   /* what is registered, per kind of drive */
    PDEVICE_OBJECT control_cd;
    KSPIN_LOCK lock;               /* the list; outside of every volume lock */
    LIST_ENTRY volumes;
    KMUTEX mount_mutex;            /* who is what: search and settle; outside
                                    * of all locks, never around a request */
    BOOLEAN shutting_down;         /* atomic */
    fs_observer_fn *observer;
    void *observer_context;
    fs_vacated_fn *vacated;
    void *vacated_context;
    fs_stale_fn *stale;
    fs_announces_fn *announces;
    void *announces_context;
    fs_tried_fn *tried;
    fs_keeper_fn *keeper;
    void *keeper_context;
    struct fs_limits limits;
    struct fs_log_disk disk;       /* commit NULL: no log on disk */
    LONG64 unflushed_pages;        /* of all logs; atomic */
};

extern struct fs fs;

/* volume_state.c */
/* The only writer of the state.  settles: what was decided before is void.
 * FALSE: there is no such arrow, and nothing happened. */
BOOLEAN fs_volume_move_locked(struct volume *volume, enum vol_state to,
                              NTSTATUS why, BOOLEAN settles);
/* Only while the volume was not settled anew since `generation`.  FALSE: it
 * was, or the transition is not allowed; nothing happened. */
BOOLEAN NTAPI fs_volume_change(struct volume *volume, ULONG generation,
                               enum vol_state to, NTSTATUS why);
/* To VOL_ABSENT: it was not found, or could not be given what it lacks.  cause:
 * what was said; why: what a person is asked about. */
void fs_volume_lose(struct volume *volume, ULONG generation, NTSTATUS why,
                    NTSTATUS cause);
/* Was the request sent before a person gave the volume up last?  Then why. */
BOOLEAN fs_given_up(struct volume *volume, PIRP irp, NTSTATUS *out_why);
/* As fs_volume_change, without telling anybody. */
BOOLEAN fs_volume_set(struct volume *volume, ULONG generation,
                      enum vol_state to, NTSTATUS why, BOOLEAN *out_changed);
/* For who changed the fields under the lock: the observer, the waiters. */
void NTAPI fs_volume_tell(struct volume *volume, enum vol_state state,
                          NTSTATUS why);
/* Does what must hold in its state hold?  With the lock held. */
BOOLEAN fs_volume_check(const struct volume *volume);
#ifndef NDEBUG
extern ULONG fs_arrows_taken[VOL_STATES][VOL_STATES];
#endif

/* volume.c */
struct volume *fs_volume_new(PVPB vpb, const struct identity *id);
void fs_volume_link(struct volume *volume);
/* A reference to each; either may be NULL. */
void fs_hold_drive(PDEVICE_OBJECT real, PDEVICE_OBJECT target);
void fs_let_drive(PDEVICE_OBJECT real, PDEVICE_OBJECT target);
/* Where the volume is; the drive is held until fs_place_let. */
struct fs_place {
    struct fs_drive drive;
    ULONG count, generation;
    enum vol_state state;
};
void fs_place_take(struct volume *volume, struct fs_place *out_place);
void fs_place_let(const struct fs_place *place);
/* With the lock: the volume holds another drive now.  What nothing on its way
 * can be for any more, with its references, and how many. */
ULONG fs_leave_locked(struct volume *volume, const struct fs_drive *drive,
                      struct fs_drive out_let[FORMER_MOST + 1]);
ULONG fs_volume_generation(struct volume *volume);
enum vol_state fs_volume_state(struct volume *volume);
BOOLEAN fs_volume_mounted(struct volume *volume);
/* Is the volume's VPB the one of its drive? */
BOOLEAN fs_on_device(struct volume *volume);
/* Asks for a verification of the drive, if the volume is in it. */
void fs_set_verify(struct volume *volume);
/* Is the device one of a volume? */
static inline BOOLEAN
fs_is_volume(PDEVICE_OBJECT device)
{
    return device != fs.control_disk && device != fs.control_cd;
}

/* dismount.c */
/* Ends it: every request gets `status` from now on, and the drive an empty
 * VPB. */
NTSTATUS fs_dismount(struct volume *volume, NTSTATUS status);

/* outcome.c: see outcome.def */
enum fs_fate {
    FS_FATE_FAIL, FS_FATE_RECHECK, FS_FATE_VERIFY, FS_FATE_AWAY, FS_FATE_GONE,
    FS_FATE_ASK
};
enum fs_about { FS_ABOUT_BLOCK, FS_ABOUT_DRIVE };

struct fs_outcome {
    NTSTATUS status;               /* STATUS_SUCCESS: of any other */
    enum fs_fate fate;
    NTSTATUS asked;
    enum fs_again again;
    enum fs_about about;
};

/* Of a failure.  Any IRQL. */
const struct fs_outcome *NTAPI fs_outcome(NTSTATUS status);
/* What a person is asked about for a volume of which a verification said so. */
NTSTATUS fs_absent_reason(NTSTATUS status);

/* Not the medium, the drive is gone.  Asked about as of an absent volume. */
static inline BOOLEAN
fs_is_gone(NTSTATUS status)
{
    return fs_outcome(status)->fate == FS_FATE_GONE;
}

/* Of the ways to be gone: for good, as far as we know, or away. */
static inline NTSTATUS
fs_gone_reason(NTSTATUS status)
{
    return fs_outcome(status)->asked;
}

/* toplevel.c */
/* The request completes with this status; see fs_try_one. */
void NTAPI fs_tried(struct volume *volume, PIRP irp, NTSTATUS status);
static inline void
fs_note_tried(struct volume *volume, PIRP irp, NTSTATUS status)
{
    if (__atomic_load_n(&volume->tried, __ATOMIC_RELAXED) == irp)
        fs_tried(volume, irp, status);
}
enum fs_verdict { FS_COMPLETE, FS_LOCK_CONFLICT, FS_VERIFY, FS_ASK };

/* Pure: what becomes of a request that failed.  `top` is the thread's top-level
 * IRP before this request (NULL: this one is top-level); `popups`: may a person
 * be asked? */
enum fs_verdict NTAPI fs_decide(NTSTATUS status, PIRP top, BOOLEAN popups);
/* Completes; with an error there is no information. */
NTSTATUS NTAPI fs_complete(PIRP irp, NTSTATUS status, ULONG_PTR information);
/* In the dispatch routine of a create or control request that failed: completes
 * it, posts it, or puts the question.  What the dispatch routine returns. */
NTSTATUS fs_raise(struct volume *volume, PIRP irp, NTSTATUS status,
                  BOOLEAN popups);
/* IoVerifyVolume, for this volume: STATUS_SUCCESS, it is there. */
NTSTATUS fs_perform_verify(struct volume *volume, PIRP irp, BOOLEAN allow_raw);
/* A posted create or control request, on the worker. */
void fs_settle_control(struct volume *volume, PIRP irp);

/* overdue.c */
void fs_watch_init(struct volume *volume);
/* Around a verification on the volume's worker.  If it takes long, those who
 * wait ask, `irp` (may be NULL) among them. */
void fs_watch_begin(struct volume *volume, PIRP irp);
/* FALSE: `irp` asked, and is no more the caller's. */
BOOLEAN fs_watch_end(struct volume *volume);

/* handle.c */
NTSTATUS fs_create(struct volume *volume, PIRP irp);
NTSTATUS fs_cleanup(struct volume *volume, PIRP irp);
/* FS_HANDLE_* of an open file of ours; above them, the volume's uses when it
 * was opened. */
#define FS_HANDLE_EXTENDED_DASD 1
#define FS_HANDLE_USES          8
ULONG_PTR NTAPI fs_handle_flags(struct volume *volume, PFILE_OBJECT file);
/* Is it known that the volume is in its drive?  Asks the drive with `ask`.
 * STATUS_VERIFY_REQUIRED: to be verified. */
NTSTATUS fs_check_volume(struct volume *volume, BOOLEAN ask, BOOLEAN absolute);

/* fsctl.c */
NTSTATUS fs_user_request(struct volume *volume, PIRP irp);
NTSTATUS fs_invalidate_volumes(PIRP irp);
BOOLEAN fs_is_silent(ULONG code);

/* device_io.c: requests of our own, with SL_OVERRIDE_VERIFY_VOLUME */
NTSTATUS fs_ioctl(PDEVICE_OBJECT target, ULONG code, const void *in,
                  ULONG in_len, void *out, ULONG out_len,
                  ULONG_PTR *out_information);
NTSTATUS fs_media_count(PDEVICE_OBJECT target, ULONG *out_count);
/* Without the override: is told of a change as anybody is. */
NTSTATUS fs_check_verify(PDEVICE_OBJECT target, ULONG *out_count);
NTSTATUS fs_read_device(PDEVICE_OBJECT target, ULONG count, ULONG64 offset,
                        void *buffer, ULONG length);
NTSTATUS fs_write_device(PDEVICE_OBJECT target, ULONG count, ULONG64 offset,
                         const void *data, ULONG length);
/* count: as for reads; NULL: whatever is in the drive. */
NTSTATUS fs_flush_device(PDEVICE_OBJECT target, const ULONG *count);

/* data.c.  What runs for every request is NTAPI although it is ours: a routine
 * of the Microsoft convention that calls one of the other saves ten vector
 * registers each time. */
NTSTATUS NTAPI fs_data(PDEVICE_OBJECT device, PIRP irp);
void NTAPI fs_post(struct volume *volume, PIRP irp);
/* Completes it, without information; STATUS_PENDING, for whoever sent it knows
 * it as pending. */
NTSTATUS NTAPI fs_finish(PIRP irp, NTSTATUS status);
/* What a recursive request completes with. */
NTSTATUS NTAPI fs_recursive_status(PIRP irp, NTSTATUS status);
/* Is it away only because the medium would not take what it lacks?  Whoever
 * asks for it finds out whether the tab was changed. */
BOOLEAN fs_lacks_writes(struct volume *volume);
/* Before a flush is acknowledged we know the volume by what it is now: a new
 * label must not make it a stranger. */
BOOLEAN fs_needs_refresh(struct volume *volume, PIRP irp);
NTSTATUS NTAPI fs_wait_for_medium(struct volume *volume, PIRP irp, NTSTATUS reason);
/* posted.c */
void fs_run_posted(struct volume *volume);
/* data.c */
/* A request that has waited, as its volume is now. */
void fs_send_again(struct volume *volume, PIRP irp);

/* What a request is, in our own location's MinorFunction. */
#define FS_TOUCHES_IDENTITY 0x01
#define FS_RECURSIVE        0x02   /* does not wait, does not verify */
#define FS_FROM_CACHE       0x04   /* ... and comes from the cache manager */
#define FS_TOUCHES_WITNESS  0x08
#define FS_SAMPLED          0x10   /* its data are wanted for the witness */
#define FS_MODIFIES         0x20
#define FS_LOGGED           0x40   /* a change, or a flush, with a log */
#define FS_NEEDS_FLUSH      0x80   /* done, and acknowledged after a flush */

/* The volume's generation when the request was sent. */
ULONG fs_sent_generation(PIRP irp);
/* The trim that it is, or NULL. */
const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *fs_trim_of(PIRP irp);

/* unflushed.c */
void fs_unflushed_init(struct volume *volume);
void fs_unflushed_free(struct volume *volume);
/* The volume may get a drive with a volatile cache: has it a log?  May fail,
 * then it writes through. */
void fs_unflushed_prepare(struct volume *volume);
/* The request is about to be sent, under volume.lock: marks it. */
void NTAPI fs_track_sent_locked(struct volume *volume, PIRP irp);
/* A request with FS_TOUCHES_WITNESS, _SAMPLED or _LOGGED came back with
 * `status`: what it completes with.  STATUS_VERIFY_REQUIRED: it does not count,
 * is to be sent again.  May set FS_NEEDS_FLUSH.  <= DISPATCH_LEVEL. */
NTSTATUS NTAPI fs_track_done(struct volume *volume, PIRP irp, NTSTATUS status);
/* A request with FS_NEEDS_FLUSH, on the worker: flushes unless that was done. */
NTSTATUS fs_flush_for(struct volume *volume, PIRP irp);
/* Flushes if there is anything to flush, and forgets what that covered. */
NTSTATUS fs_flush_log(struct volume *volume);
/* All writes until now were flushed: from fs_seal on. */
ULONG fs_seal(struct volume *volume);
BOOLEAN fs_flushed(struct volume *volume, ULONG sealed, ULONG generation);
ULONG64 fs_unflushed_bytes(struct volume *volume);
void fs_unflushed_stop(struct volume *volume);
/* At the end of the service, with nothing below us. */
void fs_unflushed_last(struct volume *volume);

/* FALSE from fn ends it. */
typedef BOOLEAN fs_range_fn(void *context, ULONG64 offset, ULONG64 length);
/* The ranges of a write or a trim; FALSE if it was ended. */
BOOLEAN fs_each_range(struct volume *volume, PIRP irp, fs_range_fn *fn,
                      void *context);
const void *fs_data_of(PIRP irp);

/* tend.c */
void fs_tend_init(struct volume *volume);
void fs_tend_soon(struct volume *volume);
/* With log_lock held; again: once more if it runs already. */
void fs_tend_soon_locked(struct volume *volume, BOOLEAN again);
/* At the end: its medium may leave. */
void fs_allow_removal(struct volume *volume);

/* What a volume is recognised by, in the head of its log on disk. */
struct fs_known {
    char key[sizeof(((struct volume *) 0)->key)];
    struct identity id;
};

/* commit.c: the log on disk */
void fs_commit_init(struct volume *volume);
static inline BOOLEAN
fs_on_disk(void)
{
    return fs.disk.commit != NULL;
}
/* Is a change, or a flush, that succeeded to wait for the log on disk before it
 * is acknowledged?  Then it is in its hands.  <= DISPATCH_LEVEL. */
BOOLEAN NTAPI fs_commit_done(struct volume *volume, PIRP irp);
/* A request whose flush of our own succeeded: TRUE as above. */
BOOLEAN fs_commit_flushed(struct volume *volume, PIRP irp);
/* With volume.lock held, before a change is sent: is the log on disk to be told
 * first, because it knows the volume by what will change? */
BOOLEAN NTAPI fs_intent_due_locked(struct volume *volume, PIRP irp);
/* Tells it, then sends the request again. */
void NTAPI fs_commit_intent(struct volume *volume, PIRP irp);
/* With log_lock held: a flush up to that epoch is done. */
void fs_commit_flush_due_locked(struct volume *volume, ULONG flushed);
/* Brings to disk what is due; waits for it. */
void fs_commit_now(struct volume *volume);
void fs_commit_soon(struct volume *volume);
/* Lets go of an empty log. */
void fs_commit_close(struct volume *volume);
ULONG64 fs_disk_live(struct volume *volume);
/* data.c: as if it had just come. */
void fs_send_first(struct volume *volume, PIRP irp);
/* replay.c: what the witness says, into WITNESS_MAX entries; mark: for a head
 * on disk. */
ULONG fs_copy_witness_locked(struct volume *volume,
                             struct fs_witness_entry *out, BOOLEAN mark);

/* replay.c */
/* A volume that settled in as REPLAYING: compares, replays, and sets what came
 * out.  STATUS_SUCCESS: MOUNTED, nobody was told yet; STATUS_WRONG_VOLUME:
 * CHANGED; otherwise what the drive said. */
NTSTATUS fs_resume(struct volume *volume);
/* Until whoever compares and replays is through. */
void fs_wait_for_resume(struct volume *volume);
/* Until it is not VOL_REPLAYING; its resume may not have begun. */
void fs_wait_for_outcome(struct volume *volume);
/* Compares, and changes nothing: STATUS_SUCCESS, it is what we knew, by so many
 * blocks, of which so many are on no blank medium; STATUS_WRONG_VOLUME;
 * otherwise what the drive said. */
struct fs_agreement {
    ULONG compared, telling;
};
NTSTATUS fs_probe_witness(struct volume *volume, PDEVICE_OBJECT target,
                          ULONG count, struct fs_agreement *out_agreed);
/* What the medium lacks goes to the keeper and is forgotten. */
NTSTATUS fs_keep(struct volume *volume, NTSTATUS why);
/* With resume_mutex held: empties the log. */
void fs_forget(struct volume *volume);

/* restore.c */
void fs_make_key(struct volume *volume);

/* clones.c: of volumes with one identity that are not verified to be anywhere */
/* The one whose witness agrees with this medium, or NULL: none, or there is
 * no choice.  Where identities cannot tell, it has to know something of it that
 * no blank medium has.  Otherwise what the drive said. */
NTSTATUS fs_choose_clone(const struct identity *seen, PDEVICE_OBJECT target,
                         ULONG count, struct volume **out_volume);
/* STATUS_WRONG_VOLUME: the medium is not what the volume knew, and is what
 * another one knows.  Otherwise as above. */
NTSTATUS fs_reject_clone(struct volume *volume, const struct identity *seen,
                         PDEVICE_OBJECT target, ULONG count);

/* TRUE: neither identity says anything, and the volume's witness does. */
NTSTATUS fs_told_by_witness(struct volume *volume, const struct identity *seen,
                            PDEVICE_OBJECT target, ULONG count,
                            BOOLEAN *out_told);

/* sight.c */
/* To be done again after so many milliseconds; 0: no need. */
ULONG fs_keep_in_sight(struct volume *volume);
void fs_sight_soon(struct volume *volume);

/* vpb.c */
PVPB fs_new_vpb(PDEVICE_OBJECT real);
/* Writes down what a person knows the volume by. */
void fs_label_vpb(struct volume *volume);

/* mount.c; between it and its neighbours: medium.h */
NTSTATUS fs_mount(PDEVICE_OBJECT target, PVPB vpb);
NTSTATUS fs_verify(struct volume *volume);

/* refresh.c */
void NTAPI fs_refresh_soon(struct volume *volume);
void fs_refresh_init(struct volume *volume);
NTSTATUS NTAPI fs_refresh(struct volume *volume);

static inline BOOLEAN
fs_ending(void)
{
    return __atomic_load_n(&fs.shutting_down, __ATOMIC_ACQUIRE);
}

#endif
