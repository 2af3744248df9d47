/*
 * t_robot.c - motions that go well, and robots that fail
 *
 * The whole stack over the emulated library.  Expectations: the sense tables
 * and scenarios of the specifications of changers, not the code.
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ntdef.h>
#include <ntstatus.h>

#include "base/clock.h"
#include "jukebox/library.h"

static int
setup(void **state)
{
    struct house *h = house_new(8, 1, 2, 5);

    house_start(h);
    *state = h;
    return 0;
}

static int
teardown(void **state)
{
    house_free(*state);
    return 0;
}

/* --- what goes well ---------------------------- */

static void
load_and_unload__medium_is_in_the_drive_and_home_again(void **state)
{
    struct house *h = *state;
    struct ri_element_info drive;

    assert_int_equal(house_load(h, 3, 1), 0);
    drive = house_element(h, RI_DRIVE, 1);
    assert_true(drive.full);
    assert_string_equal(drive.barcode, "LTO003L6");
    assert_int_equal(drive.home, 3);
    assert_string_equal(drive.drive, "shelf-1");
    assert_int_equal(drive.uses, 1);
    assert_string_equal(house_element(h, RI_SLOT, 3).home_of, "LTO003L6");
    house_check(h);
    /* No slot is given: it goes home. */
    assert_int_equal(house_unload(h, 1, 0), 0);
    assert_int_equal(h->result.destination, 3);
    assert_true(house_element(h, RI_SLOT, 3).full);
    house_check(h);
    assert_true(house_told(h, "start", "from slot 3 to drive 1"));
    assert_true(house_told(h, "end", "from drive 1 to slot 3"));
}

static void
load__by_label_into_any_drive__first_empty_one(void **state)
{
    struct house *h = *state;
    struct ri_library_command command = { .op = RI_LIB_LOAD,
                                          .label = "LTO004L6",
                                          .drive = RI_NO_DRIVE };

    assert_int_equal(house_load(h, 1, 0), 0);
    assert_int_equal(house_command(h, &command), 0);
    assert_int_equal(h->result.drive, 1);
    assert_string_equal(h->result.barcode, "LTO004L6");
    snprintf(command.label, sizeof command.label, "LTO004L6");
    assert_int_equal(house_command(h, &command), -EBUSY);
    snprintf(command.label, sizeof command.label, "NOBODY");
    assert_int_equal(house_command(h, &command), -ENOENT);
}

static void
exchange__slot_and_drive__both_swapped_with_their_homes(void **state)
{
    struct house *h = *state;
    struct ri_library_command command = { .op = RI_LIB_EXCHANGE,
                                          .source = 2,
                                          .drive = 0 };

    assert_int_equal(house_load(h, 1, 0), 0);
    assert_int_equal(house_command(h, &command), 0);
    assert_string_equal(house_element(h, RI_DRIVE, 0).barcode, "LTO002L6");
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO001L6");
    /* They changed their homes: each still has one of its own. */
    assert_int_equal(house_element(h, RI_DRIVE, 0).home, 1);
    house_check(h);
    assert_int_equal(house_unload(h, 0, 0), 0);
    house_check(h);
}

/* mtx scenario S21: advertised, and refused with 5/20/00. */
static void
exchange__robot_refuses_it__done_by_single_motions(void **state)
{
    struct house *h = *state;
    struct ri_library_command command = { .op = RI_LIB_EXCHANGE,
                                          .source = 2,
                                          .destination = 4,
                                          .drive = RI_NO_DRIVE };

    house_fault(h, "at 1+ 0xA6 do sense 5/20/00");
    assert_int_equal(house_command(h, &command), 0);
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO004L6");
    assert_string_equal(house_element(h, RI_SLOT, 4).barcode, "LTO002L6");
    house_check(h);
}

/* --- refused, and nothing moved ---------------------------- */

static void
load__empty_slot_or_full_drive__refused_without_a_motion(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_load(h, 7, 0), -ENOMEDIUM);
    assert_int_equal((NTSTATUS) h->result.status, STATUS_SOURCE_ELEMENT_EMPTY);
    assert_string_equal(h->result.status_name, "STATUS_SOURCE_ELEMENT_EMPTY");
    assert_int_equal(h->result.source_address,
                     house_element(h, RI_SLOT, 7).address);
    assert_true(h->result.repeatable);
    assert_int_equal(house_load(h, 1, 0), 0);
    house_forget(h);
    assert_int_equal(house_load(h, 2, 0), -EEXIST);
    assert_int_equal((NTSTATUS) h->result.status,
                     STATUS_DESTINATION_ELEMENT_FULL);
    assert_non_null(strstr(h->result.text, "LTO001L6 of slot 1"));
    assert_false(house_told(h, "start", ""));
    assert_int_equal(house_load(h, 2, 9), -EINVAL);
    assert_int_equal(house_load(h, 99, 1), -EINVAL);
    assert_int_equal(house_load(h, 0, 1), -EINVAL);
    house_check(h);
}

