/*
 * ready.c - waiting: for the library, and for a drive that loads
 *
 * Who waits says so, in events; nobody waits longer than the configuration
 * or the command allows.  What only a person can cure is not waited for.
 *
 * Context: PASSIVE, with the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "jukebox/library_internal.h"

#define LOOK_MS 500   /* while something is waited for */
#define TELL_MS 10000 /* it is said that often */

/* --- what it means ---------------------------- */

/* Not ready, and why: what a person is told. */
static const struct {
    uint8_t asc, ascq;
    bool waits; /* it ends by itself */
    const char *text;
} reasons[] = {
    { 0x04, 0x00, true, "it is not ready, and does not say why" },
    { 0x04, 0x01, true, "it is still starting (becoming ready)" },
    { 0x04, 0x02, true, "it has to look at its elements first" },
    { 0x04, 0x03, false, "somebody has to help it at the library itself" },
    { 0x04, 0x07, true, "it is busy with an operation" },
    { 0x04, 0x09, true, "it is testing itself" },
    { 0x04, 0x12, false,
      "it is offline; it has to be set online at the "
      "library itself" },
    { 0x04, 0x15, false, "its robot is switched off" },
    { 0x04, 0x16, false, "it has to be configured first" },
    { 0x04, 0x17, true, "it has to be calibrated" },
    { 0x04, 0x18, false, "its door is open; close it" },
    { 0x04, 0x19, false, "it works in sequential mode; set it to random mode" },
    { 0x04, 0x1A, true, "it is starting or stopping" },
    { 0x04, 0x1B, true, "it is being configured" },
    { 0x04, 0x1C, true, "it is being configured" },
    { 0x04, 0x1D, true, "it is being configured" },
    { 0x04, 0x1E, true, "its firmware is being activated" },
    { 0x04, 0x20, false, "it has to be reset" },
    { 0x04, 0x21, false, "it has to be reset hard" },
    { 0x04, 0x22, false, "it has to be switched off and on" },
    { 0x04, 0x83, false, "its door or a magazine is open; close it" },
    { 0x04, 0x85, true, "its firmware is being replaced" },
    { 0x04, 0x87, true, "its robot is finding its place" },
    { 0x04, 0x88, true, "its robot is finding its place" },
    { 0x04, 0x89, true, "its robot is finding its place" },
    { 0x04, 0x8D, false, "somebody uses its front panel" },
    { 0x04, 0x8E, false,
      "it works in sequential mode; set it to random "
      "mode" },
    { 0x04, 0x8F, false, "it has no free slot" },
    { 0x30, 0x03, true, "a drive is being cleaned" },
    { 0x3A, 0x02, false, "its mail slot is open; close it" },
    { 0x3B, 0x11, false, "a magazine cannot be reached" },
    { 0x3B, 0x12, false, "a magazine was taken out" },
    { 0x53, 0x02, false,
      "the drive or whoever uses it does not let the "
      "medium go" },
    { 0x53, 0x81, false, "its mail slot is open; close it" },
};

