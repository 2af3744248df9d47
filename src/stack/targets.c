/*
 * targets.c - iSCSI targets of which all units are meant, while the service runs
 *
 * A section whose url names no unit has a thread.  It asks the target for its
 * units when nobody could at the start, later and later; and again when a
 * session with it began, or one of its drives was told that the target's units
 * are others now.  While nobody would be told, for nothing is asked of its tape
 * drives and robots, it is asked every few seconds.  What is new gets a drive,
 * which begins like one that was away; a drive whose unit is gone stays, and is
 * away.  It is asked over the session that its drives have, else in one of its
 * own.
 *
 * Drives are made one at a time (drives_lock, of the service), in places that
 * were kept for them: whoever reads the count sees what is before it whole.
 *
 * Lock: drives_lock, over the making of a drive; a target's own, a leaf: `why`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/targets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "port/port.h"
#include "stack/iscsi.h"
#include "stack/tape_drive.h"

/* Real time: a target does not wait for a clock that tests move. */
#define PAUSE_FIRST_MS   1000
#define PAUSE_LONGEST_MS 8000
#define PAUSE_REFUSED_MS 64000 /* it answers, and that is no help */
#define SETTLE_MS        250   /* several tell of one change */
#define POLL_MS          5000  /* nobody would tell */

struct target {
    struct ri_service *service;
    struct ri_drive_config section; /* its texts are owned */
    bool known;                     /* at the start it was asked, and said */
    int turned_fd, stop_fd;
    bool runs;
    pthread_t thread;
    struct iscsi_lent lent;

    /* The thread's. */
    int pause_ms;
    struct unit_found lists[2][UNITS_MAX];
    struct unit_found *units, *found; /* as it last said; as it says */
    int unit_count;                   /* of `units`; -1: not asked yet */

    pthread_mutex_t lock;
    char why[RI_TEXT_MAX / 2]; /* its drives are not all there, or "" */
    bool no_answer;            /* ... because it could not be asked */
    bool refused;              /* ... as it is there, and lets us not in */
};

/* --- its drives ---------------------------------------------------------------- */

static struct drive *
find_drive(struct ri_service *service, const char *name)
{
    size_t count = drives_known(service);

    for (size_t i = 0; i < count; i++)
        if (strcmp(service->drives[i].config.name, name) == 0)
            return &service->drives[i];
    return NULL;
}

static size_t
count_drives(const struct target *target, bool up)
{
    size_t count = drives_known(target->service), n = 0;

    for (size_t i = 0; i < count; i++) {
        const struct drive *drive = &target->service->drives[i];
        struct port_unit_info unit;

        if (drive->target != target)
            continue;
        port_unit_info(drive->pdo, &unit);
        if (!up || !unit.away)
            n++;
    }
    return n;
}

/* Disks and CD drives are given a command each second, by which they tell. */
static bool
would_be_told(const struct target *target)
{
    size_t count = drives_known(target->service);

    for (size_t i = 0; i < count; i++) {
        struct drive *drive = &target->service->drives[i];
        struct port_unit_info unit;

        if (drive->target != target || drive_fdo(drive) == NULL ||
            is_tape(drive))
            continue;
        port_unit_info(drive->pdo, &unit);
        if (!unit.away)
            return true;
    }
    return false;
}

/* --- what is said of it ---------------------------------------------------------- */

/* That it does not answer: they are away. */
static bool
drives_say(const struct target *target)
{
    return count_drives(target, false) > 0 && count_drives(target, true) == 0;
}

/* Once for each reason; a network has another one each time, for the same. */
static void
tell(struct target *target, const char *why, bool no_answer, bool refused)
{
    const char *name = target->section.name;
    bool news, they_say = drives_say(target);

    pthread_mutex_lock(&target->lock);
    news = target->why[0] == '\0' || target->no_answer != no_answer ||
           target->refused != refused ||
           (!no_answer && strcmp(target->why, why) != 0);
    news = news && !(no_answer && they_say);
    snprintf(target->why, sizeof target->why, "%.*s",
             (int) sizeof target->why - 1, why);
    target->no_answer = no_answer;
    target->refused = refused;
    pthread_mutex_unlock(&target->lock);
    if (news && no_answer)
        event_send(target->service, "drive", name, "", 0,
                   "drive %s: its target cannot be asked for its units: %.300s",
                   name, why);
    else if (news)
        event_send(target->service, "drive", name, "", 0, "drive %s: %.300s",
                   name, why);
}

