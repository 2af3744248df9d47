/*
 * command.c - the minitape driver's routines, its commands, and the position
 *
 * A command goes out once, unless the minitape driver asked for more and it is
 * known that nothing was carried out.  What moves the tape is bound to the
 * media change count under which the position was last known.
 *
 * PASSIVE, behind tape_data.turn; tapedrv_error <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape/tape_internal.h"

#define CALLS_MAX 1000 /* of a routine that never ends */

/* --- one at a time ----------------------------------------------------------- */

void
tapedrv_begin(struct tape_data *data)
{
    (void) KeWaitForSingleObject(&data->turn, Executive, KernelMode, FALSE,
                                 NULL);
}

void
tapedrv_end(struct tape_data *data)
{
    (void) KeSetEvent(&data->turn, IO_NO_INCREMENT, FALSE);
}

/* --- the position ------------------------------------------------------------ */

static ULONG
change_count(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    return *(volatile ULONG *) &ext->MediaChangeCount;
}

/* A change of the tape outweighs a reset. */
static void
lose(struct tape_data *data, BOOLEAN changed)
{
    if (changed)
        InterlockedExchange(&data->lost, TAPE_STATUS_MEDIA_CHANGED);
    else
        (void) InterlockedCompareExchange(&data->lost, TAPE_STATUS_BUS_RESET,
                                          0);
}

NTSTATUS
tapedrv_place_check(PDEVICE_OBJECT fdo)
{
    struct tape_data *data = tape_of(fdo);
    ULONG count = change_count(fdo);
    LONG lost = InterlockedOr(&data->lost, 0);

    if (lost == 0 && count != data->key) {
        LONG calm = InterlockedExchange(&data->calm, 0);

        if ((LONG) (count - data->key) == calm)
            data->key = count;
        else
            lose(data, TRUE); /* whatever it was, it was not for us to see */
        lost = InterlockedOr(&data->lost, 0);
    }
    if (lost == 0)
        return STATUS_SUCCESS;
    data->told = TRUE;
    return tapedrv_nt_status((TAPE_STATUS) lost);
}

void
tapedrv_place_set(PDEVICE_OBJECT fdo, ULONG key)
{
    struct tape_data *data = tape_of(fdo);

    InterlockedExchange(&data->calm, 0);
    InterlockedExchange(&data->lost, 0);
    data->key = key;
    data->told = FALSE;
}

/* --- failures ---------------------------------------------------------------- */

/* What any failed command tells, whoever sent it. */
static void
heed(struct tape_data *data, const struct tape_meaning *meaning)
{
    LONG news = 0;

    if (meaning->attention)
        news |= NEWS_LENGTH;
    if (meaning->attention && !meaning->harmless)
        news |= NEWS_CHANGED;
    if (meaning->cleaning)
        news |= NEWS_CLEANING;
    if (news != 0)
        InterlockedOr(&data->news, news);
    if (meaning->harmless)
        InterlockedIncrement(&data->calm);
    if (meaning->lost)
        lose(data, meaning->changed);
}

/* The minitape driver may say otherwise, or say it in the sense data. */
static void
interpret(struct tape_data *data, PSCSI_REQUEST_BLOCK srb, ULONG length,
          struct tape_meaning *out)
{
    TAPE_STATUS tape;

    tapedrv_judge(srb, length, out);
    if (data->mini->TapeError == NULL || !data->ready)
        return;
    tape = out->tape;
    data->mini->TapeError(data->mini_ext, srb, &tape);
    if (tape == out->tape) {
        tapedrv_judge(srb, length, out);
        return;
    }
    out->tape = tape;
    out->status = tapedrv_nt_status(tape);
    if (tape == TAPE_STATUS_MEDIA_CHANGED)
        out->lost = out->changed = TRUE;
}

/*
 * For the class library.  Our own commands (marked low priority, so that the
 * library starts no unit for them) are interpreted by their sender, too, and
 * never sent again from there.
 */
