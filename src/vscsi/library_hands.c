/*
 * library_hands.c - what a hand does at a media library: doors, mail slots
 *
 * Each call decides under the library's lock, and tells the initiators and
 * writes the state file after it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vscsi/library.h"

/* Through which door an element is reached, and whether it is open. */
static int
check_reach(struct vscsi_library *library, const struct element *element,
            char *out_text, size_t max)
{
    if (element->kind == VSCSI_ELEMENT_DRIVE)
        return library_refuse(out_text, max, -EINVAL,
                              "media go into drive %s itself",
                              element->drive->name);
    if (element->kind == VSCSI_ELEMENT_MAIL && !library->mail_open &&
        !library->door_open)
        return library_refuse(out_text, max, -EPERM, "the mail slots are shut");
    if (element->kind != VSCSI_ELEMENT_MAIL && !library->door_open)
        return library_refuse(out_text, max, -EPERM,
                              "the door of the library is shut");
    if (element->claim != NULL)
        return library_refuse(out_text, max, -EBUSY, "the robot is at %s %u",
                              library_kind_name(element->kind),
                              element->index + 1);
    return 0;
}

static struct element *
find(struct vscsi_library *library, enum vscsi_element_kind kind,
     unsigned index, char *out_text, size_t max)
{
    struct element *element = library_nth(library, kind, index);

    if (element == NULL)
        (void) library_refuse(
            out_text, max, 0, "there is no %s %u",
            kind >= 1 && kind < KINDS ? library_kind_name(kind) : "element",
            index + 1);
    return element;
}

static int
put_locked(struct vscsi_library *library, struct element *element,
           const char *file, char *out_text, size_t max)
{
    struct cartridge *cartridge = library_cartridge(library, file);
    int error = check_reach(library, element, out_text, max);

    if (error != 0)
        return error;
    if (element->cartridge != NULL)
        return library_refuse(out_text, max, -EBUSY, "%s %u holds %s",
                              library_kind_name(element->kind),
                              element->index + 1, element->cartridge->file);
    if (cartridge != NULL && cartridge->at != NULL)
        return library_refuse(out_text, max, -EEXIST, "%s is in %s %u already",
                              file, library_kind_name(cartridge->at->kind),
                              cartridge->at->index + 1);
    if (cartridge == NULL)
        cartridge = library_add_cartridge(library, file);
    if (cartridge == NULL)
        return library_refuse(out_text, max, -ENOMEM, "no memory");
    library_place_locked(library, cartridge, element);
    element->imported = element->kind == VSCSI_ELEMENT_MAIL;
    library->mail_changed |= element->imported;
    return 0;
}

int
vscsi_library_put(struct vscsi_library *library, enum vscsi_element_kind kind,
                  unsigned index, const char *file, char *out_text,
                  size_t text_max)
{
    struct element *element = find(library, kind, index, out_text, text_max);
    char path[4096];
    struct stat st;
    int error;

    if (element == NULL)
        return -ERANGE;
    if (library->media_dir == NULL || file[0] == '\0' || file[0] == '.' ||
        strchr(file, '/') != NULL ||
        strlen(file) >= sizeof((struct cartridge *) 0)->file)
        return library_refuse(out_text, text_max, -ENOENT,
                              "%s is no name in a media directory", file);
    (void) snprintf(path, sizeof path, "%s/%s", library->media_dir, file);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return library_refuse(out_text, text_max, -ENOENT,
                              "there is no file %s", path);
    pthread_mutex_lock(&library->lock);
    library_look_locked(library);
    error = put_locked(library, element, file, out_text, text_max);
    pthread_mutex_unlock(&library->lock);
    if (error == 0)
        (void) library_state_save(library);
    return error;
}

int
vscsi_library_take(struct vscsi_library *library, enum vscsi_element_kind kind,
                   unsigned index, char *out_file, char *out_text,
                   size_t text_max)
{
    struct element *element = find(library, kind, index, out_text, text_max);
    struct cartridge *cartridge;
    int error;

    if (element == NULL)
        return -ERANGE;
    pthread_mutex_lock(&library->lock);
    library_look_locked(library);
    error = check_reach(library, element, out_text, text_max);
    cartridge = element->cartridge;
    if (error == 0 && cartridge == NULL)
        error = library_refuse(out_text, text_max, -ENOENT, "%s %u is empty",
                               library_kind_name(kind), index + 1);
    if (error == 0 && cartridge != NULL) {
        if (out_file != NULL)
            memcpy(out_file, cartridge->file, sizeof cartridge->file);
        library_place_locked(library, cartridge, NULL);
        library->mail_changed |= kind == VSCSI_ELEMENT_MAIL;
    }
    pthread_mutex_unlock(&library->lock);
    if (error == 0)
        (void) library_state_save(library);
    return error;
}

