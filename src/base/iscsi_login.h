/*
 * iscsi_login.h - what a target answers to a login, and the secret for it
 *
 * Pure but for the secret's file.  Any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_ISCSI_LOGIN_H
#define BASE_ISCSI_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#define ISCSI_SECRET_MAX 256
#define ISCSI_PORTAL_MAX 256
/* libiscsi cuts what is longer, and with it the number of the unit. */
#define ISCSI_URL_MAX    263
#define ISCSI_HOPS_MAX   4      /* so often a login is sent on */

/* The status (class and detail) of which libiscsi's text of error tells, or 0. */
unsigned iscsi_login_status(const char *error);
/* Why, for a person; has_user: CHAP was tried. */
const char *iscsi_login_words(unsigned status, bool has_user);
/* It stays so until somebody changes something. */
bool iscsi_login_is_ours(unsigned status);
/* It is served at another portal. */
bool iscsi_login_is_moved(unsigned status);
/* HOST[:PORT] of a TargetAddress; false: it is none, or too long. */
bool iscsi_login_portal(const char *address, char *out_portal, size_t max);
/* The file's first line, without its end.  0, or -errno; -ENODATA: it is empty,
 * -E2BIG: it has no room. */
int iscsi_login_secret(const char *path, char *out_secret, size_t max);

#endif
