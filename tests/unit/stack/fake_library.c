/*
 * fake_library.c - the robot's layer as a table in memory
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake_library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stack/stack_internal.h"

void
fake_library_init(struct library *library, const char *name)
{
    memset(library, 0, sizeof *library);
    snprintf(library->name, sizeof library->name, "%s", name);
    pthread_mutex_init(&library->lock, NULL);
    for (int i = 0; i < FAKE_SLOTS; i++)
        library->slot[i] = -1;
    for (int i = 0; i < FAKE_DRIVES; i++)
        library->drive[i] = -1;
}

void
fake_library_put(struct library *library, unsigned number, const char *image)
{
    pthread_mutex_lock(&library->lock);
    for (int i = 0; i < FAKE_SLOTS; i++) {
        struct fake_cartridge *c = &library->cartridges[i];

        if (c->image[0] != '\0')
            continue;
        snprintf(c->image, sizeof c->image, "%s", image);
        library->slot[number - 1] = i;
        library->home[i] = number == FAKE_SLOTS ? 0 : number;
        break;
    }
    pthread_mutex_unlock(&library->lock);
}

static void
drive_name(const struct library *library, unsigned drive, char *out)
{
    snprintf(out, RI_NAME_MAX + 16, "%s-%u", library->name, drive);
}

static int
fail(struct ri_library_result *result, int rc, const char *text)
{
    result->error = rc;
    snprintf(result->text, sizeof result->text, "%s", text);
    return rc;
}

static void
note(struct library *library, char what, unsigned from, unsigned to)
{
    size_t len = strlen(library->log);

    library->motions++;
    if (len < sizeof library->log - 16)
        snprintf(library->log + len, sizeof library->log - len, "%c%u>%u ",
                 what, from, to);
}

/* What the ledger learns when a volume is mounted. */
static void
learn(struct library *library, unsigned drive)
{
    char name[RI_NAME_MAX + 16];
    struct volume *volume;
    struct fs_volume_info info;

    drive_name(library, drive, name);
    volume = fs_volume_on(drive_find(library->service, name, NULL)->fdo);
    pthread_mutex_lock(&library->lock);
    if (volume != NULL) {
        fs_volume_info(volume, &info);
        snprintf(library->cartridges[library->drive[drive]].identity,
                 RI_NAME_MAX, "%s", info.key);
    }
    pthread_mutex_unlock(&library->lock);
}

static int
load(struct library *library, const struct ri_library_command *command,
     struct ri_library_result *result)
{
    char image[RI_PATH_MAX], name[RI_NAME_MAX + 16];
    int rc = 0, cartridge;

    pthread_mutex_lock(&library->lock);
    cartridge = library->slot[command->source - 1];
    if (cartridge < 0)
        rc = fail(result, -ENOMEDIUM, "the slot is empty.");
    else if (library->drive[command->drive] >= 0)
        rc = fail(result, -EEXIST, "the drive is full.");
    else if (library->fail_loads > 0)
        rc = fail(result, -EIO, "the gripper slipped.");
    if (library->fail_loads > 0)
        library->fail_loads--;
    note(library, 'L', command->source, command->drive);
    if (rc == 0) {
        memcpy(image, library->cartridges[cartridge].image, sizeof image);
        library->slot[command->source - 1] = -1;
        library->drive[command->drive] = cartridge;
    }
    pthread_mutex_unlock(&library->lock);
    if (rc != 0)
        return rc;
    drive_name(library, command->drive, name);
    if (ri_insert(library->service, name, image, NULL) != 0)
        return fail(result, -EIO, "the drive does not take it.");
    learn(library, command->drive);
    return 0;
}

static int
unload(struct library *library, const struct ri_library_command *command,
       struct ri_library_result *result)
{
    char name[RI_NAME_MAX + 16];
    struct ri_error error = { "" };
    int rc = 0, cartridge;

