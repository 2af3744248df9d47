/*
 * service.c - the whole system: started, shut down, freed
 *
 * Also the glue between rooms that do not know each other: the file system's
 * states go to the prompt broker, the broker's needs to the file system, and
 * all of it to the events.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cdrom/cdrom.h"
#include "disk/disk.h"
#include "io/io.h"
#include "ke/ke.h"
#include "port/port.h"
#include "prompt/prompt.h"
#include "stack/sg.h"
#include "stack/stack_internal.h"
#include "stack/tape_drive.h"
#include "stack/targets.h"
#include "tapes/tapes.h"

/* --- the prompt broker's host ------------------------------------------------- */

static void
host_describe(void *context, PVPB vpb, PDEVICE_OBJECT real, char *out_volume,
              char *out_drive)
{
    struct ri_service *service = context;
    struct volume *volume = fs_volume_of(vpb);
    struct drive *drive = drive_of(service, real);
    struct tapes_wanted wanted;

    if (volume == NULL && tapes_wanted(vpb, &wanted)) {
        tapes_describe(vpb, out_volume, out_drive);
        return;
    }
    out_volume[0] = '\0';
    if (volume != NULL)
        volume_name(service, volume, out_volume);
    snprintf(out_drive, RI_NAME_MAX, "%s",
             drive != NULL ? drive->config.name : "");
}

static BOOLEAN
host_untold(void *context, PVPB vpb)
{
    struct volume *volume = fs_volume_of(vpb);

    (void) context;
    return volume != NULL && fs_is_untold(volume);
}

static BOOLEAN
host_tape(void *context, PVPB vpb, char *out_subject)
{
    (void) context;
    return fs_volume_of(vpb) == NULL && tapes_subject(vpb, out_subject);
}

static BOOLEAN
host_needed(void *context, PVPB vpb, NTSTATUS status)
{
    struct volume *volume = fs_volume_of(vpb);
    struct fs_volume_info info;

    (void) context;
    if (volume == NULL)
        return tapes_needed(vpb, status);
    fs_volume_info(volume, &info);
    if (info.dismounted)
        return FALSE;
    if (info.changed_elsewhere)
        return TRUE;
    /* These two are about a volume that is there. */
    if (status == STATUS_MEDIA_WRITE_PROTECTED)
        return info.read_only || fs_state_away(info.state);
    return status == STATUS_IO_TIMEOUT || fs_state_away(info.state);
}

/* The libraries' robots are asked first: one of them may hold it. */
static BOOLEAN
host_robot(void *context, PVPB vpb, NTSTATUS status)
{
    struct ri_service *service = context;
    struct volume *volume = fs_volume_of(vpb);
    BOOLEAN brings = FALSE;

    (void) status;
    if (volume == NULL)
        return tape_robots_ask(service, vpb);
    for (size_t i = 0; volume != NULL && i < jukebox_count(service); i++)
        brings = jukebox_robot(service->jukeboxes[i], volume) || brings;
    return brings;
}

static void
host_robot_says(void *context, PVPB vpb, char *out_text)
{
    struct ri_service *service = context;
    struct volume *volume = fs_volume_of(vpb);

    out_text[0] = '\0';
    if (volume == NULL)
        tape_robots_say(service, vpb, out_text);
    for (size_t i = 0;
         volume != NULL && out_text[0] == '\0' && i < jukebox_count(service);
         i++)
        jukebox_says(service->jukeboxes[i], volume, out_text);
}

static BOOLEAN
host_try_again(void *context, PVPB vpb)
{
    struct ri_service *service = context;
    struct volume *volume = fs_volume_of(vpb);

    if (volume == NULL) {
        tape_robots_retry(service, vpb);
        return tapes_try_again(vpb);
    }
    for (size_t i = 0; volume != NULL && i < jukebox_count(service); i++)
        jukebox_retry(service->jukeboxes[i], volume);
    return volume != NULL && fs_try_again(volume);
}

