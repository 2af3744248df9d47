/*
 * session_state.c - the states of a tape session, and the ways between them
 *
 * The picture is in tapes_internal.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <string.h>

#define BIT(state) (1u << SESSION_##state)

static const struct {
    const char *name;
    unsigned to;
} states[SESSION_STATES] = {
    [SESSION_READY] = { "ready", BIT(EMPTY) | BIT(LOST) | BIT(ADRIFT) },
    [SESSION_EMPTY] = { "empty", BIT(READY) | BIT(RETURNING) | BIT(LOST) },
    [SESSION_LOST] = { "lost", BIT(RETURNING) | BIT(WAITING) | BIT(ADRIFT) |
                                   BIT(EMPTY) },
    [SESSION_RETURNING] = { "returning", BIT(READY) | BIT(WAITING) |
                                             BIT(ADRIFT) | BIT(LOST) |
                                             BIT(EMPTY) },
    [SESSION_WAITING] = { "waiting", BIT(RETURNING) | BIT(READY) | BIT(LOST) |
                                         BIT(ADRIFT) | BIT(EMPTY) },
    [SESSION_ADRIFT] = { "adrift", BIT(LOST) | BIT(EMPTY) },
};

const char *
session_state_name(enum session_state state)
{
    return states[state].name;
}

bool
session_state_may(enum session_state from, enum session_state to)
{
    return from == to || (states[from].to >> to & 1) != 0;
}

void
session_set_state(struct ri_tape *tape, enum session_state to)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    ASSERT(session_state_may(tape->state, to));
    tape->state = to;
    KeReleaseSpinLock(&tapes.lock, irql);
}
