/*
 * config.c - the configuration: defaults, INI files, images on a command line
 *
 * inih splits lines; what they may say is the table `keys`.  The first thing
 * that is wrong ends the reading, with its line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "stack/config_library.h"
#include "stack/sg_find.h"
#include "stack/stack_internal.h"

struct reading {
    const char *path;
    FILE *file;
    struct ri_config *config;
    struct ri_error *error;
    unsigned line;
    unsigned service_line;
    char seen[512]; /* keys of this section, "a\nb\n" */
    char section[RI_NAME_MAX + 16];
    int rc;
};

void
ri_config_init(struct ri_config *config)
{
    memset(config, 0, sizeof *config);
    config->on_no_operator = RI_NO_OPERATOR_WAIT;
    config->unflushed_bytes = 64ull << 20;
    config->unflushed_total_bytes = 256ull << 20;
    config->flush_idle_ms = 1000;
}

void
ri_config_free(struct ri_config *config)
{
    for (size_t i = 0; i < config->drive_count; i++)
        free(config->drives[i].faults), free(config->drives[i].parameters);
    for (size_t i = 0; i < config->library_count; i++) {
        struct ri_library_config *library = &config->libraries[i];

        free(library->faults), free(library->parameters);
        free(library->drive.faults), free(library->drive.parameters);
    }
    free(config->driver_values);
    free(config->drives);
    free(config->libraries);
    ri_config_init(config);
}

int
ri_fail(struct ri_error *out_error, int rc, const char *format, ...)
{
    va_list args;

    if (out_error != NULL) {
        va_start(args, format);
        vsnprintf(out_error->text, sizeof out_error->text, format, args);
        va_end(args);
    }
    return rc;
}

static int
wrong(struct reading *r, const char *format, ...)
{
    char what[RI_TEXT_MAX / 2];
    va_list args;

    if (r->rc != 0)
        return 0;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    r->rc = ri_fail(r->error, -EINVAL, "%.200s:%u: %s", r->path, r->line, what);
    return 0;
}

static struct ri_drive_config *
add_drive(struct ri_config *config)
{
    struct ri_drive_config *more =
        realloc(config->drives, (config->drive_count + 1) * sizeof *more);

    if (more == NULL)
        return NULL;
    config->drives = more;
    more += config->drive_count++;
    memset(more, 0, sizeof *more);
    return more;
}

/* --- values ----------------------------------------------------------------- */

static int
copy_text(struct reading *r, const char *key, const char *value, char *out,
          size_t max)
{
    if (value[0] == '\0')
        return wrong(r, "%s: a value is missing", key);
    if (strlen(value) >= max)
        return wrong(r, "%s: longer than %zu bytes", key, max - 1);
    snprintf(out, max, "%s", value);
    return 1;
}

static int
one_of(struct reading *r, const char *key, const char *value,
       const char *const *words, int *out)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], value) == 0) {
            *out = i;
            return 1;
        }
    if (words[2] == NULL)
        return wrong(r, "%s: \"%.60s\" is neither %s nor %s", key, value,
                     words[0], words[1]);
    return wrong(r, "%s: \"%.60s\" is none of %s, %s, %s", key, value, words[0],
                 words[1], words[2]);
}

static int
yes_or_no(struct reading *r, const char *key, const char *value, bool *out)
{
    static const char *const words[] = { "yes", "no", "true", "false", "on",
                                         "off", "1",  "0",    NULL };

    for (int i = 0; words[i] != NULL; i++)
        if (strcasecmp(words[i], value) == 0) {
            *out = i % 2 == 0;
            return 1;
        }
    return wrong(r, "%s: \"%.60s\" is neither yes nor no", key, value);
}

static int
number(struct reading *r, const char *key, const char *value, unsigned max,
       unsigned *out)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char) value[0]) || *end != '\0' || errno != 0 ||
        n > max)
        return wrong(r, "%s: \"%.60s\" is no number from 0 to %u", key, value,
                     max);
    *out = (unsigned) n;
    return 1;
}

