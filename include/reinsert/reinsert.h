/*
 * reinsert.h - the embedding API: drives, volumes, prompts, exports, I/O
 *
 * Everything under front/ is written against this header alone.  One service
 * lives in a process.  All calls may be made from any thread; none may be made
 * from inside a `done` or event callback unless it says so.  Functions return 0
 * or a negative errno value and, where they take one, fill a struct ri_error
 * with a sentence that names the drive, file, line or field at fault.  Outputs
 * are untouched on failure.
 *
 * Units are in the names.  Strings are UTF-8 and always terminated.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REINSERT_H
#define REINSERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RI_NAME_MAX 128  /* drive, export and volume names, with the NUL */
#define RI_TEXT_MAX 512  /* messages, prompts, paths shown to people */
#define RI_PATH_MAX 1024

struct ri_service;
struct ri_export;        /* an open export: one per client connection */

struct ri_error {
    char text[RI_TEXT_MAX];
};

/* --- configuration ------------------------------------------------------- */

enum ri_drive_type { RI_DISK, RI_FLOPPY, RI_CDROM, RI_TAPE };
enum ri_cache { RI_CACHE_NONE, RI_CACHE_VOLATILE };
enum ri_no_operator { RI_NO_OPERATOR_WAIT, RI_NO_OPERATOR_CANCEL };

/* Emulated drives over images, or drives that nobody here wrote. */
enum ri_port { RI_PORT_VIRTUAL, RI_PORT_ISCSI, RI_PORT_SG };

/* What an emulated tape drive is like; see struct vscsi_tape_config. */
struct ri_tape_config {
    char personality[RI_NAME_MAX];  /* "": its plain one */
    uint64_t capacity_bytes;        /* of a cartridge; 0: 1 TB */
    uint64_t early_warning_bytes;   /* before its end; 0: a fiftieth */
    uint64_t clean_after_bytes;     /* moved; 0: it never asks for cleaning */
    unsigned cleaning_uses;         /* of a new cleaning cartridge; 0: 50 */
    unsigned clean_ms, rewind_ms, unload_ms;
    bool no_compression;
    const char *key;                /* the first of these that is given */
    unsigned line;                  /* ... and where */
};

struct ri_drive_config {
    char name[RI_NAME_MAX];
    enum ri_port port;
    enum ri_drive_type type;    /* of real drives they say it themselves */
    bool only_type;             /* iscsi, all units: those of `type` */
    char url[RI_PATH_MAX];      /* iscsi: iscsi://HOST[:PORT]/TARGET/LUN; without
                                 * /LUN: all units that are drives, NAME-LUN */
    char user[RI_NAME_MAX];     /* iscsi: of CHAP, or "" */
    char secret_file[RI_PATH_MAX];  /* ... "": from REINSERT_ISCSI_SECRET */
    char initiator[256];        /* iscsi: our name; "": made of the host's */
    char device[RI_PATH_MAX];   /* sg: any node of it, or a link to one */
    char match[256];            /* sg: serial:..., path:..., any-removable */
    bool own;                   /* sg: the kernel's drivers are sent away */
    bool shared;                /* sg: ... or stay, and may be told of changes */
    enum ri_cache cache;
    bool readonly;              /* media are write protected in this drive */
    char medium[RI_PATH_MAX];   /* image inserted at the start, or "" */
    unsigned load_ms;           /* a medium becomes ready after so long */
    unsigned block_bytes;       /* 0: as such drives have; disks: 512, ...;
                                 * tapes: of any size */
    unsigned block_line;        /* where FILE says so */
    unsigned value_line;        /* ... and medium, device, match or chap-user */
    struct ri_tape_config tape;
    char *faults;               /* rules of vscsi.h, a line each; owned */
    char *parameters;           /* lines NAME=VALUE, the device's key; owned */
    unsigned line;              /* where FILE names it, 0 for none */
    bool asked;                 /* url without /LUN: those that were found of its
                                 * units follow it, ... */
    bool answered;              /* ... which are what its target has */
    char section[RI_NAME_MAX];  /* ... theirs: its name; else "" */
};

#define RI_LIBRARY_DRIVES_MAX 32

