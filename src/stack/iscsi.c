/*
 * iscsi.c - drives and robots of iSCSI targets: names and secrets; a target is
 * asked for its units
 *
 * Lock: that of a struct iscsi_lent, a leaf.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/iscsi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ntddscsi.h>

#include "base/iscsi_login.h"
#include "io/io.h"
#include "port/port.h"
#include "stack/config_units.h"

#define SECRET_MAX ISCSI_SECRET_MAX

static NTSTATUS
read_secret(const struct ri_drive_config *config, char *out_secret,
            char *out_text, size_t text_max)
{
    const char *given = getenv("REINSERT_ISCSI_SECRET");
    int rc;

    out_secret[0] = '\0';
    if (config->user[0] == '\0')
        return STATUS_SUCCESS;
    if (config->secret_file[0] == '\0' && given == NULL) {
        snprintf(out_text, text_max,
                 "chap-user needs chap-secret, or REINSERT_ISCSI_SECRET in the "
                 "environment");
        return STATUS_INVALID_PARAMETER;
    }
    if (config->secret_file[0] == '\0' && strlen(given) >= SECRET_MAX) {
        snprintf(out_text, text_max,
                 "REINSERT_ISCSI_SECRET is longer than %d bytes",
                 SECRET_MAX - 1);
        return STATUS_INVALID_PARAMETER;
    }
    if (config->secret_file[0] == '\0') {
        snprintf(out_secret, SECRET_MAX, "%s", given);
        return STATUS_SUCCESS;
    }
    rc = iscsi_login_secret(config->secret_file, out_secret, SECRET_MAX);
    if (rc == 0)
        return STATUS_SUCCESS;
    explicit_bzero(out_secret, SECRET_MAX);
    if (rc == -E2BIG)
        snprintf(out_text, text_max, "%.200s: is longer than %d bytes",
                 config->secret_file, SECRET_MAX - 1);
    else
        snprintf(out_text, text_max, "%.200s: %s", config->secret_file,
                 rc == -ENODATA ? "is empty" : strerror(-rc));
    return STATUS_INVALID_PARAMETER;
}

static void
say_initiator(const struct ri_drive_config *config, char *out, size_t max)
{
    char host[64] = "localhost";

    gethostname(host, sizeof host - 1);
    if (config->initiator[0] != '\0')
        snprintf(out, max, "%s", config->initiator);
    else
        snprintf(out, max, "iqn.2026-11.reinsert:%s", host);
}

NTSTATUS
iscsi_unit(struct ri_service *service, const struct ri_drive_config *config,
           void (*turned)(void *context), void *context, bool may_be_away,
           PDEVICE_OBJECT *out_pdo, char *out_text, size_t text_max)
{
    char initiator[256], secret[SECRET_MAX];
    NTSTATUS status = read_secret(config, secret, out_text, text_max);

    if (!NT_SUCCESS(status))
        return status;
    say_initiator(config, initiator, sizeof initiator);
    status = port_add_iscsi(
        service->port,
        &(struct port_iscsi_config){ .url = config->url,
                                     .initiator = initiator,
                                     .user = config->user,
                                     .secret = secret,
                                     .secret_file = config->secret_file,
                                     .turned = turned,
                                     .context = context,
                                     .may_be_away = may_be_away,
                                     .out_text = out_text,
                                     .text_max = text_max },
        config->name, out_pdo);
    explicit_bzero(secret, sizeof secret);
    return status;
}

int
iscsi_units(const struct ri_drive_config *config, const char *url,
            const int *stop_fd, struct unit_found *out, char *out_text,
            size_t text_max)
{
    char initiator[256], secret[SECRET_MAX];
    int count;

    if (!NT_SUCCESS(read_secret(config, secret, out_text, text_max)))
        return -EINVAL;
    say_initiator(config, initiator, sizeof initiator);
    count = units_of_target(url,
                            &(struct iscsi_as){ .initiator = initiator,
                                                .user = config->user,
                                                .secret = secret,
                                                .stop_fd = stop_fd },
                            out, out_text, text_max);
    explicit_bzero(secret, sizeof secret);
    return count;
}

/* --- over the session that is there ---------------------------------------------- */

struct question {
    SCSI_PASS_THROUGH pass;
    UCHAR sense[64];
    UCHAR data[8 + 8 * UNITS_MAX];
};

static void
put_question(PDEVICE_OBJECT pdo, struct question *question, struct cdb *cdb)
{
    SCSI_PASS_THROUGH *pass = &question->pass;

    *pass = (SCSI_PASS_THROUGH){
        .Length = sizeof *pass,
        .CdbLength = cdb->cdb_len,
        .SenseInfoLength = sizeof question->sense,
        .DataIn = SCSI_IOCTL_DATA_IN,
        .DataTransferLength = cdb->data_len,
        .TimeOutValue = LINK_TIMEOUT_MS / 1000,
        .DataBufferOffset = offsetof(struct question, data),
        .SenseInfoOffset = offsetof(struct question, sense),
    };
    memcpy(pass->Cdb, cdb->cdb, cdb->cdb_len);
    if (cdb->data_len > sizeof question->data ||
        !NT_SUCCESS(io_device_control(pdo, IOCTL_SCSI_PASS_THROUGH, question,
                                      sizeof *question, question,
                                      sizeof *question, 0, NULL)))
        return;
    cdb->answered = true;
    cdb->status = pass->ScsiStatus;
    cdb->sense_len = pass->SenseInfoLength;
    memcpy(cdb->sense, question->sense, cdb->sense_len);
    cdb->transferred = pass->DataTransferLength;
    memcpy(cdb->data, question->data, cdb->transferred);
}

