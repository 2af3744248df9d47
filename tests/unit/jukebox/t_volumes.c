/*
 * Tests for src/jukebox/volumes.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jukebox/volumes.h"

static char folder[] = "/tmp/volumes-XXXXXX", path[64];

static int
begin(void **state)
{
    (void) state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/volumes.db", folder);
    return 0;
}

static int
end(void **state)
{
    char command[80];

    (void) state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static struct volumes *
open_it(void)
{
    struct volumes *volumes = NULL;
    char text[256] = "";

    assert_int_equal(volumes_open(path, &volumes, text, sizeof text), 0);
    return volumes;
}

static void
volumes__opened_again__what_was_put_last_is_there(void **state)
{
    struct volumes *volumes = open_it();
    char record[VOLUMES_RECORD_MAX];
    size_t length = 0;

    (void) state;
    assert_int_equal(volumes_get(volumes, "A", record, &length), -ENOENT);
    assert_int_equal(volumes_put(volumes, "A", "old", 3), 0);
    assert_int_equal(volumes_put(volumes, "A", "newer", 5), 0);
    assert_int_equal(volumes_put(volumes, "B", "b\0c", 3), 0);
    volumes_close(volumes);
    volumes = open_it();
    assert_int_equal(volumes_get(volumes, "A", record, &length), 0);
    assert_int_equal(length, 5);
    assert_memory_equal(record, "newer", 5);
    assert_int_equal(volumes_get(volumes, "B", record, &length), 0);
    assert_int_equal(length, 3);
    assert_memory_equal(record, "b\0c", 3);
    volumes_close(volumes);
}

static void
volumes__too_long_or_empty__refused(void **state)
{
    static const char big[VOLUMES_RECORD_MAX + 1];
    struct volumes *volumes = open_it();

    (void) state;
    assert_int_equal(volumes_put(volumes, "C", big, sizeof big), -EINVAL);
    assert_int_equal(volumes_put(volumes, "C", big, 0), -EINVAL);
    assert_int_equal(volumes_put(volumes, "C", big, sizeof big - 1), 0);
    volumes_close(volumes);
}

static void
volumes__not_a_database__said_so(void **state)
{
    struct volumes *volumes = NULL;
    char text[256] = "", other[64];
    FILE *file;

    (void) state;
    snprintf(other, sizeof other, "%s/other", folder);
    file = fopen(other, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        fputs("this is no database at all\n", file);
    fclose(file);
    assert_int_equal(volumes_open(other, &volumes, text, sizeof text), -EIO);
    assert_non_null(strstr(text, other));
    assert_null(volumes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes__opened_again__what_was_put_last_is_there),
        cmocka_unit_test(volumes__too_long_or_empty__refused),
        cmocka_unit_test(volumes__not_a_database__said_so),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
