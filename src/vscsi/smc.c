/*
 * smc.c - commands of a robot: is it ready, move, exchange, look again
 *
 * Handlers check what the CDB says and leave the rest to motion.c, which looks
 * at the elements when the arm is free.  Past the gate; locks: library.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/library.h"

/* Some check the whole control byte. */
static uint32_t
check_control(const struct task *task)
{
    return library_has(task->drive->library, P_CONTROL_ZERO) &&
                   task->command->cdb[task->op->length - 1] != 0
               ? SENSE_CDB_FIELD
               : 0;
}

static uint32_t
not_ready(const struct task *task)
{
    struct vscsi_library *library = task->drive->library;
    uint32_t sense;

    pthread_mutex_lock(&library->lock);
    sense = library_not_ready_locked(library);
    if (sense == 0 && library_has(library, P_BUSY) &&
        motion_count_locked(library) != 0)
        sense = SENSE_SCANNING;
    pthread_mutex_unlock(&library->lock);
    return sense;
}

uint32_t
smc_test_unit_ready(struct task *task)
{
    return not_ready(task);
}

uint32_t
smc_request_sense(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t sense = not_ready(task);
    uint8_t data[VSCSI_SENSE_MAX];
    size_t len;

    (void) attention_take(task->nexus, &sense, &task->command->attention);
    len = sense_build(data, cdb[1] & 0x01, sense, NULL);
    return reply(task, data, len, cdb[4]);
}

/* --- motions -------------------------------------------------------------- */

/* Address 0 means "you choose", where 0 is no transport. */
static uint32_t
take_arm(struct task *task, unsigned address, struct element **out_arm)
{
    struct vscsi_library *library = task->drive->library;
    struct element *arm = library_element(library, address);

    *out_arm = arm;
    if (arm != NULL && arm->kind == VSCSI_ELEMENT_TRANSPORT)
        return 0;
    *out_arm = NULL;
    return address == 0 && !library_has(library, P_REAL_TRANSPORT)
               ? 0
               : SENSE_ELEMENT;
}

static uint32_t
take_element(struct task *task, unsigned address, struct element **out_element)
{
    *out_element = library_element(task->drive->library, address);
    return *out_element != NULL ? 0 : SENSE_ELEMENT;
}

uint32_t
smc_move(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct motion_want want = { .kind = MOTION_MOVE };
    uint32_t sense = check_control(task);

    if (sense == 0 && cdb[10] & 0x01)
        sense = SENSE_CDB_FIELD; /* nothing can be turned over */
    if (sense == 0)
        sense = take_arm(task, get16(cdb + 2), &want.transport);
    if (sense == 0)
        sense = take_element(task, get16(cdb + 4), &want.source);
    if (sense == 0)
        sense = take_element(task, get16(cdb + 6), &want.first);
    return sense == 0 ? motion_new(task, &want) : sense;
}

uint32_t
smc_exchange(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct motion_want want = { .kind = MOTION_EXCHANGE };
    uint32_t sense = check_control(task);

    if (sense == 0 && cdb[10] & 0x03)
        sense = SENSE_CDB_FIELD;
    if (sense == 0)
        sense = take_arm(task, get16(cdb + 2), &want.transport);
    if (sense == 0)
        sense = take_element(task, get16(cdb + 4), &want.source);
    if (sense == 0)
        sense = take_element(task, get16(cdb + 6), &want.first);
    if (sense == 0)
        sense = take_element(task, get16(cdb + 8), &want.second);
    if (sense != 0)
        return sense;
    /* The arm is what exchanges; three places, or two. */
    if (want.source->kind == VSCSI_ELEMENT_TRANSPORT ||
        want.first->kind == VSCSI_ELEMENT_TRANSPORT ||
        want.second->kind == VSCSI_ELEMENT_TRANSPORT ||
        want.source == want.first || want.first == want.second)
        return SENSE_CDB_FIELD;
    return motion_new(task, &want);
}

uint32_t
smc_position(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct motion_want want = { .kind = MOTION_POSITION };
    uint32_t sense = check_control(task);

    if (sense == 0 && cdb[8] & 0x01)
        sense = SENSE_CDB_FIELD;
    if (sense == 0)
        sense = take_arm(task, get16(cdb + 2), &want.transport);
    if (sense == 0)
        sense = take_element(task, get16(cdb + 4), &want.first);
    if (sense == 0 && want.first->kind == VSCSI_ELEMENT_TRANSPORT)
        sense = SENSE_ELEMENT;
    return sense == 0 ? motion_new(task, &want) : sense;
}

uint32_t
smc_rezero(struct task *task)
{
    struct motion_want want = { .kind = MOTION_HOME };

    want.first = library_nth(task->drive->library, VSCSI_ELEMENT_TRANSPORT, 0);
    return motion_new(task, &want);
}

/* --- inventory ------------------------------------------------------------ */

uint32_t
smc_initialize_all(struct task *task)
{
    const struct motion_want want = { .kind = MOTION_SCAN,
                                      .range_count = 0x10000 };

    return motion_new(task, &want);
}

/* Without RANGE all elements; a count of 0 is up to the last one. */
uint32_t
smc_initialize_range(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct motion_want want = { .kind = MOTION_SCAN, .range_count = 0x10000 };

    if (cdb[1] & 0x01) {
        want.range_first = get16(cdb + 2);
        if (get16(cdb + 6) != 0)
            want.range_count = get16(cdb + 6);
        if (library_element(task->drive->library, want.range_first) == NULL)
            return SENSE_ELEMENT;
    }
    return motion_new(task, &want);
}

/* --- doors ---------------------------------------------------------------- */

uint32_t
smc_open_close(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    struct motion_want want = { .kind = MOTION_MAIL };
    unsigned action = cdb[4] & 0x1f;
    uint32_t sense = take_element(task, get16(cdb + 2), &want.source);

    if (sense != 0)
        return sense;
    if (want.source->kind != VSCSI_ELEMENT_MAIL)
        return SENSE_ELEMENT;
    if (action > 1)
        return SENSE_CDB_FIELD;
    want.source = NULL;
    want.open = action == 0;
    return motion_new(task, &want);
}

uint32_t
smc_prevent(struct task *task)
{
    return task->command->cdb[4] & 0x02 ? SENSE_CDB_FIELD : spc_prevent(task);
}

/* --- diagnostics ---------------------------------------------------------- */

/* The default self test, or a page list that is empty. */
uint32_t
smc_send_diagnostic(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;

    if (cdb[1] & 0xe3)
        return SENSE_CDB_FIELD;
    if (cdb[1] & 0x04)
        return get16(cdb + 3) != 0 ? SENSE_CDB_FIELD : not_ready(task);
    if (get16(cdb + 3) > task->data_len)
        return SENSE_LIST_LENGTH;
    task->command->transferred = get16(cdb + 3);
    return get16(cdb + 3) >= 4 && task->data[0] != 0 ? SENSE_LIST_FIELD : 0;
}

/* Page 00h, the list of pages, is all there is. */
uint32_t
smc_receive_diagnostic(struct task *task)
{
    static const uint8_t pages[5] = { 0, 0, 0, 1, 0 };
    const uint8_t *cdb = task->command->cdb;

    if (cdb[1] & 0x01 && cdb[2] != 0)
        return SENSE_CDB_FIELD;
    return reply(task, pages, sizeof pages, get16(cdb + 3));
}
