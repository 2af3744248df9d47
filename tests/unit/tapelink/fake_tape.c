/*
 * fake_tape.c - one tape drive with a tape in memory
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake_tape.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MARK SIZE_MAX

struct ri_tape {
    bool interrupted, cancelled;
    void (*waits)(void *context);
    void *context;
};

struct fake_tape fake_tape;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct ri_tape *session;
static size_t sizes[FAKE_RECORDS];
static size_t starts[FAKE_RECORDS];
static unsigned char bytes[FAKE_BYTES];
static unsigned count, at;
static bool back;

/* Read or written, and not given back. */
static struct lent {
    const void *data, *record;
    size_t size;
} lent[FAKE_RECORDS];
static unsigned lent_count;

void
fake_tape_reset(void)
{
    pthread_mutex_lock(&lock);
    memset(&fake_tape, 0, sizeof fake_tape);
    count = at = lent_count = 0;
    back = false;
    session = NULL;
    pthread_mutex_unlock(&lock);
}

void
fake_tape_return(void)
{
    pthread_mutex_lock(&lock);
    back = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

unsigned
fake_tape_count(const unsigned *what)
{
    unsigned value;

    pthread_mutex_lock(&lock);
    value = *what;
    pthread_mutex_unlock(&lock);
    return value;
}

bool
fake_tape_wait(const unsigned *what, unsigned value)
{
    struct timespec until;
    bool there;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&lock);
    while (*what != value &&
           pthread_cond_timedwait(&changed, &lock, &until) == 0)
        ;
    there = *what == value;
    pthread_mutex_unlock(&lock);
    return there;
}

void
fake_tape_name(char *out_name)
{
    pthread_mutex_lock(&lock);
    memcpy(out_name, fake_tape.last_name, RI_NAME_MAX);
    pthread_mutex_unlock(&lock);
}

const void *
fake_tape_record(unsigned n, size_t *out_size)
{
    if (n >= count || sizes[n] == MARK)
        return NULL;
    *out_size = sizes[n];
    return bytes + starts[n];
}

unsigned
fake_tape_records(void)
{
    return fake_tape_count(&count);
}

/* --- tape.h --------------------------------------------------------------------- */

static void
seen_locked(unsigned *what)
{
    ++*what;
    pthread_cond_broadcast(&changed);
}

int
ri_tapes(struct ri_service *service, struct ri_tape_info **out_list,
         size_t *out_count)
{
    struct ri_tape_info *list = calloc(1, sizeof *list);

    (void) service;
    if (list == NULL)
        return -ENOMEM;
    snprintf(list->drive, sizeof list->drive, "tape0");
    snprintf(list->state, sizeof list->state, "ready");
    snprintf(list->tape, sizeof list->tape, "VOL1");
    snprintf(list->format, sizeof list->format, "ANSI");
    list->capacity_bytes = FAKE_BYTES;
    list->file = 0;
    pthread_mutex_lock(&lock);
    list->block = at;
    list->open = session != NULL;
    pthread_mutex_unlock(&lock);
    *out_list = list;
    *out_count = 1;
    return 0;
}

int
ri_tape_open(struct ri_service *service, const char *drive,
             const struct ri_tape_how *how, struct ri_tape **out_tape,
             struct ri_error *out_error)
{
    struct ri_tape *tape;
    int rc = 0;

    (void) service;
    pthread_mutex_lock(&lock);
    snprintf(fake_tape.last_name, sizeof fake_tape.last_name, "%s", how->tape);
    if (strcmp(drive, "tape0") != 0)
        rc = -ENODEV;
    else if (session != NULL)
        rc = -EBUSY;
    tape = rc == 0 ? calloc(1, sizeof *tape) : NULL;
    if (tape != NULL) {
        session = tape;
        at = 0;
        seen_locked(&fake_tape.opened);
    }
    pthread_mutex_unlock(&lock);
    if (rc == 0 && tape == NULL)
        rc = -ENOMEM;
    if (rc != 0) {
        if (out_error != NULL)
            snprintf(out_error->text, sizeof out_error->text,
                     "drive %.100s: %s", drive, strerror(-rc));
        return rc;
    }
    *out_tape = tape;
    return 0;
}

/* 0, or why it does not go on. */
static int
wait_locked(struct ri_tape *tape)
{
    if (tape->waits != NULL) {
        pthread_mutex_unlock(&lock);
        tape->waits(tape->context);
        pthread_mutex_lock(&lock);
    }
    seen_locked(&fake_tape.waiting);
    while (!back && !tape->interrupted && !tape->cancelled)
        pthread_cond_wait(&changed, &lock);
    fake_tape.waiting--;
    pthread_cond_broadcast(&changed);
    if (tape->cancelled)
        return -ECANCELED;
    if (tape->interrupted)
        return -EINTR;
    return 0;
}

int
ri_tape_close(struct ri_tape *tape, struct ri_tape_result *out_result)
{
    memset(out_result, 0, sizeof *out_result);
    pthread_mutex_lock(&lock);
    tape->interrupted = false;
    if (fake_tape.slow_close)
        (void) wait_locked(tape);
    session = NULL;
    seen_locked(&fake_tape.closed);
    pthread_mutex_unlock(&lock);
    free(tape);
    return 0;
}

static int
begin_locked(struct ri_tape *tape, struct ri_tape_result *out_result)
{
    memset(out_result, 0, sizeof *out_result);
    if (tape->cancelled)
        return -ECANCELED;
    tape->interrupted = false;
    return fake_tape.away != 0 && at + 1 == fake_tape.away && !back
               ? wait_locked(tape)
               : 0;
}

