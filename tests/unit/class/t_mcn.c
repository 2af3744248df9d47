/*
 * Tests for media change detection, locks, eject and load: R113 to R130.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

static void
expect(struct listener *listener, unsigned at, const GUID *guid, ULONG state)
{
    if (!EVENTUALLY(heard(listener) > at))
        fail_msg("notification %u does not come", at);
    assert_memory_equal(&listener->guid[at], guid, sizeof *guid);
    assert_int_equal(listener->media[at].NewState, state);
}

static struct outcome
mcn(struct rig *rig, bool disable, const struct ask *ask)
{
    PREVENT_MEDIA_REMOVAL in = { disable };

    return control(rig, IOCTL_STORAGE_MCN_CONTROL, &in, sizeof in, 0, ask);
}

static struct outcome
lock_medium(struct rig *rig, ULONG code, bool lock, const struct ask *ask)
{
    PREVENT_MEDIA_REMOVAL in = { lock };

    return control(rig, code, &in, sizeof in, 0, ask);
}

static void
insert(struct rig *rig, int image)
{
    char text[128];

    assert_int_equal(
        vscsi_insert(rig->drive, rig->image[image], text, sizeof text), 0);
}

static bool
prevented(struct rig *rig)
{
    struct vscsi_state state;

    vscsi_state(rig->drive, &state);
    return state.prevented;
}

/* --- notifications -------------------------------------------------------- */

static unsigned
polls(struct rig *rig)
{
    return __atomic_load_n(&rig->spy.polls, __ATOMIC_RELAXED);
}

static void
R113_R114_R115_R116__each_change_is_told_once(void **state)
{
    struct rig *rig = *state;
    struct listener listener;

    listen_to(rig, &listener);
    rig_settle(rig);
    assert_int_equal(heard(&listener), 0);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    expect(&listener, 0, &GUID_IO_MEDIA_REMOVAL, MediaNotPresent);
    rig_settle(rig);
    assert_int_equal(heard(&listener), 1);
    insert(rig, 0);
    expect(&listener, 1, &GUID_IO_MEDIA_ARRIVAL, MediaPresent);
    rig_settle(rig);
    assert_int_equal(heard(&listener), 2);
    assert_int_equal(listener.media[1].MediaChangeCount, 1);
    assert_int_equal(rig_count(rig), 1);
    stop_listening(&listener);
}

static void
swap_that_nobody_saw__is_told_as_an_arrival(void **state)
{
    struct rig *rig = *state;
    struct listener listener;

    listen_to(rig, &listener);
    rig_rule(rig, "at 1 tur do sense 6/28/00");
    (void) control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    expect(&listener, 0, &GUID_IO_MEDIA_ARRIVAL, MediaPresent);
    rig_settle(rig);
    assert_int_equal(heard(&listener), 1);
    stop_listening(&listener);
}

static void
removal_seen_by_a_request__is_told(void **state)
{
    struct rig *rig = *state;
    struct listener listener;
    char data[512];

    listen_to(rig, &listener);
    rig_rule(rig, "at 1 read do yank");
    (void) transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    expect(&listener, 0, &GUID_IO_MEDIA_REMOVAL, MediaNotPresent);
    rig_settle(rig);
    assert_int_equal(heard(&listener), 1);
    stop_listening(&listener);
}

