/*
 * ledger.c - what is remembered of a library, in SQLite
 *
 * Written ahead (WAL) and synchronised at every commit: what the ledger said
 * survives the power cut.  All statements are in `sql`, prepared at the first
 * use and kept.
 *
 * Context: by the holder of the library's turn only.
 *
 * SPDX-License-Identifier: MIT
 */
#include "jukebox/ledger.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define LEDGER_VERSION "1"
#define JOURNAL_KEPT   1000

enum sql_id {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_CARTRIDGES,
    SQL_STORE,
    SQL_FORGET,
    SQL_FORGET_FAILURES,
    SQL_DRIVES,
    SQL_STORE_DRIVE,
    SQL_INTEND,
    SQL_OUTCOME,
    SQL_TRIM,
    SQL_OPEN,
    SQL_FAIL,
    SQL_FAILED_DRIVES,
    SQL_FAILED_CARTRIDGES,
    SQL_COUNT,
};

static const char *const sql[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_CARTRIDGES] =
        "SELECT id, barcode, place_type, place, home, home_from, identity,"
        " name, label, type, bytes, block, uses, errors, cleanings, cleaning,"
        " expired, marked, loaded_ms FROM cartridge ORDER BY id",
    [SQL_STORE] =
        "INSERT OR REPLACE INTO cartridge (id, barcode, place_type, place,"
        " home, home_from, identity, name, label, type, bytes, block, uses,"
        " errors, cleanings, cleaning, expired, marked, loaded_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_FORGET] = "DELETE FROM cartridge WHERE id = ?",
    [SQL_FORGET_FAILURES] = "DELETE FROM failure WHERE cartridge = ?",
    [SQL_DRIVES] = "SELECT drive, uses, errors, aside, good FROM drive",
    [SQL_STORE_DRIVE] = "INSERT OR REPLACE INTO drive (drive, uses, errors,"
                        " aside, good) VALUES (?, ?, ?, ?, ?)",
    [SQL_INTEND] =
        "INSERT INTO motion (kind, source_type, source, destination_type,"
        " destination, second_type, second, cartridge, other, begun_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_OUTCOME] = "UPDATE motion SET outcome = ?, ended_ms = ? WHERE id = ?",
    [SQL_TRIM] = "DELETE FROM motion WHERE id <= ?",
    [SQL_OPEN] =
        "SELECT id, kind, source_type, source, destination_type, destination,"
        " second_type, second, cartridge, other FROM motion"
        " WHERE id = (SELECT max(id) FROM motion) AND outcome IS NULL",
    [SQL_FAIL] = "INSERT OR REPLACE INTO failure (cartridge, drive, motion)"
                 " VALUES (?, ?, ?)",
    [SQL_FAILED_DRIVES] = "SELECT count(*) FROM failure WHERE cartridge = ?",
    [SQL_FAILED_CARTRIDGES] =
        "SELECT count(*) FROM failure WHERE drive = ? AND motion > ?",
};

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, value TEXT);"
    "INSERT OR IGNORE INTO ledger VALUES ('version', '" LEDGER_VERSION "');"
    "CREATE TABLE IF NOT EXISTS cartridge (id INTEGER PRIMARY KEY,"
    " barcode TEXT NOT NULL, place_type INTEGER NOT NULL,"
    " place INTEGER NOT NULL, home INTEGER NOT NULL,"
    " home_from INTEGER NOT NULL, identity TEXT NOT NULL, name TEXT NOT NULL,"
    " label TEXT NOT NULL, type TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " block INTEGER NOT NULL, uses INTEGER NOT NULL, errors INTEGER NOT NULL,"
    " cleanings INTEGER NOT NULL, cleaning INTEGER NOT NULL,"
    " expired INTEGER NOT NULL, marked INTEGER NOT NULL,"
    " loaded_ms INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS drive (drive INTEGER PRIMARY KEY,"
    " uses INTEGER NOT NULL, errors INTEGER NOT NULL,"
    " aside INTEGER NOT NULL, good INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS failure (cartridge INTEGER NOT NULL,"
    " drive INTEGER NOT NULL, motion INTEGER NOT NULL,"
    " PRIMARY KEY (cartridge, drive)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS motion (id INTEGER PRIMARY KEY,"
    " kind INTEGER NOT NULL, source_type INTEGER NOT NULL,"
    " source INTEGER NOT NULL, destination_type INTEGER NOT NULL,"
    " destination INTEGER NOT NULL, second_type INTEGER NOT NULL,"
    " second INTEGER NOT NULL, cartridge INTEGER NOT NULL,"
    " other INTEGER NOT NULL, begun_ms INTEGER NOT NULL,"
    " ended_ms INTEGER, outcome TEXT);";

