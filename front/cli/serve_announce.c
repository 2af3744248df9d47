/*
 * serve_announce.c - what `reinsert serve` says when it is ready
 *
 * Commands that can be pasted as they are: names are escaped for URIs and
 * quoted for the shell.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URI_MAX (4 * RI_PATH_MAX)

/* Plain words stay as they are. */
static void
quote(const char *word, char *out, size_t max)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-:+=@%,";
    size_t n = 0;

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        snprintf(out, max, "%s", word);
        return;
    }
    out[n++] = '\'';
    for (; *word != '\0' && n + 6 < max; word++) {
        if (*word == '\'') {
            memcpy(out + n, "'\\''", 4);
            n += 4;
        } else {
            out[n++] = *word;
        }
    }
    out[n++] = '\'';
    out[n] = '\0';
}

static void
say(const struct cli *cli, const char *key, const char *words,
    const char *command)
{
    if (cli->tty)
        printf("  %-26s ", words);
    else
        printf("%s\t", key);
    print_clean(command);
    putchar('\n');
}

/* The first volume, or else an export of any kind; false: there is none. */
static bool
pick_export(const struct serving *s, char *out_name)
{
    struct ri_export_info *list = NULL;
    size_t count = 0;
    bool found;

    if (ri_exports(s->service, &list, &count) != 0)
        return false;
    found = count > 0;
    if (found)
        snprintf(out_name, RI_NAME_MAX, "%s", list[0].name);
    free(list);
    return found;
}

/* The first library; false: there is none. */
static bool
pick_library(const struct serving *s, char *out_name)
{
    struct ri_library_info *list = NULL;
    size_t count = 0;

    if (ri_libraries(s->service, &list, &count) != 0)
        return false;
    if (count > 0)
        snprintf(out_name, RI_NAME_MAX, "%s", list[0].name);
    free(list);
    return count > 0;
}

/* Hands reach drives that belong to no library. */
static bool
is_in_a_library(const char *drive, const struct ri_library_info *libraries,
                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(libraries[i].name);

        if (strncmp(drive, libraries[i].name, len) == 0 && drive[len] == '-' &&
            drive[len + 1 + strspn(drive + len + 1, "0123456789")] == '\0')
            return true;
    }
    return false;
}

/* Of no library; `emulated`: into which media are put by a command. */
static bool
pick_drive(const struct serving *s, bool emulated, char *out_name)
{
    struct ri_library_info *libraries = NULL;
    struct ri_drive_info *list = NULL;
    size_t count = 0, library_count = 0;
    bool found = false;

    if (ri_drives(s->service, &list, &count) != 0 ||
        ri_libraries(s->service, &libraries, &library_count) != 0)
        count = 0;
    for (size_t i = 0; i < count && !found; i++) {
        found = !(emulated && list[i].real) &&
                !is_in_a_library(list[i].name, libraries, library_count);
        if (found)
            snprintf(out_name, RI_NAME_MAX, "%s", list[i].name);
    }
    free(libraries);
    free(list);
    return found;
}

static void
say_connect(const struct cli *cli, const char *address, const char *export_)
{
    char uri[URI_MAX], words[2 * URI_MAX], command[3 * URI_MAX];
    char name[4 * RI_NAME_MAX + 8], path[4 * RI_PATH_MAX + 8];

    if (!api_nbd_uri(address, export_, uri, sizeof uri))
        return;
    quote(uri, words, sizeof words);
    snprintf(command, sizeof command, "nbdcopy --progress %s copy.img", words);
    say(cli, "copy", "copy a volume", command);
    if (strncmp(address, "unix:", 5) != 0)
        return;
    quote(address + 5, path, sizeof path);
    quote(export_, name, sizeof name);
    snprintf(command, sizeof command, "nbd-client -unix %s -N %s /dev/nbd0",
             path, name);
    say(cli, "attach", "make it a block device", command);
}

