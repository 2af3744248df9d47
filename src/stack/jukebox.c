/*
 * jukebox.c - the robot answers the questions: life, and what others ask of it
 *
 * Whoever asks here (the prompt broker, the file system's observer) only takes
 * a short lock, and wakes the planner.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/config_library.h"
#include "stack/jukebox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/status.h"
#include "prompt/prompt.h"

/* --- the list of volumes --------------------------------------------------------- */

static size_t
bucket_of(const char *key)
{
    size_t hash = 5381;

    for (; *key != '\0'; key++)
        hash = hash * 33 + (unsigned char) *key;
    return hash % HELD_BUCKETS;
}

struct held *
jukebox_held_locked(struct jukebox *jukebox, const char *key)
{
    struct held *held = jukebox->held[bucket_of(key)];

    while (held != NULL && strcmp(held->key, key) != 0)
        held = held->next;
    return held;
}

struct held *
jukebox_hold_locked(struct jukebox *jukebox, const char *key,
                    struct volume *volume)
{
    struct held *held = jukebox_held_locked(jukebox, key);
    size_t bucket = bucket_of(key);

    if (held == NULL) {
        held = calloc(1, sizeof *held);
        if (held == NULL)
            return NULL;
        snprintf(held->key, sizeof held->key, "%s", key);
        held->able = true;
        held->next = jukebox->held[bucket];
        jukebox->held[bucket] = held;
    }
    if (volume != NULL)
        held->volume = volume;
    return held;
}

static struct held *
held_of_locked(struct jukebox *jukebox, struct volume *volume)
{
    struct fs_volume_info info;
    struct held *held;

    fs_volume_info(volume, &info);
    held = jukebox_held_locked(jukebox, info.key);
    return held != NULL && held->volume == volume ? held : NULL;
}

/* --- cartridges that were looked at in vain ---------------------------------- */

