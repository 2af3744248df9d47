/*
 * smc_motion.c - moving media, and finding out what became of that
 *
 * A motion command goes out once (the class driver sees to it).  Both ends are
 * looked at before and after it: an error whose cause leaves open whether the
 * arm has moved, or an answer that never came, is decided by where the medium
 * is; and so is a success.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"

/* One motion, with addresses of both kinds. */
struct motion {
    PDEVICE_OBJECT fdo;
    struct smc *smc;
    struct smc_facts facts;
    GET_CHANGER_PARAMETERS parameters;
    CHANGER_ELEMENT from, to;
    USHORT arm, from_address, to_address;
    BOOLEAN flip;
    /* before, and after */
    struct ends {
        BOOLEAN known;
        CHANGER_ELEMENT_STATUS_EX from, to;
    } before, after;
};

/* --- who may go where ---------------------------------------------------------- */

static UCHAR
bit_of(ELEMENT_TYPE type)
{
    return (UCHAR) (1u << (type - 1)); /* CHANGER_TO_... */
}

/* moves: MoveFromTransport or ExchangeFromTransport; the others follow. */
static BOOLEAN
may_go(const UCHAR *from, ELEMENT_TYPE type, ELEMENT_TYPE to)
{
    return (from[type - 1] & bit_of(to)) != 0;
}

static NTSTATUS
begin(struct motion *motion, PDEVICE_OBJECT fdo, const CHANGER_ELEMENT *arm)
{
    RtlZeroMemory(motion, sizeof *motion);
    motion->fdo = fdo;
    motion->smc = smc_of(fdo);
    smc_facts_of(motion->smc, &motion->facts);
    smc_parameters_of(motion->smc, &motion->parameters);
    return smc_to_device(&motion->facts, arm, &motion->arm);
}

static NTSTATUS
set_ends(struct motion *motion, const CHANGER_ELEMENT *from,
         const CHANGER_ELEMENT *to)
{
    NTSTATUS status =
        smc_to_device(&motion->facts, from, &motion->from_address);

    if (NT_SUCCESS(status))
        status = smc_to_device(&motion->facts, to, &motion->to_address);
    if (NT_SUCCESS(status) && motion->from_address == motion->to_address)
        status = STATUS_INVALID_PARAMETER;
    motion->from = *from;
    motion->to = *to;
    return status;
}

/* --- where things are ------------------------------------------------------------ */

static void
look(struct motion *motion, struct ends *out)
{
    BOOLEAN tags =
        (motion->parameters.Features0 & (CHANGER_BAR_CODE_SCANNER_INSTALLED |
                                         CHANGER_VOLUME_IDENTIFICATION)) != 0;

    out->known = NT_SUCCESS(smc_read(motion->fdo, &motion->facts, &motion->from,
                                     1, tags, FALSE, &out->from)) &&
                 NT_SUCCESS(smc_read(motion->fdo, &motion->facts, &motion->to,
                                     1, tags, FALSE, &out->to));
}

static BOOLEAN
is_full(const CHANGER_ELEMENT_STATUS_EX *element)
{
    return (element->Flags & ELEMENT_STATUS_FULL) != 0;
}

static BOOLEAN
is_empty(const CHANGER_ELEMENT_STATUS_EX *element)
{
    return !(element->Flags & (ELEMENT_STATUS_FULL | ELEMENT_STATUS_EXCEPT));
}

static BOOLEAN
both_tagged(const CHANGER_ELEMENT_STATUS_EX *a,
            const CHANGER_ELEMENT_STATUS_EX *b)
{
    return (a->Flags & b->Flags & ELEMENT_STATUS_PVOLTAG) != 0;
}

static BOOLEAN
same_tag(const CHANGER_ELEMENT_STATUS_EX *a, const CHANGER_ELEMENT_STATUS_EX *b)
{
    return RtlCompareMemory(a->PrimaryVolumeID, b->PrimaryVolumeID,
                            MAX_VOLUME_ID_SIZE) == MAX_VOLUME_ID_SIZE;
}

/* It was there, and is here now; nothing else could have brought it. */
static BOOLEAN
has_moved(const struct motion *motion)
{
    const struct ends *before = &motion->before, *after = &motion->after;

    if (!before->known || !after->known || !is_full(&before->from) ||
        !is_full(&after->to) || is_full(&before->to))
        return FALSE;
    if (both_tagged(&before->from, &after->to))
        return same_tag(&before->from, &after->to);
    return is_empty(&before->to) && is_empty(&after->from);
}

/* The device says it moved, and one end says it did not.  A mail slot may be
 * emptied by a hand at once. */
