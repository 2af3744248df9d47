/*
 * cmd_tape.c - reinsert tape, which is mt when called by that name
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/mt.h"
#include "cli/tape_job.h"

/* --- which drives there are ------------------------------------------------------ */

static int
get_tapes(const struct cli *cli, json_t **out_reply)
{
    struct client *client;
    int rc = client_open(cli, &client);

    if (rc == 0) {
        rc = client_get(client, "/v1/tapes", out_reply);
        client_close(client);
    }
    return rc;
}

static bool
is_drive(const json_t *tapes, const char *name)
{
    const json_t *row;
    size_t i;

    json_array_foreach(tapes, i, row)
    {
        if (strcmp(json_text(row, "drive"), name) == 0)
            return true;
    }
    return false;
}

/* A drive's name, or a path that ends with one; with an n before it, as the
 * nodes have that do not rewind.  Ours never rewind by themselves. */
static bool
find_drive(const json_t *tapes, const char *given, char *out_drive)
{
    const char *slash = strrchr(given, '/');
    const char *name = slash != NULL ? slash + 1 : given;

    if (is_drive(tapes, given))
        name = given;
    else if (!is_drive(tapes, name) && name[0] == 'n' &&
             is_drive(tapes, name + 1))
        name++;
    if (!is_drive(tapes, name)) {
        /* mt's default device, where there is only one. */
        if (strcmp(given, "/dev/tape") != 0 || json_array_size(tapes) != 1)
            return false;
        name = json_text(json_array_get(tapes, 0), "drive");
    }
    snprintf(out_drive, RI_NAME_MAX, "%s", name);
    return true;
}

static void
say_drives(const json_t *tapes)
{
    const json_t *row;
    size_t i;

    if (json_array_size(tapes) == 0) {
        fprintf(stderr, "note: no tape drive of the service is there (a real "
                        "one may be away: reinsert status); one is configured "
                        "with type = tape\n");
        return;
    }
    fprintf(stderr, "note: the tape drives are:");
    json_array_foreach(tapes, i, row)
        fprintf(stderr, " %s", json_text(row, "drive"));
    fprintf(stderr, "\n");
}

/* 0 or an exit code, said. */
static int
resolve(const struct cli *cli, const char *given, char *out_drive)
{
    json_t *reply;
    int rc = get_tapes(cli, &reply);

    if (rc != 0)
        return rc;
    if (!find_drive(json_object_get(reply, "tapes"), given, out_drive)) {
        fprintf(stderr, "%s: %s\n", given, strerror(ENXIO));
        say_drives(json_object_get(reply, "tapes"));
        rc = CLI_FAILED;
    }
    json_decref(reply);
    return rc;
}

/* --- the words of mt on a drive ------------------------------------------------------ */

struct deck {
    const struct cli *cli;
    struct tape_link *link;
    char drive[RI_NAME_MAX]; /* "": to be found */
    struct ri_tape_result result;
    struct ri_error error;
    struct ri_tape_info info; /* of the last status */
};

static int
open_deck(void *context, const char *device, enum mt_open mode)
{
    struct deck *deck = context;
    struct ri_tape_how how = {
        .write = mode == MT_WRITING,
        .no_tape_needed = mode == MT_NO_TAPE,
        .fail_without = deck->cli->tape == NULL,
    };
    char control[RI_PATH_MAX];
    json_t *reply;
    bool found;

    if (deck->drive[0] == '\0') {
        if (get_tapes(deck->cli, &reply) != 0)
            return -ENXIO;
        found =
            find_drive(json_object_get(reply, "tapes"), device, deck->drive);
        if (!found)
            say_drives(json_object_get(reply, "tapes"));
        json_decref(reply);
        if (!found)
            return -ENXIO;
    }
    if (deck->cli->tape != NULL)
        snprintf(how.tape, sizeof how.tape, "%s", deck->cli->tape);
    cli_control_path(deck->cli, control, sizeof control);
    return tape_link_open(control, deck->drive, &how, &deck->link,
                          &deck->error);
}

static int
do_op(void *context, int mt_op, int count)
{
    struct deck *deck = context;

    return tape_link_op(deck->link, mt_op, count, &deck->result);
}

static int
do_get(void *context, struct mtget *out_get)
{
    struct deck *deck = context;

    return tape_link_status(deck->link, out_get, NULL, &deck->info);
}

static const char *
sense(void *context)
{
    struct deck *deck = context;

    return deck->info.sense;
}

static int
do_pos(void *context, struct mtpos *out_pos)
{
    struct deck *deck = context;
    int rc = tape_link_status(deck->link, NULL, out_pos, NULL);

    return rc == 0 && out_pos->mt_blkno < 0 ? -EIO : rc; /* it is not known */
}

static const char *
why(void *context)
{
    struct deck *deck = context;

    return deck->link != NULL ? deck->result.text : deck->error.text;
}

/* What mt does not say is said where this is not mt. */
static int
end_deck(struct deck *deck, int rc)
{
    int closed;

    if (deck->link == NULL)
        return rc;
    closed = tape_link_close(deck->link, &deck->result);
    if (closed != 0 && rc == MT_DONE) {
        cli_say("%s: %s", deck->drive,
                deck->result.text[0] != '\0' ? deck->result.text
                                             : strerror(-closed));
        rc = MT_FAILED;
    }
    return rc;
}

static const struct mt_hands talkative = {
    .open = open_deck,
    .op = do_op,
    .get = do_get,
    .pos = do_pos,
    .why = why,
    .sense = sense,
};
static const struct mt_hands as_mt = {
    .open = open_deck,
    .op = do_op,
    .get = do_get,
    .pos = do_pos,
};

