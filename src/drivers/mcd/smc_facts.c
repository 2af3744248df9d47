/*
 * smc_facts.c - what a changer is and can do, by evidence
 *
 * Mode pages, INQUIRY, and the device's own word on which commands it knows
 * (REPORT SUPPORTED OPERATION CODES) where it gives it: pages are known to
 * claim what the device then refuses.  What turns out to be refused later is
 * taken away then (smc_lose).
 *
 * The facts are made on the side and put in place in one piece, so that
 * requests may go on while the device is looked at again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"

#define PAGE_ROOM  252
#define ROOM       0xFFFF /* some devices look at 16 bits of three bytes only */
#define RANGE_37   0x37   /* INITIALIZE ELEMENT STATUS WITH RANGE */
#define MAKERS_OWN 0xC0   /* SAM-5, 5.2.1: vendor specific from here on */

/* --- one command ------------------------------------------------------------ */

NTSTATUS
smc_send(PDEVICE_OBJECT fdo, struct smc_command *command)
{
    UCHAR sense[SENSE_BUFFER_SIZE] = { 0 };
    SCSI_REQUEST_BLOCK srb = { 0 };
    NTSTATUS status;

    srb.CdbLength = command->cdb_len;
    srb.TimeOutValue = command->timeout_s;
    srb.SenseInfoBuffer = sense;
    srb.SenseInfoBufferLength = sizeof sense;
    RtlCopyMemory(srb.Cdb, command->cdb, sizeof command->cdb);
    status = ChangerClassSendSrbSynchronous(fdo, &srb, command->data,
                                            command->len, command->to_device);
    command->moved = srb.DataTransferLength < command->len
                         ? srb.DataTransferLength
                         : command->len;
    command->sense_valid = fdo_sense_of(&srb, &command->sense);
    return status;
}

BOOLEAN
smc_refused(const struct smc_command *command, UCHAR asc)
{
    return command->sense_valid &&
           command->sense.key == SCSI_SENSE_ILLEGAL_REQUEST &&
           command->sense.asc == asc;
}

void
smc_lose(struct smc *smc, ULONG features0)
{
    InterlockedOr(&smc->lost, (LONG) features0);
}

/* --- replies ------------------------------------------------------------------ */

/* A device may say that the page is shorter than it is: the length in it does
 * not bound it, what came does. */
BOOLEAN
smc_find_page(const UCHAR *reply, ULONG len, BOOLEAN ten, UCHAR page,
              const UCHAR **out_page, ULONG *out_bytes)
{
    ULONG head = ten ? 8 : 4, at;

    if (len < head)
        return FALSE;
    at = head + (ten ? smc_be16(reply + 6) : reply[3]);
    while (at + 2 <= len) {
        if ((reply[at] & 0x3f) == page) {
            *out_page = reply + at;
            *out_bytes = len - at;
            return TRUE;
        }
        at += 2u + reply[at + 1];
    }
    return FALSE;
}

static BOOLEAN
overlap(const struct smc_range *a, const struct smc_range *b)
{
    return a->count != 0 && b->count != 0 && a->first < b->first + b->count &&
           b->first < a->first + a->count;
}

NTSTATUS
smc_parse_addresses(const UCHAR *page, ULONG bytes,
                    struct smc_range range[SMC_KINDS])
{
    ULONG i, j;

    if (bytes < 18)
        return STATUS_DEVICE_DATA_ERROR;
    RtlZeroMemory(range, SMC_KINDS * sizeof *range);
    for (i = 1; i < SMC_KINDS; i++) {
        range[i].first = (USHORT) smc_be16(page + 4 * i - 2);
        range[i].count = (USHORT) smc_be16(page + 4 * i);
        if ((ULONG) range[i].first + range[i].count > 0x10000)
            return STATUS_DEVICE_DATA_ERROR;
        for (j = 1; j < i; j++)
            if (overlap(&range[i], &range[j]))
                return STATUS_DEVICE_DATA_ERROR;
    }
    return STATUS_SUCCESS;
}

