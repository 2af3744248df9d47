/*
 * volume_state.c - a volume's state, and the only routine that changes it
 *
 *               fs_mount           worker                 person: cancel
 *   UNMOUNTED -----+      +--> VERIFYING ---> ABSENT <-----> CANCELLED
 *                  |      |       |  ^        ^  ^  \           |
 *                  v      |       |  |        |  |   \ fs_mount |
 *               REPLAYING | <-----+--|--------|--|----+---------+
 *                |  |  ^  |          |        |  |
 *       fs_resume|  |  |  +-- MOUNTED --------+  |   (no medium, another one)
 *                |  |  |       ^   |  ^          |
 *                |  +--|-------+   v  |          |
 *                |     |        EJECTING --------+   (the drive is open)
 *                v     |
 *               CHANGED ---> ABSENT          any ---> DISMOUNTED, for good
 *
 * Each arrow, who takes it and when, is a row of arrows.def.  Only while
 * MOUNTED requests go down.  In CHANGED, ABSENT and CANCELLED they are asked
 * about, in the others they are posted.  The log changes while MOUNTED or
 * EJECTING alone, but for who holds resume_mutex.
 *
 * A decision names the generation that it was made for and is void once the
 * volume was settled anew: what drive A said late must not undo what was found
 * in drive B.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"

const char *
fs_state_name(enum vol_state state)
{
    static const char *const names[VOL_STATES] = {
        [VOL_UNMOUNTED] = "unmounted",
        [VOL_MOUNTED] = "mounted",
        [VOL_VERIFYING] = "verifying",
        [VOL_EJECTING] = "ejecting",
        [VOL_ABSENT] = "absent",
        [VOL_REPLAYING] = "replaying",
        [VOL_CHANGED] = "changed elsewhere",
        [VOL_CANCELLED] = "cancelled",
        [VOL_DISMOUNTED] = "dismounted",
    };

    return state < VOL_STATES ? names[state] : "?";
}

static const struct fs_arrow arrows[] = {
#define FS_ARROW(from, to, who, when) { from, to, who, when },
#include "fs/arrows.def"
#undef FS_ARROW
};

static const BOOLEAN allowed[VOL_STATES][VOL_STATES] = {
#define FS_ARROW(from, to, who, when) [from][to] = TRUE,
#include "fs/arrows.def"
#undef FS_ARROW
};

const struct fs_arrow *
fs_arrows(size_t *out_count)
{
    *out_count = RTL_NUMBER_OF(arrows);
    return arrows;
}

/* --- what holds in each state, looked at where NDEBUG is not defined --------- */

static BOOLEAN
is_in_a_drive(enum vol_state state)
{
    return state == VOL_MOUNTED || state == VOL_VERIFYING ||
           state == VOL_EJECTING || state == VOL_REPLAYING ||
           state == VOL_CHANGED;
}

BOOLEAN
fs_volume_check(const struct volume *volume)
{
    enum vol_state state = volume->state;

    if (state >= VOL_STATES)
        return FALSE;
    if (is_in_a_drive(state) &&
        (volume->real == NULL || volume->target == NULL))
        return FALSE;
    switch (state) {
    case VOL_UNMOUNTED:
        return volume->generation == 0 && log_empty(&volume->log);
    case VOL_MOUNTED:
    case VOL_EJECTING:
        return volume->reason == STATUS_SUCCESS;
    case VOL_REPLAYING:
        return volume->reason == STATUS_SUCCESS &&
               (volume->witness != NULL || volume->log.buckets != NULL ||
                volume->doubted);
    case VOL_ABSENT:
    case VOL_VERIFYING:
        return !NT_SUCCESS(volume->reason);
    case VOL_CANCELLED:
        return !NT_SUCCESS(volume->reason) && log_empty(&volume->log);
    case VOL_CHANGED:
        return volume->changed_elsewhere &&
               volume->reason == STATUS_WRONG_VOLUME;
    case VOL_DISMOUNTED:
        return volume->gone != STATUS_SUCCESS;
    case VOL_STATES:
        break;
    }
    return FALSE;
}

#ifndef NDEBUG
/* For the test that wants to see each arrow taken.  Atomic. */
ULONG fs_arrows_taken[VOL_STATES][VOL_STATES];

