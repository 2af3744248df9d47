/*
 * mt_status.c - what mt prints of a drive, byte for byte
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/mt.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"

/* The names under which mt-st prints density codes, its spelling kept. */
static const struct {
    unsigned char code;
    const char *name;
} densities[] = {
    { 0x00, "default" },
    { 0x01, "NRZI (800 bpi)" },
    { 0x02, "PE (1600 bpi)" },
    { 0x03, "GCR (6250 bpi)" },
    { 0x04, "QIC-11" },
    { 0x05, "QIC-45/60 (GCR, 8000 bpi)" },
    { 0x06, "PE (3200 bpi)" },
    { 0x07, "IMFM (6400 bpi)" },
    { 0x08, "GCR (8000 bpi)" },
    { 0x09, "GCR (37871 bpi)" },
    { 0x0a, "MFM (6667 bpi)" },
    { 0x0b, "PE (1600 bpi)" },
    { 0x0c, "GCR (12960 bpi)" },
    { 0x0d, "GCR (25380 bpi)" },
    { 0x0f, "QIC-120 (GCR 10000 bpi)" },
    { 0x10, "QIC-150/250 (GCR 10000 bpi)" },
    { 0x11, "QIC-320/525 (GCR 16000 bpi)" },
    { 0x12, "QIC-1350 (RLL 51667 bpi)" },
    { 0x13, "DDS (61000 bpi)" },
    { 0x14, "EXB-8200 (RLL 43245 bpi)" },
    { 0x15, "EXB-8500 or QIC-1000" },
    { 0x16, "MFM 10000 bpi" },
    { 0x17, "MFM 42500 bpi" },
    { 0x18, "TZ86" },
    { 0x19, "DLT 10GB" },
    { 0x1a, "DLT 20GB" },
    { 0x1b, "DLT 35GB" },
    { 0x1c, "QIC-385M" },
    { 0x1d, "QIC-410M" },
    { 0x1e, "QIC-1000C" },
    { 0x1f, "QIC-2100C" },
    { 0x20, "QIC-6GB" },
    { 0x21, "QIC-20GB" },
    { 0x22, "QIC-2GB" },
    { 0x23, "QIC-875" },
    { 0x24, "DDS-2" },
    { 0x25, "DDS-3" },
    { 0x26, "DDS-4 or QIC-4GB" },
    { 0x27, "Exabyte Mammoth" },
    { 0x28, "Exabyte Mammoth-2" },
    { 0x29, "QIC-3080MC, IBM 3590 B" },
    { 0x2a, "IBM 3590 E" },
    { 0x30, "AIT-1 or MLR3" },
    { 0x31, "AIT-2" },
    { 0x32, "AIT-3 or SLR7" },
    { 0x33, "SLR6" },
    { 0x34, "SLR100" },
    { 0x40, "DLT1 40 GB, or Ultrium" },
    { 0x41, "DLT 40GB, or Ultrium2" },
    { 0x42, "LTO-2" },
    { 0x44, "LTO-3" },
    { 0x45, "QIC-3095-MC (TR-4)" },
    { 0x46, "LTO-4" },
    { 0x47, "DDS-5 or TR-5" },
    { 0x48, "SDLT220" },
    { 0x49, "SDLT320" },
    { 0x4a, "SDLT600, T10000A" },
    { 0x4b, "T10000B" },
    { 0x4c, "T10000C" },
    { 0x4d, "T10000D" },
    { 0x51, "IBM 3592 J1A" },
    { 0x52, "IBM 3592 E05" },
    { 0x53, "IBM 3592 E06" },
    { 0x54, "IBM 3592 E07" },
    { 0x55, "IBM 3592 E08" },
    { 0x58, "LTO-5" },
    { 0x5a, "LTO-6" },
    { 0x5c, "LTO-7" },
    { 0x5d, "LTO-7-M8" },
    { 0x5e, "LTO-8" },
    { 0x71, "IBM 3592 J1A, encrypted" },
    { 0x72, "IBM 3592 E05, encrypted" },
    { 0x73, "IBM 3592 E06, encrypted" },
    { 0x74, "IBM 3592 E07, encrypted" },
    { 0x75, "IBM 3592 E08, encrypted" },
    { 0x80, "DLT 15GB uncomp. or Ecrix" },
    { 0x81, "DLT 15GB compressed" },
    { 0x82, "DLT 20GB uncompressed" },
    { 0x83, "DLT 20GB compressed" },
    { 0x84, "DLT 35GB uncompressed" },
    { 0x85, "DLT 35GB compressed" },
    { 0x86, "DLT1 40 GB uncompressed" },
    { 0x87, "DLT1 40 GB compressed" },
    { 0x88, "DLT 40GB uncompressed" },
    { 0x89, "DLT 40GB compressed" },
    { 0x8c, "EXB-8505 compressed" },
    { 0x90, "SDLT110 uncompr/EXB-8205 compr" },
    { 0x91, "SDLT110 compressed" },
    { 0x92, "SDLT160 uncompressed" },
    { 0x93, "SDLT160 comprssed" },
};

