/*
 * config_keys.c - the keys of [service] and [drive NAME]
 *
 * One row a key, in the table `keys`; what a robot is reached by is said with
 * the same words.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/config_read.h"
#include "stack/config_tape.h"
#include "probe/sg_find.h"

static int
set_nbd(struct reading *r, const char *key, const char *value)
{
    struct ri_config *config = r->config;
    const char *port = strrchr(value, ':');

    if (strncmp(value, "unix:", 5) == 0) {
        if (!config_socket_path(r, key, value + 5))
            return 0;
    } else if (strncmp(value, "tcp:", 4) == 0) {
        unsigned n;

        if (port == value + 3 || port == value + 4)
            return config_wrong(r, "%s: tcp wants tcp:HOST:PORT", key);
        if (!config_number(r, key, port + 1, 65535, &n))
            return 0;
    } else {
        return config_wrong(
            r, "%s: \"%.60s\" is neither unix:PATH nor tcp:HOST:PORT", key,
            value);
    }
    if (config->nbd_count == RI_LISTEN_MAX)
        return config_wrong(r, "%s: at most %d of these", key, RI_LISTEN_MAX);
    if (!config_text(r, key, value, config->nbd[config->nbd_count],
                     sizeof config->nbd[0]))
        return 0;
    config->nbd_count++;
    return 1;
}

static int
set_control(struct reading *r, const char *key, const char *value)
{
    return config_socket_path(r, key, value) &&
           config_text(r, key, value, r->config->control,
                       sizeof r->config->control);
}

static int
set_timeout(struct reading *r, const char *key, const char *value)
{
    return config_number(r, key, value, 31536000, &r->config->prompt_timeout_s);
}

static int
set_no_operator(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "wait", "cancel", NULL };
    int n = 0;

    if (!config_one_of(r, key, value, words, &n))
        return 0;
    r->config->on_no_operator = (enum ri_no_operator) n;
    return 1;
}

static int
set_unflushed(struct reading *r, const char *key, const char *value)
{
    return config_size(r, key, value, &r->config->unflushed_bytes);
}

static int
set_unflushed_total(struct reading *r, const char *key, const char *value)
{
    return config_size(r, key, value, &r->config->unflushed_total_bytes);
}

static int
set_tape_unflushed(struct reading *r, const char *key, const char *value)
{
    return config_size(r, key, value, &r->config->tape_unflushed_bytes);
}

/* Seconds, perhaps with up to three decimals. */
static int
set_flush_idle(struct reading *r, const char *key, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (!isdigit((unsigned char) value[0]) || *end != '\0' ||
        value[strspn(value, "0123456789.")] != '\0' || seconds > 3600)
        return config_wrong(
            r, "%s: \"%.60s\" is no number of seconds from 0 to 3600", key,
            value);
    r->config->flush_idle_ms = (unsigned) (seconds * 1000 + 0.5);
    if (r->config->flush_idle_ms == 0 && seconds > 0)
        r->config->flush_idle_ms = 1;
    return 1;
}

static int
set_recovery_dir(struct reading *r, const char *key, const char *value)
{
    struct stat st;

    if (!config_text(r, key, value, r->config->recovery_dir,
                     sizeof r->config->recovery_dir))
        return 0;
    if (value[0] != '/')
        return config_wrong(r, "%s: \"%.150s\" is not an absolute path", key,
                            value);
    if (stat(value, &st) != 0)
        return errno == ENOENT ? 1
                               : config_wrong(r, "%s: %.150s: %s", key, value,
                                              strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return config_wrong(r, "%s: %.150s: is no folder", key, value);
    if (access(value, W_OK | X_OK) != 0)
        return config_wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    return 1;
}

static int
set_unflushed_log(struct reading *r, const char *key, const char *value)
{
    if (value[0] != '\0' && value[0] != '/')
        return config_wrong(r, "%s: \"%.150s\" is not an absolute path", key,
                            value);
    r->config->unflushed_log_line = r->line;
    return config_text(r, key, value, r->config->unflushed_log,
                       sizeof r->config->unflushed_log);
}

/* A robot is reached like a drive. */
static struct ri_drive_config *
this_drive(struct reading *r)
{
    if (config_in_library(r))
        return &r->config->libraries[r->config->library_count - 1].robot;
    return &r->config->drives[r->config->drive_count - 1];
}

static int
set_type(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "disk", "floppy", "cdrom", "tape",
                                         NULL };
    int n = 0;

    if (!config_one_of(r, key, value, words, &n))
        return 0;
    this_drive(r)->type = (enum ri_drive_type) n;
    this_drive(r)->only_type = true;
    return 1;
}

