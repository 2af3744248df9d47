/*
 * t_overdue.c - a verification that takes its time: one question, in time, and
 * only then; time by the manual clock
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "base/clock.h"

#define AT (4ul << 20)

static UCHAR buffer[65536], seen[65536];

/* The drive takes no further command of this kind until it is let go. */
static struct {
    UCHAR major;
    LONG stopped; /* atomic: how many came to it */
    LONG allowed; /* atomic: how many may pass */
} gate;

static BOOLEAN
hold(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at, NTSTATUS *out_status,
     ULONG_PTR *out_information)
{
    LONG mine;

    (void) watch;
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (at->MajorFunction != gate.major ||
        (at->Flags & SL_OVERRIDE_VERIFY_VOLUME) == 0)
        return FALSE;
    mine = InterlockedIncrement(&gate.stopped);
    while (__atomic_load_n(&gate.allowed, __ATOMIC_ACQUIRE) < mine)
        usleep(100);
    return FALSE;
}

static void
shut(struct drive_rig *d, UCHAR major)
{
    gate.major = major;
    gate.stopped = gate.allowed = 0;
    __atomic_store_n(&d->watch.before, hold, __ATOMIC_RELEASE);
}

static void
pass(LONG count)
{
    __atomic_add_fetch(&gate.allowed, count, __ATOMIC_RELEASE);
}

static BOOLEAN
stands_before(LONG number)
{
    return EVENTUALLY(__atomic_load_n(&gate.stopped, __ATOMIC_ACQUIRE) ==
                      number);
}

static struct drive_rig *
begin(void **state)
{
    struct rig *rig = *state;

    clock_manual(true);
    fs_set_limits(&(struct fs_limits){ .unflushed_bytes = 64u << 20,
                                       .unflushed_total_bytes = 256u << 20,
                                       .flush_idle_ms = 1000000000 });
    return &rig->d[0];
}

static void
end(struct drive_rig *d)
{
    pass(1000);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    clock_manual(false);
}

static NTSTATUS
state_of(struct volume *volume, enum vol_state *out_state)
{
    struct fs_volume_info info;

    fs_volume_info(volume, &info);
    *out_state = info.state;
    return info.reason;
}

static void
verify__takes_half_a_second__asked_then_and_not_before(void **state)
{
    struct drive_rig *d = begin(state);
    const char *path = FAT("slow", "SLOW", "B0000001");
    struct volume *volume;
    enum vol_state now;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    swap(d, path);
    shut(d, IRP_MJ_READ);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_true(stands_before(1));
    clock_advance_ms(499);
    assert_int_equal(prompts(NULL), 0);
    state_of(volume, &now);
    assert_int_equal(now, VOL_VERIFYING);
    clock_advance_ms(1);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_DEVICE_NOT_READY);
    assert_int_equal(state_of(volume, &now), STATUS_DEVICE_NOT_READY);
    assert_int_equal(now, VOL_ABSENT);
    assert_false(req_is_done(&req));
    /* What comes out of it answers the question. */
    pass(1000);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_true(EVENTUALLY(prompts(NULL) == 0));
    assert_int_equal(asked(), 1);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    end(d);
}

static void
verify__in_time__nobody_is_asked(void **state)
{
    struct drive_rig *d = begin(state);
    const char *path = FAT("fast", "FAST", "B0000002");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    swap(d, path);
    shut(d, IRP_MJ_READ);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_true(stands_before(1));
    clock_advance_ms(499);
    pass(1000);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    /* The timer was for this verification alone. */
    clock_advance_ms(100000);
    assert_int_equal(asked(), 0);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    end(d);
}

static void
verify__request_comes_later__joins_the_question(void **state)
{
    struct drive_rig *d = begin(state);
    const char *path = FAT("later", "LATER", "B0000003");
    struct volume *volume;
    struct req first, second;

    put_in(d, path);
    volume = mount(d);
    swap(d, path);
    shut(d, IRP_MJ_READ);
    req_start(&first, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_true(stands_before(1));
    req_start(&second, volume, IRP_MJ_READ, AT, seen + 4096, 4096);
    clock_advance_ms(500);
    assert_true(EVENTUALLY(prompts(NULL) == 1 && the_prompt().waiting == 2));
    answer(RI_CANCEL);
    assert_int_equal(req_end(&first), STATUS_DEVICE_NOT_READY);
    assert_int_equal(req_end(&second), STATUS_DEVICE_NOT_READY);
    pass(1000);
    assert_true(EVENTUALLY(fs_volume_state(volume) == VOL_MOUNTED));
    assert_int_equal(asked(), 1);
    end(d);
}

/* The worker is busy with a control request, which itself never asks. */
static void
verify__for_a_control_request__those_behind_it_ask(void **state)
{
    struct drive_rig *d = begin(state);
    const char *path = FAT("probe", "PROBE", "B0000004");
    struct volume *volume;
    struct req probe, read;

    put_in(d, path);
    volume = mount(d);
    swap(d, path);
    shut(d, IRP_MJ_READ);
    req_control(&probe, volume, NULL, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0);
    assert_true(stands_before(1));
    req_start(&read, volume, IRP_MJ_READ, AT, seen, 4096);
    clock_advance_ms(500);
    assert_int_equal(the_prompt().waiting, 1);
    assert_false(req_is_done(&probe));
    pass(1000);
    assert_int_equal(req_end(&probe), STATUS_SUCCESS);
    assert_int_equal(req_end(&read), STATUS_SUCCESS);
    assert_int_equal(asked(), 1);
    end(d);
}

static void
replay__the_drive_hangs__asked_and_replayed_in_the_end(void **state)
{
    struct drive_rig *d = begin(state);
    const char *path = FAT("hangs", "HANGS", "B0000005");
    struct fs_volume_info info;
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'H', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    swap(d, path);
    shut(d, IRP_MJ_WRITE);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_true(stands_before(1));
    assert_int_equal(fs_volume_state(volume), VOL_REPLAYING);
    /* The first look may have seen the commands before. */
    assert_true(
        EVENTUALLY((clock_advance_ms(500), usleep(1000), prompts(NULL) != 0)));
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_DEVICE_NOT_READY);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    pass(1000);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
    fs_volume_info(volume, &info);
    assert_int_equal(info.state, VOL_MOUNTED);
    assert_int_equal(info.replays, 1);
    assert_int_equal(info.unflushed_bytes, 0);
    assert_int_equal(asked(), 1);
    end(d);
}

static void
replay__goes_on__takes_as_long_as_it_needs(void **state)
{
    struct drive_rig *d = begin(state);
    const char *path = FAT("long", "LONG", "B0000006");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'L', sizeof buffer);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(write_volume(volume, AT + i * 65536ul, buffer, 4096),
                         STATUS_SUCCESS);
    swap(d, path);
    shut(d, IRP_MJ_WRITE);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    for (LONG i = 1; i <= 6; i++) {
        assert_true(stands_before(i));
        clock_advance_ms(490);
        /* Whoever looks had its look before the next command. */
        usleep(10000);
        assert_int_equal(prompts(NULL), 0);
        pass(1);
    }
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal(asked(), 0);
    end(d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(verify__takes_half_a_second__asked_then_and_not_before, rig_disk),
        TEST(verify__in_time__nobody_is_asked, rig_disk),
        TEST(verify__request_comes_later__joins_the_question, rig_disk),
        TEST(verify__for_a_control_request__those_behind_it_ask, rig_disk),
        TEST(replay__the_drive_hangs__asked_and_replayed_in_the_end,
             rig_cached_disk),
        TEST(replay__goes_on__takes_as_long_as_it_needs, rig_cached_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
