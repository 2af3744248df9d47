/*
 * command.c - the operator's commands: carried out, and answered
 *
 * Each is a row of `operations`.
 *
 * Context: PASSIVE, with the turn, but for library_command itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "jukebox/command.h"

/* --- looking ---------------------------- */

int
command_read_all(struct library *library, result_t *result)
{
    NTSTATUS status;

    library->stale = true;
    status = elements_read_all(library);
    return NT_SUCCESS(status) ? 0 : result_status(library, result, status);
}

static int
run_inventory(struct library *library, command_t *command, result_t *result)
{
    struct place first = { ChangerSlot, 0 };
    bool ranged = command->source != 0 || command->count != 0;
    ULONG count = 0;
    NTSTATUS status;
    int rc = 0;

    if (command->source != 0)
        rc =
            command_take_slot(library, command->source, "slot", &first, result);
    if (rc != 0)
        return rc;
    if (ranged) {
        ULONG left = library->counts[first.type] - first.index;

        count = command->count != 0 ? command->count : left;
        if (count > left || first.type != ChangerSlot)
            return result_fail(result, -EINVAL, STATUS_ILLEGAL_ELEMENT_ADDRESS,
                               "library %s has not so many slots from slot %u",
                               library->config.name, first.index + 1);
    }
    library_tell(library, "start", RI_NO_DRIVE, "inventory");
    library_set_state(library, LIBRARY_MOVING, "inventory");
    status = robot_initialize(library, first.index, count,
                              (command->flags & RI_LIB_BAR_CODES) != 0);
    rc = NT_SUCCESS(status) ? command_read_all(library, result)
                            : result_status(library, result, status);
    library_set_state(library, ready_state(status), "");
    library_tell(library, rc == 0 ? "end" : "failed", RI_NO_DRIVE,
                 "inventory: %s", rc == 0 ? "done" : result->text);
    return rc;
}

static int
run_refresh(struct library *library, command_t *command, result_t *result)
{
    (void) command;
    return command_read_all(library, result);
}

/* What cannot be as it should. */
static int
run_verify(struct library *library, command_t *command, result_t *result)
{
    uint64_t stray;
    char a[96], b[48];
    size_t count;
    struct cartridge **list;
    size_t here = 0;
    int rc;

    (void) command;
    stray = library->stray;
    rc = command_read_all(library, result);
    if (rc != 0)
        return rc;
    if (library->stray != stray)
        result_note(result, "%llu cartridges were not where they had been left",
                    (unsigned long long) (library->stray - stray));
    list = ledger_cartridges(library->ledger, &count);
    for (size_t i = 0; i < count; i++) {
        here += list[i]->place.type != 0;
        if (list[i]->place.type == ChangerTransport)
            result_note(result, "%s is in the robot's hand",
                        cartridge_words(library, list[i], a));
        if (list[i]->duplicate)
            result_note(result, "%s in %s: another one has that label",
                        cartridge_words(library, list[i], a),
                        place_words(library, list[i]->place, b));
        if (list[i]->place.type == ChangerDrive && list[i]->home != 0 &&
            element_full(
                element_at(library, place_of_slot(library, list[i]->home))))
            result_note(result, "%s belongs in slot %u, which is full",
                        cartridge_words(library, list[i], a), list[i]->home);
    }
    snprintf(result->text, sizeof result->text,
             "%zu cartridges in %u slots, %u mail slots and %u drives were "
             "compared with what is known of them: %s",
             here, (unsigned) library->counts[ChangerSlot],
             (unsigned) library->counts[ChangerIEPort],
             (unsigned) library->counts[ChangerDrive],
             result->note_count == 0 ? "nothing differs" : "see the notes");
    return 0;
}

/* Many motions, each of them chosen by who schedules them. */
static int
run_scan(struct library *library, command_t *command, result_t *result)
{
    (void) command;
    return result_fail(result, -ENOTSUP, STATUS_INVALID_DEVICE_REQUEST,
                       "library %s: nobody is there to scan it",
                       library->config.name);
}

/* --- the commands ---------------------------- */

