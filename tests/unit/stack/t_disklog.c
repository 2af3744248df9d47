/*
 * t_disklog.c - the folder of logs, when the disk under it fails at the moment
 * of a flush
 *
 * Batches are given to the keeper of logs as the file system gives them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fs/fs_internal.h"
#include "io/io.h"
#include "stack/stack_internal.h"

static char folder[] = "/tmp/disklog-XXXXXX";
static struct ri_service *service;
static struct volume *volume;
static void *log_of_it;

static BOOLEAN
take_first(void *context, struct volume *found)
{
    (void) context;
    volume = found;
    return FALSE;
}

static int
start(void **state)
{
    struct ri_config config;
    struct ri_error error = { "" };
    char path[128], line[512];
    FILE *file;

    (void) state;
    snprintf(
        line, sizeof line,
        "truncate -s 16M %s/m && /sbin/mkfs.vfat -n LOGGED %s/m >/dev/null",
        folder, folder);
    assert_int_equal(system(line), 0);
    snprintf(path, sizeof path, "%s/conf", folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "[service]\nnbd = unix:%s/n\ncontrol = %s/c\nflush-idle = 0\n"
            "recovery-dir = %s/r\nunflushed-log = %s/l\n"
            "[drive d]\ntype = disk\ncache = volatile\nmedium = %s/m\n",
            folder, folder, folder, folder, folder);
    fclose(file);
    assert_int_equal(ri_config_load(path, &config, &error), 0);
    assert_int_equal(ri_service_start(&config, &service, &error), 0);
    ri_config_free(&config);
    fs_each_volume(take_first, NULL);
    assert_non_null(volume);
    return 0;
}

static int
stop(void **state)
{
    (void) state;
    if (log_of_it != NULL)
        fs.disk.close(fs.disk.context, volume, &log_of_it);
    ri_service_shutdown(service);
    ri_service_free(service);
    return 0;
}

static NTSTATUS
commit(const struct fs_log_batch *batch, struct fs_log_state *out)
{
    struct fs_log_head head = { .identity = "LOGGED", .identity_bytes = 6 };
    struct fs_log_batch whole = *batch;

    whole.head = &head;
    *out = (struct fs_log_state){ .stale = FALSE };
    return fs.disk.commit(fs.disk.context, volume, &log_of_it, &whole, out);
}

static NTSTATUS
put(ULONG epoch, struct fs_log_state *out)
{
    static const char data[4096] = "acknowledged";
    struct fs_record record = { .kind = FS_RECORD_DATA,
                                .offset = epoch * sizeof data,
                                .length = sizeof data,
                                .data = data,
                                .epoch = epoch };

    return commit(&(struct fs_log_batch){ .records = &record, .count = 1 },
                  out);
}

static NTSTATUS
flush(ULONG epoch, struct fs_log_state *out)
{
    return commit(&(struct fs_log_batch){ .flush = TRUE, .flushed = epoch },
                  out);
}

static void
disk_takes(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static unsigned
logs(void)
{
    char path[64];
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof path, "%s/l", folder);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strstr(entry->d_name, ".unflushed") != NULL;
    closedir(dir);
    return count;
}

/* What was acknowledged since the flush began is in the log alone. */
static void
P8__flush_that_cannot_be_noted__newer_records__the_log_stays(void **state)
{
    struct fs_log_state at;

    (void) state;
    assert_int_equal(put(1, &at), STATUS_SUCCESS);
    assert_int_equal(put(2, &at), STATUS_SUCCESS);
    disk_takes(0);
    assert_false(NT_SUCCESS(flush(1, &at)));
    disk_takes(RLIM_INFINITY);
    assert_true(at.untold);
    assert_false(at.stale);
    assert_true(at.live_bytes != 0);
    assert_int_equal(logs(), 1);
    /* The next one covers all, and is noted. */
    assert_int_equal(flush(2, &at), STATUS_SUCCESS);
    assert_false(at.untold);
    assert_int_equal(at.live_bytes, 0);
}

/* All of it is on the medium: no replay may bring it back. */
static void
P8__flush_that_cannot_be_noted__nothing_newer__the_log_is_void(void **state)
{
    struct fs_log_state at;

    (void) state;
    assert_int_equal(put(1, &at), STATUS_SUCCESS);
    disk_takes(0);
    assert_int_equal(flush(1, &at), STATUS_SUCCESS);
    disk_takes(RLIM_INFINITY);
    assert_false(at.untold);
    assert_false(at.stale);
    assert_int_equal(at.live_bytes, 0);
    assert_int_equal(logs(), 0);
}

static int
begin(void **state)
{
    (void) state;
    signal(SIGXFSZ, SIG_IGN);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
end(void **state)
{
    char line[128];

    (void) state;
    snprintf(line, sizeof line, "rm -r %s", folder);
    return system(line);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            P8__flush_that_cannot_be_noted__newer_records__the_log_stays, start,
            stop),
        cmocka_unit_test_setup_teardown(
            P8__flush_that_cannot_be_noted__nothing_newer__the_log_is_void,
            start, stop),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
