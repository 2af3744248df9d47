/*
 * command.c - a command from its CDB to its handler
 *
 * The order of the checks is the promise: past the gate, the attention number,
 * then pending unit attentions, then the CDB, the medium and its range.  The
 * medium cannot change between the first check and the last byte.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/vscsi_internal.h"

#define DISK    (1u << VSCSI_DISK)
#define FLOPPY  (1u << VSCSI_FLOPPY)
#define CD      (1u << VSCSI_CDROM)
#define DISKS   (DISK | FLOPPY)
#define ALL     (DISK | FLOPPY | CD)
#define CHANGER (1u << VSCSI_CHANGER)
#define TAPE    (1u << VSCSI_TAPE)
#define OPCODE_ROW(code, handler, name, length, types, flags, usage)           \
    [code] = { handler, flags, length, types, name, usage },

const struct opcode vscsi_opcodes[256] = {
#include "vscsi/opcodes.def"
};

const struct opcode vscsi_smc_opcodes[256] = {
#include "vscsi/opcodes_smc.def"
};

const struct opcode vscsi_ssc_opcodes[256] = {
#include "vscsi/opcodes_ssc.def"
};

const struct fault_effect fault_none = { .data_max = UINT32_MAX };
const struct fault_effect fault_late = { .data_max = UINT32_MAX, .late = true };

#undef OPCODE_ROW
#define OPCODE_ROW(code, handler, name, length, types, flags, usage)           \
    _Static_assert(sizeof(usage) == (length), name ": usage bytes");
#include "vscsi/opcodes.def"
#include "vscsi/opcodes_smc.def"
#include "vscsi/opcodes_ssc.def"

/* --- sense data ----------------------------------------------------------- */

static uint8_t
stream_bits(uint32_t sense)
{
    return (uint8_t) ((sense & SENSE_FILEMARK ? 0x80 : 0) |
                      (sense & SENSE_EOM ? 0x40 : 0) |
                      (sense & SENSE_ILI ? 0x20 : 0));
}

/* Does it fit into 32 bits?  Tapes have negative ones, in two's complement. */
static bool
fits_32(uint64_t info)
{
    return info <= UINT32_MAX || info >= (uint64_t) INT32_MIN;
}

/* Descriptor format has room for 64 bits of LBA. */
static size_t
build_descriptors(uint8_t *out, uint32_t sense, const uint64_t *info)
{
    size_t len = 8;

    out[0] = sense & SENSE_DEFERRED ? 0x73 : 0x72;
    out[1] = sense >> 16 & 0x0f;
    out[2] = (uint8_t) (sense >> 8);
    out[3] = (uint8_t) sense;
    if (info != NULL) {
        out[len + 1] = 0x0A;
        out[len + 2] = 0x80;
        put64(out + len + 4, *info);
        len += 12;
    }
    if (sense & (SENSE_FILEMARK | SENSE_EOM) ||
        (sense & SENSE_STREAM && sense & SENSE_ILI)) {
        out[len] = 0x04; /* stream commands */
        out[len + 1] = 0x02;
        out[len + 3] = stream_bits(sense);
        len += 4;
    } else if (sense & SENSE_ILI) {
        out[len] = 0x05; /* block commands */
        out[len + 1] = 0x02;
        out[len + 3] = 0x20;
        len += 4;
    }
    out[7] = (uint8_t) (len - 8);
    return len;
}

/* Fixed format has room for 32 bits of LBA. */
size_t
sense_build(uint8_t *out, bool descriptor, uint32_t sense, const uint64_t *info)
{
    memset(out, 0, VSCSI_SENSE_MAX);
    if (descriptor || sense & SENSE_DESCRIPTOR)
        return build_descriptors(out, sense, info);
    out[0] = sense & SENSE_DEFERRED ? 0x71 : 0x70;
    out[2] = (uint8_t) (sense >> 16 & 0x0f) | stream_bits(sense);
    if (info != NULL && fits_32(*info)) {
        out[0] |= 0x80;
        put32(out + 3, (uint32_t) *info);
    }
    out[7] = 10;
    out[12] = (uint8_t) (sense >> 8);
    out[13] = (uint8_t) sense;
    return 18;
}

