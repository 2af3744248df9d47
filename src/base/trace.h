/*
 * trace.h - lines on stderr for whoever wants to see what happens
 *
 * Off unless REINSERT_TRACE names groups ("irp,verify" or "all", read at the
 * start) or trace_set does; then a TRACE costs one load and one branch.  The
 * groups are the rows of trace.def.  Any thread, any IRQL; errno is kept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <ntdef.h>

#include <stdint.h>

enum trace_bit {
#define TRACE_ROW(upper, lower, help) TRACE_BIT_##upper,
#include "base/trace.def"
#undef TRACE_ROW
    TRACE_BIT_COUNT,
};

enum trace_group {
#define TRACE_ROW(upper, lower, help) TRACE_##upper = 1u << TRACE_BIT_##upper,
#include "base/trace.def"
#undef TRACE_ROW
};

extern unsigned trace_mask;     /* atomic; written by trace_set only */

#define TRACE_ON(group)                                                       \
    __builtin_expect(                                                         \
        (__atomic_load_n(&trace_mask, __ATOMIC_RELAXED) & (group)) != 0, 0)

#define TRACE_ARGS 10

/*
 * TRACE(TRACE_IRP, "irp=%p sent", (void *) irp): a format of printf with up to
 * ten integers, pointers and strings (no floating point); a newline is added.
 *
 * The arguments travel as an array of words and not as a variable argument
 * list, because trace_write must be NTAPI: a routine of the Microsoft
 * convention that calls one of the other, however rarely, saves ten vector
 * registers every time it is entered.
 */
#define TRACE(group, ...)                                                     \
    do {                                                                      \
        if (TRACE_ON(group)) {                                                \
            (void) sizeof(trace_check(__VA_ARGS__));                          \
            trace_write((group), TRACE_FIRST(__VA_ARGS__, 0),                 \
                        (const uintptr_t[TRACE_ARGS]){                        \
                            TRACE_WORDS(__VA_ARGS__) });                      \
        }                                                                     \
    } while (0)

VOID NTAPI trace_write(unsigned group, const char *format,
                       const uintptr_t *words) __attribute__((cold));
/* Never called: has the compiler compare the format with its arguments. */
int trace_check(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#define TRACE_W(x) ((uintptr_t) (x))
#define TRACE_FIRST(f, ...) f
#define TRACE_0(f) 0
#define TRACE_1(f, a) TRACE_W(a)
#define TRACE_2(f, a, b) TRACE_W(a), TRACE_W(b)
#define TRACE_3(f, a, ...) TRACE_W(a), TRACE_2(f, __VA_ARGS__)
#define TRACE_4(f, a, ...) TRACE_W(a), TRACE_3(f, __VA_ARGS__)
#define TRACE_5(f, a, ...) TRACE_W(a), TRACE_4(f, __VA_ARGS__)
#define TRACE_6(f, a, ...) TRACE_W(a), TRACE_5(f, __VA_ARGS__)
#define TRACE_7(f, a, ...) TRACE_W(a), TRACE_6(f, __VA_ARGS__)
#define TRACE_8(f, a, ...) TRACE_W(a), TRACE_7(f, __VA_ARGS__)
#define TRACE_9(f, a, ...) TRACE_W(a), TRACE_8(f, __VA_ARGS__)
#define TRACE_10(f, a, ...) TRACE_W(a), TRACE_9(f, __VA_ARGS__)
#define TRACE_PICK(f, a, b, c, d, e, g, h, i, j, k, pick, ...) pick
#define TRACE_WORDS(...)                                                      \
    TRACE_PICK(__VA_ARGS__, TRACE_10, TRACE_9, TRACE_8, TRACE_7, TRACE_6,     \
               TRACE_5, TRACE_4, TRACE_3, TRACE_2, TRACE_1, TRACE_0, 0)       \
    (__VA_ARGS__)

/* "", "all", or names with commas.  -EINVAL: an unknown name (nothing
 * changed). */
int trace_set(const char *groups);
/* Name and help of the n-th group; NULL past the last. */
const char *trace_group_name(unsigned n, const char **out_help);

#endif
