/* Tests for src/port/ioctl.c, passthrough.c, pnp.c and unit.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include "ke/ke.h"

static NTSTATUS
ask(struct rig *rig, ULONG code, const void *in, ULONG in_len, void *out,
    ULONG out_len, ULONG_PTR *out_information)
{
    return io_device_control(rig->pdo, code, in, in_len, out, out_len, 0,
                             out_information);
}

static void
adapter__queried__a_mebibyte_per_transfer(void **state)
{
    struct rig *rig = *state;
    STORAGE_PROPERTY_QUERY query = { StorageAdapterProperty,
                                     PropertyStandardQuery,
                                     { 0 } };
    STORAGE_ADAPTER_DESCRIPTOR adapter;
    ULONG_PTR information;

    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query,
                         sizeof query, &adapter, sizeof adapter, &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, sizeof adapter);
    assert_int_equal(adapter.MaximumTransferLength, 1024 * 1024);
    assert_int_equal(adapter.Size, sizeof adapter);
    assert_int_equal(adapter.BusType, BusTypeVirtual);
}

static void
device__queried__what_inquiry_said(void **state)
{
    struct rig *rig = *state;
    STORAGE_PROPERTY_QUERY query = { StorageDeviceProperty,
                                     PropertyStandardQuery,
                                     { 0 } };
    union {
        STORAGE_DEVICE_DESCRIPTOR record;
        char bytes[512];
    } device;
    STORAGE_DESCRIPTOR_HEADER header;
    ULONG_PTR information;

    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query,
                         sizeof query, &header, sizeof header, &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, sizeof header);
    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query,
                         sizeof query, &device, sizeof device, &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, header.Size);
    assert_int_equal(device.record.DeviceType, DIRECT_ACCESS_DEVICE);
    assert_true(device.record.RemovableMedia);
    assert_string_equal(device.bytes + device.record.SerialNumberOffset,
                        "unit7");
    assert_true(strlen(device.bytes + device.record.ProductIdOffset) > 0);
    assert_true(device.record.VendorIdOffset >= sizeof device.record);
}

static void
property__bad_questions__say_what_is_wrong(void **state)
{
    struct rig *rig = *state;
    STORAGE_PROPERTY_QUERY query = { StorageDeviceProperty,
                                     PropertyExistsQuery,
                                     { 0 } };
    char out[64];

    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query,
                         sizeof query, NULL, 0, NULL),
                     STATUS_SUCCESS);
    query.PropertyId = StorageDeviceTrimProperty;
    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query,
                         sizeof query, out, sizeof out, NULL),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query, 4, out,
                         sizeof out, NULL),
                     STATUS_INFO_LENGTH_MISMATCH);
    query.PropertyId = StorageDeviceProperty;
    query.QueryType = PropertyStandardQuery;
    assert_int_equal(ask(rig, IOCTL_STORAGE_QUERY_PROPERTY, &query,
                         sizeof query, out, 7, NULL),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(
        ask(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, NULL, 0, NULL),
        STATUS_INVALID_DEVICE_REQUEST);
}

static void
address_and_capabilities__as_documented(void **state)
{
    struct rig *rig = *state;
    SCSI_ADDRESS address;
    IO_SCSI_CAPABILITIES capabilities;

    assert_int_equal(ask(rig, IOCTL_SCSI_GET_ADDRESS, NULL, 0, &address,
                         sizeof address, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(address.Length, 8);
    assert_int_equal(address.Lun, 0);
    assert_int_equal(
        ask(rig, IOCTL_SCSI_GET_ADDRESS, NULL, 0, &address, 4, NULL),
        STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(ask(rig, IOCTL_SCSI_GET_CAPABILITIES, NULL, 0,
                         &capabilities, sizeof capabilities, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(capabilities.Length, 24);
}

/* --- pass-through ------------------------------------------------------------- */

