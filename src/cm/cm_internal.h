/*
 * cm_internal.h - what the files of this room share
 *
 * Lock: the registry mutex, over the whole tree.  ob's locks are taken inside;
 * no caller's routine is called under it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CM_INTERNAL_H
#define CM_INTERNAL_H

#include "cm/cm.h"

#include "ke/irql.h"
#include "ob/ob.h"

#define CM_TAG        0x20206D43u /* "Cm  " */
#define CM_TAG_STRING 0x736C7452u /* RtlFreeUnicodeString's */

#define CM_WINDOWS_NT                                                         \
    "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion"

/* An object; its parent holds a reference to it. */
struct key {
    LIST_ENTRY entry;     /* among its parent's children */
    struct key *parent;   /* borrowed; NULL: the root, or deleted */
    LIST_ENTRY children;  /* struct key, by time of creation */
    LIST_ENTRY values;    /* struct value */
    UNICODE_STRING name;  /* pool */
    UNICODE_STRING class; /* pool, or empty */
    LARGE_INTEGER written;
    bool deleted;
    bool is_volatile;
};

struct value {
    LIST_ENTRY entry;
    UNICODE_STRING name; /* behind the record */
    ULONG type;
    ULONG length;
    PVOID data; /* pool, or NULL */
};

/* What ZwCreateKey gives to the parse hook. */
struct create_key {
    PCUNICODE_STRING class;
    ULONG options;
    ULONG disposition; /* out */
};

/* key.c */
extern struct _OBJECT_TYPE cm_key_type;
void cm_lock(void);
void cm_unlock(void);
struct key *cm_new_key(PCUNICODE_STRING name, PCUNICODE_STRING class);
struct key *cm_child_locked(struct key *key, PCUNICODE_STRING name);
void cm_touch_locked(struct key *key);
NTSTATUS cm_add_child_locked(struct key *parent, struct key *child);
/* Off its parent's list; the parent's reference becomes the caller's. */
void cm_unlink_locked(struct key *key);
/* Everything below, from the leaves. */
void cm_empty_locked(struct key *key);
NTSTATUS cm_copy_string(UNICODE_STRING *to, PCUNICODE_STRING from);
/* The key of a handle, referenced, and the lock taken; STATUS_KEY_DELETED. */
NTSTATUS cm_enter(HANDLE handle, ACCESS_MASK access, struct key **out_key);
void cm_leave(struct key *key);

/* value.c */
struct value *cm_value_locked(struct key *key, PCUNICODE_STRING name);
NTSTATUS cm_set_locked(struct key *key, PCUNICODE_STRING name, ULONG type,
                       const void *data, ULONG length);
void cm_free_value(struct value *value);

/* A result made of parts: the first is the fixed head. */
struct part {
    ULONG offset;
    const void *data;
    ULONG length;
};

/* Copies what fits.  STATUS_BUFFER_TOO_SMALL: not even the head;
 * STATUS_BUFFER_OVERFLOW: not all.  *out_length: what all needs. */
NTSTATUS cm_answer(const struct part *parts, int count, PVOID out, ULONG max,
                   PULONG out_length);

/* relative.c: RelativeTo and Path of the Rtl routines as a handle. */
NTSTATUS cm_open_relative(ULONG relative_to, PCWSTR path, bool create,
                          PHANDLE out_handle, bool *out_close);

#endif
