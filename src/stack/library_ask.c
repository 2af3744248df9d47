/*
 * library_ask.c - libraries asked, by reinsert.h and by other rooms
 *
 * ... and the hands of somebody who stands before an emulated one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/library_unit.h"
#include "stack/tape_drive.h"

static struct library_unit *
find_unit(struct ri_service *service, const char *name,
          struct ri_error *out_error)
{
    struct libraries *libraries = service->libraries;

    for (size_t i = 0; libraries != NULL && i < libraries->count; i++)
        if (strcmp(libraries->units[i].config.name, name) == 0 &&
            libraries->units[i].library != NULL)
            return &libraries->units[i];
    ri_fail(out_error, -ENODEV, "no library is called %.200s", name);
    return NULL;
}

struct drive *
library_drive(struct ri_service *service, const char *name, unsigned n)
{
    struct library_unit *unit = find_unit(service, name, NULL);

    return unit != NULL ? library_unit_drive(unit, n) : NULL;
}

struct vscsi_library *
library_device(struct ri_service *service, const char *name)
{
    struct library_unit *unit = find_unit(service, name, NULL);

    return unit != NULL ? unit->device : NULL;
}

struct library *
library_named(struct ri_service *service, const char *name)
{
    struct library_unit *unit = find_unit(service, name, NULL);

    return unit != NULL ? unit->library : NULL;
}

int
ri_libraries(struct ri_service *service, struct ri_library_info **out_list,
             size_t *out_count)
{
    struct libraries *libraries = service->libraries;
    size_t count = libraries != NULL ? libraries->count : 0, n = 0;
    struct ri_library_info *list = calloc(count + 1, sizeof *list);
    struct ri_sense_info sense;

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct ri_library_info *at = &list[n];

        if (libraries->units[i].library == NULL)
            continue;
        library_info(libraries->units[i].library, at);
        if (at->sense_len > 0 &&
            ri_sense_decode(at->sense_bytes, at->sense_len, &sense, NULL) == 0)
            snprintf(at->sense, sizeof at->sense, "%X/%02X/%02X %.400s",
                     sense.key, sense.asc, sense.ascq, sense.text);
        n++;
    }
    *out_list = list;
    *out_count = n;
    return 0;
}

int
ri_library_elements(struct ri_service *service, const char *library,
                    struct ri_element_info **out_list, size_t *out_count,
                    struct ri_error *out_error)
{
    struct library_unit *unit = find_unit(service, library, out_error);

    if (unit == NULL)
        return -ENODEV;
    return library_elements(unit->library, out_list, out_count);
}

int
ri_library_command(struct ri_service *service, const char *library,
                   const struct ri_library_command *command,
                   struct ri_library_result *out_result,
                   struct ri_error *out_error)
{
    struct ri_error error = { "" };
    struct library_unit *unit = find_unit(service, library, &error);

    if (unit != NULL) {
        tape_robots_moved(service, library);
        return jukebox_command(jukebox_named(service, library), unit->library,
                               command, out_result, out_error);
    }
    memset(out_result, 0, sizeof *out_result);
    out_result->drive = RI_NO_DRIVE;
    out_result->error = -ENODEV;
    out_result->status = (uint32_t) STATUS_NO_SUCH_DEVICE;
    snprintf(out_result->status_name, sizeof out_result->status_name,
             "STATUS_NO_SUCH_DEVICE");
    snprintf(out_result->text, sizeof out_result->text, "%s", error.text);
    return ri_fail(out_error, -ENODEV, "%s", error.text);
}

/* --- hands ---------------------------- */

static enum vscsi_element_kind
kind_of(const struct library_unit *unit, uint32_t number, unsigned *out_index)
{
    bool mail = number > unit->config.slots;

    *out_index = number - 1 - (mail ? unit->config.slots : 0);
    return mail ? VSCSI_ELEMENT_MAIL : VSCSI_ELEMENT_SLOT;
}

static int
move_by_hand(struct library_unit *unit, const char *what, uint32_t number,
             const char *image, char *text, size_t max)
{
    struct vscsi_library *device = unit->device;
    unsigned index;
    enum vscsi_element_kind kind = kind_of(unit, number, &index);

    if (strcmp(what, "open-door") == 0 || strcmp(what, "close-door") == 0)
        return vscsi_library_door(device, what[0] == 'o', text, max);
    if (strcmp(what, "open-mail") == 0 || strcmp(what, "close-mail") == 0)
        return vscsi_library_mail(device, what[0] == 'o', text, max);
    if (strcmp(what, "insert") == 0)
        return vscsi_library_put(device, kind, index, image, text, max);
    if (strcmp(what, "remove") == 0)
        return vscsi_library_take(device, kind, index, NULL, text, max);
    snprintf(text, max,
             "a hand does open-door, close-door, open-mail, "
             "close-mail, insert and remove");
    return -EINVAL;
}

int
ri_library_hand(struct ri_service *service, const char *library,
                const char *what, uint32_t number, const char *image,
                struct ri_error *out_error)
{
    struct library_unit *unit = find_unit(service, library, out_error);
    char text[RI_TEXT_MAX] = "", line[RI_TEXT_MAX + 160];
    bool needs = strcmp(what, "insert") == 0 || strcmp(what, "remove") == 0;
    int rc;

    if (unit == NULL)
        return -ENODEV;
    if (unit->device == NULL)
        return ri_fail(out_error, -ENOTSUP,
                       "library %s is a real one: hands are yours", library);
    if (needs && number == 0)
        return ri_fail(out_error, -EINVAL, "no slot is given");
    if (strcmp(what, "insert") == 0 && (image == NULL || image[0] == '\0'))
        return ri_fail(out_error, -EINVAL, "no image is given");
    rc = move_by_hand(unit, what, number, image, text, sizeof text);
    if (rc != 0)
        return ri_fail(out_error, rc, "library %s: %.400s", library,
                       text[0] != '\0' ? text : strerror(-rc));
    snprintf(line, sizeof line, "library %s: somebody did: %s%s%.200s", library,
             what, image != NULL && image[0] != '\0' ? " " : "",
             image != NULL ? image : "");
    event_send_library(service, unit->config.name, "hand", "", line);
    library_poke(unit->library);
    return 0;
}
