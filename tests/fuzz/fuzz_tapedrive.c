/*
 * fuzz_tapedrive.c - a tape drive whose every answer is hostile, under a
 *                    session
 *
 * Class driver, minitape drivers and a session on the host adapter of
 * hostile.c: sense of any kind, positions, block limits, mode pages, MAM, first
 * blocks.  Nobody is asked (fail_without), so every call ends.  Checked: nothing
 * crashes or hangs, no call costs more than a bounded number of commands, and
 * what it gives back is within what was asked for.
 *
 * Input: which vendor, how many calls, how many bytes of them; the calls; what
 * the drive answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/hostile.h"

#include <errno.h>

#include "base/clock.h"
#include "io/io.h"
#include "minitape/table.h"
#include "port/port.h"
#include "tapes/tapes.h"

#define COMMANDS_MAX 20000
#define ROOM         65536u

static bool ours; /* the vendor of the emulated drive */
static PDRIVER_OBJECT drivers[4];
static uint8_t buffer[ROOM + 16];

/* --- the honest drive ---------------------------------------------------------- */

static uint32_t
honest(const SCSI_REQUEST_BLOCK *srb, uint8_t *data, uint32_t room)
{
    uint8_t reply[96] = { 0 };
    uint32_t bytes = 0;

    switch (srb->Cdb[0]) {
    case SCSIOP_INQUIRY:
        reply[0] = 1;
        reply[1] = 0x80;
        reply[2] = 6;
        reply[3] = 2;
        reply[4] = 91;
        memcpy(reply + 8, ours ? "REINSERT" : "FUZZ    ", 8);
        memcpy(reply + 16, "TAPE            1.0 ", 20);
        bytes = srb->Cdb[1] & 1 ? 4 : 96;
        break;
    case SCSIOP_READ_BLOCK_LIMITS:
        reply[1] = 0x10; /* 1 MiB */
        reply[5] = 1;
        bytes = 6;
        break;
    case SCSIOP_MODE_SENSE:
        reply[0] = 11;
        reply[2] = 0x10;
        reply[3] = 8;
        bytes = 12;
        break;
    case SCSIOP_READ_POSITION:
        reply[0] = 0x80; /* at the beginning */
        bytes = 32;
        break;
    case SCSIOP_WRITE6:
        return srb->DataTransferLength;
    default:
        break;
    }
    bytes = bytes < room ? bytes : room;
    if (bytes > 0)
        memcpy(data, reply, bytes);
    return bytes;
}

/* --- what is asked of it --------------------------------------------------------- */

/* Around whatever talks to the drive. */
static void
enter(void)
{
    hostile_request();
    fuzz_wait(true);
}

static void
leave(void)
{
    fuzz_wait(false);
}

static void
check(int error, const struct ri_tape_result *result, size_t size)
{
    CHECK(error <= 0 && error > -4096);
    CHECK(result->bytes <= size);
    CHECK(memchr(result->text, 0, sizeof result->text) != NULL);
}

static void
ask_status(struct ri_tape *tape)
{
    struct ri_tape_info info;
    struct mtpos position;
    struct mtget get;

    if (ri_tape_status(tape, &get, &position, &info) == 0)
        CHECK(memchr(info.tape, 0, sizeof info.tape) != NULL);
}

static void
ask_one(struct input *plan, struct ri_tape *tape)
{
    struct ri_tape_result result = { .bytes = 0 };
    uint8_t what = take8(plan);
    size_t size = (size_t) take16(plan) + 1;
    int error = 0;

    memset(buffer + size, 0x5A, 16);
    enter();
    switch (what & 3) {
    case 0:
        error = what & 4 ? ri_tape_read_lent(tape, buffer, size, &result)
                         : ri_tape_read(tape, buffer, size, &result);
        ri_tape_give_back(tape);
        break;
    case 1:
        error = what & 4 ? ri_tape_write_lent(tape, buffer, size, &result)
                         : ri_tape_write(tape, buffer, size, &result);
        ri_tape_give_back(tape);
        break;
    case 2:
        error = ri_tape_op(tape, what >> 2, (int16_t) (size - 1), &result);
        size = 0;
        break;
    default:
        ask_status(tape);
        if (what & 4)
            hostile_event(what >> 4);
        break;
    }
    leave();
    check(error, &result, size);
    CHECK(buffer[size] == 0x5A || size == 0);
}

static void
use(struct input *plan, unsigned asks, PDEVICE_OBJECT pdo)
{
    struct tape_unit_config config = { .name = "fuzz",
                                       .device = IoGetAttachedDevice(pdo),
                                       .unflushed_limit = 2 << 20,
                                       .recovery_dir = "" };
    struct ri_tape_how how = { .fail_without = true };
    struct tape_unit *unit = tape_unit_new(&config);
    struct ri_tape_result result = { .bytes = 0 };
    struct ri_tape *tape = NULL;
    struct ri_error why;
    uint8_t manner = take8(plan);
    int error;

    CHECK(unit != NULL);
    how.write = manner & 1;
    how.no_tape_needed = manner & 2;
    how.rewind_at_close = manner & 4;
    enter();
    tape_unit_looked(unit);
    leave();
    enter();
    error = tape_unit_open(unit, &how, &tape, &why);
    leave();
    if (error == 0) {
        for (unsigned i = 0; i < asks; i++)
            ask_one(plan, tape);
        enter();
        check(ri_tape_close(tape, &result), &result, 0);
        leave();
    }
    enter();
    tape_unit_free(unit);
    leave();
}

static void
begin(void)
{
    static const struct tapes_host host = { 0 };

    if (drivers[0] != NULL)
        return;
    fuzz_begin();
    CHECK(minitape_driver_count <= sizeof drivers / sizeof drivers[0]);
    for (size_t i = 0; i < minitape_driver_count; i++)
        CHECK(NT_SUCCESS(io_load_driver(
            minitape_drivers[i].name, minitape_drivers[i].entry, &drivers[i])));
    CHECK(tapes_start(&host) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input plan = { data, data + bytes };
    const struct fdo_choice *row;
    PDEVICE_OBJECT pdo;
    NTSTATUS status;
    unsigned asks;
    size_t split;

    begin();
    ours = take8(&plan) & 1;
    asks = take8(&plan) % 16;
    split = take8(&plan);
    if (split > (size_t) (plan.end - plan.at))
        split = (size_t) (plan.end - plan.at);
    hostile_begin((struct input){ plan.at + split, plan.end }, honest,
                  COMMANDS_MAX);
    plan.end = plan.at + split;
    enter();
    status = port_unit_new(fuzz_port, &hostile_ops, hostile_open, NULL,
                           "hostile", &pdo);
    if (NT_SUCCESS(status)) {
        row = minitape_driver_for(pdo);
        status = row != NULL
                     ? io_start_device(drivers[row - minitape_drivers], pdo)
                     : STATUS_NO_SUCH_DEVICE;
        leave();
        if (NT_SUCCESS(status))
            use(&plan, asks, pdo);
        enter();
        (void) io_remove_device(pdo);
        port_remove_unit(pdo);
    }
    leave();
    return 0;
}
