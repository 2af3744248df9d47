/*
 * sim.c - a library in numbers; see sim.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

uint32_t
sim_random(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t) ((*state >> 33) % below);
}

struct sim *
sim_new(size_t cartridges, size_t slots, size_t drives)
{
    struct sim *sim = calloc(1, sizeof *sim);
    bool *full = calloc(slots, sizeof *full);

    sim->world.cartridges = calloc(cartridges, sizeof *sim->world.cartridges);
    sim->world.drives = calloc(drives, sizeof *sim->world.drives);
    sim->drive_free_ms = calloc(drives, sizeof *sim->drive_free_ms);
    sim->ready_ms = calloc(drives, sizeof *sim->ready_ms);
    sim->serving = calloc(drives, sizeof *sim->serving);
    sim->world.cartridge_count = cartridges;
    sim->world.drive_count = drives;
    sim->world.slot_count = slots;
    sim->world.slot_full = full;
    jb_policy_default(&sim->policy);
    for (uint32_t i = 0; i < cartridges; i++) {
        sim->world.cartridges[i].place = JB_SLOT;
        sim->world.cartridges[i].at = sim->world.cartridges[i].home = i;
        full[i] = true;
    }
    for (size_t i = 0; i < drives; i++)
        sim->world.drives[i].cartridge = JB_NONE;
    return sim;
}

void
sim_free(struct sim *sim)
{
    free(sim->world.cartridges);
    free(sim->world.drives);
    free((void *) (uintptr_t) sim->world.slot_full);
    free(sim->drive_free_ms);
    free(sim->ready_ms);
    free(sim->serving);
    free(sim);
}

struct sim_request *
sim_trace(uint64_t seed, size_t count, uint32_t volumes, uint32_t gap_ms,
          uint32_t work_ms)
{
    struct sim_request *trace = calloc(count, sizeof *trace);
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t a = sim_random(&seed, volumes);
        uint32_t b = sim_random(&seed, volumes);

        at += sim_random(&seed, 2 * gap_ms + 1);
        trace[i].at_ms = at;
        /* The lower ones are wanted more often. */
        trace[i].volume = sim_random(&seed, 3) == 0 && b < a ? b : a;
        trace[i].work_ms = work_ms / 2 + sim_random(&seed, work_ms + 1);
    }
    return trace;
}

/* --- what requests do ------------------------------------------------------------ */

static uint32_t
drive_with(const struct sim *sim, uint32_t volume)
{
    const struct jb_cartridge *cartridge = &sim->world.cartridges[volume];

    return cartridge->place == JB_DRIVE &&
                   sim->ready_ms[cartridge->at] <= sim->now_ms
               ? cartridge->at
               : JB_NONE;
}

static void
count_waiting(struct sim *sim)
{
    for (size_t i = 0; i < sim->world.cartridge_count; i++) {
        sim->world.cartridges[i].waiting = 0;
        sim->world.cartridges[i].running = 0;
    }
    for (size_t i = 0; i < sim->arrived; i++) {
        struct sim_request *request = &sim->requests[i];
        struct jb_cartridge *cartridge =
            &sim->world.cartridges[request->volume];

        if (request->done)
            continue;
        if (cartridge->place == JB_DRIVE) {
            cartridge->running++;
        } else {
            if (cartridge->waiting++ == 0)
                cartridge->since_ms = request->at_ms;
        }
    }
}

static void
end_one(struct sim *sim, size_t drive)
{
    struct sim_request *request = &sim->requests[sim->serving[drive]];
    uint64_t waited = sim->drive_free_ms[drive] - request->at_ms;

    request->done = true;
    request->done_ms = sim->drive_free_ms[drive];
    sim->world.cartridges[request->volume].used_ms = request->done_ms;
    sim->serving[drive] = sim->count;
    sim->waited_ms += waited;
    if (waited > sim->longest_ms)
        sim->longest_ms = waited;
    sim->total_ms = request->done_ms;
}

/* First come first served: nothing is begun before what came before it. */
static bool
its_turn(const struct sim *sim, size_t n)
{
    for (size_t i = 0; sim->first_come && i < n; i++) {
        bool begun = sim->requests[i].done;

        for (size_t d = 0; d < sim->world.drive_count; d++)
            begun = begun || sim->serving[d] == i;
        if (!begun)
            return false;
    }
    return true;
}

static void
serve(struct sim *sim)
{
    for (size_t d = 0; d < sim->world.drive_count; d++)
        if (sim->serving[d] < sim->count &&
            sim->drive_free_ms[d] <= sim->now_ms)
            end_one(sim, d);
    while (sim->arrived < sim->count &&
           sim->requests[sim->arrived].at_ms <= sim->now_ms)
        sim->arrived++;
    for (size_t i = 0; i < sim->arrived; i++) {
        struct sim_request *request = &sim->requests[i];
        uint32_t drive = drive_with(sim, request->volume);

        if (request->done || drive == JB_NONE ||
            sim->serving[drive] < sim->count || !its_turn(sim, i))
            continue;
        sim->serving[drive] = i;
        sim->drive_free_ms[drive] = sim->now_ms + request->work_ms;
    }
    for (size_t d = 0; d < sim->world.drive_count; d++)
        sim->world.drives[d].busy = sim->ready_ms[d] > sim->now_ms;
    count_waiting(sim);
}

