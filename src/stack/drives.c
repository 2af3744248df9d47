/*
 * drives.c - drives: made, watched, and what a hand does to them
 *
 * The mount manager of this system: when a drive reports that something came
 * in or went, it is looked at (drive_look), which lets the I/O manager verify
 * or mount.  Looking twice, or at once from two threads, does no harm: the
 * drive's DeviceLock puts them in order.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <ioevent.h>
#include <ntddstor.h>
#include <scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wdmguid.h>

#include "base/status.h"
#include "class/evidence.h"
#include "io/io.h"
#include "port/port.h"
#include "prompt/prompt.h"
#include "stack/iscsi.h"
#include "stack/sg.h"
#include "stack/stack_internal.h"
#include "stack/tape_drive.h"
#include "stack/targets.h"

struct drive *
drive_find(struct ri_service *service, const char *name,
           struct ri_error *out_error)
{
    for (size_t i = 0; i < drives_known(service); i++)
        if (strcmp(service->drives[i].config.name, name) == 0)
            return &service->drives[i];
    if (target_named(service, name) != NULL)
        ri_fail(out_error, -ENODEV,
                "%.100s means all units of its target: each is a drive of its "
                "own, %.100s-1 and so on",
                name, name);
    else
        ri_fail(out_error, -ENODEV, "no drive is called %.200s", name);
    return NULL;
}

struct drive *
drive_of(struct ri_service *service, PDEVICE_OBJECT fdo)
{
    for (size_t i = 0; fdo != NULL && i < drives_known(service); i++)
        if (drive_fdo(&service->drives[i]) == fdo)
            return &service->drives[i];
    return NULL;
}

#define LOOK_MAX_S 64

/* --- looking -------------------------------------------------------------------- */

/* One at a time, however long it takes: workers are for others, too. */
static VOID NTAPI
look_work(PVOID parameter)
{
    struct drive *drive = parameter;

    do {
        InterlockedExchange(&drive->look_queued, 1);
        if (!__atomic_load_n(&drive->service->stopping, __ATOMIC_ACQUIRE))
            drive_look(drive);
    } while (InterlockedCompareExchange(&drive->look_queued, 0, 1) != 1);
}

VOID NTAPI
drive_look_dpc(struct _KDPC *dpc, PVOID context, PVOID argument1,
               PVOID argument2)
{
    struct drive *drive = context;

    (void) dpc;
    (void) argument1;
    (void) argument2;
    if (InterlockedExchange(&drive->look_queued, 2) != 0)
        return;
    ExInitializeWorkItem(&drive->look_work, look_work, drive);
    ExQueueWorkItem(&drive->look_work, DelayedWorkQueue);
}

static bool
must_verify(PDEVICE_OBJECT device)
{
    return (__atomic_load_n(&device->Flags, __ATOMIC_ACQUIRE) &
            DO_VERIFY_VOLUME) != 0;
}

void
drive_look_later(struct drive *drive)
{
    ULONG delay = __atomic_load_n(&drive->look_delay_s, __ATOMIC_RELAXED);
    LARGE_INTEGER due = { .QuadPart = -(LONGLONG) delay * 10000000 };

    if (__atomic_load_n(&drive->service->stopping, __ATOMIC_ACQUIRE))
        return;
    __atomic_store_n(&drive->look_delay_s,
                     delay < LOOK_MAX_S ? 2 * delay : delay, __ATOMIC_RELAXED);
    KeSetTimer(&drive->look_timer, due, &drive->look_dpc);
}

void
drive_look_soon(struct drive *drive)
{
    LARGE_INTEGER now = { .QuadPart = -1 };

    __atomic_store_n(&drive->look_delay_s, DRIVE_LOOK_FIRST_S,
                     __ATOMIC_RELAXED);
    if (__atomic_load_n(&drive->service->looking, __ATOMIC_ACQUIRE) &&
        !__atomic_load_n(&drive->service->stopping, __ATOMIC_ACQUIRE))
        KeSetTimer(&drive->look_timer, now, &drive->look_dpc);
}