struct buffered {
    SCSI_PASS_THROUGH pass;
    UCHAR sense[32];
    UCHAR data[512];
};

static void
prepare(struct buffered *b, UCHAR data_in, ULONG length)
{
    memset(b, 0, sizeof *b);
    b->pass.Length = sizeof b->pass;
    b->pass.CdbLength = 6;
    b->pass.DataIn = data_in;
    b->pass.DataTransferLength = length;
    b->pass.TimeOutValue = 5;
    b->pass.DataBufferOffset = offsetof(struct buffered, data);
    b->pass.SenseInfoLength = sizeof b->sense;
    b->pass.SenseInfoOffset = offsetof(struct buffered, sense);
}

static NTSTATUS
pass(struct rig *rig, struct buffered *b, ULONG_PTR *out_information)
{
    return ask(rig, IOCTL_SCSI_PASS_THROUGH, b, sizeof *b, b, sizeof *b,
               out_information);
}

static void
pass_through__inquiry__data_comes_back(void **state)
{
    struct rig *rig = *state;
    struct buffered b;
    ULONG_PTR information;

    prepare(&b, SCSI_IOCTL_DATA_IN, 36);
    b.pass.Cdb[0] = SCSIOP_INQUIRY;
    b.pass.Cdb[4] = 36;
    assert_int_equal(pass(rig, &b, &information), STATUS_SUCCESS);
    assert_int_equal(b.pass.ScsiStatus, SCSISTAT_GOOD);
    assert_int_equal(b.pass.DataTransferLength, 36);
    assert_int_equal(b.pass.SenseInfoLength, 0);
    assert_int_equal(b.data[1] & 0x80, 0x80);
    assert_int_equal(information, offsetof(struct buffered, data) + 36);
}

static void
pass_through__check_condition__success_with_sense(void **state)
{
    struct rig *rig = *state;
    struct buffered b;

    prepare(&b, SCSI_IOCTL_DATA_OUT, 0);
    assert_int_equal(pass(rig, &b, NULL), STATUS_SUCCESS);
    assert_int_equal(b.pass.ScsiStatus, SCSISTAT_CHECK_CONDITION);
    assert_int_equal(b.pass.SenseInfoLength, 18);
    assert_int_equal(b.sense[2] & 15, 6);
    assert_int_equal(b.sense[12], 0x29);
    assert_false(info_of(rig).frozen);
}

