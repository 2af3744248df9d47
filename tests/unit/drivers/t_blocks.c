/*
 * t_blocks.c - block sizes and large disks, through class and port
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>

static int
rig_2048(void **state)
{
    return rig_new(
        state,
        &(struct vscsi_config){ .type = VSCSI_DISK, .block_bytes = 2048 },
        true);
}

static int
rig_4096(void **state)
{
    return rig_new(
        state,
        &(struct vscsi_config){ .type = VSCSI_DISK, .block_bytes = 4096 },
        true);
}

static void
check_block_size(struct rig *rig, ULONG bytes)
{
    static char data[65536], back[65536];
    struct outcome out;
    DISK_GEOMETRY geometry;
    STORAGE_READ_CAPACITY capacity;

    out = control(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0,
                  sizeof geometry, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(geometry.BytesPerSector, bytes);
    out = control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                  sizeof capacity, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(capacity.BlockLength, bytes);
    assert_int_equal(capacity.NumberOfBlocks.QuadPart, IMAGE_BYTES / bytes);
    assert_int_equal(capacity.DiskLength.QuadPart, IMAGE_BYTES);
    memset(data, 'x', sizeof data);
    out = transfer(rig, IRP_MJ_WRITE, IMAGE_BYTES - bytes, data, bytes,
                   &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, bytes);
    spy_reset(rig);
    out = transfer(rig, IRP_MJ_READ, IMAGE_BYTES - sizeof back, back,
                   sizeof back, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(back[sizeof back - bytes - 1], 'a');
    assert_int_equal(back[sizeof back - bytes], 'x');
    /* its LBA and length count the drive's blocks */
    assert_int_equal(rig->spy.cdb[0][0], SCSIOP_READ);
    assert_int_equal(rig->spy.cdb[0][7] << 8 | rig->spy.cdb[0][8],
                     sizeof back / bytes);
}

static void
check_part_of_a_block(struct rig *rig, ULONG bytes)
{
    static char data[65536];
    struct outcome out;

    spy_reset(rig);
    out = transfer(rig, IRP_MJ_READ, 0, data, bytes / 2, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_INVALID_PARAMETER);
    out =
        transfer(rig, IRP_MJ_WRITE, bytes / 2, data, bytes, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_count(rig, SCSIOP_READ) + spy_count(rig, SCSIOP_WRITE),
                     0);
}

static void
check_swap(struct rig *rig, ULONG bytes)
{
    static char data[4096];
    struct outcome out;

    rig_mount(rig, true);
    rig_swap(rig, 1);
    out = transfer(rig, IRP_MJ_WRITE, 0, data, bytes, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_VERIFY_REQUIRED);
    assert_true(rig_verify_set(rig));
    rig_clear_verify(rig);
    out = transfer(rig, IRP_MJ_READ, 0, data, bytes, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(data[bytes - 1], 'b');
    rig_mount(rig, false);
}

static void
blocks_of_512__through_the_stack(void **state)
{
    check_block_size(*state, 512);
    check_part_of_a_block(*state, 512);
    check_swap(*state, 512);
}

static void
blocks_of_2048__through_the_stack(void **state)
{
    check_block_size(*state, 2048);
    check_part_of_a_block(*state, 2048);
    check_swap(*state, 2048);
}

static void
blocks_of_4096__through_the_stack(void **state)
{
    check_block_size(*state, 4096);
    check_part_of_a_block(*state, 4096);
    check_swap(*state, 4096);
}

/* --- large disks ---------------------------------------------------------- */

/* Skips where the file system cannot hold such a file. */
static void
put_in_sparse(struct rig *rig, ULONGLONG bytes)
{
    char text[256];
    int fd = open(rig->image[0], O_RDWR | O_TRUNC);

    if (ftruncate(fd, (off_t) bytes) != 0) {
        close(fd);
        print_message("the file system has no files of %u TiB\n",
                      (unsigned) (bytes >> 40));
        skip();
    }
    close(fd);
    if (vscsi_insert(rig->drive, rig->image[0], text, sizeof text) != 0)
        fail_msg("%s", text);
    rig_settle(rig);
}

static void
check_end(struct rig *rig, ULONGLONG bytes, UCHAR opcode)
{
    STORAGE_READ_CAPACITY capacity;
    VERIFY_INFORMATION range = { .StartingOffset.QuadPart =
                                     (LONGLONG) bytes - 1024,
                                 .Length = 1024 };
    char data[512], back[512] = "";
    struct outcome out;
    ULONGLONG lba = 0;
    struct stat st;
    int fd;

    put_in_sparse(rig, bytes);
    out = control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                  sizeof capacity, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(capacity.DiskLength.QuadPart, bytes);
    assert_int_equal(capacity.NumberOfBlocks.QuadPart, bytes / 512);
    spy_reset(rig);
    memset(data, 'z', sizeof data);
    out =
        transfer(rig, IRP_MJ_WRITE, bytes - 512, data, 512, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(rig->spy.cdb[0][0], opcode);
    for (int i = 2; i < (opcode == SCSIOP_WRITE16 ? 10 : 6); i++)
        lba = lba << 8 | rig->spy.cdb[0][i];
    assert_int_equal(lba, bytes / 512 - 1);
    out =
        transfer(rig, IRP_MJ_READ, bytes - 512, back, 512, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_memory_equal(back, data, 512);
    fd = open(rig->image[0], O_RDONLY);
    memset(back, 0, sizeof back);
    assert_int_equal(pread(fd, back, 512, (off_t) (bytes - 512)), 512);
    assert_memory_equal(back, data, 512);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    spy_reset(rig);
    out = control(rig, IOCTL_DISK_VERIFY, &range, sizeof range, 0,
                  &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(rig->spy.cdb[0][0], opcode == SCSIOP_WRITE16
                                             ? SCSIOP_VERIFY16
                                             : SCSIOP_VERIFY);
    out = transfer(rig, IRP_MJ_READ, bytes, back, 512, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_NONEXISTENT_SECTOR);
}

/* The last LBA is 0xFFFFFFFE: READ CAPACITY(10) still tells it. */
static void
disk_of_2_TiB_less_a_block__ten_byte_commands(void **state)
{
    check_end(*state, (2ull << 40) - 512, SCSIOP_WRITE);
}

/* And one more: only READ CAPACITY(16) does. */
static void
disk_of_2_TiB__sixteen_byte_capacity(void **state)
{
    check_end(*state, 2ull << 40, SCSIOP_WRITE16);
}

static void
disk_of_3_TiB__sixteen_byte_commands(void **state)
{
    check_end(*state, 3ull << 40, SCSIOP_WRITE16);
}

static void
disk_of_15_TiB__sixteen_byte_commands(void **state)
{
    check_end(*state, 15ull << 40, SCSIOP_WRITE16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_of_512__through_the_stack, rig_disk),
        TEST(blocks_of_2048__through_the_stack, rig_2048),
        TEST(blocks_of_4096__through_the_stack, rig_4096),
        TEST(disk_of_2_TiB_less_a_block__ten_byte_commands, rig_empty),
        TEST(disk_of_2_TiB__sixteen_byte_capacity, rig_empty),
        TEST(disk_of_3_TiB__sixteen_byte_commands, rig_empty),
        TEST(disk_of_15_TiB__sixteen_byte_commands, rig_empty),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
