/*
 * config.c - the configuration: defaults, INI files, their sections
 *
 * inih splits lines, but for those that are too long for it; what they may say
 * is the table of `config_keys.c` and that of `config_library.c`.  The first
 * thing that is wrong ends the reading, with its line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/config_library.h"
#include "stack/config_tape.h"
#include "stack/config_read.h"
#include "stack/config_units.h"

void
ri_config_init(struct ri_config *config)
{
    memset(config, 0, sizeof *config);
    config->on_no_operator = RI_NO_OPERATOR_WAIT;
    config->unflushed_bytes = 64ull << 20;
    config->unflushed_total_bytes = 256ull << 20;
    config->flush_idle_ms = 1000;
    config->tape_unflushed_bytes = 64ull << 20;
}

void
ri_config_free(struct ri_config *config)
{
    for (size_t i = 0; i < config->drive_count; i++)
        free(config->drives[i].faults), free(config->drives[i].parameters);
    for (size_t i = 0; i < config->library_count; i++) {
        struct ri_library_config *library = &config->libraries[i];

        free(library->faults), free(library->parameters);
        free(library->drive.faults), free(library->drive.parameters);
    }
    free(config->driver_values);
    free(config->drives);
    free(config->libraries);
    ri_config_init(config);
}

int
ri_fail(struct ri_error *out_error, int rc, const char *format, ...)
{
    va_list args;

    if (out_error != NULL) {
        va_start(args, format);
        vsnprintf(out_error->text, sizeof out_error->text, format, args);
        va_end(args);
    }
    return rc;
}

int
config_at(const struct ri_config *config, unsigned line, int rc,
          struct ri_error *error)
{
    char text[sizeof error->text];

    if (rc == 0 || error == NULL || config->path[0] == '\0' || line == 0)
        return rc;
    memcpy(text, error->text, sizeof text);
    return ri_fail(error, rc, "%.200s:%u: %s", config->path, line, text);
}

struct ri_drive_config *
config_add_drive(struct ri_config *config)
{
    struct ri_drive_config *more =
        realloc(config->drives, (config->drive_count + 1) * sizeof *more);

    if (more == NULL)
        return NULL;
    config->drives = more;
    more += config->drive_count++;
    memset(more, 0, sizeof *more);
    return more;
}

bool
config_in_library(const struct reading *r)
{
    return strncmp(r->section, "library ", 8) == 0;
}

/* --- sections ---------------------------- */

/* What may be the name of a drive or a library: it appears in URLs, export names and tables. */
static const char *
name_fault(const char *name)
{
    if (name[0] == '\0')
        return "it has no name";
    if (strlen(name) > 64)
        return "a name has at most 64 bytes";
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char) *p <= ' ' || *p == 0x7F ||
            strchr("/:\"\\?#%", *p) != NULL)
            return "a name has no blanks, control characters or any of / : \" "
                   "\\ ? # %";
    return NULL;
}

static int
start_drive(struct reading *r, const char *name)
{
    const char *fault = name_fault(name);
    struct ri_drive_config *drive;

    if (fault != NULL)
        return config_wrong(r, "drive: %s", fault);
    for (size_t i = 0; i < r->config->drive_count; i++)
        if (strcmp(r->config->drives[i].name, name) == 0)
            return config_wrong(r, "drive %s is there already, on line %u",
                                name, r->config->drives[i].line);
    drive = config_add_drive(r->config);
    if (drive == NULL)
        return config_wrong(r, "out of memory");
    snprintf(drive->name, sizeof drive->name, "%s", name);
    drive->line = r->line;
    return 1;
}

static int
start_library(struct reading *r, const char *name)
{
    const char *fault = name_fault(name);
    struct ri_library_config *more;
    size_t count = r->config->library_count;

    if (fault != NULL)
        return config_wrong(r, "library: %s", fault);
    for (size_t i = 0; i < count; i++)
        if (strcmp(r->config->libraries[i].name, name) == 0)
            return config_wrong(r, "library %s is there already, on line %u",
                                name, r->config->libraries[i].line);
    more = realloc(r->config->libraries, (count + 1) * sizeof *more);
    if (more == NULL)
        return config_wrong(r, "out of memory");
    r->config->libraries = more;
    r->config->library_count = count + 1;
    library_defaults(&more[count]);
    snprintf(more[count].name, sizeof more[count].name, "%s", name);
    more[count].line = r->line;
    return 1;
}

