/*
 * reply.c - replies: how they look on the wire, and sending many at once
 *
 * Completed requests are queued in order.  The reply to a read is sent from the
 * request's own buffer (the header fits before the data); short replies are
 * gathered in a small arena.  Everything goes out with as few system calls as
 * the socket allows, and never blocks.  Runs in the connection's seat; only
 * while the socket takes the replies of a burst that others complete is it free:
 * the client, whom the first of them wakes, gives new requests at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

#include "nbd/command.h"
#include "nbd/proto.h"

/* The statuses that a client is likely to meet, for the text of an error. */
static const struct {
    uint32_t status;
    const char *name;
} status_names[] = {
    { 0x80000011, "STATUS_DEVICE_BUSY" },
    { 0x80000016, "STATUS_VERIFY_REQUIRED" },
    { 0xC000000D, "STATUS_INVALID_PARAMETER" },
    { 0xC000000E, "STATUS_NO_SUCH_DEVICE" },
    { 0xC0000010, "STATUS_INVALID_DEVICE_REQUEST" },
    { 0xC0000012, "STATUS_WRONG_VOLUME" },
    { 0xC0000013, "STATUS_NO_MEDIA_IN_DEVICE" },
    { 0xC0000014, "STATUS_UNRECOGNIZED_MEDIA" },
    { 0xC0000015, "STATUS_NONEXISTENT_SECTOR" },
    { 0xC000003F, "STATUS_CRC_ERROR" },
    { 0xC000007F, "STATUS_DISK_FULL" },
    { 0xC0000098, "STATUS_FILE_INVALID" },
    { 0xC000009A, "STATUS_INSUFFICIENT_RESOURCES" },
    { 0xC000009C, "STATUS_DEVICE_DATA_ERROR" },
    { 0xC000009D, "STATUS_DEVICE_NOT_CONNECTED" },
    { 0xC00000A2, "STATUS_MEDIA_WRITE_PROTECTED" },
    { 0xC00000A3, "STATUS_DEVICE_NOT_READY" },
    { 0xC00000B5, "STATUS_IO_TIMEOUT" },
    { 0xC00000BB, "STATUS_NOT_SUPPORTED" },
    { 0xC0000120, "STATUS_CANCELLED" },
    { 0xC0000185, "STATUS_IO_DEVICE_ERROR" },
    { 0xC00002B6, "STATUS_DEVICE_REMOVED" },
};

/* The only place where an errno becomes one of the protocol's. */
int
nbd_wire_errno(int error)
{
    static const struct {
        int error;
        int wire;
    } rows[] = {
        { 0, 0 },
        { EPERM, NBD_EPERM },
        { EROFS, NBD_EPERM },
        { EACCES, NBD_EPERM },
        { EIO, NBD_EIO },
        { ENOMEM, NBD_ENOMEM },
        { EINVAL, NBD_EINVAL },
        { ENOSPC, NBD_ENOSPC },
        { EDQUOT, NBD_ENOSPC },
        { EFBIG, NBD_ENOSPC },
        { EOVERFLOW, NBD_EOVERFLOW },
        { ENOTSUP, NBD_ENOTSUP },
        { ENOSYS, NBD_ENOTSUP },
        { ESHUTDOWN, NBD_ESHUTDOWN },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].error == error)
            return rows[i].wire;
    return NBD_EIO;
}

/* Returns the length without the NUL. */
static size_t
error_text(const struct nbd_request *request, char *out_text, size_t text_max)
{
    uint32_t status = request->ri.status;
    int length;

    for (size_t i = 0; i < sizeof status_names / sizeof status_names[0]; i++)
        if (status_names[i].status == status) {
            length =
                snprintf(out_text, text_max, "%s: %s (0x%08" PRIX32 ")",
                         request->command->name, status_names[i].name, status);
            return (size_t) length;
        }
    if (status != 0)
        length = snprintf(out_text, text_max, "%s: status 0x%08" PRIX32,
                          request->command->name, status);
    else
        length = snprintf(out_text, text_max, "%s: refused by the server",
                          request->command->name);
    return (size_t) length;
}

void
reply_init(struct nbd_out *out)
{
    out->ready = NULL;
    out->ready_end = &out->ready;
}

static uint8_t *
put_simple(uint8_t *at, const struct nbd_request *request)
{
    at = put_be32(at, NBD_SIMPLE_REPLY_MAGIC);
    at = put_be32(at, (uint32_t) nbd_wire_errno(request->ri.error));
    return put_be64(at, request->cookie);
}

