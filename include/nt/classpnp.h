/*
 * classpnp.h - the storage class library, as its drivers see it
 *
 * A class driver fills a CLASS_INIT_DATA and calls ClassInitialize; from then
 * on the library owns dispatch, plug and play, transfers, sense data, retries
 * and media change detection, and calls the driver back.  Records have the
 * layout of the WDK.  WMI callbacks may be set and are never called.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _CLASS_
#define _CLASS_

#include <ntdddisk.h>
#include <ntddcdrm.h>
#include <ntddscsi.h>
#include <ntddk.h>
#include <scsi.h>
#include <srb.h>

#define MAXIMUM_RETRIES 4

/* For ClassInitializeEx. */
#define GUID_CLASSPNP_QUERY_REGINFOEX                                         \
    { 0x00e34b11, 0x2444, 0x4745,                                             \
      { 0xa5, 0x3d, 0x62, 0x01, 0x00, 0xcd, 0x82, 0xf7 } }

#define CLASS_DRIVER_EXTENSION_KEY ((PVOID) ClassInitialize)

#define NO_REMOVE      0
#define REMOVE_PENDING 1
#define REMOVE_COMPLETE 2

#define START_UNIT_TIMEOUT       240    /* seconds */
#define MEDIA_CHANGE_DEFAULT_TIME 1     /* seconds between polls */
#define MEDIA_CHANGE_TIMEOUT_TIME 300

struct _CLASS_INIT_DATA;
typedef struct _CLASS_INIT_DATA CLASS_INIT_DATA, *PCLASS_INIT_DATA;
struct _DEVICE_CAPABILITIES;

/* --- callbacks ------------------------------------------------------------ */

/*
 * <= DISPATCH, after the library interpreted a failed request.  May change
 * *Status and *Retry; must not wait, nor complete anything.
 */
typedef VOID NTAPI CLASS_ERROR(PDEVICE_OBJECT DeviceObject,
                               PSCSI_REQUEST_BLOCK Srb, NTSTATUS *Status,
                               BOOLEAN *Retry);
typedef CLASS_ERROR *PCLASS_ERROR;
typedef NTSTATUS NTAPI CLASS_ADD_DEVICE(PDRIVER_OBJECT DriverObject,
                                        PDEVICE_OBJECT Pdo);
typedef CLASS_ADD_DEVICE *PCLASS_ADD_DEVICE;
typedef NTSTATUS NTAPI CLASS_POWER_DEVICE(PDEVICE_OBJECT DeviceObject,
                                          PIRP Irp);
typedef CLASS_POWER_DEVICE *PCLASS_POWER_DEVICE;
typedef NTSTATUS NTAPI CLASS_START_DEVICE(PDEVICE_OBJECT DeviceObject);
typedef CLASS_START_DEVICE *PCLASS_START_DEVICE;
typedef NTSTATUS NTAPI CLASS_STOP_DEVICE(PDEVICE_OBJECT DeviceObject,
                                         UCHAR Type);
typedef CLASS_STOP_DEVICE *PCLASS_STOP_DEVICE;
typedef NTSTATUS NTAPI CLASS_INIT_DEVICE(PDEVICE_OBJECT DeviceObject);
typedef CLASS_INIT_DEVICE *PCLASS_INIT_DEVICE;
typedef NTSTATUS NTAPI CLASS_ENUM_DEVICE(PDEVICE_OBJECT DeviceObject);
typedef CLASS_ENUM_DEVICE *PCLASS_ENUM_DEVICE;
/* Success: the library goes on with the transfer.  STATUS_PENDING: the driver
 * keeps the IRP.  An error: the library completes it with that. */
typedef NTSTATUS NTAPI CLASS_READ_WRITE(PDEVICE_OBJECT DeviceObject, PIRP Irp);
typedef CLASS_READ_WRITE *PCLASS_READ_WRITE;
typedef NTSTATUS NTAPI CLASS_DEVICE_CONTROL(PDEVICE_OBJECT DeviceObject,
                                            PIRP Irp);
typedef CLASS_DEVICE_CONTROL *PCLASS_DEVICE_CONTROL;
typedef NTSTATUS NTAPI CLASS_SHUTDOWN_FLUSH(PDEVICE_OBJECT DeviceObject,
                                            PIRP Irp);
