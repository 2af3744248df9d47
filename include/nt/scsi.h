/*
 * scsi.h - SCSI commands, sense data and parameter data as the WDK names them
 *
 * Everything here is bytes on the wire: big-endian numbers are byte arrays,
 * records have no padding.  Commands beyond the direct access, optical and
 * medium changer ones that this project sends are left out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _NTSCSI_
#define _NTSCSI_

#include <wdm.h>

#pragma pack(push, 1)

/* --- command descriptor blocks -------------------------------------------- */

typedef union _CDB {
    struct _CDB6GENERIC {
        UCHAR OperationCode;
        UCHAR Immediate : 1;
        UCHAR CommandUniqueBits : 4;
        UCHAR LogicalUnitNumber : 3;
        UCHAR CommandUniqueBytes[3];
        UCHAR Link : 1;
        UCHAR Flag : 1;
        UCHAR Reserved : 4;
        UCHAR VendorUnique : 2;
    } CDB6GENERIC;
    struct _CDB6READWRITE {
        UCHAR OperationCode;
        UCHAR LogicalBlockMsb1 : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR LogicalBlockMsb0;
        UCHAR LogicalBlockLsb;
        UCHAR TransferBlocks;
        UCHAR Control;
    } CDB6READWRITE;
    struct _CDB6INQUIRY {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR PageCode;
        UCHAR IReserved;
        UCHAR AllocationLength;
        UCHAR Control;
    } CDB6INQUIRY;
    struct _CDB6INQUIRY3 {
        UCHAR OperationCode;
        UCHAR EnableVitalProductData : 1;
        UCHAR CommandSupportData : 1;
        UCHAR Reserved1 : 6;
        UCHAR PageCode;
        UCHAR Reserved2;
        UCHAR AllocationLength;
        UCHAR Control;
    } CDB6INQUIRY3;
    struct _CDB6FORMAT {
        UCHAR OperationCode;
        UCHAR FormatControl : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR FReserved1;
        UCHAR InterleaveMsb;
        UCHAR InterleaveLsb;
        UCHAR FReserved2;
    } CDB6FORMAT;
    struct _CDB10 {
        UCHAR OperationCode;
        UCHAR RelativeAddress : 1;
        UCHAR Reserved1 : 2;
        UCHAR ForceUnitAccess : 1;
        UCHAR DisablePageOut : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR LogicalBlockByte0;
        UCHAR LogicalBlockByte1;
        UCHAR LogicalBlockByte2;
        UCHAR LogicalBlockByte3;
        UCHAR Reserved2;
        UCHAR TransferBlocksMsb;
        UCHAR TransferBlocksLsb;
        UCHAR Control;
    } CDB10;
    struct _CDB12 {
        UCHAR OperationCode;
        UCHAR RelativeAddress : 1;
        UCHAR Reserved1 : 2;
        UCHAR ForceUnitAccess : 1;
        UCHAR DisablePageOut : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR LogicalBlock[4];
        UCHAR TransferLength[4];
        UCHAR Reserved2;
        UCHAR Control;
    } CDB12;
    struct _CDB16 {
        UCHAR OperationCode;
        UCHAR Reserved1 : 3;
        UCHAR ForceUnitAccess : 1;
        UCHAR DisablePageOut : 1;
        UCHAR Protection : 3;
        UCHAR LogicalBlock[8];
        UCHAR TransferLength[4];
        UCHAR Reserved2;
        UCHAR Control;
    } CDB16;
    struct _START_STOP {
        UCHAR OperationCode;
        UCHAR Immediate : 1;
        UCHAR Reserved1 : 4;
        UCHAR LogicalUnitNumber : 3;
        UCHAR Reserved2[2];
        UCHAR Start : 1;
        UCHAR LoadEject : 1;
        UCHAR Reserved3 : 6;
        UCHAR Control;
    } START_STOP;
    struct _MEDIA_REMOVAL {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR Reserved2[2];
        UCHAR Prevent : 1;
        UCHAR Persistant : 1;
        UCHAR Reserved3 : 6;
        UCHAR Control;
    } MEDIA_REMOVAL;
    struct _MODE_SENSE {
        UCHAR OperationCode;
        UCHAR Reserved1 : 3;
        UCHAR Dbd : 1;
        UCHAR Reserved2 : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR PageCode : 6;
        UCHAR Pc : 2;
        UCHAR SubPageCode;
        UCHAR AllocationLength;
        UCHAR Control;
    } MODE_SENSE;
    struct _MODE_SENSE10 {
        UCHAR OperationCode;
        UCHAR Reserved1 : 3;
        UCHAR Dbd : 1;
        UCHAR LongLBAAccepted : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR PageCode : 6;
        UCHAR Pc : 2;
        UCHAR SubPageCode;
        UCHAR Reserved3[3];
        UCHAR AllocationLength[2];
        UCHAR Control;
    } MODE_SENSE10;
    struct _MODE_SELECT {
        UCHAR OperationCode;
        UCHAR SPBit : 1;
        UCHAR Reserved1 : 3;
        UCHAR PFBit : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR Reserved2[2];
        UCHAR ParameterListLength;
        UCHAR Control;
    } MODE_SELECT;
    struct _MODE_SELECT10 {
        UCHAR OperationCode;
        UCHAR SPBit : 1;
        UCHAR Reserved1 : 3;
        UCHAR PFBit : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR Reserved2[5];
        UCHAR ParameterListLength[2];
        UCHAR Control;
    } MODE_SELECT10;
    struct _READ_CAPACITY16 {
        UCHAR OperationCode;
        UCHAR ServiceAction : 5;
        UCHAR Reserved1 : 3;
        UCHAR LogicalBlock[8];
        UCHAR BlockCount[4];
        UCHAR PMI : 1;
        UCHAR Reserved2 : 7;
        UCHAR Control;
    } READ_CAPACITY16;
    struct _SYNCHRONIZE_CACHE10 {
        UCHAR OperationCode;
        UCHAR RelAddr : 1;
        UCHAR Immediate : 1;
        UCHAR Reserved : 3;
        UCHAR Lun : 3;
        UCHAR LogicalBlockAddress[4];
        UCHAR Reserved2;
        UCHAR BlockCount[2];
        UCHAR Control;
    } SYNCHRONIZE_CACHE10;
    struct _SYNCHRONIZE_CACHE16 {
        UCHAR OperationCode;
        UCHAR Reserved1 : 1;
        UCHAR Immediate : 1;
        UCHAR Reserved2 : 6;
        UCHAR LogicalBlock[8];
        UCHAR BlockCount[4];
        UCHAR Reserved3;
        UCHAR Control;
    } SYNCHRONIZE_CACHE16;
    struct _UNMAP {
        UCHAR OperationCode;
        UCHAR Anchor : 1;
        UCHAR Reserved1 : 7;
        UCHAR Reserved2[4];
        UCHAR GroupNumber : 5;
        UCHAR Reserved3 : 3;
        UCHAR AllocationLength[2];
        UCHAR Control;
    } UNMAP;
    struct _GET_LBA_STATUS {
        UCHAR OperationCode;
        UCHAR ServiceAction : 5;
        UCHAR Reserved1 : 3;
        UCHAR StartingLBA[8];
        UCHAR AllocationLength[4];
        UCHAR Reserved2;
        UCHAR Control;
    } GET_LBA_STATUS;
    struct _GET_EVENT_STATUS_NOTIFICATION {
        UCHAR OperationCode;
        UCHAR Immediate : 1;
        UCHAR Reserved : 4;
        UCHAR Lun : 3;
        UCHAR Reserved2[2];
        UCHAR NotificationClassRequest;
        UCHAR Reserved3[2];
        UCHAR EventListLength[2];
        UCHAR Control;
    } GET_EVENT_STATUS_NOTIFICATION;
    struct _GET_CONFIGURATION {
        UCHAR OperationCode;
        UCHAR RequestType : 2;
        UCHAR Reserved1 : 6;
        UCHAR StartingFeature[2];
        UCHAR Reserved2[3];
        UCHAR AllocationLength[2];
        UCHAR Control;
    } GET_CONFIGURATION;
    struct _READ_TOC {
        UCHAR OperationCode;
        UCHAR Reserved0 : 1;
        UCHAR Msf : 1;
        UCHAR Reserved1 : 3;
        UCHAR LogicalUnitNumber : 3;
        UCHAR Format2 : 4;
        UCHAR Reserved2 : 4;
        UCHAR Reserved3[3];
        UCHAR StartingTrack;
        UCHAR AllocationLength[2];
        UCHAR Control : 6;
        UCHAR Format : 2;
    } READ_TOC;
    struct _READ_DISK_INFORMATION {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR Lun : 3;
        UCHAR Reserved2[5];
        UCHAR AllocationLength[2];
        UCHAR Control;
    } READ_DISK_INFORMATION, READ_DISC_INFORMATION;
    struct _REPORT_LUNS {
        UCHAR OperationCode;
        UCHAR Reserved1[5];
        UCHAR AllocationLength[4];
        UCHAR Reserved2[1];
        UCHAR Control;
    } REPORT_LUNS;
    struct _LOGSENSE {
        UCHAR OperationCode;
        UCHAR SPBit : 1;
        UCHAR PPCBit : 1;
        UCHAR Reserved1 : 3;
        UCHAR LogicalUnitNumber : 3;
        UCHAR PageCode : 6;
        UCHAR PCBit : 2;
        union {
            UCHAR SubPageCode;
            UCHAR Reserved2;
        };
        UCHAR Reserved3;
        UCHAR ParameterPointer[2];
        UCHAR AllocationLength[2];
        UCHAR Control;
    } LOGSENSE;
    struct _INIT_ELEMENT_STATUS {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR LogicalUnitNubmer : 3;
        UCHAR Reserved2[3];
        UCHAR Reserved3 : 7;
        UCHAR NoBarCode : 1;
    } INIT_ELEMENT_STATUS;
    struct _INITIALIZE_ELEMENT_RANGE {
        UCHAR OperationCode;
        UCHAR Range : 1;
        UCHAR Reserved1 : 4;
        UCHAR LogicalUnitNubmer : 3;
        UCHAR FirstElementAddress[2];
        UCHAR Reserved2[2];
        UCHAR NumberOfElements[2];
        UCHAR Reserved3;
        UCHAR Reserved4 : 7;
        UCHAR NoBarCode : 1;
    } INITIALIZE_ELEMENT_RANGE;
    struct _POSITION_TO_ELEMENT {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR TransportElementAddress[2];
        UCHAR DestinationElementAddress[2];
        UCHAR Reserved2[2];
        UCHAR Flip : 1;
        UCHAR Reserved3 : 7;
        UCHAR Control;
    } POSITION_TO_ELEMENT;
    struct _MOVE_MEDIUM {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR TransportElementAddress[2];
        UCHAR SourceElementAddress[2];
        UCHAR DestinationElementAddress[2];
        UCHAR Reserved2[2];
        UCHAR Flip : 1;
        UCHAR Reserved3 : 7;
        UCHAR Control;
    } MOVE_MEDIUM;
    /* SCSI's INV1, of the first destination, is the bit called Flip2. */
    struct _EXCHANGE_MEDIUM {
        UCHAR OperationCode;
        UCHAR Reserved1 : 5;
        UCHAR LogicalUnitNumber : 3;
        UCHAR TransportElementAddress[2];
        UCHAR SourceElementAddress[2];
        UCHAR Destination1ElementAddress[2];
        UCHAR Destination2ElementAddress[2];
        UCHAR Flip1 : 1;
        UCHAR Flip2 : 1;
        UCHAR Reserved3 : 6;
        UCHAR Control;
    } EXCHANGE_MEDIUM;
    struct _READ_ELEMENT_STATUS {
        UCHAR OperationCode;
        UCHAR ElementType : 4;
        UCHAR VolTag : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR StartingElementAddress[2];
        UCHAR NumberOfElements[2];
        UCHAR Reserved1;
        UCHAR AllocationLength[3];
        UCHAR Reserved2;
        UCHAR Control;
    } READ_ELEMENT_STATUS;
    struct _SEND_VOLUME_TAG {
        UCHAR OperationCode;
        UCHAR ElementType : 4;
        UCHAR Reserved1 : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR StartingElementAddress[2];
        UCHAR Reserved2;
        UCHAR ActionCode : 5;
        UCHAR Reserved3 : 3;
        UCHAR Reserved4[2];
        UCHAR ParameterListLength[2];
        UCHAR Reserved5;
        UCHAR Control;
    } SEND_VOLUME_TAG;
    struct _REQUEST_VOLUME_ELEMENT_ADDRESS {
        UCHAR OperationCode;
        UCHAR ElementType : 4;
        UCHAR VolTag : 1;
        UCHAR LogicalUnitNumber : 3;
        UCHAR StartingElementAddress[2];
        UCHAR NumberElements[2];
        UCHAR Reserved1;
        UCHAR AllocationLength[3];
        UCHAR Reserved2;
        UCHAR Control;
    } REQUEST_VOLUME_ELEMENT_ADDRESS;
    UCHAR AsByte[16];
    ULONG AsUlong[4];
} CDB, *PCDB;

