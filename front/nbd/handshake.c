/*
 * handshake.c - fixed newstyle negotiation, from the greeting to transmission
 *
 * One row per option.  Runs on the connection's thread, before any request;
 * every wait has the connection's deadline, and the number of options a limit,
 * so that half-open clients go away by themselves.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd/command.h"
#include "nbd/proto.h"

#define ALLOCATION       "base:allocation"
#define ZEROES_BYTES     124 /* after the reply to EXPORT_NAME */
#define EXPORT_MAX_BYTES (64u << 20)

enum next { NEXT_OPTION, NEXT_SERVE, NEXT_END, NEXT_DROP };

struct option {
    uint32_t id;
    uint32_t length;
    const uint8_t *data; /* in conn->rx, until the next receive */
};

static int
send_reply(struct nbd_conn *conn, uint32_t option, uint32_t type,
           const void *data, size_t bytes)
{
    uint8_t buffer[NBD_OPTION_REPLY_BYTES + 1024];
    uint8_t *at = put_be64(buffer, NBD_OPTION_REPLY_MAGIC);

    if (bytes > 1024)
        bytes = 1024; /* error texts only */
    at = put_be32(at, option);
    at = put_be32(at, type);
    at = put_be32(at, (uint32_t) bytes);
    if (bytes > 0)
        memcpy(at, data, bytes);
    return conn_send(conn, buffer, NBD_OPTION_REPLY_BYTES + bytes);
}

static enum next
answer(struct nbd_conn *conn, const struct option *option, uint32_t type,
       const char *text)
{
    size_t bytes = text == NULL ? 0 : strlen(text);

    if (send_reply(conn, option->id, type, text, bytes) < 0)
        return NEXT_DROP;
    return NEXT_OPTION;
}

/* Copies a string of the client.  False: it is none (a NUL in it), or longer
 * than any name of ours, so that it names nothing. */
static bool
copy_name(const uint8_t *from, size_t length, char out_name[RI_NAME_MAX])
{
    if (length >= RI_NAME_MAX || memchr(from, 0, length) != NULL)
        return false;
    memcpy(out_name, from, length);
    out_name[length] = '\0';
    return true;
}

static unsigned
transmission_flags(const struct nbd_conn *conn,
                   const struct ri_export_info *info)
{
    unsigned flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
                     NBD_FLAG_SEND_CACHE | NBD_FLAG_CAN_MULTI_CONN;

    if (conn->structured)
        flags |= NBD_FLAG_SEND_DF;
    if (info->rotational)
        flags |= NBD_FLAG_ROTATIONAL;
    if (info->can_fua)
        flags |= NBD_FLAG_SEND_FUA;
    if (info->read_only)
        return flags | NBD_FLAG_READ_ONLY;
    if (info->can_trim)
        flags |= NBD_FLAG_SEND_TRIM;
    if (info->can_zero)
        flags |= NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
    return flags;
}

static uint32_t
open_failure(int error)
{
    return error == -ESHUTDOWN ? NBD_REP_ERR_SHUTDOWN : NBD_REP_ERR_UNKNOWN;
}

/* Sizes that later arithmetic relies on. */
static void
take_info(struct ri_export *export_, struct ri_export_info *out_info)
{
    ri_export_info(export_, out_info);
    if (out_info->block_bytes == 0)
        out_info->block_bytes = 1;
    if (out_info->max_bytes > EXPORT_MAX_BYTES)
        out_info->max_bytes = EXPORT_MAX_BYTES;
    if (out_info->max_bytes < out_info->block_bytes)
        out_info->max_bytes = out_info->block_bytes;
    out_info->max_bytes -= out_info->max_bytes % out_info->block_bytes;
}

static enum next
opt_export_name(struct nbd_conn *conn, const struct option *option)
{
    uint8_t buffer[10 + ZEROES_BYTES] = { 0 };
    char name[RI_NAME_MAX];
    struct ri_error error;
    uint8_t *at;

    if (!copy_name(option->data, option->length, name) ||
        ri_open(conn->server->service, name, &conn->export_, &error) < 0)
        return NEXT_DROP; /* this option has no way to say more */
    take_info(conn->export_, &conn->info);
    at = put_be64(buffer, conn->info.size_bytes);
    put_be16(at, (uint16_t) transmission_flags(conn, &conn->info));
    if (strcmp(conn->meta_name, name) != 0)
        conn->meta_allocation = false;
    if (conn_send(conn, buffer, conn->no_zeroes ? 10 : sizeof buffer) < 0)
        return NEXT_DROP;
    return NEXT_SERVE;
}

