/*
 * sgnode.c - an emulated library as an SG node, for unmodified programs
 *
 * Preloaded (LD_PRELOAD) into a program that talks to /dev/sg: open() of the
 * path in REINSERT_SG_NODE gives the robot of an emulated library that lives
 * in this process, and ioctl(SG_IO) on it carries the command out.  So the
 * real mtx can be seen on the same library as ours: what is where is kept in
 * the state file between runs.
 *
 * Environment: REINSERT_SG_NODE, _MEDIA, _STATE, _PERSONALITY, _SLOTS, _MAIL,
 * _DRIVES.  One thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <scsi/scsi_ioctl.h>
#include <scsi/sg.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vscsi.h"

#ifndef SCSI_IOCTL_GET_IDLUN
#define SCSI_IOCTL_GET_IDLUN 0x5382
#endif

#define DRIVES_MAX 16

static struct vscsi_drive *drives[DRIVES_MAX];
static struct vscsi_library *library;
static struct vscsi_nexus *nexus;
static int node = -1;

static unsigned
number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? (unsigned) strtoul(text, NULL, 10) : otherwise;
}

/* The program left: the state is written, the images are free. */
static void
end(void)
{
    vscsi_nexus_free(nexus);
    vscsi_library_free(library);
    for (unsigned i = 0; i < DRIVES_MAX && drives[i] != NULL; i++)
        vscsi_free(drives[i]);
}

static bool
begin(void)
{
    unsigned count = number("REINSERT_SG_DRIVES", 1);
    struct vscsi_library_config config = {
        .name = "MXA0000001",
        .personality = getenv("REINSERT_SG_PERSONALITY"),
        .slots = number("REINSERT_SG_SLOTS", 8),
        .mail_slots = number("REINSERT_SG_MAIL", 1),
        .drives = drives,
        .drive_count = count < DRIVES_MAX ? count : DRIVES_MAX,
        .media_dir = getenv("REINSERT_SG_MEDIA"),
        .state_file = getenv("REINSERT_SG_STATE"),
    };
    char name[32], text[256];

    for (unsigned i = 0; i < config.drive_count; i++) {
        snprintf(name, sizeof name, "HUX%07u", i + 1);
        drives[i] = vscsi_new(&(struct vscsi_config){ .name = name });
    }
    library = vscsi_library_new(&config, text, sizeof text);
    if (library == NULL) {
        fprintf(stderr, "sgnode: %s\n", text);
        return false;
    }
    nexus = vscsi_nexus_new(vscsi_library_robot(library), NULL, NULL);
    atexit(end);
    return true;
}

/* --- commands --------------------------------------------------------------- */

static void
wait_until(struct vscsi_command *command)
{
    __atomic_store_n((bool *) command->context, true, __ATOMIC_RELEASE);
}

/* SG_DXFER_* of the command; what came back is in it. */
static int
sg_io(struct sg_io_hdr *io)
{
    bool done = false;
    struct vscsi_command command = {
        .cdb_len = io->cmd_len,
        .dir = io->dxfer_direction == SG_DXFER_FROM_DEV ? VSCSI_FROM_DRIVE
               : io->dxfer_direction == SG_DXFER_TO_DEV ? VSCSI_TO_DRIVE
                                                        : VSCSI_NO_DATA,
        .data = io->dxferp,
        .data_len = io->dxfer_len,
        .done = wait_until,
        .context = &done,
    };
    size_t len;

    if (io->cmd_len > sizeof command.cdb)
        return EMSGSIZE;
    memcpy(command.cdb, io->cmdp, io->cmd_len);
    if (!vscsi_execute(nexus, &command))
        while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
            usleep(200);
    io->status = command.status;
    io->masked_status = (unsigned char) (command.status >> 1);
    io->host_status = command.result == VSCSI_DONE ? 0 : 7;
    io->driver_status = command.sense_len != 0 ? 8 : 0;
    io->info = io->status != 0 || io->host_status != 0 ? SG_INFO_CHECK : 0;
    io->resid = (int) (io->dxfer_len - command.transferred);
    len = command.sense_len < io->mx_sb_len ? command.sense_len : io->mx_sb_len;
    memcpy(io->sbp, command.sense, len);
    io->sb_len_wr = (unsigned char) len;
    return 0;
}

/* --- what the program calls ---------------------------------------------------- */

static bool
is_node(const char *path)
{
    const char *wanted = getenv("REINSERT_SG_NODE");

    return wanted != NULL && strcmp(path, wanted) == 0;
}

static int
open_node(const char *path, int flags, mode_t mode, const char *real)
{
    int (*next)(const char *, int, mode_t);

    if (!is_node(path)) {
        *(void **) &next = dlsym(RTLD_NEXT, real);
        return next(path, flags, mode);
    }
    if (library == NULL && !begin()) {
        errno = ENODEV;
        return -1;
    }
    node = memfd_create("sgnode", MFD_CLOEXEC);
    return node;
}

int
open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_node(path, flags, mode, "open");
}

int
open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_node(path, flags, mode, "open64");
}

int
ioctl(int fd, unsigned long request, ...)
{
    int (*next)(int, unsigned long, void *);
    void *argument;
    va_list args;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (fd < 0 || fd != node) {
        *(void **) &next = dlsym(RTLD_NEXT, "ioctl");
        return next(fd, request, argument);
    }
    errno = EINVAL;
    if (request == SG_GET_VERSION_NUM) {
        *(int *) argument = 30536;
        return 0;
    }
    if (request == SG_SET_TIMEOUT)
        return 0;
    if (request == SCSI_IOCTL_GET_IDLUN) {
        memset(argument, 0, 2 * sizeof(int));
        return 0;
    }
    if (request == SG_IO)
        errno = sg_io(argument);
    return request == SG_IO && errno == 0 ? 0 : -1;
}