BOOLEAN
drive_announces(void *context, PDEVICE_OBJECT fdo)
{
    struct drive *drive = drive_of(context, fdo);
    struct class_evidence seen;
    struct port_unit_info unit;

    if (drive == NULL || drive->device != NULL)
        return TRUE;
    class_evidence(fdo, &seen);
    port_unit_info(drive->pdo, &unit);
    return seen.belief == CLASS_ANNOUNCES && !unit.shared;
}

/*
 * Somebody waits for a medium, and a drive that announces nothing may have it
 * by now: only what is on it can tell.
 */
static bool
may_have_it(struct drive *drive)
{
    struct ri_prompt_info *list = NULL;
    struct class_evidence seen;
    struct port_unit_info unit;
    size_t count = 0;

    if (drive->device != NULL || drive->fdo == NULL)
        return false;
    class_evidence(drive->fdo, &seen);
    port_unit_info(drive->pdo, &unit);
    if ((seen.belief == CLASS_ANNOUNCES && !unit.shared) || !seen.asked ||
        (unit.locked && drive->config.port != RI_PORT_SG))
        return false;
    prompt_list(&list, &count);
    free(list);
    return count > 0;
}

void
drives_look_for(struct ri_service *service)
{
    for (size_t i = 0; i < drives_known(service); i++)
        if (may_have_it(&service->drives[i]))
            drive_look_later(&service->drives[i]);
}

void
drive_look(struct drive *drive)
{
    ULONG count = 0;
    struct fs_volume_info info;
    struct volume *volume;
    NTSTATUS status;

    if (!drive_is_there(drive))
        return;
    if (is_tape(drive)) {
        tape_look(drive);
        return;
    }
    status = io_device_control(drive->fdo, IOCTL_STORAGE_CHECK_VERIFY2, NULL, 0,
                               &count, sizeof count, SL_OVERRIDE_VERIFY_VOLUME,
                               NULL);
    __atomic_store_n(&drive->found, status, __ATOMIC_RELEASE);
    drive_tell_refused(drive);
    if (!__atomic_load_n(&drive->service->looking, __ATOMIC_ACQUIRE))
        return; /* at the start, all are */
    if (status == STATUS_NO_MEDIA_IN_DEVICE ||
        status == STATUS_DEVICE_NOT_CONNECTED) {
        if (!fs_media_gone(drive->fdo))
            drive_look_later(drive);
        return;
    }
    if (!NT_SUCCESS(status)) {
        drive_look_later(drive);
        return;
    }
    __atomic_store_n(&drive->count, count, __ATOMIC_RELAXED);
    if (may_have_it(drive)) {
        volume = fs_volume_on(drive->fdo);
        if (volume != NULL && !fs_volume_in_sight(volume))
            InterlockedOr((LONG volatile *) &drive->fdo->Flags,
                          DO_VERIFY_VOLUME);
        __atomic_store_n(&drive->look_delay_s, DRIVE_LOOK_FIRST_S,
                         __ATOMIC_RELAXED);
        drive_look_later(drive);
    }
    /* Twice: the first may find that what was mounted is gone, and that
     * nothing could be mounted in its place. */
    for (int i = 0; i < 2; i++) {
        volume = fs_volume_on(drive->fdo);
        if (volume != NULL && !must_verify(drive->fdo)) {
            fs_volume_info(volume, &info);
            /* A later count: it was verified since the drive was asked. */
            if (!fs_state_away(info.state) &&
                ((LONG) (info.media_count - count) >= 0 ||
                 info.drive != drive->fdo)) {
                __atomic_store_n(&drive->look_delay_s, DRIVE_LOOK_FIRST_S,
                                 __ATOMIC_RELAXED);
                return;
            }
            /* Changed while it was being mounted: no flag was set then. */
            if (!fs_state_away(info.state))
                InterlockedOr((LONG volatile *) &drive->fdo->Flags,
                              DO_VERIFY_VOLUME);
        }
        status = IoVerifyVolume(drive->fdo, TRUE);
    }
    /* One that left meanwhile is told of by itself. */
    if (!NT_SUCCESS(status) && status != STATUS_NO_MEDIA_IN_DEVICE &&
        fs_volume_on(drive->fdo) == NULL)
        event_send(drive->service, "drive", drive->config.name, "", 0,
                   "drive %s: its medium cannot be mounted (%s)",
                   drive->config.name, status_name(status));
}

