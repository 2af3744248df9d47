/*
 * Tests for src/stack/jukebox*.c: the robot answers the questions.  The service
 * and its emulated drives are real, the robot's layer is fake_library.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../eventually.h"
#include "fake_library.h"
#include "stack/stack_internal.h"

#define VOLUMES 6
#define BLOCK   4096

static char folder[] = "/tmp/t_jukebox-XXXXXX";
static struct library library;
static struct ri_service *service;
static struct jukebox *jukebox;
static struct ri_config config;
static struct ri_library_config shape;

static const char *
image_of(int n)
{
    static char path[VOLUMES + 4][64];

    snprintf(path[n], sizeof path[n], "%s/v%d.img", folder, n);
    return path[n];
}

static int
run(const char *command)
{
    return system(command) == 0 ? 0 : -1;
}

static int
begin(void **state)
{
    char command[300];

    (void) state;
    return mkdtemp(folder) != NULL &&
                   snprintf(command, sizeof command,
                            "for n in 0 1 2 3 4 5 6 7; do mkfs.vfat -C -F 16 "
                            "-n JB$n -i 5200000$n %s/v$n.img 16384 >/dev/null "
                            "|| exit 1; done",
                            folder) > 0
               ? run(command)
               : -1;
}

static int
end(void **state)
{
    char command[80];

    (void) state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return run(command);
}

static void
start(void)
{
    struct ri_error error = { "" };

    ri_config_init(&config);
    config.drives = calloc(FAKE_DRIVES, sizeof *config.drives);
    config.drive_count = FAKE_DRIVES;
    for (unsigned i = 0; i < FAKE_DRIVES; i++) {
        snprintf(config.drives[i].name, sizeof config.drives[i].name, "lib-%u",
                 i);
        config.drives[i].cache = RI_CACHE_VOLATILE;
    }
    assert_int_equal(ri_service_start(&config, &service, &error), 0);
    library.service = service;
    for (unsigned i = 0; i < FAKE_DRIVES; i++)
        if (library.drive[i] >= 0)
            assert_int_equal(
                ri_insert(service, config.drives[i].name,
                          library.cartridges[library.drive[i]].image, &error),
                0);
    snprintf(shape.name, sizeof shape.name, "lib");
    snprintf(shape.state, sizeof shape.state, "%s", folder);
    shape.drive_count = FAKE_DRIVES;
    shape.min_residence_s = 0;
    assert_int_equal(jukebox_start(service, &library, &shape, &jukebox, &error),
                     0);
    free(service->jukeboxes);
    service->jukeboxes = calloc(1, sizeof(struct jukebox *));
    service->jukeboxes[0] = jukebox;
    __atomic_store_n(&service->jukebox_count, 1, __ATOMIC_RELEASE);
}

static void
stop(void)
{
    ri_service_shutdown(service);
    ri_service_keep(service);
    ri_service_free(service);
    ri_config_free(&config);
}

static void
scan(const char *want)
{
    char text[RI_TEXT_MAX];

    assert_int_equal(jukebox_scan(jukebox, text), 0);
    assert_string_equal(text, want);
}

/* Six volumes in slots 1 to 6, and known. */
static int
before(void **state)
{
    char command[100];

    (void) state;
    snprintf(command, sizeof command, "rm -f %s/volumes.db*", folder);
    run(command);
    fake_library_init(&library, "lib");
    for (int i = 0; i < VOLUMES; i++)
        fake_library_put(&library, (unsigned) i + 1, image_of(i));
    start();
    scan("6 looked at, 6 with a volume");
    return 0;
}

static int
after(void **state)
{
    (void) state;
    stop();
    return 0;
}

/* --- clients -------------------------------------------------------------------- */

struct client {
    struct ri_export *export_;
    struct ri_request request;
    unsigned char data[BLOCK];
    bool done;
};

static void
completed(struct ri_request *request)
{
    struct client *client = request->context;

    __atomic_store_n(&client->done, true, __ATOMIC_RELEASE);
}

static void
open_volume(struct client *client, int n)
{
    struct ri_error error = { "" };
    char name[16];

    memset(client, 0, sizeof *client);
    snprintf(name, sizeof name, "JB%d", n);
    if (ri_open(service, name, &client->export_, &error) != 0)
        fail_msg("%s", error.text);
}

