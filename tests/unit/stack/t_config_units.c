/*
 * Tests for src/stack/config_units.c; expectations from the man page: a url
 * without a unit means all units that are drives, each NAME-LUN.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/config_units.h"

static const struct unit_found box[] = {
    { 0, 0, 0x0C },       /* the array itself */
    { 1, 1, 0x00 },       /* a disk */
    { 2, 2, 0x05 },       /* a CD drive */
    { 3, 3, 0x08 },       /* a robot */
    { 4, 4, 0x01 },       /* a tape drive */
    { 5, 5, 0x1F },       /* none */
    { 0x412C, 300, 0x07 } /* an optical disk, flat addressing */
};

#define BOX (sizeof box / sizeof box[0])

static struct ri_drive_config
vault(const char *url)
{
    struct ri_drive_config section = { .name = "vault",
                                       .port = RI_PORT_ISCSI,
                                       .line = 3 };

    strcpy(section.url, url);
    strcpy(section.user, "archive");
    return section;
}

static void
all_units__url_with_a_unit__is_one(void **state)
{
    static const struct {
        const char *url;
        bool all;
    } cases[] = {
        { "iscsi://h/iqn.t:x", true },
        { "iscsi://[::1]:3260/iqn.t:x", true },
        { "iscsi://h/iqn.t:x?header_digest=crc32c", true },
        { "iscsi://h/iqn.t:x/1", false },
        { "iscsi://h/iqn.t:x/1?header_digest=crc32c", false },
        { "iscsi://h/", false },
        { "nonsense", false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ri_drive_config section = vault(cases[i].url);

        assert_int_equal(config_is_all_units(&section), cases[i].all);
        section.port = RI_PORT_SG;
        assert_false(config_is_all_units(&section));
    }
}

static void
add_units__drives_of_a_box__each_with_all_keys(void **state)
{
    static const char *const want[][2] = {
        { "vault-1", "iscsi://h:1/iqn.t:x/1?a=b" },
        { "vault-2", "iscsi://h:1/iqn.t:x/2?a=b" },
        { "vault-4", "iscsi://h:1/iqn.t:x/4?a=b" },
        { "vault-300", "iscsi://h:1/iqn.t:x/16684?a=b" },
    };
    struct ri_drive_config section = vault("iscsi://h:1/iqn.t:x?a=b");
    struct ri_config config = { .drives = &section, .drive_count = 1 };
    struct drive_list list = { 0 };
    char text[256] = "";

    section.parameters = (char *) "AutoRun=0\n";
    assert_true(config_add_units(&list, &config, &section, box, BOX, text,
                                 sizeof text));
    assert_int_equal(list.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(list.drives[i].name, want[i][0]);
        assert_string_equal(list.drives[i].url, want[i][1]);
        assert_string_equal(list.drives[i].user, "archive");
        assert_string_equal(list.drives[i].parameters, "AutoRun=0\n");
        assert_ptr_not_equal(list.drives[i].parameters, section.parameters);
        assert_int_equal(list.drives[i].line, 3);
        assert_string_equal(list.drives[i].section, "vault");
        assert_false(config_is_all_units(&list.drives[i]));
    }
    drive_list_free(&list);
}

static void
add_units__of_a_type__no_others(void **state)
{
    struct ri_drive_config section = vault("iscsi://h/t");
    struct ri_config config = { .drives = &section, .drive_count = 1 };
    struct drive_list list = { 0 };
    char text[256] = "";

    section.only_type = true;
    section.type = RI_CDROM;
    assert_true(config_add_units(&list, &config, &section, box, BOX, text,
                                 sizeof text));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.drives[0].name, "vault-2");
    drive_list_free(&list);
    assert_true(
        config_add_units(&list, &config, &section, box, 2, text, sizeof text));
    section.only_type = false;
    assert_true(
        config_add_units(&list, &config, &section, box, 1, text, sizeof text));
    assert_int_equal(list.count, 0);
    drive_list_free(&list);
}

static void
add_units__name_taken_or_too_long__said(void **state)
{
    static const struct unit_found twice[] = { { 1, 1, 0 }, { 0x4001, 1, 0 } };
    struct ri_drive_config drives[2] = { vault("iscsi://h/t") };
    struct ri_config config = { .drives = drives, .drive_count = 2 };
    struct drive_list list = { 0 };
    char text[256] = "";

    strcpy(drives[1].name, "vault-2");
    drives[1].line = 9;
    assert_false(
        config_add_units(&list, &config, drives, box, BOX, text, sizeof text));
    assert_non_null(strstr(text, "drive vault-2"));
    assert_non_null(strstr(text, "line 9"));
    drive_list_free(&list);
    /* A target that names one unit in two ways. */
    assert_false(
        config_add_units(&list, &config, drives, twice, 2, text, sizeof text));
    assert_non_null(strstr(text, "drive vault-1"));
    drive_list_free(&list);
    memset(drives[0].name, 'n', 63);
    drives[0].name[63] = '\0';
    assert_false(
        config_add_units(&list, &config, drives, box, BOX, text, sizeof text));
    assert_non_null(strstr(text, "at most 64 bytes"));
    drive_list_free(&list);
}

