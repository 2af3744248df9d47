/*
 * tape_write.c - reinsert tape DRIVE write: standard input onto tape
 *
 * Records lie in slots of the window, a ring: filled from the input, submitted,
 * reaped in order.  One that was not written (the tape is full, and those
 * behind it) stays in its slot and goes to the next tape of the set.
 *
 *      tail               sent               head
 *        | on their way    | filled, not sent  | free
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_RECORD (64u << 10)
#define PIPE_SIZE      (1 << 20)

struct slot {
    size_t offset;     /* in the window */
    size_t data, size; /* of the input; with what it was padded */
    uint32_t crc;      /* of data */
};

struct writer {
    struct tape_job job;
    struct slot slots[TAPE_LINK_PENDING];
    uint64_t tail, sent, head; /* slot numbers that only grow */
    bool input_over, input_failed;
    size_t left_over;    /* bytes that do not fill a block */
    bool near_end, full; /* of this tape */
    bool lost;           /* the service */
    bool in_set;
    struct tape_set_mark mark; /* of this part */
};

/* --- input ----------------------------------------------------------------------- */

static struct slot *
slot_at(struct writer *w, uint64_t number)
{
    return &w->slots[number % w->job.slots];
}

/* Is there an answer before there is input?  Waits for either: who watches is
 * told what is on tape, and an end is noticed, however slow the input is. */
static bool
answer_comes_first(struct writer *w)
{
    struct pollfd fds[2] = {
        { .fd = STDIN_FILENO, .events = POLLIN },
        { .fd = tape_link_fd(w->job.link), .events = POLLIN },
    };

    while (w->tail < w->sent) {
        if (tape_link_ready(w->job.link))
            return true;
        if (poll(fds, 2, -1) < 0 ? errno != EINTR : fds[0].revents != 0)
            return false;
    }
    return false;
}

/* As much as there is, up to max: less only at the end. */
static size_t
read_input(struct writer *w, unsigned char *to, size_t max)
{
    size_t have = 0;

    while (have < max) {
        ssize_t n = read(STDIN_FILENO, to + have, max - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            tape_job_refuse(&w->job, 0, "standard input: %s", strerror(errno));
            w->input_failed = true;
        }
        if (n <= 0) {
            w->input_over = true;
            break;
        }
        have += (size_t) n;
    }
    return have;
}

/* The last block of fixed ones: padded, or what does not fill one is left. */
static void
fit(struct writer *w, struct slot *slot, unsigned char *at)
{
    size_t fixed = w->job.fixed;
    size_t over = fixed > 0 ? slot->data % fixed : 0;

    slot->size = slot->data;
    if (over == 0)
        return;
    if (w->job.cli->pad) {
        memset(at + slot->data, 0, fixed - over);
        slot->size += fixed - over;
    } else {
        w->left_over = over;
        slot->data -= over;
        slot->size -= over;
    }
}

static void
fill(struct writer *w)
{
    struct slot *slot = slot_at(w, w->head);
    unsigned char *at;

    slot->offset =
        w->head % w->job.slots * ((w->job.record + 63) & ~(size_t) 63);
    at = w->job.window + slot->offset;
    slot->data = read_input(w, at, w->job.record);
    if (slot->data == 0)
        return;
    fit(w, slot, at);
    slot->crc = tape_job_sum(&w->job, w->in_set, at, slot->data);
    if (slot->size > 0)
        w->head++;
}

/* --- the stream ------------------------------------------------------------------- */

/* In fixed block mode a record may have been written in part. */
static void
count_written(struct writer *w, struct slot *slot, size_t bytes)
{
    unsigned char *at = w->job.window + slot->offset;
    size_t data = bytes < slot->data ? bytes : slot->data;

    if (bytes >= slot->size) {
        tape_job_count(&w->job, slot->crc, slot->data);
        w->tail++;
        return;
    }
    if (data > 0)
        tape_job_count(&w->job, tape_job_sum(&w->job, w->in_set, at, data),
                       data);
    slot->offset += bytes;
    slot->size -= bytes;
    slot->data -= data;
    slot->crc = tape_job_sum(&w->job, w->in_set, w->job.window + slot->offset,
                             slot->data);
}

