/*
 * misc.c - start and end of the room, and the small routines
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

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
