/*
 * ntddk.h - what legacy and class drivers use beyond wdm.h
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _NTDDK_
#define _NTDDK_

#include <wdm.h>

/* --- hard errors ------------------------------------------------------------ */

/*
 * <= DISPATCH.  Records DeviceObject as the device to verify for the thread
 * that issued the IRP.  The IRP must have a thread; a class driver that has
 * none remembers the call and makes it with the next IRP that has one
 * (IoSetHardErrorOrVerifyDevice page).
 */
VOID NTAPI IoSetHardErrorOrVerifyDevice(PIRP Irp, PDEVICE_OBJECT DeviceObject);

/* Any IRQL; a macro in the WDK.  TRUE for exactly seven statuses. */
BOOLEAN NTAPI IoIsErrorUserInduced(NTSTATUS Status);

/*
 * <= APC; file systems only.  The IRP is marked pending and IoStatus.Status
 * holds the error; the caller returns STATUS_PENDING and does not touch the IRP
 * again: it is completed or dispatched again, perhaps before this returns.
 */
VOID NTAPI IoRaiseHardError(PIRP Irp, PVPB Vpb,
                            PDEVICE_OBJECT RealDeviceObject);
/* <= APC.  TRUE: queued; nobody waits for an answer. */
BOOLEAN NTAPI IoRaiseInformationalHardError(NTSTATUS ErrorStatus,
                                            PUNICODE_STRING String,
                                            PKTHREAD Thread);
/* <= DISPATCH.  Returns whether hard errors were enabled before. */
BOOLEAN NTAPI IoSetThreadHardErrorMode(BOOLEAN EnableHardErrors);

VOID NTAPI IoSetMasterIrpStatus(PIRP MasterIrp, NTSTATUS Status);
PIRP NTAPI IoMakeAssociatedIrp(PIRP Irp, CCHAR StackSize);

/* --- initialization again: PASSIVE ------------------------------------------ */

typedef VOID NTAPI DRIVER_REINITIALIZE(PDRIVER_OBJECT DriverObject,
                                       PVOID Context, ULONG Count);
typedef DRIVER_REINITIALIZE *PDRIVER_REINITIALIZE;

/* Called by DriverEntry or by the routine itself. */
VOID NTAPI IoRegisterDriverReinitialization(
    PDRIVER_OBJECT DriverObject,
    PDRIVER_REINITIALIZE DriverReinitializationRoutine, PVOID Context);
VOID NTAPI IoRegisterBootDriverReinitialization(
    PDRIVER_OBJECT DriverObject,
    PDRIVER_REINITIALIZE DriverReinitializationRoutine, PVOID Context);

/* --- links, configuration ------------------------------------------------------ */

NTSTATUS NTAPI IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName,
                                    PUNICODE_STRING DeviceName);
NTSTATUS NTAPI IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName);

typedef struct _CONFIGURATION_INFORMATION {
    ULONG DiskCount;
    ULONG FloppyCount;
    ULONG CdRomCount;
    ULONG TapeCount;
    ULONG ScsiPortCount;
    ULONG SerialCount;
    ULONG ParallelCount;
    BOOLEAN AtDiskPrimaryAddressClaimed;
    BOOLEAN AtDiskSecondaryAddressClaimed;
    ULONG Version;
    ULONG MediumChangerCount;
} CONFIGURATION_INFORMATION, *PCONFIGURATION_INFORMATION;

PCONFIGURATION_INFORMATION NTAPI IoGetConfigurationInformation(VOID);

/* --- callouts that need stack -------------------------------------------------- */

#define MAXIMUM_EXPANSION_SIZE 0x11800

typedef VOID NTAPI EXPAND_STACK_CALLOUT(PVOID Parameter);
typedef EXPAND_STACK_CALLOUT *PEXPAND_STACK_CALLOUT;

/* <= DISPATCH, with Wait <= APC.  Context: NULL. */
NTSTATUS NTAPI KeExpandKernelStackAndCalloutEx(PEXPAND_STACK_CALLOUT Callout,
                                               PVOID Parameter, SIZE_T Size,
                                               BOOLEAN Wait, PVOID Context);
/* <= APC */
NTSTATUS NTAPI KeExpandKernelStackAndCallout(PEXPAND_STACK_CALLOUT Callout,
                                             PVOID Parameter, SIZE_T Size);

/* --- what is told of files and volumes ------------------------------------------ */

