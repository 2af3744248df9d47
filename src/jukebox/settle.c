/*
 * settle.c - the elements compared with the ledger
 *
 * A cartridge is known by its label; one without a label by its place, and by
 * the source that the robot names.  Where it belongs is known from the robot
 * (SVALID), from our own motions, or from before: never guessed.
 *
 * Context: PASSIVE, with the turn; changes are made under library.lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "jukebox/library_internal.h"

/* --- small steps ---------------------------- */

const char *
cartridge_words(struct library *library, const struct cartridge *cartridge,
                char *out_words)
{
    char place[48];

    if (cartridge->barcode[0] != '\0')
        snprintf(out_words, 96, "cartridge %s", cartridge->barcode);
    else if (cartridge->volume.name[0] != '\0')
        snprintf(out_words, 96, "the cartridge with volume %.60s",
                 cartridge->volume.name);
    else
        snprintf(out_words, 96, "the cartridge of %s",
                 place_words(library, cartridge->place, place));
    return out_words;
}

struct cartridge *
cartridge_at(struct library *library, struct place place)
{
    struct element *element = element_at(library, place);

    return element != NULL ? ledger_by_id(library->ledger, element->cartridge)
                           : NULL;
}

bool
is_somebodys_home(struct library *library, uint32_t slot,
                  const struct cartridge *but)
{
    size_t count;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);

    for (size_t i = 0; i < count; i++)
        if (list[i] != but && list[i]->home == slot && list[i]->place.type != 0)
            return true;
    return false;
}

static bool
usable(const struct element *element)
{
    return !element_full(element) && !element_unknown(element) &&
           !(element->flags & ELEMENT_STATUS_EXCEPT &&
             element->exception == ERROR_SLOT_NOT_PRESENT);
}

uint32_t
free_slot(struct library *library)
{
    ULONG slots = library->counts[ChangerSlot];
    bool *taken = calloc(slots + 2, sizeof *taken);
    size_t count;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);
    uint32_t found = 0;

    if (taken == NULL)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (list[i]->home <= slots && list[i]->place.type != 0)
            taken[list[i]->home] = true;
    for (uint32_t slot = 1; found == 0 && slot <= slots; slot++)
        if (!taken[slot] &&
            usable(element_at(library, place_of_slot(library, slot))))
            found = slot;
    free(taken);
    return found;
}

static void
set_home(struct library *library, struct cartridge *cartridge, uint32_t home,
         enum ri_home from)
{
    if (cartridge->home == home && cartridge->home_from == from)
        return;
    pthread_mutex_lock(&library->lock);
    cartridge->home = home;
    cartridge->home_from = home != 0 ? from : RI_HOME_UNKNOWN;
    cartridge->dirty = true;
    pthread_mutex_unlock(&library->lock);
}

/* Where it is from now on; what is in a slot belongs there. */
static void
set_place(struct library *library, struct cartridge *cartridge,
          struct place place)
{
    struct element *element;

    pthread_mutex_lock(&library->lock);
    if (!same_place(cartridge->place, place)) {
        element = element_at(library, cartridge->place);
        if (element != NULL && element->cartridge == cartridge->id)
            element->cartridge = 0;
        cartridge->place = place;
        cartridge->loaded_ms = place.type == ChangerDrive ? clock_wall_ms() : 0;
        cartridge->dirty = true;
    }
    element = element_at(library, place);
    if (element != NULL)
        element->cartridge = cartridge->id;
    pthread_mutex_unlock(&library->lock);
    if (place.type == ChangerSlot)
        set_home(library, cartridge, place.index + 1, RI_HOME_LEDGER);
}

uint32_t
home_of(struct library *library, struct cartridge *cartridge)
{
    char words[96];
    uint32_t slot;

    if (cartridge->home != 0 || !library->config.adopt)
        return cartridge->home;
    slot = free_slot(library);
    if (slot == 0)
        return 0;
    set_home(library, cartridge, slot, RI_HOME_ADOPTED);
    library_tell(library, "home", RI_NO_DRIVE,
                 "nobody knows where %s belongs; it is slot %u from now on",
                 cartridge_words(library, cartridge, words), slot);
    return slot;
}

/* --- all of it ---------------------------- */

struct settling {
    struct library *library;
    struct cartridge **by_place[ELEMENT_TYPES];
    struct cartridge **by_label; /* those with one, sorted */
    size_t label_count;
    bool quiet; /* the first look at a library that nobody knows */
};

