/*
 * check.h - drivers held to their rules
 *
 * In debug builds the hot routines take the long way (io_checked_*), which
 * keeps for each IRP its history and for each stack location what became of it.
 * With NDEBUG, IO_CHECKING is a constant 0 and the long way is not called.
 *
 * An IRP's history is a record of its own, named behind the IRP's last stack
 * location; references: the IRP's, and one of each dispatch and completion
 * routine that runs, because the IRP may be gone when that returns.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef IO_CHECK_H
#define IO_CHECK_H

#include "ke/irql.h"

#ifdef NDEBUG
#define IO_CHECKED  0
#define IO_CHECKING 0
#else
#define IO_CHECKED  1
#define IO_CHECKING __builtin_expect(ke_checks, 1)
#endif

/* Behind the stack locations: the history; else zeros, for drivers that look at
 * the flags of the location above the top, as they may on Windows. */
#define IO_IRP_TAIL 16

/* --- rules.c ------------------------------------------------------------- */

enum io_rule {
#define IO_RULE(id, name, code, sentence, page) IO_RULE_##id,
#include "io/rules.def"
#undef IO_RULE
    IO_RULE_COUNT,
};

/* A driver and one of its devices; never freed. */
struct io_label {
    char driver[48];
    char device[64];
};

const struct io_label *NTAPI io_label_of(PDEVICE_OBJECT device);

/* The culprit is the driver of `device`, or, when NULL, the one whose routine
 * runs on this thread. */
DECLSPEC_NORETURN VOID NTAPI
io_broken(enum io_rule rule, PDEVICE_OBJECT device, PIRP irp)
    __attribute__((cold));
/* label: NULL as above; detail: NULL, or what to say after the sentence. */
DECLSPEC_NORETURN VOID NTAPI
io_broken_by(enum io_rule rule, const struct io_label *label, PIRP irp,
             const char *detail) __attribute__((cold));

/* --- history.c ------------------------------------------------------------ */

enum io_event_kind {
    IO_EVENT_NONE,
    IO_EVENT_ALLOCATED,
    IO_EVENT_REUSED,
    IO_EVENT_CALL,
    IO_EVENT_PENDED,
    IO_EVENT_COMPLETED,
    IO_EVENT_MORE,              /* a completion routine kept it */
    IO_EVENT_CANCELLED,
    IO_EVENT_CANCEL_ROUTINE,
    IO_EVENT_VERIFY_SET,
    IO_EVENT_HARD_ERROR,
    IO_EVENT_RETRIED,
    IO_EVENT_FREED,
};

#define IO_HISTORY_EVENTS 16
#define IO_HISTORY_HOPS   8     /* more: from the pool */

struct io_event {
    uint64_t ns;
    const struct io_label *who;
    uint64_t what;              /* status 63:32, minor, major, kind 7:0 */
};

/* bits of io_hop.state; above them a number that grows with each call */
#define IO_HOP_DONE   1u        /* completed, or never called */
#define IO_HOP_MARKED 2u        /* it was marked pending then */
#define IO_HOP_PENDED 4u        /* the dispatch routine returned PENDING */
#define IO_HOP_STEP   8u

/* What became of the IRP in one stack location. */
struct io_hop {
    uint32_t state;             /* atomic */
    UCHAR control;              /* as it was called */
    PIO_COMPLETION_ROUTINE routine;
    PVOID context;
    const struct io_label *who;
};

struct io_history {
    uint64_t free_block[4];     /* struct io_free, while it is free */
    PIRP irp;
    LONG references;            /* atomic */
    ULONG next;                 /* atomic: events so far */
    UCHAR hop_count;
    BOOLEAN freed;              /* atomic: the IRP is */
    UCHAR verify_hop;           /* 1 + who set the device to verify, or 0 */
    PDEVICE_OBJECT verify_device;
    struct io_event events[IO_HISTORY_EVENTS];
    struct io_hop hops[IO_HISTORY_HOPS];
};

