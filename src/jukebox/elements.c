/*
 * elements.c - what the robot says of its elements
 *
 * Each type is asked for by itself; drives answer in longer records, with
 * their serial numbers.  A field whose validity bit is off is not looked at.
 *
 * Context: PASSIVE, with the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "jukebox/library_internal.h"

#define ELEMENTS_AT_ONCE 1000

/* --- words and numbers ---------------------------- */

bool
same_place(struct place a, struct place b)
{
    return a.type == b.type && a.index == b.index;
}

struct place
place_of_slot(const struct library *library, uint32_t number)
{
    ULONG slots = library->counts[ChangerSlot];

    if (number == 0)
        return PLACE_AWAY;
    if (number <= slots)
        return (struct place){ ChangerSlot, number - 1 };
    if (number - slots <= library->counts[ChangerIEPort])
        return (struct place){ ChangerIEPort, number - slots - 1 };
    return PLACE_AWAY;
}

uint32_t
slot_of_place(const struct library *library, struct place place)
{
    if (place.type == ChangerSlot)
        return place.index + 1;
    if (place.type == ChangerIEPort)
        return library->counts[ChangerSlot] + place.index + 1;
    return 0;
}

const char *
place_words(const struct library *library, struct place place, char *out_words)
{
    switch (place.type) {
    case ChangerSlot:
        snprintf(out_words, 48, "slot %u", place.index + 1);
        break;
    case ChangerIEPort:
        snprintf(out_words, 48, "mail slot %u", slot_of_place(library, place));
        break;
    case ChangerDrive:
        snprintf(out_words, 48, "drive %u", place.index);
        break;
    case ChangerTransport:
        snprintf(out_words, 48, "the robot's hand");
        break;
    default:
        snprintf(out_words, 48, "nowhere in the library");
    }
    return out_words;
}

uint32_t
element_address(const struct library *library, struct place place)
{
    if (place.type == 0 || place.type >= ELEMENT_TYPES)
        return 0;
    return (uint32_t) library->first[place.type - 1] + place.index;
}

struct element *
element_at(struct library *library, struct place place)
{
    if (place.type == 0 || place.type >= ELEMENT_TYPES ||
        place.index >= library->counts[place.type] ||
        library->elements[place.type] == NULL)
        return NULL;
    return &library->elements[place.type][place.index];
}

bool
element_full(const struct element *element)
{
    return element != NULL && (element->flags & ELEMENT_STATUS_FULL) != 0;
}

/* "A clear Full bit together with Except means occupancy unknown." */
bool
element_unknown(const struct element *element)
{
    if (element == NULL || element_full(element) ||
        !(element->flags & ELEMENT_STATUS_EXCEPT))
        return false;
    return element->exception != ERROR_SLOT_NOT_PRESENT &&
           element->exception != ERROR_DRIVE_NOT_INSTALLED;
}

bool
element_is_cleaner(const struct library *library, const struct element *element)
{
    const struct cartridge *cartridge;

    if (element == NULL || !element_full(element))
        return false;
    if (strncmp(element->barcode, "CLN", 3) == 0)
        return true;
    cartridge = ledger_by_id(library->ledger, element->cartridge);
    return cartridge != NULL && cartridge->cleaning;
}

/* --- one record ---------------------------- */

/* Without what pads it; "" when a byte of it cannot be printed. */
static void
take_label(const UCHAR *tag, char *out)
{
    size_t len = 32;

    while (len > 0 && (tag[len - 1] == ' ' || tag[len - 1] == '\0'))
        len--;
    for (size_t i = 0; i < len; i++)
        if (tag[i] < ' ' || tag[i] > '~')
            len = 0;
    memcpy(out, tag, len);
    out[len] = '\0';
}

static void
take_serial(const UCHAR *serial, char *out)
{
    size_t first = 0, len = SERIAL_NUMBER_LENGTH;

    while (len > 0 && (serial[len - 1] == ' ' || serial[len - 1] == '\0'))
        len--;
    while (first < len && serial[first] == ' ')
        first++;
    for (size_t i = first; i < len; i++)
        if (serial[i] < ' ' || serial[i] > '~')
            len = first;
    memcpy(out, serial + first, len - first);
    out[len - first] = '\0';
}

/* The long record begins like the short one. */
static void
take_record(struct library *library, const CHANGER_ELEMENT_STATUS_EX *record,
            struct element *element)
{
    const CHANGER_ELEMENT *source = &record->SrcElementAddress;

