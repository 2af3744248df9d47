/*
 * t_hba_sg.c - tests for src/port/hba_sg.c and sg_device.c, with a device that
 * is a socket whose other end each test answers at.
 *
 * Expectations: the SCSI Generic HOWTO and sg(4) (a write() sends struct
 * sg_io_hdr, a read() brings it back; EDOM and ENOMEM: not now; ENODEV: it is
 * gone), and promise P1: what could have met another medium is not believed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/sg.h"

#include "support.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* --- what the kernel would do -------------------------------------------------- */

static int device_fd = -1; /* the adapter's end; atomic */
static int write_fails;    /* errno, or 0; atomic */
static int read_fails;     /* likewise */

/* A command and its answer are handed over, which a sanitizer of threads does
 * not see where these take the place of its own. */
static void
hand_over(void)
{
    static int handed;

    __atomic_fetch_add(&handed, 1, __ATOMIC_ACQ_REL);
}

static bool
is_device(int fd, size_t len)
{
    return len == sizeof(struct sg_io_hdr) &&
           fd == __atomic_load_n(&device_fd, __ATOMIC_ACQUIRE);
}

ssize_t
write(int fd, const void *data, size_t len)
{
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write");
    int error = __atomic_load_n(&write_fails, __ATOMIC_ACQUIRE);

    hand_over();
    if (error == 0 || !is_device(fd, len))
        return real(fd, data, len);
    errno = error;
    return -1;
}

ssize_t
read(int fd, void *data, size_t len)
{
    ssize_t (*real)(int, void *, size_t) =
        (ssize_t(*)(int, void *, size_t)) dlsym(RTLD_NEXT, "read");
    int error = __atomic_load_n(&read_fails, __ATOMIC_ACQUIRE);

    ssize_t got;

    if (error != 0 && is_device(fd, len)) {
        errno = error;
        return -1;
    }
    got = real(fd, data, len);
    hand_over();
    return got;
}

/* --- a unit ---------------------------------------------------------------------- */

struct wire {
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo;
    int ends[2];     /* of the device; the first is the adapter's, once */
    LONG lost, kept; /* atomic: how it was closed */
    struct sg_io_hdr command; /* the last that was taken */
    UCHAR data[512];
};

static int
device_open(void *context, struct port_sg_device *out_device, char *out_text,
            size_t text_max)
{
    struct wire *wire = context;

    if (wire->ends[0] < 0) {
        snprintf(out_text, text_max, "it went");
        return -ENODEV;
    }
    *out_device = (struct port_sg_device){
        .fd = wire->ends[0], .diskseq_fd = -1, .count_fd = -1, .node = "sg7"
    };
    __atomic_store_n(&device_fd, wire->ends[0], __ATOMIC_RELEASE);
    wire->ends[0] = -1;
    return 0;
}

static void
device_gone(void *context, bool lost)
{
    struct wire *wire = context;

    InterlockedIncrement(lost ? &wire->lost : &wire->kept);
}

static int
device_settle(void *context, struct port_sg_device *device, char *out_text,
              size_t text_max)
{
    return 0;
}

static void
device_turned(void *context)
{
    (void) context;
}

/* The next command that the adapter sent. */
static struct sg_io_hdr *
take(struct wire *wire)
{
    struct pollfd fd = { .fd = wire->ends[1], .events = POLLIN };

    assert_int_equal(poll(&fd, 1, 60000), 1);
    assert_int_equal(
        recv(wire->ends[1], &wire->command, sizeof wire->command, 0),
        sizeof wire->command);
    hand_over();
    return &wire->command;
}

static void
answer(struct wire *wire, struct sg_io_hdr *hdr)
{
    hand_over();
    assert_int_equal(send(wire->ends[1], hdr, sizeof *hdr, MSG_NOSIGNAL),
                     sizeof *hdr);
}

