/*
 * tapes_internal.h - units and sessions, for the files of this room
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPES_TAPES_INTERNAL_H
#define TAPES_TAPES_INTERNAL_H

#include "tapes/identity.h"
#include "tapes/kept.h"
#include "tapes/port.h"
#include "tapes/tapes.h"

#define LOOK_MS 1000            /* a session that waits looks so often */
#define LOOK_MAX_MS 30000       /* ... reads what it could not read, at least */

/* --- a session's state: session_state.c ----------------------------------- */

/*
 *             open                 unload, empty drive
 *               |          +---------------------------------> EMPTY
 *               v          |                                     |
 *   +-------> READY -------+     READY <--- a tape is in it -----+
 *   |           | a command says that tape or place may be lost
 *   |           v
 *   |         LOST <-------------------------------+
 *   |           | looked at       \ not there       | interrupted
 *   |           v                  \                |
 *   +------ RETURNING -- not the ---+--------> WAITING
 *   |  place   |  ^      one                       |  |
 *   |  verified|  +------- something was put in ----+  |
 *   |          | cannot be finished                    | use, cancel
 *   |          v                                       |
 *   +------ ADRIFT <-----------------------------------+
 *     positioned absolutely: LOST, at the beginning of the tape
 */
enum session_state {
    SESSION_READY,              /* tape and place are known */
    SESSION_EMPTY,              /* no tape, and none is missed */
    SESSION_LOST,               /* something happened: to be looked into */
    SESSION_RETURNING,          /* a tape is looked at, the place searched */
    SESSION_WAITING,            /* a question stands */
    SESSION_ADRIFT,             /* the place is nobody's: position first */
    SESSION_STATES
};

const char *session_state_name(enum session_state state);
bool session_state_may(enum session_state from, enum session_state to);

/* --- units and sessions --------------------------------------------------- */

/* Where a tape was left, as long as nothing happens to it. */
struct tape_place {
    int64_t object;             /* number of the next one; -1: not known */
    int64_t file, block;        /* as struct mtget */
    int ends;                   /* zero reads at the end of data so far */
    bool at_end;                /* of a tape that was left: the data end there */
};

/*
 * `turn` is held while anybody but the session talks to the drive, and by
 * whoever gives it to a session or takes it back.  Then tapes.lock, over memory
 * only: it guards what follows it.
 */
struct tape_unit {
    LIST_ENTRY link;            /* tapes.lock */
    char name[RI_NAME_MAX];
    PDEVICE_OBJECT device;      /* borrowed */
    uint64_t limit;
    char recovery_dir[RI_PATH_MAX];
    bool real, here;
    KEVENT turn;                /* signalled: nobody's */

    /* tapes.lock */
    struct ri_tape *session;    /* who has it, or NULL */
    bool known;                 /* what follows is of the tape that is in it */
    struct tape_identity identity;
    struct tape_place place;
    bool astray;                /* it was moved to be looked at, and something
                                 * came between that and its beginning */
    NTSTATUS state;             /* what it said last */
    uint64_t answered_ms;
    TAPE_GET_MEDIA_PARAMETERS media;
    bool dirty;                 /* it has asked to be cleaned */
};

/* Which tape a session is content with. */
enum wanted {
    WANTED_SAME,                /* identity's */
    WANTED_NAMED,               /* how.tape's */
    WANTED_ANY,                 /* another that can be written */
};

/*
 * The thread of the call that is under way has all of it, but for `state`,
 * `unit`, `identity`, `seen` (written under tapes.lock) and the atomic flags.
 */
struct ri_tape {
    LIST_ENTRY link;            /* tapes.lock */
    struct tape_unit *unit;
    struct tape_port port;
    struct ri_tape_how how;
    enum session_state state;
    NTSTATUS reason;            /* ... WAITING: for what */

    enum wanted wanted;
    bool blank_only;            /* ... ANY: it holds no data */
    struct tape_identity identity;
    struct tape_identity before;        /* as long as its first block is not
                                         * the new one for certain */
    bool first_changes;
    struct tape_identity refused;       /* ANY: not this one */