/* A page that allows no motion at all is not one to go by. */
void
smc_parse_capabilities(const UCHAR *page, ULONG bytes,
                       PGET_CHANGER_PARAMETERS out)
{
    static const ULONG stores[4] = { CHANGER_STORAGE_TRANSPORT,
                                     CHANGER_STORAGE_SLOT,
                                     CHANGER_STORAGE_IEPORT,
                                     CHANGER_STORAGE_DRIVE };
    ULONG i;

    out->Features0 |= CHANGER_STORAGE_SLOT;
    if (bytes < 8 || !((page[4] | page[5] | page[6] | page[7]) & 0x0f)) {
        out->MoveFromSlot = out->MoveFromIePort = out->MoveFromDrive =
            CHANGER_TO_SLOT | CHANGER_TO_IEPORT | CHANGER_TO_DRIVE;
        return;
    }
    for (i = 0; i < 4; i++)
        if (page[2] >> i & 1)
            out->Features0 |= stores[i];
    out->MoveFromTransport = page[4] & 0x0f;
    out->MoveFromSlot = page[5] & 0x0f;
    out->MoveFromIePort = page[6] & 0x0f;
    out->MoveFromDrive = page[7] & 0x0f;
    if (bytes < 16)
        return;
    out->ExchangeFromTransport = page[12] & 0x0f;
    out->ExchangeFromSlot = page[13] & 0x0f;
    out->ExchangeFromIePort = page[14] & 0x0f;
    out->ExchangeFromDrive = page[15] & 0x0f;
}

/* --- asking -------------------------------------------------------------------- */

/* A look at the device, on its way. */
struct look {
    PDEVICE_OBJECT fdo;
    struct smc *smc;
    const struct smc_profile *profile;
    struct smc_facts facts;
    PUCHAR data;            /* PAGE_ROOM bytes */
    BOOLEAN tells_commands; /* REPORT SUPPORTED OPERATION CODES works */
    ULONG clean_s, slot_number, cleaner, emulate, home; /* of the registry */
};

/* What is not sent is 0. */
static NTSTATUS
ask(struct look *look, const UCHAR *cdb, UCHAR cdb_len, ULONG len,
    struct smc_command *out)
{
    RtlZeroMemory(out, sizeof *out);
    RtlCopyMemory(out->cdb, cdb, cdb_len);
    out->cdb_len = cdb_len;
    out->data = len != 0 ? look->data : NULL;
    out->len = len;
    out->timeout_s = SMC_QUICK_S;
    RtlZeroMemory(look->data, PAGE_ROOM);
    return smc_send(look->fdo, out);
}

static NTSTATUS
ask_mode(struct look *look, UCHAR page, BOOLEAN ten, UCHAR dbd,
         struct smc_command *command)
{
    UCHAR cdb[10] = { 0 };

    cdb[0] = ten ? SCSIOP_MODE_SENSE10 : SCSIOP_MODE_SENSE;
    cdb[1] = dbd;
    cdb[2] = page;
    cdb[ten ? 8 : 4] = PAGE_ROOM;
    return ask(look, cdb, ten ? 10 : 6, PAGE_ROOM, command);
}

/* The short form, without block descriptors, without that wish; then the long
 * form.  A page that the device has not is STATUS_INVALID_DEVICE_REQUEST. */
static NTSTATUS
mode_page(struct look *look, UCHAR page, const UCHAR **out_page,
          ULONG *out_bytes)
{
    static const struct {
        BOOLEAN ten;
        UCHAR dbd;
    } forms[] = { { FALSE, 0x08 }, { FALSE, 0 }, { TRUE, 0x08 } };
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;
    struct smc_command command;
    size_t i;

    for (i = 0; i < RTL_NUMBER_OF(forms); i++) {
        status = ask_mode(look, page, forms[i].ten, forms[i].dbd, &command);
        if (NT_SUCCESS(status))
            return smc_find_page(look->data, command.moved, forms[i].ten, page,
                                 out_page, out_bytes)
                       ? STATUS_SUCCESS
                       : STATUS_DEVICE_DATA_ERROR;
        if (status != STATUS_INVALID_DEVICE_REQUEST)
            return status;
    }
    return status;
}

