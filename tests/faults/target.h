/*
 * target.h - the other end of iSCSI sessions, in this process
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_TARGET_H
#define FAULTS_TARGET_H

#include <stdbool.h>

/* Before the drives' sessions are made; drive_at is there. */
void target_begin(void);
/* After the last session. */
void target_end(void);
/* It does what it should from now on. */
void target_well(void);
/* May a hand put in the medium that was there, or another one?  See the README:
 * what is too fast for a drive, or for its port, is nobody's fault. */
bool target_may_take(int d, bool other);
/* A medium is in: in a round of silent drives nobody hears of it. */
void target_taken(int d);

#endif