int
cli_run_mt(int argc, char **argv)
{
    struct cli cli = { .verb = &cli_verb_tape };
    struct deck deck = { .cli = &cli };
    struct mt mt = { .hands = &as_mt, .context = &deck };
    int rc = end_deck(&deck, mt_main(&mt, argc, argv));

    if (fflush(stdout) != 0 && rc == MT_DONE)
        rc = MT_FAILED;
    return rc;
}

static int
run_words(struct cli *cli, const char *drive)
{
    struct deck deck = { .cli = cli };
    struct mt mt = { .hands = &talkative,
                     .context = &deck,
                     .device = drive,
                     .json = cli->json };

    if (!mt_knows(cli->args[1])) {
        cli_say("tape: there is no \"%s\"; try: reinsert tape --help",
                cli->args[1]);
        return CLI_FAILED;
    }
    return end_deck(&deck, mt_words(&mt, cli->arg_count - 1, cli->args + 1));
}

/* --- the list ---------------------------------------------------------------------------- */

static const struct table_column columns[] = {
    { "DRIVE", "drive", AS_TEXT, ON_BOTH },
    { "STATE", "state", AS_TEXT, ON_BOTH },
    { "TAPE", "tape", AS_TEXT, ON_BOTH | SHRINKS },
    { "FORMAT", "format", AS_TEXT, ON_BOTH },
    { "BAR CODE", "barcode", AS_TEXT, ON_BOTH },
    { "FILE", "file", AS_TEXT, ON_BOTH },
    { "BLOCK", "block", AS_TEXT, ON_BOTH },
    { "ROOM", "remaining_bytes", AS_SIZE, ON_BOTH },
    { "PROTECTED", "write_protected", AS_FLAG, ON_BOTH },
    { "OPEN", "open", AS_FLAG, ON_BOTH },
    { "WAITS", "waiting", AS_FLAG, ON_BOTH },
    { "SEEN", "age_ms", AS_AGO, ON_BOTH },
};

/* drive: only this one, or NULL. */
static int
list(const struct cli *cli, const char *drive)
{
    json_t *reply, *rows, *row;
    size_t i;
    int rc = get_tapes(cli, &reply);

    if (rc != 0)
        return rc;
    rows = json_object_get(reply, "tapes");
    for (i = json_array_size(rows); drive != NULL && i-- > 0;) {
        row = json_array_get(rows, i);
        if (strcmp(json_text(row, "drive"), drive) != 0)
            json_array_remove(rows, i);
    }
    if (cli->json)
        print_json(reply);
    else
        table_print(cli, "tape", columns, sizeof columns / sizeof columns[0],
                    rows);
    json_decref(reply);
    return CLI_OK;
}

/* --- the verb ------------------------------------------------------------------------------ */

/* Words of ours, whole; mt has none that begin so. */
static const struct {
    const char *name;
    int (*run)(struct cli *cli, const char *drive);
} streams[] = {
    { "write", cli_tape_write },
    { "read", cli_tape_read },
};

static int
run(struct cli *cli)
{
    char drive[RI_NAME_MAX];
    int rc;

    if (cli->arg_count == 0)
        return list(cli, NULL);
    if (strcmp(cli->args[0], "mount") == 0)
        return cli_tape_mount(cli);
    if (cli->arg_count > 1 && strcmp(cli->args[1], "densities") == 0)
        return run_words(cli, cli->args[0]);
    rc = resolve(cli, cli->args[0], drive);
    if (rc != 0)
        return rc;
    if (cli->arg_count == 1)
        return list(cli, drive);
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        if (strcmp(cli->args[1], streams[i].name) != 0)
            continue;
        if (cli->arg_count > 2) {
            cli_say("tape: too many arguments");
            return CLI_USAGE;
        }
        return streams[i].run(cli, drive);
    }
    return run_words(cli, drive);
}

const struct cli_verb cli_verb_tape = {
    .name = "tape",
    .args = "[DRIVE [WORD [COUNT]]]",
    .summary = "Move, write and read a tape, in the words of mt",
    .text =
        "Without a word it lists tape drives.  The words are those of mt, and "
        "may be\n"
        "shortened as there:\n\n"
        "  status, tell              where the tape lies\n"
        "  rewind, eod, asf N        to the beginning, the end, file N\n"
        "  fsf, bsf, fsfm, bsfm N    over filemarks\n"
        "  fsr, bsr N                over records\n"
        "  seek N, partseek P N      to a block that tell named\n"
        "  weof N, erase             write filemarks, erase what follows\n"
        "  offline, load, retension  unload, load, tighten\n"
        "  lock, unlock              the door\n"
        "  setblk N, setdensity, compression, drvbuffer, ...\n"
        "                            how the drive works; densities lists "
        "codes\n\n"
        "And two of their own:\n\n"
        "  write                     standard input becomes a file on tape\n"
        "  read                      a file of the tape goes to standard "
        "output\n\n"
        "With --label or --span write makes a set: each tape says which part "
        "it is, and\n"
        "read checks that what it reads is what was written.  With --span "
        "both go on\n"
        "with the next tape, which a robot brings or a person is asked for.\n"
        "`reinsert tape mount DIR [DRIVE...]` offers the drives as files st0, "
        "nst0, ...\n"
        "for programs that know tapes: mt, tar, dd, cpio.\n"
        "Called as mt this verb is a replacement for it.\n",
    .options = OPT_CONTROL | OPT_JSON | OPT_QUIET | OPT_BLOCK_SIZE | OPT_TAPE |
               OPT_LABEL | OPT_SPAN | OPT_OVERWRITE | OPT_PAD | OPT_FILE |
               OPT_FILES | OPT_ALL | OPT_RAW | OPT_FOREGROUND,
    .args_min = 0,
    .args_max = 1000,
    .numbers = true,
    .run = run,
};
