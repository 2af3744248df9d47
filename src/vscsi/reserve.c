/*
 * reserve.c - RESERVE(6), RELEASE(6), PERSISTENT RESERVE IN and OUT
 *
 * Who holds a unit, and with which key (SPC-4, 5.13).  Everything changes with
 * the gate closed only, so commands read it without a lock.  An initiator is
 * its nexus: when that ends, its registration ends with it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "vscsi/vscsi_internal.h"

enum {
    TYPE_NONE = 0,
    WRITE_EXCLUSIVE = 1,
    EXCLUSIVE = 3,
    WRITE_EXCLUSIVE_REGISTRANTS = 5,
    EXCLUSIVE_REGISTRANTS = 6,
    WRITE_EXCLUSIVE_ALL = 7,
    EXCLUSIVE_ALL = 8,
};

#define HOLDERS 64

struct registrant {
    const struct vscsi_nexus *nexus; /* NULL: free */
    uint64_t key;
};

struct reservations {
    const struct vscsi_nexus *unit;   /* RESERVE(6); or NULL */
    const struct vscsi_nexus *holder; /* of `type`; NULL for the ALL types */
    unsigned type;
    uint32_t generation;
    struct registrant registrants[HOLDERS];
};

struct reservations *
reserve_new(void)
{
    return calloc(1, sizeof(struct reservations));
}

void
reserve_free(struct reservations *all)
{
    free(all);
}

static struct registrant *
registrant_of(struct reservations *all, const struct vscsi_nexus *nexus)
{
    for (unsigned i = 0; i < HOLDERS; i++)
        if (all->registrants[i].nexus == nexus)
            return &all->registrants[i];
    return NULL;
}

static bool
for_all(unsigned type)
{
    return type == WRITE_EXCLUSIVE_ALL || type == EXCLUSIVE_ALL;
}

static bool
for_registrants(unsigned type)
{
    return type >= WRITE_EXCLUSIVE_REGISTRANTS;
}

static bool
lets_read(unsigned type)
{
    return type == WRITE_EXCLUSIVE || type == WRITE_EXCLUSIVE_REGISTRANTS ||
           type == WRITE_EXCLUSIVE_ALL;
}

static bool
holds(const struct reservations *all, const struct registrant *who)
{
    return all->type != TYPE_NONE && who != NULL &&
           (for_all(all->type) || all->holder == who->nexus);
}

bool
reserve_conflict(const struct task *task)
{
    struct reservations *all = task->drive->reservations;
    const uint8_t *cdb = task->command->cdb;
    bool shared = task->op->flags & OP_SHARED;

    if (all == NULL)
        return false;
    /* Nothing is prevented, nothing moves. */
    if (cdb[0] == 0x1E && (cdb[4] & 0x03) == 0)
        return false;
    if (all->unit != NULL)
        return all->unit != task->nexus;
    if (all->type == TYPE_NONE || all->holder == task->nexus)
        return false;
    if (for_registrants(all->type) && registrant_of(all, task->nexus) != NULL)
        return false;
    if (cdb[0] == 0xB8 && cdb[6] & 0x02)
        return false; /* CurData */
    return !(shared && lets_read(all->type));
}

/* --- telling others ------------------------------------------------------- */

static void
attend(const struct vscsi_nexus *nexus, uint32_t bit)
{
    atomic_fetch_or(&((struct vscsi_nexus *) (uintptr_t) nexus)->attention,
                    bit);
}

static void
attend_registrants(struct reservations *all, uint32_t bit,
                   const struct vscsi_nexus *except)
{
    for (unsigned i = 0; i < HOLDERS; i++)
        if (all->registrants[i].nexus != NULL &&
            all->registrants[i].nexus != except)
            attend(all->registrants[i].nexus, bit);
}

static bool
anybody(const struct reservations *all)
{
    for (unsigned i = 0; i < HOLDERS; i++)
        if (all->registrants[i].nexus != NULL)
            return true;
    return false;
}

static void
end_reservation(struct reservations *all, const struct vscsi_nexus *by)
{
    bool told = for_registrants(all->type);

    all->type = TYPE_NONE;
    all->holder = NULL;
    if (told)
        attend_registrants(all, UA_RELEASED, by);
}

