/*
 * t_config.c - configuration files, good and bad
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <reinsert.h>

static char path[] = "/tmp/config-XXXXXX";

static int
load(const char *text, struct ri_config *out, struct ri_error *error)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    memset(error, 0, sizeof *error);
    return ri_config_load(path, out, error);
}

static void
good__every_key__is_taken(void **state)
{
    struct ri_config config;
    struct ri_error error;

    (void) state;
    assert_int_equal(load("# a comment\n"
                          "[service]\n"
                          "nbd = unix:/tmp/a.sock\n"
                          "nbd = tcp:127.0.0.1:10809\n"
                          "control = /tmp/c.sock\n"
                          "prompt-timeout = 30\n"
                          "on-no-operator = cancel\n"
                          "unflushed-limit = 8M\n"
                          "unflushed-total = 1G\n"
                          "flush-idle = 0.25\n"
                          "recovery-dir = /tmp/not/there/yet\n"
                          "\n"
                          "[drive left]\n"
                          "type = disk\n"
                          "port = virtual\n"
                          "medium = /dev/null\n"
                          "cache = volatile\n"
                          "readonly = yes\n"
                          "load-ms = 5\n"
                          "block-size = 4096\n"
                          "fault = at 1 read do sense 3/11/0\n"
                          "fault = at 2 write do delay 5\n"
                          "[drive right]\n"
                          "type = cdrom\n",
                          &config, &error),
                     0);
    assert_int_equal(config.nbd_count, 2);
    assert_string_equal(config.nbd[1], "tcp:127.0.0.1:10809");
    assert_string_equal(config.control, "/tmp/c.sock");
    assert_int_equal(config.prompt_timeout_s, 30);
    assert_int_equal(config.on_no_operator, RI_NO_OPERATOR_CANCEL);
    assert_int_equal(config.unflushed_bytes, 8 << 20);
    assert_int_equal(config.unflushed_total_bytes, 1 << 30);
    assert_int_equal(config.flush_idle_ms, 250);
    assert_string_equal(config.recovery_dir, "/tmp/not/there/yet");
    assert_int_equal(config.drive_count, 2);
    assert_string_equal(config.drives[0].name, "left");
    assert_int_equal(config.drives[0].cache, RI_CACHE_VOLATILE);
    assert_true(config.drives[0].readonly);
    assert_int_equal(config.drives[0].load_ms, 5);
    assert_int_equal(config.drives[0].block_bytes, 4096);
    assert_int_equal(config.drives[1].block_bytes, 0);
    assert_string_equal(config.drives[0].faults,
                        "at 1 read do sense 3/11/0\nat 2 write do delay 5\n");
    assert_int_equal(config.drives[1].type, RI_CDROM);
    assert_string_equal(config.drives[1].medium, "");
    ri_config_free(&config);
}

#define LETTERS_59 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefg"

static const struct {
    const char *text;
    unsigned line;
    const char *says;
} bad[] = {
    { "", 1, "no [drive NAME]" },
    { "[drive d]\ntype = laser\n", 2, "type" },
    { "[drive d]\ntype = \n", 2, "type" },
    { "[drive d]\nspeed = 3\n", 2, "speed" },
    { "[drive d]\n\n[drive d]\n", 3, "line 1" },
    { "[drive ]\n", 1, "no name" },
    { "[drive a/b]\n", 1, "/" },
    { "[drive a b]\n", 1, "blanks" },
    { "[drive d\ntype = disk\n", 1, "] is missing" },
    { "[library l]\npersonality = strange\n", 2, "strange" },
    { "[drives]\n", 1, "drives" },
    { "x = 1\n", 1, "before any section" },
    { "[drive d]\ncache = warm\n", 2, "warm" },
    { "[drive d]\nreadonly = maybe\n", 2, "maybe" },
    { "[drive d]\nport = scsi\n", 2, "none of virtual, iscsi, sg" },
    { "[drive d]\ntype = disk\ntype = disk\n", 3, "twice" },
    { "[drive d]\nmedium = /no/such/image\n", 2, "/no/such/image" },
    { "[drive d]\nload-ms = -1\n", 2, "-1" },
    { "[drive d]\nblock-size = 1024\n", 2, "none of 512, 2048, 4096" },
    { "[drive d]\ntype = cdrom\nblock-size = 512\n", 3,
      "CD drives have blocks of 2048, not 512" },
    { "[drive d]\nblock-size = 4096\ntype = floppy\n", 2,
      "floppy drives have blocks of 512, not 4096" },
    { "[drive d]\nport = iscsi\n", 1, "needs url" },
    { "[drive d]\nport = iscsi\nurl = iscsi://\n", 3,
      "iscsi://HOST[:PORT]/TARGET[/LUN]" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h//1\n", 3,
      "iscsi://HOST[:PORT]/TARGET[/LUN]" },
    { "[library l]\nport = iscsi\nurl = iscsi://h/iqn.t:x\n", 3,
      "iscsi://HOST[:PORT]/TARGET/LUN" },
    { "[drive d]\nport = iscsi\nurl = iscsi://127.0.0.1:1/iqn.t:x\n"
      "[library l]\nport = iscsi\nurl = iscsi://127.0.0.1:1/iqn.t:x/0\n"
      "drive = d\n",
      7, "d, of line 1, means all units of a target; name one" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h/iqn.t:x\ntype = floppy\n", 1,
      "type = floppy" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h/iqn.t:x\nmatch = serial:1\n", 1,
      "port = sg" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h/iqn.t:x/abc\n", 3,
      "\"abc\" at its end" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h/iqn.t:x/\n", 3,
      "\"\" at its end" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h:99999/iqn.t:x/1\n", 3,
      "\"99999\" is no port" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h:/iqn.t:x/1\n", 3,
      "\"\" is no port" },
    { "[drive d]\nport = iscsi\nurl = iscsi://:3260/iqn.t:x/1\n", 3,
      "the host is missing" },
    { "[drive d]\nurl = iscsi://h/t/1\n", 1, "need port = iscsi" },
    { "[drive d]\nport = iscsi\nurl = http://h/t/1\n", 3, "iscsi://" },
    { "[drive d]\nport = iscsi\nurl = iscsi://u%p@h/t/1\n", 3, "chap-secret" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h/t/1\nload-ms = 5\n", 1,
      "emulated" },
    { "[drive d]\nport = iscsi\nurl = iscsi://[::1/t/1\n", 3, "in brackets" },
    { "[drive d]\nport = iscsi\nurl = iscsi://[::1]x/t/1\n", 3, "in brackets" },
    { "[drive d]\nport = iscsi\nurl = iscsi://h/t/1?target_password=p\n", 3,
      "chap-secret" },
    /* Cut, it would be unit 1. */
    { "[drive d]\nport = iscsi\nurl = iscsi://[::1]:3260/iqn.t:" LETTERS_59
          LETTERS_59 LETTERS_59 LETTERS_59 "/12\n",
      3, "url: longer than 263 bytes" },
    { "[drive a]\nport = iscsi\nurl = iscsi://h/iqn.t:x/1\n"
      "[drive b]\nport = iscsi\nurl = iscsi://h:3261/iqn.t:x/1\n",
      4, "its unit is drive a, of line 1" },
    { "[drive d]\nchap-secret = secret\n", 2, "absolute" },
    { "[drive d]\nchap-secret = /dev/null\n", 2, "0600" },
    { "[drive d]\ninitiator = me\n", 2, "iqn" },
    { "[drive d]\nport = sg\n", 1, "one of device and match" },
    { "[drive d]\nport = sg\ndevice = /dev/sg0\nmatch = any-removable\n", 1,
      "one of device and match" },
    { "[drive d]\nport = sg\ndevice = sg0\n", 3, "absolute" },
    { "[drive d]\nmatch = name:x\n", 2, "none of serial:TEXT" },
    { "[drive d]\nmatch = serial:\n", 2, "missing" },
    { "[drive d]\nown = perhaps\n", 2, "none of yes, no, shared" },
    { "[drive d]\nown = yes\n", 1, "need port = sg" },
    { "[drive d]\nown = shared\n", 1, "need port = sg" },
    { "[drive d]\nport = sg\nmatch = path:1-2\nreadonly = yes\n", 1,
      "emulated" },
    { "[drive d]\nport = sg\nmatch = path:1-2\nurl = iscsi://h/t/1\n", 1,
      "need port = iscsi" },
    { "[drive d]\nwhat is this\n", 2, "key = value" },
    { "[service]\nnbd = /tmp/x\n[drive d]\n", 2, "unix:PATH" },
    { "[service]\nunflushed-limit = much\n", 2, "much" },
    { "[service]\nunflushed-limit = -1\n", 2, "no size" },
    { "[service]\nunflushed-limit = 1KB\n", 2, "no size" },
    { "[service]\nunflushed-total = 99999999999G\n", 2, "too large" },
    { "[service]\nflush-idle = soon\n", 2, "seconds" },
    { "[service]\nflush-idle = 1e3\n", 2, "seconds" },
    { "[service]\nflush-idle = 4000\n", 2, "3600" },
    { "[service]\nrecovery-dir = here\n", 2, "absolute" },
    { "[service]\n\nrecovery-dir = /dev/null\n", 3, "no folder" },
    { "[service]\nrecovery-dir =\n", 2, "missing" },
    { "[service]\nnbd = tcp:127.0.0.1\n[drive d]\n", 2, "HOST:PORT" },
    { "[service]\nnbd = tcp:127.0.0.1:70000\n[drive d]\n", 2, "70000" },
    { "[service]\nprompt-timeout = soon\n[drive d]\n", 2, "soon" },
    { "[service]\non-no-operator = beep\n[drive d]\n", 2, "beep" },
    { "[service]\n[service]\n[drive d]\n", 2, "line 1" },
    { "[driver tape]\n[drive d]\n", 1, "disk, cdrom, port and volume" },
    { "[driver disk]\na/b = 1\n[drive d]\n", 2, "a/b" },
    { "[driver disk]\n\nx = 4294967296\n[drive d]\n", 3, "32 bits" },
    { "[driver disk]\nx = 0x100000000\n[drive d]\n", 2, "x: " },
    { "[drive d]\nparameter = word\n", 2, "NAME=VALUE" },
    { "[drive d]\nparameter = =1\n", 2, "NAME=VALUE" },
    { "[drive d]\nparameter = a=4294967296\n", 2, "32 bits" },
};

