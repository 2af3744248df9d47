/*
 * ulog_read.c - the log on disk, read; nothing in it is believed
 *
 * The records are a chain: the next one has the next number and the sum of the
 * one before, behind it or at the beginning of the ring.  Where the chain ends,
 * what was being written ends as well, unless a record behind says that what is
 * missing was on disk already: then the file is damaged.
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/ulog_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ulog_reader {
    unsigned char *file;
    uint64_t size;
    struct ulog_slot slot;
    struct ulog_head head;
    struct rec_witness witness[ULOG_WITNESS_MAX];
    unsigned char identity[ULOG_IDENTITY_MAX];
    struct ulog_place first, end, at;
    char path[4096];
};

static int
load(struct ulog_reader *r, struct rec_error *error)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st = { .st_size = 0 };
    uint64_t got = 0;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) != 0)
        rc = rec_fail(error, -errno, "%s: %s", r->path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = rec_fail(error, -EINVAL, "%s: not a file", r->path);
    else
        r->file = malloc((size_t) st.st_size + 1);
    if (rc == 0 && r->file == NULL)
        rc = rec_fail(error, -ENOMEM, "%s: no memory", r->path);
    while (rc == 0 && got < (uint64_t) st.st_size) {
        ssize_t n =
            pread(fd, r->file + got, (size_t) st.st_size - got, (off_t) got);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            rc = rec_fail(error, -errno, "%s: %s", r->path, strerror(errno));
        got += n > 0 ? (uint64_t) n : 0;
    }
    r->size = got;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* --- the head ------------------------------------------------------------- */

static bool
slot_sound(const struct ulog_slot *slot)
{
    return slot->block_bytes >= 512 && slot->block_bytes <= 65536 &&
           (slot->block_bytes & (slot->block_bytes - 1)) == 0 &&
           slot->size_bytes <= INT64_MAX && slot->ring_bytes != 0 &&
           slot->ring_bytes <= ULOG_RING_MOST &&
           slot->ring_bytes % ULOG_ALIGN == 0 &&
           slot->first_at <= slot->ring_bytes &&
           slot->first_at % ULOG_ALIGN == 0 && slot->first_seq != 0 &&
           slot->identity_bytes <= ULOG_IDENTITY_MAX &&
           slot->witness_count <= ULOG_WITNESS_MAX;
}

static bool
witness_sound(const unsigned char *at, uint32_t count)
{
    struct rec_witness entry;

    for (uint32_t i = 0; i < count; i++) {
        memcpy(&entry, at + i * sizeof entry, sizeof entry);
        if (entry.states > REC_STATES)
            return false;
    }
    return true;
}

/* 1: it counts; 0: it does not. -EPROTO: of another version. */
static int
check_slot(const struct ulog_reader *r, uint64_t at, struct ulog_slot *out,
           struct rec_error *error)
{
    const unsigned char *body = r->file + at + sizeof *out;
    size_t payload;

    if (r->size < at + sizeof *out)
        return 0;
    memcpy(out, r->file + at, sizeof *out);
    if (memcmp(out->magic, ULOG_MAGIC, sizeof out->magic) != 0 ||
        out->crc != rec_crc(out, offsetof(struct ulog_slot, crc)))
        return 0;
    if (out->version != ULOG_VERSION || out->flags != 0)
        return rec_fail(error, -EPROTO,
                        "%s: version %u, flags %u; this program knows "
                        "version %u without flags",
                        r->path, out->version, out->flags, ULOG_VERSION);
    if (!slot_sound(out))
        return 0;
    payload =
        out->identity_bytes + out->witness_count * sizeof(struct rec_witness);
    return r->size - at - sizeof *out >= payload &&
           rec_crc(body, payload) == out->payload_crc &&
           witness_sound(body + out->identity_bytes, out->witness_count);
}