static int
check_socket_path(struct reading *r, const char *key, const char *path)
{
    if (path[0] == '\0')
        return wrong(r, "%s: the path of the socket is missing", key);
    if (strlen(path) >= sizeof((struct sockaddr_un *) 0)->sun_path)
        return wrong(r, "%s: a socket's path has at most %zu bytes", key,
                     sizeof((struct sockaddr_un *) 0)->sun_path - 1);
    return 1;
}

static int
set_nbd(struct reading *r, const char *key, const char *value)
{
    struct ri_config *config = r->config;
    const char *port = strrchr(value, ':');

    if (strncmp(value, "unix:", 5) == 0) {
        if (!check_socket_path(r, key, value + 5))
            return 0;
    } else if (strncmp(value, "tcp:", 4) == 0) {
        unsigned n;

        if (port == value + 3 || port == value + 4)
            return wrong(r, "%s: tcp wants tcp:HOST:PORT", key);
        if (!number(r, key, port + 1, 65535, &n))
            return 0;
    } else {
        return wrong(r, "%s: \"%.60s\" is neither unix:PATH nor tcp:HOST:PORT",
                     key, value);
    }
    if (config->nbd_count == RI_LISTEN_MAX)
        return wrong(r, "%s: at most %d of these", key, RI_LISTEN_MAX);
    if (!copy_text(r, key, value, config->nbd[config->nbd_count],
                   sizeof config->nbd[0]))
        return 0;
    config->nbd_count++;
    return 1;
}

static int
set_control(struct reading *r, const char *key, const char *value)
{
    return check_socket_path(r, key, value) &&
           copy_text(r, key, value, r->config->control,
                     sizeof r->config->control);
}

static int
set_timeout(struct reading *r, const char *key, const char *value)
{
    return number(r, key, value, 31536000, &r->config->prompt_timeout_s);
}

static int
set_no_operator(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "wait", "cancel", NULL };
    int n = 0;

    if (!one_of(r, key, value, words, &n))
        return 0;
    r->config->on_no_operator = (enum ri_no_operator) n;
    return 1;
}

/* Bytes: a number, perhaps with K, M or G (1024 and its powers). */
static int
size(struct reading *r, const char *key, const char *value, uint64_t *out)
{
    static const char units[] = "KMG";
    unsigned long long n;
    const char *unit;
    unsigned shift = 0;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    if (*end != '\0' && (unit = strchr(units, *end)) != NULL) {
        shift = 10 * (unsigned) (unit - units + 1);
        end++;
    }
    if (!isdigit((unsigned char) value[0]) || *end != '\0')
        return wrong(r, "%s: \"%.60s\" is no size, as 65536, 512K, 64M or 1G",
                     key, value);
    if (errno != 0 || n > (uint64_t) SIZE_MAX >> 24 >> shift)
        return wrong(r, "%s: \"%.60s\" is too large", key, value);
    *out = (uint64_t) n << shift;
    return 1;
}

static int
set_unflushed(struct reading *r, const char *key, const char *value)
{
    return size(r, key, value, &r->config->unflushed_bytes);
}

static int
set_unflushed_total(struct reading *r, const char *key, const char *value)
{
    return size(r, key, value, &r->config->unflushed_total_bytes);
}

/* Seconds, perhaps with up to three decimals. */
static int
set_flush_idle(struct reading *r, const char *key, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (!isdigit((unsigned char) value[0]) || *end != '\0' ||
        value[strspn(value, "0123456789.")] != '\0' || seconds > 3600)
        return wrong(r, "%s: \"%.60s\" is no number of seconds from 0 to 3600",
                     key, value);
    r->config->flush_idle_ms = (unsigned) (seconds * 1000 + 0.5);
    if (r->config->flush_idle_ms == 0 && seconds > 0)
        r->config->flush_idle_ms = 1;
    return 1;
}

