/*
 * share.c - share access: who may open a file beside those who have it open
 *
 * PASSIVE.  The file system serializes the calls for one record.  A file that
 * neither reads, writes nor deletes shares nothing and takes nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#define READS  (FILE_READ_DATA | FILE_EXECUTE)
#define WRITES (FILE_WRITE_DATA | FILE_APPEND_DATA)

static void
describe(PFILE_OBJECT file, ACCESS_MASK access, ULONG share)
{
    file->ReadAccess = (access & READS) != 0;
    file->WriteAccess = (access & WRITES) != 0;
    file->DeleteAccess = (access & DELETE) != 0;
    if (!file->ReadAccess && !file->WriteAccess && !file->DeleteAccess) {
        file->SharedRead = file->SharedWrite = file->SharedDelete = FALSE;
        return;
    }
    file->SharedRead = (share & FILE_SHARE_READ) != 0;
    file->SharedWrite = (share & FILE_SHARE_WRITE) != 0;
    file->SharedDelete = (share & FILE_SHARE_DELETE) != 0;
}

static bool
counts(PFILE_OBJECT file)
{
    return file->ReadAccess || file->WriteAccess || file->DeleteAccess;
}

/* By: 1, or -1 as an unsigned number. */
static void
add(PFILE_OBJECT file, PSHARE_ACCESS access, ULONG by)
{
    if (!counts(file))
        return;
    access->OpenCount += by;
    access->Readers += file->ReadAccess ? by : 0;
    access->Writers += file->WriteAccess ? by : 0;
    access->Deleters += file->DeleteAccess ? by : 0;
    access->SharedRead += file->SharedRead ? by : 0;
    access->SharedWrite += file->SharedWrite ? by : 0;
    access->SharedDelete += file->SharedDelete ? by : 0;
}

NTSTATUS NTAPI
IoCheckShareAccess(ACCESS_MASK DesiredAccess, ULONG DesiredShareAccess,
                   PFILE_OBJECT FileObject, PSHARE_ACCESS ShareAccess,
                   BOOLEAN Update)
{
    const SHARE_ACCESS *now = ShareAccess;

    describe(FileObject, DesiredAccess, DesiredShareAccess);
    if (!counts(FileObject))
        return STATUS_SUCCESS;
    if ((FileObject->ReadAccess && now->SharedRead < now->OpenCount) ||
        (FileObject->WriteAccess && now->SharedWrite < now->OpenCount) ||
        (FileObject->DeleteAccess && now->SharedDelete < now->OpenCount) ||
        (now->Readers != 0 && !FileObject->SharedRead) ||
        (now->Writers != 0 && !FileObject->SharedWrite) ||
        (now->Deleters != 0 && !FileObject->SharedDelete))
        return STATUS_SHARING_VIOLATION;
    if (Update)
        add(FileObject, ShareAccess, 1);
    return STATUS_SUCCESS;
}

VOID NTAPI
IoSetShareAccess(ACCESS_MASK DesiredAccess, ULONG DesiredShareAccess,
                 PFILE_OBJECT FileObject, PSHARE_ACCESS ShareAccess)
{
    describe(FileObject, DesiredAccess, DesiredShareAccess);
    RtlZeroMemory(ShareAccess, sizeof *ShareAccess);
    add(FileObject, ShareAccess, 1);
}

VOID NTAPI
IoUpdateShareAccess(PFILE_OBJECT FileObject, PSHARE_ACCESS ShareAccess)
{
    add(FileObject, ShareAccess, 1);
}

VOID NTAPI
IoRemoveShareAccess(PFILE_OBJECT FileObject, PSHARE_ACCESS ShareAccess)
{
    add(FileObject, ShareAccess, (ULONG) -1);
}
