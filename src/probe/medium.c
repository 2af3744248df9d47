/*
 * medium.c - what an examination finds of the medium: size, reads, speed
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/examine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPEED_READS 64
#define SPEED_DEPTH 16
#define SPEED_US    3000000 /* of drives that take their time */

#define CAPACITY_10 "SBC-3, READ CAPACITY (10) command"
#define CAPACITY_16 "SBC-3, READ CAPACITY (16) command"
#define RANGE       "SBC-3, READ (10) command: LOGICAL BLOCK ADDRESS OUT OF RANGE"

/* --- capacity --------------------------------------------------------------------- */

static uint64_t
big_endian(const uint8_t *from, int bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *from++;
    return value;
}

struct told {
    struct cdb cdb;
    enum reply reply;
    uint64_t last; /* block */
    uint32_t block_bytes;
    bool whole;
};

static struct told
ask_capacity(struct examination *e, bool sixteen)
{
    uint8_t reply[32] = { 0 };
    uint32_t len = sixteen ? 12 : 8;
    struct told told = {
        .cdb = { .cdb = { 0x25 }, .cdb_len = 10, .data = reply, .data_len = 8 }
    };

    if (sixteen)
        told.cdb = (struct cdb){ .cdb = { 0x9E, 0x10, [13] = 32 },
                                 .cdb_len = 16,
                                 .data = reply,
                                 .data_len = 32 };
    told.reply = examine_send(e, &told.cdb);
    told.cdb.data = NULL;
    told.whole = told.reply == REPLY_GOOD && told.cdb.transferred >= len;
    if (told.whole) {
        told.last = big_endian(reply, sixteen ? 8 : 4);
        told.block_bytes = (uint32_t) big_endian(reply + len - 4, 4);
    }
    return told;
}

static bool
can_be(const struct told *told)
{
    return told->block_bytes >= 256 && told->block_bytes <= 65536 &&
           told->last < (uint64_t) INT64_MAX / told->block_bytes;
}

/* FALSE: there is nothing more to ask it. */
static bool
capacity_16(struct examination *e, const struct told *ten, bool needed)
{
    struct told told = ask_capacity(e, true);

    if (told.reply == REPLY_UNKNOWN) {
        finding_unknown(e, "capacity-16", &told.cdb);
        return !needed;
    }
    if (!told.whole) {
        finding(e, "capacity-16",
                needed || told.reply == REPLY_GOOD ? "wrong" : "absent",
                needed || told.reply == REPLY_GOOD ? CAPACITY_16 : NULL,
                &told.cdb,
                told.reply == REPLY_GOOD ? "answers READ CAPACITY(16) with %u "
                                           "bytes"
                : needed ? "has more blocks than READ CAPACITY(10) can say, "
                           "and does not answer READ CAPACITY(16)"
                         : "does not answer READ CAPACITY(16)",
                told.cdb.transferred);
        return !needed;
    }
    if (!needed &&
        (told.last != ten->last || told.block_bytes != ten->block_bytes)) {
        finding(e, "capacity-16", "wrong", CAPACITY_16, &told.cdb,
                "says %llu blocks of %u bytes to READ CAPACITY(16), and "
                "something else to READ CAPACITY(10)",
                (unsigned long long) told.last + 1, told.block_bytes);
        return false;
    }
    if (needed && !can_be(&told)) {
        finding(e, "capacity", "wrong", CAPACITY_16, &told.cdb,
                "%llu blocks of %u bytes cannot be",
                (unsigned long long) told.last + 1, told.block_bytes);
        return false;
    }
    return true;
}

