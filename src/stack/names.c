/*
 * names.c - what a volume is called
 *
 * By its label; by its UUID where labels collide or there is none; else by its
 * type and a number that stays.  Label and UUID are both always accepted when
 * they name one volume.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "stack/stack_internal.h"

struct tally {
    struct volume *self;
    const char *label, *uuid;
    unsigned labels, uuids; /* volumes that have the same */
    unsigned position, n;
};

static BOOLEAN
count_equal(void *context, struct volume *volume)
{
    struct tally *tally = context;
    struct fs_volume_info info;

    fs_volume_info(volume, &info);
    tally->n++;
    if (volume == tally->self)
        tally->position = tally->n;
    tally->labels += strcmp(info.label, tally->label) == 0;
    tally->uuids += strcmp(info.uuid, tally->uuid) == 0;
    return TRUE;
}

void
volume_name(struct ri_service *service, struct volume *volume, char *out_name)
{
    struct fs_volume_info info;
    struct tally tally = { .self = volume };

    (void) service;
    fs_volume_info(volume, &info);
    tally.label = info.label;
    tally.uuid = info.uuid;
    fs_each_volume(count_equal, &tally);
    if (info.label[0] != '\0' && tally.labels == 1 &&
        strncmp(info.label, "drive:", 6) != 0)
        snprintf(out_name, RI_NAME_MAX, "%.120s", info.label);
    else if (info.uuid[0] != '\0' && tally.uuids == 1)
        snprintf(out_name, RI_NAME_MAX, "%s", info.uuid);
    else
        snprintf(out_name, RI_NAME_MAX, "%s-%u",
                 info.uuid[0] != '\0' ? info.uuid : info.type, tally.position);
    for (char *p = out_name; *p != '\0'; p++)
        if ((unsigned char) *p < ' ' || *p == 0x7F)
            *p = '_';
}

struct lookup {
    struct ri_service *service;
    const char *name;
    struct volume *exact, *other;
    unsigned others, n;
};

static BOOLEAN
match_name(void *context, struct volume *volume)
{
    struct lookup *lookup = context;
    struct fs_volume_info info;
    char name[RI_NAME_MAX];

    lookup->n++;
    volume_name(lookup->service, volume, name);
    if (strcmp(name, lookup->name) == 0)
        lookup->exact = volume;
    fs_volume_info(volume, &info);
    if (strcmp(info.label, lookup->name) == 0 ||
        strcmp(info.uuid, lookup->name) == 0) {
        lookup->other = volume;
        lookup->others++;
    }
    return lookup->exact == NULL;
}

struct volume *
volume_find(struct ri_service *service, const char *name)
{
    struct lookup lookup = { .service = service, .name = name };

    if (name[0] == '\0')
        return NULL;
    fs_each_volume(match_name, &lookup);
    if (lookup.exact != NULL)
        return lookup.exact;
    return lookup.others == 1 ? lookup.other : NULL;
}

static BOOLEAN
count_one(void *context, struct volume *volume)
{
    (void) volume;
    (*(size_t *) context)++;
    return TRUE;
}

size_t
volume_count(void)
{
    size_t n = 0;

    fs_each_volume(count_one, &n);
    return n;
}
