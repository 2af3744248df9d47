/*
 * A tape drive against a model: 1,000 random sequences of writes, filemarks,
 * spacing, locating, reading, yanks and faults, compared block by block, and
 * at the end of each with the image as an independent reader finds it.
 *
 * The model is a list of objects and a position.  A yank takes it back to what
 * the last synchronizing command left, in the part that was in the buffer.
 *
 * SPDX-License-Identifier: MIT
 */
/* Synchronized thousands of times: in memory. */
#define TAPE_FOLDER "/dev/shm/vscsi-test-XXXXXX"
#include "tape.h"

#define SEQUENCES 1000
#define STEPS     60
#define OBJECTS   4096

struct object {
    bool mark;
    uint32_t len, seed;
};

struct model {
    struct object now[OBJECTS], safe[OBJECTS];
    unsigned count, safe_count; /* safe: what a yank leaves */
    unsigned at;
    bool loses;
};

static uint64_t seed;

static uint32_t
any(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t) (seed >> 33) % below;
}

static uint8_t
byte_of(uint32_t object_seed, uint32_t i)
{
    return (uint8_t) (object_seed * 31 + i * 7 + (i >> 8));
}

static void
sync_model(struct model *model)
{
    memcpy(model->safe, model->now, model->count * sizeof model->now[0]);
    model->safe_count = model->count;
}

static void
add(struct model *model, bool mark, uint32_t len, uint32_t object_seed)
{
    model->now[model->at++] = (struct object){ mark, len, object_seed };
    model->count = model->at;
}

static void
step_write(struct tape_rig *t, struct model *model)
{
    uint32_t len = 1 + any(any(8) == 0 ? 9000 : 200), new = any(1 << 20);

    for (uint32_t i = 0; i < len; i++)
        t->big[i] = byte_of(new, i);
    assert_int_equal(T_OUT(t, len, 0x0A, 0, B3(len), 0), 0);
    add(model, false, len, new);
    if (!model->loses)
        sync_model(model);
}

static void
step_marks(struct tape_rig *t, struct model *model)
{
    unsigned count = any(4);
    bool immediate = any(2);

    assert_int_equal(T(t, 0x10, immediate, 0, 0, (uint8_t) count, 0), 0);
    for (unsigned i = 0; i < count; i++)
        add(model, true, 0, 0);
    if (!immediate || !model->loses)
        sync_model(model);
}

static void
step_read(struct tape_rig *t, struct model *model)
{
    uint32_t room = 1 + any(300), sense = read_block(t, room);
    const struct object *object = &model->now[model->at];

    sync_model(model);
    if (model->at == model->count) {
        assert_int_equal(sense, 0x080005);
        assert_int_equal(info_of(t), room);
        return;
    }
    model->at++;
    if (object->mark) {
        assert_int_equal(sense, 0x000001);
        assert_int_equal(bits_of(t), FM);
        assert_int_equal(info_of(t), room);
        return;
    }
    assert_int_equal(sense, 0);
    assert_int_equal(t->rig.last.transferred,
                     object->len < room ? object->len : room);
    for (uint32_t i = 0; i < t->rig.last.transferred; i++)
        assert_int_equal(t->big[i], byte_of(object->seed, i));
    if (object->len != room) {
        assert_int_equal(bits_of(t), ILI);
        assert_int_equal(info_of(t), (int32_t) (room - object->len));
    } else {
        assert_int_equal(t->rig.last.status, 0);
    }
}

/* One object at a time: slow, and hard to get wrong. */
static void
step_space(struct tape_rig *t, struct model *model)
{
    int count = (int) any(12) - 6, left = count;
    bool marks_only = any(2);
    uint32_t want = 0, sense = space_over(t, marks_only, count);

    sync_model(model);
    while (left > 0 && want == 0) {
        if (model->at == model->count) {
            want = 0x080005;
            break;
        }
        if (model->now[model->at++].mark != marks_only) {
            if (!marks_only)
                want = 0x000001;
            continue;
        }
        left--;
    }
    while (left < 0 && want == 0) {
        if (model->at == 0) {
            want = 0x000004;
            break;
        }
        if (model->now[--model->at].mark != marks_only) {
            if (!marks_only)
                want = 0x000001;
            continue;
        }
        left++;
    }
    assert_int_equal(sense, want);
    if (want != 0)
        assert_int_equal(info_of(t), abs(left));
}

