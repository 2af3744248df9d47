/*
 * tape_mam.c - the memory of a cartridge: READ and WRITE ATTRIBUTE
 *
 * SPC-4 7.4.  Attributes lie beside the image, in .NAME.mam, in the form of a
 * READ ATTRIBUTE reply.  What the drive itself knows (capacity) is computed.
 * A cartridge that has no such file yet gets a serial number from its file's
 * identity, its bar code from the file's name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vscsi/tape.h"

#define READ_ONLY 0x80
enum { BINARY, ASCII, TEXT };

/* Each attribute that there can be, by number: its form, its length (0: any up
 * to the room), and whether a new cartridge has it. */
static const struct known {
    uint16_t id;
    uint8_t format;
    uint16_t len;
    bool born;
} known[] = {
    { 0x0000, READ_ONLY | BINARY, 8, true }, /* remaining capacity, MiB */
    { 0x0001, READ_ONLY | BINARY, 8, true }, /* maximum capacity, MiB */
    { 0x0002, READ_ONLY | BINARY, 8, true }, /* TapeAlert */
    { 0x0003, READ_ONLY | BINARY, 8, true }, /* load count */
    { 0x0004, READ_ONLY | BINARY, 8, true }, /* room for attributes */
    { 0x0005, READ_ONLY | ASCII, 8, true },  /* who assigned what follows */
    { 0x0006, READ_ONLY | BINARY, 1, true }, /* density */
    { 0x0220, READ_ONLY | BINARY, 8, true }, /* MiB written in its life */
    { 0x0221, READ_ONLY | BINARY, 8, true }, /* MiB read */
    { 0x0400, READ_ONLY | ASCII, 8, true },  /* manufacturer */
    { 0x0401, READ_ONLY | ASCII, 32, true }, /* serial number */
    { 0x0405, READ_ONLY | BINARY, 1, true }, /* density */
    { 0x0408, READ_ONLY | BINARY, 1, true }, /* medium type */
    { 0x0409, READ_ONLY | BINARY, 2, true }, /* cleanings left */
    { 0x0800, ASCII, 8, false },             /* application vendor */
    { 0x0801, ASCII, 32, false },            /* ... name */
    { 0x0802, ASCII, 8, false },             /* ... version */
    { 0x0803, TEXT, 160, false },            /* user's label */
    { 0x0804, ASCII, 12, false },            /* last written */
    { 0x0805, BINARY, 1, false },            /* localization */
    { 0x0806, ASCII, 32, true },             /* bar code */
    { 0x0807, TEXT, 80, false },             /* owning host */
    { 0x0808, TEXT, 160, false },            /* media pool */
    { 0x0809, ASCII, 16, false },            /* partition's label */
    { 0x080B, ASCII, 16, false },            /* format version */
    { 0x080C, BINARY, 0, false },            /* coherency */
};

#define KNOWN (sizeof known / sizeof known[0])

static const struct known *
known_find(uint16_t id)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (known[i].id == id)
            return &known[i];
    return NULL;
}

static struct attribute *
find(const struct mam *mam, uint16_t id)
{
    for (unsigned i = 0; i < mam->count; i++)
        if (mam->all[i].id == id)
            return (struct attribute *) (uintptr_t) &mam->all[i];
    return NULL;
}

/* In its place by number; there is room for each that is known. */
static struct attribute *
obtain(struct mam *mam, uint16_t id)
{
    struct attribute *attribute = find(mam, id);
    const struct known *row = known_find(id);
    unsigned i = mam->count;

    if (attribute != NULL || row == NULL || mam->count == ATTRIBUTES_MAX)
        return attribute;
    for (; i > 0 && mam->all[i - 1].id > id; i--)
        mam->all[i] = mam->all[i - 1];
    memset(&mam->all[i], 0, sizeof mam->all[i]);
    mam->all[i].id = id;
    mam->all[i].format = row->format;
    mam->all[i].len = row->len;
    mam->count++;
    return &mam->all[i];
}

uint64_t
mam_number(const struct mam *mam, uint16_t id)
{
    const struct attribute *attribute = find(mam, id);
    uint64_t value = 0;

    for (unsigned i = 0; attribute != NULL && i < attribute->len; i++)
        value = value << 8 | attribute->value[i];
    return value;
}

void
mam_set_number(struct mam *mam, uint16_t id, uint64_t value)
{
    struct attribute *attribute = obtain(mam, id);

    if (attribute == NULL || mam_number(mam, id) == value)
        return;
    for (unsigned i = attribute->len; i-- > 0; value >>= 8)
        attribute->value[i] = (uint8_t) value;
    mam->changed = true;
}

static void
set_text(struct mam *mam, uint16_t id, const char *text)
{
    struct attribute *attribute = obtain(mam, id);
    size_t len = strlen(text);

    memset(attribute->value, ' ', attribute->len);
    memcpy(attribute->value, text, len < attribute->len ? len : attribute->len);
}

