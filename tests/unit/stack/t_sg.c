/*
 * t_sg.c - drives in a sysfs that is made here: found, matched, made ours
 *
 * The tree is as the kernel's (Documentation/ABI: sysfs-class-..., sysfs-block);
 * nothing of this machine is looked at.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/sg_own.h"

#define USB  "devices/pci0/usb1/1-2/1-2:1.0/host3/target3:0:0/3:0:0:0"
#define USB2 "devices/pci0/usb1/1-2/1-2:1.0/host7/target7:0:0/7:0:0:0"
#define TAPE "devices/platform/host9/session1/target9:0:0/9:0:0:1"
#define CD   "devices/pci0/ata2/host1/target1:0:0/1:0:0:0"

static char top[64], sys_root[80], dev_root[80], proc_root[80];
static struct sg_roots roots;

static void
run(const char *format, ...)
{
    char line[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert_int_equal(system(line), 0);
}

static void
put(const char *path, const char *text)
{
    run("mkdir -p \"$(dirname '%s/%s')\" && printf '%%b' '%s' >'%s/%s'", top,
        path, text, top, path);
}

static char *
get(const char *path)
{
    static char text[256];

    sg_read_line(text, sizeof text, "%s/%s", top, path);
    return text;
}

/* A SCSI device with its sg node; driver and block may be NULL. */
static void
add_device(const char *path, const char *sg, const char *driver,
           const char *block, const char *type, const char *removable)
{
    char name[256];

    snprintf(name, sizeof name, "sys/%s/inquiry", path);
    put(name, removable);
    snprintf(name, sizeof name, "sys/%s/type", path);
    put(name, type);
    snprintf(name, sizeof name, "sys/%s/vendor", path);
    put(name, "ACME    \\n");
    run("cd %s/sys && mkdir -p %s/scsi_generic/%s class/scsi_generic "
        "class/block && ln -sfn $PWD/%s %s/scsi_generic/%s/device && "
        "ln -sfn $PWD/%s/scsi_generic/%s class/scsi_generic/%s",
        top, path, sg, path, path, sg, path, sg, sg);
    if (driver == NULL)
        return;
    run("cd %s/sys && mkdir -p bus/scsi/drivers/%s %s/block/%s/holders && "
        "touch bus/scsi/drivers/%s/bind bus/scsi/drivers/%s/unbind && "
        "ln -sfn $PWD/bus/scsi/drivers/%s %s/driver && "
        "ln -sfn $PWD/%s %s/block/%s/device && "
        "ln -sfn $PWD/%s/block/%s class/block/%s",
        top, driver, path, block, driver, driver, driver, path, path, path,
        block, path, block, block);
}

