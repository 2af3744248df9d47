/*
 * changer_words.c - the words of mtx, done from left to right
 *
 * One row a word: how many numbers follow, whether it looks first, what it
 * does.  A word that is no number ends the numbers of the one before.  The
 * first that fails ends the line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/changer.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX 3

struct word {
    const char *name;
    int numbers; /* at most */
    bool looks;  /* reads the elements first */
    int (*run)(struct changer *changer, const struct word *word,
               const long *numbers);
    const char *op; /* of the service, or NULL */
};

static int
fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return 1;
}

/* --- numbers ------------------------------------------------------------------ */

static int
check_slot(const struct changer *changer, const char *word, long slot)
{
    if (changer_element(changer, "slot", slot) != NULL)
        return 0;
    fprintf(stderr,
            "%s <storage-element-number> argument '%ld' to '%s' command\n",
            strcmp(word, "unload") == 0 ? "illegal" : "Invalid", slot, word);
    return 1;
}

static int
check_drive(const struct changer *changer, const char *word, long drive)
{
    if (changer_element(changer, "drive", drive) != NULL)
        return 0;
    fprintf(stderr, "illegal <drive-number> argument '%ld' to '%s' command\n",
            drive, word);
    return 1;
}

static bool
is_full(const json_t *element)
{
    return json_flag(element, "full");
}

static const json_t *
drive_of(const struct changer *changer, long drive)
{
    return changer_element(changer, "drive", drive);
}

static long
home_of(const json_t *drive)
{
    return (long) json_number(drive, "home");
}

/* --- commands ------------------------------------------------------------------- */

static void
set_number(json_t *body, const char *name, long number)
{
    if (number != NOT_GIVEN)
        json_object_set_new(body, name, json_integer(number));
}

/* speaks: a line was begun, which "done" ends. */
static int
command(struct changer *changer, const char *word, const char *op, json_t *body,
        bool speaks)
{
    json_t *reply = NULL;
    int rc = changer_command(changer, op, body, &reply);

    if (rc == 0 && json_object_get(reply, "error") != NULL) {
        changer_print_failure(changer, word, reply);
        rc = 1;
    } else if (rc == 0 && changer->json) {
        print_json(reply);
    } else if (rc == 0) {
        if (speaks)
            printf("done\n");
        fflush(stdout);
        changer_print_notes(json_object_get(reply, "result"));
    }
    json_decref(reply);
    return rc;
}

static int
load(struct changer *changer, long slot, long drive)
{
    json_t *body = json_object();

    set_number(body, "source", slot);
    set_number(body, "drive", drive);
    if (!changer->json)
        printf("Loading media from Storage Element %ld into drive %ld...", slot,
               drive);
    fflush(stdout);
    return command(changer, "load", "load", body, true);
}

static int
unload(struct changer *changer, long slot, long drive)
{
    json_t *body = json_object();

    set_number(body, "destination", slot);
    set_number(body, "drive", drive);
    if (!changer->json)
        printf("Unloading drive %ld into Storage Element %ld...", drive, slot);
    fflush(stdout);
    return command(changer, "unload", "unload", body, true);
}

static int
run_load(struct changer *changer, const struct word *word, const long *numbers)
{
    long slot = numbers[0], drive = numbers[1] == NOT_GIVEN ? 0 : numbers[1];

    if (slot == NOT_GIVEN)
        return fail("No source specified");
    if (check_slot(changer, word->name, slot) != 0 ||
        check_drive(changer, word->name, drive) != 0)
        return 1;
    if (!changer->json && is_full(drive_of(changer, drive))) {
        fprintf(stderr, "Drive %ld Full (Storage Element %ld loaded)\n", drive,
                home_of(drive_of(changer, drive)));
        return 1;
    }
    return load(changer, slot, drive);
}

/* Where else it could go: full and nobody's home are no choice. */
static void
note_free_slots(const struct changer *changer, long drive)
{
    const json_t *elements = json_object_get(changer->status, "elements");
    const json_t *element;
    const char *between = "note: free slots:";
    size_t i;

    json_array_foreach(elements, i, element)
    {
        if (strcmp(json_text(element, "type"), "slot") != 0 ||
            is_full(element) || *json_text(element, "home_of") != '\0')
            continue;
        fprintf(stderr, "%s %ld", between,
                (long) json_number(element, "number"));
        between = "";
    }
    if (*between == '\0')
        fprintf(stderr, "; give one: unload SLOT %ld\n", drive);
    else
        fprintf(stderr, "note: no slot is free\n");
}

