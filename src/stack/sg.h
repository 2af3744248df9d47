/*
 * sg.h - drives and robots of this machine, through Linux's SG_IO
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_SG_H
#define STACK_SG_H

#include "stack/stack_internal.h"

struct sg_drive;

struct sg_use {
    const struct ri_drive_config *config;   /* name, device, match, own: stays */
    bool may_be_away;                       /* as in port.h */
    /* It came, went, or its medium may be another; on the unit's thread, until
     * the unit is removed; it may not wait. */
    void (*turned)(void *context);
    void *context;
    char *out_text;                         /* on failure: why */
    size_t text_max;
};

/* What a service that was killed took from the kernel's drivers is given back.
 * Before any drive is taken. */
void sg_begin(struct ri_service *service);
/* The unit, and what finds it, which the caller frees, also after a failure. */
NTSTATUS sg_unit(struct ri_service *service, const struct sg_use *use,
                 struct sg_drive **out_sg, PDEVICE_OBJECT *out_pdo);
/* "/dev/sg2", or "" while it is away, and of NULL.  Any thread. */
void sg_node(const struct sg_drive *sg, char *out_path, size_t max);
/* After its unit is gone, or was never made.  NULL: nothing. */
void sg_unit_free(struct sg_drive *sg);

#endif
