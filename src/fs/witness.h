/*
 * witness.h - what we last knew to be on the medium, in a bounded sample
 *
 * A medium that comes back with the right identity may have been written to by
 * another machine meanwhile.  The witness remembers hashes of some blocks: those
 * that were read to identify the volume, and blocks that were lately read or
 * written.  Before anything is written to a medium that came back they are read
 * again and compared.
 *
 * A block with writes that no flush has covered yet may hold any of the states
 * since the last flush; all are remembered, up to a few, then it says nothing.
 *
 * Nothing here locks or waits: the owner holds its lock.  <= DISPATCH_LEVEL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_WITNESS_H
#define FS_WITNESS_H

#include <ntifs.h>

#define WITNESS_MAX     256
#define WITNESS_FIRM    64  /* of those: for what identifies the volume */
#define WITNESS_OPTICAL 64
#define WITNESS_STATES  4
#define WITNESS_ZONES   4096

struct witness {
    ULONG block_bytes;
    ULONG limit;                /* WITNESS_MAX or WITNESS_OPTICAL */
    ULONG count;
    ULONG next;                 /* the next to be replaced */
    ULONG64 zones[WITNESS_ZONES / 64];  /* where entries are, by a hash over
                                 * 64 KiB: no bit, no entry */
    ULONG64 at[WITNESS_MAX];    /* byte offset of the block */
    struct witness_state {
        ULONG64 hash[WITNESS_STATES];   /* the last is what was written last */
        ULONG epoch;            /* of the last write */
        USHORT writing;         /* writes under way */
        UCHAR states;           /* 0: says nothing */
        BOOLEAN blurred;        /* more states than are kept */
        BOOLEAN contested;      /* two writes at once: either may be last */
        BOOLEAN firm;
        BOOLEAN tells;          /* the last is not one byte repeated */
        BOOLEAN on_disk;        /* the head of a log on disk has it */
        BOOLEAN hot;            /* no further head is to have it */
    } entry[WITNESS_MAX];
};

void witness_init(struct witness *witness, ULONG block_bytes, BOOLEAN optical);

/* [offset, offset + length) was read, whole blocks, and no unflushed write is
 * in it: takes its first block as an entry, if it is none that says something.
 * firm: belongs to what identifies the volume, is not replaced by later reads
 * and writes. */
void witness_saw(struct witness *witness, ULONG64 offset, const void *data,
                 ULONG length, BOOLEAN firm);

/* A write is about to be sent, and none is under way: its first block becomes
 * an entry, if there is none. */
void witness_expect(struct witness *witness, ULONG64 offset, ULONG64 length);

static inline ULONG
witness_zone(ULONG64 at)
{
    return (ULONG) ((at >> 16) * 0x9E3779B97F4A7C15ull >> 52);
}

/* Cheap: may the range touch an entry? */
static inline BOOLEAN
witness_may_touch(const struct witness *witness, ULONG64 offset,
                  ULONG64 length)
{
    ULONG64 last = (offset + length - 1) >> 16 << 16;

    if (length > 4u << 20)
        return witness->count != 0;
    for (ULONG64 at = offset >> 16 << 16; at <= last; at += 1u << 16) {
        ULONG zone = witness_zone(at);

        if (__atomic_load_n(&witness->zones[zone / 64], __ATOMIC_RELAXED) >>
                (zone % 64) & 1)
            return TRUE;
    }
    return FALSE;
}

/* A write of the range is sent.  TRUE: it touches an entry, and its end has to
 * be told by exactly one of the next two. */
BOOLEAN witness_writing(struct witness *witness, ULONG64 offset,
                        ULONG64 length);
/* The range is going to be written: TRUE if a head on disk knows it by what is
 * there now; the next one will not. */
BOOLEAN witness_withdraw(struct witness *witness, ULONG64 offset,
                         ULONG64 length);
/* No head on disk counts. */
void witness_not_on_disk(struct witness *witness);
/* An entry as it was remembered elsewhere. */
void witness_restore(struct witness *witness, ULONG64 at, const ULONG64 *hash,
                     ULONG states, ULONG epoch);
/* It succeeded.  data NULL: what is there now is not known.  epoch: the first
 * flush that covers it; kept: the medium has it already. */
void witness_wrote(struct witness *witness, ULONG64 offset, const void *data,
                   ULONG64 length, ULONG epoch, BOOLEAN kept);
/* It failed: the range may hold anything of it. */
void witness_not_wrote(struct witness *witness, ULONG64 offset,
                       ULONG64 length);
/* A flush covered all writes up to that epoch. */
void witness_flushed(struct witness *witness, ULONG epoch);

/* The blocks to be read, in order of the medium: their offsets into out_at
 * (room for WITNESS_MAX); how many. */
ULONG witness_list(const struct witness *witness, ULONG64 *out_at);
/* What was read there now: FALSE when it is none of the states that it may
 * have. */
BOOLEAN witness_agrees(const struct witness *witness, ULONG64 at,
                       const void *block);
/* Is there an entry that no blank medium has? */
BOOLEAN witness_tells(const struct witness *witness);
/* It agrees, is known exactly, and is nothing that a blank medium has. */
BOOLEAN witness_knows(const struct witness *witness, ULONG64 at,
                      const void *block);
/* It agreed, and no write is under way: that state is the newest from now on.
 * The next flush keeps it, not what was written before the medium was lost. */
void witness_found(struct witness *witness, ULONG64 at, const void *block);

#endif
