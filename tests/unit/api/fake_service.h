/*
 * fake_service.h - a stand-in for the embedding API, for tests of front/
 *
 * Drives hold file names, volumes are named after them, yanking raises a
 * prompt and inserting ends it: enough to exercise everything above
 * reinsert.h without a stack below it.  No I/O.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAKE_SERVICE_H
#define FAKE_SERVICE_H

#include "reinsert.h"

/* How long ri_eject takes, also of one that is under way; FAKE_EJECT_MS sets it
 * from outside.  A shutdown ends it early unless fake_deaf is set. */
extern unsigned fake_eject_ms; /* atomic */
extern unsigned fake_ejecting; /* atomic: how many are at it */
extern bool fake_deaf;

void fake_emit(struct ri_service *service, const char *kind, const char *drive,
               const char *volume, uint64_t prompt, const char *text);
uint64_t fake_raise_prompt(struct ri_service *service, const char *volume,
                           const char *drive);

#endif
