/*
 * hostile.h - a host adapter whose every answer comes from the input
 *
 * A byte says what each command gets: 0, the honest answer of the target's
 * own routine; up to 0x30 sense data; up to 0x40 another SRB status; else data
 * of any length.  Where the input is silent all is honest, so that a start can
 * succeed and the rest be reached.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H

#include "fuzz/support.h"

#include "port/hba.h"

/* How much an honest drive transfers; data is NULL unless it comes from it. */
typedef uint32_t hostile_honest_fn(const SCSI_REQUEST_BLOCK *srb,
                                   uint8_t *data, uint32_t room);

/* Before each input. */
void hostile_begin(struct input script, hostile_honest_fn *honest,
                   unsigned commands_max);
/* A request begins: from now on it may cost commands_max commands. */
void hostile_request(void);
/* An event of the adapter, HBA_ bits. */
void hostile_event(uint32_t events);
NTSTATUS hostile_open(void *context, void *new_unit, void **out_hba);

extern const struct hba_ops hostile_ops;

#endif
