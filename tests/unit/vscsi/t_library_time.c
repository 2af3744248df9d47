/*
 * t_library_time.c - motions that take time: queue, abort, reset, door, rules
 *
 * Waits end by events with a bound, never by sleeping; delays that must not end
 * by themselves are an hour.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "house.h"

#define HOUR 3600000u

HOUSE(slow, 4, .slots = 8, .mail_slots = 1, .times = { .move = HOUR })
HOUSE(quick, 4, .slots = 8, .mail_slots = 1,
      .times = { .move = 2, .load = 2, .unload = 1, .scan = 1, .door = 2 })
HOUSE(busy, 4, .slots = 8, .personality = "busy", .times = { .move = HOUR })
HOUSE(two_arms, 4, .slots = 8, .personality = "two-transports",
      .times = { .move = 200 })
HOUSE(two_slow_arms, 4, .slots = 8, .personality = "two-transports",
      .times = { .move = HOUR })
HOUSE(plain, 4, .slots = 8, .mail_slots = 1)

struct sent {
    struct vscsi_command command;
    int done;
};

static void
completed(struct vscsi_command *command)
{
    __atomic_store_n(&((struct sent *) command->context)->done, 1,
                     __ATOMIC_SEQ_CST);
}

static bool
is_done(struct sent *sent)
{
    return __atomic_load_n(&sent->done, __ATOMIC_SEQ_CST) != 0;
}

static bool
send_on(struct vscsi_nexus *nexus, struct sent *sent, const uint8_t *cdb,
        size_t len)
{
    memset(sent, 0, sizeof *sent);
    memcpy(sent->command.cdb, cdb, len);
    sent->command.cdb_len = (uint8_t) len;
    sent->command.done = completed;
    sent->command.context = sent;
    if (!vscsi_execute(nexus, &sent->command))
        return false;
    completed(&sent->command);
    return true;
}

static bool
send_move(struct house *house, struct sent *sent, unsigned arm, unsigned from,
          unsigned to)
{
    const uint8_t cdb[12] = { 0xA5,     0,        0,      (uint8_t) arm,
                              HI(from), LO(from), HI(to), LO(to) };

    return send_on(house->rig.nexus, sent, cdb, sizeof cdb);
}

static unsigned
motions(struct house *house)
{
    struct vscsi_library_snapshot *all = vscsi_library_snapshot(house->library);
    unsigned count = all->motions;

    free(all);
    return count;
}

static void
move__that_takes_time__completes_later_and_blocks_nothing(void **state)
{
    struct house *house = *state;
    struct sent sent;

    assert_false(send_move(house, &sent, ARM, SLOT, DRIVE));
    assert_int_equal(TUR(&house->rig), 0);
    assert_int_equal(status_of(house, 0, 0, 99, TAGS, 65535), 0);
    WAIT_FOR(is_done(&sent));
    assert_int_equal(sent.command.result, VSCSI_DONE);
    assert_int_equal(sense_of(&sent.command), 0);
    assert_string_equal(image_in(house, 0), "vol001L6.img");
    assert_int_equal(motions(house), 0);
}

static void
second_move__while_one_runs__waits_for_the_arm(void **state)
{
    struct house *house = *state;
    struct sent sent[4];

    assert_false(send_move(house, &sent[0], ARM, SLOT, DRIVE));
    assert_false(send_move(house, &sent[1], ARM, SLOT + 1, DRIVE + 1));
    /* Looked at when it begins: by then the drive is full. */
    (void) send_move(house, &sent[2], ARM, SLOT + 2, DRIVE);
    assert_false(send_move(house, &sent[3], ARM, DRIVE, SLOT));
    for (unsigned i = 0; i < 4; i++)
        WAIT_FOR(is_done(&sent[i]));
    assert_int_equal(sense_of(&sent[0].command), 0);
    assert_int_equal(sense_of(&sent[1].command), 0);
    assert_int_equal(sense_of(&sent[2].command), 0x053B0D);
    assert_int_equal(sense_of(&sent[3].command), 0);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 0), "VOL001L6");
    assert_string_equal(image_in(house, 1), "vol002L6.img");
    assert_int_equal(count_cartridges(house), 4);
}