static int
read_locked(void *data, size_t size, struct ri_tape_result *out_result)
{
    size_t len;

    if (at == count) {
        out_result->end_of_data = true;
        return 0;
    }
    len = sizes[at++];
    if (len == MARK) {
        out_result->filemark = true;
        return 0;
    }
    out_result->bytes = len < size ? len : size;
    memcpy(data, bytes + starts[at - 1], out_result->bytes);
    return len <= size ? 0 : -ENOMEM;
}

int
ri_tape_read(struct ri_tape *tape, void *data, size_t size,
             struct ri_tape_result *out_result)
{
    int rc;

    pthread_mutex_lock(&lock);
    rc = begin_locked(tape, out_result);
    if (rc == 0)
        rc = read_locked(data, size, out_result);
    if (rc != 0)
        snprintf(out_result->text, sizeof out_result->text, "not read: %s",
                 strerror(-rc));
    pthread_mutex_unlock(&lock);
    return rc;
}

static int
add_locked(const void *data, size_t size)
{
    unsigned most = fake_tape.full != 0 ? fake_tape.full : FAKE_RECORDS;
    size_t start = at == 0 ? 0 : starts[at - 1];

    if (at > 0 && sizes[at - 1] != MARK)
        start += sizes[at - 1];
    if (at >= most || (size != MARK && size > FAKE_BYTES - start))
        return -ENOSPC;
    starts[at] = start;
    sizes[at] = size;
    if (size != MARK)
        memcpy(bytes + start, data, size);
    count = ++at;
    return 0;
}

/* The last record was lent. */
static int
note_lent(const void *data, int rc, const struct ri_tape_result *result)
{
    pthread_mutex_lock(&lock);
    if (rc == 0 && result->bytes > 0 && lent_count < FAKE_RECORDS)
        lent[lent_count++] =
            (struct lent){ data, bytes + starts[at - 1], result->bytes };
    pthread_mutex_unlock(&lock);
    return rc;
}

int
ri_tape_read_lent(struct ri_tape *tape, void *data, size_t size,
                  struct ri_tape_result *out_result)
{
    return note_lent(data, ri_tape_read(tape, data, size, out_result),
                     out_result);
}

int
ri_tape_write_lent(struct ri_tape *tape, const void *data, size_t size,
                   struct ri_tape_result *out_result)
{
    return note_lent(data, ri_tape_write(tape, data, size, out_result),
                     out_result);
}

void
ri_tape_give_back(struct ri_tape *tape)
{
    (void) tape;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < lent_count; i++)
        if (memcmp(lent[i].data, lent[i].record, lent[i].size) != 0)
            fake_tape.spoilt++;
    fake_tape.given_back += lent_count;
    lent_count = 0;
    pthread_mutex_unlock(&lock);
}

int
ri_tape_write(struct ri_tape *tape, const void *data, size_t size,
              struct ri_tape_result *out_result)
{
    int rc;

    pthread_mutex_lock(&lock);
    rc = begin_locked(tape, out_result);
    if (rc == 0)
        rc = add_locked(data, size);
    out_result->end_of_tape = rc == -ENOSPC;
    if (rc == 0) {
        out_result->bytes = size;
        out_result->early_warning =
            fake_tape.warning != 0 && at >= fake_tape.warning;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int
ri_tape_op(struct ri_tape *tape, int mt_op, int64_t n,
           struct ri_tape_result *out_result)
{
    int rc;

    pthread_mutex_lock(&lock);
    rc = begin_locked(tape, out_result);
    seen_locked(&fake_tape.ops);
    fake_tape.last_op = mt_op;
    fake_tape.last_count = n;
    if (rc == 0 && mt_op == MTREW)
        at = 0;
    else if (rc == 0 && mt_op == MTWEOF)
        for (; n > 0 && rc == 0; n--)
            rc = add_locked(NULL, MARK);
    else if (rc == 0)
        rc = -ENOSYS;
    pthread_mutex_unlock(&lock);
    return rc;
}

int
ri_tape_status(struct ri_tape *tape, struct mtget *out_get,
               struct mtpos *out_pos, struct ri_tape_info *out_info)
{
    struct ri_tape_info *list;
    size_t n;

    (void) tape;
    if (ri_tapes(NULL, &list, &n) != 0)
        return -ENOMEM;
    *out_info = list[0];
    free(list);
    *out_get = (struct mtget){ .mt_type = MT_ISSCSI2,
                               .mt_blkno = (int) out_info->block };
    *out_pos = (struct mtpos){ .mt_blkno = out_info->block };
    return 0;
}

int
ri_tape_next(struct ri_tape *tape, const char *next, bool blank,
             struct ri_tape_result *out_result)
{
    int rc;

    pthread_mutex_lock(&lock);
    rc = begin_locked(tape, out_result);
    snprintf(fake_tape.last_name, sizeof fake_tape.last_name, "%s%s", next,
             blank ? " blank" : "");
    if (rc == 0)
        count = at = 0;
    seen_locked(&fake_tape.nexts);
    pthread_mutex_unlock(&lock);
    return rc;
}

void
ri_tape_before_waits(struct ri_tape *tape, void (*waits)(void *context),
                     void *context)
{
    tape->waits = waits;
    tape->context = context;
}

void
ri_tape_cancel(struct ri_tape *tape)
{
    pthread_mutex_lock(&lock);
    tape->cancelled = true;
    seen_locked(&fake_tape.cancelled);
    pthread_mutex_unlock(&lock);
}

void
ri_tape_interrupt(struct ri_tape *tape)
{
    pthread_mutex_lock(&lock);
    tape->interrupted = true;
    seen_locked(&fake_tape.interrupted);
    pthread_mutex_unlock(&lock);
}
