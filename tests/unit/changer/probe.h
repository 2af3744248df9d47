/*
 * probe.h - a miniclass driver for tests: supports nothing, writes down how it
 * is called, and errs as it is told
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CHANGER_PROBE_H
#define CHANGER_PROBE_H

#include "robot.h"

#define PROBE_EXTRA 4096

struct probe_call {
    const char *name;
    KIRQL irql;
    PDEVICE_OBJECT device;
};

struct probe {
    struct probe_call calls[64];
    unsigned count;
    bool clean;                 /* the extension was all zero at the start */
    NTSTATUS initialize;        /* what ChangerInitialize returns, if failing */
    /* ChangerError */
    NTSTATUS seen_status;       /* as it came in, last */
    BOOLEAN seen_retry;
    bool set_status, set_retry;
    NTSTATUS status;
    BOOLEAN retry;
    bool look_at_sense;         /* whatever the SRB says */
    bool without_sense;         /* it came without */
};

extern struct probe probe;
extern PDRIVER_OBJECT probe_driver;
extern MCD_INIT_DATA probe_data;

int probe_begin(void **state);
int probe_end(void **state);
/* Setups: a robot with this driver, cold, and started. */
int probe_cold(void **state);
int probe_ready(void **state);
unsigned probe_calls(const char *name);

#endif
