/*
 * kept.c - blocks that may have to be written again; the trail before a place
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/kept.h"

#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#define ITEMS_MAX 262144

/* --- the trail ------------------------------------------------------------ */

uint64_t
block_hash(const void *data, size_t length)
{
    return XXH3_64bits(data, length);
}

void
trail_clear(struct trail *trail)
{
    trail->count = 0;
}

/* A gap makes what was before it worthless. */
void
trail_add(struct trail *trail, const struct tape_object *object)
{
    if (trail->count != 0 &&
        trail->objects[trail->count - 1].number + 1 != object->number)
        trail->count = 0;
    if (trail->count == TRAIL_MAX) {
        memmove(trail->objects, trail->objects + 1,
                (TRAIL_MAX - 1) * sizeof trail->objects[0]);
        trail->count--;
    }
    trail->objects[trail->count++] = *object;
}

void
trail_add_data(struct trail *trail, uint64_t number, uint32_t block,
               const void *data, size_t length)
{
    uint64_t count = block != 0 ? length / block : 1;
    uint64_t i = count > TRAIL_MAX ? count - TRAIL_MAX : 0;

    if (i != 0)
        trail->count = 0;
    for (; i < count; i++) {
        size_t bytes = block != 0 ? block : length;
        struct tape_object object = {
            .number = number + i,
            .kind = OBJECT_BLOCK,
            .length = (uint32_t) bytes,
            .lent = (const uint8_t *) data + i * bytes,
        };

        trail_add(trail, &object);
    }
}

void
trail_hash(struct trail *trail)
{
    for (unsigned i = 0; i < trail->count; i++) {
        struct tape_object *object = &trail->objects[i];

        if (object->lent == NULL)
            continue;
        object->hash = block_hash(object->lent, object->length);
        object->lent = NULL;
    }
}

void
trail_add_marks(struct trail *trail, uint64_t number, uint64_t count)
{
    uint64_t i = count > TRAIL_MAX ? count - TRAIL_MAX : 0;

    if (i != 0)
        trail->count = 0;
    for (; i < count; i++) {
        struct tape_object object = { .number = number + i,
                                      .kind = OBJECT_MARK };

        trail_add(trail, &object);
    }
}

/* --- items ---------------------------------------------------------------- */

void
kept_init(struct kept *kept, uint64_t limit)
{
    memset(kept, 0, sizeof *kept);
    kept->limit = limit;
}

void
kept_free(struct kept *kept)
{
    free(kept->arena);
    free(kept->items);
    kept_init(kept, 0);
}

bool
kept_fits(const struct kept *kept, size_t length)
{
    return kept->count == 0 ||
           (kept->count < ITEMS_MAX && kept->limit - kept->used >= length);
}

static bool
add(struct kept *kept, const struct kept_item *item)
{
    if (kept->count == kept->room) {
        size_t room = kept->room != 0 ? 2 * kept->room : 64;
        struct kept_item *more = realloc(kept->items, room * sizeof *more);

        if (more == NULL)
            return false;
        kept->items = more;
        kept->room = room;
    }
    kept->items[kept->count++] = *item;
    kept->bytes += item->length;
    if (item->kind == OBJECT_BLOCK)
        kept->blocks += item->objects;
    return true;
}

/* All of the arena at once: memory that nobody touches costs nothing. */
static uint8_t *
take_room(struct kept *kept, size_t length)
{
    if (kept->limit - kept->used < length)
        return NULL;
    if (kept->arena == NULL)
        kept->arena = malloc(kept->limit);
    return kept->arena != NULL ? kept->arena + kept->used : NULL;
}

bool
kept_add(struct kept *kept, uint64_t number, uint32_t block, const void *data,
         size_t length)
{
    struct kept_item item = {
        .kind = OBJECT_BLOCK,
        .number = number,
        .objects = block != 0 ? length / block : 1,
        .block = block,
        .length = (uint32_t) length,
        .data = data,
        .room = take_room(kept, length),
    };

    if (!add(kept, &item))
        return false;
    if (item.room != NULL)
        kept->used += length;
    return true;
}

bool
kept_add_marks(struct kept *kept, uint64_t number, uint64_t count)
{
    struct kept_item item = { .kind = OBJECT_MARK,
                              .number = number,
                              .objects = count };

    return add(kept, &item);
}

/* Only the last item can be without room. */
bool
kept_borrows(const struct kept *kept)
{
    const struct kept_item *last;

    if (kept->count == 0)
        return false;
    last = &kept->items[kept->count - 1];
    return last->kind == OBJECT_BLOCK && last->room == NULL;
}

bool
kept_lent(const struct kept *kept)
{
    return kept->own < kept->count;
}

void
kept_own(struct kept *kept)
{
    for (; kept->own < kept->count; kept->own++) {
        struct kept_item *item = &kept->items[kept->own];

        if (item->room == NULL)
            continue; /* marks, or it is on the tape before anybody goes on */
        memcpy(item->room, item->data, item->length);
        item->data = item->room;
    }
}

void
kept_cut(struct kept *kept, size_t length)
{
    struct kept_item *last = &kept->items[kept->count - 1];

    kept->bytes -= last->length - length;
    if (last->room != NULL)
        kept->used -= last->length - length;
    last->length = (uint32_t) length;
    if (last->kind == OBJECT_BLOCK) {
        kept->blocks -= last->objects;
        last->objects = last->block != 0 ? length / last->block : length != 0;
        kept->blocks += last->objects;
    }
    if (length == 0)
        kept->count--;
    if (kept->own > kept->count)
        kept->own = kept->count;
}

void
kept_settle(struct kept *kept, struct trail *trail)
{
    size_t i = kept->count > TRAIL_MAX ? kept->count - TRAIL_MAX : 0;

    if (i != 0)
        trail_clear(trail);
    for (; i < kept->count; i++) {
        const struct kept_item *item = &kept->items[i];

        if (item->kind == OBJECT_MARK)
            trail_add_marks(trail, item->number, item->objects);
        else
            trail_add_data(trail, item->number, item->block, item->data,
                           item->length);
    }
    trail_hash(trail);
    kept_drop(kept);
}

void
kept_drop(struct kept *kept)
{
    kept->count = kept->own = 0;
    kept->used = 0;
    kept->bytes = kept->blocks = 0;
}