struct ledger {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    struct cartridge **cartridges; /* by id */
    size_t count, max;
    int64_t last_id;
    int64_t *forgotten; /* ids that are still to be deleted */
    size_t forgotten_count, forgotten_max;
    struct ledger_drive *drives;
    unsigned drive_count;
    char error[RI_TEXT_MAX];
};

/* --- statements ---------------------------- */

static int
failed(struct ledger *ledger, int rc)
{
    snprintf(ledger->error, sizeof ledger->error, "the ledger: %s",
             sqlite3_errmsg(ledger->db));
    return rc == SQLITE_NOMEM  ? -ENOMEM
           : rc == SQLITE_FULL ? -ENOSPC
           : rc == SQLITE_BUSY ? -EBUSY
           : rc == SQLITE_PERM ? -EACCES
                               : -EIO;
}

static int
prepare(struct ledger *ledger, enum sql_id id, sqlite3_stmt **out)
{
    sqlite3_stmt **at = &ledger->statements[id];

    *out = NULL;
    if (*at == NULL) {
        int rc = sqlite3_prepare_v3(ledger->db, sql[id], -1,
                                    SQLITE_PREPARE_PERSISTENT, at, NULL);

        if (rc != SQLITE_OK)
            return failed(ledger, rc);
    }
    *out = *at;
    return 0;
}

/* Runs a statement that gives no rows, or a number in its first. */
static int
finish(struct ledger *ledger, sqlite3_stmt *statement, int64_t *out)
{
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW && out != NULL)
        *out = sqlite3_column_int64(statement, 0);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        failed(ledger, rc);
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

static int
run(struct ledger *ledger, enum sql_id id)
{
    sqlite3_stmt *statement;
    int rc = prepare(ledger, id, &statement);

    return rc != 0 ? rc : finish(ledger, statement, NULL);
}

static int
run_with(struct ledger *ledger, enum sql_id id, const int64_t *values,
         int count, int64_t *out)
{
    sqlite3_stmt *statement;
    int rc = prepare(ledger, id, &statement);

    if (rc != 0)
        return rc;
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(statement, i + 1, values[i]);
    return finish(ledger, statement, out);
}

static void
bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static void
column_text(sqlite3_stmt *statement, int at, char *out, size_t max)
{
    const unsigned char *text = sqlite3_column_text(statement, at);

    snprintf(out, max, "%s", text != NULL ? (const char *) text : "");
}

static uint32_t
column_u32(sqlite3_stmt *statement, int at)
{
    int64_t n = sqlite3_column_int64(statement, at);

    return n < 0 || n > UINT32_MAX ? 0 : (uint32_t) n;
}

/* --- cartridges ---------------------------- */

struct cartridge **
ledger_cartridges(struct ledger *ledger, size_t *out_count)
{
    *out_count = ledger->count;
    return ledger->cartridges;
}

