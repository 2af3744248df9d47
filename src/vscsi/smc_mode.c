/*
 * smc_mode.c - what a library tells about itself: mode pages, logs, attributes
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/library.h"

/* --- MODE SENSE ----------------------------------------------------------- */

#define PAGE_ADDRESSES    0x1D
#define PAGE_TRANSPORTS   0x1E
#define PAGE_CAPABILITIES 0x1F

/* None of these can be changed: CHANGEABLE is all zeros. */
static size_t
put_addresses(const struct vscsi_library *library, uint8_t *to, bool values)
{
    static const enum vscsi_element_kind order[] = {
        VSCSI_ELEMENT_TRANSPORT,
        VSCSI_ELEMENT_SLOT,
        VSCSI_ELEMENT_MAIL,
        VSCSI_ELEMENT_DRIVE,
    };

    memset(to, 0, 20);
    to[0] = PAGE_ADDRESSES;
    to[1] = 0x12;
    for (size_t i = 0; values && i < 4; i++) {
        put16(to + 2 + 4 * i, library->personality->base[order[i]]);
        put16(to + 4 + 4 * i, library->count[order[i]]);
    }
    return 20;
}

static size_t
put_transports(const struct vscsi_library *library, uint8_t *to, bool values)
{
    unsigned count = library->count[VSCSI_ELEMENT_TRANSPORT];

    if (count > 64)
        count = 64;
    memset(to, 0, 2 + 2 * count);
    to[0] = PAGE_TRANSPORTS;
    to[1] = (uint8_t) (2 * count);
    for (unsigned i = 0; values && i < count; i++)
        to[3 + 2 * i] = (uint8_t) i; /* nothing is turned over */
    return 2 + 2 * count;
}

static size_t
put_capabilities(const struct vscsi_library *library, uint8_t *to, bool values)
{
    bool mail = library->count[VSCSI_ELEMENT_MAIL] != 0;
    uint8_t everywhere = mail ? 0x0f : 0x0b;
    uint8_t places = mail ? 0x0e : 0x0a; /* not the transport */
    size_t len = library_has(library, P_SHORT_CAPABILITIES) ? 16 : 20;

    memset(to, 0, len);
    to[0] = PAGE_CAPABILITIES;
    to[1] = (uint8_t) (len - 2);
    if (!values)
        return len;
    to[2] = mail ? 0x0e : 0x0a; /* media are stored in all but transports */
    to[3] = library->reader ? 0x03 : 0x01; /* VTRP, S2C */
    to[4] = places;
    for (unsigned i = 5; i < 8; i++)
        to[i] = everywhere;
    if (!mail)
        to[6] = 0;
    if (library_has(library, P_NO_EXCHANGE) &&
        !library_has(library, P_CLAIMS_EXCHANGE))
        return len;
    for (unsigned i = 13; i < 16; i++)
        to[i] = places;
    if (!mail)
        to[14] = 0;
    return len;
}

static const struct {
    uint8_t code;
    uint32_t without; /* flag of personalities that do not have it */
    size_t (*put)(const struct vscsi_library *library, uint8_t *to,
                  bool values);
} pages[] = {
    { PAGE_ADDRESSES, 0, put_addresses },
    { PAGE_TRANSPORTS, P_NO_TRANSPORT_PAGE, put_transports },
    { PAGE_CAPABILITIES, P_NO_CAPABILITIES, put_capabilities },
};

static size_t
put_pages(const struct task *task, uint8_t *to, uint8_t code, unsigned control)
{
    const struct vscsi_library *library = task->drive->library;
    size_t len = mode_put_pages(task->drive, to, code, control);

    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if ((code == 0x3f || code == pages[i].code) &&
            !library_has(library, pages[i].without))
            len += pages[i].put(library, to + len, control != CHANGEABLE);
    return len;
}

uint32_t
smc_mode_sense(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    bool ten = task->op->length == 10;
    size_t header = ten ? 8 : 4, descriptor = 0, len;
    uint8_t data[512] = { 0 };

    if (cdb[2] >> 6 == SAVED)
        return SENSE_NO_SAVING;
    if (cdb[3] != 0 && !(cdb[3] == 0xff && (cdb[2] & 0x3f) == 0x3f))
        return SENSE_CDB_FIELD;
    if (!(cdb[1] & 0x08) &&
        library_has(task->drive->library, P_BLOCK_DESCRIPTOR))
        descriptor = 8; /* all zeros, and of no use */
    len =
        put_pages(task, data + header + descriptor, cdb[2] & 0x3f, cdb[2] >> 6);
    if (len == 0)
        return SENSE_CDB_FIELD;
    len += header + descriptor;
    if (ten) {
        put16(data, (uint32_t) len - 2);
        put16(data + 6, (uint32_t) descriptor);
    } else {
        data[0] = (uint8_t) (len - 1);
        data[3] = (uint8_t) descriptor;
    }
    return reply(task, data, len, ten ? get16(cdb + 7) : cdb[4]);
}