static void
lent_send(void *self, struct cdb *cdbs, size_t count)
{
    struct iscsi_lent *lent = self;
    struct question *question = calloc(1, sizeof *question);

    for (size_t i = 0; question != NULL && lent->pdo != NULL && i < count; i++)
        put_question(lent->pdo, question, &cdbs[i]);
    free(question);
}

static void
nobody(void *context)
{
    (void) context;
}

static void
leave(struct iscsi_lent *lent)
{
    PDEVICE_OBJECT moment;

    pthread_mutex_lock(&lent->lock);
    moment = lent->moment;
    lent->moment = NULL;
    pthread_mutex_unlock(&lent->lock);
    if (moment != NULL)
        port_remove_unit(moment);
    lent->pdo = NULL;
}

/* By the same portal and as the same initiator: in the same session. */
static bool
is_same(const struct ri_drive_config *one, const struct ri_drive_config *other)
{
    size_t host = strcspn(one->url, "/") + 2;

    return config_is_same_unit(one, other) &&
           strncmp(one->url, other->url,
                   host + strcspn(one->url + host, "/") + 1) == 0 &&
           strcmp(one->user, other->user) == 0 &&
           strcmp(one->initiator, other->initiator) == 0;
}

static PDEVICE_OBJECT
find_pdo(struct ri_service *service, const struct ri_drive_config *config)
{
    for (size_t i = 0; i < drives_known(service); i++)
        if (is_same(config, &service->drives[i].config))
            return service->drives[i].pdo;
    return NULL;
}

/* From now on the commands are for this unit.  FALSE: it cannot be. */
static bool
turn_to(struct iscsi_lent *lent, unsigned address, char *out_text,
        size_t text_max)
{
    struct ri_drive_config config = *lent->section;
    PDEVICE_OBJECT pdo = NULL;
    bool stop;

    leave(lent);
    if (!config_unit_url(lent->section, address, config.url,
                         sizeof config.url)) {
        snprintf(out_text, text_max, "its url is too long");
        return false;
    }
    lent->pdo = find_pdo(lent->service, &config);
    if (lent->pdo != NULL)
        return true;
    if (!NT_SUCCESS(iscsi_unit(lent->service, &config, nobody, NULL, true, &pdo,
                               out_text, text_max)))
        return false;
    pthread_mutex_lock(&lent->lock);
    stop = lent->stop;
    lent->moment = lent->pdo = pdo;
    pthread_mutex_unlock(&lent->lock);
    if (stop)
        leave(lent);
    return !stop;
}

/* -1: it does not say. */
static int
type_of(struct iscsi_lent *lent, const struct link *link,
        const struct unit_found *unit, const struct unit_found *known,
        size_t known_count, char *out_text, size_t text_max)
{
    for (size_t i = 0; i < known_count; i++)
        if (known[i].address == unit->address && known[i].type != unit->type)
            return known[i].type;
    if (!turn_to(lent, unit->address, out_text, text_max))
        return -1;
    if (lent->moment == NULL && port_unit_known(lent->pdo))
        return port_unit_type(lent->pdo);
    return unit_type(link);
}

void
iscsi_lent_init(struct iscsi_lent *lent, struct ri_service *service,
                const struct ri_drive_config *section)
{
    *lent = (struct iscsi_lent){ .service = service, .section = section };
    pthread_mutex_init(&lent->lock, NULL);
}

void
iscsi_lent_free(struct iscsi_lent *lent)
{
    pthread_mutex_destroy(&lent->lock);
}

void
iscsi_lent_stop(struct iscsi_lent *lent)
{
    pthread_mutex_lock(&lent->lock);
    lent->stop = true;
    if (lent->moment != NULL)
        port_give_up(lent->moment);
    pthread_mutex_unlock(&lent->lock);
}

bool
iscsi_lent_is_up(const struct iscsi_lent *lent)
{
    const struct ri_drive_config *section = lent->section;
    char url[RI_PATH_MAX], initiator[256], secret[SECRET_MAX], text[256];
    bool up = false;

    if (!config_unit_url(section, 0, url, sizeof url) ||
        !NT_SUCCESS(read_secret(section, secret, text, sizeof text)))
        return false;
    say_initiator(section, initiator, sizeof initiator);
    up = port_iscsi_is_up(
        &(struct port_iscsi_config){ .url = url,
                                     .initiator = initiator,
                                     .user = section->user,
                                     .secret = secret,
                                     .secret_file = section->secret_file,
                                     .out_text = text,
                                     .text_max = sizeof text });
    explicit_bzero(secret, sizeof secret);
    return up;
}

int
iscsi_lent_units(struct iscsi_lent *lent, const struct unit_found *known,
                 size_t known_count, struct unit_found *out, char *out_text,
                 size_t text_max)
{
    static const struct link_ops ops = { lent_send, NULL };
    const struct link link = { &ops, lent, "iscsi", false, false };
    bool more = false;
    int count = -EIO;

    if (turn_to(lent, 0, out_text, text_max))
        count = units_reported(&link, out, &more);
    if (count < 0 && out_text[0] == '\0')
        snprintf(out_text, text_max, "it does not say which units it has");
    if (more) {
        snprintf(out_text, text_max, "it has more than %d units", UNITS_MAX);
        count = -E2BIG;
    }
    for (int i = 0, n = count; i < n && count >= 0; i++) {
        int type = type_of(lent, &link, &out[i], known, known_count, out_text,
                           text_max);

        if (type < 0) {
            snprintf(out_text, text_max, "its unit %u does not say what it is",
                     out[i].number);
            count = -EIO;
        }
        out[i].type = (uint8_t) type;
    }
    leave(lent);
    return count;
}