static void
all_is_known(struct target *target)
{
    pthread_mutex_lock(&target->lock);
    target->why[0] = '\0';
    target->no_answer = target->refused = false;
    pthread_mutex_unlock(&target->lock);
}

/* --- units into drives -------------------------------------------------------------- */

static bool
add_drive(struct target *target, const struct ri_drive_config *config,
          char *out_text, size_t text_max)
{
    struct ri_service *service = target->service;
    struct ri_error error = { "" };
    struct drive *drive = NULL;
    int rc = -ENOSPC;

    pthread_mutex_lock(&service->drives_lock);
    if (drives_known(service) < service->drive_room) {
        drive = &service->drives[drives_known(service)];
        memset(drive, 0, sizeof *drive);
        drive->service = service;
        drive->config = *config;
        drive->target = target;
        rc = drive_begin_later(drive, &error);
        drive->config.faults = drive->config.parameters = NULL;
    }
    if (rc == 0)
        __atomic_store_n(&service->drive_count, drives_known(service) + 1,
                         __ATOMIC_RELEASE);
    pthread_mutex_unlock(&service->drives_lock);
    if (rc == 0)
        drive_look_soon(drive);
    else
        snprintf(out_text, text_max, "drive %.70s: %.120s", config->name,
                 rc == -ENOSPC ? "there is no more room for drives"
                               : error.text);
    return rc == 0;
}

/* Of another section: it was there first. */
static const struct drive *
find_unit(const struct target *target, const struct ri_drive_config *config)
{
    size_t count = drives_known(target->service);

    for (size_t i = 0; i < count; i++)
        if (config_is_same_unit(&target->service->drives[i].config, config))
            return &target->service->drives[i];
    return NULL;
}

/* `own`: it has a section of its own. */
static bool
take_unit(struct target *target, const struct unit_found *unit, bool *own,
          char *out_text, size_t text_max)
{
    struct ri_drive_config config;
    const struct drive *other;
    struct drive *drive;

    if (!config_unit(&target->section, unit, &config, out_text, text_max))
        return false;
    drive = find_drive(target->service, config.name);
    if (drive != NULL && drive->target == target)
        return true;
    other = find_unit(target, &config);
    if (other != NULL && other->config.section[0] == '\0') {
        *own = true;
        return true;
    }
    if (other != NULL) {
        snprintf(out_text, text_max, "its unit %u is drive %s already",
                 unit->number, other->config.name);
        return false;
    }
    if (drive == NULL)
        return add_drive(target, &config, out_text, text_max);
    snprintf(out_text, text_max,
             "its unit %u would be drive %s, which is there already",
             unit->number, config.name);
    return false;
}

/* Drives whose unit is gone are told so by the target. */
static void
look_at_drives(struct target *target)
{
    size_t count = drives_known(target->service);

    for (size_t i = 0; i < count; i++)
        if (target->service->drives[i].target == target)
            drive_look_soon(&target->service->drives[i]);
}

static int
pause_of(struct target *target, int longest_ms)
{
    int pause_ms = target->pause_ms;

    target->pause_ms = pause_ms * 2 < longest_ms ? pause_ms * 2 : longest_ms;
    return pause_ms < longest_ms ? pause_ms : longest_ms;
}

/* How long to wait until it is asked again; -1: until something turns. */
static int
take_units(struct target *target, const struct unit_found *units, size_t count)
{
    char why[RI_TEXT_MAX / 2] = "";
    bool whole = true, own = false;

    for (size_t i = 0; i < count; i++)
        if (config_unit_fits(&target->section, units[i].type) &&
            !take_unit(target, &units[i], &own, why, sizeof why))
            whole = false;
    look_at_drives(target);
    if (whole && count_drives(target, false) == 0) {
        snprintf(why, sizeof why,
                 "none of the %zu units of its target is a "
                 "drive%s%s",
                 count, target->section.only_type ? " of this type" : "",
                 own ? " without a section of its own" : "");
        whole = false;
    }
    if (!whole) {
        tell(target, why, false, false);
        return pause_of(target, PAUSE_REFUSED_MS);
    }
    all_is_known(target);
    target->pause_ms = PAUSE_FIRST_MS;
    return -1;
}

