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
#define PARTITIONS_MAX  8

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

static NTSTATUS
fill_copy(struct source *s, struct identity *id)
{
    unsigned char boot[512] = { 0 };
    char unit[HEAD_UNIT];
    BOOLEAN blank = TRUE;
    NTSTATUS status = copy_range(s, 0, PROBE_BYTES);

    if (!NT_SUCCESS(status))
        return status;
    for (unsigned i = 0; i < HEAD_UNITS; i++) {
        if ((ULONG64) (i + 1) * HEAD_UNIT > s->size_bytes)
            break;
        if (pread(s->file, unit, sizeof unit, i * HEAD_UNIT) != HEAD_UNIT)
            return STATUS_INSUFFICIENT_RESOURCES;
        id->head[i] = hash_bytes(HASH_START, unit, sizeof unit);
        if (memcmp(unit, unit + 1, sizeof unit - 1) == 0)
            id->plain[i / 64] |= 1ull << i % 64;
        else
            blank = FALSE;
        id->units = (USHORT) (i + 1);
    }
    id->blank = blank;
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

/* A partitioned medium is known by its table and by what is in it. */
static NTSTATUS
probe_partitions(struct source *s, struct identity *id)
{
    struct extent part[PARTITIONS_MAX];
    unsigned n = list_partitions(s, part);

    id->inner = HASH_START;
    for (unsigned i = 0; i < n; i++) {
        struct identity *in = calloc(1, sizeof *in);
        NTSTATUS status;

        if (in == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = copy_range(s, part[i].offset,
                            part[i].size < PARTITION_BYTES ? part[i].size
                                                           : PARTITION_BYTES);
        if (!NT_SUCCESS(status)) {
            free(in);
            return status;
        }
        probe_range(s, part[i].offset, part[i].size, FALSE, in);
        id->inner = hash_bytes(id->inner, &part[i], sizeof part[i]);
        id->inner = hash_bytes(id->inner, in->type, strlen(in->type));
        id->inner = hash_bytes(id->inner, in->uuid, strlen(in->uuid));
        if (id->label[0] == '\0')
            memcpy(id->label, in->label, sizeof id->label);
        free(in);
    }
    return STATUS_SUCCESS;
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

static BOOLEAN
has_bit(const ULONG64 *bits, unsigned unit)
{
    return (bits[unit / 64] >> unit % 64 & 1) != 0;
}

static enum identity_match
compare_heads(const struct identity *known, const struct identity *seen)
{
    unsigned certain = 0;

    if (known->units != seen->units)
        return ID_DIFFERENT;
    for (unsigned i = 0; i < known->units; i++) {
        if (has_bit(known->uncertain, i))
            continue;
        if (known->head[i] != seen->head[i])
            return ID_DIFFERENT;
        certain += !has_bit(known->plain, i);
    }
    return certain > 0 ? ID_SAME : ID_CANNOT_TELL;
}

enum identity_match
identity_compare(const struct identity *known, const struct identity *seen)
{
    if (known->size_bytes != seen->size_bytes ||
        known->block_bytes != seen->block_bytes)
        return ID_DIFFERENT;
    if (known->unknown) {
        enum identity_match match = compare_heads(known, seen);

        /* Blank media all look alike. */
        return match == ID_SAME && known->blank ? ID_CANNOT_TELL : match;
    }
    if (strcmp(known->type, seen->type) != 0 ||
        strcmp(known->uuid, seen->uuid) != 0 ||
        strcmp(known->label, seen->label) != 0 || known->inner != seen->inner)
        /* We may have made it what it is now, and not have looked since. */
        return known->touched && compare_heads(known, seen) != ID_DIFFERENT
                   ? ID_CANNOT_TELL
                   : ID_DIFFERENT;
    /* The "UUID" of an ISO image is a time of day: the head must agree too. */
    if (known->fixed && seen->fixed)
        return compare_heads(known, seen);
    return ID_SAME;
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

void NTAPI
identity_touch(struct identity *id, ULONG64 offset, ULONG64 length)
{
    ULONG64 first = offset / HEAD_UNIT;
    ULONG64 last = (offset + length + HEAD_UNIT - 1) / HEAD_UNIT;

    id->touched = TRUE;
    for (ULONG64 i = first; i < last && i < HEAD_UNITS; i++)
        id->uncertain[i / 64] |= 1ull << i % 64;
}
