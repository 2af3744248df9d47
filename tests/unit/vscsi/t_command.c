/*
 * Tests for src/vscsi/command.c, spc.c, mode.c, sbc.c and thin.c: commands of
 * disks and floppies.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

SETUP(disk, .type = VSCSI_DISK)
SETUP(cached_disk, .type = VSCSI_DISK, .cache_volatile = true)
SETUP(disk_4k, .type = VSCSI_DISK, .block_bytes = 4096)
SETUP(floppy, .type = VSCSI_FLOPPY)

static void
inquiry__standard_data(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(IN(rig, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(rig->data[0], 0x00);
    assert_int_equal(rig->data[1] & 0x80, 0x80);
    assert_int_equal(rig->data[3] & 0x0f, 2);
    assert_int_equal(rig->data[4] + 5u, rig->last.transferred);
    assert_memory_equal(rig->data + 8, "REINSERT", 8);
    assert_int_equal(IN(rig, 5, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(rig->last.transferred, 5);
    assert_int_equal(IN(rig, 96, 0x12, 0, 0, 0, 36, 0), 0);
    assert_int_equal(rig->last.transferred, 36);
    assert_int_equal(IN(rig, 96, 0x12, 0, 0x83, 0, 96, 0), 0x052400);
}

static void
inquiry__vital_product_data(void **state)
{
    struct rig *rig = *state;
    uint8_t pages[8];

    assert_int_equal(IN(rig, 255, 0x12, 1, 0x00, 0, 255, 0), 0);
    assert_int_equal(number_at(rig->data + 2, 2), 6);
    memcpy(pages, rig->data + 4, 6);
    assert_memory_equal(pages, "\x00\x80\x83\xb0\xb1\xb2", 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(IN(rig, 255, 0x12, 1, pages[i], 0, 255, 0), 0);
        assert_int_equal(rig->data[1], pages[i]);
        assert_int_equal(number_at(rig->data + 2, 2) + 4,
                         rig->last.transferred);
    }
    assert_int_equal(rig->data[5] & 0xE4, 0xE4); /* LBPU LBPWS* LBPRZ */
    assert_int_equal(IN(rig, 255, 0x12, 1, 0x80, 0, 255, 0), 0);
    assert_memory_equal(rig->data + 4, "D1", 2);
    assert_int_equal(IN(rig, 255, 0x12, 1, 0xB0, 0, 255, 0), 0);
    assert_int_equal(rig->data[4] & 1, 1);
    assert_int_equal(rig->last.transferred, 64);
    assert_int_equal(IN(rig, 255, 0x12, 1, 0xC0, 0, 255, 0), 0x052400);
}

static void
unknown__opcode_and_fields__illegal_request(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0xFF, 0, 0, 0, 0, 0), 0x052000);
    assert_int_equal(NONE(rig, 0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0), 0x052000);
    assert_int_equal(NONE(rig, 0x28, 0, 0, 0, 0, 0), 0x052400); /* short */
    assert_int_equal(IN(rig, 512, 0x28, 0xE0, 0, 0, 0, 0, 0, 0, 1, 0),
                     0x052400);
    assert_int_equal(NONE(rig, 0, 0, 0, 0, 0, 4), 0x052400); /* NACA */
    assert_int_equal(NONE(rig, 0x04, 0, 0, 0, 0, 0), 0x052000);
}

