/*
 * t_restore.c - a volume made anew from what was kept of it (src/fs/restore.c)
 *
 * The service's end and its next start are played by taking a record with one
 * rig, and restoring it in the next.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

static UCHAR record[FS_RECORD_MAX];
static ULONG length;

/* Mounts the image once and keeps its record; the rig is made anew. */
static void
keep_record(void **state, const char *path)
{
    struct rig *rig = *state;

    put_in(&rig->d[0], path);
    length = fs_volume_record(mount(&rig->d[0]), record);
    assert_true(length > 0);
    assert_true(length <= FS_RECORD_MAX);
    rig_free(state);
    rig_disks(state);
}

static struct volume *
restored(void **state)
{
    struct rig *rig = *state;
    struct volume *volume = NULL;

    assert_int_equal(fs_volume_restore(rig->d[0].fdo, record, length, &volume),
                     STATUS_SUCCESS);
    assert_non_null(volume);
    return volume;
}

static void
restore__file_system__absent_with_its_names_then_back(void **state)
{
    const char *path = FAT("rest1", "KEPT", "51000001");
    struct fs_volume_info info;
    struct volume *volume;
    char seen[512];
    struct req req;

    keep_record(state, path);
    volume = restored(state);
    fs_volume_info(volume, &info);
    assert_int_equal(info.state, VOL_ABSENT);
    assert_string_equal(info.label, "KEPT");
    assert_string_equal(info.uuid, "5100-0001");
    assert_string_equal(info.key, "5100-0001");
    assert_true(info.size_bytes == 16384 * 1024);
    assert_int_equal(info.block_bytes, 512);
    assert_ptr_equal(fs_volume_with_key("5100-0001"), volume);
    req_start(&req, volume, IRP_MJ_READ, 0, seen, sizeof seen);
    assert_false(req_is_done(&req));
    /* It comes back in the other drive. */
    put_in(&((struct rig *) *state)->d[1], path);
    assert_ptr_equal(mount(&((struct rig *) *state)->d[1]), volume);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal((UCHAR) seen[510], 0x55);
    memset(seen, 'N', sizeof seen);
    assert_int_equal(write_volume(volume, 8 << 20, seen, sizeof seen),
                     STATUS_SUCCESS);
}

/* A killed service: the client went on writing after the record was taken. */
static void
restore__written_to_since__still_the_volume(void **state)
{
    const char *path = FAT("rest2", "LIVELY", "51000002");
    struct volume *volume;

    keep_record(state, path);
    image_poke(path, 4096, "written later", 13);
    volume = restored(state);
    put_in(&((struct rig *) *state)->d[0], path);
    assert_ptr_equal(mount(&((struct rig *) *state)->d[0]), volume);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
}

static void
restore__another_medium_comes__it_stays_absent(void **state)
{
    struct volume *volume;

    keep_record(state, FAT("rest3", "MINE", "51000003"));
    volume = restored(state);
    put_in(&((struct rig *) *state)->d[0], FAT("rest4", "OTHER", "51000004"));
    assert_ptr_not_equal(mount(&((struct rig *) *state)->d[0]), volume);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
}

/* Told by its blocks alone: these must be what they were. */
static void
restore__no_file_system__told_by_its_blocks(void **state)
{
    const char *path = image("rest5", 1024, "true %s");
    struct volume *volume;

    image_poke(path, 0, "raw data of an unknown program", 30);
    keep_record(state, path);
    volume = restored(state);
    put_in(&((struct rig *) *state)->d[0], path);
    assert_ptr_equal(mount(&((struct rig *) *state)->d[0]), volume);

    path = image("rest6", 1024, "true %s");
    image_poke(path, 0, "raw data of another program", 27);
    put_in(&((struct rig *) *state)->d[1], path);
    assert_ptr_not_equal(mount(&((struct rig *) *state)->d[1]), volume);
}

static void
restore__twice__is_there_already(void **state)
{
    struct volume *volume, *again = NULL;

    keep_record(state, FAT("rest7", "ONCE", "51000007"));
    volume = restored(state);
    assert_int_equal(fs_volume_restore(((struct rig *) *state)->d[0].fdo,
                                       record, length, &again),
                     STATUS_OBJECT_NAME_COLLISION);
    assert_ptr_equal(again, volume);
}

/* Cut anywhere, or longer than it says: refused, nothing is made. */
static void
restore__damaged_record__refused(void **state)
{
    PDEVICE_OBJECT drive;
    struct volume *volume;
    NTSTATUS status;

    keep_record(state, FAT("rest8", "CUT", "51000008"));
    drive = ((struct rig *) *state)->d[0].fdo;
    for (ULONG n = 0; n < length; n++)
        assert_int_equal(fs_volume_restore(drive, record, n, &volume),
                         STATUS_FILE_CORRUPT_ERROR);
    assert_int_equal(fs_volume_restore(drive, record, length + 1, &volume),
                     STATUS_FILE_CORRUPT_ERROR);
    record[0] ^= 1;
    status = fs_volume_restore(drive, record, length, &volume);
    assert_int_equal(status, STATUS_FILE_CORRUPT_ERROR);
    assert_null(fs_volume_with_key("5100-0008"));
}

static void
key__two_copies__each_has_its_own(void **state)
{
    struct rig *rig = *state;
    const char *path = FAT("rest9", "TWIN", "51000009");
    struct volume *copy;
    struct fs_volume_info info;

    put_in(&rig->d[0], path);
    mount(&rig->d[0]);
    put_in(&rig->d[1], image_copy("rest10", path));
    copy = mount(&rig->d[1]);
    fs_volume_info(copy, &info);
    assert_string_equal(info.key, "5100-0009~2");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(restore__file_system__absent_with_its_names_then_back, rig_disk),
        TEST(restore__written_to_since__still_the_volume, rig_disk),
        TEST(restore__another_medium_comes__it_stays_absent, rig_disk),
        TEST(restore__no_file_system__told_by_its_blocks, rig_disk),
        TEST(restore__twice__is_there_already, rig_disk),
        TEST(restore__damaged_record__refused, rig_disk),
        TEST(key__two_copies__each_has_its_own, rig_disks),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
