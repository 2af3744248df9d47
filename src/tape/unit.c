/*
 * unit.c - drives that take tapes: what is in them, who has them
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

#define LOOKS_MAX   8 /* at a drive that has news again and again */
#define READS_MAX   3 /* of a first block that cannot be read */
#define MAM_SERIAL  0x0401
#define MAM_BARCODE 0x0806

/* --- life ----------------------------------------------------------------- */

struct tape_unit *
tape_unit_new(const struct tape_unit_config *config)
{
    struct tape_unit *unit = calloc(1, sizeof *unit);
    KIRQL irql;

    if (unit == NULL)
        return NULL;
    snprintf(unit->name, sizeof unit->name, "%s", config->name);
    snprintf(unit->recovery_dir, sizeof unit->recovery_dir, "%s",
             config->recovery_dir != NULL ? config->recovery_dir : "");
    unit->device = config->device;
    unit->limit = config->unflushed_limit;
    unit->real = config->real;
    unit->here = config->here;
    unit->state = STATUS_NO_MEDIA_IN_DEVICE;
    unit->place = (struct tape_place){ -1, -1, -1, 0 };
    KeInitializeEvent(&unit->turn, SynchronizationEvent, TRUE);
    KeAcquireSpinLock(&tapes.lock, &irql);
    InsertTailList(&tapes.units, &unit->link);
    KeReleaseSpinLock(&tapes.lock, irql);
    return unit;
}

void
tape_unit_free(struct tape_unit *unit)
{
    KIRQL irql;

    if (unit == NULL)
        return;
    KeAcquireSpinLock(&tapes.lock, &irql);
    ASSERT(unit->session == NULL);
    RemoveEntryList(&unit->link);
    KeReleaseSpinLock(&tapes.lock, irql);
    unit_begin(unit); /* whoever still looks into it */
    unit_end(unit);
    free(unit);
}

void
unit_begin(struct tape_unit *unit)
{
    (void) KeWaitForSingleObject(&unit->turn, Executive, KernelMode, FALSE,
                                 NULL);
}

bool
unit_try_begin(struct tape_unit *unit)
{
    LARGE_INTEGER now = { .QuadPart = 0 };

    return KeWaitForSingleObject(&unit->turn, Executive, KernelMode, FALSE,
                                 &now) == STATUS_SUCCESS;
}

void
unit_end(struct tape_unit *unit)
{
    (void) KeSetEvent(&unit->turn, IO_NO_INCREMENT, FALSE);
}

/* --- what is known -------------------------------------------------------- */

void
unit_said(struct tape_unit *unit, NTSTATUS status)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    unit->state = status;
    unit->answered_ms = clock_coarse_ms();
    if (status == STATUS_CLEANER_CARTRIDGE_INSTALLED)
        unit->dirty = false;
    KeReleaseSpinLock(&tapes.lock, irql);
}

void
unit_knows(struct tape_unit *unit, const struct tape_identity *identity,
           const struct tape_place *place)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    unit->known = true;
    unit->identity = *identity;
    unit->place = *place;
    KeReleaseSpinLock(&tapes.lock, irql);
}

void
unit_forgets(struct tape_unit *unit)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    unit->known = false;
    memset(&unit->identity, 0, sizeof unit->identity);
    unit->place = (struct tape_place){ -1, -1, -1, 0 };
    KeReleaseSpinLock(&tapes.lock, irql);
}

void
unit_learns_media(struct tape_unit *unit, const struct tape_port *port)
{
    TAPE_GET_MEDIA_PARAMETERS media = { 0 };
    NTSTATUS wish;
    KIRQL irql;

    if (!NT_SUCCESS(tape_port_media(port, &media)))
        return;
    wish = tape_port_control(port, IOCTL_TAPE_GET_STATUS, NULL, 0, 0);
    KeAcquireSpinLock(&tapes.lock, &irql);
    unit->media = media;
    unit->dirty = unit->dirty || wish == STATUS_DEVICE_REQUIRES_CLEANING;
    KeReleaseSpinLock(&tapes.lock, irql);
}