static int
compare_labels(const void *a, const void *b)
{
    const struct cartridge *left = *(struct cartridge *const *) a;
    const struct cartridge *right = *(struct cartridge *const *) b;
    int order = strcmp(left->barcode, right->barcode);

    return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

static void
free_settling(struct settling *s)
{
    for (int type = 0; type < ELEMENT_TYPES; type++)
        free(s->by_place[type]);
    free(s->by_label);
}

static bool
prepare(struct settling *s)
{
    struct library *library = s->library;
    size_t count;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);

    s->quiet = count == 0;
    s->by_label = calloc(count + 1, sizeof(struct cartridge *));
    for (int type = ChangerTransport; type < ELEMENT_TYPES; type++)
        s->by_place[type] =
            calloc(library->counts[type] + 1, sizeof(struct cartridge *));
    if (s->by_label == NULL || s->by_place[ChangerTransport] == NULL ||
        s->by_place[ChangerSlot] == NULL ||
        s->by_place[ChangerIEPort] == NULL ||
        s->by_place[ChangerDrive] == NULL) {
        free_settling(s);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct place place = list[i]->place;

        list[i]->seen = false;
        if (list[i]->barcode[0] != '\0')
            s->by_label[s->label_count++] = list[i];
        if (place.type > 0 && place.type < ELEMENT_TYPES &&
            place.index < library->counts[place.type])
            s->by_place[place.type][place.index] = list[i];
    }
    qsort(s->by_label, s->label_count, sizeof *s->by_label, compare_labels);
    return true;
}

static void
see(struct settling *s, struct element *element, struct cartridge *cartridge)
{
    cartridge->seen = true;
    set_place(s->library, cartridge, element->place);
    if (element->barcode[0] == '\0' ||
        strcmp(element->barcode, cartridge->barcode) == 0)
        return;
    pthread_mutex_lock(&s->library->lock);
    memcpy(cartridge->barcode, element->barcode, sizeof cartridge->barcode);
    cartridge->cleaning = strncmp(element->barcode, "CLN", 3) == 0;
    cartridge->dirty = true;
    pthread_mutex_unlock(&s->library->lock);
}

/* Still there, as far as one can tell. */
static void
match_place(struct settling *s, struct element *element)
{
    struct cartridge *was =
        s->by_place[element->place.type][element->place.index];
    bool same = was != NULL &&
                (element->barcode[0] == '\0' || was->barcode[0] == '\0' ||
                 strcmp(element->barcode, was->barcode) == 0);

    /* Whoever looks meanwhile does not miss those that stay. */
    if (same && (element_full(element) || element_unknown(element))) {
        see(s, element, was);
        return;
    }
    pthread_mutex_lock(&s->library->lock);
    element->cartridge = 0;
    pthread_mutex_unlock(&s->library->lock);
}

/* The first that nobody has seen yet. */
static struct cartridge *
find_label(struct settling *s, const char *label)
{
    size_t low = 0, high = s->label_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(s->by_label[middle]->barcode, label) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (;
         low < s->label_count && strcmp(s->by_label[low]->barcode, label) == 0;
         low++)
        if (!s->by_label[low]->seen)
            return s->by_label[low];
    return NULL;
}

/* By what the robot says of where it came from; only without a label. */
static struct cartridge *
find_source(struct settling *s, const struct element *element)
{
    struct cartridge *was;

    if (element->barcode[0] != '\0' || element->source.type == 0)
        return NULL;
    was = s->by_place[element->source.type][element->source.index];
    if (was == NULL || was->seen || was->barcode[0] != '\0')
        return NULL;
    return element_full(element_at(s->library, element->source)) ? NULL : was;
}

/* It came in, or to another place, without us. */
static void
set_foreign_home(struct library *library, struct element *element,
                 struct cartridge *cartridge, struct place before)
{
    if (element->place.type == ChangerSlot)
        return;
    if (element->source.type == ChangerSlot)
        set_home(library, cartridge, element->source.index + 1,
                 RI_HOME_LIBRARY);
    else if (before.type == ChangerSlot)
        set_home(library, cartridge, before.index + 1, RI_HOME_LEDGER);
    if (element->place.type == ChangerIEPort)
        set_home(library, cartridge, 0, RI_HOME_UNKNOWN);
}

static void
match_moved(struct settling *s, struct element *element)
{
    struct library *library = s->library;
    struct cartridge *cartridge = element->barcode[0] != '\0'
                                      ? find_label(s, element->barcode)
                                      : find_source(s, element);
    struct place before;
    char words[96], from[48], to[48];

    if (cartridge == NULL)
        return;
    before = cartridge->place;
    cartridge_words(library, cartridge, words);
    see(s, element, cartridge);
    set_foreign_home(library, element, cartridge, before);
    place_words(library, element->place, to);
    if (before.type == 0) {
        library_tell(library, "arrived", RI_NO_DRIVE, "%s is back, in %s",
                     words, to);
        return;
    }
    pthread_mutex_lock(&library->lock);
    library->stray++;
    pthread_mutex_unlock(&library->lock);
    library_tell(library, "moved", RI_NO_DRIVE,
                 "%s is in %s; it was left in %s", words, to,
                 place_words(library, before, from));
}