/* Its drives are NAME-0, NAME-1, ...: nobody else may be called so. */
static int
check_library(struct reading *r, struct ri_library_config *library)
{
    char text[RI_TEXT_MAX / 4], name[2 * RI_NAME_MAX];

    r->line = library->line;
    if (!library_complete(library, text, sizeof text))
        return config_wrong(r, "%s", text);
    if (!library_fits(r->config, library, &r->line, text, sizeof text))
        return config_wrong(r, "%s", text);
    if (library->port != RI_PORT_VIRTUAL)
        return 1;
    for (unsigned n = 0; n < library->drive_count; n++) {
        snprintf(name, sizeof name, "%s-%u", library->name, n);
        for (size_t i = 0; i < r->config->drive_count; i++)
            if (strcmp(r->config->drives[i].name, name) == 0)
                return config_wrong(r,
                                    "drive %s, of line %u, is a name of the "
                                    "library's own drives",
                                    name, r->config->drives[i].line);
    }
    return 1;
}

/* The drivers that the service loads. */
static int
start_driver(struct reading *r, const char *name)
{
    static const char *const known[] = { "disk", "cdrom", "port", "volume" };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], name) == 0) {
            snprintf(r->section, sizeof r->section, "driver %s", name);
            return 1;
        }
    return config_wrong(
        r, "[driver %.60s]: there are disk, cdrom, port and volume", name);
}

static int
start_section(struct reading *r, const char *section)
{
    r->seen[0] = '\0';
    snprintf(r->section, sizeof r->section, "%.140s", section);
    if (strcmp(section, "service") == 0) {
        if (r->service_line != 0)
            return config_wrong(r, "[service] is there already, on line %u",
                                r->service_line);
        r->service_line = r->line;
        return 1;
    }
    if (strncmp(section, "drive ", 6) == 0)
        return start_drive(r, section + 6 + strspn(section + 6, " \t"));
    if (strncmp(section, "library ", 8) == 0)
        return start_library(r, section + 8 + strspn(section + 8, " \t"));
    if (strncmp(section, "driver ", 7) == 0)
        return start_driver(r, section + 7 + strspn(section + 7, " \t"));
    return config_wrong(
        r,
        "[%.60s]: there are [service], [drive NAME], [library NAME] "
        "and [driver NAME]",
        section);
}

/* How a robot is reached is said as of a drive. */
static bool
is_reach_key(const char *name)
{
    static const char *const names[] = {
        "url", "initiator", "chap-user", "chap-secret", "device", "match", "own"
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void
note_drive(const struct reading *r, struct ri_library_config *library)
{
    unsigned n = 0;

    while (n + 1 < RI_LIBRARY_DRIVES_MAX && library->drive_lines[n] != 0)
        n++;
    library->drive_lines[n] = r->line;
}

static int
set_library_key(struct reading *r, const char *name, const char *value)
{
    struct ri_library_config *library =
        &r->config->libraries[r->config->library_count - 1];
    char mark[64], text[RI_TEXT_MAX / 4];

    snprintf(mark, sizeof mark, "\n%.60s\n", name);
    if (!library_key_repeats(name) && strstr(r->seen, mark) != NULL)
        return config_wrong(r, "%s: given twice", name);
    if (strlen(r->seen) + strlen(mark) < sizeof r->seen)
        strcat(r->seen, mark);
    if (strcmp(name, "fault") == 0 || strcmp(name, "drive-fault") == 0) {
        if (!config_check_fault(r, name, value))
            return 0;
    }
    if (is_reach_key(name))
        return config_key("drive", name)->set(r, name, value);
    if (!library_key_set(library, name, value, text, sizeof text))
        return config_wrong(r, "%s", text);
    if (strcmp(name, "drive") == 0)
        note_drive(r, library);
    if (strcmp(name, "state") == 0)
        library->state_line = r->line;
    if (strcmp(name, "drive-block-size") == 0)
        library->drive.block_line = r->line;
    if (library->drive.tape.key != NULL && library->drive.tape.line == 0)
        library->drive.tape.line = r->line;
    if (library->emulated_key != NULL && library->emulated_line == 0)
        library->emulated_line = r->line;
    return 1;
}

static int
set_key(struct reading *r, const char *name, const char *value)
{
    const char *section =
        strcmp(r->section, "service") == 0 ? "service" : "drive";
    const struct config_key *key = config_key(section, name);
    char mark[64];

    if (strncmp(r->section, "driver ", 7) == 0)
        return config_driver_value(r, name, value);
    if (config_in_library(r))
        return set_library_key(r, name, value);
    if (key == NULL)
        return config_wrong(r, "\"%.60s\" is no key of [%s]", name, section);
    snprintf(mark, sizeof mark, "\n%s\n", name);
    if (!key->repeats && strstr(r->seen, mark) != NULL)
        return config_wrong(r, "%s: given twice", name);
    if (strlen(r->seen) + strlen(mark) < sizeof r->seen)
        strcat(r->seen, mark);
    return key->set(r, name, value);
}

static int
take_key(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;

    if (r->rc != 0)
        return 0;
    if (section[0] == '\0')
        return config_wrong(r, "\"%.60s\" stands before any section", name);
    return set_key(r, name, value != NULL ? value : "");
}

static void
trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && isspace((unsigned char) text[len - 1]))
        text[--len] = '\0';
}

