/*
 * control.c - the control codes of tapes: buffers checked, then the minitape
 * driver asked
 *
 * A row says which records a code has, which routine it is for, and what it
 * needs of the position.  Codes that all storage has go to the class library,
 * but for those that move the tape or mean something else on one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape/tape_internal.h"

typedef NTSTATUS control_fn(PDEVICE_OBJECT fdo, PIRP irp,
                            ULONG_PTR *information);

struct control {
    ULONG code;
    USHORT in, out;
    control_fn *run;
};

#define INPUT(irp) ((irp)->AssociatedIrp.SystemBuffer)

static control_fn erase, prepare_medium, write_marks, get_position,
    set_position, get_drive, set_drive, get_media, set_media, get_status,
    create_partition, check_verify, eject, load, media_types;

static const struct control controls[] = {
    { IOCTL_TAPE_ERASE, sizeof(TAPE_ERASE), 0, erase },
    { IOCTL_TAPE_PREPARE, sizeof(TAPE_PREPARE), 0, prepare_medium },
    { IOCTL_TAPE_WRITE_MARKS, sizeof(TAPE_WRITE_MARKS), 0, write_marks },
    { IOCTL_TAPE_GET_POSITION, 0, sizeof(TAPE_GET_POSITION), get_position },
    { IOCTL_TAPE_SET_POSITION, sizeof(TAPE_SET_POSITION), 0, set_position },
    { IOCTL_TAPE_GET_DRIVE_PARAMS, 0, sizeof(TAPE_GET_DRIVE_PARAMETERS),
      get_drive },
    { IOCTL_TAPE_SET_DRIVE_PARAMS, sizeof(TAPE_SET_DRIVE_PARAMETERS), 0,
      set_drive },
    { IOCTL_TAPE_GET_MEDIA_PARAMS, 0, sizeof(TAPE_GET_MEDIA_PARAMETERS),
      get_media },
    { IOCTL_TAPE_SET_MEDIA_PARAMS, sizeof(TAPE_SET_MEDIA_PARAMETERS), 0,
      set_media },
    { IOCTL_TAPE_GET_STATUS, 0, 0, get_status },
    { IOCTL_TAPE_CREATE_PARTITION, sizeof(TAPE_CREATE_PARTITION), 0,
      create_partition },
    { IOCTL_TAPE_CHECK_VERIFY, 0, 0, check_verify },
    { IOCTL_STORAGE_CHECK_VERIFY, 0, 0, check_verify },
    { IOCTL_STORAGE_CHECK_VERIFY2, 0, 0, check_verify },
    { IOCTL_TAPE_EJECT_MEDIA, 0, 0, eject },
    { IOCTL_STORAGE_EJECT_MEDIA, 0, 0, eject },
    { IOCTL_TAPE_LOAD_MEDIA, 0, 0, load },
    { IOCTL_STORAGE_LOAD_MEDIA, 0, 0, load },
    { IOCTL_STORAGE_LOAD_MEDIA2, 0, 0, load },
    { IOCTL_STORAGE_GET_MEDIA_TYPES, 0, sizeof(GET_MEDIA_TYPES), media_types },
    { IOCTL_STORAGE_GET_MEDIA_TYPES_EX, 0, sizeof(GET_MEDIA_TYPES),
      media_types },
};

/* --- at the beginning of the tape -------------------------------------------- */

static void
at_beginning(struct tape_data *data)
{
    data->moved = FALSE;
    data->written = 0;
    data->warned = FALSE;
}

/* --- one code each ------------------------------------------------------------ */

static NTSTATUS
erase(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    return tapedrv_run(fdo, tape_of(fdo)->mini->Erase, INPUT(irp), PLACE_KNOWN);
}

static NTSTATUS
do_prepare(PDEVICE_OBJECT fdo, TAPE_PREPARE *prepare)
{
    struct tape_data *data = tape_of(fdo);
    enum tape_place place = PLACE_ANY;
    NTSTATUS status;

    switch (prepare->Operation) {
    case TAPE_LOAD:
    case TAPE_TENSION:
        place = PLACE_SETS;
        break;
    case TAPE_FORMAT:
        place = PLACE_KNOWN;
        break;
    case TAPE_UNLOAD:
        status = tapedrv_flush(fdo);
        if (!NT_SUCCESS(status))
            return status;
        break;
    default:
        break;
    }
    status = tapedrv_run(fdo, data->mini->Prepare, prepare, place);
    if (NT_SUCCESS(status) && prepare->Operation != TAPE_LOCK &&
        prepare->Operation != TAPE_UNLOCK) {
        at_beginning(data);
        data->length_known = FALSE;
    }
    return status;
}