typedef CLASS_SHUTDOWN_FLUSH *PCLASS_SHUTDOWN_FLUSH;
typedef NTSTATUS NTAPI CLASS_CREATE_CLOSE(PDEVICE_OBJECT DeviceObject,
                                          PIRP Irp);
typedef CLASS_CREATE_CLOSE *PCLASS_CREATE_CLOSE;
typedef NTSTATUS NTAPI CLASS_QUERY_ID(PDEVICE_OBJECT DeviceObject,
                                      BUS_QUERY_ID_TYPE IdType,
                                      PUNICODE_STRING UnicodeIdString);
typedef CLASS_QUERY_ID *PCLASS_QUERY_ID;
typedef NTSTATUS NTAPI CLASS_REMOVE_DEVICE(PDEVICE_OBJECT DeviceObject,
                                           UCHAR Type);
typedef CLASS_REMOVE_DEVICE *PCLASS_REMOVE_DEVICE;
typedef VOID NTAPI CLASS_UNLOAD(PDRIVER_OBJECT DriverObject);
typedef CLASS_UNLOAD *PCLASS_UNLOAD;
typedef NTSTATUS NTAPI CLASS_QUERY_PNP_CAPABILITIES(
    PDEVICE_OBJECT PhysicalDeviceObject,
    struct _DEVICE_CAPABILITIES *Capabilities);
typedef CLASS_QUERY_PNP_CAPABILITIES *PCLASS_QUERY_PNP_CAPABILITIES;
typedef VOID NTAPI CLASS_TICK(PDEVICE_OBJECT DeviceObject);
typedef CLASS_TICK *PCLASS_TICK;

typedef struct _WMIGUIDREGINFO {
    LPCGUID Guid;
    ULONG InstanceCount;
    ULONG Flags;
} WMIGUIDREGINFO, *PWMIGUIDREGINFO, GUIDREGINFO, *PGUIDREGINFO;

typedef enum _CLASSENABLEDISABLEFUNCTION {
    EventGeneration,
    DataBlockCollection,
} CLASSENABLEDISABLEFUNCTION;

typedef NTSTATUS NTAPI CLASS_QUERY_WMI_REGINFO(PDEVICE_OBJECT DeviceObject,
                                               PULONG RegFlags,
                                               PUNICODE_STRING Name);
typedef CLASS_QUERY_WMI_REGINFO *PCLASS_QUERY_WMI_REGINFO;
typedef NTSTATUS NTAPI CLASS_QUERY_WMI_REGINFO_EX(PDEVICE_OBJECT DeviceObject,
                                                  PULONG RegFlags,
                                                  PUNICODE_STRING Name,
                                                  PUNICODE_STRING MofName);
typedef CLASS_QUERY_WMI_REGINFO_EX *PCLASS_QUERY_WMI_REGINFO_EX;
typedef NTSTATUS NTAPI CLASS_QUERY_WMI_DATABLOCK(PDEVICE_OBJECT DeviceObject,
                                                 PIRP Irp, ULONG GuidIndex,
                                                 ULONG BufferAvail,
                                                 PUCHAR Buffer);
typedef CLASS_QUERY_WMI_DATABLOCK *PCLASS_QUERY_WMI_DATABLOCK;
typedef NTSTATUS NTAPI CLASS_SET_WMI_DATABLOCK(PDEVICE_OBJECT DeviceObject,
                                               PIRP Irp, ULONG GuidIndex,
                                               ULONG BufferSize,
                                               PUCHAR Buffer);
typedef CLASS_SET_WMI_DATABLOCK *PCLASS_SET_WMI_DATABLOCK;
typedef NTSTATUS NTAPI CLASS_SET_WMI_DATAITEM(PDEVICE_OBJECT DeviceObject,
                                              PIRP Irp, ULONG GuidIndex,
                                              ULONG DataItemId,
                                              ULONG BufferSize, PUCHAR Buffer);