/* A removable disk without a serial number, when its unit is made. */
static void *
say_who_it_is(void *context)
{
    struct wire *wire = context;

    for (int i = 0; i < 2; i++) {
        struct sg_io_hdr *hdr = take(wire);
        UCHAR *data = hdr->dxferp;

        memset(data, 0, hdr->dxfer_len);
        if (!(hdr->cmdp[1] & 1)) {
            data[1] = 0x80;
            data[4] = 31;
        }
        answer(wire, hdr);
    }
    return NULL;
}

static int
wire_new(void **state)
{
    struct wire *wire = calloc(1, sizeof *wire);
    char text[128] = "";
    pthread_t drive;

    write_fails = read_fails = 0;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wire->ends), 0);
    fcntl(wire->ends[0], F_SETFL, O_NONBLOCK);
    assert_int_equal(io_init(), STATUS_SUCCESS);
    assert_int_equal(io_load_driver("port", port_driver_entry, &wire->driver),
                     STATUS_SUCCESS);
    assert_int_equal(pthread_create(&drive, NULL, say_who_it_is, wire), 0);
    assert_int_equal(
        port_add_sg(wire->driver,
                    &(struct port_sg_config){ .open = device_open,
                                              .gone = device_gone,
                                              .settle = device_settle,
                                              .turned = device_turned,
                                              .context = wire,
                                              .out_text = text,
                                              .text_max = sizeof text },
                    "sg7", &wire->pdo),
        STATUS_SUCCESS);
    pthread_join(drive, NULL);
    *state = wire;
    return 0;
}

static int
wire_free(void **state)
{
    struct wire *wire = *state;

    port_remove_unit(wire->pdo);
    assert_int_equal(wire->lost + wire->kept, 1);
    close(wire->ends[1]);
    io_unload_driver(wire->driver);
    io_shutdown();
    free(wire);
    return 0;
}

/* One sector, of the medium that `key` is the number of. */
static void
read_sector(struct wire *wire, struct call *call, ULONG key)
{
    call_cdb(call, FREE | SRB_FLAGS_DATA_IN,
             CDB_OF(0x28, 0, 0, 0, 0, 7, 0, 0, 1, 0));
    call->srb.DataBuffer = wire->data;
    call->srb.DataTransferLength = sizeof wire->data;
    call->srb.QueueSortKey = key;
}

static void
set(int *where, int error)
{
    __atomic_store_n(where, error, __ATOMIC_RELEASE);
}

static LONG
times(const LONG *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

/* --- tests -------------------------------------------------------------------------- */

static void
good__brings_what_the_residual_says(void **state)
{
    struct wire *wire = *state;
    struct call call;
    struct sg_io_hdr *hdr;

    read_sector(wire, &call, 0);
    call_send(&call, wire->pdo);
    hdr = take(wire);
    assert_int_equal(hdr->interface_id, 'S');
    assert_int_equal(hdr->dxfer_direction, SG_DXFER_FROM_DEV);
    assert_int_equal(hdr->cmd_len, 10);
    assert_int_equal(hdr->cmdp[5], 7);
    assert_int_equal(hdr->timeout, 10000);
    memset(hdr->dxferp, 'x', 512);
    hdr->resid = 112;
    answer(wire, hdr);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(call.srb.DataTransferLength, 400);
    assert_int_equal(wire->data[399], 'x');
}

static void
kernel__that_cannot_now__is_busy_and_the_drive_stays(void **state)
{
    static const int not_now[] = { EDOM, EAGAIN, EBUSY, ENOMEM };
    struct wire *wire = *state;
    struct call call;

    for (size_t i = 0; i < ARRAYSIZE(not_now); i++) {
        set(&write_fails, not_now[i]);
        tur(&call, FREE);
        call_send(&call, wire->pdo);
        call_wait(&call);
        assert_int_equal(call.srb.SrbStatus, SRB_STATUS_BUSY);
    }
    /* Too long for it, or not allowed: this one alone. */
    set(&write_fails, EINVAL);
    tur(&call, FREE);
    call_send(&call, wire->pdo);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_INVALID_REQUEST);
    set(&write_fails, 0);
    tur(&call, FREE);
    call_send(&call, wire->pdo);
    answer(wire, take(wire));
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(times(&wire->lost) + times(&wire->kept), 0);
}

