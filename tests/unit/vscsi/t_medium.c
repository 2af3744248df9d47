/*
 * Tests for src/vscsi/medium.c: images that are refused, with which words, and
 * images that go bad while they are in.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/wait.h>

SETUP(disk, .type = VSCSI_DISK)
SETUP(protected_disk, .type = VSCSI_DISK, .write_protect = true)
SETUP(cd, .type = VSCSI_CDROM)

static void
insert__bad_images__refused_by_name(void **state)
{
    static const struct {
        const char *name, *kind; /* made how: see below */
        int error;
        const char *says;
    } table[] = {
        { "missing", "", -ENOENT, "missing" },
        { "empty", "0", -EINVAL, "0 bytes" },
        { "odd", "1000", -EINVAL, "1000" },
        { "one byte", "1", -EINVAL, "512-byte" },
        { "folder", "dir", -EINVAL, "directory" },
        { "pipe", "fifo", -EINVAL, "named pipe" },
        { "loop", "loop", -ELOOP, "loop" },
        { "dangling", "dangling", -ENOENT, "dangling" },
    };
    struct rig *rig = *state;
    char path[160], text[512];

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *kind = table[i].kind;

        snprintf(path, sizeof path, "%s/%s", rig->folder, table[i].name);
        if (strcmp(kind, "dir") == 0)
            assert_int_equal(mkdir(path, 0700), 0);
        else if (strcmp(kind, "fifo") == 0)
            assert_int_equal(mkfifo(path, 0600), 0);
        else if (strcmp(kind, "loop") == 0)
            assert_int_equal(symlink(path, path), 0);
        else if (strcmp(kind, "dangling") == 0)
            assert_int_equal(symlink("/nowhere/at/all", path), 0);
        else if (kind[0] != '\0')
            make_image(path, 0, strtoull(kind, NULL, 10));
        text[0] = '\0';
        assert_int_equal(vscsi_insert(rig->drive, path, text, sizeof text),
                         table[i].error);
        assert_non_null(strstr(text, path));
        assert_non_null(strstr(text, table[i].says));
    }
    assert_int_equal(vscsi_insert(rig->drive, "", text, sizeof text), -ENOENT);
    assert_int_equal(vscsi_insert(rig->drive, "/dev/zero", text, sizeof text),
                     -EINVAL);
    assert_non_null(strstr(text, "character device"));
    /* Nobody needs the words. */
    assert_int_equal(vscsi_insert(rig->drive, path, NULL, 0), -ENOENT);
    assert_int_equal(vscsi_insert(rig->drive, path, text, 1), -ENOENT);
    settle(rig);
}

static void
insert__odd_names__are_names(void **state)
{
    static const char *const names[] = {
        "with space",     "%s%n", "new\nline", "\"quoted'",
        "\xff\xfe bytes", "-rf",  "a:b=c;d",
    };
    struct rig *rig = *state;
    struct vscsi_state seen;
    char path[160], text[64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", rig->folder, names[i]);
        make_image(path, 'x', 4096);
        assert_int_equal(vscsi_insert(rig->drive, path, text, sizeof text), 0);
        vscsi_state(rig->drive, &seen);
        assert_string_equal(seen.image, path);
        assert_int_equal(vscsi_yank(rig->drive), 0);
    }
}

static void
insert__locked_by_another_process__busy(void **state)
{
    struct rig *rig = *state;
    char text[256];
    int fd = open(rig->a, O_RDWR);

    /* A lock belongs to the open file, so this stands for a process. */
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->a, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, rig->a));
    close(fd);
    settle(rig);
    fd = open(rig->a, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

static void
write_protect__drive_or_cd__refused_and_shown(void **state)
{
    struct rig *rig = *state;
    struct vscsi_state seen;
    char byte;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 0, 1, 'X'), 0x072700);
    assert_int_equal(OUT(rig, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), 0x072700);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0x3F, 0, 255, 0), 0);
    assert_int_equal(rig->data[2] & 0x80, 0x80);
    vscsi_state(rig->drive, &seen);
    assert_true(seen.write_protected);
    peek(rig->a, 0, &byte, 1);
    assert_int_equal(byte, 'a');
}

static void
cd__write_commands__do_not_exist(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(write_10(rig, 0, 0, 4, 'X'), 0x052000);
}

static void
image__shrunk__medium_error_with_lba(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(truncate(rig->a, 512 * 10 + 100), 0);
    assert_int_equal(read_10(rig, 8, 4, 2048), 0x031100);
    assert_int_equal(rig->last.sense[0], 0xf0);
    assert_int_equal(number_at(rig->last.sense + 3, 4), 10);
    assert_int_equal(read_10(rig, 0, 4, 2048), 0);
}

static void
image__unlinked__goes_on(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(unlink(rig->a), 0);
    assert_int_equal(write_10(rig, 0, 5, 1, 'U'), 0);
    memset(rig->data, 0, 512);
    assert_int_equal(read_10(rig, 5, 1, 512), 0);
    assert_int_equal(rig->data[511], 'U');
}

static void
image__no_space__space_allocation_failed(void **state)
{
    struct rig *rig = *state;
    struct rlimit old, small;

    settle(rig);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 512 * 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(write_10(rig, 0, 200, 1, 'X'), 0x072707);
    assert_int_equal(number_at(rig->last.sense + 3, 4), 200);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(write_10(rig, 0, 200, 1, 'X'), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(insert__bad_images__refused_by_name, disk),
        TEST(insert__odd_names__are_names, disk),
        TEST(insert__locked_by_another_process__busy, disk),
        TEST(write_protect__drive_or_cd__refused_and_shown, protected_disk),
        TEST(cd__write_commands__do_not_exist, cd),
        TEST(image__shrunk__medium_error_with_lba, disk),
        TEST(image__unlinked__goes_on, disk),
        TEST(image__no_space__space_allocation_failed, disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
