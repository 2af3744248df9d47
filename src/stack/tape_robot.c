/*
 * tape_robot.c - libraries bring the tapes that sessions ask for
 *
 * A session that needs a tape has a question with the prompt broker, which
 * asks here first.  A library that has a cartridge that it may be (by serial
 * number, bar code or label, as the ledger has them) takes it as an errand: its
 * thread empties the session's drive, loads the cartridge and waits for what
 * the session says of it.  A cartridge that was refused is not brought again
 * for the same question.  When none is left, a person is asked.
 *
 * Locks: robot.lock, for memory only.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prompt/prompt.h"
#include "stack/library_unit.h"
#include "stack/tape_drive.h"
#include "tapes/tapes.h"

#define VERDICT_S   120 /* a session has looked at its tape by then */
#define TRIED_MAX   64
#define SWAPPED_MAX 3
#define MOMENT_MS   100 /* a session that looks at what is in its drive */

/* One question.  It stays as long as its session is the same and asks for the
 * same tape, for what was tried. */
struct errand {
    struct errand *next;
    PVPB vpb; /* compared only: the session may be gone */
    struct tapes_wanted wanted;
    uint64_t wish;     /* which question it is: counts */
    bool due;          /* the thread is to see to it */
    uint64_t refusals; /* how often its session said: another tape */
    bool failed;
    char says[RI_TEXT_MAX];    /* why it failed */
    char tried[TRIED_MAX][48]; /* marks of cartridges */
    unsigned tried_count;
};

struct tape_robot {
    struct ri_service *service;
    struct library_unit *unit;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work, news;
    struct errand *errands;
    uint64_t verdicts; /* how often a session has said something */
    bool stopping;
};

static size_t
robot_count(struct ri_service *service)
{
    return __atomic_load_n(&service->tape_robot_count, __ATOMIC_ACQUIRE);
}

/* --- cartridges ------------------------------------------------------------------- */

/* What it is called among those that were tried. */
static void
mark_of(const struct library_cartridge *at, char out[48])
{
    if (at->element.barcode[0] != '\0' && !at->element.duplicate)
        snprintf(out, 48, "b:%s", at->element.barcode);
    else if (at->volume.identity[0] != '\0')
        snprintf(out, 48, "i:%.44s", at->volume.identity);
    else
        snprintf(out, 48, "s:%u",
                 (unsigned) (at->element.type == RI_DRIVE
                                 ? at->element.home
                                 : at->element.number));
}

static bool
was_tried(const struct errand *errand, const struct library_cartridge *at)
{
    char mark[48];

    mark_of(at, mark);
    for (unsigned i = 0; i < errand->tried_count; i++)
        if (strcmp(errand->tried[i], mark) == 0)
            return true;
    return false;
}

/* One question, as the thread began with it: it may be another meanwhile. */
struct work {
    struct errand *errand;
    struct errand copy;
};

static void
note_tried(struct tape_robot *robot, struct work *work,
           const struct library_cartridge *at)
{
    pthread_mutex_lock(&robot->lock);
    if (work->errand->wish == work->copy.wish &&
        work->errand->tried_count < TRIED_MAX)
        mark_of(at, work->errand->tried[work->errand->tried_count++]);
    if (work->copy.tried_count < TRIED_MAX)
        mark_of(at, work->copy.tried[work->copy.tried_count++]);
    pthread_mutex_unlock(&robot->lock);
}

/* As the memory of the cartridge has it, or "". */
static const char *
serial_of(const struct library_volume *known)
{
    return strncmp(known->identity, "tape:", 5) == 0 ? known->identity + 5 : "";
}

static bool
same(const char *wanted, const char *is)
{
    return wanted[0] != '\0' && strcmp(wanted, is) == 0;
}

/* How well it fits what is wanted; 0: not at all. */
static unsigned
fits(const struct tapes_wanted *wanted, const struct library_cartridge *at)
{
    const struct library_volume *known = &at->volume;
    const char *serial = serial_of(known);

    if (wanted->any)
        return strcmp(known->type, "blank") == 0 ? 2
               : known->identity[0] == '\0'      ? 1
                                                 : 0;
    if (same(wanted->serial, serial))
        return 4;
    if (same(wanted->barcode, at->element.barcode))
        return 3;
    if (same(wanted->tape, at->element.barcode))
        return 2;
    /* Several may have one label. */
    if (wanted->serial[0] != '\0' && serial[0] != '\0')
        return 0;
    return same(wanted->tape, known->name) ||
           same(wanted->tape, known->label) || same(wanted->tape, serial);
}

