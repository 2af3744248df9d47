/*
 * t_allow.c - tests for src/port/allow.c through both ports of real drives: an
 * iSCSI target in this process, and a socket that answers as the kernel's sg
 * driver does (the SCSI Generic HOWTO: write and read of struct sg_io_hdr).
 *
 * Expectations: nothing that the stack does not need reaches a real drive,
 * whoever asks; ntddscsi.h's pages on pass-through.
 *
 * SPDX-License-Identifier: MIT
 */
/* Before ntddk.h, whose macros are libiscsi's constants. */
#include "port/iscsi.h"

#include "support.h"

#include <pthread.h>
#include <scsi/sg.h>
#include <sys/socket.h>

#include "target.h"

enum port { ISCSI, SG };

struct stand {
    enum port port;
    struct target target;
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo;
    char text[256];
    /* The kernel's end of sg: a thread that carries commands out. */
    int peer;
    int device;
    uint8_t type;    /* of the device */
    uint8_t support; /* ... and what it says of a command: SPC-4's SUPPORT */
    pthread_t thread;
    unsigned sent[256]; /* atomic; sg's */
    uint64_t log_seq;   /* of the error log, when this began */
};

static unsigned
sent(struct stand *stand, uint8_t opcode)
{
    return __atomic_load_n(stand->port == ISCSI ? &stand->target.sent[opcode]
                                                : &stand->sent[opcode],
                           __ATOMIC_ACQUIRE);
}

/* --- sg -------------------------------------------------------------------------- */

static void
carry_out(const struct stand *stand, struct sg_io_hdr *hdr)
{
    uint8_t reply[36] = { stand->type, 0x80, 5, 2, 31 };
    size_t len = hdr->dxfer_len < 36 ? hdr->dxfer_len : 36;

    hdr->status = 0;
    hdr->host_status = hdr->driver_status = 0;
    hdr->sb_len_wr = 0;
    hdr->resid = 0;
    if (hdr->cmdp[0] == 0xA3 && hdr->dxfer_len >= 4) {
        memcpy(hdr->dxferp, (uint8_t[4]){ 0, stand->support, 0, 0 }, 4);
        hdr->resid = (int) hdr->dxfer_len - 4;
    }
    if (hdr->cmdp[0] != 0x12)
        return;
    memcpy(reply + 8, "SCRIPTEDDISK                0001", 28);
    memcpy(hdr->dxferp, reply, len);
    hdr->resid = (int) (hdr->dxfer_len - len);
}

static void *
kernel(void *context)
{
    struct stand *stand = context;
    struct sg_io_hdr hdr;

    while (read(stand->peer, &hdr, sizeof hdr) == sizeof hdr) {
        __atomic_fetch_add(&stand->sent[hdr.cmdp[0]], 1, __ATOMIC_RELEASE);
        carry_out(stand, &hdr);
        if (write(stand->peer, &hdr, sizeof hdr) != sizeof hdr)
            break;
    }
    return NULL;
}

static int
open_sg(void *context, struct port_sg_device *out_device, char *out_text,
        size_t text_max)
{
    struct stand *stand = context;

    (void) out_text;
    (void) text_max;
    out_device->fd = dup(stand->device);
    out_device->diskseq_fd = out_device->count_fd = -1;
    return 0;
}

static void
gone(void *context, bool lost)
{
    (void) context;
    (void) lost;
}

static void
turned(void *context)
{
    (void) context;
}

static NTSTATUS
add_sg(struct stand *stand)
{
    struct port_sg_config config = { .open = open_sg,
                                     .gone = gone,
                                     .turned = turned,
                                     .context = stand,
                                     .out_text = stand->text,
                                     .text_max = sizeof stand->text };
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    stand->device = fds[0];
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    stand->peer = fds[1];
    assert_int_equal(pthread_create(&stand->thread, NULL, kernel, stand), 0);
    return port_add_sg(stand->driver, &config, "wire", &stand->pdo);
}

/* --- both -------------------------------------------------------------------------- */

static NTSTATUS
add_iscsi(struct stand *stand)
{
    char url[128];
    struct port_iscsi_config config = {
        .url = url,
        .initiator = "iqn.2026-11.reinsert:test",
        .user = "",
        .secret = "",
        .turned = turned,
        .context = stand,
        .out_text = stand->text,
        .text_max = sizeof stand->text,
    };

    target_start(&stand->target);
    snprintf(url, sizeof url, "iscsi://127.0.0.1:%d/" TARGET_NAME "/1",
             stand->target.port);
    return port_add_iscsi(stand->driver, &config, "wire", &stand->pdo);
}

