/*
 * vscsi_house.c - an emulated library in place of the robot
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

#include "vscsi_house.h"

#include <fcntl.h>

struct house house;

#define CARTRIDGES 3

static void
cartridge_path(char *path, size_t max, unsigned n)
{
    snprintf(path, max, "%s/LTO%03uL6.img", house.folder, n + 1);
}

static void
make_media(void)
{
    char path[128];

    snprintf(house.folder, sizeof house.folder, "/tmp/changer-test-XXXXXX");
    assert_non_null(mkdtemp(house.folder));
    for (unsigned i = 0; i < CARTRIDGES; i++) {
        int fd;

        cartridge_path(path, sizeof path, i);
        fd = open(path, O_CREAT | O_RDWR, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 1 << 20), 0);
        close(fd);
    }
}

void
house_build(const char *personality, unsigned slots, unsigned drives)
{
    static unsigned number;
    struct vscsi_library_config config = { .personality = personality,
                                           .slots = slots,
                                           .mail_slots = 2,
                                           .drives = house.drives,
                                           .drive_count = drives,
                                           .media_dir = house.folder };
    char text[256] = "", name[32], drive[48];

    memset(&robot, 0, sizeof robot);
    KeInitializeSpinLock(&robot.lock);
    snprintf(name, sizeof name, "library%u", number++);
    config.name = name;
    make_media();
    for (unsigned i = 0; i < drives; i++) {
        snprintf(drive, sizeof drive, "%s-%u", name, i);
        house.drives[i] = vscsi_new(
            &(struct vscsi_config){ .name = drive, .type = VSCSI_DISK });
        assert_non_null(house.drives[i]);
    }
    house.library = vscsi_library_new(&config, text, sizeof text);
    if (house.library == NULL) { /* a small one */
        config.drive_count = 1;
        config.mail_slots = 0;
        house.library = vscsi_library_new(&config, text, sizeof text);
    }
    if (house.library == NULL)
        fail_msg("%s: %s", personality, text);
    robot.pdo = robot_add_virtual(vscsi_library_robot(house.library), name);
}

void
house_tear_down(void)
{
    char path[128];

    (void) robot_free(NULL);
    vscsi_library_free(house.library);
    for (int i = 0; i < 2; i++)
        if (house.drives[i] != NULL)
            vscsi_free(house.drives[i]);
    memset(house.drives, 0, sizeof house.drives);
    for (unsigned i = 0; i < CARTRIDGES; i++) {
        cartridge_path(path, sizeof path, i);
        (void) unlink(path);
    }
    (void) rmdir(house.folder);
}