/* --- identity ------------------------------------------------------------- */

/* `want` bytes of it: one block, of that length if the drive has a fixed one. */
static NTSTATUS
read_first(const struct tape_port *port, ULONG want,
           struct tape_identity *identity)
{
    uint8_t *block = malloc(want);
    ULONG bytes = 0;
    NTSTATUS status;

    if (block == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = tape_port_transfer(port, FALSE, block, want, &bytes);
    if (status == STATUS_NO_DATA_DETECTED || status == STATUS_END_OF_MEDIA) {
        identity_first_block(identity, block, 0);
        status = STATUS_SUCCESS;
    } else if (status == STATUS_FILEMARK_DETECTED) {
        /* An empty first file: that is all it is known by. */
        memcpy(block, "\x1C", 1);
        identity_first_block(identity, block, 1);
        status = STATUS_SUCCESS;
    } else if (NT_SUCCESS(status) || status == STATUS_BUFFER_OVERFLOW) {
        identity_first_block(identity, block, bytes);
        status = STATUS_SUCCESS;
    }
    free(block);
    return status;
}

NTSTATUS
unit_identify(struct tape_unit *unit, const struct tape_port *port,
              struct tape_identity *out_identity)
{
    struct tape_identity identity = { 0 };
    TAPE_GET_MEDIA_PARAMETERS media = { 0 };
    ULONG want = IDENTITY_BLOCK_MAX;
    NTSTATUS status = tape_port_move(port, TAPE_REWIND, 0);

    if (!NT_SUCCESS(status))
        return status;
    tape_port_memory(port, MAM_SERIAL, identity.serial, sizeof identity.serial);
    tape_port_memory(port, MAM_BARCODE, identity.barcode,
                     sizeof identity.barcode);
    status = tape_port_set_block(port, 0);
    /* Some drives have fixed blocks only. */
    if (status == STATUS_INVALID_DEVICE_REQUEST ||
        status == STATUS_INVALID_PARAMETER) {
        status = tape_port_media(port, &media);
        if (NT_SUCCESS(status) && media.BlockSize != 0)
            want = media.BlockSize;
    }
    if (NT_SUCCESS(status))
        status = read_first(port, want, &identity);
    if (NT_SUCCESS(status))
        status = tape_port_move(port, TAPE_REWIND, 0);
    if (!NT_SUCCESS(status))
        return status;
    unit_learns_media(unit, port);
    *out_identity = identity;
    return STATUS_SUCCESS;
}

/* --- looking -------------------------------------------------------------- */

static void
say_gone(struct tape_unit *unit)
{
    struct tape_identity identity;
    bool known;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    known = unit->known;
    identity = unit->identity;
    KeReleaseSpinLock(&tapes.lock, irql);
    unit_forgets(unit);
    if (known)
        tapes_event(unit, &identity, "gone", "the tape left drive %s",
                    unit->name);
}

static bool
is_astray(struct tape_unit *unit)
{
    bool astray;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    astray = unit->astray;
    KeReleaseSpinLock(&tapes.lock, irql);
    return astray;
}

static void
set_astray(struct tape_unit *unit, bool astray)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    unit->astray = astray;
    KeReleaseSpinLock(&tapes.lock, irql);
}

/* What was known before the drive had news. */
struct left {
    bool known;
    struct tape_identity identity;
    struct tape_place place;
};

/* A beginning that cannot be read says nothing: the cartridge has to do. */
static bool
is_left(const struct left *left, const struct tape_identity *found)
{
    enum identity_match is = tape_identity_compare(&left->identity, found);

    return is == IDENTITY_SAME ||
           (is == IDENTITY_CHANGED && found->format[0] == '\0');
}

/* What is known of a tape that is not looked at. */
static void
read_memory(struct tape_unit *unit, const struct tape_port *port,
            struct tape_identity *identity)
{
    tape_port_memory(port, MAM_SERIAL, identity->serial,
                     sizeof identity->serial);
    tape_port_memory(port, MAM_BARCODE, identity->barcode,
                     sizeof identity->barcode);
    unit_learns_media(unit, port);
}

