/*
 * operator.c - one service: hands that move media, and who answers prompts
 *
 * Some steps of chance, with faults between them, then all is put right: no
 * fault happens, media go where they are asked for, prompts are answered; and
 * everything that waits must come to its end, every block that was acknowledged
 * must be there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "operator.h"

#include <errno.h>
#include <reinsert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vscsi.h>

#include "base/fault.h"
#include "baton.h"
#include "target.h"
#include "vscsi/vscsi_internal.h"
#include "world.h"

#define STEPS       24  /* before all is put right */
#define TURNS       3   /* of steps, of one service */
#define POLLED_S    90  /* between two looks at a drive that tells nothing */
#define SLOW_HAND_S 100 /* until a drive has been seen empty */
#define PATIENCE_S  400 /* until what can go on has come to its end */

static const char *const names[DRIVES] = { "disk0", "disk1", "disk2" };

/* --- listening -------------------------------------------------------------------- */

static void
heard(void *context, const struct ri_event *what)
{
    (void) context;
    if (strcmp(what->kind, "prompt") == 0)
        world->prompts++;
    event("%s: %.140s", what->kind, what->text);
}

static void
stuck(const char *why)
{
    fail("stuck", "%s", why);
}

/* --- what must be so at any moment ---------------------------------------------------- */

