/*
 * session.c - one session: requests of a client become calls of tape.h
 *
 * Everything that a client sends is checked here; what does not fit ends the
 * session, which is a close of the tape.  Replies are sent together where
 * requests came together, and before a request waits for its tape.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tapelink/crc32c.h"
#include "tapelink/serve_internal.h"

#define IN_BYTES  16384
#define OUT_BYTES 16384
#define OPEN_S    10 /* who says nothing for so long is sent away */
/* Replies are sent when the data that they tell of are so many bytes, ... */
#define TOGETHER_BYTES (1u << 20)
#define TOGETHER       32 /* ... or so many records, at most */
/* What is longer has left the cache by the time that it could be summed. */
#define SUM_MAX (256u << 10)

_Static_assert(IN_BYTES >= sizeof(struct tape_request) + TAPE_EXTRA_MAX,
               "fits");
_Static_assert(OUT_BYTES >= sizeof(struct tape_reply) + TAPE_EXTRA_MAX, "fits");
_Static_assert(TAPE_EXTRA_MAX >= RI_TEXT_MAX, "fits");

struct serving {
    struct tape_session *session;
    struct ri_tape *tape;
    struct tape_link_window window;
    bool holding; /* records of this group are skipped */
    uint32_t held;
    bool closed;          /* by the client's request */
    uint8_t in[IN_BYTES]; /* [in_at, in_end) */
    size_t in_at, in_end;
    uint8_t out[OUT_BYTES];
    size_t out_len;
    unsigned replies; /* in out */
    size_t told;      /* bytes that they tell of */
};

/* --- messages ---------------------------------------------------------------------- */

static bool
flush(struct serving *s)
{
    size_t len = s->out_len;

    s->out_len = s->told = s->replies = 0;
    /* From now on the client may do with them as it likes. */
    if (s->tape != NULL && !s->closed)
        ri_tape_give_back(s->tape);
    return len == 0 || tape_send_all(s->session->fd, s->out, len) == 0;
}

static bool
reply(struct serving *s, struct tape_reply *reply, const void *extra,
      size_t extra_len)
{
    size_t len = sizeof *reply + extra_len;

    if (s->out_len + len > OUT_BYTES && !flush(s))
        return false;
    reply->extra = (uint16_t) extra_len;
    memcpy(s->out + s->out_len, reply, sizeof *reply);
    if (extra_len > 0)
        memcpy(s->out + s->out_len + sizeof *reply, extra, extra_len);
    s->out_len += len;
    s->told += reply->bytes;
    /* What ends a stream is told at once. */
    return (++s->replies < TOGETHER && s->told < TOGETHER_BYTES &&
            reply->rc == 0) ||
           flush(s);
}

static bool
reply_result(struct serving *s, uint16_t op, int rc,
             const struct ri_tape_result *result)
{
    struct tape_reply out = { .op = op, .rc = rc };

    tape_result_pack(result, &out);
    return reply(s, &out, result->text,
                 strnlen(result->text, sizeof result->text));
}

static bool
has_request(const struct serving *s)
{
    size_t have = s->in_end - s->in_at;
    struct tape_request request;

    if (have < sizeof request)
        return false;
    memcpy(&request, s->in + s->in_at, sizeof request);
    return request.extra >= RI_NAME_MAX || /* none: it is refused */
           have >= sizeof request + request.extra;
}

/* More of what the client sends; it has all replies before anybody waits. */
static bool
receive(struct serving *s)
{
    int flags = s->replies > 0 ? MSG_DONTWAIT : 0;
    ssize_t n;

    memmove(s->in, s->in + s->in_at, s->in_end - s->in_at);
    s->in_end -= s->in_at;
    s->in_at = 0;
    for (;;) {
        n = recv(s->session->fd, s->in + s->in_end, IN_BYTES - s->in_end,
                 flags);
        if (n < 0 && errno == EAGAIN && flags != 0) {
            flags = 0;
            if (!flush(s))
                return false;
        } else if (n >= 0 || errno != EINTR) {
            break;
        }
    }
    if (n <= 0) {
        (void) flush(s); /* it may still listen */
        return false;
    }
    s->in_end += (size_t) n;
    return true;
}

