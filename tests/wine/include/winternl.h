/*
 * winternl.h - declarations of what only functions that are not applicable
 *              here call, so that the tests compile
 *
 * The routines are weak: they need not exist, because nobody calls them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_WINTERNL_H
#define TESTS_WINE_WINTERNL_H

#include <windef.h>

/* Exported and not documented; declared here as in Wine's headers. */
NTSTATUS NTAPI ObReferenceObjectByName(PUNICODE_STRING name, ULONG attributes,
                                       PACCESS_STATE state, ACCESS_MASK access,
                                       POBJECT_TYPE type, KPROCESSOR_MODE mode,
                                       PVOID context, PVOID *object);

#define ABSENT __attribute__((weak))

#ifndef STATUS_IMAGE_ALREADY_LOADED
#define STATUS_IMAGE_ALREADY_LOADED ((NTSTATUS) 0xC000010E)
#endif
#ifndef STATUS_PROCEDURE_NOT_FOUND
#define STATUS_PROCEDURE_NOT_FOUND  ((NTSTATUS) 0xC000007A)
#endif

/* --- images: test_load_driver ---------------------------------------------- */

#define IMAGE_ADDRESSING_MODE_32BIT 3

typedef struct _IMAGE_INFO {
    ULONG ImageAddressingMode : 8;
    ULONG SystemModeImage : 1;
} IMAGE_INFO;
typedef VOID NTAPI image_notify_fn(PUNICODE_STRING name, HANDLE process,
                                   IMAGE_INFO *info);

ABSENT NTSTATUS NTAPI PsSetLoadImageNotifyRoutine(image_notify_fn *routine);
ABSENT NTSTATUS NTAPI PsRemoveLoadImageNotifyRoutine(image_notify_fn *routine);
ABSENT NTSTATUS NTAPI ZwLoadDriver(PUNICODE_STRING name);
ABSENT NTSTATUS NTAPI ZwUnloadDriver(PUNICODE_STRING name);

/* --- processes: test_current_thread, test_process_memory ------------------- */

#define PROCESS_QUERY_INFORMATION 0x0400

typedef enum { ProcessBasicInformation } PROCESSINFOCLASS;
typedef struct {
    ULONG_PTR InheritedFromUniqueProcessId;
} PROCESS_BASIC_INFORMATION;
typedef struct {
    PVOID reserved;
} KAPC_STATE;
typedef struct _KPROCESS *PKPROCESS;

ABSENT HANDLE NTAPI PsGetProcessInheritedFromUniqueProcessId(PEPROCESS process);
ABSENT PVOID NTAPI PsGetProcessSectionBaseAddress(PEPROCESS process);
ABSENT NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE id, PEPROCESS *process);
ABSENT VOID NTAPI KeStackAttachProcess(PKPROCESS process, KAPC_STATE *state);
ABSENT VOID NTAPI KeUnstackDetachProcess(KAPC_STATE *state);

/* --- processors: test_affinity, test_dpc ----------------------------------- */

#define ALL_PROCESSOR_GROUPS 0xffff

typedef struct {
    ULONG Barrier, TotalProcessors;
} DEFERRED_REVERSE_BARRIER;

ABSENT VOID NTAPI KeSetSystemAffinityThread(KAFFINITY affinity);
ABSENT VOID NTAPI KeRevertToUserAffinityThread(VOID);

#endif
