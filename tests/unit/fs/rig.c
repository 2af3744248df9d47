/*
 * rig.c - the whole stack under a test
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "cdrom/cdrom.h"
#include "disk/disk.h"
#include "port/port.h"

char rig_folder[64];

static PDRIVER_OBJECT port_driver, disk_driver, cdrom_driver, watch_driver,
    fs_driver;

/* --- the filter -------------------------------------------------------------- */

static struct watch *
watch_of(PDEVICE_OBJECT device)
{
    return *(struct watch **) device->DeviceExtension;
}

static void
write_down(struct watch *watch, PIO_STACK_LOCATION at)
{
    struct passed passed = { .major = at->MajorFunction,
                             .flags = at->Flags,
                             .thread = PsGetCurrentThread(),
                             .top = IoGetTopLevelIrp() };
    KIRQL irql;

    if (at->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        passed.code = at->Parameters.DeviceIoControl.IoControlCode;
    else
        passed.key = at->Parameters.Read.Key;
    KeAcquireSpinLock(&watch->lock, &irql);
    watch->log[watch->passed++ % LOG_MAX] = passed;
    KeReleaseSpinLock(&watch->lock, irql);
}

static NTSTATUS NTAPI
watch_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct watch *watch = context;
    watch_after_fn *after = __atomic_load_n(&watch->after, __ATOMIC_ACQUIRE);

    (void) device;
    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    if (after != NULL)
        after(watch, irp, IoGetCurrentIrpStackLocation(irp));
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
watch_any(PDEVICE_OBJECT device, PIRP irp)
{
    struct watch *watch = watch_of(device);
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    watch_before_fn *before = __atomic_load_n(&watch->before, __ATOMIC_ACQUIRE);
    NTSTATUS status = STATUS_SUCCESS;
    ULONG_PTR information = 0;

    write_down(watch, at);
    if (before != NULL && before(watch, irp, at, &status, &information)) {
        irp->IoStatus.Status = status;
        irp->IoStatus.Information = information;
        IoCompleteRequest(irp, IO_NO_INCREMENT);
        return status;
    }
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, watch_done, watch, TRUE, TRUE, TRUE);
    return IoCallDriver(watch->lower, irp);
}

static NTSTATUS NTAPI
watch_pnp(PDEVICE_OBJECT device, PIRP irp)
{
    struct watch *watch = watch_of(device);
    BOOLEAN removal = IoGetCurrentIrpStackLocation(irp)->MinorFunction ==
                      IRP_MN_REMOVE_DEVICE;
    NTSTATUS status;

    IoSkipCurrentIrpStackLocation(irp);
    status = IoCallDriver(watch->lower, irp);
    if (removal) {
        IoDetachDevice(watch->lower);
        IoDeleteDevice(device);
    }
    return status;
}

static NTSTATUS NTAPI
watch_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void) path;
    for (int i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        driver->MajorFunction[i] = watch_any;
    driver->MajorFunction[IRP_MJ_PNP] = watch_pnp;
    return STATUS_SUCCESS;
}

void
watch_attach_to(struct watch *watch, PDEVICE_OBJECT to)
{
    KeInitializeSpinLock(&watch->lock);
    assert_int_equal(IoCreateDevice(watch_driver, sizeof(void *), NULL,
                                    to->DeviceType, 0, FALSE, &watch->device),
                     STATUS_SUCCESS);
    *(struct watch **) watch->device->DeviceExtension = watch;
    watch->lower = IoAttachDeviceToDeviceStack(watch->device, to);
    assert_non_null(watch->lower);
    watch->device->Flags |= DO_DIRECT_IO;
    watch->device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
}

void
watch_reset(struct watch *watch)
{
    KIRQL irql;

    KeAcquireSpinLock(&watch->lock, &irql);
    watch->passed = 0;
    KeReleaseSpinLock(&watch->lock, irql);
}

static unsigned
count(struct watch *watch, int major, ULONG code)
{
    unsigned n = 0;
    KIRQL irql;

    KeAcquireSpinLock(&watch->lock, &irql);
    for (unsigned i = 0; i < watch->passed && i < LOG_MAX; i++)
        n += (major < 0 || watch->log[i].major == major) &&
             (code == 0 || watch->log[i].code == code);
    KeReleaseSpinLock(&watch->lock, irql);
    return n;
}

unsigned
watch_total(struct watch *watch)
{
    return count(watch, -1, 0);
}

unsigned
watch_count(struct watch *watch, UCHAR major)
{
    return count(watch, major, 0);
}

