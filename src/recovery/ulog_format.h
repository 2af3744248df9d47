/*
 * ulog_format.h - the log on disk, as it is there; little endian throughout
 *
 * docs/unflushed-log.md is the same in words.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef RECOVERY_ULOG_FORMAT_H
#define RECOVERY_ULOG_FORMAT_H

#include "recovery/format.h"
#include "unflushed.h"

#define ULOG_MAGIC        "REINSERT-UNFLUSH" /* without a NUL */
#define ULOG_VERSION      1u
#define ULOG_RECORD_MAGIC 0x52554C52u /* "RLUR" */
#define ULOG_SLOT_BYTES   32768u      /* two of them, then the ring */
#define ULOG_RING_AT      (2u * ULOG_SLOT_BYTES)
#define ULOG_ALIGN        64u
#define ULOG_RING_MOST    (1ull << 40)

struct ulog_slot {
    char magic[16];
    uint32_t version;
    uint32_t flags;      /* 0: none are known */
    uint64_t salt;       /* of this file; every record has it */
    uint64_t generation; /* of two valid slots the higher one counts */
    uint64_t ring_bytes;
    uint64_t first_at; /* the first record that counts: where in the ring */
    uint64_t first_seq;
    uint64_t created_ms;
    uint64_t size_bytes;
    uint32_t block_bytes;
    uint32_t first_chain;
    uint32_t identity_bytes;
    uint32_t witness_count;
    uint32_t payload_crc; /* of the identity and the witness behind this */
    char type[32];
    char uuid[96];
    char label[128];
    char drive[64];
    char zero[88];
    uint32_t crc; /* of all before it */
};

_Static_assert(sizeof(struct ulog_slot) == 512, "slot");
_Static_assert(sizeof(struct ulog_slot) + ULOG_IDENTITY_MAX +
                       ULOG_WITNESS_MAX * sizeof(struct rec_witness) <=
                   ULOG_SLOT_BYTES,
               "a slot has room for all");

/* After it `payload` bytes, then zeroes up to a multiple of ULOG_ALIGN. */
struct ulog_mark {
    uint32_t magic;
    uint32_t what;
    uint64_t seq;
    uint64_t offset;
    uint64_t len;
    uint64_t salt;
    uint64_t synced; /* all records up to this were on disk before */
    uint32_t chain;  /* the crc of the record before, or the slot's */
    uint32_t payload;
    uint32_t payload_crc;
    uint32_t crc; /* of all before it */
};

_Static_assert(sizeof(struct ulog_mark) == 64, "mark");

/* Where the next record is expected. */
struct ulog_place {
    uint64_t at, seq;
    uint32_t chain;
};

static inline uint64_t
ulog_padded(uint64_t payload)
{
    return sizeof(struct ulog_mark) +
           (payload + ULOG_ALIGN - 1) / ULOG_ALIGN * ULOG_ALIGN;
}

#endif
