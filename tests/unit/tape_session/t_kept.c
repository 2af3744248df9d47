/*
 * t_kept.c - blocks that are not safe, the trail, and the states of a session
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

static struct kept kept;
static struct trail trail;

static int
begin(void **state)
{
    (void) state;
    kept_init(&kept, 1000);
    trail_clear(&trail);
    return 0;
}

static int
end(void **state)
{
    (void) state;
    kept_free(&kept);
    return 0;
}

static void
records__their_owners_until_they_are_copied(void **state)
{
    uint8_t mine[400];

    (void) state;
    memcpy(mine, rig_block(1, 400), 400);
    assert_true(kept_fits(&kept, 400));
    assert_false(kept_lent(&kept));
    assert_true(kept_add(&kept, 0, 0, mine, 400));
    assert_ptr_equal(kept.items[0].data, mine);
    assert_true(kept_lent(&kept));
    kept_own(&kept);
    assert_false(kept_lent(&kept));
    memset(mine, 0, sizeof mine);
    assert_memory_equal(kept.items[0].data, rig_block(1, 400), 400);
    assert_false(kept_borrows(&kept));
    assert_true(kept_add_marks(&kept, 1, 1));
    assert_true(kept_add(&kept, 2, 0, mine, 400));
    kept_own(&kept);
    assert_memory_equal(kept.items[0].data, rig_block(1, 400), 400);
    assert_memory_equal(kept.items[2].data, mine, 400);
    assert_false(kept_fits(&kept, 400));
    assert_true(kept_fits(&kept, 200));
    assert_int_equal(kept.bytes, 800);
    assert_int_equal(kept.blocks, 2);
}

static void
record_longer_than_all_room__the_callers_own(void **state)
{
    static uint8_t mine[2000];

    (void) state;
    assert_true(kept_fits(&kept, sizeof mine)); /* nothing to write first */
    assert_true(kept_add(&kept, 0, 0, mine, sizeof mine));
    assert_true(kept_borrows(&kept));
    assert_ptr_equal(kept.items[0].data, mine);
    kept_settle(&kept, &trail);
    assert_int_equal(kept.count, 0);
    assert_int_equal(trail.count, 1);
}

static void
last_one_not_written__room_comes_back(void **state)
{
    (void) state;
    assert_true(kept_add(&kept, 0, 100, rig_block(1, 500), 500));
    assert_int_equal(kept.blocks, 5);
    kept_cut(&kept, 200);
    assert_int_equal(kept.items[0].objects, 2);
    assert_int_equal(kept.blocks, 2);
    assert_int_equal(kept.used, 200);
    kept_cut(&kept, 0);
    assert_int_equal(kept.count, 0);
    assert_int_equal(kept.used, 0);
    assert_int_equal(kept.bytes, 0);
}

/* The next one has its place, whether it had been copied or not. */
static void
last_one_not_written__copied_or_not__the_next_takes_its_place(void **state)
{
    (void) state;
    for (unsigned copied = 0; copied < 2; copied++) {
        uint8_t mine[3][300];

        for (unsigned i = 0; i < 3; i++)
            memcpy(mine[i], rig_block(i, 300), 300);
        assert_true(kept_add(&kept, 0, 0, mine[0], 300));
        assert_true(kept_add(&kept, 1, 0, mine[1], 300));
        if (copied)
            kept_own(&kept);
        kept_cut(&kept, 0);
        assert_true(kept_add(&kept, 1, 0, mine[2], 300));
        assert_true(kept_lent(&kept));
        kept_own(&kept);
        memset(mine, 0xEE, sizeof mine);
        assert_memory_equal(kept.items[0].data, rig_block(0, 300), 300);
        assert_memory_equal(kept.items[1].data, rig_block(2, 300), 300);
        assert_int_equal(kept.used, 600);
        kept_drop(&kept);
        assert_false(kept_lent(&kept));
    }
}

static void
settled__the_trail_has_the_last_objects(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(kept_add(&kept, 2 * i, 0, rig_block(i, 10), 10));
        assert_true(kept_add_marks(&kept, 2 * i + 1, 1));
    }
    kept_settle(&kept, &trail);
    assert_int_equal(kept.count, 0);
    assert_int_equal(trail.count, TRAIL_MAX);
    assert_int_equal(trail.objects[0].number, 32);
    assert_int_equal(trail.objects[TRAIL_MAX - 1].number, 39);
    assert_int_equal(trail.objects[TRAIL_MAX - 1].kind, OBJECT_MARK);
    assert_int_equal(trail.objects[TRAIL_MAX - 2].hash,
                     block_hash(rig_block(19, 10), 10));
}

