/*
 * random.h - numbers that a seed decides
 *
 * SplitMix64 (Steele, Lea, Flood 2014): one word of state.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_RANDOM_H
#define FAULTS_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline void
random_seed(struct random *random, uint64_t seed)
{
    random->state = seed;
}

static inline uint64_t
random_next(struct random *random)
{
    uint64_t z = random->state += 0x9E3779B97F4A7C15ull;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* 0 to n - 1; the bias is of no matter here. */
static inline uint64_t
random_below(struct random *random, uint64_t n)
{
    return random_next(random) % n;
}

#endif
