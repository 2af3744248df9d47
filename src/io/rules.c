/*
 * rules.c - what happens to a driver that breaks a rule
 *
 * One line names the rule, the driver, the device and the IRP's history, then
 * the system stops: a double completion today is a lost write tomorrow.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <stdio.h>
#include <string.h>

static const struct rule {
    const char *name;
    ULONG code;
    const char *sentence;
} rules[] = {
#define IO_RULE(id, name, code, sentence, page) { name, code, sentence },
#include "io/rules.def"
#undef IO_RULE
};

bool
io_set_verifier(bool on)
{
#if IO_CHECKED
    ke_checks = on;
    return true;
#else
    return !on;
#endif
}

/* --- labels -------------------------------------------------------------- */

/* Texts are found again, so that there are as many as there are names. */
#define LABELS_MAX 1024

static struct io_label labels[LABELS_MAX];
static unsigned label_count;
static char labels_lock;

static const struct io_label unknown = { "unknown", "" };

static const struct io_label *
intern(const struct io_label *wanted)
{
    const struct io_label *found = &unknown;

    while (__atomic_test_and_set(&labels_lock, __ATOMIC_ACQUIRE))
        ;
    for (unsigned i = 0; i < label_count && found == &unknown; i++)
        if (strcmp(labels[i].driver, wanted->driver) == 0 &&
            strcmp(labels[i].device, wanted->device) == 0)
            found = &labels[i];
    if (found == &unknown && label_count < LABELS_MAX) {
        labels[label_count] = *wanted;
        found = &labels[label_count++];
    }
    __atomic_clear(&labels_lock, __ATOMIC_RELEASE);
    return found;
}

const struct io_label *NTAPI
io_label_of(PDEVICE_OBJECT device)
{
    const struct io_label *label;
    struct io_label made = { "unknown", "" };

    if (device == NULL || device->DeviceObjectExtension == NULL)
        return &unknown;
    label = __atomic_load_n(&io_devext(device)->label, __ATOMIC_ACQUIRE);
    if (label != NULL)
        return label;
    if (device->DriverObject != NULL)
        snprintf(made.driver, sizeof made.driver, "\\Driver\\");
    if (device->DriverObject != NULL)
        io_driver_text(device->DriverObject, made.driver + 8,
                       sizeof made.driver - 8);
    io_device_name(device, made.device, sizeof made.device);
    label = intern(&made);
    __atomic_store_n(&io_devext(device)->label, label, __ATOMIC_RELEASE);
    return label;
}

/* --- the line ------------------------------------------------------------ */

/* "driver D, device V, IRP I: H" of what is known. */
static void
describe(const struct io_label *who, PIRP irp, char *out_text, size_t max)
{
    char history[2048] = "";
    int n;

    *out_text = '\0';
    if (who == NULL && irp == NULL)
        return;
    if (who == NULL)
        who = &unknown;
    n = snprintf(out_text, max, "driver %s%s%s", who->driver,
                 who->device[0] != '\0' ? ", device " : "", who->device);
    if (irp != NULL && n > 0 && (size_t) n < max)
        snprintf(out_text + n, max - (size_t) n, ", IRP %p: %s", (void *) irp,
                 io_history_text(irp, history, sizeof history));
}

/* Whose routine runs on this thread, with the IRP that it got. */
static void
culprit(const void *irp, char *out_text, size_t max)
{
    struct io_frame *frame = io_frames;
    bool alive = frame != NULL && frame->history != NULL &&
                 !__atomic_load_n(&frame->history->freed, __ATOMIC_ACQUIRE);

    if (irp == NULL && alive)
        irp = frame->irp;
    describe(frame != NULL ? frame->who : NULL, (PIRP) (uintptr_t) irp,
             out_text, max);
}

__attribute__((constructor)) static void
tell_ke(void)
{
    ke_set_culprit(culprit);
}

DECLSPEC_NORETURN VOID NTAPI
io_broken_by(enum io_rule rule, const struct io_label *label, PIRP irp,
             const char *detail)
{
    char who[2560], sentence[512];

    if (label == NULL && irp == NULL)
        culprit(NULL, who, sizeof who);
    else
        describe(label != NULL       ? label
                 : io_frames != NULL ? io_frames->who
                                     : NULL,
                 irp, who, sizeof who);
    snprintf(sentence, sizeof sentence, "%s%s%s", rules[rule].sentence,
             detail != NULL ? ": " : "", detail != NULL ? detail : "");
    ke_broken(rules[rule].name, who, sentence, rules[rule].code, irp);
}

DECLSPEC_NORETURN VOID NTAPI
io_broken(enum io_rule rule, PDEVICE_OBJECT device, PIRP irp)
{
    io_broken_by(rule, device != NULL ? io_label_of(device) : NULL, irp, NULL);
}
