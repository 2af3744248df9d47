/*
 * t_rules_verify.c - is it the same volume?  Rules of FASTFAT and CDFS, and
 * what is ours beyond them
 *
 * Expectations: sources named in tests/conformance/rules.txt; tests that begin
 * with "ours" show what we do better than NT on purpose.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

static NTSTATUS
verify(struct drive_rig *d)
{
    return IoVerifyVolume(d->fdo, FALSE);
}

static void
R154__verify__flag_clear__no_device_access(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r154", "ONE", "11110001"));
    mount(d);
    assert_false(verify_flag(d));
    watch_reset(&d->watch);
    assert_int_equal(verify(d), STATUS_SUCCESS);
    assert_int_equal(watch_total(&d->watch), 0);
}

/* --- the order of comparison ---------------------------------------------------- */

static void
other_block_size(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    PSTORAGE_READ_CAPACITY out = irp->AssociatedIrp.SystemBuffer;

    (void) watch;
    if (at->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        at->Parameters.DeviceIoControl.IoControlCode ==
            IOCTL_STORAGE_READ_CAPACITY &&
        NT_SUCCESS(irp->IoStatus.Status))
        out->BlockLength = 4096;
}

/* First difference: WRONG_VOLUME.  Its drive's VPB is another one then. */
/* Of the volume before: what it is then. */
static enum vol_state
expect_wrong(struct drive_rig *d, const char *path, BOOLEAN without_reading)
{
    struct volume *before = mount(d);
    NTSTATUS status;

    watch_reset(&d->watch);
    if (path != NULL)
        swap(d, path);
    set_flag(d);
    /* Only the verification, not the mount that follows.  The drive may have
     * told of the swap in the middle of it: then it starts anew. */
    do {
        set_flag(d);
        watch_reset(&d->watch);
        status = fs_verify(before);
    } while (status == STATUS_VERIFY_REQUIRED);
    assert_int_equal(status, STATUS_WRONG_VOLUME);
    assert_int_equal(watch_count(&d->watch, IRP_MJ_READ) == 0, without_reading);
    set_flag(d);
    assert_int_equal(verify(d), STATUS_WRONG_VOLUME);
    assert_int_equal(fs_volume_vpb(before) == d->fdo->Vpb,
                     fs_volume_state(before) == VOL_CHANGED);
    return fs_volume_state(before);
}

static void
expect_other(struct drive_rig *d, const char *path, BOOLEAN without_reading)
{
    assert_int_equal(expect_wrong(d, path, without_reading), VOL_ABSENT);
}

static void
R155__sector_size__first_difference__nothing_is_read(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r155", "SAME", "22220001"));
    mount(d);
    d->watch.after = other_block_size;
    expect_other(d, NULL, TRUE);
}

static void
R155__other_size__wrong_volume__nothing_is_read(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r155a", "SAME", "22220001"));
    mount(d);
    expect_other(
        d, image("r155b", 17408, "mkfs.vfat -F 16 -n SAME -i 22220001 %s"),
        TRUE);
}

static void
R155__no_boot_sector__wrong_volume(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r155c", "SAME", "22220001"));
    mount(d);
    expect_other(d, image("r155d", 16384, NULL), FALSE);
}

static void
R155__other_serial__wrong_volume(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r155e", "SAME", "22220001"));
    mount(d);
    expect_other(d, FAT("r155f", "SAME", "22220002"), FALSE);
}

static void
R155__other_parameters_of_the_volume__wrong_volume(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r155g", "SAME", "22220001"));
    mount(d);
    /* With the same serial and label it may be the volume itself, made anew. */
    assert_int_equal(
        expect_wrong(d,
                     image("r155h", 16384,
                           "mkfs.vfat -F 16 -s 1 -n SAME -i 22220001 %s"),
                     FALSE),
        VOL_CHANGED);
}

static void
R155_R157__label_changed_elsewhere__wrong_volume(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r157", "OLD", "22220003");

    put_in(d, path);
    mount(d);
    pull_out(d);
    /* The same disk comes back. */
    image("r157", 16384, "fatlabel %s NEW");
    put_in(d, path);
    expect_other(d, NULL, FALSE);
}

static void
R155__nothing_differs__success_and_flag_clear(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r155i", "SAME", "22220001");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    swap(d, path);
    set_flag(d);
    assert_int_equal(verify(d), STATUS_SUCCESS);
    assert_false(verify_flag(d));
    assert_ptr_equal(d->fdo->Vpb, fs_volume_vpb(volume));
}

/* --- the same numbers ------------------------------------------------------------- */

static void
R156__same_numbers_other_content__ours_tells_them_apart(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r156a", "TWIN", "33330001");
    const char *twin = image_copy("r156b", path);
    struct volume *volume;

    /* Another boot loader; serial, parameters and label are the same. */
    image_poke(twin, 0x1B0, "something else", 14);
    put_in(d, path);
    volume = mount(d);
    swap(d, twin);
    set_flag(d);
    assert_int_equal(verify(d), STATUS_WRONG_VOLUME);
    /* Nothing goes to it before a person says that it may. */
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
}

