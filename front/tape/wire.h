/*
 * wire.h - what the two ends of a tape session say to each other
 *
 * A unix socket, taken over from HTTP by `Upgrade: reinsert-tape`, between two
 * programs of one machine: numbers are in its own byte order.  The client sends
 * requests, each gets one reply, in order; the first is TAPE_OPEN, which brings
 * two descriptors along (SCM_RIGHTS): the window, a memfd sealed against every
 * change of its size, and one end of a pair of stream sockets for signals.
 * Data of records are never in a message: requests say where they are in the
 * window.
 *
 * A record that ends a stream (it failed, a mark or the end of the data was
 * met, the end of the tape is near) holds up the records behind it that have
 * the same group: they are answered with TAPE_SKIPPED, and not carried out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPELINK_WIRE_H
#define TAPELINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tape.h>

#define TAPE_PROTOCOL      "reinsert-tape"      /* of the Upgrade header */
#define TAPE_WIRE_VERSION  1
#define TAPE_WINDOW_MAX    (64u << 20)
#define TAPE_EXTRA_MAX     4096 /* bytes behind a request or a reply */

enum tape_wire_op {
    TAPE_OPEN = 1,              /* code: version; count: size of the status, 0:
                                 * not asked for; flags: how; the name of the
                                 * tape behind it */
    TAPE_READ,                  /* offset, size; flags: sum */
    TAPE_WRITE,                 /* offset, size */
    TAPE_OP,                    /* code: MT...; count */
    TAPE_STATUS,                /* struct tape_wire_status behind the reply */
    TAPE_NEXT,                  /* flags: blank; the name behind it */
    TAPE_CLOSE,                 /* the last one */
};

/* Of TAPE_OPEN, TAPE_NEXT and TAPE_READ. */
#define TAPE_HOW_WRITE          0x01u
#define TAPE_HOW_NO_TAPE_NEEDED 0x02u
#define TAPE_HOW_REWIND         0x04u
#define TAPE_HOW_FAIL_WITHOUT   0x08u
#define TAPE_NEXT_BLANK         0x10u
#define TAPE_WANT_SUM           0x20u

struct tape_request {
    uint16_t op;
    uint16_t extra;             /* bytes that follow */
    uint32_t group;             /* of records */
    uint32_t flags;
    int32_t code;
    uint64_t offset, size;
    int64_t count;
};

/* Of replies. */
#define TAPE_FILEMARK      0x01u
#define TAPE_END_OF_DATA   0x02u
#define TAPE_EARLY_WARNING 0x04u
#define TAPE_END_OF_TAPE   0x08u
#define TAPE_BEGINNING     0x10u
#define TAPE_SKIPPED       0x20u
#define TAPE_SUMMED        0x40u        /* left: CRC-32C of what was read */

struct tape_reply {
    uint16_t op;
    uint16_t extra;             /* bytes that follow: a text, or the status */
    int32_t rc;                 /* 0 or -errno */
    uint32_t status;
    uint32_t flags;
    uint64_t bytes;
    int64_t left;
};

struct tape_wire_status {
    struct mtget get;
    struct mtpos pos;
    struct ri_tape_info info;
};

/* On the signal socket, a byte each. */
#define TAPE_SIGNAL_INTERRUPT 'i'
#define TAPE_SIGNAL_CANCEL    'c'

_Static_assert(sizeof(struct tape_request) == 40, "as documented");
_Static_assert(sizeof(struct tape_reply) == 32, "as documented");
_Static_assert(sizeof(struct tape_wire_status) <= TAPE_EXTRA_MAX, "fits");

/* wire.c */
void tape_result_pack(const struct ri_tape_result *result,
                      struct tape_reply *out_reply);
void tape_result_unpack(const struct tape_reply *reply, const char *text,
                        struct ri_tape_result *out_result);
/* All of it, however often it takes: 0 or -errno. */
int tape_send_all(int fd, const void *data, size_t len);
/* -EPIPE: the other end is gone. */
int tape_recv_all(int fd, void *data, size_t len);
/* With descriptors. */
int tape_send_fds(int fd, const void *data, size_t len, const int *fds,
                  unsigned count);
/* As tape_recv_all, and takes the descriptors that came along; of those that
 * did not, out_fds has -1.  More than `count` are closed. */
int tape_recv_fds(int fd, void *data, size_t len, int *out_fds, unsigned count);

#endif
