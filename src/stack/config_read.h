/*
 * config_read.h - a configuration file that is being read
 *
 * What takes a value returns 1, or 0 after it said what is wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_CONFIG_READ_H
#define STACK_CONFIG_READ_H

#include <stdio.h>

#include "stack/stack_internal.h"

/* Enough for any value: paths, URLs, fault rules have limits of their own. */
#define CONFIG_LINE_MAX 65535

struct reading {
    const char *path;
    FILE *file;
    struct ri_config *config;
    struct ri_error *error;
    unsigned line;
    unsigned service_line;
    char seen[512]; /* keys of this section, "a\nb\n" */
    char section[RI_NAME_MAX + 16];
    char *text;         /* the line as it was read, CONFIG_LINE_MAX + 2 bytes */
    bool after_long;    /* the last one with a key was too long for inih */
    struct kept_rule *faults; /* config_faults.c */
    int rc;
};

struct config_key {
    const char *section, *name;
    bool repeats;
    int (*set)(struct reading *r, const char *key, const char *value);
};

/* config.c */
/* A drive more, empty; NULL: no memory. */
struct ri_drive_config *config_add_drive(struct ri_config *config);
/* Is the section that is read one of a library? */
bool config_in_library(const struct reading *r);

/* config_keys.c */
/* NULL: there is no such key. */
const struct config_key *config_key(const char *section, const char *name);
/* [driver NAME]: any key is a value's name. */
int config_driver_value(struct reading *r, const char *key, const char *value);

/* config_faults.c */
/* Is it a rule?  It is kept with its line until the types are known. */
int config_check_fault(struct reading *r, const char *key, const char *value);
/* All of them: can each match in its drive? */
void config_check_faults(struct reading *r);
void config_forget_faults(struct reading *r);

/* config_values.c */
/* The first one counts.  Returns 0. */
int config_wrong(struct reading *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int config_text(struct reading *r, const char *key, const char *value,
                char *out, size_t max);
int config_one_of(struct reading *r, const char *key, const char *value,
                  const char *const *words, int *out);
/* yes, no and what stands for them; false: something else, *out untouched. */
bool config_is_yes_or_no(const char *value, bool *out);
int config_yes_or_no(struct reading *r, const char *key, const char *value,
                     bool *out);
/* Out is untouched where it is none. */
bool config_is_number(const char *value, unsigned low, unsigned high,
                      unsigned *out);
/* Bytes: a number, perhaps with one of the units, 1024 and its powers.
 * 0; -EINVAL: no size; -ERANGE: more than max. */
int config_is_size(const char *value, const char *units, uint64_t max,
                   uint64_t *out);
int config_number(struct reading *r, const char *key, const char *value,
                  unsigned max, unsigned *out);
/* Bytes: a number, perhaps with K, M or G (1024 and its powers). */
int config_size(struct reading *r, const char *key, const char *value,
                uint64_t *out);
/* iscsi://HOST[:PORT]/TARGET/LUN, where `all` is allowed perhaps without LUN. */
int config_iscsi_url(struct reading *r, const char *key, const char *value,
                     bool all);
int config_socket_path(struct reading *r, const char *key, const char *path);
/* To the lines that are there. */
int config_add_line(struct reading *r, const char *key, const char *line,
                    char **lines);

#endif
