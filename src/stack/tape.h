/*
 * tape.h - tape drives among the drives of the service
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_TAPE_H
#define STACK_TAPE_H

#include "stack/stack_internal.h"

struct vscsi_tape_config tape_device_config(const struct ri_tape_config *config);
/* The minitape driver that fits what is at the port, loaded if need be. */
NTSTATUS tape_driver_for(struct ri_service *service, PDEVICE_OBJECT pdo,
                         PDRIVER_OBJECT *out_driver);
void tape_drivers_unload(struct ri_service *service);
/* Asks what is in the drive; STATUS_SUCCESS: a tape that is ready. */
NTSTATUS tape_ask(struct drive *drive);

#endif