static void
abort__of_a_running_motion__ends_the_command_only(void **state)
{
    struct house *house = *state;
    struct sent sent, next;

    assert_false(send_move(house, &sent, ARM, SLOT, DRIVE));
    assert_false(send_move(house, &next, ARM, SLOT + 1, DRIVE + 1));
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 0),
                        "VOL001L6");
    vscsi_abort(house->rig.nexus, &sent.command);
    assert_true(is_done(&sent));
    assert_int_equal(sent.command.result, VSCSI_ABORTED);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 0),
                        "VOL001L6");
    assert_int_equal(motions(house), 2);
    /* One that has not begun never will. */
    vscsi_abort(house->rig.nexus, &next.command);
    assert_int_equal(next.command.result, VSCSI_ABORTED);
    assert_int_equal(motions(house), 1);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 1), "VOL002L6");
    vscsi_abort(house->rig.nexus, &next.command); /* again: nothing */
}

static void
reset__ends_commands_of_motions(void **state)
{
    struct house *house = *state;
    struct sent sent, next;

    assert_false(send_move(house, &sent, ARM, SLOT, DRIVE));
    assert_false(send_move(house, &next, ARM, SLOT + 1, DRIVE + 1));
    vscsi_reset(house->rig.drive);
    assert_int_equal(sent.command.result, VSCSI_ABORTED);
    assert_int_equal(next.command.result, VSCSI_ABORTED);
    assert_int_equal(TUR(&house->rig), 0x062900);
    assert_int_equal(count_cartridges(house), 4);
}

static void
nexus_free__with_a_motion__ends_its_command(void **state)
{
    struct house *house = *state;
    struct vscsi_nexus *other = vscsi_nexus_new(house->rig.drive, NULL, NULL);
    const uint8_t tur[6] = { 0 };
    const uint8_t cdb[12] = { 0xA5, 0, 0, ARM, HI(SLOT), 0, 1, 0 };
    struct sent sent;

    assert_true(send_on(other, &sent, tur, 6)); /* 29/00 */
    assert_false(send_on(other, &sent, cdb, 12));
    vscsi_nexus_free(other);
    assert_true(is_done(&sent));
    assert_int_equal(sent.command.result, VSCSI_ABORTED);
}

static void
door__opened_in_mid_motion__leaves_the_medium_in_the_arm(void **state)
{
    struct house *house = *state;
    struct sent sent, next;
    char file[256];

    assert_false(send_move(house, &sent, ARM, SLOT, DRIVE));
    assert_false(send_move(house, &next, ARM, SLOT + 1, DRIVE + 1));
    assert_int_equal(vscsi_library_door(house->library, true, NULL, 0), 0);
    WAIT_FOR(is_done(&sent) && is_done(&next));
    assert_int_equal(sense_of(&sent.command), 0x020418);
    assert_int_equal(sense_of(&next.command), 0x020418);
    assert_int_equal(TUR(&house->rig), 0x020418);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 0),
                        "VOL001L6");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 1), "VOL002L6");
    /* Somebody takes it from the arm. */
    assert_int_equal(vscsi_library_take(house->library, VSCSI_ELEMENT_TRANSPORT,
                                        0, file, NULL, 0),
                     0);
    assert_string_equal(file, "vol001L6.img");
    assert_int_equal(vscsi_library_door(house->library, false, NULL, 0), 0);
    assert_int_equal(TUR(&house->rig), 0x062800);
    assert_int_equal(TUR(&house->rig), 0);
    assert_int_equal(count_cartridges(house), 3);
}

static void
busy_personality__second_motion__is_becoming_ready(void **state)
{
    struct house *house = *state;
    struct sent sent, next;

    assert_int_equal(TUR(&house->rig), 0);
    assert_false(send_move(house, &sent, ARM, SLOT, DRIVE));
    assert_true(send_move(house, &next, ARM, SLOT + 1, DRIVE + 1));
    assert_int_equal(sense_of(&next.command), 0x020401);
    assert_int_equal(TUR(&house->rig), 0x020401);
    vscsi_abort(house->rig.nexus, &sent.command);
    assert_true(is_done(&sent));
}

