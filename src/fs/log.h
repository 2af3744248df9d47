/*
 * log.h - what a client wrote and the medium has not yet promised to keep
 *
 * Of every block the newest data, once.  A flush that succeeds makes the log
 * forget what was written before the flush was sent; what came later stays.
 * Replayed in the order of the blocks onto the verified medium, it makes the
 * medium what its clients were told it is.
 *
 * Nothing here locks or waits: whoever owns the log holds its lock around each
 * call but log_page_data.  <= DISPATCH_LEVEL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <ntifs.h>

#define LOG_PAGE 4096u
#define LOG_UNIT 512u /* what a page knows to be written */

struct log_page;

struct log {
    struct log_page **buckets;  /* by page number */
    ULONG bucket_count;         /* a power of two */
    LIST_ENTRY age;             /* pages, the last written at the tail */
    ULONG pages;                /* in use */
    ULONG limit;                /* pages; 0: keeps nothing */
    ULONG epoch;                /* of what is written now */
    struct log_page *spare;     /* freed, for the next writes */
    ULONG spares;
};

/* Statuses: STATUS_INSUFFICIENT_RESOURCES. */
NTSTATUS log_init(struct log *log, ULONG64 limit_bytes);
void log_free(struct log *log);

/*
 * The newest data of [offset, offset + length), multiples of LOG_UNIT.  NULL
 * data: zeroes.  FALSE: there is no room or no memory; then the log is as it
 * was, but for parts of this range that it already had and that were replaced.
 * The caller flushes before it acknowledges the write.
 */
BOOLEAN log_put(struct log *log, ULONG64 offset, const void *data,
                ULONG64 length);
/* The medium has the range for good, or what is there no longer matters. */
void log_drop(struct log *log, ULONG64 offset, ULONG64 length);

/* What is put from now on is not covered by a flush that is sent now. */
ULONG log_seal(struct log *log);
/* That flush succeeded. */
void log_flushed(struct log *log, ULONG sealed);

static inline BOOLEAN
log_empty(const struct log *log)
{
    return log->pages == 0;
}

static inline ULONG64
log_bytes(const struct log *log)
{
    return (ULONG64) log->pages * LOG_PAGE;
}

/* Of up to `most` pages, the last written ones that a flush of `sealed` covers:
 * the first `block` bytes that are written as a whole. */
typedef void log_page_fn(void *context, ULONG64 offset, const void *data);
void log_newest(const struct log *log, ULONG sealed, ULONG block, ULONG most,
                log_page_fn *fn, void *context);

/* Is any of the range in the log? */
BOOLEAN log_covers(const struct log *log, ULONG64 offset, ULONG64 length);

/*
 * Calls fn for every run of written bytes, in the order of the medium, with up
 * to `most` bytes each, copied into `buffer` (of that size, at least LOG_PAGE);
 * stops at the first status that is not a success and returns it.
 * STATUS_INSUFFICIENT_RESOURCES: no memory for the list.  The log must not
 * change meanwhile, and no lock need be held.
 */
typedef NTSTATUS log_run_fn(void *context, ULONG64 offset, const void *data,
                            ULONG length);
NTSTATUS log_each(const struct log *log, void *buffer, ULONG most,
                  log_run_fn *fn, void *context);

#endif