static int
set_recovery_dir(struct reading *r, const char *key, const char *value)
{
    struct stat st;

    if (!copy_text(r, key, value, r->config->recovery_dir,
                   sizeof r->config->recovery_dir))
        return 0;
    if (value[0] != '/')
        return wrong(r, "%s: \"%.150s\" is not an absolute path", key, value);
    if (stat(value, &st) != 0)
        return errno == ENOENT
                   ? 1
                   : wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return wrong(r, "%s: %.150s: is no folder", key, value);
    if (access(value, W_OK | X_OK) != 0)
        return wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    return 1;
}

static int
set_unflushed_log(struct reading *r, const char *key, const char *value)
{
    if (value[0] != '\0' && value[0] != '/')
        return wrong(r, "%s: \"%.150s\" is not an absolute path", key, value);
    return copy_text(r, key, value, r->config->unflushed_log,
                     sizeof r->config->unflushed_log);
}

static bool
in_library(const struct reading *r)
{
    return strncmp(r->section, "library ", 8) == 0;
}

/* A robot is reached like a drive. */
static struct ri_drive_config *
this_drive(struct reading *r)
{
    if (in_library(r))
        return &r->config->libraries[r->config->library_count - 1].robot;
    return &r->config->drives[r->config->drive_count - 1];
}

static int
set_type(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "disk", "floppy", "cdrom", NULL };
    int n = 0;

    if (!one_of(r, key, value, words, &n))
        return 0;
    this_drive(r)->type = (enum ri_drive_type) n;
    return 1;
}

static int
set_port(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "virtual", "iscsi", "sg", NULL };
    int n = 0;

    if (!one_of(r, key, value, words, &n))
        return 0;
    this_drive(r)->port = (enum ri_port) n;
    return 1;
}

static int
set_url(struct reading *r, const char *key, const char *value)
{
    if (strncmp(value, "iscsi://", 8) != 0)
        return wrong(r, "%s: \"%.100s\" is no iscsi://HOST[:PORT]/TARGET/LUN",
                     key, value);
    /* It is shown in many places. */
    if (strchr(value, '@') != NULL)
        return wrong(r,
                     "%s: a user and a secret do not belong here; see "
                     "chap-user and chap-secret",
                     key);
    return copy_text(r, key, value, this_drive(r)->url,
                     sizeof this_drive(r)->url);
}

static int
set_chap_user(struct reading *r, const char *key, const char *value)
{
    return copy_text(r, key, value, this_drive(r)->user,
                     sizeof this_drive(r)->user);
}

static int
set_chap_secret(struct reading *r, const char *key, const char *value)
{
    struct stat st;

    if (value[0] != '/')
        return wrong(r, "%s: names a file, by an absolute path", key);
    if (stat(value, &st) != 0)
        return wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    if ((st.st_mode & 077) != 0)
        return wrong(r,
                     "%s: %.150s can be read by others; its mode should be "
                     "0600",
                     key, value);
    return copy_text(r, key, value, this_drive(r)->secret_file,
                     sizeof this_drive(r)->secret_file);
}

static int
set_initiator(struct reading *r, const char *key, const char *value)
{
    if (strncmp(value, "iqn.", 4) != 0 && strncmp(value, "eui.", 4) != 0)
        return wrong(r, "%s: \"%.100s\" is no iqn. or eui. name", key, value);
    return copy_text(r, key, value, this_drive(r)->initiator,
                     sizeof this_drive(r)->initiator);
}

static int
set_device(struct reading *r, const char *key, const char *value)
{
    if (value[0] != '/')
        return wrong(r, "%s: \"%.100s\" is not an absolute path", key, value);
    return copy_text(r, key, value, this_drive(r)->device,
                     sizeof this_drive(r)->device);
}

