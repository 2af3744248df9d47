/*
 * The miniclass drivers over the emulated library, with every personality that
 * it has: what they report is what is there, and a motion arrives.
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

#include <time.h>
#include <vscsi.h>

#include "vscsi_house.h"

static const ELEMENT_TYPE kinds[] = { ChangerTransport, ChangerSlot,
                                      ChangerIEPort, ChangerDrive };

/* Every element as the robot itself has it. */
static void
assert_same(bool labels)
{
    struct vscsi_library_snapshot *now = vscsi_library_snapshot(house.library);

    assert_non_null(now);
    for (size_t k = 0; k < ARRAYSIZE(kinds); k++) {
        unsigned count = 0;

        for (unsigned i = 0; i < now->count; i++)
            count += now->elements[i].kind == (unsigned) kinds[k];
        if (count == 0)
            continue;
        assert_status(read_elements(kinds[k], 0, count, labels),
                      STATUS_SUCCESS);
        for (unsigned i = 0; i < now->count; i++) {
            const struct vscsi_element *is = &now->elements[i];
            PCHANGER_ELEMENT_STATUS at;

            if (is->kind != (unsigned) kinds[k])
                continue;
            at = element(is->index);
            assert_int_equal(at->Element.ElementAddress, is->index);
            assert_int_equal((at->Flags & ELEMENT_STATUS_FULL) != 0, is->full);
            assert_int_equal(at->Flags & ELEMENT_STATUS_EXCEPT, 0);
            assert_int_equal((at->Flags & ELEMENT_STATUS_PVOLTAG) != 0,
                             labels && is->full);
            if (labels && is->full)
                assert_memory_equal(at->PrimaryVolumeID, is->bar_code,
                                    strlen(is->bar_code));
        }
    }
    free(now);
}

static void
every_personality__what_is_there_is_reported_and_moves(void **state)
{
    GET_CHANGER_PARAMETERS own;
    const char *name;
    bool labels;

    (void) state;
    for (unsigned n = 0; (name = vscsi_library_personality(n, NULL)) != NULL;
         n++) {
        house_build(name, 8, 2);
        print_message("%s\n", name);
        assert_status(robot_try_start(NULL), STATUS_SUCCESS);
        assert_status(robot_open(), STATUS_SUCCESS);
        own = parameters();
        labels = (own.Features0 & CHANGER_BAR_CODE_SCANNER_INSTALLED) != 0;
        assert_int_equal(own.NumberStorageElements, 8);
        assert_in_range(own.NumberDataTransferElements, 1, 2);
        assert_same(labels);
        assert_status(move_medium(ChangerSlot, 0, ChangerSlot, 7),
                      STATUS_SUCCESS);
        assert_same(labels);
        assert_status(move_medium(ChangerSlot, 1, ChangerDrive,
                                  own.NumberDataTransferElements - 1u),
                      STATUS_SUCCESS);
        assert_same(labels);
        assert_refused(move_medium(ChangerSlot, 1, ChangerDrive, 0),
                       STATUS_SOURCE_ELEMENT_EMPTY);
        assert_refused(move_medium(ChangerSlot, 2, ChangerSlot, 7),
                       STATUS_DESTINATION_ELEMENT_FULL);
        assert_same(labels);
        house_tear_down();
    }
    assert_true(name == NULL);
}

static void
vendor_personality__has_its_driver_and_codes(void **state)
{
    char text[256];

    (void) state;
    house_build("reinsert-vendor", 8, 2);
    assert_string_equal(mcd_driver_for(robot.pdo)->name, "reinsert");
    assert_status(robot_try_start(NULL), STATUS_SUCCESS);
    assert_status(robot_open(), STATUS_SUCCESS);
    assert_true(parameters().Features0 & CHANGER_EXCHANGE_MEDIA);
    if (vscsi_library_door(house.library, true, text, sizeof text) != 0)
        fail_msg("%s", text);
    assert_refused(move_medium(ChangerSlot, 0, ChangerSlot, 7),
                   STATUS_DEVICE_DOOR_OPEN);
    if (vscsi_library_door(house.library, false, text, sizeof text) != 0)
        fail_msg("%s", text);
    assert_status(move_medium(ChangerSlot, 0, ChangerSlot, 7), STATUS_SUCCESS);
    house_tear_down();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            every_personality__what_is_there_is_reported_and_moves),
        cmocka_unit_test(vendor_personality__has_its_driver_and_codes),
    };

    return cmocka_run_group_tests(tests, robot_begin, robot_end);
}
