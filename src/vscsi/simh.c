/*
 * simh.c - a tape as a file in the SIMH magtape format
 *
 * "SIMH Magtape Representation and Handling", 17 January 2022: records between
 * two length words, markers, gaps.  An object is a record or a filemark; gaps,
 * private and unknown classes are skipped.  The index is built as the tape is
 * passed and kept: a place every few objects, and the runs of filemarks; so
 * spacing costs a search and a few words.  Records that are only buffered are
 * in the index already; whoever reads flushes first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vscsi/tape.h"

#define WORD_MARK     0x00000000u
#define WORD_GAP      0xFFFFFFFEu
#define WORD_HALF_GAP 0xFFFEFFFFu
#define WORD_END      0xFFFFFFFFu
#define LENGTH_MASK   0x0FFFFFFFu

#define POINT_EVERY   64
#define POINT_BYTES   (1u << 20) /* ... or so many bytes of what is skipped */
#define BUFFER_MAX    (4u << 20)
#define OBJECTS_MAX   (UINT64_C(1) << 28)

/* --- words ---------------------------------------------------------------- */

static uint32_t
little(const uint8_t *at)
{
    return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 |
           (uint32_t) at[3] << 24;
}

static void
put_little(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t) value;
    to[1] = (uint8_t) (value >> 8);
    to[2] = (uint8_t) (value >> 16);
    to[3] = (uint8_t) (value >> 24);
}

static bool
word_at(struct simh *simh, uint64_t at, uint32_t *out_word)
{
    size_t len = simh->window_want;
    size_t got = 0;

    if (at + 4 > simh->on_medium)
        return false;
    if (at < simh->window_at || at + 4 > simh->window_at + simh->window_len) {
        if (len > simh->on_medium - at)
            len = (size_t) (simh->on_medium - at);
        (void) medium_read(simh->medium, at, simh->window, len, &got);
        simh->window_at = at;
        simh->window_len = got;
        if (got < 4)
            return false;
    }
    *out_word = little(simh->window + (at - simh->window_at));
    return true;
}

/* Between long records only the words at their ends are wanted. */
static size_t
window_want(uint32_t len)
{
    const size_t all = sizeof((struct simh *) 0)->window;

    return len > all / 4 ? 64 : all;
}

static uint64_t
padded(uint32_t len)
{
    return ((uint64_t) len + 1) & ~UINT64_C(1);
}

uint64_t
simh_footprint(uint32_t len)
{
    return len == 0 ? 4 : 8 + padded(len);
}

/* --- objects -------------------------------------------------------------- */

/* The bytes of a record at `at`, and the words behind it with the same call. */
static void
take_data(struct simh *simh, uint64_t at, uint32_t len, struct simh_take *take)
{
    uint64_t rest = simh->on_medium - at;
    struct iovec parts[2] = { { take->data, len }, { simh->window, 0 } };
    ssize_t got;

    if (len > take->room || (take->len != 0 && len != take->len) || len > rest)
        return;
    if (at >= simh->window_at &&
        at + len <= simh->window_at + simh->window_len) {
        memcpy(take->data, simh->window + (at - simh->window_at), len);
        take->done = true;
        return;
    }
    parts[1].iov_len = window_want(len);
    if (parts[1].iov_len > rest - len)
        parts[1].iov_len = (size_t) (rest - len);
    got = preadv(simh->medium->fd, parts, 2, (off_t) at);
    simh->window_at = at + len;
    simh->window_len = got > (ssize_t) len ? (size_t) got - len : 0;
    take->done = got >= (ssize_t) len;
}

/* Where the record ends that begins at `at`; 0: it does not.  Some writers do
 * not pad records of odd length. */
static uint64_t
record_end(struct simh *simh, uint64_t at, uint32_t word)
{
    uint32_t len = word & LENGTH_MASK, trailer;
    uint64_t tail = at + 4 + padded(len);

    simh->window_want = window_want(len);
    if (word_at(simh, tail, &trailer) && trailer == word)
        return tail + 4;
    if (len % 2 != 0 && word_at(simh, tail - 1, &trailer) && trailer == word)
        return tail + 3;
    return 0;
}

