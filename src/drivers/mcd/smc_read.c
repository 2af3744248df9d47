/*
 * smc_read.c - element status, read so that what devices get wrong does no harm
 *
 * One type per command, never all; in as many commands as it takes; going on
 * from what came, whatever the device says is there; with less in the command
 * each time a field of it is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"

#define HEADERS    16   /* of the data, and of one page */
#define MOST       1000 /* elements in one command */
#define FIXED      12
#define TAGS       (2 * MAX_VOLUME_ID_SIZE)
#define IDENTITY   40   /* of a drive, as long as they get, nearly */
#define LEAST      1024 /* bytes asked for, where there may be so many */
#define ROOM_LEAST 256  /* as far as an allocation length is cut down */

#define CURDATA    0x02
#define DVCID      0x01

/* Of one run: what is still asked for, and how much at once. */
struct walk {
    PDEVICE_OBJECT fdo;
    struct smc *smc;
    struct smc_run *run;
    PUCHAR reply;     /* ROOM_MOST bytes */
    ULONG next;       /* of the run */
    ULONG room;       /* allocation length, at most */
    ULONG descriptor; /* bytes, as far as is known */
    LONG refused;     /* SMC_NO_, not asked for */
    BOOLEAN retried;  /* the element at `next` alone */
};

#define ROOM_MOST 0xFFFF

/* --- one command ------------------------------------------------------------ */

static ULONG
elements_at_once(const struct walk *walk)
{
    ULONG left = walk->run->count - walk->next;
    ULONG fit = walk->room > HEADERS + walk->descriptor
                    ? (walk->room - HEADERS) / walk->descriptor
                    : 1;

    if (fit > MOST)
        fit = MOST;
    return left < fit ? left : fit;
}

static void
build(const struct walk *walk, struct smc_command *command)
{
    const struct smc_run *run = walk->run;
    ULONG count = elements_at_once(walk);
    ULONG length = HEADERS + count * walk->descriptor;

    if (length < LEAST)
        length = LEAST;
    if (length > walk->room)
        length = walk->room;
    RtlZeroMemory(command, sizeof *command);
    command->cdb[0] = SCSIOP_READ_ELEMENT_STATUS;
    command->cdb[1] = (UCHAR) run->type;
    if (run->tags && !(walk->refused & SMC_NO_VOLTAG))
        command->cdb[1] |= 0x10;
    smc_put16(command->cdb + 2, run->first + walk->next);
    smc_put16(command->cdb + 4, count);
    if (!(walk->refused & SMC_NO_CURDATA))
        command->cdb[6] |= CURDATA;
    if (run->identified && !(walk->refused & SMC_NO_DVCID))
        command->cdb[6] |= DVCID;
    smc_put16(command->cdb + 8, length);
    command->cdb_len = 12;
    command->data = walk->reply;
    command->len = length;
    command->timeout_s = SMC_QUICK_S;
}

/*
 * A field was refused: which one, the device does not say.  They are left out
 * one after the other; if that does not help, it was the length, and the fields
 * are asked for again.  FALSE: nothing is left to leave out.
 */
static BOOLEAN
ask_less(struct walk *walk)
{
    LONG learnt = InterlockedOr(&walk->smc->refused, 0);

    if (walk->run->identified && !(walk->refused & SMC_NO_DVCID)) {
        walk->refused |= SMC_NO_DVCID;
    } else if (!(walk->refused & SMC_NO_CURDATA)) {
        walk->refused |= SMC_NO_CURDATA;
    } else if (walk->run->tags && !(walk->refused & SMC_NO_VOLTAG)) {
        walk->refused |= SMC_NO_VOLTAG;
    } else if (walk->room > ROOM_LEAST) {
        walk->refused = learnt;
        walk->room = walk->room == ROOM_MOST ? 0x4000 : walk->room / 4;
    } else {
        return FALSE;
    }
    return TRUE;
}

