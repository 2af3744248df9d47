/*
 * robot.h - a medium changer to test drivers against: a host adapter of its own
 *
 * A small SMC device behind the real port, with everything that a test may want
 * it to do wrong: answers by script, quirks by flag.  It keeps a log of its
 * commands.  One robot at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CHANGER_ROBOT_H
#define CHANGER_ROBOT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntifs.h>

#include <mcd.h>

#include "base/clock.h"
#include "changer/changer.h"
#include "io/io.h"
#include "ke/ke.h"
#include "mcd/table.h"
#include "port/hba.h"
#include "port/port.h"

enum { ARM = 1, SLOT, MAIL, DRIVE };

#define ROBOT_MOST 16000
#define ROBOT_LOG  512

struct place {
    bool full, except, no_access, imported, sv_off, invert, missing;
    uint8_t asc, ascq;
    uint16_t source;            /* 0: unknown */
    uint8_t tag[36], alternate[36];
    const char *identity;       /* drives; NULL: none */
};

/* What it refuses with 5/24/00, and what it gets wrong. */
#define NO_DVCID    0x0001
#define NO_CURDATA  0x0002
#define NO_VOLTAG   0x0004
#define CUT_8       0x0008      /* the last 8 bytes of element data are lost */
#define ALL_OF_TYPE 0x0010      /* the number of elements is ignored */
#define AVOLTAG_LIE 0x0020
#define NO_PAGE_1E  0x0040
#define NO_PAGE_1F  0x0080
#define SHORT_1D    0x0100      /* says that page 1Dh has 0Eh bytes */
#define CUT_1D      0x0200      /* and sends no more than 16 */
#define BLOCKS      0x0400      /* a block descriptor, whatever is asked */
#define ROTATES     0x0800
#define TWICE       0x1000      /* each element twice, the second one wrong */
#define BAD_LENGTH  0x2000      /* descriptors of 8 bytes */
#define SPLIT       0x4000      /* a page for each element */
#define BOTH_TAGS   0x8000      /* alternate labels, too */
#define TYPE_0_BAD  0x10000
#define SERIAL_ID   0x20000     /* identification is the serial number */

/* An answer in its place, to the `times` commands after `skip` ones. */
struct reply {
    int opcode;                 /* -1: any */
    unsigned skip, times;
    uint8_t srb_status, scsi_status;
    uint8_t sense[32];
    uint8_t sense_len;
    bool act;                   /* what was asked for is done all the same */
    bool hold;                  /* until robot_release */
    const uint8_t *data;        /* instead of its own */
    uint32_t data_len;
    void (*also)(void);         /* after it */
};

struct seen {
    uint8_t cdb[16];
    uint32_t timeout_s, len;
    uint64_t at_ms;
    uint8_t out[64];            /* data to the device */
};

struct robot {
    uint32_t quirks;
    const char *vendor, *product, *serial;
    bool reader;                /* sends labels */
    bool bar_c;                 /* INQUIRY says that it has a reader */
    uint8_t capabilities[20];   /* page 1Fh */
    uint32_t alloc_most;        /* 0: any */
    uint32_t descriptor_more;   /* bytes behind each descriptor */
    bool tells_commands;        /* REPORT SUPPORTED OPERATION CODES */
    uint8_t own_way;            /* ... of this one: in a manner of its maker's */
    uint8_t lacks[16];          /* commands answered 5/20/00; 0 ends */
    uint16_t first[5], count[5];
    struct place *places[5];
    struct reply script[8];
    unsigned replies;
    struct seen log[ROBOT_LOG];
    unsigned commands;
    bool prevented;
    uint8_t template[40];       /* of SEND VOLUME TAG; [0] 0: none */
    bool searching;

    /* the rest of the house */
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo, fdo;
    PFILE_OBJECT file;
    bool open;
    struct hba_request *held;
    KSPIN_LOCK lock;
    unsigned events_mail, events_stale;
    PVOID notification;
};

extern struct robot robot;

int robot_begin(void **state);
int robot_end(void **state);

/* A setup: a robot with 1 arm, 8 slots from 1000 (two of them full), 2 mail
 * slots from 10, 2 drives from 500; not started. */
int robot_new(void **state);
int robot_free(void **state);
/* A unit for an emulated device, in place of the robot's own. */
struct vscsi_drive;
PDEVICE_OBJECT robot_add_virtual(struct vscsi_drive *device, const char *name);
void robot_size(int kind, uint16_t first, uint16_t count);
/* In the registry of the device: before it is started. */
void robot_setting(const char *name, uint32_t value);
/* Starts it with the driver of its INQUIRY data, or this one; opens it.
 * NULL: no such handle. */
NTSTATUS robot_try_start(PDRIVER_OBJECT driver);
void robot_start(void);
NTSTATUS robot_open(void);
void robot_close(void);
/* Setup: robot_new, then started and opened. */
int robot_ready(void **state);

void robot_fill(int kind, unsigned index, const char *tag);
struct place *robot_place(int kind, unsigned index);
void robot_reply(const struct reply *reply);
void robot_release(void);
void robot_forget(void);        /* the log */
unsigned robot_count(int opcode);
const struct seen *robot_seen(int opcode, unsigned nth);

#define SENSE(op, n, key, asc, ascq)                                          \
    robot_reply(&(struct reply){                                              \
        .opcode = op, .times = n, .srb_status = SRB_STATUS_ERROR,             \
        .scsi_status = 2, .sense_len = 18,                                    \
        .sense = { 0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq } })

/* A control code, with a system buffer that holds `in`; the output is read
 * from `answer`.  Time passes while it waits, if it is manual. */
extern uint8_t answer[1 << 21];
extern ULONG_PTR information;
NTSTATUS ask(ULONG code, const void *in, ULONG in_len, ULONG out_len);
/* Nothing was written, no Information. */
void assert_refused(NTSTATUS is, NTSTATUS want);
#define assert_status(is, want)                                               \
    assert_int_equal((uint32_t) (is), (uint32_t) (want))

NTSTATUS move_medium(int from_kind, unsigned from, int to_kind, unsigned to);
NTSTATUS read_elements(int kind, unsigned first, unsigned count, bool tags);
PCHANGER_ELEMENT_STATUS element(unsigned index);
GET_CHANGER_PARAMETERS parameters(void);
NTSTATUS set_access(int kind, unsigned index, ULONG control);

#define TEST(test) cmocka_unit_test_setup_teardown(test, robot_ready, robot_free)
#define TEST_COLD(test)                                                       \
    cmocka_unit_test_setup_teardown(test, robot_new, robot_free)

#endif