#define DENSITY_COUNT (sizeof densities / sizeof densities[0])

/* In the order in which mt prints them. */
static const struct {
    unsigned long bit;
    const char *name;
} flags[] = {
    { 0x80000000, "EOF" },     { 0x40000000, "BOT" },
    { 0x20000000, "EOT" },     { 0x10000000, "SM" },
    { 0x08000000, "EOD" },     { 0x04000000, "WR_PROT" },
    { 0x01000000, "ONLINE" },  { 0x00800000, "D_6250" },
    { 0x00400000, "D_1600" },  { 0x00200000, "D_800" },
    { 0x00040000, "DR_OPEN" }, { 0x00010000, "IM_REP_EN" },
    { 0x00008000, "CLN" },
};

#define FLAG_COUNT (sizeof flags / sizeof flags[0])

static const char *
density_name(unsigned code)
{
    for (size_t i = 0; i < DENSITY_COUNT; i++)
        if (densities[i].code == code)
            return densities[i].name;
    return "no translation";
}

static unsigned
density_of(const struct mtget *get)
{
    return (unsigned) ((unsigned long) get->mt_dsreg >> 24) & 0xFF;
}

static unsigned
block_size_of(const struct mtget *get)
{
    return (unsigned) get->mt_dsreg & 0xFFFFFF;
}

void
mt_print_status(const struct mtget *get)
{
    printf("SCSI 2 tape drive:\n");
    printf("File number=%d, block number=%d, partition=%ld.\n", get->mt_fileno,
           get->mt_blkno, get->mt_resid & 0xFF);
    printf("Tape block size %u bytes. Density code 0x%x (%s).\n",
           block_size_of(get), density_of(get), density_name(density_of(get)));
    printf("Soft error count since last status=%ld\n", get->mt_erreg & 0xFFFF);
    printf("General status bits on (%lx):\n", get->mt_gstat & 0xFFFFFFFF);
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if ((unsigned long) get->mt_gstat & flags[i].bit)
            printf(" %s", flags[i].name);
    printf("\n");
}

void
mt_print_status_json(const struct mtget *get, const char *sense)
{
    json_t *names = json_array(), *reply;

    for (size_t i = 0; i < FLAG_COUNT; i++)
        if ((unsigned long) get->mt_gstat & flags[i].bit)
            json_array_append_new(names, json_string(flags[i].name));
    reply = json_pack(
        "{si si si si si ss si sI so ss}", "file", get->mt_fileno, "block",
        get->mt_blkno, "partition", (int) (get->mt_resid & 0xFF), "block_size",
        (int) block_size_of(get), "density", (int) density_of(get),
        "density_name", density_name(density_of(get)), "soft_errors",
        (int) (get->mt_erreg & 0xFFFF), "status_bits",
        (json_int_t) (get->mt_gstat & 0xFFFFFFFF), "flags", names, "sense",
        sense);
    print_json(reply);
    json_decref(reply);
}

void
mt_print_densities(void)
{
    size_t rows = (DENSITY_COUNT + 1) / 2;

    printf("Some SCSI tape density codes:\n"
           "code   explanation                   code   explanation\n");
    for (size_t i = 0; i < rows; i++) {
        printf("0x%02x   %-28s", densities[i].code, densities[i].name);
        if (i + rows < DENSITY_COUNT)
            printf("  0x%02x   %s", densities[i + rows].code,
                   densities[i + rows].name);
        printf("\n");
    }
}
