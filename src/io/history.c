/*
 * history.c - what happened to an IRP, for the line that a broken rule prints
 *
 * Debug builds only.  An IRP is with one thread at a time; only the end of a
 * dispatch routine is noted by a thread that has lost it.  So the number of an
 * event is taken atomically, and its words are stored so.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/status.h"

static struct io_history **
tail_of(PIRP irp)
{
    return (struct io_history **) ((char *) irp + IoSizeOfIrp(irp->StackCount));
}

struct io_history *
io_history_of(PIRP irp)
{
#if IO_CHECKED
    if (io_irp_flags(irp) & IO_IRP_HISTORY)
        return *tail_of(irp);
#endif
    return NULL;
}

/* --- life ---------------------------------------------------------------- */

static struct io_history *
allocate(unsigned hops)
{
    struct io_history *history;

    if (hops <= IO_HISTORY_HOPS) {
        history = io_cache_get(IO_CACHE_HISTORY);
        hops = IO_HISTORY_HOPS;
    } else {
        history = io_pool_alloc(sizeof *history + (hops - IO_HISTORY_HOPS) *
                                                      sizeof history->hops[0],
                                IO_TAG_HISTORY);
    }
    if (history != NULL)
        history->hop_count = (UCHAR) hops;
    return history;
}

VOID NTAPI
io_history_start(PIRP irp)
{
    struct io_history *history = allocate((unsigned) irp->StackCount);

    if (history == NULL)
        return;
    history->irp = irp;
    history->references = 1;
    history->next = 0;
    history->freed = FALSE;
    history->verify_hop = 0;
    history->verify_device = NULL;
    RtlZeroMemory(history->events, sizeof history->events);
    for (unsigned i = 0; i < history->hop_count; i++)
        io_hops(history)[i] = (struct io_hop){ .state = IO_HOP_DONE };
    *tail_of(irp) = history;
    irp->AllocationFlags |= IO_IRP_HISTORY;
    io_history_add(history, IO_EVENT_ALLOCATED, NULL, 0, 0, 0);
}

void
io_history_ref(struct io_history *history)
{
    __atomic_add_fetch(&history->references, 1, __ATOMIC_RELAXED);
}

