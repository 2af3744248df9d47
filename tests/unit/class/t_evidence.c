/*
 * Tests for src/class/evidence.c: what a drive announces, and what is done
 * about one that does not.  Expectations: SPC-4, TEST UNIT READY command, and
 * SAM-5, Unit attention conditions (a new medium establishes one); and that a
 * drive which keeps silent must not get the old medium's requests.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/evidence.h"

#include "harness.h"

#include "class/class_internal.h"

static struct class_evidence
evidence_of(struct rig *rig)
{
    struct class_evidence evidence;

    class_evidence(rig->fdo, &evidence);
    return evidence;
}

static NTSTATUS
check(struct rig *rig, ULONG *out_count)
{
    return control(rig, IOCTL_STORAGE_CHECK_VERIFY2, out_count, 0,
                   sizeof *out_count,
                   &(struct ask){ .flags = SL_OVERRIDE_VERIFY_VOLUME })
        .status;
}

static void
nothing_happened__not_known(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(evidence_of(rig).belief, CLASS_NOT_KNOWN);
    assert_int_equal(evidence_of(rig).left, 0);
}

static void
swap__announced_by_attention__believed_and_counted_once(void **state)
{
    struct rig *rig = *state;
    ULONG before = rig_count(rig), count;

    rig_swap(rig, 1);
    assert_true(EVENTUALLY(rig_count(rig) == before + 1));
    rig_settle(rig);
    assert_int_equal(check(rig, &count), STATUS_SUCCESS);
    assert_int_equal(count, before + 1);
    assert_int_equal(evidence_of(rig).belief, CLASS_ANNOUNCES);
    assert_int_equal(evidence_of(rig).attentions, 1);
    assert_int_equal(evidence_of(rig).came_silently, 0);
}

/* As tgt: 2/3A, then ready, and never 6/28. */
static void
P1__out_and_in_without_a_word__counted_before_ready_is_told(void **state)
{
    struct rig *rig = *state;
    ULONG before, count;

    rig_settle(rig);
    rig_mount(rig, true);
    before = rig_count(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_TEST_UNIT_READY, 1, 2, 0x3A, 0));
    assert_int_equal(check(rig, &count), STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(check(rig, &count), STATUS_SUCCESS);
    assert_true(count > before);
    assert_true(rig_verify_set(rig));
    /* A request for what was there before. */
    assert_int_equal(
        transfer(rig, IRP_MJ_READ, 0, (UCHAR[BLOCK]){ 0 }, BLOCK,
                 &(struct ask){ .flags = SL_KEY_SPECIFIED, .key = before })
            .status,
        STATUS_VERIFY_REQUIRED);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 0);
    assert_int_equal(evidence_of(rig).belief, CLASS_SILENT);
    assert_int_equal(evidence_of(rig).left, 1);
    /* A poll in between may tell of the same arrival. */
    assert_true(evidence_of(rig).came_silently >= 1);
    rig_mount(rig, false);
}

static void
loaded_without_a_word__counted(void **state)
{
    struct rig *rig = *state;
    ULONG before, count;

    rig_settle(rig);
    before = rig_count(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_TEST_UNIT_READY, 1, 2, 0x04, 0x02));
    (void) check(rig, &count);
    rig_settle(rig);
    assert_int_equal(check(rig, &count), STATUS_SUCCESS);
    assert_true(count > before);
    assert_int_equal(evidence_of(rig).belief, CLASS_SILENT);
}

/* What a command on another thread brings, as late as threads can be. */
static void
late_word(struct rig *rig, UCHAR key, UCHAR asc, ULONG number)
{
    const struct class_sense sense = { .key = key, .asc = asc };

    class_evidence_sense(class_dev(rig->fdo), &sense, number);
}

static ULONG
number_of(struct rig *rig)
{
    return __atomic_load_n(&class_dev(rig->fdo)->attention, __ATOMIC_ACQUIRE);
}

/* The attention was counted, and the drive seen ready, before the thread that
 * got it says what it was. */
