/*
 * Tests for src/probe: the emulated drives are examined, with a hand that does
 * what is asked for; and a machine made of a few files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vscsi.h>

#include "probe/drives.h"
#include "probe/examine.h"
#include "probe/link.h"
#include "probe/look.h"

static char folder[64];

struct hand {
    struct vscsi_drive *drive;
    char image[2][128];
    int asked;
};

static void
make_image(const char *path, off_t bytes)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), bytes), 0);
    fclose(file);
}

static void
insert(struct hand *hand, int which)
{
    char text[256];

    assert_int_equal(
        vscsi_insert(hand->drive, hand->image[which], text, sizeof text), 0);
}

static void
do_it(void *context, const char *what)
{
    struct hand *hand = context;

    hand->asked++;
    if (strstr(what, "by hand") != NULL) {
        assert_int_equal(vscsi_yank(hand->drive), 0);
    } else if (strncmp(what, "Put", 3) == 0) {
        insert(hand, 0);
    } else if (strstr(what, "another one") != NULL) {
        assert_int_equal(vscsi_yank(hand->drive), 0);
        insert(hand, 1);
    }
}

static enum said
says(void *context)
{
    return ((struct hand *) context)->asked == 4 ? SAID_DONE : SAID_NOTHING;
}

static const char *
verdict(const json_t *report, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(report, "findings"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return json_string_value(json_object_get(row, "verdict"));
    }
    return "none";
}

/* It announces: our own drives keep the standard in all that is looked at. */
static void
guided__emulated_drive__announces_and_nothing_is_wrong(void **state)
{
    const enum vscsi_type types[] = { VSCSI_DISK, VSCSI_CDROM };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct vscsi_config config = { .name = "p", .type = types[i] };
        struct hand hand = { .drive = vscsi_new(&config) };
        struct examine_host host = {
            .context = &hand, .ask = do_it, .says = says, .limit_ms = 5000
        };
        struct link link;
        json_t *report, *row;
        size_t at;

        assert_non_null(hand.drive);
        for (int n = 0; n < 2; n++) {
            snprintf(hand.image[n], sizeof hand.image[n], "%s/%d.img", folder,
                     n);
            make_image(hand.image[n], (n + 1) * 1024 * 1024);
        }
        insert(&hand, 0);
        assert_int_equal(link_emulated_over(hand.drive, &link), 0);
        report = examine("p", &link, &host, true);
        assert_non_null(report);
        json_array_foreach(json_object_get(report, "findings"), at, row)
        {
            assert_string_not_equal(
                json_string_value(json_object_get(row, "verdict")), "wrong");
        }
        assert_string_equal(verdict(report, "removal"), "good");
        assert_string_equal(verdict(report, "return"), "good");
        assert_string_equal(verdict(report, "changes"), "good");
        assert_string_equal(verdict(report, "eject-when-locked"), "good");
        assert_string_equal(verdict(report, "gesn"),
                            types[i] == VSCSI_CDROM ? "good" : "absent");
        json_decref(report);
        link_close(&link);
        vscsi_free(hand.drive);
    }
}

/* A hand that waits for READ CAPACITY of the round in which it is asked. */
struct late_hand {
    struct hand hand;
    struct link inner;
    bool has_it;
};

static void
send_late(void *self, struct cdb *cdbs, size_t count)
{
    struct late_hand *late = self;

    if (late->has_it && cdbs[0].cdb[0] == 0x25) {
        insert(&late->hand, 0);
        late->has_it = false;
    }
    late->inner.ops->send(late->inner.self, cdbs, count);
}

static void
close_late(void *self)
{
    link_close(&((struct late_hand *) self)->inner);
}

static void
do_it_late(void *context, const char *what)
{
    struct late_hand *late = context;

    if (strncmp(what, "Put", 3) == 0)
        late->has_it = true;
    else
        do_it(&late->hand, what);
}

