/*
 * iscsi_registry.c - sessions with iSCSI targets, found, made and ended
 *
 * Units of one target that log in alike share a session.  It lives as long as
 * one of them uses it, or a burst or a watcher still has it listed.
 *
 * Context: PASSIVE.  Lock: the registry's, then a session's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct iscsi_session *registry;

static void
session_free(struct iscsi_session *session)
{
    if (session->wake_fd >= 0)
        close(session->wake_fd);
    pthread_cond_destroy(&session->changed);
    pthread_cond_destroy(&session->settled);
    pthread_mutex_destroy(&session->lock);
    pthread_mutex_destroy(&session->seat);
    explicit_bzero(session->secret, sizeof session->secret);
    free(session);
}

void
iscsi_session_unpin(struct iscsi_session *session)
{
    if (__atomic_sub_fetch(&session->pins, 1, __ATOMIC_ACQ_REL) == 0)
        session_free(session);
}

static struct iscsi_session *
session_new(const struct port_iscsi_config *config, const char *portal,
            const char *target)
{
    struct iscsi_session *session = calloc(1, sizeof *session);
    pthread_condattr_t attr;

    if (session == NULL)
        return NULL;
    snprintf(session->portal, sizeof session->portal, "%s", portal);
    snprintf(session->target, sizeof session->target, "%s", target);
    snprintf(session->initiator, sizeof session->initiator, "%s",
             config->initiator);
    snprintf(session->user, sizeof session->user, "%s", config->user);
    snprintf(session->secret, sizeof session->secret, "%s", config->secret);
    if (config->secret_file != NULL)
        snprintf(session->secret_file, sizeof session->secret_file, "%s",
                 config->secret_file);
    InitializeListHead(&session->incoming);
    InitializeListHead(&session->answered);
    InitializeListHead(&session->units);
    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_init(&session->seat, NULL);
    pthread_cond_init(&session->settled, NULL);
    session->pins = 1;
    iscsi_session_prepare(session);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&session->changed, &attr);
    pthread_condattr_destroy(&attr);
    session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (session->wake_fd < 0 ||
        pthread_create(&session->thread, NULL, iscsi_session_run, session) !=
            0) {
        session_free(session);
        return NULL;
    }
    return session;
}

bool
iscsi_session_is_up(struct iscsi_session *session)
{
    bool up;

    pthread_mutex_lock(&session->lock);
    up = session->state == ISCSI_UP;
    pthread_mutex_unlock(&session->lock);
    return up;
}

bool
iscsi_session_is_silent(struct iscsi_session *session)
{
    return __atomic_load_n(&session->silent, __ATOMIC_RELAXED);
}

bool
iscsi_session_is_refused(struct iscsi_session *session)
{
    bool refused;

    pthread_mutex_lock(&session->lock);
    refused = session->state != ISCSI_UP && session->refused != 0;
    pthread_mutex_unlock(&session->lock);
    return refused;
}

void
iscsi_session_why(struct iscsi_session *session, char *out_text,
                  size_t text_max)
{
    pthread_mutex_lock(&session->lock);
    if (session->state != ISCSI_UP)
        snprintf(out_text, text_max, "%s at %s: %s", session->target,
                 session->portal,
                 session->error[0] != '\0' ? session->error : "no answer");
    else if (iscsi_session_is_silent(session))
        snprintf(out_text, text_max, "%s at %s: no answer, nor a sign of life",
                 session->target, session->portal);
    pthread_mutex_unlock(&session->lock);
}

/* One that is read again need not be what it was. */
static bool
is_secret(const struct iscsi_session *session,
          const struct port_iscsi_config *config)
{
    const char *file = config->secret_file != NULL ? config->secret_file : "";

    return strcmp(session->secret_file, file) == 0 &&
           (file[0] != '\0' || strcmp(session->secret, config->secret) == 0);
}

/* The first login, or why there is none. */
static bool
wait_for_login(struct iscsi_session *session,
               const struct port_iscsi_config *config)
{
    struct timespec limit;
    bool up;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += ISCSI_LOGIN_LIMIT_MS / 1000 + 1;
    pthread_mutex_lock(&session->lock);
    while (session->state != ISCSI_UP &&
           !(config->may_be_away && session->tried) &&
           pthread_cond_timedwait(&session->changed, &session->lock, &limit) ==
               0)
        ;
    up = session->state == ISCSI_UP;
    pthread_mutex_unlock(&session->lock);
    if (!up)
        iscsi_session_why(session, config->out_text, config->text_max);
    return up || config->may_be_away;
}

static bool
is_for(const struct iscsi_session *session,
       const struct port_iscsi_config *config, const char *portal,
       const char *target)
{
    return strcmp(session->portal, portal) == 0 &&
           strcmp(session->target, target) == 0 &&
           strcmp(session->initiator, config->initiator) == 0 &&
           strcmp(session->user, config->user) == 0 &&
           is_secret(session, config);
}

static struct iscsi_session *
find_locked(const struct port_iscsi_config *config, const char *portal,
            const char *target)
{
    struct iscsi_session *session = registry;

    while (session != NULL && !is_for(session, config, portal, target))
        session = session->next;
    return session;
}

bool
iscsi_session_exists(const struct port_iscsi_config *config, const char *portal,
                     const char *target)
{
    struct iscsi_session *session;
    bool up;

    pthread_mutex_lock(&registry_lock);
    session = find_locked(config, portal, target);
    up = session != NULL && iscsi_session_is_up(session);
    pthread_mutex_unlock(&registry_lock);
    return up;
}

NTSTATUS
iscsi_session_get(const struct port_iscsi_config *config, const char *portal,
                  const char *target, struct iscsi_session **out_session)
{
    struct iscsi_session *session;

    pthread_mutex_lock(&registry_lock);
    session = find_locked(config, portal, target);
    if (session == NULL) {
        session = session_new(config, portal, target);
        if (session != NULL) {
            session->next = registry;
            registry = session;
        }
    }
    if (session != NULL)
        session->users++;
    pthread_mutex_unlock(&registry_lock);
    if (session == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!wait_for_login(session, config)) {
        iscsi_session_put(session);
        return STATUS_DEVICE_NOT_CONNECTED;
    }
    *out_session = session;
    return STATUS_SUCCESS;
}

void
iscsi_session_put(struct iscsi_session *session)
{
    struct iscsi_session **at = &registry;

    pthread_mutex_lock(&registry_lock);
    if (--session->users != 0) {
        pthread_mutex_unlock(&registry_lock);
        return;
    }
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    pthread_mutex_unlock(&registry_lock);
    pthread_mutex_lock(&session->lock);
    session->stop = true;
    pthread_mutex_unlock(&session->lock);
    iscsi_session_wake(session);
    pthread_join(session->thread, NULL);
    iscsi_session_unpin(session);
}

static void
lock_list(struct iscsi_session *session)
{
    pthread_mutex_lock(&session->lock);
    while (session->walking)
        pthread_cond_wait(&session->changed, &session->lock);
}

void
iscsi_session_add(struct iscsi_session *session, struct iscsi_unit *unit)
{
    lock_list(session);
    InsertTailList(&session->units, &unit->link);
    pthread_mutex_unlock(&session->lock);
}

void
iscsi_session_remove(struct iscsi_session *session, struct iscsi_unit *unit)
{
    pthread_mutex_lock(&session->seat);
    while (unit->functions != 0)
        pthread_cond_wait(&session->settled, &session->seat);
    lock_list(session);
    RemoveEntryList(&unit->link);
    pthread_mutex_unlock(&session->lock);
    pthread_mutex_unlock(&session->seat);
}
