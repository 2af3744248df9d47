/*
 * jukebox_plan.c - one look: what waits, what is where, what is to be done
 *
 * A picture of the library is made of what its elements say, the questions that
 * wait are put beside it, and each is told whether the robot brings its volume.
 * Then the schedule chooses a motion, unless one is under way.
 *
 * Context: the planner's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/jukebox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "port/port.h"
#include "prompt/prompt.h"
#include "stack/tape_drive.h"

#define LOOK_AGAIN_MS 1000

/* One look's picture.  Cartridge i of the world is in element of[i]. */
struct picture {
    struct ri_library_info info;
    struct ri_element_info *elements;
    size_t count;
    struct jb_world world;
    const struct ri_element_info **of;
    uint32_t *by_identity; /* cartridges that have one, in its order */
    size_t identities;
    bool *slot_full;
    bool tells_access; /* the robot says what it can reach */
    uint64_t now_ms, until_ms;
    uint32_t searched; /* requests for volumes that may be anywhere */
    uint64_t searched_since_ms;
    struct job job;          /* what is under way */
    struct jb_motion reload; /* a wanted one that its drive has let go of */
    bool scanning;           /* it shows what is to be scanned */
};

/* What a volume is told. */
struct verdict {
    PVPB vpb;
    bool able, was_able, words;
    struct verdict *next;
};

/* --- volumes kept, and made anew ----------------------------------------------------- */

static struct held *
next_due(struct jukebox *jukebox)
{
    struct held *due = NULL;

    pthread_mutex_lock(&jukebox->lock);
    EACH_HELD(jukebox, held)
    {
        if (held->record_due && due == NULL) {
            held->record_due = false;
            due = held;
        }
    }
    pthread_mutex_unlock(&jukebox->lock);
    return due;
}

static void
tell_not_kept(struct jukebox *jukebox, const struct held *held)
{
    char text[RI_TEXT_MAX];

    snprintf(text, sizeof text,
             "library %.100s: what volume %.95s is known by cannot be kept",
             jukebox->name, held->key);
    event_send_library(jukebox->service, jukebox->name, "failed", "", text);
}

/* Entries stay as long as the jukebox: no reference is needed. */
void
jukebox_keep(struct jukebox *jukebox)
{
    UCHAR record[FS_RECORD_MAX];
    struct held *held;
    ULONG length;

    while ((held = next_due(jukebox)) != NULL) {
        length = fs_volume_record(held->volume, record);
        if (length == 0 ||
            volumes_put(jukebox->volumes, held->key, record, length) != 0)
            tell_not_kept(jukebox, held);
    }
}

/* Of any of its drives that is there; NULL: they are all away still. */
static PDEVICE_OBJECT
any_device(struct jukebox *jukebox)
{
    PDEVICE_OBJECT fdo = NULL;

    for (uint32_t i = 0; fdo == NULL && i < jukebox->drive_count; i++)
        fdo = drive_fdo(jukebox_drive(jukebox, i));
    return fdo;
}

static void
restore_one(struct jukebox *jukebox, PDEVICE_OBJECT device, const char *key)
{
    UCHAR record[FS_RECORD_MAX];
    struct volume *volume = NULL;
    size_t length = 0;

    if (volumes_get(jukebox->volumes, key, record, &length) == 0)
        fs_volume_restore(device, record, (ULONG) length, &volume);
    pthread_mutex_lock(&jukebox->lock);
    jukebox_hold_locked(jukebox, key, volume);
    pthread_mutex_unlock(&jukebox->lock);
}

