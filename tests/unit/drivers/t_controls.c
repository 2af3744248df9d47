/*
 * t_controls.c - every control code for disks, floppies and CDs is answered
 *
 * The list and its values are those of the specification, lengths those of the
 * records in the documentation.  What the answers say has tests elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <ntddcdrm.h>
#include <ntddscsi.h>
#include <wdmguid.h>

#define FILL 0xA5
#define ROOM 8192

/* Which drives answer. */
enum { D = 1, F = 2, C = 4, ALL = 7 };
/* OPT: the output is optional, but not a part of it.  OWN: lengths have rules
 * of their own.  GONE: obsolete, refused. */
enum { PLAIN, OPT, OWN, GONE };

static const struct row {
    ULONG code;
    int on;
    ULONG in, out;
    int rule;
} rows[] = {
    { 0x002D4800, ALL, 0, 4, OPT },   /* STORAGE_CHECK_VERIFY */
    { 0x002D0800, ALL, 0, 4, OPT },   /* STORAGE_CHECK_VERIFY2 */
    { 0x00074800, D | F, 0, 4, OPT }, /* DISK_CHECK_VERIFY */
    { 0x00024800, C, 0, 4, OPT },     /* CDROM_CHECK_VERIFY */
    { 0x002D4804, ALL, 1, 0, PLAIN }, /* MEDIA_REMOVAL */
    { 0x00074804, D | F, 1, 0, PLAIN },
    { 0x00024804, C, 1, 0, PLAIN },
    { 0x002D0940, ALL, 1, 0, PLAIN }, /* EJECTION_CONTROL */
    { 0x002D0944, ALL, 1, 0, PLAIN }, /* MCN_CONTROL */
    { 0x002D4810, ALL, 0, 0, PLAIN }, /* RESERVE */
    { 0x00074810, D | F, 0, 0, PLAIN },
    { 0x002D4814, ALL, 0, 0, PLAIN }, /* RELEASE */
    { 0x00074814, D | F, 0, 0, PLAIN },
    { 0x002D4818, ALL, 0, 0, GONE }, /* FIND_NEW_DEVICES */
    { 0x00074818, D | F, 0, 0, GONE },
    { 0x002D0C00, D | F, 0, 24, PLAIN }, /* GET_MEDIA_TYPES */
    { 0x00070C00, D | F, 0, 24, PLAIN },
    { 0x002D0C04, ALL, 0, 40, PLAIN },    /* GET_MEDIA_TYPES_EX */
    { 0x002D0C14, ALL, 0, 8, PLAIN },     /* GET_HOTPLUG_INFO */
    { 0x002DCC18, ALL, 8, 0, PLAIN },     /* SET_HOTPLUG_INFO */
    { 0x002D5000, ALL, 1, 0, PLAIN },     /* RESET_BUS */
    { 0x002D5004, ALL, 0, 0, PLAIN },     /* RESET_DEVICE */
    { 0x002D1080, ALL, 0, 12, PLAIN },    /* GET_DEVICE_NUMBER */
    { 0x002D1100, D, 0, 516, PLAIN },     /* PREDICT_FAILURE */
    { 0x002D1400, ALL, 8, 8, PLAIN },     /* QUERY_PROPERTY */
    { 0x00070000, D | F, 0, 24, PLAIN },  /* GET_DRIVE_GEOMETRY */
    { 0x00074004, D | F, 0, 32, PLAIN },  /* GET_PARTITION_INFO */
    { 0x00070048, D | F, 0, 144, PLAIN }, /* GET_PARTITION_INFO_EX */
    { 0x00070014, D | F, 16, 0, PLAIN },  /* DISK_VERIFY */
    { 0x0007C018, F, 20, 0, OWN },        /* FORMAT_TRACKS */
    { 0x00070024, ALL, 0, 0, PLAIN },     /* IS_WRITABLE */
    { 0x0007405C, ALL, 0, 8, PLAIN },     /* GET_LENGTH_INFO */
    { 0x00070140, D | F, 0, 0, PLAIN },   /* UPDATE_PROPERTIES */
    { 0x00070403, ALL, 0, 0, PLAIN },     /* INTERNAL_SET_VERIFY */
    { 0x00070407, ALL, 0, 0, PLAIN },     /* INTERNAL_CLEAR_VERIFY */
    { 0x00024000, C, 0, 4, PLAIN },       /* READ_TOC */
    { 0x00024038, C, 0, 12, PLAIN },      /* GET_LAST_SESSION */
    { 0x0002403E, C, 16, 4704, PLAIN },   /* RAW_READ, of two sectors */
    { 0x00020040, C, 0, 4, PLAIN },       /* DISK_TYPE */
    { 0x0002404C, C, 0, 24, PLAIN },      /* CDROM_GET_DRIVE_GEOMETRY */
    { 0x0004D008, ALL, 28, 0, OWN },      /* SCSI_MINIPORT */
    { 0x0004D004, ALL, 56, 56, OWN },     /* SCSI_PASS_THROUGH */
    { 0x0004D014, ALL, 56, 56, OWN },     /* SCSI_PASS_THROUGH_DIRECT */
    { 0x00041010, ALL, 0, 24, PLAIN },    /* SCSI_GET_CAPABILITIES */
    { 0x00041018, ALL, 0, 8, PLAIN },     /* SCSI_GET_ADDRESS */
    { 0x0004100C, ALL, 0, 64, PLAIN },    /* SCSI_GET_INQUIRY_DATA */
    { 0x0004101C, ALL, 0, 0, PLAIN },     /* SCSI_RESCAN_BUS */
    { 0x002D4808, ALL, 0, 0, PLAIN },     /* EJECT_MEDIA */
    { 0x002D480C, ALL, 0, 0, PLAIN },     /* LOAD_MEDIA */
    { 0x00074808, D | F, 0, 0, PLAIN },
    { 0x0007480C, D | F, 0, 0, PLAIN },
    { 0x00024808, C, 0, 0, PLAIN },
    { 0x0002480C, C, 0, 0, PLAIN },
    { 0x002D080C, ALL, 0, 0, PLAIN }, /* LOAD_MEDIA2 */
};

