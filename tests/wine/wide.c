/*
 * wide.c - the C library's wide text routines for characters of 16 bits
 *
 * SPDX-License-Identifier: MIT
 */
#include "winbase.h"

size_t
wide_len(const WCHAR *text)
{
    size_t len = 0;

    while (text[len] != 0)
        len++;
    return len;
}

int
wide_compare(const WCHAR *a, const WCHAR *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (int) *a - (int) *b;
}

WCHAR *
wide_copy(WCHAR *to, const WCHAR *from)
{
    memcpy(to, from, (wide_len(from) + 1) * sizeof(WCHAR));
    return to;
}

WCHAR *
wide_find(const WCHAR *text, const WCHAR *part)
{
    size_t len = wide_len(part);

    for (; wide_len(text) >= len; text++)
        if (memcmp(text, part, len * sizeof(WCHAR)) == 0)
            return (WCHAR *) text;
    return NULL;
}

int
wide_print(WCHAR *out, size_t max, const WCHAR *format, ...)
{
    char narrow_format[64], narrow[256];
    va_list args;
    size_t len;

    for (len = 0; format[len] != 0 && len < sizeof narrow_format - 1; len++)
        narrow_format[len] = (char) format[len];
    narrow_format[len] = '\0';
    va_start(args, format);
    vsnprintf(narrow, sizeof narrow, narrow_format, args);
    va_end(args);
    for (len = 0; narrow[len] != '\0' && len + 1 < max; len++)
        out[len] = (WCHAR) (unsigned char) narrow[len];
    out[len] = 0;
    return (int) len;
}
