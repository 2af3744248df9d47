/*
 * wait.c - a session without its tape: one question, and a look now and then
 *
 * The question is an IRP to a device of this room's own driver, which raises a
 * hard error for it: so the broker has it like any other, under the session's
 * VPB.  The session's thread waits for the end of that IRP, and once a second,
 * or when something was put into a drive, it looks: for tapes nobody else does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

#define MOMENT_MS 500 /* a busy drive is given so long */
#define UNITS_MAX 256

/* --- the driver of questions ---------------------------------------------- */

/* Sent again by the broker when the question has ended well. */
static NTSTATUS NTAPI
ask(PDEVICE_OBJECT device, PIRP irp)
{
    struct ri_tape *tape =
        IoGetCurrentIrpStackLocation(irp)->Parameters.Others.Argument1;
    NTSTATUS status;

    if (tape->raised) {
        irp->IoStatus.Status = STATUS_SUCCESS;
        irp->IoStatus.Information = 0;
        IoCompleteRequest(irp, IO_NO_INCREMENT);
        return STATUS_SUCCESS;
    }
    tape->raised = true;
    IoMarkIrpPending(irp);
    switch (tape->reason) {
    case STATUS_NO_MEDIA_IN_DEVICE:
    case STATUS_WRONG_VOLUME:
    case STATUS_UNRECOGNIZED_MEDIA:
    case STATUS_IO_TIMEOUT:
    case STATUS_MEDIA_WRITE_PROTECTED:
        status = tape->reason;
        break;
    case STATUS_FILE_INVALID: /* the broker asks tapes_changed, ... */
    case STATUS_CLEANER_CARTRIDGE_INSTALLED:
        status = STATUS_WRONG_VOLUME;
        break;
    case STATUS_DEVICE_DOES_NOT_EXIST: /* ... and tapes_gone */
    case STATUS_NO_SUCH_DEVICE:
    case STATUS_DEVICE_NOT_CONNECTED:
        status = STATUS_NO_MEDIA_IN_DEVICE;
        break;
    default:
        status = STATUS_DEVICE_NOT_READY;
    }
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoRaiseHardError(irp, &tape->vpb, tape->vpb.RealDevice);
    return STATUS_PENDING;
}

static VOID NTAPI
unload(PDRIVER_OBJECT driver)
{
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI
tapes_driver_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = unload;
    DriverObject->MajorFunction[IRP_MJ_INTERNAL_DEVICE_CONTROL] = ask;
    status = IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0,
                            FALSE, &tapes.device);
    if (NT_SUCCESS(status))
        tapes.device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    return status;
}

/* --- the question --------------------------------------------------------- */

static NTSTATUS NTAPI
ended(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void) device;
    (void) irp;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static void
set_reason(struct ri_tape *tape, NTSTATUS reason)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    tape->reason = reason;
    KeReleaseSpinLock(&tapes.lock, irql);
}

/* The drive that the question is about. */
static void
set_drive(struct ri_tape *tape)
{
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    tape->vpb.RealDevice = tape->unit->device;
    __atomic_store_n(&tape->vpb.DeviceObject, tape->unit->device,
                     __ATOMIC_RELEASE);
    IoReleaseVpbSpinLock(irql);
}

static NTSTATUS
put_question(struct ri_tape *tape, NTSTATUS reason)
{
    PIRP irp = IoAllocateIrp(tapes.device->StackSize, FALSE);
    PIO_STACK_LOCATION next;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    set_reason(tape, reason);
    set_drive(tape);
    KeClearEvent(&tape->ended);
    tape->raised = false;
    tape->question = irp;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_INTERNAL_DEVICE_CONTROL;
    next->Parameters.Others.Argument1 = tape;
    IoSetCompletionRoutine(irp, ended, &tape->ended, TRUE, TRUE, TRUE);
    (void) IoCallDriver(tapes.device, irp);
    return STATUS_SUCCESS;
}

/* What became of it. */
static NTSTATUS
take_answer(struct ri_tape *tape)
{
    NTSTATUS status;

    (void) KeWaitForSingleObject(&tape->ended, Executive, KernelMode, FALSE,
                                 NULL);
    status = tape->question->IoStatus.Status;
    IoFreeIrp(tape->question);
    tape->question = NULL;
    return status;
}

static void
withdraw(struct ri_tape *tape)
{
    (void) IoCancelIrp(tape->question);
    (void) take_answer(tape);
}

/* Statuses of one kind are one question. */
static int
kind_of(NTSTATUS reason)
{
    return reason == STATUS_MEDIA_WRITE_PROTECTED ? 1
           : reason == STATUS_IO_TIMEOUT          ? 2
                                                  : 0;
}

