/*
 * metadata.h - where a file system writes when it is only mounted, or changed
 *
 * Pure: from the first bytes of a medium (or of a partition) to the blocks that
 * the witness should have, because hardly anything can be done to the file
 * system elsewhere that leaves them as they are.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FS_METADATA_H
#define FS_METADATA_H

#include <ntifs.h>

#define METADATA_MAX 24

/* Offsets inside `head`, of what is recognised there and of where superblocks
 * usually are; how many. */
ULONG metadata_places(const UCHAR *head, ULONG length,
                      ULONG out_at[METADATA_MAX]);

#endif
