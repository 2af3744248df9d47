/*
 * t_exclusive.c - IOCTL_CDROM_EXCLUSIVE_ACCESS: one handle has a CD drive
 *
 * Statuses and rules are those of the documentation pages of the control code
 * and its records; lengths and values too.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <initguid.h>
#include <ioevent.h>
#include <ntddcdrm.h>
#include <ntddscsi.h>
#include <ntiologc.h>

#define CODE IOCTL_CDROM_EXCLUSIVE_ACCESS

static struct ask
open_handle(struct rig *rig)
{
    struct ask ask = { .user_mode = true };

    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &ask.file),
                     STATUS_SUCCESS);
    return ask;
}

static CDROM_EXCLUSIVE_LOCK
lock_of(const char *name, ULONG flags)
{
    CDROM_EXCLUSIVE_LOCK what = { .Access = { ExclusiveAccessLockDevice,
                                              flags } };

    memcpy(what.CallerName, name, strlen(name) + 1);
    return what;
}

static NTSTATUS
lock(struct rig *rig, const char *name, ULONG flags, const struct ask *ask)
{
    CDROM_EXCLUSIVE_LOCK what = lock_of(name, flags);
    struct outcome got = control(rig, CODE, &what, sizeof what, 0, ask);

    assert_int_equal(got.information, 0);
    return got.status;
}

static NTSTATUS
unlock(struct rig *rig, ULONG flags, const struct ask *ask)
{
    CDROM_EXCLUSIVE_ACCESS what = { ExclusiveAccessUnlockDevice, flags };
    struct outcome got = control(rig, CODE, &what, sizeof what, 0, ask);

    assert_int_equal(got.information, 0);
    return got.status;
}

static CDROM_EXCLUSIVE_LOCK_STATE
query(struct rig *rig, const struct ask *ask)
{
    union {
        CDROM_EXCLUSIVE_ACCESS in;
        CDROM_EXCLUSIVE_LOCK_STATE out;
    } buffer = { .in = { ExclusiveAccessQueryState, 0 } };
    struct outcome got =
        control(rig, CODE, &buffer, sizeof buffer.in, sizeof buffer.out, ask);

    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof buffer.out);
    return buffer.out;
}

/* --- what is asked -------------------------------------------------------- */

static void
code__value_and_records__as_documented(void **state)
{
    (void) state;
    /* Device type 2, function 17h, buffered, read and write access. */
    assert_int_equal(CODE, 0x0002C05C);
    assert_int_equal(sizeof(CDROM_EXCLUSIVE_ACCESS), 8);
    assert_int_equal(sizeof(CDROM_EXCLUSIVE_LOCK), 72);
    assert_int_equal(sizeof(CDROM_EXCLUSIVE_LOCK_STATE), 65);
}

