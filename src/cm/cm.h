/*
 * cm.h - the registry: what the stack and the I/O manager use
 *
 * A tree in memory, filled from the configuration at the start and gone at the
 * end.  PASSIVE.  Paths and names here are UTF-8 text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CM_CM_H
#define CM_CM_H

#include <ntifs.h>

#include <stdbool.h>

#define CM_SERVICES "\\Registry\\Machine\\System\\CurrentControlSet\\Services"
#define CM_ENUM     "\\Registry\\Machine\\System\\CurrentControlSet\\Enum"
#define CM_CLASS                                                              \
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class"

/* Idempotent, after ob_init: makes \Registry and the keys that every machine
 * has.  The shutdown comes before ob_shutdown. */
NTSTATUS cm_init(void);
void cm_shutdown(void);

/* Makes the key and all above it. */
NTSTATUS cm_make_key(const char *path);
/* The key and what is below it, whoever has it open. */
NTSTATUS cm_delete_tree(const char *path);
/* What a line of the configuration says: 10 and 0xA are a REG_DWORD, multi:a;b
 * is a REG_MULTI_SZ, anything else a REG_SZ. */
NTSTATUS cm_set_text(HANDLE key, const char *name, const char *text);
/* A handle of the key, which is made if it is not there. */
NTSTATUS cm_open_key(const char *path, ACCESS_MASK access, PHANDLE out_handle);

#endif
