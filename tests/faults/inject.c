/*
 * inject.c - between any two commands, and inside them: what can go wrong
 *
 * Linked in front of the emulated drive (meson.build): each command passes here
 * before and after, each write to a cache or an image is shown to the model.
 * Most faults are rules of the drive itself (vscsi.h), made up for the command
 * that is just coming.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntddk.h>

#include <scsi.h>
#include <srb.h>

#include <recovery.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vscsi.h>

#include "base/fault.h"
#include "port/port_internal.h"
#include "baton.h"
#include "target.h"
#include "vscsi/vscsi_internal.h"
#include "world.h"

#define SPLIT_BYTES 65536u /* of the adapter: longer transfers are split */

struct vscsi_drive *drive_at[DRIVES];
unsigned inject_one_in;
static unsigned drives_made;

/* --- who is where -------------------------------------------------------------- */

static int
index_of(const struct vscsi_drive *drive)
{
    for (int d = 0; d < DRIVES; d++)
        if (drive_at[d] == drive)
            return d;
    return -1;
}

int
medium_in(int drive)
{
    const struct medium *medium =
        drive_at[drive] != NULL ? drive_at[drive]->medium : NULL;

    return medium != NULL ? medium_index(medium->path) : -1;
}

int
drive_with(int m)
{
    for (int d = 0; d < DRIVES; d++)
        if (medium_in(d) == m)
            return d;
    return -1;
}

int
medium_outside(void)
{
    int out[MEDIA] = { 0 }, n = 0;

    for (int m = 0; m < MEDIA; m++)
        if (drive_with(m) < 0)
            out[n++] = m;
    return n == 0 ? -1 : out[chance((uint64_t) n)];
}

/* The medium that was in a drive last, or -1. */
static int last_in[DRIVES];

/* What is too fast for what a target's drive can tell is not done. */
bool
may_take(int drive, int m)
{
    return !world->remote || target_may_take(drive, m != last_in[drive]);
}

int
hand_put_in(int drive, int m)
{
    int rc = vscsi_insert(drive_at[drive], world->media[m].path, NULL, 0);

    if (rc == 0 && world->remote)
        target_taken(drive);
    return rc;
}

void
fault_note(const char *format, ...)
{
    char text[TRACE_CHARS];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    world->faults++;
    event("FAULT %llu: %s",
          (unsigned long long) (world->faults - world->faults_before), text);
}

/* --- the tables ------------------------------------------------------------------ */

#define ANY 0x100
#define SENSE_ROW(key, asc, ascq, when, status, retry, delay, act, log, text)  \
    { key, asc, ascq },
#define SRB_ROW(srb, scsi, when, status, retry, delay, act, log, text)
static const unsigned sense_rows[][3] = {
#include "class/sense.def"
};
#undef SENSE_ROW
#undef SRB_ROW

/* What makes the rows without sense data, and what else a rule can do. */
static const char *const other_answers[] = {
    "busy",
    "queue-full",
    "reservation-conflict",
    "selection-timeout",
    "invalid-lun",
    "no-device",
    "phase-error",
    "parity-error",
    "bus-free",
    "timeout",
    "flushed",
    "overrun",
    "status 04",
    "status 22",
    "status 40",
    "reset",
    "lose",
};

static const char *const points[] = { "pool", "irp", "mdl", "srb", "map" };

static unsigned
or_any(unsigned value, unsigned below)
{
    return value == ANY ? (unsigned) chance(below) : value;
}

static void
sense_action(char *out, size_t max, const char *word)
{
    const unsigned *row =
        sense_rows[chance(sizeof sense_rows / sizeof sense_rows[0])];
    unsigned key = or_any(row[0], 16);

    /* A drive that has recovered, or copied less than it could, has done it;
     * nothing at all is no recovery. */
    if (key == 0 && word[0] == 'r')
        key = 1;
    if (key == 1 || (key == 10 && row[1] == 0x0D && row[2] == 2))
        word = "recovered";
    snprintf(out, max, "%s %X/%02X/%02X%s", word, key, or_any(row[1], 256),
             or_any(row[2], 256),
             word[0] == 's' && chance(4) == 0 ? " descriptor" : "");
}

/* --- one fault ------------------------------------------------------------------- */

