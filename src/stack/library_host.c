/*
 * library_host.c - what the jukebox's room asks of the rest of the service
 *
 * A library knows its drives by numbers; here is what they stand for.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntddscsi.h>
#include <ntddstor.h>
#include <stdio.h>
#include <string.h>

#include "io/io.h"
#include "port/port.h"
#include "stack/library_unit.h"
#include "stack/tape_drive.h"

static NTSTATUS
host_open(void *context, PFILE_OBJECT *out_file)
{
    struct library_unit *unit = context;
    NTSTATUS status = library_robot_begin(unit);

    return NT_SUCCESS(status)
               ? io_open_device(unit->fdo, FILE_READ_DATA | FILE_WRITE_DATA,
                                out_file)
               : status;
}

static void
host_close(void *context, PFILE_OBJECT file)
{
    (void) context;
    io_close_file(file);
}

/* What is in it is not verified yet, and is there all the same. */
static NTSTATUS
ask_drive(struct drive *drive)
{
    NTSTATUS status;

    if (drive_fdo(drive) == NULL)
        return STATUS_DEVICE_NOT_CONNECTED;
    if (is_tape(drive))
        return tape_ask(drive);
    status = io_device_control(drive->fdo, IOCTL_STORAGE_CHECK_VERIFY2, NULL, 0,
                               NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
    return status == STATUS_VERIFY_REQUIRED ? STATUS_SUCCESS : status;
}

static NTSTATUS
host_release(void *context, unsigned n)
{
    struct drive *drive = library_unit_drive(context, n);
    struct vscsi_state state;

    if (drive == NULL)
        return STATUS_NO_SUCH_DEVICE;
    if (drive_fdo(drive) == NULL)
        return STATUS_DEVICE_NOT_CONNECTED;
    if (drive->device == NULL && ask_drive(drive) == STATUS_NO_MEDIA_IN_DEVICE)
        return STATUS_NO_MEDIA_IN_DEVICE;
    if (drive->device != NULL) {
        vscsi_state(drive->device, &state);
        if (!state.medium || state.tray_open)
            return STATUS_NO_MEDIA_IN_DEVICE;
    }
    return is_tape(drive) ? tape_eject(drive) : fs_eject(drive->fdo, NULL);
}

static NTSTATUS
host_ready(void *context, unsigned n)
{
    struct drive *drive = library_unit_drive(context, n);
    struct vscsi_state state;

    if (drive == NULL)
        return STATUS_NO_SUCH_DEVICE;
    if (drive->device != NULL) {
        vscsi_state(drive->device, &state);
        if (!state.medium)
            return STATUS_NO_MEDIA_IN_DEVICE;
        if (!state.ready)
            return STATUS_DEVICE_NOT_READY;
    }
    return ask_drive(drive);
}

/* Nothing can be said of what is in it. */
static BOOLEAN
host_away(void *context, unsigned n)
{
    struct library_unit *unit = context;
    struct drive *drive = library_unit_drive(unit, n);
    struct port_unit_info info;

    if (drive == NULL)
        return FALSE;
    if (drive_fdo(drive) == NULL ||
        __atomic_load_n(&unit->order_due, __ATOMIC_SEQ_CST))
        return TRUE;
    port_unit_info(drive->pdo, &info);
    return info.away;
}

static void
host_look(void *context, unsigned n)
{
    struct drive *drive = library_unit_drive(context, n);

    if (drive != NULL)
        tape_forget(drive);
    if (drive != NULL)
        drive_look(drive);
}

static BOOLEAN
host_volume(void *context, unsigned n, struct library_volume *out)
{
    struct library_unit *unit = context;
    struct drive *drive = library_unit_drive(unit, n);
    PDEVICE_OBJECT fdo = drive != NULL ? drive_fdo(drive) : NULL;
    struct volume *volume = fdo != NULL ? fs_volume_on(fdo) : NULL;
    struct fs_volume_info info;

    if (drive != NULL && is_tape(drive))
        return tape_volume(drive, out);
    memset(out, 0, sizeof *out);
    if (volume == NULL)
        return FALSE;
    fs_volume_info(volume, &info);
    if (info.drive != fdo || info.dismounted ||
        (info.state != VOL_MOUNTED && info.state != VOL_VERIFYING &&
         info.state != VOL_REPLAYING && info.state != VOL_CHANGED))
        return FALSE;
    volume_name(unit->service, volume, out->name);
    snprintf(out->identity, sizeof out->identity, "%s", info.key);
    snprintf(out->label, sizeof out->label, "%.127s", info.label);
    snprintf(out->type, sizeof out->type, "%s", info.type);
    out->size_bytes = info.size_bytes;
    out->block_bytes = info.block_bytes;
    return TRUE;
}

static NTSTATUS
host_cleaned(void *context, unsigned n)
{
    struct drive *drive = library_unit_drive(context, n);
    struct port_unit_info before, after;
    NTSTATUS status;

    if (drive == NULL)
        return STATUS_NO_SUCH_DEVICE;
    if (drive_fdo(drive) == NULL)
        return STATUS_DEVICE_NOT_CONNECTED;
    port_unit_info(drive->pdo, &before);
    status =
        is_tape(drive)
            ? tape_ask(drive)
            : io_device_control(drive->fdo, IOCTL_STORAGE_CHECK_VERIFY2, NULL,
                                0, NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
    port_unit_info(drive->pdo, &after);
    if (after.senses == before.senses || after.sense_len < 14 ||
        (after.sense[0] & 0x7E) != 0x70 || after.sense[12] != 0x30)
        return status;
    return after.sense[13] == 0x13 || after.sense[13] == 0x0B
               ? STATUS_UNRECOGNIZED_MEDIA
           : after.sense[13] == 0x03 ? STATUS_CLEANER_CARTRIDGE_INSTALLED
                                     : status;
}

/* CLEANING REQUESTED (00/17), said since it was last asked. */
static BOOLEAN
host_cleaning(void *context, unsigned n)
{
    struct library_unit *unit = context;
    struct port_unit_info info;
    bool fresh;

    if (library_unit_drive(unit, n) == NULL)
        return FALSE;
    port_unit_info(library_unit_drive(unit, n)->pdo, &info);
    fresh = info.cleaning_asks != unit->cleaning_asks[n];
    unit->cleaning_asks[n] = info.cleaning_asks;
    return fresh;
}

static void
host_sense(void *context, struct library_sense *out)
{
    struct library_unit *unit = context;
    struct port_unit_info info;

    port_unit_info(unit->pdo, &info);
    out->count = info.senses;
    out->len =
        info.sense_len < sizeof out->bytes ? info.sense_len : sizeof out->bytes;
    memcpy(out->bytes, info.sense, out->len);
}

struct mode_sense {
    SCSI_PASS_THROUGH pass;
    UCHAR sense[32];
    UCHAR data[136];
};

/* MODE SENSE, page 1Dh: element address assignment. */
static NTSTATUS
host_addresses(void *context, uint16_t out_first[4])
{
    struct library_unit *unit = context;
    struct mode_sense request = {
        .pass = { .Length = sizeof(SCSI_PASS_THROUGH),
                  .CdbLength = 6,
                  .SenseInfoLength = sizeof request.sense,
                  .DataIn = SCSI_IOCTL_DATA_IN,
                  .DataTransferLength = sizeof request.data,
                  .TimeOutValue = 60,
                  .DataBufferOffset = offsetof(struct mode_sense, data),
                  .SenseInfoOffset = offsetof(struct mode_sense, sense),
                  .Cdb = { 0x1A, 0x08, 0x1D, 0, sizeof request.data, 0 } },
    };
    const UCHAR *page;
    NTSTATUS status = STATUS_IO_DEVICE_ERROR;

    /* A unit attention comes first, perhaps more than one. */
    for (int tries = 0; tries < 5; tries++) {
        status = io_device_control(unit->pdo, IOCTL_SCSI_PASS_THROUGH, &request,
                                   sizeof request, &request, sizeof request, 0,
                                   NULL);
        if (!NT_SUCCESS(status) || request.pass.ScsiStatus == 0)
            break;
        request.pass.SenseInfoLength = sizeof request.sense;
        request.pass.DataTransferLength = sizeof request.data;
        status = STATUS_IO_DEVICE_ERROR;
    }
    if (!NT_SUCCESS(status))
        return status;
    page = request.data + 4 + request.data[3];
    if (4u + request.data[3] + 18 > sizeof request.data ||
        request.pass.DataTransferLength < 4u + request.data[3] + 18 ||
        (page[0] & 0x3F) != 0x1D)
        return STATUS_DEVICE_DATA_ERROR;
    for (int i = 0; i < 4; i++)
        out_first[i] = (uint16_t) (page[2 + 4 * i] << 8 | page[3 + 4 * i]);
    return STATUS_SUCCESS;
}

static void
host_drive_name(void *context, unsigned n, char *out_name)
{
    const struct drive *drive = library_unit_drive(context, n);

    snprintf(out_name, RI_NAME_MAX, "%s",
             drive != NULL ? drive->config.name : "");
}

static void
host_drives(void *context, uint32_t count, const char (*serials)[33])
{
    library_order_drives(context, count, serials);
}

/* At the start that is an error; a robot that came later says it, once. */
static void
tell_count(struct library_unit *unit)
{
    struct library *library = __atomic_load_n(&unit->library, __ATOMIC_ACQUIRE);
    struct ri_library_info info;
    char text[RI_TEXT_MAX];

    if (library == NULL || unit->count_told ||
        unit->config.port == RI_PORT_VIRTUAL ||
        library_info(library, &info) != 0 ||
        info.drives >= unit->config.drive_count)
        return;
    unit->count_told = true;
    snprintf(text, sizeof text,
             "library %.64s: its robot has %u drives, and %u are named",
             unit->config.name, (unsigned) info.drives,
             unit->config.drive_count);
    event_send_library(unit->service, unit->config.name, "state", "", text);
}

static void
host_settled(void *context)
{
    struct library_unit *unit = context;
    struct jukebox *jukebox = jukebox_named(unit->service, unit->config.name);

    tell_count(unit);
    if (jukebox != NULL)
        jukebox_look(jukebox);
}

static void
host_event(void *context, const char *action, uint32_t drive, const char *text)
{
    struct library_unit *unit = context;
    struct jukebox *jukebox = jukebox_named(unit->service, unit->config.name);

    if (jukebox != NULL)
        jukebox_event(jukebox, action);
    event_send_library(unit->service, unit->config.name, action,
                       drive < unit->config.drive_count
                           ? library_unit_drive(unit, drive)->config.name
                           : "",
                       text);
}

struct library_host
library_host_of(struct library_unit *unit)
{
    return (struct library_host){
        .context = unit,
        .open = host_open,
        .close = host_close,
        .release = host_release,
        .ready = host_ready,
        .away = host_away,
        .look = host_look,
        .volume = host_volume,
        .cleaned = host_cleaned,
        .cleaning = host_cleaning,
        .sense = host_sense,
        .addresses = host_addresses,
        .drive_name = host_drive_name,
        .drives = host_drives,
        .settled = host_settled,
        .event = host_event,
    };
}
