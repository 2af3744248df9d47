/*
 * support.c - small drivers for the tests of the I/O manager
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ke/ke.h"

static NTSTATUS NTAPI
nothing(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(DriverObject);
    UNREFERENCED_PARAMETER(RegistryPath);
    return STATUS_SUCCESS;
}

PDRIVER_OBJECT
new_driver(const char *name)
{
    PDRIVER_OBJECT driver;

    assert_int_equal(io_load_driver(name, nothing, &driver), STATUS_SUCCESS);
    return driver;
}

PDEVICE_OBJECT
new_device(PDRIVER_OBJECT driver, DEVICE_TYPE type, ULONG extension_size,
           PCWSTR name)
{
    UNICODE_STRING wide;
    PDEVICE_OBJECT device;

    if (name != NULL)
        RtlInitUnicodeString(&wide, name);
    assert_int_equal(IoCreateDevice(driver, extension_size,
                                    name != NULL ? &wide : NULL, type,
                                    FILE_REMOVABLE_MEDIA, FALSE, &device),
                     STATUS_SUCCESS);
    device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    return device;
}

NTSTATUS
complete_irp(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

void
expect_bugcheck(void (*fn)(void), const char *text)
{
    char said[4096] = "";
    size_t len = 0;
    ssize_t n;
    int fds[2], status;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        fn();
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], said + len, sizeof said - 1 - len)) > 0)
        len += (size_t) n;
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (strstr(said, text) == NULL)
        fail_msg("said: %s", said);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

struct call {
    void (*fn)(void *);
    void *context;
};

static void *
run_call(void *argument)
{
    struct call *call = argument;

    call->fn(call->context);
    return NULL;
}

void
on_other_thread(void (*fn)(void *), void *context)
{
    struct call call = { fn, context };
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_call, &call), 0);
    pthread_join(thread, NULL);
}

void
wait_for_value(const LONG *value, LONG want)
{
    const struct timespec pause = { .tv_nsec = 1000000 };

    for (int i = 0; i < 60000; i++) {
        if (__atomic_load_n(value, __ATOMIC_ACQUIRE) == want)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("is %d, not %d", (int) *value, (int) want);
}

int
io_setup(void **state)
{
    (void) state;
    return NT_SUCCESS(io_init()) ? 0 : -1;
}

/* Whatever a test file made must be gone: nothing is left in the pool. */
int
io_teardown(void **state)
{
    (void) state;
    io_shutdown();
    return ke_pool_report(stderr) == 0 ? 0 : -1;
}
