/*
 * fault.h - failures on purpose
 *
 * A point is a name ("pool", "irp", "mdl" ...).  Rules come from
 * REINSERT_FAULT ("pool:3,irp:5+": the third allocation from pool fails; from
 * the fifth IRP on all do) or from a test.  Without rules a point costs one
 * load and one branch.  Any thread, any IRQL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <ntdef.h>

#include <stdbool.h>
#include <stdint.h>

extern unsigned fault_rules;    /* atomic: how many rules there are */

bool NTAPI fault_check(const char *point) __attribute__((cold));

/* True: fail here. */
static inline bool
fault_hit(const char *point)
{
    return __builtin_expect(
               __atomic_load_n(&fault_rules, __ATOMIC_RELAXED) != 0, 0) &&
           fault_check(point);
}

/* The nth (1, 2, ...) passage of point from now on fails; with `on`, all later
 * ones too.  nth 0 only counts.  Replaces the rule for the point.  -ENOSPC:
 * too many rules, -EINVAL: not a name. */
int fault_set(const char *point, uint64_t nth, bool on);
/* How often the point was passed since its rule was set. */
uint64_t fault_count(const char *point);
/* How often it failed. */
uint64_t fault_failed(const char *point);
void fault_clear(void);
/* The form of REINSERT_FAULT.  -EINVAL: cannot be read. */
int fault_parse(const char *rules);

#endif