static void
pass_through__direct_write_and_read__own_buffer(void **state)
{
    struct rig *rig = *state;
    SCSI_PASS_THROUGH_DIRECT direct = {
        .Length = sizeof direct,
        .CdbLength = 10,
        .DataIn = SCSI_IOCTL_DATA_OUT,
        .DataTransferLength = 512,
        .TimeOutValue = 5,
        .DataBuffer = rig->data,
        .Cdb = { SCSIOP_WRITE, 0, 0, 0, 0, 9, 0, 0, 1, 0 },
    };

    settle(rig);
    memset(rig->data, 'p', 512);
    assert_int_equal(ask(rig, IOCTL_SCSI_PASS_THROUGH_DIRECT, &direct,
                         sizeof direct, &direct, sizeof direct, NULL),
                     STATUS_SUCCESS);
    memset(rig->data, 0, 512);
    direct.Cdb[0] = SCSIOP_READ;
    direct.DataIn = SCSI_IOCTL_DATA_IN;
    assert_int_equal(ask(rig, IOCTL_SCSI_PASS_THROUGH_DIRECT, &direct,
                         sizeof direct, &direct, sizeof direct, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(direct.DataTransferLength, 512);
    assert_int_equal(rig->data[511], 'p');
}

static void
pass_through__bad_records__refused(void **state)
{
    struct rig *rig = *state;
    struct buffered b;

    prepare(&b, SCSI_IOCTL_DATA_IN, 36);
    b.pass.Length = 44;
    assert_int_equal(pass(rig, &b, NULL), STATUS_REVISION_MISMATCH);
    prepare(&b, SCSI_IOCTL_DATA_IN, 36);
    b.pass.CdbLength = 17;
    assert_int_equal(pass(rig, &b, NULL), STATUS_INVALID_PARAMETER);
    prepare(&b, SCSI_IOCTL_DATA_IN, 513);
    assert_int_equal(pass(rig, &b, NULL), STATUS_INVALID_PARAMETER);
    prepare(&b, SCSI_IOCTL_DATA_IN, 36);
    b.pass.DataBufferOffset = (ULONG_PTR) -4;
    assert_int_equal(pass(rig, &b, NULL), STATUS_INVALID_PARAMETER);
    prepare(&b, SCSI_IOCTL_DATA_IN, 36);
    b.pass.DataBufferOffset = 8;
    assert_int_equal(pass(rig, &b, NULL), STATUS_INVALID_PARAMETER);
    prepare(&b, SCSI_IOCTL_DATA_IN, 36);
    b.pass.SenseInfoOffset = sizeof b - 4;
    assert_int_equal(pass(rig, &b, NULL), STATUS_INVALID_PARAMETER);
    prepare(&b, 3, 36);
    assert_int_equal(pass(rig, &b, NULL), STATUS_INVALID_PARAMETER);
    assert_int_equal(
        ask(rig, IOCTL_SCSI_PASS_THROUGH, &b, 20, &b, sizeof b, NULL),
        STATUS_BUFFER_TOO_SMALL);
}

static void
pass_through__lost__times_out(void **state)
{
    struct rig *rig = *state;
    struct buffered b;

    settle(rig);
    rule(rig, "at 1 tur do lose");
    prepare(&b, SCSI_IOCTL_DATA_OUT, 0);
    b.pass.TimeOutValue = 1;
    assert_int_equal(pass(rig, &b, NULL), STATUS_IO_TIMEOUT);
}

/* --- plug and play -------------------------------------------------------------- */

static NTSTATUS NTAPI
pnp_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS
pnp(struct rig *rig, UCHAR minor, ULONG parameter, ULONG_PTR *out_information)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    NTSTATUS status;

    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    next->MajorFunction = IRP_MJ_PNP;
    next->MinorFunction = minor;
    next->Parameters.QueryId.IdType = parameter;
    IoSetCompletionRoutine(irp, pnp_done, NULL, TRUE, TRUE, TRUE);
    status = IoCallDriver(rig->pdo, irp);
    *out_information = irp->IoStatus.Information;
    IoFreeIrp(irp);
    return status;
}

static void
check_id(struct rig *rig, ULONG type, const char *starts)
{
    ULONG_PTR information;
    PWSTR wide;

    assert_int_equal(pnp(rig, IRP_MN_QUERY_ID, type, &information),
                     STATUS_SUCCESS);
    wide = (PWSTR) information;
    for (size_t i = 0; starts[i] != '\0'; i++)
        assert_int_equal(wide[i], starts[i]);
    ExFreePool(wide);
}

static void
pnp__ids__of_a_scsi_disk(void **state)
{
    struct rig *rig = *state;
    ULONG_PTR information;

    check_id(rig, BusQueryDeviceID, "SCSI\\Disk&Ven_");
    check_id(rig, BusQueryHardwareIDs, "SCSI\\Disk");
    check_id(rig, BusQueryCompatibleIDs, "SCSI\\Disk");
    check_id(rig, BusQueryInstanceID, "unit7");
    assert_int_equal(
        pnp(rig, IRP_MN_QUERY_ID, BusQueryContainerID, &information),
        STATUS_NOT_SUPPORTED);
    check_id(rig, BusQueryDeviceSerialNumber, "");
}

static NTSTATUS
ask_capabilities(struct rig *rig, PDEVICE_CAPABILITIES capabilities)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    NTSTATUS status;

    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    next->MajorFunction = IRP_MJ_PNP;
    next->MinorFunction = IRP_MN_QUERY_CAPABILITIES;
    next->Parameters.DeviceCapabilities.Capabilities = capabilities;
    IoSetCompletionRoutine(irp, pnp_done, NULL, TRUE, TRUE, TRUE);
    status = IoCallDriver(rig->pdo, irp);
    IoFreeIrp(irp);
    return status;
}

