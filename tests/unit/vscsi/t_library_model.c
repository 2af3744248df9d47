/*
 * t_library_model.c - 10,000 random events against a model; 10,000 slots
 *
 * The model is told what each command, hand or fault must do by the text of the
 * standard, and every 50 events compared with the snapshot, the drives and the
 * element data: every cartridge is in exactly one place.
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#define SLOTS    24
#define VOLUMES  16
#define EVENTS   10000
#define ELEMENTS (1 + SLOTS + 2 + 2)
#define OUTSIDE  (-1)

/* Element n of the model: arm, slots, mail slots, drives. */
struct model {
    int in[ELEMENTS]; /* volume, from 0; -1: empty */
    bool door, mail;
    unsigned random;
};

static unsigned
address_of(unsigned n)
{
    return n == 0           ? ARM
           : n <= SLOTS     ? SLOT + n - 1
           : n <= SLOTS + 2 ? MAIL + n - SLOTS - 1
                            : DRIVE + n - SLOTS - 3;
}

static enum vscsi_element_kind
kind_of(unsigned n)
{
    return n == 0           ? VSCSI_ELEMENT_TRANSPORT
           : n <= SLOTS     ? VSCSI_ELEMENT_SLOT
           : n <= SLOTS + 2 ? VSCSI_ELEMENT_MAIL
                            : VSCSI_ELEMENT_DRIVE;
}

static unsigned
index_of(unsigned n)
{
    return n == 0           ? 0
           : n <= SLOTS     ? n - 1
           : n <= SLOTS + 2 ? n - SLOTS - 1
                            : n - SLOTS - 3;
}

static unsigned
pick(struct model *model, unsigned below)
{
    return (unsigned) rand_r(&model->random) % below;
}

static int
where(const struct model *model, int volume)
{
    for (unsigned n = 0; n < ELEMENTS; n++)
        if (model->in[n] == volume)
            return (int) n;
    return OUTSIDE;
}

static void
compare(struct house *house, const struct model *model)
{
    struct vscsi_library_snapshot *all = vscsi_library_snapshot(house->library);
    char file[32];

    assert_int_equal(all->count, ELEMENTS);
    assert_int_equal(all->door_open, model->door);
    assert_int_equal(all->mail_open, model->mail);
    for (unsigned n = 0; n < ELEMENTS; n++) {
        const struct vscsi_element *at = &all->elements[n];

        assert_int_equal(at->address, address_of(n));
        snprintf(file, sizeof file, "vol%03dL6.img", model->in[n] + 1);
        assert_string_equal(at->file, model->in[n] < 0 ? "" : file);
        if (at->loaded)
            assert_string_equal(image_in(house, at->index), file);
    }
    free(all);
}

/* What element data say must be the same. */
static void
compare_wire(struct house *house, const struct model *model)
{
    for (unsigned n = 0; n < ELEMENTS; n++) {
        const uint8_t *at = descriptor(house, kind_of(n), address_of(n));
        char tag[33];

        assert_non_null(at);
        assert_int_equal(at[2] & 1, model->in[n] >= 0);
        snprintf(tag, sizeof tag, "VOL%03dL6", model->in[n] + 1);
        if (model->in[n] >= 0 && !(at[2] & 4))
            assert_memory_equal(at + 12, tag, 8);
    }
}

static void
drain(struct house *house)
{
    for (unsigned i = 0; i < 8 && TUR(&house->rig) >> 16 == 6; i++)
        ;
}

static uint32_t
expected(const struct model *model, unsigned from, unsigned to)
{
    if (model->door)
        return 0x020418;
    if (kind_of(from) == VSCSI_ELEMENT_MAIL && model->mail)
        return 0x023A02;
    if (model->in[from] < 0)
        return 0x053B0E;
    if (from != 0 && model->in[0] >= 0)
        return 0x053B0D;
    if (from == to)
        return 0;
    if (kind_of(to) == VSCSI_ELEMENT_MAIL && model->mail)
        return 0x023A02;
    return model->in[to] >= 0 ? 0x053B0D : 0;
}

