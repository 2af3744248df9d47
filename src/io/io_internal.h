/*
 * io_internal.h - what the files of this room share
 *
 * The hot routines (call, complete, allocate, free) are of the Microsoft
 * convention and call only such routines or inline ones: a single call to one
 * of the other convention makes the caller save ten vector registers at every
 * entry.  So whatever they call here is NTAPI.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef IO_INTERNAL_H
#define IO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ntifs.h>

#include "base/trace.h"
#include "io/check.h"
#include "io/io.h"
#include "ke/thread.h"
#include "ob/ob.h"

#define IO_LIKELY(x)   __builtin_expect(!!(x), 1)
#define IO_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define IO_TAG_IRP    0x20707249u   /* "Irp " */
#define IO_TAG_MDL    0x206C644Du   /* "Mdl " */
#define IO_TAG_VPB    0x20627056u   /* "Vpb " */
#define IO_TAG_OBJECT 0x6A624F49u   /* "IObj" */
#define IO_TAG_BUFFER 0x66754249u   /* "IBuf" */
#define IO_TAG_WORK   0x6B725749u   /* "IWrk" */
#define IO_TAG_NOTE   0x65744E49u   /* "INte" */
#define IO_TAG_NAME   0x6D614E49u   /* "INam" */
#define IO_TAG_LOG    0x676F4C49u   /* "ILog" */
#define IO_TAG_FS     0x73465349u   /* "ISFs" */
#define IO_TAG_HISTORY 0x73694849u  /* "IHis" */

/* Ours, beside the documented bits of IRP.AllocationFlags. */
#define IO_IRP_THREADED 0x80    /* freed by us when it has unwound */
#define IO_IRP_LISTED   0x40    /* on its thread's IrpList */
#define IO_IRP_PINNED   0x20    /* the ending thread is cancelling it */
#define IO_IRP_DONE     0x10    /* completed while pinned */
#define IO_IRP_FINISHING 0x08   /* its status block is being written */
#define IO_IRP_HISTORY  0x01    /* check.h; a constant of its life */
#define IO_IRP_SMALL    0x02    /* its system buffer is from the cache */

/* Written under cancel.c's list lock once the IRP is on a list. */
static inline UCHAR
io_irp_flags(PIRP irp)
{
    return __atomic_load_n(&irp->AllocationFlags, __ATOMIC_RELAXED);
}

static inline void
io_irp_set_flags(PIRP irp, UCHAR set)
{
    __atomic_store_n(&irp->AllocationFlags, (UCHAR) (io_irp_flags(irp) | set),
                     __ATOMIC_RELAXED);
}

static inline void
io_irp_clear_flags(PIRP irp, UCHAR clear)
{
    __atomic_store_n(&irp->AllocationFlags,
                     (UCHAR) (io_irp_flags(irp) & ~clear), __ATOMIC_RELAXED);
}

/* --- cache.c: per-thread caches: IRPs by size, MDLs, small buffers */

#define IO_CACHE_SLOT   0       /* ETHREAD.cache */
#define IO_CACHE_STACKS 8
#define IO_CACHE_MDL    IO_CACHE_STACKS
#define IO_CACHE_BUFFER (IO_CACHE_STACKS + 1)
#define IO_CACHE_HISTORY (IO_CACHE_STACKS + 2)
#define IO_CACHE_KINDS  (IO_CACHE_STACKS + 3)
#define IO_BUFFER_SIZE  512     /* system buffers up to this are cached */
#define IO_CACHE_BATCH  32u     /* goes to or comes from the depot at once */

#if defined(__SANITIZE_ADDRESS__)
#define IO_NO_CACHE 1           /* so that use after free is found */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IO_NO_CACHE 1
#endif
#endif

/* What lies in a free IRP or MDL. */
struct io_free {
    uint64_t dead;              /* 0: IRP.Type is gone */
    struct io_free *next;
    struct io_free *next_batch; /* first of a batch: in the depot */
    uint64_t batch_count;
};

struct io_cache {
    struct {
        struct io_free *first;
        unsigned count;
    } kinds[IO_CACHE_KINDS];
};

void io_cache_init(void);
void io_cache_shutdown(void);
/* NULL: no memory. */
PVOID NTAPI io_cache_refill(unsigned kind) __attribute__((cold));
VOID NTAPI io_cache_spill(unsigned kind, PVOID block) __attribute__((cold));
/* Counted, not cached.  NULL: no memory. */
PVOID NTAPI io_pool_alloc(SIZE_T size, ULONG tag) __attribute__((cold));
VOID NTAPI io_pool_free(PVOID block, ULONG tag) __attribute__((cold));

static inline __attribute__((always_inline)) PVOID
io_cache_get(unsigned kind)
{
#ifndef IO_NO_CACHE
    struct io_cache *cache = ke_current()->cache[IO_CACHE_SLOT];
    struct io_free *block;

    if (IO_LIKELY(cache != NULL)) {
        block = cache->kinds[kind].first;
        if (IO_LIKELY(block != NULL)) {
            cache->kinds[kind].first = block->next;
            cache->kinds[kind].count--;
            return block;
        }
    }
#endif
    return io_cache_refill(kind);
}

