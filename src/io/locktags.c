/*
 * locktags.c - who holds which remove lock (debug builds only)
 *
 * IO_REMOVE_LOCK has no room for it, so there is a table beside, by address of
 * the lock.  A lock is in it from its initialisation until the device goes
 * that it lies in the extension of, or until it is initialised again; one in
 * memory that a driver just frees stays, unseen, until its address is used
 * again.  One spin lock, a leaf.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

struct holder {
    struct holder *next;
    PVOID tag;
    const char *file; /* of the caller; constant */
    ULONG line;
    uint64_t since_ns;
};

struct entry {
    struct entry *next;
    PIO_REMOVE_LOCK lock;
    ULONG minutes; /* 0: no limit */
    ULONG most;    /* 0: no limit */
    ULONG held;
    struct holder *holders;
};

#define BUCKETS 256u

static struct entry *buckets[BUCKETS];
static KSPIN_LOCK tags_lock;

static struct entry **
find_locked(PIO_REMOVE_LOCK lock)
{
    struct entry **at = &buckets[((uintptr_t) lock >> 4) % BUCKETS];

    while (*at != NULL && (*at)->lock != lock)
        at = &(*at)->next;
    return at;
}

static void
drop_locked(struct entry **at)
{
    struct entry *entry = *at;
    struct holder *holder;

    *at = entry->next;
    while ((holder = entry->holders) != NULL) {
        entry->holders = holder->next;
        free(holder);
    }
    free(entry);
}

/* Memory of the C library: it is no driver's, and in no report of the pool.
 * Without it the lock is not checked. */
void
io_lock_tags_start(PIO_REMOVE_LOCK lock, ULONG minutes, ULONG most)
{
    struct entry *entry = calloc(1, sizeof *entry), **at;
    KIRQL irql;

    KeAcquireSpinLock(&tags_lock, &irql);
    at = find_locked(lock);
    if (*at != NULL)
        drop_locked(at);
    if (entry != NULL) {
        entry->lock = lock;
        entry->minutes = minutes;
        entry->most = most;
        at = &buckets[((uintptr_t) lock >> 4) % BUCKETS];
        entry->next = *at;
        *at = entry;
    }
    KeReleaseSpinLock(&tags_lock, irql);
}

void
io_lock_tags_acquire(PIO_REMOVE_LOCK lock, PVOID tag, const char *file,
                     ULONG line)
{
    struct holder *holder = malloc(sizeof *holder);
    bool too_many = false;
    struct entry *entry;
    KIRQL irql;

    KeAcquireSpinLock(&tags_lock, &irql);
    entry = *find_locked(lock);
    if (entry != NULL && holder == NULL) {
        drop_locked(find_locked(lock)); /* no longer complete */
    } else if (entry != NULL) {
        *holder =
            (struct holder){ entry->holders, tag, file, line, clock_now_ns() };
        entry->holders = holder;
        holder = NULL;
        entry->held++;
        too_many = entry->most != 0 && entry->held > entry->most;
    }
    KeReleaseSpinLock(&tags_lock, irql);
    free(holder);
    if (too_many)
        io_broken(IO_RULE_REMLOCK_WATERMARK, NULL, NULL);
}

static char *
holder_text(const struct holder *holder, char *out_text, size_t max)
{
    snprintf(out_text, max, "tag %p, acquired in %s line %lu", holder->tag,
             holder->file != NULL ? holder->file : "?",
             (unsigned long) holder->line);
    return out_text;
}

static bool
is_late(const struct entry *entry, const struct holder *holder)
{
    return entry->minutes != 0 &&
           clock_now_ns() - holder->since_ns >=
               entry->minutes * 60u * UINT64_C(1000000000);
}

void
io_lock_tags_release(PIO_REMOVE_LOCK lock, PVOID tag)
{
    struct holder **at, *holder = NULL;
    char text[256] = "";
    bool known, late = false;
    struct entry *entry;
    KIRQL irql;

    KeAcquireSpinLock(&tags_lock, &irql);
    entry = *find_locked(lock);
    known = entry != NULL;
    for (at = known ? &entry->holders : &holder; *at != NULL; at = &(*at)->next)
        if ((*at)->tag == tag) {
            holder = *at;
            *at = holder->next;
            entry->held--;
            late = is_late(entry, holder);
            holder_text(holder, text, sizeof text);
            break;
        }
    KeReleaseSpinLock(&tags_lock, irql);
    if (known && holder == NULL) {
        snprintf(text, sizeof text, "tag %p was not", tag);
        io_broken_by(IO_RULE_REMLOCK_NOT_ACQUIRED, NULL, NULL, text);
    }
    if (late)
        io_broken_by(IO_RULE_REMLOCK_HELD, NULL, NULL, text);
    free(holder);
}

LONGLONG
io_lock_tags_limit(PIO_REMOVE_LOCK lock)
{
    struct entry *entry;
    LONGLONG limit = 0;
    KIRQL irql;

    KeAcquireSpinLock(&tags_lock, &irql);
    entry = *find_locked(lock);
    if (entry != NULL)
        limit = entry->minutes * 60LL * 10000000;
    KeReleaseSpinLock(&tags_lock, irql);
    return limit;
}

void
io_lock_tags_expect_free(PIO_REMOVE_LOCK lock)
{
    char text[256] = "";
    bool late = false;
    struct entry *entry;
    KIRQL irql;

    KeAcquireSpinLock(&tags_lock, &irql);
    entry = *find_locked(lock);
    for (struct holder *holder = entry != NULL ? entry->holders : NULL;
         holder != NULL && !late; holder = holder->next) {
        late = is_late(entry, holder);
        holder_text(holder, text, sizeof text);
    }
    KeReleaseSpinLock(&tags_lock, irql);
    if (late)
        io_broken_by(IO_RULE_REMLOCK_HELD, NULL, NULL, text);
}

void
io_lock_tags_device_deleted(PDEVICE_OBJECT device)
{
    char *begin = device->DeviceExtension, *end;
    char text[256] = "";
    KIRQL irql;

    if (begin == NULL)
        return;
    end = begin + (device->Size - sizeof *device);
    KeAcquireSpinLock(&tags_lock, &irql);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct entry **at = &buckets[i]; *at != NULL;) {
            char *lock = (char *) (*at)->lock;

            if (lock < begin || lock >= end) {
                at = &(*at)->next;
                continue;
            }
            if ((*at)->holders != NULL)
                holder_text((*at)->holders, text, sizeof text);
            drop_locked(at);
        }
    KeReleaseSpinLock(&tags_lock, irql);
    if (text[0] != '\0')
        io_broken_by(IO_RULE_REMLOCK_HELD, io_label_of(device), NULL, text);
}

void
io_lock_tags_shutdown(void)
{
    KIRQL irql;

    KeAcquireSpinLock(&tags_lock, &irql);
    for (unsigned i = 0; i < BUCKETS; i++)
        while (buckets[i] != NULL)
            drop_locked(&buckets[i]);
    KeReleaseSpinLock(&tags_lock, irql);
}