/* One answer.  0: go on, or the tape ends here; else an exit code. */
static int
reap(struct writer *w)
{
    struct tape_link_done done;
    int rc = tape_link_reap(w->job.link, &done);

    if (rc != 0) {
        w->lost = true;
        return tape_job_failed(&w->job, "the service is gone", rc, NULL);
    }
    if (done.skipped)
        return 0;
    if (done.rc == 0) {
        count_written(w, slot_at(w, w->tail), done.result.bytes);
        w->near_end |= done.result.early_warning;
        w->full |= done.result.end_of_tape; /* a part of it was written */
        return 0;
    }
    if (done.rc == -ENOSPC) {
        w->full = true;
        return 0;
    }
    if (done.rc == -EINVAL && w->job.fixed == 0)
        return tape_job_refuse(&w->job, CLI_ILLEGAL,
                               "write: the drive takes no records of %zu "
                               "bytes: --block-size",
                               done.size);
    return tape_job_failed(&w->job, "write", done.rc, &done.result);
}

/* All that is on its way; what was not written is sent anew. */
static int
drain(struct writer *w)
{
    int rc = 0;

    while (!w->lost && tape_link_pending(w->job.link) > 0) {
        int one = reap(w);

        rc = rc != 0 ? rc : one;
    }
    w->sent = w->tail;
    tape_link_go_on(w->job.link);
    return rc;
}

/* As reap; where the link waits for us to go on, it does. */
static int
take(struct writer *w)
{
    int rc = reap(w);

    if (rc != 0 || w->near_end || w->full) {
        int rest = drain(w);

        rc = rc != 0 ? rc : rest;
    }
    return rc;
}

static int
submit(struct writer *w)
{
    const struct slot *slot = slot_at(w, w->sent);
    int rc = tape_link_submit_write(w->job.link, slot->offset, slot->size);

    if (rc != 0)
        return tape_job_failed(&w->job, "write", rc, NULL);
    w->sent++;
    return 0;
}

/* Does this part end here?  The room behind the warning is for the record that
 * ends it; a tape that is not of a set is used up to its end. */
static bool
part_over(const struct writer *w)
{
    return w->full || (w->near_end && w->in_set);
}

/* Data until the input or the tape ends. */
static int
stream(struct writer *w)
{
    int rc = 0;

    tape_link_go_on(w->job.link);
    while (rc == 0 && !part_over(w)) {
        if (w->sent < w->head)
            rc = submit(w);
        else if (!w->input_over && w->head - w->tail < w->job.slots &&
                 !answer_comes_first(w))
            fill(w);
        else if (w->tail < w->sent)
            rc = take(w);
        else
            break;
        while (rc == 0 && w->tail < w->sent && tape_link_ready(w->job.link))
            rc = take(w);
    }
    if (tape_link_pending(w->job.link) > 0 && !w->lost) {
        int rest = drain(w);

        rc = rc != 0 ? rc : rest;
    }
    return rc;
}

/* --- sets --------------------------------------------------------------------------- */

static int
write_mark(struct writer *w, size_t *out_len)
{
    struct ri_tape_result result = { 0 };
    void *record;
    size_t len;
    int rc = tape_set_build(&w->mark, w->job.fixed, &record, &len);

    if (rc == 0) {
        memcpy(w->job.mark_room, record, len);
        free(record);
        rc = tape_link_write(w->job.link, w->job.mark_room, len, &result);
    }
    if (rc == 0)
        rc = tape_link_op(w->job.link, MTWEOF, 1, &result);
    *out_len = len;
    if (rc != 0 && rc != -ENOSPC)
        return tape_job_failed(&w->job, "set record", rc, &result);
    return rc == 0 ? 0 : -1;
}

/* Is there anything on the tape that must not be written over?  It lies at its
 * beginning, and does so afterwards.  0, 1 or -1: it was said. */
static int
look_at_tape(struct writer *w, struct tape_set_mark *out_mark, bool *out_ours)
{
    struct ri_tape_result result = { 0 };
    size_t size = w->job.mark_room_size;
    int rc, there;

    if (w->job.fixed > 0)
        size -= size % w->job.fixed;
    rc = tape_link_read(w->job.link, w->job.mark_room, size, &result);
    there = !(rc == 0 && result.bytes == 0 && result.end_of_data);
    *out_ours = rc == 0 && result.bytes > 0 &&
                tape_set_parse(w->job.mark_room, result.bytes, out_mark) == 0;
    if (rc == -EINTR || rc == -ECANCELED || rc == -ESHUTDOWN || rc == -EPIPE) {
        tape_job_failed(&w->job, "looking at the tape", rc, &result);
        return -1;
    }
    if (tape_job_op(&w->job, MTREW, 1, "rewind") != 0)
        return -1;
    return there;
}

