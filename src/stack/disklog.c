/*
 * disklog.c - the folder with the logs of what is acknowledged and not flushed
 *
 * The file system knows no files: it hands batches over (struct fs_log_disk),
 * and a volume's log is one file of the folder, made when it is first needed
 * and removed when it is empty.  What a killed service left is read at the
 * start, before any drive is looked at (disklog_find.c).
 *
 * A disk that fails makes the file system flush instead.  That is told once,
 * and once more when it is over; after a failure the disk is left alone for a
 * second.
 *
 * lock: the state that is told of; a leaf.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/disklog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/status.h"

#define RING_LEAST (8ull << 20)
#define PAUSE_MS   1000

/* --- what is told ------------------------------------------------------------- */

void
disklog_name(struct ri_service *service, struct volume *volume, char *out_name,
             char *out_drive)
{
    struct fs_volume_info info;
    struct drive *drive;

    fs_volume_info(volume, &info);
    drive = drive_of(service, info.drive);
    volume_name(service, volume, out_name);
    snprintf(out_drive, RI_NAME_MAX, "%s",
             drive != NULL ? drive->config.name : "");
}

static bool
pausing(struct disklog *d)
{
    bool yes;

    pthread_mutex_lock(&d->lock);
    yes = d->failing && clock_coarse_ms() < d->again_ms;
    pthread_mutex_unlock(&d->lock);
    return yes;
}

/* stale: what is on that disk does not count, and cannot be made void. */
static void
tell_failure(struct disklog *d, struct volume *volume,
             const struct rec_error *error, bool stale)
{
    char name[RI_NAME_MAX], drive[RI_NAME_MAX];
    bool news;

    pthread_mutex_lock(&d->lock);
    news = !d->failing || (stale && !d->stale);
    d->failing = true;
    d->stale |= stale;
    d->again_ms = clock_coarse_ms() + PAUSE_MS;
    if (news)
        snprintf(d->problem, sizeof d->problem, "%.250s%s", error->text,
                 stale
                     ? "; what it holds does not count any more, and that can "
                       "be written nowhere: its volume takes no writes until "
                       "it can"
                     : "");
    pthread_mutex_unlock(&d->lock);
    if (!news)
        return;
    disklog_name(d->service, volume, name, drive);
    event_send(d->service, "unflushed-log", drive, name, 0,
               "warning: the log of unflushed data fails, each write is "
               "flushed instead: %s",
               d->problem);
}

static void
tell_success(struct disklog *d)
{
    bool news;

    pthread_mutex_lock(&d->lock);
    news = d->failing;
    d->failing = d->stale = false;
    d->problem[0] = '\0';
    pthread_mutex_unlock(&d->lock);
    if (news)
        event_send(d->service, "unflushed-log", "", "", 0,
                   "the log of unflushed data works again");
}

void
disklog_warn(struct disklog *d, const char *format, ...)
{
    char text[RI_TEXT_MAX];
    va_list args;
    size_t used;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    event_send(d->service, "unflushed-log", "", "", 0, "warning: %s", text);
    pthread_mutex_lock(&d->lock);
    used = strlen(d->warning);
    snprintf(d->warning + used, sizeof d->warning - used, "%s%s",
             used != 0 ? "\n" : "", text);
    pthread_mutex_unlock(&d->lock);
}

void
ri_unflushed_log(struct ri_service *service,
                 struct ri_unflushed_log_info *out_info)
{
    struct disklog *d = service->disklog;
    struct ri_unflushed_log_info info = { .state = "off" };

    if (d != NULL) {
        pthread_mutex_lock(&d->lock);
        memcpy(info.dir, d->dir, sizeof info.dir);
        snprintf(info.state, sizeof info.state, "%s",
                 d->failing ? "flush-through" : "logging");
        memcpy(info.problem, d->problem, sizeof info.problem);
        memcpy(info.warning, d->warning, sizeof info.warning);
        pthread_mutex_unlock(&d->lock);
    }
    *out_info = info;
}

/* --- a batch -------------------------------------------------------------------- */

struct translated {
    struct ulog_record *records;
    struct ulog_head head;
    struct rec_witness witness[ULOG_WITNESS_MAX];
};