/* --- LOG SENSE ------------------------------------------------------------ */

#define TAPE_ALERT 0x2E
#define ALERTS     64

/* Told once to each initiator. */
static uint32_t
tape_alert(struct task *task, size_t alloc)
{
    uint8_t data[4 + ALERTS * 5] = { TAPE_ALERT };
    uint64_t alerts;

    pthread_mutex_lock(&task->drive->lock);
    alerts = task->nexus->smc->alerts;
    task->nexus->smc->alerts = 0;
    pthread_mutex_unlock(&task->drive->lock);
    put16(data + 2, sizeof data - 4);
    for (unsigned i = 0; i < ALERTS; i++) {
        put16(data + 4 + 5 * i, i + 1);
        data[7 + 5 * i] = 1;
        data[8 + 5 * i] = alerts >> i & 1;
    }
    return reply(task, data, sizeof data, alloc);
}

uint32_t
smc_log_sense(struct task *task)
{
    static const uint8_t list[6] = { 0, 0, 0, 2, 0x00, TAPE_ALERT };
    const uint8_t *cdb = task->command->cdb;

    if (cdb[1] != 0 || cdb[3] != 0 || get16(cdb + 5) != 0)
        return SENSE_CDB_FIELD;
    switch (cdb[2] & 0x3f) {
    case 0x00:
        return reply(task, list, sizeof list, get16(cdb + 7));
    case TAPE_ALERT:
        return tape_alert(task, get16(cdb + 7));
    default:
        return SENSE_CDB_FIELD;
    }
}

/* --- READ ATTRIBUTE ------------------------------------------------------- */

/* The library knows of a cartridge's memory what the label says. */
struct attribute {
    uint16_t id;
    uint8_t format; /* with the read-only bit */
    uint8_t len;
    uint8_t value[32];
};

static unsigned
attributes_of(const struct vscsi_library *library,
              const struct element *element, struct attribute all[3])
{
    uint8_t tag[36];

    memset(all, 0, 3 * sizeof all[0]);
    all[0].id = 0x0401; /* medium serial number */
    all[0].format = 0x81;
    all[0].len = 32;
    memset(all[0].value, ' ', 32);
    memcpy(all[0].value, element->cartridge->bar_code,
           strnlen(element->cartridge->bar_code, 32));
    all[1].id = 0x0408; /* medium type: data, cleaning */
    all[1].format = 0x80;
    all[1].len = 1;
    all[1].value[0] = element->cartridge->cleaning ? 0x01 : 0x00;
    if (!library_primary_tag(library, element, tag))
        return 2;
    all[2].id = 0x0806; /* bar code */
    all[2].format = 0x01;
    all[2].len = 32;
    memcpy(all[2].value, tag, 32);
    return 3;
}

static size_t
put_attributes(const struct attribute *all, unsigned count, unsigned first,
               bool values, uint8_t *to)
{
    size_t len = 4;

    for (unsigned i = 0; i < count; i++) {
        if (all[i].id < first)
            continue;
        put16(to + len, all[i].id);
        len += 2;
        if (!values)
            continue;
        to[len] = all[i].format;
        put16(to + len + 1, all[i].len);
        memcpy(to + len + 3, all[i].value, all[i].len);
        len += 3u + all[i].len;
    }
    put32(to, (uint32_t) len - 4);
    return len;
}

uint32_t
smc_read_attribute(struct task *task)
{
    struct vscsi_library *library = task->drive->library;
    const uint8_t *cdb = task->command->cdb;
    struct element *element = library_element(library, get16(cdb + 2));
    unsigned action = cdb[1] & 0x1f, count = 0;
    struct attribute all[3];
    uint8_t data[160] = { 0 };

    if (action > 1)
        return SENSE_CDB_FIELD;
    if (element == NULL || (cdb[4] & 0x0f) != element->kind)
        return SENSE_ELEMENT;
    pthread_mutex_lock(&library->lock);
    library_look_locked(library);
    if (element->cartridge != NULL)
        count = attributes_of(library, element, all);
    pthread_mutex_unlock(&library->lock);
    if (count == 0)
        return SENSE_NO_MEDIUM;
    return reply(task, data,
                 put_attributes(all, count, get16(cdb + 8), action == 0, data),
                 get32(cdb + 10));
}
