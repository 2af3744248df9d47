/*
 * t_changes.c - what hands and clients do at the wrong moment: mkfs inside a
 * partition, drives of other abilities, refusals that are overtaken
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#define PART_AT   (1ul << 20)
#define PART_SIZE (30ul << 20)

static char buffer[65536];

/* --- mkfs inside a partition ------------------------------------------------------ */

/* One partition from 1 MiB on, 30 MiB long. */
static const char *
partitioned(const char *name)
{
    static const unsigned char entry[16] = {
        [4] = 0x0C, [9] = 0x08, [13] = 0xF0
    };
    const char *path =
        image(name, 32768, "mkfs.vfat --offset 2048 -n INNER -i 22223333 %s");

    image_poke(path, 446, entry, sizeof entry);
    image_poke(path, 440, "\1\2\3\4", 4);
    image_poke(path, 510, "\x55\xAA", 2);
    return path;
}

/* What a client's mkfs writes, through the volume. */
static void
format_partition(struct volume *volume, const char *label)
{
    char command[128];
    const char *fresh;
    int n = 0;

    snprintf(command, sizeof command, "mkfs.ext4 -q -F -L %s %%s", label);
    fresh = image("fresh", PART_SIZE >> 10, command);
    for (unsigned long at = 0; at < PART_SIZE; at += sizeof buffer) {
        image_peek(fresh, at, buffer, sizeof buffer);
        for (size_t i = 0; i < sizeof buffer; i++)
            if (buffer[i] != 0) {
                assert_int_equal(
                    write_volume(volume, PART_AT + at, buffer, sizeof buffer),
                    STATUS_SUCCESS);
                n++;
                break;
            }
    }
    assert_true(n > 0);
    unlink(fresh);
}