/* What is known is always one behind the other, up to the place. */
static void
trail_with_a_gap__only_what_is_behind_it(void **state)
{
    (void) state;
    trail_add_marks(&trail, 5, 2);
    trail_add_marks(&trail, 9, 1);
    assert_int_equal(trail.count, 1);
    assert_int_equal(trail.objects[0].number, 9);
    trail_add_data(&trail, 10, 512, rig_block(1, 20 * 512), 20 * 512);
    assert_int_equal(trail.count, TRAIL_MAX);
    assert_int_equal(trail.objects[0].number, 22);
    trail_add_marks(&trail, 30, 100);
    assert_int_equal(trail.objects[TRAIL_MAX - 1].number, 129);
}

/* The owner of the data may use them again once they are hashed. */
static void
trail_of_lent_data__hashed__the_data_are_free(void **state)
{
    uint8_t mine[TRAIL_MAX + 3][40];

    (void) state;
    trail_add_marks(&trail, 99, 1);
    for (unsigned i = 0; i < TRAIL_MAX + 3; i++) {
        memcpy(mine[i], rig_block(i, 40), 40);
        trail_add_data(&trail, 100 + i, 0, mine[i], 40);
    }
    trail_add_marks(&trail, 100 + TRAIL_MAX + 3, 1);
    trail_hash(&trail);
    memset(mine, 0xEE, sizeof mine);
    trail_hash(&trail);
    assert_int_equal(trail.count, TRAIL_MAX);
    for (unsigned i = 0; i < TRAIL_MAX - 1; i++) {
        assert_int_equal(trail.objects[i].number, 104 + i);
        assert_int_equal(trail.objects[i].hash,
                         block_hash(rig_block(4 + i, 40), 40));
    }
    assert_int_equal(trail.objects[TRAIL_MAX - 1].kind, OBJECT_MARK);
}

static void
every_byte_and_the_length_count(uint64_t hash(const void *data, size_t length))
{
    uint8_t data[600] = { 0 };
    uint64_t plain = hash(data, sizeof data);

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = 1;
        assert_true(hash(data, sizeof data) != plain);
        data[i] = 0;
        assert_true(hash(data, i) != plain);
    }
    assert_true(hash(data, sizeof data) == plain);
}

static void
hashes__every_byte_and_the_length_count(void **state)
{
    (void) state;
    every_byte_and_the_length_count(tape_hash);
    every_byte_and_the_length_count(block_hash);
}

/* --- states --------------------------------------------------------------- */

/* The picture in tapes_internal.h, arrow by arrow. */
static void
states__the_arrows_of_the_picture(void **state)
{
    static const char *const arrows[] = {
        "ready-empty",       "ready-lost",      "ready-adrift",
        "empty-ready",       "empty-returning", "empty-lost",
        "lost-returning",    "lost-waiting",    "lost-adrift",
        "lost-empty",        "returning-ready", "returning-waiting",
        "returning-adrift",  "returning-lost",  "returning-empty",
        "waiting-returning", "waiting-ready",   "waiting-lost",
        "waiting-adrift",    "waiting-empty",   "adrift-lost",
        "adrift-empty",
    };
    size_t count = 0;
    char arrow[64];

    (void) state;
    for (int from = 0; from < SESSION_STATES; from++)
        for (int to = 0; to < SESSION_STATES; to++) {
            bool wanted = from == to;

            snprintf(arrow, sizeof arrow, "%s-%s",
                     session_state_name((enum session_state) from),
                     session_state_name((enum session_state) to));
            for (size_t i = 0; i < sizeof arrows / sizeof arrows[0]; i++)
                wanted = wanted || strcmp(arrow, arrows[i]) == 0;
            if (session_state_may((enum session_state) from,
                                  (enum session_state) to) != wanted)
                fail_msg("%s", arrow);
            count += wanted;
        }
    assert_int_equal(count, SESSION_STATES + sizeof arrows / sizeof arrows[0]);
}

#define KEPT(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KEPT(records__their_owners_until_they_are_copied),
        KEPT(record_longer_than_all_room__the_callers_own),
        KEPT(last_one_not_written__room_comes_back),
        KEPT(last_one_not_written__copied_or_not__the_next_takes_its_place),
        KEPT(settled__the_trail_has_the_last_objects),
        KEPT(trail_with_a_gap__only_what_is_behind_it),
        KEPT(trail_of_lent_data__hashed__the_data_are_free),
        KEPT(hashes__every_byte_and_the_length_count),
        KEPT(states__the_arrows_of_the_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
