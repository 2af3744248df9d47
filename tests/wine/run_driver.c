/*
 * run_driver.c - driver.c of Wine's kernel tests, function by function
 *
 * The driver is included whole, as it came; its device control routine gets
 * one more code, which runs one function.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wine_host.h"

/* Under a name of its own: there are several drivers in the program. */
NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT driver,
            PUNICODE_STRING registry) __asm__("wine_driver_entry");

/* Declared by the tests; only test_current_thread calls it. */
#pragma weak ZwQueryInformationProcess

#include "driver.c"

#define ROW(where, name)                                                       \
    {                                                                          \
#name, where, run_##name                                               \
    }
#define PLAIN(name)                                                            \
    static void run_##name(PDEVICE_OBJECT device, PIRP irp)                    \
    {                                                                          \
        name();                                                                \
    }

PLAIN(test_mdl_map)
PLAIN(test_init_funcs)
PLAIN(test_sync)
PLAIN(test_queue)
PLAIN(test_version)
PLAIN(test_stack_callout)
PLAIN(test_lookaside_list)
PLAIN(test_ob_reference)
PLAIN(test_resource)
PLAIN(test_lookup_thread)
PLAIN(test_IoAttachDeviceToDeviceStack)
PLAIN(test_object_name)
PLAIN(test_permanence)
PLAIN(test_stack_limits)
PLAIN(test_completion)

static void
run_test_irp_struct(PDEVICE_OBJECT device, PIRP irp)
{
    test_irp_struct(irp, device);
}

static void
run_test_critical_region(PDEVICE_OBJECT device, PIRP irp)
{
    test_critical_region(TRUE);
}

/* Where nothing was called through the system APCs are enabled again. */
static void
run_test_critical_region_of_system(PDEVICE_OBJECT device, PIRP irp)
{
    test_critical_region(FALSE);
}

static void
run_test_call_driver(PDEVICE_OBJECT device, PIRP irp)
{
    test_call_driver(lower_device);
}

static void
run_test_cancel_irp(PDEVICE_OBJECT device, PIRP irp)
{
    test_cancel_irp(lower_device);
}

/* The order of the tests' own main routine. */
const struct wine_row wine_driver_rows[] = {
    ROW(WINE_REQUEST, test_irp_struct),
    ROW(WINE_REQUEST, test_critical_region),
    ROW(WINE_REQUEST, test_mdl_map),
    ROW(WINE_REQUEST, test_init_funcs),
    ROW(WINE_REQUEST, test_sync),
    ROW(WINE_REQUEST, test_queue),
    ROW(WINE_REQUEST, test_version),
    ROW(WINE_REQUEST, test_stack_callout),
    ROW(WINE_REQUEST, test_lookaside_list),
    ROW(WINE_REQUEST, test_ob_reference),
    ROW(WINE_REQUEST, test_resource),
    ROW(WINE_REQUEST, test_lookup_thread),
    ROW(WINE_REQUEST, test_IoAttachDeviceToDeviceStack),
    ROW(WINE_REQUEST, test_object_name),
    ROW(WINE_REQUEST, test_permanence),
    { "test_critical_region", WINE_WORKER, run_test_critical_region_of_system },
    ROW(WINE_WORKER, test_call_driver),
    ROW(WINE_WORKER, test_cancel_irp),
    ROW(WINE_WORKER, test_stack_limits),
    ROW(WINE_WORKER, test_completion),
    { NULL, WINE_REQUEST, NULL },
};

static const struct wine_row *task_row;

static void WINAPI
run_task(PDEVICE_OBJECT device, void *context)
{
    PIRP irp = context;

    wine_runs(PsGetCurrentThread());
    task_row->run(device, irp);
    wine_runs(NULL);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

static NTSTATUS WINAPI
run_control(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    const struct wine_row *row;

    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_WINE_RUN)
        return driver_IoControl(device, irp);
    row = &wine_driver_rows[*(ULONG *) irp->AssociatedIrp.SystemBuffer];
    if (row->where == WINE_WORKER) {
        task_row = row;
        IoMarkIrpPending(irp);
        IoQueueWorkItem(work_item, run_task, DelayedWorkQueue, irp);
        return STATUS_PENDING;
    }
    wine_runs(PsGetCurrentThread());
    row->run(device, irp);
    wine_runs(NULL);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

/* As the tests' main routine begins. */
NTSTATUS NTAPI
wine_driver_start(PDRIVER_OBJECT driver, PUNICODE_STRING registry)
{
    NTSTATUS status = wine_driver_entry(driver, registry);

    pExEventObjectType = get_proc_address("ExEventObjectType");
    pIoFileObjectType = get_proc_address("IoFileObjectType");
    pPsThreadType = get_proc_address("PsThreadType");
    pPsInitialSystemProcess = get_proc_address("PsInitialSystemProcess");
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = run_control;
    return status;
}
