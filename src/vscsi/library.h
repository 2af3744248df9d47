/*
 * library.h - what the files of the emulated media library share
 *
 * Locks: the robot's gate, then the library's `lock`, then a drive's `lock`.
 * `lock` is held over memory only: never while an image is opened, written
 * out or closed, never while the state file is written, and never while a
 * drive's gate is closed (its callbacks may ask the library).  An element that
 * a motion works at is claimed by it meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_LIBRARY_H
#define VSCSI_LIBRARY_H

#include "vscsi/vscsi_internal.h"

enum {
    SENSE_DOOR = 0x020418,
    SENSE_SCANNING = 0x020401,
    SENSE_NOT_EJECTED = 0x023A00,
    SENSE_MAIL_OPEN = 0x023A02,
    SENSE_MOTION = 0x041501,    /* mechanical positioning error */
    SENSE_LOAD_FAILED = 0x045309,
    SENSE_UNLOAD_FAILED = 0x04530A,
    SENSE_DRIVE_FAILED = 0x045300,
    SENSE_ELEMENT = 0x052101,   /* invalid element address */
    SENSE_SEQUENCE = 0x052C00,
    SENSE_DEST_FULL = 0x053B0D,
    SENSE_SOURCE_EMPTY = 0x053B0E,
    SENSE_NO_MAGAZINE = 0x053B11,
    SENSE_NO_DRIVE = 0x053B1A,
    SENSE_CLEANER = 0x033003,
    SENSE_CLEANER_EXPIRED = 0x033013,
    /* Bit 24: a condition of its own for library_sense, which clears it. */
    SENSE_STUCK = 0x01041501,
    SENSE_TRANSPORT_FULL = 0x01053B0D,
    SENSE_MAIL_LOCKED = 0x01055302,
    /* Exceptions of elements: no key. */
    SENSE_UNREADABLE = 0x005306,
    SENSE_UNKNOWN = 0x005308,
    SENSE_SLOT_GONE = 0x003B12,
    SENSE_DRIVE_GONE = 0x003B1A,
};

/* --- personality.c -------------------------------------------------------- */

enum {
    P_NO_TRANSPORT_PAGE = 1u << 0,  /* mode page 1Eh */
    P_NO_CAPABILITIES = 1u << 1,    /* mode page 1Fh */
    P_SHORT_CAPABILITIES = 1u << 2, /* ... only 0Eh long */
    P_NO_EXCHANGE = 1u << 3,        /* refused */
    P_CLAIMS_EXCHANGE = 1u << 4,    /* page 1Fh says so all the same */
    P_NO_CURDATA = 1u << 5,
    P_NO_DVCID = 1u << 6,
    P_SERIAL_ONLY = 1u << 7,        /* the identifier of DVCID */
    P_DVCID_DRIVES = 1u << 8,       /* rejected for other types */
    P_ONE_TYPE = 1u << 9,           /* type 0 is rejected */
    P_AVOLTAG_LIE = 1u << 10,       /* flag without field */
    P_BUSY = 1u << 11,              /* 2/04/01 instead of a queue */
    P_EJECT_FIRST = 1u << 12,
    P_NO_READER = 1u << 13,
    P_NO_VOLTAG = 1u << 14,         /* the bit is rejected */
    P_ALLOC_16 = 1u << 15,          /* of the allocation length */
    P_CUT_8 = 1u << 16,             /* of every reply */
    P_OVERLAP = 1u << 17,           /* type 0: page in page */
    P_ALL_ELEMENTS = 1u << 18,      /* whatever number is asked for */
    P_CONTROL_ZERO = 1u << 19,      /* the whole control byte is checked */
    P_NO_ACCESS = 1u << 20,         /* the bit is never set */
    P_NO_RANGE = 1u << 21,          /* 37h is refused */
    P_NO_E7 = 1u << 22,
    P_VENDOR = 1u << 23,            /* vendor sense codes */
    P_REAL_TRANSPORT = 1u << 24,    /* address 0 is not "you choose" */
    P_CLEANER_EXCEPT = 1u << 25,    /* Except 30/03 for a healthy cleaner */
    P_NO_TAG_COMMANDS = 1u << 26,   /* B5h, B6h */
    P_FEW = 1u << 27,               /* 4Dh, 1Bh, 2Bh, 5Eh, 8Ch ... refused */
    P_BLOCK_DESCRIPTOR = 1u << 28,  /* in mode data, unless DBD */
    P_NO_ATTENTION = 1u << 29,      /* only 29/00 */
};

struct personality {
    const char *name, *about;
    const char *vendor, *product, *revision;
    uint16_t base[5];           /* by element kind */
    unsigned transports;
    uint32_t flags;
    uint16_t most_elements;     /* in one READ ELEMENT STATUS; 0: any */
    uint32_t most_bytes;        /* allocation length; 0: any */
};

const struct personality *personality_find(const char *name);

/* --- library.c ------------------------------------------------------------ */

#define KINDS 5                 /* 1..4 of enum vscsi_element_kind */

struct tag {
    char text[32];              /* blank-padded */
    uint16_t sequence;
    bool set;
};

struct cartridge {
    struct cartridge *next;     /* all of the library; in it or outside */
    struct element *at;         /* NULL: outside */
    bool cleaning;
    bool unreadable;
    unsigned uses_left;
    struct tag primary, alternate;  /* assigned by SEND VOLUME TAG */
    char bar_code[33];
    char file[256];
};

struct element {
    enum vscsi_element_kind kind;
    uint16_t address;
    unsigned index;             /* among its kind */
    struct cartridge *cartridge;
    struct vscsi_drive *drive;  /* of a data transfer element */
    struct motion *claim;       /* a motion works at it */
    int source;                 /* address the medium last came from, or -1 */
    bool absent, imported;
    bool unknown;               /* not looked at since the door was open */
    bool not_loaded;            /* the drive has not taken the cartridge */
};

