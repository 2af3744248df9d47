/*
 * command.c - requests: from bytes of the client to ri_submit()
 *
 * Parses every whole request that was received, checks each number, and either
 * submits it or queues a refusal.  The payload of a refused write is taken off
 * the socket before the refusal is sent.  Runs on the connection's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/command.h"

#include <assert.h>
#include <string.h>

#include "nbd/nbd_internal.h"
#include "nbd/proto.h"

#define EXTENTS_MAX 1024 /* in one reply to a block status request */
#define LARGE_WRITE (32u * 1024)
#define DISCARD_MAX (128u << 20) /* payload worth reading to refuse it */

static const struct nbd_command commands[] = {
    [NBD_CMD_READ] = { "read", RI_READ, NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF,
                       CMD_RANGE | CMD_LIMITED | CMD_REPLY_DATA },
    [NBD_CMD_WRITE] = { "write", RI_WRITE, NBD_CMD_FLAG_FUA,
                        CMD_RANGE | CMD_LIMITED | CMD_WRITES | CMD_PAYLOAD },
    [NBD_CMD_FLUSH] = { "flush", RI_FLUSH, NBD_CMD_FLAG_FUA, 0 },
    [NBD_CMD_TRIM] = { "trim", RI_TRIM, NBD_CMD_FLAG_FUA,
                       CMD_RANGE | CMD_WRITES },
    [NBD_CMD_CACHE] = { "cache", RI_PREFETCH, NBD_CMD_FLAG_FUA, CMD_RANGE },
    [NBD_CMD_WRITE_ZEROES] = { "write zeroes", RI_ZERO,
                               NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE |
                                   NBD_CMD_FLAG_FAST_ZERO,
                               CMD_RANGE | CMD_WRITES },
    [NBD_CMD_BLOCK_STATUS] = { "block status", RI_BLOCK_STATUS,
                               NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE,
                               CMD_RANGE | CMD_REPLY_EXTENTS },
};

/* For what is in no row; its replies carry nothing. */
static const struct nbd_command unknown_command = { .name = "request" };

struct header {
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset;
    uint32_t length;
};

static const struct nbd_command *
find_command(uint16_t type)
{
    if (type >= sizeof commands / sizeof commands[0] ||
        commands[type].name == NULL)
        return &unknown_command;
    return &commands[type];
}

/* Returns the errno to refuse with, or 0. */
static int
check(const struct nbd_conn *conn, const struct nbd_command *command,
      const struct header *header)
{
    const struct ri_export_info *info = &conn->info;
    bool writes = (command->props & CMD_WRITES) != 0;

    if (command == &unknown_command || (header->flags & ~command->flags) != 0)
        return NBD_EINVAL;
    if (writes && info->read_only)
        return NBD_EPERM;
    if ((command->props & CMD_REPLY_EXTENTS) && !conn->meta_allocation)
        return NBD_EINVAL;
    if ((header->flags & NBD_CMD_FLAG_FAST_ZERO) && !info->can_zero)
        return NBD_ENOTSUP;
    if ((command->props & CMD_RANGE) == 0)
        return 0;
    if (header->length == 0 || header->length % info->block_bytes != 0 ||
        header->offset % info->block_bytes != 0)
        return NBD_EINVAL;
    if ((command->props & CMD_LIMITED) && header->length > info->max_bytes)
        return NBD_EINVAL;
    if (header->offset > info->size_bytes ||
        header->length > info->size_bytes - header->offset)
        return writes ? NBD_ENOSPC : NBD_EINVAL;
    return 0;
}

static size_t
buffer_bytes(const struct nbd_command *command, const struct header *header)
{
    if (command->props & (CMD_PAYLOAD | CMD_REPLY_DATA))
        return header->length;
    if (command->props & CMD_REPLY_EXTENTS)
        return EXTENTS_MAX * sizeof(struct ri_extent);
    return 0;
}

static void
fill_request(struct nbd_conn *conn, struct nbd_request *request,
             const struct nbd_command *command, const struct header *header)
{
    struct ri_request *ri = &request->ri;

    request->conn = conn;
    request->command = command;
    request->cookie = header->cookie;
    request->flags = header->flags;
    ri->op = command->op;
    ri->flags = 0;
    if (header->flags & NBD_CMD_FLAG_FUA)
        ri->flags |= RI_FUA;
    if (header->flags & NBD_CMD_FLAG_NO_HOLE)
        ri->flags |= RI_NO_HOLE;
    ri->offset_bytes = header->offset;
    ri->length_bytes = header->length;
    ri->buffer = request->data;
    ri->extents = NULL;
    ri->extent_max = 0;
    ri->extent_count = 0;
    if (command->props & CMD_REPLY_EXTENTS) {
        ri->buffer = NULL;
        ri->extents = (struct ri_extent *) (void *) request->data;
        ri->extent_max = header->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : EXTENTS_MAX;
    }
    if ((command->props & CMD_RANGE) == 0)
        ri->offset_bytes = ri->length_bytes = 0;
    ri->error = 0;
    ri->status = 0;
}