VOID NTAPI
tapedrv_error(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
              NTSTATUS *Status, BOOLEAN *Retry)
{
    struct tape_data *data = tape_of(DeviceObject);
    struct tape_meaning meaning;

    if (data->mini == NULL)
        return;
    if (Srb->SrbFlags & SRB_CLASS_FLAGS_LOW_PRIORITY)
        *Retry = FALSE;
    if (SRB_STATUS(Srb->SrbStatus) == SRB_STATUS_REQUEST_FLUSHED)
        return; /* not sent: it tells nothing of the drive */
    tapedrv_judge(Srb, Srb->DataTransferLength, &meaning);
    heed(data, &meaning);
    if (meaning.status == STATUS_UNABLE_TO_LOCK_MEDIA)
        *Status = meaning.status;
}

/* --- sending ----------------------------------------------------------------- */

void
tapedrv_request_init(struct tape_request *request, PDEVICE_OBJECT fdo,
                     enum tape_place place)
{
    RtlZeroMemory(request, sizeof *request);
    request->fdo = fdo;
    request->data = tape_of(fdo);
    request->srb.Length = sizeof request->srb;
    if (place == PLACE_KNOWN)
        request->key = request->data->key + 1;
    else if (place == PLACE_SETS)
        request->key = change_count(fdo) + 1;
}

/* Never left: no memory, or no device any more. */
static void
not_sent(struct tape_meaning *out, NTSTATUS status)
{
    RtlZeroMemory(out, sizeof *out);
    out->tape = status == STATUS_INSUFFICIENT_RESOURCES
                    ? TAPE_STATUS_INSUFFICIENT_RESOURCES
                    : TAPE_STATUS_NO_SUCH_DEVICE;
    out->status = status;
}

static BOOLEAN
was_sent(const SCSI_REQUEST_BLOCK *srb)
{
    return SRB_STATUS(srb->SrbStatus) != SRB_STATUS_PENDING;
}

/* One attempt. */
static TAPE_STATUS
attempt(struct tape_request *request, PVOID data, ULONG len, BOOLEAN to_device)
{
    PSCSI_REQUEST_BLOCK srb = &request->srb;
    struct tape_meaning *last = &request->last;
    NTSTATUS status;

    RtlZeroMemory(request->sense, sizeof request->sense);
    srb->SrbStatus = SRB_STATUS_PENDING;
    srb->ScsiStatus = 0;
    srb->SenseInfoBuffer = request->sense;
    srb->SenseInfoBufferLength = sizeof request->sense;
    srb->SrbFlags |= SRB_CLASS_FLAGS_LOW_PRIORITY;
    srb->QueueSortKey = request->key;
    status = ClassSendSrbSynchronous(request->fdo, srb, data, len, to_device);
    if (SRB_STATUS(srb->SrbStatus) == SRB_STATUS_SUCCESS) {
        last->bytes = srb->DataTransferLength;
        last->missing = FALSE;
        return TAPE_STATUS_SUCCESS;
    }
    if (was_sent(srb))
        interpret(request->data, srb, len, last);
    else
        not_sent(last, status);
    if (SRB_STATUS(srb->SrbStatus) == SRB_STATUS_REQUEST_FLUSHED) {
        /* Somebody else was told what happened; so was heed. */
        LONG lost = InterlockedOr(&request->data->lost, 0);

        if (lost == 0)
            lose(request->data, TRUE);
        last->tape = (TAPE_STATUS) InterlockedOr(&request->data->lost, 0);
        last->status = tapedrv_nt_status(last->tape);
    } else if (last->lost) {
        lose(request->data, last->changed);
    }
    if (last->lost)
        request->data->told = TRUE;
    request->failed = last->tape != TAPE_STATUS_SUCCESS;
    return last->tape;
}

