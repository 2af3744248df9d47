/*
 * rig.c - tape sessions on two emulated drives
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "minitape/table.h"
#include "port/port.h"

struct rig rig;
uint64_t rig_limit, rig_capacity;

static PDRIVER_OBJECT port_driver, loaded[4];

/* --- what the broker tells ------------------------------------------------ */

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told_more = PTHREAD_COND_INITIALIZER;
static unsigned told[PROMPT_TAKEN + 1], taken[PROMPT_TAKEN + 1];
static struct ri_prompt_info last_told[PROMPT_TAKEN + 1];

static void
broker_event(void *context, enum prompt_event event,
             const struct ri_prompt_info *prompt)
{
    (void) context;
    pthread_mutex_lock(&told_lock);
    told[event]++;
    last_told[event] = *prompt;
    pthread_cond_broadcast(&told_more);
    pthread_mutex_unlock(&told_lock);
}

unsigned
rig_told(enum prompt_event event)
{
    unsigned n;

    pthread_mutex_lock(&told_lock);
    n = told[event];
    pthread_mutex_unlock(&told_lock);
    return n;
}

void
rig_wait_for(enum prompt_event event, struct ri_prompt_info *out)
{
    struct timespec limit;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    pthread_mutex_lock(&told_lock);
    while (told[event] == taken[event] && rc == 0)
        rc = pthread_cond_timedwait(&told_more, &told_lock, &limit);
    taken[event]++;
    if (out != NULL)
        *out = last_told[event];
    pthread_mutex_unlock(&told_lock);
    if (rc != 0)
        fail_msg("the broker did not tell %d", (int) event);
}

static void
broker_describe(void *context, PVPB vpb, PDEVICE_OBJECT real, char *out_volume,
                char *out_drive)
{
    (void) context;
    (void) real;
    tapes_describe(vpb, out_volume, out_drive);
}

static BOOLEAN
broker_tape(void *context, PVPB vpb, char *out_subject)
{
    (void) context;
    return tapes_subject(vpb, out_subject);
}

static BOOLEAN
broker_needed(void *context, PVPB vpb, NTSTATUS status)
{
    (void) context;
    return tapes_needed(vpb, status);
}

static BOOLEAN
broker_try_again(void *context, PVPB vpb)
{
    (void) context;
    return tapes_try_again(vpb);
}

static BOOLEAN
broker_changed(void *context, PVPB vpb)
{
    (void) context;
    return tapes_changed(vpb);
}

static NTSTATUS
broker_gone(void *context, PVPB vpb)
{
    (void) context;
    return tapes_gone(vpb);
}

static int
broker_use(void *context, PVPB vpb)
{
    (void) context;
    return tapes_use(vpb);
}

static void
session_event(void *context, const char *drive, const char *tape,
              const char *action, const char *text)
{
    (void) context;
    (void) drive;
    (void) tape;
    (void) text;
    pthread_mutex_lock(&told_lock);
    snprintf(rig.action, sizeof rig.action, "%s", action);
    pthread_mutex_unlock(&told_lock);
}

static void
session_kept(void *context, const char *drive, const char *tape,
             const char *file, uint64_t bytes, NTSTATUS why)
{
    (void) context;
    (void) drive;
    (void) tape;
    (void) why;
    snprintf(rig.kept_file, sizeof rig.kept_file, "%s", file);
    rig.kept_bytes = bytes;
}

size_t
rig_prompts(void)
{
    struct ri_prompt_info *list;
    size_t count;

    assert_int_equal(prompt_list(&list, &count), 0);
    free(list);
    return count;
}

uint64_t
rig_prompt_id(void)
{
    struct ri_prompt_info *list;
    size_t count;
    uint64_t id;

    assert_int_equal(prompt_list(&list, &count), 0);
    assert_int_equal(count, 1);
    id = list[0].id;
    free(list);
    return id;
}

/* --- the house ------------------------------------------------------------ */

int
rig_begin(void **state)
{
    (void) state;
    clock_manual(true);
    if (io_init() != STATUS_SUCCESS ||
        io_load_driver("port", port_driver_entry, &port_driver) < 0)
        return -1;
    for (size_t i = 0; i < minitape_driver_count; i++)
        if (io_load_driver(minitape_drivers[i].name, minitape_drivers[i].entry,
                           &loaded[i]) < 0)
            return -1;
    return 0;
}

int
rig_end(void **state)
{
    (void) state;
    for (size_t i = 0; i < minitape_driver_count; i++)
        io_unload_driver(loaded[i]);
    io_unload_driver(port_driver);
    io_shutdown();
    clock_manual(false);
    return 0;
}