static int
make_tree(void **state)
{
    (void) state;
    strcpy(top, "/tmp/t_sg.XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(sys_root, sizeof sys_root, "%s/sys", top);
    snprintf(dev_root, sizeof dev_root, "%s/dev", top);
    snprintf(proc_root, sizeof proc_root, "%s/proc", top);
    roots = (struct sg_roots){ sys_root, dev_root, proc_root };
    run("mkdir -p %s/proc/self %s/dev/disk/by-id", top, top);
    add_device(USB, "sg10", "sd", "sdb", "0\\n", "\\000\\200\\006");
    put("sys/devices/pci0/usb1/1-2/idVendor", "0951\\n");
    put("sys/devices/pci0/usb1/1-2/serial", "4C530001\\n");
    put("sys/class/block/sdb/dev", "8:16\\n");
    put("sys/class/block/sdb/events", "media_change\\n");
    put("sys/class/block/sdb/events_poll_msecs", "-1\\n");
    run("cd %s/sys && mkdir -p %s/block/sdb/sdb1/holders && "
        "ln -sfn $PWD/%s/block/sdb/sdb1 class/block/sdb1",
        top, USB, USB);
    put("sys/class/block/sdb1/dev", "8:17\\n");
    put("sys/class/block/sdb1/partition", "1\\n");
    add_device(CD, "sg9", "sr", "sr0", "5\\n", "\\005\\200\\006");
    put("sys/" CD "/vpd_pg80", "\\005\\200\\000\\006 K1234");
    put("sys/module/block/parameters/events_dfl_poll_msecs", "0\\n");
    put("dev/sdb1", "");
    put("dev/sg9", "");
    run("ln -s ../../sdb1 %s/dev/disk/by-id/usb-ACME-part1", top);
    return 0;
}

static int
remove_tree(void **state)
{
    (void) state;
    run("rm -r %s", top);
    return 0;
}

static struct sg_found
found_as(const char *sg)
{
    struct sg_found found;

    assert_int_equal(sg_describe(&roots, sg, &found), 0);
    return found;
}

/* --- finding -------------------------------------------------------------------- */

static void
list__in_the_order_of_numbers__with_who_they_are(void **state)
{
    struct sg_found *list;
    size_t count;

    (void) state;
    assert_int_equal(sg_list(&roots, &list, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].sg, "sg9");
    assert_string_equal(list[0].block, "sr0");
    assert_string_equal(list[0].driver, "sr");
    assert_string_equal(list[0].serial, "K1234");
    assert_int_equal(list[0].type, 5);
    assert_string_equal(list[1].sg, "sg10");
    assert_string_equal(list[1].serial, "4C530001");
    assert_string_equal(list[1].hctl, "3:0:0:0");
    assert_string_equal(list[1].devpath, "/" USB);
    assert_string_equal(list[1].vendor, "ACME");
    assert_true(list[1].removable);
    free(list);
}

static void
device__by_any_of_its_names__is_the_same(void **state)
{
    static const struct {
        const char *path, *sg;
    } names[] = { { "dev/disk/by-id/usb-ACME-part1", "sg10" },
                  { "dev/sdb1", "sg10" },
                  { "dev/sg9", "sg9" } };
    char path[256];
    struct sg_found found;

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", top, names[i].path);
        assert_int_equal(sg_of_device(&roots, path, &found), 0);
        assert_string_equal(found.sg, names[i].sg);
    }
    put("dev/vda", "");
    snprintf(path, sizeof path, "%s/dev/vda", top);
    assert_int_equal(sg_of_device(&roots, path, &found), -ENOTSUP);
    snprintf(path, sizeof path, "%s/dev/none", top);
    assert_int_equal(sg_of_device(&roots, path, &found), -ENOENT);
}

static void
matches__by_serial_path_and_kind(void **state)
{
    static const struct {
        const char *match;
        bool is;
    } all[] = {
        { "serial:4C530001", true }, { "serial:4C53000", false },
        { "path:usb1/1-2", true },   { "path:/usb1/1-2/", true },
        { "path:usb1/1", false },    { "path:b1/1-2", false },
        { "path:1-2", true },        { "any-removable", true },
        { "path:3:0:0:0", true },
    };
    struct sg_found found = found_as("sg10");

    (void) state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_int_equal(sg_matches(&found, all[i].match), all[i].is);
    found.removable = false;
    assert_false(sg_matches(&found, "any-removable"));
}

static void
plugged_again__under_another_name__is_known(void **state)
{
    struct sg_found before = found_as("sg10"), after;
    char match[SG_MATCH_MAX];

    (void) state;
    add_device(USB2, "sg11", NULL, NULL, "0\\n", "\\000\\200\\006");
    after = found_as("sg11");
    sg_remember(&before, match);
    assert_true(sg_matches(&after, match));
    assert_false(sg_matches(&(struct sg_found){ 0 }, match));
    /* Without a serial number: in the same place. */
    before.serial[0] = after.serial[0] = '\0';
    sg_remember(&before, match);
    assert_true(sg_matches(&after, match));
    strcpy(after.devpath, "/devices/pci0/usb1/1-3/1-3:1.0/host7/t/7:0:0:0");
    assert_false(sg_matches(&after, match));
}

