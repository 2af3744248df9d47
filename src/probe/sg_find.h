/*
 * sg_find.h - drives of this machine that take SCSI commands, as sysfs has them
 *
 * Nothing here opens a device or sends a command.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_SG_FIND_H
#define PROBE_SG_FIND_H

#include <stdbool.h>
#include <stddef.h>

/* Where the kernel's file systems are; tests have their own. */
struct sg_roots {
    const char *sys, *dev, *proc;
};
extern const struct sg_roots sg_system;

#define SG_TYPE_TAPE 1

struct sg_found {
    char sg[32];                /* "sg2" */
    char block[32];             /* "sdb", "sr0"; "": it has none now */
    char other[32];             /* "st0" of a tape drive, "sch0" of a robot, while
                                 * such a driver has it; or "" */
    char driver[32];            /* "sd", "sr", "st"; "": no driver has it */
    char hctl[32];              /* "2:0:0:0" */
    char devpath[512];          /* as in uevents: "/devices/..." */
    char vendor[16], model[24];
    char serial[128];           /* of the USB device, or page 80h; or "" */
    int type;                   /* peripheral device type; or -1 */
    int slot;                   /* of a USB device, which may have several with
                                 * one serial number: its unit; or -1 */
    bool removable;             /* its media are, by its INQUIRY data */
};

/* In the order of their numbers; *out_list is the caller's to free. */
int sg_list(const struct sg_roots *roots, struct sg_found **out_list,
            size_t *out_count);
/* By "sgN". */
int sg_describe(const struct sg_roots *roots, const char *sg,
                struct sg_found *out_found);
/* By the name that the kernel has for any of its nodes: "sdb1", "nst0". */
int sg_of_name(const struct sg_roots *roots, const char *name,
               struct sg_found *out_found);
/* By the path of any of its nodes, or of a link to one.  -ENOTSUP: it can be no
 * drive; -ENXIO: it is one, of which the sg driver does not know; -ENODEV: a node
 * of a device that is not there. */
int sg_of_device(const struct sg_roots *roots, const char *device,
                 struct sg_found *out_found);

/* What an open that failed (EACCES, EPERM) would have needed; -error. */
int sg_not_permitted(const char *path, int error, char *out_text, size_t max);

/* Can one be the other, come back?  By what no name and no match says. */
bool sg_is_still(const struct sg_found *before, const struct sg_found *now);

/* From the vital product data page 80h. */
void sg_take_serial(const unsigned char *page, size_t len,
                    struct sg_found *found);

/* What is wrong with a match, or NULL. */
const char *sg_match_fault(const char *match);
/* serial:TEXT, path:PART or any-removable. */
bool sg_matches(const struct sg_found *found, const char *match);
/* A match by which it is known again, under whichever name: out has room for
 * SG_MATCH_MAX bytes. */
#define SG_MATCH_MAX 640
void sg_remember(const struct sg_found *found, char *out_match);

/* The last part of what a link leads to; "" if it is none. */
void sg_link_name(char *out, size_t max, const char *path);
/* The first line of a file, without what ends it; "" if there is none. */
void sg_read_line(char *out, size_t max, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