typedef struct _FILE_NAME_INFORMATION {
    ULONG FileNameLength;
    WCHAR FileName[1];
} FILE_NAME_INFORMATION, *PFILE_NAME_INFORMATION;

typedef struct _FILE_FS_VOLUME_INFORMATION {
    LARGE_INTEGER VolumeCreationTime;
    ULONG VolumeSerialNumber;
    ULONG VolumeLabelLength;
    BOOLEAN SupportsObjects;
    WCHAR VolumeLabel[1];
} FILE_FS_VOLUME_INFORMATION, *PFILE_FS_VOLUME_INFORMATION;

/* --- the kernel itself: PASSIVE -------------------------------------------------- */

/* FALSE: not a checked build. */
BOOLEAN NTAPI PsGetVersion(PULONG MajorVersion, PULONG MinorVersion,
                           PULONG BuildNumber, PUNICODE_STRING CSDVersion);

/* --- threads, names of objects ------------------------------------------------- */

/* Any IRQL */
HANDLE NTAPI PsGetCurrentProcessId(VOID);
HANDLE NTAPI PsGetCurrentThreadId(VOID);
HANDLE NTAPI PsGetProcessId(PEPROCESS Process);
HANDLE NTAPI PsGetThreadId(PETHREAD Thread);
HANDLE NTAPI PsGetThreadProcessId(PETHREAD Thread);

typedef struct _OBJECT_NAME_INFORMATION {
    UNICODE_STRING Name;
} OBJECT_NAME_INFORMATION, *POBJECT_NAME_INFORMATION;

/* <= APC */
NTSTATUS NTAPI ExUuidCreate(UUID *Uuid);

/* --- more of the run-time library: strings PASSIVE when they fold case -------------------- */

VOID NTAPI RtlCopyString(PSTRING DestinationString,
                         const STRING *SourceString);
LONG NTAPI RtlCompareString(const STRING *String1, const STRING *String2,
                            BOOLEAN CaseInSensitive);
BOOLEAN NTAPI RtlEqualString(const STRING *String1, const STRING *String2,
                             BOOLEAN CaseInSensitive);
CHAR NTAPI RtlUpperChar(CHAR Character);
VOID NTAPI RtlUpperString(PSTRING DestinationString,
                          const STRING *SourceString);
NTSTATUS NTAPI RtlUpcaseUnicodeString(PUNICODE_STRING DestinationString,
                                      PCUNICODE_STRING SourceString,
                                      BOOLEAN AllocateDestinationString);
NTSTATUS NTAPI RtlCharToInteger(PCSZ String, ULONG Base, PULONG Value);

/* --- generic tables: the caller guards them and gives the memory --------------------------- */

typedef enum _TABLE_SEARCH_RESULT {
    TableEmptyTree,
    TableFoundNode,
    TableInsertAsLeft,
    TableInsertAsRight,
} TABLE_SEARCH_RESULT;

typedef enum _RTL_GENERIC_COMPARE_RESULTS {
    GenericLessThan,
    GenericGreaterThan,
    GenericEqual,
} RTL_GENERIC_COMPARE_RESULTS;

typedef struct _RTL_SPLAY_LINKS {
    struct _RTL_SPLAY_LINKS *Parent;
    struct _RTL_SPLAY_LINKS *LeftChild;
    struct _RTL_SPLAY_LINKS *RightChild;
} RTL_SPLAY_LINKS, *PRTL_SPLAY_LINKS;

#define RtlInitializeSplayLinks(Links)                                        \
    ((Links)->Parent = (Links), (Links)->LeftChild = NULL,                    \
     (Links)->RightChild = NULL)
#define RtlParent(Links)       ((Links)->Parent)
#define RtlLeftChild(Links)    ((Links)->LeftChild)
#define RtlRightChild(Links)   ((Links)->RightChild)
#define RtlIsRoot(Links)       ((Links)->Parent == (Links))
#define RtlIsLeftChild(Links)  ((Links)->Parent->LeftChild == (Links))
#define RtlIsRightChild(Links) ((Links)->Parent->RightChild == (Links))
#define RtlInsertAsLeftChild(ParentLinks, ChildLinks)                         \
    ((ParentLinks)->LeftChild = (ChildLinks),                                 \
     (ChildLinks)->Parent = (ParentLinks))
#define RtlInsertAsRightChild(ParentLinks, ChildLinks)                        \
    ((ParentLinks)->RightChild = (ChildLinks),                                \
     (ChildLinks)->Parent = (ParentLinks))