static void
ours__same_numbers_other_content__a_person_decides(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("twin1", "TWIN", "33330002");
    char buffer[512];
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    pull_out(d);
    image_poke(path, 0x1B0, "another machine", 15);
    put_in(d, path);
    req_start(&req, volume, IRP_MJ_READ, 0, buffer, sizeof buffer);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    /* To look again does not say that it is right. */
    answer(RI_RETRY);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_false(req_is_done(&req));
    assert_int_equal(fs_use_as_it_is(volume), STATUS_SUCCESS);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
}

static void
ours__own_writes_to_the_identifying_blocks__still_the_same(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("own", "OWN", "33330003");
    static char boot[512];
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    assert_int_equal(read_volume(volume, 0, boot, sizeof boot), 0);
    memcpy(boot + 0x1B0, "our own words", 13);
    assert_int_equal(write_volume(volume, 0, boot, sizeof boot), 0);
    /* At once: nobody has read the identity again. */
    swap(d, path);
    set_flag(d);
    assert_int_equal(verify(d), STATUS_SUCCESS);
    /* And after it was read again, another one's change is seen. */
    assert_true(EVENTUALLY(!head_dirty(volume)));
    pull_out(d);
    image_poke(path, 0x1B0, "not our words", 13);
    put_in(d, path);
    set_flag(d);
    assert_int_equal(verify(d), STATUS_WRONG_VOLUME);
}

/* --- dirty data ---------------------------------------------------------------------- */

static void
R158__wrong_volume__ours_nothing_was_dirty_nothing_is_lost(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r158a", "KEPT", "44440001");
    static char data[4096], seen[4096];
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(data, 'K', sizeof data);
    assert_int_equal(write_volume(volume, 4 << 20, data, sizeof data), 0);
    swap(d, FAT("r158b", "OTHER", "44440002"));
    set_flag(d);
    assert_int_equal(verify(d), STATUS_WRONG_VOLUME);
    /* What was acknowledged waits for the volume. */
    swap(d, path);
    set_flag(d);
    assert_int_equal(verify(d), STATUS_WRONG_VOLUME); /* of the other */
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    assert_int_equal(read_volume(volume, 4 << 20, seen, sizeof seen), 0);
    assert_memory_equal(seen, data, sizeof data);
    pull_out(d);
    image_peek(path, 4 << 20, seen, sizeof seen);
    assert_memory_equal(seen, data, sizeof data);
}

static void
R159__success__ours_nothing_to_flush_no_write_is_sent(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r159", "KEPT", "44440003");
    static char data[4096], seen[4096];
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(data, 'F', sizeof data);
    assert_int_equal(write_volume(volume, 4 << 20, data, sizeof data), 0);
    req_start(&req, volume, IRP_MJ_FLUSH_BUFFERS, 0, NULL, 0);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    swap(d, path);
    set_flag(d);
    watch_reset(&d->watch);
    assert_int_equal(verify(d), STATUS_SUCCESS);
    assert_int_equal(watch_count(&d->watch, IRP_MJ_WRITE), 0);
    assert_int_equal(watch_count(&d->watch, IRP_MJ_FLUSH_BUFFERS), 0);
    /* The volatile cache lost nothing that was acknowledged. */
    assert_int_equal(read_volume(volume, 4 << 20, seen, sizeof seen), 0);
    assert_memory_equal(seen, data, sizeof data);
}

static void
R160__verify__every_read_and_control_has_the_override(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r160", "OVER", "44440004");

    put_in(d, path);
    mount(d);
    swap(d, path);
    set_flag(d);
    watch_reset(&d->watch);
    assert_int_equal(verify(d), STATUS_SUCCESS);
    assert_true(watch_count(&d->watch, IRP_MJ_READ) > 0);
    for (unsigned i = 0; i < d->watch.passed; i++) {
        assert_int_equal(d->watch.log[i].flags & SL_OVERRIDE_VERIFY_VOLUME,
                         SL_OVERRIDE_VERIFY_VOLUME);
        /* Recursive ones would be seen as such. */
        assert_non_null(d->watch.log[i].top);
    }
    assert_null(IoGetTopLevelIrp());
}

/* --- CDFS: the count -------------------------------------------------------------------- */

static void
R168__cd__count_unchanged__nothing_is_read(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, ISO("r168", "DISC"));
    mount(d);
    set_flag(d);
    watch_reset(&d->watch);
    assert_int_equal(verify(d), STATUS_SUCCESS);
    assert_int_equal(watch_count(&d->watch, IRP_MJ_READ), 0);
    assert_true(watch_controls(&d->watch, IOCTL_STORAGE_CHECK_VERIFY) > 0);
    assert_int_equal(watch_total(&d->watch),
                     watch_controls(&d->watch, IOCTL_STORAGE_CHECK_VERIFY));
    assert_false(verify_flag(d));
}