static int
stand_new(void **state, enum port port, uint8_t type)
{
    static struct io_error_log_entry list[128];
    struct stand *stand = calloc(1, sizeof *stand);

    stand->port = port;
    stand->type = type;
    stand->target.context = stand;
    assert_int_equal(io_init(), STATUS_SUCCESS);
    for (size_t n; (n = io_error_log(stand->log_seq, list, 128)) > 0;)
        stand->log_seq = list[n - 1].seq;
    assert_int_equal(io_load_driver("port", port_driver_entry, &stand->driver),
                     STATUS_SUCCESS);
    assert_int_equal(port == ISCSI ? add_iscsi(stand) : add_sg(stand),
                     STATUS_SUCCESS);
    *state = stand;
    return 0;
}

static int
iscsi_disk(void **state)
{
    return stand_new(state, ISCSI, 0x00);
}

static int
sg_disk(void **state)
{
    return stand_new(state, SG, 0x00);
}

static int
sg_tape(void **state)
{
    return stand_new(state, SG, 0x01);
}

static int
sg_robot(void **state)
{
    return stand_new(state, SG, 0x08);
}

static int
stand_free(void **state)
{
    struct stand *stand = *state;

    port_remove_unit(stand->pdo);
    if (stand->port == ISCSI) {
        target_stop(&stand->target);
    } else {
        close(stand->device);
        shutdown(stand->peer, SHUT_RDWR);
        pthread_join(stand->thread, NULL);
        close(stand->peer);
    }
    io_unload_driver(stand->driver);
    io_shutdown();
    free(stand);
    return 0;
}

static void
give(struct stand *stand, struct call *call, uint8_t opcode, uint8_t len)
{
    UCHAR cdb[16] = { opcode };

    call_cdb(call, FREE, cdb, len);
    call_send(call, stand->pdo);
    call_wait(call);
}

/* How often the log tells of a command that was not sent. */
static unsigned
told(const struct stand *stand, const char *name)
{
    static struct io_error_log_entry list[128];
    size_t count = io_error_log(stand->log_seq, list, 128);
    unsigned n = 0;

    for (size_t i = 0; i < count; i++)
        n += strcmp(list[i].text, name) == 0;
    return n;
}

/* --- tests --------------------------------------------------------------------------- */

/* SPC-4's and SBC-3's codes: WRITE BUFFER, SANITIZE, ATA PASS-THROUGH, ... */
static const struct {
    uint8_t opcode, len;
} never[] = {
    { 0x3B, 10 }, { 0x48, 10 }, { 0x85, 16 }, { 0xA1, 12 }, { 0x41, 10 },
    { 0x93, 16 }, { 0x83, 16 }, { 0xA4, 12 }, { 0xB5, 12 }, { 0x8D, 16 },
    { 0x02, 6 },  { 0x27, 10 }, { 0xC0, 10 }, { 0xD0, 12 }, { 0xE7, 10 },
    { 0xFF, 10 }, { 0xA5, 12 }, { 0x19, 6 },  { 0x28, 16 }, { 0x2A, 6 },
};

static void
command_of_no_row__not_sent__invalid_request__told_once(void **state)
{
    struct stand *stand = *state;
    struct call call;

    for (size_t i = 0; i < ARRAYSIZE(never); i++)
        for (int again = 0; again < 2; again++) {
            give(stand, &call, never[i].opcode, never[i].len);
            assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
            assert_int_equal(call.io.Status, STATUS_INVALID_DEVICE_REQUEST);
            assert_int_equal(call.srb.DataTransferLength, 0);
            assert_int_equal(sent(stand, never[i].opcode), 0);
        }
    assert_int_equal(told(stand, "not sent: WRITE BUFFER (3Bh)"), 1);
    assert_int_equal(told(stand, "not sent: SANITIZE (48h)"), 1);
    assert_int_equal(told(stand, "not sent: a command of its maker's (C0h)"),
                     1);
    assert_int_equal(told(stand, "not sent: command 27h"), 1);
    assert_int_equal(told(stand, "not sent: TEST UNIT READY (00h)"), 0);
    /* And the others go on. */
    give(stand, &call, 0x00, 6);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(sent(stand, 0x00), 1);
}

