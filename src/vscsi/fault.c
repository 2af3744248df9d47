/*
 * fault.c - rules that make a drive misbehave: at N MATCH do ACTION
 *
 * Rules see each command when it arrives, before the gate.  A rule that has
 * fired for the last time is freed, so that a drive without rules to come pays
 * one load per command.  Delayed and lost commands wait in the timers' list;
 * their node lies in the command's private words.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vscsi/vscsi_internal.h"

enum action {
    DO_SENSE,
    DO_RECOVERED,
    DO_DELAY,
    DO_LOSE,
    DO_YANK,
    DO_SWAP,
    DO_RESET,
    DO_STATUS,
    DO_RESULT,
    DO_OVERRUN,
    DO_SHORT,
    DO_LOADING,
    DO_ROBOT,
};

enum match { MATCH_ANY, MATCH_DATA, MATCH_FLAGS, MATCH_OPCODE };

struct fault_rule {
    struct fault_rule *next;
    uint64_t seen; /* commands that matched so far */
    uint64_t at;   /* fires at this one; 0: at each */
    bool onwards;  /* and at all later ones */
    enum match match;
    unsigned value;       /* OP_FAULT_* or the opcode */
    bool named;           /* ... by a word */
    uint64_t first, last; /* LBAs */
    bool lba;             /* first and last are given */
    enum action action;
    uint32_t number; /* sense, status, result, milliseconds or bytes */
    uint64_t info;   /* of sense data */
    bool info_valid;
    char image[];
};

_Static_assert(sizeof(struct timer) <=
                   sizeof(((struct vscsi_command *) 0)->priv),
               "room for the node");

/* --- the language --------------------------------------------------------- */

static const struct {
    const char *word;
    enum match match;
    unsigned value;
} matches[] = {
    { "any", MATCH_ANY, 0 },
    { "data", MATCH_DATA, OP_FAULT_READ | OP_FAULT_WRITE },
    { "read", MATCH_FLAGS, OP_FAULT_READ },
    { "write", MATCH_FLAGS, OP_FAULT_WRITE },
    { "flush", MATCH_FLAGS, OP_FAULT_FLUSH },
    { "tur", MATCH_OPCODE, 0x00 },
    { "move", MATCH_OPCODE, 0xA5 },
    { "exchange", MATCH_OPCODE, 0xA6 },
    { "status", MATCH_OPCODE, 0xB8 },
    { "position", MATCH_OPCODE, 0x2B },
    { "inventory", MATCH_FLAGS, OP_FAULT_INVENTORY },
    { "filemark", MATCH_OPCODE, 0x10 },
    { "space", MATCH_FLAGS, OP_FAULT_SPACE },
    { "locate", MATCH_FLAGS, OP_FAULT_LOCATE },
    { "rewind", MATCH_OPCODE, 0x01 },
    { "load", MATCH_OPCODE, 0x1B },
};

enum operand {
    TAKES_NOTHING,
    TAKES_SENSE,
    TAKES_NUMBER,
    TAKES_VALUE, /* besides the number of the row */
    TAKES_STATUS,
    TAKES_IMAGE,
};