static enum next
opt_abort(struct nbd_conn *conn, const struct option *option)
{
    answer(conn, option, NBD_REP_ACK, NULL);
    return NEXT_END;
}

static int
send_list_entry(struct nbd_conn *conn, const struct option *option,
                const struct ri_export_info *info)
{
    uint8_t buffer[4 + RI_NAME_MAX + RI_TEXT_MAX];
    size_t name = strnlen(info->name, RI_NAME_MAX);
    size_t text = strnlen(info->description, RI_TEXT_MAX);
    uint8_t *at = put_be32(buffer, (uint32_t) name);

    memcpy(at, info->name, name);
    memcpy(at + name, info->description, text);
    return send_reply(conn, option->id, NBD_REP_SERVER, buffer,
                      4 + name + text);
}

static enum next
opt_list(struct nbd_conn *conn, const struct option *option)
{
    struct ri_export_info *list = NULL;
    size_t count = 0;
    int result = 0;

    if (option->length != 0)
        return answer(conn, option, NBD_REP_ERR_INVALID,
                      "NBD_OPT_LIST takes no data");
    if (ri_exports(conn->server->service, &list, &count) < 0)
        return answer(conn, option, NBD_REP_ERR_SHUTDOWN,
                      "the exports cannot be listed now");
    for (size_t i = 0; i < count && result == 0; i++)
        result = send_list_entry(conn, option, &list[i]);
    free(list);
    return result < 0 ? NEXT_DROP : answer(conn, option, NBD_REP_ACK, NULL);
}

static int
send_text_info(struct nbd_conn *conn, const struct option *option,
               uint16_t type, const char *text)
{
    uint8_t buffer[2 + RI_TEXT_MAX];
    size_t bytes = strnlen(text, RI_TEXT_MAX);

    put_be16(buffer, type);
    memcpy(buffer + 2, text, bytes);
    return send_reply(conn, option->id, NBD_REP_INFO, buffer, 2 + bytes);
}

static int
send_sizes(struct nbd_conn *conn, const struct option *option,
           const struct ri_export_info *info)
{
    uint8_t buffer[14];
    uint32_t preferred = info->block_bytes > 4096 ? info->block_bytes : 4096;
    uint8_t *at;

    if (preferred > info->max_bytes)
        preferred = info->block_bytes;
    put_be16(put_be64(put_be16(buffer, NBD_INFO_EXPORT), info->size_bytes),
             (uint16_t) transmission_flags(conn, info));
    if (send_reply(conn, option->id, NBD_REP_INFO, buffer, 12) < 0)
        return -1;
    at = put_be16(buffer, NBD_INFO_BLOCK_SIZE);
    at = put_be32(at, info->block_bytes);
    at = put_be32(at, preferred);
    put_be32(at, info->max_bytes);
    return send_reply(conn, option->id, NBD_REP_INFO, buffer, 14);
}

/* The block sizes are sent to everybody, as other servers do: a client that did
 * not ask may still take notice of them. */
static int
send_infos(struct nbd_conn *conn, const struct option *option,
           const struct ri_export_info *info, const uint8_t *asked,
           uint16_t asked_count)
{
    if (send_sizes(conn, option, info) < 0)
        return -1;
    for (uint16_t i = 0; i < asked_count && i < 16; i++) {
        uint16_t type = get_be16(asked + 2 * i);

        if (type == NBD_INFO_NAME &&
            send_text_info(conn, option, type, info->name) < 0)
            return -1;
        if (type == NBD_INFO_DESCRIPTION && info->description[0] != '\0' &&
            send_text_info(conn, option, type, info->description) < 0)
            return -1;
    }
    return 0;
}

/* Splits "length, name, rest".  0, or the reply that says what is wrong. */
static uint32_t
parse_name(const struct option *option, const uint8_t **out_name,
           uint32_t *out_length, uint32_t *out_end)
{
    uint32_t length;

    if (option->length < 4)
        return NBD_REP_ERR_INVALID;
    length = get_be32(option->data);
    if (length > option->length - 4)
        return NBD_REP_ERR_INVALID;
    if (length > NBD_NAME_MAX)
        return NBD_REP_ERR_TOO_BIG;
    *out_name = option->data + 4;
    *out_length = length;
    *out_end = 4 + length;
    return 0;
}