static bool
can_be_moved(const struct library_cartridge *at)
{
    const struct ri_element_info *element = &at->element;

    return (element->type == RI_SLOT || element->type == RI_MAIL_SLOT ||
            element->type == RI_DRIVE) &&
           !element->cleaning && !element->marked;
}

/* -ENOENT: there is none (any more). */
static int
choose(struct tape_robot *robot, const struct errand *errand,
       struct library_cartridge *out)
{
    struct library_cartridge *list;
    unsigned best = 0;
    size_t count;

    if (library_cartridges(robot->unit->library, &list, &count) != 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        unsigned how = can_be_moved(&list[i]) && !was_tried(errand, &list[i])
                           ? fits(&errand->wanted, &list[i])
                           : 0;

        /* What is in a drive may be somebody's. */
        if (errand->wanted.any && list[i].element.type == RI_DRIVE)
            how = 0;
        if (how <= best)
            continue;
        best = how;
        *out = list[i];
    }
    free(list);
    return best > 0 ? 0 : -ENOENT;
}

/* --- drives ------------------------------------------------------------------------- */

/* The session's own, else one that is empty; -EBUSY: none. */
static int
choose_drive(struct tape_robot *robot, const struct errand *errand,
             unsigned *out_drive, bool *out_full)
{
    struct library_unit *unit = robot->unit;
    struct ri_element_info *list;
    int found = -1;
    size_t count;

    if (library_elements(unit->library, &list, &count) != 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct ri_element_info *at = &list[i];
        const struct drive *drive =
            at->type == RI_DRIVE ? library_unit_drive(unit, at->number) : NULL;
        bool own;

        if (drive == NULL || !is_tape(drive) || at->drive_set_aside ||
            tape_drive_busy(drive))
            continue;
        own = strcmp(drive->config.name, errand->wanted.drive) == 0;
        if (!own &&
            (errand->wanted.any || found >= 0 || at->full || at->unknown))
            continue; /* a session takes any tape in its own drive alone */
        found = (int) at->number;
        *out_full = at->full || at->unknown;
        if (own)
            break;
    }
    free(list);
    *out_drive = (unsigned) found;
    return found >= 0 ? 0 : -EBUSY;
}

/* -EAGAIN: its session is just looking at what is in it. */
static int
command(struct tape_robot *robot, enum ri_library_op op, unsigned drive,
        uint32_t slot, char *out_text)
{
    struct jukebox *jukebox =
        jukebox_named(robot->service, robot->unit->config.name);
    struct ri_library_command what = { .op = op,
                                       .drive = drive,
                                       .source = slot };
    struct ri_library_result result;
    int rc = jukebox_errand(jukebox, robot->unit->library, &what, &result);

    snprintf(out_text, RI_TEXT_MAX, "%s", result.text);
    return op == RI_LIB_UNLOAD && rc == -EBUSY &&
                   result.status == (uint32_t) STATUS_DEVICE_BUSY
               ? -EAGAIN
               : rc;
}

/* --- an errand ------------------------------------------------------------------------ */

/* Nobody asks any more, or for another tape. */
static bool
is_over(struct tape_robot *robot, const struct work *work)
{
    bool other;

    pthread_mutex_lock(&robot->lock);
    other = work->errand->wish != work->copy.wish;
    pthread_mutex_unlock(&robot->lock);
    return other || !tapes_wanted(work->copy.vpb, NULL) ||
           prompt_waiting(work->copy.vpb) == 0;
}

/* Waits until the session has said what it thinks of the tape; true: it asks no
 * more. */
static bool
accepted(struct tape_robot *robot, const struct work *work, uint64_t refusals)
{
    struct timespec until;
    uint64_t verdicts;
    bool over = false;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += VERDICT_S;
    pthread_mutex_lock(&robot->lock);
    while (!over && rc == 0 && !robot->stopping &&
           work->errand->refusals == refusals) {
        verdicts = robot->verdicts;
        pthread_mutex_unlock(&robot->lock);
        over = is_over(robot, work);
        pthread_mutex_lock(&robot->lock);
        if (!over && robot->verdicts == verdicts)
            rc = pthread_cond_timedwait(&robot->news, &robot->lock, &until);
    }
    pthread_mutex_unlock(&robot->lock);
    return over || is_over(robot, work);
}

