/*
 * keep.c - what could not be brought onto its tape, as a file
 *
 * In the format of SIMH tape images: a record is its length, its data and its
 * length again (32 bits, little-endian, data padded to an even count); a
 * filemark is a zero.  So any tool that reads such images can write it to a
 * tape.  The file appears under its name when all of it is on disk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static void
put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++, value >>= 8)
        at[i] = (uint8_t) value;
}

static bool
write_record(FILE *file, const uint8_t *data, uint32_t length)
{
    uint8_t word[4];

    put32(word, length);
    return fwrite(word, 4, 1, file) == 1 &&
           fwrite(data, 1, length, file) == length &&
           ((length & 1) == 0 || fputc(0, file) != EOF) &&
           fwrite(word, 4, 1, file) == 1;
}

static bool
write_item(FILE *file, const struct kept_item *item)
{
    static const uint8_t mark[4];
    uint32_t block = item->block != 0 ? item->block : item->length;

    if (item->kind == OBJECT_MARK) {
        for (uint64_t i = 0; i < item->objects; i++)
            if (fwrite(mark, sizeof mark, 1, file) != 1)
                return false;
        return true;
    }
    for (uint32_t at = 0; at < item->length; at += block)
        if (!write_record(file, item->data + at, block))
            return false;
    return true;
}

static int
write_all(FILE *file, const struct kept *kept, size_t count,
          uint64_t *out_bytes)
{
    *out_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!write_item(file, &kept->items[i]))
            return errno != 0 ? -errno : -EIO;
        *out_bytes += kept->items[i].length;
    }
    if (fflush(file) != 0 || fsync(fileno(file)) != 0)
        return -errno;
    return 0;
}

static void
sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void) fsync(fd);
    (void) close(fd);
}

/* A name of a tape comes from the tape: only what is harmless is taken. */
static void
file_name(const char *name, char *out_name, size_t max)
{
    size_t n = 0;

    for (; name[n] != '\0' && n + 1 < max; n++)
        out_name[n] = (name[n] >= '0' && name[n] <= '9') ||
                              (name[n] >= 'A' && name[n] <= 'Z') ||
                              (name[n] >= 'a' && name[n] <= 'z') ||
                              name[n] == '-' || name[n] == '_'
                          ? name[n]
                          : '_';
    out_name[n] = '\0';
}

/* Also when others look for a name at the same time. */
static int
put_name(const char *from, const char *dir, const char *name, char *out_file)
{
    char path[RI_PATH_MAX], safe[64];
    uint64_t now = clock_wall_ms();

    file_name(name, safe, sizeof safe);
    for (unsigned i = 0; i < 1000; i++) {
        if (snprintf(path, sizeof path, "%s/%s-%llu-%03u.tap", dir, safe,
                     (unsigned long long) now, i) >= (int) sizeof path)
            return -ENAMETOOLONG;
        if (link(from, path) == 0) {
            (void) unlink(from);
            snprintf(out_file, RI_PATH_MAX, "%s", path);
            return 0;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

int
keep_write(const struct kept *kept, size_t without, const char *dir,
           const char *name, char *out_file, uint64_t *out_bytes)
{
    char path[RI_PATH_MAX];
    FILE *file;
    int fd, rc;

    (void) mkdir(dir, 0700);
    if (snprintf(path, sizeof path, "%s/.tape-XXXXXX", dir) >=
        (int) sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    file = fdopen(fd, "w");
    if (file == NULL) {
        rc = -errno;
        (void) close(fd);
        (void) unlink(path);
        return rc;
    }
    errno = 0;
    rc = write_all(file, kept, kept->count - without, out_bytes);
    if (fclose(file) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0)
        rc = put_name(path, dir, name, out_file);
    if (rc == 0)
        sync_folder(dir);
    else
        (void) unlink(path);
    return rc;
}