/* text: RI_NAME_MAX.  False: the client is gone, or has sent what is none. */
static bool
next_request(struct serving *s, struct tape_request *out, char *text)
{
    while (!has_request(s))
        if (!receive(s))
            return false;
    memcpy(out, s->in + s->in_at, sizeof *out);
    s->in_at += sizeof *out;
    if (out->extra >= RI_NAME_MAX)
        return false;
    memcpy(text, s->in + s->in_at, out->extra);
    text[out->extra] = '\0';
    s->in_at += out->extra;
    return true;
}

/* --- requests ------------------------------------------------------------------------ */

static bool
in_window(const struct serving *s, const struct tape_request *request)
{
    return request->size <= RI_TAPE_RECORD_MAX &&
           request->offset <= s->window.size &&
           request->size <= s->window.size - request->offset;
}

static bool
ends_stream(int rc, const struct ri_tape_result *result)
{
    return rc != 0 || result->filemark || result->end_of_data ||
           result->early_warning || result->end_of_tape;
}

/* A read's answer, with the checksum if it was asked for and is worth it. */
static bool
reply_read(struct serving *s, const struct tape_request *request,
           const uint8_t *data, int rc, const struct ri_tape_result *result)
{
    struct tape_reply out = { .op = request->op, .rc = rc };

    tape_result_pack(result, &out);
    if (request->flags & TAPE_WANT_SUM && rc == 0 && result->bytes > 0 &&
        result->bytes <= SUM_MAX && result->bytes <= request->size) {
        out.flags |= TAPE_SUMMED;
        out.left = crc32c(0, data, result->bytes);
    }
    return reply(s, &out, result->text,
                 strnlen(result->text, sizeof result->text));
}

static bool
transfer(struct serving *s, const struct tape_request *request)
{
    struct ri_tape_result result = { .text = "" };
    uint8_t *data;
    struct tape_reply skipped = { .op = request->op,
                                  .rc = -ECANCELED,
                                  .flags = TAPE_SKIPPED };
    int rc;

    if (!in_window(s, request))
        return false;
    data = (uint8_t *) s->window.base + request->offset;
    if (s->holding && s->held == request->group)
        return reply(s, &skipped, NULL, 0);
    s->holding = false;
    rc = request->op == TAPE_READ
             ? ri_tape_read_lent(s->tape, data, request->size, &result)
             : ri_tape_write_lent(s->tape, data, request->size, &result);
    if (ends_stream(rc, &result)) {
        s->holding = true;
        s->held = request->group;
    }
    return request->op == TAPE_READ ? reply_read(s, request, data, rc, &result)
                                    : reply_result(s, request->op, rc, &result);
}

static bool
tell_status(struct serving *s)
{
    struct tape_reply out = { .op = TAPE_STATUS };
    struct tape_wire_status status;

    memset(&status, 0, sizeof status);
    out.rc = ri_tape_status(s->tape, &status.get, &status.pos, &status.info);
    return reply(s, &out, &status, out.rc == 0 ? sizeof status : 0) && flush(s);
}

/* Other threads cannot reach the tape any more. */
static int
close_tape(struct serving *s, struct ri_tape_result *out_result)
{
    tape_server_closing(s->session);
    return ri_tape_close(s->tape, out_result);
}

/* False: the session ends. */
static bool
serve(struct serving *s, const struct tape_request *request, const char *text)
{
    struct ri_tape_result result = { .text = "" };
    int rc;

    switch (request->op) {
    case TAPE_READ:
    case TAPE_WRITE:
        return transfer(s, request);
    case TAPE_OP:
        rc = ri_tape_op(s->tape, request->code, request->count, &result);
        break;
    case TAPE_STATUS:
        return tell_status(s);
    case TAPE_NEXT:
        rc = ri_tape_next(s->tape, text,
                          (request->flags & TAPE_NEXT_BLANK) != 0, &result);
        break;
    case TAPE_CLOSE:
        s->closed = true;
        rc = close_tape(s, &result);
        (void) (reply_result(s, request->op, rc, &result) && flush(s));
        return false;
    default:
        return false;
    }
    return reply_result(s, request->op, rc, &result) && flush(s);
}

