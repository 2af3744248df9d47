/*
 * encode.c - the records of reinsert.h as JSON objects
 *
 * One table per record: the names here are the names in docs/api.md.  Pure,
 * any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    TEXT,
    TEXT_PTR,
    U32,
    U64,
    BOOLEAN,
    DRIVE_TYPE,
    DUMP,
    ANSWERS,
    ELEMENT_TYPE,
    HOME,
};

struct column {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
#define D(field, kind) { #field, kind, offsetof(struct ri_drive_info, field) }
static const struct column drive_columns[] = {
    D(name, TEXT),         D(type, DRIVE_TYPE), D(state, TEXT),
    D(address, TEXT),      D(node, TEXT),
    D(vendor, TEXT),       D(product, TEXT),    D(serial, TEXT),
    D(medium, TEXT),       D(volume, TEXT),     D(tape, TEXT),
    D(sense, TEXT),
    D(size_bytes, U64),    D(block_bytes, U32), D(change_count, U32),
    D(age_ms, U64),        D(write_protected, BOOLEAN),
    D(locked, BOOLEAN),    D(real, BOOLEAN),    D(changes, TEXT),
    D(changes_why, TEXT),
};

#define V(field, kind) { #field, kind, offsetof(struct ri_volume_info, field) }
static const struct column volume_columns[] = {
    V(name, TEXT),  V(label, TEXT),  V(uuid, TEXT),      V(type, TEXT),
    V(state, TEXT), V(drive, TEXT),  V(size_bytes, U64), V(block_bytes, U32),
    V(age_ms, U64), V(waiting, U32), V(clients, U32),    V(read_only, BOOLEAN),
    V(unflushed_bytes, U64), V(replays, U32), V(recovery, TEXT),
};

#define P(field, kind) { #field, kind, offsetof(struct ri_prompt_info, field) }
static const struct column prompt_columns[] = {
    P(id, U64),      P(volume, TEXT), P(drive, TEXT),
    P(reason, TEXT), P(status, U32),  P(title, TEXT),
    P(text, TEXT),   P(age_ms, U64),  P(waiting, U32),
    P(answers, ANSWERS),
};

#define X(field, kind) { #field, kind, offsetof(struct ri_export_info, field) }
static const struct column export_columns[] = {
    X(name, TEXT),          X(description, TEXT), X(size_bytes, U64),
    X(block_bytes, U32),    X(max_bytes, U32),    X(read_only, BOOLEAN),
    X(can_fua, BOOLEAN),    X(can_trim, BOOLEAN), X(can_zero, BOOLEAN),
    X(rotational, BOOLEAN),
};

#define E(field, kind) { #field, kind, offsetof(struct ri_event, field) }
static const struct column event_columns[] = {
    E(seq, U64),         E(time_ms, U64), E(kind, TEXT_PTR), E(drive, TEXT_PTR),
    E(volume, TEXT_PTR), E(prompt, U64),  E(text, TEXT_PTR),
    E(library, TEXT_PTR), E(action, TEXT_PTR),
};

#define L(field, kind) { #field, kind, offsetof(struct ri_log_entry, field) }
static const struct column log_columns[] = {
    L(seq, U64),         L(time_ms, U64),      L(driver, TEXT),
    L(device, TEXT),     L(drive, TEXT),       L(code, TEXT),
    L(status, TEXT),     L(retries, U32),      L(offset_bytes, U64),
    L(unique_id, U32),   L(control_code, U32), L(text, TEXT),
    { "dump", DUMP, offsetof(struct ri_log_entry, dump_len) },
};

#define R(field, kind) { #field, kind, offsetof(struct ri_recovery_info, field) }
static const struct column recovery_columns[] = {
    R(volume, TEXT), R(drive, TEXT), R(file, TEXT),
    R(reason, TEXT), R(bytes, U64),  R(time_ms, U64),
};

#define Y(field, kind) { #field, kind, offsetof(struct ri_library_info, field) }
static const struct column library_columns[] = {
    Y(name, TEXT),        Y(vendor, TEXT),      Y(product, TEXT),
    Y(revision, TEXT),    Y(serial, TEXT),      Y(state, TEXT),
    Y(reason, TEXT),      Y(sense, TEXT),       Y(slots, U32),
    Y(mail_slots, U32),   Y(drives, U32),       Y(transports, U32),
    Y(full_slots, U32),   Y(full_drives, U32),  Y(full_mail_slots, U32),
    Y(features0, U32),    Y(features1, U32),    Y(age_ms, U64),
    Y(motions, U64),      Y(failures, U64),     Y(stray, U64),
    Y(bar_codes, BOOLEAN), Y(exchange, BOOLEAN),
    Y(mail_open_close, BOOLEAN), Y(lockable, BOOLEAN),
    Y(locked, BOOLEAN),   Y(adopt, BOOLEAN),
};

#define M(field, kind) { #field, kind, offsetof(struct ri_element_info, field) }
static const struct column element_columns[] = {
    M(type, ELEMENT_TYPE), M(number, U32),      M(address, U32),
    M(full, BOOLEAN),     M(unknown, BOOLEAN),  M(access, BOOLEAN),
    M(except, BOOLEAN),   M(except_code, U32),  M(except_text, TEXT),
    M(imported, BOOLEAN), M(import_enabled, BOOLEAN),
    M(export_enabled, BOOLEAN), M(inverted, BOOLEAN),
    M(tag_present, BOOLEAN), M(tag_valid, BOOLEAN),
    M(alternate_present, BOOLEAN), M(tag, TEXT), M(alternate, TEXT),
    M(barcode, TEXT),     M(duplicate, BOOLEAN), M(cleaning, BOOLEAN),
    { "home_from", HOME, offsetof(struct ri_element_info, home_from) },
    M(home, U32),         M(home_of, TEXT),     M(drive, TEXT),
    M(drive_serial, TEXT), M(drive_set_aside, BOOLEAN),
    M(volume, TEXT),      M(identity, TEXT),    M(label, TEXT),
    M(uses, U32),         M(errors, U32),       M(drive_uses, U32),
    M(drive_errors, U32), M(cleanings, U32),    M(expired, BOOLEAN),
    M(marked, BOOLEAN),   M(in_drive_ms, U64),
};

#define T(field, kind) { #field, kind, offsetof(struct ri_tape_info, field) }
static const struct column tape_columns[] = {
    T(drive, TEXT),       T(state, TEXT),       T(tape, TEXT),
    T(serial, TEXT),      T(barcode, TEXT),     T(format, TEXT),
    T(label, TEXT),       T(sense, TEXT),       T(age_ms, U64),
    T(capacity_bytes, U64), T(remaining_bytes, U64),
    T(unflushed_bytes, U64), T(unflushed_blocks, U32),
    T(file, U64),         T(block, U64),
    T(write_protected, BOOLEAN), T(cleaning_wanted, BOOLEAN),
    T(open, BOOLEAN),     T(waiting, BOOLEAN),  T(real, BOOLEAN),
};

#define Z(field, kind) { #field, kind, offsetof(struct ri_library_result, field) }
static const struct column result_columns[] = {
    Z(status, U32),       Z(status_name, TEXT), Z(source_address, U32),
    Z(destination_address, U32), Z(source, U32), Z(destination, U32),
    Z(maybe_moved, BOOLEAN), Z(repeatable, BOOLEAN), Z(barcode, TEXT),
    Z(text, TEXT),        Z(duration_ms, U64),
};
/* clang-format on */

