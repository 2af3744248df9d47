/*
 * answers.h - a tape drive that only answers, out of the environment
 *
 * MT_ANSWER_OPEN, _OP, _GET, _POS: the errno of each (0: it succeeds);
 * MT_ANSWER_GSTAT, _DSREG, _RESID, _ERREG, _FILE, _BLOCK, _TELL: what is
 * returned.  Each request becomes a line in the file MT_ANSWER_LOG.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mtio.h>

static inline long
answer(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? strtol(text, NULL, 0) : 0;
}

static inline void
answer_log(const char *what, long a, long b)
{
    const char *path = getenv("MT_ANSWER_LOG");
    FILE *file = path != NULL ? fopen(path, "a") : NULL;

    if (file == NULL)
        return;
    fprintf(file, "%s %ld %ld\n", what, a, b);
    fclose(file);
}

/* Each returns 0 or an errno. */
static inline int
answer_open(int how)
{
    answer_log("open", how, 0);
    return (int) answer("MT_ANSWER_OPEN");
}

static inline int
answer_op(int op, int count)
{
    answer_log("op", op, count);
    return (int) answer("MT_ANSWER_OP");
}

static inline int
answer_get(struct mtget *get)
{
    answer_log("get", 0, 0);
    memset(get, 0, sizeof *get);
    get->mt_type = MT_ISSCSI2;
    get->mt_resid = answer("MT_ANSWER_RESID");
    get->mt_dsreg = answer("MT_ANSWER_DSREG");
    get->mt_gstat = answer("MT_ANSWER_GSTAT");
    get->mt_erreg = answer("MT_ANSWER_ERREG");
    get->mt_fileno = (__daddr_t) answer("MT_ANSWER_FILE");
    get->mt_blkno = (__daddr_t) answer("MT_ANSWER_BLOCK");
    return (int) answer("MT_ANSWER_GET");
}

static inline int
answer_pos(struct mtpos *pos)
{
    answer_log("pos", 0, 0);
    pos->mt_blkno = answer("MT_ANSWER_TELL");
    return (int) answer("MT_ANSWER_POS");
}

#endif
