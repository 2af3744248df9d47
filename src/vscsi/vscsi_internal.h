/*
 * vscsi_internal.h - what the files of the emulated drive share
 *
 * Everything about a drive that a command relies on (state, medium, mode
 * parameters, queued unit attentions) changes only while its gate is closed:
 * no command is running then.  So a command that has passed the gate may read
 * it all without a lock, and sees one medium from beginning to end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_INTERNAL_H
#define VSCSI_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <vscsi.h>

/* --- bytes ---------------------------------------------------------------- */

static inline uint32_t
get16(const uint8_t *p)
{
    return (uint32_t) p[0] << 8 | p[1];
}

static inline uint32_t
get24(const uint8_t *p)
{
    return (uint32_t) p[0] << 16 | get16(p + 1);
}

static inline uint32_t
get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static inline uint64_t
get64(const uint8_t *p)
{
    return (uint64_t) get32(p) << 32 | get32(p + 4);
}

static inline void
put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}

static inline void
put24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t) (value >> 16);
    put16(p + 1, value);
}

static inline void
put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

static inline void
put64(uint8_t *p, uint64_t value)
{
    put32(p, (uint32_t) (value >> 32));
    put32(p + 4, (uint32_t) value);
}

/* --- sense ---------------------------------------------------------------- */

/* Key, ASC and ASCQ in one number; 0 means that all is well. */
#define SENSE(key, asc, ascq) \
    ((uint32_t) (key) << 16 | (uint32_t) (asc) << 8 | (uint32_t) (ascq))
#define SENSE_DEFERRED   0x01000000u    /* of an earlier command */
#define SENSE_ILI        0x02000000u    /* another block length */
#define SENSE_DESCRIPTOR 0x04000000u    /* in this format whatever D_SENSE is */
#define SENSE_FILEMARK   0x00100000u
#define SENSE_EOM        0x00200000u
#define SENSE_STREAM     0x00400000u    /* of a tape: descriptor 04h */
#define SENSE_BYTES(n)   ((uint32_t) (n) << 27) /* cut to so many; 0: all */

enum {
    SENSE_BECOMING_READY = 0x020401,
    SENSE_START_NEEDED = 0x020402,
    SENSE_NO_MEDIUM = 0x023A00,
    SENSE_NO_MEDIUM_CLOSED = 0x023A01,
    SENSE_NO_MEDIUM_OPEN = 0x023A02,
    SENSE_WRITE_ERROR = 0x030C00,
    SENSE_READ_ERROR = 0x031100,
    SENSE_LIST_LENGTH = 0x051A00,
    SENSE_OPCODE = 0x052000,
    SENSE_LBA = 0x052100,
    SENSE_CDB_FIELD = 0x052400,
    SENSE_LIST_FIELD = 0x052600,
    SENSE_NO_SAVING = 0x053900,
    SENSE_PREVENTED = 0x055302,
    SENSE_TRACK_MODE = 0x056400,
    SENSE_WRITE_PROTECTED = 0x072700,
    SENSE_NO_SPACE = 0x072707,
    SENSE_MISCOMPARE = 0x0E1D00,
};

enum {
    STATUS_GOOD = 0x00,
    STATUS_CHECK = 0x02,
    STATUS_BUSY = 0x08,
    STATUS_CONFLICT = 0x18,
};

/* --- medium.c: an image, open and locked ---------------------------------- */

struct mam;
struct simh;

struct medium {
    int fd;
    struct simh *simh;          /* of a tape, or NULL */
    struct mam *mam;
    bool write_protected;
    bool thin;                  /* holes can be punched */
    uint32_t block_bytes;
    uint64_t blocks;
    uint64_t size_bytes;
    _Atomic bool dirty;         /* written to since the last sync */
    pthread_mutex_t sync_lock;  /* one fdatasync at a time; others join it */
    dev_t dev;                  /* what the image is known by */
    ino_t ino;
    struct medium *next;        /* of the images in use in this process */
    const char *drive;          /* borrowed from the drive that holds it */
    char path[];
};

struct medium_want {
    const char *image;
    const char *drive;          /* must outlive the medium */
    uint32_t block_bytes;
    bool read_only;
    bool tape;
    unsigned cleaning_uses;     /* of a new cleaning cartridge */
};

int medium_open(const struct medium_want *want, struct medium **out_medium,
                char *out_text, size_t text_max);
