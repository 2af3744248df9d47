/*
 * sg_device.c - a device of Linux's SCSI generic driver: its thread, its coming
 * and going
 *
 * The thread sleeps until there is a command, an answer or a uevent.  Uevents
 * are read before commands are sent and answers believed: a change that a
 * driver of the kernel was told of in our place is counted first.  A device
 * that is away is looked for when a SCSI device comes, or udev has given one its
 * names; for a while after that, and as long as it is there and cannot be had
 * (mounted, say), later and later again.  At no other time.
 *
 * Context: PASSIVE.  No lock is held over a completion.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/sg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/trace.h"

#define UEVENT_MAX   8192
#define KERNEL_GROUP 1 /* of NETLINK_KOBJECT_UEVENT: a mask */
#define UDEV_GROUP   2
#define SOON_MS      100
#define AGAIN_MS     250
#define AGAIN_MAX_MS 64000
#define SETTLE_MS    8000 /* what has come has its names by then */

/* --- evidence ------------------------------------------------------------------ */

/* A number of sysfs, in C's notation; 0: there is none. */
static uint64_t
read_number(int fd)
{
    char text[32];
    ssize_t got = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;

    if (got <= 0)
        return 0;
    text[got] = '\0';
    return strtoull(text, NULL, 0);
}

static void
begin_to_watch(struct sg_unit *unit)
{
    __atomic_store_n(&unit->gap.always, unit->device.shared, __ATOMIC_RELAXED);
    unit->diskseq = read_number(unit->device.diskseq_fd);
    unit->sent_by_all = read_number(unit->device.count_fd);
    unit->sent_by_us = 0;
}

/* The kernel counts what it sends to a device, for whomever.  What we did not
 * send was sent by somebody who may have taken a unit attention. */
static bool
others_sent(struct sg_unit *unit)
{
    uint64_t now = read_number(unit->device.count_fd);
    bool others = now > unit->sent_by_all + unit->sent_by_us;

    unit->sent_by_all = now;
    unit->sent_by_us = 0;
    return others;
}

static void
changed(struct sg_unit *unit)
{
    sg_could_have_changed(unit);
    unit->config.turned(unit->config.context);
}

void
sg_device_look(struct sg_unit *unit)
{
    uint64_t diskseq = read_number(unit->device.diskseq_fd);
    bool others;

    if (unit->device.fd < 0 || unit->sent_count > 0)
        return;
    others = others_sent(unit);
    if (diskseq == unit->diskseq && !others)
        return;
    TRACE(TRACE_PORT, "sg %s diskseq=%llu others=%d", unit->device.node,
          (unsigned long long) diskseq, others);
    unit->diskseq = diskseq;
    changed(unit);
}

/* --- coming and going ------------------------------------------------------------ */

/* The kernel's limit, and below that ours for what can be asked for in parts. */
static void
set_limit(struct sg_unit *unit)
{
    unsigned most =
        unit->device.tape ? SG_RECORD_MAX : unit->max_transfer_bytes;
    int bytes = 0;

    /* Of sg, and unlike a block device's: bytes. */
    if (ioctl(unit->device.fd, BLKSECTGET, &bytes) == 0 && bytes >= 4096 &&
        (unsigned) bytes < most)
        most = (unsigned) bytes;
    __atomic_store_n(&unit->max_transfer_bytes, most, __ATOMIC_RELAXED);
}

static void
set_away(struct sg_unit *unit, bool away, const char *why)
{
    pthread_mutex_lock(&unit->lock);
    snprintf(unit->why, sizeof unit->why, "%s", why);
    pthread_mutex_unlock(&unit->lock);
    __atomic_store_n(&unit->away, away, __ATOMIC_RELEASE);
}

static int
open_device(struct sg_unit *unit, char *out_text, size_t text_max)
{
    int rc = unit->config.open(unit->config.context, &unit->device, out_text,
                               text_max);

    if (rc != 0) {
        unit->device.fd = unit->device.diskseq_fd = -1;
        unit->device.count_fd = -1;
        unit->device.devpath[0] = '\0';
        set_away(unit, true, out_text);
        return rc;
    }
    set_limit(unit);
    begin_to_watch(unit);
    set_away(unit, false, "");
    unit->again_ms = 0;
    TRACE(TRACE_PORT, "sg %s open", unit->device.node);
    return 0;
}

