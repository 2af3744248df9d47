/*
 * t_words.c - the pure parts of the command line: sense text, sizes, ages,
 * the stream parser
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
sense_parse__every_usual_form__same_bytes(void **state)
{
    static const uint8_t want[] = { 0x70, 0x00, 0x02, 0x0A };
    static char *const forms[][4] = {
        { "70 00 02 0a" },         { "7000020A" },
        { "0x70,0x00,0x02,0x0a" }, { "70", "00", "02", "0A" },
        { "70", "0", "2", "a" },   { "0x70", "0x0,", "0x2,", "0xA" },
        { "7000", "020a" },        { "{ 0x70, 0, 2, 0x0a }" },
        { "70:00:02:0a" },         { "70-00-02-0a\n" },
        { "0x7000020a" },
    };

    (void) state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        uint8_t sense[SENSE_MAX];
        char why[128];
        size_t len;
        int count = 0;

        while (count < 4 && forms[i][count] != NULL)
            count++;
        assert_true(sense_parse(forms[i], count, sense, &len, why, sizeof why));
        assert_int_equal(len, sizeof want);
        assert_memory_equal(sense, want, sizeof want);
    }
}

static void
sense_parse__triple__fixed_format(void **state)
{
    static char *const forms[] = { "2/3A/00", "02/3a/00", "2/3a",
                                   "0x2/0x3A/0" };

    (void) state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        uint8_t sense[SENSE_MAX];
        char why[128];
        size_t len;

        assert_true(sense_parse(&forms[i], 1, sense, &len, why, sizeof why));
        assert_int_equal(len, 18);
        assert_int_equal(sense[0], 0x70);
        assert_int_equal(sense[2], 0x02);
        assert_int_equal(sense[7], 10);
        assert_int_equal(sense[12], 0x3A);
        assert_int_equal(sense[13], 0x00);
    }
}

static void
sense_parse__nonsense__says_why(void **state)
{
    static char *const forms[] = { "",      " ",        "xyz", "70 0g",
                                   "70000", "2/3A/0/1", "/",   "22/3A/00",
                                   "2/",    "2/3A0",    "0x",  "-h" };
    char many[3 * (SENSE_MAX + 1) + 1] = "";
    char *words = many;
    uint8_t sense[SENSE_MAX];
    char why[128];
    size_t len;

    (void) state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        why[0] = '\0';
        assert_false(sense_parse(&forms[i], 1, sense, &len, why, sizeof why));
        assert_true(why[0] != '\0');
    }
    for (int i = 0; i <= SENSE_MAX; i++)
        strcat(many, "00 ");
    assert_false(sense_parse(&words, 1, sense, &len, why, sizeof why));
}

static void
format__sizes_and_ages(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } sizes[] = { { 0, "0 B" },
                  { 1023, "1023 B" },
                  { 1024, "1 KiB" },
                  { 67108864, "64 MiB" },
                  { 1474560, "1.4 MiB" },
                  { 4700372992, "4.3 GiB" },
                  { UINT64_MAX, "15.9 EiB" } },
      ages[] = { { 0, "0 s" },           { 3999, "3 s" },
                 { 119999, "119 s" },    { 120000, "2 min" },
                 { 7199999, "119 min" }, { 7200000, "2 h" },
                 { 172800000, "2 d" },   { 864000000000, "10000 d" } };
    char text[32];

    (void) state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        format_size(sizes[i].value, text, sizeof text);
        assert_string_equal(text, sizes[i].text);
    }
    for (size_t i = 0; i < COUNT(ages); i++) {
        format_age(ages[i].value, text, sizeof text);
        assert_string_equal(text, ages[i].text);
    }
}

struct seen {
    char text[256];
};

static int
on_event(void *context, const char *kind, json_t *data)
{
    struct seen *seen = context;
    size_t len = strlen(seen->text);

    snprintf(seen->text + len, sizeof seen->text - len, "[%s %d]", kind,
             (int) json_number(data, "n"));
    return json_number(data, "n") == 3 ? CLIENT_STOP : 0;
}

static void
sse__pieces_of_any_size__same_events(void **state)
{
    static const char stream[] = ": hello\nretry: 1000\n\n"
                                 "id: 1\nevent: a\ndata: {\"n\":1}\n\n"
                                 ": still here\n\n"
                                 "event: b\ndata:{\"n\":2}\n\n"
                                 "data: not json\n\n"
                                 "event: c\ndata: {\"n\":3}\n\n"
                                 "event: d\ndata: {\"n\":4}\n\n";

    (void) state;
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct seen seen = { "" };
        struct sse *sse = sse_new(on_event, &seen);
        int rc = 0;

        for (size_t at = 0; rc == 0 && at < strlen(stream); at += piece) {
            size_t left = strlen(stream) - at;

            rc = sse_feed(sse, stream + at, left < piece ? left : piece);
        }
        assert_int_equal(rc, CLIENT_STOP);
        assert_string_equal(seen.text, "[ 0][a 1][b 2][c 3]");
        sse_free(sse);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sense_parse__every_usual_form__same_bytes),
        cmocka_unit_test(sense_parse__triple__fixed_format),
        cmocka_unit_test(sense_parse__nonsense__says_why),
        cmocka_unit_test(format__sizes_and_ages),
        cmocka_unit_test(sse__pieces_of_any_size__same_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