/* What inih does with a line, for one that is longer than those it takes.  It
 * knows nothing of it, so no other line can go on with it. */
static void
take_long(struct reading *r)
{
    char *name = r->text + strspn(r->text, " \t"), *value;

    if (strchr(";#[\r\n", *name) != NULL)
        return;
    r->after_long = true;
    value = name + strcspn(name, "=:");
    if (name > r->text || *value == '\0') {
        config_wrong(r, name > r->text
                            ? "a line that begins with a blank goes on with "
                              "the one above, and is too long for that"
                            : "neither [section] nor key = value");
        return;
    }
    *value++ = '\0';
    trim_end(name);
    value += strspn(value, " \t");
    for (char *at = value; (at = strchr(at, ';')) != NULL; at++)
        if (at == value || isspace((unsigned char) at[-1])) {
            *at = '\0';
            break;
        }
    trim_end(value);
    take_key(r, r->section, name, value);
}

/* inih takes short lines only (200 bytes in Debian): in place of a long one it
 * gets an empty one, or the section that it begins. */
static void
hand_on(struct reading *r, char *line, int max)
{
    const char *start = r->text + strspn(r->text, " \t");
    size_t len = strcspn(start, "]") + 1;

    if (strlen(r->text) < (size_t) max) {
        strcpy(line, r->text);
        if (r->after_long && start > r->text &&
            strchr(";#[\r\n", *start) == NULL)
            config_wrong(r, "a line that begins with a blank goes on with the "
                            "one above, which is too long for that");
        else if (strchr(";#\r\n", *start) == NULL)
            r->after_long = false;
        return;
    }
    snprintf(line, (size_t) max, "%.*s\n",
             *start == '[' && len + 2 < (size_t) max ? (int) len : 0, start);
    take_long(r);
}

/* inih tells sections only through their keys, so the lines are read here:
 * this sees each before inih does. */
static char *
read_line(char *line, int max, void *stream)
{
    struct reading *r = stream;
    char *start, *end;

    if (fgets(r->text, CONFIG_LINE_MAX + 2, r->file) == NULL || r->rc != 0)
        return NULL;
    r->line++;
    if (strchr(r->text, '\n') == NULL && !feof(r->file)) {
        if (strlen(r->text) < CONFIG_LINE_MAX + 1)
            config_wrong(r, "a byte of the line is 0");
        else
            config_wrong(r, "the line is longer than %d bytes",
                         CONFIG_LINE_MAX);
        return NULL;
    }
    start = r->text + strspn(r->text, " \t");
    end = strchr(start, ']');
    if (*start == '[' && end == NULL)
        config_wrong(r, "] is missing at the end of the section's name");
    if (*start == '[' && end != NULL) {
        char name[RI_PATH_MAX];

        snprintf(name, sizeof name, "%.*s", (int) (end - start - 1), start + 1);
        start_section(r, name);
    }
    if (r->rc == 0)
        hand_on(r, line, max);
    return r->rc == 0 ? line : NULL;
}

static bool
says_iscsi(const struct ri_drive_config *drive)
{
    return drive->url[0] != '\0' || drive->user[0] != '\0' ||
           drive->secret_file[0] != '\0' || drive->initiator[0] != '\0';
}

static bool
says_sg(const struct ri_drive_config *drive)
{
    return drive->device[0] != '\0' || drive->match[0] != '\0' || drive->own ||
           drive->shared;
}

static bool
says_emulated(const struct ri_drive_config *drive)
{
    return drive->medium[0] != '\0' || drive->faults != NULL ||
           drive->load_ms != 0 || drive->block_bytes != 0 ||
           drive->cache != RI_CACHE_NONE || drive->readonly ||
           drive->tape.key != NULL;
}

