/*
 * t_doubt.c - tests for src/probe: drives that are busy, reserved, silent, odd,
 * or wrong, and examinations that end early.  What a drive did not say is not
 * held against it.
 *
 * Expectations: SAM-5 (status codes), SPC-4 (INQUIRY, VPD pages, MODE SENSE),
 * SBC-3 (READ CAPACITY, READ).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vscsi.h>

#include "probe/examine.h"

#define BLOCKS    2048u
#define PAGE_ROOM 64

/* A removable disk of SPC-4 that keeps the standards, but for `odd`. */
struct disk {
    /* True: it has answered in its own way. */
    bool (*odd)(struct disk *disk, struct cdb *cdb);
    uint8_t type, version;
    uint32_t block_bytes; /* 0: 512 */
    bool wp;
    unsigned sent[256], total;
    unsigned prevents; /* in force */
};

static void
give(struct cdb *cdb, const void *data, uint32_t len)
{
    cdb->answered = true;
    cdb->status = 0;
    cdb->transferred = len < cdb->data_len ? len : cdb->data_len;
    if (cdb->transferred > 0)
        memcpy(cdb->data, data, cdb->transferred);
}

static bool
check(struct cdb *cdb, uint8_t key, uint8_t asc, uint8_t ascq)
{
    cdb->answered = true;
    cdb->status = 2;
    cdb->transferred = 0;
    memset(cdb->sense, 0, 18);
    cdb->sense[0] = 0x70;
    cdb->sense[2] = key;
    cdb->sense[7] = 10;
    cdb->sense[12] = asc;
    cdb->sense[13] = ascq;
    cdb->sense_len = 18;
    return true;
}

static void
inquiry(const struct disk *disk, struct cdb *cdb)
{
    uint8_t data[36] = { disk->type, 0x80, 6, 2, 31 };
    static const uint8_t list[] = { 0, 0x00, 0, 3, 0x00, 0x80, 0x83 };
    static const uint8_t serial[] = { 0, 0x80, 0, 4, 'S', '0', '0', '1' };
    static const uint8_t id[] = { 0,   0x83, 0,   12,  2,   1,   0,   8,
                                  'A', 'C',  'M', 'E', 'd', 'i', 's', 'k' };

    memcpy(data + 8, "ACME    SCRIPTED DISK   0001", 28);
    if (!(cdb->cdb[1] & 1))
        give(cdb, data, sizeof data);
    else if (cdb->cdb[2] == 0x00)
        give(cdb, list, sizeof list);
    else if (cdb->cdb[2] == 0x80)
        give(cdb, serial, sizeof serial);
    else if (cdb->cdb[2] == 0x83)
        give(cdb, id, sizeof id);
    else
        check(cdb, 5, 0x24, 0);
}

static void
capacity(const struct disk *disk, struct cdb *cdb)
{
    uint32_t bytes = disk->block_bytes != 0 ? disk->block_bytes : 512;
    uint8_t ten[8] = { 0, 0, (BLOCKS - 1) >> 8,      (BLOCKS - 1) & 0xFF,
                       0, 0, (uint8_t) (bytes >> 8), (uint8_t) bytes };
    uint8_t sixteen[32] = { 0 };

    memcpy(sixteen + 4, ten, 8);
    if (cdb->cdb[0] == 0x25)
        give(cdb, ten, sizeof ten);
    else
        give(cdb, sixteen, sizeof sixteen);
}

static void
mode(const struct disk *disk, struct cdb *cdb)
{
    uint8_t ten[] = { 0,    38, 0, disk->wp ? 0x80 : 0,
                      0,    0,  0, 0,
                      0x08, 18, 0, 0,
                      0,    0,  0, 0,
                      0,    0,  0, 0,
                      0,    0,  0, 0,
                      0,    0,  0, 0,
                      0x0A, 10, 0, 0,
                      0,    0,  0, 0,
                      0,    0,  0, 0 };
    uint8_t six[] = { 3, 0, disk->wp ? 0x80 : 0, 0 };

    if (cdb->cdb[0] == 0x5A)
        give(cdb, ten, sizeof ten);
    else
        give(cdb, six, sizeof six);
}

