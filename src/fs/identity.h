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

#define PROBE_BYTES    (1024 * 1024)
#define LOOKED_AT_MAX  12
#define PARTITIONS_MAX 8

/* The fingerprint: a hash for each unit of the head (the boot sector or table,
 * and every superblock that we know of, btrfs' at 64 KiB being the last), and
 * of the first units of each partition. */
#define PRINT_UNIT  512
#define HEAD_BYTES  (68 * 1024)
#define HEAD_UNITS  (HEAD_BYTES / PRINT_UNIT)
#define PART_UNITS  16
#define PRINT_UNITS (HEAD_UNITS + PARTITIONS_MAX * PART_UNITS)
#define PRINT_WORDS ((PRINT_UNITS + 63) / 64)

struct identity {
    char type[32];              /* ext4, vfat, gpt, ...; unknown; blank */
    char uuid[96];
    char label[128];
    ULONG64 size_bytes;
    ULONG block_bytes;
    BOOLEAN unknown;            /* told by its fingerprint alone */
    BOOLEAN blank;              /* not even that */
    BOOLEAN fixed;              /* read-only medium: the head counts too */
    BOOLEAN touched;            /* we wrote to what was looked at since */
    USHORT parts;               /* in use of the next */
    struct {
        ULONG64 at, size;
        ULONG64 inner;          /* hash over type, UUID and label */
        BOOLEAN touched;        /* we wrote to its first blocks since */
    } part[PARTITIONS_MAX];
    USHORT ranges;              /* in use of the next */
    struct {
        ULONG64 at, end;
    } looked_at[LOOKED_AT_MAX]; /* what the identity was read from */
    ULONG64 print[PRINT_UNITS];
    /* bit sets over the units */
    ULONG64 used[PRINT_WORDS];
    ULONG64 plain[PRINT_WORDS];         /* one byte repeated: says nothing */
    ULONG64 uncertain[PRINT_WORDS];     /* written by us since */
};

/* Reads [offset, offset + length) of the medium into buffer. */
typedef NTSTATUS identity_read_fn(void *context, ULONG64 offset, void *buffer,
                                  ULONG length);

/* Statuses: what the reads said; STATUS_INSUFFICIENT_RESOURCES. */
NTSTATUS identity_read(identity_read_fn *read, void *context,
                       ULONG64 size_bytes, ULONG block_bytes,
                       BOOLEAN read_only, struct identity *out_id);

enum identity_match {
    ID_DIFFERENT,
    ID_SAME,
    ID_CANNOT_TELL,             /* nothing speaks for it, or against it */
    ID_CHANGED,                 /* equal numbers over another content */
};

/*
 * Is what was seen now the volume that was known?  Equal numbers are not
 * enough: what we did not write ourselves since must also be what it was.
 * ID_CHANGED is a copy, or the same medium written to elsewhere; a person
 * decides.
 */
enum identity_match identity_compare(const struct identity *known,
                                     const struct identity *seen);
/* Could a write there change what the volume is known by? */
BOOLEAN NTAPI identity_covers(const struct identity *id, ULONG64 offset,
                              ULONG64 length);
void NTAPI identity_touch(struct identity *id, ULONG64 offset,
                          ULONG64 length);

#endif
