/*
 * control.c - the control codes of changers: buffers checked, in the order of
 * the documentation, then the miniclass driver asked
 *
 * One motion at a time: a second one waits for the first and is looked at only
 * then.  Nothing else waits for a motion.
 *
 * SPDX-License-Identifier: MIT
 */
#include "changer/changer_internal.h"

/* Which element types a member may have, as bits. */
#define T(type) (1u << (type))
#define MEDIA                                                                  \
    (T(ChangerTransport) | T(ChangerSlot) | T(ChangerIEPort) | T(ChangerDrive))
#define REACHED   (T(ChangerSlot) | T(ChangerIEPort) | T(ChangerDrive))
#define ARM       T(ChangerTransport)
#define ANY_MEDIA (T(AllElements) | MEDIA)
#define LOCKABLE  (T(ChangerIEPort) | T(ChangerDoor) | T(ChangerKeypad))

#define MOVES     0x1 /* one at a time */
#define LOOKS     0x2 /* needs no parameters: works while they are read again */

/* The status of an input buffer that is too short: the pages of the control
 * codes and that of the dispatch routine differ. */
#define SHORT_INPUT STATUS_INFO_LENGTH_MISMATCH

struct control {
    ULONG code;
    USHORT in, out; /* smallest buffers, bytes */
    UCHAR flags;
    UCHAR types[4]; /* of the elements that the input begins with */
    size_t routine; /* offset in MCD_INIT_DATA */
};

#define ROUTINE(name) offsetof(MCD_INIT_DATA, name)

static const struct control controls[] = {
    { IOCTL_CHANGER_GET_PARAMETERS,
      0,
      sizeof(GET_CHANGER_PARAMETERS),
      0,
      { 0 },
      ROUTINE(ChangerGetParameters) },
    { IOCTL_CHANGER_GET_STATUS, 0, 0, LOOKS, { 0 }, ROUTINE(ChangerGetStatus) },
    { IOCTL_CHANGER_GET_PRODUCT_DATA,
      0,
      sizeof(CHANGER_PRODUCT_DATA),
      LOOKS,
      { 0 },
      ROUTINE(ChangerGetProductData) },
    { IOCTL_CHANGER_SET_ACCESS,
      sizeof(CHANGER_SET_ACCESS),
      0,
      MOVES,
      { LOCKABLE },
      ROUTINE(ChangerSetAccess) },
    { IOCTL_CHANGER_GET_ELEMENT_STATUS,
      sizeof(CHANGER_READ_ELEMENT_STATUS),
      0,
      0,
      { ANY_MEDIA },
      ROUTINE(ChangerGetElementStatus) },
    { IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS,
      sizeof(CHANGER_INITIALIZE_ELEMENT_STATUS),
      0,
      MOVES,
      { ANY_MEDIA },
      ROUTINE(ChangerInitializeElementStatus) },
    { IOCTL_CHANGER_SET_POSITION,
      sizeof(CHANGER_SET_POSITION),
      0,
      MOVES,
      { ARM, REACHED },
      ROUTINE(ChangerSetPosition) },
    { IOCTL_CHANGER_EXCHANGE_MEDIUM,
      sizeof(CHANGER_EXCHANGE_MEDIUM),
      0,
      MOVES,
      { ARM, MEDIA, MEDIA, MEDIA },
      ROUTINE(ChangerExchangeMedium) },
    { IOCTL_CHANGER_MOVE_MEDIUM,
      sizeof(CHANGER_MOVE_MEDIUM),
      0,
      MOVES,
      { ARM, MEDIA, MEDIA },
      ROUTINE(ChangerMoveMedium) },
    { IOCTL_CHANGER_REINITIALIZE_TRANSPORT,
      sizeof(CHANGER_ELEMENT),
      0,
      MOVES,
      { ARM },
      ROUTINE(ChangerReinitializeUnit) },
    { IOCTL_CHANGER_QUERY_VOLUME_TAGS,
      sizeof(CHANGER_SEND_VOLUME_TAG_INFORMATION),
      sizeof(READ_ELEMENT_ADDRESS_INFO),
      0,
      { MEDIA },
      ROUTINE(ChangerQueryVolumeTags) },
};

