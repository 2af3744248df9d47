/*
 * errlog.c - the error log: what drivers report, in a ring
 *
 * <= DISPATCH.  The newest LOG_SIZE entries are kept; the control API shows
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/clock.h"
#include "base/status.h"

#define LOG_SIZE 128u

struct entry_head {
    PDRIVER_OBJECT driver; /* both hold references */
    PDEVICE_OBJECT device; /* or NULL */
    ULONG64 size;          /* of the packet */
};

static KSPIN_LOCK log_lock;
static struct io_error_log_entry ring[LOG_SIZE];
static uint64_t last_seq; /* ring[seq % LOG_SIZE] */

/* IoObject: a device or a driver.  EntrySize counts the dump data and strings
 * behind the packet. */
PVOID NTAPI
IoAllocateErrorLogEntry(PVOID IoObject, UCHAR EntrySize)
{
    struct entry_head *head;
    SIZE_T size = EntrySize;

    if (IoObject == NULL ||
        EntrySize < offsetof(IO_ERROR_LOG_PACKET, DumpData) ||
        EntrySize > ERROR_LOG_MAXIMUM_SIZE)
        return NULL;
    if (size < sizeof(IO_ERROR_LOG_PACKET))
        size = sizeof(IO_ERROR_LOG_PACKET);
    head = ExAllocatePoolWithTag(NonPagedPool, sizeof *head + size, IO_TAG_LOG);
    if (head == NULL)
        return NULL;
    RtlZeroMemory(head, sizeof *head + size);
    head->size = size;
    if (*(CSHORT *) IoObject == IO_TYPE_DEVICE) {
        head->device = IoObject;
        head->driver = head->device->DriverObject;
        ObReferenceObject(head->device);
    } else {
        head->driver = IoObject;
    }
    ObReferenceObject(head->driver);
    return head + 1;
}

VOID NTAPI
IoFreeErrorLogEntry(PVOID ElEntry)
{
    struct entry_head *head = (struct entry_head *) ElEntry - 1;

    if (head->device != NULL)
        ObDereferenceObject(head->device);
    ObDereferenceObject(head->driver);
    ExFreePoolWithTag(head, IO_TAG_LOG);
}

/* Takes the entry. */
VOID NTAPI
IoWriteErrorLogEntry(PVOID ElEntry)
{
    struct entry_head *head = (struct entry_head *) ElEntry - 1;
    struct io_error_log_entry entry = { .time_ms = clock_wall_ms() };
    KIRQL irql;

    RtlCopyMemory(&entry.packet, ElEntry, sizeof entry.packet);
    io_driver_text(head->driver, entry.driver, sizeof entry.driver);
    if (head->device != NULL)
        io_device_name(head->device, entry.device, sizeof entry.device);
    TRACE(TRACE_PNP, "error log: driver %s device %s code %08x status %s",
          entry.driver, entry.device, (unsigned) entry.packet.ErrorCode,
          status_name(entry.packet.FinalStatus));
    KeAcquireSpinLock(&log_lock, &irql);
    entry.seq = ++last_seq;
    ring[entry.seq % LOG_SIZE] = entry;
    KeReleaseSpinLock(&log_lock, irql);
    IoFreeErrorLogEntry(ElEntry);
}

size_t
io_error_log(uint64_t after_seq, struct io_error_log_entry *out_list,
             size_t max)
{
    uint64_t seq;
    size_t count = 0;
    KIRQL irql;

    KeAcquireSpinLock(&log_lock, &irql);
    seq = last_seq > LOG_SIZE ? last_seq - LOG_SIZE + 1 : 1;
    if (seq <= after_seq)
        seq = after_seq + 1;
    if (last_seq + 1 > seq + max)
        seq = last_seq + 1 - max;
    for (; seq <= last_seq; seq++)
        out_list[count++] = ring[seq % LOG_SIZE];
    KeReleaseSpinLock(&log_lock, irql);
    return count;
}