static BOOLEAN
host_changed(void *context, PVPB vpb)
{
    struct volume *volume = fs_volume_of(vpb);
    struct fs_volume_info info;

    (void) context;
    if (volume == NULL)
        return tapes_changed(vpb);
    fs_volume_info(volume, &info);
    return info.changed_elsewhere;
}

/* A drive of this machine that is away was unplugged; of a target, it is the
 * network's matter. */
static NTSTATUS
away_reason(struct ri_service *service, const struct fs_volume_info *info)
{
    struct drive *drive = drive_of(service, info->drive);

    if (info->reason == STATUS_DEVICE_NOT_CONNECTED && drive != NULL &&
        drive->config.port == RI_PORT_SG)
        return STATUS_DEVICE_DOES_NOT_EXIST;
    return info->reason;
}

static NTSTATUS
host_gone(void *context, PVPB vpb)
{
    struct volume *volume = fs_volume_of(vpb);
    struct fs_volume_info info;

    if (volume == NULL)
        return tapes_gone(vpb);
    fs_volume_info(volume, &info);
    return fs_state_away(info.state) &&
                   (info.reason == STATUS_DEVICE_DOES_NOT_EXIST ||
                    info.reason == STATUS_DEVICE_NOT_CONNECTED)
               ? away_reason(context, &info)
               : STATUS_SUCCESS;
}

static int
host_use(void *context, PVPB vpb)
{
    struct ri_service *service = context;
    struct volume *volume = fs_volume_of(vpb);
    NTSTATUS status;

    if (volume == NULL)
        return tapes_use(vpb);
    /* First: nothing that was asked of what was there reaches what is. */
    exports_stale(service, volume, true);
    status = fs_use_as_it_is(volume);
    if (NT_SUCCESS(status))
        return 0;
    exports_stale(service, volume, false);
    return status == STATUS_DISK_FULL ? -ENOSPC : -EIO;
}

static void
host_cancelled(void *context, PVPB vpb, NTSTATUS status)
{
    struct volume *volume = fs_volume_of(vpb);

    (void) context;
    if (volume != NULL)
        fs_give_up(volume, status);
}

static void
host_asked(void *context, PVPB vpb)
{
    struct volume *volume = fs_volume_of(vpb);

    (void) context;
    if (volume != NULL)
        fs_wanted(volume);
}

static void
host_retry(PIRP irp)
{
    if (request_stale(irp))
        io_harderr_fail(irp, STATUS_FILE_INVALID);
    else
        io_harderr_retry(irp);
}

static BOOLEAN
host_try_one(void *context, PIRP irp)
{
    (void) context;
    if (request_stale(irp)) {
        prompt_tried(irp, FALSE);
        io_harderr_fail(irp, STATUS_FILE_INVALID);
        return TRUE;
    }
    if (!fs_try_one(irp))
        return FALSE;
    if (io_harderr_try(irp))
        return TRUE;
    fs_try_none(irp);
    return FALSE;
}

static void
host_event(void *context, enum prompt_event event,
           const struct ri_prompt_info *prompt)
{
    char text[RI_TEXT_MAX];
    bool open = event <= PROMPT_STILL;

    prompt_event_text(event, prompt, text);
    if (event == PROMPT_ASKED || event == PROMPT_CHANGED)
        drives_look_for(context);
    if (open)
        event_send_prompt(context, prompt, text);
    else
        event_send(context, "answer", prompt->drive, prompt->volume, prompt->id,
                   "%s", text);
}

/* --- the file system's observer -------------------------------------------------- */

/* A medium that nobody took may be this volume's: a clone of it was away, or
 * was taken for it, when the medium came. */
static void
look_at_homeless(struct ri_service *service)
{
    for (size_t i = 0; i < drives_known(service); i++) {
        struct drive *drive = &service->drives[i];

        if (!is_tape(drive) && drive_fdo(drive) != NULL &&
            __atomic_load_n(&drive->found, __ATOMIC_ACQUIRE) ==
                STATUS_SUCCESS &&
            fs_volume_on(drive->fdo) == NULL)
            drive_look_soon(drive);
    }
}