static void
new_drive(unsigned n, bool loses)
{
    struct tape_unit_config unit = { 0 };
    struct vscsi_config config = { .type = VSCSI_TAPE };
    struct rig_drive *drive = &rig.drive[n];
    const struct fdo_choice *row;
    static unsigned number;
    char name[32];

    snprintf(name, sizeof name, "session%u", number++);
    config.name = name;
    config.cache_volatile = loses;
    config.tape.capacity_bytes = rig_capacity;
    drive->vscsi = vscsi_new(&config);
    assert_non_null(drive->vscsi);
    assert_int_equal(
        port_add_virtual(port_driver, drive->vscsi, name, &drive->pdo), 0);
    row = minitape_driver_for(drive->pdo);
    assert_non_null(row);
    assert_int_equal(
        io_start_device(loaded[row - minitape_drivers], drive->pdo), 0);
    drive->fdo = IoGetAttachedDevice(drive->pdo);
    snprintf(name, sizeof name, "tape%u", n);
    unit.name = name;
    unit.device = drive->fdo;
    unit.unflushed_limit = rig_limit;
    unit.recovery_dir = rig.kept;
    drive->unit = tape_unit_new(&unit);
    assert_non_null(drive->unit);
}

static int
new_rig(bool loses)
{
    static const struct prompt_host broker = {
        .describe = broker_describe,
        .tape = broker_tape,
        .needed = broker_needed,
        .try_again = broker_try_again,
        .changed = broker_changed,
        .gone = broker_gone,
        .use = broker_use,
        .retry = io_harderr_retry,
        .fail = io_harderr_fail,
        .event = broker_event,
    };
    static const struct io_harderr_port port = { .raise = prompt_raise };
    static const struct tapes_host host = {
        .arrived = prompt_arrived,
        .reason = prompt_reason,
        .event = session_event,
        .kept = session_kept,
    };

    memset(&rig, 0, sizeof rig);
    memset(told, 0, sizeof told);
    memset(taken, 0, sizeof taken);
    if (rig_limit == 0)
        rig_limit = 1 << 20;
    snprintf(rig.folder, sizeof rig.folder, "/tmp/tape-session-XXXXXX");
    assert_non_null(mkdtemp(rig.folder));
    snprintf(rig.kept, sizeof rig.kept, "%s/kept", rig.folder);
    prompt_init(&broker, 0, RI_NO_OPERATOR_WAIT);
    io_set_harderr_port(&port);
    assert_int_equal(tapes_start(&host), 0);
    for (unsigned i = 0; i < RIG_DRIVES; i++)
        new_drive(i, loses);
    return 0;
}

int
rig_new(void **state)
{
    (void) state;
    return new_rig(true);
}

int
rig_new_safe(void **state)
{
    (void) state;
    return new_rig(false);
}

static void
remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[512];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) != 0)
            remove_folder(name);
    }
    if (dir != NULL)
        closedir(dir);
    (void) rmdir(path);
}

int
rig_free(void **state)
{
    (void) state;
    if (rig.tape != NULL)
        (void) rig_close();
    for (unsigned i = 0; i < RIG_DRIVES; i++) {
        tape_unit_free(rig.drive[i].unit);
        (void) io_remove_device(rig.drive[i].pdo);
        port_remove_unit(rig.drive[i].pdo);
        vscsi_free(rig.drive[i].vscsi);
    }
    tapes_stop();
    io_set_harderr_port(NULL);
    remove_folder(rig.folder);
    rig_limit = rig_capacity = 0;
    return 0;
}

/* --- hands ---------------------------------------------------------------- */

const char *
rig_path(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s.tap", rig.folder, name);
    return path;
}

void
rig_insert(unsigned drive, const char *name)
{
    const char *path = rig_path(name);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    char text[256] = "";

    assert_true(fd >= 0);
    close(fd);
    if (vscsi_insert(rig.drive[drive].vscsi, path, text, sizeof text) != 0)
        fail_msg("%s", text);
    tape_unit_looked(rig.drive[drive].unit);
}

void
rig_yank(unsigned drive)
{
    assert_int_equal(vscsi_yank(rig.drive[drive].vscsi), 0);
    tape_unit_looked(rig.drive[drive].unit);
}

bool
rig_is_in(unsigned drive)
{
    struct vscsi_state is;

    vscsi_state(rig.drive[drive].vscsi, &is);
    return is.medium;
}

void
rig_open(const char *tape)
{
    struct ri_tape_how how = { .write = true };
    struct ri_error error = { "" };

    snprintf(how.tape, sizeof how.tape, "%s", tape);
    if (tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error) != 0)
        fail_msg("%s", error.text);
}