typedef CLASS_SET_WMI_DATAITEM *PCLASS_SET_WMI_DATAITEM;
typedef NTSTATUS NTAPI CLASS_EXECUTE_WMI_METHOD(PDEVICE_OBJECT DeviceObject,
                                                PIRP Irp, ULONG GuidIndex,
                                                ULONG MethodId,
                                                ULONG InBufferSize,
                                                ULONG OutBufferSize,
                                                PUCHAR Buffer);
typedef CLASS_EXECUTE_WMI_METHOD *PCLASS_EXECUTE_WMI_METHOD;
typedef NTSTATUS NTAPI CLASS_WMI_FUNCTION_CONTROL(
    PDEVICE_OBJECT DeviceObject, PIRP Irp, ULONG GuidIndex,
    CLASSENABLEDISABLEFUNCTION Function, BOOLEAN Enable);
typedef CLASS_WMI_FUNCTION_CONTROL *PCLASS_WMI_FUNCTION_CONTROL;

/* --- what a driver hands to ClassInitialize ------------------------------- */

typedef struct _CLASS_WMI_INFO {
    ULONG GuidCount;
    PGUIDREGINFO GuidRegInfo;
    PCLASS_QUERY_WMI_REGINFO ClassQueryWmiRegInfo;
    PCLASS_QUERY_WMI_DATABLOCK ClassQueryWmiDataBlock;
    PCLASS_SET_WMI_DATABLOCK ClassSetWmiDataBlock;
    PCLASS_SET_WMI_DATAITEM ClassSetWmiDataItem;
    PCLASS_EXECUTE_WMI_METHOD ClassExecuteWmiMethod;
    PCLASS_WMI_FUNCTION_CONTROL ClassWmiFunctionControl;
} CLASS_WMI_INFO, *PCLASS_WMI_INFO;

typedef struct _CLASS_DEV_INFO {
    ULONG DeviceExtensionSize;      /* bytes, with the library's record */
    DEVICE_TYPE DeviceType;
    UCHAR StackSize;
    ULONG DeviceCharacteristics;
    PCLASS_ERROR ClassError;
    PCLASS_READ_WRITE ClassReadWriteVerification;
    PCLASS_DEVICE_CONTROL ClassDeviceControl;
    PCLASS_SHUTDOWN_FLUSH ClassShutdownFlush;
    PCLASS_CREATE_CLOSE ClassCreateClose;
    PCLASS_INIT_DEVICE ClassInitDevice;
    PCLASS_START_DEVICE ClassStartDevice;
    PCLASS_POWER_DEVICE ClassPowerDevice;
    PCLASS_STOP_DEVICE ClassStopDevice;
    PCLASS_REMOVE_DEVICE ClassRemoveDevice;
    PCLASS_QUERY_PNP_CAPABILITIES ClassQueryPnpCapabilities;
    CLASS_WMI_INFO ClassWmiInfo;
} CLASS_DEV_INFO, *PCLASS_DEV_INFO;

struct _CLASS_INIT_DATA {
    ULONG InitializationDataSize;
    CLASS_DEV_INFO FdoData;
    CLASS_DEV_INFO PdoData;
    PCLASS_ADD_DEVICE ClassAddDevice;
    PCLASS_ENUM_DEVICE ClassEnumerateDevice;
    PCLASS_QUERY_ID ClassQueryId;
    PDRIVER_STARTIO ClassStartIo;
    PCLASS_UNLOAD ClassUnload;
    PCLASS_TICK ClassTick;
};

typedef struct _CLASS_DRIVER_EXTENSION {
    UNICODE_STRING RegistryPath;
    CLASS_INIT_DATA InitData;
    ULONG DeviceCount;
    PCLASS_QUERY_WMI_REGINFO_EX ClassFdoQueryWmiRegInfoEx;
    PCLASS_QUERY_WMI_REGINFO_EX ClassPdoQueryWmiRegInfoEx;
    ULONGLONG EtwHandle;
    PDRIVER_DISPATCH DeviceMajorFunctionTable[IRP_MJ_MAXIMUM_FUNCTION + 1];
    PDRIVER_DISPATCH MpDeviceMajorFunctionTable[IRP_MJ_MAXIMUM_FUNCTION + 1];
    struct _CLASS_INTERPRET_SENSE_INFO2 *InterpretSenseInfo;
    struct _CLASS_WORKING_SET *WorkingSet;
} CLASS_DRIVER_EXTENSION, *PCLASS_DRIVER_EXTENSION;