static UCHAR in_buffer[ROOM], out_buffer[ROOM];

/* Commands that this kind of drive need not know: answered for it. */
static void
answers_of_the_drive(struct rig *rig)
{
    static const UCHAR opcodes[] = { SCSIOP_RESERVE_UNIT, SCSIOP_RELEASE_UNIT,
                                     SCSIOP_READ_CD };

    spy_reset(rig);
    for (size_t i = 0; i < RTL_NUMBER_OF(opcodes); i++)
        spy_answer(rig, &(struct answer){ .opcode = opcodes[i],
                                          .times = 1000,
                                          .srb_status = SRB_STATUS_SUCCESS });
}

static NTSTATUS
ask(struct rig *rig, const struct row *row, ULONG in, ULONG out,
    ULONG_PTR *out_information)
{
    PFILE_OBJECT file;
    NTSTATUS status;

    answers_of_the_drive(rig);
    memset(in_buffer, 0, sizeof in_buffer);
    memset(out_buffer, FILL, sizeof out_buffer);
    if (row->code == IOCTL_CDROM_RAW_READ)
        *(PRAW_READ_INFO) in_buffer = (RAW_READ_INFO){ .SectorCount = 2 };
    if (row->code == IOCTL_STORAGE_SET_HOTPLUG_INFO)
        *(PSTORAGE_HOTPLUG_INFO) in_buffer =
            (STORAGE_HOTPLUG_INFO){ .Size = 8, .MediaRemovable = TRUE };
    *out_information = 0;
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &file),
                     STATUS_SUCCESS);
    status = io_device_control(rig->fdo, row->code, in_buffer, in, out_buffer,
                               out, SL_OVERRIDE_VERIFY_VOLUME, out_information);
    io_close_file(file);
    return status;
}

static void
refused(struct rig *rig, const struct row *row, ULONG in, ULONG out,
        NTSTATUS want)
{
    ULONG_PTR information;
    NTSTATUS status = ask(rig, row, in, out, &information);

    if (status != want || information != 0)
        fail_msg("%08x in %u out %u: %08x/%lu, not %08x", row->code, in, out,
                 (unsigned) status, (unsigned long) information,
                 (unsigned) want);
    for (ULONG i = 0; i < ROOM; i++)
        assert_int_equal(out_buffer[i], FILL);
}

static void
answered(struct rig *rig, const struct row *row, ULONG in, ULONG out)
{
    ULONG_PTR information;
    NTSTATUS status = ask(rig, row, in, out, &information);
    bool unknown = status == STATUS_INVALID_DEVICE_REQUEST;

    if (status == STATUS_INFO_LENGTH_MISMATCH ||
        status == STATUS_BUFFER_TOO_SMALL || information > out ||
        (row->rule != OWN && unknown != (row->rule == GONE)))
        fail_msg("%08x in %u out %u: %08x/%lu", row->code, in, out,
                 (unsigned) status, (unsigned long) information);
    /* A direct buffer is the caller's own. */
    if ((row->code & 3) != METHOD_BUFFERED)
        return;
    for (ULONG i = NT_ERROR(status) ? 0 : (ULONG) information; i < ROOM; i++)
        assert_int_equal(out_buffer[i], FILL);
}

