/*
 * config_units.c - a section that means all units of an iSCSI target
 *
 * Its url names none.  The target is asked which it has and what they are, once,
 * before anything is made of the configuration, and each drive among them gets a
 * section of its own: the same keys, a name and a url with its unit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/config_units.h"

#include <errno.h>
#include <scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/iscsi.h"

/* The longest name of a drive; see config.c. */
#define UNIT_NAME_MAX 64

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

static bool
url_of_unit(const char *url, unsigned address, char *out, size_t max)
{
    const char *place = unit_place(url);
    int len = snprintf(out, max, "%.*s/%u%s", (int) (place - url), url, address,
                       place);

    return len > 0 && (size_t) len < max;
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

static bool
fits(const struct ri_drive_config *section, unsigned char type)
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

static bool
add_unit(struct drive_list *list, const struct ri_config *config,
         const struct ri_drive_config *section, const struct unit_found *unit,
         char *out_text, size_t text_max)
{
    const struct ri_drive_config *taken;
    struct ri_drive_config *drive;
    char name[2 * RI_NAME_MAX];

    snprintf(name, sizeof name, "%s-%u", section->name, unit->number);
    taken = find_taken(list, config, name);
    if (strlen(name) > UNIT_NAME_MAX)
        snprintf(out_text, text_max,
                 "\"%.80s\" would be the name of its unit %u, and a name has "
                 "at most %d bytes",
                 name, unit->number, UNIT_NAME_MAX);
    else if (taken != NULL)
        snprintf(out_text, text_max,
                 "its unit %u would be drive %s, which is there already, of "
                 "line %u",
                 unit->number, name, taken->line);
    else if ((drive = add_copy(list, section)) == NULL)
        snprintf(out_text, text_max, "out of memory");
    else if (!url_of_unit(section->url, unit->address, drive->url,
                          sizeof drive->url))
        snprintf(out_text, text_max, "its url is too long");
    else {
        snprintf(drive->name, sizeof drive->name, "%.*s", UNIT_NAME_MAX, name);
        return true;
    }
    return false;
}

bool
config_add_units(struct drive_list *list, const struct ri_config *config,
                 const struct ri_drive_config *section,
                 const struct unit_found *units, size_t count, char *out_text,
                 size_t text_max)
{
    size_t before = list->count;

    for (size_t i = 0; i < count; i++)
        if (fits(section, units[i].type) &&
            !add_unit(list, config, section, &units[i], out_text, text_max))
            return false;
    if (list->count != before)
        return true;
    snprintf(out_text, text_max, "none of the %zu units of %.100s is a drive%s",
             count, section->url, section->only_type ? " of this type" : "");
    return false;
}

/* --- asking ------------------------------------------------------------------ */

static bool
ask_target(struct drive_list *list, const struct ri_config *config,
           const struct ri_drive_config *section, char *out_text,
           size_t text_max)
{
    char url[RI_PATH_MAX], why[RI_TEXT_MAX] = "";
    struct unit_found units[UNITS_MAX];
    int count;

    if (!url_of_unit(section->url, 0, url, sizeof url)) {
        snprintf(out_text, text_max, "its url is too long");
        return false;
    }
    count = iscsi_units(section, url, units, why, sizeof why);
    if (count >= 0)
        return config_add_units(list, config, section, units, (size_t) count,
                                out_text, text_max);
    snprintf(out_text, text_max,
             "%.100s cannot be asked for its units: %.120s (a target that may "
             "come later needs a url with the unit, as TARGET/1)",
             section->url, why);
    return false;
}

static int
wrong_section(const char *path, const struct ri_drive_config *section,
              const char *text, struct ri_error *out_error)
{
    if (path == NULL)
        return ri_fail(out_error, -EINVAL, "drive %s: %s", section->name, text);
    return ri_fail(out_error, -EINVAL, "%.100s:%u: drive %s: %s", path,
                   section->line, section->name, text);
}

int
config_find_units(const struct ri_config *config, const char *path,
                  struct drive_list *out, struct ri_error *out_error)
{
    struct drive_list list = { 0 };
    char text[RI_TEXT_MAX - 180] = "out of memory";
    bool ok = true, any = false;

    *out = list;
    for (size_t i = 0; i < config->drive_count; i++)
        any = any || config_is_all_units(&config->drives[i]);
    for (size_t i = 0; any && ok && i < config->drive_count; i++) {
        const struct ri_drive_config *drive = &config->drives[i];
        int rc = 0;

        if (config_is_all_units(drive))
            ok = ask_target(&list, config, drive, text, sizeof text);
        else
            ok = add_copy(&list, drive) != NULL;
        if (!ok)
            rc = wrong_section(path, drive, text, out_error);
        if (rc != 0) {
            drive_list_free(&list);
            return rc;
        }
    }
    *out = list;
    return 0;
}
