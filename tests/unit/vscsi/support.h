/*
 * support.h - a drive, a nexus, images and CDBs for the tests of vscsi
 *
 * Everything goes through the public header; the numbers in the tests are from
 * SPC-4, SBC-3 and MMC-6.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_TEST_SUPPORT_H
#define VSCSI_TEST_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vscsi.h>

#define IMAGE_BLOCKS 2048u

struct rig {
    char folder[64];
    char a[96], b[96];          /* images of 1 MiB, filled with 'a' and 'b' */
    struct vscsi_drive *drive;
    struct vscsi_nexus *nexus;
    struct vscsi_command last;
    uint8_t data[65536];
    unsigned events[4];
};

static inline void
count_event(void *context, enum vscsi_event event)
{
    __atomic_fetch_add(&((struct rig *) context)->events[event], 1,
                       __ATOMIC_SEQ_CST);
}

static inline unsigned
events_of(struct rig *rig, enum vscsi_event event)
{
    return __atomic_load_n(&rig->events[event], __ATOMIC_SEQ_CST);
}

static inline void
make_image(const char *path, char fill, uint64_t bytes)
{
    char piece[4096];
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);

    assert_true(fd >= 0);
    memset(piece, fill, sizeof piece);
    if (fill == 0)
        assert_int_equal(ftruncate(fd, (off_t) bytes), 0);
    for (uint64_t at = 0; fill != 0 && at < bytes; at += sizeof piece)
        assert_int_equal(write(fd, piece, sizeof piece), sizeof piece);
    close(fd);
}

/* What is in the image itself, past the drive. */
static inline void
peek(const char *path, uint64_t offset, void *to, size_t len)
{
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, to, len, (off_t) offset), len);
    close(fd);
}

/* SAM status, or 0xKAAQQ as 0x0KAAQQ when sense came (any format). */
static inline uint32_t
sense_of(const struct vscsi_command *command)
{
    const uint8_t *sense = command->sense;

    if (command->status == 0 && command->sense_len == 0)
        return 0;
    assert_int_equal(command->status, 2);
    if ((sense[0] & 0x7e) == 0x72)
        return (uint32_t) sense[1] << 16 | sense[2] << 8 | sense[3];
    assert_int_equal(sense[0] & 0x7e, 0x70);
    assert_true(command->sense_len >= 18);
    return (uint32_t) (sense[2] & 15) << 16 | sense[12] << 8 | sense[13];
}

static inline bool
start_on(struct rig *rig, struct vscsi_nexus *nexus, const void *cdb,
         size_t cdb_len, enum vscsi_dir dir, uint32_t len, uint32_t attention)
{
    memset(&rig->last, 0xEE, sizeof rig->last);
    memset(rig->last.cdb, 0, 16);
    memcpy(rig->last.cdb, cdb, cdb_len);
    rig->last.cdb_len = (uint8_t) cdb_len;
    rig->last.dir = dir;
    rig->last.data = rig->data;
    rig->last.data_len = len;
    rig->last.attention_in = attention;
    return vscsi_execute(nexus, &rig->last);
}

static inline uint32_t
run(struct rig *rig, const void *cdb, size_t cdb_len, enum vscsi_dir dir,
    uint32_t len)
{
    assert_true(start_on(rig, rig->nexus, cdb, cdb_len, dir, len, 0));
    assert_int_equal(rig->last.result, VSCSI_DONE);
    return sense_of(&rig->last);
}

#define CDB(...) ((const uint8_t[]){ __VA_ARGS__ }), \
    sizeof((const uint8_t[]){ __VA_ARGS__ })
#define IN(rig, len, ...) run(rig, CDB(__VA_ARGS__), VSCSI_FROM_DRIVE, len)
#define OUT(rig, len, ...) run(rig, CDB(__VA_ARGS__), VSCSI_TO_DRIVE, len)
#define NONE(rig, ...) run(rig, CDB(__VA_ARGS__), VSCSI_NO_DATA, 0)
#define TUR(rig) NONE(rig, 0, 0, 0, 0, 0, 0)

static inline uint32_t
read_10(struct rig *rig, uint32_t lba, uint16_t blocks, uint32_t len)
{
    return IN(rig, len, 0x28, 0, (uint8_t) (lba >> 24), (uint8_t) (lba >> 16),
              (uint8_t) (lba >> 8), (uint8_t) lba, 0,
              (uint8_t) (blocks >> 8), (uint8_t) blocks, 0);
}

static inline uint32_t
write_10(struct rig *rig, uint8_t flags, uint32_t lba, uint16_t blocks,
         char fill)
{
    memset(rig->data, fill, blocks * 512u);
    return OUT(rig, blocks * 512u, 0x2A, flags, (uint8_t) (lba >> 24),
               (uint8_t) (lba >> 16), (uint8_t) (lba >> 8), (uint8_t) lba, 0,
               (uint8_t) (blocks >> 8), (uint8_t) blocks, 0);
}

static inline uint64_t
number_at(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

/* A wait with an end: polls every millisecond for at most a minute. */
#define WAIT_FOR(condition)                                   \
    do {                                                      \
        for (int tries = 0; !(condition); tries++) {          \
            assert_true(tries < 60000);                       \
            usleep(1000);                                     \
        }                                                     \
    } while (0)

static inline struct rig *
rig_new(const struct vscsi_config *config)
{
    struct rig *rig = calloc(1, sizeof *rig);

    strcpy(rig->folder, "/tmp/vscsi-test-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->a, sizeof rig->a, "%s/a.img", rig->folder);
    snprintf(rig->b, sizeof rig->b, "%s/b.img", rig->folder);
    make_image(rig->a, 'a', IMAGE_BLOCKS * 512);
    make_image(rig->b, 'b', IMAGE_BLOCKS * 512);
    rig->drive = vscsi_new(config);
    assert_non_null(rig->drive);
    rig->nexus = vscsi_nexus_new(rig->drive, count_event, rig);
    assert_non_null(rig->nexus);
    return rig;
}

/* Image a inserted, unit attentions taken: ready to work. */
static inline void
settle(struct rig *rig)
{
    char text[256];

    assert_int_equal(vscsi_insert(rig->drive, rig->a, text, sizeof text), 0);
    while (TUR(rig) >> 16 == 6)
        ;
    assert_int_equal(TUR(rig), 0);
}

static inline void
rig_free(struct rig *rig)
{
    char command[128];

    vscsi_nexus_free(rig->nexus);
    vscsi_free(rig->drive);
    snprintf(command, sizeof command, "rm -rf '%s'", rig->folder);
    assert_int_equal(system(command), 0);
    free(rig);
}

#define SETUP(setup_fn, ...)                                          \
    static int setup_fn(void **state)                                 \
    {                                                                 \
        struct vscsi_config config = { .name = "D1", __VA_ARGS__ };   \
        *state = rig_new(&config);                                    \
        return 0;                                                     \
    }

static inline int
teardown(void **state)
{
    rig_free(*state);
    return 0;
}

#define TEST(function, setup) \
    cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