void
jukebox_restore(struct jukebox *jukebox)
{
    PDEVICE_OBJECT device = any_device(jukebox);
    struct ri_element_info *elements;
    size_t count;

    if (device == NULL ||
        library_elements(jukebox->library, &elements, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        const char *key = elements[i].identity;
        bool known;

        if (!elements[i].full || key[0] == '\0')
            continue;
        pthread_mutex_lock(&jukebox->lock);
        known = jukebox_held_locked(jukebox, key) != NULL;
        pthread_mutex_unlock(&jukebox->lock);
        if (!known)
            restore_one(jukebox, device, key);
    }
    free(elements);
}

/* --- the picture ------------------------------------------------------------------------ */

static bool
is_slot(const struct ri_element_info *element)
{
    return element->type == RI_SLOT || element->type == RI_MAIL_SLOT;
}

/* Some never say that they can reach anything. */
static bool
can_reach(const struct picture *picture, const struct ri_element_info *element)
{
    return element->access ||
           (!picture->tells_access && element->type == RI_SLOT);
}

/* A robot that does not know what is where reports more than it should. */
static void
place_cartridge(struct jukebox *jukebox, struct picture *picture,
                const struct ri_element_info *element)
{
    struct jb_world *world = &picture->world;
    struct jb_cartridge *c = &world->cartridges[world->cartridge_count];

    picture->of[world->cartridge_count] = element;
    c->home = element->home > 0 ? element->home - 1 : JB_NONE;
    c->marked = element->marked;
    c->cleaning = element->cleaning;
    if (is_slot(element)) {
        c->place = can_reach(picture, element) ? JB_SLOT : JB_OUTSIDE;
        c->at = element->number - 1;
        c->marked = c->marked || (element->cleaning && element->expired);
        c->unknown = picture->scanning && element->identity[0] == '\0' &&
                     !element->cleaning &&
                     !jukebox_tried_locked(jukebox, element->cartridge);
    } else if (element->type == RI_DRIVE &&
               element->number < world->drive_count) {
        c->place = JB_DRIVE;
        c->at = element->number;
        world->drives[element->number].cartridge =
            (uint32_t) world->cartridge_count;
    }
    world->cartridge_count++;
}

static void
place_drive(struct jukebox *jukebox, struct picture *picture,
            const struct ri_element_info *element)
{
    struct jb_drive *drive = &picture->world.drives[element->number];

    drive->full = element->full || element->unknown;
    drive->aside = element->drive_set_aside ||
                   !drive_can_be_used(jukebox_drive(jukebox, element->number));
    drive->pinned = jukebox->drives[element->number].pinned && drive->full;
    /* It has left. */
    if (!drive->full && !picture->job.running)
        jukebox->drives[element->number].pinned = false;
    drive->busy = (picture->job.running &&
                   picture->job.motion.drive == element->number) ||
                  jukebox->drives[element->number].operators > 0 ||
                  tape_drive_busy(jukebox_drive(jukebox, element->number));
}

static void
ask_drives(struct jukebox *jukebox, struct picture *picture)
{
    struct jb_world *world = &picture->world;

    for (uint32_t i = 0; i < world->drive_count; i++) {
        struct jukebox_drive *drive = &jukebox->drives[i];
        struct volume *volume = jukebox_mounted(jukebox, i);
        struct port_unit_info unit;
        struct fs_volume_info info;
        struct jb_cartridge *c;

        port_unit_info(jukebox_drive(jukebox, i)->pdo, &unit);
        drive->cleaning_asks = unit.cleaning_asks;
        world->drives[i].wants_cleaning =
            jukebox->cleans && drive->cleaned_asks != unit.cleaning_asks;
        if (world->drives[i].cartridge == JB_NONE)
            continue;
        c = &world->cartridges[world->drives[i].cartridge];
        pthread_mutex_lock(&jukebox->lock);
        c->loaded_ms = drive->loaded_ms;
        pthread_mutex_unlock(&jukebox->lock);
        c->used_ms = unit.last_answer_ms;
        if (volume == NULL)
            continue;
        fs_volume_info(volume, &info);
        c->running = info.running;
        c->dirty = info.unflushed_bytes > 0;
    }
}

static bool
make_room(struct jukebox *jukebox, struct picture *picture)
{
    struct jb_world *world = &picture->world;
    size_t slots = 0;

    for (size_t i = 0; i < picture->count; i++) {
        const struct ri_element_info *element = &picture->elements[i];

        if (is_slot(element) && element->number > slots)
            slots = element->number;
        picture->tells_access = picture->tells_access ||
                                (element->type == RI_SLOT && element->access);
    }
    world->cartridges = calloc(picture->count + 1, sizeof *world->cartridges);
    world->drives = calloc(jukebox->drive_count + 1, sizeof *world->drives);
    picture->of = calloc(picture->count + 1, sizeof *picture->of);
    picture->by_identity =
        calloc(picture->count + 1, sizeof *picture->by_identity);
    picture->slot_full = calloc(slots + 1, sizeof *picture->slot_full);
    world->drive_count = jukebox->drive_count;
    world->slot_count = slots;
    world->slot_full = picture->slot_full;
    for (size_t i = 0; i < world->drive_count && world->drives != NULL; i++)
        world->drives[i].cartridge = JB_NONE;
    return world->cartridges != NULL && world->drives != NULL &&
           picture->of != NULL && picture->by_identity != NULL &&
           picture->slot_full != NULL;
}

/* With the lock. */
static void
paint(struct jukebox *jukebox, struct picture *picture)
{
    for (size_t i = 0; i < picture->count; i++) {
        const struct ri_element_info *element = &picture->elements[i];

        if (element->type == RI_DRIVE && element->number < jukebox->drive_count)
            place_drive(jukebox, picture, element);
        /* Mail slots are nobody's home. */
        if (is_slot(element) && element->number > 0)
            picture->slot_full[element->number - 1] =
                element->full || element->unknown ||
                !can_reach(picture, element) || element->type == RI_MAIL_SLOT;
        if (element->full && (element->number > 0 || !is_slot(element)))
            place_cartridge(jukebox, picture, element);
    }
    picture->world.door_open = strcmp(picture->info.state, "ready") != 0 &&
                               strcmp(picture->info.state, "moving") != 0;
}

static const char *
identity_of(const struct picture *picture, size_t n)
{
    return picture->of[picture->by_identity[n]]->identity;
}

static int
compare_identities(const void *a, const void *b, void *context)
{
    const struct picture *picture = context;
    uint32_t left = *(const uint32_t *) a, right = *(const uint32_t *) b;
    int order =
        strcmp(picture->of[left]->identity, picture->of[right]->identity);

    return order != 0 ? order : (left > right) - (left < right);
}

/* As many questions may wait as there are volumes. */
static void
sort_identities(struct picture *picture)
{
    for (uint32_t i = 0; i < picture->world.cartridge_count; i++)
        if (picture->of[i] != NULL && picture->of[i]->identity[0] != '\0')
            picture->by_identity[picture->identities++] = i;
    qsort_r(picture->by_identity, picture->identities,
            sizeof *picture->by_identity, compare_identities, picture);
}

static bool
take_picture(struct jukebox *jukebox, struct picture *picture)
{
    memset(picture, 0, sizeof *picture);
    picture->now_ms = clock_coarse_ms();
    picture->until_ms = JB_NEVER;
    picture->reload.action = JB_REST;
    /* Before the elements: what begins or ends meanwhile is looked at anew. */
    pthread_mutex_lock(&jukebox->lock);
    picture->job = jukebox->job;
    picture->scanning = jukebox->scanning;
    pthread_mutex_unlock(&jukebox->lock);
    if (library_info(jukebox->library, &picture->info) != 0 ||
        library_elements(jukebox->library, &picture->elements,
                         &picture->count) != 0 ||
        !make_room(jukebox, picture))
        return false;
    pthread_mutex_lock(&jukebox->lock);
    paint(jukebox, picture);
    picture->world.position =
        picture->job.motion.slot < picture->world.slot_count
            ? picture->job.motion.slot
            : 0;
    pthread_mutex_unlock(&jukebox->lock);
    sort_identities(picture);
    ask_drives(jukebox, picture);
    return true;
}

static void
free_picture(struct picture *picture)
{
    free(picture->elements);
    free(picture->world.cartridges);
    free(picture->world.drives);
    free(picture->of);
    free(picture->by_identity);
    free(picture->slot_full);
}

/* --- what waits -------------------------------------------------------------------------- */

/* Of several that are said to have it, one that did not fail. */
static uint32_t
find_cartridge(const struct picture *picture, const char *key)
{
    size_t low = 0, high = picture->identities;
    uint32_t found = JB_NONE;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(identity_of(picture, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < picture->identities &&
           strcmp(identity_of(picture, low), key) == 0;
         low++) {
        uint32_t i = picture->by_identity[low];

        if (found == JB_NONE || (picture->world.cartridges[found].marked &&
                                 !picture->world.cartridges[i].marked))
            found = i;
    }
    return found;
}

static bool
is_under_way(const struct picture *picture, const struct held *held)
{
    return picture->job.running && strcmp(picture->job.key, held->key) == 0;
}

/* With the lock: what is wanted, put beside the picture. */
static void
want(struct jukebox *jukebox, struct picture *picture, struct held *held)
{
    uint32_t waiting = prompt_waiting(fs_volume_vpb(held->volume));
    uint64_t since = picture->now_ms - prompt_age(fs_volume_vpb(held->volume));
    uint32_t i = find_cartridge(picture, held->key);
    struct fs_volume_info info;
    struct jb_cartridge *c;

    if (waiting == 0) {
        held->wanted = false;
        held->able = true;
        held->says[0] = '\0';
        return;
    }
    if (i == JB_NONE) {
        if (picture->searched == 0 || since < picture->searched_since_ms)
            picture->searched_since_ms = since;
        picture->searched += waiting;
        return;
    }
    c = &picture->world.cartridges[i];
    c->waiting = waiting;
    c->since_ms = since;
    c->failed = held->failed;
    c->failed_in = held->failed_in;
    /* It is in a drive, and the volume is away all the same: it was let go of,
     * or is not what the ledger says.  Out, and in again. */
    fs_volume_info(held->volume, &info);
    if (c->place == JB_DRIVE && fs_state_away(info.state) &&
        !is_under_way(picture, held) && !picture->world.drives[c->at].pinned &&
        !picture->world.drives[c->at].busy &&
        held->again_ms <= picture->now_ms && picture->reload.action == JB_REST)
        picture->reload =
            (struct jb_motion){ JB_UNLOAD, i, c->at,
                                jb_slot_for(&picture->world, i), 0 };
    if (held->again_ms > picture->now_ms && held->again_ms < picture->until_ms)
        picture->until_ms = held->again_ms;
}

/* Volumes that are wanted and nowhere: whatever nobody has looked at may be
 * one of them. */
static uint32_t
search(struct jukebox *jukebox, struct picture *picture)
{
    uint32_t n = 0;

    for (uint32_t i = 0;
         picture->searched > 0 && i < picture->world.cartridge_count; i++) {
        struct jb_cartridge *c = &picture->world.cartridges[i];

        if (c->place != JB_SLOT || c->cleaning || c->marked ||
            picture->of[i]->identity[0] != '\0' ||
            jukebox_tried_locked(jukebox, picture->of[i]->cartridge))
            continue;
        c->waiting = picture->searched;
        c->since_ms = picture->searched_since_ms;
        n++;
    }
    return n;
}

/* --- what is said of it ----------------------------------------------------------------- */

static const char *
place_words(const struct ri_element_info *element, char *out, size_t max)
{
    static const char *const kinds[] = { "drive", "slot", "mail slot",
                                         "transport" };

    snprintf(out, max, "%s %u", kinds[element->type],
             (unsigned) element->number);
    return out;
}

static const char *
stuck_words(const struct jukebox *jukebox)
{
    for (unsigned i = 0; i < jukebox->drive_count; i++)
        if (jukebox->drives[i].failure[0] != '\0')
            return jukebox->drives[i].failure;
    return "what is in them cannot be moved";
}

static void
say(const struct jukebox *jukebox, const struct picture *picture,
    const struct held *held, uint32_t cartridge, enum jb_obstacle obstacle,
    char *out)
{
    char place[48] = "";
    const char *name = jukebox->name;

    if (cartridge != JB_NONE)
        place_words(picture->of[cartridge], place, sizeof place);
    switch (obstacle) {
    case JB_NOT_HERE:
        if (cartridge != JB_NONE &&
            picture->of[cartridge]->type == RI_TRANSPORT)
            snprintf(out, RI_TEXT_MAX,
                     "It is in the hand of the robot of library %.80s, which "
                     "could not put it away. See to the library.",
                     name);
        else if (cartridge != JB_NONE)
            snprintf(out, RI_TEXT_MAX,
                     "It is in %s of library %.80s, which the robot cannot "
                     "reach. Close it, or put the medium into any drive.",
                     place, name);
        else
            snprintf(out, RI_TEXT_MAX,
                     "Library %.80s does not hold it. Put it into a mail slot "
                     "of the library, or into any drive.",
                     name);
        break;
    case JB_DOOR_OPEN:
        snprintf(out, RI_TEXT_MAX,
                 "It is in %s of library %.80s, and the robot cannot work: "
                 "%.100s%s%.120s. %s",
                 place, name, picture->info.state,
                 picture->info.reason[0] != '\0' ? ", " : "",
                 picture->info.reason,
                 strcmp(picture->info.state, "door open") == 0
                     ? "Close the door."
                     : "See to the library.");
        break;
    case JB_MARKED:
        snprintf(out, RI_TEXT_MAX,
                 "It is in %s of library %.80s, and its cartridge is marked "
                 "bad: it failed in two drives. Look at it, and put it into "
                 "any drive.",
                 place, name);
        break;
    case JB_NO_DRIVE:
        snprintf(out, RI_TEXT_MAX,
                 "It is in %s of library %.80s, and the robot may use none of "
                 "the drives: each is set aside, or holds what an operator "
                 "loaded. Unload one.",
                 place, name);
        break;
    case JB_STUCK:
        snprintf(out, RI_TEXT_MAX,
                 "It is in %s of library %.80s, and no drive can be emptied: "
                 "%.200s.",
                 place, name, stuck_words(jukebox));
        break;
    case JB_ABLE:
        snprintf(out, RI_TEXT_MAX,
                 "It is in %s of library %.80s, and the robot failed to bring "
                 "it: %.250s.",
                 place, name, held->failure);
        break;
    }
}

/* What cannot leave its drive stays an obstacle until it has left. */
static void
hold_stuck(struct jukebox *jukebox, struct picture *picture, bool obstacle)
{
    for (uint32_t i = 0; i < picture->world.drive_count; i++) {
        const struct jukebox_drive *drive = &jukebox->drives[i];
        uint32_t c = picture->world.drives[i].cartridge;

        if (c == JB_NONE || drive->failure[0] == '\0')
            continue;
        picture->world.drives[i].busy =
            !obstacle && picture->job.running && picture->job.motion.drive == i;
        picture->world.cartridges[c].stay_ms =
            obstacle ? JB_NEVER : drive->stay_ms;
        if (!obstacle && drive->stay_ms > picture->now_ms &&
            drive->stay_ms < picture->until_ms)
            picture->until_ms = drive->stay_ms;
    }
}

/* With the lock: can the robot bring it? */
static void
judge(struct jukebox *jukebox, struct picture *picture, struct held *held,
      uint32_t searching)
{
    uint32_t i = find_cartridge(picture, held->key);
    enum jb_obstacle obstacle = JB_NOT_HERE;
    const struct jb_cartridge *c;

    held->able = true;
    if (is_under_way(picture, held) && held->failures < 2)
        return;
    if (i == JB_NONE) {
        held->able = searching > 0;
        if (!held->able)
            say(jukebox, picture, held, i, obstacle, held->says);
        return;
    }
    c = &picture->world.cartridges[i];
    if (c->place == JB_DRIVE)
        obstacle = picture->world.door_open              ? JB_DOOR_OPEN
                   : c->stay_ms == JB_NEVER              ? JB_STUCK
                   : picture->world.drives[c->at].pinned ? JB_NO_DRIVE
                                                         : JB_ABLE;
    else
        obstacle = jb_obstacle(&picture->world, i, picture->now_ms);
    held->able = obstacle == JB_ABLE && held->failures < 2;
    if (!held->able)
        say(jukebox, picture, held, i, obstacle, held->says);
}

/* --- the look ------------------------------------------------------------------------------- */

/* With the lock; the list of what changed is told without it. */
static struct verdict *
judge_all(struct jukebox *jukebox, struct picture *picture)
{
    struct verdict *list = NULL, *verdict;
    char said[RI_TEXT_MAX];
    uint32_t searching;

    EACH_HELD(jukebox, held)
    {
        if (held->wanted && held->volume != NULL)
            want(jukebox, picture, held);
    }
    searching = search(jukebox, picture) +
                (picture->job.running && picture->job.key[0] == '\0');
    hold_stuck(jukebox, picture, true);
    EACH_HELD(jukebox, held)
    {
        if (!held->wanted || held->volume == NULL)
            continue;
        verdict = calloc(1, sizeof *verdict);
        if (verdict == NULL)
            continue;
        memcpy(said, held->says, sizeof said);
        verdict->was_able = held->able;
        judge(jukebox, picture, held, searching);
        verdict->vpb = fs_volume_vpb(held->volume);
        verdict->able = held->able;
        verdict->words = !held->able && strcmp(said, held->says) != 0;
        verdict->next = list;
        list = verdict;
    }
    hold_stuck(jukebox, picture, false);
    return list;
}

static void
tell_all(struct verdict *list)
{
    while (list != NULL) {
        struct verdict *verdict = list;

        list = verdict->next;
        prompt_robot(verdict->vpb, verdict->able);
        if (!verdict->able && !verdict->was_able && verdict->words)
            prompt_robot_words(verdict->vpb);
        free(verdict);
    }
}

static void
end_scan(struct jukebox *jukebox, int rc, const char *why)
{
    jukebox->scanning = false;
    jukebox->scan_rc = rc;
    if (rc == 0)
        snprintf(jukebox->scan_text, sizeof jukebox->scan_text,
                 "%u looked at, %u with a volume", jukebox->scan_done,
                 jukebox->scan_found);
    else
        snprintf(jukebox->scan_text, sizeof jukebox->scan_text,
                 "%u looked at, %u with a volume; then it could not go on: "
                 "%.200s",
                 jukebox->scan_done, jukebox->scan_found, why);
    pthread_cond_broadcast(&jukebox->scanned);
}

/* With the lock, and no motion under way. */
static void
look_at_scan(struct jukebox *jukebox, const struct picture *picture)
{
    uint32_t left = 0, first = JB_NONE;
    enum jb_obstacle obstacle;

    for (uint32_t i = 0; i < picture->world.cartridge_count; i++)
        if (picture->world.cartridges[i].unknown &&
            !picture->world.cartridges[i].marked &&
            picture->world.cartridges[i].place == JB_SLOT) {
            first = first == JB_NONE ? i : first;
            left++;
        }
    if (left == 0) {
        end_scan(jukebox, picture->world.door_open ? -EHOSTDOWN : 0,
                 picture->info.state);
        return;
    }
    obstacle = jb_obstacle(&picture->world, first, picture->now_ms);
    if (obstacle == JB_DOOR_OPEN)
        end_scan(jukebox, -EHOSTDOWN, picture->info.state);
    else if (obstacle == JB_NO_DRIVE)
        end_scan(jukebox, -EBUSY, "no drive may be used");
    else if (obstacle == JB_STUCK)
        end_scan(jukebox, -EBUSY, stuck_words(jukebox));
}

/* With the lock. */
static void
give_job(struct jukebox *jukebox, const struct picture *picture,
         const struct jb_motion *motion)
{
    const struct ri_element_info *element = picture->of[motion->cartridge];
    struct job *job = &jukebox->job;

    memset(job, 0, sizeof *job);
    job->motion = *motion;
    job->command.drive = motion->drive;
    snprintf(job->key, sizeof job->key, "%.95s", element->identity);
    job->cartridge = element->cartridge;
    job->cleaning_asks = jukebox->drives[motion->drive].cleaning_asks;
    /* Somebody may have moved it before the robot's turn comes. */
    if (!element->duplicate)
        memcpy(job->command.label, element->barcode, sizeof job->command.label);
    switch (motion->action) {
    case JB_UNLOAD:
        job->command.op = RI_LIB_UNLOAD;
        job->command.destination = motion->slot + 1;
        break;
    case JB_CLEAN:
        job->command.op = RI_LIB_CLEAN;
        job->command.source = motion->slot + 1;
        break;
    default:
        job->command.op = RI_LIB_LOAD;
        job->command.source = motion->slot + 1;
        break;
    }
    job->running = true;
    pthread_cond_signal(&jukebox->move);
}

static void
leave_out_failed(struct jukebox *jukebox, struct picture *picture)
{
    EACH_HELD(jukebox, held)
    {
        uint32_t i;

        if (!held->wanted || held->again_ms <= picture->now_ms)
            continue;
        i = find_cartridge(picture, held->key);
        if (i != JB_NONE)
            picture->world.cartridges[i].waiting = 0;
    }
}

/* With the lock: the next motion, or how long there is none. */
static void
choose(struct jukebox *jukebox, struct picture *picture)
{
    struct jb_motion motion;

    /* A picture of a motion is out of date when that has ended. */
    if (picture->job.running || jukebox->job.running || jukebox->stopping)
        return;
    if (jukebox->scanning && picture->scanning)
        look_at_scan(jukebox, picture);
    leave_out_failed(jukebox, picture);
    motion = picture->reload;
    if (motion.action != JB_REST &&
        (picture->world.door_open || motion.slot == JB_NONE ||
         picture->world.cartridges[motion.cartridge].stay_ms > picture->now_ms))
        motion.action = JB_REST;
    if (motion.action == JB_REST)
        motion = jb_next(&picture->world, &jukebox->policy, picture->now_ms);
    /* An operator came since the picture was taken: his end pokes us. */
    if (motion.action != JB_REST && jukebox->drives[motion.drive].operators > 0)
        return;
    if (motion.action != JB_REST)
        give_job(jukebox, picture, &motion);
    else if (motion.until_ms < picture->until_ms)
        picture->until_ms = motion.until_ms;
}

static bool
somebody_waits(const struct jukebox *jukebox)
{
    EACH_HELD(jukebox, held)
    {
        if (held->wanted)
            return true;
    }
    return jukebox->scanning;
}

uint64_t
jukebox_plan(struct jukebox *jukebox)
{
    struct picture picture;
    struct verdict *list = NULL;
    bool waits;

    if (take_picture(jukebox, &picture)) {
        pthread_mutex_lock(&jukebox->lock);
        list = judge_all(jukebox, &picture);
        pthread_mutex_unlock(&jukebox->lock);
        tell_all(list);
        pthread_mutex_lock(&jukebox->lock);
        choose(jukebox, &picture);
        pthread_mutex_unlock(&jukebox->lock);
    }
    pthread_mutex_lock(&jukebox->lock);
    waits = somebody_waits(jukebox);
    pthread_mutex_unlock(&jukebox->lock);
    free_picture(&picture);
    /* Who uses what is in the drives is seen by looking only. */
    if (waits && picture.until_ms > clock_coarse_ms() + LOOK_AGAIN_MS)
        return clock_coarse_ms() + LOOK_AGAIN_MS;
    return picture.until_ms;
}
