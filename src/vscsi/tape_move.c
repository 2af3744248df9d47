/*
 * tape_move.c - where the tape is, and how it gets elsewhere
 *
 * SSC-3: SPACE, LOCATE, READ POSITION, REWIND, LOAD UNLOAD.  A position is a
 * logical object number: blocks and filemarks are counted alike from 0.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/tape.h"

uint32_t
tape_test_ready(struct task *task)
{
    return tape_busy(task);
}

/* --- SPACE ---------------------------------------------------------------- */

/* Goes to a known object; when that fails, nothing has moved. */
static uint32_t
stop_at(struct task *task, uint64_t object, uint32_t sense, uint64_t left)
{
    uint32_t failed = tape_place(task->drive, object);

    if (failed != 0)
        return failed;
    return sense != 0 ? tape_report(task, sense, left) : 0;
}

/* There is nothing more that way. */
static uint32_t
stop_at_end(struct task *task, enum simh_kind why, uint64_t left)
{
    if (why == SIMH_DAMAGE)
        tape_alert(task->drive, 5);
    return stop_at(task, task->medium->simh->known,
                   why == SIMH_END ? SENSE_END_OF_DATA : SENSE_READ_ERROR,
                   left);
}

static uint32_t
blocks_forward(struct task *task, uint64_t count)
{
    struct simh *simh = task->medium->simh;
    uint64_t from = task->drive->tape->place.object, mark;
    uint64_t marks = simh_marks_before(simh, from);
    enum simh_kind kind = SIMH_RECORD;

    /* One by one only where nobody has been yet. */
    while (simh->known - from < count && kind == SIMH_RECORD &&
           simh_mark(simh, marks) == UINT64_MAX)
        kind = simh_know(simh, simh->known);
    mark = simh_mark(simh, marks);
    if (mark != UINT64_MAX && mark - from < count)
        return stop_at(task, mark + 1, SENSE_MARK_FOUND, count - (mark - from));
    if (simh->known - from < count)
        return stop_at_end(task, kind, count - (simh->known - from));
    return stop_at(task, from + count, 0, 0);
}

static uint32_t
blocks_back(struct task *task, uint64_t count)
{
    const struct simh *simh = task->medium->simh;
    uint64_t from = task->drive->tape->place.object, mark;
    uint64_t marks = simh_marks_before(simh, from);

    mark = marks != 0 ? simh_mark(simh, marks - 1) : UINT64_MAX;
    if (mark != UINT64_MAX && from - (mark + 1) < count)
        return stop_at(task, mark, SENSE_MARK_FOUND,
                       count - (from - (mark + 1)));
    if (count > from)
        return stop_at(task, 0, SENSE_BEGINNING, count - from);
    return stop_at(task, from - count, 0, 0);
}

static uint32_t
marks_forward(struct task *task, uint64_t count)
{
    struct simh *simh = task->medium->simh;
    uint64_t marks = simh_marks_before(simh, task->drive->tape->place.object);
    enum simh_kind kind = SIMH_RECORD;
    uint64_t all;

    if (count > UINT64_MAX - marks)
        count = UINT64_MAX - marks;
    while (kind == SIMH_RECORD &&
           simh_mark(simh, marks + count - 1) == UINT64_MAX)
        kind = simh_know(simh, simh->known);
    if (kind == SIMH_RECORD)
        return stop_at(task, simh_mark(simh, marks + count - 1) + 1, 0, 0);
    all = simh_marks_before(simh, simh->known);
    return stop_at_end(task, kind, count - (all - marks));
}

static uint32_t
marks_back(struct task *task, uint64_t count)
{
    const struct simh *simh = task->medium->simh;
    uint64_t marks = simh_marks_before(simh, task->drive->tape->place.object);

    if (count > marks)
        return stop_at(task, 0, SENSE_BEGINNING, count - marks);
    return stop_at(task, simh_mark(simh, marks - count), 0, 0);
}

/* To the far side of the first `count` marks that follow one another. */
static uint32_t
sequence_forward(struct task *task, uint64_t count)
{
    struct simh *simh = task->medium->simh;
    uint64_t from = task->drive->tape->place.object;
    enum simh_kind kind = SIMH_RECORD;
    size_t i = 0;

    /* The run that the position is in or before. */
    while (i < simh->runs_count &&
           simh->runs[i].first + simh->runs[i].count <= from)
        i++;
    for (;;) {
        for (; i < simh->runs_count; i++) {
            uint64_t first =
                simh->runs[i].first > from ? simh->runs[i].first : from;
            uint64_t end = simh->runs[i].first + simh->runs[i].count;

            if (end - first >= count)
                return stop_at(task, first + count, 0, 0);
            if (end == simh->known)
                break; /* it may go on */
        }
        if (kind != SIMH_RECORD)
            return stop_at_end(task, kind, count);
        kind = simh_know(simh, simh->known);
    }
}

