/*
 * mount.c - registered file systems, and the pass that has one of them mount
 *           what is in a device
 *
 * Order of events: nt-semantics' IopMountVolume.  The device's DeviceLock is
 * held across a pass.  No lock is held while a file system works: an entry of
 * the list that is in use counts its users, and IoUnregisterFileSystem waits
 * for them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

#define RESTART_LIMIT 64 /* each needs a change of registrations */

struct fs_entry {
    LIST_ENTRY entry;
    PDEVICE_OBJECT device; /* holds a reference */
    unsigned users;        /* mount requests under way */
    bool removed;
    KEVENT unused; /* removed, and no users */
};

enum fs_list { FS_DISK, FS_CDROM, FS_TAPE, FS_NETWORK, FS_LISTS };

static KSPIN_LOCK fs_lock;
static LIST_ENTRY fs_lists[FS_LISTS] = {
    [FS_DISK] = { &fs_lists[FS_DISK], &fs_lists[FS_DISK] },
    [FS_CDROM] = { &fs_lists[FS_CDROM], &fs_lists[FS_CDROM] },
    [FS_TAPE] = { &fs_lists[FS_TAPE], &fs_lists[FS_TAPE] },
    [FS_NETWORK] = { &fs_lists[FS_NETWORK], &fs_lists[FS_NETWORK] },
};
static unsigned fs_changes; /* registrations so far; atomic */

/* --- registration -------------------------------------------------------- */

static PLIST_ENTRY
list_of_fs(DEVICE_TYPE type)
{
    switch (type) {
    case FILE_DEVICE_DISK_FILE_SYSTEM:
        return &fs_lists[FS_DISK];
    case FILE_DEVICE_CD_ROM_FILE_SYSTEM:
        return &fs_lists[FS_CDROM];
    case FILE_DEVICE_TAPE_FILE_SYSTEM:
        return &fs_lists[FS_TAPE];
    case FILE_DEVICE_NETWORK_FILE_SYSTEM:
        return &fs_lists[FS_NETWORK];
    default:
        return NULL;
    }
}

static PLIST_ENTRY
list_of_storage(DEVICE_TYPE type)
{
    switch (type) {
    case FILE_DEVICE_DISK:
    case FILE_DEVICE_VIRTUAL_DISK:
        return &fs_lists[FS_DISK];
    case FILE_DEVICE_CD_ROM:
        return &fs_lists[FS_CDROM];
    default:
        return &fs_lists[FS_TAPE];
    }
}

/* The last registered is asked first; DO_LOW_PRIORITY_FILESYSTEM goes before
 * the tail, which is RAW's. */
VOID NTAPI
IoRegisterFileSystem(PDEVICE_OBJECT DeviceObject)
{
    PLIST_ENTRY list = list_of_fs(DeviceObject->DeviceType);
    bool low_priority =
        (io_device_flags(DeviceObject) & DO_LOW_PRIORITY_FILESYSTEM) != 0;
    struct fs_entry *added = NULL;
    KIRQL irql;

    KE_IRQL(IoRegisterFileSystem);
    InterlockedIncrement(&DeviceObject->ReferenceCount);
    io_device_clear_flags(DeviceObject, DO_DEVICE_INITIALIZING);
    if (list != NULL)
        added = ExAllocatePoolWithTag(NonPagedPool, sizeof *added, IO_TAG_FS);
    if (added == NULL) {
        TRACE(TRACE_VERIFY, "file system dev=%p not queued",
              (void *) DeviceObject);
        return;
    }
    RtlZeroMemory(added, sizeof *added);
    KeInitializeEvent(&added->unused, NotificationEvent, FALSE);
    ObReferenceObject(DeviceObject);
    added->device = DeviceObject;
    KeAcquireSpinLock(&fs_lock, &irql);
    if (io_devext(DeviceObject)->raw || (low_priority && IsListEmpty(list)))
        InsertTailList(list, &added->entry);
    else if (low_priority)
        InsertTailList(list->Blink, &added->entry);
    else
        InsertHeadList(list, &added->entry);
    __atomic_add_fetch(&fs_changes, 1, __ATOMIC_RELEASE);
    KeReleaseSpinLock(&fs_lock, irql);
}