static void
read_blocks(const struct disk *disk, struct cdb *cdb)
{
    uint32_t lba = (uint32_t) cdb->cdb[2] << 24 | (uint32_t) cdb->cdb[3] << 16 |
                   (uint32_t) cdb->cdb[4] << 8 | cdb->cdb[5];
    uint32_t n = (uint32_t) cdb->cdb[7] << 8 | cdb->cdb[8];
    uint32_t bytes = disk->block_bytes != 0 ? disk->block_bytes : 512;

    if (lba + n > BLOCKS) {
        check(cdb, 5, 0x21, 0);
        return;
    }
    cdb->answered = true;
    cdb->transferred = n * bytes < cdb->data_len ? n * bytes : cdb->data_len;
    memset(cdb->data, 0, cdb->transferred);
}

static void
answer(struct disk *disk, struct cdb *cdb)
{
    disk->sent[cdb->cdb[0]]++;
    disk->total++;
    if (disk->odd != NULL && disk->odd(disk, cdb))
        return;
    switch (cdb->cdb[0]) {
    case 0x00:
        give(cdb, NULL, 0);
        break;
    case 0x12:
        inquiry(disk, cdb);
        break;
    case 0x1A:
    case 0x5A:
        mode(disk, cdb);
        break;
    case 0x1E:
        disk->prevents = cdb->cdb[4] & 1;
        give(cdb, NULL, 0);
        break;
    case 0x25:
    case 0x9E:
        capacity(disk, cdb);
        break;
    case 0x28:
        read_blocks(disk, cdb);
        break;
    default:
        check(cdb, 5, 0x20, 0);
        break;
    }
}

static void
send_all(void *self, struct cdb *cdbs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        answer(self, &cdbs[i]);
}

static void
leave(void *self)
{
    (void) self;
}

/* --- an examination ------------------------------------------------------------------ */

struct person {
    struct disk *disk;
    unsigned asked;
    unsigned stop_at; /* the question at which it is interrupted; 0: never */
    enum said says;
    const char *held_by, *polled;
    bool guided;
    char last[128];
};

static void
ask(void *context, const char *what)
{
    struct person *person = context;

    person->asked++;
    snprintf(person->last, sizeof person->last, "%s", what);
}

static enum said
says(void *context)
{
    return ((struct person *) context)->says;
}

static bool
stopped(void *context)
{
    struct person *person = context;

    return person->stop_at != 0 && person->asked >= person->stop_at;
}

static json_t *
examine_by(struct disk *disk, struct person *person)
{
    static const struct link_ops ops = { send_all, leave };
    struct examine_host host = { .context = person,
                                 .ask = ask,
                                 .says = says,
                                 .stopped = stopped,
                                 .held_by = person->held_by,
                                 .polled = person->polled };
    struct link link = { &ops, disk, "scripted", true, false };
    json_t *report = examine("scripted", &link, &host, person->guided);

    assert_non_null(report);
    return report;
}

static json_t *
examine_it(struct disk *disk)
{
    struct person person = { .disk = disk };

    return examine_by(disk, &person);
}

static const json_t *
find(const json_t *report, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(report, "findings"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return row;
    }
    return NULL;
}

static const char *
field(const json_t *report, const char *name, const char *what)
{
    const json_t *row = find(report, name);

    return row != NULL ? json_string_value(json_object_get(row, what)) : "none";
}

static const char *
verdict(const json_t *report, const char *name)
{
    return field(report, name, "verdict");
}

static unsigned
count_of(const json_t *report, const char *word)
{
    unsigned n = 0;
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(report, "findings"), i, row)
    {
        n += strcmp(json_string_value(json_object_get(row, "verdict")), word) ==
             0;
    }
    return n;
}

