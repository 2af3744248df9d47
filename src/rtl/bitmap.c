/*
 * bitmap.c - arrays of bits, in words of 32
 *
 * Bit n is bit n % 32 of word n / 32; bits behind the end of the map are never
 * looked at and never changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

#define NOT_FOUND 0xFFFFFFFFu

static bool
bit_of(const RTL_BITMAP *map, ULONG at)
{
    return (map->Buffer[at / 32] >> at % 32 & 1) != 0;
}

/* Where the first bit with that value is, from `at` on; the size: nowhere. */
static ULONG
find_value(const RTL_BITMAP *map, ULONG at, bool value)
{
    while (at < map->SizeOfBitMap) {
        ULONG word = map->Buffer[at / 32];

        word = (value ? word : ~word) >> at % 32;
        if (word != 0) {
            at += (ULONG) __builtin_ctz(word);
            break;
        }
        at += 32 - at % 32;
    }
    return at < map->SizeOfBitMap ? at : map->SizeOfBitMap;
}

/* The next run with that value, from `at` on: its length, or 0: none. */
static ULONG
next_run(const RTL_BITMAP *map, ULONG at, bool value, PULONG out_start)
{
    ULONG start = find_value(map, at, value);

    *out_start = start;
    return find_value(map, start, !value) - start;
}

static bool
is_inside(const RTL_BITMAP *map, ULONG start, ULONG count)
{
    return start <= map->SizeOfBitMap && count <= map->SizeOfBitMap - start;
}

static void
write_bits(PRTL_BITMAP map, ULONG start, ULONG count, bool value)
{
    KE_RULE(is_inside(map, start, count), "the bits are inside the bitmap");
    while (count != 0) {
        ULONG bits = 32 - start % 32;
        ULONG mask;

        if (bits > count)
            bits = count;
        mask = (bits == 32 ? NOT_FOUND : (1u << bits) - 1) << start % 32;
        if (value)
            map->Buffer[start / 32] |= mask;
        else
            map->Buffer[start / 32] &= ~mask;
        start += bits;
        count -= bits;
    }
}

VOID NTAPI
RtlInitializeBitMap(PRTL_BITMAP BitMapHeader, PULONG BitMapBuffer,
                    ULONG SizeOfBitMap)
{
    BitMapHeader->SizeOfBitMap = SizeOfBitMap;
    BitMapHeader->Buffer = BitMapBuffer;
}

VOID NTAPI
RtlClearBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    write_bits(BitMapHeader, BitNumber, 1, false);
}

VOID NTAPI
RtlSetBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    write_bits(BitMapHeader, BitNumber, 1, true);
}

BOOLEAN NTAPI
RtlTestBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    KE_RULE(is_inside(BitMapHeader, BitNumber, 1),
            "the bits are inside the bitmap");
    return bit_of(BitMapHeader, BitNumber);
}

VOID NTAPI
RtlClearAllBits(PRTL_BITMAP BitMapHeader)
{
    write_bits(BitMapHeader, 0, BitMapHeader->SizeOfBitMap, false);
}

VOID NTAPI
RtlSetAllBits(PRTL_BITMAP BitMapHeader)
{
    write_bits(BitMapHeader, 0, BitMapHeader->SizeOfBitMap, true);
}

VOID NTAPI
RtlClearBits(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG NumberToClear)
{
    write_bits(BitMapHeader, StartingIndex, NumberToClear, false);
}

VOID NTAPI
RtlSetBits(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG NumberToSet)
{
    write_bits(BitMapHeader, StartingIndex, NumberToSet, true);
}

/* A range that is empty or not inside is neither clear nor set. */
static bool
are_all(const RTL_BITMAP *map, ULONG start, ULONG count, bool value)
{
    return count != 0 && is_inside(map, start, count) &&
           find_value(map, start, !value) - start >= count;
}

BOOLEAN NTAPI
RtlAreBitsClear(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG Length)
{
    return are_all(BitMapHeader, StartingIndex, Length, false);
}

BOOLEAN NTAPI
RtlAreBitsSet(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG Length)
{
    return are_all(BitMapHeader, StartingIndex, Length, true);
}

ULONG NTAPI
RtlNumberOfSetBits(PRTL_BITMAP BitMapHeader)
{
    ULONG size = BitMapHeader->SizeOfBitMap, sum = 0;

    for (ULONG word = 0; word < size / 32; word++)
        sum += (ULONG) __builtin_popcount(BitMapHeader->Buffer[word]);
    if (size % 32 != 0)
        sum += (ULONG) __builtin_popcount(BitMapHeader->Buffer[size / 32] &
                                          ((1u << size % 32) - 1));
    return sum;
}

ULONG NTAPI
RtlNumberOfClearBits(PRTL_BITMAP BitMapHeader)
{
    return BitMapHeader->SizeOfBitMap - RtlNumberOfSetBits(BitMapHeader);
}

/* --- runs ----------------------------------------------------------------- */

/* The first run of that length that starts in [from, to). */
static ULONG
find_run(const RTL_BITMAP *map, ULONG count, ULONG from, ULONG to, bool value)
{
    ULONG start, length;

    while (from < to) {
        length = next_run(map, from, value, &start);
        if (length == 0 || start >= to)
            break;
        if (length >= count)
            return start;
        from = start + length;
    }
    return NOT_FOUND;
}

