/*
 * minitape.h - the tape class driver, as its minitape drivers see it
 *
 * A minitape driver fills a TAPE_INIT_DATA_EX and calls TapeClassInitialize;
 * from then on the class driver owns dispatch, plug and play, buffers, reads
 * and writes.  For each control code it calls a routine below with CallNumber
 * 0, 1, 2, ... until that returns something else than the first three
 * statuses: the routine builds a command and returns
 * TAPE_STATUS_SEND_SRB_AND_CALLBACK, finds its outcome in the next call, and so
 * on.  All PASSIVE, but for the error routine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _MINITAPE_
#define _MINITAPE_

#include <wdm.h>

#include <scsi.h>
#include <srb.h>

#include <ntddtape.h>

typedef enum _TAPE_STATUS {
    TAPE_STATUS_SEND_SRB_AND_CALLBACK,
    TAPE_STATUS_CALLBACK,
    TAPE_STATUS_CHECK_TEST_UNIT_READY,
    TAPE_STATUS_SUCCESS,
    TAPE_STATUS_INSUFFICIENT_RESOURCES,
    TAPE_STATUS_NOT_IMPLEMENTED,
    TAPE_STATUS_INVALID_DEVICE_REQUEST,
    TAPE_STATUS_INVALID_PARAMETER,
    TAPE_STATUS_MEDIA_CHANGED,
    TAPE_STATUS_BUS_RESET,
    TAPE_STATUS_SETMARK_DETECTED,
    TAPE_STATUS_FILEMARK_DETECTED,
    TAPE_STATUS_BEGINNING_OF_MEDIA,
    TAPE_STATUS_END_OF_MEDIA,
    TAPE_STATUS_BUFFER_OVERFLOW,
    TAPE_STATUS_NO_DATA_DETECTED,
    TAPE_STATUS_EOM_OVERFLOW,
    TAPE_STATUS_NO_MEDIA,
    TAPE_STATUS_IO_DEVICE_ERROR,
    TAPE_STATUS_UNRECOGNIZED_MEDIA,
    TAPE_STATUS_DEVICE_NOT_READY,
    TAPE_STATUS_MEDIA_WRITE_PROTECTED,
    TAPE_STATUS_DEVICE_DATA_ERROR,
    TAPE_STATUS_NO_SUCH_DEVICE,
    TAPE_STATUS_INVALID_BLOCK_LENGTH,
    TAPE_STATUS_IO_TIMEOUT,
    TAPE_STATUS_DEVICE_NOT_CONNECTED,
    TAPE_STATUS_DATA_OVERRUN,
    TAPE_STATUS_DEVICE_BUSY,
    TAPE_STATUS_REQUIRES_CLEANING,
    TAPE_STATUS_CLEANER_CARTRIDGE_INSTALLED,
} TAPE_STATUS, *PTAPE_STATUS;

/* Mode page 2Ah of QIC drives. */
typedef struct _MODE_CAPABILITIES_PAGE {
    UCHAR PageCode : 6;
    UCHAR Reserved1 : 2;
    UCHAR PageLength;
    UCHAR Reserved2[2];
    UCHAR RO : 1;
    UCHAR Reserved3 : 4;
    UCHAR SPREV : 1;
    UCHAR Reserved4 : 2;
    UCHAR Reserved5 : 3;
    UCHAR EFMT : 1;
    UCHAR Reserved6 : 1;
    UCHAR QFA : 1;
    UCHAR Reserved7 : 2;
    UCHAR LOCK : 1;
    UCHAR LOCKED : 1;
    UCHAR PREVENT : 1;
    UCHAR UNLOAD : 1;
    UCHAR Reserved8 : 2;
    UCHAR ECC : 1;
    UCHAR CMPRS : 1;
    UCHAR Reserved9 : 1;
    UCHAR BLK512 : 1;
    UCHAR BLK1024 : 1;
    UCHAR Reserved10 : 4;
    UCHAR SLOWB : 1;
    UCHAR MaximumSpeedSupported[2];
    UCHAR MaximumStoredDefectedListEntries[2];
    UCHAR ContinuousTransferLimit[2];
    UCHAR CurrentSpeedSelected[2];
    UCHAR BufferSize[2];
    UCHAR Reserved11[2];
} MODE_CAPABILITIES_PAGE, *PMODE_CAPABILITIES_PAGE;

/* --- what a minitape driver has --------------------------------------------- */

typedef BOOLEAN NTAPI (*TAPE_VERIFY_INQUIRY_ROUTINE)(
    PINQUIRYDATA InquiryData, PMODE_CAPABILITIES_PAGE ModeCapabilitiesPage);
typedef VOID NTAPI (*TAPE_EXTENSION_INIT_ROUTINE)(
    PVOID MinitapeExtension, PINQUIRYDATA InquiryData,
    PMODE_CAPABILITIES_PAGE ModeCapabilitiesPage);
/* <= DISPATCH.  Of a command that failed; may change *TapeStatus, and the sense
 * data for those who read them later. */
typedef VOID NTAPI (*TAPE_ERROR_ROUTINE)(PVOID MinitapeExtension,
                                         PSCSI_REQUEST_BLOCK Srb,
                                         PTAPE_STATUS TapeStatus);
/* CommandParameters is the record of the control code; for the routine that
 * precedes reads and writes, NULL. */
