/*
 * targets.h - iSCSI targets of which all units are meant: their drives come and
 * go while the service runs
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_TARGETS_H
#define STACK_TARGETS_H

#include "stack/config_units.h"

/* A section whose url names no unit; before the drives that follow it. */
int target_new(struct ri_service *service,
               const struct ri_drive_config *section,
               struct ri_error *out_error);
/* By its section's name; NULL: there is none. */
struct target *target_named(struct ri_service *service, const char *name);
/* Once drives are looked at: their threads. */
int targets_start(struct ri_service *service, struct ri_error *out_error);
/* May not wait: a session began or ended, or its units are others now. */
void target_turned(struct target *target);
/* After `stopping` was set; then: no drive comes any more; and, after all drives
 * were detached, the rest. */
void targets_stop(struct ri_service *service);
void targets_join(struct ri_service *service);
void targets_free(struct ri_service *service);
/* Those that are to be told of beside their drives; how many.  list: room for
 * target_count, all 0. */
size_t targets_fill(struct ri_service *service, struct ri_drive_info *list);

#endif