static NTSTATUS
prepare_medium(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    return do_prepare(fdo, INPUT(irp));
}

static NTSTATUS
eject(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    TAPE_PREPARE unload = { TAPE_UNLOAD, FALSE };

    return do_prepare(fdo, &unload);
}

static NTSTATUS
load(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    TAPE_PREPARE in = { TAPE_LOAD, FALSE };

    return do_prepare(fdo, &in);
}

static NTSTATUS
write_marks(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    const TAPE_WRITE_MARKS *marks = INPUT(irp);
    struct tape_data *data = tape_of(fdo);
    BOOLEAN waits = !marks->Immediate;
    NTSTATUS status =
        tapedrv_run(fdo, data->mini->WriteMarks, INPUT(irp), PLACE_KNOWN);

    if (NT_SUCCESS(status) || status == STATUS_END_OF_MEDIA) {
        data->moved = TRUE;
        data->dirty = !waits;
    }
    return status;
}

/* Only what is on the tape has a place there: written out first. */
static NTSTATUS
get_position(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    TAPE_GET_POSITION position = { .Type = TAPE_ABSOLUTE_POSITION };
    NTSTATUS status = tapedrv_flush(fdo);

    if (fdo_given(irp) >= sizeof position.Type)
        position.Type = *(const ULONG *) INPUT(irp);
    if (NT_SUCCESS(status))
        status = tapedrv_run(fdo, tape_of(fdo)->mini->GetPosition, &position,
                             PLACE_ANY);
    if (NT_SUCCESS(status)) {
        RtlCopyMemory(INPUT(irp), &position, sizeof position);
        *information = sizeof position;
    }
    return status;
}

/* A tape without partitions has none to go to. */
static NTSTATUS
check_partition(PDEVICE_OBJECT fdo, ULONG partition)
{
    TAPE_GET_MEDIA_PARAMETERS media = { 0 };
    NTSTATUS status;

    if (partition < 2)
        return STATUS_SUCCESS;
    status = tapedrv_run(fdo, tape_of(fdo)->mini->GetMediaParameters, &media,
                         PLACE_ANY);
    if (!NT_SUCCESS(status))
        return status;
    if (media.PartitionCount <= 1)
        return STATUS_DEVICE_NOT_PARTITIONED;
    return partition <= media.PartitionCount ? STATUS_SUCCESS
                                             : STATUS_INVALID_PARAMETER;
}

static NTSTATUS
set_position(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    PTAPE_SET_POSITION position = INPUT(irp);
    struct tape_data *data = tape_of(fdo);
    BOOLEAN relative = position->Method >= TAPE_SPACE_RELATIVE_BLOCKS;
    ULONG method = position->Method;
    NTSTATUS status;

    if (method > TAPE_SPACE_SEQUENTIAL_SMKS)
        return STATUS_INVALID_PARAMETER;
    if (relative && position->Offset.QuadPart == 0)
        return STATUS_SUCCESS;
    status = relative || method == TAPE_ABSOLUTE_BLOCK
                 ? STATUS_SUCCESS
                 : check_partition(fdo, position->Partition);
    if (!NT_SUCCESS(status))
        return status;
    status = tapedrv_run(fdo, data->mini->SetPosition, position,
                         relative ? PLACE_KNOWN : PLACE_SETS);
    data->warned = FALSE;
    if (method == TAPE_REWIND && NT_SUCCESS(status))
        at_beginning(data);
    else
        data->moved = TRUE;
    return status;
}

static NTSTATUS
get_drive(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    TAPE_GET_DRIVE_PARAMETERS out = { 0 };
    NTSTATUS status = tapedrv_run(fdo, tape_of(fdo)->mini->GetDriveParameters,
                                  &out, PLACE_ANY);

    if (NT_SUCCESS(status)) {
        RtlCopyMemory(INPUT(irp), &out, sizeof out);
        *information = sizeof out;
    }
    return status;
}

static NTSTATUS
set_drive(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    return tapedrv_run(fdo, tape_of(fdo)->mini->SetDriveParameters, INPUT(irp),
                       PLACE_ANY);
}

static NTSTATUS
get_media(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    TAPE_GET_MEDIA_PARAMETERS out = { 0 };
    NTSTATUS status = tapedrv_run(fdo, tape_of(fdo)->mini->GetMediaParameters,
                                  &out, PLACE_ANY);

    if (NT_SUCCESS(status)) {
        RtlCopyMemory(INPUT(irp), &out, sizeof out);
        *information = sizeof out;
    }
    return status;
}

static NTSTATUS
set_media(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status =
        tapedrv_run(fdo, data->mini->SetMediaParameters, INPUT(irp), PLACE_ANY);

    data->length_known = FALSE;
    return status;
}

