/*
 * sg_used.h - who else uses a drive of this machine
 *
 * From /proc and /sys: nothing here opens a device or sends a command.  What the
 * kernel tells nobody of (the second disk of a btrfs, a journal on a disk of its
 * own, a target) is not found.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_SG_USED_H
#define PROBE_SG_USED_H

#include "probe/sg_find.h"

#define SG_PROCESS_MAX 16

/* 0, or -EBUSY: it is used by somebody whom nothing here will disturb; text
 * says who, of several the first. */
int sg_used_by(const struct sg_roots *roots, const struct sg_found *found,
               char *out_text, size_t max);
/* The same, but of processes nothing is said: only of what nobody may pull away,
 * mounts, swaps, what was made of it. */
int sg_kept_by(const struct sg_roots *roots, const struct sg_found *found,
               char *out_text, size_t max);
/* Everybody, with a comma between, or "". */
void sg_all_users(const struct sg_roots *roots, const struct sg_found *found,
                  char *out_text, size_t max);
/* How often the kernel asks it for events; 0: never. */
unsigned sg_polled_ms(const struct sg_roots *roots,
                      const struct sg_found *found);
/* What tells that its user lets go of it: the paths of its nodes, with a space
 * between, and of the mounts of a process in another namespace than ours that
 * has it mounted; or "". */
void sg_used_tells(const struct sg_roots *roots, const struct sg_found *found,
                   char *out_nodes, size_t nodes_max, char *out_mounts,
                   size_t mounts_max);

#endif
