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
/*
 * Appends those of `units` that `section` can be, each as NAME-LUN.  False: the
 * names do not fit or are taken, in the list or in `config`, or there is none;
 * out_text says which.
 */
bool config_add_units(struct drive_list *list, const struct ri_config *config,
                      const struct ri_drive_config *section,
                      const struct unit_found *units, size_t count,
                      char *out_text, size_t text_max);
/*
 * Asks the targets.  What comes out are all drives of `config`, each such
 * section replaced; empty, when there is no such section.  `path`: of the file,
 * or NULL.  0, or -errno and what is wrong with which section.
 */
int config_find_units(const struct ri_config *config, const char *path,
                      struct drive_list *out, struct ri_error *out_error);

#endif
