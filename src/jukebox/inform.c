/*
 * inform.c - snapshots of a library, for people and for who schedules
 *
 * Of what the robot last said and what the ledger remembers; under
 * library.lock, which is held for memory only.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "jukebox/library_internal.h"

static const char *const state_words[] = {
    [LIBRARY_STARTING] = "starting",   [LIBRARY_READY] = "ready",
    [LIBRARY_MOVING] = "moving",       [LIBRARY_DOOR_OPEN] = "door open",
    [LIBRARY_NOT_READY] = "not ready", [LIBRARY_FAULTY] = "faulty",
};

static const struct element *
shown(const struct library *library, ELEMENT_TYPE type)
{
    return library->shown[type] != NULL ? library->shown[type]
                                        : library->elements[type];
}

static uint32_t
count_full(const struct library *library, ELEMENT_TYPE type)
{
    uint32_t full = 0;

    for (ULONG i = 0; i < library->counts[type]; i++)
        full += element_full(&shown(library, type)[i]);
    return full;
}

static void
fill_features(const struct library *library, struct ri_library_info *out)
{
    const GET_CHANGER_PARAMETERS *p = &library->parameters;

    out->features0 = p->Features0;
    out->features1 = p->Features1;
    out->bar_codes = (p->Features0 & CHANGER_BAR_CODE_SCANNER_INSTALLED) != 0;
    out->exchange =
        (p->Features0 & CHANGER_EXCHANGE_MEDIA) != 0 &&
        (p->Features1 & CHANGER_TRUE_EXCHANGE_CAPABLE & 0x7FFFFFFF) != 0;
    out->mail_open_close = (p->Features0 & CHANGER_OPEN_IEPORT) != 0;
    out->lockable = (p->Features0 & CHANGER_LOCK_UNLOCK) != 0;
}

int
library_info(struct library *library, struct ri_library_info *out_info)
{
    struct ri_library_info *out = out_info;
    const CHANGER_PRODUCT_DATA *product = &library->product;
    uint64_t read_ms;

    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&library->lock);
    snprintf(out->name, sizeof out->name, "%s", library->config.name);
    memcpy(out->vendor, product->VendorId, 8);
    memcpy(out->product, product->ProductId, 16);
    memcpy(out->revision, product->Revision, 4);
    memcpy(out->serial, product->SerialNumber, 32);
    snprintf(out->state, sizeof out->state, "%s", state_words[library->state]);
    snprintf(out->reason, sizeof out->reason, "%s", library->reason);
    memcpy(out->sense_bytes, library->last_sense, sizeof out->sense_bytes);
    out->sense_len = library->last_sense_len;
    out->slots = library->counts[ChangerSlot];
    out->mail_slots = library->counts[ChangerIEPort];
    out->drives = library->counts[ChangerDrive];
    out->transports = library->counts[ChangerTransport];
    out->full_slots = count_full(library, ChangerSlot);
    out->full_drives = count_full(library, ChangerDrive);
    out->full_mail_slots = count_full(library, ChangerIEPort);
    fill_features(library, out);
    read_ms = library->holds > 0 ? library->shown_read_ms : library->read_ms;
    out->age_ms = read_ms != 0 ? clock_coarse_ms() - read_ms : 0;
    out->motions = library->motions;
    out->failures = library->failures;
    out->stray = library->stray;
    out->locked = library->locked;
    out->adopt = library->config.adopt;
    pthread_mutex_unlock(&library->lock);
    return 0;
}

/* --- elements ---------------------------- */

static const struct {
    ULONG code;
    const char *text;
} exceptions[] = {
    { ERROR_LABEL_UNREADABLE, "label unreadable" },
    { ERROR_LABEL_QUESTIONABLE, "label questionable" },
    { ERROR_SLOT_NOT_PRESENT, "slot not present" },
    { ERROR_DRIVE_NOT_INSTALLED, "drive not installed" },
    { ERROR_TRAY_MALFUNCTION, "tray malfunction" },
    { ERROR_INIT_STATUS_NEEDED, "not looked at yet" },
    { ERROR_UNHANDLED_ERROR, "unknown exception" },
};

static void
fill_status(const struct library *library, const struct element *element,
            struct ri_element_info *out)
{
    out->address = element_address(library, element->place);
    out->full = element_full(element);
    out->unknown = element_unknown(element);
    out->access = (element->flags & ELEMENT_STATUS_ACCESS) != 0;
    out->except = (element->flags & ELEMENT_STATUS_EXCEPT) != 0;
    out->except_code = element->exception;
    for (size_t i = 0;
         out->except && i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (exceptions[i].code == element->exception)
            snprintf(out->except_text, sizeof out->except_text, "%s",
                     exceptions[i].text);
    out->imported = (element->flags & ELEMENT_STATUS_IMPEXP) != 0;
    out->import_enabled = (element->flags & ELEMENT_STATUS_INENAB) != 0;
    out->export_enabled = (element->flags & ELEMENT_STATUS_EXENAB) != 0;
    out->inverted = (element->flags & ELEMENT_STATUS_INVERT) != 0;
    out->tag_valid = (element->flags & ELEMENT_STATUS_PVOLTAG) != 0;
    /* "omitted altogether when the first byte is NUL" */
    out->tag_present = out->tag_valid || element->tag[0] != '\0';
    out->alternate_present = (element->flags & ELEMENT_STATUS_AVOLTAG) != 0;
    memcpy(out->tag, element->tag, 32);
    if (out->alternate_present)
        memcpy(out->alternate, element->alternate, 32);
    snprintf(out->barcode, sizeof out->barcode, "%s", element->barcode);
    snprintf(out->drive_serial, sizeof out->drive_serial, "%s",
             element->serial);
}

static void
fill_cartridge(const struct cartridge *c, const struct element *element,
               struct ri_element_info *out)
{
    uint64_t now = clock_wall_ms();

