/*
 * cmd_prompts.c - reinsert prompts [--watch], and reinsert answer
 *
 * Watching follows the events and compares the list of prompts after each one
 * that could have changed it, so that nothing is missed however the events are
 * worded, nor when some were lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/prompt_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct table_column prompt_columns[] = {
    { "", "id", AS_TEXT, ON_PIPE },      { "", "volume", AS_TEXT, ON_PIPE },
    { "", "drive", AS_TEXT, ON_PIPE },   { "", "reason", AS_TEXT, ON_PIPE },
    { "", "waiting", AS_TEXT, ON_PIPE }, { "", "age_ms", AS_TEXT, ON_PIPE },
    { "", "title", AS_TEXT, ON_PIPE },   { "", "text", AS_TEXT, ON_PIPE },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void
prompt_print(const struct cli *cli, const json_t *prompt)
{
    uint64_t waiting = json_number(prompt, "waiting");
    int id = (int) json_number(prompt, "id");
    char age[32];
    json_t *word;
    size_t i;

    if (!cli->tty) {
        json_t *rows = json_pack("[O]", prompt);

        table_print(cli, "prompt", prompt_columns, COUNT(prompt_columns), rows);
        json_decref(rows);
        return;
    }
    format_age(json_number(prompt, "age_ms"), age, sizeof age);
    printf("Question %d: ", id);
    print_clean(json_text(prompt, "title"));
    putchar('\n');
    print_wrapped(json_text(prompt, "text"), 4);
    printf("    Asked %s ago; %d request%s.  %s\n", age, (int) waiting,
           waiting == 1 ? " waits" : "s wait", json_text(prompt, "reason"));
    printf("    To answer: reinsert answer %d ", id);
    json_array_foreach(json_object_get(prompt, "answers"), i, word)
        printf("%s%s", i > 0 ? "|" : "", json_string_value(word));
    putchar('\n');
}

static void
print_end(const struct cli *cli, uint64_t id, const char *text)
{
    printf(cli->tty ? "Question %d is settled: " : "end\t%d\t", (int) id);
    print_clean(text[0] != '\0' ? text : "it is gone");
    putchar('\n');
}

/* --- watching
 * ------------------------------------------------------------------ */

struct watch {
    const struct cli *cli;
    struct client *client;
    json_t *known; /* the prompts shown so far */
};

static const json_t *
find_id(const json_t *prompts, uint64_t id)
{
    size_t i;
    json_t *row;

    json_array_foreach(prompts, i,
                       row) if (json_number(row, "id") == id) return row;
    return NULL;
}

/* JSON lines: a prompt as the API gives it, and {"end": ID, "text": ...}. */
static void
show_json(const json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
}

static void
show_changes(struct watch *watch, const json_t *now, const json_t *event)
{
    size_t i;
    json_t *row;

    json_array_foreach(watch->known, i, row)
    {
        uint64_t id = json_number(row, "id");
        const char *why =
            json_number(event, "prompt") == id ? json_text(event, "text") : "";

        if (find_id(now, id) != NULL)
            continue;
        if (watch->cli->json) {
            json_t *line =
                json_pack("{s:I, s:s}", "end", (json_int_t) id, "text", why);

            show_json(line);
            json_decref(line);
        } else {
            print_end(watch->cli, id, why);
        }
    }
    json_array_foreach(now, i, row)
    {
        if (find_id(watch->known, json_number(row, "id")) != NULL)
            continue;
        if (watch->cli->json)
            show_json(row);
        else
            prompt_print(watch->cli, row);
    }
    fflush(stdout);
}

/* A recovery file is told of as well: it is what a cancel leaves behind. */
static int
show_recovery(const struct watch *watch, const json_t *event)
{
    json_t *line;

    if (watch->cli->json) {
        line = json_pack("{s:O, s:O}", "recovery",
                         json_object_get(event, "volume"), "text",
                         json_object_get(event, "text"));
        show_json(line);
        json_decref(line);
    } else {
        printf(watch->cli->tty ? "" : "recovery\t");
        if (!watch->cli->tty) {
            print_clean(json_text(event, "volume"));
            putchar('\t');
        }
        print_clean(json_text(event, "text"));
        putchar('\n');
    }
    fflush(stdout);
    return ferror(stdout) ? CLI_FAILED : 0;
}

