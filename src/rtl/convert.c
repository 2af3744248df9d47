/*
 * convert.c - strings from one code page to the other, and from case to case
 *
 * The ANSI and the OEM code page are UTF-8: names come from Linux and go there.
 * So a character of 8 bits may be a part of one, and sizes are never guessed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

#define STRING_MAX_BYTES 0xFFFE

/* Whoever allocated the buffer, by whatever tag: drivers fill in strings of
 * their own, too. */
VOID NTAPI
RtlFreeUnicodeString(PUNICODE_STRING UnicodeString)
{
    if (UnicodeString->Buffer != NULL)
        ExFreePool(UnicodeString->Buffer);
    *UnicodeString = (UNICODE_STRING){ .Buffer = NULL };
}

VOID NTAPI
RtlFreeAnsiString(PANSI_STRING AnsiString)
{
    if (AnsiString->Buffer != NULL)
        ExFreePool(AnsiString->Buffer);
    *AnsiString = (ANSI_STRING){ .Buffer = NULL };
}

VOID NTAPI
RtlFreeOemString(POEM_STRING OemString)
{
    RtlFreeAnsiString(OemString);
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

/* Writes UTF-8, or only counts it; half a pair of surrogates becomes U+FFFD. */
static size_t
narrow(PCUNICODE_STRING from, bool upcase, char *to)
{
    static const UCHAR first[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    size_t count = from->Length / sizeof(WCHAR), n = 0;

    for (size_t i = 0; i < count; i++) {
        ULONG c = from->Buffer[i];
        int bytes;

        if (upcase)
            c = RtlUpcaseUnicodeChar((WCHAR) c);
        if (c >= 0xD800 && c < 0xDC00 && i + 1 < count &&
            (from->Buffer[i + 1] & 0xFC00) == 0xDC00)
            c = 0x10000 + ((c & 0x3FF) << 10) + (from->Buffer[++i] & 0x3FF);
        else if (c >= 0xD800 && c < 0xE000)
            c = 0xFFFD;
        bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (int b = bytes - 1; to != NULL && b > 0; b--, c >>= 6)
            to[n + (size_t) b] = (char) (0x80 | (c & 0x3F));
        if (to != NULL)
            to[n] = (char) (bytes == 1 ? c : first[bytes] | c);
        n += (size_t) bytes;
    }
    return n;
}

/* Memory for a string, allocated or the string's own, or why there is none. */
static NTSTATUS
make_room(PVOID *buffer, PUSHORT maximum, size_t bytes, BOOLEAN allocate)
{
    PVOID fresh;

    if (bytes > STRING_MAX_BYTES)
        return STATUS_INVALID_PARAMETER_2;
    if (!allocate)
        return bytes > *maximum ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
    fresh = ExAllocatePoolWithTag(PagedPool, bytes != 0 ? bytes : 1, RTL_TAG);
    if (fresh == NULL)
        return STATUS_NO_MEMORY;
    *buffer = fresh;
    *maximum = (USHORT) bytes;
    return STATUS_SUCCESS;
}

static NTSTATUS
to_unicode(PUNICODE_STRING to, PCANSI_STRING from, BOOLEAN allocate, bool nul)
{
    size_t count = widen(from, NULL, 0);
    PVOID buffer = to->Buffer;
    NTSTATUS status = make_room(&buffer, &to->MaximumLength,
                                (count + nul) * sizeof(WCHAR), allocate);

    if (!NT_SUCCESS(status))
        return status;
    to->Buffer = buffer;
    widen(from, to->Buffer, count);
    if (nul)
        to->Buffer[count] = 0;
    to->Length = (USHORT) (count * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

static NTSTATUS
to_ansi(PANSI_STRING to, PCUNICODE_STRING from, BOOLEAN allocate, bool nul,
        bool upcase)
{
    size_t count = narrow(from, upcase, NULL);
    PVOID buffer = to->Buffer;
    NTSTATUS status =
        make_room(&buffer, &to->MaximumLength, count + nul, allocate);

    if (!NT_SUCCESS(status))
        return status;
    to->Buffer = buffer;
    narrow(from, upcase, to->Buffer);
    if (nul)
        to->Buffer[count] = '\0';
    to->Length = (USHORT) count;
    return STATUS_SUCCESS;
}

/* --- the documented routines ---------------------------------------------- */

/* All: STATUS_BUFFER_OVERFLOW: it does not fit; STATUS_INVALID_PARAMETER_2: it
 * is longer than a string can be; STATUS_NO_MEMORY.  The destination is then as
 * it was. */
NTSTATUS NTAPI
RtlAnsiStringToUnicodeString(PUNICODE_STRING DestinationString,
                             PCANSI_STRING SourceString,
                             BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlAnsiStringToUnicodeString);
    return to_unicode(DestinationString, SourceString,
                      AllocateDestinationString, true);
}

NTSTATUS NTAPI
RtlUnicodeStringToAnsiString(PANSI_STRING DestinationString,
                             PCUNICODE_STRING SourceString,
                             BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlUnicodeStringToAnsiString);
    return to_ansi(DestinationString, SourceString, AllocateDestinationString,
                   true, false);
}

NTSTATUS NTAPI
RtlOemStringToUnicodeString(PUNICODE_STRING DestinationString,
                            PCOEM_STRING SourceString,
                            BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlOemStringToUnicodeString);
    return to_unicode(DestinationString, SourceString,
                      AllocateDestinationString, true);
}

NTSTATUS NTAPI
RtlUnicodeStringToOemString(POEM_STRING DestinationString,
                            PCUNICODE_STRING SourceString,
                            BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlUnicodeStringToOemString);
    return to_ansi(DestinationString, SourceString, AllocateDestinationString,
                   true, false);
}

