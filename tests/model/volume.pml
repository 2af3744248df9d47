/*
 * volume.pml - a volume with an unflushed log, a drive, two media, a person
 *
 * What src/fs, src/class and src/vscsi do between them, at the grain of one
 * command: any step of anybody may come between two steps of anybody else.
 * A medium has BLOCKS blocks (1 or 2), written in turn; the content of one is the
 * number of the write that made it, so "newer" is "larger".  The drive has a
 * volatile cache, and a hand may take the medium out or put another in between
 * any two steps; with two blocks, any of them may have got out of the cache
 * before.  The states are those
 * of src/fs/volume_state.c, and each change of them is looked up in its table,
 * src/fs/arrows.def, which is included here.
 *
 * Checked: P1 (no write reaches the other medium; no flush or read is believed
 * of it), P2 and P8 (what was acknowledged is there once the volume is back;
 * what was flushed is on the medium always; with the log on disk, LOGDISK, a
 * crash loses nothing acknowledged), P5 (what is in a recovery file is not
 * written any more), P6 (nothing is written to a medium that was changed
 * elsewhere before a person wants it), and that nobody waits for ever once the
 * right medium is in (an invalid end state), while the other volume's requests
 * are never held up (P4).
 *
 * ACTS (of the hand), WRITES, FLUSHES, CRASHES, ELSEWHERE (changes by another
 * machine), EJECTS, OVERDUE (verifications that take too long), TIMEOUTS (of a
 * write, in a drive that stays), DISMOUNTS bound the run; OTHER adds the other
 * volume.  MUTANT n leaves out one precaution: the run must then fail
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
#ifndef LOGDISK
#define LOGDISK 0
#endif
#ifndef ELSEWHERE
#define ELSEWHERE 0
#endif
#ifndef EJECTS
#define EJECTS 0
#endif
#ifndef OVERDUE
#define OVERDUE 0
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef DISMOUNTS
#define DISMOUNTS 0
#endif
#ifndef BLOCKS
#define BLOCKS 1
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define A     0 /* the volume's medium */
#define B     1 /* another */
#define EMPTY 2

#if BLOCKS > 1
#define EACH(inlined) inlined(0); inlined(1)
#define ALL(macro)    (macro(0) && macro(1))
#define ANY(macro)    (macro(0) || macro(1))
#else
#define EACH(inlined) inlined(0)
#define ALL(macro)    macro(0)
#define ANY(macro)    macro(0)
#endif
#define DISK(m, b) disk[(m) * BLOCKS + (b)]

/* --- the drive ------------------------------------------------------------- */

byte inside = A;
bool changed;           /* a unit attention waits to be told */
byte attention;         /* how many were told */
byte disk[2 * BLOCKS];  /* what each medium holds */
byte cache[BLOCKS];     /* volatile; 0: nothing */

/* --- the class driver -------------------------------------------------------- */

byte count;             /* media change count */
byte known_attention;   /* what it stamps commands with */
bool must_verify;       /* DO_VERIFY_VOLUME */

/* --- the file system ----------------------------------------------------------- */

mtype = { VOL_UNMOUNTED, VOL_MOUNTED, VOL_VERIFYING, VOL_EJECTING, VOL_ABSENT,
          VOL_REPLAYING, VOL_CHANGED, VOL_CANCELLED, VOL_DISMOUNTED };
mtype state = VOL_MOUNTED;
byte verified_count;    /* under which the volume was verified */
byte generation;
byte log[BLOCKS];       /* the newest write that is not flushed; 0: none */
byte log_epoch[BLOCKS], epoch = 1;
bool wanted;            /* somebody waits for the worker */
bool asked;             /* the prompt is open */
bool cancelled;         /* ... and was answered so */
bool timed_out;         /* the prompt of a write that a drive did not answer */
bool as_it_is;          /* a person takes the medium whatever was changed */
byte uses;              /* how often */
byte running;           /* requests below the volume */
byte record[BLOCKS], record_epoch[BLOCKS];  /* the log on disk; 0: nothing */
byte covered;           /* the last epoch that a flush did: to be told to it */
bool mount_mutex;
byte life;              /* of the service: moves when it is killed */
byte kept;              /* recovery files that were written, */
bool resuming;          /* resume_mutex is held: nobody gives up meanwhile */
byte in_file[BLOCKS];   /* the newest write that is in one */
bool keeping;           /* resume_mutex: of who writes one */

