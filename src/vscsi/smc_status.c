/*
 * smc_status.c - READ ELEMENT STATUS: what is where, as a robot tells it
 *
 * Header, a page for each run of elements of one kind, a descriptor for each
 * element.  Counts speak of the whole report, the data are cut to what the
 * allocation length lets through; so the lengths are computed, and bytes are
 * built only as far as they are wanted.  Personalities and fault rules lie here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/library.h"

#define TAG_BYTES 36
#define ID_MAX    (4 + 24 + 32)
#define DESC_MAX  (12 + 2 * TAG_BYTES + ID_MAX)

/* How the descriptors of one page look. */
struct form {
    enum vscsi_element_kind kind;
    bool primary, alternate; /* fields that are there */
    bool alternate_flag;     /* ... or are said to be */
    unsigned id_bytes;       /* with its header; 0: none */
    unsigned length;         /* of a descriptor */
    unsigned count;
};

struct writer {
    uint8_t *to;
    size_t max, len;
};

static void
emit(struct writer *writer, const void *data, size_t len)
{
    if (writer->len < writer->max) {
        size_t room = writer->max - writer->len;

        memcpy(writer->to + writer->len, data, len < room ? len : room);
    }
    writer->len += len;
}

/* --- a descriptor --------------------------------------------------------- */

bool
library_primary_tag(const struct vscsi_library *library,
                    const struct element *element, uint8_t out[36])
{
    const struct cartridge *cartridge = element->cartridge;
    size_t len;

    memset(out, 0, TAG_BYTES);
    memset(out, ' ', 32);
    if (cartridge == NULL || element->unknown)
        return false;
    if (!library->reader) {
        if (!cartridge->primary.set)
            return false;
        memcpy(out, cartridge->primary.text, 32);
        put16(out + 34, cartridge->primary.sequence);
        return true;
    }
    if (cartridge->unreadable)
        return false;
    len = strlen(cartridge->bar_code);
    memcpy(out, cartridge->bar_code, len < 32 ? len : 32);
    return true;
}

bool
library_alternate_tag(const struct element *element, uint8_t out[36])
{
    const struct cartridge *cartridge = element->cartridge;

    memset(out, 0, TAG_BYTES);
    memset(out, ' ', 32);
    if (cartridge == NULL || !cartridge->alternate.set)
        return false;
    memcpy(out, cartridge->alternate.text, 32);
    put16(out + 34, cartridge->alternate.sequence);
    return true;
}

/* 0, or what Except says: ASC and ASCQ. */
static uint32_t
exception_of(const struct vscsi_library *library, const struct element *element,
             bool medium)
{
    const struct cartridge *cartridge = element->cartridge;

    if (element->absent)
        return library_sense(library, element->drive != NULL ? SENSE_DRIVE_GONE
                                                             : SENSE_SLOT_GONE);
    if (element->unknown)
        return library_sense(library, SENSE_UNKNOWN);
    if ((cartridge == NULL && medium) ||
        (cartridge != NULL && cartridge->unreadable && library->reader))
        return library_sense(library, SENSE_UNREADABLE);
    if (cartridge != NULL && cartridge->cleaning &&
        library_has(library, P_CLEANER_EXCEPT))
        return SENSE(0, 0x30, 0x03);
    return 0;
}

/* May the robot reach it, as far as it knows? */
static bool
accessible(const struct vscsi_library *library, const struct element *element,
           bool medium)
{
    if (element->absent || library_has(library, P_NO_ACCESS))
        return false;
    switch (element->kind) {
    case VSCSI_ELEMENT_MAIL:
        return !library->mail_open;
    case VSCSI_ELEMENT_DRIVE: /* not before it is ejected */
        return !medium || (!library_has(library, P_EJECT_FIRST) &&
                           element->drive->prevents == 0);
    default:
        return true;
    }
}

