/*
 * library.c - libraries: made, connected with the drives of the service, ended
 *
 * An emulated robot and its drives come into being together; each drive then
 * gets the stack that every drive has, and the robot that of a changer.  A real
 * robot's drives are drives of the service already.  A real robot need not be
 * there at the start, nor need its drives: what waits for it waits, and it gets
 * its stack when it is first opened with success.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "io/io.h"
#include "mcd/table.h"
#include "port/port.h"
#include "stack/config_library.h"
#include "stack/iscsi.h"
#include "stack/library_unit.h"
#include "stack/sg.h"

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
    static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
    const struct fdo_choice *row = mcd_driver_for(pdo);
    size_t n = row != NULL ? (size_t) (row - mcd_drivers) : MCD_DRIVERS_MAX;
    NTSTATUS status = STATUS_SUCCESS;

    if (n >= MCD_DRIVERS_MAX)
        return STATUS_NO_SUCH_DEVICE;
    pthread_mutex_lock(&loading);
    if (libraries->drivers[n] == NULL)
        status = io_load_driver(row->name, row->entry, &libraries->drivers[n]);
    *out_driver = libraries->drivers[n];
    pthread_mutex_unlock(&loading);
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
    if (unit->config.port == RI_PORT_SG)
        status = sg_unit(service,
                         &(struct sg_use){ .config = robot,
                                           .may_be_away = true,
                                           .turned = turned,
                                           .context = unit,
                                           .out_text = out_text,
                                           .text_max = text_max },
                         &unit->sg, &unit->pdo);
    else
        status = iscsi_unit(service, robot, turned, unit, true, &unit->pdo,
                            out_text, text_max);
    return status;
}

static NTSTATUS
start_stack(struct library_unit *unit, const char *parameters, char *out_text,
            size_t text_max)
{
    PDRIVER_OBJECT driver = NULL;
    NTSTATUS status = STATUS_SUCCESS;

    if (port_unit_type(unit->pdo) != MEDIUM_CHANGER) {
        snprintf(out_text, text_max, "is no media changer (device type %02x)",
                 port_unit_type(unit->pdo));
        return STATUS_NO_SUCH_DEVICE;
    }
    status = registry_set_device(unit->pdo, waiting_values);
    if (NT_SUCCESS(status))
        status = registry_set_device(unit->pdo, parameters);
    if (NT_SUCCESS(status))
        status = driver_for(unit->service->libraries, unit->pdo, &driver);
    if (NT_SUCCESS(status))
        status = io_start_device(driver, unit->pdo);
    if (NT_SUCCESS(status))
        unit->fdo = IoGetAttachedDevice(unit->pdo);
    else
        snprintf(out_text, text_max, "%s", status_name(status));
    return status;
}

/* Once for each reason, as of drives; "": it is there. */
static void
tell_late(struct library_unit *unit, const char *why, bool no_way)
{
    char text[RI_TEXT_MAX];
    bool news = !(no_way && unit->late_no_way) &&
                strncmp(unit->late_why, why, sizeof unit->late_why - 1) != 0;

    unit->late_no_way = no_way;
    if (!news)
        return;
    snprintf(unit->late_why, sizeof unit->late_why, "%s", why);
    if (why[0] != '\0')
        snprintf(text, sizeof text, "library %.64s: its robot is away: %.300s",
                 unit->config.name, why);
    else
        snprintf(text, sizeof text, "library %.64s: its robot is there now",
                 unit->config.name);
    event_send_library(unit->service, unit->config.name, "state", "", text);
}

NTSTATUS
library_robot_begin(struct library_unit *unit)
{
    char why[sizeof unit->late_why] = "";
    struct port_unit_info seen;
    bool no_way = false;
    NTSTATUS status;

    if (unit->fdo != NULL)
        return STATUS_SUCCESS;
    port_unit_info(unit->pdo, &seen);
    status = port_unit_identify(unit->pdo);
    if (NT_SUCCESS(status))
        status = start_stack(unit, unit->late_parameters, why, sizeof why);
    else
        port_unit_why(unit->pdo, why, sizeof why);
    no_way = why[0] != '\0' && !port_unit_known(unit->pdo) &&
             unit->config.port == RI_PORT_ISCSI && !seen.refused;
    if (!NT_SUCCESS(status) && why[0] == '\0')
        snprintf(why, sizeof why, "%s", status_name(status));
    tell_late(unit, why, no_way);
    /* Whatever it is: to be waited for. */
    return NT_SUCCESS(status) ? status : STATUS_DEVICE_NOT_CONNECTED;
}

static NTSTATUS
start_robot(struct library_unit *unit, char *out_text, size_t text_max)
{
    NTSTATUS status = make_unit(unit, out_text, text_max);

    if (!NT_SUCCESS(status))
        return status;
    if (port_unit_known(unit->pdo))
        return start_stack(unit, unit->config.parameters, out_text, text_max);
    if (unit->config.parameters != NULL)
        unit->late_parameters = strdup(unit->config.parameters);
    return unit->config.parameters == NULL || unit->late_parameters != NULL
               ? STATUS_SUCCESS
               : STATUS_INSUFFICIENT_RESOURCES;
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
    struct library_host host = library_host_of(unit);
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
    if (rc == 0 && unit->order_fault[0] != '\0')
        rc = ri_fail(out_error, -EINVAL, "library %s: %s", unit->config.name,
                     unit->order_fault);
    unit->config.faults = unit->config.parameters = NULL;
    return rc;
}

/* Its folder comes first, then how its robot is reached, then the rest. */
static unsigned
line_at_fault(const struct library_unit *unit)
{
    if (unit->lock < 0 && unit->config.state_line != 0)
        return unit->config.state_line;
    return unit->pdo == NULL && unit->config.robot.value_line != 0
               ? unit->config.robot.value_line
               : unit->config.line;
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
        rc = config_at(config, line_at_fault(unit), rc, out_error);
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
        sg_unit_free(libraries->units[i].sg);
        free(libraries->units[i].late_parameters);
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

/* --- while they are there ---------------------------- */

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
        if (library_unit_drive(unit, n) == drive)
            library_drive_changed(library, n);
}

void
libraries_drive_comes(const struct drive *drive)
{
    if (drive->library != NULL)
        __atomic_store_n(&drive->library->order_due, true, __ATOMIC_SEQ_CST);
}

void
libraries_drive_turned(struct ri_service *service, const struct drive *drive)
{
    struct library_unit *unit = drive->library;
    struct jukebox *jukebox;

    if (unit == NULL)
        return;
    pthread_mutex_lock(&unit->poke_lock);
    if (unit->library != NULL &&
        __atomic_load_n(&unit->order_due, __ATOMIC_SEQ_CST))
        library_drives_again(unit->library);
    pthread_mutex_unlock(&unit->poke_lock);
    jukebox = jukebox_named(service, unit->config.name);
    if (jukebox != NULL)
        jukebox_look(jukebox);
}

const char *
library_of_drive(const struct drive *drive)
{
    return drive->library != NULL ? drive->library->config.name : NULL;
}
