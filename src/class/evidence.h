/*
 * evidence.h - what a drive was seen to announce, and what is believed of it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLASS_EVIDENCE_H
#define CLASS_EVIDENCE_H

#include <wdm.h>

/*
 * In the SrbFlags of every command to a drive that is believed to announce each
 * change, or knows media events and was not seen to keep one silent; for ports,
 * among whose own flags it is.
 */
#define CLASS_SRB_ANNOUNCES 0x01000000

enum class_belief {
    CLASS_NOT_KNOWN,            /* no medium came or went yet */
    CLASS_ANNOUNCES,            /* each medium that came was announced */
    CLASS_SILENT,               /* one came, or was another, and was not */
};

/* How often each was seen since the drive was started. */
struct class_evidence {
    enum class_belief belief;
    ULONG attentions;           /* UNIT ATTENTION 28: new medium */
    ULONG events;               /* GESN: new medium, medium changed */
    ULONG becoming_ready;       /* NOT READY 04/01 */
    ULONG left;                 /* it said that it has no medium any more */
    ULONG came_silently;        /* ready again, with no word of a change */
    ULONG sizes;                /* another capacity, with no word of a change */
    BOOLEAN asked;              /* it is polled by a timer: every second */
};

/* Of a class driver's device.  <= DISPATCH. */
VOID class_evidence(PDEVICE_OBJECT fdo, struct class_evidence *out_evidence);

#endif