enum known { UNKNOWN, KNOWN_NOT, KNOWN };

/* Whether the device has a command, by its own word, and the longest time that
 * it may need (0: it does not say). */
static enum known
knows(struct look *look, UCHAR opcode, ULONG *out_seconds)
{
    UCHAR cdb[12] = { 0xA3, 0x0C, 0x81, opcode, 0, 0, 0, 0, 0, PAGE_ROOM };
    struct smc_command command;
    const UCHAR *limits;
    ULONG usage;

    *out_seconds = 0;
    if (!look->tells_commands)
        return UNKNOWN;
    if (!NT_SUCCESS(ask(look, cdb, sizeof cdb, PAGE_ROOM, &command)) ||
        command.moved < 4) {
        look->tells_commands = FALSE;
        return UNKNOWN;
    }
    /* 5: in a manner of its maker's, which of such a code says nothing. */
    if ((look->data[1] & 7) != 3 &&
        ((look->data[1] & 7) != 5 || opcode >= MAKERS_OWN))
        return (look->data[1] & 7) == 1 ? KNOWN_NOT : UNKNOWN;
    usage = smc_be16(look->data + 2);
    limits = look->data + 4 + usage;
    if (look->data[1] & 0x80 && 4 + usage + 12 <= command.moved)
        *out_seconds =
            smc_be16(limits + 8) != 0 ? 0xFFFF : smc_be16(limits + 10);
    return KNOWN;
}

static ULONG
longest(ULONG recommended_s, ULONG otherwise_s)
{
    return recommended_s > otherwise_s ? recommended_s : otherwise_s;
}

/* --- who it is ------------------------------------------------------------------ */

static NTSTATUS
identify(struct look *look)
{
    static const UCHAR inquiry[6] = { SCSIOP_INQUIRY, 0, 0, 0, PAGE_ROOM };
    PCHANGER_PRODUCT_DATA product = &look->facts.product;
    struct smc_command command;
    NTSTATUS status;

    status = ask(look, inquiry, sizeof inquiry, PAGE_ROOM, &command);
    if (!NT_SUCCESS(status))
        return status;
    if (command.moved < 36)
        return STATUS_DEVICE_DATA_ERROR;
    RtlCopyMemory(product->VendorId, look->data + 8, VENDOR_ID_LENGTH);
    RtlCopyMemory(product->ProductId, look->data + 16, PRODUCT_ID_LENGTH);
    RtlCopyMemory(product->Revision, look->data + 32, REVISION_LENGTH);
    product->DeviceType = MEDIUM_CHANGER;
    if (command.moved > 55 && look->data[55] & 0x01)
        look->facts.reader = TRUE; /* BarC, of several vendors */
    return STATUS_SUCCESS;
}