unsigned
watch_controls(struct watch *watch, ULONG code)
{
    return count(watch, IRP_MJ_DEVICE_CONTROL, code);
}

/* --- images ----------------------------------------------------------------------- */

static const char *
path_of(const char *name)
{
    static char paths[32][128];
    static unsigned next;
    char *path = paths[next++ % 32];

    snprintf(path, sizeof paths[0], "%s/%s", rig_folder, name);
    return path;
}

/* Every "%s" of the command becomes the path. */
static void
run(const char *command, const char *path)
{
    char line[1024] = "";
    size_t len = 0;

    for (const char *p = command; *p != '\0' && len < sizeof line - 128; p++) {
        if (p[0] == '%' && p[1] == 's') {
            len += (size_t) snprintf(line + len, sizeof line - len, "%s", path);
            p++;
        } else {
            line[len++] = *p;
            line[len] = '\0';
        }
    }
    strcat(line, " >/dev/null 2>&1");
    if (system(line) != 0)
        fail_msg("%s", line);
}

const char *
image(const char *name, unsigned kib, const char *command)
{
    const char *path = path_of(name);
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t) kib << 10), 0);
    close(fd);
    if (command != NULL)
        run(command, path);
    return path;
}

const char *
image_copy(const char *name, const char *of)
{
    const char *path = path_of(name);
    char line[512];

    snprintf(line, sizeof line, "cp %s %s", of, path);
    assert_int_equal(system(line), 0);
    return path;
}

void
image_poke(const char *path, unsigned long offset, const void *bytes,
           size_t len)
{
    int fd = open(path, O_RDWR);

    assert_int_equal(pwrite(fd, bytes, len, (off_t) offset), len);
    close(fd);
}

void
image_peek(const char *path, unsigned long offset, void *bytes, size_t len)
{
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, bytes, len, (off_t) offset), len);
    close(fd);
}

/* --- questions --------------------------------------------------------------------- */

static LONG prompts_asked;        /* atomic */
static LONG volatile asked_up_to; /* atomic: the id of the newest of these */

LONG
asked(void)
{
    return __atomic_load_n(&prompts_asked, __ATOMIC_ACQUIRE);
}

static void
host_describe(void *context, PVPB vpb, PDEVICE_OBJECT real, char *out_volume,
              char *out_drive)
{
    struct rig *rig = context;
    struct fs_volume_info info;

    fs_volume_info(fs_volume_of(vpb), &info);
    snprintf(out_volume, RI_NAME_MAX, "%s", info.label);
    snprintf(out_drive, RI_NAME_MAX, "drive%d", real == rig->d[1].fdo);
}

static BOOLEAN
host_untold(void *context, PVPB vpb)
{
    (void) context;
    return fs_is_untold(fs_volume_of(vpb));
}

static BOOLEAN
host_needed(void *context, PVPB vpb, NTSTATUS status)
{
    struct fs_volume_info info;

    (void) context;
    fs_volume_info(fs_volume_of(vpb), &info);
    if (info.dismounted)
        return FALSE;
    if (status == STATUS_MEDIA_WRITE_PROTECTED)
        return info.read_only || fs_state_away(info.state);
    return status == STATUS_IO_TIMEOUT || fs_state_away(info.state) ||
           info.state == VOL_CHANGED;
}

void (*before_question)(void);

static NTSTATUS
host_gone(void *context, PVPB vpb)
{
    struct fs_volume_info info;

    (void) context;
    if (before_question != NULL)
        before_question();
    fs_volume_info(fs_volume_of(vpb), &info);
    return info.reason == STATUS_DEVICE_DOES_NOT_EXIST ||
                   info.reason == STATUS_DEVICE_NOT_CONNECTED
               ? info.reason
               : STATUS_SUCCESS;
}

static BOOLEAN
host_try_again(void *context, PVPB vpb)
{
    (void) context;
    return fs_try_again(fs_volume_of(vpb));
}

static BOOLEAN
host_try_one(void *context, PIRP irp)
{
    (void) context;
    if (!fs_try_one(irp))
        return FALSE;
    if (io_harderr_try(irp))
        return TRUE;
    fs_try_none(irp);
    return FALSE;
}

static void
host_event(void *context, enum prompt_event event,
           const struct ri_prompt_info *prompt)
{
    (void) context;
    if (event != PROMPT_ASKED)
        return;
    InterlockedIncrement(&prompts_asked);
    InterlockedExchange(&asked_up_to, (LONG) prompt->id);
}

