/*
 * memory.c - compare, fill; numbers that look random
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

/* How many bytes from the start are equal. */
SIZE_T NTAPI
RtlCompareMemory(const VOID *Source1, const VOID *Source2, SIZE_T Length)
{
    const UCHAR *a = Source1, *b = Source2;
    SIZE_T n = 0;

    while (n < Length && a[n] == b[n])
        n++;
    return n;
}

/* How many bytes, in steps of 4, repeat the pattern. */
SIZE_T NTAPI
RtlCompareMemoryUlong(PVOID Source, SIZE_T Length, ULONG Pattern)
{
    const ULONG *words = Source;
    SIZE_T n = 0;

    while (n < Length / sizeof *words && words[n] == Pattern)
        n++;
    return n * sizeof *words;
}

VOID NTAPI
RtlFillMemoryUlong(PVOID Destination, SIZE_T Length, ULONG Pattern)
{
    ULONG *words = Destination;

    for (SIZE_T n = 0; n < Length / sizeof *words; n++)
        words[n] = Pattern;
}

/* Park and Miller's generator, whose period is 2^31 - 2; the number returned is
 * one less than the next seed. */
ULONG NTAPI
RtlRandomEx(PULONG Seed)
{
    ULONG seed = *Seed % 0x7FFFFFFF;

    if (seed == 0)
        seed = 123459876;
    seed = (ULONG) ((ULONGLONG) seed * 48271 % 0x7FFFFFFF);
    *Seed = seed;
    return seed - 1;
}