/* Into `found`; their count, or -errno and why. */
static int
ask_units(struct target *target, bool looking, char *out_text, size_t text_max)
{
    size_t known =
        looking && target->unit_count > 0 ? (size_t) target->unit_count : 0;
    int count = -ENOTCONN;

    if (looking || iscsi_lent_is_up(&target->lent))
        count = iscsi_lent_units(&target->lent, target->units, known,
                                 target->found, out_text, text_max);
    if (looking || count >= 0 || count == -E2BIG)
        return count;
    return config_ask_units(&target->section, &target->stop_fd, target->found,
                            out_text, text_max);
}

static void
take_found(struct target *target, int count)
{
    struct unit_found *found = target->found;

    target->found = target->units;
    target->units = found;
    target->unit_count = count;
}

static bool
are_as_before(const struct target *target, int count)
{
    bool same = count == target->unit_count;

    for (int i = 0; same && i < count; i++)
        same = target->units[i].address == target->found[i].address &&
               target->units[i].type == target->found[i].type;
    return same;
}

static int
ask(struct target *target)
{
    char why[RI_TEXT_MAX / 2] = "";
    int count = ask_units(target, false, why, sizeof why);
    bool refused = count == -EACCES || count == -EINVAL;

    if (__atomic_load_n(&target->service->stopping, __ATOMIC_ACQUIRE))
        return -1;
    if (count >= 0) {
        take_found(target, count);
        return take_units(target, target->units, (size_t) count);
    }
    tell(target, why, count != -E2BIG, refused);
    return pause_of(target, refused || count == -E2BIG ? PAUSE_REFUSED_MS
                                                       : PAUSE_LONGEST_MS);
}

/* Whether others are there, where nothing would tell: as ask, or `pause_ms`. */
static int
look(struct target *target, int pause_ms)
{
    char why[RI_TEXT_MAX / 2] = "";
    int count;

    if (would_be_told(target) || !iscsi_lent_is_up(&target->lent))
        return pause_ms;
    count = ask_units(target, true, why, sizeof why);
    if (count < 0 || are_as_before(target, count) ||
        __atomic_load_n(&target->service->stopping, __ATOMIC_ACQUIRE))
        return pause_ms;
    take_found(target, count);
    return take_units(target, target->units, (size_t) count);
}

/* --- the thread ------------------------------------------------------------------------ */

/* TRUE: something has turned. */
static bool
wait_for_turn(struct target *target, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = target->turned_fd, .events = POLLIN },
                             { .fd = target->stop_fd, .events = POLLIN } };
    uint64_t count;

    poll(fds, 2, timeout_ms);
    return (fds[0].revents & POLLIN) != 0 &&
           read(target->turned_fd, &count, sizeof count) > 0;
}

/* One that turns all the time is not asked all the time. */
static void
settle(struct target *target)
{
    struct pollfd stop = { .fd = target->stop_fd, .events = POLLIN };

    poll(&stop, 1, SETTLE_MS);
    wait_for_turn(target, 0);
}

static void *
run(void *context)
{
    struct target *target = context;
    int pause_ms = target->known ? -1 : ask(target);

    while (!__atomic_load_n(&target->service->stopping, __ATOMIC_ACQUIRE)) {
        int wait_ms = pause_ms >= 0 && pause_ms < POLL_MS ? pause_ms : POLL_MS;
        bool turned = wait_for_turn(target, wait_ms);

        if (turned)
            settle(target);
        if (__atomic_load_n(&target->service->stopping, __ATOMIC_ACQUIRE))
            break;
        /* A session that ended will begin again. */
        if (turned && count_drives(target, true) == 0)
            pause_ms = PAUSE_REFUSED_MS;
        else if (turned || pause_ms == wait_ms)
            pause_ms = ask(target);
        else
            pause_ms =
                look(target, pause_ms < 0 ? pause_ms : pause_ms - wait_ms);
    }
    return NULL;
}

/* --- life ---------------------------------------------------------------------------------- */

static bool
copy_texts(struct ri_drive_config *section)
{
    const char *parameters = section->parameters;

    section->faults = NULL; /* of emulated drives */
    section->parameters = parameters != NULL ? strdup(parameters) : NULL;
    return parameters == NULL || section->parameters != NULL;
}

int
target_new(struct ri_service *service, const struct ri_drive_config *section,
           struct ri_error *out_error)
{
    struct target *target = calloc(1, sizeof *target);
    struct target **more =
        realloc(service->targets, (service->target_count + 1) * sizeof *more);

