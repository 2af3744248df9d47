/*
 * ulog_write.c - the log on disk, written
 *
 * A batch is put behind the last record, in the ring, and made durable with
 * one fdatasync.  A flush moves the beginning of what counts: that is said in
 * the slot that is not in use, so that a torn one leaves the other.  Room that
 * a flush gave back is used only when its slot is on disk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/ulog_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PARTS     192 /* of one write */
#define KEEP_SIZE (ULOG_RING_AT + (4u << 20))

static int
failed(struct ulog *log, int error, const char *what, struct rec_error *out)
{
    return rec_fail(out, -error, "%s: %s: %s", log->path, what,
                    strerror(error));
}

static uint64_t
dice(void)
{
    struct timespec now;
    uint64_t n;

    if (getrandom(&n, sizeof n, GRND_NONBLOCK) == (ssize_t) sizeof n)
        return n;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_nsec * 0x9E3779B97F4A7C15ull ^
           (uint64_t) now.tv_sec;
}

static int
write_parts(struct ulog *log, struct iovec *part, int count, uint64_t at,
            struct rec_error *error)
{
    while (count > 0) {
        ssize_t n = pwritev(log->file, part, count, (off_t) at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(log, n < 0 ? errno : EIO, "cannot be written", error);
        at += (uint64_t) n;
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
sync_log(struct ulog *log, struct rec_error *error)
{
    return fdatasync(log->file) == 0
               ? 0
               : failed(log, errno, "cannot be made durable", error);
}

/* --- the head ------------------------------------------------------------- */

static void
fill_slot(const struct ulog *log, const struct ulog_head *head,
          const struct ulog_place *first, struct ulog_slot *out)
{
    const struct rec_about *about = &head->about;

    memset(out, 0, sizeof *out);
    memcpy(out->magic, ULOG_MAGIC, sizeof out->magic);
    out->version = ULOG_VERSION;
    out->salt = log->salt;
    out->generation = log->generation + 1;
    out->ring_bytes = log->ring;
    out->first_at = first->at;
    out->first_seq = first->seq;
    out->first_chain = first->chain;
    out->created_ms = about->created_ms;
    out->size_bytes = about->size_bytes;
    out->block_bytes = about->block_bytes;
    out->identity_bytes = head->identity_bytes;
    out->witness_count = head->witness_count;
    memcpy(out->type, about->type, strnlen(about->type, 31));
    memcpy(out->uuid, about->uuid, strnlen(about->uuid, 95));
    memcpy(out->label, about->label, strnlen(about->label, 127));
    memcpy(out->drive, about->drive, strnlen(about->drive, 63));
}

static int
put_slot(struct ulog *log, const struct ulog_head *head,
         const struct ulog_place *first, struct rec_error *error)
{
    size_t witness = head->witness_count * sizeof *head->witness;
    size_t payload = head->identity_bytes + witness;
    unsigned char *body;
    struct ulog_slot slot;
    struct iovec part[2];
    int rc;

    if (head->identity_bytes > ULOG_IDENTITY_MAX ||
        head->witness_count > ULOG_WITNESS_MAX)
        return rec_fail(error, -E2BIG, "%s: head too large", log->path);
    body = malloc(payload + 1);
    if (body == NULL)
        return rec_fail(error, -ENOMEM, "%s: no memory", log->path);
    if (head->identity_bytes != 0)
        memcpy(body, head->identity, head->identity_bytes);
    if (witness != 0)
        memcpy(body + head->identity_bytes, head->witness, witness);
    fill_slot(log, head, first, &slot);
    slot.payload_crc = rec_crc(body, payload);
    slot.crc = rec_crc(&slot, offsetof(struct ulog_slot, crc));
    part[0] = (struct iovec){ &slot, sizeof slot };
    part[1] = (struct iovec){ body, payload };
    rc = write_parts(log, part, payload != 0 ? 2 : 1,
                     slot.generation % 2 * ULOG_SLOT_BYTES, error);
    free(body);
    return rc;
}

/* --- records -------------------------------------------------------------- */

/* Where a record of that size goes; false: there is no room.  `at` is behind
 * the tail unless the records went round the end; then it never reaches it. */
static bool
find_room(const struct ulog *log, uint64_t at, uint64_t need, uint64_t *out)
{
    uint64_t tail = log->tail.at;

    *out = at;
    if (at < tail)
        return need < tail - at;
    if (need <= log->ring - at)
        return true;
    *out = 0;
    return need < tail;
}

static uint64_t
bytes_of(const struct ulog_record *record)
{
    return ulog_padded(record->what == ULOG_DATA ? record->len : 0);
}

/* Before anything is written: is there room for all? */
static bool
has_room(const struct ulog *log, const struct ulog_batch *batch, uint64_t at)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct ulog_record *r = &batch->records[i];

        if ((r->what == ULOG_DATA && r->len > REC_DATA_MAX) ||
            !find_room(log, at, bytes_of(r), &at))
            return false;
        at += bytes_of(r);
    }
    return true;
}

struct putting {
    struct iovec part[PARTS];
    struct ulog_mark mark[PARTS / 3];
    int parts, marks;
    uint64_t from, to; /* in the file */
};

static int
flush_parts(struct ulog *log, struct putting *p, struct rec_error *error)
{
    int rc =
        p->parts == 0 ? 0 : write_parts(log, p->part, p->parts, p->from, error);

    p->parts = p->marks = 0;
    return rc;
}

static void
add_part(struct putting *p, const void *data, size_t len)
{
    if (len == 0)
        return;
    p->part[p->parts++] = (struct iovec){ (void *) data, len };
    p->to += len;
}

static int
put_record(struct ulog *log, struct putting *p, const struct ulog_record *r,
           struct ulog_place *next, struct rec_error *error)
{
    static const char zeroes[ULOG_ALIGN];
    uint32_t payload = r->what == ULOG_DATA ? (uint32_t) r->len : 0;
    struct ulog_mark *mark;
    uint64_t at;
    int rc = 0;

