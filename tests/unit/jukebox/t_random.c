/*
 * t_random.c - 10,000 motions, door events and faults, in any order
 *
 * After each of them what the ledger and the robot say agrees with what is
 * true, and every cartridge is in exactly one place; in the end no cartridge
 * was lost, and the memory is what it was in the middle.
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS  12
#define MAIL   2
#define DRIVES 3
#define MEDIA  9

static uint32_t seed = 20261121;

static uint32_t
any(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t) (((uint64_t) seed * below) >> 32);
}

/* One in fifty. */
static void
perhaps_fail(struct house *h)
{
    static const char *const rules[] = {
        "at 1 0xA5 do sense 4/15/01", "at 1 0xA5 do sense 6/28/00",
        "at 1 0xA5 do sense 4/53/09", "at 1 0xA5 do recovered 4/15/01",
        "at 1 0xB8 do sense 6/29/00", "at 1 0xA5 do sense 5/3B/0E",
        "at 1 0xA5 do sense B/47/00", "at 1 0xB8 do sense B/47/00",
        "at 1 0xA5 do timeout",       "at 1 0xA5 do reset",
        "at 1 0xA6 do sense 5/20/00", "at 1 0xA5 do busy",
        "at 1 tur do sense 6/3B/13",  "at 2 0xB8 do sense 2/04/07",
        "at 1 move do stuck",         "at 1 move do wrong-medium",
        "at 1 move do half",          "at 1 move do not-loaded",
        "at 1 move do unreadable",
    };

    vscsi_fault_clear(vscsi_library_robot(h->device));
    if (any(50) == 0)
        house_fault(h, rules[any(sizeof rules / sizeof rules[0])]);
}

static void
hand(struct house *h, const char *what)
{
    ri_library_hand(h->service, "shelf", what, 0, NULL, &h->error);
}

static void
one_step(struct house *h)
{
    struct ri_library_command command = { .drive = RI_NO_DRIVE };
    uint32_t what = any(100);

    command.source = 1 + any(SLOTS + MAIL);
    command.destination = 1 + any(SLOTS + MAIL);
    if (what < 35) {
        command.op = RI_LIB_LOAD;
        command.drive = any(DRIVES);
    } else if (what < 65) {
        command.op = RI_LIB_UNLOAD;
        command.drive = any(DRIVES);
        command.destination = any(3) != 0 ? 0 : command.destination;
    } else if (what < 80) {
        command.op = RI_LIB_TRANSFER;
    } else if (what < 90) {
        command.op = RI_LIB_EXCHANGE;
        command.drive = any(2) != 0 ? any(DRIVES) : RI_NO_DRIVE;
    } else if (what < 94) {
        command.op = any(2) != 0 ? RI_LIB_REFRESH : RI_LIB_VERIFY;
    } else if (what < 97) {
        hand(h, "open-door");
        command.op = RI_LIB_LOAD;
        command.drive = 0;
        house_command(h, &command);
        hand(h, "close-door");
        return;
    } else {
        command.op = RI_LIB_INVENTORY;
        command.source = command.destination = 0;
    }
    perhaps_fail(h);
    house_command(h, &command);
}

static unsigned
count_cartridges(struct house *h)
{
    struct vscsi_library_snapshot *truth = vscsi_library_snapshot(h->device);
    unsigned n = 0;

    for (unsigned i = 0; i < truth->count; i++)
        n += truth->elements[i].full;
    free(truth);
    return n;
}

static void
random__10000_steps__every_cartridge_in_one_place(void **state)
{
    struct house *h = house_new(SLOTS, MAIL, DRIVES, MEDIA);
    unsigned done = 0;
    size_t before = 0, after = 0;

    (void) state;
    house_start(h);
    for (int step = 0; step < 10000; step++) {
        one_step(h);
        done += h->result.error == 0;
        /* What could not be read may be wrong; nothing else may. */
        vscsi_fault_clear(vscsi_library_robot(h->device));
        if (h->result.error != 0)
            house_do(h, RI_LIB_REFRESH);
        assert_int_equal(h->result.error, 0);
        house_check(h);
        assert_int_equal(count_cartridges(h), MEDIA);
        house_forget(h);
        if (step == 5000)
            before = mallinfo2().uordblks;
    }
    /* What is under way just now ends; what is lost stays. */
    for (int i = 0; i < 60000; i++) {
        after = mallinfo2().uordblks;
        if (after <= before + 64 * 1024)
            break;
        usleep(1000);
    }
    /* So many were possible that the test means something. */
    assert_true(done > 2500);
    if (after > before + 64 * 1024)
        fail_msg("%zu bytes more than in the middle", after - before);
    house_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random__10000_steps__every_cartridge_in_one_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
