/*
 * house.c - see house.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stack/stack_internal.h"

static void
make_cartridge(struct house *h, const char *name, unsigned n)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/media/%s", h->folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    /* Different from each other, and no file system. */
    for (unsigned i = 0; i < 1024; i++)
        fprintf(file,
                "cartridge %03u, sixty-four bytes a line ............. "
                "%08x\n",
                n, i);
    fclose(file);
}

struct house *
house_new(unsigned slots, unsigned mail_slots, unsigned drives,
          unsigned cartridges)
{
    struct house *h = calloc(1, sizeof *h);
    char name[64];

    assert_non_null(h);
    snprintf(h->folder, sizeof h->folder, "/dev/shm/house-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(name, sizeof name, "%.40s/media", h->folder);
    assert_int_equal(mkdir(name, 0700), 0);
    for (unsigned n = 1; n <= cartridges; n++) {
        snprintf(name, sizeof name, "LTO%03uL6", n);
        make_cartridge(h, name, n);
    }
    make_cartridge(h, "ZCLN.img", 0);
    snprintf(name, sizeof name, "%.40s/media/ZCLN.img", h->folder);
    remove(name);
    ri_config_init(&h->config);
    snprintf(h->library.name, sizeof h->library.name, "shelf");
    snprintf(h->library.media, sizeof h->library.media, "%s/media", h->folder);
    snprintf(h->library.state, sizeof h->library.state, "%s/state", h->folder);
    h->library.slots = slots;
    h->library.mail_slots = mail_slots;
    h->library.drive_count = drives;
    h->library.drive.type = RI_DISK;
    h->library.clean_ms = 1;
    h->library.ready_timeout_s = 5;
    h->library.load_timeout_s = 5;
    h->config.libraries = &h->library;
    h->config.library_count = 1;
    return h;
}

static void
take_event(void *context, const struct ri_event *event)
{
    struct house *h = context;
    char line[RI_TEXT_MAX + 64];
    size_t len;

    if (event->library == NULL)
        return;
    len = (size_t) snprintf(line, sizeof line, "%s %s\n", event->action,
                            event->text);
    if (h->told_len + len + 1 > h->told_max) {
        h->told_max = 2 * (h->told_len + len + 1);
        h->told = realloc(h->told, h->told_max);
    }
    memcpy(h->told + h->told_len, line, len + 1);
    h->told_len += len;
}

void
house_start(struct house *h)
{
    if (ri_service_start(&h->config, &h->service, &h->error) != 0)
        fail_msg("%s", h->error.text);
    h->device = library_device(h->service, "shelf");
    assert_non_null(h->device);
    ri_subscribe(h->service, take_event, h);
}

void
house_stop(struct house *h)
{
    ri_service_shutdown(h->service);
    ri_service_free(h->service);
    h->service = NULL;
}

void
house_free(struct house *h)
{
    char command[128];

    if (h->service != NULL)
        house_stop(h);
    snprintf(command, sizeof command, "rm -rf %s", h->folder);
    assert_int_equal(system(command), 0);
    free(h->told);
    free(h);
}

int
house_command(struct house *h, const struct ri_library_command *command)
{
    return ri_library_command(h->service, "shelf", command, &h->result,
                              &h->error);
}

int
house_load(struct house *h, uint32_t slot, uint32_t drive)
{
    struct ri_library_command command = { .op = RI_LIB_LOAD,
                                          .source = slot,
                                          .drive = drive };

    return house_command(h, &command);
}

int
house_unload(struct house *h, uint32_t drive, uint32_t slot)
{
    struct ri_library_command command = { .op = RI_LIB_UNLOAD,
                                          .destination = slot,
                                          .drive = drive };

    return house_command(h, &command);
}

int
house_transfer(struct house *h, uint32_t source, uint32_t destination)
{
    struct ri_library_command command = { .op = RI_LIB_TRANSFER,
                                          .source = source,
                                          .destination = destination,
                                          .drive = RI_NO_DRIVE };

    return house_command(h, &command);
}

int
house_do(struct house *h, enum ri_library_op op)
{
    struct ri_library_command command = { .op = op, .drive = RI_NO_DRIVE };

    return house_command(h, &command);
}

void
house_fault(struct house *h, const char *rule)
{
    char text[256] = "";

    if (vscsi_fault_add(vscsi_library_robot(h->device), rule, text,
                        sizeof text) != 0)
        fail_msg("%s: %s", rule, text);
}

void
house_drive_fault(struct house *h, unsigned drive, const char *rule)
{
    char text[256] = "";

    if (vscsi_fault_add(h->service->drives[drive].device, rule, text,
                        sizeof text) != 0)
        fail_msg("%s: %s", rule, text);
}

bool
house_told(struct house *h, const char *action, const char *text)
{
    size_t len = strlen(action);
    bool found;
    char *at;

    pthread_mutex_lock(&h->service->event_lock);
    at = h->told;
    while (at != NULL && *at != '\0') {
        char *end = strchr(at, '\n');

        *end = '\0';
        if (strncmp(at, action, len) == 0 && at[len] == ' ' &&
            strstr(at, text) != NULL) {
            *end = '\n';
            break;
        }
        *end = '\n';
        at = end + 1;
    }
    found = at != NULL && *at != '\0';
    pthread_mutex_unlock(&h->service->event_lock);
    return found;
}

void
house_forget(struct house *h)
{
    pthread_mutex_lock(&h->service->event_lock);
    h->told_len = 0;
    if (h->told != NULL)
        h->told[0] = '\0';
    pthread_mutex_unlock(&h->service->event_lock);
}

struct ri_element_info
house_element(struct house *h, enum ri_element_type type, uint32_t number)
{
    struct ri_element_info *list, found = { .number = UINT32_MAX };
    size_t count;

    assert_int_equal(
        ri_library_elements(h->service, "shelf", &list, &count, &h->error), 0);
    for (size_t i = 0; i < count; i++)
        if (list[i].type == type && list[i].number == number)
            found = list[i];
    free(list);
    assert_int_equal(found.number, number);
    return found;
}

static const struct vscsi_element *
truth_of(const struct vscsi_library_snapshot *truth,
         const struct ri_element_info *element)
{
    for (unsigned i = 0; i < truth->count; i++)
        if (truth->elements[i].address == element->address)
            return &truth->elements[i];
    fail_msg("no element has address %u", element->address);
    return NULL;
}

static void
check_drive(struct house *h, const struct vscsi_element *truth)
{
    struct vscsi_state state;

    vscsi_state(h->service->drives[truth->index].device, &state);
    if (!truth->full || truth->cleaning || !truth->loaded) {
        assert_false(state.medium);
        return;
    }
    assert_true(state.medium);
    assert_non_null(strstr(state.image, truth->file));
}

void
house_check(struct house *h)
{
    struct vscsi_library_snapshot *truth = vscsi_library_snapshot(h->device);
    struct ri_element_info *list;
    size_t count;

    assert_int_equal(
        ri_library_elements(h->service, "shelf", &list, &count, &h->error), 0);
    assert_int_equal(count, truth->count);
    for (size_t i = 0; i < count; i++) {
        const struct vscsi_element *true_one = truth_of(truth, &list[i]);

        if (list[i].full != true_one->full)
            fail_msg("element %u is %s", list[i].address,
                     true_one->full ? "full" : "empty");
        if (true_one->full && !true_one->unreadable)
            assert_string_equal(list[i].barcode, true_one->bar_code);
        if (true_one->kind == VSCSI_ELEMENT_DRIVE)
            check_drive(h, true_one);
        for (size_t j = 0; j < i; j++)
            if (list[i].barcode[0] != '\0')
                assert_string_not_equal(list[i].barcode, list[j].barcode);
    }
    free(list);
    free(truth);
}
