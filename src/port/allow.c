/*
 * allow.c - what is in no row of base/cdbs.def is not sent to a real drive
 *
 * Whoever asks for it: a driver above, or a program by pass-through.  Each
 * command that a unit was not sent is told once, in the error log.  An operation
 * code that makers use for commands of their own, too, is sent once the unit has
 * said what it means by it.
 *
 * Context: <= DISPATCH, any thread.  No lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#include <ntiologc.h>
#include <stdio.h>

#include "base/cdbs.h"
#include "base/trace.h"

/* True: it was told before. */
static bool
is_told(struct port_unit *unit, uint8_t opcode)
{
    uint32_t bit = 1u << (opcode % 32);

    return (__atomic_fetch_or(&unit->told[opcode / 32], bit, __ATOMIC_RELAXED) &
            bit) != 0;
}

static void
tell(struct port_unit *unit, const SCSI_REQUEST_BLOCK *srb)
{
    char text[CDB_NAME_MAX + 16], name[CDB_NAME_MAX];
    const size_t room =
        (ERROR_LOG_MAXIMUM_SIZE - sizeof(IO_ERROR_LOG_PACKET)) / sizeof(WCHAR);
    PIO_ERROR_LOG_PACKET packet;
    PWCHAR to;
    int len;

    cdb_name(srb->Cdb, name);
    len = snprintf(text, sizeof text, "not sent: %s", name);
    packet = IoAllocateErrorLogEntry(unit->pdo, ERROR_LOG_MAXIMUM_SIZE);
    if (packet == NULL)
        return;
    if ((size_t) len >= room)
        len = (int) room - 1;
    packet->ErrorCode = IO_ERR_INVALID_REQUEST;
    packet->FinalStatus = STATUS_INVALID_DEVICE_REQUEST;
    packet->MajorFunctionCode = IRP_MJ_SCSI;
    packet->NumberOfStrings = 1;
    packet->StringOffset = sizeof *packet;
    to = (PWCHAR) (packet + 1);
    for (int i = 0; i < len; i++)
        to[i] = (WCHAR) text[i];
    to[len] = 0;
    IoWriteErrorLogEntry(packet);
}

static bool __attribute__((noinline))
refuse(struct port_unit *unit, struct hba_request *request)
{
    const SCSI_REQUEST_BLOCK *srb = request->srb;

    TRACE(TRACE_PORT, "unit=%s op=%02x len=%u not sent", unit->name,
          srb->Cdb[0], srb->CdbLength);
    if (!is_told(unit, srb->Cdb[0]))
        tell(unit, srb);
    hba_set_answer(request, &(struct hba_answer){
                                .srb_status = SRB_STATUS_INVALID_REQUEST });
    return false;
}

/* --- what a unit says of itself ---------------------------------------------- */

/* REPORT SUPPORTED OPERATION CODES for one of them (SPC-4: reporting options 1 to
 * 3); SUPPORT 011b: as a standard has it. */
void NTAPI __attribute__((noinline))
port_hear_of_commands(struct port_unit *unit, const SCSI_REQUEST_BLOCK *srb)
{
    const uint8_t *cdb = srb->Cdb, *reply = srb->DataBuffer;
    unsigned which = cdb[2] & 7u;
    uint32_t bit = 1u << (cdb[3] % 32);

    if ((cdb[1] & 0x1F) != 0x0C || which < 1 || which > 3 ||
        srb->DataTransferLength < 2)
        return;
    if ((reply[1] & 7) == 3)
        __atomic_fetch_or(&unit->says[cdb[3] / 32], bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&unit->says[cdb[3] / 32], ~bit, __ATOMIC_RELAXED);
}

static bool
says(struct port_unit *unit, uint8_t opcode)
{
    return (__atomic_load_n(&unit->says[opcode / 32], __ATOMIC_RELAXED) &
            1u << (opcode % 32)) != 0;
}

bool NTAPI
hba_may_send(struct hba_request *request)
{
    struct port_unit *unit = ((struct port_request *) request)->unit;
    const SCSI_REQUEST_BLOCK *srb = request->srb;

    if (__builtin_expect(
            cdb_is_sent(srb->Cdb, srb->CdbLength,
                        __atomic_load_n(&unit->kind, __ATOMIC_RELAXED),
                        CDB_SERVICE) &&
                (!(cdb_rows[srb->Cdb[0]].who & CDB_ASKED) ||
                 says(unit, srb->Cdb[0])),
            1))
        return true;
    return refuse(unit, request);
}
