/*
 * string.c - counted strings
 *
 * Strings of 16-bit characters.  Case is folded for Latin, Greek and Cyrillic;
 * the "ANSI" code page is UTF-8.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntifs.h>

#include "ke/irql.h"

#define RTL_TAG          'sltR'
#define STRING_MAX_BYTES 0xFFFE

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

static size_t
length_of(PCWSTR text)
{
    size_t n = 0;

    while (text[n] != 0)
        n++;
    return n;
}

VOID NTAPI
RtlInitUnicodeString(PUNICODE_STRING DestinationString, PCWSTR SourceString)
{
    size_t bytes = 0;

    if (SourceString != NULL)
        bytes = length_of(SourceString) * sizeof(WCHAR);
    if (bytes > STRING_MAX_BYTES - sizeof(WCHAR))
        bytes = STRING_MAX_BYTES - sizeof(WCHAR);
    DestinationString->Length = (USHORT) bytes;
    DestinationString->MaximumLength =
        SourceString == NULL ? 0 : (USHORT) (bytes + sizeof(WCHAR));
    DestinationString->Buffer = (PWSTR) SourceString;
}

VOID NTAPI
RtlInitAnsiString(PANSI_STRING DestinationString, PCSZ SourceString)
{
    size_t bytes = SourceString == NULL ? 0 : __builtin_strlen(SourceString);

    if (bytes > STRING_MAX_BYTES - 1)
        bytes = STRING_MAX_BYTES - 1;
    DestinationString->Length = (USHORT) bytes;
    DestinationString->MaximumLength =
        SourceString == NULL ? 0 : (USHORT) (bytes + 1);
    DestinationString->Buffer = (PCHAR) SourceString;
}

/* As much as fits; ends it with a NUL if there is room. */
VOID NTAPI
RtlCopyUnicodeString(PUNICODE_STRING DestinationString,
                     PCUNICODE_STRING SourceString)
{
    USHORT bytes = 0;

    if (SourceString != NULL)
        bytes = SourceString->Length;
    if (bytes > DestinationString->MaximumLength)
        bytes = DestinationString->MaximumLength;
    if (bytes != 0)
        RtlMoveMemory(DestinationString->Buffer, SourceString->Buffer, bytes);
    DestinationString->Length = bytes;
    if (bytes + sizeof(WCHAR) <= DestinationString->MaximumLength)
        DestinationString->Buffer[bytes / sizeof(WCHAR)] = 0;
}

/* Runs of lower case letters and how far their upper case is; step 2: every
 * other one from the first. */
static const struct {
    WCHAR first, last;
    SHORT up;
    UCHAR step;
} cases[] = {
    { 'a', 'z', -32, 1 },       { 0x00E0, 0x00F6, -32, 1 },
    { 0x00F8, 0x00FE, -32, 1 }, { 0x00FF, 0x00FF, 121, 1 },
    { 0x0101, 0x012F, -1, 2 },  { 0x0133, 0x0137, -1, 2 },
    { 0x013A, 0x0148, -1, 2 },  { 0x014B, 0x0177, -1, 2 },
    { 0x017A, 0x017E, -1, 2 },  { 0x03AC, 0x03AC, -38, 1 },
    { 0x03AD, 0x03AF, -37, 1 }, { 0x03B1, 0x03C1, -32, 1 },
    { 0x03C3, 0x03CB, -32, 1 }, { 0x03CC, 0x03CC, -64, 1 },
    { 0x03CD, 0x03CE, -63, 1 }, { 0x0430, 0x044F, -32, 1 },
    { 0x0450, 0x045F, -80, 1 }, { 0x0461, 0x0481, -1, 2 },
};

static WCHAR
upper(WCHAR c)
{
    if (c < 'a')
        return c;
    for (size_t i = 0; i < ARRAYSIZE(cases); i++)
        if (c >= cases[i].first && c <= cases[i].last &&
            (c - cases[i].first) % cases[i].step == 0)
            return (WCHAR) (c + cases[i].up);
    return c;
}

WCHAR NTAPI
RtlUpcaseUnicodeChar(WCHAR SourceCharacter)
{
    return upper(SourceCharacter);
}

LONG NTAPI
RtlCompareUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                        BOOLEAN CaseInSensitive)
{
    size_t n1 = String1->Length / sizeof(WCHAR);
    size_t n2 = String2->Length / sizeof(WCHAR);

    for (size_t i = 0; i < n1 && i < n2; i++) {
        WCHAR a = String1->Buffer[i], b = String2->Buffer[i];

        if (CaseInSensitive) {
            a = upper(a);
            b = upper(b);
        }
        if (a != b)
            return (LONG) a - (LONG) b;
    }
    return (LONG) String1->Length - (LONG) String2->Length;
}

