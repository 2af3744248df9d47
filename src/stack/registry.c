/*
 * registry.c - the configuration's values of drivers and devices go into the
 *              registry
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cm/cm.h"
#include "stack/stack_internal.h"

/* One line without its end, to be freed; *lines goes on to the next one. */
static char *
next_line(const char **lines)
{
    const char *end = strchr(*lines, '\n');
    char *line = strndup(*lines, (size_t) (end - *lines));

    *lines = end + 1;
    return line;
}

static NTSTATUS
set_line(HANDLE key, char *line)
{
    char *equals = strchr(line, '=');

    *equals = '\0';
    return cm_set_text(key, line, equals + 1);
}

NTSTATUS
registry_set_lines(HANDLE key, const char *lines)
{
    NTSTATUS status = STATUS_SUCCESS;

    while (NT_SUCCESS(status) && *lines != '\0') {
        char *line = next_line(&lines);

        if (line == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = set_line(key, line);
        free(line);
    }
    return status;
}

/* Class drivers look for TimeOutValue and AutoRun in the service key itself,
 * for all else in its Parameters. */
static NTSTATUS
set_driver_line(char *line)
{
    char *name = strchr(line, '/') + 1;
    const char *below = strncasecmp(name, "TimeOutValue=", 13) == 0 ||
                                strncasecmp(name, "AutoRun=", 8) == 0
                            ? ""
                            : "\\Parameters";
    char path[256];
    NTSTATUS status;
    HANDLE key;

    name[-1] = '\0';
    snprintf(path, sizeof path, CM_SERVICES "\\%s%s", line, below);
    status = cm_open_key(path, KEY_WRITE, &key);
    if (!NT_SUCCESS(status))
        return status;
    status = set_line(key, name);
    ZwClose(key);
    return status;
}

NTSTATUS
registry_set_drivers(const char *lines)
{
    NTSTATUS status = STATUS_SUCCESS;

    while (NT_SUCCESS(status) && lines != NULL && *lines != '\0') {
        char *line = next_line(&lines);

        if (line == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = set_driver_line(line);
        free(line);
    }
    return status;
}

NTSTATUS
registry_set_device(PDEVICE_OBJECT pdo, const char *lines)
{
    NTSTATUS status;
    HANDLE key;

    if (lines == NULL)
        return STATUS_SUCCESS;
    status =
        IoOpenDeviceRegistryKey(pdo, PLUGPLAY_REGKEY_DEVICE, KEY_WRITE, &key);
    if (!NT_SUCCESS(status))
        return status;
    status = registry_set_lines(key, lines);
    ZwClose(key);
    return status;
}