static void
unregister(struct reservations *all, struct registrant *who)
{
    const struct vscsi_nexus *nexus = who->nexus;
    bool held = holds(all, who);

    who->nexus = NULL;
    who->key = 0;
    if (held && (!for_all(all->type) || !anybody(all)))
        end_reservation(all, nexus);
}

void
reserve_forget(struct vscsi_drive *drive, const struct vscsi_nexus *nexus)
{
    struct reservations *all = drive->reservations;
    struct registrant *who = registrant_of(all, nexus);

    if (all->unit == nexus)
        all->unit = NULL;
    if (who != NULL)
        unregister(all, who);
}

/* A reset ends RESERVE(6); persistent ones are persistent. */
void
reserve_reset(struct vscsi_drive *drive)
{
    drive->reservations->unit = NULL;
}

/* --- RESERVE(6), RELEASE(6) ----------------------------------------------- */

static uint32_t
conflict(struct task *task)
{
    task->command->status = STATUS_CONFLICT;
    return SENSE_PENDING; /* no sense data */
}

uint32_t
reserve_unit(struct task *task)
{
    struct reservations *all = task->drive->reservations;

    if (task->command->cdb[1] & 0x01)
        return SENSE_CDB_FIELD; /* lists of elements are obsolete */
    if ((all->unit != NULL && all->unit != task->nexus) || anybody(all))
        return conflict(task);
    all->unit = task->nexus;
    return 0;
}

uint32_t
reserve_release(struct task *task)
{
    struct reservations *all = task->drive->reservations;

    if (task->command->cdb[1] & 0x01)
        return SENSE_CDB_FIELD;
    if (all->unit == task->nexus)
        all->unit = NULL;
    return 0;
}

/* --- PERSISTENT RESERVE IN ------------------------------------------------ */

static size_t
put_keys(const struct reservations *all, uint8_t *to)
{
    size_t len = 8;

    for (unsigned i = 0; i < HOLDERS; i++)
        if (all->registrants[i].nexus != NULL) {
            put64(to + len, all->registrants[i].key);
            len += 8;
        }
    return len;
}

static size_t
put_reservation(struct reservations *all, uint8_t *to)
{
    const struct registrant *holder =
        all->holder != NULL ? registrant_of(all, all->holder) : NULL;

    if (all->type == TYPE_NONE)
        return 8;
    put64(to + 8, holder != NULL ? holder->key : 0);
    to[8 + 13] = (uint8_t) all->type;
    return 8 + 16;
}

static size_t
put_abilities(uint8_t *to)
{
    memset(to, 0, 8);
    put16(to, 8);
    to[3] = 0x80;          /* TMV */
    put16(to + 4, 0xEA01); /* the types that there are */
    return 8;
}

uint32_t
reserve_in(struct task *task)
{
    struct reservations *all = task->drive->reservations;
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[8 + 8 * HOLDERS] = { 0 };
    size_t len;

    if (all->unit != NULL && all->unit != task->nexus)
        return conflict(task);
    switch (cdb[1] & 0x1f) {
    case 0:
        len = put_keys(all, data);
        break;
    case 1:
        len = put_reservation(all, data);
        break;
    case 2:
        return reply(task, data, put_abilities(data), get16(cdb + 7));
    default:
        return SENSE_CDB_FIELD;
    }
    put32(data, all->generation);
    put32(data + 4, (uint32_t) len - 8);
    return reply(task, data, len, get16(cdb + 7));
}

/* --- PERSISTENT RESERVE OUT ----------------------------------------------- */

struct request {
    struct reservations *all;
    struct registrant *who; /* NULL: not registered */
    uint64_t key, new_key;
    unsigned type;
};

static uint32_t
do_register(struct task *task, struct request *request, bool ignore)
{
    struct reservations *all = request->all;

    if (!ignore &&
        request->key != (request->who != NULL ? request->who->key : 0))
        return conflict(task);
    all->generation++;
    if (request->new_key == 0) {
        if (request->who != NULL)
            unregister(all, request->who);
        return 0;
    }
    if (request->who == NULL)
        request->who = registrant_of(all, NULL);
    if (request->who == NULL)
        return SENSE(5, 0x55, 0x04); /* too many registrations */
    request->who->nexus = task->nexus;
    request->who->key = request->new_key;
    return 0;
}

