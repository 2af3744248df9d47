/*
 * restore.c - what a volume is known by, to be kept while nothing of it is here
 *
 * A record of a volume survives the service; from it the volume is made anew,
 * absent, as if its medium had just been taken out, and a medium that comes is
 * compared with it.  What we may have written after the record was kept is not
 * compared: the blocks of a volume that has numbers of its own, if it can be
 * written to.  Little-endian, and only as long as there is something to say.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <stdio.h>
#include <string.h>

#define RECORD_MAGIC 0x31564952u /* "RIV1" */

enum {
    RECORD_UNKNOWN = 0x01,
    RECORD_BLANK = 0x02,
    RECORD_FIXED = 0x04,
    RECORD_READ_ONLY = 0x08,
};

struct cursor {
    UCHAR *at;
    ULONG left;
    BOOLEAN bad;
};

static void
put(struct cursor *c, ULONG64 value, unsigned bytes)
{
    if (c->left < bytes) {
        c->bad = TRUE;
        return;
    }
    for (unsigned i = 0; i < bytes; i++)
        *c->at++ = (UCHAR) (value >> 8 * i);
    c->left -= bytes;
}

static ULONG64
get(struct cursor *c, unsigned bytes)
{
    ULONG64 value = 0;

    if (c->left < bytes) {
        c->bad = TRUE;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (ULONG64) *c->at++ << 8 * i;
    c->left -= bytes;
    return value;
}

static void
put_text(struct cursor *c, const char *text, size_t max)
{
    size_t len = strnlen(text, max - 1);

    put(c, len, 1);
    for (size_t i = 0; i < len; i++)
        put(c, (UCHAR) text[i], 1);
}

static void
get_text(struct cursor *c, char *out_text, size_t max)
{
    size_t len = (size_t) get(c, 1);

    if (len >= max)
        c->bad = TRUE;
    for (size_t i = 0; i < len && !c->bad; i++)
        out_text[i] = (char) get(c, 1);
    out_text[c->bad ? 0 : len] = '\0';
}

static BOOLEAN
bit(const ULONG64 *set, unsigned i)
{
    return (set[i / 64] >> i % 64 & 1) != 0;
}

/* Blocks tell it, and nobody writes to them without our knowledge. */
static BOOLEAN
is_told_by_blocks(const struct identity *id)
{
    return id->unknown || id->fixed;
}

static void
put_print(struct cursor *c, const struct identity *id)
{
    unsigned count = 0;

    for (unsigned i = 0; is_told_by_blocks(id) && i < PRINT_UNITS; i++)
        count += bit(id->used, i) && !bit(id->uncertain, i);
    put(c, count, 2);
    for (unsigned i = 0; count > 0 && i < PRINT_UNITS; i++) {
        if (!bit(id->used, i) || bit(id->uncertain, i))
            continue;
        put(c, i, 2);
        put(c, id->print[i], 8);
        put(c, bit(id->plain, i), 1);
    }
}

static void
get_print(struct cursor *c, struct identity *id)
{
    unsigned count = (unsigned) get(c, 2);

    for (; count > 0 && !c->bad; count--) {
        unsigned i = (unsigned) get(c, 2);
        ULONG64 print = get(c, 8);
        ULONG64 plain = get(c, 1);

        if (i >= PRINT_UNITS || plain > 1) {
            c->bad = TRUE;
            return;
        }
        id->print[i] = print;
        id->used[i / 64] |= 1ull << i % 64;
        id->plain[i / 64] |= plain << i % 64;
    }
}

static void
put_identity(struct cursor *c, const struct identity *id, BOOLEAN read_only)
{
    put_text(c, id->type, sizeof id->type);
    put_text(c, id->uuid, sizeof id->uuid);
    put_text(c, id->label, sizeof id->label);
    put(c, id->size_bytes, 8);
    put(c, id->block_bytes, 4);
    put(c,
        (id->unknown ? RECORD_UNKNOWN : 0u) | (id->blank ? RECORD_BLANK : 0u) |
            (id->fixed ? RECORD_FIXED : 0u) |
            (read_only ? RECORD_READ_ONLY : 0u),
        1);
    put(c, id->parts, 1);
    for (unsigned i = 0; i < id->parts; i++) {
        put(c, id->part[i].at, 8);
        put(c, id->part[i].size, 8);
        put(c, id->part[i].inner, 8);
    }
    put_print(c, id);
}

static void
get_identity(struct cursor *c, struct identity *id, BOOLEAN *out_read_only)
{
    unsigned flags;

    get_text(c, id->type, sizeof id->type);
    get_text(c, id->uuid, sizeof id->uuid);
    get_text(c, id->label, sizeof id->label);
    id->size_bytes = get(c, 8);
    id->block_bytes = (ULONG) get(c, 4);
    flags = (unsigned) get(c, 1);
    id->unknown = (flags & RECORD_UNKNOWN) != 0;
    id->blank = (flags & RECORD_BLANK) != 0;
    id->fixed = (flags & RECORD_FIXED) != 0;
    *out_read_only = (flags & RECORD_READ_ONLY) != 0;
    id->touched = !is_told_by_blocks(id);
    id->parts = (USHORT) get(c, 1);
    if (id->parts > PARTITIONS_MAX) {
        c->bad = TRUE;
        return;
    }
    for (unsigned i = 0; i < id->parts; i++) {
        id->part[i].at = get(c, 8);
        id->part[i].size = get(c, 8);
        id->part[i].inner = get(c, 8);
        id->part[i].touched = id->touched;
    }
    get_print(c, id);
    if (id->size_bytes == 0 || id->block_bytes < 512 ||
        id->block_bytes > 65536 ||
        (id->block_bytes & (id->block_bytes - 1)) != 0 ||
        id->size_bytes % id->block_bytes != 0)
        c->bad = TRUE;
}

struct same_key {
    const char *key;
    struct volume *found;
};

static BOOLEAN
has_key(void *context, struct volume *volume)
{
    struct same_key *same = context;

    if (strcmp(volume->key, same->key) == 0)
        same->found = volume;
    return same->found == NULL;
}

struct volume *
fs_volume_with_key(const char *key)
{
    struct same_key same = { key, NULL };

    fs_each_volume(has_key, &same);
    return same.found;
}

/*
 * The UUID; for a volume that has none, a number made of what it looked like
 * when it was first seen.  It stays with the volume whatever is written to it.
 * A copy gets one of its own.
 */
void
fs_make_key(struct volume *volume)
{
    const struct identity *id = &volume->id;
    ULONG64 hash = 0xCBF29CE484222325ull;
    char key[80];

    for (unsigned i = 0; i < PRINT_UNITS; i++)
        if (bit(id->used, i))
            hash = (hash ^ (id->print[i] + i)) * 0x100000001B3ull;
    if (id->uuid[0] != '\0')
        snprintf(key, sizeof key, "%.79s", id->uuid);
    else
        snprintf(key, sizeof key, "%.31s-%llu-%016llx", id->type,
                 (unsigned long long) id->size_bytes,
                 (unsigned long long) hash);
    snprintf(volume->key, sizeof volume->key, "%s", key);
    for (unsigned n = 2; fs_volume_with_key(volume->key) != NULL; n++)
        snprintf(volume->key, sizeof volume->key, "%s~%u", key, n);
}

ULONG
fs_volume_record(struct volume *volume, UCHAR *out_record)
{
    struct cursor c = { out_record, FS_RECORD_MAX, FALSE };
    struct identity *id =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *id, FS_TAG);
    char key[sizeof volume->key];
    BOOLEAN read_only;
    KIRQL irql;

    if (id == NULL)
        return 0;
    KeAcquireSpinLock(&volume->lock, &irql);
    *id = volume->id;
    read_only = volume->read_only;
    RtlCopyMemory(key, volume->key, sizeof key);
    KeReleaseSpinLock(&volume->lock, irql);
    put(&c, RECORD_MAGIC, 4);
    put_text(&c, key, sizeof key);
    put_identity(&c, id, read_only);
    ExFreePoolWithTag(id, FS_TAG);
    return c.bad ? 0 : FS_RECORD_MAX - c.left;
}

