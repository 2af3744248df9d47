/*
 * t_again.c - a drive that does not answer, and a volume that stays mounted: it
 * is tried again by itself, by one of those who wait; time by the manual clock
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "base/clock.h"
#include "prompt/prompt_internal.h"

#define AT (4ul << 20)

static UCHAR buffer[65536];

/* The drive does not answer to writes.  All atomic. */
static struct {
    BOOLEAN silent;
    BOOLEAN held; /* a write is not even refused before it is let go */
    LONG came;
} drive;

static BOOLEAN
be_silent(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
          NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    if (at->MajorFunction != IRP_MJ_WRITE)
        return FALSE;
    InterlockedIncrement(&drive.came);
    while (__atomic_load_n(&drive.held, __ATOMIC_ACQUIRE))
        usleep(100);
    if (!__atomic_load_n(&drive.silent, __ATOMIC_ACQUIRE))
        return FALSE;
    *out_status = STATUS_IO_TIMEOUT;
    *out_information = 0;
    return TRUE;
}

static void
set(BOOLEAN *flag, BOOLEAN to)
{
    __atomic_store_n(flag, to, __ATOMIC_RELEASE);
}

static BOOLEAN
came(LONG count)
{
    return EVENTUALLY(__atomic_load_n(&drive.came, __ATOMIC_ACQUIRE) == count);
}

static struct drive_rig *
begin(void **state, const char *path, struct volume **out_volume)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    clock_manual(true);
    limit(64u << 20, NEVER);
    put_in(d, path);
    *out_volume = mount(d);
    memset(buffer, 'A', sizeof buffer);
    drive.silent = TRUE;
    drive.held = FALSE;
    drive.came = 0;
    __atomic_store_n(&d->watch.before, be_silent, __ATOMIC_RELEASE);
    return d;
}

static void
end(struct drive_rig *d)
{
    set(&drive.silent, FALSE);
    set(&drive.held, FALSE);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    clock_manual(false);
}

/* Whoever was sent has come back, and the next time is known. */
static BOOLEAN
is_due_later(void)
{
    BOOLEAN yes;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    yes = !IsListEmpty(&broker.prompts) &&
          CONTAINING_RECORD(broker.prompts.Flink, struct prompt, link)->again ==
              AGAIN_LATER;
    KeReleaseSpinLock(&broker.lock, irql);
    return yes;
}

/* It is asked about `waiting` requests, and `count` writes came to the drive. */
static void
assert_asked(uint64_t id, LONG count, uint32_t waiting)
{
    struct ri_prompt_info info;

    assert_true(came(count));
    assert_true(EVENTUALLY(is_due_later()));
    assert_true(EVENTUALLY(prompts(&info) == 1 && info.waiting == waiting));
    assert_true(info.id == id);
    assert_int_equal(info.status, (uint32_t) STATUS_IO_TIMEOUT);
}

static void
write_at(struct req *req, struct volume *volume, unsigned page)
{
    req_start(req, volume, IRP_MJ_WRITE, AT + page * 4096ul, buffer, 4096);
}

/* After 1 s, then 2, then 4: the one that came first, and no other. */
static void
no_answer__volume_stays__one_is_sent_again_later_and_later(void **state)
{
    struct volume *volume;
    struct drive_rig *d =
        begin(state, FAT("later", "LATER", "A6000001"), &volume);
    struct req first, second;
    LONG count = 2;
    uint64_t id;

    write_at(&first, volume, 0);
    id = the_prompt().id;
    write_at(&second, volume, 1);
    assert_asked(id, count, 2);
    for (uint64_t pause = 1000; pause <= 4000; pause *= 2) {
        clock_advance_ms(pause - 1);
        assert_asked(id, count, 2);
        clock_advance_ms(1);
        assert_asked(id, ++count, 2);
    }
    assert_int_equal(asked(), 1);
    answer(RI_CANCEL);
    assert_int_equal(req_end(&first), STATUS_IO_TIMEOUT);
    assert_int_equal(req_end(&second), STATUS_IO_TIMEOUT);
    /* Nobody waits: nothing is tried. */
    clock_advance_ms(1000000);
    assert_true(came(count));
    end(d);
}