struct vscsi_library {
    /* configuration, never written later */
    const struct personality *personality;
    struct vscsi_drive *robot;
    struct vscsi_library_times times;
    bool reader;
    unsigned cleaning_uses;
    char *media_dir, *state_file;
    char *report;
    unsigned first[KINDS], count[KINDS];    /* in `elements` */
    enum vscsi_element_kind order[KINDS - 1];   /* by address */
    unsigned elements_count;
    struct opcode opcodes[256]; /* those that the personality leaves */

    pthread_mutex_t lock;       /* all below */
    pthread_cond_t moved;       /* a motion ended, its done returned */
    struct cartridge *cartridges;
    struct motion *motions;     /* in the order of their arrival */
    unsigned *position;         /* of each transport: index in elements */
    bool door_open, mail_open, mail_changed;
    bool scanning;
    bool ending;
    bool door_waits;            /* the door was opened: motions stop */
    uint64_t ready_at_ns;       /* 2/04/01 until then */
    uint64_t moves;
    uint64_t changes;           /* counts what the state file must tell */

    pthread_mutex_t save_lock;  /* a leaf, over writing the state file */
    uint64_t saved;
    struct element elements[];
};

struct element *library_element(struct vscsi_library *library,
                                unsigned address);
struct element *library_nth(struct vscsi_library *library,
                            enum vscsi_element_kind kind, unsigned index);
const char *library_kind_name(enum vscsi_element_kind kind);
void library_path(const struct vscsi_library *library,
                  const struct cartridge *cartridge, char *out_path,
                  size_t max);
bool library_has(const struct vscsi_library *library, uint32_t flag);
/* What drives hold by now, whoever put it there.  `lock` is held. */
void library_look_locked(struct vscsi_library *library);
/* An image lies in this drive. */
bool library_drive_full(struct vscsi_drive *drive);
/* The only writer of who is where; both may be NULL (outside). */
void library_place_locked(struct vscsi_library *library,
                          struct cartridge *cartridge, struct element *to);
void library_check_locked(struct vscsi_library *library);
struct cartridge *library_cartridge(struct vscsi_library *library,
                                    const char *file);
struct cartridge *library_add_cartridge(struct vscsi_library *library,
                                        const char *file);
/* The standard's code, or the vendor's for the same condition. */
uint32_t library_sense(const struct vscsi_library *library, uint32_t sense);
/* What TEST UNIT READY says.  `lock` is held. */
uint32_t library_not_ready_locked(struct vscsi_library *library);
/* Without the lock. */
void library_attention(struct vscsi_library *library, uint32_t bits);
void library_alert(struct vscsi_library *library, unsigned flag);
/* Puts the cartridge of a drive element into the drive: 0 or sense. */
uint32_t library_load(struct vscsi_library *library, struct element *element);

__attribute__((format(printf, 4, 5))) int
library_refuse(char *out_text, size_t max, int error, const char *format, ...);

/* --- library_state.c ------------------------------------------------------ */

/* Reads the state file and the media directory, places what is there. */
int library_state_load(struct vscsi_library *library, char *out_text,
                       size_t text_max);
/* Writes it when something changed; without the lock. */
int library_state_save(struct vscsi_library *library);

/* --- motion.c ------------------------------------------------------------- */

enum motion_kind {
    MOTION_MOVE,
    MOTION_EXCHANGE,
    MOTION_POSITION,
    MOTION_HOME,
    MOTION_SCAN,
    MOTION_MAIL,
};

struct motion_want {
    enum motion_kind kind;
    struct element *transport;  /* NULL: any */
    struct element *source, *first, *second;
    unsigned range_first, range_count;  /* of a scan: addresses */
    bool open;                  /* of the mail slots */
};

/* To be returned by a handler: SENSE_PENDING, or that memory is short. */
uint32_t motion_new(struct task *task, const struct motion_want *want);
/* The library's own inventory; without the lock. */
void motion_scan(struct vscsi_library *library);
/* The door is open: what moves stops.  Without the lock. */
void motion_stop(struct vscsi_library *library);
/* No motion runs or waits any more.  Without the lock. */
void motion_end_all(struct vscsi_library *library);
unsigned motion_count_locked(const struct vscsi_library *library);

/* --- smc_tags.c ----------------------------------------------------------- */

struct smc_nexus {
    uint64_t alerts;            /* TapeAlert flags not yet told: bit N-1 */
    bool searching;
    uint8_t action;             /* of SEND VOLUME TAG */
    uint8_t type;
    char template[32];
    uint16_t least, most;       /* sequence numbers */
    unsigned next;              /* address to go on at */
};

/* The tag that element data show: 36 bytes; false: none can be read. */
bool library_primary_tag(const struct vscsi_library *library,
                         const struct element *element, uint8_t out[36]);
bool library_alternate_tag(const struct element *element, uint8_t out[36]);

/* --- smc_status.c --------------------------------------------------------- */

struct status_want {
    uint8_t type;
    bool tags, identifiers;
    unsigned start, number;
    const struct fault_effect *effect;
    /* only elements that it accepts; NULL: all */
    bool (*match)(struct vscsi_library *library, const struct element *element,
                  const void *context);
    const void *context;
    uint8_t header_4;           /* byte 4 of the header */
};

/* Writes the data of a reply, cut to `max`; its whole length.  *out_next is the
 * address after the last that is in the reply in full. */
size_t status_build_locked(struct vscsi_library *library,
                           const struct status_want *want, uint8_t *to,
                           size_t max, unsigned *out_next);

#endif