void medium_close(struct medium *medium);
/* 0 or sense; out_done is the bytes before the failure. */
uint32_t medium_read(struct medium *medium, uint64_t offset, void *data,
                     size_t len, size_t *out_done);
uint32_t medium_write(struct medium *medium, uint64_t offset, const void *data,
                      size_t len, bool fua, size_t *out_done);
uint32_t medium_zero(struct medium *medium, uint64_t offset, uint64_t len,
                     bool unmap);
uint32_t medium_sync(struct medium *medium);
/* The run of equal allocation that begins at `offset`. */
void medium_extent(struct medium *medium, uint64_t offset, uint64_t *out_end,
                   bool *out_hole);

/* --- cache.c: the volatile write cache ------------------------------------ */

struct cache;

struct cache *cache_new(void);
void cache_free(struct cache *cache);
bool cache_holds_data(struct cache *cache);
uint32_t cache_read(struct cache *cache, struct medium *medium,
                    uint64_t offset, void *data, size_t len, size_t *out_done);
/* Fails only when older data cannot be written to the medium to make room. */
uint32_t cache_write(struct cache *cache, struct medium *medium,
                     uint64_t offset, const void *data, size_t len);
/* Writes out what the cache holds of a range (len UINT64_MAX: all of it). */
uint32_t cache_flush(struct cache *cache, struct medium *medium,
                     uint64_t offset, uint64_t len);
void cache_drop(struct cache *cache);

/* --- timer.c: one thread for the whole process ---------------------------- */

#define TIMER_NEVER UINT64_MAX

struct timer {
    struct timer *next, *prev;  /* next == NULL: not queued */
    uint64_t due_ns;
    void (*fire)(struct timer *timer);  /* without the timers' lock */
    void *owner;                /* set before timer_add */
};

uint64_t timer_now_ns(void);
/* A drive is made, is freed: the thread ends with the last. */
void timer_hold(void);
void timer_release(void);
/* -EAGAIN when the thread cannot be started. */
int timer_add(struct timer *timer, uint64_t due_ns,
              void (*fire)(struct timer *timer));
/* Takes it out without waiting for one that fires right now. */
void timer_forget(struct timer *timer);
/* Takes out the first queued one that `match` accepts, or NULL. */
struct timer *timer_take(bool (*match)(struct timer *timer, const void *key),
                         const void *key);
/* Waits while the timer `key`, or one that `key` owns, fires; returns at once
 * on the timer thread itself. */
void timer_quiesce(const void *key);

/* --- drive_state.c: the medium in the drive ------------------------------- */

enum drive_state {
    DRIVE_OPEN,                 /* tray out; only drives with a tray */
    DRIVE_EMPTY,                /* closed, nothing in it */
    DRIVE_LOADING,              /* a medium is in, becoming ready */
    DRIVE_READY,
    DRIVE_STOPPED,              /* by START STOP UNIT; needs a start */
};

/* The unit attentions a drive can raise, by precedence. */
enum {
    UA_RESET = 1u << 0,         /* 29/00 */
    UA_MEDIUM = 1u << 1,        /* 28/00 */
    UA_MODE = 1u << 2,          /* 2A/01 */
    UA_EJECT = 1u << 3,         /* 5A/01 */
    /* of a library: */
    UA_MAIL = 1u << 4,          /* 28/01 */
    UA_MAIL_CHANGED = 1u << 5,  /* 28/03 */
    UA_MAGAZINE_OUT = 1u << 6,  /* 3B/12 */
    UA_MAGAZINE_IN = 1u << 7,   /* 3B/13 */
    UA_DRIVE_OUT = 1u << 8,     /* 3B/1A */
    UA_DRIVE_IN = 1u << 9,      /* 3B/1B */
    UA_PREEMPTED = 1u << 10,    /* 2A/03 */
    UA_RELEASED = 1u << 11,     /* 2A/04 */
    UA_UNREGISTERED = 1u << 12, /* 2A/05 */
};

/* Events for GET EVENT STATUS NOTIFICATION, in the order they are told. */
enum {
    GESN_REMOVAL = 1u << 0,
    GESN_NEW_MEDIA = 1u << 1,
    GESN_EJECT_REQUEST = 1u << 2,
    GESN_OPERATIONAL = 1u << 3,
};

#define GATE_CLOSED (UINT64_C(1) << 63)

struct fault_rule;
struct fault_effect;
struct motion;
struct opcode;
struct reservations;
struct smc_nexus;
struct tape;