static void
device__gone_when_written_to__is_away(void **state)
{
    struct wire *wire = *state;
    struct call call;
    char why[128] = "";

    set(&write_fails, ENODEV);
    for (int i = 0; i < 2; i++) {
        tur(&call, FREE);
        call_send(&call, wire->pdo);
        call_wait(&call);
        assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SELECTION_TIMEOUT);
    }
    assert_int_equal(times(&wire->lost), 1);
    port_unit_why(wire->pdo, why, sizeof why);
    assert_string_equal(why, "it is not there any more");
}

/* It ends once, and nobody waits for its time limit. */
static void
device__gone_with_a_command__ends_it(void **state)
{
    struct wire *wire = *state;
    struct call first, second;
    struct sg_io_hdr *hdr;

    read_sector(wire, &first, 0);
    call_send(&first, wire->pdo);
    hdr = take(wire);
    tur(&second, FREE);
    call_send(&second, wire->pdo);
    set(&read_fails, ENODEV);
    answer(wire, hdr);
    call_wait(&first);
    call_wait(&second);
    assert_int_equal(first.srb.SrbStatus, SRB_STATUS_SELECTION_TIMEOUT);
    assert_int_equal(second.srb.SrbStatus, SRB_STATUS_SELECTION_TIMEOUT);
    assert_int_equal(times(&wire->lost), 1);
}

/* What is behind a command that tells of a change would reach the new medium. */
static void
P1_removable__one_at_a_time__and_none_behind_a_change(void **state)
{
    static UCHAR attention[18] = { 0x70, 0, 6, [7] = 10, [12] = 0x28 };
    struct wire *wire = *state;
    struct call first, second, third;
    struct sg_io_hdr *hdr;
    struct pollfd more = { .fd = wire->ends[1], .events = POLLIN };

    read_sector(wire, &first, 1);
    call_send(&first, wire->pdo);
    hdr = take(wire);
    read_sector(wire, &second, 1);
    call_send(&second, wire->pdo);
    read_sector(wire, &third, 0); /* of any medium */
    call_send(&third, wire->pdo);
    assert_int_equal(poll(&more, 1, 50), 0);
    hdr->status = SCSISTAT_CHECK_CONDITION;
    memcpy(hdr->sbp, attention, sizeof attention);
    hdr->sb_len_wr = sizeof attention;
    answer(wire, hdr);
    call_wait(&first);
    assert_int_equal(SRB_STATUS(first.srb.SrbStatus), SRB_STATUS_ERROR);
    assert_int_equal(first.srb.QueueSortKey, 2);
    call_wait(&second);
    assert_int_equal(second.srb.SrbStatus, SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(second.srb.QueueSortKey, 2);
    answer(wire, take(wire));
    call_wait(&third);
    assert_int_equal(third.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

/* At the end of a service: closed, and what was taken from the kernel goes back. */
static void
give_up__of_one_that_does_not_answer__leaves_it(void **state)
{
    struct wire *wire = *state;
    struct call call;
    char byte;

    tur(&call, FREE);
    call_send(&call, wire->pdo);
    take(wire);
    port_give_up(wire->pdo);
    call_wait(&call);
    assert_int_not_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    assert_int_equal(recv(wire->ends[1], &byte, 1, 0), 0);
    assert_int_equal(times(&wire->kept), 1);
    assert_int_equal(times(&wire->lost), 0);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, wire_new, wire_free)
    const struct CMUnitTest tests[] = {
        T(good__brings_what_the_residual_says),
        T(kernel__that_cannot_now__is_busy_and_the_drive_stays),
        T(device__gone_when_written_to__is_away),
        T(device__gone_with_a_command__ends_it),
        T(P1_removable__one_at_a_time__and_none_behind_a_change),
        T(give_up__of_one_that_does_not_answer__leaves_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