static int
set_port(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "virtual", "iscsi", "sg", NULL };
    int n = 0;

    if (!config_one_of(r, key, value, words, &n))
        return 0;
    this_drive(r)->port = (enum ri_port) n;
    return 1;
}

static int
set_url(struct reading *r, const char *key, const char *value)
{
    return config_iscsi_url(r, key, value, !config_in_library(r)) &&
           config_text(r, key, value, this_drive(r)->url,
                       sizeof this_drive(r)->url);
}

static int
set_chap_user(struct reading *r, const char *key, const char *value)
{
    this_drive(r)->value_line = r->line;
    return config_text(r, key, value, this_drive(r)->user,
                       sizeof this_drive(r)->user);
}

static int
set_chap_secret(struct reading *r, const char *key, const char *value)
{
    struct stat st;

    if (value[0] != '/')
        return config_wrong(r, "%s: names a file, by an absolute path", key);
    if (stat(value, &st) != 0)
        return config_wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    if ((st.st_mode & 077) != 0)
        return config_wrong(
            r,
            "%s: %.150s can be read by others; its mode should be "
            "0600",
            key, value);
    return config_text(r, key, value, this_drive(r)->secret_file,
                       sizeof this_drive(r)->secret_file);
}

static int
set_initiator(struct reading *r, const char *key, const char *value)
{
    if (strncmp(value, "iqn.", 4) != 0 && strncmp(value, "eui.", 4) != 0)
        return config_wrong(r, "%s: \"%.100s\" is no iqn. or eui. name", key,
                            value);
    return config_text(r, key, value, this_drive(r)->initiator,
                       sizeof this_drive(r)->initiator);
}

static int
set_device(struct reading *r, const char *key, const char *value)
{
    if (value[0] != '/')
        return config_wrong(r, "%s: \"%.100s\" is not an absolute path", key,
                            value);
    this_drive(r)->value_line = r->line;
    return config_text(r, key, value, this_drive(r)->device,
                       sizeof this_drive(r)->device);
}

static int
set_match(struct reading *r, const char *key, const char *value)
{
    const char *fault = sg_match_fault(value);

    if (fault != NULL)
        return config_wrong(r, "%s: \"%.100s\": %s", key, value, fault);
    this_drive(r)->value_line = r->line;
    return config_text(r, key, value, this_drive(r)->match,
                       sizeof this_drive(r)->match);
}

static int
set_own(struct reading *r, const char *key, const char *value)
{
    bool yes = false;

    this_drive(r)->shared = strcmp(value, "shared") == 0;
    if (this_drive(r)->shared)
        return 1;
    if (!config_is_yes_or_no(value, &yes))
        return config_wrong(r, "%s: \"%.60s\" is none of yes, no, shared", key,
                            value);
    this_drive(r)->own = yes;
    return 1;
}

static int
set_medium(struct reading *r, const char *key, const char *value)
{
    struct stat st;

    this_drive(r)->value_line = r->line;
    if (!config_text(r, key, value, this_drive(r)->medium,
                     sizeof this_drive(r)->medium))
        return 0;
    if (stat(value, &st) != 0)
        return config_wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    if (access(value, R_OK) != 0)
        return config_wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    return 1;
}

static int
set_cache(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "none", "volatile", NULL };
    int n = 0;

    if (!config_one_of(r, key, value, words, &n))
        return 0;
    this_drive(r)->cache = (enum ri_cache) n;
    return 1;
}

static int
set_readonly(struct reading *r, const char *key, const char *value)
{
    return config_yes_or_no(r, key, value, &this_drive(r)->readonly);
}

static int
set_load_ms(struct reading *r, const char *key, const char *value)
{
    return config_number(r, key, value, 3600000, &this_drive(r)->load_ms);
}

/* Which sizes fit is known when the type is. */
static int
set_block_size(struct reading *r, const char *key, const char *value)
{
    this_drive(r)->block_line = r->line;
    return config_number(r, key, value, 16 << 20, &this_drive(r)->block_bytes);
}