static void
announcement_is_told_late__drive_is_not_called_silent(void **state)
{
    struct rig *rig = *state;
    ULONG number;

    rig_settle(rig);
    number = number_of(rig);
    late_word(rig, SCSI_SENSE_NOT_READY, SCSI_ADSENSE_NO_MEDIA_IN_DEVICE,
              number);
    class_note_attention(class_dev(rig->fdo), number + 1);
    class_evidence_ready(class_dev(rig->fdo));
    late_word(rig, SCSI_SENSE_UNIT_ATTENTION, SCSI_ADSENSE_MEDIUM_CHANGED,
              number + 1);
    assert_int_equal(evidence_of(rig).belief, CLASS_ANNOUNCES);
    assert_int_equal(evidence_of(rig).attentions, 1);
    assert_int_equal(evidence_of(rig).came_silently, 0);
}

/* What is announced later is another medium: that one was not. */
static void
P1__next_announcement__does_not_excuse_the_silence_before(void **state)
{
    struct rig *rig = *state;
    ULONG number;

    rig_settle(rig);
    number = number_of(rig);
    late_word(rig, SCSI_SENSE_NOT_READY, SCSI_ADSENSE_NO_MEDIA_IN_DEVICE,
              number);
    /* A reset, and then ready. */
    class_note_attention(class_dev(rig->fdo), number + 1);
    class_evidence_ready(class_dev(rig->fdo));
    class_note_attention(class_dev(rig->fdo), number + 2);
    late_word(rig, SCSI_SENSE_UNIT_ATTENTION, SCSI_ADSENSE_MEDIUM_CHANGED,
              number + 2);
    class_evidence_ready(class_dev(rig->fdo));
    assert_int_equal(evidence_of(rig).belief, CLASS_SILENT);
    assert_int_equal(evidence_of(rig).came_silently, 1);
}

/* An answer of before the announcement is looked at after it. */
static void
empty_is_told_late__announced_and_counted_once(void **state)
{
    struct rig *rig = *state;
    ULONG number, count;

    rig_settle(rig);
    number = number_of(rig);
    count = rig_count(rig);
    class_note_attention(class_dev(rig->fdo), number + 1);
    late_word(rig, SCSI_SENSE_UNIT_ATTENTION, SCSI_ADSENSE_MEDIUM_CHANGED,
              number + 1);
    late_word(rig, SCSI_SENSE_NOT_READY, SCSI_ADSENSE_NO_MEDIA_IN_DEVICE,
              number);
    class_evidence_ready(class_dev(rig->fdo));
    assert_int_equal(evidence_of(rig).belief, CLASS_ANNOUNCES);
    assert_int_equal(rig_count(rig), count + 1);
}

/* ... but one of after it is a medium that has left, again. */
static void
P1__empty_again__what_comes_without_a_word_is_counted(void **state)
{
    struct rig *rig = *state;
    ULONG number, count;

    rig_settle(rig);
    number = number_of(rig);
    count = rig_count(rig);
    class_note_attention(class_dev(rig->fdo), number + 1);
    late_word(rig, SCSI_SENSE_UNIT_ATTENTION, SCSI_ADSENSE_MEDIUM_CHANGED,
              number + 1);
    late_word(rig, SCSI_SENSE_NOT_READY, SCSI_ADSENSE_NO_MEDIA_IN_DEVICE,
              number + 1);
    class_evidence_ready(class_dev(rig->fdo));
    assert_int_equal(evidence_of(rig).belief, CLASS_SILENT);
    assert_int_equal(rig_count(rig), count + 2);
}

/* A poll finds the drive ready while the announcement is on its way to somebody
 * else; who asks with a number learns of it. */
static void
ready_before_the_announcement_is_known__asked_again(void **state)
{
    static const struct answer ready = { .opcode = SCSIOP_TEST_UNIT_READY,
                                         .times = 1,
                                         .srb_status = SRB_STATUS_SUCCESS };
    struct rig *rig = *state;
    ULONG count;

    rig_settle(rig);
    count = rig_count(rig);
    late_word(rig, SCSI_SENSE_NOT_READY, SCSI_ADSENSE_NO_MEDIA_IN_DEVICE,
              number_of(rig));
    spy_answer(rig, &ready);
    rig_swap(rig, 1);
    assert_true(EVENTUALLY(evidence_of(rig).attentions == 1));
    rig_settle(rig);
    assert_int_equal(evidence_of(rig).belief, CLASS_ANNOUNCES);
    assert_int_equal(evidence_of(rig).came_silently, 0);
    assert_int_equal(rig_count(rig), count + 1);
}

