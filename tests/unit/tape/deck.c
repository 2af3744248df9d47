/*
 * deck.c - a tape drive to test drivers against
 *
 * SPDX-License-Identifier: MIT
 */
#include "deck.h"

#include "port/port_internal.h"

struct deck deck;
uint8_t answer[4096];
ULONG_PTR information;

static PDRIVER_OBJECT port_driver, loaded[4];
static uint8_t room[2 << 20];

/* --- what it answers by itself ---------------------------------------------- */

static void
put(uint8_t *at, uint64_t value, int bytes)
{
    while (bytes-- > 0) {
        at[bytes] = (uint8_t) value;
        value >>= 8;
    }
}

static uint32_t
mode_sense(const uint8_t *cdb, uint8_t *to)
{
    uint32_t len = 12;

    memset(to, 0, 64);
    to[2] = deck.protected ? 0x90 : 0x10;
    to[3] = 8;
    to[4] = deck.density;
    put(to + 9, deck.block_bytes, 3);
    if ((cdb[2] & 0x3f) == 0x0F) {
        to[12] = 0x0F;
        to[13] = 14;
        to[14] = 0xC0;
        len = 28;
    } else if ((cdb[2] & 0x3f) == 0x11) {
        to[12] = 0x11;
        to[13] = 6;
        len = 20;
    }
    to[0] = (uint8_t) (len - 1);
    return len;
}

static uint32_t
log_sense(const uint8_t *cdb, uint8_t *to)
{
    memset(to, 0, 64);
    to[0] = cdb[2] & 0x3f;
    if (to[0] != 0x31)
        return 4;
    to[3] = 16;
    to[5] = 1;
    to[7] = 4;
    put(to + 8, deck.capacity_mib, 4);
    to[13] = 3;
    to[15] = 4;
    put(to + 16, deck.capacity_mib, 4);
    return 20;
}

static uint32_t
inquiry(uint8_t *to)
{
    memset(to, 0, 64);
    to[0] = 1;
    to[1] = 0x80;
    to[2] = 5;
    to[4] = 31;
    memset(to + 8, ' ', 28);
    memcpy(to + 8, deck.vendor, strlen(deck.vendor));
    memcpy(to + 16, deck.product, strlen(deck.product));
    return 36;
}

static uint32_t
data_in(const uint8_t *cdb, uint8_t *to, uint32_t len)
{
    switch (cdb[0]) {
    case 0x05:
        memcpy(to, deck.limits, 6);
        return 6;
    case 0x12:
        return cdb[1] & 1 ? 0 : inquiry(to);
    case 0x1A:
        return mode_sense(cdb, to);
    case 0x4D:
        return log_sense(cdb, to);
    case 0x34:
        memset(to, 0, 32);
        to[0] = deck.position_flags;
        put(to + 8, deck.position, 8);
        return 32;
    case 0x08:
        memset(to, 0x5A, len);
        return len;
    default:
        return 0;
    }
}

/* --- the adapter -------------------------------------------------------------- */

static struct reply *
take_reply(const SCSI_REQUEST_BLOCK *srb)
{
    for (unsigned i = 0; i < deck.replies; i++) {
        struct reply *reply = &deck.script[i];

        if (reply->times == 0 ||
            (reply->opcode >= 0 && reply->opcode != srb->Cdb[0]))
            continue;
        if (reply->skip != 0) {
            reply->skip--;
            continue;
        }
        reply->times--;
        return reply;
    }
    return NULL;
}

static void
write_down(const SCSI_REQUEST_BLOCK *srb)
{
    struct seen *seen = &deck.log[deck.commands++ % DECK_LOG];
    uint32_t len = srb->DataTransferLength < 64 ? srb->DataTransferLength : 64;

    memcpy(seen->cdb, srb->Cdb, 16);
    seen->len = srb->DataTransferLength;
    seen->timeout_s = srb->TimeOutValue;
    if (srb->SrbFlags & SRB_FLAGS_DATA_OUT)
        memcpy(seen->out, srb->DataBuffer, len);
}

/* What came of a READ, of a drive that does not lie. */
static uint32_t
by_sense(const SCSI_REQUEST_BLOCK *srb, const uint8_t *sense)
{
    int64_t len = srb->DataTransferLength, came;
    int32_t info = (int32_t) ((uint32_t) sense[3] << 24 | sense[4] << 16 |
                              sense[5] << 8 | sense[6]);

    if (srb->Cdb[0] != 0x08 || !(sense[0] & 0x80))
        return 0;
    came = len - (int64_t) info * (srb->Cdb[1] & 1 ? deck.block_bytes : 1);
    return (uint32_t) (came < 0 ? 0 : came > len ? len : came);
}

