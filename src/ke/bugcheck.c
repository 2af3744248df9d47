/*
 * bugcheck.c - the end, and what the debugger would have shown
 *
 * A bug check is a mistake of ours or of a driver: a line that names the rule
 * that was broken and who broke it, one with the code, the drivers' callbacks,
 * and abort().  Nothing on the way there takes a lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The names of rules are those of io/rules.def. */
static const struct stop {
    ULONG code;
    const char *name;
    const char *rule;
    const char *sentence;
} stops[] = {
    { IRQL_NOT_GREATER_OR_EQUAL, "IRQL_NOT_GREATER_OR_EQUAL", "irql",
      "KeRaiseIrql does not lower the IRQL" },
    { IRQL_NOT_LESS_OR_EQUAL, "IRQL_NOT_LESS_OR_EQUAL", "irql",
      "KeLowerIrql does not raise the IRQL" },
    { NO_EXCEPTION_HANDLING_SUPPORT, "NO_EXCEPTION_HANDLING_SUPPORT", NULL,
      NULL },
    { KMODE_EXCEPTION_NOT_HANDLED, "KMODE_EXCEPTION_NOT_HANDLED", NULL, NULL },
    { RESOURCE_NOT_OWNED, "RESOURCE_NOT_OWNED", "routine-contract",
      "a resource is released by a thread that has acquired it" },
    { MAXIMUM_WAIT_OBJECTS_EXCEEDED, "MAXIMUM_WAIT_OBJECTS_EXCEEDED",
      "routine-contract", "a wait is for as many objects as have wait blocks" },
    { SPIN_LOCK_ALREADY_OWNED, "SPIN_LOCK_ALREADY_OWNED", "spinlock-recursive",
      "a spin lock is not acquired twice" },
    { SPIN_LOCK_NOT_OWNED, "SPIN_LOCK_NOT_OWNED", "spinlock-not-held",
      "a spin lock is released by the thread that holds it" },
    { NO_MORE_IRP_STACK_LOCATIONS, "NO_MORE_IRP_STACK_LOCATIONS",
      "irp-no-location", "an IRP has a stack location for each driver" },
    { MULTIPLE_IRP_COMPLETE_REQUESTS, "MULTIPLE_IRP_COMPLETE_REQUESTS",
      "irp-double-complete", "an IRP is completed once" },
    { BAD_POOL_CALLER, "BAD_POOL_CALLER", "pool-misuse",
      "pool is freed once, with the tag that it was allocated with" },
    { DRIVER_VERIFIER_DETECTED_VIOLATION, "DRIVER_VERIFIER_DETECTED_VIOLATION",
      NULL, NULL },
    { WORKER_THREAD_RETURNED_AT_BAD_IRQL, "WORKER_THREAD_RETURNED_AT_BAD_IRQL",
      "irql-not-restored", "a work routine returns at PASSIVE_LEVEL" },
    { WORKER_INVALID, "WORKER_INVALID", "routine-contract",
      "a work item is queued once, and not freed while it is queued" },
};

bool ke_checks;

static ke_culprit_fn *culprit;   /* set before there are threads */
static __thread bool rule_named; /* the line is out */

/* Named as all there is of checks today; in release builds there are none. */
__attribute__((constructor)) static void
read_environment(void)
{
#ifndef NDEBUG
    const char *value = getenv("REINSERT_VERIFIER");

    ke_checks = value == NULL || *value != '0';
#endif
}

void
ke_set_culprit(ke_culprit_fn *fn)
{
    culprit = fn;
}

static __attribute__((format(printf, 1, 0))) void
print(const char *format, va_list arguments)
{
    char text[3072];
    int n = vsnprintf(text, sizeof text, format, arguments);
    size_t len = n < 0 ? 0 : (size_t) n;

    if (len >= sizeof text)
        len = sizeof text - 1;
    if (write(STDERR_FILENO, text, len) < 0) {
        /* Nobody is left to tell. */
    }
}

static __attribute__((format(printf, 1, 2))) void
say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
}

/* To stderr; adds no newline. */
ULONG
DbgPrint(PCSTR Format, ...)
{
    va_list arguments;

    va_start(arguments, Format);
    print(Format, arguments);
    va_end(arguments);
    return (ULONG) STATUS_SUCCESS;
}

