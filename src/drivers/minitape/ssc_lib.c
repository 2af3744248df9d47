/*
 * ssc_lib.c - a drive that keeps to SSC: parameters, media, status
 *
 * Each routine is called with 0, 1, 2, ... and builds a command or looks at the
 * answer to the one before.  Written against <minitape.h> alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "minitape/ssc_lib.h"

#define MODE_BYTES        64
#define PAGE_CAPACITY     0x31 /* log page of LTO drives */
#define PAGE_ALERTS       0x2E
#define ALERT_CLEAN_NOW   0x14
#define PAGE_COMPRESSION  MODE_PAGE_DATA_COMPRESS
#define PAGE_PARTITIONS   MODE_PAGE_MEDIUM_PARTITION
#define GRANULARITY_MOST  16 /* a drive that says more does not mean it */
#define DENSITY_LTO_FIRST 0x40
#define DENSITY_LTO_LAST  0x60
#define LOG_BYTES         512

/* --- building commands ------------------------------------------------------- */

void
ssc_cdb(PSCSI_REQUEST_BLOCK srb, UCHAR len, UCHAR opcode)
{
    TapeClassZeroMemory(srb->Cdb, sizeof srb->Cdb);
    srb->CdbLength = len;
    srb->Cdb[0] = opcode;
}

void
ssc_put(UCHAR *at, ULONGLONG value, ULONG bytes)
{
    while (bytes-- > 0) {
        at[bytes] = (UCHAR) value;
        value >>= 8;
    }
}

