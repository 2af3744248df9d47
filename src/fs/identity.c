/*
 * identity.c - reading and comparing the identity of a volume
 *
 * Pure but for the reads, which go through the caller's function (and so
 * through the whole driver stack), and a memory file for libblkid.  No locks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/identity.h"

#include <blkid/blkid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TAIL_BYTES      (256 * 1024)
#define RANGE_BYTES     (64 * 1024)
#define PARTITION_BYTES (128 * 1024)

struct source {
    identity_read_fn *read;
    void *context;
    ULONG64 size_bytes;
    ULONG block_bytes;
    struct identity *id;
    int file;     /* the sparse copy */
    char *buffer; /* PROBE_BYTES */
};

static ULONG64
hash_bytes(ULONG64 hash, const void *data, size_t len)
{
    const unsigned char *p = data;

    /* FNV-1a, eight bytes at a time, folded so that high bits spread. */
    for (; len >= 8; p += 8, len -= 8) {
        ULONG64 word;

        memcpy(&word, p, 8);
        hash = (hash ^ word) * 0x100000001B3ull;
        hash ^= hash >> 29;
    }
    for (; len > 0; p++, len--)
        hash = (hash ^ *p) * 0x100000001B3ull;
    return hash;
}

#define HASH_START 0xCBF29CE484222325ull

/* --- the sparse copy -------------------------------------------------------- */

/* Copies a range, widened to whole blocks and cut to the medium. */
static NTSTATUS
copy_range(struct source *s, ULONG64 offset, ULONG64 length)
{
    ULONG64 end = offset + length;
    NTSTATUS status = STATUS_SUCCESS;

    if (offset >= s->size_bytes || end < offset)
        return STATUS_SUCCESS;
    offset -= offset % s->block_bytes;
    end = (end + s->block_bytes - 1) / s->block_bytes * s->block_bytes;
    if (end > s->size_bytes)
        end = s->size_bytes;
    if (s->id->ranges < LOOKED_AT_MAX) {
        s->id->looked_at[s->id->ranges].at = offset;
        s->id->looked_at[s->id->ranges++].end = end;
    }
    while (offset < end && NT_SUCCESS(status)) {
        ULONG part =
            end - offset < PROBE_BYTES ? (ULONG) (end - offset) : PROBE_BYTES;

        status = s->read(s->context, offset, s->buffer, part);
        if (NT_SUCCESS(status) &&
            pwrite(s->file, s->buffer, part, (off_t) offset) != (ssize_t) part)
            status = STATUS_INSUFFICIENT_RESOURCES;
        offset += part;
    }
    return status;
}

