/*
 * fake_service.c - see fake_service.h
 *
 * Locks: service.lock over the state; service.event_lock over the callbacks,
 * taken after it was dropped.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake_service.h"

#include <errno.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX 16

struct subscription {
    uint64_t id;
    ri_event_fn *fn;
    void *context;
};

struct ri_service {
    pthread_mutex_t lock;
    struct ri_drive_info drives[MAX];
    size_t drive_count;
    struct ri_volume_info volumes[MAX];
    size_t volume_count;
    struct ri_prompt_info prompts[MAX];
    size_t prompt_count;
    struct ri_recovery_info kepts[MAX];
    size_t kept_count;
    uint64_t last_prompt;
    bool down;
    pthread_mutex_t event_lock;
    struct subscription subscriptions[MAX];
    size_t subscription_count;
    uint64_t last_subscription, last_event;
};

unsigned fake_eject_ms, fake_ejecting;
bool fake_deaf;

static int
fail(struct ri_error *error, int code, const char *format, const char *what)
{
    snprintf(error->text, sizeof error->text, format, what);
    return -code;
}

/* --- configuration -----------------------------------------------------------
 */

void
ri_config_init(struct ri_config *config)
{
    memset(config, 0, sizeof *config);
}

void
ri_config_free(struct ri_config *config)
{
    free(config->drives);
    config->drives = NULL;
    config->drive_count = 0;
}

static struct ri_drive_config *
add_drive(struct ri_config *config)
{
    size_t n = config->drive_count + 1;
    struct ri_drive_config *drives =
        realloc(config->drives, n * sizeof *drives);

    if (drives == NULL)
        abort();
    config->drives = drives;
    config->drive_count = n;
    memset(&drives[n - 1], 0, sizeof *drives);
    return &drives[n - 1];
}

int
ri_config_add_image(struct ri_config *config, const char *image,
                    struct ri_error *out_error)
{
    size_t n = config->drive_count;
    struct ri_drive_config *drive;
    bool cd = strstr(image, ".iso") != NULL;

    if (access(image, R_OK) != 0)
        return fail(out_error, errno, "image %s: cannot be read", image);
    drive = add_drive(config);
    snprintf(drive->name, sizeof drive->name, "%s%zu", cd ? "cdrom" : "disk",
             n);
    drive->type = cd ? RI_CDROM : RI_DISK;
    snprintf(drive->medium, sizeof drive->medium, "%s", image);
    return 0;
}

/* Knows "[drive NAME]", "medium =", "nbd =" and "control =". */
static bool
load_line(struct ri_config *config, char *line)
{
    struct ri_drive_config *drive;
    char word[RI_PATH_MAX];

    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#' || strcmp(line, "[service]") == 0)
        return true;
    if (sscanf(line, "[drive %127[^]]]", word) == 1) {
        snprintf(add_drive(config)->name, RI_NAME_MAX, "%.127s", word);
        return true;
    }
    if (sscanf(line, "nbd = %1023s", word) == 1) {
        snprintf(config->nbd[config->nbd_count++], RI_PATH_MAX, "%s", word);
        return true;
    }
    if (sscanf(line, "control = %1023s", word) == 1) {
        snprintf(config->control, sizeof config->control, "%s", word);
        return true;
    }
    if (sscanf(line, "medium = %1023s", word) == 1 && config->drive_count) {
        drive = &config->drives[config->drive_count - 1];
        snprintf(drive->medium, sizeof drive->medium, "%s", word);
        return true;
    }
    return false;
}

int
ri_config_load(const char *path, struct ri_config *out_config,
               struct ri_error *out_error)
{
    FILE *file = fopen(path, "r");
    char line[2048];
    unsigned number = 0;

    if (file == NULL)
        return fail(out_error, errno, "%s: cannot be read", path);
    while (fgets(line, sizeof line, file) != NULL) {
        number++;
        if (load_line(out_config, line))
            continue;
        fclose(file);
        snprintf(out_error->text, sizeof out_error->text,
                 "%.200s:%u: unknown line \"%.200s\"", path, number, line);
        return -EINVAL;
    }
    fclose(file);
    return 0;
}

/* --- events
 * -------------------------------------------------------------------- */