static bool NTAPI
deck_submit(void *hba, struct hba_request *request)
{
    PSCSI_REQUEST_BLOCK srb = request->srb;
    struct hba_answer out = { .srb_status = SRB_STATUS_SUCCESS };
    uint32_t len = srb->DataTransferLength, have;
    struct reply *reply;

    (void) hba;
    if (srb->QueueSortKey != 0 && srb->QueueSortKey != deck.attention) {
        out.srb_status = SRB_STATUS_REQUEST_FLUSHED;
        out.attention = deck.attention;
        hba_set_answer(request, &out);
        return true;
    }
    write_down(srb);
    reply = take_reply(srb);
    if (reply != NULL) {
        out.srb_status = reply->srb_status;
        out.scsi_status = reply->scsi_status;
        out.sense = reply->sense;
        out.sense_len = reply->sense_len;
        out.transferred =
            reply->told ? by_sense(srb, reply->sense) : reply->transferred;
        if (reply->sense_len != 0 && (reply->sense[2] & 0x0f) == 6)
            deck.attention++;
        out.attention = deck.attention;
    } else if (srb->SrbFlags & SRB_FLAGS_DATA_IN) {
        have = data_in(srb->Cdb, room, len);
        out.transferred = have < len ? have : len;
        memcpy(srb->DataBuffer, room, out.transferred);
    } else {
        out.transferred = len;
        if (srb->Cdb[0] == 0x15)
            deck.block_bytes = (uint32_t) ((uint8_t *) srb->DataBuffer)[9]
                                   << 16 |
                               ((uint8_t *) srb->DataBuffer)[10] << 8 |
                               ((uint8_t *) srb->DataBuffer)[11];
    }
    hba_set_answer(request, &out);
    return true;
}

static void
deck_abort(void *hba, struct hba_request *request)
{
    (void) hba;
    (void) request;
}

static void
nothing(void *hba)
{
    (void) hba;
}

static void
deck_info(void *hba, struct hba_info *out)
{
    (void) hba;
    out->commands = deck.commands;
}

static const struct hba_ops ops = {
    .name = "deck",
    .max_transfer_bytes = 1024 * 1024,
    .submit = deck_submit,
    .abort = deck_abort,
    .reset = nothing,
    .info = deck_info,
    .close = nothing,
};

static NTSTATUS
deck_hba_open(void *context, void *unit, void **out_hba)
{
    (void) unit;
    *out_hba = context;
    return STATUS_SUCCESS;
}

/* --- the house ------------------------------------------------------------------ */

int
deck_begin(void **state)
{
    (void) state;
    if (io_init() != STATUS_SUCCESS ||
        io_load_driver("port", port_driver_entry, &port_driver) < 0)
        return -1;
    for (size_t i = 0; i < minitape_driver_count; i++)
        if (io_load_driver(minitape_drivers[i].name, minitape_drivers[i].entry,
                           &loaded[i]) < 0)
            return -1;
    return 0;
}

int
deck_end(void **state)
{
    (void) state;
    for (size_t i = 0; i < minitape_driver_count; i++)
        io_unload_driver(loaded[i]);
    io_unload_driver(port_driver);
    io_shutdown();
    return 0;
}

int
deck_new(void **state)
{
    static unsigned number;
    char name[32];

    (void) state;
    memset(&deck, 0, sizeof deck);
    deck.vendor = "HP";
    deck.product = "Ultrium 6-SCSI";
    deck.block_bytes = 512;
    deck.density = 0x5A;
    deck.attention = 1;
    deck.position = 77;
    put(deck.limits + 1, 0x800000, 3);
    put(deck.limits + 4, 1, 2);
    snprintf(name, sizeof name, "deck%u", number++);
    assert_status(
        port_unit_new(port_driver, &ops, deck_hba_open, &deck, name, &deck.pdo),
        STATUS_SUCCESS);
    return 0;
}

NTSTATUS
deck_start(PDRIVER_OBJECT driver)
{
    const struct fdo_choice *row = minitape_driver_for(deck.pdo);
    NTSTATUS status;

    assert_non_null(row);
    deck.driver = driver != NULL ? driver : loaded[row - minitape_drivers];
    /* as every drive that has just been switched on */
    deck_sense(0x00, 1, 6, 0x29, 0x00, NO_INFO);
    status = io_start_device(deck.driver, deck.pdo);
    if (NT_SUCCESS(status))
        deck.fdo = IoGetAttachedDevice(deck.pdo);
    return status;
}

PDEVICE_OBJECT
deck_add_virtual(struct vscsi_drive *drive, const char *name)
{
    PDEVICE_OBJECT pdo;

    assert_status(port_add_virtual(port_driver, drive, name, &pdo),
                  STATUS_SUCCESS);
    return pdo;
}

NTSTATUS
deck_open(void)
{
    NTSTATUS status =
        io_open_device(deck.fdo, FILE_READ_ATTRIBUTES, &deck.file);

    deck.open = NT_SUCCESS(status);
    return status;
}

NTSTATUS
deck_close(void)
{
    if (deck.open)
        io_close_file(deck.file);
    deck.open = false;
    return STATUS_SUCCESS;
}

