/*
 * nexus.c - one initiator's view of a drive: its unit attentions
 *
 * The attention number and the pending conditions share one atomic word, so
 * that a command compares the number and sees whether anything is pending in
 * one look.  Bits are set only while the gate is closed and taken only by
 * commands that have passed it: a command that found its number right and
 * nothing pending runs on the medium that it was meant for.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "vscsi/vscsi_internal.h"

static const struct {
    uint32_t bit, sense;
} attentions[] = {
    { UA_RESET, SENSE(6, 0x29, 0x00) },
    { UA_MEDIUM, SENSE(6, 0x28, 0x00) },
    { UA_MODE, SENSE(6, 0x2A, 0x01) },
    { UA_EJECT, SENSE(6, 0x5A, 0x01) },
    { UA_MAIL, SENSE(6, 0x28, 0x01) },
    { UA_MAIL_CHANGED, SENSE(6, 0x28, 0x03) },
    { UA_MAGAZINE_OUT, SENSE(6, 0x3B, 0x12) },
    { UA_MAGAZINE_IN, SENSE(6, 0x3B, 0x13) },
    { UA_DRIVE_OUT, SENSE(6, 0x3B, 0x1A) },
    { UA_DRIVE_IN, SENSE(6, 0x3B, 0x1B) },
    { UA_PREEMPTED, SENSE(6, 0x2A, 0x03) },
    { UA_RELEASED, SENSE(6, 0x2A, 0x04) },
    { UA_UNREGISTERED, SENSE(6, 0x2A, 0x05) },
};

uint32_t
attention_sense(uint32_t bit)
{
    size_t i = 0;

    while (i + 1 < sizeof attentions / sizeof attentions[0] &&
           attentions[i].bit != bit)
        i++;
    return attentions[i].sense;
}

/* Takes the first pending condition for reporting; false: there is none. */
bool
attention_take(struct vscsi_nexus *nexus, uint32_t *out_sense,
               uint32_t *out_number)
{
    uint64_t word =
        atomic_load_explicit(&nexus->attention, memory_order_acquire);
    uint32_t pending, number;

    do {
        pending = (uint32_t) word;
        if (pending == 0)
            return false;
        number = (uint32_t) (word >> 32) + 1;
        number += number == 0; /* 0 means "do not compare" */
    } while (!atomic_compare_exchange_weak_explicit(
        &nexus->attention, &word,
        (uint64_t) number << 32 | (pending & (pending - 1)),
        memory_order_acq_rel, memory_order_acquire));
    *out_sense = attention_sense(pending & -pending);
    *out_number = number;
    return true;
}

/* One more was reported that was never pending: a fault rule made it up. */
void
attention_count(struct vscsi_nexus *nexus)
{
    uint64_t word = atomic_load(&nexus->attention), next;

    do
        next = word >> 32 == UINT32_MAX ? UINT64_C(1) << 32 | (uint32_t) word
                                        : word + (UINT64_C(1) << 32);
    while (!atomic_compare_exchange_weak(&nexus->attention, &word, next));
}

struct vscsi_nexus *
vscsi_nexus_new(struct vscsi_drive *drive, vscsi_event_fn *event, void *context)
{
    struct vscsi_nexus *nexus = aligned_alloc(64, sizeof *nexus);

    if (nexus == NULL)
        return NULL;
    memset(nexus, 0, sizeof *nexus);
    nexus->drive = drive;
    nexus->event = event;
    nexus->context = context;
    atomic_store(&nexus->attention, UA_RESET);
    if (drive->library != NULL && !smc_nexus_new(nexus)) {
        free(nexus);
        return NULL;
    }
    pthread_mutex_lock(&drive->lock);
    nexus->next = drive->nexuses;
    drive->nexuses = nexus;
    pthread_mutex_unlock(&drive->lock);
    return nexus;
}

/* Not from the nexus's own event or done callback: it waits for them. */
void
vscsi_nexus_free(struct vscsi_nexus *nexus)
{
    struct vscsi_drive *drive;
    struct vscsi_nexus **at;

    if (nexus == NULL)
        return;
    drive = nexus->drive;
    fault_abort_nexus(nexus);
    if (drive->reservations != NULL) {
        gate_close(drive);
        reserve_forget(drive, nexus);
        gate_open(drive);
    }
    pthread_mutex_lock(&drive->lock);
    while (nexus->in_callback != 0)
        pthread_cond_wait(&drive->moved, &drive->lock);
    for (at = &drive->nexuses; *at != nexus;)
        at = &(*at)->next;
    *at = nexus->next;
    if (nexus->prevents)
        drive->prevents--;
    drive->commands_gone += atomic_load(&nexus->commands);
    pthread_mutex_unlock(&drive->lock);
    smc_nexus_free(nexus);
    free(nexus);
}
