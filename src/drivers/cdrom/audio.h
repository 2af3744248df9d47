/*
 * audio.h - control codes that have to do with sound
 *
 * Each takes a device control whose remove lock is held, and completes it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CDROM_AUDIO_H
#define CDROM_AUDIO_H

#include <classpnp.h>
#include <ntddcdrm.h>

NTSTATUS cdrom_raw_read(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_play(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_seek(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_pause(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_resume(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_stop(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_read_q(PDEVICE_OBJECT fdo, PIRP irp);

#endif