/* The one setter: what is no arrow of the table does not happen. */
inline move(to) {
    assert(false
#define FS_ARROW(from, into, who, when) || (state == from && to == into)
#include "../../src/fs/arrows.def"
#undef FS_ARROW
    );
    state = to
}

#define AWAY    (state == VOL_ABSENT || state == VOL_CANCELLED)
#define IN_HAND (state == VOL_VERIFYING || state == VOL_REPLAYING || \
                 state == VOL_EJECTING || state == VOL_UNMOUNTED)
#define OVER    (state == VOL_DISMOUNTED)

/* --- what the clients were told ------------------------------------------------- */

byte acknowledged[BLOCKS];
byte flushed[BLOCKS];
bool foreign;           /* another machine wrote to A since we knew it */

mtype = { OK, NOT_READY, CHANGED, STALE, TIMEOUT };

/* A killed service does nothing more. */
#define ALIVE (mine == life)

#define CONTENT(b) (cache[b] != 0 -> cache[b] : DISK(inside, b))

/* P8: what a flush promised is on the medium, at every moment. */
inline write_out_one(b) {
    if
    :: cache[b] != 0 -> DISK(inside, b) = cache[b]; cache[b] = 0
    :: else
    fi;
    assert((foreign || DISK(A, b) >= flushed[b]) && DISK(B, b) == 0)
}

inline write_out() {
    EACH(write_out_one)
}

/* The medium leaves. */
inline lose_one(b) {
#if BLOCKS > 1
    if
    :: cache[b] != 0 -> write_out_one(b)
    :: true
    fi;
#endif
    cache[b] = 0
}

/* What the medium lacks goes into a file, and is no longer promised.  What a log
 * on disk has of it is void with the next step, or else after a crash. */
inline keep_one(b) {
    in_file[b] = (log[b] > in_file[b] -> log[b] : in_file[b]);
    log[b] = 0;
    acknowledged[b] =
        (DISK(A, b) < acknowledged[b] -> DISK(A, b) : acknowledged[b])
}

inline keep() {
    kept++;
    keeping = true;
    EACH(keep_one)
}

/* A batch to the log on disk says first what a flush has covered. */
inline tell_of_one(b) {
    if
    :: MUTANT != 10 && record_epoch[b] <= covered -> record[b] = 0
    :: else
    fi
}

inline tell_of_flush() {
    EACH(tell_of_one)
}

inline void_one(b) {
    record[b] = 0
}

inline end_keep() {
    EACH(void_one);
    keeping = false
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
    byte acts = 0, elsewhere = 0;

    do
    :: acts < ACTS ->
        atomic {
            acts++;
            if
            :: inside != EMPTY -> EACH(lose_one); inside = EMPTY
            :: inside == EMPTY -> inside = A; changed = true
            :: inside == EMPTY -> inside = B; changed = true
            :: inside != A && elsewhere < ELSEWHERE ->
                elsewhere++;
                foreign = true
            fi
        }
    :: acts == ACTS -> break
    od;
    /* In the end the right medium is in the drive. */
    atomic {
        if
        :: inside == B -> EACH(lose_one); inside = A; changed = true
        :: inside == EMPTY -> inside = A; changed = true
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
        :: !AWAY && !OVER && state != VOL_UNMOUNTED && answer == NOT_READY ->
            move(VOL_ABSENT); generation++
        :: else
        fi;
        if
        :: answer == NOT_READY -> (inside != EMPTY) /* until the next event */
        :: else
        fi }
    od
}

/* --- the writer ------------------------------------------------------------------ */

