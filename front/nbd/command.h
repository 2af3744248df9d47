/*
 * command.h - the table of commands
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_COMMAND_H
#define NBD_COMMAND_H

#include <stdint.h>

#include <reinsert.h>

#define CMD_WRITES        0x01u     /* EPERM on a read-only export */
#define CMD_PAYLOAD       0x02u     /* data of that length follow the request */
#define CMD_RANGE         0x04u     /* offset and length name blocks */
#define CMD_LIMITED       0x08u     /* at most max_bytes */
#define CMD_REPLY_DATA    0x10u     /* the reply carries data */
#define CMD_REPLY_EXTENTS 0x20u

#define NBD_CONTEXT_ALLOCATION 1u   /* the id of base:allocation */

struct nbd_command {
    const char *name;
    enum ri_op op;
    uint16_t flags;                 /* NBD_CMD_FLAG_* it may carry */
    unsigned props;
};

#endif