static void
transfer__to_itself_or_to_a_full_slot__refused(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_transfer(h, 2, 2), -EINVAL);
    assert_int_equal(house_transfer(h, 2, 3), -EEXIST);
    assert_int_equal(house_transfer(h, 2, 8), 0);
    assert_int_equal(house_element(h, RI_SLOT, 8).home, 8);
    house_check(h);
}

static void
unload__empty_drive__refused(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_unload(h, 0, 0), -ENOMEDIUM);
    assert_non_null(strstr(h->result.text, "drive 0 is empty"));
}

/* mtx scenario S3: home taken by another one. */
static void
unload__of_a_named_cartridge__no_other_one_is_taken(void **state)
{
    struct house *h = *state;
    struct ri_library_command unload = { .op = RI_LIB_UNLOAD,
                                         .drive = 0,
                                         .label = "LTO003L6" };

    assert_int_equal(house_load(h, 2, 0), 0);
    assert_int_equal(house_command(h, &unload), -EMEDIUMTYPE);
    assert_non_null(strstr(h->result.text, "holds cartridge LTO002L6"));
    assert_string_equal(house_element(h, RI_DRIVE, 0).barcode, "LTO002L6");
    strcpy(unload.label, "LTO002L6");
    assert_int_equal(house_command(h, &unload), 0);
    house_check(h);
}

static void
unload__home_is_full__refused_with_the_conflict_named(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_load(h, 1, 0), 0);
    assert_int_equal(house_transfer(h, 2, 1), 0);
    assert_int_equal(house_unload(h, 0, 0), -EEXIST);
    assert_non_null(strstr(h->result.text, "slot 1 is full"));
    assert_non_null(strstr(h->result.text, "LTO001L6 belongs there, too"));
    house_check(h);
    assert_int_equal(house_unload(h, 0, 2), 0);
    house_check(h);
}

static void
labels__two_alike__refused_with_both_places(void **state)
{
    struct house *h = *state;
    struct ri_library_command command = { .op = RI_LIB_LOAD,
                                          .label = "LTO002L6",
                                          .drive = 0 };
    char path[128], other[320];

    house_stop(h);
    snprintf(path, sizeof path, "%s/media/LTO002L6.other", h->folder);
    snprintf(other, sizeof other, "cp %s/media/LTO003L6 %s", h->folder, path);
    assert_int_equal(system(other), 0);
    house_start(h);
    assert_true(house_element(h, RI_SLOT, 2).duplicate);
    assert_int_equal(house_command(h, &command), -ENOTUNIQ);
    assert_non_null(strstr(h->result.text, "slot 2"));
    assert_non_null(strstr(h->result.text, "slot 6"));
    /* By its number it still works. */
    assert_int_equal(house_load(h, 2, 0), 0);
}

static uint64_t
moves_of(struct house *h)
{
    struct vscsi_library_snapshot *truth = vscsi_library_snapshot(h->device);
    uint64_t moves = truth->moves;

    free(truth);
    return moves;
}

/* --- robots that fail ---------------------------- */

struct failure {
    const char *rule;
    int rc;
    NTSTATUS status;
};

/* Sense table of the specification, section 5: each once, nothing moved. */
static void
CT81_CT82_CT83_CT86_CT87__motion_refused__its_status_and_nothing_moved(
    void **state)
{
    static const struct failure rows[] = {
        { "sense 5/3B/0E", -ENOMEDIUM, STATUS_SOURCE_ELEMENT_EMPTY },
        { "sense 5/3B/0D", -EEXIST, STATUS_DESTINATION_ELEMENT_FULL },
        { "sense 5/21/01", -EINVAL, STATUS_ILLEGAL_ELEMENT_ADDRESS },
        { "sense 5/3B/11", -EHOSTDOWN, STATUS_MAGAZINE_NOT_PRESENT },
        { "sense 2/3B/12", -EHOSTDOWN, STATUS_MAGAZINE_NOT_PRESENT },
        { "sense 2/04/18", -EHOSTDOWN, STATUS_DEVICE_DOOR_OPEN },
        { "sense 2/04/12", -EHOSTDOWN, STATUS_DEVICE_OFF_LINE },
        { "sense 5/53/02", -EBUSY, STATUS_UNABLE_TO_UNLOAD_MEDIA },
        { "sense 4/15/01", -EIO, STATUS_IO_DEVICE_ERROR },
        { "sense 4/40/80", -EIO, STATUS_DEVICE_HARDWARE_ERROR },
        { "reservation-conflict", -EBUSY, STATUS_DEVICE_BUSY },
    };
    struct house *h = *state;
    char rule[80];

    assert_int_equal(house_load(h, 1, 0), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(rule, sizeof rule, "at 1 0xA5 do %s", rows[i].rule);
        house_fault(h, rule);
        /* Out of a drive, where 53/02 belongs. */
        house_unload(h, 0, 1);
        if (h->result.error != rows[i].rc ||
            (NTSTATUS) h->result.status != rows[i].status)
            fail_msg("%s: %d %s: %s", rows[i].rule, h->result.error,
                     h->result.status_name, h->result.text);
        assert_false(h->result.maybe_moved);
        assert_true(house_element(h, RI_DRIVE, 0).full);
        vscsi_fault_clear(vscsi_library_robot(h->device));
    }
    assert_int_equal(house_unload(h, 0, 1), 0);
    house_check(h);
}