static uint64_t
refusals_so_far(struct tape_robot *robot, const struct work *work)
{
    uint64_t so_far;

    pthread_mutex_lock(&robot->lock);
    so_far = work->errand->refusals;
    pthread_mutex_unlock(&robot->lock);
    return so_far;
}

static void
wait_a_moment(struct tape_robot *robot)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += MOMENT_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&robot->lock);
    if (!robot->stopping)
        pthread_cond_timedwait(&robot->news, &robot->lock, &until);
    pthread_mutex_unlock(&robot->lock);
}

/* The session's own drive is one of this library's. */
static bool
has_its_drive(const struct tape_robot *robot, const struct tapes_wanted *wanted)
{
    const struct library_unit *unit = robot->unit;

    for (unsigned n = 0; n < unit->config.drive_count; n++)
        if (unit->drives[n] != NULL &&
            strcmp(unit->drives[n]->config.name, wanted->drive) == 0)
            return true;
    return false;
}

/* It lies in a drive: its session looks there, unless somebody has that. */
static int
look_in_drive(struct tape_robot *robot, const struct errand *errand,
              unsigned number, char *out_text)
{
    struct drive *in = library_unit_drive(robot->unit, number);

    if (in == NULL)
        return 0;
    if (strcmp(in->config.name, errand->wanted.drive) != 0 &&
        tape_drive_busy(in)) {
        snprintf(out_text, RI_TEXT_MAX, "it is in drive %s, which is in use",
                 in->config.name);
        return -EBUSY;
    }
    tape_look(in);
    return 0;
}

/* One cartridge, to where the session can see it.  0: it is there; -EAGAIN: not
 * as long as the session looks at another. */
static int
bring(struct tape_robot *robot, const struct errand *errand,
      const struct library_cartridge *at, char *out_text)
{
    unsigned drive;
    bool full;
    int rc;

    if (at->element.type == RI_DRIVE)
        return look_in_drive(robot, errand, at->element.number, out_text);
    rc = choose_drive(robot, errand, &drive, &full);
    if (rc != 0) {
        snprintf(out_text, RI_TEXT_MAX,
                 "every drive of library %s that could take it is in use",
                 robot->unit->config.name);
        return has_its_drive(robot, &errand->wanted) ? -EAGAIN : rc;
    }
    if (full)
        rc = command(robot, RI_LIB_UNLOAD, drive, 0, out_text);
    if (rc == 0)
        rc = command(robot, RI_LIB_LOAD, drive, at->element.number, out_text);
    return rc;
}

/* text: what went wrong last, or "". */
static void
tell_failure_locked(struct errand *errand, const struct tape_robot *robot,
                    const char *text)
{
    size_t len = strlen(text);

    errand->says[0] = '\0';
    if (len > 0)
        snprintf(errand->says, sizeof errand->says,
                 "Library %.100s cannot bring it: %.300s%s",
                 robot->unit->config.name, text,
                 text[len - 1] == '.' ? "" : ".");
    else if (errand->tried_count > 0)
        snprintf(errand->says, sizeof errand->says,
                 "Library %.100s has brought what it may be, and none of it "
                 "is.",
                 robot->unit->config.name);
}

static bool
is_stopping(struct tape_robot *robot)
{
    bool stopping;

    pthread_mutex_lock(&robot->lock);
    stopping = robot->stopping;
    pthread_mutex_unlock(&robot->lock);
    return stopping;
}

/* A person is asked, unless it is another question by now. */
static void
give_up(struct tape_robot *robot, struct work *work, const char *text)
{
    bool same;

    pthread_mutex_lock(&robot->lock);
    same = work->errand->wish == work->copy.wish;
    if (same) {
        tell_failure_locked(work->errand, robot, text);
        work->errand->failed = true;
    }
    pthread_mutex_unlock(&robot->lock);
    if (same)
        prompt_robot(work->copy.vpb, FALSE);
}

/* Until the session has its tape, or nothing is left to try. */
static void
run_errand(struct tape_robot *robot, struct work *work)
{
    struct library_cartridge at;
    char text[RI_TEXT_MAX] = "";
    unsigned swapped = 0, moments = 0;
    uint64_t refusals;
    int rc;

    while (!is_stopping(robot) && !is_over(robot, work)) {
        if (choose(robot, &work->copy, &at) != 0) {
            give_up(robot, work, text);
            return;
        }
        refusals = refusals_so_far(robot, work);
        rc = bring(robot, &work->copy, &at, text);
        /* Another cartridge came: it goes back, and the right one is fetched. */
        if (rc == -EMEDIUMTYPE && swapped++ < SWAPPED_MAX)
            continue;
        if (rc == -EAGAIN && moments++ < VERDICT_S * 1000 / MOMENT_MS) {
            wait_a_moment(robot);
            continue;
        }
        note_tried(robot, work, &at);
        if (rc != 0)
            continue;
        text[0] = '\0';
        if (accepted(robot, work, refusals))
            return;
    }
}