static void
bad__names_the_line_and_what_is_wrong(void **state)
{
    struct ri_config config;
    struct ri_error error;
    char place[64];

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(&config, 0x5A, sizeof config);
        assert_true(load(bad[i].text, &config, &error) < 0);
        snprintf(place, sizeof place, "%s:%u: ", path, bad[i].line);
        if (strncmp(error.text, place, strlen(place)) != 0 ||
            strstr(error.text, bad[i].says) == NULL)
            fail_msg("case %zu: \"%s\" lacks \"%s\" or \"%s\"", i, error.text,
                     place, bad[i].says);
        assert_int_equal(config.drive_count, 0x5A5A5A5A5A5A5A5A);
    }
}

static void
bytes_of_0__are_not_called_a_long_line(void **state)
{
    static const char text[] = "[drive d]\n\0\n";
    struct ri_config config;
    struct ri_error error = { "" };
    FILE *file = fopen(path, "w");

    (void) state;
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof text - 1, file), sizeof text - 1);
    fclose(file);
    assert_int_equal(ri_config_load(path, &config, &error), -EINVAL);
    assert_non_null(strstr(error.text, ":2: a byte of the line is 0"));
}

/* inih of Debian takes 198 bytes; a path may have 1023, a URL too. */
static void
long_lines__are_read_like_others(void **state)
{
    static char text[70000], word[66000];
    struct ri_config config;
    struct ri_error error = { "" };
    const struct ri_drive_config *drive;

    (void) state;
    memset(word, 'x', sizeof word);
    snprintf(text, sizeof text,
             "# %.300s\n"
             "[drive d] ; %.300s\n"
             "port = sg\n"
             "device : /dev/%.900s ; a comment; %.300s\n"
             "own = yes\n"
             "[drive e]   \n"
             "  ; %.300s\n"
             "port=sg\n"
             "device = /dev/a;b%.300s   \n",
             word, word, word, word, word, word);
    assert_int_equal(load(text, &config, &error), 0);
    assert_int_equal(config.drive_count, 2);
    drive = &config.drives[0];
    assert_int_equal(strlen(drive->device), 905);
    assert_int_equal(strncmp(drive->device, "/dev/xxx", 8), 0);
    assert_true(drive->own);
    assert_int_equal(drive->value_line, 4);
    assert_int_equal(strlen(config.drives[1].device), 308);
    assert_int_equal(strncmp(config.drives[1].device, "/dev/a;bxx", 10), 0);
    ri_config_free(&config);
}

