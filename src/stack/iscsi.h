/*
 * iscsi.h - drives and robots of iSCSI targets
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_ISCSI_H
#define STACK_ISCSI_H

#include "probe/units.h"
#include "stack/stack_internal.h"

/*
 * The unit that `config` (its url, user, secret_file, initiator) tells of; on
 * failure out_text says why.  `turned` comes on the session's thread, each time
 * a session ends or begins, until the unit is removed; it may not wait.
 */
/* ... and may_be_away: as in port.h. */
NTSTATUS iscsi_unit(struct ri_service *service,
                    const struct ri_drive_config *config,
                    void (*turned)(void *context), void *context,
                    bool may_be_away,
                    PDEVICE_OBJECT *out_pdo, char *out_text, size_t text_max);

/* All units of the target of `url`, with the names and secrets of `config`; out
 * has room for UNITS_MAX.  It ends soon when stop_fd (or NULL) is readable.
 * Their count, or -errno and a sentence: -ENOTCONN there is no session, -EACCES as
 * the target does not take our name or secret, -EIO it does not say. */
int iscsi_units(const struct ri_drive_config *config, const char *url,
                const int *stop_fd, struct unit_found *out, char *out_text, size_t text_max);

#endif
