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
#include "ke/ke_internal.h"

#include "bus.h"
#include "drive.h"
#include "report.h"
#include "run_pnp.h"
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

static bool
is_waiting(PETHREAD thread)
{
    bool waiting;

    ke_lock();
    waiting = thread->Tcb.waiting;
    ke_unlock();
    return waiting;
}

static void *
keep_time(void *unused)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        PETHREAD thread = __atomic_load_n(&runner, __ATOMIC_ACQUIRE);

        usleep(REAL_US_PER_MS);
        if (thread == NULL || is_waiting(thread))
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

struct request {
    PIRP irp;
    KEVENT done;
};

/* As the system does for a program: an IRP for the file, with a copy of its
 * buffer, without an event. */
static bool
begin(struct request *request, PFILE_OBJECT file, ULONG code, void *buffer,
      ULONG len)
{
    PDEVICE_OBJECT device = IoGetRelatedDeviceObject(file);
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    PIO_STACK_LOCATION stack;

    request->irp = irp;
    if (irp == NULL)
        return false;
    KeInitializeEvent(&request->done, NotificationEvent, FALSE);
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
    IoSetCompletionRoutine(irp, control_done, &request->done, TRUE, TRUE, TRUE);
    IoCallDriver(device, irp);
    return true;
}

static NTSTATUS
end(struct request *request)
{
    NTSTATUS status;

    KeWaitForSingleObject(&request->done, Executive, KernelMode, FALSE, NULL);
    status = request->irp->IoStatus.Status;
    IoFreeIrp(request->irp);
    return status;
}

static NTSTATUS
control(PFILE_OBJECT file, ULONG code, void *buffer, ULONG len)
{
    struct request request;

    return begin(&request, file, code, buffer, len)
               ? end(&request)
               : STATUS_INSUFFICIENT_RESOURCES;
}

/* --- driver.c ------------------------------------------------------------- */

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

/* --- driver_pnp.c --------------------------------------------------------- */

static KEVENT child_started;

static void
child_arrived(void *unused, PDEVICE_OBJECT pdo)
{
    NTSTATUS status = io_start_device(NULL, pdo);

    if (!NT_SUCCESS(status))
        failed("starting the child", status);
    KeSetEvent(&child_started, IO_NO_INCREMENT, FALSE);
}

/* A child with a file open, a request that it keeps, and its end: gone from the
 * bus first, its file closed later. */
static NTSTATUS
run_child(PFILE_OBJECT bus)
{
    struct request kept;
    PFILE_OBJECT file = NULL;
    PDEVICE_OBJECT device;
    int id = 1, answer = 0;
    NTSTATUS status;

    KeInitializeEvent(&child_started, NotificationEvent, FALSE);
    status = control(bus, wine_pnp_codes.add_child, &id, sizeof id);
    KeWaitForSingleObject(&child_started, Executive, KernelMode, FALSE, NULL);
    device = io_find_device("\\Device\\winetest_pnp_1");
    if (!NT_SUCCESS(status) || device == NULL)
        return status;
    status = io_open_file(device, FILE_READ_DATA, NULL, &file);
    ObDereferenceObject(device);
    if (NT_SUCCESS(status))
        status = control(file, wine_pnp_codes.child_id, &answer, sizeof answer);
    if (!NT_SUCCESS(status) || answer != id)
        return failed("asking the child", status);
    if (!begin(&kept, file, wine_pnp_codes.child_pending, NULL, 0))
        return STATUS_INSUFFICIENT_RESOURCES;
    status = control(bus, wine_pnp_codes.remove_child, &id, sizeof id);
    if (end(&kept) != STATUS_DELETE_PENDING)
        failed("the request that the child kept", kept.irp->IoStatus.Status);
    if (NT_SUCCESS(status))
        status = control(file, wine_pnp_codes.child_removed, NULL, 0);
    io_close_file(file);
    return status;
}

static NTSTATUS
run_bus(PDEVICE_OBJECT pdo)
{
    PFILE_OBJECT file = NULL;
    NTSTATUS status = io_open_file(pdo, FILE_READ_DATA, NULL, &file);

    if (!NT_SUCCESS(status))
        return status;
    status = control(file, wine_pnp_codes.register_interface, NULL, 0);
    if (NT_SUCCESS(status))
        status = control(file, wine_pnp_codes.enable_interface, NULL, 0);
    if (NT_SUCCESS(status))
        status = run_child(file);
    if (NT_SUCCESS(status))
        status = control(file, wine_pnp_codes.disable_interface, NULL, 0);
    io_close_file(file);
    return status;
}

static int
run_pnp(void)
{
    PDRIVER_OBJECT root = NULL, driver = NULL;
    NTSTATUS status;

    status = io_load_driver("WineTestRoot", bus_entry, &root);
    if (NT_SUCCESS(status))
        status = io_load_driver("winetest_pnp", wine_pnp_entry, &driver);
    if (!NT_SUCCESS(status))
        return failed("loading the bus driver", status);
    io_set_arrival_hook(child_arrived, NULL);
    status = io_start_device(driver, root->DeviceObject);
    if (!NT_SUCCESS(status))
        return failed("starting the bus", status);
    status = run_bus(root->DeviceObject);
    if (NT_SUCCESS(status))
        status = io_remove_device(root->DeviceObject);
    io_set_arrival_hook(NULL, NULL);
    if (!NT_SUCCESS(status))
        return failed("the bus", status);
    io_unload_driver(driver);
    io_unload_driver(root);
    return 0;
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
    status = run_driver() | run_pnp();
    io_unload_driver(drive);
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    pthread_join(keeper, NULL);
    clock_manual(false);
    io_shutdown();
    return report_print() | status;
}
