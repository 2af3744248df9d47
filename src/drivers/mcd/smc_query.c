/*
 * smc_query.c - requests that need little: parameters, readiness, locks,
 *               inventory, diagnostics; and vendors' sense data
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"

/* --- told from what is known ---------------------------------------------------- */

NTSTATUS NTAPI
smc_get_parameters(PDEVICE_OBJECT fdo, PIRP irp)
{
    smc_parameters_of(smc_of(fdo), irp->AssociatedIrp.SystemBuffer);
    irp->IoStatus.Information = sizeof(GET_CHANGER_PARAMETERS);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
smc_get_product_data(PDEVICE_OBJECT fdo, PIRP irp)
{
    struct smc_facts facts;

    smc_facts_of(smc_of(fdo), &facts);
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &facts.product,
                  sizeof facts.product);
    irp->IoStatus.Information = sizeof facts.product;
    return STATUS_SUCCESS;
}

/* --- readiness -------------------------------------------------------------------- */

static NTSTATUS
test_ready(PDEVICE_OBJECT fdo, struct smc_command *command)
{
    RtlZeroMemory(command, sizeof *command);
    command->cdb[0] = SCSIOP_TEST_UNIT_READY;
    command->cdb_len = 6;
    command->timeout_s = SMC_QUICK_S;
    return smc_send(fdo, command);
}

NTSTATUS NTAPI
smc_get_status(PDEVICE_OBJECT fdo, PIRP irp)
{
    struct smc_command command;

    UNREFERENCED_PARAMETER(irp);
    return test_ready(fdo, &command);
}

/* --- locks, doors ------------------------------------------------------------------- */

/* PREVENT holds everything; it is let go of with the last lock. */
static NTSTATUS
set_lock(PDEVICE_OBJECT fdo, ELEMENT_TYPE type, BOOLEAN lock)
{
    struct smc *smc = smc_of(fdo);
    ULONG others = smc->locked & ~(1u << type);
    struct smc_command command = { 0 };
    NTSTATUS status;

    command.cdb[0] = SCSIOP_MEDIUM_REMOVAL;
    command.cdb[4] = lock || others != 0;
    command.cdb_len = 6;
    command.timeout_s = SMC_ACCESS_S;
    status = smc_send(fdo, &command);
    if (smc_refused(&command, SCSI_ADSENSE_ILLEGAL_COMMAND))
        smc_lose(smc, CHANGER_LOCK_UNLOCK);
    if (NT_SUCCESS(status))
        smc->locked = lock ? others | 1u << type : others;
    return status;
}

static NTSTATUS
set_mail_slot(PDEVICE_OBJECT fdo, USHORT address, BOOLEAN extend)
{
    struct smc_command command = { 0 };
    NTSTATUS status;

    command.cdb[0] = 0x1B; /* OPEN/CLOSE IMPORT/EXPORT ELEMENT */
    smc_put16(command.cdb + 2, address);
    command.cdb[4] = extend ? 0 : 1;
    command.cdb_len = 6;
    command.timeout_s = SMC_ACCESS_S;
    status = smc_send(fdo, &command);
    if (smc_refused(&command, SCSI_ADSENSE_ILLEGAL_COMMAND))
        smc_lose(smc_of(fdo), CHANGER_OPEN_IEPORT | CHANGER_CLOSE_IEPORT);
    return status;
}