static void
shift(struct model *model, unsigned from, unsigned to)
{
    int volume = model->in[from];

    model->in[from] = -1;
    model->in[to] = volume;
}

/* 2 in 100 go wrong. */
static void
do_move(struct house *house, struct model *model)
{
    unsigned from = pick(model, ELEMENTS), to = pick(model, ELEMENTS);
    uint32_t sense = expected(model, from, to);
    unsigned luck = pick(model, 100);

    if (sense == 0 && from != to && to != 0 && luck < 2) {
        rule(house, luck == 0 ? "at 1 move do stuck" : "at 1 move do door");
        assert_int_equal(move(house, address_of(from), address_of(to)),
                         luck == 0 ? 0x041501 : 0x020418);
        if (from != 0)
            shift(model, from, 0);
        model->door = luck == 1;
        return;
    }
    if (luck == 2) {
        rule(house, "at 1 move do sense 4/15/01");
        assert_int_equal(move(house, address_of(from), address_of(to)),
                         0x041501);
        return;
    }
    assert_int_equal(move(house, address_of(from), address_of(to)), sense);
    if (sense == 0 && from != to)
        shift(model, from, to);
}

static void
do_exchange(struct house *house, struct model *model)
{
    unsigned source = 1 + pick(model, SLOTS);
    unsigned first = SLOTS + 3 + pick(model, 2);
    unsigned second = pick(model, 2) ? source : 1 + pick(model, SLOTS);
    uint32_t sense = exchange(house, address_of(source), address_of(first),
                              address_of(second));
    int volume;

    if (model->door)
        assert_int_equal(sense, 0x020418);
    else if (model->in[source] < 0)
        assert_int_equal(sense, 0x053B0E);
    else if (model->in[0] >= 0)
        assert_int_equal(sense, 0x053B0D);
    else if (model->in[first] < 0)
        assert_int_equal(sense, 0x053B0E);
    else if (second != source && model->in[second] >= 0)
        assert_int_equal(sense, 0x053B0D);
    else
        assert_int_equal(sense, 0);
    if (sense != 0)
        return;
    volume = model->in[first];
    shift(model, source, first);
    model->in[second] = volume;
}

static void
do_hand(struct house *house, struct model *model)
{
    unsigned n = 1 + pick(model, SLOTS + 2);
    bool reach =
        model->door || (kind_of(n) == VSCSI_ELEMENT_MAIL && model->mail);
    int volume = (int) pick(model, VOLUMES), error;
    char file[32];

    if (pick(model, 2)) {
        error = vscsi_library_take(house->library, kind_of(n), index_of(n),
                                   NULL, NULL, 0);
        assert_int_equal(error, !reach              ? -EPERM
                                : model->in[n] >= 0 ? 0
                                                    : -ENOENT);
        if (error == 0)
            model->in[n] = -1;
        return;
    }
    snprintf(file, sizeof file, "vol%03dL6.img", volume + 1);
    error = vscsi_library_put(house->library, kind_of(n), index_of(n), file,
                              NULL, 0);
    assert_int_equal(error, !reach                            ? -EPERM
                            : model->in[n] >= 0               ? -EBUSY
                            : where(model, volume) != OUTSIDE ? -EEXIST
                                                              : 0);
    if (error == 0)
        model->in[n] = volume;
}

/* A hand carries a cartridge into a drive behind the robot's back. */
static void
do_drift(struct house *house, struct model *model)
{
    unsigned drive = pick(model, 2), n = SLOTS + 3 + drive;
    int volume = (int) pick(model, VOLUMES), old;
    char path[400];

    if (pick(model, 2)) {
        (void) vscsi_yank(house->drives[drive]); /* stays in its mouth */
        return;
    }
    snprintf(path, sizeof path, "%s/vol%03dL6.img", house->media, volume + 1);
    if (vscsi_insert(house->drives[drive], path, NULL, 0) != 0)
        return; /* full, or it is in the other drive */
    old = where(model, volume);
    if (old >= 0)
        model->in[old] = -1;
    model->in[n] = volume;
}