/* --- device extensions; a driver's own data follows ----------------------- */

typedef struct _FILE_OBJECT_EXTENSION {
    PFILE_OBJECT FileObject;
    PDEVICE_OBJECT DeviceObject;
    ULONG LockCount;
    ULONG McnDisableCount;
} FILE_OBJECT_EXTENSION, *PFILE_OBJECT_EXTENSION;

typedef struct _DICTIONARY {
    ULONGLONG Signature;
    struct _DICTIONARY_HEADER *List;
    KSPIN_LOCK SpinLock;
} DICTIONARY, *PDICTIONARY;

typedef enum _MEDIA_CHANGE_DETECTION_STATE {
    MediaUnknown,
    MediaPresent,
    MediaNotPresent,
    MediaUnavailable,
} MEDIA_CHANGE_DETECTION_STATE, *PMEDIA_CHANGE_DETECTION_STATE;

typedef enum _FAILURE_PREDICTION_METHOD {
    FailurePredictionNone,
    FailurePredictionIoctl,
    FailurePredictionSmart,
    FailurePredictionSense,
} FAILURE_PREDICTION_METHOD;

typedef struct _COMMON_DEVICE_EXTENSION {
    ULONG Version;
    PDEVICE_OBJECT DeviceObject;
    PDEVICE_OBJECT LowerDeviceObject;
    struct _FUNCTIONAL_DEVICE_EXTENSION *PartitionZeroExtension;
    PCLASS_DRIVER_EXTENSION DriverExtension;
    LONG RemoveLock;
    KEVENT RemoveEvent;
    KSPIN_LOCK RemoveTrackingSpinlock;
    PVOID RemoveTrackingList;
    LONG RemoveTrackingUntrackedCount;
    PVOID DriverData;
    struct {
        BOOLEAN IsFdo : 1;
        BOOLEAN IsInitialized : 1;
        BOOLEAN IsSrbLookasideListInitialized : 1;
    };
    UCHAR PreviousState;
    UCHAR CurrentState;             /* IRP_MN_START_DEVICE, ... */
    ULONG IsRemoved;                /* NO_REMOVE, ... */
    UNICODE_STRING DeviceName;
    struct _PHYSICAL_DEVICE_EXTENSION *ChildList;
    ULONG PartitionNumber;
    LARGE_INTEGER PartitionLength;
    LARGE_INTEGER StartingOffset;
    PCLASS_DEV_INFO DevInfo;
    ULONG PagingPathCount;
    ULONG DumpPathCount;
    ULONG HibernationPathCount;
    KEVENT PathCountEvent;
    NPAGED_LOOKASIDE_LIST SrbLookasideList;
    UNICODE_STRING MountedDeviceInterfaceName;
    ULONG GuidCount;
    PGUIDREGINFO GuidRegInfo;
    DICTIONARY FileObjectDictionary;
    struct _CLASS_PRIVATE_COMMON_DATA *PrivateCommonData;
    PDRIVER_DISPATCH *DispatchTable;
    ULONG_PTR Reserved3;
    ULONG_PTR Reserved4;
} COMMON_DEVICE_EXTENSION, *PCOMMON_DEVICE_EXTENSION;

typedef struct _PHYSICAL_DEVICE_EXTENSION {
    union {
        struct {
            ULONG Version;
            PDEVICE_OBJECT DeviceObject;
        };
        COMMON_DEVICE_EXTENSION CommonExtension;
    };
    BOOLEAN IsMissing;
    BOOLEAN IsEnumerated;
    struct _CLASS_PRIVATE_PDO_DATA *PrivatePdoData;
    ULONG_PTR Reserved2;
    ULONG_PTR Reserved3;
    ULONG_PTR Reserved4;
} PHYSICAL_DEVICE_EXTENSION, *PPHYSICAL_DEVICE_EXTENSION;

typedef struct _CLASS_POWER_OPTIONS {
    ULONG PowerDown : 1;
    ULONG LockQueue : 1;
    ULONG HandleSpinDown : 1;
    ULONG HandleSpinUp : 1;
    ULONG Reserved : 27;
} CLASS_POWER_OPTIONS, *PCLASS_POWER_OPTIONS;

