/*
 * Promise P1 through class, port and drive: writers that verified which medium
 * is in, as a file system does, write its pattern under that media change
 * count while media are swapped.  No pattern may ever be on the other image.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>

#define SWAPS   1000
#define WRITERS 3

static bool stop;

struct writer {
    struct rig *rig;
    unsigned seed;
    uint64_t written, refused; /* atomic */
    uint64_t bad;
};

/* What a file system does: the count, who it is, the count again. */
static bool
verify(struct rig *rig, char *block, ULONG *out_count)
{
    static const struct ask override = { .flags = SL_OVERRIDE_VERIFY_VOLUME };
    struct ask keyed = override;
    ULONG count;

    if (control(rig, IOCTL_STORAGE_CHECK_VERIFY, &count, 0, sizeof count,
                &override)
            .status != STATUS_SUCCESS)
        return false;
    keyed.flags |= SL_KEY_SPECIFIED;
    keyed.key = count;
    if (transfer(rig, IRP_MJ_READ, 0, block, BLOCK, &keyed).status !=
        STATUS_SUCCESS)
        return false;
    *out_count = count;
    return true;
}

static bool
write_some(struct writer *me, char *block, ULONG count)
{
    struct ask ask = { .flags = SL_KEY_SPECIFIED | SL_OVERRIDE_VERIFY_VOLUME,
                       .key = count };
    ULONGLONG at = BLOCK * (1 + (ULONGLONG) rand_r(&me->seed) %
                                    (IMAGE_BYTES / BLOCK - 16));
    struct outcome got =
        transfer(me->rig, IRP_MJ_WRITE, at, block, BLOCK * 8, &ask);
    char back[BLOCK];

    if (got.status != STATUS_SUCCESS)
        return false;
    if (__atomic_add_fetch(&me->written, 1, __ATOMIC_RELAXED) % 4 != 0)
        return true;
    if (transfer(me->rig, IRP_MJ_READ, at, back, BLOCK, &ask).status !=
        STATUS_SUCCESS)
        return false;
    me->bad += (back[0] | 0x20) != (block[0] | 0x20);
    return true;
}

static void *
writer_main(void *context)
{
    struct writer *me = context;
    char block[BLOCK * 8];

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        ULONG count;

        if (!verify(me->rig, block, &count))
            continue;
        memset(block, block[0] ^ 0x20, sizeof block);
        for (int i = 0; i < 20; i++)
            if (!write_some(me, block, count)) {
                __atomic_add_fetch(&me->refused, 1, __ATOMIC_RELAXED);
                break;
            }
    }
    return NULL;
}

static void
check_image(const char *path, char mine)
{
    static char image[IMAGE_BYTES];
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, image, sizeof image, 0), sizeof image);
    close(fd);
    for (size_t i = 0; i < sizeof image; i++)
        if ((image[i] | 0x20) != mine)
            fail_msg("%s has a foreign byte at %zu", path, i);
}

static bool
enough_happened(struct writer *writers)
{
    uint64_t written = 0, refused = 0;

    for (unsigned i = 0; i < WRITERS; i++) {
        written += __atomic_load_n(&writers[i].written, __ATOMIC_RELAXED);
        refused += __atomic_load_n(&writers[i].refused, __ATOMIC_RELAXED);
    }
    return written > SWAPS / 4 && refused > 0;
}

/* As many swaps as there have to be for the writers to get in between. */
static void
P1__swap_under_keyed_writes__no_foreign_block(void **state)
{
    struct rig *rig = *state;
    struct writer writers[WRITERS] = { { 0 } };
    pthread_t threads[WRITERS];

    stop = false;
    rig_mount(rig, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].rig = rig;
        writers[i].seed = 1000 + i;
        pthread_create(&threads[i], NULL, writer_main, &writers[i]);
    }
    for (int i = 0; i < SWAPS || !enough_happened(writers); i++) {
        rig_swap(rig, i & 1 ? 0 : 1);
        usleep((unsigned) (i * 7 % 400));
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].bad, 0);
    }
    assert_int_equal(vscsi_yank(rig->drive), 0);
    check_image(rig->image[0], 'a');
    check_image(rig->image[1], 'b');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(P1__swap_under_keyed_writes__no_foreign_block, rig_disk),
        TEST(P1__swap_under_keyed_writes__no_foreign_block, rig_cached),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
