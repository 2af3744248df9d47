/*
 * witness.c - a bounded sample of what is on the medium
 *
 * The entries are few, so a range is looked up by going over all of them; a
 * bit set of zones of 64 KiB answers "none here" without that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/witness.h"

#include <stdlib.h>
#include <string.h>

void
witness_init(struct witness *witness, ULONG block_bytes, BOOLEAN optical)
{
    RtlZeroMemory(witness, sizeof *witness);
    witness->block_bytes = block_bytes;
    witness->limit = optical ? WITNESS_OPTICAL : WITNESS_MAX;
}

/* FNV-1a by words, folded; never 0. */
static ULONG64
hash_block(const void *data, ULONG length)
{
    ULONG64 hash = 0xCBF29CE484222325ull, word;

    for (ULONG i = 0; i < length; i += sizeof word) {
        memcpy(&word, (const UCHAR *) data + i, sizeof word);
        hash = (hash ^ word) * 0x100000001B3ull;
        hash ^= hash >> 32;
    }
    return hash | 1;
}

/* One byte repeated: says nothing. */
static BOOLEAN
is_plain(const void *data, ULONG length)
{
    return memcmp(data, (const UCHAR *) data + 1, length - 1) == 0;
}

static ULONG
find(const struct witness *witness, ULONG64 at)
{
    ULONG i = 0;

    while (i < witness->count && witness->at[i] != at)
        i++;
    return i;
}

static void
mark_zones(struct witness *witness)
{
    ULONG64 zones[WITNESS_ZONES / 64] = { 0 };

    for (ULONG i = 0; i < witness->count; i++) {
        ULONG zone = witness_zone(witness->at[i]);

        zones[zone / 64] |= 1ull << (zone % 64);
    }
    for (ULONG i = 0; i < WITNESS_ZONES / 64; i++)
        __atomic_store_n(&witness->zones[i], zones[i], __ATOMIC_RELAXED);
}

/* A place for a new entry; limit when there is none. */
static ULONG
place_for(struct witness *witness)
{
    if (witness->count < witness->limit)
        return witness->count++;
    for (ULONG tried = 0; tried < witness->limit; tried++) {
        ULONG i = witness->next++ % witness->limit;

        if (!witness->entry[i].firm && witness->entry[i].writing == 0)
            return i;
    }
    return witness->limit;
}

static ULONG
firm_count(const struct witness *witness)
{
    ULONG count = 0;

    for (ULONG i = 0; i < witness->count; i++)
        count += witness->entry[i].firm;
    return count;
}

void
witness_saw(struct witness *witness, ULONG64 offset, const void *data,
            ULONG length, BOOLEAN firm)
{
    ULONG block = witness->block_bytes, i;

    if (length < block || offset % block != 0)
        return;
    i = find(witness, offset);
    if (i < witness->count) {
        if (witness->entry[i].states != 0 || witness->entry[i].writing != 0)
            return;
        firm = firm || witness->entry[i].firm;
    } else if (firm && firm_count(witness) >= witness->limit / 4) {
        return;
    } else {
        i = place_for(witness);
    }
    if (i == witness->limit)
        return;
    witness->at[i] = offset;
    witness->entry[i] = (struct witness_state){
        .states = 1, .firm = firm, .tells = !is_plain(data, block)
    };
    witness->entry[i].hash[0] = hash_block(data, block);
    mark_zones(witness);
}

void
witness_expect(struct witness *witness, ULONG64 offset, ULONG64 length)
{
    ULONG i;

    if (length < witness->block_bytes || find(witness, offset) < witness->count)
        return;
    i = place_for(witness);
    if (i == witness->limit)
        return;
    witness->at[i] = offset;
    witness->entry[i] = (struct witness_state){ .states = 0 };
    mark_zones(witness);
}

BOOLEAN
witness_writing(struct witness *witness, ULONG64 offset, ULONG64 length)
{
    BOOLEAN touched = FALSE;

    for (ULONG i = 0; i < witness->count; i++) {
        if (witness->at[i] - offset < length) {
            witness->entry[i].contested |= witness->entry[i].writing != 0;
            witness->entry[i].writing++;
            touched = TRUE;
        }
    }
    return touched;
}

BOOLEAN
witness_withdraw(struct witness *witness, ULONG64 offset, ULONG64 length)
{
    BOOLEAN known = FALSE;

    for (ULONG i = 0; i < witness->count; i++) {
        struct witness_state *entry = &witness->entry[i];

        if (witness->at[i] - offset >= length || !entry->on_disk)
            continue;
        entry->on_disk = FALSE;
        entry->hot = TRUE;
        known = TRUE;
    }
    return known;
}

void
witness_not_on_disk(struct witness *witness)
{
    for (ULONG i = 0; i < witness->count; i++)
        witness->entry[i].on_disk = witness->entry[i].hot = FALSE;
}

