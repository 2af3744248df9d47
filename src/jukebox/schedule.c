/*
 * schedule.c - which cartridge goes where next: chosen, then given room
 *
 * Two questions, asked one after the other: who is next (age, then the number
 * of those who wait, then how near it is), and which drive it gets.
 *
 * SPDX-License-Identifier: MIT
 */
#include "jukebox/schedule.h"

void
jb_policy_default(struct jb_policy *policy)
{
    *policy = (struct jb_policy){ .residence_ms = 10000,
                                  .idle_ms = 2000,
                                  .age_ms = 120000 };
}

static uint64_t
later(uint64_t ms, uint64_t by)
{
    return ms > JB_NEVER - by ? JB_NEVER : ms + by;
}

static bool
aged(const struct jb_cartridge *cartridge, const struct jb_policy *policy,
     uint64_t now_ms)
{
    return cartridge->waiting > 0 &&
           now_ms >= later(cartridge->since_ms, policy->age_ms);
}

/* --- who is next ---------------------------------------------------------------- */

static uint32_t
distance(const struct jb_world *world, const struct jb_cartridge *cartridge)
{
    return cartridge->at > world->position ? cartridge->at - world->position
                                           : world->position - cartridge->at;
}

static bool
can_be_loaded(const struct jb_cartridge *cartridge)
{
    return cartridge->place == JB_SLOT && !cartridge->marked &&
           !cartridge->cleaning &&
           (cartridge->waiting > 0 || cartridge->unknown);
}

/* Is a wanted more than b?  Both can be loaded. */
static bool
comes_before(const struct jb_world *world, const struct jb_policy *policy,
             uint64_t now_ms, const struct jb_cartridge *a,
             const struct jb_cartridge *b)
{
    bool old_a = aged(a, policy, now_ms), old_b = aged(b, policy, now_ms);

    if (old_a != old_b)
        return old_a;
    if (old_a)
        return a->since_ms < b->since_ms;
    if (a->waiting != b->waiting)
        return a->waiting > b->waiting;
    if (distance(world, a) != distance(world, b))
        return distance(world, a) < distance(world, b);
    return a->since_ms < b->since_ms;
}

static uint32_t
choose_wanted(const struct jb_world *world, const struct jb_policy *policy,
              uint64_t now_ms)
{
    uint32_t best = JB_NONE;

    for (uint32_t i = 0; i < world->cartridge_count; i++) {
        const struct jb_cartridge *cartridge = &world->cartridges[i];

        if (can_be_loaded(cartridge) &&
            (best == JB_NONE || comes_before(world, policy, now_ms, cartridge,
                                             &world->cartridges[best])))
            best = i;
    }
    return best;
}

/* --- room for it ------------------------------------------------------------------ */

static bool
may_be_used(const struct jb_drive *drive)
{
    return !drive->aside && !drive->pinned && !drive->busy;
}

static bool
is_empty(const struct jb_drive *drive)
{
    return drive->cartridge == JB_NONE && !drive->full;
}

/* Nobody uses it from then on, as far as is known now. */
static uint64_t
idle_from(const struct jb_cartridge *cartridge, const struct jb_policy *policy)
{
    if (cartridge->running > 0 || cartridge->waiting > 0)
        return JB_NEVER;
    return later(cartridge->used_ms, policy->idle_ms);
}

/* When a cartridge may leave its drive for `wanted`. */
static uint64_t
may_leave_from(const struct jb_cartridge *in, const struct jb_policy *policy,
               const struct jb_cartridge *wanted, uint64_t now_ms)
{
    uint64_t idle = idle_from(in, policy), from;
    uint64_t resident = later(in->loaded_ms, policy->residence_ms);

    /* For a mere look nobody is disturbed.  One that is used gives way to as
     * many, or to who has waited long enough. */
    if (wanted->waiting == 0) {
        resident = JB_NEVER;
    } else if (!aged(wanted, policy, now_ms) &&
               wanted->waiting < in->running + in->waiting) {
        uint64_t old = later(wanted->since_ms, policy->age_ms);

        resident = old > resident ? old : resident;
    }
    from = idle < resident ? idle : resident;
    return in->stay_ms > from ? in->stay_ms : from;
}

/* Of two that may leave: is a the better one to lose? */
static bool
leaves_before(const struct jb_cartridge *a, const struct jb_cartridge *b,
              const struct jb_policy *policy, uint64_t now_ms)
{
    bool idle_a = idle_from(a, policy) <= now_ms;
    bool idle_b = idle_from(b, policy) <= now_ms;

    if (idle_a != idle_b)
        return idle_a;
    if (a->dirty != b->dirty)
        return b->dirty;
    return a->used_ms < b->used_ms;
}

/* The others first, whatever is in them, when it failed in this one. */
static bool
is_avoided(const struct jb_world *world, const struct jb_cartridge *wanted,
           uint32_t drive)
{
    if (!wanted->failed || wanted->failed_in != drive)
        return false;
    for (uint32_t i = 0; i < world->drive_count; i++)
        if (i != drive && !world->drives[i].aside && !world->drives[i].pinned)
            return true;
    return false;
}

/* A drive for `wanted`: empty, or with something that may leave now; JB_NONE
 * with the time at which there may be one. */
