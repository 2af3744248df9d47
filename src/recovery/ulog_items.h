/*
 * ulog_items.h - a log on disk as the items of a recovery file
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef RECOVERY_ULOG_ITEMS_H
#define RECOVERY_ULOG_ITEMS_H

#include "recovery/ulog_format.h"

struct ulog_items;

/* -EINVAL: the file is no log. */
int ulog_items_open(const char *path, struct ulog_items **out_items,
                    struct rec_about *out_about, struct rec_error *error);
/* 1: an item, valid as long as the items; 0: the end. */
int ulog_items_next(struct ulog_items *items, struct rec_item *out_item);
uint64_t ulog_items_position(const struct ulog_items *items);
void ulog_items_free(struct ulog_items *items);

#endif
