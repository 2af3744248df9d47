/*
 * errlog.c - the error log: what drivers report, in a ring
 *
 * <= DISPATCH.  The newest LOG_SIZE entries are kept, with their dump data; the
 * control API shows them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <ntiologc.h>
#include <stdio.h>

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

/* --- writing ------------------------------------------------------------- */

static void
append(struct io_error_log_entry *entry)
{
    KIRQL irql;

    TRACE(TRACE_PNP, "error log: driver %s device %s %s status %s %s",
          entry->driver, entry->device,
          io_error_code_name(entry->packet.ErrorCode),
          status_name(entry->packet.FinalStatus), entry->text);
    KeAcquireSpinLock(&log_lock, &irql);
    entry->seq = ++last_seq;
    ring[entry->seq % LOG_SIZE] = *entry;
    KeReleaseSpinLock(&log_lock, irql);
}

/* A packet that says more than it holds is taken for what it holds. */
static void
copy_dump(struct io_error_log_entry *entry, const UCHAR *packet, SIZE_T size)
{
    SIZE_T start = offsetof(IO_ERROR_LOG_PACKET, DumpData);
    SIZE_T len = entry->packet.DumpDataSize;

    if (len > size - start)
        len = size - start;
    entry->dump_len = (uint16_t) len;
    RtlCopyMemory(entry->dump, packet + start, len);
}

/* NumberOfStrings strings, each with its NUL, from StringOffset on. */
static void
copy_strings(struct io_error_log_entry *entry, const UCHAR *packet, SIZE_T size)
{
    SIZE_T at = entry->packet.StringOffset, len = 0;
    USHORT left = entry->packet.NumberOfStrings;

    if (at % sizeof(WCHAR) != 0)
        return;
    for (;
         left > 0 && at + sizeof(WCHAR) <= size && len + 1 < sizeof entry->text;
         at += sizeof(WCHAR)) {
        WCHAR c = *(const WCHAR *) (packet + at);

        if (c != 0)
            entry->text[len++] = c >= ' ' && c < 0x7f ? (char) c : '?';
        else if (--left > 0)
            entry->text[len++] = ' ';
    }
    entry->text[len] = '\0';
}

/* Takes the entry. */
VOID NTAPI
IoWriteErrorLogEntry(PVOID ElEntry)
{
    struct entry_head *head = (struct entry_head *) ElEntry - 1;
    struct io_error_log_entry entry = { .time_ms = clock_wall_ms() };

    RtlCopyMemory(&entry.packet, ElEntry, sizeof entry.packet);
    copy_dump(&entry, ElEntry, head->size);
    copy_strings(&entry, ElEntry, head->size);
    io_driver_text(head->driver, entry.driver, sizeof entry.driver);
    if (head->device != NULL)
        io_device_name(head->device, entry.device, sizeof entry.device);
    entry.object = head->device;
    append(&entry);
    IoFreeErrorLogEntry(ElEntry);
}

void
io_error_log_message(const char *source, NTSTATUS status, const char *text)
{
    struct io_error_log_entry entry = {
        .time_ms = clock_wall_ms(),
        .packet.ErrorCode = status,
        .packet.FinalStatus = status,
    };

    snprintf(entry.driver, sizeof entry.driver, "%s", source);
    snprintf(entry.text, sizeof entry.text, "%s", text);
    append(&entry);
}

/* --- reading ------------------------------------------------------------- */

#define CODE(name)                                                             \
    {                                                                          \
        name, #name                                                            \
    }

/* The message codes of ntiologc.h. */
static const struct {
    NTSTATUS code;
    const char *name;
} codes[] = {
    CODE(IO_ERR_RETRY_SUCCEEDED),
    CODE(IO_ERR_SEEK_ERROR),
    CODE(IO_ERR_BAD_BLOCK),
    CODE(IO_ERR_TIMEOUT),
    CODE(IO_ERR_CONTROLLER_ERROR),
    CODE(IO_ERR_INVALID_REQUEST),
    CODE(IO_ERR_NOT_READY),
    CODE(IO_ERR_RESET),
    CODE(IO_RECOVERED_VIA_ECC),
    CODE(IO_WARNING_PAGING_FAILURE),
    CODE(IO_WRN_FAILURE_PREDICTED),
    CODE(IO_DRIVER_CANCEL_TIMEOUT),
    CODE(IO_WARNING_WRITE_FUA_PROBLEM),
    CODE(IO_CDROM_EXCLUSIVE_LOCK),
    CODE(IO_WARNING_IO_OPERATION_RETRIED),
};

const char *
io_error_code_name(NTSTATUS code)
{
    for (size_t i = 0; i < ARRAYSIZE(codes); i++)
        if (codes[i].code == code)
            return codes[i].name;
    return status_name(code);
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
