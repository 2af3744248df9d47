/*
 * class_internal.h - what the files of the class library share
 *
 * A drive is a functional device object (FDO); what we keep about it beyond
 * the documented extension is struct class_device.  Work for the drive is a
 * struct class_request: one or several commands, one after the other, for one
 * IRP from above or for ourselves.
 *
 * Routines that run for every transfer are NTAPI although they are ours: a
 * routine of the Microsoft convention that calls one of the other saves ten
 * vector registers each time it is entered.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLASS_INTERNAL_H
#define CLASS_INTERNAL_H

#include <ntifs.h>

#include <classpnp.h>
#include <ntdddisk.h>
#include <ntddscsi.h>
#include <ntddstor.h>
#include <scsi.h>
#include <srb.h>

#include "class/decide.h"
#include "class/evidence.h"

#define CLASS_TAG       0x206c4352      /* "RCl " */
#define CLASS_RETRIES   4               /* after the first attempt */
#define CLASS_UNMAP_RETRIES 32
#define CLASS_NEVER_MORE_S  100
#define CLASS_LEGACY_RETRIES 8          /* of transfers */
#define CLASS_BUDGET_S      160         /* for a long operation */

/* --- the drive ------------------------------------------------------------ */

struct class_request;

/* Media change detection (mcd.c); all under `lock` but what says otherwise. */
struct class_mcd {
    KSPIN_LOCK lock;
    ULONG state;                /* MEDIA_CHANGE_DETECTION_STATE */
    LONG disable_count;
    LONG kernel_count;          /* of it, by callers without a handle */
    BOOLEAN running;            /* atomic: also read without the lock */
    BOOLEAN suppressed;         /* the registry wants none; set at the start */
    BOOLEAN polling;            /* a poll is under way */
    BOOLEAN poll_again;         /* something happened meanwhile */
    BOOLEAN queued;             /* work is on its way to a worker */
    BOOLEAN by_timer;           /* atomic, too: the port has no events */
    BOOLEAN unsettled;          /* becoming ready: look again in a second */
    BOOLEAN gesn;               /* ask for events, too (CD drives) */
    BOOLEAN change_counted;     /* by UNIT ATTENTION, GESN will repeat it */
    BOOLEAN owed_change;        /* GESN came first: who counts it? */
    UCHAR gesn_mask;
    UCHAR gesn_repeats;         /* replies in a row that had an event */
    ULONG interval_s, countdown_s;
    ULONG outstanding_s;        /* how long the poll has been away */
    LONG workers;               /* work items, requests, timer DPCs */
    KEVENT idle;                /* set while workers == 0 */
    WORK_QUEUE_ITEM work;
    LIST_ENTRY ticking;         /* in the list of the one timer; its lock */
    struct class_request *event;
    ULONG event_mask;           /* buffer of RECEIVE_EVENT */

    /* evidence.c */
    BOOLEAN out;                /* not ready since, and no change was counted */
    BOOLEAN told;               /* a change was, since it was ready */
    BOOLEAN empty;              /* it said that it has no medium, since then */
    BOOLEAN announced;          /* ... and that it has a new one */
    BOOLEAN hasty;              /* called silent; who was told may not have said
                                 * so yet */
    ULONG hasty_attention;      /* ... by this number, if it was */
    enum class_belief hasty_belief; /* ... and this is believed again */
    struct class_evidence evidence;
};

struct class_capacity {
    BOOLEAN valid;              /* atomic: for the attention number now */
    UCHAR shift;                /* log2 of the block size */
    ULONG block_bytes;
    ULONGLONG blocks;
};

/* What is known of SYNCHRONIZE CACHE. */
enum class_sync_state {
    SYNC_UNTRIED,
    SYNC_DENIED, /* once: "unknown command" */
    SYNC_KNOWN,  /* it was carried out */
    SYNC_NONE,   /* not known to the drive */
};

/*
 * Hidden behind PrivateFdoData.  Lock order: change_lock, mcd.lock,
 * wait_lock; none is held over a call to another driver.
 */
struct _CLASS_PRIVATE_FDO_DATA {
    PDEVICE_OBJECT fdo;
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    PDEVICE_OBJECT lower;

