/*
 * cmd_serve.c - reinsert serve: the service, in the foreground
 *
 * Starts the stack, the NBD server and the control API, says what can be done
 * with them, and waits for a signal.  The end takes less than a second,
 * but for recovery files that have to be written: a timer makes sure of it,
 * whatever hangs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/serve.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Each step of the end has its own limits, and a second is enough for all of
 * them, but for drives that answer nothing.  This is for what hangs: it comes
 * before recovery files are written, so a machine that is merely busy must not
 * meet it. */
#define END_MS  30000
#define KEEP_MS 60000 /* a recovery file, on a slow disk */

/* --- configuration
 * ------------------------------------------------------------ */

/* 0 or an exit code. */
static int
load_config(const struct cli *cli, struct ri_config *config)
{
    struct ri_error error = { "" };

    if ((cli->config != NULL) == (cli->arg_count > 0)) {
        cli_say("serve: %s", cli->config != NULL
                                 ? "images or --config, not both"
                                 : "which images?  (or --config FILE)");
        cli_print_usage(cli->verb);
        return CLI_USAGE;
    }
    if (cli->config != NULL) {
        if (ri_config_load(cli->config, config, &error) == 0)
            return 0;
        /* As compilers write it, for editors: FILE:LINE: what is wrong. */
        fprintf(stderr, "%s\n", error.text);
        return CLI_USAGE;
    }
    for (int i = 0; i < cli->arg_count; i++) {
        char *image = cli_absolute(cli->args[i]);
        int rc = image != NULL ? ri_config_add_image(config, image, &error)
                               : -ENOMEM;

        free(image);
        if (rc != 0) {
            cli_say("serve: %s", error.text);
            return CLI_FAILED;
        }
    }
    return 0;
}

static bool
set_listener(struct ri_config *config, const char *address)
{
    bool bare = address[0] == '/';

    if ((!bare && strncmp(address, "unix:", 5) != 0 &&
         strncmp(address, "tcp:", 4) != 0) ||
        strlen(address) + 5 >= RI_PATH_MAX) {
        cli_say("serve: --nbd: \"%s\" is neither unix:PATH nor tcp:HOST:PORT",
                address);
        return false;
    }
    snprintf(config->nbd[config->nbd_count++], RI_PATH_MAX, "%s%s",
             bare ? "unix:" : "", address);
    return true;
}

static bool
set_control(struct ri_config *config, const char *path)
{
    if (strncmp(path, "unix:", 5) == 0)
        path += 5;
    if (path[0] == '\0' || strlen(path) >= RI_PATH_MAX) {
        cli_say("serve: --control: \"%s\" is no path", path);
        return false;
    }
    snprintf(config->control, sizeof config->control, "%s", path);
    return true;
}

/* The command line overrides the file; what neither says gets a default. */
static int
complete_config(const struct cli *cli, struct ri_config *config)
{
    char folder[RI_PATH_MAX];
    struct ri_error error = { "" };
    const char *control =
        cli->control != NULL ? cli->control : getenv("REINSERT_CONTROL");

    if (cli->nbd_count > 0)
        config->nbd_count = 0;
    for (size_t i = 0; i < cli->nbd_count; i++)
        if (!set_listener(config, cli->nbd[i]))
            return CLI_USAGE;
    if (control != NULL && control[0] == '\0' && cli->control == NULL)
        control = NULL;
    if (control != NULL &&
        (cli->control != NULL || config->control[0] == '\0') &&
        !set_control(config, control))
        return CLI_USAGE;
    if (config->nbd_count > 0 && config->control[0] != '\0')
        return 0;
    if (cli_default_folder(folder, sizeof folder, &error) != 0) {
        cli_say("serve: %s", error.text);
        return CLI_FAILED;
    }
    if (config->nbd_count == 0)
        snprintf(config->nbd[config->nbd_count++], RI_PATH_MAX,
                 "unix:%.1000s/nbd.sock", folder);
    if (config->control[0] == '\0')
        snprintf(config->control, sizeof config->control,
                 "%.1000s/control.sock", folder);
    return 0;
}

/* --- the end
 * ---------------------------------------------------------------------- */

static const char *volatile end_step = "";

/* Async-signal-safe: says what hangs, and ends the process. */
static void
on_alarm(int signal_number)
{
    static const char before[] = "reinsert: ended by force, waiting for ";
    const char *step = end_step;

    (void) signal_number;
    if (write(STDERR_FILENO, before, sizeof before - 1) < 0 ||
        write(STDERR_FILENO, step, strlen(step)) < 0 ||
        write(STDERR_FILENO, "\n", 1) < 0)
        _exit(CLI_FAILED);
    _exit(CLI_FAILED);
}

static void
set_watchdog(unsigned ms)
{
    struct itimerval timer = { .it_value.tv_sec = ms / 1000,
                               .it_value.tv_usec = ms % 1000 * 1000 };

    setitimer(ITIMER_REAL, &timer, NULL);
}

static void
start_watchdog(void)
{
    struct sigaction action = { .sa_handler = on_alarm };
    sigset_t set;

    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    set_watchdog(END_MS);
}

/* Who asked for no events is told of these all the same. */
static void
say_kept(const struct serving *s, size_t before)
{
    struct ri_recovery_info *list = NULL;
    size_t count = 0;

    if (s->log != NULL || ri_recovery(s->service, &list, &count) != 0)
        return;
    for (size_t i = before; i < count; i++)
        cli_say("what volume %s still lacks is kept in %s", list[i].volume,
                list[i].file);
    free(list);
}

