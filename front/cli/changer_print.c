/*
 * changer_print.c - a library in the words of mtx
 *
 * Backup programs read these lines, blank by blank.  What mtx does not say
 * goes to stderr, behind "note: ".
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/changer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- status ----------------------------------------------------------------- */

static void
print_tags(const struct changer *changer, const json_t *element,
           const char *equals)
{
    const char *tag = json_text(element, "tag");
    const char *alternate = json_text(element, "alternate");

    if (!changer->bar_codes)
        return;
    if (*tag != '\0')
        printf(":VolumeTag%s%s", equals, tag);
    if (*alternate != '\0')
        printf(":AlternateVolumeTag%s%s", equals, alternate);
}

static void
print_drive(const struct changer *changer, const json_t *drive)
{
    uint64_t home = json_number(drive, "home");

    printf("Data Transfer Element %" PRIu64 ":", json_number(drive, "number"));
    if (!json_flag(drive, "full")) {
        printf("Empty\n");
        return;
    }
    if (home != 0)
        printf("Full (Storage Element %" PRIu64 " Loaded)", home);
    else
        printf("Full (Unknown Storage Element Loaded)");
    print_tags(changer, drive, " = ");
    printf("\n");
}

static void
print_slot(const struct changer *changer, const json_t *slot, bool mail)
{
    printf("      Storage Element %" PRIu64 "%s:%s",
           json_number(slot, "number"), mail ? " IMPORT/EXPORT" : "",
           json_flag(slot, "full") ? "Full " : "Empty");
    print_tags(changer, slot, "=");
    printf("\n");
}

void
changer_print_status(const struct changer *changer)
{
    const json_t *elements = json_object_get(changer->status, "elements");
    const json_t *library = changer_library(changer), *element;
    uint64_t mail = json_number(library, "mail_slots");
    size_t i;

    printf("  Storage Changer %s:%" PRIu64 " Drives, %" PRIu64
           " Slots ( %" PRIu64 " Import/Export )\n",
           changer->given, json_number(library, "drives"),
           json_number(library, "slots") + mail, mail);
    json_array_foreach(elements, i, element)
    {
        const char *type = json_text(element, "type");

        if (strcmp(type, "drive") == 0)
            print_drive(changer, element);
        else if (strcmp(type, "slot") == 0)
            print_slot(changer, element, false);
        else if (strcmp(type, "mail-slot") == 0)
            print_slot(changer, element, true);
    }
}

void
changer_print_inquiry(const struct changer *changer)
{
    const json_t *library = changer_library(changer);

    printf("Product Type: Medium Changer\n"
           "Vendor ID: '%-8s'\n"
           "Product ID: '%-16s'\n"
           "Revision: '%-4s'\n"
           "Attached Changer API: No\n",
           json_text(library, "vendor"), json_text(library, "product"),
           json_text(library, "revision"));
}

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column drive_columns[] = {
    { "NUMBER", "number", AS_TEXT, ON_BOTH },
    { "ADDRESS", "address", AS_TEXT, ON_BOTH },
    { "DRIVE", "drive", AS_TEXT, ON_BOTH },
    { "SERIAL", "drive_serial", AS_TEXT, ON_BOTH },
    { "LABEL", "barcode", AS_TEXT, ON_BOTH },
    { "VOLUME", "volume", AS_TEXT, ON_BOTH | SHRINKS },
    { "USES", "drive_uses", AS_TEXT, ON_BOTH },
    { "ERRORS", "drive_errors", AS_TEXT, ON_BOTH },
    { "SET ASIDE", "drive_set_aside", AS_FLAG, ON_BOTH },
};

void
changer_print_drives(const struct changer *changer)
{
    const json_t *elements = json_object_get(changer->status, "elements");
    json_t *drives = json_array(), *element;
    size_t i;

    json_array_foreach(
        (json_t *) elements, i,
        element) if (strcmp(json_text(element, "type"), "drive") == 0)
        json_array_append(drives, element);
    if (changer->json)
        print_json(drives);
    else
        table_print(changer->cli, "drive", drive_columns,
                    sizeof drive_columns / sizeof drive_columns[0], drives);
    json_decref(drives);
}

/* --- failures ------------------------------------------------------------------ */

static size_t
sense_bytes(const json_t *result, uint8_t *out_sense, size_t max)
{
    const char *hex = json_text(result, "sense");
    size_t len = 0;
    unsigned byte;

    while (len < max && sscanf(hex + 2 * len, "%2x", &byte) == 1 &&
           hex[2 * len + 1] != '\0') {
        out_sense[len++] = (uint8_t) byte;
        if (hex[2 * len] == '\0')
            break;
    }
    return len;
}

static bool
is_fixed(const uint8_t *sense)
{
    return (sense[0] & 0x7Fu) < 0x72;
}

struct triple {
    unsigned key, asc, ascq;
};

static struct triple
triple_of(const uint8_t *sense, size_t len)
{
    struct triple t = { 0 };

    if (len >= 4 && !is_fixed(sense))
        t = (struct triple){ sense[1] & 0xFu, sense[2], sense[3] };
    else if (len >= 3)
        t = (struct triple){ sense[2] & 0xFu, len > 12 ? sense[12] : 0,
                             len > 13 ? sense[13] : 0 };
    return t;
}

static const char *
yes(bool on)
{
    return on ? "yes" : "no";
}

