/*
 * winioctl.h - control codes are in the kernel's headers already
 *
 * SPDX-License-Identifier: MIT
 */
#include <windef.h>
