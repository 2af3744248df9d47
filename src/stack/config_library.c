/*
 * config_library.c - the keys of [library NAME]
 *
 * One row a key.  Pure but for the looks at paths.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vscsi.h>

#include "stack/config_library.h"
#include "stack/config_read.h"
#include "stack/config_tape.h"
#include "stack/config_units.h"

enum kind {
    NUMBER,
    YES,    /* yes or no */
    NO,     /* no or yes: the record has the opposite */
    ONE_OF, /* one of a list; an enum */
    PERSONALITY,
    FOLDER,    /* that is there */
    PATH,      /* absolute; it is made */
    LINE,      /* one of many */
    PARAMETER, /* NAME=VALUE, one of many */
    DRIVE,     /* of the configuration, one of many */
};

static const char *const type_words[] = { "disk", "floppy", "cdrom", "tape",
                                          NULL };
static const char *const cache_words[] = { "none", "volatile", NULL };
static const char *const port_words[] = { "virtual", "iscsi", "sg", NULL };

#define AT(field) offsetof(struct ri_library_config, field)

static const struct library_key {
    const char *name;
    enum kind kind;
    size_t at;
    unsigned low, high;
    const char *const *words;
    bool real; /* real ones have it, too */
} keys[] = {
    { "port", ONE_OF, AT(port), 0, 0, port_words, true },
    { "personality", PERSONALITY, AT(personality), 0, RI_NAME_MAX, NULL },
    { "slots", NUMBER, AT(slots), 1, 20000, NULL },
    { "mail-slots", NUMBER, AT(mail_slots), 0, 1000, NULL },
    { "transports", NUMBER, AT(transports), 0, 16, NULL },
    { "drives", NUMBER, AT(drive_count), 1, 32, NULL },
    { "media", FOLDER, AT(media), 0, RI_PATH_MAX, NULL },
    { "state", PATH, AT(state), 0, RI_PATH_MAX, NULL, true },
    { "drive-type", ONE_OF, AT(drive.type), 0, 0, type_words },
    { "drive-cache", ONE_OF, AT(drive.cache), 0, 0, cache_words },
    { "drive-readonly", YES, AT(drive.readonly), 0, 0, NULL },
    { "drive-load-ms", NUMBER, AT(drive.load_ms), 0, 3600000, NULL },
    { "drive-block-size", NUMBER, AT(drive.block_bytes), 0,
      CONFIG_TAPE_BLOCK_MAX, NULL },
    { "drive-fault", LINE, AT(drive.faults), 0, 0, NULL },
    { "drive-parameter", PARAMETER, AT(drive.parameters), 0, 0, NULL },
    { "move-ms", NUMBER, AT(move_ms), 0, 3600000, NULL },
    { "travel-ms", NUMBER, AT(travel_ms), 0, 3600000, NULL },
    { "load-ms", NUMBER, AT(load_ms), 0, 3600000, NULL },
    { "unload-ms", NUMBER, AT(unload_ms), 0, 3600000, NULL },
    { "scan-ms", NUMBER, AT(scan_ms), 0, 3600000, NULL },
    { "door-ms", NUMBER, AT(door_ms), 0, 3600000, NULL },
    { "clean-ms", NUMBER, AT(clean_ms), 1, 3600000, NULL },
    { "bar-codes", NO, AT(no_bar_codes), 0, 0, NULL },
    { "cleaning-uses", NUMBER, AT(cleaning_uses), 1, 1000000, NULL },
    { "ready-timeout", NUMBER, AT(ready_timeout_s), 0, 86400, NULL, true },
    { "load-timeout", NUMBER, AT(load_timeout_s), 0, 86400, NULL, true },
    { "min-residence", NUMBER, AT(min_residence_s), 0, 86400, NULL, true },
    { "poll-interval", NUMBER, AT(poll_s), 0, 86400, NULL, true },
    { "adopt", YES, AT(adopt), 0, 0, NULL, true },
    { "cleaning", YES, AT(cleaning), 0, 0, NULL, true },
    { "fault", LINE, AT(faults), 0, 0, NULL },
    { "parameter", PARAMETER, AT(parameters), 0, 0, NULL, true },
    { "drive", DRIVE, 0, 0, 0, NULL, true },
};

void
library_defaults(struct ri_library_config *config)
{
    memset(config, 0, sizeof *config);
    config->slots = 8;
    config->drive_count = 1;
    config->drive.type = RI_CDROM;
    config->clean_ms = 1000;
    config->ready_timeout_s = 300;
    config->load_timeout_s = 900;
    config->min_residence_s = 10;
    config->poll_s = 60;
    config->cleaning = true;
}

#define WRONG(...) (snprintf(out_text, text_max, __VA_ARGS__), false)

static bool
set_number(const struct library_key *key, const char *value, void *at,
           char *out_text, size_t text_max)
{
    return config_is_number(value, key->low, key->high, at) ||
           WRONG("%s: \"%.60s\" is no number from %u to %u", key->name, value,
                 key->low, key->high);
}

