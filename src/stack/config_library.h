/*
 * config_library.h - the keys of [library NAME]
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_CONFIG_LIBRARY_H
#define STACK_CONFIG_LIBRARY_H

#include <reinsert.h>

void library_defaults(struct ri_library_config *config);
bool library_key_repeats(const char *name);
/* False with a sentence: no such key, or not such a value. */
bool library_key_set(struct ri_library_config *config, const char *name,
                     const char *value, char *out_text, size_t text_max);
/* After the last key: what must be given, and where the state is. */
bool library_complete(struct ri_library_config *config, char *out_text,
                      size_t text_max);

/* config.c: what is wrong with the way to a drive or robot, by its port; or
 * NULL. */
const char *config_reach_fault(const struct ri_drive_config *drive);

/* What it says fits together, and the rest of the configuration has its
 * drives; counts those of a real one.  False with a sentence, and its line. */
bool library_fits(const struct ri_config *config,
                  struct ri_library_config *library, unsigned *out_line,
                  char *out_text, size_t text_max);
/* What its drive is called: RI_NAME_MAX. */
void library_drive_name(const struct ri_library_config *config, unsigned n,
                        char *out_name);

#endif
