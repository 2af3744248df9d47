/*
 * Tests for src/io/csq.c: cancel-safe queues, alone and raced with cancel.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <csq.h>
#include <pthread.h>
#include <string.h>

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;

/* --- a driver's queue ---------------------------------------------------- */

static KSPIN_LOCK lock;
static LIST_ENTRY list;
static IO_CSQ csq;
static NTSTATUS insert_answer;
static PVOID insert_context;
static LONG inserted, removed, cancelled; /* atomic */
static PIRP last_cancelled;

static VOID NTAPI
insert(PIO_CSQ Csq, PIRP Irp)
{
    assert_ptr_equal(Csq, &csq);
    InsertTailList(&list, &Irp->Tail.Overlay.ListEntry);
    InterlockedIncrement(&inserted);
}

static NTSTATUS NTAPI
insert_ex(PIO_CSQ Csq, PIRP Irp, PVOID InsertContext)
{
    insert_context = InsertContext;
    if (NT_SUCCESS(insert_answer))
        insert(Csq, Irp);
    return insert_answer;
}

static VOID NTAPI
remove_irp(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    InterlockedIncrement(&removed);
}

/* PeekContext: only IRPs with this UserBuffer. */
static PIRP NTAPI
peek(PIO_CSQ Csq, PIRP Irp, PVOID PeekContext)
{
    PLIST_ENTRY at =
        Irp == NULL ? list.Flink : Irp->Tail.Overlay.ListEntry.Flink;

    UNREFERENCED_PARAMETER(Csq);
    for (; at != &list; at = at->Flink) {
        PIRP found = CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry);

        if (PeekContext == NULL || found->UserBuffer == PeekContext)
            return found;
    }
    return NULL;
}

static VOID NTAPI
acquire(PIO_CSQ Csq, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeAcquireSpinLock(&lock, Irql);
}

static VOID NTAPI
release(PIO_CSQ Csq, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeReleaseSpinLock(&lock, Irql);
}

