/*
 * sg.h - drives of this machine, through Linux's SG_IO
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_SG_H
#define STACK_SG_H

#include "stack/stack_internal.h"

/* The drive's unit, in drive->pdo; on failure out_text says why. */
NTSTATUS sg_unit(struct ri_service *service, struct drive *drive,
                 char *out_text, size_t text_max);
/* After its unit is gone, or was never made. */
void sg_unit_free(struct drive *drive);

#endif
