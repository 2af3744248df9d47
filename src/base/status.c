/*
 * status.c - looks NTSTATUS values up in the table
 *
 * Read-only data; the buffers for unknown values belong to the thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/status.h"

#include <errno.h>

static const struct status_info rows[] = {
#define STATUS_ROW(name, error, exit, flags)                                   \
    { name, #name, error, exit, flags },
#define USER STATUS_F_USER
#include "base/status.def"
#undef USER
#undef STATUS_ROW
};

const struct status_info *
status_table(size_t *out_count)
{
    *out_count = ARRAYSIZE(rows);
    return rows;
}

const struct status_info *NTAPI
status_lookup(NTSTATUS status)
{
    size_t low = 0, high = ARRAYSIZE(rows);

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (rows[mid].value == status)
            return &rows[mid];
        if ((ULONG) rows[mid].value < (ULONG) status)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const char *NTAPI
status_name(NTSTATUS status)
{
    static __thread char buffers[5][11];
    static __thread unsigned turn;
    const struct status_info *info = status_lookup(status);
    char *text;

    if (info != NULL)
        return info->name;
    text = buffers[turn++ % ARRAYSIZE(buffers)];
    text[0] = '0';
    text[1] = 'x';
    for (int i = 0; i < 8; i++)
        text[2 + i] = "0123456789ABCDEF"[(ULONG) status >> (28 - 4 * i) & 15];
    text[10] = '\0';
    return text;
}

int
status_wire_errno(NTSTATUS status)
{
    const struct status_info *info = status_lookup(status);

    if (info != NULL)
        return info->wire_errno;
    return NT_SUCCESS(status) ? 0 : EIO;
}

/* 99 is sg3_utils' "some error that has no code of its own". */
int
status_exit_code(NTSTATUS status)
{
    const struct status_info *info = status_lookup(status);

    if (info != NULL)
        return info->exit_code;
    return NT_SUCCESS(status) ? 0 : 99;
}
