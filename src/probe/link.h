/*
 * link.h - one way to send commands to a drive: iSCSI, SG_IO, or an emulation
 *
 * For those who look at a drive without the stack: one thread, commands one
 * after the other or a handful at once, nothing is ever sent again.  No command
 * that writes can be sent: link_send refuses what is not in base/cdbs.def.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_LINK_H
#define PROBE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_SENSE_MAX 252

struct link;

struct cdb {
    uint8_t cdb[16];
    uint8_t cdb_len;
    void *data;                 /* always from the drive */
    uint32_t data_len;
    /* out */
    bool answered;              /* FALSE: no answer, or a lost session */
    int error;                  /* ... or the kernel did not send it: EPERM */
    bool too_much;              /* it had more to send than data_len */
    uint8_t status;             /* SAM's */
    uint8_t sense[LINK_SENSE_MAX];
    uint32_t sense_len;
    uint32_t transferred;       /* bytes */
    uint64_t took_us;
};

struct link_ops {
    /* All are answered, or have failed, when it returns. */
    void (*send)(void *self, struct cdb *cdbs, size_t count);
    void (*close)(void *self);
};

struct link {
    const struct link_ops *ops;
    void *self;
    const char *kind;           /* "iscsi", "sg", "emulated" */
    bool at_once;               /* link_send_all really sends all at once */
    bool guarded;               /* it is write protected for our sake alone */
};

#define LINK_TIMEOUT_MS 10000

/* iscsi://HOST[:PORT]/TARGET/LUN, a device node, or an image, for which a drive
 * is emulated.  0, or -errno and a sentence. */
int link_open(const char *name, struct link *out_link, char *out_text,
              size_t text_max);
void link_close(struct link *link);

/* -EPERM: not a command that only looks.  Else 0, whatever the answer is. */
int link_send(const struct link *link, struct cdb *cdb);
int link_send_all(const struct link *link, struct cdb *cdbs, size_t count);

struct sense {
    bool valid, descriptor;
    uint8_t key, asc, ascq;
};

struct sense link_sense(const struct cdb *cdb);
/* Answered, and GOOD. */
bool link_good(const struct cdb *cdb);

/* The three. */
int link_iscsi_open(const char *url, struct link *out_link, char *out_text,
                    size_t text_max);
int link_sg_open(const char *path, struct link *out_link, char *out_text,
                 size_t text_max);
int link_emulated_open(const char *image, struct link *out_link,
                       char *out_text, size_t text_max);
/* Over a drive that somebody else has; it must outlive the link. */
struct vscsi_drive;
int link_emulated_over(struct vscsi_drive *drive, struct link *out_link);

uint64_t link_now_us(void);

#endif