static struct fs_entry *
find_locked(PDEVICE_OBJECT device)
{
    for (int i = 0; i < FS_LISTS; i++)
        for (PLIST_ENTRY at = fs_lists[i].Flink; at != &fs_lists[i];
             at = at->Flink) {
            struct fs_entry *entry =
                CONTAINING_RECORD(at, struct fs_entry, entry);

            if (entry->device == device)
                return entry;
        }
    return NULL;
}

/* Waits until no mount request is under way there, so not from one. */
VOID NTAPI
IoUnregisterFileSystem(PDEVICE_OBJECT DeviceObject)
{
    struct fs_entry *entry;
    bool wait = false;
    KIRQL irql;

    KE_IRQL(IoUnregisterFileSystem);
    InterlockedDecrement(&DeviceObject->ReferenceCount);
    KeAcquireSpinLock(&fs_lock, &irql);
    entry = find_locked(DeviceObject);
    if (entry != NULL) {
        RemoveEntryList(&entry->entry);
        entry->removed = true;
        wait = entry->users != 0;
        __atomic_add_fetch(&fs_changes, 1, __ATOMIC_RELEASE);
    }
    KeReleaseSpinLock(&fs_lock, irql);
    if (entry == NULL)
        return;
    if (wait)
        KeWaitForSingleObject(&entry->unused, Executive, KernelMode, FALSE,
                              NULL);
    ObDereferenceObject(entry->device);
    ExFreePoolWithTag(entry, IO_TAG_FS);
}

/* The n-th registered one, referenced, or NULL. */
static PDEVICE_OBJECT
nth_file_system(unsigned n)
{
    PDEVICE_OBJECT device = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&fs_lock, &irql);
    for (int i = 0; i < FS_LISTS && device == NULL; i++)
        for (PLIST_ENTRY at = fs_lists[i].Flink;
             at != &fs_lists[i] && device == NULL; at = at->Flink)
            if (n-- == 0)
                device = CONTAINING_RECORD(at, struct fs_entry, entry)->device;
    if (device != NULL)
        ObReferenceObject(device);
    KeReleaseSpinLock(&fs_lock, irql);
    return device;
}

void
io_each_file_system(void (*fn)(PDEVICE_OBJECT device))
{
    PDEVICE_OBJECT device;

    for (unsigned n = 0; (device = nth_file_system(n)) != NULL; n++) {
        fn(device);
        ObDereferenceObject(device);
    }
}

BOOLEAN NTAPI
FsRtlIsTotalDeviceFailure(NTSTATUS Status)
{
    return !NT_SUCCESS(Status) && Status != STATUS_CRC_ERROR &&
           Status != STATUS_DEVICE_DATA_ERROR;
}

/* --- one request --------------------------------------------------------- */

