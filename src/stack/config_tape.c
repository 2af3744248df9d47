/*
 * config_tape.c - what an emulated tape drive is like: its keys
 *
 * They stand in [drive NAME], and with "drive-" before them in [library NAME].
 * One row a key; pure.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/config_tape.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vscsi.h>

#include "stack/config_read.h"

enum kind {
    SIZE,   /* bytes, perhaps with K, M, G or T */
    NUMBER, /* from low to high */
    NO,     /* yes or no: the record has the opposite */
    PERSONALITY,
};

#define AT(field) offsetof(struct ri_tape_config, field)

static const struct tape_key {
    const char *full; /* as libraries have it */
    enum kind kind;
    size_t at;
    uint64_t low, high;
} keys[] = {
    { "drive-personality", PERSONALITY, AT(personality), 0, RI_NAME_MAX },
    { "drive-capacity", SIZE, AT(capacity_bytes), 65536, 1ull << 50 },
    { "drive-early-warning", SIZE, AT(early_warning_bytes), 1, 1ull << 50 },
    { "drive-compression", NO, AT(no_compression), 0, 0 },
    { "drive-clean-after", SIZE, AT(clean_after_bytes), 1, 1ull << 60 },
    { "drive-cleaning-uses", NUMBER, AT(cleaning_uses), 1, 1000000 },
    { "drive-clean-ms", NUMBER, AT(clean_ms), 0, 3600000 },
    { "drive-rewind-ms", NUMBER, AT(rewind_ms), 0, 3600000 },
    { "drive-unload-ms", NUMBER, AT(unload_ms), 0, 3600000 },
};

static const char *
name_of(const struct tape_key *key)
{
    return key->full + strlen("drive-");
}

#define WRONG(...) (snprintf(out_text, text_max, __VA_ARGS__), false)

static bool
set_size(const struct tape_key *key, const char *value, uint64_t *at,
         char *out_text, size_t text_max)
{
    uint64_t bytes = 0;
    int rc = config_is_size(value, "KMGT", key->high, &bytes);

    if (rc == -EINVAL)
        return WRONG("%s: \"%.60s\" is no size, as 65536, 512K, 64M or 1G",
                     name_of(key), value);
    if (rc != 0)
        return WRONG("%s: \"%.60s\" is too large", name_of(key), value);
    if (bytes < key->low)
        return WRONG("%s: \"%.60s\" is too small; at least %llu", name_of(key),
                     value, (unsigned long long) key->low);
    *at = bytes;
    return true;
}

static bool
set_number(const struct tape_key *key, const char *value, unsigned *at,
           char *out_text, size_t text_max)
{
    return config_is_number(value, (unsigned) key->low, (unsigned) key->high,
                            at) ||
           WRONG("%s: \"%.60s\" is no number from %llu to %llu", name_of(key),
                 value, (unsigned long long) key->low,
                 (unsigned long long) key->high);
}

static bool
set_no(const struct tape_key *key, const char *value, bool *at, char *out_text,
       size_t text_max)
{
    bool yes;

    if (!config_is_yes_or_no(value, &yes))
        return WRONG("%s: \"%.60s\" is neither yes nor no", name_of(key),
                     value);
    *at = !yes;
    return true;
}

/* The drive itself knows which there are. */
static bool
set_personality(const struct tape_key *key, const char *value, char *at,
                char *out_text, size_t text_max)
{
    struct vscsi_config config = { .name = "check",
                                   .type = VSCSI_TAPE,
                                   .tape.personality = value };
    struct vscsi_drive *device = vscsi_new(&config);

    if (device == NULL && errno == EINVAL)
        return WRONG("%s: no tape drive is called \"%.60s\"", name_of(key),
                     value);
    if (device == NULL)
        return WRONG("%s: out of memory", name_of(key));
    vscsi_free(device);
    snprintf(at, key->high, "%s", value);
    return true;
}

static const struct tape_key *
find(const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(name_of(&keys[i]), name) == 0)
            return &keys[i];
    return NULL;
}

const char *
config_tape_library_key(const char *name)
{
    const struct tape_key *key =
        strncmp(name, "drive-", 6) == 0 ? find(name + 6) : NULL;

    return key != NULL ? key->full : NULL;
}

bool
config_tape_set(struct ri_tape_config *config, const char *name,
                const char *value, char *out_text, size_t text_max)
{
    const struct tape_key *key = find(name);
    void *at;

    if (key == NULL)
        return WRONG("\"%.60s\" is no key of tape drives", name);
    if (config->key == NULL)
        config->key = name_of(key);
    at = (char *) config + key->at;
    switch (key->kind) {
    case SIZE:
        return set_size(key, value, at, out_text, text_max);
    case NUMBER:
        return set_number(key, value, at, out_text, text_max);
    case NO:
        return set_no(key, value, at, out_text, text_max);
    case PERSONALITY:
        return set_personality(key, value, at, out_text, text_max);
    }
    return false;
}

/* 0: what such drives have. */
static bool
block_fits(const struct ri_drive_config *drive)
{
    unsigned n = drive->block_bytes;

    switch (drive->type) {
    case RI_TAPE:
        return n <= CONFIG_TAPE_BLOCK_MAX;
    case RI_CDROM:
        return n == 0 || n == 2048;
    case RI_FLOPPY:
        return n == 0 || n == 512;
    case RI_DISK:
        break;
    }
    return n == 0 || n == 512 || n == 2048 || n == 4096;
}

bool
config_tape_fits(const struct ri_drive_config *drive, unsigned *out_line,
                 char *out_text, size_t text_max)
{
    const struct ri_tape_config *tape = &drive->tape;

    *out_line = drive->block_line;
    if (!block_fits(drive) && drive->type == RI_TAPE)
        return WRONG("block-size: %u is more than %u", drive->block_bytes,
                     CONFIG_TAPE_BLOCK_MAX);
    if (!block_fits(drive) && drive->type != RI_DISK)
        return WRONG("block-size: %s have blocks of %u, not %u",
                     drive->type == RI_CDROM ? "CD drives" : "floppy drives",
                     drive->type == RI_CDROM ? 2048u : 512u,
                     drive->block_bytes);
    if (!block_fits(drive))
        return WRONG("block-size: \"%u\" is none of 512, 2048, 4096",
                     drive->block_bytes);
    *out_line = tape->line;
    if (drive->type != RI_TAPE && tape->key != NULL)
        return WRONG("%s: is of tape drives (type = tape)", tape->key);
    if (tape->capacity_bytes != 0 &&
        tape->early_warning_bytes >= tape->capacity_bytes)
        return WRONG("early-warning: is not less than the capacity");
    *out_line = drive->line;
    if (drive->type == RI_TAPE && drive->cache != RI_CACHE_NONE)
        return WRONG("cache: is not of tape drives");
    return true;
}
