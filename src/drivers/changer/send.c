/*
 * send.c - commands of the miniclass driver, and what their failures mean
 *
 * The class library interprets a failure first, then changer_class_error (the
 * documentation's ChangerClassError), then the miniclass driver's ChangerError.
 * How often a command is sent again is the library's count; two things are
 * ours and happen between the library's attempts: waiting for a changer that
 * is becoming ready, and for one that is busy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "changer/changer_internal.h"

#include <initguid.h>

#include "changer/changer.h"

#define READY_TIMEOUT_S 60
#define POLL_S          2 /* between two looks at one that is becoming ready */
#define BUSY_S          1

DEFINE_GUID(changer_event_mail_slot, 0x1f9a52c4, 0x6d0e, 0x4b57, 0x9c, 0x11,
            0x2e, 0x70, 0x43, 0xd8, 0xa6, 0x35);
DEFINE_GUID(changer_event_stale, 0x5b83e7d2, 0x04f1, 0x4c6a, 0xb2, 0x9e, 0x71,
            0xc4, 0x0d, 0x3a, 0x58, 0xe9);

/* --- a failure ------------------------------------------------------------- */

static void
tell(PDEVICE_OBJECT fdo, const struct changer_meaning *meaning)
{
    struct changer_data *data = changer_of(fdo);

    if (meaning->news != 0)
        InterlockedOr(&data->news, (LONG) meaning->news);
    if (meaning->mail_slot)
        ClassSendNotification(fdo->DeviceExtension, &changer_event_mail_slot, 0,
                              NULL);
    if (meaning->stale)
        ClassSendNotification(fdo->DeviceExtension, &changer_event_stale, 0,
                              NULL);
}

/* Between attempts of our own, while it starts, and where others do the
 * waiting (ready_s 0), nobody waits for long. */
static BOOLEAN
retries(const SCSI_REQUEST_BLOCK *srb, struct changer_data *data,
        const struct changer_meaning *meaning, BOOLEAN library)
{
    BOOLEAN ready_test = srb->Cdb[0] == SCSIOP_TEST_UNIT_READY &&
                         !(srb->SrbFlags & SRB_CLASS_FLAGS_LOW_PRIORITY) &&
                         data->ready_s != 0;

    switch (meaning->verdict) {
    case VERDICT_NO:
    case VERDICT_BUSY:
        return FALSE;
    case VERDICT_RESEND:
        return TRUE;
    case VERDICT_POLL:
        /* TEST UNIT READY itself is the library's to repeat. */
        return ready_test && changer_state(data) != CHANGER_STARTING && library;
    default:
        return library;
    }
}

VOID NTAPI
changer_class_error(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
                    NTSTATUS *Status, BOOLEAN *Retry)
{
    struct changer_data *data = changer_of(DeviceObject);
    LONG state = changer_state(data);
    struct changer_meaning meaning;

    changer_judge(Srb, &meaning);
    if (meaning.has_status)
        *Status = meaning.status;
    *Retry = retries(Srb, data, &meaning, *Retry);
    tell(DeviceObject, &meaning);
    if (state == CHANGER_NEW)
        return; /* the miniclass driver has not seen the device yet */
    data->mcd->ChangerError(DeviceObject, Srb, Status, Retry);
    /* Whoever wants it: without proof, nothing is moved a second time. */
    if (changer_is_motion(Srb) && !meaning.not_done)
        *Retry = FALSE;
}

/* --- sending --------------------------------------------------------------- */

static void
pause_s(ULONG seconds)
{
    LARGE_INTEGER due;

    due.QuadPart = -10000000LL * seconds;
    (void) KeDelayExecutionThread(KernelMode, FALSE, &due);
}

static BOOLEAN
is_removed(PDEVICE_OBJECT fdo)
{
    PCOMMON_DEVICE_EXTENSION common = fdo->DeviceExtension;

    return *(volatile ULONG *) &common->IsRemoved != NO_REMOVE;
}

/* One attempt of the library's kind, with its retries.  What an earlier one
 * left in the SRB or its sense data does not count. */
static NTSTATUS
attempt(PDEVICE_OBJECT fdo, const SCSI_REQUEST_BLOCK *command, PVOID buffer,
        ULONG size, BOOLEAN to_device, PSCSI_REQUEST_BLOCK out_srb,
        UCHAR sense[SENSE_BUFFER_SIZE])
{
    *out_srb = *command;
    RtlZeroMemory(sense, SENSE_BUFFER_SIZE);
    out_srb->SrbStatus = 0;
    out_srb->ScsiStatus = 0;
    out_srb->SenseInfoBuffer = sense;
    out_srb->SenseInfoBufferLength = SENSE_BUFFER_SIZE;
    out_srb->QueueSortKey = 0; /* of no particular medium: it has none */
    return ClassSendSrbSynchronous(fdo, out_srb, buffer, size, to_device);
}