/* After a failure: may it go out once more? */
static BOOLEAN
may_repeat(struct tape_request *request, BOOLEAN *harmless)
{
    const struct tape_meaning *last = &request->last;

    if (last->harmless && !*harmless) {
        *harmless = TRUE;
        if (request->key != 0 && request->key == request->data->key + 1 &&
            tapedrv_place_check(request->fdo) == STATUS_SUCCESS)
            request->key = request->data->key + 1;
        else if (request->key != 0)
            return FALSE;
        return TRUE;
    }
    return FALSE;
}

TAPE_STATUS
tapedrv_send(struct tape_request *request, PVOID data, ULONG len,
             BOOLEAN to_device, ULONG again)
{
    BOOLEAN motion = tapedrv_is_motion(&request->srb), harmless = FALSE;
    TAPE_STATUS tape;

    for (;;) {
        tape = attempt(request, data, len, to_device);
        if (!request->failed || tape == TAPE_STATUS_SUCCESS)
            return TAPE_STATUS_SUCCESS;
        if (may_repeat(request, &harmless))
            continue;
        if (again == 0 ||
            (motion && (request->last.lost || request->last.bytes != 0)))
            return tape;
        again--;
    }
}

/* --- the protocol of the routines ------------------------------------------- */

BOOLEAN NTAPI
TapeClassAllocateSrbBuffer(PSCSI_REQUEST_BLOCK Srb, ULONG SrbBufferSize)
{
    struct tape_request *request =
        CONTAINING_RECORD(Srb, struct tape_request, srb);
    PVOID buffer = ExAllocatePoolWithTag(NonPagedPool, SrbBufferSize, TAPE_TAG);

    if (buffer == NULL)
        return FALSE;
    RtlZeroMemory(buffer, SrbBufferSize);
    if (request->buffer != NULL)
        ExFreePoolWithTag(request->buffer, TAPE_TAG);
    request->buffer = Srb->DataBuffer = buffer;
    request->room = Srb->DataTransferLength = SrbBufferSize;
    request->fresh = TRUE;
    return TRUE;
}

/* A buffer of an earlier call is sent only where the routine says so. */
static TAPE_STATUS
send_as_told(struct tape_request *request, PVOID before, ULONG again)
{
    PSCSI_REQUEST_BLOCK srb = &request->srb;
    BOOLEAN out = (srb->SrbFlags & SRB_FLAGS_DATA_OUT) != 0;
    ULONG len = 0;

    if (request->fresh || srb->DataBuffer != before ||
        srb->SrbFlags & SRB_FLAGS_UNSPECIFIED_DIRECTION)
        len = srb->DataTransferLength;
    if (srb->DataBuffer == NULL)
        len = 0;
    else if (srb->DataBuffer == request->buffer && len > request->room)
        len = request->room;
    return tapedrv_send(request, srb->DataBuffer, len, out, again);
}

static TAPE_STATUS
test_unit(struct tape_request *request, ULONG again)
{
    RtlZeroMemory(request->srb.Cdb, sizeof request->srb.Cdb);
    request->srb.CdbLength = 6;
    request->srb.Cdb[0] = SCSIOP_TEST_UNIT_READY;
    return tapedrv_send(request, NULL, 0, FALSE, again);
}

/* Carries out what the routine asked for; TRUE: it is called again. */
static BOOLEAN
between_calls(struct tape_request *request, PVOID before, ULONG flags,
              TAPE_STATUS *tape, TAPE_STATUS *last)
{
    TAPE_STATUS sent;

    *last = TAPE_STATUS_SUCCESS;
    if (*tape == TAPE_STATUS_CALLBACK)
        return TRUE;
    if (*tape == TAPE_STATUS_CHECK_TEST_UNIT_READY)
        sent = test_unit(request, flags & TAPE_RETRY_MASK);
    else if (*tape == TAPE_STATUS_SEND_SRB_AND_CALLBACK)
        sent = send_as_told(request, before, flags & TAPE_RETRY_MASK);
    else
        return FALSE;
    if (sent == TAPE_STATUS_SUCCESS || flags & IGNORE_ERRORS)
        return TRUE;
    *last = sent;
    if (flags & RETURN_ERRORS)
        return TRUE;
    *tape = sent;
    return FALSE;
}