static void
note_arrow(const struct volume *volume, enum vol_state from, enum vol_state to)
{
    __atomic_add_fetch(&fs_arrows_taken[from][to], 1, __ATOMIC_RELAXED);
    NT_ASSERT(fs_volume_check(volume));
}
#endif

/* --- the setter ---------------------------------------------------------------- */

BOOLEAN
fs_volume_move_locked(struct volume *volume, enum vol_state to, NTSTATUS why,
                      BOOLEAN settles)
{
    enum vol_state from = volume->state;

    if (to >= VOL_STATES || !allowed[from][to])
        return FALSE;
    if (from != to) {
        volume->since_ms = clock_coarse_ms();
        TRACE(TRACE_FS, "volume %s: %s -> %s (%s)", volume->id.label,
              fs_state_name(from), fs_state_name(to), status_name(why));
    }
    __atomic_store_n(&volume->state, to, __ATOMIC_RELEASE);
    if (to == VOL_REPLAYING)
        KeClearEvent(&volume->not_replaying);
    else if (from == VOL_REPLAYING)
        KeSetEvent(&volume->not_replaying, 0, FALSE);
    volume->reason = volume->cause = why;
    if (to == VOL_MOUNTED && volume->as_it_is)
        volume->taken_as_it_is = TRUE;
    if (settles)
        __atomic_store_n(&volume->generation, volume->generation + 1,
                         __ATOMIC_RELEASE);
#ifndef NDEBUG
    note_arrow(volume, from, to);
#endif
    return TRUE;
}

static BOOLEAN
set_for(struct volume *volume, ULONG generation, enum vol_state to,
        const NTSTATUS why[2], BOOLEAN *out_changed)
{
    enum vol_state from;
    NTSTATUS before;
    BOOLEAN ok;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    from = volume->state;
    before = volume->reason;
    /* Beginning something, or giving up, decides nothing about a drive. */
    ok = volume->generation == generation &&
         fs_volume_move_locked(volume, to, why[0],
                               to != VOL_VERIFYING && to != VOL_EJECTING &&
                                   to != VOL_CANCELLED);
    if (ok)
        volume->cause = why[1];
    KeReleaseSpinLock(&volume->lock, irql);
    *out_changed = ok && (from != to || before != why[0]);
    return ok;
}

BOOLEAN
fs_volume_set(struct volume *volume, ULONG generation, enum vol_state to,
              NTSTATUS why, BOOLEAN *out_changed)
{
    return set_for(volume, generation, to, (NTSTATUS[]){ why, why },
                   out_changed);
}

void NTAPI
fs_volume_tell(struct volume *volume, enum vol_state state, NTSTATUS why)
{
    BOOLEAN away = fs_state_away(state), news = TRUE;
    KIRQL irql;

    KeSetEvent(&volume->idle, 0, FALSE);
    KeAcquireSpinLock(&volume->lock, &irql);
    if (state == VOL_MOUNTED)
        news = volume->told_in != volume->real;
    else if (away)
        news = !volume->told_away;
    if (state == VOL_MOUNTED)
        volume->told_in = volume->real;
    else if (away || state == VOL_CHANGED)
        volume->told_in = NULL;
    if (state == VOL_MOUNTED || state == VOL_CHANGED || away)
        volume->told_away = away;
    KeReleaseSpinLock(&volume->lock, irql);
    TRACE(TRACE_FS, "volume %s: told %s (%s)", volume->id.label,
          fs_state_name(state), status_name(why));
    if (fs.observer != NULL)
        fs.observer(fs.observer_context, volume, state, news);
}

BOOLEAN NTAPI
fs_volume_change(struct volume *volume, ULONG generation, enum vol_state to,
                 NTSTATUS why)
{
    BOOLEAN changed;
    BOOLEAN ok = fs_volume_set(volume, generation, to, why, &changed);

    if (changed)
        fs_volume_tell(volume, to, why);
    return ok;
}

void
fs_volume_lose(struct volume *volume, ULONG generation, NTSTATUS why,
               NTSTATUS cause)
{
    BOOLEAN changed;

    set_for(volume, generation, VOL_ABSENT, (NTSTATUS[]){ why, cause },
            &changed);
    if (changed)
        fs_volume_tell(volume, VOL_ABSENT, why);
}