/* -1: so much payload follows that it is not worth reading, or no memory. */
static int
refuse(struct nbd_conn *conn, const struct nbd_command *command,
       const struct header *header, int error)
{
    struct nbd_request *request = pool_get(&conn->pool, 0);

    if (request == NULL)
        return -1;
    fill_request(conn, request, command, header);
    request->ri.error = error;
    if ((command->props & CMD_PAYLOAD) == 0 || header->length == 0) {
        reply_add(conn, request);
        return 0;
    }
    conn->discard = header->length;
    conn->discard_reply = request;
    return header->length > DISCARD_MAX ? -1 : 0;
}

void
command_payload(struct nbd_conn *conn, size_t bytes)
{
    struct nbd_request *request = conn->payload;

    conn->payload_done += bytes;
    assert(conn->payload_done <= request->ri.length_bytes);
    if (conn->payload_done < request->ri.length_bytes)
        return;
    conn->payload = NULL;
    conn_submit(conn, request);
}

/* What has arrived of the payload is taken from rx; the rest will be received
 * into its place. */
static void
take_payload(struct nbd_conn *conn, struct nbd_request *request)
{
    size_t there = conn->rx_end - conn->rx_start;
    size_t bytes = (size_t) request->ri.length_bytes;

    if (bytes > there)
        bytes = there;
    memcpy(request->data, conn->rx + conn->rx_start, bytes);
    conn->rx_start += bytes;
    conn->payload = request;
    conn->payload_done = 0;
    conn->took_payload = true;
    conn->rx_want = request->ri.length_bytes >= LARGE_WRITE ? 4096 : RX_BYTES;
    command_payload(conn, bytes);
}

static void
discard_payload(struct nbd_conn *conn)
{
    size_t there = conn->rx_end - conn->rx_start;
    size_t bytes = conn->discard < there ? (size_t) conn->discard : there;

    conn->rx_start += bytes;
    conn->discard -= bytes;
    if (conn->discard == 0) {
        reply_add(conn, conn->discard_reply);
        conn->discard_reply = NULL;
    }
}

/* 1: no room for it now, nothing was consumed. */
static int
take_request(struct nbd_conn *conn, const struct header *header)
{
    const struct nbd_command *command = find_command(header->type);
    struct nbd_request *request;
    size_t bytes;
    int error;

    if (header->type == NBD_CMD_DISC) {
        conn->rx_start = conn->rx_end;
        conn->disc = true;
        return 0;
    }
    error = check(conn, command, header);
    if (error == 0 && atomic_load_explicit(&conn->stop, memory_order_relaxed))
        error = NBD_ESHUTDOWN;
    bytes = error != 0 ? 0 : buffer_bytes(command, header);
    if (!pool_has_room(&conn->pool, bytes))
        return 1;
    conn->rx_start += NBD_REQUEST_BYTES;
    conn->requests++;
    conn->taken++;
    if (error != 0)
        return refuse(conn, command, header, error);
    request = pool_get(&conn->pool, bytes);
    if (request == NULL)
        return refuse(conn, command, header, NBD_ENOMEM);
    fill_request(conn, request, command, header);
    if (command->props & CMD_PAYLOAD)
        take_payload(conn, request);
    else
        conn_submit(conn, request);
    return 0;
}

static int
parse_header(const uint8_t *at, struct header *out_header)
{
    if (get_be32(at) != NBD_REQUEST_MAGIC)
        return -1;
    out_header->flags = get_be16(at + 4);
    out_header->type = get_be16(at + 6);
    out_header->cookie = get_be64(at + 8);
    out_header->offset = get_be64(at + 16);
    out_header->length = get_be32(at + 24);
    return 0;
}

/* Too many replies are queued: let the client take some first. */
static bool
is_out_full(struct nbd_conn *conn)
{
    if (conn->out.bytes >= OUT_SEND_BYTES && !conn->out.blocked &&
        reply_send(conn) < 0)
        return false; /* the next send finds the same error */
    return (conn->out.ready != NULL && !conn->out.lent) ||
           conn->out.bytes >= OUT_STALL_BYTES;
}

static int
parse(struct nbd_conn *conn)
{
    struct header header;
    int result;

    conn->stalled = false;
    for (;;) {
        if (conn->discard > 0)
            discard_payload(conn);
        if (conn->payload != NULL || conn->disc ||
            conn->rx_end - conn->rx_start < NBD_REQUEST_BYTES)
            return 0;
        if (is_out_full(conn)) {
            conn->stalled = true;
            return 0;
        }
        if (parse_header(conn->rx + conn->rx_start, &header) < 0)
            return -1;
        result = take_request(conn, &header);
        if (result < 0)
            return -1;
        if (result > 0) {
            conn->stalled = true;
            return 0;
        }
    }
}

int
command_parse(struct nbd_conn *conn)
{
    int result;

    ri_burst_begin();
    result = parse(conn);
    ri_burst_end();
    return result;
}