static void
put_flags(const struct vscsi_library *library, const struct element *element,
          uint8_t *to)
{
    bool medium = element->drive != NULL && library_drive_full(element->drive);
    uint32_t exception = exception_of(library, element, medium);

    if (element->cartridge != NULL || medium)
        to[2] |= 0x01;
    if (element->absent && element->kind == VSCSI_ELEMENT_SLOT)
        to[2] &= 0xfe; /* the magazine is away, with what is in it */
    if (element->kind == VSCSI_ELEMENT_MAIL)
        to[2] |= 0x30 | (element->imported ? 0x02 : 0);
    if (element->kind != VSCSI_ELEMENT_TRANSPORT &&
        accessible(library, element, medium))
        to[2] |= 0x08;
    if (exception != 0) {
        to[2] |= 0x04;
        put16(to + 4, exception);
    }
}

/* As in VPD page 83h of the drive; or the serial number alone. */
static unsigned
put_identifier(const struct vscsi_library *library,
               const struct element *element, uint8_t to[ID_MAX])
{
    const char *texts[2], *name = element->drive->name;
    bool serial_only = library_has(library, P_SERIAL_ONLY);
    size_t len = strnlen(name, 32), at = 4;

    memset(to, 0, 4);
    memset(to + 4, ' ', ID_MAX - 4);
    to[0] = 0x02; /* ASCII */
    to[1] = serial_only ? 0x00 : 0x01;
    if (!serial_only) {
        spc_product(element->drive, texts);
        memcpy(to + 4, texts[0], strnlen(texts[0], 8));
        memcpy(to + 12, texts[1], strnlen(texts[1], 16));
        at += 24;
    }
    memcpy(to + at, name, len);
    if (len < 10)
        len = 10;
    to[3] = (uint8_t) (at - 4 + len);
    return (unsigned) (at + len);
}

static void
put_id(const struct vscsi_library *library, const struct element *element,
       uint8_t *to)
{
    uint8_t id[ID_MAX];
    unsigned len = put_identifier(library, element, id);

    memcpy(to, id, len);
}

static void
put_element(const struct vscsi_library *library, const struct form *form,
            const struct element *element, uint8_t to[DESC_MAX])
{
    uint8_t *at = to + 12;

    memset(to, 0, DESC_MAX);
    put16(to, element->address);
    put_flags(library, element, to);
    if (element->cartridge != NULL) {
        to[9] = element->cartridge->cleaning ? 2 : 1;
        if (element->source >= 0) {
            to[9] |= 0x80;
            put16(to + 10, (uint32_t) element->source);
        }
    }
    if (form->primary) {
        (void) library_primary_tag(library, element, at);
        at += TAG_BYTES;
    }
    if (form->alternate) {
        (void) library_alternate_tag(element, at);
        at += TAG_BYTES;
    }
    if (form->id_bytes != 0 && element->drive != NULL)
        put_id(library, element, at);
}

/* --- pages ---------------------------------------------------------------- */

static bool
wanted(struct vscsi_library *library, const struct status_want *want,
       const struct element *element)
{
    return element->address >= want->start &&
           (want->match == NULL ||
            want->match(library, element, want->context));
}

/* All descriptors of a page have one length: that of the longest. */
static void
make_form(struct vscsi_library *library, const struct status_want *want,
          enum vscsi_element_kind kind, struct form *form)
{
    uint8_t id[ID_MAX];

    memset(form, 0, sizeof *form);
    form->kind = kind;
    form->primary = want->tags && library->reader;
    for (unsigned i = 0; want->tags && i < library->count[kind]; i++) {
        const struct cartridge *cartridge =
            library_nth(library, kind, i)->cartridge;

        if (cartridge == NULL)
            continue;
        form->alternate |= cartridge->alternate.set;
        form->primary |= cartridge->primary.set;
    }
    form->alternate_flag =
        form->alternate ||
        (form->primary && library_has(library, P_AVOLTAG_LIE)) ||
        want->effect->robot == ROBOT_LIE_AVOLTAG;
    for (unsigned i = 0; want->identifiers && kind == VSCSI_ELEMENT_DRIVE &&
                         i < library->count[kind];
         i++) {
        unsigned bytes =
            put_identifier(library, library_nth(library, kind, i), id);

        if (bytes > form->id_bytes)
            form->id_bytes = bytes;
    }
    form->length = 12 + (form->primary ? TAG_BYTES : 0) +
                   (form->alternate ? TAG_BYTES : 0) + form->id_bytes;
}