/* --- looking -------------------------------------------------------------- */

/* A tape that cannot be read is left alone longer and longer, as long as the
 * drive has nothing new to tell: to read it wears it, and blocks the drive. */
static void
leave_alone(struct ri_tape *tape, NTSTATUS found)
{
    if (found != STATUS_UNRECOGNIZED_MEDIA && found != STATUS_IO_DEVICE_ERROR &&
        found != STATUS_DEVICE_DATA_ERROR && found != STATUS_IO_TIMEOUT) {
        tape->pause_ms = 0;
        return;
    }
    tape->pause_ms = tape->pause_ms == 0 ? LOOK_MS : 2 * tape->pause_ms;
    if (tape->pause_ms > LOOK_MAX_MS)
        tape->pause_ms = LOOK_MAX_MS;
    tape->read_again_ms = clock_coarse_ms() + tape->pause_ms;
}

static bool
is_left_alone(const struct ri_tape *tape)
{
    return tape->looked_at ||
           (tape->pause_ms != 0 && clock_coarse_ms() < tape->read_again_ms);
}

static NTSTATUS
look_here(struct ri_tape *tape, bool insist)
{
    NTSTATUS status = tape_port_ready(&tape->port);

    tape->fresh = false;
    unit_said(tape->unit, status);
    if (insist && status == STATUS_DEVICE_NOT_READY) {
        (void) tape_port_prepare(&tape->port, TAPE_LOAD);
        status = tape_port_ready(&tape->port);
    }
    if (!NT_SUCCESS(status)) {
        tape->looked_at = false;
        tape->pause_ms = 0;
        unit_forgets(tape->unit);
        if (tape_status_is_absence(status))
            return status;
    } else if (is_left_alone(tape) && !insist) {
        return tape->reason;
    }
    tape->fresh = true;
    status = place_return(tape);
    leave_alone(tape, status);
    tape->looked_at = status == STATUS_WRONG_VOLUME ||
                      status == STATUS_FILE_INVALID ||
                      status == STATUS_MEDIA_WRITE_PROTECTED;
    return status;
}

static bool
fits(const struct ri_tape *tape, const struct tape_identity *found)
{
    switch (tape->wanted) {
    case WANTED_NAMED:
        return identity_is_called(found, tape->how.tape);
    case WANTED_ANY:
        return false; /* only in its own drive: others' tapes are others' */
    default:
        return tape_identity_compare(&tape->identity, found) !=
                   IDENTITY_OTHER ||
               (tape->first_changes &&
                tape_identity_compare(&tape->before, found) != IDENTITY_OTHER);
    }
}

/* Behind the unit's turn. */
static bool
take_unit(struct ri_tape *tape, struct tape_unit *unit)
{
    struct tape_identity found;
    bool taken = false;
    KIRQL irql;

    if (unit_is_taken(unit) || !NT_SUCCESS(unit_look(unit, NULL)))
        return false;
    KeAcquireSpinLock(&tapes.lock, &irql);
    found = unit->identity;
    if (unit->session == NULL && unit->known && fits(tape, &found)) {
        unit->session = tape;
        taken = true;
    }
    KeReleaseSpinLock(&tapes.lock, irql);
    return taken;
}

/* The session leaves its drive for another. */
static NTSTATUS
move_to(struct ri_tape *tape, struct tape_unit *unit)
{
    struct tape_port port = { .device = unit->device };
    struct tape_unit *old = tape->unit;
    NTSTATUS status = tape_port_open(&port);
    KIRQL irql;

    if (!NT_SUCCESS(status)) {
        KeAcquireSpinLock(&tapes.lock, &irql);
        unit->session = NULL;
        KeReleaseSpinLock(&tapes.lock, irql);
        return status;
    }
    unit_begin(old);
    tape_port_close(&tape->port);
    tape->port = port;
    KeAcquireSpinLock(&tapes.lock, &irql);
    old->session = NULL;
    tape->unit = unit;
    KeReleaseSpinLock(&tapes.lock, irql);
    unit_forgets(old);
    unit_end(old);
    set_drive(tape);
    tape->looked_at = false;
    tape->pause_ms = 0;
    if (tapes.host.released != NULL)
        tapes.host.released(tapes.host.context, old->name);
    return STATUS_SUCCESS;
}

/* TRUE: in another drive there is a tape that may be the one, and the session
 * has that drive now. */
