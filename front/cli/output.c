/*
 * output.c - tables, sizes and ages for people; tabs for programs
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_MAX 16
#define GAP         2
#define SHRINK_TO   12 /* columns of text a shrunk cell keeps */

const char *
json_text(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text != NULL ? text : "";
}

uint64_t
json_number(const json_t *object, const char *field)
{
    return (uint64_t) json_integer_value(json_object_get(object, field));
}

void
print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
    fflush(stdout);
}

/* --- words -------------------------------------------------------------------
 */

void
format_size(uint64_t bytes, char *out, size_t max)
{
    static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
                                         "TiB", "PiB", "EiB" };
    unsigned unit = 0;
    uint64_t whole = bytes, rest = 0;

    while (whole >= 1024 && unit < 6) {
        rest = whole % 1024;
        whole /= 1024;
        unit++;
    }
    /* One decimal where it says something: 1.4 MiB, but 64 MiB. */
    if (unit > 0 && whole < 100 && rest * 10 / 1024 > 0)
        snprintf(out, max, "%" PRIu64 ".%" PRIu64 " %s", whole,
                 rest * 10 / 1024, units[unit]);
    else
        snprintf(out, max, "%" PRIu64 " %s", whole, units[unit]);
}

void
format_age(uint64_t ms, char *out, size_t max)
{
    static const struct {
        uint64_t up_to_s, unit_s;
        const char *word;
    } rows[] = { { 120, 1, "s" },
                 { 7200, 60, "min" },
                 { 172800, 3600, "h" },
                 { UINT64_MAX, 86400, "d" } };
    uint64_t s = ms / 1000;
    size_t i = 0;

    while (i < 3 && s >= rows[i].up_to_s)
        i++;
    snprintf(out, max, "%" PRIu64 " %s", s / rows[i].unit_s, rows[i].word);
}

/* How many bytes at p are one thing that must not reach a terminal: C0, DEL
 * and C1 controls. */
static size_t
control_at(const unsigned char *p)
{
    if (p[0] < 0x20 || p[0] == 0x7F)
        return 1;
    return p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0 ? 2 : 0;
}

static void
clean(char *text)
{
    unsigned char *from = (unsigned char *) text, *to = from;

    while (*from != '\0') {
        size_t n = control_at(from);

        if (n > 0) {
            *to++ = '?';
            from += n;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

void
print_clean(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return;
    clean(copy);
    fputs(copy, stdout);
    free(copy);
}

/* Columns on the screen: code points, near enough. */
static int
width_of(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char) *text & 0xC0) != 0x80;
    return width;
}

static int
screen_width(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return 80;
}

void
print_wrapped(const char *text, int indent)
{
    char *copy = strdup(text), *save = NULL;
    int column = indent, max = screen_width() - 1;

    if (copy == NULL)
        return;
    printf("%*s", indent, "");
    for (char *word = strtok_r(copy, " \n", &save); word != NULL;
         word = strtok_r(NULL, " \n", &save)) {
        int width;

        clean(word);
        width = width_of(word);
        if (column > indent && column + 1 + width > max) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        if (column > indent) {
            putchar(' ');
            column++;
        }
        fputs(word, stdout);
        column += width;
    }
    putchar('\n');
    free(copy);
}

/* --- cells
 * -------------------------------------------------------------------- */

static char *
plain_cell(const json_t *value)
{
    char *text = NULL;

    if (json_is_integer(value)) {
        if (asprintf(&text, "%" JSON_INTEGER_FORMAT,
                     json_integer_value(value)) < 0)
            return NULL;
        return text;
    }
    if (json_is_boolean(value))
        return strdup(json_is_true(value) ? "1" : "0");
    text = strdup(json_is_string(value) ? json_string_value(value) : "");
    if (text != NULL)
        clean(text);
    return text;
}

static char *
drive_state(const json_t *row)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", json_text(row, "state"),
                 json_is_true(json_object_get(row, "write_protected"))
                     ? ", write-protected"
                     : "",
                 json_is_true(json_object_get(row, "locked")) ? ", locked"
                                                              : "") < 0)
        return NULL;
    clean(text);
    return text;
}

