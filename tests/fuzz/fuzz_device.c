/*
 * fuzz_device.c - a drive whose every answer is hostile
 *
 * Disks and CDs on the host adapter of hostile.c, with events or, as real ones
 * have it, asked every second.  Checked: nothing crashes or hangs, every request
 * completes once, and no request costs more than a bounded number of commands.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/hostile.h"

#include "base/clock.h"
#include "io/io.h"
#include "port/port.h"

static bool is_cd, is_polled;

/* More than any request may cost: an UNMAP of a whole disk ends after 65,536,
 * some of them tried again. */
#define COMMANDS_MAX (4 * 65536)

/* --- the honest drive ----------------------------------------------------- */

static void
put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t) (value >> (24 - 8 * i));
}

static uint32_t
honest(const SCSI_REQUEST_BLOCK *srb, uint8_t *data, uint32_t room)
{
    uint8_t reply[96] = { 0 };
    uint32_t bytes = 0;

    switch (srb->Cdb[0]) {
    case SCSIOP_INQUIRY:
        reply[0] = is_cd ? 5 : 0;
        reply[1] = 0x80;
        reply[2] = 6;
        reply[3] = 2;
        reply[4] = 91;
        memset(reply + 8, 'F', 28);
        memcpy(reply + 16, "FLOPPY", is_cd ? 0 : 6);
        bytes = srb->Cdb[1] & 1 ? 4 : 96;
        break;
    case SCSIOP_READ_CAPACITY:
        put32(reply, 2879);
        put32(reply + 4, is_cd ? 2048 : 512);
        bytes = 8;
        break;
    case SCSIOP_READ:
    case SCSIOP_READ16:
        return room;
    default:
        bytes = srb->Cdb[0] == SCSIOP_TEST_UNIT_READY ? 0 : 32;
        break;
    }
    bytes = bytes < room ? bytes : room;
    if (bytes > 0)
        memcpy(data, reply, bytes);
    return bytes;
}

/* --- what is asked of it -------------------------------------------------- */

static const ULONG codes[] = {
    IOCTL_STORAGE_CHECK_VERIFY,
    IOCTL_STORAGE_READ_CAPACITY,
    IOCTL_STORAGE_QUERY_PROPERTY,
    IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
    IOCTL_STORAGE_GET_MEDIA_TYPES_EX,
    IOCTL_STORAGE_GET_HOTPLUG_INFO,
    IOCTL_STORAGE_EJECT_MEDIA,
    IOCTL_STORAGE_LOAD_MEDIA,
    IOCTL_STORAGE_MEDIA_REMOVAL,
    IOCTL_STORAGE_RESERVE,
    IOCTL_STORAGE_PREDICT_FAILURE,
    IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER,
    IOCTL_DISK_GET_DRIVE_GEOMETRY_EX,
    IOCTL_DISK_GET_MEDIA_TYPES,
    IOCTL_DISK_IS_WRITABLE,
    IOCTL_DISK_FORMAT_TRACKS,
    IOCTL_DISK_VERIFY,
    IOCTL_DISK_GET_CACHE_INFORMATION,
    IOCTL_DISK_SET_CACHE_INFORMATION,
    IOCTL_CDROM_READ_TOC,
    IOCTL_CDROM_READ_TOC_EX,
    IOCTL_CDROM_GET_CONFIGURATION,
    IOCTL_CDROM_EXCLUSIVE_ACCESS,
    IOCTL_CDROM_SET_SPEED,
    IOCTL_CDROM_GET_INQUIRY_DATA,
    IOCTL_CDROM_SEND_OPC_INFORMATION,
    IOCTL_CDROM_GET_PERFORMANCE,
    IOCTL_CDROM_ENABLE_STREAMING,
    IOCTL_DVD_READ_STRUCTURE,
    IOCTL_DVD_SET_READ_AHEAD,
    IOCTL_STORAGE_SET_READ_AHEAD,
    IOCTL_CDROM_GET_LAST_SESSION,
    IOCTL_CDROM_DISK_TYPE,
    IOCTL_SCSI_GET_INQUIRY_DATA,
};

