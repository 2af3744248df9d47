/*
 * changer.h - what the files of `reinsert changer` share
 *
 * The words are those of mtx, done one after the other.  Each works on what
 * the service says of one library, and gives one command to it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CHANGER_H
#define CHANGER_H

#include "cli/cli.h"

#define NOT_GIVEN (-1) /* of numbers on the command line */

struct changer {
    const struct cli *cli;
    struct client *client;
    const char *given;         /* the device as the user names it, or NULL */
    char library[RI_NAME_MAX]; /* "" until it is needed */
    bool json;
    bool mtx;                  /* called by that name */
    bool bar_codes;            /* shown */
    bool invert, invert2, nowait, noverify, cleaning, force;
    bool whole;                /* all fields of the elements are needed */
    json_t *status;            /* of the library, NULL: to be read */
};

/* --- changer_link.c: the service. 0, or 1 after it said what is wrong -------- */

/* Finds the library that is meant. */
int changer_find(struct changer *changer);
/* Reads library and elements, if that has not been done. */
int changer_read(struct changer *changer);
void changer_forget(struct changer *changer);
/* Takes over body.  out_reply: {"result": ...}, {"error": ...}, or both. */
int changer_command(struct changer *changer, const char *op, json_t *body,
                    json_t **out_reply);
/* NULL: there is none of that number.  "slot" finds mail slots, too. */
const json_t *changer_element(const struct changer *changer, const char *type,
                              long number);
const json_t *changer_library(const struct changer *changer);
bool json_flag(const json_t *object, const char *field);

/* --- changer_print.c -------------------------------------------------------------- */

void changer_print_status(const struct changer *changer);
void changer_print_inquiry(const struct changer *changer);
void changer_print_drives(const struct changer *changer);
/* Why a command failed, on stderr, in the words that programs know. */
void changer_print_failure(const struct changer *changer, const char *command,
                           const json_t *reply);
void changer_print_notes(const json_t *result);

/* --- changer_words.c ---------------------------------------------------------------- */

/* Words in order.  0, or 1 at the first that fails. */
int changer_words(struct changer *changer, int count, char **words);

#endif