static bool
set_yes(const struct library_key *key, const char *value, bool *at,
        char *out_text, size_t text_max)
{
    bool yes;

    if (!config_is_yes_or_no(value, &yes))
        return WRONG("%s: \"%.60s\" is neither yes nor no", key->name, value);
    *at = yes == (key->kind == YES);
    return true;
}

static bool
set_word(const struct library_key *key, const char *value, void *at,
         char *out_text, size_t text_max)
{
    char all[128] = "";

    for (int i = 0; key->words[i] != NULL; i++) {
        size_t len = strlen(all);

        if (strcmp(key->words[i], value) == 0) {
            *(unsigned *) at = (unsigned) i;
            return true;
        }
        snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "",
                 key->words[i]);
    }
    return WRONG("%s: \"%.60s\" is none of %s", key->name, value, all);
}

static bool
set_text(const struct library_key *key, const char *value, char *at,
         char *out_text, size_t text_max)
{
    struct stat st;

    if (value[0] == '\0')
        return WRONG("%s: a value is missing", key->name);
    if (strlen(value) >= key->high)
        return WRONG("%s: longer than %u bytes", key->name, key->high - 1);
    if (key->kind == FOLDER && stat(value, &st) != 0)
        return WRONG("%s: %.150s: %s", key->name, value, strerror(errno));
    if (key->kind == FOLDER && !S_ISDIR(st.st_mode))
        return WRONG("%s: %.150s: is no folder", key->name, value);
    if (key->kind == FOLDER && access(value, R_OK | X_OK) != 0)
        return WRONG("%s: %.150s: %s", key->name, value, strerror(errno));
    if (key->kind == PATH && value[0] != '/')
        return WRONG("%s: \"%.150s\" is not an absolute path", key->name,
                     value);
    snprintf(at, key->high, "%s", value);
    return true;
}

/* The library itself knows which there are. */
static bool
set_personality(const struct library_key *key, const char *value, char *at,
                char *out_text, size_t text_max)
{
    const char *name;

    for (unsigned n = 0; (name = vscsi_library_personality(n, NULL)) != NULL;
         n++)
        if (strcmp(name, value) == 0)
            return set_text(key, value, at, out_text, text_max);
    return WRONG("%s: no library is called \"%.60s\"", key->name, value);
}

static bool
add_line(const struct library_key *key, const char *value, char **at,
         char *out_text, size_t text_max)
{
    size_t old = *at != NULL ? strlen(*at) : 0;
    const char *equals = strchr(value, '=');
    char *more;

    if (key->kind == PARAMETER && (equals == NULL || equals == value))
        return WRONG("%s: \"%.60s\" is not NAME=VALUE", key->name, value);
    if (strlen(value) >= RI_PATH_MAX)
        return WRONG("%s: longer than %d bytes", key->name, RI_PATH_MAX - 1);
    more = realloc(*at, old + strlen(value) + 2);
    if (more == NULL)
        return WRONG("%s: out of memory", key->name);
    sprintf(more + old, "%s\n", value);
    *at = more;
    return true;
}

static bool
add_drive(struct ri_library_config *config, const char *value, char *out_text,
          size_t text_max)
{
    unsigned n = 0;

    while (n < RI_LIBRARY_DRIVES_MAX && config->drive_names[n][0] != '\0')
        if (strcmp(config->drive_names[n++], value) == 0)
            return WRONG("drive: %.64s is given twice", value);
    if (n == RI_LIBRARY_DRIVES_MAX)
        return WRONG("drive: at most %d of these", RI_LIBRARY_DRIVES_MAX);
    if (value[0] == '\0')
        return WRONG("drive: a value is missing");
    if (strlen(value) >= RI_NAME_MAX)
        return WRONG("drive: longer than %d bytes", RI_NAME_MAX - 1);
    snprintf(config->drive_names[n], RI_NAME_MAX, "%s", value);
    return true;
}

void
library_drive_name(const struct ri_library_config *config, unsigned n,
                   char *out_name)
{
    if (config->port == RI_PORT_VIRTUAL)
        snprintf(out_name, RI_NAME_MAX, "%.100s-%u", config->name, n);
    else
        snprintf(out_name, RI_NAME_MAX, "%s", config->drive_names[n]);
}

bool
library_key_repeats(const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].name, name) == 0)
            return keys[i].kind >= LINE;
    return false;
}

bool
library_key_set(struct ri_library_config *config, const char *name,
                const char *value, char *out_text, size_t text_max)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct library_key *key = &keys[i];
        void *at = (char *) config + key->at;

        if (strcmp(key->name, name) != 0)
            continue;
        if (!key->real && config->emulated_key == NULL)
            config->emulated_key = key->name;
        switch (key->kind) {
        case NUMBER:
            return set_number(key, value, at, out_text, text_max);
        case YES:
        case NO:
            return set_yes(key, value, at, out_text, text_max);
        case ONE_OF:
            return set_word(key, value, at, out_text, text_max);
        case PERSONALITY:
            return set_personality(key, value, at, out_text, text_max);
        case FOLDER:
        case PATH:
            return set_text(key, value, at, out_text, text_max);
        case LINE:
        case PARAMETER:
            return add_line(key, value, at, out_text, text_max);
        case DRIVE:
            return add_drive(config, value, out_text, text_max);
        }
    }
    if (config_tape_library_key(name) != NULL) {
        if (config->emulated_key == NULL)
            config->emulated_key = config_tape_library_key(name);
        char text[RI_TEXT_MAX / 4];

        return config_tape_set(&config->drive.tape, name + 6, value, text,
                               sizeof text) ||
               WRONG("drive-%s", text);
    }
    return WRONG("\"%.60s\" is no key of [library]", name);
}

