/*
 * tape.c - tape drives among the drives of the service
 *
 * A tape has no volume: nothing is mounted, and nothing polls it.  What is in
 * a drive is known from what a hand or a robot did, and from the answers that
 * whoever has it open gets.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/tape.h"

#include <ntddstor.h>

#include "io/io.h"
#include "minitape/table.h"

struct vscsi_tape_config
tape_device_config(const struct ri_tape_config *config)
{
    return (struct vscsi_tape_config){
        .personality =
            config->personality[0] != '\0' ? config->personality : NULL,
        .capacity_bytes = config->capacity_bytes,
        .early_warning_bytes = config->early_warning_bytes,
        .no_compression = config->no_compression,
        .clean_after_bytes = config->clean_after_bytes,
        .cleaning_uses = config->cleaning_uses,
        .clean_ms = config->clean_ms,
        .rewind_ms = config->rewind_ms,
        .unload_ms = config->unload_ms,
    };
}

NTSTATUS
tape_driver_for(struct ri_service *service, PDEVICE_OBJECT pdo,
                PDRIVER_OBJECT *out_driver)
{
    const struct minitape_driver *row = minitape_driver_for(pdo);
    size_t n =
        row != NULL ? (size_t) (row - minitape_drivers) : TAPE_DRIVERS_MAX;
    NTSTATUS status = STATUS_SUCCESS;

    if (n >= TAPE_DRIVERS_MAX)
        return STATUS_NO_SUCH_DEVICE;
    if (service->minitape[n] == NULL)
        status = io_load_driver(row->name, row->entry, &service->minitape[n]);
    *out_driver = service->minitape[n];
    return status;
}

void
tape_drivers_unload(struct ri_service *service)
{
    for (size_t i = 0; i < TAPE_DRIVERS_MAX; i++)
        if (service->minitape[i] != NULL)
            io_unload_driver(service->minitape[i]);
}

NTSTATUS
tape_ask(struct drive *drive)
{
    NTSTATUS status = STATUS_SUCCESS;

    /* A change that nobody was told of yet is told once, and is no failure. */
    for (int i = 0; i < 2; i++) {
        status =
            io_device_control(drive->fdo, IOCTL_STORAGE_CHECK_VERIFY2, NULL, 0,
                              NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
        if (status != STATUS_IO_DEVICE_ERROR)
            break;
    }
    return status;
}
