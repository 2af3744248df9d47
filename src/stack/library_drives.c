/*
 * library_drives.c - which drive of the service is which of a robot's
 *
 * By the serial number, where the robot gives those of its drives and the drive
 * has that one; the others in the order in which they are named.  It is settled
 * when the elements are read for the first time, before anything is done with a
 * drive: at the start, or when a library that was not ready then has become so.
 * A drive that was away then is put in its place when it comes; until that is
 * done nothing is loaded.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "port/port.h"
#include "stack/library_unit.h"

/* Without the blanks that pad it, in front or behind. */
static bool
same_serial(const char *a, const char *b)
{
    size_t a_len, b_len;

    a += strspn(a, " ");
    b += strspn(b, " ");
    for (a_len = strlen(a); a_len > 0 && a[a_len - 1] == ' ';)
        a_len--;
    for (b_len = strlen(b); b_len > 0 && b[b_len - 1] == ' ';)
        b_len--;
    return a_len > 0 && a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* The robot's only drive with that serial number; count: none, or several. */
static uint32_t
element_of(const char *serial, uint32_t count, const char (*serials)[33])
{
    uint32_t found = count;

    for (uint32_t n = 0; n < count; n++) {
        if (!same_serial(serial, serials[n]))
            continue;
        if (found != count)
            return count;
        found = n;
    }
    return found;
}

static bool
is_alone(const struct library_unit *unit, unsigned which)
{
    const char *serial = port_unit_serial(unit->drives[which]->pdo);

    for (unsigned n = 0; n < unit->config.drive_count; n++)
        if (n != which &&
            same_serial(serial, port_unit_serial(unit->drives[n]->pdo)))
            return false;
    return true;
}

/* Into out_order, by the robot's numbers; false: one is behind those named. */
static bool
place_by_serial(struct library_unit *unit, uint32_t count,
                const char (*serials)[33], struct drive **out_order,
                bool *out_placed)
{
    for (unsigned i = 0; i < unit->config.drive_count; i++) {
        struct drive *drive = unit->drives[i];
        uint32_t n =
            is_alone(unit, i)
                ? element_of(port_unit_serial(drive->pdo), count, serials)
                : count;

        if (n == count)
            continue;
        if (n >= unit->config.drive_count) {
            snprintf(unit->order_fault, sizeof unit->order_fault,
                     "drive %.64s is the robot's drive %u, by its serial "
                     "number; those before it have to be named, too",
                     drive->config.name, n);
            return false;
        }
        out_order[n] = drive;
        out_placed[i] = true;
    }
    return true;
}

static void
tell(struct library_unit *unit)
{
    char text[RI_TEXT_MAX];
    int len = snprintf(text, sizeof text,
                       "library %.64s: its drives, by their serial numbers:",
                       unit->config.name);

    for (unsigned n = 0; n < unit->config.drive_count && len < RI_TEXT_MAX; n++)
        len += snprintf(text + len, sizeof text - (size_t) len, "%s %u is %s",
                        n > 0 ? "," : "", n, unit->drives[n]->config.name);
    event_send_library(unit->service, unit->config.name, "state", "", text);
}

void
library_order_drives(struct library_unit *unit, uint32_t count,
                     const char (*serials)[33])
{
    struct drive *order[RI_LIBRARY_DRIVES_MAX] = { NULL };
    bool placed[RI_LIBRARY_DRIVES_MAX] = { false }, other = false;
    struct jukebox *jukebox;
    unsigned next = 0;

    __atomic_store_n(&unit->order_due, false, __ATOMIC_SEQ_CST);
    unit->order_fault[0] = '\0';
    if (unit->config.port == RI_PORT_VIRTUAL)
        return; /* made in that order */
    if (!place_by_serial(unit, count, serials, order, placed)) {
        event_send_library(unit->service, unit->config.name, "state", "",
                           unit->order_fault);
        return;
    }
    for (unsigned n = 0; n < unit->config.drive_count; n++) {
        while (order[n] == NULL && placed[next])
            next++;
        if (order[n] == NULL)
            order[n] = unit->drives[next++];
        other = other || order[n] != unit->drives[n];
    }
    if (!other)
        return;
    for (unsigned n = 0; n < unit->config.drive_count; n++)
        __atomic_store_n(&unit->drives[n], order[n], __ATOMIC_SEQ_CST);
    /* One that is just being started looks after it can be found. */
    jukebox = jukebox_named(unit->service, unit->config.name);
    for (unsigned n = 0; jukebox != NULL && n < unit->config.drive_count; n++)
        jukebox_set_drive(jukebox, n, order[n]);
    tell(unit);
}
