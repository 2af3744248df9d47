/*
 * provision.c - IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES: trim, allocation
 *
 * One request that runs a chain of commands: the capacity and the limits of
 * UNMAP when they are not known, then UNMAP, or GET LBA STATUS, until the
 * ranges are done.  The commands carry the attention number, and with
 * SL_KEY_SPECIFIED the key in Type3InputBuffer is compared before each: a trim
 * that was meant for another medium would destroy this one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#define RUNS           32       /* in one reply of GET LBA STATUS */
#define DESCRIPTORS    64       /* in one UNMAP */
#define BLOCKS_DEFAULT 0x10000u /* when the drive names no limit */

/* A drive may say that it takes a block at a time: no request is worth more
 * commands than these. */
#define PLAN_COMMANDS_MAX 65536

struct plan {
    ULONG commands;  /* sent so far */
    ULONG count, at; /* ranges */
    BOOLEAN entire;  /* one range, as long as the medium */
    ULONGLONG pos;   /* bytes of the range at hand that are done */
    ULONGLONG batch; /* bytes in the command at hand */
    ULONG sent_at;
    ULONGLONG sent_pos;
    /* allocation */
    ULONGLONG slab, end;
    PULONG bitmap;
    ULONG bits;
    UCHAR data[8 + 16 * DESCRIPTORS];
    DEVICE_DATA_SET_RANGE ranges[];
};

enum { STAGE_WORK, STAGE_CAPACITY, STAGE_CAPACITY16, STAGE_LIMITS };

static BOOLEAN
is_trim(const struct class_request *request)
{
    return (ULONG_PTR) request->context == DeviceDsmAction_Trim;
}

/* --- what has to be known first ------------------------------------------- */

static BOOLEAN
ask_first(struct class_request *request)
{
    class_device *dev = request->dev;

    if (!__atomic_load_n(&dev->capacity.valid, __ATOMIC_ACQUIRE)) {
        if (request->stage != STAGE_CAPACITY16) {
            request->stage = STAGE_CAPACITY;
            class_capacity_command(request, FALSE);
        }
        return TRUE;
    }
    if (!__atomic_load_n(&dev->limits_known, __ATOMIC_ACQUIRE)) {
        request->stage = STAGE_LIMITS;
        class_limits_command(request);
        return TRUE;
    }
    return FALSE;
}

VOID NTAPI
class_unmap_limits(struct class_request *request, BOOLEAN good)
{
    class_device *dev = request->dev;
    const UCHAR *page = request->small;
    ULONG len = good ? request->srb.DataTransferLength : 0;

    dev->unmap_blocks = BLOCKS_DEFAULT;
    dev->unmap_descriptors = 1;
    dev->unmap_granularity = 0;
    if (len >= 28 && class_get_be32(page + 20) != 0)
        dev->unmap_blocks = class_get_be32(page + 20);
    if (len >= 28 && class_get_be32(page + 24) != 0)
        dev->unmap_descriptors = class_get_be32(page + 24);
    if (dev->unmap_descriptors > DESCRIPTORS)
        dev->unmap_descriptors = DESCRIPTORS;
    if (len >= 32)
        dev->unmap_granularity = class_get_be32(page + 28);
    __atomic_store_n(&dev->limits_known, TRUE, __ATOMIC_RELEASE);
}

/* --- trim ----------------------------------------------------------------- */

/* The whole blocks of the rest of the range; what is not a block stays. */
static ULONGLONG
whole_blocks(const DEVICE_DATA_SET_RANGE *range, ULONGLONG pos, UCHAR shift,
             ULONGLONG *out_first)
{
    ULONGLONG mask = (1ull << shift) - 1;
    ULONGLONG from = (ULONGLONG) range->StartingOffset;
    ULONGLONG to = (from + range->LengthInBytes) >> shift;
    ULONGLONG first = (from + pos + mask) >> shift;

    *out_first = first;
    return to > first ? to - first : 0;
}