static enum said
says_late(void *context)
{
    return ((struct late_hand *) context)->hand.asked == 3 ? SAID_DONE
                                                           : SAID_NOTHING;
}

/* Whichever of the commands is told of it. */
static void
guided__medium_is_back_before_the_capacity_is_asked_for__announced(void **state)
{
    static const struct link_ops ops = { .send = send_late,
                                         .close = close_late };
    struct vscsi_config config = { .name = "p", .type = VSCSI_DISK };
    struct late_hand late = { .hand.drive = vscsi_new(&config) };
    struct link link = { .ops = &ops, .self = &late, .kind = "emulated" };
    struct examine_host host = { .context = &late,
                                 .ask = do_it_late,
                                 .says = says_late,
                                 .limit_ms = 60000 };
    json_t *report;

    (void) state;
    assert_non_null(late.hand.drive);
    for (int n = 0; n < 2; n++) {
        snprintf(late.hand.image[n], sizeof late.hand.image[n], "%s/%d.img",
                 folder, n);
        make_image(late.hand.image[n], (n + 1) * 1024 * 1024);
    }
    insert(&late.hand, 0);
    assert_int_equal(link_emulated_over(late.hand.drive, &late.inner), 0);
    report = examine("p", &link, &host, true);
    assert_non_null(report);
    assert_string_equal(verdict(report, "removal"), "good");
    assert_string_equal(verdict(report, "return"), "good");
    json_decref(report);
    link_close(&link);
    vscsi_free(late.hand.drive);
}

static void
command_that_writes__not_sent(void **state)
{
    static const uint8_t codes[] = { 0x2A, 0x0A, 0x8A, 0x35, 0x04,
                                     0x55, 0x15, 0xA5, 0x42, 0xC0 };
    struct vscsi_config config = { .name = "p", .type = VSCSI_DISK };
    struct vscsi_drive *drive = vscsi_new(&config);
    struct link link;

    (void) state;
    assert_int_equal(link_emulated_over(drive, &link), 0);
    for (size_t i = 0; i < sizeof codes; i++) {
        struct cdb cdb = { .cdb = { codes[i] }, .cdb_len = 10 };

        assert_int_equal(link_send(&link, &cdb), -EPERM);
        assert_false(cdb.answered);
    }
    link_close(&link);
    vscsi_free(drive);
}

static void
sense__both_formats_and_nonsense(void **state)
{
    struct cdb cdb = { .answered = true,
                       .status = 2,
                       .sense_len = 18,
                       .sense = { 0x70, 0, 6, [12] = 0x28, 1 } };
    struct sense sense = link_sense(&cdb);

    (void) state;
    assert_true(sense.valid && !sense.descriptor);
    assert_int_equal(sense.key << 16 | sense.asc << 8 | sense.ascq, 0x062801);
    cdb = (struct cdb){ .answered = true,
                        .status = 2,
                        .sense_len = 8,
                        .sense = { 0x72, 2, 0x3A, 2 } };
    sense = link_sense(&cdb);
    assert_true(sense.valid && sense.descriptor);
    assert_int_equal(sense.key << 16 | sense.asc << 8 | sense.ascq, 0x023A02);
    cdb.sense_len = 3;
    assert_false(link_sense(&cdb).valid);
    cdb.sense_len = 8;
    cdb.sense[0] = 0x7E;
    assert_false(link_sense(&cdb).valid);
}

/* --- a machine ----------------------------------------------------------------- */