/*
 * Lock order: gate, lock, fault_lock.  The timers', the cache's and the image
 * registry's locks are leaves.
 */
struct vscsi_drive {
    /* commands past the gate, and GATE_CLOSED; a cache line of its own */
    _Alignas(64) _Atomic uint64_t gate;

    /* what commands read; written with the gate closed, under `lock` */
    _Alignas(64) struct medium *medium;
    enum drive_state state;
    uint32_t not_ready;         /* sense of `state`, 0 when ready */
    enum vscsi_type type;
    unsigned block_shift;
    bool write_protect;         /* configured */
    bool software_wp;           /* mode page 0A, SWP */
    bool write_cache;           /* mode page 08, WCE */
    _Atomic bool d_sense;       /* mode page 0A, D_SENSE */
    struct cache *cache;        /* or NULL */
    _Atomic(struct fault_rule *) rules;
    const struct opcode *opcodes;   /* 256 of them */
    struct vscsi_library *library;  /* whose robot it is, or NULL */
    struct tape *tape;          /* of a tape drive, or NULL */
    struct reservations *reservations;  /* reserve.c, or NULL */

    pthread_mutex_t lock;       /* nexus list, events, state for onlookers */
    pthread_cond_t moved;       /* gate opened or drained, callback returned */
    struct vscsi_nexus *nexuses;
    _Atomic unsigned prevents;  /* nexuses that prevent removal */
    uint64_t commands_gone;     /* of nexuses that were freed */
    char *tray_image;           /* what lies on the open tray, or NULL */
    struct timer load;
    uint64_t ready_at_ns;
    bool cleaning;              /* `load` runs for a cleaning cartridge */
    uint32_t load_ms;
    uint16_t profile;           /* of the last medium, MMC; 0 before any */
    _Atomic uint32_t speed;     /* mmc_speed.c */
    pthread_mutex_t fault_lock;
    char name[];
};

struct vscsi_nexus {
    /* attention number << 32 | UA_* that are pending */
    _Alignas(64) _Atomic uint64_t attention;
    _Atomic uint64_t commands;
    struct vscsi_drive *drive;
    /* under the drive's lock */
    struct vscsi_nexus *next;
    vscsi_event_fn *event;
    void *context;
    unsigned in_callback;
    unsigned gesn;              /* GESN_* not yet told */
    bool prevents;
    uint64_t alerts;            /* TapeAlert flags of a tape drive not yet told */
    struct smc_nexus *smc;      /* of a library's robot: smc_tags.c */
};

/* The only writer of state; the gate is closed.  Takes `lock`. */
void drive_set_state(struct vscsi_drive *drive, enum drive_state to,
                     struct medium *medium);
uint32_t drive_state_sense(enum vscsi_type type, enum drive_state state);
const char *drive_state_name(enum drive_state state);
bool drive_state_allowed(enum drive_state from, enum drive_state to);

/* --- drive.c: gate and mechanism ------------------------------------------ */

/* NULL: no memory. */
struct vscsi_drive *drive_new(const struct vscsi_config *config,
                              unsigned block_shift);
void gate_wait_enter(struct vscsi_drive *drive);
void gate_signal(struct vscsi_drive *drive);
/* Waits for running commands to end, holds back new ones. */
void gate_close(struct vscsi_drive *drive);
void gate_open(struct vscsi_drive *drive);

static inline void
gate_enter(struct vscsi_drive *drive)
{
    uint64_t old = atomic_fetch_add_explicit(&drive->gate, 1,
                                             memory_order_acquire);

    if (__builtin_expect((old & GATE_CLOSED) != 0, 0))
        gate_wait_enter(drive);
}

static inline void
gate_leave(struct vscsi_drive *drive)
{
    uint64_t old = atomic_fetch_sub_explicit(&drive->gate, 1,
                                             memory_order_release);

    if (__builtin_expect(old == (GATE_CLOSED | 1), 0))
        gate_signal(drive);
}

/* Gate closed; `except` may be NULL. */
void drive_attention_all(struct vscsi_drive *drive, uint32_t bits,
                         const struct vscsi_nexus *except);
/* The four below: gate closed; they return the events (1 << VSCSI_EVENT_*)
 * that drive_raise must tell once the gate is open. */