/* FALSE: nothing is left to do. */
static BOOLEAN
build_unmap(struct class_request *request, struct plan *plan, UCHAR shift)
{
    UCHAR cdb[10] = { SCSIOP_UNMAP };
    class_device *dev = request->dev;
    ULONGLONG budget = dev->unmap_blocks;
    ULONG n = 0;

    plan->sent_at = plan->at;
    plan->sent_pos = plan->pos;
    while (plan->sent_at < plan->count && n < dev->unmap_descriptors &&
           budget > 0) {
        ULONGLONG first, blocks = whole_blocks(&plan->ranges[plan->sent_at],
                                               plan->sent_pos, shift, &first);
        ULONGLONG now = blocks < budget ? blocks : budget;

        if (now != 0) {
            class_put_be64(plan->data + 8 + n * 16, first);
            class_put_be32(plan->data + 16 + n * 16, (ULONG) now);
            class_put_be32(plan->data + 20 + n * 16, 0);
            n++;
        }
        budget -= now;
        plan->sent_pos = (first + now) * (1ull << shift) -
                         (ULONGLONG) plan->ranges[plan->sent_at].StartingOffset;
        if (now == blocks) {
            plan->sent_at++;
            plan->sent_pos = 0;
        }
    }
    if (n == 0)
        return FALSE;
    class_put_be16(plan->data, 6 + n * 16);
    class_put_be16(plan->data + 2, n * 16);
    class_put_be32(plan->data + 4, 0);
    class_put_be16(cdb + 7, 8 + n * 16);
    class_command(request, cdb, sizeof cdb, plan->data, 8 + n * 16, TRUE);
    return TRUE;
}

/* --- allocation ----------------------------------------------------------- */

#define OUT_HEAD                                                               \
    ((ULONG) ((sizeof(DEVICE_MANAGE_DATA_SET_ATTRIBUTES_OUTPUT) + 7) & ~7u))
#define OUT_STATE                                                              \
    ((ULONG) offsetof(DEVICE_DATA_SET_LB_PROVISIONING_STATE,                   \
                      SlabAllocationBitMap))

/* The first slab that lies in the range altogether, as many as fit. */
static NTSTATUS
lay_out_bitmap(struct class_request *request, struct plan *plan)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(request->original);
    ULONG room = at->Parameters.DeviceIoControl.OutputBufferLength;
    class_device *dev = request->dev;
    ULONGLONG from = (ULONGLONG) plan->ranges[0].StartingOffset;
    ULONGLONG to = from + plan->ranges[0].LengthInBytes, first;

    plan->slab = (ULONGLONG) dev->unmap_granularity << dev->capacity.shift;
    if (plan->slab == 0)
        plan->slab = 1ull << dev->capacity.shift;
    first = (from + plan->slab - 1) / plan->slab * plan->slab;
    if (to > dev->capacity.blocks << dev->capacity.shift)
        to = dev->capacity.blocks << dev->capacity.shift;
    room = (room - OUT_HEAD - OUT_STATE) / sizeof(ULONG);
    plan->bits =
        first < to ? (ULONG) ((to - first + plan->slab - 1) / plan->slab) : 0;
    if (plan->bits > room * 32)
        plan->bits = room * 32;
    if (plan->bits == 0)
        return STATUS_INVALID_PARAMETER;
    plan->pos = first;
    plan->end = first + plan->bits * plan->slab;
    if (plan->end > to)
        plan->end = to;
    plan->bitmap = ExAllocatePoolWithTag(
        NonPagedPool, (plan->bits + 31) / 32 * sizeof(ULONG), CLASS_TAG);
    if (plan->bitmap == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->owned = plan->bitmap;
    request->flags |= REQ_OWNS;
    RtlZeroMemory(plan->bitmap, (plan->bits + 31) / 32 * sizeof(ULONG));
    return STATUS_SUCCESS;
}

static void
build_lba_status(struct class_request *request, struct plan *plan, UCHAR shift)
{
    UCHAR cdb[16] = { SCSIOP_GET_LBA_STATUS, SERVICE_ACTION_GET_LBA_STATUS };

    class_put_be64(cdb + 2, plan->pos >> shift);
    class_put_be32(cdb + 10, 8 + 16 * RUNS);
    class_command(request, cdb, sizeof cdb, plan->data, 8 + 16 * RUNS, FALSE);
}

static void
mark(struct plan *plan, ULONGLONG from, ULONGLONG to)
{
    ULONGLONG base = plan->end - (plan->end - 1) % plan->slab - 1 -
                     (ULONGLONG) (plan->bits - 1) * plan->slab;
    ULONGLONG first = (from - base) / plan->slab;
    ULONGLONG last = (to - 1 - base) / plan->slab;

    for (; first <= last && first < plan->bits; first++)
        plan->bitmap[first / 32] |= 1u << first % 32;
}

