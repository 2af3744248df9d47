/*
 * clients.c - who reads, writes and flushes, and believes what it is told
 *
 * Two threads with requests of their own; completions come on any thread.  A
 * block has at most one write under way, so that of two versions it is always
 * known which is the newer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <reinsert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton.h"

#define CLIENTS 2
#define OPS     16
#define MOST    256u /* blocks of one request: 128 KiB */
#define MIDDLE                                                                 \
    2048u /* blocks that tell no identity, and are written
                                 * most */
#define MIDDLE_END   2560u
#define FILE_INVALID 0xC0000098u /* STATUS_FILE_INVALID: reopen */
#define SLOW_MS      300000u

struct op {
    struct ri_request request;
    bool used;
    int m;
    uint32_t first, count, version, given_up;
    uint64_t since_ms;
    uint32_t floor[BLOCKS]; /* flush: all; else of the range, from 0 */
    uint8_t data[MOST * BLOCK];
};

struct connection {
    struct ri_export *export;
    unsigned waiting;
    bool stale;
};

struct ri_service *service;
static struct connection connections[MEDIA];
static struct op *ops; /* OPS */
static pthread_t threads[CLIENTS];
static bool running, hushed;

static struct medium_model *
model_of(const struct op *op)
{
    return &world->media[op->m];
}

/* --- answers ------------------------------------------------------------------- */

static void
read_done(struct op *op)
{
    const struct medium_model *model = model_of(op);

    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t block = op->first + i, floor = op->floor[i];
        uint32_t version =
            model_version(op->m, block, op->data + i * BLOCK, "read");

        if (model->given_up != op->given_up && floor > model->flushed[block])
            floor = model->flushed[block];
        if (version < floor)
            fail("lost",
                 "medium %d block %u: read version %u, and %u was acknowledged",
                 op->m, block, version, floor);
    }
}

static void
write_done(struct op *op, bool ok)
{
    struct medium_model *model = model_of(op);

    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t block = op->first + i;

        model->busy[block] = false;
        if (!ok) {
            model->refused[block] = op->version;
            continue;
        }
        model->acked[block] = op->version;
        if (op->request.flags & RI_FUA)
            model_promised(op->m, block, op->version);
    }
}

static void
flush_done(struct op *op)
{
    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++)
        if (op->given_up == model_of(op)->given_up ||
            op->floor[block] <= model_of(op)->acked[block])
            model_promised(op->m, block, op->floor[block]);
}

static void
op_done(struct op *op)
{
    static const char *const names[] = { "read", "write", "flush", "trim",
                                         "zero" };
    bool ok = op->request.error == 0;

    event("%s medium %d block %u +%u version %u: %d %08x",
          names[op->request.op], op->m, op->first, op->count, op->version,
          op->request.error, op->request.status);
    world->requests++;
    world->errors += !ok;
    if (op->request.status == FILE_INVALID)
        connections[op->m].stale = true;
    if (op->request.op == RI_READ && ok)
        read_done(op);
    else if (op->request.op == RI_FLUSH && ok)
        flush_done(op);
    else if (op->request.op == RI_WRITE || op->request.op == RI_ZERO)
        write_done(op, ok);
    connections[op->m].waiting--;
    op->used = false;
}

static void
request_done(struct ri_request *request)
{
    op_done(request->context);
}

/* --- requests -------------------------------------------------------------------- */

static struct op *
new_op(int m, enum ri_op what)
{
    struct op *op = NULL;

    for (int i = 0; i < OPS && op == NULL; i++)
        if (!ops[i].used)
            op = &ops[i];
    if (op == NULL || connections[m].export == NULL || connections[m].stale)
        return NULL;
    memset(&op->request, 0, sizeof op->request);
    op->request.op = what;
    op->request.done = request_done;
    op->request.context = op;
    op->request.buffer = op->data;
    op->m = m;
    op->first = op->count = op->version = 0;
    op->given_up = world->media[m].given_up;
    return op;
}

static void
submit(struct op *op)
{
    op->used = true;
    op->since_ms = baton_now_ms();
    op->request.offset_bytes = (uint64_t) op->first * BLOCK;
    op->request.length_bytes = (uint64_t) op->count * BLOCK;
    connections[op->m].waiting++;
    /* As the NBD server does it: sent at the end, by this thread if it can. */
    ri_burst_begin();
    if (ri_submit(connections[op->m].export, &op->request))
        op_done(op);
    ri_burst_end();
}

static void
choose_range(struct op *op)
{
    op->count = 1 + (uint32_t) chance(chance(8) == 0 ? MOST : 16);
    op->count = (op->count + world->unit - 1) / world->unit * world->unit;
    switch (chance(16)) {
    case 0:
        op->first =
            FIRST_BLOCK + (uint32_t) chance(MIDDLE - FIRST_BLOCK - op->count);
        break;
    case 1:
        op->first = MIDDLE_END +
                    (uint32_t) chance(world->blocks - MIDDLE_END - op->count);
        break;
    default:
        op->first = MIDDLE + (uint32_t) chance(MIDDLE_END - MIDDLE - op->count);
        break;
    }
    op->first -= op->first % world->unit;
}

static void
send_read(int m, uint32_t first, uint32_t count)
{
    struct op *op = new_op(m, RI_READ);

    if (op == NULL)
        return;
    choose_range(op);
    if (count != 0) {
        op->first = first;
        op->count = count;
    }
    for (uint32_t i = 0; i < op->count; i++)
        op->floor[i] = model_of(op)->acked[op->first + i];
    submit(op);
}

static void
send_flush(int m)
{
    struct op *op = new_op(m, RI_FLUSH);

    if (op == NULL)
        return;
    memcpy(op->floor, model_of(op)->acked, sizeof op->floor);
    submit(op);
}

