/*
 * link_iscsi.c - commands to a logical unit of an iSCSI target
 *
 * A session of its own, so that nobody else's unit attentions are taken.  CHAP
 * with REINSERT_ISCSI_USER and REINSERT_ISCSI_SECRET of the environment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/iscsi_login.h"
#include "probe/iscsi_login.h"
#include "probe/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define PROBE_NAME "iqn.2026-11.reinsert:probe"

struct unit {
    struct iscsi_context *iscsi;
    int stop_fd;
    int lun;
    bool silent; /* the last command was not answered in time */
};

/* --- logging in --------------------------------------------------------------- */

struct step {
    bool over;
    int status;
};

static void
step_over(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct step *step = context;

    (void) iscsi;
    (void) data;
    step->over = true;
    step->status = status;
}

static bool
serve(struct iscsi_context *iscsi, int stop_fd, uint64_t until_us)
{
    struct pollfd fds[2] = { { .fd = iscsi_get_fd(iscsi),
                               .events = (short) iscsi_which_events(iscsi) },
                             { .fd = stop_fd, .events = POLLIN } };
    uint64_t now = link_now_us();

    if (now >= until_us ||
        poll(fds, 2, (int) ((until_us - now + 999) / 1000)) < 0 ||
        fds[1].revents != 0)
        return false;
    return iscsi_service(iscsi, fds[0].revents) == 0;
}

static bool
wait_for(struct iscsi_context *iscsi, int stop_fd, struct step *step)
{
    uint64_t until = link_now_us() + LINK_TIMEOUT_MS * 1000;

    while (!step->over && serve(iscsi, stop_fd, until))
        ;
    return step->over && step->status == SCSI_STATUS_GOOD;
}

/* Its word for a connection that was not made is about the next one. */
static void
say_why_not(struct iscsi_context *iscsi, unsigned refused, bool has_user,
            char *out_text, size_t text_max)
{
    const char *text = iscsi_get_error(iscsi);

    if (refused != 0)
        snprintf(out_text, text_max, "the login is refused (%04X): %s", refused,
                 iscsi_login_words(refused, has_user));
    else if (text[0] == '\0')
        snprintf(out_text, text_max, "no answer");
    else
        snprintf(out_text, text_max, "%s",
                 strstr(text, "reconnect") != NULL ? "cannot be reached"
                                                   : text);
}

static struct iscsi_context *
new_context(const struct iscsi_as *as, const char *target)
{
    struct iscsi_context *iscsi = iscsi_create_context(as->initiator);

    if (iscsi == NULL)
        return NULL;
    iscsi_set_noautoreconnect(iscsi, 1);
    iscsi_set_session_type(iscsi, target != NULL ? ISCSI_SESSION_NORMAL
                                                 : ISCSI_SESSION_DISCOVERY);
    if (target != NULL)
        iscsi_set_targetname(iscsi, target);
    if (as->user[0] != '\0')
        iscsi_set_initiator_username_pwd(iscsi, as->user, as->secret);
    return iscsi;
}

static int
stop_fd_of(const struct iscsi_as *as)
{
    return as->stop_fd != NULL ? *as->stop_fd : -1;
}

/* Not libiscsi's connect in one go, which sends TEST UNIT READY.  On failure
 * `portal` is where we are sent on to, or "", and errno is set. */
static struct iscsi_context *
log_in_at(const struct iscsi_as *as, char portal[static ISCSI_PORTAL_MAX],
          const char *target, bool sent_on, char *out_text, size_t text_max)
{
    struct iscsi_context *iscsi = new_context(as, target);
    struct step connect = { 0 }, login = { 0 };
    unsigned refused = 0;
    size_t len;

    if (iscsi == NULL) {
        snprintf(out_text, text_max, "out of memory");
        portal[0] = '\0';
        errno = ENOTCONN;
        return NULL;
    }
    if (iscsi_connect_async(iscsi, portal, step_over, &connect) == 0 &&
        wait_for(iscsi, stop_fd_of(as), &connect) &&
        iscsi_login_async(iscsi, step_over, &login) == 0 &&
        wait_for(iscsi, stop_fd_of(as), &login))
        return iscsi;
    if (login.over)
        refused = login.status == SCSI_STATUS_REDIRECT
                      ? SCSI_STATUS_REDIRECT
                      : iscsi_login_status(iscsi_get_error(iscsi));
    snprintf(out_text, text_max, "%s%s: ", sent_on ? "sent on to " : "",
             portal);
    len = strlen(out_text);
    say_why_not(iscsi, refused, as->user[0] != '\0', out_text + len,
                text_max - len);
    if (!iscsi_login_is_moved(refused) ||
        !iscsi_login_portal(iscsi_get_target_address(iscsi), portal,
                            ISCSI_PORTAL_MAX))
        portal[0] = '\0';
    iscsi_destroy_context(iscsi);
    errno = iscsi_login_is_ours(refused) ? EACCES : ENOTCONN;
    return NULL;
}

