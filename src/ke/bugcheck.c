/*
 * bugcheck.c - the end, and what the debugger would have shown
 *
 * A bug check is a mistake of ours or of a driver: one line on stderr, and
 * abort().  Nothing here takes a lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    ULONG code;
    const char *name;
} names[] = {
    { IRQL_NOT_GREATER_OR_EQUAL, "IRQL_NOT_GREATER_OR_EQUAL" },
    { IRQL_NOT_LESS_OR_EQUAL, "IRQL_NOT_LESS_OR_EQUAL" },
    { NO_EXCEPTION_HANDLING_SUPPORT, "NO_EXCEPTION_HANDLING_SUPPORT" },
    { MAXIMUM_WAIT_OBJECTS_EXCEEDED, "MAXIMUM_WAIT_OBJECTS_EXCEEDED" },
    { SPIN_LOCK_ALREADY_OWNED, "SPIN_LOCK_ALREADY_OWNED" },
    { SPIN_LOCK_NOT_OWNED, "SPIN_LOCK_NOT_OWNED" },
    { NO_MORE_IRP_STACK_LOCATIONS, "NO_MORE_IRP_STACK_LOCATIONS" },
    { MULTIPLE_IRP_COMPLETE_REQUESTS, "MULTIPLE_IRP_COMPLETE_REQUESTS" },
    { BAD_POOL_CALLER, "BAD_POOL_CALLER" },
    { DRIVER_VERIFIER_DETECTED_VIOLATION,
      "DRIVER_VERIFIER_DETECTED_VIOLATION" },
    { WORKER_THREAD_RETURNED_AT_BAD_IRQL,
      "WORKER_THREAD_RETURNED_AT_BAD_IRQL" },
    { WORKER_INVALID, "WORKER_INVALID" },
};

static __attribute__((format(printf, 1, 0))) void
print(const char *format, va_list arguments)
{
    char text[512];
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

DECLSPEC_NORETURN VOID NTAPI
KeBugCheckEx(ULONG BugCheckCode, ULONG_PTR BugCheckParameter1,
             ULONG_PTR BugCheckParameter2, ULONG_PTR BugCheckParameter3,
             ULONG_PTR BugCheckParameter4)
{
    const char *name = "bug check";

    for (size_t i = 0; i < ARRAYSIZE(names); i++)
        if (names[i].code == BugCheckCode)
            name = names[i].name;
    say("*** STOP 0x%08X %s (0x%llX, 0x%llX, 0x%llX, 0x%llX)\n",
        (unsigned) BugCheckCode, name, (unsigned long long) BugCheckParameter1,
        (unsigned long long) BugCheckParameter2,
        (unsigned long long) BugCheckParameter3,
        (unsigned long long) BugCheckParameter4);
    abort();
}

VOID NTAPI
ke_rule_broken(const char *rule, const void *caller)
{
    say("rule broken: %s (IRQL is %u, caller %p)\n", rule, ke_irql, caller);
    KeBugCheckEx(DRIVER_VERIFIER_DETECTED_VIOLATION, (ULONG_PTR) rule,
                 (ULONG_PTR) caller, ke_irql, 0);
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