/* Both INFO and GO: GO keeps the export open. */
static enum next
opt_info(struct nbd_conn *conn, const struct option *option)
{
    const uint8_t *name_at = NULL;
    uint32_t name_length = 0, end = 0;
    uint32_t wrong = parse_name(option, &name_at, &name_length, &end);
    char name[RI_NAME_MAX];
    struct ri_export *export_;
    struct ri_error error = { "" };
    uint16_t asked_count;
    int result;

    if (wrong == 0 && option->length - end < 2)
        wrong = NBD_REP_ERR_INVALID;
    if (wrong != 0)
        return answer(conn, option, wrong, "malformed option");
    asked_count = get_be16(option->data + end);
    if (option->length - end - 2 != 2u * asked_count)
        return answer(conn, option, NBD_REP_ERR_INVALID, "malformed option");
    if (!copy_name(name_at, name_length, name))
        return answer(conn, option, NBD_REP_ERR_UNKNOWN, "no such export");
    result = ri_open(conn->server->service, name, &export_, &error);
    if (result < 0)
        return answer(conn, option, open_failure(result), error.text);
    take_info(export_, &conn->info);
    result = send_infos(conn, option, &conn->info, option->data + end + 2,
                        asked_count);
    if (result == 0)
        result = send_reply(conn, option->id, NBD_REP_ACK, NULL, 0);
    if (result < 0 || option->id == NBD_OPT_INFO) {
        ri_close(export_);
        return result < 0 ? NEXT_DROP : NEXT_OPTION;
    }
    conn->export_ = export_;
    if (strcmp(conn->meta_name, name) != 0)
        conn->meta_allocation = false;
    return NEXT_SERVE;
}

static enum next
opt_structured_reply(struct nbd_conn *conn, const struct option *option)
{
    if (option->length != 0)
        return answer(conn, option, NBD_REP_ERR_INVALID,
                      "NBD_OPT_STRUCTURED_REPLY takes no data");
    conn->structured = true;
    return answer(conn, option, NBD_REP_ACK, NULL);
}

/* The queries after the export name.  -1: malformed. */
static int
match_queries(const struct option *option, uint32_t at, bool list,
              bool *out_match)
{
    uint32_t count;
    bool match = false;

    if (option->length - at < 4)
        return -1;
    count = get_be32(option->data + at);
    at += 4;
    if (count == 0)
        match = list; /* no query lists everything */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length;

        if (option->length - at < 4)
            return -1;
        length = get_be32(option->data + at);
        at += 4;
        if (length > option->length - at)
            return -1;
        if (length == strlen(ALLOCATION) &&
            memcmp(option->data + at, ALLOCATION, length) == 0)
            match = true;
        if (list && length == 5 && memcmp(option->data + at, "base:", 5) == 0)
            match = true;
        at += length;
    }
    *out_match = match;
    return at == option->length ? 0 : -1;
}

static enum next
finish_meta_context(struct nbd_conn *conn, const struct option *option,
                    bool match)
{
    uint8_t buffer[4 + sizeof ALLOCATION];
    bool list = option->id == NBD_OPT_LIST_META_CONTEXT;

    put_be32(buffer, list ? 0 : NBD_CONTEXT_ALLOCATION);
    memcpy(buffer + 4, ALLOCATION, strlen(ALLOCATION));
    if (match && send_reply(conn, option->id, NBD_REP_META_CONTEXT, buffer,
                            4 + strlen(ALLOCATION)) < 0)
        return NEXT_DROP;
    return answer(conn, option, NBD_REP_ACK, NULL);
}

/* Both LIST and SET.  SET is remembered with its export: it holds only if that
 * is the one that transmission is entered with. */
static enum next
opt_meta_context(struct nbd_conn *conn, const struct option *option)
{
    const uint8_t *name_at = NULL;
    uint32_t name_length = 0, end = 0;
    uint32_t wrong = parse_name(option, &name_at, &name_length, &end);
    bool list = option->id == NBD_OPT_LIST_META_CONTEXT;
    char name[RI_NAME_MAX];
    struct ri_export *export_;
    struct ri_error error = { "" };
    bool match;
    int result;

    if (!list)
        conn->meta_allocation = false;
    if (!conn->structured)
        return answer(conn, option, NBD_REP_ERR_INVALID,
                      "negotiate structured replies first");
    if (wrong == 0 && match_queries(option, end, list, &match) < 0)
        wrong = NBD_REP_ERR_INVALID;
    if (wrong != 0)
        return answer(conn, option, wrong, "malformed option");
    if (!copy_name(name_at, name_length, name))
        return answer(conn, option, NBD_REP_ERR_UNKNOWN, "no such export");
    result = ri_open(conn->server->service, name, &export_, &error);
    if (result < 0)
        return answer(conn, option, open_failure(result), error.text);
    ri_close(export_);
    if (!list) {
        conn->meta_allocation = match;
        memcpy(conn->meta_name, name, sizeof name);
    }
    return finish_meta_context(conn, option, match);
}

