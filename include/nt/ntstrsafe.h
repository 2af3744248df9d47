/*
 * ntstrsafe.h - strings in buffers of known size, which always end in a NUL
 *
 * Cch routines count characters, Cb routines bytes.  A result that does not fit
 * is cut: STATUS_BUFFER_OVERFLOW.  A buffer of no or more than
 * NTSTRSAFE_MAX_CCH characters: STATUS_INVALID_PARAMETER.  Any IRQL, but for
 * conversions of wide characters by a format (PASSIVE).  As in the WDK, all of
 * it is inline; formats are those of the C library.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _NTSTRSAFE_H_INCLUDED_
#define _NTSTRSAFE_H_INCLUDED_

#include <wdm.h>

#include <stdarg.h>
#include <stdio.h>

#define NTSTRSAFE_MAX_CCH    2147483647
#define NTSTRSAFE_MAX_LENGTH (NTSTRSAFE_MAX_CCH - 1)
#define NTSTRSAFE_UNICODE_STRING_MAX_CCH (0xffff / sizeof(WCHAR))

typedef char *NTSTRSAFE_PSTR;
typedef const char *NTSTRSAFE_PCSTR;
typedef WCHAR *NTSTRSAFE_PWSTR;
typedef const WCHAR *NTSTRSAFE_PCWSTR;

#define NTSTRSAFE_COPY_(suffix, char_type)                                    \
    FORCEINLINE NTSTATUS RtlStringCchCopyN##suffix(                           \
        char_type *pszDest, size_t cchDest, const char_type *pszSrc,          \
        size_t cchToCopy)                                                     \
    {                                                                         \
        size_t n = 0;                                                         \
                                                                              \
        if (cchDest == 0 || cchDest > NTSTRSAFE_MAX_CCH)                      \
            return STATUS_INVALID_PARAMETER;                                  \
        while (n < cchDest && n < cchToCopy && pszSrc[n] != 0) {              \
            pszDest[n] = pszSrc[n];                                           \
            n++;                                                              \
        }                                                                     \
        if (n == cchDest) {                                                   \
            pszDest[n - 1] = 0;                                               \
            return STATUS_BUFFER_OVERFLOW;                                    \
        }                                                                     \
        pszDest[n] = 0;                                                       \
        return STATUS_SUCCESS;                                                \
    }                                                                         \
    FORCEINLINE NTSTATUS RtlStringCchLength##suffix(                          \
        const char_type *psz, size_t cchMax, size_t *pcchLength)              \
    {                                                                         \
        size_t n = 0;                                                         \
                                                                              \
        if (psz != NULL && cchMax <= NTSTRSAFE_MAX_CCH)                       \
            while (n < cchMax && psz[n] != 0)                                 \
                n++;                                                          \
        if (psz == NULL || cchMax > NTSTRSAFE_MAX_CCH || n == cchMax) {       \
            if (pcchLength != NULL)                                           \
                *pcchLength = 0;                                              \
            return STATUS_INVALID_PARAMETER;                                  \
        }                                                                     \
        if (pcchLength != NULL)                                               \
            *pcchLength = n;                                                  \
        return STATUS_SUCCESS;                                                \
    }                                                                         \
    FORCEINLINE NTSTATUS RtlStringCchCatN##suffix(                            \
        char_type *pszDest, size_t cchDest, const char_type *pszSrc,          \
        size_t cchToAppend)                                                   \
    {                                                                         \
        size_t n;                                                             \
        NTSTATUS status = RtlStringCchLength##suffix(pszDest, cchDest, &n);   \
                                                                              \
        if (!NT_SUCCESS(status))                                              \
            return status;                                                    \
        return RtlStringCchCopyN##suffix(pszDest + n, cchDest - n, pszSrc,    \
                                         cchToAppend);                        \
    }

NTSTRSAFE_COPY_(A, char)
NTSTRSAFE_COPY_(W, WCHAR)

#define RtlStringCchCopyA(pszDest, cchDest, pszSrc)                           \
    RtlStringCchCopyNA((pszDest), (cchDest), (pszSrc), NTSTRSAFE_MAX_LENGTH)
#define RtlStringCchCopyW(pszDest, cchDest, pszSrc)                           \
    RtlStringCchCopyNW((pszDest), (cchDest), (pszSrc), NTSTRSAFE_MAX_LENGTH)
#define RtlStringCchCatA(pszDest, cchDest, pszSrc)                            \
    RtlStringCchCatNA((pszDest), (cchDest), (pszSrc), NTSTRSAFE_MAX_LENGTH)
#define RtlStringCchCatW(pszDest, cchDest, pszSrc)                            \
    RtlStringCchCatNW((pszDest), (cchDest), (pszSrc), NTSTRSAFE_MAX_LENGTH)

#define RtlStringCbCopyA(pszDest, cbDest, pszSrc)                             \
    RtlStringCchCopyA((pszDest), (cbDest), (pszSrc))
#define RtlStringCbCopyNA(pszDest, cbDest, pszSrc, cbToCopy)                  \
    RtlStringCchCopyNA((pszDest), (cbDest), (pszSrc), (cbToCopy))
#define RtlStringCbCatA(pszDest, cbDest, pszSrc)                              \
    RtlStringCchCatA((pszDest), (cbDest), (pszSrc))
#define RtlStringCbCopyW(pszDest, cbDest, pszSrc)                             \
    RtlStringCchCopyW((pszDest), (cbDest) / sizeof(WCHAR), (pszSrc))
#define RtlStringCbCopyNW(pszDest, cbDest, pszSrc, cbToCopy)                  \
    RtlStringCchCopyNW((pszDest), (cbDest) / sizeof(WCHAR), (pszSrc),         \
                       (cbToCopy) / sizeof(WCHAR))
#define RtlStringCbCatW(pszDest, cbDest, pszSrc)                              \
    RtlStringCchCatW((pszDest), (cbDest) / sizeof(WCHAR), (pszSrc))
#define RtlStringCbLengthA(psz, cbMax, pcbLength)                             \
    RtlStringCchLengthA((psz), (cbMax), (pcbLength))

FORCEINLINE NTSTATUS
RtlStringCbLengthW(NTSTRSAFE_PCWSTR psz, size_t cbMax, size_t *pcbLength)
{
    NTSTATUS status =
        RtlStringCchLengthW(psz, cbMax / sizeof(WCHAR), pcbLength);

    if (pcbLength != NULL)
        *pcbLength *= sizeof(WCHAR);
    return status;
}

/* Formats of narrow characters only: the wide ones are Microsoft's. */
static inline __attribute__((unused, format(printf, 3, 0))) NTSTATUS
RtlStringCchVPrintfA(NTSTRSAFE_PSTR pszDest, size_t cchDest,
                     NTSTRSAFE_PCSTR pszFormat, va_list argList)
{
    int n;

    if (cchDest == 0 || cchDest > NTSTRSAFE_MAX_CCH)
        return STATUS_INVALID_PARAMETER;
    n = vsnprintf(pszDest, cchDest, pszFormat, argList);
    if (n < 0) {
        pszDest[0] = 0;
        return STATUS_INVALID_PARAMETER;
    }
    return (size_t) n < cchDest ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW;
}

static inline __attribute__((unused, format(printf, 3, 4))) NTSTATUS
RtlStringCchPrintfA(NTSTRSAFE_PSTR pszDest, size_t cchDest,
                    NTSTRSAFE_PCSTR pszFormat, ...)
{
    va_list arguments;
    NTSTATUS status;

    va_start(arguments, pszFormat);
    status = RtlStringCchVPrintfA(pszDest, cchDest, pszFormat, arguments);
    va_end(arguments);
    return status;
}

#define RtlStringCbVPrintfA RtlStringCchVPrintfA
#define RtlStringCbPrintfA  RtlStringCchPrintfA

#endif