/* A drive that does not count, and so knows no keys either. */
static void
without_count(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    (void) watch;
    if (at->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        at->Parameters.DeviceIoControl.IoControlCode ==
            IOCTL_STORAGE_CHECK_VERIFY)
        irp->IoStatus.Information = 0;
}

static BOOLEAN
without_keys(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
             NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (at->MajorFunction == IRP_MJ_READ)
        at->Flags &= (UCHAR) ~SL_KEY_SPECIFIED;
    return FALSE;
}

static void
R169__cd__no_count__always_reads_and_compares(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;

    put_in(d, ISO("r169a", "DISC-A"));
    d->watch.after = without_count;
    d->watch.before = without_keys;
    volume = mount(d);
    for (int i = 0; i < 2; i++) {
        set_flag(d);
        watch_reset(&d->watch);
        assert_int_equal(verify(d), STATUS_SUCCESS);
        assert_true(watch_count(&d->watch, IRP_MJ_READ) > 0);
    }
    swap(d, ISO("r169b", "DISC-B"));
    set_flag(d);
    assert_int_equal(verify(d), STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(fs_volume_on(d->fdo), volume);
}

/* --- what we do better ------------------------------------------------------------------- */

/* The medium changes when the flag has just been cleared: the count tells. */
static void
change_at_the_end(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    PULONG out = irp->AssociatedIrp.SystemBuffer;

    if (at->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        at->Parameters.DeviceIoControl.IoControlCode ==
            IOCTL_STORAGE_CHECK_VERIFY &&
        InterlockedIncrement(&watch->number) == 2)
        ++*out;
}

static void
ours__change_while_verifying__count_is_read_again__flag_set(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("again", "AGAIN", "55550001");

    put_in(d, path);
    mount(d);
    set_flag(d);
    d->watch.after = change_at_the_end;
    assert_int_equal(verify(d), STATUS_SUCCESS);
    assert_true(verify_flag(d));
}

static void
ours__pass_through_eats_the_attention__change_is_noticed(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct {
        SCSI_PASS_THROUGH head;
        UCHAR sense[32];
    } tur;
    char buffer[512];
    struct volume *volume;
    struct req req;

    put_in(d, FAT("eat1", "EATEN", "55550002"));
    volume = mount(d);
    swap(d, FAT("eat2", "OTHER", "55550003"));
    for (int i = 0; i < 4; i++) {
        memset(&tur, 0, sizeof tur);
        tur.head.Length = sizeof tur.head;
        tur.head.CdbLength = 6;
        tur.head.SenseInfoLength = sizeof tur.sense;
        tur.head.SenseInfoOffset = sizeof tur.head;
        tur.head.DataIn = SCSI_IOCTL_DATA_UNSPECIFIED;
        tur.head.TimeOutValue = 10;
        tur.head.Cdb[0] = SCSIOP_TEST_UNIT_READY;
        io_device_control(d->fdo, IOCTL_SCSI_PASS_THROUGH, &tur, sizeof tur,
                          &tur, sizeof tur, 0, NULL);
    }
    req_start(&req, volume, IRP_MJ_READ, 0, buffer, sizeof buffer);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    answer(RI_CANCEL);
    assert_int_equal(req_end(&req), STATUS_WRONG_VOLUME);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R154__verify__flag_clear__no_device_access, rig_disk),
        TEST(R155__sector_size__first_difference__nothing_is_read, rig_disk),
        TEST(R155__other_size__wrong_volume__nothing_is_read, rig_disk),
        TEST(R155__no_boot_sector__wrong_volume, rig_disk),
        TEST(R155__other_serial__wrong_volume, rig_disk),
        TEST(R155__other_parameters_of_the_volume__wrong_volume, rig_disk),
        TEST(R155_R157__label_changed_elsewhere__wrong_volume, rig_disk),
        TEST(R155__nothing_differs__success_and_flag_clear, rig_disk),
        TEST(R156__same_numbers_other_content__ours_tells_them_apart, rig_disk),
        TEST(ours__same_numbers_other_content__a_person_decides, rig_disk),
        TEST(ours__own_writes_to_the_identifying_blocks__still_the_same,
             rig_disk),
        TEST(R158__wrong_volume__ours_nothing_was_dirty_nothing_is_lost,
             rig_cached_disk),
        TEST(R159__success__ours_nothing_to_flush_no_write_is_sent,
             rig_cached_disk),
        TEST(R160__verify__every_read_and_control_has_the_override, rig_disk),
        TEST(R168__cd__count_unchanged__nothing_is_read, rig_cdrom),
        TEST(R169__cd__no_count__always_reads_and_compares, rig_cdrom),
        TEST(ours__change_while_verifying__count_is_read_again__flag_set,
             rig_disk),
        TEST(ours__pass_through_eats_the_attention__change_is_noticed,
             rig_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
