/*
 * volume.pml - a volume with an unflushed log, a drive, two media, a person
 *
 * What src/fs, src/class and src/vscsi do between them, at the grain of one
 * command: any step of anybody may come between two steps of anybody else.
 * A medium has one block; its content is the number of the write that made it,
 * so "newer" is "larger".  The drive has a volatile cache, and a hand may take
 * the medium out or put another in between any two steps.
 *
 * Checked: P1 (no write reaches the other medium; no flush or read is believed
 * of it), P2 and P8 (what was acknowledged is there once the volume is back;
 * what was flushed is on the medium always), and that nobody waits for ever
 * once the right medium is in (an invalid end state), while the other volume's
 * requests are never held up (P4).
 *
 * ACTS (of the hand), WRITES, FLUSHES, CRASHES bound the run; OTHER adds the
 * other volume.  MUTANT n leaves out one precaution: the run must then fail
 * (tests/model/run does both).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ACTS
#define ACTS 3
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FLUSHES
#define FLUSHES 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define A     0 /* the volume's medium */
#define B     1 /* another */
#define EMPTY 2

/* --- the drive ------------------------------------------------------------- */

byte inside = A;
bool changed;           /* a unit attention waits to be told */
byte attention;         /* how many were told */
byte disk[2];           /* what each medium holds */
byte cache;             /* volatile; 0: nothing */

/* --- the class driver -------------------------------------------------------- */

byte count;             /* media change count */
byte known_attention;   /* what it stamps commands with */
bool must_verify;       /* DO_VERIFY_VOLUME */

/* --- the file system ----------------------------------------------------------- */

mtype = { MOUNTED, SETTLING, ABSENT };
mtype state = MOUNTED;
byte verified_count;    /* under which the volume was verified */
byte generation;
byte log;               /* the newest write that is not flushed; 0: none */
byte log_epoch, epoch = 1;
bool wanted;            /* somebody waits for the worker */
bool asked;             /* the prompt is open */
bool cancelled;
bool mount_mutex;
byte life;              /* of the service: moves when it is killed */

/* --- what the clients were told ------------------------------------------------- */

byte acknowledged;
byte flushed;

mtype = { OK, NOT_READY, CHANGED, STALE };

/* A killed service does nothing more. */
#define ALIVE (mine == life)

#define CONTENT (cache != 0 -> cache : disk[inside])

/* P8: what a flush promised is on the medium, at every moment. */
inline write_out() {
    if
    :: cache != 0 -> disk[inside] = cache; cache = 0
    :: else
    fi;
    assert(disk[A] >= flushed && disk[B] == 0)
}

/* A command, decided with attention number `stamp`, begins: may it be done? */
inline begin_command(stamp, answer) {
    if
    :: inside == EMPTY -> answer = NOT_READY
    :: inside != EMPTY && changed ->
        changed = false;
        attention++;
        /* the class driver, in this order */
        must_verify = true;
        count++;
        known_attention = attention;
        wanted = true;          /* the arrival is told: who wants to look? */
        answer = CHANGED
    :: inside != EMPTY && !changed && MUTANT != 1 && stamp != attention ->
        answer = STALE
    :: else -> answer = OK
    fi
}

/* --- a hand --------------------------------------------------------------------- */

proctype hand() {
    byte acts = 0;

    do
    :: acts < ACTS ->
        atomic {
            acts++;
            if
            :: inside != EMPTY -> inside = EMPTY; cache = 0
            :: inside == EMPTY -> inside = A; changed = true
            :: inside == EMPTY -> inside = B; changed = true
            fi
        }
    :: acts == ACTS -> break
    od;
    /* In the end the right medium is in the drive. */
    atomic {
        if
        :: inside != A -> inside = A; cache = 0; changed = true
        :: else
        fi
    }
}

/* --- who asks the drive from time to time, and may take the attention ---------- */