/* FALSE: it has none that can be used. */
static bool
capacity(struct examination *e, struct medium_seen *out)
{
    struct told ten = ask_capacity(e, false);
    bool needed = ten.whole && ten.last == 0xFFFFFFFF;
    const char *clause =
        is_type(e, "cdrom") ? "MMC-5, READ CAPACITY command" : CAPACITY_10;

    if (ten.reply == REPLY_UNKNOWN) {
        finding_unknown(e, "capacity", &ten.cdb);
        return false;
    }
    if (!ten.whole) {
        finding(e, "capacity", "wrong", clause, &ten.cdb,
                ten.reply == REPLY_GOOD
                    ? "answers READ CAPACITY(10) with %u bytes"
                    : "does not answer READ CAPACITY(10)",
                ten.cdb.transferred);
        return false;
    }
    if (!needed && !can_be(&ten)) {
        finding(e, "capacity", "wrong", clause, &ten.cdb,
                "%llu blocks of %u bytes cannot be",
                (unsigned long long) ten.last + 1, ten.block_bytes);
        return false;
    }
    if (is_type(e, "disk") && !capacity_16(e, &ten, needed))
        return false;
    *out = look_capacity(e->link, NULL);
    if (!out->known)
        return false;
    finding(e, "capacity", "good", NULL, NULL, "%llu blocks of %u bytes",
            (unsigned long long) out->blocks, out->block_bytes);
    if (out->block_bytes < 512 ||
        (out->block_bytes & (out->block_bytes - 1)) != 0)
        finding(e, "block-size", "note", NULL, NULL,
                "blocks of %u bytes are no power of two from 512 on: the "
                "service does not serve this medium",
                out->block_bytes);
    return true;
}

/* --- reads ------------------------------------------------------------------------- */

/* Past the end: nothing is read, and the sense data show their format.  Not of
 * CDs: there a drive may look for data for long, and tgt's grows by it. */
static void
past_the_end(struct examination *e, const struct medium_seen *medium)
{
    struct medium_seen one = { true, 1, medium->block_bytes };
    uint8_t *block = calloc(1, medium->block_bytes);
    struct sense sense;
    struct cdb read;

    if (block == NULL || examine_is_over(e) || medium->blocks > 0xFFFFFFFF) {
        free(block);
        return;
    }
    examine_progress(e, "sense data");
    (void) look_read(e->link, &one, medium->blocks, 1, block, &read);
    free(block);
    read.data = NULL;
    sense = link_sense(&read);
    if (!read.answered || (!link_good(&read) && sense.key != 5 &&
                           sense.key != 3 && sense.key != 4))
        finding_unknown(e, "past-the-end", &read);
    else if (link_good(&read))
        finding(e, "past-the-end", "wrong", RANGE, &read,
                "reads past the end of the medium");
    else if (sense.key == 5 && sense.asc == 0x21)
        finding(e, "past-the-end", "good", NULL, &read,
                "refuses a read past the end, in %s format",
                sense.descriptor ? "descriptor" : "fixed");
    else
        finding(e, "past-the-end", "wrong", RANGE, &read,
                "refuses a read past the end in other words than 5/21/00");
}

/* Reads that went well, and the time that they took. */
struct round {
    unsigned reads;
    uint64_t took_us;
    bool failed;
    struct cdb bad; /* the one that failed */
    uint64_t bad_block;
};

static uint64_t
spread(uint64_t *state, const struct medium_seen *medium)
{
    uint64_t blocks = medium->blocks < 0xFFFFFFFF ? medium->blocks : 0xFFFFFFFF;

    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % blocks;
}

static struct round
one_round(struct examination *e, const struct medium_seen *medium,
          unsigned depth, uint8_t *room)
{
    struct cdb reads[SPEED_DEPTH] = { 0 };
    struct round round = { 0 };
    uint64_t began = link_now_us(), at = 12345;

    while (round.reads < SPEED_READS && !examine_is_over(e) &&
           (round.reads == 0 || round.took_us < SPEED_US)) {
        uint64_t blocks[SPEED_DEPTH];

        for (unsigned i = 0; i < depth; i++) {
            blocks[i] = spread(&at, medium);
            reads[i] = (struct cdb){
                .cdb = { 0x28, [8] = 1 },
                .cdb_len = 10,
                .data = room + (size_t) i * medium->block_bytes,
                .data_len = medium->block_bytes,
            };
            for (int b = 0; b < 4; b++)
                reads[i].cdb[2 + b] = (uint8_t) (blocks[i] >> (24 - 8 * b));
        }
        link_send_all(e->link, reads, depth);
        for (unsigned i = 0; i < depth; i++)
            if (!link_good(&reads[i]) ||
                reads[i].transferred != medium->block_bytes) {
                round.failed = true;
                round.bad = reads[i];
                round.bad_block = blocks[i];
                return round;
            }
        round.reads += depth;
        round.took_us = link_now_us() - began;
    }
    return round;
}