static const char *
environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* There are no options on a command line for what is asked for. */
static void
say_environment(char *out_text, size_t text_max)
{
    size_t len = strlen(out_text);
    int error = errno;

    if (strstr(out_text, "chap-") != NULL)
        snprintf(out_text + len, text_max - len,
                 " (here: REINSERT_ISCSI_USER and REINSERT_ISCSI_SECRET of the "
                 "environment)");
    errno = error;
}

struct iscsi_context *
iscsi_log_in(const struct iscsi_as *as, const char *portal, const char *target,
             char *out_text, size_t text_max)
{
    struct iscsi_as plain = { .initiator = PROBE_NAME,
                              .user = environment("REINSERT_ISCSI_USER"),
                              .secret = environment("REINSERT_ISCSI_SECRET") };
    struct iscsi_context *iscsi = NULL;
    char at[ISCSI_PORTAL_MAX];

    if (getenv("REINSERT_ISCSI_SECRET") == NULL)
        plain.user = "";
    snprintf(at, sizeof at, "%s", portal);
    for (int i = 0; i <= ISCSI_HOPS_MAX && iscsi == NULL && at[0] != '\0'; i++)
        iscsi = log_in_at(as != NULL ? as : &plain, at, target, i > 0, out_text,
                          text_max);
    if (iscsi == NULL && at[0] != '\0')
        snprintf(out_text, text_max,
                 "%s: it is sent on from portal to portal, again and again",
                 portal);
    if (iscsi == NULL && as == NULL)
        say_environment(out_text, text_max);
    return iscsi;
}

static void
log_out(struct iscsi_context *iscsi, int stop_fd)
{
    struct step step = { 0 };

    if (iscsi_logout_async(iscsi, step_over, &step) == 0)
        wait_for(iscsi, stop_fd, &step);
    iscsi_destroy_context(iscsi);
}

void
iscsi_log_out(struct iscsi_context *iscsi)
{
    log_out(iscsi, -1);
}

/* --- commands ------------------------------------------------------------------- */

struct flight {
    struct cdb *cdb;
    size_t *left;
    uint64_t began_us;
    struct scsi_task *task;
    struct scsi_iovec iov;
};

static void
take_sense(struct cdb *cdb, const struct scsi_task *task)
{
    size_t there = (size_t) task->datain.size, len;

    if (task->datain.data == NULL || there < 2)
        return;
    len = (size_t) task->datain.data[0] << 8 | task->datain.data[1];
    if (len > there - 2)
        len = there - 2;
    if (len > LINK_SENSE_MAX)
        len = LINK_SENSE_MAX;
    memcpy(cdb->sense, task->datain.data + 2, len);
    cdb->sense_len = (uint32_t) len;
}

static void
flight_over(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct flight *flight = context;
    struct cdb *cdb = flight->cdb;
    const struct scsi_task *task = flight->task;

    (void) iscsi;
    (void) data;
    --*flight->left;
    if (status < 0 || status > 0xFF)
        return; /* cancelled, or no answer */
    cdb->answered = true;
    cdb->status = (uint8_t) status;
    cdb->took_us = link_now_us() - flight->began_us;
    cdb->too_much = task->residual_status == SCSI_RESIDUAL_OVERFLOW;
    if (status == SCSI_STATUS_CHECK_CONDITION)
        take_sense(cdb, task);
    else if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW)
        cdb->transferred = task->residual < cdb->data_len
                               ? cdb->data_len - (uint32_t) task->residual
                               : 0;
    else
        cdb->transferred = cdb->data_len;
}