static void
close_device(struct sg_unit *unit)
{
    if (unit->device.fd >= 0)
        close(unit->device.fd);
    if (unit->device.diskseq_fd >= 0)
        close(unit->device.diskseq_fd);
    if (unit->device.count_fd >= 0)
        close(unit->device.count_fd);
    unit->device.fd = unit->device.diskseq_fd = -1;
    unit->device.count_fd = -1;
    unit->device.devpath[0] = '\0';
}

/* Closed first: what is still on its way in the kernel finds nobody, and leaves
 * our memory alone. */
void
sg_device_lost(struct sg_unit *unit)
{
    if (unit->device.fd < 0)
        return;
    TRACE(TRACE_PORT, "sg %s lost", unit->device.node);
    unit->taken = false;
    (void) sg_unit_answers(unit);
    close_device(unit);
    set_away(unit, true, "it is not there any more");
    sg_could_have_changed(unit);
    sg_unit_end_sent(unit);
    unit->config.gone(unit->config.context, true);
    unit->config.turned(unit->config.context);
}

void
sg_device_leave(struct sg_unit *unit)
{
    if (unit->device.fd < 0)
        return;
    TRACE(TRACE_PORT, "sg %s left", unit->device.node);
    (void) sg_unit_answers(unit);
    close_device(unit);
    sg_could_have_changed(unit);
    sg_unit_end_sent(unit);
    unit->config.gone(unit->config.context, false);
}

/* Real time: a device does not wait for a clock that tests move. */
static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* Not all that has it in use tells when it lets go, and nothing tells by when
 * all its names are made. */
static void
look_again(struct sg_unit *unit, int rc)
{
    bool there = rc != -ENODEV && rc != -ENOENT && rc != -ENXIO;

    if (there)
        sg_wait_begin(&unit->wait, &unit->device);
    else
        sg_wait_end(&unit->wait);
    unit->again_ms = 0;
    if (unit->pause_ms > (there ? AGAIN_MAX_MS : SETTLE_MS))
        return;
    unit->again_ms = now_ms() + unit->pause_ms;
    if (!there || unit->pause_ms < AGAIN_MAX_MS)
        unit->pause_ms *= 2;
}

static void
look_for_it(struct sg_unit *unit)
{
    char text[256] = "", before[256];
    int rc;

    if (unit->device.fd >= 0)
        return;
    memcpy(before, unit->why, sizeof before); /* nobody else writes it */
    rc = open_device(unit, text, sizeof text);
    if (rc == 0) {
        sg_wait_end(&unit->wait);
        changed(unit);
        return;
    }
    TRACE(TRACE_PORT, "sg: not found: %s", text);
    look_again(unit, rc);
    if (strcmp(before, text) != 0)
        unit->config.turned(unit->config.context);
}

/* Something came, or is another than it was. */
static void
look_for_it_anew(struct sg_unit *unit)
{
    unit->pause_ms = AGAIN_MS;
    look_for_it(unit);
}

/* Its node is closed first, and then the device. */
static void
look_for_it_soon(struct sg_unit *unit)
{
    unit->pause_ms = AGAIN_MS;
    unit->again_ms = now_ms() + SOON_MS;
}

/* What it waits for is as after an attempt. */
void
sg_device_yield(struct sg_unit *unit)
{
    char why[256];

    memcpy(why, unit->why, sizeof why); /* nobody else writes it */
    TRACE(TRACE_PORT, "sg %s yielded: %s", unit->device.node, why);
    unit->taken = false;
    close_device(unit);
    set_away(unit, true, why);
    sg_could_have_changed(unit);
    unit->config.gone(unit->config.context, false);
    unit->pause_ms = AGAIN_MS;
    look_again(unit, -EBUSY);
    unit->config.turned(unit->config.context);
}

