/*
 * recovery.h - what was acknowledged and could not be written: kept in a file
 *
 * A recovery file holds what a volume's medium still lacks when the service gave
 * up on it.  docs/recovery.md describes it byte by byte.
 *
 * Nothing here keeps state between calls but what a pointer names; one thread
 * per object.  Numbers are bytes unless said.  Functions return 0 or -errno and
 * then say in out_error what is wrong, with the file's name and the place.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REINSERT_RECOVERY_H
#define REINSERT_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REC_STATES  4   /* hashes that one block of the witness may have */
#define REC_TEXT    160

struct rec_error {
    char text[256];
};

/* Whose data these are, and why they are here. */
struct rec_about {
    uint64_t created_ms;        /* wall clock, since 1970 */
    uint32_t status;            /* the NTSTATUS that the volume was away with */
    uint32_t block_bytes;
    uint64_t size_bytes;        /* of the medium */
    char type[32];              /* as libblkid says: ext4, vfat, gpt ... */
    char uuid[96];
    char label[128];
    char drive[64];             /* where it was last */
    /* Of a file: the log on disk (unflushed.h) that it is made of, which does
     * not count any more since this file is there; or 0, 0. */
    uint64_t log_salt, log_generation;
};

/* A block of the medium whose content was known: any of these hashes. */
struct rec_witness {
    uint64_t at;
    uint32_t states;
    uint32_t reserved;
    uint64_t hash[REC_STATES];  /* rec_hash of the block */
};

uint64_t rec_hash(const void *block, size_t len);

/* /var/lib/reinsert/recovery for root, else below $XDG_STATE_HOME or
 * ~/.local/state. */
void rec_default_folder(char *out_path, size_t max);
/* Makes it, and what is missing above it, with mode 0700. */
int rec_make_folder(const char *path, struct rec_error *out_error);

/* --- writing ------------------------------------------------------------- */

struct rec_writer;

/*
 * Begins a file in folder `dir` (which must be there); its name tells the volume
 * and the time.  It has a temporary name until rec_finish.
 */
int rec_create(const char *dir, const struct rec_about *about,
               struct rec_writer **out_writer, struct rec_error *out_error);
const char *rec_path(const struct rec_writer *writer);
int rec_add_witness(struct rec_writer *writer, const struct rec_witness *list,
                    size_t count, struct rec_error *out_error);
int rec_add(struct rec_writer *writer, uint64_t offset, const void *data,
            uint32_t len, struct rec_error *out_error);
/* The range reads as zeroes. */
int rec_add_zeroes(struct rec_writer *writer, uint64_t offset, uint64_t len,
                   struct rec_error *out_error);
/* Ends the file: all of it is on disk, under its name, when this returns 0.
 * Frees the writer in any case; after a failure no file is left. */
int rec_finish(struct rec_writer *writer, struct rec_error *out_error);
/* Gives up: no file is left. */
void rec_abandon(struct rec_writer *writer);

/* --- reading ------------------------------------------------------------- */

enum rec_record { REC_DATA = 1, REC_ZEROES, REC_WITNESS, REC_END };

struct rec_reader;

/* What one record says.  data: of REC_DATA, valid until the next record. */
struct rec_item {
    enum rec_record what;
    uint64_t offset, len;
    const void *data;
    const struct rec_witness *witness;  /* len of them */
};

int rec_open(const char *path, struct rec_reader **out_reader,
             struct rec_error *out_error);
const struct rec_about *rec_about(const struct rec_reader *reader);
/*
 * 1: an item; 0: the end.  -EBADMSG: this record is damaged and out_error says
 * where; the next call goes on behind it if its length could be read.
 * -ENODATA: the file ends in the middle of a record, or without an end.
 */
int rec_next(struct rec_reader *reader, struct rec_item *out_item,
             struct rec_error *out_error);
/* How much of the file was read, for a progress bar. */
uint64_t rec_position(const struct rec_reader *reader);
uint64_t rec_size(const struct rec_reader *reader);
/* After the end: bytes of the file behind it, which nobody reads. */
uint64_t rec_stray(const struct rec_reader *reader);
void rec_close(struct rec_reader *reader);

/* --- looking and applying ------------------------------------------------ */

struct rec_summary {
    struct rec_about about;
    uint64_t records, bytes;    /* of data and zeroes */
    uint64_t damaged;           /* records that cannot be used */
    uint32_t witnesses;
    bool complete;              /* it has its end */
    uint64_t stray_bytes;       /* ... and these behind it, which are not of it */
    char problem[256];          /* the first, or "" */
};

/* Reads all of it and checks every sum. */
int rec_check(const char *path, struct rec_summary *out_summary,
              struct rec_error *out_error);

enum rec_verdict {
    REC_FITS,           /* identity and witness say: this is the medium */
    REC_OTHER_SIZE,
    REC_OTHER_VOLUME,   /* type, UUID or label differ */
    REC_CHANGED,        /* right volume, but changed since */
};

struct rec_fit {
    enum rec_verdict verdict;
    uint32_t compared, differing;       /* blocks of the witness */
    uint64_t stray_bytes;               /* as above, where blocks were compared */
    char text[384];                     /* in words */
};

/* Compares the image or block device with what the file was made for. */
int rec_compare(const char *path, const char *target, struct rec_fit *out_fit,
                struct rec_error *out_error);

struct rec_progress {
    void (*fn)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

/*
 * Writes the data to the target and flushes it.  Refuses a damaged or incomplete
 * file unless force; does not compare: rec_compare does.  out_bytes: what
 * was written, or would be (dry_run).
 */
int rec_apply(const char *path, const char *target, bool force, bool dry_run,
              const struct rec_progress *progress, uint64_t *out_bytes,
              struct rec_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
