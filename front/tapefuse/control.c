/*
 * control.c - MTIOCTOP, MTIOCGET and MTIOCPOS
 *
 * The kernel brings their arguments and takes their answers in the sizes that
 * are part of their numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mtio.h>

#define OP_WEOFI 35 /* MTWEOFI; <sys/mtio.h> has not learnt it */

/* Each gives an errno; data is what goes in, and comes out. */
typedef int control_fn(struct tf_drive *drive, void *data);

static int
operate(struct tf_drive *drive, void *data)
{
    struct ri_tape_result result = { .bytes = 0 };
    const struct mtop *wish = data;
    int error;

    drive->held = drive->gathered = 0;
    drive->zeros = 0;
    error = tape_link_op(drive->link, wish->mt_op, wish->mt_count, &result);
    if (wish->mt_op != MTNOP && wish->mt_op != MTWEOF &&
        wish->mt_op != OP_WEOFI)
        drive->warned = drive->near_end = false;
    if (error == 0 && (wish->mt_op != MTWEOF || wish->mt_count != 0) &&
        wish->mt_op != MTNOP)
        drive->wrote = false;
    if (error == 0 && wish->mt_op == MTWEOF)
        drive->unsynced = false;
    if (error == 0 && wish->mt_op == OP_WEOFI)
        drive->unsynced = true;
    if (tf_is_gone(error) && !drive->told) {
        drive->told = true;
        tf_say(drive->fuse, drive, "%s", result.text);
    }
    return tf_errno(TF_OPERATE, error);
}

static int
get_status(struct tf_drive *drive, void *data)
{
    struct ri_tape_info info;
    struct mtget status = { 0 };
    struct mtpos position;
    int error = tape_link_status(drive->link, &status, &position, &info);

    if (drive->near_end)
        status.mt_gstat |= GMT_EOT(~0L);
    if (error == 0)
        memcpy(data, &status, sizeof status);
    return tf_errno(TF_OPERATE, error);
}

static int
get_position(struct tf_drive *drive, void *data)
{
    struct ri_tape_info info;
    struct mtget status;
    struct mtpos position;
    int error = tape_link_status(drive->link, &status, &position, &info);

    if (error == 0 && position.mt_blkno < 0)
        return EIO; /* not known: st fails too */
    if (error == 0)
        memcpy(data, &position, sizeof position);
    return tf_errno(TF_OPERATE, error);
}

static const struct {
    unsigned long command;
    size_t in, out;
    control_fn *run;
} commands[] = {
    { MTIOCTOP, sizeof(struct mtop), 0, operate },
    { MTIOCGET, 0, sizeof(struct mtget), get_status },
    { MTIOCPOS, 0, sizeof(struct mtpos), get_position },
};

static int
run(struct tf_drive *drive, fuse_req_t req, size_t i, void *data)
{
    struct tf_call call;
    int error = tf_enter(&call, req, drive);

    if (error == 0) {
        error = commands[i].run(drive, data);
        tf_leave(&call);
    }
    return error;
}

void
tf_ioctl(fuse_req_t req, fuse_ino_t node, unsigned int command, void *arg,
         struct fuse_file_info *fi, unsigned flags, const void *in,
         size_t in_size, size_t out_size)
{
    struct tf_drive *drive = tf_drive_of(fuse_req_userdata(req), node, NULL);
    uint64_t data[8]; /* the largest is struct mtget */
    int error = ENOTTY;

    (void) arg;
    (void) fi;
    _Static_assert(sizeof data >= sizeof(struct mtget), "room for the largest");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (drive == NULL || commands[i].command != command ||
            commands[i].in != in_size || commands[i].out != out_size ||
            (flags & FUSE_IOCTL_COMPAT) != 0)
            continue;
        if (in_size != 0)
            memcpy(data, in, in_size);
        error = run(drive, req, i, data);
        if (error == 0) {
            (void) fuse_reply_ioctl(req, 0, data, out_size);
            return;
        }
    }
    (void) fuse_reply_err(req, error);
}