static void
read_write__every_length_of_cdb(void **state)
{
    static const uint8_t cdbs[8][16] = {
        { 0x0A, 0, 1, 0x02, 1 },
        { 0x08, 0, 1, 0x02, 1 },
        { 0x2A, 0, 0, 0, 1, 0x02, 0, 0, 1 },
        { 0x28, 0, 0, 0, 1, 0x02, 0, 0, 1 },
        { 0xAA, 0, 0, 0, 1, 0x02, 0, 0, 0, 1 },
        { 0xA8, 0, 0, 0, 1, 0x02, 0, 0, 0, 1 },
        { 0x8A, 0, 0, 0, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 1 },
        { 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 1 },
    };
    static const uint8_t lengths[4] = { 6, 10, 12, 16 };
    struct rig *rig = *state;
    char byte;

    settle(rig);
    for (int i = 0; i < 4; i++) {
        memset(rig->data, '0' + i, 512);
        assert_int_equal(run(rig, cdbs[2 * i], lengths[i], VSCSI_TO_DRIVE, 512),
                         0);
        assert_int_equal(rig->last.transferred, 512);
        peek(rig->a, 0x102 * 512 + 511, &byte, 1);
        assert_int_equal(byte, '0' + i);
        memset(rig->data, 0, 512);
        assert_int_equal(
            run(rig, cdbs[2 * i + 1], lengths[i], VSCSI_FROM_DRIVE, 512), 0);
        assert_int_equal(rig->data[511], '0' + i);
    }
    /* READ(6) of 0 blocks means 256. */
    assert_int_equal(IN(rig, 65536, 0x08, 0, 0, 0, 0, 0), 0);
    assert_int_equal(rig->last.transferred, 65536);
    assert_int_equal(IN(rig, 65536, 0x08, 0, 0x07, 0x01, 0, 0), 0x052100);
    assert_int_equal(read_10(rig, 0, 0, 512), 0);
    assert_int_equal(rig->last.transferred, 0);
}

static void
range__beyond_the_end__sense_names_the_lba(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(read_10(rig, IMAGE_BLOCKS - 1, 1, 512), 0);
    assert_int_equal(read_10(rig, IMAGE_BLOCKS - 1, 2, 1024), 0x052100);
    assert_int_equal(rig->last.sense[0], 0xF0);
    assert_int_equal(number_at(rig->last.sense + 3, 4), IMAGE_BLOCKS);
    assert_int_equal(rig->last.transferred, 0);
    assert_int_equal(write_10(rig, 0, 0xFFFFFFFF, 1, 'x'), 0x052100);
    assert_int_equal(IN(rig, 512, 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0),
                     0x052100);
}

static void
buffer__smaller_than_the_cdb__cut(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    memset(rig->data, 0, 2048);
    assert_int_equal(read_10(rig, 0, 4, 1000), 0);
    assert_int_equal(rig->last.transferred, 1000);
    assert_int_equal(rig->data[1000], 0);
    assert_int_equal(NONE(rig, 0x28, 0, 0, 0, 0, 0, 0, 0, 4, 0), 0);
    assert_int_equal(rig->last.transferred, 0);
}

static void
capacity__10_and_16(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 4), IMAGE_BLOCKS - 1);
    assert_int_equal(number_at(rig->data + 4, 4), 512);
    assert_int_equal(
        IN(rig, 32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 8), IMAGE_BLOCKS - 1);
    assert_int_equal(rig->data[14] & 0xC0, 0xC0);
    assert_int_equal(
        IN(rig, 32, 0x9E, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0),
        0x052400);
}

static void
capacity__above_2_tib__read_at_the_end(void **state)
{
    struct rig *rig = *state;
    uint64_t size = UINT64_C(3) << 40, last = size / 512 - 1;

    make_image(rig->a, 0, size);
    settle(rig);
    assert_int_equal(IN(rig, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 4), 0xFFFFFFFF);
    assert_int_equal(
        IN(rig, 32, 0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 8), last);
    memset(rig->data, 'E', 512);
    assert_int_equal(OUT(rig, 512, 0x8A, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff,
                         0, 0, 0, 1, 0, 0),
                     0);
    memset(rig->data, 0, 512);
    assert_int_equal(IN(rig, 512, 0x88, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff,
                        0, 0, 0, 1, 0, 0),
                     0);
    assert_int_equal(rig->data[0], 'E');
    /* The LBA does not fit the fixed format: no VALID bit. */
    assert_int_equal(
        IN(rig, 512, 0x88, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0),
        0x052100);
    assert_int_equal(rig->last.sense[0], 0x70);
}