static void
long_lines__that_are_wrong__are_told_by_their_line(void **state)
{
    static char text[140000], word[70000];
    static const struct {
        const char *before, *after, *says;
    } wrong[] = {
        { "[drive d]\nport = sg\ndevice = /", "\n",
          ":3: device: longer than 1023 bytes" },
        { "[drive d]\nfault = ", "\n", ":2: fault: longer than 255 bytes" },
        { "[drive d]\n", "\n", ":2: neither [section] nor key = value" },
        { "a = ", "\n", ":1: \"a\" stands before any section" },
        { "[drive d]\nmedium =", "\n  more\n", "2: medium: longer than" },
        { "[drive d]\ntype = disk\n  ", "\n", ":3: a line that begins with" },
        { "[driver disk]\nkey = ", "\n", ":2: key: longer than 1023 bytes" },
        { "[library l]\nparameter = a=", "\n",
          ":2: parameter: longer than 1023 bytes" },
    };
    struct ri_config config;
    struct ri_error error = { "" };

    (void) state;
    memset(word, 'x', sizeof word);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text, "%s%.1100s%s", wrong[i].before, word,
                 wrong[i].after);
        assert_true(load(text, &config, &error) < 0);
        if (strstr(error.text, wrong[i].says) == NULL)
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, error.text,
                     wrong[i].says);
    }
    /* One goes on with a long line that was right. */
    snprintf(text, sizeof text,
             "[drive d]\nport = sg\ndevice = /%.300s\n\n more\n", word);
    assert_true(load(text, &config, &error) < 0);
    assert_non_null(strstr(error.text, ":5: a line that begins with a blank"));
    snprintf(text, sizeof text, "[drive d]\n# %.65533s\n", word);
    assert_int_equal(load(text, &config, &error), 0);
    ri_config_free(&config);
    snprintf(text, sizeof text, "[drive d]\n# %.65534s\n", word);
    assert_true(load(text, &config, &error) < 0);
    assert_non_null(
        strstr(error.text, ":2: the line is longer than 65535 bytes"));
}

