/*
 * link_emulated.c - commands to an emulated drive of this process
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vscsi.h>

struct emulated {
    struct vscsi_drive *drive;
    struct vscsi_nexus *nexus;
    bool owned;
};

static void
no_event(void *context, enum vscsi_event event)
{
    (void) context;
    (void) event;
}

static void
ended(struct vscsi_command *command)
{
    __atomic_store_n((bool *) command->context, true, __ATOMIC_RELEASE);
}

static void
send_one(struct emulated *emulated, struct cdb *cdb)
{
    bool over = false;
    struct vscsi_command command = {
        .cdb_len = cdb->cdb_len,
        .dir = cdb->data_len != 0 ? VSCSI_FROM_DRIVE : VSCSI_NO_DATA,
        .data = cdb->data,
        .data_len = cdb->data_len,
        .done = ended,
        .context = &over,
    };
    uint64_t began = link_now_us();

    memcpy(command.cdb, cdb->cdb, sizeof command.cdb);
    if (!vscsi_execute(emulated->nexus, &command)) {
        while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE) &&
               link_now_us() - began < LINK_TIMEOUT_MS * 1000)
            usleep(1000);
        vscsi_abort(emulated->nexus, &command);
        while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
            usleep(1000);
    }
    if (command.result != VSCSI_DONE)
        return;
    cdb->answered = true;
    cdb->status = command.status;
    cdb->sense_len = command.sense_len;
    memcpy(cdb->sense, command.sense, command.sense_len);
    cdb->transferred = command.transferred;
    cdb->took_us = link_now_us() - began;
}

static void
emulated_send(void *self, struct cdb *cdbs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        send_one(self, &cdbs[i]);
}

static void
emulated_close(void *self)
{
    struct emulated *emulated = self;

    vscsi_nexus_free(emulated->nexus);
    if (emulated->owned)
        vscsi_free(emulated->drive);
    free(emulated);
}

static const struct link_ops ops = { emulated_send, emulated_close };

int
link_emulated_over(struct vscsi_drive *drive, struct link *out_link)
{
    struct emulated *emulated = calloc(1, sizeof *emulated);

    if (emulated == NULL)
        return -ENOMEM;
    emulated->drive = drive;
    emulated->nexus = vscsi_nexus_new(drive, no_event, NULL);
    if (emulated->nexus == NULL) {
        free(emulated);
        return -ENOMEM;
    }
    out_link->ops = &ops;
    out_link->self = emulated;
    out_link->kind = "emulated";
    out_link->at_once = out_link->guarded = false;
    return 0;
}

/* As `reinsert serve IMAGE` takes it: CD images have their descriptors there. */
static enum vscsi_type
type_of(const char *image)
{
    int fd = open(image, O_RDONLY | O_CLOEXEC);
    char id[5] = "";
    ssize_t n = fd >= 0 ? pread(fd, id, sizeof id, 0x8001) : -1;

    if (fd >= 0)
        close(fd);
    return n == 5 &&
                   (memcmp(id, "CD001", 5) == 0 || memcmp(id, "BEA01", 5) == 0)
               ? VSCSI_CDROM
               : VSCSI_DISK;
}

int
link_emulated_open(const char *image, struct link *out_link, char *out_text,
                   size_t text_max)
{
    struct vscsi_config config = { .name = "probe",
                                   .type = type_of(image),
                                   .write_protect = true };
    struct vscsi_drive *drive = vscsi_new(&config);
    int rc;

    if (drive == NULL) {
        snprintf(out_text, text_max, "out of memory");
        return -ENOMEM;
    }
    rc = vscsi_insert(drive, image, out_text, text_max);
    if (rc == 0)
        rc = link_emulated_over(drive, out_link);
    if (rc != 0)
        vscsi_free(drive);
    else
        ((struct emulated *) out_link->self)->owned = out_link->guarded = true;
    return rc;
}
