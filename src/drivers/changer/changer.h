/*
 * changer.h - what the class driver for changers tells its owner
 *
 * Miniclass drivers and programs use <mcd.h> and <ntddchgr.h>.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CHANGER_CHANGER_H
#define CHANGER_CHANGER_H

#include <wdm.h>

/*
 * Custom events of the device (EventCategoryTargetDeviceChange): somebody was
 * at the mail slot; the inventory may no longer be what it was.  Both also
 * count in the media change count (IOCTL_STORAGE_CHECK_VERIFY2).
 */
extern const GUID changer_event_mail_slot;
extern const GUID changer_event_stale;

/*
 * Values of the device's registry key, in seconds: how long an open waits for
 * a changer that is becoming ready, and how long a command does.
 */
#define CHANGER_START_VALUE L"ChangerStartSeconds"  /* 300 */
#define CHANGER_READY_VALUE L"ChangerReadySeconds"  /* 60 */

#endif
