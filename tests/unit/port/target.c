/*
 * target.c - an iSCSI target in this process that does what a test says
 *
 * SPDX-License-Identifier: MIT
 */
#include "target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define COMMANDS_AT_ONCE 64

static void
put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t) (value >> (24 - 8 * i));
}

static uint32_t
get32(const uint8_t *at)
{
    return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 |
           (uint32_t) at[2] << 8 | at[3];
}

/* --- sending ------------------------------------------------------------------ */

void
target_hang_up(struct target *target)
{
    if (target->fd >= 0)
        close(target->fd);
    target->fd = -1;
}

void
target_send(struct target *target, uint8_t head[48], const void *data,
            uint32_t len)
{
    uint8_t pad[3] = { 0 };
    struct iovec iov[3] = { { head, 48 },
                            { (void *) data, len },
                            { pad, (4 - len % 4) % 4 } };
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };

    head[5] = (uint8_t) (len >> 16);
    head[6] = (uint8_t) (len >> 8);
    head[7] = (uint8_t) len;
    /* A DATA IN without a status has no StatSN, and a request only shows it. */
    put32(head + 24, target->status_sn);
    if (head[0] != PDU_READY &&
        ((head[0] & 0x3F) != PDU_DATA_IN || head[1] & 0x01))
        target->status_sn++;
    put32(head + 28, target->command_sn);
    put32(head + 32, target->command_sn + COMMANDS_AT_ONCE);
    if (target->fd >= 0 && sendmsg(target->fd, &message, MSG_NOSIGNAL) < 0)
        target_hang_up(target);
}

/* A reply to `to`: its opcode, final, with its task tag. */
static void
reply_head(uint8_t head[48], const struct pdu *to, uint8_t opcode)
{
    memset(head, 0, 48);
    head[0] = opcode;
    head[1] = 0x80;
    memcpy(head + 16, to->head + 16, 4);
}

bool
target_respond(struct target *target, const struct pdu *to, uint8_t status,
               const void *sense, uint8_t sense_len)
{
    uint8_t head[48], data[258] = { 0, sense_len };

    reply_head(head, to, PDU_RESPONSE);
    head[3] = status;
    if (sense != NULL)
        memcpy(data + 2, sense, sense_len);
    target_send(target, head, data, sense != NULL ? 2u + sense_len : 0);
    return true;
}

bool
target_data(struct target *target, const struct pdu *to, const void *data,
            uint32_t len, uint32_t offset, bool last)
{
    uint32_t wanted = get32(to->head + 20);
    uint8_t head[48];

    reply_head(head, to, PDU_DATA_IN);
    head[1] = last ? 0x81 : 0;
    put32(head + 20, 0xFFFFFFFF);
    put32(head + 40, offset);
    if (last && offset + len < wanted) {
        head[1] |= 0x02;
        put32(head + 44, wanted - offset - len);
    }
    target_send(target, head, data, len);
    return true;
}

void
target_ask(struct target *target, const struct pdu *to, uint32_t offset,
           uint32_t len)
{
    uint8_t head[48];

    reply_head(head, to, PDU_READY);
    memcpy(head + 8, to->head + 8, 8);
    put32(head + 20, 1);
    put32(head + 40, offset);
    put32(head + 44, len);
    target_send(target, head, NULL, 0);
}

/* --- an honest disk -------------------------------------------------------------- */

static bool
inquiry(struct target *target, const struct pdu *in)
{
    uint8_t reply[36] = { 0x00, 0x80, 5, 2, 31 };

    if (in->head[33] & 1)
        return target_respond(
            target, in, 2, (uint8_t[18]){ 0x70, 0, 5, [7] = 10, [12] = 0x24 },
            18);
    memcpy(reply + 8, "SCRIPTEDDISK                0001", 28);
    return target_data(target, in, reply, 36, 0, true);
}

bool
target_honest(struct target *target, const struct pdu *in)
{
    static const uint8_t capacity[8] = { 0, 0, 7, 0xFF, 0, 0, 2, 0 };
    uint32_t wanted = get32(in->head + 20);
    uint8_t block[4096];

    switch (in->head[32]) {
    case 0x12:
        return inquiry(target, in);
    case 0x25:
        return target_data(target, in, capacity, 8, 0, true);
    case 0x28:
        memset(block, 'd', sizeof block);
        return target_data(target, in, block,
                           wanted < sizeof block ? wanted : sizeof block, 0,
                           true);
    default:
        return target_respond(target, in, 0, NULL, 0);
    }
}

/* --- what every target does ------------------------------------------------------ */

