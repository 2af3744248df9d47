/*
 * look.c - what a drive is and what is in it, without writing
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/look.h"

#include <blkid.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ATTENTIONS_MAX 8
#define HEAD_BYTES     (256u * 1024)
#define TAIL_BYTES     (128u * 1024)
#define READ_BYTES     (64u * 1024)
#define NO_ANSWER      (-2)

static uint64_t
big_endian(const uint8_t *from, int bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *from++;
    return value;
}

void
look_text(const uint8_t *from, size_t len, char *out_text, size_t max)
{
    size_t n = 0;

    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\0'))
        len--;
    while (len > 0 && *from == ' ') {
        from++;
        len--;
    }
    for (; n < len && n + 1 < max; n++)
        out_text[n] = isprint(from[n]) ? (char) from[n] : '?';
    out_text[n] = '\0';
}

struct cdb
look_ready(const struct link *link)
{
    struct cdb tur = { .cdb_len = 6 };

    for (int i = 0; i < ATTENTIONS_MAX; i++) {
        link_send(link, &tur);
        if (link_sense(&tur).key != 6)
            break;
    }
    return tur;
}

struct medium_seen
look_capacity(const struct link *link, struct cdb *out_cdb)
{
    uint8_t reply[32] = { 0 };
    struct medium_seen seen = { 0 };
    struct cdb ten = {
        .cdb = { 0x25 }, .cdb_len = 10, .data = reply, .data_len = 8
    };
    struct cdb sixteen = { .cdb = { 0x9E, 0x10, [13] = 32 },
                           .cdb_len = 16,
                           .data = reply,
                           .data_len = 32 };

    link_send(link, &ten);
    if (out_cdb != NULL) {
        *out_cdb = ten;
        out_cdb->data = NULL;
    }
    if (!link_good(&ten) || ten.transferred < 8)
        return seen;
    seen.blocks = big_endian(reply, 4) + 1;
    seen.block_bytes = (uint32_t) big_endian(reply + 4, 4);
    if (seen.blocks > 0xFFFFFFFF) {
        link_send(link, &sixteen);
        if (!link_good(&sixteen) || sixteen.transferred < 12)
            return seen;
        seen.blocks = big_endian(reply, 8) + 1;
        seen.block_bytes = (uint32_t) big_endian(reply + 8, 4);
    }
    seen.known = seen.block_bytes >= 256 && seen.block_bytes <= 65536 &&
                 seen.blocks != 0 &&
                 seen.blocks <= (uint64_t) INT64_MAX / seen.block_bytes;
    return seen;
}

/* Bytes; -1: it says no; NO_ANSWER. */
static int
ask_inquiry(const struct link *link, int page, uint8_t *out, uint8_t len)
{
    struct cdb inquiry = { .cdb = { 0x12, page >= 0, (uint8_t) page, 0, len },
                           .cdb_len = 6,
                           .data = out,
                           .data_len = len };

    if (page < 0)
        inquiry.cdb[2] = 0;
    memset(out, 0, len);
    link_send(link, &inquiry);
    if (!inquiry.answered && inquiry.error == 0)
        return NO_ANSWER;
    return link_good(&inquiry) ? (int) inquiry.transferred : -1;
}

int
look_inquiry(const struct link *link, int page, uint8_t *out, uint8_t len)
{
    int got = ask_inquiry(link, page, out, len);

    return got == NO_ANSWER ? -1 : got;
}

bool
look_is_there(const struct link *link)
{
    uint8_t reply[36];

    return look_inquiry(link, -1, reply, sizeof reply) < 5 ||
           (reply[0] >> 5 == 0 && (reply[0] & 0x1F) != 0x1F);
}

bool
look_read(const struct link *link, const struct medium_seen *medium,
          uint64_t first, uint32_t blocks, void *out, struct cdb *out_cdb)
{
    struct cdb read = { .cdb_len = 10,
                        .data = out,
                        .data_len = blocks * medium->block_bytes };

    if (first > 0xFFFFFFFF) {
        read.cdb_len = 16;
        read.cdb[0] = 0x88;
        for (int i = 0; i < 8; i++)
            read.cdb[2 + i] = (uint8_t) (first >> (56 - 8 * i));
        for (int i = 0; i < 4; i++)
            read.cdb[10 + i] = (uint8_t) (blocks >> (24 - 8 * i));
    } else {
        read.cdb[0] = 0x28;
        for (int i = 0; i < 4; i++)
            read.cdb[2 + i] = (uint8_t) (first >> (24 - 8 * i));
        read.cdb[7] = (uint8_t) (blocks >> 8);
        read.cdb[8] = (uint8_t) blocks;
    }
    link_send(link, &read);
    if (out_cdb != NULL)
        *out_cdb = read;
    return link_good(&read) && read.transferred == read.data_len;
}

const char *
look_type(uint8_t peripheral)
{
    switch (peripheral & 0x1F) {
    case 0x00:
    case 0x07:
        return "disk";
    case 0x01:
        return "tape";
    case 0x05:
        return "cdrom";
    case 0x08:
        return "changer";
    default:
        return "other";
    }
}

/* --- the volume ------------------------------------------------------------------ */

