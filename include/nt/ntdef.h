/*
 * ntdef.h - basic types, calling convention, lists
 *
 * LONG is 32 bits and WCHAR 16 (build with -fshort-wchar), as Microsoft's
 * compiler has them.  NTAPI is the Microsoft x64 convention, so that one host
 * serves drivers built natively and drivers built for the Windows ABI.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _NTDEF_
#define _NTDEF_

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define NTAPI __attribute__((ms_abi))
#else
#define NTAPI
#endif
#define FASTCALL NTAPI
#define NTKERNELAPI
#define NTSYSAPI
#define DECLSPEC_ALIGN(x)     __attribute__((aligned(x)))
#define DECLSPEC_NORETURN     __attribute__((noreturn))
#define FORCEINLINE           static inline __attribute__((always_inline))
#define UNREFERENCED_PARAMETER(P) ((void) (P))
#define ANYSIZE_ARRAY         1
#define C_ASSERT(e)           _Static_assert(e, #e)

/* Source annotations: accepted, without effect. */
#define IN
#define OUT
#define OPTIONAL
#define _In_
#define _In_opt_
#define _Out_
#define _Out_opt_
#define _Inout_
#define _Inout_opt_
#define _Use_decl_annotations_
#define _IRQL_requires_max_(irql)
#define _IRQL_requires_(irql)
#define _Function_class_(name)

#define CONST const
typedef void           VOID, *PVOID;
typedef const void    *PCVOID;
typedef char           CHAR, *PCHAR, *PSTR, CCHAR, *PCCHAR;
typedef const char    *PCSTR, *PCSZ;
typedef unsigned char  UCHAR, *PUCHAR, BOOLEAN, *PBOOLEAN, BYTE;
typedef int16_t        SHORT, *PSHORT, CSHORT;
typedef uint16_t       USHORT, *PUSHORT, WORD;
typedef int32_t        LONG, *PLONG, INT, *PINT;
typedef uint32_t       ULONG, *PULONG, UINT, *PUINT, DWORD, ULONG32;
typedef int64_t        LONGLONG, *PLONGLONG, LONG64, *PLONG64;
typedef uint64_t       ULONGLONG, *PULONGLONG, ULONG64, *PULONG64, DWORDLONG;
typedef uint32_t       UINT32;
typedef uint64_t       UINT64;
typedef intptr_t       LONG_PTR, *PLONG_PTR, SSIZE_T;
typedef uintptr_t      ULONG_PTR, *PULONG_PTR, SIZE_T, *PSIZE_T;
typedef __WCHAR_TYPE__ WCHAR, *PWCHAR, *PWSTR;
typedef const WCHAR   *PCWSTR;
typedef LONG           NTSTATUS, *PNTSTATUS;
typedef PVOID          HANDLE, *PHANDLE;
typedef UCHAR          KIRQL, *PKIRQL;
typedef CCHAR          KPROCESSOR_MODE;
typedef ULONG          ACCESS_MASK, DEVICE_TYPE;
typedef LONG           KPRIORITY;

enum MODE { KernelMode, UserMode, MaximumMode };

#define TRUE  1
#define FALSE 0
#ifndef NULL
#define NULL ((void *) 0)
#endif

typedef union _LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    };
    struct {
        ULONG LowPart;
        LONG HighPart;
    } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef union _ULARGE_INTEGER {
    struct {
        ULONG LowPart;
        ULONG HighPart;
    };
    struct {
        ULONG LowPart;
        ULONG HighPart;
    } u;
    ULONGLONG QuadPart;
} ULARGE_INTEGER, *PULARGE_INTEGER;

typedef LARGE_INTEGER PHYSICAL_ADDRESS, *PPHYSICAL_ADDRESS;

/* Length and MaximumLength are bytes; Buffer need not end in a NUL. */
typedef struct _UNICODE_STRING {
    USHORT Length;
    USHORT MaximumLength;
    PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef struct _STRING {
    USHORT Length;
    USHORT MaximumLength;
    PCHAR Buffer;
} STRING, ANSI_STRING, *PSTRING, *PANSI_STRING;
typedef const ANSI_STRING *PCANSI_STRING;

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink;
    struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _SINGLE_LIST_ENTRY {
    struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY, *PSINGLE_LIST_ENTRY;

typedef struct _GUID {
    ULONG Data1;
    USHORT Data2;
    USHORT Data3;
    UCHAR Data4[8];
} GUID, *LPGUID;
typedef const GUID *LPCGUID;
typedef GUID UUID;

#define IsEqualGUID(a, b) (__builtin_memcmp((a), (b), sizeof(GUID)) == 0)

/* Declares; after <initguid.h>, defines. */
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)          \
    extern const GUID name
#ifdef INITGUID
#include <initguid.h>
#endif

#define NT_SUCCESS(Status)     (((NTSTATUS) (Status)) >= 0)
#define NT_INFORMATION(Status) ((((ULONG) (Status)) >> 30) == 1)
#define NT_WARNING(Status)     ((((ULONG) (Status)) >> 30) == 2)
#define NT_ERROR(Status)       ((((ULONG) (Status)) >> 30) == 3)

#define CONTAINING_RECORD(address, type, field)                               \
    ((type *) ((char *) (address) -offsetof(type, field)))
#define FIELD_OFFSET(type, field) ((LONG) offsetof(type, field))
#define RTL_NUMBER_OF(A)          (sizeof(A) / sizeof((A)[0]))
#define ARRAYSIZE(A)              RTL_NUMBER_OF(A)
#define RTL_FIELD_SIZE(type, field) (sizeof(((type *) 0)->field))
#define RTL_SIZEOF_THROUGH_FIELD(type, field)                                 \
    (offsetof(type, field) + RTL_FIELD_SIZE(type, field))

#define RTL_CONSTANT_STRING(s)                                                \
    {                                                                         \
        sizeof(s) - sizeof((s)[0]), sizeof(s), (void *) (s)                   \
    }
#define DECLARE_CONST_UNICODE_STRING(name, text)                              \
    const WCHAR name##_buffer[] = text;                                       \
    const UNICODE_STRING name = { sizeof(text) - sizeof(WCHAR),               \
                                  sizeof(text), (PWSTR) name##_buffer }

/* --- naming an object ------------------------------------------------------ */

#define OBJ_INHERIT            0x00000002
#define OBJ_PERMANENT          0x00000010
#define OBJ_EXCLUSIVE          0x00000020
#define OBJ_CASE_INSENSITIVE   0x00000040
#define OBJ_OPENIF             0x00000080
#define OBJ_OPENLINK           0x00000100
#define OBJ_KERNEL_HANDLE      0x00000200
#define OBJ_FORCE_ACCESS_CHECK 0x00000400

typedef struct _OBJECT_ATTRIBUTES {
    ULONG Length;
    HANDLE RootDirectory;
    PUNICODE_STRING ObjectName;
    ULONG Attributes;
    PVOID SecurityDescriptor;
    PVOID SecurityQualityOfService;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;

#define InitializeObjectAttributes(p, n, a, r, s)                             \
    ((p)->Length = sizeof(OBJECT_ATTRIBUTES), (p)->RootDirectory = (r),       \
     (p)->Attributes = (a), (p)->ObjectName = (n),                            \
     (p)->SecurityDescriptor = (s), (p)->SecurityQualityOfService = NULL)

#endif