/* True: `word` is an object.  Else *at has moved behind it. */
static bool
classify(struct simh *simh, uint32_t word, uint64_t *at, struct simh_take *take,
         struct simh_object *out)
{
    unsigned class = word >> 28;

    out->at = *at;
    out->len = word & LENGTH_MASK;
    out->kind = SIMH_DAMAGE;
    if (word == WORD_MARK || word == WORD_END) {
        out->kind = word == WORD_MARK ? SIMH_MARK : SIMH_END;
        out->len = 0;
        out->next = word == WORD_MARK ? *at + 4 : *at;
        return true;
    }
    if (word == WORD_HALF_GAP) {
        *at += 2;
        return false;
    }
    if (word == WORD_GAP || class == 7 || (class == 15 && word < 0xFFFE0000u)) {
        *at += 4;
        return false;
    }
    if (class == 15)
        return true; /* only reverse reads could meet these */
    if (class == 0 && take != NULL)
        take_data(simh, *at + 4, out->len, take);
    out->next = record_end(simh, *at, word);
    if (out->next == 0)
        return true;
    if (class == 0 || class == 8) {
        out->kind = class == 0 ? SIMH_RECORD : SIMH_BAD_RECORD;
        return true;
    }
    *at = out->next;
    return false;
}

static void
simh_look(struct simh *simh, const struct simh_place *place,
          struct simh_take *take, struct simh_object *out)
{
    uint64_t at = place->at;
    uint32_t word;

    memset(out, 0, sizeof *out);
    for (;;) {
        if (at >= simh->on_medium || place->object >= OBJECTS_MAX) {
            out->kind = at == simh->on_medium ? SIMH_END : SIMH_DAMAGE;
            out->at = out->next = at;
            return;
        }
        if (!word_at(simh, at, &word)) {
            out->kind = SIMH_DAMAGE;
            out->at = out->next = at;
            return;
        }
        if (classify(simh, word, &at, take, out))
            return;
    }
}

/* --- the index ------------------------------------------------------------ */

static bool
grow(void **items, size_t *room, size_t count, size_t size)
{
    size_t more = *room != 0 ? *room * 2 : 64;
    void *bigger;

    if (count < *room)
        return true;
    bigger = realloc(*items, more * size);
    if (bigger == NULL)
        return false;
    *items = bigger;
    *room = more;
    return true;
}

static bool
add_mark(struct simh *simh, uint64_t object)
{
    struct simh_run *last =
        simh->runs_count != 0 ? &simh->runs[simh->runs_count - 1] : NULL;
    void *items = simh->runs;
    uint64_t before = last != NULL ? last->before + last->count : 0;

    if (last != NULL && last->first + last->count == object) {
        last->count++;
        return true;
    }
    if (!grow(&items, &simh->runs_room, simh->runs_count, sizeof *last) ||
        items == NULL)
        return false;
    simh->runs = items;
    simh->runs[simh->runs_count++] = (struct simh_run){ object, 1, before };
    return true;
}

/* The next object, which begins behind `known_at` and ends at `next`. */
static bool
add_known(struct simh *simh, bool mark, uint64_t at, uint64_t next)
{
    const struct simh_place *last = &simh->points[simh->points_count - 1];
    void *items = simh->points;

    if (simh->known - last->object >= POINT_EVERY ||
        at - simh->known_at >= POINT_BYTES) {
        if (!grow(&items, &simh->points_room, simh->points_count, sizeof *last))
            return false;
        simh->points = items;
        simh->points[simh->points_count++] =
            (struct simh_place){ simh->known, at };
    }
    if (mark && !add_mark(simh, simh->known))
        return false;
    simh->known++;
    simh->known_at = next;
    return true;
}

static void
forget_from(struct simh *simh, const struct simh_place *place)
{
    struct simh_run *last;

    if (place->object >= simh->known)
        return;
    while (simh->points_count > 1 &&
           simh->points[simh->points_count - 1].object >= place->object)
        simh->points_count--;
    while (simh->runs_count > 0 &&
           simh->runs[simh->runs_count - 1].first >= place->object)
        simh->runs_count--;
    last = simh->runs_count != 0 ? &simh->runs[simh->runs_count - 1] : NULL;
    if (last != NULL && last->first + last->count > place->object)
        last->count = place->object - last->first;
    simh->known = place->object;
    simh->known_at = place->at;
}