static const char *
currency(unsigned code)
{
    return code == 0x70 || code == 0x72   ? "Current"
           : code == 0x71 || code == 0x73 ? "Deferred"
                                          : "Unknown?!";
}

#define LINE "mtx: Request Sense: "

/* Fields that only fixed format has are "no" in the other. */
static void
print_sense(const uint8_t *sense, size_t len)
{
    static const char *const keys[] = {
        "No Sense",       "Recovered Error",
        "Not Ready",      "Medium Error",
        "Hardware Error", "Illegal Request",
        "Unit Attention", "Data Protect",
        "Blank Check",    "0x09",
        "0x0a",           "Aborted Command",
        "0x0c",           "Volume Overflow",
        "Miscompare",     "0x0f",
    };
    const struct triple t = triple_of(sense, len);
    const uint8_t none[18] = { 0 };
    const uint8_t *f = is_fixed(sense) && len >= 18 ? sense : none;
    bool valid = (f[0] & 0x80u) != 0, sksv = (f[15] & 0x80u) != 0;

    fprintf(stderr, LINE "Long Report=yes\n" LINE "Valid Residual=%s\n",
            yes(valid));
    fprintf(stderr, LINE "Error Code=%02X (%s)\n" LINE "Sense Key=%s\n",
            sense[0] & 0x7Fu, currency(sense[0] & 0x7Fu), keys[t.key]);
    fprintf(stderr, LINE "FileMark=%s\n" LINE "EOM=%s\n" LINE "ILI=%s\n",
            yes(f[2] & 0x80u), yes(f[2] & 0x40u), yes(f[2] & 0x20u));
    if (valid)
        fprintf(stderr, LINE "Residual = %02X %02X %02X %02X\n", f[3], f[4],
                f[5], f[6]);
    fprintf(stderr,
            LINE "Additional Sense Code = %02X\n" LINE
                 "Additional Sense Qualifier = %02X\n",
            t.asc, t.ascq);
    if (f[14] != 0)
        fprintf(stderr, LINE "Field in Error = %02X\n", f[14]);
    fprintf(stderr, LINE "BPV=%s\n" LINE "Error in CDB=%s\n" LINE "SKSV=%s\n",
            yes(sksv && (f[15] & 0x08u)), yes(sksv && (f[15] & 0x40u)),
            yes(sksv));
    if (sksv)
        fprintf(stderr, LINE "Field Pointer = %02X %02X\n", f[16], f[17]);
}

/* Failures that programs tell apart by their text; slot is for people. */
static bool
print_known(const struct triple *t, const json_t *result)
{
    const char *status = json_text(result, "status_name");
    unsigned from = (unsigned) json_number(result, "source_address");
    unsigned to = (unsigned) json_number(result, "destination_address");

    bool empty = (t->asc == 0x3B && t->ascq == 0x0E) ||
                 strcmp(status, "STATUS_SOURCE_ELEMENT_EMPTY") == 0;
    bool full = (t->asc == 0x3B && t->ascq == 0x0D) ||
                strcmp(status, "STATUS_DESTINATION_ELEMENT_FULL") == 0;

    /* None of all the mail slots, say: that has no address.  0 may be one. */
    if ((empty && from == 0 && json_number(result, "source") == 0) ||
        (full && to == 0 && json_number(result, "destination") == 0))
        return false;
    if (empty)
        fprintf(stderr, "Source Element Address %u is Empty\n", from);
    else if (full)
        fprintf(stderr, "Destination Element Address %u is Already Full\n", to);
    else if (t->asc == 0x3A && t->ascq == 0)
        fprintf(stderr, "Drive needs offline before move\n");
    else if (t->asc == 0x30 && t->ascq == 3)
        fprintf(stderr, "Cleaning Cartridge Installed and Ejected\n");
    else
        return false;
    return true;
}

static const char *
motion_of(const char *command)
{
    return strcmp(command, "exchange") == 0 ? "EXCHANGE MEDIUM" : "MOVE MEDIUM";
}

/*
 * The sense block makes scripts repeat the whole command, so it is printed only
 * where that is safe and useful; otherwise one sentence says what happened.
 */
void
changer_print_failure(const struct changer *changer, const char *command,
                      const json_t *reply)
{
    const json_t *result = json_object_get(reply, "result");
    const char *text = json_text(json_object_get(reply, "error"), "text");
    uint64_t from = json_number(result, "source_address");
    uint64_t to = json_number(result, "destination_address");
    uint8_t sense[32];
    size_t len = sense_bytes(result, sense, sizeof sense);
    const struct triple t = triple_of(sense, len);

    if (changer->json) {
        print_json(reply);
    } else if (result == NULL || !print_known(&t, result)) {
        if (len >= 3 && json_flag(result, "repeatable"))
            print_sense(sense, len);
        if (*text != '\0')
            fprintf(stderr, "%s\n", text);
        if (strcmp(command, "status") == 0)
            fprintf(stderr, "READ ELEMENT STATUS Command Failed\n");
        else if (len >= 3 && from != 0 && to != 0)
            fprintf(stderr,
                    "%s from Element Address %" PRIu64 " to %" PRIu64
                    " Failed\n",
                    motion_of(command), from, to);
    } else if (*text != '\0') {
        fprintf(stderr, "note: %s\n", text);
    }
    changer_print_notes(result);
}