static int
set_match(struct reading *r, const char *key, const char *value)
{
    const char *fault = sg_match_fault(value);

    if (fault != NULL)
        return wrong(r, "%s: \"%.100s\": %s", key, value, fault);
    return copy_text(r, key, value, this_drive(r)->match,
                     sizeof this_drive(r)->match);
}

static int
set_own(struct reading *r, const char *key, const char *value)
{
    return yes_or_no(r, key, value, &this_drive(r)->own);
}

static int
set_medium(struct reading *r, const char *key, const char *value)
{
    struct stat st;

    if (!copy_text(r, key, value, this_drive(r)->medium,
                   sizeof this_drive(r)->medium))
        return 0;
    if (stat(value, &st) != 0)
        return wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    if (access(value, R_OK) != 0)
        return wrong(r, "%s: %.150s: %s", key, value, strerror(errno));
    return 1;
}

static int
set_cache(struct reading *r, const char *key, const char *value)
{
    static const char *const words[] = { "none", "volatile", NULL };
    int n = 0;

    if (!one_of(r, key, value, words, &n))
        return 0;
    this_drive(r)->cache = (enum ri_cache) n;
    return 1;
}

static int
set_readonly(struct reading *r, const char *key, const char *value)
{
    return yes_or_no(r, key, value, &this_drive(r)->readonly);
}

static int
set_load_ms(struct reading *r, const char *key, const char *value)
{
    return number(r, key, value, 3600000, &this_drive(r)->load_ms);
}

static int
set_block_size(struct reading *r, const char *key, const char *value)
{
    unsigned n = 0;

    if (!number(r, key, value, 4096, &n))
        return 0;
    if (n != 512 && n != 2048 && n != 4096)
        return wrong(r, "%s: \"%.60s\" is none of 512, 2048, 4096", key, value);
    this_drive(r)->block_bytes = n;
    return 1;
}

/* Any drive understands any rule; it is given to the real one at the start. */
static int
check_fault(struct reading *r, const char *key, const char *value)
{
    struct vscsi_config config = { .name = "check" };
    struct vscsi_drive *device = vscsi_new(&config);
    char text[RI_TEXT_MAX / 4] = "";
    int rc = -ENOMEM;

    if (device != NULL)
        rc = vscsi_fault_add(device, value, text, sizeof text);
    vscsi_free(device);
    return rc == 0 ? 1 : wrong(r, "%s: %s", key, text);
}

static int
add_line(struct reading *r, const char *key, const char *line, char **lines)
{
    size_t old = *lines != NULL ? strlen(*lines) : 0;
    char *more = realloc(*lines, old + strlen(line) + 2);

    if (more == NULL)
        return wrong(r, "%s: out of memory", key);
    sprintf(more + old, "%s\n", line);
    *lines = more;
    return 1;
}

static int
add_fault(struct reading *r, const char *key, const char *value)
{
    return check_fault(r, key, value) &&
           add_line(r, key, value, &this_drive(r)->faults);
}

/* A number that begins like one must be one, and fit. */
static int
check_value(struct reading *r, const char *key, const char *value)
{
    bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
    unsigned long n;
    char *end;

    errno = 0;
    n = strtoul(value, &end, hex ? 16 : 10);
    if (isdigit((unsigned char) value[0]) && *end == '\0' &&
        (errno != 0 || n > UINT32_MAX))
        return wrong(r, "%s: \"%.60s\" does not fit into 32 bits", key, value);
    return 1;
}

static int
add_parameter(struct reading *r, const char *key, const char *value)
{
    const char *equals = strchr(value, '=');
    char line[RI_PATH_MAX], *to = line;

    if (equals == NULL || equals == value)
        return wrong(r, "%s: \"%.60s\" is not NAME=VALUE", key, value);
    if (strlen(value) >= sizeof line)
        return wrong(r, "%s: longer than %zu bytes", key, sizeof line - 1);
    /* Blanks around the = mean nothing. */
    to += sprintf(to, "%.*s", (int) (equals - value), value);
    while (to > line && isblank((unsigned char) to[-1]))
        to--;
    equals += 1 + strspn(equals + 1, " \t");
    sprintf(to, "=%s", equals);
    return check_value(r, key, equals) &&
           add_line(r, key, line, &this_drive(r)->parameters);
}