unsigned drive_take_in(struct vscsi_drive *drive, struct medium *medium);
unsigned drive_take_out(struct vscsi_drive *drive);
unsigned drive_not_ready_for(struct vscsi_drive *drive, uint32_t ms);
unsigned drive_close_tray(struct vscsi_drive *drive);
/* Writes the cache out, then ejects; sense when that fails. */
uint32_t drive_eject(struct vscsi_drive *drive, unsigned *out_events);
void drive_raise(struct vscsi_drive *drive, unsigned events);
/* Closes the gate for it. */
void drive_tell_all(struct vscsi_drive *drive, uint32_t attentions);
/* A robot takes the medium: 0, SENSE_PREVENTED, or why the cache cannot be
 * written out; with `force` it takes it all the same.  With no medium in there
 * is nothing to do. */
uint32_t drive_robot_unload(struct vscsi_drive *drive, bool force);
/* A cleaning cartridge is in an empty drive, which says so for so long (ms 0:
 * until the next call); sense 0: it is out again. */
void drive_clean(struct vscsi_drive *drive, uint32_t sense, uint32_t ms);

/* --- command.c: from CDB to handler --------------------------------------- */

struct task {
    struct vscsi_drive *drive;
    struct vscsi_nexus *nexus;
    struct vscsi_command *command;
    struct medium *medium;      /* set for commands that need one */
    const struct opcode *op;
    uint8_t *data;
    uint32_t data_len;          /* 0 when the direction is wrong */
    uint64_t lba;
    uint32_t blocks;
    uint64_t info;              /* LBA for the sense data */
    bool info_valid;
    unsigned events;            /* to raise afterwards */
    const struct fault_effect *effect;
    struct motion *motion;      /* to begin past the gate: SENSE_PENDING */
    uint64_t hold_until_ns;     /* OP_ALONE, SENSE_PENDING: run again then */
};

typedef uint32_t opcode_fn(struct task *task);

/* Returned by handlers whose command completes later. */
#define SENSE_PENDING UINT32_MAX

enum {
    OP_IN = 1u << 0,            /* data to the initiator */
    OP_OUT = 1u << 1,
    OP_MEDIUM = 1u << 2,        /* needs a ready medium */
    OP_WRITES = 1u << 3,        /* needs one that may be written */
    OP_UA = 1u << 4,            /* carried out with a unit attention pending */
    OP_ALONE = 1u << 5,         /* runs with the gate closed */
    OP_LBA = 1u << 6,           /* LBA and length where they usually are */
    OP_PROT = 1u << 7,          /* byte 1, bits 7-5: must be 0 */
    OP_FAULT_READ = 1u << 8,    /* "read" of a fault rule */
    OP_FAULT_WRITE = 1u << 9,
    OP_FAULT_FLUSH = 1u << 10,
    OP_FAULT_INVENTORY = 1u << 11,
    OP_RESERVED = 1u << 12,     /* asks the reservations; and then: */
    OP_SHARED = 1u << 13,       /* ... those that exclude writing let it in */
    OP_FAULT_SPACE = 1u << 14,
    OP_FAULT_LOCATE = 1u << 15,
};

struct opcode {
    opcode_fn *run;             /* NULL: no such command */
    uint32_t flags;
    uint8_t length;
    uint8_t types;              /* 1 << enum vscsi_type */
    const char *name;
    const char *usage;          /* CDB usage bits from byte 1 on */
};

extern const struct opcode vscsi_opcodes[256], vscsi_smc_opcodes[256];
extern const struct opcode vscsi_ssc_opcodes[256];
extern const struct fault_effect fault_none;

/* Carries the command out now; rules have been applied.  False: it completes
 * later, and its done is called then. */
bool command_run(struct vscsi_nexus *nexus, struct vscsi_command *command,
                 const struct fault_effect *effect);
void command_sense(struct vscsi_drive *drive, struct vscsi_command *command,
                   uint32_t sense, const uint64_t *info);
size_t sense_build(uint8_t *out, bool descriptor, uint32_t sense,
                   const uint64_t *info);
uint32_t attention_sense(uint32_t bit);
bool attention_take(struct vscsi_nexus *nexus, uint32_t *out_sense,
                    uint32_t *out_number);
void attention_count(struct vscsi_nexus *nexus);
void cdb_range(const uint8_t *cdb, unsigned length, uint64_t *out_lba,
               uint32_t *out_blocks);
/* Copies a reply, cut to the allocation length and the buffer. */
uint32_t reply(struct task *task, const void *data, size_t len, size_t alloc);
bool drive_write_protected(const struct vscsi_drive *drive);
uint32_t drive_flush(struct vscsi_drive *drive);

