/*
 * smc_parse.c - READ ELEMENT STATUS data: pages of descriptors, believed as far
 * as they bear it
 *
 * Pure.  The data may be cut, lie about lengths, repeat elements, or be made up
 * by somebody who means harm: nothing is read outside of what came, no fact is
 * taken from a field that is not said to be valid, and an element whose data
 * did not come is not guessed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"

#define HEADER       8  /* of the data, and of each page */
#define FIXED        12 /* of each descriptor */
#define IDENTIFIER   4  /* header of a drive's identification */

#define PAGE_PVOLTAG 0x80
#define PAGE_AVOLTAG 0x40

#define FULL         0x01
#define EXCEPT       0x04
#define ACCESS       0x08
#define SVALID       0x80
#define INVERT       0x40
#define NOT_BUS      0x80
#define IDVALID      0x20
#define LUVALID      0x10

/* Where things are in the descriptors of a page. */
struct layout {
    ULONG length;             /* of a descriptor */
    ULONG primary, alternate; /* 0: not there */
    ULONG identifier;
};

BOOLEAN
smc_is_blank(const UCHAR *text, ULONG len)
{
    ULONG i;

    for (i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\0')
            return FALSE;
    return TRUE;
}

static BOOLEAN
is_printable(const UCHAR *text, ULONG len)
{
    ULONG i;

    while (len > 0 && (text[len - 1] == '\0' || text[len - 1] == ' '))
        len--;
    for (i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            return FALSE;
    return TRUE;
}

/* --- exceptions ------------------------------------------------------------ */

#define ANY 0x100

enum effect {
    UNREADABLE,
    NOT_SCANNED, /* with a medium: perhaps another label; without: unknown */
    SCAN_NEEDED,
    NO_SLOT,
    NO_DRIVE,
    CLEANER, /* no exception at all */
};

static const struct {
    USHORT asc, ascq;
    UCHAR drives; /* 0: others, 1: drives, 2: both */
    UCHAR effect;
} exceptions[] = {
    { 0x83, 0x01, 2, UNREADABLE },  { 0x83, 0x09, 2, UNREADABLE },
    { 0x30, 0x83, 2, UNREADABLE },  { 0x53, 0x05, 2, UNREADABLE },
    { 0x53, 0x06, 2, UNREADABLE },  { 0x83, 0x00, 2, NOT_SCANNED },
    { 0x53, 0x08, 2, SCAN_NEEDED }, { 0x04, 0x02, 2, SCAN_NEEDED },
    { 0x83, 0x02, 0, NO_SLOT },     { 0x3B, 0x11, 0, NO_SLOT },
    { 0x3B, 0x12, 0, NO_SLOT },     { 0x3B, 0x18, 0, NO_SLOT },
    { 0x83, 0x04, 1, NO_DRIVE },    { 0x3B, 0x1A, 1, NO_DRIVE },
    { 0x3B, 0x18, 1, NO_DRIVE },    { 0x30, 0x03, 2, CLEANER },
};

static void
set_exception(PCHANGER_ELEMENT_STATUS_EX out, ULONG code)
{
    out->Flags |= ELEMENT_STATUS_EXCEPT;
    out->ExceptionCode = code;
}

static void
apply_exception(PCHANGER_ELEMENT_STATUS_EX out, UCHAR effect)
{
    switch (effect) {
    case UNREADABLE:
        set_exception(out, ERROR_LABEL_UNREADABLE);
        break;
    case NOT_SCANNED:
        set_exception(out, out->Flags & ELEMENT_STATUS_FULL
                               ? ERROR_LABEL_QUESTIONABLE
                               : ERROR_INIT_STATUS_NEEDED);
        break;
    case SCAN_NEEDED:
        set_exception(out, ERROR_INIT_STATUS_NEEDED);
        break;
    case NO_SLOT:
        out->Flags &= ~(ULONG) (ELEMENT_STATUS_ACCESS | ELEMENT_STATUS_FULL);
        set_exception(out, ERROR_SLOT_NOT_PRESENT);
        break;
    case NO_DRIVE:
        out->Flags &= ~(ULONG) (ELEMENT_STATUS_ACCESS | ELEMENT_STATUS_FULL);
        set_exception(out, ERROR_DRIVE_NOT_INSTALLED);
        break;
    default: /* a healthy cleaning cartridge */
        out->Flags |= ELEMENT_STATUS_FULL;
    }
}

static void
parse_exception(BOOLEAN is_drive, const UCHAR *at,
                PCHANGER_ELEMENT_STATUS_EX out)
{
    size_t i;

    for (i = 0; i < RTL_NUMBER_OF(exceptions); i++)
        if (exceptions[i].asc == at[4] && exceptions[i].ascq == at[5] &&
            (exceptions[i].drives == 2 || exceptions[i].drives == is_drive)) {
            apply_exception(out, exceptions[i].effect);
            return;
        }
    set_exception(out, (ULONG) ERROR_UNHANDLED_ERROR);
}

/* --- the parts of a descriptor ---------------------------------------------- */

static void
parse_flags(const struct smc_run *run, const UCHAR *at,
            PCHANGER_ELEMENT_STATUS_EX out)
{
    static const ULONG mail =
        ELEMENT_STATUS_IMPEXP | ELEMENT_STATUS_EXENAB | ELEMENT_STATUS_INENAB;

    if (at[2] & FULL)
        out->Flags |= ELEMENT_STATUS_FULL;
    if (run->type != ChangerTransport && at[2] & ACCESS)
        out->Flags |= ELEMENT_STATUS_ACCESS;
    if (run->type == ChangerIEPort) /* the bits have the same places */
        out->Flags |= at[2] & mail;
    if (at[2] & EXCEPT)
        parse_exception(run->type == ChangerDrive, at, out);
}

static void
parse_bus(const UCHAR *at, PCHANGER_ELEMENT_STATUS_EX out)
{
    if (at[6] & NOT_BUS)
        out->Flags |= ELEMENT_STATUS_NOT_BUS;
    if (at[6] & LUVALID) {
        out->Flags |= ELEMENT_STATUS_LUN_VALID;
        out->Lun = at[6] & 0x07;
    }
    if (at[6] & IDVALID) {
        out->Flags |= ELEMENT_STATUS_ID_VALID;
        out->TargetId = at[7];
    }
}

static void
parse_source(const struct smc_run *run, const UCHAR *at,
             PCHANGER_ELEMENT_STATUS_EX out)
{
    if (!(at[9] & SVALID) ||
        !smc_from_device(run->facts, (USHORT) smc_be16(at + 10),
                         &out->SrcElementAddress))
        return;
    out->Flags |= ELEMENT_STATUS_SVALID;
    if (at[9] & INVERT)
        out->Flags |= ELEMENT_STATUS_INVERT;
}

#define TEXT 32 /* of a label; reserved bytes and a number follow */
#define TAIL 4  /* blanks that show that its text has ended */

/* A label, of which some devices cut off the end with that of the reply: if its
 * text has ended by then nothing is missing but blanks.  FALSE: it has not. */
static BOOLEAN
take_tag(const UCHAR *from, ULONG bytes, UCHAR tag[MAX_VOLUME_ID_SIZE])
{
    ULONG came = bytes < MAX_VOLUME_ID_SIZE ? bytes : MAX_VOLUME_ID_SIZE;

    RtlZeroMemory(tag, MAX_VOLUME_ID_SIZE);
    RtlFillMemory(tag, TEXT, ' ');
    RtlCopyMemory(tag, from, came);
    return came >= TEXT ||
           (came > TAIL && smc_is_blank(from + came - TAIL, TAIL));
}

/* Labels are verbatim; one that cannot be is none.  Blanks stay what they are,
 * without being a label: who shows the bytes shows what the device sent. */
static void
parse_tags(const struct smc_run *run, const UCHAR *at,
           const struct layout *layout, ULONG bytes,
           PCHANGER_ELEMENT_STATUS_EX out)
{
    UCHAR own[MAX_VOLUME_ID_SIZE];
    const UCHAR *tag;

    if (layout->primary == 0 || bytes <= layout->primary ||
        !take_tag(at + layout->primary, bytes - layout->primary, own))
        return;
    if (is_printable(own, TEXT))
        RtlCopyMemory(out->PrimaryVolumeID, own, sizeof own);
    if (!smc_is_blank(own, TEXT) && is_printable(own, TEXT)) {
        out->Flags |= ELEMENT_STATUS_PVOLTAG;
    } else if (out->Flags & ELEMENT_STATUS_FULL &&
               !(out->Flags & ELEMENT_STATUS_EXCEPT)) {
        set_exception(out, ERROR_LABEL_UNREADABLE);
    }
    tag = at + layout->alternate;
    if (layout->alternate == 0 || !run->facts->two_sided ||
        bytes < layout->alternate + MAX_VOLUME_ID_SIZE ||
        smc_is_blank(tag, 32) || !is_printable(tag, 32))
        return;
    out->Flags |= ELEMENT_STATUS_AVOLTAG;
    RtlCopyMemory(out->AlternateVolumeID, tag, MAX_VOLUME_ID_SIZE);
}

/* Without the blanks around it. */
static void
put_trimmed(PUCHAR to, ULONG room, const UCHAR *from, ULONG len)
{
    while (len > 0 && (*from == ' ' || *from == '\0')) {
        from++;
        len--;
    }
    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\0'))
        len--;
    RtlCopyMemory(to, from, len < room ? len : room);
}

/* ASCII: vendor, product and serial number, or the serial number alone. */
static void
parse_identifier(const UCHAR *at, ULONG bytes, PCHANGER_ELEMENT_STATUS_EX out)
{
    ULONG len, named = VENDOR_ID_LENGTH + PRODUCT_ID_LENGTH;

    if (bytes < IDENTIFIER || bytes < IDENTIFIER + (ULONG) at[3])
        return;
    len = at[3];
    if ((at[0] & 0x0f) != 2 || smc_is_blank(at + IDENTIFIER, len) ||
        !is_printable(at + IDENTIFIER, len))
        return;
    at += IDENTIFIER;
    RtlFillMemory(out->VendorIdentification, VENDOR_ID_LENGTH, ' ');
    RtlFillMemory(out->ProductIdentification, PRODUCT_ID_LENGTH, ' ');
    if ((at[1 - IDENTIFIER] & 0x0f) == 1 && len > named) {
        RtlCopyMemory(out->VendorIdentification, at, VENDOR_ID_LENGTH);
        RtlCopyMemory(out->ProductIdentification, at + VENDOR_ID_LENGTH,
                      PRODUCT_ID_LENGTH);
        at += named;
        len -= named;
    }
    put_trimmed(out->SerialNumber, SERIAL_NUMBER_LENGTH, at, len);
    out->Flags |= ELEMENT_STATUS_PRODUCT_DATA;
}

/* --- descriptors and pages --------------------------------------------------- */

/* `bytes` of it came, at least FIXED. */
static void
parse_descriptor(struct smc_run *run, const struct layout *layout,
                 const UCHAR *at, ULONG bytes)
{
    CHANGER_ELEMENT_STATUS_EX made, *out;
    ULONG index = smc_be16(at) - run->first;
    UCHAR seen = bytes < layout->length ? SMC_CUT : SMC_WHOLE;

    /* The subtraction wraps for addresses before the first. */
    if (index >= run->count || run->seen[index] >= seen)
        return; /* not asked for; or the first of two wins */
    RtlZeroMemory(&made, sizeof made);
    (void) smc_from_device(run->facts, (USHORT) smc_be16(at), &made.Element);
    parse_flags(run, at, &made);
    if (run->type == ChangerDrive)
        parse_bus(at, &made);
    parse_source(run, at, &made);
    if (run->tags)
        parse_tags(run, at, layout, bytes, &made);
    if (run->type == ChangerDrive && run->identified &&
        layout->identifier < bytes)
        parse_identifier(at + layout->identifier, bytes - layout->identifier,
                         &made);
    out = &run->status[index];
    if (!run->identity_only) {
        *out = made;
    } else if (made.Flags & ELEMENT_STATUS_PRODUCT_DATA) {
        out->Flags |= ELEMENT_STATUS_PRODUCT_DATA;
        RtlCopyMemory(out->VendorIdentification, made.VendorIdentification,
                      sizeof made - offsetof(CHANGER_ELEMENT_STATUS_EX,
                                             VendorIdentification));
    }
    run->seen[index] = seen;
    run->fresh++;
}

/* Flags of a page that promise more than its descriptors hold are not true:
 * the alternate label goes first. */
static struct layout
lay_out(UCHAR flags, ULONG length)
{
    struct layout layout = { .length = length };
    ULONG at = FIXED;

    if (flags & PAGE_PVOLTAG && at + MAX_VOLUME_ID_SIZE <= length) {
        layout.primary = at;
        at += MAX_VOLUME_ID_SIZE;
    }
    if (flags & PAGE_AVOLTAG && at + MAX_VOLUME_ID_SIZE <= length) {
        layout.alternate = at;
        at += MAX_VOLUME_ID_SIZE;
    }
    layout.identifier = at;
    return layout;
}

static BOOLEAN
is_identifier(const UCHAR *at, ULONG bytes)
{
    return bytes > IDENTIFIER && (at[0] & 0x0f) >= 1 && (at[0] & 0x0f) <= 3 &&
           at[3] != 0 && bytes >= IDENTIFIER + (ULONG) at[3];
}

/* An alternate label that is announced and not there hides a drive's
 * identification: whichever place looks like one is right. */
static void
find_identifier(const struct smc_run *run, struct layout *layout,
                const UCHAR *first)
{
    ULONG without = layout->alternate;

    if (!run->identified || without == 0 || without >= layout->length ||
        (layout->identifier < layout->length &&
         is_identifier(first + layout->identifier,
                       layout->length - layout->identifier)) ||
        !is_identifier(first + without, layout->length - without))
        return;
    layout->identifier = without;
    layout->alternate = 0;
}

static NTSTATUS
parse_page(struct smc_run *run, const UCHAR *page, ULONG len)
{
    ULONG length = smc_be16(page + 2), bytes = smc_be24(page + 5), at;
    struct layout layout;

    if (page[0] != (UCHAR) run->type || bytes == 0)
        return STATUS_SUCCESS;
    if (length < FIXED)
        return STATUS_DEVICE_DATA_ERROR;
    if (length > run->descriptor)
        run->descriptor = length;
    layout = lay_out(page[1], length);
    if (layout.primary != 0)
        run->labels = TRUE;
    if (bytes > len - HEADER)
        bytes = len - HEADER;
    if (bytes >= length)
        find_identifier(run, &layout, page + HEADER);
    for (at = 0; at < bytes; at += length) {
        ULONG here = bytes - at < length ? bytes - at : length;

        if (here >= FIXED)
            parse_descriptor(run, &layout, page + HEADER + at, here);
    }
    return STATUS_SUCCESS;
}

NTSTATUS
smc_parse(struct smc_run *run, const UCHAR *reply, ULONG len)
{
    NTSTATUS status = STATUS_SUCCESS;
    ULONG at;

    run->fresh = run->descriptor = 0;
    run->labels = FALSE;
    if (len < HEADER)
        return STATUS_DEVICE_DATA_ERROR;
    run->reported = smc_be24(reply + 5);
    if (len > HEADER + run->reported)
        len = HEADER + run->reported;
    for (at = HEADER; at + HEADER <= len && NT_SUCCESS(status);
         at += HEADER + smc_be24(reply + at + 5))
        status = parse_page(run, reply + at, len - at);
    return status;
}
