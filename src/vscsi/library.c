/*
 * library.c - the emulated media library: its elements and what is in them
 *
 * library_place_locked is the only writer of who is where, so that a cartridge
 * is in one element or outside, never in two.  Drives are asked what they hold
 * before anything is decided: hands may have been at them.  Locks: library.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vscsi/library.h"

int
library_refuse(char *out_text, size_t max, int error, const char *format, ...)
{
    va_list args;

    if (out_text != NULL && max != 0) {
        va_start(args, format);
        (void) vsnprintf(out_text, max, format, args);
        va_end(args);
    }
    return error;
}

/* --- elements ------------------------------------------------------------- */

const char *
library_kind_name(enum vscsi_element_kind kind)
{
    static const char *const names[KINDS] = { "place", "transport", "slot",
                                              "mail slot", "drive" };

    return names[kind];
}

struct element *
library_nth(struct vscsi_library *library, enum vscsi_element_kind kind,
            unsigned index)
{
    if (kind < 1 || kind >= KINDS || index >= library->count[kind])
        return NULL;
    return &library->elements[library->first[kind] + index];
}

struct element *
library_element(struct vscsi_library *library, unsigned address)
{
    for (unsigned kind = 1; kind < KINDS; kind++) {
        unsigned base = library->personality->base[kind];

        if (address >= base && address - base < library->count[kind])
            return &library->elements[library->first[kind] + address - base];
    }
    return NULL;
}

void
library_path(const struct vscsi_library *library,
             const struct cartridge *cartridge, char *out_path, size_t max)
{
    (void) snprintf(out_path, max, "%s/%s", library->media_dir,
                    cartridge->file);
}

struct cartridge *
library_cartridge(struct vscsi_library *library, const char *file)
{
    struct cartridge *at = library->cartridges;

    while (at != NULL && strcmp(at->file, file) != 0)
        at = at->next;
    return at;
}

void
cartridge_label(const char *file, char out_bar_code[33])
{
    size_t i;

    for (i = 0; i < 32; i++) {
        char c = file[i];

        if (c == '\0' || c == '.')
            break;
        if (c >= 'a' && c <= 'z')
            c = (char) (c - 'a' + 'A');
        out_bar_code[i] = c > ' ' && c < 0x7f ? c : '_';
    }
    out_bar_code[i] = '\0';
}

static void
label(struct cartridge *cartridge)
{
    cartridge_label(cartridge->file, cartridge->bar_code);
    cartridge->cleaning = strncmp(cartridge->bar_code, "CLN", 3) == 0;
}

struct cartridge *
library_add_cartridge(struct vscsi_library *library, const char *file)
{
    struct cartridge *cartridge = calloc(1, sizeof *cartridge);

    if (cartridge == NULL)
        return NULL;
    (void) snprintf(cartridge->file, sizeof cartridge->file, "%s", file);
    label(cartridge);
    if (cartridge->cleaning)
        cartridge->uses_left = library->cleaning_uses;
    cartridge->next = library->cartridges;
    library->cartridges = cartridge;
    return cartridge;
}

void
library_place_locked(struct vscsi_library *library, struct cartridge *cartridge,
                     struct element *to)
{
    struct element *from = cartridge->at;

    assert(to == NULL || to->cartridge == NULL);
    if (from != NULL) {
        assert(from->cartridge == cartridge);
        from->cartridge = NULL;
        from->source = -1;
        from->imported = from->not_loaded = false;
    }
    cartridge->at = to;
    if (to != NULL) {
        to->cartridge = cartridge;
        to->source = -1;
        to->imported = to->not_loaded = false;
    }
    library->changes++;
}

void
library_check_locked(struct vscsi_library *library)
{
    unsigned placed = 0;

    for (struct cartridge *at = library->cartridges; at != NULL; at = at->next)
        if (at->at != NULL) {
            assert(at->at->cartridge == at);
            placed++;
        }
    for (unsigned i = 0; i < library->elements_count; i++)
        placed -= library->elements[i].cartridge != NULL;
    assert(placed == 0);
    (void) placed;
}