static void
drive_gone(struct drive *drive)
{
    if (drive->service->stopping)
        return;
    event_send(drive->service, "drive", drive->config.name, "", 0,
               "drive %s: was taken away", drive->config.name);
    fs_drive_gone(drive->fdo);
}

/* Somebody stands in front of it. */
static void
eject_requested(struct drive *drive)
{
    struct ri_error error = { "" };

    if (drive->service->stopping)
        return;
    if (ri_eject(drive->service, drive->config.name, &error) != 0)
        event_send(drive->service, "drive", drive->config.name, "", 0,
                   "drive %s: its button was pressed, and it stays closed: "
                   "%.300s",
                   drive->config.name, error.text);
}

NTSTATUS NTAPI
drive_media_changed(PVOID structure, PVOID context)
{
    PTARGET_DEVICE_CUSTOM_NOTIFICATION notification = structure;
    struct drive *drive = context;

    if (IsEqualGUID(&notification->Event, &GUID_IO_MEDIA_ARRIVAL) ||
        IsEqualGUID(&notification->Event, &GUID_IO_MEDIA_REMOVAL))
        drive_look(drive);
    else if (IsEqualGUID(&notification->Event,
                         &GUID_TARGET_DEVICE_REMOVE_COMPLETE))
        drive_gone(drive);
    else if (IsEqualGUID(&notification->Event, &GUID_IO_MEDIA_EJECT_REQUEST))
        eject_requested(drive);
    return STATUS_SUCCESS;
}

/* --- life ------------------------------------------------------------------------- */

static const enum vscsi_type device_types[] = {
    [RI_DISK] = VSCSI_DISK,
    [RI_FLOPPY] = VSCSI_FLOPPY,
    [RI_CDROM] = VSCSI_CDROM,
    [RI_TAPE] = VSCSI_TAPE,
};

int
drive_make(struct drive *drive, struct ri_error *out_error)
{
    const struct ri_drive_config *config = &drive->config;
    struct vscsi_config device = {
        .name = config->name,
        .type = device_types[config->type],
        .cache_volatile = config->cache == RI_CACHE_VOLATILE,
        .write_protect = config->readonly,
        .block_bytes = config->block_bytes,
        .load_ms = config->load_ms,
    };
    char text[RI_TEXT_MAX - 80] = "", rule[256];
    const char *line = config->faults, *end;
    int rc = 0;

    if (config->port != RI_PORT_VIRTUAL)
        return 0;
    if (config->type == RI_TAPE)
        device.tape = tape_device_config(&config->tape);
    drive->device = vscsi_new(&device);
    if (drive->device == NULL && errno == EINVAL)
        return ri_fail(out_error, -EINVAL,
                       "drive %s: such drives have no blocks of %u bytes",
                       config->name, config->block_bytes);
    if (drive->device == NULL)
        return ri_fail(out_error, -ENOMEM, "drive %s: out of memory",
                       config->name);
    for (; rc == 0 && line != NULL && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        snprintf(rule, sizeof rule, "%.*s", (int) (end - line), line);
        rc = vscsi_fault_add(drive->device, rule, text, sizeof text);
    }
    if (rc == 0 && config->medium[0] != '\0')
        rc = vscsi_insert(drive->device, config->medium, text, sizeof text);
    if (rc != 0)
        ri_fail(out_error, rc, "drive %s: %s", config->name, text);
    return rc;
}