/* [driver NAME]: any key is a value's name. */
static int
add_driver_value(struct reading *r, const char *key, const char *value)
{
    char line[2 * RI_PATH_MAX];

    if (strpbrk(key, "\\/") != NULL || strlen(key) > 255)
        return wrong(r, "\"%.60s\" cannot be the name of a value", key);
    snprintf(line, sizeof line, "%s/%s=%s", r->section + strlen("driver "), key,
             value);
    return check_value(r, key, value) &&
           add_line(r, key, line, &r->config->driver_values);
}

static const struct key {
    const char *section, *name;
    bool repeats;
    int (*set)(struct reading *r, const char *key, const char *value);
} keys[] = {
    { "service", "nbd", true, set_nbd },
    { "service", "control", false, set_control },
    { "service", "prompt-timeout", false, set_timeout },
    { "service", "on-no-operator", false, set_no_operator },
    { "service", "unflushed-limit", false, set_unflushed },
    { "service", "unflushed-total", false, set_unflushed_total },
    { "service", "flush-idle", false, set_flush_idle },
    { "service", "recovery-dir", false, set_recovery_dir },
    { "service", "unflushed-log", false, set_unflushed_log },
    { "drive", "type", false, set_type },
    { "drive", "port", false, set_port },
    { "drive", "url", false, set_url },
    { "drive", "chap-user", false, set_chap_user },
    { "drive", "chap-secret", false, set_chap_secret },
    { "drive", "initiator", false, set_initiator },
    { "drive", "device", false, set_device },
    { "drive", "match", false, set_match },
    { "drive", "own", false, set_own },
    { "drive", "medium", false, set_medium },
    { "drive", "cache", false, set_cache },
    { "drive", "readonly", false, set_readonly },
    { "drive", "load-ms", false, set_load_ms },
    { "drive", "block-size", false, set_block_size },
    { "drive", "fault", true, add_fault },
    { "drive", "parameter", true, add_parameter },
};

/* --- sections ------------------------------------------------------------------ */

/* What may be a drive's name: it appears in URLs, export names and tables. */
static const char *
name_fault(const char *name)
{
    if (name[0] == '\0')
        return "the drive has no name";
    if (strlen(name) > 64)
        return "a drive's name has at most 64 bytes";
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char) *p <= ' ' || *p == 0x7F ||
            strchr("/:\"\\?#%", *p) != NULL)
            return "a drive's name has no blanks, control characters or "
                   "any of / : \" \\ ? # %";
    return NULL;
}

static int
start_drive(struct reading *r, const char *name)
{
    const char *fault = name_fault(name);
    struct ri_drive_config *drive;

    if (fault != NULL)
        return wrong(r, "%s", fault);
    for (size_t i = 0; i < r->config->drive_count; i++)
        if (strcmp(r->config->drives[i].name, name) == 0)
            return wrong(r, "drive %s is there already, on line %u", name,
                         r->config->drives[i].line);
    drive = add_drive(r->config);
    if (drive == NULL)
        return wrong(r, "out of memory");
    snprintf(drive->name, sizeof drive->name, "%s", name);
    drive->line = r->line;
    return 1;
}

static int
start_library(struct reading *r, const char *name)
{
    const char *fault = name_fault(name);
    struct ri_library_config *more;
    size_t count = r->config->library_count;

    if (fault != NULL)
        return wrong(r, "library: %s", fault);
    for (size_t i = 0; i < count; i++)
        if (strcmp(r->config->libraries[i].name, name) == 0)
            return wrong(r, "library %s is there already, on line %u", name,
                         r->config->libraries[i].line);
    more = realloc(r->config->libraries, (count + 1) * sizeof *more);
    if (more == NULL)
        return wrong(r, "out of memory");
    r->config->libraries = more;
    r->config->library_count = count + 1;
    library_defaults(&more[count]);
    snprintf(more[count].name, sizeof more[count].name, "%s", name);
    more[count].line = r->line;
    return 1;
}

