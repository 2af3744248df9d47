/*
 * Tests for src/jukebox/schedule.c.  What must hold is what its header says;
 * the random ones look at every decision of a simulated library.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "sim.h"

#define NOW 1000000u

static const struct jb_policy policy = { .residence_ms = 10000,
                                         .idle_ms = 2000,
                                         .age_ms = 60000 };

/* Eight cartridges at home in ten slots, two drives, nothing wanted. */
static struct sim *
library(void)
{
    struct sim *sim = sim_new(8, 10, 2);

    sim->policy = policy;
    return sim;
}

static void
put_in(struct sim *sim, uint32_t cartridge, uint32_t drive, uint64_t loaded_ms,
       uint64_t used_ms)
{
    struct jb_cartridge *c = &sim->world.cartridges[cartridge];

    ((bool *) (uintptr_t) sim->world.slot_full)[c->at] = false;
    c->place = JB_DRIVE;
    c->at = drive;
    c->loaded_ms = loaded_ms;
    c->used_ms = used_ms;
    sim->world.drives[drive].cartridge = cartridge;
}

static void
want(struct sim *sim, uint32_t cartridge, uint32_t waiting, uint64_t since_ms)
{
    sim->world.cartridges[cartridge].waiting = waiting;
    sim->world.cartridges[cartridge].since_ms = since_ms;
}

static struct jb_motion
next(const struct sim *sim)
{
    return jb_next(&sim->world, &policy, NOW);
}

static void
schedule__nothing_is_wanted__it_rests(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    put_in(sim, 0, 0, 0, 0);
    motion = next(sim);
    assert_int_equal(motion.action, JB_REST);
    assert_true(motion.until_ms == JB_NEVER);
    sim_free(sim);
}

static void
schedule__empty_drive__is_used_before_anything_leaves(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    put_in(sim, 0, 0, 0, 0);
    want(sim, 5, 1, NOW);
    motion = next(sim);
    assert_int_equal(motion.action, JB_LOAD);
    assert_int_equal(motion.cartridge, 5);
    assert_int_equal(motion.drive, 1);
    assert_int_equal(motion.slot, 5);
    sim_free(sim);
}

static void
schedule__both_idle__the_least_recently_used_leaves_for_home(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    put_in(sim, 0, 0, 0, NOW - 4000);
    put_in(sim, 3, 1, 0, NOW - 5000);
    want(sim, 5, 1, NOW);
    motion = next(sim);
    assert_int_equal(motion.action, JB_UNLOAD);
    assert_int_equal(motion.cartridge, 3);
    assert_int_equal(motion.drive, 1);
    assert_int_equal(motion.slot, 3);
    sim_free(sim);
}

static void
schedule__least_recently_used_is_dirty__the_clean_one_leaves(void **state)
{
    struct sim *sim = library();

    (void) state;
    put_in(sim, 0, 0, 0, NOW - 4000);
    put_in(sim, 3, 1, 0, NOW - 5000);
    sim->world.cartridges[3].dirty = true;
    want(sim, 5, 1, NOW);
    assert_int_equal(next(sim).drive, 0);
    sim->world.cartridges[0].dirty = true;
    assert_int_equal(next(sim).drive, 1);
    sim_free(sim);
}

static void
schedule__in_use_within_its_residence__stays_until_its_end(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    put_in(sim, 0, 0, NOW - 4000, NOW);
    put_in(sim, 3, 1, NOW - 5000, NOW);
    sim->world.cartridges[0].running = 1;
    sim->world.cartridges[3].running = 1;
    want(sim, 5, 9, NOW - policy.age_ms);
    motion = next(sim);
    assert_int_equal(motion.action, JB_REST);
    assert_true(motion.until_ms == NOW + 5000);
    motion = jb_next(&sim->world, &policy, NOW + 5000);
    assert_int_equal(motion.action, JB_UNLOAD);
    assert_int_equal(motion.drive, 1);
    sim_free(sim);
}

static void
schedule__one_waits_for_many_that_work__only_its_age_makes_room(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    put_in(sim, 0, 0, 0, NOW);
    put_in(sim, 3, 1, 0, NOW);
    sim->world.cartridges[0].running = 8;
    sim->world.cartridges[3].running = 9;
    want(sim, 5, 1, NOW);
    motion = next(sim);
    assert_int_equal(motion.action, JB_REST);
    assert_true(motion.until_ms == NOW + policy.age_ms);
    motion = jb_next(&sim->world, &policy, NOW + policy.age_ms);
    assert_int_equal(motion.action, JB_UNLOAD);
    want(sim, 5, 8, NOW);
    assert_int_equal(next(sim).drive, 0);
    sim_free(sim);
}

