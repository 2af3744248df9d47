/*
 * tape.h - what the files of the emulated tape drive share
 *
 * Every command that moves the tape or asks where it is runs with the gate
 * closed (OP_ALONE), so one at a time: position, buffer and mode need no lock.
 * What onlookers may see at any moment is in `seen`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_TAPE_H
#define VSCSI_TAPE_H

#include "vscsi/vscsi_internal.h"

#define TAPE_BLOCK_MAX (1u << 20)
#define TAPE_DENSITY   0x58u    /* that of LTO-5 */

enum {
    SENSE_MARK_FOUND = SENSE_FILEMARK | SENSE(0, 0x00, 0x01),
    SENSE_EARLY_WARNING = SENSE_EOM | SENSE(0, 0x00, 0x02),
    SENSE_OVERFLOW = SENSE_EOM | SENSE(0xD, 0x00, 0x02),
    SENSE_BEGINNING = SENSE_EOM | SENSE(0, 0x00, 0x04),
    SENSE_END_OF_DATA = SENSE(8, 0x00, 0x05),
    SENSE_CLEAN_ME = SENSE(0, 0x00, 0x17),
    SENSE_IN_PROGRESS = SENSE(2, 0x04, 0x07),
    SENSE_CLEANING_TAPE = SENSE(3, 0x30, 0x03),
    SENSE_CLEANING_EXPIRED = SENSE(3, 0x30, 0x13),
    SENSE_DATA_SHORT = SENSE(0xB, 0x4B, 0x00),
};

/* --- simh.c: a tape in the SIMH magtape format ----------------------------- */

enum simh_kind {
    SIMH_RECORD,
    SIMH_BAD_RECORD,            /* its data are not to be trusted */
    SIMH_MARK,
    SIMH_END,                   /* of the data */
    SIMH_DAMAGE,                /* what is here cannot be understood */
};

/* Between two objects: the number of the next one, and where the last ended. */
struct simh_place {
    uint64_t object;
    uint64_t at;
};

struct simh_object {
    enum simh_kind kind;
    uint64_t at;                /* of its first word; gaps are before it */
    uint32_t len;
    uint64_t next;              /* where it ends */
};

/* Filemarks one behind the other. */
struct simh_run {
    uint64_t first, count;
    uint64_t before;            /* marks in earlier runs */
};

struct simh {
    struct medium *medium;
    uint64_t end;               /* bytes in the image and the buffer */
    uint64_t on_medium;         /* ... of those that are in the image */
    bool cut;                   /* the image is longer, and will be cut */
    uint8_t *buffer;            /* encoded objects from `on_medium` on */
    size_t buffered, room;
    uint64_t buffered_objects;

    /* the index: objects [0, known), of which the last ends at known_at */
    uint64_t known, known_at;
    struct simh_place *points;  /* every few objects */
    size_t points_count, points_room;
    struct simh_run *runs;
    size_t runs_count, runs_room;

    uint64_t window_at;         /* bytes of the image */
    size_t window_len;
    size_t window_want;
    uint8_t window[4096];
};

/* The data of a record, wanted by whoever looks at the next object. */
struct simh_take {
    void *data;
    size_t room;                /* for a longer one nothing is read */
    uint32_t len;               /* only of a record of this length; 0: of any */
    bool done;                  /* all of it is in data */
};

/* NULL: no memory. */
struct simh *simh_new(struct medium *medium, uint64_t size);
void simh_free(struct simh *simh);
/* May the image be put into a drive?  NULL, or what is wrong with it. */
const char *simh_check(struct simh *simh);
/* The object at a place, which is known from then on; all is flushed.  take:
 * NULL, or its data come along if they are wanted; they count if it is a
 * SIMH_RECORD and take->done. */
void simh_next(struct simh *simh, const struct simh_place *place,
               struct simh_take *take, struct simh_object *out_object);
/* Indexes until object `number` is known: SIMH_RECORD, or why it is not. */
enum simh_kind simh_know(struct simh *simh, uint64_t number);
/* The place of a known object, or behind the last; false: it cannot be read. */
bool simh_find(struct simh *simh, uint64_t number, struct simh_place *out);
/* Filemarks before object `number`, which is known. */
uint64_t simh_marks_before(const struct simh *simh, uint64_t number);
/* The n-th known filemark, from 0; UINT64_MAX: there is none. */
uint64_t simh_mark(const struct simh *simh, uint64_t n);
/* What an object of so many data bytes takes in the image. */
uint64_t simh_footprint(uint32_t len);
/* Adds an object at a place, and moves it on; what was behind is gone.  len 0:
 * a filemark.  0 or sense: nothing was added. */
uint32_t simh_append(struct simh *simh, struct simh_place *place,
                     const void *data, uint32_t len, bool buffered);
/* Nothing is behind this place any more. */
uint32_t simh_erase(struct simh *simh, const struct simh_place *place);
/* Buffered objects reach the image; 0 or sense: then all stay buffered. */
uint32_t simh_flush(struct simh *simh);

/* --- tape_mam.c: the memory of a cartridge --------------------------------- */

struct attribute {
    uint16_t id;
    uint8_t format;             /* with the read-only bit */
    uint16_t len;
    uint8_t value[160];
};

#define ATTRIBUTES_MAX 40

struct mam {
    struct attribute all[ATTRIBUTES_MAX];   /* by number */
    unsigned count;
    bool changed;
    char path[];                /* of the file beside the image */
};

struct mam *mam_new(const struct medium *medium, unsigned cleaning_uses);
void mam_free(struct mam *mam);
/* False: it could not be kept. */
bool mam_save(struct mam *mam);
bool mam_is_cleaner(const struct mam *mam);
uint64_t mam_number(const struct mam *mam, uint16_t id);
/* 32 characters. */
const uint8_t *mam_text(const struct mam *mam, uint16_t id);
void mam_set_number(struct mam *mam, uint16_t id, uint64_t value);

/* --- tape.c ---------------------------------------------------------------- */

struct tape {
    /* configuration */
    struct vscsi_tape_config config;
    bool vendor;
    uint64_t capacity, warning_at;
    uint32_t default_block_bytes;

    /* mode parameters; the gate is closed for whoever writes */
    uint32_t block_bytes;       /* 0: variable */
    bool buffered;              /* mode 1 */
    bool compression, decompression;
    bool loses;                 /* the buffer is real, and lost by a yank */

    struct simh_place place;
    uint64_t busy_until_ns;
    uint64_t written, read;     /* bytes by the host, since the load */
    uint64_t total_written, total_read;
    uint64_t since_cleaning;
    uint32_t cleaner;           /* sense of a cleaning cartridge, or 0 */

    struct {
        _Atomic uint64_t object, file, unwritten, bytes;
        _Atomic uint32_t block_bytes;
        _Atomic bool at_eod, early_warning, clean_me;
    } seen;
};

/* 0, or a sense when the drive has something else to do. */
uint32_t tape_busy(const struct task *task);
/* After a command: what onlookers see. */
void tape_show(struct vscsi_drive *drive);
/* What is buffered reaches the image, and the disk below. */
uint32_t tape_sync(struct vscsi_drive *drive);
void tape_alert(struct vscsi_drive *drive, unsigned flag);
void tape_moved_bytes(struct vscsi_drive *drive, uint64_t written,
                      uint64_t read);
/* Sets the information field, and gives back the sense. */
uint32_t tape_report(struct task *task, uint32_t sense, uint64_t info);
/* Puts the position at a known object: 0 or sense. */
uint32_t tape_place(struct vscsi_drive *drive, uint64_t object);
bool tape_warned(const struct vscsi_drive *drive);

#endif