/* [library NAME]: see "libraries" below. */
struct ri_library_config {
    char name[RI_NAME_MAX];
    enum ri_port port;
    struct ri_drive_config robot;   /* ISCSI, SG: how it is reached; no more */
    /* Of a real one: [drive NAME] of each drive element, in the robot's order. */
    char drive_names[RI_LIBRARY_DRIVES_MAX][RI_NAME_MAX];
    unsigned drive_lines[RI_LIBRARY_DRIVES_MAX];
    const char *emulated_key;   /* the first key of emulated ones only, or NULL */
    unsigned emulated_line;     /* ... and where */
    char personality[RI_NAME_MAX]; /* of the emulation; "": its plain one */
    unsigned slots, mail_slots, transports;
    char media[RI_PATH_MAX];    /* directory of the images, one a cartridge */
    char state[RI_PATH_MAX];    /* directory: ledger, lock, emulated state */
    unsigned state_line;        /* where FILE says so */
    unsigned drive_count;       /* VIRTUAL: NAME-0, NAME-1, ... of the service */
    struct ri_drive_config drive;   /* what they are like; no name, no medium */
    unsigned move_ms;           /* the emulated robot's times: of a motion, */
    unsigned travel_ms;         /* ... per element on its way, */
    unsigned load_ms, unload_ms;    /* ... at a drive, */
    unsigned scan_ms;           /* ... to look at one slot, */
    unsigned door_ms;           /* ... of door and mail slots, */
    unsigned clean_ms;          /* ... of a cleaning */
    bool no_bar_codes;          /* the emulated robot has no reader */
    unsigned cleaning_uses;     /* of a new cleaning cartridge; 0: 50 */
    unsigned ready_timeout_s;   /* a library that starts is waited for */
    unsigned load_timeout_s;    /* a drive that loads is waited for */
    unsigned min_residence_s;   /* a medium stays in its drive so long */
    unsigned poll_s;            /* an idle library is asked that often; 0: never */
    bool adopt;                 /* a home is chosen where none is known */
    bool cleaning;              /* drives that ask for it are cleaned */
    char *faults;               /* of the robot; rules of vscsi.h; owned */
    char *parameters;           /* lines NAME=VALUE, the device's key; owned */
    unsigned line;              /* where FILE names it, 0 for none */
};

#define RI_LISTEN_MAX 8

struct ri_config {
    char nbd[RI_LISTEN_MAX][RI_PATH_MAX]; /* unix:PATH or tcp:HOST:PORT */
    size_t nbd_count;
    char control[RI_PATH_MAX];            /* unix socket of the control API */
    unsigned prompt_timeout_s;            /* 0: wait for ever */
    enum ri_no_operator on_no_operator;   /* what the timeout does */
    uint64_t unflushed_bytes;             /* kept per volume; 0: written through */
    uint64_t unflushed_total_bytes;       /* of all volumes */
    uint64_t tape_unflushed_bytes;        /* kept per tape drive; 0: nothing */
    unsigned flush_idle_ms;               /* after the last write; 0: never for that,
                                         * only for want of room */
    char recovery_dir[RI_PATH_MAX];       /* "": see recovery.h */
    char unflushed_log[RI_PATH_MAX];      /* a folder; "": none on disk */
    unsigned unflushed_log_line;          /* where FILE says so */
    char path[RI_PATH_MAX];               /* FILE, for errors of the start; or "" */
    char *driver_values;        /* lines DRIVER/NAME=VALUE, or NULL; owned */
    struct ri_drive_config *drives;       /* owned */
    size_t drive_count;
    struct ri_library_config *libraries;  /* owned */
    size_t library_count;
};

/* Defaults only: no drive, no library, no listener. */
void ri_config_init(struct ri_config *config);
void ri_config_free(struct ri_config *config);
/* Errors read "FILE:LINE: what is wrong".  Targets of which all units are meant
 * are asked for them, here or else by ri_service_start: in drives each follows
 * its section.  One that cannot be asked is asked again by the service. */
int ri_config_load(const char *path, struct ri_config *out_config,
                   struct ri_error *out_error);
/* Appends a drive for an image: type from its content (ISO 9660/UDF: cdrom),
 * its size (160 KiB to 2.88 MB: floppy) or its name (.tap: tape), a name that
 * is not taken yet ("disk0", "floppy0", "cdrom0", "tape0", ...). */
