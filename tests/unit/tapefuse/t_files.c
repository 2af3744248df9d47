/*
 * t_files.c - the files of tape drives, through the kernel, as st(4) has them
 *
 * Skipped where FUSE cannot be mounted.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mtio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tapefuse/tapefuse.h"
#include "fake_link.h"

#define MIB (1u << 20)

static char folder[] = "/tmp/t-tapefuse-XXXXXX";
static struct tapefuse *fuse;
static pthread_t server;
static char said[1024];
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *pages; /* 4 MiB, at a page */

static void
note(const char *text)
{
    (void) pthread_mutex_lock(&said_lock);
    (void) snprintf(said, sizeof said, "%s", text);
    (void) pthread_mutex_unlock(&said_lock);
}

static bool
was_said(const char *text)
{
    bool found;

    (void) pthread_mutex_lock(&said_lock);
    found = strstr(said, text) != NULL;
    (void) pthread_mutex_unlock(&said_lock);
    return found;
}

static void *
serve(void *unused)
{
    (void) unused;
    return (void *) (intptr_t) tapefuse_serve(fuse);
}

static int
mount_it(void **state)
{
    static const char *const names[] = { "lto-a", "lto-b" };
    struct tapefuse_config config = { folder, "/nowhere", names, 2, note };
    struct ri_error why;

    (void) state;
    fake_reset();
    said[0] = '\0';
    if (tapefuse_new(&config, &fuse, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return -1;
    }
    return pthread_create(&server, NULL, serve, NULL);
}

static int
unmount_it(void **state)
{
    void *result;

    (void) state;
    if (fuse == NULL)
        return 0;
    tapefuse_stop(fuse);
    (void) pthread_join(server, &result);
    tapefuse_free(fuse);
    fuse = NULL;
    return (int) (intptr_t) result;
}

static const char *
path(const char *name)
{
    static char text[2][128];
    static unsigned turn;

    turn ^= 1;
    (void) snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
    return text[turn];
}

static int
open_file(const char *name, int flags)
{
    return open(path(name), flags | O_CLOEXEC);
}

/* A value of the fake, as it is now. */
#define NOW(field)                                                             \
    ({                                                                         \
        (void) pthread_mutex_lock(&fake_lock);                                 \
        __typeof__(field) now = (field);                                       \
        (void) pthread_mutex_unlock(&fake_lock);                               \
        now;                                                                   \
    })

#define SET(field, value)                                                      \
    do {                                                                       \
        (void) pthread_mutex_lock(&fake_lock);                                 \
        (field) = (value);                                                     \
        (void) pthread_cond_broadcast(&fake_changed);                          \
        (void) pthread_mutex_unlock(&fake_lock);                               \
    } while (0)

#define UNTIL(condition)                                                       \
    do {                                                                       \
        int ticks = 0;                                                         \
        while (!(condition)) {                                                 \
            assert_true(ticks++ < 60000);                                      \
            (void) poll(NULL, 0, 1);                                           \
        }                                                                      \
    } while (0)

static int
ioctl_op(int fd, short op, int count)
{
    struct mtop wish = { op, count };

    return ioctl(fd, MTIOCTOP, &wish);
}

/* --- the folder ------------------------------------------------------------------ */

static void
folder__is_listed__a_pair_for_each_drive(void **state)
{
    static const char *const wanted[] = { "st0", "nst0", "st1", "nst1",
                                          "by-name" };
    struct stat info;
    DIR *directory = opendir(folder);
    unsigned found = 0;

    (void) state;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        for (size_t i = 0; i < 5; i++)
            found += strcmp(entry->d_name, wanted[i]) == 0;
    (void) closedir(directory);
    assert_int_equal(found, 5);
    assert_int_equal(stat(path("nst1"), &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_int_equal(stat(path("st2"), &info), -1);
    assert_int_equal(errno, ENOENT);
}

static void
folder__by_name__links_to_both_files(void **state)
{
    char target[64] = { 0 };

    (void) state;
    assert_true(readlink(path("by-name/lto-b"), target, 60) > 0);
    assert_string_equal(target, "../st1");
    memset(target, 0, sizeof target);
    assert_true(readlink(path("by-name/lto-b-nst"), target, 60) > 0);
    assert_string_equal(target, "../nst1");
}

static void
folder__a_drive_that_comes_later__behind_the_others(void **state)
{
    char target[64] = "";
    char name[32];
    int fd;

    (void) state;
    assert_int_equal(access(path("st2"), F_OK), -1);
    assert_int_equal(tapefuse_add(fuse, "lto-b"), -EEXIST);
    assert_int_equal(tapefuse_add(fuse, "lto-c"), 2);
    assert_int_equal(readlink(path("by-name/lto-c"), target, 63), 6);
    assert_string_equal(target, "../st2");
    fd = open_file("nst2", O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, pages, 1000), 1000);
    assert_int_equal(close(fd), 0);
    assert_int_equal(NOW(fake_drive("lto-c")->bytes), 1000);
    /* As many as may be: each waits for its tape, and the next is not kept. */
    for (unsigned i = 3; i < TAPEFUSE_DRIVES_MAX; i++) {
        (void) snprintf(name, sizeof name, "more%u", i);
        assert_int_equal(tapefuse_add(fuse, name), i);
    }
    assert_int_equal(tapefuse_add(fuse, "another"), -E2BIG);
    fd = open_file("st29", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void
folder__a_new_file__is_refused(void **state)
{
    (void) state;
    assert_int_equal(open_file("other", O_CREAT | O_RDWR), -1);
    assert_int_equal(errno, EPERM);
}

/* --- open and close --------------------------------------------------------------- */

static void
open__second__is_busy(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    assert_true(fd >= 0);
    assert_int_equal(open_file("nst0", O_RDONLY), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(open_file("st0", O_RDONLY), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(close(fd), 0);
    fd = open_file("st0", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void
open__no_tape__only_nonblocking(void **state)
{
    int fd;

    (void) state;
    SET(fake_drive("lto-a")->empty, true);
    assert_int_equal(open_file("nst0", O_RDONLY), -1);
    assert_int_equal(errno, ENOMEDIUM);
    fd = open_file("nst0", O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_true(NOW(fake_drive("lto-a")->how.no_tape_needed));
    assert_int_equal(close(fd), 0);
}

static void
open__protected_tape__erofs_unless_for_reading(void **state)
{
    int fd;

    (void) state;
    SET(fake_drive("lto-a")->write_protected, true);
    assert_int_equal(open_file("nst0", O_RDWR), -1);
    assert_int_equal(errno, EROFS);
    fd = open_file("nst0", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(close(fd), 0);
}

static void
open__unknown_drive_and_no_service__enxio_and_eio(void **state)
{
    (void) state;
    SET(fake_drive("lto-a")->open_fails, -ENODEV);
    assert_int_equal(open_file("nst0", O_RDWR), -1);
    assert_int_equal(errno, ENXIO);
    SET(fake_drive("lto-a")->open_fails, -ECONNREFUSED);
    assert_int_equal(open_file("nst0", O_RDWR), -1);
    assert_int_equal(errno, EIO);
    assert_true(was_said("nst0 (lto-a): lto-a: no session at /nowhere"));
}

static void
close__st_rewinds_and_nst_does_not__how_says_so(void **state)
{
    int fd = open_file("st0", O_RDWR);

    (void) state;
    assert_true(NOW(fake_drive("lto-a")->how.rewind_at_close));
    assert_true(NOW(fake_drive("lto-a")->how.write));
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), 0);
    fd = open_file("nst0", O_RDONLY); /* waits for the close before */
    assert_int_equal(NOW(fake_drive("lto-a")->closes), 1);
    assert_int_equal(NOW(fake_drive("lto-a")->at), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 2);
    assert_false(NOW(fake_drive("lto-a")->how.rewind_at_close));
    assert_false(NOW(fake_drive("lto-a")->how.write));
    assert_int_equal(close(fd), 0);
}

static void
close__after_a_write__marks_and_says_what_failed(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    SET(fake_drive("lto-a")->sync_fails, -EIO);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(NOW(fake_drive("lto-a")->marks), 1);
    assert_true(was_said("at the close"));
}

/* The kernel takes ENOSYS for "no flush, ever", and success. */
static void
close__fails_with_enosys__eio_and_so_does_the_next(void **state)
{
    (void) state;
    SET(fake_drive("lto-a")->sync_fails, -ENOSYS);
    for (int i = 0; i < 2; i++) {
        int fd = open_file("nst0", O_RDWR);

        assert_int_equal(write(fd, "abc", 3), 3);
        assert_int_equal(close(fd), -1);
        assert_int_equal(errno, EIO);
    }
}

/* As a tape drive does: whoever closes can rely on it. */
static void
close__the_last_one__has_ended_the_session(void **state)
{
    int fd = open_file("st0", O_RDWR);

    (void) state;
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->closes), 1);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 2);
    assert_int_equal(NOW(fake_drive("lto-a")->at), 0);
}

static void
close__fails_at_the_end_of_the_session__is_an_error(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    SET(fake_drive("lto-a")->close_fails, -EIO);
    assert_int_equal(close(fd), -1);
    assert_int_equal(errno, EIO);
    fd = open_file("nst0", O_RDWR); /* gone all the same */
    assert_true(fd >= 0);
    (void) close(fd);
}

static void
close__of_a_copy__is_safe_and_leaves_the_session(void **state)
{
    int fd = open_file("nst0", O_RDWR), copy = dup(fd);

    (void) state;
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(copy), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->closes), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->syncs), 1);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 1); /* no filemark */
    assert_int_equal(write(fd, "def", 3), 3);
    assert_int_equal(close(fd), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->closes), 1);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 3);
}

