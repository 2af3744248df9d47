/*
 * cli.h - what the files of the command line share
 *
 * A verb is a struct at the foot of its file, and a line in the table of
 * verbs.c; options are rows of one table in options.c.  Help, usage errors and
 * the test against the manual page come from these two tables.
 *
 * The client verbs run on one thread.  Only serve has others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_H
#define CLI_H

#include <jansson.h>

#include "reinsert.h"

/* sg3_utils' numbers where a device caused it; docs/reinsert.1.scd has them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2, /* also a bad configuration */
    CLI_NOT_READY = 2,
    CLI_MEDIUM = 3, /* medium or hardware error */
    CLI_ILLEGAL = 5,
    CLI_PROTECTED = 7,
    CLI_TIMEOUT = 33,
};

enum cli_option {
    OPT_HELP = 1,
    OPT_JSON = 2,
    OPT_CONTROL = 4,
    OPT_CONFIG = 8,
    OPT_NBD = 16,
    OPT_QUIET = 32,
    OPT_WATCH = 64,
    OPT_TO = 128,
    OPT_FORCE = 256,
    OPT_DRY_RUN = 512,
    OPT_LIBRARY = 1024,
    OPT_DISCOVER = 2048,
    OPT_GUIDED = 4096,
    OPT_FOREGROUND = 8192,
    OPT_BLOCK_SIZE = 1 << 14,
    OPT_TAPE = 1 << 15,
    OPT_LABEL = 1 << 16,
    OPT_PAD = 1 << 17,
    OPT_SPAN = 1 << 18,
    OPT_OVERWRITE = 1 << 19,
    OPT_FILE = 1 << 20,
    OPT_FILES = 1 << 21,
    OPT_ALL = 1 << 22,
    OPT_RAW = 1 << 23,
};

/* The parsed command line. */
struct cli {
    const struct cli_verb *verb;
    bool help, json, quiet, watch, force, dry_run, guided, foreground;
    bool tty;            /* stdout is a terminal */
    const char *control; /* as given, or NULL */
    const char *config;
    const char *to;
    const char *library;
    const char *nbd[RI_LISTEN_MAX];
    size_t nbd_count;
    const char *discover[RI_LISTEN_MAX]; /* portals */
    size_t discover_count;
    size_t block_size;          /* 0: not given */
    const char *tape, *label;   /* names, or NULL */
    bool pad, span, overwrite, all, raw;
    bool to_file;               /* file is given */
    int64_t file, files;
    char **words; /* all of it, as main got it */
    char **args;  /* without options */
    int arg_count;
};

struct cli_verb {
    const char *name;
    const char *args;    /* for the usage line */
    const char *summary; /* one line of `reinsert help` */
    const char *text;    /* the rest of its --help */
    unsigned options;    /* enum cli_option, without OPT_HELP */
    int args_min, args_max;
    bool numbers; /* -7 is an argument, and no option is behind it */
    int (*run)(struct cli *cli);
};

extern const struct cli_verb cli_verb_serve, cli_verb_status, cli_verb_insert,
    cli_verb_eject, cli_verb_press, cli_verb_yank, cli_verb_prompts, cli_verb_answer,
    cli_verb_events, cli_verb_errors, cli_verb_recover, cli_verb_changer,
    cli_verb_tape,
    cli_verb_drives, cli_verb_probe, cli_verb_library, cli_verb_sense,
    cli_verb_states, cli_verb_commands, cli_verb_version, cli_verb_help;

/* --- verbs.c, or verbs_client.c of the small program
 * ---------------------------------------------------------------------------
 */

extern const struct cli_verb *const cli_verbs[]; /* ends with NULL */
/* argv[1] is none of them, or is not there: the exit code. */
int cli_no_verb(char **argv);

/* --- main.c ------------------------------------------------------------------
 */

const struct cli_verb *cli_verb_find(const char *name);
/* "reinsert: " and a line, on stderr. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- cmd_tape_mount.c: `reinsert tape mount`
 * ------------------------------------------------------------------------ */

/* args[1]: the folder; then the drives, all if none is named. */
int cli_tape_mount(struct cli *cli);

/* --- cmd_changer.c: as `mtx`, called by that name
 * ----------------------------------------------------------------------- */

int cli_run_mtx(int argc, char **argv);

/* --- cmd_tape.c: as `mt`, called by that name -------------------------------- */

int cli_run_mt(int argc, char **argv);

/* --- options.c
 * ----------------------------------------------------------------- */