static uint8_t *
put_chunk(uint8_t *at, const struct nbd_request *request, uint16_t type,
          uint32_t bytes)
{
    at = put_be32(at, NBD_STRUCTURED_REPLY_MAGIC);
    at = put_be16(at, NBD_REPLY_FLAG_DONE);
    at = put_be16(at, type);
    at = put_be64(at, request->cookie);
    return put_be32(at, bytes);
}

/* The exact status goes into the text, since errno alone is poor.  A read that
 * failed says where it started. */
static uint8_t *
put_error(uint8_t *at, const struct nbd_request *request)
{
    char text[OUT_REPLY_MAX - NBD_CHUNK_BYTES - 14];
    size_t length = error_text(request, text, sizeof text);
    bool with_offset = (request->command->props & CMD_REPLY_DATA) != 0;

    assert(length < sizeof text);
    at = put_chunk(at, request,
                   with_offset ? NBD_REPLY_TYPE_ERROR_OFFSET
                               : NBD_REPLY_TYPE_ERROR,
                   (uint32_t) (6 + length + (with_offset ? 8 : 0)));
    at = put_be32(at, (uint32_t) nbd_wire_errno(request->ri.error));
    at = put_be16(at, (uint16_t) length);
    memcpy(at, text, length);
    at += length;
    return with_offset ? put_be64(at, request->ri.offset_bytes) : at;
}

static void
add_piece(struct nbd_out *out, void *start, size_t bytes,
          struct nbd_request *owner)
{
    out->iov[out->count].iov_base = start;
    out->iov[out->count].iov_len = bytes;
    out->owner[out->count] = owner;
    out->count++;
    out->bytes += bytes;
}

/* A reply without payload: into the arena, in one piece with the one before
 * where that ends. */
static void
add_short(struct nbd_conn *conn, struct nbd_request *request)
{
    struct nbd_out *out = &conn->out;
    uint8_t *start = out->arena + out->arena_used;
    struct iovec *last = NULL;
    uint8_t *end;

    if (request->ri.error != 0 && conn->structured)
        end = put_error(start, request);
    else
        end = put_simple(start, request);
    out->arena_used += (size_t) (end - start);
    if (out->count > out->first && out->owner[out->count - 1] == NULL)
        last = &out->iov[out->count - 1];
    if (last != NULL && (uint8_t *) last->iov_base + last->iov_len == start) {
        last->iov_len += (size_t) (end - start);
        out->bytes += (size_t) (end - start);
    } else {
        add_piece(out, start, (size_t) (end - start), NULL);
    }
    pool_put(&conn->pool, request);
}

static void
add_read(struct nbd_conn *conn, struct nbd_request *request)
{
    uint32_t bytes = (uint32_t) request->ri.length_bytes;
    uint8_t *start;

    if (conn->structured) {
        start = request->data - NBD_CHUNK_BYTES - 8;
        put_be64(
            put_chunk(start, request, NBD_REPLY_TYPE_OFFSET_DATA, bytes + 8),
            request->ri.offset_bytes);
    } else {
        start = request->data - NBD_SIMPLE_REPLY_BYTES;
        put_simple(start, request);
    }
    add_piece(&conn->out, start, (size_t) (request->data - start) + bytes,
              request);
}

/* The extents are turned into the shorter descriptors of the wire in place,
 * cut at the end of the request. */
static void
add_extents(struct nbd_conn *conn, struct nbd_request *request)
{
    const struct ri_extent *extents = request->ri.extents;
    uint64_t left = request->ri.length_bytes;
    uint8_t *start = request->data - NBD_CHUNK_BYTES - 4;
    uint8_t *at = request->data;

    for (size_t i = 0; i < request->ri.extent_count && left > 0; i++) {
        struct ri_extent extent = extents[i];
        uint64_t bytes =
            extent.length_bytes < left ? extent.length_bytes : left;

        if (bytes == 0)
            continue;
        at = put_be32(at, (uint32_t) bytes);
        at = put_be32(at, extent.flags & (RI_EXTENT_HOLE | RI_EXTENT_ZERO));
        left -= bytes;
    }
    if (at == request->data) {
        at = put_be32(at, (uint32_t) left);
        at = put_be32(at, 0);
    }
    put_be32(put_chunk(start, request, NBD_REPLY_TYPE_BLOCK_STATUS,
                       (uint32_t) (at - request->data) + 4),
             NBD_CONTEXT_ALLOCATION);
    add_piece(&conn->out, start, (size_t) (at - start), request);
}

static void
encode(struct nbd_conn *conn, struct nbd_request *request)
{
    unsigned props = request->command->props;

    if (request->ri.error == 0 && (props & CMD_REPLY_DATA))
        add_read(conn, request);
    else if (request->ri.error == 0 && (props & CMD_REPLY_EXTENTS))
        add_extents(conn, request);
    else
        add_short(conn, request);
}

