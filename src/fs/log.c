/*
 * log.c - the unflushed log of one volume: pages of the medium, newest data
 *
 * A page holds 4 KiB of the medium and a bit for each 512 bytes that were
 * written; it is found by its number in a hash table.  Writing again to a page
 * replaces its bytes, so a block is kept once.  A page bears the epoch of its
 * last write; a flush that was sent when an epoch ended lets go of every page
 * that was not written since.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/log.h"

#include <stdlib.h>
#include <string.h>

#define LOG_TAG    0x676F4C52 /* 'RLog' */
#define UNITS      (LOG_PAGE / LOG_UNIT)
#define SPARES_MAX 256u /* 1 MiB is kept for the next burst */

C_ASSERT(UNITS == 8);

struct log_page {
    struct log_page *next; /* in its bucket, or spare */
    LIST_ENTRY age;
    ULONG64 number; /* offset / LOG_PAGE */
    ULONG epoch;
    UCHAR written; /* a bit per unit */
    UCHAR data[LOG_PAGE];
};

NTSTATUS
log_init(struct log *log, ULONG64 limit_bytes)
{
    ULONG64 limit = limit_bytes / LOG_PAGE;
    ULONG count = 64;

    if (limit > 1u << 24)
        limit = 1u << 24;
    while (count < limit)
        count *= 2;
    RtlZeroMemory(log, sizeof *log);
    log->buckets = ExAllocatePoolWithTag(
        NonPagedPool, count * sizeof(struct log_page *), LOG_TAG);
    if (log->buckets == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(log->buckets, count * sizeof(struct log_page *));
    log->bucket_count = count;
    log->limit = (ULONG) limit;
    log->epoch = 1;
    InitializeListHead(&log->age);
    return STATUS_SUCCESS;
}

static struct log_page **
bucket_of(const struct log *log, ULONG64 number)
{
    ULONG64 mixed = number * 0x9E3779B97F4A7C15ull;

    return &log->buckets[(mixed >> 32) & (log->bucket_count - 1)];
}

/* Where the pointer to the page is, or where it would be. */
static struct log_page **
find(const struct log *log, ULONG64 number)
{
    struct log_page **at = bucket_of(log, number);

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void
let_go(struct log *log, struct log_page **at)
{
    struct log_page *page = *at;

    if (page == NULL)
        return;
    *at = page->next;
    RemoveEntryList(&page->age);
    log->pages--;
    if (log->spares < SPARES_MAX) {
        page->next = log->spare;
        log->spare = page;
        log->spares++;
    } else {
        ExFreePoolWithTag(page, LOG_TAG);
    }
}

static struct log_page *
new_page(struct log *log)
{
    struct log_page *page = log->spare;

    if (log->pages >= log->limit)
        return NULL;
    if (page != NULL) {
        log->spare = page->next;
        log->spares--;
    } else {
        page = ExAllocatePoolWithTag(NonPagedPool, sizeof *page, LOG_TAG);
    }
    return page;
}

static UCHAR
units_of(ULONG from, ULONG length)
{
    ULONG first = from / LOG_UNIT;
    ULONG count = (from % LOG_UNIT + length + LOG_UNIT - 1) / LOG_UNIT;

    return (UCHAR) (((1u << count) - 1) << first);
}

/* Each page of a range: its number, the part of it. */
struct part {
    ULONG64 number;
    ULONG from, length;
};

static BOOLEAN
next_part(ULONG64 *offset, ULONG64 *length, struct part *part)
{
    ULONG room;

    if (*length == 0)
        return FALSE;
    part->number = *offset / LOG_PAGE;
    part->from = (ULONG) (*offset % LOG_PAGE);
    room = LOG_PAGE - part->from;
    part->length = *length < room ? (ULONG) *length : room;
    *offset += part->length;
    *length -= part->length;
    return TRUE;
}

/* How many pages a put would have to add. */
static ULONG64
pages_wanted(const struct log *log, ULONG64 offset, ULONG64 length)
{
    struct part part;
    ULONG64 wanted = 0;

    while (next_part(&offset, &length, &part))
        wanted += *find(log, part.number) == NULL;
    return wanted;
}

BOOLEAN
log_put(struct log *log, ULONG64 offset, const void *data, ULONG64 length)
{
    const UCHAR *from = data;
    struct part part;

    if (log->pages + length / LOG_PAGE + 2 > log->limit &&
        log->pages + pages_wanted(log, offset, length) > log->limit)
        return FALSE;
    while (next_part(&offset, &length, &part)) {
        struct log_page **at = find(log, part.number);
        struct log_page *page = *at;

        if (page == NULL) {
            page = new_page(log);
            if (page == NULL)
                return FALSE;
            page->next = NULL;
            page->number = part.number;
            page->written = 0;
            *at = page;
            log->pages++;
        } else {
            RemoveEntryList(&page->age);
        }
        InsertTailList(&log->age, &page->age);
        page->epoch = log->epoch;
        page->written |= units_of(part.from, part.length);
        if (from != NULL) {
            RtlCopyMemory(page->data + part.from, from, part.length);
            from += part.length;
        } else {
            RtlZeroMemory(page->data + part.from, part.length);
        }
    }
    return TRUE;
}

static void
forget(struct log *log, ULONG64 number, UCHAR units)
{
    struct log_page **at = find(log, number);

    if (*at == NULL)
        return;
    (*at)->written &= (UCHAR) ~units;
    if ((*at)->written == 0)
        let_go(log, at);
}

/* What of a page is in a range. */
static UCHAR
units_in(const struct log_page *page, ULONG64 offset, ULONG64 end)
{
    ULONG64 start = page->number * LOG_PAGE, stop = start + LOG_PAGE;

    if (offset >= stop || end <= start)
        return 0;
    if (offset < start)
        offset = start;
    if (end > stop)
        end = stop;
    return units_of((ULONG) (offset - start), (ULONG) (end - offset));
}

/* Visits the pages of the range, or all pages when those are fewer. */
void
log_drop(struct log *log, ULONG64 offset, ULONG64 length)
{
    PLIST_ENTRY entry, next;
    struct part part;

    if (log->pages == 0)
        return;
    if (length / LOG_PAGE <= log->pages) {
        while (next_part(&offset, &length, &part))
            forget(log, part.number, units_of(part.from, part.length));
        return;
    }
    for (entry = log->age.Flink; entry != &log->age; entry = next) {
        struct log_page *page = CONTAINING_RECORD(entry, struct log_page, age);

        next = entry->Flink;
        forget(log, page->number, units_in(page, offset, offset + length));
    }
}

ULONG
log_seal(struct log *log)
{
    return log->epoch++;
}

void
log_flushed(struct log *log, ULONG sealed)
{
    while (log->pages != 0) {
        struct log_page *oldest =
            CONTAINING_RECORD(log->age.Flink, struct log_page, age);

        if ((LONG) (oldest->epoch - sealed) > 0)
            return;
        let_go(log, find(log, oldest->number));
    }
}

/* The first aligned block of the page that is written as a whole; LOG_PAGE:
 * none. */
static ULONG
whole_block(const struct log_page *page, ULONG block)
{
    ULONG at = 0;

    while (at + block <= LOG_PAGE &&
           (page->written & units_of(at, block)) != units_of(at, block))
        at += block;
    return at + block <= LOG_PAGE ? at : LOG_PAGE;
}

void
log_newest(const struct log *log, ULONG sealed, ULONG block, ULONG most,
           log_page_fn *fn, void *context)
{
    PLIST_ENTRY entry;

    if (log->pages == 0 || block > LOG_PAGE)
        return;
    for (entry = log->age.Blink; entry != &log->age && most > 0;
         entry = entry->Blink, most--) {
        const struct log_page *page =
            CONTAINING_RECORD(entry, struct log_page, age);
        ULONG at = whole_block(page, block);

        if ((LONG) (page->epoch - sealed) <= 0 && at < LOG_PAGE)
            fn(context, page->number * LOG_PAGE + at, page->data + at);
    }
}

BOOLEAN
log_covers(const struct log *log, ULONG64 offset, ULONG64 length)
{
    struct part part;

    if (log->pages == 0)
        return FALSE;
    while (next_part(&offset, &length, &part)) {
        const struct log_page *page = *find(log, part.number);

        if (page != NULL &&
            (page->written & units_of(part.from, part.length)) != 0)
            return TRUE;
    }
    return FALSE;
}

/* --- replay --------------------------------------------------------------------- */

static int
by_number(const void *a, const void *b)
{
    const struct log_page *x = *(struct log_page *const *) a;
    const struct log_page *y = *(struct log_page *const *) b;

    return x->number < y->number ? -1 : x->number > y->number;
}

struct run {
    UCHAR *buffer;
    ULONG most, length;
    ULONG64 offset;
    log_run_fn *fn;
    void *context;
};

static NTSTATUS
end_run(struct run *run)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (run->length != 0)
        status = run->fn(run->context, run->offset, run->buffer, run->length);
    run->length = 0;
    return status;
}

static NTSTATUS
add_page(struct run *run, const struct log_page *page)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (ULONG unit = 0; unit < UNITS && NT_SUCCESS(status); unit++) {
        ULONG64 at = page->number * LOG_PAGE + unit * LOG_UNIT;

        if ((page->written & (1u << unit)) == 0)
            continue;
        if (run->length != 0 && (at != run->offset + run->length ||
                                 run->length + LOG_UNIT > run->most))
            status = end_run(run);
        if (run->length == 0)
            run->offset = at;
        RtlCopyMemory(run->buffer + run->length, page->data + unit * LOG_UNIT,
                      LOG_UNIT);
        run->length += LOG_UNIT;
    }
    return status;
}