/* Where it is among them, or belongs. */
static size_t
tried_at(const struct jukebox *jukebox, uint64_t cartridge)
{
    size_t low = 0, high = jukebox->tried_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (jukebox->tried[middle] < cartridge)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
jukebox_tried_locked(const struct jukebox *jukebox, uint64_t cartridge)
{
    size_t at = tried_at(jukebox, cartridge);

    return at < jukebox->tried_count && jukebox->tried[at] == cartridge;
}

/* Without memory for it, it is looked at again. */
void
jukebox_try_locked(struct jukebox *jukebox, uint64_t cartridge)
{
    size_t at = tried_at(jukebox, cartridge), room = jukebox->tried_room;
    uint64_t *tried = jukebox->tried;

    if (jukebox_tried_locked(jukebox, cartridge))
        return;
    if (jukebox->tried_count == room) {
        room = room > 0 ? 2 * room : 64;
        tried = realloc(tried, room * sizeof *tried);
        if (tried == NULL)
            return;
        jukebox->tried = tried;
        jukebox->tried_room = room;
    }
    memmove(tried + at + 1, tried + at,
            (jukebox->tried_count - at) * sizeof *tried);
    tried[at] = cartridge;
    jukebox->tried_count++;
}

struct volume *
jukebox_mounted(struct jukebox *jukebox, uint32_t drive)
{
    PDEVICE_OBJECT fdo = drive_fdo(jukebox_drive(jukebox, drive));
    struct volume *volume = fdo != NULL ? fs_volume_on(fdo) : NULL;
    struct fs_volume_info info;

    if (volume == NULL)
        return NULL;
    fs_volume_info(volume, &info);
    return !fs_state_away(info.state) && info.drive == fdo ? volume : NULL;
}

void
jukebox_poke_locked(struct jukebox *jukebox)
{
    jukebox->poked = true;
    pthread_cond_signal(&jukebox->plan);
}

/* --- what the prompt broker asks ----------------------------------------------------- */

bool
jukebox_robot(struct jukebox *jukebox, struct volume *volume)
{
    struct held *held;
    bool able;

    pthread_mutex_lock(&jukebox->lock);
    held = held_of_locked(jukebox, volume);
    able = held != NULL && held->able && !jukebox->stopping;
    if (held != NULL) {
        held->wanted = true;
        jukebox_poke_locked(jukebox);
    }
    pthread_mutex_unlock(&jukebox->lock);
    return able;
}

bool
jukebox_says(struct jukebox *jukebox, struct volume *volume, char *out_text)
{
    struct held *held;

    pthread_mutex_lock(&jukebox->lock);
    held = held_of_locked(jukebox, volume);
    if (held != NULL)
        memcpy(out_text, held->says, sizeof held->says);
    pthread_mutex_unlock(&jukebox->lock);
    return held != NULL;
}

/* A person says that it should be tried again. */
void
jukebox_retry(struct jukebox *jukebox, struct volume *volume)
{
    struct held *held;

    pthread_mutex_lock(&jukebox->lock);
    held = held_of_locked(jukebox, volume);
    if (held != NULL) {
        held->again_ms = 0;
        for (unsigned i = 0; i < jukebox->drive_count; i++)
            jukebox->drives[i].stay_ms = 0;
        jukebox_poke_locked(jukebox);
    }
    pthread_mutex_unlock(&jukebox->lock);
}

/* --- what happens elsewhere ------------------------------------------------------------ */

static bool
is_ours(struct jukebox *jukebox, PDEVICE_OBJECT fdo)
{
    for (unsigned i = 0; fdo != NULL && i < jukebox->drive_count; i++)
        if (drive_fdo(jukebox_drive(jukebox, i)) == fdo)
            return true;
    return false;
}

void
jukebox_volume(struct jukebox *jukebox, struct volume *volume,
               enum vol_state state)
{
    struct fs_volume_info info;
    struct held *held;

    fs_volume_info(volume, &info);
    pthread_mutex_lock(&jukebox->lock);
    held = state == VOL_MOUNTED && is_ours(jukebox, info.drive)
               ? jukebox_hold_locked(jukebox, info.key, volume)
               : held_of_locked(jukebox, volume);
    if (held != NULL && state == VOL_MOUNTED) {
        held->record_due = true;
        held->failed = false;
        held->failures = 0;
        held->again_ms = 0;
    }
    if (held != NULL)
        jukebox_poke_locked(jukebox);
    pthread_mutex_unlock(&jukebox->lock);
}

/* Something was cured, perhaps: what failed is tried anew. */
static bool
may_cure(const char *action)
{
    static const char *const actions[] = { "door",  "mail",  "arrived", "gone",
                                           "moved", "state", "home" };

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(action, actions[i]) == 0)
            return true;
    return false;
}

/* Is it about cartridges that nobody has looked at? */
static bool
brings_others(const char *action)
{
    return strcmp(action, "door") == 0 || strcmp(action, "mail") == 0 ||
           strcmp(action, "arrived") == 0;
}

void
jukebox_event(struct jukebox *jukebox, const char *action)
{
    pthread_mutex_lock(&jukebox->lock);
    if (brings_others(action))
        jukebox->tried_count = 0;
    if (may_cure(action))
        EACH_HELD(jukebox, held) held->again_ms = 0;
    jukebox_poke_locked(jukebox);
    pthread_mutex_unlock(&jukebox->lock);
}

void
jukebox_set_drive(struct jukebox *jukebox, unsigned n, struct drive *drive)
{
    __atomic_store_n(&jukebox->drives[n].drive, drive, __ATOMIC_RELEASE);
}

void
jukebox_look(struct jukebox *jukebox)
{
    pthread_mutex_lock(&jukebox->lock);
    jukebox_poke_locked(jukebox);
    pthread_mutex_unlock(&jukebox->lock);
}

/* --- scan -------------------------------------------------------------------------------- */

int
jukebox_scan(struct jukebox *jukebox, char *out_text)
{
    int rc = -EBUSY;

    pthread_mutex_lock(&jukebox->lock);
    snprintf(out_text, RI_TEXT_MAX, "library %s is being scanned already",
             jukebox->name);
    if (!jukebox->scanning && !jukebox->stopping) {
        jukebox->scanning = true;
        jukebox->scan_done = jukebox->scan_found = 0;
        jukebox->tried_count = 0;
        jukebox_poke_locked(jukebox);
        while (jukebox->scanning && !jukebox->stopping)
            pthread_cond_wait(&jukebox->scanned, &jukebox->lock);
        rc = jukebox->stopping ? -ESHUTDOWN : jukebox->scan_rc;
        if (jukebox->stopping)
            snprintf(out_text, RI_TEXT_MAX, "the service is ending");
        else
            memcpy(out_text, jukebox->scan_text, RI_TEXT_MAX);
    }
    pthread_mutex_unlock(&jukebox->lock);
    return rc;
}

