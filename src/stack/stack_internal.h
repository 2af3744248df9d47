/*
 * stack_internal.h - the service behind reinsert.h
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_STACK_INTERNAL_H
#define STACK_STACK_INTERNAL_H

#include <ntifs.h>
#include <pthread.h>
#include <reinsert.h>
#include <vscsi.h>

#include "fs/fs.h"

struct jukebox;
struct tape_robot;
struct tape_unit;
struct library;
struct library_unit;
struct library_volume;
struct libraries;
struct target;

struct drive {
    struct ri_service *service;
    struct library_unit *library;       /* that it belongs to, or NULL */
    struct target *target;              /* that it is a unit of, one of all;
                                         * or NULL */
    struct ri_drive_config config;      /* its texts: not owned */
    struct vscsi_drive *device;
    struct sg_drive *sg;                /* of port = sg */
    struct tape_unit *tape;             /* tape drives, once they are there */
    struct library_volume *seen;        /* ... and the last known of the tape in
                                         * it; see tape.c */
    PDEVICE_OBJECT pdo;
    PDEVICE_OBJECT fdo;                 /* the storage device, with the VPB;
                                         * atomic: NULL until it was there */
    LONG beginning;                     /* atomic: somebody makes it */
    char late_why[RI_TEXT_MAX / 2];     /* ... and why not; drives_begin.c */
    bool late_no_way;                   /* ... which is that there is no way */
    char *late_parameters;              /* of the registry, for then; owned */
    PFILE_OBJECT file;                  /* for notifications */
    PVOID notification;
    KTIMER look_timer;                  /* look again, later and later */
    KDPC look_dpc;
    WORK_QUEUE_ITEM look_work;
    LONG look_queued;                   /* atomic; 1: it runs, 2: once more */
    ULONG look_delay_s;                 /* atomic */
    ULONG count;                        /* at the last look; atomic */
    NTSTATUS found;                     /* by the last look; atomic */
};

#define TAPE_DRIVERS_MAX 8

#define EVENTS_KEPT 256

struct subscriber {
    struct subscriber *next;
    uint64_t id;
    ri_event_fn *fn;
    void *context;
};

/*
 * Locks, none inside another: export_lock (open exports), event_lock (held
 * while subscribers are called, one event at a time), keep_lock (kept).  Drives stay where they
 * are; after the start some may come, behind the others: see drives_known.
 */
struct ri_service {
    PDRIVER_OBJECT port, disk, cdrom, fs;
    PDRIVER_OBJECT minitape[TAPE_DRIVERS_MAX];  /* loaded when first needed */
    uint64_t tape_unflushed_bytes;
    bool tapes;                         /* tapes_begin was successful */
    struct tape_robot **tape_robots;    /* one per library with tape drives */
    size_t tape_robot_count;            /* atomic */
    struct drive *drives;
    size_t drive_count;                 /* atomic */
    size_t drive_room;
    pthread_mutex_t drives_lock;        /* of targets.c */
    struct target **targets;            /* fixed after the start */
    size_t target_count;
    struct libraries *libraries;        /* NULL before they are there */
    bool stopping;                      /* atomic */

    struct jukebox **jukeboxes;         /* one per library; fixed likewise */
    size_t jukebox_count;               /* atomic */

    pthread_mutex_t export_lock;
    struct ri_export *exports;          /* open ones */

    pthread_mutex_t event_lock;
    struct subscriber *subscribers;
    uint64_t last_event, last_subscriber;
    struct kept_event *kept_events[EVENTS_KEPT]; /* by number, modulo that */

    char recovery_dir[RI_PATH_MAX];
    pthread_mutex_t keep_lock;
    struct disklog *disklog;            /* NULL: no log on disk */
    KTIMER end_timer;                   /* nobody waits for a silent drive */
    KDPC end_dpc;
    uint64_t end_ms;                    /* since then */
    /* For the first drive, to be found. */
    enum { LOGS_READ, LOGS_WAIT, LOGS_FAILED } logs_wait;
    bool looking;                       /* atomic: drives may be looked at */
    struct kept *kept;                  /* recovery files, oldest first */
    size_t kept_count;
};

/* config.c */
/* rc; if that is a failure, of what the configuration says on a line (0: it does
 * not), the line goes in front of its text. */
int config_at(const struct ri_config *config, unsigned line, int rc,
              struct ri_error *error);
