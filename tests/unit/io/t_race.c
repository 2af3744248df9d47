/*
 * Races in src/io: completion against cancel, and both against the end of the
 * thread that sent the request; opens against verifies.  Meant for the thread
 * and address sanitizers, but a count that is wrong is seen without.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS  6
#define REQUESTS 100
#define ROUNDS   5

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;

/* --- a device that pends everything, completed by another thread --------- */

static KSPIN_LOCK queue_lock;
static LIST_ENTRY queue = { &queue, &queue };
static LONG arrived, completed, cancelled; /* atomic */
static LONG stop;

static void NTAPI
cancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KIRQL irql;

    UNREFERENCED_PARAMETER(DeviceObject);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&queue_lock, &irql);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&queue_lock, irql);
    InterlockedIncrement(&cancelled);
    complete_irp(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS NTAPI
pend(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    bool now;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DeviceObject);
    InterlockedIncrement(&arrived);
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&queue_lock, &irql);
    IoSetCancelRoutine(Irp, cancel);
    now = __atomic_load_n(&Irp->Cancel, __ATOMIC_SEQ_CST) &&
          IoSetCancelRoutine(Irp, NULL) != NULL;
    if (!now)
        InsertTailList(&queue, &Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&queue_lock, irql);
    if (now) {
        InterlockedIncrement(&cancelled);
        complete_irp(Irp, STATUS_CANCELLED, 0);
    }
    return STATUS_PENDING;
}

/* The oldest whose cancel routine is not being called; NULL: none. */
static PIRP
take(void)
{
    PIRP found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&queue_lock, &irql);
    for (PLIST_ENTRY at = queue.Flink; at != &queue && found == NULL;
         at = at->Flink) {
        PIRP irp = CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry);

        if (IoSetCancelRoutine(irp, NULL) != NULL) {
            RemoveEntryList(at);
            found = irp;
        }
    }
    KeReleaseSpinLock(&queue_lock, irql);
    return found;
}

static void *
complete_them(void *unused)
{
    PIRP irp;

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        irp = take();
        if (irp == NULL) {
            sched_yield();
            continue;
        }
        InterlockedIncrement(&completed);
        complete_irp(irp, STATUS_SUCCESS, 4);
    }
    return unused;
}

/* --- threads that send and go -------------------------------------------- */

/* On the heap: they must outlive the threads only as NT says, but are not the
 * stack that a thread leaves behind. */
struct slot {
    KEVENT event;
    IO_STATUS_BLOCK iosb;
    ULONG out;
};

static struct slot slots[THREADS][REQUESTS];

static void *
send_and_go(void *argument)
{
    struct slot *slot = argument;

    for (int i = 0; i < REQUESTS; i++, slot++) {
        PIRP irp;

        memset(slot, 0, sizeof *slot);
        KeInitializeEvent(&slot->event, NotificationEvent, FALSE);
        irp = IoBuildDeviceIoControlRequest(
            CTL_CODE(FILE_DEVICE_UNKNOWN, 1, METHOD_BUFFERED, 0), device, NULL,
            0, &slot->out, sizeof slot->out, FALSE, &slot->event, &slot->iosb);
        assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
        /* Every fourth is waited for, the others are left to the thread's
         * end. */
        if (i % 4 == 0)
            KeWaitForSingleObject(&slot->event, Executive, KernelMode, FALSE,
                                  NULL);
    }
    return NULL;
}

static void
thread_end_cancel_completion__each_request_ends_once(void **state)
{
    pthread_t senders[THREADS], completer;

    (void) state;
    pthread_create(&completer, NULL, complete_them, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++)
            pthread_create(&senders[i], NULL, send_and_go, slots[i]);
        for (int i = 0; i < THREADS; i++)
            pthread_join(senders[i], NULL);
        for (int i = 0; i < THREADS; i++)
            for (int k = 0; k < REQUESTS; k++) {
                assert_int_equal(KeReadStateEvent(&slots[i][k].event), 1);
                assert_true(slots[i][k].iosb.Status == STATUS_SUCCESS ||
                            slots[i][k].iosb.Status == STATUS_CANCELLED);
            }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(completer, NULL);
    assert_int_equal(arrived, THREADS * REQUESTS * ROUNDS);
    assert_int_equal(completed + cancelled, arrived);
}