/* It is at its beginning afterwards.  If its first block cannot be read, it is
 * known by its memory alone, and can be written anew. */
static NTSTATUS
look_at_beginning(struct tape_unit *unit, const struct tape_port *port,
                  const struct left *left, struct tape_identity *identity)
{
    TAPE_GET_MEDIA_PARAMETERS media = { 0 };
    NTSTATUS status = STATUS_DEVICE_DATA_ERROR;

    (void) tape_port_media(port, &media);
    set_astray(unit, true);
    for (int i = 0; i < READS_MAX && status == STATUS_DEVICE_DATA_ERROR; i++)
        status = unit_identify(unit, port, identity);
    if (status == STATUS_DEVICE_DATA_ERROR) {
        status = tape_port_move(port, TAPE_REWIND, 0);
        read_memory(unit, port, identity);
        if (left->known && !is_left(left, identity))
            return STATUS_DEVICE_DATA_ERROR;
    }
    if (!NT_SUCCESS(status))
        return status;
    set_astray(unit, false);
    return tape_port_set_block(port, media.BlockSize);
}

/* A tape that somebody left in the middle stays there; what its memory says is
 * known without moving it. */
static NTSTATUS
identify(struct tape_unit *unit, struct tape_port *port,
         const struct left *left)
{
    struct tape_place start = { 0, 0, 0, 0 };
    struct tape_identity identity = { 0 };
    int64_t at = -1;
    NTSTATUS status = tape_port_where(port, &at);
    char name[RI_NAME_MAX];

    if (NT_SUCCESS(status) && at < 0)
        at = 0; /* it does not count: it is rewound, and we do */
    else if (tape_status_is_loss(status) && !tape_status_is_absence(status))
        at = 0; /* where it was, nobody knows any more */
    else if (!NT_SUCCESS(status))
        return status;
    if (at != 0 && !is_astray(unit)) {
        read_memory(unit, port, &identity);
        start = (struct tape_place){ at, -1, -1, 0 };
        status = STATUS_SUCCESS;
    } else {
        status = look_at_beginning(unit, port, left, &identity);
    }
    if (!NT_SUCCESS(status))
        return status;
    unit_knows(unit, &identity, &start);
    identity_name(&identity, name);
    tapes_event(unit, &identity, "loaded", "tape %s is in drive %s", name,
                unit->name);
    return STATUS_SUCCESS;
}

/* A drive that was reset has rewound the tape: it is still the one that somebody
 * left at a place, and who opens it goes on there. */
static void
remember(struct tape_unit *unit, struct left *left)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    if (unit->known && unit->place.object > 0 &&
        unit->identity.format[0] != '\0') {
        left->known = true;
        left->identity = unit->identity;
        left->place = unit->place;
    }
    KeReleaseSpinLock(&tapes.lock, irql);
}

static void
put_back(struct tape_unit *unit, const struct tape_port *port,
         const struct left *left)
{
    int64_t at = -1;
    KIRQL irql;

    if (!left->known || !NT_SUCCESS(tape_port_where(port, &at)) || at != 0)
        return;
    KeAcquireSpinLock(&tapes.lock, &irql);
    if (is_left(left, &unit->identity))
        unit->place = left->place;
    KeReleaseSpinLock(&tapes.lock, irql);
}

static NTSTATUS
look_once(struct tape_unit *unit, struct tape_port *session, struct left *left)
{
    struct tape_port own = { .device = unit->device };
    struct tape_port *port = session != NULL ? session : &own;
    NTSTATUS status = tape_port_ready(port);

    if (status == STATUS_VERIFY_REQUIRED) {
        remember(unit, left);
        unit_forgets(unit);
    }
    unit_said(unit, status);
    if (!NT_SUCCESS(status) || unit->known)
        return status;
    if (session == NULL)
        status = tape_port_open(&own);
    if (!NT_SUCCESS(status))
        return status;
    status = identify(unit, port, left);
    if (NT_SUCCESS(status))
        put_back(unit, port, left);
    if (session == NULL)
        tape_port_close(&own);
    unit_said(unit, status);
    return status;
}

