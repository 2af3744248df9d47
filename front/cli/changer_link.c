/*
 * changer_link.c - one library of the service, for the words of mtx
 *
 * What is read is kept until a command may have changed it: several words on
 * one line share it, as in mtx, but none sees what is no longer true.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/changer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool
json_flag(const json_t *object, const char *field)
{
    return json_is_true(json_object_get(object, field));
}

/* --- which one -------------------------------------------------------------- */

static const char *
after_slash(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* A configured name, or a path that ends with one. */
static bool
is_meant(const char *given, const char *name)
{
    return strcmp(given, name) == 0 || strcmp(after_slash(given), name) == 0;
}

static void
say_which(const json_t *libraries, const char *given)
{
    const json_t *library;
    size_t i;

    if (given != NULL)
        fprintf(stderr,
                "cannot open SCSI device '%s' - No such device or address\n",
                given);
    else if (json_array_size(libraries) == 0)
        fprintf(stderr, "cannot open SCSI device '/dev/changer' - No such "
                        "device or address\n");
    if (json_array_size(libraries) == 0) {
        fprintf(stderr, "note: the service has no library; one is configured "
                        "with [library NAME]\n");
        return;
    }
    fprintf(stderr, given != NULL ? "note: the libraries are:"
                                  : "there are several libraries; say which "
                                    "with -f:");
    json_array_foreach(libraries, i, library)
        fprintf(stderr, " %s", json_text(library, "name"));
    fprintf(stderr, "\n");
}

int
changer_find(struct changer *changer)
{
    json_t *reply, *libraries;
    const json_t *library;
    const char *found = NULL;
    size_t i;

    if (changer->library[0] != '\0')
        return 0;
    if (client_get(changer->client, "/v1/libraries", &reply) != 0)
        return 1;
    libraries = json_object_get(reply, "libraries");
    json_array_foreach(
        libraries, i,
        library) if (changer->given != NULL
                         ? is_meant(changer->given, json_text(library, "name"))
                         : json_array_size(libraries) == 1) found =
        json_text(library, "name");
    if (found != NULL)
        snprintf(changer->library, sizeof changer->library, "%s", found);
    else
        say_which(libraries, changer->given);
    if (found != NULL && changer->given == NULL)
        changer->given = changer->library;
    json_decref(reply);
    return found == NULL;
}

/* --- what is there ----------------------------------------------------------- */

void
changer_forget(struct changer *changer)
{
    json_decref(changer->status);
    changer->status = NULL;
}

/* Of thousands of elements only what the words of mtx need. */
#define FIELDS "?fields=type,number,full,home,home_of,tag,alternate"

static int
fetch(struct changer *changer, const char *library)
{
    char *path =
        client_path("/v1/libraries/", library, changer->whole ? "" : FIELDS);
    int rc = client_try(changer->client, path, NULL, &changer->status);

    free(path);
    return rc;
}

static int
read_once(struct changer *changer)
{
    int rc = fetch(changer, changer->library);

    if (rc == 0 && json_object_get(changer->status, "error") != NULL) {
        changer_print_failure(changer, "status", changer->status);
        changer_forget(changer);
        rc = 1;
    }
    return rc != 0;
}

/* One question instead of two, if what was given is the name of a library.
 * What else it may be is found out in the list of them. */
static int
read_named(struct changer *changer)
{
    const char *name = after_slash(changer->given);
    int rc;

    if (*name == '\0' || strlen(name) >= sizeof changer->library)
        return 0;
    rc = fetch(changer, name);
    if (rc != 0)
        return 1;
    if (json_object_get(changer->status, "error") == NULL)
        strcpy(changer->library, name);
    else
        changer_forget(changer);
    return 0;
}

/* A library that has just been switched on has told nothing yet. */
static int
wait_for_elements(struct changer *changer)
{
    json_t *reply = NULL;
    int rc = changer_command(changer, "refresh", json_object(), &reply);

    if (rc == 0 && json_object_get(reply, "error") != NULL) {
        changer_print_failure(changer, "status", reply);
        rc = 1;
    }
    json_decref(reply);
    return rc == 0 ? read_once(changer) : 1;
}

int
changer_read(struct changer *changer)
{
    if (changer->status != NULL)
        return 0;
    if (changer->library[0] == '\0' && changer->given != NULL &&
        read_named(changer) != 0)
        return 1;
    if (changer->status == NULL &&
        (changer_find(changer) != 0 || read_once(changer) != 0))
        return 1;
    if (json_array_size(json_object_get(changer->status, "elements")) == 0)
        return wait_for_elements(changer);
    return 0;
}

const json_t *
changer_library(const struct changer *changer)
{
    return json_object_get(changer->status, "library");
}

const json_t *
changer_element(const struct changer *changer, const char *type, long number)
{
    const json_t *elements = json_object_get(changer->status, "elements");
    bool slot = strcmp(type, "slot") == 0;
    const json_t *element;
    size_t i;

    json_array_foreach(elements, i, element)
    {
        const char *is = json_text(element, "type");

        if ((strcmp(is, type) == 0 || (slot && strcmp(is, "mail-slot") == 0)) &&
            (long) json_number(element, "number") == number)
            return element;
    }
    return NULL;
}

/* --- commands ------------------------------------------------------------------ */

struct wait {
    const struct changer *changer;
    struct client *asker; /* a connection of its own */
    time_t since, said;
};

/* On a terminal, behind what stands in the line: how long, and for what. */
static void
say_wait(void *context)
{
    struct wait *wait = context;
    time_t now = time(NULL);
    json_t *reply = NULL;
    const char *reason;
    char *path;

    if (now == wait->said || now - wait->since < 2)
        return;
    if (wait->asker == NULL &&
        client_open(wait->changer->cli, &wait->asker) != 0)
        return;
    fprintf(stderr, wait->said == 0 ? "\0337" : "\0338\033[K");
    wait->said = now;
    path = client_path("/v1/libraries/", wait->changer->library, "");
    if (client_try(wait->asker, path, NULL, &reply) != 0)
        reply = NULL;
    free(path);
    reason = json_text(json_object_get(reply, "library"), "reason");
    fprintf(stderr, " %ld s%s%s", (long) (now - wait->since),
            *reason != '\0' ? ", " : "", reason);
    fflush(stderr);
    json_decref(reply);
}

static void
end_wait(struct wait *wait)
{
    if (wait->said != 0)
        fprintf(stderr, "\0338\033[K");
    client_close(wait->asker);
}

static void
add_flags(const struct changer *changer, json_t *body)
{
    const struct {
        const char *name;
        bool on;
    } flags[] = {
        { "invert", changer->invert }, { "invert2", changer->invert2 },
        { "nowait", changer->nowait }, { "noverify", changer->noverify },
        { "force", changer->force },   { "cleaning", changer->cleaning },
    };

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (flags[i].on)
            json_object_set_new(body, flags[i].name, json_true());
}

int
changer_command(struct changer *changer, const char *op, json_t *body,
                json_t **out_reply)
{
    struct wait wait = { .changer = changer, .since = time(NULL) };
    char after[32], *path;
    int rc;

    if (changer_find(changer) != 0) {
        json_decref(body);
        return 1;
    }
    add_flags(changer, body);
    snprintf(after, sizeof after, "/%s", op);
    path = client_path("/v1/libraries/", changer->library, after);
    if (isatty(STDERR_FILENO) == 1 && !changer->json)
        client_on_wait(changer->client, say_wait, &wait);
    rc = client_try(changer->client, path, body, out_reply);
    client_on_wait(changer->client, NULL, NULL);
    end_wait(&wait);
    free(path);
    json_decref(body);
    changer_forget(changer);
    return rc != 0;
}

void
changer_print_notes(const json_t *result)
{
    const json_t *notes = json_object_get(result, "notes"), *note;
    size_t i;

    json_array_foreach(notes, i, note)
        fprintf(stderr, "note: %s\n", json_string_value(note));
}
