/*
 * harness.c - a disk or CD driver over an emulated drive, with a spy between
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include "io/check.h"

#include "cdrom/cdrom.h"
#include "class/class_internal.h"
#include "disk/disk.h"

#include <fcntl.h>

static PDRIVER_OBJECT port_driver, disk_driver, cdrom_driver, spy_driver;

/* --- the spy -------------------------------------------------------------- */

static struct rig *
rig_of(PDEVICE_OBJECT device)
{
    return *(struct rig **) device->DeviceExtension;
}

static bool
is_poll(const SCSI_REQUEST_BLOCK *srb)
{
    return srb->SrbFlags & SRB_CLASS_FLAGS_LOW_PRIORITY &&
           (srb->Cdb[0] == SCSIOP_TEST_UNIT_READY ||
            srb->Cdb[0] == SCSIOP_GET_EVENT_STATUS) &&
           srb->SrbFlags & SRB_FLAGS_NO_QUEUE_FREEZE;
}

static void
write_down(struct spy *spy, PIRP irp, const SCSI_REQUEST_BLOCK *srb)
{
    unsigned at;

    if (is_poll(srb)) {
        __atomic_add_fetch(&spy->polls, 1, __ATOMIC_RELAXED);
        spy->poll.gesn += srb->Cdb[0] == SCSIOP_GET_EVENT_STATUS;
        memcpy(spy->poll.cdb, srb->Cdb, 16);
        spy->poll.flags = srb->SrbFlags;
        spy->poll.timeout = srb->TimeOutValue;
        spy->poll.stack_flags = IoGetCurrentIrpStackLocation(irp)->Flags;
        spy->poll.threaded = irp->Tail.Overlay.Thread != NULL;
        return;
    }
    at = spy->commands++ % LOG_MAX;
    memcpy(spy->cdb[at], srb->Cdb, 16);
    spy->flags[at] = srb->SrbFlags;
    spy->stamp[at] = srb->QueueSortKey;
    spy->stack_flags[at] = IoGetCurrentIrpStackLocation(irp)->Flags;
    spy->threaded[at] = irp->Tail.Overlay.Thread != NULL;
    spy->srb_status[at] = srb->SrbStatus;
    spy->scsi_status[at] = srb->ScsiStatus;
    spy->length[at] = srb->DataTransferLength;
    spy->timeout[at] = srb->TimeOutValue;
    spy->released[at] = spy->releases;
}

static bool
take_answer(struct spy *spy, const SCSI_REQUEST_BLOCK *srb,
            struct answer *out_answer)
{
    for (unsigned i = 0; i < spy->answers; i++) {
        struct answer *answer = &spy->script[i];

        if (answer->times == 0 || (answer->opcode != srb->Cdb[0] &&
                                   (answer->opcode >= 0 || is_poll(srb))))
            continue;
        answer->times--;
        *out_answer = *answer;
        return true;
    }
    return false;
}

static NTSTATUS
give(PIRP irp, PSCSI_REQUEST_BLOCK srb, const struct answer *answer)
{
    srb->SrbStatus = answer->srb_status;
    srb->ScsiStatus = answer->scsi_status;
    if (answer->internal != 0)
        srb->InternalStatus = answer->internal;
    if (answer->transferred != 0 || answer->srb_status != SRB_STATUS_SUCCESS)
        srb->DataTransferLength = answer->transferred;
    if (answer->sense_len != 0) {
        memcpy(srb->SenseInfoBuffer, answer->sense, answer->sense_len);
        srb->SenseInfoBufferLength = answer->sense_len;
    }
    if (answer->data_len != 0) {
        memcpy(srb->DataBuffer, answer->data, answer->data_len);
        srb->DataTransferLength = answer->data_len;
    }
    irp->IoStatus.Status = SRB_STATUS(srb->SrbStatus) == SRB_STATUS_SUCCESS
                               ? STATUS_SUCCESS
                               : STATUS_IO_DEVICE_ERROR;
    irp->IoStatus.Information = srb->DataTransferLength;
    {
        NTSTATUS status = irp->IoStatus.Status;

        IoCompleteRequest(irp, IO_NO_INCREMENT);
        return status;
    }
}

static NTSTATUS
pass(struct spy *spy, PIRP irp)
{
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(spy->lower, irp);
}

bool spy_refuses_events, spy_says_fixed, spy_says_remote;
PDRIVER_OBJECT rig_driver;