/* Media come and go in the drive that a volume was in last: news only for who is
 * asked for it, and that is told in the question. */
static bool
is_rotation(NTSTATUS reason)
{
    return reason == STATUS_WRONG_VOLUME || reason == STATUS_NO_MEDIA_IN_DEVICE;
}

static void
volume_changed(void *context, struct volume *volume, enum vol_state state,
               BOOLEAN news)
{
    struct ri_service *service = context;
    char name[RI_NAME_MAX];
    struct fs_volume_info info;
    struct drive *drive;
    const char *where;

    if (state != VOL_MOUNTED && state != VOL_ABSENT && state != VOL_CHANGED &&
        state != VOL_DISMOUNTED)
        return;
    for (size_t i = 0; i < jukebox_count(service); i++)
        jukebox_volume(service->jukeboxes[i], volume, state);
    volume_name(service, volume, name);
    fs_volume_info(volume, &info);
    drive = drive_of(service, info.drive);
    where = drive != NULL ? drive->config.name : "";
    if (info.dismounted) {
        event_send(service, "volume", where, name, 0,
                   "volume %s was dismounted", name);
        prompt_arrived(fs_volume_vpb(volume));
        return;
    }
    if (state == VOL_MOUNTED) {
        if (news)
            event_send(service, "volume", where, name, 0,
                       "volume %s (%s) is in drive %s", name, info.type, where);
        libraries_volume_changed(service, drive);
        prompt_arrived(fs_volume_vpb(volume));
        look_at_homeless(service);
        return;
    }
    if (state == VOL_CHANGED) {
        event_send(service, "volume", where, name, 0,
                   "volume %s is in drive %s, and was changed elsewhere; it is "
                   "not used before somebody says so",
                   name, where);
        prompt_reason(fs_volume_vpb(volume), STATUS_FILE_INVALID);
        return;
    }
    /* A look that the end of the service cut short says nothing of a medium. */
    if ((news || !is_rotation(info.reason)) &&
        !__atomic_load_n(&service->stopping, __ATOMIC_ACQUIRE))
        event_send(service, "volume", where, name, 0,
                   info.reason == STATUS_WRONG_VOLUME
                       ? "drive %2$s holds another medium than volume %1$s; it "
                         "is refused for it"
                       : "volume %1$s is away; it was in drive %2$s (%3$s)",
                   name, where, status_name(info.reason));
    prompt_reason(fs_volume_vpb(volume), away_reason(service, &info));
    look_at_homeless(service);
    /* A drive that is not ready, or could not read, need not tell when that is
     * over. */
    if (drive != NULL && fs_again(info.reason) == FS_AGAIN_LOOK)
        drive_look_later(drive);
}

/* What is in the drive that a volume left is another medium, if any is. */
static void
drive_vacated(void *context, PDEVICE_OBJECT fdo)
{
    struct drive *drive = drive_of(context, fdo);

    if (drive != NULL)
        drive_look_soon(drive);
}

/* --- start --------------------------------------------------------------------------- */

static NTSTATUS
load_drivers(struct ri_service *service, const struct ri_config *config)
{
    const struct {
        const char *name;
        PDRIVER_INITIALIZE entry;
        PDRIVER_OBJECT *out;
    } drivers[] = {
        { "port", port_driver_entry, &service->port },
        { "disk", disk_driver_entry, &service->disk },
        { "cdrom", cdrom_driver_entry, &service->cdrom },
        { "volume", fs_driver_entry, &service->fs },
    };
    NTSTATUS status = io_init();

    if (NT_SUCCESS(status))
        status = registry_set_drivers(config->driver_values);
    for (size_t i = 0;
         NT_SUCCESS(status) && i < sizeof drivers / sizeof drivers[0]; i++)
        status =
            io_load_driver(drivers[i].name, drivers[i].entry, drivers[i].out);
    return status;
}

