/*
 * drives_begin.c - a drive's stack: made at the start, or when it first comes
 *
 * A real drive need not be there when the service starts, nor be one's to have:
 * it is away then, with the reason, and begins when its port says that something
 * has turned.  One that is there and does not say who it is yet is asked again,
 * later and later.
 *
 * Lock: late_lock, a leaf: the reason why a drive is away.
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
#include "port/port.h"
#include "stack/iscsi.h"
#include "stack/sg.h"
#include "stack/stack_internal.h"
#include "stack/tape_drive.h"
#include "stack/targets.h"

static pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- made --------------------------------------------------------------------- */

/* Real drives say what they are. */
static int
take_type(struct drive *drive, struct ri_error *out_error)
{
    enum ri_drive_type type;

    switch (port_unit_type(drive->pdo)) {
    case DIRECT_ACCESS_DEVICE:
    case OPTICAL_DEVICE:
        type = RI_DISK;
        break;
    case READ_ONLY_DIRECT_ACCESS_DEVICE:
        type = RI_CDROM;
        break;
    case SEQUENTIAL_ACCESS_DEVICE:
        type = RI_TAPE;
        break;
    default:
        return ri_fail(out_error, -ENOTSUP,
                       "drive %s: is no disk, CD or tape drive (device "
                       "type %02x)",
                       drive->config.name, port_unit_type(drive->pdo));
    }
    __atomic_store_n(&drive->config.type, type, __ATOMIC_RELEASE);
    return 0;
}

/* It is away, or what it has may be another medium now. */
static void
turned(void *context)
{
    struct drive *drive = context;

    drive_look_soon(drive);
    if (drive->target != NULL)
        target_turned(drive->target);
}

static int
make_unit(struct ri_service *service, struct drive *drive,
          struct ri_error *out_error)
{
    char text[RI_TEXT_MAX - 80] = "";
    NTSTATUS status;

    if (drive->config.port == RI_PORT_ISCSI)
        status = iscsi_unit(service, &drive->config, turned, drive, true,
                            &drive->pdo, text, sizeof text);
    else if (drive->config.port == RI_PORT_SG)
        status = sg_unit(service,
                         &(struct sg_use){ .config = &drive->config,
                                           .may_be_away = true,
                                           .turned = turned,
                                           .context = drive,
                                           .out_text = text,
                                           .text_max = sizeof text },
                         &drive->sg, &drive->pdo);
    else
        status = port_add_virtual(service->port, drive->device,
                                  drive->config.name, &drive->pdo);
    if (!NT_SUCCESS(status))
        return ri_fail(out_error, -EIO, "drive %s: %s", drive->config.name,
                       text[0] != '\0' ? text : status_name(status));
    return drive->config.port == RI_PORT_VIRTUAL ? 0
           : port_unit_known(drive->pdo)         ? take_type(drive, out_error)
                                                 : 0;
}

/* Its stack, over the unit. */
static int
start_stack(struct drive *drive, const char *parameters,
            struct ri_error *out_error)
{
    struct ri_service *service = drive->service;
    PDRIVER_OBJECT driver =
        drive->config.type == RI_CDROM ? service->cdrom : service->disk;
    NTSTATUS status = registry_set_device(drive->pdo, parameters);
    PDEVICE_OBJECT fdo = NULL;

    if (NT_SUCCESS(status) && is_tape(drive))
        status = tape_driver_for(service, drive->pdo, &driver);
    if (NT_SUCCESS(status)) {
        status = io_start_device(driver, drive->pdo);
        fdo = IoGetAttachedDevice(drive->pdo);
        if (fdo == drive->pdo)
            fdo = NULL; /* nothing is on top of it */
    }
    /* Who has a tape drive open has it alone. */
    if (NT_SUCCESS(status) && !is_tape(drive))
        status = io_open_device(fdo, FILE_READ_ATTRIBUTES, &drive->file);
    __atomic_store_n(&drive->fdo, fdo, __ATOMIC_RELEASE);
    if (NT_SUCCESS(status) && is_tape(drive))
        return tape_begin(drive, out_error);
    if (NT_SUCCESS(status))
        status = IoRegisterPlugPlayNotification(
            EventCategoryTargetDeviceChange, 0, drive->file, service->fs,
            drive_media_changed, drive, &drive->notification);
    if (!NT_SUCCESS(status))
        return ri_fail(out_error, -EIO, "drive %s: cannot be started: %s",
                       drive->config.name, status_name(status));
    return 0;
}

