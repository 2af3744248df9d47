/*
 * disklog_find.c - the logs that a killed service left
 *
 * Each makes a volume that is absent and lacks what its log holds.  A file that
 * is damaged, or no log at all, is set aside under another name; one of another
 * version ends the start, for who wrote it could use it.
 *
 * Context: the start of the service, one thread, no drive looked at yet.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "stack/disklog.h"
#include "stack/tape_drive.h"

static int
set_aside(struct disklog *d, const char *path, const char *why,
          struct ri_error *out_error)
{
    char name[RI_PATH_MAX + 320];

    snprintf(name, sizeof name, "%s.damaged", path);
    for (unsigned n = 1; access(name, F_OK) == 0; n++)
        snprintf(name, sizeof name, "%s.damaged-%u", path, n);
    if (rename(path, name) != 0)
        return ri_fail(out_error, -errno, "unflushed-log: %.200s; %s", why,
                       strerror(errno));
    disklog_warn(d, "%.240s; it was set aside as %.220s", why, name);
    return 0;
}

static struct drive *
drive_for(struct ri_service *service, const char *name)
{
    struct drive *any = NULL;

    for (size_t i = 0; i < drives_known(service); i++) {
        struct drive *drive = &service->drives[i];

        if (drive_fdo(drive) == NULL || is_tape(drive))
            continue;
        if (strcmp(drive->config.name, name) == 0)
            return drive;
        if (any == NULL)
            any = drive;
    }
    return any;
}

static NTSTATUS
feed(struct ulog_reader *reader, struct volume *volume)
{
    static const enum fs_record_kind kinds[] = {
        [ULOG_DATA] = FS_RECORD_DATA,
        [ULOG_ZEROES] = FS_RECORD_ZEROES,
        [ULOG_DROP] = FS_RECORD_DROP,
    };
    struct ulog_record record;
    NTSTATUS status = STATUS_SUCCESS;

    while (NT_SUCCESS(status) && ulog_next(reader, &record) == 1) {
        struct fs_record one = { .kind = kinds[record.what],
                                 .offset = record.offset,
                                 .length = record.len,
                                 .data = record.data };

        status = fs_known_record(volume, &one);
    }
    return status;
}

static NTSTATUS
make_known(struct disklog *d, struct ulog_reader *reader, struct ulog *log,
           struct volume **out_volume)
{
    const struct ulog_head *head = ulog_reader_head(reader);
    struct drive *drive = drive_for(d->service, head->about.drive);
    struct fs_witness_entry witness[ULOG_WITNESS_MAX] = { { 0 } };
    struct fs_log_head known = { .identity = head->identity,
                                 .identity_bytes = head->identity_bytes,
                                 .witness = witness,
                                 .witness_count = head->witness_count };
    NTSTATUS status;

    if (drive == NULL)
        return STATUS_INVALID_PARAMETER;
    for (uint32_t i = 0; i < head->witness_count; i++) {
        witness[i].at = head->witness[i].at;
        witness[i].states = head->witness[i].states;
        memcpy(witness[i].hash, head->witness[i].hash, sizeof witness[i].hash);
    }
    status = fs_known_begin(drive->fdo, &known, ulog_live(log), out_volume);
    if (!NT_SUCCESS(status))
        return status;
    status = feed(reader, *out_volume);
    fs_known_end(*out_volume, log, NT_SUCCESS(status));
    return status;
}

/* There is room for all; some may be looking already. */
static void
add_found(struct disklog *d, struct volume *volume, const char *path)
{
    struct found *more = &d->found[d->found_count];

    more->volume = volume;
    snprintf(more->path, sizeof more->path, "%.1023s", path);
    __atomic_store_n(&d->found_count, d->found_count + 1, __ATOMIC_RELEASE);
}

static int
introduce(struct disklog *d, struct ulog_reader *reader, struct ulog *log,
          const char *path, struct ri_error *out_error)
{
    char name[RI_NAME_MAX], drive[RI_NAME_MAX], why[RI_TEXT_MAX];
    struct volume *volume = NULL;
    NTSTATUS status = make_known(d, reader, log, &volume);

    if (!NT_SUCCESS(status))
        ulog_leave(log);
    if (status == STATUS_INVALID_PARAMETER) {
        snprintf(why, sizeof why, "%.250s: whose it is is not understood",
                 path);
        return set_aside(d, path, why, out_error);
    }
    if (!NT_SUCCESS(status))
        return ri_fail(out_error, -ENOMEM, "unflushed-log: %.300s: %s", path,
                       status_name(status));
    add_found(d, volume, path);
    disklog_name(d->service, volume, name, drive);
    event_send(d->service, "unflushed-log", drive, name, 0,
               "what the medium of volume %s may lack is in %.200s, and is "
               "written when it comes",
               name, path);
    return 0;
}