static void
begin_io(struct client *client, enum ri_op op, uint64_t offset)
{
    client->done = false;
    client->request = (struct ri_request){
        .op = op,
        .offset_bytes = offset,
        .length_bytes = op == RI_FLUSH ? 0 : BLOCK,
        .buffer = client->data,
        .done = completed,
        .context = client,
    };
    if (ri_submit(client->export_, &client->request))
        completed(&client->request);
}

static bool
is_done(struct client *client)
{
    return __atomic_load_n(&client->done, __ATOMIC_ACQUIRE);
}

static int
end_io(struct client *client)
{
    assert_true(EVENTUALLY(is_done(client)));
    return client->request.error;
}

static int
io(struct client *client, enum ri_op op, uint64_t offset)
{
    begin_io(client, op, offset);
    return end_io(client);
}

static size_t
questions(struct ri_prompt_info *out_first)
{
    struct ri_prompt_info *list = NULL;
    size_t n = 0;

    assert_int_equal(ri_prompts(service, &list, &n), 0);
    if (n > 0 && out_first != NULL)
        *out_first = list[0];
    free(list);
    return n;
}

struct counter {
    int asked;
};

static void
count_questions(void *context, const struct ri_event *event)
{
    struct counter *counter = context;

    if (strcmp(event->kind, "prompt") == 0)
        __atomic_add_fetch(&counter->asked, 1, __ATOMIC_RELAXED);
}

static void
locked(void (*change)(void))
{
    pthread_mutex_lock(&library.lock);
    change();
    pthread_mutex_unlock(&library.lock);
    jukebox_event(jukebox, "state");
}

static int
under_way(void)
{
    int n;

    pthread_mutex_lock(&library.lock);
    n = library.at_once;
    pthread_mutex_unlock(&library.lock);
    return n;
}

static void
take_time(unsigned ms)
{
    pthread_mutex_lock(&library.lock);
    library.motion_ms = ms;
    pthread_mutex_unlock(&library.lock);
}

/* A volume that is in no drive now. */
static int
one_in_a_slot(void)
{
    for (int s = 0; s < VOLUMES; s++)
        if (library.slot[s] >= 0)
            return library.slot[s];
    return -1;
}

/* --- the tests ------------------------------------------------------------------- */

static void
six_volumes__two_drives__all_served_nobody_asked(void **state)
{
    struct counter counter = { 0 };
    struct client clients[VOLUMES];
    uint64_t id = ri_subscribe(service, count_questions, &counter);

    (void) state;
    for (int i = 0; i < VOLUMES; i++)
        open_volume(&clients[i], i);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < VOLUMES; i++) {
            memset(clients[i].data, 'a' + i + round, BLOCK);
            begin_io(&clients[i], RI_WRITE, (4 << 20) + round * BLOCK);
        }
        for (int i = 0; i < VOLUMES; i++)
            assert_int_equal(end_io(&clients[i]), 0);
    }
    for (int i = 0; i < VOLUMES; i++) {
        for (int round = 0; round < 3; round++) {
            assert_int_equal(
                io(&clients[i], RI_READ, (4 << 20) + round * BLOCK), 0);
            assert_int_equal(clients[i].data[0], 'a' + i + round);
            assert_int_equal(clients[i].data[BLOCK - 1], 'a' + i + round);
        }
        ri_close(clients[i].export_);
    }
    ri_unsubscribe(service, id);
    assert_int_equal(counter.asked, 0);
    assert_int_equal(library.most_at_once, 1);
}

static void
restart__volumes_in_slots__are_exports_and_are_fetched(void **state)
{
    struct client client;
    struct ri_export_info *list;
    size_t n, found = 0;

    (void) state;
    for (int i = 0; i < VOLUMES; i++) {
        open_volume(&client, i);
        memset(client.data, 'R' + i, BLOCK);
        assert_int_equal(io(&client, RI_WRITE, 5 << 20), 0);
        ri_close(client.export_);
    }
    stop();
    start();
    assert_int_equal(ri_exports(service, &list, &n), 0);
    for (size_t i = 0; i < n; i++) {
        found += strncmp(list[i].name, "JB", 2) == 0;
        assert_true(list[i].size_bytes == 16384 * 1024);
    }
    free(list);
    assert_int_equal(found, VOLUMES);
    for (int i = 0; i < VOLUMES; i++) {
        open_volume(&client, i);
        assert_int_equal(io(&client, RI_READ, 5 << 20), 0);
        assert_int_equal(client.data[0], 'R' + i);
        ri_close(client.export_);
    }
    assert_int_equal(questions(NULL), 0);
}