static void
close__another_process_has_it__leaves_the_session(void **state)
{
    int fd = open_file("nst0", O_RDWR), pipes[2], status;
    pid_t child;
    char byte;

    (void) state;
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        (void) close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) == 0 && write(fd, "xyz", 3) == 3 ? 0
                                                                        : 1);
    }
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->closes), 0);
    (void) close(pipes[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    UNTIL(NOW(fake_drive("lto-a")->closes) == 1);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 3);
    (void) close(pipes[0]);
}

/* Its process has ended, so that the release closes it. */
static void
close__that_waits__an_open_waits_with_it(void **state)
{
    pid_t child;
    int status;

    (void) state;
    SET(fake_drive("lto-a")->close_waits, true);
    SET(fake_drive("lto-a")->close_fails, -EIO);
    child = fork();
    if (child == 0)
        _exit(open_file("nst0", O_RDONLY) >= 0 ? 0 : errno);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    child = fork();
    if (child == 0)
        _exit(open_file("nst0", O_RDONLY) >= 0 ? 0 : errno);
    (void) poll(NULL, 0, 50);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    SET(fake_drive("lto-a")->close_waits, false);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    UNTIL(NOW(fake_drive("lto-a")->closes) == 2);
    assert_true(was_said("at the last close"));
}

/* --- records -------------------------------------------------------------------- */