/* With what is left in the command it works: that is remembered. */
static void
remember(struct walk *walk)
{
    InterlockedOr(&walk->smc->refused, walk->refused);
    InterlockedExchange(&walk->smc->room, (LONG) walk->room);
    if (walk->run->descriptor == 0)
        return;
    walk->descriptor = walk->run->descriptor;
}

static NTSTATUS
read_some(struct walk *walk)
{
    struct smc_command command;
    NTSTATUS status;

    for (;;) {
        build(walk, &command);
        status = smc_send(walk->fdo, &command);
        if (status != STATUS_INVALID_DEVICE_REQUEST ||
            !smc_refused(&command, SCSI_ADSENSE_INVALID_CDB) || !ask_less(walk))
            break;
    }
    if (!NT_SUCCESS(status))
        return status;
    status = smc_parse(walk->run, walk->reply, command.moved);
    if (NT_SUCCESS(status))
        remember(walk);
    return status;
}

/* --- a run of elements -------------------------------------------------------- */

static void
skip_whole(struct walk *walk)
{
    while (walk->next < walk->run->count &&
           walk->run->seen[walk->next] == SMC_WHOLE)
        walk->next++;
}

/* What the device jumped over is not there, or comes no more: on to the next
 * one that it might have.  FALSE: the end. */
static BOOLEAN
go_on(struct walk *walk)
{
    const struct smc_run *run = walk->run;
    ULONG before = walk->next, last;

    skip_whole(walk);
    if (walk->next >= run->count)
        return FALSE;
    if (walk->next != before) {
        walk->retried = FALSE;
        return TRUE;
    }
    if (run->fresh == 0 && walk->retried)
        return FALSE; /* nothing new: that was all */
    if (run->seen[walk->next] == SMC_CUT) {
        if (walk->retried)
            walk->next++; /* its beginning is all that ever comes */
        walk->retried = !walk->retried;
        return walk->next < run->count;
    }
    /* A gap, if something came from behind it. */
    for (last = walk->next; last < run->count; last++)
        if (run->seen[last] != SMC_UNSEEN)
            break;
    if (last == run->count)
        return FALSE;
    walk->next = last;
    walk->retried = FALSE;
    return TRUE;
}

