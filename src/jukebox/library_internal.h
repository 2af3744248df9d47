/*
 * library_internal.h - what the files of a library share
 *
 * The turn: whoever holds it talks to the robot, writes the ledger, and is the
 * only one that changes elements and cartridges; the changes themselves are
 * made under `lock`, so that others may read.  `lock` is held for memory only,
 * and nothing is taken inside it.  turn_lock is inside nothing either.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_LIBRARY_INTERNAL_H
#define JUKEBOX_LIBRARY_INTERNAL_H

#include <ntddchgr.h>
#include <ntddk.h>

#include <pthread.h>

#include "jukebox/ledger.h"
#include "jukebox/library.h"

#define ELEMENT_TYPES 5 /* indexed by ChangerTransport .. ChangerDrive */

/* As the robot last said. */
struct element {
    struct place place;
    ULONG flags;      /* ELEMENT_STATUS_... */
    ULONG exception;  /* with ELEMENT_STATUS_EXCEPT */
    struct place source; /* type 0: not known */
    UCHAR tag[MAX_VOLUME_ID_SIZE], alternate[MAX_VOLUME_ID_SIZE];
    char barcode[33]; /* without padding; "" when there is none */
    char serial[33];  /* drives */
    int64_t cartridge;   /* id in the ledger, 0: none */
};

enum library_state {
    LIBRARY_STARTING, /* not read yet */
    LIBRARY_READY,
    LIBRARY_MOVING,
    LIBRARY_DOOR_OPEN,
    LIBRARY_NOT_READY,
    LIBRARY_FAULTY,
};

struct library {
    struct ri_library_config config; /* its texts: NULL */
    struct library_host host;
    PFILE_OBJECT file; /* NULL: not opened yet; with the turn */
    GET_CHANGER_PARAMETERS parameters;
    CHANGER_PRODUCT_DATA product;
    uint16_t first[4]; /* device addresses */
    ULONG counts[ELEMENT_TYPES];
    struct ledger *ledger;
    pthread_t thread;
    bool thread_runs;
    KEVENT wake; /* the thread's */
    KEVENT stop; /* nobody waits any more */

    pthread_mutex_t turn_lock;
    pthread_cond_t turn_changed;
    uint64_t turn_next, turn_now; /* tickets */

    /* Of the holder of the turn. */
    bool known;     /* parameters and elements were read */
    bool stale;     /* ... and all must be read again */
    struct motion pending; /* id 0, or one whose outcome nobody knows yet */
    bool pending_quiet;    /* ... and who made it will say what became of it */
    bool first_read;
    uint64_t senses; /* the host's count at the last look */
    struct library_sense sense; /* of the last request that failed, or len 0 */

    pthread_mutex_t lock; /* all below, and the cartridges of the ledger */
    bool stopping;        /* also atomic */
    bool opened;          /* the robot was there */
    bool order_again;     /* host.drives is to be asked */
    struct element *elements[ELEMENT_TYPES];
    /* What is shown while they are read and settled; NULL: they themselves. */
    struct element *shown[ELEMENT_TYPES];
    uint64_t shown_read_ms;
    unsigned holds;
    enum library_state state;
    char reason[RI_TEXT_MAX];
    uint8_t last_sense[32];
    uint32_t last_sense_len;
    uint64_t read_ms; /* clock_coarse_ms of the last reading */
    uint64_t motions, failures, stray;
    bool locked;
    uint32_t changed_drives; /* bits: library_drive_changed */
    bool poked;
};

/* --- library.c ---------------------------------------------------------------- */

