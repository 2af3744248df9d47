/*
 * tape_job.c - a tape session for a stream of data: beginning, end, counting
 *
 * Signals: the first one ends the input and whatever waits for a tape, so that
 * all that is on its way is written and a filemark put behind it; a second one
 * gives up at once.  A thread takes them, because the link may not be called
 * from a handler; SIGUSR1 only gets the main thread out of a system call.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tapelink/crc32c.h"

#define AGAIN_NS 50000000

uint64_t
tape_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

bool
tape_job_stopped(const struct tape_job *job)
{
    return atomic_load_explicit(&job->stop, memory_order_acquire) > 0;
}

/* --- failures ------------------------------------------------------------------- */

static int
exit_code(int rc)
{
    static const struct {
        int error, code;
    } rows[] = {
        { EROFS, CLI_PROTECTED },
        { EACCES, CLI_PROTECTED },
        { EIO, CLI_MEDIUM },
        { ENOSPC, CLI_MEDIUM },
        { ENOMEM, CLI_ILLEGAL },
        { EINVAL, CLI_ILLEGAL },
        { ENOSYS, CLI_ILLEGAL },
        { ENOMEDIUM, CLI_NOT_READY },
        { EMEDIUMTYPE, CLI_NOT_READY },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].error == -rc)
            return rows[i].code;
    return CLI_FAILED;
}

int
tape_job_failed(struct tape_job *job, const char *what, int rc,
                const struct ri_tape_result *result)
{
    const char *text = result != NULL ? result->text : "";

    snprintf(job->why, sizeof job->why, "%s: %s", what,
             text[0] != '\0' ? text : strerror(-rc));
    /* What was on its way was cancelled by us, and by nobody's answer. */
    if ((rc == -EINTR || rc == -ECANCELED) && tape_job_stopped(job))
        return 128 + SIGINT;
    cli_say("%s: %s", job->drive, job->why);
    return tape_job_stopped(job) ? 128 + SIGINT : exit_code(rc);
}

int
tape_job_refuse(struct tape_job *job, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(job->why, sizeof job->why, format, args);
    va_end(args);
    cli_say("%s: %s", job->drive, job->why);
    return code;
}

/* --- signals ---------------------------------------------------------------------- */

static void
nothing(int signal_number)
{
    (void) signal_number;
}

struct signal_start {
    struct tape_job *job;
    pthread_t main_thread;
};

static void
stop(struct tape_job *job)
{
    int before = atomic_fetch_add(&job->stop, 1), null;

    /* Whatever is read of the input from now on is its end. */
    null = job->writes ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    if (before == 0)
        tape_link_interrupt(job->link);
    else
        tape_link_cancel(job->link);
}

/* What wakes the main thread may come just before it begins to wait, for room
 * in its output: so it comes again and again. */
static void *
take_signals(void *context)
{
    static const struct timespec again = { .tv_nsec = AGAIN_NS };
    struct signal_start start = *(struct signal_start *) context;
    struct tape_job *job = start.job;
    sigset_t set;
    int number = 0;

    free(context);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    while (number != SIGUSR2) {
        number = tape_job_stopped(job) ? sigtimedwait(&set, NULL, &again)
                                       : sigwaitinfo(&set, NULL);
        if (number == SIGINT || number == SIGTERM)
            stop(job);
        if (number != SIGUSR2 && tape_job_stopped(job))
            pthread_kill(start.main_thread, SIGUSR1);
    }
    return NULL;
}

