/*
 * names.c - the folder: st0, nst0, ..., and by-name with links by drive
 *
 * Nothing in it changes or goes, so the kernel may remember what it has found; it
 * never remembers what was not there.  The files say a size of 0 and take any
 * truncation, as a device does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_BY_NAME ((fuse_ino_t) 2)
#define NODE_FIRST   ((fuse_ino_t) 16) /* four for each drive, by tf_kind */
#define SECONDS      3600.0

struct tf_drive *
tf_drive_of(struct tapefuse *fuse, fuse_ino_t node, enum tf_kind *out_kind)
{
    if (node < NODE_FIRST || (node - NODE_FIRST) / 4 >= fuse->drive_count)
        return NULL;
    if (out_kind != NULL)
        *out_kind = (enum tf_kind)((node - NODE_FIRST) % 4);
    return &fuse->drives[(node - NODE_FIRST) / 4];
}

static fuse_ino_t
node_of(const struct tf_drive *drive, enum tf_kind kind)
{
    return NODE_FIRST + 4 * (fuse_ino_t) drive->number + (fuse_ino_t) kind;
}

static void
name_of(const struct tf_drive *drive, enum tf_kind kind, char *out, size_t max)
{
    int len = 0;

    switch (kind) {
    case TF_REWIND:
    case TF_NO_REWIND:
        len = snprintf(out, max, "%sst%u", kind == TF_REWIND ? "" : "n",
                       drive->number);
        break;
    case TF_LINK:
    case TF_LINK_NO_REWIND:
        len = snprintf(out, max, "%s%s", drive->name,
                       kind == TF_LINK ? "" : "-nst");
        break;
    }
    /* No name is cut: another drive could have what is left of it. */
    if (len <= 0 || (size_t) len >= max)
        out[0] = '\0';
}

/* A drive's name comes first: "tape-nst" may be one. */
static fuse_ino_t
find(struct tapefuse *fuse, fuse_ino_t parent, const char *name)
{
    unsigned first = parent == FUSE_ROOT_ID ? TF_REWIND : TF_LINK;
    char own[RI_NAME_MAX + 8];

    if (parent == FUSE_ROOT_ID && strcmp(name, "by-name") == 0)
        return NODE_BY_NAME;
    if (parent != FUSE_ROOT_ID && parent != NODE_BY_NAME)
        return 0;
    for (unsigned kind = first; kind < first + 2; kind++) {
        for (size_t i = 0; i < fuse->drive_count; i++) {
            name_of(&fuse->drives[i], (enum tf_kind) kind, own, sizeof own);
            if (strcmp(own, name) == 0)
                return node_of(&fuse->drives[i], (enum tf_kind) kind);
        }
    }
    return 0;
}

static bool
describe(struct tapefuse *fuse, fuse_ino_t node, struct stat *out)
{
    enum tf_kind kind;

    memset(out, 0, sizeof *out);
    out->st_ino = node;
    out->st_uid = fuse->owner;
    out->st_gid = fuse->group;
    out->st_nlink = 1;
    out->st_blksize = 65536;
    out->st_atime = out->st_mtime = out->st_ctime = fuse->born;
    if (node == FUSE_ROOT_ID || node == NODE_BY_NAME) {
        out->st_mode = S_IFDIR | 0555;
        out->st_nlink = 2;
        return true;
    }
    if (tf_drive_of(fuse, node, &kind) == NULL)
        return false;
    out->st_mode = kind >= TF_LINK ? S_IFLNK | 0777 : S_IFREG | fuse->mode;
    return true;
}

void
tf_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct tapefuse *fuse = fuse_req_userdata(req);
    struct fuse_entry_param entry = { .attr_timeout = SECONDS,
                                      .entry_timeout = SECONDS };

    entry.ino = find(fuse, parent, name);
    if (entry.ino == 0 || !describe(fuse, entry.ino, &entry.attr))
        (void) fuse_reply_err(req, ENOENT);
    else
        (void) fuse_reply_entry(req, &entry);
}

