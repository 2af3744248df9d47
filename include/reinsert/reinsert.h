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

enum ri_drive_type { RI_DISK, RI_FLOPPY, RI_CDROM };
enum ri_cache { RI_CACHE_NONE, RI_CACHE_VOLATILE };
enum ri_no_operator { RI_NO_OPERATOR_WAIT, RI_NO_OPERATOR_CANCEL };

struct ri_drive_config {
    char name[RI_NAME_MAX];
    enum ri_drive_type type;
    enum ri_cache cache;
    bool readonly;              /* media are write protected in this drive */
    char medium[RI_PATH_MAX];   /* image inserted at the start, or "" */
    unsigned load_ms;           /* a medium becomes ready after so long */
    unsigned block_bytes;       /* 0: as such drives have; disks: 512, ... */
    char *faults;               /* rules of vscsi.h, a line each; owned */
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
    unsigned flush_idle_ms;               /* after the last write; 0: never */
    char recovery_dir[RI_PATH_MAX];       /* "": see recovery.h */
    char *driver_values;        /* lines DRIVER/NAME=VALUE, or NULL; owned */
    struct ri_drive_config *drives;       /* owned */
    size_t drive_count;
};

/* Defaults only: no drive, no listener. */
void ri_config_init(struct ri_config *config);
void ri_config_free(struct ri_config *config);
/* Errors read "FILE:LINE: what is wrong". */
int ri_config_load(const char *path, struct ri_config *out_config,
                   struct ri_error *out_error);
/* Appends a drive for an image: type from its content (ISO 9660/UDF: cdrom)
 * or its size (160 KiB to 2.88 MB: floppy), a name that is not taken yet
 * ("disk0", "floppy0", "cdrom0", ...). */
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

struct ri_drive_info {
    char name[RI_NAME_MAX];
    enum ri_drive_type type;
    char state[32];             /* "ready", "empty", "open", "not ready" */
    char medium[RI_PATH_MAX];   /* emulated drives: the image, or "" */
    char volume[RI_NAME_MAX];   /* export name of the volume in it, or "" */
    char sense[RI_TEXT_MAX];    /* last sense, in words, or "" */
    uint64_t size_bytes;        /* of the medium, 0 when there is none */
    uint32_t block_bytes;
    uint32_t change_count;      /* media change count of the class driver */
    uint64_t age_ms;            /* since the drive last answered */
    bool write_protected;
    bool locked;                /* PREVENT MEDIUM REMOVAL in force */
};

struct ri_volume_info {
    char name[RI_NAME_MAX];     /* export name now: label, or UUID */
    char label[RI_NAME_MAX];
    char uuid[RI_NAME_MAX];
    char type[32];              /* ext4, vfat, iso9660, gpt, unknown, blank */
    char state[32];             /* "mounted", "verifying", "ejecting", "absent",
                                 * "replaying", "changed elsewhere" */
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
/* Emulated drives: the medium is gone, whatever is going on. */
int ri_yank(struct ri_service *service, const char *drive,
            struct ri_error *out_error);

/* --- events -------------------------------------------------------------------- */

struct ri_event {
    uint64_t seq;               /* 1, 2, 3 ... without gaps */
    uint64_t time_ms;           /* wall clock, since 1970 */
    const char *kind;           /* "drive", "volume", "prompt", "answer",
                                 * "recovery", ... */
    const char *drive;          /* or "" */
    const char *volume;         /* or "" */
    uint64_t prompt;            /* or 0 */
    const char *answers;        /* of "prompt": as in ri_prompt_info; or NULL */
    const char *text;           /* one sentence for people */
};

typedef void ri_event_fn(void *context, const struct ri_event *event);

/* The callback runs on any thread, one at a time, must not block, and may not
 * call back into this API.  After ri_unsubscribe returns it is not running. */
uint64_t ri_subscribe(struct ri_service *service, ri_event_fn *fn,
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

/* -EINVAL: not sense data (the text says why). */
int ri_sense_decode(const uint8_t *sense, size_t len,
                    struct ri_sense_info *out_info,
                    struct ri_error *out_error);
const char *ri_version(void);

#endif