#define CDB_RETURN_ON_COMPLETION 0x00
#define CDB_INQUIRY_EVPD         0x01
#define CDB_LOAD_MEDIA           0x01
#define CDB_RETURN_IMMEDIATE     0x01
#define CDB_USE_MSF              0x01
#define CDB6GENERIC_LENGTH       0x06
#define CDB_FORCE_MEDIA_ACCESS   0x08
#define CDB10GENERIC_LENGTH      0x0A
#define CDB12GENERIC_LENGTH      0x0C
#define MAXIMUM_CDB_SIZE         0x0C
#define CDB_DEVICE_STOP          0x10
#define CDB_EJECT_MEDIA          0x10
#define CDB_DEVICE_START         0x11

/* Service actions of SCSIOP_SERVICE_ACTION_IN16. */
#define SERVICE_ACTION_READ_CAPACITY16 0x10
#define SERVICE_ACTION_GET_LBA_STATUS  0x12

/* --- operation codes; some are shared between device types ---------------- */

#define SCSIOP_TEST_UNIT_READY               0x00
#define SCSIOP_REWIND                        0x01
#define SCSIOP_REZERO_UNIT                   0x01
#define SCSIOP_REQUEST_BLOCK_ADDR            0x02
#define SCSIOP_REQUEST_SENSE                 0x03
#define SCSIOP_FORMAT_UNIT                   0x04
#define SCSIOP_READ_BLOCK_LIMITS             0x05
#define SCSIOP_INIT_ELEMENT_STATUS           0x07
#define SCSIOP_REASSIGN_BLOCKS               0x07
#define SCSIOP_READ6                         0x08
#define SCSIOP_RECEIVE                       0x08
#define SCSIOP_PRINT                         0x0A
#define SCSIOP_SEND                          0x0A
#define SCSIOP_WRITE6                        0x0A
#define SCSIOP_SEEK6                         0x0B
#define SCSIOP_SET_CAPACITY                  0x0B
#define SCSIOP_SLEW_PRINT                    0x0B
#define SCSIOP_TRACK_SELECT                  0x0B
#define SCSIOP_SEEK_BLOCK                    0x0C
#define SCSIOP_PARTITION                     0x0D
#define SCSIOP_READ_REVERSE                  0x0F
#define SCSIOP_FLUSH_BUFFER                  0x10
#define SCSIOP_WRITE_FILEMARKS               0x10
#define SCSIOP_SPACE                         0x11
#define SCSIOP_INQUIRY                       0x12
#define SCSIOP_VERIFY6                       0x13
#define SCSIOP_RECOVER_BUF_DATA              0x14
#define SCSIOP_MODE_SELECT                   0x15
#define SCSIOP_RESERVE_UNIT                  0x16
#define SCSIOP_RELEASE_UNIT                  0x17
#define SCSIOP_COPY                          0x18
#define SCSIOP_ERASE                         0x19
#define SCSIOP_MODE_SENSE                    0x1A
#define SCSIOP_LOAD_UNLOAD                   0x1B
#define SCSIOP_START_STOP_UNIT               0x1B
#define SCSIOP_STOP_PRINT                    0x1B
#define SCSIOP_RECEIVE_DIAGNOSTIC            0x1C
#define SCSIOP_SEND_DIAGNOSTIC               0x1D
#define SCSIOP_MEDIUM_REMOVAL                0x1E
#define SCSIOP_READ_FORMATTED_CAPACITY       0x23
#define SCSIOP_READ_CAPACITY                 0x25
#define SCSIOP_READ                          0x28
#define SCSIOP_WRITE                         0x2A
#define SCSIOP_LOCATE                        0x2B
#define SCSIOP_POSITION_TO_ELEMENT           0x2B
#define SCSIOP_SEEK                          0x2B
#define SCSIOP_WRITE_VERIFY                  0x2E
#define SCSIOP_VERIFY                        0x2F
#define SCSIOP_SEARCH_DATA_HIGH              0x30
#define SCSIOP_SEARCH_DATA_EQUAL             0x31
#define SCSIOP_SEARCH_DATA_LOW               0x32
#define SCSIOP_SET_LIMITS                    0x33
#define SCSIOP_READ_POSITION                 0x34
#define SCSIOP_SYNCHRONIZE_CACHE             0x35
#define SCSIOP_COMPARE                       0x39
#define SCSIOP_COPY_COMPARE                  0x3A
#define SCSIOP_WRITE_DATA_BUFF               0x3B
#define SCSIOP_READ_DATA_BUFF                0x3C
#define SCSIOP_WRITE_LONG                    0x3F
#define SCSIOP_CHANGE_DEFINITION             0x40
#define SCSIOP_WRITE_SAME                    0x41
#define SCSIOP_READ_SUB_CHANNEL              0x42
#define SCSIOP_UNMAP                         0x42
#define SCSIOP_READ_TOC                      0x43
#define SCSIOP_READ_HEADER                   0x44
#define SCSIOP_REPORT_DENSITY_SUPPORT        0x44
#define SCSIOP_PLAY_AUDIO                    0x45
#define SCSIOP_GET_CONFIGURATION             0x46
#define SCSIOP_PLAY_AUDIO_MSF                0x47
#define SCSIOP_PLAY_TRACK_INDEX              0x48
#define SCSIOP_SANITIZE                      0x48
#define SCSIOP_PLAY_TRACK_RELATIVE           0x49
#define SCSIOP_GET_EVENT_STATUS              0x4A
#define SCSIOP_PAUSE_RESUME                  0x4B
#define SCSIOP_LOG_SELECT                    0x4C
#define SCSIOP_LOG_SENSE                     0x4D
#define SCSIOP_STOP_PLAY_SCAN                0x4E
#define SCSIOP_XDWRITE                       0x50
#define SCSIOP_READ_DISC_INFORMATION         0x51
#define SCSIOP_READ_DISK_INFORMATION         0x51
#define SCSIOP_XPWRITE                       0x51
#define SCSIOP_READ_TRACK_INFORMATION        0x52
#define SCSIOP_RESERVE_TRACK_RZONE           0x53
#define SCSIOP_XDWRITE_READ                  0x53
#define SCSIOP_SEND_OPC_INFORMATION          0x54
#define SCSIOP_MODE_SELECT10                 0x55
#define SCSIOP_RESERVE_ELEMENT               0x56
#define SCSIOP_RESERVE_UNIT10                0x56
#define SCSIOP_RELEASE_ELEMENT               0x57
#define SCSIOP_RELEASE_UNIT10                0x57
#define SCSIOP_REPAIR_TRACK                  0x58
#define SCSIOP_MODE_SENSE10                  0x5A
#define SCSIOP_CLOSE_TRACK_SESSION           0x5B
#define SCSIOP_READ_BUFFER_CAPACITY          0x5C
#define SCSIOP_SEND_CUE_SHEET                0x5D
#define SCSIOP_PERSISTENT_RESERVE_IN         0x5E
#define SCSIOP_PERSISTENT_RESERVE_OUT        0x5F
#define SCSIOP_OPERATION32                   0x7F
#define SCSIOP_WRITE_FILEMARKS16             0x80
#define SCSIOP_XDWRITE_EXTENDED16            0x80
#define SCSIOP_READ_REVERSE16                0x81
#define SCSIOP_REBUILD16                     0x81
#define SCSIOP_REGENERATE16                  0x82
#define SCSIOP_EXTENDED_COPY                 0x83
#define SCSIOP_POPULATE_TOKEN                0x83
#define SCSIOP_WRITE_USING_TOKEN             0x83
#define SCSIOP_RECEIVE_COPY_RESULTS          0x84
#define SCSIOP_RECEIVE_ROD_TOKEN_INFORMATION 0x84
#define SCSIOP_ATA_PASSTHROUGH16             0x85
#define SCSIOP_ACCESS_CONTROL_IN             0x86
#define SCSIOP_ACCESS_CONTROL_OUT            0x87
#define SCSIOP_READ16                        0x88
#define SCSIOP_COMPARE_AND_WRITE             0x89
#define SCSIOP_WRITE16                       0x8A
#define SCSIOP_READ_ATTRIBUTES               0x8C
#define SCSIOP_WRITE_ATTRIBUTES              0x8D
#define SCSIOP_WRITE_VERIFY16                0x8E
#define SCSIOP_VERIFY16                      0x8F
#define SCSIOP_PREFETCH16                    0x90
#define SCSIOP_SPACE16                       0x91
#define SCSIOP_SYNCHRONIZE_CACHE16           0x91
#define SCSIOP_LOCATE16                      0x92
#define SCSIOP_LOCK_UNLOCK_CACHE16           0x92
#define SCSIOP_ERASE16                       0x93
#define SCSIOP_WRITE_SAME16                  0x93
#define SCSIOP_ZBC_OUT                       0x94
#define SCSIOP_ZBC_IN                        0x95
#define SCSIOP_READ_DATA_BUFF16              0x9B
#define SCSIOP_GET_LBA_STATUS                0x9E
#define SCSIOP_GET_PHYSICAL_ELEMENT_STATUS   0x9E
#define SCSIOP_READ_CAPACITY16               0x9E
#define SCSIOP_REMOVE_ELEMENT_AND_TRUNCATE   0x9E
#define SCSIOP_SERVICE_ACTION_IN16           0x9E
#define SCSIOP_SERVICE_ACTION_OUT16          0x9F
#define SCSIOP_REPORT_LUNS                   0xA0
#define SCSIOP_ATA_PASSTHROUGH12             0xA1
#define SCSIOP_BLANK                         0xA1
#define SCSIOP_SECURITY_PROTOCOL_IN          0xA2
#define SCSIOP_SEND_EVENT                    0xA2
#define SCSIOP_MAINTENANCE_IN                0xA3
#define SCSIOP_SEND_KEY                      0xA3
#define SCSIOP_MAINTENANCE_OUT               0xA4
#define SCSIOP_REPORT_KEY                    0xA4
#define SCSIOP_MOVE_MEDIUM                   0xA5
#define SCSIOP_EXCHANGE_MEDIUM               0xA6
#define SCSIOP_LOAD_UNLOAD_SLOT              0xA6
#define SCSIOP_MOVE_MEDIUM_ATTACHED          0xA7
#define SCSIOP_SET_READ_AHEAD                0xA7
#define SCSIOP_GET_MESSAGE                   0xA8
#define SCSIOP_READ12                        0xA8
#define SCSIOP_SERVICE_ACTION_OUT12          0xA9
#define SCSIOP_WRITE12                       0xAA
#define SCSIOP_SEND_MESSAGE                  0xAB
#define SCSIOP_SERVICE_ACTION_IN12           0xAB
#define SCSIOP_GET_PERFORMANCE               0xAC
#define SCSIOP_READ_DVD_STRUCTURE            0xAD
#define SCSIOP_WRITE_VERIFY12                0xAE
#define SCSIOP_VERIFY12                      0xAF
#define SCSIOP_SEARCH_DATA_HIGH12            0xB0
#define SCSIOP_SEARCH_DATA_EQUAL12           0xB1
#define SCSIOP_SEARCH_DATA_LOW12             0xB2
#define SCSIOP_SET_LIMITS12                  0xB3
#define SCSIOP_READ_ELEMENT_STATUS_ATTACHED  0xB4
#define SCSIOP_REQUEST_VOL_ELEMENT           0xB5
#define SCSIOP_SECURITY_PROTOCOL_OUT         0xB5
#define SCSIOP_SEND_VOLUME_TAG               0xB6
#define SCSIOP_SET_STREAMING                 0xB6
#define SCSIOP_READ_DEFECT_DATA              0xB7
#define SCSIOP_READ_ELEMENT_STATUS           0xB8
#define SCSIOP_READ_CD_MSF                   0xB9
#define SCSIOP_REDUNDANCY_GROUP_IN           0xBA
#define SCSIOP_SCAN_CD                       0xBA
#define SCSIOP_REDUNDANCY_GROUP_OUT          0xBB
#define SCSIOP_SET_CD_SPEED                  0xBB
#define SCSIOP_PLAY_CD                       0xBC
#define SCSIOP_SPARE_IN                      0xBC
#define SCSIOP_MECHANISM_STATUS              0xBD
#define SCSIOP_SPARE_OUT                     0xBD
#define SCSIOP_READ_CD                       0xBE
#define SCSIOP_VOLUME_SET_IN                 0xBE
#define SCSIOP_SEND_DVD_STRUCTURE            0xBF
#define SCSIOP_VOLUME_SET_OUT                0xBF
#define SCSIOP_DENON_EJECT_DISC              0xE6
#define SCSIOP_DENON_STOP_AUDIO              0xE7
#define SCSIOP_INIT_ELEMENT_RANGE            0xE7
#define SCSIOP_DENON_PLAY_AUDIO              0xE8
#define SCSIOP_DENON_READ_TOC                0xE9
#define SCSIOP_DENON_READ_SUBCODE            0xEB

