/*
 * tape_set.h - the records that begin and end each tape of a set
 *
 * docs/tapes.md has the layout for people and other programs.  Each record is
 * a small tar archive of its own: a volume header that gives the tape its
 * name, and a text of "key: value" lines.  The data are files of their own
 * between them, as they came.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPE_SET_H
#define TAPE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPE_SET_LABEL_MAX  64      /* with the 0 at its end */
#define TAPE_SET_ID_LEN     36      /* a UUID in text */
#define TAPE_SET_RECORD     10240   /* bytes, unless the block size asks more */

struct tape_set_sum {
    uint64_t bytes, records;
    uint32_t crc;
};

struct tape_set_mark {
    bool end;                   /* the record behind the data */
    char label[TAPE_SET_LABEL_MAX];
    char set[TAPE_SET_ID_LEN + 1];
    unsigned part;              /* from 1 */
    uint64_t block_size;        /* of the data */
    bool padded;                /* the last block may be longer than the data */
    int64_t time;               /* when it was written */
    struct tape_set_sum before; /* begin: of the part before; records 0: none */
    struct tape_set_sum part_sum;       /* end: of this part */
    struct tape_set_sum total;  /* begin: before this part; end: with it */
    bool last;                  /* end: no part follows */
    bool complete;              /* end: ... and all that was to be written is */
};

/* A new id; out has room for TAPE_SET_ID_LEN + 1. */
int tape_set_new_id(char *out_id);
/* "LABEL Volume N", the name that a part's tape has; free nothing. */
void tape_set_tape_name(const char *label, unsigned part, char *out_name,
                        size_t max);
/* 0 or -EINVAL: can this be a label? */
int tape_set_check_label(const char *label);
/* One record, whose length is a multiple of `multiple`; free().  0 or -ENOMEM. */
int tape_set_build(const struct tape_set_mark *mark, size_t multiple,
                   void **out_record, size_t *out_len);
/* -ENOENT: it is none; -EBADMSG: it was one and is damaged. */
int tape_set_parse(const void *record, size_t len,
                   struct tape_set_mark *out_mark);

#endif