    if (!find_room(log, next->at, ulog_padded(payload), &at))
        return rec_fail(error, -ENOBUFS, "%s: no room", log->path);
    if (p->parts + 3 > PARTS || p->to != ULOG_RING_AT + at)
        rc = flush_parts(log, p, error);
    if (rc != 0)
        return rc;
    if (p->parts == 0)
        p->from = p->to = ULOG_RING_AT + at;
    mark = &p->mark[p->marks++];
    *mark = (struct ulog_mark){ .magic = ULOG_RECORD_MAGIC,
                                .what = r->what,
                                .seq = next->seq,
                                .offset = r->offset,
                                .len = r->len,
                                .salt = log->salt,
                                .synced = log->synced,
                                .chain = next->chain,
                                .payload = payload };
    mark->payload_crc = rec_crc(payload != 0 ? r->data : "", payload);
    mark->crc = rec_crc(mark, offsetof(struct ulog_mark, crc));
    add_part(p, mark, sizeof *mark);
    add_part(p, r->data, payload);
    add_part(p, zeroes, ulog_padded(payload) - sizeof *mark - payload);
    next->at = at + ulog_padded(payload);
    next->seq++;
    next->chain = mark->crc;
    return 0;
}

/* The first record of each epoch; when there are too many the newest ones are
 * one, and go together. */
static void
note_epoch(struct ulog_epoch *list, unsigned *count, uint32_t epoch,
           const struct ulog_place *at)
{
    struct ulog_epoch *last = *count != 0 ? &list[*count - 1] : NULL;

    if (last != NULL && (int32_t) (epoch - last->epoch) <= 0)
        return;
    if (*count == ULOG_EPOCHS)
        last->epoch = epoch;
    else
        list[(*count)++] = (struct ulog_epoch){ epoch, *at };
}

/* What a batch would make of the log. */
struct plan {
    struct ulog_epoch live[ULOG_EPOCHS];
    unsigned live_count;
    struct ulog_place next;
};

static void
forget_flushed(struct plan *plan, uint32_t flushed)
{
    unsigned gone = 0;

    while (gone < plan->live_count &&
           (int32_t) (plan->live[gone].epoch - flushed) <= 0)
        gone++;
    plan->live_count -= gone;
    memmove(plan->live, plan->live + gone,
            plan->live_count * sizeof plan->live[0]);
}

static int
put_records(struct ulog *log, const struct ulog_batch *batch, struct plan *plan,
            struct rec_error *error)
{
    struct putting *p = calloc(1, sizeof *p);
    int rc = 0;

