/*
 * config_tape.h - what an emulated tape drive is like: its keys
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_CONFIG_TAPE_H
#define STACK_CONFIG_TAPE_H

#include <reinsert.h>

#define CONFIG_TAPE_BLOCK_MAX (1u << 20)

/* Is it one of them, with "drive-" before it?  Its name, or NULL. */
const char *config_tape_library_key(const char *name);
/* False with a sentence: no such key, or not such a value. */
bool config_tape_set(struct ri_tape_config *config, const char *name,
                     const char *value, char *out_text, size_t text_max);
/* After the last key: is what is given of such a drive?  False with a sentence,
 * and its line (0: of the section). */
bool config_tape_fits(const struct ri_drive_config *drive, unsigned *out_line,
                      char *out_text, size_t text_max);

#endif
