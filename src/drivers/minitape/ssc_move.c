/*
 * ssc_move.c - a drive that keeps to SSC: what moves the tape, or ends on it
 *
 * Written against <minitape.h> alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "minitape/ssc_lib.h"

#define COUNT_MAX         0xFFFFFF
#define SPACE_MAX         0x7FFFFFLL
#define LONG_FORM         0x06
#define AT_BEGINNING      0x80 /* of READ POSITION */
#define LOCATE_MAX        0xFFFFFFFFull

#define SPACE_BLOCKS      0
#define SPACE_FILEMARKS   1
#define SPACE_SEQUENTIAL  2
#define SPACE_END_OF_DATA 3

/* --- erase, load, lock, marks --------------------------------------------------- */

SSC_ROUTINE(ssc_erase)
{
    const TAPE_ERASE *in = CommandParameters;

    if (CallNumber != 0)
        return TAPE_STATUS_SUCCESS;
    if (in->Type != TAPE_ERASE_SHORT && in->Type != TAPE_ERASE_LONG)
        return TAPE_STATUS_INVALID_PARAMETER;
    ssc_cdb(Srb, 6, SCSIOP_ERASE);
    Srb->Cdb[1] = (UCHAR) ((in->Immediate ? 0x02 : 0) |
                           (in->Type == TAPE_ERASE_LONG ? 0x01 : 0));
    Srb->TimeOutValue = SSC_ERASE_S;
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

static void
load_unload(PSCSI_REQUEST_BLOCK srb, BOOLEAN immediate, UCHAR what)
{
    ssc_cdb(srb, 6, SCSIOP_LOAD_UNLOAD);
    srb->Cdb[1] = immediate != 0;
    srb->Cdb[4] = what;
    srb->TimeOutValue = SSC_LOAD_S;
}

SSC_ROUTINE(ssc_prepare)
{
    const TAPE_PREPARE *in = CommandParameters;

    if (CallNumber != 0)
        return TAPE_STATUS_SUCCESS;
    switch (in->Operation) {
    case TAPE_LOAD:
        load_unload(Srb, in->Immediate, 0x01);
        break;
    case TAPE_UNLOAD:
        load_unload(Srb, in->Immediate, 0x00);
        break;
    case TAPE_TENSION:
        load_unload(Srb, in->Immediate, 0x03);
        break;
    case TAPE_LOCK:
    case TAPE_UNLOCK:
        ssc_cdb(Srb, 6, SCSIOP_MEDIUM_REMOVAL);
        Srb->Cdb[4] = in->Operation == TAPE_LOCK;
        break;
    case TAPE_FORMAT:
        return TAPE_STATUS_NOT_IMPLEMENTED;
    default:
        return TAPE_STATUS_INVALID_PARAMETER;
    }
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

/* Count 0 writes what the drive holds. */
SSC_ROUTINE(ssc_write_marks)
{
    const TAPE_WRITE_MARKS *in = CommandParameters;

    if (CallNumber != 0)
        return TAPE_STATUS_SUCCESS;
    if (in->Type > TAPE_LONG_FILEMARKS || in->Count > COUNT_MAX)
        return TAPE_STATUS_INVALID_PARAMETER;
    if (in->Type != TAPE_FILEMARKS)
        return TAPE_STATUS_INVALID_DEVICE_REQUEST;
    ssc_cdb(Srb, 6, SCSIOP_WRITE_FILEMARKS);
    Srb->Cdb[1] = in->Immediate != 0;
    ssc_put(Srb->Cdb + 2, in->Count, 3);
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

/* --- where it is ------------------------------------------------------------------ */

static TAPE_STATUS
read_position(PSCSI_REQUEST_BLOCK srb, UCHAR form, ULONG bytes)
{
    ssc_cdb(srb, 10, SCSIOP_READ_POSITION);
    srb->Cdb[1] = form;
    return TapeClassAllocateSrbBuffer(srb, bytes)
               ? TAPE_STATUS_SEND_SRB_AND_CALLBACK
               : TAPE_STATUS_INSUFFICIENT_RESOURCES;
}

/* Partition 0 is that of a tape without any: 0 of a drive. */
static TAPE_STATUS
say_position(PTAPE_GET_POSITION out, ULONG partition, ULONGLONG object)
{
    out->Partition = partition != 0 ? partition + 1 : 0;
    out->Offset.QuadPart = (LONGLONG) object;
    return TAPE_STATUS_SUCCESS;
}

/* Some count nothing and always say 0; but where 0 is, the tape begins. */
static BOOLEAN
is_made_up(const UCHAR *data, ULONGLONG object)
{
    return object == 0 && (data[0] & AT_BEGINNING) == 0;
}

SSC_ROUTINE(ssc_get_position)
{
    PTAPE_GET_POSITION out = CommandParameters;
    const UCHAR *data = Srb->DataBuffer;

    switch (CallNumber) {
    case 0:
        if (out->Type > TAPE_PSEUDO_LOGICAL_POSITION)
            return TAPE_STATUS_INVALID_PARAMETER;
        if (out->Type == TAPE_PSEUDO_LOGICAL_POSITION)
            return TAPE_STATUS_INVALID_DEVICE_REQUEST;
        *RetryFlags = RETURN_ERRORS;
        return read_position(Srb, LONG_FORM, 32);
    case 1:
        if (StatusOfLastCommand == TAPE_STATUS_INVALID_DEVICE_REQUEST)
            return read_position(Srb, 0, 20);
        if (StatusOfLastCommand != TAPE_STATUS_SUCCESS)
            return StatusOfLastCommand;
        if (Srb->DataTransferLength < 32 || data[0] & 0x0C)
            return TAPE_STATUS_IO_DEVICE_ERROR; /* it does not know */
        if (is_made_up(data, ssc_get(data + 8, 8)))
            return TAPE_STATUS_NOT_IMPLEMENTED;
        return say_position(out, (ULONG) ssc_get(data + 4, 4),
                            ssc_get(data + 8, 8));
    default:
        if (Srb->DataTransferLength < 20 || data[0] & 0x06)
            return TAPE_STATUS_IO_DEVICE_ERROR;
        if (is_made_up(data, ssc_get(data + 4, 4)))
            return TAPE_STATUS_NOT_IMPLEMENTED;
        return say_position(out, data[1], ssc_get(data + 4, 4));
    }
}

/* --- going somewhere ---------------------------------------------------------------- */

/* partition as programs count: 0 is the current one. */
static TAPE_STATUS
locate(PSCSI_REQUEST_BLOCK srb, ULONG partition, ULONGLONG object,
       BOOLEAN immediate)
{
    if (partition > 0x100)
        return TAPE_STATUS_INVALID_PARAMETER;
    if (object <= LOCATE_MAX) {
        ssc_cdb(srb, 10, SCSIOP_LOCATE);
        srb->Cdb[1] = (UCHAR) ((partition != 0 ? 0x02 : 0) | (immediate != 0));
        ssc_put(srb->Cdb + 3, object, 4);
        srb->Cdb[8] = (UCHAR) (partition != 0 ? partition - 1 : 0);
    } else {
        ssc_cdb(srb, 16, SCSIOP_LOCATE16);
        srb->Cdb[1] = (UCHAR) ((partition != 0 ? 0x02 : 0) | (immediate != 0));
        srb->Cdb[3] = (UCHAR) (partition != 0 ? partition - 1 : 0);
        ssc_put(srb->Cdb + 4, object, 8);
    }
    srb->TimeOutValue = SSC_SPACE_S;
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

static TAPE_STATUS
space(PSCSI_REQUEST_BLOCK srb, UCHAR code, LONGLONG count)
{
    if (count >= -SPACE_MAX - 1 && count <= SPACE_MAX) {
        ssc_cdb(srb, 6, SCSIOP_SPACE);
        srb->Cdb[1] = code;
        ssc_put(srb->Cdb + 2, (ULONGLONG) count, 3);
    } else {
        ssc_cdb(srb, 16, SCSIOP_SPACE16);
        srb->Cdb[1] = code;
        ssc_put(srb->Cdb + 4, (ULONGLONG) count, 8);
    }
    srb->TimeOutValue = SSC_SPACE_S;
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

static TAPE_STATUS
rewind_tape(PSCSI_REQUEST_BLOCK srb, const TAPE_SET_POSITION *in)
{
    if (in->Partition != 0)
        return locate(srb, in->Partition, 0, in->Immediate);
    ssc_cdb(srb, 6, SCSIOP_REWIND);
    srb->Cdb[1] = in->Immediate != 0;
    srb->TimeOutValue = SSC_REWIND_S;
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

SSC_ROUTINE(ssc_set_position)
{
    const TAPE_SET_POSITION *in = CommandParameters;
    LONGLONG offset = in->Offset.QuadPart;

    if (CallNumber == 1 && in->Method == TAPE_SPACE_END_OF_DATA &&
        in->Partition != 0)
        return space(Srb, SPACE_END_OF_DATA, 0);
    if (CallNumber != 0)
        return TAPE_STATUS_SUCCESS;
    switch (in->Method) {
    case TAPE_REWIND:
        return rewind_tape(Srb, in);
    case TAPE_ABSOLUTE_BLOCK:
    case TAPE_LOGICAL_BLOCK:
        if (offset < 0)
            return TAPE_STATUS_INVALID_PARAMETER;
        return locate(Srb, in->Method == TAPE_LOGICAL_BLOCK ? in->Partition : 0,
                      (ULONGLONG) offset, in->Immediate);
    case TAPE_SPACE_END_OF_DATA:
        return in->Partition != 0 ? locate(Srb, in->Partition, 0, FALSE)
                                  : space(Srb, SPACE_END_OF_DATA, 0);
    case TAPE_SPACE_RELATIVE_BLOCKS:
        return space(Srb, SPACE_BLOCKS, offset);
    case TAPE_SPACE_FILEMARKS:
        return space(Srb, SPACE_FILEMARKS, offset);
    case TAPE_SPACE_SEQUENTIAL_FMKS:
        return space(Srb, SPACE_SEQUENTIAL, offset);
    case TAPE_SPACE_SETMARKS:
    case TAPE_SPACE_SEQUENTIAL_SMKS:
    case TAPE_PSEUDO_LOGICAL_BLOCK:
        return TAPE_STATUS_INVALID_DEVICE_REQUEST;
    default:
        return TAPE_STATUS_INVALID_PARAMETER;
    }
}

/* --- partitions ------------------------------------------------------------------------ */

/* The page, changed: how many more than one, of which sizes. */
static TAPE_STATUS
select_partitions(PSCSI_REQUEST_BLOCK srb, const TAPE_CREATE_PARTITION *in,
                  UCHAR psum)
{
    static const UCHAR modes[] = { [TAPE_FIXED_PARTITIONS] = 0x80,
                                   [TAPE_SELECT_PARTITIONS] = 0x40,
                                   [TAPE_INITIATOR_PARTITIONS] = 0x20 };
    ULONG count = in->Count, len = 4 + 8 + 2 * count;
    UCHAR *data;

    if (!TapeClassAllocateSrbBuffer(srb, len))
        return TAPE_STATUS_INSUFFICIENT_RESOURCES;
    data = srb->DataBuffer;
    data[2] = 0x10; /* buffered */
    data[4] = MODE_PAGE_MEDIUM_PARTITION;
    data[5] = (UCHAR) (6 + 2 * count);
    data[7] = (UCHAR) (count - 1);
    data[8] = (UCHAR) (modes[in->Method] | (psum & 0x18));
    for (ULONG i = 0; i < count; i++)
        ssc_put(data + 12 + 2 * i,
                i == 0 && in->Method == TAPE_INITIATOR_PARTITIONS ? in->Size
                                                                  : 0xFFFF,
                2);
    ssc_cdb(srb, 6, SCSIOP_MODE_SELECT);
    srb->Cdb[1] = 0x10;
    srb->Cdb[4] = (UCHAR) len;
    srb->SrbFlags |= SRB_FLAGS_DATA_OUT;
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

SSC_ROUTINE(ssc_create_partition)
{
    const TAPE_CREATE_PARTITION *in = CommandParameters;
    const UCHAR *page;

    switch (CallNumber) {
    case 0:
        if (in->Method > TAPE_INITIATOR_PARTITIONS || in->Count == 0 ||
            in->Count > 16 || in->Size > 0xFFFF)
            return TAPE_STATUS_INVALID_PARAMETER;
        *RetryFlags = RETURN_ERRORS;
        return ssc_mode_sense(Srb, MODE_PAGE_MEDIUM_PARTITION);
    case 1:
        if (StatusOfLastCommand != TAPE_STATUS_SUCCESS)
            return StatusOfLastCommand;
        page = ssc_mode_page(Srb, MODE_PAGE_MEDIUM_PARTITION, 8);
        if (page == NULL || page[2] == 0)
            return TAPE_STATUS_NOT_IMPLEMENTED;
        if (in->Count > 1u + page[2])
            return TAPE_STATUS_INVALID_PARAMETER;
        return select_partitions(Srb, in, 0x10); /* sizes in MiB */
    case 2:
        ssc_cdb(Srb, 6, SCSIOP_FORMAT_UNIT); /* FORMAT MEDIUM */
        Srb->Cdb[2] = 0x01;
        Srb->TimeOutValue = SSC_ERASE_S;
        return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
    default:
        return TAPE_STATUS_SUCCESS;
    }
}