void
witness_restore(struct witness *witness, ULONG64 at, const ULONG64 *hash,
                ULONG states, ULONG epoch)
{
    ULONG i = witness->count;

    if (i == witness->limit || states == 0 || states > WITNESS_STATES)
        return;
    witness->count++;
    witness->at[i] = at;
    /* For all that we know it tells. */
    witness->entry[i] = (struct witness_state){ .states = (UCHAR) states,
                                                .epoch = epoch,
                                                .tells = TRUE };
    RtlCopyMemory(witness->entry[i].hash, hash, sizeof witness->entry[i].hash);
    mark_zones(witness);
}

static void
add_state(struct witness_state *entry, ULONG64 hash, ULONG epoch, BOOLEAN kept)
{
    entry->epoch = epoch;
    if (hash == 0 || entry->contested) {
        entry->states = 0;
        entry->contested = entry->writing != 0;
    } else if (kept) {
        entry->hash[0] = hash;
        entry->states = 1;
        entry->blurred = FALSE;
    } else if (entry->states != 0 && entry->hash[entry->states - 1] != hash) {
        entry->blurred |= entry->states == WITNESS_STATES;
        entry->states += entry->states < WITNESS_STATES;
        entry->hash[entry->states - 1] = hash;
    }
}

void
witness_wrote(struct witness *witness, ULONG64 offset, const void *data,
              ULONG64 length, ULONG epoch, BOOLEAN kept)
{
    for (ULONG i = 0; i < witness->count; i++) {
        ULONG64 inside = witness->at[i] - offset;
        ULONG64 hash = 0;

        if (inside >= length || witness->entry[i].writing == 0)
            continue;
        if (data != NULL) {
            const UCHAR *block = (const UCHAR *) data + inside;

            hash = hash_block(block, witness->block_bytes);
            witness->entry[i].tells = !is_plain(block, witness->block_bytes);
        }
        witness->entry[i].writing--;
        add_state(&witness->entry[i], hash, epoch, kept);
    }
}

void
witness_not_wrote(struct witness *witness, ULONG64 offset, ULONG64 length)
{
    witness_wrote(witness, offset, NULL, length, 0, FALSE);
}

void
witness_flushed(struct witness *witness, ULONG epoch)
{
    for (ULONG i = 0; i < witness->count; i++) {
        struct witness_state *entry = &witness->entry[i];

        if (entry->states > 1 && (LONG) (entry->epoch - epoch) <= 0) {
            entry->hash[0] = entry->hash[entry->states - 1];
            entry->states = 1;
            entry->blurred = FALSE;
        }
    }
}

static int
by_offset(const void *a, const void *b)
{
    ULONG64 x = *(const ULONG64 *) a, y = *(const ULONG64 *) b;

    return x < y ? -1 : x > y;
}

ULONG
witness_list(const struct witness *witness, ULONG64 *out_at)
{
    ULONG count = 0;

    for (ULONG i = 0; i < witness->count; i++)
        if (witness->entry[i].states != 0 && witness->entry[i].writing == 0)
            out_at[count++] = witness->at[i];
    qsort(out_at, count, sizeof *out_at, by_offset);
    return count;
}

/* An entry that says what is on the medium. */
static BOOLEAN
is_exact(const struct witness_state *entry)
{
    return entry->states != 0 && !entry->blurred && entry->writing == 0;
}

static BOOLEAN
has_state(const struct witness_state *entry, ULONG64 hash)
{
    for (ULONG n = 0; n < entry->states; n++)
        if (entry->hash[n] == hash)
            return TRUE;
    return FALSE;
}

BOOLEAN
witness_tells(const struct witness *witness)
{
    for (ULONG i = 0; i < witness->count; i++)
        if (is_exact(&witness->entry[i]) && witness->entry[i].tells)
            return TRUE;
    return FALSE;
}

BOOLEAN
witness_knows(const struct witness *witness, ULONG64 at, const void *block)
{
    ULONG i = find(witness, at);

    return i < witness->count && is_exact(&witness->entry[i]) &&
           !is_plain(block, witness->block_bytes) &&
           has_state(&witness->entry[i],
                     hash_block(block, witness->block_bytes));
}

BOOLEAN
witness_agrees(const struct witness *witness, ULONG64 at, const void *block)
{
    ULONG i = find(witness, at);

    return i == witness->count || !is_exact(&witness->entry[i]) ||
           has_state(&witness->entry[i],
                     hash_block(block, witness->block_bytes));
}

void
witness_found(struct witness *witness, ULONG64 at, const void *block)
{
    struct witness_state *entry;
    ULONG i = find(witness, at), n = 0;
    ULONG64 hash;

    if (i == witness->count)
        return;
    entry = &witness->entry[i];
    if (entry->states == 0 || entry->writing != 0)
        return;
    hash = hash_block(block, witness->block_bytes);
    while (n + 1 < entry->states && entry->hash[n] != hash)
        n++;
    for (; n + 1 < entry->states; n++)
        entry->hash[n] = entry->hash[n + 1];
    entry->hash[n] = hash;
    entry->tells = !is_plain(block, witness->block_bytes);
}
