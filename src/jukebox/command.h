/*
 * command.h - the files that carry out commands, among themselves
 *
 * All return 0, or a negative errno with the result filled.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_COMMAND_H
#define JUKEBOX_COMMAND_H

#include "jukebox/library_internal.h"

typedef const struct ri_library_command command_t;
typedef struct ri_library_result result_t;

/* --- arguments.c --- */

int command_freshen(struct library *library, const struct place *places,
                    size_t count, result_t *result);
int command_take_slot(struct library *library, uint32_t number,
                      const char *what, struct place *out_place,
                      result_t *result);
int command_take_source(struct library *library, command_t *command,
                        struct place *out_place, result_t *result);
int command_take_drive(struct library *library, uint32_t drive,
                       struct place *out_place, result_t *result);
bool command_is_away(struct library *library, uint32_t drive);
uint32_t command_choose_drive(struct library *library);
int command_refuse_empty(struct library *library, struct place place,
                         result_t *result);
int command_refuse_full(struct library *library, struct place place,
                        const struct cartridge *mover, result_t *result);
int command_check_ends(struct library *library, struct place source,
                       struct place destination, result_t *result);
int command_move(struct library *library, struct place source,
                 struct place destination, command_t *command, result_t *result,
                 struct motion *out_motion);

/* --- load.c --- */

int command_after_load(struct library *library, const struct motion *motion,
                       command_t *command, result_t *result);
int command_check_cleaner(struct library *library, struct place source,
                          command_t *command, result_t *result);
int command_run_load(struct library *library, command_t *command,
                     result_t *result);
int command_release(struct library *library, unsigned drive, command_t *command,
                    result_t *result);
int command_run_unload(struct library *library, command_t *command,
                       result_t *result);

/* --- transfer.c --- */

int command_run_transfer(struct library *library, command_t *command,
                         result_t *result);
int command_run_exchange(struct library *library, command_t *command,
                         result_t *result);
int command_run_position(struct library *library, command_t *command,
                         result_t *result);
int command_run_open_mail(struct library *library, command_t *command,
                          result_t *result);
int command_run_close_mail(struct library *library, command_t *command,
                           result_t *result);
int command_run_lock(struct library *library, command_t *command,
                     result_t *result);
int command_run_unlock(struct library *library, command_t *command,
                       result_t *result);
int command_run_import(struct library *library, command_t *command,
                       result_t *result);
int command_run_export(struct library *library, command_t *command,
                       result_t *result);

/* --- clean.c --- */

int command_run_clean(struct library *library, command_t *command,
                      result_t *result);

/* --- hand.c --- */

bool command_hand_full(struct library *library);
/* What the robot holds is put away; 0 also when it holds nothing. */
int command_empty_hand(struct library *library, command_t *command,
                       result_t *result);

/* --- command.c --- */

int command_read_all(struct library *library, result_t *result);

#endif