static void
records__of_any_size__stay_records(void **state)
{
    static const size_t sizes[] = { 1, 511, 10240, 65537, MIB - 4096, MIB };
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    for (size_t i = 0; i < 6; i++) {
        memset(pages, (int) ('a' + i), sizes[i]);
        assert_int_equal(write(fd, pages, sizes[i]), (ssize_t) sizes[i]);
        assert_int_equal(NOW(fake_drive("lto-a")->objects[i].bytes), sizes[i]);
        assert_true(NOW(fake_drive("lto-a")->in_window));
    }
    assert_int_equal(ioctl_op(fd, MTREW, 1), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(read(fd, pages, MIB), (ssize_t) sizes[i]);
        assert_int_equal(pages[sizes[i] - 1], 'a' + i);
        assert_true(NOW(fake_drive("lto-a")->in_window));
    }
    assert_int_equal(read(fd, pages, MIB), 0);
    assert_int_equal(close(fd), 0);
}

/* The kernel makes two requests of these: 257 pages. */
static void
records__of_a_mib_in_the_middle_of_a_page__stay_whole(void **state)
{
    int fd = open_file("nst0", O_RDWR);
    uint8_t *data = pages + 48;

    (void) state;
    for (size_t i = 0; i < MIB; i++)
        data[i] = (uint8_t) (i * 7 + i / 4096);
    assert_int_equal(write(fd, data, MIB), MIB);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 1);
    assert_int_equal(NOW(fake_drive("lto-a")->objects[0].bytes), MIB);
    assert_memory_equal(fake_drive("lto-a")->objects[0].data, data, MIB);
    assert_int_equal(ioctl_op(fd, MTREW, 1), 0);
    assert_int_equal(read(fd, pages + 2 * MIB + 100, MIB), MIB);
    assert_memory_equal(pages + 2 * MIB + 100, data, MIB);
    assert_int_equal(close(fd), 0);
}

static void
records__of_more_than_a_mib__are_refused(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    assert_int_equal(write(fd, pages, MIB + 4096), -1);
    assert_int_equal(errno, EOVERFLOW);
    assert_int_equal(write(fd, pages + 8, MIB + 1), -1);
    assert_int_equal(errno, EOVERFLOW);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 0);
    /* In fixed block mode it is several blocks anyway. */
    SET(fake_drive("lto-a")->block_bytes, 512);
    assert_int_equal(write(fd, pages, MIB + 4096), MIB + 4096);
    assert_int_equal(close(fd), 0);
}

