/*
 * identity.h - what a tape is known by
 *
 * Pure: bytes in, words out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPES_IDENTITY_H
#define TAPES_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <reinsert.h>

/* So much of the first block is looked at. */
#define IDENTITY_BLOCK_MAX 65536u

struct tape_identity {
    char serial[33];            /* of the cartridge's memory, or "" */
    char barcode[33];           /* ... or "" */
    char format[32];            /* "ANSI", "IBM", "LTFS", "Bacula", "tar",
                                 * "unknown", "blank"; "": not looked at */
    char label[RI_NAME_MAX];    /* by that format, or "" */
    uint64_t first_hash;        /* of the first block */
    uint32_t first_bytes;       /* ... looked at; 0: a blank tape */
};

/* What the first block of a tape says; length 0: there is none. */
void identity_first_block(struct tape_identity *identity, const void *data,
                          size_t length);
/* The name for people, RI_NAME_MAX: label, else bar code, else serial number,
 * else the fingerprint. */
void identity_name(const struct tape_identity *identity, char *out_name);

enum identity_match {
    IDENTITY_OTHER,             /* another tape */
    IDENTITY_CHANGED,           /* this cartridge, with another first block */
    IDENTITY_SAME,
};

enum identity_match tape_identity_compare(const struct tape_identity *wanted,
                                     const struct tape_identity *found);
/* Is it meant by this word: name, label, serial number or bar code? */
bool identity_is_called(const struct tape_identity *identity, const char *word);

/* Fast, and not for enemies: it finds what chance and other writers do. */
uint64_t tape_hash(const void *data, size_t length);

#endif
