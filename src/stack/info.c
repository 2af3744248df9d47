/*
 * info.c - snapshots of drives and volumes
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cdbs.h"
#include "base/clock.h"
#include "base/status.h"
#include "class/evidence.h"
#include "io/io.h"
#include "port/port.h"
#include "prompt/prompt.h"
#include "stack/sg.h"
#include "stack/tape_drive.h"
#include "stack/targets.h"

/* What the last look at it found. */
static void
fill_real(struct drive *drive, struct volume *volume, struct ri_drive_info *out)
{
    static const struct {
        NTSTATUS status;
        const char *word;
    } words[] = {
        { STATUS_SUCCESS, "ready" },
        { STATUS_NO_MEDIA_IN_DEVICE, "empty" },
        { STATUS_DEVICE_NOT_CONNECTED, "away" },
        { STATUS_DEVICE_DOES_NOT_EXIST, "away" },
    };
    const struct ri_drive_config *config = &drive->config;
    NTSTATUS found = __atomic_load_n(&drive->found, __ATOMIC_ACQUIRE);
    struct fs_volume_info info;
    const char *word = "not ready";

    snprintf(out->address, sizeof out->address, "%s",
             config->port == RI_PORT_ISCSI ? config->url
             : config->device[0] != '\0'   ? config->device
                                           : config->match);
    sg_node(drive->sg, out->node, sizeof out->node);

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].status == found)
            word = words[i].word;
    snprintf(out->state, sizeof out->state, "%s", word);
    if (found != STATUS_SUCCESS || volume == NULL)
        return;
    fs_volume_info(volume, &info);
    out->size_bytes = info.size_bytes;
    out->block_bytes = info.block_bytes;
    out->write_protected = info.read_only;
}

static void
why_not_yet(struct drive *drive, char *out_text, size_t text_max)
{
    char why[RI_TEXT_MAX / 2];
    struct port_unit_info unit;

    drive_why_away(drive, why, sizeof why);
    port_unit_info(drive->pdo, &unit);
    snprintf(out_text, text_max,
             drive->config.port == RI_PORT_SG
                 ? "it was not there since the service began (%s); it is taken "
                   "when it comes"
             : unit.refused
                 ? "its target lets us not in (%s); it is tried again, later "
                   "and later, every 64 s at last"
                 : "its target could not be reached since the service began "
                   "(%s); it is tried again every few seconds",
             why);
}

/* It was there, and will be asked when it is again. */
static void
why_now(struct drive *drive, const struct port_unit_info *unit, char *text,
        size_t text_max)
{
    size_t len = strlen(text);
    char why[RI_TEXT_MAX / 2];

    port_unit_why(drive->pdo, why, sizeof why);
    snprintf(text + len, text_max - len,
             unit->refused  ? "; its target lets us not in now (%s)"
             : unit->silent ? "; its target has stopped to answer (%s)"
                            : "; it is away now (%s)",
             why[0] != '\0' ? why : "it is not there");
}

/* What is believed of the drive's announcements, and why. */
static void
fill_evidence(struct drive *drive, struct ri_drive_info *out)
{
    static const struct {
        const char *word, *text;
    } beliefs[] = {
        [CLASS_NOT_KNOWN] = { "unknown", "no medium came or went yet, so "
                                         "whether it announces changes is not "
                                         "known" },
        [CLASS_ANNOUNCES] = { "announced", "it announced each new medium" },
        [CLASS_SILENT] = { "silent", "a new medium came without a word" },
    };
    struct class_evidence seen;
    struct port_unit_info unit;
    char how[160] = "";

    if (drive_fdo(drive) == NULL) {
        snprintf(out->changes, sizeof out->changes, "unknown");
        why_not_yet(drive, out->changes_why, sizeof out->changes_why);
        return;
    }
    class_evidence(drive->fdo, &seen);
    if (seen.attentions + seen.events != 0)
        snprintf(how, sizeof how, " (UNIT ATTENTION 28: %u, GESN events: %u)",
                 seen.attentions, seen.events);
    snprintf(out->changes, sizeof out->changes, "%s",
             beliefs[seen.belief].word);
    snprintf(out->changes_why, sizeof out->changes_why, "%s%s",
             beliefs[seen.belief].text, how);
    if (seen.belief == CLASS_SILENT)
        snprintf(out->changes_why + strlen(out->changes_why),
                 sizeof out->changes_why - strlen(out->changes_why),
                 ": ready again without one %u times, another capacity %u "
                 "times",
                 seen.came_silently, seen.sizes);
    port_unit_info(drive->pdo, &unit);
    if (unit.away || unit.silent)
        why_now(drive, &unit, out->changes_why, sizeof out->changes_why);
    else if (seen.asked)
        snprintf(out->changes_why + strlen(out->changes_why),
                 sizeof out->changes_why - strlen(out->changes_why), "%s",
                 unit.shared ? "; the kernel's driver has it, too, and may be "
                               "told in our place: its volume is verified "
                               "before it is used after half a second of "
                               "silence"
                 : seen.belief == CLASS_ANNOUNCES
                     ? "; asked every second"
                     : "; asked every second, also for its capacity; its "
                       "volume is verified whenever it was not ready, and "
                       "before it is used after half a second of silence");
}

