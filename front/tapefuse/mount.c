/*
 * mount.c - a mounted folder, from its making to its end
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define FUSE_PAGES  256 /* in one request of the kernel */
#define LOOK_NS     1000000
#define IDLE_LOOKS  20
#define NAG_LOOKS   50
#define CLOSE_TICKS 200 /* of 10 ms */

/* --- making ------------------------------------------------------------------ */

static void
on_init(void *data, struct fuse_conn_info *kernel)
{
    (void) data;
    kernel->max_write = TAPEFUSE_RECORD_MAX;
    kernel->max_readahead = 0;
    kernel->max_background = 1024; /* the kernel keeps releases back else */
    kernel->want &= ~(unsigned) (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                                 FUSE_CAP_SPLICE_MOVE | FUSE_CAP_ASYNC_DIO |
                                 FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC |
                                 FUSE_CAP_WRITEBACK_CACHE);
}

static const struct fuse_lowlevel_ops operations = {
    .init = on_init,
    .lookup = tf_lookup,
    .getattr = tf_getattr,
    .setattr = tf_setattr,
    .readlink = tf_readlink,
    .readdir = tf_readdir,
    .create = tf_create,
    .mknod = tf_mknod,
    .unlink = tf_unlink,
    .open = tf_open,
    .flush = tf_flush,
    .release = tf_release,
    .read = tf_read,
    .write = tf_write,
    .ioctl = tf_ioctl,
};

static int complain(struct ri_error *out_error, int error, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

static int
complain(struct ri_error *out_error, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void) vsnprintf(out_error->text, sizeof out_error->text, format, args);
    va_end(args);
    return error;
}

static bool
is_there(const struct tapefuse *fuse, const char *name)
{
    for (size_t i = 0; i < fuse->drive_count; i++)
        if (strcmp(fuse->drives[i].name, name) == 0)
            return true;
    return false;
}

/* As many workers as the drives can keep busy, and two. */
static int
plan_workers_locked(struct tapefuse *fuse)
{
    unsigned drives = (unsigned) fuse->drive_count;
    unsigned queue = WORKERS_MAX / drives - 1;

    if (queue > QUEUE_MAX)
        queue = QUEUE_MAX;
    fuse->queue_max = queue;
    fuse->worker_count = 2 + drives * (1 + queue);
    if (fuse->worker_count > WORKERS_MAX)
        fuse->worker_count = WORKERS_MAX;
    return fuse->serving ? tf_pool_grow_locked(fuse) : 0;
}

static int
add_locked(struct tapefuse *fuse, const char *name)
{
    size_t n = fuse->drive_count;
    struct tf_drive *drive = &fuse->drives[n];

    if (atomic_load(&fuse->stopping))
        return -ESHUTDOWN;
    if (is_there(fuse, name))
        return -EEXIST;
    if (n == TAPEFUSE_DRIVES_MAX)
        return -E2BIG;
    drive->buffer = malloc(TAPEFUSE_RECORD_MAX);
    if (drive->buffer == NULL)
        return -ENOMEM;
    drive->fuse = fuse;
    drive->number = (unsigned) n;
    (void) snprintf(drive->name, sizeof drive->name, "%s", name);
    (void) pthread_mutex_init(&drive->lock, NULL);
    (void) pthread_cond_init(&drive->changed, NULL);
    fuse->drive_count = n + 1; /* all of it is there now */
    /* With fewer workers than there should be, it is slower. */
    (void) plan_workers_locked(fuse);
    return (int) n;
}

int
tapefuse_add(struct tapefuse *fuse, const char *drive)
{
    int n;

    (void) pthread_mutex_lock(&fuse->growth);
    n = add_locked(fuse, drive);
    (void) pthread_mutex_unlock(&fuse->growth);
    return n;
}