static void
open_door(void)
{
    library.door_open = true;
}

static void
close_door(void)
{
    library.door_open = false;
}

static void
door_is_open__one_question_says_so__gone_when_it_is_closed(void **state)
{
    struct counter counter = { 0 };
    struct ri_prompt_info info;
    struct client client, other;
    uint64_t id = ri_subscribe(service, count_questions, &counter);

    (void) state;
    locked(open_door);
    open_volume(&client, one_in_a_slot());
    open_volume(&other, one_in_a_slot());
    begin_io(&client, RI_READ, 0);
    begin_io(&other, RI_READ, BLOCK);
    assert_true(EVENTUALLY(questions(&info) == 1));
    assert_non_null(strstr(info.text, "door open"));
    assert_non_null(strstr(info.text, "Close the door"));
    assert_non_null(strstr(info.text, "slot"));
    assert_false(is_done(&client));
    locked(close_door);
    assert_int_equal(end_io(&client), 0);
    assert_int_equal(end_io(&other), 0);
    assert_int_equal(questions(NULL), 0);
    /* It is told of after it is put. */
    assert_true(
        EVENTUALLY(__atomic_load_n(&counter.asked, __ATOMIC_RELAXED) == 1));
    ri_unsubscribe(service, id);
    ri_close(client.export_);
    ri_close(other.export_);
}

static void
pin_drives(void)
{
    struct ri_library_command command = { .op = RI_LIB_LOAD };
    struct ri_library_result result;

    pthread_mutex_unlock(&library.lock);
    for (command.drive = 0; command.drive < FAKE_DRIVES; command.drive++) {
        command.source = library.home[library.drive[command.drive]];
        command.destination = command.source;
        command.op = RI_LIB_UNLOAD;
        jukebox_command(jukebox, &library, &command, &result, NULL);
        command.op = RI_LIB_LOAD;
        assert_int_equal(
            jukebox_command(jukebox, &library, &command, &result, NULL), 0);
    }
    pthread_mutex_lock(&library.lock);
}

static void
set_aside(void)
{
    library.aside[0] = true;
}

static void
both_drives_pinned__asked__an_operator_unloads_one__served(void **state)
{
    struct ri_library_command command = { .op = RI_LIB_UNLOAD, .drive = 1 };
    struct ri_library_result result;
    struct ri_prompt_info info;
    struct client client;

    (void) state;
    locked(pin_drives);
    open_volume(&client, one_in_a_slot());
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(&info) == 1));
    assert_non_null(strstr(info.text, "operator"));
    command.destination = library.home[library.drive[1]];
    assert_int_equal(
        jukebox_command(jukebox, &library, &command, &result, NULL), 0);
    assert_int_equal(end_io(&client), 0);
    assert_int_equal(questions(NULL), 0);
    ri_close(client.export_);
}

static void
marked__asked__never_loaded(void **state)
{
    int n = one_in_a_slot(), motions;
    struct ri_prompt_info info;
    struct client client;

    (void) state;
    pthread_mutex_lock(&library.lock);
    library.cartridges[n].marked = true;
    motions = library.motions;
    pthread_mutex_unlock(&library.lock);
    open_volume(&client, n);
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(&info) == 1));
    assert_non_null(strstr(info.text, "marked bad"));
    assert_int_equal(library.motions, motions);
    pthread_mutex_lock(&library.lock);
    library.cartridges[n].marked = false;
    pthread_mutex_unlock(&library.lock);
    jukebox_event(jukebox, "state");
    assert_int_equal(end_io(&client), 0);
    ri_close(client.export_);
}

static void
motion_fails_once__the_other_drive_is_tried__nobody_asked(void **state)
{
    struct counter counter = { 0 };
    struct client client;
    uint64_t id = ri_subscribe(service, count_questions, &counter);

    (void) state;
    pthread_mutex_lock(&library.lock);
    library.fail_loads = 1;
    pthread_mutex_unlock(&library.lock);
    open_volume(&client, one_in_a_slot());
    assert_int_equal(io(&client, RI_READ, 0), 0);
    assert_int_equal(counter.asked, 0);
    ri_unsubscribe(service, id);
    ri_close(client.export_);
}