/* A reader for two sorts of cards: one USB device, one serial number. */
static void
two_units__of_one_usb_device__are_not_each_other(void **state)
{
    struct sg_found first = found_as("sg10"), second;
    char match[SG_MATCH_MAX];

    (void) state;
    add_device("devices/pci0/usb1/1-2/1-2:1.0/host3/target3:0:0/3:0:0:1",
               "sg11", "sd", "sdc", "0\n", "\000\200\006");
    second = found_as("sg11");
    assert_string_equal(second.serial, first.serial);
    sg_remember(&first, match);
    assert_true(sg_matches(&second, match));
    assert_false(sg_is_still(&first, &second));
    assert_true(sg_is_still(&first, &first));
    /* A disk of an array may be mapped as another unit. */
    first.slot = second.slot = -1;
    assert_true(sg_is_still(&first, &second));
    second.type = 5;
    assert_false(sg_is_still(&first, &second));
}

/* A name in /dev outlives its device where nobody takes it away; that is a drive
 * that is away, and no error of the configuration. */
static void
device__whose_node_is_left__is_not_there(void **state)
{
    char path[256];
    struct sg_found found;

    (void) state;
    assert_int_equal(sg_of_device(&roots, "/dev/null", &found), -ENODEV);
    put("sys/dev/char/1:3/dev", "1:3\\n");
    assert_int_equal(sg_of_device(&roots, "/dev/null", &found), -ENOTSUP);
    /* Driver sg comes later. */
    run("rm -r %s/sys/" CD "/scsi_generic && mkdir -p %s/sys/bus/scsi && "
        "ln -s ../../../../../../bus/scsi %s/sys/" CD "/subsystem",
        top, top, top);
    put("dev/sr0", "");
    snprintf(path, sizeof path, "%s/dev/sr0", top);
    assert_int_equal(sg_of_device(&roots, path, &found), -ENXIO);
}

/* --- owning --------------------------------------------------------------------- */

static const char *
notes(void)
{
    static char folder[80];

    snprintf(folder, sizeof folder, "%s/run/own", top);
    return folder;
}

/* As a service has it that starts. */
static int
open_locked(const char *name)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s", top, name);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    return fd;
}

static void
given_back(struct sg_claim *claim)
{
    char text[SG_WHY_MAX] = "";

    assert_int_equal(sg_unclaim(claim, text, sizeof text), 0);
    assert_string_equal(text, "");
}

/* How many. */
static int
restored(const char *in)
{
    char text[SG_WHY_MAX];
    unsigned count = sg_restore(&roots, in, text, sizeof text);

    assert_string_equal(text, "");
    return (int) count;
}

static void
refused(const char *says)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    claim.notes = notes();
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, says));
    assert_string_equal(get("sys/bus/scsi/drivers/sd/unbind"), "");
}

static void
used__mount_swap_holder_process__each_is_named(void **state)
{
    (void) state;
    put("proc/self/mountinfo",
        "29 1 8:17 / /media/stick rw - vfat /dev/sdb1 rw\\n");
    refused("sdb is mounted on /media/stick");
    put("proc/self/mountinfo", "29 1 8:160 / /x rw - vfat /dev/sdk rw\\n");
    put("proc/swaps", "Filename Type\\n/dev/sdb1 partition 1 0 -2\\n");
    refused("swaps to /dev/sdb1");
    put("proc/swaps", "Filename Type\\n/dev/sdba partition 1 0 -2\\n");
    run("mkdir %s/sys/class/block/sdb1/holders/dm-0", top);
    refused("sdb1 is part of dm-0");
    run("rmdir %s/sys/class/block/sdb1/holders/dm-0", top);
    run("mkdir -p %s/proc/4242/fd && ln -s /dev/sg10 %s/proc/4242/fd/5", top,
        top);
    put("proc/4242/comm", "smartd\\n");
    refused("/dev/sg10 is open in process 4242 (smartd)");
    /* One whose root is another than ours. */
    run("ln -sfn /newroot/dev/sdb1 %s/proc/4242/fd/5", top);
    refused("/dev/sdb1 is open in process 4242 (smartd)");
}

