/*
 * t_elsewhere.c - a medium that was written to elsewhere: noticed, asked about,
 * used as it is; and who knows it as it was
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"

#define AT (4ul << 20)

static UCHAR buffer[65536], seen[65536];

static struct drive_rig *
begin(void **state, int drive)
{
    struct rig *rig = *state;

    limit(64u << 20, NEVER);
    return &rig->d[drive];
}

/* --- the witness ----------------------------------------------------------------------- */

/* A boot block's code, and its messages, are no part of the numbers. */
static void
changed_elsewhere__begin(struct drive_rig *d, const char *path,
                         struct volume **out_volume)
{
    put_in(d, path);
    *out_volume = mount(d);
    memset(buffer, 'C', sizeof buffer);
    assert_int_equal(write_volume(*out_volume, AT, buffer, 4096),
                     STATUS_SUCCESS);
    /* So often that one of them is remembered. */
    for (int i = 0; i < 200; i++)
        assert_int_equal(read_volume(*out_volume, 2 * AT, seen, 4096),
                         STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
}

/* The tab of a medium is set in this drive; in another machine it need not be.
 * Whoever has read it knows it as it was. */
static void
changed_elsewhere__write_protected_here__asked(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("tab30", "TAB", "A0000038");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    assert_true(info_of(volume).read_only);
    for (int i = 0; i < 200; i++)
        assert_int_equal(read_volume(volume, 2 * AT, seen, 4096),
                         STATUS_SUCCESS);
    swap(d, path);
    assert_int_equal(read_volume(volume, 2 * AT, seen, 4096), STATUS_SUCCESS);
    assert_int_equal(asked(), 0);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    req_start(&req, volume, IRP_MJ_READ, 2 * AT, seen, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    answer(RI_CANCEL);
    assert_false(NT_SUCCESS(req_end(&req)));
}

static void
changed_elsewhere__asked__used_as_it_is(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("use", "USE", "A0000030");
    struct kept kept = { 0 };
    struct volume *volume;
    struct req req;

    changed_elsewhere__begin(d, path, &volume);
    req_start(&req, volume, IRP_MJ_READ, 2 * AT, seen, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    assert_true(info_of(volume).changed_elsewhere);
    assert_not_on_medium(path, AT, buffer, 4096);
    /* Looking again finds the same. */
    answer(RI_RETRY);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    fs_set_keeper(keep, &kept);
    assert_int_equal(fs_use_as_it_is(volume), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen, "elsewhere", 9);
    assert_int_equal(kept.bytes, 4096);
    assert_false(info_of(volume).changed_elsewhere);
    /* From now on that is what it is. */
    swap(d, path);
    assert_int_equal(read_volume(volume, 2 * AT, seen, 4096), STATUS_SUCCESS);
    assert_int_equal(asked(), 1);
    pull_out(d);
    assert_not_on_medium(path, AT, buffer, 4096);
}

static void
changed_elsewhere__cancelled__nothing_is_written(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("leave", "LEAVE", "A0000031");
    struct volume *volume;
    struct req req;

    changed_elsewhere__begin(d, path, &volume);
    req_start(&req, volume, IRP_MJ_WRITE, 3 * AT, buffer, 4096);
    the_prompt();
    answer(RI_CANCEL);
    assert_int_equal(req_end(&req), STATUS_WRONG_VOLUME);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    assert_int_equal(info_of(volume).unflushed_bytes, 4096);
    pull_out(d);
    assert_not_on_medium(path, AT, buffer, 4096);
    assert_not_on_medium(path, 3 * AT, buffer, 4096);
    assert_not_on_medium(path, 3 * AT + 4096, buffer, 4096);
}

static void
changed_elsewhere__right_one_put_in__resumed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("clone", "CLONE", "A0000032");
    const char *copy = image_copy("clone2", path);
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'O', sizeof buffer);
    for (int i = 0; i < 4; i++)
        assert_int_equal(write_volume(volume, AT, buffer, 4096),
                         STATUS_SUCCESS);
    for (int i = 0; i < 200; i++)
        assert_int_equal(read_volume(volume, 2 * AT, seen, 4096),
                         STATUS_SUCCESS);
    image_poke(copy, 2 * AT, "of another day", 14);
    swap(d, copy);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    swap(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
    pull_out(d);
    assert_on_medium(path, AT, buffer, 4096);
    assert_not_on_medium(copy, AT, buffer, 4096);
}

/* --- changed elsewhere, in another drive ------------------------------------------- */

static BOOLEAN
count_one(void *context, struct volume *volume)
{
    (void) volume;
    ++*(size_t *) context;
    return TRUE;
}

static size_t
volumes(void)
{
    size_t n = 0;

    fs_each_volume(count_one, &n);
    return n;
}

/* What tells it is the same, what is beside that is not. */
static void
changed_elsewhere__in_another_drive__the_known_volume_asks(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("away", "AWAY", "A0000040");
    struct kept kept = { 0 };
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'A', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 0x1B0, "another machine", 15);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(volumes(), 1);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    assert_ptr_equal(info_of(volume).drive, e->fdo);
    req_start(&req, volume, IRP_MJ_READ, 0, seen, 512);
    the_prompt();
    assert_not_on_medium(path, AT, buffer, 4096);
    fs_set_keeper(keep, &kept);
    assert_int_equal(fs_use_as_it_is(volume), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen + 0x1B0, "another machine", 15);
    assert_int_equal(kept.bytes, 4096);
    assert_int_equal(volumes(), 1);
}

static void
same_numbers__the_known_one_is_elsewhere__a_copy(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("first", "FIRST", "A0000041");
    const char *copy = image_copy("second", path);
    struct volume *volume, *other;

    image_poke(copy, 0x1B0, "another machine", 15);
    put_in(d, path);
    volume = mount(d);
    put_in(e, copy);
    other = mount(e);
    assert_ptr_not_equal(other, volume);
    assert_int_equal(volumes(), 2);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_int_equal(fs_volume_state(other), VOL_MOUNTED);
    assert_true(info_of(other).duplicate);
}

static PDEVICE_OBJECT left; /* atomic */

static void
note_left(void *context, PDEVICE_OBJECT drive)
{
    (void) context;
    __atomic_store_n(&left, drive, __ATOMIC_RELEASE);
}

/* A clone is in the place of the volume, whose own medium then comes into the
 * other drive: the clone becomes a volume of its own. */
static void
clone_in_its_place__true_medium_elsewhere__the_drive_left_is_looked_at(
    void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("true", "TRUE", "A0000044");
    const char *copy = image_copy("false", path);
    struct volume *volume, *other;

    image_poke(copy, 2 * AT, "of another day", 14);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'T', sizeof buffer);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    swap(d, copy);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    left = NULL;
    fs_set_vacated(note_left, NULL);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_ptr_equal(left, d->fdo);
    assert_null(fs_volume_on(d->fdo));
    fs_set_vacated(NULL, NULL);
    /* As the service does now. */
    other = mount(d);
    assert_ptr_not_equal(other, volume);
    assert_int_equal(fs_volume_state(other), VOL_MOUNTED);
    assert_true(info_of(other).duplicate);
}

