/*
 * upkeep.c - the drive's cache (the caching page), and blocks that went bad
 *            (REASSIGN BLOCKS)
 *
 * Written against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "disk/upkeep.h"

#include <ntdddisk.h>
#include <scsi.h>

#include "fdo/fdo.h"

#define UPKEEP_TAG 0x20706b55 /* "Ukp " */

/* What the numbers of the two retention priorities mean (SBC). */
enum { RETAIN_ALIKE = 0x0, RETAIN_OTHERS = 0x1, RETAIN_READ = 0xF };

/* MODE SENSE(6): header, descriptor, page. */
struct parameters {
    UCHAR data[192];
    ULONG length;
    PMODE_CACHING_PAGE page;
};

static USHORT
get_be16(const UCHAR *at)
{
    return (USHORT) (at[0] << 8 | at[1]);
}

static void
put_be(PUCHAR to, ULONG value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        to[i] = (UCHAR) value;
}

/* --- the cache ------------------------------------------------------------ */

static NTSTATUS
read_page(PDEVICE_OBJECT fdo, struct parameters *out)
{
    ULONG offset;

    RtlZeroMemory(out, sizeof *out);
    out->length = ClassModeSense(fdo, (PCHAR) out->data, sizeof out->data,
                                 MODE_PAGE_CACHING);
    if (out->length < sizeof(MODE_PARAMETER_HEADER))
        return STATUS_NOT_SUPPORTED;
    if (out->length > out->data[0] + 1u)
        out->length = out->data[0] + 1u;
    out->page = ClassFindModePage((PCHAR) out->data, out->length,
                                  MODE_PAGE_CACHING, TRUE);
    if (out->page == NULL)
        return STATUS_NOT_SUPPORTED;
    offset = (ULONG) ((PUCHAR) out->page - out->data);
    /* Those of SCSI-2 end before the ceiling of prefetching. */
    return offset + FIELD_OFFSET(MODE_CACHING_PAGE, MaximumPrefetchCeiling) <=
                   out->length
               ? STATUS_SUCCESS
               : STATUS_NOT_SUPPORTED;
}

static DISK_CACHE_RETENTION_PRIORITY
retention_of(UCHAR number)
{
    return number == RETAIN_READ     ? KeepReadData
           : number == RETAIN_OTHERS ? KeepPrefetchedData
                                     : EqualPriority;
}

static UCHAR
number_of(DISK_CACHE_RETENTION_PRIORITY retention)
{
    return retention == KeepReadData         ? RETAIN_READ
           : retention == KeepPrefetchedData ? RETAIN_OTHERS
                                             : RETAIN_ALIKE;
}

static void
fill(const struct parameters *from, PDISK_CACHE_INFORMATION out)
{
    const MODE_CACHING_PAGE *page = from->page;

    RtlZeroMemory(out, sizeof *out);
    out->ParametersSavable = page->PageSavable;
    out->ReadCacheEnabled = !page->ReadDisableCache;
    out->WriteCacheEnabled = page->WriteCacheEnable;
    out->ReadRetentionPriority = retention_of(page->ReadRetensionPriority);
    out->WriteRetentionPriority = retention_of(page->WriteRetensionPriority);
    out->DisablePrefetchTransferLength =
        get_be16(page->DisablePrefetchTransfer);
    out->PrefetchScalar = page->MultiplicationFactor;
    out->ScalarPrefetch.Minimum = get_be16(page->MinimumPrefetch);
    out->ScalarPrefetch.Maximum = get_be16(page->MaximumPrefetch);
    if (out->PrefetchScalar && (PUCHAR) (page + 1) <= from->data + from->length)
        out->ScalarPrefetch.MaximumBlocks =
            get_be16(page->MaximumPrefetchCeiling);
}

NTSTATUS
disk_get_cache(PDEVICE_OBJECT fdo, PIRP irp)
{
    struct parameters now;
    NTSTATUS status;

    if (fdo_room(irp) < sizeof(DISK_CACHE_INFORMATION))
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    status = read_page(fdo, &now);
    if (NT_SUCCESS(status))
        fill(&now, irp->AssociatedIrp.SystemBuffer);
    return fdo_complete(fdo, irp, status, sizeof(DISK_CACHE_INFORMATION));
}

/* The page as the drive has it, but for what the caller may say. */
static void
change(struct parameters *to, const DISK_CACHE_INFORMATION *what)
{
    PMODE_CACHING_PAGE page = to->page;

    page->PageSavable = 0; /* reserved in MODE SELECT */
    page->ReadDisableCache = !what->ReadCacheEnabled;
    page->WriteCacheEnable = what->WriteCacheEnabled != 0;
    page->MultiplicationFactor = what->PrefetchScalar != 0;
    page->ReadRetensionPriority = number_of(what->ReadRetentionPriority);
    page->WriteRetensionPriority = number_of(what->WriteRetentionPriority);
    put_be(page->DisablePrefetchTransfer, what->DisablePrefetchTransferLength,
           2);
    put_be(page->MinimumPrefetch, what->ScalarPrefetch.Minimum, 2);
    put_be(page->MaximumPrefetch, what->ScalarPrefetch.Maximum, 2);
    if (what->PrefetchScalar && (PUCHAR) (page + 1) <= to->data + to->length)
        put_be(page->MaximumPrefetchCeiling, what->ScalarPrefetch.MaximumBlocks,
               2);
    to->data[0] = 0; /* the header's reserved fields */
    to->data[2] = 0;
}

NTSTATUS
disk_set_cache(PDEVICE_OBJECT fdo, PIRP irp)
{
    const DISK_CACHE_INFORMATION *what = irp->AssociatedIrp.SystemBuffer;
    struct parameters now;
    NTSTATUS status;

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    status = read_page(fdo, &now);
    if (NT_SUCCESS(status)) {
        change(&now, what);
        status = ClassModeSelect(fdo, (PCHAR) now.data, now.length,
                                 what->ParametersSavable);
    }
    return fdo_complete(fdo, irp, status, 0);
}

/* --- blocks --------------------------------------------------------------- */

/* The defect list: two reserved bytes, its length, addresses of four bytes. */
NTSTATUS
disk_reassign_blocks(PDEVICE_OBJECT fdo, PIRP irp)
{
    const REASSIGN_BLOCKS *what = irp->AssociatedIrp.SystemBuffer;
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };
    ULONG given = fdo_given(irp), length;
    NTSTATUS status;
    PUCHAR list;

    if (given < sizeof *what ||
        given < FIELD_OFFSET(REASSIGN_BLOCKS, BlockNumber) +
                    what->Count * sizeof what->BlockNumber[0])
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (what->Count > 0xffff / sizeof what->BlockNumber[0])
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    length = what->Count * (ULONG) sizeof what->BlockNumber[0];
    list = ExAllocatePoolWithTag(NonPagedPool, 4 + length, UPKEEP_TAG);
    if (list == NULL)
        return fdo_complete(fdo, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    put_be(list, length, 4);
    for (ULONG i = 0; i < what->Count; i++)
        put_be(list + 4 + 4 * i, what->BlockNumber[i], 4);
    srb.TimeOutValue = ext->TimeOutValue;
    srb.Cdb[0] = SCSIOP_REASSIGN_BLOCKS;
    status = ClassSendSrbSynchronous(fdo, &srb, list, 4 + length, TRUE);
    ExFreePoolWithTag(list, UPKEEP_TAG);
    return fdo_complete(fdo, irp, status, 0);
}
