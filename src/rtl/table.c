/*
 * table.c - generic tables: elements in order, in memory of the caller's choice
 *
 * An element is a node of a splay tree, an entry of the list in the order in
 * which they came, and the caller's bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

struct element {
    RTL_SPLAY_LINKS links;
    LIST_ENTRY entry;
    LONGLONG data; /* the first of the caller's bytes */
};

#define HEAD_BYTES offsetof(struct element, data)

static struct element *
of_links(PRTL_SPLAY_LINKS links)
{
    return CONTAINING_RECORD(links, struct element, links);
}

/* The element that equals it, or the one below which it would be. */
static TABLE_SEARCH_RESULT
search(PRTL_GENERIC_TABLE table, PVOID buffer, PRTL_SPLAY_LINKS *out_links)
{
    PRTL_SPLAY_LINKS at = table->TableRoot;

    if (at == NULL)
        return TableEmptyTree;
    for (;;) {
        RTL_GENERIC_COMPARE_RESULTS order =
            table->CompareRoutine(table, buffer, &of_links(at)->data);
        PRTL_SPLAY_LINKS next =
            order == GenericLessThan ? at->LeftChild : at->RightChild;

        *out_links = at;
        if (order == GenericEqual)
            return TableFoundNode;
        if (next == NULL)
            return order == GenericLessThan ? TableInsertAsLeft
                                            : TableInsertAsRight;
        at = next;
    }
}

VOID NTAPI
RtlInitializeGenericTable(PRTL_GENERIC_TABLE Table,
                          PRTL_GENERIC_COMPARE_ROUTINE CompareRoutine,
                          PRTL_GENERIC_ALLOCATE_ROUTINE AllocateRoutine,
                          PRTL_GENERIC_FREE_ROUTINE FreeRoutine,
                          PVOID TableContext)
{
    *Table = (RTL_GENERIC_TABLE){
        .CompareRoutine = CompareRoutine,
        .AllocateRoutine = AllocateRoutine,
        .FreeRoutine = FreeRoutine,
        .TableContext = TableContext,
    };
    InitializeListHead(&Table->InsertOrderList);
    Table->OrderedPointer = &Table->InsertOrderList;
}

static struct element *
add(PRTL_GENERIC_TABLE table, PVOID buffer, ULONG bytes, PRTL_SPLAY_LINKS below,
    TABLE_SEARCH_RESULT where)
{
    struct element *element =
        table->AllocateRoutine(table, (ULONG) HEAD_BYTES + bytes);

    if (element == NULL)
        return NULL;
    RtlInitializeSplayLinks(&element->links);
    if (where == TableInsertAsLeft)
        RtlInsertAsLeftChild(below, &element->links);
    else if (where == TableInsertAsRight)
        RtlInsertAsRightChild(below, &element->links);
    InsertTailList(&table->InsertOrderList, &element->entry);
    table->NumberGenericTableElements++;
    RtlCopyMemory(&element->data, buffer, bytes);
    return element;
}

/* *NewElement (may be NULL) FALSE: it was there already. */
PVOID NTAPI
RtlInsertElementGenericTable(PRTL_GENERIC_TABLE Table, PVOID Buffer,
                             ULONG BufferSize, PBOOLEAN NewElement)
{
    PRTL_SPLAY_LINKS at = NULL;
    TABLE_SEARCH_RESULT where = search(Table, Buffer, &at);
    struct element *element;

    element = where == TableFoundNode
                  ? of_links(at)
                  : add(Table, Buffer, BufferSize, at, where);
    if (NewElement != NULL)
        *NewElement = element != NULL && where != TableFoundNode;
    if (element == NULL)
        return NULL;
    Table->TableRoot = RtlSplay(&element->links);
    return &element->data;
}

/* FALSE: there was none. */
BOOLEAN NTAPI
RtlDeleteElementGenericTable(PRTL_GENERIC_TABLE Table, PVOID Buffer)
{
    PRTL_SPLAY_LINKS at = NULL;

    if (search(Table, Buffer, &at) != TableFoundNode)
        return FALSE;
    Table->TableRoot = RtlDelete(at);
    RemoveEntryList(&of_links(at)->entry);
    Table->NumberGenericTableElements--;
    Table->WhichOrderedElement = 0;
    Table->OrderedPointer = &Table->InsertOrderList;
    Table->FreeRoutine(Table, of_links(at));
    return TRUE;
}

PVOID NTAPI
RtlLookupElementGenericTable(PRTL_GENERIC_TABLE Table, PVOID Buffer)
{
    PRTL_SPLAY_LINKS at = NULL;
    TABLE_SEARCH_RESULT where = search(Table, Buffer, &at);

    if (at != NULL)
        Table->TableRoot = RtlSplay(at);
    return where == TableFoundNode ? &of_links(at)->data : NULL;
}

static PRTL_SPLAY_LINKS
first_of(PRTL_GENERIC_TABLE table)
{
    PRTL_SPLAY_LINKS at = table->TableRoot;

    while (at != NULL && at->LeftChild != NULL)
        at = at->LeftChild;
    return at;
}

/* The last one is at the root: a lookup in between changes where it goes on. */
PVOID NTAPI
RtlEnumerateGenericTable(PRTL_GENERIC_TABLE Table, BOOLEAN Restart)
{
    PRTL_SPLAY_LINKS at = NULL;

    if (Restart)
        at = first_of(Table);
    else if (Table->TableRoot != NULL)
        at = RtlRealSuccessor(Table->TableRoot);
    if (at == NULL)
        return NULL;
    Table->TableRoot = RtlSplay(at);
    return &of_links(at)->data;
}

/* *RestartKey NULL: from the first.  The tree stays as it is, so that several
 * may enumerate. */
PVOID NTAPI
RtlEnumerateGenericTableWithoutSplaying(PRTL_GENERIC_TABLE Table,
                                        PVOID *RestartKey)
{
    PRTL_SPLAY_LINKS at =
        *RestartKey == NULL ? first_of(Table) : RtlRealSuccessor(*RestartKey);

    if (at == NULL)
        return NULL;
    *RestartKey = at;
    return &of_links(at)->data;
}

/* In the order in which they came, from 0.  Continues from the last one asked
 * for when that is on the way. */
PVOID NTAPI
RtlGetElementGenericTable(PRTL_GENERIC_TABLE Table, ULONG I)
{
    PLIST_ENTRY at = &Table->InsertOrderList;
    ULONG number = 0; /* of the entry, from 1; 0: the head */

    if (I >= Table->NumberGenericTableElements)
        return NULL;
    if (Table->WhichOrderedElement != 0 &&
        Table->WhichOrderedElement <= I + 1) {
        at = Table->OrderedPointer;
        number = Table->WhichOrderedElement;
    }
    for (; number < I + 1; number++)
        at = at->Flink;
    Table->OrderedPointer = at;
    Table->WhichOrderedElement = number;
    return &CONTAINING_RECORD(at, struct element, entry)->data;
}

ULONG NTAPI
RtlNumberGenericTableElements(PRTL_GENERIC_TABLE Table)
{
    return Table->NumberGenericTableElements;
}

BOOLEAN NTAPI
RtlIsGenericTableEmpty(PRTL_GENERIC_TABLE Table)
{
    return Table->TableRoot == NULL;
}
