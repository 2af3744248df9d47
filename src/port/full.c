/*
 * full.c - a device whose own queue is full takes the command a moment later
 *
 * QUEUE FULL is nothing that a class driver can mend: the request goes back to
 * the head of the unit's queue, and what comes after it waits behind it.  A
 * device that answers nothing but that for longer than the request may take is
 * reported.
 *
 * Context: <= DISPATCH.  Lock: the unit's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#include "base/clock.h"

#define TRY_AGAIN_MS 10
#define EPISODE_MS   1000 /* full again after so long: that is a new story */
#define LIMIT_S      10   /* for requests without a limit of their own */

static uint64_t
now_ms(void)
{
    return clock_now_ns() / 1000000;
}

/* Not again: it would wait for too long, or nobody waits for it any more.  Any
 * other answer of the device ends an episode: it goes on, only slowly. */
static BOOLEAN
gives_up_locked(struct port_unit *unit, PIRP irp, const SCSI_REQUEST_BLOCK *srb)
{
    ULONG limit_s = srb->TimeOutValue != 0 ? srb->TimeOutValue : LIMIT_S;
    uint64_t now = now_ms();

    if (now - unit->full_last_ms > EPISODE_MS ||
        __atomic_load_n(&unit->last_answer_ms, __ATOMIC_RELAXED) >=
            unit->full_since_ms)
        unit->full_since_ms = now;
    unit->full_last_ms = now;
    return now - unit->full_since_ms > limit_s * 1000ull ||
           (unit_flags(unit) & UNIT_REMOVED) != 0 ||
           __atomic_load_n(&irp->Cancel, __ATOMIC_ACQUIRE);
}

BOOLEAN NTAPI
port_full(PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    struct port_unit *unit =
        unit_of(IoGetCurrentIrpStackLocation(irp)->DeviceObject);
    LARGE_INTEGER due = { .QuadPart = -10000ll * TRY_AGAIN_MS };
    BOOLEAN again;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    again = !gives_up_locked(unit, irp, srb) &&
            port_enqueue_locked(unit, irp, TRUE);
    if (again) {
        InterlockedOr(&unit->flags, UNIT_FULL);
        KeSetTimer(&unit->full_timer, due, &unit->full_dpc);
    }
    KeReleaseSpinLock(&unit->lock, irql);
    return again;
}

/* A unit that was removed meanwhile has flushed its queue already. */
static VOID NTAPI
try_again(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct port_unit *unit = context;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(argument1);
    UNREFERENCED_PARAMETER(argument2);
    port_resume(unit, UNIT_FULL);
    if (unit_flags(unit) & UNIT_REMOVED)
        port_flush(unit, SRB_STATUS_NO_DEVICE);
}

void
port_full_init(struct port_unit *unit)
{
    KeInitializeTimer(&unit->full_timer);
    KeInitializeDpc(&unit->full_dpc, try_again, unit);
}