static void
do_restart(struct house *house, struct model *model)
{
    house_close(house);
    house_open(house);
    model->door = model->mail = false;
    if (model->in[0] < 0)
        return;
    /* The arm puts away what it holds, where it can. */
    for (unsigned n = 1; n < ELEMENTS; n++)
        if (model->in[n] < 0 && element(house, kind_of(n), index_of(n)).full) {
            shift(model, 0, n);
            break;
        }
}

static void
event(struct house *house, struct model *model)
{
    unsigned what = pick(model, 1000);

    if (what < 700)
        do_move(house, model);
    else if (what < 800)
        do_exchange(house, model);
    else if (what < 900)
        do_hand(house, model);
    else if (what < 940) {
        model->door = !model->door;
        assert_int_equal(
            vscsi_library_door(house->library, model->door, NULL, 0), 0);
    } else if (what < 970) {
        model->mail = !model->mail;
        assert_int_equal(
            vscsi_library_mail(house->library, model->mail, NULL, 0), 0);
    } else if (what < 990) {
        do_drift(house, model);
    } else if (what < 995) {
        vscsi_reset(house->rig.drive);
    } else {
        do_restart(house, model);
    }
    drain(house);
}

static void
ten_thousand_events__every_cartridge_is_in_one_place(void **state)
{
    const struct vscsi_library_config config = { .slots = SLOTS,
                                                 .mail_slots = 2 };
    struct house *house = house_new(&config, VOLUMES);
    struct model model = { .random = 4711 };

    for (unsigned n = 0; n < ELEMENTS; n++)
        model.in[n] = n >= 1 && n <= VOLUMES ? (int) n - 1 : -1;
    for (unsigned i = 0; i < EVENTS; i++) {
        event(house, &model);
        if (i % 50 == 0) {
            compare(house, &model);
            compare_wire(house, &model);
        }
    }
    compare(house, &model);
    house_free(house);
}

/* --- 10,000 slots --------------------------------------------------------- */

#define MANY 10000u

static void
ten_thousand_slots__are_told_completely_and_in_order(void **state)
{
    const struct vscsi_library_config config = { .slots = MANY };
    struct house *house = house_make(&config, 0);
    const size_t max = 1 << 20;
    uint8_t *data = malloc(max);
    struct vscsi_command *last = &house->rig.last;
    char path[400], tag[16];

    for (unsigned i = 0; i < MANY; i += 2) { /* every one of them empty */
        snprintf(path, sizeof path, "%s/T%05uL6", house->media, i);
        close(open(path, O_CREAT | O_WRONLY, 0644));
    }
    house_open(house);
    assert_false(start_on(&house->rig, house->rig.nexus,
                          CDB(0xB8, 2 | TAGS, 0, 0, 0xff, 0xff, CURDATA, 0x0f,
                              0xff, 0xff, 0, 0),
                          VSCSI_FROM_DRIVE, 0, 0) == false);
    last->data = data;
    last->data_len = (uint32_t) max;
    assert_true(vscsi_execute(house->rig.nexus, last));
    assert_int_equal(sense_of(last), 0);
    assert_int_equal(last->transferred, 16 + MANY * 48);
    assert_int_equal(number_at(data + 2, 2), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        const uint8_t *at = data + 16 + 48 * i;

        assert_int_equal(number_at(at, 2), SLOT + i);
        assert_int_equal(at[2] & 1, i < MANY / 2);
        snprintf(tag, sizeof tag, "T%05uL6", 2 * i);
        if (i < MANY / 2)
            assert_memory_equal(at + 12, tag, 8);
    }
    /* Piece by piece it is the same. */
    for (unsigned i = 0; i < MANY; i += 1000) {
        assert_int_equal(
            status_of(house, 2, SLOT + i, 1000, TAGS | CURDATA, 65535), 0);
        assert_memory_equal(house->rig.data + 16, data + 16 + 48 * i,
                            1000 * 48);
    }
    assert_int_equal(move(house, SLOT, SLOT + MANY - 1), 0);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, MANY - 1),
                        "T00000L6");
    free(data);
    house_free(house);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_events__every_cartridge_is_in_one_place),
        cmocka_unit_test(ten_thousand_slots__are_told_completely_and_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