/* Of the last command that was no poll. */
static bool
port_is_told(struct rig *rig)
{
    ULONG count;

    spy_reset(rig);
    (void) check(rig, &count);
    assert_true(spy_commands(rig) > 0);
    return (rig->spy.flags[0] & CLASS_SRB_ANNOUNCES) != 0;
}

static void
P1__port__is_told_of_drives_that_announce_and_of_no_others(void **state)
{
    struct rig *rig = *state;
    ULONG before = rig_count(rig), count;

    rig_settle(rig);
    assert_false(port_is_told(rig));
    rig_swap(rig, 1);
    assert_true(EVENTUALLY(rig_count(rig) == before + 1));
    rig_settle(rig);
    assert_int_equal(check(rig, &count), STATUS_SUCCESS);
    assert_true(port_is_told(rig));
    /* And once it kept silent. */
    spy_answer(rig, SENSE_ANSWER(SCSIOP_TEST_UNIT_READY, 1, 2, 0x3A, 0));
    (void) check(rig, &count);
    (void) check(rig, &count);
    assert_int_equal(evidence_of(rig).belief, CLASS_SILENT);
    assert_false(port_is_told(rig));
}

/* Ours has GESN, and says that it has media events. */
static void
drive_with_media_events__is_taken_to_announce_for_now(void **state)
{
    struct rig *rig = *state;

    rig_settle(rig);
    assert_true(EVENTUALLY(port_is_told(rig)));
    assert_int_equal(evidence_of(rig).belief, CLASS_NOT_KNOWN);
}

static int
by_timer(void **state)
{
    spy_refuses_events = true;
    return rig_disk(state);
}

static int
by_timer_free(void **state)
{
    spy_refuses_events = false;
    clock_manual(false);
    return rig_free(state);
}

static void
capacity_differs_at_a_poll__another_medium(void **state)
{
    /* 4,096 blocks of 512 bytes; the image has 16,384. */
    static const struct answer other = {
        .opcode = SCSIOP_READ_CAPACITY,
        .times = 1,
        .srb_status = SRB_STATUS_SUCCESS,
        .data = { 0, 0, 0x0F, 0xFF, 0, 0, 2, 0 },
        .data_len = 8,
    };
    struct rig *rig = *state;
    ULONG before;

    rig_settle(rig);
    know_capacity(rig);
    rig_mount(rig, true);
    before = rig_count(rig);
    spy_answer(rig, &other);
    clock_manual(true);
    assert_true(
        EVENTUALLY((clock_advance_ms(1000), rest(), rig_count(rig) > before)));
    assert_true(rig_verify_set(rig));
    assert_int_equal(evidence_of(rig).sizes, 1);
    assert_int_equal(evidence_of(rig).belief, CLASS_SILENT);
    assert_true(evidence_of(rig).asked);
    rig_mount(rig, false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_happened__not_known, rig_disk),
        TEST(swap__announced_by_attention__believed_and_counted_once, rig_disk),
        TEST(P1__out_and_in_without_a_word__counted_before_ready_is_told,
             rig_disk),
        TEST(loaded_without_a_word__counted, rig_disk),
        TEST(announcement_is_told_late__drive_is_not_called_silent, rig_disk),
        TEST(P1__next_announcement__does_not_excuse_the_silence_before,
             rig_disk),
        TEST(empty_is_told_late__announced_and_counted_once, rig_disk),
        TEST(P1__empty_again__what_comes_without_a_word_is_counted, rig_disk),
        TEST(ready_before_the_announcement_is_known__asked_again, rig_disk),
        TEST(P1__port__is_told_of_drives_that_announce_and_of_no_others,
             rig_disk),
        TEST(drive_with_media_events__is_taken_to_announce_for_now, rig_cdrom),
        cmocka_unit_test_setup_teardown(
            capacity_differs_at_a_poll__another_medium, by_timer,
            by_timer_free),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
