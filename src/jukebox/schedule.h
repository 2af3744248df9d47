/*
 * schedule.h - which cartridge goes where next
 *
 * A pure decision: a picture of the library, what waits, and the time go in,
 * the next motion comes out.  Nothing is remembered in here, so the picture may
 * be made anew for every decision, of what the elements say.
 *
 * What it keeps:
 *   - a volume that is in use stays for `residence_ms`; after that it makes
 *     room for whoever has as many waiting, or has waited for `age_ms`;
 *   - one that nobody used for `idle_ms` may leave at once;
 *   - empty drives first, then the least recently used clean one, then one
 *     that has something to flush;
 *   - a drive that is set aside, pinned or busy is left alone;
 *   - who has waited for `age_ms` comes first, the oldest of them first: so with
 *     N cartridges wanted before it, none waits longer than
 *     age_ms + (N + 1) * (residence_ms + what two motions take).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_SCHEDULE_H
#define JUKEBOX_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JB_NONE  UINT32_MAX
#define JB_NEVER UINT64_MAX

enum jb_place {
    JB_OUTSIDE,                 /* not in the library, or nobody knows where */
    JB_SLOT,                    /* a mail slot, too */
    JB_DRIVE,
};

struct jb_cartridge {
    enum jb_place place;
    uint32_t at;                /* which slot or drive */
    uint32_t home;              /* slot that it goes back to, or JB_NONE */
    bool marked;                /* bad: not to be loaded */
    bool cleaning;              /* never loaded as data */
    bool unknown;               /* nobody knows what is on it, and it is asked */
    uint32_t waiting;           /* requests for it that wait */
    uint64_t since_ms;          /* the oldest of them waits since */
    bool failed;                /* lately, in drive failed_in: another one, if */
    uint32_t failed_in;         /* there is any that may be used at all */
    /* of one in a drive */
    uint64_t loaded_ms;         /* ready since */
    uint64_t used_ms;           /* its last request */
    uint32_t running;           /* requests under way */
    bool dirty;                 /* something is to be flushed */
    uint64_t stay_ms;           /* it could not leave: not before this time */
};

struct jb_drive {
    uint32_t cartridge;         /* what is in it, or JB_NONE */
    bool full;                  /* something is, though nobody knows what */
    bool aside;                 /* failed too often */
    bool pinned;                /* an operator's */
    bool busy;                  /* on its way to be ready */
    bool wants_cleaning;
};

struct jb_world {
    struct jb_cartridge *cartridges;
    size_t cartridge_count;
    struct jb_drive *drives;
    size_t drive_count;
    const bool *slot_full;      /* by slot */
    size_t slot_count;
    uint32_t position;          /* slot where the transport was last */
    bool door_open;
};

struct jb_policy {
    uint64_t residence_ms;
    uint64_t idle_ms;
    uint64_t age_ms;
};

enum jb_action {
    JB_REST,                    /* nothing to do before `until_ms` */
    JB_LOAD,                    /* cartridge: slot to drive */
    JB_UNLOAD,                  /* cartridge: drive to slot */
    JB_CLEAN,                   /* the same as JB_LOAD, of a cleaning one */
};

struct jb_motion {
    enum jb_action action;
    uint32_t cartridge, drive, slot;
    uint64_t until_ms;          /* of JB_REST; JB_NEVER: until something changes */
};

/* Why a cartridge that is wanted cannot be brought by this library; the first
 * that applies, in this order. */
enum jb_obstacle {
    JB_ABLE,
    JB_NOT_HERE,
    JB_DOOR_OPEN,
    JB_MARKED,
    JB_NO_DRIVE,                /* all drives are set aside or pinned */
    JB_STUCK,                   /* what is in the others cannot leave now */
};

void jb_policy_default(struct jb_policy *policy);
struct jb_motion jb_next(const struct jb_world *world,
                         const struct jb_policy *policy, uint64_t now_ms);
enum jb_obstacle jb_obstacle(const struct jb_world *world, uint32_t cartridge,
                             uint64_t now_ms);
/* The slot that a cartridge in a drive goes back to: its home if that is free,
 * else a free one as near to it as can be; JB_NONE: the library is full. */
uint32_t jb_slot_for(const struct jb_world *world, uint32_t cartridge);

#endif
