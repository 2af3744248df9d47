/*
 * operator.h - one service, from its start to its end
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_OPERATOR_H
#define FAULTS_OPERATOR_H

/* In a process of its own; says in world->verdict how it ended. */
void operator_main(void);

#endif