/* SIGUSR2 ends the thread; all are blocked in every thread but there. */
static void
begin_signals(struct tape_job *job)
{
    struct sigaction wake = { .sa_handler = nothing };
    struct signal_start *start = malloc(sizeof *start);
    sigset_t set;

    sigemptyset(&wake.sa_mask);
    sigaction(SIGUSR1, &wake, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (start == NULL)
        return;
    *start = (struct signal_start){ job, pthread_self() };
    job->signals =
        pthread_create(&job->signal_thread, NULL, take_signals, start) == 0;
    if (!job->signals) {
        free(start);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
}

/* From then on they end the program: the service does without it. */
static void
end_signals(struct tape_job *job)
{
    sigset_t set;

    if (!job->signals)
        return;
    pthread_kill(job->signal_thread, SIGUSR2);
    pthread_join(job->signal_thread, NULL);
    job->signals = false;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- beginning and end ---------------------------------------------------------------- */

/* Enough that both ends have something to do; more of it would leave the
 * processor's cache in between. */
void
tape_job_cut(struct tape_job *job, size_t record)
{
    size_t room = job->window_size - job->mark_room_size;
    size_t apart = (record + 63) & ~(size_t) 63;
    size_t slots = TAPE_IN_FLIGHT / apart;

    if (slots < 4)
        slots = 4;
    if (slots > TAPE_LINK_PENDING)
        slots = TAPE_LINK_PENDING;
    if (slots > room / apart)
        slots = room / apart;
    job->record = record;
    job->slots = (unsigned) slots;
}

int
tape_job_look(struct tape_job *job, struct mtget *out_get,
              struct ri_tape_info *out_info)
{
    int rc = tape_link_status(job->link, out_get, NULL, out_info);

    return rc == 0 ? 0 : tape_job_failed(job, "status", rc, NULL);
}

static int
learn(struct tape_job *job)
{
    struct ri_tape_info info;
    struct mtget get;
    int rc = tape_job_look(job, &get, &info);

    if (rc != 0)
        return rc;
    job->fixed = (uint32_t) get.mt_dsreg & MT_ST_BLKSIZE_MASK;
    job->room_bytes = info.remaining_bytes;
    job->window = tape_link_buffer(job->link, &job->window_size);
    job->mark_room_size = TAPE_MARK_ROOM;
    if (job->fixed > TAPE_MARK_ROOM)
        job->mark_room_size = (job->fixed + 4095) & ~(size_t) 4095;
    job->mark_room = job->window + job->window_size - job->mark_room_size;
    return 0;
}

void
tape_job_wanted(const struct tape_job *job, unsigned part, char *out_name)
{
    const char *names = job->cli->tape != NULL ? job->cli->tape : "";
    size_t len;

    for (; part > 1 && names[0] != '\0'; part--) {
        names += strcspn(names, ",");
        names += names[0] == ',';
    }
    len = strcspn(names, ",");
    if (len >= RI_NAME_MAX)
        len = RI_NAME_MAX - 1;
    memcpy(out_name, names, len);
    out_name[len] = '\0';
}

/* Opening waits for nobody; the first motion does, also one over nothing.  That
 * the place is not known is for what follows: it may be a rewind. */
static int
wait_for_tape(struct tape_job *job)
{
    struct ri_tape_result result = { 0 };
    int rc = tape_link_op(job->link, MTFSR, 0, &result);

    return rc == 0 || rc == -EIO
               ? 0
               : tape_job_failed(job, "waiting for the tape", rc, &result);
}

int
tape_job_open(struct tape_job *job)
{
    struct ri_tape_how how = { .write = job->writes };
    struct ri_error error = { 0 };
    int rc;

    cli_control_path(job->cli, job->control, sizeof job->control);
    tape_job_wanted(job, 1, how.tape);
    rc = tape_link_open(job->control, job->drive, &how, &job->link, &error);
    if (rc != 0) {
        cli_say("%s: %s", job->drive,
                error.text[0] != '\0' ? error.text : strerror(-rc));
        return exit_code(rc);
    }
    begin_signals(job);
    job->began_ns = tape_now_ns();
    tape_progress_start(job);
    rc = how.tape[0] != '\0' ? wait_for_tape(job) : 0;
    job->began_ns = tape_now_ns();
    if (rc == 0)
        rc = learn(job);
    return rc != 0 ? tape_job_close(job, rc) : 0;
}

int
tape_job_close(struct tape_job *job, int rc)
{
    struct ri_tape_result result = { 0 };
    int closed;

    tape_progress_end(job);
    /* Closing would ask for the tape that was just given up. */
    if (rc == 128 + SIGINT)
        tape_link_cancel(job->link);
    end_signals(job);
    closed = tape_link_close(job->link, &result);
    job->link = NULL;
    if (closed != 0 && rc == 0)
        return tape_job_failed(job, "closing", closed, &result);
    if (result.text[0] != '\0')
        cli_say("%s: %s", job->drive, result.text);
    return rc;
}

int
tape_job_op(struct tape_job *job, int mt_op, int64_t count, const char *what)
{
    struct ri_tape_result result = { 0 };
    int rc = tape_link_op(job->link, mt_op, count, &result);

    return rc == 0 ? 0 : tape_job_failed(job, what, rc, &result);
}

/* --- counting --------------------------------------------------------------------------- */

bool
tape_job_sums(const struct tape_job *job, bool in_set)
{
    return in_set || job->cli->json || !job->cli->quiet;
}

uint32_t
tape_job_sum(const struct tape_job *job, bool in_set, const void *data,
             size_t size)
{
    return tape_job_sums(job, in_set) ? crc32c(0, data, size) : 0;
}

void
tape_job_count(struct tape_job *job, uint32_t crc, size_t bytes)
{
    /* Nearly all are as long as the one before. */
    if (bytes != job->shift_of) {
        job->shift_of = bytes;
        job->shift = crc32c_shift(bytes);
    }
    job->part.crc = crc32c_join_shift(job->part.crc, crc, job->shift);
    job->part.bytes += bytes;
    job->part.records++;
    atomic_store_explicit(&job->done, job->total.bytes + job->part.bytes,
                          memory_order_relaxed);
}

void
tape_job_next_part(struct tape_job *job)
{
    job->total.crc =
        crc32c_join(job->total.crc, job->part.crc, job->part.bytes);
    job->total.bytes += job->part.bytes;
    job->total.records += job->part.records;
    job->part = (struct tape_set_sum){ 0 };
}

void
tape_job_name(struct tape_job *job)
{
    struct ri_tape_info info;
    size_t used = strlen(job->tapes);

    if (tape_link_status(job->link, NULL, NULL, &info) != 0)
        return;
    job->room_bytes = info.remaining_bytes +
                      atomic_load_explicit(&job->done, memory_order_relaxed);
    snprintf(job->tapes + used, sizeof job->tapes - used, "%s%s",
             used > 0 ? ", " : "", info.tape[0] != '\0' ? info.tape : "?");
}

/* --- the last line ------------------------------------------------------------------------ */

static void
report_json(const struct tape_job *job, int rc, double seconds,
            const struct tape_set_mark *mark)
{
    json_t *reply, *set;
    char crc[9];

    snprintf(crc, sizeof crc, "%08" PRIx32, job->total.crc);
    reply =
        json_pack("{ss ss sI sI ss sf sf sb si ss*}", "drive", job->drive,
                  "tapes", job->tapes, "bytes", (json_int_t) job->total.bytes,
                  "records", (json_int_t) job->total.records, "crc32c", crc,
                  "seconds", seconds, "bytes_per_second",
                  seconds > 0 ? (double) job->total.bytes / seconds : 0.0,
                  "interrupted", tape_job_stopped(job), "exit_code", rc,
                  "error", job->why[0] != '\0' ? job->why : NULL);
    if (mark != NULL && mark->part > 0) {
        set = json_pack("{ss ss si}", "label", mark->label, "id", mark->set,
                        "parts", (int) mark->part);
        json_object_set_new(reply, "set", set);
    }
    /* The data of a read are on standard output. */
    json_dumpf(reply, job->writes ? stdout : stderr, JSON_INDENT(2));
    fputc('\n', job->writes ? stdout : stderr);
    json_decref(reply);
}

void
tape_job_report(const struct tape_job *job, int rc,
                const struct tape_set_mark *mark)
{
    double seconds = (double) (tape_now_ns() - job->began_ns) / 1e9;
    char size[32], rate[32];

    if (job->cli->json) {
        report_json(job, rc, seconds, mark);
        return;
    }
    if (job->cli->quiet)
        return;
    format_size(job->total.bytes, size, sizeof size);
    format_size(seconds > 0 ? (uint64_t) ((double) job->total.bytes / seconds)
                            : 0,
                rate, sizeof rate);
    fprintf(stderr,
            "%s%" PRIu64 " bytes (%s) in %" PRIu64 " record%s %s %s, %.1f s, "
            "%s/s, CRC-32C %08" PRIx32 "\n",
            tape_job_stopped(job) ? "interrupted: " : "", job->total.bytes,
            size, job->total.records, job->total.records == 1 ? "" : "s",
            job->writes ? "are on" : "read from",
            job->tapes[0] != '\0' ? job->tapes : job->drive, seconds, rate,
            job->total.crc);
}
