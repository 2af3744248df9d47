/*
 * bridge.h - what the DDK headers of mingw-w64 10.0 lack
 *
 * Included by force before every file that `make ddk-check` compiles, and by
 * nothing else.  Each entry says which header should have had it; an entry
 * goes when a newer mingw-w64 has the thing (the compiler will then complain
 * of a second definition).  The names and values are Microsoft's, from the
 * documentation pages of the same names; nothing of ours is declared here.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TOOLS_DDK_BRIDGE_H
#define TOOLS_DDK_BRIDGE_H

/*
 * classpnp.h: ClassSignalCompletion has a PKEVENT where the WDK, since
 * Windows 8, has an IO_COMPLETION_ROUTINE's PVOID.
 */
#define ClassSignalCompletion ClassSignalCompletion_of_older_headers
#include <ntifs.h>
#include <classpnp.h>
#undef ClassSignalCompletion
IO_COMPLETION_ROUTINE ClassSignalCompletion;

/* mcd.h: names a record of wmidata.h, which it does not include. */
#include <wmidata.h>

/* classpnp.h: the function types of the callbacks (only the pointers are
 * there; parameters as in those). */
typedef VOID NTAPI CLASS_ERROR(PDEVICE_OBJECT DeviceObject,
                               PSCSI_REQUEST_BLOCK Srb, NTSTATUS *Status,
                               BOOLEAN *Retry);
typedef NTSTATUS NTAPI CLASS_ADD_DEVICE(PDRIVER_OBJECT DriverObject,
                                        PDEVICE_OBJECT Pdo);
typedef NTSTATUS NTAPI CLASS_POWER_DEVICE(PDEVICE_OBJECT DeviceObject,
                                          PIRP Irp);
typedef NTSTATUS NTAPI CLASS_START_DEVICE(PDEVICE_OBJECT DeviceObject);
typedef NTSTATUS NTAPI CLASS_STOP_DEVICE(PDEVICE_OBJECT DeviceObject,
                                         UCHAR Type);
typedef NTSTATUS NTAPI CLASS_INIT_DEVICE(PDEVICE_OBJECT DeviceObject);
typedef NTSTATUS NTAPI CLASS_ENUM_DEVICE(PDEVICE_OBJECT DeviceObject);
typedef NTSTATUS NTAPI CLASS_READ_WRITE(PDEVICE_OBJECT DeviceObject, PIRP Irp);
typedef NTSTATUS NTAPI CLASS_DEVICE_CONTROL(PDEVICE_OBJECT DeviceObject,
                                            PIRP Irp);
typedef NTSTATUS NTAPI CLASS_SHUTDOWN_FLUSH(PDEVICE_OBJECT DeviceObject,
                                            PIRP Irp);
typedef NTSTATUS NTAPI CLASS_CREATE_CLOSE(PDEVICE_OBJECT DeviceObject,
                                          PIRP Irp);
typedef NTSTATUS NTAPI CLASS_REMOVE_DEVICE(PDEVICE_OBJECT DeviceObject,
                                           UCHAR Type);
typedef VOID NTAPI CLASS_UNLOAD(PDRIVER_OBJECT DriverObject);
typedef VOID NTAPI CLASS_TICK(PDEVICE_OBJECT DeviceObject);

/* classpnp.h: routines of Windows 8. */
ULONG NTAPI ClassModeSenseEx(PDEVICE_OBJECT DeviceObject,
                             PCHAR ModeSenseBuffer, ULONG Length,
                             UCHAR PageMode, UCHAR PageControl);
NTSTATUS NTAPI ClassModeSelect(PDEVICE_OBJECT Fdo, PCHAR ModeSelectBuffer,
                               ULONG Length, BOOLEAN SavePages);

/* wdm.h: the type check of RtlQueryRegistryValues, of Windows 8. */
#define RTL_QUERY_REGISTRY_TYPECHECK       0x00000100
#define RTL_QUERY_REGISTRY_TYPECHECK_SHIFT 24