static void
add_new(struct settling *s, struct element *element)
{
    struct library *library = s->library;
    struct cartridge *cartridge;
    char words[96], place[48];

    pthread_mutex_lock(&library->lock);
    cartridge = ledger_add(library->ledger);
    pthread_mutex_unlock(&library->lock);
    if (cartridge == NULL)
        return;
    see(s, element, cartridge);
    set_foreign_home(library, element, cartridge, PLACE_AWAY);
    if (s->quiet)
        return;
    library_tell(library, "arrived", RI_NO_DRIVE, "%s is new, in %s",
                 cartridge_words(library, cartridge, words),
                 place_words(library, element->place, place));
}

/* Those that nobody has seen: they are elsewhere.  What has neither label nor
 * volume would not be known again. */
static void
drop_gone(struct settling *s)
{
    struct library *library = s->library;
    size_t count;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);
    char words[96], place[48];

    for (size_t i = count; i-- > 0;) {
        struct cartridge *cartridge = list[i];

        if (cartridge->seen || cartridge->place.type == 0)
            continue;
        cartridge_words(library, cartridge, words);
        place_words(library, cartridge->place, place);
        set_place(library, cartridge, PLACE_AWAY);
        set_home(library, cartridge, 0, RI_HOME_UNKNOWN);
        library_tell(library, "gone", RI_NO_DRIVE,
                     "%s is in the library no more; it was in %s", words,
                     place);
        if (cartridge->barcode[0] != '\0' ||
            cartridge->volume.identity[0] != '\0')
            continue;
        pthread_mutex_lock(&library->lock);
        ledger_forget(library->ledger, cartridge);
        pthread_mutex_unlock(&library->lock);
    }
}

static void
mark_duplicates(struct library *library)
{
    size_t count, n = 0;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);
    struct cartridge **here = calloc(count + 1, sizeof(struct cartridge *));

    if (here == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        if (list[i]->place.type != 0 && list[i]->barcode[0] != '\0')
            here[n++] = list[i];
    qsort(here, n, sizeof *here, compare_labels);
    pthread_mutex_lock(&library->lock);
    for (size_t i = 0; i < n; i++)
        here[i]->duplicate =
            (i > 0 && strcmp(here[i - 1]->barcode, here[i]->barcode) == 0) ||
            (i + 1 < n && strcmp(here[i + 1]->barcode, here[i]->barcode) == 0);
    pthread_mutex_unlock(&library->lock);
    free(here);
}

static void
each_element(struct settling *s,
             void (*fn)(struct settling *s, struct element *element),
             bool only_new)
{
    for (int type = ChangerTransport; type <= ChangerDrive; type++)
        for (ULONG i = 0; i < s->library->counts[type]; i++) {
            struct element *element = &s->library->elements[type][i];

            if (!only_new || (element_full(element) && element->cartridge == 0))
                fn(s, element);
        }
}

/* What is full and has no home yet. */
static void
find_homes(struct library *library)
{
    for (ULONG i = 0; i < library->counts[ChangerDrive]; i++) {
        struct element *element = &library->elements[ChangerDrive][i];
        struct cartridge *cartridge =
            ledger_by_id(library->ledger, element->cartridge);

        if (cartridge == NULL || cartridge->home != 0)
            continue;
        if (element->source.type == ChangerSlot)
            set_home(library, cartridge, element->source.index + 1,
                     RI_HOME_LIBRARY);
        home_of(library, cartridge);
    }
}

void
settle_all(struct library *library)
{
    struct settling s = { .library = library };

    if (!prepare(&s))
        return;
    each_element(&s, match_place, false);
    each_element(&s, match_moved, true);
    each_element(&s, add_new, true);
    drop_gone(&s);
    free_settling(&s);
    mark_duplicates(library);
    find_homes(library);
    settle_store(library);
}

void
settle_store(struct library *library)
{
    if (ledger_store(library->ledger) != 0)
        library_tell(library, "state", RI_NO_DRIVE, "%s",
                     ledger_error(library->ledger));
}

/* --- one motion ---------------------------- */

static bool
fits(const struct element *element, const struct cartridge *cartridge)
{
    return element_full(element) &&
           (element->barcode[0] == '\0' || cartridge->barcode[0] == '\0' ||
            strcmp(element->barcode, cartridge->barcode) == 0);
}