static struct volume *used;

/* An eject of it, which is given up because its drive is silent. */
static BOOLEAN
give_up_an_eject(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
                 NTSTATUS *out_status, ULONG_PTR *out_information)
{
    ULONG generation = fs_volume_generation(used);

    (void) irp;
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return FALSE;
    if (InterlockedIncrement(&watch->number) == 1) {
        fs_volume_change(used, generation, VOL_EJECTING, STATUS_SUCCESS);
        fs_volume_change(used, generation, VOL_MOUNTED, STATUS_SUCCESS);
    }
    *out_status = STATUS_DEVICE_NOT_CONNECTED;
    *out_information = 0;
    return TRUE;
}

/* It was carried from a drive that is silent: nobody's word but the drive's
 * makes it a copy. */
static void
P4__carried_from_a_silent_drive__settled_anew_while_it_is_asked__is_itself(
    void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("carried", "CARRIED", "A0000047");

    put_in(d, path);
    used = mount(d);
    d->watch.number = 0;
    __atomic_store_n(&d->watch.before, give_up_an_eject, __ATOMIC_RELEASE);
    put_in(e, image_copy("carried_too", path));
    assert_ptr_equal(mount(e), used);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    assert_int_equal(volumes(), 1);
    assert_ptr_equal(info_of(used).drive, e->fdo);
    assert_int_equal(fs_volume_state(used), VOL_MOUNTED);
}