static int
begin_part(struct writer *w)
{
    size_t len;
    int rc;

    w->mark.end = false;
    w->mark.total = w->job.total;
    w->mark.time = (int64_t) time(NULL);
    w->near_end = w->full = false;
    rc = write_mark(w, &len);
    if (rc < 0)
        rc = tape_job_refuse(&w->job, CLI_MEDIUM,
                             "the tape has no room for the record of its set");
    tape_job_name(&w->job);
    return rc;
}

/* -1: there was no room for the record. */
static int
end_part(struct writer *w, bool last, bool complete)
{
    size_t len;

    w->mark.end = true;
    w->mark.part_sum = w->job.part;
    w->mark.last = last;
    w->mark.complete = complete;
    tape_job_next_part(&w->job);
    w->mark.total = w->job.total;
    w->mark.before = w->mark.part_sum;
    return write_mark(w, &len);
}

/* The next tape, which must not be one of this set. */
static int
next_tape(struct writer *w)
{
    struct tape_set_mark found;
    bool ours;

    w->mark.part++;
    for (;;) {
        struct ri_tape_result result = { 0 };
        char name[RI_NAME_MAX];
        int rc, there;

        tape_job_wanted(&w->job, w->mark.part, name);
        rc = tape_link_next(w->job.link, name, !w->job.cli->overwrite, &result);
        if (rc != 0)
            return tape_job_failed(&w->job, "next tape", rc, &result);
        there = look_at_tape(w, &found, &ours);
        if (there < 0)
            return tape_job_stopped(&w->job) ? 128 + SIGINT : CLI_FAILED;
        if (ours && strcmp(found.set, w->mark.set) == 0)
            cli_say("%s: this tape is part %u of this set; another one is "
                    "needed for part %u",
                    w->job.drive, found.part, w->mark.part);
        else if (there > 0 && !w->job.cli->overwrite)
            cli_say("%s: this tape holds data; a blank one is needed for part "
                    "%u (--overwrite takes any)",
                    w->job.drive, w->mark.part);
        else
            return begin_part(w);
    }
}

static int
begin_set(struct writer *w)
{
    const char *label = w->job.cli->label;
    struct tape_set_mark found;
    struct mtget get;
    bool ours;
    int rc = tape_job_look(&w->job, &get, NULL);

    if (rc != 0)
        return rc;
    if (!GMT_BOT(get.mt_gstat)) {
        cli_say("%s: a set begins at the beginning of a tape: rewind it first",
                w->job.drive);
        return CLI_ILLEGAL;
    }
    rc = look_at_tape(w, &found, &ours);
    if (rc < 0)
        return CLI_FAILED;
    if (rc > 0 && !w->job.cli->overwrite) {
        return tape_job_refuse(
            &w->job, CLI_ILLEGAL,
            "the tape holds data%s%s; --overwrite writes over it",
            ours ? ", of the set " : "", ours ? found.label : "");
    }
    if (tape_set_new_id(w->mark.set) != 0) {
        return tape_job_refuse(&w->job, CLI_FAILED, "no random numbers");
    }
    if (label != NULL)
        snprintf(w->mark.label, sizeof w->mark.label, "%s", label);
    else
        snprintf(w->mark.label, sizeof w->mark.label, "set-%.8s", w->mark.set);
    w->mark.part = 1;
    w->mark.block_size = w->job.record;
    w->mark.padded = w->job.fixed > 0 && w->job.cli->pad;
    return begin_part(w);
}

/* --- all of it --------------------------------------------------------------------------- */

static bool
all_written(const struct writer *w)
{
    return w->input_over && w->tail == w->head;
}

static int
say_full(struct writer *w)
{
    return tape_job_refuse(&w->job, CLI_MEDIUM,
                           "the tape is full, and there is more to write: "
                           "--span would go on with another");
}

/* The data, and a filemark behind them: what is on tape is ended in order, by
 * whatever the data ended. */
static int
write_plain(struct writer *w)
{
    int rc, mark;

    tape_job_name(&w->job);
    rc = stream(w);
    if (rc == 0 && !all_written(w)) {
        rc = say_full(w);
    }
    mark = rc == 0 || w->full ? tape_job_op(&w->job, MTWEOF, 1, "filemark") : 0;
    tape_job_next_part(&w->job);
    return rc != 0 ? rc : mark;
}

