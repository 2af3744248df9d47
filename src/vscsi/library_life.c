/*
 * library_life.c - a media library is put together, and taken apart
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vscsi/library.h"

/* Everything but the number of elements fits, or out_text says what does not. */
static int
check_addresses(const struct personality *personality,
                const unsigned count[KINDS], char *out_text, size_t max)
{
    for (unsigned a = 1; a < KINDS; a++) {
        uint32_t a_end = personality->base[a] + (uint32_t) count[a];

        if (a_end > 0x10000)
            return library_refuse(out_text, max, -EINVAL,
                                  "%u %ss are more than a library of the "
                                  "personality %s has addresses for",
                                  count[a], library_kind_name(a),
                                  personality->name);
        for (unsigned b = 1; b < KINDS; b++)
            if (a != b && count[a] != 0 && count[b] != 0 &&
                personality->base[a] <= personality->base[b] &&
                a_end > personality->base[b])
                return library_refuse(
                    out_text, max, -EINVAL,
                    "in a library of the personality %s "
                    "there can be only %u %ss",
                    personality->name,
                    (unsigned) (personality->base[b] - personality->base[a]),
                    library_kind_name(a));
    }
    return 0;
}

static void
lay_out(struct vscsi_library *library,
        const struct vscsi_library_config *config)
{
    unsigned next = 0;

    for (unsigned kind = 1; kind < KINDS; kind++) {
        library->first[kind] = next;
        library->order[kind - 1] = (enum vscsi_element_kind) kind;
        for (unsigned i = 0; i < library->count[kind]; i++, next++) {
            struct element *element = &library->elements[next];

            element->kind = (enum vscsi_element_kind) kind;
            element->index = i;
            element->address =
                (uint16_t) (library->personality->base[kind] + i);
            element->source = -1;
            if (kind == VSCSI_ELEMENT_DRIVE)
                element->drive = config->drives[i];
        }
    }
    for (unsigned i = 1; i < KINDS - 1; i++) /* insertion sort of four */
        for (unsigned j = i; j > 0; j--) {
            enum vscsi_element_kind kind = library->order[j];

            if (library->personality->base[library->order[j - 1]] <=
                library->personality->base[kind])
                break;
            library->order[j] = library->order[j - 1];
            library->order[j - 1] = kind;
        }
}

/* Commands that a personality does not have. */
static void
choose_opcodes(struct vscsi_library *library)
{
    static const struct {
        uint32_t flag;
        uint8_t code;
    } without[] = {
        { P_NO_EXCHANGE, 0xA6 },
        { P_NO_RANGE, 0x37 },
        { P_NO_E7, 0xE7 },
        { P_NO_TAG_COMMANDS, 0xB5 },
        { P_FEW, 0xB5 },
        { P_FEW, 0xB6 },
        { P_NO_TAG_COMMANDS, 0xB6 },
        { P_FEW, 0x01 },
        { P_FEW, 0x2B },
        { P_FEW, 0x1B },
        { P_FEW, 0x1C },
        { P_FEW, 0x1D },
        { P_FEW, 0x1E },
        { P_FEW, 0x4D },
        { P_FEW, 0x5E },
        { P_FEW, 0x5F },
        { P_FEW, 0x16 },
        { P_FEW, 0x17 },
        { P_FEW, 0x8C },
    };

    memcpy(library->opcodes, vscsi_smc_opcodes, sizeof library->opcodes);
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        if (library_has(library, without[i].flag))
            library->opcodes[without[i].code].run = NULL;
}

static bool
make_robot(struct vscsi_library *library, const char *name)
{
    const struct vscsi_config config = { .name = name, .type = VSCSI_CHANGER };
    struct vscsi_drive *robot = drive_new(&config, 9);

    library->robot = robot;
    if (robot == NULL)
        return false;
    robot->library = library;
    robot->opcodes = library->opcodes;
    robot->reservations = reserve_new();
    return robot->reservations != NULL;
}

