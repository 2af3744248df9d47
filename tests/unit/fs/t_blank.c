/*
 * t_blank.c - media that nothing tells from one another: whose are they, and
 * when is a person asked
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "base/clock.h"

#define AT (4ul << 20)

static UCHAR buffer[65536], seen[65536];

/* Is the drive known to announce changes?  Then nothing is kept in sight. */
static BOOLEAN announcing;

static BOOLEAN
announces(void *context, PDEVICE_OBJECT drive)
{
    (void) drive;
    return *(BOOLEAN *) context;
}

static struct drive_rig *
begin(void **state, int drive)
{
    struct rig *rig = *state;

    announcing = TRUE;
    fs_set_announces(announces, &announcing);
    limit(64u << 20, NEVER);
    for (size_t i = 0; i < sizeof buffer; i++)
        buffer[i] = (UCHAR) (i * 7 + i / 256);
    return &rig->d[drive];
}

static const char *
blank(const char *name)
{
    return image(name, 8192, "true");
}

static void
verify(struct drive_rig *d)
{
    set_flag(d);
    IoVerifyVolume(d->fdo, TRUE);
}

/* Whose is what is there now? */
static struct volume *
look(struct drive_rig *d)
{
    verify(d);
    return fs_volume_on(d->fdo);
}

static void
assert_plain(const char *path)
{
    char line[300];

    snprintf(line, sizeof line, "cmp -s -n 8388608 %s /dev/zero", path);
    assert_int_equal(system(line), 0);
}

/* --- nothing was ever on it ---------------------------------------------------- */

/* Verified again and again, as in a drive that announces nothing. */
static void
nobodys__verified_without_end__do_not_pile_up(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, blank("nobodys"));
    volume = mount(d);
    for (int i = 0; i < 5; i++) {
        verify(d);
        assert_ptr_equal(mount(d), volume);
        assert_int_equal(fs_volume_state(volume), VOL_MOUNTED);
    }
    assert_ptr_equal(fs_volume_on(d->fdo), volume);
}