int
deck_ready(void **state)
{
    (void) deck_new(state);
    assert_status(deck_start(NULL), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    /* The block size is learnt with the first transfer. */
    assert_status(transfer(false, 512), STATUS_SUCCESS);
    deck_forget();
    return 0;
}

int
deck_variable(void **state)
{
    (void) deck_new(state);
    deck.block_bytes = 0;
    assert_status(deck_start(NULL), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    assert_status(transfer(false, 512), STATUS_SUCCESS);
    deck_forget();
    return 0;
}

int
deck_free(void **state)
{
    (void) state;
    deck.replies = 0;
    (void) deck_close();
    if (deck.fdo != NULL)
        (void) io_remove_device(deck.pdo);
    port_remove_unit(deck.pdo);
    return 0;
}

/* --- script and log --------------------------------------------------------------- */

void
deck_reply(const struct reply *reply)
{
    assert_true(deck.replies < 8);
    deck.script[deck.replies++] = *reply;
}

void
deck_sense(int opcode, unsigned times, uint8_t key_bits, uint8_t asc,
           uint8_t ascq, int64_t info)
{
    struct reply reply = {
        .opcode = opcode,
        .times = times,
        .srb_status = SRB_STATUS_ERROR,
        .scsi_status = 2,
        .told = true,
        .sense_len = 18,
        .sense = { info == NO_INFO ? 0x70 : 0xF0, 0, key_bits, 0, 0, 0, 0, 10,
                   0, 0, 0, 0, asc, ascq },
    };

    if (info != NO_INFO)
        put(reply.sense + 3, (uint64_t) info, 4);
    deck_reply(&reply);
}

void
deck_lies(unsigned times, int64_t info, uint32_t transferred)
{
    struct reply *reply = &deck.script[deck.replies];

    deck_sense(0x08, times, 0x20, 0, 0, info);
    reply->told = false;
    reply->transferred = transferred;
}

void
deck_forget(void)
{
    deck.commands = 0;
    deck.replies = 0;
}

unsigned
deck_count(int opcode)
{
    unsigned count = 0;

    for (unsigned i = 0; i < deck.commands && i < DECK_LOG; i++)
        count += opcode < 0 || deck.log[i].cdb[0] == opcode;
    return count;
}

const struct seen *
deck_seen(int opcode, unsigned nth)
{
    for (unsigned i = 0; i < deck.commands && i < DECK_LOG; i++)
        if (deck.log[i].cdb[0] == opcode && nth-- == 0)
            return &deck.log[i];
    fail_msg("command %02x was not sent", opcode);
    return NULL;
}

/* --- requests ----------------------------------------------------------------------- */

static NTSTATUS NTAPI
asked(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void) device;
    (void) irp;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP
new_irp(UCHAR major)
{
    PIRP irp = IoAllocateIrp(deck.fdo->StackSize, FALSE);

    assert_non_null(irp);
    IoGetNextIrpStackLocation(irp)->MajorFunction = major;
    IoGetNextIrpStackLocation(irp)->FileObject = deck.open ? deck.file : NULL;
    return irp;
}

static NTSTATUS
run(PIRP irp)
{
    NTSTATUS status;
    KEVENT done;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoSetCompletionRoutine(irp, asked, &done, TRUE, TRUE, TRUE);
    (void) IoCallDriver(deck.fdo, irp);
    KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    status = irp->IoStatus.Status;
    information = irp->IoStatus.Information;
    if (irp->MdlAddress != NULL)
        IoFreeMdl(irp->MdlAddress);
    irp->MdlAddress = NULL;
    IoFreeIrp(irp);
    return status;
}

NTSTATUS
ask(ULONG code, const void *in, ULONG in_len, ULONG out_len)
{
    PIRP irp = new_irp(IRP_MJ_DEVICE_CONTROL);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    memset(answer, 0xA5, sizeof answer);
    if (in != NULL)
        memcpy(answer, in, in_len);
    next->Parameters.DeviceIoControl.IoControlCode = code;
    next->Parameters.DeviceIoControl.InputBufferLength = in_len;
    next->Parameters.DeviceIoControl.OutputBufferLength = out_len;
    irp->AssociatedIrp.SystemBuffer = answer;
    return run(irp);
}

NTSTATUS
transfer(bool write, ULONG len)
{
    static uint8_t data[4 << 20];
    PIRP irp = new_irp(write ? IRP_MJ_WRITE : IRP_MJ_READ);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    assert_true(len <= sizeof data);
    assert_non_null(IoAllocateMdl(data, len, FALSE, FALSE, irp));
    MmBuildMdlForNonPagedPool(irp->MdlAddress);
    next->Parameters.Read.Length = len;
    next->Parameters.Read.ByteOffset.QuadPart = -1; /* ignored */
    return run(irp);
}

NTSTATUS
position(ULONG method, ULONG partition, LONGLONG offset)
{
    TAPE_SET_POSITION in = { .Method = method, .Partition = partition };

    in.Offset.QuadPart = offset;
    return ask(IOCTL_TAPE_SET_POSITION, &in, sizeof in, 0);
}

NTSTATUS
marks(ULONG count)
{
    TAPE_WRITE_MARKS in = { TAPE_FILEMARKS, count, FALSE };

    return ask(IOCTL_TAPE_WRITE_MARKS, &in, sizeof in, 0);
}

NTSTATUS
flush(void)
{
    return run(new_irp(IRP_MJ_FLUSH_BUFFERS));
}
