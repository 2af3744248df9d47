/*
 * rules.c - what happens to a driver that breaks a rule
 *
 * The message names driver, device and rule, then the system stops: a double
 * completion today is a lost write tomorrow.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <stdio.h>
#include <stdlib.h>

bool io_verifier;

__attribute__((constructor)) static void
read_environment(void)
{
    const char *value = getenv("REINSERT_VERIFIER");

    io_verifier = value != NULL && *value != '\0' && *value != '0';
}

void
io_set_verifier(bool on)
{
    io_verifier = on;
}

DECLSPEC_NORETURN VOID NTAPI
io_rule_broken(ULONG code, const char *rule, PDEVICE_OBJECT device, PIRP irp)
{
    char driver[64] = "unknown", name[96] = "";

    if (device != NULL && device->DriverObject != NULL) {
        io_driver_text(device->DriverObject, driver, sizeof driver);
        io_device_name(device, name, sizeof name);
    }
    fprintf(stderr, "reinsert: driver %s, device %p %s, IRP %p: %s\n", driver,
            (void *) device, name, (void *) irp, rule);
    fflush(stderr);
    KeBugCheckEx(code, (ULONG_PTR) irp, (ULONG_PTR) device, 0, 0);
}
