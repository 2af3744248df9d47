/*
 * config_values.c - what a key may say: words, numbers, sizes, texts
 *
 * Each says what is wrong with its value, with the line, and returns 0.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "stack/config_read.h"

int
config_wrong(struct reading *r, const char *format, ...)
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

int
config_text(struct reading *r, const char *key, const char *value, char *out,
            size_t max)
{
    if (value[0] == '\0')
        return config_wrong(r, "%s: a value is missing", key);
    if (strlen(value) >= max)
        return config_wrong(r, "%s: longer than %zu bytes", key, max - 1);
    snprintf(out, max, "%s", value);
    return 1;
}

int
config_one_of(struct reading *r, const char *key, const char *value,
              const char *const *words, int *out)
{
    char all[80] = "";

    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], value) == 0) {
            *out = i;
            return 1;
        }
    if (words[2] == NULL)
        return config_wrong(r, "%s: \"%.60s\" is neither %s nor %s", key, value,
                            words[0], words[1]);
    for (int i = 0; words[i] != NULL; i++) {
        size_t len = strlen(all);

        snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "",
                 words[i]);
    }
    return config_wrong(r, "%s: \"%.60s\" is none of %s", key, value, all);
}

int
config_yes_or_no(struct reading *r, const char *key, const char *value,
                 bool *out)
{
    static const char *const words[] = { "yes", "no", "true", "false", "on",
                                         "off", "1",  "0",    NULL };

    for (int i = 0; words[i] != NULL; i++)
        if (strcasecmp(words[i], value) == 0) {
            *out = i % 2 == 0;
            return 1;
        }
    return config_wrong(r, "%s: \"%.60s\" is neither yes nor no", key, value);
}

int
config_number(struct reading *r, const char *key, const char *value,
              unsigned max, unsigned *out)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char) value[0]) || *end != '\0' || errno != 0 ||
        n > max)
        return config_wrong(r, "%s: \"%.60s\" is no number from 0 to %u", key,
                            value, max);
    *out = (unsigned) n;
    return 1;
}

/* Bytes: a number, perhaps with K, M or G (1024 and its powers). */
int
config_size(struct reading *r, const char *key, const char *value,
            uint64_t *out)
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
        return config_wrong(
            r, "%s: \"%.60s\" is no size, as 65536, 512K, 64M or 1G", key,
            value);
    if (errno != 0 || n > (uint64_t) SIZE_MAX >> 24 >> shift)
        return config_wrong(r, "%s: \"%.60s\" is too large", key, value);
    *out = (uint64_t) n << shift;
    return 1;
}

int
config_add_line(struct reading *r, const char *key, const char *line,
                char **lines)
{
    size_t old = *lines != NULL ? strlen(*lines) : 0;
    char *more = realloc(*lines, old + strlen(line) + 2);

    if (more == NULL)
        return config_wrong(r, "%s: out of memory", key);
    sprintf(more + old, "%s\n", line);
    *lines = more;
    return 1;
}

int
config_socket_path(struct reading *r, const char *key, const char *path)
{
    if (path[0] == '\0')
        return config_wrong(r, "%s: the path of the socket is missing", key);
    if (strlen(path) >= sizeof((struct sockaddr_un *) 0)->sun_path)
        return config_wrong(r, "%s: a socket's path has at most %zu bytes", key,
                            sizeof((struct sockaddr_un *) 0)->sun_path - 1);
    return 1;
}