proctype poller() {
    byte stamp;
    mtype answer;

end:
    do
    :: atomic {
        (changed || inside == EMPTY) ->
        stamp = known_attention;
        begin_command(stamp, answer);
        if
        :: state == MOUNTED && answer == NOT_READY ->
            state = ABSENT; generation++
        :: else
        fi;
        if
        :: answer == NOT_READY -> (inside != EMPTY) /* until the next event */
        :: else
        fi }
    od
}

/* --- the writer ------------------------------------------------------------------ */

/* Waits until the volume is there; fails when the question was cancelled. */
inline wait_for_volume(key, born, failed) {
    failed = false;
    do
    :: atomic { state == MOUNTED && !must_verify ->
        key = verified_count; born = generation; break }
    :: atomic { state == MOUNTED && must_verify -> wanted = true };
        !wanted                                 /* the worker took it */
    :: state == SETTLING -> (state != SETTLING)
    :: atomic { state == ABSENT && !asked && !cancelled -> asked = true }
    :: atomic { state == ABSENT && cancelled ->
        cancelled = false; asked = false; failed = true; break }
    :: state == ABSENT && asked && !cancelled ->
        (state != ABSENT || cancelled)
    od
}

proctype writer() {
    byte next = 1, key, born, stamp;
    mtype answer;
    bool failed;

    do
    :: next <= WRITES ->
again:
        wait_for_volume(key, born, failed);
        if
        :: failed -> next++; goto next_one
        :: else
        fi;
        stamp = known_attention;
        if
        :: MUTANT != 2 && key != count ->
            wanted = true;
            goto again
        :: else
        fi;
        atomic {
            begin_command(stamp, answer);
            if
            :: answer == OK ->
                assert(inside == A);            /* P1 */
                cache = next
            :: answer == NOT_READY ->
                if
                :: generation == born && state == MOUNTED ->
                    state = ABSENT; generation++
                :: else
                fi
            :: else -> wanted = true
            fi
        };
        if
        :: answer != OK -> goto again
        :: else
        fi;
        /* The completion routine. */
        atomic {
            if
            :: MUTANT == 3 ||
               (state == MOUNTED && generation == born && !must_verify) ->
                if
                :: MUTANT != 4 -> log = next; log_epoch = epoch
                :: else
                fi;
                acknowledged = next;
                next++
            :: else -> skip                     /* sent again */
            fi
        };
next_one: skip
    :: next > WRITES -> break
    od
}

/* --- the flusher -------------------------------------------------------------------- */

proctype flusher() {
    byte n = 0, key, born, stamp, promise, sealed;
    mtype answer;

    do
    :: n < FLUSHES ->
        atomic {
            state == MOUNTED && !must_verify;
            key = verified_count; born = generation;
            promise = acknowledged;
            sealed = epoch; epoch++
        };
        stamp = known_attention;
        if
        :: MUTANT != 5 && key != count -> skip
        :: else ->
            atomic {
                begin_command(stamp, answer);
                if
                :: answer == OK -> write_out()
                :: else
                fi
            };
            atomic {
                if
                :: answer == OK && (MUTANT == 5 || (state == MOUNTED &&
                       generation == born && !must_verify)) ->
                    flushed = (promise > flushed -> promise : flushed);
                    assert(disk[A] >= flushed);         /* P8 */
                    if
                    :: MUTANT == 6 || log_epoch <= sealed -> log = 0
                    :: else
                    fi
                :: else
                fi
            }
        fi;
        n++
    :: n == FLUSHES -> break
    od
}

/* --- a reader: what it sees is what was acknowledged -------------------------------- */

proctype reader() {
    byte key, stamp, before;
    mtype answer;

end:
    do
    :: atomic { state == MOUNTED && !must_verify && acknowledged > 0 ->
        key = verified_count; before = acknowledged };
        stamp = known_attention;
        if
        :: key != count -> break
        :: else ->
            atomic {
                begin_command(stamp, answer);
                if
                :: answer == OK ->
                    assert(inside == A);                /* P1 */
                    assert(CONTENT >= before)           /* P2 */
                :: else
                fi
            };
            break
        fi
    od
}

