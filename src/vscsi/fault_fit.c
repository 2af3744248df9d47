/*
 * fault_fit.c - can a fault rule ever match in a drive of that kind?
 *
 * A rule that names a command which such drives do not have, or what only others
 * can do, would wait for ever, and whoever wrote it would believe that all went
 * well in spite of it.  An operation code as a number is taken as it is: it may
 * be sent to a drive that does not know it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "vscsi/vscsi_internal.h"

static const struct opcode *
opcodes_of(enum vscsi_type type)
{
    switch (type) {
    case VSCSI_CHANGER:
        return vscsi_smc_opcodes;
    case VSCSI_TAPE:
        return vscsi_ssc_opcodes;
    default:
        return vscsi_opcodes;
    }
}

/* An LBA is where fault.c looks for it; of a tape it is where the tape is. */
static bool
can_meet(enum vscsi_type type, const struct fault_fit *fit, unsigned code)
{
    const struct opcode *op = &opcodes_of(type)[code];
    bool known = op->run != NULL && (op->types & 1u << type) != 0;

    if (fit->opcode >= 0 && (unsigned) fit->opcode != code)
        return false;
    if (!known && (fit->named || fit->opcode < 0))
        return false;
    if (fit->flags != 0 && (op->flags & fit->flags) == 0)
        return false;
    return !fit->lba || type == VSCSI_TAPE ||
           (op->flags & (OP_LBA | OP_FAULT_READ)) != 0;
}

const char *
fault_never(enum vscsi_type type, const struct fault_fit *fit)
{
    static const char *const no_command[] = {
        [VSCSI_DISK] = "it would never match: disks have no such command",
        [VSCSI_FLOPPY] = "it would never match: floppies have no such command",
        [VSCSI_CDROM] = "it would never match: CD drives have no such command",
        [VSCSI_CHANGER] = "it would never match: robots have no such command",
        [VSCSI_TAPE] = "it would never match: tapes have no such command",
    };
    unsigned code = 0;

    if (fit->robot && type != VSCSI_CHANGER)
        return "the action is one of a library's robot, which this drive has "
               "not";
    if (fit->moves_medium && type == VSCSI_CHANGER)
        return "yank and swap are of drives: a robot has no medium of its own";
    while (code < 256 && !can_meet(type, fit, code))
        code++;
    if (code < 256)
        return NULL;
    return fit->lba ? "it would never match: such commands have no LBA here"
                    : no_command[type];
}
