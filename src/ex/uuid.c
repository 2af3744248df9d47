/*
 * uuid.c - identities that are new
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

#include <errno.h>
#include <sys/random.h>

/* Version 4: random.  STATUS_RETRY: there is not enough randomness yet. */
NTSTATUS NTAPI
ExUuidCreate(UUID *Uuid)
{
    ssize_t got;

    KE_IRQL(ExUuidCreate);
    do
        got = getrandom(Uuid, sizeof *Uuid, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t) sizeof *Uuid)
        return STATUS_RETRY;
    Uuid->Data3 = (USHORT) ((Uuid->Data3 & 0x0FFF) | 0x4000);
    Uuid->Data4[0] = (UCHAR) ((Uuid->Data4[0] & 0x3F) | 0x80);
    return STATUS_SUCCESS;
}