#define ALWAYS_SHOWN 1u /* errors: what a system shows that nobody configured */

ULONG
vDbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format,
            __builtin_va_list arglist)
{
    ULONG mask = Level < 32 ? 1u << Level : Level;

    if (mask & ALWAYS_SHOWN)
        print(Format, arglist);
    return (ULONG) STATUS_SUCCESS;
}

ULONG
DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...)
{
    va_list arguments;

    va_start(arguments, Format);
    vDbgPrintEx(ComponentId, Level, Format, arguments);
    va_end(arguments);
    return (ULONG) STATUS_SUCCESS;
}

/* --- callbacks ------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_ENTRY callbacks = { &callbacks, &callbacks }; /* lock */

/* FALSE: it is registered already. */
BOOLEAN NTAPI
KeRegisterBugCheckCallback(PKBUGCHECK_CALLBACK_RECORD CallbackRecord,
                           PKBUGCHECK_CALLBACK_ROUTINE CallbackRoutine,
                           PVOID Buffer, ULONG Length, PUCHAR Component)
{
    bool fresh;

    pthread_mutex_lock(&lock);
    fresh = CallbackRecord->State == BufferEmpty;
    if (fresh) {
        CallbackRecord->CallbackRoutine = CallbackRoutine;
        CallbackRecord->Buffer = Buffer;
        CallbackRecord->Length = Length;
        CallbackRecord->Component = Component;
        CallbackRecord->Checksum = (ULONG_PTR) CallbackRoutine +
                                   (ULONG_PTR) Buffer + Length +
                                   (ULONG_PTR) Component;
        CallbackRecord->State = BufferInserted;
        InsertTailList(&callbacks, &CallbackRecord->Entry);
    }
    pthread_mutex_unlock(&lock);
    return fresh;
}

/* FALSE: it was not registered. */
BOOLEAN NTAPI
KeDeregisterBugCheckCallback(PKBUGCHECK_CALLBACK_RECORD CallbackRecord)
{
    bool was_in;

    pthread_mutex_lock(&lock);
    was_in = CallbackRecord->State == BufferInserted;
    if (was_in) {
        RemoveEntryList(&CallbackRecord->Entry);
        CallbackRecord->State = BufferEmpty;
    }
    pthread_mutex_unlock(&lock);
    return was_in;
}

/* Once, at HIGH_LEVEL, without the lock: nothing here may wait any more. */
static void
run_callbacks(void)
{
    static bool running;

    if (__atomic_exchange_n(&running, true, __ATOMIC_ACQ_REL))
        return;
    ke_irql = HIGH_LEVEL;
    for (PLIST_ENTRY e = callbacks.Flink; e != &callbacks; e = e->Flink) {
        PKBUGCHECK_CALLBACK_RECORD record =
            CONTAINING_RECORD(e, KBUGCHECK_CALLBACK_RECORD, Entry);

        record->State = BufferStarted;
        record->CallbackRoutine(record->Buffer, record->Length);
        record->State = BufferFinished;
    }
}

/* --- the end -------------------------------------------------------------- */

void
ke_broken(const char *name, const char *who, const char *sentence, ULONG code,
          const void *first)
{
    rule_named = true;
    say("rule %s: %s%s%s\n", name, who, *who != '\0' ? "; " : "", sentence);
    KeBugCheckEx(code, (ULONG_PTR) first, 0, 0, 0);
}

static void
describe_culprit(const void *irp, char *out_text, size_t max)
{
    *out_text = '\0';
    if (culprit != NULL)
        culprit(irp, out_text, max);
}

/* A driver's own bug check, or one of ours that breaks no rule, has no row with
 * a rule. */
static void
name_rule(const struct stop *stop, const void *first)
{
    bool has_irp = stop->code == NO_MORE_IRP_STACK_LOCATIONS ||
                   stop->code == MULTIPLE_IRP_COMPLETE_REQUESTS;
    char who[2560];

    if (rule_named || stop->rule == NULL)
        return;
    rule_named = true;
    describe_culprit(has_irp ? first : NULL, who, sizeof who);
    say("rule %s: %s%s%s\n", stop->rule, who, *who != '\0' ? "; " : "",
        stop->sentence);
}