/* The person has to say. */
static int
no_home(const struct changer *changer, long drive)
{
    fprintf(stderr, "No Source for tape in drive %ld!\n", drive);
    note_free_slots(changer, drive);
    return 1;
}

/* Its label without the robot's padding. */
static const char *
name_of(const json_t *element, char out_name[64])
{
    const char *tag = json_text(element, "tag");

    snprintf(out_name, 64, "%s", tag);
    for (size_t len = strlen(out_name); len > 0 && out_name[len - 1] == ' ';)
        out_name[--len] = '\0';
    return *out_name != '\0' ? out_name : "a cartridge without a label";
}

/* It cannot go there: who is in the way, and who belongs there besides. */
static int
slot_full(const struct changer *changer, long slot, long drive)
{
    const json_t *in = changer_element(changer, "slot", slot);
    char here[64], there[64];

    fprintf(stderr, "Storage Element %ld is Already Full\n", slot);
    fprintf(stderr, "note: slot %ld holds %s", slot, name_of(in, here));
    if (home_of(drive_of(changer, drive)) == slot)
        fprintf(stderr, "; %s of drive %ld belongs there, too",
                name_of(drive_of(changer, drive), there), drive);
    fprintf(stderr, "\n");
    note_free_slots(changer, drive);
    return 1;
}

static int
run_unload(struct changer *changer, const struct word *word,
           const long *numbers)
{
    long slot = numbers[0], drive = numbers[1] == NOT_GIVEN ? 0 : numbers[1];

    if ((slot != NOT_GIVEN && check_slot(changer, word->name, slot) != 0) ||
        check_drive(changer, word->name, drive) != 0)
        return 1;
    if (changer->json)
        return unload(changer, slot, drive);
    if (!is_full(drive_of(changer, drive))) {
        fprintf(stderr, "Data Transfer Element %ld is Empty\n", drive);
        return 1;
    }
    if (slot == NOT_GIVEN)
        slot = home_of(drive_of(changer, drive));
    if (slot == 0)
        return no_home(changer, drive);
    if (is_full(changer_element(changer, "slot", slot)))
        return slot_full(changer, slot, drive);
    return unload(changer, slot, drive);
}

static int
run_pair(struct changer *changer, const struct word *word, const long *numbers)
{
    json_t *body;

    if (numbers[0] == NOT_GIVEN)
        return fail("No source specified");
    if (numbers[1] == NOT_GIVEN)
        return fail("No destination specified");
    if (changer_element(changer, "slot", numbers[0]) == NULL)
        return fail("Invalid source");
    if (changer_element(changer, "slot", numbers[1]) == NULL ||
        (numbers[2] != NOT_GIVEN &&
         changer_element(changer, "slot", numbers[2]) == NULL))
        return fail("Invalid destination");
    body = json_object();
    set_number(body, "source", numbers[0]);
    set_number(body, "destination", numbers[1]);
    set_number(body, "second", numbers[2]);
    return command(changer, word->name, word->op, body, false);
}

static int
run_position(struct changer *changer, const struct word *word,
             const long *numbers)
{
    json_t *body;

    if (numbers[0] == NOT_GIVEN)
        return fail("No source specified");
    if (check_slot(changer, word->name, numbers[0]) != 0)
        return 1;
    body = json_object();
    set_number(body, "source", numbers[0]);
    return command(changer, word->name, word->op, body, false);
}

/* --- first, last, previous, next ------------------------------------------------- */

/* The storage slot of that word, no mail slot; 0: there is none.  As in mtx,
 * first and last are what they say, full or not. */
static long
choose(const struct changer *changer, const char *which, long loaded)
{
    const json_t *elements = json_object_get(changer->status, "elements");
    bool previous = strcmp(which, "previous") == 0;
    const json_t *element;
    long found = 0;
    size_t i;

    if (strcmp(which, "first") == 0)
        return 1;
    if (strcmp(which, "last") == 0)
        return (long) json_number(changer_library(changer), "slots");
    json_array_foreach(elements, i, element)
    {
        long slot = (long) json_number(element, "number");

        if (strcmp(json_text(element, "type"), "slot") != 0 ||
            !is_full(element))
            continue;
        if (previous && slot < loaded && slot > found)
            found = slot;
        if (!previous && slot > loaded && (found == 0 || slot < found))
            found = slot;
    }
    return found;
}