/* A device without a serial number is still a device. */
static void
read_serial(struct look *look)
{
    static const UCHAR inquiry[6] = { SCSIOP_INQUIRY, 0x01, VPD_SERIAL_NUMBER,
                                      0, PAGE_ROOM };
    PCHANGER_PRODUCT_DATA product = &look->facts.product;
    struct smc_command command;
    const UCHAR *text;
    ULONG len;

    if (!NT_SUCCESS(ask(look, inquiry, sizeof inquiry, PAGE_ROOM, &command)) ||
        command.moved < 4 || look->data[1] != VPD_SERIAL_NUMBER)
        return;
    text = look->data + 4;
    len = look->data[3] < command.moved - 4 ? look->data[3] : command.moved - 4;
    while (len > 0 && (*text == ' ' || *text == '\0')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    RtlCopyMemory(product->SerialNumber, text,
                  len < SERIAL_NUMBER_LENGTH ? len : SERIAL_NUMBER_LENGTH);
    if (len != 0)
        look->facts.parameters.Features0 |= CHANGER_SERIAL_NUMBER_VALID;
}

/* --- what it can do -------------------------------------------------------------- */

/* Pages 1Eh and 1Fh may be missing; a changer that does not answer is not there
 * to be looked at. */
static BOOLEAN
is_silent(NTSTATUS status)
{
    return !NT_SUCCESS(status) && status != STATUS_INVALID_DEVICE_REQUEST &&
           status != STATUS_DEVICE_DATA_ERROR &&
           status != STATUS_INVALID_PARAMETER;
}

static NTSTATUS
read_pages(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    const UCHAR *page = NULL;
    ULONG bytes = 0;
    NTSTATUS status;

    status = mode_page(look, MODE_PAGE_ELEMENT_ADDRESS, &page, &bytes);
    if (NT_SUCCESS(status))
        status = smc_parse_addresses(page, bytes, look->facts.range);
    if (!NT_SUCCESS(status))
        return status == STATUS_INVALID_DEVICE_REQUEST
                   ? STATUS_DEVICE_DATA_ERROR
                   : status;
    status = mode_page(look, MODE_PAGE_TRANSPORT_GEOMETRY, &page, &bytes);
    if (NT_SUCCESS(status) && bytes > 2 && page[2] & 0x01) {
        out->Features0 |= CHANGER_MEDIUM_FLIP;
        look->facts.two_sided = TRUE;
    }
    if (is_silent(status))
        return status;
    status = mode_page(look, MODE_PAGE_DEVICE_CAPABILITIES, &page, &bytes);
    if (is_silent(status))
        return status;
    if (!NT_SUCCESS(status))
        bytes = 0;
    if (bytes > 3 && page[3] & 0x02)
        look->facts.reader = TRUE; /* VTRP */
    smc_parse_capabilities(page, bytes, out);
    return STATUS_SUCCESS;
}

static void
learn_exchange(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    UCHAR any = (UCHAR) (out->ExchangeFromTransport | out->ExchangeFromSlot |
                         out->ExchangeFromIePort | out->ExchangeFromDrive);
    ULONG seconds;
    enum known known = knows(look, SCSIOP_EXCHANGE_MEDIUM, &seconds);

    look->facts.exchange_s = longest(seconds, SMC_EXCHANGE_S);
    look->facts.native_exchange =
        known == KNOWN || (known == UNKNOWN && any != 0);
    if (look->facts.native_exchange) {
        out->Features0 |= CHANGER_EXCHANGE_MEDIA;
        out->Features1 |= CHANGER_TRUE_EXCHANGE_CAPABLE;
    } else {
        any = 0;
    }
    if (any != 0)
        return; /* the page says among which elements */
    out->ExchangeFromTransport = out->ExchangeFromSlot =
        out->ExchangeFromIePort = out->ExchangeFromDrive = 0;
    if (!look->facts.native_exchange && look->emulate == 0)
        return;
    /* As far as the moves go that it is made of, or would be. */
    out->Features0 |= CHANGER_EXCHANGE_MEDIA;
    out->ExchangeFromSlot = out->MoveFromSlot & ~CHANGER_TO_TRANSPORT;
    out->ExchangeFromIePort = out->MoveFromIePort & ~CHANGER_TO_TRANSPORT;
    out->ExchangeFromDrive = out->MoveFromDrive & ~CHANGER_TO_TRANSPORT;
}

/* Whether PREVENT is taken: asked with ALLOW, unless something is locked. */
static void
learn_locks(struct look *look)
{
    static const UCHAR allow[6] = { SCSIOP_MEDIUM_REMOVAL };
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    struct smc_command command;
    ULONG seconds;
    enum known known = knows(look, SCSIOP_MEDIUM_REMOVAL, &seconds);

    if (known == KNOWN_NOT)
        return;
    if (known == UNKNOWN && look->smc->locked == 0 &&
        !NT_SUCCESS(ask(look, allow, sizeof allow, 0, &command)))
        return;
    out->Features0 |= CHANGER_LOCK_UNLOCK;
    if (look->facts.range[ChangerIEPort].count != 0)
        out->LockUnlockCapabilities |= LOCK_UNLOCK_IEPORT;
    if (out->NumberOfDoors != 0)
        out->LockUnlockCapabilities |= LOCK_UNLOCK_DOOR;
}

/* Commands that the device may have without saying so count as there until it
 * refuses them; those that would harm it if it understood something else do
 * not. */
static void
learn_motions(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    ULONG seconds, at_most;

    (void) knows(look, SCSIOP_MOVE_MEDIUM, &seconds);
    look->facts.move_s = longest(seconds, SMC_MOVE_S);
    (void) knows(look, SCSIOP_INIT_ELEMENT_STATUS, &seconds);
    look->facts.inventory_s = longest(seconds, SMC_INVENTORY_S);
    if (knows(look, SCSIOP_POSITION_TO_ELEMENT, &seconds) != KNOWN_NOT) {
        out->Features0 |= CHANGER_POSITION_TO_ELEMENT;
        out->PositionCapabilities =
            CHANGER_TO_SLOT | CHANGER_TO_IEPORT | CHANGER_TO_DRIVE;
    }
    if (knows(look, SCSIOP_REZERO_UNIT, &seconds) != KNOWN_NOT)
        out->Features0 |= CHANGER_DEVICE_REINITIALIZE_CAPABLE;
    look->facts.range_opcode = look->profile->range_opcode;
    if (knows(look, SCSIOP_INIT_ELEMENT_RANGE, &at_most) == KNOWN)
        look->facts.range_opcode = SCSIOP_INIT_ELEMENT_RANGE;
    if (knows(look, RANGE_37, &at_most) == KNOWN)
        look->facts.range_opcode = RANGE_37;
    if (look->facts.range_opcode != 0)
        out->Features0 |= CHANGER_INIT_ELEM_STAT_WITH_RANGE;
    if (look->facts.range[ChangerIEPort].count == 0)
        return;
    out->Features0 |= CHANGER_REPORT_IEPORT_STATE;
    if (knows(look, SCSIOP_LOAD_UNLOAD, &seconds) == KNOWN)
        out->Features0 |= CHANGER_OPEN_IEPORT | CHANGER_CLOSE_IEPORT;
}

/* Without a reader there are labels all the same if the device keeps those that
 * it was told. */
static void
learn_labels(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    ULONG seconds;

    look->facts.native_tags =
        knows(look, SCSIOP_SEND_VOLUME_TAG, &seconds) == KNOWN &&
        knows(look, SCSIOP_REQUEST_VOL_ELEMENT, &seconds) == KNOWN;
    if (!look->facts.reader)
        look->facts.reader = smc_reads_labels(look->fdo, &look->facts);
    if (look->facts.reader)
        out->Features0 |= CHANGER_BAR_CODE_SCANNER_INSTALLED;
    if (look->facts.reader || look->facts.native_tags)
        out->Features0 |= CHANGER_VOLUME_IDENTIFICATION | CHANGER_VOLUME_SEARCH;
}

/* --- what nobody can ask the device ----------------------------------------------- */

static void
read_settings(struct look *look)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = look->fdo->DeviceExtension;

    look->clean_s = 300;
    look->slot_number = 1;
    look->cleaner = 0;
    look->emulate = look->profile->emulate_exchange;
    ClassGetDeviceParameter(ext, NULL, (PWSTR) L"ChangerCleanSeconds",
                            &look->clean_s);
    ClassGetDeviceParameter(ext, NULL, (PWSTR) L"ChangerFirstSlot",
                            &look->slot_number);
    ClassGetDeviceParameter(ext, NULL, (PWSTR) L"ChangerCleanerSlot",
                            &look->cleaner);
    ClassGetDeviceParameter(ext, NULL, (PWSTR) L"ChangerEmulateExchange",
                            &look->emulate);
    look->home = 0;
    ClassGetDeviceParameter(ext, NULL, (PWSTR) L"ChangerReturnHome",
                            &look->home);
}