static NTSTATUS NTAPI
spy_scsi(PDEVICE_OBJECT device, PIRP irp)
{
    PSCSI_REQUEST_BLOCK srb =
        IoGetCurrentIrpStackLocation(irp)->Parameters.Scsi.Srb;
    struct spy *spy = &rig_of(device)->spy;
    struct answer answer = { 0 };
    bool answers = false;
    KIRQL irql;

    KeAcquireSpinLock(&spy->lock, &irql);
    if (srb->Function == SRB_FUNCTION_RELEASE_QUEUE)
        spy->releases++;
    if (srb->Function == SRB_FUNCTION_LOCK_QUEUE)
        spy->locks++;
    if (srb->Function == SRB_FUNCTION_UNLOCK_QUEUE)
        spy->unlocks++;
    if (srb->Function == SRB_FUNCTION_EXECUTE_SCSI) {
        write_down(spy, irp, srb);
        answers = take_answer(spy, srb, &answer);
    }
    if (answers && answer.pend) {
        IoMarkIrpPending(irp);
        __atomic_store_n(&spy->held, irp, __ATOMIC_RELEASE);
    }
    KeReleaseSpinLock(&spy->lock, irql);
    if (srb->Function == SRB_FUNCTION_RECEIVE_EVENT && spy_refuses_events) {
        answer = (struct answer){ .srb_status = SRB_STATUS_INVALID_REQUEST };
        answers = true;
    }
    if (!answers)
        return pass(spy, irp);
    return answer.pend ? STATUS_PENDING : give(irp, srb, &answer);
}

static NTSTATUS NTAPI
spy_pass(PDEVICE_OBJECT device, PIRP irp)
{
    return pass(&rig_of(device)->spy, irp);
}

/* The port says of every emulated drive that its medium is removable. */
static NTSTATUS NTAPI
descriptor_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    PSTORAGE_DEVICE_DESCRIPTOR reply = irp->AssociatedIrp.SystemBuffer;

    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    if (irp->IoStatus.Information >
        offsetof(STORAGE_DEVICE_DESCRIPTOR, RemovableMedia))
        reply->RemovableMedia = FALSE;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
adapter_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    PSTORAGE_ADAPTER_DESCRIPTOR reply = irp->AssociatedIrp.SystemBuffer;
    const struct rig *rig = context;

    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    if (irp->IoStatus.Information < sizeof *reply)
        return STATUS_SUCCESS;
    if (rig->remote)
        reply->BusType = BusTypeiScsi;
    if (rig->adapter_most != 0)
        reply->MaximumTransferLength = rig->adapter_most;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
spy_control(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PSTORAGE_PROPERTY_QUERY query = irp->AssociatedIrp.SystemBuffer;
    struct rig *rig = rig_of(device);
    PIO_COMPLETION_ROUTINE done = NULL;

    if (at->Parameters.DeviceIoControl.IoControlCode ==
        IOCTL_STORAGE_QUERY_PROPERTY) {
        if (query->PropertyId == StorageDeviceProperty && rig->fixed)
            done = descriptor_done;
        if (query->PropertyId == StorageAdapterProperty)
            done = adapter_done;
    }
    if (done == NULL)
        return pass(&rig->spy, irp);
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, done, rig, TRUE, TRUE, TRUE);
    return IoCallDriver(rig->spy.lower, irp);
}

static NTSTATUS NTAPI
spy_pnp(PDEVICE_OBJECT device, PIRP irp)
{
    struct spy *spy = &rig_of(device)->spy;
    bool removal = IoGetCurrentIrpStackLocation(irp)->MinorFunction ==
                   IRP_MN_REMOVE_DEVICE;
    NTSTATUS status = pass(spy, irp);

    if (removal) {
        IoDetachDevice(spy->lower);
        IoDeleteDevice(device);
    }
    return status;
}

static NTSTATUS NTAPI
spy_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    for (int i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        driver->MajorFunction[i] = spy_pass;
    driver->MajorFunction[IRP_MJ_SCSI] = spy_scsi;
    driver->MajorFunction[IRP_MJ_PNP] = spy_pnp;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = spy_control;
    return STATUS_SUCCESS;
}

static void
spy_attach(struct rig *rig)
{
    struct spy *spy = &rig->spy;

    KeInitializeSpinLock(&spy->lock);
    assert_int_equal(IoCreateDevice(spy_driver, sizeof(void *), NULL,
                                    FILE_DEVICE_UNKNOWN, 0, FALSE,
                                    &spy->device),
                     STATUS_SUCCESS);
    *(struct rig **) spy->device->DeviceExtension = rig;
    spy->lower = IoAttachDeviceToDeviceStack(spy->device, rig->pdo);
    assert_non_null(spy->lower);
    spy->device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
}