    ULONG attention;            /* atomic; see note_attention */
    LONG due;                   /* atomic, CLASS_DUE_: looked at whenever an IRP
                                 * is completed */
    ULONG max_transfer;         /* atomic: bytes, of both the next two */
    ULONG adapter_most;         /* ... multiple of every block size */
    BOOLEAN asks_device;        /* nobody below knows its own limit */
    BOOLEAN removable;
    BOOLEAN hotplug;            /* the drive may be pulled */
    BOOLEAN read_only_type;     /* CD: nothing to flush */
    enum class_sync_state sync; /* atomic */
    BOOLEAN no_fua;             /* nor FUA: a flush follows instead */

    KSPIN_LOCK change_lock;     /* media change count, attention, capacity */
    struct class_capacity capacity;

    struct class_mcd mcd;

    KSPIN_LOCK wait_lock;       /* requests that wait for a retry */
    LIST_ENTRY waiting;

    LIST_ENTRY handles;         /* per-handle contexts, under handle_lock */
    KSPIN_LOCK handle_lock;
    LONG logged_sync;           /* atomic: a failed flush is in the log */
    BOOLEAN legacy_errors;      /* hardware errors are retried */
    BOOLEAN ten_byte_reserve;   /* RESERVE(6) is not known */

    BOOLEAN limits_known;       /* of UNMAP; read once */
    ULONG unmap_blocks, unmap_descriptors, unmap_granularity;
};
typedef struct _CLASS_PRIVATE_FDO_DATA class_device;

#define CLASS_DUE_CALL      1   /* a call without a thread is owed */
#define CLASS_DUE_LOG_AGAIN 2   /* TEST UNIT READY is logged after a success */

FORCEINLINE PFUNCTIONAL_DEVICE_EXTENSION
class_ext(PDEVICE_OBJECT fdo)
{
    return fdo->DeviceExtension;
}

FORCEINLINE class_device *
class_dev(PDEVICE_OBJECT fdo)
{
    return class_ext(fdo)->PrivateFdoData;
}

/* From REMOVE or SURPRISE_REMOVAL on. */
FORCEINLINE BOOLEAN
class_removed(const class_device *dev)
{
    return __atomic_load_n(&dev->ext->CommonExtension.IsRemoved,
                           __ATOMIC_ACQUIRE) != NO_REMOVE;
}

FORCEINLINE ULONG
class_change_count(const class_device *dev)
{
    return __atomic_load_n(&dev->ext->MediaChangeCount, __ATOMIC_ACQUIRE);
}

FORCEINLINE BOOLEAN
class_verify_set(PDEVICE_OBJECT fdo)
{
    return (__atomic_load_n(&fdo->Flags, __ATOMIC_ACQUIRE) &
            DO_VERIFY_VOLUME) != 0;
}

/* --- requests (request.c, pool.c) ----------------------------------------- */

#define REQ_OVERRIDE     0x0001u /* SL_OVERRIDE_VERIFY_VOLUME */
#define REQ_KEYED        0x0002u /* bound to media change count `key` */
#define REQ_STAMPED      0x0004u /* carry the attention number */
#define REQ_GATED        0x0008u /* not while DO_VERIFY_VOLUME is set */
#define REQ_OWN_IRP      0x0010u /* irp is ours, not the one from above */
#define REQ_QUIET        0x0020u /* no log, no start: polls */
#define REQ_VERIFY_RETRY 0x0040u /* VERIFY_REQUIRED is retried */
#define REQ_SYNCHRONOUS  0x0080u /* at least 2 s after NOT READY 04 */
#define REQ_WAS_WAITING  0x0100u /* marked pending */
#define REQ_POLL         0x0200u
#define REQ_BUFFER_OWNED 0x0400u /* buffer is freed with the request */
#define REQ_CANCELLED    0x0800u
#define REQ_REPORT       0x1000u /* a change is reported, not retried */
#define REQ_OWNS         0x2000u /* `owned`, too, is freed with the request */

#ifndef IOCTL_TAPE_CHECK_VERIFY
#define IOCTL_TAPE_CHECK_VERIFY                                               \
    CTL_CODE(FILE_DEVICE_TAPE, 0x0200, METHOD_BUFFERED, FILE_READ_ACCESS)
#endif

/* What prepare and finish answer. */
enum class_next {
    NEXT_SEND,                  /* send the command that is in the SRB */
    NEXT_COMPLETE,              /* it is over, with *status */
    NEXT_GONE,                  /* finish took the request away */
};

/* Runs before each attempt of a command, after the attention number was
 * taken; NULL: the SRB is complete already. */
typedef enum class_next NTAPI class_prepare_fn(struct class_request *request,
                                               NTSTATUS *status);
