/*
 * Promise P1 at the drive: writers that learned which medium is in write its
 * pattern with their attention number while media are swapped 1,000 times.  No
 * pattern may ever be on the other image.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>

#define SWAPS     1000
#define WRITERS   3 /* the last has a nexus of its own */
#define LABEL_LBA 0 /* tells the media apart; never written */

SETUP(disk, .type = VSCSI_DISK)
SETUP(cached_disk, .type = VSCSI_DISK, .cache_volatile = true)

struct writer {
    struct rig *rig;
    struct vscsi_nexus *nexus;
    unsigned seed;
    uint64_t written; /* atomic */
    uint64_t stale, bad;
};

static bool stop;

static bool
attempt(struct writer *me, uint8_t opcode, uint32_t lba, uint8_t *block,
        uint32_t attention, uint32_t *out_attention)
{
    struct vscsi_command command = {
        .cdb = { opcode, 0, (uint8_t) (lba >> 24), (uint8_t) (lba >> 16),
                 (uint8_t) (lba >> 8), (uint8_t) lba, 0, 0, 1, 0 },
        .cdb_len = 10,
        .data = block,
        .data_len = 512,
        .dir = opcode == 0x28 ? VSCSI_FROM_DRIVE : VSCSI_TO_DRIVE,
        .attention_in = attention,
    };

    assert_true(vscsi_execute(me->nexus, &command));
    *out_attention = command.attention;
    me->stale += command.result == VSCSI_STALE;
    return command.result == VSCSI_DONE && command.status == 0;
}

static void *
writer_main(void *context)
{
    struct writer *me = context;
    uint8_t block[512];
    uint32_t attention, unused;

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        if (!attempt(me, 0x28, LABEL_LBA, block, 0, &attention))
            continue;
        for (int i = 0; i < 20; i++) {
            uint32_t lba =
                1 + (uint32_t) rand_r(&me->seed) % (IMAGE_BLOCKS - 1);

            memset(block + 1, block[0] ^ 0x20, 511);
            if (!attempt(me, 0x2A, lba, block, attention, &unused))
                break;
            __atomic_add_fetch(&me->written, 1, __ATOMIC_RELAXED);
            if (i % 4 == 0) {
                uint8_t back[512];

                if (attempt(me, 0x28, lba, back, attention, &unused) &&
                    back[0] != block[0])
                    me->bad++;
            }
        }
    }
    return NULL;
}

static void
check_image(const char *path, char mine)
{
    static uint8_t image[IMAGE_BLOCKS * 512];

    peek(path, 0, image, sizeof image);
    for (size_t i = 0; i < sizeof image; i++)
        if (image[i] != mine && image[i] != (mine ^ 0x20))
            fail_msg("%s has a foreign byte at %zu", path, i);
}

static uint64_t
written_by(struct writer *writers)
{
    uint64_t sum = 0;

    for (int i = 0; i < WRITERS; i++)
        sum += __atomic_load_n(&writers[i].written, __ATOMIC_RELAXED);
    return sum;
}

/* As many swaps as there have to be for the writers to get in between. */
static void
swap__under_stamped_writes__no_foreign_block(void **state)
{
    struct rig *rig = *state;
    struct writer writers[WRITERS] = { 0 };
    pthread_t threads[WRITERS];
    char text[256];

    stop = false;
    for (int i = 0; i < WRITERS; i++) {
        writers[i].rig = rig;
        writers[i].seed = 1000u + (unsigned) i;
        writers[i].nexus = i < WRITERS - 1
                               ? rig->nexus
                               : vscsi_nexus_new(rig->drive, NULL, NULL);
        pthread_create(&threads[i], NULL, writer_main, &writers[i]);
    }
    for (int i = 0; i < SWAPS || written_by(writers) <= SWAPS; i++) {
        (void) vscsi_yank(rig->drive);
        assert_int_equal(vscsi_insert(rig->drive, i & 1 ? rig->a : rig->b, text,
                                      sizeof text),
                         0);
        usleep((unsigned) (i * 7 % 300));
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].bad, 0);
    }
    vscsi_nexus_free(writers[WRITERS - 1].nexus);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    check_image(rig->a, 'a');
    check_image(rig->b, 'b');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(swap__under_stamped_writes__no_foreign_block, disk),
        TEST(swap__under_stamped_writes__no_foreign_block, cached_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
