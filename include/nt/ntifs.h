/*
 * ntifs.h - what file systems use beyond ntddk.h
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _NTIFS_
#define _NTIFS_

#include <ntddk.h>

/* < DISPATCH.  The list follows FsDevice's DeviceType. */
VOID NTAPI IoRegisterFileSystem(PDEVICE_OBJECT DeviceObject);
VOID NTAPI IoUnregisterFileSystem(PDEVICE_OBJECT DeviceObject);

/*
 * < DISPATCH; waits.  DeviceObject is the storage device.  Returns the status
 * of the verify: STATUS_SUCCESS, STATUS_WRONG_VOLUME (a mount of what is there
 * now was tried) or what the file system's verify said; with nothing mounted
 * before, a mount is tried and STATUS_SUCCESS returned.
 */
NTSTATUS NTAPI IoVerifyVolume(PDEVICE_OBJECT DeviceObject,
                              BOOLEAN AllowRawMount);

/* <= DISPATCH; one global lock over VPB flags, counts and RealDevice->Vpb. */
VOID NTAPI IoAcquireVpbSpinLock(PKIRQL Irql);
VOID NTAPI IoReleaseVpbSpinLock(KIRQL Irql);

/* <= DISPATCH: a thread's "device to verify"; no reference is held. */
PDEVICE_OBJECT NTAPI IoGetDeviceToVerify(PETHREAD Thread);
VOID NTAPI IoSetDeviceToVerify(PETHREAD Thread, PDEVICE_OBJECT DeviceObject);

PIRP NTAPI IoGetTopLevelIrp(VOID);
VOID NTAPI IoSetTopLevelIrp(PIRP Irp);
PDEVICE_OBJECT NTAPI IoGetBaseFileSystemDeviceObject(PFILE_OBJECT FileObject);
PEPROCESS NTAPI IoGetRequestorProcess(PIRP Irp);
/* Any IRQL: does the thread end, or has it ended? */
BOOLEAN NTAPI PsIsThreadTerminating(PETHREAD Thread);
/* <= APC.  Referenced. */
NTSTATUS NTAPI PsLookupThreadByThreadId(HANDLE ThreadId, PETHREAD *Thread);
/* <= APC.  Referenced. */
NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE ProcessId,
                                          PEPROCESS *Process);
/* Any IRQL.  Not referenced. */
PEPROCESS NTAPI PsGetThreadProcess(PETHREAD Thread);
#define IoIsSystemThread PsIsSystemThread
/* PASSIVE.  The list of an IRP_MJ_SET_EA or of a create; what is wrong with it
 * begins at *ErrorOffset. */
NTSTATUS NTAPI IoCheckEaBufferValidity(PFILE_FULL_EA_INFORMATION EaBuffer,
                                       ULONG EaLength, PULONG ErrorOffset);
/* <= DISPATCH.  Referenced; NULL: nothing below, or it is being deleted. */
PDEVICE_OBJECT NTAPI IoGetLowerDeviceObject(PDEVICE_OBJECT DeviceObject);
PDEVICE_OBJECT NTAPI IoGetDeviceAttachmentBaseRef(PDEVICE_OBJECT DeviceObject);
/* PASSIVE.  A file without a name, for the file system's own use: CLEANUP comes
 * at once (not with Lite), CLOSE with the last reference.  NULL: no memory. */
PFILE_OBJECT NTAPI IoCreateStreamFileObject(PFILE_OBJECT FileObject,
                                            PDEVICE_OBJECT DeviceObject);
PFILE_OBJECT NTAPI IoCreateStreamFileObjectLite(PFILE_OBJECT FileObject,
                                                PDEVICE_OBJECT DeviceObject);

BOOLEAN NTAPI FsRtlIsTotalDeviceFailure(NTSTATUS Status);
BOOLEAN NTAPI FsRtlIsNtstatusExpected(NTSTATUS Ntstatus);

#define FSRTL_FSP_TOP_LEVEL_IRP       0x01
#define FSRTL_CACHE_TOP_LEVEL_IRP     0x02
#define FSRTL_MOD_WRITE_TOP_LEVEL_IRP 0x03
#define FSRTL_FAST_IO_TOP_LEVEL_IRP   0x04

typedef enum _HARDERROR_RESPONSE_OPTION {
    OptionAbortRetryIgnore,
    OptionOk,
    OptionOkCancel,
    OptionRetryCancel,
    OptionYesNo,
    OptionYesNoCancel,
    OptionShutdownSystem,
    OptionOkNoWait,
    OptionCancelTryContinue,
} HARDERROR_RESPONSE_OPTION;

