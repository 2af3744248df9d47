/*
 * prompt.h - the hard-error port: one question per volume and reason
 *
 * Requests that cannot go on until somebody does something wait here, as
 * pending IRPs: no thread waits.  A prompt ends by an answer, by the arrival of
 * the volume, by the policy for absent operators, or when nobody waits any
 * more.
 *
 * Context: prompt_raise at <= APC_LEVEL, all else PASSIVE_LEVEL.  One spin
 * lock; no callback of the host runs under it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROMPT_PROMPT_H
#define PROMPT_PROMPT_H

#include <ntifs.h>
#include <reinsert.h>

enum prompt_event {
    PROMPT_ASKED,
    PROMPT_CHANGED,             /* same question, another reason */
    PROMPT_STILL,               /* retried, and still in need */
    PROMPT_RETRIED,
    PROMPT_CANCELLED,
    PROMPT_USED,                /* changed elsewhere, used as it is */
    PROMPT_ARRIVED,
    PROMPT_ANSWERED,            /* the drive answers again */
    PROMPT_TIMED_OUT,
    PROMPT_DROPPED,             /* nobody waits any more */
    PROMPT_SUPPRESSED,          /* not asked at all (the error mode) */
    PROMPT_TAKEN,               /* a robot has taken it upon itself */
};

/* What the broker needs of the rest of the system. */
struct prompt_host {
    void *context;
    /* Names for people; both RI_NAME_MAX. */
    void (*describe)(void *context, PVPB vpb, PDEVICE_OBJECT real,
                     char *out_volume, char *out_drive);
    /* Is it a tape?  Then what it is called in a sentence ("tape T", "a blank
     * tape"), RI_NAME_MAX + 16; may be NULL. */
    BOOLEAN (*tape)(void *context, PVPB vpb, char *out_subject);
    /* Is there a medium in its drive that may be it, and nothing that tells?  May be
     * NULL. */
    BOOLEAN (*untold)(void *context, PVPB vpb);
    /* Must requests that failed with status still wait for this volume? */
    BOOLEAN (*needed)(void *context, PVPB vpb, NTSTATUS status);
    /* A person answered retry: looks into the drive; TRUE when it is back. */
    BOOLEAN (*try_again)(void *context, PVPB vpb);
    /* Was it changed elsewhere?  Then that is what is asked, whatever status its
     * requests failed with; may be NULL. */
    BOOLEAN (*changed)(void *context, PVPB vpb);
    /* Is the drive itself gone, or away?  The same; STATUS_DEVICE_DOES_NOT_EXIST,
     * STATUS_DEVICE_NOT_CONNECTED, or 0; may be NULL. */
    NTSTATUS (*gone)(void *context, PVPB vpb);
    /* A person takes a volume that was changed elsewhere as it is now: 0 when it
     * is back, or -errno; may be NULL. */
    int (*use)(void *context, PVPB vpb);
    /* Nobody will bring it: its requests have failed; may be NULL. */
    void (*cancelled)(void *context, PVPB vpb, NTSTATUS status);
    /*
     * A question is first offered to a robot.  TRUE: it brings the volume, and
     * nobody is asked as long as it does not say otherwise (prompt_robot).
     * Called once more when prompt_robot finds the question; what it returns
     * then is not looked at: who has changed its mind has to say so, for only
     * it knows in which order.  May be NULL.
     */
    BOOLEAN (*robot)(void *context, PVPB vpb, NTSTATUS status);
    /* Why it cannot, and what to do: whole sentences, RI_TEXT_MAX, or "" for a
     * volume that no robot has to do with; may be NULL. */
    void (*robot_says)(void *context, PVPB vpb, char *out_text);
    /* The question about it was put; may be NULL. */
    void (*asked)(void *context, PVPB vpb);
    /*
     * One of those who wait for a drive that did not answer is sent again; what
     * becomes of it prompt_tried is told, unless it is raised anew.  FALSE: not
     * now; it is the broker's still.  NULL: only a person's answer helps.
     */
    BOOLEAN (*try_one)(void *context, PIRP irp);
    void (*retry)(PIRP irp);
    void (*fail)(PIRP irp, NTSTATUS status);
    void (*event)(void *context, enum prompt_event event,
                  const struct ri_prompt_info *prompt);
};

void prompt_init(const struct prompt_host *host, unsigned timeout_s,
                 enum ri_no_operator policy);

/*
 * The error mode: nobody is asked.  A question is answered ResponseOk whatever
 * its buttons are, which is no retry: requests fail with their status.
 */
void prompt_set_error_mode(BOOLEAN suppress);

/* The hard-error port (io_harderr_port.raise). */
NTSTATUS prompt_raise(void *context, PIRP irp, PVPB vpb, PDEVICE_OBJECT real,
                      NTSTATUS status);
/* io_harderr_port.ask: waits, but for OptionOkNoWait, which leaves a notice.  A
 * person's retry is the option's affirmative answer, anything else its negative
 * one; at shutdown ResponseReturnToCaller. */
NTSTATUS prompt_ask(void *context, NTSTATUS status, ULONG options,
                    ULONG *out_response, ULONG count, ULONG string_mask,
                    const ULONG_PTR *parameters);
/* io_harderr_port.inform: a notice, until a person acknowledges it with any
 * answer.  FALSE: an equal one is there, or PROMPT_NOTICES_MAX are. */
#define PROMPT_NOTICES_MAX 30
BOOLEAN prompt_inform(void *context, NTSTATUS status, PCUNICODE_STRING text,
                      PETHREAD thread);
/* -ENOENT, or 0.  A retry that finds nothing leaves the prompt as it is.
 * RI_USE: -EINVAL when it is no answer to this one; or what the host's use
 * returned, and the prompt is as it was. */
int prompt_answer(uint64_t id, enum ri_answer answer);
/* The volume is there: its prompts end, its requests go on (on a worker); the
 * question about write protection only if the host says that it is settled. */
void prompt_arrived(PVPB vpb);
/* A request that the host's try_one has sent does not come back.  answered: the
 * drive had something to say to it; FALSE: it was cancelled.  <= DISPATCH_LEVEL,
 * before it completes. */
void prompt_tried(PIRP irp, BOOLEAN answered);
/* Why it is away has changed, or in which drive it was last: the question is put
 * anew, as the same prompt.  Who waits for something else of the medium (its tab,
 * its answer) goes on, to be asked about as away. */
void prompt_reason(PVPB vpb, NTSTATUS status);
/* The robot brings it, or cannot: then a person is asked, or told what is new.
 * After a change of what the host's `robot` returns. */
void prompt_robot(PVPB vpb, BOOLEAN works);
/* What the host's `robot_says` returns is worded anew, and a person is asked. */
void prompt_robot_words(PVPB vpb);
/* How long the oldest request that is behind a question of this volume waits, in
 * ms; 0 when none does. */
uint64_t prompt_age(PVPB vpb);
/* The volume that a prompt is about, or NULL. */
PVPB prompt_vpb(uint64_t id);
void prompt_fail_all(NTSTATUS status);
/* The end: what waits fails with STATUS_SYSTEM_SHUTDOWN, and so does at once
 * what comes later, for nobody will answer it. */
void prompt_shutdown(void);
/* Snapshot, oldest first, of what is asked; freed with free().  -ENOMEM. */
int prompt_list(struct ri_prompt_info **out_list, size_t *out_count);
uint32_t prompt_waiting(PVPB vpb);
/* The events' words: "volume V ...", "tape T ...", RI_TEXT_MAX. */
void prompt_event_text(enum prompt_event event,
                       const struct ri_prompt_info *prompt, char *out_text);

#endif