/* mtx scenario S8: the command succeeds after one resend. */
static void
CT88__unit_attention_at_a_motion__done_and_told(void **state)
{
    struct house *h = *state;

    house_fault(h, "at 1 0xA5 do sense 6/28/00");
    assert_int_equal(house_load(h, 2, 0), 0);
    assert_true(house_told(h, "attention", "may have been changed by hand"));
    house_check(h);
}

static void
CT91_CT92__answer_of_a_motion_lost__what_is_true_counts(void **state)
{
    struct house *h = *state;
    struct ri_element_info drive;

    /* Carried out, and then said to have failed. */
    house_fault(h, "at 1 0xA5 do recovered 4/15/01");
    assert_int_equal(house_load(h, 2, 0), 0);
    drive = house_element(h, RI_DRIVE, 0);
    assert_string_equal(drive.barcode, "LTO002L6");
    assert_int_equal(drive.home, 2);
    house_check(h);
    /* Never carried out: the time limit of the class driver's passes. */
    house_fault(h, "at 1 0xA5 do timeout");
    assert_int_equal(house_load(h, 3, 1), -ETIMEDOUT);
    assert_false(h->result.maybe_moved);
    assert_true(h->result.repeatable);
    assert_true(house_element(h, RI_SLOT, 3).full);
    house_check(h);
}

/* mtx scenario S29. */
static void
load__another_cartridge_comes__refused_and_recorded(void **state)
{
    struct house *h = *state;

    /* The robot takes the next slot's instead: done here by a hand, between
     * the look at the slot and the motion. */
    assert_int_equal(house_load(h, 4, 0), 0);
    assert_int_equal(house_unload(h, 0, 0), 0);
    house_forget(h);
    ri_library_hand(h->service, "shelf", "open-door", 0, NULL, &h->error);
    assert_int_equal(vscsi_library_take(h->device, VSCSI_ELEMENT_SLOT, 3, NULL,
                                        h->error.text, sizeof h->error.text),
                     0);
    assert_int_equal(vscsi_library_take(h->device, VSCSI_ELEMENT_SLOT, 4, NULL,
                                        h->error.text, sizeof h->error.text),
                     0);
    assert_int_equal(vscsi_library_put(h->device, VSCSI_ELEMENT_SLOT, 3,
                                       "LTO005L6", h->error.text,
                                       sizeof h->error.text),
                     0);
    assert_int_equal(vscsi_library_put(h->device, VSCSI_ELEMENT_SLOT, 4,
                                       "LTO004L6", h->error.text,
                                       sizeof h->error.text),
                     0);
    ri_library_hand(h->service, "shelf", "close-door", 0, NULL, &h->error);
    assert_int_equal(house_do(h, RI_LIB_REFRESH), 0);
    assert_true(house_told(h, "moved", "LTO004L6 is in slot 5"));
    assert_true(house_told(h, "moved", "LTO005L6 is in slot 4"));
    assert_int_equal(house_load(h, 4, 0), 0);
    assert_string_equal(h->result.barcode, "LTO005L6");
    house_check(h);
}