static void
take_head(struct ulog_reader *r, uint64_t at)
{
    const unsigned char *body = r->file + at + sizeof r->slot;
    const struct ulog_slot *slot = &r->slot;
    struct rec_about *about = &r->head.about;

    about->created_ms = slot->created_ms;
    about->size_bytes = slot->size_bytes;
    about->block_bytes = slot->block_bytes;
    snprintf(about->type, sizeof about->type, "%.31s", slot->type);
    snprintf(about->uuid, sizeof about->uuid, "%.95s", slot->uuid);
    snprintf(about->label, sizeof about->label, "%.127s", slot->label);
    snprintf(about->drive, sizeof about->drive, "%.63s", slot->drive);
    memcpy(r->identity, body, slot->identity_bytes);
    memcpy(r->witness, body + slot->identity_bytes,
           slot->witness_count * sizeof r->witness[0]);
    r->head.identity = r->identity;
    r->head.identity_bytes = slot->identity_bytes;
    r->head.witness = r->witness;
    r->head.witness_count = slot->witness_count;
}

static bool
looks_like_one(const struct ulog_reader *r)
{
    for (int i = 0; i < 2; i++)
        if (r->size >= i * ULOG_SLOT_BYTES + 16 &&
            memcmp(r->file + i * ULOG_SLOT_BYTES, ULOG_MAGIC, 16) == 0)
            return true;
    return false;
}

static int
read_slots(struct ulog_reader *r, struct rec_error *error)
{
    struct ulog_slot slot;
    bool found = false;

    for (uint64_t i = 0; i < 2; i++) {
        int rc = check_slot(r, i * ULOG_SLOT_BYTES, &slot, error);

        if (rc < 0)
            return rc;
        if (rc == 0 ||
            (found && (int64_t) (slot.generation - r->slot.generation) <= 0))
            continue;
        r->slot = slot;
        take_head(r, i * ULOG_SLOT_BYTES);
        found = true;
    }
    if (found)
        return 0;
    return looks_like_one(r)
               ? rec_fail(error, -EBADMSG, "%s: both heads are damaged",
                          r->path)
               : rec_fail(error, -EINVAL, "%s: not a log of unflushed data",
                          r->path);
}

/* --- records -------------------------------------------------------------- */

static bool
in_medium(const struct ulog_reader *r, const struct ulog_mark *mark)
{
    return mark->len != 0 && mark->offset % 512 == 0 && mark->len % 512 == 0 &&
           mark->offset <= r->slot.size_bytes &&
           mark->len <= r->slot.size_bytes - mark->offset;
}

static bool
whole_record(const struct ulog_reader *r, uint64_t at, struct ulog_mark *out)
{
    uint64_t room;

    if (at > r->size - ULOG_RING_AT ||
        r->size - ULOG_RING_AT - at < sizeof *out)
        return false;
    room = r->size - ULOG_RING_AT - at;
    memcpy(out, r->file + ULOG_RING_AT + at, sizeof *out);
    if (out->magic != ULOG_RECORD_MAGIC || out->salt != r->slot.salt ||
        out->crc != rec_crc(out, offsetof(struct ulog_mark, crc)))
        return false;
    return (out->what == ULOG_DATA
                ? out->payload == out->len && out->payload <= REC_DATA_MAX
                : (out->what == ULOG_ZEROES || out->what == ULOG_DROP) &&
                      out->payload == 0) &&
           in_medium(r, out) &&
           ulog_padded(out->payload) <= r->slot.ring_bytes - at &&
           sizeof *out + out->payload <= room &&
           rec_crc(r->file + ULOG_RING_AT + at + sizeof *out, out->payload) ==
               out->payload_crc;
}

static bool
is_next(const struct ulog_reader *r, uint64_t at,
        const struct ulog_place *expected, struct ulog_mark *out)
{
    return at < r->slot.ring_bytes && whole_record(r, at, out) &&
           out->seq == expected->seq && out->chain == expected->chain;
}

/* Finds the record that is expected at `place`, and moves that behind it. */
static bool
step(const struct ulog_reader *r, struct ulog_place *place,
     struct ulog_mark *out, uint64_t *out_at)
{
    uint64_t at = place->at;

    if (r->size < ULOG_RING_AT)
        return false;
    if (!is_next(r, at, place, out)) {
        at = 0;
        if (place->at == 0 || !is_next(r, at, place, out))
            return false;
    }
    place->at = at + ulog_padded(out->payload);
    place->seq++;
    place->chain = out->crc;
    *out_at = at;
    return true;
}

