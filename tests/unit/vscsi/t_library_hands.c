/*
 * t_library_hands.c - doors, mail slots, magazines, cleaners, drift, restarts
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <sys/wait.h>

#include "house.h"

HOUSE(plain, 4, .slots = 8, .mail_slots = 2)
HOUSE(vendor, 4, .slots = 8, .mail_slots = 2, .personality = "reinsert-vendor")

static int
put(struct house *house, enum vscsi_element_kind kind, unsigned index,
    const char *file)
{
    char text[300] = "";
    int error =
        vscsi_library_put(house->library, kind, index, file, text, sizeof text);

    assert_true(error == 0 || text[0] != '\0');
    return error;
}

static int
take(struct house *house, enum vscsi_element_kind kind, unsigned index)
{
    char text[300] = "";
    int error = vscsi_library_take(house->library, kind, index, NULL, text,
                                   sizeof text);

    assert_true(error == 0 || text[0] != '\0');
    return error;
}

static int
door(struct house *house, bool open)
{
    return vscsi_library_door(house->library, open, NULL, 0);
}

static int
mail(struct house *house, bool open)
{
    return vscsi_library_mail(house->library, open, NULL, 0);
}

static void
door__opened__is_reported_and_closing_is_a_medium_change(void **state)
{
    struct house *house = *state;

    assert_int_equal(take(house, VSCSI_ELEMENT_SLOT, 0), -EPERM);
    assert_int_equal(door(house, true), 0);
    assert_int_equal(TUR(&house->rig), 0x020418);
    assert_int_equal(move(house, SLOT, DRIVE), 0x020418);
    assert_int_equal(take(house, VSCSI_ELEMENT_SLOT, 0), 0);
    assert_int_equal(take(house, VSCSI_ELEMENT_SLOT, 0), -ENOENT);
    assert_int_equal(put(house, VSCSI_ELEMENT_SLOT, 6, "vol001L6.img"), 0);
    assert_int_equal(put(house, VSCSI_ELEMENT_SLOT, 7, "vol001L6.img"),
                     -EEXIST);
    assert_int_equal(put(house, VSCSI_ELEMENT_SLOT, 6, "vol002L6.img"), -EBUSY);
    assert_int_equal(put(house, VSCSI_ELEMENT_SLOT, 5, "absent.img"), -ENOENT);
    assert_int_equal(put(house, VSCSI_ELEMENT_SLOT, 5, "../state"), -ENOENT);
    assert_int_equal(put(house, VSCSI_ELEMENT_SLOT, 8, "vol002L6.img"),
                     -ERANGE);
    assert_int_equal(put(house, VSCSI_ELEMENT_DRIVE, 0, "vol002L6.img"),
                     -EINVAL);
    assert_int_equal(door(house, false), 0);
    assert_int_equal(TUR(&house->rig), 0x062800);
    assert_int_equal(TUR(&house->rig), 0);
    assert_int_equal(descriptor(house, 2, SLOT + 6)[2] & 1, 1);
    assert_int_equal(count_cartridges(house), 4);
}

static void
door__kept_shut_by_prevent__raises_a_request(void **state)
{
    struct house *house = *state;

    assert_int_equal(NONE(&house->rig, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(door(house, true), -EPERM);
    assert_int_equal(TUR(&house->rig), 0x065A01);
    assert_int_equal(mail(house, true), -EPERM);
    assert_int_equal(TUR(&house->rig), 0x065A01);
    assert_int_equal(NONE(&house->rig, 0x1B, 0, 0, MAIL, 0, 0), 0x055302);
    assert_int_equal(NONE(&house->rig, 0x1E, 0, 0, 0, 0, 0), 0);
    assert_int_equal(door(house, true), 0);
    assert_int_equal(NONE(&house->rig, 0x1E, 0, 0, 0, 2, 0), 0x052400);
    assert_int_equal(door(house, false), 0);
}

static void
mail_slot__import_and_export__tell_who_put_it_there(void **state)
{
    struct house *house = *state;
    const uint8_t *at;

    house_file(house, "new001L6");
    assert_int_equal(put(house, VSCSI_ELEMENT_MAIL, 0, "new001L6"), -EPERM);
    assert_int_equal(mail(house, true), 0);
    assert_int_equal(descriptor(house, 3, MAIL)[2] & 0x08, 0); /* Access */
    assert_int_equal(move(house, SLOT, MAIL), 0x023A02);
    assert_int_equal(put(house, VSCSI_ELEMENT_MAIL, 0, "new001L6"), 0);
    assert_int_equal(mail(house, false), 0);
    assert_int_equal(TUR(&house->rig), 0x062803);
    at = descriptor(house, 3, MAIL);
    assert_int_equal(at[2], 0x30 | 0x08 | 0x02 | 0x01);
    assert_memory_equal(at + 12, "NEW001L6 ", 9);
    assert_int_equal(move(house, MAIL, SLOT + 7), 0);
    assert_int_equal(move(house, SLOT, MAIL + 1), 0);
    at = descriptor(house, 3, MAIL + 1);
    assert_int_equal(at[2] & 0x03, 0x01); /* the robot did */
    /* Looked into, and nothing taken. */
    assert_int_equal(NONE(&house->rig, 0x1B, 0, 0, MAIL, 0, 0), 0);
    assert_int_equal(NONE(&house->rig, 0x1B, 0, 0, MAIL, 1, 0), 0);
    assert_int_equal(TUR(&house->rig), 0x062801);
    assert_int_equal(mail(house, true), 0);
    assert_int_equal(take(house, VSCSI_ELEMENT_MAIL, 1), 0);
    assert_int_equal(mail(house, false), 0);
    assert_int_equal(TUR(&house->rig), 0x062803);
    assert_int_equal(count_cartridges(house), 4);
    assert_int_equal(NONE(&house->rig, 0x1B, 0, HI(SLOT), 0, 0, 0), 0x052101);
    assert_int_equal(NONE(&house->rig, 0x1B, 0, 0, MAIL, 2, 0), 0x052400);
}