static size_t
kept_count(struct ri_service *service)
{
    struct ri_recovery_info *list = NULL;
    size_t count = 0;

    if (ri_recovery(service, &list, &count) == 0)
        free(list);
    return count;
}

static void
end_service(struct serving *s)
{
    size_t before = kept_count(s->service);

    end_step = "the drives";
    ri_service_shutdown(s->service);
    end_step = "the recovery files";
    set_watchdog(KEEP_MS);
    ri_service_keep(s->service);
    say_kept(s, before);
    set_watchdog(KEEP_MS); /* sessions of tapes may write such files, too */
}

/* On a thread of its own: it may take as long as the NBD server does. */
static void *
stop_api(void *context)
{
    struct serving *s = context;

    if (api_server_stop(s->api) != 0)
        s->left_behind = true;
    return NULL;
}

/* Who asked for no events is told, too, what cannot be given back. */
static void
free_service(struct serving *s)
{
    bool used = s->left_behind || s->nbd_left_behind;

    end_step = "the drives";
    if (s->log == NULL && !used)
        s->log = eventlog_start(s->service, false);
    /* Something still uses it: the end of the process frees it. */
    if (!used)
        ri_service_free(s->service);
    end_step = "the event log";
    eventlog_stop(s->log, !used);
}

static void
stop_all(struct serving *s)
{
    pthread_t thread;
    bool parallel;

    if (s->service != NULL)
        end_service(s);
    end_step = "the clients of the control socket";
    parallel = pthread_create(&thread, NULL, stop_api, s) == 0;
    if (!parallel)
        stop_api(s);
    end_step = "the NBD clients";
    if (nbd_server_stop(s->nbd) != 0)
        s->nbd_left_behind = true;
    end_step = "the clients of the control socket";
    if (parallel)
        pthread_join(thread, NULL);
    if (s->service != NULL)
        free_service(s);
}

/* --- life
 * ----------------------------------------------------------------------------
 */

/* What was found at the start; those who print events have it from there. */
static void
say_warnings(struct serving *s)
{
    struct ri_unflushed_log_info info;
    char *rest = info.warning, *line;

    ri_unflushed_log(s->service, &info);
    while ((line = strsep(&rest, "\n")) != NULL)
        if (line[0] != '\0')
            cli_say("serve: warning: %s", line);
}

static int
start_all(const struct cli *cli, const struct ri_config *config,
          struct serving *s)
{
    struct ri_error error = { "" };
    const char *listeners[RI_LISTEN_MAX];

    for (size_t i = 0; i < config->nbd_count; i++)
        listeners[i] = config->nbd[i];
    if (ri_service_start(config, &s->service, &error) != 0)
        goto failed;
    if (cli->quiet)
        say_warnings(s);
    else
        s->log = eventlog_start(s->service, true);
    if (api_server_start(s->service, config->control, &s->api, &error) != 0)
        goto failed;
    if (nbd_server_start(s->service, listeners, config->nbd_count, &s->nbd,
                         &error) != 0)
        goto failed;
    while (s->address_count < RI_LISTEN_MAX &&
           nbd_server_address(s->nbd, s->address_count,
                              s->addresses[s->address_count],
                              RI_PATH_MAX) == 0) {
        listeners[s->address_count] = s->addresses[s->address_count];
        s->address_count++;
    }
    api_server_set_listeners(s->api, listeners, s->address_count);
    s->control = config->control;
    return 0;

failed:
    cli_say("serve: %s", error.text);
    start_watchdog();
    stop_all(s);
    return CLI_FAILED;
}

static const int ends[] = { SIGTERM, SIGINT, SIGHUP };

/* Nothing has begun: there is nothing to end. */
static void
on_early_end(int signal_number)
{
    (void) signal_number;
    _exit(CLI_OK);
}

/* What is ignored (nohup) stays so. */
static void
end_by(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler }, old;

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(ends[i], &action, NULL);
}

/* Threads made from now on leave these signals to sigwait. */
static void
block_signals(sigset_t *out_set)
{
    sigemptyset(out_set);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        sigaddset(out_set, ends[i]);
    pthread_sigmask(SIG_BLOCK, out_set, NULL);
}

/* Targets are asked for their units meanwhile, which may take a while. */
static int
take_config(struct cli *cli, struct ri_config *config)
{
    int rc;

    end_by(on_early_end);
    rc = load_config(cli, config);
    return rc == 0 ? complete_config(cli, config) : rc;
}

static int
run(struct cli *cli)
{
    struct serving s = { 0 };
    struct ri_config config;
    sigset_t signals;
    int which, rc;

    ri_config_init(&config);
    rc = take_config(cli, &config);
    block_signals(&signals);
    end_by(SIG_DFL);
    if (rc == 0)
        rc = start_all(cli, &config, &s);
    if (rc == 0) {
        serve_announce(cli, &s);
        while (sigwait(&signals, &which) != 0)
            ;
        start_watchdog();
        stop_all(&s);
    }
    ri_config_free(&config);
    return rc;
}

const struct cli_verb cli_verb_serve = {
    .name = "serve",
    .args = "IMAGE... | --config FILE [--nbd ADDR] [--control PATH]",
    .summary = "Run the service: drives with media, volumes over NBD",
    .text = "Each IMAGE gets an emulated removable drive of its own.  Without "
            "--nbd "
            "and\n--control the sockets are in $XDG_RUNTIME_DIR/reinsert, else "
            "/run/reinsert for\nroot, else /tmp/reinsert-UID.  Stays in the "
            "foreground until Ctrl-C or SIGTERM.\n",
    .options = OPT_CONFIG | OPT_NBD | OPT_CONTROL | OPT_QUIET | OPT_JSON,
    .args_max = INT_MAX,
    .run = run,
};
