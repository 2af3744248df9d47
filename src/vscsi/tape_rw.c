/*
 * tape_rw.c - blocks and filemarks: READ, WRITE, VERIFY, WRITE FILEMARKS, ERASE
 *
 * SSC-3.  A block is a record of the image.  In fixed mode a command is so many
 * blocks of the mode's length, in variable mode one block.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "vscsi/tape.h"

uint32_t
tape_block_limits(struct task *task)
{
    uint8_t data[6] = { 0 };

    put24(data + 1, TAPE_BLOCK_MAX);
    put16(data + 4, 1);
    return reply(task, data, sizeof data, sizeof data);
}

/* --- forward over blocks --------------------------------------------------- */

struct passage {
    uint64_t count; /* blocks, or bytes of the one */
    uint32_t block; /* bytes; 0: variable */
    bool sili;
    bool copy;      /* to the initiator */
    bool compare;   /* with its data */
    uint64_t done;  /* blocks of the right length */
    uint64_t moved; /* bytes to the initiator */
};

static uint32_t
stopped(struct task *task, const struct passage *pass, uint32_t sense)
{
    return tape_report(task, sense, pass->count - pass->done);
}

static uint32_t
compare_record(struct task *task, struct passage *pass, uint64_t at,
               uint32_t len)
{
    uint8_t piece[4096];
    uint64_t from = pass->moved;
    uint32_t sense = 0;
    size_t done, some;

    if (from + len > task->data_len)
        return SENSE_DATA_SHORT;
    for (uint32_t i = 0; i < len && sense == 0; i += (uint32_t) some) {
        some = len - i < sizeof piece ? len - i : sizeof piece;
        sense = medium_read(task->medium, at + i, piece, some, &done);
        if (sense == 0 && memcmp(piece, task->data + from + i, some) != 0)
            sense = SENSE_MISCOMPARE;
    }
    return sense;
}

/* What fits into the initiator's buffer; the rest of the block is passed. */
static uint32_t
take_record(struct task *task, struct passage *pass,
            const struct simh_take *take, const struct simh_object *object)
{
    uint64_t want = pass->block != 0 ? pass->block : pass->count;
    uint64_t room = task->data_len - pass->moved;
    uint32_t sense = 0;
    size_t done = 0, len = object->len < want ? object->len : (size_t) want;

    if (pass->compare)
        return compare_record(task, pass, object->at + 4, (uint32_t) len);
    if (!pass->copy)
        return 0;
    if (take->done) {
        pass->moved += len;
        return 0;
    }
    if (len > room)
        len = (size_t) room;
    sense = medium_read(task->medium, object->at + 4, task->data + pass->moved,
                        len, &done);
    pass->moved += done;
    return sense;
}

static uint32_t
wrong_length(struct task *task, const struct passage *pass, uint32_t len)
{
    uint32_t mode_block = task->drive->tape->block_bytes;

    if (pass->block != 0)
        return tape_report(task, SENSE_ILI | SENSE_STREAM,
                           pass->count - pass->done);
    /* SSC-3, READ(6): SILI says nothing of a block that was too long when the
     * mode has a block length. */
    if (pass->sili && (len < pass->count || mode_block == 0))
        return 0;
    return tape_report(task, SENSE_ILI | SENSE_STREAM, pass->count - len);
}

static uint32_t
pass_block(struct task *task, struct passage *pass)
{
    struct tape *tape = task->drive->tape;
    struct simh_take take = {
        .data = task->data + pass->moved,
        .room = pass->copy ? task->data_len - pass->moved : 0,
        .len = pass->block,
    };
    struct simh_object object;
    uint32_t sense;

    if (pass->block == 0 && take.room > pass->count)
        take.room = pass->count;
    simh_next(task->medium->simh, &tape->place, &take, &object);
    if (object.kind == SIMH_END)
        return stopped(task, pass, SENSE_END_OF_DATA);
    if (object.kind == SIMH_DAMAGE) {
        tape_alert(task->drive, 5); /* read failure */
        return stopped(task, pass, SENSE_READ_ERROR);
    }
    if (object.kind == SIMH_RECORD &&
        (pass->block == 0 || object.len == pass->block)) {
        sense = take_record(task, pass, &take, &object);
        if (sense != 0)
            return stopped(task, pass, sense);
    }
    tape->place.object++;
    tape->place.at = object.next;
    if (object.kind == SIMH_MARK)
        return stopped(task, pass, SENSE_MARK_FOUND);
    if (object.kind == SIMH_BAD_RECORD) {
        tape_alert(task->drive, 5);
        return stopped(task, pass, SENSE_READ_ERROR);
    }
    if (object.len != (pass->block != 0 ? pass->block : pass->count))
        return wrong_length(task, pass, object.len);
    pass->done++;
    if (pass->compare)
        pass->moved += object.len;
    return 0;
}

/* Fixed or variable: 0, or what is wrong with the CDB. */
static uint32_t
begin_passage(struct task *task, struct passage *pass)
{
    const uint8_t *cdb = task->command->cdb;
    bool fixed = cdb[1] & 0x01;

    pass->count = get24(cdb + 2);
    pass->block = fixed ? task->drive->tape->block_bytes : 0;
    if (fixed && pass->block == 0)
        return SENSE_CDB_FIELD;
    if (!fixed && pass->count > TAPE_BLOCK_MAX)
        return SENSE_CDB_FIELD;
    return tape_busy(task);
}