NTSTATUS
smc_read_run(PDEVICE_OBJECT fdo, struct smc_run *run)
{
    struct walk walk = { 0 };
    BOOLEAN any = FALSE;
    NTSTATUS status;

    walk.fdo = fdo;
    walk.smc = smc_of(fdo);
    walk.run = run;
    walk.room = (ULONG) InterlockedOr(&walk.smc->room, 0);
    walk.refused = InterlockedOr(&walk.smc->refused, 0);
    walk.descriptor =
        FIXED + (run->tags ? TAGS : 0) + (run->identified ? IDENTITY : 0);
    walk.reply = ChangerClassAllocatePool(NonPagedPool, ROOM_MOST);
    if (walk.reply == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    do {
        status = read_some(&walk);
        any = any || run->fresh != 0;
    } while (NT_SUCCESS(status) && go_on(&walk));
    ChangerClassFreePool(walk.reply);
    /* Nothing behind what it has told already. */
    if (status == STATUS_ILLEGAL_ELEMENT_ADDRESS && any)
        status = STATUS_SUCCESS;
    return status;
}

/* --- elements as programs count them ------------------------------------------- */

/* Room for a run's own tables. */
static NTSTATUS
run_new(struct smc_run *run)
{
    ULONG bytes = run->count * (ULONG) (sizeof *run->status + 1);

    run->status = ChangerClassAllocatePool(NonPagedPool, bytes);
    if (run->status == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(run->status, bytes);
    run->seen = (UCHAR *) (run->status + run->count);
    return STATUS_SUCCESS;
}

static void
run_free(struct smc_run *run)
{
    if (run->status != NULL)
        ChangerClassFreePool(run->status);
}

/* Identification comes in a command of its own: with labels in the same one it
 * is refused, or wrong. */
static NTSTATUS
read_both(PDEVICE_OBJECT fdo, struct smc_run *run, BOOLEAN identify)
{
    BOOLEAN tags = run->tags;
    NTSTATUS status;

    identify =
        identify && !(InterlockedOr(&smc_of(fdo)->refused, 0) & SMC_NO_DVCID);
    run->identified = identify && !tags;
    status = smc_read_run(fdo, run);
    if (!NT_SUCCESS(status) || !identify || !tags)
        return status;
    RtlZeroMemory(run->seen, run->count);
    run->tags = FALSE;
    run->identified = run->identity_only = TRUE;
    /* Without it the elements are known all the same. */
    (void) smc_read_run(fdo, run);
    return STATUS_SUCCESS;
}

static void
copy_out(const struct smc_run *run, const CHANGER_ELEMENT *element, ULONG count,
         PCHANGER_ELEMENT_STATUS_EX out)
{
    ULONG i, index;
    USHORT address = 0;
    CHANGER_ELEMENT at;

    for (i = 0; i < count; i++) {
        at.ElementType = element->ElementType;
        at.ElementAddress = element->ElementAddress + i;
        (void) smc_to_device(run->facts, &at, &address);
        index = address - run->first;
        out[i] = run->status[index];
        if (out[i].Element.ElementType == at.ElementType)
            continue;
        RtlZeroMemory(&out[i], sizeof out[i]); /* it was not reported */
        out[i].Element = at;
        out[i].Flags = ELEMENT_STATUS_EXCEPT;
        out[i].ExceptionCode = (ULONG) ERROR_UNHANDLED_ERROR;
    }
}

NTSTATUS
smc_read(PDEVICE_OBJECT fdo, const struct smc_facts *facts,
         const CHANGER_ELEMENT *element, ULONG count, BOOLEAN tags,
         BOOLEAN identify, PCHANGER_ELEMENT_STATUS_EX out)
{
    struct smc_run run = { 0 };
    CHANGER_ELEMENT end = *element;
    USHORT first, last;
    NTSTATUS status;

    end.ElementAddress += count - 1;
    status = smc_to_device(facts, element, &first);
    if (NT_SUCCESS(status))
        status = smc_to_device(facts, &end, &last);
    if (!NT_SUCCESS(status))
        return status;
    run.facts = facts;
    run.type = element->ElementType;
    run.first = first;
    run.count = (ULONG) last - first + 1;
    run.tags = tags;
    status = run_new(&run);
    if (NT_SUCCESS(status))
        status = read_both(fdo, &run, identify);
    if (NT_SUCCESS(status))
        copy_out(&run, element, count, out);
    run_free(&run);
    return status;
}

BOOLEAN
smc_reads_labels(PDEVICE_OBJECT fdo, const struct smc_facts *facts)
{
    struct smc_run run = { 0 };
    NTSTATUS status;

    run.facts = facts;
    run.type = ChangerSlot;
    run.first = facts->range[ChangerSlot].first;
    run.count = facts->range[ChangerSlot].count != 0;
    run.tags = TRUE;
    if (run.count == 0 || !NT_SUCCESS(run_new(&run)))
        return FALSE;
    status = smc_read_run(fdo, &run);
    run_free(&run);
    return NT_SUCCESS(status) && run.labels;
}

/* --- IOCTL_CHANGER_GET_ELEMENT_STATUS --------------------------------------------- */

/* Where a request's elements lie. */
static NTSTATUS
check_range(const struct smc_facts *facts, const CHANGER_ELEMENT_LIST *list)
{
    ULONGLONG end =
        (ULONGLONG) list->Element.ElementAddress + list->NumberOfElements;
    ULONG type = list->Element.ElementType, total = 0;

    if (type == AllElements)
        for (type = 1; type < SMC_KINDS; type++)
            total += smc_count(facts, (ELEMENT_TYPE) type);
    else
        total = smc_count(facts, (ELEMENT_TYPE) type);
    if (list->Element.ElementAddress >= total || end > total)
        return STATUS_ILLEGAL_ELEMENT_ADDRESS;
    return list->NumberOfElements == 0 ? STATUS_INVALID_PARAMETER
                                       : STATUS_SUCCESS;
}

/* Transports, slots, mail slots, drives: counted through. */
static NTSTATUS
read_all(PDEVICE_OBJECT fdo, const struct smc_facts *facts,
         const CHANGER_ELEMENT_LIST *list, BOOLEAN tags,
         PCHANGER_ELEMENT_STATUS_EX out)
{
    ULONG skip = list->Element.ElementAddress, left = list->NumberOfElements;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG type, count;

    for (type = 1; type < SMC_KINDS && left > 0; type++) {
        CHANGER_ELEMENT element = { (ELEMENT_TYPE) type, skip };

        count = smc_count(facts, (ELEMENT_TYPE) type);
        if (skip >= count) {
            skip -= count;
            continue;
        }
        count = count - skip < left ? count - skip : left;
        skip = 0;
        status = smc_read(fdo, facts, &element, count, tags, FALSE, out);
        if (!NT_SUCCESS(status))
            return status;
        out += count;
        left -= count;
    }
    return status;
}

/* A record is the longer one if it has what that is for. */
static ULONG
put_records(PUCHAR to, const CHANGER_ELEMENT_STATUS_EX *from, ULONG count)
{
    ULONG done = 0, bytes, i;

    for (i = 0; i < count; i++) {
        bytes = from[i].Flags & ELEMENT_STATUS_PRODUCT_DATA
                    ? sizeof(CHANGER_ELEMENT_STATUS_EX)
                    : sizeof(CHANGER_ELEMENT_STATUS);
        RtlCopyMemory(to + done, &from[i], bytes);
        done += bytes;
    }
    return done;
}

static BOOLEAN
has_labels(struct smc *smc)
{
    GET_CHANGER_PARAMETERS parameters;

    smc_parameters_of(smc, &parameters);
    return (parameters.Features0 & (CHANGER_BAR_CODE_SCANNER_INSTALLED |
                                    CHANGER_VOLUME_IDENTIFICATION)) != 0;
}

NTSTATUS NTAPI
smc_get_element_status(PDEVICE_OBJECT fdo, PIRP irp)
{
    CHANGER_READ_ELEMENT_STATUS in =
        *(PCHANGER_READ_ELEMENT_STATUS) irp->AssociatedIrp.SystemBuffer;
    const CHANGER_ELEMENT_LIST *list = &in.ElementList;
    BOOLEAN typed = list->Element.ElementType != AllElements;
    PCHANGER_ELEMENT_STATUS_EX made;
    struct smc_facts facts;
    NTSTATUS status;

    smc_facts_of(smc_of(fdo), &facts);
    status = check_range(&facts, list);
    if (NT_SUCCESS(status) && in.VolumeTagInfo && !has_labels(smc_of(fdo)))
        status = STATUS_INVALID_PARAMETER;
    if (!NT_SUCCESS(status))
        return status;
    made = ChangerClassAllocatePool(NonPagedPool, list->NumberOfElements *
                                                      (ULONG) sizeof *made);
    if (made == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = typed ? smc_read(fdo, &facts, &list->Element,
                              list->NumberOfElements, in.VolumeTagInfo != 0,
                              list->Element.ElementType == ChangerDrive, made)
                   : read_all(fdo, &facts, list, in.VolumeTagInfo != 0, made);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information = put_records(irp->AssociatedIrp.SystemBuffer,
                                                made, list->NumberOfElements);
    ChangerClassFreePool(made);
    return status;
}

/* --- IOCTL_CHANGER_QUERY_VOLUME_TAGS ----------------------------------------------- */

/* The template's 32 characters, without the blanks behind. */
static ULONG
text_length(const UCHAR *text)
{
    ULONG len = 32;

    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    return len;
}

/* `*` is anything to the end, `?` one character. */
static BOOLEAN
matches(const UCHAR *pattern, const UCHAR *tag)
{
    ULONG wanted = text_length(pattern), has = text_length(tag), i;

    for (i = 0; i < wanted; i++) {
        if (pattern[i] == '*')
            return TRUE;
        if (i >= has || (pattern[i] != '?' && pattern[i] != tag[i]))
            return FALSE;
    }
    return i == has;
}

static BOOLEAN
matches_with_number(const CHANGER_SEND_VOLUME_TAG_INFORMATION *in,
                    const UCHAR *tag)
{
    ULONG number = smc_be16(tag + 34);

    if (!matches(in->VolumeIDTemplate, tag))
        return FALSE;
    return in->ActionCode >= SEARCH_ALL_NO_SEQ ||
           (number >= smc_be16(in->VolumeIDTemplate + 34) &&
            number <= smc_be16(in->VolumeIDTemplate + 38));
}

static BOOLEAN
is_wanted(const CHANGER_SEND_VOLUME_TAG_INFORMATION *in,
          const CHANGER_ELEMENT_STATUS_EX *element)
{
    ULONG which = in->ActionCode & 3; /* 0 all, 1 primary, 2 alternate */

    if (which != 2 && element->Flags & ELEMENT_STATUS_PVOLTAG &&
        matches_with_number(in, element->PrimaryVolumeID))
        return TRUE;
    return which != 1 && element->Flags & ELEMENT_STATUS_AVOLTAG &&
           matches_with_number(in, element->AlternateVolumeID);
}

static NTSTATUS
translate(PDEVICE_OBJECT fdo, const CHANGER_SEND_VOLUME_TAG_INFORMATION *in,
          USHORT first, PUCHAR data)
{
    struct smc_command command = { 0 };

    RtlCopyMemory(data, in->VolumeIDTemplate, MAX_VOLUME_TEMPLATE_SIZE);
    command.cdb[0] = SCSIOP_SEND_VOLUME_TAG;
    command.cdb[1] = (UCHAR) in->StartingElement.ElementType;
    smc_put16(command.cdb + 2, first);
    command.cdb[5] = (UCHAR) in->ActionCode;
    smc_put16(command.cdb + 8, MAX_VOLUME_TEMPLATE_SIZE);
    command.cdb_len = 12;
    command.data = data;
    command.len = MAX_VOLUME_TEMPLATE_SIZE;
    command.to_device = TRUE;
    command.timeout_s = SMC_QUICK_S;
    return smc_send(fdo, &command);
}

/* The device looks; one answer is enough for as many as it tells at once, and
 * the next one goes on behind it. */
static NTSTATUS
search_there(PDEVICE_OBJECT fdo, struct smc_run *run,
             const CHANGER_SEND_VOLUME_TAG_INFORMATION *in)
{
    PUCHAR data = ChangerClassAllocatePool(NonPagedPool, ROOM_MOST);
    struct smc_command command;
    NTSTATUS status;

    if (data == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = translate(fdo, in, (USHORT) run->first, data);
    while (NT_SUCCESS(status)) {
        RtlZeroMemory(&command, sizeof command);
        command.cdb[0] = SCSIOP_REQUEST_VOL_ELEMENT;
        command.cdb[1] = (UCHAR) (0x10 | run->type);
        smc_put16(command.cdb + 2, run->first);
        smc_put16(command.cdb + 4, 0xFFFF);
        smc_put16(command.cdb + 8, ROOM_MOST);
        command.cdb_len = 12;
        command.data = data;
        command.len = ROOM_MOST;
        command.timeout_s = SMC_QUICK_S;
        status = smc_send(fdo, &command);
        if (smc_refused(&command, 0x2C)) { /* all were told */
            status = STATUS_SUCCESS;
            break;
        }
        if (NT_SUCCESS(status))
            status = smc_parse(run, data, command.moved);
        if (!NT_SUCCESS(status) || run->fresh == 0)
            break;
    }
    ChangerClassFreePool(data);
    return status;
}

static ULONG
put_found(const struct smc_run *run, PIRP irp,
          const CHANGER_SEND_VOLUME_TAG_INFORMATION *in, BOOLEAN there)
{
    PREAD_ELEMENT_ADDRESS_INFO out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = IoGetCurrentIrpStackLocation(irp)
                     ->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG head = offsetof(READ_ELEMENT_ADDRESS_INFO, ElementStatus);
    ULONG most = (room - head) / (ULONG) sizeof out->ElementStatus[0];
    ULONG found = 0, i;
    CHANGER_ELEMENT own;

    for (i = 0; i < run->count && found < most; i++) {
        if (run->seen[i] == SMC_UNSEEN ||
            !(there || is_wanted(in, &run->status[i])) ||
            !smc_from_device(run->facts, (USHORT) (run->first + i), &own))
            continue;
        RtlCopyMemory((PUCHAR) out + head +
                          found * sizeof out->ElementStatus[0],
                      &run->status[i], sizeof out->ElementStatus[0]);
        found++;
    }
    out->NumberOfElements = found;
    return head + found * (ULONG) sizeof out->ElementStatus[0];
}

/* Which of the parameters' features an action needs; 0: there is none such. */
static ULONG
feature_of(ULONG action)
{
    static const ULONG needs[] = {
        [SEARCH_ALL] = CHANGER_VOLUME_SEARCH,
        [SEARCH_PRIMARY] = CHANGER_VOLUME_SEARCH,
        [SEARCH_ALTERNATE] = CHANGER_VOLUME_SEARCH,
        [SEARCH_ALL_NO_SEQ] = CHANGER_VOLUME_SEARCH,
        [SEARCH_PRI_NO_SEQ] = CHANGER_VOLUME_SEARCH,
        [SEARCH_ALT_NO_SEQ] = CHANGER_VOLUME_SEARCH,
        [ASSERT_PRIMARY] = CHANGER_VOLUME_ASSERT,
        [ASSERT_ALTERNATE] = CHANGER_VOLUME_ASSERT,
        [REPLACE_PRIMARY] = CHANGER_VOLUME_REPLACE,
        [REPLACE_ALTERNATE] = CHANGER_VOLUME_REPLACE,
        [UNDEFINE_PRIMARY] = CHANGER_VOLUME_UNDEFINE,
        [UNDEFINE_ALTERNATE] = CHANGER_VOLUME_UNDEFINE,
    };

    return action < RTL_NUMBER_OF(needs) ? needs[action] : 0;
}

NTSTATUS NTAPI
smc_query_volume_tags(PDEVICE_OBJECT fdo, PIRP irp)
{
    CHANGER_SEND_VOLUME_TAG_INFORMATION in =
        *(PCHANGER_SEND_VOLUME_TAG_INFORMATION) irp->AssociatedIrp.SystemBuffer;
    ULONG need = feature_of(in.ActionCode);
    GET_CHANGER_PARAMETERS parameters;
    struct smc_run run = { 0 };
    struct smc_facts facts;
    NTSTATUS status;
    USHORT first;

    smc_parameters_of(smc_of(fdo), &parameters);
    if (need == 0 || !(parameters.Features0 & need))
        return STATUS_INVALID_DEVICE_REQUEST;
    smc_facts_of(smc_of(fdo), &facts);
    status = smc_to_device(&facts, &in.StartingElement, &first);
    if (!NT_SUCCESS(status))
        return status;
    run.facts = &facts;
    run.type = in.StartingElement.ElementType;
    run.first = first;
    run.count = (ULONG) facts.range[run.type].first +
                facts.range[run.type].count - first;
    run.tags = TRUE;
    status = run_new(&run);
    if (NT_SUCCESS(status))
        status = facts.native_tags ? search_there(fdo, &run, &in)
                                   : smc_read_run(fdo, &run);
    if (NT_SUCCESS(status))
        irp->IoStatus.Information =
            put_found(&run, irp, &in, facts.native_tags);
    run_free(&run);
    return status;
}