/* ntddk.h: declared by no header of theirs. */
NTKERNELAPI VOID NTAPI IoSetMasterIrpStatus(PIRP MasterIrp, NTSTATUS Status);

/* ntstatus.h: statuses of Windows 8. */
#define STATUS_DISK_RESOURCES_EXHAUSTED ((NTSTATUS) 0xC0000461)
#define STATUS_DEVICE_HARDWARE_ERROR    ((NTSTATUS) 0xC0000483)

/* ntiologc.h: a code of Windows 8. */
#define IO_WARNING_IO_OPERATION_RETRIED ((NTSTATUS) 0x80040099)

/* scsi.h: a page of Windows 8. */
#define VPD_BLOCK_LIMITS 0xB0

/* ntddstor.h: the record is there, its version is not. */
#define DEVICE_DATA_SET_LB_PROVISIONING_STATE_VERSION_V1                      \
    sizeof(DEVICE_DATA_SET_LB_PROVISIONING_STATE)

/*
 * stdio.h: of the C library the kernel has _vsnprintf, which ends a text only
 * if there is room.  WDKs since Windows 10 put snprintf on top in stdio.h;
 * mingw-w64's calls its own library, which no driver can be linked with.
 */
#include <stdarg.h>
#include <stdio.h>
static inline int
bridge_snprintf(char *out, size_t max, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = _vsnprintf(out, max, format, args);
    va_end(args);
    if (max != 0 && (len < 0 || (size_t) len >= max))
        out[max - 1] = '\0';
    return len < 0 ? (int) max : len;
}
#define snprintf bridge_snprintf

/*
 * ntddtape.h: the older forms of common codes, and the records, which are in
 * winnt.h only, where no driver sees them.
 */