static void
assert_has(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("\"%s\" has no \"%s\"", text != NULL ? text : "", part);
}

/* --- drives that keep the standards ---------------------------------------------------- */

static void
honest_disk__nothing_wrong_or_unknown(void **state)
{
    struct disk disk = { .type = 0 };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_int_equal(count_of(report, "wrong"), 0);
    assert_int_equal(count_of(report, "unknown"), 0);
    assert_string_equal(json_string_value(json_object_get(report, "ended")),
                        "");
    assert_has(field(report, "queueing", "text"), " us");
    /* Less than a microsecond is not nothing. */
    assert_true(json_real_value(json_object_get(
                    json_object_get(report, "speed"), "read_us")) > 0);
    assert_null(strstr(field(report, "queueing", "text"), "takes 0 us"));
    assert_string_equal(verdict(report, "write-protect"), "none");
    json_decref(report);
}

static void
write_protected__is_said_before_anything_is_written(void **state)
{
    struct disk disk = { .wp = true };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "write-protect"), "note");
    assert_true(json_is_true(json_object_get(
        json_object_get(report, "identity"), "write_protected")));
    json_decref(report);
}

static bool
tape(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] == 0x25 && check(cdb, 5, 0x20, 0);
}

/* READ CAPACITY, GESN and caches are in no standard of tapes. */
static void
tape__is_not_measured_as_a_disk(void **state)
{
    struct disk disk = { .odd = tape, .type = 1 };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "capacity"), "none");
    assert_string_equal(verdict(report, "gesn"), "none");
    assert_int_equal(count_of(report, "wrong"), 0);
    assert_int_equal(disk.sent[0x28] + disk.sent[0x25] + disk.sent[0x4A], 0);
    assert_has(json_string_value(json_object_get(report, "believe")), "tape");
    json_decref(report);
}

static void
blocks_of_520_bytes__are_not_served__and_it_says_so(void **state)
{
    struct disk disk = { .block_bytes = 520 };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "capacity"), "good");
    assert_string_equal(verdict(report, "block-size"), "note");
    assert_has(json_string_value(json_object_get(report, "believe")),
               "not served");
    json_decref(report);
}

/* --- what says nothing of a drive --------------------------------------------------------- */

static bool
reserved(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    if (cdb->cdb[0] == 0x12)
        return false;
    cdb->answered = true;
    cdb->status = 0x18;
    return true;
}

static bool
busy(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    if (cdb->cdb[0] == 0x12)
        return false;
    cdb->answered = true;
    cdb->status = 0x08;
    return true;
}

static bool
becoming_ready(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] != 0x12 && check(cdb, 2, 0x04, 0x01);
}

static void
reserved_busy_not_ready__unknown__not_called_wrong_or_absent(void **state)
{
    static const struct {
        bool (*odd)(struct disk *, struct cdb *);
        const char *medium, *why;
    } all[] = { { reserved, "reserved", "another initiator has reserved it" },
                { busy, "busy", "busy" },
                { becoming_ready, "not ready", "not ready" } };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        struct disk disk = { .odd = all[i].odd };
        json_t *report = examine_it(&disk);

        assert_int_equal(count_of(report, "wrong"), 0);
        assert_int_equal(count_of(report, "absent"), 0);
        assert_string_equal(verdict(report, "mode-sense-10"), "unknown");
        assert_string_equal(verdict(report, "gesn"), "unknown");
        assert_string_equal(verdict(report, "lock"), "unknown");
        assert_string_equal(verdict(report, "medium"), "unknown");
        assert_has(field(report, "medium", "text"), all[i].why);
        assert_string_equal(json_string_value(json_object_get(
                                json_object_get(report, "identity"), "medium")),
                            all[i].medium);
        json_decref(report);
    }
}

