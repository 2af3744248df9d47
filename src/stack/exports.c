/*
 * exports.c - volumes and drives as exports: listed, opened, closed
 *
 * "drive:NAME" is the volume that is in the drive when it is opened; the
 * connection then belongs to that volume, wherever it goes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/stack_internal.h"

#define MAX_REQUEST  (32u * 1024 * 1024)
#define DRIVE_PREFIX "drive:"

static void
describe(struct ri_service *service, struct volume *volume,
         struct ri_export_info *out)
{
    struct fs_volume_info info;
    struct drive *drive;

    fs_volume_info(volume, &info);
    drive = drive_of(service, info.drive);
    memset(out, 0, sizeof *out);
    volume_name(service, volume, out->name);
    snprintf(out->description, sizeof out->description,
             "%s volume%s%.100s%s%s, %s drive %s", info.type,
             info.label[0] != '\0' ? " " : "", info.label,
             info.uuid[0] != '\0' ? ", UUID " : "", info.uuid,
             fs_state_away(info.state) ? "absent, last seen in" : "in",
             drive != NULL ? drive->config.name : "?");
    out->size_bytes = info.size_bytes;
    out->block_bytes = info.block_bytes;
    out->max_bytes = MAX_REQUEST;
    out->read_only = info.read_only;
    out->can_fua = !info.read_only;
    out->can_trim = info.can_trim && !info.read_only;
    out->can_zero = !info.read_only;
    out->rotational = true;
}

/* --- listing -------------------------------------------------------------------- */

struct listing {
    struct ri_service *service;
    struct ri_export_info *list;
    size_t n, max;
};

static BOOLEAN
list_volume(void *context, struct volume *volume)
{
    struct listing *listing = context;

    if (listing->n == listing->max)
        return FALSE;
    describe(listing->service, volume, &listing->list[listing->n++]);
    return TRUE;
}

static struct volume *
volume_in(struct drive *drive)
{
    PDEVICE_OBJECT fdo = drive_fdo(drive);
    struct volume *volume = fdo != NULL ? fs_volume_on(fdo) : NULL;
    struct fs_volume_info info;

    if (volume == NULL)
        return NULL;
    fs_volume_info(volume, &info);
    return !fs_state_away(info.state) && info.drive == fdo ? volume : NULL;
}

int
ri_exports(struct ri_service *service, struct ri_export_info **out_list,
           size_t *out_count)
{
    struct listing listing = { .service = service, .max = volume_count() };
    size_t drives = drives_known(service);

    listing.list = calloc(listing.max + drives + 1, sizeof *listing.list);
    if (listing.list == NULL)
        return -ENOMEM;
    fs_each_volume(list_volume, &listing);
    for (size_t i = 0; i < drives; i++) {
        struct drive *drive = &service->drives[i];
        struct volume *volume = volume_in(drive);
        struct ri_export_info *out = &listing.list[listing.n];

        if (volume == NULL)
            continue;
        describe(service, volume, out);
        snprintf(out->name, sizeof out->name, DRIVE_PREFIX "%.100s",
                 drive->config.name);
        listing.n++;
    }
    *out_list = listing.list;
    *out_count = listing.n;
    return 0;
}

/* --- opening ---------------------------------------------------------------------- */

static int
no_such_export(struct ri_service *service, const char *name,
               struct ri_error *out_error)
{
    struct ri_export_info *list = NULL;
    char names[RI_TEXT_MAX - 160] = "";
    size_t n = 0, len = 0;

    ri_exports(service, &list, &n);
    for (size_t i = 0; i < n && len < sizeof names - 1; i++)
        len += (size_t) snprintf(names + len, sizeof names - len, "%s%s",
                                 i > 0 ? ", " : "", list[i].name);
    free(list);
    if (n == 0)
        snprintf(names, sizeof names, "none");
    if (name[0] == '\0')
        return ri_fail(out_error, -ENOENT,
                       "say which export (there is not just one volume): %s",
                       names);
    return ri_fail(out_error, -ENOENT,
                   "no export is called %.100s; there are: %s", name, names);
}