static void *
robot_thread(void *context)
{
    struct tape_robot *robot = context;
    struct errand *errand;
    struct work work;

    pthread_mutex_lock(&robot->lock);
    while (!robot->stopping) {
        for (errand = robot->errands; errand != NULL && !errand->due;
             errand = errand->next)
            ;
        if (errand == NULL) {
            pthread_cond_wait(&robot->work, &robot->lock);
            continue;
        }
        errand->due = false;
        work = (struct work){ .errand = errand, .copy = *errand };
        pthread_mutex_unlock(&robot->lock);
        run_errand(robot, &work);
        pthread_mutex_lock(&robot->lock);
    }
    pthread_mutex_unlock(&robot->lock);
    return NULL;
}

/* --- asked ---------------------------------------------------------------------------- */

static struct errand *
find_locked(struct tape_robot *robot, PVPB vpb)
{
    struct errand *at = robot->errands;

    while (at != NULL && at->vpb != vpb)
        at = at->next;
    return at;
}

static bool
same_wish(const struct tapes_wanted *a, const struct tapes_wanted *b)
{
    return strcmp(a->tape, b->tape) == 0 && strcmp(a->serial, b->serial) == 0 &&
           a->any == b->any && a->blank == b->blank;
}

/* What it was asked before counts, as long as it is the same. */
static struct errand *
take_errand_locked(struct tape_robot *robot, PVPB vpb,
                   const struct tapes_wanted *wanted)
{
    struct errand *errand = find_locked(robot, vpb);

    if (errand == NULL) {
        errand = calloc(1, sizeof *errand);
        if (errand == NULL)
            return NULL;
        errand->vpb = vpb;
        errand->next = robot->errands;
        robot->errands = errand;
    } else if (!same_wish(&errand->wanted, wanted)) {
        errand->tried_count = 0;
        errand->failed = false;
        errand->says[0] = '\0';
    }
    errand->wanted = *wanted;
    return errand;
}

static BOOLEAN
ask_one(struct tape_robot *robot, PVPB vpb, const struct tapes_wanted *wanted)
{
    struct library_cartridge at;
    struct errand *errand, copy;
    BOOLEAN able = FALSE;

    if (wanted->any && !has_its_drive(robot, wanted))
        return FALSE; /* who is content with any takes it nowhere else */
    pthread_mutex_lock(&robot->lock);
    errand = robot->stopping ? NULL : take_errand_locked(robot, vpb, wanted);
    if (errand != NULL)
        copy = *errand;
    pthread_mutex_unlock(&robot->lock);
    if (errand == NULL || copy.failed || choose(robot, &copy, &at) != 0)
        return FALSE;
    pthread_mutex_lock(&robot->lock);
    errand = find_locked(robot, vpb);
    if (errand != NULL) {
        errand->due = true;
        errand->wish++;
        able = TRUE;
        pthread_cond_signal(&robot->work);
    }
    pthread_mutex_unlock(&robot->lock);
    return able;
}

BOOLEAN
tape_robots_ask(struct ri_service *service, PVPB vpb)
{
    struct tapes_wanted wanted;

    if (!tapes_wanted(vpb, &wanted))
        return FALSE;
    for (size_t i = 0; i < robot_count(service); i++)
        if (ask_one(service->tape_robots[i], vpb, &wanted))
            return TRUE;
    return FALSE;
}

void
tape_robots_say(struct ri_service *service, PVPB vpb, char *out_text)
{
    for (size_t i = 0; out_text[0] == '\0' && i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];
        struct errand *errand;

        pthread_mutex_lock(&robot->lock);
        errand = find_locked(robot, vpb);
        if (errand != NULL && errand->failed)
            memcpy(out_text, errand->says, sizeof errand->says);
        pthread_mutex_unlock(&robot->lock);
    }
}

void
tape_robots_retry(struct ri_service *service, PVPB vpb)
{
    for (size_t i = 0; i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];
        struct errand *errand;

        pthread_mutex_lock(&robot->lock);
        errand = find_locked(robot, vpb);
        if (errand != NULL) {
            errand->tried_count = 0;
            errand->failed = false;
            errand->due = true;
            pthread_cond_signal(&robot->work);
        }
        pthread_mutex_unlock(&robot->lock);
    }
}

