/*
 * house.h - a media library for the tests of vscsi
 *
 * One folder with the images of the cartridges, drives, a robot and a nexus to
 * it.  The numbers in the tests are from SMC-3 and SPC-4.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_TEST_HOUSE_H
#define VSCSI_TEST_HOUSE_H

#include "support.h"

#define HOUSE_DRIVES 4
#define MEDIUM_BYTES (64u * 1024)

struct house {
    struct rig rig;             /* drive and nexus: the robot's */
    char media[96], state[96];
    struct vscsi_drive *drives[HOUSE_DRIVES];
    struct vscsi_nexus *initiators[HOUSE_DRIVES];
    struct vscsi_library *library;
    struct vscsi_library_config config;
    unsigned volumes;
};

/* Addresses of the standard personality. */
enum { ARM = 1, MAIL = 16, DRIVE = 256, SLOT = 4096 };

static inline void
house_file(struct house *house, const char *name)
{
    char path[400];

    snprintf(path, sizeof path, "%s/%s", house->media, name);
    make_image(path, name[0], MEDIUM_BYTES);
}

static inline void
house_open(struct house *house)
{
    char text[512] = "";

    house->library = vscsi_library_new(&house->config, text, sizeof text);
    if (house->library == NULL)
        fail_msg("%s", text);
    house->rig.drive = vscsi_library_robot(house->library);
    house->rig.nexus = vscsi_nexus_new(house->rig.drive, NULL, NULL);
    assert_non_null(house->rig.nexus);
    while (TUR(&house->rig) >> 16 == 6)
        ;
}

static inline void
house_close(struct house *house)
{
    vscsi_nexus_free(house->rig.nexus);
    vscsi_library_free(house->library);
    house->library = NULL;
}

/* `volumes` cartridges VOL001L6 ..., in slots from 1. */
static inline struct house *
house_make(const struct vscsi_library_config *config, unsigned volumes)
{
    struct house *house = calloc(1, sizeof *house);
    char name[32];

    strcpy(house->rig.folder, "/tmp/vscsi-test-XXXXXX");
    assert_non_null(mkdtemp(house->rig.folder));
    snprintf(house->media, sizeof house->media, "%s/media",
             house->rig.folder);
    snprintf(house->state, sizeof house->state, "%s/state",
             house->rig.folder);
    assert_int_equal(mkdir(house->media, 0755), 0);
    house->volumes = volumes;
    for (unsigned i = 1; i <= volumes; i++) {
        snprintf(name, sizeof name, "vol%03uL6.img", i);
        house_file(house, name);
    }
    house->config = *config;
    if (house->config.name == NULL)
        house->config.name = "LIB1";
    if (house->config.slots == 0)
        house->config.slots = 8;
    if (house->config.drive_count == 0)
        house->config.drive_count = 2;
    for (unsigned i = 0; i < house->config.drive_count; i++) {
        struct vscsi_config drive = { .type = VSCSI_DISK };

        snprintf(name, sizeof name, "DRIVE%u", i);
        drive.name = name;
        house->drives[i] = vscsi_new(&drive);
        house->initiators[i] = vscsi_nexus_new(house->drives[i], NULL, NULL);
    }
    house->config.drives = house->drives;
    house->config.media_dir = house->media;
    house->config.state_file = house->state;
    return house;
}

static inline struct house *
house_new(const struct vscsi_library_config *config, unsigned volumes)
{
    struct house *house = house_make(config, volumes);

    house_open(house);
    return house;
}