void
command_sense(struct vscsi_drive *drive, struct vscsi_command *command,
              uint32_t sense, const uint64_t *info)
{
    bool descriptor =
        atomic_load_explicit(&drive->d_sense, memory_order_relaxed);

    size_t len;

    if (drive->tape != NULL)
        sense |= SENSE_STREAM;
    len = sense_build(command->sense, descriptor, sense, info);

    if (sense >> 27 != 0 && len > sense >> 27)
        len = sense >> 27;
    command->status = STATUS_CHECK;
    command->sense_len = (uint8_t) len;
}

uint32_t
reply(struct task *task, const void *data, size_t len, size_t alloc)
{
    if (len > alloc)
        len = alloc;
    if (len > task->data_len)
        len = task->data_len;
    if (len > 0)
        memcpy(task->data, data, len);
    task->command->transferred = (uint32_t) len;
    return 0;
}

bool
drive_write_protected(const struct vscsi_drive *drive)
{
    return drive->write_protect || drive->software_wp ||
           (drive->medium != NULL && drive->medium->write_protected);
}

/* --- checks --------------------------------------------------------------- */

void
cdb_range(const uint8_t *cdb, unsigned length, uint64_t *out_lba,
          uint32_t *out_blocks)
{
    switch (length) {
    case 6:
        *out_lba = get24(cdb + 1) & 0x1fffff;
        *out_blocks = cdb[4] != 0 ? cdb[4] : 256;
        break;
    case 10:
        *out_lba = get32(cdb + 2);
        *out_blocks = get16(cdb + 7);
        break;
    case 12:
        *out_lba = get32(cdb + 2);
        *out_blocks = cdb[0] == 0xBE ? get24(cdb + 6) : get32(cdb + 6);
        break;
    default:
        *out_lba = get64(cdb + 2);
        *out_blocks = get32(cdb + 10);
        break;
    }
}

static uint32_t
check_range(struct task *task)
{
    const struct medium *medium = task->medium;

    cdb_range(task->command->cdb, task->op->length, &task->lba, &task->blocks);
    if (task->lba <= medium->blocks &&
        task->blocks <= medium->blocks - task->lba)
        return 0;
    task->info_valid = true;
    task->info = task->lba < medium->blocks ? medium->blocks : task->lba;
    return SENSE_LBA;
}

static uint32_t
check_cdb(const struct task *task)
{
    const struct vscsi_command *command = task->command;
    const struct opcode *op = task->op;

    if (op->run == NULL || !(op->types >> task->drive->type & 1))
        return SENSE_OPCODE;
    /* NACA is not offered. */
    if (command->cdb_len < op->length || command->cdb[op->length - 1] & 0x04)
        return SENSE_CDB_FIELD;
    if (op->flags & OP_PROT && command->cdb[1] & 0xe0)
        return SENSE_CDB_FIELD;
    return 0;
}

static inline uint32_t
check_all(struct task *task, uint32_t data_max)
{
    struct vscsi_command *command = task->command;
    unsigned flags = task->op->flags;
    uint32_t sense = check_cdb(task);

    if (sense != 0)
        return sense;
    if ((command->dir == VSCSI_FROM_DRIVE && flags & OP_IN) ||
        (command->dir == VSCSI_TO_DRIVE && flags & OP_OUT))
        task->data_len =
            command->data_len < data_max ? command->data_len : data_max;
    if (!(flags & OP_MEDIUM))
        return 0;
    if (task->drive->not_ready != 0)
        return task->drive->not_ready;
    task->medium = task->drive->medium;
    if (flags & OP_WRITES && drive_write_protected(task->drive))
        return SENSE_WRITE_PROTECTED;
    return flags & OP_LBA ? check_range(task) : 0;
}

/* --- the whole of it ------------------------------------------------------ */

/* LOAD itself has made the tape a new one: its end tells nobody of that. */
static bool
ends_loading(const struct task *task)
{
    return task->effect->late && task->op->run == tape_load_unload &&
           task->command->cdb[4] & 0x01;
}