static NTSTATUS
test_ready(PDEVICE_OBJECT fdo, struct changer_meaning *out_meaning)
{
    SCSI_REQUEST_BLOCK command = { 0 }, srb;
    UCHAR sense[SENSE_BUFFER_SIZE];
    NTSTATUS status;

    command.CdbLength = 6;
    command.Cdb[0] = SCSIOP_TEST_UNIT_READY;
    command.TimeOutValue = READY_TIMEOUT_S;
    command.SrbFlags = SRB_CLASS_FLAGS_LOW_PRIORITY; /* once; see retries() */
    status = attempt(fdo, &command, NULL, 0, FALSE, &srb, sense);
    RtlZeroMemory(out_meaning, sizeof *out_meaning);
    if (!NT_SUCCESS(status))
        changer_judge(&srb, out_meaning);
    return status;
}

static BOOLEAN
worth_waiting(NTSTATUS status, const struct changer_meaning *meaning)
{
    return status == STATUS_DEVICE_NOT_READY &&
           (meaning->verdict == VERDICT_POLL ||
            meaning->verdict == VERDICT_BUSY);
}

NTSTATUS
changer_wait_ready(PDEVICE_OBJECT fdo, ULONG limit_s)
{
    struct changer_meaning meaning;
    NTSTATUS status;
    ULONG waited_s;

    for (waited_s = 0;; waited_s += POLL_S) {
        status = test_ready(fdo, &meaning);
        if (!worth_waiting(status, &meaning) || waited_s >= limit_s ||
            is_removed(fdo))
            return status;
        pause_s(POLL_S);
    }
}

/* TRUE: the command may be sent once more. */
static BOOLEAN
wait_between(PDEVICE_OBJECT fdo, const SCSI_REQUEST_BLOCK *srb, NTSTATUS status,
             ULONG *left_s)
{
    struct changer_data *data = changer_of(fdo);
    struct changer_meaning meaning;
    ULONG pause;

    if (NT_SUCCESS(status) || srb->Cdb[0] == SCSIOP_TEST_UNIT_READY ||
        changer_state(data) != CHANGER_READY)
        return FALSE;
    changer_judge(srb, &meaning);
    pause = meaning.verdict == VERDICT_BUSY ? BUSY_S : POLL_S;
    if (!worth_waiting(status, &meaning) || *left_s < pause || is_removed(fdo))
        return FALSE;
    pause_s(pause);
    *left_s -= pause;
    while (meaning.verdict == VERDICT_POLL && *left_s >= POLL_S &&
           worth_waiting(test_ready(fdo, &meaning), &meaning)) {
        pause_s(POLL_S);
        *left_s -= POLL_S;
    }
    return TRUE;
}

static void
copy_out(const SCSI_REQUEST_BLOCK *from, PSCSI_REQUEST_BLOCK to)
{
    ULONG len = to->SenseInfoBufferLength;

    to->SrbStatus = from->SrbStatus;
    to->ScsiStatus = from->ScsiStatus;
    to->DataTransferLength = from->DataTransferLength;
    if (to->SenseInfoBuffer == NULL ||
        to->SenseInfoBuffer == from->SenseInfoBuffer)
        return;
    if (len > SENSE_BUFFER_SIZE)
        len = SENSE_BUFFER_SIZE;
    RtlCopyMemory(to->SenseInfoBuffer, from->SenseInfoBuffer, len);
}

/* Never returns with the command under way. */
NTSTATUS NTAPI
ChangerClassSendSrbSynchronous(PDEVICE_OBJECT DeviceObject,
                               PSCSI_REQUEST_BLOCK Srb, PVOID Buffer,
                               ULONG BufferSize, BOOLEAN WriteToDevice)
{
    ULONG left_s = changer_of(DeviceObject)->ready_s;
    UCHAR sense[SENSE_BUFFER_SIZE];
    SCSI_REQUEST_BLOCK srb;
    NTSTATUS status;

    do
        status = attempt(DeviceObject, Srb, Buffer, BufferSize, WriteToDevice,
                         &srb, sense);
    while (wait_between(DeviceObject, &srb, status, &left_s));
    copy_out(&srb, Srb);
    return status;
}