static void
put(const char *path, const char *text)
{
    char full[512], *slash;
    FILE *file;

    snprintf(full, sizeof full, "%s/%s", folder, path);
    for (slash = strchr(full + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void) mkdir(full, 0755);
        *slash = '/';
    }
    file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* minor: of its block device, whose major is 8. */
static void
make_drive(const char *sg, const char *block, const char *type,
           const char *removable, int minor)
{
    char path[256], dev[32];

    snprintf(path, sizeof path, "sys/class/scsi_generic/%s/device/type", sg);
    put(path, type);
    snprintf(path, sizeof path, "sys/class/scsi_generic/%s/device/vendor", sg);
    put(path, "ACME    \n");
    snprintf(path, sizeof path, "sys/class/scsi_generic/%s/device/block/%s/x",
             sg, block);
    put(path, "");
    snprintf(path, sizeof path, "sys/class/block/%s/removable", block);
    put(path, removable);
    snprintf(path, sizeof path, "sys/class/block/%s/size", block);
    put(path, "2048\n");
    snprintf(path, sizeof path, "sys/class/block/%s/dev", block);
    snprintf(dev, sizeof dev, "8:%d\n", minor);
    put(path, dev);
}

static const char *
field(const json_t *rows, size_t at, const char *name)
{
    return json_string_value(json_object_get(json_array_get(rows, at), name));
}

static void
machine__removable_drives_and_their_holders(void **state)
{
    json_t *rows = json_array();
    char link[512];

    (void) state;
    make_drive("sg1", "sdb", "0\n", "1\n", 16);
    make_drive("sg2", "sdc", "0\n", "0\n", 32);
    make_drive("sg10", "sr0", "5\n", "1\n", 48);
    put("proc/self/mountinfo", "29 1 8:17 / /mnt/stick rw - vfat /dev/sdb1 rw\n"
                               "30 1 8:20 / /no rw - ext4 /dev/sdbx rw\n"
                               "31 1 8:16 / /raw rw - udf /dev/sdb rw\n");
    put("proc/77/comm", "burner\n");
    put("proc/77/fd/none", "");
    snprintf(link, sizeof link, "%s/proc/77/fd/5", folder);
    assert_int_equal(symlink("/dev/sg10", link), 0);
    put("run/udev/data/b8:16", "E:ID_FS_LABEL=STICK\nE:ID_FS_TYPE=vfat\n");
    drives_of_machine(folder, rows);
    assert_int_equal(json_array_size(rows), 2); /* sdc stays where it is */
    assert_string_equal(field(rows, 0, "name"), "/dev/sg1");
    assert_string_equal(field(rows, 0, "vendor"), "ACME");
    assert_string_equal(field(rows, 0, "type"), "disk");
    assert_string_equal(field(rows, 0, "medium"), "present");
    assert_string_equal(field(rows, 0, "volume"), "STICK (vfat)");
    assert_string_equal(field(rows, 0, "held_by"),
                        "sdb is mounted on /mnt/stick, sdb is mounted on /raw");
    assert_string_equal(field(rows, 1, "name"), "/dev/sg10");
    assert_string_equal(field(rows, 1, "held_by"),
                        "/dev/sg10 is open in process 77 (burner)");
    json_decref(rows);
}

/* sr says 2097151 sectors of a drive without a medium; udev writes down what it
 * has seen, and blanks of labels as \x20. */
static void
machine__medium_and_volume__as_kernel_and_udev_have_them(void **state)
{
    json_t *rows = json_array();
    size_t at;

    (void) state;
    make_drive("sg40", "sr4", "5\n", "1\n", 64);
    put("sys/class/block/sr4/size", "2097151\n");
    put("sys/class/block/sr4/dev", "11:4\n");
    put("run/udev/data/b11:4", "E:ID_CDROM=1\nE:ID_FS_LABEL=OLD\n"
                               "E:ID_FS_TYPE=iso9660\n");
    make_drive("sg41", "sr5", "5\n", "1\n", 80);
    put("sys/class/block/sr5/size", "2097151\n");
    put("sys/class/block/sr5/dev", "11:5\n");
    make_drive("sg42", "sdx", "0\n", "1\n", 96);
    put("sys/class/block/sdx/dev", "8:42\n");
    put("run/udev/data/b8:42", "E:ID_FS_LABEL=MY_DISK\n"
                               "E:ID_FS_LABEL_ENC=MY\\x20DISK\n"
                               "E:ID_FS_TYPE=vfat\n");
    make_drive("sg43", "sdy", "0\n", "1\n", 112);
    put("sys/class/block/sdy/dev", "8:43\n");
    put("run/udev/data/b8:43", "E:ID_PART_TABLE_TYPE=gpt\n"
                               "E:ID_PART_TABLE_UUID=1234-ABCD\n");
    put("proc/swaps", "Filename Type Size Used Priority\n"
                      "/dev/sdy2 partition 1024 0 -2\n");
    drives_of_machine(folder, rows);
    at = json_array_size(rows) - 4;
    assert_string_equal(field(rows, at, "medium"), "none");
    assert_string_equal(field(rows, at, "volume"), "");
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(rows, at), "size_bytes")),
                     0);
    assert_string_equal(field(rows, at + 1, "medium"), "unknown");
    assert_string_equal(field(rows, at + 2, "volume"), "MY DISK (vfat)");
    assert_string_equal(field(rows, at + 3, "volume"), "1234-ABCD (gpt)");
    assert_string_equal(field(rows, at + 3, "held_by"),
                        "the system swaps to /dev/sdy2");
    json_decref(rows);
}