static int
run_choice(struct changer *changer, const struct word *word,
           const long *numbers)
{
    long drive = numbers[0] == NOT_GIVEN ? 0 : numbers[0];
    bool full;
    long loaded, wanted;

    if (check_drive(changer, word->name, drive) != 0)
        return 1;
    full = is_full(drive_of(changer, drive));
    loaded = full ? home_of(drive_of(changer, drive)) : 0;
    wanted = choose(changer, word->name, loaded);
    if (wanted == 0)
        return fail("No More Media");
    if (wanted == loaded) {
        printf("loading...done.\n");
        return 0;
    }
    if (full) {
        const long there[NUMBERS_MAX] = { NOT_GIVEN, drive, NOT_GIVEN };

        if (run_unload(changer, word, there) != 0)
            return 1;
    }
    return load(changer, wanted, drive);
}

/* --- the others --------------------------------------------------------------------- */

/* What keeps these lines from being the last word. */
static void
note_state(const struct changer *changer)
{
    const json_t *library = changer_library(changer);
    const char *state = json_text(library, "state");
    const char *reason = json_text(library, "reason");

    fflush(stdout);
    if (strcmp(state, "ready") == 0)
        return;
    if (strcmp(state, "moving") == 0)
        fprintf(stderr, "note: the robot moves: %s\n", reason);
    else
        fprintf(stderr,
                "note: library %s: %s; it said the above %" PRIu64 " s ago\n",
                changer->library, *reason != '\0' ? reason : state,
                json_number(library, "age_ms") / 1000);
}

static int
run_status(struct changer *changer, const struct word *word,
           const long *numbers)
{
    (void) word;
    (void) numbers;
    if (changer->json) {
        print_json(changer->status);
        return 0;
    }
    changer_print_status(changer);
    note_state(changer);
    return 0;
}

static int
run_inquiry(struct changer *changer, const struct word *word,
            const long *numbers)
{
    (void) word;
    (void) numbers;
    if (changer->json)
        print_json(changer_library(changer));
    else
        changer_print_inquiry(changer);
    return 0;
}

static int
run_drives(struct changer *changer, const struct word *word,
           const long *numbers)
{
    (void) word;
    (void) numbers;
    changer_print_drives(changer);
    return 0;
}

static int
run_inventory(struct changer *changer, const struct word *word,
              const long *numbers)
{
    json_t *body = json_object();
    int rc;

    (void) numbers;
    if (changer->bar_codes)
        json_object_set_new(body, "bar_codes", json_true());
    rc = command(changer, word->name, word->op, body, false);
    if (rc != 0)
        fprintf(stderr, "mtx:inventory failed\n");
    return rc;
}

static int
run_eject(struct changer *changer, const struct word *word, const long *numbers)
{
    int rc;

    (void) numbers;
    rc = command(changer, word->name, word->op, json_object(), false);
    if (rc != 0)
        fprintf(stderr, "mtx:eject failed\n");
    return rc;
}

static int
run_erase(struct changer *changer, const struct word *word, const long *numbers)
{
    (void) changer;
    (void) numbers;
    return fail("erase: a library has nothing that can be erased");
}

static int
run_verify(struct changer *changer, const struct word *word,
           const long *numbers)
{
    json_t *reply = NULL;
    int rc;

    (void) numbers;
    rc = changer_command(changer, word->op, json_object(), &reply);
    if (rc == 0 && json_object_get(reply, "error") != NULL) {
        changer_print_failure(changer, word->name, reply);
        rc = 1;
    } else if (rc == 0 && changer->json) {
        print_json(reply);
    } else if (rc == 0) {
        const json_t *result = json_object_get(reply, "result");

        printf("%s\n", json_text(result, "text"));
        fflush(stdout);
        changer_print_notes(result);
    }
    json_decref(reply);
    return rc;
}

/* Mail slots may be left to the service, and so may slots. */
static int
run_mail(struct changer *changer, const struct word *word, const long *numbers)
{
    json_t *body = json_object();

    set_number(body, "source", numbers[0]);
    if (word->numbers > 1)
        set_number(body, "destination", numbers[1]);
    return command(changer, word->name, word->op, body, false);
}

static int
run_export(struct changer *changer, const struct word *word,
           const long *numbers)
{
    if (numbers[0] == NOT_GIVEN)
        return fail("No source specified");
    return run_mail(changer, word, numbers);
}

static int
run_clean(struct changer *changer, const struct word *word, const long *numbers)
{
    json_t *body = json_object();

    set_number(body, "drive", numbers[0] == NOT_GIVEN ? 0 : numbers[0]);
    set_number(body, "source", numbers[1]);
    return command(changer, word->name, word->op, body, false);
}