static void
apply_cleaner(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    ULONG slots = look->facts.range[ChangerSlot].count;

    look->facts.cleaner = -1;
    if (look->cleaner == 0 || look->cleaner < look->slot_number ||
        look->cleaner - look->slot_number >= slots)
        return;
    look->facts.cleaner = (LONG) (look->cleaner - look->slot_number);
    out->NumberCleanerSlots = 1;
    out->FirstCleanerSlotAddress = (USHORT) look->cleaner;
    out->Features0 |= CHANGER_CLEANER_SLOT | CHANGER_DRIVE_CLEANING_REQUIRED;
}

static void
apply_counts(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    const struct smc_facts *facts = &look->facts;
    USHORT first = (USHORT) look->slot_number;

    out->Size = sizeof *out;
    out->NumberTransportElements = facts->range[ChangerTransport].count;
    out->NumberStorageElements = (USHORT) smc_count(facts, ChangerSlot);
    out->NumberIEElements = facts->range[ChangerIEPort].count;
    out->NumberDataTransferElements = facts->range[ChangerDrive].count;
    out->FirstSlotNumber = out->NumberStorageElements != 0 ? first : 0;
    out->FirstDriveNumber = out->NumberDataTransferElements != 0 ? first : 0;
    out->FirstTransportNumber = out->NumberTransportElements != 0 ? first : 0;
    out->FirstIEPortNumber = out->NumberIEElements != 0 ? first : 0;
    out->DriveCleanTimeout = 2 * look->clean_s;
    out->MagazineSize = look->profile->magazine;
    if (out->MagazineSize != 0)
        out->Features0 |= CHANGER_CARTRIDGE_MAGAZINE;
}

