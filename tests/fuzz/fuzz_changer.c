/*
 * fuzz_changer.c - element status and mode pages of a changer, for any bytes
 *
 * Input: what is asked (type, wishes), first element and count, then the reply
 * as it is; and the same bytes once more as mode pages.  Whatever comes, no
 * element is made up: what is taken lies in the run, bears its own address, and
 * its bytes are in the reply.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include "mcd/smc_lib.h"

#define MOST 600

static const struct smc_range ranges[SMC_KINDS] = {
    { 0, 0 }, { 1, 2 }, { 1000, MOST }, { 10, 8 }, { 500, 16 },
};

/* The two bytes of an address are somewhere in the reply. */
static bool
is_in(const uint8_t *reply, size_t bytes, unsigned address)
{
    for (size_t i = 16; i + 12 <= bytes; i++)
        if (reply[i] == address >> 8 && reply[i + 1] == (address & 0xff))
            return true;
    return false;
}

static void
check_element(const struct smc_run *run, unsigned index, const uint8_t *reply,
              size_t bytes)
{
    const CHANGER_ELEMENT_STATUS_EX *at = &run->status[index];
    CHANGER_ELEMENT own;

    CHECK(is_in(reply, bytes, run->first + index));
    CHECK(smc_from_device(run->facts, (USHORT) (run->first + index), &own));
    CHECK(own.ElementType == at->Element.ElementType &&
          own.ElementAddress == at->Element.ElementAddress);
    if (at->Flags & ELEMENT_STATUS_SVALID)
        CHECK(at->SrcElementAddress.ElementType >= ChangerTransport &&
              at->SrcElementAddress.ElementType <= ChangerDrive &&
              at->SrcElementAddress.ElementAddress <
                  smc_count(run->facts, at->SrcElementAddress.ElementType));
    else
        CHECK(at->SrcElementAddress.ElementType == 0 &&
              !(at->Flags & ELEMENT_STATUS_INVERT));
    if (at->Flags & ELEMENT_STATUS_PVOLTAG)
        CHECK(run->tags && !smc_is_blank(at->PrimaryVolumeID, 32));
    if (!(at->Flags & ELEMENT_STATUS_EXCEPT))
        CHECK(at->ExceptionCode == 0);
    if (run->type != ChangerIEPort)
        CHECK(!(at->Flags & (ELEMENT_STATUS_IMPEXP | ELEMENT_STATUS_EXENAB |
                             ELEMENT_STATUS_INENAB)));
    if (run->type != ChangerDrive)
        CHECK(!(at->Flags &
                (ELEMENT_STATUS_PRODUCT_DATA | ELEMENT_STATUS_LUN_VALID |
                 ELEMENT_STATUS_ID_VALID | ELEMENT_STATUS_NOT_BUS)));
}

static void
check_elements(uint8_t wish, unsigned first, const uint8_t *reply, size_t bytes)
{
    static CHANGER_ELEMENT_STATUS_EX status[MOST];
    static UCHAR seen[MOST], before[MOST];
    struct smc_facts facts = { .cleaner = wish & 0x40 ? 3 : -1,
                               .two_sided = (wish & 0x20) != 0 };
    struct smc_run run = { .facts = &facts,
                           .type = (ELEMENT_TYPE) (1 + (wish & 3)),
                           .tags = (wish & 4) != 0,
                           .identified = (wish & 8) != 0,
                           .seen = seen,
                           .status = status };
    unsigned fresh = 0;

    memcpy(facts.range, ranges, sizeof ranges);
    first %= ranges[run.type].count;
    run.first = ranges[run.type].first + first;
    run.count = ranges[run.type].count - first;
    if (facts.cleaner >= 0 && run.type == ChangerSlot && first <= 3)
        return; /* a run does begin behind it, or has it: it is no element */
    memset(seen, 0, sizeof seen);
    memset(status, 0, sizeof status);
    (void) smc_parse(&run, reply, (ULONG) bytes);
    for (unsigned i = 0; i < run.count; i++) {
        if (seen[i] == SMC_UNSEEN)
            continue;
        fresh++;
        check_element(&run, i, reply, bytes);
    }
    CHECK(run.fresh >= fresh); /* a cut one may have become whole */
    /* The same reply once more brings nothing new. */
    memcpy(before, seen, sizeof seen);
    (void) smc_parse(&run, reply, (ULONG) bytes);
    CHECK(run.fresh == 0);
    CHECK(memcmp(before, seen, sizeof seen) == 0);
}

static void
check_pages(const uint8_t *reply, size_t bytes)
{
    GET_CHANGER_PARAMETERS parameters = { 0 };
    struct smc_range range[SMC_KINDS];
    const UCHAR *page;
    ULONG len;

    for (int ten = 0; ten < 2; ten++) {
        if (smc_find_page(reply, (ULONG) bytes, ten, 0x1D, &page, &len)) {
            CHECK(page >= reply && page + len <= reply + bytes);
            if (NT_SUCCESS(smc_parse_addresses(page, len, range)))
                for (int i = 1; i < SMC_KINDS; i++)
                    CHECK(range[i].first + range[i].count <= 0x10000);
        }
        if (smc_find_page(reply, (ULONG) bytes, ten, 0x1F, &page, &len)) {
            smc_parse_capabilities(page, len, &parameters);
            CHECK(parameters.Features0 & CHANGER_STORAGE_SLOT);
            CHECK((parameters.MoveFromSlot | parameters.MoveFromTransport |
                   parameters.MoveFromDrive | parameters.MoveFromIePort) != 0);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input in = { data, data + bytes };
    uint8_t wish = take8(&in);
    unsigned first = take16(&in);
    size_t len = (size_t) (in.end - in.at);
    uint8_t *reply = malloc(len != 0 ? len : 1); /* exactly so long */

    CHECK(reply != NULL);
    memcpy(reply, in.at, len);
    check_elements(wish, first, reply, len);
    check_pages(reply, len);
    free(reply);
    return 0;
}