int ri_config_add_image(struct ri_config *config, const char *image,
                        struct ri_error *out_error);

/* --- life ------------------------------------------------------------------ */

/* Loads the drivers, makes the drives, inserts the configured media.  On
 * failure nothing is left running. */
int ri_service_start(const struct ri_config *config,
                     struct ri_service **out_service,
                     struct ri_error *out_error);
/* Fails every waiting request (ESHUTDOWN), lets running ones end, refuses new
 * ones.  Returns within half a second.  Exports stay valid to ri_close. */
void ri_service_shutdown(struct ri_service *service);
/* After ri_service_shutdown: what media still lack goes to recovery files.  As
 * long as that takes; nothing happens when they lack nothing. */
void ri_service_keep(struct ri_service *service);
/* After the last ri_close. */
void ri_service_free(struct ri_service *service);

/* --- what there is: snapshots, freed with free() -------------------------- */

/* Also of a target whose drives are not all known: named like its section, and
 * away.  Drives may come while the service runs, behind the others. */
struct ri_drive_info {
    char name[RI_NAME_MAX];
    enum ri_drive_type type;
    char state[32];             /* "ready", "empty", "open", "not ready"; real
                                 * drives: "away" */
    char address[RI_PATH_MAX];  /* real drives: url, device or match, as
                                 * configured; or "" */
    char node[32];              /* of this machine: "/dev/sg2", while it is
                                 * ours; or "" */
    char vendor[16], product[24];   /* as the drive says; "": not yet */
    char serial[128];           /* ... or it has none */
    char medium[RI_PATH_MAX];   /* emulated drives: the image, or "" */
    char volume[RI_NAME_MAX];   /* export name of the volume in it, or "" */
    char tape[RI_NAME_MAX];     /* tape drives: name of the tape in it, or "" */
    char sense[RI_TEXT_MAX];    /* last sense, in words, or "" */
    uint64_t size_bytes;        /* of the medium, 0 when there is none */
    uint32_t block_bytes;
    uint32_t change_count;      /* media change count of the class driver */
    uint64_t age_ms;            /* since the drive last answered; UINT64_MAX: it
                                 * never did */
    bool write_protected;
    bool locked;                /* PREVENT MEDIUM REMOVAL in force */
    bool real;                  /* not emulated */
    char changes[16];           /* "announced", "silent", "unknown": what is
                                 * believed of how it tells of a new medium */
    char changes_why[RI_TEXT_MAX];      /* ... and what for, in words */
};

struct ri_volume_info {
    char name[RI_NAME_MAX];     /* export name now: label, or UUID */
    char label[RI_NAME_MAX];
    char uuid[RI_NAME_MAX];
    char type[32];              /* ext4, vfat, iso9660, gpt, unknown, blank */
    char state[32];             /* "mounted", "verifying", "ejecting", "absent",
                                 * "replaying", "changed elsewhere",
                                 * "cancelled": absent, and given up */
    char drive[RI_NAME_MAX];    /* where it is, or was last seen */
    uint64_t size_bytes;
    uint32_t block_bytes;
    uint64_t age_ms;            /* in this state */
    uint32_t waiting;           /* requests that wait for it */
    uint32_t clients;           /* open exports */
    bool read_only;
    uint64_t unflushed_bytes;   /* acknowledged, not yet flushed */
    uint32_t replays;           /* how often that was written again */
    char recovery[RI_PATH_MAX]; /* newest recovery file of this service, or "" */
};

/* A recovery file that this service wrote. */
struct ri_recovery_info {
    char volume[RI_NAME_MAX];
    char drive[RI_NAME_MAX];    /* where it was last */
    char file[RI_PATH_MAX];
    char reason[64];            /* STATUS_NO_MEDIA_IN_DEVICE, ... */
    uint64_t bytes;             /* of data */
    uint64_t time_ms;           /* wall clock, since 1970 */
};

struct ri_prompt_info {
    uint64_t id;
    char volume[RI_NAME_MAX];
    char drive[RI_NAME_MAX];    /* last seen there */
    char reason[64];            /* STATUS_NO_MEDIA_IN_DEVICE, ... */
    uint32_t status;            /* the same as a number */
    char title[RI_TEXT_MAX];    /* a few words */
    char text[RI_TEXT_MAX];     /* the question, and what to do */
    char answers[64];           /* "retry|cancel", "use|retry|cancel" */
    char subject[RI_NAME_MAX + 16];     /* what it is about, in a sentence:
                                         * "volume V", "tape T", "a blank tape" */
    bool tape;                  /* ... which is no volume */
    uint64_t age_ms;
    uint32_t waiting;           /* requests behind it */
};