/* Of any of its nodes, also of a disk that is no candidate. */
static void
machine__held_by__of_one_node(void **state)
{
    char path[512], from[512], text[256];

    (void) state;
    put("sys/devices/pci/host9/scsi_generic/sg50/dev", "21:50\n");
    put("sys/devices/pci/host9/block/sdw/dev", "8:50\n");
    put("sys/class/scsi_generic/sg50/dev", "21:50\n");
    put("sys/class/block/sdw/dev", "8:50\n");
    snprintf(path, sizeof path, "%s/sys/devices/pci/host9", folder);
    snprintf(from, sizeof from, "%s/sys/class/scsi_generic/sg50/device",
             folder);
    assert_int_equal(symlink(path, from), 0);
    snprintf(from, sizeof from, "%s/sys/class/block/sdw/device", folder);
    assert_int_equal(symlink(path, from), 0);
    put("proc/self/mountinfo", "29 1 8:51 / /srv rw - ext4 /dev/sdw1 rw\n");
    drives_held_by(folder, "/dev/sg50", text, sizeof text);
    assert_string_equal(text, "sdw is mounted on /srv");
    drives_held_by(folder, "/dev/sdw", text, sizeof text);
    assert_string_equal(text, "sdw is mounted on /srv");
    put("sys/class/block/sdw/events", "media_change\n");
    put("sys/class/block/sdw/events_poll_msecs", "-1\n");
    put("sys/devices/pci/host9/block/sdw/x", "");
    put("sys/module/block/parameters/events_dfl_poll_msecs", "2000\n");
    drives_polled_by(folder, "/dev/sg50", path, sizeof path);
    assert_non_null(strstr(path, "/sys/class/block/sdw/events_poll_msecs"));
    put("sys/class/block/sdw/events_poll_msecs", "0\n");
    drives_polled_by(folder, "/dev/sg50", path, sizeof path);
    assert_string_equal(path, "");
    drives_held_by(folder, "/dev/nothing", text, sizeof text);
    assert_string_equal(text, "");
    drives_held_by(folder, "iscsi://x/y/1", text, sizeof text);
    assert_string_equal(text, "");
}

