/*
 * t_steps.c - requests of several steps, through the whole service: zeroes
 * where trimming does not make them, and a cancel between two steps
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
#include <unistd.h>

#include <reinsert.h>

#define MIB (1u << 20)

static char folder[] = "/tmp/fs-steps-XXXXXX";
static char page[4 * MIB];

struct house {
    struct ri_config config;
    struct ri_service *service;
    struct ri_export *volume;
    char image[128];
};

static void
make_image(struct house *house, unsigned kib)
{
    char line[512];

    snprintf(house->image, sizeof house->image, "%s/medium", folder);
    snprintf(line, sizeof line,
             "rm -f %s && truncate -s %uK %s && mkfs.vfat -n STEPS %s "
             ">/dev/null 2>&1",
             house->image, kib, house->image, house->image);
    assert_int_equal(system(line), 0);
}

static void
add(struct house *house, const char *name, enum ri_drive_type type,
    const char *medium, const char *faults)
{
    struct ri_drive_config *drive =
        &house->config.drives[house->config.drive_count++];

    memset(drive, 0, sizeof *drive);
    snprintf(drive->name, sizeof drive->name, "%s", name);
    snprintf(drive->medium, sizeof drive->medium, "%s", medium);
    drive->type = type;
    drive->faults = faults != NULL ? strdup(faults) : NULL;
}

static void
start(struct house *house, unsigned kib, const char *faults_a,
      const char *faults_b)
{
    struct ri_error error;
    int fd;

    memset(house, 0, sizeof *house);
    make_image(house, kib);
    fd = open(house->image, O_WRONLY);
    memset(page, 'C', sizeof page);
    if (kib > 8 * 1024)
        assert_int_equal(pwrite(fd, page, sizeof page, 4 * MIB), sizeof page);
    close(fd);
    ri_config_init(&house->config);
    house->config.drives = calloc(2, sizeof *house->config.drives);
    add(house, "a", RI_DISK, house->image, faults_a);
    add(house, "b", RI_DISK, "", faults_b);
    if (ri_service_start(&house->config, &house->service, &error) != 0)
        fail_msg("%s", error.text);
    if (ri_open(house->service, "STEPS", &house->volume, &error) != 0)
        fail_msg("%s", error.text);
}

static void
end(struct house *house)
{
    ri_service_shutdown(house->service);
    ri_close(house->volume);
    ri_service_free(house->service);
    ri_config_free(&house->config);
    unlink(house->image);
}

struct wait {
    int done; /* atomic */
};

static void
done(struct ri_request *request)
{
    struct wait *wait = request->context;

    __atomic_add_fetch(&wait->done, 1, __ATOMIC_RELEASE);
}

static void
submit(struct house *house, struct ri_request *request, struct wait *wait,
       enum ri_op op, uint64_t at, uint64_t length)
{
    request->op = op;
    request->offset_bytes = at;
    request->length_bytes = length;
    request->buffer = page;
    request->done = done;
    request->context = wait;
    wait->done = 0;
    if (ri_submit(house->volume, request))
        wait->done = 1;
}

static void
finish(struct wait *wait)
{
    for (int i = 0; i < 600000; i++) {
        if (__atomic_load_n(&wait->done, __ATOMIC_ACQUIRE) != 0)
            break;
        usleep(100);
    }
    assert_int_equal(wait->done, 1);
}

static int
do_it(struct house *house, enum ri_op op, uint64_t at, uint64_t length)
{
    struct ri_request request = { 0 };
    struct wait wait;

    submit(house, &request, &wait, op, at, length);
    finish(&wait);
    return request.error;
}

static void
expect_bytes(struct house *house, uint64_t at, size_t length, char byte)
{
    memset(page, '?', length);
    assert_int_equal(do_it(house, RI_READ, at, length), 0);
    for (size_t i = 0; i < length; i++)
        if (page[i] != byte)
            fail_msg("byte %zu is %d", i, page[i]);
}

/* Trimmed to zeroes in drive a; drive b does not know UNMAP: written. */
static void
zero__volume_returns_in_a_drive_without_the_promise__written(void **state)
{
    struct house house;
    struct ri_request request = { 0 };
    struct ri_error error;
    struct wait wait;

    (void) state;
    start(&house, 1440, NULL, "at * 0x42 do sense 5/20/00\n");
    memset(page, 'Z', MIB / 2);
    assert_int_equal(do_it(&house, RI_WRITE, MIB / 2, MIB / 2), 0);
    assert_int_equal(do_it(&house, RI_ZERO, MIB / 2, 4096), 0);
    expect_bytes(&house, MIB / 2, 4096, 0);
    assert_int_equal(ri_yank(house.service, "a", &error), 0);
    /* Waits for its medium, which comes into the other drive. */
    submit(&house, &request, &wait, RI_ZERO, MIB / 2 + 4096, MIB / 4);
    assert_int_equal(wait.done, 0);
    assert_int_equal(ri_insert(house.service, "b", house.image, &error), 0);
    finish(&wait);
    assert_int_equal(request.error, 0);
    expect_bytes(&house, MIB / 2 + 4096, MIB / 4, 0);
    /* And one that begins there. */
    assert_int_equal(do_it(&house, RI_ZERO, MIB / 2 + 4096 + MIB / 4, 4096), 0);
    expect_bytes(&house, MIB / 2 + 4096 + MIB / 4, 4096, 0);
    expect_bytes(&house, MIB - 4096, 4096, 'Z');
    end(&house);
}

/* Three megabytes of zeroes are three writes; the first is slow. */
static void
cancel__between_two_steps__no_further_step(void **state)
{
    struct house house;
    struct ri_request request = { .flags = RI_NO_HOLE };
    struct wait wait;

    (void) state;
    start(&house, 16384, "at 1 write lba 8192-10239 do delay 2000\n", NULL);
    submit(&house, &request, &wait, RI_ZERO, 4 * MIB, 3 * MIB);
    assert_int_equal(wait.done, 0);
    ri_cancel(&request);
    finish(&wait);
    assert_int_not_equal(request.error, 0);
    /* Nobody is asked, the volume is well, what lies behind is as it was. */
    expect_bytes(&house, 5 * MIB, 3 * MIB, 'C');
    end(&house);
}

static void
cancel__while_the_medium_is_away__ends_once(void **state)
{
    struct house house;
    struct ri_request request = { .flags = RI_NO_HOLE };
    struct ri_prompt_info *list;
    struct ri_error error;
    struct wait wait;
    size_t n = 1;

    (void) state;
    start(&house, 16384, "at 1 write lba 10240-12287 do yank\n", NULL);
    submit(&house, &request, &wait, RI_ZERO, 4 * MIB, 3 * MIB);
    assert_int_equal(wait.done, 0);
    ri_cancel(&request);
    finish(&wait);
    assert_int_not_equal(request.error, 0);
    for (int i = 0; i < 600000 && n != 0; i++) {
        assert_int_equal(ri_prompts(house.service, &list, &n), 0);
        free(list);
        usleep(100);
    }
    assert_int_equal(n, 0);
    assert_int_equal(ri_insert(house.service, "a", house.image, &error), 0);
    expect_bytes(&house, 6 * MIB, 2 * MIB, 'C');
    assert_int_equal(wait.done, 1);
    end(&house);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            zero__volume_returns_in_a_drive_without_the_promise__written),
        cmocka_unit_test(cancel__between_two_steps__no_further_step),
        cmocka_unit_test(cancel__while_the_medium_is_away__ends_once),
    };
    char line[64];
    int failed;

    setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
    if (mkdtemp(folder) == NULL)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line) != 0 || failed != 0;
}