static void
R117_R120__while_disabled__nothing_is_told_and_nothing_polled(void **state)
{
    struct rig *rig = *state;
    struct listener listener;

    listen_to(rig, &listener);
    rig_settle(rig);
    assert_int_equal(mcn(rig, true, NULL).status, STATUS_SUCCESS);
    assert_int_equal(mcn(rig, true, NULL).status, STATUS_SUCCESS);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    rig_calm(rig);
    assert_int_equal(polls(rig), 0);
    assert_int_equal(rig_state(rig), MediaPresent);
    /* From other requests the state is known all the same. */
    assert_int_equal(
        control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL).status,
        STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(rig_state(rig), MediaNotPresent);
    rig_calm(rig);
    assert_int_equal(polls(rig), 0);
    assert_int_equal(heard(&listener), 0);
    /* It nests. */
    assert_int_equal(mcn(rig, false, NULL).status, STATUS_SUCCESS);
    rig_calm(rig);
    assert_int_equal(polls(rig), 0);
    /* Enabled: the state is found anew, and nothing is told. */
    spy_answer(rig, &(struct answer){ .opcode = 0, .times = 1, .pend = 1 });
    assert_int_equal(mcn(rig, false, NULL).status, STATUS_SUCCESS);
    assert_true(EVENTUALLY(polls(rig) > 0));
    assert_int_equal(rig_state(rig), MediaUnknown);
    spy_release(rig);
    rig_settle(rig);
    assert_int_equal(rig_state(rig), MediaNotPresent);
    assert_int_equal(heard(&listener), 0);
    insert(rig, 0);
    expect(&listener, 0, &GUID_IO_MEDIA_ARRIVAL, MediaPresent);
    stop_listening(&listener);
}

/* Only a kernel caller needs no handle; of handles each counts for itself. */
static void
R118_R119__handles__each_enables_what_it_disabled(void **state)
{
    struct rig *rig = *state;
    FILE_OBJECT stranger = { .Type = IO_TYPE_FILE };
    struct ask one = { .user_mode = true }, two = { .user_mode = true };
    const struct ask other = { .user_mode = true, .file = &stranger };
    struct outcome got;

    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &one.file),
                     STATUS_SUCCESS);
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &two.file),
                     STATUS_SUCCESS);
    assert_int_equal(mcn(rig, true, &one).status, STATUS_SUCCESS);
    got = mcn(rig, false, &two);
    assert_int_equal(got.status, STATUS_INVALID_DEVICE_STATE);
    assert_int_equal(got.information, 0);
    assert_int_equal(mcn(rig, false, NULL).status, STATUS_INVALID_DEVICE_STATE);
    assert_int_equal(mcn(rig, true, &other).status, STATUS_INVALID_PARAMETER);
    assert_int_equal(mcn(rig, true, NULL).status, STATUS_SUCCESS);
    assert_int_equal(mcn(rig, false, NULL).status, STATUS_SUCCESS);
    assert_int_equal(mcn(rig, false, &one).status, STATUS_SUCCESS);
    assert_int_equal(mcn(rig, false, &one).status, STATUS_INVALID_DEVICE_STATE);
    io_close_file(one.file);
    io_close_file(two.file);
}

static void
R118_R119__enable_without_disable__refused(void **state)
{
    static const struct ask user = { .user_mode = true };
    struct rig *rig = *state;
    PFILE_OBJECT file;
    UCHAR none = 0;

    assert_int_equal(mcn(rig, false, NULL).status, STATUS_INVALID_DEVICE_STATE);
    assert_int_equal(mcn(rig, true, &user).status, STATUS_INVALID_PARAMETER);
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &file),
                     STATUS_SUCCESS);
    {
        struct ask own = { .user_mode = true, .file = file };

        assert_int_equal(mcn(rig, false, &own).status,
                         STATUS_INVALID_DEVICE_STATE);
        assert_int_equal(mcn(rig, true, &own).status, STATUS_SUCCESS);
    }
    io_close_file(file); /* gives back what it holds */
    assert_int_equal(
        control(rig, IOCTL_STORAGE_MCN_CONTROL, &none, 0, 0, NULL).status,
        STATUS_INFO_LENGTH_MISMATCH);
    rig_settle(rig);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    rig_settle(rig);
    assert_int_equal(mcn(rig, false, NULL).status, STATUS_INVALID_DEVICE_STATE);
}

