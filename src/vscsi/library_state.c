/*
 * library_state.c - what is where, over restarts: state file, media directory
 *
 * The state file is text, a line for each cartridge:
 *
 *     KIND INDEX SOURCE FLAGS USES PRIMARY ALTERNATE FILE
 *
 * KIND 0 is "outside, taken by a hand"; FLAGS 1 label unreadable, 2 imported,
 * 4 not loaded; tags are "-" or SEQUENCE:TEXT; texts are percent-encoded.  It
 * is written as a whole beside its old version and renamed, whenever a medium
 * has left an element or has come to one: a process that is killed finds
 * every cartridge in one place again, at worst in the transport, from where it
 * goes to its slot, or to a free one, at the next start.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vscsi/library.h"

#define HEAD "reinsert-library 1\n"

enum { FLAG_UNREADABLE = 1, FLAG_IMPORTED = 2, FLAG_NOT_LOADED = 4 };

/* --- writing -------------------------------------------------------------- */

static void
put_encoded(FILE *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char) text[i];

        if (c <= ' ' || c >= 0x7f || c == '%')
            fprintf(to, "%%%02X", c);
        else
            putc(c, to);
    }
}

static void
put_tag(FILE *to, const struct tag *tag)
{
    if (!tag->set) {
        fputs("- ", to);
        return;
    }
    fprintf(to, "%u:", tag->sequence);
    put_encoded(to, tag->text, sizeof tag->text);
    putc(' ', to);
}

static void
put_cartridge(FILE *to, const struct cartridge *cartridge)
{
    const struct element *at = cartridge->at;
    unsigned flags = cartridge->unreadable ? FLAG_UNREADABLE : 0;

    if (at != NULL)
        flags |= (at->imported ? FLAG_IMPORTED : 0) |
                 (at->not_loaded ? FLAG_NOT_LOADED : 0);
    fprintf(to, "%u %u %d %u %u ", at != NULL ? (unsigned) at->kind : 0,
            at != NULL ? at->index : 0, at != NULL ? at->source : -1, flags,
            cartridge->uses_left);
    put_tag(to, &cartridge->primary);
    put_tag(to, &cartridge->alternate);
    put_encoded(to, cartridge->file, sizeof cartridge->file);
    putc('\n', to);
}

/* The whole text, and which state of affairs it tells. */
static char *
compose(struct vscsi_library *library, size_t *out_len, uint64_t *out_changes)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, out_len);

    if (to == NULL)
        return NULL;
    fputs(HEAD, to);
    pthread_mutex_lock(&library->lock);
    *out_changes = library->changes;
    for (struct cartridge *at = library->cartridges; at != NULL; at = at->next)
        put_cartridge(to, at);
    pthread_mutex_unlock(&library->lock);
    fputs("end\n", to);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int
write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, text, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        text += put;
        len -= (size_t) put;
    }
    return 0;
}

