/*
 * metadata.c - where a file system writes when it is only mounted, or changed
 *
 * ext: the superblock at 1024 (counts, times), the group descriptors, the first
 * group's bitmaps and inodes.  FAT: the boot sector's dirty mark, the counts at
 * 512, both ends of the first FAT, the root.  NTFS: the first records of its
 * table, and of its log if that is near.  Formats as publicly documented.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/metadata.h"

#include <string.h>

struct places {
    ULONG length;
    ULONG count;
    ULONG *at;
};

static void
add(struct places *places, ULONG64 at)
{
    if (places->count < METADATA_MAX && at < places->length)
        places->at[places->count++] = (ULONG) at;
}

static ULONG
le(const UCHAR *p, int bytes)
{
    ULONG value = 0;

    while (bytes-- > 0)
        value = value << 8 | p[bytes];
    return value;
}

static void
add_ext(const UCHAR *head, struct places *places)
{
    const UCHAR *super = head + 1024, *group;
    ULONG log2 = le(super + 24, 4);
    ULONG64 block, groups;

    if (places->length < 2048 || le(super + 56, 2) != 0xEF53 || log2 > 6)
        return;
    block = 1024ull << log2;
    groups = ((ULONG64) le(super + 20, 4) + 1) * block;
    add(places, groups);
    if (groups + 32 > places->length)
        return;
    group = head + groups;
    for (int i = 0; i < 3; i++)
        add(places, le(group + 4 * i, 4) * block);
}

static void
add_fat(const UCHAR *head, struct places *places)
{
    ULONG sector = le(head + 11, 2), fats = head[16];
    ULONG64 first = (ULONG64) le(head + 14, 2) * sector, size, root;

    if (places->length < 512 || le(head + 510, 2) != 0xAA55 || sector < 512 ||
        sector > 4096 || (sector & (sector - 1)) != 0 || fats == 0 ||
        fats > 2 || first == 0)
        return;
    size = le(head + 22, 2) != 0 ? le(head + 22, 2) : le(head + 36, 4);
    size *= sector;
    add(places, first);
    add(places, first + sector);
    add(places, first + size - sector);
    root = first + fats * size;
    add(places, root);
    add(places, root + sector);
}

static void
add_ntfs(const UCHAR *head, struct places *places)
{
    ULONG64 cluster = (ULONG64) head[13] * le(head + 11, 2);

    if (places->length < 512 || memcmp(head + 3, "NTFS    ", 8) != 0)
        return;
    add(places, le(head + 48, 4) * cluster);
    add(places, le(head + 48, 4) * cluster + 2048);
    add(places, le(head + 56, 4) * cluster);
}

ULONG
metadata_places(const UCHAR *head, ULONG length, ULONG out_at[METADATA_MAX])
{
    /* Superblocks that we know of, and what comes before and after them. */
    static const ULONG usual[] = { 0,    512,  1024,  1536,  2048,
                                   4096, 8192, 16384, 32768, 65536 };
    struct places places = { length, 0, out_at };

    add_ext(head, &places);
    add_fat(head, &places);
    add_ntfs(head, &places);
    for (size_t i = 0; i < RTL_NUMBER_OF(usual); i++)
        add(&places, usual[i]);
    return places.count;
}
