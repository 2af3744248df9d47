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

/* <= APC: UserMode while the thread works for a program's call. */
KPROCESSOR_MODE NTAPI ExGetPreviousMode(VOID);

#endif