/* Its drives are NAME-0, NAME-1, ...: nobody else may be called so. */
static int
check_library(struct reading *r, struct ri_library_config *library)
{
    char text[RI_TEXT_MAX / 4], name[2 * RI_NAME_MAX];

    r->line = library->line;
    if (!library_complete(library, text, sizeof text))
        return wrong(r, "%s", text);
    if (!library_fits(r->config, library, &r->line, text, sizeof text))
        return wrong(r, "%s", text);
    if (library->port != RI_PORT_VIRTUAL)
        return 1;
    for (unsigned n = 0; n < library->drive_count; n++) {
        snprintf(name, sizeof name, "%s-%u", library->name, n);
        for (size_t i = 0; i < r->config->drive_count; i++)
            if (strcmp(r->config->drives[i].name, name) == 0)
                return wrong(r,
                             "drive %s, of line %u, is a name of the "
                             "library's own drives",
                             name, r->config->drives[i].line);
    }
    return 1;
}

/* The drivers that the service loads. */
static int
start_driver(struct reading *r, const char *name)
{
    static const char *const known[] = { "disk", "cdrom", "port", "volume" };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], name) == 0) {
            snprintf(r->section, sizeof r->section, "driver %s", name);
            return 1;
        }
    return wrong(r, "[driver %.60s]: there are disk, cdrom, port and volume",
                 name);
}

static int
start_section(struct reading *r, const char *section)
{
    r->seen[0] = '\0';
    snprintf(r->section, sizeof r->section, "%.140s", section);
    if (strcmp(section, "service") == 0) {
        if (r->service_line != 0)
            return wrong(r, "[service] is there already, on line %u",
                         r->service_line);
        r->service_line = r->line;
        return 1;
    }
    if (strncmp(section, "drive ", 6) == 0)
        return start_drive(r, section + 6 + strspn(section + 6, " \t"));
    if (strncmp(section, "library ", 8) == 0)
        return start_library(r, section + 8 + strspn(section + 8, " \t"));
    if (strncmp(section, "driver ", 7) == 0)
        return start_driver(r, section + 7 + strspn(section + 7, " \t"));
    return wrong(r,
                 "[%.60s]: there are [service], [drive NAME], [library NAME] "
                 "and [driver NAME]",
                 section);
}

static bool
is_iscsi_key(const char *name)
{
    return strcmp(name, "url") == 0 || strcmp(name, "initiator") == 0 ||
           strncmp(name, "chap-", 5) == 0;
}

static void
note_drive(const struct reading *r, struct ri_library_config *library)
{
    unsigned n = 0;

    while (n + 1 < RI_LIBRARY_DRIVES_MAX && library->drive_lines[n] != 0)
        n++;
    library->drive_lines[n] = r->line;
}

