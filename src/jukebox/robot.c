/*
 * robot.c - requests to the changer class driver, on our one handle
 *
 * Every request notes what sense data came with it: a unit attention means
 * that what is known of the elements may be wrong, whoever was told of it.
 *
 * Context: PASSIVE, with the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntddk.h>
#include <scsi.h>
#include <string.h>

#include "base/status.h"
#include "jukebox/library_internal.h"

/* --- unit attentions ---------------------------- */

static const struct {
    uint8_t asc, ascq; /* ascq 0xFF: any */
    const char *action, *text;
} attentions[] = {
    { 0x28, 0x01, "mail", "a mail slot was used by hand" },
    { 0x28, 0x03, "mail",
      "a mail slot was used by hand, and its content "
      "changed" },
    { 0x28, 0xFF, "attention", "media may have been changed by hand" },
    { 0x29, 0xFF, "attention", "it was reset, or has just been switched on" },
    { 0x3B, 0x12, "attention", "a magazine was taken out" },
    { 0x3B, 0x13, "attention", "a magazine was put in" },
    { 0x3B, 0x1A, "attention", "a drive was taken out" },
    { 0x3B, 0x1B, "attention", "a drive was put in" },
    { 0x2A, 0xFF, "attention", "its parameters were changed" },
    { 0x3F, 0xFF, "attention", "it is not what it was before" },
    { 0xFF, 0xFF, "attention", "something changed" },
};

static void
tell_attention(struct library *library, uint8_t asc, uint8_t ascq)
{
    size_t i = 0;

    while (attentions[i].asc != 0xFF &&
           (attentions[i].asc != asc ||
            (attentions[i].ascq != 0xFF && attentions[i].ascq != ascq)))
        i++;
    library_tell(library, attentions[i].action, RI_NO_DRIVE,
                 "%s (6/%02X/%02X); everything is looked at again",
                 attentions[i].text, asc, ascq);
}

static void
note_sense(struct library *library)
{
    struct library_sense sense = { 0 };
    bool descriptor;
    uint8_t key, asc = 0, ascq = 0;

    library->sense.len = 0;
    library->host.sense(library->host.context, &sense);
    if (sense.count == library->senses)
        return;
    library->senses = sense.count;
    library->sense = sense;
    pthread_mutex_lock(&library->lock);
    memcpy(library->last_sense, sense.bytes, sizeof library->last_sense);
    library->last_sense_len = sense.len;
    pthread_mutex_unlock(&library->lock);
    if (sense.len < 3)
        return;
    descriptor = (sense.bytes[0] & 0x7E) == 0x72;
    key = sense.bytes[descriptor ? 1 : 2] & 0xF;
    if (descriptor && sense.len >= 4)
        asc = sense.bytes[2], ascq = sense.bytes[3];
    else if (!descriptor && sense.len >= 14)
        asc = sense.bytes[12], ascq = sense.bytes[13];
    if (key != SCSI_SENSE_UNIT_ATTENTION)
        return;
    /* Before anything was read there is nothing that could be wrong. */
    if (library->known && !library->first_read)
        tell_attention(library, asc, ascq);
    library->stale = true;
}

/* --- requests ---------------------------- */

NTSTATUS
robot_control(struct library *library, ULONG code, const void *in, ULONG in_len,
              void *out, ULONG out_len, ULONG_PTR *out_information)
{
    PDEVICE_OBJECT top = IoGetRelatedDeviceObject(library->file);
    IO_STATUS_BLOCK iosb = { 0 };
    NTSTATUS status;
    KEVENT done;
    PIRP irp;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(code, top, (PVOID) in, in_len, out,
                                        out_len, FALSE, &done, &iosb);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IoGetNextIrpStackLocation(irp)->FileObject = library->file;
    status = IoCallDriver(top, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = iosb.Status;
    }
    if (out_information != NULL)
        *out_information = iosb.Information;
    note_sense(library);
    if (NT_SUCCESS(status))
        library->sense.len = 0;
    return status;
}

static CHANGER_ELEMENT
changer_element(struct place place)
{
    CHANGER_ELEMENT element = { .ElementType = (ELEMENT_TYPE) place.type,
                                .ElementAddress = place.index };

    return element;
}

static const CHANGER_ELEMENT the_transport = { ChangerTransport, 0 };

/* Opens it, if it is not yet open. */
NTSTATUS
robot_status(struct library *library)
{
    if (library->file == NULL) {
        NTSTATUS status =
            library->host.open(library->host.context, &library->file);

        note_sense(library);
        if (!NT_SUCCESS(status))
            return status;
        pthread_mutex_lock(&library->lock);
        library->opened = true;
        pthread_mutex_unlock(&library->lock);
    }
    return robot_control(library, IOCTL_CHANGER_GET_STATUS, NULL, 0, NULL, 0,
                         NULL);
}

/* count 0: everything. */
NTSTATUS
robot_initialize(struct library *library, ULONG first, ULONG count,
                 bool bar_codes)
{
    CHANGER_INITIALIZE_ELEMENT_STATUS request = { .BarCodeScan = bar_codes };

    if (count != 0) {
        request.ElementList.Element.ElementType = ChangerSlot;
        request.ElementList.Element.ElementAddress = first;
        request.ElementList.NumberOfElements = count;
    }
    return robot_control(library, IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS,
                         &request, sizeof request, NULL, 0, NULL);
}

NTSTATUS
robot_move(struct library *library, struct place source,
           struct place destination, bool flip)
{
    CHANGER_MOVE_MEDIUM request = { .Transport = the_transport,
                                    .Source = changer_element(source),
                                    .Destination = changer_element(destination),
                                    .Flip = flip };

    return robot_control(library, IOCTL_CHANGER_MOVE_MEDIUM, &request,
                         sizeof request, NULL, 0, NULL);
}

NTSTATUS
robot_exchange(struct library *library, const struct motion *motion, bool flip1,
               bool flip2)
{
    CHANGER_EXCHANGE_MEDIUM request = {
        .Transport = the_transport,
        .Source = changer_element(motion->source),
        .Destination1 = changer_element(motion->destination),
        .Destination2 = changer_element(motion->second),
        .Flip1 = flip1,
        .Flip2 = flip2
    };

    return robot_control(library, IOCTL_CHANGER_EXCHANGE_MEDIUM, &request,
                         sizeof request, NULL, 0, NULL);
}

NTSTATUS
robot_position(struct library *library, struct place place, bool flip)
{
    CHANGER_SET_POSITION request = { .Transport = the_transport,
                                     .Destination = changer_element(place),
                                     .Flip = flip };

    return robot_control(library, IOCTL_CHANGER_SET_POSITION, &request,
                         sizeof request, NULL, 0, NULL);
}

NTSTATUS
robot_access(struct library *library, ELEMENT_TYPE type, ULONG index,
             ULONG control)
{
    CHANGER_SET_ACCESS request = { .Element = { type, index },
                                   .Control = control };

    return robot_control(library, IOCTL_CHANGER_SET_ACCESS, &request,
                         sizeof request, NULL, 0, NULL);
}
