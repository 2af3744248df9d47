/*
 * remlock.c - remove locks: a device is not taken away under a request
 *
 * <= DISPATCH but for ReleaseAndWait, which is PASSIVE.  The count starts at
 * one, the device's own, which ReleaseAndWait gives back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

VOID NTAPI
IoInitializeRemoveLockEx(PIO_REMOVE_LOCK Lock, ULONG AllocateTag,
                         ULONG MaxLockedMinutes, ULONG HighWatermark,
                         ULONG RemlockSize)
{
    UNREFERENCED_PARAMETER(AllocateTag);
    UNREFERENCED_PARAMETER(MaxLockedMinutes);
    UNREFERENCED_PARAMETER(HighWatermark);
    UNREFERENCED_PARAMETER(RemlockSize);
    Lock->Common.Removed = FALSE;
    Lock->Common.IoCount = 1;
    KeInitializeEvent(&Lock->Common.RemoveEvent, SynchronizationEvent, FALSE);
}

static void
release(PIO_REMOVE_LOCK lock)
{
    LONG left = InterlockedDecrement(&lock->Common.IoCount);

    if (IO_UNLIKELY(left < 0))
        io_rule_broken(DRIVER_VERIFIER_DETECTED_VIOLATION,
                       "a remove lock was released too often "
                       "(IoReleaseRemoveLock)",
                       NULL, NULL);
    if (left == 0)
        KeSetEvent(&lock->Common.RemoveEvent, IO_NO_INCREMENT, FALSE);
}

NTSTATUS NTAPI
IoAcquireRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, PCSTR File,
                      ULONG Line, ULONG RemlockSize)
{
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(File);
    UNREFERENCED_PARAMETER(Line);
    UNREFERENCED_PARAMETER(RemlockSize);
    InterlockedIncrement(&RemoveLock->Common.IoCount);
    if (IO_LIKELY(
            !__atomic_load_n(&RemoveLock->Common.Removed, __ATOMIC_SEQ_CST)))
        return STATUS_SUCCESS;
    release(RemoveLock);
    return STATUS_DELETE_PENDING;
}

VOID NTAPI
IoReleaseRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, ULONG RemlockSize)
{
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(RemlockSize);
    release(RemoveLock);
}

/* Gives back what the caller acquired, and waits for all others. */
VOID NTAPI
IoReleaseRemoveLockAndWaitEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag,
                             ULONG RemlockSize)
{
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(RemlockSize);
    __atomic_store_n(&RemoveLock->Common.Removed, TRUE, __ATOMIC_SEQ_CST);
    InterlockedDecrement(&RemoveLock->Common.IoCount);
    if (InterlockedDecrement(&RemoveLock->Common.IoCount) > 0)
        KeWaitForSingleObject(&RemoveLock->Common.RemoveEvent, Executive,
                              KernelMode, FALSE, NULL);
}