    pthread_mutex_lock(&library->lock);
    cartridge = library->drive[command->drive];
    if (cartridge < 0)
        rc = fail(result, -ENOMEDIUM, "the drive is empty.");
    else if (library->slot[command->destination - 1] >= 0)
        rc = fail(result, -EEXIST, "the slot is full.");
    else if (library->fail_unloads > 0)
        rc = fail(result, -EIO, "the medium is stuck.");
    if (library->fail_unloads > 0)
        library->fail_unloads--;
    pthread_mutex_unlock(&library->lock);
    if (rc != 0)
        return rc;
    drive_name(library, command->drive, name);
    rc = ri_eject(library->service, name, &error);
    if (rc != 0 && rc != -ENOMEDIUM)
        return fail(result, rc, error.text);
    ri_yank(library->service, name, NULL);
    pthread_mutex_lock(&library->lock);
    note(library, 'U', command->drive, command->destination);
    library->drive[command->drive] = -1;
    library->slot[command->destination - 1] = cartridge;
    if (library->home[cartridge] == 0)
        library->home[cartridge] = command->destination;
    pthread_mutex_unlock(&library->lock);
    return 0;
}

/* So long as a motion takes, also when that is changed meanwhile. */
static void
move_slowly(struct library *library)
{
    unsigned ms, passed = 0;

    do {
        pthread_mutex_lock(&library->lock);
        ms = library->motion_ms;
        pthread_mutex_unlock(&library->lock);
        if (passed < ms)
            usleep(1000);
    } while (passed++ < ms);
}

int
library_command(struct library *library,
                const struct ri_library_command *command,
                struct ri_library_result *out_result,
                struct ri_error *out_error)
{
    int rc;

    (void) out_error;
    memset(out_result, 0, sizeof *out_result);
    out_result->drive = command->drive;
    pthread_mutex_lock(&library->lock);
    if (++library->at_once > library->most_at_once)
        library->most_at_once = library->at_once;
    rc = library->door_open ? -EHOSTDOWN : 0;
    pthread_mutex_unlock(&library->lock);
    move_slowly(library);
    if (rc != 0)
        fail(out_result, rc, "the door is open.");
    else if (command->op == RI_LIB_LOAD)
        rc = load(library, command, out_result);
    else
        rc = unload(library, command, out_result);
    pthread_mutex_lock(&library->lock);
    library->at_once--;
    pthread_mutex_unlock(&library->lock);
    return rc;
}

int
library_info(struct library *library, struct ri_library_info *out_info)
{
    memset(out_info, 0, sizeof *out_info);
    snprintf(out_info->name, sizeof out_info->name, "%s", library->name);
    pthread_mutex_lock(&library->lock);
    snprintf(out_info->state, sizeof out_info->state, "%s",
             library->door_open ? "door open" : "ready");
    pthread_mutex_unlock(&library->lock);
    return 0;
}

static void
describe(const struct library *library, int cartridge,
         struct ri_element_info *out)
{
    const struct fake_cartridge *c;

    out->access = true;
    if (cartridge < 0)
        return;
    c = &library->cartridges[cartridge];
    out->full = true;
    out->cartridge = (uint64_t) cartridge + 1;
    out->marked = c->marked;
    out->cleaning = c->cleaning;
    out->home = library->home[cartridge];
    memcpy(out->identity, c->identity, sizeof out->identity);
}

int
library_elements(struct library *library, struct ri_element_info **out_list,
                 size_t *out_count)
{
    struct ri_element_info *list =
        calloc(FAKE_SLOTS + FAKE_DRIVES, sizeof *list);
    size_t n = 0;

    if (list == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&library->lock);
    for (uint32_t i = 0; i < FAKE_DRIVES; i++) {
        list[n].type = RI_DRIVE;
        list[n].number = i;
        list[n].drive_set_aside = library->aside[i];
        describe(library, library->drive[i], &list[n++]);
    }
    for (uint32_t i = 0; i < FAKE_SLOTS; i++) {
        list[n].type = i + 1 == FAKE_SLOTS ? RI_MAIL_SLOT : RI_SLOT;
        list[n].number = i + 1;
        describe(library, library->slot[i], &list[n++]);
    }
    pthread_mutex_unlock(&library->lock);
    *out_list = list;
    *out_count = n;
    return 0;
}

/* For tapes, which are not what is tested with it. */
int
library_cartridges(struct library *at, struct library_cartridge **out_list,
                   size_t *out_count)
{
    (void) at;
    *out_list = NULL;
    *out_count = 0;
    return 0;
}