const uint8_t *
mam_text(const struct mam *mam, uint16_t id)
{
    static const uint8_t blank[32] = "                               ";
    const struct attribute *attribute = find(mam, id);

    return attribute != NULL && attribute->len >= 32 ? attribute->value : blank;
}

bool
mam_is_cleaner(const struct mam *mam)
{
    return mam_number(mam, 0x0408) == 1;
}

/* --- the file beside the image -------------------------------------------- */

/* False: nothing that we wrote. */
static bool
take_list(struct mam *mam, const uint8_t *list, size_t len)
{
    while (len >= 5) {
        const struct known *row = known_find((uint16_t) get16(list));
        size_t bytes = get16(list + 3);
        struct attribute *attribute;

        if (row == NULL || bytes > sizeof attribute->value || bytes + 5 > len ||
            (row->len != 0 && bytes != row->len))
            return false;
        attribute = obtain(mam, row->id);
        if (attribute == NULL)
            return false;
        attribute->len = (uint16_t) bytes;
        memcpy(attribute->value, list + 5, bytes);
        list += 5 + bytes;
        len -= 5 + bytes;
    }
    return len == 0;
}

#define FILE_MAX (4 + ATTRIBUTES_MAX * (5 + 160))

static void
read_file(struct mam *mam)
{
    uint8_t data[FILE_MAX];
    int fd = open(mam->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t got;

    if (fd < 0)
        return;
    got = read(fd, data, sizeof data);
    (void) close(fd);
    if (got >= 4 && get32(data) == (uint32_t) got - 4)
        (void) take_list(mam, data + 4, (size_t) got - 4);
}

static size_t
put_list(const struct mam *mam, uint8_t *to, unsigned first, size_t max)
{
    size_t len = 4;

    for (unsigned i = 0; i < mam->count; i++) {
        const struct attribute *attribute = &mam->all[i];

        if (attribute->id < first || len + 5u + attribute->len > max)
            continue;
        put16(to + len, attribute->id);
        to[len + 2] = attribute->format;
        put16(to + len + 3, attribute->len);
        memcpy(to + len + 5, attribute->value, attribute->len);
        len += 5u + attribute->len;
    }
    put32(to, (uint32_t) len - 4);
    return len;
}

/* A new file, then its name: a crash leaves one or the other. */
bool
mam_save(struct mam *mam)
{
    uint8_t data[FILE_MAX];
    size_t len = put_list(mam, data, 0, sizeof data);
    char *other;
    bool kept;
    int fd;

    if (!mam->changed)
        return true;
    other = malloc(strlen(mam->path) + 5);
    if (other == NULL)
        return false;
    strcpy(other, mam->path);
    strcat(other, ".new");
    fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
              0644);
    kept = fd >= 0 && write(fd, data, len) == (ssize_t) len;
    if (fd >= 0)
        kept = close(fd) == 0 && kept;
    kept = kept && rename(other, mam->path) == 0;
    if (!kept && fd >= 0)
        (void) unlink(other);
    mam->changed = !kept;
    free(other);
    return kept;
}

/* --- a new memory --------------------------------------------------------- */

static void
be_born(struct mam *mam, const struct medium *medium, const char *name,
        unsigned cleaning_uses)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char text[33];

    hash = (hash ^ (uint64_t) medium->dev) * UINT64_C(0x100000001b3);
    hash = (hash ^ (uint64_t) medium->ino) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 32) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < KNOWN; i++)
        if (known[i].born)
            (void) obtain(mam, known[i].id);
    set_text(mam, 0x0005, "REINSERT");
    set_text(mam, 0x0400, "REINSERT");
    (void) snprintf(text, sizeof text, "R%016llX", (unsigned long long) hash);
    set_text(mam, 0x0401, text);
    cartridge_label(name, text);
    set_text(mam, 0x0806, text);
    mam_set_number(mam, 0x0006, TAPE_DENSITY);
    mam_set_number(mam, 0x0405, TAPE_DENSITY);
    if (strncmp(text, "CLN", 3) == 0) {
        mam_set_number(mam, 0x0408, 1);
        mam_set_number(mam, 0x0409, cleaning_uses != 0 ? cleaning_uses : 50);
    }
}

struct mam *
mam_new(const struct medium *medium, unsigned cleaning_uses)
{
    const char *slash = strrchr(medium->path, '/');
    const char *name = slash != NULL ? slash + 1 : medium->path;
    size_t room = strlen(medium->path) + sizeof ".."
                                                "mam";
    struct mam *mam = calloc(1, sizeof *mam + room);

    if (mam == NULL)
        return NULL;
    (void) snprintf(mam->path, room, "%.*s.%s.mam", (int) (name - medium->path),
                    medium->path, name);
    be_born(mam, medium, name, cleaning_uses);
    read_file(mam);
    mam->changed = false;
    return mam;
}

void
mam_free(struct mam *mam)
{
    free(mam);
}

/* --- READ ATTRIBUTE, WRITE ATTRIBUTE --------------------------------------- */

