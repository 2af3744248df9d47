/*
 * mtwords.c - our words of mt over a drive of answers.h
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>

#include "answers.h"
#include "cli/mt.h"

static int
open_it(void *context, const char *device, enum mt_open how)
{
    return -answer_open(how == MT_WRITING   ? O_RDWR
                        : how == MT_NO_TAPE ? O_RDONLY | O_NONBLOCK
                                            : O_RDONLY);
}

static int
op(void *context, int mt_op, int count)
{
    return -answer_op(mt_op, count);
}

static int
get(void *context, struct mtget *out_get)
{
    return -answer_get(out_get);
}

static int
pos(void *context, struct mtpos *out_pos)
{
    return -answer_pos(out_pos);
}

int
main(int argc, char **argv)
{
    static const struct mt_hands hands = {
        .open = open_it,
        .op = op,
        .get = get,
        .pos = pos,
    };
    struct mt mt = { .hands = &hands };

    return mt_main(&mt, argc, argv);
}