static BOOLEAN
no_way_to_it(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
             NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return FALSE;
    *out_status = STATUS_DEVICE_NOT_CONNECTED;
    *out_information = 0;
    return TRUE;
}

/* Of two clones one is where it was said to be; the other's drive is silent. */
static void
P4__one_of_two_clones__carried_from_a_silent_drive__is_itself(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1),
                     *f = begin(state, 2);
    const char *path = FAT("twin_a", "TWINS", "A0000048");
    struct volume *first, *second;

    put_in(d, path);
    first = mount(d);
    put_in(e, image_copy("twin_b", path));
    second = mount(e);
    assert_ptr_not_equal(first, second);
    __atomic_store_n(&d->watch.before, no_way_to_it, __ATOMIC_RELEASE);
    put_in(f, image_copy("twin_a_too", path));
    assert_ptr_equal(mount(f), first);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    assert_int_equal(volumes(), 2);
    assert_ptr_equal(info_of(second).drive, e->fdo);
}

/* Whoever asks is told the one thing as long as the state says so. */
static BOOLEAN
is_said_to_be_changed(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
                      NTSTATUS *out_status, ULONG_PTR *out_information)
{
    struct fs_volume_info info = info_of(used);

    (void) irp;
    (void) at;
    (void) out_status;
    (void) out_information;
    if (info.state == VOL_CHANGED && !info.changed_elsewhere)
        __atomic_add_fetch(&watch->number, 1, __ATOMIC_RELAXED);
    return FALSE;
}

/* Else a request went round between "it is back" and "another one is there". */
static void
P4__changed_elsewhere__looked_at_beside_its_clone__stays_so_meanwhile(
    void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("beside", "BESIDE", "A000004C");
    struct volume *clone;

    put_in(d, path);
    used = mount(d);
    put_in(e, image_copy("beside_too", path));
    clone = mount(e);
    assert_ptr_not_equal(clone, used);
    memset(buffer, 'b', sizeof buffer);
    assert_int_equal(write_volume(used, 2 * AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(used), STATUS_SUCCESS);
    assert_int_equal(write_volume(clone, 3 * AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(clone), STATUS_SUCCESS);
    pull_out(d);
    pull_out(e);
    fs_media_gone(e->fdo);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    __atomic_store_n(&d->watch.before, is_said_to_be_changed, __ATOMIC_RELEASE);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    assert_int_equal(d->watch.number, 0);
}

static void *
lose_later(void *volume)
{
    usleep(50000);
    fs_volume_change(volume, fs_volume_generation(volume), VOL_ABSENT,
                     STATUS_NO_MEDIA_IN_DEVICE);
    return NULL;
}

/* A clone is in its place, and nobody has begun to compare it. */
static void
P8__its_clone_is_about_to_be_compared__its_own_medium_waits(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("about", "ABOUT", "A000004A");
    pthread_t thread;
    ULONG generation;

    put_in(d, path);
    used = mount(d);
    generation = fs_volume_generation(used);
    assert_true(fs_volume_change(used, generation, VOL_VERIFYING,
                                 STATUS_VERIFY_REQUIRED));
    assert_true(
        fs_volume_change(used, generation, VOL_REPLAYING, STATUS_SUCCESS));
    assert_int_equal(pthread_create(&thread, NULL, lose_later, used), 0);
    put_in(e, image_copy("about_too", path));
    assert_ptr_equal(mount(e), used);
    pthread_join(thread, NULL);
    assert_int_equal(volumes(), 1);
    assert_ptr_equal(info_of(used).drive, e->fdo);
}

/* A flush in a drive whose medium is pulled, and the volume given up. */
static struct volume *
give_up_over_flush(struct drive_rig *d, const char *path, struct req *req)
{
    struct kept kept = { 0 };
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'G', sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    fault(d, "at 1 0x35 do delay 2000");
    req_start(req, volume, IRP_MJ_FLUSH_BUFFERS, 0, NULL, 0);
    pull_out(d);
    fs_media_gone(d->fdo);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    fs_set_keeper(keep, &kept);
    fs_give_up(volume, STATUS_NO_MEDIA_IN_DEVICE);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(fs_volume_state(volume), VOL_CANCELLED);
    assert_int_equal(kept.bytes, 4096);
    return volume;
}

/* What it would have promised is in a recovery file by then. */
static void
P5__flush_that_is_in_the_drive__given_up_meanwhile__fails(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct req req;

    give_up_over_flush(d, FAT("given", "GIVEN", "A0000049"), &req);
    assert_int_equal(req_end(&req), STATUS_NO_MEDIA_IN_DEVICE);
}

/* ... also when somebody asked for the volume since, and when it is back. */
static void
P5__flush_that_is_in_the_drive__given_up_and_wanted_again__fails(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("wanted", "WANTED", "A000004B");
    struct volume *volume;
    struct req req;

    volume = give_up_over_flush(d, path, &req);
    fs_wanted(volume);
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    assert_int_equal(req_end(&req), STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
}

/* --- what is remembered -------------------------------------------------------------- */

/* Written, flushed, never read. */
static void
witness__of_a_flushed_write__noticed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("wflush", "WFLUSH", "A0000050");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'w', sizeof buffer);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
}

/* On a drive without a volatile cache. */
static void
witness__of_a_write_without_a_log__noticed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("wwrite", "WWRITE", "A0000051");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    memset(buffer, 'w', sizeof buffer);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 4096),
                     STATUS_SUCCESS);
    memset(buffer, 'x', sizeof buffer);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 4096),
                     STATUS_SUCCESS);
    swap(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
}