void
drive_sense(const struct drive *drive, char *out_text)
{
    struct port_unit_info unit = { 0 };
    struct ri_sense_info sense;

    out_text[0] = '\0';
    if (drive->pdo == NULL)
        return;
    port_unit_info(drive->pdo, &unit);
    if (unit.sense_len > 0 &&
        ri_sense_decode(unit.sense, unit.sense_len, &sense, NULL) == 0)
        snprintf(out_text, RI_TEXT_MAX, "%X/%02X/%02X %.400s", sense.key,
                 sense.asc, sense.ascq, sense.text);
}

/* Some are at the end of a field of blanks. */
static void
take_serial(const char *serial, char *out_text, size_t max)
{
    size_t len;

    serial += strspn(serial, " ");
    for (len = strlen(serial); len > 0 && serial[len - 1] == ' ';)
        len--;
    snprintf(out_text, max, "%.*s", (int) len, serial);
}

static void
fill_drive(struct ri_service *service, struct drive *drive,
           struct ri_drive_info *out)
{
    PDEVICE_OBJECT fdo = drive_fdo(drive);
    struct volume *volume = fdo != NULL ? fs_volume_on(fdo) : NULL;
    struct fs_volume_info info;
    struct port_unit_info unit;
    struct vscsi_state state = { 0 };

    if (drive->device != NULL)
        vscsi_state(drive->device, &state);
    port_unit_info(drive->pdo, &unit);
    snprintf(out->name, sizeof out->name, "%s", drive->config.name);
    out->type = __atomic_load_n(&drive->config.type, __ATOMIC_ACQUIRE);
    snprintf(out->state, sizeof out->state, "%s",
             state.ready       ? "ready"
             : state.medium    ? "not ready"
             : state.tray_open ? "open"
                               : "empty");
    snprintf(out->medium, sizeof out->medium, "%s", state.image);
    if (volume != NULL) {
        fs_volume_info(volume, &info);
        if (!fs_state_away(info.state) && info.drive == fdo)
            volume_name(service, volume, out->volume);
    }
    port_unit_names(drive->pdo, out->vendor, out->product);
    take_serial(port_unit_serial(drive->pdo), out->serial, sizeof out->serial);
    drive_sense(drive, out->sense);
    if (state.medium) {
        out->block_bytes = state.block_bytes;
        out->size_bytes = state.blocks * state.block_bytes;
    }
    out->change_count = __atomic_load_n(&drive->count, __ATOMIC_RELAXED);
    out->age_ms = unit.last_answer_ms != 0
                      ? clock_coarse_ms() - unit.last_answer_ms
                      : UINT64_MAX;
    out->write_protected = state.write_protected;
    out->locked = unit.locked;
    out->real = drive->device == NULL;
    fill_evidence(drive, out);
    if (drive->device == NULL)
        fill_real(drive, volume, out);
    tape_fill_drive(drive, out);
    if (unit.silent)
        snprintf(out->state, sizeof out->state, "no answer");
}

