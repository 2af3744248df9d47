/*
 * fs.h - the volume file system, as the rest of the system sees it
 *
 * A volume is what is on a medium, known by its identity; it lives on while
 * its medium is away.  Requests for it are IRPs to its volume device object.
 *
 * Context: PASSIVE_LEVEL unless said.  Volumes are never freed before
 * fs_shutdown, so a struct volume pointer stays valid.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <ntifs.h>

struct volume;

enum vol_state {
    VOL_MOUNTED,                   /* verified: requests go to its drive */
    VOL_VERIFYING,                 /* a change may have happened */
    VOL_EJECTING,                  /* let out; requests wait for the end */
    VOL_ABSENT,                    /* in no drive that we know of */
    VOL_REPLAYING,                 /* compared, and written what it lacks */
    VOL_CHANGED,                   /* there, but written to elsewhere */
    VOL_CANCELLED,                 /* absent, nobody brings it, lacks nothing */
    VOL_DISMOUNTED,                /* for good */
    VOL_UNMOUNTED,                 /* new, not yet in any list */
    VOL_STATES
};

const char *fs_state_name(enum vol_state state);

/* In no drive: somebody has to bring it. */
static inline BOOLEAN
fs_state_away(enum vol_state state)
{
    return state == VOL_ABSENT || state == VOL_CANCELLED;
}

/* Who finds out that a volume can be had again: see outcome.def. */
enum fs_again { FS_AGAIN_EVENT, FS_AGAIN_LOOK, FS_AGAIN_SEND };
/* Of the reason why a volume is away, or of what its requests wait for. */
enum fs_again fs_again(NTSTATUS reason);

/* One way from a state to another: who takes it, and when. */
struct fs_arrow {
    enum vol_state from, to;
    const char *who, *when;
};

const struct fs_arrow *fs_arrows(size_t *out_count);

DRIVER_INITIALIZE fs_driver_entry;

/* In the location's Flags of a trim that is sent to a volume: the blocks must
 * read as zeroes afterwards; STATUS_NOT_SUPPORTED where the drive does not
 * promise it. */
#define FS_SL_MUST_ZERO 0x40

/* Told of every change of state, on the thread that made it, with no lock
 * held; must not wait for I/O.  news FALSE: it was told to be mounted in that
 * drive, or to be away, already, and nothing else since. */
typedef void fs_observer_fn(void *context, struct volume *volume,
                            enum vol_state state, BOOLEAN news);
void fs_set_observer(fs_observer_fn *fn, void *context);
/* Told that a volume was found in another drive than this one, which has none
 * now, whatever is in it: it is to be looked at.  The device may be gone by
 * then, it is a name.  PASSIVE_LEVEL, under the other drive's DeviceLock: must
 * not wait. */
typedef void fs_vacated_fn(void *context, PDEVICE_OBJECT drive);
void fs_set_vacated(fs_vacated_fn *fn, void *context);

struct fs_volume_info {
    char type[32];
    char uuid[96];
    char label[128];
    char key[96];                  /* UUID when it was first seen, or such */
    ULONG64 size_bytes;
    ULONG block_bytes;
    ULONG running;                 /* requests below it now */
    enum vol_state state;
    NTSTATUS reason;               /* while absent: why */
    PDEVICE_OBJECT drive;          /* where it is, or was last seen */
    ULONG media_count;             /* ... and its media change count then */
    ULONG64 since_ms;              /* clock_coarse_ms at the last change */
    BOOLEAN read_only;
    BOOLEAN can_trim;
    BOOLEAN trim_zeroes;
    BOOLEAN duplicate;             /* an equal volume was mounted already */
    BOOLEAN dismounted;            /* for good: it is in no list any more */
    ULONG64 unflushed_bytes;       /* acknowledged, and not yet on the medium */
    ULONG replays;                 /* how often such data were written again */
    BOOLEAN changed_elsewhere;     /* that is why it is not mounted */
};

void fs_volume_info(struct volume *volume, struct fs_volume_info *out_info);
/* Calls fn for each volume, oldest first, until it returns FALSE.  Dismounted
 * ones (FSCTL_DISMOUNT_VOLUME) are left out. */
void fs_each_volume(BOOLEAN (*fn)(void *context, struct volume *volume),
                    void *context);
PDEVICE_OBJECT fs_volume_device(struct volume *volume);
PVPB fs_volume_vpb(struct volume *volume);
/* The volume that a VPB belongs to, or NULL. */
struct volume *fs_volume_of(PVPB vpb);
/* The volume that is mounted on a drive now, or NULL. */
struct volume *fs_volume_on(PDEVICE_OBJECT drive);