typedef struct _CLASS_POWER_CONTEXT {
    union {
        ULONG PowerDown;
        ULONG PowerDown2;
        ULONG PowerUp;
    } PowerChangeState;
    CLASS_POWER_OPTIONS Options;
    BOOLEAN InUse;
    BOOLEAN QueueLocked;
    NTSTATUS FinalStatus;
    ULONG RetryCount;
    ULONG RetryInterval;
    PIO_COMPLETION_ROUTINE CompletionRoutine;
    PDEVICE_OBJECT DeviceObject;
    PIRP Irp;
    SCSI_REQUEST_BLOCK Srb;
} CLASS_POWER_CONTEXT, *PCLASS_POWER_CONTEXT;

typedef struct _FUNCTIONAL_DEVICE_EXTENSION {
    union {
        struct {
            ULONG Version;
            PDEVICE_OBJECT DeviceObject;
        };
        COMMON_DEVICE_EXTENSION CommonExtension;
    };
    PDEVICE_OBJECT LowerPdo;
    PSTORAGE_DEVICE_DESCRIPTOR DeviceDescriptor;
    PSTORAGE_ADAPTER_DESCRIPTOR AdapterDescriptor;
    DEVICE_POWER_STATE DevicePowerState;
    ULONG DMByteSkew;
    ULONG DMSkew;
    BOOLEAN DMActive;
    DISK_GEOMETRY DiskGeometry;
    PSENSE_DATA SenseData;
    ULONG TimeOutValue;             /* seconds */
    ULONG DeviceNumber;
    ULONG SrbFlags;                 /* for every request */
    ULONG ErrorCount;
    LONG LockCount;
    LONG ProtectedLockCount;
    LONG InternalLockCount;
    KEVENT EjectSynchronizationEvent;
    USHORT DeviceFlags;             /* DEV_... */
    UCHAR SectorShift;
    UCHAR CdbForceUnitAccess;
    struct _MEDIA_CHANGE_DETECTION_INFO *MediaChangeDetectionInfo;
    PKEVENT Unused1;
    HANDLE Unused2;
    FILE_OBJECT_EXTENSION KernelModeMcnContext;
    ULONG MediaChangeCount;
    HANDLE DeviceDirectory;
    KSPIN_LOCK ReleaseQueueSpinLock;
    PIRP ReleaseQueueIrp;
    SCSI_REQUEST_BLOCK ReleaseQueueSrb;
    BOOLEAN ReleaseQueueNeeded;
    BOOLEAN ReleaseQueueInProgress;
    BOOLEAN ReleaseQueueIrpFromPool;
    BOOLEAN FailurePredicted;
    ULONG FailureReason;
    struct _FAILURE_PREDICTION_INFO *FailurePredictionInfo;
    BOOLEAN PowerDownInProgress;
    ULONG EnumerationInterlock;
    KEVENT ChildLock;
    PKTHREAD ChildLockOwner;
    ULONG ChildLockAcquisitionCount;
    ULONG ScanForSpecialFlags;
    KDPC PowerRetryDpc;
    KTIMER PowerRetryTimer;
    CLASS_POWER_CONTEXT PowerContext;
    struct _CLASS_PRIVATE_FDO_DATA *PrivateFdoData;
    ULONG_PTR Reserved2;
    ULONG_PTR Reserved3;
    ULONG_PTR Reserved4;
} FUNCTIONAL_DEVICE_EXTENSION, *PFUNCTIONAL_DEVICE_EXTENSION;

/* DeviceFlags. */
#define DEV_WRITE_CACHE     0x0001
#define DEV_USE_SCSI1       0x0002
#define DEV_SAFE_START_UNIT 0x0004
#define DEV_NO_12BYTE_CDB   0x0008
#define DEV_POWER_PROTECTED 0x0010
#define DEV_USE_16BYTE_CDB  0x0020

