/*
 * time.c - the documented clocks, from base/clock
 *
 * Any thread, any IRQL.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/clock.h"

#define UNITS_1601_TO_1970 116444736000000000ll
#define UNITS_PER_TICK     156250u

VOID NTAPI
KeQuerySystemTime(PLARGE_INTEGER CurrentTime)
{
    CurrentTime->QuadPart =
        (LONGLONG) clock_wall_ms() * 10000 + UNITS_1601_TO_1970;
}

ULONGLONG NTAPI
KeQueryInterruptTime(VOID)
{
    return clock_now_ns() / 100u;
}

/* base/clock counts no time asleep either. */
ULONGLONG NTAPI
KeQueryUnbiasedInterruptTime(VOID)
{
    return KeQueryInterruptTime();
}

VOID NTAPI
KeQueryTickCount(PLARGE_INTEGER CurrentCount)
{
    CurrentCount->QuadPart =
        (LONGLONG) (KeQueryInterruptTime() / UNITS_PER_TICK);
}

ULONG NTAPI
KeQueryTimeIncrement(VOID)
{
    return UNITS_PER_TICK;
}

/* 10 MHz, as current Windows has it. */
LARGE_INTEGER NTAPI
KeQueryPerformanceCounter(PLARGE_INTEGER Frequency)
{
    LARGE_INTEGER count;

    if (Frequency != NULL)
        Frequency->QuadPart = 10000000;
    count.QuadPart = (LONGLONG) KeQueryInterruptTime();
    return count;
}