struct report {
    struct form forms[KINDS];
    unsigned pages, elements, first;
    uint64_t bytes; /* behind the header */
};

/* Counts what will be told; `number` elements at most. */
static void
survey(struct vscsi_library *library, const struct status_want *want,
       struct report *report)
{
    unsigned left = want->number;

    memset(report, 0, sizeof *report);
    for (unsigned i = 0; i < KINDS - 1; i++) {
        enum vscsi_element_kind kind = library->order[i];
        struct form *form = &report->forms[report->pages];
        unsigned twice = want->effect->robot == ROBOT_LIE_TWICE ? 2 : 1;

        if ((want->type != 0 && want->type != kind) || left == 0)
            continue;
        make_form(library, want, kind, form);
        for (unsigned n = 0; n < library->count[kind] && left != 0; n++) {
            const struct element *element = library_nth(library, kind, n);

            if (!wanted(library, want, element))
                continue;
            if (report->elements == 0)
                report->first = element->address;
            form->count++;
            report->elements++;
            left--;
        }
        if (form->count == 0)
            continue;
        report->bytes += 8 + (uint64_t) form->count * form->length * twice;
        report->pages++;
    }
}

static void
emit_page(struct vscsi_library *library, const struct status_want *want,
          const struct form *form, struct writer *writer, unsigned *out_next)
{
    uint8_t data[DESC_MAX] = { 0 };
    const struct fault_effect *effect = want->effect;
    unsigned twice = effect->robot == ROBOT_LIE_TWICE ? 2 : 1;
    unsigned left = form->count, said = form->length;
    uint32_t bytes = form->count * form->length * twice;

    if (effect->robot == ROBOT_LIE_LENGTH)
        said = effect->robot_value;
    if (effect->robot == ROBOT_LIE_COUNT)
        bytes += effect->robot_value;
    data[0] = (uint8_t) form->kind;
    data[1] = (uint8_t) ((form->primary ? 0x80 : 0) |
                         (form->alternate_flag ? 0x40 : 0));
    put16(data + 2, said);
    put24(data + 5, bytes);
    emit(writer, data, 8);
    for (unsigned n = 0; n < library->count[form->kind] && left != 0; n++) {
        const struct element *element = library_nth(library, form->kind, n);

        if (!wanted(library, want, element))
            continue;
        left--;
        if (writer->len < writer->max)
            put_element(library, form, element, data);
        for (unsigned i = 0; i < twice; i++)
            emit(writer, data, form->length);
        if (writer->len <= writer->max)
            *out_next = element->address + 1u;
    }
}

/* One byte in 16 becomes another one, the same for the same seed. */
static void
make_noise(uint8_t *data, size_t len, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;

    for (size_t i = 0; i < len; i++) {
        state = state * 1664525u + 1013904223u;
        if (state >> 28 == 0)
            data[i] = (uint8_t) (state >> 16);
    }
}

size_t
status_build_locked(struct vscsi_library *library,
                    const struct status_want *want, uint8_t *to, size_t max,
                    unsigned *out_next)
{
    struct writer writer = { to, max, 0 };
    uint8_t header[8] = { 0 };
    struct report report;

    survey(library, want, &report);
    put16(header, report.elements != 0 ? report.first : 0);
    put16(header + 2, report.elements);
    header[4] = want->header_4;
    put24(header + 5,
          (uint32_t) report.bytes + (want->effect->robot == ROBOT_LIE_COUNT
                                         ? want->effect->robot_value
                                         : 0));
    emit(&writer, header, sizeof header);
    for (unsigned i = 0; i < report.pages; i++) {
        emit_page(library, want, &report.forms[i], &writer, out_next);
        /* The next page overwrites the last descriptor of this one. */
        if (i + 1 < report.pages && want->type == 0 &&
            (library_has(library, P_OVERLAP) ||
             want->effect->robot == ROBOT_LIE_OVERLAP))
            writer.len -= report.forms[i].length;
    }
    return writer.len;
}