static bool
begin(struct unit *unit, struct flight *flight)
{
    struct cdb *cdb = flight->cdb;

    flight->task =
        scsi_create_task(cdb->cdb_len, cdb->cdb,
                         cdb->data_len != 0 ? SCSI_XFER_READ : SCSI_XFER_NONE,
                         (int) cdb->data_len);
    if (flight->task == NULL)
        return false;
    flight->iov = (struct scsi_iovec){ cdb->data, cdb->data_len };
    if (cdb->data_len != 0)
        scsi_task_set_iov_in(flight->task, &flight->iov, 1);
    flight->began_us = link_now_us();
    return iscsi_scsi_command_async(unit->iscsi, unit->lun, flight->task,
                                    flight_over, NULL, flight) == 0;
}

static void
iscsi_send(void *self, struct cdb *cdbs, size_t count)
{
    struct unit *unit = self;
    struct flight *flights = calloc(count, sizeof *flights);
    uint64_t until = link_now_us() + LINK_TIMEOUT_MS * 1000;
    size_t left = 0;

    for (size_t i = 0; flights != NULL && i < count; i++) {
        flights[i].cdb = &cdbs[i];
        flights[i].left = &left;
        if (begin(unit, &flights[i]))
            left++;
    }
    while (left != 0 && serve(unit->iscsi, unit->stop_fd, until))
        ;
    unit->silent = left != 0;
    /* What is still away must not find its record gone. */
    for (size_t i = 0; flights != NULL && i < count; i++)
        if (flights[i].task != NULL) {
            if (left != 0)
                iscsi_scsi_cancel_task(unit->iscsi, flights[i].task);
            scsi_free_scsi_task(flights[i].task);
        }
    free(flights);
}

static void
iscsi_end(void *self)
{
    struct unit *unit = self;

    if (unit->silent)
        iscsi_destroy_context(unit->iscsi);
    else
        log_out(unit->iscsi, unit->stop_fd);
    free(unit);
}

static const struct link_ops ops = { iscsi_send, iscsi_end };

int
link_iscsi_open_as(const char *name, const struct iscsi_as *as,
                   struct link *out_link, char *out_text, size_t text_max)
{
    struct iscsi_context *parser = iscsi_create_context(PROBE_NAME);
    struct iscsi_url *url =
        parser != NULL ? iscsi_parse_full_url(parser, name) : NULL;
    struct unit *unit = calloc(1, sizeof *unit);
    int rc = 0;

    if (strlen(name) > ISCSI_URL_MAX) {
        snprintf(out_text, text_max, "%s is longer than %d bytes", name,
                 ISCSI_URL_MAX);
        rc = -EINVAL;
    } else if (url == NULL || strchr(name, '@') != NULL) {
        snprintf(out_text, text_max,
                 "%s is no iscsi://HOST[:PORT]/TARGET/LUN (user and secret: "
                 "REINSERT_ISCSI_USER, REINSERT_ISCSI_SECRET)",
                 name);
        rc = -EINVAL;
    } else if (unit == NULL) {
        snprintf(out_text, text_max, "out of memory");
        rc = -ENOMEM;
    } else {
        unit->lun = url->lun;
        unit->stop_fd = as != NULL ? stop_fd_of(as) : -1;
        unit->iscsi =
            iscsi_log_in(as, url->portal, url->target, out_text, text_max);
        rc = unit->iscsi == NULL ? -errno : 0;
    }
    if (url != NULL)
        iscsi_destroy_url(url);
    if (parser != NULL)
        iscsi_destroy_context(parser);
    if (rc != 0)
        free(unit);
    else
        *out_link = (struct link){ &ops, unit, "iscsi", true, false };
    return rc;
}

int
link_iscsi_open(const char *name, struct link *out_link, char *out_text,
                size_t text_max)
{
    return link_iscsi_open_as(name, NULL, out_link, out_text, text_max);
}

void
link_iscsi_turn(struct link *link, unsigned address)
{
    struct unit *unit = link->self;

    unit->lun = (int) address;
}
