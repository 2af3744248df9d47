/*
 * iscsi_login.h - a session for those who only look
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_ISCSI_LOGIN_H
#define PROBE_ISCSI_LOGIN_H

#include <stddef.h>

#include "probe/link.h"

struct iscsi_context;

/* Who we say that we are; user "": without CHAP. */
struct iscsi_as {
    const char *initiator, *user, *secret;
    const int *stop_fd;         /* readable: somebody wants it to end; or NULL */
};

/* As NULL: with what the environment says (REINSERT_ISCSI_...); target NULL: for
 * discovery.  NULL: out_text says why, errno is EACCES if it is for what we are
 * that it does not let us in, else ENOTCONN. */
struct iscsi_context *iscsi_log_in(const struct iscsi_as *as,
                                   const char *portal, const char *target,
                                   char *out_text, size_t text_max);
void iscsi_log_out(struct iscsi_context *iscsi);

/* As link_iscsi_open. */
int link_iscsi_open_as(const char *url, const struct iscsi_as *as,
                       struct link *out_link, char *out_text, size_t text_max);
/* From now on the commands are for another unit of the target: the number that
 * ends its URL. */
void link_iscsi_turn(struct link *link, unsigned address);

#endif
