/*
 * string.c - counted strings: made, copied, compared, appended
 *
 * Of 16 bits, case is folded for Latin, Greek and Cyrillic; of 8 bits, for the
 * letters of ASCII, since the code page is UTF-8 (convert.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

#define STRING_MAX_BYTES 0xFFFE

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

WCHAR NTAPI
RtlUpcaseUnicodeChar(WCHAR SourceCharacter)
{
    WCHAR c = SourceCharacter;

    if (c < 'a')
        return c;
    for (size_t i = 0; i < ARRAYSIZE(cases); i++)
        if (c >= cases[i].first && c <= cases[i].last &&
            (c - cases[i].first) % cases[i].step == 0)
            return (WCHAR) (c + cases[i].up);
    return c;
}

WCHAR NTAPI
RtlDowncaseUnicodeChar(WCHAR SourceCharacter)
{
    WCHAR c = SourceCharacter;

    for (size_t i = 0; i < ARRAYSIZE(cases); i++) {
        WCHAR down = (WCHAR) (c - cases[i].up);

        if (down >= cases[i].first && down <= cases[i].last &&
            (down - cases[i].first) % cases[i].step == 0)
            return down;
    }
    return c;
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
            a = RtlUpcaseUnicodeChar(a);
            b = RtlUpcaseUnicodeChar(b);
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

BOOLEAN NTAPI
RtlPrefixUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                       BOOLEAN CaseInSensitive)
{
    UNICODE_STRING start = *String2;

    if (String1->Length > String2->Length)
        return FALSE;
    start.Length = String1->Length;
    return RtlEqualUnicodeString(String1, &start, CaseInSensitive);
}

static NTSTATUS
append(PUNICODE_STRING to, PCWSTR text, size_t bytes)
{
    size_t sum = to->Length + bytes;

    if (bytes == 0)
        return STATUS_SUCCESS;
    if (sum > to->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    RtlMoveMemory((char *) to->Buffer + to->Length, text, bytes);
    to->Length = (USHORT) sum;
    if (sum + sizeof(WCHAR) <= to->MaximumLength)
        to->Buffer[sum / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

/* STATUS_BUFFER_TOO_SMALL: nothing was appended. */
NTSTATUS NTAPI
RtlAppendUnicodeToString(PUNICODE_STRING Destination, PCWSTR Source)
{
    return append(Destination, Source,
                  Source == NULL ? 0 : length_of(Source) * sizeof(WCHAR));
}

NTSTATUS NTAPI
RtlAppendUnicodeStringToString(PUNICODE_STRING Destination,
                               PCUNICODE_STRING Source)
{
    return append(Destination, Source->Buffer, Source->Length);
}

/* --- of 8 bits ------------------------------------------------------------ */

VOID NTAPI
RtlInitString(PSTRING DestinationString, PCSZ SourceString)
{
    RtlInitAnsiString(DestinationString, SourceString);
}

/* As much as fits; no NUL is added. */
VOID NTAPI
RtlCopyString(PSTRING DestinationString, const STRING *SourceString)
{
    USHORT bytes = SourceString == NULL ? 0 : SourceString->Length;

    if (bytes > DestinationString->MaximumLength)
        bytes = DestinationString->MaximumLength;
    if (bytes != 0)
        RtlMoveMemory(DestinationString->Buffer, SourceString->Buffer, bytes);
    DestinationString->Length = bytes;
}

NTSTATUS NTAPI
RtlAppendStringToString(PSTRING Destination, const STRING *Source)
{
    size_t sum = (size_t) Destination->Length + Source->Length;

    if (sum > Destination->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    if (Source->Length != 0)
        RtlMoveMemory(Destination->Buffer + Destination->Length, Source->Buffer,
                      Source->Length);
    Destination->Length = (USHORT) sum;
    return STATUS_SUCCESS;
}

CHAR NTAPI
RtlUpperChar(CHAR Character)
{
    return Character >= 'a' && Character <= 'z' ? (CHAR) (Character - 'a' + 'A')
                                                : Character;
}

/* As much as fits. */
VOID NTAPI
RtlUpperString(PSTRING DestinationString, const STRING *SourceString)
{
    USHORT bytes = SourceString->Length;

    if (bytes > DestinationString->MaximumLength)
        bytes = DestinationString->MaximumLength;
    for (USHORT i = 0; i < bytes; i++)
        DestinationString->Buffer[i] = RtlUpperChar(SourceString->Buffer[i]);
    DestinationString->Length = bytes;
}

LONG NTAPI
RtlCompareString(const STRING *String1, const STRING *String2,
                 BOOLEAN CaseInSensitive)
{
    for (USHORT i = 0; i < String1->Length && i < String2->Length; i++) {
        UCHAR a = (UCHAR) String1->Buffer[i], b = (UCHAR) String2->Buffer[i];

        if (CaseInSensitive) {
            a = (UCHAR) RtlUpperChar((CHAR) a);
            b = (UCHAR) RtlUpperChar((CHAR) b);
        }
        if (a != b)
            return (LONG) a - (LONG) b;
    }
    return (LONG) String1->Length - (LONG) String2->Length;
}

BOOLEAN NTAPI
RtlEqualString(const STRING *String1, const STRING *String2,
               BOOLEAN CaseInSensitive)
{
    return String1->Length == String2->Length &&
           RtlCompareString(String1, String2, CaseInSensitive) == 0;
}
