/*
 * fuzz_identity.c - what a hostile medium says it is
 *
 * Input: block size, media size, read-only, where reads fail; then pairs of a
 * place (in units of 512 bytes, 16 bits, of the head or of the tail) and what
 * is there.  Everything else reads as zeros.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include "fs/identity.h"

#define MEDIUM_MAX (4u << 20)

struct medium {
    ULONG64 size, bad_from, bad_end;
    uint8_t *bytes;
    ULONG block;
};

static NTSTATUS
read_medium(void *context, ULONG64 offset, void *buffer, ULONG length)
{
    const struct medium *medium = context;

    CHECK(length > 0 && offset % medium->block == 0 &&
          length % medium->block == 0);
    CHECK(offset <= medium->size && length <= medium->size - offset);
    if (offset < medium->bad_end && offset + length > medium->bad_from)
        return STATUS_DEVICE_DATA_ERROR;
    memcpy(buffer, medium->bytes + offset, length);
    return STATUS_SUCCESS;
}

static bool
is_text(const char *text, size_t max)
{
    return memchr(text, '\0', max) != NULL;
}

static void
lay_down(struct medium *medium, struct input *in)
{
    while (in->at < in->end) {
        uint16_t place = take16(in);
        size_t bytes = take16(in), at = (size_t) (place & 0x7fff) * 512;

        if (place & 0x8000)
            at = at < medium->size ? medium->size - at : 0;
        if (at >= medium->size)
            continue;
        if (bytes > medium->size - at)
            bytes = medium->size - at;
        if (bytes > (size_t) (in->end - in->at))
            bytes = (size_t) (in->end - in->at);
        memcpy(medium->bytes + at, in->at, bytes);
        in->at += bytes;
    }
}

static void
check_identity(const struct identity *id, const struct medium *medium)
{
    CHECK(is_text(id->type, sizeof id->type) && id->type[0] != '\0');
    CHECK(is_text(id->uuid, sizeof id->uuid));
    CHECK(is_text(id->label, sizeof id->label));
    CHECK(id->size_bytes == medium->size);
    CHECK(id->block_bytes == medium->block);
    CHECK(id->ranges <= LOOKED_AT_MAX);
    for (unsigned i = 0; i < id->ranges; i++)
        CHECK(id->looked_at[i].at <= id->looked_at[i].end &&
              id->looked_at[i].end <= medium->size + medium->block);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const ULONG blocks[] = { 512, 2048, 4096, 512 };
    struct input in = { data, data + bytes };
    uint8_t how = take8(&in);
    struct medium medium = { .block = blocks[how & 3] };
    struct identity id, again;
    NTSTATUS status;

    medium.size = ((ULONG64) take16(&in) + 1) * medium.block;
    if (medium.size > MEDIUM_MAX)
        medium.size = MEDIUM_MAX;
    medium.bytes = calloc(1, medium.size);
    CHECK(medium.bytes != NULL);
    if (how & 8) {
        medium.bad_from = (ULONG64) take16(&in) * 512;
        medium.bad_end = medium.bad_from + take8(&in) * 512u;
    }
    lay_down(&medium, &in);
    status = identity_read(read_medium, &medium, medium.size, medium.block,
                           (how & 4) != 0, &id);
    if (NT_SUCCESS(status)) {
        check_identity(&id, &medium);
        again = id;
        if (how & 16)
            CHECK(identity_read(read_medium, &medium, medium.size, medium.block,
                                (how & 4) != 0, &again) == status);
        CHECK(identity_compare(&id, &again) != ID_DIFFERENT);
        (void) identity_covers(&id, take16(&in), 4096);
        identity_touch(&id, (ULONG64) how * 512, 4096);
        (void) identity_compare(&id, &again);
    }
    free(medium.bytes);
    return 0;
}