static void
R121__poll__override_and_no_thread(void **state)
{
    static const ULONG poll_flags = SRB_CLASS_FLAGS_LOW_PRIORITY |
                                    SRB_FLAGS_NO_QUEUE_FREEZE |
                                    SRB_FLAGS_DISABLE_SYNCH_TRANSFER;
    struct rig *rig = *state;
    PIRP held;

    spy_answer(rig, &(struct answer){ .opcode = 0, .times = 1, .pend = 1 });
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_true(EVENTUALLY(
        (held = __atomic_load_n(&rig->spy.held, __ATOMIC_ACQUIRE)) != NULL));
    assert_null(held->Tail.Overlay.Thread);
    assert_true(IoGetCurrentIrpStackLocation(held)->Flags &
                SL_OVERRIDE_VERIFY_VOLUME);
    spy_release(rig);
    rig_settle(rig);
    ClassCheckMediaState(rig->fdo->DeviceExtension);
    assert_true(EVENTUALLY(polls(rig) > 0));
    assert_true(spy_poll(rig).stack_flags & SL_OVERRIDE_VERIFY_VOLUME);
    assert_false(spy_poll(rig).threaded);
    assert_int_equal(spy_poll(rig).flags & poll_flags, poll_flags);
    rig_settle(rig);
}

static void
R122__change_found_by_a_poll__next_request_has_to_verify(void **state)
{
    struct rig *rig = *state;
    struct outcome got;
    char data[512];

    rig_mount(rig, true);
    rig_swap(rig, 1);
    assert_true(EVENTUALLY(rig_verify_set(rig)));
    rig_settle(rig);
    assert_null(slot_of());
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_int_equal(spy_commands(rig), 0);
}

static void
cdrom__swap__told_and_counted_once(void **state)
{
    struct rig *rig = *state;
    struct listener listener;
    unsigned last;

    listen_to(rig, &listener);
    rig_swap(rig, 1);
    rig_settle(rig);
    assert_true(EVENTUALLY(heard(&listener) > 0));
    rig_settle(rig);
    last = heard(&listener) - 1;
    expect(&listener, last, &GUID_IO_MEDIA_ARRIVAL, MediaPresent);
    assert_int_equal(rig_count(rig), 1);
    stop_listening(&listener);
}

static void
cdrom__eject_button_while_locked__eject_request(void **state)
{
    struct rig *rig = *state;
    struct listener listener;

    listen_to(rig, &listener);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, true, NULL).status,
        STATUS_SUCCESS);
    (void) vscsi_press_eject(rig->drive);
    assert_true(EVENTUALLY(heard(&listener) > 0));
    rig_settle(rig);
    assert_memory_equal(&listener.guid[0], &GUID_IO_MEDIA_EJECT_REQUEST,
                        sizeof(GUID));
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL).status,
        STATUS_SUCCESS);
    stop_listening(&listener);
}

static void
becoming_ready__the_state_is_found_when_it_is(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    struct listener listener;

    assert_int_equal(ext->MediaChangeCount, 0);
    listen_to(rig, &listener);
    clock_manual(true); /* so nobody looks but when the drive says something */
    insert(rig, 0);
    expect(&listener, 0, &GUID_IO_DEVICE_BECOMING_READY, 1);
    rig_rule(rig, "at 1 tur do becoming-ready 1");
    ClassCheckMediaState(ext);
    assert_true(EVENTUALLY(heard_of(&listener, &GUID_IO_MEDIA_ARRIVAL) > 0));
    rig_calm(rig);
    expect(&listener, heard(&listener) - 1, &GUID_IO_MEDIA_ARRIVAL,
           MediaPresent);
    clock_manual(false);
    stop_listening(&listener);
}

static int
rig_slow(void **state)
{
    return rig_new(
        state, &(struct vscsi_config){ .type = VSCSI_DISK, .load_ms = 3600000 },
        false);
}

/* --- polls by the clock --------------------------------------------------- */

static int
rig_polled(void **state)
{
    int result;

    spy_refuses_events = true;
    result = rig_disk(state);
    spy_refuses_events = false;
    return result;
}

static void
no_events__polled_once_a_second(void **state)
{
    struct rig *rig = *state;
    struct listener listener;

    listen_to(rig, &listener);
    clock_manual(true);
    rig_settle(rig);
    for (unsigned i = 1; i <= 3; i++) {
        clock_advance_ms(1000);
        rig_calm(rig);
        assert_int_equal(polls(rig), i);
    }
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(heard(&listener), 0);
    clock_advance_ms(1000);
    expect(&listener, 0, &GUID_IO_MEDIA_REMOVAL, MediaNotPresent);
    insert(rig, 1);
    clock_advance_ms(1000);
    expect(&listener, 1, &GUID_IO_MEDIA_ARRIVAL, MediaPresent);
    clock_manual(false);
    stop_listening(&listener);
}

