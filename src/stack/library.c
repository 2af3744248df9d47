/*
 * library.c - libraries: made, and connected with the drives of the service
 *
 * An emulated robot and its drives come into being together; each drive then
 * gets the stack that every drive has, and the robot that of a changer.  A real
 * robot's drives are drives of the service already.  What the jukebox's room
 * needs of the rest is in `host_of`.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <ntddscsi.h>
#include <ntddstor.h>
#include <scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "io/io.h"
#include "jukebox/library.h"
#include "mcd/table.h"
#include "port/port.h"
#include "stack/config_library.h"
#include "stack/iscsi.h"
#include "stack/stack_internal.h"

#define MCD_DRIVERS_MAX 8

struct library_unit {
    struct ri_service *service;
    struct ri_library_config config; /* its texts: not owned */
    struct vscsi_library *device;    /* NULL: a real one */
    PDEVICE_OBJECT pdo, fdo;
    struct drive *drives[RI_LIBRARY_DRIVES_MAX]; /* of the service */
    /* Of each, when it was last asked. */
    uint64_t cleaning_asks[RI_LIBRARY_DRIVES_MAX];
    int lock;
    pthread_mutex_t poke_lock; /* a library that is poked does not go */
    struct library *library;   /* NULL until it is there */
};

struct libraries {
    struct library_unit *units;
    size_t count;
    PDRIVER_OBJECT drivers[MCD_DRIVERS_MAX];
};

/* --- what the jukebox asks of the rest ---------------------------- */

static NTSTATUS
host_open(void *context, PFILE_OBJECT *out_file)
{
    struct library_unit *unit = context;

    return io_open_device(unit->fdo, FILE_READ_DATA | FILE_WRITE_DATA,
                          out_file);
}

static void
host_close(void *context, PFILE_OBJECT file)
{
    (void) context;
    io_close_file(file);
}

/* NULL: the robot has more of them than are named. */
static struct drive *
drive_at(const struct library_unit *unit, unsigned n)
{
    return n < unit->config.drive_count ? unit->drives[n] : NULL;
}

/* What is in it is not verified yet, and is there all the same. */
static NTSTATUS
ask_drive(const struct drive *drive)
{
    NTSTATUS status =
        io_device_control(drive->fdo, IOCTL_STORAGE_CHECK_VERIFY2, NULL, 0,
                          NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);

    return status == STATUS_VERIFY_REQUIRED ? STATUS_SUCCESS : status;
}

static NTSTATUS
host_release(void *context, unsigned n)
{
    struct drive *drive = drive_at(context, n);
    struct vscsi_state state;

    if (drive == NULL)
        return STATUS_NO_SUCH_DEVICE;
    if (drive->device == NULL && ask_drive(drive) == STATUS_NO_MEDIA_IN_DEVICE)
        return STATUS_NO_MEDIA_IN_DEVICE;
    if (drive->device != NULL) {
        vscsi_state(drive->device, &state);
        if (!state.medium || state.tray_open)
            return STATUS_NO_MEDIA_IN_DEVICE;
    }
    return fs_eject(drive->fdo);
}