/* SPC-4, 5/24/00: the command is known, this use of it is not. */
static bool
refuses_fields(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return (cdb->cdb[0] == 0x4A || cdb->cdb[0] == 0x1A) &&
           check(cdb, 5, 0x24, 0);
}

static bool
taken_from_its_target(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] != 0x12 && cdb->cdb[0] != 0x00 && check(cdb, 5, 0x25, 0);
}

static void
illegal_request__says_of_a_command_what_its_sense_says(void **state)
{
    struct disk disk = { .odd = refuses_fields };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "gesn"), "absent");
    assert_string_equal(field(report, "gesn", "text"),
                        "refuses GET EVENT STATUS NOTIFICATION");
    assert_string_equal(field(report, "mode-sense-6", "text"),
                        "refuses MODE SENSE(6)");
    json_decref(report);
    disk = (struct disk){ .odd = taken_from_its_target };
    report = examine_it(&disk);
    assert_int_equal(count_of(report, "wrong"), 0);
    assert_int_equal(count_of(report, "absent"), 0);
    assert_has(field(report, "mode-sense-10", "text"), "no such unit any more");
    json_decref(report);
}

/* SAM-5: a unit attention is reported instead of what was asked for. */
static bool
interrupts(struct disk *disk, struct cdb *cdb)
{
    return cdb->cdb[0] != 0x12 && disk->sent[cdb->cdb[0]] == 1 &&
           check(cdb, 6, 0x2A, 0x01);
}

static void
unit_attention_in_between__asked_again(void **state)
{
    struct disk disk = { .odd = interrupts };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "mode-sense-6"), "good");
    assert_string_equal(verdict(report, "mode-sense-10"), "good");
    assert_string_equal(verdict(report, "lock"), "good");
    assert_int_equal(disk.prevents, 0);
    json_decref(report);
}

static bool
silent_at_mode_pages(struct disk *disk, struct cdb *cdb)
{
    (void) cdb;
    return disk->sent[0x1A] > 0;
}

static void
drive_that_falls_silent__is_left_alone__and_nothing_is_made_of_it(void **state)
{
    struct disk disk = { .odd = silent_at_mode_pages };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_int_equal(disk.sent[0x1A] + disk.sent[0x5A], 2);
    assert_int_equal(disk.sent[0x1E] + disk.sent[0x4A], 0);
    assert_has(json_string_value(json_object_get(report, "ended")),
               "stopped answering");
    assert_int_equal(count_of(report, "wrong") + count_of(report, "absent"), 0);
    json_decref(report);
}

static bool
deaf(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    (void) cdb;
    return true;
}

static void
drive_that_never_answers__a_few_commands__and_no_options(void **state)
{
    struct disk disk = { .odd = deaf };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_int_equal(disk.total, 2); /* each takes ten seconds */
    assert_has(json_string_value(json_object_get(report, "believe")),
               "does not say what it is");
    assert_int_equal(count_of(report, "wrong") + count_of(report, "absent"), 0);
    assert_int_equal(json_array_size(json_object_get(report, "options")), 0);
    json_decref(report);
}

/* --- what is wrong ------------------------------------------------------------------------- */

static bool
ignores_evpd(struct disk *disk, struct cdb *cdb)
{
    if (cdb->cdb[0] == 0x12)
        cdb->cdb[1] = 0;
    (void) disk;
    return false;
}

/* Its second byte, 80h for RMB, is a serial number page's, too. */
static void
standard_data_for_a_page__is_no_page__and_no_serial_number(void **state)
{
    struct disk disk = { .odd = ignores_evpd };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "vpd-00"), "wrong");
    assert_string_equal(verdict(report, "vpd-83"), "wrong");
    assert_has(field(report, "vpd-00", "clause"), "EVPD");
    assert_string_equal(verdict(report, "serial"), "absent");
    json_decref(report);
}