/* --- told ------------------------------------------------------------------------------ */

void
tape_robots_told(struct ri_service *service, const char *drive,
                 const char *action)
{
    bool refused = strcmp(action, "wrong") == 0 ||
                   strcmp(action, "changed") == 0 ||
                   strcmp(action, "unreadable") == 0;
    struct tapes_wanted wanted;

    for (size_t i = 0; i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];

        pthread_mutex_lock(&robot->lock);
        robot->verdicts++;
        for (struct errand *at = robot->errands; refused && at != NULL;
             at = at->next)
            at->refusals += tapes_wanted(at->vpb, &wanted) &&
                            strcmp(wanted.drive, drive) == 0;
        pthread_cond_broadcast(&robot->news);
        pthread_mutex_unlock(&robot->lock);
    }
}

void
tape_robots_moved(struct ri_service *service, const char *library)
{
    for (size_t i = 0; i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];

        if (strcmp(robot->unit->config.name, library) != 0)
            continue;
        pthread_mutex_lock(&robot->lock);
        for (struct errand *at = robot->errands; at != NULL; at = at->next)
            at->tried_count = 0;
        pthread_mutex_unlock(&robot->lock);
    }
}

/* --- life ------------------------------------------------------------------------------- */

/* Or may have: one that is away has not said what it is. */
static bool
has_tapes(const struct library_unit *unit)
{
    for (unsigned n = 0; n < unit->config.drive_count; n++)
        if (unit->drives[n] != NULL &&
            (is_tape(unit->drives[n]) || drive_fdo(unit->drives[n]) == NULL))
            return true;
    return false;
}

static struct tape_robot *
new_robot(struct ri_service *service, struct library_unit *unit)
{
    struct tape_robot *robot = calloc(1, sizeof *robot);
    pthread_condattr_t attributes;

    if (robot == NULL)
        return NULL;
    robot->service = service;
    robot->unit = unit;
    pthread_mutex_init(&robot->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&robot->work, NULL);
    pthread_cond_init(&robot->news, &attributes);
    pthread_condattr_destroy(&attributes);
    robot->started =
        pthread_create(&robot->thread, NULL, robot_thread, robot) == 0;
    return robot;
}

int
tape_robots_start(struct ri_service *service, struct ri_error *out_error)
{
    struct libraries *libraries = service->libraries;
    size_t count = libraries != NULL ? libraries->count : 0, n = 0;

    service->tape_robots = calloc(count + 1, sizeof(struct tape_robot *));
    if (service->tape_robots == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct library_unit *unit = &libraries->units[i];

        if (unit->library == NULL || !has_tapes(unit))
            continue;
        service->tape_robots[n] = new_robot(service, unit);
        if (service->tape_robots[n] == NULL)
            return ri_fail(out_error, -ENOMEM, "out of memory");
        __atomic_store_n(&service->tape_robot_count, ++n, __ATOMIC_RELEASE);
        if (!service->tape_robots[n - 1]->started)
            return ri_fail(out_error, -EAGAIN, "library %s: no thread",
                           unit->config.name);
    }
    return 0;
}

void
tape_robots_stop(struct ri_service *service)
{
    for (size_t i = 0; i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];

        pthread_mutex_lock(&robot->lock);
        robot->stopping = true;
        pthread_cond_broadcast(&robot->work);
        pthread_cond_broadcast(&robot->news);
        pthread_mutex_unlock(&robot->lock);
    }
}

void
tape_robots_join(struct ri_service *service)
{
    tape_robots_stop(service);
    for (size_t i = 0; i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];

        if (robot->started)
            pthread_join(robot->thread, NULL);
        robot->started = false;
    }
}

void
tape_robots_free(struct ri_service *service)
{
    for (size_t i = 0; i < robot_count(service); i++) {
        struct tape_robot *robot = service->tape_robots[i];

        while (robot->errands != NULL) {
            struct errand *errand = robot->errands;

            robot->errands = errand->next;
            free(errand);
        }
        pthread_cond_destroy(&robot->work);
        pthread_cond_destroy(&robot->news);
        pthread_mutex_destroy(&robot->lock);
        free(robot);
    }
    free(service->tape_robots);
    service->tape_robots = NULL;
    __atomic_store_n(&service->tape_robot_count, 0, __ATOMIC_RELEASE);
}
