/*
 * read.c - recovery files, read; nothing in them is believed
 *
 * A record whose head is whole and whose data are not is passed over: the next
 * begins where its length says.  A damaged head ends the reading, because
 * nothing tells where the next would begin.
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/format.h"
#include "recovery/ulog_items.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rec_reader {
    int file;
    bool ended, whole; /* with its end */
    uint64_t at, size;
    uint64_t records, bytes;
    struct rec_about about;
    unsigned char *buffer;
    size_t room;
    struct ulog_items *log; /* it is a log of unflushed data */
    char path[4096];
};

/* 1: all of it; 0: the file ends before. */
static int
read_all(struct rec_reader *r, uint64_t at, void *buffer, size_t len,
         struct rec_error *error)
{
    char *to = buffer;

    while (len > 0) {
        ssize_t n = pread(r->file, to, len, (off_t) at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rec_fail(error, -errno, "%s: %s", r->path, strerror(errno));
        if (n == 0)
            return 0;
        to += n;
        at += (uint64_t) n;
        len -= (size_t) n;
    }
    return 1;
}

static void
copy_text(char *to, size_t max, const char *from, size_t len)
{
    snprintf(to, max, "%.*s", (int) strnlen(from, len), from);
}

static int
read_head(struct rec_reader *r, struct rec_error *error)
{
    struct rec_head head;
    int whole = read_all(r, 0, &head, sizeof head, error);

    if (whole < 0)
        return whole;
    if (whole == 0 || memcmp(head.magic, REC_MAGIC, sizeof head.magic) != 0)
        return rec_fail(error, -EINVAL, "%s: not a recovery file", r->path);
    if (head.crc != rec_crc(&head, offsetof(struct rec_head, crc)))
        return rec_fail(error, -EBADMSG, "%s: its head is damaged", r->path);
    if (head.version != REC_VERSION)
        return rec_fail(error, -EPROTO, "%s: version %u; this program knows %u",
                        r->path, head.version, REC_VERSION);
    if (head.flags != 0)
        return rec_fail(error, -EPROTO,
                        "%s: flags 0x%x; this program knows none", r->path,
                        head.flags);
    if (head.block_bytes < 512 || head.block_bytes > 65536 ||
        (head.block_bytes & (head.block_bytes - 1)) != 0 ||
        head.size_bytes > INT64_MAX)
        return rec_fail(error, -EINVAL, "%s: its head makes no sense", r->path);
    r->about.created_ms = head.created_ms;
    r->about.status = head.status;
    r->about.block_bytes = head.block_bytes;
    r->about.size_bytes = head.size_bytes;
    r->about.log_salt = head.log_salt;
    r->about.log_generation = head.log_generation;
    copy_text(r->about.type, sizeof r->about.type, head.type, sizeof head.type);
    copy_text(r->about.uuid, sizeof r->about.uuid, head.uuid, sizeof head.uuid);
    copy_text(r->about.label, sizeof r->about.label, head.label,
              sizeof head.label);
    copy_text(r->about.drive, sizeof r->about.drive, head.drive,
              sizeof head.drive);
    r->at = sizeof head;
    return 0;
}

int
rec_open(const char *path, struct rec_reader **out_reader,
         struct rec_error *error)
{
    struct rec_reader *r = calloc(1, sizeof *r);
    struct stat st;
    int status = 0;