/* --- opens against verifies ---------------------------------------------- */

static PDEVICE_OBJECT disk, fs;
static LONG wrong_every, verifies;

struct volume {
    PVPB vpb;
};

static NTSTATUS
fs_control(PDEVICE_OBJECT volume_device, PIO_STACK_LOCATION location)
{
    PVPB vpb = location->Parameters.MountVolume.Vpb;
    PDEVICE_OBJECT volume;
    KIRQL irql;

    if (location->MinorFunction == IRP_MN_MOUNT_VOLUME) {
        volume =
            new_device(driver, FILE_DEVICE_DISK_FILE_SYSTEM, sizeof vpb, NULL);
        ((struct volume *) volume->DeviceExtension)->vpb = vpb;
        vpb->DeviceObject = volume;
        return STATUS_SUCCESS;
    }
    UNREFERENCED_PARAMETER(volume_device);
    if (InterlockedIncrement(&verifies) % wrong_every != 0)
        return STATUS_SUCCESS;
    /* A volume that nobody has open is given up, else it stays. */
    IoAcquireVpbSpinLock(&irql);
    volume = vpb->DeviceObject;
    if (vpb->ReferenceCount == 1)
        vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    else
        volume = NULL;
    IoReleaseVpbSpinLock(irql);
    if (volume == NULL)
        return STATUS_SUCCESS;
    IoDeleteDevice(volume);
    return STATUS_WRONG_VOLUME;
}

static NTSTATUS NTAPI
fs_dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    if (location->MajorFunction == IRP_MJ_FILE_SYSTEM_CONTROL)
        return complete_irp(Irp, fs_control(DeviceObject, location), 0);
    return complete_irp(Irp, STATUS_SUCCESS, FILE_OPENED);
}

static void *
open_and_verify(void *argument)
{
    static const UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\f");
    PFILE_OBJECT file;

    for (int i = 0; i < 200; i++) {
        if (argument != NULL) {
            IoVerifyVolume(disk, FALSE);
            continue;
        }
        assert_int_equal(io_open_file(disk, FILE_READ_DATA, &name, &file),
                         STATUS_SUCCESS);
        io_close_file(file);
    }
    return NULL;
}

static void
opens_and_verifies__no_vpb_is_lost(void **state)
{
    pthread_t threads[4];
    PDEVICE_OBJECT last;

    (void) state;
    wrong_every = 3;
    disk = new_device(driver, FILE_DEVICE_DISK, 0, NULL);
    fs = new_device(driver, FILE_DEVICE_DISK_FILE_SYSTEM, 0, NULL);
    IoRegisterFileSystem(fs);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, open_and_verify,
                       i < 2 ? NULL : &threads);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
    assert_true(disk->Vpb->Flags & VPB_MOUNTED);
    last = disk->Vpb->DeviceObject;
    disk->Vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    IoDeleteDevice(last);
    IoUnregisterFileSystem(fs);
    IoDeleteDevice(fs);
    IoDeleteDevice(disk);
}

static int
setup(void **state)
{
    static const UCHAR majors[] = {
        IRP_MJ_CREATE,
        IRP_MJ_CLEANUP,
        IRP_MJ_CLOSE,
        IRP_MJ_FILE_SYSTEM_CONTROL,
    };

    io_setup(state);
    driver = new_driver("racer");
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = pend;
    for (size_t i = 0; i < ARRAYSIZE(majors); i++)
        driver->MajorFunction[majors[i]] = fs_dispatch;
    device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    return 0;
}

static int
teardown(void **state)
{
    IoDeleteDevice(device);
    io_unload_driver(driver);
    return io_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_end_cancel_completion__each_request_ends_once),
        cmocka_unit_test(opens_and_verifies__no_vpb_is_lost),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