static int
replace_file(const char *path, const char *text, size_t len)
{
    char beside[4096];
    int fd, error;

    (void) snprintf(beside, sizeof beside, "%s.new", path);
    fd = open(beside, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    error = write_all(fd, text, len);
    if (close(fd) != 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(beside, path) != 0)
        error = -errno;
    return error;
}

int
library_state_save(struct vscsi_library *library)
{
    uint64_t changes;
    char *text;
    size_t len;
    int error = 0;

    if (library->state_file == NULL)
        return 0;
    pthread_mutex_lock(&library->lock);
    changes = library->changes;
    pthread_mutex_unlock(&library->lock);
    pthread_mutex_lock(&library->save_lock);
    if (library->saved < changes) {
        text = compose(library, &len, &changes);
        error = text == NULL ? -ENOMEM
                             : replace_file(library->state_file, text, len);
        if (error == 0)
            library->saved = changes;
        free(text);
    }
    pthread_mutex_unlock(&library->save_lock);
    return error;
}

/* --- the report ----------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void
tell(struct vscsi_library *library, const char *format, ...)
{
    char line[1024], *all;
    va_list args;

    va_start(args, format);
    (void) vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (asprintf(&all, "%s%s\n", library->report != NULL ? library->report : "",
                 line) < 0)
        return;
    free(library->report);
    library->report = all;
}

/* --- the media directory -------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

struct names {
    char **list;
    size_t count, room;
};

static void
names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static bool
names_add(struct names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room != 0 ? 2 * names->room : 64;
        char **list = realloc(names->list, room * sizeof *list);

        if (list == NULL)
            return false;
        names->list = list;
        names->room = room;
    }
    names->list[names->count] = strdup(name);
    return names->list[names->count++] != NULL;
}

/* The state file may lie among the media. */
static bool
is_cartridge(const struct vscsi_library *library, int dir, const char *name)
{
    struct stat st, state;
    size_t len = strlen(name);

    if (name[0] == '.' || fstatat(dir, name, &st, 0) != 0 ||
        !S_ISREG(st.st_mode))
        return false;
    if (library->state_file == NULL)
        return true;
    if (stat(library->state_file, &state) == 0 && state.st_dev == st.st_dev &&
        state.st_ino == st.st_ino)
        return false;
    return len < 4 || strcmp(name + len - 4, ".new") != 0;
}

static int
read_directory(struct vscsi_library *library, struct names *names,
               char *out_text, size_t max)
{
    DIR *dir = opendir(library->media_dir);
    struct dirent *entry;
    bool memory = true;

    if (dir == NULL)
        return library_refuse(out_text, max, -errno, "media directory %s: %s",
                              library->media_dir, strerror(errno));
    while (memory && (entry = readdir(dir)) != NULL)
        if (is_cartridge(library, dirfd(dir), entry->d_name))
            memory = names_add(names, entry->d_name);
    (void) closedir(dir);
    if (!memory)
        return library_refuse(out_text, max, -ENOMEM, "no memory");
    if (names->count > 1)
        qsort(names->list, names->count, sizeof *names->list, by_name);
    return 0;
}

/* --- reading the state file ----------------------------------------------- */

/* What lies before the next blank, decoded; false: it is too long or cut. */
static bool
take_text(char **at, char *to, size_t max)
{
    size_t len = 0;
    char *from = *at;

    for (; *from != '\0' && *from != ' ' && *from != '\n'; from++) {
        unsigned value = (unsigned char) *from;

        if (value == '%') {
            if (sscanf(from + 1, "%2x", &value) != 1)
                return false;
            from += 2;
        }
        if (len + 1 >= max)
            return false;
        to[len++] = (char) value;
    }
    to[len] = '\0';
    *at = *from == ' ' ? from + 1 : from;
    return len > 0;
}

static bool
take_tag(char **at, struct tag *to)
{
    char text[64];
    unsigned sequence;
    int used;
    size_t len;

    if (!take_text(at, text, sizeof text))
        return false;
    if (strcmp(text, "-") == 0)
        return true;
    if (sscanf(text, "%u:%n", &sequence, &used) != 1)
        return false;
    len = strnlen(text + used, sizeof to->text);
    memset(to->text, ' ', sizeof to->text);
    memcpy(to->text, text + used, len);
    to->sequence = (uint16_t) sequence;
    to->set = true;
    return true;
}

struct line {
    unsigned kind, index, flags, uses;
    int source;
    struct tag primary, alternate;
    char file[256];
};

static bool
parse_line(char *text, struct line *line)
{
    int used = 0;

    memset(line, 0, sizeof *line);
    if (sscanf(text, "%u %u %d %u %u %n", &line->kind, &line->index,
               &line->source, &line->flags, &line->uses, &used) != 5 ||
        used == 0)
        return false;
    text += used;
    return take_tag(&text, &line->primary) &&
           take_tag(&text, &line->alternate) &&
           take_text(&text, line->file, sizeof line->file);
}

static void
restore(struct vscsi_library *library, struct cartridge *cartridge,
        const struct line *line)
{
    struct element *to =
        library_nth(library, (enum vscsi_element_kind) line->kind, line->index);

    cartridge->unreadable = line->flags & FLAG_UNREADABLE;
    cartridge->primary = line->primary;
    cartridge->alternate = line->alternate;
    cartridge->uses_left = line->uses;
    if (line->kind == 0)
        return;
    if (to == NULL || to->cartridge != NULL) {
        tell(library,
             "cartridge %s was in %s %u, which %s: it goes to a free slot",
             line->file,
             library_kind_name(
                 line->kind < KINDS ? (enum vscsi_element_kind) line->kind : 0),
             line->index + 1, to == NULL ? "is no more" : "holds another");
        return;
    }
    library_place_locked(library, cartridge, to);
    to->source = line->source;
    to->imported = line->flags & FLAG_IMPORTED;
    to->not_loaded = line->flags & FLAG_NOT_LOADED;
}

/* The cartridges in the order of the names; seen[] has an entry for each. */
struct roll {
    struct names names;
    struct cartridge **cartridges;
    bool *seen;
    bool was_state;
};

static void
apply_line(struct vscsi_library *library, struct roll *roll,
           const struct line *line)
{
    const char *key = line->file;
    char **found = roll->names.count == 0
                       ? NULL
                       : bsearch(&key, roll->names.list, roll->names.count,
                                 sizeof *roll->names.list, by_name);
    size_t n;

    if (found == NULL) {
        if (line->kind != 0)
            tell(library,
                 "cartridge %s, last in %s %u, is gone: %s has no "
                 "such file",
                 line->file,
                 library_kind_name(line->kind < KINDS
                                       ? (enum vscsi_element_kind) line->kind
                                       : 0),
                 line->index + 1, library->media_dir);
        return;
    }
    n = (size_t) (found - roll->names.list);
    if (roll->seen[n])
        return;
    /* One that has no place any more is to get one. */
    restore(library, roll->cartridges[n], line);
    roll->seen[n] = roll->cartridges[n]->at != NULL || line->kind == 0;
}

static int
read_state(struct vscsi_library *library, struct roll *roll, char *out_text,
           size_t max)
{
    FILE *from = fopen(library->state_file, "re");
    char text[2048];
    struct line line;
    bool good, ended = false;

    if (from == NULL && errno == ENOENT)
        return 0;
    if (from == NULL)
        return library_refuse(out_text, max, -errno, "state file %s: %s",
                              library->state_file, strerror(errno));
    good = fgets(text, sizeof text, from) != NULL && strcmp(text, HEAD) == 0;
    while (good && !ended && fgets(text, sizeof text, from) != NULL) {
        ended = strcmp(text, "end\n") == 0;
        if (!ended)
            good = parse_line(text, &line);
        if (!ended && good)
            apply_line(library, roll, &line);
    }
    (void) fclose(from);
    roll->was_state = true;
    if (!good || !ended)
        return library_refuse(out_text, max, -EINVAL,
                              "state file %s is damaged: remove it, and the "
                              "cartridges go into the slots by name",
                              library->state_file);
    return 0;
}

/* --- all of it ------------------------------------------------------------ */

/* What has no place goes into the free slots, in order. */
static int
place_rest(struct vscsi_library *library, struct roll *roll, char *out_text,
           size_t max)
{
    unsigned slot = 0;

    for (size_t i = 0; i < roll->names.count; i++) {
        struct element *to = NULL;

        if (roll->seen[i])
            continue;
        while ((to = library_nth(library, VSCSI_ELEMENT_SLOT, slot)) != NULL &&
               to->cartridge != NULL)
            slot++;
        if (to == NULL)
            return library_refuse(
                out_text, max, -ENOSPC,
                "%s has more cartridges than the library has free slots: "
                "there is no slot for %s",
                library->media_dir, roll->names.list[i]);
        library_place_locked(library, roll->cartridges[i], to);
        if (roll->was_state)
            tell(library, "cartridge %s is new, and is in slot %u now",
                 roll->names.list[i], slot + 1);
    }
    return 0;
}

/* Where it came from, or else a free slot; NULL: the library is full. */
static struct element *
home_of(struct vscsi_library *library, const struct element *hand)
{
    struct element *home =
        hand->source >= 0 ? library_element(library, (unsigned) hand->source)
                          : NULL;

    if (home != NULL && home->kind != VSCSI_ELEMENT_TRANSPORT &&
        home->cartridge == NULL)
        return home;
    for (unsigned i = 0;
         (home = library_nth(library, VSCSI_ELEMENT_SLOT, i)) != NULL; i++)
        if (home->cartridge == NULL)
            return home;
    return NULL;
}

/* As a robot does when it starts: what it still holds goes home. */
static void
put_away(struct vscsi_library *library)
{
    for (unsigned i = 0; i < library->count[VSCSI_ELEMENT_TRANSPORT]; i++) {
        struct element *hand = library_nth(library, VSCSI_ELEMENT_TRANSPORT, i);
        struct cartridge *cartridge = hand->cartridge;
        struct element *home;

        if (cartridge == NULL)
            continue;
        home = home_of(library, hand);
        if (home == NULL) {
            tell(library, "cartridge %s is still in transport %u",
                 cartridge->file, i + 1);
            continue;
        }
        library_place_locked(library, cartridge, home);
        tell(library,
             "a motion was interrupted: cartridge %s is put into %s %u",
             cartridge->file, library_kind_name(home->kind), home->index + 1);
    }
}

static int
enrol(struct vscsi_library *library, struct roll *roll, char *out_text,
      size_t max)
{
    size_t count = roll->names.count;

    roll->cartridges = calloc(count + 1, sizeof(struct cartridge *));
    roll->seen = calloc(count + 1, sizeof *roll->seen);
    if (roll->cartridges == NULL || roll->seen == NULL)
        return library_refuse(out_text, max, -ENOMEM, "no memory");
    for (size_t i = 0; i < count; i++) {
        roll->cartridges[i] =
            library_add_cartridge(library, roll->names.list[i]);
        if (roll->cartridges[i] == NULL)
            return library_refuse(out_text, max, -ENOMEM, "no memory");
    }
    return 0;
}

int
library_state_load(struct vscsi_library *library, char *out_text,
                   size_t text_max)
{
    struct roll roll = { 0 };
    int error = 0;

    if (library->media_dir == NULL)
        return 0;
    error = read_directory(library, &roll.names, out_text, text_max);
    if (error == 0)
        error = enrol(library, &roll, out_text, text_max);
    if (error == 0 && library->state_file != NULL)
        error = read_state(library, &roll, out_text, text_max);
    if (error == 0)
        error = place_rest(library, &roll, out_text, text_max);
    if (error == 0)
        put_away(library);
    names_free(&roll.names);
    free(roll.cartridges);
    free(roll.seen);
    if (error == 0) {
        library->changes++;
        error = library_state_save(library);
        if (error != 0)
            (void) library_refuse(out_text, text_max, error,
                                  "state file %s: %s", library->state_file,
                                  strerror(-error));
    }
    return error;
}