/* Waits until the volume is there, and is then counted as running; fails when the
 * question was cancelled, or the volume is not what it was opened as. */
inline wait_for_volume(key, born, failed) {
    failed = false;
    do
    :: atomic { state == VOL_MOUNTED && !must_verify && used == uses ->
        key = verified_count; born = generation; running++; break }
    :: atomic { OVER || (state == VOL_MOUNTED && used != uses) ->
        failed = true; break }
    :: atomic { state == VOL_MOUNTED && must_verify -> wanted = true };
        !wanted                                 /* the worker took it */
    :: IN_HAND -> !IN_HAND
    :: atomic { state == VOL_CANCELLED -> move(VOL_ABSENT); asked = true }
    :: atomic { (state == VOL_ABSENT || state == VOL_CHANGED) && !asked &&
        !cancelled -> asked = true }
    :: atomic { (state == VOL_ABSENT || state == VOL_CANCELLED ||
        state == VOL_CHANGED) && cancelled ->
        cancelled = false; asked = false; failed = true; break }
    :: (state == VOL_ABSENT || state == VOL_CHANGED) && asked && !cancelled ->
        ((state != VOL_ABSENT && state != VOL_CHANGED) || cancelled || !asked)
    od
}

#define PLACE (next % BLOCKS)

proctype writer() {
    byte next = 1, key, born, stamp, used, timeouts, mine;
    mtype answer;
    bool failed;

    do
    :: next <= WRITES ->
again:
        wait_for_volume(key, born, failed);
        if
        :: failed && OVER -> break
        :: failed && !OVER ->
            used = uses;                        /* opened again */
            next++; goto next_one
        :: else
        fi;
        atomic { stamp = known_attention; mine = life };
        if
        :: MUTANT != 2 && key != count ->
            atomic { wanted = true; running-- };
            goto again
        :: else
        fi;
        atomic {
            if
            :: timeouts < TIMEOUTS ->
                timeouts++; timed_out = true; running--; answer = TIMEOUT
            :: mine != life -> running--; answer = STALE
            :: true ->
                begin_command(stamp, answer);
                if
                :: answer == OK ->
                    assert(inside == A);            /* P1 */
                    cache[PLACE] = next
                :: answer == NOT_READY ->
                    running--;
                    if
                    :: generation == born && state == VOL_MOUNTED ->
                        move(VOL_ABSENT); generation++
                    :: else
                    fi
                :: else -> running--; wanted = true
                fi
            fi
        };
        if
        :: answer == TIMEOUT ->
            !timed_out;     /* somebody answers, or the volume is told anew */
            goto again
        :: answer != OK && answer != TIMEOUT -> goto again
        :: else
        fi;
        /* The completion routine. */
        atomic {
            running--;
            if
            :: MUTANT == 3 || (mine == life &&
               (state == VOL_MOUNTED || state == VOL_EJECTING ||
                state == VOL_VERIFYING) && generation == born) ->
                if
                :: MUTANT != 4 -> log[PLACE] = next; log_epoch[PLACE] = epoch
                :: else
                fi;
                answer = (LOGDISK && MUTANT != 9 -> CHANGED : OK);
                if
                :: answer == OK -> acknowledged[PLACE] = next; next++
                :: else
                fi
            :: else -> answer = STALE           /* sent again */
            fi
        };
        if
        :: answer != CHANGED -> goto next_one
        :: else
        fi;
        /* Acknowledged when its record is on disk, or was not needed any more. */
        atomic {
            if
            :: mine == life ->
                tell_of_flush();
                if
                :: log[PLACE] == next ->
                    record[PLACE] = next;
                    record_epoch[PLACE] = log_epoch[PLACE]
                :: else
                fi;
                acknowledged[PLACE] =
                    (log[PLACE] == next || DISK(A, PLACE) >= next || foreign
                         -> next : acknowledged[PLACE]);
                next++
            :: else
            fi
        };
next_one: skip
    :: next > WRITES -> break
    od
}