/* --- SCSI status ---------------------------------------------------------- */

#define SCSISTAT_GOOD                  0x00
#define SCSISTAT_CHECK_CONDITION       0x02
#define SCSISTAT_CONDITION_MET         0x04
#define SCSISTAT_BUSY                  0x08
#define SCSISTAT_INTERMEDIATE          0x10
#define SCSISTAT_INTERMEDIATE_COND_MET 0x14
#define SCSISTAT_RESERVATION_CONFLICT  0x18
#define SCSISTAT_COMMAND_TERMINATED    0x22
#define SCSISTAT_QUEUE_FULL            0x28

/* --- sense data ----------------------------------------------------------- */

typedef struct _SENSE_DATA {
    UCHAR ErrorCode : 7;
    UCHAR Valid : 1;
    UCHAR SegmentNumber;
    UCHAR SenseKey : 4;
    UCHAR Reserved : 1;
    UCHAR IncorrectLength : 1;
    UCHAR EndOfMedia : 1;
    UCHAR FileMark : 1;
    UCHAR Information[4];
    UCHAR AdditionalSenseLength;
    UCHAR CommandSpecificInformation[4];
    UCHAR AdditionalSenseCode;
    UCHAR AdditionalSenseCodeQualifier;
    UCHAR FieldReplaceableUnitCode;
    UCHAR SenseKeySpecific[3];
} SENSE_DATA, *PSENSE_DATA;
typedef SENSE_DATA FIXED_SENSE_DATA, *PFIXED_SENSE_DATA;

