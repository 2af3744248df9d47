/*
 * drives.h - drives that could be served: of this machine, of portals
 *
 * Rows are objects with the fields that look_at adds, and `name` (what to give
 * to `probe`, or as `url` or `device`), `where` ("machine", "portal"),
 * `held_by` (who has it, in words, or "").
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_DRIVES_H
#define PROBE_DRIVES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * From /sys, /proc and udev's database below `root` ("" but for tests).  No
 * command is sent: whoever has the drive would miss its unit attentions.
 */
void drives_of_machine(const char *root, json_t *rows);
/* False: the kernel has SCSI devices, and module sg, whose nodes the drives are
 * named by, is not loaded. */
bool drives_can_be_seen(const char *root);
/* Who has a drive of this machine, but for this process: in words, or "".  Of
 * any node, of one that could not be served, too. */
void drives_held_by(const char *root, const char *node, char *out_text,
                    size_t text_max);
/* The file that keeps the kernel's driver from asking it for changes, while it
 * does so, or "". */
void drives_polled_by(const char *root, const char *node, char *out_path,
                      size_t max);
/* Lines of a configuration for a node of a drive of this machine, below `root`,
 * whose serial number is this, or "". */
void drives_options(const char *root, const char *node, const char *serial,
                    json_t *lines);
/* 0, or -errno and a sentence.  HOST[:PORT]. */
int drives_of_portal(const char *portal, json_t *rows, char *out_text,
                     size_t text_max);

#endif