/* FALSE: the reply leads nowhere. */
static BOOLEAN
read_lba_status(struct plan *plan, ULONG len, UCHAR shift)
{
    ULONGLONG before = plan->pos;

    for (ULONG at = 8; at + 16 <= len && plan->pos < plan->end; at += 16) {
        ULONGLONG from = class_get_be64(plan->data + at) << shift;
        ULONGLONG to =
            from + ((ULONGLONG) class_get_be32(plan->data + at + 8) << shift);

        if (from > plan->pos || to <= plan->pos)
            break;
        if (to > plan->end)
            to = plan->end;
        if ((plan->data[at + 12] & 0x0f) == 0)
            mark(plan, plan->pos, to);
        plan->pos = to;
    }
    return plan->pos > before;
}

static void
reply_bitmap(struct class_request *request, struct plan *plan)
{
    PUCHAR out = request->original->AssociatedIrp.SystemBuffer;
    PDEVICE_MANAGE_DATA_SET_ATTRIBUTES_OUTPUT head = (PVOID) out;
    PDEVICE_DATA_SET_LB_PROVISIONING_STATE state = (PVOID) (out + OUT_HEAD);
    ULONG words = (plan->bits + 31) / 32;
    ULONGLONG base = plan->end - (plan->end - 1) % plan->slab - 1 -
                     (ULONGLONG) (plan->bits - 1) * plan->slab;
    ULONGLONG asked = (ULONGLONG) plan->ranges[0].StartingOffset;

    RtlZeroMemory(out, OUT_HEAD + OUT_STATE);
    head->Size = sizeof *head;
    head->Action = DeviceDsmAction_Allocation;
    head->OutputBlockOffset = OUT_HEAD;
    head->OutputBlockLength = OUT_STATE + words * (ULONG) sizeof(ULONG);
    state->Size = head->OutputBlockLength;
    state->Version = DEVICE_DATA_SET_LB_PROVISIONING_STATE_VERSION_V1;
    state->SlabSizeInBytes = plan->slab;
    state->SlabOffsetDeltaInBytes = (ULONG) (base - asked);
    state->SlabAllocationBitMapBitCount = plan->bits;
    state->SlabAllocationBitMapLength = words;
    RtlCopyMemory(state->SlabAllocationBitMap, plan->bitmap,
                  words * sizeof(ULONG));
    request->information = OUT_HEAD + head->OutputBlockLength;
}

/* --- the chain ------------------------------------------------------------ */

static enum class_next NTAPI
data_set_prepare(struct class_request *request, NTSTATUS *status)
{
    struct plan *plan = request->buffer;
    class_device *dev = request->dev;

    if (ask_first(request))
        return NEXT_SEND;
    request->stage = STAGE_WORK;
    if (++plan->commands > PLAN_COMMANDS_MAX) {
        *status = STATUS_NOT_SUPPORTED;
        return NEXT_COMPLETE;
    }
    *status = STATUS_SUCCESS;
    if (plan->entire)
        plan->ranges[0].LengthInBytes = dev->capacity.blocks
                                        << dev->capacity.shift;
    if (is_trim(request))
        return build_unmap(request, plan, dev->capacity.shift) ? NEXT_SEND
                                                               : NEXT_COMPLETE;
    if (plan->bitmap == NULL) {
        *status = lay_out_bitmap(request, plan);
        if (!NT_SUCCESS(*status))
            return NEXT_COMPLETE;
    }
    build_lba_status(request, plan, dev->capacity.shift);
    return NEXT_SEND;
}

static enum class_next
capacity_done(struct class_request *request)
{
    if (!class_capacity_reply(request, request->stage == STAGE_CAPACITY16)) {
        request->stage = STAGE_CAPACITY16;
        class_capacity_command(request, TRUE);
    } else {
        request->stage = STAGE_WORK;
    }
    return NEXT_SEND;
}

static enum class_next
work_done(struct class_request *request, NTSTATUS *status)
{
    struct plan *plan = request->buffer;

    if (is_trim(request)) {
        plan->at = plan->sent_at;
        plan->pos = plan->sent_pos;
        return plan->at < plan->count ? NEXT_SEND : NEXT_COMPLETE;
    }
    if (!read_lba_status(plan, request->srb.DataTransferLength,
                         request->dev->capacity.shift))
        *status = STATUS_IO_DEVICE_ERROR;
    else if (plan->pos < plan->end)
        return NEXT_SEND;
    else
        reply_bitmap(request, plan);
    return NEXT_COMPLETE;
}

