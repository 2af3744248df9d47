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

#endif