static void
read__with_more_room_than_a_mib__is_one_record(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    memset(pages, 1, MIB);
    assert_int_equal(write(fd, pages, MIB), MIB);
    assert_int_equal(write(fd, pages, 5), 5);
    assert_int_equal(ioctl_op(fd, MTREW, 1), 0);
    assert_int_equal(read(fd, pages, 3 * MIB), MIB);
    assert_int_equal(read(fd, pages, 3 * MIB), 5);
    assert_int_equal(close(fd), 0);
}

static void
read__record_longer_than_the_buffer__enomem_and_passed(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    assert_int_equal(write(fd, pages, 5000), 5000);
    assert_int_equal(write(fd, pages, 10), 10);
    assert_int_equal(ioctl_op(fd, MTREW, 1), 0);
    assert_int_equal(read(fd, pages, 4999), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(read(fd, pages, 4999), 10);
    assert_int_equal(close(fd), 0);
}

/* st(4): zero bytes twice in a row are the end of the data; then an error. */
static void
read__behind_the_data__nothing_twice_then_eio(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    assert_int_equal(write(fd, pages, 10), 10);
    assert_int_equal(ioctl_op(fd, MTWEOF, 1), 0);
    assert_int_equal(ioctl_op(fd, MTREW, 1), 0);
    assert_int_equal(read(fd, pages, 100), 10);
    assert_int_equal(read(fd, pages, 100), 0); /* the filemark */
    assert_int_equal(read(fd, pages, 100), 0);
    assert_int_equal(read(fd, pages, 100), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(read(fd, pages, 100), -1);
    assert_int_equal(close(fd), 0);
}

static void
seek__anywhere__espipe(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    assert_int_equal(lseek(fd, 0, SEEK_SET), -1);
    assert_int_equal(errno, ESPIPE);
    assert_int_equal(close(fd), 0);
}

/* Documentation/scsi/st.rst: the write at the early warning succeeds, the next
 * is ENOSPC, the one after it is allowed to proceed, and so on. */
static void
write__near_the_end__every_other_one_is_refused(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    SET(fake_drive("lto-a")->warn_at, 2500);
    SET(fake_drive("lto-a")->full_at, 4500);
    assert_int_equal(write(fd, pages, 1000), 1000);
    assert_int_equal(write(fd, pages, 1000), 1000);
    assert_int_equal(write(fd, pages, 1000), 1000); /* the warning */
    assert_int_equal(write(fd, pages, 1000), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(ioctl_op(fd, MTWEOF, 1), 0);
    assert_int_equal(write(fd, pages, 1000), 1000); /* a trailer */
    assert_int_equal(write(fd, pages, 1000), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(write(fd, pages, 1000), -1); /* it is full */
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(NOW(fake_drive("lto-a")->bytes), 4000);
    assert_int_equal(close(fd), 0);
}

static void
write__protected_meanwhile__eacces(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    SET(fake_drive("lto-a")->fails, -EROFS);
    assert_int_equal(write(fd, pages, 10), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(ioctl_op(fd, MTWEOF, 1), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(close(fd), 0);
}

static void
write__service_gone__eio_and_said_once(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    SET(fake_drive("lto-a")->fails, -EPIPE);
    assert_int_equal(write(fd, pages, 10), -1);
    assert_int_equal(errno, EIO);
    assert_true(was_said("it fails"));
    note("");
    assert_int_equal(write(fd, pages, 10), -1);
    assert_int_equal(errno, EIO);
    assert_false(was_said("it fails"));
    SET(fake_drive("lto-a")->fails, 0);
    assert_int_equal(close(fd), 0);
}

/* --- ioctls ----------------------------------------------------------------------- */

static void
ioctl__operation__arrives_with_its_count(void **state)
{
    int fd = open_file("nst1", O_RDONLY);

    (void) state;
    assert_int_equal(ioctl_op(fd, MTFSF, 3), 0);
    assert_int_equal(NOW(fake_drive("lto-b")->last_op), MTFSF);
    assert_int_equal(NOW(fake_drive("lto-b")->last_count), 3);
    assert_int_equal(ioctl_op(fd, MTERASE, 1), -1);
    assert_int_equal(errno, ENOTTY); /* the kernel's word for ENOSYS */
    assert_int_equal(close(fd), 0);
}

static void
ioctl__status_and_position__are_those_of_the_session(void **state)
{
    int fd = open_file("nst1", O_RDWR);
    struct mtget status;
    struct mtpos position;

    (void) state;
    assert_int_equal(ioctl(fd, MTIOCGET, &status), 0);
    assert_int_equal(status.mt_type, MT_ISSCSI2);
    assert_int_equal(status.mt_fileno, 3);
    assert_int_equal(status.mt_blkno, 7);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(ioctl(fd, MTIOCPOS, &position), 0);
    assert_int_equal(position.mt_blkno, 1);
    assert_int_equal(isatty(fd), 0);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(close(fd), 0);
}

/* --- waiting ------------------------------------------------------------------------ */

/* What a program that is no copy of the service has not: the kernel gives a
 * connection up when the last of these is closed. */
static void
close_connections(void)
{
    char name[32], to[32];

    for (int fd = 3; fd < 1024; fd++) {
        ssize_t n;

        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        n = readlink(name, to, sizeof to - 1);
        to[n > 0 ? n : 0] = '\0';
        if (strcmp(to, "/dev/fuse") == 0)
            (void) close(fd);
    }
}

/* A child that writes once: its exit status is the errno. */
static pid_t
write_in_child(int fd)
{
    pid_t child = fork();

    if (child == 0) {
        close_connections();
        _exit(write(fd, "waits", 5) == 5 ? 0 : errno);
    }
    return child;
}

static void
waiting__one_drive__others_go_on(void **state)
{
    int a = open_file("nst0", O_RDWR), b = open_file("nst1", O_RDWR), status;
    pid_t child;

    (void) state;
    SET(fake_drive("lto-a")->away, true);
    child = write_in_child(a);
    UNTIL(NOW(fake_drive("lto-a")->waiting));
    assert_int_equal(write(b, "abc", 3), 3);
    assert_int_equal(access(path("st0"), F_OK), 0);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    SET(fake_drive("lto-a")->away, false);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 1);
    assert_int_equal(close(a), 0);
    assert_int_equal(close(b), 0);
}

static void
waiting__program_killed__it_ends_and_the_session_lives(void **state)
{
    int fd = open_file("nst0", O_RDWR), status;
    pid_t child;

    (void) state;
    SET(fake_drive("lto-a")->away, true);
    child = write_in_child(fd);
    UNTIL(NOW(fake_drive("lto-a")->waiting));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    SET(fake_drive("lto-a")->away, false);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), 0);
}

static void
on_signal(int number)
{
    (void) number;
}

static void
waiting__program_is_sent_a_signal__eintr(void **state)
{
    int fd = open_file("nst0", O_RDWR), status;
    pid_t child;

    (void) state;
    SET(fake_drive("lto-a")->away, true);
    (void) signal(SIGUSR1, on_signal);
    child = write_in_child(fd);
    UNTIL(NOW(fake_drive("lto-a")->waiting));
    assert_int_equal(kill(child, SIGUSR1), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), EINTR);
    SET(fake_drive("lto-a")->away, false);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), 0);
}

