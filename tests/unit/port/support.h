/*
 * support.h - a real emulated drive behind the port, and SRBs to send to it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_TEST_SUPPORT_H
#define PORT_TEST_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ntddscsi.h>
#include <ntddstor.h>
#include <scsi.h>
#include <srb.h>
#include <vscsi.h>
#include <wdm.h>

#include "base/clock.h"
#include "io/io.h"
#include "port/port.h"

#define IMAGE_BYTES (1024 * 1024)

/* Of what another thread does; the limit only ends a hang. */
#define UNTIL(what)                                                            \
    do {                                                                       \
        for (int i_ = 0; !(what); i_++) {                                      \
            assert_true(i_ < 60000);                                           \
            usleep(1000);                                                      \
        }                                                                      \
    } while (0)

struct rig {
    char folder[64];
    char a[96], b[96];          /* images filled with 'a' and 'b' */
    struct vscsi_drive *drive;
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo;
    UCHAR data[65536];
};

/* One request.  `done` is set by its completion. */
struct call {
    SCSI_REQUEST_BLOCK srb;
    UCHAR sense[32];
    PIRP irp;
    KEVENT done;
    NTSTATUS returned;          /* by IoCallDriver */
    IO_STATUS_BLOCK io;
    BOOLEAN pending_returned;
    LONG completions;
    PDEVICE_OBJECT release;     /* send RELEASE_QUEUE there when done */
};

static inline void
make_image(const char *path, char fill)
{
    char *bytes = malloc(IMAGE_BYTES);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);

    assert_true(fd >= 0);
    memset(bytes, fill, IMAGE_BYTES);
    assert_int_equal(write(fd, bytes, IMAGE_BYTES), IMAGE_BYTES);
    close(fd);
    free(bytes);
}

static inline void
rule(struct rig *rig, const char *text)
{
    char why[256];

    if (vscsi_fault_add(rig->drive, text, why, sizeof why) != 0)
        fail_msg("%s: %s", text, why);
}

static inline void
insert(struct rig *rig, const char *image)
{
    char why[256] = "";

    if (vscsi_insert(rig->drive, image, why, sizeof why) != 0)
        fail_msg("%s: %s", image, why);
}