/* What has no process and no number of this disk. */
static void
used__btrfs_loop_bsg_ourselves__each_is_named(void **state)
{
    (void) state;
    put("proc/self/mountinfo",
        "40 1 0:44 / /pool rw,noatime shared:1 - btrfs /dev/sdb1 rw\\n");
    refused("sdb is mounted on /pool");
    put("proc/self/mountinfo", "40 1 0:44 / /pool rw - btrfs /dev/sdba1 rw\\n"
                               "41 1 0:45 / /x rw - 9p sdb rw\\n");
    put("sys/class/block/loop3/loop/backing_file", "/dev/sdb1\\n");
    refused("loop3 is a loop over /dev/sdb1");
    put("sys/class/block/loop3/loop/backing_file", "/srv/sdb1\\n");
    run("mkdir -p %s/proc/4242/fd && ln -s /dev/bsg/3:0:0:0 %s/proc/4242/fd/5",
        top, top);
    put("proc/4242/comm", "sg_persist\\n");
    refused("/dev/bsg/3:0:0:0 is open in process 4242 (sg_persist)");
    run("ln -sfn /dev/bsg/3:0:0:1 %s/proc/4242/fd/5", top);
    /* An image of this very service. */
    run("mkdir -p %s/proc/%d/fd && ln -s /dev/sg10 %s/proc/%d/fd/4 && "
        "ln -s /dev/sdb %s/proc/%d/fd/5",
        top, (int) getpid(), top, (int) getpid(), top, (int) getpid());
    refused("/dev/sdb is open in process");
}

static void
used__number_of_another_drive_begins_as_ours__is_not_ours(void **state)
{
    struct sg_found found = found_as("sg9");
    char text[256];

    (void) state;
    put("sys/class/block/sr10/dev", "11:10\\n");
    put("proc/self/mountinfo", "29 1 11:10 / /cd rw - iso9660 /dev/sr10 rw\\n");
    strcpy(found.block, "sr1");
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), 0);
    strcpy(found.block, "sr10");
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), -EBUSY);
    /* Of names that end in a digit, partitions have a p. */
    put("sys/class/block/sr1p1/dev", "11:17\\n");
    put("proc/self/mountinfo", "29 1 11:17 / /cd rw - iso9660 /dev/x rw\\n");
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), 0);
    strcpy(found.block, "sr1");
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), -EBUSY);
}

/* A container's mount, which /proc/self does not show. */
static void
used__mounted_in_another_namespace__named_and_what_tells_of_it(void **state)
{
    struct sg_found found = found_as("sg10");
    char nodes[256], mounts[64], path[512], text[256];

    (void) state;
    put("proc/self/mountinfo", "");
    run("for p in 41 42 43; do mkdir -p %s/proc/$p/ns; done; "
        "ln -s 'mnt:[1]' %s/proc/41/ns/mnt; ln -s 'mnt:[2]' %s/proc/42/ns/mnt; "
        "ln -s 'mnt:[1]' %s/proc/43/ns/mnt",
        top, top, top, top);
    put("proc/42/mountinfo", "29 1 8:17 / /data rw - vfat /dev/sdb1 rw\\n");
    refused("sdb is mounted on /data for process 42");
    put("dev/sg10", "");
    put("dev/sdb", "");
    put("dev/sdb1", "");
    put("dev/sdba", "");
    sg_used_tells(&roots, &found, nodes, sizeof nodes, mounts, sizeof mounts);
    snprintf(path, sizeof path, "%s/proc/42/mountinfo", top);
    assert_string_equal(mounts, path);
    snprintf(path, sizeof path, "%s/dev/sdb1 ", top);
    assert_non_null(strstr(nodes, path));
    snprintf(path, sizeof path, "%s/dev/sg10 ", top);
    assert_non_null(strstr(nodes, path));
    assert_null(strstr(nodes, "sdba"));
    put("proc/42/mountinfo", "");
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), 0);
    /* Whole names, or none. */
    sg_used_tells(&roots, &found, nodes, 12, mounts, sizeof mounts);
    assert_string_equal(nodes, "");
    assert_string_equal(mounts, "");
}

