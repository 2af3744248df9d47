/*
 * t_model.c - resets and unit attentions at random moments, by a seed: nothing is
 *             written until somebody has positioned, and nothing twice
 *
 * On the emulated drive, whose own count of what was written is the judge.  Every
 * record has a length of its own, so that what is read back names it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "deck.h"

#include <fcntl.h>
#include <unistd.h>

#include <scsi.h>
#include <vscsi.h>

#define RUNS        60
#define STEPS       80
#define OBJECTS_MAX (3 * STEPS)
#define ROOM        65536
#define TRIES       4 /* a drive that has news answers then at the latest */

static struct vscsi_drive *drive;
static char folder[64], image[128];
static PDEVICE_OBJECT own_pdo;

static struct {
    ULONG objects[OBJECTS_MAX]; /* lengths; 0: a filemark */
    unsigned count, at;
    bool known; /* nothing has happened since somebody positioned */
} model;
static unsigned seed, run_number;
static ULONG next_length;

static unsigned
dice(unsigned sides)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % sides;
}

static int
begin(void **state)
{
    struct vscsi_config config = { .type = VSCSI_TAPE, .name = "model" };
    char text[256] = "";
    int fd;

    (void) deck_new(state);
    own_pdo = deck.pdo;
    snprintf(folder, sizeof folder, "/tmp/tape-model-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(image, sizeof image, "%s/T.tap", folder);
    fd = open(image, O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    close(fd);
    config.tape.capacity_bytes = 64 << 20;
    drive = vscsi_new(&config);
    assert_non_null(drive);
    deck.pdo = deck_add_virtual(drive, config.name);
    if (vscsi_insert(drive, image, text, sizeof text) != 0)
        fail_msg("%s", text);
    assert_status(deck_start(NULL), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    return 0;
}

static int
end(void **state)
{
    char path[192];

    (void) deck_free(state);
    port_remove_unit(own_pdo);
    vscsi_free(drive);
    (void) unlink(image);
    snprintf(path, sizeof path, "%s/.T.tap.mam", folder);
    (void) unlink(path);
    (void) rmdir(folder);
    return 0;
}

/* --- what happens to the drive ------------------------------------------------ */

/* command: of which kind the next one is, that an event may meet. */
static void
disturb(const char *command)
{
    static const char *const rules[] = { "at 1 %s do reset",
                                         "at 1 %s do bus-free",
                                         "at 1 %s do sense 6/29/00",
                                         "at 1 any do sense 6/29/02" };
    unsigned which = dice(5);
    char rule[64], text[128];

    model.known = false;
    if (which == 4) {
        vscsi_reset(drive);
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(rule, sizeof rule, rules[which], command);
#pragma GCC diagnostic pop
    if (vscsi_fault_add(drive, rule, text, sizeof text) != 0)
        fail_msg("%s: %s", rule, text);
}

static void
put(ULONG length)
{
    assert_true(model.at < OBJECTS_MAX);
    model.objects[model.at++] = length;
    model.count = model.at;
}

static void
write_something(void)
{
    bool mark = dice(5) == 0;
    ULONG length = mark ? 0 : next_length++;
    struct vscsi_state before, after;
    NTSTATUS status;

    if (dice(4) == 0)
        disturb(mark ? "filemark" : "write");
    vscsi_state(drive, &before);
    status = mark ? marks(1) : transfer(true, length);
    vscsi_state(drive, &after);
    if (model.known) {
        assert_status(status, STATUS_SUCCESS);
        put(length);
        assert_int_equal(after.object, model.at);
        return;
    }
    /* Refused, or it failed: nothing of it is there, whichever. */
    assert_false(NT_SUCCESS(status));
    assert_int_equal(after.blocks, before.blocks);
    assert_true(after.object == before.object || after.object == 0);
    vscsi_fault_clear(drive);
}

static void
read_something(void)
{
    ULONG wanted;

    if (!model.known || model.at == model.count)
        return;
    wanted = model.objects[model.at++];
    assert_status(transfer(false, ROOM),
                  wanted != 0 ? STATUS_SUCCESS : STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, wanted);
}

/* Absolutely: the one way back to a known place. */
static void
go_somewhere(void)
{
    bool rewind = dice(2) == 0;
    unsigned to = rewind ? 0 : dice(model.count + 1), tries = 0;
    NTSTATUS status;

    if (dice(6) == 0)
        disturb(rewind ? "rewind" : "locate");
    do
        status = position(rewind ? TAPE_REWIND : TAPE_LOGICAL_BLOCK, 0, to);
    while (!NT_SUCCESS(status) && ++tries < TRIES);
    assert_status(status, STATUS_SUCCESS);
    vscsi_fault_clear(drive);
    /* What was not met by this command may have been by nobody. */
    model.at = to;
    model.known = true;
}

static void
compare(void)
{
    vscsi_fault_clear(drive);
    for (unsigned i = 0; i < TRIES; i++)
        if (NT_SUCCESS(position(TAPE_REWIND, 0, 0)))
            break;
    for (unsigned i = 0; i < model.count; i++) {
        NTSTATUS status = transfer(false, ROOM);

        if (information != model.objects[i] ||
            status != (model.objects[i] != 0 ? STATUS_SUCCESS
                                             : STATUS_FILEMARK_DETECTED))
            fail_msg("run %u: object %u is %lu bytes (%08lx), not %lu",
                     run_number, i, (unsigned long) information,
                     (unsigned long) (ULONG) status,
                     (unsigned long) model.objects[i]);
    }
    assert_status(transfer(false, ROOM), STATUS_NO_DATA_DETECTED);
}

static void
CT150__random_resets__no_write_until_positioned_and_none_twice(void **state)
{
    (void) state;
    for (run_number = 0; run_number < RUNS; run_number++) {
        seed = run_number * 7919 + 1;
        next_length = 1000;
        memset(&model, 0, sizeof model);
        assert_status(position(TAPE_REWIND, 0, 0), STATUS_SUCCESS);
        model.known = true;
        for (unsigned i = 0; i < STEPS; i++)
            switch (dice(8)) {
            case 0:
            case 1:
                go_somewhere();
                break;
            case 2:
            case 3:
                read_something();
                break;
            default:
                write_something();
            }
        if (model.count != 0)
            compare();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            CT150__random_resets__no_write_until_positioned_and_none_twice,
            begin, end),
    };

    return cmocka_run_group_tests(tests, deck_begin, deck_end);
}
