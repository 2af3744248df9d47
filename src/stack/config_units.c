/*
 * config_units.c - a section that means all units of an iSCSI target
 *
 * Its url names none.  The target is asked which it has and what they are before
 * anything is made of the configuration, and each drive among them gets a
 * section of its own: the same keys, a name and a url with its unit.  A target
 * that does not answer is asked again by the service; see targets.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/config_units.h"

#include <errno.h>
#include <scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/iscsi_login.h"
#include "stack/iscsi.h"

/* The longest name of a drive; see config.c. */
#define UNIT_NAME_MAX 64
/* Of flat addressing: fourteen bits. */
#define LAST_UNIT 0x3FFF

void
drive_list_free(struct drive_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->drives[i].faults), free(list->drives[i].parameters);
    free(list->drives);
    *list = (struct drive_list){ 0 };
}

/* Where its unit would stand: iscsi://HOST/TARGET[?OPTIONS], or NULL. */
static const char *
unit_place(const char *url)
{
    const char *host = strstr(url, "://");
    const char *target = host != NULL ? strchr(host + 3, '/') : NULL, *end;

    if (target == NULL)
        return NULL;
    end = target + 1 + strcspn(target + 1, "/?");
    return *end != '/' && end > target + 1 ? end : NULL;
}

bool
config_is_all_units(const struct ri_drive_config *drive)
{
    return drive->port == RI_PORT_ISCSI && unit_place(drive->url) != NULL;
}

/* Below 256 there are two ways to write the same number (SAM-5, 4.7). */
static bool
unit_of(const struct ri_drive_config *drive, const char **out_target,
        size_t *out_len, unsigned *out_number)
{
    const char *host = strstr(drive->url, "://");
    const char *target = host != NULL ? strchr(host + 3, '/') : NULL, *end;

    if (drive->port != RI_PORT_ISCSI || target == NULL)
        return false;
    end = target + 1 + strcspn(target + 1, "/?");
    if (*end != '/')
        return false;
    *out_target = target + 1;
    *out_len = (size_t) (end - target - 1);
    *out_number = (unsigned) strtoul(end + 1, NULL, 10);
    if (*out_number >> 14 == 1)
        *out_number &= LAST_UNIT;
    return true;
}

bool
config_is_same_unit(const struct ri_drive_config *one,
                    const struct ri_drive_config *other)
{
    const char *target, *others;
    size_t len, others_len;
    unsigned number, others_number;

    return unit_of(one, &target, &len, &number) &&
           unit_of(other, &others, &others_len, &others_number) &&
           number == others_number && len == others_len &&
           strncasecmp(target, others, len) == 0;
}

/* --- one --------------------------------------------------------------------- */

static bool
url_of_unit(const char *url, unsigned address, char *out, size_t max)
{
    const char *place = unit_place(url);
    int len = snprintf(out, max, "%.*s/%u%s", (int) (place - url), url, address,
                       place);

    return len > 0 && (size_t) len < max && len <= ISCSI_URL_MAX;
}

bool
config_unit_url(const struct ri_drive_config *section, unsigned address,
                char *out, size_t max)
{
    return url_of_unit(section->url, address, out, max);
}

/* --- the list --------------------------------------------------------------- */

static char *
copy_text(const char *text, bool *ok)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    *ok = *ok && (text == NULL || copy != NULL);
    return copy;
}

/* Another like it, or NULL: no memory. */
static struct ri_drive_config *
add_copy(struct drive_list *list, const struct ri_drive_config *drive)
{
    struct ri_drive_config *more =
        realloc(list->drives, (list->count + 1) * sizeof *more);
    bool ok = true;

    if (more == NULL)
        return NULL;
    list->drives = more;
    more += list->count++;
    *more = *drive;
    more->faults = copy_text(drive->faults, &ok);
    more->parameters = copy_text(drive->parameters, &ok);
    return ok ? more : NULL;
}

static const struct ri_drive_config *
find_name(const struct ri_drive_config *drives, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(drives[i].name, name) == 0)
            return &drives[i];
    return NULL;
}

/* Of another section, or of another unit. */
static const struct ri_drive_config *
find_taken(const struct drive_list *list, const struct ri_config *config,
           const char *name)
{
    const struct ri_drive_config *other =
        find_name(config->drives, config->drive_count, name);

    return other != NULL ? other : find_name(list->drives, list->count, name);
}