/* mtx scenario S29, by the robot itself. */
static void
load__the_robot_takes_another_one__refused_recorded_and_the_right_one_found(
    void **state)
{
    struct house *h = *state;
    uint64_t moves;

    house_fault(h, "at 1 move do wrong-medium");
    assert_int_equal(house_load(h, 2, 0), -EMEDIUMTYPE);
    assert_int_equal(h->result.status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_string_equal(h->result.text,
                        "wrong volume: expected LTO002L6, found LTO003L6");
    /* Something did move: the same command is not to be given blindly. */
    assert_true(h->result.maybe_moved);
    assert_false(h->result.repeatable);
    assert_true(house_told(h, "wrong", "LTO003L6 came"));
    assert_string_equal(house_element(h, RI_DRIVE, 0).barcode, "LTO003L6");
    assert_int_equal(house_element(h, RI_DRIVE, 0).home, 3);
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO002L6");
    house_check(h);
    moves = moves_of(h);
    assert_int_equal(moves, 1);
    assert_int_equal(house_load(h, 2, 1), 0);
    assert_string_equal(house_element(h, RI_DRIVE, 1).barcode, "LTO002L6");
    assert_int_equal(house_unload(h, 0, 0), 0);
    assert_int_equal(h->result.destination, 3);
    house_check(h);
}

static void
transfer__the_robot_takes_another_one__refused_and_recorded(void **state)
{
    struct house *h = *state;

    house_fault(h, "at 1 move do wrong-medium");
    assert_int_equal(house_transfer(h, 1, 7), -EMEDIUMTYPE);
    assert_string_equal(house_element(h, RI_SLOT, 7).barcode, "LTO002L6");
    assert_string_equal(house_element(h, RI_SLOT, 1).barcode, "LTO001L6");
    house_check(h);
}

static bool load_ended;

static void *
load_second(void *context)
{
    house_load(context, 2, 0);
    __atomic_store_n(&load_ended, true, __ATOMIC_RELEASE);
    return NULL;
}

static bool
arrived(struct house *h)
{
    struct vscsi_library_snapshot *truth = vscsi_library_snapshot(h->device);
    bool full = false;

    for (unsigned i = 0; i < truth->count; i++)
        if (truth->elements[i].kind == VSCSI_ELEMENT_DRIVE &&
            truth->elements[i].index == 0)
            full = truth->elements[i].full;
    free(truth);
    return full;
}

/* Carried out, and never answered: the time limit of the motion passes. */
static void
CT91_CT92__motion_done_and_never_answered__settled_and_not_resent(void **state)
{
    struct house *h = *state;
    pthread_t thread;

    load_ended = false;
    house_fault(h, "at 1 move do no-answer");
    assert_int_equal(pthread_create(&thread, NULL, load_second, h), 0);
    while (!arrived(h))
        usleep(1000);
    clock_manual(true);
    /* Again: the limit is set when the command was given to the robot. */
    while (!__atomic_load_n(&load_ended, __ATOMIC_ACQUIRE)) {
        clock_advance_ms(1200000);
        usleep(1000);
    }
    clock_manual(false);
    pthread_join(thread, NULL);
    assert_int_equal(h->result.error, 0);
    assert_int_equal(moves_of(h), 1);
    assert_string_equal(house_element(h, RI_DRIVE, 0).barcode, "LTO002L6");
    assert_int_equal(house_element(h, RI_DRIVE, 0).home, 2);
    house_check(h);
}

struct looker {
    struct house *house;
    bool stop;
    unsigned looks, wrong;
};

/* Each cartridge in one place, with its label, and known. */
static bool
all_there(struct house *h, unsigned cartridges)
{
    struct ri_element_info *list = NULL;
    size_t count = 0;
    unsigned full = 0, known = 0;
    uint64_t sum = 0;

    if (ri_library_elements(h->service, "shelf", &list, &count, NULL) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        full += list[i].full;
        known += list[i].full && list[i].cartridge != 0 && list[i].home != 0 &&
                 list[i].barcode[0] != '\0';
        sum += list[i].full ? list[i].cartridge : 0;
    }
    free(list);
    return full == cartridges && known == cartridges &&
           sum == (uint64_t) cartridges * (cartridges + 1) / 2;
}

static void *
look_all_the_time(void *context)
{
    struct looker *looker = context;

    while (!__atomic_load_n(&looker->stop, __ATOMIC_ACQUIRE)) {
        looker->wrong += !all_there(looker->house, 5);
        looker->looks++;
    }
    return NULL;
}

/* Shown is what the drive and the robot last said, whole: never a cartridge
 * that is nowhere, or that nobody knows, because it has just been moved. */
static void
motion__who_looks_meanwhile__sees_every_cartridge_once(void **state)
{
    struct house *h = *state;
    struct looker looker = { .house = h };
    pthread_t thread;

    assert_true(all_there(h, 5));
    /* Long enough to be seen between the readings of the two ends. */
    house_fault(h, "at * status do delay 3");
    assert_int_equal(pthread_create(&thread, NULL, look_all_the_time, &looker),
                     0);
    for (unsigned n = 0; n < 5; n++) {
        assert_int_equal(house_load(h, 1, 0), 0);
        assert_int_equal(house_transfer(h, 2, 1), 0);
        assert_int_equal(house_do(h, RI_LIB_REFRESH), 0);
        assert_int_equal(house_transfer(h, 1, 2), 0);
        assert_int_equal(house_unload(h, 0, 1), 0);
    }
    __atomic_store_n(&looker.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_true(looker.looks > 0);
    assert_int_equal(looker.wrong, 0);
}

static void
verify__nothing_differs__says_what_was_compared(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_do(h, RI_LIB_VERIFY), 0);
    assert_int_equal(h->result.note_count, 0);
    assert_non_null(
        strstr(h->result.text, "5 cartridges in 8 slots, 1 mail slots"));
    assert_non_null(strstr(h->result.text, "2 drives"));
    assert_non_null(strstr(h->result.text, "nothing differs"));
}

/* --- what is left in the robot's hand ---------------------------- */

static void
motion__stuck_in_the_hand__put_away_told_and_not_resent(void **state)
{
    struct house *h = *state;

    house_fault(h, "at 1 move do stuck");
    assert_int_equal(house_load(h, 2, 0), -EIO);
    assert_false(house_element(h, RI_TRANSPORT, 0).full);
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO002L6");
    assert_false(house_element(h, RI_DRIVE, 0).full);
    assert_true(h->result.note_count > 0);
    assert_non_null(
        strstr(h->result.notes[h->result.note_count - 1],
               "cartridge LTO002L6, which the robot held, is in slot 2"));
    house_check(h);
}

static void
motion__hand_cannot_be_emptied__the_next_one_says_so_or_does(void **state)
{
    struct house *h = *state;

    house_fault(h, "at 1 move do stuck");
    house_fault(h, "at 2 move do sense 4/15/01");
    house_fault(h, "at 3 move do sense 4/15/01");
    assert_int_equal(house_load(h, 2, 0), -EIO);
    assert_string_equal(house_element(h, RI_TRANSPORT, 0).barcode, "LTO002L6");
    assert_int_equal(house_load(h, 3, 0), -EIO);
    assert_non_null(strstr(h->result.text, "the robot holds cartridge "
                                           "LTO002L6, and cannot put it away"));
    assert_string_equal(house_element(h, RI_SLOT, 3).barcode, "LTO003L6");
    assert_int_equal(house_load(h, 3, 0), 0);
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO002L6");
    house_check(h);
}

/* --- the end of the service in the middle ---------------------------- */

static uint64_t
real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static bool
is_moving(struct house *h)
{
    struct ri_library_info *list;
    size_t count;
    bool moving;

    assert_int_equal(ri_libraries(h->service, &list, &count), 0);
    moving = strcmp(list[0].state, "moving") == 0;
    free(list);
    return moving;
}

static void
shutdown__motion_of_minutes__is_let_go_and_settled_at_the_next_start(
    void **state)
{
    struct house *h = *state;
    pthread_t thread;
    uint64_t begun;

    house_stop(h);
    h->library.move_ms = 600000;
    house_start(h);
    assert_int_equal(pthread_create(&thread, NULL, load_second, h), 0);
    while (!is_moving(h))
        usleep(1000);
    begun = real_ms(); /* the motion takes ten minutes */
    ri_service_shutdown(h->service);
    /* Whoever gave the command is told before the service is gone. */
    pthread_join(thread, NULL);
    assert_int_equal(h->result.error, -ESHUTDOWN);
    assert_true(h->result.maybe_moved);
    ri_service_free(h->service);
    assert_true(real_ms() - begun < 120000);
    h->service = NULL;
    h->library.move_ms = 0;
    house_start(h);
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO002L6");
    assert_false(house_element(h, RI_DRIVE, 0).full);
    house_check(h);
    assert_int_equal(house_load(h, 2, 0), 0);
    house_check(h);
}

/* mtx scenario S11: one sentence that a person understands. */
static void
library__door_open__said_and_nothing_moved(void **state)
{
    struct house *h = *state;
    struct ri_library_info *info;
    size_t count;

    assert_int_equal(
        ri_library_hand(h->service, "shelf", "open-door", 0, NULL, &h->error),
        0);
    assert_int_equal(house_load(h, 1, 0), -EHOSTDOWN);
    assert_int_equal((NTSTATUS) h->result.status, STATUS_DEVICE_DOOR_OPEN);
    assert_non_null(strstr(h->result.text, "door"));
    assert_int_equal(ri_libraries(h->service, &info, &count), 0);
    assert_string_equal(info[0].state, "door open");
    free(info);
    assert_true(house_told(h, "door", "open"));
    assert_int_equal(
        ri_library_hand(h->service, "shelf", "close-door", 0, NULL, &h->error),
        0);
    assert_int_equal(house_load(h, 1, 0), 0);
    house_check(h);
}

static void
library__sequential_mode_or_offline__one_sentence(void **state)
{
    static const struct {
        const char *rule, *text;
        NTSTATUS status;
    } rows[] = {
        { "at 1+ tur do sense 2/04/19", "sequential mode",
          STATUS_DEVICE_OFF_LINE },
        { "at 1+ tur do sense 2/04/12", "offline", STATUS_DEVICE_OFF_LINE },
        { "at 1+ tur do sense 2/04/18", "door", STATUS_DEVICE_DOOR_OPEN },
        { "at 1+ tur do sense 2/04/03", "has to help",
          STATUS_DEVICE_NOT_READY },
    };
    struct house *h = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        house_fault(h, rows[i].rule);
        assert_int_equal(house_load(h, 1, 0), -EHOSTDOWN);
        assert_int_equal((NTSTATUS) h->result.status, rows[i].status);
        assert_non_null(strstr(h->result.text, rows[i].text));
        vscsi_fault_clear(vscsi_library_robot(h->device));
    }
}