static void
login(struct target *target, const struct pdu *in)
{
    static const char keys[] = "TargetPortalGroupTag=1\0HeaderDigest=None\0"
                               "DataDigest=None\0AuthMethod=None";
    unsigned refuse = __atomic_load_n(&target->refuse, __ATOMIC_ACQUIRE);
    uint8_t head[48];
    char address[256];
    uint32_t len = 0;

    reply_head(head, in, 0x23);
    head[1] = in->head[1];
    memcpy(head + 8, in->head + 8, 6);
    head[15] = 1;
    target->command_sn = get32(in->head + 24);
    if (refuse != 0) {
        head[1] = 0;
        head[36] = (uint8_t) (refuse >> 8); /* class, detail */
        head[37] = (uint8_t) refuse;
        if (target->elsewhere != NULL)
            len =
                1 + (uint32_t) snprintf(address, sizeof address,
                                        "TargetAddress=%s", target->elsewhere);
        __atomic_fetch_add(&target->attempts, 1, __ATOMIC_RELEASE);
        target_send(target, head, len != 0 ? address : NULL, len);
        return;
    }
    if ((in->head[1] & 0x83) == 0x83)
        __atomic_fetch_add(&target->sessions, 1, __ATOMIC_RELEASE);
    target_send(target, head, keys, sizeof keys);
}

static void
plain(struct target *target, const struct pdu *in, uint8_t opcode)
{
    uint8_t head[48];

    reply_head(head, in, opcode);
    if (opcode == 0x20)
        put32(head + 20, 0xFFFFFFFF);
    target_send(target, head, NULL, 0);
}

static void
answer(struct target *target, const struct pdu *in)
{
    bool (*command)(struct target *, const struct pdu *);
    void (*data_out)(struct target *, const struct pdu *);
    uint8_t opcode = in->head[0] & 0x3F;

    if (!(in->head[0] & 0x40) && opcode == PDU_COMMAND)
        target->command_sn++;
    if (__atomic_load_n(&target->deaf, __ATOMIC_ACQUIRE))
        return;
    switch (opcode) {
    case PDU_LOGIN:
        login(target, in);
        break;
    case PDU_COMMAND:
        __atomic_fetch_add(&target->sent[in->head[32]], 1, __ATOMIC_RELEASE);
        command = __atomic_load_n(&target->command, __ATOMIC_ACQUIRE);
        if (command == NULL || !command(target, in))
            target_honest(target, in);
        break;
    case PDU_DATA_OUT:
        data_out = __atomic_load_n(&target->data_out, __ATOMIC_ACQUIRE);
        if (data_out != NULL && in->head[1] & 0x80)
            data_out(target, in);
        break;
    case PDU_NOP_OUT:
        __atomic_fetch_add(&target->pings, 1, __ATOMIC_RELEASE);
        if (get32(in->head + 16) != 0xFFFFFFFF)
            plain(target, in, 0x20);
        break;
    case PDU_TASK:
        command = __atomic_load_n(&target->task, __ATOMIC_ACQUIRE);
        if (command == NULL || !command(target, in))
            plain(target, in, 0x22);
        break;
    case PDU_LOGOUT:
        plain(target, in, 0x26);
        break;
    default:
        break;
    }
}

/* --- the thread ------------------------------------------------------------------- */

static bool
receive(struct target *target, void *to, size_t len)
{
    uint8_t *at = to;

    while (len > 0) {
        ssize_t got = recv(target->fd, at, len, 0);

        if (got <= 0)
            return false;
        at += got;
        len -= (size_t) got;
    }
    return true;
}

static void
serve(struct target *target, struct pdu *in)
{
    uint32_t padded;

    if (!receive(target, in->head, 48)) {
        target_hang_up(target);
        return;
    }
    in->len = get32(in->head + 4) & 0xFFFFFF;
    padded = (in->len + 3) / 4 * 4;
    if (padded > sizeof in->data || !receive(target, in->data, padded)) {
        target_hang_up(target);
        return;
    }
    answer(target, in);
}

static void *
run(void *context)
{
    struct target *target = context;
    struct pdu *in = calloc(1, sizeof *in);

    while (in != NULL && !__atomic_load_n(&target->stop, __ATOMIC_ACQUIRE)) {
        struct pollfd fds[2] = { { .fd = target->listen_fd, .events = POLLIN },
                                 { .fd = target->fd, .events = POLLIN } };
        int on = 1;

        poll(fds, 2, 20);
        if (fds[0].revents != 0) {
            target_hang_up(target);
            target->fd = accept(target->listen_fd, NULL, NULL);
            setsockopt(target->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            target->status_sn = 1;
        } else if (fds[1].revents != 0) {
            serve(target, in);
        }
    }
    target_hang_up(target);
    free(in);
    return NULL;
}

void
target_start(struct target *target)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t) target->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int on = 1, segment = 1400;

    target->fd = -1;
    target->stop = false;
    target->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(target->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* As over a network: a write does not fit into the sender's buffer. */
    setsockopt(target->listen_fd, IPPROTO_TCP, TCP_MAXSEG, &segment,
               sizeof segment);
    if (bind(target->listen_fd, (struct sockaddr *) &address, len) != 0 ||
        listen(target->listen_fd, 8) != 0 ||
        getsockname(target->listen_fd, (struct sockaddr *) &address, &len) !=
            0 ||
        pthread_create(&target->thread, NULL, run, target) != 0) {
        perror("target");
        abort();
    }
    target->port = ntohs(address.sin_port);
}

void
target_stop(struct target *target)
{
    __atomic_store_n(&target->stop, true, __ATOMIC_RELEASE);
    pthread_join(target->thread, NULL);
    close(target->listen_fd);
}