static int
on_event(void *context, const char *kind, json_t *data)
{
    struct changer *changer = context;

    if (strcmp(kind, "library") != 0 ||
        strcmp(json_text(data, "library"), changer->library) != 0)
        return 0;
    if (changer->json) {
        json_dumpf(data, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_clean(json_text(data, "text"));
        putchar('\n');
    }
    fflush(stdout);
    return 0;
}

static int
run_events(struct changer *changer, const struct word *word,
           const long *numbers)
{
    (void) word;
    (void) numbers;
    if (changer_find(changer) != 0)
        return 1;
    return client_events(changer->client, on_event, changer) != 0;
}

/* --- modifiers ------------------------------------------------------------------------- */

static int
run_modifier(struct changer *changer, const struct word *word,
             const long *numbers)
{
    const struct {
        const char *name;
        bool *flag, value;
    } flags[] = {
        { "invert", &changer->invert, true },
        { "invert2", &changer->invert2, true },
        { "nobarcode", &changer->bar_codes, false },
        { "nowait", &changer->nowait, true },
        { "noverify", &changer->noverify, true },
        { "cleaning", &changer->cleaning, true },
        { "force", &changer->force, true },
    };

    /* The others change how a robot is asked, which is the driver's here. */
    (void) numbers;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(word->name, flags[i].name) == 0)
            *flags[i].flag = flags[i].value;
    return 0;
}

static const struct word words[] = {
    { "inquiry", 0, true, run_inquiry, NULL },
    { "status", 0, true, run_status, NULL },
    { "inventory", 0, false, run_inventory, "inventory" },
    { "load", 2, true, run_load, "load" },
    { "unload", 2, true, run_unload, "unload" },
    { "transfer", 2, true, run_pair, "transfer" },
    { "exchange", 3, true, run_pair, "exchange" },
    { "position", 1, true, run_position, "position" },
    { "first", 1, true, run_choice, NULL },
    { "last", 1, true, run_choice, NULL },
    { "previous", 1, true, run_choice, NULL },
    { "next", 1, true, run_choice, NULL },
    { "eject", 0, false, run_eject, "open-mail" },
    { "erase", 0, false, run_erase, NULL },
    { "invert", 0, false, run_modifier, NULL },
    { "invert2", 0, false, run_modifier, NULL },
    { "noattach", 0, false, run_modifier, NULL },
    { "nobarcode", 0, false, run_modifier, NULL },
    { "altres", 0, false, run_modifier, NULL },
    { "eepos", 1, false, run_modifier, NULL },
    { "nowait", 0, false, run_modifier, NULL },
    { "noverify", 0, false, run_modifier, NULL },
    { "cleaning", 0, false, run_modifier, NULL },
    { "force", 0, false, run_modifier, NULL },
    { "drives", 0, true, run_drives, NULL },
    { "import", 2, false, run_mail, "import" },
    { "export", 2, false, run_export, "export" },
    { "clean", 2, false, run_clean, "clean" },
    { "verify", 0, false, run_verify, "verify" },
    { "open", 1, false, run_mail, "open-mail" },
    { "close", 1, false, run_mail, "close-mail" },
    { "lock", 0, false, run_mail, "lock" },
    { "unlock", 0, false, run_mail, "unlock" },
    { "events", 0, false, run_events, NULL },
};

static const struct word *
find(const char *name)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(name, words[i].name) == 0)
            return &words[i];
    return NULL;
}

/* The number is its leading digits; a word that has none is no number. */
static int
take_numbers(const struct word *word, int count, char **from, long *out_numbers)
{
    int taken = 0;

    while (taken < word->numbers && taken < count &&
           isdigit((unsigned char) from[taken][0])) {
        out_numbers[taken] = strtol(from[taken], NULL, 10);
        taken++;
    }
    return taken;
}

int
changer_words(struct changer *changer, int count, char **given)
{
    for (int i = 0; i < count; i++) {
        const struct word *word = find(given[i]);
        long numbers[NUMBERS_MAX] = { NOT_GIVEN, NOT_GIVEN, NOT_GIVEN };

        if (changer->mtx && strcmp(given[i], "--json") == 0) {
            changer->json = true;
            continue;
        }
        if (changer->mtx && strcmp(given[i], "-f") == 0 && i + 1 < count) {
            changer->given = given[++i];
            changer->library[0] = '\0';
            changer_forget(changer);
            continue;
        }
        if (word == NULL) {
            cli_print_usage(&cli_verb_changer);
            fprintf(stderr, "note: \"%s\" is no word of it\n", given[i]);
            return 1;
        }
        if (word->run == run_drives || changer->json)
            changer->whole = true;
        i += take_numbers(word, count - i - 1, given + i + 1, numbers);
        if (word->looks && changer_read(changer) != 0)
            return 1;
        if (word->run(changer, word, numbers) != 0)
            return 1;
    }
    return 0;
}