static void
block_4096__everything_counts_in_those(void **state)
{
    struct rig *rig = *state;
    char byte;

    settle(rig);
    assert_int_equal(IN(rig, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 4), IMAGE_BLOCKS / 8 - 1);
    assert_int_equal(number_at(rig->data + 4, 4), 4096);
    memset(rig->data, 'k', 4096);
    assert_int_equal(OUT(rig, 4096, 0x2A, 0, 0, 0, 0, 3, 0, 0, 1, 0), 0);
    peek(rig->a, 3 * 4096 + 4095, &byte, 1);
    assert_int_equal(byte, 'k');
}

static void
verify__compares_and_names_the_block(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0x2F, 0, 0, 0, 0, 0, 0, 0, 8, 0), 0);
    memset(rig->data, 'a', 8 * 512);
    assert_int_equal(OUT(rig, 8 * 512, 0x2F, 2, 0, 0, 0, 4, 0, 0, 8, 0), 0);
    rig->data[5 * 512 + 3] = 'z';
    assert_int_equal(OUT(rig, 8 * 512, 0x2F, 2, 0, 0, 0, 4, 0, 0, 8, 0),
                     0x0E1D00);
    assert_int_equal(number_at(rig->last.sense + 3, 4), 4 + 5);
    memset(rig->data, 'v', 512);
    assert_int_equal(OUT(rig, 512, 0x2E, 2, 0, 0, 0, 4, 0, 0, 1, 0), 0);
    assert_int_equal(
        OUT(rig, 512, 0x8F, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0), 0);
}

static uint32_t
unmap(struct rig *rig, uint8_t lba, uint8_t blocks)
{
    memset(rig->data, 0, 24);
    rig->data[1] = 22;
    rig->data[3] = 16;
    rig->data[14] = lba; /* in units of 256 */
    rig->data[18] = blocks;
    return OUT(rig, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
}

static void
unmap__reads_zeros__is_a_hole(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(unmap(rig, 2, 3), 0);
    assert_int_equal(read_10(rig, 2 * 256, 16, 8192), 0);
    for (int i = 0; i < 8192; i++)
        assert_int_equal(rig->data[i], 0);
    assert_int_equal(read_10(rig, 2 * 256 - 1, 1, 512), 0);
    assert_int_equal(rig->data[511], 'a');
    assert_int_equal(
        IN(rig, 4096, 0x9E, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0),
        0);
    assert_int_equal(rig->last.transferred, 8 + 3 * 16);
    assert_int_equal(number_at(rig->data, 4), 4 + 3 * 16);
    assert_int_equal(number_at(rig->data + 8 + 8, 4), 2 * 256);
    assert_int_equal(rig->data[8 + 12], 0);
    assert_int_equal(number_at(rig->data + 24, 8), 2 * 256);
    assert_int_equal(number_at(rig->data + 24 + 8, 4), 3 * 256);
    assert_int_equal(rig->data[24 + 12], 1);
    assert_int_equal(unmap(rig, 7, 2), 0x052100);
    rig->data[3] = 32; /* more than the list has */
    assert_int_equal(OUT(rig, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), 0x051A00);
    assert_int_equal(OUT(rig, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
}

static void
write_same__pattern_zero_and_unmap(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    memset(rig->data, 'p', 512);
    assert_int_equal(OUT(rig, 512, 0x41, 0, 0, 0, 0, 1, 0, 0, 100, 0), 0);
    assert_int_equal(read_10(rig, 100, 2, 1024), 0);
    assert_int_equal(rig->data[0], 'p');
    assert_int_equal(rig->data[512], 'a');
    memset(rig->data, 0, 512);
    assert_int_equal(
        OUT(rig, 512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 0);
    assert_int_equal(read_10(rig, 7, 2, 1024), 0);
    assert_int_equal(rig->data[0], 0);
    assert_int_equal(rig->data[512], 'p');
    /* NDOB: no data, zeros. */
    assert_int_equal(
        NONE(rig, 0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0), 0);
    assert_int_equal(read_10(rig, 8, 1, 512), 0);
    assert_int_equal(rig->data[0], 0);
    assert_int_equal(OUT(rig, 512, 0x41, 0x10, 0, 0, 0, 0, 0, 0, 1, 0),
                     0x052400); /* ANCHOR */
    assert_int_equal(OUT(rig, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                     0x052400); /* WSNZ */
}

static void
mode_sense__pages_and_headers(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 255, 0x1A, 0, 0x3F, 0, 255, 0), 0);
    assert_int_equal(rig->data[0] + 1u, rig->last.transferred);
    assert_int_equal(rig->data[2] & 0x80, 0);
    assert_int_equal(rig->data[2] & 0x10, 0x10); /* DPOFUA */
    assert_int_equal(rig->data[3], 8);
    assert_int_equal(number_at(rig->data + 4, 4), IMAGE_BLOCKS);
    assert_int_equal(number_at(rig->data + 9, 3), 512);
    assert_int_equal(IN(rig, 255, 0x5A, 8, 0x0A, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(number_at(rig->data, 2) + 2, rig->last.transferred);
    assert_int_equal(rig->data[8], 0x0A);
    assert_int_equal(rig->data[9], 10);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0x02, 0, 255, 0), 0x052400);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0xC8, 0, 255, 0), 0x053900);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0x48, 0, 255, 0), 0);
    assert_int_equal(rig->data[4 + 2], 0x00); /* no cache: not changeable */
}