static void
volume_changed(void *context, struct volume *volume, enum vol_state state,
               BOOLEAN news)
{
    struct fs_volume_info info;

    (void) context;
    (void) news;
    fs_volume_info(volume, &info);
    if (state == VOL_MOUNTED || info.dismounted)
        prompt_arrived(fs_volume_vpb(volume));
    else if (state == VOL_ABSENT || state == VOL_CHANGED)
        prompt_reason(fs_volume_vpb(volume), info.reason);
}

size_t
prompts(struct ri_prompt_info *out_first)
{
    struct ri_prompt_info *list;
    size_t n;

    assert_int_equal(prompt_list(&list, &n), 0);
    if (n > 0 && out_first != NULL)
        *out_first = list[0];
    free(list);
    return n;
}

struct ri_prompt_info
the_prompt(void)
{
    struct ri_prompt_info info;

    assert_true(EVENTUALLY(prompts(&info) == 1 &&
                           __atomic_load_n(&asked_up_to, __ATOMIC_ACQUIRE) >=
                               (LONG) info.id));
    return info;
}

void
answer(enum ri_answer answer)
{
    assert_int_equal(prompt_answer(the_prompt().id, answer), 0);
}

/* --- life ----------------------------------------------------------------------------- */

int
rig_begin(void **state)
{
    (void) state;
    setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
    snprintf(rig_folder, sizeof rig_folder, "/tmp/fs-rules-XXXXXX");
    return mkdtemp(rig_folder) == NULL;
}

int
rig_end(void **state)
{
    char line[128];

    (void) state;
    snprintf(line, sizeof line, "rm -rf %s", rig_folder);
    return system(line);
}

static void
connect(struct rig *rig)
{
    const struct prompt_host host = {
        .context = rig,
        .describe = host_describe,
        .untold = host_untold,
        .needed = host_needed,
        .try_again = host_try_again,
        .gone = host_gone,
        .try_one = host_try_one,
        .retry = io_harderr_retry,
        .fail = io_harderr_fail,
        .event = host_event,
    };
    const struct io_harderr_port port = { .raise = prompt_raise,
                                          .inform = prompt_inform,
                                          .ask = prompt_ask };

    prompts_asked = asked_up_to = 0;
    prompt_init(&host, 0, RI_NO_OPERATOR_WAIT);
    io_set_harderr_port(&port);
    fs_set_observer(volume_changed, rig);
    fs_set_tried(prompt_tried);
}

static void
add_drive(struct rig *rig, const struct vscsi_config *config)
{
    struct drive_rig *d = &rig->d[rig->drives++];
    struct vscsi_config own = *config;
    static unsigned number;
    char name[32];

    snprintf(name, sizeof name, "drive%u", number++);
    own.name = name;
    d->drive = vscsi_new(&own);
    assert_non_null(d->drive);
    assert_int_equal(port_add_virtual(port_driver, d->drive, name, &d->pdo),
                     STATUS_SUCCESS);
    assert_int_equal(io_start_device(config->type == VSCSI_CDROM ? cdrom_driver
                                                                 : disk_driver,
                                     d->pdo),
                     STATUS_SUCCESS);
    d->fdo = IoGetAttachedDevice(d->pdo);
    watch_attach_to(&d->watch, d->fdo);
}

static struct rig *
new_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_int_equal(io_init(), STATUS_SUCCESS);
    assert_int_equal(io_load_driver("port", port_driver_entry, &port_driver),
                     0);
    assert_int_equal(io_load_driver("disk", disk_driver_entry, &disk_driver),
                     0);
    assert_int_equal(io_load_driver("cdrom", cdrom_driver_entry, &cdrom_driver),
                     0);
    assert_int_equal(io_load_driver("watch", watch_entry, &watch_driver), 0);
    assert_int_equal(io_load_driver("volume", fs_driver_entry, &fs_driver), 0);
    connect(rig);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
    *state = rig;
    return rig;
}

int
rig_disk(void **state)
{
    add_drive(new_rig(state), &(struct vscsi_config){ .type = VSCSI_DISK });
    return 0;
}

int
rig_disks(void **state)
{
    struct rig *rig = new_rig(state);

    add_drive(rig, &(struct vscsi_config){ .type = VSCSI_DISK });
    add_drive(rig, &(struct vscsi_config){ .type = VSCSI_DISK });
    return 0;
}

int
rig_three_disks(void **state)
{
    (void) rig_disks(state);
    add_drive(*state, &(struct vscsi_config){ .type = VSCSI_DISK });
    return 0;
}

