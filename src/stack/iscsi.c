/*
 * iscsi.c - drives and robots of iSCSI targets: names and secrets
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/iscsi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/iscsi_login.h"
#include "port/port.h"

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