int ri_fail(struct ri_error *out_error, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* registry.c */
/* NAME=VALUE in each line, into the key. */
NTSTATUS registry_set_lines(HANDLE key, const char *lines);
/* DRIVER/NAME=VALUE in each line; NULL: nothing. */
NTSTATUS registry_set_drivers(const char *lines);
/* The same as the first, into the key of a device; NULL: nothing. */
NTSTATUS registry_set_device(PDEVICE_OBJECT pdo, const char *lines);

/* drives.c */
struct drive *drive_find(struct ri_service *service, const char *name,
                         struct ri_error *out_error);
struct drive *drive_of(struct ri_service *service, PDEVICE_OBJECT fdo);
/* How many there are, each as a whole. */
static inline size_t
drives_known(const struct ri_service *service)
{
    return __atomic_load_n(&service->drive_count, __ATOMIC_ACQUIRE);
}
/* Its storage device, or NULL: it was not there yet since the start. */
static inline PDEVICE_OBJECT
drive_fdo(const struct drive *drive)
{
    return __atomic_load_n(&drive->fdo, __ATOMIC_ACQUIRE);
}
/* The emulated device alone, with its medium. */
int drive_make(struct drive *drive, struct ri_error *out_error);
#define DRIVE_LOOK_FIRST_S 1
KDEFERRED_ROUTINE drive_look_dpc;
DRIVER_NOTIFICATION_CALLBACK_ROUTINE drive_media_changed;
/* The stack, then the device. */
void drive_detach(struct drive *drive);
void drive_free(struct drive *drive);
/* drives_begin.c */
/* Its unit and its stack; of a real drive that is away: the unit alone. */
int drive_begin(struct drive *drive, struct ri_error *out_error);
/* The unit alone, while the service runs; whoever looks at it makes the rest. */
int drive_begin_later(struct drive *drive, struct ri_error *out_error);
/* Has it its stack?  If it was away, and may be there by now, it is made. */
bool drive_is_there(struct drive *drive);
/* Is there a way to it now? */
bool drive_can_be_used(struct drive *drive);
/* Why it has none, or "". */
/* What it complained about last, "K/ASC/ASCQ words", RI_TEXT_MAX; "": nothing. */
void drive_sense(const struct drive *drive, char *out_text);
void drive_why_away(struct drive *drive, char *out_text, size_t text_max);
/* One that was there: its target lets us not in any more, or does again. */
void drive_tell_refused(struct drive *drive);

/* drives.c */
/* As far as it is known. */
bool drive_has_medium(const struct drive *drive);
/* Looks what is in the drive now, and lets the file system settle it. */
void drive_look(struct drive *drive);
/* The same in some seconds; for what no event will tell of. */
/* At once, on a worker; callable where nothing may wait. */
void drive_look_soon(struct drive *drive);
/* For fs_set_announces; context: the service. */
BOOLEAN drive_announces(void *context, PDEVICE_OBJECT fdo);
void drive_look_later(struct drive *drive);
/* A question is open: drives that would not announce its medium are looked
 * into, every second as long as there is one. */
void drives_look_for(struct ri_service *service);

/* names.c */
/* The export name of a volume now, unique; RI_NAME_MAX. */
void volume_name(struct ri_service *service, struct volume *volume,
                 char *out_name);
struct volume *volume_find(struct ri_service *service, const char *name);
size_t volume_count(void);

/* events.c */
void event_send(struct ri_service *service, const char *kind,
                const char *drive, const char *volume, uint64_t prompt,
                const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* What is kept of them; nobody listens any more. */
void events_free(struct ri_service *service);

/* Of kind "prompt". */
void event_send_prompt(struct ri_service *service,
                       const struct ri_prompt_info *prompt, const char *text);

/* Of kind "library". */
void event_send_library(struct ri_service *service, const char *library,
                        const char *action, const char *drive,
                        const char *text);

/* library.c, library_ask.c */
/* With their drives, which follow those that are there. */
int libraries_start(struct ri_service *service, const struct ri_config *config,
                    struct ri_error *out_error);
/* Nobody waits for them any more. */
void libraries_stop(struct ri_service *service);
/* ... and ends what still waits for a robot; half a second at most. */
void libraries_let_go(struct ri_service *service);
/* What runs has ended; the ledgers are closed. */
void libraries_close(struct ri_service *service);
/* The robots' stacks; and, after all drives were detached, the rest. */
void libraries_detach(struct ri_service *service);
void libraries_free(struct ri_service *service);
/* <= APC, waits for nothing. */
void libraries_volume_changed(struct ri_service *service,
                              const struct drive *drive);
/* A drive that was away is about to be there: it gets its place among its
 * library's drives; and: it is, or it went, or came back. */
void libraries_drive_comes(const struct drive *drive);
void libraries_drive_turned(struct ri_service *service,
                            const struct drive *drive);
/* The name of the library that the drive belongs to, or NULL. */
const char *library_of_drive(const struct drive *drive);
/* Which of the service is its drive n; NULL: no such library, or drive. */
struct drive *library_drive(struct ri_service *service, const char *name,
                            unsigned n);
/* Tests: the emulated one. */
struct vscsi_library *library_device(struct ri_service *service,
                                     const char *name);
struct library *library_named(struct ri_service *service, const char *name);

/* keep.c */
void keeper_start(struct ri_service *service, const struct ri_config *config);
void keeper_stop(struct ri_service *service);
/* The volume's newest recovery file (RI_PATH_MAX) and its number, or "" and 0. */
uint64_t kept_newest(struct ri_service *service, struct volume *volume,
                     char *out_file);

/* In the list of recovery files. */
void keeper_add(struct ri_service *service, struct volume *volume,
              const struct ri_recovery_info *info);

/* disklog.c */
/* Takes the folder, if one is configured. */
int disklog_start(struct ri_service *service, const struct ri_config *config,
                  struct ri_error *out_error);
void disklog_stop(struct ri_service *service);
/* disklog_find.c */
/* Makes the volumes that logs tell of, before any drive is looked at. */
int disklog_find(struct ri_service *service, struct ri_error *out_error);
/* Logs whose volume is still away, into `list` (of max; or NULL): how many. */
size_t disklog_waiting(struct ri_service *service, size_t max,
                       struct ri_recovery_info *list);
/* jukebox.c: one per library; see jukebox.h */
/* After the library was opened; its state directory and drives are there. */
int jukebox_start(struct ri_service *service, struct library *library,
                  const struct ri_library_config *config,
                  struct jukebox **out_jukebox, struct ri_error *out_error);
/* Begins nothing any more. */
void jukebox_stop(struct jukebox *jukebox);
/* After library_stop, before library_close: waits for what runs.  It may still
 * be asked. */
void jukebox_join(struct jukebox *jukebox);
void jukebox_free(struct jukebox *jukebox);
/* The same for all libraries.  jukeboxes_free: when nobody asks any more. */
int jukeboxes_start(struct ri_service *service, const struct ri_config *config,
                    struct ri_error *out_error);
void jukeboxes_stop(struct ri_service *service);
void jukeboxes_join(struct ri_service *service);
void jukeboxes_free(struct ri_service *service);
struct jukebox *jukebox_named(struct ri_service *service, const char *name);
static inline size_t
jukebox_count(struct ri_service *service)
{
    return __atomic_load_n(&service->jukebox_count, __ATOMIC_SEQ_CST);
}
/* Does the robot bring the volume?  From now on it is wanted. */
bool jukebox_robot(struct jukebox *jukebox, struct volume *volume);
/* Why not (RI_TEXT_MAX); false: it is none of this library's. */
bool jukebox_says(struct jukebox *jukebox, struct volume *volume,
                  char *out_text);
void jukebox_retry(struct jukebox *jukebox, struct volume *volume);
/* The file system's observer. */
void jukebox_volume(struct jukebox *jukebox, struct volume *volume,
                    enum vol_state state);
/* An event of the library; may be called where nothing may wait. */
void jukebox_event(struct jukebox *jukebox, const char *action);
/* Its drive n is this one. */
void jukebox_set_drive(struct jukebox *jukebox, unsigned n,
                       struct drive *drive);
/* What the library shows is new. */
void jukebox_look(struct jukebox *jukebox);
/* A command of an operator; jukebox may be NULL. */
int jukebox_command(struct jukebox *jukebox, struct library *library,
                    const struct ri_library_command *command,
                    struct ri_library_result *out_result,
                    struct ri_error *out_error);
/* The same, for a session: what it loads is nobody's afterwards. */
int jukebox_errand(struct jukebox *jukebox, struct library *library,
                   const struct ri_library_command *command,
                   struct ri_library_result *out_result);
/* Every cartridge that nobody knows is looked at; out_text: RI_TEXT_MAX, what
 * came out.  0 or -errno. */
int jukebox_scan(struct jukebox *jukebox, char *out_text);

/* exports.c */
/* A volume's content changed under those who have it open: they get EIO until
 * they open it anew. */
void exports_stale(struct ri_service *service, struct volume *volume,
                   bool stale);
uint32_t export_clients(struct ri_service *service, struct volume *volume);
/* Ends whatever waits, for the end of the service. */
void exports_cancel_all(struct ri_service *service);

/* request.c */
/* Is it of an export that is stale? */
BOOLEAN request_stale(PIRP irp);
struct ri_export {
    struct ri_export *next;
    struct ri_service *service;
    struct volume *volume;
    PDEVICE_OBJECT device;
    struct ri_export_info info;
    bool can_trim, trim_zeroes;
    bool stale;                         /* atomic */
    pthread_mutex_t lock;               /* the list of waiting requests */
    LIST_ENTRY waiting;
};

#endif
