/*
 * target.h - the other end of iSCSI sessions, in this process
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_TARGET_H
#define FAULTS_TARGET_H

/* Before the drives' sessions are made; drive_at is there. */
void target_begin(void);
/* After the last session. */
void target_end(void);
/* It does what it should from now on. */
void target_well(void);

#endif