/* Room for all that may come: memory that nobody touches costs nothing. */
static int
make_room(struct tapefuse *fuse)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    int error;

    fuse->drives = calloc(TAPEFUSE_DRIVES_MAX, sizeof *fuse->drives);
    fuse->workers = calloc(WORKERS_MAX, sizeof *fuse->workers);
    if (fuse->drives == NULL || fuse->workers == NULL)
        return -ENOMEM;
    fuse->worker_count = 2;
    fuse->header_room = page;
    /* Libfuse asks the kernel for no more than it would read itself. */
    fuse->slot_bytes = page + FUSE_PAGES * page + page;
    error = tape_link_window_new(WORKERS_MAX * fuse->slot_bytes, &fuse->window);
    if (error == 0)
        fuse->window_base = tape_link_window_base(fuse->window);
    return error;
}

/* As udev does for tape drives: for the group tape, where we may. */
static void
choose_owner(struct tapefuse *fuse)
{
    const struct group *group = getgrnam("tape");

    fuse->owner = getuid();
    fuse->group = getgid();
    fuse->mode = 0600;
    if (fuse->owner == 0 && group != NULL) {
        fuse->group = group->gr_gid;
        fuse->mode = 0660;
    }
}

/* Without a request: there is nobody yet to answer it. */
static void
learn_device(struct tapefuse *fuse)
{
    struct statx info;

    if (statx(AT_FDCWD, fuse->folder, AT_STATX_DONT_SYNC, STATX_INO, &info) ==
        0)
        fuse->device = makedev(info.stx_dev_major, info.stx_dev_minor);
}

static int
mount_it(struct tapefuse *fuse, const struct tapefuse_config *config,
         struct ri_error *out_error)
{
    char options[128];
    char *words[] = { (char[]){ "reinsert" }, (char[]){ "-o" }, options, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(3, words);

    (void) snprintf(options, sizeof options,
                    "fsname=reinsert,subtype=tape,default_permissions%s",
                    fuse->owner == 0 ? ",allow_other" : "");
    fuse->session =
        fuse_session_new(&args, &operations, sizeof operations, fuse);
    fuse_opt_free_args(&args);
    if (fuse->session == NULL)
        return complain(out_error, -ENOMEM, "FUSE cannot be used");
    if (fuse_session_mount(fuse->session, fuse->folder) != 0) {
        fuse_session_destroy(fuse->session);
        fuse->session = NULL;
        return complain(out_error, -EIO, "%s: cannot be mounted",
                        config->folder);
    }
    learn_device(fuse);
    return 0;
}

static int
build(struct tapefuse *fuse, const struct tapefuse_config *config,
      struct ri_error *out_error)
{
    int error = make_room(fuse), n;

    for (size_t i = 0; error == 0 && i < config->drive_count; i++) {
        n = tapefuse_add(fuse, config->drives[i]);
        error = n < 0 && n != -EEXIST ? n : 0;
    }
    (void) snprintf(fuse->control, sizeof fuse->control, "%s", config->control);
    fuse->say = config->say;
    fuse->folder = strdup(config->folder);
    if (fuse->folder == NULL)
        error = -ENOMEM;
    fuse->born = time(NULL);
    choose_owner(fuse);
    if (error != 0)
        return complain(out_error, error, "%s", strerror(-error));
    return mount_it(fuse, config, out_error);
}

int
tapefuse_new(const struct tapefuse_config *config, struct tapefuse **out_fuse,
             struct ri_error *out_error)
{
    struct tapefuse *fuse;
    int error;