static const struct {
    const char *word;
    enum action action;
    enum operand operand;
    uint32_t number; /* of an action that takes nothing */
} actions[] = {
    { "sense", DO_SENSE, TAKES_SENSE, 0 },
    { "recovered", DO_RECOVERED, TAKES_SENSE, 0 },
    { "delay", DO_DELAY, TAKES_NUMBER, 0 },
    { "lose", DO_LOSE, TAKES_NOTHING, 0 },
    { "yank", DO_YANK, TAKES_NOTHING, 0 },
    { "swap", DO_SWAP, TAKES_IMAGE, 0 },
    { "reset", DO_RESET, TAKES_NOTHING, 0 },
    { "busy", DO_STATUS, TAKES_NOTHING, STATUS_BUSY },
    { "queue-full", DO_STATUS, TAKES_NOTHING, 0x28 },
    { "reservation-conflict", DO_STATUS, TAKES_NOTHING, 0x18 },
    { "status", DO_STATUS, TAKES_STATUS, 0 },
    { "selection-timeout", DO_RESULT, TAKES_NOTHING, VSCSI_SELECTION_TIMEOUT },
    { "invalid-lun", DO_RESULT, TAKES_NOTHING, VSCSI_INVALID_LUN },
    { "no-device", DO_RESULT, TAKES_NOTHING, VSCSI_NO_DEVICE },
    { "phase-error", DO_RESULT, TAKES_NOTHING, VSCSI_PHASE_ERROR },
    { "parity-error", DO_RESULT, TAKES_NOTHING, VSCSI_PARITY_ERROR },
    { "bus-free", DO_RESULT, TAKES_NOTHING, VSCSI_BUS_FREE },
    { "timeout", DO_RESULT, TAKES_NOTHING, VSCSI_TIMED_OUT },
    { "flushed", DO_RESULT, TAKES_NOTHING, VSCSI_STALE },
    { "overrun", DO_OVERRUN, TAKES_NOTHING, 0 },
    { "short", DO_SHORT, TAKES_NUMBER, 0 },
    { "becoming-ready", DO_LOADING, TAKES_NUMBER, 0 },
    { "stuck", DO_ROBOT, TAKES_NOTHING, ROBOT_STUCK },
    { "wrong-medium", DO_ROBOT, TAKES_NOTHING, ROBOT_WRONG },
    { "no-answer", DO_ROBOT, TAKES_NOTHING, ROBOT_SILENT },
    { "half", DO_ROBOT, TAKES_NOTHING, ROBOT_HALF },
    { "unreadable", DO_ROBOT, TAKES_NOTHING, ROBOT_UNREADABLE },
    { "not-loaded", DO_ROBOT, TAKES_NOTHING, ROBOT_NOT_LOADED },
    { "door", DO_ROBOT, TAKES_NOTHING, ROBOT_DOOR },
    { "lie-cut", DO_ROBOT, TAKES_VALUE, ROBOT_LIE_CUT },
    { "lie-count", DO_ROBOT, TAKES_VALUE, ROBOT_LIE_COUNT },
    { "lie-length", DO_ROBOT, TAKES_VALUE, ROBOT_LIE_LENGTH },
    { "lie-overlap", DO_ROBOT, TAKES_NOTHING, ROBOT_LIE_OVERLAP },
    { "lie-avoltag", DO_ROBOT, TAKES_NOTHING, ROBOT_LIE_AVOLTAG },
    { "lie-twice", DO_ROBOT, TAKES_NOTHING, ROBOT_LIE_TWICE },
    { "lie-noise", DO_ROBOT, TAKES_VALUE, ROBOT_LIE_NOISE },
};

/* Takes `word` off the text when it is the next one. */
static bool
accept(const char **text, const char *word)
{
    size_t len = strlen(word);

    while (**text == ' ' || **text == '\t')
        (*text)++;
    if (strncmp(*text, word, len) != 0 ||
        ((*text)[len] != '\0' && !isspace((unsigned char) (*text)[len])))
        return false;
    *text += len;
    return true;
}

static bool
number(const char **text, int base, uint64_t max, uint64_t *out_value)
{
    unsigned long long value;
    char *end;

    while (**text == ' ' || **text == '\t')
        (*text)++;
    if (!isxdigit((unsigned char) **text))
        return false;
    errno = 0;
    value = strtoull(*text, &end, base);
    if (errno != 0 || end == *text || value > max)
        return false;
    *text = end;
    *out_value = value;
    return true;
}

static bool
at_end(const char *text)
{
    while (isspace((unsigned char) *text))
        text++;
    return *text == '\0';
}

/* N, N+ or "*". */
static const char *
parse_when(const char **text, struct fault_rule *rule)
{
    if (!accept(text, "at"))
        return "a rule begins with \"at\"";
    if (accept(text, "*")) {
        rule->onwards = true;
        return NULL;
    }
    if (!number(text, 10, UINT64_MAX, &rule->at) || rule->at == 0)
        return "after \"at\" comes a number from 1, a number with \"+\", "
               "or \"*\"";
    if (**text == '+') {
        rule->onwards = true;
        (*text)++;
    }
    return isspace((unsigned char) **text)
               ? NULL
               : "there is no space after the number";
}