static void
check_prompts(void)
{
    struct ri_prompt_info *list;
    size_t n;

    if (ri_prompts(service, &list, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(list[i].volume, list[j].volume) == 0 &&
                list[i].status == list[j].status)
                fail("prompts", "two for volume %s and %s", list[i].volume,
                     list[i].reason);
    free(list);
}

/* What is said of volumes, against where the media are. */
static void
check_volumes(void)
{
    struct ri_volume_info *list;
    size_t n;

    if (ri_volumes(service, &list, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        int d = list[i].drive[0] != '\0' ? list[i].drive[4] - '0' : -1;
        int m = d >= 0 && d < DRIVES ? medium_in(d) : -1;

        if (strcmp(list[i].state, "mounted") != 0)
            continue;
        if (m < 0)
            fail("dishonest", "volume %s is said to be in drive %d, empty",
                 list[i].name, d);
        if (world->media[m].changed)
            fail("resumed", "medium %d was changed elsewhere, and is mounted",
                 m);
    }
    free(list);
}

static bool
drives_are_honest(bool must)
{
    struct ri_drive_info *list;
    bool honest = true;
    size_t n;

    if (ri_drives(service, &list, &n) != 0)
        return true;
    for (size_t d = 0; d < n; d++) {
        int m = medium_in((int) d);
        bool empty = strcmp(list[d].state, "empty") == 0 ||
                     strcmp(list[d].state, "open") == 0;

        honest &= empty == (m < 0);
        if (empty != (m < 0) && must)
            fail("dishonest", "drive %zu is said to be %s, and has medium %d",
                 d, list[d].state, m);
    }
    free(list);
    return honest;
}

/* A drive that tells nothing by itself, and that nobody uses, is asked now and
 * then. */
static void
check_drives(void)
{
    for (int s = 0; world->remote && s < POLLED_S && !drives_are_honest(false);
         s++)
        baton_sleep_ms(1000);
    drives_are_honest(true);
}

/* --- hands ------------------------------------------------------------------------------ */

static void
put_in(int d, int m)
{
    struct ri_error error = { "" };
    int rc = -EBUSY;

    for (int s = 0; s < SLOW_HAND_S && !may_take(d, m); s++)
        baton_sleep_ms(1000);
    if (may_take(d, m) && medium_in(d) < 0 && drive_with(m) < 0)
        rc = world->remote
                 ? hand_put_in(d, m)
                 : ri_insert(service, names[d], world->media[m].path, &error);

    event("hand: medium %d into drive %d: %d", m, d, rc);
}

static void
pull_out(int d)
{
    struct ri_error error = { "" };
    int rc = world->remote ? vscsi_yank(drive_at[d])
                           : ri_yank(service, names[d], &error);

    event("hand: pulled out of drive %d: %d", d, rc);
}

static void
eject(int d)
{
    struct ri_error error = { "" };
    int rc = ri_eject(service, names[d], &error);

    event("hand: eject of drive %d: %d", d, rc);
}

static void
answer(const struct ri_prompt_info *prompt, enum ri_answer how)
{
    static const char *const words[] = { "retry", "cancel", "use" };
    int d = prompt->drive[0] != '\0' ? prompt->drive[4] - '0' : -1;
    int m = d >= 0 ? medium_in(d) : -1;
    struct ri_error error = { "" };
    uint64_t failed = world->errors;
    int rc;

    rc = ri_prompt_answer(service, prompt->id, how, NULL, &error);
    event("hand: %s to prompt %llu (%s): %d", words[how],
          (unsigned long long) prompt->id, prompt->reason, rc);
    if (how == RI_USE && rc == 0 && m >= 0)
        model_used(m);
    if (how != RI_CANCEL || rc != 0 || prompt->waiting == 0)
        return;
    /* Whoever sent it may not have come back from that yet. */
    for (int i = 0; i < 10 && world->errors == failed; i++)
        baton_sleep_ms(10);
    if (world->errors == failed)
        fail("cancelled", "prompt %llu, and none of the %u requests failed",
             (unsigned long long) prompt->id, prompt->waiting);
}

/* Only who knows that a medium was changed takes it as it is. */
static bool
may_use(const struct ri_prompt_info *prompt)
{
    int d = prompt->drive[0] != '\0' ? prompt->drive[4] - '0' : -1;
    int m = d >= 0 ? medium_in(d) : -1;

    return strstr(prompt->answers, "use") != NULL && m >= 0 &&
           world->media[m].elsewhere;
}

static void
answer_one(void)
{
    struct ri_prompt_info *list;
    const struct ri_prompt_info *prompt;
    size_t n;

    if (ri_prompts(service, &list, &n) != 0)
        return;
    prompt = n > 0 ? &list[chance(n)] : NULL;
    if (prompt != NULL && may_use(prompt) && chance(2) == 0)
        answer(prompt, RI_USE);
    else if (prompt != NULL)
        answer(prompt, chance(3) == 0 ? RI_CANCEL : RI_RETRY);
    free(list);
}

static void
some_hand(void)
{
    int d = (int) chance(DRIVES), m = medium_outside();

    if (inject_one_in == 0)
        return;
    switch (chance(10)) {
    case 0:
    case 1:
        fault_note("hand pulls out of drive %d", d);
        pull_out(d);
        break;
    case 2:
        fault_note("hand ejects drive %d", d);
        eject(d);
        break;
    case 3:
        fault_note("button of drive %d", d);
        vscsi_press_eject(drive_at[d]);
        break;
    case 4:
        if (m < 2 || world->drives == DISC)
            break;
        fault_note("medium %d is changed elsewhere", m);
        model_change_elsewhere(m);
        break;
    case 5:
        if (medium_in(d) >= 0)
            break;
        drive_at[d]->write_protect = chance(4) == 0;
        fault_note("drive %d: tab %d", d, drive_at[d]->write_protect);
        break;
    default:
        if (m >= 0)
            put_in(d, m);
        break;
    }
    if (chance(3) == 0)
        answer_one();
}

/* --- all is put right -------------------------------------------------------------------- */

static void
end_of_faults(void)
{
    inject_one_in = 0;
    fault_clear();
    logdisk_well();
    target_well();
    for (int d = 0; d < DRIVES; d++) {
        vscsi_fault_clear(drive_at[d]);
        if (medium_in(d) >= 0 && drive_at[d]->write_protect)
            pull_out(d);
        drive_at[d]->write_protect = false;
    }
}

static void
answer_all(void)
{
    struct ri_prompt_info *list;
    size_t n;

    if (ri_prompts(service, &list, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (may_use(&list[i]))
            answer(&list[i], RI_USE);
        else if (strcmp(list[i].reason, "STATUS_NO_MEDIA_IN_DEVICE") != 0)
            answer(&list[i], RI_RETRY);
    free(list);
}

/* The answer to an eject button may come late: it opens the drive. */
static void
put_back(int m)
{
    for (int d = 0; d < DRIVES && drive_with(m) < 0; d++)
        if (medium_in(d) < 0)
            put_in(d, m);
}

/* The requests for a medium that is there come to their end. */
static void
wait_for(int m)
{
    for (int s = 0; clients_waiting_for(m) != 0; s++) {
        if (s == PATIENCE_S)
            clients_check_moving(m, "its medium is there");
        baton_sleep_ms(1000);
        put_back(m);
        clients_open(); /* closes what is stale */
        if (s % 20 == 19)
            answer_all();
    }
}

/* All that it owes comes to its end, is read, and is flushed. */
static void
check_medium(int m)
{
    wait_for(m);
    clients_open();
    if (!clients_have(m))
        return;
    clients_read_medium(m);
    wait_for(m);
    clients_flush_medium(m);
    wait_for(m);
}

/* Is what is in there taken for another volume, which it was not? */
static bool
confused(int d)
{
    struct ri_volume_info *list;
    bool yes = false;
    size_t n;

    if (ri_volumes(service, &list, &n) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].drive, names[d]) == 0 &&
            strcmp(list[i].state, "changed elsewhere") == 0)
            yes = !world->media[medium_in(d)].changed;
    free(list);
    return yes;
}

/* Clones are told apart by what was written to them.  Both are needed to know
 * which is which when both are away: the right one goes in first. */
static void
settle_clones(void)
{
    for (int try = 0; try < 4; try++) {
        for (int d = 0; d < DRIVES; d++)
            if (medium_in(d) >= 0)
                pull_out(d);
        put_in(0, try % 2);
        baton_sleep_ms(5000);
        put_in(1, 1 - try % 2);
        baton_sleep_ms(5000);
        if (!confused(0) && !confused(1))
            break;
    }
    check_medium(0);
    check_medium(1);
}

static void
settle_medium(int m)
{
    if (medium_in(2) != m) {
        if (medium_in(2) >= 0)
            pull_out(2);
        put_in(2, m);
    }
    check_medium(m);
}

static void
put_right(void)
{
    int first = 2 + (int) chance(2);

    end_of_faults();
    clients_hush(true);
    event("all is put right");
    baton_sleep_ms(3000);
    settle_clones();
    settle_medium(first);
    settle_medium(5 - first);
    clients_check_moving(-1, "all media were there");
    baton_sleep_ms(5000);
    check_prompts();
    check_drives();
    check_volumes();
    for (int m = 0; m < MEDIA; m++)
        model_check_image(m);
    clients_open();
    clients_hush(false);
}

/* --- one service --------------------------------------------------------------------------- */

/* A drive of a target, which does not end with the service. */
static void
make_remote(int d, struct ri_drive_config *drive)
{
    static const enum vscsi_type types[] = { [RI_DISK] = VSCSI_DISK,
                                             [RI_FLOPPY] = VSCSI_FLOPPY,
                                             [RI_CDROM] = VSCSI_CDROM };
    struct vscsi_config config = { .name = names[d],
                                   .type = types[drive->type],
                                   .cache_volatile =
                                       drive->cache == RI_CACHE_VOLATILE,
                                   .block_bytes = drive->block_bytes,
                                   .load_ms = drive->load_ms };

    if (vscsi_new(&config) == NULL)
        fail("campaign", "no drive");
    drive->port = RI_PORT_ISCSI;
    snprintf(drive->url, sizeof drive->url, "iscsi://faults/%d/0", d);
}

static void
start_service(void)
{
    static const enum ri_drive_type types[] = {
        [DISK] = RI_DISK, [FLOPPY] = RI_FLOPPY, [DISC] = RI_CDROM
    };
    struct ri_drive_config drives[DRIVES];
    struct ri_config config;
    struct ri_error error = { "" };

    ri_config_init(&config);
    memset(drives, 0, sizeof drives);
    for (int d = 0; d < DRIVES; d++) {
        snprintf(drives[d].name, sizeof drives[d].name, "%s", names[d]);
        drives[d].type = types[world->drives];
        drives[d].block_bytes = world->unit * BLOCK;
        drives[d].cache =
            d == 2 && chance(2) == 0 ? RI_CACHE_NONE : RI_CACHE_VOLATILE;
        drives[d].load_ms = chance(4) == 0 ? 1500 : 0;
        if (world->remote)
            make_remote(d, &drives[d]);
    }
    if (world->remote)
        target_begin();
    if (chance(4) == 0)
        config.unflushed_bytes = 64 * 1024;
    snprintf(config.recovery_dir, sizeof config.recovery_dir, "kept");
    if (world->log)
        snprintf(config.unflushed_log, sizeof config.unflushed_log, LOG_FOLDER);
    config.drives = drives;
    config.drive_count = DRIVES;
    if (ri_service_start(&config, &service, &error) != 0)
        fail("campaign", "%s", error.text);
    ri_subscribe(service, heard, NULL);
}

static void
steps(void)
{
    static const unsigned rates[] = { 8, 30, 100, 400 };
    static const unsigned pauses[] = { 1, 5, 50, 300, 1000, 2500, 12000 };

    inject_one_in = rates[chance(sizeof rates / sizeof rates[0])];
    for (int i = 0; i < STEPS && world->faults < world->faults_max; i++) {
        some_hand();
        baton_sleep_ms(pauses[chance(sizeof pauses / sizeof pauses[0])]);
        check_prompts();
    }
}

static void
end_service(void)
{
    clients_stop();
    ri_service_shutdown(service);
    for (int i = 0; clients_waiting() != 0 && i < 50; i++)
        baton_sleep_ms(10);
    ri_service_keep(service);
    clients_close_all();
    ri_service_free(service);
    if (!world->remote)
        return;
    target_end();
    for (int d = 0; d < DRIVES; d++)
        vscsi_free(drive_at[d]);
}

static void
count_replays(void)
{
    struct ri_volume_info *list;
    size_t n;

    if (ri_volumes(service, &list, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        world->replays += list[i].replays;
    free(list);
}

void
operator_main(void)
{
    baton_on_stuck(stuck);
    baton_begin(random_next(&world->random));
    inject_reset();
    start_service();
    put_in(0, (int) chance(MEDIA));
    put_in(1, medium_outside());
    clients_start();
    clients_open();
    for (int turn = 0; turn < TURNS; turn++) {
        steps();
        put_right();
    }
    count_replays();
    world->virtual_ms += baton_now_ms() - 1000000u;
    if (chance(2) == 0)
        kill_service("while all is well");
    end_service();
    world->restarts++;
    world->verdict = ENDED;
}