static void
say_nbd(const struct cli *cli, const struct serving *s)
{
    char uri[URI_MAX], words[2 * URI_MAX], command[3 * URI_MAX];
    char name[RI_NAME_MAX];

    for (size_t i = 0; i < s->address_count; i++) {
        if (!api_nbd_uri(s->addresses[i], "", uri, sizeof uri))
            continue;
        quote(uri, words, sizeof words);
        snprintf(command, sizeof command, "nbdinfo --list %s", words);
        say(cli, "list", "list what is exported", command);
    }
    if (s->address_count > 0 && pick_export(s, name))
        say_connect(cli, s->addresses[0], name);
}

/* The client verbs, with --control where they would not find us without. */
static void
say_verbs(const struct cli *cli, const struct serving *s)
{
    char option[4 * RI_PATH_MAX + 32] = "", path[4 * RI_PATH_MAX + 8];
    char command[5 * RI_PATH_MAX], name[RI_NAME_MAX], word[5 * RI_NAME_MAX];

    if (!cli_control_is_default(s->control)) {
        quote(s->control, path, sizeof path);
        snprintf(option, sizeof option, " --control %s", path);
    }
    snprintf(command, sizeof command, "reinsert status%s", option);
    say(cli, "status", "see drives and volumes", command);
    snprintf(command, sizeof command, "reinsert prompts --watch%s", option);
    say(cli, "prompts", "see questions", command);
    if (pick_drive(s, true, name) || pick_drive(s, false, name)) {
        quote(name, word, sizeof word);
        snprintf(command, sizeof command, "reinsert eject%s %s", option, word);
        say(cli, "eject", "take a medium out", command);
    }
    if (pick_drive(s, true, name)) {
        quote(name, word, sizeof word);
        snprintf(command, sizeof command, "reinsert insert%s %s IMAGE", option,
                 word);
        say(cli, "insert", "put one in", command);
    }
    if (pick_library(s, name)) {
        quote(name, word, sizeof word);
        snprintf(command, sizeof command, "reinsert changer%s -f %s status",
                 option, word);
        say(cli, "library", "see what is in which slot", command);
        snprintf(command, sizeof command, "reinsert library%s scan %s", option,
                 word);
        say(cli, "scan", "learn what is on each", command);
    }
    snprintf(command, sizeof command,
             cli->tty ? "Ctrl-C, or kill %d" : "kill %d", (int) getpid());
    say(cli, "stop", "stop", command);
}

static void
print_json_ready(const struct serving *s)
{
    json_t *nbd = json_array(), *object;
    char uri[URI_MAX];

    for (size_t i = 0; i < s->address_count; i++)
        if (api_nbd_uri(s->addresses[i], "", uri, sizeof uri))
            json_array_append_new(nbd, json_pack("{s:s, s:s}", "address",
                                                 s->addresses[i], "uri", uri));
    object = json_pack("{s:s, s:i, s:s, s:o}", "version", ri_version(), "pid",
                       (int) getpid(), "control", s->control, "nbd", nbd);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void
say_counts(const struct cli *cli, const struct serving *s)
{
    struct ri_drive_info *drives = NULL;
    struct ri_volume_info *volumes = NULL;
    size_t drive_count = 0, volume_count = 0;

    if (ri_drives(s->service, &drives, &drive_count) == 0)
        free(drives);
    if (ri_volumes(s->service, &volumes, &volume_count) == 0)
        free(volumes);
    if (cli->tty)
        printf("reinsert %s: %zu drive%s, %zu volume%s\n\n", ri_version(),
               drive_count, drive_count == 1 ? "" : "s", volume_count,
               volume_count == 1 ? "" : "s");
    else
        printf("version\t%s\ndrives\t%zu\nvolumes\t%zu\n", ri_version(),
               drive_count, volume_count);
}

void
serve_announce(const struct cli *cli, const struct serving *s)
{
    char control[RI_PATH_MAX];

    if (cli->json) {
        print_json_ready(s);
    } else {
        say_counts(cli, s);
        say_nbd(cli, s);
        say_verbs(cli, s);
        snprintf(control, sizeof control, "%s", s->control);
        if (!cli->tty)
            say(cli, "control", "", control);
        printf(cli->tty ? "\n" : "ready\t%d\n", (int) getpid());
    }
    fflush(stdout);
}