/* --- why it is away --------------------------------------------------------------- */

void
drive_why_away(struct drive *drive, char *out_text, size_t text_max)
{
    pthread_mutex_lock(&late_lock);
    snprintf(out_text, text_max, "%s", drive->late_why);
    pthread_mutex_unlock(&late_lock);
}

/* Once for each reason; a network may have another one each time, for the same. */
static void
tell_away(struct drive *drive, const char *why, bool no_way)
{
    bool news;

    pthread_mutex_lock(&late_lock);
    news = !(no_way && drive->late_no_way) &&
           strncmp(drive->late_why, why, sizeof drive->late_why - 1) != 0;
    drive->late_no_way = no_way;
    snprintf(drive->late_why, sizeof drive->late_why, "%.*s",
             (int) sizeof drive->late_why - 1, why);
    pthread_mutex_unlock(&late_lock);
    if (news)
        event_send(drive->service, "drive", drive->config.name, "", 0,
                   "drive %s is away: %.300s", drive->config.name, why);
}

/* What its port says of it. */
static void
tell_not_there(struct drive *drive, bool refused)
{
    char why[sizeof drive->late_why];

    port_unit_why(drive->pdo, why, sizeof why);
    tell_away(drive, why[0] != '\0' ? why : "it is not there",
              drive->config.port == RI_PORT_ISCSI && !refused);
}

static void
forget_why(struct drive *drive)
{
    pthread_mutex_lock(&late_lock);
    drive->late_why[0] = '\0';
    drive->late_no_way = false;
    pthread_mutex_unlock(&late_lock);
}

void
drive_tell_refused(struct drive *drive)
{
    struct port_unit_info unit;

    port_unit_info(drive->pdo, &unit);
    if (unit.refused || unit.gone)
        tell_not_there(drive, true);
    else if (!unit.away)
        forget_why(drive);
}

static const char *
unknown_words(NTSTATUS status)
{
    return status == STATUS_NO_SUCH_DEVICE
               ? "its target says that there is no such unit"
               : status_name(status);
}

bool
drive_can_be_used(struct drive *drive)
{
    struct port_unit_info unit;

    if (drive_fdo(drive) == NULL)
        return false;
    port_unit_info(drive->pdo, &unit);
    return !unit.away;
}

/* --- begun ------------------------------------------------------------------------- */

static void
init_look(struct drive *drive)
{
    KeInitializeTimer(&drive->look_timer);
    KeInitializeDpc(&drive->look_dpc, drive_look_dpc, drive);
    drive->look_delay_s = DRIVE_LOOK_FIRST_S;
}

static int
keep_parameters(struct drive *drive, struct ri_error *out_error)
{
    drive->found = STATUS_DEVICE_NOT_CONNECTED;
    if (drive->config.parameters == NULL)
        return 0;
    drive->late_parameters = strdup(drive->config.parameters);
    return drive->late_parameters != NULL
               ? 0
               : ri_fail(out_error, -ENOMEM, "drive %s: out of memory",
                         drive->config.name);
}

/* The names of the start are the configuration's business. */
int
drive_begin(struct drive *drive, struct ri_error *out_error)
{
    int rc;

    init_look(drive);
    rc = make_unit(drive->service, drive, out_error);
    if (rc != 0)
        return rc;
    if (drive->config.port == RI_PORT_VIRTUAL || port_unit_known(drive->pdo))
        return start_stack(drive, drive->config.parameters, out_error);
    return keep_parameters(drive, out_error);
}

