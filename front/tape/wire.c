/*
 * wire.c - messages of a tape session: packed, sent, received
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapelink/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 4

void
tape_result_pack(const struct ri_tape_result *result,
                 struct tape_reply *out_reply)
{
    out_reply->status = result->status;
    out_reply->bytes = result->bytes;
    out_reply->left = result->left;
    out_reply->flags = (result->filemark ? TAPE_FILEMARK : 0) |
                       (result->end_of_data ? TAPE_END_OF_DATA : 0) |
                       (result->early_warning ? TAPE_EARLY_WARNING : 0) |
                       (result->end_of_tape ? TAPE_END_OF_TAPE : 0) |
                       (result->beginning ? TAPE_BEGINNING : 0);
}

void
tape_result_unpack(const struct tape_reply *reply, const char *text,
                   struct ri_tape_result *out_result)
{
    *out_result = (struct ri_tape_result){
        .bytes = (size_t) reply->bytes,
        .left = reply->left,
        .status = reply->status,
        .filemark = (reply->flags & TAPE_FILEMARK) != 0,
        .end_of_data = (reply->flags & TAPE_END_OF_DATA) != 0,
        .early_warning = (reply->flags & TAPE_EARLY_WARNING) != 0,
        .end_of_tape = (reply->flags & TAPE_END_OF_TAPE) != 0,
        .beginning = (reply->flags & TAPE_BEGINNING) != 0,
    };
    snprintf(out_result->text, sizeof out_result->text, "%s", text);
}

int
tape_send_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t) n;
    }
    return 0;
}

int
tape_recv_all(int fd, void *data, size_t len)
{
    return tape_recv_fds(fd, data, len, NULL, 0);
}

int
tape_send_fds(int fd, const void *data, size_t len, const int *fds,
              unsigned count)
{
    union {
        char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = { .room = "" };
    struct iovec part = { (void *) data, len };
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = CMSG_SPACE(count * sizeof(int)),
    };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    ssize_t n;

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return tape_send_all(fd, (const char *) data + n, len - (size_t) n);
}

/* Fills the free places of out_fds, and closes what is too many. */
static void
take_fds(struct msghdr *message, int *out_fds, unsigned count)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);

    for (; head != NULL; head = CMSG_NXTHDR(message, head)) {
        size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            unsigned free_one = 0;
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            while (free_one < count && out_fds[free_one] >= 0)
                free_one++;
            if (free_one < count)
                out_fds[free_one] = fd;
            else
                close(fd);
        }
    }
}

int
tape_recv_fds(int fd, void *data, size_t len, int *out_fds, unsigned count)
{
    char *at = data;

    for (unsigned i = 0; i < count; i++)
        out_fds[i] = -1;
    while (len > 0) {
        union {
            char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
            struct cmsghdr align;
        } control;
        struct iovec part = { at, len };
        struct msghdr message = { .msg_iov = &part,
                                  .msg_iovlen = 1,
                                  .msg_control = control.room,
                                  .msg_controllen = sizeof control.room };
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        take_fds(&message, out_fds, count);
        if (n == 0)
            return -EPIPE;
        at += n;
        len -= (size_t) n;
    }
    return 0;
}
