/*
 * known.c - a volume that is known from its log on disk alone
 *
 * A service that was killed left it.  The volume is made absent, with the
 * identity, the witness and the data of its log; its medium is then found,
 * compared and written to as after any absence.
 *
 * Context: PASSIVE_LEVEL, before anything is mounted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <string.h>

#include "base/trace.h"

static BOOLEAN
is_text(const char *text, size_t max)
{
    return memchr(text, '\0', max) != NULL;
}

static BOOLEAN
identity_is_sound(const struct identity *id)
{
    return is_text(id->type, sizeof id->type) &&
           is_text(id->uuid, sizeof id->uuid) &&
           is_text(id->label, sizeof id->label) && id->size_bytes != 0 &&
           id->block_bytes >= 512 && id->block_bytes <= 65536 &&
           (id->block_bytes & (id->block_bytes - 1)) == 0 && id->unknown <= 1 &&
           id->blank <= 1 && id->fixed <= 1 && id->touched <= 1 &&
           id->parts <= PARTITIONS_MAX && id->ranges <= LOOKED_AT_MAX;
}

static void
free_known(struct volume *volume)
{
    PVPB vpb = volume->vpb;

    fs_unflushed_free(volume);
    fs_let_drive(volume->real, volume->target);
    ExFreePool(vpb);
    IoDeleteDevice(volume->device);
}

static NTSTATUS
prepare(struct volume *volume, const struct fs_log_head *head,
        ULONG64 live_bytes)
{
    ULONG64 limit = fs.limits.unflushed_bytes;
    NTSTATUS status;

    /* A page for each block that was written alone. */
    if (limit < live_bytes * (LOG_PAGE / LOG_UNIT))
        limit = live_bytes * (LOG_PAGE / LOG_UNIT);
    status = log_init(&volume->log, limit);
    if (!NT_SUCCESS(status))
        return status;
    /* Zeroes take no room on disk, and what a flush had covered may still be
     * there: all of it is taken, below the size of the medium. */
    if (volume->size_bytes / LOG_PAGE >= volume->log.limit)
        volume->log.limit = (ULONG) (volume->size_bytes / LOG_PAGE < 1u << 24
                                         ? volume->size_bytes / LOG_PAGE + 1
                                         : 1u << 24);
    volume->witness =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *volume->witness, FS_TAG);
    if (volume->witness == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    witness_init(volume->witness, volume->block_bytes, FALSE);
    for (ULONG i = 0; i < head->witness_count; i++)
        witness_restore(volume->witness, head->witness[i].at,
                        head->witness[i].hash, head->witness[i].states,
                        FS_KNOWN_EPOCH);
    return STATUS_SUCCESS;
}

NTSTATUS
fs_known_begin(PDEVICE_OBJECT drive, const struct fs_log_head *head,
               ULONG64 live_bytes, struct volume **out_volume)
{
    PDEVICE_OBJECT target = IoGetAttachedDevice(drive);
    struct fs_known known;
    struct volume *volume;
    NTSTATUS status;
    PVPB vpb;

    if (head->identity_bytes != sizeof known)
        return STATUS_INVALID_PARAMETER;
    memcpy(&known, head->identity, sizeof known);
    if (!is_text(known.key, sizeof known.key) || !identity_is_sound(&known.id))
        return STATUS_INVALID_PARAMETER;
    vpb = fs_new_vpb(drive);
    if (vpb == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    volume = fs_volume_new(vpb, &known.id);
    if (volume == NULL) {
        ExFreePool(vpb);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    fs_hold_drive(drive, target);
    volume->real = drive;
    volume->target = target;
    volume->device->StackSize = (CCHAR) (target->StackSize + 1);
    volume->device->SectorSize = (USHORT) known.id.block_bytes;
    memcpy(volume->key, known.key, sizeof volume->key);
    status = prepare(volume, head, live_bytes);
    if (!NT_SUCCESS(status)) {
        free_known(volume);
        return status;
    }
    *out_volume = volume;
    return STATUS_SUCCESS;
}

/* What a write of that record would have left in memory. */
NTSTATUS
fs_known_record(struct volume *volume, const struct fs_record *record)
{
    ULONG before = volume->log.pages;
    struct witness *witness = volume->witness;
    const void *data = record->kind == FS_RECORD_DATA ? record->data : NULL;
    BOOLEAN ok = TRUE;

    if (record->offset > volume->size_bytes ||
        record->length > volume->size_bytes - record->offset)
        return STATUS_INVALID_PARAMETER;
    if (record->kind == FS_RECORD_DROP)
        log_drop(&volume->log, record->offset, record->length);
    else
        ok = log_put(&volume->log, record->offset, data, record->length);
    __atomic_add_fetch(&fs.unflushed_pages,
                       (LONG64) volume->log.pages - (LONG64) before,
                       __ATOMIC_RELAXED);
    if (witness_writing(witness, record->offset, record->length))
        witness_wrote(witness, record->offset, data, record->length,
                      FS_KNOWN_EPOCH, FALSE);
    if (identity_covers(&volume->id, record->offset, record->length))
        identity_touch(&volume->id, record->offset, record->length);
    return ok ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

void
fs_known_end(struct volume *volume, void *log, BOOLEAN good)
{
    BOOLEAN changed;

    if (!good) {
        free_known(volume);
        return;
    }
    /* Whatever it holds, more goes in only below the limit. */
    volume->log.limit = (ULONG) (fs.limits.unflushed_bytes / LOG_PAGE);
    volume->disk_log = log;
    volume->disk_live = log_bytes(&volume->log) + 1;
    KeWaitForSingleObject(&fs.mount_mutex, Executive, KernelMode, FALSE, NULL);
    if (volume->key[0] == '\0' || fs_volume_with_key(volume->key) != NULL)
        fs_make_key(volume);
    fs_label_vpb(volume);
    fs_volume_set(volume, 0, VOL_ABSENT, STATUS_NO_MEDIA_IN_DEVICE, &changed);
    fs_volume_link(volume);
    KeReleaseMutex(&fs.mount_mutex, FALSE);
    TRACE(TRACE_FS, "volume %s: known from its log, %llu bytes",
          volume->id.label, (unsigned long long) log_bytes(&volume->log));
}