typedef TAPE_STATUS NTAPI (*TAPE_PROCESS_COMMAND_ROUTINE)(
    PVOID MinitapeExtension, PVOID CommandExtension, PVOID CommandParameters,
    PSCSI_REQUEST_BLOCK Srb, ULONG CallNumber, TAPE_STATUS StatusOfLastCommand,
    PULONG RetryFlags);

/* RetryFlags: how often it is sent again, and what a failure means. */
#define TAPE_RETRY_MASK 0x0000FFFF
#define IGNORE_ERRORS   0x00010000
#define RETURN_ERRORS   0x00020000

typedef struct _TAPE_INIT_DATA {
    TAPE_VERIFY_INQUIRY_ROUTINE VerifyInquiry;
    BOOLEAN QueryModeCapabilitiesPage;
    ULONG MinitapeExtensionSize;
    TAPE_EXTENSION_INIT_ROUTINE ExtensionInit;
    ULONG DefaultTimeOutValue;
    TAPE_ERROR_ROUTINE TapeError;
    ULONG CommandExtensionSize;
    TAPE_PROCESS_COMMAND_ROUTINE CreatePartition;
    TAPE_PROCESS_COMMAND_ROUTINE Erase;
    TAPE_PROCESS_COMMAND_ROUTINE GetDriveParameters;
    TAPE_PROCESS_COMMAND_ROUTINE GetMediaParameters;
    TAPE_PROCESS_COMMAND_ROUTINE GetPosition;
    TAPE_PROCESS_COMMAND_ROUTINE GetStatus;
    TAPE_PROCESS_COMMAND_ROUTINE Prepare;
    TAPE_PROCESS_COMMAND_ROUTINE SetDriveParameters;
    TAPE_PROCESS_COMMAND_ROUTINE SetMediaParameters;
    TAPE_PROCESS_COMMAND_ROUTINE SetPosition;
    TAPE_PROCESS_COMMAND_ROUTINE WriteMarks;
    TAPE_PROCESS_COMMAND_ROUTINE PreProcessReadWrite;   /* or NULL */
} TAPE_INIT_DATA, *PTAPE_INIT_DATA;

/* InitDataSize tells the two apart. */
typedef struct _TAPE_INIT_DATA_EX {
    ULONG InitDataSize;
    TAPE_VERIFY_INQUIRY_ROUTINE VerifyInquiry;
    BOOLEAN QueryModeCapabilitiesPage;
    ULONG MinitapeExtensionSize;
    TAPE_EXTENSION_INIT_ROUTINE ExtensionInit;
    ULONG DefaultTimeOutValue;  /* seconds; 0: the class driver's */
    TAPE_ERROR_ROUTINE TapeError;
    ULONG CommandExtensionSize;
    TAPE_PROCESS_COMMAND_ROUTINE CreatePartition;
    TAPE_PROCESS_COMMAND_ROUTINE Erase;
    TAPE_PROCESS_COMMAND_ROUTINE GetDriveParameters;
    TAPE_PROCESS_COMMAND_ROUTINE GetMediaParameters;
    TAPE_PROCESS_COMMAND_ROUTINE GetPosition;
    TAPE_PROCESS_COMMAND_ROUTINE GetStatus;
    TAPE_PROCESS_COMMAND_ROUTINE Prepare;
    TAPE_PROCESS_COMMAND_ROUTINE SetDriveParameters;
    TAPE_PROCESS_COMMAND_ROUTINE SetMediaParameters;
    TAPE_PROCESS_COMMAND_ROUTINE SetPosition;
    TAPE_PROCESS_COMMAND_ROUTINE WriteMarks;
    TAPE_PROCESS_COMMAND_ROUTINE PreProcessReadWrite;   /* or NULL */
    TAPE_PROCESS_COMMAND_ROUTINE TapeGetMediaTypes;
    ULONG MediaTypesSupported;
    TAPE_PROCESS_COMMAND_ROUTINE TapeWMIOperations;     /* or NULL */
    ULONG Reserved[2];
} TAPE_INIT_DATA_EX, *PTAPE_INIT_DATA_EX;

typedef struct _TAPE_PHYS_POSITION {
    ULONG SeekBlockAddress;
    ULONG SpaceBlockCount;
} TAPE_PHYS_POSITION, *PTAPE_PHYS_POSITION;

/* --- what the class driver has for it ---------------------------------------- */

/* PASSIVE.  Arguments as of DriverEntry, which returns what this returns. */
ULONG NTAPI TapeClassInitialize(PVOID Argument1, PVOID Argument2,
                                PTAPE_INIT_DATA_EX TapeInitData);
/* <= DISPATCH.  Zeroed; in place of an earlier one; freed by the class driver. */
BOOLEAN NTAPI TapeClassAllocateSrbBuffer(PSCSI_REQUEST_BLOCK Srb,
                                         ULONG SrbBufferSize);
VOID NTAPI TapeClassZeroMemory(PVOID Buffer, ULONG BufferSize);
/* The number of bytes that are alike, from the first. */
ULONG NTAPI TapeClassCompareMemory(PVOID Source1, PVOID Source2, ULONG Length);
LARGE_INTEGER NTAPI TapeClassLiDiv(LARGE_INTEGER Dividend,
                                   LARGE_INTEGER Divisor);
/* Any IRQL.  Levels 0 to 3.  Of the C convention, as DbgPrint. */
VOID TapeDebugPrint(ULONG DebugPrintLevel, PCCHAR DebugMessage, ...);

#endif