void
simh_next(struct simh *simh, const struct simh_place *place,
          struct simh_take *take, struct simh_object *out)
{
    simh_look(simh, place, take, out);
    if (place->object == simh->known && out->kind != SIMH_END &&
        out->kind != SIMH_DAMAGE &&
        !add_known(simh, out->kind == SIMH_MARK, out->at, out->next))
        out->kind = SIMH_DAMAGE;
}

enum simh_kind
simh_know(struct simh *simh, uint64_t number)
{
    struct simh_object object;

    while (simh->known <= number) {
        struct simh_place place = { simh->known, simh->known_at };

        simh_next(simh, &place, NULL, &object);
        if (object.kind == SIMH_END || object.kind == SIMH_DAMAGE)
            return object.kind;
    }
    return SIMH_RECORD;
}

bool
simh_find(struct simh *simh, uint64_t number, struct simh_place *out)
{
    size_t low = 0, high = simh->points_count;
    struct simh_object object;

    if (number == simh->known) {
        *out = (struct simh_place){ simh->known, simh->known_at };
        return true;
    }
    while (high - low > 1) { /* points[low].object <= number */
        size_t middle = low + (high - low) / 2;

        if (simh->points[middle].object <= number)
            low = middle;
        else
            high = middle;
    }
    *out = simh->points[low];
    while (out->object < number) {
        simh_look(simh, out, NULL, &object);
        if (object.kind == SIMH_END || object.kind == SIMH_DAMAGE)
            return false;
        out->object++;
        out->at = object.next;
    }
    return true;
}

