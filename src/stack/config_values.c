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

#include "base/iscsi_login.h"
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

bool
config_is_yes_or_no(const char *value, bool *out)
{
    static const char *const words[] = { "yes", "no", "true", "false", "on",
                                         "off", "1",  "0",    NULL };

    for (int i = 0; words[i] != NULL; i++)
        if (strcasecmp(words[i], value) == 0) {
            *out = i % 2 == 0;
            return true;
        }
    return false;
}

int
config_yes_or_no(struct reading *r, const char *key, const char *value,
                 bool *out)
{
    return config_is_yes_or_no(value, out) ||
           config_wrong(r, "%s: \"%.60s\" is neither yes nor no", key, value);
}

bool
config_is_number(const char *value, unsigned low, unsigned high, unsigned *out)
{
    unsigned long n;
    char *end;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char) value[0]) || *end != '\0' || errno != 0 ||
        n < low || n > high)
        return false;
    *out = (unsigned) n;
    return true;
}

int
config_number(struct reading *r, const char *key, const char *value,
              unsigned max, unsigned *out)
{
    return config_is_number(value, 0, max, out) ||
           config_wrong(r, "%s: \"%.60s\" is no number from 0 to %u", key,
                        value, max);
}

int
config_is_size(const char *value, const char *units, uint64_t max,
               uint64_t *out)
{
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
        return -EINVAL;
    if (errno != 0 || n > max >> shift)
        return -ERANGE;
    *out = (uint64_t) n << shift;
    return 0;
}

int
config_size(struct reading *r, const char *key, const char *value,
            uint64_t *out)
{
    int rc = config_is_size(value, "KMG", (uint64_t) SIZE_MAX >> 24, out);

    if (rc == -EINVAL)
        return config_wrong(
            r, "%s: \"%.60s\" is no size, as 65536, 512K, 64M or 1G", key,
            value);
    return rc == 0 || config_wrong(r, "%s: \"%.60s\" is too large", key, value);
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

/* A number from low to high up to `end`. */
static bool
is_number(const char *text, const char *end, unsigned long low,
          unsigned long high)
{
    unsigned long n = 0;

    if (text == end || end - text > 5)
        return false;
    for (; text < end; text++) {
        if (!isdigit((unsigned char) *text))
            return false;
        n = 10 * n + (unsigned long) (*text - '0');
    }
    return n >= low && n <= high;
}

/* A unit has a number of two bytes; `all`: it need not be given. */
int
config_iscsi_url(struct reading *r, const char *key, const char *value,
                 bool all)
{
    static const char scheme[] = "iscsi://";
    const char *host = value + sizeof scheme - 1, *port, *target, *unit = NULL;

    /* It is shown in many places. */
    if (strchr(value, '@') != NULL)
        return config_wrong(r,
                            "%s: a user and a secret do not belong here; see "
                            "chap-user and chap-secret",
                            key);
    /* Those of libiscsi; among them is a secret. */
    if (strchr(value, '?') != NULL)
        return config_wrong(r,
                            "%s: it has no options behind a \"?\"; for a "
                            "secret see chap-user and chap-secret",
                            key);
    if (strncmp(value, scheme, sizeof scheme - 1) != 0 ||
        (target = strchr(host, '/')) == NULL || target == host ||
        strcspn(target + 1, "/") == 0 ||
        ((unit = strchr(target + 1, '/')) == NULL && !all))
        return config_wrong(r,
                            "%s: \"%.100s\" is no iscsi://HOST[:PORT]/TARGET%s",
                            key, value, all ? "[/LUN]" : "/LUN");
    if (strlen(value) > ISCSI_URL_MAX)
        return config_wrong(r, "%s: longer than %d bytes", key, ISCSI_URL_MAX);
    if (unit != NULL &&
        !is_number(unit + 1, unit + 1 + strlen(unit + 1), 0, 65535))
        return config_wrong(r,
                            "%s: \"%.60s\" at its end is no number of a unit, "
                            "from 0 to 65535",
                            key, unit + 1);
    /* Colons of an address of IPv6 are in brackets. */
    port = host + (*host == '[' ? strcspn(host, "]/") : 0);
    port += strcspn(port, ":/");
    if (port == host)
        return config_wrong(r, "%s: the host is missing", key);
    if (*host == '[' && port[-1] != ']')
        return config_wrong(r, "%s: \"%.*s\" is no address in brackets", key,
                            (int) (target - host < 60 ? target - host : 60),
                            host);
    if (port < target && !is_number(port + 1, target, 1, 65535))
        return config_wrong(
            r, "%s: \"%.*s\" is no port, from 1 to 65535", key,
            (int) (target - port - 1 < 60 ? target - port - 1 : 60), port + 1);
    return 1;
}