int
ri_drives(struct ri_service *service, struct ri_drive_info **out_list,
          size_t *out_count)
{
    size_t count = drives_known(service);
    struct ri_drive_info *list =
        calloc(count + service->target_count + 1, sizeof *list);

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        fill_drive(service, &service->drives[i], &list[i]);
    *out_list = list;
    *out_count = count + targets_fill(service, list + count);
    return 0;
}

bool
ri_volume_arrow(size_t index, struct ri_arrow *out_arrow)
{
    size_t count;
    const struct fs_arrow *arrow = fs_arrows(&count) + index;

    if (index >= count)
        return false;
    *out_arrow =
        (struct ri_arrow){ fs_state_name(arrow->from), fs_state_name(arrow->to),
                           arrow->who, arrow->when };
    return true;
}

/* The names of the bits that are set, with commas. */
static void
words_of(uint32_t bits, const char *const *names, size_t count, char *out_text,
         size_t max)
{
    size_t len = 0;

    out_text[0] = '\0';
    for (size_t i = 0; i < count && len < max; i++)
        if (bits & 1u << i)
            len += (size_t) snprintf(out_text + len, max - len, "%s%s",
                                     len > 0 ? ", " : "", names[i]);
}

bool
ri_command(size_t index, struct ri_command *out_command)
{
    static const char *const kinds[] = { "disk", "CD", "tape", "changer" };
    static const char *const who[] = { "service", "probe", "asked" };
    const struct cdb_row *row = NULL;
    size_t opcode, len = 0;

    for (opcode = 0; opcode < 256; opcode++)
        if (cdb_rows[opcode].who != CDB_NOBODY && index-- == 0) {
            row = &cdb_rows[opcode];
            break;
        }
    if (row == NULL)
        return false;
    *out_command = (struct ri_command){ .opcode = (uint8_t) opcode,
                                        .length = row->len,
                                        .name = row->name };
    if (row->kinds == CDB_EVERY)
        snprintf(out_command->devices, sizeof out_command->devices, "all");
    else
        words_of(row->kinds, kinds, 4, out_command->devices,
                 sizeof out_command->devices);
    words_of(row->who, who, 3, out_command->sent_by,
             sizeof out_command->sent_by);
    for (unsigned i = 0;
         i < 32 && len < sizeof out_command->actions && row->actions != CDB_ANY;
         i++)
        if (row->actions & CDB_ACTION(i))
            len += (size_t) snprintf(out_command->actions + len,
                                     sizeof out_command->actions - len,
                                     "%s%02Xh", len > 0 ? ", " : "", i);
    return true;
}

struct listing {
    struct ri_service *service;
    struct ri_volume_info *list;
    size_t n, max;
};

static BOOLEAN
fill_volume(void *context, struct volume *volume)
{
    struct listing *listing = context;
    struct ri_volume_info *out = &listing->list[listing->n];
    struct fs_volume_info info;
    struct drive *drive;

    if (listing->n == listing->max)
        return FALSE;
    fs_volume_info(volume, &info);
    drive = drive_of(listing->service, info.drive);
    volume_name(listing->service, volume, out->name);
    snprintf(out->label, sizeof out->label, "%.127s", info.label);
    snprintf(out->uuid, sizeof out->uuid, "%s", info.uuid);
    snprintf(out->type, sizeof out->type, "%s", info.type);
    snprintf(out->state, sizeof out->state, "%s", fs_state_name(info.state));
    snprintf(out->drive, sizeof out->drive, "%s",
             drive != NULL ? drive->config.name : "");
    out->size_bytes = info.size_bytes;
    out->block_bytes = info.block_bytes;
    out->age_ms = clock_coarse_ms() - info.since_ms;
    out->waiting = prompt_waiting(fs_volume_vpb(volume));
    out->clients = export_clients(listing->service, volume);
    out->read_only = info.read_only;
    out->unflushed_bytes = info.unflushed_bytes;
    out->replays = info.replays;
    kept_newest(listing->service, volume, out->recovery);
    listing->n++;
    return TRUE;
}