/* --- time --------------------------------------------------------------------------- */

static uint64_t
next_event(const struct sim *sim)
{
    uint64_t next = JB_NEVER;

    if (sim->arrived < sim->count)
        next = sim->requests[sim->arrived].at_ms;
    for (size_t d = 0; d < sim->world.drive_count; d++) {
        if (sim->serving[d] < sim->count && sim->drive_free_ms[d] < next)
            next = sim->drive_free_ms[d];
        if (sim->ready_ms[d] > sim->now_ms && sim->ready_ms[d] < next)
            next = sim->ready_ms[d];
    }
    return next;
}

static void
pass(struct sim *sim, uint64_t until_ms)
{
    while (sim->now_ms < until_ms) {
        uint64_t next = next_event(sim);

        sim->now_ms = next > sim->now_ms && next < until_ms ? next : until_ms;
        serve(sim);
    }
}

static void
travel(struct sim *sim, uint32_t slot)
{
    uint32_t way = slot > sim->world.position ? slot - sim->world.position
                                              : sim->world.position - slot;

    sim->motions++;
    sim->world.position = slot;
    pass(sim, sim->now_ms + sim->times.move_ms +
                  (uint64_t) way * sim->times.travel_ms);
}

static void
carry_out(struct sim *sim, const struct jb_motion *motion)
{
    struct jb_cartridge *cartridge = &sim->world.cartridges[motion->cartridge];
    struct jb_drive *drive = &sim->world.drives[motion->drive];
    bool *full = (bool *) (uintptr_t) sim->world.slot_full;

    if (motion->action == JB_UNLOAD) {
        /* What runs is let end. */
        if (sim->serving[motion->drive] < sim->count)
            pass(sim, sim->drive_free_ms[motion->drive]);
        cartridge->place = JB_OUTSIDE;
        pass(sim, sim->now_ms + sim->times.release_ms);
        travel(sim, motion->slot);
        drive->cartridge = JB_NONE;
        cartridge->place = JB_SLOT;
        cartridge->at = motion->slot;
        full[motion->slot] = true;
    } else {
        travel(sim, motion->slot);
        full[motion->slot] = false;
        drive->cartridge = motion->cartridge;
        cartridge->place = JB_DRIVE;
        cartridge->at = motion->drive;
        sim->ready_ms[motion->drive] = sim->now_ms + sim->times.ready_ms;
        cartridge->loaded_ms = cartridge->used_ms =
            sim->ready_ms[motion->drive];
    }
    serve(sim);
}

/* --- the two disciplines --------------------------------------------------------------- */

/* The drive that lost its use the longest time ago, but for those that an
 * earlier request needs. */
static struct jb_motion
room_in_turn(const struct sim *sim, uint32_t volume, const bool *needed)
{
    struct jb_motion motion = { JB_REST, JB_NONE, JB_NONE, JB_NONE, JB_NEVER };
    const struct jb_world *world = &sim->world;

    for (uint32_t d = 0; d < world->drive_count; d++) {
        uint32_t in = world->drives[d].cartridge;

        if (in == JB_NONE)
            return (struct jb_motion){ JB_LOAD, volume, d,
                                       world->cartridges[volume].at, 0 };
        if (needed[d] || sim->serving[d] < sim->count || world->drives[d].busy)
            continue;
        if (motion.action == JB_REST ||
            world->cartridges[in].used_ms <
                world->cartridges[motion.cartridge].used_ms)
            motion = (struct jb_motion){ JB_UNLOAD, in, d,
                                         world->cartridges[in].home, 0 };
    }
    return motion;
}

/* Strictly in turn, but for the next medium, which is brought while the one
 * before gets ready. */
static struct jb_motion
first_come_first_served(const struct sim *sim)
{
    bool needed[16] = { false };

    for (size_t i = 0; i < sim->arrived; i++) {
        const struct sim_request *request = &sim->requests[i];
        const struct jb_cartridge *cartridge =
            &sim->world.cartridges[request->volume];

        if (request->done)
            continue;
        if (cartridge->place == JB_SLOT)
            return room_in_turn(sim, request->volume, needed);
        needed[cartridge->at] = true;
    }
    return (struct jb_motion){ JB_REST, JB_NONE, JB_NONE, JB_NONE, JB_NEVER };
}

bool
sim_run(struct sim *sim, struct sim_request *requests, size_t count)
{
    size_t done = 0;

    sim->requests = requests;
    sim->count = count;
    for (size_t d = 0; d < sim->world.drive_count; d++)
        sim->serving[d] = count;
    serve(sim);
    for (;;) {
        struct jb_motion motion =
            sim->first_come ? first_come_first_served(sim)
                            : jb_next(&sim->world, &sim->policy, sim->now_ms);
        uint64_t next = next_event(sim);

        if (sim->watch != NULL)
            sim->watch(sim, &motion);
        if (motion.action != JB_REST) {
            carry_out(sim, &motion);
            continue;
        }
        if (motion.until_ms < next)
            next = motion.until_ms;
        if (next == JB_NEVER)
            break;
        pass(sim, next > sim->now_ms ? next : sim->now_ms + 1);
    }
    for (size_t i = 0; i < count; i++)
        done += requests[i].done;
    return done == count;
}