typedef enum _HARDERROR_RESPONSE {
    ResponseReturnToCaller,
    ResponseNotHandled,
    ResponseAbort,
    ResponseCancel,
    ResponseIgnore,
    ResponseNo,
    ResponseOk,
    ResponseRetry,
    ResponseYes,
    ResponseTryAgain,
    ResponseContinue,
} HARDERROR_RESPONSE;

#define MAXIMUM_HARDERROR_PARAMETERS 5
#define HARDERROR_OVERRIDE_ERRORMODE 0x10000000

/* PASSIVE; waits for the answer. */
NTSTATUS NTAPI ExRaiseHardError(NTSTATUS ErrorStatus, ULONG NumberOfParameters,
                                ULONG UnicodeStringParameterMask,
                                PULONG_PTR Parameters,
                                ULONG ValidResponseOptions, PULONG Response);

#define FSCTL_LOCK_VOLUME                                                     \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 6, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_UNLOCK_VOLUME                                                   \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 7, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_DISMOUNT_VOLUME                                                 \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 8, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_IS_VOLUME_MOUNTED                                               \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 10, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_MARK_VOLUME_DIRTY                                               \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 12, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_INVALIDATE_VOLUMES                                              \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 21, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_IS_VOLUME_DIRTY                                                 \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 30, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_ALLOW_EXTENDED_DASD_IO                                          \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 32, METHOD_NEITHER, FILE_ANY_ACCESS)
/* What FSCTL_IS_VOLUME_DIRTY answers. */
#define VOLUME_IS_DIRTY 0x00000001

/* --- objects: PASSIVE ------------------------------------------------------ */

typedef enum _OBJECT_INFORMATION_CLASS {
    ObjectBasicInformation = 0,
    ObjectNameInformation = 1,
    ObjectTypeInformation = 2,
} OBJECT_INFORMATION_CLASS;

typedef struct _PUBLIC_OBJECT_BASIC_INFORMATION {
    ULONG Attributes;
    ACCESS_MASK GrantedAccess;
    ULONG HandleCount;
    ULONG PointerCount;
    ULONG Reserved[10];
} PUBLIC_OBJECT_BASIC_INFORMATION, *PPUBLIC_OBJECT_BASIC_INFORMATION;

typedef struct _PUBLIC_OBJECT_TYPE_INFORMATION {
    UNICODE_STRING TypeName;
    ULONG Reserved[22];
} PUBLIC_OBJECT_TYPE_INFORMATION, *PPUBLIC_OBJECT_TYPE_INFORMATION;

NTSTATUS NTAPI NtClose(HANDLE Handle);
NTSTATUS NTAPI ObOpenObjectByPointer(PVOID Object, ULONG HandleAttributes,
                                     PACCESS_STATE PassedAccessState,
                                     ACCESS_MASK DesiredAccess,
                                     POBJECT_TYPE ObjectType,
                                     KPROCESSOR_MODE AccessMode,
                                     PHANDLE Handle);
NTSTATUS NTAPI ObQueryNameString(PVOID Object,
                                 POBJECT_NAME_INFORMATION ObjectNameInfo,
                                 ULONG Length, PULONG ReturnLength);
NTSTATUS NTAPI ZwQueryObject(HANDLE Handle,
                             OBJECT_INFORMATION_CLASS ObjectInformationClass,
                             PVOID ObjectInformation,
                             ULONG ObjectInformationLength,
                             PULONG ReturnLength);
NTSTATUS NTAPI ZwDuplicateObject(HANDLE SourceProcessHandle,
                                 HANDLE SourceHandle,
                                 HANDLE TargetProcessHandle,
                                 PHANDLE TargetHandle,
                                 ACCESS_MASK DesiredAccess,
                                 ULONG HandleAttributes, ULONG Options);
NTSTATUS NTAPI ZwOpenDirectoryObject(PHANDLE DirectoryHandle,
                                     ACCESS_MASK DesiredAccess,
                                     POBJECT_ATTRIBUTES ObjectAttributes);
NTSTATUS NTAPI ZwCreateEvent(PHANDLE EventHandle, ACCESS_MASK DesiredAccess,
                             POBJECT_ATTRIBUTES ObjectAttributes,
                             EVENT_TYPE EventType, BOOLEAN InitialState);
NTSTATUS NTAPI ZwSetEvent(HANDLE EventHandle, PLONG PreviousState);
NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable,
                                     PLARGE_INTEGER Timeout);

/* --- run-time library of file systems: PASSIVE unless noted -------------------------------- */

typedef STRING OEM_STRING, *POEM_STRING;
typedef const STRING *PCOEM_STRING;

NTSTATUS NTAPI RtlAppendStringToString(PSTRING Destination,
                                       const STRING *Source);