static const char *
parse_match(const char **text, struct fault_rule *rule)
{
    uint64_t opcode;
    size_t i;

    for (i = 0; i < sizeof matches / sizeof matches[0]; i++)
        if (accept(text, matches[i].word))
            break;
    if (i < sizeof matches / sizeof matches[0]) {
        rule->match = matches[i].match;
        rule->value = matches[i].value;
        rule->named = true;
    } else if (number(text, 0, 0xff, &opcode)) {
        rule->match = MATCH_OPCODE;
        rule->value = (unsigned) opcode;
    } else {
        return "what to match is any, data, read, write, flush, tur, "
               "filemark, space, locate, rewind, load, move, exchange, "
               "status, position, inventory or an opcode such as 0x28";
    }
    if (!accept(text, "lba"))
        return NULL;
    rule->lba = true;
    if (!number(text, 0, UINT64_MAX, &rule->first) || *(*text)++ != '-' ||
        !number(text, 0, UINT64_MAX, &rule->last) || rule->last < rule->first)
        return "after \"lba\" comes FIRST-LAST";
    return NULL;
}

static bool
parse_sense(const char **text, uint32_t *out_sense)
{
    uint64_t key, asc, ascq;

    if (!number(text, 16, 0x0f, &key) || *(*text)++ != '/' ||
        !number(text, 16, 0xff, &asc) || *(*text)++ != '/' ||
        !number(text, 16, 0xff, &ascq))
        return false;
    *out_sense = SENSE(key, asc, ascq);
    return true;
}

/* K/ASC/ASCQ [descriptor] [deferred] [ili] [info N] [bytes N] */
static const char *
parse_sense_options(const char **text, struct fault_rule *rule)
{
    uint64_t value;

    if (!parse_sense(text, &rule->number))
        return "sense is K/ASC/ASCQ in hexadecimal";
    if (rule->number == 0 && rule->action == DO_RECOVERED)
        return "recovered without sense is nothing";
    for (;;) {
        if (accept(text, "descriptor")) {
            rule->number |= SENSE_DESCRIPTOR;
        } else if (accept(text, "deferred")) {
            rule->number |= SENSE_DEFERRED;
        } else if (accept(text, "ili")) {
            rule->number |= SENSE_ILI;
        } else if (accept(text, "filemark")) {
            rule->number |= SENSE_FILEMARK;
        } else if (accept(text, "eom")) {
            rule->number |= SENSE_EOM;
        } else if (accept(text, "info")) {
            if (!number(text, 0, UINT64_MAX, &rule->info))
                return "after \"info\" comes a number";
            rule->info_valid = true;
        } else if (accept(text, "bytes")) {
            if (!number(text, 10, 31, &value) || value == 0 ||
                rule->number >> 27 != 0)
                return "after \"bytes\" comes a number from 1 to 31";
            rule->number |= SENSE_BYTES(value);
        } else {
            return at_end(*text) ? NULL : "there is something after the sense";
        }
    }
}