static inline int
rig_new(void **state)
{
    struct vscsi_config config = { .name = "unit7", .type = VSCSI_DISK };
    struct rig *rig = calloc(1, sizeof *rig);

    strcpy(rig->folder, "/tmp/t_port.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->a, sizeof rig->a, "%s/a.img", rig->folder);
    snprintf(rig->b, sizeof rig->b, "%s/b.img", rig->folder);
    make_image(rig->a, 'a');
    make_image(rig->b, 'b');
    rig->drive = vscsi_new(&config);
    assert_non_null(rig->drive);
    insert(rig, rig->a);
    assert_int_equal(io_init(), STATUS_SUCCESS);
    assert_int_equal(io_load_driver("port", port_driver_entry, &rig->driver),
                     STATUS_SUCCESS);
    assert_int_equal(port_add_virtual(rig->driver, rig->drive, "unit7",
                                      &rig->pdo), STATUS_SUCCESS);
    *state = rig;
    return 0;
}

static inline int
rig_free(void **state)
{
    struct rig *rig = *state;

    if (clock_is_manual())
        clock_manual(false);
    if (rig->pdo != NULL)
        port_remove_unit(rig->pdo);
    io_unload_driver(rig->driver);
    io_shutdown();
    vscsi_free(rig->drive);
    unlink(rig->a);
    unlink(rig->b);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

static NTSTATUS NTAPI
keep_irp(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static inline void
release_queue(PDEVICE_OBJECT pdo)
{
    SCSI_REQUEST_BLOCK srb = {
        .Length = sizeof srb, .Function = SRB_FUNCTION_RELEASE_QUEUE,
    };
    PIRP irp = IoAllocateIrp(1, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = &srb;
    IoSetCompletionRoutine(irp, keep_irp, NULL, TRUE, TRUE, TRUE);
    IoCallDriver(pdo, irp);
    IoFreeIrp(irp);
}

static NTSTATUS NTAPI
call_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct call *call = context;

    call->io = irp->IoStatus;
    call->pending_returned = irp->PendingReturned;
    InterlockedIncrement(&call->completions);
    if (call->release != NULL)
        release_queue(call->release);
    KeSetEvent(&call->done, 0, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static inline void
call_send(struct call *call, PDEVICE_OBJECT pdo)
{
    PIO_STACK_LOCATION next;

    KeInitializeEvent(&call->done, NotificationEvent, FALSE);
    call->completions = 0;
    call->irp = IoAllocateIrp(pdo->StackSize, FALSE);
    assert_non_null(call->irp);
    next = IoGetNextIrpStackLocation(call->irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = &call->srb;
    IoSetCompletionRoutine(call->irp, call_done, call, TRUE, TRUE, TRUE);
    call->returned = IoCallDriver(pdo, call->irp);
}

/* The completion has run; frees the IRP. */
static inline void
call_wait(struct call *call)
{
    for (int i = 0; KeReadStateEvent(&call->done) == 0; i++) {
        assert_true(i < 60000);
        usleep(1000);
    }
    /* Its setter is past the event when this returns. */
    KeWaitForSingleObject(&call->done, Executive, KernelMode, FALSE, NULL);
    assert_int_equal(call->completions, 1);
    IoFreeIrp(call->irp);
    call->irp = NULL;
}

static inline bool
call_waits(struct call *call)
{
    return call->returned == STATUS_PENDING &&
        KeReadStateEvent(&call->done) == 0;
}

static inline void
call_prepare(struct call *call, UCHAR function, ULONG flags)
{
    memset(call, 0, sizeof *call);
    call->srb.Length = sizeof call->srb;
    call->srb.Function = function;
    call->srb.SrbFlags = flags;
    call->srb.SenseInfoBuffer = call->sense;
    call->srb.SenseInfoBufferLength = sizeof call->sense;
    call->srb.TimeOutValue = 10;
}

static inline void
call_cdb(struct call *call, ULONG flags, const void *cdb, size_t len)
{
    call_prepare(call, SRB_FUNCTION_EXECUTE_SCSI, flags);
    memcpy(call->srb.Cdb, cdb, len);
    call->srb.CdbLength = (UCHAR) len;
}

#define CDB_OF(...) ((const UCHAR[]){ __VA_ARGS__ }), \
    sizeof((const UCHAR[]){ __VA_ARGS__ })
#define FREE SRB_FLAGS_NO_QUEUE_FREEZE

static inline void
tur(struct call *call, ULONG flags)
{
    call_cdb(call, flags, CDB_OF(0, 0, 0, 0, 0, 0));
}

/* READ(10) of one block at lba into rig->data. */
static inline void
read_block(struct rig *rig, struct call *call, ULONG flags, UCHAR lba,
           ULONG attention)
{
    call_cdb(call, flags | SRB_FLAGS_DATA_IN,
             CDB_OF(0x28, 0, 0, 0, 0, lba, 0, 0, 1, 0));
    call->srb.DataBuffer = rig->data;
    call->srb.DataTransferLength = 512;
    call->srb.QueueSortKey = attention;
}

static inline void
run(struct rig *rig, struct call *call)
{
    call_send(call, rig->pdo);
    call_wait(call);
}

static inline UCHAR
function(struct rig *rig, UCHAR code)
{
    struct call call;

    call_prepare(&call, code, SRB_FLAGS_BYPASS_LOCKED_QUEUE |
                              SRB_FLAGS_BYPASS_FROZEN_QUEUE);
    run(rig, &call);
    return call.srb.SrbStatus;
}

/* Takes the 29/00 and 28/00 of the start; returns the attention number. */
static inline ULONG
settle(struct rig *rig)
{
    struct call call;
    ULONG number = 0;

    for (int i = 0; i < 4; i++) {
        tur(&call, FREE);
        run(rig, &call);
        if (call.srb.SrbStatus == SRB_STATUS_SUCCESS)
            return number;
        number = call.srb.QueueSortKey;
    }
    fail_msg("the drive does not become ready");
    return 0;
}

static inline struct port_unit_info
info_of(struct rig *rig)
{
    struct port_unit_info info;

    port_unit_info(rig->pdo, &info);
    return info;
}

/* False under a sanitizer that is to see each record's life. */
static inline bool
caches(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return false;
#endif
#endif
    return true;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_new, rig_free)

#endif