static void
answers_again__nobody_said_anything__all_go_on_and_the_question_is_gone(
    void **state)
{
    const char *path = FAT("answers", "ANSWERS", "A6000002");
    struct volume *volume;
    struct drive_rig *d = begin(state, path, &volume);
    struct req req[3];

    for (unsigned i = 0; i < 3; i++)
        write_at(&req[i], volume, i);
    assert_asked(the_prompt().id, 3, 3);
    set(&drive.silent, FALSE);
    assert_int_equal(prompts(NULL), 1);
    clock_advance_ms(1000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(req_end(&req[i]), STATUS_SUCCESS);
    assert_true(EVENTUALLY(prompts(NULL) == 0));
    assert_int_equal(asked(), 1);
    assert_true(came(6));
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_on_medium(path, AT, buffer, 3 * 4096);
    end(d);
}

/* The one that is sent again is the drive's: its error comes when the drive has
 * let it go, and it is not asked about once more. */
static void
cancelled__one_is_on_its_way__all_fail(void **state)
{
    struct volume *volume;
    struct drive_rig *d =
        begin(state, FAT("onway", "ONWAY", "A6000003"), &volume);
    struct req first, second;

    write_at(&first, volume, 0);
    write_at(&second, volume, 1);
    assert_asked(the_prompt().id, 2, 2);
    set(&drive.held, TRUE);
    clock_advance_ms(1000);
    assert_true(came(3));
    answer(RI_CANCEL);
    assert_int_equal(req_end(&second), STATUS_IO_TIMEOUT);
    assert_false(req_is_done(&first));
    clock_advance_ms(100000);
    set(&drive.held, FALSE);
    assert_int_equal(req_end(&first), STATUS_IO_TIMEOUT);
    assert_int_equal(prompts(NULL), 0);
    assert_int_equal(asked(), 1);
    end(d);
}

static void
client_gives_up__its_request_is_on_its_way__the_others_are_tried(void **state)
{
    struct volume *volume;
    struct drive_rig *d =
        begin(state, FAT("gives", "GIVES", "A6000004"), &volume);
    struct req first, second;
    uint64_t id;

    write_at(&first, volume, 0);
    id = the_prompt().id;
    write_at(&second, volume, 1);
    assert_asked(id, 2, 2);
    set(&drive.held, TRUE);
    clock_advance_ms(1000);
    assert_true(came(3));
    IoCancelIrp(first.irp);
    set(&drive.held, FALSE);
    assert_int_equal(req_end(&first), STATUS_CANCELLED);
    assert_asked(id, 3, 1);
    set(&drive.silent, FALSE);
    clock_advance_ms(2000);
    assert_int_equal(req_end(&second), STATUS_SUCCESS);
    assert_true(EVENTUALLY(prompts(NULL) == 0));
    assert_int_equal(asked(), 1);
    end(d);
}

static void
medium_is_gone__found_by_the_one_that_is_sent__that_is_asked_for_all(
    void **state)
{
    const char *path = FAT("gone", "GONE", "A6000005");
    struct volume *volume;
    struct drive_rig *d = begin(state, path, &volume);
    struct req first, second;
    struct ri_prompt_info info;

    write_at(&first, volume, 0);
    write_at(&second, volume, 1);
    assert_asked(the_prompt().id, 2, 2);
    pull_out(d);
    set(&drive.silent, FALSE);
    clock_advance_ms(1000);
    assert_true(
        EVENTUALLY(prompts(&info) == 1 && info.waiting == 2 &&
                   info.status == (uint32_t) STATUS_NO_MEDIA_IN_DEVICE));
    put_in(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&first), STATUS_SUCCESS);
    assert_int_equal(req_end(&second), STATUS_SUCCESS);
    end(d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_answer__volume_stays__one_is_sent_again_later_and_later,
             rig_disk),
        TEST(
            answers_again__nobody_said_anything__all_go_on_and_the_question_is_gone,
            rig_cached_disk),
        TEST(cancelled__one_is_on_its_way__all_fail, rig_disk),
        TEST(client_gives_up__its_request_is_on_its_way__the_others_are_tried,
             rig_disk),
        TEST(
            medium_is_gone__found_by_the_one_that_is_sent__that_is_asked_for_all,
            rig_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