static void
motion_fails_again__asked_with_its_words__retry_heals(void **state)
{
    struct counter counter = { 0 };
    struct ri_prompt_info info;
    struct client client;
    uint64_t id = ri_subscribe(service, count_questions, &counter);

    (void) state;
    pthread_mutex_lock(&library.lock);
    library.fail_loads = 2;
    pthread_mutex_unlock(&library.lock);
    open_volume(&client, one_in_a_slot());
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(&info) == 1));
    assert_non_null(strstr(info.text, "the gripper slipped"));
    assert_int_equal(ri_prompt_answer(service, info.id, RI_RETRY, NULL, NULL),
                     0);
    assert_int_equal(end_io(&client), 0);
    assert_int_equal(questions(NULL), 0);
    ri_unsubscribe(service, id);
    ri_close(client.export_);
}

static void
medium_is_stuck__asked_until_it_leaves(void **state)
{
    struct ri_prompt_info info;
    struct client client;

    (void) state;
    locked(set_aside);
    pthread_mutex_lock(&library.lock);
    library.fail_unloads = 1;
    pthread_mutex_unlock(&library.lock);
    open_volume(&client, one_in_a_slot());
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(&info) == 1));
    assert_non_null(strstr(info.text, "the medium is stuck"));
    assert_int_equal(ri_prompt_answer(service, info.id, RI_RETRY, NULL, NULL),
                     0);
    assert_int_equal(end_io(&client), 0);
    ri_close(client.export_);
}

static void
taken_out__asked__mail_slot_brings_it_back(void **state)
{
    int n = one_in_a_slot(), slot = 0;
    struct ri_prompt_info info;
    struct client client;

    (void) state;
    pthread_mutex_lock(&library.lock);
    while (library.slot[slot] != n)
        slot++;
    library.slot[slot] = -1;
    pthread_mutex_unlock(&library.lock);
    open_volume(&client, n);
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(&info) == 1));
    assert_non_null(strstr(info.text, "does not hold it"));
    assert_non_null(strstr(info.text, "mail slot"));
    /* As a cartridge without a label: what is on it is not known. */
    pthread_mutex_lock(&library.lock);
    library.cartridges[n].identity[0] = '\0';
    library.home[n] = 0;
    library.slot[FAKE_SLOTS - 1] = n;
    pthread_mutex_unlock(&library.lock);
    jukebox_event(jukebox, "mail");
    assert_int_equal(end_io(&client), 0);
    assert_int_equal(questions(NULL), 0);
    ri_close(client.export_);
}

static void
taken_out__any_drive__brings_it_back(void **state)
{
    int n = one_in_a_slot(), slot = 0;
    struct ri_prompt_info info;
    struct client client;

    (void) state;
    pthread_mutex_lock(&library.lock);
    while (library.slot[slot] != n)
        slot++;
    library.slot[slot] = -1;
    pthread_mutex_unlock(&library.lock);
    open_volume(&client, n);
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(&info) == 1));
    ri_yank(service, "lib-0", NULL);
    assert_int_equal(ri_insert(service, "lib-0", image_of(n), NULL), 0);
    assert_int_equal(end_io(&client), 0);
    ri_close(client.export_);
}

/* Somebody changed two cartridges round while nobody looked. */
static void
ledger_is_wrong__wrong_one_unused__right_one_found(void **state)
{
    struct counter counter = { 0 };
    int a = one_in_a_slot(), b = -1;
    char image[RI_PATH_MAX];
    struct client client;
    uint64_t id = ri_subscribe(service, count_questions, &counter);

    (void) state;
    pthread_mutex_lock(&library.lock);
    for (int s = 0; s < VOLUMES; s++)
        if (library.slot[s] >= 0 && library.slot[s] != a)
            b = library.slot[s];
    memcpy(image, library.cartridges[a].image, sizeof image);
    memcpy(library.cartridges[a].image, library.cartridges[b].image,
           sizeof image);
    memcpy(library.cartridges[b].image, image, sizeof image);
    /* What is in b has no label, and was never looked at. */
    library.cartridges[b].identity[0] = '\0';
    pthread_mutex_unlock(&library.lock);
    jukebox_event(jukebox, "door");
    open_volume(&client, a);
    assert_int_equal(io(&client, RI_READ, 0), 0);
    assert_int_equal(counter.asked, 0);
    ri_unsubscribe(service, id);
    ri_close(client.export_);
}