static inline __attribute__((always_inline)) void
io_cache_put(unsigned kind, PVOID memory)
{
#ifndef IO_NO_CACHE
    struct io_cache *cache = ke_current()->cache[IO_CACHE_SLOT];
    struct io_free *block = memory;

    if (IO_LIKELY(cache != NULL &&
                  cache->kinds[kind].count < 2 * IO_CACHE_BATCH)) {
        block->dead = 0;
        block->next = cache->kinds[kind].first;
        cache->kinds[kind].first = block;
        cache->kinds[kind].count++;
        return;
    }
#endif
    io_cache_spill(kind, memory);
}

/* --- complete.c, cancel.c, build.c --------------------------------------- */

/* Puts the IRP on the current thread's list, as its own from now on. */
void io_thread_queue_irp(PIRP irp);
/* The last steps of a threaded IRP, cancel.c. */
bool io_thread_enter_finish(PIRP irp);
bool io_thread_leave(PIRP irp);
void io_thread_exit(PETHREAD thread);
/* Who has the IRP, or NULL. */
PDEVICE_OBJECT io_current_device(PIRP irp);
/* Unlocks and frees the MDLs of the IRP. */
void io_release_mdls(PIRP irp);
/* The system buffer, if the I/O manager made it. */
void io_release_buffer(PIRP irp);

struct io_sync {
    KEVENT event;
    IO_STATUS_BLOCK iosb;
};

/* A threaded IRP for `target`; the next location is empty.  NULL: no memory. */
PIRP io_sync_irp(PDEVICE_OBJECT target, struct io_sync *out_sync);
/* Sends it and waits; out_information may be NULL. */
NTSTATUS io_sync_call(PDEVICE_OBJECT target, PIRP irp, struct io_sync *sync,
                      ULONG_PTR *out_information);

/* --- device.c ------------------------------------------------------------ */

/* Notifications of one PDO, or of all interfaces (pdo NULL); note lock. */
struct io_note_queue {
    LIST_ENTRY notes;
    PDEVICE_OBJECT pdo;
    bool running;
    WORK_QUEUE_ITEM work;
};

struct io_devext {
    DEVOBJ_EXTENSION common;
    PDEVICE_OBJECT attached_to; /* below; holds a reference; device lock */
    bool delete_pending;        /* device lock */
    bool removed;               /* REMOVE_DEVICE was sent; device lock */
    bool remove_due;            /* once no file is open; device lock */
    LONG open_files;            /* on this device; device lock */
    const struct io_label *label; /* atomic, check.h */
    LONG owes_verify;           /* atomic, check.c */
    bool raw;                   /* RAW's control device; constant */
    bool mounted_once;          /* VPB lock: freed at the shutdown only */
    PDEVICE_OBJECT volume_of;   /* VPB lock: what it was last mounted on;
                                 * borrowed, kept as above */
    LIST_ENTRY kept;            /* device lock: gone, but kept */
    struct io_note_queue notes;
    bool has_interfaces;        /* interface.c: its lock */
    LIST_ENTRY started;         /* pnp.c: started_lock; or empty */
    DEVICE_POWER_STATE power;   /* PoSetPowerState; atomic */
    /* queue.c; constant once requests flow, then its lock */
    bool start_io_deferred;
    bool start_io_no_cancel;
    struct io_start_io {
        KSPIN_LOCK lock;
        bool running;
        bool waiting;           /* `next` is to be done when it returns */
        struct io_start {
            PIRP irp;           /* NULL: the next one of the queue */
            bool cancelable;
            PULONG key;         /* NULL, or &key_value */
            ULONG key_value;
        } next;
    } start_io;
    /* bus relations last seen: the worker of pnp.c alone */
    PDEVICE_RELATIONS children; /* holds references */
};

/*
 * Device lock: attachment, names, lists of devices and file systems.  Taken at
 * <= DISPATCH, before the VPB lock, nothing else is taken under it.
 */
extern KSPIN_LOCK io_device_lock;

static inline struct io_devext *
io_devext(PDEVICE_OBJECT device)
{
    return (struct io_devext *) device->DeviceObjectExtension;
}

static inline ULONG
io_device_flags(PDEVICE_OBJECT device)
{
    return __atomic_load_n(&device->Flags, __ATOMIC_ACQUIRE);
}

static inline void
io_device_set_flags(PDEVICE_OBJECT device, ULONG set)
{
    InterlockedOr((LONG volatile *) &device->Flags, (LONG) set);
}

static inline void
io_device_clear_flags(PDEVICE_OBJECT device, ULONG clear)
{
    InterlockedAnd((LONG volatile *) &device->Flags, (LONG) ~clear);
}

/* timer.c, shutdown.c */
void io_timer_stop(PDEVICE_OBJECT device);
void io_timer_free(PDEVICE_OBJECT device);

/* Frees the devices that were kept. */
void io_device_shutdown(void);
/* Lowest device of the stack, referenced: the PDO. */
PDEVICE_OBJECT io_lowest_device(PDEVICE_OBJECT device);
bool io_device_gone(PDEVICE_OBJECT device);