static int
open_log(struct disklog *d, const char *path, struct ri_error *out_error)
{
    struct ulog_reader *reader = NULL;
    struct ri_recovery_info kept;
    struct rec_error error;
    struct ulog *log = NULL;
    int rc = ulog_read(path, &reader, &error);

    if (rc == -EINVAL || rc == -EBADMSG)
        return set_aside(d, path, error.text, out_error);
    if (rc == 0 && disklog_is_marked(d, ulog_reader_salt(reader))) {
        disklog_remove_marked(d, ulog_reader_salt(reader), path);
        ulog_reader_free(reader);
        return 0;
    }
    if (rc == 0 && disklog_given_up(d, reader, &kept)) {
        disklog_warn(
            d,
            "what volume %.60s still lacked (%llu bytes) is in %.200s; "
            "the service was killed before it could say so",
            kept.volume, (unsigned long long) kept.bytes, kept.file);
        keeper_add(d->service, NULL, &kept);
        disklog_remove_marked(d, ulog_reader_salt(reader), path);
        ulog_reader_free(reader);
        return 0;
    }
    if (rc == 0)
        rc = ulog_resume(reader, FS_KNOWN_EPOCH, &log, &error);
    if (rc != 0)
        ri_fail(out_error, rc, "unflushed-log: %s", error.text);
    else if (ulog_live(log) != 0)
        rc = introduce(d, reader, log, path, out_error);
    else if (ulog_leave(log), unlink(path) != 0)
        rc = ri_fail(out_error, -errno, "unflushed-log: %.300s: %s", path,
                     strerror(errno));
    ulog_reader_free(reader);
    return rc;
}

static int
look_at(struct disklog *d, const char *name, struct ri_error *out_error)
{
    size_t len = strlen(name), suffix = strlen(ULOG_SUFFIX);
    char path[RI_PATH_MAX + 256];

    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strcmp(name, DISKLOG_LOCK) == 0)
        return 0;
    if (len > suffix && strcmp(name + len - suffix, ULOG_SUFFIX) == 0)
        return open_log(d, path, out_error);
    if (len > suffix + 4 &&
        strcmp(name + len - suffix - 4, ULOG_SUFFIX ".new") == 0)
        unlink(path); /* never finished: nothing was acknowledged for it */
    else
        disklog_warn(d, "%.300s is no log, and is left alone", path);
    return 0;
}

int
disklog_find(struct ri_service *service, struct ri_error *out_error)
{
    struct disklog *d = service->disklog;
    struct dirent **names = NULL;
    int count, rc = 0;

    if (d == NULL)
        return 0;
    count = scandir(d->dir, &names, NULL, alphasort);
    if (count < 0)
        return ri_fail(out_error, -errno, "unflushed-log: %.300s: %s", d->dir,
                       strerror(errno));
    d->found = calloc((size_t) count + 1, sizeof *d->found);
    if (d->found == NULL)
        rc = ri_fail(out_error, -ENOMEM, "out of memory");
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = look_at(d, names[i]->d_name, out_error);
        free(names[i]);
    }
    free(names);
    return rc;
}

size_t
disklog_waiting(struct ri_service *service, size_t max,
                struct ri_recovery_info *list)
{
    struct disklog *d = service->disklog;
    size_t n = 0;

    for (size_t i = 0;
         d != NULL && i < __atomic_load_n(&d->found_count, __ATOMIC_ACQUIRE);
         i++) {
        struct fs_volume_info info;

        fs_volume_info(d->found[i].volume, &info);
        if (info.unflushed_bytes == 0 || info.dismounted ||
            (!fs_state_away(info.state) && info.state != VOL_CHANGED))
            continue;
        if (list != NULL && n == max)
            break;
        if (list != NULL)
            disklog_describe(d, d->found[i].volume, d->found[i].path, &list[n]);
        n++;
    }
    return n;
}