static void
no_events__drive_that_does_not_answer__polled_less_often(void **state)
{
    struct rig *rig = *state;

    clock_manual(true);
    rig_settle(rig);
    rig_rule(rig, "at * tur do selection-timeout");
    for (int i = 0; i < 64; i++) {
        clock_advance_ms(1000);
        rig_calm(rig);
    }
    assert_int_equal(polls(rig), 6); /* 1 + 2 + 4 + 8 + 16 + 32 */
    clock_manual(false);
}

/* --- locks ---------------------------------------------------------------- */

static void
R123_R124__simple_locks__counted_for_the_device(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(
        lock_medium(rig, IOCTL_DISK_MEDIA_REMOVAL, true, NULL).status,
        STATUS_SUCCESS);
    assert_int_equal(rig->spy.cdb[0][0], SCSIOP_MEDIUM_REMOVAL);
    assert_int_equal(rig->spy.cdb[0][4], 1);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, true, NULL).status,
        STATUS_SUCCESS);
    assert_int_equal(spy_commands(rig), 2);
    (void) lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL);
    assert_int_equal(spy_commands(rig), 2);
    assert_true(prevented(rig));
    (void) lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL);
    assert_int_equal(spy_commands(rig), 3);
    assert_int_equal(rig->spy.cdb[2][4], 0);
    assert_false(prevented(rig));
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL).status,
        STATUS_SUCCESS);
    assert_int_equal(spy_commands(rig), 4);
    assert_int_equal(rig->spy.cdb[3][0], SCSIOP_MEDIUM_REMOVAL);
    assert_int_equal(rig->spy.cdb[3][4], 0);
    assert_int_equal(
        ((PFUNCTIONAL_DEVICE_EXTENSION) rig->fdo->DeviceExtension)->LockCount,
        0);
}

/* Two handles and a simple lock: ALLOW comes with the last of them. */
static void
R125__handles_close__allow_when_nothing_else_holds(void **state)
{
    struct rig *rig = *state;
    struct ask one = { 0 }, two = { 0 };

    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &one.file),
                     STATUS_SUCCESS);
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &two.file),
                     STATUS_SUCCESS);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, true, &one).status,
            STATUS_SUCCESS);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, true, &two).status,
        STATUS_SUCCESS);
    (void) lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, true, NULL);
    spy_reset(rig);
    io_close_file(one.file);
    assert_int_equal(spy_commands(rig), 0);
    /* Another handle cannot undo what this one holds. */
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, false, &two).status,
        STATUS_SUCCESS);
    assert_int_equal(spy_commands(rig), 0);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, true, &two).status,
        STATUS_SUCCESS);
    (void) lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL);
    spy_reset(rig);
    assert_true(prevented(rig));
    io_close_file(two.file);
    assert_int_equal(spy_count(rig, SCSIOP_MEDIUM_REMOVAL), 1);
    assert_int_equal(rig->spy.cdb[0][4], 0);
    assert_false(prevented(rig));
}

static void
R123__lock_whose_command_fails__is_not_counted(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;

    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_MEDIUM_REMOVAL,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_ERROR |
                                                    SRB_STATUS_AUTOSENSE_VALID,
                                      .scsi_status = SCSISTAT_CHECK_CONDITION,
                                      .sense = SENSE_OF(5, 0x20, 0),
                                      .sense_len = 18 });
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, true, NULL).status,
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(ext->LockCount, 0);
}

static void
R125_R126__secure_lock__of_the_handle_blocks_eject_until_its_close(void **st)
{
    struct rig *rig = *st;
    struct ask own = { 0 };
    PFILE_OBJECT file;

    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, true, NULL).status,
        STATUS_INVALID_PARAMETER);
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &file),
                     STATUS_SUCCESS);
    own.file = file;
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, false, &own).status,
        STATUS_INVALID_DEVICE_STATE);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_EJECTION_CONTROL, true, &own).status,
        STATUS_SUCCESS);
    assert_true(prevented(rig));
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_DEVICE_BUSY);
    assert_int_equal(spy_count(rig, SCSIOP_START_STOP_UNIT), 0);
    io_close_file(file);
    assert_false(prevented(rig));
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
}

