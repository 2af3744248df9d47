/*
 * time.c - system time as year, month, day, and back
 *
 * System time counts 100 ns from the start of 1601, in the Gregorian calendar.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

#define UNITS_PER_MS       10000ll
#define UNITS_PER_SECOND   10000000ll
#define SECONDS_PER_DAY    86400ll
#define UNITS_PER_DAY      (SECONDS_PER_DAY * UNITS_PER_SECOND)
#define DAYS_PER_400_YEARS 146097ll
#define SECONDS_TO_1970    11644473600ll
#define SECONDS_TO_1980    11960006400ll
#define YEAR_MAX           30827 /* the last that 63 bits can say */

static bool
is_leap(LONG year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days of the months before; month from 0. */
static LONG
days_before(LONG month, LONG year)
{
    static const SHORT days[] = { 0,   31,  59,  90,  120, 151, 181,
                                  212, 243, 273, 304, 334, 365 };

    return days[month] + (month >= 2 && is_leap(year));
}

/* Days from the start of 1601 to the start of the year. */
static LONGLONG
days_to_year(LONG year)
{
    LONGLONG past = year - 1;

    return past * 365 + past / 4 - past / 100 + past / 400 -
           (1600ll * 365 + 400 - 16 + 4);
}

VOID NTAPI
RtlTimeToTimeFields(PLARGE_INTEGER Time, PTIME_FIELDS TimeFields)
{
    LONGLONG days = Time->QuadPart / UNITS_PER_DAY;
    LONGLONG ms = Time->QuadPart % UNITS_PER_DAY / UNITS_PER_MS;
    LONG year = (LONG) (1601 + days * 400 / DAYS_PER_400_YEARS);
    LONG day, month = 0;

    while (days_to_year(year) > days)
        year--;
    while (days_to_year(year + 1) <= days)
        year++;
    day = (LONG) (days - days_to_year(year));
    while (days_before(month + 1, year) <= day)
        month++;
    *TimeFields = (TIME_FIELDS){
        .Year = (CSHORT) year,
        .Month = (CSHORT) (month + 1),
        .Day = (CSHORT) (day - days_before(month, year) + 1),
        .Hour = (CSHORT) (ms / 3600000),
        .Minute = (CSHORT) (ms / 60000 % 60),
        .Second = (CSHORT) (ms / 1000 % 60),
        .Milliseconds = (CSHORT) (ms % 1000),
        .Weekday = (CSHORT) ((days + 1) % 7), /* 1601 began on a Monday */
    };
}

static bool
is_valid(const TIME_FIELDS *f)
{
    return f->Year >= 1601 && f->Year <= YEAR_MAX && f->Month >= 1 &&
           f->Month <= 12 && f->Day >= 1 &&
           f->Day <= days_before(f->Month, f->Year) -
                         days_before(f->Month - 1, f->Year) &&
           f->Hour >= 0 && f->Hour <= 23 && f->Minute >= 0 && f->Minute <= 59 &&
           f->Second >= 0 && f->Second <= 59 && f->Milliseconds >= 0 &&
           f->Milliseconds <= 999;
}

/* FALSE: there is no such time.  Weekday is not looked at. */
BOOLEAN NTAPI
RtlTimeFieldsToTime(PTIME_FIELDS TimeFields, PLARGE_INTEGER Time)
{
    const TIME_FIELDS *f = TimeFields;
    LONGLONG days, ms;

    if (!is_valid(f))
        return FALSE;
    days =
        days_to_year(f->Year) + days_before(f->Month - 1, f->Year) + f->Day - 1;
    ms = ((f->Hour * 60ll + f->Minute) * 60 + f->Second) * 1000 +
         f->Milliseconds;
    Time->QuadPart = days * UNITS_PER_DAY + ms * UNITS_PER_MS;
    return TRUE;
}

/* --- seconds of other epochs ---------------------------------------------- */

/* FALSE: 32 bits cannot say it. */
static BOOLEAN
seconds_since(LONGLONG epoch, const LARGE_INTEGER *time, PULONG out_seconds)
{
    LONGLONG seconds = time->QuadPart / UNITS_PER_SECOND - epoch;

    if (seconds < 0 || seconds > 0xFFFFFFFFll)
        return FALSE;
    *out_seconds = (ULONG) seconds;
    return TRUE;
}

BOOLEAN NTAPI
RtlTimeToSecondsSince1970(PLARGE_INTEGER Time, PULONG ElapsedSeconds)
{
    return seconds_since(SECONDS_TO_1970, Time, ElapsedSeconds);
}

VOID NTAPI
RtlSecondsSince1970ToTime(ULONG ElapsedSeconds, PLARGE_INTEGER Time)
{
    Time->QuadPart = (SECONDS_TO_1970 + ElapsedSeconds) * UNITS_PER_SECOND;
}

BOOLEAN NTAPI
RtlTimeToSecondsSince1980(PLARGE_INTEGER Time, PULONG ElapsedSeconds)
{
    return seconds_since(SECONDS_TO_1980, Time, ElapsedSeconds);
}

VOID NTAPI
RtlSecondsSince1980ToTime(ULONG ElapsedSeconds, PLARGE_INTEGER Time)
{
    Time->QuadPart = (SECONDS_TO_1980 + ElapsedSeconds) * UNITS_PER_SECOND;
}