static bool
has_space(const struct nbd_out *out)
{
    return out->count < OUT_PIECES &&
           out->arena_used + OUT_REPLY_MAX <= OUT_ARENA_BYTES;
}

static void
encode_ready(struct nbd_conn *conn)
{
    struct nbd_out *out = &conn->out;

    while (out->ready != NULL && has_space(out)) {
        struct nbd_request *request = out->ready;

        out->ready = request->next;
        if (out->ready == NULL)
            out->ready_end = &out->ready;
        encode(conn, request);
    }
}

void
reply_add(struct nbd_conn *conn, struct nbd_request *request)
{
    struct nbd_out *out = &conn->out;

    if (out->ready == NULL && !out->lent && has_space(out)) {
        encode(conn, request);
        return;
    }
    request->next = NULL;
    *out->ready_end = request;
    out->ready_end = &request->next;
}

static void
recycle_sent(struct nbd_conn *conn, size_t sent)
{
    struct nbd_out *out = &conn->out;

    out->bytes -= sent;
    while (out->first < out->count && sent >= out->iov[out->first].iov_len) {
        sent -= out->iov[out->first].iov_len;
        if (out->owner[out->first] != NULL)
            pool_put(&conn->pool, out->owner[out->first]);
        out->first++;
    }
    if (out->first < out->count) {
        struct iovec *iov = &out->iov[out->first];

        iov->iov_base = (uint8_t *) iov->iov_base + sent;
        iov->iov_len -= sent;
        return;
    }
    out->first = out->count = 0;
    out->arena_used = 0;
}

/* Returns the bytes that the socket took, or -errno. */
static ssize_t
send_pieces(const struct nbd_conn *conn)
{
    const struct nbd_out *out = &conn->out;
    struct msghdr message = { 0 };
    ssize_t sent;

    message.msg_iov = (struct iovec *) &out->iov[out->first];
    message.msg_iovlen = out->count - out->first;
    do
        sent = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : -errno;
}

/* 0: go on; 1: not now; -1: the client is gone. */
static int
settle(struct nbd_conn *conn, ssize_t sent)
{
    if (sent >= 0) {
        recycle_sent(conn, (size_t) sent);
        return 0;
    }
    if (sent != -EAGAIN && sent != -EWOULDBLOCK)
        return -1;
    conn->out.blocked = true;
    return 1;
}

int
reply_send(struct nbd_conn *conn)
{
    struct nbd_out *out = &conn->out;
    int result = 0;

    out->blocked = false;
    if (out->lent) {
        if (!atomic_load(&out->returned))
            return 0; /* who sends takes care of the rest */
        out->lent = false;
        result = settle(conn, out->lent_sent);
    }
    while (result == 0) {
        if (out->first == out->count && out->ready != NULL)
            encode_ready(conn);
        if (out->first == out->count)
            return 0;
        result = settle(conn, send_pieces(conn));
    }
    return result < 0 ? -1 : 0;
}

bool
reply_has_returned(const struct nbd_out *out)
{
    return out->lent && atomic_load(&out->returned);
}

void
reply_await(struct nbd_conn *conn)
{
    struct nbd_out *out = &conn->out;

    while (out->lent && !atomic_load(&out->returned))
        sched_yield(); /* it does not block */
    if (out->lent)
        settle(conn, out->lent_sent);
    out->lent = false;
}

/*
 * While it sends, the thread may have the seat.  Then it finds the outcome
 * before it sleeps, or is told of it: it sets `sleeping` and looks, here it is
 * set down and then looked whether it sleeps.
 */
bool
reply_send_outside(struct nbd_conn *conn)
{
    struct nbd_out *out = &conn->out;
    bool done;

    if (out->lent || out->first == out->count) {
        pthread_mutex_unlock(&conn->seat);
        return true; /* who sends takes care of it */
    }
    out->lent = true;
    atomic_store(&out->returned, false);
    pthread_mutex_unlock(&conn->seat);
    out->lent_sent = send_pieces(conn);
    atomic_store(&out->returned, true);
    if (pthread_mutex_trylock(&conn->seat) != 0)
        return false;
    done = reply_send(conn) == 0 && !out->blocked && !conn->stalled &&
           !conn->disc && !atomic_load(&conn->stop);
    pthread_mutex_unlock(&conn->seat);
    return done;
}

void
reply_drop(struct nbd_conn *conn)
{
    struct nbd_out *out = &conn->out;

    recycle_sent(conn, out->bytes);
    while (out->ready != NULL) {
        struct nbd_request *request = out->ready;

        out->ready = request->next;
        pool_put(&conn->pool, request);
    }
    reply_init(out);
    out->blocked = false;
}