void
spy_answer(struct rig *rig, const struct answer *answer)
{
    struct spy *spy = &rig->spy;
    KIRQL irql;

    KeAcquireSpinLock(&spy->lock, &irql);
    spy->script[spy->answers++] = *answer;
    KeReleaseSpinLock(&spy->lock, irql);
}

void
spy_reset(struct rig *rig)
{
    struct spy *spy = &rig->spy;
    KIRQL irql;

    KeAcquireSpinLock(&spy->lock, &irql);
    spy->answers = spy->commands = spy->releases = spy->poll.gesn = 0;
    spy->locks = spy->unlocks = 0;
    __atomic_store_n(&spy->polls, 0, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&spy->lock, irql);
}

static NTSTATUS NTAPI
released_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    return STATUS_SUCCESS;
}

void
spy_release(struct rig *rig)
{
    struct spy *spy = &rig->spy;
    PIRP irp;
    KIRQL irql;

    assert_true(EVENTUALLY(__atomic_load_n(&spy->held, __ATOMIC_ACQUIRE)));
    KeAcquireSpinLock(&spy->lock, &irql);
    irp = spy->held;
    __atomic_store_n(&spy->held, NULL, __ATOMIC_RELEASE);
    KeReleaseSpinLock(&spy->lock, irql);
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, released_done, NULL, TRUE, TRUE, TRUE);
    (void) IoCallDriver(spy->lower, irp);
}

unsigned
spy_commands(struct rig *rig)
{
    unsigned count;
    KIRQL irql;

    KeAcquireSpinLock(&rig->spy.lock, &irql);
    count = rig->spy.commands;
    KeReleaseSpinLock(&rig->spy.lock, irql);
    return count;
}

struct poll_seen
spy_poll(struct rig *rig)
{
    struct poll_seen seen;
    KIRQL irql;

    KeAcquireSpinLock(&rig->spy.lock, &irql);
    seen = rig->spy.poll;
    KeReleaseSpinLock(&rig->spy.lock, irql);
    return seen;
}

unsigned
spy_count(struct rig *rig, UCHAR opcode)
{
    unsigned count = 0;
    KIRQL irql;

    KeAcquireSpinLock(&rig->spy.lock, &irql);
    for (unsigned i = 0; i < rig->spy.commands && i < LOG_MAX; i++)
        count += rig->spy.cdb[i][0] == opcode;
    KeReleaseSpinLock(&rig->spy.lock, irql);
    return count;
}

void
spy_wait(struct rig *rig, UCHAR opcode, unsigned count)
{
    assert_true(EVENTUALLY(spy_count(rig, opcode) >= count));
    assert_int_equal(spy_count(rig, opcode), count);
}

/* --- the rig -------------------------------------------------------------- */

int
harness_begin(void **state)
{
    if (io_init() != STATUS_SUCCESS ||
        io_load_driver("port", port_driver_entry, &port_driver) < 0 ||
        io_load_driver("disk", disk_driver_entry, &disk_driver) < 0 ||
        io_load_driver("cdrom", cdrom_driver_entry, &cdrom_driver) < 0 ||
        io_load_driver("spy", spy_entry, &spy_driver) < 0)
        return -1;
    return 0;
}

int
harness_end(void **state)
{
    clock_manual(false);
    io_unload_driver(spy_driver);
    io_unload_driver(cdrom_driver);
    io_unload_driver(disk_driver);
    io_unload_driver(port_driver);
    io_shutdown();
    return 0;
}