static bool
look_elsewhere(struct ri_tape *tape)
{
    struct tape_unit *units[UNITS_MAX];
    size_t count = 0;
    bool taken;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    for (PLIST_ENTRY e = tapes.units.Flink;
         e != &tapes.units && count < UNITS_MAX; e = e->Flink)
        units[count++] = CONTAINING_RECORD(e, struct tape_unit, link);
    KeReleaseSpinLock(&tapes.lock, irql);
    for (size_t i = 0; i < count; i++) {
        if (units[i] == tape->unit || !unit_try_begin(units[i]))
            continue;
        taken = take_unit(tape, units[i]);
        unit_end(units[i]);
        if (taken && NT_SUCCESS(move_to(tape, units[i])))
            return true;
    }
    return false;
}

static NTSTATUS
look(struct ri_tape *tape, bool insist)
{
    NTSTATUS status = look_here(tape, insist);

    if (!NT_SUCCESS(status) && status != STATUS_FILE_INVALID &&
        look_elsewhere(tape))
        status = look_here(tape, true);
    if (!NT_SUCCESS(status) && tape->state == SESSION_RETURNING)
        session_set_state(tape, SESSION_WAITING);
    return status;
}

/* --- waiting -------------------------------------------------------------- */

static NTSTATUS
called_off(struct ri_tape *tape)
{
    if (InterlockedOr(&tapes.stopping, 0))
        return STATUS_SYSTEM_SHUTDOWN;
    if (InterlockedOr(&tape->cancelled, 0))
        return STATUS_CANCELLED;
    return InterlockedOr(&tape->interrupted, 0) ? STATUS_REQUEST_ABORTED
                                                : STATUS_SUCCESS;
}

/* The question has ended without us. */
static NTSTATUS
meaning_of(NTSTATUS answer)
{
    switch (answer) {
    case STATUS_SUCCESS:
    case STATUS_SYSTEM_SHUTDOWN:
    case STATUS_CANCELLED:
    case STATUS_INSUFFICIENT_RESOURCES:
        return answer;
    default:
        return STATUS_CANCELLED; /* it fails with what was asked about */
    }
}

/* A person takes the tape as it is: what was kept is not written to it. */
static NTSTATUS
use_as_it_is(struct ri_tape *tape)
{
    KIRQL irql;

    place_give_up(tape, STATUS_FILE_INVALID);
    KeAcquireSpinLock(&tapes.lock, &irql);
    tape->identity = tape->unit->identity;
    KeReleaseSpinLock(&tapes.lock, irql);
    tape->first_changes = false;
    (void) KeSetEvent(&tape->answered, IO_NO_INCREMENT, FALSE);
    if (tapes.host.arrived != NULL)
        tapes.host.arrived(&tape->vpb);
    (void) take_answer(tape);
    return STATUS_FILE_INVALID;
}

static const char *
action_of(NTSTATUS reason)
{
    switch (reason) {
    case STATUS_WRONG_VOLUME:
        return "wrong";
    case STATUS_FILE_INVALID:
        return "changed";
    case STATUS_UNRECOGNIZED_MEDIA:
    case STATUS_CLEANER_CARTRIDGE_INSTALLED:
        return "unreadable";
    default:
        return "away";
    }
}

static void
say_away(struct ri_tape *tape, NTSTATUS reason)
{
    char subject[RI_NAME_MAX + 16] = "";

    (void) tapes_subject(&tape->vpb, subject);
    tapes_event(tape->unit, &tape->identity, action_of(reason),
                "%s is needed in drive %s: %s", subject, tape->unit->name,
                tape_status_words(session_reason(tape, reason)));
}

/* Another reason than before: the same question with other words, or another. */
static NTSTATUS
new_reason(struct ri_tape *tape, NTSTATUS reason)
{
    int before = kind_of(tape->reason);

    if (reason == tape->reason) {
        /* Whoever brought it is told of another one that is not it. */
        if (tape->fresh)
            tapes_event(tape->unit, &tape->identity, action_of(reason), "%s",
                        "");
        return STATUS_SUCCESS;
    }
    say_away(tape, reason);
    if (kind_of(reason) != before) {
        withdraw(tape);
        return put_question(tape, reason);
    }
    set_reason(tape, reason);
    set_drive(tape);
    if (tapes.host.reason != NULL)
        tapes.host.reason(&tape->vpb, session_reason(tape, reason));
    return STATUS_SUCCESS;
}