/* The image is the rest of the line; *out_image points into the text. */
static const char *
parse_action(const char **text, struct fault_rule *rule, const char **out_image)
{
    uint64_t value = 0;
    size_t i;

    if (!accept(text, "do"))
        return "\"do\" is missing before the action";
    for (i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (accept(text, actions[i].word))
            break;
    if (i == sizeof actions / sizeof actions[0])
        return "the action is none of sense, recovered, delay, lose, yank, "
               "swap, reset, busy, queue-full, reservation-conflict, status, "
               "selection-timeout, invalid-lun, no-device, phase-error, "
               "parity-error, bus-free, timeout, flushed, overrun, short, "
               "becoming-ready; of a library stuck, wrong-medium, no-answer, "
               "half, unreadable, not-loaded, door, lie-cut, lie-count, "
               "lie-length, lie-overlap, lie-avoltag, lie-twice, lie-noise";
    rule->action = actions[i].action;
    rule->number = actions[i].number;
    switch (actions[i].operand) {
    case TAKES_SENSE:
        return parse_sense_options(text, rule);
    case TAKES_STATUS:
        if (!number(text, 16, 0xff, &value) || value == STATUS_GOOD)
            return "status is a SCSI status in hexadecimal, not 0";
        rule->number = (uint32_t) value;
        break;
    case TAKES_NUMBER:
        if (!number(text, 10, UINT32_MAX - 1, &value))
            return "this action takes a number";
        rule->number = (uint32_t) value;
        break;
    case TAKES_VALUE:
        if (!number(text, 10, UINT32_MAX, &rule->info))
            return "this action takes a number";
        break;
    case TAKES_IMAGE:
        while (isspace((unsigned char) **text))
            (*text)++;
        *out_image = *text;
        *text += strlen(*text);
        return **out_image == '\0' ? "swap takes the name of an image" : NULL;
    case TAKES_NOTHING:
        break;
    }
    return at_end(*text) ? NULL : "there is something after the action";
}

static bool
moves_medium(enum action action)
{
    return action == DO_YANK || action == DO_SWAP;
}

static const char *
never(const struct fault_rule *rule, enum vscsi_type type)
{
    struct fault_fit fit = { .opcode = -1,
                             .named = rule->named,
                             .lba = rule->lba,
                             .robot = rule->action == DO_ROBOT,
                             .moves_medium = moves_medium(rule->action) };

    if (rule->match == MATCH_OPCODE)
        fit.opcode = (int) rule->value;
    else
        fit.flags = rule->value;
    return fault_never(type, &fit);
}

/* For a drive of that kind; the caller's. */
static int
parse(const char *text, enum vscsi_type type, struct fault_rule **out_rule,
      char *out_text, size_t text_max)
{
    const char *at = text, *image = "", *wrong;
    struct fault_rule *rule = calloc(1, sizeof *rule + strlen(text) + 1);

    if (rule == NULL)
        return -ENOMEM;
    wrong = parse_when(&at, rule);
    if (wrong == NULL)
        wrong = parse_match(&at, rule);
    if (wrong == NULL)
        wrong = parse_action(&at, rule, &image);
    if (wrong == NULL)
        wrong = never(rule, type);
    if (wrong != NULL) {
        if (out_text != NULL && text_max != 0)
            (void) snprintf(out_text, text_max, "rule \"%s\": %s", text, wrong);
        free(rule);
        return -EINVAL;
    }
    strcpy(rule->image, image);
    *out_rule = rule;
    return 0;
}

int
vscsi_fault_check(enum vscsi_type type, const char *text, char *out_text,
                  size_t text_max)
{
    struct fault_rule *rule = NULL;
    int rc = parse(text, type, &rule, out_text, text_max);

    free(rule);
    return rc;
}

int
vscsi_fault_add(struct vscsi_drive *drive, const char *text, char *out_text,
                size_t text_max)
{
    struct fault_rule *rule, *last;
    int rc = parse(text, drive->type, &rule, out_text, text_max);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&drive->fault_lock);
    last = atomic_load(&drive->rules);
    while (last != NULL && last->next != NULL)
        last = last->next;
    if (last != NULL)
        last->next = rule;
    else
        atomic_store(&drive->rules, rule);
    pthread_mutex_unlock(&drive->fault_lock);
    return 0;
}

void
vscsi_fault_clear(struct vscsi_drive *drive)
{
    struct fault_rule *rule, *next;

    pthread_mutex_lock(&drive->fault_lock);
    rule = atomic_exchange(&drive->rules, NULL);
    pthread_mutex_unlock(&drive->fault_lock);
    for (; rule != NULL; rule = next) {
        next = rule->next;
        free(rule);
    }
}

/* --- matching ------------------------------------------------------------- */

static bool
rule_matches(const struct vscsi_drive *drive, const struct fault_rule *rule,
             const uint8_t *cdb)
{
    const struct opcode *op = &drive->opcodes[cdb[0]];
    uint32_t blocks;
    uint64_t lba;

    if (rule->match == MATCH_OPCODE && cdb[0] != rule->value)
        return false;
    if ((rule->match == MATCH_DATA || rule->match == MATCH_FLAGS) &&
        !(op->flags & rule->value))
        return false;
    if (!rule->lba)
        return true;
    if (drive->tape != NULL) {
        lba = tape_object(drive);
        return lba >= rule->first && lba <= rule->last;
    }
    if (!(op->flags & (OP_LBA | OP_FAULT_READ)))
        return false;
    cdb_range(cdb, op->length, &lba, &blocks);
    return lba <= rule->last &&
           lba + (blocks > 0 ? blocks - 1 : 0) >= rule->first;
}

static bool
is_mechanism(enum action action)
{
    return moves_medium(action) || action == DO_LOADING;
}

#define FIRED_MAX 8