static void
two_transports__move_at_the_same_time(void **state)
{
    struct house *house = *state;
    struct sent sent[2];

    assert_false(send_move(house, &sent[0], 1, SLOT, DRIVE));
    assert_false(send_move(house, &sent[1], 2, SLOT + 1, DRIVE + 1));
    WAIT_FOR(is_done(&sent[0]) && is_done(&sent[1]));
    assert_string_equal(image_in(house, 0), "vol001L6.img");
    assert_string_equal(image_in(house, 1), "vol002L6.img");
}

static void
two_transports__busy__each_with_its_own(void **state)
{
    struct house *house = *state;
    struct sent sent[3];

    assert_false(send_move(house, &sent[0], 1, SLOT, DRIVE));
    assert_false(send_move(house, &sent[1], 2, SLOT + 1, DRIVE + 1));
    /* What the other arm works at is not there, or not free. */
    assert_true(send_move(house, &sent[2], 0, SLOT, DRIVE));
    assert_int_equal(sense_of(&sent[2].command), 0x052101);
    assert_int_equal(motions(house), 2);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 0),
                        "VOL001L6");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 1),
                        "VOL002L6");
    for (int i = 0; i < 2; i++)
        vscsi_abort(house->rig.nexus, &sent[i].command);
}

static void
inventory__that_takes_time__is_becoming_ready_and_tells_what_it_knows(
    void **state)
{
    struct house *house = *state;
    const uint8_t cdb[6] = { 0x07 };
    struct sent sent, move_too;

    /* The one at the start. */
    WAIT_FOR(TUR(&house->rig) == 0);
    house_close(house);
    house->config.times.scan = HOUR;
    house_open(house);
    assert_int_equal(TUR(&house->rig), 0x020401);
    assert_true(send_move(house, &move_too, ARM, SLOT, DRIVE));
    assert_int_equal(sense_of(&move_too.command), 0x020401);
    assert_int_equal(status_of(house, 2, 0, 99, 0, 65535), 0x020401);
    assert_int_equal(status_of(house, 2, 0, 99, CURDATA, 65535), 0);
    house_close(house);
    house->config.times.scan = 1;
    house_open(house);
    WAIT_FOR(TUR(&house->rig) == 0);
    assert_false(send_on(house->rig.nexus, &sent, cdb, 6));
    WAIT_FOR(is_done(&sent));
    assert_int_equal(sense_of(&sent.command), 0);
}

/* --- rules ---------------------------------------------------------------- */

static void
rule_stuck__leaves_the_medium_in_the_arm(void **state)
{
    struct house *house = *state;

    rule(house, "at 1 move do stuck");
    assert_int_equal(move(house, SLOT, DRIVE), 0x041501);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 0),
                        "VOL001L6");
    assert_int_equal(element(house, VSCSI_ELEMENT_TRANSPORT, 0).source, SLOT);
    assert_int_equal(move(house, ARM, SLOT), 0);
    assert_int_equal(count_cartridges(house), 4);
}

static void
rule_wrong_medium__delivers_another_one(void **state)
{
    struct house *house = *state;

    rule(house, "at 1 move do wrong-medium");
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_string_equal(image_in(house, 0), "vol002L6.img");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 0), "VOL001L6");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_DRIVE, 0), "VOL002L6");
    /* A swap cannot put two media in one slot. */
    rule(house, "at 1 exchange do wrong-medium");
    assert_int_equal(exchange(house, SLOT, DRIVE, SLOT), 0x053B0D);
    assert_int_equal(count_cartridges(house), 4);
    assert_int_equal(element(house, VSCSI_ELEMENT_TRANSPORT, 0).full, true);
}

static void
rule_no_answer__moves_and_never_says_so(void **state)
{
    struct house *house = *state;
    struct sent sent;

    rule(house, "at 1 move do no-answer");
    assert_false(send_move(house, &sent, ARM, SLOT, DRIVE));
    assert_string_equal(image_in(house, 0), "vol001L6.img");
    assert_false(is_done(&sent));
    assert_int_equal(move(house, SLOT + 1, DRIVE + 1), 0);
    vscsi_abort(house->rig.nexus, &sent.command);
    assert_true(is_done(&sent));
    assert_int_equal(sent.command.result, VSCSI_ABORTED);
}