static const char *const element_words[] = {
    [RI_DRIVE] = "drive",
    [RI_SLOT] = "slot",
    [RI_MAIL_SLOT] = "mail-slot",
    [RI_TRANSPORT] = "transport",
};

static const char *const home_words[] = {
    [RI_HOME_UNKNOWN] = "unknown",
    [RI_HOME_LIBRARY] = "library",
    [RI_HOME_LEDGER] = "ledger",
    [RI_HOME_ADOPTED] = "adopted",
};

static const char *const type_words[] = {
    [RI_DISK] = "disk",
    [RI_FLOPPY] = "floppy",
    [RI_CDROM] = "cdrom",
    [RI_TAPE] = "tape",
};

json_t *
api_string(const char *text)
{
    json_t *value = json_string(text);
    char *copy;

    if (value != NULL)
        return value;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *p = copy; *p != '\0'; p++)
        if ((unsigned char) *p >= 0x80)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

/* A length, and the bytes right behind it, as hexadecimal digits. */
static json_t *
encode_dump(const void *at)
{
    const uint32_t *len = at;
    const uint8_t *bytes = (const uint8_t *) (len + 1);
    char hex[2 * RI_DUMP_MAX + 1];

    for (uint32_t i = 0; i < *len; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    hex[2 * *len] = '\0';
    return json_string(hex);
}

/* "retry|cancel" as a list. */
static json_t *
encode_words(const char *words)
{
    json_t *list = json_array();

    while (*words != '\0') {
        size_t len = strcspn(words, "|");

        json_array_append_new(list, json_stringn(words, len));
        words += len + (words[len] == '|');
    }
    return list;
}

static json_t *
encode_value(enum kind kind, const void *at)
{
    unsigned type;

    switch (kind) {
    case TEXT:
        return api_string(at);
    case TEXT_PTR:
        return api_string(
            *(const char *const *) at != NULL ? *(const char *const *) at : "");
    case U32:
        return json_integer(*(const uint32_t *) at);
    case U64:
        return json_integer((json_int_t) (*(const uint64_t *) at));
    case BOOLEAN:
        return json_boolean(*(const bool *) at);
    case DRIVE_TYPE:
        type = *(const enum ri_drive_type *) at;
        return json_string(type < COUNT(type_words) ? type_words[type]
                                                    : "unknown");
    case DUMP:
        return encode_dump(at);
    case ANSWERS:
        return encode_words(at);
    case ELEMENT_TYPE:
        return json_string(element_words[*(const enum ri_element_type *) at]);
    case HOME:
        return json_string(home_words[*(const enum ri_home *) at]);
    }
    return NULL;
}

/* "", 0 or no. */
static bool
is_nothing(enum kind kind, const void *at)
{
    switch (kind) {
    case TEXT:
        return *(const char *) at == '\0';
    case U32:
        return *(const uint32_t *) at == 0;
    case U64:
        return *(const uint64_t *) at == 0;
    case BOOLEAN:
        return !*(const bool *) at;
    default:
        return false;
    }
}

/* The names are ours: nothing of them needs checking. */
static json_t *
encode_some(const struct column *columns, size_t count, const void *record,
            bool all)
{
    json_t *object = json_object();

    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *) record + columns[i].offset;

        if (all || !is_nothing(columns[i].kind, at))
            json_object_set_new_nocheck(object, columns[i].name,
                                        encode_value(columns[i].kind, at));
    }
    return object;
}

