/*
 * fuzz_probe.c - a drive that answers `reinsert probe` with whatever the input
 * says: data of any length and content, sense in both formats or none, no
 * answer at all
 *
 * Checked: nothing crashes or hangs, no answer is read past its end, and the
 * report is whole.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include <stdlib.h>
#include <string.h>

#include "probe/examine.h"

static struct input script;

/* Each answer: how it ends, how long it is, and its bytes. */
static void
answer(struct cdb *cdb)
{
    uint8_t way = take8(&script);
    uint32_t len = take8(&script);

    cdb->answered = (way & 0x0F) != 0x0F;
    cdb->took_us = 1;
    if (!cdb->answered)
        return;
    if (way & 0x80) {
        cdb->status = way & 0x40 ? 0x02 : way & 0x3E;
        cdb->sense_len = len < LINK_SENSE_MAX ? len : LINK_SENSE_MAX;
        for (uint32_t i = 0; i < cdb->sense_len; i++)
            cdb->sense[i] = take8(&script);
        return;
    }
    if (way & 0x20 && cdb->data_len != 0)
        len = cdb->data_len; /* reads of many blocks */
    if (len > cdb->data_len)
        len = cdb->data_len;
    for (uint32_t i = 0; i < len && i < 256; i++)
        ((uint8_t *) cdb->data)[i] = take8(&script);
    cdb->transferred = len;
}

static void
hostile_send(void *self, struct cdb *cdbs, size_t count)
{
    (void) self;
    for (size_t i = 0; i < count; i++)
        answer(&cdbs[i]);
}

static void
hostile_close(void *self)
{
    (void) self;
}

static void
ask(void *context, const char *what)
{
    (void) context;
    (void) what;
}

static enum said
says(void *context)
{
    (void) context;
    return SAID_DONE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct link_ops ops = { hostile_send, hostile_close };
    static const struct examine_host host = { .ask = ask, .says = says };
    struct link link = { &ops, NULL, "hostile", true, false };
    json_t *report;
    char *text;

    script = (struct input){ data, data + size };
    report = examine("fuzz", &link, &host, take8(&script) & 1);
    text = report != NULL ? json_dumps(report, 0) : NULL;
    if (text == NULL || !json_is_string(json_object_get(report, "believe")))
        abort();
    free(text);
    json_decref(report);
    return 0;
}
