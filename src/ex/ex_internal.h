/*
 * ex_internal.h - what the files of ex share
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef EX_INTERNAL_H
#define EX_INTERNAL_H

#include <ntifs.h>

#include "ke/irql.h"
#include "ke/ke.h"

/* What an exception that nobody catches ends in. */
#define NO_EXCEPTION_HANDLING_SUPPORT 0x0B

/* Are normal kernel APCs held off, as owning a lock demands? */
static inline BOOLEAN
ex_apcs_held_off(void)
{
    return ke_irql >= APC_LEVEL || KeAreApcsDisabled();
}

#endif