static const struct ri_drive_config *
find_unit(const struct ri_drive_config *drives, size_t count,
          const struct ri_drive_config *drive)
{
    for (size_t i = 0; i < count; i++)
        if (config_is_same_unit(&drives[i], drive))
            return &drives[i];
    return NULL;
}

bool
config_unit_fits(const struct ri_drive_config *section, unsigned char type)
{
    enum ri_drive_type is;

    switch (type) {
    case DIRECT_ACCESS_DEVICE:
    case OPTICAL_DEVICE:
        is = RI_DISK;
        break;
    case READ_ONLY_DIRECT_ACCESS_DEVICE:
        is = RI_CDROM;
        break;
    case SEQUENTIAL_ACCESS_DEVICE:
        is = RI_TAPE;
        break;
    default:
        return false;
    }
    return !section->only_type || section->type == is;
}

bool
config_unit(const struct ri_drive_config *section,
            const struct unit_found *unit, struct ri_drive_config *out,
            char *out_text, size_t text_max)
{
    char name[2 * RI_NAME_MAX];

    snprintf(name, sizeof name, "%s-%u", section->name, unit->number);
    *out = *section;
    out->asked = out->answered = false;
    snprintf(out->section, sizeof out->section, "%s", section->name);
    snprintf(out->name, sizeof out->name, "%.*s", UNIT_NAME_MAX, name);
    if (strlen(name) > UNIT_NAME_MAX)
        snprintf(out_text, text_max,
                 "\"%.80s\" would be the name of its unit %u, and a name has "
                 "at most %d bytes",
                 name, unit->number, UNIT_NAME_MAX);
    else if (!url_of_unit(section->url, unit->address, out->url,
                          sizeof out->url))
        snprintf(out_text, text_max, "its url is too long");
    else
        return true;
    return false;
}

static bool
add_unit(struct drive_list *list, const struct ri_config *config,
         const struct ri_drive_config *section, const struct unit_found *unit,
         char *out_text, size_t text_max)
{
    const struct ri_drive_config *taken;
    struct ri_drive_config drive;

    if (!config_unit(section, unit, &drive, out_text, text_max))
        return false;
    taken = find_taken(list, config, drive.name);
    if (taken != NULL)
        snprintf(out_text, text_max,
                 "its unit %u would be drive %s, which is there already, of "
                 "line %u",
                 unit->number, drive.name, taken->line);
    else if (find_unit(config->drives, config->drive_count, &drive) != NULL)
        return true;
    else if ((taken = find_unit(list->drives, list->count, &drive)) != NULL)
        snprintf(out_text, text_max, "its unit %u is drive %s already",
                 unit->number, taken->name);
    else if (add_copy(list, &drive) == NULL)
        snprintf(out_text, text_max, "out of memory");
    else
        return true;
    return false;
}

bool
config_add_units(struct drive_list *list, const struct ri_config *config,
                 const struct ri_drive_config *section,
                 const struct unit_found *units, size_t count, char *out_text,
                 size_t text_max)
{
    for (size_t i = 0; i < count; i++)
        if (config_unit_fits(section, units[i].type) &&
            !add_unit(list, config, section, &units[i], out_text, text_max))
            return false;
    return true;
}

/* --- asking ------------------------------------------------------------------ */

int
config_ask_units(const struct ri_drive_config *section, const int *stop_fd,
                 struct unit_found *out, char *out_text, size_t text_max)
{
    char url[RI_PATH_MAX];

    if (url_of_unit(section->url, 0, url, sizeof url))
        return iscsi_units(section, url, stop_fd, out, out_text, text_max);
    snprintf(out_text, text_max, "its url is too long");
    return -EINVAL;
}

/* True, with none: it cannot be asked now. */
static bool
ask_target(struct drive_list *list, const struct ri_config *config,
           const struct ri_drive_config *section, bool *out_answered,
           char *out_text, size_t text_max)
{
    char why[RI_TEXT_MAX] = "";
    struct unit_found units[UNITS_MAX];
    int count = config_ask_units(section, NULL, units, why, sizeof why);

    *out_answered = count >= 0;
    if (count >= 0)
        return config_add_units(list, config, section, units, (size_t) count,
                                out_text, text_max);
    snprintf(out_text, text_max, "%.100s cannot be asked for its units: %.120s",
             section->url, why);
    return count == -ENOTCONN || count == -EACCES || count == -EIO;
}