    element->flags = record->Flags;
    element->exception =
        record->Flags & ELEMENT_STATUS_EXCEPT ? record->ExceptionCode : 0;
    element->source = PLACE_AWAY;
    if (record->Flags & ELEMENT_STATUS_SVALID &&
        source->ElementType >= ChangerTransport &&
        source->ElementType <= ChangerDrive &&
        source->ElementAddress < library->counts[source->ElementType])
        element->source = (struct place){ (uint8_t) source->ElementType,
                                          source->ElementAddress };
    memcpy(element->tag, record->PrimaryVolumeID, sizeof element->tag);
    memcpy(element->alternate, record->AlternateVolumeID,
           sizeof element->alternate);
    element->barcode[0] = '\0';
    if (record->Flags & ELEMENT_STATUS_PVOLTAG)
        take_label(record->PrimaryVolumeID, element->barcode);
    if (record->Flags & ELEMENT_STATUS_PRODUCT_DATA)
        take_serial(record->SerialNumber, element->serial);
}

/* --- reading ---------------------------- */

/* Some may be drives without product data: their records are short. */
static ULONG
record_size(const UCHAR *record, ULONG_PTR left)
{
    CHANGER_ELEMENT_STATUS head;

    if (left < sizeof head)
        return 0;
    memcpy(&head, record, sizeof head);
    if (!(head.Flags & ELEMENT_STATUS_PRODUCT_DATA))
        return sizeof head;
    return left < sizeof(CHANGER_ELEMENT_STATUS_EX)
               ? 0
               : sizeof(CHANGER_ELEMENT_STATUS_EX);
}

static void
take_answer(struct library *library, const UCHAR *answer, ULONG_PTR len)
{
    CHANGER_ELEMENT_STATUS_EX record;
    struct element *element;
    ULONG size;

    pthread_mutex_lock(&library->lock);
    for (; (size = record_size(answer, len)) != 0;
         answer += size, len -= size) {
        memset(&record, 0, sizeof record);
        memcpy(&record, answer, size);
        element = element_at(
            library, (struct place){ (uint8_t) record.Element.ElementType,
                                     record.Element.ElementAddress });
        if (element != NULL)
            take_record(library, &record, element);
    }
    library->read_ms = clock_coarse_ms();
    pthread_mutex_unlock(&library->lock);
}

static NTSTATUS
read_run(struct library *library, ELEMENT_TYPE type, ULONG first, ULONG count,
         UCHAR *room)
{
    CHANGER_READ_ELEMENT_STATUS request = {
        .ElementList = { .Element = { type, first },
                         .NumberOfElements = count },
        .VolumeTagInfo = (library->parameters.Features0 &
                          (CHANGER_BAR_CODE_SCANNER_INSTALLED |
                           CHANGER_VOLUME_IDENTIFICATION)) != 0,
    };
    ULONG size = type == ChangerDrive ? sizeof(CHANGER_ELEMENT_STATUS_EX)
                                      : sizeof(CHANGER_ELEMENT_STATUS);
    ULONG_PTR len = 0;
    NTSTATUS status =
        robot_control(library, IOCTL_CHANGER_GET_ELEMENT_STATUS, &request,
                      sizeof request, room, count * size, &len);

    if (NT_SUCCESS(status))
        take_answer(library, room, len < count * size ? len : count * size);
    return status;
}

/* --- what is shown meanwhile ---------------------------- */

static void
drop_shown_locked(struct library *library)
{
    for (int type = 0; type < ELEMENT_TYPES; type++) {
        free(library->shown[type]);
        library->shown[type] = NULL;
    }
}

static struct element *
copy_of(const struct library *library, int type)
{
    size_t count = library->elements[type] != NULL ? library->counts[type] : 0;
    struct element *copy = malloc((count + 1) * sizeof *copy);

    if (copy != NULL && count > 0)
        memcpy(copy, library->elements[type], count * sizeof *copy);
    return copy;
}

void
elements_hold(struct library *library)
{
    pthread_mutex_lock(&library->lock);
    if (library->holds++ == 0) {
        bool whole = true;

        for (int type = ChangerTransport; type <= ChangerDrive; type++) {
            library->shown[type] = copy_of(library, type);
            whole = whole && library->shown[type] != NULL;
        }
        library->shown_read_ms = library->read_ms;
        if (!whole)
            drop_shown_locked(library);
    }
    pthread_mutex_unlock(&library->lock);
}

void
elements_show(struct library *library)
{
    bool last;

    pthread_mutex_lock(&library->lock);
    last = --library->holds == 0;
    if (last)
        drop_shown_locked(library);
    pthread_mutex_unlock(&library->lock);
    if (last && library->host.settled != NULL)
        library->host.settled(library->host.context);
}