/*
 * Runs when a command has ended for good.  May put another into the SRB
 * (class_command) and answer NEXT_SEND.  For NEXT_COMPLETE it sets *status and
 * request->information.  NULL: complete with the status, and the bytes moved.
 * <= DISPATCH.
 */
typedef enum class_next NTAPI class_finish_fn(struct class_request *request,
                                              NTSTATUS *status);

/* What every request of the device says of itself; errors change it meanwhile. */
static inline ULONG
class_srb_flags(const FUNCTIONAL_DEVICE_EXTENSION *ext)
{
    return __atomic_load_n(&ext->SrbFlags, __ATOMIC_RELAXED);
}

struct class_sync;

/* SENSE_BUFFER_SIZE is enough for fixed sense data alone; in the other format what
 * counts may lie behind several descriptors. */
#define CLASS_SENSE_BYTES 64

struct class_request {
    SCSI_REQUEST_BLOCK srb;     /* first: the SRB is the request */
    class_device *dev;
    PIRP irp;                   /* what goes down */
    PIRP original;              /* what came from above, or NULL */
    class_prepare_fn *prepare;
    class_finish_fn *finish;
    struct class_sync *sync;    /* of the sender, while on its stack */
    ULONG flags;                /* REQ_ */
    ULONG key;
    UCHAR retries;              /* that a command may have */
    UCHAR retry_number;
    UCHAR stage;                /* of prepare and finish */
    UCHAR wait_state;
    UCHAR spent;                /* retries of the part, before the capacity */
    UCHAR timeouts;             /* attempts that ended so */
    USHORT waited_s;            /* for a long operation to end */
    ULONG_PTR information;
    ULONG length;               /* DataTransferLength of an attempt */

    /* transfer.c */
    PUCHAR data;                /* of the rest */
    ULONGLONG offset;
    ULONG left;
    ULONG part;
    ULONG limit;                /* bytes in one part */

    PVOID buffer;               /* of multi-command requests */
    ULONG buffer_len;
    PVOID context;
    PVOID owned;                /* from the pool */

    UCHAR sense[CLASS_SENSE_BYTES];
    UCHAR small[46];            /* data of short commands */

    LIST_ENTRY entry;           /* pool, or dev->waiting */
    KTIMER timer;
    KDPC dpc;
    WORK_QUEUE_ITEM work;
};

/*
 * A request for an IRP from above (with the remove lock held for it) or, with
 * irp NULL, for ourselves (the remove lock is taken, NULL when it is gone).
 * NULL: no memory.
 */
struct class_request *NTAPI class_request_new(class_device *dev, PIRP irp);
/* Gives back what is kept for the next requests. */
VOID NTAPI class_requests_drain(VOID);
/* Not sent yet, or its own and completed. */
VOID NTAPI class_request_free(struct class_request *request);
/* Puts a command into the SRB.  data NULL: none; to_device tells the way. */
VOID NTAPI class_command(struct class_request *request, const UCHAR *cdb,
                         UCHAR cdb_len, PVOID data, ULONG len,
                         BOOLEAN to_device);
/* Runs it.  For an IRP from above: returns what the dispatch routine returns,
 * the request is gone.  <= APC. */
NTSTATUS NTAPI class_send(struct class_request *request);
/* Why requests that wait for a retry wait no more. */
enum class_wake {
    WAKE_NEWS,                  /* of the medium: the attempt does not count */
    WAKE_READY,                 /* what they waited for may be over */
    WAKE_CANCEL,                /* they end */
};
VOID NTAPI class_wake_waiting(class_device *dev, enum class_wake why);
/* For pool.c: the routines of a request's timer and work item. */
KDEFERRED_ROUTINE class_wait_expired;
WORKER_THREAD_ROUTINE class_go_on;

/* Treats the SRB, whatever sent it, as a command of the request that has just
 * completed: the IRP from above stays pending. */
VOID NTAPI class_adopt(struct class_request *request);

/* For IRPs with a master: its status; 0 bytes when the part failed. */
VOID NTAPI class_tell_master(PIRP irp, NTSTATUS status);

/* The call that a user-induced status, or an owed call, demands. */
VOID NTAPI class_hard_error_duty(class_device *dev, PIRP irp,
                                 NTSTATUS status);
/* As class_complete, in a completion routine: all but IoCompleteRequest. */
VOID NTAPI class_settle(class_device *dev, PIRP irp, NTSTATUS status,
                        ULONG_PTR information);
/* Completes an IRP from above: Information, the device to verify (or the call
 * that is owed), the remove lock.  Returns status. */
