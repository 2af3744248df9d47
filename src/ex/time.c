/*
 * time.c - the difference to local time
 *
 * As in NT, the difference is today's, whatever the time that is converted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

#include "base/clock.h"

#include <time.h>

#define UNITS_PER_SECOND 10000000ll

static LONGLONG
east_of_utc(void)
{
    time_t now = (time_t) (clock_wall_ms() / 1000);
    struct tm local;

    if (localtime_r(&now, &local) == NULL)
        return 0;
    return (LONGLONG) local.tm_gmtoff * UNITS_PER_SECOND;
}

VOID NTAPI
ExSystemTimeToLocalTime(PLARGE_INTEGER SystemTime, PLARGE_INTEGER LocalTime)
{
    LocalTime->QuadPart = SystemTime->QuadPart + east_of_utc();
}

VOID NTAPI
ExLocalTimeToSystemTime(PLARGE_INTEGER LocalTime, PLARGE_INTEGER SystemTime)
{
    SystemTime->QuadPart = LocalTime->QuadPart - east_of_utc();
}