int library_fail(struct ri_error *out_error, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An event, with the name of the library in front. */
void library_tell(struct library *library, const char *action, uint32_t drive,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void library_set_state(struct library *library, enum library_state state,
                       const char *reason);
bool library_stopping(struct library *library);
/* -ESHUTDOWN: it was stopped; then the turn is not held. */
int turn_take(struct library *library);
void turn_pass(struct library *library);
/* False: stopped meanwhile. */
bool library_sleep(struct library *library, unsigned ms);

/* --- robot.c: one request to the robot; with the turn -------------------------- */

NTSTATUS robot_control(struct library *library, ULONG code, const void *in,
                       ULONG in_len, void *out, ULONG out_len,
                       ULONG_PTR *out_information);
NTSTATUS robot_status(struct library *library);
NTSTATUS robot_initialize(struct library *library, ULONG first, ULONG count,
                          bool bar_codes);
NTSTATUS robot_move(struct library *library, struct place source,
                    struct place destination, bool flip);
NTSTATUS robot_exchange(struct library *library, const struct motion *motion,
                        bool flip1, bool flip2);
NTSTATUS robot_position(struct library *library, struct place place, bool flip);
NTSTATUS robot_access(struct library *library, ELEMENT_TYPE type, ULONG index,
                      ULONG control);

/* --- elements.c: what the robot says; with the turn ----------------------------- */

/* Parameters and product data, and room for the elements. */
NTSTATUS elements_learn(struct library *library);
/* With the turn: from the one to the other who looks sees what was true before,
 * whole.  They nest.  Without memory for that he sees it as it becomes. */
void elements_hold(struct library *library);
void elements_show(struct library *library);
/* Everything is read, and compared with the ledger. */
NTSTATUS elements_read_all(struct library *library);
/* Only these few. */
NTSTATUS elements_read(struct library *library, const struct place *places,
                       size_t count);
struct element *element_at(struct library *library, struct place place);
bool element_full(const struct element *element);
/* It may be full or empty. */
bool element_unknown(const struct element *element);
bool element_is_cleaner(const struct library *library,
                        const struct element *element);
/* The device's own address. */
uint32_t element_address(const struct library *library, struct place place);
/* Slots and mail slots, counted from 1 as mtx does; PLACE_AWAY: no such. */
struct place place_of_slot(const struct library *library, uint32_t number);
uint32_t slot_of_place(const struct library *library, struct place place);
/* "slot 3", "mail slot 9", "drive 0", "transport 0"; 48 bytes. */
const char *place_words(const struct library *library, struct place place,
                        char *out_words);
bool same_place(struct place a, struct place b);

/* --- settle.c: elements and ledger; with the turn -------------------------------- */

/* All elements were read: who is where, who came, who went. */
void settle_all(struct library *library);
/* ... before that: what became of the motion that nobody knows the end of. */
void settle_pending(struct library *library);
/* A motion was made, or tried, and its elements were read: the ledger follows.
 * reported: the robot says that it did it.  Returns whether the cartridge is at
 * its destination. */
bool settle_motion(struct library *library, const struct motion *motion,
                   bool reported);
struct cartridge *cartridge_at(struct library *library, struct place place);
/* What a person may call the cartridge: its label, or where it is. */
const char *cartridge_words(struct library *library,
                            const struct cartridge *cartridge,
                            char *out_words); /* 96 bytes */
/* The slot that the cartridge belongs to, if anybody knows; adopts one where
 * the configuration says so.  0: unknown. */
uint32_t home_of(struct library *library, struct cartridge *cartridge);
/* A free slot that is nobody's home; 0: none. */
uint32_t free_slot(struct library *library);
bool is_somebodys_home(struct library *library, uint32_t slot,
                       const struct cartridge *but);
/* The volume in the drive is what the cartridge has; -EMEDIUMTYPE: it was known
 * to have another one, whose name is given. */
int settle_volume(struct library *library, unsigned drive, char *out_expected,
                  char *out_found);
/* Writes what changed; a failure is told, and is no reason to stop. */
void settle_store(struct library *library);

/* --- ready.c ------------------------------------------------------------------------ */

/* Waits until the library takes commands; learns and reads what is not known. */
int ready_library(struct library *library,
                  const struct ri_library_command *command,
                  struct ri_library_result *result);
/* Waits until the drive has loaded what was put into it. */
NTSTATUS ready_drive(struct library *library, unsigned drive,
                     const struct ri_library_command *command);
/* The state that a status stands for, and what a person is told. */
enum library_state ready_state(NTSTATUS status);
const char *ready_words(const struct library *library, NTSTATUS status);
/* What the robot last complained about ends only when somebody goes there. */
bool ready_needs_hand(const struct library *library);

/* --- motion.c ------------------------------------------------------------------------- */

/* One motion: intent, robot, reading, ledger, outcome.  Fills the result. */
int motion_make(struct library *library, struct motion *motion, unsigned flags,
                struct ri_library_result *result);
/* The result of a request that was refused by the robot, or by us. */
int result_status(struct library *library, struct ri_library_result *result,
                  NTSTATUS status);
int result_fail(struct ri_library_result *result, int rc, NTSTATUS status,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
void result_note(struct ri_library_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