static void
send_write(int m, enum ri_op what)
{
    struct op *op = new_op(m, what);
    struct medium_model *model = &world->media[m];

    if (op == NULL)
        return;
    choose_range(op);
    for (uint32_t i = 0; i < op->count; i++)
        if (model->busy[op->first + i])
            return;
    op->version = model_next(m, what == RI_ZERO);
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t block = op->first + i;

        model->busy[block] = true;
        model->issued[block] = op->version;
        if (what == RI_ZERO)
            model->zeroed[block] = op->version;
        else
            model_stamp(m, block, op->version, op->data + i * BLOCK);
    }
    if (chance(8) == 0)
        op->request.flags |= RI_FUA;
    submit(op);
}

static void
one_request(void)
{
    int m = (int) chance(MEDIA);

    switch (chance(16)) {
    case 0:
    case 1:
        send_flush(m);
        break;
    case 2:
        send_write(m, RI_ZERO);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        send_read(m, 0, 0);
        break;
    default:
        send_write(m, RI_WRITE);
        break;
    }
}

static void *
client(void *unused)
{
    while (running) {
        if (!hushed)
            one_request();
        baton_sleep_ms(hushed ? 100 : chance(3) == 0 ? chance(400) : 1);
    }
    return unused;
}

/* --- life --------------------------------------------------------------------------- */

void
clients_start(void)
{
    memset(connections, 0, sizeof connections);
    ops = calloc(OPS, sizeof *ops);
    running = true;
    hushed = false;
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&threads[i], NULL, client, NULL);
}

void
clients_hush(bool quiet)
{
    hushed = quiet;
}

void
clients_stop(void)
{
    running = false;
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

unsigned
clients_waiting(void)
{
    unsigned n = 0;

    for (int m = 0; m < MEDIA; m++)
        n += connections[m].waiting;
    return n;
}

bool
clients_have(int m)
{
    return connections[m].export != NULL;
}

unsigned
clients_waiting_for(int m)
{
    return connections[m].waiting;
}

/* Stale ones are closed when their last request has come back. */
static void
close_stale(void)
{
    for (int m = 0; m < MEDIA; m++) {
        struct connection *c = &connections[m];

        if (!c->stale || c->waiting != 0)
            continue;
        ri_close(c->export);
        memset(c, 0, sizeof *c);
        event("closed medium %d, which is stale", m);
    }
}

static bool
mounted_in(const char *drive, bool *out_read_only)
{
    struct ri_volume_info *list;
    bool yes = false;
    size_t n;

    if (ri_volumes(service, &list, &n) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].drive, drive) == 0 &&
            strcmp(list[i].state, "mounted") == 0) {
            yes = true;
            *out_read_only = list[i].read_only;
        }
    free(list);
    return yes;
}

static bool first_read_over;

static void
first_read_done(struct ri_request *request)
{
    (void) request;
    first_read_over = true;
}

/* Is it the medium that we think it is?  A read tells.  A volume whose medium
 * has just gone would wait for it. */
static bool
try_connection(int m)
{
    static uint8_t block[8 * BLOCK];
    static struct ri_request request;

    request = (struct ri_request){ .op = RI_READ,
                                   .offset_bytes = MIDDLE * BLOCK,
                                   .length_bytes = world->unit * BLOCK,
                                   .buffer = block,
                                   .done = first_read_done };
    first_read_over = ri_submit(connections[m].export, &request);
    for (int i = 0; !first_read_over; i++) {
        if (i == 20)
            ri_cancel(&request);
        if (i == 2000)
            fail("stuck", "a cancelled read of medium %d", m);
        baton_sleep_ms(100);
    }
    if (request.error != 0)
        return false;
    model_version(m, MIDDLE, block, "read first");
    return true;
}

void
clients_open(void)
{
    close_stale();
    for (int d = 0; d < DRIVES; d++) {
        struct ri_error error;
        char name[32], drive[32];
        bool read_only = false;
        int m = medium_in(d);

        snprintf(drive, sizeof drive, "disk%d", d);
        snprintf(name, sizeof name, "drive:disk%d", d);
        if (m < 0 || connections[m].export != NULL ||
            !mounted_in(drive, &read_only) ||
            ri_open(service, name, &connections[m].export, &error) != 0)
            continue;
        /* What is write protected is looked at: it may be changed elsewhere. */
        if (try_connection(m)) {
            world->media[m].tracked = true;
            if (!read_only || world->drives == DISC) {
                event("opened medium %d in drive %d", m, d);
                continue;
            }
        }
        ri_close(connections[m].export);
        connections[m].export = NULL;
    }
}

void
clients_close_all(void)
{
    for (int m = 0; m < MEDIA; m++) {
        if (connections[m].waiting != 0)
            fail("stuck", "%u requests for medium %d outlive the service",
                 connections[m].waiting, m);
        ri_close(connections[m].export);
        memset(&connections[m], 0, sizeof connections[m]);
    }
    free(ops);
    ops = NULL;
}

/* --- what must be so ------------------------------------------------------------------ */

void
clients_check_moving(int m, const char *when)
{
    for (int i = 0; i < OPS; i++)
        if (ops[i].used && (m < 0 || ops[i].m == m))
            fail("stuck",
                 "%s: a request (%d, block %u) for medium %d, in drive %d, "
                 "waits for %llu ms",
                 when, ops[i].request.op, ops[i].first, ops[i].m,
                 drive_with(ops[i].m),
                 (unsigned long long) (baton_now_ms() - ops[i].since_ms));
}

void
clients_read_medium(int m)
{
    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block += MOST) {
        uint32_t count =
            world->blocks - block < MOST ? world->blocks - block : MOST;

        send_read(m, block, count);
    }
}

void
clients_flush_medium(int m)
{
    send_flush(m);
}