NTSTATUS
io_volume_request(PDEVICE_OBJECT target, UCHAR minor, BOOLEAN allow_raw,
                  PVPB vpb, PDEVICE_OBJECT parameter, CCHAR stack_size,
                  ULONG_PTR *out_information)
{
    PIRP irp = IoAllocateIrp(stack_size, FALSE);
    PIO_STACK_LOCATION next;
    IO_STATUS_BLOCK iosb = { 0 };
    KEVENT event;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp->Flags = IRP_MOUNT_COMPLETION | IRP_SYNCHRONOUS_PAGING_IO;
    irp->RequestorMode = KernelMode;
    irp->UserIosb = &iosb;
    irp->UserEvent = &event;
    irp->Tail.Overlay.Thread = ke_current();
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL;
    next->MinorFunction = minor;
    next->Flags = allow_raw ? SL_ALLOW_RAW_MOUNT : 0;
    /* MountVolume and VerifyVolume share their layout. */
    next->Parameters.MountVolume.Vpb = vpb;
    next->Parameters.MountVolume.DeviceObject = parameter;
    if (IoCallDriver(target, irp) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    if (out_information != NULL)
        *out_information = iosb.Information;
    TRACE(TRACE_VERIFY, "dev=%p minor=%x vpb=%p: %s", (void *) target, minor,
          (void *) vpb, status_name(iosb.Status));
    return iosb.Status;
}

/* --- the pass ------------------------------------------------------------ */

struct pass {
    PDEVICE_OBJECT device; /* the real device */
    PDEVICE_OBJECT top;    /* of the storage stack */
    PLIST_ENTRY list;
    BOOLEAN allow_raw;
    unsigned changes; /* fs_changes at the start of the list */
    bool only;        /* the list has one entry */
    NTSTATUS status;
    PVPB mounted; /* referenced */
};

enum step { STEP_NEXT, STEP_STOP, STEP_RESTART, STEP_LOAD };

static PVPB
current_vpb(PDEVICE_OBJECT device, USHORT *out_flags)
{
    PVPB vpb;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    vpb = device->Vpb;
    *out_flags = vpb != NULL ? vpb->Flags : 0;
    IoReleaseVpbSpinLock(irql);
    return vpb;
}

/* The file system may have put another VPB on the device (a volume that it
 * knows came back), so look again. */
static void
set_mounted(struct pass *pass, PVPB given, bool raw)
{
    CCHAR stack_size = (CCHAR) (pass->top->StackSize + 1);
    PDEVICE_OBJECT volume;
    bool moved_on;
    PVPB vpb;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    vpb = pass->device->Vpb;
    volume = vpb->DeviceObject;
    moved_on =
        vpb != given && (volume == NULL || (vpb->Flags & VPB_MOUNTED) == 0);
    if (volume != NULL && !moved_on) {
        io_devext(pass->device)->mounted_once = true;
        io_devext(volume)->volume_of = pass->device;
        vpb->Flags |= VPB_MOUNTED;
        if (raw)
            vpb->Flags |= VPB_RAW_MOUNT;
        vpb->ReferenceCount++;
        if (volume->StackSize != stack_size)
            volume->StackSize = stack_size;
    }
    IoReleaseVpbSpinLock(irql);
    if (moved_on) {
        /* Its medium was found in another drive meanwhile, which took it. */
        pass->status = STATUS_UNRECOGNIZED_VOLUME;
        return;
    }
    if (volume == NULL)
        io_broken(IO_RULE_MOUNT_NO_DEVICE, pass->device, NULL);
    pass->mounted = vpb;
    pass->status = STATUS_SUCCESS;
}

/* A recogniser knows the format: it is told to load the real thing. */
static enum step
load_file_system(struct pass *pass, PDEVICE_OBJECT fs_top)
{
    io_volume_request(fs_top, IRP_MN_LOAD_FILE_SYSTEM, FALSE, NULL, NULL,
                      fs_top->StackSize, NULL);
    pass->mounted = io_vpb_ref_mounted(pass->device, NULL);
    if (pass->mounted != NULL) {
        pass->status = STATUS_SUCCESS;
        return STEP_STOP;
    }
    pass->status = STATUS_UNRECOGNIZED_VOLUME;
    return STEP_RESTART;
}

static enum step
judge_failure(struct pass *pass, NTSTATUS status, ULONG_PTR information)
{
    pass->status = status;
    if (status == STATUS_INSUFFICIENT_RESOURCES)
        return STEP_STOP;
    /* The file system has had the user told; nobody else is to try. */
    if (IoIsErrorUserInduced(status) && information == 1)
        return STEP_STOP;
    if (__atomic_load_n(&fs_changes, __ATOMIC_ACQUIRE) != pass->changes) {
        pass->status = STATUS_UNRECOGNIZED_VOLUME;
        return STEP_RESTART;
    }
    if (!pass->allow_raw && status != STATUS_UNRECOGNIZED_VOLUME &&
        FsRtlIsTotalDeviceFailure(status))
        return STEP_STOP;
    return STEP_NEXT;
}

static enum step
try_file_system(struct pass *pass, PDEVICE_OBJECT fs_top, bool raw)
{
    ULONG_PTR information = 0;
    NTSTATUS status;
    USHORT flags;
    PVPB vpb = current_vpb(pass->device, &flags);

    if (raw && !pass->allow_raw && !pass->only) {
        pass->status = STATUS_UNRECOGNIZED_VOLUME;
        return STEP_STOP;
    }
    if ((flags & VPB_RAW_MOUNT) && !raw)
        return STEP_NEXT;
    status = io_volume_request(
        fs_top, IRP_MN_MOUNT_VOLUME, pass->allow_raw, vpb, pass->top,
        (CCHAR) (pass->top->StackSize + fs_top->StackSize), &information);
    if (NT_SUCCESS(status)) {
        set_mounted(pass, vpb, raw);
        return STEP_STOP;
    }
    if (status == STATUS_FS_DRIVER_REQUIRED)
        return STEP_LOAD;
    return judge_failure(pass, status, information);
}

/* The entry after `done` (NULL: the first) with a user counted, NULL at the
 * end; `done` loses its user. */
static struct fs_entry *
advance(struct pass *pass, struct fs_entry *done, enum step step)
{
    struct fs_entry *next = NULL;
    PLIST_ENTRY at;
    KIRQL irql;

    KeAcquireSpinLock(&fs_lock, &irql);
    at = done != NULL && !done->removed && step == STEP_NEXT
             ? done->entry.Flink
             : pass->list->Flink;
    if (done == NULL || done->removed || step == STEP_RESTART)
        pass->changes = fs_changes;
    pass->only = pass->list->Flink->Flink == pass->list;
    if (step != STEP_STOP && at != pass->list) {
        next = CONTAINING_RECORD(at, struct fs_entry, entry);
        next->users++;
    }
    if (done != NULL && --done->users == 0 && done->removed)
        KeSetEvent(&done->unused, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&fs_lock, irql);
    return next;
}

static void
run_pass(struct pass *pass)
{
    struct fs_entry *entry = advance(pass, NULL, STEP_RESTART);
    unsigned restarts = 0;

    pass->status = STATUS_UNRECOGNIZED_VOLUME;
    while (entry != NULL) {
        PDEVICE_OBJECT fs_top = IoGetAttachedDeviceReference(entry->device);
        enum step step =
            try_file_system(pass, fs_top, io_devext(entry->device)->raw);

        if ((step == STEP_RESTART || step == STEP_LOAD) &&
            ++restarts > RESTART_LIMIT)
            step = STEP_STOP;
        if (step == STEP_LOAD) {
            /* It unregisters itself meanwhile, so it may not be in use. */
            advance(pass, entry, STEP_STOP);
            entry = advance(pass, NULL, load_file_system(pass, fs_top));
        } else {
            entry = advance(pass, entry, step);
        }
        ObDereferenceObject(fs_top);
    }
}

NTSTATUS
io_mount_volume(PDEVICE_OBJECT device, BOOLEAN allow_raw, bool device_is_locked,
                PVPB *out_vpb)
{
    struct pass pass = { .device = device, .allow_raw = allow_raw };
    USHORT flags;

    if (IO_CHECKED)
        io_verification_begin();
    if (!device_is_locked)
        KeWaitForSingleObject(&device->DeviceLock, Executive, KernelMode, FALSE,
                              NULL);
    KeEnterCriticalRegion();
    pass.mounted = io_vpb_ref_mounted(device, NULL);
    if (pass.mounted != NULL) {
        pass.status = STATUS_SUCCESS;
    } else if (current_vpb(device, &flags) == NULL ||
               (flags & VPB_REMOVE_PENDING) || io_device_gone(device)) {
        pass.status = STATUS_DEVICE_DOES_NOT_EXIST;
    } else {
        /* A mount looks at the current medium, whatever it is. */
        io_device_clear_flags(device, DO_VERIFY_VOLUME);
        pass.top = IoGetAttachedDeviceReference(device);
        pass.list = list_of_storage(device->DeviceType);
        run_pass(&pass);
        ObDereferenceObject(pass.top);
    }
    KeLeaveCriticalRegion();
    if (!device_is_locked)
        KeSetEvent(&device->DeviceLock, IO_NO_INCREMENT, FALSE);
    if (IO_CHECKED)
        io_verification_end();
    if (NT_SUCCESS(pass.status))
        *out_vpb = pass.mounted;
    return pass.status;
}

NTSTATUS
io_mount(PDEVICE_OBJECT device, BOOLEAN allow_raw)
{
    NTSTATUS status;
    PVPB vpb;

    status = io_mount_volume(device, allow_raw, false, &vpb);
    if (NT_SUCCESS(status))
        io_vpb_deref(vpb);
    return status;
}