static void
pnp__capabilities__removable_by_surprise_with_an_address(void **state)
{
    DEVICE_CAPABILITIES capabilities = { .Size = sizeof capabilities,
                                         .Version = 1,
                                         .Address = (ULONG) -1,
                                         .UINumber = (ULONG) -1 };

    assert_int_equal(ask_capabilities(*state, &capabilities), STATUS_SUCCESS);
    assert_true(capabilities.Removable);
    assert_true(capabilities.SurpriseRemovalOK);
    assert_true(capabilities.UniqueID);
    assert_false(capabilities.DeviceD1);
    assert_false(capabilities.DeviceD2);
    assert_int_not_equal(capabilities.Address, (ULONG) -1);
    assert_int_not_equal(capabilities.UINumber, (ULONG) -1);
    assert_int_equal(capabilities.DeviceState[PowerSystemWorking],
                     PowerDeviceD0);
    assert_int_equal(capabilities.DeviceState[PowerSystemSleeping3],
                     PowerDeviceD3);
    capabilities.Version = 2;
    assert_int_equal(ask_capabilities(*state, &capabilities),
                     STATUS_INVALID_PARAMETER);
}

static void
pnp__bus_resources_and_state(void **state)
{
    struct rig *rig = *state;
    ULONG_PTR information = 1;

    assert_int_equal(pnp(rig, IRP_MN_QUERY_BUS_INFORMATION, 0, &information),
                     STATUS_SUCCESS);
    assert_int_equal(((PPNP_BUS_INFORMATION) information)->LegacyBusType,
                     Internal);
    assert_int_equal(((PPNP_BUS_INFORMATION) information)->BusNumber, 0);
    ExFreePool((PVOID) information);
    assert_int_equal(
        pnp(rig, IRP_MN_QUERY_RESOURCE_REQUIREMENTS, 0, &information),
        STATUS_SUCCESS);
    assert_int_equal(information, 0);
    assert_int_equal(pnp(rig, IRP_MN_QUERY_PNP_DEVICE_STATE, 0, &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, 0);
    pnp(rig, IRP_MN_SURPRISE_REMOVAL, 0, &information);
    assert_int_equal(pnp(rig, IRP_MN_QUERY_PNP_DEVICE_STATE, 0, &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, PNP_DEVICE_REMOVED);
}

/* Sleep is nothing to it; what it does not know comes back as it was. */
static void
power__set_and_query_succeed__wait_wake_does_not(void **state)
{
    struct rig *rig = *state;
    static const struct {
        UCHAR minor;
        NTSTATUS want;
    } rows[] = {
        { IRP_MN_SET_POWER, STATUS_SUCCESS },
        { IRP_MN_QUERY_POWER, STATUS_SUCCESS },
        { IRP_MN_WAIT_WAKE, STATUS_NOT_SUPPORTED },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        PIRP irp = IoAllocateIrp(1, FALSE);
        PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

        irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
        next->MajorFunction = IRP_MJ_POWER;
        next->MinorFunction = rows[i].minor;
        next->Parameters.Power.Type = DevicePowerState;
        next->Parameters.Power.State.DeviceState = PowerDeviceD3;
        IoSetCompletionRoutine(irp, pnp_done, NULL, TRUE, TRUE, TRUE);
        assert_int_equal(PoCallDriver(rig->pdo, irp), rows[i].want);
        assert_int_equal(irp->IoStatus.Status, rows[i].want);
        IoFreeIrp(irp);
    }
}

static void
pnp__target_relation__referenced_device(void **state)
{
    struct rig *rig = *state;
    PDEVICE_RELATIONS relations;
    ULONG_PTR information;

    assert_int_equal(pnp(rig, IRP_MN_QUERY_DEVICE_RELATIONS,
                         TargetDeviceRelation, &information),
                     STATUS_SUCCESS);
    relations = (PDEVICE_RELATIONS) information;
    assert_int_equal(relations->Count, 1);
    assert_ptr_equal(relations->Objects[0], rig->pdo);
    ObDereferenceObject(rig->pdo);
    ExFreePool(relations);
}

static void
pnp__surprise_removal__later_requests_no_device(void **state)
{
    struct rig *rig = *state;
    ULONG_PTR information;
    struct call call;

    assert_int_equal(pnp(rig, IRP_MN_SURPRISE_REMOVAL, 0, &information),
                     STATUS_SUCCESS);
    tur(&call, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_NO_DEVICE);
    call_prepare(&call, SRB_FUNCTION_RECEIVE_EVENT, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_NO_DEVICE);
}

static void
unit__drive_that_does_not_answer__not_made(void **state)
{
    struct rig *rig = *state;
    struct vscsi_config config = { .name = "dead", .type = VSCSI_DISK };
    struct vscsi_drive *drive = vscsi_new(&config);
    char why[128];
    PDEVICE_OBJECT pdo = NULL;

    vscsi_fault_add(drive, "at * any do selection-timeout", why, sizeof why);
    assert_int_equal(port_add_virtual(rig->driver, drive, "dead", &pdo),
                     STATUS_DEVICE_NOT_CONNECTED);
    assert_null(pdo);
    vscsi_free(drive);
}

static void
units__a_thousand__small(void **state)
{
    enum { N = 1000 };
    struct rig *rig = *state;
    struct vscsi_drive **drive = calloc(N, sizeof *drive);
    PDEVICE_OBJECT *pdo = calloc(N, sizeof *pdo);
    struct ke_pool_stats before, after;

    ke_pool_stats(&before);
    for (int i = 0; i < N; i++) {
        char name[32];
        struct vscsi_config config = { .name = name, .type = VSCSI_CDROM };

        snprintf(name, sizeof name, "cd%d", i);
        drive[i] = vscsi_new(&config);
        assert_int_equal(port_add_virtual(rig->driver, drive[i], name, &pdo[i]),
                         STATUS_SUCCESS);
    }
    ke_pool_stats(&after);
    assert_true((after.bytes - before.bytes) / N <= 2048);
    for (int i = 0; i < N; i++) {
        port_remove_unit(pdo[i]);
        vscsi_free(drive[i]);
    }
    ke_pool_stats(&after);
    assert_in_range(after.blocks, 0, before.blocks + 32);
    free(drive);
    free(pdo);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adapter__queried__a_mebibyte_per_transfer),
        TEST(device__queried__what_inquiry_said),
        TEST(property__bad_questions__say_what_is_wrong),
        TEST(address_and_capabilities__as_documented),
        TEST(pass_through__inquiry__data_comes_back),
        TEST(pass_through__check_condition__success_with_sense),
        TEST(pass_through__direct_write_and_read__own_buffer),
        TEST(pass_through__bad_records__refused),
        TEST(pass_through__lost__times_out),
        TEST(pnp__ids__of_a_scsi_disk),
        TEST(pnp__capabilities__removable_by_surprise_with_an_address),
        TEST(pnp__bus_resources_and_state),
        TEST(power__set_and_query_succeed__wait_wake_does_not),
        TEST(pnp__target_relation__referenced_device),
        TEST(pnp__surprise_removal__later_requests_no_device),
        TEST(unit__drive_that_does_not_answer__not_made),
        TEST(units__a_thousand__small),
    };

    return cmocka_run_group_tests_name("port ioctl", tests, NULL, NULL);
}
