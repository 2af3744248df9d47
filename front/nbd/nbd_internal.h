/*
 * nbd_internal.h - what the files of the NBD server share
 *
 * One thread owns a connection: only it touches the socket, the request pool
 * and every field of struct nbd_conn but those that are marked shared.  A
 * request that waits is completed by whoever completes it with request_done(),
 * which only puts it on the connection's finished stack.  If the thread sleeps,
 * who completed a burst of requests takes its seat and sends their replies,
 * leaving the seat while the socket takes them; else it wakes the thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_NBD_INTERNAL_H
#define NBD_NBD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <reinsert.h>

#include "nbd/nbd.h"

#define CONN_MAX            512         /* connections at a time */
#define CONN_STACK_BYTES    (512u * 1024)
#define CONN_REQUESTS_MAX   16384u      /* not yet answered, per connection */
#define CONN_BUFFERS_MAX    (256u << 20)
#define RX_BYTES            (256u * 1024)
#define HANDSHAKE_MS        30000
#define HANDSHAKE_OPTIONS   4096
#define OPTION_BYTES_MAX    (64u * 1024)
#define STOP_GRACE_MS       300         /* to take the last replies */
#define STOP_WAIT_MS        600         /* all connections, if not set */

/* --- pool.c: requests and their buffers, recycled ------------------------- */

#define POOL_HEADROOM       64          /* before the data: reply header */
#define POOL_MIN_SHIFT      12
#define POOL_CLASSES        20          /* 4 KiB to 2 GiB */
#define POOL_NO_BUFFER      0xff

struct nbd_command;

struct nbd_request {
    struct ri_request ri;
    struct nbd_conn *conn;
    struct nbd_request *next;           /* in the one list it is in */
    struct nbd_request *wait_next;      /* among those that wait */
    struct nbd_request *wait_prev;
    const struct nbd_command *command;
    uint64_t cookie;
    uint16_t flags;                     /* of the command, as received */
    uint8_t class;                      /* of the buffer, or POOL_NO_BUFFER */
    uint8_t *data;                      /* POOL_HEADROOM bytes before it too */
};

struct nbd_pool {
    struct nbd_request *requests;       /* free ones */
    void *buffers[POOL_CLASSES];        /* free ones */
    size_t live_requests;
    size_t live_bytes;
    size_t free_bytes;
};

/* Whether a request with so many bytes may be taken now.  The only one always
 * may, so that a stalled connection goes on. */
bool pool_has_room(const struct nbd_pool *pool, size_t bytes);
/* NULL: out of memory.  0 bytes: without a buffer. */
struct nbd_request *pool_get(struct nbd_pool *pool, size_t bytes);
void pool_put(struct nbd_pool *pool, struct nbd_request *request);
/* Frees what is not in use, beyond a little. */
void pool_trim(struct nbd_pool *pool, size_t keep_bytes);

/* --- reply.c: what goes out ----------------------------------------------- */

#define OUT_PIECES          512
#define OUT_ARENA_BYTES     (32u * 1024)
#define OUT_REPLY_MAX       256         /* of a reply without its payload */
#define OUT_SEND_BYTES      (256u * 1024)   /* send what is there already */
#define OUT_STALL_BYTES     (2u << 20)  /* queued: read no more requests */

/* Replies as they will be sent.  owner[i] is recycled when iov[i] is sent. */
struct nbd_out {
    struct iovec iov[OUT_PIECES];
    struct nbd_request *owner[OUT_PIECES];
    unsigned first, count;
    size_t bytes;                       /* not yet sent, ready ones included */
    bool blocked;                       /* the socket takes no more for now */
    struct nbd_request *ready, **ready_end; /* completed, not yet in iov */
    size_t arena_used;
    uint8_t arena[OUT_ARENA_BYTES];
    /* Another thread sends iov[first] and on, outside the seat: they stay as
     * they are, and what completes meanwhile is put into ready.  When the
     * socket has taken them it says how many bytes, or -errno, and then that it
     * is done with them. */
    bool lent;
    ssize_t lent_sent;
    atomic_bool returned;
};

void reply_init(struct nbd_out *out);
/* The request has completed: its reply is queued, in this order. */
void reply_add(struct nbd_conn *conn, struct nbd_request *request);
/* Sends what the socket takes.  -1: the client is gone. */
int reply_send(struct nbd_conn *conn);
/* The same by another thread than the connection's.  Called in the seat, and
 * leaves it before the socket is used.  FALSE: the thread has to look. */
bool reply_send_outside(struct nbd_conn *conn);
/* What another thread has sent is to be looked at, by reply_send(). */
bool reply_has_returned(const struct nbd_out *out);
/* Until no other thread uses the socket. */
void reply_await(struct nbd_conn *conn);
/* Recycles everything that was to be sent. */
void reply_drop(struct nbd_conn *conn);
int nbd_wire_errno(int error);

/* --- command.c: what comes in --------------------------------------------- */

/* Takes every whole request out of conn->rx and runs it.  -1: the client broke
 * the protocol, drop it. */
int command_parse(struct nbd_conn *conn);
/* Part of conn->payload arrived in its place. */
void command_payload(struct nbd_conn *conn, size_t bytes);

/* --- handshake.c ---------------------------------------------------------- */

enum handshake_result { HANDSHAKE_DROP, HANDSHAKE_END, HANDSHAKE_SERVE };

enum handshake_result nbd_handshake(struct nbd_conn *conn);

