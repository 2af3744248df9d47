/*
 * tape_read.c - reinsert tape DRIVE read: from tape to standard output
 *
 * The drive reads ahead into a ring of slots of the window; a filemark or the
 * end of the data holds it, so nothing behind is passed over.  What begins with
 * the record of a set is checked against what was written, tape by tape.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_RECORD (1u << 20)
#define PIPE_SIZE      (1 << 20)

/* Where it lies, and its checksum if the service has made it. */
struct record {
    const unsigned char *data;
    size_t size;
    bool summed;
    uint32_t sum;
};

struct reader {
    struct tape_job job;
    uint64_t next, oldest;      /* slot numbers, submitted and to be reaped */
    bool filemark, end_of_data; /* where the last file ended */
    bool lost;                  /* the service */
    bool holds;                 /* the last block may be padded: it is kept
                                 * back until its length is known */
    struct record held;
    struct tape_set_mark mark; /* the last one read */
};

/* --- output ---------------------------------------- */

static int
put(struct reader *r, const struct record *record)
{
    size_t done = 0;

    while (done < record->size) {
        ssize_t n =
            write(STDOUT_FILENO, record->data + done, record->size - done);

        if (n < 0 && errno == EINTR && !tape_job_stopped(&r->job))
            continue;
        if (n < 0 && tape_job_stopped(&r->job))
            return 128 + SIGINT;
        if (n < 0) {
            return tape_job_refuse(&r->job, CLI_FAILED, "standard output: %s",
                                   strerror(errno));
        }
        done += (size_t) n;
    }
    tape_job_count(&r->job,
                   record->summed ? record->sum
                                  : tape_job_sum(&r->job, r->mark.part > 0,
                                                 record->data, record->size),
                   record->size);
    return 0;
}

/* A record that was read; it stays where it is until the next one. */
static int
deliver(struct reader *r, const struct record *record)
{
    int rc = 0;

    if (!r->holds)
        return put(r, record);
    if (r->held.size > 0)
        rc = put(r, &r->held);
    r->held = *record;
    return rc;
}

/* --- the stream ---------------------------------------- */

static size_t
slot_offset(const struct reader *r, uint64_t number)
{
    return number % r->job.slots * ((r->job.record + 63) & ~(size_t) 63);
}

static int
submit(struct reader *r)
{
    int rc = tape_link_submit_read(r->job.link, slot_offset(r, r->next),
                                   r->job.record);

    if (rc != 0)
        return tape_job_failed(&r->job, "read", rc, NULL);
    r->next++;
    return 0;
}

/* What failed, exactly: -ENOMEM is about the record, not about memory. */
static int
read_failed(struct reader *r, int rc, const struct ri_tape_result *result)
{
    if (rc != -ENOMEM)
        return tape_job_failed(&r->job, "read", rc, result);
    return tape_job_refuse(
        &r->job, CLI_ILLEGAL,
        "read: the record behind the first %" PRIu64
        " is longer than %zu bytes: --block-size takes longer ones",
        r->job.part.records, r->job.record);
}

/* One answer; an exit code. */
static int
reap(struct reader *r)
{
    struct tape_link_done done;
    int rc = tape_link_reap(r->job.link, &done);

    if (rc != 0) {
        r->lost = true;
        return tape_job_failed(&r->job, "the service is gone", rc, NULL);
    }
    r->oldest++;
    if (done.skipped)
        return 0;
    /* Who reads on and on at the end of the data gets an error, as of st. */
    if (done.rc != 0 && !done.result.end_of_data)
        return read_failed(r, done.rc, &done.result);
    if (done.result.bytes > 0)
        rc = deliver(r, &(struct record){ .data = r->job.window + done.offset,
                                          .size = done.result.bytes,
                                          .summed = done.summed,
                                          .sum = done.sum });
    /* With data before it the mark is met, and reported, by the same read. */
    r->filemark |= done.result.filemark;
    r->end_of_data |= done.result.end_of_data;
    if (done.result.bytes == 0 && !r->filemark)
        r->end_of_data = true;
    return rc;
}