/* Does a record behind the end of the chain know that more was on disk? */
static int
look_for_lost(const struct ulog_reader *r, struct rec_error *error)
{
    struct ulog_mark mark;
    uint64_t most = r->size > ULOG_RING_AT ? r->size - ULOG_RING_AT : 0;

    if (most > r->slot.ring_bytes)
        most = r->slot.ring_bytes;
    for (uint64_t at = 0; at + sizeof mark <= most; at += ULOG_ALIGN) {
        memcpy(&mark, r->file + ULOG_RING_AT + at, sizeof mark);
        if (mark.magic == ULOG_RECORD_MAGIC && mark.salt == r->slot.salt &&
            mark.seq > r->end.seq && mark.synced >= r->end.seq &&
            mark.crc == rec_crc(&mark, offsetof(struct ulog_mark, crc)))
            return rec_fail(error, -EBADMSG,
                            "%s: damaged at %" PRIu64 ": record %" PRIu64
                            " is lost",
                            r->path, ULOG_RING_AT + r->end.at, r->end.seq);
    }
    return 0;
}

int
ulog_read(const char *path, struct ulog_reader **out_reader,
          struct rec_error *error)
{
    struct ulog_reader *r = calloc(1, sizeof *r);
    struct ulog_mark mark;
    uint64_t at;
    int rc;

    if (r == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    snprintf(r->path, sizeof r->path, "%s", path);
    rc = load(r, error);
    if (rc == 0)
        rc = read_slots(r, error);
    if (rc == 0) {
        r->first = (struct ulog_place){ r->slot.first_at, r->slot.first_seq,
                                        r->slot.first_chain };
        r->end = r->at = r->first;
        while (step(r, &r->end, &mark, &at))
            ;
        rc = look_for_lost(r, error);
    }
    if (rc != 0)
        ulog_reader_free(r);
    else
        *out_reader = r;
    return rc;
}

const struct ulog_head *
ulog_reader_head(const struct ulog_reader *r)
{
    return &r->head;
}

uint64_t
ulog_reader_salt(const struct ulog_reader *r)
{
    return r->slot.salt;
}

uint64_t
ulog_reader_generation(const struct ulog_reader *r)
{
    return r->slot.generation;
}

int
ulog_next(struct ulog_reader *r, struct ulog_record *out_record)
{
    struct ulog_mark mark;
    uint64_t at;

    if (r->at.seq == r->end.seq || !step(r, &r->at, &mark, &at))
        return 0;
    *out_record = (struct ulog_record){
        .what = (enum ulog_what) mark.what,
        .offset = mark.offset,
        .len = mark.len,
        .data = mark.what == ULOG_DATA
                    ? r->file + ULOG_RING_AT + at + sizeof mark
                    : NULL,
    };
    return 1;
}

void
ulog_reader_free(struct ulog_reader *r)
{
    if (r == NULL)
        return;
    free(r->file);
    free(r);
}

int
ulog_resume(const struct ulog_reader *r, uint32_t epoch, struct ulog **out_log,
            struct rec_error *error)
{
    struct ulog *log = calloc(1, sizeof *log);
    char folder[sizeof r->path];
    char *slash;

    if (log == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    memcpy(log->path, r->path, sizeof log->path);
    memcpy(folder, r->path, sizeof folder);
    slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
    log->folder =
        open(slash == NULL ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    log->file = open(r->path, O_RDWR | O_CLOEXEC);
    if (log->folder < 0 || log->file < 0) {
        int rc = rec_fail(error, -errno, "%s: %s", r->path, strerror(errno));

        ulog_leave(log);
        return rc;
    }
    log->salt = r->slot.salt;
    log->generation = r->slot.generation;
    log->ring = r->slot.ring_bytes;
    log->tail = r->first;
    log->next = r->end;
    log->synced = r->end.seq - 1;
    if (r->end.seq != r->first.seq) {
        log->live[0] = (struct ulog_epoch){ epoch, r->first };
        log->live_count = 1;
    }
    /* A torn tail: nothing is put behind it before a flush. */
    log->broken = true;
    *out_log = log;
    return 0;
}
