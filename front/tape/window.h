/*
 * window.h - memory that the two ends of a tape session share
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPELINK_WINDOW_H
#define TAPELINK_WINDOW_H

#include "tapelink/tape_link.h"

struct tape_link_window {
    int fd;                     /* -1: the other end's */
    size_t size;
    void *base;
};

/* A client's: checked and mapped; the descriptor stays the caller's.  NULL, or
 * what is wrong with it. */
const char *tape_window_take(int fd, struct tape_link_window *out_window);
void tape_window_drop(struct tape_link_window *window);

#endif