/* --- doors ---------------------------------------------------------------- */

/* An operator who asks in vain is at least heard. */
static int
kept_shut(struct vscsi_library *library, const char *what, char *out_text,
          size_t max)
{
    library_attention(library, UA_EJECT);
    return library_refuse(out_text, max, -EPERM,
                          "the host keeps the %s of library %s shut", what,
                          library->robot->name);
}

int
vscsi_library_door(struct vscsi_library *library, bool open, char *out_text,
                   size_t text_max)
{
    bool was;

    if (open && library->robot->prevents != 0)
        return kept_shut(library, "door", out_text, text_max);
    pthread_mutex_lock(&library->lock);
    was = library->door_open;
    library->door_open = open;
    for (unsigned i = 0; was && !open && i < library->elements_count; i++) {
        struct element *element = &library->elements[i];

        if (element->kind == VSCSI_ELEMENT_SLOT ||
            element->kind == VSCSI_ELEMENT_MAIL)
            element->unknown = true;
    }
    if (was && !open)
        library->scanning = true;
    pthread_mutex_unlock(&library->lock);
    if (!was && open) {
        motion_stop(library);
        library_alert(library, 16);
    }
    if (was && !open) {
        library_attention(library, UA_MEDIUM);
        motion_scan(library);
    }
    return 0;
}

int
vscsi_library_mail(struct vscsi_library *library, bool open, char *out_text,
                   size_t text_max)
{
    bool was, changed;

    if (library->count[VSCSI_ELEMENT_MAIL] == 0)
        return library_refuse(out_text, text_max, -ERANGE,
                              "library %s has no mail slots",
                              library->robot->name);
    if (open && library->robot->prevents != 0)
        return kept_shut(library, "mail slots", out_text, text_max);
    pthread_mutex_lock(&library->lock);
    for (unsigned i = 0; open && i < library->count[VSCSI_ELEMENT_MAIL]; i++)
        if (library_nth(library, VSCSI_ELEMENT_MAIL, i)->claim != NULL) {
            pthread_mutex_unlock(&library->lock);
            return library_refuse(out_text, text_max, -EBUSY,
                                  "the robot is at mail slot %u", i + 1);
        }
    was = library->mail_open;
    changed = library->mail_changed;
    library->mail_open = open;
    if (was != open)
        library->mail_changed = false;
    pthread_mutex_unlock(&library->lock);
    if (was && !open)
        library_attention(library, changed ? UA_MAIL_CHANGED : UA_MAIL);
    return 0;
}

int
vscsi_library_fit(struct vscsi_library *library, enum vscsi_element_kind kind,
                  unsigned first, unsigned count, bool present, char *out_text,
                  size_t text_max)
{
    bool drives = kind == VSCSI_ELEMENT_DRIVE, changed = false;
    int error = 0;

    if ((kind != VSCSI_ELEMENT_SLOT && !drives) || count == 0 ||
        first >= library->count[kind] || count > library->count[kind] - first)
        return library_refuse(out_text, text_max, -ERANGE,
                              "there are no such elements to take out");
    pthread_mutex_lock(&library->lock);
    for (unsigned i = 0; error == 0 && i < count; i++)
        if (library_nth(library, kind, first + i)->claim != NULL)
            error = library_refuse(out_text, text_max, -EBUSY,
                                   "the robot is at %s %u",
                                   library_kind_name(kind), first + i + 1);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        struct element *element = library_nth(library, kind, first + i);

        changed |= element->absent == present;
        element->absent = !present;
    }
    pthread_mutex_unlock(&library->lock);
    if (!changed)
        return error;
    if (!drives && !present)
        library_alert(library, 18);
    library_attention(library, drives ? (present ? UA_DRIVE_IN : UA_DRIVE_OUT)
                               : present ? UA_MAGAZINE_IN
                                         : UA_MAGAZINE_OUT);
    return 0;
}
