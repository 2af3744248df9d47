/*
 * kept.h - what a session has written and may have to write again, and what
 *          lies before its place
 *
 * Items are in the order of the tape, from `safe` on: all before that is on the
 * tape for certain.  The data of the last ones may still be the caller's; those
 * of all others lie in an arena that a synchronisation empties.
 * The trail is what is known of the last objects before a place.
 *
 * Pure memory; the owner's thread alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPES_KEPT_H
#define TAPES_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIL_MAX 8
#define NO_OBJECT UINT64_MAX /* no number of an object */

enum tape_kind {
    OBJECT_BLOCK,
    OBJECT_MARK,
    OBJECT_BAD,                 /* it cannot be read as a block */
};

/* An object on the tape, as it was last seen or written. */
struct tape_object {
    uint64_t number;
    enum tape_kind kind;
    uint32_t length;            /* bytes that were seen of it */
    uint32_t room;              /* ... in a buffer of this size; 0: all */
    uint64_t hash;              /* ... unless there is */
    const void *lent;           /* its data, or NULL: not hashed yet */
};

/* Of what lies in a block.  Fast, and not for enemies; no two programs need
 * agree on it. */
uint64_t block_hash(const void *data, size_t length);

/* The last objects before `end`, one behind the other. */
struct trail {
    struct tape_object objects[TRAIL_MAX];
    unsigned count;
};

void trail_clear(struct trail *trail);
void trail_add(struct trail *trail, const struct tape_object *object);
/* Blocks of `block` bytes from `number` on, or one of any length (block 0).
 * The data stay as they are until trail_hash. */
void trail_add_data(struct trail *trail, uint64_t number, uint32_t block,
                    const void *data, size_t length);
/* Data that were added are not needed any more: those that have not been passed
 * over since are hashed. */
void trail_hash(struct trail *trail);
void trail_add_marks(struct trail *trail, uint64_t number, uint64_t count);

struct kept_item {
    enum tape_kind kind;
    uint64_t number;            /* of its first object */
    uint64_t objects;
    uint32_t block;             /* bytes; 0: one block of any length */
    uint32_t length;            /* bytes of data, at most */
    const uint8_t *data;        /* in the arena, or the caller's own */
    uint8_t *room;              /* in the arena; NULL: there is none */
};

struct kept {
    uint64_t limit;             /* bytes of the arena */
    uint8_t *arena;
    uint64_t used;
    uint64_t bytes, blocks;     /* of data in items */
    struct kept_item *items;
    size_t count, room;
    size_t own;                 /* the first items, whose data are no caller's */
};

void kept_init(struct kept *kept, uint64_t limit);
void kept_free(struct kept *kept);
/* Can a record be added without a synchronisation before it? */
bool kept_fits(const struct kept *kept, size_t length);
/*
 * Adds a record, or marks (data NULL, count).  The data stay the caller's until
 * kept_own, which has room for them already; without such room kept_borrows is
 * true until the item has gone.  False: no memory.
 */
bool kept_add(struct kept *kept, uint64_t number, uint32_t block,
              const void *data, size_t length);
bool kept_add_marks(struct kept *kept, uint64_t number, uint64_t count);
bool kept_borrows(const struct kept *kept);
/* Are there data that kept_own would copy? */
bool kept_lent(const struct kept *kept);
/* All data are copied that are still the caller's, if there is room; never
 * fails. */
void kept_own(struct kept *kept);
/* The last item was not written, or only its first bytes were. */
void kept_cut(struct kept *kept, size_t length);
/* All is on the tape: the trail knows the last of it, nothing is kept. */
void kept_settle(struct kept *kept, struct trail *trail);
void kept_drop(struct kept *kept);

#endif