static const struct operation {
    const char *name;
    int (*run)(struct library *library, command_t *command, result_t *result);
} operations[] = {
    [RI_LIB_LOAD] = { "load", command_run_load },
    [RI_LIB_UNLOAD] = { "unload", command_run_unload },
    [RI_LIB_TRANSFER] = { "transfer", command_run_transfer },
    [RI_LIB_EXCHANGE] = { "exchange", command_run_exchange },
    [RI_LIB_POSITION] = { "position", command_run_position },
    [RI_LIB_INVENTORY] = { "inventory", run_inventory },
    [RI_LIB_REFRESH] = { "refresh", run_refresh },
    [RI_LIB_OPEN_MAIL] = { "open-mail", command_run_open_mail },
    [RI_LIB_CLOSE_MAIL] = { "close-mail", command_run_close_mail },
    [RI_LIB_LOCK] = { "lock", command_run_lock },
    [RI_LIB_UNLOCK] = { "unlock", command_run_unlock },
    [RI_LIB_IMPORT] = { "import", command_run_import },
    [RI_LIB_EXPORT] = { "export", command_run_export },
    [RI_LIB_CLEAN] = { "clean", command_run_clean },
    [RI_LIB_VERIFY] = { "verify", run_verify },
    [RI_LIB_SCAN] = { "scan", run_scan },
};

#define OPERATIONS (sizeof operations / sizeof operations[0])

const char *
ri_library_op_name(enum ri_library_op op)
{
    return (size_t) op < OPERATIONS ? operations[op].name : NULL;
}

static bool
moves_media(enum ri_library_op op)
{
    return op == RI_LIB_LOAD || op == RI_LIB_UNLOAD || op == RI_LIB_TRANSFER ||
           op == RI_LIB_EXCHANGE || op == RI_LIB_IMPORT ||
           op == RI_LIB_EXPORT || op == RI_LIB_CLEAN;
}

/* A motion that failed half way: nobody else would come for what it left. */
static void
leave_hand_empty(struct library *library, command_t *command, result_t *result)
{
    struct ri_library_result done = { 0 };

    if (!command_hand_full(library) || library->stale ||
        library_stopping(library))
        return;
    if (command_empty_hand(library, command, &done) != 0)
        result_note(result, "%s", done.text);
    else if (done.note_count > 0)
        result_note(result, "%s", done.notes[0]);
}

static void
run(struct library *library, command_t *command, result_t *result)
{
    int rc = ready_library(library, command, result);

    /* The mail slot is closed while it is what keeps the library unready. */
    if (rc != 0 && command->op == RI_LIB_CLOSE_MAIL && library->known &&
        rc != -ESHUTDOWN)
        rc = 0;
    if (rc != 0)
        return;
    result->error = 0;
    result->status = STATUS_SUCCESS;
    result->sense_len = 0;
    result->repeatable = false;
    result->text[0] = '\0';
    rc = moves_media(command->op) ? command_empty_hand(library, command, result)
                                  : 0;
    if (rc == 0) {
        rc = operations[command->op].run(library, command, result);
        if (rc != 0 && moves_media(command->op))
            leave_hand_empty(library, command, result);
    }
    settle_store(library);
    if (rc == 0 && result->text[0] == '\0')
        snprintf(result->text, sizeof result->text, "%s: done",
                 operations[command->op].name);
}

int
library_command(struct library *library, command_t *command,
                struct ri_library_result *out_result,
                struct ri_error *out_error)
{
    uint64_t begun = clock_coarse_ms();

    memset(out_result, 0, sizeof *out_result);
    out_result->drive = RI_NO_DRIVE;
    if ((size_t) command->op >= OPERATIONS)
        result_fail(out_result, -EINVAL, STATUS_INVALID_PARAMETER,
                    "there is no such command");
    else if (turn_take(library) != 0)
        result_fail(out_result, -ESHUTDOWN, STATUS_DEVICE_NOT_READY,
                    "the service ends");
    else {
        run(library, command, out_result);
        turn_pass(library);
    }
    snprintf(out_result->status_name, sizeof out_result->status_name, "%s",
             status_name((NTSTATUS) out_result->status));
    out_result->duration_ms = clock_coarse_ms() - begun;
    if (out_result->error != 0)
        library_fail(out_error, out_result->error, "%s", out_result->text);
    return out_result->error;
}
