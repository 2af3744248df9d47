/*
 * eject.c - a medium is let out, or a person hears why not
 *
 * Context: the caller's thread; waits for requests, and for the drive.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <scsi.h>

#include "base/status.h"
#include "fs/fs.h"
#include "stack/stack_internal.h"
#include "stack/tape_drive.h"

/* What it was, in words: of a status that says it all by itself; otherwise by
 * what was to be done. */
static const struct {
    NTSTATUS status;
    int rc;
    const char *words;
} refusals[] = {
    { STATUS_NO_MEDIA_IN_DEVICE, -ENOMEDIUM, "it is empty" },
    { STATUS_NO_MEDIA, -ENOMEDIUM, "it is empty" },
    { STATUS_DEVICE_BUSY, -EBUSY, "requests are still on their way" },
    { STATUS_FILES_OPEN, -EBUSY, "somebody has it open" },
    { STATUS_WRONG_VOLUME, -EIO, "another medium is in it now" },
    { STATUS_FILE_INVALID, -EIO, "its medium was changed elsewhere" },
    { STATUS_MEDIA_CHANGED, -EIO, "its medium was changed again and again" },
    { STATUS_VOLUME_DISMOUNTED, -EIO, "its volume was dismounted meanwhile" },
    { STATUS_IO_TIMEOUT, -EIO, "it does not answer" },
    { STATUS_DEVICE_NOT_READY, -EIO, "it is not ready" },
    { STATUS_DEVICE_NOT_CONNECTED, -EIO, "its target is away" },
    { STATUS_DEVICE_DOES_NOT_EXIST, -EIO, "it was taken away" },
    { STATUS_MEDIA_WRITE_PROTECTED, -EIO,
      "what is not yet on its medium cannot be written, for that is write "
      "protected" },
};

static const char *const undone[] = {
    [FS_EJECT_WAIT] = "its volume does not get ready",
    [FS_EJECT_VERIFY] = "its volume could not be verified, or completed",
    [FS_EJECT_FLUSH] = "it could not be flushed",
    [FS_EJECT_OPEN] = "it does not open",
};

static int
refused(const struct drive *drive, NTSTATUS status, enum fs_eject_step step,
        struct ri_error *out_error)
{
    const char *words = undone[step];
    int rc = -EIO;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].status == status) {
            words = refusals[i].words;
            rc = refusals[i].rc;
        }
    }
    return ri_fail(out_error, rc, "drive %s: not ejected: %s (%s)",
                   drive->config.name, words, status_name(status));
}

int
ri_eject(struct ri_service *service, const char *name,
         struct ri_error *out_error)
{
    struct drive *drive = drive_find(service, name, out_error);
    enum fs_eject_step step = FS_EJECT_OPEN;
    NTSTATUS status;

    if (drive == NULL)
        return -ENODEV;
    if (!drive_has_medium(drive))
        return ri_fail(out_error, -ENOMEDIUM, "drive %s is empty", name);
    if (drive_fdo(drive) == NULL)
        return ri_fail(out_error, -ENODEV, "drive %s is away", name);
    if (tape_drive_busy(drive))
        return ri_fail(out_error, -EBUSY,
                       "drive %s: not ejected: somebody has its tape open",
                       name);
    status =
        is_tape(drive) ? tape_eject(drive) : fs_eject(drive_fdo(drive), &step);
    if (!NT_SUCCESS(status))
        return refused(drive, status, step, out_error);
    event_send(service, "drive", drive->config.name, "", 0,
               "drive %s: flushed and opened; the medium may be taken",
               drive->config.name);
    drive_look(drive);
    return 0;
}