/* What changes by itself. */
static void
compute(struct task *task, struct mam *mam)
{
    const struct tape *tape = task->drive->tape;
    uint64_t used = task->drive->medium->simh->end;
    bool changed = mam->changed;

    mam_set_number(mam, 0x0000,
                   used < tape->capacity ? (tape->capacity - used) >> 20 : 0);
    mam_set_number(mam, 0x0001, tape->capacity >> 20);
    mam_set_number(mam, 0x0002, task->nexus->alerts);
    mam_set_number(mam, 0x0004, (KNOWN - mam->count) * 32u);
    mam->changed = changed;
}

static size_t
put_names(const uint16_t *ids, size_t count, uint8_t *to)
{
    for (size_t i = 0; i < count; i++)
        put16(to + 4 + 2 * i, ids[i]);
    put32(to, (uint32_t) (2 * count));
    return 4 + 2 * count;
}

uint32_t
tape_read_attribute(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned first = get16(cdb + 8);
    uint32_t alloc = get32(cdb + 10);
    uint16_t ids[ATTRIBUTES_MAX];
    uint8_t data[FILE_MAX];
    size_t count = 0;
    struct mam *mam;

    if (task->drive->medium == NULL)
        return SENSE_NO_MEDIUM;
    if (cdb[5] != 0 || cdb[7] != 0)
        return SENSE_CDB_FIELD; /* one volume, one partition */
    mam = task->drive->medium->mam;
    compute(task, mam);
    switch (cdb[1] & 0x1f) {
    case 0x00:
        if (first != 0 && find(mam, (uint16_t) first) == NULL)
            return SENSE_CDB_FIELD;
        return reply(task, data, put_list(mam, data, first, sizeof data),
                     alloc);
    case 0x01:
        for (unsigned i = 0; i < mam->count; i++)
            if (mam->all[i].id >= first)
                ids[count++] = mam->all[i].id;
        return reply(task, data, put_names(ids, count, data), alloc);
    case 0x02: /* logical volumes */
    case 0x03: /* partitions */
        memcpy(data, "\0\2\0\1", 4);
        return reply(task, data, 4, alloc);
    case 0x05:
        for (size_t i = 0; i < KNOWN; i++)
            if (known[i].id >= first)
                ids[count++] = known[i].id;
        return reply(task, data, put_names(ids, count, data), alloc);
    default:
        return SENSE_CDB_FIELD;
    }
}

/* Length 0 takes an attribute away. */
static uint32_t
check_attribute(const uint8_t *given, size_t left)
{
    const struct known *row;
    size_t len;

    if (left < 5)
        return SENSE_LIST_LENGTH;
    row = known_find((uint16_t) get16(given));
    len = get16(given + 3);
    if (len + 5 > left)
        return SENSE_LIST_LENGTH;
    if (row == NULL || row->format & READ_ONLY ||
        (given[2] & 0x03) != row->format ||
        len > sizeof((struct attribute *) 0)->value ||
        (row->len != 0 && len != 0 && len > row->len))
        return SENSE_LIST_FIELD;
    return 0;
}

static void
take_away(struct mam *mam, uint16_t id)
{
    struct attribute *attribute = find(mam, id);

    if (attribute == NULL)
        return;
    mam->count--;
    memmove(attribute, attribute + 1,
            (size_t) (mam->all + mam->count - attribute) * sizeof *attribute);
}

static void
set_attribute(struct mam *mam, const uint8_t *given)
{
    const struct known *row = known_find((uint16_t) get16(given));
    size_t len = get16(given + 3);
    struct attribute *attribute;

    mam->changed = true;
    if (len == 0) {
        take_away(mam, row->id);
        return;
    }
    attribute = obtain(mam, row->id);
    if (attribute == NULL)
        return;
    attribute->len = row->len != 0 ? row->len : (uint16_t) len;
    memset(attribute->value, row->format == BINARY ? 0 : ' ',
           sizeof attribute->value);
    memcpy(attribute->value, given + 5, len);
}

/* All of the list, or nothing. */
uint32_t
tape_write_attribute(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t len = get32(cdb + 10), sense = 0;
    struct mam *mam;
    size_t at;

    if (task->drive->medium == NULL)
        return SENSE_NO_MEDIUM;
    if (cdb[5] != 0 || cdb[7] != 0)
        return SENSE_CDB_FIELD;
    if (len == 0)
        return 0;
    if (drive_write_protected(task->drive))
        return SENSE_WRITE_PROTECTED;
    if (len < 4 || len > task->data_len || get32(task->data) != len - 4)
        return SENSE_LIST_LENGTH;
    task->command->transferred = len;
    for (at = 4; at < len && sense == 0; at += 5 + get16(task->data + at + 3))
        sense = check_attribute(task->data + at, len - at);
    if (sense != 0)
        return sense;
    mam = task->drive->medium->mam;
    for (at = 4; at < len; at += 5 + get16(task->data + at + 3))
        set_attribute(mam, task->data + at);
    if (mam_save(mam))
        return 0;
    tape_alert(task->drive, 15);
    return SENSE_WRITE_ERROR;
}