/* --- conn.c --------------------------------------------------------------- */

struct nbd_conn {
    struct nbd_server *server;          /* holds a reference */
    struct nbd_conn *list_next;         /* server->lock */
    struct nbd_conn *list_prev;
    pthread_t thread;
    int fd;
    int event_fd;

    /* shared with completing threads and with nbd_server_stop */
    _Atomic(struct nbd_request *) finished;     /* a stack */
    atomic_uint completing;             /* threads inside request_done */
    atomic_bool sleeping;               /* write event_fd to wake */
    atomic_bool stop;
    struct ri_after burst;
    _Atomic(pthread_t) burst_of;        /* the thread that has it listed, or 0 */

    /* A leaf.  The thread has it, but while it sleeps; others do not wait for
     * it.  All that follows belongs to who has it. */
    pthread_mutex_t seat;
    bool running;                       /* between handshake and end */

    /* the handshake's results */
    bool fixed_newstyle, no_zeroes, structured, meta_allocation;
    char meta_name[RI_NAME_MAX];        /* the export of meta_allocation */
    struct ri_export *export_;          /* open during transmission */
    struct ri_export_info info;
    uint64_t deadline_ms;               /* of the handshake */

    /* transmission */
    uint8_t *rx;                        /* RX_BYTES */
    size_t rx_start, rx_end;
    size_t rx_want;                     /* how much to receive at a time */
    struct nbd_request *payload;        /* a write that is being received */
    size_t payload_done;
    uint64_t discard;                   /* payload bytes of a refused write */
    struct nbd_request *discard_reply;  /* sent after them */
    bool stalled;                       /* too much in flight: parse later */
    bool disc;                          /* NBD_CMD_DISC: no more requests */
    struct nbd_request *waiting;        /* pended, or on the finished stack */
    size_t waiting_count;
    unsigned spin_credit;
    bool took_answers;                  /* when it was woken last */
    unsigned taken;                     /* requests, in this turn */
    bool took_payload;                  /* a write among them */
    unsigned window;                    /* most taken at a time, lately */
    unsigned window_age;
    uint64_t requests, waited;          /* not yet added to the server's */
    struct nbd_pool pool;
    struct nbd_out out;
};

/* Takes over fd.  NULL: out of memory or descriptors, fd is closed. */
struct nbd_conn *conn_new(struct nbd_server *server, int fd);
void conn_free(struct nbd_conn *conn);
/* Serves the connection from greeting to end; returns when every request has
 * completed and the export is closed. */
void conn_run(struct nbd_conn *conn);
/* From any thread: end soon. */
void conn_stop(struct nbd_conn *conn);
/* Submits, and queues the reply of what completes at once. */
void conn_submit(struct nbd_conn *conn, struct nbd_request *request);
/* Handshake only: at least so many bytes in rx, contiguous; or the data sent.
 * -1: gone, too late, or stopped. */
int conn_need(struct nbd_conn *conn, size_t bytes);
int conn_send(struct nbd_conn *conn, const void *data, size_t bytes);
/* Into the payload's place first, then into rx.  0: nothing there; -1: the
 * client is gone. */
ssize_t conn_receive(struct nbd_conn *conn);
/* Adds to the server's counters. */
void conn_count_requests(struct nbd_conn *conn);
uint64_t nbd_now_ns(void);

/* Something has completed that is not answered yet. */
static inline bool
conn_has_finished(struct nbd_conn *conn)
{
    return atomic_load_explicit(&conn->finished, memory_order_relaxed) != NULL;
}

/* --- wait.c: by the connection's thread ------------------------------------ */

/* Sleeps until the socket, a completion or nbd_server_stop wakes it.  Returns
 * what the socket has, 0 at the time limit. */
short conn_sleep(struct nbd_conn *conn, short events, int timeout_ms);
/* Nothing can be done now.  -1: the client is gone. */
int conn_wait(struct nbd_conn *conn, bool may_read, int timeout_ms);
/* Between answering and receiving again: for the client to send more. */
void conn_nap(struct nbd_conn *conn);

/* --- listen.c ------------------------------------------------------------- */

struct nbd_listener {
    int fd;
    bool is_tcp;
    char address[RI_PATH_MAX];          /* with the real port */
    char path[RI_PATH_MAX];             /* unix: to be unlinked, or "" */
    dev_t device;
    ino_t inode;
};

int listener_open(struct nbd_listener *listener, const char *text,
                  struct ri_error *out_error);
void listener_close(struct nbd_listener *listener);

/* --- server.c ------------------------------------------------------------- */

struct nbd_server {
    struct ri_service *service;         /* borrowed */
    struct nbd_listener *listeners;
    size_t listener_count;
    pthread_t accept_thread;
    int wake_fd;                        /* ends the accept thread's sleep */
    atomic_bool stopping;
    atomic_uint references;             /* the owner's, and one per conn */
    atomic_int spinners;                /* connections that poll the socket */
    int spinners_max;
    atomic_uint_fast64_t connections, refused, requests, waited;

    pthread_mutex_t lock;               /* below; nothing is taken inside */
    pthread_cond_t ended_cond;
    struct nbd_conn *conns;             /* running */
    struct nbd_conn *ended;             /* to be joined, linked by list_next */
    size_t conn_count;
    bool abandoned;                     /* nobody will join any more */
    unsigned stop_wait_ms;              /* set before the stop */
};

struct nbd_server *server_new(struct ri_service *service);
void server_unref(struct nbd_server *server);

#endif
