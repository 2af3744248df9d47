/*
 * tape.c - tape drives among the drives of the service
 *
 * A tape has no volume: nothing is mounted, and nothing polls it.  What is in
 * a drive is known from what a hand or a robot did, and from the answers that
 * whoever has it open gets.  The sessions are src/tape's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/tape_drive.h"

#include <errno.h>
#include <ntddstor.h>
#include <ntddtape.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/io.h"
#include "minitape/table.h"
#include "port/port.h"
#include "prompt/prompt.h"
#include "tapes/tapes.h"

static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

#define ASKS_MAX 4 /* unit attentions, one after the other */

struct vscsi_tape_config
tape_device_config(const struct ri_tape_config *config)
{
    return (struct vscsi_tape_config){
        .personality =
            config->personality[0] != '\0' ? config->personality : NULL,
        .capacity_bytes = config->capacity_bytes,
        .early_warning_bytes = config->early_warning_bytes,
        .no_compression = config->no_compression,
        .clean_after_bytes = config->clean_after_bytes,
        .cleaning_uses = config->cleaning_uses,
        .clean_ms = config->clean_ms,
        .rewind_ms = config->rewind_ms,
        .unload_ms = config->unload_ms,
    };
}

NTSTATUS
tape_driver_for(struct ri_service *service, PDEVICE_OBJECT pdo,
                PDRIVER_OBJECT *out_driver)
{
    const struct fdo_choice *row = minitape_driver_for(pdo);
    static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
    size_t n =
        row != NULL ? (size_t) (row - minitape_drivers) : TAPE_DRIVERS_MAX;
    NTSTATUS status = STATUS_SUCCESS;

    if (n >= TAPE_DRIVERS_MAX)
        return STATUS_NO_SUCH_DEVICE;
    pthread_mutex_lock(&loading);
    if (service->minitape[n] == NULL)
        status = io_load_driver(row->name, row->entry, &service->minitape[n]);
    *out_driver = service->minitape[n];
    pthread_mutex_unlock(&loading);
    return status;
}

/* --- what sessions tell ----------------------------------------------------------- */

static struct drive *
tape_drive(struct ri_service *service, const char *name)
{
    struct drive *drive = drive_find(service, name, NULL);

    return drive != NULL && drive_tape(drive) != NULL ? drive : NULL;
}

static bool
describe(const struct drive *drive, struct library_volume *out)
{
    struct ri_tape_info info;

    memset(out, 0, sizeof *out);
    tape_unit_info(drive->tape, &info);
    if (info.tape[0] == '\0')
        return false;
    snprintf(out->name, sizeof out->name, "%s", info.tape);
    /* Two cartridges may have the same label; no two the same serial.  Blank
     * ones without it are all alike. */
    if (info.serial[0] != '\0' || strcmp(info.format, "blank") != 0)
        snprintf(out->identity, sizeof out->identity, "tape:%.120s",
                 info.serial[0] != '\0' ? info.serial : info.tape);
    snprintf(out->label, sizeof out->label, "%s", info.label);
    snprintf(out->type, sizeof out->type, "%.31s", info.format);
    return true;
}

/* A tape that a session has unloaded is still in the drive, and the drive does
 * not know it any more. */
static void
remember(struct drive *drive)
{
    struct library_volume now;

    if (!describe(drive, &now))
        return;
    pthread_mutex_lock(&seen_lock);
    *drive->seen = now;
    pthread_mutex_unlock(&seen_lock);
}

void
tape_forget(struct drive *drive)
{
    if (drive_tape(drive) == NULL)
        return;
    pthread_mutex_lock(&seen_lock);
    memset(drive->seen, 0, sizeof *drive->seen);
    pthread_mutex_unlock(&seen_lock);
}

static void
told(void *context, const char *drive, const char *tape, const char *action,
     const char *text)
{
    struct ri_service *service = context;
    struct drive *at = tape_drive(service, drive);

    if (at != NULL)
        remember(at);
    tape_robots_told(service, drive, action);
    if (text[0] != '\0')
        event_send(service, "tape", drive, tape, 0, "%s", text);
    libraries_volume_changed(service, at);
}

static void
kept(void *context, const char *drive, const char *tape, const char *file,
     uint64_t bytes, NTSTATUS why)
{
    struct ri_recovery_info info = { .bytes = bytes,
                                     .time_ms = clock_wall_ms() };

    snprintf(info.volume, sizeof info.volume, "%s", tape);
    snprintf(info.drive, sizeof info.drive, "%s", drive);
    snprintf(info.file, sizeof info.file, "%s", file);
    snprintf(info.reason, sizeof info.reason, "%s", status_name(why));
    keeper_add(context, NULL, &info);
    event_send(context, "recovery", drive, tape, 0,
               "what tape %s still lacks (%llu bytes) is kept in %s", tape,
               (unsigned long long) bytes, file);
}

static void
tell_sense(void *context, const char *drive, char *out_text)
{
    struct drive *at = tape_drive(context, drive);

    if (at != NULL)
        drive_sense(at, out_text);
}

/* --- life ----------------------------------------------------------------------------- */

NTSTATUS
tapes_begin(struct ri_service *service, const struct ri_config *config)
{
    struct tapes_host host = {
        .context = service,
        .arrived = prompt_arrived,
        .reason = prompt_reason,
        .event = told,
        .kept = kept,
        .sense = tell_sense,
    };
    NTSTATUS status = tapes_start(&host);

    service->tapes = NT_SUCCESS(status);
    service->tape_unflushed_bytes = config->tape_unflushed_bytes;
    return status;
}

