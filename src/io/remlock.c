/*
 * remlock.c - remove locks: a device is not taken away under a request
 *
 * <= DISPATCH but for ReleaseAndWait, which is PASSIVE.  The count starts at
 * one, the device's own, which ReleaseAndWait gives back.
 *
 * Debug builds keep beside it, in locktags.c, who has acquired what with which
 * tag, where.
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
    UNREFERENCED_PARAMETER(RemlockSize);
    Lock->Common.Removed = FALSE;
    Lock->Common.IoCount = 1;
    KeInitializeEvent(&Lock->Common.RemoveEvent, SynchronizationEvent, FALSE);
    if (IO_CHECKING)
        io_lock_tags_start(Lock, MaxLockedMinutes, HighWatermark);
}

static void
release(PIO_REMOVE_LOCK lock)
{
    LONG left = InterlockedDecrement(&lock->Common.IoCount);

    if (IO_UNLIKELY(left < 0))
        io_broken(IO_RULE_REMLOCK_NOT_ACQUIRED, NULL, NULL);
    if (left == 0)
        KeSetEvent(&lock->Common.RemoveEvent, IO_NO_INCREMENT, FALSE);
}

NTSTATUS NTAPI
IoAcquireRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, PCSTR File,
                      ULONG Line, ULONG RemlockSize)
{
    UNREFERENCED_PARAMETER(RemlockSize);
    KE_IRQL(IoAcquireRemoveLock);
    InterlockedIncrement(&RemoveLock->Common.IoCount);
    if (IO_LIKELY(
            !__atomic_load_n(&RemoveLock->Common.Removed, __ATOMIC_SEQ_CST))) {
        if (IO_CHECKING)
            io_lock_tags_acquire(RemoveLock, Tag, File, Line);
        return STATUS_SUCCESS;
    }
    release(RemoveLock);
    return STATUS_DELETE_PENDING;
}

VOID NTAPI
IoReleaseRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, ULONG RemlockSize)
{
    UNREFERENCED_PARAMETER(RemlockSize);
    KE_IRQL(IoReleaseRemoveLock);
    if (IO_CHECKING)
        io_lock_tags_release(RemoveLock, Tag);
    release(RemoveLock);
}

/* Gives back what the caller acquired, and waits for all others. */
VOID NTAPI
IoReleaseRemoveLockAndWaitEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag,
                             ULONG RemlockSize)
{
    LARGE_INTEGER limit, *timeout = NULL;

    UNREFERENCED_PARAMETER(RemlockSize);
    KE_IRQL(IoReleaseRemoveLockAndWait);
    __atomic_store_n(&RemoveLock->Common.Removed, TRUE, __ATOMIC_SEQ_CST);
    if (IO_CHECKING) {
        io_lock_tags_release(RemoveLock, Tag);
        limit.QuadPart = -io_lock_tags_limit(RemoveLock);
        timeout = limit.QuadPart != 0 ? &limit : NULL;
    }
    InterlockedDecrement(&RemoveLock->Common.IoCount);
    if (InterlockedDecrement(&RemoveLock->Common.IoCount) <= 0)
        return;
    while (KeWaitForSingleObject(&RemoveLock->Common.RemoveEvent, Executive,
                                 KernelMode, FALSE, timeout) == STATUS_TIMEOUT)
        io_lock_tags_expect_free(RemoveLock);
}