static void
fill_about(struct disklog *d, struct volume *volume, struct rec_about *out)
{
    struct fs_volume_info info;
    struct drive *drive;

    memset(out, 0, sizeof *out);
    fs_volume_info(volume, &info);
    drive = drive_of(d->service, info.drive);
    out->created_ms = clock_wall_ms();
    out->block_bytes = info.block_bytes;
    out->size_bytes = info.size_bytes;
    snprintf(out->type, sizeof out->type, "%s", info.type);
    snprintf(out->uuid, sizeof out->uuid, "%s", info.uuid);
    snprintf(out->label, sizeof out->label, "%s", info.label);
    snprintf(out->drive, sizeof out->drive, "%.63s",
             drive != NULL ? drive->config.name : "");
}

static void
fill_head(struct disklog *d, struct volume *volume,
          const struct fs_log_head *from, struct translated *out)
{
    fill_about(d, volume, &out->head.about);
    out->head.identity = from->identity;
    out->head.identity_bytes = from->identity_bytes;
    out->head.witness = out->witness;
    for (ULONG i = 0; i < from->witness_count && i < ULOG_WITNESS_MAX; i++) {
        struct rec_witness *to = &out->witness[out->head.witness_count++];

        to->at = from->witness[i].at;
        to->states = from->witness[i].states;
        memcpy(to->hash, from->witness[i].hash, sizeof to->hash);
    }
}

static bool
fill_records(const struct fs_log_batch *batch, struct translated *out)
{
    static const enum ulog_what whats[] = {
        [FS_RECORD_DATA] = ULOG_DATA,
        [FS_RECORD_ZEROES] = ULOG_ZEROES,
        [FS_RECORD_DROP] = ULOG_DROP,
    };

    out->records = calloc(batch->count + 1, sizeof *out->records);
    for (ULONG i = 0; out->records != NULL && i < batch->count; i++)
        out->records[i] = (struct ulog_record){
            .what = whats[batch->records[i].kind],
            .offset = batch->records[i].offset,
            .len = batch->records[i].length,
            .data = batch->records[i].data,
            .epoch = batch->records[i].epoch,
        };
    return out->records != NULL;
}

/* A flush that the log cannot be told of: whatever else makes it void. */
static int
make_void(struct disklog *d, struct volume *volume, struct ulog **log,
          struct rec_error *error)
{
    char mark[DISKLOG_NAME_MAX];
    struct rec_error second;
    bool removed;

    if (ulog_void(*log, &removed, &second) != 0) {
        if (!disklog_mark(d, ulog_salt(*log), ulog_path(*log), mark)) {
            tell_failure(d, volume, error, true);
            return -EIO;
        }
        disklog_warn(d, "%.200s does not count any more, as %.200s says",
                     ulog_path(*log), mark);
        removed = true;
    }
    if (removed) {
        ulog_leave(*log);
        *log = NULL;
    }
    tell_failure(d, volume, error, false);
    return 0;
}

static int
try_batch(struct disklog *d, struct volume *volume, struct ulog **log,
          const struct ulog_batch *batch, struct rec_error *error)
{
    int rc = 0;

    if (batch->count != 0 && pausing(d))
        return -EAGAIN;
    if (*log == NULL)
        rc = ulog_create(d->dir, batch->head, d->ring_bytes, log, error);
    if (rc == 0)
        rc = ulog_commit(*log, batch, error);
    if (rc == 0 && batch->count != 0)
        tell_success(d);
    if (rc != 0 && rc != -ENOBUFS)
        tell_failure(d, volume, error, false);
    return rc;
}

static int
put_batch(struct disklog *d, struct volume *volume, struct ulog **log,
          const struct ulog_batch *batch, struct rec_error *error,
          struct fs_log_state *out_state)
{
    struct ulog_batch flush = *batch;
    BOOLEAN was_stale = out_state->stale;
    int rc;

    if (batch->flush)
        out_state->stale = FALSE;
    if (*log == NULL && batch->count == 0)
        return 0;
    rc = try_batch(d, volume, log, batch, error);
    if (rc == 0 || !batch->flush || *log == NULL)
        return rc;
    /* The flush counts all the same. */
    flush.count = 0;
    if (ulog_commit(*log, &flush, error) == 0)
        return batch->count == 0 ? 0 : rc;
    /* What was acknowledged since is in it alone, until the next flush. */
    if (ulog_has_newer(*log, batch->flushed)) {
        tell_failure(d, volume, error, false);
        out_state->stale = was_stale;
        out_state->untold = TRUE;
        return rc;
    }
    if (make_void(d, volume, log, error) != 0) {
        out_state->stale = TRUE;
        return rc;
    }
    return batch->count == 0 ? 0 : rc;
}