/* --- the beginning ------------------------------------------------------------------- */

static bool
refuse(struct serving *s, int rc, const char *why)
{
    struct tape_reply out = { .op = TAPE_OPEN, .rc = rc };

    (void) (reply(s, &out, why, strlen(why)) && flush(s));
    return false;
}

static bool
is_socket(int fd)
{
    socklen_t len = sizeof(int);
    int type = 0;

    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

/* A record that waits keeps nobody from hearing of those before it.  A client
 * that is gone is seen when the call has ended. */
static void
before_wait(void *context)
{
    struct serving *s = context;

    if (s->out_len != 0)
        (void) flush(s);
}

static bool
open_tape(struct serving *s, struct ri_service *service,
          const struct tape_request *request, const char *name, int signal_fd)
{
    struct ri_tape_how how = {
        .write = (request->flags & TAPE_HOW_WRITE) != 0,
        .no_tape_needed = (request->flags & TAPE_HOW_NO_TAPE_NEEDED) != 0,
        .rewind_at_close = (request->flags & TAPE_HOW_REWIND) != 0,
        .fail_without = (request->flags & TAPE_HOW_FAIL_WITHOUT) != 0,
    };
    struct tape_reply out = { .op = TAPE_OPEN };
    struct ri_error error = { "" };
    int rc;

    snprintf(how.tape, sizeof how.tape, "%s", name);
    rc = ri_tape_open(service, s->session->drive, &how, &s->tape, &error);
    if (rc != 0)
        return refuse(s, rc, error.text);
    ri_tape_before_waits(s->tape, before_wait, s);
    tape_server_opened(s->session, s->tape, signal_fd);
    return reply(s, &out, NULL, 0) && flush(s);
}

/* The first request, with the window; false: no session. */
static bool
begin(struct serving *s, struct ri_service *service)
{
    struct tape_request request;
    char name[RI_NAME_MAX] = "";
    int fd = s->session->fd, fds[2] = { -1, -1 };
    struct timeval soon = { .tv_sec = OPEN_S }, ever = { 0 };
    const char *fault = NULL;
    bool good;

    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    good = tape_recv_fds(fd, &request, sizeof request, fds, 2) == 0 &&
           request.op == TAPE_OPEN && request.extra < sizeof name &&
           tape_recv_all(fd, name, request.extra) == 0;
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ever, sizeof ever);
    if (good && (request.code != TAPE_WIRE_VERSION ||
                 (request.count != 0 &&
                  request.count != sizeof(struct tape_wire_status))))
        fault = "the service is of another version than this program";
    else if (good && (fds[0] < 0 || !is_socket(fds[1])))
        fault = "no window, or no signal socket, came along";
    else if (good)
        fault = tape_window_take(fds[0], &s->window);
    if (fds[0] >= 0)
        close(fds[0]);
    if (good && fault == NULL)
        good = open_tape(s, service, &request, name, fds[1]);
    else if (good)
        good = refuse(s, -EPROTO, fault);
    if (s->tape == NULL && fds[1] >= 0)
        close(fds[1]);
    return good;
}

void
tape_session_run(struct tape_session *session, struct ri_service *service)
{
    struct serving s = { .session = session };
    struct tape_request request;
    struct ri_tape_result result;
    char text[RI_NAME_MAX];
    bool on = begin(&s, service);

    while (on && next_request(&s, &request, text))
        on = serve(&s, &request, text);
    if (s.tape != NULL && !s.closed)
        (void) close_tape(&s, &result);
    tape_window_drop(&s.window);
}