static uint32_t
select_control(struct rig *rig, uint8_t byte_2, uint8_t byte_4)
{
    memset(rig->data, 0, 16);
    rig->data[4] = 0x0A;
    rig->data[5] = 10;
    rig->data[6] = byte_2;
    rig->data[8] = byte_4;
    return OUT(rig, 16, 0x15, 0x10, 0, 0, 16, 0);
}

static void
mode_select__d_sense__descriptor_format_and_attention(void **state)
{
    struct rig *rig = *state;
    struct vscsi_nexus *mine = rig->nexus;
    struct vscsi_nexus *other;

    settle(rig);
    other = vscsi_nexus_new(rig->drive, NULL, NULL);
    rig->nexus = other;
    assert_int_equal(TUR(rig), 0x062900);
    rig->nexus = mine;
    assert_int_equal(select_control(rig, 0x04, 0), 0);
    assert_int_equal(read_10(rig, IMAGE_BLOCKS, 1, 512), 0x052100);
    assert_int_equal(rig->last.sense[0], 0x72);
    assert_int_equal(rig->last.sense[7], 12);
    assert_int_equal(rig->last.sense[8], 0x00);
    assert_int_equal(rig->last.sense[9], 0x0A);
    assert_int_equal(rig->last.sense[10], 0x80);
    assert_int_equal(number_at(rig->last.sense + 12, 8), IMAGE_BLOCKS);
    assert_int_equal(TUR(rig), 0);
    rig->nexus = other;
    assert_int_equal(TUR(rig), 0x062A01);
    assert_int_equal(TUR(rig), 0);
    rig->nexus = mine;
    assert_int_equal(select_control(rig, 0, 0), 0);
    assert_int_equal(read_10(rig, IMAGE_BLOCKS, 1, 512), 0x052100);
    assert_int_equal(rig->last.sense[0], 0xF0);
    vscsi_nexus_free(other);
}

static void
mode_select__software_write_protect(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(select_control(rig, 0, 0x08), 0);
    assert_int_equal(write_10(rig, 0, 0, 1, 'x'), 0x072700);
    assert_int_equal(select_control(rig, 0, 0), 0);
    assert_int_equal(write_10(rig, 0, 0, 1, 'x'), 0);
}

