/*
 * port.h - SCSI ports: what the stack and the tests use of them
 *
 * Class drivers and everything above them see a unit as a physical device
 * object that takes SRBs (srb.h) and never include this.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <wdm.h>

struct vscsi_drive;

/* For io_load_driver. */
DRIVER_INITIALIZE port_driver_entry;

/*
 * PASSIVE.  A unit for an emulated drive, which must outlive it.  The name
 * becomes its instance id.  Nothing is attached to the device object yet.
 */
NTSTATUS port_add_virtual(PDRIVER_OBJECT driver, struct vscsi_drive *drive,
                          const char *name, PDEVICE_OBJECT *out_pdo);
/* Where a logical unit of an iSCSI target is.  All texts are borrowed. */
struct port_iscsi_config {
    const char *url;            /* iscsi://HOST[:PORT]/TARGET/LUN */
    const char *initiator;      /* our name: iqn... */
    const char *user, *secret;  /* of CHAP, or "" */
    const char *secret_file;    /* ... read again when it is refused; or NULL */
    /* On the session's thread, each time a session ends or begins. */
    void (*turned)(void *context);
    void *context;
    /* A target that cannot be reached, or refuses us, is no failure: the unit
     * is made all the same, and not known yet (port_unit_known). */
    bool may_be_away;
    char *out_text;             /* why it failed, or is away */
    size_t text_max;
};

/*
 * PASSIVE.  A unit for it; waits for the session's first login, 6 s at most.
 * STATUS_INVALID_PARAMETER: the URL is none; STATUS_DEVICE_NOT_CONNECTED: no
 * session, out_text says why.  Once it is made, it stays: while the target is
 * away commands fail with SRB_STATUS_SELECTION_TIMEOUT.
 */
NTSTATUS port_add_iscsi(PDRIVER_OBJECT driver,
                        const struct port_iscsi_config *config,
                        const char *name, PDEVICE_OBJECT *out_pdo);
/* Any thread.  Is there a session with its target, as another unit's? */
bool port_iscsi_is_up(const struct port_iscsi_config *config);
/* A device of this machine, as its finder opened it. */
struct port_sg_device {
    int fd;                     /* /dev/sgN, for reading and writing, nonblocking */
    int diskseq_fd;             /* of its block device while it has one, or -1 */
    int count_fd;               /* its iorequest_cnt: commands of everybody; or -1 */
    /* A driver of the kernel has it, too, and may be told of changes in our
     * place: what the drive announces is not relied on. */
    bool shared;
    bool tape;                  /* a record is one command, however long */
    char node[32];              /* "sg2" */
    char devpath[512];          /* as in uevents: /devices/... */
    /* Of one that is there and in use, though it could not be opened: the paths
     * of its nodes, with a space between, and of who has it mounted elsewhere
     * (/proc/N/mountinfo); or "". */
    char used_nodes[256], used_mounts[64];
};

/*
 * How a drive of this machine is found, and kept.  The callbacks come on the
 * thread of the unit's maker first, on the unit's own thread after that.
 */
struct port_sg_config {
    /* Finds it, makes it ours and opens it; 0 or -errno, with the reason. */
    int (*open)(void *context, struct port_sg_device *out_device,
                char *out_text, size_t text_max);
    /* It was closed: it is lost, or we go. */
    void (*gone)(void *context, bool lost);
    /* A driver of the kernel has taken it meanwhile; may change diskseq_fd and
     * shared.  -EBUSY, with the reason: it is not ours any more, but somebody
     * else's; it is given up, and looked for. */
    int (*settle)(void *context, struct port_sg_device *device, char *out_text,
                  size_t text_max);
    /* Something happened to it that makes it worth a look; may not wait. */
    void (*turned)(void *context);
    void *context;
    /* One that is not there, or cannot be had now, is no failure: the unit is
     * made all the same, and not known yet (port_unit_known).  What can be no
     * drive (-ENOTSUP) is one. */
    bool may_be_away;
    char *out_text;             /* why it failed */
    size_t text_max;
};

/*
 * PASSIVE.  A unit for it.  Once it is made, it stays: while the device is away
 * commands fail with SRB_STATUS_SELECTION_TIMEOUT.
 */
NTSTATUS port_add_sg(PDRIVER_OBJECT driver, const struct port_sg_config *config,
                     const char *name, PDEVICE_OBJECT *out_pdo);
/*
 * PASSIVE, after the stack above the unit was removed, not from a completion
 * routine of one of its requests.  What still waits in it completes with
 * SRB_STATUS_NO_DEVICE before this returns; the device object is deleted.
 */
void port_remove_unit(PDEVICE_OBJECT pdo);

/* <= DISPATCH.  What the unit has not answered is given up: it is aborted, and
 * may be carried out all the same. */
void port_give_up(PDEVICE_OBJECT pdo);

#define PORT_SENSE_MAX 32

struct port_unit_info {
    uint64_t last_answer_ms;    /* clock_coarse_ms of the drive's last answer */
    uint64_t commands;          /* that the drive was given so far */
    uint8_t sense[PORT_SENSE_MAX];  /* of the last CHECK CONDITION */
    uint8_t sense_len;          /* 0: there was none */
    uint64_t senses;            /* CHECK CONDITIONs so far */
    uint64_t cleaning_asks;     /* ... that say CLEANING REQUESTED */
    bool locked;                /* PREVENT MEDIUM REMOVAL in force */
    bool away;                  /* there is no way to it now */
    bool refused;               /* ... for its target lets us not in */
    bool silent;                /* it is not away, and has stopped to answer */
    bool gone;                  /* ... for its target has it no more */
    bool shared;                /* others may be told of changes in our place */
    bool frozen;                /* the queue */
    unsigned queued;            /* requests in it */
    unsigned waiting;           /* commands that the drive has not answered */
};

/* Has it said who it is?  Only a unit that may be away need not have. */
bool port_unit_known(PDEVICE_OBJECT pdo);
/* PASSIVE, one caller at a time.  Asks one that has not; STATUS_NO_SUCH_DEVICE:
 * it says that nothing is there (SPC: qualifier, or type 1Fh).  That may change. */
NTSTATUS port_unit_identify(PDEVICE_OBJECT pdo);
/* PASSIVE.  Why there is no way to it, as last seen; or "". */
void port_unit_why(PDEVICE_OBJECT pdo, char *out_text, size_t text_max);
/* As the unit gave it (page 80h); "" if it has none, or has not been there. */
const char *port_unit_serial(PDEVICE_OBJECT pdo);
/* As its INQUIRY data have them, without blanks behind; "" before. */
void port_unit_names(PDEVICE_OBJECT pdo, char out_vendor[9],
                     char out_product[17]);
/* Peripheral device type: DIRECT_ACCESS_DEVICE, ...; of one that is known. */
UCHAR port_unit_type(PDEVICE_OBJECT pdo);
/* <= DISPATCH. */
void port_unit_info(PDEVICE_OBJECT pdo, struct port_unit_info *out_info);

/*
 * What SRB_FUNCTION_RECEIVE_EVENT adds up in the ULONG of its data buffer, if
 * it has one.  Events may come in another order than they happened.
 */
#define PORT_EVENT_INSERTED 0x1
#define PORT_EVENT_READY    0x2
#define PORT_EVENT_REMOVED  0x4
#define PORT_EVENT_EJECT    0x8     /* somebody pressed the button */

#endif