/* ScanForSpecialFlags. */
#define CLASS_SPECIAL_DISABLE_SPIN_DOWN         0x00000001
#define CLASS_SPECIAL_DISABLE_SPIN_UP           0x00000002
#define CLASS_SPECIAL_NO_QUEUE_LOCK             0x00000008
#define CLASS_SPECIAL_DISABLE_WRITE_CACHE       0x00000010
#define CLASS_SPECIAL_CAUSE_NOT_REPORTABLE_HACK 0x00000020
#define CLASS_SPECIAL_MODIFY_CACHE_UNSUCCESSFUL 0x00000040
#define CLASS_SPECIAL_FUA_NOT_SUPPORTED         0x00000080

typedef struct _CLASS_QUERY_WMI_REGINFO_EX_LIST {
    ULONG Size;
    PCLASS_QUERY_WMI_REGINFO_EX ClassFdoQueryWmiRegInfoEx;
    PCLASS_QUERY_WMI_REGINFO_EX ClassPdoQueryWmiRegInfoEx;
} CLASS_QUERY_WMI_REGINFO_EX_LIST, *PCLASS_QUERY_WMI_REGINFO_EX_LIST;

/* NULL and "" match everything; an entry of NULLs ends a list. */
typedef struct _CLASSPNP_SCAN_FOR_SPECIAL_INFO {
    PCHAR VendorId;
    PCHAR ProductId;
    PCHAR ProductRevision;
    ULONG_PTR Data;
} CLASSPNP_SCAN_FOR_SPECIAL_INFO, *PCLASSPNP_SCAN_FOR_SPECIAL_INFO;

typedef VOID NTAPI CLASS_SCAN_FOR_SPECIAL_HANDLER(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension, ULONG_PTR Data);
typedef CLASS_SCAN_FOR_SPECIAL_HANDLER *PCLASS_SCAN_FOR_SPECIAL_HANDLER;

/* Of ClassAsynchronousCompletion, from the pool. */
typedef struct _COMPLETION_CONTEXT {
    PDEVICE_OBJECT DeviceObject;
    SCSI_REQUEST_BLOCK Srb;
} COMPLETION_CONTEXT, *PCOMPLETION_CONTEXT;

/* --- life of driver and device: PASSIVE ----------------------------------- */

/* Argument1: the driver object, Argument2: the registry path.  Returns an
 * NTSTATUS, as ULONG. */
ULONG NTAPI ClassInitialize(PVOID Argument1, PVOID Argument2,
                            PCLASS_INIT_DATA InitializationData);
/* Data for a GUID_CLASSPNP_...; returns an NTSTATUS, as ULONG. */
ULONG NTAPI ClassInitializeEx(PDRIVER_OBJECT DriverObject, LPGUID Guid,
                              PVOID Data);
NTSTATUS NTAPI ClassCreateDeviceObject(PDRIVER_OBJECT DriverObject,
                                       PCHAR ObjectNameBuffer,
                                       PDEVICE_OBJECT LowerDeviceObject,
                                       BOOLEAN IsFdo,
                                       PDEVICE_OBJECT *DeviceObject);
NTSTATUS NTAPI ClassClaimDevice(PDEVICE_OBJECT LowerDeviceObject,
                                BOOLEAN Release);
PCLASS_DRIVER_EXTENSION NTAPI ClassGetDriverExtension(
    PDRIVER_OBJECT DriverObject);
NTSTATUS NTAPI ClassGetDescriptor(PDEVICE_OBJECT DeviceObject,
                                  PSTORAGE_PROPERTY_ID PropertyId,
                                  PSTORAGE_DESCRIPTOR_HEADER *Descriptor);
ULONG NTAPI ClassQueryTimeOutRegistryValue(PDEVICE_OBJECT DeviceObject);
/* Of the device's own key, in a subkey unless that is NULL; without such a
 * value *ParameterValue stays. */
VOID NTAPI ClassGetDeviceParameter(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                                   PWSTR SubkeyName, PWSTR ParameterName,
                                   PULONG ParameterValue);
NTSTATUS NTAPI ClassSetDeviceParameter(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension, PWSTR SubkeyName,
    PWSTR ParameterName, ULONG ParameterValue);
VOID NTAPI ClassUpdateInformationInRegistry(PDEVICE_OBJECT Fdo,
                                            PCHAR DeviceName,
                                            ULONG DeviceNumber,
                                            PINQUIRYDATA InquiryData,
                                            ULONG InquiryDataLength);