static void
buffers__too_small__refused(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    CDROM_EXCLUSIVE_LOCK what = lock_of("x", 0);
    UCHAR buffer[128] = { 0 };
    struct outcome got;

    got = control(rig, CODE, &what, sizeof(CDROM_EXCLUSIVE_ACCESS) - 1, 128,
                  &one);
    assert_int_equal(got.status, STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(got.information, 0);
    got = control(rig, CODE, &what, sizeof what - 1, 0, &one);
    assert_int_equal(got.status, STATUS_INFO_LENGTH_MISMATCH);
    got = control(rig, CODE, buffer, sizeof(CDROM_EXCLUSIVE_ACCESS),
                  sizeof(CDROM_EXCLUSIVE_LOCK_STATE) - 1, &one);
    assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(got.information, 0);
    assert_false(query(rig, &one).LockState);
    io_close_file(one.file);
}

static void
request_type__none_of_the_three__invalid_parameter(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    CDROM_EXCLUSIVE_ACCESS what = { 3, 0 };

    assert_int_equal(control(rig, CODE, &what, sizeof what, 128, &one).status,
                     STATUS_INVALID_PARAMETER);
    io_close_file(one.file);
}

static void
names__other_characters_none_or_no_end__invalid_parameter(void **state)
{
    static const char *const wrong[] = { "",     "a/b", "a\\b", "\xe4",
                                         "a\tb", "(a)", "a+b" };
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    CDROM_EXCLUSIVE_LOCK what;
    char longest[CDROM_EXCLUSIVE_CALLER_LENGTH];

    for (size_t i = 0; i < RTL_NUMBER_OF(wrong); i++)
        assert_int_equal(lock(rig, wrong[i], 0, &one),
                         STATUS_INVALID_PARAMETER);
    what = lock_of("", 0);
    memset(what.CallerName, 'a', sizeof what.CallerName);
    assert_int_equal(control(rig, CODE, &what, sizeof what, 0, &one).status,
                     STATUS_INVALID_PARAMETER);
    assert_false(query(rig, &one).LockState);
    memset(longest, 'z', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(lock(rig, longest, 0, &one), STATUS_SUCCESS);
    assert_string_equal(query(rig, &one).CallerName, longest);
    assert_int_equal(unlock(rig, 0, &one), STATUS_SUCCESS);
    assert_int_equal(lock(rig, "AZaz09 .,:;-_", 0, &one), STATUS_SUCCESS);
    io_close_file(one.file);
}

static void
handle__none_or_not_opened_here__invalid_handle(void **state)
{
    FILE_OBJECT stranger = { .Type = IO_TYPE_FILE };
    const struct ask other = { .user_mode = true, .file = &stranger };
    struct rig *rig = *state;

    assert_int_equal(lock(rig, "x", 0, NULL), STATUS_INVALID_HANDLE);
    assert_int_equal(lock(rig, "x", 0, &other), STATUS_INVALID_HANDLE);
    assert_int_equal(unlock(rig, 0, NULL), STATUS_INVALID_HANDLE);
}

static void
irql__above_passive__invalid_device_request(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    KIRQL irql;
    NTSTATUS status;

    KeRaiseIrql(APC_LEVEL, &irql);
    status = lock(rig, "x", 0, &one);
    KeLowerIrql(irql);
    assert_int_equal(status, STATUS_INVALID_DEVICE_REQUEST);
    assert_false(query(rig, &one).LockState);
    io_close_file(one.file);
}

/* --- lock and unlock ------------------------------------------------------ */

static void
lock__the_name_is_told_until_unlocked(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig), two = open_handle(rig);
    CDROM_EXCLUSIVE_LOCK_STATE got = query(rig, &one);

    assert_false(got.LockState);
    assert_int_equal(got.CallerName[0], 0);
    assert_int_equal(lock(rig, "Burner 2.0", 0, &one), STATUS_SUCCESS);
    got = query(rig, &two);
    assert_true(got.LockState);
    assert_string_equal(got.CallerName, "Burner 2.0");
    assert_int_equal(lock(rig, "other", 0, &two), STATUS_ACCESS_DENIED);
    assert_int_equal(lock(rig, "again", 0, &one), STATUS_ACCESS_DENIED);
    assert_string_equal(query(rig, &one).CallerName, "Burner 2.0");
    assert_int_equal(unlock(rig, 0, &two), STATUS_INVALID_HANDLE);
    assert_int_equal(unlock(rig, 0, &one), STATUS_SUCCESS);
    assert_false(query(rig, &two).LockState);
    assert_int_equal(query(rig, &two).CallerName[0], 0);
    assert_int_equal(unlock(rig, 0, &one), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(lock(rig, "other", 0, &two), STATUS_SUCCESS);
    io_close_file(two.file);
    io_close_file(one.file);
}

static void
lock__mounted__only_when_the_volume_is_to_be_ignored(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);

    rig_mount(rig, true);
    assert_int_equal(lock(rig, "x", 0, &one), STATUS_INVALID_DEVICE_STATE);
    assert_false(query(rig, &one).LockState);
    assert_int_equal(lock(rig, "x", CDROM_LOCK_IGNORE_VOLUME, &one),
                     STATUS_SUCCESS);
    assert_int_equal(unlock(rig, CDROM_NO_MEDIA_NOTIFICATIONS, &one),
                     STATUS_SUCCESS);
    /* Whatever was done meanwhile: the volume is looked at again. */
    assert_true(rig_verify_set(rig));
    rig_clear_verify(rig);
    rig_mount(rig, false);
    io_close_file(one.file);
}

static void
unlock__not_mounted__nothing_to_verify(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);

    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    assert_int_equal(unlock(rig, 0, &one), STATUS_SUCCESS);
    assert_false(rig_verify_set(rig));
    io_close_file(one.file);
}

static void
lock__while_a_volume_is_to_be_verified__needs_no_medium(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);

    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    assert_false(query(rig, &one).LockState);
    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    assert_int_equal(unlock(rig, 0, &one), STATUS_SUCCESS);
    rig_clear_verify(rig);
    io_close_file(one.file);
}