NTSTATUS NTAPI
RtlOemStringToCountedUnicodeString(PUNICODE_STRING DestinationString,
                                   PCOEM_STRING SourceString,
                                   BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlOemStringToCountedUnicodeString);
    return to_unicode(DestinationString, SourceString,
                      AllocateDestinationString, false);
}

NTSTATUS NTAPI
RtlUnicodeStringToCountedOemString(POEM_STRING DestinationString,
                                   PCUNICODE_STRING SourceString,
                                   BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlUnicodeStringToCountedOemString);
    return to_ansi(DestinationString, SourceString, AllocateDestinationString,
                   false, false);
}

NTSTATUS NTAPI
RtlUpcaseUnicodeStringToCountedOemString(POEM_STRING DestinationString,
                                         PCUNICODE_STRING SourceString,
                                         BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlUpcaseUnicodeStringToCountedOemString);
    return to_ansi(DestinationString, SourceString, AllocateDestinationString,
                   false, true);
}

/* As much as fits: STATUS_BUFFER_OVERFLOW when that is not all. */
NTSTATUS NTAPI
RtlOemToUnicodeN(PWSTR UnicodeString, ULONG MaxBytesInUnicodeString,
                 PULONG BytesInUnicodeString, PCSTR OemString,
                 ULONG BytesInOemString)
{
    size_t max = MaxBytesInUnicodeString / sizeof(WCHAR), n = 0;
    const UCHAR *p = (const UCHAR *) OemString, *end = p + BytesInOemString;
    NTSTATUS status = STATUS_SUCCESS;

    while (p != end && status == STATUS_SUCCESS) {
        ULONG c = decode(&p, end);

        if (n + (c >= 0x10000) >= max) {
            status = STATUS_BUFFER_OVERFLOW;
        } else if (c >= 0x10000) {
            UnicodeString[n++] = (WCHAR) (0xD7C0 + (c >> 10));
            UnicodeString[n++] = (WCHAR) (0xDC00 | (c & 0x3FF));
        } else {
            UnicodeString[n++] = (WCHAR) c;
        }
    }
    if (BytesInUnicodeString != NULL)
        *BytesInUnicodeString = (ULONG) (n * sizeof(WCHAR));
    return status;
}

ULONG NTAPI
RtlxOemStringToUnicodeSize(PCOEM_STRING OemString)
{
    return (ULONG) ((widen(OemString, NULL, 0) + 1) * sizeof(WCHAR));
}

ULONG NTAPI
RtlxUnicodeStringToOemSize(PCUNICODE_STRING UnicodeString)
{
    return (ULONG) narrow(UnicodeString, false, NULL) + 1;
}

static NTSTATUS
change_case(PUNICODE_STRING to, PCUNICODE_STRING from, BOOLEAN allocate,
            WCHAR(NTAPI *change)(WCHAR))
{
    PVOID buffer = to->Buffer;
    NTSTATUS status =
        make_room(&buffer, &to->MaximumLength, from->Length, allocate);

    if (!NT_SUCCESS(status))
        return status;
    to->Buffer = buffer;
    for (size_t i = 0; i < from->Length / sizeof(WCHAR); i++)
        to->Buffer[i] = change(from->Buffer[i]);
    to->Length = from->Length;
    return STATUS_SUCCESS;
}

/* May be in place. */
NTSTATUS NTAPI
RtlUpcaseUnicodeString(PUNICODE_STRING DestinationString,
                       PCUNICODE_STRING SourceString,
                       BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlUpcaseUnicodeString);
    return change_case(DestinationString, SourceString,
                       AllocateDestinationString, RtlUpcaseUnicodeChar);
}

NTSTATUS NTAPI
RtlDowncaseUnicodeString(PUNICODE_STRING UniDest, PCUNICODE_STRING UniSource,
                         BOOLEAN AllocateDestinationString)
{
    KE_IRQL(RtlDowncaseUnicodeString);
    return change_case(UniDest, UniSource, AllocateDestinationString,
                       RtlDowncaseUnicodeChar);
}