static uint32_t
go_on(struct task *task, struct passage *pass)
{
    uint64_t blocks = pass->block != 0 ? pass->count : pass->count != 0;
    uint32_t sense = blocks != 0 ? tape_flush(task->drive) : 0;

    for (uint64_t i = 0; i < blocks && sense == 0; i++)
        sense = pass_block(task, pass);
    tape_show(task->drive);
    return sense;
}

uint32_t
tape_read(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct passage pass = { .copy = true, .sili = cdb[1] & 0x02 };
    uint32_t sense;

    if (cdb[1] & 0xfc || (cdb[1] & 0x03) == 0x03)
        return SENSE_CDB_FIELD;
    sense = begin_passage(task, &pass);
    if (sense != 0)
        return sense;
    sense = go_on(task, &pass);
    task->command->transferred = (uint32_t) pass.moved;
    tape_moved_bytes(task->drive, 0, pass.moved);
    return sense;
}

/* IMMED is refused; BYTCMP compares with what the initiator sends. */
uint32_t
tape_verify(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct passage pass = { .compare = cdb[1] & 0x02 };
    uint32_t sense;

    if (cdb[1] & 0xfc)
        return SENSE_CDB_FIELD;
    sense = begin_passage(task, &pass);
    if (sense != 0)
        return sense;
    sense = go_on(task, &pass);
    task->command->transferred = (uint32_t) pass.moved;
    return sense;
}

/* --- writing -------------------------------------------------------------- */

static bool
buffers(const struct tape *tape)
{
    return tape->loses && tape->buffered;
}

/* Adds an object when the tape is long enough. */
static uint32_t
add(struct task *task, const uint8_t *data, uint32_t len)
{
    struct tape *tape = task->drive->tape;
    uint32_t sense;

    if (tape->place.at + simh_footprint(len) > tape->capacity)
        return SENSE_OVERFLOW;
    sense =
        simh_append(task->medium->simh, &tape->place, data, len, buffers(tape));
    if (sense != 0 && (sense & 0x0fffff) != (SENSE_OVERFLOW & 0x0fffff))
        tape_alert(task->drive, 6);
    return sense;
}

static uint32_t
warn(struct task *task)
{
    return tape_warned(task->drive) ? tape_report(task, SENSE_EARLY_WARNING, 0)
                                    : 0;
}

uint32_t
tape_write(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct passage pass = { 0 };
    uint32_t sense, len;
    uint64_t blocks, done;

    if (cdb[1] & 0xfe)
        return SENSE_CDB_FIELD;
    sense = begin_passage(task, &pass);
    if (sense != 0)
        return sense;
    blocks = pass.block != 0 ? pass.count : pass.count != 0;
    len = pass.block != 0 ? pass.block : (uint32_t) pass.count;
    if (blocks * len > task->data_len)
        return SENSE_DATA_SHORT;
    for (done = 0; done < blocks && sense == 0; done++)
        sense = add(task, task->data + done * len, len);
    if (sense != 0)
        done--;
    task->command->transferred = (uint32_t) (done * len);
    tape_moved_bytes(task->drive, done * len, 0);
    tape_show(task->drive);
    if (sense != 0)
        return tape_report(task, sense,
                           pass.block != 0 ? blocks - done : pass.count);
    return blocks != 0 ? warn(task) : 0;
}

/* Without IMMED all that was written before is on the medium afterwards. */
uint32_t
tape_filemarks(struct task *task)
{
    struct vscsi_drive *drive = task->drive;
    const uint8_t *cdb = task->command->cdb;
    uint32_t count = get24(cdb + 2), done, sense = tape_busy(task);
    bool immediate = cdb[1] & 0x01;

    if (cdb[1] & 0xfe)
        return SENSE_CDB_FIELD; /* no setmarks */
    if (immediate && !drive->tape->buffered)
        return SENSE_CDB_FIELD;
    if (sense == 0 && count != 0 && drive_write_protected(drive))
        return SENSE_WRITE_PROTECTED;
    for (done = 0; done < count && sense == 0; done++)
        sense = add(task, NULL, 0);
    if (sense != 0) {
        tape_show(drive);
        return tape_report(task, sense, count - (done != 0 ? done - 1 : 0));
    }
    if (!immediate)
        sense = tape_sync(drive);
    tape_show(drive);
    if (sense != 0)
        return sense;
    return count != 0 ? warn(task) : 0;
}

/* Short: the data end here.  Long: nothing is behind either. */
uint32_t
tape_erase(struct task *task)
{
    uint32_t sense = tape_busy(task);

    if (task->command->cdb[1] & 0xfc)
        return SENSE_CDB_FIELD;
    if (sense == 0)
        sense = simh_erase(task->medium->simh, &task->drive->tape->place);
    if (sense == 0)
        sense = medium_sync(task->medium);
    tape_show(task->drive);
    return sense;
}