static void
rule_half__does_the_first_leg_of_an_exchange(void **state)
{
    struct house *house = *state;

    assert_int_equal(move(house, SLOT, DRIVE), 0);
    rule(house, "at 1 exchange do half");
    assert_int_equal(exchange(house, SLOT + 1, DRIVE, SLOT), 0x041501);
    assert_string_equal(image_in(house, 0), "");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 0), "VOL001L6");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 1), "VOL002L6");
    assert_int_equal(count_cartridges(house), 4);
}

static void
rule_unreadable__hides_the_label(void **state)
{
    struct house *house = *state;
    const uint8_t *at;

    rule(house, "at 1 inventory do unreadable");
    assert_int_equal(NONE(&house->rig, 0x07, 0, 0, 0, 0, 0), 0);
    at = descriptor(house, 2, SLOT);
    assert_int_equal(at[2] & 0x05, 0x05); /* Full, Except */
    assert_int_equal(number_at(at + 4, 2), 0x5306);
    assert_memory_equal(at + 12, "                                ", 32);
    rule(house, "at 1 move do unreadable");
    assert_int_equal(move(house, SLOT + 1, DRIVE), 0);
    assert_true(element(house, VSCSI_ELEMENT_DRIVE, 0).unreadable);
}

static void
rule_not_loaded__leaves_the_drive_empty(void **state)
{
    struct house *house = *state;

    rule(house, "at 1 move do not-loaded");
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_string_equal(image_in(house, 0), "");
    assert_int_equal(descriptor(house, 4, DRIVE)[2] & 1, 1);
    assert_int_equal(move(house, DRIVE, SLOT), 0);
}

static void
rule_door__opens_on_the_way(void **state)
{
    struct house *house = *state;

    rule(house, "at 1 move do door");
    assert_int_equal(move(house, SLOT, DRIVE), 0x020418);
    assert_int_equal(TUR(&house->rig), 0x020418);
    assert_int_equal(vscsi_library_door(house->library, false, NULL, 0), 0);
    assert_int_equal(TUR(&house->rig), 0x062800);
    assert_int_equal(move(house, ARM, SLOT), 0);
    assert_int_equal(count_cartridges(house), 4);
}

static void
rule_lies__change_the_element_data_only(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    rule(house, "at 1 status do lie-cut 8");
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_int_equal(house->rig.last.transferred, 16 + 8 * 48 - 8);
    assert_int_equal(number_at(data + 5, 3), 8 + 8 * 48);
    rule(house, "at 1 status do lie-count 100");
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_int_equal(number_at(data + 5, 3), 8 + 8 * 48 + 100);
    assert_int_equal(house->rig.last.transferred, 16 + 8 * 48);
    rule(house, "at 1 status do lie-length 8");
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_int_equal(number_at(data + 10, 2), 8);
    rule(house, "at 1 status do lie-overlap");
    assert_int_equal(status_of(house, 0, 0, 99, TAGS, 65535), 0);
    assert_true(8 + number_at(data + 5, 3) > house->rig.last.transferred);
    rule(house, "at 1 status do lie-avoltag");
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_int_equal(data[9], 0xC0);
    assert_int_equal(number_at(data + 10, 2), 48);
    rule(house, "at 1 status do lie-twice");
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_memory_equal(data + 16, data + 64, 48);
    rule(house, "at 1 status do lie-noise 7");
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_int_equal(status_of(house, 2, 0, 99, TAGS, 65535), 0);
    assert_int_equal(number_at(data + 5, 3), 8 + 8 * 48);
}

static void
rule_becoming_ready__lasts_its_time(void **state)
{
    struct house *house = *state;

    rule(house, "at 1 tur do becoming-ready 3600000");
    assert_int_equal(TUR(&house->rig), 0x020401);
    assert_int_equal(move(house, SLOT, DRIVE), 0x020401);
    assert_int_equal(status_of(house, 2, 0, 9, CURDATA, 65535), 0);
    rule(house, "at 1 tur do becoming-ready 0");
    assert_int_equal(TUR(&house->rig), 0);
}

static void
rule_sense__on_a_move__moves_nothing(void **state)
{
    struct house *house = *state;

    rule(house, "at 1 move do sense 4/53/0d");
    assert_int_equal(move(house, SLOT, DRIVE), 0x04530D);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 0), "VOL001L6");
    rule(house, "at 1 move do recovered 1/5d/00");
    assert_int_equal(move(house, SLOT, DRIVE), 0x015D00);
    assert_string_equal(image_in(house, 0), "vol001L6.img");
}

