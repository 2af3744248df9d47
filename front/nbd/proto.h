/*
 * proto.h - the NBD protocol's numbers, and its integers on the wire
 *
 * Names and values are those of the protocol document (doc/proto.md of the NBD
 * project).  All integers on the wire are big-endian.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_PROTO_H
#define NBD_PROTO_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define NBD_MAGIC                   UINT64_C(0x4e42444d41474943)
#define NBD_OPTION_MAGIC            UINT64_C(0x49484156454f5054)
#define NBD_OPTION_REPLY_MAGIC      UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC           UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC      UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC  UINT32_C(0x668e33ef)

#define NBD_NAME_MAX                4096    /* longest string of the protocol */

/* Handshake flags, both sides. */
#define NBD_FLAG_FIXED_NEWSTYLE     0x1u
#define NBD_FLAG_NO_ZEROES          0x2u

enum {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
};

#define NBD_REP_ACK                 UINT32_C(1)
#define NBD_REP_SERVER              UINT32_C(2)
#define NBD_REP_INFO                UINT32_C(3)
#define NBD_REP_META_CONTEXT        UINT32_C(4)
#define NBD_REP_ERR_UNSUP           UINT32_C(0x80000001)
#define NBD_REP_ERR_POLICY          UINT32_C(0x80000002)
#define NBD_REP_ERR_INVALID         UINT32_C(0x80000003)
#define NBD_REP_ERR_UNKNOWN         UINT32_C(0x80000006)
#define NBD_REP_ERR_SHUTDOWN        UINT32_C(0x80000007)
#define NBD_REP_ERR_TOO_BIG         UINT32_C(0x80000009)

enum {
    NBD_INFO_EXPORT = 0,
    NBD_INFO_NAME = 1,
    NBD_INFO_DESCRIPTION = 2,
    NBD_INFO_BLOCK_SIZE = 3,
};

/* Transmission flags of an export. */
#define NBD_FLAG_HAS_FLAGS          0x0001u
#define NBD_FLAG_READ_ONLY          0x0002u
#define NBD_FLAG_SEND_FLUSH         0x0004u
#define NBD_FLAG_SEND_FUA           0x0008u
#define NBD_FLAG_ROTATIONAL         0x0010u
#define NBD_FLAG_SEND_TRIM          0x0020u
#define NBD_FLAG_SEND_WRITE_ZEROES  0x0040u
#define NBD_FLAG_SEND_DF            0x0080u
#define NBD_FLAG_CAN_MULTI_CONN     0x0100u
#define NBD_FLAG_SEND_CACHE         0x0400u
#define NBD_FLAG_SEND_FAST_ZERO     0x0800u

enum {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};

#define NBD_CMD_FLAG_FUA            0x0001u
#define NBD_CMD_FLAG_NO_HOLE        0x0002u
#define NBD_CMD_FLAG_DF             0x0004u
#define NBD_CMD_FLAG_REQ_ONE        0x0008u
#define NBD_CMD_FLAG_FAST_ZERO      0x0010u

#define NBD_REPLY_FLAG_DONE         0x0001u
#define NBD_REPLY_TYPE_NONE         0u
#define NBD_REPLY_TYPE_OFFSET_DATA  1u
#define NBD_REPLY_TYPE_BLOCK_STATUS 5u
#define NBD_REPLY_TYPE_ERROR        0x8001u
#define NBD_REPLY_TYPE_ERROR_OFFSET 0x8002u

/* Errors on the wire: these and no others. */
enum {
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75,
    NBD_ENOTSUP = 95,
    NBD_ESHUTDOWN = 108,
};

#define NBD_REQUEST_BYTES           28
#define NBD_SIMPLE_REPLY_BYTES      16
#define NBD_CHUNK_BYTES             20
#define NBD_OPTION_BYTES            16
#define NBD_OPTION_REPLY_BYTES      20

static inline uint16_t
get_be16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return be16toh(value);
}

static inline uint32_t
get_be32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return be32toh(value);
}

static inline uint64_t
get_be64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

/* Each put returns the byte after what it wrote. */
static inline uint8_t *
put_be16(uint8_t *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static inline uint8_t *
put_be32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static inline uint8_t *
put_be64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

#endif