struct cartridge *
ledger_by_id(struct ledger *ledger, int64_t id)
{
    size_t low = 0, high = ledger->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (ledger->cartridges[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ledger->count && ledger->cartridges[low]->id == id
               ? ledger->cartridges[low]
               : NULL;
}

struct cartridge *
ledger_add(struct ledger *ledger)
{
    struct cartridge *cartridge;

    if (ledger->count == ledger->max) {
        size_t max = ledger->max == 0 ? 64 : 2 * ledger->max;
        struct cartridge **more =
            realloc(ledger->cartridges, max * sizeof *more);

        if (more == NULL)
            return NULL;
        ledger->cartridges = more;
        ledger->max = max;
    }
    cartridge = calloc(1, sizeof *cartridge);
    if (cartridge == NULL)
        return NULL;
    cartridge->id = ++ledger->last_id;
    cartridge->dirty = true;
    ledger->cartridges[ledger->count++] = cartridge;
    return cartridge;
}

/* Deleted with the next that is stored, in its transaction. */
static bool
note_forgotten(struct ledger *ledger, int64_t id)
{
    if (ledger->forgotten_count == ledger->forgotten_max) {
        size_t max =
            ledger->forgotten_max == 0 ? 64 : 2 * ledger->forgotten_max;
        int64_t *more = realloc(ledger->forgotten, max * sizeof *more);

        if (more == NULL)
            return false;
        ledger->forgotten = more;
        ledger->forgotten_max = max;
    }
    ledger->forgotten[ledger->forgotten_count++] = id;
    return true;
}

void
ledger_forget(struct ledger *ledger, struct cartridge *cartridge)
{
    if (!note_forgotten(ledger, cartridge->id))
        return; /* no memory: it is kept, as one that is away */
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->cartridges[i] == cartridge) {
            memmove(&ledger->cartridges[i], &ledger->cartridges[i + 1],
                    (--ledger->count - i) * sizeof *ledger->cartridges);
            break;
        }
    free(cartridge);
}

struct ledger_drive *
ledger_drive(struct ledger *ledger, unsigned drive)
{
    return drive < ledger->drive_count ? &ledger->drives[drive] : NULL;
}

static void
take_cartridge(sqlite3_stmt *s, struct cartridge *c)
{
    struct library_volume *v = &c->volume;

    c->id = sqlite3_column_int64(s, 0);
    column_text(s, 1, c->barcode, sizeof c->barcode);
    c->place.type = (uint8_t) column_u32(s, 2);
    c->place.index = column_u32(s, 3);
    c->home = column_u32(s, 4);
    c->home_from = (enum ri_home)(column_u32(s, 5) % (RI_HOME_ADOPTED + 1));
    column_text(s, 6, v->identity, sizeof v->identity);
    column_text(s, 7, v->name, sizeof v->name);
    column_text(s, 8, v->label, sizeof v->label);
    column_text(s, 9, v->type, sizeof v->type);
    v->size_bytes = (uint64_t) sqlite3_column_int64(s, 10);
    v->block_bytes = column_u32(s, 11);
    c->uses = column_u32(s, 12);
    c->errors = column_u32(s, 13);
    c->cleanings = column_u32(s, 14);
    c->cleaning = column_u32(s, 15) != 0;
    c->expired = column_u32(s, 16) != 0;
    c->marked = column_u32(s, 17) != 0;
    c->loaded_ms = (uint64_t) sqlite3_column_int64(s, 18);
    c->dirty = false;
}

static int
load(struct ledger *ledger)
{
    sqlite3_stmt *s;
    int rc = prepare(ledger, SQL_CARTRIDGES, &s), step;

    if (rc != 0)
        return rc;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        struct cartridge *c = ledger_add(ledger);

        if (c == NULL) {
            sqlite3_reset(s);
            return -ENOMEM;
        }
        take_cartridge(s, c);
        ledger->last_id = c->id;
    }
    if (step != SQLITE_DONE)
        rc = failed(ledger, step);
    sqlite3_reset(s);
    if (rc != 0 || (rc = prepare(ledger, SQL_DRIVES, &s)) != 0)
        return rc;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        struct ledger_drive *drive = ledger_drive(ledger, column_u32(s, 0));

        if (drive == NULL)
            continue;
        drive->uses = column_u32(s, 1);
        drive->errors = column_u32(s, 2);
        drive->aside = column_u32(s, 3) != 0;
        drive->good = sqlite3_column_int64(s, 4);
    }
    if (step != SQLITE_DONE)
        rc = failed(ledger, step);
    sqlite3_reset(s);
    return rc;
}

static int
store_cartridge(struct ledger *ledger, const struct cartridge *c)
{
    const struct library_volume *v = &c->volume;
    const int64_t numbers[] = {
        (int64_t) v->size_bytes,
        v->block_bytes,
        c->uses,
        c->errors,
        c->cleanings,
        c->cleaning,
        c->expired,
        c->marked,
        (int64_t) c->loaded_ms,
    };
    sqlite3_stmt *s;
    int rc = prepare(ledger, SQL_STORE, &s);

    if (rc != 0)
        return rc;
    sqlite3_bind_int64(s, 1, c->id);
    bind_text(s, 2, c->barcode);
    sqlite3_bind_int(s, 3, c->place.type);
    sqlite3_bind_int64(s, 4, c->place.index);
    sqlite3_bind_int64(s, 5, c->home);
    sqlite3_bind_int(s, 6, (int) c->home_from);
    bind_text(s, 7, v->identity);
    bind_text(s, 8, v->name);
    bind_text(s, 9, v->label);
    bind_text(s, 10, v->type);
    for (int i = 0; i < 9; i++)
        sqlite3_bind_int64(s, 11 + i, numbers[i]);
    return finish(ledger, s, NULL);
}

