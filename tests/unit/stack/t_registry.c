/*
 * t_registry.c - from a line of the configuration to what a driver is told and
 *                what a drive is sent
 *
 * The SRBs are looked at where the port gets them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ntddstor.h>
#include <ntifs.h>
#include <reinsert.h>
#include <srb.h>

#include "io/io.h"
#include "ob/ob.h"
#include "port/port.h"

#include "../rest.h"

static char path[] = "/tmp/registry-XXXXXX";

static struct ri_service *
start(const char *text, struct ri_error *error)
{
    struct ri_service *service = NULL;
    struct ri_config config;
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
    if (ri_config_load(path, &config, error) != 0)
        return NULL;
    if (ri_service_start(&config, &service, error) != 0)
        fail_msg("%s", error->text);
    ri_config_free(&config);
    return service;
}

static void
stop(struct ri_service *service)
{
    ri_service_shutdown(service);
    ri_service_free(service);
}

static PDRIVER_DISPATCH port_dispatch;
static ULONG seen_limit;

static NTSTATUS NTAPI
look_at_srb(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSCSI_REQUEST_BLOCK srb =
        IoGetCurrentIrpStackLocation(Irp)->Parameters.Scsi.Srb;

    if (srb->Function == SRB_FUNCTION_EXECUTE_SCSI && srb->Cdb[0] == 0)
        seen_limit = srb->TimeOutValue;
    return port_dispatch(DeviceObject, Irp);
}

static PDRIVER_OBJECT
the_port(void)
{
    UNICODE_STRING name;
    PVOID port;

    RtlInitUnicodeString(&name, L"\\Driver\\port");
    assert_int_equal(ObReferenceObjectByName(&name, OBJ_CASE_INSENSITIVE, NULL,
                                             0, *IoDriverObjectType, KernelMode,
                                             NULL, &port),
                     STATUS_SUCCESS);
    return port;
}

/* TimeOutValue of the TEST UNIT READY that a check-verify of the drive of this
 * type sends. */
static ULONG
limit_of(DEVICE_TYPE type)
{
    PDRIVER_OBJECT port = the_port();
    PDEVICE_OBJECT device = NULL;

    for (PDEVICE_OBJECT pdo = port->DeviceObject; pdo != NULL;
         pdo = pdo->NextDevice)
        if (IoGetAttachedDevice(pdo)->DeviceType == type)
            device = pdo;
    assert_non_null(device);
    rest(); /* their driver can be looked into */
    seen_limit = 0;
    port_dispatch = port->MajorFunction[IRP_MJ_SCSI];
    port->MajorFunction[IRP_MJ_SCSI] = look_at_srb;
    io_device_control(device, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, NULL, 0, 0,
                      NULL);
    port->MajorFunction[IRP_MJ_SCSI] = port_dispatch;
    ObDereferenceObject(port);
    return seen_limit;
}

static void
timeout_value__configured__is_the_limit_of_the_srb(void **state)
{
    struct ri_error error;
    struct ri_service *service = start("[driver disk]\n"
                                       "TimeOutValue = 77\n"
                                       "[drive a]\ntype = disk\n"
                                       "[drive b]\ntype = cdrom\n",
                                       &error);

    (void) state;
    assert_non_null(service);
    assert_int_equal(limit_of(FILE_DEVICE_DISK), 77);
    /* Another driver's value is its own. */
    assert_int_not_equal(limit_of(FILE_DEVICE_CD_ROM), 77);
    stop(service);
}

static void
timeout_value__not_configured__is_the_drivers_ten_seconds(void **state)
{
    struct ri_error error;
    struct ri_service *service = start("[drive a]\ntype = disk\n", &error);

    (void) state;
    assert_non_null(service);
    assert_int_equal(limit_of(FILE_DEVICE_DISK), 10);
    stop(service);
}

static ULONG
read_number(HANDLE key, PCWSTR name)
{
    ULONG number = 0;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_REQUIRED,
          (PWSTR) name, &number, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(RtlQueryRegistryValues(RTL_REGISTRY_HANDLE, (PCWSTR) key,
                                            table, NULL, NULL),
                     STATUS_SUCCESS);
    return number;
}

static void
parameters__of_driver_and_device__are_in_their_keys(void **state)
{
    struct ri_error error;
    struct ri_service *service = start("[driver disk]\n"
                                       "Depth = 0x10\n"
                                       "[drive a]\ntype = disk\n"
                                       "parameter = Speed = 8\n"
                                       "parameter = Slow=1\n",
                                       &error);
    ULONG depth = 0;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, RTL_QUERY_REGISTRY_DIRECT, L"Depth", &depth, 0, NULL, 0 },
        { 0 },
    };
    PDEVICE_OBJECT fdo;
    PDRIVER_OBJECT port;
    HANDLE key;

    (void) state;
    assert_non_null(service);
    assert_int_equal(RtlQueryRegistryValues(RTL_REGISTRY_SERVICES,
                                            L"disk\\Parameters", table, NULL,
                                            NULL),
                     STATUS_SUCCESS);
    assert_int_equal(depth, 16);
    port = the_port();
    fdo = IoGetAttachedDevice(port->DeviceObject);
    /* The FDO is not the device whose key it is. */
    assert_int_equal(
        IoOpenDeviceRegistryKey(fdo, PLUGPLAY_REGKEY_DEVICE, KEY_READ, &key),
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(IoOpenDeviceRegistryKey(port->DeviceObject,
                                             PLUGPLAY_REGKEY_DEVICE, KEY_READ,
                                             &key),
                     STATUS_SUCCESS);
    assert_int_equal(read_number(key, L"Speed"), 8);
    assert_int_equal(read_number(key, L"Slow"), 1);
    ZwClose(key);
    assert_int_equal(IoOpenDeviceRegistryKey(port->DeviceObject,
                                             PLUGPLAY_REGKEY_DRIVER,
                                             KEY_ALL_ACCESS, &key),
                     STATUS_SUCCESS);
    ZwClose(key);
    assert_int_equal(
        IoOpenDeviceRegistryKey(port->DeviceObject, 3, KEY_READ, &key),
        STATUS_INVALID_PARAMETER);
    ObDereferenceObject(port);
    stop(service);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeout_value__configured__is_the_limit_of_the_srb),
        cmocka_unit_test(
            timeout_value__not_configured__is_the_drivers_ten_seconds),
        cmocka_unit_test(parameters__of_driver_and_device__are_in_their_keys),
    };
    int fd = mkstemp(path), failed;

    if (fd < 0)
        return 99;
    close(fd);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