static void
schedule__more_wait_for_one__that_one_comes_first(void **state)
{
    struct sim *sim = library();

    (void) state;
    want(sim, 2, 1, NOW - 3000);
    want(sim, 6, 4, NOW - 10);
    assert_int_equal(next(sim).cartridge, 6);
    /* Until the other has waited too long. */
    want(sim, 2, 1, NOW - policy.age_ms);
    assert_int_equal(next(sim).cartridge, 2);
    want(sim, 6, 4, NOW - policy.age_ms - 1);
    assert_int_equal(next(sim).cartridge, 6);
    sim_free(sim);
}

static void
schedule__as_many_wait__the_nearest_slot_comes_first(void **state)
{
    struct sim *sim = library();

    (void) state;
    sim->world.position = 6;
    want(sim, 1, 1, NOW - 3000);
    want(sim, 4, 1, NOW - 10);
    assert_int_equal(next(sim).cartridge, 4);
    sim_free(sim);
}

static void
schedule__drives_aside_pinned_busy_or_full__are_left_alone(void **state)
{
    struct sim *sim = library();

    (void) state;
    want(sim, 1, 1, 0);
    sim->world.drives[0].aside = true;
    assert_int_equal(next(sim).drive, 1);
    sim->world.drives[1].pinned = true;
    assert_int_equal(next(sim).action, JB_REST);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_NO_DRIVE);
    sim->world.drives[1].pinned = false;
    sim->world.drives[1].busy = true;
    assert_int_equal(next(sim).action, JB_REST);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_ABLE);
    sim->world.drives[1].busy = false;
    sim->world.drives[1].full = true;
    assert_int_equal(next(sim).action, JB_REST);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_STUCK);
    sim_free(sim);
}

static void
schedule__it_could_not_leave__it_is_left_until_its_time(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    sim->world.drives[1].aside = true;
    put_in(sim, 0, 0, 0, 0);
    sim->world.cartridges[0].stay_ms = NOW + 5000;
    want(sim, 1, 1, 0);
    motion = next(sim);
    assert_int_equal(motion.action, JB_REST);
    assert_true(motion.until_ms == NOW + 5000);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_STUCK);
    assert_int_equal(jb_next(&sim->world, &policy, NOW + 5000).action,
                     JB_UNLOAD);
    sim_free(sim);
}

static void
schedule__it_failed_in_a_drive__gets_another_if_there_is_one(void **state)
{
    struct sim *sim = library();

    (void) state;
    want(sim, 1, 1, 0);
    sim->world.cartridges[1].failed = true;
    sim->world.cartridges[1].failed_in = 0;
    assert_int_equal(next(sim).drive, 1);
    put_in(sim, 4, 1, 0, 0);
    assert_int_equal(next(sim).action, JB_UNLOAD);
    sim->world.drives[1].aside = true;
    assert_int_equal(next(sim).action, JB_LOAD);
    assert_int_equal(next(sim).drive, 0);
    sim_free(sim);
}

static void
schedule__marked_or_outside__is_never_loaded(void **state)
{
    struct sim *sim = library();

    (void) state;
    want(sim, 1, 5, 0);
    sim->world.cartridges[1].marked = true;
    assert_int_equal(next(sim).action, JB_REST);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_MARKED);
    sim->world.cartridges[1].marked = false;
    sim->world.cartridges[1].place = JB_OUTSIDE;
    assert_int_equal(next(sim).action, JB_REST);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_NOT_HERE);
    sim_free(sim);
}

static void
schedule__door_is_open__nothing_moves(void **state)
{
    struct sim *sim = library();

    (void) state;
    want(sim, 1, 5, 0);
    sim->world.door_open = true;
    assert_int_equal(next(sim).action, JB_REST);
    assert_int_equal(jb_obstacle(&sim->world, 1, NOW), JB_DOOR_OPEN);
    sim_free(sim);
}

static void
schedule__drive_wants_cleaning__is_emptied_cleaned_and_emptied(void **state)
{
    struct sim *sim = library();
    struct jb_motion motion;

    (void) state;
    sim->world.cartridges[7].cleaning = true;
    want(sim, 7, 3, 0); /* as data: never */
    assert_int_equal(next(sim).action, JB_REST);
    put_in(sim, 2, 1, 0, 0);
    sim->world.drives[1].wants_cleaning = true;
    motion = next(sim);
    assert_int_equal(motion.action, JB_UNLOAD);
    assert_int_equal(motion.cartridge, 2);
    sim->world.drives[1].cartridge = JB_NONE;
    motion = next(sim);
    assert_int_equal(motion.action, JB_CLEAN);
    assert_int_equal(motion.cartridge, 7);
    assert_int_equal(motion.drive, 1);
    put_in(sim, 7, 1, NOW, NOW);
    sim->world.drives[1].wants_cleaning = false;
    motion = next(sim);
    assert_int_equal(motion.action, JB_UNLOAD);
    assert_int_equal(motion.cartridge, 7);
    sim_free(sim);
}