static ULONG64
le(const unsigned char *p, int bytes)
{
    ULONG64 v = 0;

    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

/* Where the boot sector says that the label or the rest of the superblock is;
 * 0 when it says nothing. */
static ULONG64
named_range(const unsigned char *boot)
{
    ULONG64 sector = le(boot + 11, 2), cluster = boot[13] * sector;

    if (memcmp(boot + 3, "EXFAT   ", 8) == 0 && boot[108] <= 12 &&
        boot[109] <= 25 - boot[108])
        return (le(boot + 88, 4) << boot[108]) +
               ((le(boot + 96, 4) - 2) << (boot[108] + boot[109]));
    if (memcmp(boot + 3, "NTFS    ", 8) == 0 && cluster != 0 &&
        le(boot + 48, 8) < 1ull << 40)
        return le(boot + 48, 8) * cluster;
    if (memcmp(boot + 82, "FAT32   ", 8) == 0 && cluster != 0)
        return (le(boot + 14, 2) + boot[16] * le(boot + 36, 4)) * sector +
               (le(boot + 44, 4) - 2) * cluster;
    return 0;
}

static void
set_bit(ULONG64 *bits, unsigned unit)
{
    bits[unit / 64] |= 1ull << unit % 64;
}

static BOOLEAN
has_bit(const ULONG64 *bits, unsigned unit)
{
    return (bits[unit / 64] >> unit % 64 & 1) != 0;
}

/* Takes the fingerprint of `count` units of the copy from offset on. */
static NTSTATUS
take_prints(struct source *s, ULONG64 offset, unsigned first, unsigned count,
            struct identity *id)
{
    char unit[PRINT_UNIT];

    for (unsigned i = first; i < first + count; i++, offset += sizeof unit) {
        if (offset + sizeof unit > s->size_bytes)
            break;
        if (pread(s->file, unit, sizeof unit, (off_t) offset) !=
            (ssize_t) sizeof unit)
            return STATUS_INSUFFICIENT_RESOURCES;
        id->print[i] = hash_bytes(HASH_START, unit, sizeof unit);
        set_bit(id->used, i);
        if (memcmp(unit, unit + 1, sizeof unit - 1) == 0)
            set_bit(id->plain, i);
        else
            id->blank = FALSE;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS
fill_copy(struct source *s, struct identity *id)
{
    unsigned char boot[512] = { 0 };
    NTSTATUS status = copy_range(s, 0, PROBE_BYTES);

    id->blank = TRUE;
    if (NT_SUCCESS(status))
        status = take_prints(s, 0, 0, HEAD_UNITS, id);
    if (!NT_SUCCESS(status))
        return status;
    if (pread(s->file, boot, sizeof boot, 0) < 0)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (s->size_bytes > PROBE_BYTES) {
        ULONG64 tail = s->size_bytes - PROBE_BYTES < TAIL_BYTES
                           ? s->size_bytes - PROBE_BYTES
                           : TAIL_BYTES;

        status = copy_range(s, s->size_bytes - tail, tail);
        if (NT_SUCCESS(status) && named_range(boot) >= PROBE_BYTES)
            status = copy_range(s, named_range(boot), RANGE_BYTES);
    }
    return status;
}

/* --- recognition -------------------------------------------------------------- */

static void
take(blkid_probe probe, const char *name, char *out, size_t max)
{
    const char *value = NULL;

    if (blkid_probe_lookup_value(probe, name, &value, NULL) == 0)
        snprintf(out, max, "%s", value);
}

/* Trailing blanks of a label are padding. */
static void
trim(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == ' ')
        text[--len] = '\0';
}

/* One probe of a range of the copy; FALSE when nothing was recognised. */
static BOOLEAN
probe_range(struct source *s, ULONG64 offset, ULONG64 size, BOOLEAN tables,
            struct identity *id)
{
    blkid_probe probe = blkid_new_probe();
    BOOLEAN found = FALSE;

    if (probe == NULL)
        return FALSE;
    if (blkid_probe_set_device(probe, s->file, (blkid_loff_t) offset,
                               (blkid_loff_t) size) == 0) {
        blkid_probe_set_sectorsize(probe, s->block_bytes);
        blkid_probe_enable_superblocks(probe, 1);
        blkid_probe_set_superblocks_flags(
            probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL);
        blkid_probe_enable_partitions(probe, tables);
        if (blkid_do_safeprobe(probe) == 0) {
            take(probe, "TYPE", id->type, sizeof id->type);
            take(probe, "UUID", id->uuid, sizeof id->uuid);
            take(probe, "LABEL", id->label, sizeof id->label);
            if (id->type[0] == '\0') {
                take(probe, "PTTYPE", id->type, sizeof id->type);
                take(probe, "PTUUID", id->uuid, sizeof id->uuid);
            }
            trim(id->label);
            found = id->type[0] != '\0';
        }
    }
    blkid_free_probe(probe);
    return found;
}

struct extent {
    ULONG64 offset, size;
};

static unsigned
list_partitions(struct source *s, struct extent *out)
{
    blkid_probe probe = blkid_new_probe();
    blkid_partlist list;
    unsigned n = 0;

    if (probe == NULL)
        return 0;
    if (blkid_probe_set_device(probe, s->file, 0,
                               (blkid_loff_t) s->size_bytes) == 0) {
        blkid_probe_set_sectorsize(probe, s->block_bytes);
        blkid_probe_enable_partitions(probe, 1);
        list = blkid_probe_get_partitions(probe);
        for (int i = 0; list != NULL && n < PARTITIONS_MAX &&
                        i < blkid_partlist_numof_partitions(list);
             i++) {
            blkid_partition p = blkid_partlist_get_partition(list, i);
            ULONG64 at = (ULONG64) blkid_partition_get_start(p) * 512;
            ULONG64 len = (ULONG64) blkid_partition_get_size(p) * 512;

            if (at < s->size_bytes && len <= s->size_bytes - at)
                out[n++] = (struct extent){ at, len };
        }
    }
    blkid_free_probe(probe);
    return n;
}

static ULONG64
part_look(ULONG64 size)
{
    return size < PARTITION_BYTES ? size : PARTITION_BYTES;
}

static NTSTATUS
probe_partition(struct source *s, unsigned i, struct identity *id)
{
    struct identity *in = calloc(1, sizeof *in);
    ULONG64 at = id->part[i].at, inner = HASH_START;
    ULONG64 units = part_look(id->part[i].size) / PRINT_UNIT;
    NTSTATUS status;

    if (in == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = copy_range(s, at, part_look(id->part[i].size));
    if (NT_SUCCESS(status)) {
        probe_range(s, at, id->part[i].size, FALSE, in);
        inner = hash_bytes(inner, in->type, strlen(in->type) + 1);
        inner = hash_bytes(inner, in->uuid, strlen(in->uuid) + 1);
        inner = hash_bytes(inner, in->label, strlen(in->label));
        id->part[i].inner = inner;
        if (id->label[0] == '\0')
            memcpy(id->label, in->label, sizeof id->label);
        status =
            take_prints(s, at, HEAD_UNITS + i * PART_UNITS,
                        units < PART_UNITS ? (unsigned) units : PART_UNITS, id);
    }
    free(in);
    return status;
}

/* A partitioned medium is known by its table and by what is in it. */
static NTSTATUS
probe_partitions(struct source *s, struct identity *id)
{
    struct extent part[PARTITIONS_MAX];
    unsigned n = list_partitions(s, part);
    NTSTATUS status = STATUS_SUCCESS;

    id->parts = (USHORT) n;
    for (unsigned i = 0; i < n && NT_SUCCESS(status); i++) {
        id->part[i].at = part[i].offset;
        id->part[i].size = part[i].size;
        status = probe_partition(s, i, id);
    }
    return status;
}

static NTSTATUS
recognise(struct source *s, struct identity *id)
{
    NTSTATUS status = fill_copy(s, id);

    if (!NT_SUCCESS(status))
        return status;
    if (probe_range(s, 0, s->size_bytes, TRUE, id)) {
        BOOLEAN table =
            strcmp(id->type, "gpt") == 0 || strcmp(id->type, "dos") == 0;

        id->blank = FALSE;
        if (table)
            status = probe_partitions(s, id);
        /* Without any number of its own, the head has to tell. */
        id->unknown = id->uuid[0] == '\0';
        return status;
    }
    id->unknown = TRUE;
    snprintf(id->type, sizeof id->type, id->blank ? "blank" : "unknown");
    return status;
}

NTSTATUS
identity_read(identity_read_fn *read, void *context, ULONG64 size_bytes,
              ULONG block_bytes, BOOLEAN read_only, struct identity *out_id)
{
    struct identity *id = calloc(1, sizeof *id);
    struct source s = { read, context, size_bytes, block_bytes, id, -1, NULL };
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    s.buffer = aligned_alloc(4096, PROBE_BYTES);
    s.file = memfd_create("identity", MFD_CLOEXEC);
    if (id != NULL && s.buffer != NULL && s.file >= 0 &&
        ftruncate(s.file, (off_t) size_bytes) == 0) {
        id->size_bytes = size_bytes;
        id->block_bytes = block_bytes;
        id->fixed = read_only;
        status = recognise(&s, id);
        if (NT_SUCCESS(status))
            *out_id = *id;
    }
    if (s.file >= 0)
        close(s.file);
    free(s.buffer);
    free(id);
    return status;
}

/* --- comparison ------------------------------------------------------------------ */

/* Are the units that this one belongs to in the same place on both?  A new
 * partition table of our own moves those of partitions. */
static BOOLEAN
comparable(const struct identity *known, const struct identity *seen,
           unsigned unit)
{
    unsigned i = unit < HEAD_UNITS ? 0 : (unit - HEAD_UNITS) / PART_UNITS;

    return unit < HEAD_UNITS || (i < known->parts && i < seen->parts &&
                                 known->part[i].at == seen->part[i].at);
}

/* Of what is not uncertain: all equal, and something that says anything? */
static enum identity_match
compare_prints(const struct identity *known, const struct identity *seen)
{
    unsigned certain = 0;

    for (unsigned i = 0; i < PRINT_UNITS; i++) {
        if (!has_bit(known->used, i) || has_bit(known->uncertain, i) ||
            !comparable(known, seen, i))
            continue;
        if (!has_bit(seen->used, i) || known->print[i] != seen->print[i])
            return ID_DIFFERENT;
        certain += !has_bit(known->plain, i);
    }
    return certain > 0 ? ID_SAME : ID_CANNOT_TELL;
}

/* Partitions are where they were, and hold what they held, but for those that
 * we wrote to ourselves: a mkfs in there is ours. */
static BOOLEAN
same_partitions(const struct identity *known, const struct identity *seen)
{
    if (known->parts != seen->parts)
        return FALSE;
    for (unsigned i = 0; i < known->parts; i++)
        if (known->part[i].at != seen->part[i].at ||
            known->part[i].size != seen->part[i].size ||
            (known->part[i].inner != seen->part[i].inner &&
             !known->part[i].touched))
            return FALSE;
    return TRUE;
}

/* The label of a partitioned medium is one of its partitions'. */
static BOOLEAN
same_names(const struct identity *known, const struct identity *seen)
{
    return strcmp(known->type, seen->type) == 0 &&
           strcmp(known->uuid, seen->uuid) == 0 &&
           (known->parts > 0 || strcmp(known->label, seen->label) == 0) &&
           same_partitions(known, seen);
}

enum identity_match
identity_compare(const struct identity *known, const struct identity *seen)
{
    enum identity_match match;

    if (known->size_bytes != seen->size_bytes ||
        known->block_bytes != seen->block_bytes)
        return ID_DIFFERENT;
    match = compare_prints(known, seen);
    if (known->unknown)
        /* Blank media all look alike. */
        return match == ID_SAME && known->blank ? ID_CANNOT_TELL : match;
    if (!same_names(known, seen))
        /* We may have made it what it is now, and not have looked since. */
        return known->touched && match != ID_DIFFERENT ? ID_CANNOT_TELL
                                                       : ID_DIFFERENT;
    /* The "UUID" of an ISO image is a time of day, and nobody writes to it.  What
     * is merely write-protected now may have been written to elsewhere. */
    if (known->fixed && seen->fixed &&
        (strcmp(known->type, "iso9660") == 0 ||
         strcmp(known->type, "udf") == 0))
        return match;
    if (match == ID_CANNOT_TELL)
        return ID_SAME; /* the numbers agree, the rest we wrote */
    return match == ID_SAME ? ID_SAME : ID_CHANGED;
}

BOOLEAN NTAPI
identity_covers(const struct identity *id, ULONG64 offset, ULONG64 length)
{
    for (unsigned i = 0; i < id->ranges; i++)
        if (offset < id->looked_at[i].end &&
            offset + length > id->looked_at[i].at)
            return TRUE;
    return FALSE;
}

/* Marks those of `count` units from byte `at` on that the write overlaps. */
static void
touch_units(struct identity *id, unsigned first, unsigned count, ULONG64 at,
            const struct extent *write)
{
    ULONG64 end = write->offset + write->size;
    ULONG64 i = write->offset > at ? (write->offset - at) / PRINT_UNIT : 0;

    for (; i < count && at + i * PRINT_UNIT < end; i++)
        set_bit(id->uncertain, first + (unsigned) i);
}

void NTAPI
identity_touch(struct identity *id, ULONG64 offset, ULONG64 length)
{
    const struct extent write = { offset, length };

    id->touched = TRUE;
    touch_units(id, 0, HEAD_UNITS, 0, &write);
    for (unsigned i = 0; i < id->parts; i++) {
        ULONG64 at = id->part[i].at;

        if (offset >= at + part_look(id->part[i].size) || offset + length <= at)
            continue;
        id->part[i].touched = TRUE;
        touch_units(id, HEAD_UNITS + i * PART_UNITS, PART_UNITS, at, &write);
    }
}