    if (p == NULL)
        return rec_fail(error, -ENOMEM, "%s: no memory", log->path);
    for (size_t i = 0; rc == 0 && i < batch->count; i++) {
        struct ulog_place before = plan->next;

        rc = put_record(log, p, &batch->records[i], &plan->next, error);
        if (rc != 0)
            break;
        before.at = plan->next.at - bytes_of(&batch->records[i]);
        note_epoch(plan->live, &plan->live_count, batch->records[i].epoch,
                   &before);
    }
    if (rc == 0)
        rc = flush_parts(log, p, error);
    free(p);
    return rc;
}

static void
adopt(struct ulog *log, const struct plan *plan, bool head)
{
    memcpy(log->live, plan->live, sizeof log->live);
    log->live_count = plan->live_count;
    log->next = plan->next;
    log->synced = plan->next.seq - 1;
    if (head) {
        log->generation++;
        log->tail = plan->live_count != 0 ? plan->live[0].at : plan->next;
    }
}

/* Nothing counts any more: it begins anew, with a chain that what an attempt
 * may have left behind does not fit. */
static int
make_empty(struct ulog *log, const struct ulog_head *head,
           struct rec_error *error)
{
    struct plan plan = { .next = { 0, log->next.seq, (uint32_t) dice() } };
    int rc = put_slot(log, head, &plan.next, error);
    struct stat st;

    if (rc == 0)
        rc = sync_log(log, error);
    if (rc != 0)
        return rc;
    adopt(log, &plan, true);
    log->broken = false;
    /* The rest is used again. */
    if (fstat(log->file, &st) == 0 && st.st_size > (off_t) KEEP_SIZE &&
        ftruncate(log->file, KEEP_SIZE) != 0)
        log->broken = false; /* costs room, nothing else */
    return 0;
}

int
ulog_commit(struct ulog *log, const struct ulog_batch *batch,
            struct rec_error *error)
{
    struct plan plan;
    struct ulog_place first;
    int rc = 0;

    memcpy(plan.live, log->live, sizeof plan.live);
    plan.live_count = log->live_count;
    plan.next = log->next;
    if (batch->flush)
        forget_flushed(&plan, batch->flushed);
    if (batch->head != NULL && plan.live_count == 0 &&
        (batch->count == 0 ? batch->flush : log->broken)) {
        rc = make_empty(log, batch->head, error);
        if (rc != 0 || batch->count == 0)
            return rc;
        plan.live_count = 0;
        plan.next = log->next;
    }
    if (log->broken && batch->count != 0)
        return rec_fail(error, -ENOBUFS, "%s: waits for a flush", log->path);
    if (!has_room(log, batch, plan.next.at))
        return rec_fail(error, -ENOBUFS, "%s: is full", log->path);
    /* First: no record is to stand behind a head that is older than it.  An
     * empty log begins where the next record goes. */
    first = plan.live_count != 0 ? plan.live[0].at : plan.next;
    if (batch->head != NULL)
        rc = put_slot(log, batch->head, &first, error);
    if (rc == 0 && batch->count != 0)
        rc = put_records(log, batch, &plan, error);
    if (rc == 0 && (batch->count != 0 || batch->head != NULL))
        rc = sync_log(log, error);
    if (rc == 0)
        adopt(log, &plan, batch->head != NULL);
    else if (batch->count != 0)
        log->broken = true;
    return rc;
}

/* --- life ----------------------------------------------------------------- */

uint64_t
ulog_live(const struct ulog *log)
{
    uint64_t from, to = log->next.at;

    if (log->live_count == 0)
        return 0;
    from = log->live[0].at.at;
    return to > from ? to - from : log->ring - from + to;
}

bool
ulog_has_newer(const struct ulog *log, uint32_t flushed)
{
    return log->live_count != 0 &&
           (int32_t) (log->live[log->live_count - 1].epoch - flushed) > 0;
}

uint64_t
ulog_ring(const struct ulog *log)
{
    return log->ring;
}

bool
ulog_broken(const struct ulog *log)
{
    return log->broken;
}

const char *
ulog_path(const struct ulog *log)
{
    return log->path;
}

uint64_t
ulog_salt(const struct ulog *log)
{
    return log->salt;
}

uint64_t
ulog_generation(const struct ulog *log)
{
    return log->generation;
}

static int
make_file(struct ulog *log, const char *dir, const struct ulog_head *head,
          struct rec_error *error)
{
    char temporary[sizeof log->path + 8];
    struct ulog_place first = log->next;
    struct iovec part;
    void *zeroes;
    int rc;