int ri_drives(struct ri_service *service, struct ri_drive_info **out_list,
              size_t *out_count);
int ri_volumes(struct ri_service *service, struct ri_volume_info **out_list,
               size_t *out_count);
int ri_prompts(struct ri_service *service, struct ri_prompt_info **out_list,
               size_t *out_count);

/* Oldest first. */
int ri_recovery(struct ri_service *service, struct ri_recovery_info **out_list,
                size_t *out_count);

/* The log on disk of what is acknowledged and not flushed. */
struct ri_unflushed_log_info {
    char dir[RI_PATH_MAX];      /* "": there is none */
    char state[32];             /* "off", "logging", "flush-through": it cannot
                                 * be written, so each write is flushed */
    char problem[RI_TEXT_MAX];  /* why, or "" */
    char warning[4 * RI_TEXT_MAX];      /* found at the start, a line each */
};

void ri_unflushed_log(struct ri_service *service,
                      struct ri_unflushed_log_info *out_info);

#define RI_DUMP_MAX 200

/* What a driver wrote to the error log. */
struct ri_log_entry {
    uint64_t seq;               /* 1, 2, 3 ...; the newest 128 are kept */
    uint64_t time_ms;           /* wall clock, since 1970 */
    char driver[32];
    char device[64];            /* "\\Device\\...", or "" */
    char drive[RI_NAME_MAX];    /* whose device that is, or "" */
    char code[64];              /* IO_ERR_BAD_BLOCK, ... */
    char status[64];            /* final: STATUS_SUCCESS when it was retried */
    char text[RI_TEXT_MAX];     /* a message, or "" */
    uint32_t retries;
    uint32_t unique_id;
    uint32_t control_code;      /* of a device control, or 0 */
    uint64_t offset_bytes;      /* where on the medium */
    uint32_t dump_len;
    uint8_t dump[RI_DUMP_MAX];  /* SRB and sense data of class drivers */
};

/* Entries after `after_seq`, oldest first. */
int ri_error_log(struct ri_service *service, uint64_t after_seq,
                 struct ri_log_entry **out_list, size_t *out_count);

/* --- what an operator does -------------------------------------------------- */

/* RI_USE: a volume that was changed elsewhere is taken as it is now; who has it
 * open gets EIO until it opens it anew. */
enum ri_answer { RI_RETRY, RI_CANCEL, RI_USE };

/* -ENOENT: no such prompt (answered meanwhile); -EINVAL: not an answer to it.
 * out_recovery: RI_PATH_MAX, or NULL: the recovery file that has what was not
 * flushed, or "". */
int ri_prompt_answer(struct ri_service *service, uint64_t id,
                     enum ri_answer answer, char *out_recovery,
                     struct ri_error *out_error);
/* Emulated drives: puts the image into the drive and closes it. */
int ri_insert(struct ri_service *service, const char *drive,
              const char *image, struct ri_error *out_error);
/* Polite: flush, unlock, open.  The volume becomes absent; requests that come
 * later wait for it. */
int ri_eject(struct ri_service *service, const char *drive,
             struct ri_error *out_error);
/* Emulated drives: a finger on the button of the front.  An idle one opens; one
 * whose medium is locked asks for what ri_eject does, and that follows, told by
 * events. */
int ri_press(struct ri_service *service, const char *drive,
             struct ri_error *out_error);
/* Emulated drives: the medium is gone, whatever is going on. */
int ri_yank(struct ri_service *service, const char *drive,
            struct ri_error *out_error);

/* --- libraries ----------------------------------------------------------------- */

/*
 * A library is a robot with storage slots, mail slots, and drives.  Its drives
 * are drives of the service like any other: of an emulated one LIBRARY-0,
 * LIBRARY-1, ..., of a real one those that its section names.
 *
 * Numbers are the operator's, as in mtx: storage slots 1 to N, mail slots from
 * N + 1, drives and transports from 0.  Device addresses are the robot's own.
 *
 * All that is shown is what the robot last said, with its age, and what the
 * ledger remembers of it; nothing is guessed.
 */