static void
pass_through_of_no_row__not_sent__invalid_device_request(void **state)
{
    static const ULONG codes[] = { IOCTL_SCSI_PASS_THROUGH,
                                   IOCTL_SCSI_PASS_THROUGH_DIRECT };
    struct stand *stand = *state;

    for (size_t i = 0; i < ARRAYSIZE(codes); i++) {
        SCSI_PASS_THROUGH pass = { .Length = sizeof pass,
                                   .CdbLength = 10,
                                   .DataIn = SCSI_IOCTL_DATA_UNSPECIFIED,
                                   .TimeOutValue = 5,
                                   .Cdb = { 0x3B, 0x05 } };

        assert_int_equal(io_device_control(stand->pdo, codes[i], &pass,
                                           sizeof pass, &pass, sizeof pass, 0,
                                           NULL),
                         STATUS_INVALID_DEVICE_REQUEST);
        pass.Cdb[0] = 0x00;
        pass.CdbLength = 6;
        assert_int_equal(io_device_control(stand->pdo, codes[i], &pass,
                                           sizeof pass, &pass, sizeof pass, 0,
                                           NULL),
                         STATUS_SUCCESS);
    }
    assert_int_equal(sent(stand, 0x3B), 0);
    assert_int_equal(sent(stand, 0x00), 2);
    assert_int_equal(told(stand, "not sent: WRITE BUFFER (3Bh)"), 1);
}

/* ERASE is a tape's; MOVE MEDIUM (A5h) is a robot's. */
static void
command_of_another_kind_of_device__not_sent(void **state)
{
    struct stand *stand = *state;
    struct call call;

    give(stand, &call, 0x19, 6);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(sent(stand, 0x19), 1);
    give(stand, &call, 0xA5, 12);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    give(stand, &call, 0x2A, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    assert_int_equal(sent(stand, 0xA5) + sent(stand, 0x2A), 0);
}

/* SPC-4, REPORT SUPPORTED OPERATION CODES: one operation code. */
static void
ask_about(struct stand *stand, uint8_t opcode, uint8_t support)
{
    UCHAR reply[4];
    struct call call;

    stand->support = support;
    call_cdb(&call, FREE | SRB_FLAGS_DATA_IN,
             CDB_OF(0xA3, 0x0C, 1, opcode, 0, 0, 0, 0, 0, 4, 0, 0));
    call.srb.DataBuffer = reply;
    call.srb.DataTransferLength = sizeof reply;
    call_send(&call, stand->pdo);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

/* E7h is a maker's own to SAM, and WDK's SCSIOP_INIT_ELEMENT_RANGE. */
static void
code_of_makers__sent_to_a_device_that_says_what_it_means(void **state)
{
    struct stand *stand = *state;
    struct call call;

    give(stand, &call, 0xE7, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    /* Another command; not known; in a manner of the maker's. */
    ask_about(stand, 0x37, 3);
    ask_about(stand, 0xE7, 1);
    ask_about(stand, 0xE7, 5);
    give(stand, &call, 0xE7, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    assert_int_equal(sent(stand, 0xE7), 0);
    ask_about(stand, 0xE7, 3);
    give(stand, &call, 0xE7, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(sent(stand, 0xE7), 1);
    /* As 37h is, without asking; and no other code becomes one by saying so. */
    give(stand, &call, 0x37, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    ask_about(stand, 0xC5, 3);
    give(stand, &call, 0xC5, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    /* It may be another device now. */
    ask_about(stand, 0xE7, 1);
    give(stand, &call, 0xE7, 10);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    assert_int_equal(sent(stand, 0xE7), 1);
}

#define ON(test, stand) cmocka_unit_test_setup_teardown(test, stand, stand_free)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON(command_of_no_row__not_sent__invalid_request__told_once, iscsi_disk),
        ON(command_of_no_row__not_sent__invalid_request__told_once, sg_disk),
        ON(pass_through_of_no_row__not_sent__invalid_device_request,
           iscsi_disk),
        ON(pass_through_of_no_row__not_sent__invalid_device_request, sg_disk),
        ON(command_of_another_kind_of_device__not_sent, sg_tape),
        ON(code_of_makers__sent_to_a_device_that_says_what_it_means, sg_robot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