/* Who opens it after a silence is asked nothing: any would do. */
static void
opened__nothing_read_or_written_yet__nobody_is_asked(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, blank("opened"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    set_flag(d);
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(asked(), 0);
    fs_volume_pin(volume, FALSE);
}

/* What somebody has read may not be on another that looks alike. */
static void
P1__read_from__another_blank_one__asked_and_untouched(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *other = blank("read-other");
    struct volume *volume;
    struct req req;

    put_in(d, blank("read-from"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    swap(d, other);
    req_start(&req, volume, IRP_MJ_WRITE, AT, buffer, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(look(d), volume);
    assert_plain(other);
    answer(RI_CANCEL);
    req_end(&req);
    /* Nobody's again: given to whoever comes next. */
    fs_volume_pin(volume, FALSE);
}

/* It is not said to be another: it may be the same. */
static void
P3__blank_one__question_says_that_nothing_tells_and_retry_takes_it(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = blank("may-be-it");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
    swap(d, path);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_non_null(strstr(the_prompt().text, "nothing on the medium"));
    assert_non_null(strstr(the_prompt().text, "answer retry"));
    assert_ptr_not_equal(look(d), volume);
    assert_non_null(strstr(the_prompt().text, "nothing on the medium"));
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    fs_volume_pin(volume, FALSE);
}

/* --- told by what is on it -------------------------------------------------------- */

static void
written__doubted__known_by_what_was_written(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    put_in(d, blank("doubted"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    for (int i = 0; i < 3; i++) {
        set_flag(d);
        assert_int_equal(read_volume(volume, AT, seen, 4096), STATUS_SUCCESS);
        assert_memory_equal(seen, buffer, 4096);
    }
    assert_int_equal(asked(), 0);
    fs_volume_pin(volume, FALSE);
}

static void
written__taken_out_and_back__in_any_drive__is_itself(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = blank("carried");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    /* And this is in the log alone. */
    assert_int_equal(write_volume(volume, AT + 8192, buffer, 4096),
                     STATUS_SUCCESS);
    pull_out(d);
    fs_media_gone(d->fdo);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    the_prompt();
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_memory_equal(seen, buffer, 4096);
    assert_int_equal(prompts(NULL), 0);
    assert_on_medium(path, AT + 8192, buffer, 4096);
    fs_volume_pin(volume, FALSE);
}

static void
P1__written__another_blank_one_instead__asked_and_untouched(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = blank("first"), *other = blank("second");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    assert_int_equal(write_volume(volume, AT + 8192, buffer, 4096),
                     STATUS_SUCCESS);
    swap(d, other);
    req_start(&req, volume, IRP_MJ_WRITE, 2 * AT - 4096, buffer, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(look(d), volume);
    assert_plain(other);
    swap(d, path);
    assert_ptr_equal(look(d), volume);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_plain(other);
    fs_volume_pin(volume, FALSE);
}

/* The same place, other data: what else agrees says nothing. */
static void
P1__written__another_with_other_data_there__asked_and_untouched(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *other = blank("third");
    struct volume *volume;
    struct req req;

    image_poke(other, AT, "something else", 14);
    put_in(d, blank("fourth"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    swap(d, other);
    req_start(&req, volume, IRP_MJ_WRITE, AT, buffer, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(look(d), volume);
    assert_not_on_medium(other, AT, buffer, 4096);
    answer(RI_CANCEL);
    req_end(&req);
    fs_volume_pin(volume, FALSE);
}

/* One byte repeated is on other blank media, too. */
static void
P1__written_with_one_byte__asked(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *other = blank("sixth");
    struct volume *volume;
    struct req req;

    put_in(d, blank("fifth"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    memset(buffer, 0, sizeof buffer);
    assert_int_equal(write_volume(volume, AT, buffer, 65536), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    swap(d, other);
    req_start(&req, volume, IRP_MJ_READ, AT, seen, 4096);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    answer(RI_CANCEL);
    req_end(&req);
    fs_volume_pin(volume, FALSE);
}

/* --- kept in sight -------------------------------------------------------------------- */

/* How many reads of the file system's own there are while a second passes. */
static unsigned
reads_in_a_second(struct drive_rig *d)
{
    unsigned before = watch_count(&d->watch, IRP_MJ_READ);

    for (int i = 0; i < 20; i++) {
        clock_advance_ms(50);
        rest();
    }
    return watch_count(&d->watch, IRP_MJ_READ) - before;
}

/* It is read from, and again. */
static void
assert_kept_in_sight(struct drive_rig *d)
{
    for (int i = 0; i < 5; i++) {
        unsigned before = watch_count(&d->watch, IRP_MJ_READ);

        assert_true(EVENTUALLY((clock_advance_ms(20),
                                watch_count(&d->watch, IRP_MJ_READ) > before)));
    }
}

static void
open_and_blank__read_from_until_something_tells_it(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    announcing = FALSE;
    clock_manual(true);
    put_in(d, blank("sight"));
    volume = mount(d);
    assert_int_equal(reads_in_a_second(d), 0);
    assert_false(fs_volume_in_sight(volume));
    assert_true(fs_volume_pin(volume, TRUE));
    assert_kept_in_sight(d);
    assert_true(
        EVENTUALLY((clock_advance_ms(20), rest(), fs_volume_in_sight(volume))));
    assert_int_equal(write_volume(volume, AT, buffer, 4096), STATUS_SUCCESS);
    assert_int_equal(flush_volume(volume), STATUS_SUCCESS);
    reads_in_a_second(d);
    assert_int_equal(reads_in_a_second(d), 0);
    assert_false(fs_volume_in_sight(volume));
    fs_volume_pin(volume, FALSE);
    clock_manual(false);
}

static void
open_and_blank__taken_out__noticed_without_any_request(void **state)
{
    struct drive_rig *d = begin(state, 0);
    const char *path = blank("sight-out");
    struct volume *volume;

    announcing = FALSE;
    clock_manual(true);
    put_in(d, path);
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_kept_in_sight(d);
    pull_out(d);
    assert_true(EVENTUALLY((clock_advance_ms(50), usleep(1000),
                            fs_volume_state(volume) == VOL_ABSENT)));
    reads_in_a_second(d);
    assert_int_equal(reads_in_a_second(d), 0);
    fs_volume_pin(volume, FALSE);
    clock_manual(false);
}

static void
open_and_blank__drive_announces__not_read_from(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    clock_manual(true);
    put_in(d, blank("announced"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(reads_in_a_second(d), 0);
    fs_volume_pin(volume, FALSE);
    clock_manual(false);
}

static void
open_and_known__not_read_from(void **state)
{
    struct drive_rig *d = begin(state, 0);
    struct volume *volume;

    announcing = FALSE;
    clock_manual(true);
    put_in(d, FAT("known", "KNOWN", "D0000001"));
    volume = mount(d);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(reads_in_a_second(d), 0);
    fs_volume_pin(volume, FALSE);
    clock_manual(false);
}

/* --- told once per arrival -------------------------------------------------------------- */

static LONG news_count, told_count;

static void
note_news(void *context, struct volume *volume, enum vol_state state,
          BOOLEAN news)
{
    (void) context;
    (void) volume;
    if (state != VOL_MOUNTED)
        return;
    InterlockedIncrement(&told_count);
    if (news)
        InterlockedIncrement(&news_count);
}

static void
mounted__verified_again__told_once_for_each_arrival(void **state)
{
    struct drive_rig *d = begin(state, 0), *e = begin(state, 1);
    const char *path = FAT("news", "NEWS", "D0000002");
    struct volume *volume;

    news_count = told_count = 0;
    fs_set_observer(note_news, NULL);
    put_in(d, path);
    volume = mount(d);
    assert_int_equal(news_count, 1);
    for (int i = 0; i < 3; i++)
        verify(d);
    /* Whoever waits is told; a person knows. */
    assert_true(told_count >= 4);
    assert_int_equal(news_count, 1);
    pull_out(d);
    fs_media_gone(d->fdo);
    put_in(d, path);
    assert_ptr_equal(look(d), volume);
    assert_int_equal(news_count, 2);
    pull_out(d);
    put_in(e, path);
    assert_ptr_equal(mount(e), volume);
    assert_int_equal(news_count, 3);
    fs_set_observer(NULL, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobodys__verified_without_end__do_not_pile_up, rig_disk),
        TEST(opened__nothing_read_or_written_yet__nobody_is_asked,
             rig_cached_disk),
        TEST(P1__read_from__another_blank_one__asked_and_untouched,
             rig_cached_disk),
        TEST(P3__blank_one__question_says_that_nothing_tells_and_retry_takes_it,
             rig_cached_disk),
        TEST(written__doubted__known_by_what_was_written, rig_cached_disk),
        TEST(written__taken_out_and_back__in_any_drive__is_itself,
             rig_cached_disks),
        TEST(P1__written__another_blank_one_instead__asked_and_untouched,
             rig_cached_disk),
        TEST(P1__written__another_with_other_data_there__asked_and_untouched,
             rig_cached_disk),
        TEST(P1__written_with_one_byte__asked, rig_cached_disk),
        TEST(open_and_blank__read_from_until_something_tells_it,
             rig_cached_disk),
        TEST(open_and_blank__taken_out__noticed_without_any_request, rig_disk),
        TEST(open_and_blank__drive_announces__not_read_from, rig_disk),
        TEST(open_and_known__not_read_from, rig_disk),
        TEST(mounted__verified_again__told_once_for_each_arrival,
             rig_cached_disks),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