struct ri_library_info {
    char name[RI_NAME_MAX];
    char vendor[9], product[17], revision[5];   /* padded as INQUIRY pads */
    char serial[33];
    char state[32];             /* "ready", "moving", "starting", "door open",
                                 * "not ready", "faulty" */
    char reason[RI_TEXT_MAX];   /* why it is not ready, or what it does; or "" */
    char sense[RI_TEXT_MAX];    /* last sense, in words, or "" */
    uint8_t sense_bytes[32];
    uint32_t sense_len;
    uint32_t slots;             /* storage slots, without mail slots */
    uint32_t mail_slots, drives, transports;
    uint32_t full_slots, full_drives, full_mail_slots;
    uint32_t features0, features1;  /* of GET_CHANGER_PARAMETERS */
    uint64_t age_ms;            /* since the elements were last read */
    uint64_t motions;           /* since the start */
    uint64_t failures;          /* motions that failed, since the start */
    uint64_t stray;             /* cartridges found elsewhere than they were */
    bool bar_codes;             /* it reads them */
    bool exchange;              /* in one command, of the robot's own */
    bool mail_open_close;       /* by command */
    bool lockable;              /* door or mail slot */
    bool locked;                /* ... by us */
    bool adopt;
};

/* In the order of the list: drives, storage slots, mail slots, transports. */
enum ri_element_type { RI_DRIVE, RI_SLOT, RI_MAIL_SLOT, RI_TRANSPORT };

/* Where the knowledge comes from which slot a cartridge belongs to. */
enum ri_home {
    RI_HOME_UNKNOWN,
    RI_HOME_LIBRARY,            /* the robot said so (SVALID) */
    RI_HOME_LEDGER,             /* we moved it, or knew it by its bar code */
    RI_HOME_ADOPTED,            /* a free slot that was nobody's; see adopt */
};

struct ri_element_info {
    enum ri_element_type type;
    uint32_t number;            /* the operator's */
    uint32_t address;           /* the device's */
    bool full;
    bool unknown;               /* the robot does not know whether it is full */
    bool access;                /* a transport can reach it */
    bool except;
    uint32_t except_code;       /* ExceptionCode of ntddchgr.h */
    char except_text[64];       /* in words, or "" */
    bool imported;              /* mail slots: a person put it there */
    bool import_enabled, export_enabled;
    bool inverted;
    bool tag_present;           /* the robot sends tags for this element */
    bool tag_valid;             /* ... and this one is a label it has read */
    bool alternate_present;
    char tag[33];               /* 32 characters, padded as the device pads */
    char alternate[33];
    char barcode[33];           /* the tag without padding, or "" */
    bool duplicate;             /* another cartridge has the same label */
    uint64_t cartridge;         /* its number in the ledger, wherever it is */
    bool cleaning;              /* a cleaning cartridge */
    enum ri_home home_from;
    uint32_t home;              /* slot that the cartridge belongs to, or 0 */
    char home_of[33];           /* empty slots: label of the cartridge in a
                                 * drive that belongs here, or "" */
    char drive[RI_NAME_MAX];    /* drives: their name in the service, or "" */
    char drive_serial[33];      /* drives: as the robot or the drive gives it */
    bool drive_set_aside;       /* drives: failed three different cartridges */
    char volume[RI_NAME_MAX];   /* export name of the volume on it, or "" */
    char identity[RI_NAME_MAX]; /* its UUID or fingerprint, or "" */
    char label[RI_NAME_MAX];    /* its label, or "" */
    uint32_t uses;              /* loads of this cartridge, by the ledger */
    uint32_t errors;            /* loads of it that failed */
    uint32_t drive_uses, drive_errors;  /* drives: the same of the drive */
    uint32_t cleanings;         /* cleaning cartridges: how often used */
    bool expired;               /* ... and used up */
    bool marked;                /* the cartridge failed in two drives */
    uint64_t in_drive_ms;       /* drives: since it was loaded, 0 when empty */
};

/* Snapshots, freed with free(). */
int ri_libraries(struct ri_service *service, struct ri_library_info **out_list,
                 size_t *out_count);