NTSTATUS NTAPI class_complete(class_device *dev, PIRP irp, NTSTATUS status,
                              ULONG_PTR information);

/* --- acting on decisions (act.c) ------------------------------------------ */

struct class_outcome {
    NTSTATUS status;
    BOOLEAN retry;
    ULONG delay_s;
    struct class_sense sense;
    BOOLEAN sense_valid;
};

/* Of which request the SRB was an attempt. */
struct class_attempt {
    PIRP irp;                   /* from above, or NULL */
    ULONG retry_number;         /* 0: the first attempt */
    BOOLEAN last;               /* no retry is left */
    BOOLEAN quiet;              /* nothing is logged */
};

/* Everything that follows from a failed SRB but the retry itself. */
VOID NTAPI class_act(class_device *dev, PSCSI_REQUEST_BLOCK srb,
                     const struct class_attempt *attempt,
                     struct class_outcome *out);
/* A UNIT ATTENTION was reported, or one that we missed: `number` is the
 * drive's attention number now, 0 when the port does not count. */
VOID NTAPI class_note_attention(class_device *dev, ULONG number);
/* Sets DO_VERIFY_VOLUME if a volume is mounted; TRUE: one is. */
BOOLEAN NTAPI class_require_verify(class_device *dev);
BOOLEAN NTAPI class_is_mounted(PDEVICE_OBJECT fdo);

/* --- the rest, by file ---------------------------------------------------- */

/* transfer.c */
DRIVER_DISPATCH class_read_write;
DRIVER_DISPATCH class_flush;
/* In parts of at most `limit` bytes, a multiple of every block size. */
NTSTATUS NTAPI class_transfer(PDEVICE_OBJECT fdo, PIRP irp, ULONG limit);
/* Sets the key of a request from its IRP. */
VOID NTAPI class_take_key(struct class_request *request, PIRP irp);
VOID NTAPI class_sync_command(struct class_request *request);

/* ioctl.c */
DRIVER_DISPATCH class_device_control;
typedef NTSTATUS NTAPI class_control_fn(class_device *dev, PIRP irp);

/* What a control code needs. */
struct class_control {
    ULONG code;                 /* legacy forms are rewritten to this one */
    UCHAR gate;                 /* 1: not while DO_VERIFY_VOLUME is set */
    USHORT in, out;             /* smallest buffers, bytes */
    class_control_fn *handler;
};
extern const struct class_control class_controls[];
extern const ULONG class_control_count;

/* capacity.c */
VOID NTAPI class_capacity_command(struct class_request *request,
                                  BOOLEAN sixteen);
/* Puts INQUIRY for the block limits page (SBC-3) into the SRB. */
VOID NTAPI class_limits_command(struct class_request *request);
/* What the adapter takes at once, now. */
VOID NTAPI class_take_adapter(class_device *dev,
                              const STORAGE_ADAPTER_DESCRIPTOR *adapter);
/* Reads the reply in request->small.  FALSE: ask again with sixteen. */
BOOLEAN NTAPI class_capacity_reply(struct class_request *request,
                                   BOOLEAN sixteen);
NTSTATUS NTAPI class_read_capacity(class_device *dev, PIRP irp);

/* What is taken for the block size when the drive says this. */
ULONG NTAPI class_sane_block(const class_device *dev, ULONG bytes);

/* evidence.c: what the drive announces */
/* Would it be taken for silent if it were ready now? */
BOOLEAN NTAPI class_evidence_owed(class_device *dev);
/* TEST UNIT READY succeeded; before anybody is told so. */
VOID NTAPI class_evidence_ready(class_device *dev);
/* `number`: the drive's attention number with that answer, 0: not known. */
VOID NTAPI class_evidence_sense(class_device *dev,
                                const struct class_sense *sense, ULONG number);
/* An event of GESN told of a new medium. */
VOID NTAPI class_evidence_event(class_device *dev);
/* It knows how to tell events of its medium, and has told none yet. */
VOID NTAPI class_evidence_has_events(class_device *dev);
/* By class_note_attention. */
VOID NTAPI class_evidence_counted(class_device *dev);
BOOLEAN NTAPI class_evidence_wants_size(class_device *dev);
/* The reply to READ CAPACITY(10), asked for when the count was `key`. */
VOID NTAPI class_evidence_size(const struct class_request *request);

/* checkverify.c */
NTSTATUS NTAPI class_check_verify(class_device *dev, PIRP irp);

