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

/* VSCSI_CHANGER: the robot of a library; made by vscsi_library_new only. */
enum vscsi_type {
    VSCSI_DISK,
    VSCSI_FLOPPY,
    VSCSI_CDROM,
    VSCSI_CHANGER,
    VSCSI_TAPE,                 /* media are SIMH .tap images */
};

struct vscsi_drive;
struct vscsi_nexus;             /* one initiator's view: its unit attentions */

/*
 * Of a tape drive.  Personalities, which INQUIRY tells apart by the product:
 *   standard         REINSERT / TAPE DRIVE
 *   reinsert-vendor  REINSERT / VENDOR TAPE: the same drive, with sense codes
 *                    of its own for some conditions (standard -> vendor):
 *                    2/04/01 becoming ready        -> 2/80/01
 *                    8/00/05 end of data           -> 8/80/05
 *                    3/30/03 cleaning cartridge    -> 2/80/30
 *                    7/27/00 write protected       -> 7/80/27
 *                    0/00/17 cleaning requested    -> 1/80/17
 *                    5/53/02 removal prevented     -> 5/80/53
 *                    (sense of fault rules stays as the rule says)
 */
struct vscsi_tape_config {
    const char *personality;    /* NULL: "standard" */
    uint64_t capacity_bytes;    /* of a cartridge's image; 0: 1 TB */
    uint64_t early_warning_bytes;   /* before its end; 0: a fiftieth */
    bool no_compression;        /* mode page 0F says that there is none */
    uint64_t clean_after_bytes; /* moved, until cleaning is asked for; 0: no */
    unsigned cleaning_uses;     /* of a new cleaning cartridge; 0: 50 */
    uint32_t clean_ms;          /* then it is ejected; 0: stays until taken */
    uint32_t rewind_ms;         /* from the end; less from elsewhere */
    uint32_t unload_ms;
};

struct vscsi_config {
    const char *name;           /* becomes the unit serial number */
    enum vscsi_type type;
    bool cache_volatile;        /* a write cache that a yank really loses */
    bool write_protect;         /* every medium is write protected here */
    uint32_t block_bytes;       /* 0: 512, CD 2048; disks also 2048 and 4096;
                                 * tape: at the start, 0 is variable */
    uint32_t load_ms;           /* becoming ready for so long after insertion */
    struct vscsi_tape_config tape;
};

/* NULL with errno EINVAL (a block size or a personality that such drives do not
 * have) or ENOMEM.  The name is copied. */
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
 *
 * Tapes: a file in the SIMH magtape format; an empty one is a blank tape.  Its
 * bar code is made of the file name as in a library; one that begins with CLN
 * is a cleaning cartridge.  What the memory of the cartridge holds (serial
 * number, load count, attributes) is kept beside it in .NAME.mam.  -EINVAL:
 * what the file begins with is no object of such an image.
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
    /* Of a tape, as the last command left it; block_bytes is 0 when blocks are
     * variable.  `blocks` is the bytes in the image. */
    uint64_t object;            /* logical object number: blocks and filemarks */
    uint64_t file;              /* filemarks before the position */
    uint64_t unwritten;         /* objects in the drive's buffer only */
    bool at_bot;
    bool at_eod;                /* nothing is behind the position */
    bool early_warning;         /* the position is past it */
    bool cleaning_requested;
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
 *          optionally with "lba FIRST-LAST" (of a tape: the logical object
 *          number of the position); of a tape filemark | space | locate |
 *          rewind | load (LOAD UNLOAD); of a library move | exchange | status
 *          (READ ELEMENT STATUS) | position | inventory.
 *   ACTION sense K/ASC/ASCQ (hex; the command is not carried out)
 *          | recovered K/ASC/ASCQ (it is carried out, and the sense reported)
 *          | delay MS | lose | yank | swap IMAGE | reset | short BYTES
 *          | becoming-ready MS
 *          | status HH (hex: a SCSI status without sense data) | busy (08)
 *          | queue-full (28) | reservation-conflict (18)
 *          | selection-timeout | invalid-lun | no-device | phase-error
 *          | parity-error | bus-free | timeout | flushed (VSCSI_STALE)
 *          | overrun (it is carried out)
 *          Of a motion: stuck (the medium stays in the transport) |
 *          wrong-medium (from another slot) | no-answer (it is done, the
 *          command never ends by itself) | half (an exchange's first medium
 *          only) | unreadable (the label, from now on; of an inventory the
 *          first full slot's) | not-loaded (it lies in the drive, which stays
 *          empty) | door (opens on the way).
 *          Of element data: lie-cut BYTES | lie-count N (too many) |
 *          lie-length N (of a descriptor) | lie-overlap | lie-avoltag |
 *          lie-twice | lie-noise SEED.
 * Sense may be followed by any of: descriptor (that format, whatever D_SENSE
 * says), deferred, ili, filemark, eom, info N (the information field; not of
 * recovered), bytes N (1 to 31: only so many bytes of it arrive).
 * Actions happen before the command, except short, recovered and overrun.  A command
 * counts in every rule that it matches.  When several fire, all that move the
 * mechanism (yank, swap, becoming-ready) act first, then the first of the
 * others.  A delayed command is checked (attention number, medium, range) when
 * it is carried out.
 * -EINVAL with a sentence in out_text: it is no rule, or one that could never
 * match in this drive (it names a command, or an LBA of one, that such drives do
 * not have; a number may be any opcode), or never act (of a robot, in a drive).
 */