static int
set_library_key(struct reading *r, const char *name, const char *value)
{
    struct ri_library_config *library =
        &r->config->libraries[r->config->library_count - 1];
    char mark[64], text[RI_TEXT_MAX / 4];

    snprintf(mark, sizeof mark, "\n%.60s\n", name);
    if (!library_key_repeats(name) && strstr(r->seen, mark) != NULL)
        return wrong(r, "%s: given twice", name);
    if (strlen(r->seen) + strlen(mark) < sizeof r->seen)
        strcat(r->seen, mark);
    if (strcmp(name, "fault") == 0 || strcmp(name, "drive-fault") == 0) {
        if (!check_fault(r, name, value))
            return 0;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (is_iscsi_key(keys[i].name) && strcmp(keys[i].name, name) == 0)
            return keys[i].set(r, name, value);
    if (!library_key_set(library, name, value, text, sizeof text))
        return wrong(r, "%s", text);
    if (strcmp(name, "drive") == 0)
        note_drive(r, library);
    if (library->emulated_key != NULL && library->emulated_line == 0)
        library->emulated_line = r->line;
    return 1;
}

static int
set_key(struct reading *r, const char *name, const char *value)
{
    const char *section =
        strcmp(r->section, "service") == 0 ? "service" : "drive";
    char mark[64];

    if (strncmp(r->section, "driver ", 7) == 0)
        return add_driver_value(r, name, value);
    if (in_library(r))
        return set_library_key(r, name, value);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i].section, section) != 0 ||
            strcmp(keys[i].name, name) != 0)
            continue;
        snprintf(mark, sizeof mark, "\n%s\n", name);
        if (!keys[i].repeats && strstr(r->seen, mark) != NULL)
            return wrong(r, "%s: given twice", name);
        if (strlen(r->seen) + strlen(mark) < sizeof r->seen)
            strcat(r->seen, mark);
        return keys[i].set(r, name, value);
    }
    return wrong(r, "\"%.60s\" is no key of [%s]", name, section);
}

/* inih tells sections only through their keys, so the lines are read here:
 * this sees each before inih does. */
static char *
read_line(char *line, int max, void *stream)
{
    struct reading *r = stream;
    char *got = fgets(line, max, r->file), *start, *end;

    if (got == NULL || r->rc != 0)
        return NULL;
    r->line++;
    if (strchr(line, '\n') == NULL && !feof(r->file)) {
        wrong(r, "the line is longer than %d bytes", max - 2);
        return NULL;
    }
    start = line + strspn(line, " \t");
    end = strchr(start, ']');
    if (*start == '[' && end != NULL) {
        char name[RI_PATH_MAX];

        snprintf(name, sizeof name, "%.*s", (int) (end - start - 1), start + 1);
        start_section(r, name);
    }
    return r->rc == 0 ? got : NULL;
}

static int
take_key(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;

    if (r->rc != 0)
        return 0;
    if (section[0] == '\0')
        return wrong(r, "\"%.60s\" stands before any section", name);
    return set_key(r, name, value != NULL ? value : "");
}

static bool
says_iscsi(const struct ri_drive_config *drive)
{
    return drive->url[0] != '\0' || drive->user[0] != '\0' ||
           drive->secret_file[0] != '\0' || drive->initiator[0] != '\0';
}

static bool
says_sg(const struct ri_drive_config *drive)
{
    return drive->device[0] != '\0' || drive->match[0] != '\0' || drive->own;
}

static bool
says_emulated(const struct ri_drive_config *drive)
{
    return drive->medium[0] != '\0' || drive->faults != NULL ||
           drive->load_ms != 0 || drive->block_bytes != 0 ||
           drive->cache != RI_CACHE_NONE || drive->readonly;
}

/* What is wrong with it as a whole, or NULL. */
static const char *
drive_fault(const struct ri_drive_config *drive)
{
    if (drive->port != RI_PORT_VIRTUAL && says_emulated(drive))
        return "medium, cache, readonly, load-ms, block-size and fault are of "
               "emulated drives";
    if (drive->port != RI_PORT_ISCSI && says_iscsi(drive))
        return "url, chap-user, chap-secret and initiator need port = iscsi";
    if (drive->port != RI_PORT_SG && says_sg(drive))
        return "device, match and own need port = sg";
    if (drive->port == RI_PORT_ISCSI && drive->url[0] == '\0')
        return "port = iscsi needs url = iscsi://...";
    if (drive->port == RI_PORT_SG &&
        (drive->device[0] != '\0') == (drive->match[0] != '\0'))
        return "port = sg needs one of device and match";
    return NULL;
}