static void
iscsi_urls__as_people_write_them(void **state)
{
    static const char *const urls[] = {
        "iscsi://vault/iqn.2026-11.example:box/0",
        "iscsi://127.0.0.1:3260/iqn.x:y/16383",
        "iscsi://[::1]/iqn.x:y/1",
        "iscsi://[fe80::1]:3261/iqn.x:y/1",
    };

    (void) state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct ri_config config;
        struct ri_error error;
        char text[256];

        snprintf(text, sizeof text, "[drive d]\nport = iscsi\nurl = %s\n",
                 urls[i]);
        if (load(text, &config, &error) != 0)
            fail_msg("%s: %s", urls[i], error.text);
        assert_string_equal(config.drives[0].url, urls[i]);
        ri_config_free(&config);
    }
}

static void
registry_values__are_kept_as_lines(void **state)
{
    struct ri_config config;
    struct ri_error error;

    (void) state;
    assert_int_equal(load("[driver disk]\n"
                          "TimeOutValue = 60\n"
                          "Names = multi:a;b\n"
                          "[drive d]\n"
                          "parameter = A = x=y\n"
                          "parameter = B=0x10\n"
                          "[driver cdrom]\n"
                          "TimeOutValue = 20\n",
                          &config, &error),
                     0);
    assert_string_equal(config.driver_values, "disk/TimeOutValue=60\n"
                                              "disk/Names=multi:a;b\n"
                                              "cdrom/TimeOutValue=20\n");
    assert_string_equal(config.drives[0].parameters, "A=x=y\nB=0x10\n");
    ri_config_free(&config);
}