static NTSTATUS
commit(void *context, struct volume *volume, void **log,
       const struct fs_log_batch *batch, struct fs_log_state *out_state)
{
    struct disklog *d = context;
    struct translated *t = calloc(1, sizeof *t);
    struct ulog *file = *log;
    struct rec_error error = { "" };
    int rc = -ENOMEM;

    if (t != NULL && fill_records(batch, t)) {
        struct ulog_batch put = { .records = t->records,
                                  .count = batch->count,
                                  .flush = batch->flush,
                                  .flushed = batch->flushed };

        if (batch->head != NULL) {
            fill_head(d, volume, batch->head, t);
            put.head = &t->head;
        }
        rc = put_batch(d, volume, &file, &put, &error, out_state);
    }
    if (t != NULL)
        free(t->records);
    free(t);
    *log = file;
    out_state->live_bytes =
        file == NULL ? 0 : ulog_live(file) + (ulog_broken(file) ? 1 : 0);
    out_state->filling = file != NULL && ulog_live(file) > ulog_ring(file) / 2;
    return rc == 0          ? STATUS_SUCCESS
           : rc == -ENOBUFS ? STATUS_DISK_FULL
                            : STATUS_UNSUCCESSFUL;
}

/* What is left in it is for the next service. */
static void
close_log(void *context, struct volume *volume, void **log)
{
    struct disklog *d = context;
    struct ri_recovery_info info;

    if (fs_log_stale(volume)) {
        disklog_warn(d,
                     "%.250s does not count any more, and that could be "
                     "written nowhere: remove it before the next start",
                     ulog_path(*log));
    } else if (ulog_live(*log) != 0) {
        disklog_describe(d, volume, ulog_path(*log), &info);
        event_send(d->service, "recovery", info.drive, info.volume, 0,
                   "what volume %s still lacks (%llu bytes) is kept in %s, "
                   "for the next start",
                   info.volume, (unsigned long long) info.bytes, info.file);
        keeper_add(d->service, volume, &info);
    }
    ulog_close(*log);
    *log = NULL;
}

void
disklog_describe(struct disklog *d, struct volume *volume, const char *path,
                 struct ri_recovery_info *out)
{
    struct fs_volume_info info;

    memset(out, 0, sizeof *out);
    fs_volume_info(volume, &info);
    disklog_name(d->service, volume, out->volume, out->drive);
    snprintf(out->file, sizeof out->file, "%.1023s", path);
    snprintf(out->reason, sizeof out->reason, "%s", status_name(info.reason));
    out->bytes = info.unflushed_bytes;
    out->time_ms = clock_wall_ms();
}

/* --- life ------------------------------------------------------------------------ */

static int
take_folder(struct disklog *d, struct ri_error *out_error)
{
    char path[RI_PATH_MAX + 16];
    struct rec_error error;
    int rc = rec_make_folder(d->dir, &error);

    if (rc != 0)
        return ri_fail(out_error, rc, "unflushed-log: %s", error.text);
    snprintf(path, sizeof path, "%s/" DISKLOG_LOCK, d->dir);
    d->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_file >= 0 && flock(d->lock_file, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return ri_fail(out_error, -EBUSY,
                       "unflushed-log: %.300s is used by another service",
                       d->dir);
    return ri_fail(out_error, -errno, "unflushed-log: %.300s: %s", path,
                   strerror(errno));
}

int
disklog_start(struct ri_service *service, const struct ri_config *config,
              struct ri_error *out_error)
{
    struct fs_log_disk disk = { .commit = commit, .close = close_log };
    uint64_t twice = 2 * config->unflushed_bytes;
    struct disklog *d;
    int rc;

    if (config->unflushed_log[0] == '\0')
        return 0;
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    d->service = service;
    d->lock_file = -1;
    d->ring_bytes = twice < RING_LEAST ? RING_LEAST : twice;
    pthread_mutex_init(&d->lock, NULL);
    snprintf(d->dir, sizeof d->dir, "%s", config->unflushed_log);
    service->disklog = d;
    rc = take_folder(d, out_error);
    if (rc != 0)
        return rc;
    disk.context = d;
    fs_set_log_disk(&disk);
    return 0;
}

void
disklog_stop(struct ri_service *service)
{
    struct disklog *d = service->disklog;

    fs_set_log_disk(NULL);
    service->disklog = NULL;
    if (d == NULL)
        return;
    if (d->lock_file >= 0)
        close(d->lock_file);
    pthread_mutex_destroy(&d->lock);
    free(d->found);
    free(d);
}