static void
driver__polling_or_not__is_a_reason_unless_owned(void **state)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    (void) state;
    assert_int_equal(sg_polled_ms(&roots, &found), 0);
    assert_int_equal(sg_claim(&claim, &found, SG_ALONE, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "driver sd"));
    found.driver[0] = '\0';
    assert_int_equal(sg_claim(&claim, &found, SG_ALONE, text, sizeof text), 0);
    found = found_as("sg10");
    put("sys/module/block/parameters/events_dfl_poll_msecs", "2000\\n");
    assert_int_equal(sg_polled_ms(&roots, &found), 2000);
    assert_int_equal(sg_claim(&claim, &found, SG_ALONE, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "every 2000 ms"));
    put("sys/class/block/sdb/events_poll_msecs", "0\\n");
    assert_int_equal(sg_polled_ms(&roots, &found), 0);
    put("sys/class/block/sdb/events_poll_msecs", "500\\n");
    assert_int_equal(sg_polled_ms(&roots, &found), 500);
    put("sys/class/block/sdb/events", "");
    assert_int_equal(sg_polled_ms(&roots, &found), 0);
}

/* As driver st has it: no block device, eight nodes. */
static struct sg_found
add_tape(void)
{
    static const char *const names[] = { "nst0", "nst0a", "st0", "st0l" };

    add_device(TAPE, "sg12", NULL, NULL, "1\\n", "\\001\\200\\006");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        run("cd %s/sys && mkdir -p %s/scsi_tape/%s class/scsi_tape && "
            "ln -sfn $PWD/%s %s/scsi_tape/%s/device && "
            "ln -sfn $PWD/%s/scsi_tape/%s class/scsi_tape/%s",
            top, TAPE, names[i], TAPE, TAPE, names[i], TAPE, names[i],
            names[i]);
    run("cd %s/sys && mkdir -p bus/scsi/drivers/st && "
        "touch bus/scsi/drivers/st/bind bus/scsi/drivers/st/unbind && "
        "ln -sfn $PWD/bus/scsi/drivers/st %s/driver",
        top, TAPE);
    put("dev/nst0", "");
    return found_as("sg12");
}

static void
tape__by_its_nodes__found_and_its_users_named(void **state)
{
    struct sg_found found = add_tape();
    char path[256], text[256] = "";

    (void) state;
    assert_string_equal(found.other, "st0");
    assert_string_equal(found.driver, "st");
    snprintf(path, sizeof path, "%s/dev/nst0", top);
    assert_int_equal(sg_of_device(&roots, path, &found), 0);
    assert_string_equal(found.sg, "sg12");
    run("mkdir -p %s/proc/4242/fd && ln -s /dev/st01 %s/proc/4242/fd/4 && "
        "ln -s /dev/st0x %s/proc/4242/fd/5",
        top, top, top);
    put("proc/4242/comm", "tar\\n");
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), 0);
    run("ln -s /dev/nst0l %s/proc/4242/fd/6", top);
    assert_int_equal(sg_used_by(&roots, &found, text, sizeof text), -EBUSY);
    assert_string_equal(text, "/dev/nst0l is open in process 4242 (tar)");
}

static void
tape__with_its_driver__is_owned_or_refused(void **state)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = add_tape();
    char text[512] = "";

    (void) state;
    claim.notes = notes();
    assert_int_equal(sg_claim(&claim, &found, SG_ALONE, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "driver st of the kernel has st0: "));
    assert_null(strstr(text, "shared"));
    assert_int_equal(sg_claim(&claim, &found, SG_SHARE, text, sizeof text),
                     -EBUSY);
    assert_string_equal(get("sys/bus/scsi/drivers/st/unbind"), "");
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text), 0);
    assert_string_equal(get("sys/bus/scsi/drivers/st/unbind"), "9:0:0:1");
    assert_false(sg_is_shared(&claim));
    given_back(&claim);
    assert_string_equal(get("sys/bus/scsi/drivers/st/bind"), "9:0:0:1");
    /* It does not go, and would do as others say. */
    run("rm %s/sys/bus/scsi/drivers/st/unbind", top);
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text),
                     -ENOENT);
    assert_non_null(strstr(text, "driver st cannot be unbound from 9:0:0:1"));
    assert_null(strstr(text, "root")); /* who could do no more */
}

