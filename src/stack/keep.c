/*
 * keep.c - the keeper: what a medium still lacks goes to a recovery file
 *
 * The file system knows no files: it hands over what it has to give up (struct
 * fs_lack), and drops it only when this says that all of it is on disk.  Runs on
 * whichever thread gives up, at PASSIVE_LEVEL, and waits for the disk.
 *
 * keep_lock: the list of files; a leaf.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <recovery.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unflushed.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/status.h"
#include "port/port.h"
#include "stack/stack_internal.h"

#define WITNESS_PART 64
#define SILENT_MS    8000

struct kept {
    struct kept *next;
    struct volume *volume;
    struct ri_recovery_info info;
};

struct writing {
    struct rec_writer *writer;
    struct rec_error error;
    uint64_t bytes;
    int rc;
};

/* --- one file ---------------------------------------------------------------- */

static NTSTATUS
add_run(void *context, ULONG64 offset, const void *data, ULONG length)
{
    struct writing *w = context;
    const char *bytes = data;
    bool zero = bytes == NULL ||
                (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);

    w->rc = zero ? rec_add_zeroes(w->writer, offset, length, &w->error)
                 : rec_add(w->writer, offset, data, length, &w->error);
    w->bytes += length;
    return w->rc == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

static int
add_witness(struct writing *w, const struct fs_lack *lack)
{
    struct rec_witness part[WITNESS_PART];
    ULONG n = 0;
    int rc = 0;

    C_ASSERT(sizeof part[0].hash == sizeof lack->witness[0].hash);
    memset(part, 0, sizeof part);
    for (ULONG i = 0; rc == 0 && i < lack->witness_count; i++) {
        part[n].at = lack->witness[i].at;
        part[n].states = lack->witness[i].states;
        memcpy(part[n].hash, lack->witness[i].hash, sizeof part[n].hash);
        if (++n < WITNESS_PART && i + 1 < lack->witness_count)
            continue;
        rc = rec_add_witness(w->writer, part, n, &w->error);
        n = 0;
    }
    return rc;
}

static void
describe(const struct fs_lack *lack, const struct ri_recovery_info *info,
         struct rec_about *out)
{
    struct fs_volume_info volume;

    fs_volume_info(lack->volume, &volume);
    memset(out, 0, sizeof *out);
    out->created_ms = info->time_ms;
    out->status = (uint32_t) lack->why;
    out->block_bytes = volume.block_bytes;
    out->size_bytes = volume.size_bytes;
    snprintf(out->type, sizeof out->type, "%s", volume.type);
    snprintf(out->uuid, sizeof out->uuid, "%s", volume.uuid);
    snprintf(out->label, sizeof out->label, "%s", volume.label);
    snprintf(out->drive, sizeof out->drive, "%.63s", info->drive);
    if (lack->log != NULL) {
        out->log_salt = ulog_salt(lack->log);
        out->log_generation = ulog_generation(lack->log);
    }
}

/* 0 or -errno; then w->error says what is wrong. */
static int
write_file(struct ri_service *service, const struct fs_lack *lack,
           struct ri_recovery_info *info, struct writing *w)
{
    struct rec_about about;
    NTSTATUS status;
    int rc = rec_make_folder(service->recovery_dir, &w->error);

    describe(lack, info, &about);
    if (rc == 0)
        rc = rec_create(service->recovery_dir, &about, &w->writer, &w->error);
    if (rc != 0)
        return rc;
    snprintf(info->file, sizeof info->file, "%.1023s", rec_path(w->writer));
    rc = add_witness(w, lack);
    if (rc == 0) {
        status = fs_lack_each(lack, add_run, w);
        rc = w->rc;
        if (rc == 0 && !NT_SUCCESS(status)) {
            snprintf(w->error.text, sizeof w->error.text, "%s",
                     status_name(status));
            rc = -ENOMEM;
        }
    }
    if (rc != 0) {
        rec_abandon(w->writer);
        return rc;
    }
    info->bytes = w->bytes;
    return rec_finish(w->writer, &w->error);
}

/* --- the keeper ---------------------------------------------------------------- */

static void
remember(struct ri_service *service, struct kept *kept)
{
    struct kept **at;

    pthread_mutex_lock(&service->keep_lock);
    for (at = &service->kept; *at != NULL; at = &(*at)->next)
        ;
    *at = kept;
    service->kept_count++;
    pthread_mutex_unlock(&service->keep_lock);
}

void
keeper_add(struct ri_service *service, struct volume *volume,
           const struct ri_recovery_info *info)
{
    struct kept *kept = calloc(1, sizeof *kept);

    if (kept == NULL)
        return;
    kept->volume = volume;
    kept->info = *info;
    remember(service, kept);
}

static NTSTATUS
keep(void *context, const struct fs_lack *lack)
{
    struct ri_service *service = context;
    struct kept *kept = calloc(1, sizeof *kept);
    struct writing w = { .rc = 0 };
    struct ri_recovery_info *info;
    struct fs_volume_info volume;
    struct drive *drive;
    int rc;

    if (kept == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    info = &kept->info;
    kept->volume = lack->volume;
    fs_volume_info(lack->volume, &volume);
    drive = drive_of(service, volume.drive);
    volume_name(service, lack->volume, info->volume);
    snprintf(info->drive, sizeof info->drive, "%s",
             drive != NULL ? drive->config.name : "");
    snprintf(info->reason, sizeof info->reason, "%s", status_name(lack->why));
    info->time_ms = clock_wall_ms();
    rc = write_file(service, lack, info, &w);
    if (rc != 0) {
        event_send(
            service, "recovery", info->drive, info->volume, 0,
            "what volume %s still lacks could not be kept in a file, and "
            "stays in memory: %s",
            info->volume, w.error.text);
        free(kept);
        return rc == -ENOSPC || rc == -EDQUOT ? STATUS_DISK_FULL
                                              : STATUS_UNSUCCESSFUL;
    }
    if (fault_hit("kept"))
        (void) raise(SIGKILL); /* the file is there, and its log is, too */
    event_send(service, "recovery", info->drive, info->volume, 0,
               "what volume %s still lacks (%llu bytes) is kept in %s",
               info->volume, (unsigned long long) info->bytes, info->file);
    remember(service, kept);
    return STATUS_SUCCESS;
}

void
keeper_start(struct ri_service *service, const struct ri_config *config)
{
    const struct fs_limits limits = {
        .unflushed_bytes = config->unflushed_bytes,
        .unflushed_total_bytes = config->unflushed_total_bytes,
        .flush_idle_ms = config->flush_idle_ms,
    };

    if (config->recovery_dir[0] != '\0')
        snprintf(service->recovery_dir, sizeof service->recovery_dir, "%s",
                 config->recovery_dir);
    else
        rec_default_folder(service->recovery_dir, sizeof service->recovery_dir);
    fs_set_limits(&limits);
    fs_set_keeper(keep, service);
}

void
keeper_stop(struct ri_service *service)
{
    struct kept *kept;

    fs_set_keeper(NULL, NULL);
    while ((kept = service->kept) != NULL) {
        service->kept = kept->next;
        free(kept);
    }
}

/* --- the end ------------------------------------------------------------------- */

/* A volume that is in a drive: a thread of its own, because the drive need not
 * answer. */
struct settling {
    struct volume *volume;
    pthread_t thread;
    bool runs;
};

struct settlings {
    struct settling *list;
    size_t count, max;
};

static BOOLEAN
add_present(void *context, struct volume *volume)
{
    struct settlings *all = context;
    struct fs_volume_info info;

    fs_volume_info(volume, &info);
    if (all->count == all->max)
        return FALSE;
    if (!fs_state_away(info.state))
        all->list[all->count++].volume = volume;
    return TRUE;
}

static BOOLEAN
settle_other(void *context, struct volume *volume)
{
    const struct settlings *all = context;

    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].volume == volume)
            return TRUE;
    fs_unflushed_last(volume);
    return TRUE;
}