/* Ends the fault once somebody has said that he waits. */
static void *
get_ready(void *context)
{
    struct house *h = context;

    for (int i = 0; i < 12000 && !house_told(h, "wait", "still starting"); i++)
        usleep(5000);
    vscsi_fault_clear(vscsi_library_robot(h->device));
    return NULL;
}

/* mtx scenario S10. */
static void
library__becoming_ready__waited_for_but_not_with_nowait(void **state)
{
    struct house *h = *state;
    struct ri_library_command command = {
        .op = RI_LIB_LOAD, .source = 1, .drive = 0, .flags = RI_LIB_NOWAIT
    };

    pthread_t thread;

    house_fault(h, "at 1+ 0xB8 do sense 2/04/01");
    house_fault(h, "at 1+ tur do sense 2/04/01");
    assert_int_equal(house_command(h, &command), -EAGAIN);
    assert_non_null(strstr(h->result.text, "still starting (becoming ready)"));
    house_forget(h);
    assert_int_equal(pthread_create(&thread, NULL, get_ready, h), 0);
    assert_int_equal(house_load(h, 1, 0), 0);
    pthread_join(thread, NULL);
    assert_true(house_told(h, "wait", "still starting"));
}

/* --- drives and cartridges that fail ---------------------------- */

static void
drive__fails_three_cartridges__set_aside(void **state)
{
    struct house *h = *state;
    struct ri_library_command any = { .op = RI_LIB_LOAD,
                                      .source = 5,
                                      .drive = RI_NO_DRIVE };

    for (uint32_t slot = 1; slot <= 3; slot++) {
        house_fault(h, "at 1 0xA5 do sense 4/53/09");
        assert_int_equal(house_load(h, slot, 0), -EIO);
        assert_int_equal(house_element(h, RI_DRIVE, 0).drive_set_aside,
                         slot == 3);
    }
    assert_true(house_told(h, "aside", "drive 0 failed 3 cartridges"));
    assert_int_equal(house_element(h, RI_SLOT, 1).errors, 1);
    /* Nobody chooses it any more; who names it may try it, and if it works it
     * is back. */
    assert_int_equal(house_command(h, &any), 0);
    assert_int_equal(h->result.drive, 1);
    assert_int_equal(house_load(h, 1, 0), 0);
    assert_false(house_element(h, RI_DRIVE, 0).drive_set_aside);
}