static void
magazine_and_drive__taken_out__are_missed_by_name(void **state)
{
    struct house *house = *state;
    const uint8_t *at;

    assert_int_equal(vscsi_library_fit(house->library, VSCSI_ELEMENT_SLOT, 0, 4,
                                       false, NULL, 0),
                     0);
    assert_int_equal(TUR(&house->rig), 0x063B12);
    at = descriptor(house, 2, SLOT);
    assert_int_equal(at[2] & 0x0d, 0x04); /* Except; no Access, not Full */
    assert_int_equal(number_at(at + 4, 2), 0x3B12);
    assert_int_equal(move(house, SLOT, DRIVE), 0x053B11);
    assert_int_equal(vscsi_library_fit(house->library, VSCSI_ELEMENT_SLOT, 0, 4,
                                       true, NULL, 0),
                     0);
    assert_int_equal(TUR(&house->rig), 0x063B13);
    assert_int_equal(vscsi_library_fit(house->library, VSCSI_ELEMENT_DRIVE, 1,
                                       1, false, NULL, 0),
                     0);
    assert_int_equal(TUR(&house->rig), 0x063B1A);
    assert_int_equal(number_at(descriptor(house, 4, DRIVE + 1) + 4, 2), 0x3B1A);
    assert_int_equal(move(house, SLOT, DRIVE + 1), 0x053B1A);
    assert_int_equal(vscsi_library_fit(house->library, VSCSI_ELEMENT_DRIVE, 1,
                                       1, true, NULL, 0),
                     0);
    assert_int_equal(TUR(&house->rig), 0x063B1B);
    assert_int_equal(vscsi_library_fit(house->library, VSCSI_ELEMENT_SLOT, 7, 2,
                                       false, NULL, 0),
                     -ERANGE);
}

static void
cleaner__in_a_drive__is_said_counted_and_expires(void **state)
{
    struct house *house = *state;

    house_close(house);
    house_file(house, "CLN001L1.img");
    house->config.cleaning_uses = 2;
    unlink(house->state);
    house_open(house); /* it sorts before the others: slot 1 */
    assert_true(element(house, VSCSI_ELEMENT_SLOT, 0).cleaning);
    assert_int_equal(descriptor(house, 2, SLOT)[9] & 7, 2);
    (void) drive_tur(house, 0);
    for (unsigned left = 1; left + 1 > 0; left--) {
        assert_int_equal(move(house, SLOT, DRIVE), 0);
        assert_int_equal(drive_tur(house, 0), 0x033003);
        assert_int_equal(element(house, VSCSI_ELEMENT_DRIVE, 0).uses_left,
                         left);
        assert_string_equal(image_in(house, 0), "");
        assert_int_equal(move(house, DRIVE, SLOT), 0);
        assert_int_equal(drive_tur(house, 0), 0x023A00);
        /* Counted over restarts, too. */
        house_close(house);
        house_open(house);
    }
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_int_equal(drive_tur(house, 0), 0x033013);
    assert_int_equal(move(house, DRIVE, SLOT), 0);
    house_close(house);
    unlink(house->state);
    house->config.times.clean = 1;
    house_open(house);
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    WAIT_FOR(drive_tur(house, 0) == 0x023A00);
    assert_true(element(house, VSCSI_ELEMENT_DRIVE, 0).full);
}