/* --- what the drives hold ------------------------------------------------- */

bool
library_drive_full(struct vscsi_drive *drive)
{
    bool full;

    pthread_mutex_lock(&drive->lock);
    full = drive->medium != NULL;
    pthread_mutex_unlock(&drive->lock);
    return full;
}

static bool
same_file(const struct vscsi_library *library,
          const struct cartridge *cartridge, dev_t dev, ino_t ino)
{
    char path[4096];
    struct stat st;

    library_path(library, cartridge, path, sizeof path);
    return stat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* A hand put `path` into this drive: a cartridge that we know, or a stranger.
 * What was in the drive's mouth before must have been taken away. */
static void
found_in_drive(struct vscsi_library *library, struct element *element,
               const char *path, dev_t dev, ino_t ino)
{
    const char *name = strrchr(path, '/');
    struct cartridge *cartridge =
        library_cartridge(library, name != NULL ? name + 1 : path);

    if (cartridge != NULL && !same_file(library, cartridge, dev, ino))
        cartridge = NULL;
    if (cartridge != NULL && cartridge == element->cartridge) {
        element->not_loaded = false;
        return;
    }
    if (cartridge != NULL && cartridge->at != NULL &&
        cartridge->at->claim != NULL)
        return; /* looked at again when the robot has finished there */
    if (element->cartridge != NULL)
        library_place_locked(library, element->cartridge, NULL);
    if (cartridge != NULL)
        library_place_locked(library, cartridge, element);
}

void
library_look_locked(struct vscsi_library *library)
{
    char path[4096], own[4096];
    dev_t dev = 0;
    ino_t ino = 0;

    for (unsigned i = 0; i < library->count[VSCSI_ELEMENT_DRIVE]; i++) {
        struct element *element = library_nth(library, VSCSI_ELEMENT_DRIVE, i);
        struct vscsi_drive *drive = element->drive;
        bool full;

        if (element->claim != NULL)
            continue;
        pthread_mutex_lock(&drive->lock);
        full = drive->medium != NULL;
        if (full) {
            (void) snprintf(path, sizeof path, "%s", drive->medium->path);
            dev = drive->medium->dev;
            ino = drive->medium->ino;
        }
        pthread_mutex_unlock(&drive->lock);
        if (!full)
            continue;
        if (element->cartridge != NULL) {
            library_path(library, element->cartridge, own, sizeof own);
            if (strcmp(path, own) == 0)
                continue;
        }
        found_in_drive(library, element, path, dev, ino);
    }
}

static uint32_t
load_cleaner(struct vscsi_library *library, struct element *element)
{
    struct cartridge *cartridge = element->cartridge;
    bool expired;

    pthread_mutex_lock(&library->lock);
    expired = cartridge->uses_left == 0;
    if (!expired)
        cartridge->uses_left--;
    library->changes++;
    pthread_mutex_unlock(&library->lock);
    drive_clean(element->drive, expired ? SENSE_CLEANER_EXPIRED : SENSE_CLEANER,
                expired ? 0 : library->times.clean);
    return 0;
}

uint32_t
library_load(struct vscsi_library *library, struct element *element)
{
    char path[4096];
    int error;

    if (element->cartridge->cleaning)
        return load_cleaner(library, element);
    library_path(library, element->cartridge, path, sizeof path);
    error = vscsi_insert(element->drive, path, NULL, 0);
    if (error == 0)
        return 0;
    pthread_mutex_lock(&library->lock);
    element->not_loaded = true;
    pthread_mutex_unlock(&library->lock);
    return error == -EINVAL ? SENSE(3, 0x30, 0x00) : SENSE_LOAD_FAILED;
}

/* --- how it is ------------------------------------------------------------ */

uint32_t
library_not_ready_locked(struct vscsi_library *library)
{
    if (library->door_open)
        return library_sense(library, SENSE_DOOR);
    if (library->scanning ||
        (library->ready_at_ns != 0 && timer_now_ns() < library->ready_at_ns))
        return SENSE_SCANNING;
    return 0;
}

void
library_not_ready_for(struct vscsi_library *library, uint32_t ms)
{
    pthread_mutex_lock(&library->lock);
    library->ready_at_ns = timer_now_ns() + ms * UINT64_C(1000000);
    pthread_mutex_unlock(&library->lock);
}

void
library_attention(struct vscsi_library *library, uint32_t bits)
{
    if (!library_has(library, P_NO_ATTENTION))
        drive_tell_all(library->robot, bits);
}

void
library_alert(struct vscsi_library *library, unsigned flag)
{
    struct vscsi_drive *robot = library->robot;

    pthread_mutex_lock(&robot->lock);
    for (struct vscsi_nexus *at = robot->nexuses; at != NULL; at = at->next)
        at->smc->alerts |= UINT64_C(1) << (flag - 1);
    pthread_mutex_unlock(&robot->lock);
}

void
library_identity(const struct vscsi_library *library, const char *out_texts[3],
                 bool *out_reader)
{
    out_texts[0] = library->personality->vendor;
    out_texts[1] = library->personality->product;
    out_texts[2] = library->personality->revision;
    *out_reader = library->reader;
}

/* Twice what it can take, and a minute. */
uint32_t
library_timeout_s(struct vscsi_library *library, uint8_t opcode)
{
    const struct vscsi_library_times *times = &library->times;
    uint64_t way = (uint64_t) times->travel * library->elements_count;
    uint64_t move = times->move + 2 * way + times->load + times->unload;

    switch (opcode) {
    case 0xA5:
        return (uint32_t) (2 * move / 1000 + 60);
    case 0xA6:
        return (uint32_t) (4 * move / 1000 + 60);
    case 0x07:
    case 0x37:
    case 0xE7:
        return (uint32_t) ((uint64_t) times->scan * library->elements_count *
                               2 / 1000 +
                           60);
    case 0x01:
    case 0x2B:
        return (uint32_t) (2 * way / 1000 + 60);
    case 0x1B:
        return times->door * 2 / 1000 + 60;
    default:
        return 0;
    }
}

static void
show(struct vscsi_library *library, const struct element *from,
     struct vscsi_element *to)
{
    const struct cartridge *cartridge = from->cartridge;
    bool medium = from->drive != NULL && library_drive_full(from->drive);

    to->kind = from->kind;
    to->index = from->index;
    to->address = from->address;
    to->full = cartridge != NULL || medium;
    to->absent = from->absent;
    to->imported = from->imported;
    to->source = from->source;
    if (cartridge == NULL)
        return;
    to->loaded = medium;
    to->unreadable = cartridge->unreadable;
    to->cleaning = cartridge->cleaning;
    to->uses_left = cartridge->uses_left;
    memcpy(to->bar_code, cartridge->bar_code, sizeof to->bar_code);
    memcpy(to->file, cartridge->file, sizeof to->file);
}

struct vscsi_library_snapshot *
vscsi_library_snapshot(struct vscsi_library *library)
{
    struct vscsi_library_snapshot *all = calloc(
        1, sizeof *all + library->elements_count * sizeof all->elements[0]);

    if (all == NULL)
        return NULL;
    pthread_mutex_lock(&library->lock);
    library_look_locked(library);
    library_check_locked(library);
    all->door_open = library->door_open;
    all->mail_open = library->mail_open;
    all->prevented = library->robot->prevents != 0;
    all->scanning = library->scanning;
    all->motions = motion_count_locked(library);
    all->moves = library->moves;
    all->count = library->elements_count;
    for (unsigned i = 0; i < all->count; i++)
        show(library, &library->elements[i], &all->elements[i]);
    pthread_mutex_unlock(&library->lock);
    return all;
}

const char *
vscsi_library_report(const struct vscsi_library *library)
{
    return library->report != NULL ? library->report : "";
}

struct vscsi_drive *
vscsi_library_robot(struct vscsi_library *library)
{
    return library->robot;
}
