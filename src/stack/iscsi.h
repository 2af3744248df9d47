/*
 * iscsi.h - drives of iSCSI targets
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_ISCSI_H
#define STACK_ISCSI_H

#include "stack/stack_internal.h"

/* The drive's unit, in drive->pdo; on failure out_text says why. */
NTSTATUS iscsi_unit(struct ri_service *service, struct drive *drive,
                    char *out_text, size_t text_max);

#endif
