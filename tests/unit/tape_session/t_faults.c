/*
 * t_faults.c - drives that fail in every way, by a seed: what was acknowledged
 *              is on the tape once, in order, or the session has said that it
 *              is not
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "base/clock.h"

#define SIZE  1024
#define STEPS 40
#define RUNS  25

static uint8_t data[SIZE];
static int wanted[2 * STEPS + 2], objects[4 * STEPS];
static unsigned seed;

static unsigned
dice(unsigned sides)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % sides;
}

/* A rule that ends by itself, so that what is right can always go on. */
static void
add_fault(void)
{
    static const char *const matches[] = { "any",      "write",  "read",
                                           "filemark", "locate", "rewind",
                                           "space",    "tur" };
    static const char *const actions[] = {
        "sense 6/29/00",
        "sense 6/28/00",
        "sense 6/2a/01",
        "sense 4/44/00",
        "sense 3/3b/00",
        "sense 4/44/00 deferred",
        "sense 3/0c/00 deferred",
        "recovered 4/44/00",
        "recovered 6/29/00",
        "reset",
        "bus-free",
        "phase-error",
        "busy",
        "sense b/47/03",
        "sense 2/04/01",
        "flushed",
    };
    char rule[128], text[128];

    snprintf(rule, sizeof rule, "at %u %s do %s", 1 + dice(6),
             matches[dice(sizeof matches / sizeof matches[0])],
             actions[dice(sizeof actions / sizeof actions[0])]);
    if (vscsi_fault_add(rig.drive[0].vscsi, rule, text, sizeof text) != 0)
        fail_msg("%s: %s", rule, text);
}

/* Time passes until the call has ended, or, with `asked`, until something is
 * asked for; a tape that could not be read is looked at again. */
static void
pass_time(bool asked)
{
    struct ri_prompt_info *list;
    size_t count;

    rig_turn();
    while (!rig_has_ended() && !(asked && rig_prompts() != 0)) {
        clock_advance_ms(LOOK_MS);
        assert_int_equal(prompt_list(&list, &count), 0);
        if (!asked && count == 1 &&
            list[0].status != (uint32_t) STATUS_NO_MEDIA_IN_DEVICE)
            (void) prompt_answer(list[0].id, RI_RETRY);
        free(list);
        rig_turn();
    }
}

/* Whatever is asked: the tape is there, the drive just has to be let alone. */
static int
run_step(unsigned i, bool mark, bool away, const char *name)
{
    memcpy(data, rig_block(i, SIZE), SIZE);
    if (away)
        rig_yank(0);
    rig_start(mark ? CALL_OP : CALL_WRITE, data, mark ? MTWEOF : SIZE, 1);
    if (away) {
        pass_time(true);
        rig_insert(0, name);
    }
    pass_time(false);
    return rig_join();
}

static void
check(const char *name, unsigned n, bool whole)
{
    size_t have = rig_image(rig_path(name), objects, 4 * STEPS, 0);

    for (size_t i = 0; i < have && i < n; i++)
        if (objects[i] != wanted[i])
            fail_msg("seed %u: object %zu is %d, not %d", seed, i, objects[i],
                     wanted[i]);
    if (whole && have != n)
        fail_msg("%s: %zu objects, not %u", name, have, n);
}

/* True: without an error. */
static bool
one_run(unsigned run)
{
    unsigned n = 0;
    bool unsafe;
    char name[16];
    int rc = 0;

    seed = run * 7919 + 1;
    snprintf(name, sizeof name, "F%u", run);
    rig_insert(0, name);
    rig_open("");
    for (unsigned i = 0; i < STEPS && rc == 0; i++) {
        bool mark = dice(8) == 0;

        if (dice(4) == 0)
            add_fault();
        rc = run_step(i, mark, dice(10) == 0, name);
        if (rc == 0)
            wanted[n++] = mark ? -1 : (int) i;
    }
    /* What was acknowledged is brought onto it at the end at the latest, or it
     * is named. */
    vscsi_fault_clear(rig.drive[0].vscsi);
    unsafe = strstr(rig.result.text, "not safe") != NULL;
    rig_start(CALL_CLOSE, NULL, 0, 0);
    pass_time(false);
    if (rig_join() != 0)
        assert_true(unsafe);
    if (!unsafe && (n == 0 || wanted[n - 1] != -1))
        wanted[n++] = -1;
    check(name, n, !unsafe);
    rig_yank(0);
    return rc == 0;
}

static void
faults_by_a_seed__once_in_order_or_named(void **state)
{
    unsigned whole = 0;

    (void) state;
    for (unsigned run = 0; run < RUNS; run++)
        whole += one_run(run);
    assert_in_range(whole, RUNS / 4, RUNS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(faults_by_a_seed__once_in_order_or_named),
        TEST_SAFE(faults_by_a_seed__once_in_order_or_named),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
