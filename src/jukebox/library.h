/*
 * library.h - a media library: the robot, its elements, and what is known of
 * the cartridges in it
 *
 * The robot is driven through one exclusive handle (IOCTL_CHANGER_*).  After
 * every motion the elements concerned are read again and believed.  What is
 * where, whose home is which slot, and what was on which cartridge is kept in
 * the ledger (ledger.h).
 *
 * Context: PASSIVE_LEVEL, any thread, no lock held.  Motions of one library
 * take turns, in the order of their calls; what only looks (library_info,
 * library_elements, library_find) never waits for a motion.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_LIBRARY_H
#define JUKEBOX_LIBRARY_H

#include <ntddk.h>

#include <reinsert.h>

struct library;

/* What the file system knows of the medium in a drive. */
struct library_volume {
    char name[RI_NAME_MAX];     /* export name now */
    char identity[RI_NAME_MAX]; /* UUID, or what else tells it from others */
    char label[RI_NAME_MAX];
    char type[32];
    uint64_t size_bytes;
    uint32_t block_bytes;
};

/* What the last CHECK CONDITION of the robot said. */
struct library_sense {
    uint64_t count;             /* of CHECK CONDITIONs so far */
    uint8_t bytes[32];
    uint32_t len;
};

/* What the stack does for a library.  Called on the thread of a command, with
 * no lock held but the turn. */
struct library_host {
    void *context;
    /* The one handle of the changer; a failure of it is waited for like one of
     * the robot. */
    NTSTATUS (*open)(void *context, PFILE_OBJECT *out_file);
    void (*close)(void *context, PFILE_OBJECT file);
    /* Through the drive's own stack: flush, unlock, let go of the medium. */
    NTSTATUS (*release)(void *context, unsigned drive);
    /* STATUS_SUCCESS ready; STATUS_DEVICE_NOT_READY becoming so;
     * STATUS_NO_MEDIA_IN_DEVICE nothing is in it; others: it is not usable. */
    NTSTATUS (*ready)(void *context, unsigned drive);
    /* Is there no way to the drive now?  Nothing is loaded then; or NULL. */
    BOOLEAN (*away)(void *context, unsigned drive);
    /* Something came in or went: verify, mount. */
    void (*look)(void *context, unsigned drive);
    /* The volume that is mounted there now; FALSE: none. */
    BOOLEAN (*volume)(void *context, unsigned drive,
                      struct library_volume *out_volume);
    /* With a cleaning cartridge in it: STATUS_CLEANER_CARTRIDGE_INSTALLED while
     * it cleans, STATUS_UNRECOGNIZED_MEDIA when the cartridge is used up;
     * others: it is done. */
    NTSTATUS (*cleaned)(void *context, unsigned drive);
    /* Does the drive ask to be cleaned? */
    BOOLEAN (*cleaning)(void *context, unsigned drive);
    void (*sense)(void *context, struct library_sense *out_sense);
    /* First device address of transports, slots, mail slots and drives, by
     * SMC type code minus 1. */
    NTSTATUS (*addresses)(void *context, uint16_t out_first[4]);
    void (*drive_name)(void *context, unsigned drive, char *out_name);
    /* Before anything is done with a drive: the serial numbers that the robot
     * gives for its drives, "" for those that it does not; or NULL. */
    void (*drives)(void *context, uint32_t count, const char (*serials)[33]);
    /* The elements were read: what library_elements shows is new; or NULL. */
    void (*settled)(void *context);
    /* Kind "library"; drive: an index, or RI_NO_DRIVE. */
    void (*event)(void *context, const char *action, uint32_t drive,
                  const char *text);
};

/* One process per state directory: makes it, and locks it.  -EBUSY with the
 * holder named. */
int library_lock(const char *directory, int *out_lock,
                 struct ri_error *out_error);
void library_unlock(int lock);

/*
 * Opens the ledger, settles a motion that was interrupted, reads the elements
 * if the robot is ready (else as soon as it is).  The caller holds the lock of
 * the state directory, and outlives the library with its host.  The
 * configuration's texts are not kept.
 */
int library_open(const struct ri_library_config *config,
                 const struct library_host *host, struct library **out_library,
                 struct ri_error *out_error);
/* Waiting commands end with -ESHUTDOWN soon, new ones at once. */
void library_stop(struct library *library);
/* Whether nobody is talking to the robot, or waits for his turn; waits for that
 * so long. */
bool library_wait_idle(struct library *library, unsigned ms);
/* After library_stop: waits for a motion that runs.  NULL: nothing. */
void library_close(struct library *library);

const char *library_name(const struct library *library);
int library_command(struct library *library,
                    const struct ri_library_command *command,
                    struct ri_library_result *out_result,
                    struct ri_error *out_error);
int library_info(struct library *library, struct ri_library_info *out_info);
int library_elements(struct library *library,
                     struct ri_element_info **out_list, size_t *out_count);

/* Something about the library may have changed: it is looked at soon. */
void library_poke(struct library *library);
/* Which of the drives is which may be known better now: host.drives is asked
 * for it again, when nothing moves. */
void library_drives_again(struct library *library);
/* A volume was mounted in the drive, or left it: the ledger learns of it soon,
 * on a thread of the library's own.  May be called where nothing may wait. */
void library_drive_changed(struct library *library, unsigned drive);

/* --- what the ledger knows of volumes, for who schedules ------------------ */

struct library_cartridge {
    struct ri_element_info element;     /* where it is now */
    struct library_volume volume;       /* last known; identity "": none yet */
};

/* Every cartridge that is in the library; freed with free(). */
int library_cartridges(struct library *library,
                       struct library_cartridge **out_list,
                       size_t *out_count);
/* The cartridge that has the volume; -ENOENT none, -ENOTUNIQ several (the
 * first is given). */
int library_find(struct library *library, const char *identity,
                 struct library_cartridge *out_cartridge);

#endif
