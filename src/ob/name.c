/*
 * name.c - the names of objects: directories and links (the way along a path
 *          is walk.c)
 *
 * A name holds a reference to its object and to its directory.  It goes with
 * the last handle, or with ob_make_temporary if the object is permanent.  Names
 * are kept with a folded copy, so that nothing has to be folded under the lock.
 *
 * Lock: the name lock, taken at <= DISPATCH; references are dropped outside it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

#include "ke/ke.h"

#define BUCKETS 37

struct directory {
    LIST_ENTRY buckets[BUCKETS]; /* struct ob_name */
};

struct link {
    UNICODE_STRING target; /* pool */
    LARGE_INTEGER created;
};

struct ob_name {
    LIST_ENTRY entry;
    PVOID directory; /* holds a reference */
    PVOID object;    /* holds a reference */
    UNICODE_STRING name;
    UNICODE_STRING folded; /* both buffers follow the record */
};

static KSPIN_LOCK name_lock;
static PVOID root; /* the directory "\"; constant from init to shutdown */

/* --- strings -------------------------------------------------------------- */

static WCHAR
fold(WCHAR c)
{
    return RtlUpcaseUnicodeChar(c);
}

static void
fold_to(PUNICODE_STRING to, PCUNICODE_STRING from, PWSTR buffer)
{
    to->Length = to->MaximumLength = from->Length;
    to->Buffer = buffer;
    for (SIZE_T i = 0; i < from->Length / sizeof(WCHAR); i++)
        buffer[i] = fold(from->Buffer[i]);
}

static unsigned
bucket_of(PCUNICODE_STRING folded)
{
    unsigned hash = 0;

    for (SIZE_T i = 0; i < folded->Length / sizeof(WCHAR); i++)
        hash = hash * 31 + folded->Buffer[i];
    return hash % BUCKETS;
}

static bool
same(PCUNICODE_STRING a, PCUNICODE_STRING b)
{
    return a->Length == b->Length &&
           RtlEqualMemory(a->Buffer, b->Buffer, a->Length);
}

/* --- names of objects, written out ---------------------------------------- */

void
ob_path_add(struct ob_path *path, PCUNICODE_STRING text)
{
    if (text->Length != 0 && path->buffer != NULL && path->length < path->max) {
        ULONG fits = path->max - path->length;

        RtlCopyMemory((char *) path->buffer + path->length, text->Buffer,
                      text->Length < fits ? text->Length : fits);
    }
    path->length += text->Length;
}

/* From the outermost name on, however deep it is. */
static void
add_names_locked(struct ob_path *path, PVOID object)
{
    static const UNICODE_STRING separator = RTL_CONSTANT_STRING(L"\\");
    int n = 0;

    if (object == root)
        ob_path_add(path, &separator);
    for (PVOID at = object; ob_head_of(at)->name != NULL;
         at = ob_head_of(at)->name->directory)
        n++;
    while (n-- > 0) {
        struct ob_name *name = ob_head_of(object)->name;

        for (int i = 0; i < n; i++)
            name = ob_head_of(name->directory)->name;
        ob_path_add(path, &separator);
        ob_path_add(path, &name->name);
    }
}

void
ob_path_add_object(struct ob_path *path, PVOID object)
{
    POBJECT_TYPE type = ob_type_of(object);
    KIRQL irql;

    if (type->add_name != NULL) {
        type->add_name(object, path);
        return;
    }
    KeAcquireSpinLock(&name_lock, &irql);
    add_names_locked(path, object);
    KeReleaseSpinLock(&name_lock, irql);
}

void
ob_path_add_directory_name(struct ob_path *path, PVOID object)
{
    KIRQL irql;

    KeAcquireSpinLock(&name_lock, &irql);
    add_names_locked(path, object);
    KeReleaseSpinLock(&name_lock, irql);
}

/* --- in a directory ------------------------------------------------------- */