static void
arrive(struct library *library, struct cartridge *cartridge,
       struct place source, struct place destination)
{
    set_place(library, cartridge, destination);
    if (destination.type == ChangerIEPort)
        set_home(library, cartridge, 0, RI_HOME_UNKNOWN);
    else if (destination.type != ChangerSlot && source.type == ChangerSlot)
        set_home(library, cartridge, source.index + 1, RI_HOME_LEDGER);
}

static bool
settle_move(struct library *library, const struct motion *motion,
            struct cartridge *cartridge)
{
    struct element *source = element_at(library, motion->source);
    struct element *destination = element_at(library, motion->destination);

    if (source == NULL || destination == NULL || element_full(source) ||
        element_unknown(source) || !fits(destination, cartridge))
        return false;
    arrive(library, cartridge, motion->source, motion->destination);
    return true;
}

/* Labels tell; without any, two full ends and an empty source do.  Of two that
 * changed places and look alike only the robot's word is left. */
static bool
settle_exchange(struct library *library, const struct motion *motion,
                struct cartridge *cartridge, struct cartridge *other,
                bool reported)
{
    struct element *source = element_at(library, motion->source);
    struct element *first = element_at(library, motion->destination);
    struct element *second = element_at(library, motion->second);
    bool swap = same_place(motion->source, motion->second);
    bool labels = cartridge->barcode[0] != '\0' && other->barcode[0] != '\0';
    uint32_t freed;

    if (!fits(first, cartridge) || !fits(second, other) ||
        (!swap && element_full(source)) || (swap && !labels && !reported))
        return false;
    freed = other->home;
    /* Both leave before one comes: an element has one cartridge. */
    set_place(library, other, PLACE_AWAY);
    arrive(library, cartridge, motion->source, motion->destination);
    arrive(library, other, motion->destination, motion->second);
    /* Where one went, the other belonged: they changed their homes, too. */
    if (swap && cartridge->home != 0 && cartridge->home == other->home &&
        cartridge->place.type != ChangerSlot)
        set_home(library, cartridge, freed != other->home ? freed : 0,
                 RI_HOME_LEDGER);
    return true;
}

bool
settle_motion(struct library *library, const struct motion *motion,
              bool reported)
{
    struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion->cartridge);
    struct cartridge *other = ledger_by_id(library->ledger, motion->other);

    if (cartridge == NULL)
        return false;
    if (motion->kind == MOTION_MOVE)
        return settle_move(library, motion, cartridge);
    return other != NULL &&
           settle_exchange(library, motion, cartridge, other, reported);
}

void
settle_pending(struct library *library)
{
    struct motion motion = library->pending;
    struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion.cartridge);
    char words[96], place[48];
    bool moved;

    if (motion.id == 0)
        return;
    moved = settle_motion(library, &motion, false);
    if (library->pending_quiet)
        return;
    if (cartridge != NULL)
        library_tell(library, "state", RI_NO_DRIVE,
                     "a motion of %s was interrupted: it %s %s",
                     cartridge_words(library, cartridge, words),
                     moved ? "had reached" : "had not reached",
                     place_words(library, motion.destination, place));
    /* What later motions did must not be judged by this one again. */
    library->pending.id = 0;
    if (ledger_outcome(library->ledger, &motion,
                       moved ? "interrupted, moved"
                             : "interrupted, not moved") != 0)
        library_tell(library, "state", RI_NO_DRIVE, "%s",
                     ledger_error(library->ledger));
}

/* --- volumes ---------------------------- */

static bool
same_volume(const struct library_volume *a, const struct library_volume *b)
{
    return strcmp(a->identity, b->identity) == 0 &&
           strcmp(a->name, b->name) == 0 && strcmp(a->label, b->label) == 0 &&
           strcmp(a->type, b->type) == 0 && a->size_bytes == b->size_bytes &&
           a->block_bytes == b->block_bytes;
}

int
settle_volume(struct library *library, unsigned drive, char *out_expected,
              char *out_found)
{
    struct place place = { ChangerDrive, drive };
    struct cartridge *cartridge = cartridge_at(library, place);
    struct library_volume now = { "" };
    bool other;

    if (cartridge == NULL ||
        !library->host.volume(library->host.context, drive, &now) ||
        now.identity[0] == '\0')
        return 0;
    if (same_volume(&now, &cartridge->volume))
        return 0;
    other = cartridge->volume.identity[0] != '\0' &&
            strcmp(cartridge->volume.identity, now.identity) != 0;
    snprintf(out_expected, RI_NAME_MAX, "%s", cartridge->volume.name);
    snprintf(out_found, RI_NAME_MAX, "%s", now.name);
    pthread_mutex_lock(&library->lock);
    cartridge->volume = now;
    cartridge->dirty = true;
    pthread_mutex_unlock(&library->lock);
    return other ? -EMEDIUMTYPE : 0;
}
