/*
 * link.c - the client's end of a tape session
 *
 * Replies come in the order of the requests, so a ring of what was submitted
 * is all that is remembered.  Replies are received many at once, and reads sent
 * a few at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapelink/tape_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tapelink/hello.h"
#include "tapelink/window.h"
#include "tapelink/wire.h"

#define IN_BYTES       16384
#define TOGETHER       32           /* reads sent at once, at most, ... */
#define TOGETHER_BYTES (512u << 10) /* ... and what they ask for */

_Static_assert(IN_BYTES >= sizeof(struct tape_reply) + TAPE_EXTRA_MAX, "fits");

struct on_its_way {
    bool write;
    size_t offset, size;
};

struct tape_link {
    int fd, signal_fd;
    struct tape_link_window *window;
    bool own_window;
    int broken; /* 0, or -errno for all that follows */
    uint32_t group;
    bool sums; /* are wanted of reads */
    struct on_its_way ring[TAPE_LINK_PENDING];
    unsigned first, pending;
    uint8_t in[IN_BYTES]; /* [in_at, in_end) */
    size_t in_at, in_end;
    struct tape_request reads[TOGETHER]; /* submitted, not sent yet */
    unsigned reads_count;
    size_t reads_bytes;
};

/* --- messages ------------------------------------------------------------------ */

/* 0, or what is broken from now on. */
static int
send_bytes(struct tape_link *link, const void *data, size_t len)
{
    int rc = link->broken;

    if (rc == 0)
        rc = tape_send_all(link->fd, data, len);
    if (rc != 0)
        link->broken = rc == -ECONNRESET ? -EPIPE : rc;
    return link->broken;
}

static int
send_reads(struct tape_link *link)
{
    size_t len = link->reads_count * sizeof link->reads[0];

    link->reads_count = 0;
    link->reads_bytes = 0;
    return len == 0 ? link->broken : send_bytes(link, link->reads, len);
}

static int
send_request(struct tape_link *link, struct tape_request *request,
             const char *text)
{
    uint8_t message[sizeof *request + RI_NAME_MAX];
    size_t len = text != NULL ? strnlen(text, RI_NAME_MAX - 1) : 0;
    int rc = send_reads(link);

    if (rc != 0)
        return rc;
    request->extra = (uint16_t) len;
    request->group = link->group;
    memcpy(message, request, sizeof *request);
    if (len > 0)
        memcpy(message + sizeof *request, text, len);
    return send_bytes(link, message, sizeof *request + len);
}

/* It goes with others, or when somebody waits for it. */
static int
queue_read(struct tape_link *link, const struct tape_request *request)
{
    link->reads[link->reads_count] = *request;
    link->reads[link->reads_count++].group = link->group;
    link->reads_bytes += request->size;
    return link->reads_count < TOGETHER && link->reads_bytes < TOGETHER_BYTES
               ? link->broken
               : send_reads(link);
}

/* A whole reply is there, with what follows it. */
static bool
have_reply(const struct tape_link *link)
{
    size_t have = link->in_end - link->in_at;
    struct tape_reply reply;

    if (have < sizeof reply)
        return false;
    memcpy(&reply, link->in + link->in_at, sizeof reply);
    return have >= sizeof reply + reply.extra;
}