bool
library_complete(struct ri_library_config *config, char *out_text,
                 size_t text_max)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    size_t max = sizeof config->state;
    int n;

    if (config->port == RI_PORT_VIRTUAL && config->media[0] == '\0')
        return WRONG("[library %.64s]: media = FOLDER is missing",
                     config->name);
    if (config->state[0] != '\0')
        return true;
    if (geteuid() == 0)
        n = snprintf(config->state, max, "/var/lib/reinsert/libraries/%s",
                     config->name);
    else if (state != NULL && state[0] == '/')
        n = snprintf(config->state, max, "%s/reinsert/libraries/%s", state,
                     config->name);
    else
        n = snprintf(config->state, max,
                     "%s/.local/state/reinsert/libraries/%s",
                     home != NULL ? home : "", config->name);
    if (n < 0 || (size_t) n >= max)
        return WRONG("[library %.64s]: the path of its state is too long",
                     config->name);
    return true;
}

/* --- with the rest of the configuration ---------------------------- */

/* Another library before this one that has the drive, or NULL. */
static const struct ri_library_config *
owner_before(const struct ri_config *config,
             const struct ri_library_config *library, const char *name)
{
    for (const struct ri_library_config *at = config->libraries; at < library;
         at++)
        for (unsigned n = 0; at->port != RI_PORT_VIRTUAL && n < at->drive_count;
             n++)
            if (strcmp(at->drive_names[n], name) == 0)
                return at;
    return NULL;
}

static bool
drive_fits(const struct ri_config *config,
           const struct ri_library_config *library, const char *name,
           char *out_text, size_t text_max)
{
    const struct ri_library_config *owner = owner_before(config, library, name);
    const struct ri_drive_config *drive = NULL;

    for (size_t i = 0; i < config->drive_count; i++)
        if (strcmp(config->drives[i].name, name) == 0)
            drive = &config->drives[i];
    if (drive == NULL)
        return WRONG("drive: there is no [drive %.64s]", name);
    if (config_is_all_units(drive))
        return WRONG("drive: %.64s, of line %u, means all units of a target; "
                     "name one of them, as %.64s-1",
                     name, drive->line, name);
    if (drive->port == RI_PORT_VIRTUAL)
        return WRONG("drive: %.64s, of line %u, is emulated; a real robot "
                     "cannot reach it",
                     name, drive->line);
    if (owner != NULL)
        return WRONG("drive: %.64s belongs to library %.64s, of line %u", name,
                     owner->name, owner->line);
    return true;
}

static bool
real_fits(const struct ri_config *config, struct ri_library_config *library,
          unsigned *out_line, char *out_text, size_t text_max)
{
    unsigned n = 0;

    if (library->emulated_key != NULL) {
        *out_line = library->emulated_line;
        return WRONG("%s: is of emulated libraries", library->emulated_key);
    }
    if (strcmp(library->robot.match, "any-removable") == 0)
        return WRONG("[library %.64s]: match = any-removable is of drives",
                     library->name);
    if (library->drive_lines[0] == 0)
        return WRONG("[library %.64s]: drive = NAME is missing", library->name);
    for (; n < RI_LIBRARY_DRIVES_MAX && library->drive_lines[n] != 0; n++) {
        *out_line = library->drive_lines[n];
        if (!drive_fits(config, library, library->drive_names[n], out_text,
                        text_max))
            return false;
    }
    library->drive_count = n;
    return true;
}

/* Those that it makes. */
static bool
drives_fit(const struct ri_library_config *library, unsigned *out_line,
           char *out_text, size_t text_max)
{
    char text[RI_TEXT_MAX / 4];
    unsigned line = 0;

    if (config_tape_fits(&library->drive, &line, text, sizeof text))
        return true;
    *out_line = line != 0 ? line : library->line;
    return WRONG("drive-%s", text);
}

bool
library_fits(const struct ri_config *config, struct ri_library_config *library,
             unsigned *out_line, char *out_text, size_t text_max)
{
    const char *fault;

    *out_line = library->line;
    library->robot.port = library->port;
    fault = config_reach_fault(&library->robot);
    if (library->port != RI_PORT_VIRTUAL && library->emulated_key != NULL)
        fault = NULL; /* there is something better to say */
    if (fault != NULL)
        return WRONG("[library %.64s]: %s", library->name, fault);
    if (library->port != RI_PORT_VIRTUAL)
        return real_fits(config, library, out_line, out_text, text_max);
    if (library->drive_lines[0] == 0)
        return drives_fit(library, out_line, out_text, text_max);
    *out_line = library->drive_lines[0];
    return WRONG("drive: needs port = iscsi or sg; an emulated library makes "
                 "its own drives");
}
