/*
 * fake_link.c - sessions of tape drives that are in memory
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mtio.h>

struct tape_link_window {
    size_t size;
    uint8_t *base;
};

struct tape_link {
    struct fake_drive *drive;
    struct tape_link_window *window;
    bool interrupted, under_way;
    bool wrote;
};

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t fake_changed = PTHREAD_COND_INITIALIZER;
static struct fake_drive drives[2];

struct fake_drive *
fake_drive(const char *name)
{
    return strcmp(name, "lto-a") == 0 ? &drives[0] : &drives[1];
}

static void
cut(struct fake_drive *drive)
{
    while (drive->count > drive->at) {
        drive->bytes -= drive->objects[--drive->count].bytes;
        free(drive->objects[drive->count].data);
    }
}

void
fake_reset(void)
{
    for (size_t i = 0; i < 2; i++) {
        drives[i].at = 0;
        cut(&drives[i]);
        memset(&drives[i], 0, sizeof drives[i]);
    }
}

/* --- windows ------------------------------------------------------------------ */

int
tape_link_window_new(size_t size, struct tape_link_window **out_window)
{
    struct tape_link_window *window = calloc(1, sizeof *window);

    if (window == NULL || size > (64u << 20))
        return -EINVAL;
    window->size = size;
    window->base = aligned_alloc(4096, size);
    *out_window = window;
    return 0;
}

void
tape_link_window_free(struct tape_link_window *window)
{
    if (window != NULL)
        free(window->base);
    free(window);
}

void *
tape_link_window_base(const struct tape_link_window *window)
{
    return window->base;
}

/* --- sessions ------------------------------------------------------------------ */

int
tape_link_open_in(const char *control, const char *name,
                  const struct ri_tape_how *how,
                  struct tape_link_window *window, struct tape_link **out_link,
                  struct ri_error *out_error)
{
    struct fake_drive *drive = fake_drive(name);
    struct tape_link *link;
    int error = 0;

    (void) pthread_mutex_lock(&fake_lock);
    if (drive->open_fails != 0)
        error = drive->open_fails;
    else if (drive->open)
        error = -EBUSY;
    else if (drive->empty && !how->no_tape_needed)
        error = -ENOMEDIUM;
    else if (drive->write_protected && how->write)
        error = -EROFS;
    if (error == 0) {
        link = calloc(1, sizeof *link);
        link->drive = drive;
        link->window = window;
        drive->open = true;
        drive->opens++;
        drive->how = *how;
        *out_link = link;
    } else {
        (void) snprintf(out_error->text, sizeof out_error->text,
                        "%s: no session at %s", name, control);
    }
    (void) pthread_mutex_unlock(&fake_lock);
    return error;
}

/* Until the tape is there.  Locked. */
static int
begin(struct tape_link *link, struct ri_tape_result *out)
{
    struct fake_drive *drive = link->drive;

    memset(out, 0, sizeof *out);
    link->under_way = true;
    while (drive->away && !link->interrupted) {
        drive->waiting = true;
        (void) pthread_cond_wait(&fake_changed, &fake_lock);
    }
    drive->waiting = link->under_way = false;
    if (link->interrupted) {
        link->interrupted = false;
        if (drive->away)
            return -EINTR;
    }
    if (drive->fails != 0)
        (void) snprintf(out->text, sizeof out->text, "it fails");
    return drive->fails;
}

static int
append(struct tape_link *link, const void *data, size_t size)
{
    struct fake_drive *drive = link->drive;

    if (drive->full_at != 0 && drive->bytes + size > drive->full_at)
        return -ENOSPC;
    cut(drive);
    if (drive->count == FAKE_OBJECTS)
        return -EIO;
    drive->objects[drive->count].data = size != 0 ? malloc(size) : NULL;
    if (size != 0)
        memcpy(drive->objects[drive->count].data, data, size);
    drive->objects[drive->count++].bytes = size;
    drive->at = drive->count;
    drive->bytes += size;
    link->wrote = size != 0;
    return 0;
}

static bool
inside(const struct tape_link_window *window, const void *data, size_t size)
{
    const uint8_t *at = data;

    return at >= window->base && at + size <= window->base + window->size;
}

int
tape_link_write(struct tape_link *link, const void *data, size_t size,
                struct ri_tape_result *out)
{
    struct fake_drive *drive = link->drive;
    int error;

