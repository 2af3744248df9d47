/*
 * errors.c - errors of a session, as the tape driver of Linux would say them
 *
 * The only place where they are translated.  What st(4) does not know is EIO:
 * programs know what to do then.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>

bool
tf_is_gone(int error)
{
    switch (-error) {
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN:
    case ENOENT: /* no socket there */
    case EPROTO:
    case ESHUTDOWN:
        return true;
    default:
        return false;
    }
}

int
tf_errno(enum tf_during during, int error)
{
    switch (-error) {
    case 0:
    case EBUSY:
    case EINTR:
    case EINVAL:
    case ENOMEDIUM:
    case ENOMEM:
    case ENOSPC:
    case EMEDIUMTYPE:
    case EOVERFLOW:
        return -error;
    case EROFS: /* st(4): an open says EROFS, anything later EACCES */
    case EACCES:
        return during == TF_OPEN ? EROFS : EACCES;
    case EBADF: /* the session is for reading */
        return EACCES;
    case ENODEV:
        return during == TF_OPEN ? ENXIO : EIO;
    case ENOSYS:
        return during == TF_OPERATE ? ENOSYS : EIO;
    default:
        return EIO;
    }
}