VOID NTAPI ClassScanForSpecial(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                               CLASSPNP_SCAN_FOR_SPECIAL_INFO DeviceList[],
                               PCLASS_SCAN_FOR_SPECIAL_HANDLER Function);
/* <= DISPATCH */
PVPB NTAPI ClassGetVpb(PDEVICE_OBJECT DeviceObject);

/* --- SRBs from a lookaside list: PASSIVE ------------------------------------ */

VOID NTAPI ClassInitializeSrbLookasideList(
    PCOMMON_DEVICE_EXTENSION CommonExtension, ULONG NumberElements);
VOID NTAPI ClassDeleteSrbLookasideList(
    PCOMMON_DEVICE_EXTENSION CommonExtension);

/* --- children: <= APC; the lock may be taken again by its owner ------------ */

VOID NTAPI ClassAcquireChildLock(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
VOID NTAPI ClassReleaseChildLock(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
/* TRUE: plug and play never saw it, the driver may delete it. */
BOOLEAN NTAPI ClassMarkChildMissing(PPHYSICAL_DEVICE_EXTENSION PdoExtension,
                                    BOOLEAN AcquireChildLock);
VOID NTAPI ClassMarkChildrenMissing(PFUNCTIONAL_DEVICE_EXTENSION Fdo);

/* --- power: PASSIVE; values for ClassPowerDevice --------------------------- */

NTSTATUS NTAPI ClassSpinDownPowerHandler(PDEVICE_OBJECT DeviceObject,
                                         PIRP Irp);
NTSTATUS NTAPI ClassStopUnitPowerHandler(PDEVICE_OBJECT DeviceObject,
                                         PIRP Irp);

/* --- failure prediction ---------------------------------------------------- */

/* PASSIVE.  PollingPeriod in seconds. */
NTSTATUS NTAPI ClassSetFailurePredictionPoll(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
    FAILURE_PREDICTION_METHOD FailurePredictionMethod, ULONG PollingPeriod);
/* <= DISPATCH */
VOID NTAPI ClassNotifyFailurePredicted(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension, PUCHAR Buffer, ULONG BufferSize,
    BOOLEAN LogError, ULONG UniqueErrorValue, UCHAR PathId, UCHAR TargetId,
    UCHAR Lun);

/* --- remove lock: <= DISPATCH --------------------------------------------- */

/* Returns NO_REMOVE, or why not to go on; the lock is held in every case. */
ULONG NTAPI ClassAcquireRemoveLockEx(PDEVICE_OBJECT DeviceObject, PVOID Tag,
                                     PCSTR File, ULONG Line);
VOID NTAPI ClassReleaseRemoveLock(PDEVICE_OBJECT DeviceObject, PIRP Tag);
#define ClassAcquireRemoveLock(devobj, tag)                                   \
    ClassAcquireRemoveLockEx(devobj, tag, __FILE__, __LINE__)

/* --- IRPs ----------------------------------------------------------------- */

/* <= DISPATCH.  Holds on to the remove lock. */
VOID NTAPI ClassCompleteRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                                CCHAR PriorityBoost);
/* A completion routine: sets the event in Context and stops the completion. */
NTSTATUS NTAPI ClassSignalCompletion(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                                     PVOID Context);
/* One that ends an IRP which nobody waits for; a COMPLETION_CONTEXT. */
NTSTATUS NTAPI ClassAsynchronousCompletion(PDEVICE_OBJECT DeviceObject,
                                           PIRP Irp, PVOID Context);
/* PASSIVE.  Waits; the IRP stays the caller's. */
NTSTATUS NTAPI ClassForwardIrpSynchronous(
    PCOMMON_DEVICE_EXTENSION CommonExtension, PIRP Irp);
NTSTATUS NTAPI ClassSendIrpSynchronous(PDEVICE_OBJECT TargetDeviceObject,
                                       PIRP Irp);
VOID NTAPI ClassSendDeviceIoControlSynchronous(
    ULONG IoControlCode, PDEVICE_OBJECT TargetDeviceObject, PVOID Buffer,
    ULONG InputBufferLength, ULONG OutputBufferLength,
    BOOLEAN InternalDeviceIoControl, PIO_STATUS_BLOCK IoStatus);
/* <= APC.  What the driver's ClassDeviceControl does not handle itself goes
 * here; the library completes the IRP and releases the remove lock. */
NTSTATUS NTAPI ClassDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp);
NTSTATUS NTAPI ClassInternalIoControl(PDEVICE_OBJECT DeviceObject, PIRP Irp);

