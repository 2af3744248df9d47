/*
 * apply.c - a recovery file against an image or a block device
 *
 * Two questions, asked apart: is this the medium that the data were meant for
 * (rec_compare), and write them (rec_apply).
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/format.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int
open_target(const char *target, int flags, uint64_t *out_size,
            struct rec_error *error)
{
    struct stat st;
    int file;

    /* A device that is mounted is not written to: the kernel refuses it. */
    if (flags != O_RDONLY && stat(target, &st) == 0 && S_ISBLK(st.st_mode))
        flags |= O_EXCL;
    file = open(target, flags | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return rec_fail(error, -errno, "%s: %s", target, strerror(errno));
    /* An image in a drive of a running service is locked by it. */
    if (flags != O_RDONLY && flock(file, LOCK_EX | LOCK_NB) != 0) {
        close(file);
        return rec_fail(error, -EBUSY, "%s: in use; take it out of its drive",
                        target);
    }
    if (fstat(file, &st) != 0 ||
        (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        close(file);
        return rec_fail(error, -EINVAL, "%s: not an image or a block device",
                        target);
    }
    *out_size = (uint64_t) st.st_size;
    if (S_ISBLK(st.st_mode) && ioctl(file, BLKGETSIZE64, out_size) != 0) {
        int code = -errno;

        close(file);
        return rec_fail(error, code, "%s: %s", target, strerror(-code));
    }
    return file;
}

static void
take(blkid_probe probe, const char *name, char *out, size_t max)
{
    const char *value;

    if (blkid_probe_lookup_value(probe, name, &value, NULL) == 0)
        snprintf(out, max, "%s", value);
}

/* As src/fs/identity.c names a volume. */
static void
identify(int file, uint64_t size, uint32_t block, struct rec_about *out)
{
    blkid_probe probe = blkid_new_probe();

    if (probe == NULL)
        return;
    if (blkid_probe_set_device(probe, file, 0, (blkid_loff_t) size) == 0) {
        blkid_probe_set_sectorsize(probe, block);
        blkid_probe_enable_superblocks(probe, 1);
        blkid_probe_set_superblocks_flags(
            probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL);
        blkid_probe_enable_partitions(probe, 1);
        if (blkid_do_safeprobe(probe) == 0) {
            take(probe, "TYPE", out->type, sizeof out->type);
            take(probe, "UUID", out->uuid, sizeof out->uuid);
            take(probe, "LABEL", out->label, sizeof out->label);
            if (out->type[0] == '\0') {
                take(probe, "PTTYPE", out->type, sizeof out->type);
                take(probe, "PTUUID", out->uuid, sizeof out->uuid);
            }
        }
    }
    blkid_free_probe(probe);
}

/* A volume without a number of its own has only its witness to tell it. */
static bool
same_volume(const struct rec_about *known, const struct rec_about *seen)
{
    if (known->uuid[0] == '\0')
        return true;
    return strcmp(known->type, seen->type) == 0 &&
           strcmp(known->uuid, seen->uuid) == 0;
}

static bool
agrees(const struct rec_witness *w, const void *block, size_t len)
{
    uint64_t hash = rec_hash(block, len);

    if (w->states == 0)
        return true;
    for (uint32_t i = 0; i < w->states; i++)
        if (w->hash[i] == hash)
            return true;
    return false;
}

static int
compare_blocks(struct rec_reader *r, int file, struct rec_fit *fit,
               struct rec_error *error)
{
    size_t block = rec_about(r)->block_bytes;
    unsigned char *buffer = malloc(block);
    struct rec_item item = { 0 };
    int status;

    if (buffer == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    while ((status = rec_next(r, &item, error)) > 0) {
        for (uint64_t i = 0; item.what == REC_WITNESS && i < item.len; i++) {
            fit->compared++;
            if (pread(file, buffer, block, (off_t) item.witness[i].at) !=
                    (ssize_t) block ||
                !agrees(&item.witness[i], buffer, block))
                fit->differing++;
        }
    }
    free(buffer);
    fit->stray_bytes = rec_stray(r);
    /* Damage is for rec_check to tell; what was compared is compared. */
    return status == -EBADMSG || status == -ENODATA ? 0 : status;
}

static void
say(struct rec_fit *fit, const struct rec_about *known,
    const struct rec_about *seen)
{
    switch (fit->verdict) {
    case REC_FITS:
        snprintf(fit->text, sizeof fit->text,
                 "the medium is the one; %u of its blocks were compared",
                 fit->compared);
        break;
    case REC_OTHER_SIZE:
        snprintf(fit->text, sizeof fit->text,
                 "another size: %" PRIu64 " bytes, not %" PRIu64,
                 seen->size_bytes, known->size_bytes);
        break;
    case REC_OTHER_VOLUME:
        snprintf(fit->text, sizeof fit->text,
                 "another volume: %.31s %.95s, not %.31s %.95s",
                 seen->type[0] != '\0' ? seen->type : "unknown", seen->uuid,
                 known->type, known->uuid);
        break;
    case REC_CHANGED:
        snprintf(fit->text, sizeof fit->text,
                 "changed since: %u of %u blocks are not what they were",
                 fit->differing, fit->compared);
        break;
    }
}

int
rec_compare(const char *path, const char *target, struct rec_fit *out_fit,
            struct rec_error *error)
{
    struct rec_fit fit = { .verdict = REC_FITS };
    struct rec_about seen = { .type = "" };
    const struct rec_about *known;
    struct rec_reader *r = NULL;
    int status = rec_open(path, &r, error), file;

    if (status != 0 || r == NULL)
        return status;
    known = rec_about(r);
    file = open_target(target, O_RDONLY, &seen.size_bytes, error);
    if (file < 0) {
        rec_close(r);
        return file;
    }
    identify(file, seen.size_bytes, known->block_bytes, &seen);
    if (seen.size_bytes != known->size_bytes)
        fit.verdict = REC_OTHER_SIZE;
    else if (!same_volume(known, &seen))
        fit.verdict = REC_OTHER_VOLUME;
    else
        status = compare_blocks(r, file, &fit, error);
    if (fit.differing > 0)
        fit.verdict = REC_CHANGED;
    say(&fit, known, &seen);
    close(file);
    rec_close(r);
    if (status == 0)
        *out_fit = fit;
    return status;
}

static int
write_range(int file, const char *target, uint64_t at, const void *data,
            uint64_t len, struct rec_error *error)
{
    static const char zeroes[65536];

    while (len > 0) {
        size_t part =
            data == NULL && len > sizeof zeroes ? sizeof zeroes : (size_t) len;
        ssize_t n =
            pwrite(file, data != NULL ? data : zeroes, part, (off_t) at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return rec_fail(error, n < 0 ? -errno : -EIO,
                            "%s: at %" PRIu64 ": %s", target, at,
                            strerror(n < 0 ? errno : EIO));
        if (data != NULL)
            data = (const char *) data + n;
        at += (uint64_t) n;
        len -= (uint64_t) n;
    }
    return 0;
}

static int
apply_all(struct rec_reader *r, int file, const char *target, bool force,
          bool dry_run, const struct rec_progress *progress, uint64_t *bytes,
          struct rec_error *error)
{
    struct rec_item item = { 0 };
    int status;

    while ((status = rec_next(r, &item, error)) != 0) {
        bool data = item.what == REC_DATA;

        if (force && (status == -EBADMSG || status == -ENODATA))
            continue;
        if (status < 0)
            return status;
        if (!data && item.what != REC_ZEROES)
            continue;
        if (!dry_run)
            status = write_range(file, target, item.offset,
                                 data ? item.data : NULL, item.len, error);
        if (status < 0)
            return status;
        *bytes += item.len;
        if (progress != NULL)
            progress->fn(progress->ctx, rec_position(r), rec_size(r));
    }
    return 0;
}

int
rec_apply(const char *path, const char *target, bool force, bool dry_run,
          const struct rec_progress *progress, uint64_t *out_bytes,
          struct rec_error *error)
{
    struct rec_summary sum;
    struct rec_reader *r = NULL;
    uint64_t size = 0, bytes = 0;
    int status = rec_check(path, &sum, error), file;

    if (status != 0)
        return status;
    if (!sum.complete && !force)
        return rec_fail(error, -EBADMSG, "%s", sum.problem);
    status = rec_open(path, &r, error);
    if (status != 0 || r == NULL)
        return status;
    file = open_target(target, dry_run ? O_RDONLY : O_RDWR, &size, error);
    status = file < 0 ? file : 0;
    if (status == 0 && size < sum.about.size_bytes)
        status =
            rec_fail(error, -ENOSPC, "%s: smaller than the medium was", target);
    if (status == 0)
        status =
            apply_all(r, file, target, force, dry_run, progress, &bytes, error);
    if (status == 0 && !dry_run && fsync(file) != 0)
        status = rec_fail(error, -errno, "%s: %s", target, strerror(errno));
    if (status == 0 && progress != NULL)
        progress->fn(progress->ctx, rec_size(r), rec_size(r));
    if (file >= 0)
        close(file);
    rec_close(r);
    if (status == 0)
        *out_bytes = bytes;
    return status;
}