static void
library__every_key__is_taken(void **state)
{
    struct ri_config config;
    struct ri_error error;
    const struct ri_library_config *library;

    (void) state;
    assert_int_equal(
        load("[library shelf]\n"
             "port = virtual\npersonality = standard\n"
             "media = /tmp\nstate = /tmp/nowhere\n"
             "slots = 12\nmail-slots = 2\ndrives = 3\ntransports = 1\n"
             "drive-type = disk\ndrive-cache = volatile\n"
             "drive-readonly = yes\ndrive-load-ms = 7\n"
             "drive-block-size = 2048\n"
             "drive-fault = at 1 read do sense 3/11/00\n"
             "drive-parameter = A=1\n"
             "move-ms = 1\ntravel-ms = 2\nload-ms = 3\nunload-ms = 4\n"
             "scan-ms = 5\ndoor-ms = 6\nclean-ms = 8\nbar-codes = no\n"
             "cleaning-uses = 9\nready-timeout = 10\nload-timeout = 11\n"
             "min-residence = 12\npoll-interval = 13\nadopt = yes\n"
             "cleaning = no\n"
             "fault = at 1 any do sense 4/15/01\n"
             "fault = at 2 any do busy\nparameter = B=2\n",
             &config, &error),
        0);
    assert_int_equal(config.library_count, 1);
    library = config.libraries;
    assert_string_equal(library->name, "shelf");
    assert_string_equal(library->personality, "standard");
    assert_string_equal(library->media, "/tmp");
    assert_string_equal(library->state, "/tmp/nowhere");
    assert_int_equal(library->slots, 12);
    assert_int_equal(library->mail_slots, 2);
    assert_int_equal(library->drive_count, 3);
    assert_int_equal(library->transports, 1);
    assert_int_equal(library->drive.type, RI_DISK);
    assert_int_equal(library->drive.cache, RI_CACHE_VOLATILE);
    assert_true(library->drive.readonly);
    assert_int_equal(library->drive.load_ms, 7);
    assert_int_equal(library->drive.block_bytes, 2048);
    assert_string_equal(library->drive.faults, "at 1 read do sense 3/11/00\n");
    assert_string_equal(library->drive.parameters, "A=1\n");
    assert_int_equal(library->move_ms, 1);
    assert_int_equal(library->travel_ms, 2);
    assert_int_equal(library->load_ms, 3);
    assert_int_equal(library->unload_ms, 4);
    assert_int_equal(library->scan_ms, 5);
    assert_int_equal(library->door_ms, 6);
    assert_int_equal(library->clean_ms, 8);
    assert_true(library->no_bar_codes);
    assert_int_equal(library->cleaning_uses, 9);
    assert_int_equal(library->ready_timeout_s, 10);
    assert_int_equal(library->load_timeout_s, 11);
    assert_int_equal(library->min_residence_s, 12);
    assert_int_equal(library->poll_s, 13);
    assert_true(library->adopt);
    assert_false(library->cleaning);
    assert_string_equal(library->faults,
                        "at 1 any do sense 4/15/01\nat 2 any do busy\n");
    assert_string_equal(library->parameters, "B=2\n");
    ri_config_free(&config);
}

/* A robot of a target, and a drive that it can reach. */
#define REAL                                                                   \
    "[drive c]\nport = iscsi\nurl = iscsi://h/t/1\n"                           \
    "[library a]\nport = iscsi\nurl = iscsi://h/t/9\n"

static void
library__real_robot__has_the_drives_that_are_named(void **state)
{
    struct ri_config config;
    struct ri_error error;
    const struct ri_library_config *library;

    (void) state;
    assert_int_equal(load(REAL "drive = d\ndrive = c\nchap-user = u\n"
                               "initiator = iqn.me\nstate = /tmp/nowhere\n"
                               "[drive d]\nport = sg\ndevice = /dev/sg1\n",
                          &config, &error),
                     0);
    library = config.libraries;
    assert_int_equal(library->port, RI_PORT_ISCSI);
    assert_int_equal(library->drive_count, 2);
    assert_string_equal(library->drive_names[0], "d");
    assert_string_equal(library->drive_names[1], "c");
    assert_string_equal(library->robot.url, "iscsi://h/t/9");
    assert_string_equal(library->robot.user, "u");
    assert_string_equal(library->robot.initiator, "iqn.me");
    assert_string_equal(config.drives[0].url, "iscsi://h/t/1");
    ri_config_free(&config);
}