static void
schedule__nobody_knows_what_is_on_it__looked_at_when_nobody_minds(void **state)
{
    struct sim *sim = library();

    (void) state;
    sim->world.cartridges[4].unknown = true;
    assert_int_equal(next(sim).cartridge, 4);
    want(sim, 7, 1, NOW);
    assert_int_equal(next(sim).cartridge, 7);
    want(sim, 7, 0, 0);
    put_in(sim, 0, 0, 0, NOW);
    put_in(sim, 1, 1, 0, NOW);
    sim->world.cartridges[0].running = 1;
    assert_int_equal(next(sim).action, JB_REST);
    assert_true(next(sim).until_ms == NOW + policy.idle_ms);
    assert_int_equal(jb_next(&sim->world, &policy, NOW + policy.idle_ms).drive,
                     1);
    sim_free(sim);
}

static void
slot_for__home_is_taken__the_nearest_free_one(void **state)
{
    struct sim *sim = library();
    bool *full = (bool *) (uintptr_t) sim->world.slot_full;

    (void) state;
    put_in(sim, 2, 0, 0, 0);
    assert_int_equal(jb_slot_for(&sim->world, 2), 2);
    full[2] = true;
    assert_int_equal(jb_slot_for(&sim->world, 2), 8);
    full[8] = full[9] = true;
    assert_int_equal(jb_slot_for(&sim->world, 2), JB_NONE);
    sim->world.cartridges[2].home = JB_NONE;
    full[0] = false;
    assert_int_equal(jb_slot_for(&sim->world, 2), 0);
    sim_free(sim);
}

/* --- random traces ----------------------------------------------------------------- */

static void
look_at_decision(struct sim *sim, const struct jb_motion *motion)
{
    const struct jb_world *world = &sim->world;
    const struct jb_cartridge *cartridge;
    const struct jb_drive *drive;

    if (motion->action == JB_REST) {
        assert_true(motion->until_ms > sim->now_ms);
        return;
    }
    cartridge = &world->cartridges[motion->cartridge];
    drive = &world->drives[motion->drive];
    assert_false(drive->aside || drive->pinned || drive->busy);
    if (motion->action == JB_LOAD) {
        assert_int_equal(drive->cartridge, JB_NONE);
        assert_int_equal(cartridge->place, JB_SLOT);
        assert_int_equal(cartridge->at, motion->slot);
        assert_true(cartridge->waiting > 0);
        assert_false(cartridge->marked || cartridge->cleaning);
        return;
    }
    assert_int_equal(motion->action, JB_UNLOAD);
    assert_int_equal(drive->cartridge, motion->cartridge);
    assert_false(world->slot_full[motion->slot]);
    /* In use: not before its residence is over. */
    if (cartridge->running > 0 ||
        cartridge->used_ms + sim->policy.idle_ms > sim->now_ms)
        assert_true(sim->now_ms >=
                    cartridge->loaded_ms + sim->policy.residence_ms);
}

/* Every cartridge is in exactly one place. */
static void
check_places(const struct sim *sim)
{
    const struct jb_world *world = &sim->world;
    unsigned slots = 0, drives = 0;

    for (size_t i = 0; i < world->cartridge_count; i++) {
        const struct jb_cartridge *cartridge = &world->cartridges[i];

        if (cartridge->place == JB_DRIVE) {
            assert_int_equal(world->drives[cartridge->at].cartridge, i);
            drives++;
        } else {
            assert_int_equal(cartridge->place, JB_SLOT);
            assert_true(world->slot_full[cartridge->at]);
            slots++;
        }
    }
    for (size_t i = 0; i < world->slot_count; i++)
        slots -= world->slot_full[i];
    for (size_t i = 0; i < world->drive_count; i++)
        drives -= world->drives[i].cartridge != JB_NONE;
    assert_int_equal(slots, 0);
    assert_int_equal(drives, 0);
}

