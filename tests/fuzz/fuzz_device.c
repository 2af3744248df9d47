/*
 * fuzz_device.c - a drive whose every answer is hostile
 *
 * A host adapter answers commands with what the input says: data of any
 * length, sense, SRB statuses.  Where the input is silent it answers like a
 * small honest drive, so that a start can succeed and the rest be reached.
 * Checked: nothing crashes or hangs, every request completes once, and no
 * request costs more than a bounded number of commands.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include <pthread.h>

#include "base/clock.h"
#include "io/io.h"
#include "port/hba.h"
#include "port/port.h"

/* Polls ask on threads of their own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct input script;
static bool is_cd;
static uint32_t attention;
static unsigned commands; /* since the request began */
static void *unit;

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

/* --- the adapter ---------------------------------------------------------- */

static const uint8_t srb_statuses[] = {
    SRB_STATUS_ABORTED,
    SRB_STATUS_ERROR,
    SRB_STATUS_INVALID_REQUEST,
    SRB_STATUS_NO_DEVICE,
    SRB_STATUS_TIMEOUT,
    SRB_STATUS_SELECTION_TIMEOUT,
    SRB_STATUS_COMMAND_TIMEOUT,
    SRB_STATUS_BUS_RESET,
    SRB_STATUS_PARITY_ERROR,
    SRB_STATUS_DATA_OVERRUN,
    SRB_STATUS_REQUEST_FLUSHED,
    SRB_STATUS_PHASE_SEQUENCE_FAILURE,
    SRB_STATUS_UNEXPECTED_BUS_FREE,
    SRB_STATUS_INVALID_LUN,
    SRB_STATUS_BUSY,
    0x3F,
};

static void
answer_sense(struct hba_answer *answer, uint8_t sense[64])
{
    uint8_t how = take8(&script);

    memset(sense, 0, 64);
    answer->srb_status = SRB_STATUS_ERROR;
    answer->scsi_status = SCSISTAT_CHECK_CONDITION;
    answer->sense = sense;
    if (how & 0x80) {
        answer->sense_len = how & 0x3f;
        take(&script, sense, answer->sense_len);
    } else {
        answer->sense_len = 18;
        sense[0] = 0x70;
        sense[2] = how & 0x0f;
        sense[7] = 10;
        sense[12] = take8(&script);
        sense[13] = take8(&script);
    }
    if (answer->sense_len > 2 && (sense[2] & 0x0f) == 6)
        attention++;
    answer->attention = attention;
}

/* 0: as an honest drive; 1: data; 2: sense; 3: another SRB status; and so on:
 * three quarters of the values are data. */
static bool NTAPI
submit(void *hba, struct hba_request *request)
{
    const SCSI_REQUEST_BLOCK *srb = request->srb;
    uint8_t *data = srb->SrbFlags & SRB_FLAGS_DATA_IN ? srb->DataBuffer : NULL;
    uint32_t room = data != NULL ? srb->DataTransferLength : 0;
    struct hba_answer answer = { .srb_status = SRB_STATUS_SUCCESS };
    uint8_t how, sense[64];

    (void) hba;
    pthread_mutex_lock(&lock);
    if (!(srb->SrbFlags & SRB_CLASS_FLAGS_LOW_PRIORITY))
        CHECK(++commands < COMMANDS_MAX);
    how = take8(&script);
    switch (how == 0 ? 0 : how <= 0x30 ? 2 : how <= 0x40 ? 3 : 1) {
    case 0:
        answer.transferred = honest(srb, data, room);
        break;
    case 1:
        answer.transferred = take16(&script);
        if (answer.transferred > room)
            answer.transferred = room;
        if (answer.transferred > 0)
            take(&script, data, answer.transferred);
        break;
    case 2:
        answer_sense(&answer, sense);
        break;
    default:
        answer.srb_status = srb_statuses[how & 15];
        answer.scsi_status = take8(&script);
        break;
    }
    hba_set_answer(request, &answer);
    pthread_mutex_unlock(&lock);
    return true;
}

static void
nothing_to_abort(void *hba, struct hba_request *request)
{
    (void) hba;
    (void) request;
}

static void
reset(void *hba)
{
    (void) hba;
}

static void
info(void *hba, struct hba_info *out_info)
{
    (void) hba;
    memset(out_info, 0, sizeof *out_info);
}

static NTSTATUS
open_hba(void *context, void *new_unit, void **out_hba)
{
    (void) context;
    unit = new_unit;
    *out_hba = &script;
    return STATUS_SUCCESS;
}

static const struct hba_ops ops = {
    .name = "hostile",
    .max_transfer_bytes = 65536,
    .bus_type = BusTypeUsb,
    .events = true,
    .submit = submit,
    .abort = nothing_to_abort,
    .reset = reset,
    .info = info,
    .close = reset,
};

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

static void
ask_one(struct input *plan, PDEVICE_OBJECT fdo)
{
    uint8_t what = take8(plan);
    struct manner how = {
        .stack_flags = what & 0x10 ? SL_OVERRIDE_VERIFY_VOLUME : 0,
        .threadless = what & 0x20,
    };

    pthread_mutex_lock(&lock);
    commands = 0;
    pthread_mutex_unlock(&lock);
    InterlockedAnd((LONG volatile *) &fdo->Flags, ~DO_VERIFY_VOLUME);
    switch (what & 3) {
    case 0:
        ask_transfer(plan, fdo, &how);
        break;
    case 1:
        hba_event(unit, take8(plan) & 0x0f);
        clock_advance_ms(2000);
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
    pthread_mutex_lock(&lock);
    commands = 0;
    pthread_mutex_unlock(&lock);
    fuzz_wait(true);
    CHECK(NT_SUCCESS(io_surprise_remove_device(pdo)));
    fuzz_wait(false);
}

/* The head is the plan, the rest the script of the drive. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input plan = { data, data + bytes };
    PDEVICE_OBJECT pdo;
    NTSTATUS status;
    unsigned asks;
    size_t split;

    fuzz_begin();
    is_cd = take8(&plan) & 1;
    asks = take8(&plan) % 8;
    split = take8(&plan);
    if (split > (size_t) (plan.end - plan.at))
        split = (size_t) (plan.end - plan.at);
    script = (struct input){ plan.at + split, plan.end };
    plan.end = plan.at + split;
    attention = 1;
    commands = 0;
    fuzz_wait(true);
    status = port_unit_new(fuzz_port, &ops, open_hba, NULL, "hostile", &pdo);
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