/* --- many at once --------------------------------------------------------- */

struct worker {
    struct house *house;
    unsigned seed;
    pthread_t thread;
};

static void *
work(void *context)
{
    struct worker *worker = context;
    struct vscsi_nexus *nexus =
        vscsi_nexus_new(worker->house->rig.drive, NULL, NULL);
    uint8_t data[4096];

    for (unsigned i = 0; i < 150; i++) {
        unsigned r = (unsigned) rand_r(&worker->seed);
        unsigned from = r % 3 ? SLOT + r / 8 % 8 : DRIVE + r / 8 % 2;
        unsigned to = r % 5 > 1 ? SLOT + r / 64 % 8 : DRIVE + r / 64 % 2;
        const uint8_t cdb[12] = { 0xA5,     0,        0,      1 + r % 2,
                                  HI(from), LO(from), HI(to), LO(to) };
        struct sent sent;

        if (i % 4 == 0) {
            const uint8_t status[12] = {
                0xB8, TAGS, 0, 0, 0xff, 0xff, 0, 0, 16
            };

            memset(&sent, 0, sizeof sent);
            memcpy(sent.command.cdb, status, 12);
            sent.command.cdb_len = 12;
            sent.command.dir = VSCSI_FROM_DRIVE;
            sent.command.data = data;
            sent.command.data_len = sizeof data;
            assert_true(vscsi_execute(nexus, &sent.command));
            continue;
        }
        if (send_on(nexus, &sent, cdb, 12))
            continue;
        if (r % 7 == 0)
            vscsi_abort(nexus, &sent.command);
        WAIT_FOR(is_done(&sent));
    }
    vscsi_nexus_free(nexus);
    return NULL;
}

static void
many_initiators__at_once__lose_nothing(void **state)
{
    struct house *house = *state;
    struct worker workers[3];

    for (unsigned i = 0; i < 3; i++) {
        workers[i].house = house;
        workers[i].seed = i;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < 40; i++) {
        free(vscsi_library_snapshot(house->library));
        if (i % 10 == 9) {
            (void) vscsi_library_door(house->library, true, NULL, 0);
            (void) vscsi_library_door(house->library, false, NULL, 0);
        }
        if (i % 10 == 5)
            vscsi_reset(house->rig.drive);
        if (i % 10 == 3)
            (void) vscsi_yank(house->drives[0]);
        usleep(1000);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(workers[i].thread, NULL);
    WAIT_FOR(motions(house) == 0);
    assert_int_equal(count_cartridges(house), 4);
}

HOUSE(crowd, 4, .slots = 8, .personality = "two-transports",
      .times = { .move = 1 })

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HTEST(move__that_takes_time__completes_later_and_blocks_nothing,
              two_arms),
        HTEST(second_move__while_one_runs__waits_for_the_arm, two_arms),
        HTEST(abort__of_a_running_motion__ends_the_command_only, slow),
        HTEST(reset__ends_commands_of_motions, slow),
        HTEST(nexus_free__with_a_motion__ends_its_command, slow),
        HTEST(door__opened_in_mid_motion__leaves_the_medium_in_the_arm, slow),
        HTEST(busy_personality__second_motion__is_becoming_ready, busy),
        HTEST(two_transports__move_at_the_same_time, two_arms),
        HTEST(two_transports__busy__each_with_its_own, two_slow_arms),
        HTEST(
            inventory__that_takes_time__is_becoming_ready_and_tells_what_it_knows,
            quick),
        HTEST(rule_stuck__leaves_the_medium_in_the_arm, plain),
        HTEST(rule_wrong_medium__delivers_another_one, plain),
        HTEST(rule_no_answer__moves_and_never_says_so, plain),
        HTEST(rule_half__does_the_first_leg_of_an_exchange, plain),
        HTEST(rule_unreadable__hides_the_label, plain),
        HTEST(rule_not_loaded__leaves_the_drive_empty, plain),
        HTEST(rule_door__opens_on_the_way, plain),
        HTEST(rule_lies__change_the_element_data_only, plain),
        HTEST(rule_becoming_ready__lasts_its_time, plain),
        HTEST(rule_sense__on_a_move__moves_nothing, plain),
        HTEST(many_initiators__at_once__lose_nothing, crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