static void
shared__driver_and_readers_stay__mounts_are_a_reason(void **state)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    (void) state;
    put("sys/module/block/parameters/events_dfl_poll_msecs", "2000\\n");
    run("mkdir -p %s/proc/4242/fd && ln -s /dev/sdb %s/proc/4242/fd/5", top,
        top);
    put("proc/4242/comm", "udevd\\n");
    assert_int_equal(sg_claim(&claim, &found, SG_SHARE, text, sizeof text), 0);
    assert_true(sg_is_shared(&claim));
    assert_string_equal(get("sys/bus/scsi/drivers/sd/unbind"), "");
    assert_string_equal(claim.found.block, "sdb");
    given_back(&claim);
    assert_string_equal(get("sys/bus/scsi/drivers/sd/bind"), "");
    put("proc/self/mountinfo",
        "29 1 8:17 / /media/stick rw - vfat /dev/sdb1 rw\\n");
    assert_int_equal(sg_claim(&claim, &found, SG_SHARE, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "sdb is mounted on /media/stick"));
    /* Where no driver has it, there is nobody to share it with. */
    put("proc/self/mountinfo", "");
    found.driver[0] = '\0';
    assert_int_equal(sg_claim(&claim, &found, SG_SHARE, text, sizeof text), 0);
    assert_false(sg_is_shared(&claim));
}

static void
owned__driver_is_sent_away__and_comes_back(void **state)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    (void) state;
    claim.notes = notes();
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text), 0);
    assert_string_equal(get("sys/bus/scsi/drivers/sd/unbind"), "3:0:0:0");
    assert_string_equal(get("run/own/3:0:0:0"), "devpath /" USB);
    /* Its writer lives. */
    snprintf(text, sizeof text, "%s/run/own", top);
    assert_int_equal(restored(text), 0);
    assert_string_equal(get("sys/bus/scsi/drivers/sd/bind"), "");
    given_back(&claim);
    assert_string_equal(get("sys/bus/scsi/drivers/sd/bind"), "3:0:0:0");
    assert_string_equal(get("run/own/3:0:0:0"), "");
}

static void
killed__next_start_puts_it_back(void **state)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    (void) state;
    claim.notes = notes();
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text), 0);
    close(claim.note_fd); /* as the kernel does */
    snprintf(text, sizeof text, "%s/run/own", top);
    assert_int_equal(restored(text), 1);
    assert_string_equal(get("sys/bus/scsi/drivers/sd/bind"), "3:0:0:0");
    assert_int_equal(restored(text), 0);
    /* Not what somebody else wrote there. */
    put("run/own/x", "devpath /d driver ../../x poll - -\\n");
    assert_int_equal(restored(text), 0);
}

/* Each has a drive that is called as the other's is: the note is the device's. */
static void
two_services__of_drives_of_one_name__both_own_theirs(void **state)
{
    struct sg_claim ours = { .roots = &roots, .notes = notes(), .note_fd = -1 };
    struct sg_claim theirs = ours;
    struct sg_found stick = found_as("sg10"), disc = found_as("sg9");
    char text[512] = "";

    (void) state;
    assert_int_equal(sg_claim(&ours, &stick, SG_OWN, text, sizeof text), 0);
    assert_int_equal(sg_claim(&theirs, &disc, SG_OWN, text, sizeof text), 0);
    assert_string_equal(get("run/own/3:0:0:0"), "devpath /" USB);
    assert_string_equal(get("run/own/1:0:0:0"), "devpath /" CD);
    given_back(&ours);
    assert_string_equal(get("run/own/1:0:0:0"), "devpath /" CD);
    /* One that is about to be given back after a kill. */
    close(theirs.note_fd);
    theirs.note_fd = open_locked("run/own/1:0:0:0");
    ours =
        (struct sg_claim){ .roots = &roots, .notes = notes(), .note_fd = -1 };
    assert_int_equal(sg_claim(&ours, &disc, SG_OWN, text, sizeof text), -EBUSY);
    assert_non_null(strstr(text, "another service is giving 1:0:0:0 back"));
    close(theirs.note_fd);
}

