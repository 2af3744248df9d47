/*
 * unflushed.h - the log on disk of what a medium has not promised to keep yet
 *
 * One file per volume, made of two heads and a ring of records; what is
 * committed is on disk.  docs/unflushed-log.md describes it byte by byte.
 *
 * Nothing here keeps state between calls but what a pointer names; one thread
 * per object at a time.  Functions return 0 or -errno and then say in out_error
 * what is wrong, with the file's name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REINSERT_UNFLUSHED_H
#define REINSERT_UNFLUSHED_H

#include "recovery.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ULOG_SUFFIX       ".unflushed"
#define ULOG_IDENTITY_MAX 8192
#define ULOG_WITNESS_MAX  256

enum ulog_what {
    ULOG_DATA = 1,
    ULOG_ZEROES,
    ULOG_DROP,              /* what older records say of the range is void */
};

struct ulog_record {
    enum ulog_what what;
    uint64_t offset, len;   /* on the medium; of data at most 64 MiB */
    const void *data;       /* of ULOG_DATA */
    uint32_t epoch;         /* not on disk: see flushed */
};

/* Whose log it is, and what was known of the medium. */
struct ulog_head {
    struct rec_about about;
    const void *identity;   /* opaque here */
    uint32_t identity_bytes;
    const struct rec_witness *witness;
    uint32_t witness_count;
};

/* --- writing ------------------------------------------------------------- */

struct ulog;

/* A new file in `dir`; ring_bytes bounds what it can hold. */
int ulog_create(const char *dir, const struct ulog_head *head,
                uint64_t ring_bytes, struct ulog **out_log,
                struct rec_error *out_error);

struct ulog_batch {
    const struct ulog_record *records;
    size_t count;
    const struct ulog_head *head;   /* NULL: stays as it is, and no flush */
    bool flush;                     /* records up to epoch `flushed`, and all
                                     * before them, are not needed any more */
    uint32_t flushed;
};

/*
 * All of it is on disk when this returns 0.  -ENOBUFS: there is no room before
 * the next flush.  After another failure to put records there is none either
 * until a flush has emptied the log.
 */
int ulog_commit(struct ulog *log, const struct ulog_batch *batch,
                struct rec_error *out_error);
/* The bytes of records that are still needed. */
uint64_t ulog_live(const struct ulog *log);
uint64_t ulog_ring(const struct ulog *log);
/* Records of epochs behind `flushed` are among them. */
bool ulog_has_newer(const struct ulog *log, uint32_t flushed);
/* A failed attempt left something behind that nobody may find: to be flushed. */
bool ulog_broken(const struct ulog *log);
const char *ulog_path(const struct ulog *log);
/* The number of this file, which no other one has. */
uint64_t ulog_salt(const struct ulog *log);
/* Of what counts in it: moves with every flush, and so when nothing does. */
uint64_t ulog_generation(const struct ulog *log);
/* Nothing in it is needed: overwritten, cut, or removed, whichever the disk
 * takes.  *out_removed: it is no more, and the caller closes it. */
int ulog_void(struct ulog *log, bool *out_removed, struct rec_error *out_error);
/* Removes the file if nothing in it is needed. */
void ulog_close(struct ulog *log);
/* Leaves the file as it is. */
void ulog_leave(struct ulog *log);

/* --- reading ------------------------------------------------------------- */

struct ulog_reader;

/*
 * Reads all of the file.  -EINVAL: is none; -EPROTO: of another version;
 * -EBADMSG: damaged where it must not be.
 */
int ulog_read(const char *path, struct ulog_reader **out_reader,
              struct rec_error *out_error);
/* Valid as long as the reader. */
const struct ulog_head *ulog_reader_head(const struct ulog_reader *reader);
uint64_t ulog_reader_salt(const struct ulog_reader *reader);
uint64_t ulog_reader_generation(const struct ulog_reader *reader);
/* 1: a record, in the order of writing; 0: the end. */
int ulog_next(struct ulog_reader *reader, struct ulog_record *out_record);
void ulog_reader_free(struct ulog_reader *reader);
/* The file that was read goes on as a log; what it holds gets `epoch`.  The
 * reader stays the caller's. */
int ulog_resume(const struct ulog_reader *reader, uint32_t epoch,
                struct ulog **out_log, struct rec_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