static void
mkfs_in_a_partition__pulled_at_once__still_the_same(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = partitioned("part1");
    struct fs_volume_info info;
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    fs_volume_info(volume, &info);
    assert_string_equal(info.type, "dos");
    assert_string_equal(info.label, "INNER");
    format_partition(volume, "MADE-BY-US");
    /* Neither a flush nor the time to read the identity again. */
    swap(d, path);
    assert_int_equal(read_volume(volume, PART_AT, buffer, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(asked(), 0);
    fs_volume_info(volume, &info);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    assert_true(EVENTUALLY(!head_dirty(volume)));
    fs_volume_info(volume, &info);
    assert_string_equal(info.label, "MADE-BY-US");
}

static void
mkfs_in_a_partition__flushed_then_pulled__still_the_same(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = partitioned("part2");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    format_partition(volume, "FLUSHED");
    req_start(&req, volume, IRP_MJ_FLUSH_BUFFERS, 0, NULL, 0);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_false(head_dirty(volume));
    swap(d, path);
    assert_int_equal(read_volume(volume, PART_AT, buffer, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(asked(), 0);
}

static void
mkfs_in_a_partition__by_another_machine__not_the_same(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = partitioned("part3");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    pull_out(d);
    image("part3", 32768, "mkfs.vfat --offset 2048 -n THEIRS -i 44445555 %s");
    put_in(d, path);
    req_start(&req, volume, IRP_MJ_READ, 0, buffer, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    answer(RI_CANCEL);
    assert_int_equal(req_end(&req), STATUS_WRONG_VOLUME);
}

/* --- zeroes ------------------------------------------------------------------------- */

static NTSTATUS
zero_by_trim(struct volume *volume, ULONG64 at, ULONG64 length)
{
    static struct {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES head;
        DEVICE_DATA_SET_RANGE range;
    } in;
    PDEVICE_OBJECT device = fs_volume_device(volume);
    struct req req = { .irp = IoAllocateIrp(device->StackSize, FALSE) };
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(req.irp);

    memset(&in, 0, sizeof in);
    in.head.Size = sizeof in.head;
    in.head.Action = DeviceDsmAction_Trim;
    in.head.DataSetRangesOffset = (ULONG) ((PUCHAR) &in.range - (PUCHAR) &in);
    in.head.DataSetRangesLength = sizeof in.range;
    in.range.StartingOffset = (LONGLONG) at;
    in.range.LengthInBytes = length;
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Flags = FS_SL_MUST_ZERO;
    next->Parameters.DeviceIoControl.IoControlCode =
        IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES;
    next->Parameters.DeviceIoControl.InputBufferLength = sizeof in;
    req.irp->AssociatedIrp.SystemBuffer = &in;
    req_send(&req, device);
    return req_end(&req);
}

/* A drive that does not say what trimmed blocks read as. */
static BOOLEAN
no_promise(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
           NTSTATUS *out_status, ULONG_PTR *out_information)
{
    const STORAGE_PROPERTY_QUERY *in = irp->AssociatedIrp.SystemBuffer;

    (void) watch;
    (void) out_information;
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL ||
        at->Parameters.DeviceIoControl.IoControlCode !=
            IOCTL_STORAGE_QUERY_PROPERTY ||
        in->PropertyId != StorageDeviceLBProvisioningProperty)
        return FALSE;
    *out_status = STATUS_NOT_SUPPORTED;
    return TRUE;
}

static void
zero_by_trim__volume_moves_to_a_drive_without__refused(void **state)
{
    struct rig *rig = *state;
    const char *path =
        image("small", 16384, "mkfs.vfat -F 16 -n SMALL -i 91000001 %s");
    struct fs_volume_info info;
    struct volume *volume;

    put_in(&rig->d[0], path);
    volume = mount(&rig->d[0]);
    fs_volume_info(volume, &info);
    assert_true(info.trim_zeroes);
    memset(buffer, 'Z', 4096);
    assert_int_equal(write_volume(volume, 1 << 20, buffer, 4096), 0);
    assert_int_equal(zero_by_trim(volume, 1 << 20, 4096), STATUS_SUCCESS);
    assert_int_equal(read_volume(volume, 1 << 20, buffer, 4096), 0);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(buffer[i], 0);
    pull_out(&rig->d[0]);
    fs_media_gone(rig->d[0].fdo);
    rig->d[1].watch.before = no_promise;
    put_in(&rig->d[1], path);
    assert_ptr_equal(mount(&rig->d[1]), volume);
    fs_volume_info(volume, &info);
    assert_false(info.trim_zeroes);
    assert_int_equal(zero_by_trim(volume, 1 << 20, 4096), STATUS_NOT_SUPPORTED);
}

/* --- a question whose cause has just ended ------------------------------------------ */

static struct drive_rig *settling;
static LONG refusals; /* atomic: how many more */
static NTSTATUS refusal;
static BOOLEAN settle_first;

static void
settle_anew(void)
{
    before_question = NULL;
    set_flag(settling);
    IoVerifyVolume(settling->fdo, FALSE);
}

static BOOLEAN
refuse(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
       NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    if (at->MajorFunction != IRP_MJ_WRITE ||
        InterlockedDecrement(&refusals) < 0)
        return FALSE;
    if (settle_first)
        settle_anew();
    *out_status = refusal;
    *out_information = 0;
    return TRUE;
}

static void
refused_while_settled(void **state, BOOLEAN first)
{
    static const NTSTATUS each[] = { STATUS_MEDIA_WRITE_PROTECTED,
                                     STATUS_IO_TIMEOUT };
    struct rig *rig = *state;
    struct drive_rig *d = settling = &rig->d[0];
    static char data[4096];
    struct volume *volume;

    put_in(d, FAT("ended", "ENDED", "77770001"));
    volume = mount(d);
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        refusal = each[i];
        refusals = 1;
        settle_first = first;
        before_question = first ? NULL : settle_anew;
        __atomic_store_n(&d->watch.before, refuse, __ATOMIC_RELEASE);
        assert_int_equal(write_volume(volume, 4 << 20, data, sizeof data),
                         STATUS_SUCCESS);
        assert_true(EVENTUALLY(prompts(NULL) == 0));
    }
    before_question = NULL;
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    assert_int_equal(asked(), first ? 0 : 2);
}

static void
refused__settled_before_it_is_decided__sent_again_unasked(void **state)
{
    refused_while_settled(state, TRUE);
}

static void
refused__settled_while_the_question_is_put__it_vanishes(void **state)
{
    refused_while_settled(state, FALSE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mkfs_in_a_partition__pulled_at_once__still_the_same, rig_disk),
        TEST(mkfs_in_a_partition__flushed_then_pulled__still_the_same,
             rig_disk),
        TEST(mkfs_in_a_partition__by_another_machine__not_the_same, rig_disk),
        TEST(zero_by_trim__volume_moves_to_a_drive_without__refused, rig_disks),
        TEST(refused__settled_before_it_is_decided__sent_again_unasked,
             rig_disk),
        TEST(refused__settled_while_the_question_is_put__it_vanishes, rig_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