static void
cartridge__fails_in_two_drives__marked_also_after_a_restart(void **state)
{
    struct house *h = *state;

    for (uint32_t drive = 0; drive < 2; drive++) {
        house_fault(h, "at 1 0xA5 do sense 4/53/09");
        assert_int_equal(house_load(h, 2, drive), -EIO);
        assert_int_equal(house_element(h, RI_SLOT, 2).marked, drive == 1);
    }
    assert_true(house_told(h, "marked", "LTO002L6 failed in 2 drives"));
    house_stop(h);
    house_start(h);
    assert_true(house_element(h, RI_SLOT, 2).marked);
    assert_int_equal(house_element(h, RI_SLOT, 2).errors, 2);
}

static void
cleaning__cartridge_is_no_data__and_is_counted(void **state)
{
    struct house *h = *state;
    struct ri_library_command clean = { .op = RI_LIB_CLEAN, .drive = 1 };
    char path[160];
    FILE *file;

    house_stop(h);
    snprintf(path, sizeof path, "%s/media/CLN001L1", h->folder);
    file = fopen(path, "w");
    fclose(file);
    h->library.cleaning_uses = 2;
    house_start(h);
    assert_true(house_element(h, RI_SLOT, 6).cleaning);
    /* mtx scenario S15 */
    assert_int_equal(house_load(h, 6, 0), -EMEDIUMTYPE);
    for (uint32_t n = 1; n <= 2; n++) {
        assert_int_equal(house_command(h, &clean), 0);
        assert_int_equal(house_element(h, RI_SLOT, 6).cleanings, n);
        house_check(h);
    }
    assert_true(house_told(h, "cleaning", "drive 1 was cleaned"));
    assert_int_equal(house_command(h, &clean), -EMEDIUMTYPE);
    assert_true(house_element(h, RI_SLOT, 6).expired);
    assert_true(house_told(h, "cleaning", "used up"));
    /* No other one is there. */
    assert_int_equal(house_command(h, &clean), -ENOENT);
    house_check(h);
}

static bool
told_soon(struct house *h, const char *action, const char *text)
{
    for (int i = 0; i < 60000; i++) {
        if (house_told(h, action, text))
            return true;
        usleep(1000);
    }
    return false;
}

/* Recovered error, cleaning requested: the medium that asked is moved out of
 * the way, the drive cleaned, once, and the cleaning cartridge put back. */