static void
drive__emptied_or_filled_by_hand__is_seen_by_the_robot(void **state)
{
    struct house *house = *state;
    char path[256];

    /* Ejected: it lies in the mouth of the drive. */
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_int_equal(vscsi_yank(house->drives[0]), 0);
    assert_true(element(house, VSCSI_ELEMENT_DRIVE, 0).full);
    assert_false(element(house, VSCSI_ELEMENT_DRIVE, 0).loaded);
    assert_int_equal(move(house, DRIVE, SLOT), 0);
    /* A cartridge of ours that a hand carried from its slot. */
    snprintf(path, sizeof path, "%s/vol003L6.img", house->media);
    assert_int_equal(vscsi_insert(house->drives[1], path, NULL, 0), 0);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_DRIVE, 1), "VOL003L6");
    assert_false(element(house, VSCSI_ELEMENT_SLOT, 2).full);
    assert_int_equal(move(house, SLOT + 2, DRIVE), 0x053B0E);
    assert_int_equal(move(house, DRIVE + 1, SLOT + 2), 0);
    /* A stranger. */
    assert_int_equal(vscsi_insert(house->drives[1], house->state, NULL, 0),
                     -EINVAL);
    snprintf(path, sizeof path, "%s/stranger", house->rig.folder);
    make_image(path, 's', MEDIUM_BYTES);
    assert_int_equal(vscsi_insert(house->drives[1], path, NULL, 0), 0);
    assert_int_equal(descriptor(house, 4, DRIVE + 1)[2] & 5, 5);
    assert_int_equal(move(house, SLOT, DRIVE + 1), 0x053B0D);
    assert_int_equal(move(house, DRIVE + 1, SLOT + 7), 0x045300);
    assert_int_equal(vscsi_yank(house->drives[1]), 0);
    assert_int_equal(count_cartridges(house), 4);
}

static void
image__in_another_drive__is_not_loaded_twice(void **state)
{
    struct house *house = *state;
    const struct vscsi_config config = { .name = "ELSEWHERE" };
    struct vscsi_drive *other = vscsi_new(&config);
    char path[256];

    snprintf(path, sizeof path, "%s/vol001L6.img", house->media);
    assert_int_equal(vscsi_insert(other, path, NULL, 0), 0);
    assert_int_equal(move(house, SLOT, DRIVE), 0x045309);
    assert_true(element(house, VSCSI_ELEMENT_DRIVE, 0).full);
    assert_false(element(house, VSCSI_ELEMENT_DRIVE, 0).loaded);
    assert_int_equal(move(house, DRIVE, SLOT), 0);
    vscsi_free(other);
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_string_equal(image_in(house, 0), "vol001L6.img");
}

/* --- restarts ------------------------------------------------------------- */

static void
restart__finds_everything_where_it_was(void **state)
{
    struct house *house = *state;

    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_int_equal(move(house, SLOT + 1, SLOT + 7), 0);
    assert_int_equal(move(house, SLOT + 2, MAIL), 0);
    house_close(house);
    assert_string_equal(image_in(house, 0), "");
    house_open(house);
    assert_string_equal(image_in(house, 0), "vol001L6.img");
    assert_int_equal(element(house, VSCSI_ELEMENT_DRIVE, 0).source, SLOT);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 7), "VOL002L6");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_MAIL, 0), "VOL003L6");
    assert_string_equal(vscsi_library_report(house->library), "");
    assert_int_equal(count_cartridges(house), 4);
}

static void
restart__files_came_and_went__are_reported(void **state)
{
    struct house *house = *state;
    const char *report;
    char path[256];

    assert_int_equal(door(house, true), 0);
    assert_int_equal(take(house, VSCSI_ELEMENT_SLOT, 3), 0);
    assert_int_equal(door(house, false), 0);
    house_close(house);
    snprintf(path, sizeof path, "%s/vol002L6.img", house->media);
    assert_int_equal(unlink(path), 0);
    house_file(house, "weird name %1.img");
    house_file(house, ".hidden");
    house_open(house);
    report = vscsi_library_report(house->library);
    assert_non_null(strstr(report, "vol002L6.img, last in slot 2, is gone"));
    assert_non_null(strstr(report, "weird name %1.img is new"));
    assert_null(strstr(report, "vol004")); /* outside, where it was */
    assert_int_equal(count_cartridges(house), 3);
    house_close(house);
    house_open(house);
    assert_string_equal(vscsi_library_report(house->library), "");
    assert_string_equal(element(house, VSCSI_ELEMENT_SLOT, 1).file,
                        "weird name %1.img");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 1),
                        "WEIRD_NAME_%1");
}