static void
before_call(struct tape_request *request)
{
    request->fresh = FALSE;
    request->srb.SrbFlags = 0;
    request->srb.CdbLength = 0;
    request->srb.TimeOutValue =
        ((PFUNCTIONAL_DEVICE_EXTENSION) request->fdo->DeviceExtension)
            ->TimeOutValue;
}

/* Calls it until it has done; `failed` then tells whether the end is that of
 * the last command. */
static TAPE_STATUS
call(struct tape_request *request, TAPE_PROCESS_COMMAND_ROUTINE routine,
     PVOID command_ext, PVOID parameters)
{
    struct tape_data *data = request->data;
    TAPE_STATUS last = TAPE_STATUS_SUCCESS, tape;
    ULONG number;

    for (number = 0; number < CALLS_MAX; number++) {
        PVOID before = request->srb.DataBuffer;
        ULONG flags = 0;

        before_call(request);
        tape = routine(data->mini_ext, command_ext, parameters, &request->srb,
                       number, last, &flags);
        request->failed = request->failed && tape == last;
        if (!between_calls(request, before, flags, &tape, &last))
            return tape;
    }
    request->failed = FALSE;
    return TAPE_STATUS_IO_DEVICE_ERROR;
}

NTSTATUS
tapedrv_run(PDEVICE_OBJECT fdo, TAPE_PROCESS_COMMAND_ROUTINE routine,
            PVOID parameters, enum tape_place place)
{
    struct tape_data *data = tape_of(fdo);
    ULONG size = data->mini->CommandExtensionSize;
    struct tape_request request;
    PVOID command_ext = NULL;
    NTSTATUS status;
    TAPE_STATUS tape;

    if (place == PLACE_KNOWN) {
        status = tapedrv_place_check(fdo);
        if (status != STATUS_SUCCESS)
            return status;
    }
    if (size != 0) {
        command_ext = ExAllocatePoolWithTag(NonPagedPool, size, TAPE_TAG);
        if (command_ext == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        RtlZeroMemory(command_ext, size);
    }
    tapedrv_request_init(&request, fdo, place);
    tape = call(&request, routine, command_ext, parameters);
    status = request.failed && tape == request.last.tape
                 ? request.last.status
                 : tapedrv_nt_status(tape);
    if (place == PLACE_SETS && NT_SUCCESS(status))
        tapedrv_place_set(fdo, request.key - 1);
    if (request.buffer != NULL)
        ExFreePoolWithTag(request.buffer, TAPE_TAG);
    if (command_ext != NULL)
        ExFreePoolWithTag(command_ext, TAPE_TAG);
    return status;
}

NTSTATUS
tapedrv_test_ready(PDEVICE_OBJECT fdo, struct tape_meaning *out_meaning)
{
    struct tape_request request;
    TAPE_STATUS tape;

    tapedrv_request_init(&request, fdo, PLACE_ANY);
    before_call(&request);
    tape = test_unit(&request, 0);
    *out_meaning = request.last;
    return tape == TAPE_STATUS_SUCCESS ? STATUS_SUCCESS : request.last.status;
}

NTSTATUS
tapedrv_flush(PDEVICE_OBJECT fdo)
{
    TAPE_WRITE_MARKS none = { TAPE_FILEMARKS, 0, FALSE };
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status;

    if (!data->dirty)
        return STATUS_SUCCESS;
    status = tapedrv_run(fdo, data->mini->WriteMarks, &none, PLACE_KNOWN);
    if (NT_SUCCESS(status) || status == STATUS_END_OF_MEDIA)
        data->dirty = FALSE;
    return status == STATUS_END_OF_MEDIA ? STATUS_SUCCESS : status;
}