static void
step_locate(struct tape_rig *t, struct model *model)
{
    unsigned to = any(model->count + 3);

    sync_model(model);
    assert_int_equal(locate(t, to), to > model->count ? 0x080005 : 0);
    model->at = to > model->count ? model->count : to;
}

static void
put_back(struct tape_rig *t, struct model *model)
{
    tape_settle(t);
    memcpy(model->now, model->safe, model->safe_count * sizeof model->now[0]);
    model->count = model->safe_count;
    model->at = 0;
    if (any(2) == 0) {
        assert_int_equal(space_over(t, 3, 0), 0);
        model->at = model->count;
    }
}

/* A fault: the command did nothing, and says so. */
static void
step_fault(struct tape_rig *t, struct model *model)
{
    static const char *const rules[] = {
        "at 1 write do sense 3/0C/00",  "at 1 read do sense 3/11/00",
        "at 1 space do sense 4/15/01",  "at 1 filemark do sense 3/0C/00",
        "at 1 rewind do sense 4/15/01",
    };
    unsigned which = any(5);

    assert_int_equal(vscsi_fault_add(t->rig.drive, rules[which], NULL, 0), 0);
    switch (which) {
    case 0:
        assert_int_equal(write_block(t, 'f', 10), 0x030C00);
        break;
    case 1:
        assert_int_equal(read_block(t, 10), 0x031100);
        break;
    case 2:
        assert_int_equal(space_over(t, 0, 1), 0x041501);
        break;
    case 3:
        assert_int_equal(marks(t, 1), 0x030C00);
        break;
    default:
        assert_int_equal(rewind_tape(t), 0x041501);
        break;
    }
    assert_int_equal(object_now(t), model->at);
}

static void
step_yank(struct tape_rig *t, struct model *model)
{
    if (any(3) == 0) {
        /* In the middle of a command: it is not carried out. */
        assert_int_equal(
            vscsi_fault_add(t->rig.drive, "at 1 write do yank", NULL, 0), 0);
        assert_int_equal(write_block(t, 'y', 20), 0x023A00);
    } else {
        assert_int_equal(vscsi_yank(t->rig.drive), 0);
    }
    put_back(t, model);
}

static void
step(struct tape_rig *t, struct model *model)
{
    switch (any(20)) {
    case 0 ... 6:
        step_write(t, model);
        break;
    case 7 ... 8:
        step_marks(t, model);
        break;
    case 9 ... 11:
        step_read(t, model);
        break;
    case 12 ... 14:
        step_space(t, model);
        break;
    case 15 ... 16:
        step_locate(t, model);
        break;
    case 17:
        assert_int_equal(rewind_tape(t), 0);
        sync_model(model);
        model->at = 0;
        break;
    case 18:
        step_fault(t, model);
        break;
    default:
        step_yank(t, model);
        break;
    }
    assert_int_equal(object_now(t), model->at);
}

static void
compare_image(struct tape_rig *t, const struct model *model)
{
    struct tap_tape tap;

    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, model->safe_count);
    for (unsigned i = 0; i < tap.count; i++) {
        assert_int_equal(tap.objects[i].mark, model->safe[i].mark);
        assert_int_equal(tap.objects[i].len, model->safe[i].len);
        for (uint32_t j = 0; j < tap.objects[i].len; j++)
            assert_int_equal(tap.objects[i].data[j],
                             byte_of(model->safe[i].seed, j));
    }
    tap_free(&tap);
}

static void
random_sequences__block_by_block__as_the_model(void **state)
{
    struct model *model = calloc(1, sizeof *model);

    (void) state;
    for (unsigned i = 0; i < SEQUENCES; i++) {
        struct vscsi_config config = { .name = "M",
                                       .type = VSCSI_TAPE,
                                       .cache_volatile = i % 2 };
        struct tape_rig *t = tape_rig_new(&config);
        void *rig = t;

        seed = i + 1;
        memset(model, 0, sizeof *model);
        model->loses = i % 2;
        tape_settle(t);
        for (unsigned s = 0; s < STEPS; s++)
            step(t, model);
        assert_int_equal(vscsi_yank(t->rig.drive), 0);
        compare_image(t, model);
        tape_teardown(&rig);
    }
    free(model);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sequences__block_by_block__as_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