NTSTATUS NTAPI RtlDowncaseUnicodeString(PUNICODE_STRING UniDest,
                                        PCUNICODE_STRING UniSource,
                                        BOOLEAN AllocateDestinationString);
NTSTATUS NTAPI RtlOemStringToUnicodeString(PUNICODE_STRING DestinationString,
                                           PCOEM_STRING SourceString,
                                           BOOLEAN AllocateDestinationString);
NTSTATUS NTAPI RtlUnicodeStringToOemString(POEM_STRING DestinationString,
                                           PCUNICODE_STRING SourceString,
                                           BOOLEAN AllocateDestinationString);
/* Without the NUL at the end. */
NTSTATUS NTAPI RtlOemStringToCountedUnicodeString(
    PUNICODE_STRING DestinationString, PCOEM_STRING SourceString,
    BOOLEAN AllocateDestinationString);
NTSTATUS NTAPI RtlUnicodeStringToCountedOemString(
    POEM_STRING DestinationString, PCUNICODE_STRING SourceString,
    BOOLEAN AllocateDestinationString);
NTSTATUS NTAPI RtlUpcaseUnicodeStringToCountedOemString(
    POEM_STRING DestinationString, PCUNICODE_STRING SourceString,
    BOOLEAN AllocateDestinationString);
VOID NTAPI RtlFreeOemString(POEM_STRING OemString);
NTSTATUS NTAPI RtlOemToUnicodeN(PWSTR UnicodeString,
                                ULONG MaxBytesInUnicodeString,
                                PULONG BytesInUnicodeString, PCSTR OemString,
                                ULONG BytesInOemString);
/* Bytes, with the NUL at the end. */
ULONG NTAPI RtlxOemStringToUnicodeSize(PCOEM_STRING OemString);
ULONG NTAPI RtlxUnicodeStringToOemSize(PCUNICODE_STRING UnicodeString);

/* Any IRQL. */
SIZE_T NTAPI RtlCompareMemoryUlong(PVOID Source, SIZE_T Length, ULONG Pattern);
VOID NTAPI RtlFillMemoryUlong(PVOID Destination, SIZE_T Length, ULONG Pattern);
BOOLEAN NTAPI RtlTimeToSecondsSince1970(PLARGE_INTEGER Time,
                                        PULONG ElapsedSeconds);
VOID NTAPI RtlSecondsSince1970ToTime(ULONG ElapsedSeconds,
                                     PLARGE_INTEGER Time);
BOOLEAN NTAPI RtlTimeToSecondsSince1980(PLARGE_INTEGER Time,
                                        PULONG ElapsedSeconds);
VOID NTAPI RtlSecondsSince1980ToTime(ULONG ElapsedSeconds,
                                     PLARGE_INTEGER Time);
/* <= APC.  From 0 to MAXLONG - 1. */
ULONG NTAPI RtlRandomEx(PULONG Seed);

/* --- requests on a handle: PASSIVE ------------------------------------------ */

/* Zw: a kernel caller, who is not checked.  Nt: as the previous mode says; the
 * handle needs the access that the request or the control code asks for. */
NTSTATUS NTAPI ZwDeviceIoControlFile(
    HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
    PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, ULONG IoControlCode,
    PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer,
    ULONG OutputBufferLength);
NTSTATUS NTAPI NtDeviceIoControlFile(
    HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
    PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, ULONG IoControlCode,
    PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer,
    ULONG OutputBufferLength);
NTSTATUS NTAPI ZwFsControlFile(HANDLE FileHandle, HANDLE Event,
                               PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                               PIO_STATUS_BLOCK IoStatusBlock,
                               ULONG FsControlCode, PVOID InputBuffer,
                               ULONG InputBufferLength, PVOID OutputBuffer,
                               ULONG OutputBufferLength);
NTSTATUS NTAPI NtFsControlFile(HANDLE FileHandle, HANDLE Event,
                               PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                               PIO_STATUS_BLOCK IoStatusBlock,
                               ULONG FsControlCode, PVOID InputBuffer,
                               ULONG InputBufferLength, PVOID OutputBuffer,
                               ULONG OutputBufferLength);
NTSTATUS NTAPI NtReadFile(HANDLE FileHandle, HANDLE Event,
                          PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                          PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
                          ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key);
NTSTATUS NTAPI NtWriteFile(HANDLE FileHandle, HANDLE Event,
                           PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                           PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
                           ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key);
NTSTATUS NTAPI ZwFlushBuffersFile(HANDLE FileHandle,
                                  PIO_STATUS_BLOCK IoStatusBlock);
NTSTATUS NTAPI NtFlushBuffersFile(HANDLE FileHandle,
                                  PIO_STATUS_BLOCK IoStatusBlock);

#endif