int
rig_protected_disk(void **state)
{
    add_drive(new_rig(state), &(struct vscsi_config){ .type = VSCSI_DISK,
                                                      .write_protect = true });
    return 0;
}

int
rig_cached_disk(void **state)
{
    add_drive(new_rig(state), &(struct vscsi_config){ .type = VSCSI_DISK,
                                                      .cache_volatile = true });
    return 0;
}

int
rig_cached_disks(void **state)
{
    struct rig *rig = new_rig(state);
    const struct vscsi_config config = { .type = VSCSI_DISK,
                                         .cache_volatile = true };

    add_drive(rig, &config);
    add_drive(rig, &config);
    return 0;
}

int
rig_cdrom(void **state)
{
    add_drive(new_rig(state), &(struct vscsi_config){ .type = VSCSI_CDROM });
    return 0;
}

int
rig_free(void **state)
{
    struct rig *rig = *state;

    fs_shutdown();
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    ke_shutdown();
    fs_set_observer(NULL, NULL);
    io_set_harderr_port(NULL);
    fs_dismount_all();
    for (int i = 0; i < rig->drives; i++) {
        io_surprise_remove_device(rig->d[i].pdo);
        port_remove_unit(rig->d[i].pdo);
        vscsi_free(rig->d[i].drive);
    }
    io_unload_driver(fs_driver);
    io_unload_driver(watch_driver);
    io_unload_driver(cdrom_driver);
    io_unload_driver(disk_driver);
    io_unload_driver(port_driver);
    io_shutdown();
    free(rig);
    return 0;
}

/* --- hands ---------------------------------------------------------------------------- */

void
put_in(struct drive_rig *d, const char *path)
{
    char text[256];

    if (vscsi_insert(d->drive, path, text, sizeof text) != 0)
        fail_msg("%s: %s", path, text);
}

void
pull_out(struct drive_rig *d)
{
    assert_int_equal(vscsi_yank(d->drive), 0);
}

void
swap(struct drive_rig *d, const char *path)
{
    pull_out(d);
    put_in(d, path);
}

void
fault(struct drive_rig *d, const char *rule)
{
    char text[256];

    if (vscsi_fault_add(d->drive, rule, text, sizeof text) != 0)
        fail_msg("%s: %s", rule, text);
}

struct volume *
mount(struct drive_rig *d)
{
    struct volume *volume;

    assert_int_equal(io_mount(d->fdo, FALSE), STATUS_SUCCESS);
    volume = fs_volume_on(d->fdo);
    assert_non_null(volume);
    return volume;
}

BOOLEAN
head_dirty(struct volume *volume)
{
    return __atomic_load_n(&volume->head_dirty, __ATOMIC_ACQUIRE);
}

BOOLEAN
verify_flag(struct drive_rig *d)
{
    return (__atomic_load_n(&d->fdo->Flags, __ATOMIC_ACQUIRE) &
            DO_VERIFY_VOLUME) != 0;
}

void
set_flag(struct drive_rig *d)
{
    InterlockedOr((LONG volatile *) &d->fdo->Flags, DO_VERIFY_VOLUME);
}

/* --- requests ---------------------------------------------------------------------- */