static bool
old_without_pages(struct disk *disk, struct cdb *cdb)
{
    if (cdb->cdb[0] != 0x12)
        return false;
    if (cdb->cdb[1] & 1)
        return check(cdb, 5, 0x24, 0);
    inquiry(disk, cdb);
    ((uint8_t *) cdb->data)[2] = 2; /* SCSI-2, in which they are optional */
    return true;
}

static bool
new_without_pages(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] == 0x12 && (cdb->cdb[1] & 1) && check(cdb, 5, 0x24, 0);
}

static void
no_vpd_pages__wrong_for_who_claims_a_standard_that_demands_them(void **state)
{
    struct disk old = { .odd = old_without_pages };
    struct disk new = { .odd = new_without_pages };
    json_t *report = examine_it(&old);

    (void) state;
    assert_string_equal(verdict(report, "vpd-00"), "absent");
    assert_string_equal(verdict(report, "vpd-83"), "absent");
    assert_has(field(report, "inquiry", "text"), "SCSI-2");
    json_decref(report);
    report = examine_it(&new);
    assert_string_equal(verdict(report, "vpd-00"), "wrong");
    assert_string_equal(verdict(report, "vpd-83"), "wrong");
    json_decref(report);
}

static bool
short_of_itself(struct disk *disk, struct cdb *cdb)
{
    if (cdb->cdb[0] != 0x12 || (cdb->cdb[1] & 1))
        return false;
    inquiry(disk, cdb);
    if (cdb->transferred > 20)
        cdb->transferred = 20;
    return true;
}

static void
inquiry_data_of_20_bytes__wrong(void **state)
{
    struct disk disk = { .odd = short_of_itself };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "inquiry"), "wrong");
    assert_has(field(report, "inquiry", "clause"), "36 bytes");
    json_decref(report);
}

/* As SCSI-1 has it: RESPONSE DATA FORMAT 1, and an empty page 83h. */
static bool
old_and_empty(struct disk *disk, struct cdb *cdb)
{
    static const uint8_t id[PAGE_ROOM] = { 0, 0x83, 0, 0 };

    if (cdb->cdb[0] != 0x12 || (cdb->cdb[1] & 1 && cdb->cdb[2] != 0x83))
        return false;
    if (cdb->cdb[1] & 1) {
        give(cdb, id, sizeof id);
        return true;
    }
    inquiry(disk, cdb);
    ((uint8_t *) cdb->data)[2] = disk->version;
    ((uint8_t *) cdb->data)[3] = 1;
    return true;
}

static void
format_of_inquiry_data__wrong_for_who_claims_a_standard(void **state)
{
    struct disk disk = { .odd = old_and_empty, .version = 1 };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "inquiry"), "note");
    assert_has(field(report, "inquiry", "text"), "claims SCSI-1");
    /* What it sends behind the page's length is no name of it. */
    assert_string_equal(verdict(report, "vpd-83"), "wrong");
    json_decref(report);
    disk = (struct disk){ .odd = old_and_empty, .version = 2 };
    report = examine_it(&disk);
    assert_string_equal(verdict(report, "inquiry"), "wrong");
    assert_has(field(report, "inquiry", "clause"), "RESPONSE DATA FORMAT");
    json_decref(report);
}

static bool
short_reads(struct disk *disk, struct cdb *cdb)
{
    if (cdb->cdb[0] != 0x28)
        return false;
    read_blocks(disk, cdb);
    if (link_good(cdb))
        cdb->transferred /= 2;
    return true;
}

static bool
two_capacities(struct disk *disk, struct cdb *cdb)
{
    uint8_t other[32] = { [6] = 1, [10] = 2 };

    (void) disk;
    if (cdb->cdb[0] != 0x9E)
        return false;
    give(cdb, other, sizeof other);
    return true;
}