static void
ask_control(struct input *plan, PDEVICE_OBJECT fdo, const struct manner *how)
{
    ULONG code = codes[take8(plan) % (sizeof codes / sizeof codes[0])];
    ULONG in = take8(plan), out = take8(plan) * 4u;
    ULONG size = in > out ? in : out;
    uint8_t *buffer = malloc(size > 0 ? size : 1);
    struct request request;

    CHECK(buffer != NULL);
    memset(buffer, 0, size);
    take(plan, buffer, in);
    request = fuzz_control(fdo, code, buffer, in, out, NULL, how);
    if (!NT_ERROR(request.status))
        CHECK(request.information <= out);
    free(buffer);
}

static void
ask_transfer(struct input *plan, PDEVICE_OBJECT fdo, const struct manner *how)
{
    UCHAR major = take8(plan) & 1 ? IRP_MJ_WRITE : IRP_MJ_READ;
    ULONGLONG offset = (ULONGLONG) take16(plan) * 512;
    ULONG bytes = (take8(plan) % 64 + 1) * 2048;
    uint8_t *buffer = calloc(1, bytes);
    struct request request;

    CHECK(buffer != NULL);
    request = fuzz_transfer(fdo, major, offset, buffer, bytes, how);
    CHECK(request.information <= bytes);
    if (!NT_SUCCESS(request.status))
        CHECK(request.information == 0);
    free(buffer);
}

static VOID NTAPI
tell(PVOID event)
{
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
}

/* With what is due in each, which workers do. */
static void
pass_seconds(unsigned seconds)
{
    WORK_QUEUE_ITEM behind;
    KEVENT event;

    while (seconds-- > 0) {
        clock_advance_ms(1000);
        KeFlushQueuedDpcs();
        KeInitializeEvent(&event, NotificationEvent, FALSE);
        ExInitializeWorkItem(&behind, tell, &event);
        ExQueueWorkItem(&behind, DelayedWorkQueue);
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    }
}

static void
ask_one(struct input *plan, PDEVICE_OBJECT fdo)
{
    uint8_t what = take8(plan);
    struct manner how = {
        .stack_flags = what & 0x10 ? SL_OVERRIDE_VERIFY_VOLUME : 0,
        .threadless = what & 0x20,
    };

    hostile_request();
    InterlockedAnd((LONG volatile *) &fdo->Flags, ~DO_VERIFY_VOLUME);
    switch (what & 3) {
    case 0:
        ask_transfer(plan, fdo, &how);
        break;
    case 1:
        if (!is_polled)
            hostile_event(take8(plan) & 0x0f);
        pass_seconds(is_polled ? take8(plan) % 8 + 1 : 2);
        break;
    case 2:
        if (what & 4) {
            (void) fuzz_flush(fdo);
            break;
        } /* fall through */
    default:
        ask_control(plan, fdo, &how);
        break;
    }
}

static void
use(struct input *plan, unsigned asks, PDEVICE_OBJECT pdo)
{
    PDEVICE_OBJECT fdo = IoGetAttachedDevice(pdo);

    for (unsigned i = 0; i < asks; i++)
        ask_one(plan, fdo);
    hostile_request();
    fuzz_wait(true);
    CHECK(NT_SUCCESS(io_surprise_remove_device(pdo)));
    fuzz_wait(false);
}

/* The head is the plan, the rest the script of the drive. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input plan = { data, data + bytes };
    static struct hba_ops polled_ops;
    PDEVICE_OBJECT pdo;
    NTSTATUS status;
    unsigned kind, asks;
    size_t split;

    fuzz_begin();
    kind = take8(&plan);
    is_cd = kind & 1;
    is_polled = kind & 2;
    asks = take8(&plan) % 8;
    split = take8(&plan);
    if (split > (size_t) (plan.end - plan.at))
        split = (size_t) (plan.end - plan.at);
    hostile_begin((struct input){ plan.at + split, plan.end }, honest,
                  COMMANDS_MAX);
    plan.end = plan.at + split;
    fuzz_wait(true);
    polled_ops = hostile_ops;
    polled_ops.events = false;
    status = port_unit_new(fuzz_port, is_polled ? &polled_ops : &hostile_ops,
                           hostile_open, NULL, "hostile", &pdo);
    if (NT_SUCCESS(status)) {
        status = io_start_device(is_cd ? fuzz_cdrom : fuzz_disk, pdo);
        fuzz_wait(false);
        if (NT_SUCCESS(status))
            use(&plan, asks, pdo);
        fuzz_wait(true);
        port_remove_unit(pdo);
    }
    fuzz_wait(false);
    return 0;
}
