/*
 * cmd_tape_mount.c - reinsert tape mount: tape drives as files
 *
 * Which drive becomes st0 stays so until it is unmounted; those that come later
 * are added behind the others (tape_mount_late.c), unless it was said which are
 * meant.  Runs as a daemon, with its words in the system's log, unless it is to
 * stay in the foreground.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include "cli/tape_mount_late.h"
#include "tapefuse/tapefuse.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

struct mounting {
    struct cli *cli;
    json_t *reply; /* of the service; the names are in it */
    json_t *all;   /* ... of all drives */
    const char *drives[TAPEFUSE_DRIVES_MAX];
    size_t drive_count;
    char *folder;
    char *control;
    struct tapefuse *fuse;
    sigset_t signals;
};

static void
say_here(const char *text)
{
    cli_say("%s", text);
}

static void
say_in_log(const char *text)
{
    syslog(LOG_WARNING, "%s", text);
}

static bool
is_drive(const json_t *tapes, const char *name)
{
    const json_t *tape;
    size_t i;

    json_array_foreach(tapes, i, tape)
    {
        if (strcmp(json_text(tape, "drive"), name) == 0)
            return true;
    }
    return false;
}

static int
add_drive(struct mounting *mounting, const char *name)
{
    if (mounting->drive_count == TAPEFUSE_DRIVES_MAX) {
        cli_say("mount: at most %d tape drives; name those that are meant",
                TAPEFUSE_DRIVES_MAX);
        return CLI_USAGE;
    }
    mounting->drives[mounting->drive_count++] = name;
    return 0;
}

/* One that is away may be a tape drive: nobody knows until it comes.  NULL: is
 * there any? */
static bool
may_come(const json_t *drives, const char *name)
{
    const json_t *drive;
    size_t i;

    json_array_foreach(drives, i, drive)
    {
        if (strcmp(json_text(drive, "state"), "away") == 0 &&
            (name == NULL || strcmp(json_text(drive, "name"), name) == 0))
            return true;
    }
    return false;
}

/* Those that are named, in this order, or all. */
static int
choose(struct mounting *mounting)
{
    const json_t *tapes = json_object_get(mounting->reply, "tapes"), *tape;
    const json_t *drives = json_object_get(mounting->all, "drives");
    const struct cli *cli = mounting->cli;
    int rc = 0;
    size_t i;

    for (int n = 2; n < cli->arg_count && rc == 0; n++) {
        if (!is_drive(tapes, cli->args[n]) && !may_come(drives, cli->args[n])) {
            cli_say("there is no tape drive %s", cli->args[n]);
            return CLI_FAILED;
        }
        rc = add_drive(mounting, cli->args[n]);
    }
    if (cli->arg_count > 2)
        return rc;
    json_array_foreach(tapes, i, tape)
    {
        if (rc == 0)
            rc = add_drive(mounting, json_text(tape, "drive"));
    }
    if (rc == 0 && mounting->drive_count == 0 && !may_come(drives, NULL)) {
        cli_say("the service has no tape drive");
        rc = CLI_FAILED;
    }
    return rc;
}

static int
ask_service(struct mounting *mounting)
{
    char path[RI_PATH_MAX];
    struct client *client;
    int rc = client_open(mounting->cli, &client);

    if (rc != 0)
        return rc;
    rc = client_get(client, "/v1/tapes", &mounting->reply);
    if (rc == 0)
        rc = client_get(client, "/v1/drives", &mounting->all);
    client_close(client);
    if (rc != 0)
        return rc;
    cli_control_path(mounting->cli, path, sizeof path);
    mounting->control = realpath(path, NULL);
    mounting->folder = realpath(mounting->cli->args[1], NULL);
    if (mounting->control == NULL || mounting->folder == NULL) {
        cli_say("%s: %s",
                mounting->control == NULL ? path : mounting->cli->args[1],
                strerror(errno));
        return CLI_FAILED;
    }
    return choose(mounting);
}

static void *
watch_signals(void *context)
{
    struct mounting *mounting = context;
    int number;

    while (sigwait(&mounting->signals, &number) != 0)
        continue;
    tapefuse_stop(mounting->fuse);
    return NULL;
}

static int
serve(struct mounting *mounting)
{
    pthread_t watcher;
    int error;

    if (!mounting->cli->foreground && tapefuse_background() != 0) {
        cli_say("mount: it cannot go to the background: %s", strerror(errno));
        return CLI_FAILED;
    }
    if (pthread_create(&watcher, NULL, watch_signals, mounting) != 0)
        return CLI_FAILED;
    (void) pthread_detach(watcher);
    if (mounting->cli->arg_count <= 2 &&
        tape_mount_follow(mounting->control, mounting->fuse,
                          mounting->cli->foreground ? say_here : say_in_log) !=
            0)
        return CLI_FAILED;
    error = tapefuse_serve(mounting->fuse);
    tape_mount_unfollow();
    if (error == -ETIMEDOUT) {
        (mounting->cli->foreground ? say_here : say_in_log)(
            "a drive is still busy; the service ends what it does");
        _exit(CLI_FAILED);
    }
    return error == 0 ? CLI_OK : CLI_FAILED;
}

static int
mount_and_serve(struct mounting *mounting)
{
    const struct cli *cli = mounting->cli;
    struct tapefuse_config config = {
        .folder = mounting->folder,
        .control = mounting->control,
        .drives = mounting->drives,
        .drive_count = mounting->drive_count,
        .say = cli->foreground ? say_here : say_in_log,
    };
    struct ri_error why = { "" };

    (void) sigemptyset(&mounting->signals);
    (void) sigaddset(&mounting->signals, SIGTERM);
    (void) sigaddset(&mounting->signals, SIGINT);
    (void) sigaddset(&mounting->signals, SIGHUP);
    (void) pthread_sigmask(SIG_BLOCK, &mounting->signals, NULL);
    openlog("reinsert", LOG_PID, LOG_DAEMON);
    if (tapefuse_new(&config, &mounting->fuse, &why) != 0) {
        cli_say("%s", why.text);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < mounting->drive_count; i++) {
        printf("%s/nst%zu%s", cli->args[1], i, cli->tty ? "  " : "\t");
        print_clean(mounting->drives[i]);
        printf("\n");
    }
    (void) fflush(stdout);
    return serve(mounting);
}

int
cli_tape_mount(struct cli *cli)
{
    struct mounting mounting = { .cli = cli };
    int rc;

    if (cli->arg_count < 2) {
        cli_say("mount: which folder?");
        return CLI_USAGE;
    }
    rc = ask_service(&mounting);
    if (rc == 0)
        rc = mount_and_serve(&mounting);
    tapefuse_free(mounting.fuse);
    free(mounting.folder);
    free(mounting.control);
    json_decref(mounting.reply);
    json_decref(mounting.all);
    return rc;
}