/* --- the flusher -------------------------------------------------------------------- */

inline promise_one(b) {
    promise[b] = acknowledged[b]
}

inline covered_one(b) {
    assert(foreign || DISK(A, b) >= promise[b]);    /* P8 */
    if
    :: MUTANT == 6 || log_epoch[b] <= sealed -> log[b] = 0
    :: else
    fi
}

inline flushed_one(b) {
    flushed[b] = (promise[b] > flushed[b] && !foreign -> promise[b]
                                                      : flushed[b])
}

proctype flusher() {
    byte n = 0, key, born, stamp, sealed, mine, promise[BLOCKS];
    mtype answer;

    do
    :: n < FLUSHES ->
        do
        :: atomic {
            state == VOL_MOUNTED && !must_verify ->
            key = verified_count; born = generation; mine = life;
            EACH(promise_one); running++;
            sealed = epoch; epoch++; break }
        :: OVER -> goto end_of_flusher
        :: atomic { state == VOL_CANCELLED -> move(VOL_ABSENT); asked = true }
        :: atomic { (state == VOL_ABSENT || state == VOL_CHANGED) && !asked &&
            !cancelled -> asked = true }
        :: atomic { (AWAY || state == VOL_CHANGED) && cancelled ->
            cancelled = false; asked = false; goto end_of_flusher }
        od;
        stamp = known_attention;
        if
        :: MUTANT != 5 && key != count -> answer = STALE
        :: else ->
            atomic {
                begin_command(stamp, answer);
                if
                :: answer == OK -> write_out()
                :: else
                fi
            }
        fi;
        atomic {
            running--;
            if
            :: answer == OK && (MUTANT == 5 || (generation == born &&
                   mine == life && !must_verify)) ->
                EACH(covered_one);
                covered = sealed
            :: else -> answer = STALE
            fi
        };
        /* Told when the log on disk was. */
        atomic {
            if
            :: answer == OK && mine == life ->
                EACH(flushed_one);
                tell_of_flush()
            :: else
            fi
        };
        n++
    :: n == FLUSHES -> break
    od;
end_of_flusher: skip
}

/* --- a reader: what it sees is what was acknowledged -------------------------------- */

#define UNREAD(b) (acknowledged[b] == 0)
#define LOST(b)   (CONTENT(b) < before[b])

inline before_one(b) {
    before[b] = acknowledged[b]
}

proctype reader() {
    byte key, stamp, mine, files, before[BLOCKS];
    mtype answer;

end:
    do
    :: OVER -> break
    :: atomic { state == VOL_MOUNTED && !must_verify && !ALL(UNREAD) ->
        mine = life; files = kept;
        key = verified_count; EACH(before_one) };
        stamp = known_attention;
        if
        :: key != count -> break
        :: else ->
            atomic {
                begin_command(stamp, answer);
                if
                :: answer == OK ->
                    assert(inside == A);                /* P1 */
                    assert(foreign || uses > 0 || files != kept ||
                           (!LOGDISK && mine != life) ||
                           !ANY(LOST))                  /* P2 */
                :: else
                fi
            };
            break
        fi
    od
}

/* --- the volume's worker: verify, replay, settle ------------------------------------ */

inline replay_one(b) {
    if
    :: replayed[b] != 0 && MUTANT != 7 && answer == OK &&
       (MUTANT != 13 || b == 0) ->
        atomic {
            if
            :: !ALIVE || OVER || seen != count -> answer = STALE
            :: else ->
                begin_command(stamp, answer);
                if
                :: answer == OK ->
                    assert(inside == A);            /* P1 */
                    assert(!foreign);               /* P6 */
                    assert(replayed[b] > in_file[b]);   /* P5 */
                    cache[b] = replayed[b]
                :: else
                fi
            fi
        }
    :: else
    fi
}

inline take_one(b) {
    replayed[b] = log[b]
}

inline settle_one(b) {
    log[b] = 0;
    record[b] = 0
}

inline accept_one(b) {
    flushed[b] = 0
}