/* --- operators ------------------------------------------------------------------------------ */

/* What an operator loads is his, until it leaves the drive. */
static void
note_command(struct jukebox *jukebox, const struct ri_library_command *command,
             const struct ri_library_result *result, bool his)
{
    bool loads = command->op == RI_LIB_LOAD || command->op == RI_LIB_EXCHANGE;

    pthread_mutex_lock(&jukebox->lock);
    if (command->drive < jukebox->drive_count) {
        jukebox->drives[command->drive].operators--;
        if (!his)
            jukebox->drives[command->drive].pinned = false;
    }
    if (his && loads && result->error == 0 &&
        result->drive < jukebox->drive_count)
        jukebox->drives[result->drive].pinned = true;
    EACH_HELD(jukebox, held) held->again_ms = 0;
    jukebox_poke_locked(jukebox);
    pthread_mutex_unlock(&jukebox->lock);
}

/* Until it has ended nobody else takes something into the drive or out of it. */
static void
begin_command(struct jukebox *jukebox, const struct ri_library_command *command)
{
    pthread_mutex_lock(&jukebox->lock);
    if (command->drive < jukebox->drive_count)
        jukebox->drives[command->drive].operators++;
    pthread_mutex_unlock(&jukebox->lock);
}

static int
command_scan(struct jukebox *jukebox, struct ri_library_result *out_result,
             struct ri_error *out_error)
{
    uint64_t begun_ms = clock_coarse_ms();

    memset(out_result, 0, sizeof *out_result);
    out_result->drive = RI_NO_DRIVE;
    out_result->error = jukebox_scan(jukebox, out_result->text);
    out_result->status =
        (uint32_t) (out_result->error == 0 ? STATUS_SUCCESS
                                           : STATUS_DEVICE_NOT_READY);
    snprintf(out_result->status_name, sizeof out_result->status_name, "%s",
             status_name((NTSTATUS) out_result->status));
    out_result->duration_ms = clock_coarse_ms() - begun_ms;
    return out_result->error == 0
               ? 0
               : ri_fail(out_error, out_result->error, "library %.80s: %.400s",
                         jukebox->name, out_result->text);
}

static int
carry_out(struct jukebox *jukebox, struct library *library,
          const struct ri_library_command *command, bool his,
          struct ri_library_result *out_result, struct ri_error *out_error)
{
    int rc;

    if (jukebox != NULL)
        begin_command(jukebox, command);
    rc = library_command(library, command, out_result, out_error);
    if (jukebox != NULL)
        note_command(jukebox, command, out_result, his);
    return rc;
}

int
jukebox_errand(struct jukebox *jukebox, struct library *library,
               const struct ri_library_command *command,
               struct ri_library_result *out_result)
{
    return carry_out(jukebox, library, command, false, out_result, NULL);
}

int
jukebox_command(struct jukebox *jukebox, struct library *library,
                const struct ri_library_command *command,
                struct ri_library_result *out_result,
                struct ri_error *out_error)
{
    if (jukebox != NULL && command->op == RI_LIB_SCAN)
        return command_scan(jukebox, out_result, out_error);
    return carry_out(jukebox, library, command, true, out_result, out_error);
}

/* --- threads ------------------------------------------------------------------------------- */

static void
wait_until(struct jukebox *jukebox, uint64_t until_ms)
{
    uint64_t now_ms = clock_coarse_ms(), ms;
    struct timespec at;

    if (until_ms == JB_NEVER) {
        pthread_cond_wait(&jukebox->plan, &jukebox->lock);
        return;
    }
    ms = until_ms > now_ms ? until_ms - now_ms : 1;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t) (ms / 1000);
    at.tv_nsec += (long) (ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&jukebox->plan, &jukebox->lock, &at);
}

