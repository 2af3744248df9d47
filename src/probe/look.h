/*
 * look.h - what a drive is and what is in it, without writing
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_LOOK_H
#define PROBE_LOOK_H

#include <jansson.h>

#include "probe/link.h"

struct medium_seen {
    bool known;                 /* READ CAPACITY was answered, with a size that
                                 * can be */
    uint64_t blocks;
    uint32_t block_bytes;
};

/* TEST UNIT READY, past unit attentions.  The last answer. */
struct cdb look_ready(const struct link *link);
/* out_cdb: READ CAPACITY (10), without its data; or NULL. */
struct medium_seen look_capacity(const struct link *link, struct cdb *out_cdb);
/* -1, or what cdb->transferred says. */
int look_inquiry(const struct link *link, int page, uint8_t *out, uint8_t len);
/* Blocks from `first` on; at most 1 MiB. */
bool look_read(const struct link *link, const struct medium_seen *medium,
               uint64_t first, uint32_t blocks, void *out, struct cdb *out_cdb);
/* False: it says that there is no such unit (SPC-4, Standard INQUIRY data:
 * peripheral qualifier). */
bool look_is_there(const struct link *link);
/* "disk", "cdrom", "tape", "changer", "other" */
const char *look_type(uint8_t peripheral);
/* Adds vendor, product, revision, type, removable, serial, medium,
 * size_bytes, block_bytes, volume to the object. */
void look_at(const struct link *link, json_t *into);
/* "LABEL (ext4)", "UUID (vfat)", "(ext4)", or "". */
void look_volume(const struct link *link, const struct medium_seen *medium,
                 char *out_text, size_t max);
/* Trimmed, printable. */
void look_text(const uint8_t *from, size_t len, char *out_text, size_t max);

#endif