    log->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->folder < 0)
        return rec_fail(error, -errno, "%s: %s", dir, strerror(errno));
    if ((size_t) snprintf(log->path, sizeof log->path,
                          "%s/%016" PRIx64 ULOG_SUFFIX, dir,
                          log->salt) >= sizeof log->path)
        return rec_fail(error, -ENAMETOOLONG, "%s: name too long", dir);
    snprintf(temporary, sizeof temporary, "%s.new", log->path);
    log->file = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (log->file < 0)
        return failed(log, errno, "cannot be made", error);
    /* Room for both heads: a full disk must not keep us from voiding it. */
    zeroes = calloc(1, ULOG_RING_AT);
    part = (struct iovec){ zeroes, ULOG_RING_AT };
    rc = zeroes == NULL ? rec_fail(error, -ENOMEM, "%s: no memory", log->path)
                        : write_parts(log, &part, 1, 0, error);
    free(zeroes);
    if (rc == 0)
        rc = put_slot(log, head, &first, error);
    if (rc == 0 && fsync(log->file) != 0)
        rc = failed(log, errno, "cannot be made durable", error);
    if (rc == 0 &&
        (rename(temporary, log->path) != 0 || fsync(log->folder) != 0))
        rc = failed(log, errno, "cannot be made durable", error);
    if (rc != 0) {
        unlink(temporary);
        unlink(log->path);
    }
    log->generation++;
    return rc;
}

int
ulog_create(const char *dir, const struct ulog_head *head, uint64_t ring_bytes,
            struct ulog **out_log, struct rec_error *error)
{
    struct ulog *log = calloc(1, sizeof *log);
    int rc;

    if (log == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    log->file = log->folder = -1;
    log->ring = ring_bytes / ULOG_ALIGN * ULOG_ALIGN;
    log->salt = dice();
    log->next = (struct ulog_place){ 0, 1, (uint32_t) dice() };
    log->tail = log->next;
    rc = make_file(log, dir, head, error);
    if (rc != 0)
        ulog_leave(log);
    else
        *out_log = log;
    return rc;
}

int
ulog_void(struct ulog *log, bool *out_removed, struct rec_error *error)
{
    *out_removed = false;
    log->broken = true;
    if (ftruncate(log->file, 0) == 0 && fsync(log->file) == 0) {
        unlink(log->path);
        *out_removed = true;
        return 0;
    }
    if (unlink(log->path) == 0 && fsync(log->folder) == 0) {
        *out_removed = true;
        return 0;
    }
    return failed(log, errno != 0 ? errno : EIO, "cannot be voided", error);
}

void
ulog_leave(struct ulog *log)
{
    if (log == NULL)
        return;
    if (log->file >= 0)
        close(log->file);
    if (log->folder >= 0)
        close(log->folder);
    free(log);
}

void
ulog_close(struct ulog *log)
{
    if (log != NULL && log->live_count == 0 && !log->broken &&
        unlink(log->path) == 0)
        (void) fsync(log->folder);
    ulog_leave(log);
}
