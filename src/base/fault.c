/*
 * fault.c - the rules that make points fail
 *
 * A small table under one mutex; only looked at while there is a rule.  Rows
 * are never moved, so that counts can be read after the failure.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/fault.h"

#include "base/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX      32
#define NAME_MAX_BYTES 32

unsigned fault_rules;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule {
    char point[NAME_MAX_BYTES];
    uint64_t nth;
    bool on;
    uint64_t passed;
    uint64_t failed;
} rules[RULES_MAX];

static struct rule *
find_locked(const char *point)
{
    for (unsigned i = 0; i < fault_rules; i++)
        if (strcmp(rules[i].point, point) == 0)
            return &rules[i];
    return NULL;
}

static __attribute__((noinline)) bool
check(const char *point)
{
    struct rule *rule;
    bool hit = false;

    pthread_mutex_lock(&lock);
    rule = find_locked(point);
    if (rule != NULL) {
        rule->passed++;
        hit = rule->nth != 0 && (rule->on ? rule->passed >= rule->nth
                                          : rule->passed == rule->nth);
        rule->failed += hit;
    }
    pthread_mutex_unlock(&lock);
    if (hit)
        TRACE(TRACE_FAULT, "%s fails", point);
    return hit;
}

bool NTAPI
fault_check(const char *point)
{
    return check(point);
}

int
fault_set(const char *point, uint64_t nth, bool on)
{
    struct rule *rule;
    size_t len = strlen(point);
    int error = 0;

    if (len == 0 || len >= NAME_MAX_BYTES)
        return -EINVAL;
    pthread_mutex_lock(&lock);
    rule = find_locked(point);
    if (rule == NULL && fault_rules < RULES_MAX) {
        rule = &rules[fault_rules];
        memcpy(rule->point, point, len + 1);
        __atomic_store_n(&fault_rules, fault_rules + 1, __ATOMIC_RELAXED);
    }
    if (rule != NULL) {
        rule->nth = nth;
        rule->on = on;
        rule->passed = rule->failed = 0;
    } else {
        error = -ENOSPC;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static uint64_t
count_of(const char *point, bool failures)
{
    struct rule *rule;
    uint64_t n = 0;

    pthread_mutex_lock(&lock);
    rule = find_locked(point);
    if (rule != NULL)
        n = failures ? rule->failed : rule->passed;
    pthread_mutex_unlock(&lock);
    return n;
}

uint64_t
fault_count(const char *point)
{
    return count_of(point, false);
}

uint64_t
fault_failed(const char *point)
{
    return count_of(point, true);
}

void
fault_clear(void)
{
    pthread_mutex_lock(&lock);
    __atomic_store_n(&fault_rules, 0, __ATOMIC_RELAXED);
    memset(rules, 0, sizeof rules);
    pthread_mutex_unlock(&lock);
}

/* One rule, "name:N" or "name:N+", in text[0..len). */
static int
parse_one(const char *text, size_t len)
{
    char copy[NAME_MAX_BYTES + 24], *colon, *end;
    unsigned long long nth;

    if (len >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    colon = strchr(copy, ':');
    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return -EINVAL;
    *colon = '\0';
    errno = 0;
    nth = strtoull(colon + 1, &end, 10);
    if (errno != 0 || (strcmp(end, "") != 0 && strcmp(end, "+") != 0))
        return -EINVAL;
    return fault_set(copy, nth, *end == '+');
}

int
fault_parse(const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        int error = len == 0 ? 0 : parse_one(text, len);

        if (error != 0)
            return error;
        text += len;
        text += *text == ',';
    }
    return 0;
}

static __attribute__((constructor)) void
read_environment(void)
{
    const char *text = getenv("REINSERT_FAULT");

    if (text != NULL && fault_parse(text) != 0)
        fprintf(stderr, "REINSERT_FAULT: cannot read \"%s\"\n", text);
}