struct fired {
    enum action action;
    uint32_t number;
    uint64_t info;
    bool info_valid;
    char *image; /* owned, for swap */
};

static bool
fires_now(const struct vscsi_drive *drive, struct fault_rule *rule,
          const uint8_t *cdb)
{
    if (!rule_matches(drive, rule, cdb))
        return false;
    rule->seen++;
    return rule->seen == rule->at || (rule->onwards && rule->seen > rule->at);
}

/*
 * Counts the command in every rule that it matches.  Copies those that fire:
 * all that move the mechanism, and the first that is about the command itself.
 * A rule that has fired for the last time is freed.
 */
static unsigned
collect(struct vscsi_drive *drive, const uint8_t *cdb,
        struct fired fired[FIRED_MAX])
{
    struct fault_rule *rule, *next, *kept = NULL, **link = &kept;
    bool decided = false;
    unsigned count = 0;

    pthread_mutex_lock(&drive->fault_lock);
    for (rule = atomic_load(&drive->rules); rule != NULL; rule = next) {
        bool fires = fires_now(drive, rule, cdb);
        bool mechanism = is_mechanism(rule->action);

        next = rule->next;
        if (fires && (mechanism || !decided) && count < FIRED_MAX) {
            fired[count].action = rule->action;
            fired[count].number = rule->number;
            fired[count].info = rule->info;
            fired[count].info_valid = rule->info_valid;
            fired[count++].image =
                rule->action == DO_SWAP ? strdup(rule->image) : NULL;
            decided |= !mechanism;
        }
        if (fires && !rule->onwards) {
            free(rule);
        } else {
            *link = rule;
            link = &rule->next;
        }
    }
    *link = NULL;
    atomic_store(&drive->rules, kept);
    pthread_mutex_unlock(&drive->fault_lock);
    return count;
}

/* --- delayed and lost commands -------------------------------------------- */

static struct vscsi_command *
command_of(struct timer *timer)
{
    return (struct vscsi_command *) ((char *) timer -
                                     offsetof(struct vscsi_command, priv));
}

static void
delay_fired(struct timer *timer)
{
    struct vscsi_command *command = command_of(timer);

    if (command_run(timer->owner, command, &fault_none))
        command->done(command);
}

static void
hold_fired(struct timer *timer)
{
    struct vscsi_command *command = command_of(timer);

    if (command_run(timer->owner, command, &fault_late))
        command->done(command);
}

static bool
is_ours(const struct timer *timer)
{
    return timer->fire == delay_fired || timer->fire == hold_fired;
}

static bool
same_command(struct timer *timer, const void *key)
{
    return timer == (const struct timer *) key;
}

static bool
same_nexus(struct timer *timer, const void *key)
{
    return is_ours(timer) && timer->owner == key;
}

static bool
same_drive(struct timer *timer, const void *key)
{
    return is_ours(timer) &&
           ((struct vscsi_nexus *) timer->owner)->drive == key;
}

static void
abort_command(struct timer *timer)
{
    struct vscsi_command *command = command_of(timer);
    struct vscsi_nexus *nexus = timer->owner;

    command->result = VSCSI_ABORTED;
    command->sense_len = 0;
    command->transferred = 0;
    command->attention = (uint32_t) (atomic_load(&nexus->attention) >> 32);
    command->done(command);
}

static void
abort_all(bool (*match)(struct timer *timer, const void *key), const void *key)
{
    struct timer *timer;

    while ((timer = timer_take(match, key)) != NULL)
        abort_command(timer);
}

void
fault_abort_drive(struct vscsi_drive *drive)
{
    abort_all(same_drive, drive);
    if (drive->library != NULL)
        library_abort_all(drive->library, NULL);
}

void
fault_abort_nexus(struct vscsi_nexus *nexus)
{
    abort_all(same_nexus, nexus);
    timer_quiesce(nexus);
    if (nexus->drive->library != NULL)
        library_abort_all(nexus->drive->library, nexus);
}

/* The command is only compared until it has been found waiting: it may have
 * completed meanwhile, and no longer exist. */
void
vscsi_abort(struct vscsi_nexus *nexus, struct vscsi_command *command)
{
    const void *key = (char *) command + offsetof(struct vscsi_command, priv);
    struct timer *timer = timer_take(same_command, key);

    if (timer != NULL) {
        abort_command(timer);
        return;
    }
    timer_quiesce(key);
    if (nexus->drive->library != NULL)
        (void) library_abort(nexus->drive->library, command);
}

