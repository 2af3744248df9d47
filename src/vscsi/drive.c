/*
 * drive.c - the drive itself: its gate and its mechanism
 *
 * Every command passes the gate; whoever changes what commands rely on closes
 * it, which waits for the commands that run (never longer than their reads and
 * writes of the image) and holds back new ones.  Events are raised after it is
 * open again.  Read drive_state.c first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vscsi/vscsi_internal.h"

/* --- the gate ------------------------------------------------------------- */

void
gate_signal(struct vscsi_drive *drive)
{
    pthread_mutex_lock(&drive->lock);
    pthread_cond_broadcast(&drive->moved);
    pthread_mutex_unlock(&drive->lock);
}

static bool
gate_is_closed(struct vscsi_drive *drive)
{
    return (atomic_load_explicit(&drive->gate, memory_order_acquire) &
            GATE_CLOSED) != 0;
}

/* The caller has counted itself in already, and found the gate closed. */
void
gate_wait_enter(struct vscsi_drive *drive)
{
    do {
        gate_leave(drive);
        pthread_mutex_lock(&drive->lock);
        while (gate_is_closed(drive))
            pthread_cond_wait(&drive->moved, &drive->lock);
        pthread_mutex_unlock(&drive->lock);
    } while (atomic_fetch_add_explicit(&drive->gate, 1, memory_order_acquire) &
             GATE_CLOSED);
}

void
gate_close(struct vscsi_drive *drive)
{
    pthread_mutex_lock(&drive->lock);
    while (gate_is_closed(drive))
        pthread_cond_wait(&drive->moved, &drive->lock);
    atomic_fetch_or_explicit(&drive->gate, GATE_CLOSED, memory_order_acq_rel);
    while (atomic_load_explicit(&drive->gate, memory_order_acquire) !=
           GATE_CLOSED)
        pthread_cond_wait(&drive->moved, &drive->lock);
    pthread_mutex_unlock(&drive->lock);
}

void
gate_open(struct vscsi_drive *drive)
{
    pthread_mutex_lock(&drive->lock);
    atomic_fetch_and_explicit(&drive->gate, ~GATE_CLOSED, memory_order_release);
    pthread_cond_broadcast(&drive->moved);
    pthread_mutex_unlock(&drive->lock);
}

/* --- telling the nexuses -------------------------------------------------- */

void
drive_attention_all(struct vscsi_drive *drive, uint32_t bits,
                    const struct vscsi_nexus *except)
{
    assert(gate_is_closed(drive));
    pthread_mutex_lock(&drive->lock);
    for (struct vscsi_nexus *at = drive->nexuses; at != NULL; at = at->next)
        if (at != except)
            atomic_fetch_or_explicit(&at->attention, bits,
                                     memory_order_release);
    pthread_mutex_unlock(&drive->lock);
}

/* A removal makes what was there to tell of the old medium pointless. */
static void
gesn_all(struct vscsi_drive *drive, unsigned bits)
{
    pthread_mutex_lock(&drive->lock);
    for (struct vscsi_nexus *at = drive->nexuses; at != NULL; at = at->next) {
        if (bits & GESN_REMOVAL)
            at->gesn = 0;
        at->gesn |= bits;
    }
    pthread_mutex_unlock(&drive->lock);
}

/* A nexus whose callback runs stays in the list: vscsi_nexus_free waits. */
void
drive_raise(struct vscsi_drive *drive, unsigned events)
{
    if (events == 0)
        return;
    pthread_mutex_lock(&drive->lock);
    for (struct vscsi_nexus *at = drive->nexuses; at != NULL; at = at->next) {
        if (at->event == NULL)
            continue;
        at->in_callback++;
        pthread_mutex_unlock(&drive->lock);
        for (unsigned event = 0; event <= VSCSI_EVENT_EJECT_REQUEST; event++)
            if (events & 1u << event)
                at->event(at->context, (enum vscsi_event) event);
        pthread_mutex_lock(&drive->lock);
        at->in_callback--;
        pthread_cond_broadcast(&drive->moved);
    }
    pthread_mutex_unlock(&drive->lock);
}

void
drive_tell_all(struct vscsi_drive *drive, uint32_t attentions)
{
    gate_close(drive);
    drive_attention_all(drive, attentions, NULL);
    gate_open(drive);
}

/* --- media come and go; the gate is closed -------------------------------- */

static unsigned
become_ready(struct vscsi_drive *drive)
{
    uint16_t profile = mmc_profile(drive->medium);
    unsigned gesn = GESN_NEW_MEDIA;
    uint32_t cleaner;

    if (drive->tape != NULL && (cleaner = tape_cleaner(drive)) != 0) {
        drive->not_ready = cleaner;
        return 0;
    }
    drive_set_state(drive, DRIVE_READY, drive->medium);
    if (drive->tape != NULL)
        tape_ready(drive);
    drive_attention_all(drive, UA_MEDIUM, NULL);
    /* Other features than with the last disc. */
    if (drive->profile != 0 && drive->profile != profile)
        gesn |= GESN_OPERATIONAL;
    drive->profile = profile;
    gesn_all(drive, gesn);
    return 1u << VSCSI_EVENT_READY;
}

