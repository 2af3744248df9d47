/*
 * t_identity.c - what tells one volume from another: media made by the
 * ordinary tools, expectations from what they were told to write
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/identity.h"

static char folder[] = "/tmp/identity-XXXXXX";

static NTSTATUS
read_file(void *context, ULONG64 offset, void *buffer, ULONG length)
{
    int fd = *(int *) context;

    return pread(fd, buffer, length, (off_t) offset) == (ssize_t) length
               ? STATUS_SUCCESS
               : STATUS_DEVICE_DATA_ERROR;
}

/* Makes an image of `mib` MiB, runs a command on it ("%s" is the image), and
 * reads its identity. */
static void
make(const char *name, unsigned mib, const char *command, ULONG block,
     struct identity *out)
{
    char path[128], line[512];
    struct stat st;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t) mib << 20), 0);
    if (command != NULL) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, command, path);
#pragma GCC diagnostic pop
        strcat(line, " >/dev/null 2>&1");
        assert_int_equal(system(line), 0);
    }
    /* Some tools write the image anew. */
    close(fd);
    fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(identity_read(read_file, &fd, (ULONG64) st.st_size, block,
                                   block == 2048, out),
                     STATUS_SUCCESS);
    close(fd);
}

static void
known_formats__type_label_uuid__as_the_tool_was_told(void **state)
{
    static const struct {
        const char *name;
        unsigned mib;
        const char *command;
        const char *type, *uuid, *label;
    } media[] = {
        { "ext4", 16,
          "mkfs.ext4 -q -L ARCHIVE-A -U 6f1d2b1e-0000-4000-8000-00000000000a "
          "%s",
          "ext4", "6f1d2b1e-0000-4000-8000-00000000000a", "ARCHIVE-A" },
        { "fat16", 16, "mkfs.vfat -F 16 -n ARCHIVE-B -i 1234ABCD %s", "vfat",
          "1234-ABCD", "ARCHIVE-B" },
        { "fat32", 512, "mkfs.vfat -F 32 -n BIGFAT -i 00C0FFEE %s", "vfat",
          "00C0-FFEE", "BIGFAT" },
        { "swap", 8,
          "mkswap -L SWAP-1 -U 6f1d2b1e-0000-4000-8000-0000000000cc %s", "swap",
          "6f1d2b1e-0000-4000-8000-0000000000cc", "SWAP-1" },
    };
    struct identity id;

    (void) state;
    for (size_t i = 0; i < sizeof media / sizeof media[0]; i++) {
        make(media[i].name, media[i].mib, media[i].command, 512, &id);
        assert_string_equal(id.type, media[i].type);
        assert_string_equal(id.uuid, media[i].uuid);
        assert_string_equal(id.label, media[i].label);
        assert_false(id.unknown);
        assert_int_equal(identity_compare(&id, &id), ID_SAME);
    }
}

static void
same_label__other_uuid__different(void **state)
{
    struct identity a, b;

    (void) state;
    make("same1", 16, "mkfs.ext4 -q -L TWIN %s", 512, &a);
    make("same2", 16, "mkfs.ext4 -q -L TWIN %s", 512, &b);
    assert_string_equal(a.label, b.label);
    assert_int_equal(identity_compare(&a, &b), ID_DIFFERENT);
}

static void
same_numbers__other_size__different(void **state)
{
    struct identity a, b;

    (void) state;
    make("size1", 16, "mkfs.vfat -n SIZE -i 11112222 %s", 512, &a);
    make("size2", 17, "mkfs.vfat -n SIZE -i 11112222 %s", 512, &b);
    assert_int_equal(identity_compare(&a, &b), ID_DIFFERENT);
}

static void
blank__cannot_be_told_apart(void **state)
{
    struct identity a, b;

    (void) state;
    make("blank1", 4, NULL, 512, &a);
    make("blank2", 4, NULL, 512, &b);
    assert_string_equal(a.type, "blank");
    assert_int_equal(identity_compare(&a, &b), ID_CANNOT_TELL);
}

static void
unknown_content__fingerprint_of_the_head(void **state)
{
    struct identity a, b;

    (void) state;
    make("rand1", 4, "dd if=/dev/urandom of=%s bs=64k count=2 conv=notrunc",
         512, &a);
    make("rand2", 4, "dd if=/dev/urandom of=%s bs=64k count=2 conv=notrunc",
         512, &b);
    assert_string_equal(a.type, "unknown");
    assert_int_equal(identity_compare(&a, &a), ID_SAME);
    assert_int_equal(identity_compare(&a, &b), ID_DIFFERENT);
}

