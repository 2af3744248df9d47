/*
 * mt.h - the words of mt, as Debian's mt-st understands and answers them
 *
 * What a word does to a drive goes through struct mt_hands, so that the words
 * can be compared with the real mt over a drive that only answers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MT_H
#define MT_H

#include <stdbool.h>
#include <sys/mtio.h>

/* mt's own exit codes. */
enum mt_exit {
    MT_DONE = 0,
    MT_WRONG = 1,   /* the word, its arguments or the drive's name */
    MT_FAILED = 2,  /* the drive refused */
    MT_UNITS = 3,   /* a count that cannot be */
};

enum mt_open {
    MT_NOT_AT_ALL,  /* the word needs no drive */
    MT_READING,
    MT_WRITING,
    MT_NO_TAPE,     /* the drive may be empty, as with O_NONBLOCK */
};

/* Each returns 0 or -errno. */
struct mt_hands {
    int (*open)(void *context, const char *device, enum mt_open how);
    int (*op)(void *context, int mt_op, int count);
    int (*get)(void *context, struct mtget *out_get);
    int (*pos)(void *context, struct mtpos *out_pos);
    /* More of what failed last than an errno says; may be NULL. */
    const char *(*why)(void *context);
    /* The last sense of the drive that `get` asked, in words, or ""; may be
     * NULL. */
    const char *(*sense)(void *context);
};

struct mt {
    const struct mt_hands *hands;
    void *context;
    const char *device;         /* as the user names it, for messages */
    bool json;                  /* of status and tell */
};

/* --- mt_main.c ----------------------------------------------------------------- */

/* The whole command line of mt; fills in device.  An enum mt_exit. */
int mt_main(struct mt *mt, int argc, char **argv);

/* --- mt_words.c: argv[0] is the word; an enum mt_exit ------------------------ */

int mt_words(const struct mt *mt, int argc, char **argv);
/* Does this name a word of mt, or the beginning of one? */
bool mt_knows(const char *word);
void mt_print_usage(bool with_words);

/* --- mt_status.c ------------------------------------------------------------- */

void mt_print_status(const struct mtget *get);
void mt_print_status_json(const struct mtget *get, const char *sense);
void mt_print_densities(void);

/* --- mt_options.c: the words of stoptions, stsetoptions and stclearoptions --- */

/* Their bits together, or -1 after it said what is wrong. */
long mt_options(int count, char **words);

#endif
