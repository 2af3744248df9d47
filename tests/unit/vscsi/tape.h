/*
 * tape.h - tape commands, and a SIMH reader and writer of its own
 *
 * CDBs are from SSC-3.  The reader and the writer are made from "SIMH Magtape
 * Representation and Handling" alone; they share nothing with the drive.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_TEST_TAPE_H
#define VSCSI_TEST_TAPE_H

#include "support.h"

#ifndef TAPE_FOLDER
#define TAPE_FOLDER "/tmp/vscsi-test-XXXXXX"
#endif

#define FM 0x80
#define EOM 0x40
#define ILI 0x20

struct tape_rig {
    struct rig rig;             /* first: rig_free frees both */
    char tap[96];
    uint8_t *big;               /* 2 MiB */
};

/* --- images ---------------------------------------------------------------- */

static inline void
tap_word(FILE *file, uint32_t word)
{
    uint8_t bytes[4] = { (uint8_t) word, (uint8_t) (word >> 8),
                         (uint8_t) (word >> 16), (uint8_t) (word >> 24) };

    assert_int_equal(fwrite(bytes, 1, 4, file), 4);
}

/* class << 28 in `class`. */
static inline void
tap_record(FILE *file, uint32_t class, const void *data, uint32_t len)
{
    tap_word(file, class | len);
    assert_int_equal(fwrite(data, 1, len, file), len);
    if (len % 2 != 0)
        fputc(0, file);
    tap_word(file, class | len);
}

struct tap_object {
    bool mark;
    uint32_t len;
    const uint8_t *data;
};

struct tap_tape {
    uint8_t *bytes;
    size_t size;
    struct tap_object *objects;
    size_t count;
};

static inline uint32_t
tap_get(const uint8_t *at)
{
    return (uint32_t) at[3] << 24 | (uint32_t) at[2] << 16 | at[1] << 8 | at[0];
}

/* Strict: what a conforming reader of the standard format takes. */
static inline void
tap_load(const char *path, struct tap_tape *tape)
{
    FILE *file = fopen(path, "rb");
    size_t at = 0, room = 0;

    assert_non_null(file);
    memset(tape, 0, sizeof *tape);
    fseek(file, 0, SEEK_END);
    tape->size = (size_t) ftell(file);
    rewind(file);
    tape->bytes = malloc(tape->size + 1);
    assert_int_equal(fread(tape->bytes, 1, tape->size, file), tape->size);
    fclose(file);
    while (at < tape->size) {
        uint32_t word;

        assert_true(at + 4 <= tape->size);
        word = tap_get(tape->bytes + at);
        if (word == 0xFFFFFFFF)
            break;
        if (tape->count == room) {
            room = room != 0 ? room * 2 : 64;
            tape->objects =
                realloc(tape->objects, room * sizeof *tape->objects);
        }
        tape->objects[tape->count].mark = word == 0;
        tape->objects[tape->count].len = word;
        tape->objects[tape->count++].data = tape->bytes + at + 4;
        at += 4;
        if (word == 0)
            continue;
        assert_int_equal(word & 0xFF000000, 0);
        at += (word + 1) / 2 * 2;
        assert_true(at + 4 <= tape->size);
        assert_int_equal(tap_get(tape->bytes + at), word);
        at += 4;
    }
}

static inline void
tap_free(struct tap_tape *tape)
{
    free(tape->bytes);
    free(tape->objects);
}

/* --- the rig --------------------------------------------------------------- */

static inline void
tape_power(struct tape_rig *tape, const struct vscsi_config *config)
{
    tape->rig.drive = vscsi_new(config);
    assert_non_null(tape->rig.drive);
    tape->rig.nexus = vscsi_nexus_new(tape->rig.drive, count_event, &tape->rig);
    assert_non_null(tape->rig.nexus);
}

static inline struct tape_rig *
tape_rig_new(const struct vscsi_config *config)
{
    struct tape_rig *tape = calloc(1, sizeof *tape);

    strcpy(tape->rig.folder, TAPE_FOLDER);
    assert_non_null(mkdtemp(tape->rig.folder));
    snprintf(tape->tap, sizeof tape->tap, "%s/vol001l5.tap", tape->rig.folder);
    tape->big = calloc(1, 2 << 20);
    make_image(tape->tap, 0, 0);
    tape_power(tape, config);
    return tape;
}

static inline void
tape_settle(struct tape_rig *tape)
{
    char text[256] = "";

    if (vscsi_insert(tape->rig.drive, tape->tap, text, sizeof text) != 0)
        fail_msg("%s", text);
    while (TUR(&tape->rig) >> 16 == 6)
        ;
    assert_int_equal(TUR(&tape->rig), 0);
}

