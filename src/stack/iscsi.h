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

/*
 * The units of a target, asked over the session that its drives have: there is
 * no second login, which a target may refuse.  Commands to a unit that is a
 * drive go by that drive, so that it hears what they are told; others get one
 * for the moment.
 */
struct iscsi_lent {
    struct ri_service *service;
    const struct ri_drive_config *section;
    PDEVICE_OBJECT pdo;         /* where the commands go now */
    pthread_mutex_t lock;       /* the next two; a leaf */
    PDEVICE_OBJECT moment;      /* ... if it is one for the moment */
    bool stop;
};

void iscsi_lent_init(struct iscsi_lent *lent, struct ri_service *service,
                     const struct ri_drive_config *section);
void iscsi_lent_free(struct iscsi_lent *lent);
/* Any thread: it ends soon, now and later. */
void iscsi_lent_stop(struct iscsi_lent *lent);
/* Is there such a session? */
bool iscsi_lent_is_up(const struct iscsi_lent *lent);
/* One at a time.  `known`: units that need not say again what they are.  Their
 * count (`out`: UNITS_MAX, others than `known`), or -errno and a sentence. */
int iscsi_lent_units(struct iscsi_lent *lent, const struct unit_found *known,
                     size_t known_count, struct unit_found *out,
                     char *out_text, size_t text_max);

/* All units of the target of `url`, with the names and secrets of `config`; out
 * has room for UNITS_MAX.  It ends soon when stop_fd (or NULL) is readable.
 * Their count, or -errno and a sentence: -ENOTCONN there is no session, -EACCES as
 * the target does not take our name or secret, -EIO it does not say. */
int iscsi_units(const struct ri_drive_config *config, const char *url,
                const int *stop_fd, struct unit_found *out, char *out_text, size_t text_max);

#endif