int
ri_volumes(struct ri_service *service, struct ri_volume_info **out_list,
           size_t *out_count)
{
    struct listing listing = { .service = service, .max = volume_count() };

    listing.list = calloc(listing.max + 1, sizeof *listing.list);
    if (listing.list == NULL)
        return -ENOMEM;
    fs_each_volume(fill_volume, &listing);
    *out_list = listing.list;
    *out_count = listing.n;
    return 0;
}

int
ri_prompts(struct ri_service *service, struct ri_prompt_info **out_list,
           size_t *out_count)
{
    (void) service;
    return prompt_list(out_list, out_count);
}

int
ri_prompt_answer(struct ri_service *service, uint64_t id, enum ri_answer answer,
                 char *out_recovery, struct ri_error *out_error)
{
    struct volume *volume = NULL;
    char file[RI_PATH_MAX] = "";
    uint64_t before = 0;
    PVPB vpb;
    int rc;

    if (answer > RI_USE)
        return ri_fail(out_error, -EINVAL, "answers are retry, cancel and use");
    vpb = prompt_vpb(id);
    if (vpb != NULL)
        volume = fs_volume_of(vpb);
    if (volume != NULL)
        before = kept_newest(service, volume, file);
    rc = prompt_answer(id, answer);
    if (rc == -ENOENT)
        return ri_fail(out_error, rc,
                       "there is no prompt %llu; it may have been answered",
                       (unsigned long long) id);
    if (rc == -EINVAL)
        return ri_fail(out_error, rc,
                       "prompt %llu is not about a volume that was changed "
                       "elsewhere; answers are retry and cancel",
                       (unsigned long long) id);
    if (rc != 0)
        return ri_fail(out_error, rc,
                       "the volume cannot be used as it is now, nothing was "
                       "dropped: %s",
                       strerror(-rc));
    if (out_recovery == NULL)
        return 0;
    out_recovery[0] = '\0';
    if (volume != NULL && kept_newest(service, volume, file) > before)
        memcpy(out_recovery, file, sizeof file);
    return 0;
}

/* --- the error log ------------------------------------------------------- */

#define LOG_MAX 128

static void
fill_log_entry(struct ri_service *service,
               const struct io_error_log_entry *entry, struct ri_log_entry *out)
{
    const IO_ERROR_LOG_PACKET *packet = &entry->packet;

    out->seq = entry->seq;
    out->time_ms = entry->time_ms;
    snprintf(out->driver, sizeof out->driver, "%s", entry->driver);
    snprintf(out->device, sizeof out->device, "%s", entry->device);
    for (size_t i = 0; i < drives_known(service) && entry->object != NULL; i++)
        if (service->drives[i].fdo == entry->object ||
            service->drives[i].pdo == entry->object)
            snprintf(out->drive, sizeof out->drive, "%s",
                     service->drives[i].config.name);
    snprintf(out->code, sizeof out->code, "%s",
             io_error_code_name(packet->ErrorCode));
    snprintf(out->status, sizeof out->status, "%s",
             status_name(packet->FinalStatus));
    snprintf(out->text, sizeof out->text, "%s", entry->text);
    out->retries = packet->RetryCount;
    out->unique_id = packet->UniqueErrorValue;
    out->control_code = packet->IoControlCode;
    out->offset_bytes = (uint64_t) packet->DeviceOffset.QuadPart;
    out->dump_len = entry->dump_len;
    memcpy(out->dump, entry->dump, entry->dump_len);
}

int
ri_error_log(struct ri_service *service, uint64_t after_seq,
             struct ri_log_entry **out_list, size_t *out_count)
{
    struct io_error_log_entry *entries = calloc(LOG_MAX, sizeof *entries);
    struct ri_log_entry *list = calloc(LOG_MAX, sizeof *list);
    size_t count;

    C_ASSERT(RI_DUMP_MAX >= IO_ERROR_LOG_DUMP_MAX);
    if (entries == NULL || list == NULL) {
        free(entries);
        free(list);
        return -ENOMEM;
    }
    count = io_error_log(after_seq, entries, LOG_MAX);
    for (size_t i = 0; i < count; i++)
        fill_log_entry(service, &entries[i], &list[i]);
    free(entries);
    *out_list = list;
    *out_count = count;
    return 0;
}