static struct ob_name *
find_locked(struct directory *directory, PCUNICODE_STRING name,
            PCUNICODE_STRING folded, bool insensitive)
{
    PLIST_ENTRY bucket = &directory->buckets[bucket_of(folded)];

    for (PLIST_ENTRY at = bucket->Flink; at != bucket; at = at->Flink) {
        struct ob_name *known = CONTAINING_RECORD(at, struct ob_name, entry);

        if (insensitive ? same(&known->folded, folded)
                        : same(&known->name, name))
            return known;
    }
    return NULL;
}

NTSTATUS
ob_name_child(PVOID directory, PCUNICODE_STRING name, bool insensitive,
              PVOID *out_object)
{
    UNICODE_STRING folded;
    struct ob_name *found;
    PWSTR buffer;
    KIRQL irql;

    buffer = ExAllocatePoolWithTag(PagedPool, name->Length + sizeof(WCHAR),
                                   OB_TAG_NAME);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    fold_to(&folded, name, buffer);
    KeAcquireSpinLock(&name_lock, &irql);
    found = find_locked(directory, name, &folded, insensitive);
    if (found != NULL) {
        *out_object = found->object;
        ObfReferenceObject(found->object);
    }
    KeReleaseSpinLock(&name_lock, irql);
    ExFreePoolWithTag(buffer, OB_TAG_NAME);
    return found != NULL ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
}

/* One entry of one list, or nothing. */
static struct ob_name *
nth_locked(struct directory *directory, ULONG index)
{
    for (int i = 0; i < BUCKETS; i++)
        for (PLIST_ENTRY at = directory->buckets[i].Flink;
             at != &directory->buckets[i]; at = at->Flink)
            if (index-- == 0)
                return CONTAINING_RECORD(at, struct ob_name, entry);
    return NULL;
}

static void
unlink_locked(struct ob_name *name)
{
    RemoveEntryList(&name->entry);
    ob_head_of(name->object)->name = NULL;
}

/* After unlink_locked, outside the lock. */
static void
free_name(struct ob_name *name)
{
    if (name == NULL)
        return;
    ObfDereferenceObject(name->object);
    ObfDereferenceObject(name->directory);
    ExFreePoolWithTag(name, OB_TAG_NAME);
}

void
ob_name_release(PVOID object)
{
    struct ob_head *head = ob_head_of(object);
    struct ob_name *name = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&name_lock, &irql);
    if (head->name != NULL && !head->permanent && ob_handles_of(object) == 0) {
        name = head->name;
        unlink_locked(name);
    }
    KeReleaseSpinLock(&name_lock, irql);
    free_name(name);
}

bool
ob_has_name(PVOID object)
{
    bool has;
    KIRQL irql;

    KeAcquireSpinLock(&name_lock, &irql);
    has = ob_head_of(object)->name != NULL;
    KeReleaseSpinLock(&name_lock, irql);
    return has;
}

void
ob_make_temporary(PVOID object)
{
    KIRQL irql;

    KeAcquireSpinLock(&name_lock, &irql);
    ob_head_of(object)->permanent = false;
    KeReleaseSpinLock(&name_lock, irql);
    ob_name_release(object);
}

/* --- new names ------------------------------------------------------------ */

static struct ob_name *
new_name(PVOID directory, PVOID object, PCUNICODE_STRING text)
{
    struct ob_name *name = ExAllocatePoolWithTag(
        NonPagedPool, sizeof *name + 2u * text->Length, OB_TAG_NAME);
    PWSTR buffer;

    if (name == NULL)
        return NULL;
    buffer = (PWSTR) (name + 1);
    ObfReferenceObject(directory);
    ObfReferenceObject(object);
    name->directory = directory;
    name->object = object;
    name->name = (UNICODE_STRING){ text->Length, text->Length, buffer };
    RtlCopyMemory(buffer, text->Buffer, text->Length);
    fold_to(&name->folded, text, buffer + text->Length / sizeof(WCHAR));
    return name;
}