/* mcd.c */
VOID NTAPI class_mcd_init(class_device *dev);
NTSTATUS NTAPI class_mcd_start(class_device *dev);
/* Waits for what is under way. */
VOID NTAPI class_mcd_stop(class_device *dev);
/* swapped: a change of the medium was reported, the state may be the same. */
VOID NTAPI class_set_state(class_device *dev, ULONG state, BOOLEAN known,
                           BOOLEAN swapped);
/* Looks at the drive soon, on a worker.  <= DISPATCH. */
VOID NTAPI class_poll_soon(class_device *dev);
VOID NTAPI class_notify(class_device *dev, const GUID *event,
                        const VOID *data, ULONG len);
/* gesn.c */
VOID NTAPI class_gesn_init(class_device *dev);
VOID NTAPI class_gesn_begin(class_device *dev);
VOID NTAPI class_gesn_command(struct class_request *request);
/* `ready`: TEST UNIT READY just succeeded. */
enum class_next NTAPI class_gesn_finish(struct class_request *request,
                                        NTSTATUS status, BOOLEAN ready);
/* Counts a change that an event told and no UNIT ATTENTION did. */
VOID NTAPI class_gesn_settle(class_device *dev);

/* mcn.c */
NTSTATUS NTAPI class_mcn_control(class_device *dev, PIRP irp);

/* lock.c */
struct class_handle {
    LIST_ENTRY entry;
    PFILE_OBJECT file;
    LONG mcn_count;
    LONG lock_count;            /* secure locks */
};
NTSTATUS NTAPI class_handle_create(class_device *dev, PFILE_OBJECT file);
VOID NTAPI class_handle_close(class_device *dev, PFILE_OBJECT file);
struct class_handle *NTAPI class_handle_find(class_device *dev,
                                             PFILE_OBJECT file);
NTSTATUS NTAPI class_media_removal(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_ejection_control(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_eject_media(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_load_media(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_reserve(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_release(class_device *dev, PIRP irp);

/* property.c */
NTSTATUS NTAPI class_query_property(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_device_number(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_hotplug_info(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_set_hotplug_info(class_device *dev, PIRP irp);

/* handdown.c */
class_control_fn class_media_serial, class_persistent_in,
    class_persistent_out, class_priority_hint;

/* provision.c */
NTSTATUS NTAPI class_manage_data_set(class_device *dev, PIRP irp);
/* The reply of class_limits_command, in `small`: limits of UNMAP. */
VOID NTAPI class_unmap_limits(struct class_request *request, BOOLEAN good);

/* passthru.c */
NTSTATUS NTAPI class_pass_through(class_device *dev, PIRP irp);
NTSTATUS NTAPI class_forward(class_device *dev, PIRP irp);

/* srb.c: once, without retries; waits */
NTSTATUS NTAPI class_test_unit_ready(class_device *dev);

/* pnp.c */
DRIVER_DISPATCH class_pnp;

/* power.c */
DRIVER_DISPATCH class_power;

/* params.c */
VOID NTAPI class_read_parameters(class_device *dev);
/* Writes whether the drive may be pulled. */
NTSTATUS NTAPI class_keep_removal_policy(class_device *dev);

/* predict.c */
NTSTATUS NTAPI class_predict_failure(class_device *dev, PIRP irp);
VOID NTAPI class_predict_stop(class_device *dev);

/* child.c */
VOID NTAPI class_add_child(PFUNCTIONAL_DEVICE_EXTENSION parent,
                           PPHYSICAL_DEVICE_EXTENSION child);

FORCEINLINE VOID
class_put_be16(PUCHAR to, ULONG value)
{
    to[0] = (UCHAR) (value >> 8);
    to[1] = (UCHAR) value;
}

FORCEINLINE VOID
class_put_be32(PUCHAR to, ULONG value)
{
    class_put_be16(to, value >> 16);
    class_put_be16(to + 2, value);
}

FORCEINLINE VOID
class_put_be64(PUCHAR to, ULONGLONG value)
{
    class_put_be32(to, (ULONG) (value >> 32));
    class_put_be32(to + 4, (ULONG) value);
}

FORCEINLINE ULONG
class_get_be16(const UCHAR *from)
{
    return (ULONG) from[0] << 8 | from[1];
}

FORCEINLINE ULONG
class_get_be32(const UCHAR *from)
{
    return class_get_be16(from) << 16 | class_get_be16(from + 2);
}

FORCEINLINE ULONGLONG
class_get_be64(const UCHAR *from)
{
    return (ULONGLONG) class_get_be32(from) << 32 | class_get_be32(from + 4);
}

#endif
