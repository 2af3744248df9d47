/*
 * iscsi_login.c - what a target answers to a login: why not, and where else
 *
 * RFC 7143, 11.13.5: the first byte of a status is its class.  What the target
 * holds against us (class 2) stays until somebody changes something; its own
 * troubles (class 3) may be over soon.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/iscsi_login.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_MOVED 1u
#define CLASS_OURS  2u

static const struct {
    unsigned status;
    const char *words;
} refusals[] = {
    { 0x0101,
      "it is served at another portal for now, which it does not name" },
    { 0x0102, "it is served at another portal now, which it does not name" },
    { 0x0200, "it takes no such initiator" },
    { 0x0201, "it does not take this chap-user and its secret" },
    { 0x0202, "it lets in other initiators only; see initiator" },
    { 0x0203, "there is no target of this name" },
    { 0x0204, "the target was removed" },
    { 0x0205, "it speaks another version" },
    { 0x0206, "it takes no more connections" },
    { 0x0207, "it misses a parameter" },
    { 0x0208, "it takes no further connection into the session" },
    { 0x0209, "it has no sessions of this type" },
    { 0x020A, "it knows no such session" },
    { 0x020B, "it takes no such request in a login" },
    { 0x0300, "it has failed" },
    { 0x0301, "it does not serve now" },
    { 0x0302, "it has no room for a session" },
};

/* libiscsi tells it at the end of its text only: "...: Not found(515)". */
unsigned
iscsi_login_status(const char *error)
{
    const char *number = strrchr(error, '(');
    unsigned long status;
    char *end;

    if (strstr(error, "log in") == NULL || number == NULL)
        return 0;
    status = strtoul(number + 1, &end, 10);
    return *end == ')' && status >= 0x100 && status <= 0xFFFF
               ? (unsigned) status
               : 0;
}

const char *
iscsi_login_words(unsigned status, bool has_user)
{
    if (status == 0x0201 && !has_user)
        return "it asks for chap-user and chap-secret";
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].status == status)
            return refusals[i].words;
    return "it does not say why";
}

bool
iscsi_login_is_ours(unsigned status)
{
    return status >> 8 == CLASS_OURS;
}

bool
iscsi_login_is_moved(unsigned status)
{
    return status >> 8 == CLASS_MOVED;
}

/* HOST, IPV4 or [IPV6]; RFC 7143, 13.8. */
static size_t
host_len(const char *address)
{
    size_t len = 0;

    if (address[0] == '[') {
        len = 1 + strspn(address + 1, "0123456789abcdefABCDEF:.%");
        return len > 2 && address[len] == ']' ? len + 1 : 0;
    }
    while (isalnum((unsigned char) address[len]) || address[len] == '-' ||
           address[len] == '.' || address[len] == '_')
        len++;
    return len;
}

bool
iscsi_login_portal(const char *address, char *out_portal, size_t max)
{
    size_t len = host_len(address);
    unsigned long port;
    char *end;

    if (len == 0)
        return false;
    if (address[len] == ':') {
        if (!isdigit((unsigned char) address[len + 1]))
            return false;
        port = strtoul(address + len + 1, &end, 10);
        if (port == 0 || port > 0xFFFF)
            return false;
        len = (size_t) (end - address);
    }
    /* The tag of its portal group is not to be there, and may be. */
    if ((address[len] != '\0' && address[len] != ',') || len >= max)
        return false;
    snprintf(out_portal, max, "%.*s", (int) len, address);
    return true;
}

/* --- the secret ---------------------------------------------------------------- */

/* Of the file, or of a line. */
static bool
is_at_end(FILE *file)
{
    int byte = getc(file);

    return byte == EOF || byte == '\r' || byte == '\n';
}

static int
read_line(FILE *file, char *out, size_t max)
{
    errno = 0;
    if (fgets(out, (int) max, file) == NULL)
        return errno != 0 ? -errno : -ENODATA;
    if (strpbrk(out, "\r\n") == NULL && !is_at_end(file))
        return -E2BIG;
    out[strcspn(out, "\r\n")] = '\0';
    return out[0] != '\0' ? 0 : -ENODATA;
}

int
iscsi_login_secret(const char *path, char *out_secret, size_t max)
{
    FILE *file = fopen(path, "re");
    int rc;

    if (file == NULL)
        return -errno;
    rc = read_line(file, out_secret, max);
    fclose(file);
    return rc;
}
