/*
 * identity.h - what tells one volume from another
 *
 * Recognition is libblkid's, on a sparse memory file that holds the parts of
 * the medium it may want: the head, the tail, and the range that the boot
 * sector names.  What it does not know is told by a fingerprint.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_IDENTITY_H
#define FS_IDENTITY_H

#include <ntifs.h>

#define HEAD_BYTES  (64 * 1024)
#define HEAD_UNIT   512
#define HEAD_UNITS  (HEAD_BYTES / HEAD_UNIT)
#define PROBE_BYTES (1024 * 1024)
#define LOOKED_AT_MAX 12

struct identity {
    char type[32];              /* ext4, vfat, gpt, ...; unknown; blank */
    char uuid[96];
    char label[128];
    ULONG64 inner;              /* hash over the partitions' identities */
    ULONG64 size_bytes;
    ULONG block_bytes;
    BOOLEAN unknown;            /* told by its fingerprint alone */
    BOOLEAN blank;              /* not even that */
    BOOLEAN fixed;              /* read-only medium: the head counts too */
    BOOLEAN touched;            /* we wrote to what was looked at since */
    USHORT units;               /* of the fingerprint in use */
    USHORT ranges;              /* in use of the next */
    struct {
        ULONG64 at, end;
    } looked_at[LOOKED_AT_MAX]; /* what the identity was read from */
    ULONG64 head[HEAD_UNITS];   /* a hash for each unit of the head */
    ULONG64 plain[HEAD_UNITS / 64];         /* one byte repeated: says nothing */
    ULONG64 uncertain[HEAD_UNITS / 64];     /* written by us since */
};

/* Reads [offset, offset + length) of the medium into buffer. */
typedef NTSTATUS identity_read_fn(void *context, ULONG64 offset, void *buffer,
                                  ULONG length);

/* Statuses: what the reads said; STATUS_INSUFFICIENT_RESOURCES. */
NTSTATUS identity_read(identity_read_fn *read, void *context,
                       ULONG64 size_bytes, ULONG block_bytes,
                       BOOLEAN read_only, struct identity *out_id);

enum identity_match { ID_DIFFERENT, ID_SAME, ID_CANNOT_TELL };

/* Is what was seen now the volume that was known? */
enum identity_match identity_compare(const struct identity *known,
                                     const struct identity *seen);
/* Could a write there change what the volume is known by? */
BOOLEAN NTAPI identity_covers(const struct identity *id, ULONG64 offset,
                              ULONG64 length);
void NTAPI identity_touch(struct identity *id, ULONG64 offset,
                          ULONG64 length);

#endif
