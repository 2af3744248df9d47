/*
 * rtl_internal.h - what the files of rtl share
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef RTL_INTERNAL_H
#define RTL_INTERNAL_H

#include <ntifs.h>

#include "ke/irql.h"

#include <stdbool.h>

/* Of strings that the routines allocate. */
#define RTL_TAG 'sltR'

#endif
