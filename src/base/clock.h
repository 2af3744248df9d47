/*
 * clock.h - the only source of time
 *
 * Real by default.  In manual mode, for tests, time stands still but for
 * clock_advance_ms; waits and timers of ke follow it.  Any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

uint64_t clock_now_ns(void);            /* monotonic */
uint64_t clock_coarse_ms(void);         /* monotonic, cheap, some ms behind */
uint64_t clock_wall_ms(void);           /* since 1970 */

/* Time stands at what it was; switched off again, it goes on from there (it
 * never goes back). */
void clock_manual(bool on);
bool clock_is_manual(void);
/*
 * Manual mode only.  When it returns, the timers of ke that have become due
 * have expired and their DPCs have run (so hold no lock that one takes; in a
 * DPC it does not wait).
 */
void clock_advance_ms(uint64_t ms);
/* Called, on the thread that did it, after the mode or the manual time
 * changed.  One hook; NULL removes it. */
void clock_set_hook(void (*hook)(void));
/* The real CLOCK_MONOTONIC instant of a clock_now_ns() value, for time limits
 * of system calls.  Meaningless in manual mode. */
uint64_t clock_to_monotonic_ns(uint64_t now_ns);

#endif