DECLSPEC_NORETURN VOID NTAPI
KeBugCheckEx(ULONG BugCheckCode, ULONG_PTR BugCheckParameter1,
             ULONG_PTR BugCheckParameter2, ULONG_PTR BugCheckParameter3,
             ULONG_PTR BugCheckParameter4)
{
    const char *name = "bug check";

    for (size_t i = 0; i < ARRAYSIZE(stops); i++)
        if (stops[i].code == BugCheckCode) {
            name = stops[i].name;
            name_rule(&stops[i], (const void *) BugCheckParameter1);
        }
    say("*** STOP 0x%08X %s (0x%llX, 0x%llX, 0x%llX, 0x%llX)\n",
        (unsigned) BugCheckCode, name, (unsigned long long) BugCheckParameter1,
        (unsigned long long) BugCheckParameter2,
        (unsigned long long) BugCheckParameter3,
        (unsigned long long) BugCheckParameter4);
    run_callbacks();
    abort();
}

DECLSPEC_NORETURN VOID NTAPI
KeBugCheck(ULONG BugCheckCode)
{
    KeBugCheckEx(BugCheckCode, 0, 0, 0, 0);
}

/* There is no debugger to break into: what an unhandled breakpoint ends in. */
VOID NTAPI
DbgBreakPoint(VOID)
{
    KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG) STATUS_BREAKPOINT,
                 (ULONG_PTR) __builtin_return_address(0), 0, 0);
}

/* --- rules of ke's own routines ------------------------------------------- */

VOID NTAPI
ke_rule_broken(const char *rule, const void *caller)
{
    char who[2560], sentence[256];

    snprintf(sentence, sizeof sentence, "%s (IRQL is %u, caller %p)", rule,
             ke_irql, caller);
    describe_culprit(NULL, who, sizeof who);
    ke_broken("routine-contract", who, sentence,
              DRIVER_VERIFIER_DETECTED_VIOLATION, caller);
}

VOID NTAPI
ke_rule_failed(const char *rule, const void *caller)
{
    if (ke_checks)
        ke_rule_broken(rule, caller);
}

#define IRQL_ROW(routine, lowest, highest)                                     \
    { #routine, KE_LOWEST_##routine, KE_HIGHEST_##routine },
const struct ke_irql_row ke_irql_rows[] = {
#include "ke/irql.def"
    { NULL, 0, 0 },
};

static const char *
level_name(KIRQL level)
{
    static const char *const level_names[] = { "PASSIVE_LEVEL", "APC_LEVEL",
                                               "DISPATCH_LEVEL" };

    return level < ARRAYSIZE(level_names) ? level_names[level] : "HIGH_LEVEL";
}

VOID NTAPI
ke_irql_broken(const char *routine, const void *caller)
{
    const struct ke_irql_row *row = ke_irql_rows;
    char who[2560], sentence[256];
    bool up;

    if (!ke_checks)
        return;
    while (row->routine != NULL && strcmp(row->routine, routine) != 0)
        row++;
    up = row->highest == HIGH_LEVEL;
    snprintf(sentence, sizeof sentence,
             "%s: IRQL %s %s (IRQL is %u, caller %p)", routine,
             up                            ? ">="
             : row->lowest == row->highest ? "="
                                           : "<=",
             level_name(up ? row->lowest : row->highest), ke_irql, caller);
    describe_culprit(NULL, who, sizeof who);
    ke_broken("irql", who, sentence, DRIVER_VERIFIER_DETECTED_VIOLATION,
              caller);
}

/* As with no debugger attached: it does not return. */
VOID NTAPI
RtlAssert(PVOID FailedAssertion, PVOID FileName, ULONG LineNumber, PSTR Message)
{
    say("assertion failed: %s%s%s, %s line %u (IRQL is %u)\n",
        Message != NULL ? Message : "", Message != NULL ? ": " : "",
        (char *) FailedAssertion, (char *) FileName, (unsigned) LineNumber,
        ke_irql);
    abort();
}