/* -ENODEV: no library is called so. */
int ri_library_elements(struct ri_service *service, const char *library,
                        struct ri_element_info **out_list, size_t *out_count,
                        struct ri_error *out_error);

enum ri_library_op {
    RI_LIB_LOAD,        /* slot source (or label) -> drive */
    RI_LIB_UNLOAD,      /* drive -> slot destination, or home when 0; with a
                         * label: only that cartridge, else -EMEDIUMTYPE */
    RI_LIB_TRANSFER,    /* slot source -> slot destination */
    RI_LIB_EXCHANGE,    /* source -> destination -> second (0: source) */
    RI_LIB_POSITION,    /* the transport goes to slot source, or the drive */
    RI_LIB_INVENTORY,   /* the robot looks; then all is read */
    RI_LIB_REFRESH,     /* only reads what the robot knows */
    RI_LIB_OPEN_MAIL,   /* extends a mail slot (source, 0: the first) */
    RI_LIB_CLOSE_MAIL,
    RI_LIB_LOCK,        /* door and mail slots, as far as it can */
    RI_LIB_UNLOCK,
    RI_LIB_IMPORT,      /* mail slot source (0: a full one) -> destination
                         * (0: a free slot) */
    RI_LIB_EXPORT,      /* slot source or label -> mail slot destination (0:
                         * a free one), which is then opened if it can be */
    RI_LIB_CLEAN,       /* the drive, with the cartridge in slot source (0: any
                         * that is not used up) */
    RI_LIB_VERIFY,      /* everything is read and compared with the ledger */
    RI_LIB_SCAN,        /* loads each cartridge that nobody knows, and learns
                         * what is on it; an event "scan" for each */
};

#define RI_LIB_NOWAIT    0x01u  /* not for readiness of library or drive */
#define RI_LIB_NOVERIFY  0x02u  /* elements are not read again after a motion */
#define RI_LIB_INVERT    0x04u  /* the medium is turned over */
#define RI_LIB_INVERT2   0x08u  /* exchange: the second one, too */
#define RI_LIB_CLEANING  0x10u  /* LOAD: a cleaning cartridge is meant */
#define RI_LIB_BAR_CODES 0x20u  /* INVENTORY: labels are read anew */
#define RI_LIB_FORCE     0x40u  /* UNLOAD: though the drive does not let go */

#define RI_NO_DRIVE 0xFFFFFFFFu

struct ri_library_command {
    enum ri_library_op op;
    uint32_t source, destination, second;   /* slots, 0: not given */
    uint32_t drive;             /* or RI_NO_DRIVE */
    char label[33];             /* instead of source: a bar code; or "" */
    uint32_t count;             /* INVENTORY: slots from source; 0: all */
    uint32_t timeout_s;         /* for readiness; 0: as configured */
    uint32_t flags;             /* RI_LIB_* */
};

#define RI_LIB_NOTES_MAX 8

struct ri_library_result {
    int error;                  /* 0 or a negative errno: what was returned */
    uint32_t status;            /* exact NTSTATUS */
    char status_name[64];
    uint8_t sense[32];          /* of the command that failed */
    uint32_t sense_len;         /* 0: it was not sense data */
    uint32_t source_address, destination_address;   /* the device's, or 0 */
    uint32_t source, destination;   /* the numbers in the end, or 0 */
    uint32_t drive;             /* of LOAD, UNLOAD, CLEAN; or RI_NO_DRIVE */
    bool maybe_moved;           /* failed, and something may have moved */
    bool repeatable;            /* failed: nothing moved, the same command may
                                 * be given again, with no person's help */
    char barcode[33];           /* of the cartridge that was moved, or "" */
    char text[RI_TEXT_MAX];     /* one sentence, also when all is well */
    char notes[RI_LIB_NOTES_MAX][RI_TEXT_MAX];
    uint32_t note_count;
    uint64_t duration_ms;
};

