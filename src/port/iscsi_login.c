/*
 * iscsi_login.c - attempts to log in: at which portal, with which secret
 *
 * A target may send us on to another portal, for this attempt or for good (RFC
 * 7143, 11.13.5).  Where it is for good is where later attempts begin; while
 * they fail, every second one begins at the portal of the configuration.
 *
 * Context: in the session's seat.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <stdio.h>
#include <string.h>

#include "base/trace.h"

#define MOVED_FOR_GOOD 0x0102
#define NOT_ADMITTED   0x0201

void
iscsi_login_begin(struct iscsi_session *session)
{
    bool moved = session->moved[0] != '\0' && !session->home;

    snprintf(session->via, sizeof session->via, "%s",
             moved ? session->moved : session->portal);
    session->home = moved;
    session->hops = 0;
    session->for_good = true;
    /* Somebody may have corrected it; else the old one is as good as any. */
    if (session->refusal == NOT_ADMITTED && session->secret_file[0] != '\0') {
        char secret[ISCSI_SECRET_MAX];

        if (iscsi_login_secret(session->secret_file, secret, sizeof secret) ==
            0)
            snprintf(session->secret, sizeof session->secret, "%s", secret);
        explicit_bzero(secret, sizeof secret);
    }
}

void
iscsi_login_good(struct iscsi_session *session)
{
    if (session->hops == 0 && strcmp(session->via, session->portal) == 0)
        session->moved[0] = '\0';
    session->home = false;
}

void
iscsi_login_refused(struct iscsi_session *session, unsigned status)
{
    const char *address;

    session->refusal = status;
    if (!iscsi_login_is_moved(status))
        return;
    address = iscsi_get_target_address(session->iscsi);
    session->nowhere =
        address[0] != '\0' &&
        !iscsi_login_portal(address, session->onward, sizeof session->onward);
}

bool
iscsi_login_follow(struct iscsi_session *session)
{
    if (session->onward[0] == '\0' || session->hops == ISCSI_HOPS_MAX)
        return false;
    session->hops++;
    session->for_good = session->for_good && session->refusal == MOVED_FOR_GOOD;
    snprintf(session->via, sizeof session->via, "%s", session->onward);
    if (session->for_good)
        snprintf(session->moved, sizeof session->moved, "%s", session->onward);
    TRACE(TRACE_PORT, "target=%s status=%x sent on to %s", session->target,
          session->refusal, session->via);
    return true;
}

static const char *
refusal_words(const struct iscsi_session *session)
{
    if (session->nowhere)
        return "it is served at another portal, and the address that it gives "
               "is none";
    if (session->onward[0] != '\0')
        return "it is sent on from portal to portal, again and again";
    return iscsi_login_words(session->refusal, session->user[0] != '\0');
}

void
iscsi_login_why(const struct iscsi_session *session, const char *what,
                const char *text, char *out, size_t max)
{
    bool elsewhere = strcmp(session->via, session->portal) != 0;
    int len = snprintf(out, max, "%s%.100s%s", elsewhere ? "sent on to " : "",
                       elsewhere ? session->via : "", elsewhere ? ": " : "");

    if (session->refusal != 0)
        snprintf(out + len, max - (size_t) len,
                 "the login is refused (%04X): %s", session->refusal,
                 refusal_words(session));
    else
        snprintf(out + len, max - (size_t) len, "%s%s%s", what,
                 text[0] != '\0' ? ": " : "", text);
}