/* It was sent twice: the first time the drive told of a new medium. */
static void
witness__of_a_read_that_had_to_wait_for_the_verification__noticed(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("wread", "WREAD", "A000006F");
    struct volume *volume;

    image_poke(path, 2 * AT, "as it was", 9);
    put_in(d, path);
    volume = mount(d);
    fault(d, "at 1 read do sense 6/28/00");
    assert_int_equal(read_volume(volume, 2 * AT, buffer, 4096), STATUS_SUCCESS);
    assert_memory_equal(buffer, "as it was", 9);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    pull_out(d);
    image_poke(path, 2 * AT, "elsewhere", 9);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
}

/* Only just mounted, and the end of the first FAT is what is different. */
static void
witness__of_metadata__noticed_without_any_request(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path =
        image("wmeta", 262144, "mkfs.vfat -F 16 -s 8 -n WMETA -i A0000052 %s");
    UCHAR boot[512];
    struct volume *volume;
    unsigned long end;

    put_in(d, path);
    volume = mount(d);
    pull_out(d);
    image_peek(path, 0, boot, sizeof boot);
    end = (boot[14] + (boot[22] | boot[23] << 8)) * 512ul;
    /* Beyond what the fingerprint has. */
    assert_true(end > 68 * 1024);
    image_poke(path, end - 8, "elsewhere", 8);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
}

static struct {
    unsigned reads;
    ULONG64 last, bytes;
    BOOLEAN backward;
} seen_pass;

static BOOLEAN
see_compare(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
            NTSTATUS *out_status, ULONG_PTR *out_information)
{
    ULONG64 offset = (ULONG64) at->Parameters.Read.ByteOffset.QuadPart;

    (void) watch;
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (at->MajorFunction == IRP_MJ_READ &&
        fs_volume_state(used) == VOL_REPLAYING) {
        seen_pass.reads++;
        seen_pass.backward |= offset < seen_pass.last;
        seen_pass.last = offset + at->Parameters.Read.Length;
        seen_pass.bytes += at->Parameters.Read.Length;
    }
    return FALSE;
}

static void
witness__compared__one_pass_neighbours_in_one_read(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("pass", "PASS", "A0000053");
    ULONG64 at[WITNESS_MAX];
    ULONG count;

    put_in(d, path);
    used = mount(d);
    /* Neighbours, then far and wide. */
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(read_volume(used, AT + i % 128 * 512, seen, 512),
                         STATUS_SUCCESS);
    for (unsigned i = 0; i < 6000; i++)
        assert_int_equal(
            read_volume(used, 2 * AT + i % 60 * 65536ul, seen, 512),
            STATUS_SUCCESS);
    count = witness_list(used->witness, at);
    assert_true(count > 128);
    swap(d, path);
    memset(&seen_pass, 0, sizeof seen_pass);
    __atomic_store_n(&d->watch.before, see_compare, __ATOMIC_RELEASE);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    assert_int_equal(fs_volume_state(used), VOL_MOUNTED);
    assert_true(seen_pass.reads > 0 && seen_pass.reads < count / 2);
    assert_true(seen_pass.reads <= WITNESS_MAX);
    assert_false(seen_pass.backward);
}