static char *
pretty_cell(const struct table_column *column, const json_t *row)
{
    const json_t *value = json_object_get(row, column->field);
    uint64_t number = (uint64_t) json_integer_value(value);
    char words[64];

    switch (column->format) {
    case AS_SIZE:
        format_size(number, words, sizeof words);
        return strdup(number > 0 ? words : "-");
    case AS_AGE:
        format_age(number, words, sizeof words);
        return strdup(words);
    case AS_AGO:
        if (number == UINT64_MAX)
            return strdup("never");
        format_age(number, words, sizeof words - 4);
        return strdup(number < 1000 ? "now" : strcat(words, " ago"));
    case AS_FLAG:
        return strdup(json_is_true(value) ? "yes" : "-");
    case AS_DRIVE_STATE:
        return drive_state(row);
    case AS_TEXT:
        break;
    }
    if (json_is_string(value) && json_string_value(value)[0] == '\0')
        return strdup("-");
    return plain_cell(value);
}

/* --- tables
 * --------------------------------------------------------------------- */

static void
print_plain(const char *record, const struct table_column *columns,
            size_t count, const json_t *rows)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        fputs(record, stdout);
        for (size_t c = 0; c < count; c++) {
            char *cell;

            if (!(columns[c].flags & ON_PIPE))
                continue;
            cell = plain_cell(json_object_get(row, columns[c].field));
            printf("\t%s", cell != NULL ? cell : "");
            free(cell);
        }
        putchar('\n');
    }
}

struct grid {
    const struct table_column *columns[COLUMNS_MAX];
    int widths[COLUMNS_MAX];
    size_t column_count, row_count;
    char **cells; /* row by row; each owned */
};

static bool
fill_grid(struct grid *grid, const struct table_column *columns, size_t count,
          const json_t *rows)
{
    size_t i, n = 0;
    json_t *row;

    for (size_t c = 0; c < count; c++)
        if (columns[c].flags & ON_TTY)
            grid->columns[grid->column_count++] = &columns[c];
    grid->row_count = json_array_size(rows);
    grid->cells =
        calloc(grid->row_count * grid->column_count + 1, sizeof *grid->cells);
    if (grid->cells == NULL)
        return false;
    for (size_t c = 0; c < grid->column_count; c++)
        grid->widths[c] = width_of(grid->columns[c]->heading);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < grid->column_count; c++) {
            char *cell = pretty_cell(grid->columns[c], row);

            if (cell == NULL)
                return false;
            grid->cells[n++] = cell;
            if (width_of(cell) > grid->widths[c])
                grid->widths[c] = width_of(cell);
        }
    }
    return true;
}

/* Columns that may shrink give way until the table fits the screen. */
static void
fit_grid(struct grid *grid)
{
    int total = 0, excess;

    for (size_t c = 0; c < grid->column_count; c++)
        total += grid->widths[c] + GAP;
    excess = total - GAP - screen_width();
    for (size_t c = 0; c < grid->column_count && excess > 0; c++) {
        int give = grid->widths[c] - SHRINK_TO;

        if (!(grid->columns[c]->flags & SHRINKS) || give <= 0)
            continue;
        if (give > excess)
            give = excess;
        grid->widths[c] -= give;
        excess -= give;
    }
}

/* The end of a path says more than its beginning. */
static void
print_cell(const char *cell, int width, bool last)
{
    int have = width_of(cell);

    if (have > width) {
        for (int skip = have - width + 3; skip > 0; skip--)
            do
                cell++;
            while (((unsigned char) *cell & 0xC0) == 0x80);
        printf("...");
        have = width;
    }
    fputs(cell, stdout);
    if (!last)
        printf("%*s", width - have + GAP, "");
}

static void
print_grid(struct grid *grid)
{
    size_t count = grid->column_count;

    for (size_t c = 0; c < count; c++)
        print_cell(grid->columns[c]->heading, grid->widths[c], c + 1 == count);
    putchar('\n');
    for (size_t r = 0; r < grid->row_count; r++) {
        for (size_t c = 0; c < count; c++)
            print_cell(grid->cells[r * count + c], grid->widths[c],
                       c + 1 == count);
        putchar('\n');
    }
}

void
table_print(const struct cli *cli, const char *record,
            const struct table_column *columns, size_t count,
            const json_t *rows)
{
    struct grid grid = { 0 };

    if (!cli->tty) {
        print_plain(record, columns, count, rows);
        return;
    }
    if (fill_grid(&grid, columns, count, rows)) {
        fit_grid(&grid);
        print_grid(&grid);
    }
    for (size_t i = 0;
         grid.cells != NULL && i < grid.row_count * grid.column_count; i++)
        free(grid.cells[i]);
    free(grid.cells);
}