static NTSTATUS
tell_usage(struct rig *rig, bool in)
{
    struct outcome got;
    PIO_STACK_LOCATION next = begin_request(rig, IRP_MJ_PNP, NULL, &got);

    next->MinorFunction = IRP_MN_DEVICE_USAGE_NOTIFICATION;
    next->Parameters.UsageNotification.InPath = in;
    next->Parameters.UsageNotification.Type = DeviceUsageTypePaging;
    got.irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    send_request(rig, &got);
    finish(&got);
    return got.status;
}

static void
R126__paging_file_on_the_device__files_open(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(tell_usage(rig, true), STATUS_SUCCESS);
    spy_reset(rig);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_FILES_OPEN);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_LOAD_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_FILES_OPEN);
    assert_int_equal(spy_commands(rig), 0);
    assert_int_equal(tell_usage(rig, false), STATUS_SUCCESS);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
}

static void
R127_R128__eject_and_load__start_stop_unit(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
    assert_int_equal(rig->spy.cdb[0][0], SCSIOP_START_STOP_UNIT);
    assert_int_equal(rig->spy.cdb[0][4], 0x02);
    rig_settle(rig);
    (void) control(rig, IOCTL_STORAGE_LOAD_MEDIA, NULL, 0, 0, NULL);
    assert_int_equal(rig->spy.cdb[0][0], SCSIOP_START_STOP_UNIT);
    assert_int_equal(rig->spy.cdb[0][4], 0x03);
    /* A simple lock does not keep the eject from the drive. */
    (void) lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, true, NULL);
    spy_reset(rig);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_INVALID_DEVICE_REQUEST); /* the drive's own refusal, 05/53 */
    assert_int_equal(spy_count(rig, SCSIOP_START_STOP_UNIT), 1);
    (void) lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL);
}

static void
R129__short_input__info_length_mismatch(void **state)
{
    static const ULONG codes[] = { IOCTL_STORAGE_MEDIA_REMOVAL,
                                   IOCTL_STORAGE_EJECTION_CONTROL,
                                   IOCTL_STORAGE_MCN_CONTROL,
                                   IOCTL_DISK_MEDIA_REMOVAL,
                                   IOCTL_CDROM_MEDIA_REMOVAL };
    struct rig *rig = *state;
    UCHAR none = 0;

    for (size_t i = 0; i < RTL_NUMBER_OF(codes); i++) {
        struct outcome got = control(rig, codes[i], &none, 0, 0, NULL);

        assert_int_equal(got.status, STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(got.information, 0);
    }
    assert_int_equal(spy_commands(rig), 0);
}

static void
R130__not_removable__counted_but_not_sent(void **state)
{
    struct rig *rig = *state;

    assert_false(rig->fdo->Characteristics & FILE_REMOVABLE_MEDIA);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, true, NULL).status,
        STATUS_SUCCESS);
    assert_int_equal(
        lock_medium(rig, IOCTL_STORAGE_MEDIA_REMOVAL, false, NULL).status,
        STATUS_SUCCESS);
    assert_int_equal(spy_commands(rig), 0);
}

static int
rig_fixed(void **state)
{
    int result;

    spy_says_fixed = true;
    result = rig_disk(state);
    spy_says_fixed = false;
    return result;
}

/* --- events of CD drives -------------------------------------------------- */

#define GESN_ANSWER(n, class, code, b1, b2, b3)                                \
    &(struct answer)                                                           \
    {                                                                          \
        .opcode = SCSIOP_GET_EVENT_STATUS, .times = n,                         \
        .srb_status = SRB_STATUS_SUCCESS,                                      \
        .data = { 0, 6, class, 0x5A, code, b1, b2, b3 }, .data_len = 8         \
    }

static void
look(struct rig *rig)
{
    unsigned before = polls(rig);

    ClassCheckMediaState(rig->fdo->DeviceExtension);
    rig_calm(rig);
    assert_true(polls(rig) > before);
}