/* --- libraries name them ------------------------------------------------------- */

/* Which unit of the section is it, by its name?  -1: of another. */
static int
number_of(const struct ri_drive_config *section, const char *name)
{
    size_t len = strlen(section->name);
    unsigned long number;
    char *end;

    if (!config_is_all_units(section) ||
        strncmp(name, section->name, len) != 0 || name[len] != '-' ||
        name[len + 1] < '0' || name[len + 1] > '9')
        return -1;
    number = strtoul(name + len + 1, &end, 10);
    return *end == '\0' && number <= LAST_UNIT ? (int) number : -1;
}

/* Below 256 by peripheral, else by flat addressing (SAM-5, 4.7). */
static bool
add_named(struct drive_list *list, const struct ri_config *config,
          const char *name, char *out_text, size_t text_max)
{
    for (size_t i = 0; i < config->drive_count; i++) {
        const struct ri_drive_config *section = &config->drives[i];
        int number = number_of(section, name);
        struct unit_found unit = {
            .address = (uint16_t) (number < 256 ? number : 0x4000 | number),
            .number = (uint16_t) number
        };
        struct ri_drive_config drive;

        /* Not "vault-03". */
        if (number >= 0 &&
            config_unit(section, &unit, &drive, out_text, text_max) &&
            strcmp(drive.name, name) == 0 &&
            find_unit(config->drives, config->drive_count, &drive) == NULL)
            return add_copy(list, &drive) != NULL;
    }
    return true; /* check_library has words for it */
}

/* Drives of a library are there from the start, though their target be not. */
static bool
add_all_named(struct drive_list *list, const struct ri_config *config,
              char *out_text, size_t text_max)
{
    for (size_t i = 0; i < config->library_count; i++) {
        const struct ri_library_config *library = &config->libraries[i];

        for (unsigned n = 0;
             n < RI_LIBRARY_DRIVES_MAX && library->drive_names[n][0] != '\0';
             n++)
            if (find_taken(list, config, library->drive_names[n]) == NULL &&
                !add_named(list, config, library->drive_names[n], out_text,
                           text_max))
                return false;
    }
    return true;
}

/* --- all of them ------------------------------------------------------------------ */

static int
wrong_section(const char *path, const struct ri_drive_config *section,
              const char *text, struct ri_error *out_error)
{
    if (path == NULL)
        return ri_fail(out_error, -EINVAL, "drive %s: %s", section->name, text);
    return ri_fail(out_error, -EINVAL, "%.100s:%u: drive %s: %s", path,
                   section->line, section->name, text);
}

static bool
is_to_be_asked(const struct ri_drive_config *drive)
{
    return config_is_all_units(drive) && !drive->asked;
}

static bool
add_section(struct drive_list *list, const struct ri_config *config,
            const struct ri_drive_config *section, char *out_text,
            size_t text_max)
{
    size_t at = list->count;
    bool answered, ok;

    if (add_copy(list, section) == NULL)
        return false;
    if (!is_to_be_asked(section))
        return true;
    ok = ask_target(list, config, section, &answered, out_text, text_max);
    list->drives[at].asked = true;
    list->drives[at].answered = answered;
    return ok;
}

int
config_find_units(const struct ri_config *config, const char *path,
                  struct drive_list *out, struct ri_error *out_error)
{
    struct drive_list list = { 0 };
    char text[RI_TEXT_MAX - 180] = "out of memory";
    bool any = false;

    *out = list;
    for (size_t i = 0; i < config->drive_count; i++)
        any = any || is_to_be_asked(&config->drives[i]);
    for (size_t i = 0; any && i < config->drive_count; i++)
        if (!add_section(&list, config, &config->drives[i], text,
                         sizeof text)) {
            drive_list_free(&list);
            return wrong_section(path, &config->drives[i], text, out_error);
        }
    if (any && !add_all_named(&list, config, text, sizeof text)) {
        drive_list_free(&list);
        return ri_fail(out_error, -ENOMEM, "out of memory");
    }
    *out = list;
    return 0;
}