static uint32_t
sequence_back(struct task *task, uint64_t count)
{
    const struct simh *simh = task->medium->simh;
    uint64_t from = task->drive->tape->place.object;

    for (size_t i = simh->runs_count; i-- > 0;) {
        uint64_t first = simh->runs[i].first;
        uint64_t end = first + simh->runs[i].count;

        if (end > from)
            end = from;
        if (end > first && end - first >= count)
            return stop_at(task, end - count, 0, 0);
    }
    return stop_at(task, 0, SENSE_BEGINNING, count);
}

static uint32_t
to_end_of_data(struct task *task)
{
    struct simh *simh = task->medium->simh;
    enum simh_kind kind = SIMH_RECORD;

    while (kind == SIMH_RECORD)
        kind = simh_know(simh, simh->known);
    if (kind == SIMH_DAMAGE)
        return stop_at_end(task, kind, 0);
    return stop_at(task, simh->known, 0, 0);
}

static uint32_t
space(struct task *task, unsigned code, int64_t count)
{
    uint64_t far = count < 0 ? -(uint64_t) count : (uint64_t) count;
    uint32_t sense = tape_busy(task);

    if (code > 3)
        return SENSE_CDB_FIELD; /* no setmarks */
    if (sense == 0)
        sense = tape_sync(task->drive);
    if (sense != 0)
        return sense;
    if (code == 3)
        sense = to_end_of_data(task);
    else if (count == 0)
        sense = 0;
    else if (code == 0)
        sense = count > 0 ? blocks_forward(task, far) : blocks_back(task, far);
    else if (code == 1)
        sense = count > 0 ? marks_forward(task, far) : marks_back(task, far);
    else
        sense =
            count > 0 ? sequence_forward(task, far) : sequence_back(task, far);
    tape_show(task->drive);
    return sense;
}

uint32_t
tape_space_6(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    int64_t count = get24(cdb + 2);

    if (cdb[1] & 0xf0)
        return SENSE_CDB_FIELD;
    return space(task, cdb[1] & 0x0f,
                 count >= 0x800000 ? count - 0x1000000 : count);
}

uint32_t
tape_space_16(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;

    if (cdb[1] & 0xf0 || get16(cdb + 12) != 0)
        return SENSE_CDB_FIELD;
    return space(task, cdb[1] & 0x0f, (int64_t) get64(cdb + 4));
}

/* --- LOCATE --------------------------------------------------------------- */

/* Beyond the end of data: there, and it says so. */
static uint32_t
locate_object(struct task *task, uint64_t object)
{
    struct simh *simh = task->medium->simh;
    enum simh_kind kind =
        object > simh->known ? simh_know(simh, object - 1) : SIMH_RECORD;
    uint32_t sense;

    if (kind == SIMH_RECORD)
        return tape_place(task->drive, object);
    sense = stop_at_end(task, kind, 0);
    task->info_valid = false;
    return sense;
}

/* Behind the file's filemark; file 0 is the beginning. */
static uint32_t
locate_file(struct task *task, uint64_t file)
{
    uint32_t sense;

    task->drive->tape->place = (struct simh_place){ 0, 0 };
    sense = file != 0 ? marks_forward(task, file) : 0;
    task->info_valid = false;
    return sense;
}

uint32_t
tape_locate_10(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t sense = tape_busy(task);

    if (cdb[1] & 0xf8 || (cdb[1] & 0x02 && cdb[8] != 0))
        return SENSE_CDB_FIELD; /* there is one partition */
    if (sense == 0)
        sense = tape_sync(task->drive);
    if (sense == 0)
        sense = locate_object(task, get32(cdb + 3));
    tape_show(task->drive);
    return sense;
}

uint32_t
tape_locate_16(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned type = cdb[1] >> 3 & 0x07;
    uint32_t sense = tape_busy(task);

    if (cdb[1] & 0xc4 || cdb[2] & 0x01 || (cdb[1] & 0x02 && cdb[3] != 0) ||
        (type != 0 && type != 1 && type != 3))
        return SENSE_CDB_FIELD;
    if (sense == 0)
        sense = tape_sync(task->drive);
    if (sense == 0)
        sense = type == 0   ? locate_object(task, get64(cdb + 4))
                : type == 1 ? locate_file(task, get64(cdb + 4))
                            : to_end_of_data(task);
    tape_show(task->drive);
    return sense;
}

/* --- READ POSITION -------------------------------------------------------- */

static uint8_t
position_flags(const struct task *task)
{
    return (uint8_t) ((task->drive->tape->place.object == 0 ? 0x80 : 0) |
                      (tape_warned(task->drive) ? 0x40 : 0));
}

static uint32_t
position_short(struct task *task, uint8_t data[20])
{
    const struct simh *simh = task->medium->simh;
    uint64_t object = task->drive->tape->place.object;

    data[0] = position_flags(task);
    if (object > UINT32_MAX) {
        data[0] |= 0x02; /* PERR */
        return 20;
    }
    put32(data + 4, (uint32_t) object);
    put32(data + 8, (uint32_t) (object - simh->buffered_objects));
    put24(data + 13, (uint32_t) simh->buffered_objects);
    put32(data + 16, (uint32_t) simh->buffered);
    return 20;
}

