/*
 * uri.c - addresses of NBD listeners as URIs
 *
 * The form that nbdinfo, nbdcopy, qemu and libnbd take.  Pure, any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api.h"

#include <stdio.h>
#include <string.h>

/* Percent-encodes all but what may stand in a path or query as it is. */
static bool
append(char *out, size_t max, size_t *len, const char *text, const char *keep)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text != '\0'; text++) {
        bool as_is =
            strchr(plain, *text) != NULL || strchr(keep, *text) != NULL;
        size_t need = as_is ? 1 : 3;

        if (*len + need >= max)
            return false;
        snprintf(out + *len, max - *len, as_is ? "%c" : "%%%02X",
                 (unsigned char) *text);
        *len += need;
    }
    return true;
}

bool
api_nbd_uri(const char *address, const char *export_, char *out_uri, size_t max)
{
    size_t len = 0;
    bool fits;

    if (max > 0)
        out_uri[0] = '\0';
    if (strncmp(address, "unix:", 5) == 0) {
        fits = append(out_uri, max, &len, "nbd+unix:///", ":/+") &&
               append(out_uri, max, &len, export_, ":") &&
               append(out_uri, max, &len, "?socket=", "?=") &&
               append(out_uri, max, &len, address + 5, "/");
    } else {
        if (strncmp(address, "tcp:", 4) == 0)
            address += 4;
        fits = append(out_uri, max, &len, "nbd://", ":/") &&
               append(out_uri, max, &len, address, ":[]") &&
               append(out_uri, max, &len, "/", "/") &&
               append(out_uri, max, &len, export_, ":");
    }
    return fits;
}
