/*
 * tapes.c - the room's start and end; events; what statuses mean for a session
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "io/io.h"

struct tapes tapes;

NTSTATUS
tapes_start(const struct tapes_host *host)
{
    NTSTATUS status;

    KeInitializeSpinLock(&tapes.lock);
    InitializeListHead(&tapes.units);
    InitializeListHead(&tapes.sessions);
    InitializeListHead(&tapes.past);
    tapes.past_count = 0;
    tapes.host = *host;
    InterlockedExchange(&tapes.stopping, 0);
    status = io_load_driver("tapes", tapes_driver_entry, &tapes.driver);
    if (!NT_SUCCESS(status))
        tapes.driver = NULL;
    return status;
}

void
tapes_stop(void)
{
    if (tapes.driver == NULL)
        return;
    ASSERT(IsListEmpty(&tapes.units) && IsListEmpty(&tapes.sessions));
    for (PLIST_ENTRY at = tapes.past.Flink, next; at != &tapes.past;
         at = next) {
        next = at->Flink;
        free(CONTAINING_RECORD(at, struct ri_tape, link));
    }
    InitializeListHead(&tapes.past);
    io_unload_driver(tapes.driver);
    tapes.driver = NULL;
    tapes.device = NULL;
}

void
tapes_shutdown(void)
{
    if (tapes.driver == NULL)
        return;
    InterlockedExchange(&tapes.stopping, 1);
    session_wake_all();
}

void
tapes_event(const struct tape_unit *unit, const struct tape_identity *identity,
            const char *action, const char *format, ...)
{
    char text[RI_TEXT_MAX], name[RI_NAME_MAX];
    va_list args;

    if (tapes.host.event == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    identity_name(identity, name);
    tapes.host.event(tapes.host.context, unit->name, name, action, text);
}

/* --- statuses ------------------------------------------------------------- */

static const struct {
    NTSTATUS status;
    bool loss, absence;
    int error;
    const char *words; /* of the drive, behind "drive D: " */
} meanings[] = {
    { STATUS_SUCCESS, false, false, 0, "nothing is wrong" },
    { STATUS_DEVICE_DATA_ERROR, false, false, EIO,
      "the tape cannot be read or written there" },
    { STATUS_NO_DATA_DETECTED, false, false, EIO, "the data end there" },
    { STATUS_END_OF_MEDIA, false, false, EIO, "the tape ends there" },
    { STATUS_BEGINNING_OF_MEDIA, false, false, EIO, "the tape begins there" },
    { STATUS_FILEMARK_DETECTED, false, false, EIO, "a filemark is there" },
    { STATUS_NO_MEDIA_IN_DEVICE, true, true, ENOMEDIUM, "no tape is in it" },
    { STATUS_DEVICE_NOT_READY, true, true, EIO, "it is not ready" },
    { STATUS_DEVICE_BUSY, true, true, EBUSY, "it is busy" },
    { STATUS_WRONG_VOLUME, true, true, EMEDIUMTYPE, "another tape is in it" },
    { STATUS_FILE_INVALID, true, true, EIO,
      "the tape was written to elsewhere" },
    { STATUS_UNRECOGNIZED_MEDIA, true, true, EMEDIUMTYPE,
      "the tape in it cannot be read" },
    { STATUS_CLEANER_CARTRIDGE_INSTALLED, true, true, EMEDIUMTYPE,
      "a cleaning cartridge is in it" },
    { STATUS_IO_TIMEOUT, true, true, EIO, "it did not answer in time" },
    { STATUS_DEVICE_DOES_NOT_EXIST, true, true, EIO, "it is gone" },
    { STATUS_NO_SUCH_DEVICE, true, true, EIO, "it is gone" },
    { STATUS_DEVICE_NOT_CONNECTED, true, true, EIO, "it is away" },
    { STATUS_VERIFY_REQUIRED, true, false, EIO,
      "its tape may have been changed" },
    { STATUS_BUS_RESET, true, false, EIO, "it was reset" },
    { STATUS_IO_DEVICE_ERROR, true, false, EIO, "it reports an error" },
    { STATUS_MEDIA_WRITE_PROTECTED, false, false, EROFS,
      "the tape is write protected" },
    { STATUS_EOM_OVERFLOW, false, false, ENOSPC, "the tape is full" },
    { STATUS_BUFFER_OVERFLOW, false, false, ENOMEM,
      "the block is longer than what was asked for" },
    { STATUS_INVALID_BLOCK_LENGTH, false, false, EIO,
      "the block has another length" },
    { STATUS_INVALID_PARAMETER, false, false, EINVAL,
      "that cannot be asked of it" },
    { STATUS_INVALID_DEVICE_REQUEST, false, false, ENOSYS,
      "it cannot do that" },
    { STATUS_NOT_IMPLEMENTED, false, false, ENOSYS, "it cannot do that" },
    { STATUS_UNABLE_TO_UNLOAD_MEDIA, false, false, EIO,
      "it does not let the tape go: it is locked in" },
    { STATUS_UNABLE_TO_LOCK_MEDIA, false, false, EIO, "it has no lock" },
    { STATUS_ACCESS_DENIED, false, false, EACCES, "it does not allow that" },
    { STATUS_DATA_OVERRUN, false, false, EIO, "it moved too little" },
    { STATUS_SETMARK_DETECTED, false, false, EIO, "a setmark is there" },
    { STATUS_PARTITION_FAILURE, false, false, EIO,
      "the tape could not be divided" },
    { STATUS_DEVICE_NOT_PARTITIONED, false, false, EINVAL,
      "the tape is not divided" },
    { STATUS_DEVICE_REQUIRES_CLEANING, false, false, EIO,
      "it wants to be cleaned" },
    { STATUS_INSUFFICIENT_RESOURCES, false, false, ENOMEM, "out of memory" },
    { STATUS_CANCELLED, false, false, ECANCELED,
      "the question was answered with cancel" },
    { STATUS_REQUEST_ABORTED, false, false, EINTR, "it was interrupted" },
    { STATUS_SYSTEM_SHUTDOWN, false, false, ESHUTDOWN,
      "the service is ending" },
};

bool
tape_status_is_loss(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == status)
            return meanings[i].loss;
    return false;
}

bool
tape_status_is_absence(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == status)
            return meanings[i].absence;
    return false;
}

bool
tape_status_is_refusal(NTSTATUS status)
{
    return status == STATUS_INVALID_DEVICE_REQUEST ||
           status == STATUS_NOT_IMPLEMENTED;
}

int
tape_status_errno(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == status)
            return -meanings[i].error;
    return NT_SUCCESS(status) ? 0 : -EIO;
}

const char *
tape_status_words(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == status)
            return meanings[i].words;
    return status_name(status);
}