/* A container's, and a loop: as the service refuses them. */
static void
machine__held_by__what_the_service_would_refuse(void **state)
{
    json_t *rows = json_array();
    char path[512];

    (void) state;
    make_drive("sg60", "sdv", "0\n", "1\n", 128);
    make_drive("sg61", "sdu", "0\n", "1\n", 144);
    put("proc/self/mountinfo", "");
    put("proc/42/mountinfo", "29 1 8:129 / /data rw - vfat /dev/sdv1 rw\n");
    put("proc/42/ns/none", "");
    snprintf(path, sizeof path, "%s/proc/42/ns/mnt", folder);
    assert_int_equal(symlink("mnt:[4026532201]", path), 0);
    put("sys/class/block/sdv1/dev", "8:129\n");
    put("sys/class/block/loop3/loop/backing_file", "/dev/sdu\n");
    drives_of_machine(folder, rows);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (strcmp(field(rows, i, "name"), "/dev/sg60") == 0)
            assert_string_equal(field(rows, i, "held_by"),
                                "sdv is mounted on /data for process 42");
        if (strcmp(field(rows, i, "name"), "/dev/sg61") == 0)
            assert_string_equal(field(rows, i, "held_by"),
                                "loop3 is a loop over /dev/sdu");
    }
    json_decref(rows);
    drives_held_by(folder, "/dev/sdv1", path, sizeof path);
    assert_string_equal(path, "sdv1 is mounted on /data for process 42");
}

static void
machine__without_module_sg__is_said_where_there_are_drives(void **state)
{
    char empty[96];

    (void) state;
    assert_true(drives_can_be_seen(folder));
    snprintf(empty, sizeof empty, "%s/other", folder);
    assert_true(drives_can_be_seen(empty)); /* no SCSI at all */
    put("other/sys/class/scsi_device/0:0:0:0/x", "");
    assert_false(drives_can_be_seen(empty));
    put("other/sys/class/scsi_generic/sg0/x", "");
    assert_true(drives_can_be_seen(empty));
}

static void
machine__tape_drive__any_of_its_nodes_is_open(void **state)
{
    static const char *const nodes[] = { "st0", "nst0a", "nst0", "st0m" };
    json_t *rows = json_array();
    char path[512];
    size_t last;

    (void) state;
    put("sys/class/scsi_generic/sg20/device/type", "1\n");
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        snprintf(path, sizeof path,
                 "sys/class/scsi_generic/sg20/device/scsi_tape/%s/dev",
                 nodes[i]);
        put(path, "9:0\n");
    }
    put("proc/78/comm", "tar\n");
    put("proc/78/fd/none", "");
    snprintf(path, sizeof path, "%s/proc/78/fd/5", folder);
    assert_int_equal(symlink("/dev/st0m", path), 0);
    drives_of_machine(folder, rows);
    last = json_array_size(rows) - 1;
    assert_string_equal(field(rows, last, "type"), "tape");
    assert_string_equal(field(rows, last, "node"), "/dev/nst0");
    assert_string_equal(field(rows, last, "held_by"),
                        "/dev/st0m is open in process 78 (tar)");
    json_decref(rows);
}

static void
options__a_stick_by_its_serial__a_driver_is_taken_out_of_the_way(void **state)
{
    json_t *lines = json_array(), *rows;
    char path[512], from[512];
    size_t at;

    (void) state;
    put("sys/devices/usb1/1-2/idVendor", "0951\n");
    put("sys/devices/usb1/1-2/serial", "4C530001\n");
    put("sys/bus/scsi/drivers/sr/bind", "");
    put("sys/devices/usb1/1-2/host3/3:0:0:0/vendor", "ACME\n");
    put("sys/class/scsi_generic/sg30/dev", "21:30\n");
    snprintf(from, sizeof from, "%s/sys/class/scsi_generic/sg30/device",
             folder);
    snprintf(path, sizeof path, "%s/sys/devices/usb1/1-2/host3/3:0:0:0",
             folder);
    assert_int_equal(symlink(path, from), 0);
    snprintf(from, sizeof from, "%s/sys/bus/scsi/drivers/sr", folder);
    snprintf(path + strlen(path), sizeof path - strlen(path), "/driver");
    assert_int_equal(symlink(from, path), 0);
    drives_options(folder, "/dev/sg30", "OWN", lines);
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(json_string_value(json_array_get(lines, 1)),
                        "match = serial:4C530001");
    assert_string_equal(json_string_value(json_array_get(lines, 2)),
                        "own = yes");
    json_array_clear(lines);
    /* `drives` says the serial number that match takes. */
    put("sys/devices/usb1/1-2/host3/3:0:0:0/type", "5\n");
    rows = json_array();
    drives_of_machine(folder, rows);
    for (at = 0; at < json_array_size(rows); at++)
        if (strcmp(field(rows, at, "name"), "/dev/sg30") == 0)
            break;
    assert_string_equal(field(rows, at, "serial"), "4C530001");
    json_decref(rows);
    /* Built in, and nobody's. */
    put("sys/class/scsi_generic/sg31/device/type", "5\n");
    drives_options(folder, "/dev/sg31", "OWN", lines);
    assert_int_equal(json_array_size(lines), 2);
    assert_string_equal(json_string_value(json_array_get(lines, 1)),
                        "device = /dev/sg31");
    json_decref(lines);
}