static void
random__many_traces__all_served_and_every_decision_keeps_the_rules(void **state)
{
    (void) state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        uint32_t volumes = 3 + sim_random(&random, 30);
        uint32_t drives = 1 + sim_random(&random, 4);
        struct sim *sim = sim_new(volumes, volumes + 2, drives);
        struct sim_request *trace =
            sim_trace(seed, 200, volumes, 1 + sim_random(&random, 4000), 500);

        sim->policy = policy;
        sim->times = (struct sim_times){ 1 + sim_random(&random, 5000), 20,
                                         sim_random(&random, 5000),
                                         sim_random(&random, 3000) };
        if (drives > 1) {
            sim->world.drives[sim_random(&random, drives)].aside = true;
        }
        sim->watch = look_at_decision;
        assert_true(sim_run(sim, trace, 200));
        check_places(sim);
        free(trace);
        sim_free(sim);
    }
}

/* Two volumes that are never left in peace, and others that are wanted once:
 * nobody waits longer than the bound in schedule.h. */
static void
random__two_hot_volumes__nobody_starves(void **state)
{
    enum { HOT = 3000, COLD = 40, VOLUMES = 22 };
    const uint64_t motions = 2 * (4000 + 22 * 20) + 3000 + 2000;
    const uint64_t bound =
        policy.age_ms + (VOLUMES + 1) * (policy.residence_ms + motions + 450);

    (void) state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed, at = 0;
        struct sim *sim = sim_new(VOLUMES, VOLUMES, 2);
        struct sim_request *trace = calloc(HOT + COLD, sizeof *trace);

        for (size_t i = 0; i < HOT + COLD; i++) {
            at += sim_random(&random, 600);
            trace[i].at_ms = at;
            trace[i].work_ms = 150 + sim_random(&random, 300);
            trace[i].volume = i % 76 == 75
                                  ? 2 + sim_random(&random, VOLUMES - 2)
                                  : sim_random(&random, 2);
        }
        sim->policy = policy;
        sim->times = (struct sim_times){ 4000, 20, 3000, 2000 };
        sim->watch = look_at_decision;
        assert_true(sim_run(sim, trace, HOT + COLD));
        for (size_t i = 0; i < HOT + COLD; i++)
            if (trace[i].volume >= 2)
                assert_true(trace[i].done_ms - trace[i].at_ms <= bound);
        free(trace);
        sim_free(sim);
    }
}

static void
random__requests_for_one_volume__are_served_together(void **state)
{
    struct sim *sim = sim_new(10, 10, 1);
    struct sim_request *trace = calloc(100, sizeof *trace);

    (void) state;
    for (size_t i = 0; i < 100; i++)
        trace[i] = (struct sim_request){ .at_ms = i,
                                         .volume = (uint32_t) i % 10,
                                         .work_ms = 10 };
    sim->policy = policy;
    sim->times = (struct sim_times){ 1000, 0, 1000, 1000 };
    assert_true(sim_run(sim, trace, 100));
    /* Ten loads, nine ways back, and whoever was loaded before all were there. */
    assert_true(sim->motions <= 19 + 2);
    free(trace);
    sim_free(sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule__nothing_is_wanted__it_rests),
        cmocka_unit_test(schedule__empty_drive__is_used_before_anything_leaves),
        cmocka_unit_test(
            schedule__both_idle__the_least_recently_used_leaves_for_home),
        cmocka_unit_test(
            schedule__least_recently_used_is_dirty__the_clean_one_leaves),
        cmocka_unit_test(
            schedule__in_use_within_its_residence__stays_until_its_end),
        cmocka_unit_test(
            schedule__one_waits_for_many_that_work__only_its_age_makes_room),
        cmocka_unit_test(schedule__more_wait_for_one__that_one_comes_first),
        cmocka_unit_test(schedule__as_many_wait__the_nearest_slot_comes_first),
        cmocka_unit_test(
            schedule__drives_aside_pinned_busy_or_full__are_left_alone),
        cmocka_unit_test(
            schedule__it_could_not_leave__it_is_left_until_its_time),
        cmocka_unit_test(
            schedule__it_failed_in_a_drive__gets_another_if_there_is_one),
        cmocka_unit_test(schedule__marked_or_outside__is_never_loaded),
        cmocka_unit_test(schedule__door_is_open__nothing_moves),
        cmocka_unit_test(
            schedule__drive_wants_cleaning__is_emptied_cleaned_and_emptied),
        cmocka_unit_test(
            schedule__nobody_knows_what_is_on_it__looked_at_when_nobody_minds),
        cmocka_unit_test(slot_for__home_is_taken__the_nearest_free_one),
        cmocka_unit_test(
            random__many_traces__all_served_and_every_decision_keeps_the_rules),
        cmocka_unit_test(random__two_hot_volumes__nobody_starves),
        cmocka_unit_test(random__requests_for_one_volume__are_served_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