/* Its driver came back, and somebody was quicker than we. */
static void
owned__then_mounted__is_not_ours_any_more(void **state)
{
    struct sg_claim claim = { .roots = &roots,
                              .notes = notes(),
                              .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    (void) state;
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text), 0);
    assert_false(sg_is_shared(&claim));
    put("proc/self/mountinfo",
        "29 1 8:17 / /media/stick rw - vfat /dev/sdb1 rw\n");
    found = found_as("sg10");
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "sdb is mounted on /media/stick"));
    assert_string_equal(get("run/own/3:0:0:0"), "");
    assert_int_equal(claim.note_fd, -1);
    /* From then on others' processes are a reason again. */
    put("proc/self/mountinfo", "");
    run("mkdir -p %s/proc/4242/fd && ln -s /dev/sdb %s/proc/4242/fd/5", top,
        top);
    put("proc/4242/comm", "dd\n");
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "(dd)"));
}

static void
unbind_refused__polling_is_stopped_instead(void **state)
{
    struct sg_claim claim = { .roots = &roots, .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    (void) state;
    claim.notes = notes();
    put("sys/class/block/sdb/events_poll_msecs", "2000");
    run("rm %s/sys/bus/scsi/drivers/sd/unbind", top);
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text), 0);
    assert_int_equal(sg_polled_ms(&roots, &found), 0);
    assert_string_equal(claim.found.block, "sdb");
    given_back(&claim);
    assert_int_equal(sg_polled_ms(&roots, &found), 2000);
    /* And when that cannot be done either: which capability. */
    run("rm %s/sys/class/block/sdb/events_poll_msecs && "
        "mkdir %s/sys/class/block/sdb/events_poll_msecs",
        top, top);
    assert_int_equal(sg_polled_ms(&roots, &found), 0);
}

/* --- who hangs --------------------------------------------------------------------- */

/* As a driver whose drive does not answer: a FIFO that nobody reads. */
static struct sg_claim
owned_by_a_driver_that_hangs(void)
{
    struct sg_claim claim = { .roots = &roots,
                              .notes = notes(),
                              .note_fd = -1 };
    struct sg_found found = found_as("sg10");
    char text[512] = "";

    sg_patience_ms = 60000; /* for what does not hang */
    assert_int_equal(sg_claim(&claim, &found, SG_OWN, text, sizeof text), 0);
    run("cd %s/sys/bus/scsi/drivers/sd && rm bind && mkfifo bind && "
        "rm %s/sys/" USB "/driver",
        top, top);
    return claim;
}

