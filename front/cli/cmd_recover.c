/*
 * cmd_recover.c - reinsert recover: what could not be written, looked at and
 *                 put where it belongs
 *
 * Works on files, and needs no service.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recovery.h"

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column columns[] = {
    { "FILE", "file", AS_TEXT, ON_BOTH },
    { "VOLUME", "label", AS_TEXT, ON_BOTH },
    { "TYPE", "type", AS_TEXT, ON_BOTH },
    { "UUID", "uuid", AS_TEXT, ON_BOTH },
    { "DATA", "bytes", AS_SIZE, ON_BOTH },
    { "MEDIUM", "size_bytes", AS_SIZE, ON_BOTH },
    { "SINCE", "age_ms", AS_AGO, ON_TTY },
    { "", "created_ms", AS_TEXT, ON_PIPE },
    { "WHOLE", "complete", AS_FLAG, ON_BOTH },
    { "PROBLEM", "problem", AS_TEXT, ON_BOTH | SHRINKS },
};

static json_t *
describe(const char *path, const struct rec_summary *sum)
{
    const struct rec_about *about = &sum->about;
    uint64_t now = (uint64_t) time(NULL) * 1000;
    char status[16];

    snprintf(status, sizeof status, "0x%08X", about->status);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:I, s:I, s:s, s:I, s:I, s:I, "
        "s:i, s:b, s:I, s:s}",
        "file", path, "label", about->label, "type", about->type, "uuid",
        about->uuid, "drive", about->drive, "size_bytes",
        (json_int_t) about->size_bytes, "block_bytes", (int) about->block_bytes,
        "created_ms", (json_int_t) about->created_ms, "age_ms",
        (json_int_t) (now > about->created_ms ? now - about->created_ms : 0),
        "status", status, "records", (json_int_t) sum->records, "bytes",
        (json_int_t) sum->bytes, "damaged", (json_int_t) sum->damaged,
        "witnesses", (int) sum->witnesses, "complete", sum->complete,
        "stray_bytes", (json_int_t) sum->stray_bytes, "problem", sum->problem);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_ours(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot != NULL &&
           (strcmp(dot, ".recovery") == 0 || strcmp(dot, ".unflushed") == 0);
}

/* A file that is not one of ours is passed over; one that cannot be read is
 * in the list with its problem. */
static void
add_file(json_t *rows, const char *path)
{
    struct rec_summary sum = { .complete = false };
    struct rec_error error;
    int status = rec_check(path, &sum, &error);

    if (status == -EINVAL)
        return;
    if (status != 0)
        snprintf(sum.problem, sizeof sum.problem, "%s", error.text);
    json_array_append_new(rows, describe(path, &sum));
}

static int
list(struct cli *cli)
{
    char usual[RI_PATH_MAX];
    const char *dir = cli->arg_count > 1 ? cli->args[1] : usual;
    struct dirent **names = NULL;
    json_t *rows;
    int count;

    rec_default_folder(usual, sizeof usual);
    count = scandir(dir, &names, is_ours, by_name);
    /* The usual one is made when it is first needed. */
    if (count < 0 && errno == ENOENT && dir == usual)
        count = 0;
    if (count < 0) {
        cli_say("recover: %s: %s", dir, strerror(errno));
        return CLI_FAILED;
    }
    rows = json_array();
    for (int i = 0; i < count; i++) {
        char *path;

        if (asprintf(&path, "%s/%s", dir, names[i]->d_name) >= 0) {
            add_file(rows, path);
            free(path);
        }
        free(names[i]);
    }
    free(names);
    if (cli->json) {
        json_t *all = json_pack("{s:O}", "files", rows);

        print_json(all);
        json_decref(all);
    } else if (cli->tty && json_array_size(rows) == 0) {
        printf("Nothing to recover in %s.\n", dir);
    } else {
        table_print(cli, "recovery", columns,
                    sizeof columns / sizeof columns[0], rows);
    }
    json_decref(rows);
    return CLI_OK;
}

