/*
 * smc_tags.c - SEND VOLUME TAG, REQUEST VOLUME ELEMENT ADDRESS
 *
 * The first starts a search, or assigns tags; the second tells where the
 * search found something, each match once.  A search belongs to its nexus.
 * With a bar code reader the primary tag is the label, which nobody assigns.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "vscsi/library.h"

bool
smc_nexus_new(struct vscsi_nexus *nexus)
{
    nexus->smc = calloc(1, sizeof *nexus->smc);
    return nexus->smc != NULL;
}

void
smc_nexus_free(struct vscsi_nexus *nexus)
{
    free(nexus->smc);
}

/* --- searching ------------------------------------------------------------ */

/* '*' is anything to the end, '?' one character; both are blank-padded. */
static bool
matches(const char template[32], const uint8_t tag[32])
{
    for (unsigned i = 0; i < 32; i++) {
        if (template[i] == '*')
            return true;
        if (template[i] == '?' ? tag[i] == ' ' : template[i] != (char) tag[i])
            return false;
    }
    return true;
}

static bool
tag_matches(const struct smc_nexus *search, const uint8_t tag[36])
{
    unsigned sequence = get16(tag + 34);

    return matches(search->template, tag) &&
           (search->action & 0x04 ||
            (sequence >= search->least && sequence <= search->most));
}

static bool
found(struct vscsi_library *library, const struct element *element,
      const void *context)
{
    const struct smc_nexus *search = context;
    unsigned which = search->action & 0x03; /* 0 both, 1 first, 2 alternate */
    uint8_t tag[36];

    if (search->type != 0 && search->type != element->kind)
        return false;
    return (which != 2 && library_primary_tag(library, element, tag) &&
            tag_matches(search, tag)) ||
           (which != 1 && library_alternate_tag(element, tag) &&
            tag_matches(search, tag));
}

uint32_t
smc_request_address(struct task *task)
{
    struct vscsi_library *library = task->drive->library;
    struct smc_nexus *search = task->nexus->smc;
    const uint8_t *cdb = task->command->cdb;
    struct status_want want = {
        .type = cdb[1] & 0x0f,
        .tags = cdb[1] & 0x10,
        .start = get16(cdb + 2),
        .number = get16(cdb + 4),
        .effect = task->effect,
        .match = found,
    };
    size_t max = get24(cdb + 7), len;
    struct smc_nexus now;
    unsigned next;

    if (want.type >= KINDS)
        return SENSE_CDB_FIELD;
    if (max > task->data_len)
        max = task->data_len;
    pthread_mutex_lock(&library->lock);
    if (!search->searching) {
        pthread_mutex_unlock(&library->lock);
        return SENSE_SEQUENCE;
    }
    now = *search;
    if (want.start < now.next)
        want.start = now.next;
    next = want.start;
    want.context = &now;
    want.header_4 = now.action;
    len = status_build_locked(library, &want, task->data, max, &next);
    search->next = next;
    pthread_mutex_unlock(&library->lock);
    task->command->transferred = (uint32_t) (len < max ? len : max);
    return 0;
}

/* --- assigning ------------------------------------------------------------ */

/* Besides these, 0Ah and 0Bh replace; the odd ones are for the alternate tag. */
enum { ASSERT = 0x08, UNDEFINE = 0x0C };

static uint32_t
assign_locked(struct vscsi_library *library, struct element *element,
              unsigned action, const uint8_t *list)
{
    bool alternate = action & 0x01;
    struct tag *tag;

    library_look_locked(library);
    if (element->cartridge == NULL)
        return SENSE_SOURCE_EMPTY;
    if (!alternate && library->reader)
        return SENSE_CDB_FIELD; /* the label is what it is */
    tag = alternate ? &element->cartridge->alternate
                    : &element->cartridge->primary;
    if ((action & 0x0e) == ASSERT && tag->set)
        return SENSE_SEQUENCE;
    if (list == NULL) { /* undefined */
        tag->set = false;
        library->changes++;
        return 0;
    }
    memcpy(tag->text, list, sizeof tag->text);
    tag->sequence = (uint16_t) get16(list + 34);
    tag->set = true;
    library->changes++;
    return 0;
}

static uint32_t
assign(struct task *task, unsigned action, const uint8_t *list)
{
    struct vscsi_library *library = task->drive->library;
    struct element *element =
        library_element(library, get16(task->command->cdb + 2));
    uint32_t sense;

    if (element == NULL)
        return SENSE_ELEMENT;
    for (unsigned i = 0; list != NULL && i < 32; i++)
        if (list[i] < ' ' || list[i] > 0x7e || list[i] == '*' || list[i] == '?')
            return SENSE_LIST_FIELD;
    pthread_mutex_lock(&library->lock);
    sense = assign_locked(library, element, action, list);
    pthread_mutex_unlock(&library->lock);
    if (sense == 0)
        (void) library_state_save(library);
    return sense;
}

static void
begin_search(struct task *task, unsigned action, const uint8_t *list)
{
    struct vscsi_library *library = task->drive->library;
    struct smc_nexus *search = task->nexus->smc;
    const uint8_t *cdb = task->command->cdb;

    pthread_mutex_lock(&library->lock);
    search->searching = true;
    search->action = (uint8_t) action;
    search->type = cdb[1] & 0x0f;
    search->next = get16(cdb + 2);
    memcpy(search->template, list, sizeof search->template);
    search->least = (uint16_t) get16(list + 34);
    search->most = (uint16_t) get16(list + 38);
    pthread_mutex_unlock(&library->lock);
}

uint32_t
smc_send_tag(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned action = cdb[5] & 0x1f, len = get16(cdb + 8);
    const uint8_t *list = task->data;

    if (action > 0x0D || action == 0x03 || action == 0x07 ||
        (cdb[1] & 0x0f) >= KINDS)
        return SENSE_CDB_FIELD;
    if (action >= UNDEFINE && len == 0)
        return assign(task, action, NULL);
    if (len < 40 || task->data_len < 40)
        return SENSE_LIST_LENGTH;
    task->command->transferred = 40;
    if (action >= ASSERT)
        return assign(task, action, action >= UNDEFINE ? NULL : list);
    begin_search(task, action, list);
    return 0;
}
