/*
 * open.c - a session's life: opened, cancelled, closed
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* --- taking a tape -------------------------------------------------------- */

/* Where somebody left it, before the drive was reset; else nobody knows. */
static bool
bring_back(struct ri_tape *tape, const struct tape_place *place, int64_t *at)
{
    return NT_SUCCESS(tape_port_move(&tape->port, TAPE_LOGICAL_BLOCK,
                                     place->object)) &&
           NT_SUCCESS(tape_port_where(&tape->port, at)) && *at == place->object;
}

/* After a call for another tape that failed, that is still the one. */
static bool
may_take(const struct ri_tape *tape, const struct tape_identity *found)
{
    switch (tape->wanted) {
    case WANTED_NAMED:
        return identity_is_called(found, tape->how.tape);
    case WANTED_ANY:
        return tape_identity_compare(&tape->refused, found) == IDENTITY_OTHER &&
               (!tape->blank_only || strcmp(found->format, "blank") == 0);
    default:
        return true;
    }
}

NTSTATUS
session_take_tape(struct ri_tape *tape)
{
    bool lost = false;
    TAPE_GET_MEDIA_PARAMETERS media = { 0 };
    struct tape_identity found;
    struct tape_place place;
    int64_t at = -1;
    NTSTATUS status = unit_look(tape->unit, &tape->port);
    KIRQL irql;

    if (NT_SUCCESS(status))
        status = tape_port_media(&tape->port, &media);
    if (NT_SUCCESS(status))
        status = tape_port_where(&tape->port, &at);
    if (!NT_SUCCESS(status))
        return status;
    KeAcquireSpinLock(&tapes.lock, &irql);
    found = tape->unit->identity;
    place = tape->unit->place;
    tape->unit->media = media;
    KeReleaseSpinLock(&tapes.lock, irql);
    if (!may_take(tape, &found))
        return STATUS_WRONG_VOLUME;
    KeAcquireSpinLock(&tapes.lock, &irql);
    tape->identity = found;
    tape->wanted = WANTED_SAME;
    KeReleaseSpinLock(&tapes.lock, irql);
    tape->block_bytes = media.BlockSize;
    tape->first_changes = false;
    if (at == 0 && place.object > 0)
        lost = !bring_back(tape, &place, &at);
    /* Of a drive that does not count, what we counted ourselves. */
    tape->no_locate = tape->no_locate || (at < 0 && place.object > UINT32_MAX);
    if (at >= 0 && place.object != at)
        place = (struct tape_place){ at, -1, -1, 0, false };
    if (at == 0)
        place.file = place.block = 0;
    if (lost)
        place = (struct tape_place){ -1, -1, -1, 0, false };
    session_placed(tape, place.object, place.file, place.block);
    tape->at_end = place.at_end;
    session_set_state(tape, SESSION_READY);
    if (lost)
        session_set_state(tape, SESSION_ADRIFT);
    return STATUS_SUCCESS;
}

/* --- open ----------------------------------------------------------------- */

static bool
claim(struct tape_unit *unit, struct ri_tape *tape)
{
    bool free;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    free = unit->session == NULL;
    if (free) {
        unit->session = tape;
        InsertTailList(&tapes.sessions, &tape->link);
    }
    KeReleaseSpinLock(&tapes.lock, irql);
    return free;
}

/* The unit knows from now on what the session knew. */
static void
leave(struct ri_tape *tape)
{
    struct tape_identity identity = tape->identity;
    struct tape_unit *unit = tape->unit;
    KIRQL irql;

    tape->place.at_end = tape->at_end;
    if (tape->state == SESSION_READY)
        unit_knows(unit, &tape->identity, &tape->place);
    /* What the broker remembers of this session's questions is none of the
     * next one's, which may have its VPB at the same place. */
    if (tapes.host.arrived != NULL)
        tapes.host.arrived(&tape->vpb);
    KeAcquireSpinLock(&tapes.lock, &irql);
    if (tape->state != SESSION_READY)
        unit->place = (struct tape_place){ -1, -1, -1, 0, false };
    unit->session = NULL;
    RemoveEntryList(&tape->link);
    KeReleaseSpinLock(&tapes.lock, irql);
    tapes_event(unit, &identity, "closed", "%s", "");
    session_unref(tape);
}

