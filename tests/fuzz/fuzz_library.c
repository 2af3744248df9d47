/*
 * fuzz_library.c - any commands, hands and rules to an emulated library
 *
 * Input: personality, then events: a byte that says what, and its operands.
 * Commands are any CDB with any data.  Checked: nothing crashes, every command
 * completes once, no byte behind the buffer is written, and after each input
 * every cartridge is in at most one place and none is forgotten that no hand
 * took out.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vscsi.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

#define VOLUMES 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *const rules[] = {
    "at 1 move do stuck",
    "at 1 move do wrong-medium",
    "at 1 move do no-answer",
    "at 1 exchange do half",
    "at 1 inventory do unreadable",
    "at 1 move do not-loaded",
    "at 1 move do door",
    "at 1 status do lie-overlap",
    "at 1 status do lie-noise 3",
    "at 1 status do lie-cut 9",
    "at 1 status do lie-twice",
    "at 1 status do lie-count 65535",
    "at 1 any do sense 4/15/01",
    "at 1 exchange do wrong-medium",
    "at 1 exchange do stuck",
    "at 1 exchange do door",
};

static char folder[] = "/dev/shm/fuzz-library-XXXXXX";
static struct vscsi_drive *drives[2];
static const uint8_t *at, *end;
static bool taken; /* a hand took something out */

static void
clean_up(void)
{
    char command[100];

    vscsi_free(drives[0]);
    vscsi_free(drives[1]);
    (void) snprintf(command, sizeof command, "rm -rf '%s'", folder);
    (void) !system(command);
}

static void
begin(void)
{
    CHECK(mkdtemp(folder) != NULL);
    for (unsigned i = 0; i < VOLUMES; i++) {
        char path[100];
        int fd;

        (void) snprintf(path, sizeof path, "%s/%s%u", folder,
                        i == 0 ? "CLN" : "VOL", i);
        fd = open(path, O_CREAT | O_WRONLY, 0644);
        CHECK(fd >= 0 && ftruncate(fd, 65536) == 0);
        (void) close(fd);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct vscsi_config config = { .name = i == 0 ? "F0" : "F1" };

        drives[i] = vscsi_new(&config);
    }
    (void) atexit(clean_up);
}

static uint8_t
next(void)
{
    return at < end ? *at++ : 0;
}

static void
done(struct vscsi_command *command)
{
    ++*(int *) command->context;
}

/* Any CDB; every other one is a motion between elements that exist. */
static void
command(struct vscsi_nexus *nexus, bool motion)
{
    static const uint16_t bases[] = { 1, 16, 256, 4096 };
    struct vscsi_command sent = { .cdb_len = 16, .done = done };
    size_t room = (size_t) next() * 16;
    uint8_t *data = malloc(room + 1);
    int calls = 0;

    CHECK(data != NULL);
    for (unsigned i = 0; i < 16; i++)
        sent.cdb[i] = next();
    if (motion) {
        uint16_t from = (uint16_t) (bases[sent.cdb[4] & 3] + sent.cdb[5] % 8);
        uint16_t to = (uint16_t) (bases[sent.cdb[6] & 3] + sent.cdb[7] % 8);

        sent.cdb[0] = sent.cdb[0] & 1 ? 0xA6 : 0xA5;
        sent.cdb[1] = sent.cdb[2] = 0;
        sent.cdb[3] = 1;
        sent.cdb[4] = (uint8_t) (from >> 8);
        sent.cdb[5] = (uint8_t) from;
        sent.cdb[6] = (uint8_t) (to >> 8);
        sent.cdb[7] = (uint8_t) to;
        sent.cdb[8] = (uint8_t) (from >> 8);
        sent.cdb[9] = (uint8_t) from;
        sent.cdb[10] = sent.cdb[11] = 0;
        sent.cdb_len = 12;
    }
    sent.dir = (enum vscsi_dir)(next() % 3);
    for (size_t i = 0; i < room && i < 40; i++)
        data[i] = next();
    memset(data + (room < 40 ? room : 40), 0x5A,
           room + 1 - (room < 40 ? room : 40));
    sent.data = data;
    sent.data_len = (uint32_t) room;
    sent.context = &calls;
    if (!vscsi_execute(nexus, &sent)) {
        vscsi_abort(nexus, &sent);
        CHECK(calls == 1);
    } else {
        CHECK(calls == 0);
    }
    CHECK(data[room] == 0x5A && sent.transferred <= room);
    free(data);
}

static void
hand(struct vscsi_library *library)
{
    enum vscsi_element_kind kind = (enum vscsi_element_kind)(next() % 5);
    unsigned index = next() % 8, what = next() % 6;
    char file[8];

    (void) snprintf(file, sizeof file, "VOL%u", 1 + next() % (VOLUMES - 1));
    switch (what) {
    case 0:
        (void) vscsi_library_door(library, index & 1, NULL, 0);
        break;
    case 1:
        (void) vscsi_library_mail(library, index & 1, NULL, 0);
        break;
    case 2:
        (void) vscsi_library_put(library, kind, index, file, NULL, 0);
        break;
    case 3:
        taken |= vscsi_library_take(library, kind, index, NULL, NULL, 0) == 0;
        break;
    case 4:
        (void) vscsi_library_fit(library, kind, index, 1, kind & 1, NULL, 0);
        break;
    default: {
        char path[100];

        (void) snprintf(path, sizeof path, "%s/%s", folder, file);
        if (vscsi_yank(drives[index & 1]) != 0 &&
            vscsi_insert(drives[index & 1], path, NULL, 0) == 0)
            taken = true; /* what lay in the mouth of the drive is outside */
        break;
    }
    }
}

static void
check_places(struct vscsi_library *library)
{
    struct vscsi_library_snapshot *all = vscsi_library_snapshot(library);
    unsigned count = 0;

    for (unsigned i = 0; i < all->count; i++) {
        if (all->elements[i].file[0] == '\0')
            continue;
        count++;
        for (unsigned j = 0; j < i; j++)
            CHECK(strcmp(all->elements[i].file, all->elements[j].file) != 0);
    }
    CHECK(count <= VOLUMES && (taken || count == VOLUMES));
    free(all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static bool begun;
    struct vscsi_library_config config = {
        .name = "FUZZ",
        .slots = 6,
        .drives = drives,
        .drive_count = 1,
        .media_dir = folder,
    };
    struct vscsi_library *library;
    struct vscsi_nexus *nexus;
    unsigned personality;

    if (!begun)
        begin();
    begun = true;
    at = data;
    end = data + bytes;
    taken = false;
    personality = next();
    while (personality >= 128 ||
           vscsi_library_personality(personality, NULL) == NULL)
        personality /= 2;
    config.personality = vscsi_library_personality(personality, NULL);
    if (strcmp(config.personality, "autoloader") != 0) {
        config.mail_slots = 2;
        config.drive_count = 2;
    }
    library = vscsi_library_new(&config, NULL, 0);
    CHECK(library != NULL);
    nexus = vscsi_nexus_new(vscsi_library_robot(library), NULL, NULL);
    CHECK(nexus != NULL);
    while (at < end) {
        unsigned what = next();

        if (what % 8 == 0)
            hand(library);
        else if (what % 8 == 1)
            (void) vscsi_fault_add(vscsi_library_robot(library),
                                   rules[what / 8 % 16], NULL, 0);
        else
            command(nexus, what % 8 < 5);
    }
    check_places(library);
    vscsi_nexus_free(nexus);
    vscsi_library_free(library);
    for (unsigned i = 0; i < 2; i++)
        (void) vscsi_yank(drives[i]);
    return 0;
}
