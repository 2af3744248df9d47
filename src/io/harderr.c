/*
 * harderr.c - media errors that a person can cure: from the driver to the file
 *             system, and from there to the prompt
 *
 * A driver leaves the device on the requesting thread; the file system picks it
 * up there, to verify the volume or to raise a hard error.  Who puts the
 * question is the port (io.h); the request is pending meanwhile, and no thread
 * waits.
 *
 * Takes no lock: one pointer per thread, stored and loaded atomically; the last
 * writer wins, as in NT.  The port is set before anybody can raise.
 *
 * Differs from NT: there the question is put in the context of the requesting
 * thread, by an APC, and ends with it; here it hangs on the IRP.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

#include <stdio.h>

static struct io_harderr_port port;
static bool error_mode_suppress; /* atomic */
static uint64_t dropped;         /* atomic */

void
io_set_harderr_port(const struct io_harderr_port *new_port)
{
    static const struct io_harderr_port none;

    port = new_port != NULL ? *new_port : none;
}

void
io_set_error_mode(bool suppress)
{
    __atomic_store_n(&error_mode_suppress, suppress, __ATOMIC_RELAXED);
}

uint64_t
io_dropped_hard_errors(void)
{
    return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

/* --- the device to verify ------------------------------------------------ */

/* A macro in the WDK; here the set is the USER rows of base/status.def. */
BOOLEAN NTAPI
IoIsErrorUserInduced(NTSTATUS Status)
{
    const struct status_info *info = status_lookup(Status);

    return info != NULL && (info->flags & STATUS_F_USER) != 0;
}

/*
 * Borrows DeviceObject: the thread's pointer holds no reference, so the device
 * must outlive the request.  The WDK makes it the caller's duty that there is a
 * thread; without one nobody could be told, so the call is dropped and counted.
 */
VOID NTAPI
IoSetHardErrorOrVerifyDevice(PIRP Irp, PDEVICE_OBJECT DeviceObject)
{
    PETHREAD thread =
        __atomic_load_n(&Irp->Tail.Overlay.Thread, __ATOMIC_ACQUIRE);

    KE_IRQL(IoSetHardErrorOrVerifyDevice);
    if (IO_CHECKING)
        io_checked_verify_set(Irp, DeviceObject);
    if (IO_UNLIKELY(thread == NULL)) {
        __atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
        TRACE(TRACE_VERIFY, "irp=%p dev=%p no thread, hard error dropped",
              (void *) Irp, (void *) DeviceObject);
        return;
    }
    IoSetDeviceToVerify(thread, DeviceObject);
}

PDEVICE_OBJECT NTAPI
IoGetDeviceToVerify(PETHREAD Thread)
{
    KE_IRQL(IoGetDeviceToVerify);
    return __atomic_load_n(&Thread->DeviceToVerify, __ATOMIC_ACQUIRE);
}

VOID NTAPI
IoSetDeviceToVerify(PETHREAD Thread, PDEVICE_OBJECT DeviceObject)
{
    KE_IRQL(IoSetDeviceToVerify);
    TRACE(TRACE_VERIFY, "thread=%p device to verify %p", (void *) Thread,
          (void *) DeviceObject);
    __atomic_store_n(&Thread->DeviceToVerify, DeviceObject, __ATOMIC_RELEASE);
}

/* --- modes --------------------------------------------------------------- */

BOOLEAN NTAPI
IoSetThreadHardErrorMode(BOOLEAN EnableHardErrors)
{
    KE_IRQL(IoSetThreadHardErrorMode);
    return !__atomic_exchange_n(&ke_current()->HardErrorsAreDisabled,
                                (BOOLEAN) !EnableHardErrors, __ATOMIC_RELAXED);
}

static bool
disabled_for(PETHREAD thread)
{
    return thread != NULL &&
           __atomic_load_n(&thread->HardErrorsAreDisabled, __ATOMIC_RELAXED);
}

/* For all threads. */
static bool
suppressed(void)
{
    return __atomic_load_n(&error_mode_suppress, __ATOMIC_RELAXED);
}

/* --- a request's hard error ---------------------------------------------- */

void
io_harderr_fail(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_DISK_INCREMENT);
}

/* STATUS_VERIFY_REQUIRED is no question for a person: the file system verifies
 * by itself, and one that raises it anyway gets its request back. */