/* hop_count of them: more than declared where an IRP has more locations. */
static inline struct io_hop *
io_hops(struct io_history *history)
{
    return history->hops;
}

/* NULL: it has none. */
struct io_history *io_history_of(PIRP irp);
/* For a new IRP; without memory it has none. */
VOID NTAPI io_history_start(PIRP irp);
VOID NTAPI io_history_free(PIRP irp);
VOID NTAPI io_history_reuse(PIRP irp);
void io_history_ref(struct io_history *history);
void io_history_unref(struct io_history *history);
/* history may be NULL. */
void io_history_add(struct io_history *history, enum io_event_kind kind,
                    const struct io_label *who, UCHAR major, UCHAR minor,
                    NTSTATUS status);
VOID NTAPI io_history_note(PIRP irp, enum io_event_kind kind,
                           PDEVICE_OBJECT device, NTSTATUS status);
/* "allocated > call ..."; returns out_text. */
char *io_history_text(PIRP irp, char *out_text, size_t max);

/* --- check.c -------------------------------------------------------------- */

/* A driver's routine that runs on this thread. */
struct io_frame {
    struct io_frame *outer;
    const struct io_label *who;
    PIRP irp;
    struct io_history *history; /* referenced, or NULL */
    PDEVICE_OBJECT watched;     /* referenced: has DO_VERIFY_VOLUME, or NULL */
    uint64_t epoch;             /* of verifications, when it began */
    uint32_t state;             /* of the hop, when it began */
    UCHAR hop;                  /* index */
    bool dispatch;              /* else a completion or a cancel routine */
    bool marked;                /* pending, before it was called */
    bool passed;                /* it has passed the IRP on */
    KIRQL irql;
    unsigned spin_locks;
};

extern __thread struct io_frame *io_frames
    __attribute__((tls_model("initial-exec")));

NTSTATUS NTAPI io_checked_call(PDEVICE_OBJECT device, PIRP irp,
                               PIO_STACK_LOCATION location);
/* Again to the device that raised a hard error. */
NTSTATUS NTAPI io_checked_retry(PDEVICE_OBJECT device, PIRP irp,
                                PIO_STACK_LOCATION location);
/* Before anything was popped; then for each location, as it is popped. */
VOID NTAPI io_checked_complete(PIRP irp);
VOID NTAPI io_checked_pop(PIRP irp, PIO_STACK_LOCATION location);
NTSTATUS NTAPI io_checked_routine(PIRP irp, PIO_STACK_LOCATION location,
                                  PDEVICE_OBJECT device);
/* Called with the cancel lock, which the routine releases. */
VOID NTAPI io_checked_cancel(PIRP irp, PDRIVER_CANCEL routine,
                             PDEVICE_OBJECT device, const KSPIN_LOCK *lock);
VOID NTAPI io_checked_verify_set(PIRP irp, PDEVICE_OBJECT device);
/* Around anything that may clear DO_VERIFY_VOLUME by right. */
void io_verification_begin(void);
void io_verification_end(void);

/* --- locktags.c ------------------------------------------------------------ */

/* minutes, most: 0 is no limit. */
void io_lock_tags_start(PIO_REMOVE_LOCK lock, ULONG minutes, ULONG most);
void io_lock_tags_acquire(PIO_REMOVE_LOCK lock, PVOID tag, const char *file,
                          ULONG line);
void io_lock_tags_release(PIO_REMOVE_LOCK lock, PVOID tag);
/* How long it may be held, in 100 ns; 0: no limit. */
LONGLONG io_lock_tags_limit(PIO_REMOVE_LOCK lock);
/* Nobody holds it longer than that. */
void io_lock_tags_expect_free(PIO_REMOVE_LOCK lock);
/* Nobody holds one in its extension; they are forgotten. */
void io_lock_tags_device_deleted(PDEVICE_OBJECT device);
void io_lock_tags_shutdown(void);

#endif