static NTSTATUS NTAPI
completed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct req *req = context;

    (void) device;
    req->status = irp->IoStatus.Status;
    req->information = irp->IoStatus.Information;
    KeSetEvent(&req->done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

void
req_send(struct req *req, PDEVICE_OBJECT device)
{
    KeInitializeEvent(&req->done, NotificationEvent, FALSE);
    req->irp->Tail.Overlay.Thread = PsGetCurrentThread();
    IoSetCompletionRoutine(req->irp, completed, req, TRUE, TRUE, TRUE);
    req->returned = IoCallDriver(device, req->irp);
}

PFILE_OBJECT req_file;
UCHAR req_flags;

static PIO_STACK_LOCATION
prepare(struct req *req, struct volume *volume, UCHAR major)
{
    PIO_STACK_LOCATION next;

    memset(req, 0, sizeof *req);
    req->irp = IoAllocateIrp(fs_volume_device(volume)->StackSize, FALSE);
    assert_non_null(req->irp);
    next = IoGetNextIrpStackLocation(req->irp);
    next->MajorFunction = major;
    next->FileObject = req_file;
    next->Flags = req_flags;
    return next;
}

void
req_start(struct req *req, struct volume *volume, UCHAR major, ULONG64 offset,
          void *data, ULONG length)
{
    PIO_STACK_LOCATION next = prepare(req, volume, major);

    next->Parameters.Read.Length = length;
    next->Parameters.Read.ByteOffset.QuadPart = (LONGLONG) offset;
    if (length != 0) {
        req->mdl = IoAllocateMdl(data, length, FALSE, FALSE, NULL);
        MmBuildMdlForNonPagedPool(req->mdl);
        req->irp->MdlAddress = req->mdl;
    }
    req_send(req, fs_volume_device(volume));
}

void
req_control(struct req *req, struct volume *volume, PFILE_OBJECT file,
            ULONG code, void *buffer, ULONG in, ULONG out)
{
    UCHAR major = DEVICE_TYPE_FROM_CTL_CODE(code) == FILE_DEVICE_FILE_SYSTEM
                      ? IRP_MJ_FILE_SYSTEM_CONTROL
                      : IRP_MJ_DEVICE_CONTROL;
    PIO_STACK_LOCATION next = prepare(req, volume, major);

    next->FileObject = file;
    next->Parameters.FileSystemControl.FsControlCode = code;
    next->Parameters.FileSystemControl.InputBufferLength = in;
    next->Parameters.FileSystemControl.OutputBufferLength = out;
    req->irp->AssociatedIrp.SystemBuffer = buffer;
    req_send(req, fs_volume_device(volume));
}

BOOLEAN
req_is_done(struct req *req)
{
    return KeReadStateEvent(&req->done) != 0;
}

NTSTATUS
req_end(struct req *req)
{
    KeWaitForSingleObject(&req->done, Executive, KernelMode, FALSE, NULL);
    if (req->mdl != NULL)
        IoFreeMdl(req->mdl);
    IoFreeIrp(req->irp);
    return req->status;
}

NTSTATUS
read_volume(struct volume *volume, ULONG64 offset, void *data, ULONG length)
{
    struct req req;

    req_start(&req, volume, IRP_MJ_READ, offset, data, length);
    return req_end(&req);
}

NTSTATUS
write_volume(struct volume *volume, ULONG64 offset, void *data, ULONG length)
{
    struct req req;

    req_start(&req, volume, IRP_MJ_WRITE, offset, data, length);
    return req_end(&req);
}

NTSTATUS
fsctl(PFILE_OBJECT file, ULONG code, void *buffer, ULONG in, ULONG out,
      ULONG_PTR *out_information)
{
    struct req req;

    req_control(&req, fs_volume_of(file->Vpb), file, code, buffer, in, out);
    req_end(&req);
    if (out_information != NULL)
        *out_information = req.information;
    return req.status;
}

NTSTATUS
open_volume(struct drive_rig *d, PFILE_OBJECT *out_file)
{
    return io_open_file(d->fdo, FILE_READ_DATA | FILE_WRITE_DATA, NULL,
                        out_file);
}

/* --- what is on media, and what is not yet ------------------------------------- */

NTSTATUS
flush_volume(struct volume *volume)
{
    struct req req;

    req_start(&req, volume, IRP_MJ_FLUSH_BUFFERS, 0, NULL, 0);
    return req_end(&req);
}

struct fs_volume_info
info_of(struct volume *volume)
{
    struct fs_volume_info info;

    fs_volume_info(volume, &info);
    return info;
}

void
assert_on_medium(const char *path, unsigned long at, const void *data,
                 size_t len)
{
    static UCHAR seen[65536];

    image_peek(path, at, seen, len);
    assert_memory_equal(seen, data, len);
}

void
assert_not_on_medium(const char *path, unsigned long at, const void *data,
                     size_t len)
{
    static UCHAR seen[65536];

    image_peek(path, at, seen, len);
    assert_memory_not_equal(seen, data, len);
}

void
limit(ULONG64 bytes, ULONG idle_ms)
{
    fs_set_limits(&(struct fs_limits){ .unflushed_bytes = bytes,
                                       .unflushed_total_bytes = 256u << 20,
                                       .flush_idle_ms = idle_ms });
}

static NTSTATUS
take_run(void *context, ULONG64 offset, const void *data, ULONG length)
{
    struct kept *kept = context;

    if (kept->runs++ == 0)
        kept->first = offset;
    kept->bytes += length;
    kept->value = *(const UCHAR *) data;
    return STATUS_SUCCESS;
}

NTSTATUS
keep(void *context, const struct fs_lack *lack)
{
    struct kept *kept = context;

    kept->calls++;
    assert_int_equal(fs_lack_each(lack, take_run, kept), STATUS_SUCCESS);
    return kept->answer;
}