/* Which drive is which, before anything is believed of what is in them. */
static void
tell_drives(struct library *library)
{
    ULONG count = library->counts[ChangerDrive];
    char(*serials)[33];
    bool again;

    pthread_mutex_lock(&library->lock);
    again = library->order_again;
    library->order_again = false;
    pthread_mutex_unlock(&library->lock);
    if ((!library->first_read && !again) || library->host.drives == NULL)
        return;
    serials = calloc(count + 1, sizeof *serials);
    if (serials == NULL)
        return;
    for (ULONG i = 0; i < count; i++)
        memcpy(serials[i], library->elements[ChangerDrive][i].serial, 33);
    library->host.drives(library->host.context, count,
                         (const char(*)[33]) serials);
    free(serials);
}

static NTSTATUS
read_and_settle(struct library *library)
{
    CHANGER_ELEMENT_STATUS_EX *room = malloc(ELEMENTS_AT_ONCE * sizeof *room);
    NTSTATUS status = STATUS_SUCCESS;

    if (room == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    /* A change that is reported while this runs makes it stale anew. */
    for (int tries = 0; tries < 3; tries++) {
        library->stale = false;
        for (int type = ChangerTransport;
             NT_SUCCESS(status) && type <= ChangerDrive; type++)
            for (ULONG at = 0; NT_SUCCESS(status) && at < library->counts[type];
                 at += ELEMENTS_AT_ONCE) {
                ULONG left = library->counts[type] - at;

                status =
                    read_run(library, (ELEMENT_TYPE) type, at,
                             left < ELEMENTS_AT_ONCE ? left : ELEMENTS_AT_ONCE,
                             (UCHAR *) room);
            }
        if (!NT_SUCCESS(status) || !library->stale)
            break;
    }
    free(room);
    if (!NT_SUCCESS(status)) {
        library->stale = true;
        return status;
    }
    tell_drives(library);
    settle_pending(library);
    settle_all(library);
    library->first_read = false;
    return status;
}

NTSTATUS
elements_read_all(struct library *library)
{
    NTSTATUS status;

    elements_hold(library);
    status = read_and_settle(library);
    elements_show(library);
    return status;
}

NTSTATUS
elements_read(struct library *library, const struct place *places, size_t count)
{
    CHANGER_ELEMENT_STATUS_EX room;
    NTSTATUS status = STATUS_SUCCESS;

    for (size_t i = 0; NT_SUCCESS(status) && i < count; i++)
        if (element_at(library, places[i]) != NULL)
            status = read_run(library, (ELEMENT_TYPE) places[i].type,
                              places[i].index, 1, (UCHAR *) &room);
    return status;
}

/* --- what kind of library it is ---------------------------- */

static NTSTATUS
make_room(struct library *library, const ULONG counts[ELEMENT_TYPES])
{
    struct element *fresh[ELEMENT_TYPES] = { NULL };

    for (int type = ChangerTransport; type <= ChangerDrive; type++) {
        fresh[type] = calloc(counts[type] + 1, sizeof **fresh);
        if (fresh[type] == NULL) {
            while (type-- > ChangerTransport)
                free(fresh[type]);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        for (ULONG i = 0; i < counts[type]; i++)
            fresh[type][i].place = (struct place){ (uint8_t) type, i };
    }
    pthread_mutex_lock(&library->lock);
    drop_shown_locked(library);
    for (int type = ChangerTransport; type <= ChangerDrive; type++) {
        free(library->elements[type]);
        library->elements[type] = fresh[type];
        library->counts[type] = counts[type];
    }
    pthread_mutex_unlock(&library->lock);
    return STATUS_SUCCESS;
}

NTSTATUS
elements_learn(struct library *library)
{
    GET_CHANGER_PARAMETERS parameters = { 0 };
    CHANGER_PRODUCT_DATA product = { { 0 } };
    uint16_t first[4] = { 0 };
    ULONG counts[ELEMENT_TYPES] = { 0 };
    NTSTATUS status = robot_control(library, IOCTL_CHANGER_GET_PARAMETERS, NULL,
                                    0, &parameters, sizeof parameters, NULL);

    if (NT_SUCCESS(status))
        status = robot_control(library, IOCTL_CHANGER_GET_PRODUCT_DATA, NULL, 0,
                               &product, sizeof product, NULL);
    if (NT_SUCCESS(status))
        status = library->host.addresses(library->host.context, first);
    if (!NT_SUCCESS(status))
        return status;
    counts[ChangerTransport] = parameters.NumberTransportElements;
    counts[ChangerSlot] = parameters.NumberStorageElements;
    counts[ChangerIEPort] = parameters.NumberIEElements;
    counts[ChangerDrive] = parameters.NumberDataTransferElements;
    status = make_room(library, counts);
    if (!NT_SUCCESS(status))
        return status;
    pthread_mutex_lock(&library->lock);
    library->parameters = parameters;
    library->product = product;
    memcpy(library->first, first, sizeof first);
    pthread_mutex_unlock(&library->lock);
    library->known = true;
    library->stale = true;
    return STATUS_SUCCESS;
}