static void
connect_rooms(struct ri_service *service, const struct ri_config *config)
{
    struct prompt_host host = {
        .context = service,
        .describe = host_describe,
        .tape = host_tape,
        .untold = host_untold,
        .needed = host_needed,
        .robot = host_robot,
        .robot_says = host_robot_says,
        .try_again = host_try_again,
        .changed = host_changed,
        .gone = host_gone,
        .use = host_use,
        .cancelled = host_cancelled,
        .asked = host_asked,
        .try_one = host_try_one,
        .retry = host_retry,
        .fail = io_harderr_fail,
        .event = host_event,
    };
    struct io_harderr_port port = { .raise = prompt_raise,
                                    .inform = prompt_inform,
                                    .ask = prompt_ask,
                                    .ctx = service };

    prompt_init(&host, config->prompt_timeout_s, config->on_no_operator);
    io_set_harderr_port(&port);
    fs_set_observer(volume_changed, service);
    fs_set_vacated(drive_vacated, service);
    fs_set_stale(request_stale);
    fs_set_announces(drive_announces, service);
    fs_set_tried(prompt_tried);
    keeper_start(service, config);
}

static int
add_drive(struct ri_service *service, const struct ri_drive_config *config,
          struct ri_error *out_error)
{
    struct drive *drive;
    int rc;

    if (config_is_all_units(config))
        return target_new(service, config, out_error);
    drive = &service->drives[service->drive_count++];
    drive->service = service;
    drive->config = *config;
    drive->target = target_named(service, config->section);
    rc = drive_make(drive, out_error);
    if (rc == 0)
        rc = drive_begin(drive, out_error);
    drive->config.faults = drive->config.parameters = NULL;
    return rc;
}

/* Drives that are, and that may come. */
static size_t
room_for(const struct ri_config *config)
{
    size_t room = config->drive_count;

    for (size_t i = 0; i < config->drive_count; i++)
        if (config_is_all_units(&config->drives[i]))
            room += UNITS_MAX;
    for (size_t i = 0; i < config->library_count; i++)
        room += config->libraries[i].drive_count;
    return room;
}

static bool
any_drive(struct ri_service *service)
{
    for (size_t i = 0; i < drives_known(service); i++)
        if (drive_fdo(&service->drives[i]) != NULL &&
            !is_tape(&service->drives[i]))
            return true;
    return service->drive_count == 0 && service->target_count == 0;
}

static int
start(const struct ri_config *config, struct ri_service **out_service,
      struct ri_error *out_error)
{
    struct ri_service *service = calloc(1, sizeof *service);
    NTSTATUS status;
    int rc = 0;

    if (service == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    pthread_mutex_init(&service->export_lock, NULL);
    pthread_mutex_init(&service->event_lock, NULL);
    pthread_mutex_init(&service->keep_lock, NULL);
    pthread_mutex_init(&service->drives_lock, NULL);
    KeInitializeTimer(&service->end_timer);
    service->drive_room = room_for(config);
    service->drives = calloc(service->drive_room + 1, sizeof(struct drive));
    if (service->drives == NULL) {
        free(service);
        return ri_fail(out_error, -ENOMEM, "out of memory");
    }
    sg_begin(service);
    status = load_drivers(service, config);
    if (!NT_SUCCESS(status))
        rc = ri_fail(out_error, -EIO, "the drivers cannot be loaded: %s",
                     status_name(status));
    else
        connect_rooms(service, config);
    if (rc == 0 && !NT_SUCCESS(status = tapes_begin(service, config)))
        rc = ri_fail(out_error, -EIO, "tapes: %s", status_name(status));
    if (rc == 0)
        rc = config_at(config, config->unflushed_log_line,
                       disklog_start(service, config, out_error), out_error);
    for (size_t i = 0; rc == 0 && i < config->drive_count; i++) {
        const struct ri_drive_config *drive = &config->drives[i];

        rc = add_drive(service, drive, out_error);
        rc = config_at(config,
                       drive->value_line != 0 ? drive->value_line : drive->line,
                       rc, out_error);
    }
    if (rc == 0)
        rc = libraries_start(service, config, out_error);
    /* What they tell of needs a drive to be in, whichever but a tape's. */
    if (rc == 0 && any_drive(service))
        rc = disklog_find(service, out_error);
    else
        service->logs_wait = LOGS_WAIT;
    if (rc == 0)
        rc = jukeboxes_start(service, config, out_error);
    if (rc == 0)
        rc = tape_robots_start(service, out_error);
    __atomic_store_n(&service->looking, rc == 0, __ATOMIC_RELEASE);
    for (size_t i = 0; rc == 0 && i < drives_known(service); i++)
        drive_look(&service->drives[i]);
    if (rc == 0)
        rc = targets_start(service, out_error);
    if (rc != 0) {
        ri_service_shutdown(service);
        ri_service_free(service);
        return rc;
    }
    *out_service = service;
    return 0;
}

int
ri_service_start(const struct ri_config *config,
                 struct ri_service **out_service, struct ri_error *out_error)
{
    struct ri_config whole = *config;
    struct drive_list found;
    int rc = config_find_units(config, NULL, &found, out_error);