static void
mode_select__bad_lists__refused(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(select_control(rig, 0xFF, 0), 0x052600);
    memset(rig->data, 0, 64);
    assert_int_equal(OUT(rig, 3, 0x15, 0x10, 0, 0, 3, 0), 0x051A00);
    assert_int_equal(OUT(rig, 4, 0x15, 0x11, 0, 0, 4, 0), 0x052400);
    assert_int_equal(OUT(rig, 4, 0x15, 0x10, 0, 0, 0, 0), 0);
    rig->data[3] = 8;
    assert_int_equal(OUT(rig, 8, 0x15, 0x10, 0, 0, 8, 0), 0x051A00);
    rig->data[10] = 8; /* blocks of 2048 bytes: no */
    assert_int_equal(OUT(rig, 12, 0x15, 0x10, 0, 0, 12, 0), 0x052600);
    memset(rig->data, 0, 64);
    rig->data[4] = 0x0A;
    rig->data[5] = 200;
    assert_int_equal(OUT(rig, 16, 0x15, 0x10, 0, 0, 16, 0), 0x052600);
    rig->data[5] = 10;
    assert_int_equal(OUT(rig, 10, 0x15, 0x10, 0, 0, 10, 0), 0x051A00);
    rig->data[4] = 0x33;
    assert_int_equal(OUT(rig, 16, 0x15, 0x10, 0, 0, 16, 0), 0x052600);
    /* One byte of a page, at the very end of the list. */
    rig->data[4] = 0x0A;
    assert_int_equal(OUT(rig, 17, 0x15, 0x10, 0, 0, 17, 0), 0x051A00);
    assert_int_equal(OUT(rig, 5, 0x15, 0x10, 0, 0, 200, 0), 0x051A00);
}

static void
opcodes__list_agrees_with_what_is_carried_out(void **state)
{
    struct rig *rig = *state;
    bool listed[256] = { false };
    uint8_t list[2048], cdb[16];
    size_t len;

    settle(rig);
    assert_int_equal(
        IN(rig, sizeof list, 0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0), 0);
    len = number_at(rig->data, 4);
    memcpy(list, rig->data + 4, len);
    for (size_t i = 0; i < len; i += 8)
        listed[list[i]] = true;
    assert_true(listed[0x28] && listed[0x8A] && listed[0xA3]);
    for (unsigned code = 0; code < 256; code++) {
        uint32_t sense;

        memset(cdb, 0, sizeof cdb);
        cdb[0] = (uint8_t) code;
        sense = run(rig, cdb, 16, VSCSI_NO_DATA, 0);
        assert_int_equal(sense != 0x052000, listed[code]);
    }
    assert_int_equal(IN(rig, 64, 0xA3, 0x0C, 1, 0x28, 0, 0, 0, 0, 0, 64, 0, 0),
                     0);
    assert_int_equal(rig->data[1] & 7, 3);
    assert_int_equal(number_at(rig->data + 2, 2), 10);
    assert_int_equal(rig->data[4], 0x28);
    assert_int_equal(number_at(rig->data + 6, 4), 0xFFFFFFFF);
    assert_int_equal(IN(rig, 64, 0xA3, 0x0C, 1, 0xFF, 0, 0, 0, 0, 0, 64, 0, 0),
                     0);
    assert_int_equal(rig->data[1] & 7, 1);
}

static void
floppy__geometry_format_and_capacities(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(IN(rig, 12, 0x23, 0, 0, 0, 0, 0, 0, 0, 12, 0), 0);
    assert_int_equal(rig->data[8] & 3, 3); /* no medium */
    make_image(rig->a, 'a', 2880 * 512);
    settle(rig);
    assert_int_equal(IN(rig, 12, 0x23, 0, 0, 0, 0, 0, 0, 0, 12, 0), 0);
    assert_int_equal(number_at(rig->data + 4, 4), 2880);
    assert_int_equal(rig->data[8] & 3, 2);
    assert_int_equal(IN(rig, 255, 0x1A, 8, 0x05, 0, 255, 0), 0);
    assert_int_equal(rig->data[1], 0x94);
    assert_int_equal(rig->data[4 + 4], 2);  /* heads */
    assert_int_equal(rig->data[4 + 5], 18); /* sectors */
    assert_int_equal(number_at(rig->data + 4 + 8, 2), 80);
    assert_int_equal(NONE(rig, 0x04, 0, 0, 0, 0, 0), 0);
    assert_int_equal(read_10(rig, 2879, 1, 512), 0);
    assert_int_equal(rig->data[0], 0);
}