static struct ri_tape *
new_session(struct tape_unit *unit, const struct ri_tape_how *how)
{
    struct ri_tape *tape = calloc(1, sizeof *tape);

    if (tape == NULL)
        return NULL;
    tape->unit = unit;
    tape->port.device = unit->device;
    tape->how = *how;
    tape->state = SESSION_EMPTY;
    tape->compression = -1;
    tape->references = 1;
    tape->vpb.Type = IO_TYPE_VPB;
    tape->vpb.Size = sizeof tape->vpb;
    tape->vpb.DeviceObject = tape->vpb.RealDevice = unit->device;
    KeInitializeEvent(&tape->wake, SynchronizationEvent, FALSE);
    KeInitializeEvent(&tape->ended, NotificationEvent, FALSE);
    KeInitializeEvent(&tape->answered, NotificationEvent, FALSE);
    kept_init(&tape->kept, unit->limit);
    session_placed(tape, -1, -1, -1);
    return tape;
}

void
session_unref(struct ri_tape *tape)
{
    struct ri_tape *oldest = NULL;
    KIRQL irql;

    if (InterlockedDecrement(&tape->references) != 0)
        return;
    kept_free(&tape->kept);
    free(tape->scratch);
    /* Nobody's any more; who lists questions may look at it just now. */
    __atomic_store_n(&tape->vpb.DeviceObject, NULL, __ATOMIC_RELEASE);
    KeAcquireSpinLock(&tapes.lock, &irql);
    InsertTailList(&tapes.past, &tape->link);
    if (++tapes.past_count > TAPES_PAST) {
        tapes.past_count--;
        oldest = CONTAINING_RECORD(RemoveHeadList(&tapes.past), struct ri_tape,
                                   link);
    }
    KeReleaseSpinLock(&tapes.lock, irql);
    free(oldest);
}

/* Another tape than the one that is meant, or none: to be asked for. */
static NTSTATUS
want(struct ri_tape *tape, NTSTATUS found)
{
    if (NT_SUCCESS(found) &&
        (tape->how.tape[0] == '\0' ||
         identity_is_called(&tape->identity, tape->how.tape)))
        return STATUS_SUCCESS;
    if (NT_SUCCESS(found))
        found = STATUS_WRONG_VOLUME;
    if (tape->how.tape[0] == '\0' || tape->how.fail_without ||
        !tape_status_is_absence(found))
        return found;
    tape->wanted = WANTED_NAMED;
    session_placed(tape, 0, 0, 0);
    session_set_state(tape, SESSION_LOST);
    return STATUS_SUCCESS; /* the first call asks */
}

static NTSTATUS
open_tape(struct ri_tape *tape)
{
    NTSTATUS status;
    bool protected;
    KIRQL irql;

    unit_begin(tape->unit);
    status = unit_look(tape->unit, NULL); /* opening would forget the news */
    if (!NT_SUCCESS(tape_port_open(&tape->port)))
        status = STATUS_NO_SUCH_DEVICE;
    unit_end(tape->unit);
    if (NT_SUCCESS(status))
        status = session_take_tape(tape);
    status = want(tape, status);
    if (!NT_SUCCESS(status) || tape->state != SESSION_READY)
        return status;
    KeAcquireSpinLock(&tapes.lock, &irql);
    protected = tape->unit->media.WriteProtected != 0;
    KeReleaseSpinLock(&tapes.lock, irql);
    return tape->how.write && protected ? STATUS_MEDIA_WRITE_PROTECTED
                                        : STATUS_SUCCESS;
}

static void say(struct ri_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct ri_error *error, const char *format, ...)
{
    va_list args;

    if (error == NULL)
        return;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}

static int
failed_open(struct ri_tape *tape, NTSTATUS status, struct ri_error *out_error)
{
    char name[RI_NAME_MAX];

    identity_name(&tape->identity, name);
    if (status == STATUS_WRONG_VOLUME)
        say(out_error, "drive %s: tape %.100s is wanted, %.100s is in it",
            tape->unit->name, tape->how.tape, name);
    else if (status == STATUS_NO_MEDIA_IN_DEVICE)
        say(out_error, "drive %s: no tape is in it", tape->unit->name);
    else if (status == STATUS_MEDIA_WRITE_PROTECTED)
        say(out_error, "drive %s: tape %.100s is write protected",
            tape->unit->name, name);
    else
        say(out_error, "drive %s: %s", tape->unit->name,
            tape_status_words(status));
    tape_port_close(&tape->port);
    leave(tape);
    return tape_status_errno(status);
}

