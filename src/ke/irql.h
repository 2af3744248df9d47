/*
 * irql.h - the calling thread's IRQL, and the check of it
 *
 * Checks are compiled into debug builds only (NDEBUG is not defined).  There
 * they are on, unless the environment says REINSERT_VERIFIER=0.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KE_IRQL_H
#define KE_IRQL_H

#include <wdm.h>

#include <stdbool.h>

/* Bug checks that rules end in. */
#define SPIN_LOCK_ALREADY_OWNED 0x0F
#define SPIN_LOCK_NOT_OWNED     0x10
#define KMODE_EXCEPTION_NOT_HANDLED 0x1E
#define BAD_POOL_CALLER         0xC2

extern __thread KIRQL ke_irql __attribute__((tls_model("initial-exec")));

/* Set before drivers run; always false in release builds. */
extern bool ke_checks;

#define PASSIVE_IRQL_  PASSIVE_LEVEL
#define APC_IRQL_      APC_LEVEL
#define DISPATCH_IRQL_ DISPATCH_LEVEL
#define HIGH_IRQL_     HIGH_LEVEL

enum ke_irql_limits {
#define IRQL_ROW(routine, lowest, highest)                                    \
    KE_LOWEST_##routine = lowest##_IRQL_,                                     \
    KE_HIGHEST_##routine = highest##_IRQL_,
#include "ke/irql.def"
#undef IRQL_ROW
};

struct ke_irql_row {
    const char *routine;
    KIRQL lowest, highest;
};

/* Ends with a row without a routine. */
extern const struct ke_irql_row ke_irql_rows[];

/* Returns when the checks are switched off. */
VOID NTAPI ke_irql_broken(const char *routine, const void *caller)
    __attribute__((cold));
VOID NTAPI ke_rule_failed(const char *rule, const void *caller)
    __attribute__((cold));

#ifdef NDEBUG
#define KE_IRQL(name) ((void) KE_HIGHEST_##name)
#define KE_RULE(ok, rule) ((void) (0 && (ok)))
#else
#define KE_IRQL(name)                                                         \
    (__builtin_expect((unsigned) ke_irql - KE_LOWEST_##name <=                \
                          (unsigned) KE_HIGHEST_##name - KE_LOWEST_##name, 1) \
         ? (void) 0                                                           \
         : ke_irql_broken(#name, __builtin_return_address(0)))
/* The other rules of the documentation pages. */
#define KE_RULE(ok, rule)                                                     \
    (__builtin_expect(!!(ok), 1)                                              \
         ? (void) 0                                                           \
         : ke_rule_failed((rule), __builtin_return_address(0)))

#endif
#ifndef NDEBUG
/* Spin locks that the calling thread holds. */
extern __thread unsigned ke_spin_locks
    __attribute__((tls_model("initial-exec")));
#endif

/*
 * Who is to blame, in words: the driver, the device and the IRP that the
 * calling thread is busy with ("" if none).  Also for bug checks: irp is the
 * first parameter of those whose first parameter is an IRP, or NULL.
 */
typedef void ke_culprit_fn(const void *irp, char *out_text, size_t max);
void ke_set_culprit(ke_culprit_fn *fn);

/* One line, `rule NAME: WHO; SENTENCE`, in one write; then the bug check. */
void ke_broken(const char *name, const char *who, const char *sentence,
               ULONG code, const void *first)
    __attribute__((noreturn, cold));

#endif