/* --- pnp.c, power.c -------------------------------------------------------- */

/* A plug and play request to the top of the stack, or to the PDO alone;
 * `parameters` fills in the rest of the location, or NULL. */
typedef void io_pnp_fill_fn(PIO_STACK_LOCATION next, const void *context);
NTSTATUS io_send_pnp(PDEVICE_OBJECT device, UCHAR minor, io_pnp_fill_fn *fill,
                     const void *context, ULONG_PTR *out_information);
/* The PDO itself is asked, nobody above it; paged pool, or NULL. */
PWSTR io_query_id(PDEVICE_OBJECT pdo, BUS_QUERY_ID_TYPE type);
PWSTR io_query_text(PDEVICE_OBJECT pdo, DEVICE_TEXT_TYPE type);
NTSTATUS io_query_capabilities(PDEVICE_OBJECT pdo,
                               DEVICE_CAPABILITIES *out_capabilities);
/* Asks the stack for its PnP state and does what that says. */
NTSTATUS io_look_at_state(PDEVICE_OBJECT pdo);
/* The PDO of a stack that was started: referenced; the first, or the one
 * after/before `at` (which loses its reference); NULL: no more. */
PDEVICE_OBJECT io_next_started(PDEVICE_OBJECT at, bool backwards);

/* Files that are open keep a device that is gone from being removed. */
void io_pnp_file_opened(PDEVICE_OBJECT device);
void io_pnp_file_closed(PDEVICE_OBJECT device);

/* --- notify.c, interface.c ------------------------------------------------- */

/* Waits for the callbacks; of a query the first refusal. */
NTSTATUS io_notify_target(PDEVICE_OBJECT pdo, const GUID *event);
void io_notify_interface(const GUID *event, const GUID *class,
                         PCUNICODE_STRING link);
void io_interface_tell_existing(const GUID *class,
                                PDRIVER_NOTIFICATION_CALLBACK_ROUTINE callback,
                                PVOID context);
/* The PDO's interfaces are disabled; forget: it is being deleted. */
void io_interface_disable_all(PDEVICE_OBJECT pdo, bool forget);

/* --- vpb.c --------------------------------------------------------------- */

void io_vpb_init(void);
NTSTATUS io_vpb_create(PDEVICE_OBJECT device);
PVPB io_vpb_of(PDEVICE_OBJECT device);
USHORT io_vpb_flags(PVPB vpb);
/* The mounted VPB of the device, referenced, or NULL; *out_locked: it has
 * VPB_LOCKED. */
PVPB io_vpb_ref_mounted(PDEVICE_OBJECT device, bool *out_locked);
void io_vpb_deref(PVPB vpb);
/* Gives the device a fresh VPB if `old` is still its current one. */
NTSTATUS io_vpb_swap_fresh(PDEVICE_OBJECT device, PVPB old);

/* --- mount.c ------------------------------------------------------------- */

/* The mount pass.  On success a reference to the mounted VPB in *out_vpb. */
NTSTATUS io_mount_volume(PDEVICE_OBJECT device, BOOLEAN allow_raw,
                         bool device_is_locked, PVPB *out_vpb);
void io_each_file_system(void (*fn)(PDEVICE_OBJECT device));
/* Sends MOUNT_VOLUME or VERIFY_VOLUME and waits. */
NTSTATUS io_volume_request(PDEVICE_OBJECT target, UCHAR minor,
                           BOOLEAN allow_raw, PVPB vpb,
                           PDEVICE_OBJECT parameter, CCHAR stack_size,
                           ULONG_PTR *out_information);

/* --- file.c, zwfile.c ----------------------------------------------------- */

/* How a file is opened. */
struct io_create {
    ACCESS_MASK access;
    PCUNICODE_STRING name;          /* on the device; NULL or empty: itself */
    ULONG options, disposition;     /* as ZwCreateFile has them */
    USHORT attributes, share;
    ULONG flags;                    /* FO_* that the file has from the start */
    ULONG_PTR information;          /* out: what the create IRP answered */
};

/* io_open_file, in full. */
NTSTATUS io_create_file(PDEVICE_OBJECT device, struct io_create *create,
                        PFILE_OBJECT *out_file);
NTSTATUS io_parse_file(PDEVICE_OBJECT device, PCUNICODE_STRING rest,
                       const struct ob_open *open, PVOID *out_object);

/* --- name.c -------------------------------------------------------------- */

/* Referenced, or NULL. */
PDEVICE_OBJECT io_name_lookup(PCUNICODE_STRING name);
/* ASCII of a counted string, '?' for other characters. */
char *io_name_text(PCUNICODE_STRING name, char *out_text, size_t max);
NTSTATUS io_name_widen(const char *text, UNICODE_STRING *out_name);

/* --- errlog.c ------------------------------------------------------------ */

/* An entry of the system itself, without a device. */
void io_error_log_message(const char *source, NTSTATUS status,
                          const char *text);

/* --- driver.c ------------------------------------------------------------ */

const char *io_driver_text(PDRIVER_OBJECT driver, char *out_text, size_t max);

#endif