/* The features that a request needs, and whether the device has them. */
static NTSTATUS
check_access(const GET_CHANGER_PARAMETERS *parameters,
             const CHANGER_SET_ACCESS *in)
{
    static const UCHAR locks[] = {
        [ChangerIEPort] = LOCK_UNLOCK_IEPORT,
        [ChangerDoor] = LOCK_UNLOCK_DOOR,
        [ChangerKeypad] = LOCK_UNLOCK_KEYPAD,
    };
    ULONG need = in->Control == EXTEND_IEPORT    ? CHANGER_OPEN_IEPORT
                 : in->Control == RETRACT_IEPORT ? CHANGER_CLOSE_IEPORT
                                                 : CHANGER_LOCK_UNLOCK;

    if (!(parameters->Features0 & need))
        return STATUS_INVALID_DEVICE_REQUEST;
    if (need == CHANGER_LOCK_UNLOCK &&
        !(parameters->LockUnlockCapabilities & locks[in->Element.ElementType]))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
smc_set_access(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCHANGER_SET_ACCESS in = irp->AssociatedIrp.SystemBuffer;
    ELEMENT_TYPE type = in->Element.ElementType;
    GET_CHANGER_PARAMETERS parameters;
    struct smc_facts facts;
    USHORT address = 0;
    NTSTATUS status;

    smc_parameters_of(smc_of(fdo), &parameters);
    smc_facts_of(smc_of(fdo), &facts);
    status = check_access(&parameters, in);
    if (NT_SUCCESS(status) && type == ChangerIEPort)
        status = smc_to_device(&facts, &in->Element, &address);
    else if (NT_SUCCESS(status) &&
             in->Element.ElementAddress >=
                 (type == ChangerDoor ? parameters.NumberOfDoors : 1u))
        status = STATUS_ILLEGAL_ELEMENT_ADDRESS;
    if (!NT_SUCCESS(status))
        return status;
    status = in->Control <= UNLOCK_ELEMENT
                 ? set_lock(fdo, type, in->Control == LOCK_ELEMENT)
                 : set_mail_slot(fdo, address, in->Control == EXTEND_IEPORT);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information = sizeof *in;
    return status;
}

/* --- inventory ------------------------------------------------------------------------ */

/* A part of the elements of one type; the cleaner's slot may lie in it. */
static NTSTATUS
scan_range(const struct smc_facts *facts,
           const CHANGER_INITIALIZE_ELEMENT_STATUS *in,
           struct smc_command *command)
{
    CHANGER_ELEMENT end = in->ElementList.Element;
    USHORT first, last;
    NTSTATUS status;

    if (facts->range_opcode == 0 || in->ElementList.NumberOfElements == 0)
        return STATUS_INVALID_PARAMETER;
    if (in->ElementList.NumberOfElements - 1 > ~end.ElementAddress)
        return STATUS_ILLEGAL_ELEMENT_ADDRESS;
    end.ElementAddress += in->ElementList.NumberOfElements - 1;
    status = smc_to_device(facts, &in->ElementList.Element, &first);
    if (NT_SUCCESS(status))
        status = smc_to_device(facts, &end, &last);
    if (!NT_SUCCESS(status))
        return status;
    command->cdb[0] = facts->range_opcode;
    command->cdb[1] = 0x01;
    smc_put16(command->cdb + 2, first);
    smc_put16(command->cdb + 6, (ULONG) last - first + 1);
    if (facts->range_opcode == SCSIOP_INIT_ELEMENT_RANGE && !in->BarCodeScan)
        command->cdb[9] = 0x80;
    command->cdb_len = 10;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
smc_initialize_element_status(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCHANGER_INITIALIZE_ELEMENT_STATUS in = irp->AssociatedIrp.SystemBuffer;
    struct smc_command command = { 0 };
    NTSTATUS status = STATUS_SUCCESS;
    struct smc_facts facts;

    smc_facts_of(smc_of(fdo), &facts);
    command.timeout_s = facts.inventory_s;
    if (in->ElementList.Element.ElementType != AllElements) {
        status = scan_range(&facts, in, &command);
    } else {
        command.cdb[0] = SCSIOP_INIT_ELEMENT_STATUS;
        command.cdb_len = 6;
    }
    if (NT_SUCCESS(status))
        status = smc_send(fdo, &command);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information = sizeof *in;
    return status;
}

/* --- diagnostics ------------------------------------------------------------------------ */

#define ANY 0x100

static const struct {
    USHORT key, asc, ascq;
    UCHAR problem;
} problems[] = {
    { ANY, 0x44, ANY, DeviceProblemTargetFailure },
    { ANY, 0x04, 0x18, DeviceProblemDoorOpen },
    { ANY, 0x04, 0x83, DeviceProblemDoorOpen },
    { ANY, 0x15, ANY, DeviceProblemPositionError },
    { ANY, 0x3B, 0x16, DeviceProblemPositionError },
    { ANY, 0x53, 0x00, DeviceProblemCartridgeInsertError },
    { ANY, 0x53, 0x09, DeviceProblemCartridgeInsertError },
    { ANY, 0x53, 0x01, DeviceProblemCartridgeEjectError },
    { ANY, 0x53, 0x0A, DeviceProblemCartridgeEjectError },
    { ANY, 0x53, 0x0B, DeviceProblemCartridgeEjectError },
    { ANY, 0x53, 0x0C, DeviceProblemCartridgeEjectError },
    { ANY, 0x04, 0x17, DeviceProblemCalibrationError },
    { 0x4, ANY, ANY, DeviceProblemHardware },
};

static BOOLEAN
fits(USHORT want, UCHAR is)
{
    return want == ANY || want == is;
}

static ULONG
problem_of(const struct fdo_sense *sense)
{
    size_t i;

    for (i = 0; i < RTL_NUMBER_OF(problems); i++)
        if (fits(problems[i].key, sense->key) &&
            fits(problems[i].asc, sense->asc) &&
            fits(problems[i].ascq, sense->ascq))
            return problems[i].problem;
    return DeviceProblemNone;
}

/* A problem that is found is an answer, no failure. */
static NTSTATUS NTAPI
perform_diagnostics(PDEVICE_OBJECT fdo, PWMI_CHANGER_PROBLEM_DEVICE_ERROR out)
{
    struct smc_command command = { 0 };
    NTSTATUS status;

    command.cdb[0] = SCSIOP_SEND_DIAGNOSTIC;
    command.cdb[1] = 0x04; /* the device's own test */
    command.cdb_len = 6;
    command.timeout_s = SMC_MOVE_S;
    status = smc_send(fdo, &command);
    if (!NT_SUCCESS(status) && command.sense_valid &&
        command.sense.key == SCSI_SENSE_ILLEGAL_REQUEST)
        status = test_ready(fdo, &command); /* it has none */
    if (!NT_SUCCESS(status) && !command.sense_valid)
        return status;
    out->ChangerProblemType =
        NT_SUCCESS(status) ? DeviceProblemNone : problem_of(&command.sense);
    if (!NT_SUCCESS(status) && out->ChangerProblemType == DeviceProblemNone)
        return status; /* it failed, and that is no problem of this list */
    return STATUS_SUCCESS;
}

/* --- vendors' sense data -------------------------------------------------------------------- */

static BOOLEAN
is_vendor(const struct smc *smc, const char *vendor)
{
    size_t i;

    for (i = 0; vendor != NULL && vendor[i] != '\0'; i++)
        if (smc->facts.product.VendorId[i] != (UCHAR) vendor[i])
            return FALSE;
    return TRUE;
}

/* <= DISPATCH.  The vendor is written before the first request that may get
 * here for it, and stays the same. */
void
smc_error(PDEVICE_OBJECT fdo, PSCSI_REQUEST_BLOCK srb,
          const struct smc_sense_row *rows, ULONG count, NTSTATUS *status,
          BOOLEAN *retry)
{
    struct fdo_sense sense;
    ULONG i;

    if (!fdo_sense_of(srb, &sense) || sense.deferred)
        return;
    for (i = 0; i < count; i++)
        if (fits(rows[i].key, sense.key) && fits(rows[i].asc, sense.asc) &&
            fits(rows[i].ascq, sense.ascq) &&
            is_vendor(smc_of(fdo), rows[i].vendor)) {
            *status = rows[i].status;
            *retry = rows[i].retry;
            return;
        }
}

/* --- all of them ---------------------------------------------------------------- */

static ULONG NTAPI
extension_size(VOID)
{
    return sizeof(struct smc);
}

void
smc_fill(PMCD_INIT_DATA data)
{
    RtlZeroMemory(data, sizeof *data);
    data->InitDataSize = sizeof *data;
    data->ChangerAdditionalExtensionSize = extension_size;
    data->ChangerPerformDiagnostics = perform_diagnostics;
    data->ChangerGetParameters = smc_get_parameters;
    data->ChangerGetStatus = smc_get_status;
    data->ChangerGetProductData = smc_get_product_data;
    data->ChangerSetAccess = smc_set_access;
    data->ChangerGetElementStatus = smc_get_element_status;
    data->ChangerInitializeElementStatus = smc_initialize_element_status;
    data->ChangerSetPosition = smc_set_position;
    data->ChangerExchangeMedium = smc_exchange_medium;
    data->ChangerMoveMedium = smc_move_medium;
    data->ChangerReinitializeUnit = smc_reinitialize_unit;
    data->ChangerQueryVolumeTags = smc_query_volume_tags;
}
