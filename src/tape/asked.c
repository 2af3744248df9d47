/*
 * asked.c - a session's question, for the broker's host: what it is about, and a
 *           person's wishes
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MS 10000 /* a person's wish is waited for so long */

NTSTATUS
session_reason(const struct ri_tape *tape, NTSTATUS reason)
{
    return reason == STATUS_DEVICE_NOT_CONNECTED && tape->unit->here
               ? STATUS_DEVICE_DOES_NOT_EXIST
               : reason;
}

static struct ri_tape *
find_locked(PVPB vpb)
{
    for (PLIST_ENTRY e = tapes.sessions.Flink;
         tapes.driver != NULL && e != &tapes.sessions; e = e->Flink) {
        struct ri_tape *tape = CONTAINING_RECORD(e, struct ri_tape, link);

        if (&tape->vpb == vpb)
            return tape;
    }
    return NULL;
}

struct ri_tape *
session_ref(PVPB vpb)
{
    struct ri_tape *tape;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    tape = find_locked(vpb);
    if (tape != NULL)
        InterlockedIncrement(&tape->references);
    KeReleaseSpinLock(&tapes.lock, irql);
    return tape;
}

BOOLEAN
tapes_wanted(PVPB vpb, struct tapes_wanted *out_wanted)
{
    struct ri_tape *tape;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    tape = find_locked(vpb);
    if (tape != NULL && out_wanted != NULL) {
        memset(out_wanted, 0, sizeof *out_wanted);
        snprintf(out_wanted->drive, sizeof out_wanted->drive, "%s",
                 tape->unit->name);
        out_wanted->any = tape->wanted == WANTED_ANY;
        out_wanted->blank = out_wanted->any && tape->blank_only;
        if (tape->wanted == WANTED_NAMED) {
            snprintf(out_wanted->tape, sizeof out_wanted->tape, "%s",
                     tape->how.tape);
        } else if (tape->wanted == WANTED_SAME) {
            identity_name(&tape->identity, out_wanted->tape);
            memcpy(out_wanted->serial, tape->identity.serial,
                   sizeof out_wanted->serial);
            memcpy(out_wanted->barcode, tape->identity.barcode,
                   sizeof out_wanted->barcode);
        }
    }
    KeReleaseSpinLock(&tapes.lock, irql);
    return tape != NULL;
}

static void
name_of(const struct tapes_wanted *wanted, char *out_name)
{
    snprintf(out_name, RI_NAME_MAX, "%s",
             wanted->blank ? "a blank tape"
             : wanted->any ? "another tape that can be written"
                           : wanted->tape);
}

/* Either may be NULL. */
void
tapes_describe(PVPB vpb, char *out_tape, char *out_drive)
{
    struct tapes_wanted wanted = { 0 };

    (void) tapes_wanted(vpb, &wanted);
    if (out_tape != NULL)
        name_of(&wanted, out_tape);
    if (out_drive != NULL)
        snprintf(out_drive, RI_NAME_MAX, "%s", wanted.drive);
}

BOOLEAN
tapes_subject(PVPB vpb, char *out_subject)
{
    struct tapes_wanted wanted;
    char name[RI_NAME_MAX];

    if (!tapes_wanted(vpb, &wanted))
        return FALSE;
    name_of(&wanted, name);
    snprintf(out_subject, RI_NAME_MAX + 16, "%s%s", wanted.any ? "" : "tape ",
             name);
    return TRUE;
}

static NTSTATUS
reason_of(PVPB vpb)
{
    NTSTATUS reason = STATUS_SUCCESS;
    struct ri_tape *tape;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    tape = find_locked(vpb);
    if (tape != NULL &&
        (tape->state == SESSION_WAITING || tape->state == SESSION_RETURNING))
        reason = session_reason(tape, tape->reason);
    KeReleaseSpinLock(&tapes.lock, irql);
    return reason;
}

BOOLEAN
tapes_needed(PVPB vpb, NTSTATUS status)
{
    NTSTATUS reason = reason_of(vpb);

    if (status == STATUS_MEDIA_WRITE_PROTECTED)
        return reason == status;
    return reason != STATUS_SUCCESS;
}

BOOLEAN
tapes_changed(PVPB vpb)
{
    return reason_of(vpb) == STATUS_FILE_INVALID;
}

NTSTATUS
tapes_gone(PVPB vpb)
{
    switch (reason_of(vpb)) {
    case STATUS_DEVICE_DOES_NOT_EXIST:
    case STATUS_NO_SUCH_DEVICE:
        return STATUS_DEVICE_DOES_NOT_EXIST;
    case STATUS_DEVICE_NOT_CONNECTED:
        return STATUS_DEVICE_NOT_CONNECTED;
    default:
        return STATUS_SUCCESS;
    }
}

/* Has the session see to a person's wish; false: it did not, in time. */
static bool
wish(struct ri_tape *tape, LONG *flag)
{
    LARGE_INTEGER limit = { .QuadPart = -(LONGLONG) ANSWER_MS * 10000 };

    KeClearEvent(&tape->answered);
    InterlockedExchange(flag, 1);
    (void) KeSetEvent(&tape->wake, IO_NO_INCREMENT, FALSE);
    if (!InterlockedOr(&tape->asking, 0))
        return true;
    return KeWaitForSingleObject(&tape->answered, Executive, KernelMode, FALSE,
                                 &limit) == STATUS_SUCCESS;
}

BOOLEAN
tapes_try_again(PVPB vpb)
{
    struct ri_tape *tape = session_ref(vpb);
    bool back;

    if (tape == NULL)
        return FALSE;
    back = wish(tape, &tape->try_now) && reason_of(vpb) == STATUS_SUCCESS;
    session_unref(tape);
    return back;
}

int
tapes_use(PVPB vpb)
{
    struct ri_tape *tape = session_ref(vpb);
    bool done;

    if (tape == NULL)
        return -ENOENT;
    done = wish(tape, &tape->use);
    session_unref(tape);
    return done ? 0 : -EIO;
}
