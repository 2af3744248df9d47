/*
 * library.c - CPU time of READ ELEMENT STATUS of an emulated library
 *
 * 10,000 slots, half of them full, with volume tags: in one command, and in
 * ten of 1,000 elements.  Prints microseconds of CPU, the best of several
 * rounds; and the same for one motion, with and without a state file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vscsi.h>

#define SLOTS  10000u
#define ROUNDS 50

static uint8_t data[1 << 20];

static double
cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static void
status(struct vscsi_nexus *nexus, unsigned start, unsigned number)
{
    struct vscsi_command command = {
        .cdb = { 0xB8, 0x12, (uint8_t) (start >> 8), (uint8_t) start,
                 (uint8_t) (number >> 8), (uint8_t) number, 0x02, 0x0f, 0xff,
                 0xff },
        .cdb_len = 12,
        .dir = VSCSI_FROM_DRIVE,
        .data = data,
        .data_len = sizeof data,
    };

    if (!vscsi_execute(nexus, &command) || command.status != 0)
        abort();
}

static void
move(struct vscsi_nexus *nexus, unsigned from, unsigned to)
{
    struct vscsi_command command = {
        .cdb = { 0xA5, 0, 0, 1, (uint8_t) (from >> 8), (uint8_t) from,
                 (uint8_t) (to >> 8), (uint8_t) to },
        .cdb_len = 12,
    };

    if (!vscsi_execute(nexus, &command) || command.status != 0)
        abort();
}

static void
measure(struct vscsi_nexus *nexus, unsigned pieces)
{
    double best = 1e12;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double before = cpu_us(), took;

        for (unsigned i = 0; i < pieces; i++)
            status(nexus, 4096 + i * (SLOTS / pieces), SLOTS / pieces);
        took = cpu_us() - before;
        best = took < best ? took : best;
    }
    printf("inventory of %u slots in %2u commands: %8.0f us\n", SLOTS, pieces,
           best);
}

static void
run(const char *folder, const char *media, bool kept)
{
    char state[128];
    char text[256] = "";
    const struct vscsi_library_config config = {
        .name = "BENCH",
        .slots = SLOTS,
        .media_dir = media,
        .state_file = kept ? state : NULL,
    };
    struct vscsi_library *library;
    struct vscsi_nexus *nexus;
    double before;

    (void) snprintf(state, sizeof state, "%s/state", folder);
    library = vscsi_library_new(&config, text, sizeof text);
    if (library == NULL) {
        fprintf(stderr, "%s\n", text);
        exit(1);
    }
    nexus = vscsi_nexus_new(vscsi_library_robot(library), NULL, NULL);
    {
        struct vscsi_command tur = { .cdb_len = 6 };

        (void) vscsi_execute(nexus, &tur); /* takes the unit attention */
    }
    if (!kept) {
        measure(nexus, 1);
        measure(nexus, 10);
    }
    before = cpu_us();
    for (unsigned i = 0; i < ROUNDS; i++) {
        move(nexus, 4096, 4096 + SLOTS - 1);
        move(nexus, 4096 + SLOTS - 1, 4096);
    }
    printf("a motion%s: %31.0f us\n",
           kept ? ", state file kept" : ", no state file  ",
           (cpu_us() - before) / (2 * ROUNDS));
    vscsi_nexus_free(nexus);
    vscsi_library_free(library);
}

int
main(void)
{
    char folder[] = "/tmp/bench-library-XXXXXX", media[64], command[128];

    if (mkdtemp(folder) == NULL)
        return 1;
    (void) snprintf(media, sizeof media, "%s/media", folder);
    if (mkdir(media, 0755) != 0)
        return 1;
    for (unsigned i = 0; i < SLOTS / 2; i++) {
        char path[128];

        (void) snprintf(path, sizeof path, "%s/T%05uL6", media, i);
        (void) close(open(path, O_CREAT | O_WRONLY, 0644));
    }
    run(folder, media, false);
    run(folder, media, true);
    (void) snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) != 0;
}
