/*
 * deck.h - a tape drive to test drivers against: a host adapter of its own
 *
 * It answers by script, or, where there is none, as a drive does that works; it
 * keeps a log of its commands, and no tape.  One deck at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPE_DECK_H
#define TAPE_DECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ntifs.h>

#include <minitape.h>

#include "io/io.h"
#include "ke/ke.h"
#include "minitape/table.h"
#include "port/hba.h"
#include "port/port.h"

#define DECK_LOG 256

/* An answer in place of its own, to the `times` commands after `skip` ones. */
struct reply {
    int opcode;                 /* -1: any */
    unsigned skip, times;
    uint8_t srb_status, scsi_status;
    uint8_t sense[64], sense_len;
    uint32_t transferred;
    bool told;                  /* ... of READ: what the sense data say */
};

struct seen {
    uint8_t cdb[16];
    uint32_t len, timeout_s;
    uint8_t out[64];
};

struct deck {
    const char *vendor, *product;
    uint32_t block_bytes, capacity_mib;
    uint8_t limits[6], density;
    bool protected;
    uint8_t position_flags;     /* of READ POSITION, and the object */
    uint64_t position;
    uint32_t attention;
    struct reply script[8];
    unsigned replies, commands;
    struct seen log[DECK_LOG];
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo, fdo;
    PFILE_OBJECT file;
    bool open;
};

extern struct deck deck;

int deck_begin(void **state);
int deck_end(void **state);
int deck_new(void **state);     /* not started */
int deck_ready(void **state);   /* started, opened, log empty, fixed 512 */
int deck_variable(void **state);
int deck_free(void **state);
NTSTATUS deck_start(PDRIVER_OBJECT driver);     /* NULL: by its INQUIRY data */
/* A unit for an emulated drive, to take the place of the deck's own. */
struct vscsi_drive;
PDEVICE_OBJECT deck_add_virtual(struct vscsi_drive *drive, const char *name);
NTSTATUS deck_open(void);
NTSTATUS deck_close(void);

void deck_reply(const struct reply *reply);
void deck_forget(void);
unsigned deck_count(int opcode);        /* -1: all */
const struct seen *deck_seen(int opcode, unsigned nth);

/* Fixed sense data; bits is byte 2 without the key: 80 mark, 40 end, 20 length;
 * info -1 << 40: not valid. */
#define NO_INFO INT64_MIN
void deck_sense(int opcode, unsigned times, uint8_t key_bits, uint8_t asc,
                uint8_t ascq, int64_t info);

/* A READ of a block of another length, of which only so much came. */
void deck_lies(unsigned times, int64_t info, uint32_t transferred);

extern uint8_t answer[4096];
extern ULONG_PTR information;
NTSTATUS ask(ULONG code, const void *in, ULONG in_len, ULONG out_len);
NTSTATUS transfer(bool write, ULONG len);
NTSTATUS position(ULONG method, ULONG partition, LONGLONG offset);
NTSTATUS marks(ULONG count);
NTSTATUS flush(void);

#define assert_status(is, want)                                               \
    assert_int_equal((uint32_t) (is), (uint32_t) (want))
#define TEST(test) cmocka_unit_test_setup_teardown(test, deck_ready, deck_free)
#define TEST_VARIABLE(test)                                                   \
    cmocka_unit_test_setup_teardown(test, deck_variable, deck_free)
#define TEST_COLD(test)                                                       \
    cmocka_unit_test_setup_teardown(test, deck_new, deck_free)

#endif