/* Another file, perhaps, that was put behind this one. */
static void
say_stray(const char *path, uint64_t bytes)
{
    if (bytes > 0)
        cli_say("recover: %s: %" PRIu64 " bytes behind its end are not read",
                path, bytes);
}

/* --- show ---------------------------------------------------------------- */

static const char *
word_for(enum rec_record what)
{
    static const char *const words[] = {
        [REC_DATA] = "data", [REC_ZEROES] = "zeroes", [REC_WITNESS] = "witness"
    };

    return words[what];
}

/* 0 or an exit code. */
static int
add_extents(const char *path, json_t *extents)
{
    struct rec_reader *reader;
    struct rec_item item;
    struct rec_error error;
    int status = rec_open(path, &reader, &error);

    if (status != 0) {
        cli_say("recover: %s", error.text);
        return CLI_FAILED;
    }
    while ((status = rec_next(reader, &item, &error)) != 0) {
        if (status < 0 && status != -EBADMSG && status != -ENODATA)
            break;
        if (status < 0)
            json_array_append_new(
                extents,
                json_pack("{s:s, s:s}", "what", "damaged", "text", error.text));
        else if (item.what != REC_WITNESS)
            json_array_append_new(extents,
                                  json_pack("{s:s, s:I, s:I}", "what",
                                            word_for(item.what), "offset",
                                            (json_int_t) item.offset, "length",
                                            (json_int_t) item.len));
    }
    rec_close(reader);
    return status < 0 ? CLI_FAILED : 0;
}

static void
print_shown(const struct cli *cli, const json_t *about, const json_t *extents)
{
    static const struct {
        const char *field, *heading;
    } rows[] = { { "file", "File" },    { "label", "Volume" },
                 { "type", "Type" },    { "uuid", "UUID" },
                 { "drive", "Was in" }, { "status", "Away with" } };
    char size[32], data[32];
    const json_t *extent;
    size_t i;

    if (cli->tty) {
        for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            printf("%-10s ", rows[i].heading);
            print_clean(json_text(about, rows[i].field));
            putchar('\n');
        }
        format_size(json_number(about, "size_bytes"), size, sizeof size);
        format_size(json_number(about, "bytes"), data, sizeof data);
        printf("%-10s %s\n%-10s %s in %" PRIu64 " records, %" PRIu64
               " damaged\n%-10s %" PRIu64 " blocks\n",
               "Medium", size, "Data", data, json_number(about, "records"),
               json_number(about, "damaged"), "Witness",
               json_number(about, "witnesses"));
    }
    json_array_foreach(extents, i, extent)
    {
        if (json_object_get(extent, "text") != NULL)
            printf("damaged\t%s\n", json_text(extent, "text"));
        else
            printf("%s\t%" PRIu64 "\t%" PRIu64 "\n", json_text(extent, "what"),
                   json_number(extent, "offset"),
                   json_number(extent, "length"));
    }
}

static int
show(struct cli *cli)
{
    const char *path = cli->args[1];
    struct rec_summary sum;
    struct rec_error error;
    json_t *about, *extents;
    int rc;

    if (rec_check(path, &sum, &error) != 0) {
        cli_say("recover: %s", error.text);
        return CLI_FAILED;
    }
    about = describe(path, &sum);
    extents = json_array();
    rc = add_extents(path, extents);
    if (rc == 0 && cli->json) {
        json_object_set(about, "extents", extents);
        print_json(about);
    } else if (rc == 0) {
        print_shown(cli, about, extents);
    }
    if (rc == 0 && !sum.complete)
        cli_say("recover: %s", sum.problem);
    if (rc == 0)
        say_stray(path, sum.stray_bytes);
    json_decref(extents);
    json_decref(about);
    return rc != 0 ? rc : sum.complete ? CLI_OK : CLI_MEDIUM;
}

/* --- apply --------------------------------------------------------------- */

