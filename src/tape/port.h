/*
 * port.h - what is asked of a tape device, one routine per question
 *
 * Synchronous, on the caller's thread, PASSIVE.  Statuses are the class
 * driver's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPES_PORT_H
#define TAPES_PORT_H

#include <ntifs.h>

#include <ntddtape.h>

struct tape_port {
    PDEVICE_OBJECT device;      /* borrowed: outlives its unit */
    PFILE_OBJECT file;          /* held, or NULL */
};

NTSTATUS tape_port_open(struct tape_port *port);
/* What was written is flushed by the class driver. */
void tape_port_close(struct tape_port *port);

/* Information of warnings and errors counts, too. */
NTSTATUS tape_port_transfer(const struct tape_port *port, BOOLEAN write,
                            void *data, ULONG length, ULONG *out_bytes);
NTSTATUS tape_port_control(const struct tape_port *port, ULONG code,
                           void *buffer, ULONG in, ULONG out);

/* STATUS_VERIFY_REQUIRED: something may have happened to the tape; told once. */
NTSTATUS tape_port_ready(const struct tape_port *port);
NTSTATUS tape_port_move(const struct tape_port *port, ULONG method,
                        LONGLONG offset);
NTSTATUS tape_port_marks(const struct tape_port *port, ULONG count,
                         BOOLEAN immediate);
NTSTATUS tape_port_prepare(const struct tape_port *port, ULONG operation);
NTSTATUS tape_port_media(const struct tape_port *port,
                         TAPE_GET_MEDIA_PARAMETERS *out);
NTSTATUS tape_port_set_block(const struct tape_port *port, ULONG bytes);
NTSTATUS tape_port_compression(const struct tape_port *port, BOOLEAN on);
NTSTATUS tape_port_erase(const struct tape_port *port, BOOLEAN all);
/* The number of the next object, -1 when the drive does not count; writes out
 * what it holds. */
NTSTATUS tape_port_where(const struct tape_port *port, int64_t *out_object);

/* By pass-through.  Filemarks before the place, or -1: it does not say. */
int64_t tape_port_file(const struct tape_port *port);
/* Objects that are in the drive's buffer and not on the tape; -1: it does not
 * say, or does not lie before this object. */
int64_t tape_port_buffered(const struct tape_port *port, int64_t object);
/* A text of the cartridge's memory, trimmed; "" if it has none. */
void tape_port_memory(const struct tape_port *port, USHORT attribute,
                      char *out_text, ULONG max);
/* The density code; 0: it does not say. */
UCHAR tape_port_density(const struct tape_port *port);
/* By MODE SELECT, all else as it is; a negative value: as it is, too. */
NTSTATUS tape_port_mode(const struct tape_port *port, int density,
                        int buffered);

#endif