/* In a run of blocks one cannot be read: the others are compared all the same. */
static void
witness__a_bad_block_among_neighbours__the_rest_counts(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("badrun", "BADRUN", "A0000054");

    put_in(d, path);
    used = mount(d);
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(read_volume(used, AT + i % 64 * 512, seen, 512),
                         STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, AT + 40 * 512, "elsewhere", 9);
    fault(d, "at 1 read lba 8200-8201 do sense 3/11/00");
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
}

/* --- somebody else took the drive's word ------------------------------------------------- */

/* A pass-through command without room for sense data. */
static BOOLEAN
eat_attention(struct drive_rig *d)
{
    SCSI_PASS_THROUGH pass = { .Length = sizeof pass,
                               .CdbLength = 6,
                               .DataIn = SCSI_IOCTL_DATA_UNSPECIFIED,
                               .TimeOutValue = 10 };
    IO_STATUS_BLOCK iosb = { 0 };
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(IOCTL_SCSI_PASS_THROUGH, d->fdo, &pass,
                                        sizeof pass, &pass, sizeof pass, FALSE,
                                        &event, &iosb);
    assert_non_null(irp);
    if (IoCallDriver(d->fdo, irp) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    assert_int_equal(iosb.Status, STATUS_SUCCESS);
    return pass.ScsiStatus == SCSISTAT_CHECK_CONDITION;
}

/* Until it is this command that was told, and not who looks after arrivals. */
static void
swap_and_eat(struct drive_rig *d, const char *path)
{
    for (int i = 0; i < 1000; i++) {
        swap(d, path);
        if (eat_attention(d))
            return;
    }
    fail_msg("the command is never told");
}

static void
eaten_attention__the_medium_in_another_drive__is_the_volume(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("eaten", "EATEN", "A0000060");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    swap_and_eat(d, FAT("eaten2", "EATEN2", "A0000061"));
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_ptr_equal(info_of(volume).drive, e->fdo);
    assert_int_equal(volumes(), 1);
}

static void
eaten_attention__a_write__does_not_reach_the_other_medium(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("eaten3", "EATEN3", "A0000062");
    const char *other = FAT("eaten4", "EATEN4", "A0000063");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    swap_and_eat(d, other);
    memset(buffer, 'e', sizeof buffer);
    req_start(&req, volume, IRP_MJ_WRITE, AT, buffer, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    swap(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_not_on_medium(other, AT, buffer, 4096);
}

/* --- used as it is: what is stale ------------------------------------------------------ */

static struct req past[2]; /* asked of the volume as it was */
static LONG came;          /* atomic: how many of them */

static BOOLEAN
is_stale(PIRP irp)
{
    return irp == past[0].irp || irp == past[1].irp;
}

/* A client that was slow comes only now. */
static void
come_late(void)
{
    LONG i = InterlockedIncrement(&came) - 1;
    PIRP top = IoGetTopLevelIrp();

    /* It is another thread's, as it were. */
    IoSetTopLevelIrp(NULL);
    req_start(&past[i], used, IRP_MJ_WRITE, (ULONG64) 3 * AT + i * 4096, buffer,
              4096);
    IoSetTopLevelIrp(top);
}

/* One while it is verified, one as soon as it is mounted. */
static BOOLEAN
while_used(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
           NTSTATUS *out_status, ULONG_PTR *out_information)
{
    LONG have = __atomic_load_n(&came, __ATOMIC_ACQUIRE);

    (void) watch;
    (void) irp;
    (void) out_status;
    (void) out_information;
    if (have == 0 && at->MajorFunction == IRP_MJ_READ)
        come_late();
    else if (have == 1 && at->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
             fs_volume_mounted(used))
        come_late();
    return FALSE;
}

static void
use__asked_of_it_as_it_was__fails_and_is_not_carried_out(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("stale", "STALE", "A0000042");
    struct kept kept = { 0 };

    changed_elsewhere__begin(d, path, &used);
    memset(past, 0, sizeof past);
    came = 0;
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    fs_set_stale(is_stale);
    fs_set_keeper(keep, &kept);
    __atomic_store_n(&d->watch.before, while_used, __ATOMIC_RELEASE);
    assert_int_equal(fs_use_as_it_is(used), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(came, 2);
    assert_int_equal(req_end(&past[0]), STATUS_FILE_INVALID);
    assert_int_equal(req_end(&past[1]), STATUS_FILE_INVALID);
    fs_set_stale(NULL);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    /* Whoever opened it anew goes on. */
    assert_int_equal(write_volume(used, 2 * AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(used), STATUS_SUCCESS);
    pull_out(d);
    assert_on_medium(path, 2 * AT, buffer, 4096);
    assert_not_on_medium(path, 3 * AT, buffer, 4096);
    assert_not_on_medium(path, 3 * AT + 4096, buffer, 4096);
}

static struct {
    pthread_t thread;
    struct drive_rig *drive;
    sem_t held;
    BOOLEAN begun;
} loser;

/* It is there, and gone before anybody could go on. */
static void *
lose_before_it_is_there(void *unused)
{
    (void) unused;
    KeWaitForSingleObject(&used->resume_mutex, Executive, KernelMode, FALSE,
                          NULL);
    sem_post(&loser.held);
    while (fs_volume_state(used) != VOL_REPLAYING)
        usleep(1000);
    pull_out(loser.drive);
    fs_volume_change(used, fs_volume_generation(used), VOL_ABSENT,
                     STATUS_NO_MEDIA_IN_DEVICE);
    KeReleaseMutex(&used->resume_mutex, FALSE);
    return NULL;
}

static BOOLEAN
begin_to_lose(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
              NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) watch;
    (void) irp;
    (void) at;
    (void) out_status;
    (void) out_information;
    if (!loser.begun) {
        loser.begun = TRUE;
        sem_init(&loser.held, 0, 0);
        assert_int_equal(
            pthread_create(&loser.thread, NULL, lose_before_it_is_there, NULL),
            0);
        sem_wait(&loser.held);
    }
    return FALSE;
}

/* Nobody has got what was wanted: so it is asked about again. */
static void
P6__use__the_medium_goes_before_it_is_there__asked_about_again(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("unused", "UNUSED", "A000004D");
    struct kept kept = { 0 };

    changed_elsewhere__begin(d, path, &used);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    fs_set_keeper(keep, &kept);
    loser.begun = FALSE;
    loser.drive = d;
    __atomic_store_n(&d->watch.before, begin_to_lose, __ATOMIC_RELEASE);
    assert_int_not_equal(fs_use_as_it_is(used), STATUS_SUCCESS);
    __atomic_store_n(&d->watch.before, NULL, __ATOMIC_RELEASE);
    pthread_join(loser.thread, NULL);
    assert_int_equal(fs_volume_state(used), VOL_ABSENT);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    assert_int_equal(fs_use_as_it_is(used), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(fs_volume_state(used), VOL_MOUNTED);
}

static NTSTATUS
read_file(PFILE_OBJECT file)
{
    struct req req;

    req_file = file;
    req_start(&req, fs_volume_of(file->Vpb), IRP_MJ_READ, 0, seen, 512);
    req_file = NULL;
    return req_end(&req);
}

static void
use__file_opened_before__fails_until_opened_anew(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = FAT("files", "FILES", "A0000043");
    struct kept kept = { 0 };
    struct volume *volume;
    PFILE_OBJECT before, after;
    ULONG dirty;

    put_in(d, path);
    volume = mount(d);
    assert_int_equal(open_volume(d, &before), STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 0x1B0, "another machine", 15);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(volume), VOL_CHANGED);
    fs_set_keeper(keep, &kept);
    assert_int_equal(fs_use_as_it_is(volume), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(read_file(before), STATUS_FILE_INVALID);
    assert_int_equal(open_volume(d, &after), STATUS_SUCCESS);
    assert_int_equal(read_file(after), STATUS_SUCCESS);
    assert_int_equal(
        fsctl(before, FSCTL_IS_VOLUME_DIRTY, &dirty, 0, sizeof dirty, NULL),
        STATUS_SUCCESS);
    io_close_file(after);
    io_close_file(before);
}

static struct drive_rig *hand_at;

/* The medium is pulled when it has just been taken as it is. */
static BOOLEAN
pull_when_taken(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
                NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) irp;
    (void) at;
    (void) out_status;
    (void) out_information;
    if (fs_volume_mounted(used)) {
        __atomic_store_n(&watch->before, NULL, __ATOMIC_RELEASE);
        pull_out(hand_at);
        fs_media_gone(hand_at->fdo);
    }
    return FALSE;
}

/* Who has it open knows another content: taken is taken. */
static void
use__pulled_as_soon_as_it_is_mounted__who_had_it_open_is_not_let_on(
    void **state)
{
    struct drive_rig *d = hand_at = begin(state, 0);
    const char *path = FAT("taken", "TAKEN", "A0000045");
    struct kept kept = { 0 };
    PFILE_OBJECT before, after;

    put_in(d, path);
    used = mount(d);
    assert_int_equal(open_volume(d, &before), STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 0x1B0, "another machine", 15);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    fs_set_keeper(keep, &kept);
    __atomic_store_n(&d->watch.before, pull_when_taken, __ATOMIC_RELEASE);
    assert_int_equal(fs_use_as_it_is(used), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_null(d->watch.before);
    assert_int_equal(fs_volume_state(used), VOL_ABSENT);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_MOUNTED);
    assert_int_equal(read_file(before), STATUS_FILE_INVALID);
    assert_int_equal(open_volume(d, &after), STATUS_SUCCESS);
    assert_int_equal(read_file(after), STATUS_SUCCESS);
    io_close_file(after);
    io_close_file(before);
}

/* What it is known by had not been read again since a write of ours. */
static void
use__what_tells_it_was_just_written_to__it_is_what_it_is_now(void **state)
{
    struct drive_rig *d = hand_at = begin(state, 0);
    const char *path = FAT("told", "TOLD", "A0000046");
    struct kept kept = { 0 };

    put_in(d, path);
    used = mount(d);
    memset(buffer, 't', sizeof buffer);
    assert_int_equal(write_volume(used, 32768, buffer, 4096), STATUS_SUCCESS);
    pull_out(d);
    image_poke(path, 0x1B0, "another machine", 15);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_CHANGED);
    fs_set_keeper(keep, &kept);
    __atomic_store_n(&d->watch.before, pull_when_taken, __ATOMIC_RELEASE);
    assert_int_equal(fs_use_as_it_is(used), STATUS_SUCCESS);
    fs_set_keeper(NULL, NULL);
    assert_int_equal(fs_volume_state(used), VOL_ABSENT);
    put_in(d, path);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_int_equal(fs_volume_state(used), VOL_MOUNTED);
}

/* --- whose medium is it? --------------------------------------------------------------- */

static void
write_own(struct volume *volume, int byte)
{
    memset(buffer, byte, sizeof buffer);
    assert_int_equal(write_volume(volume, 2 * AT, buffer, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
}

static void
assert_is_in(struct drive_rig *d, struct volume *volume)
{
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
    assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    assert_false(info_of(volume).changed_elsewhere);
}

/* Copies of one medium, which drifted apart by what was written to each. */
static void
clones__come_back_in_each_others_drives__each_volume_has_its_own(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *first = FAT("clone_a", "TWIN", "A0000046");
    const char *second = image_copy("clone_b", first);
    struct volume *a, *b;

    put_in(d, first);
    a = mount(d);
    put_in(e, second);
    b = mount(e);
    assert_ptr_not_equal(a, b);
    write_own(a, 'a');
    write_own(b, 'b');
    pull_out(d);
    pull_out(e);
    fs_media_gone(d->fdo);
    fs_media_gone(e->fdo);
    put_in(d, second);
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
    assert_is_in(d, b);
    assert_int_equal(fs_volume_state(a), VOL_ABSENT);
    put_in(e, first);
    assert_ptr_equal(mount(e), a);
    assert_is_in(e, a);
    assert_int_equal(volumes(), 2);
    write_own(a, 'A');
    pull_out(d);
    pull_out(e);
    assert_on_medium(first, 2 * AT, buffer, 4096);
    assert_not_on_medium(second, 2 * AT, buffer, 4096);
}

/* It was being formatted when it was pulled, so nothing tells it any more, and a
 * person's word is taken for it; but not for what is known to be another one. */
static void
retry__the_medium_of_another_volume_is_there__it_is_not_given_away(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("formatted", "MINE", "A0000047");
    const char *other = FAT("known", "KNOWN", "A0000048");
    struct volume *volume, *known;
    struct req req;

    clock_manual(true);
    put_in(e, other);
    known = mount(e);
    pull_out(e);
    fs_media_gone(e->fdo);
    put_in(d, path);
    volume = mount(d);
    memset(buffer, 0xE5, sizeof buffer);
    for (unsigned long at = 0; at < 2u << 20; at += sizeof buffer)
        assert_int_equal(write_volume(volume, at, buffer, sizeof buffer),
                         STATUS_SUCCESS);
    pull_out(d);
    req_start(&req, volume, IRP_MJ_WRITE, AT, buffer, 4096);
    the_prompt();
    put_in(d, other);
    answer(RI_RETRY);
    assert_true(EVENTUALLY(prompts(NULL) == 1));
    assert_false(req_is_done(&req));
    assert_int_equal(fs_volume_state(volume), VOL_ABSENT);
    assert_is_in(d, known);
    assert_not_on_medium(other, AT, buffer, 4096);
    swap(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    clock_manual(false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changed_elsewhere__write_protected_here__asked,
             rig_protected_disk),
        TEST(changed_elsewhere__asked__used_as_it_is, rig_cached_disk),
        TEST(changed_elsewhere__cancelled__nothing_is_written, rig_cached_disk),
        TEST(changed_elsewhere__right_one_put_in__resumed, rig_cached_disk),
        TEST(changed_elsewhere__in_another_drive__the_known_volume_asks,
             rig_cached_disks),
        TEST(same_numbers__the_known_one_is_elsewhere__a_copy,
             rig_cached_disks),
        TEST(
            clone_in_its_place__true_medium_elsewhere__the_drive_left_is_looked_at,
            rig_cached_disks),
        TEST(
            P4__carried_from_a_silent_drive__settled_anew_while_it_is_asked__is_itself,
            rig_disks),
        TEST(P4__one_of_two_clones__carried_from_a_silent_drive__is_itself,
             rig_three_disks),
        TEST(P8__its_clone_is_about_to_be_compared__its_own_medium_waits,
             rig_cached_disks),
        TEST(
            P4__changed_elsewhere__looked_at_beside_its_clone__stays_so_meanwhile,
            rig_disks),
        TEST(P5__flush_that_is_in_the_drive__given_up_meanwhile__fails,
             rig_cached_disk),
        TEST(P5__flush_that_is_in_the_drive__given_up_and_wanted_again__fails,
             rig_cached_disk),
        TEST(witness__of_a_flushed_write__noticed, rig_cached_disk),
        TEST(witness__of_a_write_without_a_log__noticed, rig_disk),
        TEST(witness__of_a_read_that_had_to_wait_for_the_verification__noticed,
             rig_disk),
        TEST(witness__of_metadata__noticed_without_any_request, rig_disk),
        TEST(witness__compared__one_pass_neighbours_in_one_read,
             rig_cached_disk),
        TEST(witness__a_bad_block_among_neighbours__the_rest_counts,
             rig_cached_disk),
        TEST(eaten_attention__the_medium_in_another_drive__is_the_volume,
             rig_cached_disks),
        TEST(eaten_attention__a_write__does_not_reach_the_other_medium,
             rig_cached_disk),
        TEST(use__asked_of_it_as_it_was__fails_and_is_not_carried_out,
             rig_cached_disk),
        TEST(P6__use__the_medium_goes_before_it_is_there__asked_about_again,
             rig_cached_disk),
        TEST(use__file_opened_before__fails_until_opened_anew, rig_cached_disk),
        TEST(
            use__pulled_as_soon_as_it_is_mounted__who_had_it_open_is_not_let_on,
            rig_cached_disk),
        TEST(use__what_tells_it_was_just_written_to__it_is_what_it_is_now,
             rig_cached_disk),
        TEST(clones__come_back_in_each_others_drives__each_volume_has_its_own,
             rig_cached_disks),
        TEST(retry__the_medium_of_another_volume_is_there__it_is_not_given_away,
             rig_disks),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