static uint32_t
position_long(struct task *task, uint8_t data[32])
{
    uint64_t object = task->drive->tape->place.object;

    data[0] = position_flags(task);
    put64(data + 8, object);
    put64(data + 16, simh_marks_before(task->medium->simh, object));
    return 32;
}

static uint32_t
position_extended(struct task *task, uint8_t data[32])
{
    const struct simh *simh = task->medium->simh;
    uint64_t object = task->drive->tape->place.object;

    data[0] = position_flags(task);
    put16(data + 2, 0x1C);
    put24(data + 5, (uint32_t) simh->buffered_objects);
    put64(data + 8, object);
    put64(data + 16, object - simh->buffered_objects);
    put64(data + 24, simh->buffered);
    return 32;
}

uint32_t
tape_read_position(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[32] = { 0 };
    uint32_t sense = tape_busy(task);
    size_t alloc = get16(cdb + 7);

    if (sense != 0)
        return sense;
    switch (cdb[1]) {
    case 0x00:
        return alloc != 0 ? SENSE_CDB_FIELD
                          : reply(task, data, position_short(task, data), 20);
    case 0x06:
        return alloc != 0 ? SENSE_CDB_FIELD
                          : reply(task, data, position_long(task, data), 32);
    case 0x08:
        return reply(task, data, position_extended(task, data), alloc);
    default:
        return SENSE_CDB_FIELD;
    }
}

/* --- REWIND, LOAD UNLOAD -------------------------------------------------- */

static uint64_t
in_ms(uint64_t ms)
{
    return timer_now_ns() + ms * UINT64_C(1000000);
}

static uint64_t
way_back_ms(const struct task *task)
{
    uint64_t at = task->drive->tape->place.at;
    uint64_t end = task->medium->simh->end;

    if (end == 0)
        return 0;
    return (uint64_t) (task->drive->tape->config.rewind_ms *
                       ((double) at / (double) end));
}

/* The command goes on when the time has passed. */
static bool
takes_time(struct task *task, uint64_t ms)
{
    if (ms == 0 || task->effect->late)
        return false;
    task->hold_until_ns = in_ms(ms);
    return true;
}

uint32_t
tape_rewind(struct task *task)
{
    struct tape *tape = task->drive->tape;
    bool immediate = task->command->cdb[1] & 0x01;
    uint32_t sense = tape_busy(task);
    uint64_t ms;

    if (task->command->cdb[1] & 0xfe)
        return SENSE_CDB_FIELD;
    if (sense == 0)
        sense = tape_sync(task->drive);
    if (sense != 0)
        return sense;
    ms = way_back_ms(task);
    if (!immediate && takes_time(task, ms))
        return SENSE_PENDING;
    tape->place = (struct simh_place){ 0, 0 };
    if (immediate && ms != 0)
        tape->busy_until_ns = in_ms(ms);
    tape_show(task->drive);
    return 0;
}

/* HOLD: the tape is off the heads, the cartridge stays. */
static uint32_t
unload(struct task *task, bool hold)
{
    struct vscsi_drive *drive = task->drive;
    bool immediate = task->command->cdb[1] & 0x01;
    uint32_t sense;

    if (drive->medium == NULL)
        return 0; /* it lies in the mouth, or nothing does */
    if (!hold && drive->prevents != 0) {
        tape_alert(drive, 10); /* no removal */
        return SENSE_PREVENTED;
    }
    sense = tape_sync(drive);
    if (sense != 0)
        return sense;
    if (!immediate && takes_time(task, drive->tape->config.unload_ms))
        return SENSE_PENDING;
    if (!hold)
        return drive_eject(drive, &task->events);
    if (drive->state == DRIVE_READY) {
        drive->tape->place = (struct simh_place){ 0, 0 };
        drive_set_state(drive, DRIVE_STOPPED, drive->medium);
        tape_show(drive);
    }
    return 0;
}

static uint32_t
load(struct task *task)
{
    struct vscsi_drive *drive = task->drive;
    bool immediate = task->command->cdb[1] & 0x01;
    uint32_t sense;

    task->medium = drive->medium;
    if (drive->state == DRIVE_EMPTY)
        task->events |= drive_close_tray(drive);
    if (drive->state == DRIVE_LOADING && drive->tape->cleaner == 0) {
        if (immediate)
            return 0;
        if (!task->effect->late) {
            task->hold_until_ns = drive->ready_at_ns + 1000000;
            return SENSE_PENDING;
        }
    }
    if (drive->state == DRIVE_STOPPED)
        drive_set_state(drive, DRIVE_READY, drive->medium);
    if (drive->state != DRIVE_READY)
        return drive->not_ready;
    sense = tape_sync(drive);
    if (sense == 0)
        drive->tape->place = (struct simh_place){ 0, 0 };
    tape_show(drive);
    return sense;
}

uint32_t
tape_load_unload(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t sense = tape_busy(task);

    if (cdb[1] & 0xfe || cdb[4] & 0xf0 || (cdb[4] & 0x05) == 0x05)
        return SENSE_CDB_FIELD; /* EOT is of unloading */
    if (sense != 0)
        return sense;
    return cdb[4] & 0x01 ? load(task) : unload(task, cdb[4] & 0x08);
}