/* --- checks ---------------------------------------------------------------- */

static ULONGLONG
reply_bytes(const CHANGER_READ_ELEMENT_STATUS *in)
{
    ULONG each = in->ElementList.Element.ElementType == ChangerDrive
                     ? sizeof(CHANGER_ELEMENT_STATUS_EX)
                     : sizeof(CHANGER_ELEMENT_STATUS);

    return (ULONGLONG) in->ElementList.NumberOfElements * each;
}

static NTSTATUS
check_lengths(const struct control *control, PIRP irp)
{
    ULONG given = fdo_given(irp), room = fdo_room(irp);

    if (control->in != 0 && given == 0)
        return STATUS_INVALID_PARAMETER;
    if (given < control->in)
        return SHORT_INPUT;
    if (room < control->out)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (control->code == IOCTL_CHANGER_GET_ELEMENT_STATUS &&
        room < reply_bytes(irp->AssociatedIrp.SystemBuffer))
        return STATUS_BUFFER_TOO_SMALL;
    return STATUS_SUCCESS;
}

/* Every input begins with its elements. */
static NTSTATUS
check_types(const struct control *control, const CHANGER_ELEMENT *element)
{
    for (size_t i = 0; i < sizeof control->types && control->types[i] != 0; i++)
        if ((ULONG) element[i].ElementType >= ChangerMaxElement ||
            !(control->types[i] & T(element[i].ElementType)))
            return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

static NTSTATUS
check_access(const CHANGER_SET_ACCESS *access)
{
    if (access->Control > RETRACT_IEPORT ||
        (access->Control >= EXTEND_IEPORT &&
         access->Element.ElementType != ChangerIEPort))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

static NTSTATUS
check(const struct control *control, PIRP irp)
{
    PVOID buffer = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = check_lengths(control, irp);

    if (NT_SUCCESS(status))
        status = check_types(control, buffer);
    if (NT_SUCCESS(status) && control->code == IOCTL_CHANGER_SET_ACCESS)
        status = check_access(buffer);
    return status;
}

/* --- locks of doors and mail slots ----------------------------------------- */

/* A request of our own for the miniclass driver. */
static NTSTATUS
set_access(PDEVICE_OBJECT fdo, ELEMENT_TYPE type, ULONG control)
{
    struct changer_data *data = changer_of(fdo);
    CHANGER_SET_ACCESS access = { { type, 0 }, control };
    PIRP irp = IoAllocateIrp(1, FALSE);
    PIO_STACK_LOCATION at;
    NTSTATUS status;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IoSetNextIrpStackLocation(irp);
    at = IoGetCurrentIrpStackLocation(irp);
    at->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    at->DeviceObject = fdo;
    at->Parameters.DeviceIoControl.IoControlCode = IOCTL_CHANGER_SET_ACCESS;
    at->Parameters.DeviceIoControl.InputBufferLength = sizeof access;
    irp->AssociatedIrp.SystemBuffer = &access;
    status = data->mcd->ChangerSetAccess(fdo, irp);
    IoFreeIrp(irp);
    return status;
}

static void
note_lock(struct changer_data *data, const CHANGER_SET_ACCESS *access)
{
    if (access->Control == LOCK_ELEMENT)
        data->locked |= T(access->Element.ElementType);
    else if (access->Control == UNLOCK_ELEMENT)
        data->locked &= ~T(access->Element.ElementType);
}

/* The changer was reset, or somebody took our locks: once more. */
static void
lock_again(PDEVICE_OBJECT fdo)
{
    struct changer_data *data = changer_of(fdo);
    ULONG type;

    if (!(InterlockedAnd(&data->news, ~NEWS_LOCKS) & NEWS_LOCKS))
        return;
    for (type = 0; type < ChangerMaxElement; type++)
        if (data->locked & T(type))
            (void) set_access(fdo, (ELEMENT_TYPE) type, LOCK_ELEMENT);
}

static void
begin_motion(struct changer_data *data)
{
    (void) KeWaitForSingleObject(&data->motion, Executive, KernelMode, FALSE,
                                 NULL);
}

static void
end_motion(struct changer_data *data)
{
    (void) KeSetEvent(&data->motion, IO_NO_INCREMENT, FALSE);
}

/* FALSE: something moves. */
static BOOLEAN
try_motion(struct changer_data *data)
{
    LARGE_INTEGER now = { .QuadPart = 0 };

    return KeWaitForSingleObject(&data->motion, Executive, KernelMode, FALSE,
                                 &now) == STATUS_SUCCESS;
}

void
changer_unlock_all(PDEVICE_OBJECT fdo)
{
    struct changer_data *data = changer_of(fdo);
    ULONG type;

    begin_motion(data);
    for (type = 0; type < ChangerMaxElement; type++)
        if (data->locked & T(type))
            (void) set_access(fdo, (ELEMENT_TYPE) type, UNLOCK_ELEMENT);
    data->locked = 0;
    end_motion(data);
}

/* --- dispatch -------------------------------------------------------------- */

/* The changer said that it is not what it was. */
static NTSTATUS
look_again(PDEVICE_OBJECT fdo, const struct control *control)
{
    struct changer_data *data = changer_of(fdo);

    if (control->flags & LOOKS ||
        !(InterlockedOr(&data->news, 0) & NEWS_PARAMETERS))
        return STATUS_SUCCESS;
    return changer_initialize(fdo);
}

static CHANGER_COMMAND_ROUTINE
routine_of(struct changer_data *data, size_t offset)
{
    return *(const CHANGER_COMMAND_ROUTINE *) ((const UCHAR *) data->mcd +
                                               offset);
}

static NTSTATUS
ask_miniclass(PDEVICE_OBJECT fdo, const struct control *control, PIRP irp)
{
    struct changer_data *data = changer_of(fdo);
    NTSTATUS status = look_again(fdo, control);
    CHANGER_SET_ACCESS access = { { AllElements, 0 }, LOCK_ELEMENT };

    if (!NT_SUCCESS(status))
        return status;
    if (control->code == IOCTL_CHANGER_SET_ACCESS)
        access = *(PCHANGER_SET_ACCESS) irp->AssociatedIrp.SystemBuffer;
    irp->IoStatus.Information = 0;
    status = routine_of(data, control->routine)(fdo, irp);
    if (NT_SUCCESS(status) && control->code == IOCTL_CHANGER_SET_ACCESS)
        note_lock(data, &access);
    return status;
}

static NTSTATUS
carry_out(PDEVICE_OBJECT fdo, const struct control *control, PIRP irp)
{
    struct changer_data *data = changer_of(fdo);
    NTSTATUS status;

    if (control->flags & MOVES)
        begin_motion(data);
    status = ask_miniclass(fdo, control, irp);
    if (control->flags & MOVES || try_motion(data)) {
        lock_again(fdo);
        end_motion(data);
    }
    return status;
}

NTSTATUS NTAPI
changer_control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ULONG code = IoGetCurrentIrpStackLocation(Irp)
                     ->Parameters.DeviceIoControl.IoControlCode;
    struct changer_data *data = changer_of(DeviceObject);
    const struct control *control = controls;
    LONG state = changer_state(data);
    NTSTATUS status;

    while (control < controls + RTL_NUMBER_OF(controls) &&
           control->code != code)
        control++;
    if (state == CHANGER_NEW)
        return fdo_complete(DeviceObject, Irp, STATUS_NO_SUCH_DEVICE, 0);
    if (control == controls + RTL_NUMBER_OF(controls))
        return ClassDeviceControl(DeviceObject, Irp);
    status = check(control, Irp);
    if (NT_SUCCESS(status) && state != CHANGER_READY)
        status = STATUS_DEVICE_NOT_READY;
    if (NT_SUCCESS(status))
        status = carry_out(DeviceObject, control, Irp);
    return fdo_complete(DeviceObject, Irp, status, Irp->IoStatus.Information);
}
