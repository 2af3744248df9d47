/*
 * Tests for src/fs/metadata.c, on what mkfs makes; the places are those of the
 * published formats.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "fs/metadata.h"

static UCHAR head[1 << 20];
static ULONG at[METADATA_MAX], count;

static void
look_at(const char *path)
{
    image_peek(path, 0, head, sizeof head);
    count = metadata_places(head, sizeof head, at);
    assert_true(count <= METADATA_MAX);
    for (ULONG i = 0; i < count; i++)
        assert_true(at[i] < sizeof head);
}

static BOOLEAN
has(ULONG place)
{
    for (ULONG i = 0; i < count; i++)
        if (at[i] == place)
            return TRUE;
    return FALSE;
}

static void
ext4__superblock_descriptors_bitmaps_inodes(void **state)
{
    (void) state;
    /* Blocks of 1 KiB: the superblock is block 1, descriptors follow it. */
    look_at(image("ext", 8192, "mkfs.ext4 -q -b 1024 -O ^resize_inode %s"));
    assert_true(has(1024) && has(2048));
    for (int i = 0; i < 3; i++)
        assert_true(has(*(ULONG *) (head + 2048 + 4 * i) * 1024));
    look_at(image("ext4k", 8192, "mkfs.ext4 -q -F -b 4096 %s"));
    assert_true(has(1024) && has(4096));
}

static void
fat16__both_ends_of_the_table_and_the_root(void **state)
{
    ULONG reserved, size;

    (void) state;
    look_at(FAT("fat", "FAT", "D0000001"));
    reserved = *(USHORT *) (head + 14) * 512u;
    size = *(USHORT *) (head + 22) * 512u;
    assert_true(has(0) && has(reserved) && has(reserved + size - 512));
    assert_true(has(reserved + head[16] * size));
}

static void
nothing_known__where_superblocks_usually_are(void **state)
{
    (void) state;
    memset(head, 0, sizeof head);
    count = metadata_places(head, sizeof head, at);
    assert_true(has(0) && has(1024) && has(65536));
    /* Not beyond what was read. */
    count = metadata_places(head, 4096, at);
    assert_true(has(2048));
    assert_false(has(4096));
    count = metadata_places(head, 512, at);
    assert_int_equal(count, 1);
}

/* Hostile numbers lead nowhere outside. */
static void
any_bytes__never_outside(void **state)
{
    unsigned seed = 99;

    (void) state;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < 4096; i++)
            head[i] = (UCHAR) rand_r(&seed);
        head[1024 + 56] = 0x53;
        head[1024 + 57] = 0xEF;
        head[1024 + 24] %= 7;
        memset(head + 1024 + 25, 0, 3);
        head[510] = 0x55;
        head[511] = 0xAA;
        if (round % 2 != 0)
            memcpy(head + 3, "NTFS    ", 8);
        count = metadata_places(head, sizeof head, at);
        for (ULONG i = 0; i < count; i++)
            assert_true(at[i] < sizeof head);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ext4__superblock_descriptors_bitmaps_inodes),
        cmocka_unit_test(fat16__both_ends_of_the_table_and_the_root),
        cmocka_unit_test(nothing_known__where_superblocks_usually_are),
        cmocka_unit_test(any_bytes__never_outside),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