static void
walk(struct rig *rig, int kind)
{
    for (size_t i = 0; i < RTL_NUMBER_OF(rows); i++) {
        const struct row *row = &rows[i];

        if (!(row->on & kind))
            continue;
        if (row->in != 0 && row->rule == PLAIN) {
            refused(rig, row, 0, row->out, STATUS_INFO_LENGTH_MISMATCH);
            refused(rig, row, row->in - 1, row->out,
                    STATUS_INFO_LENGTH_MISMATCH);
        }
        if (row->out != 0 && row->rule == PLAIN)
            refused(rig, row, row->in, 0, STATUS_BUFFER_TOO_SMALL);
        if (row->out != 0 && row->rule != OWN)
            refused(rig, row, row->in, row->out - 1, STATUS_BUFFER_TOO_SMALL);
        if (row->rule == OPT)
            answered(rig, row, 0, 0);
        answered(rig, row, row->in, row->out);
        answered(rig, row, row->in + 64, row->out + (row->out ? 64 : 0));
    }
}

static void
every_code_of_the_list__disk__answered(void **state)
{
    walk(*state, D);
}

static void
every_code_of_the_list__cdrom__answered(void **state)
{
    walk(*state, C);
}

static void
every_code_of_the_list__floppy__answered(void **state)
{
    walk(*state, F);
}

static int
rig_floppy(void **state)
{
    struct rig *rig;
    char text[256];
    int rc =
        rig_new(state, &(struct vscsi_config){ .type = VSCSI_FLOPPY }, false);

    if (rc != 0)
        return rc;
    rig = *state;
    if (truncate(rig->image[0], 1440 * 1024) != 0 ||
        vscsi_insert(rig->drive, rig->image[0], text, sizeof text) != 0)
        return -1;
    rig_settle(rig);
    return 0;
}

/* --- what is not said elsewhere ---------------------------------------------- */

static NTSTATUS
raw_read(struct rig *rig, RAW_READ_INFO what, ULONG room,
         ULONG_PTR *out_information)
{
    *out_information = 0;
    return io_device_control(rig->fdo, IOCTL_CDROM_RAW_READ, &what, sizeof what,
                             out_buffer, room, 0, out_information);
}

static void
raw_read__each_mode__read_cd_of_that_type(void **state)
{
    static const struct {
        TRACK_MODE_TYPE mode;
        UCHAR expected, parts;
    } cases[] = {
        { YellowMode2, 0x0C, 0xF8 },
        { XAForm2, 0x14, 0xF8 },
        { CDDA, 0x04, 0x10 },
    };
    struct rig *rig = *state;
    ULONG_PTR information;

    for (size_t i = 0; i < RTL_NUMBER_OF(cases); i++) {
        const UCHAR want[12] = { 0xBE, cases[i].expected, 0, 0, 1, 2, 0, 0,
                                 3,    cases[i].parts };

        answers_of_the_drive(rig);
        assert_int_equal(
            raw_read(rig,
                     (RAW_READ_INFO){ .DiskOffset.QuadPart = 0x102 * 2048,
                                      .SectorCount = 3,
                                      .TrackMode = cases[i].mode },
                     3 * 2352, &information),
            STATUS_SUCCESS);
        assert_int_equal(information, 3 * 2352);
        assert_int_equal(spy_count(rig, 0xBE), 1);
        assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    }
}