#define SENSE_BUFFER_SIZE 0x12
#define SENSE_BUFFER_SIZE_EX 255

#define SCSI_SENSE_ERRORCODE_FIXED_CURRENT       0x70
#define SCSI_SENSE_ERRORCODE_FIXED_DEFERRED      0x71
#define SCSI_SENSE_ERRORCODE_DESCRIPTOR_CURRENT  0x72
#define SCSI_SENSE_ERRORCODE_DESCRIPTOR_DEFERRED 0x73

typedef struct _DESCRIPTOR_SENSE_DATA {
    UCHAR ErrorCode : 7;
    UCHAR Reserved1 : 1;
    UCHAR SenseKey : 4;
    UCHAR Reserved2 : 4;
    UCHAR AdditionalSenseCode;
    UCHAR AdditionalSenseCodeQualifier;
    UCHAR Reserved3[3];
    UCHAR AdditionalSenseLength;
    UCHAR DescriptorBuffer[ANYSIZE_ARRAY];
} DESCRIPTOR_SENSE_DATA, *PDESCRIPTOR_SENSE_DATA;

typedef struct _SCSI_SENSE_DESCRIPTOR_HEADER {
    UCHAR DescriptorType;
    UCHAR AdditionalLength;
} SCSI_SENSE_DESCRIPTOR_HEADER, *PSCSI_SENSE_DESCRIPTOR_HEADER;

#define SCSI_SENSE_DESCRIPTOR_TYPE_INFORMATION 0x00

typedef struct _SCSI_SENSE_DESCRIPTOR_INFORMATION {
    SCSI_SENSE_DESCRIPTOR_HEADER Header;
    UCHAR Reserved1 : 7;
    UCHAR Valid : 1;
    UCHAR Reserved2;
    UCHAR Information[8];
} SCSI_SENSE_DESCRIPTOR_INFORMATION, *PSCSI_SENSE_DESCRIPTOR_INFORMATION;

/* Sense keys. */
#define SCSI_SENSE_NO_SENSE        0x00
#define SCSI_SENSE_RECOVERED_ERROR 0x01
#define SCSI_SENSE_NOT_READY       0x02
#define SCSI_SENSE_MEDIUM_ERROR    0x03
#define SCSI_SENSE_HARDWARE_ERROR  0x04
#define SCSI_SENSE_ILLEGAL_REQUEST 0x05
#define SCSI_SENSE_UNIT_ATTENTION  0x06
#define SCSI_SENSE_DATA_PROTECT    0x07
#define SCSI_SENSE_BLANK_CHECK     0x08
#define SCSI_SENSE_UNIQUE          0x09
#define SCSI_SENSE_COPY_ABORTED    0x0A
#define SCSI_SENSE_ABORTED_COMMAND 0x0B
#define SCSI_SENSE_EQUAL           0x0C
#define SCSI_SENSE_VOL_OVERFLOW    0x0D
#define SCSI_SENSE_MISCOMPARE      0x0E
#define SCSI_SENSE_RESERVED        0x0F

/* Additional sense codes. */
#define SCSI_ADSENSE_NO_SENSE                              0x00
#define SCSI_ADSENSE_NO_SEEK_COMPLETE                      0x02
#define SCSI_ADSENSE_LUN_NOT_READY                         0x04
#define SCSI_ADSENSE_LUN_COMMUNICATION                     0x08
#define SCSI_ADSENSE_WRITE_ERROR                           0x0C
#define SCSI_ADSENSE_TRACK_ERROR                           0x14
#define SCSI_ADSENSE_SEEK_ERROR                            0x15
#define SCSI_ADSENSE_REC_DATA_NOECC                        0x17
#define SCSI_ADSENSE_REC_DATA_ECC                          0x18
#define SCSI_ADSENSE_PARAMETER_LIST_LENGTH                 0x1A
#define SCSI_ADSENSE_ILLEGAL_COMMAND                       0x20
#define SCSI_ADSENSE_ILLEGAL_BLOCK                         0x21
#define SCSI_ADSENSE_INVALID_CDB                           0x24
#define SCSI_ADSENSE_INVALID_LUN                           0x25
#define SCSI_ADSENSE_INVALID_FIELD_PARAMETER_LIST          0x26
#define SCSI_ADSENSE_WRITE_PROTECT                         0x27
#define SCSI_ADSENSE_MEDIUM_CHANGED                        0x28
#define SCSI_ADSENSE_BUS_RESET                             0x29
#define SCSI_ADSENSE_PARAMETERS_CHANGED                    0x2A
#define SCSI_ADSENSE_INSUFFICIENT_TIME_FOR_OPERATION       0x2E
#define SCSI_ADSENSE_INVALID_MEDIA                         0x30
#define SCSI_ADSENSE_NO_MEDIA_IN_DEVICE                    0x3A
#define SCSI_ADSENSE_POSITION_ERROR                        0x3B
#define SCSI_ADSENSE_OPERATING_CONDITIONS_CHANGED          0x3F
#define SCSI_ADSENSE_OPERATOR_REQUEST                      0x5A
#define SCSI_ADSENSE_FAILURE_PREDICTION_THRESHOLD_EXCEEDED 0x5D
#define SCSI_FAILURE_PREDICTION_THRESHOLD_EXCEEDED         0x5D
#define SCSI_ADSENSE_ILLEGAL_MODE_FOR_THIS_TRACK           0x64
#define SCSI_ADSENSE_COPY_PROTECTION_FAILURE               0x6F
#define SCSI_ADSENSE_POWER_CALIBRATION_ERROR               0x73
#define SCSI_ADSENSE_VENDOR_UNIQUE                         0x80
#define SCSI_ADSENSE_MUSIC_AREA                            0xA0
#define SCSI_ADSENSE_DATA_AREA                             0xA1
#define SCSI_ADSENSE_VOLUME_OVERFLOW                       0xA7
#define SCSI_ADSENSE_LB_PROVISIONING 0x38
#define SCSI_ADSENSE_LOGICAL_UNIT_ERROR 0x3E
#define SCSI_ADSENSE_DATA_TRANSFER_ERROR 0x4B

