/*
 * request.c - ri_submit: a request becomes IRPs to its volume
 *
 * Most requests are one IRP.  TRIM, ZERO and BLOCK_STATUS may be a row of
 * steps, one IRP after the other; a loop drives them, on the submitting thread
 * while they complete there, else on the thread that completed the last one.
 *
 * Of the two that meet at the end of a step - ri_submit, and the completion -
 * the later one goes on: `meet` says who that is.  An IRP is freed by its
 * completion unless ri_cancel is looking at it; then by that.
 *
 * Context: <= APC_LEVEL; completions at <= DISPATCH_LEVEL.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <ntddstor.h>
#include <string.h>

#include "base/burst.h"
#include "base/watch.h"
#include "base/status.h"
#include "ke/thread.h"
#include "stack/stack_internal.h"

#define STACK_TAG  0x6B617453 /* 'Stak' */
#define ZERO_CHUNK (1024u * 1024)
#define MAP_BYTES  (32u * 1024) /* bitmap of one allocation query */
#define MAP_SPAN   (1ull << 30) /* bytes that one query asks about */

enum meet { MEET_NOBODY, MEET_SUBMITTER_LEFT, MEET_COMPLETED };

struct state {
    PIRP irp;
    struct ri_export *e;
    PETHREAD thread;   /* holds a reference while it waits */
    void *control;     /* buffer of a device control */
    uint64_t progress; /* bytes of the request that are done */
    LIST_ENTRY link;   /* export.waiting */
    MDL mdl;
    uint8_t meet; /* atomic */
    uint8_t step;
    bool listed, cancelling, orphan;
    bool stop;    /* cancelled: also the steps to come */
    bool no_trim; /* zeroes have to be written */
};

_Static_assert(sizeof(struct state) <= sizeof(((struct ri_request *) 0)->priv),
               "struct state fits into ri_request.priv");

static struct state *
state_of(struct ri_request *request)
{
    return (struct state *) request->priv;
}

static const char zeroes[ZERO_CHUNK] __attribute__((aligned(4096)));

/* --- one IRP ------------------------------------------------------------------- */

static void run_steps_later(struct ri_request *request);

/* The submitter has left: unlink, free, go on.  Apart from irp_done, and NTAPI,
 * so that the usual way does not save registers for its calls. */
static void NTAPI __attribute__((noinline))
irp_done_late(struct ri_request *request, PIRP irp)
{
    struct state *s = state_of(request);
    struct ri_export *e = s->e;
    bool orphan;

    pthread_mutex_lock(&e->lock);
    RemoveEntryList(&s->link);
    s->listed = false;
    orphan = s->orphan = s->cancelling;
    if (!orphan)
        s->irp = NULL;
    pthread_mutex_unlock(&e->lock);
    if (orphan)
        return;
    IoFreeIrp(irp);
    run_steps_later(request);
}