/* Counts are read before rig_settle resets them. */
static unsigned
gesn_of_a_look(struct rig *rig)
{
    unsigned before = spy_poll(rig).gesn;

    look(rig);
    return spy_poll(rig).gesn - before;
}

static void
gesn__command__as_documented(void **state)
{
    static const UCHAR cdb[10] = { 0x4A, 1, 0, 0, 0x5A, 0, 0, 0, 8, 0 };
    struct rig *rig = *state;

    assert_int_equal(gesn_of_a_look(rig), 1);
    assert_memory_equal(spy_poll(rig).cdb, cdb, sizeof cdb);
    assert_int_equal(spy_poll(rig).timeout, 4);
    assert_true(spy_poll(rig).stack_flags & SL_OVERRIDE_VERIFY_VOLUME);
    assert_false(spy_poll(rig).threaded);
}

static void
gesn__more_than_32_events_in_a_row__switched_off(void **state)
{
    struct rig *rig = *state;

    spy_answer(rig, GESN_ANSWER(99, 3, 1, 0, 0, 1));
    assert_int_equal(gesn_of_a_look(rig), 33);
    assert_int_equal(gesn_of_a_look(rig), 0);
    assert_true(polls(rig) > 0); /* TEST UNIT READY goes on */
    assert_int_equal(spy_poll(rig).cdb[0], SCSIOP_TEST_UNIT_READY);
}

static void
gesn__drive_does_not_know_it__switched_off(void **state)
{
    struct rig *rig = *state;

    spy_answer(rig, SENSE_ANSWER(SCSIOP_GET_EVENT_STATUS, 1, 5, 0x20, 0));
    assert_int_equal(gesn_of_a_look(rig), 1);
    assert_int_equal(gesn_of_a_look(rig), 0);
}

static void
gesn__operational_after_4_repeats__class_masked(void **state)
{
    struct rig *rig = *state;

    rig_mount(rig, true);
    spy_answer(rig, GESN_ANSWER(4, 1, 2, 0, 0, 1));
    assert_int_equal(gesn_of_a_look(rig), 5);
    assert_int_equal(spy_poll(rig).cdb[4], 0x5A);
    assert_true(rig_verify_set(rig)); /* features changed: verify */
    spy_answer(rig, GESN_ANSWER(5, 1, 2, 0, 0, 1));
    assert_int_equal(gesn_of_a_look(rig), 6);
    assert_int_equal(spy_poll(rig).cdb[4], 0x58);
}

static void
gesn__nothing_to_tell__not_asked_again(void **state)
{
    static const UCHAR replies[][8] = {
        { 0, 6, 0x84, 0x5A, 1 },           /* no event available */
        { 0, 6, 0x00, 0x5A, 1 },           /* no class */
        { 0, 6, 0x04, 0x5A, 0 },           /* no event */
        { 0, 2, 0x04, 0x5A, 1 },           /* too short */
        { 0, 6, 0x06, 0x5A, 1, 0, 0, 50 }, /* busy: never at once */
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(replies); i++) {
        struct answer answer = *GESN_ANSWER(1, 0, 0, 0, 0, 0);

        spy_reset(rig);
        memcpy(answer.data, replies[i], 8);
        spy_answer(rig, &answer);
        assert_int_equal(gesn_of_a_look(rig), 1);
    }
}

static void
gesn__media_events__state_count_and_flag(void **state)
{
    struct rig *rig = *state;
    struct listener listener;
    ULONG count;

    listen_to(rig, &listener);
    rig_settle(rig);
    rig_mount(rig, true);
    /* 4, changed, while present: count and flag, and nothing is told. */
    count = rig_count(rig);
    spy_answer(rig, GESN_ANSWER(1, 4, 4, 2, 0, 0));
    look(rig);
    assert_true(EVENTUALLY(rig_count(rig) == count + 1));
    assert_true(rig_verify_set(rig));
    assert_int_equal(rig_state(rig), MediaPresent);
    assert_int_equal(heard(&listener), 0);
    /* 3, removal: neither count nor flag. */
    rig_settle(rig);
    rig_clear_verify(rig);
    spy_answer(rig, SENSE_ANSWER(0, 99, 2, 4, 1));
    spy_answer(rig, GESN_ANSWER(1, 4, 3, 0, 0, 0));
    look(rig);
    assert_true(EVENTUALLY(rig_state(rig) == MediaNotPresent));
    assert_int_equal(rig_count(rig), count + 1);
    assert_false(rig_verify_set(rig));
    /* 1, eject request. */
    rig_settle(rig);
    spy_answer(rig, GESN_ANSWER(1, 4, 1, 0, 0, 0));
    look(rig);
    for (unsigned i = 0; i < heard(&listener); i++)
        if (memcmp(&listener.guid[i], &GUID_IO_MEDIA_EJECT_REQUEST,
                   sizeof(GUID)) == 0)
            count = 0;
    assert_int_equal(count, 0);
    stop_listening(&listener);
}

