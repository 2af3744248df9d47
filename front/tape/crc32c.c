/*
 * crc32c.c - CRC-32C, with the processor's instructions where it has some
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapelink/crc32c.h"

#include <pthread.h>
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
#include <immintrin.h>

#define LANE 4096 /* bytes of each of three that are worked on at once */

static uint32_t lane_shift, two_lanes_shift;

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const unsigned char *p, size_t len)
{
    uint64_t a = crc, word;

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

/*
 * Sixteen lanes of 128 bits stand for all that was before: a lane times
 * x^(8 * FOLD) is added to the bytes FOLD further on, until only the last FOLD
 * are left, whose checksum is that of all.  In a register the first byte's
 * lowest bit has the highest power, so a product comes out times x.
 */
#define FOLD    256 /* bytes */

#define FOLDING __attribute__((target("avx512f,vpclmulqdq,sse4.2")))

static uint64_t fold_first, fold_second; /* of a lane's first 8 bytes; others */

/* x^(8 * len_b + 7), as a factor of 64 bits. */
static uint64_t
factor(uint64_t len_b)
{
    return (uint64_t) times(crc32c_shift(len_b), 1u << 24) << 32;
}

FOLDING static inline __m512i
fold(__m512i lanes, __m512i by, const unsigned char *next)
{
    __m512i first = _mm512_clmulepi64_epi128(lanes, by, 0x00);
    __m512i second = _mm512_clmulepi64_epi128(lanes, by, 0x11);

    return _mm512_ternarylogic_epi64(first, second, _mm512_loadu_si512(next),
                                     0x96); /* all three added */
}

FOLDING static uint32_t
by_folding(uint32_t crc, const unsigned char *p, size_t len)
{
    unsigned char rest[FOLD];
    __m512i by, lanes[4];

    if (len < 4 * FOLD)
        return by_instruction(crc, p, len);
    by = _mm512_set_epi64((long long) fold_second, (long long) fold_first,
                          (long long) fold_second, (long long) fold_first,
                          (long long) fold_second, (long long) fold_first,
                          (long long) fold_second, (long long) fold_first);
    for (int i = 0; i < 4; i++)
        lanes[i] = _mm512_loadu_si512(p + 64 * i);
    lanes[0] = _mm512_xor_si512(
        lanes[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int) crc)));
    for (p += FOLD, len -= FOLD; len >= FOLD; p += FOLD, len -= FOLD)
        for (int i = 0; i < 4; i++)
            lanes[i] = fold(lanes[i], by, p + 64 * i);
    for (int i = 0; i < 4; i++)
        _mm512_storeu_si512(rest + 64 * i, lanes[i]);
    return by_instruction(by_instruction(0, rest, FOLD), p, len);
}

static void
prepare(void)
{
    make_table();
    lane_shift = crc32c_shift(LANE);
    two_lanes_shift = crc32c_shift(2 * LANE);
    fold_first = factor(FOLD + 7); /* 64 bits further than the second */
    fold_second = factor(FOLD - 1);
}

typedef uint32_t sum_routine(uint32_t crc, const unsigned char *p, size_t len);

static sum_routine *const ways[] = { by_table, by_instruction, by_folding };

unsigned
crc32c_ways(void)
{
    if (!__builtin_cpu_supports("sse4.2"))
        return 1;
    return __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("vpclmulqdq")
               ? 3
               : 2;
}

uint32_t
crc32c_by_way(unsigned way, uint32_t crc, const void *data, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare);
    return ~ways[way](~crc, data, len);
}
#else
unsigned
crc32c_ways(void)
{
    return 1;
}

uint32_t
crc32c_by_way(unsigned way, uint32_t crc, const void *data, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) way;
    pthread_once(&once, make_table);
    return ~by_table(~crc, data, len);
}
#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_by_way(crc32c_ways() - 1, crc, data, len);
}