/* --- fault.c -------------------------------------------------------------- */

/* What a rule does to a command that is carried out. */
struct fault_effect {
    uint32_t data_max;          /* bytes that are moved at most */
    uint32_t recovered;         /* sense to report although all is well */
    bool overrun;               /* the transport says that it was too much */
    bool late;                  /* its time has passed: hold_until_ns */
    uint8_t robot;              /* enum robot_fault */
    uint32_t robot_value;
};

/* What a rule does to a motion, or to the element data. */
enum robot_fault {
    ROBOT_WELL,
    ROBOT_STUCK,                /* the medium stays in the transport */
    ROBOT_WRONG,                /* another medium is delivered */
    ROBOT_SILENT,               /* done, and never answered */
    ROBOT_HALF,                 /* stops after the first medium */
    ROBOT_UNREADABLE,           /* its label cannot be read from now on */
    ROBOT_NOT_LOADED,           /* lies in the drive, which does not load it */
    ROBOT_DOOR,                 /* the door opens on the way */
    ROBOT_LIE_CUT,              /* element data: so many bytes too few */
    ROBOT_LIE_COUNT,            /* ... byte counts larger than the data */
    ROBOT_LIE_LENGTH,           /* ... this descriptor length */
    ROBOT_LIE_OVERLAP,          /* ... every page begins in the one before */
    ROBOT_LIE_AVOLTAG,          /* ... a flag for a field that is not there */
    ROBOT_LIE_TWICE,            /* ... each address twice */
    ROBOT_LIE_NOISE,            /* ... bytes changed at random, by this seed */
};


/* What a rule is about, as far as it says whether it can ever happen. */
struct fault_fit {
    unsigned flags;             /* OP_FAULT_*; 0: any command */
    int opcode;                 /* -1: any */
    bool named;                 /* by a word */
    bool lba;                   /* in a range of them */
    bool robot, moves_medium;   /* what it does */
};
/* fault_fit.c: why never, or NULL. */
const char *fault_never(enum vscsi_type type, const struct fault_fit *fit);

/* True: carry the command out now, with the effect.  Else *out_completed says
 * whether it is over already. */
bool fault_apply(struct vscsi_nexus *nexus, struct vscsi_command *command,
                 struct fault_effect *out_effect, bool *out_completed);
/* The command is run again then, as a late one; false: no timer. */
bool fault_hold(struct vscsi_nexus *nexus, struct vscsi_command *command,
                uint64_t due_ns);
/* Ends every delayed or lost command of a drive, or of one nexus. */
void fault_abort_drive(struct vscsi_drive *drive);
void fault_abort_nexus(struct vscsi_nexus *nexus);

/* --- reserve.c: RESERVE and PERSISTENT RESERVE ---------------------------- */

/* NULL: no memory. */
struct reservations *reserve_new(void);
void reserve_free(struct reservations *all);
/* May this command not be carried out?  Past the gate. */
bool reserve_conflict(const struct task *task);
/* The gate is closed for these two. */
void reserve_forget(struct vscsi_drive *drive, const struct vscsi_nexus *nexus);
void reserve_reset(struct vscsi_drive *drive);

/* --- what the other files ask of a library -------------------------------- */

/* Past the gate: begins; true when the command has completed by then. */
bool motion_begin(struct motion *motion);
/* Ends commands of motions: of one command, one nexus, or all. */
bool library_abort(struct vscsi_library *library,
                   const struct vscsi_command *command);
void library_abort_all(struct vscsi_library *library,
                       const struct vscsi_nexus *nexus);
void library_not_ready_for(struct vscsi_library *library, uint32_t ms);
/* The identity of INQUIRY, and its byte 55. */
void library_identity(const struct vscsi_library *library,
                      const char *out_texts[3], bool *out_reader);
/* Seconds that a command should be given; 0: nothing special. */
uint32_t library_timeout_s(struct vscsi_library *library, uint8_t opcode);
bool smc_nexus_new(struct vscsi_nexus *nexus);
void smc_nexus_free(struct vscsi_nexus *nexus);

/* --- spc.c ---------------------------------------------------------------- */

/* Vendor and product of INQUIRY. */
void spc_product(const struct vscsi_drive *drive, const char *out_texts[2]);

/* --- mode.c --------------------------------------------------------------- */

enum mode_control { CURRENT, CHANGEABLE, DEFAULT, SAVED };