/* A driver of the kernel has asked it, and taken what there was to tell. */
static void
driver_came(struct sg_unit *unit)
{
    char text[256] = "";

    if (unit->device.fd < 0)
        return;
    unit->taken = unit->config.settle(unit->config.context, &unit->device, text,
                                      sizeof text) == -EBUSY;
    if (unit->taken)
        set_away(unit, false, text);
    __atomic_store_n(&unit->gap.always, unit->device.shared, __ATOMIC_RELAXED);
    unit->diskseq = read_number(unit->device.diskseq_fd);
    changed(unit);
}

/* --- uevents ------------------------------------------------------------------------ */

static void
on_uevent(struct sg_unit *unit, const char *message, size_t len)
{
    switch (sg_uevent_of(message, len, unit->device.devpath)) {
    case SG_UEVENT_GONE:
        sg_device_lost(unit);
        break;
    case SG_UEVENT_ARRIVAL:
        look_for_it_anew(unit);
        break;
    case SG_UEVENT_DRIVER:
        driver_came(unit);
        break;
    case SG_UEVENT_MEDIA:
        changed(unit);
        break;
    case SG_UEVENT_NOTHING:
        break;
    }
}

/* Some were dropped: any of them could have been about us. */
static void
missed_some(struct sg_unit *unit)
{
    look_for_it_anew(unit);
    driver_came(unit);
}

static void
take_uevents(struct sg_unit *unit)
{
    char message[UEVENT_MAX];
    struct sockaddr_nl from = { 0 };
    socklen_t from_len = sizeof from;

    for (;;) {
        ssize_t got = recvfrom(unit->uevent_fd, message, sizeof message, 0,
                               (struct sockaddr *) &from, &from_len);

        if (got < 0 && errno == ENOBUFS) {
            missed_some(unit);
            continue;
        }
        if (got < 0)
            return;
        if (from.nl_pid == 0) /* of the kernel, not of a process */
            on_uevent(unit, message, (size_t) got);
        else if (unit->device.fd < 0 && sg_udev_settled(message, (size_t) got))
            look_for_it(unit);
    }
}

