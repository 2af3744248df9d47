/*
 * t_ledger.c - what the ledger keeps over a restart, and over a crash
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
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jukebox/ledger.h"

struct fixture {
    char folder[64], path[96], text[256];
    struct ledger *ledger;
};

static void
open_it(struct fixture *f)
{
    assert_int_equal(
        ledger_open(f->path, 2, &f->ledger, f->text, sizeof f->text), 0);
}

static void
reopen(struct fixture *f)
{
    ledger_close(f->ledger);
    open_it(f);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    snprintf(f->folder, sizeof f->folder, "/dev/shm/ledger-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/ledger.sqlite", f->folder);
    open_it(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    ledger_close(f->ledger);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void
cartridge__stored__is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct cartridge *c = ledger_add(f->ledger);
    int64_t id = c->id;
    size_t count;

    snprintf(c->barcode, sizeof c->barcode, "LTO001L6");
    c->place = (struct place){ 4, 1 };
    c->home = 3;
    c->home_from = RI_HOME_LIBRARY;
    snprintf(c->volume.identity, sizeof c->volume.identity, "1234-ABCD");
    snprintf(c->volume.name, sizeof c->volume.name, "ARCHIVE");
    c->volume.size_bytes = 1ull << 40;
    c->uses = 7;
    c->errors = 2;
    c->marked = true;
    c->loaded_ms = 99;
    assert_int_equal(ledger_store(f->ledger), 0);
    assert_false(c->dirty);
    reopen(f);
    ledger_cartridges(f->ledger, &count);
    assert_int_equal(count, 1);
    c = ledger_by_id(f->ledger, id);
    assert_non_null(c);
    assert_string_equal(c->barcode, "LTO001L6");
    assert_int_equal(c->place.type, 4);
    assert_int_equal(c->place.index, 1);
    assert_int_equal(c->home, 3);
    assert_int_equal(c->home_from, RI_HOME_LIBRARY);
    assert_string_equal(c->volume.identity, "1234-ABCD");
    assert_string_equal(c->volume.name, "ARCHIVE");
    assert_true(c->volume.size_bytes == 1ull << 40);
    assert_int_equal(c->uses, 7);
    assert_int_equal(c->errors, 2);
    assert_true(c->marked);
    assert_false(c->expired);
    assert_int_equal(c->loaded_ms, 99);
    /* A new one does not take the number of an old one. */
    assert_true(ledger_add(f->ledger)->id > id);
}

static void
cartridge__forgotten__is_gone_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct cartridge *a = ledger_add(f->ledger), *b = ledger_add(f->ledger);
    int64_t gone = a->id, kept = b->id;
    size_t count;

    assert_int_equal(ledger_store(f->ledger), 0);
    ledger_forget(f->ledger, a);
    assert_null(ledger_by_id(f->ledger, gone));
    assert_int_equal(ledger_store(f->ledger), 0);
    reopen(f);
    ledger_cartridges(f->ledger, &count);
    assert_int_equal(count, 1);
    assert_non_null(ledger_by_id(f->ledger, kept));
}

static void
motion__intent_without_outcome__is_found_after_a_kill(void **state)
{
    struct fixture *f = *state;
    struct motion motion = { .kind = MOTION_EXCHANGE,
                             .source = { 2, 3 },
                             .destination = { 4, 0 },
                             .second = { 2, 5 },
                             .cartridge = 11,
                             .other = 12 };
    struct motion found = { 0 };
    int status;
    pid_t pid;

    assert_int_equal(ledger_open_motion(f->ledger, &found), -ENOENT);
    ledger_close(f->ledger);
    pid = fork();
    if (pid == 0) {
        open_it(f);
        if (ledger_intend(f->ledger, &motion) == 0)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    open_it(f);
    assert_int_equal(ledger_open_motion(f->ledger, &found), 0);
    assert_int_equal(found.kind, MOTION_EXCHANGE);
    assert_int_equal(found.source.type, 2);
    assert_int_equal(found.source.index, 3);
    assert_int_equal(found.destination.type, 4);
    assert_int_equal(found.second.index, 5);
    assert_int_equal(found.cartridge, 11);
    assert_int_equal(found.other, 12);
    assert_int_equal(ledger_outcome(f->ledger, &found, "moved"), 0);
    reopen(f);
    assert_int_equal(ledger_open_motion(f->ledger, &found), -ENOENT);
}

static void
failures__count_different_drives_and_cartridges(void **state)
{
    struct fixture *f = *state;
    struct motion motion = { .kind = MOTION_MOVE };
    unsigned drives, cartridges;

    for (int64_t cartridge = 1; cartridge <= 3; cartridge++) {
        motion.id++;
        motion.cartridge = cartridge;
        /* Twice the same is one. */
        for (int i = 0; i < 2; i++)
            assert_int_equal(
                ledger_failed(f->ledger, &motion, 0, &drives, &cartridges), 0);
        assert_int_equal(drives, 1);
        assert_int_equal(cartridges, cartridge);
    }
    motion.id++;
    assert_int_equal(ledger_failed(f->ledger, &motion, 1, &drives, &cartridges),
                     0);
    assert_int_equal(drives, 2);
    assert_int_equal(cartridges, 1);
}

static void
failures__after_success__count_anew(void **state)
{
    struct fixture *f = *state;
    struct motion motion = { .id = 1, .kind = MOTION_MOVE, .cartridge = 1 };
    unsigned drives, cartridges;

    ledger_failed(f->ledger, &motion, 0, &drives, &cartridges);
    motion.id = 2;
    motion.cartridge = 2;
    ledger_failed(f->ledger, &motion, 0, &drives, &cartridges);
    assert_int_equal(cartridges, 2);
    motion.id = 3;
    motion.cartridge = 3;
    assert_int_equal(ledger_worked(f->ledger, &motion, 0), 0);
    assert_int_equal(ledger_store(f->ledger), 0);
    reopen(f);
    motion.id = 4;
    motion.cartridge = 4;
    ledger_failed(f->ledger, &motion, 0, &drives, &cartridges);
    assert_int_equal(cartridges, 1);
    /* The drive worked, which says nothing of those that had failed in it. */
    motion.id = 5;
    motion.cartridge = 1;
    ledger_failed(f->ledger, &motion, 1, &drives, &cartridges);
    assert_int_equal(drives, 2);
}

static void
ledger__no_database__is_refused(void **state)
{
    struct fixture *f = *state;
    struct ledger *other = NULL;
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/other", f->folder);
    file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    assert_true(ledger_open(path, 1, &other, f->text, sizeof f->text) < 0);
    assert_non_null(strstr(f->text, path));
    assert_null(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            cartridge__stored__is_there_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(
            cartridge__forgotten__is_gone_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(
            motion__intent_without_outcome__is_found_after_a_kill, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            failures__count_different_drives_and_cartridges, setup, teardown),
        cmocka_unit_test_setup_teardown(failures__after_success__count_anew,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(ledger__no_database__is_refused, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
