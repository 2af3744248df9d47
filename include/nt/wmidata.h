/*
 * wmidata.h - data blocks of management instrumentation, those of changers
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _wmidata_h_
#define _wmidata_h_

#include <wdm.h>

#define WMI_CHANGER_PARAMETERS_GUID                                           \
    { 0x24eb52ac, 0x7c77, 0x438b,                                             \
      { 0xab, 0x61, 0xd0, 0x24, 0xda, 0xb0, 0xc0, 0x3a } }
#define WMI_CHANGER_PROBLEM_DEVICE_ERROR_GUID                                 \
    { 0x56b396a8, 0x0b95, 0x42fe,                                             \
      { 0xbb, 0xce, 0xd3, 0x6f, 0xda, 0x90, 0x4f, 0x8e } }
#define WMI_CHANGER_PROBLEM_WARNING_GUID                                      \
    { 0x45db06a5, 0x20d5, 0x4de3,                                             \
      { 0xa3, 0x6c, 0x3a, 0xb9, 0x74, 0x60, 0x0a, 0x4c } }

typedef struct _WMI_CHANGER_PARAMETERS {
    ULONG NumberOfSlots;
    ULONG NumberOfDrives;
    ULONG NumberOfIEPorts;
    ULONG NumberOfTransports;
    ULONG NumberOfDoors;
    ULONG NumberOfCleanerSlots;
    ULONG MagazineSize;
} WMI_CHANGER_PARAMETERS, *PWMI_CHANGER_PARAMETERS;

typedef struct _WMI_CHANGER_PROBLEM_WARNING {
    ULONG ChangerProblemWarningEvent;
    UCHAR TapeDriveProblemData[512];
} WMI_CHANGER_PROBLEM_WARNING, *PWMI_CHANGER_PROBLEM_WARNING;

typedef struct _WMI_CHANGER_PROBLEM_DEVICE_ERROR {
    ULONG ChangerProblemType;       /* CHANGER_DEVICE_PROBLEM_TYPE */
} WMI_CHANGER_PROBLEM_DEVICE_ERROR, *PWMI_CHANGER_PROBLEM_DEVICE_ERROR;

#endif