static struct volume *
make_absent(PDEVICE_OBJECT drive, const char *key, const struct identity *id,
            BOOLEAN read_only)
{
    PDEVICE_OBJECT target = IoGetAttachedDevice(drive);
    PVPB vpb = fs_new_vpb(drive);
    struct volume *volume;
    BOOLEAN changed;

    if (vpb == NULL)
        return NULL;
    volume = fs_volume_new(vpb, id);
    if (volume == NULL) {
        ExFreePool(vpb);
        return NULL;
    }
    volume->device->StackSize = (CCHAR) (target->StackSize + 1);
    volume->device->SectorSize = (USHORT) id->block_bytes;
    fs_hold_drive(drive, target);
    volume->real = drive;
    volume->target = target;
    volume->read_only = read_only;
    snprintf(volume->key, sizeof volume->key, "%s", key);
    fs_label_vpb(volume);
    fs_volume_set(volume, 0, VOL_ABSENT, STATUS_NO_MEDIA_IN_DEVICE, &changed);
    fs_volume_link(volume);
    return volume;
}

NTSTATUS
fs_volume_restore(PDEVICE_OBJECT drive, const UCHAR *record, ULONG length,
                  struct volume **out_volume)
{
    struct cursor c = { (UCHAR *) (ULONG_PTR) record, length, FALSE };
    struct identity *id =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *id, FS_TAG);
    char key[sizeof(*out_volume)->key];
    NTSTATUS status = STATUS_SUCCESS;
    struct volume *volume;
    BOOLEAN read_only;

    if (id == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(id, sizeof *id);
    if (get(&c, 4) != RECORD_MAGIC)
        c.bad = TRUE;
    get_text(&c, key, sizeof key);
    get_identity(&c, id, &read_only);
    if (c.bad || c.left != 0 || key[0] == '\0') {
        status = STATUS_FILE_CORRUPT_ERROR;
    } else {
        KeWaitForSingleObject(&fs.mount_mutex, Executive, KernelMode, FALSE,
                              NULL);
        volume = fs_volume_with_key(key);
        if (volume != NULL)
            status = STATUS_OBJECT_NAME_COLLISION;
        else
            volume = make_absent(drive, key, id, read_only);
        if (volume == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
        KeReleaseMutex(&fs.mount_mutex, FALSE);
    }
    ExFreePoolWithTag(id, FS_TAG);
    if (NT_SUCCESS(status) || status == STATUS_OBJECT_NAME_COLLISION)
        *out_volume = volume;
    return status;
}
