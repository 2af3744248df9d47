/*
 * library_unit.h - a library of the service: robot, drives, and what is known
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_LIBRARY_UNIT_H
#define STACK_LIBRARY_UNIT_H

#include "jukebox/library.h"
#include "stack/stack_internal.h"

#define MCD_DRIVERS_MAX 8

struct library_unit {
    struct ri_service *service;
    struct ri_library_config config; /* its texts: not owned */
    struct vscsi_library *device;    /* NULL: a real one */
    struct sg_drive *sg;             /* of port = sg */
    PDEVICE_OBJECT pdo, fdo;         /* fdo: NULL until the robot was there */
    char *late_parameters;           /* for then; owned */
    char late_why[RI_TEXT_MAX / 2];  /* why not yet, as told; with the turn */
    bool late_no_way;                /* ... which is that there is no way */
    bool order_due;                  /* atomic: a drive came, they are not in
                                      * their order yet */
    bool count_told;
    /* Of the service, by the robot's numbers; atomic: see library_drives.c. */
    struct drive *drives[RI_LIBRARY_DRIVES_MAX];
    char order_fault[RI_TEXT_MAX / 2]; /* why they cannot be told apart, or "" */
    /* Of each, when it was last asked. */
    uint64_t cleaning_asks[RI_LIBRARY_DRIVES_MAX];
    int lock;
    pthread_mutex_t poke_lock; /* a library that is poked does not go */
    struct library *library;   /* NULL until it is there */
};

struct libraries {
    struct library_unit *units;
    size_t count;
    PDRIVER_OBJECT drivers[MCD_DRIVERS_MAX];
};

/* NULL: the robot has more of them than are named. */
static inline struct drive *
library_unit_drive(const struct library_unit *unit, unsigned n)
{
    return n < unit->config.drive_count
               ? __atomic_load_n(&unit->drives[n], __ATOMIC_SEQ_CST)
               : NULL;
}

/* library.c */
/* The robot's stack, if it was not there yet and is now.  With the turn. */
NTSTATUS library_robot_begin(struct library_unit *unit);

/* library_drives.c */
/* Puts the unit's drives in the robot's order; see library_host.drives. */
void library_order_drives(struct library_unit *unit, uint32_t count,
                          const char (*serials)[33]);

/* library_host.c */
/* What the jukebox's room asks of the rest. */
struct library_host library_host_of(struct library_unit *unit);

#endif
