/*
 * fuzz_tape.c - any .tap image, and commands to the drive that it is in
 *
 * Input: how many commands, four bytes for each (which, and a number), then
 * the image.  Checked: nothing crashes or goes on for ever, no byte behind the
 * buffer is written, and the tape is the same however it is passed: reading
 * on, spacing to the end, and a second look find as many objects.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vscsi.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

#define ROOM 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[] = "/dev/shm/fuzz-tape-XXXXXX";
static char image[64];
static struct vscsi_drive *drive;
static struct vscsi_nexus *nexus;
static uint8_t buffer[ROOM + 1];

static void
clean_up(void)
{
    char command[100];

    vscsi_nexus_free(nexus);
    vscsi_free(drive);
    (void) snprintf(command, sizeof command, "rm -rf '%s'", folder);
    (void) !system(command);
}

static void
begin(void)
{
    struct vscsi_config config = { .name = "F",
                                   .type = VSCSI_TAPE,
                                   .cache_volatile = true,
                                   .tape = { .capacity_bytes = 6000 } };

    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(image, sizeof image, "%s/t.tap", folder);
    drive = vscsi_new(&config);
    CHECK(drive != NULL);
    nexus = vscsi_nexus_new(drive, NULL, NULL);
    CHECK(nexus != NULL);
    (void) atexit(clean_up);
}

/* Key, ASC and ASCQ; the key's byte with its bits. */
static uint32_t
run(const uint8_t cdb[16], uint8_t len, enum vscsi_dir dir, uint32_t room)
{
    struct vscsi_command sent = {
        .cdb_len = len, .dir = dir, .data = buffer, .data_len = room
    };

    memcpy(sent.cdb, cdb, 16);
    buffer[ROOM] = 0x5A;
    CHECK(vscsi_execute(nexus, &sent));
    CHECK(sent.result == VSCSI_DONE && sent.transferred <= room);
    CHECK(buffer[ROOM] == 0x5A);
    if (sent.status == 0 || sent.sense_len < 14)
        return 0;
    return (uint32_t) sent.sense[2] << 16 | sent.sense[12] << 8 |
           sent.sense[13];
}

static uint64_t
object_now(void)
{
    static const uint8_t cdb[16] = { 0x34, 6 };
    uint64_t value = 0;

    CHECK(run(cdb, 10, VSCSI_FROM_DRIVE, 32) == 0);
    for (unsigned i = 8; i < 16; i++)
        value = value << 8 | buffer[i];
    return value;
}

static void
command(const uint8_t at[4])
{
    static const uint8_t codes[] = { 0x08, 0x0A, 0x10, 0x11, 0x2B, 0x19,
                                     0x01, 0x92, 0x91, 0x13, 0x15, 0x8C,
                                     0x4D, 0x44, 0x1A, 0x34 };
    uint8_t code = codes[at[0] & 15], high = at[0] >> 4;
    uint8_t cdb[16] = { code, high };

    if (code == 0x2B) {
        cdb[5] = at[2];
        cdb[6] = at[3];
        (void) run(cdb, 10, VSCSI_NO_DATA, 0);
    } else if (code == 0x91 || code == 0x92) {
        memset(cdb + 4, at[1] & 0x80 && code == 0x91 ? 0xff : 0, 8);
        cdb[1] = code == 0x92 ? (uint8_t) (high << 3) : high;
        cdb[10] |= at[2];
        cdb[11] = at[3];
        (void) run(cdb, 16, VSCSI_NO_DATA, 0);
    } else if (code >= 0x30) {
        cdb[2] = at[1];
        cdb[7] = cdb[8] = cdb[11] = cdb[12] = at[2];
        (void) run(cdb, 16, VSCSI_FROM_DRIVE, ROOM);
    } else {
        memcpy(cdb + 2, at + 1, 3);
        cdb[5] = 0;
        (void) run(cdb, 6,
                   code == 0x0A || code == 0x15 ? VSCSI_TO_DRIVE
                                                : VSCSI_FROM_DRIVE,
                   ROOM);
    }
}

/* Reads on, a block or a mark at a time, to where nothing more can be read. */
static uint64_t
count_objects(void)
{
    static const uint8_t rewind[16] = { 0x01 };
    static const uint8_t read[16] = { 0x08, 0x02, 0, 0x10, 0 };
    uint64_t count = 0;

    (void) run(rewind, 6, VSCSI_NO_DATA, 0);
    for (;;) {
        (void) run(read, 6, VSCSI_FROM_DRIVE, ROOM);
        if (object_now() == count)
            return count;
        count++;
        CHECK(object_now() == count);
    }
}

static void
compare(void)
{
    static const uint8_t to_end[16] = { 0x11, 3 };
    static const uint8_t back[16] = { 0x11, 0, 0xff, 0xff, 0xff };
    uint64_t count = count_objects();

    (void) run(to_end, 6, VSCSI_NO_DATA, 0);
    CHECK(object_now() == count);
    for (uint64_t i = count; i > 0; i--) {
        (void) run(back, 6, VSCSI_NO_DATA, 0);
        CHECK(object_now() == i - 1);
    }
    CHECK(count_objects() == count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint8_t ready[16] = { 0 };
    size_t commands = bytes > 0 ? data[0] % 32 : 0, at = 1 + 4 * commands;
    int fd;

    if (drive == NULL)
        begin();
    if (bytes < at)
        return 0;
    fd = open(image, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, data + at, bytes - at) == (ssize_t) (bytes - at));
    CHECK(close(fd) == 0);
    if (vscsi_insert(drive, image, NULL, 0) != 0)
        return 0;
    for (int i = 0; i < 4; i++)
        (void) run(ready, 6, VSCSI_NO_DATA, 0);
    compare();
    for (size_t i = 0; i < commands; i++)
        command(data + 1 + 4 * i);
    compare();
    CHECK(vscsi_yank(drive) == 0);
    /* What was written is a tape like any other. */
    CHECK(vscsi_insert(drive, image, NULL, 0) == 0);
    CHECK(vscsi_yank(drive) == 0);
    return 0;
}