#define NOTHING(b) (replayed[b] == 0)

proctype worker() {
    byte stamp, seen, born, mine, replayed[BLOCKS];
    mtype answer;

end:
    do
    :: atomic { wanted ->
        wanted = false;
        mine = life;
        if
        :: OVER || state == VOL_EJECTING ||
           (state == VOL_MOUNTED && !must_verify) -> goto none
        :: state == VOL_MOUNTED && must_verify ->
            move(VOL_VERIFYING); born = generation
        :: else -> born = generation
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
        /* settle_in */
        atomic {
            !keeping ->
            if
            :: !ALIVE || OVER || generation != born -> goto none
            :: else
            fi;
            move(VOL_REPLAYING);
            resuming = true;
            generation++;
            born = generation
        };
        /* The witness, unless a person wants it whatever was changed. */
        atomic {
            if
            :: ALIVE && seen == count -> begin_command(stamp, answer)
            :: else -> answer = STALE
            fi;
            if
            :: answer == OK && foreign && !as_it_is && MUTANT != 8 ->
                if
                :: generation == born && !OVER -> move(VOL_CHANGED); generation++
                :: else
                fi;
                goto none
            :: else
            fi;
            EACH(take_one)
        };
        if
        :: answer != OK -> goto absent
        :: else
        fi;
        /* Replay, then flush. */
        if
        :: !ALL(NOTHING) && MUTANT != 7 ->
            EACH(replay_one);
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
#ifdef OTHER
        atomic { !mount_mutex -> mount_mutex = ALIVE };
#endif
        atomic {
            if
            :: !ALIVE -> goto none
            :: ALIVE && (generation != born || OVER) ->
                /* It was settled anew meanwhile: this is void. */
                mount_mutex = false;
                goto none
            :: else
            fi;
            EACH(settle_one);
            if
            :: as_it_is ->
                foreign = false; as_it_is = false;
                EACH(accept_one)
            :: else
            fi;
            verified_count = seen;
            must_verify = false;
            move(VOL_MOUNTED);
            generation++;
            asked = false;
            timed_out = false;
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
            :: !ALIVE || generation != born || OVER -> goto none
            :: else
            fi;
            if
            :: state == VOL_UNMOUNTED   /* nothing is known of it yet */
            :: else -> move(VOL_ABSENT)
            fi;
            generation++;
            as_it_is = false;
            /* An event of the drive brings us back here. */
            if
            :: inside != EMPTY && !changed && inside == A -> wanted = true
            :: else
            fi
        };
none:   resuming = false
    od
}

/* --- who does not wait longer than half a second -------------------------------------- */

proctype watch() {
    byte n = 0;

end:
    do
    :: atomic { n < OVERDUE &&
        (state == VOL_VERIFYING || state == VOL_REPLAYING) ->
        move(VOL_ABSENT);
        /* It stays: the verification is not void. */
        generation = (MUTANT == 12 -> generation + 1 : generation);
        n++ }
    :: n == OVERDUE -> break
    od
}

/* --- an eject, by command or by the drive's button -------------------------------------- */

inline forget_one(b) {
    if
    :: log_epoch[b] <= sealed -> log[b] = 0; record[b] = 0
    :: else
    fi
}

proctype ejector() {
    byte n = 0, key, born, stamp, sealed, mine;
    mtype answer;

end:
    do
    :: atomic { n < EJECTS && state == VOL_MOUNTED && !must_verify ->
            move(VOL_EJECTING);
            key = verified_count; born = generation; mine = life; n++ };
        (running == 0 || mine != life);
        sealed = epoch;
        stamp = known_attention;
        atomic {
            epoch++;
            if
            :: key != count || mine != life -> answer = STALE
            :: else ->
                begin_command(stamp, answer);
                if
                :: answer == OK -> write_out()
                :: else
                fi
            fi
        };
        atomic {
            if
            :: answer == OK && mine == life && generation == born ->
                EACH(forget_one)
            :: else
            fi
        };
        /* The drive opens. */
        atomic {
            if
            :: answer == OK && mine == life && inside != EMPTY ->
                EACH(lose_one); inside = EMPTY
            :: else
            fi;
            if
            :: mine != life || generation != born || OVER
            :: mine == life && generation == born && !OVER && answer == OK ->
                move(VOL_ABSENT); generation++
            :: mine == life && generation == born && !OVER && answer != OK ->
                move(VOL_MOUNTED); generation++; wanted = true
            fi
        }
    :: n == EJECTS -> break
    od;
    /* It is put back. */
    atomic {
        if
        :: EJECTS > 0 && inside == EMPTY -> inside = A; changed = true
        :: else
        fi
    }
}

#if DISMOUNTS > 0
proctype dismounter() {
    atomic { state != VOL_UNMOUNTED -> move(VOL_DISMOUNTED); generation++;
        asked = false; timed_out = false };
    atomic { keep() };
    atomic { end_keep() }
}
#endif

/* --- a person, who may cancel ----------------------------------------------------------- */

proctype person() {
    bool here = true;
    byte mine;

end:
    do
    :: here -> here = false
    :: atomic { here && asked && !cancelled && state == VOL_ABSENT && !resuming ->
        here = false;
        cancelled = true;
        mine = life;
        keep() };
        atomic {
            if
            :: ALIVE ->
                end_keep();
                if
                :: state == VOL_ABSENT -> move(VOL_CANCELLED)
                :: else
                fi
            :: else
            fi
        }
    :: atomic { here && asked && !cancelled && state == VOL_CHANGED && !resuming ->
        here = false;
        cancelled = true;
        mine = life;
        keep() };
        atomic {
            if
            :: ALIVE -> end_keep()
            :: else
            fi
        }
    /* Whatever else: a medium that was changed is used as it is. */
    :: atomic { asked && !cancelled && state == VOL_CHANGED && !as_it_is && !resuming ->
        mine = life;
        keep() };
        atomic {
            if
            :: ALIVE ->
                end_keep();
                as_it_is = true;
                uses++;
                wanted = true
            :: else
            fi
        }
    od
}

/* --- a drive that does not answer is tried again, by a timer ----------------------------- */

#if TIMEOUTS > 0
proctype again() {
end:
    do
    :: atomic { timed_out -> timed_out = false }
    od
}
#endif

/* --- the other volume, in a drive of its own -------------------------------------------- */

proctype other() {
    atomic { !mount_mutex -> mount_mutex = true };
    mount_mutex = false
}

/* --- kill -9, and start again ------------------------------------------------------------- */

inline restart_one(b) {
    /* A log that a recovery file is made of was given up. */
    record[b] = (MUTANT != 11 && record[b] <= in_file[b] -> 0 : record[b]);
    log[b] = (LOGDISK -> record[b] : 0);
    log_epoch[b] = epoch;
    record_epoch[b] = epoch
}

inline power_cut_one(b) {
    acknowledged[b] =
        (DISK(A, b) < acknowledged[b] -> DISK(A, b) : acknowledged[b])
}

#define UNLOGGED(b) (log[b] == 0)

proctype crash() {
    byte n = 0;

    do
    :: n < CRASHES ->
        atomic {
            n++;
            life++;
            state = VOL_UNMOUNTED;
            generation++;
            asked = false;
            cancelled = false;
            timed_out = false;
            as_it_is = false;
            mount_mutex = false;
            must_verify = false;
            wanted = true;
            keeping = false;
            EACH(restart_one);
            covered = 0;
            if
            :: !ALL(UNLOGGED) -> move(VOL_ABSENT)     /* known from its log */
            :: else
            fi;
            if
            :: LOGDISK
            :: else -> EACH(power_cut_one)
            fi
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
#if OVERDUE > 0
        run watch();
#endif
#if EJECTS > 0
        run ejector();
#endif
#if TIMEOUTS > 0
        run again();
#endif
#if DISMOUNTS > 0
        run dismounter();
#endif
    }
}
