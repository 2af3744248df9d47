/*
 * ntiologc.h - message codes of the error log that storage drivers use
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _NTIOLOGC_
#define _NTIOLOGC_

#include <ntdef.h>

#define IO_ERR_RETRY_SUCCEEDED     ((NTSTATUS) 0x00040001)
#define IO_ERR_SEEK_ERROR          ((NTSTATUS) 0xC0040006)
#define IO_ERR_BAD_BLOCK           ((NTSTATUS) 0xC0040007)
#define IO_ERR_TIMEOUT             ((NTSTATUS) 0xC0040009)
#define IO_ERR_CONTROLLER_ERROR    ((NTSTATUS) 0xC004000B)
#define IO_ERR_NOT_READY           ((NTSTATUS) 0xC004000F)
#define IO_ERR_RESET               ((NTSTATUS) 0xC0040013)
#define IO_RECOVERED_VIA_ECC       ((NTSTATUS) 0x80040021)
#define IO_WARNING_PAGING_FAILURE  ((NTSTATUS) 0x80040033)
#define IO_WRN_FAILURE_PREDICTED   ((NTSTATUS) 0x80040034)

#endif