/* Within a transaction.  What is not committed stays dirty. */
static int
store_dirty(struct ledger *ledger)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ledger->forgotten_count; i++) {
        rc = run_with(ledger, SQL_FORGET, &ledger->forgotten[i], 1, NULL);
        if (rc == 0)
            rc = run_with(ledger, SQL_FORGET_FAILURES, &ledger->forgotten[i], 1,
                          NULL);
    }
    for (size_t i = 0; rc == 0 && i < ledger->count; i++)
        if (ledger->cartridges[i]->dirty)
            rc = store_cartridge(ledger, ledger->cartridges[i]);
    for (unsigned i = 0; rc == 0 && i < ledger->drive_count; i++) {
        const struct ledger_drive *drive = &ledger->drives[i];
        const int64_t values[] = { i, drive->uses, drive->errors, drive->aside,
                                   drive->good };

        if (drive->dirty)
            rc = run_with(ledger, SQL_STORE_DRIVE, values, 5, NULL);
    }
    return rc;
}

static int
commit(struct ledger *ledger, int rc)
{
    if (rc == 0)
        rc = run(ledger, SQL_COMMIT);
    if (rc != 0) {
        run(ledger, SQL_ROLLBACK);
        return rc;
    }
    ledger->forgotten_count = 0;
    for (size_t i = 0; i < ledger->count; i++)
        ledger->cartridges[i]->dirty = false;
    for (unsigned i = 0; i < ledger->drive_count; i++)
        ledger->drives[i].dirty = false;
    return 0;
}

int
ledger_store(struct ledger *ledger)
{
    bool dirty = ledger->forgotten_count > 0;
    int rc;

    for (size_t i = 0; i < ledger->count; i++)
        dirty = dirty || ledger->cartridges[i]->dirty;
    for (unsigned i = 0; i < ledger->drive_count; i++)
        dirty = dirty || ledger->drives[i].dirty;
    if (!dirty)
        return 0;
    rc = run(ledger, SQL_BEGIN);
    return rc != 0 ? rc : commit(ledger, store_dirty(ledger));
}

/* --- the journal ---------------------------- */

int
ledger_intend(struct ledger *ledger, struct motion *motion)
{
    const int64_t values[] = {
        motion->kind,
        motion->source.type,
        motion->source.index,
        motion->destination.type,
        motion->destination.index,
        motion->second.type,
        motion->second.index,
        motion->cartridge,
        motion->other,
        (int64_t) clock_wall_ms(),
    };
    int rc = run_with(ledger, SQL_INTEND, values, 10, NULL);

    if (rc == 0)
        motion->id = sqlite3_last_insert_rowid(ledger->db);
    return rc;
}

int
ledger_outcome(struct ledger *ledger, const struct motion *motion,
               const char *outcome)
{
    const int64_t old = motion->id - JOURNAL_KEPT;
    sqlite3_stmt *s;
    int rc = run(ledger, SQL_BEGIN);

    if (rc != 0)
        return rc;
    rc = store_dirty(ledger);
    if (rc == 0)
        rc = prepare(ledger, SQL_OUTCOME, &s);
    if (rc == 0) {
        bind_text(s, 1, outcome);
        sqlite3_bind_int64(s, 2, (int64_t) clock_wall_ms());
        sqlite3_bind_int64(s, 3, motion->id);
        rc = finish(ledger, s, NULL);
    }
    if (rc == 0)
        rc = run_with(ledger, SQL_TRIM, &old, 1, NULL);
    return commit(ledger, rc);
}