/* Enters it, unless somebody else was there first: then *out_existing. */
static NTSTATUS
enter(PVOID directory, PVOID object, PCUNICODE_STRING text, ULONG attributes,
      PVOID *out_existing)
{
    struct ob_name *added = new_name(directory, object, text);
    struct ob_name *found;
    KIRQL irql;

    if (added == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&name_lock, &irql);
    found = find_locked(directory, text, &added->folded,
                        (attributes & OBJ_CASE_INSENSITIVE) != 0);
    if (found != NULL) {
        *out_existing = found->object;
        ObfReferenceObject(found->object);
    } else {
        InsertTailList(&((struct directory *) directory)
                            ->buckets[bucket_of(&added->folded)],
                       &added->entry);
        ob_head_of(object)->name = added;
        ob_head_of(object)->permanent = (attributes & OBJ_PERMANENT) != 0;
    }
    KeReleaseSpinLock(&name_lock, irql);
    if (found == NULL)
        return STATUS_SUCCESS;
    free_name(added);
    return STATUS_OBJECT_NAME_COLLISION;
}

/* What ob_name_insert has for the directory that the walk leads to. */
struct insertion {
    PVOID object;
    ULONG attributes;
    PVOID existing;
};

static NTSTATUS
insert_here(PVOID directory, PCUNICODE_STRING last, void *context)
{
    struct insertion *insertion = context;

    return enter(directory, insertion->object, last, insertion->attributes,
                 &insertion->existing);
}

NTSTATUS
ob_name_insert(PVOID object, HANDLE at, PCUNICODE_STRING name, ULONG attributes,
               PVOID *out_existing)
{
    const struct ob_open open = { .root = at,
                                  .name = name,
                                  .attributes = attributes,
                                  .type = &ob_directory_type };
    struct insertion insertion = { object, attributes, NULL };
    NTSTATUS status = ob_walk_to_parent(&open, insert_here, &insertion);

    *out_existing = insertion.existing;
    return status;
}

NTSTATUS
ob_name_object(PVOID object, PCUNICODE_STRING name, ULONG attributes)
{
    PVOID existing;
    NTSTATUS status = ob_name_insert(object, NULL, name, attributes, &existing);

    if (existing != NULL)
        ObfDereferenceObject(existing);
    return status;
}

/* --- directories, links --------------------------------------------------- */

PVOID
ob_new_directory(void)
{
    struct directory *directory =
        ob_create_object(&ob_directory_type, sizeof *directory);

    for (int i = 0; directory != NULL && i < BUCKETS; i++)
        InitializeListHead(&directory->buckets[i]);
    return directory;
}