static void
progress(void *ctx, uint64_t done, uint64_t total)
{
    unsigned *last = ctx;
    unsigned percent = total == 0 ? 100 : (unsigned) (done * 100 / total);

    if (percent == *last)
        return;
    *last = percent;
    fprintf(stderr, "\r[%-40.*s] %3u %%", (int) (percent * 40 / 100),
            "########################################", percent);
    if (percent == 100)
        fputc('\n', stderr);
}

static int
refuse(const struct cli *cli, const struct rec_fit *fit)
{
    cli_say("recover: %s: %s; nothing was written%s", cli->to, fit->text,
            fit->verdict == REC_OTHER_SIZE ? "" : " (--force writes it)");
    return CLI_FAILED;
}

/* Of a file that is not whole it was not all that was written. */
static int
say_what_lacks(const char *path, bool dry_run)
{
    struct rec_summary sum;
    struct rec_error error;

    if (rec_check(path, &sum, &error) != 0) {
        cli_say("recover: %s", error.text);
        return CLI_FAILED;
    }
    say_stray(path, sum.stray_bytes);
    if (sum.complete)
        return CLI_OK;
    cli_say("recover: %s; only what is whole %s", sum.problem,
            dry_run ? "would be written" : "was written");
    return CLI_MEDIUM;
}

static int
apply(struct cli *cli)
{
    unsigned last = 101;
    struct rec_progress bar = { progress, &last };
    const char *path = cli->args[1];
    struct rec_error error;
    struct rec_fit fit;
    uint64_t bytes;
    char size[32];

    if (cli->to == NULL) {
        cli_say("recover: apply needs --to IMAGE or DEVICE");
        return CLI_USAGE;
    }
    if (rec_compare(path, cli->to, &fit, &error) != 0) {
        cli_say("recover: %s", error.text);
        return CLI_FAILED;
    }
    if (fit.verdict == REC_OTHER_SIZE ||
        (fit.verdict != REC_FITS && !cli->force))
        return refuse(cli, &fit);
    if (rec_apply(path, cli->to, cli->force, cli->dry_run,
                  isatty(STDERR_FILENO) == 1 ? &bar : NULL, &bytes,
                  &error) != 0) {
        if (last < 100)
            fputc('\n', stderr);
        cli_say("recover: %s", error.text);
        return CLI_MEDIUM;
    }
    format_size(bytes, size, sizeof size);
    if (cli->json)
        printf("{ \"bytes\": %" PRIu64 ", \"written\": %s }\n", bytes,
               cli->dry_run ? "false" : "true");
    else if (cli->tty)
        printf("%s %s to %s: %s.\n", size,
               cli->dry_run ? "would be written" : "written", cli->to,
               fit.text);
    else
        printf("%s\t%" PRIu64 "\n", cli->dry_run ? "would-write" : "written",
               bytes);
    if (cli->force)
        return say_what_lacks(path, cli->dry_run);
    say_stray(path, fit.stray_bytes);
    return CLI_OK;
}

static const struct {
    const char *word;
    int args;
    int (*run)(struct cli *cli);
} actions[] = {
    { "list", 1, list }, /* and perhaps a folder */
    { "show", 2, show },
    { "apply", 2, apply },
};

static int
run(struct cli *cli)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(cli->args[0], actions[i].word) != 0)
            continue;
        if (cli->arg_count < actions[i].args) {
            cli_say("recover: %s needs a file", actions[i].word);
            return CLI_USAGE;
        }
        return actions[i].run(cli);
    }
    cli_say("recover: %s is none of list, show, apply", cli->args[0]);
    return CLI_USAGE;
}

const struct cli_verb cli_verb_recover = {
    .name = "recover",
    .args = "list [DIR] | show FILE | apply FILE --to IMAGE|DEVICE",
    .summary = "Look at what could not be written, and write it",
    .text =
        "A recovery file holds what clients were told is written and the "
        "medium still\nlacks.  apply compares the medium with what the file "
        "was made for, and refuses\nanother one, or one that was changed "
        "since.  A log of\nunflushed data (unflushed-log) is such a file as "
        "well.\n",
    .options = OPT_JSON | OPT_TO | OPT_FORCE | OPT_DRY_RUN,
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