/* Whoever serves a volume without an open file holds it with a pin, so that
 * nobody can lock it; FALSE: somebody has. */
BOOLEAN fs_volume_pin(struct volume *volume, BOOLEAN pin);

/* Is a drive known to announce every new medium?  Of others, a medium that
 * nothing tells from another is kept in sight while somebody has it open: it is
 * read from more often than anybody can exchange it.  NULL: none is. */
typedef BOOLEAN fs_announces_fn(void *context, PDEVICE_OBJECT drive);
void fs_set_announces(fs_announces_fn *fn, void *context);
/* Is it so just now?  Then no other medium can be in its place. */
BOOLEAN fs_volume_in_sight(struct volume *volume);

/*
 * What a volume is known by, for who keeps it while the service is not there.
 * fs_volume_record: how long it is, at most FS_RECORD_MAX; 0: no memory.
 * fs_volume_restore: the volume is there, absent, last seen in `drive`, until
 * its medium comes; STATUS_OBJECT_NAME_COLLISION: it was there already;
 * STATUS_FILE_CORRUPT_ERROR: no record.
 */
#define FS_RECORD_MAX 4096
ULONG fs_volume_record(struct volume *volume, UCHAR *out_record);
NTSTATUS fs_volume_restore(PDEVICE_OBJECT drive, const UCHAR *record,
                           ULONG length, struct volume **out_volume);
/* A name that stays: fs_volume_info.key.  NULL: none has it. */
struct volume *fs_volume_with_key(const char *key);

/* The drive said that its medium left, or does not answer: asks it, and lets
 * its volume wait.  FALSE: it could not be asked, or has a medium by now, which
 * others may have looked for too early: whoever asked looks again. */
BOOLEAN fs_media_gone(PDEVICE_OBJECT drive);
/* The drive itself was taken away; what is open of it stays until it is closed,
 * and so does the device. */
void fs_drive_gone(PDEVICE_OBJECT drive);
/* It is absent, and nothing on the medium in its drive tells whether it is that
 * one: only a person may know. */
BOOLEAN fs_is_untold(struct volume *volume);
/* A person says that the medium now in the volume's drive is the right one: a
 * medium that cannot be recognised (blank, unknown) is accepted once, if
 * nothing speaks against it.  Tries at once; TRUE when the volume is back. */
BOOLEAN fs_try_again(struct volume *volume);
/* How far an eject came. */
enum fs_eject_step {
    FS_EJECT_WAIT,                 /* for requests, a verification, a replay */
    FS_EJECT_VERIFY,               /* the drive reported a change */
    FS_EJECT_FLUSH,
    FS_EJECT_OPEN
};
/* Lets running requests end, flushes, opens the drive.  Requests that come
 * meanwhile wait.  Otherwise why not: STATUS_DEVICE_BUSY, somebody goes on with
 * the medium; STATUS_WRONG_VOLUME, another one is in; STATUS_FILE_INVALID, it
 * was changed elsewhere; STATUS_MEDIA_CHANGED, again and again; what the drive
 * said at that step.  out_step may be NULL. */
NTSTATUS fs_eject(PDEVICE_OBJECT drive, enum fs_eject_step *out_step);

/* --- what is acknowledged and not yet on the medium ------------------------- */

struct fs_limits {
    ULONG64 unflushed_bytes;       /* per volume; 0: write through */
    ULONG64 unflushed_total_bytes;
    ULONG flush_idle_ms;           /* without a write, then it is flushed; 0:
                                    * not for that */
};

/* Before volumes are mounted. */
void fs_set_limits(const struct fs_limits *limits);

/* What is known of a block: any of the states, the last is the newest. */
struct fs_witness_entry {
    ULONG64 at;
    ULONG states;
    ULONG64 hash[4];
};

/* What a volume's medium still lacks, handed to who can keep it. */
struct fs_lack {
    struct volume *volume;
    NTSTATUS why;
    const struct fs_witness_entry *witness;
    ULONG witness_count;
    void *log;                     /* its log on disk, or NULL: see
                                    * fs_log_disk; it does not change meanwhile */
};

typedef NTSTATUS fs_run_fn(void *context, ULONG64 offset, const void *data,
                           ULONG length);
/* Runs in the order of the medium, up to 1 MiB each, until one is no success. */
NTSTATUS fs_lack_each(const struct fs_lack *lack, fs_run_fn *fn,
                      void *context);
/* May wait for a disk file.  Success only when all of it is safely on disk:
 * then it is forgotten here. */
