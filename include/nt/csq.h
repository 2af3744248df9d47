/*
 * csq.h - cancel-safe queues
 *
 * The WDK keeps this header for drivers that were written when the routines
 * came in a library; all that it declares is in wdm.h, with the same names.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _CSQ_H_
#define _CSQ_H_

#include <wdm.h>

#endif