/* UFI 4.3 (FORMAT UNIT) and its table of formats; SFF-8070. */
static void
floppy__each_size__its_geometry(void **state)
{
    static const struct {
        uint16_t blocks;
        uint8_t type, heads, sectors, cylinders;
        uint16_t kbit_s;
    } want[] = {
        { 320, 0, 1, 8, 40, 250 },      { 360, 0, 1, 9, 40, 250 },
        { 640, 0, 2, 8, 40, 250 },      { 720, 0, 2, 9, 40, 250 },
        { 1280, 0, 2, 8, 80, 250 },     { 1440, 0x1E, 2, 9, 80, 250 },
        { 2400, 0x93, 2, 15, 80, 500 }, { 2880, 0x94, 2, 18, 80, 500 },
        { 5760, 0, 2, 36, 80, 1000 },
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        make_image(rig->a, 0, want[i].blocks * 512u);
        settle(rig);
        assert_int_equal(IN(rig, 255, 0x1A, 8, 0x05, 0, 255, 0), 0);
        assert_int_equal(rig->data[1], want[i].type);
        assert_int_equal(number_at(rig->data + 4 + 2, 2), want[i].kbit_s);
        assert_int_equal(rig->data[4 + 4], want[i].heads);
        assert_int_equal(rig->data[4 + 5], want[i].sectors);
        assert_int_equal(number_at(rig->data + 4 + 6, 2), 512);
        assert_int_equal(number_at(rig->data + 4 + 8, 2), want[i].cylinders);
        assert_int_equal(want[i].cylinders * want[i].heads * want[i].sectors,
                         want[i].blocks);
        assert_int_equal(IN(rig, 64, 0x23, 0, 0, 0, 0, 0, 0, 0, 64, 0), 0);
        assert_int_equal(rig->data[3], 16);
        assert_int_equal(number_at(rig->data + 4, 4), want[i].blocks);
        assert_int_equal(number_at(rig->data + 12, 4), want[i].blocks);
        assert_int_equal(vscsi_yank(rig->drive), 0);
    }
}

static uint32_t
format_track(struct rig *rig, uint8_t track, uint8_t side, uint32_t blocks)
{
    memset(rig->data, 0, 12);
    rig->data[1] = 0xB0 | side; /* FOV, DCRT, SingleTrack */
    rig->data[3] = 8;
    rig->data[6] = (uint8_t) (blocks >> 8);
    rig->data[7] = (uint8_t) blocks;
    rig->data[10] = 2;
    return OUT(rig, 12, 0x04, 0x17, track, 0, 0, 0, 0, 0, 12, 0, 0, 0);
}

static void
floppy__format_of_one_track__that_track_alone(void **state)
{
    struct rig *rig = *state;

    make_image(rig->a, 'a', 2880 * 512);
    settle(rig);
    assert_int_equal(format_track(rig, 40, 1, 2880), 0);
    assert_int_equal(rig->last.transferred, 12);
    /* cylinder 40, head 1: blocks 1458 to 1475 */
    assert_int_equal(read_10(rig, 1457, 20, 20 * 512), 0);
    for (unsigned at = 0; at < 20 * 512; at++)
        assert_int_equal(rig->data[at], at < 512 || at >= 19 * 512 ? 'a' : 0);
}

static void
floppy__format_that_it_cannot_have__refused(void **state)
{
    struct rig *rig = *state;

    make_image(rig->a, 'a', 2880 * 512);
    settle(rig);
    assert_int_equal(format_track(rig, 80, 0, 2880), 0x052400);
    assert_int_equal(format_track(rig, 0, 0, 1440), 0x052600);
    rig->data[3] = 8;
    assert_int_equal(OUT(rig, 2, 0x04, 0x17, 0, 0, 0, 0), 0x051A00);
    assert_int_equal(OUT(rig, 4, 0x04, 0x17, 0, 0, 0, 0), 0x051A00);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
    assert_int_equal(rig->data[0], 'a');
}