/* 0, or CLI_USAGE after it said what is wrong. */
int cli_parse(struct cli *cli, int argc, char **argv);
void cli_print_usage(const struct cli_verb *verb);
void cli_print_help(const struct cli_verb *verb);

/* --- paths.c
 * --------------------------------------------------------------------- */

/* The folder that serve uses by default; made, with mode 0700.  0 or -errno. */
int cli_default_folder(char *out_path, size_t max, struct ri_error *out_error);
/* Where a client finds the service: --control, REINSERT_CONTROL, or the first
 * default place where there is a socket. */
void cli_control_path(const struct cli *cli, char *out_path, size_t max);
/* Is it where a client without --control looks? */
bool cli_control_is_default(const char *path);
/* For the service, which may run in another folder; free().  The file need not
 * be there for us to see: the service says so in better words. */
char *cli_absolute(const char *image);

/* --- client.c
 * ---------------------------------------------------------------------- */

struct client;

/* Each returns 0 or an exit code after it said what is wrong on stderr. */
int client_open(const struct cli *cli, struct client **out_client);
void client_close(struct client *client);
int client_get(struct client *client, const char *path, json_t **out_reply);
int client_post(struct client *client, const char *path, const json_t *body,
                json_t **out_reply);
/* An answer of the API that says no is an answer here, and nothing is said. */
int client_try(struct client *client, const char *path, const json_t *body,
               json_t **out_reply);
/* Called now and then, about once a second, while an answer is waited for. */
typedef void client_wait_fn(void *context);
void client_on_wait(struct client *client, client_wait_fn *tick, void *context);
/* "/v1/drives/" NAME "/eject", with the name escaped; free(). */
char *client_path(const char *before, const char *name, const char *after);

/* Called first with kind "" and no data once the stream is open, so that
 * nothing that is read then can be missed later.  0: go on; else the stream
 * ends with that code. */
typedef int client_event_fn(void *context, const char *kind, json_t *data);

enum { CLIENT_STOP = -1 }; /* the stream ends with 0 */

int client_events(struct client *client, client_event_fn *fn, void *context);

/* --- sse.c
 * ---------------------------------------------------------------------------
 */

struct sse;

struct sse *sse_new(client_event_fn *fn, void *context);
/* Any piece of the stream; passes on what fn returns, and 0 otherwise. */
int sse_feed(struct sse *sse, const char *data, size_t len);
void sse_free(struct sse *sse);

/* --- output.c
 * -------------------------------------------------------------------------- */

enum format {
    AS_TEXT,
    AS_SIZE,        /* 64 MiB */
    AS_AGE,         /* 3 s */
    AS_AGO,         /* 3 s ago */
    AS_FLAG,        /* yes, or - */
    AS_DRIVE_STATE, /* state, and what else to know */
};

enum { ON_TTY = 1, ON_PIPE = 2, ON_BOTH = 3, SHRINKS = 4 };

struct table_column {
    const char *heading;
    const char *field;
    enum format format;
    unsigned flags;
};

/* tty: aligned, with headings.  Pipe: RECORD and the raw values, with tabs. */
void table_print(const struct cli *cli, const char *record,
                 const struct table_column *columns, size_t count,
                 const json_t *rows);
void print_json(const json_t *value);
/* Text from outside, without what could upset a terminal or a table. */
void print_clean(const char *text);
/* Words wrapped to the terminal, each line indented. */
void print_wrapped(const char *text, int indent);
void format_size(uint64_t bytes, char *out, size_t max);
void format_age(uint64_t ms, char *out, size_t max);
const char *json_text(const json_t *object, const char *field);
uint64_t json_number(const json_t *object, const char *field);

/* --- eventlog.c
 * -------------------------------------------------------------------------- */

/* Prints the service's events on stderr from a thread of its own. */
struct eventlog;

/* from_start: also what happened before. */
struct eventlog *eventlog_start(struct ri_service *service, bool from_start);
/* Waits at most 100 ms for a stderr that does not move.  freed: the service is,
 * and its subscribers with it. */
void eventlog_stop(struct eventlog *log, bool freed);

/* --- sense_text.c
 * ----------------------------------------------------------------------------
 */

#define SENSE_MAX 252

/* Bytes in hex with any of the usual separators, or K/ASC[/ASCQ], which
 * becomes fixed format sense.  False: out_why says what is wrong. */
bool sense_parse(char *const *words, int count, uint8_t *out_sense,
                 size_t *out_len, char *out_why, size_t why_max);

#endif