static BOOLEAN
contradicts(const struct motion *motion)
{
    const struct ends *before = &motion->before, *after = &motion->after;

    if (!after->known)
        return FALSE;
    if (is_full(&after->from) && motion->from.ElementType != ChangerIEPort)
        return TRUE;
    if (motion->to.ElementType == ChangerIEPort)
        return FALSE;
    if (is_empty(&after->to))
        return TRUE;
    return before->known && both_tagged(&before->from, &after->to) &&
           !same_tag(&before->from, &after->to);
}

/* Sense data that prove that nothing was carried out. */
static BOOLEAN
proves_nothing_done(const struct smc_command *command)
{
    return command->sense_valid &&
           (command->sense.key == SCSI_SENSE_NOT_READY ||
            command->sense.key == SCSI_SENSE_ILLEGAL_REQUEST ||
            command->sense.key == SCSI_SENSE_UNIT_ATTENTION);
}

/* What some errors mean depends on where the medium was to come from. */
static NTSTATUS
by_ends(const struct motion *motion, const struct smc_command *command,
        NTSTATUS status)
{
    BOOLEAN unload = motion->from.ElementType == ChangerDrive;

    if (!command->sense_valid || command->sense.asc != 0x53)
        return status;
    if (command->sense.ascq == 0x02 && !unload &&
        status == STATUS_UNABLE_TO_UNLOAD_MEDIA)
        return STATUS_DEVICE_BUSY; /* the mail slot is locked */
    if (command->sense.ascq == 0x00 && unload &&
        status == STATUS_IO_DEVICE_ERROR)
        return STATUS_UNABLE_TO_UNLOAD_MEDIA;
    return status;
}

/* --- moves ------------------------------------------------------------------------- */

static NTSTATUS
send_move(struct motion *motion, struct smc_command *command)
{
    RtlZeroMemory(command, sizeof *command);
    command->cdb[0] = SCSIOP_MOVE_MEDIUM;
    smc_put16(command->cdb + 2, motion->arm);
    smc_put16(command->cdb + 4, motion->from_address);
    smc_put16(command->cdb + 6, motion->to_address);
    command->cdb[10] = motion->flip ? 0x01 : 0x00;
    command->cdb_len = 12;
    command->timeout_s = motion->facts.move_s;
    return smc_send(motion->fdo, command);
}

static NTSTATUS
move(struct motion *motion)
{
    struct smc_command command;
    NTSTATUS status;

    look(motion, &motion->before);
    if (motion->parameters.Features1 &
            (CHANGER_RTN_MEDIA_TO_ORIGINAL_ADDR & ~CHANGER_RESERVED_BIT) &&
        motion->from.ElementType == ChangerDrive &&
        motion->to.ElementType == ChangerSlot && motion->before.known &&
        motion->before.from.Flags & ELEMENT_STATUS_SVALID &&
        RtlCompareMemory(&motion->before.from.SrcElementAddress, &motion->to,
                         sizeof motion->to) != sizeof motion->to)
        return STATUS_INVALID_PARAMETER;
    status = send_move(motion, &command);
    if (!NT_SUCCESS(status) && proves_nothing_done(&command))
        return by_ends(motion, &command, status);
    look(motion, &motion->after);
    if (NT_SUCCESS(status))
        return contradicts(motion) ? STATUS_IO_DEVICE_ERROR : status;
    return has_moved(motion) ? STATUS_SUCCESS
                             : by_ends(motion, &command, status);
}

static NTSTATUS
check_flip(const struct motion *motion, BOOLEAN flip)
{
    return flip && !(motion->parameters.Features0 & CHANGER_MEDIUM_FLIP)
               ? STATUS_INVALID_PARAMETER
               : STATUS_SUCCESS;
}

NTSTATUS NTAPI
smc_move_medium(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCHANGER_MOVE_MEDIUM in = irp->AssociatedIrp.SystemBuffer;
    struct motion motion;
    NTSTATUS status = begin(&motion, fdo, &in->Transport);

    if (NT_SUCCESS(status))
        status = set_ends(&motion, &in->Source, &in->Destination);
    if (NT_SUCCESS(status))
        status = check_flip(&motion, in->Flip != 0);
    if (NT_SUCCESS(status) &&
        !may_go(&motion.parameters.MoveFromTransport, in->Source.ElementType,
                in->Destination.ElementType))
        status = STATUS_INVALID_DEVICE_REQUEST;
    if (!NT_SUCCESS(status))
        return status;
    motion.flip = in->Flip != 0;
    status = move(&motion);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information = sizeof *in;
    return status;
}

/* --- exchanges ---------------------------------------------------------------------- */

/* Source to first, what was there to second. */
struct exchange {
    const CHANGER_EXCHANGE_MEDIUM *in;
    struct motion in_leg;  /* source to first */
    struct motion out_leg; /* first to second; its ends are looked at */
    USHORT second;
};