/* --- a drive that boasts ---------------------------------------------------------------- */

/* A removable disk with a medium of 4294901761 blocks of 4294967295 bytes. */
static void
boast(void *self, struct cdb *cdbs, size_t count)
{
    static const uint8_t inquiry[36] = { 0x00, 0x80, 0x05, 0x02, 31 };
    static const uint8_t capacity[8] = { 0xFF, 0xFF, 0x00, 0x00,
                                         0xFF, 0xFF, 0xFF, 0xFF };

    (void) self;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = cdbs[i].cdb[0] == 0x25 ? capacity : inquiry;
        uint32_t len = cdbs[i].cdb[0] == 0x25 ? 8 : 36;

        cdbs[i].answered = true;
        if (cdbs[i].cdb[0] != 0x12 && cdbs[i].cdb[0] != 0x25)
            len = 0;
        if (len > cdbs[i].data_len)
            len = cdbs[i].data_len;
        if (len != 0)
            memcpy(cdbs[i].data, from, len);
        cdbs[i].transferred = len;
    }
}

static void
leave(void *self)
{
    (void) self;
}

static void
capacity_that_no_number_holds__wrong_and_no_size(void **state)
{
    static const struct link_ops ops = { boast, leave };
    static const struct examine_host host = { .ask = do_it };
    struct link link = { &ops, NULL, "scripted", false, false };
    json_t *report = examine("boaster", &link, &host, false);

    (void) state;
    assert_non_null(report);
    assert_string_equal(verdict(report, "capacity"), "wrong");
    json_decref(report);
    report = json_object();
    look_at(&link, report);
    assert_int_equal(json_integer_value(json_object_get(report, "size_bytes")),
                     0);
    json_decref(report);
}

static int
begin(void **state)
{
    (void) state;
    snprintf(folder, sizeof folder, "/tmp/probe-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int
end(void **state)
{
    char command[128];

    (void) state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            guided__emulated_drive__announces_and_nothing_is_wrong),
        cmocka_unit_test(
            guided__medium_is_back_before_the_capacity_is_asked_for__announced),
        cmocka_unit_test(command_that_writes__not_sent),
        cmocka_unit_test(capacity_that_no_number_holds__wrong_and_no_size),
        cmocka_unit_test(sense__both_formats_and_nonsense),
        cmocka_unit_test(machine__removable_drives_and_their_holders),
        cmocka_unit_test(machine__tape_drive__any_of_its_nodes_is_open),
        cmocka_unit_test(
            machine__medium_and_volume__as_kernel_and_udev_have_them),
        cmocka_unit_test(machine__held_by__of_one_node),
        cmocka_unit_test(machine__held_by__what_the_service_would_refuse),
        cmocka_unit_test(
            machine__without_module_sg__is_said_where_there_are_drives),
        cmocka_unit_test(
            options__a_stick_by_its_serial__a_driver_is_taken_out_of_the_way),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
