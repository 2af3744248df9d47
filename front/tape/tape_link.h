/*
 * tape_link.h - a tape of a service, for other programs
 *
 * The calls of tape.h through the control socket, with the same meaning and
 * the same errors, and records in a row without a wait between them.  Besides
 * those errors: -ECONNREFUSED and -ENOENT when no service is there, -EPIPE when
 * it is gone.
 *
 * Data pass through a window of memory that both sides see; records that lie in
 * it are not copied.  A link is used by one thread at a time, but for
 * tape_link_cancel and tape_link_interrupt.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPELINK_TAPE_LINK_H
#define TAPELINK_TAPE_LINK_H

#include <tape.h>

struct tape_link;
struct tape_link_window;        /* may serve several links */

#define TAPE_LINK_WINDOW  (32u << 20)   /* of a link of its own */
#define TAPE_LINK_PENDING 128   /* records on their way, at most */

/* --- windows -------------------------------------------------------------------- */

/* At most 64 MiB.  0, or -errno. */
int tape_link_window_new(size_t size, struct tape_link_window **out_window);
void tape_link_window_free(struct tape_link_window *window);
void *tape_link_window_base(const struct tape_link_window *window);

/* --- a session ------------------------------------------------------------------ */

/* control: the path of the socket. */
int tape_link_open(const char *control, const char *drive,
                   const struct ri_tape_how *how, struct tape_link **out_link,
                   struct ri_error *out_error);
/* With a window that outlives the link; NULL: one of its own. */
int tape_link_open_in(const char *control, const char *drive,
                      const struct ri_tape_how *how,
                      struct tape_link_window *window,
                      struct tape_link **out_link, struct ri_error *out_error);
/* Records on their way are carried out first.  The link is gone whatever is
 * returned; NULL: nothing.  out_result may be NULL. */
int tape_link_close(struct tape_link *link, struct ri_tape_result *out_result);

/*
 * One at a time: -EBUSY while records are on their way.  Data that do not lie
 * in the window are copied through it; -EFAULT if it is not the link's own.
 * out_result may be NULL.
 */
int tape_link_read(struct tape_link *link, void *data, size_t size,
                   struct ri_tape_result *out_result);
int tape_link_write(struct tape_link *link, const void *data, size_t size,
                    struct ri_tape_result *out_result);
int tape_link_op(struct tape_link *link, int mt_op, int64_t count,
                 struct ri_tape_result *out_result);
/* One round trip; what is NULL is left out. */
int tape_link_status(struct tape_link *link, struct mtget *out_get,
                     struct mtpos *out_pos, struct ri_tape_info *out_info);
int tape_link_next(struct tape_link *link, const char *next, bool blank,
                   struct ri_tape_result *out_result);

/* Any thread, any time between open and close. */
void tape_link_cancel(struct tape_link *link);
void tape_link_interrupt(struct tape_link *link);

/* --- records in a row ----------------------------------------------------------- */

/* The window; records are cut out of it by the caller. */
void *tape_link_buffer(const struct tape_link *link, size_t *out_size);

/* The bytes are the link's until the record was reaped.  -EAGAIN: as many are
 * on their way as may be; -EINVAL: not in the window, or too long. */
int tape_link_submit_write(struct tape_link *link, size_t offset, size_t size);
int tape_link_submit_read(struct tape_link *link, size_t offset, size_t size);
/*
 * Are checksums wanted of what is read from now on?  The service makes them
 * while the data are in the cache of its processor, from where another one would
 * have to fetch them; of long records it makes none.
 */
void tape_link_want_sums(struct tape_link *link, bool want);

struct tape_link_done {
    bool write;
    bool skipped;               /* not carried out: one before it ended the
                                 * stream; rc is -ECANCELED */
    int rc;                     /* as ri_tape_read and ri_tape_write */
    size_t offset, size;        /* as submitted */
    bool summed;                /* read: sum is the CRC-32C of its bytes */
    uint32_t sum;
    struct ri_tape_result result;
};

/*
 * The oldest record on its way, in order; waits for it.  -ENOENT: there is
 * none; -EPIPE: the service is gone, and what was not reaped may be written or
 * not.
 *
 * A record that fails, a read that ends at a filemark or at the end of the
 * data, and a write with early_warning end the stream: what was submitted
 * behind them is skipped, until tape_link_go_on, or one of the calls above,
 * after they were reaped.
 */
int tape_link_reap(struct tape_link *link, struct tape_link_done *out_done);
/* Would tape_link_reap return at once? */
bool tape_link_ready(struct tape_link *link);
/* Readable when there may be more to reap; for poll, and nothing else. */
int tape_link_fd(const struct tape_link *link);
/* How many are on their way. */
unsigned tape_link_pending(const struct tape_link *link);
/* What is submitted from now on is carried out again. */
void tape_link_go_on(struct tape_link *link);

#endif