/* FALSE: the question has ended. */
static bool
pause(struct ri_tape *tape)
{
    LARGE_INTEGER limit = { .QuadPart = -(LONGLONG) LOOK_MS * 10000 };
    PVOID objects[] = { &tape->ended, &tape->wake };

    return KeWaitForMultipleObjects(2, objects, WaitAny, Executive, KernelMode,
                                    FALSE, &limit, NULL) != STATUS_WAIT_0;
}

/* The end of a wait; the state is left to whoever called. */
static NTSTATUS
look_until_it_ends(struct ri_tape *tape)
{
    NTSTATUS status, off;
    bool insist;

    for (;;) {
        if (!pause(tape)) {
            status = meaning_of(take_answer(tape));
            if (status != STATUS_SUCCESS)
                return status;
            /* Somebody says that it is there: so it is looked at. */
            status = look(tape, true);
            if (NT_SUCCESS(status) || (!tape_status_is_loss(status) &&
                                       status != STATUS_MEDIA_WRITE_PROTECTED))
                return status;
            status = put_question(tape, status);
            if (!NT_SUCCESS(status))
                return status;
            continue;
        }
        off = called_off(tape);
        if (off != STATUS_SUCCESS) {
            withdraw(tape);
            return off;
        }
        if (InterlockedExchange(&tape->use, 0) &&
            tape->reason == STATUS_FILE_INVALID)
            return use_as_it_is(tape);
        insist = InterlockedExchange(&tape->try_now, 0) != 0;
        status = look(tape, insist);
        if (NT_SUCCESS(status) && tapes.host.arrived != NULL)
            tapes.host.arrived(&tape->vpb);
        if (NT_SUCCESS(status))
            (void) (tapes.host.arrived != NULL ? take_answer(tape)
                                               : (withdraw(tape), 0));
        if (insist)
            (void) KeSetEvent(&tape->answered, IO_NO_INCREMENT, FALSE);
        if (NT_SUCCESS(status))
            return status;
        if (!tape_status_is_loss(status) &&
            status != STATUS_MEDIA_WRITE_PROTECTED) {
            withdraw(tape);
            return status;
        }
        if (tape_status_is_absence(status) ||
            status == STATUS_MEDIA_WRITE_PROTECTED)
            status = new_reason(tape, status);
        else
            status = STATUS_SUCCESS; /* news of the drive: looked at again */
        if (!NT_SUCCESS(status))
            return status;
    }
}

static bool
is_busy(NTSTATUS reason)
{
    return reason == STATUS_DEVICE_BUSY || reason == STATUS_DEVICE_NOT_READY;
}

/* A drive that is busy for a moment is nothing to ask a person about.  Success:
 * the tape is back; a loss: it is not. */
static NTSTATUS
let_it_be(struct ri_tape *tape)
{
    LARGE_INTEGER limit = { .QuadPart = -(LONGLONG) MOMENT_MS * 10000 };

    (void) KeWaitForSingleObject(&tape->wake, Executive, KernelMode, FALSE,
                                 &limit);
    return called_off(tape) != STATUS_SUCCESS ? called_off(tape)
                                              : look(tape, false);
}

NTSTATUS
session_wait(struct ri_tape *tape, NTSTATUS reason)
{
    NTSTATUS status = called_off(tape);

    if (status != STATUS_SUCCESS)
        return status;
    session_show(tape);
    set_reason(tape, reason);
    session_set_state(tape, SESSION_WAITING);
    tape->looked_at = reason == STATUS_WRONG_VOLUME ||
                      reason == STATUS_FILE_INVALID ||
                      reason == STATUS_MEDIA_WRITE_PROTECTED;
    tape->pause_ms = 0;
    leave_alone(tape, reason);
    InterlockedExchange(&tape->use, 0);
    InterlockedExchange(&tape->try_now, 0);
    if (is_busy(reason)) {
        status = let_it_be(tape);
        if (!tape_status_is_loss(status) &&
            status != STATUS_MEDIA_WRITE_PROTECTED)
            return status;
        reason = status;
    }
    say_away(tape, reason);
    InterlockedExchange(&tape->asking, 1);
    status = put_question(tape, reason);
    if (NT_SUCCESS(status))
        status = look_until_it_ends(tape);
    /* Whoever has a wish need not wait for it. */
    InterlockedExchange(&tape->asking, 0);
    (void) KeSetEvent(&tape->answered, IO_NO_INCREMENT, FALSE);
    return status;
}

void
session_wake_all(void)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    for (PLIST_ENTRY e = tapes.sessions.Flink; e != &tapes.sessions;
         e = e->Flink)
        (void) KeSetEvent(&CONTAINING_RECORD(e, struct ri_tape, link)->wake,
                          IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&tapes.lock, irql);
}