static void
rule_action(int d, char *out, size_t max)
{
    int m;

    switch (chance(10)) {
    case 0:
    case 1:
    case 2:
        sense_action(out, max, "sense");
        break;
    case 3:
        sense_action(out, max, "recovered");
        break;
    case 4:
        snprintf(out, max, "%s",
                 other_answers[chance(sizeof other_answers /
                                      sizeof other_answers[0])]);
        break;
    case 5:
        snprintf(out, max, "delay %u", 1 + (unsigned) chance(12000));
        break;
    case 6:
        snprintf(out, max, "short %u",
                 (unsigned) chance(64) * BLOCK * world->unit);
        break;
    case 7:
        snprintf(out, max, "becoming-ready %u", 1 + (unsigned) chance(5000));
        break;
    case 8:
        m = medium_outside();
        if (m < 0 || !may_take(d, m))
            m = medium_in(d);
        if (m >= 0 && may_take(d, m)) {
            snprintf(out, max, "swap %s", world->media[m].path);
            break;
        }
        /* fall through */
    default:
        snprintf(out, max, "yank");
        break;
    }
}

void
kill_service(const char *where)
{
    fault_note("killed %s", where);
    if (world->log && chance(2) == 0)
        logdisk_power_cut();
    world->kills++;
    world->verdict = KILLED;
    _exit(0);
}

static void
before_command(int d, const struct vscsi_command *command)
{
    char action[300], rule[340], why[200];

    switch (chance(16)) {
    case 0:
        snprintf(action, sizeof action, "%s",
                 points[chance(sizeof points / sizeof points[0])]);
        fault_set(action, 1 + chance(6), false);
        fault_note("drive %d op %02x: an allocation (%s) will fail", d,
                   command->cdb[0], action);
        return;
    case 1:
        fault_note("drive %d op %02x: the button", d, command->cdb[0]);
        vscsi_press_eject(drive_at[d]);
        return;
    case 2:
        if (chance(8) == 0)
            kill_service("between commands");
        break;
    default:
        break;
    }
    rule_action(d, action, sizeof action);
    /* A drive that has a cache does not deny that it can write it out. */
    if (command->cdb[0] == 0x35 && strncmp(action, "sense 5/20", 10) == 0)
        snprintf(action, sizeof action, "sense 5/24/00");
    snprintf(rule, sizeof rule, "at 1 any do %s", action);
    if (vscsi_fault_add(drive_at[d], rule, why, sizeof why) != 0)
        fail("campaign", "%s", why);
    fault_note("drive %d op %02x: %s", d, command->cdb[0],
               strncmp(action, "swap", 4) == 0 ? strrchr(action, ' ') + 1
                                               : action);
}

bool
inject_now(void)
{
    return inject_one_in != 0 && world->faults < world->faults_max &&
           chance(inject_one_in) == 0;
}

static uint32_t
lba_of(const struct vscsi_command *command)
{
    return command->cdb_len >= 10 ? get32(command->cdb + 2) : command->cdb[4];
}

bool __real_vscsi_execute(struct vscsi_nexus *, struct vscsi_command *);
bool __wrap_vscsi_execute(struct vscsi_nexus *, struct vscsi_command *);
bool
__wrap_vscsi_execute(struct vscsi_nexus *nexus, struct vscsi_command *command)
{
    int d = index_of(nexus->drive);
    uint8_t op = command->cdb[0];
    uint32_t lba = lba_of(command), len = command->data_len;
    bool at_once;

    if (d < 0)
        return __real_vscsi_execute(nexus, command);
    world->commands++;
    baton_point();
    if (inject_now())
        before_command(d, command);
    at_once = __real_vscsi_execute(nexus, command);
    /* What waits may be gone by now. */
    if (!at_once)
        event("drive %d op %02x lba %u +%u: later", d, op, lba, len);
    else if (op != 0x4A && (op != 0x28 || command->sense_len != 0))
        event("drive %d [%d] op %02x lba %u +%u: %d %02x %x/%02x/%02x", d,
              medium_in(d), op, lba, len, command->result, command->status,
              command->sense_len > 13 ? command->sense[2] & 15 : 0,
              command->sense_len > 13 ? command->sense[12] : 0,
              command->sense_len > 13 ? command->sense[13] : 0);
    if (inject_now() && chance(4) == 0) {
        fault_note("drive %d: pulled out after op %02x", d, op);
        vscsi_yank(nexus->drive);
    }
    baton_point();
    return at_once;
}

bool
inject_nothing(struct vscsi_nexus *nexus, struct vscsi_command *command)
{
    return __real_vscsi_execute(nexus, command);
}

/* --- what reaches a medium --------------------------------------------------------- */

uint32_t __real_cache_write(struct cache *, struct medium *, uint64_t,
                            const void *, size_t);
uint32_t __wrap_cache_write(struct cache *, struct medium *, uint64_t,
                            const void *, size_t);
uint32_t
__wrap_cache_write(struct cache *cache, struct medium *medium, uint64_t offset,
                   const void *data, size_t len)
{
    int m = medium_index(medium->path);
    uint32_t sense = __real_cache_write(cache, medium, offset, data, len);

    if (m >= 0 && sense == 0)
        model_reached(m, offset, data, len, false);
    return sense;
}

