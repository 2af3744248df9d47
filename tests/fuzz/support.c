/*
 * support.c - what the fuzzing targets share: drivers and requests
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "cdrom/cdrom.h"
#include "disk/disk.h"
#include "io/io.h"
#include "port/port.h"

PDRIVER_OBJECT fuzz_port, fuzz_disk, fuzz_cdrom;

/* --- time: it passes for those who wait ----------------------------------- */

/* What is done, odd while it is under way. */
static atomic_uint doing;
static atomic_uint steps;
static sem_t begun;

/* Two hours of the system's time without a step are too long for anything; the
 * last minutes pass slowly, for who waits for a processor. */
#define TICKS_MAX  7200
#define TICKS_FAST 6600

static void *
tick(void *unused)
{
    unsigned now, ticks;

    for (;;) {
        while (sem_wait(&begun) != 0)
            continue;
        now = atomic_load(&doing);
        for (ticks = 0; now & 1 && atomic_load(&doing) == now; ticks++) {
            CHECK(ticks < TICKS_MAX);
            if (atomic_exchange(&steps, 0) != 0)
                ticks = 0;
            usleep(ticks == 0 ? 200 : ticks < TICKS_FAST ? 20 : 100000);
            if (atomic_load(&doing) == now)
                clock_advance_ms(1000);
        }
    }
    return unused;
}

void
fuzz_step(void)
{
    atomic_fetch_add(&steps, 1);
}

void
fuzz_wait(bool waits)
{
    unsigned now = atomic_fetch_add(&doing, 1) + 1;

    CHECK((now & 1) == waits);
    if (waits)
        sem_post(&begun);
}

/* --- the system ----------------------------------------------------------- */

void
fuzz_begin(void)
{
    pthread_t ticker;

    if (fuzz_port != NULL)
        return;
    CHECK(io_init() == STATUS_SUCCESS);
    CHECK(NT_SUCCESS(io_load_driver("port", port_driver_entry, &fuzz_port)));
    CHECK(NT_SUCCESS(io_load_driver("disk", disk_driver_entry, &fuzz_disk)));
    CHECK(NT_SUCCESS(io_load_driver("cdrom", cdrom_driver_entry, &fuzz_cdrom)));
    clock_manual(true);
    CHECK(sem_init(&begun, 0, 0) == 0);
    CHECK(pthread_create(&ticker, NULL, tick, NULL) == 0);
    pthread_detach(ticker);
}

static NTSTATUS NTAPI
completed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct request *request = context;

    (void) device;
    request->status = irp->IoStatus.Status;
    request->information = irp->IoStatus.Information;
    CHECK(InterlockedIncrement(&request->completions) == 1);
    KeSetEvent(&request->done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIO_STACK_LOCATION
begin(struct request *request, PDEVICE_OBJECT device, UCHAR major,
      const struct manner *manner)
{
    PIO_STACK_LOCATION next;

    memset(request, 0, sizeof *request);
    KeInitializeEvent(&request->done, NotificationEvent, FALSE);
    request->irp = IoAllocateIrp(device->StackSize, FALSE);
    CHECK(request->irp != NULL);
    if (!manner->threadless)
        request->irp->Tail.Overlay.Thread = PsGetCurrentThread();
    request->irp->RequestorMode = manner->user_mode ? UserMode : KernelMode;
    next = IoGetNextIrpStackLocation(request->irp);
    next->MajorFunction = major;
    next->Flags = manner->stack_flags;
    IoSetCompletionRoutine(request->irp, completed, request, TRUE, TRUE, TRUE);
    return next;
}

static void
send(struct request *request, PDEVICE_OBJECT device)
{
    fuzz_wait(true);
    request->returned = IoCallDriver(device, request->irp);
    KeWaitForSingleObject(&request->done, Executive, KernelMode, FALSE, NULL);
    fuzz_wait(false);
    CHECK(request->returned == STATUS_PENDING ||
          request->returned == request->status);
    CHECK(request->status != STATUS_PENDING);
    if (request->mdl != NULL)
        IoFreeMdl(request->mdl);
    IoFreeIrp(request->irp);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
}

static void
describe(struct request *request, void *data, ULONG bytes)
{
    request->mdl = IoAllocateMdl(data, bytes, FALSE, FALSE, NULL);
    CHECK(request->mdl != NULL);
    MmBuildMdlForNonPagedPool(request->mdl);
    request->irp->MdlAddress = request->mdl;
}

struct request
fuzz_control(PDEVICE_OBJECT device, ULONG code, void *buffer, ULONG in,
             ULONG out, void *other, const struct manner *manner)
{
    struct request request;
    PIO_STACK_LOCATION next =
        begin(&request, device, IRP_MJ_DEVICE_CONTROL, manner);

    next->Parameters.DeviceIoControl.IoControlCode = code;
    next->Parameters.DeviceIoControl.InputBufferLength = in;
    next->Parameters.DeviceIoControl.OutputBufferLength = out;
    if ((code & 3) == METHOD_NEITHER) {
        next->Parameters.DeviceIoControl.Type3InputBuffer = buffer;
        request.irp->UserBuffer = other;
    } else {
        request.irp->AssociatedIrp.SystemBuffer = buffer;
        if ((code & 3) != METHOD_BUFFERED && out != 0)
            describe(&request, other, out);
    }
    send(&request, device);
    return request;
}

struct request
fuzz_transfer(PDEVICE_OBJECT device, UCHAR major, ULONGLONG offset, void *data,
              ULONG bytes, const struct manner *manner)
{
    struct request request;
    PIO_STACK_LOCATION next = begin(&request, device, major, manner);

    next->Parameters.Read.Length = bytes;
    next->Parameters.Read.ByteOffset.QuadPart = (LONGLONG) offset;
    if (bytes != 0)
        describe(&request, data, bytes);
    send(&request, device);
    return request;
}

struct request
fuzz_flush(PDEVICE_OBJECT device)
{
    struct request request;

    (void) begin(&request, device, IRP_MJ_FLUSH_BUFFERS, &(struct manner){ 0 });
    send(&request, device);
    return request;
}