static json_t *
encode(const struct column *columns, size_t count, const void *record)
{
    return encode_some(columns, count, record, true);
}

static bool
is_in(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (; *list != '\0'; list += strcspn(list, ","), list += *list == ',')
        if (strncmp(list, name, len) == 0 &&
            (list[len] == ',' || list[len] == '\0'))
            return true;
    return false;
}

json_t *
api_encode_drive(const struct ri_drive_info *drive)
{
    return encode(drive_columns, COUNT(drive_columns), drive);
}

json_t *
api_encode_volume(const struct ri_volume_info *volume)
{
    return encode(volume_columns, COUNT(volume_columns), volume);
}

json_t *
api_encode_prompt(const struct ri_prompt_info *prompt)
{
    return encode(prompt_columns, COUNT(prompt_columns), prompt);
}

json_t *
api_encode_recovery(const struct ri_recovery_info *recovery)
{
    return encode(recovery_columns, COUNT(recovery_columns), recovery);
}

json_t *
api_encode_export(const struct ri_export_info *export_)
{
    return encode(export_columns, COUNT(export_columns), export_);
}

json_t *
api_encode_log_entry(const struct ri_log_entry *entry)
{
    return encode(log_columns, COUNT(log_columns), entry);
}

json_t *
api_encode_event(const struct ri_event *event)
{
    return encode(event_columns, COUNT(event_columns), event);
}

static json_t *
encode_hex(const uint8_t *bytes, size_t len)
{
    char hex[2 * 64 + 1] = "";

    for (size_t i = 0; i < len && i < 64; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return json_string(hex);
}

json_t *
api_encode_library(const struct ri_library_info *library)
{
    json_t *object = encode(library_columns, COUNT(library_columns), library);

    json_object_set_new(object, "sense_bytes",
                        encode_hex(library->sense_bytes, library->sense_len));
    return object;
}

json_t *
api_encode_elements(const struct ri_element_info *rows, size_t count,
                    const char *wanted)
{
    struct column columns[COUNT(element_columns)];
    json_t *list = json_array();
    size_t some = 0;

    for (size_t i = 0; i < COUNT(element_columns); i++)
        if (wanted == NULL || is_in(wanted, element_columns[i].name))
            columns[some++] = element_columns[i];
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, encode_some(columns, some, &rows[i], wanted == NULL));
    return list;
}

json_t *
api_encode_tape(const struct ri_tape_info *tape)
{
    return encode(tape_columns, COUNT(tape_columns), tape);
}

json_t *
api_encode_result(const struct ri_library_result *result)
{
    json_t *object = encode(result_columns, COUNT(result_columns), result);
    json_t *notes = json_array();

    for (uint32_t i = 0; i < result->note_count; i++)
        json_array_append_new(notes, api_string(result->notes[i]));
    json_object_set_new(object, "notes", notes);
    json_object_set_new(object, "sense",
                        encode_hex(result->sense, result->sense_len));
    json_object_set_new(object, "drive",
                        result->drive == RI_NO_DRIVE
                            ? json_null()
                            : json_integer(result->drive));
    return object;
}