static VOID NTAPI
complete_cancelled(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    assert_null(Irp->Tail.Overlay.DriverContext[3]);
    __atomic_store_n(&last_cancelled, Irp, __ATOMIC_RELEASE);
    InterlockedIncrement(&cancelled);
    complete_irp(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS NTAPI
came_back(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    InterlockedIncrement(Context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* What the dispatch routine does with the next request. */
static PIO_CSQ_IRP_CONTEXT next_context;
static bool use_ex;

static NTSTATUS NTAPI
dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (!use_ex) {
        IoCsqInsertIrp(&csq, Irp, next_context);
        return STATUS_PENDING;
    }
    status = IoCsqInsertIrpEx(&csq, Irp, next_context, &use_ex);
    if (NT_SUCCESS(status))
        return STATUS_PENDING;
    return complete_irp(Irp, status, 0);
}

static PIRP
new_irp(LONG *back)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    assert_non_null(irp);
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, came_back, back, TRUE, TRUE, TRUE);
    return irp;
}

static int
each(void **state)
{
    (void) state;
    InitializeListHead(&list);
    inserted = removed = cancelled = 0;
    insert_answer = STATUS_SUCCESS;
    next_context = NULL;
    use_ex = false;
    assert_int_equal(IoCsqInitialize(&csq, insert, remove_irp, peek, acquire,
                                     release, complete_cancelled),
                     STATUS_SUCCESS);
    return 0;
}

static int
setup(void **state)
{
    io_setup(state);
    driver = new_driver("csq");
    driver->MajorFunction[IRP_MJ_READ] = dispatch;
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

/* --- alone --------------------------------------------------------------- */

static void
insert_and_remove__in_the_drivers_order(void **state)
{
    LONG back = 0;
    PIRP irps[2] = { new_irp(&back), new_irp(&back) };

    (void) state;
    assert_int_equal(sizeof(IO_CSQ), 64);
    for (int i = 0; i < 2; i++)
        assert_int_equal(IoCallDriver(device, irps[i]), STATUS_PENDING);
    assert_true(IoGetCurrentIrpStackLocation(irps[0])->Control &
                SL_PENDING_RETURNED);
    assert_ptr_equal(irps[0]->Tail.Overlay.DriverContext[3], &csq);
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(IoCsqRemoveNextIrp(&csq, NULL), irps[i]);
        assert_null(irps[i]->CancelRoutine);
        assert_null(irps[i]->Tail.Overlay.DriverContext[3]);
    }
    assert_null(IoCsqRemoveNextIrp(&csq, NULL));
    assert_int_equal(removed, 2);
    for (int i = 0; i < 2; i++) {
        complete_irp(irps[i], STATUS_SUCCESS, 0);
        IoFreeIrp(irps[i]);
    }
    assert_int_equal(back, 2);
}

static void
peek_context__selects(void **state)
{
    LONG back = 0;
    int mine;
    PIRP other = new_irp(&back), wanted = new_irp(&back);

    (void) state;
    wanted->UserBuffer = &mine;
    IoCallDriver(device, other);
    IoCallDriver(device, wanted);
    assert_ptr_equal(IoCsqRemoveNextIrp(&csq, &mine), wanted);
    assert_null(IoCsqRemoveNextIrp(&csq, &mine));
    assert_ptr_equal(IoCsqRemoveNextIrp(&csq, NULL), other);
    complete_irp(other, STATUS_SUCCESS, 0);
    complete_irp(wanted, STATUS_SUCCESS, 0);
    IoFreeIrp(other);
    IoFreeIrp(wanted);
}

static void
context__removes_its_irp_once(void **state)
{
    LONG back = 0;
    IO_CSQ_IRP_CONTEXT context;
    PIRP irp = new_irp(&back);

    (void) state;
    next_context = &context;
    IoCallDriver(device, irp);
    assert_ptr_equal(context.Irp, irp);
    assert_ptr_equal(IoCsqRemoveIrp(&csq, &context), irp);
    assert_null(context.Irp);
    assert_null(IoCsqRemoveIrp(&csq, &context));
    complete_irp(irp, STATUS_SUCCESS, 0);
    IoFreeIrp(irp);
}

static void
cancel__queued__completed_by_the_driver(void **state)
{
    LONG back = 0;
    IO_CSQ_IRP_CONTEXT context;
    PIRP irp = new_irp(&back);

    (void) state;
    next_context = &context;
    IoCallDriver(device, irp);
    assert_true(IoCancelIrp(irp));
    assert_ptr_equal(last_cancelled, irp);
    assert_int_equal(irp->IoStatus.Status, STATUS_CANCELLED);
    assert_int_equal(removed, 1);
    assert_int_equal(back, 1);
    assert_null(IoCsqRemoveIrp(&csq, &context));
    assert_true(IsListEmpty(&list));
    IoFreeIrp(irp);
}

static void
cancelled_before__insert__completed_at_once(void **state)
{
    LONG back = 0;
    PIRP irp = new_irp(&back);

    (void) state;
    IoCancelIrp(irp);
    assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
    assert_int_equal(cancelled, 1);
    assert_int_equal(inserted, removed);
    assert_int_equal(irp->IoStatus.Status, STATUS_CANCELLED);
    IoFreeIrp(irp);
}

static void
insert_ex__refused__not_pending_and_status_returned(void **state)
{
    LONG back = 0;
    IO_CSQ_IRP_CONTEXT context;
    PIRP irp = new_irp(&back);

    (void) state;
    assert_int_equal(IoCsqInitializeEx(&csq, insert_ex, remove_irp, peek,
                                       acquire, release, complete_cancelled),
                     STATUS_SUCCESS);
    use_ex = true;
    next_context = &context;
    insert_answer = STATUS_DEVICE_BUSY;
    assert_int_equal(IoCallDriver(device, irp), STATUS_DEVICE_BUSY);
    assert_ptr_equal(insert_context, &use_ex);
    assert_int_equal(back, 1);
    assert_false(irp->PendingReturned);
    assert_null(irp->CancelRoutine);
    assert_null(IoCsqRemoveIrp(&csq, &context));
    IoFreeIrp(irp);

    insert_answer = STATUS_SUCCESS;
    irp = new_irp(&back);
    assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
    assert_ptr_equal(IoCsqRemoveIrp(&csq, &context), irp);
    complete_irp(irp, STATUS_SUCCESS, 0);
    IoFreeIrp(irp);
}

/* --- raced --------------------------------------------------------------- */

#define IRPS   64
#define ROUNDS 20

static PIRP racing[IRPS];
static LONG served, stop;

static void *
serve(void *argument)
{
    PIRP irp;

    (void) argument;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        while ((irp = IoCsqRemoveNextIrp(&csq, NULL)) != NULL) {
            InterlockedIncrement(&served);
            complete_irp(irp, STATUS_SUCCESS, 0);
        }
    return NULL;
}

static void *
cancel_all(void *argument)
{
    (void) argument;
    for (int i = 0; i < IRPS; i++)
        IoCancelIrp(racing[i]);
    return NULL;
}

/* Each IRP comes back once, by the server or by the cancel. */
static void
race__insert_remove_and_cancel__each_irp_completes_once(void **state)
{
    pthread_t server, cancellers[2];
    LONG back = 0;

    (void) state;
    stop = served = 0;
    assert_int_equal(pthread_create(&server, NULL, serve, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < IRPS; i++)
            racing[i] = new_irp(&back);
        back = 0;
        for (int i = 0; i < 2; i++)
            assert_int_equal(
                pthread_create(&cancellers[i], NULL, cancel_all, NULL), 0);
        for (int i = 0; i < IRPS; i++)
            assert_int_equal(IoCallDriver(device, racing[i]), STATUS_PENDING);
        for (int i = 0; i < 2; i++)
            pthread_join(cancellers[i], NULL);
        wait_for_value(&back, IRPS);
        for (int i = 0; i < IRPS; i++)
            IoFreeIrp(racing[i]);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(server, NULL);
    assert_int_equal(served + cancelled, ROUNDS * IRPS);
    assert_int_equal(inserted, removed);
    assert_true(IsListEmpty(&list));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(insert_and_remove__in_the_drivers_order, each),
        cmocka_unit_test_setup(peek_context__selects, each),
        cmocka_unit_test_setup(context__removes_its_irp_once, each),
        cmocka_unit_test_setup(cancel__queued__completed_by_the_driver, each),
        cmocka_unit_test_setup(cancelled_before__insert__completed_at_once,
                               each),
        cmocka_unit_test_setup(
            insert_ex__refused__not_pending_and_status_returned, each),
        cmocka_unit_test_setup(
            race__insert_remove_and_cancel__each_irp_completes_once, each),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
