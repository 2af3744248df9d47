/*
 * cmd_sense.c - reinsert sense: what sense data means, and what is done then
 *
 * Needs no service: it asks the library that the service itself uses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>

static void
print_json_info(const struct ri_sense_info *info)
{
    json_t *object = json_pack(
        "{s:i, s:s, s:i, s:i, s:s, s:b, s:{s:s, s:I}, s:b, s:i, s:s}", "key",
        info->key, "key_text", info->key_text, "asc", info->asc, "ascq",
        info->ascq, "text", info->text, "deferred", info->deferred, "status",
        "name", info->status, "value", (json_int_t) info->status_value, "retry",
        info->retry, "retry_delay_s", (int) info->retry_delay_s, "action",
        info->action);

    print_json(object);
    json_decref(object);
}

static void
print_info(const struct cli *cli, const struct ri_sense_info *info)
{
    char sense[32], status[96], retry[64];
    const char *const rows[][3] = {
        { "sense", "Sense", sense },
        { "key", "Sense key", info->key_text },
        { "text", "Meaning", info->text },
        { "status", "Status", status },
        { "retry", "Retried", retry },
        { "deferred", "Deferred",
          info->deferred ? "yes: an earlier command failed" : "no" },
        { "action", "What is done", info->action },
    };

    snprintf(sense, sizeof sense, "%X/%02X/%02X", info->key, info->asc,
             info->ascq);
    snprintf(status, sizeof status, "%s (0x%08X)", info->status,
             info->status_value);
    if (info->retry)
        snprintf(retry, sizeof retry, "yes, after %u s", info->retry_delay_s);
    else
        snprintf(retry, sizeof retry, "no");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (cli->tty)
            printf("%-13s %s\n", rows[i][1], rows[i][2]);
        else
            printf("%s\t%s\n", rows[i][0], rows[i][2]);
}

static int
run(struct cli *cli)
{
    struct ri_sense_info info = { 0 };
    struct ri_error error = { "" };
    uint8_t sense[SENSE_MAX];
    size_t len;
    char why[128];

    if (!sense_parse(cli->args, cli->arg_count, sense, &len, why, sizeof why)) {
        cli_say("sense: %s", why);
        return CLI_USAGE;
    }
    if (ri_sense_decode(sense, len, &info, &error) != 0) {
        cli_say("sense: %s", error.text);
        return CLI_USAGE;
    }
    if (cli->json)
        print_json_info(&info);
    else
        print_info(cli, &info);
    return CLI_OK;
}

const struct cli_verb cli_verb_sense = {
    .name = "sense",
    .args = "HEX...",
    .summary = "Explain sense data: meaning, status, and what is done about it",
    .text = "Takes the bytes in any usual form (70 00 02 ..., 700002...,\n"
            "0x70,0x00,...) or KEY/ASC/ASCQ, as in 2/3A/00.  Needs no "
            "service.\n",
    .options = OPT_JSON,
    .args_min = 1,
    .args_max = INT_MAX,
    .run = run,
};