static void
raw_read__what_cannot_be__refused(void **state)
{
    struct rig *rig = *state;
    ULONG_PTR information;

    spy_reset(rig);
    assert_int_equal(
        raw_read(rig, (RAW_READ_INFO){ .SectorCount = 0 }, 2352, &information),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        raw_read(rig, (RAW_READ_INFO){ .SectorCount = 1, .TrackMode = 77 },
                 2352, &information),
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(spy_commands(rig), 0);
    /* A data track is no sound: so says the drive (5/64). */
    assert_int_equal(
        raw_read(rig, (RAW_READ_INFO){ .SectorCount = 1, .TrackMode = CDDA },
                 2352, &information),
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(spy_count(rig, 0xBE), 1);
    assert_int_equal(information, 0);
}

static void
raw_read__volume_to_be_verified__not_carried_out(void **state)
{
    struct rig *rig = *state;
    ULONG_PTR information;

    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    spy_reset(rig);
    assert_int_equal(
        raw_read(rig, (RAW_READ_INFO){ .SectorCount = 1 }, 2352, &information),
        STATUS_VERIFY_REQUIRED);
    assert_int_equal(spy_commands(rig), 0);
    rig_clear_verify(rig);
}

static void
miniport__no_adapter_has_codes_of_its_own__checked_then_refused(void **state)
{
    static const struct {
        ULONG head, length, in;
        NTSTATUS status;
    } cases[] = {
        { 28, 0, 0, STATUS_INVALID_PARAMETER },
        { 28, 0, 27, STATUS_INVALID_PARAMETER },
        { 27, 0, 28, STATUS_REVISION_MISMATCH },
        { 28, 1, 28, STATUS_INVALID_PARAMETER },
        { 28, 4, 32, STATUS_INVALID_DEVICE_REQUEST },
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(cases); i++) {
        struct {
            SRB_IO_CONTROL head;
            UCHAR rest[8];
        } in = { .head = { .HeaderLength = cases[i].head,
                           .Length = cases[i].length } };

        assert_int_equal(io_device_control(rig->fdo, IOCTL_SCSI_MINIPORT, &in,
                                           cases[i].in, NULL, 0, 0, NULL),
                         cases[i].status);
    }
    assert_int_equal(io_device_control(rig->fdo, IOCTL_SCSI_RESCAN_BUS, NULL, 0,
                                       NULL, 0, 0, NULL),
                     STATUS_NOT_SUPPORTED);
}

static void
inquiry_data__one_unit_and_what_it_says_of_itself(void **state)
{
    struct rig *rig = *state;
    const SCSI_ADAPTER_BUS_INFO *bus = (void *) out_buffer;
    const SCSI_INQUIRY_DATA *one = (void *) (out_buffer + sizeof *bus);
    ULONG_PTR information = 0;

    assert_int_equal(io_device_control(rig->fdo, IOCTL_SCSI_GET_INQUIRY_DATA,
                                       NULL, 0, out_buffer, ROOM, 0,
                                       &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, 12 + 16 + 36);
    assert_int_equal(bus->NumberOfBuses, 1);
    assert_int_equal(bus->BusData[0].NumberOfLogicalUnits, 1);
    assert_int_equal(bus->BusData[0].InquiryDataOffset, 12);
    assert_true(one->DeviceClaimed);
    assert_int_equal(one->InquiryDataLength, 36);
    assert_int_equal(one->NextInquiryDataOffset, 0);
    assert_int_equal(one->InquiryData[0], 0x05); /* a CD drive */
}

/* --- interfaces ------------------------------------------------------------------ */

static LONG came, went;
static GUID which;

static NTSTATUS NTAPI
on_interface(PVOID structure, PVOID context)
{
    PDEVICE_INTERFACE_CHANGE_NOTIFICATION change = structure;

    (void) context;
    assert_true(change->SymbolicLinkName->Length != 0);
    which = change->InterfaceClassGuid;
    if (IsEqualGUID(&change->Event, &GUID_DEVICE_INTERFACE_ARRIVAL))
        InterlockedIncrement(&came);
    if (IsEqualGUID(&change->Event, &GUID_DEVICE_INTERFACE_REMOVAL))
        InterlockedIncrement(&went);
    return STATUS_SUCCESS;
}

static void
told_of(PDRIVER_OBJECT listener, const GUID *class, int (*make)(void **state))
{
    PVOID entry;
    void *state = NULL;

    came = went = 0;
    assert_int_equal(IoRegisterPlugPlayNotification(
                         EventCategoryDeviceInterfaceChange, 0, (PVOID) class,
                         listener, on_interface, NULL, &entry),
                     STATUS_SUCCESS);
    assert_int_equal(make(&state), 0);
    assert_true(EVENTUALLY(InterlockedOr(&came, 0) == 1));
    assert_int_equal(InterlockedOr(&went, 0), 0);
    assert_true(IsEqualGUID(&which, class));
    assert_int_equal(rig_free(&state), 0);
    assert_true(EVENTUALLY(InterlockedOr(&went, 0) == 1));
    assert_int_equal(came, 1);
    assert_int_equal(IoUnregisterPlugPlayNotification(entry), STATUS_SUCCESS);
}

static void
interface__disk_and_cdrom__come_and_go_with_the_drive(void **state)
{
    PDRIVER_OBJECT listener = ((struct rig *) *state)->fdo->DriverObject;

    told_of(listener, &GUID_DEVINTERFACE_DISK, rig_disk);
    told_of(listener, &GUID_DEVINTERFACE_CDROM, rig_cdrom);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_code_of_the_list__disk__answered, rig_disk),
        TEST(every_code_of_the_list__cdrom__answered, rig_cdrom),
        TEST(every_code_of_the_list__floppy__answered, rig_floppy),
        TEST(raw_read__each_mode__read_cd_of_that_type, rig_cdrom),
        TEST(raw_read__what_cannot_be__refused, rig_cdrom),
        TEST(raw_read__volume_to_be_verified__not_carried_out, rig_cdrom),
        TEST(miniport__no_adapter_has_codes_of_its_own__checked_then_refused,
             rig_disk),
        TEST(inquiry_data__one_unit_and_what_it_says_of_itself, rig_cdrom),
        TEST(interface__disk_and_cdrom__come_and_go_with_the_drive, rig_empty),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