/* Records to the end of the file; both flags say which end. */
static int
stream(struct reader *r)
{
    /* One slot is kept for the record that is held back. */
    uint64_t ahead = r->job.slots - (r->holds ? 1 : 0);
    int rc = 0;

    r->filemark = r->end_of_data = false;
    r->next = r->oldest = 0;
    tape_link_want_sums(r->job.link, tape_job_sums(&r->job, r->mark.part > 0));
    tape_link_go_on(r->job.link); /* a mark that was read alone held it, too */
    while (rc == 0 && !r->filemark && !r->end_of_data &&
           !tape_job_stopped(&r->job)) {
        while (rc == 0 && r->next - r->oldest < ahead)
            rc = submit(r);
        if (rc == 0)
            rc = reap(r);
    }
    while (!r->lost && tape_link_pending(r->job.link) > 0) {
        struct tape_link_done done;

        r->lost = tape_link_reap(r->job.link, &done) != 0;
    }
    tape_link_go_on(r->job.link);
    if (rc == 0 && tape_job_stopped(&r->job))
        rc = 128 + SIGINT;
    return rc;
}

/* --- records of sets ---------------------------------------- */

enum found { NOT_OURS, OURS, NOTHING, BROKEN };

/* The next record; *out_bytes of it are in mark_room.  Negative: an exit code,
 * said. */
static int
read_mark(struct reader *r, struct tape_set_mark *out_mark, size_t *out_bytes)
{
    struct ri_tape_result result = { 0 };
    size_t size = r->job.mark_room_size;
    int rc;

    if (r->job.fixed > 0) {
        size = TAPE_SET_RECORD + r->job.fixed - 1;
        size -= size % r->job.fixed;
    } else if (r->job.record < size && r->job.record > TAPE_SET_RECORD) {
        size = r->job.record;
    }
    *out_bytes = 0;
    r->filemark = r->end_of_data = false;
    rc = tape_link_read(r->job.link, r->job.mark_room, size, &result);
    if (rc != 0 && !result.end_of_data)
        return -read_failed(r, rc, &result);
    *out_bytes = result.bytes;
    r->filemark = result.filemark;
    r->end_of_data = result.end_of_data;
    if (result.bytes == 0)
        return NOTHING;
    rc = tape_set_parse(r->job.mark_room, result.bytes, out_mark);
    return rc == 0 ? OURS : rc == -EBADMSG ? BROKEN : NOT_OURS;
}

static int
differs(struct reader *r, const char *what)
{
    return tape_job_refuse(
        &r->job, CLI_MEDIUM,
        "set %s, part %u: %s: the data are NOT what was written", r->mark.label,
        r->mark.part, what);
}

/* Behind a record of a set there is a filemark. */
static int
pass_filemark(struct reader *r)
{
    struct ri_tape_result result = { 0 };
    size_t size = r->job.mark_room_size;
    int rc;

    if (r->filemark)
        return 0;
    if (r->job.fixed > 0)
        size -= size % r->job.fixed;
    rc = tape_link_read(r->job.link, r->job.mark_room, size, &result);
    if (rc != 0)
        return read_failed(r, rc, &result);
    if (result.bytes > 0 || !result.filemark)
        return differs(r, "no filemark behind a record of the set");
    return 0;
}

static bool
same_sum(const struct tape_set_sum *a, const struct tape_set_sum *b)
{
    return a->bytes == b->bytes && a->crc == b->crc;
}

/* What was held back, now that the length of the data is known. */
static int
let_go(struct reader *r, uint64_t bytes)
{
    struct record record = r->held;

    r->held.size = 0;
    if (record.size == 0 || bytes <= r->job.part.bytes)
        return 0;
    if (bytes - r->job.part.bytes < record.size) {
        record.size = (size_t) (bytes - r->job.part.bytes);
        record.summed = false;
    }
    return put(r, &record);
}

/* The record behind the data.  *out_last: no part follows.  Without one the
 * next tape has to say what this part was. */