    if (more != NULL)
        service->targets = more;
    if (target == NULL || more == NULL) {
        free(target);
        return ri_fail(out_error, -ENOMEM, "out of memory");
    }
    service->targets[service->target_count++] = target;
    target->service = service;
    target->section = *section;
    target->known = section->answered;
    target->pause_ms = PAUSE_FIRST_MS;
    target->units = target->lists[0];
    target->found = target->lists[1];
    target->unit_count = -1;
    iscsi_lent_init(&target->lent, service, &target->section);
    pthread_mutex_init(&target->lock, NULL);
    target->turned_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    target->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!copy_texts(&target->section) || target->turned_fd < 0 ||
        target->stop_fd < 0)
        return ri_fail(out_error, -ENOMEM, "drive %s: out of memory",
                       section->name);
    return 0;
}

struct target *
target_named(struct ri_service *service, const char *name)
{
    for (size_t i = 0; name[0] != '\0' && i < service->target_count; i++)
        if (strcmp(service->targets[i]->section.name, name) == 0)
            return service->targets[i];
    return NULL;
}

int
targets_start(struct ri_service *service, struct ri_error *out_error)
{
    for (size_t i = 0; i < service->target_count; i++) {
        struct target *target = service->targets[i];

        if (target->known && count_drives(target, false) == 0)
            target->known = false;
        target->runs = pthread_create(&target->thread, NULL, run, target) == 0;
        if (!target->runs)
            return ri_fail(out_error, -EAGAIN, "drive %s: no thread",
                           target->section.name);
    }
    return 0;
}

static void
raise_fd(int fd)
{
    uint64_t one = 1;

    /* Full is raised, too. */
    if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

void
target_turned(struct target *target)
{
    raise_fd(target->turned_fd);
}

void
targets_stop(struct ri_service *service)
{
    for (size_t i = 0; i < service->target_count; i++) {
        raise_fd(service->targets[i]->stop_fd);
        iscsi_lent_stop(&service->targets[i]->lent);
    }
}

void
targets_join(struct ri_service *service)
{
    for (size_t i = 0; i < service->target_count; i++)
        if (service->targets[i]->runs)
            pthread_join(service->targets[i]->thread, NULL);
}

void
targets_free(struct ri_service *service)
{
    for (size_t i = 0; i < service->target_count; i++) {
        struct target *target = service->targets[i];

        if (target->turned_fd >= 0)
            close(target->turned_fd);
        if (target->stop_fd >= 0)
            close(target->stop_fd);
        iscsi_lent_free(&target->lent);
        pthread_mutex_destroy(&target->lock);
        free(target->section.parameters);
        free(target);
    }
    free(service->targets);
}

/* --- shown ---------------------------------------------------------------------------------- */

static bool
fill(struct target *target, struct ri_drive_info *out)
{
    char why[sizeof target->why];
    bool no_answer, refused;

    pthread_mutex_lock(&target->lock);
    memcpy(why, target->why, sizeof why);
    no_answer = target->no_answer;
    refused = target->refused;
    pthread_mutex_unlock(&target->lock);
    if (why[0] == '\0' && count_drives(target, false) > 0)
        return false;
    if (no_answer && drives_say(target))
        return false;
    snprintf(out->name, sizeof out->name, "%s", target->section.name);
    out->type = target->section.type;
    snprintf(out->state, sizeof out->state, "away");
    snprintf(out->address, sizeof out->address, "%s", target->section.url);
    out->age_ms = UINT64_MAX;
    out->real = true;
    snprintf(out->changes, sizeof out->changes, "unknown");
    snprintf(out->changes_why, sizeof out->changes_why,
             why[0] == '\0' ? "its target is being asked for its units%s"
             : !no_answer   ? "%s; it is asked again, later and later, every "
                              "64 s at last"
             : refused ? "its target lets us not in, and its drives are not "
                         "known (%s); it is asked again, later and later, "
                         "every 64 s at last"
                       : "its target cannot be asked for its drives (%s); it "
                         "is asked again every few seconds, and they come "
                         "then",
             why);
    return true;
}

size_t
targets_fill(struct ri_service *service, struct ri_drive_info *list)
{
    size_t n = 0;

    for (size_t i = 0; i < service->target_count; i++)
        if (fill(service->targets[i], &list[n]))
            n++;
    return n;
}