/* False: stale, or a unit attention was reported (*out_sense). */
static inline bool
admit(struct task *task, uint32_t *out_sense)
{
    struct vscsi_command *command = task->command;
    struct vscsi_nexus *nexus = task->nexus;
    uint64_t word;

    for (;;) {
        word = atomic_load_explicit(&nexus->attention, memory_order_acquire);
        command->attention = (uint32_t) (word >> 32);
        if (command->attention_in != 0 &&
            command->attention_in != command->attention &&
            !ends_loading(task)) {
            command->result = VSCSI_STALE;
            return false;
        }
        if ((uint32_t) word == 0 || task->op->flags & OP_UA)
            return true;
        if (ends_loading(task))
            return true;
        /* Else another command has just taken it: the number has moved. */
        if (attention_take(nexus, out_sense, &command->attention))
            return false;
    }
}

static inline void
perform(struct task *task)
{
    struct vscsi_command *command = task->command;
    uint32_t sense = 0;

    /* This status comes before any unit attention. */
    if (__builtin_expect((task->op->flags & OP_RESERVED) != 0, 0) &&
        reserve_conflict(task)) {
        command->status = STATUS_CONFLICT;
        command->attention =
            (uint32_t) (atomic_load(&task->nexus->attention) >> 32);
        return;
    }
    if (admit(task, &sense)) {
        sense = check_all(task, task->effect->data_max);
        if (sense == 0)
            sense = task->op->run(task);
        if (sense == 0)
            sense = task->effect->recovered;
    }
    if (__builtin_expect(sense != 0, 0) && sense != SENSE_PENDING)
        command_sense(task->drive, command,
                      task->drive->tape != NULL ? tape_sense(task->drive, sense)
                                                : sense,
                      task->info_valid ? &task->info : NULL);
}

static void
perform_alone(struct task *task)
{
    gate_close(task->drive);
    perform(task);
    gate_open(task->drive);
    drive_raise(task->drive, task->events);
}

bool
command_run(struct vscsi_nexus *nexus, struct vscsi_command *command,
            const struct fault_effect *effect)
{
    struct vscsi_drive *drive = nexus->drive;
    struct task task;

    task.drive = drive;
    task.nexus = nexus;
    task.command = command;
    task.medium = NULL;
    task.op = &drive->opcodes[command->cdb[0]];
    task.data = command->data;
    task.data_len = 0;
    task.info_valid = false;
    task.events = 0;
    task.effect = effect;
    task.motion = NULL;
    task.hold_until_ns = 0;
    command->result = VSCSI_DONE;
    command->status = STATUS_GOOD;
    command->sense_len = 0;
    command->transferred = 0;
    atomic_fetch_add_explicit(&nexus->commands, 1, memory_order_relaxed);
    if (__builtin_expect((task.op->flags & OP_ALONE) != 0, 0)) {
        perform_alone(&task);
        if (__builtin_expect(task.hold_until_ns == 0, 1))
            return true;
        atomic_fetch_sub(&nexus->commands, 1); /* counted when it is over */
        return !fault_hold(nexus, command, task.hold_until_ns) &&
               command_run(nexus, command, &fault_late);
    }
    gate_enter(drive);
    perform(&task);
    gate_leave(drive);
    return task.motion == NULL || motion_begin(task.motion);
}

static bool __attribute__((noinline))
execute_under_rules(struct vscsi_nexus *nexus, struct vscsi_command *command)
{
    struct fault_effect effect = fault_none;
    bool completed;

    if (!fault_apply(nexus, command, &effect, &completed))
        return completed;
    if (!command_run(nexus, command, &effect))
        return false;
    if (effect.overrun && command->result == VSCSI_DONE &&
        command->status == STATUS_GOOD)
        command->result = VSCSI_OVERRUN;
    return true;
}

bool
vscsi_execute(struct vscsi_nexus *nexus, struct vscsi_command *command)
{
    if (__builtin_expect(atomic_load_explicit(&nexus->drive->rules,
                                              memory_order_acquire) != NULL,
                         0))
        return execute_under_rules(nexus, command);
    return command_run(nexus, command, &fault_none);
}