static NTSTATUS
send_exchange(struct exchange *exchange, struct smc_command *command)
{
    struct motion *motion = &exchange->in_leg;

    RtlZeroMemory(command, sizeof *command);
    command->cdb[0] = SCSIOP_EXCHANGE_MEDIUM;
    smc_put16(command->cdb + 2, motion->arm);
    smc_put16(command->cdb + 4, motion->from_address);
    smc_put16(command->cdb + 6, motion->to_address);
    smc_put16(command->cdb + 8, exchange->second);
    command->cdb[10] = (UCHAR) ((exchange->in->Flip1 ? 0x02 : 0) |
                                (exchange->in->Flip2 ? 0x01 : 0));
    command->cdb_len = 12;
    command->timeout_s = motion->facts.exchange_s;
    return smc_send(motion->fdo, command);
}

/* Both media bear labels, and these have changed places as they should. */
static BOOLEAN
has_exchanged(const struct exchange *exchange)
{
    const struct motion *in = &exchange->in_leg, *out = &exchange->out_leg;

    return in->before.known && in->after.known && out->before.known &&
           out->after.known && both_tagged(&in->before.from, &in->after.to) &&
           same_tag(&in->before.from, &in->after.to) &&
           both_tagged(&out->before.from, &out->after.to) &&
           same_tag(&out->before.from, &out->after.to);
}

static NTSTATUS
exchange_at_once(struct exchange *exchange)
{
    struct smc_command command;
    NTSTATUS status;

    look(&exchange->in_leg, &exchange->in_leg.before);
    look(&exchange->out_leg, &exchange->out_leg.before);
    status = send_exchange(exchange, &command);
    if (smc_refused(&command, SCSI_ADSENSE_ILLEGAL_COMMAND))
        smc_lose(exchange->in_leg.smc, CHANGER_EXCHANGE_MEDIA);
    if (NT_SUCCESS(status) || proves_nothing_done(&command))
        return status;
    look(&exchange->in_leg, &exchange->in_leg.after);
    look(&exchange->out_leg, &exchange->out_leg.after);
    return has_exchanged(exchange) ? STATUS_SUCCESS : status;
}

/* An empty slot that is neither end; FALSE: there is none for sure. */
static BOOLEAN
find_free_slot(const struct motion *motion, const CHANGER_ELEMENT * not,
               CHANGER_ELEMENT *out)
{
    ULONG count = smc_count(&motion->facts, ChangerSlot), i;
    CHANGER_ELEMENT first = { ChangerSlot, 0 };
    PCHANGER_ELEMENT_STATUS_EX all;
    BOOLEAN found = FALSE;

    if (count == 0)
        return FALSE;
    all = ChangerClassAllocatePool(NonPagedPool, count * (ULONG) sizeof *all);
    if (all == NULL)
        return FALSE;
    if (NT_SUCCESS(smc_read(motion->fdo, &motion->facts, &first, count, FALSE,
                            FALSE, all)))
        for (i = 0; i < count && !found; i++)
            if (is_empty(&all[i]) && !(not ->ElementType == ChangerSlot &&
                                       not ->ElementAddress == i)) {
                *out = all[i].Element;
                found = TRUE;
            }
    ChangerClassFreePool(all);
    return found;
}

static NTSTATUS
move_between(struct motion *motion, const CHANGER_ELEMENT *from,
             const CHANGER_ELEMENT *to, BOOLEAN flip)
{
    NTSTATUS status = set_ends(motion, from, to);

    motion->flip = flip;
    motion->before.known = motion->after.known = FALSE;
    return NT_SUCCESS(status) ? move(motion) : status;
}

/*
 * By moves: what is in the way goes aside first.  When a later move fails,
 * what was moved goes back; if even that fails the media are where element
 * status says, and the error tells that they are not where they should be.
 */
static NTSTATUS
exchange_by_moves(struct exchange *exchange)
{
    const CHANGER_EXCHANGE_MEDIUM *in = exchange->in;
    struct motion *motion = &exchange->in_leg;
    BOOLEAN swap = exchange->second == motion->from_address;
    CHANGER_ELEMENT aside = in->Destination2;
    NTSTATUS status;

    if (swap && !find_free_slot(motion, &in->Source, &aside))
        return STATUS_DESTINATION_ELEMENT_FULL;
    status = move_between(motion, &in->Destination1, &aside, in->Flip2 != 0);
    if (!NT_SUCCESS(status))
        return status;
    status =
        move_between(motion, &in->Source, &in->Destination1, in->Flip1 != 0);
    if (!NT_SUCCESS(status))
        return NT_SUCCESS(move_between(motion, &aside, &in->Destination1,
                                       in->Flip2 != 0))
                   ? status
                   : STATUS_IO_DEVICE_ERROR;
    return swap ? move_between(motion, &aside, &in->Destination2, FALSE)
                : status;
}

