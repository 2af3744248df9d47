/*
 * thread.c - handles of threads
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

#include "ke/ke.h"

/* There is one process: a handle of another one is refused.  Threads have no
 * names. */
NTSTATUS NTAPI
PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess,
                     POBJECT_ATTRIBUTES ObjectAttributes, HANDLE ProcessHandle,
                     PCLIENT_ID ClientId, PKSTART_ROUTINE StartRoutine,
                     PVOID StartContext)
{
    ULONG attributes =
        ObjectAttributes != NULL ? ObjectAttributes->Attributes : 0;
    PETHREAD thread;
    PVOID of = NULL;
    NTSTATUS status;

    KE_IRQL(PsCreateSystemThread);
    if (ObjectAttributes != NULL && ObjectAttributes->ObjectName != NULL)
        return STATUS_OBJECT_NAME_INVALID;
    if (ProcessHandle != NULL) {
        status = ob_reference_handle(ProcessHandle, 0, &ob_process_type,
                                     KernelMode, &of, NULL);
        if (!NT_SUCCESS(status))
            return status;
        ObfDereferenceObject(of);
    }
    thread = ke_system_thread_new(StartRoutine, StartContext);
    if (thread == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = ob_insert_handle(thread, DesiredAccess, attributes, ThreadHandle);
    if (NT_SUCCESS(status) && !ke_system_thread_start(thread)) {
        ZwClose(*ThreadHandle);
        *ThreadHandle = NULL;
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (NT_SUCCESS(status) && ClientId != NULL) {
        ClientId->UniqueProcess = PsGetCurrentProcessId();
        ClientId->UniqueThread = PsGetThreadId(thread);
    }
    ke_thread_unref(thread);
    return status;
}

HANDLE NTAPI
PsGetThreadId(PETHREAD Thread)
{
    return (HANDLE) Thread->id;
}

HANDLE NTAPI
PsGetCurrentThreadId(VOID)
{
    return PsGetThreadId(ke_current());
}

/* As NT's system process. */
HANDLE NTAPI
PsGetProcessId(PEPROCESS Process)
{
    UNREFERENCED_PARAMETER(Process);
    return (HANDLE) 4;
}

HANDLE NTAPI
PsGetCurrentProcessId(VOID)
{
    return PsGetProcessId(ob_system_process());
}

HANDLE NTAPI
PsGetThreadProcessId(PETHREAD Thread)
{
    UNREFERENCED_PARAMETER(Thread);
    return PsGetCurrentProcessId();
}

PEPROCESS NTAPI
PsGetThreadProcess(PETHREAD Thread)
{
    UNREFERENCED_PARAMETER(Thread);
    return ob_system_process();
}

/* There is one process.  The caller drops the reference. */
NTSTATUS NTAPI
PsLookupProcessByProcessId(HANDLE ProcessId, PEPROCESS *Process)
{
    KE_IRQL(PsLookupProcessByProcessId);
    if (ProcessId != PsGetCurrentProcessId())
        return STATUS_INVALID_CID;
    ObfReferenceObject(ob_system_process());
    *Process = ob_system_process();
    return STATUS_SUCCESS;
}

/* The caller drops the reference.  A thread that has ended is found for as long
 * as somebody keeps its object. */
NTSTATUS NTAPI
PsLookupThreadByThreadId(HANDLE ThreadId, PETHREAD *Thread)
{
    KE_IRQL(PsLookupThreadByThreadId);
    *Thread = ke_thread_find((ULONG_PTR) ThreadId);
    return *Thread != NULL ? STATUS_SUCCESS : STATUS_INVALID_CID;
}
