/*
 * medium.h - between the files that find out whose medium is in a drive
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_MEDIUM_H
#define FS_MEDIUM_H

#include "fs/fs_internal.h"

/* What the drive says of its medium and of itself. */
struct medium {
    ULONG count;
    ULONG64 size_bytes;
    ULONG block_bytes;
    BOOLEAN unchanged; /* the drive never changed it: nothing else was read */
    BOOLEAN read_only;
    BOOLEAN write_protected;
    BOOLEAN write_through;
    BOOLEAN can_trim;
    BOOLEAN trim_zeroes;
    BOOLEAN spare; /* its volume is as good as new, and this is it */
    PDEVICE_OBJECT left; /* borrowed: where its volume was before, or NULL */
    struct witness *witness; /* of what was read, if it can be written to */
    struct identity id;
};

/* What a verification expects. */
struct expected {
    ULONG count; /* under which it was verified last */
    ULONG64 size_bytes;
    ULONG block_bytes;
};

/* medium.c */
struct medium *fs_medium_new(void); /* NULL: no memory */
void fs_medium_free(struct medium *medium);
/* Fills a new medium.  expected: NULL for a mount; STATUS_WRONG_VOLUME: the
 * medium is of another size.  Otherwise what the drive said. */
NTSTATUS fs_look(PDEVICE_OBJECT real, PDEVICE_OBJECT target,
                 const struct expected *expected, struct medium *medium);
/* Of a medium that is certainly the volume's. */
NTSTATUS fs_read_identity(const struct volume *volume, PDEVICE_OBJECT target,
                          ULONG count, BOOLEAN read_only,
                          struct identity *out_id);

/* match.c */
/* Does this identity leave room for a person's word? */
BOOLEAN fs_may_vouch_for(const struct identity *seen);
/* What the volume, with its lock held, says to what was seen in a drive. */
enum identity_match fs_match_locked(struct volume *volume,
                                    const struct identity *seen,
                                    PDEVICE_OBJECT real, BOOLEAN may_vouch);
/* Of a volume that was changed elsewhere, in its drive: is what is there what it
 * was changed into, and no other volume's medium? */
BOOLEAN fs_is_still_changed(struct volume *volume, const struct identity *seen,
                            PDEVICE_OBJECT real);
/* The same for the one that was asked about; notes a change elsewhere unless
 * the volume was settled anew since `generation`. */
BOOLEAN fs_is_this(struct volume *volume, const struct identity *seen,
                   PDEVICE_OBJECT real, ULONG generation);
/* Blank media cannot be told from each other.  In this drive: a volume that
 * nobody has open, or has read or written anything of yet, and whose medium is
 * known to hold nothing, is as good as a new one, and any blank medium its own. */
BOOLEAN fs_is_spare_locked(const struct volume *volume,
                           const struct identity *seen, PDEVICE_OBJECT real);
/* The same of one that is not away. */
BOOLEAN fs_is_spare(struct volume *volume, const struct identity *seen,
                    PDEVICE_OBJECT real);
/* Has a person just said that what is in this drive is another volume? */
BOOLEAN fs_vouched_for_another(struct volume *volume,
                               const struct identity *seen,
                               PDEVICE_OBJECT real);

/* settle.c */
/* The medium is the volume's.  Takes the medium's witness if it has none of its
 * own.  FALSE: it was settled anew since `generation`, or is dismounted. */
BOOLEAN fs_settle_in(struct volume *volume, ULONG generation,
                     PDEVICE_OBJECT real, PDEVICE_OBJECT target,
                     struct medium *medium);
/* It stays changed elsewhere; FALSE: it was settled anew meanwhile. */
BOOLEAN fs_stay_changed(struct volume *volume, ULONG generation,
                        PDEVICE_OBJECT real, PDEVICE_OBJECT target,
                        ULONG count);
/* After that: compares, replays, clears the drive's flag.  STATUS_SUCCESS too if
 * it was changed elsewhere. */
NTSTATUS fs_finish_return(struct volume *volume, PDEVICE_OBJECT real,
                          PDEVICE_OBJECT target, ULONG count);

/* vpb.c */
/* The volume's own VPB goes to that drive; `brought` is freed if nobody has it.
 * out_left: the drive that it was taken from, if another. */
NTSTATUS fs_move_vpb(struct volume *volume, PDEVICE_OBJECT real, PVPB brought,
                     PDEVICE_OBJECT *out_left);

#endif