/* CLEANUP is what unlocks: references may keep the file for longer. */
static void
handle__closed__unlocks(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig), two = open_handle(rig);
    struct ask reader = open_handle(rig);
    static char block[2048];

    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    io_close_file(two.file); /* another's end is nobody's business */
    assert_true(query(rig, &reader).LockState);
    ObReferenceObject(one.file);
    io_close_file(one.file);
    assert_false(query(rig, &reader).LockState);
    ObDereferenceObject(one.file);
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, block, 2048, &reader).status,
                     STATUS_SUCCESS);
    io_close_file(reader.file);
}

/* --- what others may do meanwhile ----------------------------------------- */

static void
reads__of_others_denied__of_the_owner_carried_out(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig), two = open_handle(rig);
    static char block[2048];
    struct outcome got;

    know_capacity(rig);
    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    spy_reset(rig);
    got = transfer(rig, IRP_MJ_READ, 0, block, 2048, &two);
    assert_int_equal(got.status, STATUS_ACCESS_DENIED);
    assert_int_equal(got.information, 0);
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, block, 2048, NULL).status,
                     STATUS_ACCESS_DENIED);
    assert_int_equal(spy_commands(rig), 0);
    got = transfer(rig, IRP_MJ_READ, 0, block, 2048, &one);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 2048);
    assert_int_equal(unlock(rig, CDROM_NO_MEDIA_NOTIFICATIONS, &one),
                     STATUS_SUCCESS);
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, block, 2048, &two).status,
                     STATUS_SUCCESS);
    io_close_file(two.file);
    io_close_file(one.file);
}

static void
controls__of_others__denied_but_for_those_that_the_drive_does_not_notice(
    void **state)
{
    static const ULONG denied[] = {
        IOCTL_CDROM_CHECK_VERIFY,      IOCTL_STORAGE_CHECK_VERIFY2,
        IOCTL_CDROM_READ_TOC,          IOCTL_STORAGE_EJECT_MEDIA,
        IOCTL_CDROM_EJECT_MEDIA,       IOCTL_STORAGE_MEDIA_REMOVAL,
        IOCTL_STORAGE_MCN_CONTROL,     IOCTL_CDROM_GET_DRIVE_GEOMETRY,
        IOCTL_SCSI_PASS_THROUGH,       IOCTL_CDROM_SET_SPEED,
        IOCTL_CDROM_GET_CONFIGURATION,
    };
    static const struct {
        ULONG code, out;
    } answered[] = {
        { IOCTL_CDROM_GET_INQUIRY_DATA, 36 },
        { IOCTL_STORAGE_GET_DEVICE_NUMBER, 12 },
        { IOCTL_STORAGE_GET_HOTPLUG_INFO, 8 },
        { IOCTL_SCSI_GET_ADDRESS, 8 },
    };
    struct rig *rig = *state;
    struct ask one = open_handle(rig), two = open_handle(rig);
    static UCHAR buffer[4096];

    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    spy_reset(rig);
    for (size_t i = 0; i < RTL_NUMBER_OF(denied); i++) {
        struct outcome got;

        memset(buffer, 0, sizeof buffer);
        got = control(rig, denied[i], buffer, 64, sizeof buffer, &two);
        if (got.status != STATUS_ACCESS_DENIED || got.information != 0)
            fail_msg("%08x: %08x", denied[i], (unsigned) got.status);
    }
    assert_int_equal(spy_commands(rig), 0);
    for (size_t i = 0; i < RTL_NUMBER_OF(answered); i++)
        assert_int_equal(
            control(rig, answered[i].code, buffer, 0, answered[i].out, &two)
                .status,
            STATUS_SUCCESS);
    assert_int_equal(
        control(rig, IOCTL_CDROM_READ_TOC, buffer, 0, 804, &one).status,
        STATUS_SUCCESS);
    io_close_file(two.file);
    io_close_file(one.file);
}

/* --- who is told ---------------------------------------------------------- */

