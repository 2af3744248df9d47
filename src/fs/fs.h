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

enum vol_state { VOL_MOUNTED, VOL_VERIFYING, VOL_EJECTING, VOL_ABSENT };

DRIVER_INITIALIZE fs_driver_entry;

/* In the location's Flags of a trim that is sent to a volume: the blocks must
 * read as zeroes afterwards; STATUS_NOT_SUPPORTED where the drive does not
 * promise it. */
#define FS_SL_MUST_ZERO 0x40

/* Told of every change of state, on the thread that made it, with no lock
 * held; must not wait for I/O. */
typedef void fs_observer_fn(void *context, struct volume *volume,
                            enum vol_state state);
void fs_set_observer(fs_observer_fn *fn, void *context);

struct fs_volume_info {
    char type[32];
    char uuid[96];
    char label[128];
    ULONG64 size_bytes;
    ULONG block_bytes;
    enum vol_state state;
    NTSTATUS reason;               /* while absent: why */
    PDEVICE_OBJECT drive;          /* where it is, or was last seen */
    ULONG64 since_ms;              /* clock_coarse_ms at the last change */
    BOOLEAN read_only;
    BOOLEAN can_trim;
    BOOLEAN trim_zeroes;
    BOOLEAN duplicate;             /* an equal volume was mounted already */
    BOOLEAN dismounted;            /* for good: it is in no list any more */
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

/* The drive said that its medium left: asks it, and lets its volume wait. */
void fs_media_gone(PDEVICE_OBJECT drive);
/* A person says that the medium now in the volume's drive is the right one: a
 * medium that cannot be recognised (blank, unknown) is accepted once, if
 * nothing speaks against it.  Tries at once; TRUE when the volume is back. */
BOOLEAN fs_try_again(struct volume *volume);
/* Lets running requests end, flushes, opens the drive.  Requests that come
 * meanwhile wait. */
NTSTATUS fs_eject(PDEVICE_OBJECT drive);
/* Every request that waits here fails, and all that come later. */
void fs_shutdown(void);
/* After fs_shutdown, with no request and no worker left: takes every volume off
 * its drive and frees it. */
void fs_dismount_all(void);

#endif
