/*
 * iscsi_login.h - a session for those who only look
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_ISCSI_LOGIN_H
#define PROBE_ISCSI_LOGIN_H

#include <stddef.h>

struct iscsi_context;

/* target NULL: for discovery.  NULL: out_text says why. */
struct iscsi_context *iscsi_log_in(const char *portal, const char *target,
                                   char *out_text, size_t text_max);
void iscsi_log_out(struct iscsi_context *iscsi);

#endif