int
rig_close(void)
{
    struct ri_tape *tape = rig.tape;

    rig.tape = NULL;
    return ri_tape_close(tape, &rig.result);
}

int
rig_write(const void *data, size_t size)
{
    return ri_tape_write(rig.tape, data, size, &rig.result);
}

int
rig_read(void *data, size_t size)
{
    return ri_tape_read(rig.tape, data, size, &rig.result);
}

int
rig_op(int op, int64_t count)
{
    return ri_tape_op(rig.tape, op, count, &rig.result);
}

struct mtget
rig_get(void)
{
    struct mtget get;

    assert_int_equal(ri_tape_status(rig.tape, &get, NULL, NULL), 0);
    return get;
}

const uint8_t *
rig_block(unsigned n, size_t size)
{
    static __thread uint8_t data[1 << 20];
    uint64_t seed = n * UINT64_C(0x9E3779B97F4A7C15) + 1;

    assert_true(size <= sizeof data);
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        data[i] = (uint8_t) (seed >> 56);
    }
    return data;
}

/* --- calls that wait ------------------------------------------------------ */

static struct {
    pthread_t thread;
    enum rig_call call;
    void *data;
    size_t size;
    int64_t count;
    int rc;
    bool over;
} running;

static void *
run_call(void *context)
{
    (void) context;
    switch (running.call) {
    case CALL_READ:
        running.rc = rig_read(running.data, running.size);
        break;
    case CALL_READ_LENT:
        running.rc = ri_tape_read_lent(rig.tape, running.data, running.size,
                                       &rig.result);
        break;
    case CALL_WRITE:
        running.rc = rig_write(running.data, running.size);
        break;
    case CALL_WRITE_LENT:
        running.rc = ri_tape_write_lent(rig.tape, running.data, running.size,
                                        &rig.result);
        break;
    case CALL_OP:
        running.rc = rig_op((int) running.size, running.count);
        break;
    case CALL_NEXT:
        running.rc = ri_tape_next(rig.tape, running.data, running.count != 0,
                                  &rig.result);
        break;
    default:
        running.rc = rig_close();
    }
    pthread_mutex_lock(&told_lock);
    __atomic_store_n(&running.over, true, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&told_more);
    pthread_mutex_unlock(&told_lock);
    return NULL;
}

void
rig_start(enum rig_call call, void *data, size_t size, int64_t count)
{
    running.call = call;
    running.data = data;
    running.size = size;
    running.count = count;
    __atomic_store_n(&running.over, false, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&running.thread, NULL, run_call, NULL), 0);
}

int
rig_join(void)
{
    assert_int_equal(pthread_join(running.thread, NULL), 0);
    return running.rc;
}

bool
rig_has_ended(void)
{
    return __atomic_load_n(&running.over, __ATOMIC_ACQUIRE);
}

void
rig_turn(void)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += 3000000;
    if (limit.tv_nsec >= 1000000000) {
        limit.tv_nsec -= 1000000000;
        limit.tv_sec++;
    }
    pthread_mutex_lock(&told_lock);
    if (!rig_has_ended())
        (void) pthread_cond_timedwait(&told_more, &told_lock, &limit);
    pthread_mutex_unlock(&told_lock);
}

/* --- images --------------------------------------------------------------- */

static uint32_t
get32(const uint8_t *at)
{
    return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 |
           (uint32_t) at[3] << 24;
}

static int
number_of(const uint8_t *data, size_t length)
{
    for (unsigned n = 0; n < 4096; n++)
        if (memcmp(rig_block(n, length < 16 ? length : 16), data,
                   length < 16 ? length : 16) == 0)
            return memcmp(rig_block(n, length), data, length) == 0 ? (int) n
                                                                   : -2;
    return -2;
}

size_t
rig_image(const char *path, int *out_objects, size_t max, size_t size)
{
    static uint8_t image[8 << 20];
    size_t have, at = 0, n = 0;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    have = fread(image, 1, sizeof image, file);
    fclose(file);
    while (at + 4 <= have && n < max) {
        uint32_t length = get32(image + at);

        at += 4;
        if (length == 0xFFFFFFFF)
            break;
        if (length == 0) {
            out_objects[n++] = -1;
            continue;
        }
        assert_true(at + length + 4 <= have);
        if (size != 0)
            assert_int_equal(length, size);
        out_objects[n++] = number_of(image + at, length);
        at += length + (length & 1);
        assert_int_equal(get32(image + at), length);
        at += 4;
    }
    return n;
}