int
tape_unit_open(struct tape_unit *unit, const struct ri_tape_how *how,
               struct ri_tape **out_tape, struct ri_error *out_error)
{
    struct ri_tape *tape = new_session(unit, how);
    NTSTATUS status;

    if (tape == NULL) {
        say(out_error, "out of memory");
        return -ENOMEM;
    }
    if (!claim(unit, tape)) {
        say(out_error, "drive %s: somebody else has it open", unit->name);
        session_unref(tape);
        return -EBUSY;
    }
    InterlockedExchange(&tape->running, 1);
    status = session_stopped(tape);
    if (NT_SUCCESS(status))
        status = open_tape(tape);
    InterlockedExchange(&tape->running, 0);
    if (!NT_SUCCESS(status) && tape->state == SESSION_EMPTY &&
        how->no_tape_needed && tape->port.file != NULL &&
        status != STATUS_SYSTEM_SHUTDOWN)
        status = STATUS_SUCCESS;
    if (!NT_SUCCESS(status))
        return failed_open(tape, status, out_error);
    session_show(tape);
    *out_tape = tape;
    return 0;
}

void
tape_session_drive(struct ri_tape *tape, char *out_drive)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    snprintf(out_drive, RI_NAME_MAX, "%s", tape->unit->name);
    KeReleaseSpinLock(&tapes.lock, irql);
}

void
ri_tape_before_waits(struct ri_tape *tape, void (*waits)(void *context),
                     void *context)
{
    tape->waits = waits;
    tape->waits_context = context;
}

/* --- cancel, close -------------------------------------------------------- */

void
ri_tape_cancel(struct ri_tape *tape)
{
    InterlockedExchange(&tape->cancelled, 1);
    (void) KeSetEvent(&tape->wake, IO_NO_INCREMENT, FALSE);
}

void
ri_tape_interrupt(struct ri_tape *tape)
{
    if (!InterlockedOr(&tape->running, 0))
        return;
    InterlockedExchange(&tape->interrupted, 1);
    (void) KeSetEvent(&tape->wake, IO_NO_INCREMENT, FALSE);
}

/* Nothing is left to be written: is it there, and where it was?  Nobody is asked
 * for a tape that has gone. */
static void
leave_in_place(struct ri_tape *tape)
{
    NTSTATUS status;

    if (tape->state != SESSION_READY && tape->state != SESSION_LOST)
        return;
    status = tape_port_ready(&tape->port);
    unit_said(tape->unit, status);
    if (NT_SUCCESS(status) && tape->state == SESSION_READY)
        return;
    session_set_state(tape, SESSION_LOST);
    if (tape->place.object >= 0 && !tape->how.fail_without &&
        tape->wanted == WANTED_SAME && !tape_status_is_absence(status))
        status = place_return(tape);
    if (!NT_SUCCESS(status)) {
        if (tape->state == SESSION_RETURNING)
            session_set_state(tape, SESSION_LOST);
        unit_forgets(tape->unit);
    }
}

/* A session that ends does not ask any more than it has to: only for what it
 * still has to write. */
static NTSTATUS
finish(struct ri_tape *tape)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (tape->mark_owed || tape->kept.count != 0) {
        status = session_ready(tape);
        if (NT_SUCCESS(status))
            status = session_finish(tape);
    }
    if (tape->kept.count != 0)
        place_give_up(tape, status);
    leave_in_place(tape);
    if (NT_SUCCESS(status) && tape->how.rewind_at_close &&
        tape->state == SESSION_READY) {
        status = tape_port_move(&tape->port, TAPE_REWIND, 0);
        if (NT_SUCCESS(status))
            session_placed(tape, 0, 0, 0);
        else if (tape_status_is_loss(status))
            status = STATUS_SUCCESS; /* it is not there any more */
    }
    return status;
}

int
ri_tape_close(struct ri_tape *tape, struct ri_tape_result *out_result)
{
    struct ri_tape_result unused = { 0 },
                          *result = out_result != NULL ? out_result : &unused;
    NTSTATUS status;
    int rc;

    (void) session_begin(tape, result);
    status = finish(tape);
    rc = session_end(tape, result, status);
    unit_begin(tape->unit);
    tape_port_close(&tape->port);
    unit_end(tape->unit);
    leave(tape);
    return rc;
}
