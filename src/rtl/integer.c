/*
 * integer.c - numbers and GUIDs as text, and text as a number
 *
 * SPDX-License-Identifier: MIT
 */
#include "rtl_internal.h"

struct text {
    const void *at;
    size_t count; /* SIZE_MAX: up to a NUL */
    bool wide;
};

/* 0 behind the end. */
static ULONG
peek(const struct text *text)
{
    if (text->count == 0)
        return 0;
    return text->wide ? *(const WCHAR *) text->at : *(const UCHAR *) text->at;
}

static void
skip(struct text *text)
{
    text->at = (const char *) text->at + (text->wide ? sizeof(WCHAR) : 1);
    if (text->count != SIZE_MAX)
        text->count--;
}

/* Base 0: by a prefix 0x, 0o or 0b, or 10. */
static bool
choose_base(struct text *text, ULONG *base)
{
    static const struct {
        char letter;
        UCHAR base;
    } prefixes[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };
    struct text after = *text;

    if (*base != 0)
        return *base == 2 || *base == 8 || *base == 10 || *base == 16;
    *base = 10;
    if (peek(text) != '0')
        return true;
    skip(&after);
    for (size_t i = 0; i < ARRAYSIZE(prefixes); i++)
        if (peek(&after) == (ULONG) prefixes[i].letter) {
            *base = prefixes[i].base;
            skip(&after);
            *text = after;
            break;
        }
    return true;
}

static ULONG
digit_of(ULONG c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* Leading blanks and a sign; ends at what is no digit. */
static NTSTATUS
parse(struct text text, ULONG base, PULONG out_value)
{
    ULONG value = 0;
    bool minus;

    while (peek(&text) != 0 && peek(&text) <= ' ')
        skip(&text);
    minus = peek(&text) == '-';
    if (minus || peek(&text) == '+')
        skip(&text);
    if (!choose_base(&text, &base))
        return STATUS_INVALID_PARAMETER;
    for (; peek(&text) != 0 && digit_of(peek(&text)) < base; skip(&text))
        value = value * base + digit_of(peek(&text));
    *out_value = minus ? 0u - value : value;
    return STATUS_SUCCESS;
}

/* STATUS_INVALID_PARAMETER: Base is none of 0, 2, 8, 10, 16. */
NTSTATUS NTAPI
RtlCharToInteger(PCSZ String, ULONG Base, PULONG Value)
{
    return parse((struct text){ String, SIZE_MAX, false }, Base, Value);
}

NTSTATUS NTAPI
RtlUnicodeStringToInteger(PCUNICODE_STRING String, ULONG Base, PULONG Value)
{
    return parse(
        (struct text){ String->Buffer, String->Length / sizeof(WCHAR), true },
        Base, Value);
}

/* --- to text -------------------------------------------------------------- */

/* Base 0: 10.  STATUS_BUFFER_OVERFLOW: it does not fit. */
NTSTATUS NTAPI
RtlInt64ToUnicodeString(ULONGLONG Value, ULONG Base, PUNICODE_STRING String)
{
    WCHAR digits[64];
    size_t n = ARRAYSIZE(digits), bytes;

    KE_IRQL(RtlInt64ToUnicodeString);
    if (Base == 0)
        Base = 10;
    if (Base != 2 && Base != 8 && Base != 10 && Base != 16)
        return STATUS_INVALID_PARAMETER;
    do {
        digits[--n] = (WCHAR) "0123456789ABCDEF"[Value % Base];
        Value /= Base;
    } while (Value != 0);
    bytes = (ARRAYSIZE(digits) - n) * sizeof(WCHAR);
    if (bytes > String->MaximumLength)
        return STATUS_BUFFER_OVERFLOW;
    RtlCopyMemory(String->Buffer, &digits[n], bytes);
    String->Length = (USHORT) bytes;
    if (bytes + sizeof(WCHAR) <= String->MaximumLength)
        String->Buffer[bytes / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
RtlIntegerToUnicodeString(ULONG Value, ULONG Base, PUNICODE_STRING String)
{
    return RtlInt64ToUnicodeString(Value, Base, String);
}

/* STATUS_INVALID_PARAMETER: no such algorithm.  The default one is X65599. */
NTSTATUS NTAPI
RtlHashUnicodeString(const UNICODE_STRING *String, BOOLEAN CaseInSensitive,
                     ULONG HashAlgorithm, PULONG HashValue)
{
    ULONG hash = 0;

    if (String == NULL || HashValue == NULL ||
        HashAlgorithm > HASH_STRING_ALGORITHM_X65599)
        return STATUS_INVALID_PARAMETER;
    for (size_t i = 0; i < String->Length / sizeof(WCHAR); i++) {
        WCHAR c = String->Buffer[i];

        hash = hash * 65599 + (CaseInSensitive ? RtlUpcaseUnicodeChar(c) : c);
    }
    *HashValue = hash;
    return STATUS_SUCCESS;
}

/* --- GUIDs ---------------------------------------------------------------- */

/* Each x is a digit of the byte at the place in the record. */
static const char shape[] = "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}";
static const UCHAR places[16] = { 3, 2, 1,  0,  5,  4,  7,  6,
                                  8, 9, 10, 11, 12, 13, 14, 15 };

#define GUID_CHARS (sizeof shape - 1)

/* STATUS_INVALID_PARAMETER: it is not of the shape above. */
NTSTATUS NTAPI
RtlGUIDFromString(PCUNICODE_STRING GuidString, GUID *Guid)
{
    UCHAR bytes[sizeof(GUID)] = { 0 };
    size_t digits = 0;

    if (GuidString->Length < GUID_CHARS * sizeof(WCHAR))
        return STATUS_INVALID_PARAMETER;
    for (size_t i = 0; i < GUID_CHARS; i++) {
        WCHAR c = GuidString->Buffer[i];
        UCHAR *byte;

        if (shape[i] != 'x') {
            if (c != (WCHAR) shape[i])
                return STATUS_INVALID_PARAMETER;
            continue;
        }
        if (digit_of(c) >= 16)
            return STATUS_INVALID_PARAMETER;
        byte = &bytes[places[digits++ / 2]];
        *byte = (UCHAR) (*byte << 4 | digit_of(c));
    }
    RtlCopyMemory(Guid, bytes, sizeof bytes);
    return STATUS_SUCCESS;
}

/* Allocated: freed with RtlFreeUnicodeString.  STATUS_NO_MEMORY. */
NTSTATUS NTAPI
RtlStringFromGUID(const GUID *Guid, PUNICODE_STRING GuidString)
{
    const UCHAR *bytes = (const UCHAR *) Guid;
    size_t size = (GUID_CHARS + 1) * sizeof(WCHAR), digits = 0;
    PWSTR text;

    KE_IRQL(RtlStringFromGUID);
    text = ExAllocatePoolWithTag(PagedPool, size, RTL_TAG);
    if (text == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i <= GUID_CHARS; i++) {
        text[i] = (WCHAR) shape[i];
        if (shape[i] == 'x') {
            UCHAR byte = bytes[places[digits / 2]];

            text[i] = (WCHAR) "0123456789ABCDEF"[digits++ % 2 == 0 ? byte >> 4
                                                                   : byte & 15];
        }
    }
    GuidString->Buffer = text;
    GuidString->Length = (USHORT) (size - sizeof(WCHAR));
    GuidString->MaximumLength = (USHORT) size;
    return STATUS_SUCCESS;
}