NTSTATUS
log_each(const struct log *log, void *buffer, ULONG most, log_run_fn *fn,
         void *context)
{
    struct run run = {
        .buffer = buffer, .most = most, .fn = fn, .context = context
    };
    struct log_page **sorted;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG count = 0;

    if (log->pages == 0)
        return STATUS_SUCCESS;
    sorted = ExAllocatePoolWithTag(
        NonPagedPool, log->pages * sizeof(struct log_page *), LOG_TAG);
    if (sorted == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (PLIST_ENTRY at = log->age.Flink; at != &log->age; at = at->Flink)
        sorted[count++] = CONTAINING_RECORD(at, struct log_page, age);
    qsort(sorted, count, sizeof *sorted, by_number);
    for (ULONG i = 0; i < count && NT_SUCCESS(status); i++)
        status = add_page(&run, sorted[i]);
    if (NT_SUCCESS(status))
        status = end_run(&run);
    ExFreePoolWithTag(sorted, LOG_TAG);
    return status;
}

void
log_free(struct log *log)
{
    if (log->buckets != NULL) {
        log_flushed(log, log->epoch);
        ExFreePoolWithTag(log->buckets, LOG_TAG);
    }
    while (log->spare != NULL) {
        struct log_page *page = log->spare;

        log->spare = page->next;
        ExFreePoolWithTag(page, LOG_TAG);
    }
    RtlZeroMemory(log, sizeof *log);
}