void
fake_emit(struct ri_service *service, const char *kind, const char *drive,
          const char *volume, uint64_t prompt, const char *text)
{
    struct timespec now;
    struct ri_event event = {
        .kind = kind,
        .drive = drive,
        .volume = volume,
        .prompt = prompt,
        .text = text,
    };

    clock_gettime(CLOCK_REALTIME, &now);
    event.time_ms =
        (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
    pthread_mutex_lock(&service->event_lock);
    event.seq = ++service->last_event;
    for (size_t i = 0; i < service->subscription_count; i++)
        service->subscriptions[i].fn(service->subscriptions[i].context, &event);
    pthread_mutex_unlock(&service->event_lock);
}

uint64_t
ri_subscribe(struct ri_service *service, ri_event_fn *fn, void *context)
{
    struct subscription *s;
    uint64_t id;

    pthread_mutex_lock(&service->event_lock);
    s = &service->subscriptions[service->subscription_count++];
    *s = (struct subscription){ ++service->last_subscription, fn, context };
    id = s->id;
    pthread_mutex_unlock(&service->event_lock);
    return id;
}

/* The fake has no start of which there is something to tell. */
uint64_t
ri_subscribe_from_start(struct ri_service *service, ri_event_fn *fn,
                        void *context)
{
    return ri_subscribe(service, fn, context);
}

void
ri_unsubscribe(struct ri_service *service, uint64_t subscription)
{
    pthread_mutex_lock(&service->event_lock);
    for (size_t i = 0; i < service->subscription_count; i++)
        if (service->subscriptions[i].id == subscription)
            service->subscriptions[i] =
                service->subscriptions[--service->subscription_count];
    pthread_mutex_unlock(&service->event_lock);
}

/* --- what there is
 * --------------------------------------------------------------- */

#define SNAPSHOT(name, record, field)                                          \
    int name(struct ri_service *service, struct record **out_list,             \
             size_t *out_count)                                                \
    {                                                                          \
        struct record *copy = malloc(sizeof service->field##s);                \
                                                                               \
        if (copy == NULL)                                                      \
            return -ENOMEM;                                                    \
        pthread_mutex_lock(&service->lock);                                    \
        memcpy(copy, service->field##s, sizeof service->field##s);             \
        *out_count = service->field##_count;                                   \
        pthread_mutex_unlock(&service->lock);                                  \
        *out_list = copy;                                                      \
        return 0;                                                              \
    }

SNAPSHOT(ri_drives, ri_drive_info, drive)
SNAPSHOT(ri_volumes, ri_volume_info, volume)
SNAPSHOT(ri_prompts, ri_prompt_info, prompt)
SNAPSHOT(ri_recovery, ri_recovery_info, kept)

void
ri_unflushed_log(struct ri_service *service,
                 struct ri_unflushed_log_info *out_info)
{
    (void) service;
    *out_info = (struct ri_unflushed_log_info){ .dir = "/log",
                                                .state = "flush-through",
                                                .problem = "full" };
}

/* One entry, always the same. */
int
ri_error_log(struct ri_service *service, uint64_t after_seq,
             struct ri_log_entry **out_list, size_t *out_count)
{
    struct ri_log_entry *entry = calloc(1, sizeof *entry);

    (void) service;
    if (entry == NULL)
        return -ENOMEM;
    entry->seq = 5;
    entry->time_ms = 1700000000000;
    strcpy(entry->driver, "disk");
    strcpy(entry->device, "\\Device\\Harddisk0\\DR0");
    strcpy(entry->drive, "disk0");
    strcpy(entry->code, "IO_ERR_BAD_BLOCK");
    strcpy(entry->status, "STATUS_DEVICE_DATA_ERROR");
    entry->retries = 8;
    entry->unique_id = 256;
    entry->offset_bytes = 4096;
    entry->dump_len = 3;
    memcpy(entry->dump, "\x70\x00\x03", 3);
    *out_list = entry;
    *out_count = after_seq < entry->seq ? 1 : 0;
    return 0;
}

static struct ri_drive_info *
find_drive(struct ri_service *service, const char *name)
{
    for (size_t i = 0; i < service->drive_count; i++)
        if (strcmp(service->drives[i].name, name) == 0)
            return &service->drives[i];
    return NULL;
}

static struct ri_volume_info *
find_volume(struct ri_service *service, const char *name)
{
    for (size_t i = 0; i < service->volume_count; i++)
        if (strcmp(service->volumes[i].name, name) == 0)
            return &service->volumes[i];
    return NULL;
}

static void
name_volume(const char *image, char *out_name)
{
    char copy[RI_PATH_MAX];

    snprintf(copy, sizeof copy, "%s", image);
    snprintf(out_name, RI_NAME_MAX, "%.100s", basename(copy));
    if (strrchr(out_name, '.') != NULL)
        *strrchr(out_name, '.') = '\0';
}

uint64_t
fake_raise_prompt(struct ri_service *service, const char *volume,
                  const char *drive)
{
    struct ri_prompt_info *prompt;
    uint64_t id;

    pthread_mutex_lock(&service->lock);
    prompt = &service->prompts[service->prompt_count++];
    memset(prompt, 0, sizeof *prompt);
    prompt->id = id = ++service->last_prompt;
    prompt->status = 0xC0000013;
    prompt->waiting = 3;
    snprintf(prompt->reason, sizeof prompt->reason,
             "STATUS_NO_MEDIA_IN_DEVICE");
    snprintf(prompt->volume, sizeof prompt->volume, "%s", volume);
    snprintf(prompt->drive, sizeof prompt->drive, "%s", drive);
    snprintf(prompt->title, sizeof prompt->title, "%s is not there", volume);
    snprintf(prompt->text, sizeof prompt->text,
             "Volume %s was last seen in drive %s, which is empty now. "
             "Put it back into any drive, and everything goes on.",
             volume, drive);
    snprintf(prompt->answers, sizeof prompt->answers, "retry|cancel");
    pthread_mutex_unlock(&service->lock);
    fake_emit(service, "prompt", drive, volume, id, "The medium is not there");
    return id;
}

/* False: there is none such. */
static bool
drop_prompt(struct ri_service *service, uint64_t id, const char *volume)
{
    struct ri_prompt_info gone = { 0 };

    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->prompt_count; i++) {
        if (service->prompts[i].id != id &&
            (volume == NULL || strcmp(service->prompts[i].volume, volume) != 0))
            continue;
        gone = service->prompts[i];
        service->prompts[i] = service->prompts[--service->prompt_count];
        break;
    }
    pthread_mutex_unlock(&service->lock);
    if (gone.id == 0)
        return false;
    fake_emit(service, "answer", gone.drive, gone.volume, gone.id,
              volume != NULL ? "The right medium arrived"
                             : "A person answered");
    return true;
}

/* --- what an operator does
 * ---------------------------------------------------------- */

/* What a cancel leaves behind: one file, always the same. */
static void
keep_all(struct ri_service *service)
{
    struct ri_recovery_info *kept = &service->kepts[0];

    pthread_mutex_lock(&service->lock);
    service->kept_count = 1;
    strcpy(kept->volume, "A");
    strcpy(kept->drive, "disk0");
    strcpy(kept->file, "/var/lib/reinsert/recovery/A.recovery");
    strcpy(kept->reason, "STATUS_NO_MEDIA_IN_DEVICE");
    kept->bytes = 65536;
    kept->time_ms = 1700000000000;
    pthread_mutex_unlock(&service->lock);
    fake_emit(service, "recovery", "disk0", "A", 0,
              "what volume A still lacks is kept in "
              "/var/lib/reinsert/recovery/A.recovery");
}

int
ri_prompt_answer(struct ri_service *service, uint64_t id, enum ri_answer answer,
                 char *out_recovery, struct ri_error *out_error)
{
    if (answer == RI_USE)
        return fail(out_error, EINVAL, "%s", "not changed elsewhere");
    if (!drop_prompt(service, id, NULL))
        return fail(out_error, ENOENT, "%s", "no such prompt");
    if (answer == RI_CANCEL)
        keep_all(service);
    snprintf(out_recovery, RI_PATH_MAX, "%s",
             answer == RI_CANCEL ? service->kepts[0].file : "");
    return 0;
}

void
ri_service_keep(struct ri_service *service)
{
    (void) service;
}

int
ri_insert(struct ri_service *service, const char *name, const char *image,
          struct ri_error *out_error)
{
    struct ri_drive_info *drive;
    struct ri_volume_info *volume;
    struct stat st;
    char label[RI_NAME_MAX];

    if (stat(image, &st) != 0)
        return fail(out_error, errno, "image %s: is not there", image);
    if (st.st_size == 0)
        return fail(out_error, EINVAL, "image %s: is empty", image);
    name_volume(image, label);
    pthread_mutex_lock(&service->lock);
    drive = find_drive(service, name);
    if (drive == NULL || drive->medium[0] != '\0') {
        pthread_mutex_unlock(&service->lock);
        return drive == NULL ? -ENOENT
                             : fail(out_error, EBUSY,
                                    "drive %s: a medium is in it", name);
    }
    snprintf(drive->medium, sizeof drive->medium, "%s", image);
    snprintf(drive->volume, sizeof drive->volume, "%s", label);
    snprintf(drive->state, sizeof drive->state, "ready");
    drive->sense[0] = '\0';
    drive->size_bytes = (uint64_t) st.st_size;
    drive->block_bytes = 512;
    drive->change_count++;
    volume = find_volume(service, label);
    if (volume == NULL) {
        volume = &service->volumes[service->volume_count++];
        memset(volume, 0, sizeof *volume);
        snprintf(volume->name, sizeof volume->name, "%s", label);
        snprintf(volume->label, sizeof volume->label, "%s", label);
        snprintf(volume->type, sizeof volume->type, "ext4");
        snprintf(volume->uuid, sizeof volume->uuid, "0000-%zu",
                 service->volume_count);
    }
    snprintf(volume->state, sizeof volume->state, "mounted");
    snprintf(volume->drive, sizeof volume->drive, "%s", name);
    volume->size_bytes = drive->size_bytes;
    volume->block_bytes = 512;
    volume->waiting = 0;
    pthread_mutex_unlock(&service->lock);
    fake_emit(service, "drive", name, label, 0, "A medium was inserted");
    drop_prompt(service, 0, label);
    return 0;
}

static int
remove_medium(struct ri_service *service, const char *name, bool rude,
              struct ri_error *out_error)
{
    struct ri_drive_info *drive;
    struct ri_volume_info *volume;
    char label[RI_NAME_MAX];

    pthread_mutex_lock(&service->lock);
    drive = find_drive(service, name);
    if (drive == NULL || drive->medium[0] == '\0') {
        pthread_mutex_unlock(&service->lock);
        return fail(out_error, drive == NULL ? ENOENT : ENOMEDIUM,
                    "drive %s: nothing is in it", name);
    }
    snprintf(label, sizeof label, "%s", drive->volume);
    drive->medium[0] = drive->volume[0] = '\0';
    drive->size_bytes = drive->block_bytes = 0;
    snprintf(drive->state, sizeof drive->state, rude ? "empty" : "open");
    snprintf(drive->sense, sizeof drive->sense, "Medium not present");
    volume = find_volume(service, label);
    if (volume != NULL) {
        snprintf(volume->state, sizeof volume->state, "absent");
        volume->waiting = rude ? 3 : 0;
    }
    pthread_mutex_unlock(&service->lock);
    fake_emit(service, "drive", name, label, 0, "The medium is gone");
    if (rude)
        fake_raise_prompt(service, label, name);
    return 0;
}

static bool
is_down(struct ri_service *service)
{
    bool down;

    pthread_mutex_lock(&service->lock);
    down = service->down && !fake_deaf;
    pthread_mutex_unlock(&service->lock);
    return down;
}

int
ri_eject(struct ri_service *service, const char *drive,
         struct ri_error *out_error)
{
    struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
    bool down = false;
    int rc;

    __atomic_add_fetch(&fake_ejecting, 1, __ATOMIC_RELEASE);
    for (unsigned ms = 0;
         ms < __atomic_load_n(&fake_eject_ms, __ATOMIC_ACQUIRE) && !down;
         ms += 5) {
        down = is_down(service);
        if (!down)
            nanosleep(&pause, NULL);
    }
    rc = down ? fail(out_error, ESHUTDOWN, "%s", "the service is ending")
              : remove_medium(service, drive, false, out_error);
    __atomic_sub_fetch(&fake_ejecting, 1, __ATOMIC_RELEASE);
    return rc;
}

int
ri_press(struct ri_service *service, const char *drive,
         struct ri_error *out_error)
{
    return remove_medium(service, drive, false, out_error);
}

int
ri_yank(struct ri_service *service, const char *drive,
        struct ri_error *out_error)
{
    return remove_medium(service, drive, true, out_error);
}

/* --- life
 * -----------------------------------------------------------------------------
 */

int
ri_service_start(const struct ri_config *config,
                 struct ri_service **out_service, struct ri_error *out_error)
{
    struct ri_service *service = calloc(1, sizeof *service);
    const char *ms = getenv("FAKE_EJECT_MS");
    int rc = 0;

    if (service == NULL)
        return -ENOMEM;
    if (ms != NULL)
        fake_eject_ms = (unsigned) atoi(ms);
    fake_deaf = getenv("FAKE_DEAF") != NULL;
    pthread_mutex_init(&service->lock, NULL);
    pthread_mutex_init(&service->event_lock, NULL);
    for (size_t i = 0; rc == 0 && i < config->drive_count && i < MAX; i++) {
        struct ri_drive_info *drive = &service->drives[service->drive_count++];

        snprintf(drive->name, sizeof drive->name, "%s", config->drives[i].name);
        drive->type = config->drives[i].type;
        drive->age_ms = 3000;
        snprintf(drive->state, sizeof drive->state, "empty");
        if (config->drives[i].medium[0] != '\0')
            rc = ri_insert(service, drive->name, config->drives[i].medium,
                           out_error);
    }
    if (rc != 0)
        ri_service_free(service);
    else
        *out_service = service;
    return rc;
}

void
ri_service_shutdown(struct ri_service *service)
{
    struct timespec pause = { .tv_sec = 600 };

    pthread_mutex_lock(&service->lock);
    service->down = true;
    pthread_mutex_unlock(&service->lock);
    if (getenv("FAKE_HANG") != NULL)
        nanosleep(&pause, NULL);
}

void
ri_service_free(struct ri_service *service)
{
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->event_lock);
    free(service);
}

/* --- exports: named, never opened
 * -------------------------------------------------------- */

int
ri_exports(struct ri_service *service, struct ri_export_info **out_list,
           size_t *out_count)
{
    struct ri_export_info *list = calloc(MAX, sizeof *list);

    if (list == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->volume_count; i++) {
        snprintf(list[i].name, sizeof list[i].name, "%s",
                 service->volumes[i].name);
        snprintf(list[i].description, sizeof list[i].description,
                 "ext4 volume");
        list[i].size_bytes = service->volumes[i].size_bytes;
        list[i].block_bytes = 512;
    }
    *out_count = service->volume_count;
    pthread_mutex_unlock(&service->lock);
    *out_list = list;
    return 0;
}

/* --- words
 * ----------------------------------------------------------------------------------
 */

bool
ri_volume_arrow(size_t index, struct ri_arrow *out_arrow)
{
    static const struct ri_arrow arrows[] = {
        { "mounted", "absent", "somebody", "it was taken out" },
        { "absent", "mounted", "somebody else", "it is back" },
    };

    if (index >= sizeof arrows / sizeof arrows[0])
        return false;
    *out_arrow = arrows[index];
    return true;
}

bool
ri_command(size_t index, struct ri_command *out_command)
{
    *out_command = (struct ri_command){ .opcode = 0x12,
                                        .length = 6,
                                        .name = "INQUIRY",
                                        .devices = "all",
                                        .sent_by = "service" };
    return index == 0;
}

int
ri_sense_decode(const uint8_t *sense, size_t len,
                struct ri_sense_info *out_info, struct ri_error *out_error)
{
    if (len < 14 || (sense[0] & 0x7E) != 0x70)
        return fail(out_error, EINVAL, "%s", "this is not sense data");
    memset(out_info, 0, sizeof *out_info);
    out_info->key = sense[2] & 0xF;
    out_info->asc = sense[12];
    out_info->ascq = sense[13];
    snprintf(out_info->key_text, sizeof out_info->key_text, "Not Ready");
    snprintf(out_info->text, sizeof out_info->text, "Medium not present");
    snprintf(out_info->status, sizeof out_info->status,
             "STATUS_NO_MEDIA_IN_DEVICE");
    out_info->status_value = 0xC0000013;
    snprintf(out_info->action, sizeof out_info->action,
             "fails the request; the file system asks for the medium");
    return 0;
}

const char *
ri_version(void)
{
    return REINSERT_VERSION;
}