NTSTATUS
unit_look(struct tape_unit *unit, struct tape_port *session)
{
    struct left left = { 0 };
    NTSTATUS status = STATUS_VERIFY_REQUIRED;

    for (int i = 0; i < LOOKS_MAX && tape_status_is_loss(status) &&
                    !tape_status_is_absence(status);
         i++)
        status = look_once(unit, session, &left);
    if (!NT_SUCCESS(status) && status != STATUS_DEVICE_NOT_READY &&
        status != STATUS_DEVICE_BUSY)
        say_gone(unit);
    if (tape_status_is_absence(status) && status != STATUS_DEVICE_NOT_READY &&
        status != STATUS_DEVICE_BUSY)
        set_astray(unit, false);
    return status;
}

void
tape_unit_looked(struct tape_unit *unit)
{
    if (!unit_is_taken(unit)) {
        unit_begin(unit);
        if (!unit_is_taken(unit))
            (void) unit_look(unit, NULL);
        unit_end(unit);
    }
    session_wake_all();
}

/* --- snapshots ------------------------------------------------------------ */

bool
unit_is_taken(struct tape_unit *unit)
{
    bool taken;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    taken = unit->session != NULL;
    KeReleaseSpinLock(&tapes.lock, irql);
    return taken;
}

bool
tape_unit_busy(struct tape_unit *unit)
{
    bool busy;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    busy = unit->session != NULL && unit->session->state != SESSION_WAITING;
    KeReleaseSpinLock(&tapes.lock, irql);
    return busy;
}

static const char *
state_word(const struct tape_unit *unit)
{
    if (unit->session != NULL && unit->session->state == SESSION_WAITING)
        return "waiting";
    switch (unit->state) {
    case STATUS_SUCCESS:
        return "ready";
    case STATUS_NO_MEDIA_IN_DEVICE:
        return "empty";
    case STATUS_CLEANER_CARTRIDGE_INSTALLED:
        return "cleaning";
    default:
        return "not ready";
    }
}

static void
show_session(const struct ri_tape *tape, struct ri_tape_info *info)
{
    info->open = true;
    info->waiting = tape->state == SESSION_WAITING;
    info->unflushed_bytes = tape->seen.unflushed_bytes;
    info->unflushed_blocks = tape->seen.unflushed_blocks;
    info->file = tape->seen.place.file;
    info->block = tape->seen.place.block;
}

void
tape_unit_info(struct tape_unit *unit, struct ri_tape_info *out_info)
{
    struct ri_tape_info info = { .file = -1, .block = -1 };
    KIRQL irql;

    snprintf(info.drive, sizeof info.drive, "%s", unit->name);
    info.real = unit->real;
    KeAcquireSpinLock(&tapes.lock, &irql);
    snprintf(info.state, sizeof info.state, "%s", state_word(unit));
    if (unit->known) {
        identity_name(&unit->identity, info.tape);
        memcpy(info.serial, unit->identity.serial, sizeof info.serial);
        memcpy(info.barcode, unit->identity.barcode, sizeof info.barcode);
        memcpy(info.format, unit->identity.format, sizeof info.format);
        memcpy(info.label, unit->identity.label, sizeof info.label);
        info.file = unit->place.file;
        info.block = unit->place.block;
    }
    if (unit->state == STATUS_SUCCESS) {
        info.capacity_bytes = (uint64_t) unit->media.Capacity.QuadPart;
        info.remaining_bytes = (uint64_t) unit->media.Remaining.QuadPart;
        info.write_protected = unit->media.WriteProtected;
    }
    info.cleaning_wanted = unit->dirty;
    info.age_ms = clock_coarse_ms() - unit->answered_ms;
    if (unit->session != NULL)
        show_session(unit->session, &info);
    KeReleaseSpinLock(&tapes.lock, irql);
    if (tapes.host.sense != NULL)
        tapes.host.sense(tapes.host.context, unit->name, info.sense);
    *out_info = info;
}