static void *
planner(void *argument)
{
    struct jukebox *jukebox = argument;
    uint64_t until_ms = 0;

    pthread_mutex_lock(&jukebox->lock);
    while (!jukebox->stopping) {
        while (!jukebox->poked && !jukebox->stopping &&
               clock_coarse_ms() < until_ms)
            wait_until(jukebox, until_ms);
        jukebox->poked = false;
        if (jukebox->stopping)
            break;
        pthread_mutex_unlock(&jukebox->lock);
        jukebox_keep(jukebox);
        jukebox_restore(jukebox);
        until_ms = jukebox_plan(jukebox);
        pthread_mutex_lock(&jukebox->lock);
    }
    pthread_cond_broadcast(&jukebox->scanned);
    pthread_mutex_unlock(&jukebox->lock);
    return NULL;
}

static void *
mover(void *argument)
{
    struct jukebox *jukebox = argument;
    struct job job;

    pthread_mutex_lock(&jukebox->lock);
    while (!jukebox->stopping) {
        if (!jukebox->job.running) {
            pthread_cond_wait(&jukebox->move, &jukebox->lock);
            continue;
        }
        job = jukebox->job;
        pthread_mutex_unlock(&jukebox->lock);
        jukebox_move(jukebox, &job);
        pthread_mutex_lock(&jukebox->lock);
        jukebox->job.running = false;
        jukebox_poke_locked(jukebox);
    }
    pthread_mutex_unlock(&jukebox->lock);
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------ */

static struct jukebox *
new_jukebox(struct ri_service *service, struct library *library,
            const struct ri_library_config *config)
{
    struct jukebox *jukebox = calloc(1, sizeof *jukebox);
    pthread_condattr_t attributes;

    if (jukebox == NULL)
        return NULL;
    jukebox->drives = calloc(config->drive_count + 1, sizeof *jukebox->drives);
    if (jukebox->drives == NULL) {
        free(jukebox);
        return NULL;
    }
    jukebox->service = service;
    jukebox->library = library;
    snprintf(jukebox->name, sizeof jukebox->name, "%s", config->name);
    jukebox->cleans = config->cleaning;
    jb_policy_default(&jukebox->policy);
    jukebox->policy.residence_ms = 1000ull * config->min_residence_s;
    if (jukebox->policy.idle_ms > jukebox->policy.residence_ms)
        jukebox->policy.idle_ms = jukebox->policy.residence_ms;
    pthread_mutex_init(&jukebox->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&jukebox->plan, &attributes);
    pthread_cond_init(&jukebox->move, NULL);
    pthread_cond_init(&jukebox->scanned, NULL);
    pthread_condattr_destroy(&attributes);
    return jukebox;
}

static int
find_drives(struct jukebox *jukebox, const struct ri_library_config *config,
            struct ri_error *out_error)
{
    char name[RI_NAME_MAX];

    for (unsigned i = 0; i < config->drive_count; i++) {
        library_drive_name(config, i, name);
        jukebox->drives[i].drive =
            library_drive(jukebox->service, config->name, i);
        if (jukebox->drives[i].drive == NULL)
            jukebox->drives[i].drive =
                drive_find(jukebox->service, name, out_error);
        if (jukebox->drives[i].drive == NULL)
            return -ENODEV;
    }
    jukebox->drive_count = config->drive_count;
    return 0;
}

static int
start_threads(struct jukebox *jukebox)
{
    if (pthread_create(&jukebox->planner, NULL, planner, jukebox) != 0)
        return -EAGAIN;
    if (pthread_create(&jukebox->mover, NULL, mover, jukebox) == 0) {
        jukebox->threads = true;
        return 0;
    }
    pthread_mutex_lock(&jukebox->lock);
    jukebox->stopping = true;
    jukebox_poke_locked(jukebox);
    pthread_mutex_unlock(&jukebox->lock);
    pthread_join(jukebox->planner, NULL);
    return -EAGAIN;
}

/* What is in drives already was mounted before anybody listened here. */
static BOOLEAN
take_mounted(void *context, struct volume *volume)
{
    struct fs_volume_info info;

    fs_volume_info(volume, &info);
    jukebox_volume(context, volume, info.state);
    return TRUE;
}

int
jukebox_start(struct ri_service *service, struct library *library,
              const struct ri_library_config *config,
              struct jukebox **out_jukebox, struct ri_error *out_error)
{
    struct jukebox *jukebox = new_jukebox(service, library, config);
    char path[RI_PATH_MAX + 16], text[RI_TEXT_MAX - 80] = "";
    int rc;

    if (jukebox == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    rc = find_drives(jukebox, config, out_error);
    snprintf(path, sizeof path, "%s/volumes.db", config->state);
    if (rc == 0) {
        rc = volumes_open(path, &jukebox->volumes, text, sizeof text);
        if (rc != 0)
            ri_fail(out_error, rc, "library %.80s: %s", config->name, text);
    }
    if (rc == 0) {
        fs_each_volume(take_mounted, jukebox);
        jukebox_restore(jukebox);
        rc = start_threads(jukebox);
        if (rc != 0)
            ri_fail(out_error, rc, "library %.80s: no thread", config->name);
    }
    if (rc != 0) {
        jukebox_free(jukebox);
        return rc;
    }
    *out_jukebox = jukebox;
    return 0;
}

void
jukebox_stop(struct jukebox *jukebox)
{
    pthread_mutex_lock(&jukebox->lock);
    jukebox->stopping = true;
    jukebox_poke_locked(jukebox);
    pthread_cond_signal(&jukebox->move);
    pthread_cond_broadcast(&jukebox->scanned);
    pthread_mutex_unlock(&jukebox->lock);
}

void
jukebox_join(struct jukebox *jukebox)
{
    if (!jukebox->threads)
        return;
    jukebox_stop(jukebox);
    pthread_join(jukebox->planner, NULL);
    pthread_join(jukebox->mover, NULL);
    jukebox->threads = false;
    jukebox_keep(jukebox);
}

void
jukebox_free(struct jukebox *jukebox)
{
    for (size_t i = 0; i < HELD_BUCKETS; i++)
        while (jukebox->held[i] != NULL) {
            struct held *held = jukebox->held[i];

            jukebox->held[i] = held->next;
            free(held);
        }
    volumes_close(jukebox->volumes);
    pthread_cond_destroy(&jukebox->plan);
    pthread_cond_destroy(&jukebox->move);
    pthread_cond_destroy(&jukebox->scanned);
    pthread_mutex_destroy(&jukebox->lock);
    free(jukebox->tried);
    free(jukebox->drives);
    free(jukebox);
}

/* --- all of them ------------------------------------------------------------------------------ */

int
jukeboxes_start(struct ri_service *service, const struct ri_config *config,
                struct ri_error *out_error)
{
    int rc = 0;

    service->jukeboxes =
        calloc(config->library_count + 1, sizeof(struct jukebox *));
    if (service->jukeboxes == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < config->library_count; i++) {
        const struct ri_library_config *shape = &config->libraries[i];

        rc = jukebox_start(service, library_named(service, shape->name), shape,
                           &service->jukeboxes[i], out_error);
        if (rc != 0)
            return config_at(config, shape->state_line, rc, out_error);
        /* See library_order_drives. */
        __atomic_store_n(&service->jukebox_count, i + 1, __ATOMIC_SEQ_CST);
        for (unsigned n = 0; n < service->jukeboxes[i]->drive_count; n++)
            jukebox_set_drive(service->jukeboxes[i], n,
                              library_drive(service, shape->name, n));
    }
    return rc;
}

void
jukeboxes_stop(struct ri_service *service)
{
    for (size_t i = 0; i < jukebox_count(service); i++)
        jukebox_stop(service->jukeboxes[i]);
}

void
jukeboxes_join(struct ri_service *service)
{
    for (size_t i = 0; i < jukebox_count(service); i++)
        jukebox_join(service->jukeboxes[i]);
}

void
jukeboxes_free(struct ri_service *service)
{
    for (size_t i = 0; i < jukebox_count(service); i++)
        jukebox_free(service->jukeboxes[i]);
    free(service->jukeboxes);
}

struct jukebox *
jukebox_named(struct ri_service *service, const char *name)
{
    for (size_t i = 0; i < jukebox_count(service); i++)
        if (strcmp(service->jukeboxes[i]->name, name) == 0)
            return service->jukeboxes[i];
    return NULL;
}