static NTSTATUS
host_ready(void *context, unsigned n)
{
    struct drive *drive = drive_at(context, n);
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

static void
host_look(void *context, unsigned n)
{
    struct drive *drive = drive_at(context, n);

    if (drive != NULL)
        drive_look(drive);
}

static BOOLEAN
host_volume(void *context, unsigned n, struct library_volume *out)
{
    struct library_unit *unit = context;
    struct drive *drive = drive_at(unit, n);
    struct volume *volume = drive != NULL ? fs_volume_on(drive->fdo) : NULL;
    struct fs_volume_info info;

    memset(out, 0, sizeof *out);
    if (volume == NULL)
        return FALSE;
    fs_volume_info(volume, &info);
    if (info.drive != drive->fdo || info.dismounted ||
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
    struct drive *drive = drive_at(context, n);
    struct port_unit_info before, after;
    NTSTATUS status;

    if (drive == NULL)
        return STATUS_NO_SUCH_DEVICE;
    port_unit_info(drive->pdo, &before);
    status = io_device_control(drive->fdo, IOCTL_STORAGE_CHECK_VERIFY2, NULL, 0,
                               NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
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

    if (drive_at(unit, n) == NULL)
        return FALSE;
    port_unit_info(unit->drives[n]->pdo, &info);
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
    const struct drive *drive = drive_at(context, n);

    snprintf(out_name, RI_NAME_MAX, "%s",
             drive != NULL ? drive->config.name : "");
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
                           ? unit->drives[drive]->config.name
                           : "",
                       text);
}

static struct library_host
host_of(struct library_unit *unit)
{
    return (struct library_host){
        .context = unit,
        .open = host_open,
        .close = host_close,
        .release = host_release,
        .ready = host_ready,
        .look = host_look,
        .volume = host_volume,
        .cleaned = host_cleaned,
        .cleaning = host_cleaning,
        .sense = host_sense,
        .addresses = host_addresses,
        .drive_name = host_drive_name,
        .event = host_event,
    };
}

/* --- made ---------------------------- */

static int
make_drives(struct library_unit *unit, struct ri_error *out_error)
{
    struct ri_service *service = unit->service;

    for (unsigned n = 0; n < unit->config.drive_count; n++) {
        struct drive *drive = &service->drives[service->drive_count];
        int rc;

        unit->drives[n] = drive;
        drive->service = service;
        drive->config = unit->config.drive;
        drive->library = unit;
        library_drive_name(&unit->config, n, drive->config.name);
        service->drive_count++;
        rc = drive_make(drive, out_error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* They are there already. */
static int
take_drives(struct library_unit *unit, struct ri_error *out_error)
{
    for (unsigned n = 0; n < unit->config.drive_count; n++) {
        struct drive *drive =
            drive_find(unit->service, unit->config.drive_names[n], out_error);

        if (drive == NULL)
            return -ENODEV;
        if (drive->library != NULL)
            return ri_fail(
                out_error, -EBUSY, "library %s: drive %s belongs to library %s",
                unit->config.name, drive->config.name, library_of_drive(drive));
        drive->library = unit;
        unit->drives[n] = drive;
    }
    return 0;
}

static int
make_robot(struct library_unit *unit, struct ri_error *out_error)
{
    const struct ri_library_config *config = &unit->config;
    struct vscsi_drive *drives[32];
    char file[RI_PATH_MAX + 16], text[RI_TEXT_MAX - 100] = "", rule[256];
    struct vscsi_library_config device = {
        .name = config->name,
        .personality =
            config->personality[0] != '\0' ? config->personality : NULL,
        .slots = config->slots,
        .mail_slots = config->mail_slots,
        .transports = config->transports,
        .drives = drives,
        .drive_count = config->drive_count,
        .media_dir = config->media,
        .state_file = file,
        .times = { .move = config->move_ms,
                   .travel = config->travel_ms,
                   .load = config->load_ms,
                   .unload = config->unload_ms,
                   .scan = config->scan_ms,
                   .door = config->door_ms,
                   .clean = config->clean_ms },
        .no_reader = config->no_bar_codes,
        .cleaning_uses = config->cleaning_uses,
    };
    const char *line = config->faults, *end;
    int rc = 0;

    snprintf(file, sizeof file, "%s/library.state", config->state);
    for (unsigned n = 0; n < config->drive_count; n++)
        drives[n] = unit->drives[n]->device;
    unit->device = vscsi_library_new(&device, text, sizeof text);
    if (unit->device == NULL)
        return ri_fail(out_error, -EINVAL, "library %s: %s", config->name,
                       text);
    for (; rc == 0 && line != NULL && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        snprintf(rule, sizeof rule, "%.*s", (int) (end - line), line);
        rc = vscsi_fault_add(vscsi_library_robot(unit->device), rule, text,
                             sizeof text);
    }
    return rc == 0
               ? 0
               : ri_fail(out_error, rc, "library %s: %s", config->name, text);
}

/* A sentence a line, each an event. */
static void
tell_report(struct library_unit *unit)
{
    const char *at = vscsi_library_report(unit->device);
    char line[RI_TEXT_MAX];

    while (*at != '\0') {
        size_t len = strcspn(at, "\n");

        snprintf(line, sizeof line, "library %.64s: %.*s", unit->config.name,
                 (int) len, at);
        event_send_library(unit->service, unit->config.name, "state", "", line);
        at += len + (at[len] == '\n');
    }
}

/* Which driver a changer gets, loaded when first needed. */
static NTSTATUS
driver_for(struct libraries *libraries, PDEVICE_OBJECT pdo,
           PDRIVER_OBJECT *out_driver)
{
    const struct mcd_driver *row = mcd_driver_for(pdo);
    size_t n = row != NULL ? (size_t) (row - mcd_drivers) : MCD_DRIVERS_MAX;
    NTSTATUS status = STATUS_SUCCESS;

    if (n >= MCD_DRIVERS_MAX)
        return STATUS_NO_SUCH_DEVICE;
    if (libraries->drivers[n] == NULL)
        status = io_load_driver(row->name, row->entry, &libraries->drivers[n]);
    *out_driver = libraries->drivers[n];
    return status;
}

/* Waiting is the jukebox's business: it says that it does, and for what. */
static const char waiting_values[] = "ChangerStartSeconds=0\n"
                                     "ChangerReadySeconds=0\n";

/* Its session ended, or began again: what a motion did then is to be read. */
static void
turned(void *context)
{
    struct library_unit *unit = context;

    pthread_mutex_lock(&unit->poke_lock);
    if (unit->library != NULL)
        library_poke(unit->library);
    pthread_mutex_unlock(&unit->poke_lock);
}

static NTSTATUS
make_unit(struct library_unit *unit, char *out_text, size_t text_max)
{
    struct ri_service *service = unit->service;
    struct ri_drive_config *robot = &unit->config.robot;
    NTSTATUS status;

    if (unit->config.port == RI_PORT_VIRTUAL)
        return port_add_virtual(service->port,
                                vscsi_library_robot(unit->device),
                                unit->config.name, &unit->pdo);
    snprintf(robot->name, sizeof robot->name, "%s", unit->config.name);
    status = iscsi_unit(service, robot, turned, unit, &unit->pdo, out_text,
                        text_max);
    if (NT_SUCCESS(status) && port_unit_type(unit->pdo) != MEDIUM_CHANGER) {
        snprintf(out_text, text_max, "is no media changer (device type %02x)",
                 port_unit_type(unit->pdo));
        status = STATUS_NO_SUCH_DEVICE;
    }
    return status;
}

static NTSTATUS
start_robot(struct library_unit *unit, char *out_text, size_t text_max)
{
    struct ri_service *service = unit->service;
    PDRIVER_OBJECT driver = NULL;
    NTSTATUS status = make_unit(unit, out_text, text_max);

    if (NT_SUCCESS(status))
        status = registry_set_device(unit->pdo, waiting_values);
    if (NT_SUCCESS(status))
        status = registry_set_device(unit->pdo, unit->config.parameters);
    if (NT_SUCCESS(status))
        status = driver_for(service->libraries, unit->pdo, &driver);
    if (NT_SUCCESS(status))
        status = io_start_device(driver, unit->pdo);
    if (NT_SUCCESS(status))
        unit->fdo = IoGetAttachedDevice(unit->pdo);
    return status;
}

static int
begin_emulated(struct library_unit *unit, struct ri_error *out_error)
{
    int rc = make_drives(unit, out_error);

    if (rc == 0)
        rc = make_robot(unit, out_error);
    for (unsigned n = 0; rc == 0 && n < unit->config.drive_count; n++)
        rc = drive_begin(unit->drives[n], out_error);
    if (rc == 0)
        tell_report(unit);
    return rc;
}

static void
set_library(struct library_unit *unit, struct library *library)
{
    pthread_mutex_lock(&unit->poke_lock);
    __atomic_store_n(&unit->library, library, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&unit->poke_lock);
}

/* Those that nobody named are not ours; more than there are cannot be.  One
 * that is not ready has not said it yet. */
static int
check_count(struct library_unit *unit, struct ri_error *out_error)
{
    struct ri_library_info info;

    if (library_info(unit->library, &info) != 0 || info.drives == 0 ||
        info.drives >= unit->config.drive_count)
        return 0;
    return ri_fail(out_error, -EINVAL,
                   "library %s: its robot has %u drives, and %u are named",
                   unit->config.name, (unsigned) info.drives,
                   unit->config.drive_count);
}

static int
start_unit(struct library_unit *unit, struct ri_error *out_error)
{
    struct library_host host = host_of(unit);
    char text[RI_TEXT_MAX - 160] = "";
    struct library *library;
    NTSTATUS status;
    int rc = library_lock(unit->config.state, &unit->lock, out_error);

    if (rc == 0)
        rc = unit->config.port == RI_PORT_VIRTUAL
                 ? begin_emulated(unit, out_error)
                 : take_drives(unit, out_error);
    if (rc != 0)
        return rc;
    status = start_robot(unit, text, sizeof text);
    if (!NT_SUCCESS(status))
        return ri_fail(out_error, -EIO, "library %s: cannot be started: %s",
                       unit->config.name,
                       text[0] != '\0' ? text : status_name(status));
    rc = library_open(&unit->config, &host, &library, out_error);
    if (rc == 0)
        set_library(unit, library);
    if (rc == 0 && unit->config.port != RI_PORT_VIRTUAL)
        rc = check_count(unit, out_error);
    unit->config.faults = unit->config.parameters = NULL;
    return rc;
}

int
libraries_start(struct ri_service *service, const struct ri_config *config,
                struct ri_error *out_error)
{
    struct libraries *libraries = calloc(1, sizeof *libraries);
    int rc = 0;

    if (libraries != NULL)
        libraries->units =
            calloc(config->library_count + 1, sizeof *libraries->units);
    if (libraries == NULL || libraries->units == NULL) {
        free(libraries);
        return ri_fail(out_error, -ENOMEM, "out of memory");
    }
    service->libraries = libraries;
    for (size_t i = 0; rc == 0 && i < config->library_count; i++) {
        struct library_unit *unit = &libraries->units[i];

        unit->service = service;
        unit->config = config->libraries[i];
        unit->lock = -1;
        pthread_mutex_init(&unit->poke_lock, NULL);
        libraries->count = i + 1;
        rc = start_unit(unit, out_error);
    }
    return rc;
}

/* --- ended ---------------------------- */

void
libraries_stop(struct ri_service *service)
{
    struct libraries *libraries = service->libraries;

    for (size_t i = 0; libraries != NULL && i < libraries->count; i++)
        if (libraries->units[i].library != NULL)
            library_stop(libraries->units[i].library);
}

#define END_MS      300 /* for a motion that is about to end */
#define GIVE_UP_MS  10  /* for what follows one that was given up */
#define GIVE_UP_MAX 30

/* A motion may take minutes; nobody waits for it at the end.  The robot goes
 * on, and the journal says at the next start what is to be found out. */
void
libraries_let_go(struct ri_service *service)
{
    struct libraries *libraries = service->libraries;
    unsigned ms = END_MS;

    for (size_t i = 0; libraries != NULL && i < libraries->count; i++) {
        const struct library_unit *unit = &libraries->units[i];
        bool idle =
            unit->library == NULL || library_wait_idle(unit->library, ms);

        for (int n = 0; !idle && n < GIVE_UP_MAX; n++) {
            port_give_up(unit->pdo);
            idle = library_wait_idle(unit->library, GIVE_UP_MS);
            ms = 0; /* the others had that time, too */
        }
    }
}

void
libraries_close(struct ri_service *service)
{
    struct libraries *libraries = service->libraries;

    for (size_t i = 0; libraries != NULL && i < libraries->count; i++) {
        struct library *library = libraries->units[i].library;

        set_library(&libraries->units[i], NULL);
        library_close(library);
    }
}

void
libraries_detach(struct ri_service *service)
{
    struct libraries *libraries = service->libraries;

    for (size_t i = 0; libraries != NULL && i < libraries->count; i++) {
        struct library_unit *unit = &libraries->units[i];

        if (unit->pdo == NULL)
            continue;
        if (unit->fdo != NULL && unit->fdo != unit->pdo)
            io_surprise_remove_device(unit->pdo);
        port_remove_unit(unit->pdo);
        unit->pdo = unit->fdo = NULL;
    }
}

void
libraries_free(struct ri_service *service)
{
    struct libraries *libraries = service->libraries;

    if (libraries == NULL)
        return;
    for (size_t i = 0; i < libraries->count; i++) {
        if (libraries->units[i].device != NULL)
            vscsi_library_free(libraries->units[i].device);
        library_unlock(libraries->units[i].lock);
        pthread_mutex_destroy(&libraries->units[i].poke_lock);
    }
    free(libraries->units);
    for (size_t i = 0; i < MCD_DRIVERS_MAX; i++)
        if (libraries->drivers[i] != NULL)
            io_unload_driver(libraries->drivers[i]);
    free(libraries);
    service->libraries = NULL;
}

/* --- asked ---------------------------- */

void
libraries_volume_changed(struct ri_service *service, const struct drive *drive)
{
    struct library_unit *unit = drive != NULL ? drive->library : NULL;
    struct library *library;

    (void) service;
    if (unit == NULL)
        return;
    library = __atomic_load_n(&unit->library, __ATOMIC_ACQUIRE);
    for (unsigned n = 0; library != NULL && n < unit->config.drive_count; n++)
        if (unit->drives[n] == drive)
            library_drive_changed(library, n);
}

const char *
library_of_drive(const struct drive *drive)
{
    return drive->library != NULL ? drive->library->config.name : NULL;
}

static struct library_unit *
find_unit(struct ri_service *service, const char *name,
          struct ri_error *out_error)
{
    struct libraries *libraries = service->libraries;

    for (size_t i = 0; libraries != NULL && i < libraries->count; i++)
        if (strcmp(libraries->units[i].config.name, name) == 0 &&
            libraries->units[i].library != NULL)
            return &libraries->units[i];
    ri_fail(out_error, -ENODEV, "no library is called %.200s", name);
    return NULL;
}

struct vscsi_library *
library_device(struct ri_service *service, const char *name)
{
    struct library_unit *unit = find_unit(service, name, NULL);

    return unit != NULL ? unit->device : NULL;
}

struct library *
library_named(struct ri_service *service, const char *name)
{
    struct library_unit *unit = find_unit(service, name, NULL);

    return unit != NULL ? unit->library : NULL;
}

int
ri_libraries(struct ri_service *service, struct ri_library_info **out_list,
             size_t *out_count)
{
    struct libraries *libraries = service->libraries;
    size_t count = libraries != NULL ? libraries->count : 0, n = 0;
    struct ri_library_info *list = calloc(count + 1, sizeof *list);
    struct ri_sense_info sense;

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct ri_library_info *at = &list[n];

        if (libraries->units[i].library == NULL)
            continue;
        library_info(libraries->units[i].library, at);
        if (at->sense_len > 0 &&
            ri_sense_decode(at->sense_bytes, at->sense_len, &sense, NULL) == 0)
            snprintf(at->sense, sizeof at->sense, "%X/%02X/%02X %.400s",
                     sense.key, sense.asc, sense.ascq, sense.text);
        n++;
    }
    *out_list = list;
    *out_count = n;
    return 0;
}

int
ri_library_elements(struct ri_service *service, const char *library,
                    struct ri_element_info **out_list, size_t *out_count,
                    struct ri_error *out_error)
{
    struct library_unit *unit = find_unit(service, library, out_error);

    if (unit == NULL)
        return -ENODEV;
    return library_elements(unit->library, out_list, out_count);
}

int
ri_library_command(struct ri_service *service, const char *library,
                   const struct ri_library_command *command,
                   struct ri_library_result *out_result,
                   struct ri_error *out_error)
{
    struct ri_error error = { "" };
    struct library_unit *unit = find_unit(service, library, &error);

    if (unit != NULL)
        return jukebox_command(jukebox_named(service, library), unit->library,
                               command, out_result, out_error);
    memset(out_result, 0, sizeof *out_result);
    out_result->drive = RI_NO_DRIVE;
    out_result->error = -ENODEV;
    out_result->status = (uint32_t) STATUS_NO_SUCH_DEVICE;
    snprintf(out_result->status_name, sizeof out_result->status_name,
             "STATUS_NO_SUCH_DEVICE");
    snprintf(out_result->text, sizeof out_result->text, "%s", error.text);
    return ri_fail(out_error, -ENODEV, "%s", error.text);
}

/* --- hands ---------------------------- */

static enum vscsi_element_kind
kind_of(const struct library_unit *unit, uint32_t number, unsigned *out_index)
{
    bool mail = number > unit->config.slots;

    *out_index = number - 1 - (mail ? unit->config.slots : 0);
    return mail ? VSCSI_ELEMENT_MAIL : VSCSI_ELEMENT_SLOT;
}

static int
move_by_hand(struct library_unit *unit, const char *what, uint32_t number,
             const char *image, char *text, size_t max)
{
    struct vscsi_library *device = unit->device;
    unsigned index;
    enum vscsi_element_kind kind = kind_of(unit, number, &index);

    if (strcmp(what, "open-door") == 0 || strcmp(what, "close-door") == 0)
        return vscsi_library_door(device, what[0] == 'o', text, max);
    if (strcmp(what, "open-mail") == 0 || strcmp(what, "close-mail") == 0)
        return vscsi_library_mail(device, what[0] == 'o', text, max);
    if (strcmp(what, "insert") == 0)
        return vscsi_library_put(device, kind, index, image, text, max);
    if (strcmp(what, "remove") == 0)
        return vscsi_library_take(device, kind, index, NULL, text, max);
    snprintf(text, max,
             "a hand does open-door, close-door, open-mail, "
             "close-mail, insert and remove");
    return -EINVAL;
}

int
ri_library_hand(struct ri_service *service, const char *library,
                const char *what, uint32_t number, const char *image,
                struct ri_error *out_error)
{
    struct library_unit *unit = find_unit(service, library, out_error);
    char text[RI_TEXT_MAX] = "", line[RI_TEXT_MAX + 160];
    bool needs = strcmp(what, "insert") == 0 || strcmp(what, "remove") == 0;
    int rc;

    if (unit == NULL)
        return -ENODEV;
    if (unit->device == NULL)
        return ri_fail(out_error, -ENOTSUP,
                       "library %s is a real one: hands are yours", library);
    if (needs && number == 0)
        return ri_fail(out_error, -EINVAL, "no slot is given");
    if (strcmp(what, "insert") == 0 && (image == NULL || image[0] == '\0'))
        return ri_fail(out_error, -EINVAL, "no image is given");
    rc = move_by_hand(unit, what, number, image, text, sizeof text);
    if (rc != 0)
        return ri_fail(out_error, rc, "library %s: %.400s", library,
                       text[0] != '\0' ? text : strerror(-rc));
    snprintf(line, sizeof line, "library %s: somebody did: %s%s%.200s", library,
             what, image != NULL && image[0] != '\0' ? " " : "",
             image != NULL ? image : "");
    event_send_library(service, unit->config.name, "hand", "", line);
    library_poke(unit->library);
    return 0;
}
