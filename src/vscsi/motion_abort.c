/*
 * motion_abort.c - commands of motions end before the motion does
 *
 * The motion goes on without its command when it has begun, and is never
 * carried out when it has not.  Takes the library's lock; `done` is called
 * without it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "vscsi/motion.h"

struct which {
    const struct vscsi_command *command; /* NULL: any */
    const struct vscsi_nexus *nexus;     /* NULL: any */
};

static bool
meant(const struct which *which, const struct motion *motion,
      const struct vscsi_command *command)
{
    return command != NULL &&
           (which->command == NULL || which->command == command) &&
           (which->nexus == NULL || which->nexus == motion->nexus);
}

static void
answer_aborted(const struct vscsi_nexus *nexus, struct vscsi_command *command)
{
    command->result = VSCSI_ABORTED;
    command->status = STATUS_GOOD;
    command->sense_len = 0;
    command->transferred = 0;
    command->attention = (uint32_t) (atomic_load(&nexus->attention) >> 32);
    command->done(command);
}

/* Waits for those whose done runs right now, on other threads. */
static unsigned
abort_these(struct vscsi_library *library, const struct which *which)
{
    struct vscsi_command *command;
    struct vscsi_nexus *nexus;
    struct motion *at;
    unsigned ended = 0;

    pthread_mutex_lock(&library->lock);
    for (at = library->motions; at != NULL;) {
        if (at->state == ANSWERING && meant(which, at, at->answering) &&
            !pthread_equal(at->thread, pthread_self())) {
            pthread_cond_wait(&library->moved, &library->lock);
            at = library->motions;
            continue;
        }
        if (at->at_once || !meant(which, at, at->command)) {
            at = at->next;
            continue;
        }
        command = at->command;
        nexus = at->nexus;
        at->command = NULL;
        if (at->state == WAITING || at->state == SILENT) {
            motion_unlink_locked(at);
            free(at);
        }
        pthread_mutex_unlock(&library->lock);
        answer_aborted(nexus, command);
        ended++;
        pthread_mutex_lock(&library->lock);
        at = library->motions;
    }
    pthread_mutex_unlock(&library->lock);
    return ended;
}

bool
library_abort(struct vscsi_library *library,
              const struct vscsi_command *command)
{
    return abort_these(library, &(struct which){ command, NULL }) != 0;
}

void
library_abort_all(struct vscsi_library *library,
                  const struct vscsi_nexus *nexus)
{
    (void) abort_these(library, &(struct which){ NULL, nexus });
}