static int
on_event(void *context, const char *kind, json_t *event)
{
    struct watch *watch = context;
    json_t *reply, *now;
    int rc;

    if (strcmp(kind, "recovery") == 0)
        return show_recovery(watch, event);
    if (kind[0] != '\0' && strcmp(kind, "lost") != 0 &&
        json_number(event, "prompt") == 0)
        return 0;
    rc = client_get(watch->client, "/v1/prompts", &reply);
    if (rc != 0)
        return rc;
    now = json_object_get(reply, "prompts");
    if (kind[0] == '\0' && watch->cli->tty && json_array_size(now) == 0)
        printf("No questions now; watching.  Ctrl-C ends.\n");
    show_changes(watch, now, event);
    json_decref(watch->known);
    watch->known = json_incref(now);
    json_decref(reply);
    return ferror(stdout) ? CLI_FAILED : 0;
}

static int
watch_prompts(struct cli *cli, struct client *client)
{
    struct watch watch = { cli, client, json_array() };
    int rc = client_events(client, on_event, &watch);

    json_decref(watch.known);
    return rc;
}

/* --- once
 * ------------------------------------------------------------------------ */

static int
show_prompts(struct cli *cli, struct client *client)
{
    json_t *reply, *row;
    size_t i;
    int rc = client_get(client, "/v1/prompts", &reply);

    if (rc != 0)
        return rc;
    if (cli->json) {
        print_json(reply);
    } else if (cli->tty &&
               json_array_size(json_object_get(reply, "prompts")) == 0) {
        printf("No questions.\n");
    } else {
        json_array_foreach(json_object_get(reply, "prompts"), i, row)
        {
            prompt_print(cli, row);
        }
    }
    json_decref(reply);
    return 0;
}

static int
run(struct cli *cli)
{
    struct client *client;
    int rc = client_open(cli, &client);

    if (rc != 0)
        return rc;
    rc = cli->watch ? watch_prompts(cli, client) : show_prompts(cli, client);
    client_close(client);
    return rc;
}

static void
print_answered(const struct cli *cli, const json_t *reply)
{
    const char *file = json_text(json_object_get(reply, "prompt"), "recovery");

    if (cli->json) {
        print_json(reply);
        return;
    }
    printf(cli->tty ? "Question %s is answered: %s.\n" : "answered\t%s\t%s\t",
           cli->args[0], cli->args[1]);
    if (cli->tty && file[0] == '\0')
        return;
    if (cli->tty)
        printf("What was not written yet is kept in ");
    print_clean(file);
    putchar('\n');
}

static int
run_answer(struct cli *cli)
{
    struct client *client;
    char *path = client_path("/v1/prompts/", cli->args[0], "/answer");
    json_t *body = json_pack("{s:s}", "answer", cli->args[1]);
    json_t *reply;
    int rc;

    if (strcmp(cli->args[1], "retry") != 0 &&
        strcmp(cli->args[1], "cancel") != 0 &&
        strcmp(cli->args[1], "use") != 0) {
        cli_say("answer: \"%s\" is none of retry, cancel, use", cli->args[1]);
        rc = CLI_USAGE;
    } else if ((rc = client_open(cli, &client)) == 0) {
        rc = client_post(client, path, body, &reply);
        if (rc == 0) {
            print_answered(cli, reply);
            json_decref(reply);
        }
        client_close(client);
    }
    json_decref(body);
    free(path);
    return rc;
}

const struct cli_verb cli_verb_prompts = {
    .name = "prompts",
    .args = "[--watch]",
    .summary = "Show the questions that wait for an answer",
    .text = "A question stands for requests that wait for a medium.  It goes "
            "away by itself\nwhen the right medium is put into any drive.\n",
    .options = OPT_CONTROL | OPT_JSON | OPT_WATCH,
    .run = run,
};

const struct cli_verb cli_verb_answer = {
    .name = "answer",
    .args = "ID retry|cancel|use",
    .summary = "Answer a question",
    .text =
        "retry   tries again at once, and asks again if that does not help\n"
        "cancel  fails the requests that wait with an I/O error; what was "
        "written\n"
        "        before, and not flushed, goes to a recovery file\n"
        "use     takes a volume that was changed elsewhere as it is now; its\n"
        "        clients have to open it anew, and what was not flushed goes "
        "to a\n"
        "        recovery file\n",
    .options = OPT_CONTROL | OPT_JSON,
    .args_min = 2,
    .args_max = 2,
    .run = run_answer,
};