/* Qualifiers; the meaning depends on the code. */
#define SCSI_SENSEQ_AUTHENTICATION_FAILURE                          0x00
#define SCSI_SENSEQ_CAUSE_NOT_REPORTABLE                            0x00
#define SCSI_SENSEQ_COMM_FAILURE                                    0x00
#define SCSI_SENSEQ_INCOMPATIBLE_MEDIA_INSTALLED                    0x00
#define SCSI_SENSEQ_STATE_CHANGE_INPUT                              0x00
#define SCSI_SENSEQ_TARGET_OPERATING_CONDITIONS_CHANGED             0x00
#define SCSI_SENSEQ_BECOMING_READY                                  0x01
#define SCSI_SENSEQ_COMM_TIMEOUT                                    0x01
#define SCSI_SENSEQ_FILEMARK_DETECTED                               0x01
#define SCSI_SENSEQ_ILLEGAL_ELEMENT_ADDR                            0x01
#define SCSI_SENSEQ_KEY_NOT_PRESENT                                 0x01
#define SCSI_SENSEQ_MEDIUM_REMOVAL                                  0x01
#define SCSI_SENSEQ_MICROCODE_CHANGED                               0x01
#define SCSI_SENSEQ_POWER_CALIBRATION_AREA_ALMOST_FULL              0x01
#define SCSI_SENSEQ_UNKNOWN_FORMAT                                  0x01
#define SCSI_SENSEQ_COMM_PARITY_ERROR                               0x02
#define SCSI_SENSEQ_END_OF_MEDIA_DETECTED                           0x02
#define SCSI_SENSEQ_INCOMPATIBLE_FORMAT                             0x02
#define SCSI_SENSEQ_INIT_COMMAND_REQUIRED                           0x02
#define SCSI_SENSEQ_KEY_NOT_ESTABLISHED                             0x02
#define SCSI_SENSEQ_OPERATING_DEFINITION_CHANGED                    0x02
#define SCSI_SENSEQ_POWER_CALIBRATION_AREA_FULL                     0x02
#define SCSI_SENSEQ_WRITE_PROTECT_ENABLE                            0x02
#define SCSI_SENSEQ_CLEANING_CARTRIDGE_INSTALLED                    0x03
#define SCSI_SENSEQ_INQUIRY_DATA_CHANGED                            0x03
#define SCSI_SENSEQ_MANUAL_INTERVENTION_REQUIRED                    0x03
#define SCSI_SENSEQ_POWER_CALIBRATION_AREA_ERROR                    0x03
#define SCSI_SENSEQ_READ_OF_SCRAMBLED_SECTOR_WITHOUT_AUTHENTICATION 0x03
#define SCSI_SENSEQ_SETMARK_DETECTED                                0x03
#define SCSI_SENSEQ_WRITE_PROTECT_DISABLE                           0x03
#define SCSI_SESNEQ_COMM_CRC_ERROR                                  0x03
#define SCSI_SENSEQ_BEGINNING_OF_MEDIA_DETECTED                     0x04
#define SCSI_SENSEQ_COMPONENT_DEVICE_ATTACHED                       0x04
#define SCSI_SENSEQ_FORMAT_IN_PROGRESS                              0x04
#define SCSI_SENSEQ_MEDIA_CODE_MISMATCHED_TO_LOGICAL_UNIT           0x04
#define SCSI_SENSEQ_PMA_RMA_UPDATE_FAILURE                          0x04
#define SCSI_SENSEQ_UNREACHABLE_TARGET                              0x04
#define SCSI_SENSEQ_DEVICE_IDENTIFIER_CHANGED                       0x05
#define SCSI_SENSEQ_LOGICAL_UNIT_RESET_COUNT_ERROR                  0x05
#define SCSI_SENSEQ_PMA_RMA_IS_FULL                                 0x05
#define SCSI_SENSEQ_REBUILD_IN_PROGRESS                             0x05
#define SCSI_SENSEQ_PMA_RMA_ALMOST_FULL                             0x06
#define SCSI_SENSEQ_RECALCULATION_IN_PROGRESS                       0x06
#define SCSI_SENSEQ_REDUNDANCY_GROUP_MODIFIED                       0x06
#define SCSI_SENSEQ_OPERATION_IN_PROGRESS                           0x07
#define SCSI_SENSEQ_REDUNDANCY_GROUP_DELETED                        0x07
#define SCSI_SENSEQ_LONG_WRITE_IN_PROGRESS                          0x08
#define SCSI_SENSEQ_SPARE_MODIFIED                                  0x08
#define SCSI_SENSEQ_LOSS_OF_STREAMING                               0x09
#define SCSI_SENSEQ_SPARE_DELETED                                   0x09
#define SCSI_SENSEQ_PADDING_BLOCKS_ADDED                            0x0A
#define SCSI_SENSEQ_VOLUME_SET_MODIFIED                             0x0A
#define SCSI_SENSEQ_VOLUME_SET_DELETED                              0x0B
#define SCSI_SENSEQ_VOLUME_SET_DEASSIGNED                           0x0C
#define SCSI_SENSEQ_DESTINATION_FULL                                0x0D
#define SCSI_SENSEQ_VOLUME_SET_REASSIGNED                           0x0D
#define SCSI_SENSEQ_REPORTED_LUNS_DATA_CHANGED                      0x0E
#define SCSI_SENSEQ_SOURCE_EMPTY                                    0x0E
#define SCSI_SENSEQ_ECHO_BUFFER_OVERWRITTEN                         0x0F
#define SCSI_SENSEQ_MEDIUM_LOADABLE                                 0x10
#define SCSI_SENSEQ_MEDIUM_AUXILIARY_MEMORY_ACCESSIBLE              0x11
#define SCSI_SENSEQ_SPACE_ALLOC_IN_PROGRESS 0x14
#define SCSI_SENSEQ_SPACE_ALLOC_FAILED      0x07
#define SCSI_SENSEQ_CAPACITY_DATA_CHANGED   0x09

/* --- INQUIRY -------------------------------------------------------------- */

typedef struct _INQUIRYDATA {
    UCHAR DeviceType : 5;
    UCHAR DeviceTypeQualifier : 3;
    UCHAR DeviceTypeModifier : 7;
    UCHAR RemovableMedia : 1;
    union {
        UCHAR Versions;
        struct {
            UCHAR ANSIVersion : 3;
            UCHAR ECMAVersion : 3;
            UCHAR ISOVersion : 2;
        };
    };
    UCHAR ResponseDataFormat : 4;
    UCHAR HiSupport : 1;
    UCHAR NormACA : 1;
    UCHAR TerminateTask : 1;
    UCHAR AERC : 1;
    UCHAR AdditionalLength;
    UCHAR Reserved;
    UCHAR Addr16 : 1;
    UCHAR Addr32 : 1;
    UCHAR AckReqQ : 1;
    UCHAR MediumChanger : 1;
    UCHAR MultiPort : 1;
    UCHAR ReservedBit2 : 1;
    UCHAR EnclosureServices : 1;
    UCHAR ReservedBit3 : 1;
    UCHAR SoftReset : 1;
    UCHAR CommandQueue : 1;
    UCHAR TransferDisable : 1;
    UCHAR LinkedCommands : 1;
    UCHAR Synchronous : 1;
    UCHAR Wide16Bit : 1;
    UCHAR Wide32Bit : 1;
    UCHAR RelativeAddressing : 1;
    UCHAR VendorId[8];
    UCHAR ProductId[16];
    UCHAR ProductRevisionLevel[4];
    UCHAR VendorSpecific[20];
    UCHAR Reserved3[40];
} INQUIRYDATA, *PINQUIRYDATA;

#define DEVICE_CONNECTED               0x00
#define DEVICE_QUALIFIER_ACTIVE        0x00
#define DEVICE_QUALIFIER_NOT_ACTIVE    0x01
#define DEVICE_QUALIFIER_NOT_SUPPORTED 0x03
#define INQUIRYDATABUFFERSIZE          0x24

/* Peripheral device types. */
#define DIRECT_ACCESS_DEVICE            0x00
#define SEQUENTIAL_ACCESS_DEVICE        0x01
#define PRINTER_DEVICE                  0x02
#define PROCESSOR_DEVICE                0x03
#define WRITE_ONCE_READ_MULTIPLE_DEVICE 0x04
#define READ_ONLY_DIRECT_ACCESS_DEVICE  0x05
#define SCANNER_DEVICE                  0x06
#define OPTICAL_DEVICE                  0x07
#define MEDIUM_CHANGER                  0x08
#define COMMUNICATION_DEVICE            0x09
#define LOGICAL_UNIT_NOT_PRESENT_DEVICE 0x7F

/* Vital product data. */
#define VPD_SUPPORTED_PAGES     0x00
#define VPD_SERIAL_NUMBER       0x80
#define VPD_DEVICE_IDENTIFIERS  0x83
#define VPD_MEDIA_SERIAL_NUMBER 0x84
#define VPD_MAX_BUFFER_SIZE     0xFF
#define VPD_BLOCK_LIMITS 0xB0
#define VPD_BLOCK_DEVICE_CHARACTERISTICS 0xB1
#define VPD_LOGICAL_BLOCK_PROVISIONING 0xB2