static void
make_image(char *path, size_t max, char fill, unsigned block)
{
    static char page[1 << 16];
    int fd;

    snprintf(path, max, "/tmp/class-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    memset(page, fill, sizeof page);
    for (unsigned done = 0; done < IMAGE_BYTES; done += sizeof page)
        assert_int_equal(write(fd, page, sizeof page), sizeof page);
    close(fd);
}

static void
insert(struct rig *rig, int image)
{
    char text[256];

    if (vscsi_insert(rig->drive, rig->image[image], text, sizeof text) != 0)
        fail_msg("insert: %s", text);
}

int
rig_new(void **state, const struct vscsi_config *config, bool medium)
{
    static unsigned number;
    struct rig *rig = calloc(1, sizeof *rig);
    struct vscsi_config own = *config;
    PDRIVER_OBJECT driver = rig_driver != NULL            ? rig_driver
                            : config->type == VSCSI_CDROM ? cdrom_driver
                                                          : disk_driver;

    rig->fixed = spy_says_fixed;
    rig->remote = spy_says_remote;
    snprintf(rig->name, sizeof rig->name, "drive%u", number++);
    own.name = rig->name;
    rig->drive = vscsi_new(&own);
    assert_non_null(rig->drive);
    make_image(rig->image[0], sizeof rig->image[0], 'a', BLOCK);
    make_image(rig->image[1], sizeof rig->image[1], 'b', BLOCK);
    if (medium)
        insert(rig, 0);
    assert_int_equal(
        port_add_virtual(port_driver, rig->drive, rig->name, &rig->pdo),
        STATUS_SUCCESS);
    spy_attach(rig);
    assert_int_equal(io_start_device(driver, rig->pdo), STATUS_SUCCESS);
    rig->fdo = IoGetAttachedDevice(rig->pdo);
    assert_ptr_not_equal(rig->fdo, rig->spy.device);
    rig_settle(rig);
    clear_slot();
    *state = rig;
    return 0;
}

/* Without the spy.  False: the start failed, all is undone. */
bool
rig_try_disk(void **state)
{
    struct vscsi_config config = { .name = "try", .type = VSCSI_DISK };
    struct rig *rig = calloc(1, sizeof *rig);
    NTSTATUS status;

    rig->drive = vscsi_new(&config);
    make_image(rig->image[0], sizeof rig->image[0], 'a', BLOCK);
    insert(rig, 0);
    status = port_add_virtual(port_driver, rig->drive, "try", &rig->pdo);
    if (NT_SUCCESS(status)) {
        status = io_start_device(disk_driver, rig->pdo);
        if (!NT_SUCCESS(status))
            port_remove_unit(rig->pdo);
    }
    if (NT_SUCCESS(status)) {
        rig->fdo = IoGetAttachedDevice(rig->pdo);
        *state = rig;
        return true;
    }
    vscsi_free(rig->drive);
    unlink(rig->image[0]);
    free(rig);
    return false;
}

int
rig_disk(void **state)
{
    return rig_new(state, &(struct vscsi_config){ .type = VSCSI_DISK }, true);
}

int
rig_cached(void **state)
{
    return rig_new(
        state,
        &(struct vscsi_config){ .type = VSCSI_DISK, .cache_volatile = true },
        true);
}

int
rig_empty(void **state)
{
    return rig_new(state, &(struct vscsi_config){ .type = VSCSI_DISK }, false);
}

int
rig_cdrom(void **state)
{
    return rig_new(state, &(struct vscsi_config){ .type = VSCSI_CDROM }, true);
}

int
rig_free(void **state)
{
    struct rig *rig = *state;

    clock_manual(false);
    rig_mount(rig, false);
    assert_int_equal(io_remove_device(rig->pdo), STATUS_SUCCESS);
    port_remove_unit(rig->pdo);
    vscsi_free(rig->drive);
    unlink(rig->image[0]);
    unlink(rig->image[1]);
    free(rig);
    return 0;
}

static bool
is_calm(struct rig *rig)
{
    struct class_mcd *mcd = &class_dev(rig->fdo)->mcd;
    bool calm;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    calm = !mcd->polling && !mcd->queued;
    KeReleaseSpinLock(&mcd->lock, irql);
    return calm;
}

/* An event of the drive asks for a poll before it is over; a poll, and what it
 * has to tell, are work items. */
void
rig_calm(struct rig *rig)
{
    do {
        assert_true(EVENTUALLY(is_calm(rig)));
        rest();
    } while (!is_calm(rig));
}

void
rig_settle(struct rig *rig)
{
    rig_calm(rig);
    spy_reset(rig);
}

void
rig_mount(struct rig *rig, bool mounted)
{
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    if (mounted)
        rig->fdo->Vpb->Flags |= VPB_MOUNTED;
    else
        rig->fdo->Vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    IoReleaseVpbSpinLock(irql);
}

bool
rig_verify_set(struct rig *rig)
{
    return __atomic_load_n(&rig->fdo->Flags, __ATOMIC_ACQUIRE) &
           DO_VERIFY_VOLUME;
}

void
rig_clear_verify(struct rig *rig)
{
    /* As a file system does, in a verification. */
    io_verification_begin();
    InterlockedAnd((LONG volatile *) &rig->fdo->Flags, ~DO_VERIFY_VOLUME);
    io_verification_end();
}

ULONG
rig_count(struct rig *rig)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;

    return __atomic_load_n(&ext->MediaChangeCount, __ATOMIC_ACQUIRE);
}

