/*
 * sgnode.c - an emulated library as an SG node, for unmodified programs
 *
 * Preloaded (LD_PRELOAD) into a program that talks to /dev/sg: open() of the
 * path in REINSERT_SG_NODE gives the robot of an emulated library that lives
 * in this process, and the nodes of the numbers behind it are its drives.
 * ioctl(SG_IO) carries a command out; write() and read() of sg_io_hdr do it as
 * the kernel's driver does, without waiting.  So the real mtx can be seen on the
 * same library as ours, and ours on nodes like a machine's: what is where is
 * kept in the state file between runs.
 *
 * Environment: REINSERT_SG_NODE, _MEDIA, _STATE, _PERSONALITY, _SLOTS, _MAIL,
 * _DRIVES, _FAULT (a rule, of the robot), _MOVE_MS.  Without _MEDIA there is no
 * robot, _IMAGES is a folder in which N.img is the medium of the drive behind
 * node _NODE + N, and _FAULT is the first drive's; with _CACHE they have a cache
 * that a power cut loses.  With _UEVENTS, a folder, a
 * netlink socket for uevents is a unix socket in it, and whatever a test sends
 * there is the kernel's.  With _OLD, what is lost is said as before Linux 5.14.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <scsi/scsi_ioctl.h>
#include <scsi/sg.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vscsi.h"

#ifndef SCSI_IOCTL_GET_IDLUN
#define SCSI_IOCTL_GET_IDLUN 0x5382
#endif

#define DRIVES_MAX 16
#define FILES_MAX  64

/* A command that was written, until its answer is read. */
struct sent {
    struct sent *next;
    struct file *file;
    unsigned opened; /* the file's, when it was sent */
    struct sg_io_hdr io;
    struct vscsi_command command;
};

/* An open node.  Its descriptor is readable while there are answers. */
struct file {
    int fd, peer; /* fd 0: none */
    unsigned node;
    unsigned opened;      /* how often so far */
    struct sent *answers; /* oldest first */
};

static bool begun;
static struct vscsi_drive *drives[DRIVES_MAX];
static struct vscsi_library *library;
static struct vscsi_nexus *nexuses[1 + DRIVES_MAX]; /* the robot's first */
static struct file files[FILES_MAX];
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER; /* one begins */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* files and answers */

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
    for (unsigned i = 0; i <= DRIVES_MAX; i++)
        if (nexuses[i] != NULL)
            vscsi_nexus_free(nexuses[i]);
    if (library != NULL)
        vscsi_library_free(library);
    for (unsigned i = 0; i < DRIVES_MAX && drives[i] != NULL; i++)
        vscsi_free(drives[i]);
}

/* Drives of their own. */
static bool
begin_drives(unsigned count)
{
    const char *fault = getenv("REINSERT_SG_FAULT");
    char path[512], text[256] = "";

    for (unsigned i = 0; i < count && i < DRIVES_MAX; i++) {
        snprintf(path, sizeof path, "HUX%07u", i + 1);
        drives[i] = vscsi_new(&(struct vscsi_config){
            .name = path,
            .cache_volatile = getenv("REINSERT_SG_CACHE") != NULL });
        snprintf(path, sizeof path, "%s/%u.img", getenv("REINSERT_SG_IMAGES"),
                 i + 1);
        if (access(path, F_OK) == 0 &&
            vscsi_insert(drives[i], path, text, sizeof text) != 0)
            fprintf(stderr, "sgnode: %s\n", text);
        nexuses[1 + i] = vscsi_nexus_new(drives[i], NULL, NULL);
    }
    if (fault != NULL &&
        vscsi_fault_add(drives[0], fault, text, sizeof text) != 0)
        fprintf(stderr, "sgnode: %s\n", text);
    begun = true;
    atexit(end);
    return true;
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
        .times = { .move = number("REINSERT_SG_MOVE_MS", 0) },
    };
    char name[32], text[256];

    if (config.media_dir == NULL)
        return begin_drives(count);
    for (unsigned i = 0; i < config.drive_count; i++) {
        snprintf(name, sizeof name, "HUX%07u", i + 1);
        drives[i] = vscsi_new(&(struct vscsi_config){ .name = name });
    }
    library = vscsi_library_new(&config, text, sizeof text);
    if (library == NULL) {
        fprintf(stderr, "sgnode: %s\n", text);
        return false;
    }
    if (getenv("REINSERT_SG_FAULT") != NULL &&
        vscsi_fault_add(vscsi_library_robot(library),
                        getenv("REINSERT_SG_FAULT"), text, sizeof text) != 0) {
        fprintf(stderr, "sgnode: %s\n", text);
        return false;
    }
    nexuses[0] = vscsi_nexus_new(vscsi_library_robot(library), NULL, NULL);
    for (unsigned i = 0; i < config.drive_count; i++)
        nexuses[1 + i] = vscsi_nexus_new(drives[i], NULL, NULL);
    begun = true;
    atexit(end);
    return true;
}