/* --- the volume's worker: verify, replay, settle ------------------------------------ */

proctype worker() {
    byte stamp, seen, replayed, born, mine;
    mtype answer;

end:
    do
    :: atomic { wanted ->
        wanted = false;
        if
        :: state == MOUNTED && !must_verify -> goto none
        :: else -> state = SETTLING; generation++;
            born = generation; mine = life
        fi };
        /* Is a medium there, and which change was the last? */
        atomic { stamp = known_attention; begin_command(stamp, answer) };
        atomic { stamp = known_attention; begin_command(stamp, answer);
            seen = count };
        if
        :: answer != OK -> goto absent
        :: else
        fi;
        /* Its identity. */
        atomic {
            begin_command(stamp, answer);
            if
            :: answer == OK && inside == A -> skip
            :: else -> answer = NOT_READY
            fi
        };
        if
        :: answer != OK -> goto absent
        :: else
        fi;
        /* Replay, then flush. */
        replayed = log;
        if
        :: replayed != 0 && MUTANT != 7 ->
            atomic {
                if
                :: !ALIVE || seen != count -> answer = STALE
                :: else ->
                    begin_command(stamp, answer);
                    if
                    :: answer == OK ->
                        assert(inside == A);            /* P1 */
                        cache = replayed
                    :: else
                    fi
                fi
            };
            if
            :: answer != OK -> goto absent
            :: else
            fi;
            atomic {
                if
                :: ALIVE -> begin_command(stamp, answer)
                :: else -> answer = STALE
                fi;
                if
                :: answer == OK -> write_out()
                :: else
                fi
            };
            if
            :: answer != OK -> goto absent
            :: else
            fi
        :: else
        fi;
        /* Settle, under the mutex that other volumes take as well. */
        atomic { !mount_mutex -> mount_mutex = ALIVE };
        atomic {
            if
            :: !ALIVE -> goto none
            :: ALIVE && generation != born ->
                /* It was settled anew meanwhile: this is void. */
                mount_mutex = false;
                goto none
            :: else
            fi;
            log = 0;
            verified_count = seen;
            must_verify = false;
            state = MOUNTED;
            generation++;
            asked = false;
            mount_mutex = false
        };
        /* One bit cannot count. */
        atomic {
            if
            :: count != seen -> must_verify = true
            :: else
            fi
        };
        goto none;
absent:
        atomic {
            if
            :: !ALIVE || generation != born -> goto none
            :: else
            fi;
            state = ABSENT;
            generation++;
            /* An event of the drive brings us back here. */
            if
            :: inside != EMPTY && !changed && inside == A -> wanted = true
            :: else
            fi
        };
none:   skip
    od
}

/* --- a person, who may cancel ----------------------------------------------------------- */

proctype person() {
end:
    do
    :: atomic { asked && state == ABSENT && !cancelled ->
        cancelled = true;
        /* What is not flushed goes to a file, and is no longer promised. */
        if
        :: log != 0 -> log = 0; acknowledged = disk[A]
        :: else -> acknowledged = (disk[A] < acknowledged -> disk[A]
                                                          : acknowledged)
        fi;
        break }
    od
}

/* --- the other volume, in a drive of its own -------------------------------------------- */

proctype other() {
    atomic { !mount_mutex -> mount_mutex = true };
    mount_mutex = false
}

/* --- kill -9, and start again ------------------------------------------------------------- */

proctype crash() {
    byte n = 0;

    do
    :: n < CRASHES ->
        atomic {
            n++;
            life++;
            state = ABSENT;
            generation++;
            asked = false;
            mount_mutex = false;
            must_verify = false;
            wanted = true;
            log = 0;
            acknowledged = (disk[A] < acknowledged -> disk[A] : acknowledged)
        }
    :: n == CRASHES -> break
    od
}

init {
    atomic {
        run hand(); run poller(); run writer(); run flusher(); run reader();
        run worker(); run person();
#ifdef OTHER
        run other();
#endif
#if CRASHES > 0
        run crash();
#endif
    }
}
