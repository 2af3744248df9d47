/*
 * fake_library.h - the robot's layer (jukebox/library.h) as a table in memory
 *
 * Takes the place of src/jukebox/library.c in a test of what schedules: slots
 * that hold images, and drives of the service that they are put into.  It does
 * what the seam says; hands and failures are the test's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_FAKE_LIBRARY_H
#define TESTS_FAKE_LIBRARY_H

#include <pthread.h>
#include <reinsert.h>

#include "jukebox/library.h"

#define FAKE_SLOTS 12 /* the last one is a mail slot */
#define FAKE_DRIVES 2

struct fake_cartridge {
    char image[RI_PATH_MAX];
    char identity[RI_NAME_MAX]; /* what the ledger knows */
    bool known, marked, cleaning;
};

struct library {
    struct ri_service *service;
    char name[RI_NAME_MAX];
    pthread_mutex_t lock;
    struct fake_cartridge cartridges[FAKE_SLOTS];
    int slot[FAKE_SLOTS];       /* cartridge, or -1 */
    int drive[FAKE_DRIVES];     /* likewise */
    uint32_t home[FAKE_SLOTS];  /* of the cartridge, from 1 */
    bool aside[FAKE_DRIVES];
    bool door_open;
    unsigned motion_ms;         /* a motion takes so long */
    int fail_loads;             /* so many of the next ones fail */
    int fail_unloads;
    int motions;                /* atomic to read */
    int most_at_once, at_once;  /* motions */
    char log[4096];             /* "L3>0 U0>3 " */
};

void fake_library_init(struct library *library, const char *name);
/* A cartridge with the image in slot `number` (from 1). */
void fake_library_put(struct library *library, unsigned number,
                      const char *image);

#endif