/* --- commands --------------------------------------------------------------- */

static void
wait_until(struct vscsi_command *command)
{
    __atomic_store_n((bool *) command->context, true, __ATOMIC_RELEASE);
}

static int
fill_command(const struct sg_io_hdr *io, struct vscsi_command *command)
{
    if (io->cmd_len > sizeof command->cdb)
        return EMSGSIZE;
    command->cdb_len = io->cmd_len;
    command->dir = io->dxfer_direction == SG_DXFER_FROM_DEV ? VSCSI_FROM_DRIVE
                   : io->dxfer_direction == SG_DXFER_TO_DEV ? VSCSI_TO_DRIVE
                                                            : VSCSI_NO_DATA;
    command->data = io->dxferp;
    command->data_len = io->dxfer_len;
    memcpy(command->cdb, io->cmdp, io->cmd_len);
    return 0;
}

static void
fill_answer(const struct vscsi_command *command, struct sg_io_hdr *io)
{
    size_t len =
        command->sense_len < io->mx_sb_len ? command->sense_len : io->mx_sb_len;
    bool lost = command->result != VSCSI_DONE;
    bool old = getenv("REINSERT_SG_OLD") != NULL;

    io->status = command->status;
    io->masked_status = (unsigned char) (command->status >> 1);
    io->host_status = !lost || old ? 0 : 7;
    io->driver_status = lost && old ? 6 : command->sense_len != 0 ? 8 : 0;
    io->info = io->status != 0 || io->host_status != 0 ? SG_INFO_CHECK : 0;
    io->resid = (int) (io->dxfer_len - command->transferred);
    if (len > 0)
        memcpy(io->sbp, command->sense, len);
    io->sb_len_wr = (unsigned char) len;
}

/* SG_DXFER_* of the command; what came back is in it. */
static int
sg_io(const struct file *file, struct sg_io_hdr *io)
{
    bool done = false;
    struct vscsi_command command = { .done = wait_until, .context = &done };
    int rc = fill_command(io, &command);

    if (rc != 0)
        return rc;
    if (!vscsi_execute(nexuses[file->node], &command))
        while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
            usleep(200);
    fill_answer(&command, io);
    return 0;
}

/* --- without waiting ---------------------------------------------------------- */

static void
answered(struct vscsi_command *command)
{
    struct sent *sent = command->context, **at;

    sent->next = NULL;
    pthread_mutex_lock(&lock);
    /* It was closed meanwhile: nobody waits. */
    if (sent->file->fd == 0 || sent->file->opened != sent->opened) {
        pthread_mutex_unlock(&lock);
        free(sent);
        return;
    }
    for (at = &sent->file->answers; *at != NULL;)
        at = &(*at)->next;
    *at = sent;
    send(sent->file->peer, "", 1, MSG_NOSIGNAL);
    pthread_mutex_unlock(&lock);
}

static ssize_t
write_command(struct file *file, const void *buffer, size_t len)
{
    struct sent *sent = calloc(1, sizeof *sent);
    int rc;

    if (sent == NULL || len < sizeof sent->io) {
        free(sent);
        errno = sent == NULL ? ENOMEM : EINVAL;
        return -1;
    }
    memcpy(&sent->io, buffer, sizeof sent->io);
    sent->file = file;
    sent->opened = file->opened;
    sent->command.done = answered;
    sent->command.context = sent;
    rc = fill_command(&sent->io, &sent->command);
    if (rc != 0) {
        free(sent);
        errno = rc;
        return -1;
    }
    if (vscsi_execute(nexuses[file->node], &sent->command))
        answered(&sent->command);
    return (ssize_t) len;
}

static ssize_t
read_answer(struct file *file, void *buffer, size_t len)
{
    struct sent *sent;
    char byte;

    if (len < sizeof sent->io) {
        errno = EINVAL;
        return -1;
    }
    if (recv(file->fd, &byte, 1, MSG_DONTWAIT) != 1)
        return -1;
    pthread_mutex_lock(&lock);
    sent = file->answers;
    file->answers = sent->next;
    pthread_mutex_unlock(&lock);
    fill_answer(&sent->command, &sent->io);
    memcpy(buffer, &sent->io, sizeof sent->io);
    free(sent);
    return sizeof sent->io;
}

/* --- what the program calls ---------------------------------------------------- */

/* Which node of the library that is, or -1: digits at the end count. */
static int
node_of(const char *path)
{
    const char *robot = getenv("REINSERT_SG_NODE");
    size_t len;
    long n;
    char *end;

    if (robot == NULL)
        return -1;
    len = strlen(robot);
    while (len > 0 && robot[len - 1] >= '0' && robot[len - 1] <= '9')
        len--;
    if (strncmp(path, robot, len) != 0 || path[len] < '0' || path[len] > '9')
        return -1;
    n = strtol(path + len, &end, 10) - strtol(robot + len, NULL, 10);
    return *end == '\0' && n >= 0 && n <= DRIVES_MAX ? (int) n : -1;
}

