/*
 * outcome.c - what a status of the drive means: a table
 *
 * Context: any IRQL; nothing but the table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#define ANY STATUS_SUCCESS /* which has no row */

static const struct fs_outcome outcomes[] = {
#define FS_OUTCOME(status, fate, asked, again, about, why)                     \
    { status, FS_FATE_##fate, asked, FS_AGAIN_##again, FS_ABOUT_##about },
#include "fs/outcome.def"
#undef FS_OUTCOME
};

const struct fs_outcome *NTAPI
fs_outcome(NTSTATUS status)
{
    const struct fs_outcome *outcome = outcomes;

    while (outcome->status != status && outcome->status != ANY)
        outcome++;
    return outcome;
}

enum fs_again
fs_again(NTSTATUS reason)
{
    return fs_outcome(reason)->again;
}

/*
 * The reason that a person is told for a volume that could not be verified: one
 * of the user-induced statuses, for only they can be asked about, or that of a
 * drive that is gone, which is asked about as if the drive were empty.
 */
NTSTATUS
fs_absent_reason(NTSTATUS status)
{
    return NT_SUCCESS(status) ? STATUS_WRONG_VOLUME : fs_outcome(status)->asked;
}