static const struct {
    NTSTATUS status;
    enum library_state state;
    const char *text;
} words[] = {
    { STATUS_DEVICE_DOOR_OPEN, LIBRARY_DOOR_OPEN,
      "its door is open; close "
      "it" },
    { STATUS_DEVICE_OFF_LINE, LIBRARY_NOT_READY, "it is offline" },
    { STATUS_DEVICE_NOT_READY, LIBRARY_NOT_READY, "it is not ready" },
    { STATUS_REINITIALIZATION_NEEDED, LIBRARY_NOT_READY,
      "it has to look at its elements first" },
    { STATUS_CLEANER_CARTRIDGE_INSTALLED, LIBRARY_NOT_READY,
      "a cleaning cartridge is in a drive" },
    { STATUS_DEVICE_BUSY, LIBRARY_NOT_READY, "somebody else has reserved it" },
    { STATUS_MAGAZINE_NOT_PRESENT, LIBRARY_NOT_READY,
      "a magazine is "
      "missing" },
    { STATUS_DEVICE_HARDWARE_ERROR, LIBRARY_FAULTY,
      "its hardware is "
      "defective" },
    { STATUS_IO_TIMEOUT, LIBRARY_FAULTY, "it does not answer" },
    { STATUS_NO_SUCH_DEVICE, LIBRARY_FAULTY, "it is not there" },
    { STATUS_DEVICE_NOT_CONNECTED, LIBRARY_FAULTY, "it is not connected" },
    { STATUS_SOURCE_ELEMENT_EMPTY, LIBRARY_READY, "the source is empty" },
    { STATUS_DESTINATION_ELEMENT_FULL, LIBRARY_READY,
      "the destination is "
      "full" },
    { STATUS_ILLEGAL_ELEMENT_ADDRESS, LIBRARY_READY,
      "there is no such "
      "element" },
    { STATUS_UNABLE_TO_UNLOAD_MEDIA, LIBRARY_READY,
      "the drive does not let the medium go" },
    { STATUS_TRANSPORT_FULL, LIBRARY_READY, "the robot holds a cartridge" },
    { STATUS_INVALID_DEVICE_REQUEST, LIBRARY_READY, "it cannot do that" },
    { STATUS_UNRECOGNIZED_MEDIA, LIBRARY_READY, "the cartridge does not fit" },
    { STATUS_NO_MEDIA_IN_DEVICE, LIBRARY_READY, "there is no medium" },
    { STATUS_DEVICE_DATA_ERROR, LIBRARY_READY, "the medium cannot be read" },
    { STATUS_IO_DEVICE_ERROR, LIBRARY_READY, "the robot failed" },
};

static void
last_code(const struct library *library, uint8_t *out_asc, uint8_t *out_ascq)
{
    const struct library_sense *sense = &library->sense;
    bool descriptor = (sense->bytes[0] & 0x7E) == 0x72;

    *out_asc = *out_ascq = 0;
    if (descriptor && sense->len >= 4)
        *out_asc = sense->bytes[2], *out_ascq = sense->bytes[3];
    else if (!descriptor && sense->len >= 14)
        *out_asc = sense->bytes[12], *out_ascq = sense->bytes[13];
}

static int
reason_of(const struct library *library)
{
    uint8_t asc, ascq;

    last_code(library, &asc, &ascq);
    for (size_t i = 0;
         library->sense.len > 0 && i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].asc == asc && reasons[i].ascq == ascq)
            return (int) i;
    return -1;
}

const char *
ready_words(const struct library *library, NTSTATUS status)
{
    int reason = reason_of(library);

    if (reason >= 0)
        return reasons[reason].text;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].status == status)
            return words[i].text;
    return status_name(status);
}

bool
ready_needs_hand(const struct library *library)
{
    int reason = reason_of(library);

    return reason >= 0 && !reasons[reason].waits;
}

enum library_state
ready_state(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].status == status)
            return words[i].state;
    return NT_SUCCESS(status) ? LIBRARY_READY : LIBRARY_NOT_READY;
}

static bool
worth_waiting(const struct library *library, NTSTATUS status)
{
    int reason = reason_of(library);

    if (status != STATUS_DEVICE_NOT_READY &&
        status != STATUS_REINITIALIZATION_NEEDED &&
        status != STATUS_CLEANER_CARTRIDGE_INSTALLED)
        return false;
    return reason < 0 || reasons[reason].waits;
}

/* --- the library ---------------------------- */

struct waiting {
    struct library *library;
    uint64_t begun_ms, told_ms, limit_ms;
};

static bool
wait_more(struct waiting *w, uint32_t drive, const char *why)
{
    uint64_t now = clock_coarse_ms(), waited = now - w->begun_ms;

    if (waited >= w->limit_ms)
        return false;
    if (w->told_ms == 0 || now - w->told_ms >= TELL_MS) {
        w->told_ms = now;
        library_tell(w->library, "wait", drive,
                     "%s; waiting since %llu s, at most %llu", why,
                     (unsigned long long) (waited / 1000),
                     (unsigned long long) (w->limit_ms / 1000));
    }
    return library_sleep(w->library, LOOK_MS);
}