    struct tape_place place;
    uint32_t block_bytes;       /* 0: of any length */
    int compression;            /* as it was asked for; -1: never */
    bool writing;               /* the last that moved the tape was a write */
    bool mark_owed;             /* blocks were written, and no mark behind */
    bool mark_hit;              /* the last read ended at one it passed */
    uint64_t safe;              /* object: all before it is on the tape */
    struct tape_place safe_place;       /* ... as files and blocks, too */
    uint64_t run;               /* ... where this run of writes began */
    bool no_locate;             /* the drive cannot, or does not count */
    bool buffers;               /* when it was asked last it had not yet put all
                                 * on the tape */
    struct kept kept;
    struct trail trail;         /* before `safe`; reading: before the place */
    unsigned in_flight;         /* items of kept that nobody acknowledged */
    struct tape_object stray;   /* one that was taken back, and may be on the
                                 * tape all the same; number NO_OBJECT: none */
    bool written_again;         /* blocks had to be */
    uint8_t *scratch;           /* to read into */
    size_t scratch_bytes;

    bool after_mark, at_end, full;      /* for MTIOCGET */
    char unsafe[RI_TEXT_MAX];   /* what this call has to say of that, or "" */
    void (*waits)(void *context);       /* told before a wait; or NULL */
    void *waits_context;

    /* the question */
    VPB vpb;
    KEVENT wake;                /* look now */
    KEVENT ended;               /* it is answered, one way or another */
    KEVENT answered;            /* a person's wish was seen to */
    PIRP question;
    bool raised;
    bool looked_at;             /* what is in it was looked at, and refused */
    bool fresh;                 /* ... by the last look */
    uint64_t pause_ms;          /* it could not be read: how long it is left */
    uint64_t read_again_ms;     /* ... alone, and until when */

    /* atomic */
    LONG references;            /* the client, who is told of the VPB */
    LONG cancelled, interrupted, running, asking, try_now, use;

    struct {                    /* tapes.lock */
        uint64_t unflushed_bytes;
        uint32_t unflushed_blocks;
        struct tape_place place;
    } seen;
};

/*
 * The broker tells its host of a question that has ended without a lock, when
 * the session whose VPB it names may have gone: the memory of the last ones is
 * kept for a while.
 */
#define TAPES_PAST 16

struct tapes {
    KSPIN_LOCK lock;
    LIST_ENTRY units, sessions;
    LIST_ENTRY past;            /* sessions that ended last, see below */
    unsigned past_count;
    struct tapes_host host;
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT device;      /* that questions are asked by */
    LONG stopping;              /* atomic */
};

extern struct tapes tapes;