struct only {
    struct volume *volume;
    size_t n;
};

static BOOLEAN
take_only(void *context, struct volume *volume)
{
    struct only *only = context;

    only->volume = volume;
    return ++only->n < 2;
}

static struct volume *
resolve(struct ri_service *service, const char *name,
        struct ri_error *out_error, int *out_rc)
{
    struct only only = { 0 };
    struct volume *volume;
    struct drive *drive;

    *out_rc = -ENOENT;
    if (name[0] == '\0') {
        fs_each_volume(take_only, &only);
        if (only.n == 1)
            return only.volume;
    } else if (strncmp(name, DRIVE_PREFIX, strlen(DRIVE_PREFIX)) == 0) {
        drive = drive_find(service, name + strlen(DRIVE_PREFIX), out_error);
        volume = drive != NULL ? volume_in(drive) : NULL;
        if (volume != NULL)
            return volume;
        if (drive != NULL) {
            *out_rc = ri_fail(out_error, -ENOENT,
                              "drive %s has no medium that is mounted",
                              drive->config.name);
            return NULL;
        }
    } else {
        volume = volume_find(service, name);
        if (volume != NULL)
            return volume;
    }
    no_such_export(service, name, out_error);
    return NULL;
}

int
ri_open(struct ri_service *service, const char *name,
        struct ri_export **out_export, struct ri_error *out_error)
{
    struct fs_volume_info info;
    struct volume *volume;
    struct ri_export *e;
    int rc;

    if (__atomic_load_n(&service->stopping, __ATOMIC_ACQUIRE))
        return ri_fail(out_error, -ESHUTDOWN, "the service is ending");
    volume = resolve(service, name, out_error, &rc);
    if (volume == NULL)
        return rc;
    e = calloc(1, sizeof *e);
    if (e == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    if (!fs_volume_pin(volume, TRUE)) {
        free(e);
        return ri_fail(out_error, -EBUSY, "volume %.200s is locked", name);
    }
    e->service = service;
    e->volume = volume;
    e->device = fs_volume_device(volume);
    describe(service, volume, &e->info);
    if (strncmp(name, DRIVE_PREFIX, strlen(DRIVE_PREFIX)) == 0)
        snprintf(e->info.name, sizeof e->info.name, "%.120s", name);
    fs_volume_info(volume, &info);
    e->can_trim = info.can_trim;
    e->trim_zeroes = info.trim_zeroes;
    pthread_mutex_init(&e->lock, NULL);
    InitializeListHead(&e->waiting);
    pthread_mutex_lock(&service->export_lock);
    e->next = service->exports;
    service->exports = e;
    pthread_mutex_unlock(&service->export_lock);
    *out_export = e;
    return 0;
}

void
ri_export_info(struct ri_export *export_, struct ri_export_info *out_info)
{
    *out_info = export_->info;
}

void
ri_close(struct ri_export *export_)
{
    struct ri_service *service;
    struct ri_export **at;

    if (export_ == NULL)
        return;
    service = export_->service;
    pthread_mutex_lock(&service->export_lock);
    for (at = &service->exports; *at != NULL; at = &(*at)->next)
        if (*at == export_) {
            *at = export_->next;
            break;
        }
    pthread_mutex_unlock(&service->export_lock);
    fs_volume_pin(export_->volume, FALSE);
    pthread_mutex_destroy(&export_->lock);
    free(export_);
}

void
exports_stale(struct ri_service *service, struct volume *volume, bool stale)
{
    pthread_mutex_lock(&service->export_lock);
    for (struct ri_export *e = service->exports; e != NULL; e = e->next)
        if (e->volume == volume)
            __atomic_store_n(&e->stale, stale, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&service->export_lock);
}

uint32_t
export_clients(struct ri_service *service, struct volume *volume)
{
    uint32_t n = 0;

    pthread_mutex_lock(&service->export_lock);
    for (struct ri_export *e = service->exports; e != NULL; e = e->next)
        n += e->volume == volume;
    pthread_mutex_unlock(&service->export_lock);
    return n;
}