/* By whichever portal, and however its number is written. */
static void
add_units__a_unit_is_another_drive_s__not_made_twice(void **state)
{
    struct ri_drive_config drives[3] = { vault("iscsi://h/iqn.t:x") };
    struct ri_config config = { .drives = drives, .drive_count = 3 };
    struct drive_list list = { 0 };
    char text[256] = "";

    drives[1] = vault("iscsi://[::1]:9/iqn.t:X/16385");
    drives[2] = vault("iscsi://h/iqn.t:y/2");
    strcpy(drives[1].name, "own");
    strcpy(drives[2].name, "other");
    assert_true(
        config_add_units(&list, &config, drives, box, BOX, text, sizeof text));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.drives[0].name, "vault-2");
    /* Of a second section for all of them. */
    drives[2] = vault("iscsi://h2/iqn.t:x");
    strcpy(drives[2].name, "box");
    assert_false(config_add_units(&list, &config, &drives[2], box, BOX, text,
                                  sizeof text));
    assert_non_null(strstr(text, "its unit 2 is drive vault-2 already"));
    drive_list_free(&list);
}

/* Nobody is at that port.  Drives that a library names are there all the same:
 * below 256 by peripheral, else by flat addressing (SAM-5, 4.7). */
static void
find_units__target_away__those_that_libraries_name(void **state)
{
    static struct ri_library_config library = {
        .name = "shelf",
        .drive_names = { "vault-3", "vault-300", "vault-03", "vault-16384",
                         "vault-", "vault-3x", "other-1" },
    };
    struct ri_drive_config section = vault("iscsi://127.0.0.1:1/iqn.t:x");
    struct ri_config config = { .drives = &section,
                                .drive_count = 1,
                                .libraries = &library,
                                .library_count = 1 };
    struct drive_list list;
    struct ri_error error = { "" };

    section.user[0] = '\0';
    assert_int_equal(config_find_units(&config, NULL, &list, &error), 0);
    assert_int_equal(list.count, 3);
    assert_true(list.drives[0].asked && !list.drives[0].answered);
    assert_string_equal(list.drives[1].name, "vault-3");
    assert_string_equal(list.drives[1].url, "iscsi://127.0.0.1:1/iqn.t:x/3");
    assert_string_equal(list.drives[2].name, "vault-300");
    assert_string_equal(list.drives[2].url,
                        "iscsi://127.0.0.1:1/iqn.t:x/16684");
    /* Asked once: there is nothing to do. */
    config.drives = list.drives;
    config.drive_count = list.count;
    assert_int_equal(config_find_units(&config, NULL, &list, &error), 0);
    assert_null(list.drives);
    drive_list_free(&(struct drive_list){ config.drives, config.drive_count });
}

/* What is wrong for good is an error, as it was. */
static void
find_units__no_secret__section_and_reason(void **state)
{
    struct ri_drive_config section = vault("iscsi://127.0.0.1:1/iqn.t:x");
    struct ri_config config = { .drives = &section, .drive_count = 1 };
    struct drive_list list;
    struct ri_error error = { "" };

    strcpy(section.secret_file, "/nonexistent/secret");
    assert_true(config_find_units(&config, "f.conf", &list, &error) < 0);
    assert_null(list.drives);
    assert_int_equal(strncmp(error.text, "f.conf:3: drive vault: iscsi:", 29),
                     0);
    assert_non_null(strstr(error.text, "/nonexistent/secret"));
}

/* Made without a file: it starts, says why, and ends. */
static void
service__target_away__is_told_and_has_no_drive(void **state)
{
    struct ri_drive_config section = vault("iscsi://127.0.0.1:1/iqn.t:x");
    struct ri_config config;
    struct ri_service *service = NULL;
    struct ri_drive_info *list = NULL;
    struct ri_error error = { "" };
    size_t count = 0;

    ri_config_init(&config);
    config.drives = &section;
    config.drive_count = 1;
    section.user[0] = '\0';
    assert_int_equal(ri_service_start(&config, &service, &error), 0);
    assert_int_equal(ri_drives(service, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "vault");
    assert_string_equal(list[0].state, "away");
    assert_true(list[0].real && list[0].age_ms == UINT64_MAX);
    assert_string_equal(list[0].address, section.url);
    free(list);
    assert_int_equal(ri_eject(service, "vault", &error), -ENODEV);
    assert_non_null(strstr(error.text, "means all units"));
    ri_service_shutdown(service);
    ri_service_free(service);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_units__url_with_a_unit__is_one),
        cmocka_unit_test(add_units__drives_of_a_box__each_with_all_keys),
        cmocka_unit_test(add_units__of_a_type__no_others),
        cmocka_unit_test(add_units__name_taken_or_too_long__said),
        cmocka_unit_test(add_units__a_unit_is_another_drive_s__not_made_twice),
        cmocka_unit_test(find_units__target_away__those_that_libraries_name),
        cmocka_unit_test(find_units__no_secret__section_and_reason),
        cmocka_unit_test(service__target_away__is_told_and_has_no_drive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
