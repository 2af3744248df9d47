/*
 * believe.c - the end of an examination: what the drive can be trusted for,
 * and the lines of a configuration for it
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/examine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/drives.h"

static const char *
verdict_of(const struct examination *e, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(e->report, "findings"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return json_string_value(json_object_get(row, "verdict"));
    }
    return "";
}

static const char *
trust(const struct examination *e)
{
    const char *changes = verdict_of(e, "changes");

    if (is_type(e, "changer"))
        return "It is a robot: it is served as a library, whose drives have "
               "sections of their own.  probe does not look at its slots; "
               "reinsert changer does, once it is served.";
    if (is_type(e, "tape"))
        return "It is a tape drive: probe does not move or read its tape.  The "
               "service looks at who a tape is whenever the drive was not "
               "ready.";
    if (e->inquiry_len < 1)
        return "It does not say what it is, so nothing is known of what it can "
               "be trusted for.";
    if (!has_blocks(e))
        return "It is no disk, CD drive, tape drive or robot: the service has "
               "no use for it.";
    if (verdict_of(e, "block-size")[0] != '\0')
        return "Its medium is not served: the service takes blocks of 512 to "
               "65536 bytes, powers of two.";
    if (strcmp(changes, "good") == 0)
        return "It announces new media, and can be relied on for that.";
    if (strcmp(changes, "wrong") == 0)
        return "It does not announce new media: it is asked every second, its "
               "volume is verified whenever it was not ready, and before it is "
               "used after half a second of silence.  Do not exchange media "
               "faster than that.";
    if (strcmp(changes, "unknown") == 0)
        return "Whether it announces changes was not found out.  Until it is, "
               "it is asked every second; its volume is verified whenever it "
               "was not ready, and before it is used after half a second of "
               "silence.";
    return "Whether it announces changes shows only when media are moved: "
           "--guided.  Until then it is asked every second; its volume is "
           "verified whenever it was not ready, and before it is used after "
           "half a second of silence.";
}

/* `name = value`; value NULL: the line as it is. */
static void
add(json_t *options, const char *name, const char *value)
{
    char line[600];

    snprintf(line, sizeof line, "%.60s%s%.500s", name,
             value != NULL ? " = " : "", value != NULL ? value : "");
    json_array_append_new(options, json_string(line));
}

static void
iscsi_options(const char *device, json_t *options)
{
    const char *user = getenv("REINSERT_ISCSI_USER");

    add(options, "port = iscsi", NULL);
    add(options, "url", device);
    if (user == NULL)
        return;
    add(options, "chap-user", user);
    add(options, "chap-secret = a file with the secret in it", NULL);
}

void
examine_believe(struct examination *e, const char *device)
{
    json_t *identity = json_object_get(e->report, "identity");
    json_t *options = json_object_get(e->report, "options");
    const char *serial = json_string_value(json_object_get(identity, "serial"));

    json_object_set_new(e->report, "believe", json_string(trust(e)));
    if (is_type(e, "other") || e->inquiry_len < 1)
        return; /* nothing is known to serve */
    add(options, is_type(e, "changer") ? "[library NAME]" : "[drive NAME]",
        NULL);
    if (strcmp(e->link->kind, "emulated") == 0 && is_type(e, "cdrom"))
        add(options, "type = cdrom", NULL);
    if (strcmp(e->link->kind, "emulated") == 0)
        add(options, "medium", device);
    else if (strcmp(e->link->kind, "iscsi") == 0)
        iscsi_options(device, options);
    else
        drives_options("", device, serial != NULL ? serial : "", options);
}