static int
set_tape_key(struct reading *r, const char *key, const char *value)
{
    struct ri_tape_config *tape = &this_drive(r)->tape;
    char text[RI_TEXT_MAX / 4];

    if (tape->key == NULL)
        tape->line = r->line;
    return config_tape_set(tape, key, value, text, sizeof text)
               ? 1
               : config_wrong(r, "%s", text);
}

static int
add_fault(struct reading *r, const char *key, const char *value)
{
    return config_check_fault(r, key, value) &&
           config_add_line(r, key, value, &this_drive(r)->faults);
}

/* A number that begins like one must be one, and fit. */
static int
check_value(struct reading *r, const char *key, const char *value)
{
    bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
    unsigned long n;
    char *end;

    errno = 0;
    n = strtoul(value, &end, hex ? 16 : 10);
    if (isdigit((unsigned char) value[0]) && *end == '\0' &&
        (errno != 0 || n > UINT32_MAX))
        return config_wrong(r, "%s: \"%.60s\" does not fit into 32 bits", key,
                            value);
    return 1;
}

static int
add_parameter(struct reading *r, const char *key, const char *value)
{
    const char *equals = strchr(value, '=');
    char line[RI_PATH_MAX], *to = line;

    if (equals == NULL || equals == value)
        return config_wrong(r, "%s: \"%.60s\" is not NAME=VALUE", key, value);
    if (strlen(value) >= sizeof line)
        return config_wrong(r, "%s: longer than %zu bytes", key,
                            sizeof line - 1);
    /* Blanks around the = mean nothing. */
    to += sprintf(to, "%.*s", (int) (equals - value), value);
    while (to > line && isblank((unsigned char) to[-1]))
        to--;
    equals += 1 + strspn(equals + 1, " \t");
    sprintf(to, "=%s", equals);
    return check_value(r, key, equals) &&
           config_add_line(r, key, line, &this_drive(r)->parameters);
}

/* [driver NAME]: any key is a value's name. */
int
config_driver_value(struct reading *r, const char *key, const char *value)
{
    char line[2 * RI_PATH_MAX];

    if (strpbrk(key, "\\/") != NULL || strlen(key) > 255)
        return config_wrong(r, "\"%.60s\" cannot be the name of a value", key);
    if (strlen(value) >= RI_PATH_MAX)
        return config_wrong(r, "%s: longer than %d bytes", key,
                            RI_PATH_MAX - 1);
    snprintf(line, sizeof line, "%s/%s=%s", r->section + strlen("driver "), key,
             value);
    return check_value(r, key, value) &&
           config_add_line(r, key, line, &r->config->driver_values);
}
static const struct config_key keys[] = {
    { "service", "nbd", true, set_nbd },
    { "service", "control", false, set_control },
    { "service", "prompt-timeout", false, set_timeout },
    { "service", "on-no-operator", false, set_no_operator },
    { "service", "unflushed-limit", false, set_unflushed },
    { "service", "unflushed-total", false, set_unflushed_total },
    { "service", "tape-unflushed-limit", false, set_tape_unflushed },
    { "service", "flush-idle", false, set_flush_idle },
    { "service", "recovery-dir", false, set_recovery_dir },
    { "service", "unflushed-log", false, set_unflushed_log },
    { "drive", "type", false, set_type },
    { "drive", "port", false, set_port },
    { "drive", "url", false, set_url },
    { "drive", "chap-user", false, set_chap_user },
    { "drive", "chap-secret", false, set_chap_secret },
    { "drive", "initiator", false, set_initiator },
    { "drive", "device", false, set_device },
    { "drive", "match", false, set_match },
    { "drive", "own", false, set_own },
    { "drive", "medium", false, set_medium },
    { "drive", "cache", false, set_cache },
    { "drive", "readonly", false, set_readonly },
    { "drive", "load-ms", false, set_load_ms },
    { "drive", "block-size", false, set_block_size },
    { "drive", "personality", false, set_tape_key },
    { "drive", "capacity", false, set_tape_key },
    { "drive", "early-warning", false, set_tape_key },
    { "drive", "compression", false, set_tape_key },
    { "drive", "clean-after", false, set_tape_key },
    { "drive", "cleaning-uses", false, set_tape_key },
    { "drive", "clean-ms", false, set_tape_key },
    { "drive", "rewind-ms", false, set_tape_key },
    { "drive", "unload-ms", false, set_tape_key },
    { "drive", "fault", true, add_fault },
    { "drive", "parameter", true, add_parameter },
};

const struct config_key *
config_key(const char *section, const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].section, section) == 0 &&
            strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}