static void
cleaning__drive_asks__is_cleaned_when_it_is_free(void **state)
{
    struct house *h = *state;
    char path[160];
    FILE *file;

    house_stop(h);
    snprintf(path, sizeof path, "%s/media/CLN001L1", h->folder);
    file = fopen(path, "w");
    fclose(file);
    h->library.cleaning = true;
    house_start(h);
    house_drive_fault(h, 0, "at 1 read do recovered 1/00/17");
    assert_int_equal(house_load(h, 2, 0), 0);
    assert_int_equal(house_load(h, 1, 1), 0);
    house_do(h, RI_LIB_REFRESH);
    /* An operator loaded it: it is his until he takes it out. */
    assert_int_equal(house_unload(h, 0, 0), 0);
    assert_true(told_soon(h, "cleaning", "drive 0 was cleaned"));
    assert_true(told_soon(h, "end", "from drive 0 to slot 6: done"));
    assert_int_equal(house_do(h, RI_LIB_REFRESH), 0);
    assert_int_equal(house_element(h, RI_SLOT, 6).cleanings, 1);
    assert_string_equal(house_element(h, RI_SLOT, 2).barcode, "LTO002L6");
    assert_string_equal(house_element(h, RI_DRIVE, 1).barcode, "LTO001L6");
    house_check(h);
}

/* --- homes ---------------------------- */

/* mtx scenario S28: the ledger knows, though the robot forgot. */
static void
home__after_a_restart__from_the_ledger(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_load(h, 4, 1), 0);
    house_stop(h);
    house_start(h);
    assert_string_equal(house_element(h, RI_DRIVE, 1).barcode, "LTO004L6");
    assert_int_equal(house_element(h, RI_DRIVE, 1).home, 4);
    house_check(h);
    assert_int_equal(house_unload(h, 1, 0), 0);
    assert_int_equal(h->result.destination, 4);
    house_check(h);
}

static void
forget_everything(struct house *h)
{
    char command[160];

    snprintf(command, sizeof command, "rm -f %s/state/ledger.sqlite*",
             h->folder);
    assert_int_equal(system(command), 0);
}

/* The robot remembers where it took it from. */
static void
home__ledger_lost__the_robot_is_believed(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_load(h, 4, 1), 0);
    house_stop(h);
    forget_everything(h);
    house_start(h);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home_from, RI_HOME_LIBRARY);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home, 4);
    assert_int_equal(house_unload(h, 1, 0), 0);
    assert_int_equal(h->result.destination, 4);
    house_check(h);
}

/* Neither robot nor ledger knows: mtx scenario S2. */
static void
home__nobody_knows__never_guessed(void **state)
{
    struct house *h = *state;
    uint64_t moves;

    /* By way of the mail slot, which is nobody's home. */
    assert_int_equal(house_transfer(h, 4, 9), 0);
    assert_int_equal(house_load(h, 9, 1), 0);
    house_stop(h);
    forget_everything(h);
    house_start(h);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home, 0);
    moves = moves_of(h);
    assert_int_equal(house_unload(h, 1, 0), -ENOENT);
    assert_non_null(strstr(h->result.text, "nobody knows"));
    assert_non_null(strstr(h->result.text, "free: 4, 6, 7, 8"));
    assert_int_equal(moves_of(h), moves);
    assert_string_equal(house_element(h, RI_DRIVE, 1).barcode, "LTO004L6");
    assert_int_equal(house_unload(h, 1, 6), 0);
    assert_int_equal(house_element(h, RI_SLOT, 6).home, 6);
    house_check(h);
}

/* mtx scenario S3: two drives remember the same slot. */
static void
home__two_drives_remember_one_slot__the_second_is_refused(void **state)
{
    struct house *h = *state;

    assert_int_equal(house_load(h, 4, 0), 0);
    /* Another cartridge took its place meanwhile, and was loaded from there. */
    assert_int_equal(house_transfer(h, 5, 4), 0);
    assert_int_equal(house_load(h, 4, 1), 0);
    house_stop(h);
    forget_everything(h);
    house_start(h);
    assert_int_equal(house_element(h, RI_DRIVE, 0).home, 4);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home, 4);
    assert_int_equal(house_unload(h, 0, 0), 0);
    assert_int_equal(h->result.destination, 4);
    assert_int_equal(house_unload(h, 1, 0), -EEXIST);
    assert_non_null(strstr(h->result.text, "slot 4 is full"));
    assert_non_null(strstr(h->result.text, "LTO005L6 belongs there, too"));
    assert_string_equal(house_element(h, RI_DRIVE, 1).barcode, "LTO005L6");
    assert_int_equal(house_unload(h, 1, 7), 0);
    house_check(h);
}

/* Labels that nobody can read, in a robot that does not say the source. */
static void
home__adopted__chosen_once_and_kept(void **state)
{
    struct house *h = *state;
    uint32_t home;

    assert_int_equal(house_load(h, 4, 1), 0);
    /* Into the mail slot and from there into a drive: it has no home then. */
    assert_int_equal(house_unload(h, 1, 9), 0);
    assert_int_equal(house_element(h, RI_MAIL_SLOT, 9).home, 0);
    assert_int_equal(house_load(h, 9, 1), 0);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home, 0);
    assert_int_equal(house_unload(h, 1, 0), -ENOENT);
    assert_non_null(strstr(h->result.text, "free: 4, 6, 7, 8"));
    house_stop(h);
    h->library.adopt = true;
    house_start(h);
    home = house_element(h, RI_DRIVE, 1).home;
    assert_int_equal(home, 4);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home_from, RI_HOME_ADOPTED);
    house_stop(h);
    house_start(h);
    assert_int_equal(house_element(h, RI_DRIVE, 1).home, home);
    assert_int_equal(house_unload(h, 1, 0), 0);
    assert_int_equal(h->result.destination, home);
}

