/*
 * fake_library.c - the fake's one library, "shelf": a drive, two slots and a
 * mail slot; cartridges A and B
 *
 * Loads and unloads; what goes wrong is what an empty slot and a full drive
 * make wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake_service.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *drive, *slots[3] = { "A", "B", NULL };

int
ri_libraries(struct ri_service *service, struct ri_library_info **out_list,
             size_t *out_count)
{
    struct ri_library_info *list = calloc(1, sizeof *list);

    (void) service;
    if (list == NULL)
        return -ENOMEM;
    snprintf(list->name, sizeof list->name, "shelf");
    snprintf(list->vendor, sizeof list->vendor, "FAKE    ");
    snprintf(list->product, sizeof list->product, "SHELF           ");
    snprintf(list->state, sizeof list->state, "ready");
    list->slots = 2;
    list->mail_slots = list->drives = list->transports = 1;
    *out_list = list;
    *out_count = 1;
    return 0;
}

static void
fill(struct ri_element_info *element, enum ri_element_type type,
     uint32_t number, const char *label)
{
    element->type = type;
    element->number = number;
    element->address = (type == RI_DRIVE ? 500 : 1000) + number;
    element->full = label != NULL;
    element->tag_present = true;
    snprintf(element->tag, sizeof element->tag, "%-32s",
             label != NULL ? label : "");
    snprintf(element->barcode, sizeof element->barcode, "%s",
             label != NULL ? label : "");
}

int
ri_library_elements(struct ri_service *service, const char *library,
                    struct ri_element_info **out_list, size_t *out_count,
                    struct ri_error *out_error)
{
    struct ri_element_info *list = calloc(4, sizeof *list);

    (void) service;
    (void) library;
    (void) out_error;
    if (list == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&lock);
    fill(&list[0], RI_DRIVE, 0, drive);
    for (uint32_t i = 0; i < 3; i++)
        fill(&list[i + 1], i < 2 ? RI_SLOT : RI_MAIL_SLOT, i + 1, slots[i]);
    pthread_mutex_unlock(&lock);
    *out_list = list;
    *out_count = 4;
    return 0;
}

static int
move(const char **from, const char **to, struct ri_library_result *result)
{
    if (*from == NULL) {
        snprintf(result->text, sizeof result->text, "it is empty");
        snprintf(result->status_name, sizeof result->status_name,
                 "STATUS_SOURCE_ELEMENT_EMPTY");
        return -ENOMEDIUM;
    }
    if (*to != NULL) {
        snprintf(result->text, sizeof result->text, "it is full");
        snprintf(result->status_name, sizeof result->status_name,
                 "STATUS_DESTINATION_ELEMENT_FULL");
        return -EEXIST;
    }
    snprintf(result->barcode, sizeof result->barcode, "%s", *from);
    *to = *from;
    *from = NULL;
    return 0;
}

int
ri_library_command(struct ri_service *service, const char *library,
                   const struct ri_library_command *command,
                   struct ri_library_result *out_result,
                   struct ri_error *out_error)
{
    struct ri_library_result *result = out_result;
    int rc = -ENOTSUP;

    (void) service;
    (void) library;
    memset(result, 0, sizeof *result);
    result->drive = command->drive;
    if (command->source > 3 || command->destination > 3)
        rc = -EINVAL;
    else if (command->op == RI_LIB_LOAD && command->source > 0) {
        pthread_mutex_lock(&lock);
        rc = move(&slots[command->source - 1], &drive, result);
        pthread_mutex_unlock(&lock);
    } else if (command->op == RI_LIB_UNLOAD && command->destination > 0) {
        pthread_mutex_lock(&lock);
        rc = move(&drive, &slots[command->destination - 1], result);
        pthread_mutex_unlock(&lock);
    }
    result->error = rc;
    if (rc != 0)
        snprintf(out_error->text, sizeof out_error->text, "%s", result->text);
    return rc;
}

const char *
ri_library_op_name(enum ri_library_op op)
{
    static const char *const names[] = {
        "load",      "unload",  "transfer",  "exchange",   "position",
        "inventory", "refresh", "open-mail", "close-mail", "lock",
        "unlock",    "import",  "export",    "clean",      "verify",
    };

    return (size_t) op < sizeof names / sizeof names[0] ? names[op] : NULL;
}

int
ri_library_hand(struct ri_service *service, const char *library,
                const char *what, uint32_t number, const char *image,
                struct ri_error *out_error)
{
    (void) service;
    (void) library;
    (void) image;
    if (strcmp(what, "remove") != 0 || number == 0 || number > 3) {
        snprintf(out_error->text, sizeof out_error->text, "no such hand");
        return -EINVAL;
    }
    pthread_mutex_lock(&lock);
    slots[number - 1] = NULL;
    pthread_mutex_unlock(&lock);
    return 0;
}
