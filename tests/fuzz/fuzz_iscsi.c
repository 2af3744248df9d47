/*
 * fuzz_iscsi.c - an iSCSI target whose every answer is hostile
 *
 * Through the real sessions, the real adapter and the port.  Logins are honest;
 * to a command the target answers what the input says: responses with any
 * status, sense of any length, residuals; data of any length, at any offset,
 * more than once; PDUs of any kind; nothing; the end of the connection.
 * Checked: nothing crashes, each command ends once, none says that more came
 * than was asked for, and no byte behind a buffer is touched.
 *
 * Input: how many commands, then the answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include <unistd.h>

#include "port/port.h"
#include "unit/port/target.h"

#define COMMANDS_MAX 6
#define PATIENCE_MS  20 /* then what is not answered is given up */

static struct target target;
static struct input script;

struct command {
    SCSI_REQUEST_BLOCK srb;
    UCHAR sense[32];
    uint8_t *data;
    ULONG asked;
    PIRP irp;
    KEVENT done;
    LONG completions;
};

/* --- the target: its thread is the only one that takes from the script ------- */

static void
any_pdu(struct target *t, const struct pdu *in)
{
    static uint8_t data[4096];
    uint32_t len = take16(&script) % sizeof data;
    uint8_t head[48];

    take(&script, head, sizeof head);
    if (head[2] & 1)
        memcpy(head + 16, in->head + 16, 4);
    take(&script, data, len);
    target_send(t, head, data, len);
}

static void
any_response(struct target *t, const struct pdu *in)
{
    uint8_t head[48] = { PDU_RESPONSE, take8(&script), take8(&script) & 1,
                         take8(&script) };
    uint8_t data[512];
    uint32_t len = take16(&script) % sizeof data;

    memcpy(head + 16, in->head + 16, 4);
    take(&script, head + 36, 12);
    take(&script, data, len);
    target_send(t, head, data, len);
}

static void
any_data(struct target *t, const struct pdu *in)
{
    static uint8_t data[9000];
    uint32_t len = take16(&script) % sizeof data;
    uint8_t how = take8(&script);

    memset(data, how, sizeof data);
    (void) target_data(t, in, data, len, how & 2 ? take32(&script) : how & 0xF0,
                       how & 1);
}

static bool
hostile(struct target *t, const struct pdu *in)
{
    switch (take8(&script) % 8) {
    case 1:
    case 2:
        any_response(t, in);
        return true;
    case 3:
        any_data(t, in);
        return true;
    case 4:
        any_data(t, in);
        any_response(t, in);
        return true;
    case 5:
        any_pdu(t, in);
        return true;
    case 6:
        if (take8(&script) & 1)
            target_hang_up(t);
        return true;
    default:
        return false; /* honestly */
    }
}

/* --- the commands --------------------------------------------------------------- */

static NTSTATUS NTAPI
completed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct command *command = context;

    (void) device;
    (void) irp;
    InterlockedIncrement(&command->completions);
    KeSetEvent(&command->done, 0, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static void
send_command(PDEVICE_OBJECT pdo, struct command *command, unsigned n)
{
    static const UCHAR cdbs[][10] = {
        { 0x28, [8] = 2 }, { 0x2A, [8] = 2 },   { 0x00 },
        { 0x25 },          { 0x1A, [4] = 192 }, { 0x12, [4] = 96 },
    };
    static const ULONG bytes[] = { 1024, 1024, 0, 8, 192, 96 };
    static const UCHAR lengths[] = { 10, 10, 6, 10, 6, 6 };
    PIO_STACK_LOCATION next;

    memset(command, 0, sizeof *command);
    command->asked = bytes[n % 6];
    command->data = calloc(1, command->asked + 1);
    CHECK(command->data != NULL);
    command->srb = (SCSI_REQUEST_BLOCK){
        .Length = sizeof command->srb,
        .Function = SRB_FUNCTION_EXECUTE_SCSI,
        .SrbFlags = SRB_FLAGS_NO_QUEUE_FREEZE |
                    (n % 6 == 1 ? SRB_FLAGS_DATA_OUT : SRB_FLAGS_DATA_IN),
        .CdbLength = lengths[n % 6],
        .DataBuffer = command->asked > 0 ? command->data : NULL,
        .DataTransferLength = command->asked,
        .SenseInfoBuffer = command->sense,
        .SenseInfoBufferLength = sizeof command->sense,
        .TimeOutValue = 10,
    };
    memcpy(command->srb.Cdb, cdbs[n % 6], 10);
    KeInitializeEvent(&command->done, NotificationEvent, FALSE);
    command->irp = IoAllocateIrp(pdo->StackSize, FALSE);
    CHECK(command->irp != NULL);
    next = IoGetNextIrpStackLocation(command->irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = &command->srb;
    IoSetCompletionRoutine(command->irp, completed, command, TRUE, TRUE, TRUE);
    (void) IoCallDriver(pdo, command->irp);
}

static void
wait_for(PDEVICE_OBJECT pdo, struct command *command)
{
    for (unsigned us = 0; KeReadStateEvent(&command->done) == 0; us += 50) {
        usleep(50);
        if (us % (PATIENCE_MS * 1000) == PATIENCE_MS * 1000 - 50)
            port_give_up(pdo);
        CHECK(us < 100u * 1000 * 1000);
    }
    KeWaitForSingleObject(&command->done, Executive, KernelMode, FALSE, NULL);
    CHECK(command->completions == 1);
    if (SRB_STATUS(command->srb.SrbStatus) == SRB_STATUS_SUCCESS)
        CHECK(command->srb.DataTransferLength <= command->asked);
    CHECK(command->srb.SenseInfoBufferLength <= sizeof command->sense);
    CHECK(command->data[command->asked] == 0);
    IoFreeIrp(command->irp);
    free(command->data);
}

static void
turned(void *context)
{
    (void) context;
}

/* --- one input -------------------------------------------------------------------- */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct command commands[COMMANDS_MAX];
    char url[128], text[256];
    struct port_iscsi_config config = { .url = url,
                                        .initiator = "iqn.x:fuzz",
                                        .user = "",
                                        .secret = "",
                                        .turned = turned,
                                        .may_be_away = true,
                                        .out_text = text,
                                        .text_max = sizeof text };
    PDEVICE_OBJECT pdo;
    unsigned count;

    fuzz_begin();
    if (target.port == 0)
        target_start(&target);
    target.command = NULL;
    script = (struct input){ data, data + bytes };
    count = take8(&script) % COMMANDS_MAX + 1;
    snprintf(url, sizeof url, "iscsi://127.0.0.1:%d/" TARGET_NAME "/1",
             target.port);
    if (!NT_SUCCESS(port_add_iscsi(fuzz_port, &config, "fuzz", &pdo)))
        return 0;
    __atomic_store_n(&target.command, hostile, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < count; i++)
        send_command(pdo, &commands[i], i);
    for (unsigned i = 0; i < count; i++)
        wait_for(pdo, &commands[i]);
    __atomic_store_n(&target.command, NULL, __ATOMIC_RELEASE);
    port_remove_unit(pdo);
    return 0;
}
