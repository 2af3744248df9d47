/*
 * wire.h - a unit of the scripted target behind the port, for tests of iSCSI
 *
 * Include port/iscsi.h before it: ntddk.h's macros are libiscsi's constants.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_TEST_WIRE_H
#define PORT_TEST_WIRE_H

#include "support.h"

#include "base/burst.h"
#include "target.h"

struct wire {
    struct target target;
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo;
    char text[256];
    LONG turns; /* atomic: sessions that began or ended */
    UCHAR data[8][1024];
    struct pdu first; /* that was kept back */
    bool kept;
};

static inline void
turned(void *context)
{
    struct wire *wire = context;

    InterlockedIncrement(&wire->turns);
}

static inline NTSTATUS
add_unit(struct wire *wire, bool may_be_away)
{
    char url[128];

    snprintf(url, sizeof url, "iscsi://127.0.0.1:%d/" TARGET_NAME "/1",
             wire->target.port);
    return port_add_iscsi(wire->driver,
                          &(struct port_iscsi_config){
                              .url = url,
                              .initiator = "iqn.2026-11.reinsert:test",
                              .user = "",
                              .secret = "",
                              .turned = turned,
                              .context = wire,
                              .may_be_away = may_be_away,
                              .out_text = wire->text,
                              .text_max = sizeof wire->text,
                          },
                          "wire", &wire->pdo);
}

static inline int
wire_alone(void **state)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire->target.context = wire;
    target_start(&wire->target);
    assert_int_equal(io_init(), STATUS_SUCCESS);
    assert_int_equal(io_load_driver("port", port_driver_entry, &wire->driver),
                     STATUS_SUCCESS);
    *state = wire;
    return 0;
}

static inline int
wire_new(void **state)
{
    wire_alone(state);
    assert_int_equal(add_unit(*state, false), STATUS_SUCCESS);
    return 0;
}

static inline int
wire_free(void **state)
{
    struct wire *wire = *state;

    if (wire->pdo != NULL)
        port_remove_unit(wire->pdo);
    target_stop(&wire->target);
    io_unload_driver(wire->driver);
    io_shutdown();
    free(wire);
    return 0;
}

#define WIRED(name) cmocka_unit_test_setup_teardown(name, wire_new, wire_free)
#define ALONE(name) cmocka_unit_test_setup_teardown(name, wire_alone, wire_free)
/* READ(10) or WRITE(10) of two blocks at 2 * n. */
static inline void
transfer(struct wire *wire, struct call *call, UCHAR opcode, unsigned n,
         ULONG key)
{
    call_cdb(call,
             FREE | (opcode == 0x28 ? SRB_FLAGS_DATA_IN : SRB_FLAGS_DATA_OUT),
             CDB_OF(opcode, 0, 0, 0, 0, (UCHAR) (2 * n), 0, 0, 2, 0));
    call->srb.DataBuffer = wire->data[n];
    call->srb.DataTransferLength = sizeof wire->data[n];
    call->srb.QueueSortKey = key;
}

static inline unsigned
sent(struct wire *wire, UCHAR opcode)
{
    return __atomic_load_n(&wire->target.sent[opcode], __ATOMIC_ACQUIRE);
}

static inline void
answers_by(struct wire *wire,
           bool (*command)(struct target *target, const struct pdu *in))
{
    __atomic_store_n(&wire->target.command, command, __ATOMIC_RELEASE);
}

static inline void
give(struct call *call, struct wire *wire)
{
    call_send(call, wire->pdo);
    call_wait(call);
}

static inline void
send_reads(struct wire *wire, struct call *calls, unsigned count)
{
    burst_begin(BURST_REQUESTS);
    for (unsigned n = 0; n < count; n++) {
        transfer(wire, &calls[n], 0x28, n, 0);
        call_send(&calls[n], wire->pdo);
    }
    burst_end(BURST_REQUESTS);
}

static inline bool
hangs_up(struct target *target, const struct pdu *in)
{
    (void) in;
    target_hang_up(target);
    return true;
}

static inline void
assert_lost_with_session(const struct call *call)
{
    UCHAR status = SRB_STATUS(call->srb.SrbStatus);

    assert_true(status == SRB_STATUS_BUS_RESET ||
                status == SRB_STATUS_SELECTION_TIMEOUT);
}

#endif
