/*
 * report.c - the list of functions, and what their checks came to
 *
 * functions.list has a row for each function of the tests that makes a check:
 *     name  pass|not-applicable  reason
 * A check counts for the function that it stands in.  Any thread, any IRQL.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "wine_host.h"

#define MAX_FUNCTIONS 100

struct function {
    char name[64];
    char reason[200];
    bool applicable;
    unsigned passed, failed, skipped; /* atomic */
};

static struct function functions[MAX_FUNCTIONS];
static size_t function_count;
static unsigned unknown; /* atomic: checks of functions without a row */

static __thread struct {
    const char *function, *file;
    int line;
} place;

bool
report_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[400], verdict[32];

    if (file == NULL) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        struct function *row = &functions[function_count];

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (function_count == MAX_FUNCTIONS ||
            sscanf(line, "%63s %31s %199[^\n]", row->name, verdict,
                   row->reason) < 2 ||
            (strcmp(verdict, "pass") != 0 &&
             (strcmp(verdict, "not-applicable") != 0 ||
              row->reason[0] == '\0'))) {
            fprintf(stderr, "%s: cannot be read: %s\n", path, line);
            fclose(file);
            return false;
        }
        row->applicable = verdict[0] == 'p';
        function_count++;
    }
    fclose(file);
    return true;
}

static struct function *
find(const char *name)
{
    for (size_t i = 0; i < function_count; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

/* --- messages ------------------------------------------------------------- */

/*
 * The tests' formats are for a compiler whose long has 32 bits: the length of
 * an argument is told by I64, I and the conversion, never by l.
 */
static void
say_argument(const char **at, va_list *args)
{
    bool wide = false, large = false;
    char format[16] = "%";
    size_t len = 1;

    for (; strchr("#-+0 123456789.lhI", **at) != NULL; (*at)++) {
        if (**at == 'l')
            wide = true;
        else if (**at == 'I' || **at == 'h')
            large = large || **at == 'I';
        else if (!large && len < 8)
            format[len++] = **at;
    }
    if (**at == 's' && wide) {
        const WCHAR *text = va_arg(*args, const WCHAR *);

        for (size_t i = 0; text != NULL && text[i] != 0 && i < 200; i++)
            fputc(text[i] < 127 ? (char) text[i] : '?', stderr);
        return;
    }
    if (**at == 's' || **at == 'p') {
        format[len++] = **at;
        fprintf(stderr, format, va_arg(*args, void *));
        return;
    }
    if (large) {
        memcpy(format + len, "ll", 2);
        len += 2;
    }
    format[len++] = **at;
    if (large)
        fprintf(stderr, format, va_arg(*args, long long));
    else
        fprintf(stderr, format, va_arg(*args, int));
}

static void
say(const char *what, const char *format, va_list *args)
{
    fprintf(stderr, "%s:%d: %s: %s: ", place.file, place.line, place.function,
            what);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at != '%') {
            fputc(*at, stderr);
        } else if (at[1] == '%') {
            fputc(*at++, stderr);
        } else {
            at++;
            say_argument(&at, args);
        }
    }
}

/* --- checks --------------------------------------------------------------- */

void
wine_place(const char *function, const char *file, int line)
{
    const char *slash = strrchr(file, '/');

    place.function = function;
    place.file = slash != NULL ? slash + 1 : file;
    place.line = line;
}

void
wine_ok(int condition, const char *format, ...)
{
    struct function *row = find(place.function);
    va_list args;

    if (row == NULL) {
        fprintf(stderr, "%s has no row in functions.list\n", place.function);
        __atomic_fetch_add(&unknown, 1, __ATOMIC_RELAXED);
        return;
    }
    __atomic_fetch_add(condition ? &row->passed : &row->failed, 1,
                       __ATOMIC_RELAXED);
    if (condition)
        return;
    va_start(args, format);
    say("failed", format, &args);
    va_end(args);
}

void
wine_skip(const char *format, ...)
{
    struct function *row = find(place.function);
    va_list args;

    if (row != NULL)
        __atomic_fetch_add(&row->skipped, 1, __ATOMIC_RELAXED);
    va_start(args, format);
    say("skipped", format, &args);
    va_end(args);
}

int
report_print(void)
{
    unsigned passed = 0, failed = unknown, silent = 0;
    size_t other = 0;

    for (size_t i = 0; i < function_count; i++) {
        const struct function *row = &functions[i];

        if (!row->applicable) {
            printf("%s: not applicable: %s\n", row->name, row->reason);
            other++;
            continue;
        }
        printf("%s: %u passed, %u failed\n", row->name, row->passed,
               row->failed);
        if (row->passed + row->failed == 0) {
            printf("%s: none of its checks was made\n", row->name);
            silent++;
        }
        if (row->skipped != 0)
            printf("%s: left out %u parts\n", row->name, row->skipped);
        passed += row->passed;
        failed += row->failed;
    }
    printf("%u checks passed, %u failed, %zu functions not applicable\n",
           passed, failed + silent, other);
    return failed + silent == 0 && passed >= REPORT_LEAST ? 0 : 1;
}