int
ledger_open_motion(struct ledger *ledger, struct motion *out_motion)
{
    sqlite3_stmt *s;
    int rc = prepare(ledger, SQL_OPEN, &s), step;
    struct motion m = { 0 };

    if (rc != 0)
        return rc;
    step = sqlite3_step(s);
    if (step == SQLITE_ROW) {
        m.id = sqlite3_column_int64(s, 0);
        m.kind = (enum motion_kind) column_u32(s, 1);
        m.source.type = (uint8_t) column_u32(s, 2);
        m.source.index = column_u32(s, 3);
        m.destination.type = (uint8_t) column_u32(s, 4);
        m.destination.index = column_u32(s, 5);
        m.second.type = (uint8_t) column_u32(s, 6);
        m.second.index = column_u32(s, 7);
        m.cartridge = sqlite3_column_int64(s, 8);
        m.other = sqlite3_column_int64(s, 9);
        *out_motion = m;
    } else {
        rc = step == SQLITE_DONE ? -ENOENT : failed(ledger, step);
    }
    sqlite3_reset(s);
    return rc;
}

int
ledger_failed(struct ledger *ledger, const struct motion *motion,
              unsigned drive, unsigned *out_drives, unsigned *out_cartridges)
{
    const int64_t values[] = { motion->cartridge, drive, motion->id };
    const int64_t pair[] = { drive, ledger->drives[drive].good };
    int64_t drives = 0, cartridges = 0;
    int rc = run_with(ledger, SQL_FAIL, values, 3, NULL);

    if (rc == 0)
        rc = run_with(ledger, SQL_FAILED_DRIVES, &values[0], 1, &drives);
    if (rc == 0)
        rc = run_with(ledger, SQL_FAILED_CARTRIDGES, pair, 2, &cartridges);
    if (rc != 0)
        return rc;
    *out_drives = (unsigned) drives;
    *out_cartridges = (unsigned) cartridges;
    return 0;
}

int
ledger_worked(struct ledger *ledger, const struct motion *motion,
              unsigned drive)
{
    ledger->drives[drive].good = motion->id;
    ledger->drives[drive].dirty = true;
    return run_with(ledger, SQL_FORGET_FAILURES, &motion->cartridge, 1, NULL);
}

/* --- life ---------------------------- */

static int
check_version(struct ledger *ledger, const char *path, char *out_text,
              size_t text_max)
{
    char version[16] = "";
    sqlite3_stmt *s;
    int rc = sqlite3_prepare_v2(
        ledger->db, "SELECT value FROM ledger WHERE name = 'version'", -1, &s,
        NULL);

    if (rc != SQLITE_OK)
        return failed(ledger, rc);
    if (sqlite3_step(s) == SQLITE_ROW)
        column_text(s, 0, version, sizeof version);
    sqlite3_finalize(s);
    if (strcmp(version, LEDGER_VERSION) == 0)
        return 0;
    snprintf(out_text, text_max,
             "%.200s: is a ledger of version %.15s; this program "
             "knows " LEDGER_VERSION,
             path, version);
    return -EINVAL;
}

int
ledger_open(const char *path, unsigned drives, struct ledger **out_ledger,
            char *out_text, size_t text_max)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    int rc;

    if (ledger == NULL ||
        (ledger->drives = calloc(drives + 1, sizeof *ledger->drives)) == NULL) {
        free(ledger);
        snprintf(out_text, text_max, "out of memory");
        return -ENOMEM;
    }
    ledger->drive_count = drives;
    out_text[0] = '\0';
    rc = sqlite3_open_v2(
        path, &ledger->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(ledger->db, schema, NULL, NULL, NULL);
    rc = rc != SQLITE_OK ? failed(ledger, rc)
                         : check_version(ledger, path, out_text, text_max);
    if (rc == 0)
        rc = load(ledger);
    if (rc != 0) {
        if (out_text[0] == '\0')
            snprintf(out_text, text_max, "%.200s: %.200s", path, ledger->error);
        ledger_close(ledger);
        return rc;
    }
    *out_ledger = ledger;
    return 0;
}

void
ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(ledger->statements[i]);
    sqlite3_close(ledger->db);
    for (size_t i = 0; i < ledger->count; i++)
        free(ledger->cartridges[i]);
    free(ledger->cartridges);
    free(ledger->forgotten);
    free(ledger->drives);
    free(ledger);
}

const char *
ledger_error(const struct ledger *ledger)
{
    return ledger->error;
}
