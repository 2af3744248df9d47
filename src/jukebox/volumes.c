/*
 * volumes.c - what volumes are known by, in a table of SQLite
 *
 * SPDX-License-Identifier: MIT
 */
#include "jukebox/volumes.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUT, GET, STATEMENTS };

static const char *const sql[STATEMENTS] = {
    [PUT] = "INSERT OR REPLACE INTO volume (key, record) VALUES (?1, ?2)",
    [GET] = "SELECT record FROM volume WHERE key = ?1",
};

struct volumes {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

static int
prepare(struct volumes *volumes)
{
    static const char schema[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE IF NOT EXISTS volume"
        " (key TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID";
    int rc = sqlite3_exec(volumes->db, schema, NULL, NULL, NULL);

    for (int i = 0; rc == SQLITE_OK && i < STATEMENTS; i++)
        rc = sqlite3_prepare_v2(volumes->db, sql[i], -1,
                                &volumes->statements[i], NULL);
    return rc;
}

int
volumes_open(const char *path, struct volumes **out_volumes, char *out_text,
             size_t text_max)
{
    struct volumes *volumes = calloc(1, sizeof *volumes);
    int rc;

    if (volumes == NULL)
        return -ENOMEM;
    rc = sqlite3_open(path, &volumes->db);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(volumes->db, 5000);
        rc = prepare(volumes);
    }
    if (rc != SQLITE_OK) {
        snprintf(out_text, text_max, "%.200s: %.200s", path,
                 volumes->db != NULL ? sqlite3_errmsg(volumes->db)
                                     : sqlite3_errstr(rc));
        volumes_close(volumes);
        return -EIO;
    }
    *out_volumes = volumes;
    return 0;
}

void
volumes_close(struct volumes *volumes)
{
    if (volumes == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(volumes->statements[i]);
    sqlite3_close(volumes->db);
    free(volumes);
}

static int
done(sqlite3_stmt *statement, int rc)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return rc == SQLITE_DONE ? 0 : -EIO;
}

int
volumes_put(struct volumes *volumes, const char *key, const void *record,
            size_t length)
{
    sqlite3_stmt *statement = volumes->statements[PUT];

    if (length == 0 || length > VOLUMES_RECORD_MAX)
        return -EINVAL;
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, record, (int) length, SQLITE_STATIC);
    return done(statement, sqlite3_step(statement));
}

int
volumes_get(struct volumes *volumes, const char *key, void *out_record,
            size_t *out_length)
{
    sqlite3_stmt *statement = volumes->statements[GET];
    int rc, length;

    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE) {
        done(statement, rc);
        return -ENOENT;
    }
    if (rc != SQLITE_ROW)
        return done(statement, rc);
    length = sqlite3_column_bytes(statement, 0);
    if (length > 0 && length <= VOLUMES_RECORD_MAX) {
        memcpy(out_record, sqlite3_column_blob(statement, 0), (size_t) length);
        *out_length = (size_t) length;
    }
    done(statement, SQLITE_DONE);
    return length > 0 && length <= VOLUMES_RECORD_MAX ? 0 : -EIO;
}
