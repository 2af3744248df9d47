/*
 * exports.c - the kernel's routines by name, and its version
 *
 * The version is that of the documentation which our headers follow.
 *
 * SPDX-License-Identifier: MIT
 */
#include "exports/exports.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#define VERSION_MAJOR 10
#define VERSION_MINOR 0
#define VERSION_BUILD 19041

static const USHORT build_number = VERSION_BUILD;

static int
compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct export *) row)->name);
}

/* PASSIVE.  NULL: the kernel has nothing of this name.  Data are found, too:
 * the address is that of the variable, which here is behind a pointer. */
PVOID NTAPI
MmGetSystemRoutineAddress(PUNICODE_STRING SystemRoutineName)
{
    size_t len = SystemRoutineName->Length / sizeof(WCHAR);
    const struct export *row;
    char name[128];

    if (len >= sizeof name)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (SystemRoutineName->Buffer[i] > 0x7F)
            return NULL;
        name[i] = (char) SystemRoutineName->Buffer[i];
    }
    name[len] = '\0';
    if (strcmp(name, "NtBuildNumber") == 0)
        return (PVOID) &build_number;
    row = bsearch(name, exports_table, exports_count, sizeof *row, compare);
    if (row == NULL)
        return NULL;
    if (row->pointer)
        return *(PVOID const *) row->address;
    return (PVOID) row->address;
}

/* PASSIVE.  FALSE: not a checked build.  There are no service packs. */
BOOLEAN NTAPI
PsGetVersion(PULONG MajorVersion, PULONG MinorVersion, PULONG BuildNumber,
             PUNICODE_STRING CSDVersion)
{
    if (MajorVersion != NULL)
        *MajorVersion = VERSION_MAJOR;
    if (MinorVersion != NULL)
        *MinorVersion = VERSION_MINOR;
    if (BuildNumber != NULL)
        *BuildNumber = VERSION_BUILD;
    if (CSDVersion != NULL)
        *CSDVersion = (UNICODE_STRING){ 0, 0, NULL };
    return FALSE;
}
