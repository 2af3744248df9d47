/*
 * Tests for src/rtl/table.c and splay.c; expectations from the pages of the
 * generic table and splay link routines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <ntddk.h>

#include <stdlib.h>

#define COUNT 400

static int blocks, fail_next;

static RTL_GENERIC_COMPARE_RESULTS NTAPI
compare(struct _RTL_GENERIC_TABLE *Table, PVOID FirstStruct, PVOID SecondStruct)
{
    ULONG a = *(PULONG) FirstStruct, b = *(PULONG) SecondStruct;

    return a < b ? GenericLessThan : a > b ? GenericGreaterThan : GenericEqual;
}

static PVOID NTAPI
allocate(struct _RTL_GENERIC_TABLE *Table, ULONG ByteSize)
{
    if (fail_next)
        return NULL;
    blocks++;
    return malloc(ByteSize);
}

static VOID NTAPI
release(struct _RTL_GENERIC_TABLE *Table, PVOID Buffer)
{
    blocks--;
    free(Buffer);
}

static RTL_GENERIC_TABLE table;

/* Every link has its counterpart; returns the number of nodes. */
static ULONG
check_links(PRTL_SPLAY_LINKS node)
{
    ULONG n = 1;

    if (node->LeftChild != NULL) {
        assert_ptr_equal(node->LeftChild->Parent, node);
        n += check_links(node->LeftChild);
    }
    if (node->RightChild != NULL) {
        assert_ptr_equal(node->RightChild->Parent, node);
        n += check_links(node->RightChild);
    }
    return n;
}

static void
check_tree(ULONG count)
{
    assert_int_equal(RtlNumberGenericTableElements(&table), count);
    assert_int_equal(RtlIsGenericTableEmpty(&table), count == 0);
    if (count == 0) {
        assert_null(table.TableRoot);
        return;
    }
    assert_true(RtlIsRoot(table.TableRoot));
    assert_int_equal(check_links(table.TableRoot), count);
}

static ULONG
key_of(ULONG i)
{
    return i * 7919 % 1009; /* all different for i < 1009 */
}

static void
table__inserted_and_deleted__holds_the_rest_in_order(void **state)
{
    BOOLEAN is_new;
    ULONG key, last, n = 0;
    PULONG found;
    PVOID restart = NULL;

    RtlInitializeGenericTable(&table, compare, allocate, release, NULL);
    check_tree(0);
    assert_null(RtlEnumerateGenericTable(&table, TRUE));
    for (ULONG i = 0; i < COUNT; i++) {
        key = key_of(i);
        found = RtlInsertElementGenericTable(&table, &key, sizeof key, &is_new);
        assert_true(is_new);
        assert_int_equal(*found, key);
        assert_ptr_equal(
            RtlInsertElementGenericTable(&table, &key, sizeof key, &is_new),
            found);
        assert_false(is_new);
    }
    check_tree(COUNT);
    for (ULONG i = 0; i < COUNT; i++)
        assert_int_equal(*(PULONG) RtlGetElementGenericTable(&table, i),
                         key_of(i));
    assert_int_equal(*(PULONG) RtlGetElementGenericTable(&table, 3), key_of(3));
    assert_null(RtlGetElementGenericTable(&table, COUNT));
    for (ULONG i = 0; i < COUNT; i += 2) {
        key = key_of(i);
        assert_true(RtlDeleteElementGenericTable(&table, &key));
        assert_false(RtlDeleteElementGenericTable(&table, &key));
        assert_null(RtlLookupElementGenericTable(&table, &key));
    }
    check_tree(COUNT / 2);
    assert_int_equal(*(PULONG) RtlGetElementGenericTable(&table, 1), key_of(3));
    last = 0;
    for (found = RtlEnumerateGenericTable(&table, TRUE); found != NULL;
         found = RtlEnumerateGenericTable(&table, FALSE)) {
        assert_true(n++ == 0 || *found > last);
        last = *found;
    }
    assert_int_equal(n, COUNT / 2);
    for (n = 0;
         (found = RtlEnumerateGenericTableWithoutSplaying(&table, &restart)) !=
         NULL;
         n++) {
        assert_true(n == 0 || *found > last);
        last = *found;
    }
    assert_int_equal(n, COUNT / 2);
    for (ULONG i = 1; i < COUNT; i += 2) {
        key = key_of(i);
        assert_int_equal(*(PULONG) RtlLookupElementGenericTable(&table, &key),
                         key);
        assert_true(RtlDeleteElementGenericTable(&table, &key));
    }
    check_tree(0);
    assert_int_equal(blocks, 0);
}

static void
table__no_memory__null_and_unchanged(void **state)
{
    ULONG key = 5;
    BOOLEAN is_new = TRUE;

    RtlInitializeGenericTable(&table, compare, allocate, release, NULL);
    fail_next = 1;
    assert_null(
        RtlInsertElementGenericTable(&table, &key, sizeof key, &is_new));
    assert_false(is_new);
    fail_next = 0;
    check_tree(0);
}

static void
links__splayed_and_deleted__neighbours_stay(void **state)
{
    RTL_SPLAY_LINKS nodes[5], *root = &nodes[0];

    for (int i = 0; i < 5; i++)
        RtlInitializeSplayLinks(&nodes[i]);
    for (int i = 1; i < 5; i++)
        RtlInsertAsRightChild(&nodes[i - 1], &nodes[i]);
    root = RtlSplay(&nodes[4]);
    assert_ptr_equal(root, &nodes[4]);
    assert_true(RtlIsRoot(root));
    assert_int_equal(check_links(root), 5);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(RtlRealSuccessor(&nodes[i]), &nodes[i + 1]);
    for (int i = 1; i < 5; i++)
        assert_ptr_equal(RtlRealPredecessor(&nodes[i]), &nodes[i - 1]);
    assert_null(RtlRealSuccessor(&nodes[4]));
    assert_null(RtlRealPredecessor(&nodes[0]));
    root = RtlDelete(&nodes[2]);
    assert_int_equal(check_links(root), 4);
    assert_ptr_equal(RtlRealSuccessor(&nodes[1]), &nodes[3]);
    RtlDeleteNoSplay(root, &root);
    assert_int_equal(check_links(root), 3);
    while (root != NULL)
        root = RtlDelete(root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table__inserted_and_deleted__holds_the_rest_in_order),
        cmocka_unit_test(table__no_memory__null_and_unchanged),
        cmocka_unit_test(links__splayed_and_deleted__neighbours_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
