/*
 * t_drives.c - a drive that is taken away while the service runs
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../eventually.h"
#include "io/io.h"
#include "stack/stack_internal.h"

#define AT (4u << 20)

static char folder[] = "/tmp/drives-XXXXXX";
static char image[128];
static char data[4096], seen[4096];

static struct ri_service *service;
static struct ri_export *export_;

static void
start(void)
{
    struct ri_config config;
    struct ri_error error = { "" };
    char path[128], line[512];
    FILE *file;

    snprintf(image, sizeof image, "%s/medium", folder);
    snprintf(line, sizeof line,
             "truncate -s 16M %s && /sbin/mkfs.vfat -n DRIVES %s >/dev/null",
             image, image);
    assert_int_equal(system(line), 0);
    snprintf(path, sizeof path, "%s/conf", folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "[service]\nnbd = unix:%s/n\ncontrol = %s/c\nflush-idle = 0\n"
            "recovery-dir = %s/r\n"
            "[drive d]\ntype = disk\ncache = volatile\nmedium = %s\n"
            "[drive e]\ntype = disk\n",
            folder, folder, folder, image);
    fclose(file);
    assert_int_equal(ri_config_load(path, &config, &error), 0);
    assert_int_equal(ri_service_start(&config, &service, &error), 0);
    ri_config_free(&config);
    assert_int_equal(ri_open(service, "", &export_, &error), 0);
}

static void
stop(void)
{
    ri_service_shutdown(service);
    ri_close(export_);
    ri_service_free(service);
}

static void
done(struct ri_request *request)
{
    __atomic_store_n((int *) request->context, 1, __ATOMIC_RELEASE);
}

static struct ri_volume_info
the_volume(void)
{
    struct ri_volume_info *list, info;
    size_t n;

    assert_int_equal(ri_volumes(service, &list, &n), 0);
    assert_int_equal(n, 1);
    info = list[0];
    free(list);
    return info;
}

static void
write_data(void)
{
    struct ri_request request = { .op = RI_WRITE,
                                  .offset_bytes = AT,
                                  .length_bytes = sizeof data,
                                  .buffer = data };

    memset(data, 'b', sizeof data);
    assert_true(ri_submit(export_, &request));
    assert_int_equal(request.error, 0);
}

static void
drive_taken_away__asked_in_its_own_words__ends_without_a_trace(void **state)
{
    struct ri_prompt_info *list;
    int over = 0;
    struct ri_request request = { .op = RI_READ,
                                  .offset_bytes = AT,
                                  .length_bytes = sizeof seen,
                                  .buffer = seen,
                                  .done = done,
                                  .context = &over };
    size_t n = 0;

    (void) state;
    start();
    write_data();
    assert_int_equal(io_surprise_remove_device(service->drives[0].pdo), 0);
    assert_true(EVENTUALLY(strcmp(the_volume().state, "absent") == 0));
    assert_false(ri_submit(export_, &request));
    assert_true(EVENTUALLY(
        (free(n > 0 ? list : NULL), ri_prompts(service, &list, &n) == 0) &&
        n == 1));
    assert_string_equal(list[0].title, "Drive gone");
    assert_string_equal(list[0].drive, "d");
    free(list);
    assert_int_equal(the_volume().unflushed_bytes, sizeof data);
    ri_service_shutdown(service);
    assert_true(EVENTUALLY(__atomic_load_n(&over, __ATOMIC_ACQUIRE)));
    assert_int_not_equal(request.error, 0);
    stop();
}

static VOID NTAPI
item_ran(PVOID context)
{
    __atomic_store_n((int *) context, 1, __ATOMIC_RELEASE);
}

/* A drive that is slow to look at keeps one worker, not all. */
static void
looked_at_again_and_again__the_first_look_is_slow__workers_are_left(
    void **state)
{
    WORK_QUEUE_ITEM item;
    struct drive *drive;
    int ran = 0;

    (void) state;
    start();
    drive = &service->drives[0];
    KeWaitForSingleObject(&drive->fdo->DeviceLock, Executive, KernelMode, FALSE,
                          NULL);
    InterlockedOr((LONG volatile *) &drive->fdo->Flags, DO_VERIFY_VOLUME);
    for (int i = 0; i < 300; i++) {
        drive_look_soon(drive);
        usleep(1000);
    }
    ExInitializeWorkItem(&item, item_ran, &ran);
    ExQueueWorkItem(&item, DelayedWorkQueue);
    assert_true(EVENTUALLY(__atomic_load_n(&ran, __ATOMIC_ACQUIRE)));
    KeSetEvent(&drive->fdo->DeviceLock, IO_NO_INCREMENT, FALSE);
    stop();
}

static size_t
volumes(void)
{
    struct ri_volume_info *list;
    size_t n;

    assert_int_equal(ri_volumes(service, &list, &n), 0);
    free(list);
    return n;
}

/* It may be the one that is missed: a clone of it was taken for it, say. */
static void
medium_that_nobody_took__a_volume_goes_away__looked_at_again(void **state)
{
    struct ri_error error = { "" };
    struct drive *drive;
    char line[512], other[160];

    (void) state;
    start();
    snprintf(other, sizeof other, "%s/other", folder);
    snprintf(line, sizeof line,
             "truncate -s 16M %s && /sbin/mkfs.vfat -n OTHER %s >/dev/null",
             other, other);
    assert_int_equal(system(line), 0);
    drive = &service->drives[1];
    assert_int_equal(vscsi_fault_add(drive->device,
                                     "at * read do sense 3/11/00", line,
                                     sizeof line),
                     0);
    assert_int_equal(ri_insert(service, "e", other, &error), 0);
    assert_true(EVENTUALLY(__atomic_load_n(&drive->found, __ATOMIC_ACQUIRE) ==
                           STATUS_SUCCESS));
    usleep(100000);
    assert_int_equal(volumes(), 1);
    vscsi_fault_clear(drive->device);
    assert_int_equal(ri_yank(service, "d", &error), 0);
    assert_true(EVENTUALLY(volumes() == 2));
    stop();
}

static int
begin(void **state)
{
    (void) state;
    return mkdtemp(folder) == NULL;
}

static int
end(void **state)
{
    char line[64];

    (void) state;
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            drive_taken_away__asked_in_its_own_words__ends_without_a_trace),
        cmocka_unit_test(
            looked_at_again_and_again__the_first_look_is_slow__workers_are_left),
        cmocka_unit_test(
            medium_that_nobody_took__a_volume_goes_away__looked_at_again),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