static void
load_fired(struct timer *timer)
{
    struct vscsi_drive *drive =
        (struct vscsi_drive *) ((char *) timer -
                                offsetof(struct vscsi_drive, load));
    unsigned events = 0;

    /* What was loading may be gone, or another medium be loading by now. */
    gate_close(drive);
    if (drive->state == DRIVE_LOADING && timer_now_ns() < drive->ready_at_ns)
        ; /* of an earlier medium */
    else if (drive->state == DRIVE_LOADING && drive->tape != NULL &&
             tape_cleaner(drive) != 0)
        (void) drive_eject(drive, &events);
    else if (drive->state == DRIVE_LOADING)
        events = become_ready(drive);
    else if (drive->cleaning && drive->medium == NULL &&
             timer_now_ns() >= drive->ready_at_ns)
        drive->not_ready = drive_state_sense(drive->type, drive->state);
    gate_open(drive);
    drive_raise(drive, events);
}

/* Without a timer thread the medium is ready at once. */
static unsigned
begin_loading(struct vscsi_drive *drive, struct medium *medium, uint32_t ms)
{
    uint32_t cleaner = 0;

    drive_set_state(drive, DRIVE_LOADING, medium);
    if (drive->tape != NULL && (cleaner = tape_cleaner(drive)) != 0) {
        drive->not_ready = cleaner;
        ms = tape_clean_ms(drive);
        if (ms == 0) { /* stays until somebody takes it */
            drive->ready_at_ns = TIMER_NEVER;
            return 0;
        }
    }
    drive->ready_at_ns = timer_now_ns() + ms * UINT64_C(1000000);
    if (ms == 0 || timer_add(&drive->load, drive->ready_at_ns, load_fired))
        return become_ready(drive);
    return 0;
}

unsigned
drive_take_in(struct vscsi_drive *drive, struct medium *medium)
{
    if (drive->tape != NULL)
        tape_in(drive, medium);
    return 1u << VSCSI_EVENT_INSERTED |
           begin_loading(drive, medium, drive->load_ms);
}

/* What only the cache held is lost. */
unsigned
drive_take_out(struct vscsi_drive *drive)
{
    struct medium *medium = drive->medium;

    if (medium == NULL)
        return 0;
    timer_forget(&drive->load);
    mmc_speed_forget(drive, false);
    if (drive->cache != NULL)
        cache_drop(drive->cache);
    if (drive->tape != NULL)
        tape_out(drive);
    drive_set_state(
        drive, drive->type == VSCSI_CDROM ? DRIVE_OPEN : DRIVE_EMPTY, NULL);
    medium_close(medium);
    gesn_all(drive, GESN_REMOVAL);
    return 1u << VSCSI_EVENT_REMOVED;
}

unsigned
drive_not_ready_for(struct vscsi_drive *drive, uint32_t ms)
{
    if (drive->medium == NULL)
        return 0;
    return begin_loading(drive, drive->medium, ms);
}

static struct medium_want
want_of(const struct vscsi_drive *drive, const char *image)
{
    struct medium_want want = {
        .image = image,
        .drive = drive->name,
        .block_bytes = 1u << drive->block_shift,
        .read_only = drive->write_protect || drive->type == VSCSI_CDROM,
        .tape = drive->tape != NULL,
        .cleaning_uses = drive->tape != NULL ? tape_cleaning_uses(drive) : 0,
    };

    return want;
}

/* An ejected disc lies on the open tray, free for other drives meanwhile; a
 * cartridge in the drive's mouth, until somebody takes it. */
uint32_t
drive_eject(struct vscsi_drive *drive, unsigned *out_events)
{
    char *path = NULL;
    uint32_t sense;

    if (drive->medium == NULL) {
        if (drive->type == VSCSI_CDROM && drive->state != DRIVE_OPEN)
            drive_set_state(drive, DRIVE_OPEN, NULL);
        return 0;
    }
    sense = drive_flush(drive);
    if (sense != 0)
        return sense;
    if (drive->type == VSCSI_CDROM || drive->type == VSCSI_TAPE)
        path = strdup(drive->medium->path);
    *out_events |= drive_take_out(drive);
    free(drive->tray_image);
    drive->tray_image = path;
    return 0;
}