typedef NTSTATUS fs_keeper_fn(void *context, const struct fs_lack *lack);
void fs_set_keeper(fs_keeper_fn *fn, void *context);
/* Nobody waits for the medium any more: what it lacks goes to the keeper, and
 * the volume is CANCELLED.  If that fails, it stays in memory.  Nothing happens
 * to a mounted volume. */
void fs_give_up(struct volume *volume, NTSTATUS why);
/* A person is asked for it again: CANCELLED is ABSENT. */
void fs_wanted(struct volume *volume);
/* What a client knows of the volume may be stale once it is used as it is: TRUE
 * for a request of a client that has not opened it anew.  With the volume's lock
 * held; asked of volumes alone that were used so. */
typedef BOOLEAN fs_stale_fn(PIRP irp);
void fs_set_stale(fs_stale_fn *fn);
/*
 * A request that waits because its drive did not answer is about to be sent
 * again: when it does not come back to wait, fn is told, before it completes,
 * at <= DISPATCH_LEVEL.  answered FALSE: it was cancelled.  fs_try_one FALSE:
 * another one of that volume is on its way.
 */
typedef void fs_tried_fn(PIRP irp, BOOLEAN answered);
void fs_set_tried(fs_tried_fn *fn);
BOOLEAN fs_try_one(PIRP irp);
/* It was not sent after all; fn is not told. */
void fs_try_none(PIRP irp);
/* A person wants the volume as it is now, with what was done to it elsewhere:
 * what it lacks goes to the keeper, and it is mounted.  What was asked of it as
 * it was fails with STATUS_FILE_INVALID (files opened before; fs_set_stale).
 * What the keeper said; STATUS_WRONG_VOLUME: still not the volume. */
NTSTATUS fs_use_as_it_is(struct volume *volume);

/* --- the log on disk ---------------------------------------------------------- */

enum fs_record_kind { FS_RECORD_DATA, FS_RECORD_ZEROES, FS_RECORD_DROP };

struct fs_record {
    enum fs_record_kind kind;
    ULONG64 offset, length;
    const void *data;              /* of DATA */
    ULONG epoch;
};

/* What the volume is known by.  identity: bytes to be given back as they are. */
struct fs_log_head {
    const void *identity;
    ULONG identity_bytes;
    const struct fs_witness_entry *witness;
    ULONG witness_count;
};

struct fs_log_batch {
    const struct fs_record *records;
    ULONG count;
    const struct fs_log_head *head; /* NULL: as it was, and no flush */
    BOOLEAN flush;                 /* records up to epoch `flushed` are void */
    ULONG flushed;
};

struct fs_log_state {
    ULONG64 live_bytes;            /* of records that still count */
    BOOLEAN filling;               /* it should be flushed soon */
    BOOLEAN stale;                 /* it holds what a flush has covered, would be
                                    * replayed, and cannot be made void */
    BOOLEAN untold;                /* a flush was not put down, nor the log made
                                    * void, for newer records in it count */
};

/* Who keeps logs on disk.  *log is the keeper's, one per volume, NULL at first.
 * Called at PASSIVE_LEVEL, for one volume once at a time; may wait for a disk.
 * Success: all of it is on disk. */
struct fs_log_disk {
    void *context;
    NTSTATUS (*commit)(void *context, struct volume *volume, void **log,
                       const struct fs_log_batch *batch,
                       struct fs_log_state *out_state);
    void (*close)(void *context, struct volume *volume, void **log);
};
/* Is the volume's log so?  Then the volume takes no changes until it is not. */
BOOLEAN fs_log_stale(struct volume *volume);
/* Before volumes are mounted.  NULL: there is none. */
void fs_set_log_disk(const struct fs_log_disk *disk);

/*
 * A volume that is known from its log alone: absent, last seen in `drive`.
 * Begin, a call for each record in their order, then end; before anything is
 * mounted.  STATUS_INVALID_PARAMETER: the identity is none of ours.  good FALSE:
 * nothing is left of it, and its log is the caller's again.
 */
NTSTATUS fs_known_begin(PDEVICE_OBJECT drive, const struct fs_log_head *head,
                        ULONG64 live_bytes, struct volume **out_volume);
NTSTATUS fs_known_record(struct volume *volume, const struct fs_record *record);
void fs_known_end(struct volume *volume, void *log, BOOLEAN good);
/* The epoch that the records of such a volume get. */
#define FS_KNOWN_EPOCH 1

/* Every request that waits here fails, and all that come later. */
void fs_shutdown(void);
/* After fs_shutdown: flushes the volume if it is mounted; what cannot be flushed
 * goes to the keeper. */
void fs_unflushed_last(struct volume *volume);
/* After fs_shutdown, with no request and no worker left: takes every volume off
 * its drive and frees it. */
void fs_dismount_all(void);

#endif