static void
notifications__lock_unlock_removal_arrival(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    static struct listener listener;

    rig_settle(rig);
    listen_to(rig, &listener);
    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    assert_true(
        EVENTUALLY(heard_of(&listener, &GUID_IO_CDROM_EXCLUSIVE_LOCK) == 1));
    assert_int_equal(heard_of(&listener, &GUID_IO_CDROM_EXCLUSIVE_UNLOCK), 0);
    assert_int_equal(unlock(rig, 0, &one), STATUS_SUCCESS);
    assert_true(EVENTUALLY(heard_of(&listener, &GUID_IO_MEDIA_ARRIVAL) == 1));
    assert_int_equal(heard_of(&listener, &GUID_IO_MEDIA_REMOVAL), 1);
    assert_true(
        EVENTUALLY(heard_of(&listener, &GUID_IO_CDROM_EXCLUSIVE_UNLOCK) == 1));
    stop_listening(&listener);
    io_close_file(one.file);
}

static void
notifications__not_wanted__none_of_the_medium(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    static struct listener listener;

    rig_settle(rig);
    listen_to(rig, &listener);
    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    assert_int_equal(unlock(rig, CDROM_NO_MEDIA_NOTIFICATIONS, &one),
                     STATUS_SUCCESS);
    assert_true(
        EVENTUALLY(heard_of(&listener, &GUID_IO_CDROM_EXCLUSIVE_UNLOCK) == 1));
    rig_settle(rig);
    assert_int_equal(heard_of(&listener, &GUID_IO_MEDIA_ARRIVAL), 0);
    assert_int_equal(heard_of(&listener, &GUID_IO_MEDIA_REMOVAL), 0);
    stop_listening(&listener);
    io_close_file(one.file);
}

/* The events of the medium are the owner's: no poll takes them. */
static void
detection__rests_while_locked_and_then_finds_the_medium(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    static struct listener listener;

    rig_settle(rig);
    listen_to(rig, &listener);
    assert_int_equal(lock(rig, "x", 0, &one), STATUS_SUCCESS);
    rig_settle(rig);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    rig_settle(rig);
    assert_int_equal(rig->spy.polls, 0);
    assert_int_equal(heard_of(&listener, &GUID_IO_MEDIA_REMOVAL), 0);
    assert_int_equal(unlock(rig, 0, &one), STATUS_SUCCESS);
    assert_true(EVENTUALLY(heard_of(&listener, &GUID_IO_MEDIA_REMOVAL) == 1));
    assert_true(EVENTUALLY(rig_state(rig) == MediaNotPresent));
    assert_int_equal(heard_of(&listener, &GUID_IO_MEDIA_ARRIVAL), 0);
    stop_listening(&listener);
    io_close_file(one.file);
}

static void
log__has_who_locked_it(void **state)
{
    struct rig *rig = *state;
    struct ask one = open_handle(rig);
    struct io_error_log_entry list[16];
    size_t count, found = 0;

    (void) new_log(list, RTL_NUMBER_OF(list));
    assert_int_equal(lock(rig, "Burner 2.0", 0, &one), STATUS_SUCCESS);
    count = new_log(list, RTL_NUMBER_OF(list));
    for (size_t i = 0; i < count; i++)
        found += list[i].packet.ErrorCode == IO_CDROM_EXCLUSIVE_LOCK;
    assert_int_equal(found, 1);
    io_close_file(one.file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code__value_and_records__as_documented),
        TEST(buffers__too_small__refused, rig_cdrom),
        TEST(request_type__none_of_the_three__invalid_parameter, rig_cdrom),
        TEST(names__other_characters_none_or_no_end__invalid_parameter,
             rig_cdrom),
        TEST(handle__none_or_not_opened_here__invalid_handle, rig_cdrom),
        TEST(irql__above_passive__invalid_device_request, rig_cdrom),
        TEST(lock__the_name_is_told_until_unlocked, rig_cdrom),
        TEST(lock__mounted__only_when_the_volume_is_to_be_ignored, rig_cdrom),
        TEST(unlock__not_mounted__nothing_to_verify, rig_cdrom),
        TEST(lock__while_a_volume_is_to_be_verified__needs_no_medium,
             rig_cdrom),
        TEST(handle__closed__unlocks, rig_cdrom),
        TEST(reads__of_others_denied__of_the_owner_carried_out, rig_cdrom),
        TEST(
            controls__of_others__denied_but_for_those_that_the_drive_does_not_notice,
            rig_cdrom),
        TEST(notifications__lock_unlock_removal_arrival, rig_cdrom),
        TEST(notifications__not_wanted__none_of_the_medium, rig_cdrom),
        TEST(detection__rests_while_locked_and_then_finds_the_medium,
             rig_cdrom),
        TEST(log__has_who_locked_it, rig_cdrom),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