static int
open_uevents(void)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK,
                                   .nl_groups = KERNEL_GROUP | UDEV_GROUP };
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_KOBJECT_UEVENT);

    if (fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* --- the thread ------------------------------------------------------------------------ */

static void
take_in(struct sg_unit *unit)
{
    LIST_ENTRY mine;

    InitializeListHead(&mine);
    pthread_mutex_lock(&unit->lock);
    while (!IsListEmpty(&unit->incoming))
        InsertTailList(&mine, RemoveHeadList(&unit->incoming));
    pthread_mutex_unlock(&unit->lock);
    while (!IsListEmpty(&mine))
        sg_unit_start(unit, CONTAINING_RECORD(RemoveHeadList(&mine),
                                              struct sg_command, link));
}

static bool
may_sleep(struct sg_unit *unit)
{
    bool empty;

    __atomic_store_n(&unit->sleeping, true, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&unit->lock);
    empty = IsListEmpty(&unit->incoming) && !unit->stop;
    pthread_mutex_unlock(&unit->lock);
    empty = empty && !__atomic_load_n(&unit->aborts, __ATOMIC_SEQ_CST) &&
            !__atomic_load_n(&unit->reset, __ATOMIC_SEQ_CST) &&
            !__atomic_load_n(&unit->leave, __ATOMIC_SEQ_CST);
    if (!empty)
        __atomic_store_n(&unit->sleeping, false, __ATOMIC_SEQ_CST);
    return empty;
}

static int
until_again(const struct sg_unit *unit)
{
    uint64_t now = now_ms();

    if (unit->device.fd >= 0 || unit->again_ms == 0)
        return -1;
    return unit->again_ms > now ? (int) (unit->again_ms - now) : 0;
}

static void
wait_for_something(struct sg_unit *unit)
{
    struct pollfd fds[3 + SG_WAIT_FDS] = {
        { .fd = unit->wake_fd, .events = POLLIN },
        { .fd = unit->uevent_fd, .events = POLLIN },
        { .fd = unit->device.fd, .events = POLLIN },
    };
    uint64_t count;

    sg_wait_fds(&unit->wait, fds + 3);
    poll(fds, ARRAYSIZE(fds), may_sleep(unit) ? until_again(unit) : 0);
    __atomic_store_n(&unit->sleeping, false, __ATOMIC_SEQ_CST);
    if (fds[0].revents & POLLIN &&
        read(unit->wake_fd, &count, sizeof count) < 0)
        TRACE(TRACE_PORT, "eventfd: %d", errno);
    take_uevents(unit);
    if (unit->device.fd < 0 && sg_wait_told(&unit->wait, fds + 3))
        look_for_it_soon(unit);
    else if (unit->device.fd < 0 && unit->again_ms != 0 &&
             now_ms() >= unit->again_ms)
        look_for_it(unit);
    if (unit->device.fd < 0 || fds[2].revents == 0)
        return;
    if (!sg_unit_answers(unit) || fds[2].revents & (POLLHUP | POLLNVAL))
        sg_device_lost(unit);
}

static bool
stopped(struct sg_unit *unit)
{
    bool stop;

    pthread_mutex_lock(&unit->lock);
    stop = unit->stop;
    pthread_mutex_unlock(&unit->lock);
    return stop;
}

static void *
run(void *context)
{
    struct sg_unit *unit = context;

    while (!stopped(unit)) {
        take_in(unit);
        sg_unit_look(unit);
        sg_unit_send(unit);
        wait_for_something(unit);
    }
    return NULL;
}

void
sg_device_wake(struct sg_unit *unit)
{
    uint64_t one = 1;

    if (__atomic_exchange_n(&unit->sleeping, false, __ATOMIC_SEQ_CST) &&
        write(unit->wake_fd, &one, sizeof one) < 0)
        TRACE(TRACE_PORT, "eventfd: %d", errno);
}

/* --- life -------------------------------------------------------------------------------- */

static NTSTATUS
status_of(int rc)
{
    switch (-rc) {
    case EACCES:
    case EPERM:
        return STATUS_ACCESS_DENIED;
    case EBUSY:
        return STATUS_SHARING_VIOLATION;
    default:
        return STATUS_DEVICE_NOT_CONNECTED;
    }
}

static void
close_all(struct sg_unit *unit)
{
    bool was_open = unit->device.fd >= 0;

    close_device(unit);
    if (was_open)
        unit->config.gone(unit->config.context, false);
    if (unit->wake_fd >= 0)
        close(unit->wake_fd);
    if (unit->uevent_fd >= 0)
        close(unit->uevent_fd);
    sg_wait_end(&unit->wait);
}

/* The socket first: nothing that comes after the look is missed. */
NTSTATUS
sg_device_start(struct sg_unit *unit, char *out_text, size_t text_max)
{
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    int rc;

    unit->device.diskseq_fd = unit->device.count_fd = -1;
    unit->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    unit->uevent_fd = open_uevents();
    if (unit->wake_fd < 0 || unit->uevent_fd < 0) {
        snprintf(out_text, text_max, "no way to hear of devices: %s",
                 strerror(errno));
        close_all(unit);
        return status;
    }
    unit->pause_ms = AGAIN_MS;
    rc = open_device(unit, out_text, text_max);
    if (rc != 0 && (!unit->config.may_be_away || rc == -ENOTSUP)) {
        close_all(unit);
        return status_of(rc);
    }
    if (rc != 0)
        look_again(unit, rc);
    if (pthread_create(&unit->thread, NULL, run, unit) == 0)
        return STATUS_SUCCESS;
    close_all(unit);
    return status;
}

void
sg_device_stop(struct sg_unit *unit)
{
    pthread_mutex_lock(&unit->lock);
    unit->stop = true;
    pthread_mutex_unlock(&unit->lock);
    sg_device_wake(unit);
    pthread_join(unit->thread, NULL);
    close_all(unit);
}
