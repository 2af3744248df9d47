/*
 * status.h - what an NTSTATUS is called, and what it becomes at the edges
 *
 * The rows are in status.def, in the order of their values.  Any thread, any
 * IRQL.  NTAPI where dispatch routines call them (base/trace.h says why).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <ntdef.h>
#include <ntstatus.h>

#define STATUS_F_USER 0x1u      /* user-induced: a person can cure it */

struct status_info {
    NTSTATUS value;
    const char *name;           /* "STATUS_NO_MEDIA_IN_DEVICE" */
    int wire_errno;             /* 0, EPERM EIO EINVAL ENOSPC ENOTSUP
                                 * ESHUTDOWN */
    int exit_code;              /* those of sg3_utils where there is one */
    unsigned flags;             /* STATUS_F_* */
};

/* NULL: not in the table. */
const struct status_info *NTAPI status_lookup(NTSTATUS status);
/* Never NULL.  A value that is not in the table is spelled in hex, in a buffer
 * of this thread that four later calls leave alone. */
const char *NTAPI status_name(NTSTATUS status);
/* For every value: those not in the table by their severity. */
int status_wire_errno(NTSTATUS status);
int status_exit_code(NTSTATUS status);
/* The rows, in order, for listings and tests. */
const struct status_info *status_table(size_t *out_count);

#endif