static uint32_t
do_reserve(struct task *task, const struct request *request)
{
    struct reservations *all = request->all;

    if (request->type != WRITE_EXCLUSIVE && request->type != EXCLUSIVE &&
        (request->type < WRITE_EXCLUSIVE_REGISTRANTS ||
         request->type > EXCLUSIVE_ALL))
        return SENSE_CDB_FIELD;
    if (all->type != TYPE_NONE)
        return holds(all, request->who) && all->type == request->type
                   ? 0
                   : conflict(task);
    all->type = request->type;
    all->holder = for_all(request->type) ? NULL : task->nexus;
    return 0;
}

static uint32_t
do_release(struct task *task, const struct request *request)
{
    if (!holds(request->all, request->who))
        return 0;
    if (request->type != request->all->type)
        return SENSE(5, 0x26, 0x04); /* invalid release */
    end_reservation(request->all, task->nexus);
    return 0;
}

static uint32_t
do_clear(struct task *task, const struct request *request)
{
    struct reservations *all = request->all;

    all->generation++;
    attend_registrants(all, UA_PREEMPTED, task->nexus);
    memset(all->registrants, 0, sizeof all->registrants);
    all->type = TYPE_NONE;
    all->holder = NULL;
    return 0;
}

/* Those with the key go; who held the reservation gives it to us. */
static uint32_t
do_preempt(struct task *task, const struct request *request)
{
    struct reservations *all = request->all;
    const struct registrant *holder =
        all->holder != NULL ? registrant_of(all, all->holder) : NULL;
    bool takes = all->type != TYPE_NONE &&
                 ((holder != NULL && holder->key == request->new_key) ||
                  (for_all(all->type) && request->new_key == 0));
    unsigned gone = 0;

    if (request->new_key == 0 && !takes)
        return SENSE_LIST_FIELD;
    for (unsigned i = 0; i < HOLDERS; i++) {
        struct registrant *at = &all->registrants[i];

        if (at->nexus == NULL || at == request->who ||
            (at->key != request->new_key && request->new_key != 0))
            continue;
        attend(at->nexus, UA_UNREGISTERED);
        at->nexus = NULL;
        gone++;
    }
    if (gone == 0 && !takes)
        return conflict(task);
    all->generation++;
    if (takes) {
        all->type = request->type;
        all->holder = for_all(request->type) ? NULL : task->nexus;
    }
    return 0;
}

uint32_t
reserve_out(struct task *task)
{
    struct reservations *all = task->drive->reservations;
    const uint8_t *cdb = task->command->cdb;
    struct request request = { .all = all };
    unsigned action = cdb[1] & 0x1f;

    if (all->unit != NULL && all->unit != task->nexus)
        return conflict(task);
    if (get32(cdb + 5) != 24 || task->data_len < 24)
        return SENSE_LIST_LENGTH;
    task->command->transferred = 24;
    request.who = registrant_of(all, task->nexus);
    request.key = get64(task->data);
    request.new_key = get64(task->data + 8);
    request.type = cdb[2] & 0x0f;
    if (task->data[20] != 0)
        return SENSE_LIST_FIELD; /* no APTPL, no SPEC_I_PT */
    if (action == 0 || action == 6)
        return do_register(task, &request, action == 6);
    if (action > 6)
        return SENSE_CDB_FIELD;
    if (request.who == NULL || request.who->key != request.key)
        return conflict(task);
    if ((action == 1 || action == 2 || action == 4 || action == 5) &&
        cdb[2] >> 4 != 0)
        return SENSE_CDB_FIELD; /* the whole unit only */
    switch (action) {
    case 1:
        return do_reserve(task, &request);
    case 2:
        return do_release(task, &request);
    case 3:
        return do_clear(task, &request);
    default:
        return do_preempt(task, &request);
    }
}
