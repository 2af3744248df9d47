/*
 * Both minitape drivers on the emulated drive; expectations from SSC.
 *
 * SPDX-License-Identifier: MIT
 */
#include "deck.h"

#include <fcntl.h>
#include <unistd.h>

#include <scsi.h>
#include <vscsi.h>

static struct vscsi_drive *drive;
static char folder[64], image[128];
static PDEVICE_OBJECT own_pdo;

static void
insert(const char *name)
{
    char text[256] = "";
    int fd;

    snprintf(image, sizeof image, "%s/%s", folder, name);
    fd = open(image, O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    close(fd);
    if (vscsi_insert(drive, image, text, sizeof text) != 0)
        fail_msg("%s", text);
}

static int
begin_with(void **state, const char *personality)
{
    static unsigned number;
    struct vscsi_config config = { .type = VSCSI_TAPE };
    char name[32];

    (void) deck_new(state);
    own_pdo = deck.pdo;
    snprintf(folder, sizeof folder, "/tmp/tape-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "tape%u", number++);
    config.name = name;
    config.tape.personality = personality;
    config.tape.capacity_bytes = 4 << 20;
    drive = vscsi_new(&config);
    assert_non_null(drive);
    deck.pdo = deck_add_virtual(drive, name);
    insert("T1.tap");
    assert_status(deck_start(NULL), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    return 0;
}

static int
standard(void **state)
{
    return begin_with(state, "standard");
}

static int
vendor(void **state)
{
    return begin_with(state, "reinsert-vendor");
}

static int
end(void **state)
{
    char path[192];

    (void) deck_free(state);
    port_remove_unit(own_pdo);
    vscsi_free(drive);
    for (int i = 1; i < 3; i++) {
        snprintf(path, sizeof path, "%s/T%d.tap", folder, i);
        (void) unlink(path);
        snprintf(path, sizeof path, "%s/.T%d.tap.mam", folder, i);
        (void) unlink(path);
    }
    (void) rmdir(folder);
    return 0;
}

static void
file__written__read_to_its_mark_and_to_the_end(void **state)
{
    (void) state;
    assert_status(transfer(true, 10240), STATUS_SUCCESS);
    assert_int_equal(information, 10240);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    assert_status(marks(1), STATUS_SUCCESS);
    assert_status(position(TAPE_REWIND, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(false, 65536), STATUS_SUCCESS);
    assert_int_equal(information, 10240);
    assert_status(transfer(false, 256), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(information, 256);
    assert_status(transfer(false, 65536), STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, 0);
    assert_status(transfer(false, 65536), STATUS_NO_DATA_DETECTED);
    assert_int_equal(information, 0);
    assert_status(position(TAPE_SPACE_FILEMARKS, 0, -9),
                  STATUS_BEGINNING_OF_MEDIA);
}

static void
fixed_blocks__read_over_a_mark__in_whole_blocks(void **state)
{
    TAPE_SET_MEDIA_PARAMETERS in = { 512 };

    (void) state;
    assert_status(ask(IOCTL_TAPE_SET_MEDIA_PARAMS, &in, sizeof in, 0),
                  STATUS_SUCCESS);
    assert_status(transfer(true, 4 * 512), STATUS_SUCCESS);
    assert_status(marks(1), STATUS_SUCCESS);
    assert_status(position(TAPE_LOGICAL_BLOCK, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(false, 10 * 512), STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, 4 * 512);
    assert_status(ask(IOCTL_TAPE_GET_POSITION, NULL, 0, 16), STATUS_SUCCESS);
    assert_int_equal(((PTAPE_GET_POSITION) answer)->Offset.QuadPart, 5);
}

static void
cartridge__yanked_and_another_put_in__nothing_is_written_on_it(void **state)
{
    struct vscsi_state is;

    (void) state;
    assert_status(transfer(true, 1024), STATUS_SUCCESS);
    assert_int_equal(vscsi_yank(drive), 0);
    assert_status(transfer(true, 1024), STATUS_NO_MEDIA_IN_DEVICE);
    insert("T2.tap");
    assert_status(transfer(true, 1024), STATUS_VERIFY_REQUIRED);
    assert_status(transfer(true, 1024), STATUS_VERIFY_REQUIRED);
    assert_status(marks(1), STATUS_VERIFY_REQUIRED);
    vscsi_state(drive, &is);
    assert_int_equal(is.object, 0);
    assert_int_equal(is.blocks, 0);
    assert_status(position(TAPE_REWIND, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(true, 1024), STATUS_SUCCESS);
}

static void
tape__written_to_its_end__warned_and_then_full(void **state)
{
    NTSTATUS status = STATUS_SUCCESS;
    unsigned blocks = 0;

    (void) state;
    while (status == STATUS_SUCCESS && blocks++ < 1000)
        status = transfer(true, 65536);
    assert_status(status, STATUS_END_OF_MEDIA);
    assert_int_equal(information, 65536);
    while (status == STATUS_END_OF_MEDIA && blocks++ < 1000)
        status = transfer(true, 65536);
    assert_status(status, STATUS_EOM_OVERFLOW);
}

static void
locked__unload__refused_and_then_not(void **state)
{
    TAPE_PREPARE lock = { TAPE_LOCK, FALSE }, unlock = { TAPE_UNLOCK, FALSE };

    (void) state;
    assert_status(ask(IOCTL_TAPE_PREPARE, &lock, sizeof lock, 0),
                  STATUS_SUCCESS);
    assert_status(ask(IOCTL_TAPE_EJECT_MEDIA, NULL, 0, 0),
                  STATUS_UNABLE_TO_UNLOAD_MEDIA);
    assert_status(ask(IOCTL_TAPE_PREPARE, &unlock, sizeof unlock, 0),
                  STATUS_SUCCESS);
    assert_status(ask(IOCTL_TAPE_EJECT_MEDIA, NULL, 0, 0), STATUS_SUCCESS);
}

/* --- persistent reservations: IOCTL_STORAGE_PERSISTENT_RESERVE_IN, _OUT ---- */

/* SPC-4: the key is registered, a reservation is made with it, both are told,
 * and all is cleared. */
static void
reservation__made_told_and_cleared(void **state)
{
    static const uint8_t key[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct {
        PERSISTENT_RESERVE_COMMAND head;
        uint8_t rest[32];
    } out = { .head.Size = sizeof out.head };
    PERSISTENT_RESERVE_COMMAND in = { .Size = sizeof in };
    PRO_PARAMETER_LIST *list = (void *) out.head.PR_OUT.ParameterList;
    const PRI_REGISTRATION_LIST *keys = (void *) answer;
    const PRI_RESERVATION_LIST *held = (void *) answer;

    out.head.PR_OUT.ServiceAction = RESERVATION_ACTION_REGISTER;
    memcpy(list->ServiceActionReservationKey, key, 8);
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &out, 34, 0),
                  STATUS_SUCCESS);
    memcpy(list->ReservationKey, key, 8);
    memset(list->ServiceActionReservationKey, 0, 8);
    out.head.PR_OUT.ServiceAction = RESERVATION_ACTION_RESERVE;
    out.head.PR_OUT.Type = RESERVATION_TYPE_EXCLUSIVE;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &out, 34, 0),
                  STATUS_SUCCESS);
    in.PR_IN.AllocationLength = 64;
    in.PR_IN.ServiceAction = RESERVATION_ACTION_READ_KEYS;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_IN, &in, sizeof in, 64),
                  STATUS_SUCCESS);
    assert_int_equal(information, 16);
    assert_int_equal(keys->AdditionalLength[3], 8);
    assert_memory_equal(keys->ReservationKeyList[0], key, 8);
    in.PR_IN.ServiceAction = RESERVATION_ACTION_READ_RESERVATIONS;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_IN, &in, sizeof in, 64),
                  STATUS_SUCCESS);
    assert_int_equal(held->AdditionalLength[3], 16);
    assert_memory_equal(held->Reservations[0].ReservationKey, key, 8);
    assert_int_equal(held->Reservations[0].Type, RESERVATION_TYPE_EXCLUSIVE);
    /* No room for it: how much there is. */
    in.PR_IN.AllocationLength = 8;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_IN, &in, sizeof in, 64),
                  STATUS_BUFFER_OVERFLOW);
    assert_int_equal(held->AdditionalLength[3], 16);
    /* With another's key it is a conflict. */
    list->ReservationKey[0] = 9;
    out.head.PR_OUT.ServiceAction = RESERVATION_ACTION_CLEAR;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &out, 34, 0),
                  STATUS_DEVICE_BUSY);
    list->ReservationKey[0] = 1;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &out, 34, 0),
                  STATUS_SUCCESS);
    in.PR_IN.AllocationLength = 64;
    assert_status(ask(IOCTL_STORAGE_PERSISTENT_RESERVE_IN, &in, sizeof in, 64),
                  STATUS_SUCCESS);
    assert_int_equal(information, 8);
}

#define BOTH(test)                                                             \
    cmocka_unit_test_setup_teardown(test, standard, end),                      \
        cmocka_unit_test_setup_teardown(test, vendor, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(file__written__read_to_its_mark_and_to_the_end),
        BOTH(fixed_blocks__read_over_a_mark__in_whole_blocks),
        BOTH(cartridge__yanked_and_another_put_in__nothing_is_written_on_it),
        BOTH(tape__written_to_its_end__warned_and_then_full),
        BOTH(locked__unload__refused_and_then_not),
        BOTH(reservation__made_told_and_cleared),
    };

    return cmocka_run_group_tests(tests, deck_begin, deck_end);
}