static void
gesn__busy_and_external__told(void **state)
{
    struct rig *rig = *state;
    struct listener listener;

    listen_to(rig, &listener);
    rig_settle(rig);
    spy_answer(rig, GESN_ANSWER(1, 6, 1, 0, 0, 1)); /* 100 ms: ignored */
    look(rig);
    assert_int_equal(heard(&listener), 0);
    spy_answer(rig, GESN_ANSWER(1, 6, 1, 0, 0, 2));
    look(rig);
    assert_true(EVENTUALLY(heard(&listener) == 1));
    assert_memory_equal(&listener.guid[0], &GUID_IO_DEVICE_BECOMING_READY,
                        sizeof(GUID));
    spy_answer(rig, GESN_ANSWER(1, 3, 1, 0, 0, 7));
    look(rig);
    assert_true(EVENTUALLY(heard(&listener) == 2));
    assert_memory_equal(&listener.guid[1], &GUID_IO_DEVICE_EXTERNAL_REQUEST,
                        sizeof(GUID));
    stop_listening(&listener);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R113_R114_R115_R116__each_change_is_told_once, rig_disk),
        TEST(swap_that_nobody_saw__is_told_as_an_arrival, rig_disk),
        TEST(removal_seen_by_a_request__is_told, rig_disk),
        TEST(R117_R120__while_disabled__nothing_is_told_and_nothing_polled,
             rig_disk),
        TEST(R118_R119__enable_without_disable__refused, rig_disk),
        TEST(R118_R119__handles__each_enables_what_it_disabled, rig_disk),
        TEST(R125__handles_close__allow_when_nothing_else_holds, rig_disk),
        TEST(gesn__command__as_documented, rig_cdrom),
        TEST(gesn__more_than_32_events_in_a_row__switched_off, rig_cdrom),
        TEST(gesn__drive_does_not_know_it__switched_off, rig_cdrom),
        TEST(gesn__operational_after_4_repeats__class_masked, rig_cdrom),
        TEST(gesn__nothing_to_tell__not_asked_again, rig_cdrom),
        TEST(gesn__media_events__state_count_and_flag, rig_cdrom),
        TEST(gesn__busy_and_external__told, rig_cdrom),
        TEST(R121__poll__override_and_no_thread, rig_disk),
        TEST(R122__change_found_by_a_poll__next_request_has_to_verify,
             rig_disk),
        TEST(cdrom__swap__told_and_counted_once, rig_cdrom),
        TEST(cdrom__eject_button_while_locked__eject_request, rig_cdrom),
        TEST(becoming_ready__the_state_is_found_when_it_is, rig_slow),
        TEST(no_events__polled_once_a_second, rig_polled),
        TEST(no_events__drive_that_does_not_answer__polled_less_often,
             rig_polled),
        TEST(R123_R124__simple_locks__counted_for_the_device, rig_disk),
        TEST(R123__lock_whose_command_fails__is_not_counted, rig_disk),
        TEST(R125_R126__secure_lock__of_the_handle_blocks_eject_until_its_close,
             rig_disk),
        TEST(R126__paging_file_on_the_device__files_open, rig_disk),
        TEST(R127_R128__eject_and_load__start_stop_unit, rig_cdrom),
        TEST(R129__short_input__info_length_mismatch, rig_disk),
        TEST(R130__not_removable__counted_but_not_sent, rig_fixed),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