void tapes_event(const struct tape_unit *unit,
                 const struct tape_identity *identity, const char *action,
                 const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Has it to be found out anew whether tape and place are as they were? */
bool tape_status_is_loss(NTSTATUS status);
/* ... and there is no use in looking at once again. */
bool tape_status_is_absence(NTSTATUS status);
/* The drive does not have what it was asked for. */
bool tape_status_is_refusal(NTSTATUS status);
int tape_status_errno(NTSTATUS status);
/* For people, behind "drive D: ". */
const char *tape_status_words(NTSTATUS status);

/* --- unit.c --------------------------------------------------------------- */

void unit_begin(struct tape_unit *unit);
bool unit_try_begin(struct tape_unit *unit);
void unit_end(struct tape_unit *unit);
/* Somebody has a session with it, whatever that does. */
bool unit_is_taken(struct tape_unit *unit);
/* Behind turn, or with the session: what the drive said. */
void unit_said(struct tape_unit *unit, NTSTATUS status);
void unit_knows(struct tape_unit *unit, const struct tape_identity *identity,
                const struct tape_place *place);
void unit_forgets(struct tape_unit *unit);
void unit_learns_media(struct tape_unit *unit, const struct tape_port *port);
/*
 * Rewinds, reads what the tape is known by, and leaves it at its beginning with
 * blocks of any length.  Only reads.
 */
NTSTATUS unit_identify(struct tape_unit *unit, const struct tape_port *port,
                       struct tape_identity *out_identity);
/* Behind turn (without a session), or by the session with its port: is it known
 * what is in the drive?  Looks if it is not and the tape lies at its
 * beginning. */
NTSTATUS unit_look(struct tape_unit *unit, struct tape_port *session);

/* --- session_state.c, session.c, open.c ----------------------------------- */

void session_set_state(struct ri_tape *tape, enum session_state to);
/* What others may see. */
void session_show(struct ri_tape *tape);
/* Every call begins and ends so; 0 or -errno. */
int session_begin(struct ri_tape *tape, struct ri_tape_result *result);
int session_end(struct ri_tape *tape, struct ri_tape_result *result,
                NTSTATUS status);
/* -ESHUTDOWN's status, -ECANCELED's, or success. */
NTSTATUS session_stopped(struct ri_tape *tape);
/* All that was written is on the tape after it. */
NTSTATUS session_sync(struct ri_tape *tape);
/* Filemarks, kept like blocks until they are there. */
NTSTATUS session_marks(struct ri_tape *tape, uint32_t count, bool immediate);
/* `count` blocks and marks that were acknowledged are not on the tape, as far as
 * anybody knows; file: where they are kept, or "". */
void session_unsafe(struct ri_tape *tape, size_t count, const char *file,
                    NTSTATUS why);
/* A filemark behind what was written, if there is none. */
NTSTATUS session_finish(struct ri_tape *tape);
/* At an absolute place, with nothing kept. */
void session_placed(struct ri_tape *tape, int64_t object, int64_t file,
                    int64_t block);
/* Takes the tape that is in its drive now, at its beginning or where it is. */
NTSTATUS session_take_tape(struct ri_tape *tape);
/* The drive's block size and so on, as this session wants them. */
NTSTATUS session_restore_mode(struct ri_tape *tape);
/* READY, or why not: looks for a lost tape, for one in an empty drive. */
NTSTATUS session_ready(struct ri_tape *tape);
struct ri_tape *session_ref(PVPB vpb);
void session_unref(struct ri_tape *tape);

/* --- walk.c --------------------------------------------------------------- */

/* tape->scratch has room for so much. */
bool place_scratch(struct ri_tape *tape, size_t bytes);
/* The next object; no success: there is none, or the drive has something else to
 * say.  room: for a block of any length. */
NTSTATUS place_read(struct ri_tape *tape, uint32_t room,
                    struct tape_object *out);
/* The place that everything is counted from: of a writer the last safe one. */
const struct tape_place *place_anchor(const struct ri_tape *tape);
NTSTATUS place_go_to(struct ri_tape *tape, uint64_t object);
/* To a number that the drive would count, without LOCATE: from the beginning,
 * over blocks and marks.  Success, STATUS_NO_DATA_DETECTED, what the drive says;
 * then nobody knows where it is. */
NTSTATUS place_walk(struct ri_tape *tape, uint64_t object);

/* --- op_move.c: operations, as the table of op.c has them ------------------ */

typedef NTSTATUS tape_op_fn(struct ri_tape *tape, int64_t count,
                            struct ri_tape_result *result);
tape_op_fn op_fsf, op_bsf, op_fsfm, op_bsfm, op_fsr, op_bsr, op_rewind, op_end,
    op_seek;
/* result->left: how many of `count` files from `from` on the place is short of. */
void op_count_files(struct ri_tape *tape, int64_t from, int64_t count, int sign,
                    struct ri_tape_result *result);

/* --- place.c -------------------------------------------------------------- */

/* Before the first write of a run: what lies before the place is learnt. */
NTSTATUS place_learn(struct ri_tape *tape);
/* The tape in the session's drive: is it the one, and its place the place?  What
 * it lacks is written.  Success: READY. */
NTSTATUS place_return(struct ri_tape *tape);
/*
 * A command failed with `why`: looks into it, waits, returns.  Success: all is
 * as it was before that command, and what is kept is on the tape; it may be
 * sent (of a write: it is done).
 */
NTSTATUS place_recover(struct ri_tape *tape, NTSTATUS why);
/* What is kept is given up: into a file if there is a folder. */
void place_give_up(struct ri_tape *tape, NTSTATUS why);

/* --- wait.c --------------------------------------------------------------- */

/* Asks for the tape; success: it is back (place_return has succeeded). */
NTSTATUS session_wait(struct ri_tape *tape, NTSTATUS reason);
void session_wake_all(void);
DRIVER_INITIALIZE tapes_driver_entry;

/* --- asked.c -------------------------------------------------------------- */

/* As people see it: of a target it is the network's matter. */
NTSTATUS session_reason(const struct ri_tape *tape, NTSTATUS reason);

/* --- keep.c --------------------------------------------------------------- */

/* Writes what is kept, but for the last `without` items, as an image in the
 * SIMH format.  0 or -errno. */
int keep_write(const struct kept *kept, size_t without, const char *dir,
               const char *name, char *out_file, uint64_t *out_bytes);

#endif
