/*
 * iscsi_login.c - why a target refuses a login, in the words of who can mend it
 *
 * RFC 7143, 11.13.5: the first byte of a status is its class.  What the target
 * holds against us (class 2) stays until somebody changes something; its own
 * troubles (class 3) may be over soon.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_OURS 2u

static const struct {
    unsigned status;
    const char *words;
} refusals[] = {
    { 0x0101, "it is served at another portal for now" },
    { 0x0102, "it is served at another portal now: give that one" },
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
