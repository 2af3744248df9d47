/*
 * mcd.h - the changer class driver, as its miniclass drivers see it
 *
 * A miniclass driver fills an MCD_INIT_DATA and calls ChangerClassInitialize;
 * from then on the class driver owns dispatch, plug and play, buffers and the
 * order of starting, and calls the routines below: all PASSIVE, all required.
 * Those that take an IRP find the input in its system buffer, write the output
 * there and its length into Information, and return the status; the class
 * driver completes the IRP.  DriverData of the common device extension is
 * where the bytes lie that ChangerAdditionalExtensionSize asked for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _MCD_H_
#define _MCD_H_

#include <classpnp.h>
#include <ntddchgr.h>
#include <wmidata.h>

#define MAXIMUM_CHANGER_INQUIRY_DATA 252

/* --- what a miniclass driver has ------------------------------------------ */

typedef ULONG NTAPI (*CHANGER_EXTENSION_SIZE)(VOID);
/* Not called again once it succeeded, unless the device says that it is not
 * what it was. */
typedef NTSTATUS NTAPI (*CHANGER_INITIALIZE)(PDEVICE_OBJECT DeviceObject);
/*
 * <= DISPATCH, after the class library and the class driver interpreted a
 * failed request.  May change *Status and *Retry; sends nothing, waits for
 * nothing.  Sense data are valid with SRB_STATUS_AUTOSENSE_VALID alone.
 */
typedef VOID NTAPI (*CHANGER_ERROR_ROUTINE)(PDEVICE_OBJECT DeviceObject,
                                            PSCSI_REQUEST_BLOCK Srb,
                                            NTSTATUS *Status, BOOLEAN *Retry);
typedef NTSTATUS NTAPI (*CHANGER_PERFORM_DIAGNOSTICS)(
    PDEVICE_OBJECT DeviceObject,
    PWMI_CHANGER_PROBLEM_DEVICE_ERROR ChangerDeviceError);
typedef NTSTATUS NTAPI (*CHANGER_COMMAND_ROUTINE)(PDEVICE_OBJECT DeviceObject,
                                                  PIRP Irp);

typedef struct _MCD_INIT_DATA {
    ULONG InitDataSize;
    CHANGER_EXTENSION_SIZE ChangerAdditionalExtensionSize;
    CHANGER_INITIALIZE ChangerInitialize;
    CHANGER_ERROR_ROUTINE ChangerError;
    CHANGER_PERFORM_DIAGNOSTICS ChangerPerformDiagnostics;
    CHANGER_COMMAND_ROUTINE ChangerGetParameters;
    CHANGER_COMMAND_ROUTINE ChangerGetStatus;
    CHANGER_COMMAND_ROUTINE ChangerGetProductData;
    CHANGER_COMMAND_ROUTINE ChangerSetAccess;
    CHANGER_COMMAND_ROUTINE ChangerGetElementStatus;
    CHANGER_COMMAND_ROUTINE ChangerInitializeElementStatus;
    CHANGER_COMMAND_ROUTINE ChangerSetPosition;
    CHANGER_COMMAND_ROUTINE ChangerExchangeMedium;
    CHANGER_COMMAND_ROUTINE ChangerMoveMedium;
    CHANGER_COMMAND_ROUTINE ChangerReinitializeUnit;
    CHANGER_COMMAND_ROUTINE ChangerQueryVolumeTags;
} MCD_INIT_DATA, *PMCD_INIT_DATA;

/* --- what the class driver has for it: PASSIVE ----------------------------- */

/* DriverEntry returns what this returns. */
NTSTATUS NTAPI ChangerClassInitialize(PDRIVER_OBJECT DriverObject,
                                      PUNICODE_STRING RegistryPath,
                                      PMCD_INIT_DATA MCDInitData);
/* <= DISPATCH.  NULL: no memory.  Not zeroed. */
PVOID NTAPI ChangerClassAllocatePool(POOL_TYPE PoolType, ULONG NumberOfBytes);
PVOID NTAPI ChangerClassFreePool(PVOID PoolToFree);
/* Any IRQL.  Levels 0 to 3; 3 says most.  Of the C convention, as DbgPrint. */
VOID ChangerClassDebugPrint(ULONG DebugPrintLevel, PCCHAR DebugMessage, ...);
/* Cdb, CdbLength and TimeOutValue are the caller's; waits, with retries.  The
 * bytes moved are in DataTransferLength: fewer than there was room for are no
 * error. */
NTSTATUS NTAPI ChangerClassSendSrbSynchronous(PDEVICE_OBJECT DeviceObject,
                                              PSCSI_REQUEST_BLOCK Srb,
                                              PVOID Buffer, ULONG BufferSize,
                                              BOOLEAN WriteToDevice);

#endif