static int
end_of_part(struct reader *r, bool *out_last, bool *out_checked)
{
    struct tape_set_mark end = { 0 };
    size_t bytes;
    int found = read_mark(r, &end, &bytes), rc;

    *out_last = *out_checked = false;
    if (found < 0)
        return -found;
    if (found == NOTHING)
        return let_go(r, UINT64_MAX);
    if (found != OURS || !end.end || strcmp(end.set, r->mark.set) != 0 ||
        end.part != r->mark.part)
        return differs(r, "what follows its data is not its end");
    rc = let_go(r, end.part_sum.bytes);
    if (rc != 0)
        return rc;
    if (!same_sum(&end.part_sum, &r->job.part))
        return differs(r, "length or checksum differ");
    *out_last = end.last;
    *out_checked = true;
    r->mark = end;
    rc = pass_filemark(r);
    if (rc == 0 && end.last && !end.complete) {
        rc = tape_job_refuse(
            &r->job, CLI_FAILED,
            "set %s ends here, but not all that was meant was written",
            end.label);
    }
    return rc;
}

/* --- the next tape ---------------------------------------- */

/* Is it what is needed?  The set is known from part 1 on. */
static bool
is_wanted(struct reader *r, int found, const struct tape_set_mark *mark,
          unsigned part)
{
    char wanted[160];

    snprintf(wanted, sizeof wanted, "part %u of set %s is needed", part,
             r->mark.label);
    if (found != OURS || mark->end)
        cli_say("%s: this tape is of no set that can be read here; %s",
                r->job.drive, wanted);
    else if (strcmp(mark->set, r->mark.set) != 0)
        cli_say("%s: this tape is part %u of another set, %s; %s", r->job.drive,
                mark->part, mark->label, wanted);
    else if (mark->part != part)
        cli_say("%s: this tape is part %u of the set; %s", r->job.drive,
                mark->part, wanted);
    else
        return true;
    return false;
}

static int
next_tape(struct reader *r, unsigned part)
{
    for (;;) {
        struct ri_tape_result result = { 0 };
        struct tape_set_mark mark = { 0 };
        char name[RI_NAME_MAX];
        size_t bytes;
        int rc, found;

        tape_job_wanted(&r->job, part, name);
        if (name[0] == '\0')
            tape_set_tape_name(r->mark.label, part, name, sizeof name);
        rc = tape_link_next(r->job.link, name, false, &result);
        if (rc != 0)
            return tape_job_failed(&r->job, name, rc, &result);
        found = read_mark(r, &mark, &bytes);
        if (found < 0 && (tape_job_stopped(&r->job) || r->lost))
            return -found;
        if (!is_wanted(r, found, &mark, part))
            continue;
        r->mark = mark;
        tape_job_name(&r->job);
        return pass_filemark(r);
    }
}

/* The part before this one, as this tape has it: the one proof of continuity
 * that lies on another tape. */
static int
check_before(struct reader *r, const struct tape_set_sum *part)
{
    if (r->mark.part > 1 && (!same_sum(&r->mark.before, part) ||
                             !same_sum(&r->mark.total, &r->job.total)))
        return differs(r, "the part before it was another one");
    return 0;
}

/* --- all of it ---------------------------------------- */

static int
incomplete(struct reader *r)
{
    return tape_job_refuse(
        &r->job, CLI_FAILED,
        "set %s goes on with part %u: --span reads all of it", r->mark.label,
        r->mark.part + 1);
}

/* The tape lies behind the record of r->mark. */
static int
read_set(struct reader *r)
{
    bool last = false, checked = false;
    int rc = pass_filemark(r);

    if (rc == 0 && r->mark.part != 1 && r->job.cli->span) {
        cli_say("%s: this tape is part %u of set %s; part 1 is needed",
                r->job.drive, r->mark.part, r->mark.label);
        rc = next_tape(r, 1);
    } else {
        tape_job_name(&r->job);
    }
    while (rc == 0 && !last) {
        struct tape_set_sum part;

        r->holds = r->mark.padded;
        rc = stream(r);
        if (rc == 0 && r->end_of_data && !r->filemark)
            rc = differs(r, "no filemark behind its data");
        if (rc == 0)
            rc = end_of_part(r, &last, &checked);
        part = r->job.part;
        tape_job_next_part(&r->job);
        if (rc != 0 || last)
            break;
        if (!r->job.cli->span)
            return incomplete(r);
        rc = next_tape(r, r->mark.part + 1);
        if (rc == 0)
            rc = check_before(r, &part);
    }
    return rc;
}