/* When somebody took the disc from the tray, it closes empty. */
unsigned
drive_close_tray(struct vscsi_drive *drive)
{
    struct medium_want want = want_of(drive, drive->tray_image);
    struct medium *medium = NULL;

    if (drive->state != DRIVE_OPEN &&
        (drive->tape == NULL || drive->state != DRIVE_EMPTY))
        return 0;
    if (want.image != NULL)
        (void) medium_open(&want, &medium, NULL, 0);
    free(drive->tray_image);
    drive->tray_image = NULL;
    if (medium != NULL)
        return drive_take_in(drive, medium);
    if (drive->state == DRIVE_OPEN)
        drive_set_state(drive, DRIVE_EMPTY, NULL);
    return 0;
}

/* --- what a hand does ----------------------------------------------------- */

int
vscsi_insert(struct vscsi_drive *drive, const char *image, char *out_text,
             size_t text_max)
{
    struct medium_want want = want_of(drive, image);
    struct medium *medium = NULL;
    unsigned events = 0;
    int error = 0;
    bool full;

    if (drive->library != NULL) {
        if (out_text != NULL && text_max != 0)
            (void) snprintf(out_text, text_max,
                            "%s is a robot: media go into its slots and "
                            "drives",
                            drive->name);
        return -EINVAL;
    }
    pthread_mutex_lock(&drive->lock);
    full = drive->medium != NULL;
    pthread_mutex_unlock(&drive->lock);
    if (!full)
        error = medium_open(&want, &medium, out_text, text_max);
    if (error != 0)
        return error;
    if (!full) {
        gate_close(drive);
        full = drive->medium != NULL;
        if (!full) {
            free(drive->tray_image);
            drive->tray_image = NULL;
            events = drive_take_in(drive, medium);
        }
        gate_open(drive);
    }
    if (full) {
        medium_close(medium);
        if (out_text != NULL && text_max != 0)
            (void) snprintf(out_text, text_max,
                            "drive %s already holds a "
                            "medium; image %s was not inserted",
                            drive->name, image);
        return -EBUSY;
    }
    drive_raise(drive, events);
    return 0;
}

/* A robot does by itself what a hand or START STOP UNIT would do before. */
uint32_t
drive_robot_unload(struct vscsi_drive *drive, bool force)
{
    unsigned events = 0;
    uint32_t sense = 0;

    gate_close(drive);
    if (drive->medium != NULL)
        sense = drive->prevents != 0 && !force ? SENSE_PREVENTED
                                               : drive_flush(drive);
    if (sense == 0 || force) {
        events = drive_take_out(drive);
        free(drive->tray_image);
        drive->tray_image = NULL;
    }
    gate_open(drive);
    drive_raise(drive, events);
    return sense;
}

void
drive_clean(struct vscsi_drive *drive, uint32_t sense, uint32_t ms)
{
    gate_close(drive);
    if (drive->medium == NULL) {
        if (drive->tape != NULL && sense != 0)
            tape_cleaned(drive, (sense & 0xff) == 0x13);
        drive->not_ready =
            sense != 0 ? sense : drive_state_sense(drive->type, drive->state);
        drive->cleaning = sense != 0 && ms != 0;
        drive->ready_at_ns = timer_now_ns() + ms * UINT64_C(1000000);
        if (drive->cleaning)
            (void) timer_add(&drive->load, drive->ready_at_ns, load_fired);
        else
            timer_forget(&drive->load);
    }
    gate_open(drive);
}

int
vscsi_yank(struct vscsi_drive *drive)
{
    unsigned events;
    bool taken;

    gate_close(drive);
    events = drive_take_out(drive);
    taken = events != 0;
    if (drive->tape != NULL && drive->tray_image != NULL) {
        free(drive->tray_image); /* it lay in the mouth */
        drive->tray_image = NULL;
        taken = true;
    }
    gate_open(drive);
    drive_raise(drive, events);
    return taken ? 0 : -ENOENT;
}

int
vscsi_press_eject(struct vscsi_drive *drive)
{
    unsigned events = 0;
    uint32_t sense = 0;

    gate_close(drive);
    if (drive->prevents != 0) {
        drive_attention_all(drive, UA_EJECT, NULL);
        gesn_all(drive, GESN_EJECT_REQUEST);
        events = 1u << VSCSI_EVENT_EJECT_REQUEST;
    } else {
        sense = drive_eject(drive, &events);
    }
    gate_open(drive);
    drive_raise(drive, events);
    return sense == 0 ? 0 : -EIO;
}

void
vscsi_reset(struct vscsi_drive *drive)
{
    fault_abort_drive(drive);
    gate_close(drive);
    pthread_mutex_lock(&drive->lock);
    drive->prevents = 0;
    mmc_speed_forget(drive, true);
    for (struct vscsi_nexus *at = drive->nexuses; at != NULL; at = at->next)
        at->prevents = false;
    pthread_mutex_unlock(&drive->lock);
    drive_attention_all(drive, UA_RESET, NULL);
    if (drive->reservations != NULL)
        reserve_reset(drive);
    if (drive->tape != NULL)
        tape_reset(drive);
    gate_open(drive);
}