static inline void
house_free(struct house *house)
{
    char command[128];

    if (house->library != NULL)
        house_close(house);
    for (unsigned i = 0; i < house->config.drive_count; i++) {
        vscsi_nexus_free(house->initiators[i]);
        vscsi_free(house->drives[i]);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", house->rig.folder);
    assert_int_equal(system(command), 0);
    free(house);
}

/* --- commands ------------------------------------------------------------- */

#define HI(n) (uint8_t) ((n) >> 8)
#define LO(n) (uint8_t) (n)

static inline uint32_t
move(struct house *house, unsigned from, unsigned to)
{
    return NONE(&house->rig, 0xA5, 0, HI(ARM), LO(ARM), HI(from), LO(from),
                HI(to), LO(to), 0, 0, 0, 0);
}

static inline uint32_t
exchange(struct house *house, unsigned from, unsigned first, unsigned second)
{
    return NONE(&house->rig, 0xA6, 0, HI(ARM), LO(ARM), HI(from), LO(from),
                HI(first), LO(first), HI(second), LO(second), 0, 0);
}

enum { TAGS = 0x10, CURDATA = 0x02, DVCID = 0x01 };

static inline uint32_t
status_of(struct house *house, unsigned type, unsigned start, unsigned number,
          unsigned flags, uint32_t alloc)
{
    return IN(&house->rig, alloc < 65536 ? alloc : 65536, 0xB8,
              (uint8_t) (type | (flags & TAGS)), HI(start), LO(start),
              HI(number), LO(number), flags & 3, (uint8_t) (alloc >> 16),
              HI(alloc), LO(alloc), 0, 0);
}

/* The descriptor of one element, or NULL; type 0. */
static inline const uint8_t *
descriptor(struct house *house, unsigned type, unsigned address)
{
    assert_int_equal(
        status_of(house, type, address, 1, TAGS | CURDATA, 4096), 0);
    if (number_at(house->rig.data + 2, 2) == 0 ||
        number_at(house->rig.data + 16, 2) != address)
        return NULL;
    return house->rig.data + 16;
}

/* --- what is true --------------------------------------------------------- */

static inline struct vscsi_element
element(struct house *house, enum vscsi_element_kind kind, unsigned index)
{
    struct vscsi_library_snapshot *all =
        vscsi_library_snapshot(house->library);
    struct vscsi_element found = { 0 };

    for (unsigned i = 0; i < all->count; i++)
        if (all->elements[i].kind == kind && all->elements[i].index == index)
            found = all->elements[i];
    assert_int_equal(found.kind, kind);
    free(all);
    return found;
}

static inline const char *
label_in(struct house *house, enum vscsi_element_kind kind, unsigned index)
{
    static char label[33];

    strcpy(label, element(house, kind, index).bar_code);
    return label;
}

/* The image that a drive really holds, "" for none. */
static inline const char *
image_in(struct house *house, unsigned drive)
{
    static struct vscsi_state state;
    const char *slash;

    vscsi_state(house->drives[drive], &state);
    slash = strrchr(state.image, '/');
    return slash != NULL ? slash + 1 : state.image;
}

/* Every cartridge in exactly one place, and drives hold what is said. */
static inline unsigned
count_cartridges(struct house *house)
{
    struct vscsi_library_snapshot *all =
        vscsi_library_snapshot(house->library);
    unsigned count = 0;

    for (unsigned i = 0; i < all->count; i++) {
        const struct vscsi_element *at = &all->elements[i];

        if (at->file[0] == '\0')
            continue;
        count++;
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(at->file, all->elements[j].file);
        if (at->kind == VSCSI_ELEMENT_DRIVE && at->loaded)
            assert_string_equal(image_in(house, at->index), at->file);
    }
    free(all);
    return count;
}

static inline uint32_t
drive_tur(struct house *house, unsigned drive)
{
    struct rig *rig = &house->rig;
    struct vscsi_nexus *robot = rig->nexus;
    uint32_t sense;

    rig->nexus = house->initiators[drive];
    sense = TUR(rig);
    rig->nexus = robot;
    return sense;
}

static inline void
rule(struct house *house, const char *text)
{
    char why[512] = "";

    if (vscsi_fault_add(house->rig.drive, text, why, sizeof why) != 0)
        fail_msg("%s", why);
}

#define HOUSE(setup_fn, volumes, ...)                                   \
    static int setup_fn(void **state)                                   \
    {                                                                   \
        struct vscsi_library_config config = { __VA_ARGS__ };           \
        *state = house_new(&config, volumes);                           \
        return 0;                                                       \
    }

static inline int
house_teardown(void **state)
{
    house_free(*state);
    return 0;
}

#define HTEST(function, setup) \
    cmocka_unit_test_setup_teardown(function, setup, house_teardown)

#endif
