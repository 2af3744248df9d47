/*
 * config_image.c - images on a command line: each gets a drive
 *
 * What kind of drive is read off the image.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/config_read.h"

/* The sizes that floppies have, in blocks of 512 bytes. */
static bool
is_floppy_size(off_t bytes)
{
    static const unsigned short blocks[] = { 320,  360,  640,  720, 1280,
                                             1440, 2400, 2880, 5760 };

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (bytes == (off_t) blocks[i] * 512)
            return true;
    return false;
}

/* Their format begins with nothing that tells it from others. */
static bool
is_tape_name(const char *image)
{
    size_t len = strlen(image);

    return len > 4 && strcasecmp(image + len - 4, ".tap") == 0;
}

static enum ri_drive_type
type_of_image(int fd, const char *image)
{
    char id[6] = "";
    struct stat st;

    if (is_tape_name(image))
        return RI_TAPE;
    for (int sector = 16; sector < 20; sector++) {
        if (pread(fd, id, 5, sector * 2048 + 1) != 5)
            break;
        if (strcmp(id, "CD001") == 0 || strcmp(id, "BEA01") == 0)
            return RI_CDROM;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        is_floppy_size(st.st_size))
        return RI_FLOPPY;
    return RI_DISK;
}

static void
name_drive(const struct ri_config *config, struct ri_drive_config *drive)
{
    static const char *const stems[] = {
        [RI_DISK] = "disk",
        [RI_FLOPPY] = "floppy",
        [RI_CDROM] = "cdrom",
        [RI_TAPE] = "tape",
    };

    for (unsigned n = 0;; n++) {
        bool taken = false;

        snprintf(drive->name, sizeof drive->name, "%s%u", stems[drive->type],
                 n);
        for (size_t i = 0; i + 1 < config->drive_count; i++)
            taken = taken || strcmp(config->drives[i].name, drive->name) == 0;
        if (!taken)
            return;
    }
}

int
ri_config_add_image(struct ri_config *config, const char *image,
                    struct ri_error *out_error)
{
    int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct ri_drive_config *drive;
    enum ri_drive_type type;

    if (fd < 0)
        return ri_fail(out_error, -errno, "%.400s: %s", image, strerror(errno));
    type = type_of_image(fd, image);
    close(fd);
    if (strlen(image) >= RI_PATH_MAX)
        return ri_fail(out_error, -ENAMETOOLONG, "%.400s: path too long",
                       image);
    drive = config_add_drive(config);
    if (drive == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    drive->type = type;
    snprintf(drive->medium, sizeof drive->medium, "%s", image);
    name_drive(config, drive);
    return 0;
}
