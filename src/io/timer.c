/*
 * timer.c - the timer that a device may have: once a second, at DISPATCH
 *
 * One kernel timer serves all devices; it runs only while a device's timer is
 * started.  A routine is called without the lock and with a reference to its
 * device, so it may start or stop any timer but its own (documented).
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#define SECOND_MS 1000

struct _IO_TIMER {
    LIST_ENTRY entry;
    PDEVICE_OBJECT device;
    PIO_TIMER_ROUTINE routine;
    PVOID context;
    bool started;
    ULONG tick; /* the last one that it was called at */
};

static KSPIN_LOCK timer_lock;
static LIST_ENTRY timers = { &timers, &timers };
static unsigned started_count;
static ULONG tick;
static KTIMER seconds;
static KDPC seconds_dpc;

/* The next one that is due at this tick, its device referenced. */
static PIO_TIMER
next_due(ULONG now)
{
    PIO_TIMER found = NULL;

    KeAcquireSpinLockAtDpcLevel(&timer_lock);
    for (PLIST_ENTRY at = timers.Flink; at != &timers && found == NULL;
         at = at->Flink) {
        PIO_TIMER timer = CONTAINING_RECORD(at, struct _IO_TIMER, entry);

        if (timer->started && timer->tick != now) {
            timer->tick = now;
            ObReferenceObject(timer->device);
            found = timer;
        }
    }
    KeReleaseSpinLockFromDpcLevel(&timer_lock);
    return found;
}

static VOID NTAPI
second_passed(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PIO_TIMER timer;
    ULONG now;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLockAtDpcLevel(&timer_lock);
    now = ++tick;
    KeReleaseSpinLockFromDpcLevel(&timer_lock);
    while ((timer = next_due(now)) != NULL) {
        PDEVICE_OBJECT device = timer->device;

        timer->routine(device, timer->context);
        ObDereferenceObject(device);
    }
}

__attribute__((constructor)) static void
init_timer(void)
{
    KeInitializeTimer(&seconds);
    KeInitializeDpc(&seconds_dpc, second_passed, NULL);
}

NTSTATUS NTAPI
IoInitializeTimer(PDEVICE_OBJECT DeviceObject, PIO_TIMER_ROUTINE TimerRoutine,
                  PVOID Context)
{
    PIO_TIMER timer = DeviceObject->Timer;
    KIRQL irql;

    if (timer == NULL) {
        timer = ExAllocatePoolWithTag(NonPagedPool, sizeof *timer, IO_TAG_WORK);
        if (timer == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        RtlZeroMemory(timer, sizeof *timer);
        timer->device = DeviceObject;
        DeviceObject->Timer = timer;
        KeAcquireSpinLock(&timer_lock, &irql);
        InsertTailList(&timers, &timer->entry);
        KeReleaseSpinLock(&timer_lock, irql);
    }
    timer->routine = TimerRoutine;
    timer->context = Context;
    return STATUS_SUCCESS;
}

/* Under the lock, so that start and stop of the one timer keep their order. */
static void
set_started_locked(PIO_TIMER timer, bool started)
{
    LARGE_INTEGER due = { .QuadPart = -10000LL * SECOND_MS };

    if (timer->started == started)
        return;
    timer->started = started;
    timer->tick = tick;
    if (started && started_count++ == 0)
        KeSetTimerEx(&seconds, due, SECOND_MS, &seconds_dpc);
    else if (!started && --started_count == 0)
        KeCancelTimer(&seconds);
}

static void
set_started(PDEVICE_OBJECT device, bool started)
{
    KIRQL irql;

    KeAcquireSpinLock(&timer_lock, &irql);
    if (!started || !io_devext(device)->delete_pending)
        set_started_locked(device->Timer, started);
    KeReleaseSpinLock(&timer_lock, irql);
}

VOID NTAPI
IoStartTimer(PDEVICE_OBJECT DeviceObject)
{
    set_started(DeviceObject, true);
}

VOID NTAPI
IoStopTimer(PDEVICE_OBJECT DeviceObject)
{
    set_started(DeviceObject, false);
}

void
io_timer_stop(PDEVICE_OBJECT device)
{
    if (device->Timer != NULL)
        set_started(device, false);
}

/* Nobody has a reference to the device any more. */
void
io_timer_free(PDEVICE_OBJECT device)
{
    PIO_TIMER timer = device->Timer;
    KIRQL irql;

    if (timer == NULL)
        return;
    KeAcquireSpinLock(&timer_lock, &irql);
    set_started_locked(timer, false);
    RemoveEntryList(&timer->entry);
    KeReleaseSpinLock(&timer_lock, irql);
    device->Timer = NULL;
    ExFreePoolWithTag(timer, IO_TAG_WORK);
}
