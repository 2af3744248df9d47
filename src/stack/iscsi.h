/*
 * iscsi.h - drives and robots of iSCSI targets
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_ISCSI_H
#define STACK_ISCSI_H

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

#endif