static NTSTATUS NTAPI
irp_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct ri_request *request = context;
    struct state *s = state_of(request);

    (void) device;
    request->status = (uint32_t) irp->IoStatus.Status;
    irp->MdlAddress = NULL;
    if (__atomic_exchange_n(&s->meet, MEET_COMPLETED, __ATOMIC_ACQ_REL) ==
        MEET_SUBMITTER_LEFT)
        irp_done_late(request, irp);
    else
        IoFreeIrp(irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP
new_irp(struct ri_request *request, UCHAR major)
{
    struct state *s = state_of(request);
    PIRP irp = IoAllocateIrp(s->e->device->StackSize, FALSE);
    PIO_STACK_LOCATION next;

    if (irp == NULL)
        return NULL;
    irp->Tail.Overlay.Thread = s->thread;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = major;
    IoSetCompletionRoutine(irp, irp_done, request, TRUE, TRUE, TRUE);
    s->irp = irp;
    return irp;
}

static bool
transfer(struct ri_request *request, UCHAR major, uint64_t offset,
         const void *buffer, uint32_t length)
{
    struct state *s = state_of(request);
    PIRP irp = new_irp(request, major);
    PIO_STACK_LOCATION next;

    if (irp == NULL)
        return false;
    MmInitializeMdl(&s->mdl, (PVOID) buffer, length);
    /* As MmBuildMdlForNonPagedPool leaves it. */
    s->mdl.MdlFlags = MDL_SOURCE_IS_NONPAGED_POOL;
    s->mdl.MappedSystemVa = (PVOID) buffer;
    irp->MdlAddress = &s->mdl;
    next = IoGetNextIrpStackLocation(irp);
    next->Parameters.Write.Length = length;
    next->Parameters.Write.ByteOffset.QuadPart = (LONGLONG) offset;
    if (major == IRP_MJ_WRITE && (request->flags & RI_FUA) != 0)
        next->Flags |= SL_WRITE_THROUGH;
    return true;
}

struct dsm {
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES head;
    DEVICE_DATA_SET_RANGE range;
};

static bool
manage(struct ri_request *request, DEVICE_DATA_MANAGEMENT_SET_ACTION action,
       uint64_t offset, uint64_t length, ULONG out_len)
{
    struct state *s = state_of(request);
    ULONG len = sizeof(struct dsm) > out_len ? sizeof(struct dsm) : out_len;
    struct dsm *in;
    PIO_STACK_LOCATION next;
    PIRP irp;

    if (s->control == NULL)
        s->control = ExAllocatePoolWithTag(NonPagedPool, len, STACK_TAG);
    in = s->control;
    irp = in != NULL ? new_irp(request, IRP_MJ_DEVICE_CONTROL) : NULL;
    if (irp == NULL)
        return false;
    memset(in, 0, sizeof *in);
    in->head.Size = sizeof in->head;
    in->head.Action = action;
    in->head.DataSetRangesOffset = offsetof(struct dsm, range);
    in->head.DataSetRangesLength = sizeof in->range;
    in->range.StartingOffset = (LONGLONG) offset;
    in->range.LengthInBytes = length;
    irp->AssociatedIrp.SystemBuffer = in;
    next = IoGetNextIrpStackLocation(irp);
    if (request->op == RI_ZERO)
        next->Flags |= FS_SL_MUST_ZERO;
    next->Parameters.DeviceIoControl.IoControlCode =
        IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES;
    next->Parameters.DeviceIoControl.InputBufferLength = sizeof *in;
    next->Parameters.DeviceIoControl.OutputBufferLength = out_len;
    return true;
}

/* --- the steps of an operation -------------------------------------------------------- */

enum next { STEP_SENT, STEP_NONE, STEP_NO_MEMORY };

static enum next
sent(bool ok)
{
    return ok ? STEP_SENT : STEP_NO_MEMORY;
}

static enum next
then_flush(struct ri_request *request)
{
    if ((request->flags & RI_FUA) == 0)
        return STEP_NONE;
    return sent(new_irp(request, IRP_MJ_FLUSH_BUFFERS) != NULL);
}

static enum next
step_data(struct ri_request *request, unsigned step)
{
    if (step > 0 || request->length_bytes == 0)
        return STEP_NONE;
    return sent(transfer(request,
                         request->op == RI_READ ? IRP_MJ_READ : IRP_MJ_WRITE,
                         request->offset_bytes, request->buffer,
                         (uint32_t) request->length_bytes));
}

static enum next
step_flush(struct ri_request *request, unsigned step)
{
    return step > 0 ? STEP_NONE
                    : sent(new_irp(request, IRP_MJ_FLUSH_BUFFERS) != NULL);
}

static enum next
step_trim(struct ri_request *request, unsigned step)
{
    if (step > 1 || !state_of(request)->e->can_trim ||
        request->length_bytes == 0)
        return STEP_NONE;
    if (step == 1)
        return then_flush(request);
    return sent(manage(request, DeviceDsmAction_Trim, request->offset_bytes,
                       request->length_bytes, 0));
}

/* Trimmed blocks read as zeroes on some drives; else zeroes are written. */
static enum next
step_zero(struct ri_request *request, unsigned step)
{
    struct state *s = state_of(request);
    uint64_t left = request->length_bytes - s->progress;
    uint32_t part = left < ZERO_CHUNK ? (uint32_t) left : ZERO_CHUNK;
    uint64_t at = request->offset_bytes + s->progress;

    if (s->e->trim_zeroes && !s->no_trim && (request->flags & RI_NO_HOLE) == 0)
        return step_trim(request, step);
    if (left == 0)
        return STEP_NONE;
    s->progress += part;
    return sent(transfer(request, IRP_MJ_WRITE, at, zeroes, part));
}

static enum next
step_hint(struct ri_request *request, unsigned step)
{
    (void) request;
    (void) step;
    return STEP_NONE;
}

/* --- block status ------------------------------------------------------------------------ */

struct map {
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES_OUTPUT head;
    DEVICE_DATA_SET_LB_PROVISIONING_STATE state;
    ULONG rest[MAP_BYTES / sizeof(ULONG)];
};

static void
add_extent(struct ri_request *request, uint64_t length, uint32_t flags)
{
    struct ri_extent *last = request->extent_count > 0
                                 ? &request->extents[request->extent_count - 1]
                                 : NULL;

    if (length == 0)
        return;
    if (last != NULL && last->flags == flags)
        last->length_bytes += length;
    else if (request->extent_count < request->extent_max)
        request->extents[request->extent_count++] =
            (struct ri_extent){ length, flags };
}

static uint64_t
query_span(const struct ri_request *request)
{
    return request->length_bytes < MAP_SPAN ? request->length_bytes : MAP_SPAN;
}

static enum next
step_status(struct ri_request *request, unsigned step)
{
    if (step > 0 || request->length_bytes == 0 || request->extent_max == 0)
        return STEP_NONE;
    request->extent_count = 0;
    if (!state_of(request)->e->can_trim)
        return STEP_NONE;
    return sent(manage(request, DeviceDsmAction_Allocation,
                       request->offset_bytes, query_span(request),
                       sizeof(struct map)));
}

/* The drive's answer, slab by slab; where it gave none, it is data. */
static void
read_map(struct ri_request *request)
{
    struct map *map = state_of(request)->control;
    DEVICE_DATA_SET_LB_PROVISIONING_STATE *state;
    uint64_t at = 0, span = query_span(request), slab, slab_end;

    request->extent_count = 0;
    if (map != NULL && NT_SUCCESS((NTSTATUS) request->status) &&
        map->head.OutputBlockOffset == offsetof(struct map, state) &&
        map->state.SlabSizeInBytes > 0) {
        state = &map->state;
        slab = state->SlabSizeInBytes;
        /* What lies before the first whole slab is taken for data. */
        at = state->SlabOffsetDeltaInBytes < span
                 ? state->SlabOffsetDeltaInBytes
                 : span;
        add_extent(request, at, 0);
        slab_end = at + slab;
        for (ULONG i = 0; i < state->SlabAllocationBitMapBitCount &&
                          i / 32 < MAP_BYTES / 4 && at < span;
             i++, slab_end += slab) {
            bool mapped =
                (state->SlabAllocationBitMap[i / 32] >> i % 32 & 1) != 0;
            uint64_t end = slab_end < span ? slab_end : span;

            add_extent(request, end - at,
                       mapped ? 0 : RI_EXTENT_HOLE | RI_EXTENT_ZERO);
            at = end;
        }
    }
    if (at == 0)
        add_extent(request, request->length_bytes, 0);
    request->status = STATUS_SUCCESS;
}

/* --- driving -------------------------------------------------------------------------------- */

static enum next (*const step_of[])(struct ri_request *, unsigned) = {
    [RI_READ] = step_data,           [RI_WRITE] = step_data,
    [RI_FLUSH] = step_flush,         [RI_TRIM] = step_trim,
    [RI_ZERO] = step_zero,           [RI_PREFETCH] = step_hint,
    [RI_BLOCK_STATUS] = step_status,
};

static void
finish(struct ri_request *request)
{
    struct state *s = state_of(request);

    if (request->op == RI_BLOCK_STATUS &&
        !IoIsErrorUserInduced((NTSTATUS) request->status) &&
        (NTSTATUS) request->status != STATUS_CANCELLED)
        read_map(request);
    if (s->control != NULL)
        ExFreePoolWithTag(s->control, STACK_TAG);
    s->control = NULL;
    if (NT_SUCCESS((NTSTATUS) request->status))
        request->error = 0;
    else
        request->error = status_wire_errno((NTSTATUS) request->status);
}

static void cancel_marked(struct ri_request *request);

/* Sends the step that is prepared.  True: it has completed. */
static bool
send_step(struct ri_request *request)
{
    struct state *s = state_of(request);
    struct ri_export *e = s->e;
    uint8_t nobody = MEET_NOBODY;
    PIRP irp = s->irp;
    bool cancel;

    s->meet = MEET_NOBODY;
    IoCallDriver(e->device, irp);
    if (__atomic_load_n(&s->meet, __ATOMIC_ACQUIRE) == MEET_COMPLETED)
        return true;
    /* It waits: from here on ri_cancel and the end of the service know it, and
     * the thread may end before it. */
    pthread_mutex_lock(&e->lock);
    InsertTailList(&e->waiting, &s->link);
    s->listed = true;
    if (!__atomic_compare_exchange_n(&s->meet, &nobody, MEET_SUBMITTER_LEFT,
                                     false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        RemoveEntryList(&s->link);
        s->listed = false;
        pthread_mutex_unlock(&e->lock);
        return true;
    }
    /* `cancelling` pins the request: it cannot end before cancel_marked. */
    cancel =
        s->stop || __atomic_load_n(&e->service->stopping, __ATOMIC_ACQUIRE);
    if (cancel)
        s->cancelling = true;
    pthread_mutex_unlock(&e->lock);
    if (cancel)
        cancel_marked(request);
    return false;
}

/* After a step.  A drive that does not zero what it trims: write zeroes. */
static bool
go_on(struct ri_request *request)
{
    struct state *s = state_of(request);
    NTSTATUS status = (NTSTATUS) request->status;

    if (NT_SUCCESS(status))
        return true;
    if (request->op != RI_ZERO || s->no_trim || s->step != 1 ||
        s->control == NULL ||
        (status != STATUS_NOT_SUPPORTED &&
         status != STATUS_INVALID_DEVICE_REQUEST))
        return false;
    s->no_trim = true;
    s->step = 0;
    request->status = STATUS_SUCCESS;
    return true;
}

/* True: the request has completed, on this thread. */
static bool
run_steps(struct ri_request *request)
{
    struct state *s = state_of(request);

    for (;;) {
        enum next next = step_of[request->op](request, s->step);

        if (next == STEP_NO_MEMORY)
            request->status = (uint32_t) STATUS_INSUFFICIENT_RESOURCES;
        if (next != STEP_SENT)
            break;
        if (s->step > 0 && __atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
            /* Cancelled since the last step: this one is not sent. */
            IoFreeIrp(s->irp);
            s->irp = NULL;
            request->status = (uint32_t) STATUS_CANCELLED;
            break;
        }
        s->step = s->step < 255 ? s->step + 1 : 255;
        if (!send_step(request))
            return false;
        if (!go_on(request))
            break;
    }
    finish(request);
    return true;
}

static void
run_steps_later(struct ri_request *request)
{
    PETHREAD thread = state_of(request)->thread;
    bool ended = !go_on(request);

    if (ended)
        finish(request);
    if (ended || run_steps(request)) {
        ke_thread_unref(thread);
        request->done(request);
    }
}

static int
check(const struct ri_export *e, const struct ri_request *request)
{
    bool writes = request->op == RI_WRITE || request->op == RI_TRIM ||
                  request->op == RI_ZERO;
    bool data = request->op == RI_READ || request->op == RI_WRITE;
    uint64_t mask = e->info.block_bytes - 1;

    if (request->op == RI_FLUSH)
        return 0;
    if (writes && e->info.read_only)
        return EPERM;
    if (((request->offset_bytes | request->length_bytes) & mask) != 0)
        return EINVAL;
    if (request->offset_bytes > e->info.size_bytes ||
        request->length_bytes > e->info.size_bytes - request->offset_bytes)
        return writes ? ENOSPC : EINVAL;
    return data && request->length_bytes > e->info.max_bytes ? EINVAL : 0;
}

bool
ri_submit(struct ri_export *export_, struct ri_request *request)
{
    struct state *s = state_of(request);

    request->status = STATUS_SUCCESS;
    request->error = check(export_, request);
    if (request->error == 0 &&
        __atomic_load_n(&export_->service->stopping, __ATOMIC_RELAXED))
        request->error = ESHUTDOWN;
    if (request->error == 0 &&
        __atomic_load_n(&export_->stale, __ATOMIC_ACQUIRE))
        request->error = EIO;
    if (request->error != 0) {
        request->status =
            (uint32_t) (request->error == EPERM ? STATUS_MEDIA_WRITE_PROTECTED
                        : request->error == ESHUTDOWN ? STATUS_SYSTEM_SHUTDOWN
                        : request->error == EIO       ? STATUS_FILE_INVALID
                                                : STATUS_INVALID_PARAMETER);
        return true;
    }
    s->e = export_;
    s->thread = ke_current();
    s->control = NULL;
    s->progress = 0;
    s->step = 0;
    s->listed = s->cancelling = s->orphan = false;
    s->stop = s->no_trim = false;
    /* Kept until the request is done, for the IRPs name the thread. */
    ke_thread_ref(s->thread);
    if (!run_steps(request))
        return false;
    ke_thread_unref(s->thread);
    return true;
}

/* --- bursts ------------------------------------------------------------------ */

_Static_assert(sizeof(struct ri_after) == sizeof(struct burst_node) &&
                   offsetof(struct ri_after, run) ==
                       offsetof(struct burst_node, run) &&
                   offsetof(struct ri_after, next) ==
                       offsetof(struct burst_node, next),
               "struct ri_after is struct burst_node by another name");

void
ri_burst_begin(void)
{
    burst_begin(BURST_REQUESTS);
}

void
ri_burst_end(void)
{
    burst_end(BURST_REQUESTS);
    watch_burst_over();
}

bool
ri_in_burst(void)
{
    return burst_open(BURST_ANSWERS);
}

void
ri_after_burst(struct ri_after *after)
{
    burst_defer(BURST_ANSWERS, (struct burst_node *) after);
}

void
ri_watch_begin(void)
{
    watch_begin();
}

void
ri_watch_end(void)
{
    watch_end();
}

int
ri_watch_fd(void)
{
    return watch_fd();
}

bool
ri_watch_take(void)
{
    return watch_take();
}

/* --- ending --------------------------------------------------------------------------------- */

BOOLEAN
request_stale(PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    struct ri_request *request = own->Context;

    return own->CompletionRoutine == irp_done &&
           __atomic_load_n(&state_of(request)->e->stale, __ATOMIC_ACQUIRE);
}

/* The request is marked `cancelling`, so it stays until this is over. */
static void
cancel_marked(struct ri_request *request)
{
    struct state *s = state_of(request);
    struct ri_export *e = s->e;
    PIRP irp = s->irp;
    bool orphan;

    IoCancelIrp(irp);
    pthread_mutex_lock(&e->lock);
    s->cancelling = false;
    orphan = s->orphan;
    s->orphan = false;
    if (orphan)
        s->irp = NULL;
    pthread_mutex_unlock(&e->lock);
    if (orphan) {
        IoFreeIrp(irp);
        run_steps_later(request);
    }
}

void
ri_cancel(struct ri_request *request)
{
    struct state *s = state_of(request);
    struct ri_export *e = s->e;
    bool mine;

    pthread_mutex_lock(&e->lock);
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
    mine = s->listed && !s->cancelling;
    if (mine)
        s->cancelling = true;
    pthread_mutex_unlock(&e->lock);
    if (mine)
        cancel_marked(request);
}

/* One at a time, for a cancelled request may free itself. */
static struct ri_request *
mark_waiting(struct ri_export *e)
{
    struct ri_request *request = NULL;

    pthread_mutex_lock(&e->lock);
    for (PLIST_ENTRY entry = e->waiting.Flink;
         entry != &e->waiting && request == NULL; entry = entry->Flink) {
        struct state *s = CONTAINING_RECORD(entry, struct state, link);

        if (s->cancelling || s->stop)
            continue;
        __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
        s->cancelling = true;
        request = CONTAINING_RECORD((void **) s, struct ri_request, priv[0]);
    }
    pthread_mutex_unlock(&e->lock);
    return request;
}

void
exports_cancel_all(struct ri_service *service)
{
    struct ri_request *request;

    pthread_mutex_lock(&service->export_lock);
    for (struct ri_export *e = service->exports; e != NULL; e = e->next)
        while ((request = mark_waiting(e)) != NULL)
            cancel_marked(request);
    pthread_mutex_unlock(&service->export_lock);
}
