/*
 * crc32c.h - CRC-32C (Castagnoli), as in iSCSI: the checksum of data on tapes
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of nothing it is 0; goes on from what was before. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The ways that this processor has, the last of which is taken; for tests. */
unsigned crc32c_ways(void);
uint32_t crc32c_by_way(unsigned way, uint32_t crc, const void *data,
                       size_t len);
/* Of two pieces behind each other; len_b: of the second. */
uint32_t crc32c_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);
/* The same, for many pieces of one length: crc32c_shift(len_b) once. */
uint32_t crc32c_shift(uint64_t len_b);
uint32_t crc32c_join_shift(uint32_t crc_a, uint32_t crc_b, uint32_t shift_b);

#endif