/* --- acting --------------------------------------------------------------- */

static void
answer(struct vscsi_nexus *nexus, struct vscsi_command *command,
       enum vscsi_result result)
{
    atomic_fetch_add_explicit(&nexus->commands, 1, memory_order_relaxed);
    command->result = result;
    command->status = STATUS_GOOD;
    command->sense_len = 0;
    command->transferred = 0;
    command->attention = (uint32_t) (atomic_load(&nexus->attention) >> 32);
}

static void
act_on_mechanism(struct vscsi_drive *drive, const struct fired *rule)
{
    unsigned events;

    if (rule->action == DO_LOADING && drive->library != NULL) {
        library_not_ready_for(drive->library, rule->number);
        return;
    }
    if (rule->action == DO_LOADING) {
        gate_close(drive);
        events = drive_not_ready_for(drive, rule->number);
        gate_open(drive);
        drive_raise(drive, events);
        return;
    }
    (void) vscsi_yank(drive);
    if (rule->image != NULL)
        (void) vscsi_insert(drive, rule->image, NULL, 0);
}

static bool
hold(struct vscsi_nexus *nexus, struct vscsi_command *command, uint64_t due_ns,
     void (*fire)(struct timer *timer))
{
    struct timer *timer = (struct timer *) command->priv;

    memset(timer, 0, sizeof *timer);
    timer->owner = nexus;
    return timer_add(timer, due_ns, fire) == 0;
}

bool
fault_hold(struct vscsi_nexus *nexus, struct vscsi_command *command,
           uint64_t due_ns)
{
    return hold(nexus, command, due_ns, hold_fired);
}

/* A delay that cannot be timed is none. */
static bool
hold_back(struct vscsi_nexus *nexus, struct vscsi_command *command,
          uint64_t due_ns)
{
    return !hold(nexus, command, due_ns, delay_fired);
}

/* True: carry the command out. */
static bool
act(struct vscsi_nexus *nexus, struct vscsi_command *command,
    const struct fired *rule)
{
    uint32_t value = rule->number;

    switch (rule->action) {
    case DO_SENSE:
        if ((value >> 16 & 0x0f) == 6)
            attention_count(nexus);
        answer(nexus, command, VSCSI_DONE);
        command_sense(nexus->drive, command, value,
                      rule->info_valid ? &rule->info : NULL);
        return false;
    case DO_STATUS:
        answer(nexus, command, VSCSI_DONE);
        command->status = (uint8_t) value;
        return false;
    case DO_RESULT:
        answer(nexus, command, (enum vscsi_result) value);
        return false;
    case DO_RESET:
        vscsi_reset(nexus->drive);
        answer(nexus, command, VSCSI_BUS_RESET);
        return false;
    case DO_DELAY:
        return hold_back(nexus, command,
                         timer_now_ns() + value * UINT64_C(1000000));
    case DO_LOSE:
        return hold_back(nexus, command, TIMER_NEVER);
    default:
        return true;
    }
}

bool
fault_apply(struct vscsi_nexus *nexus, struct vscsi_command *command,
            struct fault_effect *out_effect, bool *out_completed)
{
    struct fired fired[FIRED_MAX], *decisive = NULL;
    unsigned count = collect(nexus->drive, command->cdb, fired);

    for (unsigned i = 0; i < count; i++) {
        if (is_mechanism(fired[i].action))
            act_on_mechanism(nexus->drive, &fired[i]);
        else
            decisive = &fired[i];
        free(fired[i].image);
    }
    if (decisive == NULL)
        return true;
    if (decisive->action == DO_SHORT)
        out_effect->data_max = decisive->number;
    if (decisive->action == DO_RECOVERED)
        out_effect->recovered = decisive->number;
    out_effect->overrun = decisive->action == DO_OVERRUN;
    if (decisive->action == DO_ROBOT) {
        out_effect->robot = (uint8_t) decisive->number;
        out_effect->robot_value = (uint32_t) decisive->info;
    }
    *out_completed =
        decisive->action != DO_DELAY && decisive->action != DO_LOSE;
    return act(nexus, command, decisive);
}