ULONG
rig_state(struct rig *rig)
{
    struct class_mcd *mcd = &class_dev(rig->fdo)->mcd;
    ULONG state;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    state = mcd->state;
    KeReleaseSpinLock(&mcd->lock, irql);
    return state;
}

bool
rig_rests(struct rig *rig)
{
    class_device *dev = class_dev(rig->fdo);
    bool waits;
    KIRQL irql;

    KeAcquireSpinLock(&dev->wait_lock, &irql);
    waits = !IsListEmpty(&dev->waiting);
    KeReleaseSpinLock(&dev->wait_lock, irql);
    return waits;
}

void
rig_swap(struct rig *rig, int image)
{
    (void) vscsi_yank(rig->drive);
    insert(rig, image);
}

void
rig_rule(struct rig *rig, const char *rule)
{
    char text[256];

    if (vscsi_fault_add(rig->drive, rule, text, sizeof text) != 0)
        fail_msg("%s: %s", rule, text);
}

/* --- requests ------------------------------------------------------------- */

PDEVICE_OBJECT
slot_of(void)
{
    return IoGetDeviceToVerify(PsGetCurrentThread());
}

void
clear_slot(void)
{
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
}

static NTSTATUS NTAPI
completed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct outcome *out = context;

    out->status = irp->IoStatus.Status;
    out->information = irp->IoStatus.Information;
    if (irp->Tail.Overlay.Thread != NULL)
        out->slot = IoGetDeviceToVerify(irp->Tail.Overlay.Thread);
    assert_ptr_equal(irp, out->irp);
    out->completions++;
    out->marked = irp->PendingReturned;
    KeSetEvent(&out->done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PDEVICE_OBJECT
target(struct rig *rig)
{
    return rig->top != NULL ? rig->top : rig->fdo;
}

PIO_STACK_LOCATION
begin_request(struct rig *rig, UCHAR major, const struct ask *ask,
              struct outcome *out)
{
    PIO_STACK_LOCATION next;

    memset(out, 0, sizeof *out);
    KeInitializeEvent(&out->done, NotificationEvent, FALSE);
    out->irp = IoAllocateIrp(target(rig)->StackSize, FALSE);
    assert_non_null(out->irp);
    if (ask == NULL || !ask->no_thread)
        out->irp->Tail.Overlay.Thread = PsGetCurrentThread();
    out->irp->RequestorMode =
        ask != NULL && ask->user_mode ? UserMode : KernelMode;
    next = IoGetNextIrpStackLocation(out->irp);
    next->MajorFunction = major;
    if (ask != NULL) {
        next->Flags = ask->flags;
        next->FileObject = ask->file;
    }
    IoSetCompletionRoutine(out->irp, completed, out, TRUE, TRUE, TRUE);
    return next;
}

void
send_request(struct rig *rig, struct outcome *out)
{
    out->returned = IoCallDriver(target(rig), out->irp);
}

void
start_transfer(struct rig *rig, UCHAR major, ULONGLONG offset, void *data,
               ULONG length, const struct ask *ask, struct outcome *out)
{
    PIO_STACK_LOCATION next = begin_request(rig, major, ask, out);

    next->Parameters.Read.Length = length;
    next->Parameters.Read.ByteOffset.QuadPart = (LONGLONG) offset;
    next->Parameters.Read.Key = ask != NULL ? ask->key : 0;
    if (length != 0) {
        out->mdl = IoAllocateMdl(data, length, FALSE, FALSE, NULL);
        assert_non_null(out->mdl);
        MmBuildMdlForNonPagedPool(out->mdl);
        out->irp->MdlAddress = out->mdl;
    }
    send_request(rig, out);
}

void
start_control(struct rig *rig, ULONG code, void *buffer, ULONG in, ULONG room,
              const struct ask *ask, struct outcome *out)
{
    PIO_STACK_LOCATION next =
        begin_request(rig, IRP_MJ_DEVICE_CONTROL, ask, out);

    next->Parameters.DeviceIoControl.IoControlCode = code;
    next->Parameters.DeviceIoControl.InputBufferLength = in;
    next->Parameters.DeviceIoControl.OutputBufferLength = room;
    if (ask != NULL && ask->flags & SL_KEY_SPECIFIED)
        next->Parameters.DeviceIoControl.Type3InputBuffer =
            (PVOID) (ULONG_PTR) ask->key;
    out->irp->AssociatedIrp.SystemBuffer = buffer;
    send_request(rig, out);
}

void
start_flush(struct rig *rig, const struct ask *ask, struct outcome *out)
{
    PIO_STACK_LOCATION next =
        begin_request(rig, IRP_MJ_FLUSH_BUFFERS, ask, out);

    next->Parameters.Read.Key = ask != NULL ? ask->key : 0;
    send_request(rig, out);
}

bool
is_done(struct outcome *out)
{
    return KeReadStateEvent(&out->done) != 0;
}

void
finish(struct outcome *out)
{
    KeWaitForSingleObject(&out->done, Executive, KernelMode, FALSE, NULL);
    assert_int_equal(out->completions, 1);
    if (out->returned != STATUS_PENDING)
        assert_int_equal(out->returned, out->status);
    if (out->mdl != NULL)
        IoFreeMdl(out->mdl);
    IoFreeIrp(out->irp);
}

struct outcome
transfer(struct rig *rig, UCHAR major, ULONGLONG offset, void *data,
         ULONG length, const struct ask *ask)
{
    struct outcome out;

    start_transfer(rig, major, offset, data, length, ask, &out);
    finish(&out);
    return out;
}

struct outcome
control(struct rig *rig, ULONG code, void *buffer, ULONG in, ULONG room,
        const struct ask *ask)
{
    struct outcome out;

    start_control(rig, code, buffer, in, room, ask, &out);
    finish(&out);
    return out;
}

struct outcome
flush(struct rig *rig, const struct ask *ask)
{
    struct outcome out;

    start_flush(rig, ask, &out);
    finish(&out);
    return out;
}

/* --- what many tests do --------------------------------------------------- */

void
know_capacity(struct rig *rig)
{
    static char block[4096];

    (void) transfer(rig, IRP_MJ_READ, 0, block, sizeof block, NULL);
    clear_slot();
    spy_reset(rig);
}

size_t
new_log(struct io_error_log_entry *list, size_t max)
{
    static uint64_t last;
    size_t count = io_error_log(last, list, max);

    if (count > 0)
        last = list[count - 1].seq;
    return count;
}

/* --- notifications -------------------------------------------------------- */

static NTSTATUS NTAPI
hear(PVOID structure, PVOID context)
{
    PTARGET_DEVICE_CUSTOM_NOTIFICATION note = structure;
    size_t extra = note->Size - offsetof(TARGET_DEVICE_CUSTOM_NOTIFICATION,
                                         CustomDataBuffer);
    struct listener *listener = context;
    KIRQL irql;

    KeAcquireSpinLock(&listener->lock, &irql);
    if (listener->count < NOTES) {
        listener->guid[listener->count] = note->Event;
        if (extra > sizeof listener->media[0])
            extra = sizeof listener->media[0];
        memcpy(&listener->media[listener->count], note->CustomDataBuffer,
               extra);
        listener->count++;
    }
    KeReleaseSpinLock(&listener->lock, irql);
    return STATUS_SUCCESS;
}

void
listen_to(struct rig *rig, struct listener *listener)
{
    memset(listener, 0, sizeof *listener);
    KeInitializeSpinLock(&listener->lock);
    assert_int_equal(
        io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &listener->file),
        STATUS_SUCCESS);
    assert_int_equal(
        IoRegisterPlugPlayNotification(EventCategoryTargetDeviceChange, 0,
                                       listener->file, rig->fdo->DriverObject,
                                       hear, listener, &listener->entry),
        STATUS_SUCCESS);
}

void
stop_listening(struct listener *listener)
{
    assert_int_equal(IoUnregisterPlugPlayNotification(listener->entry),
                     STATUS_SUCCESS);
    io_close_file(listener->file);
}

unsigned
heard(struct listener *listener)
{
    unsigned count;
    KIRQL irql;

    KeAcquireSpinLock(&listener->lock, &irql);
    count = listener->count;
    KeReleaseSpinLock(&listener->lock, irql);
    return count;
}

unsigned
heard_of(struct listener *listener, const GUID *guid)
{
    unsigned count = 0;
    KIRQL irql;

    KeAcquireSpinLock(&listener->lock, &irql);
    for (unsigned i = 0; i < listener->count; i++)
        count += IsEqualGUID(&listener->guid[i], guid) ? 1 : 0;
    KeReleaseSpinLock(&listener->lock, irql);
    return count;
}