static void
tell_state(struct library *library, NTSTATUS status)
{
    enum library_state before, now = ready_state(status);

    pthread_mutex_lock(&library->lock);
    before = library->state;
    pthread_mutex_unlock(&library->lock);
    if (now == LIBRARY_DOOR_OPEN && before != LIBRARY_DOOR_OPEN)
        library_tell(library, "door", RI_NO_DRIVE, "%s",
                     ready_words(library, status));
    if (before == LIBRARY_DOOR_OPEN && now != LIBRARY_DOOR_OPEN) {
        library_tell(library, "door", RI_NO_DRIVE, "the door was closed");
        library->stale = true;
    }
    library_set_state(library, now,
                      NT_SUCCESS(status) ? "" : ready_words(library, status));
}

static int
not_ready(struct library *library, NTSTATUS status,
          struct ri_library_result *result)
{
    int rc = result_status(library, result, status);

    /* What only a person can end is more than "not yet". */
    result->repeatable = !ready_needs_hand(library);
    if (rc == -EAGAIN && !result->repeatable)
        result->error = rc = -EHOSTDOWN;
    return rc;
}

static int
wait_ready(struct library *library, const struct ri_library_command *command,
           struct ri_library_result *result)
{
    struct waiting w = { .library = library,
                         .begun_ms = clock_coarse_ms(),
                         .limit_ms = 1000ull *
                                     (command->timeout_s != 0
                                          ? command->timeout_s
                                          : library->config.ready_timeout_s) };
    bool initialized = false;
    NTSTATUS status;

    for (;;) {
        status = robot_status(library);
        tell_state(library, status);
        if (NT_SUCCESS(status))
            return 0;
        if (status == STATUS_REINITIALIZATION_NEEDED && !initialized) {
            initialized = true;
            library->stale = true;
            robot_initialize(library, 0, 0, true);
            continue;
        }
        if (!worth_waiting(library, status) ||
            (command->flags & RI_LIB_NOWAIT) ||
            !wait_more(&w, RI_NO_DRIVE, ready_words(library, status)))
            return library_stopping(library)
                       ? result_fail(result, -ESHUTDOWN,
                                     STATUS_DEVICE_NOT_READY,
                                     "the service ends")
                       : not_ready(library, status, result);
    }
}

int
ready_library(struct library *library, const struct ri_library_command *command,
              struct ri_library_result *result)
{
    int rc = wait_ready(library, command, result);
    NTSTATUS status = STATUS_SUCCESS;

    if (rc != 0)
        return rc;
    if (!library->known)
        status = elements_learn(library);
    if (NT_SUCCESS(status) && library->stale)
        status = elements_read_all(library);
    if (NT_SUCCESS(status))
        return 0;
    tell_state(library, status);
    return not_ready(library, status, result);
}

/* --- a drive ---------------------------- */

/* A drive that has just been given a medium may say for a moment that there is
 * none. */
#define EMPTY_MS 10000

NTSTATUS
ready_drive(struct library *library, unsigned drive,
            const struct ri_library_command *command)
{
    struct waiting w = { .library = library,
                         .begun_ms = clock_coarse_ms(),
                         .limit_ms =
                             1000ull * (command->timeout_s != 0
                                            ? command->timeout_s
                                            : library->config.load_timeout_s) };
    NTSTATUS status;
    char why[64];

    snprintf(why, sizeof why, "drive %u is loading", drive);
    library_set_state(library, LIBRARY_MOVING, why);
    for (;;) {
        status = library->host.ready(library->host.context, drive);
        if (NT_SUCCESS(status))
            break;
        if (status == STATUS_NO_MEDIA_IN_DEVICE) {
            if (clock_coarse_ms() - w.begun_ms >= EMPTY_MS)
                break;
        } else if (status != STATUS_DEVICE_NOT_READY) {
            break;
        }
        if (!wait_more(&w, drive, why))
            break;
    }
    library_set_state(library, LIBRARY_READY, "");
    return status;
}