VOID NTAPI
IoRaiseHardError(PIRP Irp, PVPB Vpb, PDEVICE_OBJECT RealDeviceObject)
{
    NTSTATUS status = Irp->IoStatus.Status;

    KE_IRQL(IoRaiseHardError);
    if (IO_CHECKING) {
        io_history_note(Irp, IO_EVENT_HARD_ERROR, io_current_device(Irp),
                        status);
        if (!IoIsErrorUserInduced(status))
            io_broken(IO_RULE_HARDERR_NOT_USER_INDUCED, io_current_device(Irp),
                      Irp);
    }
    TRACE(TRACE_VERIFY, "irp=%p vpb=%p dev=%p raises %s", (void *) Irp,
          (void *) Vpb, (void *) RealDeviceObject, status_name(status));
    if (status != STATUS_VERIFY_REQUIRED && !suppressed() &&
        !disabled_for(Irp->Tail.Overlay.Thread) && port.raise != NULL &&
        NT_SUCCESS(port.raise(port.ctx, Irp, Vpb, RealDeviceObject, status)))
        return;
    io_harderr_fail(Irp, status);
}

/* The current stack location is the one that the file system saw; it stays,
 * with SL_PENDING_RETURNED: the originator was told STATUS_PENDING already. */
BOOLEAN
io_harderr_try(PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    PDEVICE_OBJECT device = location->DeviceObject;

    if (__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST))
        return FALSE;
    TRACE(TRACE_IRP, "irp=%p again to dev=%p", (void *) irp, (void *) device);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    if (IO_CHECKING)
        io_checked_retry(device, irp, location);
    else
        device->DriverObject->MajorFunction[location->MajorFunction](device,
                                                                     irp);
    return TRUE;
}

void
io_harderr_retry(PIRP irp)
{
    if (!io_harderr_try(irp))
        io_harderr_fail(irp, STATUS_CANCELLED);
}

/* --- hard errors without a request --------------------------------------- */

/* The messages that drivers raise so. */
static const struct {
    NTSTATUS status;
    const char *text;
} messages[] = {
    { STATUS_FILE_CORRUPT_ERROR, "A file or folder is damaged" },
    { STATUS_DISK_CORRUPT_ERROR, "The structure of the disk is damaged" },
    { STATUS_LOST_WRITEBEHIND_DATA, "Data that were to be written are lost" },
};

/* Into the log: for the system's own threads, and for what has a message. */
static void
log_message(NTSTATUS status, PUNICODE_STRING string, PKTHREAD thread)
{
    const char *text = status_name(status);
    char inserted[96] = "", line[160];

    if (status_lookup(status) == NULL ||
        (thread != NULL && !PsIsSystemThread((PETHREAD) thread)))
        return;
    for (size_t i = 0; i < ARRAYSIZE(messages); i++)
        if (messages[i].status == status)
            text = messages[i].text;
    if (string != NULL)
        io_name_text(string, inserted, sizeof inserted);
    snprintf(line, sizeof line, "%s%s%s", text, inserted[0] != '\0' ? ": " : "",
             inserted);
    io_error_log_message("Application Popup", status, line);
}

/* Logged when it was queued: what is refused was said already. */
BOOLEAN NTAPI
IoRaiseInformationalHardError(NTSTATUS ErrorStatus, PUNICODE_STRING String,
                              PKTHREAD Thread)
{
    bool queued;

    KE_IRQL(IoRaiseInformationalHardError);
    if (disabled_for((PETHREAD) Thread) || port.inform == NULL)
        return FALSE;
    queued = port.inform(port.ctx, ErrorStatus, String, (PETHREAD) Thread);
    if (queued)
        log_message(ErrorStatus, String, Thread);
    return queued;
}

static NTSTATUS
check_parameters(ULONG count, PULONG_PTR parameters, ULONG options)
{
    if (count > MAXIMUM_HARDERROR_PARAMETERS ||
        (parameters != NULL && count == 0))
        return STATUS_INVALID_PARAMETER_2;
    /* A driver here may ask anything but to shut the house down. */
    if (options == OptionShutdownSystem)
        return STATUS_PRIVILEGE_NOT_HELD;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
ExRaiseHardError(NTSTATUS ErrorStatus, ULONG NumberOfParameters,
                 ULONG UnicodeStringParameterMask, PULONG_PTR Parameters,
                 ULONG ValidResponseOptions, PULONG Response)
{
    bool override = (ErrorStatus & HARDERROR_OVERRIDE_ERRORMODE) != 0;
    NTSTATUS status;
    ULONG answer = ResponseNotHandled;

    KE_IRQL(ExRaiseHardError);
    status =
        check_parameters(NumberOfParameters, Parameters, ValidResponseOptions);
    if (!NT_SUCCESS(status))
        return status;
    *Response = ResponseReturnToCaller;
    if (disabled_for(ke_current()) || port.ask == NULL ||
        (!override && suppressed()))
        return STATUS_SUCCESS;
    status = port.ask(port.ctx, ErrorStatus & ~HARDERROR_OVERRIDE_ERRORMODE,
                      ValidResponseOptions, &answer, NumberOfParameters,
                      UnicodeStringParameterMask, Parameters);
    if (NT_SUCCESS(status) && answer <= ResponseContinue)
        *Response = answer;
    return status;
}