static enum class_next NTAPI
data_set_finish(struct class_request *request, NTSTATUS *status)
{
    if (request->stage == STAGE_LIMITS &&
        (NT_SUCCESS(*status) || *status == STATUS_INVALID_DEVICE_REQUEST)) {
        class_unmap_limits(request, NT_SUCCESS(*status));
        request->stage = STAGE_WORK;
        return NEXT_SEND;
    }
    if (!NT_SUCCESS(*status))
        return NEXT_COMPLETE;
    return request->stage == STAGE_WORK ? work_done(request, status)
                                        : capacity_done(request);
}

/* --- the control code ----------------------------------------------------- */

static NTSTATUS
check_input(class_device *dev, PIRP irp, ULONG *out_count)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    ULONG in = at->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = at->Parameters.DeviceIoControl.OutputBufferLength;
    PDEVICE_MANAGE_DATA_SET_ATTRIBUTES set = irp->AssociatedIrp.SystemBuffer;
    ULONG each = sizeof(DEVICE_DATA_SET_RANGE);
    BOOLEAN entire;

    *out_count = set->DataSetRangesLength / each;
    if (set->Size < sizeof *set || set->DataSetRangesOffset > in ||
        set->DataSetRangesLength > in - set->DataSetRangesOffset ||
        set->DataSetRangesOffset % 8 != 0 ||
        set->DataSetRangesLength % each != 0)
        return STATUS_INVALID_PARAMETER;
    if (set->Action != DeviceDsmAction_Trim &&
        set->Action != DeviceDsmAction_Allocation)
        return STATUS_NOT_SUPPORTED;
    if (dev->read_only_type)
        return STATUS_NOT_SUPPORTED;
    entire = (set->Flags & DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE) != 0;
    if (entire != (*out_count == 0) ||
        (set->Action == DeviceDsmAction_Allocation && *out_count > 1))
        return STATUS_INVALID_PARAMETER;
    if (set->Action == DeviceDsmAction_Allocation &&
        out < OUT_HEAD + OUT_STATE + sizeof(ULONG))
        return STATUS_BUFFER_TOO_SMALL;
    return STATUS_SUCCESS;
}

static BOOLEAN
take_ranges(struct plan *plan, PDEVICE_MANAGE_DATA_SET_ATTRIBUTES set,
            ULONG count)
{
    plan->count = count;
    if (count == 0) { /* the entire medium */
        plan->count = 1;
        plan->ranges[0] = (DEVICE_DATA_SET_RANGE){ 0 };
        plan->entire = TRUE;
        return TRUE;
    }
    RtlCopyMemory(plan->ranges, (PUCHAR) set + set->DataSetRangesOffset,
                  count * sizeof plan->ranges[0]);
    for (ULONG i = 0; i < count; i++)
        if (plan->ranges[i].StartingOffset < 0 ||
            plan->ranges[i].LengthInBytes >
                0x7fffffffffffffffull -
                    (ULONGLONG) plan->ranges[i].StartingOffset)
            return FALSE;
    return TRUE;
}

NTSTATUS NTAPI
class_manage_data_set(class_device *dev, PIRP irp)
{
    PDEVICE_MANAGE_DATA_SET_ATTRIBUTES set = irp->AssociatedIrp.SystemBuffer;
    struct class_request *request;
    struct plan *plan;
    NTSTATUS status;
    ULONG count;

    status = check_input(dev, irp, &count);
    if (!NT_SUCCESS(status))
        return class_complete(dev, irp, status, 0);
    request = class_request_new(dev, irp);
    plan = ExAllocatePoolWithTag(
        NonPagedPool,
        sizeof *plan + (count + 1) * sizeof(DEVICE_DATA_SET_RANGE), CLASS_TAG);
    if (request == NULL || plan == NULL) {
        if (request != NULL)
            class_request_free(request);
        if (plan != NULL)
            ExFreePoolWithTag(plan, CLASS_TAG);
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(plan, sizeof *plan);
    request->buffer = plan;
    request->flags |= REQ_BUFFER_OWNED;
    if (!take_ranges(plan, set, count)) {
        class_request_free(request);
        return class_complete(dev, irp, STATUS_INVALID_PARAMETER, 0);
    }
    class_take_key(request, irp);
    request->retries = CLASS_UNMAP_RETRIES;
    request->context = (PVOID) (ULONG_PTR) set->Action;
    request->prepare = data_set_prepare;
    request->finish = data_set_finish;
    return class_send(request);
}
