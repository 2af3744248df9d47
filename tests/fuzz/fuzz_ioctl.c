/*
 * fuzz_ioctl.c - any device control on a real driver over an emulated drive
 *
 * Input: which drive, how the request is made, the code (of a list, or any),
 * lengths, contents.  Checked: the request completes once; nothing behind the
 * buffer is touched, and of the input's tail nothing is changed; Information
 * is no more than there is room for; a READ works afterwards.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vscsi.h>

#include "io/io.h"
#include "port/port.h"

#define IMAGE_BYTES (1440u * 1024)

static const struct {
    const char *name;
    enum vscsi_type type;
    uint32_t block;
    bool cdrom;
} kinds[] = {
    { "disk", VSCSI_DISK, 512, false },
    { "floppy", VSCSI_FLOPPY, 512, false },
    { "cdrom", VSCSI_CDROM, 2048, true },
    { "large", VSCSI_DISK, 4096, false },
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static struct rig {
    struct vscsi_drive *drive;
    PDEVICE_OBJECT pdo, fdo;
    char image[64];
} rigs[KINDS];

static const ULONG codes[] = {
    IOCTL_STORAGE_CHECK_VERIFY,
    IOCTL_STORAGE_CHECK_VERIFY2,
    IOCTL_DISK_CHECK_VERIFY,
    IOCTL_CDROM_CHECK_VERIFY,
    IOCTL_STORAGE_MEDIA_REMOVAL,
    IOCTL_STORAGE_EJECTION_CONTROL,
    IOCTL_STORAGE_MCN_CONTROL,
    IOCTL_STORAGE_EJECT_MEDIA,
    IOCTL_STORAGE_LOAD_MEDIA,
    IOCTL_STORAGE_LOAD_MEDIA2,
    IOCTL_STORAGE_RESERVE,
    IOCTL_STORAGE_RELEASE,
    IOCTL_STORAGE_GET_MEDIA_TYPES,
    IOCTL_STORAGE_GET_MEDIA_TYPES_EX,
    IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER,
    IOCTL_STORAGE_GET_HOTPLUG_INFO,
    IOCTL_STORAGE_SET_HOTPLUG_INFO,
    IOCTL_STORAGE_RESET_BUS,
    IOCTL_STORAGE_RESET_DEVICE,
    IOCTL_STORAGE_GET_DEVICE_NUMBER,
    IOCTL_STORAGE_PREDICT_FAILURE,
    IOCTL_STORAGE_READ_CAPACITY,
    IOCTL_STORAGE_QUERY_PROPERTY,
    IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
    IOCTL_STORAGE_PERSISTENT_RESERVE_IN,
    IOCTL_STORAGE_PERSISTENT_RESERVE_OUT,
    IOCTL_STORAGE_FIND_NEW_DEVICES,
    IOCTL_STORAGE_CHECK_PRIORITY_HINT_SUPPORT,
    IOCTL_DISK_GET_DRIVE_GEOMETRY,
    IOCTL_DISK_GET_DRIVE_GEOMETRY_EX,
    IOCTL_DISK_GET_LENGTH_INFO,
    IOCTL_DISK_VERIFY,
    IOCTL_DISK_FORMAT_TRACKS,
    IOCTL_DISK_FORMAT_TRACKS_EX,
    IOCTL_DISK_REASSIGN_BLOCKS,
    IOCTL_DISK_IS_WRITABLE,
    IOCTL_DISK_GET_PARTITION_INFO,
    IOCTL_DISK_GET_PARTITION_INFO_EX,
    IOCTL_DISK_UPDATE_DRIVE_SIZE,
    IOCTL_DISK_GET_CACHE_INFORMATION,
    IOCTL_DISK_SET_CACHE_INFORMATION,
    IOCTL_DISK_UPDATE_PROPERTIES,
    IOCTL_DISK_INTERNAL_SET_VERIFY,
    IOCTL_DISK_INTERNAL_CLEAR_VERIFY,
    IOCTL_DISK_GET_MEDIA_TYPES,
    IOCTL_CDROM_READ_TOC,
    IOCTL_CDROM_READ_TOC_EX,
    IOCTL_CDROM_GET_CONFIGURATION,
    IOCTL_CDROM_EXCLUSIVE_ACCESS,
    IOCTL_CDROM_SET_SPEED,
    IOCTL_CDROM_GET_INQUIRY_DATA,
    IOCTL_CDROM_SEND_OPC_INFORMATION,
    IOCTL_CDROM_GET_PERFORMANCE,
    IOCTL_CDROM_ENABLE_STREAMING,
    IOCTL_DVD_READ_STRUCTURE,
    IOCTL_DVD_SET_READ_AHEAD,
    IOCTL_STORAGE_SET_READ_AHEAD,
    IOCTL_CDROM_GET_LAST_SESSION,
    IOCTL_CDROM_DISK_TYPE,
    IOCTL_CDROM_GET_DRIVE_GEOMETRY,
    IOCTL_CDROM_GET_DRIVE_GEOMETRY_EX,
    IOCTL_CDROM_RAW_READ,
    IOCTL_SCSI_PASS_THROUGH,
    IOCTL_SCSI_PASS_THROUGH_DIRECT,
    IOCTL_SCSI_GET_ADDRESS,
    IOCTL_SCSI_GET_CAPABILITIES,
    IOCTL_SCSI_GET_INQUIRY_DATA,
};

#define CODES (sizeof codes / sizeof codes[0])

static void
make_rig(struct rig *rig, size_t kind)
{
    struct vscsi_config config = { .name = kinds[kind].name,
                                   .type = kinds[kind].type,
                                   .block_bytes = kinds[kind].block };
    int fd = memfd_create(kinds[kind].name, 0);

    CHECK(fd >= 0 && ftruncate(fd, IMAGE_BYTES) == 0);
    snprintf(rig->image, sizeof rig->image, "/proc/self/fd/%d", fd);
    rig->drive = vscsi_new(&config);
    CHECK(rig->drive != NULL);
    CHECK(vscsi_insert(rig->drive, rig->image, NULL, 0) == 0);
    CHECK(port_add_virtual(fuzz_port, rig->drive, kinds[kind].name,
                           &rig->pdo) == STATUS_SUCCESS);
    CHECK(io_start_device(kinds[kind].cdrom ? fuzz_cdrom : fuzz_disk,
                          rig->pdo) == STATUS_SUCCESS);
    rig->fdo = IoGetAttachedDevice(rig->pdo);
}

/* Undoes what codes are for: the medium goes in again, and it is verified. */
static void
restore(struct rig *rig)
{
    struct vscsi_state state;

    InterlockedAnd((LONG volatile *) &rig->fdo->Flags, ~DO_VERIFY_VOLUME);
    vscsi_state(rig->drive, &state);
    if (!state.medium)
        CHECK(vscsi_insert(rig->drive, rig->image, NULL, 0) == 0);
}