typedef struct _VPD_SUPPORTED_PAGES_PAGE {
    UCHAR DeviceType : 5;
    UCHAR DeviceTypeQualifier : 3;
    UCHAR PageCode;
    UCHAR Reserved;
    UCHAR PageLength;
    UCHAR SupportedPageList[0];
} VPD_SUPPORTED_PAGES_PAGE, *PVPD_SUPPORTED_PAGES_PAGE;

typedef struct _VPD_SERIAL_NUMBER_PAGE {
    UCHAR DeviceType : 5;
    UCHAR DeviceTypeQualifier : 3;
    UCHAR PageCode;
    UCHAR Reserved;
    UCHAR PageLength;
    UCHAR SerialNumber[0];
} VPD_SERIAL_NUMBER_PAGE, *PVPD_SERIAL_NUMBER_PAGE;

typedef struct _VPD_IDENTIFICATION_DESCRIPTOR {
    UCHAR CodeSet : 4;
    UCHAR Reserved : 4;
    UCHAR IdentifierType : 4;
    UCHAR Association : 2;
    UCHAR Reserved2 : 2;
    UCHAR Reserved3;
    UCHAR IdentifierLength;
    UCHAR Identifier[0];
} VPD_IDENTIFICATION_DESCRIPTOR, *PVPD_IDENTIFICATION_DESCRIPTOR;

typedef struct _VPD_IDENTIFICATION_PAGE {
    UCHAR DeviceType : 5;
    UCHAR DeviceTypeQualifier : 3;
    UCHAR PageCode;
    UCHAR Reserved;
    UCHAR PageLength;
    UCHAR Descriptors[0];
} VPD_IDENTIFICATION_PAGE, *PVPD_IDENTIFICATION_PAGE;

typedef struct _VPD_BLOCK_LIMITS_PAGE {
    UCHAR DeviceType : 5;
    UCHAR DeviceTypeQualifier : 3;
    UCHAR PageCode;
    UCHAR PageLength[2];
    UCHAR Reserved0;
    UCHAR MaximumCompareAndWriteLength;
    UCHAR OptimalTransferLengthGranularity[2];
    UCHAR MaximumTransferLength[4];
    UCHAR OptimalTransferLength[4];
    UCHAR MaxPrefetchXDReadXDWriteTransferLength[4];
    UCHAR MaximumUnmapLBACount[4];
    UCHAR MaximumUnmapBlockDescriptorCount[4];
    UCHAR OptimalUnmapGranularity[4];
    UCHAR UnmapGranularityAlignmentByte3 : 7;
    UCHAR UGAValid : 1;
    UCHAR UnmapGranularityAlignmentByte2;
    UCHAR UnmapGranularityAlignmentByte1;
    UCHAR UnmapGranularityAlignmentByte0;
    UCHAR Reserved1[28];
} VPD_BLOCK_LIMITS_PAGE, *PVPD_BLOCK_LIMITS_PAGE;

typedef struct _VPD_LOGICAL_BLOCK_PROVISIONING_PAGE {
    UCHAR DeviceType : 5;
    UCHAR DeviceTypeQualifier : 3;
    UCHAR PageCode;
    UCHAR PageLength[2];
    UCHAR ThresholdExponent;
    UCHAR DP : 1;
    UCHAR ANC_SUP : 1;
    UCHAR LBPRZ : 1;
    UCHAR Reserved0 : 2;
    UCHAR LBPWS10 : 1;
    UCHAR LBPWS : 1;
    UCHAR LBPU : 1;
    UCHAR ProvisioningType : 3;
    UCHAR Reserved1 : 5;
    UCHAR Reserved2;
} VPD_LOGICAL_BLOCK_PROVISIONING_PAGE, *PVPD_LOGICAL_BLOCK_PROVISIONING_PAGE;

/* --- READ CAPACITY -------------------------------------------------------- */

/* Big-endian on the wire; class drivers turn them round in place. */
typedef struct _READ_CAPACITY_DATA {
    ULONG LogicalBlockAddress;
    ULONG BytesPerBlock;
} READ_CAPACITY_DATA, *PREAD_CAPACITY_DATA;

typedef struct _READ_CAPACITY_DATA_EX {
    LARGE_INTEGER LogicalBlockAddress;
    ULONG BytesPerBlock;
} READ_CAPACITY_DATA_EX, *PREAD_CAPACITY_DATA_EX;

typedef struct _READ_CAPACITY16_DATA {
    LARGE_INTEGER LogicalBlockAddress;
    ULONG BytesPerBlock;
    UCHAR ProtectionEnable : 1;
    UCHAR ProtectionType : 3;
    UCHAR RcBasisSupport : 2;
    UCHAR Reserved : 2;
    UCHAR LogicalPerPhysicalExponent : 4;
    UCHAR ProtectionInfoExponent : 4;
    UCHAR LowestAlignedBlock_MSB : 6;
    UCHAR LBPRZ : 1;
    UCHAR LBPME : 1;
    UCHAR LowestAlignedBlock_LSB;
    UCHAR Reserved3[16];
} READ_CAPACITY16_DATA, *PREAD_CAPACITY16_DATA;

/* --- persistent reservations ---------------------------------------------- */

#define RESERVATION_ACTION_READ_KEYS         0x00
#define RESERVATION_ACTION_READ_RESERVATIONS 0x01

#define RESERVATION_ACTION_REGISTER                 0x00
#define RESERVATION_ACTION_RESERVE                  0x01
#define RESERVATION_ACTION_RELEASE                  0x02
#define RESERVATION_ACTION_CLEAR                    0x03
#define RESERVATION_ACTION_PREEMPT                  0x04
#define RESERVATION_ACTION_PREEMPT_ABORT            0x05
#define RESERVATION_ACTION_REGISTER_IGNORE_EXISTING 0x06

#define RESERVATION_SCOPE_LU      0x00
#define RESERVATION_SCOPE_ELEMENT 0x02

#define RESERVATION_TYPE_WRITE_EXCLUSIVE             0x01
#define RESERVATION_TYPE_EXCLUSIVE                   0x03
#define RESERVATION_TYPE_WRITE_EXCLUSIVE_REGISTRANTS 0x05
#define RESERVATION_TYPE_EXCLUSIVE_REGISTRANTS       0x06

typedef struct _PRI_REGISTRATION_LIST {
    UCHAR Generation[4];
    UCHAR AdditionalLength[4];
    UCHAR ReservationKeyList[0][8];
} PRI_REGISTRATION_LIST, *PPRI_REGISTRATION_LIST;

typedef struct _PRI_RESERVATION_DESCRIPTOR {
    UCHAR ReservationKey[8];
    UCHAR ScopeSpecificAddress[4];
    UCHAR Reserved;
    UCHAR Type : 4;
    UCHAR Scope : 4;
    UCHAR Obsolete[2];
} PRI_RESERVATION_DESCRIPTOR, *PPRI_RESERVATION_DESCRIPTOR;

typedef struct _PRI_RESERVATION_LIST {
    UCHAR Generation[4];
    UCHAR AdditionalLength[4];
    PRI_RESERVATION_DESCRIPTOR Reservations[0];
} PRI_RESERVATION_LIST, *PPRI_RESERVATION_LIST;

typedef struct _PRO_PARAMETER_LIST {
    UCHAR ReservationKey[8];
    UCHAR ServiceActionReservationKey[8];
    UCHAR ScopeSpecificAddress[4];
    UCHAR ActivatePersistThroughPowerLoss : 1;
    UCHAR Reserved1 : 7;
    UCHAR Reserved2;
    UCHAR Obsolete[2];
} PRO_PARAMETER_LIST, *PPRO_PARAMETER_LIST;

/* --- mode parameters ------------------------------------------------------ */

typedef struct _MODE_PARAMETER_HEADER {
    UCHAR ModeDataLength;
    UCHAR MediumType;
    UCHAR DeviceSpecificParameter;
    UCHAR BlockDescriptorLength;
} MODE_PARAMETER_HEADER, *PMODE_PARAMETER_HEADER;

typedef struct _MODE_PARAMETER_HEADER10 {
    UCHAR ModeDataLength[2];
    UCHAR MediumType;
    UCHAR DeviceSpecificParameter;
    UCHAR Reserved[2];
    UCHAR BlockDescriptorLength[2];
} MODE_PARAMETER_HEADER10, *PMODE_PARAMETER_HEADER10;

