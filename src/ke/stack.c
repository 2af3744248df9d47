/*
 * stack.c - callouts that need room on the calling thread's stack
 *
 * The limits are asked of the system once per thread.  Stacks are large here
 * (what a thread was made with, 8 MB as a rule) and are not exchanged for
 * larger ones: a callout that would not fit is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntddk.h>

#include "ke/irql.h"

#include <pthread.h>

/* What the callout itself is not told of: our frames and a signal's. */
#define MARGIN 0x4000

static __thread ULONG_PTR stack_low, stack_high;

static __attribute__((noinline, cold)) void
find_limits(void)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        stack_low = (ULONG_PTR) low;
        stack_high = (ULONG_PTR) low + size;
    }
    pthread_attr_destroy(&attributes);
}

/* 0 when the system does not tell, or on a stack that the thread was not made
 * with. */
static SIZE_T
room(void)
{
    ULONG_PTR here = (ULONG_PTR) __builtin_frame_address(0);

    if (stack_high == 0)
        find_limits();
    return here < stack_low || here >= stack_high ? 0 : here - stack_low;
}

/* <= DISPATCH, with Wait <= APC.  Context must be NULL. */
NTSTATUS NTAPI
KeExpandKernelStackAndCalloutEx(PEXPAND_STACK_CALLOUT Callout, PVOID Parameter,
                                SIZE_T Size, BOOLEAN Wait, PVOID Context)
{
    KE_IRQL(KeExpandKernelStackAndCalloutEx);
    if (Wait)
        KE_RULE(ke_irql <= APC_LEVEL,
                "KeExpandKernelStackAndCalloutEx waits at IRQL <= APC_LEVEL");
    if (Size > MAXIMUM_EXPANSION_SIZE)
        return STATUS_INVALID_PARAMETER_3;
    if (Context != NULL)
        return STATUS_INVALID_PARAMETER_5;
    if (room() < Size + MARGIN)
        return STATUS_NO_MEMORY;
    Callout(Parameter);
    return STATUS_SUCCESS;
}

/* <= APC. */
NTSTATUS NTAPI
KeExpandKernelStackAndCallout(PEXPAND_STACK_CALLOUT Callout, PVOID Parameter,
                              SIZE_T Size)
{
    KE_IRQL(KeExpandKernelStackAndCallout);
    return KeExpandKernelStackAndCalloutEx(Callout, Parameter, Size, TRUE,
                                           NULL);
}