/* What nobody has looked at may be the one that is wanted: once. */
static void
search__in_vain_then_moved_by_hand__not_looked_at_again(void **state)
{
    struct client client, next;
    char blank[80], command[200];
    int n = one_in_a_slot(), other;

    (void) state;
    snprintf(blank, sizeof blank, "%s/blank.img", folder);
    snprintf(command, sizeof command, "truncate -s 16M %s", blank);
    assert_int_equal(run(command), 0);
    pthread_mutex_lock(&library.lock);
    for (int s = 0; s < FAKE_SLOTS; s++)
        if (library.slot[s] == n)
            library.slot[s] = -1;
    pthread_mutex_unlock(&library.lock);
    fake_library_put(&library, 8, blank);
    open_volume(&client, n);
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(NULL) == 1));
    assert_non_null(strstr(library.log, "L8>"));
    other = one_in_a_slot();
    pthread_mutex_lock(&library.lock);
    for (int s = 0; s < FAKE_DRIVES; s++)
        if (library.drive[s] >= VOLUMES) /* back from there */
            library.drive[s] = -1;
    library.slot[8] = VOLUMES;
    library.slot[7] = -1;
    library.home[VOLUMES] = 9;
    pthread_mutex_unlock(&library.lock);
    jukebox_look(jukebox);
    open_volume(&next, other);
    assert_int_equal(io(&next, RI_READ, 0), 0);
    assert_null(strstr(library.log, "L9>"));
    assert_int_equal(questions(NULL), 1);
    ri_cancel(&client.request);
    assert_int_not_equal(end_io(&client), 0);
    ri_close(next.export_);
    ri_close(client.export_);
}

static void
question_of_a_marked_one__put_at_once__though_a_motion_takes_long(void **state)
{
    int n = one_in_a_slot(), other = -1;
    struct client slow, client;

    (void) state;
    pthread_mutex_lock(&library.lock);
    for (int s = 0; s < VOLUMES; s++)
        if (library.slot[s] >= 0 && library.slot[s] != n)
            other = library.slot[s];
    library.cartridges[n].marked = true;
    library.motion_ms = 3600000;
    pthread_mutex_unlock(&library.lock);
    open_volume(&slow, other);
    begin_io(&slow, RI_READ, 0);
    assert_true(EVENTUALLY(under_way() == 1));
    open_volume(&client, n);
    begin_io(&client, RI_READ, 0);
    assert_true(EVENTUALLY(questions(NULL) == 1));
    assert_int_equal(under_way(), 1);
    take_time(0);
    ri_cancel(&client.request);
    assert_int_not_equal(end_io(&client), 0);
    assert_int_equal(end_io(&slow), 0);
    ri_close(client.export_);
    ri_close(slow.export_);
}

static void
cleaning_cartridge__scan__is_not_mounted(void **state)
{
    (void) state;
    fake_library_put(&library, 9, image_of(6));
    library.cartridges[6].cleaning = true;
    fake_library_put(&library, 10, image_of(7));
    scan("1 looked at, 1 with a volume");
    assert_string_equal(library.cartridges[6].identity, "");
    scan("0 looked at, 0 with a volume");
}

static void
scan__door_is_open__says_so(void **state)
{
    char text[RI_TEXT_MAX];

    (void) state;
    fake_library_put(&library, 10, image_of(7));
    locked(open_door);
    assert_int_equal(jukebox_scan(jukebox, text), -EHOSTDOWN);
    assert_non_null(strstr(text, "door open"));
    locked(close_door);
}

int
main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, before, after)
    const struct CMUnitTest tests[] = {
        TEST(six_volumes__two_drives__all_served_nobody_asked),
        TEST(restart__volumes_in_slots__are_exports_and_are_fetched),
        TEST(door_is_open__one_question_says_so__gone_when_it_is_closed),
        TEST(both_drives_pinned__asked__an_operator_unloads_one__served),
        TEST(marked__asked__never_loaded),
        TEST(motion_fails_once__the_other_drive_is_tried__nobody_asked),
        TEST(motion_fails_again__asked_with_its_words__retry_heals),
        TEST(medium_is_stuck__asked_until_it_leaves),
        TEST(taken_out__asked__mail_slot_brings_it_back),
        TEST(taken_out__any_drive__brings_it_back),
        TEST(ledger_is_wrong__wrong_one_unused__right_one_found),
        TEST(search__in_vain_then_moved_by_hand__not_looked_at_again),
        TEST(question_of_a_marked_one__put_at_once__though_a_motion_takes_long),
        TEST(cleaning_cartridge__scan__is_not_mounted),
        TEST(scan__door_is_open__says_so),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
