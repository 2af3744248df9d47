/*
 * ob_internal.h - what the files of this room share
 *
 * Locks: the name lock (names, directories, `permanent`) before the handle lock
 * (table, `handles`); nothing else is taken under them, no hook is called under
 * them, and no object is dereferenced.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef OB_INTERNAL_H
#define OB_INTERNAL_H

#include "ob/ob.h"

#include "ke/irql.h"

/* --- name.c --------------------------------------------------------------- */

/* Drops the name of an object that is neither permanent nor open. */
void ob_name_release(PVOID object);
bool ob_has_name(PVOID object);
/* ob_lookup; *out_entry: found by its name in a directory, not by a hook. */
NTSTATUS ob_lookup_entry(const struct ob_open *open, PVOID *out_object,
                         bool *out_entry);
NTSTATUS ob_names_init(void);
void ob_names_shutdown(void);
/* NULL: no memory. */
PVOID ob_new_directory(void);
NTSTATUS ob_new_link(PCUNICODE_STRING target, PVOID *out_link);
PCUNICODE_STRING ob_link_target(PVOID link);
/* STATUS_OBJECT_NAME_COLLISION: a reference to what has the name already in
 * *out_existing, or NULL if that is no object of a directory. */
NTSTATUS ob_name_insert(PVOID object, HANDLE root, PCUNICODE_STRING name,
                        ULONG attributes, PVOID *out_existing);

/* A reference to what the directory has by this name. */
NTSTATUS ob_name_child(PVOID directory, PCUNICODE_STRING name,
                       bool insensitive, PVOID *out_object);
PVOID ob_root(void);

/* --- walk.c --------------------------------------------------------------- */

/* Both after one another, in the pool (OB_TAG_NAME). */
NTSTATUS ob_join(PCUNICODE_STRING first, PCUNICODE_STRING second,
                 UNICODE_STRING *out_path);
/* Goes to the directory that the last component lies in, whether it is there
 * or not; fn is called with both. */
typedef NTSTATUS ob_in_parent_fn(PVOID directory, PCUNICODE_STRING last,
                                 void *context);
NTSTATUS ob_walk_to_parent(const struct ob_open *open, ob_in_parent_fn *fn,
                           void *context);

/* --- handle.c ------------------------------------------------------------- */

LONG ob_handles_of(PVOID object);
void ob_handles_shutdown(void);
/* A reference to what the handle names. */
NTSTATUS ob_reference_handle(HANDLE handle, ACCESS_MASK access,
                             POBJECT_TYPE type, KPROCESSOR_MODE mode,
                             PVOID *out_object,
                             POBJECT_HANDLE_INFORMATION out_information);

/* --- type.c --------------------------------------------------------------- */

/* The one process. */
PEPROCESS ob_system_process(void);

#endif
