/*
 * target.h - an iSCSI target in this process that does what a test says
 *
 * One session at a time, on a thread.  Logins, pings, logouts and what a test
 * leaves to it are answered as RFC 7143 has it; each command is first given to
 * the test's `command`, which may answer by target_send or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_TEST_TARGET_H
#define PORT_TEST_TARGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_NAME "iqn.2026-11.reinsert.test:scripted"

/* Opcodes and offsets: RFC 7143, 11.3 to 11.19. */
enum {
    PDU_NOP_OUT = 0x00,
    PDU_COMMAND = 0x01,
    PDU_TASK = 0x02,
    PDU_LOGIN = 0x03,
    PDU_DATA_OUT = 0x05,
    PDU_LOGOUT = 0x06,
    PDU_RESPONSE = 0x21,
    PDU_DATA_IN = 0x25,
    PDU_READY = 0x31,
};

struct pdu {
    uint8_t head[48];
    uint8_t data[1 << 16];
    uint32_t len;               /* of data */
};

struct target {
    /* Atomic.  True: it is answered, or will not be.  On the target's thread. */
    bool (*command)(struct target *target, const struct pdu *in);
    /* Atomic.  As `command`, for task management. */
    bool (*task)(struct target *target, const struct pdu *in);
    /* Atomic.  The last of what was asked for, or sent without being asked. */
    void (*data_out)(struct target *target, const struct pdu *in);
    void *context;
    unsigned refuse;            /* atomic: logins, with this status; 0: not */
    const char *elsewhere;      /* ... and this TargetAddress; NULL: none */
    bool deaf;                  /* atomic: nothing is answered from now on */
    int port;                   /* of 127.0.0.1; 0: any, kept afterwards */

    /* Its own. */
    int listen_fd, fd;
    bool stop;                  /* atomic */
    pthread_t thread;
    uint32_t status_sn, command_sn;
    unsigned sessions;          /* atomic: logins so far, ... */
    unsigned attempts;          /* atomic: ... and those that were refused */
    unsigned sent[256];         /* atomic: commands so far, by operation code */
    unsigned pings;             /* atomic: signs of life that were asked for */
};

void target_start(struct target *target);
/* Also ends its session, as a target that dies. */
void target_stop(struct target *target);
/* Ends the session; on the target's thread. */
void target_hang_up(struct target *target);

/* As it is, but for lengths and sequence numbers; on the target's thread. */
void target_send(struct target *target, uint8_t head[48], const void *data,
                 uint32_t len);
/* A whole SCSI response; sense may be NULL.  Returns true. */
bool target_respond(struct target *target, const struct pdu *to, uint8_t status,
                    const void *sense, uint8_t sense_len);
/* DATA IN at an offset; with a status when it is the last. */
bool target_data(struct target *target, const struct pdu *to, const void *data,
                 uint32_t len, uint32_t offset, bool last);
/* READY TO TRANSFER: asks for so many bytes of a write. */
void target_ask(struct target *target, const struct pdu *to, uint32_t offset,
                uint32_t len);
/* As a removable disk of 2,048 blocks of 512 bytes, filled with 'd'. */
bool target_honest(struct target *target, const struct pdu *in);

#endif