static void
state_file__damaged__is_refused_and_named(void **state)
{
    struct house *house = *state;
    char text[300] = "";
    FILE *file;

    house_close(house);
    file = fopen(house->state, "r+");
    fseek(file, -4, SEEK_END);
    fputs("xxxx", file);
    fclose(file);
    assert_null(vscsi_library_new(&house->config, text, sizeof text));
    assert_non_null(strstr(text, house->state));
    assert_int_equal(unlink(house->state), 0);
    house_open(house);
    assert_int_equal(count_cartridges(house), 4);
}

/* A process that is killed in the middle of motions. */
static void
child(struct house *house, int ready)
{
    unsigned seed = (unsigned) getpid();

    house_open(house);
    assert_int_equal(write(ready, "x", 1), 1);
    for (;;) {
        unsigned r = (unsigned) rand_r(&seed);
        unsigned from = r % 3 ? SLOT + r / 8 % 8 : DRIVE + r / 8 % 2;
        unsigned to = r % 5 > 1 ? SLOT + r / 64 % 8 : DRIVE + r / 64 % 2;

        (void) move(house, from, to);
    }
}

static void
killed__at_any_moment__every_cartridge_is_in_one_place(void **state)
{
    struct house *house = *state;
    int ready[2], status;
    char byte;
    pid_t pid;

    house_close(house);
    for (unsigned round = 0; round < 12; round++) {
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child(house, ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        usleep(700 * round);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        close(ready[0]);
        close(ready[1]);
        house_open(house);
        assert_int_equal(count_cartridges(house), 4);
        assert_false(element(house, VSCSI_ELEMENT_TRANSPORT, 0).full);
        house_close(house);
    }
    house_open(house);
}

/* --- vendor codes --------------------------------------------------------- */

static void
vendor__conditions__have_codes_of_its_own(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;
    struct vscsi_nexus *robot = rig->nexus;

    assert_int_equal(door(house, true), 0);
    assert_int_equal(TUR(rig), 0x020483);
    assert_int_equal(door(house, false), 0);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(mail(house, true), 0);
    assert_int_equal(move(house, SLOT, MAIL), 0x055381);
    assert_int_equal(mail(house, false), 0);
    assert_int_equal(TUR(rig), 0x062801);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, MAIL, 0, 0), 0x055382);
    assert_int_equal(move(house, SLOT, DRIVE), 0);
    assert_int_equal(move(house, DRIVE, SLOT), 0x053B90);
    assert_int_equal(descriptor(house, 4, DRIVE)[2] & 0x08, 0);
    rig->nexus = house->initiators[0];
    while (TUR(rig) >> 16 == 6)
        ;
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 2, 0), 0); /* eject */
    rig->nexus = robot;
    assert_int_equal(move(house, DRIVE, SLOT), 0);
    rule(house, "at 1 move do stuck");
    assert_int_equal(move(house, SLOT, DRIVE), 0x043B87);
    assert_int_equal(move(house, SLOT + 1, DRIVE), 0x053BA0);
    assert_int_equal(move(house, ARM, SLOT), 0);
    rule(house, "at 1 move do unreadable");
    assert_int_equal(move(house, SLOT, SLOT + 6), 0);
    assert_int_equal(number_at(descriptor(house, 2, SLOT + 6) + 4, 2), 0x8301);
    assert_int_equal(exchange(house, SLOT + 1, SLOT + 2, SLOT + 7), 0x052000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HTEST(door__opened__is_reported_and_closing_is_a_medium_change, plain),
        HTEST(door__kept_shut_by_prevent__raises_a_request, plain),
        HTEST(mail_slot__import_and_export__tell_who_put_it_there, plain),
        HTEST(magazine_and_drive__taken_out__are_missed_by_name, plain),
        HTEST(cleaner__in_a_drive__is_said_counted_and_expires, plain),
        HTEST(drive__emptied_or_filled_by_hand__is_seen_by_the_robot, plain),
        HTEST(image__in_another_drive__is_not_loaded_twice, plain),
        HTEST(restart__finds_everything_where_it_was, plain),
        HTEST(restart__files_came_and_went__are_reported, plain),
        HTEST(state_file__damaged__is_refused_and_named, plain),
        HTEST(killed__at_any_moment__every_cartridge_is_in_one_place, plain),
        HTEST(vendor__conditions__have_codes_of_its_own, vendor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
