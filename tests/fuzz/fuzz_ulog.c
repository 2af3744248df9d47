/*
 * fuzz_ulog.c - logs of unflushed data with any damage
 *
 * Input: a byte of flags (1: sums are made right again), then five bytes for
 * each damage: offset (24 bits, little endian, modulo the size), a byte to
 * xor, how many bytes from there on.  With wrong sums nothing may come out that
 * was not put in; with right ones, nothing outside the medium.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recovery/ulog_format.h"

#define MEDIUM  (1u << 20)
#define RECORDS 5

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static unsigned char whole[ULOG_RING_AT + 65536], hurt[sizeof whole];
static size_t whole_len;
static unsigned char content[4096];

static void
make_whole(void)
{
    static const struct rec_witness witness[3] = { { .at = 512, .states = 1 } };
    const struct ulog_head head = {
        .about = { .block_bytes = 512, .size_bytes = MEDIUM, .type = "ext4" },
        .identity = "identity",
        .identity_bytes = 8,
        .witness = witness,
        .witness_count = 3,
    };
    char folder[] = "/tmp/fuzz-ulog-XXXXXX", path[4096];
    struct ulog_record records[RECORDS];
    struct rec_error error;
    struct ulog *log;
    FILE *file;

    if (mkdtemp(folder) == NULL ||
        ulog_create(folder, &head, 65536, &log, &error) != 0)
        abort();
    for (unsigned i = 0; i < sizeof content; i++)
        content[i] = (unsigned char) (i * 7);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct ulog_batch batch = { .records = &records[i],
                                    .count = 1,
                                    .head = i == 3 ? &head : NULL,
                                    .flush = i == 3,
                                    .flushed = 1 };

        records[i] = (struct ulog_record){ .what = 1 + i % 3,
                                           .offset = i * 4096,
                                           .len = 512 << i % 4,
                                           .data = content,
                                           .epoch = i + 1 };
        if (ulog_commit(log, &batch, &error) != 0)
            abort();
    }
    snprintf(path, sizeof path, "%s", ulog_path(log));
    ulog_leave(log);
    file = fopen(path, "rb");
    whole_len = fread(whole, 1, sizeof whole, file);
    fclose(file);
    unlink(path);
    rmdir(folder);
}

/* As who damages it on purpose would. */
static void
right_sums(void)
{
    struct ulog_slot slot;
    struct ulog_mark mark;
    uint32_t chain = 0;

    for (size_t i = 0; i < 2; i++) {
        unsigned char *at = hurt + i * ULOG_SLOT_BYTES;
        size_t payload;

        memcpy(&slot, at, sizeof slot);
        payload = slot.identity_bytes +
                  (size_t) slot.witness_count * sizeof(struct rec_witness);
        if (payload <= ULOG_SLOT_BYTES - sizeof slot)
            slot.payload_crc = rec_crc(at + sizeof slot, payload);
        slot.crc = rec_crc(&slot, offsetof(struct ulog_slot, crc));
        memcpy(at, &slot, sizeof slot);
    }
    for (size_t at = ULOG_RING_AT; at + sizeof mark <= whole_len; at += 64) {
        memcpy(&mark, hurt + at, sizeof mark);
        if (mark.magic != ULOG_RECORD_MAGIC)
            continue;
        if (chain != 0)
            mark.chain = chain;
        if (mark.payload <= whole_len - at - sizeof mark)
            mark.payload_crc = rec_crc(hurt + at + sizeof mark, mark.payload);
        mark.crc = rec_crc(&mark, offsetof(struct ulog_mark, crc));
        chain = mark.crc;
        memcpy(hurt + at, &mark, sizeof mark);
    }
}

static void
check(const struct ulog_record *record, bool right)
{
    const unsigned char *data = record->data;
    volatile unsigned sum = 0;

    assert(record->len != 0 && record->len % 512 == 0);
    assert(record->offset <= INT64_MAX && record->offset % 512 == 0);
    if (record->what == ULOG_DATA && !right)
        assert(memcmp(data, content, record->len) == 0);
    for (size_t i = 0; record->what == ULOG_DATA && i < record->len; i++)
        sum += data[i];
    (void) sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct ulog_reader *reader = NULL;
    struct rec_reader *other = NULL;
    struct ulog_record record;
    struct rec_error error;
    struct rec_item item;
    bool right = size > 0 && (input[0] & 1) != 0;
    char path[64];
    int fd;

    if (whole_len == 0)
        make_whole();
    memcpy(hurt, whole, whole_len);
    for (size_t i = 1; i + 5 <= size; i += 5) {
        size_t at = (input[i] | (size_t) input[i + 1] << 8 |
                     (size_t) input[i + 2] << 16) %
                    whole_len;

        for (size_t n = 0; n <= input[i + 4] && at + n < whole_len; n++)
            hurt[at + n] ^= input[i + 3];
    }
    if (right)
        right_sums();
    fd = memfd_create("ulog", MFD_CLOEXEC);
    if (fd < 0 || write(fd, hurt, whole_len) != (ssize_t) whole_len)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ulog_read(path, &reader, &error) == 0) {
        while (ulog_next(reader, &record) == 1)
            check(&record, right);
        ulog_reader_free(reader);
    }
    if (rec_open(path, &other, &error) == 0) {
        while (rec_next(other, &item, &error) > 0)
            ;
        rec_close(other);
    }
    close(fd);
    return 0;
}