static bool
more_than_it_can_say(struct disk *disk, struct cdb *cdb)
{
    static const uint8_t ten[8] = { 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 2, 0 };

    (void) disk;
    if (cdb->cdb[0] == 0x9E)
        return check(cdb, 5, 0x20, 0);
    if (cdb->cdb[0] != 0x25)
        return false;
    give(cdb, ten, sizeof ten);
    return true;
}

static bool
short_capacity(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    if (cdb->cdb[0] != 0x25)
        return false;
    give(cdb, "\0\0\0\1", 4);
    return true;
}

static bool
sends_too_much(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    cdb->too_much = cdb->cdb[0] == 0x5A;
    return false;
}

static void
wrong__each_is_named_with_its_clause(void **state)
{
    static const struct {
        bool (*odd)(struct disk *, struct cdb *);
        const char *name, *text, *clause;
    } all[] = {
        { short_reads, "reads", "256 of 512", "READ (10)" },
        { two_capacities, "capacity-16", "something else",
          "READ CAPACITY (16)" },
        { more_than_it_can_say, "capacity-16", "more blocks",
          "READ CAPACITY (16)" },
        { short_capacity, "capacity", "with 4 bytes", "READ CAPACITY (10)" },
        { sends_too_much, "allocation-length", "MODE SENSE(10)",
          "Allocation length" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct disk disk = { .odd = all[i].odd };
        json_t *report = examine_it(&disk);

        assert_string_equal(verdict(report, all[i].name), "wrong");
        assert_has(field(report, all[i].name, "text"), all[i].text);
        assert_has(field(report, all[i].name, "clause"), all[i].clause);
        assert_int_equal(count_of(report, "wrong"), 1);
        json_decref(report);
    }
}

static bool
scratched(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] == 0x28 && cdb->data_len == 512 &&
           check(cdb, 3, 0x11, 0);
}

/* A damaged medium is no drive's fault. */
static bool
exchanged(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] == 0x28 && cdb->data_len == 512 &&
           check(cdb, 6, 0x28, 0);
}

static void
medium_exchanged_in_between__its_blocks_are_unknown(void **state)
{
    struct disk disk = { .odd = exchanged };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "reads"), "unknown");
    json_decref(report);
}

static void
block_that_cannot_be_read__noted(void **state)
{
    struct disk disk = { .odd = scratched };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "reads"), "note");
    assert_string_equal(field(report, "reads", "answer"), "3/11/00");
    json_decref(report);
}

static bool
bad_tail(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] == 0x28 &&
           (cdb->cdb[4] << 8 | cdb->cdb[5]) >= (int) BLOCKS - 8 &&
           check(cdb, 3, 0x11, 0);
}

static bool
fat_with_bad_tail(struct disk *disk, struct cdb *cdb)
{
    uint8_t *to = cdb->data;

    if (bad_tail(disk, cdb))
        return true;
    if (cdb->cdb[0] != 0x28)
        return false;
    read_blocks(disk, cdb);
    if (cdb->cdb[4] == 0 && cdb->cdb[5] == 0 && link_good(cdb)) {
        memcpy(to, "\xEB\x3C\x90MSDOS5.0\0\2\1\1\0\2\340\0\0\10\xF8\6\0", 24);
        to[38] = 0x29;
        memcpy(to + 39,
               "\x44\x33\x22\x11"
               "STICK      FAT12   ",
               23);
        to[510] = 0x55;
        to[511] = 0xAA;
        memcpy(to + 512, "\xF8\xFF\xFF", 3);
    }
    return true;
}

/* What is at its beginning says what it is. */
static void
end_that_cannot_be_read__the_volume_is_known_all_the_same(void **state)
{
    struct disk disk = { .odd = fat_with_bad_tail };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(report, "identity"), "volume")),
                        "1122-3344 (vfat)");
    json_decref(report);
}

/* --- CDs ------------------------------------------------------------------------------------- */