NTSTATUS
ob_new_link(PCUNICODE_STRING target, PVOID *out_link)
{
    static const UNICODE_STRING nothing;
    UNICODE_STRING copy;
    struct link *link;
    NTSTATUS status = ob_join(target, &nothing, &copy);

    if (!NT_SUCCESS(status))
        return status;
    link = ob_create_object(&ob_link_type, sizeof *link);
    if (link == NULL) {
        ExFreePoolWithTag(copy.Buffer, OB_TAG_NAME);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    link->target = copy;
    KeQuerySystemTime(&link->created);
    *out_link = link;
    return STATUS_SUCCESS;
}

PCUNICODE_STRING
ob_link_target(PVOID link)
{
    return &((struct link *) link)->target;
}

static void
destroy_link(PVOID object)
{
    struct link *link = object;

    ExFreePoolWithTag(link->target.Buffer, OB_TAG_NAME);
    ob_free(link);
}

struct _OBJECT_TYPE ob_directory_type = {
    .name = OB_TYPE_NAME(L"Directory"),
    .mapping = { STANDARD_RIGHTS_READ | DIRECTORY_QUERY | DIRECTORY_TRAVERSE,
                 STANDARD_RIGHTS_WRITE | DIRECTORY_CREATE_OBJECT |
                     DIRECTORY_CREATE_SUBDIRECTORY,
                 STANDARD_RIGHTS_EXECUTE | DIRECTORY_QUERY | DIRECTORY_TRAVERSE,
                 DIRECTORY_ALL_ACCESS },
    .valid_access = DIRECTORY_ALL_ACCESS,
    .destroy = ob_free,
};

struct _OBJECT_TYPE ob_link_type = {
    .name = OB_TYPE_NAME(L"SymbolicLink"),
    .mapping = { STANDARD_RIGHTS_READ | SYMBOLIC_LINK_QUERY,
                 STANDARD_RIGHTS_WRITE,
                 STANDARD_RIGHTS_EXECUTE | SYMBOLIC_LINK_QUERY,
                 SYMBOLIC_LINK_ALL_ACCESS },
    .valid_access = SYMBOLIC_LINK_ALL_ACCESS,
    .destroy = destroy_link,
};

NTSTATUS
ob_directory_entry(PVOID directory, ULONG index, PVOID *out_object,
                   UNICODE_STRING *out_name)
{
    const USHORT max = 0xFFFE;
    struct ob_name *found;
    PWSTR buffer;
    KIRQL irql;

    buffer = ExAllocatePoolWithTag(PagedPool, max, OB_TAG_NAME);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&name_lock, &irql);
    found = nth_locked(directory, index);
    if (found != NULL) {
        ObfReferenceObject(found->object);
        *out_object = found->object;
        RtlCopyMemory(buffer, found->name.Buffer, found->name.Length);
        *out_name = (UNICODE_STRING){ found->name.Length, max, buffer };
    }
    KeReleaseSpinLock(&name_lock, irql);
    if (found == NULL)
        ExFreePoolWithTag(buffer, OB_TAG_NAME);
    return found != NULL ? STATUS_SUCCESS : STATUS_NO_MORE_ENTRIES;
}

/* --- life ----------------------------------------------------------------- */

static NTSTATUS
make_known(void)
{
    static const WCHAR *const directories[] = {
        L"\\Device",   L"\\Driver",           L"\\FileSystem",
        L"\\GLOBAL??", L"\\BaseNamedObjects", L"\\Callback",
    };
    static const WCHAR *const links[][2] = {
        { L"\\??", L"\\GLOBAL??" },
        { L"\\DosDevices", L"\\??" },
        { L"\\GLOBAL??\\Global", L"\\GLOBAL??" },
    };
    NTSTATUS status = STATUS_SUCCESS;
    UNICODE_STRING name, target;

    for (size_t i = 0; i < ARRAYSIZE(directories) && NT_SUCCESS(status); i++) {
        PVOID directory = ob_new_directory();

        if (directory == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        RtlInitUnicodeString(&name, directories[i]);
        status = ob_name_object(directory, &name, OBJ_PERMANENT);
        ObfDereferenceObject(directory);
    }
    for (size_t i = 0; i < ARRAYSIZE(links) && NT_SUCCESS(status); i++) {
        RtlInitUnicodeString(&name, links[i][0]);
        RtlInitUnicodeString(&target, links[i][1]);
        status = IoCreateSymbolicLink(&name, &target);
    }
    return status;
}

PVOID
ob_root(void)
{
    return root;
}

NTSTATUS
ob_names_init(void)
{
    NTSTATUS status;

    if (root != NULL)
        return STATUS_SUCCESS;
    root = ob_new_directory();
    if (root == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = make_known();
    if (!NT_SUCCESS(status))
        ob_names_shutdown();
    return status;
}

/* Depth first, so that what a directory names goes before it. */
static void
empty(PVOID directory)
{
    for (;;) {
        struct ob_name *name;
        KIRQL irql;

        KeAcquireSpinLock(&name_lock, &irql);
        name = nth_locked(directory, 0);
        if (name != NULL)
            unlink_locked(name);
        KeReleaseSpinLock(&name_lock, irql);
        if (name == NULL)
            return;
        if (ob_type_of(name->object) == &ob_directory_type)
            empty(name->object);
        free_name(name);
    }
}

void
ob_names_shutdown(void)
{
    PVOID last = root;

    if (last == NULL)
        return;
    empty(last);
    root = NULL;
    ObfDereferenceObject(last);
}