/* Any IRQL.  The new root; of RtlDelete NULL: the tree is empty. */
PRTL_SPLAY_LINKS NTAPI RtlSplay(PRTL_SPLAY_LINKS Links);
PRTL_SPLAY_LINKS NTAPI RtlDelete(PRTL_SPLAY_LINKS Links);
VOID NTAPI RtlDeleteNoSplay(PRTL_SPLAY_LINKS Links, PRTL_SPLAY_LINKS *Root);
PRTL_SPLAY_LINKS NTAPI RtlSubtreeSuccessor(PRTL_SPLAY_LINKS Links);
PRTL_SPLAY_LINKS NTAPI RtlSubtreePredecessor(PRTL_SPLAY_LINKS Links);
PRTL_SPLAY_LINKS NTAPI RtlRealSuccessor(PRTL_SPLAY_LINKS Links);
PRTL_SPLAY_LINKS NTAPI RtlRealPredecessor(PRTL_SPLAY_LINKS Links);

struct _RTL_GENERIC_TABLE;
typedef RTL_GENERIC_COMPARE_RESULTS NTAPI RTL_GENERIC_COMPARE_ROUTINE(
    struct _RTL_GENERIC_TABLE *Table, PVOID FirstStruct, PVOID SecondStruct);
typedef RTL_GENERIC_COMPARE_ROUTINE *PRTL_GENERIC_COMPARE_ROUTINE;
typedef PVOID NTAPI RTL_GENERIC_ALLOCATE_ROUTINE(
    struct _RTL_GENERIC_TABLE *Table, ULONG ByteSize);
typedef RTL_GENERIC_ALLOCATE_ROUTINE *PRTL_GENERIC_ALLOCATE_ROUTINE;
typedef VOID NTAPI RTL_GENERIC_FREE_ROUTINE(struct _RTL_GENERIC_TABLE *Table,
                                            PVOID Buffer);
typedef RTL_GENERIC_FREE_ROUTINE *PRTL_GENERIC_FREE_ROUTINE;

typedef struct _RTL_GENERIC_TABLE {
    PRTL_SPLAY_LINKS TableRoot;
    LIST_ENTRY InsertOrderList;
    PLIST_ENTRY OrderedPointer;
    ULONG WhichOrderedElement;
    ULONG NumberGenericTableElements;
    PRTL_GENERIC_COMPARE_ROUTINE CompareRoutine;
    PRTL_GENERIC_ALLOCATE_ROUTINE AllocateRoutine;
    PRTL_GENERIC_FREE_ROUTINE FreeRoutine;
    PVOID TableContext;
} RTL_GENERIC_TABLE, *PRTL_GENERIC_TABLE;

VOID NTAPI RtlInitializeGenericTable(
    PRTL_GENERIC_TABLE Table, PRTL_GENERIC_COMPARE_ROUTINE CompareRoutine,
    PRTL_GENERIC_ALLOCATE_ROUTINE AllocateRoutine,
    PRTL_GENERIC_FREE_ROUTINE FreeRoutine, PVOID TableContext);
/* The element in the table; NULL: no memory. */
PVOID NTAPI RtlInsertElementGenericTable(PRTL_GENERIC_TABLE Table,
                                         PVOID Buffer, ULONG BufferSize,
                                         PBOOLEAN NewElement);
BOOLEAN NTAPI RtlDeleteElementGenericTable(PRTL_GENERIC_TABLE Table,
                                           PVOID Buffer);
PVOID NTAPI RtlLookupElementGenericTable(PRTL_GENERIC_TABLE Table,
                                         PVOID Buffer);
PVOID NTAPI RtlEnumerateGenericTable(PRTL_GENERIC_TABLE Table,
                                     BOOLEAN Restart);
PVOID NTAPI RtlEnumerateGenericTableWithoutSplaying(PRTL_GENERIC_TABLE Table,
                                                    PVOID *RestartKey);
PVOID NTAPI RtlGetElementGenericTable(PRTL_GENERIC_TABLE Table, ULONG I);
ULONG NTAPI RtlNumberGenericTableElements(PRTL_GENERIC_TABLE Table);
BOOLEAN NTAPI RtlIsGenericTableEmpty(PRTL_GENERIC_TABLE Table);

/* <= APC: UserMode while the thread works for a program's call. */
KPROCESSOR_MODE NTAPI ExGetPreviousMode(VOID);

#endif
