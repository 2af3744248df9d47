/*
 * hba.h - the seam between the SRB engine and a host adapter
 *
 * A host adapter carries out commands for one logical unit.  To add one: fill
 * a struct hba_ops, make a unit with port_unit_new, declare the routine that
 * does so in port.h.  Routines that run for every command are NTAPI: calling a
 * routine of the native convention from one of the Microsoft convention saves
 * ten vector registers, so the crossing is made once, at the very bottom.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_HBA_H
#define PORT_HBA_H

#include <stdbool.h>
#include <stdint.h>

#include <srb.h>
#include <wdm.h>

#define HBA_PRIVATE_BYTES 256

/*
 * One command on its way.  The adapter reads Cdb, CdbLength, the direction
 * flags, DataBuffer, DataTransferLength and QueueSortKey of the SRB, and
 * answers with hba_answer.
 */
struct hba_request {
    PSCSI_REQUEST_BLOCK srb;
    /* The adapter's own, uninitialised. */
    _Alignas(16) unsigned char private[HBA_PRIVATE_BYTES];
};

struct hba_answer {
    uint8_t srb_status;         /* SRB_STATUS_SUCCESS, _ERROR, ... */
    uint8_t scsi_status;
    uint8_t sense_len;
    const uint8_t *sense;
    uint32_t transferred;       /* bytes */
    uint32_t attention;         /* the number after the command, or 0 */
};

struct hba_info {
    uint64_t commands;
    bool prevented;
    bool away;                  /* there is no way to it now */
    bool refused;               /* ... for it lets us not in */
    bool silent;                /* there is, and nothing comes back */
    bool gone;                  /* ... for its target has no such unit any more */
    bool may_be_away;           /* ... and that is no failure when it is made */
    bool shared;                /* others may be told of changes in our place */
    uint32_t max_transfer_bytes;    /* of this unit; 0: as hba_ops says */
};

struct hba_ops {
    const char *name;
    uint32_t max_transfer_bytes;
    uint32_t alignment_mask;
    uint8_t bus_type;           /* STORAGE_BUS_TYPE */
    bool events;                /* calls hba_event */
    /*
     * <= DISPATCH.  True: carried out, hba_set_answer was called.  False: will
     * be answered with hba_done, once, perhaps before this returns.
     */
    bool (NTAPI *submit)(void *hba, struct hba_request *request);
    /*
     * <= DISPATCH, no lock held.  Ends a command soon: hba_done with
     * SRB_STATUS_ABORTED, unless it was answered meanwhile.  The record is
     * valid even if it was.
     */
    void (*abort)(void *hba, struct hba_request *request);
    /* <= DISPATCH, no lock held.  What the unit was doing ends with
     * SRB_STATUS_BUS_RESET, or ABORTED, which then means the same. */
    void (*reset)(void *hba);
    /* <= DISPATCH, no lock held; or NULL.  After abort of all that is on its
     * way: it is the end, nobody waits for what cannot be aborted. */
    void (*give_up)(void *hba);
    void (*info)(void *hba, struct hba_info *out_info);
    /* PASSIVE; or NULL.  While it is away, or silent: why. */
    void (*why)(void *hba, char *out_text, size_t text_max);
    /* PASSIVE.  No command is under way; no event is raised after it. */
    void (*close)(void *hba);
};

/*
 * Of SrbFlags, among those that are reserved for ports: the class driver's word
 * that this drive announces each change of its medium.  Without it (drivers
 * that know nothing of this) it is taken to announce none.
 */
#define HBA_SRB_ANNOUNCES 0x01000000

/*
 * gap.c: for adapters of real drives.  What is not in force while a medium
 * cannot leave: do not ask.
 */
#define HBA_GAP_MS 500

struct hba_gap {
    uint64_t heard_ms;          /* the last read or write that went well */
    bool watched;               /* disks and CDs whose medium is removable */
    bool doubt;                 /* it was silent for too long since */
    bool always;                /* atomic: whatever the class driver believes */
};

void hba_gap_init(struct hba_gap *gap);
/* A command went well, with `len` bytes. */
void hba_gap_good(struct hba_gap *gap, const SCSI_REQUEST_BLOCK *srb,
                  uint32_t len);
/* Before a command is sent; idle: none is on its way.  True: there may be
 * another medium by now, which has to count as a change before it is sent. */
bool hba_gap_passed(struct hba_gap *gap, const SCSI_REQUEST_BLOCK *srb,
                    bool idle);

/* Sense data of either format; 0 for what is not in them.  Those that cannot be
 * read as far as their key may have been a unit attention. */
struct hba_sense {
    bool readable;
    uint8_t key, asc, ascq;
};
struct hba_sense hba_read_sense(const uint8_t *sense, size_t len);

/*
 * allow.c: for adapters of real drives, first thing in submit.  False: it is not
 * a command that is sent to such a device (base/cdbs.def), and was answered with
 * SRB_STATUS_INVALID_REQUEST.
 */
bool NTAPI hba_may_send(struct hba_request *request);

/* Stores the answer in the SRB.  From submit, or right before hba_done. */
void hba_set_answer(struct hba_request *request,
                          const struct hba_answer *answer);
/* Completes the request.  Any thread, <= DISPATCH, no lock held. */
void hba_done(struct hba_request *request);
/* Any thread, <= DISPATCH, no lock held.  events: PORT_EVENT_... */
void hba_event(void *unit, uint32_t events);

/*
 * PASSIVE.  A unit over an adapter; `open` makes the adapter's record and may
 * raise events from then on.  On failure nothing is left.
 */
NTSTATUS port_unit_new(PDRIVER_OBJECT driver, const struct hba_ops *ops,
                       NTSTATUS (*open)(void *context, void *unit,
                                        void **out_hba),
                       void *context, const char *name,
                       PDEVICE_OBJECT *out_pdo);

#endif