/*
 * Waits for the motions before it, and until its own has ended.  Everything is
 * said in the result, which is always filled; a failure has its sentence in
 * out_error as well.  -ENODEV no such library; -EINVAL numbers that do not
 * exist or do not fit; -ENOMEDIUM source empty; -EEXIST destination full;
 * -EBUSY in use, locked, or refused for now; -ENOTSUP the robot cannot;
 * -ENOTUNIQ a label that two cartridges have; -ENOENT no such label, home, or
 * free slot; -EAGAIN not ready in time; -EHOSTDOWN door open or offline;
 * -ETIMEDOUT; -EIO the motion failed; -EMEDIUMTYPE another cartridge came, or
 * a cleaning cartridge where none is meant; -ESHUTDOWN.
 *
 * While it runs, events of kind "library" tell: action "start" (of a motion),
 * "wait" (for the library, a drive; now and then), "end", "failed".  Others
 * come unasked: "door" (opened, closed), "attention" (unit attention),
 * "moved" (a cartridge is elsewhere than it was left), "arrived", "gone" (of a
 * cartridge by hand), "mail" (a person used the mail slot), "cleaning" (wanted,
 * done, used up), "wrong" (another cartridge than asked for came), "aside" (a
 * drive), "marked" (a cartridge), "home" (adopted), "state".
 */
int ri_library_command(struct ri_service *service, const char *library,
                       const struct ri_library_command *command,
                       struct ri_library_result *out_result,
                       struct ri_error *out_error);

/* "load", ...: the names of operations in HTTP and JSON; NULL out of range. */
const char *ri_library_op_name(enum ri_library_op op);

/* A hand on an emulated library: "open-door", "close-door", "open-mail",
 * "close-mail", "insert" (image into element `number`), "remove" (from it).
 * -ENOTSUP: not an emulated one. */
int ri_library_hand(struct ri_service *service, const char *library,
                    const char *what, uint32_t number, const char *image,
                    struct ri_error *out_error);

/* --- events -------------------------------------------------------------------- */

struct ri_event {
    uint64_t seq;               /* 1, 2, 3 ... without gaps */
    uint64_t time_ms;           /* wall clock, since 1970 */
    const char *kind;           /* "drive", "volume", "prompt", "answer",
                                 * "recovery", "library", "tape", ... */
    const char *drive;          /* or "" */
    const char *volume;         /* or ""; of "tape": the tape's name */
    uint64_t prompt;            /* or 0 */
    const char *answers;        /* of "prompt": as in ri_prompt_info; or NULL */
    const char *text;           /* one sentence for people */
    const char *library;        /* or NULL */
    const char *action;         /* of "library": as listed there; or NULL */
};

typedef void ri_event_fn(void *context, const struct ri_event *event);

/* The callback runs on any thread, one at a time, must not block, and may not
 * call back into this API.  After ri_unsubscribe returns it is not running. */
uint64_t ri_subscribe(struct ri_service *service, ri_event_fn *fn,
                      void *context);
/* The same, and first, before it returns, what happened since the start: the
 * last 256 events at most. */
uint64_t ri_subscribe_from_start(struct ri_service *service, ri_event_fn *fn,
                                 void *context);
void ri_unsubscribe(struct ri_service *service, uint64_t subscription);

/* --- exports --------------------------------------------------------------------- */

struct ri_export_info {
    char name[RI_NAME_MAX];
    char description[RI_TEXT_MAX];
    uint64_t size_bytes;
    uint32_t block_bytes;       /* smallest unit of offset and length */
    uint32_t max_bytes;         /* largest request, multiple of block_bytes */
    bool read_only;
    bool can_fua;
    bool can_trim;
    bool can_zero;
    bool rotational;
};

/* One per volume, then "drive:NAME" for each drive with a medium. */
int ri_exports(struct ri_service *service, struct ri_export_info **out_list,
               size_t *out_count);
/* By label, UUID or "drive:NAME"; "" is the only volume, if there is just one.
 * -ENOENT: no such export (the text lists what there is). */
int ri_open(struct ri_service *service, const char *name,
            struct ri_export **out_export, struct ri_error *out_error);
void ri_export_info(struct ri_export *export_, struct ri_export_info *out_info);
/* Every request must have completed. */
void ri_close(struct ri_export *export_);

/* --- I/O ---------------------------------------------------------------------------- */

enum ri_op {
    RI_READ, RI_WRITE, RI_FLUSH, RI_TRIM, RI_ZERO,
    RI_PREFETCH,                /* NBD_CMD_CACHE: a hint */
    RI_BLOCK_STATUS,
};

