/*
 * io.h - the I/O manager: what the stack, the tests and the prompt's port use
 *        beyond the documented routines
 *
 * Drivers and file systems never include this: they see include/nt only.
 * Unless noted a routine is called at PASSIVE_LEVEL and may wait.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef IO_IO_H
#define IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ntifs.h>

/* Starts ke if nobody did.  Both may be called any number of times; shutdown
 * expects that no request is under way and that the drivers are unloaded. */
NTSTATUS io_init(void);
void io_shutdown(void);

/* IRP_MJ_SHUTDOWN to whoever registered for it and to the file systems, once
 * per registration.  io_shutdown does it too; the stack calls it before it
 * unloads its drivers. */
void io_tell_shutdown(void);

/* --- drivers and devices ------------------------------------------------- */

/* Makes the driver object, calls entry; `name` without "\Driver\".  An entry
 * that fails is undone and its status returned. */
NTSTATUS io_load_driver(const char *name, PDRIVER_INITIALIZE entry,
                        PDRIVER_OBJECT *out_driver);
/* Calls DriverUnload; the driver has no devices left after that. */
void io_unload_driver(PDRIVER_OBJECT driver);

/* AddDevice(driver, pdo), then IRP_MN_START_DEVICE to the top of the stack.
 * When the start fails the stack gets IRP_MN_REMOVE_DEVICE.  driver NULL: the
 * device alone, if its capabilities allow that (RawDeviceOK). */
NTSTATUS io_start_device(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo);
/* QUERY_REMOVE, then REMOVE; a refused query is cancelled and its status
 * returned.  No new mount on the stack's VPBs meanwhile. */
NTSTATUS io_remove_device(PDEVICE_OBJECT pdo);
/* QUERY_STOP, then STOP; a refused query is cancelled and its status returned.
 * io_restart_device starts the same stack again. */
NTSTATUS io_stop_device(PDEVICE_OBJECT pdo);
NTSTATUS io_restart_device(PDEVICE_OBJECT pdo);
/* The device is gone already: SURPRISE_REMOVAL, then REMOVE; while files are
 * open on the stack, the close of the last one sends REMOVE. */
NTSTATUS io_surprise_remove_device(PDEVICE_OBJECT pdo);

/*
 * The whole system to this state: QUERY_POWER to all stacks that were started,
 * the last started first; if one refuses, SET_POWER to PowerSystemWorking to
 * those that were asked and its status; else SET_POWER.  To
 * PowerSystemWorking: SET_POWER alone, the first started first.
 */
NTSTATUS io_power_system(SYSTEM_POWER_STATE state);

/* Who is told of a device that a bus driver reports after
 * IoInvalidateDeviceRelations; on a worker.  Ones that it no longer reports are
 * removed as by io_surprise_remove_device. */
typedef void io_arrival_fn(void *ctx, PDEVICE_OBJECT pdo);
void io_set_arrival_hook(io_arrival_fn *fn, void *ctx);

/* --- opening, asking ----------------------------------------------------- */

#define IO_REMOUNT_LIMIT 8

/*
 * The open path.  An open for attributes only, without a name, goes straight to
 * the storage stack (no mount, no VPB).  Any other open mounts: `name` empty or
 * NULL is a volume open (raw mounts allowed).  A create that answers
 * STATUS_REPARSE / IO_REMOUNT is run again from the start, IO_REMOUNT_LIMIT
 * times, then STATUS_UNSUCCESSFUL.
 */
NTSTATUS io_open_file(PDEVICE_OBJECT device, ACCESS_MASK access,
                      PCUNICODE_STRING name, PFILE_OBJECT *out_file);
NTSTATUS io_open_device(PDEVICE_OBJECT device, ACCESS_MASK access,
                        PFILE_OBJECT *out_file);
/* CLEANUP, and with the last reference CLOSE, which drops the VPB. */
void io_close_file(PFILE_OBJECT file);

/* Synchronous, <= APC, to the top of the stack above `device`.  stack_flags:
 * SL_OVERRIDE_VERIFY_VOLUME or 0.  out_information may be NULL. */
NTSTATUS io_device_control(PDEVICE_OBJECT device, ULONG code, const void *in,
                           ULONG in_len, void *out, ULONG out_len,
                           UCHAR stack_flags, ULONG_PTR *out_information);

/* Mounts what is in the device now, unless a volume is mounted already. */
NTSTATUS io_mount(PDEVICE_OBJECT device, BOOLEAN allow_raw);

/* The RAW file system: takes any volume that nobody else wants, when a raw
 * mount is allowed.  Start it before other file systems (it must be the last
 * in every list); optional, io_init does not. */
