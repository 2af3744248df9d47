/*
 * prompt_internal.h - the broker's own: a prompt, the list, who does what
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROMPT_PROMPT_INTERNAL_H
#define PROMPT_PROMPT_INTERNAL_H

#include "prompt/prompt.h"

#define PROMPT_TAG     0x746D7250 /* 'Prmt' */
#define PROMPT_OF(irp) ((irp)->Tail.Overlay.DriverContext[1])

enum group { GROUP_ABSENT, GROUP_PROTECTED, GROUP_TIMEOUT, GROUP_OTHER };

struct text {
    NTSTATUS status;
    enum group group;
    const char *title, *inserts, *why, *what;
};

/* Is a drive that did not answer tried again?  again.c */
enum again {
    AGAIN_NOT,
    AGAIN_LATER,                /* by again_timer, or its work */
    AGAIN_SENT,                 /* `sent` is on its way, in broker.sent */
    AGAIN_ANSWERED,             /* ... and was answered: again_work says so */
    AGAIN_GONE,                 /* ... and its client gave up */
};

/* What a question without a request is about: its inserts, and who waits. */
struct call {
    BOOLEAN notice; /* nobody waits */
    char volume[RI_NAME_MAX], drive[RI_NAME_MAX];
    ULONG options;
    ULONG response;
    KEVENT answered;
};

struct prompt {
    LIST_ENTRY link;
    uint64_t id;
    PVPB vpb;            /* borrowed: volumes keep theirs */
    PDEVICE_OBJECT real; /* borrowed */
    struct call *call;   /* not of a volume: vpb is NULL */
    NTSTATUS status;
    enum group group;
    uint64_t since_ms;
    uint32_t waiting;
    LIST_ENTRY irps;
    LIST_ENTRY ended; /* taken out, to be dispatched by work */
    WORK_QUEUE_ITEM work;
    KTIMER timer;
    KDPC dpc;
    WORK_QUEUE_ITEM timeout_work;
    BOOLEAN timer_set;
    BOOLEAN used;    /* answered use, which is under way */
    BOOLEAN robot;   /* a robot brings it: nobody is asked */
    LONG references; /* the list, the timer, `again` */

    enum again again;
    ULONG again_s;   /* the next pause */
    PIRP sent;       /* borrowed: tells of its end, or comes back */
    BOOLEAN sent_cancelled; /* a person gave it up meanwhile */
    LIST_ENTRY again_link;
    KTIMER again_timer;
    KDPC again_dpc;
    WORK_QUEUE_ITEM again_work;
};

/*
 * A program that got its error often has more to say at once: the rest of its
 * queue, a last flush.  For a moment after a cancel such requests get the same
 * answer, instead of the same question.
 */
#define GRACE_MS  2000
#define GRACE_MAX 16

struct broker {
    KSPIN_LOCK lock;
    LIST_ENTRY prompts;
    LIST_ENTRY sent;  /* prompts with a request that is tried again */
    struct grace {
        PVPB vpb;
        enum group group;
        uint64_t until_ms;
    } grace[GRACE_MAX];
    unsigned next_grace;
    uint64_t next_id;
    struct prompt_host host;
    unsigned timeout_s;
    enum ri_no_operator policy;
    BOOLEAN suppress; /* atomic */
    BOOLEAN over;     /* nobody answers any more; under the lock */
};

extern struct broker broker;

/* A picture of a prompt, taken under the lock. */
struct facts {
    uint64_t id;
    PVPB vpb;
    PDEVICE_OBJECT real;
    NTSTATUS status;
    uint64_t since_ms;
    uint32_t waiting;
    BOOLEAN used;
    BOOLEAN robot;
    BOOLEAN called; /* the next two are what it is about */
    char volume[RI_NAME_MAX], drive[RI_NAME_MAX];
};

/* Other words, where it is about a tape. */
struct tape_text {
    NTSTATUS status;
    const char *title, *why, *what;
};

/* text.c */
extern const struct text prompt_other;
const struct text *prompt_text_for(NTSTATUS status);
struct facts prompt_facts(const struct prompt *prompt);
void prompt_describe(const struct facts *facts, struct ri_prompt_info *out);
void prompt_tell(enum prompt_event event, const struct facts *facts);

/* prompt.c */
void prompt_set_timeout_locked(struct prompt *prompt);
void prompt_unref(struct prompt *prompt);
/* Takes the prompt off the list, which the caller tells of; then its requests
 * go on, which drops the list's reference. */
void prompt_end_locked(struct prompt *prompt);
void prompt_retry_ended(struct prompt *prompt);
/* FALSE: it was cancelled, and is the caller's. */
BOOLEAN prompt_may_wait_locked(PIRP irp);

/* again.c */
void prompt_again_init(struct prompt *prompt);
/* Somebody waits for it. */
void prompt_again_locked(struct prompt *prompt);
void prompt_again_never_locked(struct prompt *prompt);
/* The prompt whose request that was sent is raised anew, or NULL; with its
 * reference, for prompt_sent_settled.  out_cancelled: it is to fail. */
struct prompt *prompt_sent_back(PIRP irp, BOOLEAN *out_cancelled);
/* same: it waits with this prompt again. */
void prompt_sent_settled(struct prompt *prompt, BOOLEAN same);

/* robot.c */
/* Can a robot help with that reason? */
BOOLEAN prompt_for_robot(NTSTATUS status);
/* ... and does it? */
BOOLEAN prompt_robot_brings(PVPB vpb, NTSTATUS status);
enum prompt_event prompt_new_reason_locked(struct prompt *prompt,
                                           NTSTATUS status);

#endif