static bool
copy_range(const struct link *link, const struct medium_seen *medium, int fd,
           uint64_t from, uint64_t to)
{
    static _Thread_local uint8_t buffer[READ_BYTES];
    uint32_t step = READ_BYTES / medium->block_bytes;

    for (uint64_t at = from; at < to; at += step) {
        uint32_t n = (uint32_t) (to - at < step ? to - at : step);
        size_t bytes = (size_t) n * medium->block_bytes;

        if (!look_read(link, medium, at, n, buffer, NULL) ||
            pwrite(fd, buffer, bytes, (off_t) (at * medium->block_bytes)) !=
                (ssize_t) bytes)
            return false;
    }
    return true;
}

static void
recognise(int fd, char *out_text, size_t max)
{
    blkid_probe probe = blkid_new_probe();
    const char *type = NULL, *label = NULL, *uuid = NULL;

    if (probe == NULL)
        return;
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_set_superblocks_flags(
        probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
    if (blkid_probe_set_device(probe, fd, 0, 0) == 0 &&
        blkid_do_safeprobe(probe) == 0) {
        if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) != 0 &&
            blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL) != 0)
            type = "unknown";
        if (blkid_probe_lookup_value(probe, "LABEL", &label, NULL) != 0 &&
            blkid_probe_lookup_value(probe, "UUID", &uuid, NULL) != 0)
            blkid_probe_lookup_value(probe, "PTUUID", &uuid, NULL);
        if (label != NULL || uuid != NULL)
            snprintf(out_text, max, "%s (%s)", label != NULL ? label : uuid,
                     type);
        else
            snprintf(out_text, max, "(%s)", type);
    }
    blkid_free_probe(probe);
}

void
look_volume(const struct link *link, const struct medium_seen *medium,
            char *out_text, size_t max)
{
    uint64_t size = medium->blocks * medium->block_bytes, head, tail;
    int fd = memfd_create("probe", MFD_CLOEXEC);

    out_text[0] = '\0';
    if (fd < 0)
        return;
    head = HEAD_BYTES / medium->block_bytes;
    if (head > medium->blocks)
        head = medium->blocks;
    tail = TAIL_BYTES / medium->block_bytes;
    tail = medium->blocks > head + tail ? medium->blocks - tail : head;
    /* A CD's last blocks may be none of its data (MMC-5, READ CAPACITY); what
     * is at the end of a disk and cannot be read is not there. */
    if (ftruncate(fd, (off_t) size) == 0 &&
        copy_range(link, medium, fd, 0, head)) {
        (void) copy_range(link, medium, fd, tail, medium->blocks);
        recognise(fd, out_text, max);
    }
    close(fd);
}

/* --- all of it --------------------------------------------------------------------- */

static void
set_text(json_t *into, const char *field, const uint8_t *from, size_t len)
{
    char text[256];

    look_text(from, len, text, sizeof text);
    json_object_set_new(into, field, json_string(text));
}

static const char *
medium_word(const struct cdb *tur)
{
    struct sense sense = link_sense(tur);

    if (link_good(tur))
        return "present";
    if (!tur->answered)
        return "no answer";
    if (tur->status == 0x08 || tur->status == 0x28)
        return "busy";
    if (tur->status == 0x18)
        return "reserved";
    return sense.key == 2 && sense.asc == 0x3A ? "none" : "not ready";
}

/* Of a drive that ignores EVPD it is the standard data, whose second byte is
 * 80h, too, if its media are removable. */
static void
set_serial(const struct link *link, const uint8_t *inquiry, size_t inquiry_len,
           json_t *into)
{
    uint8_t page[252];
    int len = look_inquiry(link, 0x80, page, sizeof page);
    bool same = len >= 36 && inquiry_len >= 36 &&
                memcmp(page + 2, inquiry + 2, 34) == 0;

    if (len <= 4 || page[1] != 0x80 || same)
        len = 4;
    set_text(into, "serial", page + 4,
             page[3] < (size_t) len - 4 ? page[3] : (size_t) len - 4);
}

void
look_at(const struct link *link, json_t *into)
{
    uint8_t inquiry[96];
    int len = ask_inquiry(link, -1, inquiry, sizeof inquiry);
    struct medium_seen medium = { 0 };
    bool data = (inquiry[0] & 0x1F) == 0 || (inquiry[0] & 0x1F) == 5 ||
                (inquiry[0] & 0x1F) == 7;
    char volume[256] = "";
    uint64_t size = 0;
    struct cdb tur = { 0 };

    json_object_set_new(into, "type",
                        json_string(len < 5 ? "other" : look_type(inquiry[0])));
    json_object_set_new(into, "removable",
                        json_boolean(len > 1 && inquiry[1] & 0x80));
    set_text(into, "vendor", inquiry + 8, len >= 16 ? 8 : 0);
    set_text(into, "product", inquiry + 16, len >= 32 ? 16 : 0);
    set_text(into, "revision", inquiry + 32, len >= 36 ? 4 : 0);
    set_text(into, "serial", inquiry, 0);
    /* One that is silent is not asked more: each time takes its limit. */
    if (len != NO_ANSWER)
        tur = look_ready(link);
    if (tur.answered)
        set_serial(link, inquiry, len > 0 ? (size_t) len : 0, into);
    json_object_set_new(into, "medium", json_string(medium_word(&tur)));
    if (data && link_good(&tur)) {
        medium = look_capacity(link, NULL);
        if (medium.known)
            look_volume(link, &medium, volume, sizeof volume);
    }
    if (medium.known)
        size = medium.blocks * medium.block_bytes;
    json_object_set_new(into, "size_bytes", json_integer((json_int_t) size));
    json_object_set_new(into, "block_bytes", json_integer(medium.block_bytes));
    json_object_set_new(into, "volume", json_string(volume));
}
