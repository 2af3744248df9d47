/*
 * volumes.h - what volumes are known by, kept over restarts (SQLite)
 *
 * Beside the ledger, which knows on which cartridge a volume is; here is what
 * the file system needs to know it again.  Records are opaque; a key is the
 * volume's that stays (fs_volume_info.key), and the ledger's identity.
 *
 * Context: one thread at a time.  Functions return 0 or -errno.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_VOLUMES_H
#define JUKEBOX_VOLUMES_H

#include <stddef.h>
#include <stdint.h>

struct volumes;

#define VOLUMES_RECORD_MAX 4096

/* Makes the file if it is not there. */
int volumes_open(const char *path, struct volumes **out_volumes,
                 char *out_text, size_t text_max);
void volumes_close(struct volumes *volumes);
/* On disk when it returns. */
int volumes_put(struct volumes *volumes, const char *key, const void *record,
                size_t length);
/* -ENOENT: no such. */
int volumes_get(struct volumes *volumes, const char *key, void *out_record,
                size_t *out_length);

#endif
