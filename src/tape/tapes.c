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
} meanings[] = {
    { STATUS_SUCCESS, false, false, 0 },
    { STATUS_NO_MEDIA_IN_DEVICE, true, true, ENOMEDIUM },
    { STATUS_DEVICE_NOT_READY, true, true, EIO },
    { STATUS_DEVICE_BUSY, true, true, EBUSY },
    { STATUS_WRONG_VOLUME, true, true, EMEDIUMTYPE },
    { STATUS_FILE_INVALID, true, true, EIO },
    { STATUS_UNRECOGNIZED_MEDIA, true, true, EMEDIUMTYPE },
    { STATUS_CLEANER_CARTRIDGE_INSTALLED, true, true, EMEDIUMTYPE },
    { STATUS_IO_TIMEOUT, true, true, EIO },
    { STATUS_DEVICE_DOES_NOT_EXIST, true, true, EIO },
    { STATUS_NO_SUCH_DEVICE, true, true, EIO },
    { STATUS_DEVICE_NOT_CONNECTED, true, true, EIO },
    { STATUS_VERIFY_REQUIRED, true, false, EIO },
    { STATUS_BUS_RESET, true, false, EIO },
    { STATUS_IO_DEVICE_ERROR, true, false, EIO },
    { STATUS_MEDIA_WRITE_PROTECTED, false, false, EROFS },
    { STATUS_EOM_OVERFLOW, false, false, ENOSPC },
    { STATUS_BUFFER_OVERFLOW, false, false, ENOMEM },
    { STATUS_INVALID_BLOCK_LENGTH, false, false, EIO },
    { STATUS_INVALID_PARAMETER, false, false, EINVAL },
    { STATUS_INVALID_DEVICE_REQUEST, false, false, ENOSYS },
    { STATUS_NOT_IMPLEMENTED, false, false, ENOSYS },
    { STATUS_INSUFFICIENT_RESOURCES, false, false, ENOMEM },
    { STATUS_CANCELLED, false, false, ECANCELED },
    { STATUS_REQUEST_ABORTED, false, false, EINTR },
    { STATUS_SYSTEM_SHUTDOWN, false, false, ESHUTDOWN },
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

int
tape_status_errno(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == status)
            return -meanings[i].error;
    return NT_SUCCESS(status) ? 0 : -EIO;
}
