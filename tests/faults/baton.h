/*
 * baton.h - the threads of the process one at a time, in an order of a seed
 *
 * Linked in front of the threads' library (meson.build wraps its routines), so
 * that no program under test knows of it: a thread gives the baton away where it
 * waits, and now and then where it takes a lock or signals.  Time stands still
 * while any thread can run, and then goes to the first limit of a wait.  The
 * same seed gives the same run, time stamps included.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_BATON_H
#define FAULTS_BATON_H

#include <stdint.h>

/* The calling thread, which is the only one, gets the baton. */
void baton_begin(uint64_t seed);
/* Another thread may go on here. */
void baton_point(void);
/* The others run; returns when the time is over. */
void baton_sleep_ms(uint64_t ms);
uint64_t baton_now_ms(void);
/* How often the baton was given away. */
uint64_t baton_switches(void);
/* Called on whichever thread finds that none can ever go on, or that none
 * stops; must not return. */
void baton_on_stuck(void (*fn)(const char *why));

#endif
