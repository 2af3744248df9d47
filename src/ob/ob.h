/*
 * ob.h - objects, their names and their handles: what the rooms above use
 *
 * An object lies behind a head that counts its references and its handles and
 * names its type.  Threads are ke's: their head is empty, ke counts them.
 * PASSIVE unless noted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef OB_OB_H
#define OB_OB_H

#include <ntifs.h>

#include <stdbool.h>

#include "ke/thread.h"

/* --- names while they are built ------------------------------------------ */

/* Counts all, copies what fits. */
struct ob_path {
    PWSTR buffer;               /* may be NULL */
    ULONG max;                  /* bytes in buffer */
    ULONG length;               /* bytes so far */
};

void ob_path_add(struct ob_path *path, PCUNICODE_STRING text);
/* The full name of an object, nothing for one without a name. */
void ob_path_add_object(struct ob_path *path, PVOID object);
/* The same without the type's hook: for hooks. */
void ob_path_add_directory_name(struct ob_path *path, PVOID object);

/* --- types ---------------------------------------------------------------- */

/* One name being looked up. */
struct ob_open {
    HANDLE root;                /* of a directory, a device, a key, or NULL */
    PCUNICODE_STRING name;
    ULONG attributes;           /* OBJ_* */
    POBJECT_TYPE type;          /* wanted; NULL: any */
    ACCESS_MASK access;         /* generic rights are mapped already */
    KPROCESSOR_MODE mode;
    void *context;              /* what the caller has for the parse hook */
};

/*
 * Goes on below `object` with what is left of the name, which begins with a
 * backslash or is empty.  Success: a reference in *out_object.  STATUS_REPARSE:
 * the path in *out_path (pool, OB_TAG_NAME; freed by ob) is looked up instead.
 * Not called when `rest` is empty and the object is of the type that is wanted
 * and there is no context.
 */
typedef NTSTATUS ob_parse_fn(PVOID object, PCUNICODE_STRING rest,
                             const struct ob_open *open, PVOID *out_object,
                             UNICODE_STRING *out_path);

struct _OBJECT_TYPE {
    UNICODE_STRING name;
    GENERIC_MAPPING mapping;
    ACCESS_MASK valid_access;
    /* The last reference went: <= DISPATCH, gives back what the object has and
     * ends with ob_free (or keeps the object, with ob_revive). */
    void (*destroy)(PVOID object);
    /* A handle was closed; `left` others are open. */
    void (*close)(PVOID object, LONG left);
    ob_parse_fn *parse;
    /* NULL: the directory and the name in it. */
    void (*add_name)(PVOID object, struct ob_path *path);
    /* What a wait on a handle waits for; NULL: such handles are not waited
     * for. */
    PVOID (*waitable)(PVOID object);
};

#define OB_TYPE_NAME(text) RTL_CONSTANT_STRING(text)

/* Types that other rooms fill in belong to those: io has File, Device, Driver,
 * cm has Key.  Each is the target of its documented pointer. */
extern struct _OBJECT_TYPE ob_directory_type, ob_link_type, ob_event_type,
    ob_thread_type, ob_process_type;

/* --- objects: <= DISPATCH ------------------------------------------------- */

#define OB_TAG_OBJECT 0x6A624F20u   /* " Obj" */
#define OB_TAG_NAME   0x6D614E4Fu   /* "ONam" */
#define OB_TAG_HANDLE 0x646E4148u   /* "HAnd" */

#define OB_HEAD KE_OBJECT_HEAD

struct ob_head {
    LONG references;            /* atomic */
    LONG handles;               /* handle lock */
    POBJECT_TYPE type;          /* NULL: a thread */
    struct ob_name *name;       /* name lock */
    bool permanent;             /* name lock */
};

static inline struct ob_head *
ob_head_of(PVOID object)
{
    return (struct ob_head *) ((char *) object - OB_HEAD);
}

static inline POBJECT_TYPE
ob_type_of(PVOID object)
{
    POBJECT_TYPE type = ob_head_of(object)->type;

    return type != NULL ? type : &ob_thread_type;
}

/* Zeroed, with one reference.  NULL: no memory. */
PVOID ob_create_object(POBJECT_TYPE type, SIZE_T size);
void ob_free(PVOID object);
/* In a destroy hook: the object lives on, with one reference. */
void ob_revive(PVOID object);

enum ob_misuse { OB_DEAD, OB_OVER_RELEASED };
typedef void ob_misuse_fn(enum ob_misuse what);
/* Who says that a driver counts wrongly, and ends it. */
void ob_set_misuse(ob_misuse_fn *fn);

/* Exported by NT and used by drivers, but not documented. */
NTSTATUS NTAPI ObReferenceObjectByName(
    PUNICODE_STRING ObjectPath, ULONG Attributes,
    PACCESS_STATE PassedAccessState, ACCESS_MASK DesiredAccess,
    POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode, PVOID ParseContext,
    PVOID *ObjectPtr);
POBJECT_TYPE NTAPI ObGetObjectType(PVOID Object);

/* --- names ---------------------------------------------------------------- */

/* Enters a new object in its directory, without a handle.  OBJ_PERMANENT: the
 * name stays until ob_make_temporary; else until the last handle is closed.
 * STATUS_OBJECT_NAME_COLLISION. */
NTSTATUS ob_name_object(PVOID object, PCUNICODE_STRING name, ULONG attributes);
/* The name goes, at once if no handle is open.  <= DISPATCH. */
void ob_make_temporary(PVOID object);
/* Follows links.  A reference in *out_object. */
NTSTATUS ob_lookup(const struct ob_open *open, PVOID *out_object);
/* Entry i of a directory: referenced, its name in the pool (OB_TAG_NAME), or
 * STATUS_NO_MORE_ENTRIES. */
NTSTATUS ob_directory_entry(PVOID directory, ULONG index, PVOID *out_object,
                            UNICODE_STRING *out_name);

/* --- handles -------------------------------------------------------------- */

/* One more handle, which takes a reference of its own.  `access` is granted. */
NTSTATUS ob_insert_handle(PVOID object, ACCESS_MASK access, ULONG attributes,
                          PHANDLE out_handle);
/* The end of a Create: names the new object as the attributes say and opens it.
 * With OBJ_OPENIF it opens what bears the name already, and says so:
 * STATUS_OBJECT_NAME_EXISTS.
 * Always drops the caller's reference to `object`. */
NTSTATUS ob_insert_object(PVOID object, POBJECT_ATTRIBUTES attributes,
                          ACCESS_MASK access, PHANDLE out_handle);
/* An Open: looks the name up and opens what is there. */
NTSTATUS ob_open_object(POBJECT_ATTRIBUTES attributes, POBJECT_TYPE type,
                        ACCESS_MASK access, void *context, PHANDLE out_handle);
/* Generic rights and MAXIMUM_ALLOWED of `access` as the type has them. */
ACCESS_MASK ob_map_access(POBJECT_TYPE type, ACCESS_MASK access);
/* Handles that are open now. */
unsigned ob_handle_count(void);

/* --- life ----------------------------------------------------------------- */

/* Idempotent; makes the root and the known directories. */
NTSTATUS ob_init(void);
/* Closes handles that were left, takes all names away. */
void ob_shutdown(void);

#endif
