/*
 * write.c - recovery files, written
 *
 * A recovery file grows under a temporary name and gets its own when all of it
 * is on disk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

struct rec_writer {
    int file, folder;
    uint64_t records, bytes;
    char path[4096]; /* what it will be called */
    char temporary[4128];
};

int
rec_fail(struct rec_error *error, int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    if (error != NULL)
        vsnprintf(error->text, sizeof error->text, format, list);
    va_end(list);
    return code;
}

uint32_t
rec_crc(const void *data, size_t len)
{
    return (uint32_t) crc32_z(crc32_z(0, NULL, 0), data, len);
}

/* FNV-1a over words of eight bytes, the high half folded in; never 0. */
uint64_t
rec_hash(const void *block, size_t len)
{
    uint64_t hash = 0xCBF29CE484222325ull, word;

    for (size_t i = 0; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, (const char *) block + i, sizeof word);
        hash = (hash ^ word) * 0x100000001B3ull;
        hash ^= hash >> 32;
    }
    return hash | 1;
}

const char *
rec_path(const struct rec_writer *writer)
{
    return writer->path;
}

/* What a name of a volume may leave in a file's name. */
static void
add_word(char *out, size_t max, const char *word)
{
    size_t len = strlen(out);

    for (; *word != '\0' && len + 1 < max && len < 120; word++) {
        bool plain =
            (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') ||
            (*word >= '0' && *word <= '9') || *word == '-' || *word == '_';

        out[len++] = plain ? *word : '_';
    }
    out[len] = '\0';
}

static void
make_name(const struct rec_about *about, unsigned serial, char *out, size_t max)
{
    time_t seconds = (time_t) (about->created_ms / 1000);
    struct tm utc;
    char when[64] = "";

    out[0] = '\0';
    add_word(out, max, about->label[0] != '\0' ? about->label : about->type);
    if (about->uuid[0] != '\0') {
        add_word(out, max, "-");
        add_word(out, max, about->uuid);
    }
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(when, sizeof when, "-%Y%m%dT%H%M%SZ", &utc);
    add_word(out, max, when);
    if (serial != 0)
        snprintf(out + strlen(out), max - strlen(out), "-%u", serial);
    snprintf(out + strlen(out), max - strlen(out), ".recovery");
}

static int
write_all(struct rec_writer *w, struct iovec *part, int count,
          struct rec_error *error)
{
    while (count > 0) {
        ssize_t n = writev(w->file, part, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rec_fail(error, -errno, "%s: %s", w->temporary,
                            strerror(errno));
        while (count > 0 && (size_t) n >= part->iov_len) {
            n -= (ssize_t) part->iov_len;
            part++;
            count--;
        }
        if (count > 0) {
            part->iov_base = (char *) part->iov_base + n;
            part->iov_len -= (size_t) n;
        }
    }
    return 0;
}

static int
write_head(struct rec_writer *w, const struct rec_about *about,
           struct rec_error *error)
{
    struct rec_head head = {
        .magic = REC_MAGIC,
        .version = REC_VERSION,
        .created_ms = about->created_ms,
        .size_bytes = about->size_bytes,
        .block_bytes = about->block_bytes,
        .status = about->status,
        .log_salt = about->log_salt,
        .log_generation = about->log_generation,
    };
    struct iovec part = { &head, sizeof head };

    snprintf(head.type, sizeof head.type, "%s", about->type);
    snprintf(head.uuid, sizeof head.uuid, "%s", about->uuid);
    snprintf(head.label, sizeof head.label, "%s", about->label);
    snprintf(head.drive, sizeof head.drive, "%s", about->drive);
    head.crc = rec_crc(&head, offsetof(struct rec_head, crc));
    return write_all(w, &part, 1, error);
}

/* A name that nobody has yet. */
static int
take_name(struct rec_writer *w, const char *dir, const struct rec_about *about,
          struct rec_error *error)
{
    char name[256];

    for (unsigned serial = 0; serial < 1000; serial++) {
        make_name(about, serial, name, sizeof name);
        if ((size_t) snprintf(w->path, sizeof w->path, "%s/%s", dir, name) >=
            sizeof w->path)
            return rec_fail(error, -ENAMETOOLONG, "%s: name too long", dir);
        snprintf(w->temporary, sizeof w->temporary, "%s.part", w->path);
        if (access(w->path, F_OK) == 0)
            continue;
        w->file =
            open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (w->file >= 0)
            return 0;
        if (errno != EEXIST)
            return rec_fail(error, -errno, "%s: %s", w->path, strerror(errno));
    }
    return rec_fail(error, -EEXIST, "%s: a thousand files for this volume",
                    dir);
}

int
rec_create(const char *dir, const struct rec_about *about,
           struct rec_writer **out_writer, struct rec_error *error)
{
    struct rec_writer *w = calloc(1, sizeof *w);
    int status;

    if (w == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    w->file = -1;
    w->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->folder < 0) {
        status = rec_fail(error, -errno, "%s: %s", dir, strerror(errno));
        free(w);
        return status;
    }
    status = take_name(w, dir, about, error);
    if (status == 0)
        status = write_head(w, about, error);
    if (status != 0) {
        rec_abandon(w);
        return status;
    }
    *out_writer = w;
    return 0;
}

static int
add(struct rec_writer *w, enum rec_record what, uint64_t offset, uint64_t len,
    const void *payload, uint32_t bytes, struct rec_error *error)
{
    static const char zeroes[REC_ALIGN];
    struct rec_mark mark = {
        .magic = REC_RECORD_MAGIC,
        .what = what,
        .offset = offset,
        .len = len,
        .payload = bytes,
        .payload_crc = rec_crc(payload != NULL ? payload : "", bytes),
    };
    struct iovec part[3] = {
        { &mark, sizeof mark },
        { (void *) payload, bytes },
        { (void *) zeroes, (REC_ALIGN - bytes % REC_ALIGN) % REC_ALIGN },
    };

    mark.crc = rec_crc(&mark, offsetof(struct rec_mark, crc));
    w->records++;
    return write_all(w, part, 3, error);
}

int
rec_add_witness(struct rec_writer *w, const struct rec_witness *list,
                size_t count, struct rec_error *error)
{
    if (count == 0)
        return 0;
    if (count > REC_WITNESS_MAX)
        return rec_fail(error, -E2BIG, "%s: witness too large", w->path);
    return add(w, REC_WITNESS, 0, count, list,
               (uint32_t) (count * sizeof *list), error);
}

int
rec_add(struct rec_writer *w, uint64_t offset, const void *data, uint32_t len,
        struct rec_error *error)
{
    if (len == 0 || len > REC_DATA_MAX)
        return rec_fail(error, -EINVAL, "%s: a record of %u bytes", w->path,
                        len);
    w->bytes += len;
    return add(w, REC_DATA, offset, len, data, len, error);
}

int
rec_add_zeroes(struct rec_writer *w, uint64_t offset, uint64_t len,
               struct rec_error *error)
{
    w->bytes += len;
    return add(w, REC_ZEROES, offset, len, NULL, 0, error);
}

static int
sync_file(struct rec_writer *w, struct rec_error *error)
{
    if (fdatasync(w->file) != 0)
        return rec_fail(error, -errno, "%s: %s", w->path, strerror(errno));
    return 0;
}

void
rec_abandon(struct rec_writer *w)
{
    if (w->file >= 0) {
        close(w->file);
        unlink(w->temporary);
    }
    close(w->folder);
    free(w);
}

int
rec_finish(struct rec_writer *w, struct rec_error *error)
{
    int status = add(w, REC_END, w->records, w->bytes, NULL, 0, error);

    if (status == 0)
        status = sync_file(w, error);
    if (status == 0 && rename(w->temporary, w->path) != 0)
        status = rec_fail(error, -errno, "%s: %s", w->path, strerror(errno));
    else if (status == 0 && fsync(w->folder) != 0) {
        status = rec_fail(error, -errno, "%s: %s", w->path, strerror(errno));
        unlink(w->path);
    }
    if (status != 0) {
        rec_abandon(w);
        return status;
    }
    close(w->file);
    close(w->folder);
    free(w);
    return 0;
}
