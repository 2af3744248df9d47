/*
 * trace.c - the groups, their switch, and the one line writer
 *
 * A line is made in a buffer on the stack and written with one write(), so that
 * lines of several threads do not mix.  Takes no lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/trace.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned trace_mask;

static const struct {
    const char *name;
    const char *help;
} groups[] = {
#define TRACE_ROW(upper, lower, text) [TRACE_BIT_##upper] = { lower, text },
#include "base/trace.def"
#undef TRACE_ROW
};

const char *
trace_group_name(unsigned n, const char **out_help)
{
    if (n >= TRACE_BIT_COUNT)
        return NULL;
    if (out_help != NULL)
        *out_help = groups[n].help;
    return groups[n].name;
}

/* The bits of the word text[0..len); 0: unknown. */
static unsigned
bits_of(const char *text, size_t len)
{
    if (len == 3 && memcmp(text, "all", 3) == 0)
        return (1u << TRACE_BIT_COUNT) - 1;
    for (unsigned i = 0; i < TRACE_BIT_COUNT; i++)
        if (strlen(groups[i].name) == len &&
            memcmp(groups[i].name, text, len) == 0)
            return 1u << i;
    return 0;
}

int
trace_set(const char *text)
{
    unsigned mask = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        unsigned bits = bits_of(text, len);

        if (bits == 0 && len != 0)
            return -EINVAL;
        mask |= bits;
        text += len;
        text += *text == ',';
    }
    __atomic_store_n(&trace_mask, mask, __ATOMIC_RELAXED);
    return 0;
}

static __attribute__((constructor)) void
read_environment(void)
{
    const char *text = getenv("REINSERT_TRACE");

    if (text != NULL && trace_set(text) != 0)
        fprintf(stderr, "REINSERT_TRACE: unknown group in \"%s\"\n", text);
}

static __attribute__((noinline)) void
write_line(unsigned group, const char *format, const uintptr_t *w)
{
    char line[512];
    size_t len;
    uint64_t now = clock_now_ns() / 1000u;
    int saved = errno;
    unsigned bit = (unsigned) __builtin_ctz(group | 1u << TRACE_BIT_COUNT);
    int n = snprintf(
        line, sizeof line,
        "%llu.%06llu %ld %s: ", (unsigned long long) (now / 1000000u),
        (unsigned long long) (now % 1000000u), (long) syscall(SYS_gettid),
        bit < TRACE_BIT_COUNT ? groups[bit].name : "?");

    len = (size_t) n;
    /* Every argument is a word, and so is every slot of the call. */
    n = snprintf(line + len, sizeof line - len - 1, format, w[0], w[1], w[2],
                 w[3], w[4], w[5], w[6], w[7], w[8], w[9]);
    if (n > 0)
        len += (size_t) n;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    if (line[len - 1] != '\n')
        line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0) {
        /* Nobody is left to tell. */
    }
    errno = saved;
}

VOID NTAPI
trace_write(unsigned group, const char *format, const uintptr_t *words)
{
    write_line(group, format, words);
}
