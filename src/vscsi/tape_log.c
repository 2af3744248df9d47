/*
 * tape_log.c - LOG SENSE of a tape drive: counters, volume, alerts
 *
 * SSC-3 and SSC-4: sequential-access 0Ch, volume statistics 17h, data
 * compression 1Bh, TapeAlert 2Eh, tape capacity 31h (as LTO drives have it).
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/tape.h"

struct page {
    uint8_t data[512];
    size_t len;
};

static void
put_parameter(struct page *page, uint16_t code, uint8_t control, uint64_t value,
              uint8_t bytes)
{
    uint8_t *to = page->data + page->len;

    put16(to, code);
    to[2] = control;
    to[3] = bytes;
    for (unsigned i = 0; i < bytes; i++)
        to[4 + i] = (uint8_t) (value >> 8 * (bytes - 1 - i));
    page->len += 4u + bytes;
}

static void
put_counter(struct page *page, uint16_t code, uint64_t value)
{
    put_parameter(page, code, 0x03, value, 8); /* binary list */
}

static void
put_text_parameter(struct page *page, uint16_t code, const uint8_t *text)
{
    uint8_t *to = page->data + page->len;

    put16(to, code);
    to[2] = 0x01; /* ASCII list */
    to[3] = 32;
    memcpy(to + 4, text, 32);
    page->len += 36;
}

static uint64_t
mib(uint64_t bytes)
{
    return bytes >> 20;
}

static uint64_t
remaining(const struct task *task)
{
    const struct medium *medium = task->drive->medium;
    uint64_t used = medium != NULL ? medium->simh->end : 0;
    uint64_t all = task->drive->tape->capacity;

    return medium == NULL || used > all ? 0 : all - used;
}

static void
fill_list(struct task *task, struct page *page)
{
    static const uint8_t pages[] = { 0x00, 0x0C, 0x17, 0x1B, 0x2E, 0x31 };

    (void) task;
    memcpy(page->data + page->len, pages, sizeof pages);
    page->len += sizeof pages;
}

static void
fill_sequential(struct task *task, struct page *page)
{
    const struct tape *tape = task->drive->tape;

    put_counter(page, 0x0000, tape->total_written);
    put_counter(page, 0x0001, tape->total_written);
    put_counter(page, 0x0002, tape->total_read);
    put_counter(page, 0x0003, tape->total_read);
    put_parameter(page, 0x0100, 0x03, tape_wish(task->drive) != 0, 1);
}

static void
fill_volume(struct task *task, struct page *page)
{
    const struct tape *tape = task->drive->tape;
    const struct medium *medium = task->drive->medium;
    const struct mam *mam = medium != NULL ? medium->mam : NULL;

    put_parameter(page, 0x0000, 0x03, medium != NULL, 1);
    if (mam == NULL)
        return;
    put_parameter(page, 0x0001, 0x03, mam_number(mam, 0x0003), 4);
    put_counter(page, 0x0010, mam_number(mam, 0x0220) + mib(tape->written));
    put_counter(page, 0x0011, mam_number(mam, 0x0221) + mib(tape->read));
    put_counter(page, 0x0016, mib(tape->capacity));
    put_counter(page, 0x0017, mib(medium->simh->end));
    put_text_parameter(page, 0x0040, mam_text(mam, 0x0401));
    put_text_parameter(page, 0x0042, mam_text(mam, 0x0806));
    put_parameter(page, 0x0080, 0x03, drive_write_protected(task->drive), 1);
}

/* Data are not really made smaller: the ratio is 1. */
static void
fill_compression(struct task *task, struct page *page)
{
    const struct tape *tape = task->drive->tape;

    put_parameter(page, 0x0000, 0x03, 100, 2);
    put_parameter(page, 0x0001, 0x03, 100, 2);
    put_parameter(page, 0x0002, 0x03, mib(tape->total_read), 4);
    put_parameter(page, 0x0004, 0x03, mib(tape->total_read), 4);
    put_parameter(page, 0x0006, 0x03, mib(tape->total_written), 4);
    put_parameter(page, 0x0008, 0x03, mib(tape->total_written), 4);
    put_parameter(page, 0x0100, 0x03, tape->compression, 1);
}

/* Each nexus is told once. */
static void
fill_alerts(struct task *task, struct page *page)
{
    struct vscsi_drive *drive = task->drive;
    uint64_t alerts;

    pthread_mutex_lock(&drive->lock);
    alerts = task->nexus->alerts;
    task->nexus->alerts = 0;
    pthread_mutex_unlock(&drive->lock);
    for (unsigned flag = 1; flag <= 64; flag++)
        put_parameter(page, (uint16_t) flag, 0x00, alerts >> (flag - 1) & 1, 1);
}

static void
fill_capacity(struct task *task, struct page *page)
{
    const struct tape *tape = task->drive->tape;
    bool medium = task->drive->medium != NULL;

    put_parameter(page, 0x0001, 0x03, mib(remaining(task)), 4);
    put_parameter(page, 0x0002, 0x03, 0, 4);
    put_parameter(page, 0x0003, 0x03, medium ? mib(tape->capacity) : 0, 4);
    put_parameter(page, 0x0004, 0x03, 0, 4);
}

uint32_t
tape_log_sense(struct task *task)
{
    static const struct {
        uint8_t code;
        void (*fill)(struct task *task, struct page *page);
    } pages[] = {
        { 0x00, fill_list },   { 0x0C, fill_sequential },
        { 0x17, fill_volume }, { 0x1B, fill_compression },
        { 0x2E, fill_alerts }, { 0x31, fill_capacity },
    };
    const uint8_t *cdb = task->command->cdb;
    struct page page = { .len = 4 };

    /* Cumulative current values; nothing is saved; from the first parameter. */
    if (cdb[1] != 0 || cdb[3] != 0 || get16(cdb + 5) != 0)
        return SENSE_CDB_FIELD;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (pages[i].code != (cdb[2] & 0x3f))
            continue;
        pages[i].fill(task, &page);
        page.data[0] = pages[i].code;
        put16(page.data + 2, (uint32_t) page.len - 4);
        return reply(task, page.data, page.len, get16(cdb + 7));
    }
    return SENSE_CDB_FIELD;
}