#define RI_FUA     0x1u         /* WRITE, ZERO, TRIM: durable when done */
#define RI_NO_HOLE 0x2u         /* ZERO: keep it allocated */

#define RI_EXTENT_HOLE 0x1u
#define RI_EXTENT_ZERO 0x2u

struct ri_extent {
    uint64_t length_bytes;
    uint32_t flags;             /* RI_EXTENT_* */
};

/*
 * One request.  The caller owns it and its buffer until it has completed.
 * Offset and length are multiples of block_bytes and lie within the export,
 * else it completes with EINVAL (ENOSPC for writes past the end).
 */
struct ri_request {
    enum ri_op op;
    uint32_t flags;
    uint64_t offset_bytes;
    uint64_t length_bytes;      /* READ, WRITE: at most max_bytes */
    void *buffer;               /* READ: filled; WRITE: read */
    struct ri_extent *extents;  /* BLOCK_STATUS: filled */
    size_t extent_max;
    size_t extent_count;        /* out */
    void (*done)(struct ri_request *request);
    void *context;              /* the caller's */
    /* out */
    int error;                  /* 0, or a positive errno of the NBD protocol:
                                 * EPERM EIO EINVAL ENOSPC ENOTSUP ESHUTDOWN */
    uint32_t status;            /* the exact NTSTATUS */
    /* private to the library */
    void *priv[16];
};

/*
 * Runs the request on the calling thread.  Returns true when it completed
 * (error and status are set, done is not called) or false when it waits: done
 * is called exactly once, later, on any thread, perhaps before ri_submit
 * returns.  Nothing is allocated after warm-up.
 */
bool ri_submit(struct ri_export *export_, struct ri_request *request);
/* Asks a waiting request to end soon; done is still called.  Safe against a
 * completion under way as long as the request is not yet freed or reused. */
void ri_cancel(struct ri_request *request);

/*
 * Requests that come many at a time: those that are submitted between these
 * two, on one thread, may be sent to their drive together, by the second.
 */
void ri_burst_begin(void);
void ri_burst_end(void);

/*
 * Answers that come many at a time: in `done`, ri_in_burst says whether there
 * may be more with this one.  Then ri_after_burst has `run` called after them,
 * on this thread; the record is the caller's, in one list at a time, and stays
 * until then.
 */
struct ri_after {
    void (*run)(struct ri_after *after);
    struct ri_after *next;      /* private to the library */
};

bool ri_in_burst(void);
void ri_after_burst(struct ri_after *after);

/*
 * A thread that submits and sleeps in poll(2) may take in answers itself, where
 * a device has a descriptor for them; `done` is then called on it, within
 * ri_watch_take.  Between the first two it promises to poll what ri_watch_fd
 * returns (-1: nothing) for POLLIN, and to call ri_watch_take then.  That never
 * waits; FALSE: there was nothing.
 */
void ri_watch_begin(void);
void ri_watch_end(void);
int ri_watch_fd(void);
bool ri_watch_take(void);

/* --- words ---------------------------------------------------------------------------- */

struct ri_sense_info {
    uint8_t key, asc, ascq;
    bool deferred;
    char key_text[64];
    char text[RI_TEXT_MAX];     /* in words */
    char status[64];            /* NTSTATUS name for a mounted removable drive */
    uint32_t status_value;
    bool retry;
    unsigned retry_delay_s;
    char action[RI_TEXT_MAX];   /* what the class driver does, in words */
};

/* One way from a state of a volume to another: who takes it, and when. */
struct ri_arrow {
    const char *from, *to, *who, *when;
};

/* The ways that there are, by number from 0; false: no more. */
bool ri_volume_arrow(size_t index, struct ri_arrow *out_arrow);

/* A command that real drives are sent, for these kinds of devices ("disk, CD",
 * "all") and service actions ("10h, 12h", ""). */
struct ri_command {
    uint8_t opcode, length;
    const char *name;
    char devices[40], sent_by[20], actions[40];
};

/* The commands that there are, by number from 0; false: no more. */
bool ri_command(size_t index, struct ri_command *out_command);

/* -EINVAL: not sense data (the text says why). */
int ri_sense_decode(const uint8_t *sense, size_t len,
                    struct ri_sense_info *out_info,
                    struct ri_error *out_error);
const char *ri_version(void);

#endif