/* What the documentation says of features that go together or do not. */
static void
make_consistent(PGET_CHANGER_PARAMETERS out)
{
    ULONG own = ~(ULONG) CHANGER_RESERVED_BIT;

    if (out->NumberIEElements == 0)
        out->Features0 &= ~(ULONG) (CHANGER_OPEN_IEPORT | CHANGER_CLOSE_IEPORT |
                                    CHANGER_REPORT_IEPORT_STATE);
    if (out->Features1 & CHANGER_PREDISMOUNT_ALIGN_TO_SLOT & own)
        out->Features1 &= ~(CHANGER_PREDISMOUNT_ALIGN_TO_DRIVE & own);
    if (out->Features1 & CHANGER_CLEANER_OPS_NOT_SUPPORTED & own) {
        out->Features1 &= ~(CHANGER_CLEANER_AUTODISMOUNT & own);
        out->Features0 &= ~(ULONG) CHANGER_CLEANER_SLOT;
        out->NumberCleanerSlots = out->FirstCleanerSlotAddress = 0;
    }
    if (!(out->Features0 & CHANGER_DRIVE_CLEANING_REQUIRED))
        out->Features1 &= ~(
            (CHANGER_CLEANER_AUTODISMOUNT | CHANGER_CLEANER_OPS_NOT_SUPPORTED) &
            own);
    if ((out->Features1 & own) != 0)
        out->Features1 |= CHANGER_RESERVED_BIT;
    out->Features0 &= own;
}

static NTSTATUS
look_at(struct look *look)
{
    PGET_CHANGER_PARAMETERS out = &look->facts.parameters;
    NTSTATUS status = identify(look);

    if (NT_SUCCESS(status))
        status = read_pages(look);
    if (!NT_SUCCESS(status))
        return status;
    read_serial(look);
    read_settings(look);
    apply_cleaner(look);
    apply_counts(look);
    out->NumberOfDoors = look->profile->doors;
    out->Features0 |= look->profile->features0;
    out->Features1 |= look->profile->features1;
    if (look->home != 0)
        out->Features1 |= CHANGER_RTN_MEDIA_TO_ORIGINAL_ADDR;
    look->tells_commands = TRUE;
    learn_motions(look);
    learn_exchange(look);
    learn_locks(look);
    learn_labels(look);
    out->Features0 &= ~look->profile->not_features0;
    make_consistent(out);
    return STATUS_SUCCESS;
}

