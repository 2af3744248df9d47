/*
 * jukebox.h - the robot answers the questions: what the stack's files share
 *
 * One per library.  The planner (a thread) looks at what waits and what is
 * where, says which volumes can be brought, and chooses motions; the mover (a
 * thread) carries one out at a time.  So a question that no robot can answer is
 * put at once, however long a motion takes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_JUKEBOX_H
#define STACK_JUKEBOX_H

#include "jukebox/library.h"
#include "jukebox/schedule.h"
#include "jukebox/volumes.h"
#include "stack/stack_internal.h"

#define KEY_MAX      96
#define HELD_BUCKETS 1024

/* A volume that is in the library, or was, as long as the service lives. */
struct held {
    struct held *next;
    struct volume *volume;      /* NULL: nothing was kept of it */
    char key[KEY_MAX];
    bool record_due;            /* what it is known by is to be kept anew */
    bool wanted;                /* requests wait, or did at the last look */
    bool able;                  /* the robot brings it */
    char says[RI_TEXT_MAX];     /* ... or why not, in sentences */
    bool failed;                /* at the last try, in failed_in */
    uint32_t failed_in;
    unsigned failures;          /* in a row */
    uint64_t again_ms;          /* not tried before */
    char failure[RI_TEXT_MAX];  /* the robot's sentence */
};

struct jukebox_drive {
    struct drive *drive;        /* atomic: see jukebox_drive */
    bool pinned;                /* loaded by an operator */
    unsigned operators;         /* their commands for it that are under way */
    uint64_t loaded_ms;         /* by us */
    uint64_t stay_ms;           /* it could not be emptied: not before */
    unsigned stays;             /* how often in a row */
    char failure[RI_TEXT_MAX];  /* why */
    /* Requests to be cleaned: so far (the planner's), and when it was. */
    uint64_t cleaning_asks, cleaned_asks;
    unsigned clean_tries;
};

/* What the mover does; action JB_REST: nothing. */
struct job {
    struct jb_motion motion;
    struct ri_library_command command;
    char key[KEY_MAX];          /* of the volume that is expected, or "" */
    uint64_t cartridge;         /* its number in the ledger */
    uint64_t cleaning_asks;     /* of the drive, when it was chosen */
    bool running;
};

/* `lock` guards all below it; nothing is called with it held but list and
 * memory functions. */
struct jukebox {
    struct ri_service *service;
    struct library *library;
    char name[RI_NAME_MAX];
    struct jb_policy policy;
    bool cleans;                /* drives that ask for it */
    struct volumes *volumes;    /* the planner's, once it runs */
    struct jukebox_drive *drives;
    unsigned drive_count;
    pthread_t planner, mover;
    bool threads;

    pthread_mutex_t lock;
    pthread_cond_t plan, move, scanned;
    bool stopping, poked;
    struct held *held[HELD_BUCKETS];
    struct job job;
    uint64_t *tried;            /* cartridges: looked at in vain; sorted */
    size_t tried_count, tried_room;
    bool scanning;
    unsigned scan_done, scan_found;
    int scan_rc;
    char scan_text[RI_TEXT_MAX];
};

/* A library that was not ready at the start tells later which is which. */
static inline struct drive *
jukebox_drive(const struct jukebox *jukebox, unsigned n)
{
    return __atomic_load_n(&jukebox->drives[n].drive, __ATOMIC_ACQUIRE);
}

#define EACH_HELD(jukebox, at)                                                \
    for (size_t bucket_ = 0; bucket_ < HELD_BUCKETS; bucket_++)               \
        for (struct held *at = (jukebox)->held[bucket_]; at != NULL;          \
             at = at->next)

/* jukebox_plan.c */
/* One look at everything; when to look again, by clock_coarse_ms. */
uint64_t jukebox_plan(struct jukebox *jukebox);
/* Keeps what volumes are known by; makes volumes of what was kept. */
void jukebox_keep(struct jukebox *jukebox);
void jukebox_restore(struct jukebox *jukebox);

/* jukebox_move.c */
void jukebox_move(struct jukebox *jukebox, struct job *job);

/* jukebox.c */
/* Was the cartridge of that number looked at in vain?  From now on it was. */
bool jukebox_tried_locked(const struct jukebox *jukebox, uint64_t cartridge);
void jukebox_try_locked(struct jukebox *jukebox, uint64_t cartridge);
void jukebox_poke_locked(struct jukebox *jukebox);
struct held *jukebox_held_locked(struct jukebox *jukebox, const char *key);
/* From now on it is one of the library's; volume may be NULL. */
struct held *jukebox_hold_locked(struct jukebox *jukebox, const char *key,
                                 struct volume *volume);
/* The volume that is mounted in the drive, or NULL. */
struct volume *jukebox_mounted(struct jukebox *jukebox, uint32_t drive);

#endif