BOOLEAN NTAPI
RtlEqualUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                      BOOLEAN CaseInSensitive)
{
    return String1->Length == String2->Length &&
           RtlCompareUnicodeString(String1, String2, CaseInSensitive) == 0;
}

/* STATUS_BUFFER_TOO_SMALL: nothing was appended. */
NTSTATUS NTAPI
RtlAppendUnicodeToString(PUNICODE_STRING Destination, PCWSTR Source)
{
    size_t bytes = Source == NULL ? 0 : length_of(Source) * sizeof(WCHAR);
    size_t sum = Destination->Length + bytes;

    if (bytes == 0)
        return STATUS_SUCCESS;
    if (sum > Destination->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    RtlCopyMemory((char *) Destination->Buffer + Destination->Length, Source,
                  bytes);
    Destination->Length = (USHORT) sum;
    if (sum + sizeof(WCHAR) <= Destination->MaximumLength)
        Destination->Buffer[sum / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

VOID NTAPI
RtlFreeUnicodeString(PUNICODE_STRING UnicodeString)
{
    if (UnicodeString->Buffer != NULL)
        ExFreePoolWithTag(UnicodeString->Buffer, RTL_TAG);
    *UnicodeString = (UNICODE_STRING){ .Buffer = NULL };
}

/* One code point of UTF-8; what is none becomes U+FFFD, a byte at a time. */
static ULONG
decode(const UCHAR **text, const UCHAR *end)
{
    static const ULONG least[] = { 0, 0x80, 0x800, 0x10000 };
    const UCHAR *p = *text;
    ULONG c = *p++;
    int more = c < 0x80   ? 0
               : c < 0xC2 ? -1
               : c < 0xE0 ? 1
               : c < 0xF0 ? 2
               : c < 0xF5 ? 3
                          : -1;

    *text = p;
    if (more <= 0)
        return more == 0 ? c : 0xFFFD;
    c &= 0x3Fu >> more;
    for (int i = 0; i < more; i++) {
        if (p == end || (*p & 0xC0) != 0x80)
            return 0xFFFD;
        c = c << 6 | (*p++ & 0x3F);
    }
    if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 0xFFFD;
    *text = p;
    return c;
}

/* Writes up to max characters of 16 bits to `to`, or only counts them. */
static size_t
widen(PCANSI_STRING from, WCHAR *to, size_t max)
{
    const UCHAR *p = (const UCHAR *) from->Buffer, *end = p + from->Length;
    size_t n = 0;

    while (p != end) {
        ULONG c = decode(&p, end);

        if (c >= 0x10000) {
            if (n < max)
                to[n] = (WCHAR) (0xD7C0 + (c >> 10));
            n++;
            c = 0xDC00 | (c & 0x3FF);
        }
        if (n < max)
            to[n] = (WCHAR) c;
        n++;
    }
    return n;
}

/* STATUS_BUFFER_OVERFLOW: it does not fit; STATUS_INVALID_PARAMETER_2: it is
 * longer than a string can be; STATUS_NO_MEMORY.  An allocated one is freed
 * with RtlFreeUnicodeString. */
NTSTATUS NTAPI
RtlAnsiStringToUnicodeString(PUNICODE_STRING DestinationString,
                             PCANSI_STRING SourceString,
                             BOOLEAN AllocateDestinationString)
{
    size_t count = widen(SourceString, NULL, 0);
    size_t bytes = (count + 1) * sizeof(WCHAR);

    KE_IRQL(RtlAnsiStringToUnicodeString);
    if (bytes > STRING_MAX_BYTES)
        return STATUS_INVALID_PARAMETER_2;
    if (AllocateDestinationString) {
        PWSTR buffer = ExAllocatePoolWithTag(PagedPool, bytes, RTL_TAG);

        if (buffer == NULL)
            return STATUS_NO_MEMORY;
        DestinationString->Buffer = buffer;
        DestinationString->MaximumLength = (USHORT) bytes;
    } else if (bytes > DestinationString->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    widen(SourceString, DestinationString->Buffer, count);
    DestinationString->Buffer[count] = 0;
    DestinationString->Length = (USHORT) (count * sizeof(WCHAR));
    return STATUS_SUCCESS;
}
