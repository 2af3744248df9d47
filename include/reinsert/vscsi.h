/*
 * vscsi.h - emulated SCSI drives over image files
 *
 * A device server with the state machine of a real drive.  It knows nothing of
 * the stack above it: it takes CDBs and gives status, data and sense.  It is
 * the embedded default, the demonstration, and the test instrument.
 *
 * All calls may be made from any thread.  Commands of one drive run in
 * parallel; no lock is held while an image is read or written.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_H
#define VSCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vscsi_type { VSCSI_DISK, VSCSI_FLOPPY, VSCSI_CDROM };

struct vscsi_drive;
struct vscsi_nexus;             /* one initiator's view: its unit attentions */

struct vscsi_config {
    const char *name;           /* becomes the unit serial number */
    enum vscsi_type type;
    bool cache_volatile;        /* a write cache that a yank really loses */
    bool write_protect;         /* every medium is write protected here */
    uint32_t block_bytes;       /* 0: 512, CD 2048; disks also 2048 and 4096 */
    uint32_t load_ms;           /* becoming ready for so long after insertion */
};

/* NULL with errno EINVAL (a block size that such drives do not have) or ENOMEM.
 * The name is copied. */
struct vscsi_drive *vscsi_new(const struct vscsi_config *config);
/* After the last nexus.  Switched off in an orderly way: the cache is written
 * out. */
void vscsi_free(struct vscsi_drive *drive);

/* --- the mechanism: what a hand does ---------------------------------------- */

/*
 * Puts an image in and closes the tray.  0, or -errno with a sentence in
 * out_text that names the image or the drive: -EBUSY a medium is in, or the
 * image is in another drive (images are known by device and inode; they are
 * also locked against other processes with an advisory lock), -ENOENT, -EACCES,
 * -EINVAL for an image that is empty, no file or block device, or not a
 * multiple of the block size.  A file that cannot be opened for writing is a
 * write-protected medium.
 */
int vscsi_insert(struct vscsi_drive *drive, const char *image,
                 char *out_text, size_t text_max);
/* The medium is out when this returns: commands that were running have ended,
 * what only the volatile cache held is lost.  -ENOENT: nothing is in. */
int vscsi_yank(struct vscsi_drive *drive);
/* The button on the front: opens, or with removal prevented raises an eject
 * request (GESN media event 1, UNIT ATTENTION 5A/01).  The cache is written out
 * before it opens: -EIO when it cannot be, and the medium stays in.  An open
 * tray stays open. */
int vscsi_press_eject(struct vscsi_drive *drive);

struct vscsi_state {
    bool tray_open;             /* drives that have a tray or a door */
    bool medium;
    bool ready;
    bool write_protected;
    bool prevented;
    uint64_t blocks;
    uint32_t block_bytes;
    char image[1024];
    uint64_t commands;          /* served since the start */
};

void vscsi_state(struct vscsi_drive *drive, struct vscsi_state *out_state);

/* --- commands ------------------------------------------------------------------ */

enum vscsi_event {
    VSCSI_EVENT_INSERTED,       /* a medium came in (not yet ready perhaps) */
    VSCSI_EVENT_READY,          /* it became ready */
    VSCSI_EVENT_REMOVED,
    VSCSI_EVENT_EJECT_REQUEST,
};

/*
 * Raised on the thread that caused it (of a hand, of a command, or the timer),
 * with no lock of the drive held.  Commands and hands may be used from it, the
 * nexus may not be freed.  Two threads that move the mechanism at once may
 * raise their events in either order: look at the state, not at the history.
 */
typedef void vscsi_event_fn(void *context, enum vscsi_event event);

/* A new nexus starts with UNIT ATTENTION 29/00 pending. */
struct vscsi_nexus *vscsi_nexus_new(struct vscsi_drive *drive,
                                    vscsi_event_fn *event, void *context);
/* Ends its delayed commands (VSCSI_ABORTED), and waits for an event callback
 * that runs.  Not from a callback of its own. */
void vscsi_nexus_free(struct vscsi_nexus *nexus);

enum vscsi_dir { VSCSI_NO_DATA, VSCSI_FROM_DRIVE, VSCSI_TO_DRIVE };

