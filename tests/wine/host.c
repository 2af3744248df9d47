/*
 * host.c - loads the drivers of the tests into our I/O manager and runs them
 *
 *     host FUNCTIONS.LIST
 *
 * Opens the driver's device as a program would, and sends a device control for
 * each function, one after the other.  The contracts that debug builds enforce
 * are not: the tests break some on purpose, as they do on Windows without its
 * Driver Verifier.
 *
 * The tests have time limits of milliseconds.  So that a busy machine does not
 * break them, time is ours: it goes on only while the function waits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/io.h"
#include "ke/thread.h"

#include "drive.h"
#include "report.h"
#include "wine_host.h"

/* --- time ----------------------------------------------------------------- */

#define REAL_US_PER_MS 3000 /* long enough for other threads to get somewhere */

static PETHREAD runner; /* atomic: the thread of the function, or NULL */
static bool over;       /* atomic */

void
wine_runs(PETHREAD thread)
{
    __atomic_store_n(&runner, thread, __ATOMIC_RELEASE);
}

static void *
keep_time(void *unused)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        PETHREAD thread = __atomic_load_n(&runner, __ATOMIC_ACQUIRE);

        usleep(REAL_US_PER_MS);
        if (thread == NULL ||
            __atomic_load_n(&thread->Tcb.waiting, __ATOMIC_RELAXED))
            clock_advance_ms(1);
    }
    return NULL;
}

/* --- requests ------------------------------------------------------------- */

static NTSTATUS NTAPI
control_done(PDEVICE_OBJECT device, PIRP irp, PVOID event)
{
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* As the system does for a program: an IRP for the file, with a copy of its
 * buffer, without an event. */
static NTSTATUS
control(PFILE_OBJECT file, ULONG code, void *buffer, ULONG len)
{
    PDEVICE_OBJECT device = IoGetRelatedDeviceObject(file);
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    PIO_STACK_LOCATION stack;
    NTSTATUS status;
    KEVENT event;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp->AssociatedIrp.SystemBuffer = buffer;
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    irp->Tail.Overlay.OriginalFileObject = file;
    irp->RequestorMode = UserMode;
    stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    stack->FileObject = file;
    stack->Parameters.DeviceIoControl.IoControlCode = code;
    stack->Parameters.DeviceIoControl.InputBufferLength = len;
    stack->Parameters.DeviceIoControl.OutputBufferLength = len;
    IoSetCompletionRoutine(irp, control_done, &event, TRUE, TRUE, TRUE);
    status = IoCallDriver(device, irp);
    if (status == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    status = irp->IoStatus.Status;
    IoFreeIrp(irp);
    return status;
}

static NTSTATUS
run_rows(PFILE_OBJECT file)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (ULONG i = 0; wine_driver_rows[i].name != NULL; i++) {
        ULONG index = i;

        if (getenv("WINE_CHECK_TRACE") != NULL)
            fprintf(stderr, "running %s\n", wine_driver_rows[i].name);
        status = control(file, IOCTL_WINE_RUN, &index, sizeof index);
        if (!NT_SUCCESS(status))
            break;
    }
    return status;
}

static int
failed(const char *what, NTSTATUS status)
{
    fprintf(stderr, "%s: status %#x\n", what, (unsigned) status);
    return 1;
}

static int
run_driver(void)
{
    PDRIVER_OBJECT driver = NULL;
    PFILE_OBJECT file = NULL;
    PDEVICE_OBJECT device;
    NTSTATUS status;

    status = io_load_driver("WineTestDriver", wine_driver_start, &driver);
    if (!NT_SUCCESS(status))
        return failed("loading the driver", status);
    device = io_find_device("\\DosDevices\\WineTestDriver");
    if (device == NULL)
        return failed("finding its device", STATUS_OBJECT_NAME_NOT_FOUND);
    status =
        io_open_file(device, FILE_READ_DATA | FILE_WRITE_DATA, NULL, &file);
    ObDereferenceObject(device);
    if (!NT_SUCCESS(status))
        return failed("opening its device", status);
    status = run_rows(file);
    io_close_file(file);
    io_unload_driver(driver);
    return NT_SUCCESS(status) ? 0 : failed("a request", status);
}

int
main(int argc, char **argv)
{
    PDRIVER_OBJECT drive = NULL;
    pthread_t keeper;
    int status;

    if (argc != 2 || !report_read(argv[1]))
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!NT_SUCCESS(io_init()))
        return 2;
    io_set_verifier(false);
    clock_manual(true);
    if (pthread_create(&keeper, NULL, keep_time, NULL) != 0)
        return 2;
    if (!NT_SUCCESS(io_load_driver("WineTestDrive", drive_entry, &drive)))
        return 2;
    status = run_driver();
    io_unload_driver(drive);
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    pthread_join(keeper, NULL);
    clock_manual(false);
    io_shutdown();
    return report_print() | status;
}
