/*
 * orders.c - what a target is to do: commands, logins, task management
 *
 * Whoever holds the baton (baton.h) owns the list.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "target_internal.h"
#include "world.h"

struct order *orders;
static uint64_t numbers;

uint64_t
order_number(void)
{
    return ++numbers;
}

struct order *
order_new(struct link *link, enum order_kind kind, iscsi_command_cb done,
          void *context)
{
    struct order *order = calloc(1, sizeof *order);

    order->kind = kind;
    order->link = link;
    order->d = link->d;
    order->done = done;
    order->context = context;
    order->number = order_number();
    order->next = orders;
    orders = order;
    return order;
}

void
order_free(struct order *order)
{
    struct order **at = &orders;

    while (*at != order)
        at = &(*at)->next;
    *at = order->next;
    if (order->kind == COMMAND && order->link == NULL &&
        order->command.dir == VSCSI_TO_DRIVE)
        model_left(order->data, order->command.data_len, true);
    free(order->data);
    free(order);
}

struct order *
order_numbered(uint64_t number)
{
    struct order *order = orders;

    while (order != NULL && order->number != number)
        order = order->next;
    return order;
}

struct order *
order_of(const struct link *link, const struct scsi_task *task)
{
    struct order *order = orders;

    while (order != NULL && (order->link != link || order->task != task ||
                             order->kind != COMMAND))
        order = order->next;
    return order;
}

struct order *
order_any(bool (*fits)(const struct order *, const void *), const void *what)
{
    struct order *found = NULL;
    uint64_t n = 0;

    for (struct order *order = orders; order != NULL; order = order->next)
        if (fits(order, what) && chance(++n) == 0)
            found = order;
    return found;
}

bool
order_is_check(const struct order *order)
{
    return order->kind == COMMAND && order->command.result == VSCSI_DONE &&
           order->command.status == SCSI_STATUS_CHECK_CONDITION;
}

bool
order_is_read(const struct order *order)
{
    uint8_t op = order->command.cdb[0];

    return order->kind == COMMAND && (op == 0x28 || op == 0xA8 || op == 0x88);
}

bool
order_is_write(const struct order *order)
{
    return order->kind == COMMAND && order->command.dir == VSCSI_TO_DRIVE;
}