NTSTATUS io_start_raw(void);
/* Without open files; io_shutdown does it too. */
void io_stop_raw(void);

/* The calling thread's previous mode, which Nt routines go by: UserMode is a
 * program's call, whose handle is checked.  Returns the one before. */
KPROCESSOR_MODE io_set_previous_mode(KPROCESSOR_MODE mode);

/* --- hard errors --------------------------------------------------------- */

/*
 * Who puts the question.  A NULL member is "nobody there": raise fails, inform
 * returns FALSE, ask answers ResponseReturnToCaller.
 */
struct io_harderr_port {
    /* <= APC.  STATUS_SUCCESS: took the IRP, and calls io_harderr_retry or
     * io_harderr_fail exactly once, perhaps before it returns.  Else the IRP
     * completes with its status. */
    NTSTATUS (*raise)(void *ctx, PIRP irp, PVPB vpb, PDEVICE_OBJECT real,
                      NTSTATUS status);
    /* <= APC.  FALSE: queue full, or an equal message is in it. */
    BOOLEAN (*inform)(void *ctx, NTSTATUS status, PCUNICODE_STRING text,
                      PETHREAD thread);
    /* Waits for the answer (not with OptionOkNoWait).  Bit i of string_mask:
     * parameters[i] is a PUNICODE_STRING. */
    NTSTATUS (*ask)(void *ctx, NTSTATUS status, ULONG options,
                    ULONG *out_response, ULONG count, ULONG string_mask,
                    const ULONG_PTR *parameters);
    void *ctx;
};

/* Copied; NULL takes the port away.  Not while a hard error is raised. */
void io_set_harderr_port(const struct io_harderr_port *port);
/* Dispatches the same IRP again to the device that raised the hard error, with
 * the same stack location.  A cancelled IRP completes STATUS_CANCELLED/0. */
void io_harderr_retry(PIRP irp);
/* The same; FALSE: it is cancelled, and the caller's still. */
BOOLEAN io_harderr_try(PIRP irp);
/* Completes it with status, Information 0. */
void io_harderr_fail(PIRP irp, NTSTATUS status);
/* The process's error mode: true suppresses the questions of requests and of
 * ExRaiseHardError, but for those with HARDERROR_OVERRIDE_ERRORMODE. */
void io_set_error_mode(bool suppress);

/* --- looking in ---------------------------------------------------------- */

/* IRPs, MDLs and I/O buffers really allocated so far (not from a cache). */
uint64_t io_allocation_count(void);
/* IoSetHardErrorOrVerifyDevice calls without a thread (a driver's mistake). */
uint64_t io_dropped_hard_errors(void);
/* Whether drivers are held to the rules of rules.def.  On in debug builds, but
 * with REINSERT_VERIFIER=0 in the environment; release builds cannot, then
 * false.  Set before requests flow. */
bool io_set_verifier(bool on);
/* How long the end of a thread waits for its cancelled IRPs; 300 s. */
void io_set_cancel_wait_ms(unsigned limit_ms);

#define IO_ERROR_LOG_DUMP_MAX \
    (ERROR_LOG_MAXIMUM_SIZE - offsetof(IO_ERROR_LOG_PACKET, DumpData))

struct io_error_log_entry {
    uint64_t seq;               /* 1, 2, 3 ... */
    uint64_t time_ms;           /* wall clock, since 1970 */
    char driver[32];
    char device[64];            /* "" for a driver's own entries */
    const void *object;         /* the device, to compare only, or NULL */
    char text[160];             /* a message, or the entry's strings; or "" */
    IO_ERROR_LOG_PACKET packet; /* DumpData[0] only; all of it is in dump */
    uint16_t dump_len;
    uint8_t dump[IO_ERROR_LOG_DUMP_MAX];
};

/* "IO_ERR_BAD_BLOCK"; a status's name; in hex what is neither. */
const char *io_error_code_name(NTSTATUS code);

/* The newest entries after `after_seq`, oldest first; how many.  Any IRQL up to
 * DISPATCH. */
size_t io_error_log(uint64_t after_seq, struct io_error_log_entry *out_list,
                    size_t max);

/* Exported by NT, but not documented. */
extern POBJECT_TYPE *IoDriverObjectType, *IoDeviceObjectType;

/* The device with this name (links are followed), referenced, or NULL. */
PDEVICE_OBJECT io_find_device(const char *name);
/* "\Device\..." or "" in out_name; returns out_name. */
char *io_device_name(PDEVICE_OBJECT device, char *out_name, size_t max);

#endif
