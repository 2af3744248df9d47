/*
 * wdm.h - the driver headers in the folder where Wine keeps them
 *
 * SPDX-License-Identifier: MIT
 */
#include_next <wdm.h>