/* The driver goes on: it is told by somebody, whose note is gone then. */
static void
comes_late(int note_fd)
{
    char path[256], text[32];
    struct stat st;
    ssize_t len;
    int fd;

    snprintf(path, sizeof path, "%s/sys/bus/scsi/drivers/sd/bind", top);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    len = read(fd, text, sizeof text);
    assert_int_equal(len, 7);
    assert_memory_equal(text, "3:0:0:0", 7);
    close(fd);
    assert_int_equal(flock(note_fd, LOCK_EX), 0); /* its end */
    assert_int_equal(fstat(note_fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    close(note_fd);
}

static void
given_back__to_a_driver_that_hangs__is_said_and_done_by_somebody_else(
    void **state)
{
    struct sg_claim claim = owned_by_a_driver_that_hangs(), next = claim;
    struct sg_found found = found_as("sg10");
    char text[SG_WHY_MAX] = "", by_hand[256];
    int note_fd;

    (void) state;
    snprintf(text, sizeof text, "%s/run/own/3:0:0:0", top);
    note_fd = open(text, O_RDWR | O_CLOEXEC);
    sg_patience_ms = 50;
    assert_int_equal(sg_unclaim(&claim, text, sizeof text), -ETIMEDOUT);
    assert_non_null(strstr(text, "3:0:0:0 is not given back to driver sd"));
    snprintf(by_hand, sizeof by_hand,
             "echo 3:0:0:0 >%s/sys/bus/scsi/drivers/sd/bind", top);
    assert_non_null(strstr(text, by_hand));
    assert_int_equal(claim.note_fd, -1);
    /* Nobody else tries the same meanwhile, nor takes it. */
    assert_int_equal(restored(notes()), 0);
    strcpy(found.driver, "sd");
    next.note_fd = -1;
    assert_int_equal(sg_claim(&next, &found, SG_OWN, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "is giving 3:0:0:0 back"));
    comes_late(note_fd);
}

static void
killed__driver_hangs_at_the_next_start__which_goes_on(void **state)
{
    struct sg_claim claim = owned_by_a_driver_that_hangs();
    char text[SG_WHY_MAX];
    int note_fd;

    (void) state;
    snprintf(text, sizeof text, "%s/run/own/3:0:0:0", top);
    note_fd = open(text, O_RDWR | O_CLOEXEC);
    close(claim.note_fd); /* as the kernel does */
    sg_patience_ms = 50;
    assert_int_equal(sg_restore(&roots, notes(), text, sizeof text), 1);
    assert_non_null(strstr(text, "3:0:0:0 is not given back to driver sd"));
    comes_late(note_fd);
}

static void
given_back__to_who_does_not_take_it__is_said(void **state)
{
    struct sg_claim claim = owned_by_a_driver_that_hangs();
    char text[SG_WHY_MAX] = "";

    (void) state;
    run("rm %s/sys/bus/scsi/drivers/sd/bind", top);
    assert_int_equal(sg_unclaim(&claim, text, sizeof text), -ENOENT);
    assert_non_null(strstr(text, "3:0:0:0 is not given back to driver sd: No "
                                 "such file or directory. By hand: echo"));
    assert_string_equal(get("run/own/3:0:0:0"), "");
}

/* udev, or a person, was quicker. */
static void
given_back__to_who_has_a_driver_by_now__is_as_it_was(void **state)
{
    struct sg_claim claim = owned_by_a_driver_that_hangs();

    (void) state;
    run("cd %s/sys && rm bus/scsi/drivers/sd/bind && "
        "ln -s $PWD/bus/scsi/drivers/sd " USB "/driver",
        top);
    given_back(&claim);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)
    const struct CMUnitTest tests[] = {
        T(list__in_the_order_of_numbers__with_who_they_are),
        T(device__by_any_of_its_names__is_the_same),
        T(matches__by_serial_path_and_kind),
        T(plugged_again__under_another_name__is_known),
        T(two_units__of_one_usb_device__are_not_each_other),
        T(device__whose_node_is_left__is_not_there),
        T(used__mount_swap_holder_process__each_is_named),
        T(used__btrfs_loop_bsg_ourselves__each_is_named),
        T(used__number_of_another_drive_begins_as_ours__is_not_ours),
        T(used__mounted_in_another_namespace__named_and_what_tells_of_it),
        T(driver__polling_or_not__is_a_reason_unless_owned),
        T(tape__by_its_nodes__found_and_its_users_named),
        T(tape__with_its_driver__is_owned_or_refused),
        T(shared__driver_and_readers_stay__mounts_are_a_reason),
        T(owned__driver_is_sent_away__and_comes_back),
        T(killed__next_start_puts_it_back),
        T(two_services__of_drives_of_one_name__both_own_theirs),
        T(owned__then_mounted__is_not_ours_any_more),
        T(unbind_refused__polling_is_stopped_instead),
        T(given_back__to_a_driver_that_hangs__is_said_and_done_by_somebody_else),
        T(killed__driver_hangs_at_the_next_start__which_goes_on),
        T(given_back__to_who_does_not_take_it__is_said),
        T(given_back__to_who_has_a_driver_by_now__is_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