static NTSTATUS
get_status(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status =
        tapedrv_run(fdo, data->mini->GetStatus, INPUT(irp), PLACE_ANY);

    if (status == STATUS_SUCCESS &&
        InterlockedAnd(&data->news, ~NEWS_CLEANING) & NEWS_CLEANING)
        status = STATUS_DEVICE_REQUIRES_CLEANING;
    return status;
}

static NTSTATUS
create_partition(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status =
        tapedrv_run(fdo, data->mini->CreatePartition, INPUT(irp), PLACE_KNOWN);

    if (NT_SUCCESS(status))
        at_beginning(data);
    return status;
}

/* --- check-verify -------------------------------------------------------------- */

static BOOLEAN
is_mounted(PDEVICE_OBJECT fdo)
{
    BOOLEAN mounted;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    mounted = fdo->Vpb != NULL && (fdo->Vpb->Flags & VPB_MOUNTED) != 0;
    IoReleaseVpbSpinLock(irql);
    return mounted;
}

/*
 * As "Responding to Check-Verify Requests from the File System" has it: a tape
 * has no count, and whether a change is STATUS_VERIFY_REQUIRED depends on a
 * mounted volume.  A change that another request was told of counts, too.
 */
static NTSTATUS
check_verify(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    struct tape_data *data = tape_of(fdo);
    struct tape_meaning meaning;
    NTSTATUS status = tapedrv_test_ready(fdo, &meaning);

    if (!(InterlockedAnd(&data->news, ~NEWS_CHANGED) & NEWS_CHANGED))
        return status;
    if (!is_mounted(fdo))
        return STATUS_IO_DEVICE_ERROR;
    InterlockedOr((LONG volatile *) &fdo->Flags, DO_VERIFY_VOLUME);
    return STATUS_VERIFY_REQUIRED;
}

/* --- media types ---------------------------------------------------------------- */

static NTSTATUS
media_types(PDEVICE_OBJECT fdo, PIRP irp, ULONG_PTR *information)
{
    const TAPE_INIT_DATA_EX *mini = tape_of(fdo)->mini;
    PGET_MEDIA_TYPES out;
    NTSTATUS status;
    ULONG most, size;

    if (mini->TapeGetMediaTypes == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    most = (ULONG) (sizeof *out +
                    (mini->MediaTypesSupported - 1) * sizeof out->MediaInfo[0]);
    out = ExAllocatePoolWithTag(NonPagedPool, most, TAPE_TAG);
    if (out == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(out, most);
    out->DeviceType = FILE_DEVICE_TAPE;
    status = tapedrv_run(fdo, mini->TapeGetMediaTypes, out, PLACE_ANY);
    if (out->MediaInfoCount > mini->MediaTypesSupported)
        out->MediaInfoCount = mini->MediaTypesSupported;
    size = (ULONG) (offsetof(GET_MEDIA_TYPES, MediaInfo) +
                    out->MediaInfoCount * sizeof out->MediaInfo[0]);
    if (NT_SUCCESS(status) && fdo_room(irp) < size)
        status = STATUS_BUFFER_TOO_SMALL;
    if (NT_SUCCESS(status)) {
        RtlCopyMemory(INPUT(irp), out, size);
        *information = size;
    }
    ExFreePoolWithTag(out, TAPE_TAG);
    return status;
}

/* --- dispatch ------------------------------------------------------------------- */

static NTSTATUS
check(const struct control *control, PIRP irp)
{
    if (fdo_given(irp) < control->in)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (fdo_room(irp) < control->out)
        return control->run == media_types ? STATUS_BUFFER_TOO_SMALL
                                           : STATUS_INFO_LENGTH_MISMATCH;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
tapedrv_control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ULONG code = IoGetCurrentIrpStackLocation(Irp)
                     ->Parameters.DeviceIoControl.IoControlCode;
    struct tape_data *data = tape_of(DeviceObject);
    const struct control *control = controls;
    ULONG_PTR information = 0;
    NTSTATUS status;

    while (control < controls + RTL_NUMBER_OF(controls) &&
           control->code != code)
        control++;
    if (!data->ready)
        return tapedrv_complete(DeviceObject, Irp, STATUS_NO_SUCH_DEVICE, 0);
    if (control == controls + RTL_NUMBER_OF(controls))
        return ClassDeviceControl(DeviceObject, Irp);
    status = check(control, Irp);
    if (NT_SUCCESS(status)) {
        tapedrv_begin(data);
        status = control->run(DeviceObject, Irp, &information);
        tapedrv_end(data);
    }
    return tapedrv_complete(DeviceObject, Irp, status, information);
}