uint32_t __real_medium_write(struct medium *, uint64_t, const void *, size_t,
                             bool, size_t *);
uint32_t __wrap_medium_write(struct medium *, uint64_t, const void *, size_t,
                             bool, size_t *);
uint32_t
__wrap_medium_write(struct medium *medium, uint64_t offset, const void *data,
                    size_t len, bool fua, size_t *out_done)
{
    int m = medium_index(medium->path);
    uint32_t sense =
        __real_medium_write(medium, offset, data, len, fua, out_done);

    if (m >= 0 && sense == 0)
        model_reached(m, offset, data, len, true);
    if (inject_now() && chance(64) == 0)
        kill_service("while a medium is written");
    return sense;
}

uint32_t __real_medium_zero(struct medium *, uint64_t, uint64_t, bool);
uint32_t __wrap_medium_zero(struct medium *, uint64_t, uint64_t, bool);
uint32_t
__wrap_medium_zero(struct medium *medium, uint64_t offset, uint64_t len,
                   bool unmap)
{
    int m = medium_index(medium->path);
    uint32_t sense = __real_medium_zero(medium, offset, len, unmap);

    if (m >= 0 && sense == 0)
        model_zeroed(m, offset, len);
    return sense;
}

void __real_cache_drop(struct cache *);
void __wrap_cache_drop(struct cache *);
void
__wrap_cache_drop(struct cache *cache)
{
    __real_cache_drop(cache);
    for (int d = 0; d < DRIVES; d++)
        if (drive_at[d] != NULL && drive_at[d]->cache == cache &&
            medium_in(d) >= 0)
            model_cache_lost(medium_in(d));
}

int __real_vscsi_insert(struct vscsi_drive *, const char *, char *, size_t);
int __wrap_vscsi_insert(struct vscsi_drive *, const char *, char *, size_t);
int
__wrap_vscsi_insert(struct vscsi_drive *drive, const char *image,
                    char *out_text, size_t text_max)
{
    int d = index_of(drive);
    int rc = __real_vscsi_insert(drive, image, out_text, text_max);

    if (rc == 0 && d >= 0)
        last_in[d] = medium_index(image);
    return rc;
}

/* --- what is made ------------------------------------------------------------------- */

struct vscsi_drive *__real_vscsi_new(const struct vscsi_config *);
struct vscsi_drive *__wrap_vscsi_new(const struct vscsi_config *);
struct vscsi_drive *
__wrap_vscsi_new(const struct vscsi_config *config)
{
    struct vscsi_drive *drive = __real_vscsi_new(config);

    if (drive != NULL && drives_made < DRIVES)
        drive_at[drives_made++] = drive;
    return drive;
}

void __real_vscsi_free(struct vscsi_drive *);
void __wrap_vscsi_free(struct vscsi_drive *);
void
__wrap_vscsi_free(struct vscsi_drive *drive)
{
    int d = drive != NULL ? index_of(drive) : -1;

    __real_vscsi_free(drive);
    if (d >= 0)
        drive_at[d] = NULL;
}

void
inject_reset(void)
{
    memset(drive_at, 0, sizeof drive_at);
    for (int d = 0; d < DRIVES; d++)
        last_in[d] = -1;
    drives_made = 0;
    inject_one_in = 0;
}

/* An adapter of little reach, so that transfers are split. */
typedef NTSTATUS hba_opener(void *context, void *unit, void **out_hba);
NTSTATUS __real_port_unit_new(PDRIVER_OBJECT, const struct hba_ops *,
                              hba_opener *, void *, const char *,
                              PDEVICE_OBJECT *);
NTSTATUS __wrap_port_unit_new(PDRIVER_OBJECT, const struct hba_ops *,
                              hba_opener *, void *, const char *,
                              PDEVICE_OBJECT *);
NTSTATUS
__wrap_port_unit_new(PDRIVER_OBJECT driver, const struct hba_ops *ops,
                     hba_opener *open, void *context, const char *name,
                     PDEVICE_OBJECT *out_pdo)
{
    static struct hba_ops narrow;

    narrow = *ops;
    narrow.max_transfer_bytes = SPLIT_BYTES;
    return __real_port_unit_new(driver, &narrow, open, context, name, out_pdo);
}

int __real_rec_finish(struct rec_writer *, struct rec_error *);
int __wrap_rec_finish(struct rec_writer *, struct rec_error *);
int
__wrap_rec_finish(struct rec_writer *writer, struct rec_error *out_error)
{
    char path[1024];
    int rc;

    snprintf(path, sizeof path, "%s", rec_path(writer));
    rc = __real_rec_finish(writer, out_error);
    if (rc == 0)
        model_recovery(path);
    return rc;
}