typedef struct _MODE_PARAMETER_BLOCK {
    UCHAR DensityCode;
    UCHAR NumberOfBlocks[3];
    UCHAR Reserved;
    UCHAR BlockLength[3];
} MODE_PARAMETER_BLOCK, *PMODE_PARAMETER_BLOCK;

typedef struct _MODE_CACHING_PAGE {
    UCHAR PageCode : 6;
    UCHAR Reserved : 1;
    UCHAR PageSavable : 1;
    UCHAR PageLength;
    UCHAR ReadDisableCache : 1;
    UCHAR MultiplicationFactor : 1;
    UCHAR WriteCacheEnable : 1;
    UCHAR Reserved2 : 5;
    UCHAR WriteRetensionPriority : 4;
    UCHAR ReadRetensionPriority : 4;
    UCHAR DisablePrefetchTransfer[2];
    UCHAR MinimumPrefetch[2];
    UCHAR MaximumPrefetch[2];
    UCHAR MaximumPrefetchCeiling[2];
} MODE_CACHING_PAGE, *PMODE_CACHING_PAGE;

typedef struct _MODE_INFO_EXCEPTIONS {
    UCHAR PageCode : 6;
    UCHAR Reserved1 : 1;
    UCHAR PSBit : 1;
    UCHAR PageLength;
    union {
        UCHAR Flags;
        struct {
            UCHAR LogErr : 1;
            UCHAR Reserved2 : 1;
            UCHAR Test : 1;
            UCHAR Dexcpt : 1;
            UCHAR Reserved3 : 3;
            UCHAR Perf : 1;
        };
    };
    UCHAR ReportMethod : 4;
    UCHAR Reserved4 : 4;
    UCHAR IntervalTimer[4];
    UCHAR ReportCount[4];
} MODE_INFO_EXCEPTIONS, *PMODE_INFO_EXCEPTIONS;

typedef struct _MODE_READ_WRITE_RECOVERY_PAGE {
    UCHAR PageCode : 6;
    UCHAR Reserved1 : 1;
    UCHAR PSBit : 1;
    UCHAR PageLength;
    UCHAR DCRBit : 1;
    UCHAR DTEBit : 1;
    UCHAR PERBit : 1;
    UCHAR EERBit : 1;
    UCHAR RCBit : 1;
    UCHAR TBBit : 1;
    UCHAR ARRE : 1;
    UCHAR AWRE : 1;
    UCHAR ReadRetryCount;
    UCHAR Reserved4[4];
    UCHAR WriteRetryCount;
    UCHAR Reserved5[3];
} MODE_READ_WRITE_RECOVERY_PAGE, *PMODE_READ_WRITE_RECOVERY_PAGE;

typedef struct _MODE_FLEXIBLE_DISK_PAGE {
    UCHAR PageCode : 6;
    UCHAR Reserved : 1;
    UCHAR PageSavable : 1;
    UCHAR PageLength;
    UCHAR TransferRate[2];
    UCHAR NumberOfHeads;
    UCHAR SectorsPerTrack;
    UCHAR BytesPerSector[2];
    UCHAR NumberOfCylinders[2];
    UCHAR StartWritePrecom[2];
    UCHAR StartReducedCurrent[2];
    UCHAR StepRate[2];
    UCHAR StepPluseWidth;
    UCHAR HeadSettleDelay[2];
    UCHAR MotorOnDelay;
    UCHAR MotorOffDelay;
    UCHAR Reserved2 : 5;
    UCHAR MotorOnAsserted : 1;
    UCHAR StartSectorNumber : 1;
    UCHAR TrueReadySignal : 1;
    UCHAR StepPlusePerCyclynder : 4;
    UCHAR Reserved3 : 4;
    UCHAR WriteCompenstation;
    UCHAR HeadLoadDelay;
    UCHAR HeadUnloadDelay;
    UCHAR Pin2Usage : 4;
    UCHAR Pin34Usage : 4;
    UCHAR Pin1Usage : 4;
    UCHAR Pin4Usage : 4;
    UCHAR MediumRotationRate[2];
    UCHAR Reserved4[2];
} MODE_FLEXIBLE_DISK_PAGE, *PMODE_FLEXIBLE_DISK_PAGE;

typedef struct _MODE_FORMAT_PAGE {
    UCHAR PageCode : 6;
    UCHAR Reserved : 1;
    UCHAR PageSavable : 1;
    UCHAR PageLength;
    UCHAR TracksPerZone[2];
    UCHAR AlternateSectorsPerZone[2];
    UCHAR AlternateTracksPerZone[2];
    UCHAR AlternateTracksPerLogicalUnit[2];
    UCHAR SectorsPerTrack[2];
    UCHAR BytesPerPhysicalSector[2];
    UCHAR Interleave[2];
    UCHAR TrackSkewFactor[2];
    UCHAR CylinderSkewFactor[2];
    UCHAR Reserved2 : 4;
    UCHAR SurfaceFirst : 1;
    UCHAR RemovableMedia : 1;
    UCHAR HardSectorFormating : 1;
    UCHAR SoftSectorFormating : 1;
    UCHAR Reserved3[3];
} MODE_FORMAT_PAGE, *PMODE_FORMAT_PAGE;

typedef struct _MODE_RIGID_GEOMETRY_PAGE {
    UCHAR PageCode : 6;
    UCHAR Reserved : 1;
    UCHAR PageSavable : 1;
    UCHAR PageLength;
    UCHAR NumberOfCylinders[3];
    UCHAR NumberOfHeads;
    UCHAR StartWritePrecom[3];
    UCHAR StartReducedCurrent[3];
    UCHAR DriveStepRate[2];
    UCHAR LandZoneCyclinder[3];
    UCHAR RotationalPositionLock : 2;
    UCHAR Reserved2 : 6;
    UCHAR RotationOffset;
    UCHAR Reserved3;
    UCHAR RoataionRate[2];
    UCHAR Reserved4[2];
} MODE_RIGID_GEOMETRY_PAGE, *PMODE_RIGID_GEOMETRY_PAGE;

#define MODE_SENSE_CURRENT_VALUES    0x00
#define MODE_FD_SINGLE_SIDE          0x01
#define MODE_FD_DOUBLE_SIDE          0x02
#define MODE_HEADER_LENGTH           0x04
#define MODE_SELECT_IMMEDIATE        0x04
#define MODE_BLOCK_DESC_LENGTH       0x08
#define MODE_HEADER_LENGTH10         0x08
#define MODE_DSP_FUA_SUPPORTED       0x10
#define MODE_SELECT_PFBIT            0x10
#define MODE_FD_MAXIMUM_TYPE         0x1E
#define MODE_SENSE_RETURN_ALL        0x3F
#define MODE_SENSE_CHANGEABLE_VALUES 0x40
#define MODE_DSP_WRITE_PROTECT       0x80
#define MODE_SENSE_DEFAULT_VAULES    0x80
#define MODE_SENSE_SAVED_VALUES      0xC0

/* Page codes; some are shared between device types. */
#define MODE_PAGE_VENDOR_SPECIFIC               0x00
#define MODE_PAGE_ERROR_RECOVERY                0x01
#define MODE_PAGE_DISCONNECT                    0x02
#define MODE_PAGE_FORMAT_DEVICE                 0x03
#define MODE_PAGE_MRW                           0x03
#define MODE_PAGE_RIGID_GEOMETRY                0x04
#define MODE_PAGE_FLEXIBILE                     0x05
#define MODE_PAGE_WRITE_PARAMETERS              0x05
#define MODE_PAGE_VERIFY_ERROR                  0x07
#define MODE_PAGE_CACHING                       0x08
#define MODE_PAGE_PERIPHERAL                    0x09
#define MODE_PAGE_CONTROL                       0x0A
#define MODE_PAGE_MEDIUM_TYPES                  0x0B
#define MODE_PAGE_NOTCH_PARTITION               0x0C
#define MODE_PAGE_CD_AUDIO_CONTROL              0x0E
#define MODE_PAGE_DATA_COMPRESS                 0x0F
#define MODE_PAGE_DEVICE_CONFIG                 0x10
#define MODE_PAGE_XOR_CONTROL                   0x10
#define MODE_PAGE_MEDIUM_PARTITION              0x11
#define MODE_PAGE_ENCLOSURE_SERVICES_MANAGEMENT 0x14
#define MODE_PAGE_EXTENDED                      0x15
#define MODE_PAGE_EXTENDED_DEVICE_SPECIFIC      0x16
#define MODE_PAGE_CDVD_FEATURE_SET              0x18
#define MODE_PAGE_PROTOCOL_SPECIFIC_LUN         0x18
#define MODE_PAGE_PROTOCOL_SPECIFIC_PORT        0x19
#define MODE_PAGE_POWER_CONDITION               0x1A
#define MODE_PAGE_LUN_MAPPING                   0x1B
#define MODE_PAGE_FAULT_REPORTING               0x1C
#define MODE_PAGE_CDVD_INACTIVITY               0x1D
#define MODE_PAGE_ELEMENT_ADDRESS               0x1D
#define MODE_PAGE_TRANSPORT_GEOMETRY            0x1E
#define MODE_PAGE_DEVICE_CAPABILITIES           0x1F
#define MODE_PAGE_CAPABILITIES                  0x2A

