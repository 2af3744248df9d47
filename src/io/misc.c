/*
 * misc.c - start and end of the room, and the small routines
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <string.h>

#include "cm/cm.h"
#include "ke/ke.h"

static void
say_misuse(enum ob_misuse what)
{
    io_broken(what == OB_DEAD ? IO_RULE_OBJECT_DEAD
                              : IO_RULE_OBJECT_OVER_RELEASED,
              NULL, NULL);
}

NTSTATUS
io_init(void)
{
    NTSTATUS status;

    ke_init();
    ob_set_misuse(say_misuse);
    status = ob_init();
    if (NT_SUCCESS(status))
        status = cm_init();
    if (!NT_SUCCESS(status))
        return status;
    io_cache_init();
    io_vpb_init();
    return STATUS_SUCCESS;
}

void
io_shutdown(void)
{
    io_tell_shutdown();
    io_stop_raw();
    ke_shutdown();
    io_device_shutdown();
    if (IO_CHECKED)
        io_lock_tags_shutdown();
    cm_shutdown();
    ob_shutdown();
    io_cache_shutdown();
}

/* --- one thread's place in file system recursion ------------------------- */

PIRP NTAPI
IoGetTopLevelIrp(VOID)
{
    return ke_current()->TopLevelIrp;
}

VOID NTAPI
IoSetTopLevelIrp(PIRP Irp)
{
    ke_current()->TopLevelIrp = Irp;
}

/* --- the one process ----------------------------------------------------- */

PEPROCESS NTAPI
IoGetRequestorProcess(PIRP Irp)
{
    return Irp->Tail.Overlay.Thread != NULL ? IoGetCurrentProcess() : NULL;
}

BOOLEAN NTAPI
IoIs32bitProcess(PIRP Irp)
{
    UNREFERENCED_PARAMETER(Irp);
    return sizeof(PVOID) == 4;
}

PCONFIGURATION_INFORMATION NTAPI
IoGetConfigurationInformation(VOID)
{
    static CONFIGURATION_INFORMATION information = {
        .Version = sizeof information,
    };

    return &information;
}

/* --- files: rights and extended attributes -------------------------------- */

PGENERIC_MAPPING NTAPI
IoGetFileObjectGenericMapping(VOID)
{
    return &(*IoFileObjectType)->mapping;
}

/* Name, the NUL that ends it and value lie within `room`; the next entry, if
 * there is one, is aligned and does not overlap. */
static bool
is_valid_ea(PFILE_FULL_EA_INFORMATION entry, ULONG room)
{
    const ULONG head = FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName);
    const CHAR *name = entry->EaName;
    ULONG size, next;

    if (room < head)
        return false;
    size = head + entry->EaNameLength + 1 + entry->EaValueLength;
    if (size > room || memchr(name, '\0', entry->EaNameLength + 1u) !=
                           name + entry->EaNameLength)
        return false;
    next = entry->NextEntryOffset;
    return next == 0 ||
           (next % sizeof(ULONG) == 0 && next >= size && next < room);
}

/* STATUS_SUCCESS or STATUS_EA_LIST_INCONSISTENT; the list ends with the entry
 * whose NextEntryOffset is 0, and what follows that one is padding. */
NTSTATUS NTAPI
IoCheckEaBufferValidity(PFILE_FULL_EA_INFORMATION EaBuffer, ULONG EaLength,
                        PULONG ErrorOffset)
{
    PFILE_FULL_EA_INFORMATION entry = EaBuffer;
    ULONG offset = 0;

    KE_IRQL(IoCheckEaBufferValidity);
    while (is_valid_ea(entry, EaLength - offset)) {
        if (entry->NextEntryOffset == 0)
            return STATUS_SUCCESS;
        offset += entry->NextEntryOffset;
        entry = (PFILE_FULL_EA_INFORMATION) ((PUCHAR) EaBuffer + offset);
    }
    *ErrorOffset = offset;
    return STATUS_EA_LIST_INCONSISTENT;
}

/* --- statuses ------------------------------------------------------------ */

#define STATUS_ILLEGAL_INSTRUCTION      ((NTSTATUS) 0xC000001D)
#define STATUS_INSTRUCTION_MISALIGNMENT ((NTSTATUS) 0xC00000AA)

/* False for what can only be a mistake in a program. */
BOOLEAN NTAPI
FsRtlIsNtstatusExpected(NTSTATUS Ntstatus)
{
    return Ntstatus != STATUS_DATATYPE_MISALIGNMENT &&
           Ntstatus != STATUS_ACCESS_VIOLATION &&
           Ntstatus != STATUS_ILLEGAL_INSTRUCTION &&
           Ntstatus != STATUS_INSTRUCTION_MISALIGNMENT;
}