/* A stopped drive is started by a worker, and time may overtake it here: then
 * the request has used up its retries, and the next one finds it started. */
static void
check_alive(struct rig *rig)
{
    static char block[4096];
    struct manner manner = { .stack_flags = SL_OVERRIDE_VERIFY_VOLUME };
    struct request request;
    int tries = 0;

    do {
        if (tries > 0)
            usleep(1000);
        request = fuzz_transfer(rig->fdo, IRP_MJ_READ, 0, block, sizeof block,
                                &manner);
    } while (request.status == STATUS_DEVICE_NOT_READY && ++tries < 60000);
    if (request.status != STATUS_SUCCESS)
        fprintf(stderr, "the READ: status %08x\n", (unsigned) request.status);
    CHECK(request.status == STATUS_SUCCESS);
    CHECK(request.information == sizeof block);
}

/* A caller may give any address here; one of ours is enough. */
static void
point_somewhere(uint8_t *buffer, ULONG in)
{
    static uint8_t target[65536];
    SCSI_PASS_THROUGH_DIRECT record;

    if (in < sizeof record)
        return;
    memcpy(&record, buffer, sizeof record);
    record.DataBuffer = target;
    record.DataTransferLength %= sizeof target + 1;
    memcpy(buffer, &record, sizeof record);
}

/* 1 in 4: a code that is in no list. */
static ULONG
take_code(struct input *in)
{
    uint8_t which = take8(in);
    ULONG any = take32(in);

    return which < 192 ? codes[which % CODES] : any;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input in = { data, data + bytes };
    uint8_t kind = take8(&in) % KINDS, how = take8(&in);
    ULONG code = take_code(&in), in_len = take16(&in) % 4097;
    ULONG out_len = take16(&in) % 4097;
    ULONG size = in_len > out_len ? in_len : out_len;
    struct manner manner = {
        .stack_flags = how & 1 ? SL_OVERRIDE_VERIFY_VOLUME : 0,
        .threadless = how & 2,
        .user_mode = how & 4,
    };
    uint8_t *buffer, *before, *other;
    struct request request;
    struct rig *rig;

    fuzz_begin();
    rig = &rigs[kind];
    if (rig->fdo == NULL)
        make_rig(rig, kind);
    buffer = malloc(size > 0 ? size : 1);
    before = malloc(size > 0 ? size : 1);
    other = malloc(out_len > 0 ? out_len : 1);
    CHECK(buffer != NULL && before != NULL && other != NULL);
    memset(buffer, 0xEE, size);
    take(&in, buffer, in_len);
    if (code == IOCTL_SCSI_PASS_THROUGH_DIRECT)
        point_somewhere(buffer, in_len);
    memcpy(before, buffer, size);
    request = fuzz_control(rig->fdo, code, size > 0 ? buffer : NULL, in_len,
                           out_len, other, &manner);
    if (!NT_ERROR(request.status) && (code & 3) == METHOD_BUFFERED)
        CHECK(request.information <= out_len);
    if (NT_ERROR(request.status) || request.status == STATUS_VERIFY_REQUIRED)
        CHECK(request.information == 0);
    if (size > out_len)
        CHECK(memcmp(buffer + out_len, before + out_len, size - out_len) == 0);
    free(other);
    free(before);
    free(buffer);
    restore(rig);
    check_alive(rig);
    return 0;
}