/* From the hint (rounded down to 8) on, then from the start.  Nothing to find:
 * the rounded hint. */
static ULONG
find_bits(const RTL_BITMAP *map, ULONG count, ULONG hint, bool value)
{
    ULONG at = hint < map->SizeOfBitMap ? hint & ~7u : 0;
    ULONG found;

    if (count == 0)
        return at;
    found = find_run(map, count, at, map->SizeOfBitMap, value);
    if (found == NOT_FOUND)
        found = find_run(map, count, 0, at, value);
    return found;
}

ULONG NTAPI
RtlFindClearBits(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    return find_bits(BitMapHeader, NumberToFind, HintIndex, false);
}

ULONG NTAPI
RtlFindSetBits(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    return find_bits(BitMapHeader, NumberToFind, HintIndex, true);
}

ULONG NTAPI
RtlFindClearBitsAndSet(PRTL_BITMAP BitMapHeader, ULONG NumberToFind,
                       ULONG HintIndex)
{
    ULONG found = find_bits(BitMapHeader, NumberToFind, HintIndex, false);

    if (found != NOT_FOUND)
        write_bits(BitMapHeader, found, NumberToFind, true);
    return found;
}

ULONG NTAPI
RtlFindSetBitsAndClear(PRTL_BITMAP BitMapHeader, ULONG NumberToFind,
                       ULONG HintIndex)
{
    ULONG found = find_bits(BitMapHeader, NumberToFind, HintIndex, true);

    if (found != NOT_FOUND)
        write_bits(BitMapHeader, found, NumberToFind, false);
    return found;
}

/* With none, *StartingRunIndex is the size of the map. */
ULONG NTAPI
RtlFindNextForwardRunClear(PRTL_BITMAP BitMapHeader, ULONG FromIndex,
                           PULONG StartingRunIndex)
{
    return next_run(BitMapHeader, FromIndex, false, StartingRunIndex);
}

/* The run that contains FromIndex or ends before it, up to FromIndex. */
ULONG NTAPI
RtlFindLastBackwardRunClear(PRTL_BITMAP BitMapHeader, ULONG FromIndex,
                            PULONG StartingRunIndex)
{
    ULONG end = FromIndex, start;

    while (end != NOT_FOUND && bit_of(BitMapHeader, end))
        end--;
    if (end == NOT_FOUND) {
        *StartingRunIndex = 0;
        return 0;
    }
    for (start = end; start != 0 && !bit_of(BitMapHeader, start - 1); start--)
        ;
    *StartingRunIndex = start;
    return end - start + 1;
}

ULONG NTAPI
RtlFindFirstRunClear(PRTL_BITMAP BitMapHeader, PULONG StartingIndex)
{
    return next_run(BitMapHeader, 0, false, StartingIndex);
}

/* The first of the longest. */
ULONG NTAPI
RtlFindLongestRunClear(PRTL_BITMAP BitMapHeader, PULONG StartingIndex)
{
    RTL_BITMAP_RUN run;

    if (RtlFindClearRuns(BitMapHeader, &run, 1, TRUE) == 0) {
        *StartingIndex = 0;
        return 0;
    }
    *StartingIndex = run.StartingIndex;
    return run.NumberOfBits;
}

/* Puts the run where it belongs among the longest so far, longest first. */
static ULONG
insert_run(PRTL_BITMAP_RUN runs, ULONG count, ULONG max, RTL_BITMAP_RUN run)
{
    ULONG at = count < max ? count : max;

    while (at != 0 && runs[at - 1].NumberOfBits < run.NumberOfBits)
        at--;
    if (at == max)
        return count;
    if (count < max)
        count++;
    RtlMoveMemory(&runs[at + 1], &runs[at], (count - 1 - at) * sizeof *runs);
    runs[at] = run;
    return count;
}

/* Returns how many there are in RunArray: the first ones, or the longest. */
ULONG NTAPI
RtlFindClearRuns(PRTL_BITMAP BitMapHeader, PRTL_BITMAP_RUN RunArray,
                 ULONG SizeOfRunArray, BOOLEAN LocateLongestRuns)
{
    RTL_BITMAP_RUN run;
    ULONG count = 0;

    for (ULONG at = 0; LocateLongestRuns || count < SizeOfRunArray;
         at = run.StartingIndex + run.NumberOfBits) {
        run.NumberOfBits =
            next_run(BitMapHeader, at, false, &run.StartingIndex);
        if (run.NumberOfBits == 0)
            break;
        if (LocateLongestRuns)
            count = insert_run(RunArray, count, SizeOfRunArray, run);
        else
            RunArray[count++] = run;
    }
    return count;
}

CCHAR NTAPI
RtlFindLeastSignificantBit(ULONGLONG Set)
{
    return (CCHAR) (Set == 0 ? -1 : __builtin_ctzll(Set));
}

CCHAR NTAPI
RtlFindMostSignificantBit(ULONGLONG Set)
{
    return (CCHAR) (Set == 0 ? -1 : 63 - __builtin_clzll(Set));
}
