/*
 * rig.h - the whole stack under a test: file system, disk or CD-ROM driver,
 * port, emulated drives; between the file system and each drive a filter that
 * writes down what passes and can answer in the drive's place
 *
 * No mount manager: nothing is looked at unless the test or a request does it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_FS_RIG_H
#define TESTS_FS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntifs.h>

#include <ntdddisk.h>
#include <ntddscsi.h>
#include <ntddstor.h>
#include <scsi.h>
#include <vscsi.h>

#include "fs/fs.h"
#include "fs/fs_internal.h"
#include "io/io.h"
#include "ke/ke.h"
#include "prompt/prompt.h"

#include "../eventually.h"
#include "../rest.h"

#define DRIVES_MAX 3
#define LOG_MAX    512

/* What passed the filter on its way to the drive. */
struct passed {
    UCHAR major;
    ULONG code;                 /* of a device control */
    UCHAR flags;                /* of the stack location */
    ULONG key;
    PETHREAD thread;            /* that it ran on */
    PIRP top;                   /* that thread's top-level IRP */
};

struct watch;

/* TRUE: answered, with *out_status and *out_information. */
typedef BOOLEAN watch_before_fn(struct watch *watch, PIRP irp,
                                PIO_STACK_LOCATION at, NTSTATUS *out_status,
                                ULONG_PTR *out_information);
/* May change irp->IoStatus and what is in the buffers. */
typedef void watch_after_fn(struct watch *watch, PIRP irp,
                            PIO_STACK_LOCATION at);

struct watch {
    PDEVICE_OBJECT device, lower;
    watch_before_fn *before;    /* both atomic */
    watch_after_fn *after;
    LONG number;                /* for the hooks: atomic */
    KSPIN_LOCK lock;
    struct passed log[LOG_MAX];
    unsigned passed;
};

struct drive_rig {
    struct vscsi_drive *drive;
    PDEVICE_OBJECT pdo, fdo;
    struct watch watch;
};

struct rig {
    struct drive_rig d[DRIVES_MAX];
    int drives;
};

extern char rig_folder[];       /* images are here; gone at the end */

/* Group setup and teardown; set-ups of a test: kinds of drives. */
int rig_begin(void **state);
int rig_end(void **state);
int rig_disk(void **state);
int rig_disks(void **state);    /* two */
int rig_protected_disk(void **state);   /* every tab is set */
int rig_three_disks(void **state);
int rig_cached_disk(void **state);      /* with a volatile write cache */
int rig_cached_disks(void **state);     /* two */
int rig_cdrom(void **state);
int rig_free(void **state);

/* Makes an image of `kib` KiB; "%s" in command is its path.  The same name is
 * the same path. */
const char *image(const char *name, unsigned kib, const char *command);
const char *image_copy(const char *name, const char *of);
void image_poke(const char *path, unsigned long offset, const void *bytes,
                size_t len);
void image_peek(const char *path, unsigned long offset, void *bytes,
                size_t len);
#define FAT(name, label, serial)                                              \
    image(name, 16384, "mkfs.vfat -F 16 -n " label " -i " serial " %s")
#define ISO(name, label)                                                      \
    image(name, 512,                                                          \
          "sh -c 'mkdir -p %s.d && echo " label " >%s.d/f && genisoimage "    \
          "-quiet -V " label " -o %s %s.d'")

void put_in(struct drive_rig *d, const char *path);
void pull_out(struct drive_rig *d);
void swap(struct drive_rig *d, const char *path);
void fault(struct drive_rig *d, const char *rule);
/* Mounts what is in the drive. */
struct volume *mount(struct drive_rig *d);
/* Did we write to what tells the volume, and not look since? */
BOOLEAN head_dirty(struct volume *volume);
BOOLEAN verify_flag(struct drive_rig *d);
void set_flag(struct drive_rig *d);

/* Above any device; taken off by the test. */
void watch_attach_to(struct watch *watch, PDEVICE_OBJECT to);
void watch_reset(struct watch *watch);
unsigned watch_total(struct watch *watch);
unsigned watch_count(struct watch *watch, UCHAR major);
unsigned watch_controls(struct watch *watch, ULONG code);

/* --- requests to a volume ---------------------------------------------------- */

struct req {
    PIRP irp;
    PMDL mdl;
    KEVENT done;
    NTSTATUS returned, status;
    ULONG_PTR information;
};

/* Of the requests that are started next: their file, flags of their location. */
extern PFILE_OBJECT req_file;
extern UCHAR req_flags;

void req_start(struct req *req, struct volume *volume, UCHAR major,
               ULONG64 offset, void *data, ULONG length);
void req_control(struct req *req, struct volume *volume, PFILE_OBJECT file,
                 ULONG code, void *buffer, ULONG in, ULONG out);
/* The IRP and its next location are made; adds thread and completion. */
void req_send(struct req *req, PDEVICE_OBJECT device);
BOOLEAN req_is_done(struct req *req);
NTSTATUS req_end(struct req *req);      /* waits, frees */

NTSTATUS read_volume(struct volume *volume, ULONG64 offset, void *data,
                     ULONG length);
NTSTATUS write_volume(struct volume *volume, ULONG64 offset, void *data,
                      ULONG length);
NTSTATUS fsctl(PFILE_OBJECT file, ULONG code, void *buffer, ULONG in,
               ULONG out, ULONG_PTR *out_information);
NTSTATUS open_volume(struct drive_rig *d, PFILE_OBJECT *out_file);

/* --- what is on media, and what is not yet -------------------------------------- */

NTSTATUS flush_volume(struct volume *volume);
struct fs_volume_info info_of(struct volume *volume);
/* At most 65536 bytes. */
void assert_on_medium(const char *path, unsigned long at, const void *data,
                      size_t len);
void assert_not_on_medium(const char *path, unsigned long at,
                          const void *data, size_t len);
/* The limits of one test, of each volume and of all; NEVER: no idle flush. */
void limit(ULONG64 bytes, ULONG idle_ms);
#define NEVER 1000000000u

struct kept {
    NTSTATUS answer;
    unsigned calls, runs;
    ULONG64 bytes, first;
    UCHAR value;
};

/* A keeper: remembers in a struct kept what it was given. */
fs_keeper_fn keep;

/* Called when a question is about to be put; may be NULL. */
extern void (*before_question)(void);

/* --- questions ------------------------------------------------------------------ */

LONG asked(void);               /* questions since the test began */
size_t prompts(struct ri_prompt_info *out_first);
/* Waits for the one question there is, once it was told of, and returns it. */
struct ri_prompt_info the_prompt(void);
void answer(enum ri_answer answer);

#define TEST(test, setup)                                                     \
    cmocka_unit_test_setup_teardown(test, setup, rig_free)

#endif