    out->home = c->home;
    out->home_from = c->home != 0 ? c->home_from : RI_HOME_UNKNOWN;
    out->duplicate = c->duplicate;
    out->cartridge = (uint64_t) c->id;
    out->cleaning = c->cleaning;
    snprintf(out->volume, sizeof out->volume, "%s", c->volume.name);
    snprintf(out->identity, sizeof out->identity, "%s", c->volume.identity);
    snprintf(out->label, sizeof out->label, "%s", c->volume.label);
    out->uses = c->uses;
    out->errors = c->errors;
    out->cleanings = c->cleanings;
    out->expired = c->expired;
    out->marked = c->marked;
    if (element->place.type == ChangerDrive && c->loaded_ms != 0)
        out->in_drive_ms = now > c->loaded_ms ? now - c->loaded_ms : 1;
}

static void
fill_element(struct library *library, const struct element *element,
             struct ri_element_info *out)
{
    static const enum ri_element_type types[] = {
        [ChangerTransport] = RI_TRANSPORT,
        [ChangerSlot] = RI_SLOT,
        [ChangerIEPort] = RI_MAIL_SLOT,
        [ChangerDrive] = RI_DRIVE,
    };
    const struct cartridge *cartridge =
        ledger_by_id(library->ledger, element->cartridge);
    const struct ledger_drive *drive;

    out->type = types[element->place.type];
    out->number = slot_of_place(library, element->place);
    if (out->number == 0)
        out->number = element->place.index;
    fill_status(library, element, out);
    if (cartridge != NULL && (out->full || out->unknown))
        fill_cartridge(cartridge, element, out);
    if (out->type != RI_DRIVE)
        return;
    library->host.drive_name(library->host.context, out->number, out->drive);
    drive = ledger_drive(library->ledger, out->number);
    if (drive != NULL) {
        out->drive_uses = drive->uses;
        out->drive_errors = drive->errors;
        out->drive_set_aside = drive->aside;
    }
}

/* Slots that somebody who is in a drive belongs to say so. */
static void
fill_homes(struct library *library, struct ri_element_info *list)
{
    ULONG drives = library->counts[ChangerDrive];

    for (ULONG i = 0; i < drives; i++) {
        struct ri_element_info *at;

        if (list[i].home == 0 || list[i].home > library->counts[ChangerSlot])
            continue;
        at = &list[drives + list[i].home - 1];
        if (!at->full)
            snprintf(at->home_of, sizeof at->home_of, "%s",
                     list[i].barcode[0] != '\0' ? list[i].barcode : "?");
    }
}

int
library_elements(struct library *library, struct ri_element_info **out_list,
                 size_t *out_count)
{
    static const ELEMENT_TYPE order[] = { ChangerDrive, ChangerSlot,
                                          ChangerIEPort, ChangerTransport };
    struct ri_element_info *list;
    size_t n = 0;

    pthread_mutex_lock(&library->lock);
    for (int i = 0; i < 4; i++)
        n += library->counts[order[i]];
    list = calloc(n + 1, sizeof *list);
    if (list == NULL) {
        pthread_mutex_unlock(&library->lock);
        return -ENOMEM;
    }
    n = 0;
    for (int i = 0; i < 4; i++)
        for (ULONG at = 0; at < library->counts[order[i]]; at++)
            fill_element(library, &shown(library, order[i])[at], &list[n++]);
    fill_homes(library, list);
    pthread_mutex_unlock(&library->lock);
    *out_list = list;
    *out_count = n;
    return 0;
}

/* --- cartridges ---------------------------- */

static void
give_cartridge(struct library *library, const struct cartridge *cartridge,
               struct library_cartridge *out)
{
    memset(out, 0, sizeof *out);
    out->volume = cartridge->volume;
    fill_element(library, element_at(library, cartridge->place), &out->element);
}

static bool
is_here(struct library *library, const struct cartridge *cartridge)
{
    const struct element *element = element_at(library, cartridge->place);

    return element != NULL && element->cartridge == cartridge->id;
}

int
library_cartridges(struct library *library, struct library_cartridge **out_list,
                   size_t *out_count)
{
    struct library_cartridge *list;
    struct cartridge **known;
    size_t count, n = 0;

    pthread_mutex_lock(&library->lock);
    known = ledger_cartridges(library->ledger, &count);
    list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < count; i++)
        if (is_here(library, known[i]))
            give_cartridge(library, known[i], &list[n++]);
    pthread_mutex_unlock(&library->lock);
    if (list == NULL)
        return -ENOMEM;
    *out_list = list;
    *out_count = n;
    return 0;
}

int
library_find(struct library *library, const char *identity,
             struct library_cartridge *out_cartridge)
{
    struct cartridge **known;
    size_t count, found = 0;

    pthread_mutex_lock(&library->lock);
    known = ledger_cartridges(library->ledger, &count);
    for (size_t i = 0; i < count; i++)
        if (is_here(library, known[i]) &&
            strcmp(known[i]->volume.identity, identity) == 0 && found++ == 0)
            give_cartridge(library, known[i], out_cartridge);
    pthread_mutex_unlock(&library->lock);
    return found == 0 ? -ENOENT : found == 1 ? 0 : -ENOTUNIQ;
}
