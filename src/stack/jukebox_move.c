/*
 * jukebox_move.c - one motion carried out, and what is learnt of it
 *
 * A volume that has to leave is let go of by the library's own way: flushed,
 * unlocked, and only then moved.  After a load the volume that is mounted in
 * the drive is compared with the one that was meant; another one is refused for
 * it by the file system, and told here.
 *
 * Context: the mover's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/jukebox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "stack/tape_drive.h"

#define STAY_MS      5000
#define STAY_MAX_MS  300000
#define CLEAN_TRIES  3
#define AGAIN_MS     30000
#define AGAIN_MAX_MS 600000

/* Not the cartridge's or the drive's fault: it is tried as soon as it can be. */
static bool
is_about_the_library(int rc)
{
    return rc == -ESHUTDOWN || rc == -EHOSTDOWN || rc == -EAGAIN;
}

static void
without_stop(const char *text, char *out, size_t max)
{
    size_t len;

    snprintf(out, max, "%s", text);
    len = strlen(out);
    if (len > 0 && out[len - 1] == '.')
        out[len - 1] = '\0';
}

static void
unloaded(struct jukebox *jukebox, const struct job *job, int rc,
         const struct ri_library_result *result)
{
    struct jukebox_drive *drive = &jukebox->drives[job->motion.drive];

    pthread_mutex_lock(&jukebox->lock);
    if (rc == 0) {
        drive->failure[0] = '\0';
        drive->stay_ms = 0;
        drive->stays = 0;
        drive->pinned = false;
    } else if (rc == -EMEDIUMTYPE) {
        /* Another one is in it by now: the next look decides anew. */
    } else if (!is_about_the_library(rc)) {
        uint64_t wait = STAY_MS;

        /* What is stuck is not wrenched at for ever. */
        for (unsigned i = 0; i < drive->stays && wait < STAY_MAX_MS; i++)
            wait *= 2;
        drive->stays++;
        without_stop(result->text, drive->failure, sizeof drive->failure);
        drive->stay_ms =
            clock_coarse_ms() + (wait < STAY_MAX_MS ? wait : STAY_MAX_MS);
    }
    pthread_mutex_unlock(&jukebox->lock);
}

/* A request is met once: one that cannot be is not repeated for ever.  A
 * cartridge that is used up says so, and the next one is taken. */
static void
cleaned(struct jukebox *jukebox, const struct job *job, int rc)
{
    struct jukebox_drive *drive = &jukebox->drives[job->motion.drive];

    pthread_mutex_lock(&jukebox->lock);
    if (rc == 0 ||
        (!is_about_the_library(rc) && ++drive->clean_tries >= CLEAN_TRIES)) {
        drive->cleaned_asks = job->cleaning_asks;
        drive->clean_tries = 0;
    }
    pthread_mutex_unlock(&jukebox->lock);
}

static void
failed_locked(struct held *held, uint32_t drive, const char *why)
{
    uint64_t wait = AGAIN_MS;

    held->failed = true;
    held->failed_in = drive;
    without_stop(why, held->failure, sizeof held->failure);
    if (++held->failures < 2)
        return; /* at once, in another drive if there is one */
    for (unsigned i = 2; i < held->failures && wait < AGAIN_MAX_MS; i++)
        wait *= 2;
    held->again_ms =
        clock_coarse_ms() + (wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS);
}

/* A cartridge that was brought without knowing what is on it. */
static void
looked_at_locked(struct jukebox *jukebox, const struct job *job, bool found)
{
    jukebox_try_locked(jukebox, job->cartridge);
    if (!jukebox->scanning)
        return;
    jukebox->scan_done++;
    jukebox->scan_found += found;
}

static void
tell_loaded(struct jukebox *jukebox, const struct job *job, int rc,
            const struct held *held, const char *name, const char *key)
{
    const char *drive = jukebox_drive(jukebox, job->motion.drive)->config.name;
    char text[RI_TEXT_MAX];

    if (job->key[0] == '\0') {
        snprintf(text, sizeof text, "library %.100s: slot %u: %s%.200s",
                 jukebox->name, (unsigned) job->motion.slot + 1,
                 name == NULL ? "no volume that can be read"
                 : is_tape(jukebox_drive(jukebox, job->motion.drive))
                     ? "tape "
                     : "volume ",
                 name != NULL ? name : "");
        event_send_library(jukebox->service, jukebox->name, "scan", drive,
                           text);
    } else if (rc == 0 && held != NULL && strcmp(key, held->key) != 0) {
        snprintf(text, sizeof text,
                 "library %.100s: slot %u had %s%.200s instead of the volume "
                 "that was wanted; it is not used for it",
                 jukebox->name, (unsigned) job->motion.slot + 1,
                 name != NULL ? "volume " : "something unreadable",
                 name != NULL ? name : "");
        event_send_library(jukebox->service, jukebox->name, "wrong", drive,
                           text);
    }
}

static void
loaded(struct jukebox *jukebox, const struct job *job, int rc,
       const struct ri_library_result *result)
{
    struct volume *volume = jukebox_mounted(jukebox, job->motion.drive);
    struct drive *drive = jukebox_drive(jukebox, job->motion.drive);
    struct fs_volume_info info = { .key = "" };
    struct library_volume tape = { .name = "" };
    char name[RI_NAME_MAX] = "";
    struct held *held = NULL;
    bool known =
        volume != NULL || (is_tape(drive) && tape_volume(drive, &tape));

    if (volume != NULL) {
        fs_volume_info(volume, &info);
        volume_name(jukebox->service, volume, name);
    }
    pthread_mutex_lock(&jukebox->lock);
    jukebox->drives[job->motion.drive].loaded_ms = clock_coarse_ms();
    if (job->key[0] == '\0' && !is_about_the_library(rc))
        looked_at_locked(jukebox, job, known);
    else
        held = jukebox_held_locked(jukebox, job->key);
    if (held != NULL && strcmp(info.key, held->key) == 0)
        held->failed = false;
    else if (held != NULL && !is_about_the_library(rc))
        failed_locked(held, job->motion.drive,
                      rc != 0          ? result->text
                      : volume != NULL ? "another volume is on its cartridge"
                                       : "its cartridge cannot be read");
    pthread_mutex_unlock(&jukebox->lock);
    if (volume == NULL)
        snprintf(name, sizeof name, "%s", tape.name);
    tell_loaded(jukebox, job, rc, held, known ? name : NULL, info.key);
}

void
jukebox_move(struct jukebox *jukebox, struct job *job)
{
    struct ri_library_result result;
    int rc;

    memset(&result, 0, sizeof result);
    rc = library_command(jukebox->library, &job->command, &result, NULL);
    if (job->command.op == RI_LIB_LOAD)
        loaded(jukebox, job, rc, &result);
    else if (job->command.op == RI_LIB_CLEAN)
        cleaned(jukebox, job, rc);
    else
        unloaded(jukebox, job, rc, &result);
}
