/*
 * config_faults.c - fault rules in a configuration file
 *
 * Whether a rule can ever match is known when its drive's type is, which may be
 * said after it: until then it is kept with its line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vscsi.h>

#include "stack/config_read.h"
#include "stack/stack_internal.h"

/* What is given to the real one at the start has room for it. */
#define FAULT_MAX 255

static const enum vscsi_type types[] = {
    [RI_DISK] = VSCSI_DISK,
    [RI_FLOPPY] = VSCSI_FLOPPY,
    [RI_CDROM] = VSCSI_CDROM,
    [RI_TAPE] = VSCSI_TAPE,
};

struct kept_rule {
    struct kept_rule *next;
    unsigned line;
    size_t index; /* of its drive, or of its library */
    bool library; /* the section is one of a library */
    char key[16];
    char text[];
};

static int
refuse(struct reading *r, const char *key, const char *text)
{
    return config_wrong(r, "%s: %s", key, text);
}

/* Some drive has to take it; whether its own does is looked at in the end. */
int
config_check_fault(struct reading *r, const char *key, const char *value)
{
    static const enum vscsi_type all[] = { VSCSI_DISK, VSCSI_CDROM, VSCSI_TAPE,
                                           VSCSI_CHANGER };
    size_t len = strlen(value) + 1;
    struct kept_rule *rule, **end = &r->faults;
    char text[RI_TEXT_MAX / 4] = "";
    size_t i = sizeof all / sizeof all[0];

    if (len > FAULT_MAX + 1) {
        snprintf(text, sizeof text, "longer than %d bytes", FAULT_MAX);
        return refuse(r, key, text);
    }
    while (i > 0 &&
           vscsi_fault_check(all[i - 1], value, text, sizeof text) != 0)
        i--;
    if (i == 0)
        return refuse(r, key, text);
    rule = calloc(1, sizeof *rule + len);
    if (rule == NULL)
        return refuse(r, key, "out of memory");
    rule->line = r->line;
    rule->library = config_in_library(r);
    rule->index =
        (rule->library ? r->config->library_count : r->config->drive_count) - 1;
    snprintf(rule->key, sizeof rule->key, "%s", key);
    memcpy(rule->text, value, len);
    while (*end != NULL)
        end = &(*end)->next;
    *end = rule;
    return 1;
}

/* False: it is a real one, of which something better is said. */
static bool
type_of(const struct reading *r, const struct kept_rule *rule,
        enum vscsi_type *out_type)
{
    const struct ri_library_config *library;
    const struct ri_drive_config *drive;

    if (!rule->library) {
        drive = &r->config->drives[rule->index];
        *out_type = types[drive->type];
        return drive->port == RI_PORT_VIRTUAL;
    }
    library = &r->config->libraries[rule->index];
    *out_type = strcmp(rule->key, "fault") == 0 ? VSCSI_CHANGER
                                                : types[library->drive.type];
    return library->port == RI_PORT_VIRTUAL;
}

void
config_check_faults(struct reading *r)
{
    const struct kept_rule *rule;
    char text[RI_TEXT_MAX / 4] = "";
    enum vscsi_type type;

    for (rule = r->faults; r->rc == 0 && rule != NULL; rule = rule->next) {
        r->line = rule->line;
        if (type_of(r, rule, &type) &&
            vscsi_fault_check(type, rule->text, text, sizeof text) != 0)
            refuse(r, rule->key, text);
    }
}

void
config_forget_faults(struct reading *r)
{
    struct kept_rule *rule;

    while ((rule = r->faults) != NULL) {
        r->faults = rule->next;
        free(rule);
    }
}