const char *
config_reach_fault(const struct ri_drive_config *drive)
{
    if (drive->port != RI_PORT_ISCSI && says_iscsi(drive))
        return "url, chap-user, chap-secret and initiator need port = iscsi";
    if (drive->port != RI_PORT_SG && says_sg(drive))
        return "device, match and own need port = sg";
    if (drive->port == RI_PORT_ISCSI && drive->url[0] == '\0')
        return "port = iscsi needs url = iscsi://...";
    if (drive->secret_file[0] != '\0' && drive->user[0] == '\0')
        return "chap-secret needs chap-user";
    if (drive->port == RI_PORT_SG &&
        (drive->device[0] != '\0') == (drive->match[0] != '\0'))
        return "port = sg needs one of device and match";
    return NULL;
}

/* Which of those before it has the same unit, or NULL. */
static const struct ri_drive_config *
same_unit(const struct ri_config *config, const struct ri_drive_config *drive)
{
    for (size_t i = 0; &config->drives[i] < drive; i++)
        if (config_is_same_unit(&config->drives[i], drive))
            return &config->drives[i];
    return NULL;
}

/* What is wrong with it as a whole, or NULL. */
static const char *
drive_fault(const struct ri_drive_config *drive)
{
    if (drive->port != RI_PORT_VIRTUAL && says_emulated(drive))
        return "medium, cache, readonly, load-ms, block-size, fault and what "
               "tape drives are like are of emulated drives";
    if (config_is_all_units(drive) && drive->only_type &&
        drive->type == RI_FLOPPY)
        return "type = floppy: units of a target are disks, CD drives or tapes";
    return config_reach_fault(drive);
}

/* What belongs together, now that all of it is known. */
static void
check_drives(struct reading *r)
{
    for (size_t i = 0; r->rc == 0 && i < r->config->drive_count; i++) {
        const struct ri_drive_config *drive = &r->config->drives[i];
        const struct ri_drive_config *other = same_unit(r->config, drive);
        const char *fault = drive_fault(drive);
        char text[RI_TEXT_MAX / 4];
        unsigned line = 0;

        r->line = drive->line;
        if (fault != NULL)
            config_wrong(r, "drive %s: %s", drive->name, fault);
        else if (other != NULL)
            config_wrong(r, "drive %s: url: its unit is drive %s, of line %u",
                         drive->name, other->name, other->line);
        else if (!config_tape_fits(drive, &line, text, sizeof text)) {
            r->line = line != 0 ? line : drive->line;
            config_wrong(r, "%s", text);
        }
    }
}

/* Last of all that is read, because others have to be asked; libraries may name
 * these drives. */
static void
find_units(struct reading *r)
{
    struct drive_list found;

    r->rc = config_find_units(r->config, r->path, &found, r->error);
    if (r->rc != 0 || found.drives == NULL)
        return;
    drive_list_free(
        &(struct drive_list){ r->config->drives, r->config->drive_count });
    r->config->drives = found.drives;
    r->config->drive_count = found.count;
}

int
ri_config_load(const char *path, struct ri_config *out_config,
               struct ri_error *out_error)
{
    struct ri_config config;
    struct reading r = { .path = path, .config = &config, .error = out_error };
    int line;

    r.file = fopen(path, "re");
    if (r.file == NULL)
        return ri_fail(out_error, -errno, "%.400s: %s", path, strerror(errno));
    ri_config_init(&config);
    snprintf(config.path, sizeof config.path, "%s", path);
    r.text = malloc(CONFIG_LINE_MAX + 2);
    if (r.text == NULL) {
        fclose(r.file);
        return ri_fail(out_error, -ENOMEM, "out of memory");
    }
    line = ini_parse_stream(read_line, &r, take_key, &r);
    free(r.text);
    if (r.rc == 0 && ferror(r.file))
        r.rc = ri_fail(out_error, -EIO, "%.400s: cannot be read", path);
    fclose(r.file);
    if (r.rc == 0 && line > 0) {
        r.line = (unsigned) line;
        config_wrong(&r, "neither [section] nor key = value");
    }
    if (r.rc == 0 && config.drive_count == 0 && config.library_count == 0) {
        r.line = r.line > 0 ? r.line : 1;
        config_wrong(&r, "no [drive NAME] is given");
    }
    if (r.rc == 0)
        check_drives(&r);
    config_check_faults(&r);
    config_forget_faults(&r);
    if (r.rc == 0)
        find_units(&r);
    for (size_t i = 0; r.rc == 0 && i < config.library_count; i++)
        check_library(&r, &config.libraries[i]);
    if (r.rc != 0) {
        ri_config_free(&config);
        return r.rc;
    }
    *out_config = config;
    return 0;
}