/* --- the command ---------------------------------------------------------- */

static uint32_t
check_status(const struct task *task)
{
    const struct vscsi_library *library = task->drive->library;
    const uint8_t *cdb = task->command->cdb;
    unsigned type = cdb[1] & 0x0f, number = get16(cdb + 4);
    uint32_t alloc = get24(cdb + 7);
    const struct personality *personality = library->personality;

    if (cdb[1] & 0xe0 || cdb[6] & 0xfc || type >= KINDS ||
        (type == 0 && library_has(library, P_ONE_TYPE)) ||
        (cdb[1] & 0x10 && library_has(library, P_NO_VOLTAG)) ||
        (cdb[6] & 0x02 && library_has(library, P_NO_CURDATA)) ||
        (cdb[6] & 0x01 && (library_has(library, P_NO_DVCID) ||
                           (type != VSCSI_ELEMENT_DRIVE &&
                            library_has(library, P_DVCID_DRIVES)))) ||
        (personality->most_elements != 0 &&
         number > personality->most_elements) ||
        (personality->most_bytes != 0 && alloc > personality->most_bytes) ||
        (library_has(library, P_CONTROL_ZERO) && cdb[11] != 0))
        return SENSE_CDB_FIELD;
    return 0;
}

/* Behind the last element of all there is nothing to ask for. */
static bool
beyond(const struct vscsi_library *library, unsigned address)
{
    for (unsigned kind = 1; kind < KINDS; kind++)
        if (library->count[kind] != 0 &&
            address < library->personality->base[kind] + library->count[kind])
            return false;
    return !library_has(library, P_ALL_ELEMENTS);
}

/* With CurData nothing moves, and nothing has to: what is known is told. */
static uint32_t
may_tell_locked(struct vscsi_library *library, bool current)
{
    uint32_t sense = library_not_ready_locked(library);

    return sense == 0 || current || library->door_open ? 0 : sense;
}

uint32_t
smc_read_status(struct task *task)
{
    struct vscsi_library *library = task->drive->library;
    const uint8_t *cdb = task->command->cdb;
    const struct fault_effect *effect = task->effect;
    struct status_want want = {
        .type = cdb[1] & 0x0f,
        .tags = cdb[1] & 0x10,
        .identifiers = cdb[6] & 0x01,
        .start = get16(cdb + 2),
        .number = get16(cdb + 4),
        .effect = effect,
    };
    size_t max = get24(cdb + 7), len;
    uint32_t sense = check_status(task);
    unsigned next;

    if (sense == 0 && beyond(library, want.start))
        sense = SENSE_ELEMENT;
    if (sense != 0)
        return sense;
    if (library_has(library, P_ALL_ELEMENTS))
        want.number = 0x10000;
    if (library_has(library, P_ALLOC_16))
        max &= 0xffff;
    if (max > task->data_len)
        max = task->data_len;
    pthread_mutex_lock(&library->lock);
    sense = may_tell_locked(library, cdb[6] & 0x02);
    if (sense == 0) {
        library_look_locked(library);
        len = status_build_locked(library, &want, task->data, max, &next);
        if (library_has(library, P_CUT_8) && len > 16)
            len -= 8;
        if (effect->robot == ROBOT_LIE_CUT)
            len -= effect->robot_value < len ? effect->robot_value : len;
        if (len > max)
            len = max;
        if (effect->robot == ROBOT_LIE_NOISE)
            make_noise(task->data, len, effect->robot_value);
        task->command->transferred = (uint32_t) len;
    }
    pthread_mutex_unlock(&library->lock);
    return sense;
}