int vscsi_fault_add(struct vscsi_drive *drive, const char *rule,
                    char *out_text, size_t text_max);
void vscsi_fault_clear(struct vscsi_drive *drive);
/* Would a drive of that kind take it?  As above. */
int vscsi_fault_check(enum vscsi_type type, const char *rule, char *out_text,
                      size_t text_max);

/* --- the media library: a robot between slots and drives ------------------- */

/*
 * A media changer (SMC) whose data transfer elements are emulated drives of
 * this process.  The robot is a drive like the others: nexuses, commands,
 * resets and fault rules work as above (vscsi_insert and vscsi_yank do not:
 * use the hands below).  A motion really moves media: the image is taken out
 * of one drive and put into another, so those report what drives report then.
 *
 * A motion that takes time completes later through `done`, as a delayed
 * command does.  vscsi_abort, vscsi_reset and vscsi_nexus_free end the command
 * (VSCSI_ABORTED); one that has not begun is never carried out, one that has
 * goes on to its end, as a robot does not drop what it holds.
 *
 * Every cartridge is in exactly one element at any time, or outside.
 */
struct vscsi_library;

struct vscsi_library_times {    /* all in ms; 0: at once */
    uint32_t move;              /* of one motion, besides the way */
    uint32_t travel;            /* per element between two positions */
    uint32_t load, unload;      /* at a drive */
    uint32_t scan;              /* inventory, per slot */
    uint32_t door;              /* mail slots need so long to open or close */
    uint32_t clean;             /* a cleaning; 0: until the cartridge leaves */
};

struct vscsi_library_config {
    const char *name;           /* becomes the unit serial number */
    const char *personality;    /* NULL: "standard"; see the list */
    unsigned slots;
    unsigned mail_slots;
    unsigned transports;        /* 0: as the personality has */
    struct vscsi_drive *const *drives;  /* empty ones; outlive the library */
    unsigned drive_count;
    const char *media_dir;      /* each file in it is a cartridge; or NULL */
    const char *state_file;     /* what is where, over restarts; or NULL */
    struct vscsi_library_times times;
    bool no_reader;             /* no bar code reader is fitted */
    unsigned cleaning_uses;     /* of a new cleaning cartridge; 0: 50 */
};

/*
 * A cartridge is a regular file of media_dir, hidden ones apart; its bar code
 * is the file name up to the first dot, letters in upper case, at most 32
 * characters.  A bar code that begins with CLN is a cleaning cartridge (its
 * file may be empty).  What the state file does not place goes to the empty
 * slots in the order of the names.
 *
 * NULL with a sentence in out_text: an unknown personality, more files than
 * slots (the file is named), a directory or state file that cannot be read, a
 * drive that holds a medium already.  What is done and may surprise (a file
 * that appeared or vanished since, a motion that a crash interrupted) is in
 * vscsi_library_report.
 */
