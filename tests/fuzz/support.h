/*
 * support.h - what the fuzzing targets share: drivers, requests, an input
 *
 * Time is manual and advances while a request is waited for, so that delays
 * of retries cost nothing.  Whatever is wrong ends the process (CHECK), which
 * is what libFuzzer takes for a finding.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FUZZ_SUPPORT_H
#define FUZZ_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ntifs.h>

#include <classpnp.h>
#include <ntddcdrm.h>
#include <ntddcdvd.h>
#include <ntdddisk.h>
#include <ntddscsi.h>
#include <ntddstor.h>
#include <scsi.h>
#include <srb.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* --- the input, taken from the front; zeros behind its end ---------------- */

struct input {
    const uint8_t *at, *end;
};

static inline uint8_t
take8(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint16_t
take16(struct input *in)
{
    uint16_t high = take8(in);

    return (uint16_t) (high << 8 | take8(in));
}

static inline uint32_t
take32(struct input *in)
{
    uint32_t high = take16(in);

    return high << 16 | take16(in);
}

static inline void
take(struct input *in, void *to, size_t bytes)
{
    size_t left = (size_t) (in->end - in->at);
    size_t some = bytes < left ? bytes : left;

    memcpy(to, in->at, some);
    memset((char *) to + some, 0, bytes - some);
    in->at += some;
}

/* --- the system ----------------------------------------------------------- */

extern PDRIVER_OBJECT fuzz_port, fuzz_disk, fuzz_cdrom;

/* The first call loads the drivers; from then on time is manual. */
void fuzz_begin(void);
/* Around whatever may wait: time passes meanwhile. */
void fuzz_wait(bool waits);
/* What is waited for goes on: a command was sent. */
void fuzz_step(void);

struct request {
    PIRP irp;
    PMDL mdl;
    KEVENT done;
    volatile LONG completions;
    NTSTATUS returned, status;
    ULONG_PTR information;
};

/* How a request is made. */
struct manner {
    UCHAR stack_flags;
    bool threadless;
    bool user_mode;
};

/* Sends, waits, frees.  `other` is the buffer of direct and neither codes, of
 * `out` bytes. */
struct request fuzz_control(PDEVICE_OBJECT device, ULONG code, void *buffer,
                            ULONG in, ULONG out, void *other,
                            const struct manner *manner);
struct request fuzz_transfer(PDEVICE_OBJECT device, UCHAR major,
                             ULONGLONG offset, void *data, ULONG bytes,
                             const struct manner *manner);
struct request fuzz_flush(PDEVICE_OBJECT device);

#endif