/* --- UNMAP, GET LBA STATUS ------------------------------------------------ */

typedef struct _UNMAP_BLOCK_DESCRIPTOR {
    UCHAR StartingLba[8];
    UCHAR LbaCount[4];
    UCHAR Reserved[4];
} UNMAP_BLOCK_DESCRIPTOR, *PUNMAP_BLOCK_DESCRIPTOR;

typedef struct _UNMAP_LIST_HEADER {
    UCHAR DataLength[2];
    UCHAR BlockDescrDataLength[2];
    UCHAR Reserved[4];
    UNMAP_BLOCK_DESCRIPTOR Descriptors[0];
} UNMAP_LIST_HEADER, *PUNMAP_LIST_HEADER;

#define LBA_STATUS_MAPPED      0x0
#define LBA_STATUS_DEALLOCATED 0x1
#define LBA_STATUS_ANCHORED    0x2

typedef struct _LBA_STATUS_DESCRIPTOR {
    UCHAR StartingLBA[8];
    UCHAR LogicalBlockCount[4];
    UCHAR ProvisioningStatus : 4;
    UCHAR Reserved1 : 4;
    UCHAR Reserved2[3];
} LBA_STATUS_DESCRIPTOR, *PLBA_STATUS_DESCRIPTOR;

typedef struct _LBA_STATUS_LIST_HEADER {
    UCHAR ParameterLength[4];
    UCHAR Reserved[4];
    LBA_STATUS_DESCRIPTOR Descriptors[0];
} LBA_STATUS_LIST_HEADER, *PLBA_STATUS_LIST_HEADER;

/* --- GET EVENT STATUS NOTIFICATION ---------------------------------------- */

#define NOTIFICATION_NO_CLASS_EVENTS                 0x0
#define NOTIFICATION_OPERATIONAL_CHANGE_CLASS_EVENTS 0x1
#define NOTIFICATION_POWER_MANAGEMENT_CLASS_EVENTS   0x2
#define NOTIFICATION_EXTERNAL_REQUEST_CLASS_EVENTS   0x3
#define NOTIFICATION_MEDIA_STATUS_CLASS_EVENTS       0x4
#define NOTIFICATION_MULTI_HOST_CLASS_EVENTS         0x5
#define NOTIFICATION_DEVICE_BUSY_CLASS_EVENTS        0x6

#define NOTIFICATION_OPERATIONAL_CHANGE_CLASS_MASK 0x02
#define NOTIFICATION_POWER_MANAGEMENT_CLASS_MASK   0x04
#define NOTIFICATION_EXTERNAL_REQUEST_CLASS_MASK   0x08
#define NOTIFICATION_MEDIA_STATUS_CLASS_MASK       0x10
#define NOTIFICATION_MULTI_HOST_CLASS_MASK         0x20
#define NOTIFICATION_DEVICE_BUSY_CLASS_MASK        0x40

typedef struct _NOTIFICATION_EVENT_STATUS_HEADER {
    UCHAR EventDataLength[2];
    UCHAR NotificationClass : 3;
    UCHAR Reserved : 4;
    UCHAR NEA : 1;
    UCHAR SupportedEventClasses;
    UCHAR ClassEventData[0];
} NOTIFICATION_EVENT_STATUS_HEADER, *PNOTIFICATION_EVENT_STATUS_HEADER;

typedef struct _NOTIFICATION_EXTERNAL_STATUS {
    UCHAR ExternalEvent : 4;
    UCHAR Reserved1 : 4;
    UCHAR ExternalStatus : 4;
    UCHAR Reserved2 : 3;
    UCHAR PersistentPrevented : 1;
    UCHAR Request[2];
} NOTIFICATION_EXTERNAL_STATUS, *PNOTIFICATION_EXTERNAL_STATUS;

#define NOTIFICATION_EXTERNAL_EVENT_NO_CHANGE   0x0
#define NOTIFICATION_EXTERNAL_EVENT_BUTTON_DOWN 0x1
#define NOTIFICATION_EXTERNAL_EVENT_BUTTON_UP   0x2
#define NOTIFICATION_EXTERNAL_EVENT_EXTERNAL    0x3

typedef struct _NOTIFICATION_MEDIA_STATUS {
    UCHAR MediaEvent : 4;
    UCHAR Reserved : 4;
    union {
        UCHAR PowerStatus;
        UCHAR MediaStatus;
        struct {
            UCHAR DoorTrayOpen : 1;
            UCHAR MediaPresent : 1;
            UCHAR ReservedX : 6;
        };
    };
    UCHAR StartSlot;
    UCHAR EndSlot;
} NOTIFICATION_MEDIA_STATUS, *PNOTIFICATION_MEDIA_STATUS;

#define NOTIFICATION_MEDIA_EVENT_NO_EVENT      0x0
#define NOTIFICATION_MEDIA_EVENT_NO_CHANGE     0x0
#define NOTIFICATION_MEDIA_EVENT_EJECT_REQUEST 0x1
#define NOTIFICATION_MEDIA_EVENT_NEW_MEDIA     0x2
#define NOTIFICATION_MEDIA_EVENT_MEDIA_REMOVAL 0x3
#define NOTIFICATION_MEDIA_EVENT_MEDIA_CHANGE  0x4

typedef struct _NOTIFICATION_BUSY_STATUS {
    UCHAR DeviceBusyEvent : 4;
    UCHAR Reserved : 4;
    UCHAR DeviceBusyStatus;
    UCHAR Time[2];
} NOTIFICATION_BUSY_STATUS, *PNOTIFICATION_BUSY_STATUS;

/* --- byte order ----------------------------------------------------------- */

typedef union _TWO_BYTE {
    struct {
        UCHAR Byte0;
        UCHAR Byte1;
    };
    USHORT AsUShort;
} TWO_BYTE, *PTWO_BYTE;

typedef union _FOUR_BYTE {
    struct {
        UCHAR Byte0;
        UCHAR Byte1;
        UCHAR Byte2;
        UCHAR Byte3;
    };
    ULONG AsULong;
} FOUR_BYTE, *PFOUR_BYTE;

typedef union _EIGHT_BYTE {
    struct {
        UCHAR Byte0;
        UCHAR Byte1;
        UCHAR Byte2;
        UCHAR Byte3;
        UCHAR Byte4;
        UCHAR Byte5;
        UCHAR Byte6;
        UCHAR Byte7;
    };
    ULONGLONG AsULongLong;
} EIGHT_BYTE, *PEIGHT_BYTE;

#pragma pack(pop)

/* Copies and turns round; neither side need be aligned.  Source may be
 * Destination. */
#define REVERSE_BYTES_SHORT(Destination, Source)                              \
    do {                                                                      \
        USHORT bytes_;                                                        \
        __builtin_memcpy(&bytes_, (Source), sizeof bytes_);                   \
        bytes_ = __builtin_bswap16(bytes_);                                   \
        __builtin_memcpy((Destination), &bytes_, sizeof bytes_);              \
    } while (0)
#define REVERSE_BYTES(Destination, Source)                                    \
    do {                                                                      \
        ULONG bytes_;                                                         \
        __builtin_memcpy(&bytes_, (Source), sizeof bytes_);                   \
        bytes_ = __builtin_bswap32(bytes_);                                   \
        __builtin_memcpy((Destination), &bytes_, sizeof bytes_);              \
    } while (0)
#define REVERSE_BYTES_QUAD(Destination, Source)                               \
    do {                                                                      \
        ULONGLONG bytes_;                                                     \
        __builtin_memcpy(&bytes_, (Source), sizeof bytes_);                   \
        bytes_ = __builtin_bswap64(bytes_);                                   \
        __builtin_memcpy((Destination), &bytes_, sizeof bytes_);              \
    } while (0)
#define REVERSE_SHORT(Short) REVERSE_BYTES_SHORT((Short), (Short))
#define REVERSE_LONG(Long)   REVERSE_BYTES((Long), (Long))

#endif