NTSTATUS
smc_initialize(PDEVICE_OBJECT fdo, const struct smc_profile *profile)
{
    struct look *look =
        ChangerClassAllocatePool(NonPagedPool, sizeof *look + PAGE_ROOM);
    struct smc *smc = smc_of(fdo);
    NTSTATUS status;
    KIRQL irql;

    if (look == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(look, sizeof *look);
    look->fdo = fdo;
    look->smc = smc;
    look->profile = profile;
    look->data = (PUCHAR) (look + 1);
    if (smc->profile == NULL)
        KeInitializeSpinLock(&smc->lock);
    smc->profile = profile;
    InterlockedExchange(&smc->refused, 0);
    InterlockedExchange(&smc->lost, 0);
    InterlockedExchange(&smc->room, ROOM);
    status = look_at(look);
    if (NT_SUCCESS(status)) {
        KeAcquireSpinLock(&smc->lock, &irql);
        smc->facts = look->facts;
        KeReleaseSpinLock(&smc->lock, irql);
    }
    ChangerClassFreePool(look);
    return status;
}

/* --- reading the facts --------------------------------------------------------------- */

void
smc_facts_of(struct smc *smc, struct smc_facts *out_facts)
{
    KIRQL irql;

    KeAcquireSpinLock(&smc->lock, &irql);
    *out_facts = smc->facts;
    KeReleaseSpinLock(&smc->lock, irql);
}

void
smc_parameters_of(struct smc *smc, PGET_CHANGER_PARAMETERS out)
{
    ULONG lost = (ULONG) InterlockedOr(&smc->lost, 0);
    struct smc_facts facts;

    smc_facts_of(smc, &facts);
    *out = facts.parameters;
    out->Features0 &= ~lost;
    if (lost & CHANGER_EXCHANGE_MEDIA) {
        out->ExchangeFromTransport = out->ExchangeFromSlot =
            out->ExchangeFromIePort = out->ExchangeFromDrive = 0;
        out->Features1 &=
            ~(CHANGER_TRUE_EXCHANGE_CAPABLE & ~CHANGER_RESERVED_BIT);
    }
    if (lost & CHANGER_POSITION_TO_ELEMENT)
        out->PositionCapabilities = 0;
    if (lost & CHANGER_LOCK_UNLOCK)
        out->LockUnlockCapabilities = 0;
}

ULONG
smc_count(const struct smc_facts *facts, ELEMENT_TYPE type)
{
    ULONG count = facts->range[type].count;

    return type == ChangerSlot && facts->cleaner >= 0 ? count - 1 : count;
}

NTSTATUS
smc_to_device(const struct smc_facts *facts, const CHANGER_ELEMENT *element,
              USHORT *out_address)
{
    ULONG index = element->ElementAddress;

    if (index >= smc_count(facts, element->ElementType))
        return STATUS_ILLEGAL_ELEMENT_ADDRESS;
    if (element->ElementType == ChangerSlot && facts->cleaner >= 0 &&
        index >= (ULONG) facts->cleaner)
        index++;
    *out_address = (USHORT) (facts->range[element->ElementType].first + index);
    return STATUS_SUCCESS;
}

BOOLEAN
smc_from_device(const struct smc_facts *facts, USHORT address,
                CHANGER_ELEMENT *out_element)
{
    ULONG type, index;

    for (type = 1; type < SMC_KINDS; type++) {
        index = (ULONG) address - facts->range[type].first;
        if (index >= facts->range[type].count)
            continue; /* it wraps for addresses before the first */
        if (type == ChangerSlot && facts->cleaner >= 0) {
            if (index == (ULONG) facts->cleaner)
                return FALSE;
            if (index > (ULONG) facts->cleaner)
                index--;
        }
        out_element->ElementType = (ELEMENT_TYPE) type;
        out_element->ElementAddress = index;
        return TRUE;
    }
    return FALSE;
}