static int
say_end(struct reader *r, int64_t done, int64_t files)
{
    return tape_job_refuse(&r->job, CLI_FAILED,
                           "the end of the data is reached; %" PRId64
                           " of %" PRId64 " files were read",
                           done, files);
}

/* Files as they are; the first record of the first one was read already, and
 * is in mark_room, unless --raw was given. */
static int
read_plain(struct reader *r, bool begun, size_t bytes)
{
    int64_t files = r->job.cli->all         ? INT64_MAX
                    : r->job.cli->files > 0 ? r->job.cli->files
                                            : 1;
    int64_t done = 0;
    int rc = 0;

    tape_job_name(&r->job);
    if (bytes > 0)
        rc =
            put(r, &(struct record){ .data = r->job.mark_room, .size = bytes });
    for (; rc == 0 && done < files && !r->end_of_data; done++) {
        uint64_t before = r->job.part.records;

        /* An empty file, or one of a record that ended with its mark, is over
         * already. */
        if (done > 0 || !begun || !r->filemark)
            rc = stream(r);
        if (rc == 0 && r->end_of_data && r->job.part.records == before &&
            !(done == 0 && bytes > 0))
            break;
    }
    if (rc == 0 && done < files && !r->job.cli->all)
        rc = say_end(r, done, files);
    tape_job_next_part(&r->job);
    return rc;
}

static int
read_all(struct reader *r)
{
    size_t bytes = 0;
    int found = NOT_OURS;

    if (r->job.cli->to_file) {
        int rc = tape_job_op(&r->job, MTREW, 1, "rewind");

        if (rc == 0 && r->job.cli->file > 0)
            rc = tape_job_op(&r->job, MTFSF, r->job.cli->file, "forward");
        if (rc != 0)
            return rc;
    }
    if (!r->job.cli->raw)
        found = read_mark(r, &r->mark, &bytes);
    if (found < 0)
        return -found;
    if (found == OURS && !r->mark.end) {
        size_t record = r->mark.block_size;

        if (record < TAPE_SET_RECORD)
            record = TAPE_SET_RECORD;
        if (r->job.fixed > 0)
            record += (r->job.fixed - record % r->job.fixed) % r->job.fixed;
        if (record > RI_TAPE_RECORD_MAX / 2)
            record = RI_TAPE_RECORD_MAX / 2;
        tape_job_cut(&r->job, record);
        return read_set(r);
    }
    if (r->job.cli->span || found == BROKEN) {
        if (found == BROKEN)
            return tape_job_refuse(&r->job, CLI_MEDIUM,
                                   "the record of its set is damaged: --raw "
                                   "reads the files as they are");
        return tape_job_refuse(&r->job, CLI_ILLEGAL, "no set begins here");
    }
    return read_plain(r, !r->job.cli->raw, bytes);
}

/* How long the longest record may be; in fixed block mode, how much is read at
 * a time. */
static int
check_options(struct reader *r)
{
    size_t record = r->job.cli->block_size;
    size_t fixed = r->job.fixed;

    if (record == 0)
        record = fixed > DEFAULT_RECORD ? fixed
                 : fixed > 0            ? DEFAULT_RECORD / fixed * fixed
                                        : DEFAULT_RECORD;
    if (record > RI_TAPE_RECORD_MAX / 2) {
        return tape_job_refuse(&r->job, CLI_USAGE, "--block-size: at most %u",
                               RI_TAPE_RECORD_MAX / 2);
    }
    if (fixed > 0 && record % fixed != 0) {
        return tape_job_refuse(
            &r->job, CLI_ILLEGAL,
            "--block-size: the drive has fixed blocks of %zu bytes, of which "
            "%zu is no multiple",
            fixed, record);
    }
    tape_job_cut(&r->job, record);
    return 0;
}

int
cli_tape_read(struct cli *cli, const char *drive)
{
    static struct reader r;
    int rc;

    r = (struct reader){ .job = { .cli = cli, .drive = drive } };
    fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    rc = tape_job_open(&r.job);
    if (rc != 0)
        return rc;
    rc = check_options(&r);
    if (rc == 0) {
        rc = read_all(&r);
        rc = tape_job_close(&r.job, rc);
        tape_job_report(&r.job, rc, r.mark.part > 0 ? &r.mark : NULL);
        return rc;
    }
    return tape_job_close(&r.job, rc);
}