size_t mode_put_pages(const struct vscsi_drive *drive, uint8_t *to,
                      uint8_t code, unsigned control);

/* --- thin.c --------------------------------------------------------------- */

/* Writes zeros, past the cache; 0 or sense. */
uint32_t thin_zero(struct task *task, uint64_t lba, uint64_t blocks,
                   bool unmap);

/* --- floppy.c ------------------------------------------------------------- */

void floppy_fill_page(const struct vscsi_drive *drive, uint8_t *body,
                      enum mode_control control);
/* The medium type of a mode parameter header; 0 for other drives. */
uint8_t floppy_medium_type(const struct vscsi_drive *drive);
uint32_t floppy_capacities(struct task *task);

/* --- mmc.c ---------------------------------------------------------------- */

uint16_t mmc_profile(const struct medium *medium);

/* --- mmc_speed.c: kilobytes a second -------------------------------------- */

uint32_t mmc_speed_max(const struct vscsi_drive *drive);
uint32_t mmc_speed(const struct vscsi_drive *drive);
/* The medium left; with `all` the drive was reset. */
void mmc_speed_forget(struct vscsi_drive *drive, bool all);

/* --- tape.c, for the files of every drive ---------------------------------- */

extern const struct fault_effect fault_late;

/* False with errno set: the configuration is none of a tape drive. */
bool tape_new(struct vscsi_drive *drive, const struct vscsi_config *config);
void tape_free(struct tape *tape);
/* The gate is closed for these: a cartridge came in, is ready, is about to
 * leave, the drive is reset; a cleaning cartridge has done its work. */
void tape_in(struct vscsi_drive *drive, struct medium *medium);
void tape_ready(struct vscsi_drive *drive);
void tape_out(struct vscsi_drive *drive);
void tape_reset(struct vscsi_drive *drive);
void tape_cleaned(struct vscsi_drive *drive, bool expired);
/* What a cleaning cartridge makes the drive say, or 0 for others. */
uint32_t tape_cleaner(struct vscsi_drive *drive);
uint32_t tape_clean_ms(const struct vscsi_drive *drive);
unsigned tape_cleaning_uses(const struct vscsi_drive *drive);
/* Buffered objects reach the image; a failure is a deferred one. */
uint32_t tape_flush(struct vscsi_drive *drive);
/* The personality's code for a condition. */
uint32_t tape_sense(const struct vscsi_drive *drive, uint32_t sense);
/* What REQUEST SENSE has to tell when all is well. */
uint32_t tape_wish(const struct vscsi_drive *drive);
uint64_t tape_object(const struct vscsi_drive *drive);
void tape_state(const struct vscsi_drive *drive, struct vscsi_state *out);
uint32_t tape_timeout_s(const struct vscsi_drive *drive, uint8_t opcode);
const char *tape_product(const struct vscsi_drive *drive);

/* Opens what a tape has besides its file; NULL, or what is wrong. */
const char *tape_open(struct medium *medium, uint64_t size,
                      unsigned cleaning_uses);
void tape_close(struct medium *medium);

/* --- tape_mode.c ----------------------------------------------------------- */

void tape_fill_page(const struct vscsi_drive *drive, uint8_t code,
                    uint8_t *body, enum mode_control control);
void tape_put_descriptor(const struct vscsi_drive *drive, uint8_t *to);
uint8_t tape_parameter(const struct vscsi_drive *drive);
/* Header byte and block descriptor (or NULL) of MODE SELECT: may they be set?
 * Then sets them. */
uint32_t tape_check_descriptor(const struct vscsi_drive *drive,
                               uint8_t parameter, const uint8_t *descriptor);
uint32_t tape_select(struct vscsi_drive *drive, uint8_t parameter,
                     const uint8_t *descriptor, bool *out_changed);
void tape_set_compression(struct vscsi_drive *drive, const uint8_t *page);

/* --- library.c ------------------------------------------------------------- */

/* The label of a cartridge in this file: capitals, up to the first dot. */
void cartridge_label(const char *file, char out_bar_code[33]);

/* --- handlers: spc.c mode.c sbc.c thin.c floppy.c mmc*.c, named by opcodes.def ------ */

#define OPCODE_ROW(code, handler, name, length, types, flags, usage) \
    opcode_fn handler;
#include "vscsi/opcodes.def"
#include "vscsi/opcodes_smc.def"
#include "vscsi/opcodes_ssc.def"
#undef OPCODE_ROW

#endif