    if (r == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    snprintf(r->path, sizeof r->path, "%s", path);
    r->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->file < 0 || fstat(r->file, &st) != 0)
        status = rec_fail(error, -errno, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        status = rec_fail(error, -EINVAL, "%s: not a file", path);
    else
        r->size = (uint64_t) st.st_size;
    if (status == 0)
        status = read_head(r, error);
    if (status == -EINVAL && r->size != 0) {
        struct rec_error other;
        int rc = ulog_items_open(path, &r->log, &r->about, &other);

        if (rc != -EINVAL)
            status = rc == 0 ? 0 : rec_fail(error, rc, "%s", other.text);
    }
    if (status != 0) {
        rec_close(r);
        return status;
    }
    *out_reader = r;
    return 0;
}

const struct rec_about *
rec_about(const struct rec_reader *r)
{
    return &r->about;
}

uint64_t
rec_position(const struct rec_reader *r)
{
    return r->log != NULL ? ulog_items_position(r->log) : r->at;
}

uint64_t
rec_size(const struct rec_reader *r)
{
    return r->size;
}

uint64_t
rec_stray(const struct rec_reader *r)
{
    return r->log == NULL && r->whole && r->size > r->at ? r->size - r->at : 0;
}

void
rec_close(struct rec_reader *r)
{
    if (r == NULL)
        return;
    if (r->file >= 0)
        close(r->file);
    ulog_items_free(r->log);
    free(r->buffer);
    free(r);
}

static bool
in_medium(const struct rec_reader *r, const struct rec_mark *mark)
{
    uint32_t block = r->about.block_bytes;

    return mark->len > 0 && mark->offset <= r->about.size_bytes &&
           mark->len <= r->about.size_bytes - mark->offset &&
           mark->offset % block == 0 && mark->len % block == 0;
}

static bool
makes_sense(const struct rec_reader *r, const struct rec_mark *mark)
{
    switch (mark->what) {
    case REC_DATA:
        return mark->payload == mark->len && mark->payload <= REC_DATA_MAX &&
               in_medium(r, mark);
    case REC_ZEROES:
        return mark->payload == 0 && in_medium(r, mark);
    case REC_WITNESS:
        return mark->len <= REC_WITNESS_MAX &&
               mark->payload == mark->len * sizeof(struct rec_witness);
    case REC_END:
        return mark->payload == 0;
    default:
        return false;
    }
}

static int
grow(struct rec_reader *r, size_t room, struct rec_error *error)
{
    void *more;

    if (room <= r->room)
        return 0;
    more = realloc(r->buffer, room);
    if (more == NULL)
        return rec_fail(error, -ENOMEM, "%s: no memory for a record of %zu",
                        r->path, room);
    r->buffer = more;
    r->room = room;
    return 0;
}

static bool
witness_sound(const struct rec_witness *list, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (list[i].states > REC_STATES)
            return false;
    return true;
}

static int
torn(struct rec_reader *r, uint64_t from, struct rec_error *error)
{
    r->ended = true;
    return rec_fail(error, -ENODATA,
                    "%s: ends in the middle of the record at %" PRIu64, r->path,
                    from);
}

static int
damaged(const struct rec_reader *r, uint64_t from, const struct rec_mark *mark,
        struct rec_error *error)
{
    if (mark->what == REC_WITNESS)
        return rec_fail(error, -EBADMSG,
                        "%s: the witness at %" PRIu64 " is damaged", r->path,
                        from);
    return rec_fail(error, -EBADMSG,
                    "%s: the data of the record at %" PRIu64
                    " (medium: %" PRIu64 " bytes at %" PRIu64 ") are damaged",
                    r->path, from, mark->len, mark->offset);
}

/* The head of the next record is at r->at. */
static int
read_mark(struct rec_reader *r, struct rec_mark *mark, struct rec_error *error)
{
    int whole;

    if (r->at == r->size) {
        r->ended = true;
        return rec_fail(error, -ENODATA, "%s: has no end", r->path);
    }
    whole = read_all(r, r->at, mark, sizeof *mark, error);
    if (whole < 0)
        return whole;
    if (whole == 0)
        return torn(r, r->at, error);
    if (mark->magic != REC_RECORD_MAGIC ||
        mark->crc != rec_crc(mark, offsetof(struct rec_mark, crc))) {
        r->ended = true;
        return rec_fail(error, -EBADMSG,
                        "%s: damaged at %" PRIu64
                        ", what follows cannot be read",
                        r->path, r->at);
    }
    return 1;
}

int
rec_next(struct rec_reader *r, struct rec_item *out_item,
         struct rec_error *error)
{
    struct rec_mark mark = { 0 };
    uint64_t from = r->at, padded;
    int status;

    if (r->log != NULL)
        return ulog_items_next(r->log, out_item);
    if (r->ended)
        return 0;
    status = read_mark(r, &mark, error);
    if (status != 1)
        return status;
    padded = ((uint64_t) mark.payload + REC_ALIGN - 1) / REC_ALIGN * REC_ALIGN;
    r->at += sizeof mark + padded;
    r->records++;
    if (!makes_sense(r, &mark))
        return rec_fail(error, -EBADMSG,
                        "%s: the record at %" PRIu64 " makes no sense", r->path,
                        from);
    status = grow(r, padded, error);
    if (status != 0)
        return status;
    status = read_all(r, from + sizeof mark, r->buffer, padded, error);
    if (status <= 0)
        return status < 0 ? status : torn(r, from, error);
    if (rec_crc(padded > 0 ? (const void *) r->buffer : "", mark.payload) !=
        mark.payload_crc)
        return damaged(r, from, &mark, error);
    if (mark.what == REC_WITNESS &&
        !witness_sound((const struct rec_witness *) r->buffer, mark.len))
        return rec_fail(error, -EBADMSG,
                        "%s: the witness at %" PRIu64 " makes no sense",
                        r->path, from);
    if (mark.what == REC_END) {
        r->ended = r->whole = true;
        if (mark.offset != r->records - 1)
            return rec_fail(error, -EBADMSG, "%s: records are missing",
                            r->path);
        return 0;
    }
    *out_item = (struct rec_item){ .what = (enum rec_record) mark.what,
                                   .offset = mark.offset,
                                   .len = mark.len,
                                   .data = r->buffer,
                                   .witness = (const void *) r->buffer };
    return 1;
}

int
rec_check(const char *path, struct rec_summary *out_summary,
          struct rec_error *error)
{
    struct rec_summary sum = { .complete = true };
    struct rec_reader *r = NULL;
    struct rec_item item = { 0 };
    struct rec_error wrong = { "" };
    int status = rec_open(path, &r, error);

    if (status != 0 || r == NULL)
        return status;
    sum.about = r->about;
    while ((status = rec_next(r, &item, &wrong)) != 0) {
        if (status == -EBADMSG || status == -ENODATA) {
            sum.damaged++;
            if (sum.problem[0] == '\0')
                memcpy(sum.problem, wrong.text, sizeof sum.problem);
            sum.complete = false;
            continue;
        }
        if (status < 0) {
            rec_close(r);
            return rec_fail(error, status, "%s", wrong.text);
        }
        sum.records++;
        if (item.what == REC_DATA || item.what == REC_ZEROES)
            sum.bytes += item.len;
        else if (item.what == REC_WITNESS)
            sum.witnesses += (uint32_t) item.len;
    }
    sum.stray_bytes = rec_stray(r);
    rec_close(r);
    *out_summary = sum;
    return 0;
}