static struct file *
file_of(int fd)
{
    struct file *found = NULL;

    if (fd <= 0)
        return NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FILES_MAX && found == NULL; i++)
        if (files[i].fd == fd)
            found = &files[i];
    pthread_mutex_unlock(&lock);
    return found;
}

static int
new_file(unsigned node)
{
    struct file *file = NULL;
    int pair[2];

    if (nexuses[node] == NULL ||
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) {
        errno = ENXIO;
        return -1;
    }
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FILES_MAX && file == NULL; i++)
        if (files[i].fd == 0)
            file = &files[i];
    if (file != NULL)
        *file = (struct file){ .fd = pair[0],
                               .peer = pair[1],
                               .node = node,
                               .opened = file->opened + 1 };
    pthread_mutex_unlock(&lock);
    return file != NULL ? pair[0] : -1;
}

static int
open_node(const char *path, int flags, mode_t mode, const char *real)
{
    int (*next)(const char *, int, mode_t);
    int node = node_of(path);
    bool there;

    if (node < 0) {
        *(void **) &next = dlsym(RTLD_NEXT, real);
        return next(path, flags, mode);
    }
    pthread_mutex_lock(&first);
    there = begun || begin();
    pthread_mutex_unlock(&first);
    if (!there) {
        errno = ENODEV;
        return -1;
    }
    return new_file((unsigned) node);
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

/* --- uevents ------------------------------------------------------------------- */

static int uevents[FILES_MAX]; /* sockets; 0: none */

static int
uevent_socket(int type)
{
    static unsigned count;
    int (*next)(int, int, int), fd;
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    *(void **) &next = dlsym(RTLD_NEXT, "socket");
    fd = next(AF_UNIX, type, 0);
    pthread_mutex_lock(&lock);
    snprintf(name.sun_path, sizeof name.sun_path, "%s/%d.%u",
             getenv("REINSERT_SG_UEVENTS"), (int) getpid(), ++count);
    for (size_t i = 0; fd > 0 && i < FILES_MAX; i++)
        if (uevents[i] == 0) {
            int (*real)(int, const struct sockaddr *, socklen_t);

            *(void **) &real = dlsym(RTLD_NEXT, "bind");
            if (real(fd, (struct sockaddr *) &name, sizeof name) == 0)
                uevents[i] = fd;
            break;
        }
    pthread_mutex_unlock(&lock);
    return fd;
}

/* TRUE: it was one of those; it is not any more, if it goes. */
static bool
is_uevents(int fd, bool goes)
{
    bool found = false;

    if (fd <= 0)
        return false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FILES_MAX; i++)
        if (uevents[i] == fd) {
            found = true;
            uevents[i] = goes ? 0 : fd;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

int
socket(int domain, int type, int protocol)
{
    int (*next)(int, int, int);

    if (domain == AF_NETLINK && protocol == NETLINK_KOBJECT_UEVENT &&
        getenv("REINSERT_SG_UEVENTS") != NULL)
        return uevent_socket(type);
    *(void **) &next = dlsym(RTLD_NEXT, "socket");
    return next(domain, type, protocol);
}

int
bind(int fd, const struct sockaddr *address, socklen_t len)
{
    int (*next)(int, const struct sockaddr *, socklen_t);

    if (is_uevents(fd, false))
        return 0;
    *(void **) &next = dlsym(RTLD_NEXT, "bind");
    return next(fd, address, len);
}

int
close(int fd)
{
    int (*next)(int);
    struct file *file = file_of(fd);
    int peer = -1;

    *(void **) &next = dlsym(RTLD_NEXT, "close");
    (void) is_uevents(fd, true);
    if (file != NULL) {
        pthread_mutex_lock(&lock);
        peer = file->peer;
        while (file->answers != NULL) {
            struct sent *sent = file->answers;

            file->answers = sent->next;
            free(sent);
        }
        file->fd = 0;
        pthread_mutex_unlock(&lock);
        next(peer);
    }
    return next(fd);
}

ssize_t
write(int fd, const void *buffer, size_t len)
{
    ssize_t (*next)(int, const void *, size_t);
    struct file *file = file_of(fd);

    if (file != NULL)
        return write_command(file, buffer, len);
    *(void **) &next = dlsym(RTLD_NEXT, "write");
    return next(fd, buffer, len);
}

ssize_t
read(int fd, void *buffer, size_t len)
{
    ssize_t (*next)(int, void *, size_t);
    struct file *file = file_of(fd);

    if (file != NULL)
        return read_answer(file, buffer, len);
    *(void **) &next = dlsym(RTLD_NEXT, "read");
    return next(fd, buffer, len);
}

int
ioctl(int fd, unsigned long request, ...)
{
    int (*next)(int, unsigned long, void *);
    struct file *file = file_of(fd);
    void *argument;
    va_list args;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (file == NULL) {
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
        errno = sg_io(file, argument);
    return request == SG_IO && errno == 0 ? 0 : -1;
}