uint64_t
simh_marks_before(const struct simh *simh, uint64_t number)
{
    size_t low = 0, high = simh->runs_count;
    const struct simh_run *run;

    while (low < high) { /* runs below `low` begin before the object */
        size_t middle = low + (high - low) / 2;

        if (simh->runs[middle].first < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    run = &simh->runs[low - 1];
    return run->before + (number - run->first < run->count ? number - run->first
                                                           : run->count);
}

uint64_t
simh_mark(const struct simh *simh, uint64_t n)
{
    size_t low = 0, high = simh->runs_count;

    while (low < high) { /* runs below `low` begin with mark n or before */
        size_t middle = low + (high - low) / 2;

        if (simh->runs[middle].before <= n)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || n - simh->runs[low - 1].before >= simh->runs[low - 1].count)
        return UINT64_MAX;
    return simh->runs[low - 1].first + (n - simh->runs[low - 1].before);
}

/* --- writing -------------------------------------------------------------- */

static uint32_t
write_sense(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG
               ? SENSE_OVERFLOW
               : SENSE_WRITE_ERROR;
}

static uint32_t
cut_image(struct simh *simh)
{
    simh->window_len = 0;
    if (!simh->cut)
        return 0;
    if (ftruncate(simh->medium->fd, (off_t) simh->on_medium) != 0)
        return write_sense(errno);
    simh->cut = false;
    atomic_store_explicit(&simh->medium->dirty, true, memory_order_release);
    return 0;
}

/* All of it behind what is on the medium, or nothing. */
static uint32_t
write_all(struct simh *simh, struct iovec *parts, int count)
{
    uint64_t at = simh->on_medium;
    uint32_t sense = cut_image(simh);

    while (sense == 0 && count > 0) {
        ssize_t put = pwritev(simh->medium->fd, parts, count, (off_t) at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            sense = put < 0 ? write_sense(errno) : SENSE_WRITE_ERROR;
            break;
        }
        at += (uint64_t) put;
        while (count > 0 && (size_t) put >= parts->iov_len) {
            put -= (ssize_t) parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *) parts->iov_base + put;
            parts->iov_len -= (size_t) put;
        }
    }
    if (at != simh->on_medium)
        atomic_store_explicit(&simh->medium->dirty, true, memory_order_release);
    if (sense == 0) {
        simh->on_medium = at;
    } else if (at != simh->on_medium) {
        simh->cut = true;
        (void) cut_image(simh);
    }
    return sense;
}

uint32_t
simh_flush(struct simh *simh)
{
    struct iovec all = { simh->buffer, simh->buffered };
    uint32_t sense;

    if (simh->buffered == 0)
        return simh->cut ? cut_image(simh) : 0; /* the window is true */
    sense = write_all(simh, &all, 1);
    if (sense == 0) {
        simh->buffered = 0;
        simh->buffered_objects = 0;
    }
    return sense;
}

static void
cut_at(struct simh *simh, const struct simh_place *place)
{
    if (place->at == simh->end)
        return;
    /* Whoever moved the tape back has flushed. */
    forget_from(simh, place);
    simh->on_medium = simh->end = place->at;
    simh->cut = true;
}

static bool
make_room(struct simh *simh, size_t bytes)
{
    size_t room = simh->room != 0 ? simh->room : 65536;
    uint8_t *bigger;

    while (room < simh->buffered + bytes)
        room *= 2;
    if (room == simh->room)
        return true;
    bigger = realloc(simh->buffer, room);
    if (bigger == NULL)
        return false;
    simh->buffer = bigger;
    simh->room = room;
    return true;
}

uint32_t
simh_append(struct simh *simh, struct simh_place *place, const void *data,
            uint32_t len, bool buffered)
{
    uint64_t bytes = simh_footprint(len);
    uint8_t head[4], tail[5] = { 0 };
    size_t pad = len % 2;
    struct iovec parts[3] = {
        { head, 4 },
        { (void *) (uintptr_t) data, len },
        { tail + 1 - pad, 4 + pad },
    };
    uint32_t sense = 0;

    if (place->object >= OBJECTS_MAX)
        return SENSE_OVERFLOW;
    put_little(head, len);
    put_little(tail + 1, len);
    if (!buffered || simh->buffered + bytes > BUFFER_MAX ||
        place->at != simh->end)
        sense = simh_flush(simh);
    if (sense != 0)
        return sense | (simh->buffered != 0 ? SENSE_DEFERRED : 0);
    cut_at(simh, place);
    if (buffered && make_room(simh, bytes)) {
        uint8_t *to = simh->buffer + simh->buffered;

        for (int i = 0; i < (len == 0 ? 1 : 3); i++) {
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
            to += parts[i].iov_len;
        }
        simh->buffered += bytes;
        simh->buffered_objects++;
    } else {
        sense = write_all(simh, parts, len == 0 ? 1 : 3);
        if (sense != 0)
            return sense;
    }
    simh->end += bytes;
    if (!add_known(simh, len == 0, place->at, place->at + bytes))
        return SENSE(4, 0x44, 0x00);
    place->object++;
    place->at += bytes;
    return 0;
}

uint32_t
simh_erase(struct simh *simh, const struct simh_place *place)
{
    uint32_t sense = simh_flush(simh);

    if (sense != 0)
        return sense | SENSE_DEFERRED;
    cut_at(simh, place);
    return cut_image(simh);
}

/* --- life ----------------------------------------------------------------- */

struct simh *
simh_new(struct medium *medium, uint64_t size)
{
    struct simh *simh = calloc(1, sizeof *simh);

    if (simh == NULL)
        return NULL;
    simh->medium = medium;
    simh->end = simh->on_medium = size;
    simh->window_want = sizeof simh->window;
    simh->points = calloc(64, sizeof *simh->points);
    simh->points_room = 64;
    simh->points_count = 1; /* the beginning */
    if (simh->points == NULL) {
        free(simh);
        return NULL;
    }
    return simh;
}

void
simh_free(struct simh *simh)
{
    if (simh == NULL)
        return;
    free(simh->buffer);
    free(simh->points);
    free(simh->runs);
    free(simh);
}

/* A tape whose first record was cut by a crash is one; any other file is not.
 * A record's length has 24 bits in all but a few images. */
const char *
simh_check(struct simh *simh)
{
    struct simh_place start = { 0, 0 };
    struct simh_object object;
    uint32_t word = 0;

    simh_look(simh, &start, NULL, &object);
    if (object.kind != SIMH_DAMAGE)
        return NULL;
    if (simh->end < 4)
        return "it ends in the first word";
    if (word_at(simh, object.at, &word) && (word & 0x7F000000u) == 0 &&
        object.at + 8 + (word & LENGTH_MASK) > simh->end)
        return NULL;
    return "it does not begin with a record or a marker of the format";
}
