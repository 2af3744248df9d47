/*
 * list.h - a doubly linked list with the interface that the tests expect
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_LIST_H
#define TESTS_WINE_LIST_H

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(list) { &(list), &(list) }

static inline void
list_add_tail(struct list *list, struct list *entry)
{
    entry->next = list;
    entry->prev = list->prev;
    list->prev->next = entry;
    list->prev = entry;
}

static inline void
list_remove(struct list *entry)
{
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
}

static inline unsigned
list_count(const struct list *list)
{
    unsigned count = 0;

    for (const struct list *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

#define LIST_FOR_EACH_ENTRY(var, list, type, field)                           \
    for ((var) = CONTAINING_RECORD((list)->next, type, field);                \
         &(var)->field != (list);                                             \
         (var) = CONTAINING_RECORD((var)->field.next, type, field))

#endif
