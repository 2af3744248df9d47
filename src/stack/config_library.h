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

#endif
