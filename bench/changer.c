/*
 * changer.c - what it costs to read the inventory of a large library
 *
 * 10,000 slots, with labels, parsed as they come in 1000 at a time: the CPU
 * time of the parser alone, without a device.  Prints one line of JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mcd/smc_lib.h"

#define SLOTS      10000u
#define AT_ONCE    1000u
#define DESCRIPTOR 52u
#define TURNS      50

static double
cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static ULONG
fill(uint8_t *reply, unsigned first)
{
    uint8_t *at = reply + 16;
    uint32_t bytes = AT_ONCE * DESCRIPTOR;

    memset(reply, 0, 16 + bytes);
    reply[5] = (uint8_t) ((bytes + 8) >> 16);
    reply[6] = (uint8_t) ((bytes + 8) >> 8);
    reply[7] = (uint8_t) (bytes + 8);
    reply[8] = ChangerSlot;
    reply[9] = 0x80;
    reply[11] = DESCRIPTOR;
    reply[13] = (uint8_t) (bytes >> 16);
    reply[14] = (uint8_t) (bytes >> 8);
    reply[15] = (uint8_t) bytes;
    for (unsigned i = 0; i < AT_ONCE; i++, at += DESCRIPTOR) {
        at[0] = (uint8_t) ((first + i) >> 8);
        at[1] = (uint8_t) (first + i);
        at[2] = 0x09;
        at[9] = 0x80;
        at[10] = at[0];
        at[11] = at[1];
        memset(at + 12, ' ', 32);
        snprintf((char *) at + 12, 32, "T%05uL6", first + i);
        at[20] = ' ';
    }
    return 16 + bytes;
}

int
main(void)
{
    struct smc_facts facts = { .cleaner = -1 };
    struct smc_run run = { .facts = &facts,
                           .type = ChangerSlot,
                           .first = 4096,
                           .count = SLOTS,
                           .tags = TRUE };
    uint8_t *replies = malloc(SLOTS / AT_ONCE * 65536u);
    ULONG len = 0;
    double began, took;

    facts.range[ChangerSlot] = (struct smc_range){ 4096, SLOTS };
    run.status = calloc(SLOTS, sizeof *run.status);
    run.seen = calloc(SLOTS, 1);
    if (replies == NULL || run.status == NULL || run.seen == NULL)
        return 1;
    for (unsigned i = 0; i < SLOTS / AT_ONCE; i++)
        len = fill(replies + i * 65536u, 4096 + i * AT_ONCE);
    began = cpu_ms();
    for (int turn = 0; turn < TURNS; turn++) {
        memset(run.seen, 0, SLOTS);
        for (unsigned i = 0; i < SLOTS / AT_ONCE; i++)
            (void) smc_parse(&run, replies + i * 65536u, len);
    }
    took = (cpu_ms() - began) / TURNS;
    for (unsigned i = 0; i < SLOTS; i++)
        if (run.seen[i] != SMC_WHOLE ||
            !(run.status[i].Flags & ELEMENT_STATUS_PVOLTAG))
            return 1;
    printf("{\"slots\": %u, \"parse_cpu_ms\": %.2f, \"limit_ms\": 50}\n", SLOTS,
           took);
    return took < 50 ? 0 : 1;
}