ULONGLONG
ssc_get(const UCHAR *at, ULONG bytes)
{
    ULONGLONG value = 0;

    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

static TAPE_STATUS
read_into(PSCSI_REQUEST_BLOCK srb, ULONG bytes)
{
    return TapeClassAllocateSrbBuffer(srb, bytes)
               ? TAPE_STATUS_SEND_SRB_AND_CALLBACK
               : TAPE_STATUS_INSUFFICIENT_RESOURCES;
}

TAPE_STATUS
ssc_mode_sense(PSCSI_REQUEST_BLOCK srb, UCHAR page)
{
    ssc_cdb(srb, 6, SCSIOP_MODE_SENSE);
    srb->Cdb[2] = page;
    srb->Cdb[4] = MODE_BYTES;
    return read_into(srb, MODE_BYTES);
}

static ULONG
answer_bytes(const SCSI_REQUEST_BLOCK *srb)
{
    const UCHAR *data = srb->DataBuffer;
    ULONG len = srb->DataTransferLength;

    return len > 1u + data[0] ? 1u + data[0] : len;
}

/* The block descriptor of what MODE SENSE answered; NULL: it has none. */
static const UCHAR *
descriptor(const SCSI_REQUEST_BLOCK *srb)
{
    const UCHAR *data = srb->DataBuffer;

    return answer_bytes(srb) >= 12 && data[3] >= 8 ? data + 4 : NULL;
}

const UCHAR *
ssc_mode_page(const SCSI_REQUEST_BLOCK *srb, UCHAR page, ULONG bytes)
{
    const UCHAR *data = srb->DataBuffer;
    ULONG len = answer_bytes(srb), at;

    if (len < 4)
        return NULL;
    at = 4u + data[3];
    if (at + bytes > len || (data[at] & 0x3f) != page)
        return NULL;
    return data + at;
}

static TAPE_STATUS
log_sense(PSCSI_REQUEST_BLOCK srb, UCHAR page)
{
    ssc_cdb(srb, 10, SCSIOP_LOG_SENSE);
    srb->Cdb[2] = 0x40 | page;
    ssc_put(srb->Cdb + 7, LOG_BYTES, 2);
    return read_into(srb, LOG_BYTES);
}

/* The value of a log parameter of at most 8 bytes; FALSE: it is not there. */
static BOOLEAN
log_value(const SCSI_REQUEST_BLOCK *srb, UCHAR page, ULONG code,
          ULONGLONG *out_value)
{
    const UCHAR *data = srb->DataBuffer;
    ULONG len = srb->DataTransferLength, at;

    if (len < 4 || (data[0] & 0x3f) != page)
        return FALSE;
    if (len > 4 + (ULONG) ssc_get(data + 2, 2))
        len = 4 + (ULONG) ssc_get(data + 2, 2);
    for (at = 4; at + 4 <= len && at + 4 + data[at + 3] <= len;
         at += 4u + data[at + 3])
        if (ssc_get(data + at, 2) == code && data[at + 3] <= 8) {
            *out_value = ssc_get(data + at + 4, data[at + 3]);
            return TRUE;
        }
    return FALSE;
}

static void
note_limits(struct ssc_command *own, const SCSI_REQUEST_BLOCK *srb)
{
    const UCHAR *data = srb->DataBuffer;

    if (srb->DataTransferLength < 6)
        return;
    own->granularity = data[0] & 0x1f;
    if (own->granularity > GRANULARITY_MOST)
        own->granularity = 0;
    own->longest = (ULONG) ssc_get(data + 1, 3);
    own->shortest = (ULONG) ssc_get(data + 4, 2);
}

static TAPE_STATUS
block_limits(PSCSI_REQUEST_BLOCK srb)
{
    ssc_cdb(srb, 6, SCSIOP_READ_BLOCK_LIMITS);
    return read_into(srb, 6);
}

/* --- the drive ----------------------------------------------------------------- */

static void
fill_features(PTAPE_GET_DRIVE_PARAMETERS out)
{
    out->FeaturesLow |= TAPE_DRIVE_ERASE_SHORT | TAPE_DRIVE_ERASE_LONG |
                        TAPE_DRIVE_ERASE_IMMEDIATE | TAPE_DRIVE_TAPE_CAPACITY |
                        TAPE_DRIVE_TAPE_REMAINING | TAPE_DRIVE_FIXED_BLOCK |
                        TAPE_DRIVE_VARIABLE_BLOCK | TAPE_DRIVE_WRITE_PROTECT |
                        TAPE_DRIVE_ECC | TAPE_DRIVE_GET_ABSOLUTE_BLK |
                        TAPE_DRIVE_GET_LOGICAL_BLK | TAPE_DRIVE_EJECT_MEDIA |
                        TAPE_DRIVE_CLEAN_REQUESTS;
    out->FeaturesHigh |=
        TAPE_DRIVE_LOAD_UNLOAD | TAPE_DRIVE_LOCK_UNLOCK |
        TAPE_DRIVE_REWIND_IMMEDIATE | TAPE_DRIVE_SET_BLOCK_SIZE |
        TAPE_DRIVE_LOAD_UNLD_IMMED | TAPE_DRIVE_ABSOLUTE_BLK |
        TAPE_DRIVE_ABS_BLK_IMMED | TAPE_DRIVE_LOGICAL_BLK |
        TAPE_DRIVE_LOG_BLK_IMMED | TAPE_DRIVE_END_OF_DATA |
        TAPE_DRIVE_RELATIVE_BLKS | TAPE_DRIVE_FILEMARKS |
        TAPE_DRIVE_REVERSE_POSITION | TAPE_DRIVE_WRITE_FILEMARKS |
        TAPE_DRIVE_WRITE_MARK_IMMED;
    out->ECC = TRUE;
}

/* A drive lacks what it refuses to tell of. */
static SSC_ROUTINE(get_drive_parameters)
{
    PTAPE_GET_DRIVE_PARAMETERS out = CommandParameters;
    struct ssc_command *own = CommandExtension;
    const UCHAR *page;

    *RetryFlags = RETURN_ERRORS;
    switch (CallNumber) {
    case 0:
        out->MaximumPartitionCount = 1;
        fill_features(out);
        return block_limits(Srb);
    case 1:
        if (StatusOfLastCommand == TAPE_STATUS_SUCCESS)
            note_limits(own, Srb);
        else if (StatusOfLastCommand != TAPE_STATUS_INVALID_DEVICE_REQUEST)
            return StatusOfLastCommand;
        out->MinimumBlockSize = own->shortest;
        out->MaximumBlockSize = own->longest;
        return ssc_mode_sense(Srb, PAGE_COMPRESSION);
    case 2:
        page = StatusOfLastCommand == TAPE_STATUS_SUCCESS
                   ? ssc_mode_page(Srb, PAGE_COMPRESSION, 16)
                   : NULL;
        if (page != NULL && page[2] & 0x40) {
            out->Compression = (page[2] & 0x80) != 0;
            out->FeaturesLow |= TAPE_DRIVE_COMPRESSION;
            out->FeaturesHigh |= TAPE_DRIVE_SET_COMPRESSION;
        }
        return ssc_mode_sense(Srb, PAGE_PARTITIONS);
    default:
        page = StatusOfLastCommand == TAPE_STATUS_SUCCESS
                   ? ssc_mode_page(Srb, PAGE_PARTITIONS, 8)
                   : NULL;
        if (page != NULL && page[2] != 0) {
            out->MaximumPartitionCount = 1u + page[2];
            out->FeaturesLow |= TAPE_DRIVE_INITIATOR | TAPE_DRIVE_SELECT;
        }
        return TAPE_STATUS_SUCCESS;
    }
}

/* What MODE SENSE answered, as MODE SELECT takes it back: without the bits that
 * only a drive says. */
static TAPE_STATUS
select_back(PSCSI_REQUEST_BLOCK srb, struct ssc_command *own)
{
    UCHAR *data = own->mode;

    data[0] = 0;
    data[1] = 0;
    data[2] &= 0x7f; /* write protect */
    ssc_cdb(srb, 6, SCSIOP_MODE_SELECT);
    srb->Cdb[1] = 0x10; /* pages as the standard has them */
    srb->Cdb[4] = (UCHAR) own->mode_len;
    if (!TapeClassAllocateSrbBuffer(srb, own->mode_len))
        return TAPE_STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(srb->DataBuffer, data, own->mode_len);
    srb->SrbFlags |= SRB_FLAGS_DATA_OUT;
    return TAPE_STATUS_SEND_SRB_AND_CALLBACK;
}

static void
keep_mode(struct ssc_command *own, const SCSI_REQUEST_BLOCK *srb, ULONG len)
{
    own->mode_len = len < sizeof own->mode ? len : sizeof own->mode;
    RtlCopyMemory(own->mode, srb->DataBuffer, own->mode_len);
}

static SSC_ROUTINE(set_drive_parameters)
{
    const TAPE_SET_DRIVE_PARAMETERS *in = CommandParameters;
    struct ssc_command *own = CommandExtension;
    const UCHAR *page;
    UCHAR *copy;

    switch (CallNumber) {
    case 0:
        if (in->DataPadding || in->ReportSetmarks ||
            in->EOTWarningZoneSize != 0)
            return TAPE_STATUS_INVALID_DEVICE_REQUEST;
        *RetryFlags = RETURN_ERRORS;
        return ssc_mode_sense(Srb, PAGE_COMPRESSION);
    case 1:
        page = StatusOfLastCommand == TAPE_STATUS_SUCCESS
                   ? ssc_mode_page(Srb, PAGE_COMPRESSION, 16)
                   : NULL;
        if (StatusOfLastCommand != TAPE_STATUS_SUCCESS &&
            StatusOfLastCommand != TAPE_STATUS_INVALID_DEVICE_REQUEST)
            return StatusOfLastCommand;
        if (page == NULL || !(page[2] & 0x40))
            return in->Compression ? TAPE_STATUS_INVALID_DEVICE_REQUEST
                                   : TAPE_STATUS_SUCCESS;
        if (((page[2] & 0x80) != 0) == (in->Compression != 0))
            return TAPE_STATUS_SUCCESS;
        keep_mode(own, Srb,
                  (ULONG) (page - (const UCHAR *) Srb->DataBuffer) + 16);
        copy = own->mode + own->mode_len - 16;
        copy[0] &= 0x3f;
        copy[2] = in->Compression ? copy[2] | 0x80 : copy[2] & 0x7f;
        return select_back(Srb, own);
    default:
        return TAPE_STATUS_SUCCESS;
    }
}

/* --- the medium ---------------------------------------------------------------- */

static SSC_ROUTINE(get_media_parameters)
{
    PTAPE_GET_MEDIA_PARAMETERS out = CommandParameters;
    const UCHAR *data, *page;
    ULONGLONG mib;

    switch (CallNumber) {
    case 0: /* mode sense alone works without a medium */
        return TAPE_STATUS_CHECK_TEST_UNIT_READY;
    case 1:
        *RetryFlags = RETURN_ERRORS;
        return ssc_mode_sense(Srb, PAGE_PARTITIONS);
    case 2:
        out->PartitionCount = 1;
        page = StatusOfLastCommand == TAPE_STATUS_SUCCESS
                   ? ssc_mode_page(Srb, PAGE_PARTITIONS, 8)
                   : NULL;
        if (page != NULL)
            out->PartitionCount = 1u + page[3];
        return ssc_mode_sense(Srb, MODE_SENSE_RETURN_ALL);
    case 3:
        data = descriptor(Srb);
        if (data == NULL)
            return TAPE_STATUS_IO_DEVICE_ERROR;
        out->BlockSize = (ULONG) ssc_get(data + 5, 3);
        out->WriteProtected = (data[-2] & 0x80) != 0;
        *RetryFlags = RETURN_ERRORS;
        return log_sense(Srb, PAGE_CAPACITY);
    default:
        if (StatusOfLastCommand != TAPE_STATUS_SUCCESS)
            return TAPE_STATUS_SUCCESS;
        if (log_value(Srb, PAGE_CAPACITY, 1, &mib))
            out->Remaining.QuadPart = (LONGLONG) (mib << 20);
        if (log_value(Srb, PAGE_CAPACITY, 3, &mib))
            out->Capacity.QuadPart = (LONGLONG) (mib << 20);
        return TAPE_STATUS_SUCCESS;
    }
}

/* The limits that a drive states are not always true: what it takes is looked
 * at afterwards. */
static BOOLEAN
is_outside(const struct ssc_command *own, ULONG bytes)
{
    if (bytes == 0)
        return FALSE;
    return bytes > 0xFFFFFF || bytes & ((1u << own->granularity) - 1) ||
           (own->longest >= own->shortest && own->longest != 0 &&
            (bytes > own->longest || bytes < own->shortest));
}

static SSC_ROUTINE(set_media_parameters)
{
    const TAPE_SET_MEDIA_PARAMETERS *in = CommandParameters;
    struct ssc_command *own = CommandExtension;
    const UCHAR *data;

    switch (CallNumber) {
    case 0:
        *RetryFlags = RETURN_ERRORS;
        return block_limits(Srb);
    case 1:
        if (StatusOfLastCommand == TAPE_STATUS_SUCCESS)
            note_limits(own, Srb);
        else if (StatusOfLastCommand != TAPE_STATUS_INVALID_DEVICE_REQUEST)
            return StatusOfLastCommand;
        if (is_outside(own, in->BlockSize))
            return TAPE_STATUS_INVALID_BLOCK_LENGTH;
        return ssc_mode_sense(Srb, MODE_SENSE_RETURN_ALL);
    case 2:
        if (descriptor(Srb) == NULL)
            return TAPE_STATUS_IO_DEVICE_ERROR;
        keep_mode(own, Srb, 12);
        own->mode[3] = 8;
        ssc_put(own->mode + 5, 0, 3);
        ssc_put(own->mode + 9, in->BlockSize, 3);
        return select_back(Srb, own);
    case 3:
        return ssc_mode_sense(Srb, MODE_SENSE_RETURN_ALL);
    default:
        data = descriptor(Srb);
        return data != NULL && ssc_get(data + 5, 3) == in->BlockSize
                   ? TAPE_STATUS_SUCCESS
                   : TAPE_STATUS_INVALID_BLOCK_LENGTH;
    }
}

/* DDS tapes by the codes that nobody else has; the others count as LTO. */
static STORAGE_MEDIA_TYPE
media_type(const struct ssc *ssc, UCHAR density)
{
    if (ssc->ultrium ||
        (density >= DENSITY_LTO_FIRST && density <= DENSITY_LTO_LAST))
        return LTO_Ultrium;
    return density >= 0x24 && density <= 0x26 ? DDS_4mm : LTO_Ultrium;
}

/* Both kinds that it takes; the one that is in is told by a mark. */
static SSC_ROUTINE(get_media_types)
{
    PGET_MEDIA_TYPES out = CommandParameters;
    PDEVICE_MEDIA_INFO media = out->MediaInfo;
    struct ssc_command *own = CommandExtension;
    const UCHAR *data, *block;

    switch (CallNumber) {
    case 0:
        *RetryFlags = RETURN_ERRORS;
        return TAPE_STATUS_CHECK_TEST_UNIT_READY;
    case 1:
        own->want = StatusOfLastCommand;
        *RetryFlags = RETURN_ERRORS;
        return ssc_mode_sense(Srb, MODE_SENSE_RETURN_ALL);
    default:
        break;
    }
    data = Srb->DataBuffer;
    block = StatusOfLastCommand == TAPE_STATUS_SUCCESS ? descriptor(Srb) : NULL;
    out->MediaInfoCount = SSC_MEDIA_TYPES;
    for (ULONG i = 0; i < SSC_MEDIA_TYPES; i++) {
        media[i].DeviceSpecific.TapeInfo.BusType = BusTypeScsi;
        media[i].DeviceSpecific.TapeInfo.MediaCharacteristics =
            MEDIA_ERASEABLE | MEDIA_READ_WRITE;
    }
    media[0].DeviceSpecific.TapeInfo.MediaType =
        media_type(MinitapeExtension, block != NULL ? block[0] : 0);
    media[1].DeviceSpecific.TapeInfo.MediaType = CLEANER_CARTRIDGE;
    media[1].DeviceSpecific.TapeInfo.MediaCharacteristics = 0;
    if (own->want == TAPE_STATUS_CLEANER_CARTRIDGE_INSTALLED)
        media[1].DeviceSpecific.TapeInfo.MediaCharacteristics |=
            MEDIA_CURRENTLY_MOUNTED;
    if (own->want != TAPE_STATUS_SUCCESS || block == NULL)
        return TAPE_STATUS_SUCCESS;
    media[0].DeviceSpecific.TapeInfo.MediaCharacteristics |=
        MEDIA_CURRENTLY_MOUNTED;
    if (data[2] & 0x80)
        media[0].DeviceSpecific.TapeInfo.MediaCharacteristics |=
            MEDIA_WRITE_PROTECTED;
    media[0].DeviceSpecific.TapeInfo.CurrentBlockSize =
        (ULONG) ssc_get(block + 5, 3);
    media[0]
        .DeviceSpecific.TapeInfo.BusSpecificData.ScsiInformation.MediumType =
        data[1];
    media[0]
        .DeviceSpecific.TapeInfo.BusSpecificData.ScsiInformation.DensityCode =
        block[0];
    return TAPE_STATUS_SUCCESS;
}

/* --- status --------------------------------------------------------------------- */

static SSC_ROUTINE(get_status)
{
    ULONGLONG raised;

    switch (CallNumber) {
    case 0:
        return TAPE_STATUS_CHECK_TEST_UNIT_READY;
    case 1:
        *RetryFlags = RETURN_ERRORS;
        return log_sense(Srb, PAGE_ALERTS);
    default:
        if (StatusOfLastCommand == TAPE_STATUS_SUCCESS &&
            log_value(Srb, PAGE_ALERTS, ALERT_CLEAN_NOW, &raised) && raised & 1)
            return TAPE_STATUS_REQUIRES_CLEANING;
        return TAPE_STATUS_SUCCESS;
    }
}

/* --- vendors ---------------------------------------------------------------------- */

void
ssc_translate(PSCSI_REQUEST_BLOCK srb, const struct ssc_quirk *rows,
              ULONG count)
{
    UCHAR *sense = srb->SenseInfoBuffer;
    BOOLEAN descriptors;
    ULONG i;

    if (!(srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID) || sense == NULL ||
        srb->SenseInfoBufferLength < 8)
        return;
    descriptors = (sense[0] & 0x7f) >= 0x72;
    if (!descriptors && srb->SenseInfoBufferLength < 14)
        return;
    for (i = 0; i < count; i++) {
        UCHAR *key = sense + (descriptors ? 1 : 2);
        UCHAR *code = sense + (descriptors ? 2 : 12);

        if ((*key & 0x0f) != rows[i].key || code[0] != rows[i].asc ||
            code[1] != rows[i].ascq)
            continue;
        *key = (UCHAR) ((*key & 0xf0) | rows[i].to_key);
        code[0] = rows[i].to_asc;
        code[1] = rows[i].to_ascq;
        return;
    }
}

/* --- registration ------------------------------------------------------------------ */

static BOOLEAN NTAPI
verify_inquiry(PINQUIRYDATA InquiryData, PMODE_CAPABILITIES_PAGE page)
{
    return InquiryData->DeviceType == SEQUENTIAL_ACCESS_DEVICE;
}

static VOID NTAPI
extension_init(PVOID MinitapeExtension, PINQUIRYDATA InquiryData,
               PMODE_CAPABILITIES_PAGE page)
{
    struct ssc *ssc = MinitapeExtension;

    ssc->ultrium =
        TapeClassCompareMemory(InquiryData->ProductId, (PVOID) "ULT", 3) == 3 ||
        TapeClassCompareMemory(InquiryData->ProductId, (PVOID) "Ultrium", 7) ==
            7;
}

void
ssc_fill(PTAPE_INIT_DATA_EX data)
{
    TapeClassZeroMemory(data, sizeof *data);
    data->InitDataSize = sizeof *data;
    data->VerifyInquiry = verify_inquiry;
    data->MinitapeExtensionSize = sizeof(struct ssc);
    data->ExtensionInit = extension_init;
    data->CommandExtensionSize = sizeof(struct ssc_command);
    data->CreatePartition = ssc_create_partition;
    data->Erase = ssc_erase;
    data->GetDriveParameters = get_drive_parameters;
    data->GetMediaParameters = get_media_parameters;
    data->GetPosition = ssc_get_position;
    data->GetStatus = get_status;
    data->Prepare = ssc_prepare;
    data->SetDriveParameters = set_drive_parameters;
    data->SetMediaParameters = set_media_parameters;
    data->SetPosition = ssc_set_position;
    data->WriteMarks = ssc_write_marks;
    data->TapeGetMediaTypes = get_media_types;
    data->MediaTypesSupported = SSC_MEDIA_TYPES;
}
