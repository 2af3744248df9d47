/*
 * config_units.h - a section that means all units of an iSCSI target
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_CONFIG_UNITS_H
#define STACK_CONFIG_UNITS_H

#include "probe/units.h"
#include "stack/stack_internal.h"

/* An array of drives with all that they own. */
struct drive_list {
    struct ri_drive_config *drives;
    size_t count;
};

void drive_list_free(struct drive_list *list);

/* Does its url name no unit? */
bool config_is_all_units(const struct ri_drive_config *drive);
/* Do both mean one unit?  A target's name is its own, by whichever portal. */
bool config_is_same_unit(const struct ri_drive_config *one,
                         const struct ri_drive_config *other);
/* The url of one of its units; FALSE: it is too long. */
bool config_unit_url(const struct ri_drive_config *section, unsigned address,
                     char *out, size_t max);
/* Can the section mean a unit of this peripheral device type? */
bool config_unit_fits(const struct ri_drive_config *section,
                      unsigned char type);
/* What the section says of one of its units; texts are not copied.  False: why
 * not. */
bool config_unit(const struct ri_drive_config *section,
                 const struct unit_found *unit, struct ri_drive_config *out,
                 char *out_text, size_t text_max);
/*
 * Appends those of `units` that `section` can be, each as NAME-LUN, but for
 * those that have a section of their own.  False: the names do not fit, or they
 * or the units are taken, in the list or in `config`; out_text says which.
 */
bool config_add_units(struct drive_list *list, const struct ri_config *config,
                      const struct ri_drive_config *section,
                      const struct unit_found *units, size_t count,
                      char *out_text, size_t text_max);
/* Their count (`out`: UNITS_MAX), or -errno and why; stop_fd as in iscsi.h.
 * -ENOTCONN, -EACCES, -EIO: it may be otherwise later. */
int config_ask_units(const struct ri_drive_config *section, const int *stop_fd,
                     struct unit_found *out, char *out_text, size_t text_max);
/*
 * Asks the targets that were not asked yet.  What comes out are all drives of
 * `config`, behind each such section its units, and at the end those that
 * libraries name; empty, when there is nobody to ask.  `path`: of the file, or
 * NULL.  0, or -errno and what is wrong with which section.
 */
int config_find_units(const struct ri_config *config, const char *path,
                      struct drive_list *out, struct ri_error *out_error);

#endif