/* tgt's grows by a read past its end; others search for long. */
static void
cd__no_read_past_its_end(void **state)
{
    struct disk disk = { .type = 5, .block_bytes = 2048 };
    json_t *report = examine_it(&disk);

    (void) state;
    assert_string_equal(verdict(report, "past-the-end"), "none");
    assert_string_equal(verdict(report, "cache"), "none");
    assert_string_equal(verdict(report, "gesn"), "wrong");
    json_decref(report);
}

/* --- somebody else; interruption ------------------------------------------------------------ */

static void
held_by_somebody__no_lock_is_taken_or_given_back(void **state)
{
    struct disk disk = { .type = 0 };
    struct person person = { .held_by = "mounted at /mnt", .guided = true };
    json_t *report = examine_by(&disk, &person);

    (void) state;
    assert_int_equal(disk.sent[0x1E] + disk.sent[0x1B], 0);
    assert_has(field(report, "held", "text"), "mounted at /mnt");
    assert_string_equal(verdict(report, "lock"), "unknown");
    assert_int_equal(person.asked, 0);
    json_decref(report);
}

static bool
keeps_when_locked(struct disk *disk, struct cdb *cdb)
{
    return cdb->cdb[0] == 0x1B && disk->prevents && check(cdb, 5, 0x53, 0x02);
}

static bool
stays_locked(struct disk *disk, struct cdb *cdb)
{
    (void) disk;
    return cdb->cdb[0] == 0x1E && !(cdb->cdb[4] & 1) && check(cdb, 5, 0x24, 0);
}

/* The command is in the standards of each kind, since SPC-4 in no other. */
static void
does_not_unlock__wrong_by_the_standard_of_its_kind(void **state)
{
    static const struct {
        uint8_t type;
        const char *clause;
    } all[] = { { 0x00, "SBC-3, PREVENT ALLOW" },
                { 0x05, "MMC-5, PREVENT ALLOW" },
                { 0x01, "SSC-3, PREVENT ALLOW" } };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        struct disk disk = { .odd = stays_locked, .type = all[i].type };
        json_t *report = examine_it(&disk);

        assert_string_equal(verdict(report, "unlock"), "wrong");
        assert_has(field(report, "unlock", "clause"), all[i].clause);
        assert_has(json_string_value(json_object_get(report, "ended")),
                   "did not take its unlocking");
        json_decref(report);
    }
}

static void
interrupted_while_locked__unlocked__and_said(void **state)
{
    struct disk disk = { .odd = keeps_when_locked };
    struct person person = { .guided = true, .says = SAID_DONE, .stop_at = 4 };
    json_t *report = examine_by(&disk, &person), *row;
    size_t at;

    (void) state;
    assert_has(person.last, "locked");
    assert_int_equal(disk.prevents, 0);
    assert_int_equal(disk.sent[0x1E], 4); /* locked and unlocked, twice */
    assert_int_equal(disk.sent[0x1B], 1); /* and not ejected after that */
    assert_has(json_string_value(json_object_get(report, "ended")),
               "interrupted");
    assert_string_equal(verdict(report, "button"), "none");
    json_array_foreach(json_object_get(report, "seen"), at, row)
    {
        assert_string_not_equal(json_string_value(json_object_get(row, "text")),
                                "no answer");
    }
    json_decref(report);
}

static void
not_done__is_not_held_against_the_drive(void **state)
{
    struct disk disk = { .odd = keeps_when_locked };
    struct person person = { .guided = true, .says = SAID_CANNOT };
    json_t *report = examine_by(&disk, &person);

    (void) state;
    assert_string_equal(verdict(report, "removal"), "unknown");
    assert_int_equal(count_of(report, "wrong"), 0);
    assert_has(json_string_value(json_object_get(report, "believe")),
               "--guided");
    json_decref(report);
}