struct vscsi_library *vscsi_library_new(
    const struct vscsi_library_config *config, char *out_text,
    size_t text_max);
/* After the last nexus of the robot.  Its cartridges leave the drives; where
 * they were is in the state file, and they are put back at the next start. */
void vscsi_library_free(struct vscsi_library *library);
struct vscsi_drive *vscsi_library_robot(struct vscsi_library *library);
/* Sentences, one a line, about what was found at the start; may be "". */
const char *vscsi_library_report(const struct vscsi_library *library);
/* The n-th personality and what it stands for; NULL after the last. */
const char *vscsi_library_personality(unsigned n, const char **out_about);

/* Values as in SMC element type codes. */
enum vscsi_element_kind {
    VSCSI_ELEMENT_TRANSPORT = 1,
    VSCSI_ELEMENT_SLOT,
    VSCSI_ELEMENT_MAIL,
    VSCSI_ELEMENT_DRIVE,
};

struct vscsi_element {
    enum vscsi_element_kind kind;
    unsigned index;             /* among its kind, from 0 */
    uint16_t address;           /* on the wire */
    bool full;
    bool absent;                /* magazine or drive taken out */
    bool imported;              /* a hand put it here (mail slots) */
    bool unreadable;            /* the reader cannot read its label */
    bool cleaning;              /* a cleaning cartridge */
    bool loaded;                /* drives: the cartridge's image is in it */
    int source;                 /* address it last came from; -1: unknown */
    unsigned uses_left;         /* of a cleaning cartridge */
    char bar_code[33];          /* of the label, whether it can be read or not */
    char file[256];             /* in the media directory */
};

struct vscsi_library_snapshot {
    bool door_open, mail_open;
    bool prevented;             /* somebody keeps door and mail slots shut */
    bool scanning;              /* an inventory is running */
    unsigned motions;           /* running and waiting ones */
    uint64_t moves;             /* media moved since the start */
    unsigned count;
    struct vscsi_element elements[];    /* by kind, then by index */
};

/* What is where right now; free() it.  NULL: no memory. */
struct vscsi_library_snapshot *vscsi_library_snapshot(
    struct vscsi_library *library);

/*
 * Hands.  0, or -errno with a sentence in out_text: -EPERM the door or the
 * mail slot is shut, or is kept shut by PREVENT; -EBUSY the element is full,
 * or the robot is at it; -ENOENT it is empty, or there is no such file;
 * -ERANGE there is no such element.  `file` is a name in the media directory;
 * a cartridge that is in the library already is not put in twice (-EEXIST).
 * Slots are reached through the open door, mail slots while they are open.
 */
int vscsi_library_put(struct vscsi_library *library,
                      enum vscsi_element_kind kind, unsigned index,
                      const char *file, char *out_text, size_t text_max);
/* out_file may be NULL, else has room for 256 bytes. */
int vscsi_library_take(struct vscsi_library *library,
                       enum vscsi_element_kind kind, unsigned index,
                       char *out_file, char *out_text, size_t text_max);
/* Opening stops the robot where it is.  Closing: 6/28/00 and an inventory. */
int vscsi_library_door(struct vscsi_library *library, bool open,
                       char *out_text, size_t text_max);
/* All mail slots are one drawer.  Closing: 6/28/01, or 6/28/03 when what is
 * in it has changed. */
int vscsi_library_mail(struct vscsi_library *library, bool open,
                       char *out_text, size_t text_max);
/* Takes `count` slots (a magazine) or drives out, or puts them back: 6/3B/12
 * and 13, 6/3B/1A and 1B.  What is in the slots goes with them. */
int vscsi_library_fit(struct vscsi_library *library,
                      enum vscsi_element_kind kind, unsigned first,
                      unsigned count, bool present, char *out_text,
                      size_t text_max);

#endif
