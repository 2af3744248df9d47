/*
 * iscsiloop.c - what libiscsi itself can do: a loop that does nothing else
 *
 *   iscsiloop URL MODE BLOCK-BYTES DEPTH SECONDS
 *
 * MODE is randread or randwrite.  Keeps DEPTH commands in flight on one
 * session, on one thread; prints one line, as nbdload does.
 *
 * SPDX-License-Identifier: MIT
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define DEPTH_MAX 256

struct slot {
    struct loop *loop;
    struct scsi_task *task;
    struct scsi_iovec iov;
};

struct loop {
    struct iscsi_context *iscsi;
    int lun;
    bool write, stop;
    uint32_t block, device_block, depth;
    uint64_t blocks, random, done, in_flight;
    struct slot slots[DEPTH_MAX];
};

static void
die(const char *what, struct iscsi_context *iscsi)
{
    fprintf(stderr, "iscsiloop: %s: %s\n", what,
            iscsi != NULL ? iscsi_get_error(iscsi) : "");
    exit(1);
}

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static void send_one(struct slot *slot);

static void
done(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct slot *slot = context;

    (void) data;
    if (status != SCSI_STATUS_GOOD)
        die("a command failed", iscsi);
    scsi_free_scsi_task(slot->task);
    slot->loop->done++;
    slot->loop->in_flight--;
    if (!slot->loop->stop)
        send_one(slot);
}

static void
send_one(struct slot *slot)
{
    struct loop *loop = slot->loop;
    uint32_t per = loop->block / loop->device_block;
    uint8_t cdb[16] = { loop->write ? 0x2A : 0x28 };
    uint64_t at;

    loop->random = loop->random * 6364136223846793005u + 1442695040888963407u;
    at = (loop->random >> 33) % (loop->blocks / per) * per;
    for (int i = 0; i < 4; i++)
        cdb[2 + i] = (uint8_t) (at >> (24 - 8 * i));
    cdb[7] = (uint8_t) (per >> 8);
    cdb[8] = (uint8_t) per;
    slot->task = scsi_create_task(
        10, cdb, loop->write ? SCSI_XFER_WRITE : SCSI_XFER_READ,
        (int) loop->block);
    if (slot->task == NULL)
        die("out of memory", NULL);
    if (loop->write)
        scsi_task_set_iov_out(slot->task, &slot->iov, 1);
    else
        scsi_task_set_iov_in(slot->task, &slot->iov, 1);
    if (iscsi_scsi_command_async(loop->iscsi, loop->lun, slot->task, done, NULL,
                                 slot) != 0)
        die("a command was not sent", loop->iscsi);
    loop->in_flight++;
}

static void
serve(struct loop *loop)
{
    struct pollfd fd = { .fd = iscsi_get_fd(loop->iscsi),
                         .events = (short) iscsi_which_events(loop->iscsi) };

    if (poll(&fd, 1, 1000) < 0 || iscsi_service(loop->iscsi, fd.revents) != 0)
        die("the session ended", loop->iscsi);
}

static void
connect_to(struct loop *loop, const char *name)
{
    struct iscsi_url *url;
    struct scsi_task *task;
    struct scsi_readcapacity10 *capacity;

    loop->iscsi = iscsi_create_context("iqn.2026-11.reinsert:bench");
    url = iscsi_parse_full_url(loop->iscsi, name);
    if (url == NULL)
        die("no URL", loop->iscsi);
    iscsi_set_session_type(loop->iscsi, ISCSI_SESSION_NORMAL);
    iscsi_set_targetname(loop->iscsi, url->target);
    iscsi_set_header_digest(loop->iscsi, ISCSI_HEADER_DIGEST_NONE);
    loop->lun = url->lun;
    if (iscsi_full_connect_sync(loop->iscsi, url->portal, url->lun) != 0)
        die("no session", loop->iscsi);
    task = iscsi_readcapacity10_sync(loop->iscsi, url->lun, 0, 0);
    capacity = task != NULL ? scsi_datain_unmarshall(task) : NULL;
    if (capacity == NULL)
        die("no capacity", loop->iscsi);
    loop->blocks = (uint64_t) capacity->lba + 1;
    loop->device_block = capacity->block_size;
    scsi_free_scsi_task(task);
    iscsi_destroy_url(url);
}

int
main(int argc, char **argv)
{
    static struct loop loop;
    struct rusage usage;
    double began, ended, seconds;

    if (argc != 6)
        die("usage: iscsiloop URL MODE BLOCK-BYTES DEPTH SECONDS", NULL);
    loop.write = strcmp(argv[2], "randwrite") == 0;
    loop.block = (uint32_t) strtoul(argv[3], NULL, 0);
    loop.depth = (uint32_t) strtoul(argv[4], NULL, 0);
    seconds = strtod(argv[5], NULL);
    if (loop.block == 0 || loop.depth == 0 || loop.depth > DEPTH_MAX)
        die("block or depth", NULL);
    connect_to(&loop, argv[1]);
    began = now();
    for (uint32_t i = 0; i < loop.depth; i++) {
        loop.slots[i].loop = &loop;
        loop.slots[i].iov =
            (struct scsi_iovec){ calloc(1, loop.block), loop.block };
        send_one(&loop.slots[i]);
    }
    while (now() - began < seconds)
        serve(&loop);
    loop.stop = true;
    while (loop.in_flight != 0)
        serve(&loop);
    ended = now();
    getrusage(RUSAGE_SELF, &usage);
    printf("iops %.0f requests %llu seconds %.3f cpu %.3f\n",
           (double) loop.done / (ended - began), (unsigned long long) loop.done,
           ended - began,
           (double) usage.ru_utime.tv_sec + (double) usage.ru_stime.tv_sec +
               (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) /
                   1e6);
    iscsi_logout_sync(loop.iscsi);
    iscsi_destroy_context(loop.iscsi);
    return 0;
}