/* What belongs together, now that all of it is known. */
static void
check_drives(struct reading *r)
{
    for (size_t i = 0; r->rc == 0 && i < r->config->drive_count; i++) {
        const struct ri_drive_config *drive = &r->config->drives[i];
        const char *fault = drive_fault(drive);

        r->line = drive->line;
        if (fault != NULL)
            wrong(r, "drive %s: %s", drive->name, fault);
    }
}

int
ri_config_load(const char *path, struct ri_config *out_config,
               struct ri_error *out_error)
{
    struct ri_config config;
    struct reading r = { .path = path, .config = &config, .error = out_error };
    int line;

    r.file = fopen(path, "re");
    if (r.file == NULL)
        return ri_fail(out_error, -errno, "%.400s: %s", path, strerror(errno));
    ri_config_init(&config);
    line = ini_parse_stream(read_line, &r, take_key, &r);
    if (r.rc == 0 && ferror(r.file))
        r.rc = ri_fail(out_error, -EIO, "%.400s: cannot be read", path);
    fclose(r.file);
    if (r.rc == 0 && line > 0) {
        r.line = (unsigned) line;
        wrong(&r, "neither [section] nor key = value");
    }
    if (r.rc == 0 && config.drive_count == 0 && config.library_count == 0) {
        r.line = r.line > 0 ? r.line : 1;
        wrong(&r, "no [drive NAME] is given");
    }
    if (r.rc == 0)
        check_drives(&r);
    for (size_t i = 0; r.rc == 0 && i < config.library_count; i++)
        check_library(&r, &config.libraries[i]);
    if (r.rc != 0) {
        ri_config_free(&config);
        return r.rc;
    }
    *out_config = config;
    return 0;
}

/* --- images on the command line ---------------------------------------------------- */

/* The sizes that floppies have, in blocks of 512 bytes. */
static bool
is_floppy_size(off_t bytes)
{
    static const unsigned short blocks[] = { 320,  360,  640,  720, 1280,
                                             1440, 2400, 2880, 5760 };

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (bytes == (off_t) blocks[i] * 512)
            return true;
    return false;
}

static enum ri_drive_type
type_of_image(int fd)
{
    char id[6] = "";
    struct stat st;

    for (int sector = 16; sector < 20; sector++) {
        if (pread(fd, id, 5, sector * 2048 + 1) != 5)
            break;
        if (strcmp(id, "CD001") == 0 || strcmp(id, "BEA01") == 0)
            return RI_CDROM;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        is_floppy_size(st.st_size))
        return RI_FLOPPY;
    return RI_DISK;
}

static void
name_drive(const struct ri_config *config, struct ri_drive_config *drive)
{
    const char *stem = drive->type == RI_CDROM    ? "cdrom"
                       : drive->type == RI_FLOPPY ? "floppy"
                                                  : "disk";

    for (unsigned n = 0;; n++) {
        bool taken = false;

        snprintf(drive->name, sizeof drive->name, "%s%u", stem, n);
        for (size_t i = 0; i + 1 < config->drive_count; i++)
            taken = taken || strcmp(config->drives[i].name, drive->name) == 0;
        if (!taken)
            return;
    }
}

int
ri_config_add_image(struct ri_config *config, const char *image,
                    struct ri_error *out_error)
{
    int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct ri_drive_config *drive;
    enum ri_drive_type type;

    if (fd < 0)
        return ri_fail(out_error, -errno, "%.400s: %s", image, strerror(errno));
    type = type_of_image(fd);
    close(fd);
    if (strlen(image) >= RI_PATH_MAX)
        return ri_fail(out_error, -ENAMETOOLONG, "%.400s: path too long",
                       image);
    drive = add_drive(config);
    if (drive == NULL)
        return ri_fail(out_error, -ENOMEM, "out of memory");
    drive->type = type;
    snprintf(drive->medium, sizeof drive->medium, "%s", image);
    name_drive(config, drive);
    return 0;
}
