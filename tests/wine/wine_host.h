/*
 * wine_host.h - between the drivers of the tests and the program that runs them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_HOST_H
#define TESTS_WINE_HOST_H

#include <ntifs.h>

#include <stdbool.h>

/* --- called by the tests: any IRQL ---------------------------------------- */

/* Where the next call of this thread comes from. */
void wine_place(const char *function, const char *file, int line);
void wine_ok(int condition, const char *format, ...);
void wine_skip(const char *format, ...);

/* --- the drivers ---------------------------------------------------------- */

/* One function of a driver; `where` says what it expects. */
enum wine_where {
    WINE_REQUEST,               /* in a dispatch routine, for its IRP */
    WINE_WORKER,                /* on a system thread */
};
struct wine_row {
    const char *name;
    enum wine_where where;
    void (*run)(PDEVICE_OBJECT device, PIRP irp);
};

/* The thread that runs a function now: while it waits, time goes on.  NULL:
 * nobody, and it goes on. */
void wine_runs(PETHREAD thread);

/* Asks a driver's device to run the row whose number is in the buffer. */
#define IOCTL_WINE_RUN                                                        \
    CTL_CODE(FILE_DEVICE_UNKNOWN, 0xE00, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* Ends with a row without a name. */
extern const struct wine_row wine_driver_rows[];
NTSTATUS NTAPI wine_driver_entry(PDRIVER_OBJECT driver,
                                 PUNICODE_STRING registry);
/* Its own entry, then what the rows need. */
NTSTATUS NTAPI wine_driver_start(PDRIVER_OBJECT driver,
                                 PUNICODE_STRING registry);
NTSTATUS NTAPI wine_pnp_entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry);

#endif