enum vscsi_result {
    VSCSI_DONE,                 /* status (and sense) are set */
    VSCSI_STALE,                /* attention did not match: nothing was done */
    VSCSI_ABORTED,              /* by vscsi_abort or a reset */
    VSCSI_BUS_RESET,            /* fault rule */
    VSCSI_LOST,                 /* never comes back by itself; see abort */
    VSCSI_SELECTION_TIMEOUT,    /* fault rule: the drive is not there */
    /* Of the transport; each from a fault rule, nothing was done. */
    VSCSI_INVALID_LUN,
    VSCSI_NO_DEVICE,
    VSCSI_PHASE_ERROR,
    VSCSI_PARITY_ERROR,
    VSCSI_BUS_FREE,
    VSCSI_TIMED_OUT,
    VSCSI_OVERRUN,              /* ... or all of it, and said to be too much */
};

#define VSCSI_SENSE_MAX 32

/*
 * One command.  The caller owns it until it has completed.
 *
 * The attention number counts the UNIT ATTENTION conditions that were reported
 * to this nexus (the first, 29/00, makes it 1).  With attention_in non-zero the
 * command is carried out only while the number is still the same, decided
 * atomically with the start of the command: else the result is VSCSI_STALE and
 * the drive did nothing.  So a command that was meant for one medium cannot
 * reach the next one, whoever was told of the change.  A UNIT ATTENTION taken
 * by REQUEST SENSE, or made up by a fault rule, counts as reported.
 */
struct vscsi_command {
    uint8_t cdb[16];
    uint8_t cdb_len;
    enum vscsi_dir dir;
    void *data;
    uint32_t data_len;
    uint32_t attention_in;      /* 0: do not compare */
    void (*done)(struct vscsi_command *command);    /* when not at once */
    void *context;
    /* out */
    enum vscsi_result result;
    uint8_t status;             /* SAM status */
    uint8_t sense[VSCSI_SENSE_MAX];
    uint8_t sense_len;
    uint32_t transferred;
    uint32_t attention;         /* the number after this command */
    /* private */
    void *priv[6];
};

/* Returns true when the command completed on this thread (done is not called),
 * false when a fault rule delays or loses it: done is called once, later. */
bool vscsi_execute(struct vscsi_nexus *nexus, struct vscsi_command *command);
/* Ends a delayed or lost command: its done is called before this returns, with
 * VSCSI_ABORTED, unless it completed meanwhile.  If it is completing right now
 * on the timer thread, this waits until its done has returned, so hold no lock
 * that done takes. */
void vscsi_abort(struct vscsi_nexus *nexus, struct vscsi_command *command);
/* Logical unit or bus reset: delayed commands end, PREVENT is dropped, every
 * nexus gets UNIT ATTENTION 29/00. */
void vscsi_reset(struct vscsi_drive *drive);

/* --- faults ------------------------------------------------------------------------ */

/*
 * A rule is one line:  at N[+] MATCH do ACTION
 *   N      the N-th command that matches from now on; "N+" that and all later;
 *          "*" every one.
 *   MATCH  any | data | read | write | flush | tur | 0xHH (opcode),
 *          optionally with "lba FIRST-LAST".
 *   ACTION sense K/ASC/ASCQ (hex; the command is not carried out)
 *          | recovered K/ASC/ASCQ (it is carried out, and the sense reported)
 *          | delay MS | lose | yank | swap IMAGE | reset | short BYTES
 *          | becoming-ready MS
 *          | status HH (hex: a SCSI status without sense data) | busy (08)
 *          | queue-full (28) | reservation-conflict (18)
 *          | selection-timeout | invalid-lun | no-device | phase-error
 *          | parity-error | bus-free | timeout | flushed (VSCSI_STALE)
 *          | overrun (it is carried out)
 * Sense may be followed by any of: descriptor (that format, whatever D_SENSE
 * says), deferred, ili, info N (the information field; not of recovered),
 * bytes N (1 to 31: only so many bytes of it arrive).
 * Actions happen before the command, except short, recovered and overrun.  A command
 * counts in every rule that it matches.  When several fire, all that move the
 * mechanism (yank, swap, becoming-ready) act first, then the first of the
 * others.  A delayed command is checked (attention number, medium, range) when
 * it is carried out.
 * -EINVAL with a sentence in out_text.
 */
int vscsi_fault_add(struct vscsi_drive *drive, const char *rule,
                    char *out_text, size_t text_max);
void vscsi_fault_clear(struct vscsi_drive *drive);

#endif