/* The last copy of the descriptor goes with the process; nobody hears what a
 * flush would say. */
static void
waiting__program_dies_after_a_write__does_not_hang(void **state)
{
    pid_t child = fork();
    int status;

    (void) state;
    if (child == 0) {
        int fd = open_file("nst0", O_RDWR);
        ssize_t put = write(fd, "abc", 3);

        SET(fake_drive("lto-a")->away, true); /* of the child: not shared */
        _exit(put == 3 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    UNTIL(NOW(fake_drive("lto-a")->closes) == 1);
    assert_int_equal(NOW(fake_drive("lto-a")->syncs), 0);
    assert_int_equal(NOW(fake_drive("lto-a")->count), 2);
}

static void
waiting__more_calls_than_a_drive_takes__busy(void **state)
{
    int fd = open_file("nst0", O_RDWR), busy = 0, good = 0, status;
    pid_t children[8];

    (void) state;
    SET(fake_drive("lto-a")->away, true);
    for (size_t i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(ioctl_op(fd, MTNOP, 1) == 0 ? 0 : errno);
    }
    while (busy < 4) { /* eight, of which one runs and three wait */
        assert_true(waitpid(-1, &status, 0) > 0);
        assert_int_equal(WEXITSTATUS(status), EBUSY);
        busy++;
    }
    SET(fake_drive("lto-a")->away, false);
    while (good < 4) {
        assert_true(waitpid(-1, &status, 0) > 0);
        assert_int_equal(status, 0);
        good++;
    }
    assert_int_equal(close(fd), 0);
}

/* --- the end -------------------------------------------------------------------------- */

static void
end__with_an_open_file__its_session_is_closed(void **state)
{
    int fd = open_file("nst0", O_RDWR);

    (void) state;
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(unmount_it(NULL), 0);
    assert_int_equal(fake_drive("lto-a")->closes, 1);
    assert_int_equal(fake_drive("lto-a")->count, 2);
    assert_int_equal(write(fd, "abc", 3), -1);
    (void) close(fd);
}

static void
end__while_a_call_waits__it_is_interrupted(void **state)
{
    int fd = open_file("nst0", O_RDWR), status;
    pid_t child;

    (void) state;
    SET(fake_drive("lto-a")->away, true);
    child = write_in_child(fd);
    UNTIL(NOW(fake_drive("lto-a")->waiting));
    assert_int_equal(unmount_it(NULL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), EINTR);
    assert_int_equal(fake_drive("lto-a")->closes, 1);
    (void) close(fd);
}

static void
end__unmounted_by_somebody__serving_ends(void **state)
{
    char command[128];
    void *result;

    (void) state;
    (void) snprintf(command, sizeof command, "fusermount3 -u %s", folder);
    assert_int_equal(system(command), 0);
    (void) pthread_join(server, &result);
    assert_int_equal((int) (intptr_t) result, 0);
    tapefuse_free(fuse);
    fuse = NULL;
}

static int
make_folder(void **state)
{
    (void) state;
    pages = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mkdtemp(folder) != NULL && pages != MAP_FAILED ? 0 : -1;
}

static int
remove_folder(void **state)
{
    (void) state;
    fake_reset();
    (void) munmap(pages, 4 * MIB);
    return rmdir(folder);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, mount_it, unmount_it)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(folder__is_listed__a_pair_for_each_drive),
        CASE(folder__by_name__links_to_both_files),
        CASE(folder__a_drive_that_comes_later__behind_the_others),
        CASE(folder__a_new_file__is_refused),
        CASE(open__second__is_busy),
        CASE(open__no_tape__only_nonblocking),
        CASE(open__protected_tape__erofs_unless_for_reading),
        CASE(open__unknown_drive_and_no_service__enxio_and_eio),
        CASE(close__st_rewinds_and_nst_does_not__how_says_so),
        CASE(close__after_a_write__marks_and_says_what_failed),
        CASE(close__fails_with_enosys__eio_and_so_does_the_next),
        CASE(close__the_last_one__has_ended_the_session),
        CASE(close__fails_at_the_end_of_the_session__is_an_error),
        CASE(close__of_a_copy__is_safe_and_leaves_the_session),
        CASE(close__another_process_has_it__leaves_the_session),
        CASE(close__that_waits__an_open_waits_with_it),
        CASE(records__of_any_size__stay_records),
        CASE(records__of_a_mib_in_the_middle_of_a_page__stay_whole),
        CASE(records__of_more_than_a_mib__are_refused),
        CASE(read__with_more_room_than_a_mib__is_one_record),
        CASE(read__record_longer_than_the_buffer__enomem_and_passed),
        CASE(read__behind_the_data__nothing_twice_then_eio),
        CASE(seek__anywhere__espipe),
        CASE(write__near_the_end__every_other_one_is_refused),
        CASE(write__protected_meanwhile__eacces),
        CASE(write__service_gone__eio_and_said_once),
        CASE(ioctl__operation__arrives_with_its_count),
        CASE(ioctl__status_and_position__are_those_of_the_session),
        CASE(waiting__one_drive__others_go_on),
        CASE(waiting__program_killed__it_ends_and_the_session_lives),
        CASE(waiting__program_is_sent_a_signal__eintr),
        CASE(waiting__program_dies_after_a_write__does_not_hang),
        CASE(waiting__more_calls_than_a_drive_takes__busy),
        CASE(end__with_an_open_file__its_session_is_closed),
        CASE(end__while_a_call_waits__it_is_interrupted),
        CASE(end__unmounted_by_somebody__serving_ends),
    };

    /* Without FUSE there is nothing to test; meson knows 77. */
    if (access("/dev/fuse", R_OK | W_OK) != 0 || geteuid() != 0) {
        fprintf(stderr, "skipped: /dev/fuse cannot be used here\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
