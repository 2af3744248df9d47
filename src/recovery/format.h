/*
 * format.h - the file, as it is on disk; little endian throughout
 *
 * docs/recovery.md is the same in words.  Two sums per record, so that a torn
 * tail and a damaged block are told apart: one over the record's head, one over
 * what follows it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef RECOVERY_FORMAT_H
#define RECOVERY_FORMAT_H

#include <stdint.h>

#include "recovery.h"

#define REC_MAGIC        "REINSERT-VOLUME\0"
#define REC_VERSION      1u
#define REC_RECORD_MAGIC 0x43455252u /* "RREC" */
#define REC_ALIGN        8u
#define REC_DATA_MAX     (64u << 20) /* of one record */
#define REC_WITNESS_MAX  65536u

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the records are written as they are in memory"
#endif

struct rec_head {
    char magic[16];
    uint32_t version;
    uint32_t flags; /* 0: none are known */
    uint64_t created_ms;
    uint64_t size_bytes;
    uint32_t block_bytes;
    uint32_t status;
    char type[32];
    char uuid[96];
    char label[128];
    char drive[64];
    uint64_t log_salt; /* 0: there was no log */
    uint64_t log_generation;
    char zero[124];
    uint32_t crc; /* of all before it */
};

_Static_assert(sizeof(struct rec_head) == 512, "head");

/* After it `payload` bytes, then zeroes up to a multiple of REC_ALIGN. */
struct rec_mark {
    uint32_t magic;
    uint32_t what;
    uint64_t offset; /* of REC_END: how many records came before */
    uint64_t len;    /* of REC_WITNESS: entries; of REC_END: bytes of data */
    uint32_t payload;
    uint32_t payload_crc;
    uint32_t zero;
    uint32_t crc; /* of all before it */
};

_Static_assert(sizeof(struct rec_mark) == 40, "mark");
_Static_assert(sizeof(struct rec_witness) == 48, "witness");

/* zlib's CRC-32. */
uint32_t rec_crc(const void *data, size_t len);

__attribute__((format(printf, 3, 4))) int
rec_fail(struct rec_error *error, int code, const char *format, ...);

#endif