static struct vscsi_library *
make(const struct vscsi_library_config *config,
     const struct personality *personality, const unsigned count[KINDS])
{
    size_t all = count[1] + (size_t) count[2] + count[3] + count[4];
    struct vscsi_library *library =
        calloc(1, sizeof *library + all * sizeof library->elements[0]);

    if (library == NULL)
        return NULL;
    memcpy(library->count, count, sizeof library->count);
    library->personality = personality;
    library->elements_count = (unsigned) all;
    library->times = config->times;
    library->reader = !config->no_reader && !library_has(library, P_NO_READER);
    library->cleaning_uses =
        config->cleaning_uses != 0 ? config->cleaning_uses : 50;
    pthread_mutex_init(&library->lock, NULL);
    pthread_cond_init(&library->moved, NULL);
    pthread_mutex_init(&library->save_lock, NULL);
    lay_out(library, config);
    choose_opcodes(library);
    library->position = calloc(count[1], sizeof *library->position);
    if (config->media_dir != NULL)
        library->media_dir = strdup(config->media_dir);
    if (config->state_file != NULL)
        library->state_file = strdup(config->state_file);
    if (library->position == NULL ||
        (config->media_dir != NULL && library->media_dir == NULL) ||
        (config->state_file != NULL && library->state_file == NULL) ||
        !make_robot(library, config->name)) {
        vscsi_library_free(library);
        return NULL;
    }
    return library;
}

static int
check_config(const struct vscsi_library_config *config,
             const struct personality *personality, const unsigned count[KINDS],
             char *out_text, size_t max)
{
    int error = check_addresses(personality, count, out_text, max);

    for (unsigned i = 0; error == 0 && i < config->drive_count; i++)
        if (library_drive_full(config->drives[i]))
            error = library_refuse(out_text, max, -EBUSY,
                                   "drive %s holds a medium already: a "
                                   "library starts with empty drives",
                                   config->drives[i]->name);
    return error;
}

/* What was in the drives when the state was written goes in again. */
static void
fill_drives(struct vscsi_library *library)
{
    for (unsigned i = 0; i < library->count[VSCSI_ELEMENT_DRIVE]; i++) {
        struct element *element = library_nth(library, VSCSI_ELEMENT_DRIVE, i);

        if (element->cartridge != NULL && !element->not_loaded &&
            !element->cartridge->cleaning)
            (void) library_load(library, element);
        else if (element->cartridge != NULL && element->cartridge->cleaning)
            drive_clean(element->drive, SENSE_CLEANER, library->times.clean);
    }
}

struct vscsi_library *
vscsi_library_new(const struct vscsi_library_config *config, char *out_text,
                  size_t text_max)
{
    const struct personality *personality =
        personality_find(config->personality);
    unsigned count[KINDS] = { 0, config->transports, config->slots,
                              config->mail_slots, config->drive_count };
    struct vscsi_library *library;
    int error;

    if (personality == NULL) {
        errno = -library_refuse(out_text, text_max, -EINVAL,
                                "there is no library personality %s",
                                config->personality);
        return NULL;
    }
    if (count[VSCSI_ELEMENT_TRANSPORT] == 0)
        count[VSCSI_ELEMENT_TRANSPORT] = personality->transports;
    error = check_config(config, personality, count, out_text, text_max);
    if (error != 0) {
        errno = -error;
        return NULL;
    }
    library = make(config, personality, count);
    if (library == NULL) {
        errno = -library_refuse(out_text, text_max, -ENOMEM, "no memory");
        return NULL;
    }
    error = library_state_load(library, out_text, text_max);
    if (error != 0) {
        vscsi_library_free(library);
        errno = -error;
        return NULL;
    }
    fill_drives(library);
    if (library->times.scan != 0)
        motion_scan(library);
    return library;
}

/* Switched off: the drives write their caches out, and stay as they are in
 * the state file. */
void
vscsi_library_free(struct vscsi_library *library)
{
    struct cartridge *next;

    if (library == NULL)
        return;
    motion_end_all(library);
    pthread_mutex_lock(&library->lock);
    library_look_locked(library);
    pthread_mutex_unlock(&library->lock);
    (void) library_state_save(library);
    for (unsigned i = 0; i < library->count[VSCSI_ELEMENT_DRIVE]; i++) {
        struct element *element = library_nth(library, VSCSI_ELEMENT_DRIVE, i);

        if (element->cartridge == NULL)
            continue;
        if (element->cartridge->cleaning)
            drive_clean(element->drive, 0, 0);
        else
            (void) drive_robot_unload(element->drive, true);
    }
    vscsi_free(library->robot);
    for (struct cartridge *at = library->cartridges; at != NULL; at = next) {
        next = at->next;
        free(at);
    }
    pthread_mutex_destroy(&library->save_lock);
    pthread_cond_destroy(&library->moved);
    pthread_mutex_destroy(&library->lock);
    free(library->position);
    free(library->media_dir);
    free(library->state_file);
    free(library->report);
    free(library);
}