    if (rc == 0 && found.drives != NULL) {
        whole.drives = found.drives;
        whole.drive_count = found.count;
    }
    if (rc == 0)
        rc = start(&whole, out_service, out_error);
    drive_list_free(&found);
    return rc;
}

/* --- end ------------------------------------------------------------------------------ */

void
ri_service_shutdown(struct ri_service *service)
{
    if (__atomic_exchange_n(&service->stopping, true, __ATOMIC_ACQ_REL))
        return;
    targets_stop(service);
    libraries_stop(service);
    jukeboxes_stop(service);
    tape_robots_stop(service);
    if (service->tapes)
        tapes_shutdown();
    if (service->fs != NULL)
        fs_shutdown();
    prompt_shutdown();
    exports_cancel_all(service);
    libraries_let_go(service);
}

void
ri_service_free(struct ri_service *service)
{
    if (service == NULL)
        return;
    targets_join(service);
    jukeboxes_join(service);
    tape_robots_join(service);
    libraries_close(service);
    KeCancelTimer(&service->end_timer);
    for (size_t i = 0; i < drives_known(service); i++)
        if (service->drives[i].pdo != NULL)
            KeCancelTimer(&service->drives[i].look_timer);
    /* Runs what is queued; whoever needs a worker after this gets one. */
    ke_shutdown();
    fs_set_observer(NULL, NULL);
    fs_set_vacated(NULL, NULL);
    fs_set_announces(NULL, NULL);
    io_set_harderr_port(NULL);
    io_tell_shutdown();
    fs_dismount_all();
    disklog_stop(service);
    keeper_stop(service);
    libraries_detach(service);
    for (size_t i = 0; i < drives_known(service); i++)
        drive_detach(&service->drives[i]);
    libraries_free(service);
    tape_robots_free(service);
    jukeboxes_free(service);
    for (size_t i = 0; i < drives_known(service); i++)
        drive_free(&service->drives[i]);
    targets_free(service);
    if (service->fs != NULL)
        io_unload_driver(service->fs);
    tapes_end(service);
    if (service->cdrom != NULL)
        io_unload_driver(service->cdrom);
    if (service->disk != NULL)
        io_unload_driver(service->disk);
    if (service->port != NULL)
        io_unload_driver(service->port);
    io_shutdown();
#ifndef NDEBUG
    /* What drivers took from the pool and did not give back, by its tag. */
    ke_pool_report(stderr);
#endif
    while (service->subscribers != NULL)
        ri_unsubscribe(service, service->subscribers->id);
    pthread_mutex_destroy(&service->export_lock);
    pthread_mutex_destroy(&service->event_lock);
    events_free(service);
    pthread_mutex_destroy(&service->keep_lock);
    pthread_mutex_destroy(&service->drives_lock);
    free(service->drives);
    free(service);
}

const char *
ri_version(void)
{
    return REINSERT_VERSION;
}