void
tf_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    struct stat attr;

    (void) fi;
    if (describe(fuse_req_userdata(req), node, &attr))
        (void) fuse_reply_attr(req, &attr, SECONDS);
    else
        (void) fuse_reply_err(req, ENOENT);
}

void
tf_setattr(fuse_req_t req, fuse_ino_t node, struct stat *wanted, int what,
           struct fuse_file_info *fi)
{
    (void) wanted;
    if ((what & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) !=
        0)
        (void) fuse_reply_err(req, EPERM);
    else
        tf_getattr(req, node, fi);
}

void
tf_readlink(fuse_req_t req, fuse_ino_t node)
{
    enum tf_kind kind;
    struct tf_drive *drive = tf_drive_of(fuse_req_userdata(req), node, &kind);
    char file[32], target[40];

    if (drive == NULL || kind < TF_LINK) {
        (void) fuse_reply_err(req, EINVAL);
        return;
    }
    name_of(drive, (enum tf_kind)(kind - TF_LINK), file, sizeof file);
    (void) snprintf(target, sizeof target, "../%s", file);
    (void) fuse_reply_readlink(req, target);
}

struct listing {
    fuse_req_t req;
    fuse_ino_t folder;
    char *data;
    size_t size, used;
    off_t at, next; /* where to go on, and the entry that comes */
};

/* False: no room for it. */
static bool
list(struct listing *listing, const char *name, fuse_ino_t node)
{
    struct stat attr;
    size_t bytes;

    if (listing->next++ < listing->at)
        return true;
    (void) describe(fuse_req_userdata(listing->req), node, &attr);
    bytes = fuse_add_direntry(listing->req, listing->data + listing->used,
                              listing->size - listing->used, name, &attr,
                              listing->next);
    if (bytes > listing->size - listing->used)
        return false;
    listing->used += bytes;
    return true;
}

static void
list_all(struct listing *listing)
{
    struct tapefuse *fuse = fuse_req_userdata(listing->req);
    unsigned first = listing->folder == FUSE_ROOT_ID ? TF_REWIND : TF_LINK;
    char name[RI_NAME_MAX + 8];

    if (!list(listing, ".", listing->folder) ||
        !list(listing, "..", FUSE_ROOT_ID))
        return;
    if (listing->folder == FUSE_ROOT_ID &&
        !list(listing, "by-name", NODE_BY_NAME))
        return;
    for (size_t i = 0; i < fuse->drive_count; i++) {
        for (unsigned kind = first; kind < first + 2; kind++) {
            fuse_ino_t node = node_of(&fuse->drives[i], (enum tf_kind) kind);

            name_of(&fuse->drives[i], (enum tf_kind) kind, name, sizeof name);
            /* A name that is another drive's leads there. */
            if (find(fuse, listing->folder, name) == node &&
                !list(listing, name, node))
                return;
        }
    }
}

void
tf_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t at,
           struct fuse_file_info *fi)
{
    struct listing listing = { .req = req, .folder = node, .at = at };

    (void) fi;
    if (node != FUSE_ROOT_ID && node != NODE_BY_NAME) {
        (void) fuse_reply_err(req, ENOTDIR);
        return;
    }
    listing.size = size;
    listing.data = malloc(size);
    if (listing.data == NULL) {
        (void) fuse_reply_err(req, ENOMEM);
        return;
    }
    list_all(&listing);
    (void) fuse_reply_buf(req, listing.data, listing.used);
    free(listing.data);
}

/* --- nothing is made or removed here --------------------------------------- */

void
tf_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
          struct fuse_file_info *fi)
{
    (void) parent;
    (void) name;
    (void) mode;
    (void) fi;
    (void) fuse_reply_err(req, EPERM);
}

void
tf_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
         dev_t device)
{
    (void) parent;
    (void) name;
    (void) mode;
    (void) device;
    (void) fuse_reply_err(req, EPERM);
}

void
tf_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void) parent;
    (void) name;
    (void) fuse_reply_err(req, EPERM);
}