int
drive_begin_later(struct drive *drive, struct ri_error *out_error)
{
    int rc;

    init_look(drive);
    /* Its port may tell of it before the unit is ours. */
    InterlockedExchange(&drive->beginning, 1);
    rc = keep_parameters(drive, out_error);
    if (rc == 0)
        rc = make_unit(drive->service, drive, out_error);
    InterlockedExchange(&drive->beginning, 0);
    if (drive->pdo != NULL)
        return 0; /* what else is wrong with it is told when it is looked at */
    free(drive->late_parameters);
    drive->late_parameters = NULL;
    return rc;
}

/* Nobody mounts before they were read; nor if they could not be. */
static int
read_logs(struct drive *drive, struct ri_error *out_error)
{
    static pthread_mutex_t logs_lock = PTHREAD_MUTEX_INITIALIZER;
    struct ri_service *service = drive->service;
    int rc = 0;

    pthread_mutex_lock(&logs_lock);
    if (service->logs_wait == LOGS_FAILED) {
        rc = ri_fail(out_error, -EIO,
                     "drive %s: the logs on disk could not be read",
                     drive->config.name);
    } else if (service->logs_wait == LOGS_WAIT) {
        rc = disklog_find(service, out_error);
        service->logs_wait = rc == 0 ? LOGS_READ : LOGS_FAILED;
    }
    pthread_mutex_unlock(&logs_lock);
    return rc;
}

static int
begin_late(struct drive *drive, struct ri_error *out_error)
{
    enum ri_drive_type configured = drive->config.type;
    NTSTATUS status = port_unit_identify(drive->pdo);
    int rc;

    if (!NT_SUCCESS(status))
        return ri_fail(out_error, -EIO, "%s", unknown_words(status));
    rc = take_type(drive, out_error);
    libraries_drive_comes(drive);
    if (rc == 0)
        rc = start_stack(drive, drive->late_parameters, out_error);
    libraries_drive_turned(drive->service, drive);
    if (rc != 0 && drive_fdo(drive) == NULL)
        __atomic_store_n(&drive->config.type, configured, __ATOMIC_RELEASE);
    /* What they tell of is on disks and discs. */
    return rc != 0 || is_tape(drive) ? rc : read_logs(drive, out_error);
}

static void
arrived(struct drive *drive)
{
    forget_why(drive);
    __atomic_store_n(&drive->look_delay_s, DRIVE_LOOK_FIRST_S,
                     __ATOMIC_RELAXED);
    event_send(drive->service, "drive", drive->config.name, "", 0,
               "drive %s is there now", drive->config.name);
}

bool
drive_is_there(struct drive *drive)
{
    struct port_unit_info unit;
    struct ri_error error = { 0 };
    int rc;

    if (drive_fdo(drive) != NULL &&
        __atomic_load_n(&drive->beginning, __ATOMIC_ACQUIRE) == 0)
        return true;
    if (InterlockedExchange(&drive->beginning, 1) != 0)
        return false;
    if (drive_fdo(drive) != NULL) {
        InterlockedExchange(&drive->beginning, 0);
        return true; /* somebody else has just made it */
    }
    port_unit_info(drive->pdo, &unit);
    if (unit.away) {
        tell_not_there(drive, unit.refused);
        InterlockedExchange(&drive->beginning, 0);
        return false; /* its port says when it comes */
    }
    rc = begin_late(drive, &error);
    if (rc == 0)
        arrived(drive);
    else
        tell_away(drive, error.text, false);
    if (rc == -ENOTSUP || (rc != 0 && drive_fdo(drive) != NULL))
        return false; /* for good: `beginning` stays */
    InterlockedExchange(&drive->beginning, 0);
    if (rc != 0)
        drive_look_later(drive);
    return rc == 0;
}