/* --- life ----------------------------------------------------------------- */

static unsigned
shift_of(const struct vscsi_config *config)
{
    uint32_t bytes = config->block_bytes;

    if (bytes == 0)
        bytes = config->type == VSCSI_CDROM ? 2048 : 512;
    switch (config->type) {
    case VSCSI_CDROM:
        return bytes == 2048 ? 11 : 0;
    case VSCSI_FLOPPY:
        return bytes == 512 ? 9 : 0;
    case VSCSI_DISK:
        return bytes == 512 ? 9 : bytes == 2048 ? 11 : bytes == 4096 ? 12 : 0;
    case VSCSI_CHANGER:
    case VSCSI_TAPE:
        return 0;
    }
    return 0;
}

struct vscsi_drive *
vscsi_new(const struct vscsi_config *config)
{
    unsigned shift = shift_of(config);

    if (shift == 0 && config->type != VSCSI_TAPE) {
        errno = EINVAL;
        return NULL;
    }
    return drive_new(config, shift);
}

struct vscsi_drive *
drive_new(const struct vscsi_config *config, unsigned shift)
{
    const char *name = config->name != NULL ? config->name : "";
    size_t size = sizeof(struct vscsi_drive) + strlen(name) + 1;
    struct vscsi_drive *drive;

    drive = aligned_alloc(64, (size + 63) & ~(size_t) 63);
    if (drive == NULL)
        return NULL;
    memset(drive, 0, size);
    strcpy(drive->name, name);
    drive->type = config->type;
    drive->opcodes = config->type == VSCSI_CHANGER ? vscsi_smc_opcodes
                     : config->type == VSCSI_TAPE  ? vscsi_ssc_opcodes
                                                   : vscsi_opcodes;
    drive->block_shift = shift;
    drive->write_protect = config->write_protect;
    drive->load_ms = config->load_ms;
    drive->load.owner = drive;
    drive->state = DRIVE_EMPTY;
    drive->not_ready = drive_state_sense(drive->type, DRIVE_EMPTY);
    if (config->type == VSCSI_TAPE && !tape_new(drive, config)) {
        free(drive);
        return NULL;
    }
    if (config->cache_volatile && config->type != VSCSI_CDROM &&
        config->type != VSCSI_TAPE) {
        drive->cache = cache_new();
        drive->write_cache = drive->cache != NULL;
        if (drive->cache == NULL) {
            free(drive);
            return NULL;
        }
    }
    pthread_mutex_init(&drive->lock, NULL);
    pthread_cond_init(&drive->moved, NULL);
    pthread_mutex_init(&drive->fault_lock, NULL);
    timer_hold();
    return drive;
}

/* Switched off in an orderly way: the cache is written out first. */
void
vscsi_free(struct vscsi_drive *drive)
{
    if (drive == NULL)
        return;
    assert(drive->nexuses == NULL);
    vscsi_fault_clear(drive);
    gate_close(drive);
    if (drive->medium != NULL)
        (void) drive_flush(drive);
    (void) drive_take_out(drive);
    gate_open(drive);
    timer_quiesce(drive);
    cache_free(drive->cache);
    tape_free(drive->tape);
    reserve_free(drive->reservations);
    free(drive->tray_image);
    pthread_mutex_destroy(&drive->fault_lock);
    pthread_cond_destroy(&drive->moved);
    pthread_mutex_destroy(&drive->lock);
    free(drive);
    timer_release();
}

void
vscsi_state(struct vscsi_drive *drive, struct vscsi_state *out_state)
{
    const struct medium *medium;

    memset(out_state, 0, sizeof *out_state);
    pthread_mutex_lock(&drive->lock);
    medium = drive->medium;
    out_state->tray_open = drive->state == DRIVE_OPEN;
    out_state->ready = drive->state == DRIVE_READY;
    out_state->prevented = drive->prevents != 0;
    out_state->block_bytes = 1u << drive->block_shift;
    out_state->medium = medium != NULL;
    if (medium != NULL) {
        out_state->write_protected = drive_write_protected(drive);
        out_state->blocks = medium->blocks;
        (void) snprintf(out_state->image, sizeof out_state->image, "%s",
                        medium->path);
    }
    if (drive->tape != NULL)
        tape_state(drive, out_state);
    out_state->commands = drive->commands_gone;
    for (struct vscsi_nexus *at = drive->nexuses; at != NULL; at = at->next)
        out_state->commands +=
            atomic_load_explicit(&at->commands, memory_order_relaxed);
    pthread_mutex_unlock(&drive->lock);
}
