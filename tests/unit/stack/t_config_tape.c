/*
 * The keys of tape drives; expectations from docs/reinsert.1.scd.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <reinsert.h>

static char path[64];

static int
load(const char *text, struct ri_config *config, struct ri_error *error)
{
    FILE *file;
    int fd, rc;

    strcpy(path, "/tmp/config-tape-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    fputs(text, file);
    fclose(file);
    rc = ri_config_load(path, config, error);
    unlink(path);
    return rc;
}

static void
drive__every_key__is_taken(void **state)
{
    struct ri_config config;
    struct ri_error error;
    const struct ri_tape_config *tape;

    (void) state;
    if (load("[service]\n"
             "tape-unflushed-limit = 8M\n"
             "[drive t]\n"
             "block-size = 10240\n"
             "personality = reinsert-vendor\n"
             "capacity = 2T\n"
             "early-warning = 1G\n"
             "compression = no\n"
             "clean-after = 100G\n"
             "cleaning-uses = 20\n"
             "clean-ms = 30\n"
             "rewind-ms = 40\n"
             "unload-ms = 50\n"
             "load-ms = 60\n"
             "readonly = yes\n"
             "type = tape\n",
             &config, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(config.tape_unflushed_bytes, 8 << 20);
    assert_int_equal(config.drives[0].type, RI_TAPE);
    assert_int_equal(config.drives[0].block_bytes, 10240);
    assert_int_equal(config.drives[0].load_ms, 60);
    assert_true(config.drives[0].readonly);
    tape = &config.drives[0].tape;
    assert_string_equal(tape->personality, "reinsert-vendor");
    assert_int_equal(tape->capacity_bytes, 2ull << 40);
    assert_int_equal(tape->early_warning_bytes, 1ull << 30);
    assert_true(tape->no_compression);
    assert_int_equal(tape->clean_after_bytes, 100ull << 30);
    assert_int_equal(tape->cleaning_uses, 20);
    assert_int_equal(tape->clean_ms, 30);
    assert_int_equal(tape->rewind_ms, 40);
    assert_int_equal(tape->unload_ms, 50);
    ri_config_free(&config);
}

static void
library__tape_drives__have_the_same_keys(void **state)
{
    struct ri_config config;
    struct ri_error error;

    (void) state;
    if (load("[library a]\nmedia = /tmp\nstate = /tmp/x\ndrive-type = tape\n"
             "drive-capacity = 1M\ndrive-block-size = 512\n"
             "drive-rewind-ms = 3\ndrive-compression = off\n",
             &config, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(config.libraries[0].drive.type, RI_TAPE);
    assert_int_equal(config.libraries[0].drive.tape.capacity_bytes, 1 << 20);
    assert_int_equal(config.libraries[0].drive.tape.rewind_ms, 3);
    assert_true(config.libraries[0].drive.tape.no_compression);
    ri_config_free(&config);
}

static void
defaults__a_tape_drive__has_64_mib_unflushed(void **state)
{
    struct ri_config config;

    (void) state;
    ri_config_init(&config);
    assert_int_equal(config.tape_unflushed_bytes, 64 << 20);
    ri_config_free(&config);
}

static void
bad__names_the_line_and_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *says;
    } bad[] = {
        { "[drive d]\ntype = vinyl\n", 2, "none of disk, floppy, cdrom, tape" },
        { "[drive d]\ntype = tape\n\ncapacity = much\n", 4, "no size" },
        { "[drive d]\ntype = tape\ncapacity = 1K\n", 3, "too small" },
        { "[drive d]\ntype = tape\ncapacity = 99999999T\n", 3, "too large" },
        { "[drive d]\ntype = tape\ncapacity = 1M\ncapacity = 1M\n", 4,
          "twice" },
        { "[drive d]\ntype = tape\ncapacity = 1M\nearly-warning = 1M\n", 3,
          "not less" },
        { "[drive d]\ntype = tape\npersonality = strange\n", 3, "strange" },
        { "[drive d]\ntype = tape\nrewind-ms = -1\n", 3, "-1" },
        { "[drive d]\ntype = tape\ncompression = gzip\n", 3, "gzip" },
        { "[drive d]\ntype = tape\nblock-size = 2000000\n", 3, "1048576" },
        { "[drive d]\ntype = tape\ncache = volatile\n", 1, "cache" },
        { "[drive d]\n\nblock-size = 513\ntype = disk\n", 3,
          "none of 512, 2048, 4096" },
        { "[drive d]\ntype = disk\nrewind-ms = 1\n", 3, "type = tape" },
        { "[drive d]\nport = iscsi\nurl = iscsi://h/t/1\nclean-ms = 1\n", 1,
          "emulated" },
        { "[service]\ntape-unflushed-limit = some\n", 2, "some" },
        { "[library a]\nmedia = /tmp\ndrive-capacity = 1M\n", 3,
          "drive-capacity: is of tape drives" },
        { "[library a]\nmedia = /tmp\ndrive-type = cdrom\n"
          "drive-block-size = 100\n",
          4, "drive-block-size" },
        { "[library a]\nmedia = /tmp\ndrive-capacity = x\n", 3,
          "drive-capacity" },
        { "[library a]\nmedia = /tmp\ndrive-speed = x\n", 3,
          "\"drive-speed\" is no key" },
        { "[library a]\nport = iscsi\nurl = iscsi://h/t/1\ndrive = d\n"
          "drive-capacity = 1M\n[drive d]\nport = iscsi\n"
          "url = iscsi://h/t/2\n",
          5, "drive-capacity: is of emulated libraries" },
    };
    struct ri_config config;
    struct ri_error error;
    char place[96];

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(load(bad[i].text, &config, &error) < 0);
        snprintf(place, sizeof place, "%s:%u: ", path, bad[i].line);
        if (strncmp(error.text, place, strlen(place)) != 0 ||
            strstr(error.text, bad[i].says) == NULL)
            fail_msg("case %zu: \"%s\" lacks \"%s\" or \"%s\"", i, error.text,
                     place, bad[i].says);
    }
}

static void
image__called_tap__is_a_tape(void **state)
{
    char folder[] = "/tmp/config-tape-XXXXXX", image[64];
    struct ri_config config;
    struct ri_error error;
    FILE *file;

    (void) state;
    assert_non_null(mkdtemp(folder));
    snprintf(image, sizeof image, "%s/A00001.TAP", folder);
    file = fopen(image, "w");
    assert_non_null(file);
    fclose(file);
    ri_config_init(&config);
    assert_int_equal(ri_config_add_image(&config, image, &error), 0);
    assert_int_equal(config.drives[0].type, RI_TAPE);
    assert_string_equal(config.drives[0].name, "tape0");
    ri_config_free(&config);
    unlink(image);
    rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drive__every_key__is_taken),
        cmocka_unit_test(library__tape_drives__have_the_same_keys),
        cmocka_unit_test(defaults__a_tape_drive__has_64_mib_unflushed),
        cmocka_unit_test(bad__names_the_line_and_what_is_wrong),
        cmocka_unit_test(image__called_tap__is_a_tape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