void
drive_detach(struct drive *drive)
{
    tape_detach(drive);
    if (drive->notification != NULL)
        IoUnregisterPlugPlayNotification(drive->notification);
    if (drive->file != NULL)
        io_close_file(drive->file);
    if (drive->pdo != NULL) {
        if (drive->fdo != NULL && drive->fdo != drive->pdo)
            io_surprise_remove_device(drive->pdo);
        port_remove_unit(drive->pdo);
    }
}

void
drive_free(struct drive *drive)
{
    free(drive->late_parameters);
    sg_unit_free(drive->sg);
    drive->sg = NULL;
    if (drive->device != NULL)
        vscsi_free(drive->device);
}

/* --- what an operator does ------------------------------------------------------- */

static int
by_hand(const struct drive *drive, struct ri_error *out_error)
{
    return ri_fail(out_error, -ENOTSUP,
                   "drive %s is a real drive: its media are moved by hand",
                   drive->config.name);
}

bool
drive_has_medium(const struct drive *drive)
{
    struct vscsi_state state;

    if (drive->device == NULL && is_tape(drive))
        return true; /* it says so itself */
    if (drive->device == NULL)
        return __atomic_load_n(&drive->found, __ATOMIC_ACQUIRE) !=
               STATUS_NO_MEDIA_IN_DEVICE;
    vscsi_state(drive->device, &state);
    return state.medium;
}

/* In a library the robot moves the media. */
static int
refuse_library(const struct drive *drive, struct ri_error *out_error)
{
    const char *library = library_of_drive(drive);

    if (library == NULL)
        return 0;
    return ri_fail(
        out_error, -EBUSY,
        "drive %s belongs to library %s, whose robot moves the media",
        drive->config.name, library);
}

int
ri_insert(struct ri_service *service, const char *name, const char *image,
          struct ri_error *out_error)
{
    struct drive *drive = drive_find(service, name, out_error);
    char text[RI_TEXT_MAX] = "";
    int rc;

    if (drive == NULL)
        return -ENODEV;
    if (drive->device == NULL)
        return by_hand(drive, out_error);
    rc = refuse_library(drive, out_error);
    if (rc != 0)
        return rc;
    rc = vscsi_insert(drive->device, image, text, sizeof text);
    if (rc != 0)
        return ri_fail(out_error, rc, "%s", text);
    event_send(service, "drive", drive->config.name, "", 0,
               "drive %s: %.300s was put in", drive->config.name, image);
    drive_look(drive);
    return 0;
}

int
ri_yank(struct ri_service *service, const char *name,
        struct ri_error *out_error)
{
    struct drive *drive = drive_find(service, name, out_error);

    if (drive == NULL)
        return -ENODEV;
    if (drive->device == NULL)
        return by_hand(drive, out_error);
    if (refuse_library(drive, out_error) != 0)
        return -EBUSY;
    if (vscsi_yank(drive->device) != 0)
        return ri_fail(out_error, -ENOMEDIUM, "drive %s is empty", name);
    event_send(service, "drive", drive->config.name, "", 0,
               "drive %s: its medium was pulled out", drive->config.name);
    drive_look(drive);
    return 0;
}

int
ri_press(struct ri_service *service, const char *name,
         struct ri_error *out_error)
{
    struct drive *drive = drive_find(service, name, out_error);

    if (drive == NULL)
        return -ENODEV;
    if (drive->device == NULL)
        return by_hand(drive, out_error);
    if (refuse_library(drive, out_error) != 0)
        return -EBUSY;
    if (!drive_has_medium(drive))
        return ri_fail(out_error, -ENOMEDIUM, "drive %s is empty", name);
    event_send(service, "drive", drive->config.name, "", 0,
               "drive %s: its button was pressed", drive->config.name);
    if (vscsi_press_eject(drive->device) != 0)
        return ri_fail(out_error, -EIO, "drive %s does not open", name);
    drive_look(drive);
    return 0;
}