    if (config->drive_count > TAPEFUSE_DRIVES_MAX)
        return complain(out_error, -E2BIG, "more than %d tape drives",
                        TAPEFUSE_DRIVES_MAX);
    fuse = calloc(1, sizeof *fuse);
    if (fuse == NULL)
        return complain(out_error, -ENOMEM, "no memory");
    (void) pthread_mutex_init(&fuse->growth, NULL);
    (void) pthread_mutex_init(&fuse->turn, NULL);
    (void) pthread_cond_init(&fuse->vacant, NULL);
    (void) pthread_mutex_init(&fuse->mouth, NULL);
    (void) sem_init(&fuse->wake, 0, 0);
    error = build(fuse, config, out_error);
    if (error != 0) {
        tapefuse_free(fuse);
        return error;
    }
    *out_fuse = fuse;
    return 0;
}

int
tapefuse_background(void)
{
    return fuse_daemonize(0);
}

void
tapefuse_free(struct tapefuse *fuse)
{
    if (fuse == NULL)
        return;
    if (fuse->session != NULL) {
        fuse_session_unmount(fuse->session);
        fuse_session_destroy(fuse->session);
    }
    tape_link_window_free(fuse->window);
    for (size_t i = 0; i < fuse->drive_count; i++) {
        (void) pthread_mutex_destroy(&fuse->drives[i].lock);
        (void) pthread_cond_destroy(&fuse->drives[i].changed);
        free(fuse->drives[i].buffer);
    }
    (void) sem_destroy(&fuse->wake);
    (void) pthread_mutex_destroy(&fuse->growth);
    (void) pthread_mutex_destroy(&fuse->turn);
    (void) pthread_cond_destroy(&fuse->vacant);
    (void) pthread_mutex_destroy(&fuse->mouth);
    free(fuse->drives);
    free(fuse->workers);
    free(fuse->folder);
    free(fuse);
}

/* --- serving ----------------------------------------------------------------- */

static void *
close_one(void *drive)
{
    tf_close(drive);
    return NULL;
}

/* What programs still have open when we are told to end.  A close may have to
 * wait for a tape, so each has a thread. */
static bool
close_all(struct tapefuse *fuse)
{
    const struct timespec tick = { 0, 10000000 };
    bool open = true;

    for (size_t i = 0; i < fuse->drive_count; i++) {
        pthread_t thread;

        if (fuse->drives[i].link == NULL)
            continue;
        if (pthread_create(&thread, NULL, close_one, &fuse->drives[i]) != 0)
            return false;
        (void) pthread_detach(thread);
    }
    for (int i = 0; i < CLOSE_TICKS && open; i++) {
        open = false;
        for (size_t k = 0; k < fuse->drive_count; k++) {
            (void) pthread_mutex_lock(&fuse->drives[k].lock);
            open |= fuse->drives[k].link != NULL;
            (void) pthread_mutex_unlock(&fuse->drives[k].lock);
        }
        if (open)
            (void) nanosleep(&tick, NULL);
    }
    return !open;
}

static void
wait_a_moment(struct tapefuse *fuse)
{
    struct timespec until;

    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void) sem_timedwait(&fuse->wake, &until);
}

/*
 * Until there is nothing more to read, or to stop.  While requests are run it
 * looks at them every millisecond; when there were none for some looks it
 * sleeps.
 */
static void
watch(struct tapefuse *fuse)
{
    unsigned looks = 0, idle = 0;
    bool nagging = false;
    uint64_t last = 0;

    while (!atomic_load(&fuse->stopping) &&
           fuse_session_exited(fuse->session) == 0) {
        if (!nagging && idle >= IDLE_LOOKS && tf_may_sleep(fuse, last))
            (void) sem_wait(&fuse->wake);
        else
            wait_a_moment(fuse);
        idle = tf_relieve(fuse, &last) ? 0 : idle + 1;
        if (!nagging || looks++ % NAG_LOOKS == 0)
            nagging = tf_nag(fuse);
    }
}

int
tapefuse_serve(struct tapefuse *fuse)
{
    int error = tf_pool_start(fuse);

    if (error == 0)
        watch(fuse);
    if (!tf_pool_stop(fuse) || !close_all(fuse))
        return -ETIMEDOUT;
    return error;
}

void
tapefuse_stop(struct tapefuse *fuse)
{
    atomic_store(&fuse->stopping, true);
    (void) sem_post(&fuse->wake);
}