/* It was done, and the drive showed nothing of it. */
static void
done_without_a_word__is_wrong(void **state)
{
    struct disk disk = { .odd = keeps_when_locked };
    struct person person = { .guided = true, .says = SAID_DONE };
    json_t *report = examine_by(&disk, &person);

    (void) state;
    assert_string_equal(verdict(report, "removal"), "wrong");
    assert_string_equal(verdict(report, "changes"), "wrong");
    assert_has(json_string_value(json_object_get(report, "believe")),
               "does not announce");
    json_decref(report);
}

/* Its driver in the kernel asks it every two seconds, and may have been told. */
static void
done_while_the_kernel_asks_it_too__unknown(void **state)
{
    struct disk disk = { .odd = keeps_when_locked };
    struct person person = { .guided = true,
                             .says = SAID_DONE,
                             .polled = "/sys/class/block/sr0/poll" };
    json_t *report = examine_by(&disk, &person);

    (void) state;
    assert_string_equal(verdict(report, "return"), "unknown");
    assert_string_equal(verdict(report, "changes"), "unknown");
    assert_has(field(report, "changes", "text"),
               "echo 0 >/sys/class/block/sr0/poll");
    assert_has(json_string_value(json_object_get(report, "believe")),
               "was not found out");
    json_decref(report);
}

static bool
keeps_in_its_own_words(struct disk *disk, struct cdb *cdb)
{
    return cdb->cdb[0] == 0x1B && disk->prevents && check(cdb, 5, 0x2C, 0);
}

static void
eject_refused_in_other_words__says_what_is_wrong_with_that(void **state)
{
    struct disk disk = { .odd = keeps_in_its_own_words };
    struct person person = { .guided = true, .says = SAID_DONE };
    json_t *report = examine_by(&disk, &person);

    (void) state;
    assert_string_equal(verdict(report, "eject-when-locked"), "wrong");
    assert_has(field(report, "eject-when-locked", "text"),
               "in other words than 5/53/02");
    json_decref(report);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_disk__nothing_wrong_or_unknown),
        cmocka_unit_test(write_protected__is_said_before_anything_is_written),
        cmocka_unit_test(tape__is_not_measured_as_a_disk),
        cmocka_unit_test(blocks_of_520_bytes__are_not_served__and_it_says_so),
        cmocka_unit_test(
            reserved_busy_not_ready__unknown__not_called_wrong_or_absent),
        cmocka_unit_test(unit_attention_in_between__asked_again),
        cmocka_unit_test(
            drive_that_falls_silent__is_left_alone__and_nothing_is_made_of_it),
        cmocka_unit_test(
            drive_that_never_answers__a_few_commands__and_no_options),
        cmocka_unit_test(
            standard_data_for_a_page__is_no_page__and_no_serial_number),
        cmocka_unit_test(
            no_vpd_pages__wrong_for_who_claims_a_standard_that_demands_them),
        cmocka_unit_test(inquiry_data_of_20_bytes__wrong),
        cmocka_unit_test(wrong__each_is_named_with_its_clause),
        cmocka_unit_test(block_that_cannot_be_read__noted),
        cmocka_unit_test(medium_exchanged_in_between__its_blocks_are_unknown),
        cmocka_unit_test(
            end_that_cannot_be_read__the_volume_is_known_all_the_same),
        cmocka_unit_test(cd__no_read_past_its_end),
        cmocka_unit_test(held_by_somebody__no_lock_is_taken_or_given_back),
        cmocka_unit_test(does_not_unlock__wrong_by_the_standard_of_its_kind),
        cmocka_unit_test(interrupted_while_locked__unlocked__and_said),
        cmocka_unit_test(not_done__is_not_held_against_the_drive),
        cmocka_unit_test(done_without_a_word__is_wrong),
        cmocka_unit_test(done_while_the_kernel_asks_it_too__unknown),
        cmocka_unit_test(
            eject_refused_in_other_words__says_what_is_wrong_with_that),
        cmocka_unit_test(
            illegal_request__says_of_a_command_what_its_sense_says),
        cmocka_unit_test(
            format_of_inquiry_data__wrong_for_who_claims_a_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