/* One part; *out_last: no other has to follow. */
static int
write_part(struct writer *w, bool *out_last)
{
    struct ri_tape_result result = { 0 };
    int rc = stream(w), ended;
    bool last =
        all_written(w) || !w->job.cli->span || tape_job_stopped(&w->job);

    *out_last = true;
    if (rc != 0) {
        tape_job_next_part(&w->job);
        return rc;
    }
    ended = tape_link_op(w->job.link, MTWEOF, 1, &result);
    if (ended != 0 && ended != -ENOSPC)
        return tape_job_failed(&w->job, "filemark", ended, &result);
    if (ended == 0)
        ended = end_part(w, last,
                         all_written(w) && !w->input_failed &&
                             w->left_over == 0 && !tape_job_stopped(&w->job));
    else
        tape_job_next_part(&w->job);
    if (ended > 0)
        return ended;
    if (!all_written(w) && !w->job.cli->span) {
        return say_full(w);
    }
    /* Without room for its end the last part is followed by an empty one. */
    *out_last = last && ended == 0;
    return 0;
}

static int
write_set(struct writer *w)
{
    bool last = false;
    int rc = begin_set(w);

    while (rc == 0 && !last) {
        rc = write_part(w, &last);
        if (rc == 0 && !last)
            rc = next_tape(w);
    }
    return rc;
}

/* --- before anything is written ------------------------------------------------------------ */

static int
check_options(struct writer *w)
{
    const struct cli *cli = w->job.cli;
    size_t record = cli->block_size;
    struct stat input;
    size_t fixed = w->job.fixed;

    if (record == 0)
        record = fixed > DEFAULT_RECORD ? fixed
                 : fixed > 0            ? DEFAULT_RECORD / fixed * fixed
                                        : DEFAULT_RECORD;
    if (record > RI_TAPE_RECORD_MAX ||
        2 * record > w->job.window_size - w->job.mark_room_size) {
        return tape_job_refuse(&w->job, CLI_USAGE, "--block-size: at most %u",
                               RI_TAPE_RECORD_MAX / 2);
    }
    if (fixed > 0 && record % fixed != 0) {
        return tape_job_refuse(
            &w->job, CLI_ILLEGAL,
            "--block-size: the drive has fixed blocks of %zu bytes, of which "
            "%zu is no multiple (setblk 0 gives it variable ones)",
            fixed, record);
    }
    tape_job_cut(&w->job, record);
    if (fstat(STDIN_FILENO, &input) != 0 || !S_ISREG(input.st_mode))
        return 0;
    w->job.input_bytes = (uint64_t) input.st_size;
    if (fixed > 0 && !cli->pad && w->job.input_bytes % fixed != 0) {
        return tape_job_refuse(&w->job, CLI_ILLEGAL,
                               "the last block would be %" PRIu64
                               " bytes, and the drive has fixed blocks of %zu: "
                               "--pad fills it with zeros",
                               w->job.input_bytes % fixed, fixed);
    }
    return 0;
}

static int
ending(struct writer *w, int rc)
{
    if (rc == 0 && w->input_failed)
        rc = CLI_FAILED;
    if (w->left_over > 0) {
        tape_job_refuse(&w->job, 0,
                        "the last %zu bytes are not on the tape: the drive has "
                        "fixed blocks of %u, and --pad was not given",
                        w->left_over, w->job.fixed);
        rc = rc != 0 ? rc : CLI_ILLEGAL;
    }
    return rc == 0 && tape_job_stopped(&w->job) ? 128 + SIGINT : rc;
}

static int
go_to_file(struct writer *w)
{
    int rc = 0;

    if (w->job.cli->to_file) {
        rc = tape_job_op(&w->job, MTREW, 1, "rewind");
        if (rc == 0 && w->job.cli->file > 0)
            rc = tape_job_op(&w->job, MTFSF, w->job.cli->file, "forward");
    }
    return rc;
}

int
cli_tape_write(struct cli *cli, const char *drive)
{
    static struct writer w;
    int rc;

    w = (struct writer){
        .job = { .cli = cli, .drive = drive, .writes = true },
        .in_set = cli->span || cli->label != NULL,
    };
    if (cli->label != NULL && tape_set_check_label(cli->label) != 0) {
        cli_say("--label: at most %d printable ASCII characters",
                TAPE_SET_LABEL_MAX - 1);
        return CLI_USAGE;
    }
    fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    rc = tape_job_open(&w.job);
    if (rc != 0)
        return rc;
    rc = check_options(&w);
    if (rc == 0)
        rc = go_to_file(&w);
    if (rc == 0) {
        rc = w.in_set ? write_set(&w) : write_plain(&w);
        rc = ending(&w, tape_job_close(&w.job, rc));
        tape_job_report(&w.job, rc, w.in_set ? &w.mark : NULL);
        return rc;
    }
    return tape_job_close(&w.job, rc);
}