void
io_history_unref(struct io_history *history)
{
    if (__atomic_sub_fetch(&history->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    if (history->hop_count == IO_HISTORY_HOPS)
        io_cache_put(IO_CACHE_HISTORY, history);
    else
        io_pool_free(history, IO_TAG_HISTORY);
}

static void
expect_not_in_flight(PIRP irp, struct io_history *history)
{
    for (unsigned i = 0; i < history->hop_count; i++) {
        struct io_hop *hop = &io_hops(history)[i];

        if (!(__atomic_load_n(&hop->state, __ATOMIC_ACQUIRE) & IO_HOP_DONE))
            io_broken_by(IO_RULE_FREE_IN_FLIGHT, hop->who, irp, NULL);
    }
}

VOID NTAPI
io_history_free(PIRP irp)
{
    struct io_history *history = io_history_of(irp);

    if (history == NULL)
        return;
    if (ke_checks)
        expect_not_in_flight(irp, history);
    io_history_add(history, IO_EVENT_FREED,
                   io_frames != NULL ? io_frames->who : NULL, 0, 0, 0);
    __atomic_store_n(&history->freed, TRUE, __ATOMIC_RELEASE);
    io_history_unref(history);
}

VOID NTAPI
io_history_reuse(PIRP irp)
{
    struct io_history *history = io_history_of(irp);

    if (history == NULL)
        return;
    if (ke_checks)
        expect_not_in_flight(irp, history);
    history->verify_hop = 0;
    io_history_add(history, IO_EVENT_REUSED, NULL, 0, 0, 0);
}

/* --- events -------------------------------------------------------------- */

void
io_history_add(struct io_history *history, enum io_event_kind kind,
               const struct io_label *who, UCHAR major, UCHAR minor,
               NTSTATUS status)
{
    struct io_event *event;
    ULONG n;

    if (history == NULL)
        return;
    n = __atomic_fetch_add(&history->next, 1, __ATOMIC_RELAXED);
    event = &history->events[n % IO_HISTORY_EVENTS];
    __atomic_store_n(&event->ns, clock_now_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&event->who, who, __ATOMIC_RELAXED);
    __atomic_store_n(&event->what,
                     (uint64_t) (ULONG) status << 32 | (uint64_t) minor << 16 |
                         (uint64_t) major << 8 | kind,
                     __ATOMIC_RELAXED);
}

VOID NTAPI
io_history_note(PIRP irp, enum io_event_kind kind, PDEVICE_OBJECT device,
                NTSTATUS status)
{
    struct io_history *history = io_history_of(irp);

    if (history != NULL)
        io_history_add(history, kind,
                       device != NULL ? io_label_of(device) : NULL, 0, 0,
                       status);
}

/* --- in words ------------------------------------------------------------ */

static const char *
major_name(unsigned major)
{
    static const char *const names[] = {
        [IRP_MJ_CREATE] = "CREATE",
        [IRP_MJ_CLOSE] = "CLOSE",
        [IRP_MJ_READ] = "READ",
        [IRP_MJ_WRITE] = "WRITE",
        [IRP_MJ_QUERY_INFORMATION] = "QUERY_INFORMATION",
        [IRP_MJ_FLUSH_BUFFERS] = "FLUSH_BUFFERS",
        [IRP_MJ_QUERY_VOLUME_INFORMATION] = "QUERY_VOLUME_INFORMATION",
        [IRP_MJ_FILE_SYSTEM_CONTROL] = "FILE_SYSTEM_CONTROL",
        [IRP_MJ_DEVICE_CONTROL] = "DEVICE_CONTROL",
        [IRP_MJ_INTERNAL_DEVICE_CONTROL] = "INTERNAL_DEVICE_CONTROL",
        [IRP_MJ_SHUTDOWN] = "SHUTDOWN",
        [IRP_MJ_CLEANUP] = "CLEANUP",
        [IRP_MJ_POWER] = "POWER",
        [IRP_MJ_SYSTEM_CONTROL] = "SYSTEM_CONTROL",
        [IRP_MJ_PNP] = "PNP",
    };

    return major < ARRAYSIZE(names) ? names[major] : NULL;
}

/* A driver's name is "\Driver\disk"; here its last part will do. */
static const char *
short_name(const struct io_label *who)
{
    const char *last = who->driver;

    for (const char *p = who->driver; *p != '\0'; p++)
        if (*p == '\\')
            last = p + 1;
    return last;
}

static size_t
event_text(const struct io_event *event, char *out_text, size_t max)
{
    static const struct {
        const char *verb, *before_who;
        bool call, status;
    } words[] = {
        [IO_EVENT_ALLOCATED] = { "allocated", "", false, false },
        [IO_EVENT_REUSED] = { "used again", "", false, false },
        [IO_EVENT_CALL] = { "call", "", true, false },
        [IO_EVENT_PENDED] = { "pended", "by ", false, false },
        [IO_EVENT_COMPLETED] = { "completed", "by ", false, true },
        [IO_EVENT_MORE] = { "kept", "by ", false, false },
        [IO_EVENT_CANCELLED] = { "cancelled", "by ", false, false },
        [IO_EVENT_CANCEL_ROUTINE] = { "cancel routine", "of ", false, false },
        [IO_EVENT_VERIFY_SET] = { "device to verify set", "by ", false, false },
        [IO_EVENT_HARD_ERROR] = { "hard error", "by ", false, true },
        [IO_EVENT_RETRIED] = { "retried", "to ", true, false },
        [IO_EVENT_FREED] = { "freed", "by ", false, false },
    };
    uint64_t what = __atomic_load_n(&event->what, __ATOMIC_RELAXED);
    const struct io_label *who = __atomic_load_n(&event->who, __ATOMIC_RELAXED);
    unsigned kind = what & 0xFF, major = what >> 8 & 0xFF,
             minor = what >> 16 & 0xFF;
    NTSTATUS status = (NTSTATUS) (what >> 32);
    char call[48] = "";
    int n;

    if (kind == IO_EVENT_NONE || kind >= ARRAYSIZE(words))
        return 0;
    if (words[kind].call && major_name(major) != NULL)
        snprintf(call, sizeof call, " %s(0x%02x)", major_name(major), minor);
    else if (words[kind].call)
        snprintf(call, sizeof call, " 0x%02x(0x%02x)", major, minor);
    n = snprintf(out_text, max, "%s%s%s%s%s%s%s", words[kind].verb,
                 words[kind].status ? " " : "",
                 words[kind].status ? status_name(status) : "",
                 who != NULL ? " " : "",
                 who != NULL ? words[kind].before_who : "",
                 who != NULL ? short_name(who) : "", call);
    return n < 0 ? 0 : (size_t) n;
}

/* Longer than this between two events is told. */
#define TOLD_NS 1000000u

static void
all_events(const struct io_history *history, char *out_text, size_t max)
{
    ULONG next = __atomic_load_n(&history->next, __ATOMIC_RELAXED);
    ULONG at = next > IO_HISTORY_EVENTS ? next - IO_HISTORY_EVENTS : 0;
    size_t len = 0;
    uint64_t before = 0;

    if (at != 0)
        len = (size_t) snprintf(out_text, max, "(%lu earlier)",
                                (unsigned long) at);
    for (; at != next; at++) {
        const struct io_event *event = &history->events[at % IO_HISTORY_EVENTS];
        uint64_t ns = __atomic_load_n(&event->ns, __ATOMIC_RELAXED);
        char text[192] = "", later[48] = "";
        int n;

        if (event_text(event, text, sizeof text) == 0)
            continue;
        if (before != 0 && ns > before && ns - before >= TOLD_NS)
            snprintf(later, sizeof later, "after %llu ms ",
                     (unsigned long long) ((ns - before) / 1000000));
        before = ns;
        n = snprintf(out_text + len, max - len, "%s%s%s", len != 0 ? " > " : "",
                     later, text);
        if (n < 0 || (size_t) n >= max - len)
            break;
        len += (size_t) n;
    }
}

/* The IRP may have been freed: its memory is there still, but for caches that
 * gave it to somebody else.  Then it is that one's history, and not told. */
char *
io_history_text(PIRP irp, char *out_text, size_t max)
{
    struct io_history *history = io_history_of(irp);

    *out_text = '\0';
    if (history != NULL && history->irp == irp)
        all_events(history, out_text, max);
    else
        snprintf(out_text, max, "no history");
    return out_text;
}