/* --- mail slots ---------------------------- */

/* mtx scenario S20. */
static void
export_and_import__through_the_mail_slot(void **state)
{
    struct house *h = *state;
    struct ri_library_command out = { .op = RI_LIB_EXPORT,
                                      .source = 2,
                                      .drive = RI_NO_DRIVE };

    assert_int_equal(house_command(h, &out), 0);
    assert_int_equal(h->result.destination, 9);
    /* It is open now: nothing moves there. */
    assert_int_equal(house_load(h, 9, 0), -EHOSTDOWN);
    assert_int_equal(
        ri_library_hand(h->service, "shelf", "remove", 9, NULL, &h->error), 0);
    assert_int_equal(house_do(h, RI_LIB_CLOSE_MAIL), 0);
    assert_true(house_told(h, "gone", "LTO002L6"));
    assert_int_equal(house_do(h, RI_LIB_OPEN_MAIL), 0);
    assert_int_equal(ri_library_hand(h->service, "shelf", "insert", 9,
                                     "LTO002L6", &h->error),
                     0);
    assert_int_equal(house_do(h, RI_LIB_CLOSE_MAIL), 0);
    assert_true(house_element(h, RI_MAIL_SLOT, 9).imported);
    assert_true(house_told(h, "arrived", "LTO002L6 is back"));
    assert_int_equal(house_do(h, RI_LIB_IMPORT), 0);
    assert_int_equal(h->result.destination, 2);
    house_check(h);
}

/* --- other processes ---------------------------- */

static void
state_folder__in_use__holder_named(void **state)
{
    struct house *h = *state;
    struct ri_error error = { "" };
    char folder[160], pid[32];
    int fd;

    snprintf(folder, sizeof folder, "%s/state", h->folder);
    snprintf(pid, sizeof pid, "process %d", (int) getpid());
    assert_int_equal(library_lock(folder, &fd, &error), -EBUSY);
    assert_non_null(strstr(error.text, pid));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(load_and_unload__medium_is_in_the_drive_and_home_again),
        TEST(load__by_label_into_any_drive__first_empty_one),
        TEST(exchange__slot_and_drive__both_swapped_with_their_homes),
        TEST(exchange__robot_refuses_it__done_by_single_motions),
        TEST(load__empty_slot_or_full_drive__refused_without_a_motion),
        TEST(transfer__to_itself_or_to_a_full_slot__refused),
        TEST(unload__empty_drive__refused),
        TEST(unload__of_a_named_cartridge__no_other_one_is_taken),
        TEST(unload__home_is_full__refused_with_the_conflict_named),
        TEST(labels__two_alike__refused_with_both_places),
        TEST(
            CT81_CT82_CT83_CT86_CT87__motion_refused__its_status_and_nothing_moved),
        TEST(CT88__unit_attention_at_a_motion__done_and_told),
        TEST(CT91_CT92__answer_of_a_motion_lost__what_is_true_counts),
        TEST(load__another_cartridge_comes__refused_and_recorded),
        TEST(
            load__the_robot_takes_another_one__refused_recorded_and_the_right_one_found),
        TEST(transfer__the_robot_takes_another_one__refused_and_recorded),
        TEST(CT91_CT92__motion_done_and_never_answered__settled_and_not_resent),
        TEST(motion__who_looks_meanwhile__sees_every_cartridge_once),
        TEST(verify__nothing_differs__says_what_was_compared),
        TEST(motion__stuck_in_the_hand__put_away_told_and_not_resent),
        TEST(motion__hand_cannot_be_emptied__the_next_one_says_so_or_does),
        TEST(
            shutdown__motion_of_minutes__is_let_go_and_settled_at_the_next_start),
        TEST(library__door_open__said_and_nothing_moved),
        TEST(library__sequential_mode_or_offline__one_sentence),
        TEST(library__becoming_ready__waited_for_but_not_with_nowait),
        TEST(drive__fails_three_cartridges__set_aside),
        TEST(cartridge__fails_in_two_drives__marked_also_after_a_restart),
        TEST(cleaning__cartridge_is_no_data__and_is_counted),
        TEST(cleaning__drive_asks__is_cleaned_when_it_is_free),
        TEST(home__after_a_restart__from_the_ledger),
        TEST(home__ledger_lost__the_robot_is_believed),
        TEST(home__nobody_knows__never_guessed),
        TEST(home__two_drives_remember_one_slot__the_second_is_refused),
        TEST(home__adopted__chosen_once_and_kept),
        TEST(export_and_import__through_the_mail_slot),
        TEST(state_folder__in_use__holder_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