#define TAPE_SETUP(setup_fn, ...)                                     \
    static int setup_fn(void **state)                                 \
    {                                                                 \
        struct vscsi_config config = { .name = "T1",                  \
                                       .type = VSCSI_TAPE,            \
                                       __VA_ARGS__ };                 \
        *state = tape_rig_new(&config);                               \
        return 0;                                                     \
    }

static inline int
tape_teardown(void **state)
{
    struct tape_rig *tape = *state;

    free(tape->big);
    rig_free(&tape->rig);
    return 0;
}

#define TAPE_TEST(function, setup) \
    cmocka_unit_test_setup_teardown(function, setup, tape_teardown)

/* --- commands -------------------------------------------------------------- */

static inline uint32_t
tape_run(struct tape_rig *tape, const uint8_t *cdb, size_t cdb_len,
         enum vscsi_dir dir, uint32_t len)
{
    struct rig *rig = &tape->rig;

    memset(&rig->last, 0xEE, sizeof rig->last);
    memset(rig->last.cdb, 0, 16);
    memcpy(rig->last.cdb, cdb, cdb_len);
    rig->last.cdb_len = (uint8_t) cdb_len;
    rig->last.dir = dir;
    rig->last.data = tape->big;
    rig->last.data_len = len;
    rig->last.attention_in = 0;
    assert_true(vscsi_execute(rig->nexus, &rig->last));
    assert_int_equal(rig->last.result, VSCSI_DONE);
    return sense_of(&rig->last);
}

#define T(tape, ...) tape_run(tape, CDB(__VA_ARGS__), VSCSI_NO_DATA, 0)
#define T_IN(tape, len, ...) \
    tape_run(tape, CDB(__VA_ARGS__), VSCSI_FROM_DRIVE, len)
#define T_OUT(tape, len, ...) \
    tape_run(tape, CDB(__VA_ARGS__), VSCSI_TO_DRIVE, len)
#define B3(n) (uint8_t) ((n) >> 16), (uint8_t) ((n) >> 8), (uint8_t) (n)

/* FILEMARK, EOM and ILI of fixed sense. */
static inline uint8_t
bits_of(const struct tape_rig *tape)
{
    return tape->rig.last.sense_len > 2 ? tape->rig.last.sense[2] & 0xe0 : 0;
}

static inline bool
info_valid(const struct tape_rig *tape)
{
    return tape->rig.last.sense_len > 7 && tape->rig.last.sense[0] & 0x80;
}

static inline int32_t
info_of(const struct tape_rig *tape)
{
    assert_true(info_valid(tape));
    return (int32_t) number_at(tape->rig.last.sense + 3, 4);
}

static inline uint32_t
write_block(struct tape_rig *tape, char fill, uint32_t len)
{
    memset(tape->big, fill, len);
    return T_OUT(tape, len, 0x0A, 0, B3(len), 0);
}

static inline uint32_t
read_block(struct tape_rig *tape, uint32_t len)
{
    memset(tape->big, 0x7E, len);
    return T_IN(tape, len, 0x08, 0, B3(len), 0);
}

static inline uint32_t
marks(struct tape_rig *tape, unsigned count)
{
    return T(tape, 0x10, 0, B3(count), 0);
}

static inline uint32_t
rewind_tape(struct tape_rig *tape)
{
    return T(tape, 0x01, 0, 0, 0, 0, 0);
}

static inline uint32_t
space_over(struct tape_rig *tape, unsigned code, int count)
{
    return T(tape, 0x11, (uint8_t) code, B3((unsigned) count), 0);
}

static inline uint32_t
locate(struct tape_rig *tape, uint32_t object)
{
    return T(tape, 0x2B, 0, 0, (uint8_t) (object >> 24), B3(object), 0, 0, 0);
}

/* READ POSITION, long form. */
static inline uint64_t
object_now(struct tape_rig *tape)
{
    assert_int_equal(T_IN(tape, 32, 0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(tape->rig.last.transferred, 32);
    return number_at(tape->big + 8, 8);
}

static inline uint64_t
file_now(struct tape_rig *tape)
{
    (void) object_now(tape);
    return number_at(tape->big + 16, 8);
}

/* Fixed mode with this block length; 0: variable. */
static inline uint32_t
set_block(struct tape_rig *tape, uint32_t bytes)
{
    uint8_t list[12] = { 0, 0, 0x10, 8, 0, 0, 0, 0, 0, B3(bytes) };

    memcpy(tape->big, list, sizeof list);
    return T_OUT(tape, 12, 0x15, 0x10, 0, 0, 12, 0);
}

#endif
