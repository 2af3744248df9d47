/*
 * crc32c.c - CRC-32C, with the processor's instruction where it has one
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* bits reversed */

static uint32_t table[256];

static void
make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[i] = crc;
    }
}

static uint32_t
by_table(uint32_t crc, const unsigned char *p, size_t len)
{
    if (table[1] == 0)
        make_table();
    while (len-- > 0)
        crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xFF];
    return crc;
}

/* a times b, as polynomials modulo POLYNOMIAL; bit 31 is x^0. */
static uint32_t
times(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = (b >> 1) ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

/* x^(8 * len). */
uint32_t
crc32c_shift(uint64_t len_b)
{
    uint32_t result = 1u << 31, square = 1u << 23; /* x^0, x^8 */

    for (; len_b != 0; len_b >>= 1) {
        if (len_b & 1)
            result = times(result, square);
        square = times(square, square);
    }
    return result;
}

uint32_t
crc32c_join_shift(uint32_t crc_a, uint32_t crc_b, uint32_t shift_b)
{
    return times(crc_a, shift_b) ^ crc_b;
}

uint32_t
crc32c_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    return crc32c_join_shift(crc_a, crc_b, crc32c_shift(len_b));
}

#ifdef __x86_64__
#include <nmmintrin.h>

#define LANE 4096 /* bytes of each of three that are worked on at once */

static uint32_t lane_shift, two_lanes_shift;

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const unsigned char *p, size_t len)
{
    uint64_t a = crc, word;

    if (lane_shift == 0) {
        lane_shift = crc32c_shift(LANE);
        two_lanes_shift = crc32c_shift(2 * LANE);
    }
    /* One takes three cycles but three can be started in that time. */
    for (; len >= 3 * LANE; len -= 3 * LANE, p += 3 * LANE) {
        uint64_t b = 0, c = 0, words[3];

        for (size_t i = 0; i < LANE; i += 8) {
            memcpy(&words[0], p + i, 8);
            memcpy(&words[1], p + i + LANE, 8);
            memcpy(&words[2], p + i + 2 * LANE, 8);
            a = _mm_crc32_u64(a, words[0]);
            b = _mm_crc32_u64(b, words[1]);
            c = _mm_crc32_u64(c, words[2]);
        }
        a = times((uint32_t) a, two_lanes_shift) ^
            times((uint32_t) b, lane_shift) ^ (uint32_t) c;
    }
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&word, p, 8);
        a = _mm_crc32_u64(a, word);
    }
    while (len-- > 0)
        a = _mm_crc32_u8((uint32_t) a, *p++);
    return (uint32_t) a;
}

static uint32_t
raw(uint32_t crc, const unsigned char *p, size_t len)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, p, len)
                                            : by_table(crc, p, len);
}
#else
#define raw by_table
#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
    return ~raw(~crc, data, len);
}