void
tapes_end(struct ri_service *service)
{
    if (service->tapes)
        tapes_stop();
    for (size_t i = 0; i < TAPE_DRIVERS_MAX; i++)
        if (service->minitape[i] != NULL)
            io_unload_driver(service->minitape[i]);
}

int
tape_begin(struct drive *drive, struct ri_error *out_error)
{
    struct ri_service *service = drive->service;
    struct tape_unit_config config = {
        .name = drive->config.name,
        .device = drive->fdo,
        .unflushed_limit = service->tape_unflushed_bytes,
        .recovery_dir = service->recovery_dir,
        .real = drive->device == NULL,
        .here = drive->config.port == RI_PORT_SG,
    };

    struct tape_unit *tape = NULL;

    drive->seen = calloc(1, sizeof *drive->seen);
    if (drive->seen != NULL)
        tape = tape_unit_new(&config);
    /* Others may be looking. */
    __atomic_store_n(&drive->tape, tape, __ATOMIC_RELEASE);
    if (tape == NULL)
        return ri_fail(out_error, -ENOMEM, "drive %s: out of memory",
                       drive->config.name);
    return 0;
}

void
tape_detach(struct drive *drive)
{
    if (drive->tape != NULL)
        tape_unit_free(drive->tape);
    free(drive->seen);
    drive->tape = NULL;
    drive->seen = NULL;
}

/* --- looked at ------------------------------------------------------------------------ */

static bool
is_news(NTSTATUS status)
{
    return status == STATUS_MEDIA_CHANGED || status == STATUS_BUS_RESET ||
           status == STATUS_VERIFY_REQUIRED;
}

NTSTATUS
tape_ask(struct drive *drive)
{
    NTSTATUS status = drive_fdo(drive) != NULL ? STATUS_VERIFY_REQUIRED
                                               : STATUS_DEVICE_NOT_CONNECTED;

    for (int i = 0; i < ASKS_MAX && is_news(status); i++)
        status = io_device_control(drive->fdo, IOCTL_TAPE_GET_STATUS, NULL, 0,
                                   NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
    if (status == STATUS_NO_MEDIA)
        return STATUS_NO_MEDIA_IN_DEVICE;
    return status == STATUS_DEVICE_REQUIRES_CLEANING ? STATUS_SUCCESS : status;
}

void
tape_look(struct drive *drive)
{
    if (drive_tape(drive) != NULL)
        tape_unit_looked(drive->tape);
}

bool
tape_drive_busy(const struct drive *drive)
{
    return drive_tape(drive) != NULL && tape_unit_busy(drive->tape);
}

NTSTATUS
tape_eject(struct drive *drive)
{
    NTSTATUS status = STATUS_VERIFY_REQUIRED;

    if (tape_drive_busy(drive))
        return STATUS_DEVICE_BUSY;
    /* What is told of a change before it is nobody's news. */
    for (int i = 0; i < ASKS_MAX && is_news(status); i++)
        status = io_device_control(drive->fdo, IOCTL_STORAGE_EJECT_MEDIA, NULL,
                                   0, NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
    tape_look(drive);
    return status;
}

BOOLEAN
tape_volume(const struct drive *drive, struct library_volume *out)
{
    memset(out, 0, sizeof *out);
    if (drive_tape(drive) == NULL)
        return FALSE;
    if (describe(drive, out))
        return TRUE;
    pthread_mutex_lock(&seen_lock);
    *out = *drive->seen;
    pthread_mutex_unlock(&seen_lock);
    return TRUE;
}

void
tape_fill_drive(const struct drive *drive, struct ri_drive_info *out)
{
    struct ri_tape_info info;

    if (drive_tape(drive) == NULL)
        return;
    tape_unit_info(drive->tape, &info);
    if (drive->device == NULL) {
        snprintf(out->state, sizeof out->state, "%s", info.state);
        out->write_protected = info.write_protected;
    }
    snprintf(out->tape, sizeof out->tape, "%s", info.tape);
    out->size_bytes = info.capacity_bytes;
}

/* --- reinsert/tape.h --------------------------------------------------------------------- */

int
ri_tapes(struct ri_service *service, struct ri_tape_info **out_list,
         size_t *out_count)
{
    size_t count = drives_known(service), n = 0;
    struct ri_tape_info *list = calloc(count + 1, sizeof *list);

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (drive_tape(&service->drives[i]) != NULL)
            tape_unit_info(service->drives[i].tape, &list[n++]);
    *out_list = list;
    *out_count = n;
    return 0;
}

int
ri_tape_open(struct ri_service *service, const char *name,
             const struct ri_tape_how *how, struct ri_tape **out_tape,
             struct ri_error *out_error)
{
    struct drive *drive = drive_find(service, name, out_error);

    if (drive == NULL)
        return -ENODEV;
    if (drive_fdo(drive) == NULL)
        return ri_fail(out_error, -ENODEV, "drive %s is away", name);
    if (drive_tape(drive) == NULL)
        return ri_fail(out_error, -ENODEV, "drive %s is no tape drive", name);
    if (__atomic_load_n(&service->stopping, __ATOMIC_ACQUIRE))
        return ri_fail(out_error, -ESHUTDOWN, "the service is ending");
    return tape_unit_open(drive->tape, how, out_tape, out_error);
}