    (void) pthread_mutex_lock(&fake_lock);
    error = begin(link, out);
    if (error == 0 && !drive->how.write)
        error = -EROFS;
    if (error == 0 && drive->block_bytes != 0 && size % drive->block_bytes != 0)
        error = -EINVAL;
    if (error == 0)
        error = append(link, data, size);
    if (error == 0)
        out->bytes = size;
    out->early_warning =
        error == 0 && drive->warn_at != 0 && drive->bytes > drive->warn_at;
    drive->in_window = inside(link->window, data, size);
    (void) pthread_mutex_unlock(&fake_lock);
    return error;
}

int
tape_link_read(struct tape_link *link, void *data, size_t size,
               struct ri_tape_result *out)
{
    struct fake_drive *drive = link->drive;
    int error;

    (void) pthread_mutex_lock(&fake_lock);
    error = begin(link, out);
    drive->last_read_size = size;
    drive->in_window = inside(link->window, data, size);
    if (error == 0 && drive->at < drive->count) {
        const struct fake_object *object = &drive->objects[drive->at++];

        if (object->bytes > size) {
            error = -ENOMEM;
        } else if (object->bytes != 0) {
            memcpy(data, object->data, object->bytes);
            out->bytes = object->bytes;
        }
        out->filemark = object->bytes == 0;
    } else if (error == 0) {
        out->end_of_data = true;
    }
    (void) pthread_mutex_unlock(&fake_lock);
    return error;
}

int
tape_link_op(struct tape_link *link, int mt_op, int64_t count,
             struct ri_tape_result *out)
{
    struct fake_drive *drive = link->drive;
    int error;

    (void) pthread_mutex_lock(&fake_lock);
    error = begin(link, out);
    drive->last_op = mt_op;
    drive->last_count = count;
    if (error == 0 && mt_op == MTWEOF && count == 0) {
        drive->syncs++;
        error = drive->sync_fails;
    } else if (error == 0 && mt_op == MTWEOF) {
        drive->marks++;
        error = drive->sync_fails;
        while (error == 0 && count-- > 0)
            error = append(link, NULL, 0);
    } else if (error == 0 && mt_op == MTREW) {
        drive->at = 0;
    } else if (error == 0 && mt_op == MTERASE) {
        error = -ENOSYS;
    }
    (void) pthread_mutex_unlock(&fake_lock);
    return error;
}

int
tape_link_status(struct tape_link *link, struct mtget *out_get,
                 struct mtpos *out_pos, struct ri_tape_info *out_info)
{
    struct fake_drive *drive = link->drive;
    struct ri_tape_result result;
    int error;

    (void) pthread_mutex_lock(&fake_lock);
    error = begin(link, &result);
    memset(out_get, 0, sizeof *out_get);
    memset(out_info, 0, sizeof *out_info);
    out_get->mt_type = MT_ISSCSI2;
    out_get->mt_dsreg = (long) drive->block_bytes << MT_ST_BLKSIZE_SHIFT;
    out_get->mt_fileno = 3;
    out_get->mt_blkno = 7;
    out_pos->mt_blkno = (long) drive->at;
    (void) pthread_mutex_unlock(&fake_lock);
    return error;
}

void
tape_link_interrupt(struct tape_link *link)
{
    (void) pthread_mutex_lock(&fake_lock);
    link->drive->interrupts++;
    if (link->under_way)
        link->interrupted = true;
    (void) pthread_cond_broadcast(&fake_changed);
    (void) pthread_mutex_unlock(&fake_lock);
}

int
tape_link_close(struct tape_link *link, struct ri_tape_result *out)
{
    struct fake_drive *drive = link->drive;
    int error;

    (void) pthread_mutex_lock(&fake_lock);
    memset(out, 0, sizeof *out);
    while (drive->close_waits)
        (void) pthread_cond_wait(&fake_changed, &fake_lock);
    if (link->wrote)
        (void) append(link, NULL, 0);
    if (drive->how.rewind_at_close)
        drive->at = 0;
    drive->open = false;
    drive->closes++;
    error = drive->close_fails;
    (void) pthread_cond_broadcast(&fake_changed);
    (void) pthread_mutex_unlock(&fake_lock);
    free(link);
    return error;
}
