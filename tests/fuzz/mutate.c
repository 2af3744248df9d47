/*
 * mutate.c - a fuzzing target without a fuzzer: mutated inputs, so many
 *
 *     mutate COUNT FOLDER
 *
 * Each input is one of the folder's with one to eight changes: a bit, a byte, a
 * length, a piece cut out, put in twice, or cut off at the end.  The same
 * numbers every time.  For every build and compiler, and for `make test`; what
 * runs with coverage is tests/fuzz/run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 256
#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct seed {
    size_t bytes;
    uint8_t data[INPUT_MAX];
};

static struct seed *seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t state = 20261121;

static uint32_t
any(uint32_t below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t) ((state >> 33) % below);
}

static int
compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void
read_seeds(const char *folder)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, compare);
    char path[4096];

    for (int i = 0; i < count; i++) {
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        file = names[i]->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        if (file != NULL && seed_count < SEEDS_MAX) {
            struct seed *seed = calloc(1, sizeof *seed);

            if (seed == NULL)
                abort();
            seed->bytes = fread(seed->data, 1, sizeof seed->data, file);
            seeds[seed_count++] = seed;
        }
        if (file != NULL)
            fclose(file);
        free(names[i]);
    }
    free(names);
}

static void
change(struct seed *input)
{
    static const uint8_t odd[] = { 0, 1, 0x7F, 0x80, 0xFE, 0xFF };
    size_t at = input->bytes > 0 ? any((uint32_t) input->bytes) : 0;
    size_t len =
        input->bytes > at ? 1 + any((uint32_t) (input->bytes - at)) : 0;
    size_t room = sizeof input->data - input->bytes;

    if (len > 64)
        len = 1 + any(64);
    if (input->bytes == 0)
        return;
    switch (any(6)) {
    case 0:
        input->data[at] ^= (uint8_t) (1u << any(8));
        break;
    case 1:
        input->data[at] = (uint8_t) any(256);
        break;
    case 2:
        input->data[at] = odd[any(sizeof odd)];
        break;
    case 3: /* out */
        memmove(input->data + at, input->data + at + len,
                input->bytes - at - len);
        input->bytes -= len;
        break;
    case 4: /* twice */
        if (len > room)
            break;
        memmove(input->data + at + len, input->data + at, input->bytes - at);
        input->bytes += len;
        break;
    default:
        if (any(4) == 0)
            input->bytes = at;
        break;
    }
}

int
main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    struct seed *input = malloc(sizeof *input);

    if (argc > 2)
        read_seeds(argv[2]);
    if (count == 0 || seed_count == 0 || input == NULL) {
        fprintf(stderr, "usage: %s COUNT FOLDER\n", argv[0]);
        return 2;
    }
    for (unsigned long n = 0; n < count; n++) {
        *input = *seeds[any((uint32_t) seed_count)];
        for (uint32_t left = 1 + any(8); left > 0; left--)
            change(input);
        LLVMFuzzerTestOneInput(input->data, input->bytes);
    }
    printf("%lu mutations of %zu inputs\n", count, seed_count);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i]);
    free(input);
    return 0;
}