static void
library__bad__names_the_line(void **state)
{
    static const struct {
        const char *text, *what;
    } rows[] = {
        { "[library a]\nslots = 3\n", ":1: [library a]: media = FOLDER is" },
        { "[library a]\nmedia = /nowhere\n", ":2: media: /nowhere: No such" },
        { "[library a]\nmedia = /etc/passwd\n", "is no folder" },
        { "[library a]\nslots = 0\n", ":2: slots: \"0\" is no number" },
        { "[library a]\nslots = 1\nslots = 2\n", ":3: slots: given twice" },
        { "[library a]\ndrives = 33\n", ":2: drives: \"33\"" },
        { "[library a]\ndrive-type = vinyl\n", "none of disk, floppy, cdrom" },
        { "[library a]\nport = air\n", "port: \"air\" is none of virtual" },
        { "[library a]\nadopt = perhaps\n", "neither yes nor no" },
        { "[library a]\nfault = at noon\n", ":2: fault: " },
        { "[library a]\nmedia = /tmp\nfault = at 1 read do busy\n",
          ":3: fault: rule \"at 1 read do busy\": it would never match: "
          "robots" },
        { "[library a]\ndrive-fault = at 1 write do busy\nmedia = /tmp\n",
          ":2: drive-fault: rule \"at 1 write do busy\": it would never "
          "match: CD drives" },
        { "[library a]\ndrive-fault = at 1 move do busy\n"
          "drive-type = tape\nmedia = /tmp\n",
          ":2: drive-fault: rule \"at 1 move do busy\": it would never "
          "match: tapes" },
        { "[library a]\nstate = here\n", "is not an absolute path" },
        { "[library a]\nparameter = A\n", "is not NAME=VALUE" },
        { "[library a]\nhands = 2\n", ":2: \"hands\" is no key" },
        { "[library a/b]\n", ":1: library: a name has no blanks" },
        { "[library a]\nmedia = /tmp\n[library a]\n", "there already, on" },
        { "[library a]\nmedia = /tmp\n[drive a-0]\ntype = disk\n",
          "a name of the library's own drives" },
        { "[library a]\nmedia = /tmp\nurl = iscsi://h/t/1\n",
          ":1: [library a]: url, chap-user, chap-secret and initiator need" },
        { "[library a]\nmedia = /tmp\ndrive = d\n",
          ":3: drive: needs port = iscsi" },
        { "[library a]\nport = iscsi\ndrive = d\n",
          ":1: [library a]: port = iscsi needs url" },
        { "[library a]\nport = sg\ndrive = d\n",
          ":1: [library a]: port = sg needs one of device and match" },
        { "[library a]\nport = sg\nmatch = any-removable\ndrive = d\n",
          ":1: [library a]: match = any-removable is of drives" },
        { "[library a]\nport = sg\ndevice = sg1\n",
          ":3: device: \"sg1\" is not an absolute path" },
        { "[library a]\nport = sg\nmatch = serial:X\n",
          ":1: [library a]: drive = NAME is missing" },
        { "[library a]\nmedia = /tmp\nown = yes\n",
          ":1: [library a]: device, match and own need port = sg" },
        { "[library a]\nport = iscsi\nurl = h\n",
          ":3: url: \"h\" is no iscsi://" },
        { "[library a]\nurl = iscsi://h/t/1\nurl = iscsi://h/t/1\n",
          ":3: url: given twice" },
        { REAL, ":4: [library a]: drive = NAME is missing" },
        { REAL "slots = 8\n", ":7: slots: is of emulated libraries" },
        { REAL "drive = c\ndrive = c\n", ":8: drive: c is given twice" },
        { REAL "drive = c\ndrive = e\n", ":8: drive: there is no [drive e]" },
        { REAL "drive = c\ndrive = f\n[drive f]\ntype = disk\n",
          ":8: drive: f, of line 9, is emulated" },
        { REAL "drive = c\n[library b]\nport = iscsi\n"
               "url = iscsi://h/t/2\ndrive = c\n",
          ":11: drive: c belongs to library a, of line 4" },
    };
    struct ri_config config;
    struct ri_error error;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(load(rows[i].text, &config, &error), -EINVAL);
        if (strstr(error.text, rows[i].what) == NULL)
            fail_msg("row %zu: %s", i, error.text);
    }
}

