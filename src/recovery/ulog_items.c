/*
 * ulog_items.c - a log on disk, looked at as a recovery file
 *
 * Its records come in their order, so that of overlapping ones the newest is
 * applied last; what a later record dropped is cut out of them.  A block of the
 * witness that a record touches says nothing: which of its states the medium
 * has is not known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/ulog_items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ulog_items {
    struct ulog_reader *reader;
    struct rec_item *list;
    size_t count, room, next;
    uint64_t bytes; /* of what was given */
    struct rec_witness witness[ULOG_WITNESS_MAX];
};

static int
add(struct ulog_items *items, const struct rec_item *item)
{
    if (items->count == items->room) {
        size_t room = items->room * 2 + 64;
        struct rec_item *more = realloc(items->list, room * sizeof *more);

        if (more == NULL)
            return -ENOMEM;
        items->list = more;
        items->room = room;
    }
    items->list[items->count++] = *item;
    return 0;
}

static const void *
data_at(const struct rec_item *item, uint64_t offset)
{
    return item->data == NULL
               ? NULL
               : (const char *) item->data + (offset - item->offset);
}

/* Cuts a range out of all that came before. */
static int
drop(struct ulog_items *items, uint64_t from, uint64_t to)
{
    size_t before = items->count;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < before; i++) {
        struct rec_item *item = &items->list[i], tail = *item;
        uint64_t end = item->offset + item->len;

        if (item->offset >= to || end <= from)
            continue;
        tail.offset = to;
        tail.len = end > to ? end - to : 0;
        tail.data = end > to ? data_at(item, to) : NULL;
        item->len = item->offset < from ? from - item->offset : 0;
        if (item->len == 0) {
            *item = tail;
        } else if (tail.len != 0) {
            /* Behind its elder brother, before what is newer. */
            rc = add(items, &tail);
            if (rc != 0)
                break;
            memmove(&items->list[i + 2], &items->list[i + 1],
                    (items->count - i - 2) * sizeof tail);
            items->list[i + 1] = tail;
            before++;
            i++;
        }
    }
    return rc;
}

static void
blur(struct ulog_items *items, uint32_t count, const struct ulog_record *record)
{
    for (uint32_t i = 0; i < count; i++)
        if (items->witness[i].at - record->offset < record->len)
            items->witness[i].states = 0;
}

int
ulog_items_open(const char *path, struct ulog_items **out_items,
                struct rec_about *out_about, struct rec_error *error)
{
    struct ulog_items *items = calloc(1, sizeof *items);
    const struct ulog_head *head;
    struct rec_item witness = { .what = REC_WITNESS };
    struct ulog_record record;
    int rc;

    if (items == NULL)
        return rec_fail(error, -ENOMEM, "no memory");
    rc = ulog_read(path, &items->reader, error);
    if (rc != 0) {
        free(items);
        return rc;
    }
    head = ulog_reader_head(items->reader);
    memcpy(items->witness, head->witness,
           head->witness_count * sizeof *head->witness);
    witness.len = head->witness_count;
    witness.witness = items->witness;
    rc = witness.len != 0 ? add(items, &witness) : 0;
    while (rc == 0 && ulog_next(items->reader, &record) == 1) {
        struct rec_item item = {
            .what = record.what == ULOG_DATA ? REC_DATA : REC_ZEROES,
            .offset = record.offset,
            .len = record.len,
            .data = record.data,
        };

        blur(items, head->witness_count, &record);
        rc = record.what == ULOG_DROP
                 ? drop(items, record.offset, record.offset + record.len)
                 : add(items, &item);
    }
    if (rc != 0) {
        ulog_items_free(items);
        return rec_fail(error, rc, "%s: no memory", path);
    }
    *out_about = head->about;
    *out_items = items;
    return 0;
}

int
ulog_items_next(struct ulog_items *items, struct rec_item *out_item)
{
    while (items->next < items->count) {
        const struct rec_item *item = &items->list[items->next++];

        if (item->len == 0)
            continue;
        if (item->what != REC_WITNESS)
            items->bytes += item->len;
        *out_item = *item;
        return 1;
    }
    return 0;
}

uint64_t
ulog_items_position(const struct ulog_items *items)
{
    return items->bytes;
}

void
ulog_items_free(struct ulog_items *items)
{
    if (items == NULL)
        return;
    ulog_reader_free(items->reader);
    free(items->list);
    free(items);
}