static void
misc__seek_prefetch_diagnostic_luns(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0x2B, 0, 0, 0, 0, 9, 0, 0, 0, 0), 0);
    assert_int_equal(NONE(rig, 0x2B, 0, 0, 0, 8, 0, 0, 0, 0, 0), 0x052100);
    assert_int_equal(NONE(rig, 0x34, 0, 0, 0, 0, 0, 0, 0, 8, 0), 0);
    assert_int_equal(NONE(rig, 0x1D, 4, 0, 0, 0, 0), 0);
    assert_int_equal(NONE(rig, 0x1D, 1, 0, 0, 0, 0), 0x052400);
    assert_int_equal(IN(rig, 64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 4), 8);
    assert_int_equal(rig->last.transferred, 16);
    assert_int_equal(IN(rig, 64, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0),
                     0x052400);
    assert_int_equal(IN(rig, 18, 0x03, 0, 0, 0, 18, 0), 0);
    assert_int_equal(rig->data[2], 0);
    assert_int_equal(IN(rig, 18, 0x03, 1, 0, 0, 18, 0), 0);
    assert_int_equal(rig->data[0], 0x72);
}

/* 100,000 CDBs of noise: every one ends, none writes past its buffer. */
static void
noise__never_hurts(void **state)
{
    struct rig *rig = *state;
    unsigned seed = 4711;
    uint8_t cdb[16];

    settle(rig);
    for (int i = 0; i < 100000; i++) {
        uint32_t len = (uint32_t) rand_r(&seed) % 600;
        enum vscsi_dir dir = (enum vscsi_dir)(rand_r(&seed) % 3);

        for (int j = 0; j < 16; j++)
            cdb[j] = rand_r(&seed) % 3 ? 0 : (uint8_t) rand_r(&seed);
        cdb[0] = (uint8_t) rand_r(&seed);
        if (i % 50 == 0)
            memset(rig->data, rand_r(&seed), 600);
        rig->data[len] = 0x5C;
        (void) start_on(rig, rig->nexus, cdb, (size_t) rand_r(&seed) % 17, dir,
                        len, 0);
        assert_int_equal(rig->data[len], 0x5C);
        assert_true(rig->last.transferred <= len);
        assert_true(rig->last.sense_len <= VSCSI_SENSE_MAX);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inquiry__standard_data, disk),
        TEST(inquiry__vital_product_data, disk),
        TEST(unknown__opcode_and_fields__illegal_request, disk),
        TEST(read_write__every_length_of_cdb, disk),
        TEST(range__beyond_the_end__sense_names_the_lba, disk),
        TEST(buffer__smaller_than_the_cdb__cut, disk),
        TEST(capacity__10_and_16, disk),
        TEST(capacity__above_2_tib__read_at_the_end, disk),
        TEST(block_4096__everything_counts_in_those, disk_4k),
        TEST(verify__compares_and_names_the_block, disk),
        TEST(verify__compares_and_names_the_block, cached_disk),
        TEST(unmap__reads_zeros__is_a_hole, disk),
        TEST(write_same__pattern_zero_and_unmap, disk),
        TEST(write_same__pattern_zero_and_unmap, cached_disk),
        TEST(mode_sense__pages_and_headers, disk),
        TEST(mode_select__d_sense__descriptor_format_and_attention, disk),
        TEST(mode_select__software_write_protect, disk),
        TEST(mode_select__bad_lists__refused, disk),
        TEST(opcodes__list_agrees_with_what_is_carried_out, disk),
        TEST(floppy__geometry_format_and_capacities, floppy),
        TEST(floppy__each_size__its_geometry, floppy),
        TEST(floppy__format_of_one_track__that_track_alone, floppy),
        TEST(floppy__format_that_it_cannot_have__refused, floppy),
        TEST(misc__seek_prefetch_diagnostic_luns, disk),
        TEST(noise__never_hurts, disk),
        TEST(noise__never_hurts, cached_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