static uint32_t
choose_drive(const struct jb_world *world, const struct jb_policy *policy,
             const struct jb_cartridge *wanted, uint64_t now_ms,
             uint64_t *out_until_ms)
{
    const struct jb_cartridge *in, *best_in = NULL;
    uint32_t best = JB_NONE;
    uint64_t from;

    *out_until_ms = JB_NEVER;
    for (uint32_t i = 0; i < world->drive_count; i++) {
        const struct jb_drive *drive = &world->drives[i];

        if (!may_be_used(drive) || is_avoided(world, wanted, i))
            continue;
        if (is_empty(drive))
            return i;
        if (drive->cartridge == JB_NONE)
            continue;
        in = &world->cartridges[drive->cartridge];
        from = may_leave_from(in, policy, wanted, now_ms);
        if (from > now_ms) {
            if (from < *out_until_ms)
                *out_until_ms = from;
        } else if (best_in == NULL ||
                   leaves_before(in, best_in, policy, now_ms)) {
            best = i;
            best_in = in;
        }
    }
    return best;
}

static bool
is_free(const struct jb_world *world, uint32_t slot)
{
    return slot < world->slot_count && !world->slot_full[slot];
}

uint32_t
jb_slot_for(const struct jb_world *world, uint32_t cartridge)
{
    uint32_t home = world->cartridges[cartridge].home, best = JB_NONE;
    uint32_t near = home < world->slot_count ? home : world->position, d;
    uint32_t best_d = JB_NONE;

    if (is_free(world, home))
        return home;
    for (uint32_t slot = 0; slot < world->slot_count; slot++) {
        d = slot > near ? slot - near : near - slot;
        if (is_free(world, slot) && d < best_d) {
            best = slot;
            best_d = d;
        }
    }
    return best;
}

/* --- the decision ------------------------------------------------------------------- */

static struct jb_motion
rest(uint64_t until_ms)
{
    return (struct jb_motion){ JB_REST, JB_NONE, JB_NONE, JB_NONE, until_ms };
}

static struct jb_motion
empty_drive(const struct jb_world *world, uint32_t drive)
{
    uint32_t cartridge = world->drives[drive].cartridge;
    uint32_t slot = jb_slot_for(world, cartridge);

    if (slot == JB_NONE)
        return rest(JB_NEVER);
    return (struct jb_motion){ JB_UNLOAD, cartridge, drive, slot, 0 };
}

static uint32_t
cleaning_cartridge(const struct jb_world *world)
{
    for (uint32_t i = 0; i < world->cartridge_count; i++) {
        const struct jb_cartridge *cartridge = &world->cartridges[i];

        if (cartridge->cleaning && !cartridge->marked &&
            cartridge->place == JB_SLOT)
            return i;
    }
    return JB_NONE;
}

/* A drive that asked for it is cleaned as soon as it is not in use. */
static bool
clean_one(const struct jb_world *world, const struct jb_policy *policy,
          uint64_t now_ms, struct jb_motion *out_motion)
{
    uint32_t cleaner = cleaning_cartridge(world);

    for (uint32_t i = 0; cleaner != JB_NONE && i < world->drive_count; i++) {
        const struct jb_drive *drive = &world->drives[i];
        const struct jb_cartridge *in;

        if (!drive->wants_cleaning || !may_be_used(drive))
            continue;
        if (is_empty(drive)) {
            *out_motion =
                (struct jb_motion){ JB_CLEAN, cleaner, i,
                                    world->cartridges[cleaner].at, 0 };
            return true;
        }
        if (drive->cartridge == JB_NONE)
            continue;
        in = &world->cartridges[drive->cartridge];
        if (idle_from(in, policy) <= now_ms && in->stay_ms <= now_ms) {
            *out_motion = empty_drive(world, i);
            return out_motion->action == JB_UNLOAD;
        }
    }
    return false;
}

/* A cleaning cartridge that has done its work makes room for media. */
static bool
return_cleaner(const struct jb_world *world, struct jb_motion *out_motion)
{
    for (uint32_t i = 0; i < world->drive_count; i++) {
        const struct jb_drive *drive = &world->drives[i];

        if (!may_be_used(drive) || drive->cartridge == JB_NONE ||
            !world->cartridges[drive->cartridge].cleaning)
            continue;
        *out_motion = empty_drive(world, i);
        return out_motion->action == JB_UNLOAD;
    }
    return false;
}

struct jb_motion
jb_next(const struct jb_world *world, const struct jb_policy *policy,
        uint64_t now_ms)
{
    struct jb_motion motion;
    uint32_t wanted, drive;
    uint64_t until_ms;

    if (world->door_open)
        return rest(JB_NEVER);
    if (return_cleaner(world, &motion) ||
        clean_one(world, policy, now_ms, &motion))
        return motion;
    wanted = choose_wanted(world, policy, now_ms);
    if (wanted == JB_NONE)
        return rest(JB_NEVER);
    drive = choose_drive(world, policy, &world->cartridges[wanted], now_ms,
                         &until_ms);
    if (drive == JB_NONE)
        return rest(until_ms);
    if (!is_empty(&world->drives[drive]))
        return empty_drive(world, drive);
    return (struct jb_motion){ JB_LOAD, wanted, drive,
                               world->cartridges[wanted].at, 0 };
}

enum jb_obstacle
jb_obstacle(const struct jb_world *world, uint32_t cartridge, uint64_t now_ms)
{
    const struct jb_cartridge *wanted = &world->cartridges[cartridge];
    bool drives = false, room = false;

    if (wanted->place == JB_OUTSIDE)
        return JB_NOT_HERE;
    if (world->door_open)
        return JB_DOOR_OPEN;
    if (wanted->marked)
        return JB_MARKED;
    for (size_t i = 0; i < world->drive_count; i++) {
        const struct jb_drive *drive = &world->drives[i];

        if (drive->aside || drive->pinned)
            continue;
        drives = true;
        room = room || is_empty(drive) || drive->busy ||
               (drive->cartridge != JB_NONE &&
                world->cartridges[drive->cartridge].stay_ms <= now_ms);
    }
    if (!drives)
        return JB_NO_DRIVE;
    return room ? JB_ABLE : JB_STUCK;
}