#include <ntddtape.h>
/* Older forms of IOCTL_STORAGE_ codes. */
#define IOCTL_TAPE_MEDIA_REMOVAL    \
    CTL_CODE(IOCTL_TAPE_BASE, 0x0201, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_TAPE_EJECT_MEDIA      \
    CTL_CODE(IOCTL_TAPE_BASE, 0x0202, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_TAPE_LOAD_MEDIA       \
    CTL_CODE(IOCTL_TAPE_BASE, 0x0203, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_TAPE_RESERVE          \
    CTL_CODE(IOCTL_TAPE_BASE, 0x0204, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_TAPE_RELEASE          \
    CTL_CODE(IOCTL_TAPE_BASE, 0x0205, METHOD_BUFFERED, FILE_READ_ACCESS)

/* --- erase, prepare, marks ------------------------------------------------- */

#define TAPE_ERASE_SHORT 0L     /* an end of data here */
#define TAPE_ERASE_LONG  1L     /* to the end of the partition */

typedef struct _TAPE_ERASE {
    ULONG Type;
    BOOLEAN Immediate;
} TAPE_ERASE, *PTAPE_ERASE;

#define TAPE_LOAD    0L
#define TAPE_UNLOAD  1L
#define TAPE_TENSION 2L
#define TAPE_LOCK    3L
#define TAPE_UNLOCK  4L
#define TAPE_FORMAT  5L

typedef struct _TAPE_PREPARE {
    ULONG Operation;
    BOOLEAN Immediate;
} TAPE_PREPARE, *PTAPE_PREPARE;

#define TAPE_SETMARKS        0L
#define TAPE_FILEMARKS       1L
#define TAPE_SHORT_FILEMARKS 2L
#define TAPE_LONG_FILEMARKS  3L

typedef struct _TAPE_WRITE_MARKS {
    ULONG Type;
    ULONG Count;
    BOOLEAN Immediate;
} TAPE_WRITE_MARKS, *PTAPE_WRITE_MARKS;

/* --- position -------------------------------------------------------------- */

#define TAPE_ABSOLUTE_POSITION       0L
#define TAPE_LOGICAL_POSITION        1L
#define TAPE_PSEUDO_LOGICAL_POSITION 2L

typedef struct _TAPE_GET_POSITION {
    ULONG Type;
    ULONG Partition;            /* from 1; 0: not partitioned */
    LARGE_INTEGER Offset;
} TAPE_GET_POSITION, *PTAPE_GET_POSITION;

#define TAPE_REWIND                0L
#define TAPE_ABSOLUTE_BLOCK        1L
#define TAPE_LOGICAL_BLOCK         2L
#define TAPE_PSEUDO_LOGICAL_BLOCK  3L
#define TAPE_SPACE_END_OF_DATA     4L
#define TAPE_SPACE_RELATIVE_BLOCKS 5L
#define TAPE_SPACE_FILEMARKS       6L
#define TAPE_SPACE_SEQUENTIAL_FMKS 7L
#define TAPE_SPACE_SETMARKS        8L
#define TAPE_SPACE_SEQUENTIAL_SMKS 9L

typedef struct _TAPE_SET_POSITION {
    ULONG Method;
    ULONG Partition;
    LARGE_INTEGER Offset;       /* relative methods: negative is back */
    BOOLEAN Immediate;
} TAPE_SET_POSITION, *PTAPE_SET_POSITION;

/* --- drive ----------------------------------------------------------------- */

/* FeaturesLow. */
#define TAPE_DRIVE_FIXED            0x00000001
#define TAPE_DRIVE_SELECT           0x00000002
#define TAPE_DRIVE_INITIATOR        0x00000004
#define TAPE_DRIVE_ERASE_SHORT      0x00000010
#define TAPE_DRIVE_ERASE_LONG       0x00000020
#define TAPE_DRIVE_ERASE_BOP_ONLY   0x00000040
#define TAPE_DRIVE_ERASE_IMMEDIATE  0x00000080
#define TAPE_DRIVE_TAPE_CAPACITY    0x00000100
#define TAPE_DRIVE_TAPE_REMAINING   0x00000200
#define TAPE_DRIVE_FIXED_BLOCK      0x00000400
#define TAPE_DRIVE_VARIABLE_BLOCK   0x00000800
#define TAPE_DRIVE_WRITE_PROTECT    0x00001000
#define TAPE_DRIVE_EOT_WZ_SIZE      0x00002000
#define TAPE_DRIVE_ECC              0x00010000
#define TAPE_DRIVE_COMPRESSION      0x00020000
#define TAPE_DRIVE_PADDING          0x00040000
#define TAPE_DRIVE_REPORT_SMKS      0x00080000
#define TAPE_DRIVE_GET_ABSOLUTE_BLK 0x00100000
#define TAPE_DRIVE_GET_LOGICAL_BLK  0x00200000
#define TAPE_DRIVE_SET_EOT_WZ_SIZE  0x00400000
#define TAPE_DRIVE_EJECT_MEDIA      0x01000000
#define TAPE_DRIVE_CLEAN_REQUESTS   0x02000000
#define TAPE_DRIVE_SET_CMP_BOP_ONLY 0x04000000
#define TAPE_DRIVE_RESERVED_BIT     0x80000000

/* FeaturesHigh; the highest bit is in all of them. */
#define TAPE_DRIVE_HIGH_FEATURES    0x80000000
#define TAPE_DRIVE_LOAD_UNLOAD      0x80000001
#define TAPE_DRIVE_TENSION          0x80000002
#define TAPE_DRIVE_LOCK_UNLOCK      0x80000004
#define TAPE_DRIVE_REWIND_IMMEDIATE 0x80000008
#define TAPE_DRIVE_SET_BLOCK_SIZE   0x80000010
#define TAPE_DRIVE_LOAD_UNLD_IMMED  0x80000020
#define TAPE_DRIVE_TENSION_IMMED    0x80000040
#define TAPE_DRIVE_LOCK_UNLK_IMMED  0x80000080
#define TAPE_DRIVE_SET_ECC          0x80000100
#define TAPE_DRIVE_SET_COMPRESSION  0x80000200
#define TAPE_DRIVE_SET_PADDING      0x80000400
#define TAPE_DRIVE_SET_REPORT_SMKS  0x80000800
#define TAPE_DRIVE_ABSOLUTE_BLK     0x80001000
#define TAPE_DRIVE_ABS_BLK_IMMED    0x80002000
#define TAPE_DRIVE_LOGICAL_BLK      0x80004000
#define TAPE_DRIVE_LOG_BLK_IMMED    0x80008000
#define TAPE_DRIVE_END_OF_DATA      0x80010000
#define TAPE_DRIVE_RELATIVE_BLKS    0x80020000
#define TAPE_DRIVE_FILEMARKS        0x80040000
#define TAPE_DRIVE_SEQUENTIAL_FMKS  0x80080000
#define TAPE_DRIVE_SETMARKS         0x80100000
#define TAPE_DRIVE_SEQUENTIAL_SMKS  0x80200000
#define TAPE_DRIVE_REVERSE_POSITION 0x80400000
#define TAPE_DRIVE_SPACE_IMMEDIATE  0x80800000
#define TAPE_DRIVE_WRITE_SETMARKS   0x81000000
#define TAPE_DRIVE_WRITE_FILEMARKS  0x82000000
#define TAPE_DRIVE_WRITE_SHORT_FMKS 0x84000000
#define TAPE_DRIVE_WRITE_LONG_FMKS  0x88000000
#define TAPE_DRIVE_WRITE_MARK_IMMED 0x90000000
#define TAPE_DRIVE_FORMAT           0xA0000000
#define TAPE_DRIVE_FORMAT_IMMEDIATE 0xC0000000

typedef struct _TAPE_GET_DRIVE_PARAMETERS {
    BOOLEAN ECC;
    BOOLEAN Compression;
    BOOLEAN DataPadding;
    BOOLEAN ReportSetmarks;
    ULONG DefaultBlockSize;
    ULONG MaximumBlockSize;
    ULONG MinimumBlockSize;
    ULONG MaximumPartitionCount;
    ULONG FeaturesLow;
    ULONG FeaturesHigh;
    ULONG EOTWarningZoneSize;
} TAPE_GET_DRIVE_PARAMETERS, *PTAPE_GET_DRIVE_PARAMETERS;

typedef struct _TAPE_SET_DRIVE_PARAMETERS {
    BOOLEAN ECC;
    BOOLEAN Compression;
    BOOLEAN DataPadding;
    BOOLEAN ReportSetmarks;
    ULONG EOTWarningZoneSize;
} TAPE_SET_DRIVE_PARAMETERS, *PTAPE_SET_DRIVE_PARAMETERS;

/* --- medium ---------------------------------------------------------------- */

typedef struct _TAPE_GET_MEDIA_PARAMETERS {
    LARGE_INTEGER Capacity;     /* bytes; 0: not known */
    LARGE_INTEGER Remaining;
    ULONG BlockSize;            /* 0: of any length */
    ULONG PartitionCount;
    BOOLEAN WriteProtected;
} TAPE_GET_MEDIA_PARAMETERS, *PTAPE_GET_MEDIA_PARAMETERS;

typedef struct _TAPE_SET_MEDIA_PARAMETERS {
    ULONG BlockSize;
} TAPE_SET_MEDIA_PARAMETERS, *PTAPE_SET_MEDIA_PARAMETERS;

#define TAPE_FIXED_PARTITIONS     0L
#define TAPE_SELECT_PARTITIONS    1L
#define TAPE_INITIATOR_PARTITIONS 2L

typedef struct _TAPE_CREATE_PARTITION {
    ULONG Method;
    ULONG Count;
    ULONG Size;                 /* MiB */
} TAPE_CREATE_PARTITION, *PTAPE_CREATE_PARTITION;

/* --- what a drive says of itself -------------------------------------------- */

#define TAPE_QUERY_DRIVE_PARAMETERS  0L
#define TAPE_QUERY_MEDIA_CAPACITY    1L
#define TAPE_CHECK_FOR_DRIVE_PROBLEM 2L
#define TAPE_QUERY_IO_ERROR_DATA     3L
#define TAPE_QUERY_DEVICE_ERROR_DATA 4L

typedef struct _TAPE_WMI_OPERATIONS {
    ULONG Method;
    ULONG DataBufferSize;
    PVOID DataBuffer;
} TAPE_WMI_OPERATIONS, *PTAPE_WMI_OPERATIONS;

/*
 * ntddcdrm.h: exclusive access, speeds that a drive has, calibration.
 */
#include <ntddcdrm.h>
#define IOCTL_CDROM_EXCLUSIVE_ACCESS                                          \
    CTL_CODE(IOCTL_CDROM_BASE, 0x0017, METHOD_BUFFERED,                       \
             FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_CDROM_GET_INQUIRY_DATA                                          \
    CTL_CODE(IOCTL_CDROM_BASE, 0x0019, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_CDROM_ENABLE_STREAMING                                          \
    CTL_CODE(IOCTL_CDROM_BASE, 0x001A, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_CDROM_SEND_OPC_INFORMATION                                      \
    CTL_CODE(IOCTL_CDROM_BASE, 0x001B, METHOD_BUFFERED,                       \
             FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_CDROM_GET_PERFORMANCE                                           \
    CTL_CODE(IOCTL_CDROM_BASE, 0x001C, METHOD_BUFFERED, FILE_READ_ACCESS)

#define MINIMUM_CDROM_INQUIRY_SIZE 36
#define MAXIMUM_CDROM_INQUIRY_SIZE 260

#define CDROM_EXCLUSIVE_CALLER_LENGTH 64

#define CDROM_LOCK_IGNORE_VOLUME     0x00000001
#define CDROM_NO_MEDIA_NOTIFICATIONS 0x00000002

#define CDROM_NOT_IN_EXCLUSIVE_MODE 0
#define CDROM_IN_EXCLUSIVE_MODE     1

typedef enum _EXCLUSIVE_ACCESS_REQUEST_TYPE {
    ExclusiveAccessQueryState,
    ExclusiveAccessLockDevice,
    ExclusiveAccessUnlockDevice,
} EXCLUSIVE_ACCESS_REQUEST_TYPE, *PEXCLUSIVE_ACCESS_REQUEST_TYPE;

typedef struct _CDROM_EXCLUSIVE_ACCESS {
    EXCLUSIVE_ACCESS_REQUEST_TYPE RequestType;
    ULONG Flags;
} CDROM_EXCLUSIVE_ACCESS, *PCDROM_EXCLUSIVE_ACCESS;

typedef struct _CDROM_EXCLUSIVE_LOCK {
    CDROM_EXCLUSIVE_ACCESS Access;
    UCHAR CallerName[CDROM_EXCLUSIVE_CALLER_LENGTH];
} CDROM_EXCLUSIVE_LOCK, *PCDROM_EXCLUSIVE_LOCK;

typedef struct _CDROM_EXCLUSIVE_LOCK_STATE {
    BOOLEAN LockState;
    UCHAR CallerName[CDROM_EXCLUSIVE_CALLER_LENGTH];
} CDROM_EXCLUSIVE_LOCK_STATE, *PCDROM_EXCLUSIVE_LOCK_STATE;

typedef struct _CDROM_SET_STREAMING {
    CDROM_SPEED_REQUEST RequestType;
    ULONG ReadSize;
    ULONG ReadTime;
    ULONG WriteSize;
    ULONG WriteTime;
    ULONG StartLba;
    ULONG EndLba;
    WRITE_ROTATION RotationControl;
    BOOLEAN RestoreDefaults;
    BOOLEAN SetExact;
    BOOLEAN RandomAccess;
    BOOLEAN Persistent;         /* the default again when the medium changes */
} CDROM_SET_STREAMING, *PCDROM_SET_STREAMING;

typedef enum _STREAMING_CONTROL_REQUEST_TYPE {
    CdromStreamingDisable = 1,
    CdromStreamingEnableForReadOnly = 2,
    CdromStreamingEnableForWriteOnly = 3,
    CdromStreamingEnableForReadWrite = 4,
} STREAMING_CONTROL_REQUEST_TYPE, *PSTREAMING_CONTROL_REQUEST_TYPE;

typedef struct _CDROM_STREAMING_CONTROL {
    STREAMING_CONTROL_REQUEST_TYPE RequestType;
} CDROM_STREAMING_CONTROL, *PCDROM_STREAMING_CONTROL;

typedef enum _CDROM_OPC_INFO_TYPE {
    SimpleOpcInfo = 1,
} CDROM_OPC_INFO_TYPE, *PCDROM_OPC_INFO_TYPE;

typedef struct _CDROM_SIMPLE_OPC_INFO {
    CDROM_OPC_INFO_TYPE RequestType;
    BOOLEAN Exclude0;
    BOOLEAN Exclude1;
} CDROM_SIMPLE_OPC_INFO, *PCDROM_SIMPLE_OPC_INFO;

#pragma pack(push, 1)
typedef struct _CDROM_PERFORMANCE_HEADER {
    UCHAR DataLength[4];        /* of what there is, behind this field */
    UCHAR Except : 1;
    UCHAR Write : 1;
    UCHAR Reserved1 : 6;
    UCHAR Reserved2[3];
    UCHAR Data[0];
} CDROM_PERFORMANCE_HEADER, *PCDROM_PERFORMANCE_HEADER;

typedef struct _CDROM_NOMINAL_PERFORMANCE_DESCRIPTOR {
    UCHAR StartLba[4];
    UCHAR StartPerformance[4];  /* kilobytes a second */
    UCHAR EndLba[4];
    UCHAR EndPerformance[4];
} CDROM_NOMINAL_PERFORMANCE_DESCRIPTOR,
    *PCDROM_NOMINAL_PERFORMANCE_DESCRIPTOR;

typedef struct _CDROM_EXCEPTION_PERFORMANCE_DESCRIPTOR {
    UCHAR Lba[4];
    UCHAR Time[2];
} CDROM_EXCEPTION_PERFORMANCE_DESCRIPTOR,
    *PCDROM_EXCEPTION_PERFORMANCE_DESCRIPTOR;
#pragma pack(pop)

typedef enum _CDROM_PERFORMANCE_REQUEST_TYPE {
    CdromPerformanceRequest = 1,
    CdromWriteSpeedRequest = 2,
} CDROM_PERFORMANCE_REQUEST_TYPE, *PCDROM_PERFORMANCE_REQUEST_TYPE;

typedef enum _CDROM_PERFORMANCE_TYPE {
    CdromReadPerformance = 1,
    CdromWritePerformance = 2,
} CDROM_PERFORMANCE_TYPE, *PCDROM_PERFORMANCE_TYPE;

typedef enum _CDROM_PERFORMANCE_EXCEPTION_TYPE {
    CdromNominalPerformance = 1,
    CdromEntirePerformanceList = 2,
    CdromPerformanceExceptionsOnly = 3,
} CDROM_PERFORMANCE_EXCEPTION_TYPE, *PCDROM_PERFORMANCE_EXCEPTION_TYPE;

typedef enum _CDROM_PERFORMANCE_TOLERANCE_TYPE {
    Cdrom10Nominal20Exceptions = 1,
} CDROM_PERFORMANCE_TOLERANCE_TYPE, *PCDROM_PERFORMANCE_TOLERANCE_TYPE;

typedef struct _CDROM_PERFORMANCE_REQUEST {
    CDROM_PERFORMANCE_REQUEST_TYPE RequestType;
    CDROM_PERFORMANCE_TYPE PerformanceType;
    CDROM_PERFORMANCE_EXCEPTION_TYPE Exceptions;
    CDROM_PERFORMANCE_TOLERANCE_TYPE Tolerance;
    ULONG StaringLba;           /* spelt so in the WDK */
} CDROM_PERFORMANCE_REQUEST, *PCDROM_PERFORMANCE_REQUEST;

typedef struct _CDROM_WRITE_SPEED_REQUEST {
    CDROM_PERFORMANCE_REQUEST_TYPE RequestType;
} CDROM_WRITE_SPEED_REQUEST, *PCDROM_WRITE_SPEED_REQUEST;

/* ioevent.h: of Windows Vista. */
static const GUID GUID_IO_CDROM_EXCLUSIVE_LOCK __attribute__((unused)) = {
    0xbc56c139, 0x7a10, 0x47ee,
    { 0xa2, 0x94, 0x4c, 0x6a, 0x38, 0xf0, 0x14, 0x9a }
};
static const GUID GUID_IO_CDROM_EXCLUSIVE_UNLOCK __attribute__((unused)) = {
    0xa3b6d27d, 0x5e35, 0x4885,
    { 0x81, 0xe5, 0xee, 0x18, 0xc0, 0x0e, 0xd7, 0x79 }
};

/* minitape.h: the longer record and the routines of the class driver. */
#include <minitape.h>
/* InitDataSize tells the two apart. */
typedef struct _TAPE_INIT_DATA_EX {
    ULONG InitDataSize;
    TAPE_VERIFY_INQUIRY_ROUTINE VerifyInquiry;
    BOOLEAN QueryModeCapabilitiesPage;
    ULONG MinitapeExtensionSize;
    TAPE_EXTENSION_INIT_ROUTINE ExtensionInit;
    ULONG DefaultTimeOutValue;  /* seconds; 0: the class driver's */
    TAPE_ERROR_ROUTINE TapeError;
    ULONG CommandExtensionSize;
    TAPE_PROCESS_COMMAND_ROUTINE CreatePartition;
    TAPE_PROCESS_COMMAND_ROUTINE Erase;
    TAPE_PROCESS_COMMAND_ROUTINE GetDriveParameters;
    TAPE_PROCESS_COMMAND_ROUTINE GetMediaParameters;
    TAPE_PROCESS_COMMAND_ROUTINE GetPosition;
    TAPE_PROCESS_COMMAND_ROUTINE GetStatus;
    TAPE_PROCESS_COMMAND_ROUTINE Prepare;
    TAPE_PROCESS_COMMAND_ROUTINE SetDriveParameters;
    TAPE_PROCESS_COMMAND_ROUTINE SetMediaParameters;
    TAPE_PROCESS_COMMAND_ROUTINE SetPosition;
    TAPE_PROCESS_COMMAND_ROUTINE WriteMarks;
    TAPE_PROCESS_COMMAND_ROUTINE PreProcessReadWrite;   /* or NULL */
    TAPE_PROCESS_COMMAND_ROUTINE TapeGetMediaTypes;
    ULONG MediaTypesSupported;
    TAPE_PROCESS_COMMAND_ROUTINE TapeWMIOperations;     /* or NULL */
    ULONG Reserved[2];
} TAPE_INIT_DATA_EX, *PTAPE_INIT_DATA_EX;

/* PASSIVE.  Arguments as of DriverEntry, which returns what this returns. */
ULONG NTAPI TapeClassInitialize(PVOID Argument1, PVOID Argument2,
                                PTAPE_INIT_DATA_EX TapeInitData);
/* <= DISPATCH.  Zeroed; in place of an earlier one; freed by the class driver. */
BOOLEAN NTAPI TapeClassAllocateSrbBuffer(PSCSI_REQUEST_BLOCK Srb,
                                         ULONG SrbBufferSize);
VOID NTAPI TapeClassZeroMemory(PVOID Buffer, ULONG BufferSize);
/* The number of bytes that are alike, from the first. */
ULONG NTAPI TapeClassCompareMemory(PVOID Source1, PVOID Source2, ULONG Length);
LARGE_INTEGER NTAPI TapeClassLiDiv(LARGE_INTEGER Dividend,
                                   LARGE_INTEGER Divisor);
/* Any IRQL.  Levels 0 to 3.  Of the C convention, as DbgPrint. */
VOID TapeDebugPrint(ULONG DebugPrintLevel, PCCHAR DebugMessage, ...);


#endif