static void *
settle_present(void *context)
{
    struct settling *one = context;

    fs_unflushed_last(one->volume);
    return NULL;
}

/* No volume waits for another one's drive. */
static void
settle_all(void)
{
    struct settlings all = { .max = volume_count() };

    all.list = calloc(all.max + 1, sizeof *all.list);
    if (all.list != NULL)
        fs_each_volume(add_present, &all);
    for (size_t i = 0; i < all.count; i++)
        all.list[i].runs = pthread_create(&all.list[i].thread, NULL,
                                          settle_present, &all.list[i]) == 0;
    fs_each_volume(settle_other, &all);
    for (size_t i = 0; i < all.count; i++)
        if (!all.list[i].runs)
            fs_unflushed_last(all.list[i].volume);
    for (size_t i = 0; i < all.count; i++)
        if (all.list[i].runs)
            pthread_join(all.list[i].thread, NULL);
    free(all.list);
}

/* A real drive that answers nothing for so long keeps the end waiting no
 * further; what it lacks is kept. */
static VOID NTAPI
give_up_silent(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct ri_service *service = context;
    uint64_t now = clock_coarse_ms();

    for (size_t i = 0; i < drives_known(service); i++) {
        const struct drive *drive = &service->drives[i];
        struct port_unit_info unit;
        uint64_t heard;

        if (drive->device != NULL || drive->pdo == NULL)
            continue;
        port_unit_info(drive->pdo, &unit);
        heard = unit.last_answer_ms > service->end_ms ? unit.last_answer_ms
                                                      : service->end_ms;
        if (unit.waiting != 0 && now - heard >= SILENT_MS)
            port_give_up(drive->pdo);
    }
}

void
ri_service_keep(struct ri_service *service)
{
    LARGE_INTEGER second = { .QuadPart = -10000000LL };

    service->end_ms = clock_coarse_ms();
    KeInitializeDpc(&service->end_dpc, give_up_silent, service);
    KeSetTimerEx(&service->end_timer, second, 1000, &service->end_dpc);
    settle_all();
}

/* --- what was kept --------------------------------------------------------------- */

uint64_t
kept_newest(struct ri_service *service, struct volume *volume, char *out_file)
{
    uint64_t n = 0, found = 0;

    out_file[0] = '\0';
    pthread_mutex_lock(&service->keep_lock);
    for (struct kept *kept = service->kept; kept != NULL; kept = kept->next) {
        n++;
        if (kept->volume != volume)
            continue;
        found = n;
        memcpy(out_file, kept->info.file, sizeof kept->info.file);
    }
    pthread_mutex_unlock(&service->keep_lock);
    return found;
}

int
ri_recovery(struct ri_service *service, struct ri_recovery_info **out_list,
            size_t *out_count)
{
    size_t n = 0, waiting = disklog_waiting(service, 0, NULL);
    struct ri_recovery_info *list;

    pthread_mutex_lock(&service->keep_lock);
    list = calloc(service->kept_count + waiting + 1, sizeof *list);
    for (struct kept *kept = service->kept; list != NULL && kept != NULL;
         kept = kept->next)
        list[n++] = kept->info;
    pthread_mutex_unlock(&service->keep_lock);
    if (list == NULL)
        return -ENOMEM;
    if (waiting != 0)
        n += disklog_waiting(service, waiting, list + n);
    *out_list = list;
    *out_count = n;
    return 0;
}