static const struct {
    uint32_t id;
    enum next (*run)(struct nbd_conn *conn, const struct option *option);
} options[] = {
    { NBD_OPT_EXPORT_NAME, opt_export_name },
    { NBD_OPT_ABORT, opt_abort },
    { NBD_OPT_LIST, opt_list },
    { NBD_OPT_INFO, opt_info },
    { NBD_OPT_GO, opt_info },
    { NBD_OPT_STRUCTURED_REPLY, opt_structured_reply },
    { NBD_OPT_LIST_META_CONTEXT, opt_meta_context },
    { NBD_OPT_SET_META_CONTEXT, opt_meta_context },
};

/* Longer than any option needs to be: read past it, up to a limit. */
static enum next
skip_long(struct nbd_conn *conn, const struct option *option)
{
    uint32_t left = option->length;

    if (left > 16 * OPTION_BYTES_MAX || option->id == NBD_OPT_EXPORT_NAME)
        return NEXT_DROP;
    while (left > 0) {
        uint32_t bytes = left < OPTION_BYTES_MAX ? left : OPTION_BYTES_MAX;

        if (conn_need(conn, bytes) < 0)
            return NEXT_DROP;
        conn->rx_start += bytes;
        left -= bytes;
    }
    return answer(conn, option, NBD_REP_ERR_TOO_BIG, "option too long");
}

static enum next
run_option(struct nbd_conn *conn, const struct option *option)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].id == option->id)
            return options[i].run(conn, option);
    return answer(conn, option, NBD_REP_ERR_UNSUP, "option not supported");
}

static enum next
next_option(struct nbd_conn *conn)
{
    struct option option;
    enum next next;

    if (conn_need(conn, NBD_OPTION_BYTES) < 0 ||
        get_be64(conn->rx + conn->rx_start) != NBD_OPTION_MAGIC)
        return NEXT_DROP;
    option.id = get_be32(conn->rx + conn->rx_start + 8);
    option.length = get_be32(conn->rx + conn->rx_start + 12);
    conn->rx_start += NBD_OPTION_BYTES;
    if (!conn->fixed_newstyle && option.id != NBD_OPT_EXPORT_NAME)
        return NEXT_DROP;
    if (option.length > OPTION_BYTES_MAX)
        return skip_long(conn, &option);
    if (conn_need(conn, option.length) < 0)
        return NEXT_DROP;
    option.data = conn->rx + conn->rx_start;
    next = run_option(conn, &option);
    conn->rx_start += option.length;
    return next;
}

static int
greet(struct nbd_conn *conn)
{
    uint8_t greeting[18];
    uint32_t flags;

    put_be16(put_be64(put_be64(greeting, NBD_MAGIC), NBD_OPTION_MAGIC),
             NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    if (conn_send(conn, greeting, sizeof greeting) < 0 ||
        conn_need(conn, 4) < 0)
        return -1;
    flags = get_be32(conn->rx + conn->rx_start);
    conn->rx_start += 4;
    conn->fixed_newstyle = (flags & NBD_FLAG_FIXED_NEWSTYLE) != 0;
    conn->no_zeroes = (flags & NBD_FLAG_NO_ZEROES) != 0;
    return flags & ~(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES) ? -1 : 0;
}

enum handshake_result
nbd_handshake(struct nbd_conn *conn)
{
    if (greet(conn) < 0)
        return HANDSHAKE_DROP;
    for (int i = 0; i < HANDSHAKE_OPTIONS; i++) {
        switch (next_option(conn)) {
        case NEXT_OPTION:
            break;
        case NEXT_SERVE:
            return HANDSHAKE_SERVE;
        case NEXT_END:
            return HANDSHAKE_END;
        case NEXT_DROP:
            return HANDSHAKE_DROP;
        }
    }
    return HANDSHAKE_DROP;
}