/* --- SRBs ----------------------------------------------------------------- */

/* <= APC.  Waits, with retries.  Sense goes to the library. */
NTSTATUS NTAPI ClassSendSrbSynchronous(PDEVICE_OBJECT DeviceObject,
                                       PSCSI_REQUEST_BLOCK Srb,
                                       PVOID BufferAddress, ULONG BufferLength,
                                       BOOLEAN WriteToDevice);
/* <= DISPATCH.  The library frees the SRB (ExAllocatePool) when it is done. */
NTSTATUS NTAPI ClassSendSrbAsynchronous(PDEVICE_OBJECT DeviceObject,
                                        PSCSI_REQUEST_BLOCK Srb, PIRP Irp,
                                        PVOID BufferAddress,
                                        ULONG BufferLength,
                                        BOOLEAN WriteToDevice);
NTSTATUS NTAPI ClassBuildRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp);
VOID NTAPI ClassSplitRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                             ULONG MaximumBytes);
NTSTATUS NTAPI ClassIoComplete(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                               PVOID Context);
NTSTATUS NTAPI ClassIoCompleteAssociated(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                                         PVOID Context);
/* <= DISPATCH.  Returns whether to retry; *RetryInterval is in seconds. */
BOOLEAN NTAPI ClassInterpretSenseInfo(PDEVICE_OBJECT DeviceObject,
                                      PSCSI_REQUEST_BLOCK Srb,
                                      UCHAR MajorFunctionCode,
                                      ULONG IoDeviceCode, ULONG RetryCount,
                                      NTSTATUS *Status, ULONG *RetryInterval);
VOID NTAPI ClassReleaseQueue(PDEVICE_OBJECT DeviceObject);

/* --- device parameters: <= APC -------------------------------------------- */

NTSTATUS NTAPI ClassReadDriveCapacity(PDEVICE_OBJECT DeviceObject);
/* Returns the number of bytes read, 0 on failure. */
ULONG NTAPI ClassModeSense(PDEVICE_OBJECT DeviceObject, PCHAR ModeSenseBuffer,
                           ULONG Length, UCHAR PageMode);
/* PageControl: 0 current, 1 changeable, 2 default, 3 saved values. */
ULONG NTAPI ClassModeSenseEx(PDEVICE_OBJECT DeviceObject,
                             PCHAR ModeSenseBuffer, ULONG Length,
                             UCHAR PageMode, UCHAR PageControl);
NTSTATUS NTAPI ClassModeSelect(PDEVICE_OBJECT Fdo, PCHAR ModeSelectBuffer,
                               ULONG Length, BOOLEAN SavePages);
PVOID NTAPI ClassFindModePage(PCHAR ModeSenseBuffer, ULONG Length,
                              UCHAR PageMode, BOOLEAN Use6Byte);
VOID NTAPI ClassSendStartUnit(PDEVICE_OBJECT DeviceObject);

/* --- media change detection ----------------------------------------------- */

VOID NTAPI ClassInitializeMediaChangeDetection(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension, PUCHAR EventPrefix);
NTSTATUS NTAPI ClassInitializeTestUnitPolling(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension, BOOLEAN AllowDriveToSleep);
VOID NTAPI ClassEnableMediaChangeDetection(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
VOID NTAPI ClassDisableMediaChangeDetection(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
VOID NTAPI ClassCleanupMediaChangeDetection(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
VOID NTAPI ClassResetMediaChangeTimer(
    PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
VOID NTAPI ClassSetMediaChangeState(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                                    MEDIA_CHANGE_DETECTION_STATE State,
                                    BOOLEAN Wait);
VOID NTAPI ClassCheckMediaState(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension);
VOID NTAPI ClassSendNotification(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                                 const GUID *Guid, ULONG ExtraDataSize,
                                 PVOID ExtraData);

#endif
