/*
 * rig.h - tape sessions on two emulated drives, through the real class driver
 *         and the real prompt broker
 *
 * Calls that wait run on a thread of their own; the test waits for what the
 * broker tells.  Time is the manual clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPE_SESSION_RIG_H
#define TAPE_SESSION_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include <ntifs.h>

#include <tape.h>
#include <vscsi.h>

#include "io/io.h"
#include "ke/ke.h"
#include "prompt/prompt.h"
#include "tapes/tapes.h"
#include "tapes/tapes_internal.h"

#define RIG_DRIVES 2

struct rig_drive {
    struct vscsi_drive *vscsi;
    PDEVICE_OBJECT pdo, fdo;
    struct tape_unit *unit;
};

struct rig {
    char folder[64], kept[96];
    struct rig_drive drive[RIG_DRIVES];
    struct ri_tape *tape;       /* of drive 0 */
    struct ri_tape_result result;
    char kept_file[RI_PATH_MAX];
    uint64_t kept_bytes;
    char action[32];            /* of the last event */
};

extern struct rig rig;

int rig_begin(void **state);
int rig_end(void **state);
/* Two empty drives, whose buffers a yank loses. */
int rig_new(void **state);
/* ... that keep what they have taken. */
int rig_new_safe(void **state);
int rig_free(void **state);
/* A limit of unflushed bytes, a capacity for the drives that come. */
extern uint64_t rig_limit, rig_capacity;

/* The image NAME.tap in the folder: made if need be, put in, looked at. */
void rig_insert(unsigned drive, const char *name);
void rig_yank(unsigned drive);          /* and looked at */
bool rig_is_in(unsigned drive);          /* a tape, whatever is known of it */
const char *rig_path(const char *name);
void rig_open(const char *tape);        /* for writing */
int rig_close(void);
int rig_write(const void *data, size_t size);
int rig_read(void *data, size_t size);
int rig_op(int op, int64_t count);
struct mtget rig_get(void);
/* `size` bytes that belong to number `n`. */
const uint8_t *rig_block(unsigned n, size_t size);

/* --- calls that wait ------------------------------------------------------ */

enum rig_call {
    CALL_READ,
    CALL_READ_LENT,
    CALL_WRITE,
    CALL_WRITE_LENT,
    CALL_OP,
    CALL_NEXT,
    CALL_CLOSE
};

/* Runs it on the rig's thread: data or name, size or operation, count. */
void rig_start(enum rig_call call, void *data, size_t size, int64_t count);
int rig_join(void);                     /* what it returned */
bool rig_has_ended(void);               /* then rig_join does not wait */
void rig_turn(void);                    /* lets the other threads run: until the
                                         * call ends, the broker tells
                                         * something, or some milliseconds */
/* Waits until the broker has told this of any question; out may be NULL. */
void rig_wait_for(enum prompt_event event, struct ri_prompt_info *out);
unsigned rig_told(enum prompt_event event);
size_t rig_prompts(void);               /* how many stand */
uint64_t rig_prompt_id(void);           /* of the only one */

/* --- images --------------------------------------------------------------- */

/* What lies on a tape: lengths and numbers of blocks as rig_block makes them,
 * -1 for a filemark, -2 for something else; the number of objects. */
size_t rig_image(const char *path, int *out_objects, size_t max, size_t size);

#define TEST(test) cmocka_unit_test_setup_teardown(test, rig_new, rig_free)
#define TEST_SAFE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, rig_new_safe, rig_free)
#define assert_result(is, want) assert_int_equal((is), (want))

#endif