static NTSTATUS
check_exchange(struct exchange *exchange, PDEVICE_OBJECT fdo)
{
    const CHANGER_EXCHANGE_MEDIUM *in = exchange->in;
    struct motion *motion = &exchange->in_leg;
    NTSTATUS status = begin(motion, fdo, &in->Transport);

    if (!(motion->parameters.Features0 & CHANGER_EXCHANGE_MEDIA))
        return STATUS_INVALID_DEVICE_REQUEST;
    if (NT_SUCCESS(status))
        status = set_ends(motion, &in->Source, &in->Destination1);
    if (NT_SUCCESS(status)) {
        exchange->out_leg = *motion;
        status =
            set_ends(&exchange->out_leg, &in->Destination1, &in->Destination2);
        exchange->second = exchange->out_leg.to_address;
    }
    if (NT_SUCCESS(status))
        status = check_flip(motion, in->Flip1 || in->Flip2);
    if (NT_SUCCESS(status) &&
        (!may_go(&motion->parameters.ExchangeFromTransport,
                 in->Source.ElementType, in->Destination1.ElementType) ||
         !may_go(&motion->parameters.ExchangeFromTransport,
                 in->Destination1.ElementType, in->Destination2.ElementType)))
        status = STATUS_INVALID_DEVICE_REQUEST;
    return status;
}

NTSTATUS NTAPI
smc_exchange_medium(PDEVICE_OBJECT fdo, PIRP irp)
{
    struct exchange *exchange =
        ChangerClassAllocatePool(NonPagedPool, sizeof *exchange);
    NTSTATUS status;

    if (exchange == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(exchange, sizeof *exchange);
    exchange->in = irp->AssociatedIrp.SystemBuffer;
    status = check_exchange(exchange, fdo);
    if (NT_SUCCESS(status))
        status = exchange->in_leg.facts.native_exchange
                     ? exchange_at_once(exchange)
                     : exchange_by_moves(exchange);
    ChangerClassFreePool(exchange);
    return status;
}

/* --- the arm alone --------------------------------------------------------------------- */

static NTSTATUS
optional(PDEVICE_OBJECT fdo, struct smc_command *command, ULONG feature)
{
    NTSTATUS status = smc_send(fdo, command);

    if (smc_refused(command, SCSI_ADSENSE_ILLEGAL_COMMAND))
        smc_lose(smc_of(fdo), feature);
    return status;
}

NTSTATUS NTAPI
smc_set_position(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCHANGER_SET_POSITION in = irp->AssociatedIrp.SystemBuffer;
    struct smc_command command = { 0 };
    struct motion motion;
    NTSTATUS status = begin(&motion, fdo, &in->Transport);
    USHORT to = 0;

    if (!(motion.parameters.Features0 & CHANGER_POSITION_TO_ELEMENT))
        return STATUS_INVALID_DEVICE_REQUEST;
    if (NT_SUCCESS(status))
        status = smc_to_device(&motion.facts, &in->Destination, &to);
    if (NT_SUCCESS(status))
        status = check_flip(&motion, in->Flip != 0);
    if (NT_SUCCESS(status) && !(motion.parameters.PositionCapabilities &
                                bit_of(in->Destination.ElementType)))
        status = STATUS_INVALID_DEVICE_REQUEST;
    if (!NT_SUCCESS(status))
        return status;
    command.cdb[0] = SCSIOP_POSITION_TO_ELEMENT;
    smc_put16(command.cdb + 2, motion.arm);
    smc_put16(command.cdb + 4, to);
    command.cdb[8] = in->Flip ? 0x01 : 0x00;
    command.cdb_len = 10;
    command.timeout_s = SMC_ACCESS_S;
    status = optional(fdo, &command, CHANGER_POSITION_TO_ELEMENT);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information = sizeof *in;
    return status;
}

NTSTATUS NTAPI
smc_reinitialize_unit(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCHANGER_ELEMENT in = irp->AssociatedIrp.SystemBuffer;
    struct smc_command command = { 0 };
    struct motion motion;
    NTSTATUS status = begin(&motion, fdo, in);

    if (!(motion.parameters.Features0 & CHANGER_DEVICE_REINITIALIZE_CAPABLE))
        return STATUS_INVALID_DEVICE_REQUEST;
    if (!NT_SUCCESS(status))
        return status;
    command.cdb[0] = SCSIOP_REZERO_UNIT;
    command.cdb_len = 6;
    command.timeout_s = SMC_MOVE_S;
    status = optional(fdo, &command, CHANGER_DEVICE_REINITIALIZE_CAPABLE);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information = sizeof *in;
    return status;
}
