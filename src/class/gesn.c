/*
 * gesn.c - what CD drives tell when asked: GET EVENT STATUS NOTIFICATION
 *
 * Part of a poll (mcd.c): after TEST UNIT READY the drive is asked for events
 * until it has none.  Runs in the one poll that a drive has at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include <ioevent.h>

#define REPEATS             32 /* then the drive is not asked again */
#define OPERATIONAL_REPEATS 4  /* then not for that class */

#define GESN_OPERATIONAL    1
#define GESN_EXTERNAL       3
#define GESN_MEDIA          4
#define GESN_BUSY           6

VOID NTAPI
class_gesn_command(struct class_request *request)
{
    UCHAR cdb[10] = { SCSIOP_GET_EVENT_STATUS, 0x01, [8] = 8 };

    cdb[4] = request->dev->mcd.gesn_mask;
    class_command(request, cdb, sizeof cdb, request->small, 8, FALSE);
    request->srb.TimeOutValue = 4;
}

/*
 * UNIT ATTENTION and this event tell of the same change: it is counted once.
 * When the event comes first, the next poll takes the UNIT ATTENTION, and if
 * the drive has none, counts by itself (owed_change).
 */
static void
gesn_new_medium(class_device *dev)
{
    BOOLEAN counted;
    KIRQL irql;

    class_evidence_event(dev);
    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    counted = dev->mcd.change_counted;
    dev->mcd.change_counted = FALSE;
    dev->mcd.owed_change = !counted;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
    if (!counted) {
        if (dev->removable)
            (void) class_require_verify(dev);
        class_poll_soon(dev);
    }
    class_set_state(dev, MediaPresent, TRUE, FALSE);
}

VOID NTAPI
class_gesn_settle(class_device *dev)
{
    BOOLEAN owed;
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    owed = dev->mcd.owed_change && !dev->mcd.change_counted;
    if (dev->mcd.owed_change)
        dev->mcd.change_counted = FALSE;
    dev->mcd.owed_change = FALSE;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
    if (owed)
        class_note_attention(dev, 0);
}

/* `ready`: the drive was, just now, so a removal is history or a new event. */
static void
gesn_media(class_device *dev, const UCHAR event[4], BOOLEAN ready)
{
    switch (event[0] & 0x0f) {
    case 1:
        class_notify(dev, &GUID_IO_MEDIA_EJECT_REQUEST, NULL, 0);
        break;
    case 2:
    case 4:
        gesn_new_medium(dev);
        break;
    case 3:
        if (ready)
            class_poll_soon(dev);
        else
            class_set_state(dev, MediaNotPresent, TRUE, FALSE);
        break;
    default:
        break;
    }
}

/* The miniclass driver learns of new features as of a changed medium. */
static void
gesn_operational(class_device *dev, const UCHAR event[4])
{
    PCLASS_DEV_INFO info = dev->ext->CommonExtension.DevInfo;
    SENSE_DATA sense = { .ErrorCode = 0x70,
                         .SenseKey = 6,
                         .AdditionalSenseLength = 10,
                         .AdditionalSenseCode = 0x28 };
    SCSI_REQUEST_BLOCK srb = {
        .Length = sizeof srb,
        .SenseInfoBuffer = &sense,
        .SrbStatus = SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID,
        .ScsiStatus = SCSISTAT_CHECK_CONDITION,
        .CdbLength = 6,
        .SenseInfoBufferLength = sizeof sense,
    };
    NTSTATUS status = STATUS_MEDIA_CHANGED;
    BOOLEAN retry = FALSE;

    if ((event[0] & 0x0f) != 2 || class_get_be16(event + 2) == 0)
        return;
    if (dev->removable)
        (void) class_require_verify(dev);
    if (info->ClassError != NULL)
        info->ClassError(dev->fdo, &srb, &status, &retry);
    if (dev->mcd.gesn_repeats >= OPERATIONAL_REPEATS)
        dev->mcd.gesn_mask &= (UCHAR) ~(1u << GESN_OPERATIONAL);
}

static void
gesn_external(class_device *dev, const UCHAR event[4])
{
    DEVICE_EVENT_EXTERNAL_REQUEST data = {
        .Version = 1,
        .ButtonStatus = 0,
        .Request = (USHORT) class_get_be16(event + 2),
    };

    if ((event[0] & 0x0f) != 1)
        return;
    KeQuerySystemTime(&data.SystemTime);
    class_notify(dev, &GUID_IO_DEVICE_EXTERNAL_REQUEST, &data, sizeof data);
}

static void
gesn_busy(class_device *dev, const UCHAR event[4])
{
    DEVICE_EVENT_BECOMING_READY data = {
        .Version = 1,
        .Reason = 1,
        .Estimated100msToReady = class_get_be16(event + 2),
    };

    if (data.Estimated100msToReady >= 2)
        class_notify(dev, &GUID_IO_DEVICE_BECOMING_READY, &data, sizeof data);
}

/* TRUE: there may be more. */
static BOOLEAN
gesn_event(class_device *dev, const UCHAR reply[8], BOOLEAN ready)
{
    UCHAR class = reply[2] & 0x07;

    if (class_get_be16(reply) < 6 || reply[2] & 0x80 || class == 0 ||
        (reply[4] & 0x0f) == 0)
        return FALSE;
    if (class == GESN_MEDIA)
        gesn_media(dev, reply + 4, ready);
    else if (class == GESN_OPERATIONAL)
        gesn_operational(dev, reply + 4);
    else if (class == GESN_EXTERNAL)
        gesn_external(dev, reply + 4);
    else if (class == GESN_BUSY)
        gesn_busy(dev, reply + 4);
    return class != GESN_BUSY;
}

/* --- the part of a poll --------------------------------------------------- */

VOID NTAPI
class_gesn_init(class_device *dev)
{
    dev->mcd.gesn = dev->fdo->DeviceType == FILE_DEVICE_CD_ROM;
    dev->mcd.gesn_mask = 1u << GESN_MEDIA | 1u << GESN_OPERATIONAL |
                         1u << GESN_EXTERNAL | 1u << GESN_BUSY;
}

VOID NTAPI
class_gesn_begin(class_device *dev)
{
    dev->mcd.gesn_repeats = 0;
}

enum class_next NTAPI
class_gesn_finish(struct class_request *request, NTSTATUS status, BOOLEAN ready)
{
    class_device *dev = request->dev;

    if (status == STATUS_INVALID_DEVICE_REQUEST) {
        dev->mcd.gesn = FALSE;
        return NEXT_COMPLETE;
    }
    if (NT_SUCCESS(status) && request->srb.DataTransferLength >= 4 &&
        request->small[3] & 1u << GESN_MEDIA)
        class_evidence_has_events(dev);
    if (!NT_SUCCESS(status) || request->srb.DataTransferLength < 8 ||
        !gesn_event(dev, request->small, ready))
        return NEXT_COMPLETE;
    if (++dev->mcd.gesn_repeats > REPEATS) {
        dev->mcd.gesn = FALSE;
        return NEXT_COMPLETE;
    }
    class_gesn_command(request);
    return NEXT_SEND;
}
