/*
 * ioevent.h - events that target device notifications report
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _IOEVENT_H_
#define _IOEVENT_H_

#include <ntdef.h>

/* --- media: by the class drivers ------------------------------------------ */

DEFINE_GUID(GUID_IO_MEDIA_ARRIVAL, 0xd07433c0, 0xa98e, 0x11d2, 0x91,
            0x7a, 0x00, 0xa0, 0xc9, 0x06, 0x8f, 0xf3);
DEFINE_GUID(GUID_IO_MEDIA_REMOVAL, 0xd07433c1, 0xa98e, 0x11d2, 0x91,
            0x7a, 0x00, 0xa0, 0xc9, 0x06, 0x8f, 0xf3);
DEFINE_GUID(GUID_IO_CDROM_EXCLUSIVE_LOCK, 0xbc56c139, 0x7a10, 0x47ee, 0xa2,
            0x94, 0x4c, 0x6a, 0x38, 0xf0, 0x14, 0x9a);
DEFINE_GUID(GUID_IO_CDROM_EXCLUSIVE_UNLOCK, 0xa3b6d27d, 0x5e35, 0x4885, 0x81,
            0xe5, 0xee, 0x18, 0xc0, 0x0e, 0xd7, 0x79);
DEFINE_GUID(GUID_IO_DEVICE_EXTERNAL_REQUEST, 0xd07433d0, 0xa98e, 0x11d2, 0x91,
            0x7a, 0x00, 0xa0, 0xc9, 0x06, 0x8f, 0xf3);
DEFINE_GUID(GUID_IO_MEDIA_EJECT_REQUEST, 0xd07433d1, 0xa98e, 0x11d2, 0x91,
            0x7a, 0x00, 0xa0, 0xc9, 0x06, 0x8f, 0xf3);
DEFINE_GUID(GUID_IO_DEVICE_BECOMING_READY, 0xd07433f0, 0xa98e, 0x11d2, 0x91,
            0x7a, 0x00, 0xa0, 0xc9, 0x06, 0x8f, 0xf3);

/* The custom data of GUID_IO_DEVICE_BECOMING_READY. */
typedef struct _DEVICE_EVENT_BECOMING_READY {
    ULONG Version;                  /* 1 */
    ULONG Reason;                   /* 1: busy, 2: spinning up, ... */
    ULONG Estimated100msToReady;
} DEVICE_EVENT_BECOMING_READY, *PDEVICE_EVENT_BECOMING_READY;

/* The custom data of GUID_IO_DEVICE_EXTERNAL_REQUEST. */
typedef struct _DEVICE_EVENT_EXTERNAL_REQUEST {
    ULONG Version;                  /* 1 */
    ULONG DeviceClass;              /* 0: storage */
    USHORT ButtonStatus;            /* 0: button down, 1: up */
    USHORT Request;
    LARGE_INTEGER SystemTime;
} DEVICE_EVENT_EXTERNAL_REQUEST, *PDEVICE_EVENT_EXTERNAL_REQUEST;

/* --- volumes: by the file systems ----------------------------------------- */

DEFINE_GUID(GUID_IO_VOLUME_MOUNT, 0xb5804878, 0x1a96, 0x11d2, 0x8f,
            0xfd, 0x00, 0xa0, 0xc9, 0xa0, 0x6d, 0x32);
DEFINE_GUID(GUID_IO_VOLUME_DISMOUNT, 0xd16a55e8, 0x1059, 0x11d2, 0x8f,
            0xfd, 0x00, 0xa0, 0xc9, 0xa0, 0x6d, 0x32);
DEFINE_GUID(GUID_IO_VOLUME_LOCK, 0x50708874, 0xc9af, 0x11d1, 0x8f,
            0xef, 0x00, 0xa0, 0xc9, 0xa0, 0x6d, 0x32);
DEFINE_GUID(GUID_IO_VOLUME_UNLOCK, 0x9a8c3d68, 0xd0cb, 0x11d1, 0x8f,
            0xef, 0x00, 0xa0, 0xc9, 0xa0, 0x6d, 0x32);

#endif