static void
say_failure(struct examination *e, const struct round *round)
{
    uint8_t key = link_sense(&round->bad).key;

    if (!round->bad.answered) {
        e->silent++;
        finding_unknown(e, "reads", &round->bad);
    } else if (link_good(&round->bad)) {
        finding(e, "reads", "wrong",
                is_type(e, "cdrom") ? "MMC-5, READ (10) command"
                                    : "SBC-3, READ (10) command",
                &round->bad,
                "answers the read of block %llu with GOOD, and with %u of %u "
                "bytes",
                (unsigned long long) round->bad_block, round->bad.transferred,
                round->bad.data_len);
    } else if (key == 0 || key == 2 || key == 6) {
        /* Busy, reserved, not ready, a new medium: of its blocks it is silent. */
        finding_unknown(e, "reads", &round->bad);
    } else {
        finding(e, "reads", "note", NULL, &round->bad,
                "block %llu cannot be read: speed was not looked at",
                (unsigned long long) round->bad_block);
    }
}

static double
each_us(const struct round *round)
{
    return round->reads > 0 ? (double) round->took_us / round->reads : 0;
}

static void
speed_text(const struct round *round, char *out_text, size_t max)
{
    double us = each_us(round);

    if (us >= 10000)
        snprintf(out_text, max, "%.0f ms", us / 1000);
    else
        snprintf(out_text, max, us >= 10 ? "%.0f us" : "%.2f us", us);
}

static void
speed(struct examination *e, const struct medium_seen *medium)
{
    uint8_t *room = calloc(SPEED_DEPTH, medium->block_bytes);
    struct round alone, together = { 0 };
    char one[32], many[32];
    bool gains;

    if (room == NULL)
        return;
    examine_progress(e, "speed");
    alone = one_round(e, medium, 1, room);
    if (!alone.failed && e->link->at_once)
        together = one_round(e, medium, SPEED_DEPTH, room);
    free(room);
    if (alone.failed || together.failed) {
        say_failure(e, alone.failed ? &alone : &together);
        return;
    }
    if (alone.reads == 0 || (e->link->at_once && together.reads == 0))
        return;
    speed_text(&alone, one, sizeof one);
    speed_text(&together, many, sizeof many);
    json_object_set_new(e->report, "speed",
                        json_pack("{s:f, s:i, s:i}", "read_us", each_us(&alone),
                                  "depth", e->link->at_once ? SPEED_DEPTH : 1,
                                  "block_bytes", (int) medium->block_bytes));
    if (!e->link->at_once) {
        finding(e, "speed", "good", NULL, NULL,
                "a read of a block takes %s; only one at a time was tried",
                one);
        return;
    }
    json_object_set_new(json_object_get(e->report, "speed"), "queued_read_us",
                        json_real(each_us(&together)));
    gains = each_us(&together) * 4 < each_us(&alone) * 3;
    finding(e, "queueing", gains ? "good" : "note", NULL, NULL,
            "a read of a block takes %s when it is alone; of %u at once, one "
            "is done every %s%s",
            one, SPEED_DEPTH, many, gains ? "" : ": queueing gains nothing");
}

/* --- what is in it --------------------------------------------------------------------- */

/* What a drive that is not ready still does. */
static void
without_medium(struct examination *e)
{
    struct told told;

    e->no_medium = true;
    finding(e, "medium", "note", NULL, NULL,
            "has no medium: capacity, sense data and speed were not looked "
            "at");
    if (!has_blocks(e))
        return;
    told = ask_capacity(e, false);
    if (told.whole && told.last != 0 && told.block_bytes != 0)
        finding(e, "capacity-without-medium", "wrong",
                is_type(e, "cdrom") ? "MMC-5, READ CAPACITY command"
                                    : CAPACITY_10,
                &told.cdb,
                "tells a capacity although it says that it has no medium");
}

void
examine_medium(struct examination *e)
{
    struct cdb tur = { .cdb_len = 6 };
    struct medium_seen seen = { 0 };
    struct sense sense;
    enum reply reply;

    examine_progress(e, "medium");
    reply = examine_send(e, &tur);
    sense = link_sense(&tur);
    if (reply != REPLY_GOOD) {
        if (sense.key == 2 && sense.asc == 0x3A)
            without_medium(e);
        else
            finding_unknown(e, "medium", &tur);
        return;
    }
    if (!has_blocks(e) || !capacity(e, &seen))
        return;
    if (is_type(e, "disk"))
        past_the_end(e, &seen);
    if (!examine_is_over(e))
        speed(e, &seen);
}