/* flags: MSG_DONTWAIT or 0.  -EAGAIN: nothing is there. */
static int
receive(struct tape_link *link, int flags)
{
    ssize_t n;

    if (link->in_at > 0) {
        memmove(link->in, link->in + link->in_at, link->in_end - link->in_at);
        link->in_end -= link->in_at;
        link->in_at = 0;
    }
    do
        n = recv(link->fd, link->in + link->in_end,
                 sizeof link->in - link->in_end, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return -EAGAIN;
    if (n <= 0)
        return link->broken = -EPIPE;
    link->in_end += (size_t) n;
    return 0;
}

/* extra has room for TAPE_EXTRA_MAX + 1, and is terminated. */
static int
next_reply(struct tape_link *link, struct tape_reply *out, char *extra)
{
    while (!have_reply(link)) {
        int rc = receive(link, 0);

        if (rc != 0)
            return rc;
    }
    memcpy(out, link->in + link->in_at, sizeof *out);
    if (out->extra > TAPE_EXTRA_MAX)
        return link->broken = -EPROTO;
    memcpy(extra, link->in + link->in_at + sizeof *out, out->extra);
    extra[out->extra] = '\0';
    link->in_at += sizeof *out + out->extra;
    return 0;
}

static int
call(struct tape_link *link, struct tape_request *request, const char *text,
     struct ri_tape_result *out_result)
{
    char extra[TAPE_EXTRA_MAX + 1];
    struct tape_reply reply;
    int rc;

    if (link->pending > 0)
        return -EBUSY;
    link->group++;
    rc = send_request(link, request, text);
    if (rc == 0)
        rc = next_reply(link, &reply, extra);
    if (rc == 0 && reply.op != request->op)
        rc = link->broken = -EPROTO;
    if (rc != 0) {
        if (out_result != NULL)
            *out_result = (struct ri_tape_result){
                .text = "the connection to the service is lost"
            };
        return rc;
    }
    if (out_result != NULL)
        tape_result_unpack(&reply, extra, out_result);
    return reply.rc;
}

/* --- life ------------------------------------------------------------------------ */

static uint32_t
how_flags(const struct ri_tape_how *how)
{
    return (how->write ? TAPE_HOW_WRITE : 0) |
           (how->no_tape_needed ? TAPE_HOW_NO_TAPE_NEEDED : 0) |
           (how->rewind_at_close ? TAPE_HOW_REWIND : 0) |
           (how->fail_without ? TAPE_HOW_FAIL_WITHOUT : 0);
}

/* The window and the signals go along with the first request. */
static int
open_session(struct tape_link *link, const struct ri_tape_how *how,
             struct ri_error *out_error)
{
    uint8_t message[sizeof(struct tape_request) + RI_NAME_MAX];
    size_t len = strnlen(how->tape, RI_NAME_MAX - 1);
    struct tape_request request = { .op = TAPE_OPEN,
                                    .extra = (uint16_t) len,
                                    .code = TAPE_WIRE_VERSION,
                                    .flags = how_flags(how),
                                    .count = sizeof(struct tape_wire_status) };
    char extra[TAPE_EXTRA_MAX + 1] = "the connection to the service is lost";
    struct tape_reply reply;
    int pair[2], fds[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    link->signal_fd = pair[0];
    fds[0] = link->window->fd;
    fds[1] = pair[1];
    memcpy(message, &request, sizeof request);
    memcpy(message + sizeof request, how->tape, len);
    rc = tape_send_fds(link->fd, message, sizeof request + len, fds, 2);
    close(pair[1]);
    if (rc == 0)
        rc = next_reply(link, &reply, extra);
    if (rc == 0)
        rc = reply.rc;
    if (rc != 0 && out_error != NULL)
        snprintf(out_error->text, sizeof out_error->text, "%.500s", extra);
    return rc;
}

static void
link_free(struct tape_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    if (link->signal_fd >= 0)
        close(link->signal_fd);
    if (link->own_window)
        tape_link_window_free(link->window);
    free(link);
}

int
tape_link_open_in(const char *control, const char *drive,
                  const struct ri_tape_how *how,
                  struct tape_link_window *window, struct tape_link **out_link,
                  struct ri_error *out_error)
{
    struct tape_link *link = calloc(1, sizeof *link);
    struct ri_error error = { "" };
    int rc = 0;

    if (link == NULL)
        return -ENOMEM;
    link->fd = link->signal_fd = -1;
    link->window = window;
    link->own_window = window == NULL;
    if (window == NULL)
        rc = tape_link_window_new(TAPE_LINK_WINDOW, &link->window);
    if (rc == 0)
        rc = tape_hello(control, drive, &link->fd, &error);
    if (rc == 0)
        rc = open_session(link, how, &error);
    if (rc != 0) {
        link_free(link);
        if (out_error != NULL)
            snprintf(out_error->text, sizeof out_error->text, "%s",
                     error.text[0] != '\0' ? error.text : strerror(-rc));
        return rc;
    }
    *out_link = link;
    return 0;
}

int
tape_link_open(const char *control, const char *drive,
               const struct ri_tape_how *how, struct tape_link **out_link,
               struct ri_error *out_error)
{
    return tape_link_open_in(control, drive, how, NULL, out_link, out_error);
}

int
tape_link_close(struct tape_link *link, struct ri_tape_result *out_result)
{
    struct tape_request request = { .op = TAPE_CLOSE };
    struct tape_link_done done;
    int rc;

    if (link == NULL)
        return 0;
    while (link->pending > 0)
        (void) tape_link_reap(link, &done);
    rc = call(link, &request, NULL, out_result);
    link_free(link);
    return rc;
}

/* --- one at a time ----------------------------------------------------------------- */

/* Where in the window data lie; SIZE_MAX: elsewhere. */
static size_t
offset_of(const struct tape_link *link, const void *data, size_t size)
{
    uintptr_t base = (uintptr_t) link->window->base, at = (uintptr_t) data;

    if (at < base || at - base > link->window->size ||
        size > link->window->size - (at - base))
        return SIZE_MAX;
    return at - base;
}

/* Data that lie elsewhere go through the beginning of the window. */
static int
place(const struct tape_link *link, const void *data, size_t size,
      size_t *out_offset)
{
    *out_offset = offset_of(link, data, size);
    if (*out_offset != SIZE_MAX)
        return 0;
    *out_offset = 0;
    if (size > link->window->size)
        return -EINVAL;
    return link->own_window ? 0 : -EFAULT;
}

int
tape_link_read(struct tape_link *link, void *data, size_t size,
               struct ri_tape_result *out_result)
{
    struct tape_request request = { .op = TAPE_READ, .size = size };
    const uint8_t *base = link->window->base;
    struct ri_tape_result result = { .text = "" };
    size_t offset;
    int rc = place(link, data, size, &offset);

    request.offset = offset;
    if (rc == 0)
        rc = call(link, &request, NULL, &result);
    if (result.bytes > size)
        result.bytes = size;
    if (base + offset != data && result.bytes > 0)
        memcpy(data, base + offset, result.bytes);
    if (out_result != NULL)
        *out_result = result;
    return rc;
}

int
tape_link_write(struct tape_link *link, const void *data, size_t size,
                struct ri_tape_result *out_result)
{
    struct tape_request request = { .op = TAPE_WRITE, .size = size };
    uint8_t *base = link->window->base;
    size_t offset;
    int rc = link->pending > 0 ? -EBUSY : place(link, data, size, &offset);

    if (rc != 0)
        return rc;
    request.offset = offset;
    if (base + offset != data && size > 0)
        memcpy(base + offset, data, size);
    return call(link, &request, NULL, out_result);
}

int
tape_link_op(struct tape_link *link, int mt_op, int64_t count,
             struct ri_tape_result *out_result)
{
    struct tape_request request = { .op = TAPE_OP,
                                    .code = mt_op,
                                    .count = count };

    return call(link, &request, NULL, out_result);
}

/* Texts end, whoever is at the other end. */
static struct ri_tape_info
tidy(const struct ri_tape_info *said)
{
    struct ri_tape_info info = *said;

    info.drive[sizeof info.drive - 1] = '\0';
    info.state[sizeof info.state - 1] = '\0';
    info.tape[sizeof info.tape - 1] = '\0';
    info.serial[sizeof info.serial - 1] = '\0';
    info.barcode[sizeof info.barcode - 1] = '\0';
    info.format[sizeof info.format - 1] = '\0';
    info.label[sizeof info.label - 1] = '\0';
    info.sense[sizeof info.sense - 1] = '\0';
    return info;
}

int
tape_link_status(struct tape_link *link, struct mtget *out_get,
                 struct mtpos *out_pos, struct ri_tape_info *out_info)
{
    struct tape_request request = { .op = TAPE_STATUS };
    char extra[TAPE_EXTRA_MAX + 1];
    struct tape_wire_status status;
    struct tape_reply reply;
    int rc;

    if (link->pending > 0)
        return -EBUSY;
    link->group++;
    rc = send_request(link, &request, NULL);
    if (rc == 0)
        rc = next_reply(link, &reply, extra);
    if (rc == 0 && reply.rc == 0 && reply.extra != sizeof status)
        rc = link->broken = -EPROTO;
    if (rc != 0 || reply.rc != 0)
        return rc != 0 ? rc : reply.rc;
    memcpy(&status, extra, sizeof status);
    if (out_get != NULL)
        *out_get = status.get;
    if (out_pos != NULL)
        *out_pos = status.pos;
    if (out_info != NULL)
        *out_info = tidy(&status.info);
    return 0;
}

int
tape_link_next(struct tape_link *link, const char *next, bool blank,
               struct ri_tape_result *out_result)
{
    struct tape_request request = { .op = TAPE_NEXT,
                                    .flags = blank ? TAPE_NEXT_BLANK : 0 };

    return call(link, &request, next, out_result);
}

static void
signal_other_end(struct tape_link *link, char what)
{
    (void) send(link->signal_fd, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
tape_link_cancel(struct tape_link *link)
{
    signal_other_end(link, TAPE_SIGNAL_CANCEL);
}

void
tape_link_interrupt(struct tape_link *link)
{
    signal_other_end(link, TAPE_SIGNAL_INTERRUPT);
}

/* --- records in a row -------------------------------------------------------------- */

void *
tape_link_buffer(const struct tape_link *link, size_t *out_size)
{
    *out_size = link->window->size;
    return link->window->base;
}

static int
submit(struct tape_link *link, bool write, size_t offset, size_t size)
{
    struct tape_request request = { .op = write ? TAPE_WRITE : TAPE_READ,
                                    .offset = offset,
                                    .size = size };
    unsigned at = (link->first + link->pending) % TAPE_LINK_PENDING;
    int rc;

    if (!write && link->sums)
        request.flags = TAPE_WANT_SUM;
    if (size > RI_TAPE_RECORD_MAX || offset > link->window->size ||
        size > link->window->size - offset)
        return -EINVAL;
    if (link->pending == TAPE_LINK_PENDING)
        return -EAGAIN;
    rc =
        write ? send_request(link, &request, NULL) : queue_read(link, &request);
    if (rc != 0)
        return rc;
    link->ring[at] = (struct on_its_way){ write, offset, size };
    link->pending++;
    return 0;
}

int
tape_link_submit_write(struct tape_link *link, size_t offset, size_t size)
{
    return submit(link, true, offset, size);
}

int
tape_link_submit_read(struct tape_link *link, size_t offset, size_t size)
{
    return submit(link, false, offset, size);
}

void
tape_link_want_sums(struct tape_link *link, bool want)
{
    link->sums = want;
}

int
tape_link_reap(struct tape_link *link, struct tape_link_done *out_done)
{
    struct on_its_way at = link->ring[link->first];
    char extra[TAPE_EXTRA_MAX + 1];
    struct tape_reply reply;
    int rc;

    if (link->pending == 0)
        return -ENOENT;
    rc = have_reply(link) ? link->broken : send_reads(link);
    if (rc == 0)
        rc = next_reply(link, &reply, extra);
    link->first = (link->first + 1) % TAPE_LINK_PENDING;
    link->pending--;
    if (rc == 0 && reply.op != (at.write ? TAPE_WRITE : TAPE_READ))
        rc = link->broken = -EPROTO;
    if (rc != 0)
        return rc;
    *out_done = (struct tape_link_done){
        .write = at.write,
        .skipped = (reply.flags & TAPE_SKIPPED) != 0,
        .rc = reply.rc,
        .offset = at.offset,
        .size = at.size,
        .summed = !at.write && (reply.flags & TAPE_SUMMED) != 0 &&
                  reply.bytes <= at.size,
    };
    if (reply.bytes > at.size)
        reply.bytes = at.size;
    tape_result_unpack(&reply, extra, &out_done->result);
    if (out_done->summed) {
        out_done->sum = (uint32_t) reply.left;
        out_done->result.left = 0;
    }
    return 0;
}

bool
tape_link_ready(struct tape_link *link)
{
    while (!have_reply(link) && send_reads(link) == 0)
        if (receive(link, MSG_DONTWAIT) == -EAGAIN)
            return false;
    return true;
}

int
tape_link_fd(const struct tape_link *link)
{
    return link->fd;
}

unsigned
tape_link_pending(const struct tape_link *link)
{
    return link->pending;
}

void
tape_link_go_on(struct tape_link *link)
{
    link->group++;
}
