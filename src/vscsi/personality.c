/*
 * personality.c - the kinds of libraries, and what differs in their senses
 *
 * The rows are in personality.def.  A condition has one sense code by the
 * standard; libraries with codes of their own say the same otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/library.h"

#define BASES(transport, slot, mail, drive)                                    \
    {                                                                          \
        0, transport, slot, mail, drive                                        \
    }
#define PERSONALITY(name, about, vendor, product, revision, bases, ...)        \
    { name, about, vendor, product, revision, bases, __VA_ARGS__ },

static const struct personality personalities[] = {
#include "vscsi/personality.def"
};

#define PERSONALITIES (sizeof personalities / sizeof personalities[0])

const struct personality *
personality_find(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return &personalities[0];
    for (size_t i = 0; i < PERSONALITIES; i++)
        if (strcmp(personalities[i].name, name) == 0)
            return &personalities[i];
    return NULL;
}

const char *
vscsi_library_personality(unsigned n, const char **out_about)
{
    if (n >= PERSONALITIES)
        return NULL;
    if (out_about != NULL)
        *out_about = personalities[n].about;
    return personalities[n].name;
}

bool
library_has(const struct vscsi_library *library, uint32_t flag)
{
    return (library->personality->flags & flag) != 0;
}

/* Some conditions share a code of the standard: bit 24 tells them apart. */
static const struct {
    uint32_t standard, vendor;
} codes[] = {
    { SENSE_DOOR, SENSE(2, 0x04, 0x83) },
    { SENSE_MAIL_OPEN, SENSE(5, 0x53, 0x81) },
    { SENSE_NOT_EJECTED, SENSE(5, 0x3B, 0x90) },
    { SENSE_STUCK, SENSE(4, 0x3B, 0x87) },
    { SENSE_TRANSPORT_FULL, SENSE(5, 0x3B, 0xA0) },
    { SENSE_MOTION, SENSE(4, 0x15, 0x83) },
    { SENSE_UNREADABLE, SENSE(0, 0x83, 0x01) },
    { SENSE_UNKNOWN, SENSE(0, 0x83, 0x00) },
    { SENSE_SLOT_GONE, SENSE(0, 0x83, 0x02) },
    { SENSE_DRIVE_GONE, SENSE(0, 0x83, 0x04) },
    { SENSE_MAIL_LOCKED, SENSE(5, 0x53, 0x82) },
};

uint32_t
library_sense(const struct vscsi_library *library, uint32_t sense)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].standard == sense)
            return library_has(library, P_VENDOR) ? codes[i].vendor
                                                  : sense & 0xffffff;
    return sense;
}