static void
unknown_content__own_write_not_read_again__only_the_rest_counts(void **state)
{
    struct identity known, seen;

    (void) state;
    make("touch", 4, "dd if=/dev/urandom of=%s bs=64k count=2 conv=notrunc",
         512, &known);
    seen = known;
    seen.print[3] ^= 1;
    assert_int_equal(identity_compare(&known, &seen), ID_DIFFERENT);
    identity_touch(&known, 3 * 512 + 10, 20);
    assert_int_equal(identity_compare(&known, &seen), ID_SAME);
    seen.print[4] ^= 1;
    assert_int_equal(identity_compare(&known, &seen), ID_DIFFERENT);
    identity_touch(&known, 0, HEAD_BYTES);
    assert_int_equal(identity_compare(&known, &seen), ID_CANNOT_TELL);
}

static void
partitioned__table_and_what_is_in_it(void **state)
{
    /* One partition of type 0C from block 2048 on, 61440 blocks long. */
    static const unsigned char entry[16] = {
        [4] = 0x0C, [9] = 0x08, [13] = 0xF0
    };
    static const unsigned char mark[2] = { 0x55, 0xAA };
    struct identity a, b;
    char path[128];
    int fd;

    (void) state;
    make("mbr", 32, "mkfs.vfat --offset 2048 -n INNER -i 22223333 %s", 512, &a);
    snprintf(path, sizeof path, "%s/mbr", folder);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, entry, sizeof entry, 446), sizeof entry);
    assert_int_equal(pwrite(fd, mark, sizeof mark, 510), sizeof mark);
    assert_int_equal(pwrite(fd, "\1\2\3\4", 4, 440), 4);
    close(fd);
    make("mbr", 32, NULL, 512, &a);
    assert_string_equal(a.type, "dos");
    assert_string_equal(a.uuid, "04030201");
    assert_string_equal(a.label, "INNER");
    assert_int_equal(identity_compare(&a, &a), ID_SAME);
    b = a;
    b.part[0].inner ^= 1;
    assert_int_equal(identity_compare(&a, &b), ID_DIFFERENT);
}

/* Of a partition that is shorter than its fingerprint only the partition
 * counts: a write behind it is no write to it. */
static void
partitioned__tiny__what_lies_behind_it_does_not_count(void **state)
{
    /* One partition of type 83 from block 1000 on, 2 blocks long. */
    static const unsigned char entry[16] = {
        [4] = 0x83, [8] = 0xE8, [9] = 0x03, [12] = 2
    };
    static const unsigned char mark[2] = { 0x55, 0xAA };
    struct identity a, b;
    char path[128];
    int fd;

    (void) state;
    make("tiny", 4, NULL, 512, &a);
    snprintf(path, sizeof path, "%s/tiny", folder);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, entry, sizeof entry, 446), sizeof entry);
    assert_int_equal(pwrite(fd, mark, sizeof mark, 510), sizeof mark);
    assert_int_equal(pwrite(fd, "\1\2\3\4", 4, 440), 4);
    make("tiny", 4, NULL, 512, &a);
    assert_string_equal(a.type, "dos");
    assert_int_equal(a.parts, 1);
    assert_int_equal(pwrite(fd, "written", 7, 1005 * 512), 7);
    close(fd);
    identity_touch(&a, 1005 * 512, 512);
    make("tiny", 4, NULL, 512, &b);
    assert_int_equal(identity_compare(&a, &b), ID_SAME);
}

static void
iso__volume_id(void **state)
{
    struct identity id;
    char line[256], image[128];

    (void) state;
    snprintf(line, sizeof line, "mkdir -p %s/tree && echo x > %s/tree/file",
             folder, folder);
    assert_int_equal(system(line), 0);
    snprintf(image, sizeof image,
             "genisoimage -quiet -V DISC-1 -o %%s "
             "%s/tree",
             folder);
    make("iso", 1, image, 2048, &id);
    assert_string_equal(id.type, "iso9660");
    assert_string_equal(id.label, "DISC-1");
}

static void
unreadable_head__the_status_of_the_read(void **state)
{
    struct identity id = { .size_bytes = 42 };
    int fd = open("/dev/null", O_RDONLY);

    (void) state;
    assert_int_equal(identity_read(read_file, &fd, 1 << 20, 512, FALSE, &id),
                     STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(id.size_bytes, 42);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_formats__type_label_uuid__as_the_tool_was_told),
        cmocka_unit_test(same_label__other_uuid__different),
        cmocka_unit_test(same_numbers__other_size__different),
        cmocka_unit_test(blank__cannot_be_told_apart),
        cmocka_unit_test(unknown_content__fingerprint_of_the_head),
        cmocka_unit_test(
            unknown_content__own_write_not_read_again__only_the_rest_counts),
        cmocka_unit_test(partitioned__table_and_what_is_in_it),
        cmocka_unit_test(partitioned__tiny__what_lies_behind_it_does_not_count),
        cmocka_unit_test(iso__volume_id),
        cmocka_unit_test(unreadable_head__the_status_of_the_read),
    };
    char line[64];
    int failed;

    /* Where mkfs is, whoever runs this. */
    setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
    if (mkdtemp(folder) == NULL)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line) != 0 || failed != 0;
}