static void
missing_file__is_named(void **state)
{
    struct ri_config config;
    struct ri_error error;

    (void) state;
    assert_int_equal(ri_config_load("/no/such/file", &config, &error), -ENOENT);
    assert_non_null(strstr(error.text, "/no/such/file"));
}

/* 160, 180, 320, 360, 640, 720 KiB, 1.2, 1.44 and 2.88 MB. */
static void
images__sizes_of_floppies__floppies(void **state)
{
    static const unsigned kib[] = { 160, 180,  320,  360, 640,
                                    720, 1200, 1440, 2880 };
    char image[] = "/tmp/config-floppy-XXXXXX";
    struct ri_config config;
    struct ri_error error;
    int fd = mkstemp(image);

    (void) state;
    ri_config_init(&config);
    for (size_t i = 0; i < sizeof kib / sizeof kib[0]; i++) {
        assert_int_equal(ftruncate(fd, kib[i] * 1024), 0);
        assert_int_equal(ri_config_add_image(&config, image, &error), 0);
        assert_int_equal(config.drives[i].type, RI_FLOPPY);
    }
    assert_string_equal(config.drives[0].name, "floppy0");
    assert_int_equal(ftruncate(fd, 1440 * 1024 + 512), 0);
    assert_int_equal(ri_config_add_image(&config, image, &error), 0);
    assert_int_equal(config.drives[9].type, RI_DISK);
    ri_config_free(&config);
    close(fd);
    unlink(image);
}

static void
images__type_by_content__names_in_order(void **state)
{
    char iso[] = "/tmp/config-iso-XXXXXX";
    struct ri_config config;
    struct ri_error error;
    int fd = mkstemp(iso);

    (void) state;
    assert_int_equal(pwrite(fd, "\1CD001", 6, 16 * 2048), 6);
    ri_config_init(&config);
    assert_int_equal(ri_config_add_image(&config, path, &error), 0);
    assert_int_equal(ri_config_add_image(&config, iso, &error), 0);
    assert_int_equal(ri_config_add_image(&config, path, &error), 0);
    assert_string_equal(config.drives[0].name, "disk0");
    assert_string_equal(config.drives[1].name, "cdrom0");
    assert_int_equal(config.drives[1].type, RI_CDROM);
    assert_string_equal(config.drives[2].name, "disk1");
    assert_int_equal(ri_config_add_image(&config, "/no/image", &error),
                     -ENOENT);
    assert_non_null(strstr(error.text, "/no/image"));
    assert_int_equal(config.drive_count, 3);
    ri_config_free(&config);
    close(fd);
    unlink(iso);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good__every_key__is_taken),
        cmocka_unit_test(bad__names_the_line_and_what_is_wrong),
        cmocka_unit_test(bytes_of_0__are_not_called_a_long_line),
        cmocka_unit_test(long_lines__are_read_like_others),
        cmocka_unit_test(long_lines__that_are_wrong__are_told_by_their_line),
        cmocka_unit_test(iscsi_urls__as_people_write_them),
        cmocka_unit_test(registry_values__are_kept_as_lines),
        cmocka_unit_test(library__every_key__is_taken),
        cmocka_unit_test(library__real_robot__has_the_drives_that_are_named),
        cmocka_unit_test(library__bad__names_the_line),
        cmocka_unit_test(missing_file__is_named),
        cmocka_unit_test(images__sizes_of_floppies__floppies),
        cmocka_unit_test(images__type_by_content__names_in_order),
    };
    int fd = mkstemp(path), failed;

    if (fd < 0)
        return 1;
    close(fd);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed != 0;
}
