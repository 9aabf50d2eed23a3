/*
 * Films, sealed partial films, rounds, terms and forks (docs/PROTOCOL.md §3, §5, §6;
 * FrameParticipant+Rounds, +Root, +Commit, +Film, +Membership).
 *
 * Who renders what is left open here: any node may render any unit that it does not hold a result
 * of, drop a partial film, suspect its root, and hear of a term, at any moment. A message that can
 * be lost is one that nobody needs to act on; sums arrive late, never, or more than once, in any
 * order. So everything that the claims, timers and gossip of the code can do is among the runs.
 *
 * Report, plan and delivery of a sealed partial film are one step: it is read-only, a plan names
 * only what was reported in the same round, and whatever goes wrong in between (a message lost,
 * the partial dropped, a stream broken) means that it is not delivered. With SEPARATE_STEPS they
 * are three steps, and everything else may happen in between.
 *
 * Bounds: UNITS, TERMS (numbers of terms), ROUNDS (in each term), SUMS (commits in a run), FAULTS
 * (restarts), SLOTS (partial films of a node). LATE_FILMS: a whole film may be on its way for as
 * long as it likes. Spin takes a line's end for a semicolon, so operators end a line.
 */

#ifndef TERMS
#define TERMS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef SUMS
#define SUMS 2
#endif
#ifndef FAULTS
#define FAULTS 0
#endif
#ifndef SLOTS
#define SLOTS 1
#endif

#define NODES 3
#define EACH_NODE(OPTION) OPTION(0) OPTION(1) OPTION(2)
#if SLOTS == 1
#define EACH_SLOT(OPTION) OPTION(0)
#define EACH_SEAL(OPTION) OPTION(0, 0) OPTION(1, 0) OPTION(2, 0)
#else
#define EACH_SLOT(OPTION) OPTION(0) OPTION(1)
#define EACH_SEAL(OPTION) OPTION(0, 0) OPTION(0, 1) OPTION(1, 0) OPTION(1, 1) \
    OPTION(2, 0) OPTION(2, 1)
#endif
#if SUMS == 2
#define EACH_SUM(OPTION) OPTION(0) OPTION(1)
#else
#define EACH_SUM(OPTION) OPTION(0) OPTION(1) OPTION(2)
#endif

#include "units.pml"

/* Places. A partial film that no root has a name of is as good as open. */
#define FILM(n) (1 << (n))
#define SEAL(n, s) (1 << (3 + 2 * (n) + (s)))
#define SEALS(n) (3 << (3 + 2 * (n)))
#define BUFFER(n) (1 << (9 + (n)))
#define SUM(k) (1 << (12 + (k)))
/* A whole film on its way to somebody. */
#define FETCHED (1 << 15)
/* Only in planted bugs, but for PLANNED while a plan is made. */
#define PLANNED(n) (1 << (16 + (n)))
#define LEDGER_OF(k) (1 << (19 + (k)))
#define KNOWN(n) (1 << (22 + (n)))

/* A term is number * 8 + identity of its root; an identity is (node, boot number). Zero: none. */
byte term[NODES] = 8;
bit boot[NODES];
/* Of a root: */
byte round[NODES];
#define IDLE 0
#define REPORTING 1
#define GATHERING 2
byte phase[NODES];
#ifdef SEPARATE_STEPS
/* One bit for each sealed partial film: reported, then planned and not yet delivered. */
byte named[NODES];
#endif
/* Sums that were sent, and their rounds: term * 4 + round. */
byte sums, faults;
byte sumRound[SUMS];

#define IDENTITY(n) (2 * (n) + boot[n])
#define IS_ROOT(n) (term[n] != 0 && (term[n] & 7) == IDENTITY(n))
#define SEAL_BIT(n, s) (1 << (2 * (n) + (s)))
#define SEAL_BITS(n) (3 << (2 * (n)))

#include "rounds-bugs.pml"

#define IS_HIGHER(a, b) (NAME_OF(a) > NAME_OF(b))

hidden byte i, k, before;

/* The promises about films, checked wherever one changes. */
inline checkFilm(n, unitsBefore) {
    /* A film's value is the sum over its coverage, each unit once. */
    assert((ALL_WRONG & FILM(n)) == 0);
    /* What a node has is only added to, or replaced by a film of at least as many units. */
    assert(COUNT(FILM(n)) >= unitsBefore)
}

#ifdef SEPARATE_STEPS
#define FORGET_NAMES(n) named[n] = 0;
#define FORGET_NAME(n, s) named[0] = named[0] & ~SEAL_BIT(n, s); \
    named[1] = named[1] & ~SEAL_BIT(n, s); named[2] = named[2] & ~SEAL_BIT(n, s);
#define IS_NAMED(n, s) (((named[0] | named[1] | named[2]) & SEAL_BIT(n, s)) != 0)
#else
#define FORGET_NAMES(n)
#define FORGET_NAME(n, s)
#define IS_NAMED(n, s) false
#endif

/* Ends what a root does: it steps down, or is done with a round. */
inline endRound(n) {
    phase[n] = IDLE;
    FORGET_NAMES(n)
    clear(BUFFER(n) | PLANNED(n))
}

/* A partial film goes; no plan finds it any more. */
inline dropSeal(n, s) {
    clear(SEAL(n, s));
    FORGET_NAME(n, s)
}

/* A root holds no partial film that overlaps its film. */
inline dropCommitted(n) {
    if :: OVERLAP(SEAL(n, 0), FILM(n)) -> dropSeal(n, 0) :: else fi;
    if :: OVERLAP(SEAL(n, 1), FILM(n)) -> dropSeal(n, 1) :: else fi
}

/* Seal numbers matter only in that no two are the same: the larger film comes first. */
#if SLOTS == 2 && !defined(SEPARATE_STEPS)
#define SETTLE_UNIT_OF_SEALS(n, place) \
    if :: ((place & SEALS(n)) + SEAL(n, 0)) & SEAL(n, 1) -> place = place ^ SEALS(n) :: else fi;
inline settleSeals(n) {
    if
    :: COUNT(SEAL(n, 0)) < COUNT(SEAL(n, 1)) ->
        u = 0;
        do
        :: u < UNITS ->
            SETTLE_UNIT_OF_SEALS(n, column[u])
            SETTLE_UNIT_OF_SEALS(n, wrong[u])
            u++
        :: else -> break
        od;
        u = 0
    :: else
    fi
}
inline settle() { settleSeals(0); settleSeals(1); settleSeals(2); settleUnits() }
#else
inline settle() { settleUnits() }
#endif

/* Obeys a higher term; a root steps down and keeps film and partial films. */
inline learn(n, t) {
    if
    :: IS_HIGHER(t, term[n]) -> term[n] = t; round[n] = 0; endRound(n)
    :: else
    fi
}

/* ---- Partial films ---- */

/* Renders a unit into a partial film that no root knows of. */
#define RENDER_UNIT(unit, s) \
    :: d_step { \
        term[_pid] != 0 && !HAS(unit, SEALS(_pid)) && !IS_NAMED(_pid, s) && \
            !(IS_ROOT(_pid) && HAS(unit, FILM(_pid))) -> \
        column[unit] = column[unit] | SEAL(_pid, s); \
        settle() \
    }
#define RENDER_0(unit) RENDER_UNIT(unit, 0)
#define RENDER_1(unit) RENDER_UNIT(unit, 1)
#if SLOTS == 1
#define RENDER RENDER_0
#else
#define RENDER(unit) RENDER_0(unit) RENDER_1(unit)
#endif

/* Drops what overlaps a ledger that it has heard of. */
#define DROP(s) \
    :: d_step { !IS_EMPTY(SEAL(_pid, s)) -> dropSeal(_pid, s); settle() }

/* ---- Terms ---- */

#define LEARN(other) \
    :: d_step { \
        other != _pid && IS_HIGHER(term[other], term[_pid]) -> \
        learn(_pid, term[other]); \
        settle() \
    }

/* ---- Rounds ---- */

/* Whether a node hears the start of a root and obeys it. */
#define OBEYS(n, root) \
    (n == root || (!IS_HIGHER(term[n], term[root]) && \
        !(IS_ROOT(n) && !IS_HIGHER(term[root], term[n]))))
#define OBEY(n, root) \
    if :: n != root -> learn(n, term[root]); term[n] = term[root] :: else fi;

/* The data of a partial film reaches the root's buffer, through whatever parents. */
#define ADD_TO_BUFFER(n, s) \
    add(SEAL(n, s), BUFFER(_pid)); \
    PASS_THROUGH(n, s, 0) PASS_THROUGH(n, s, 1) PASS_THROUGH(n, s, 2)

#ifdef SEPARATE_STEPS

/* Hears a start, and reports a partial film. */
#define REPORT(n, s) \
    :: d_step { \
        IS_ROOT(_pid) && phase[_pid] == REPORTING && !IS_EMPTY(SEAL(n, s)) && \
            (named[_pid] & SEAL_BIT(n, s)) == 0 && OBEYS(n, _pid) -> \
        OBEY(n, _pid) \
        if \
        :: OVERLAP(SEAL(n, s), FILM(_pid)) -> dropSeal(n, s) \
        :: else -> named[_pid] = named[_pid] | SEAL_BIT(n, s) \
        fi; \
        settle() \
    }

/* Plans all that was reported and is disjoint, but for what one node reported. */
#define PLAN_SEAL(n, s) \
    if \
    :: (named[_pid] & SEAL_BIT(n, s)) != 0 -> \
        if \
        :: !OVERLAP(SEAL(n, s), FILM(_pid) | PLANNED(_pid)) -> add(SEAL(n, s), PLANNED(_pid)) \
        :: else -> named[_pid] = named[_pid] & ~SEAL_BIT(n, s) \
        fi \
    :: else \
    fi;
#define PLAN(leftOut) \
    :: d_step { \
        IS_ROOT(_pid) && phase[_pid] == REPORTING && named[_pid] != 0 && \
            (leftOut == _pid || (named[_pid] & SEAL_BITS(leftOut)) != 0) -> \
        if :: leftOut != _pid -> named[_pid] = named[_pid] & ~SEAL_BITS(leftOut) :: else fi; \
        EACH_SEAL(PLAN_SEAL) \
        clear(PLANNED(_pid)); \
        if :: named[_pid] != 0 -> phase[_pid] = GATHERING :: else -> phase[_pid] = IDLE fi; \
        settle() \
    }

#define DELIVER(n, s) \
    :: d_step { \
        IS_ROOT(_pid) && phase[_pid] == GATHERING && \
            (named[_pid] & SEAL_BIT(n, s)) != 0 && MAY_ADD(SEAL(n, s), BUFFER(_pid)) -> \
        ADD_TO_BUFFER(n, s) \
        named[_pid] = named[_pid] & ~SEAL_BIT(n, s); \
        settle() \
    }

#else

#define REPORT(n, s)
#define PLAN(leftOut)
#define DELIVER(n, s) \
    :: d_step { \
        IS_ROOT(_pid) && phase[_pid] != IDLE && !IS_EMPTY(SEAL(n, s)) && \
            OBEYS(n, _pid) && MAY_ADD(SEAL(n, s), BUFFER(_pid) | FILM(_pid)) -> \
        OBEY(n, _pid) \
        phase[_pid] = GATHERING; \
        ADD_TO_BUFFER(n, s) \
        settle() \
    }

#endif

/* The root adds the buffer to its film in one step and sends the sum. */
inline commit(n) {
    BELIEVE_PLAN(n)
    before = COUNT(FILM(n));
    add(BUFFER(n), FILM(n));
    checkFilm(n, before);
    k = 0;
    do
    :: k < sums ->
        /* One commit at most for each (term, round). */
        assert(NAME_OF_ROUND(sumRound[k]) != NAME_OF_ROUND(term[n] * 4 + round[n]));
        k++
    :: else -> break
    od;
    sumRound[sums] = term[n] * 4 + round[n];
    add(BUFFER(n), SUM(sums));
    NOTE_LEDGER(sums)
    sums++;
    endRound(n);
    dropCommitted(n)
}

/* A sum arrives, whatever its term; a root adds none. */
#define RECEIVE_SUM(k) \
    :: d_step { \
        k < sums && ((sumRound[k] >> 2) & 7) != IDENTITY(_pid) && \
            !(IS_ROOT(_pid) && !IS_HIGHER(sumRound[k] >> 2, term[_pid])) && \
            MAY_ADD_SUM(_pid, k) -> \
        learn(_pid, sumRound[k] >> 2); \
        before = COUNT(FILM(_pid)); \
        ADD_SUM(_pid, k) \
        checkFilm(_pid, before); \
        settle() \
    }

/* ---- Whole films ---- */

/* A node keeps its film unless the other is as large; a root unless it is larger, and while it
 * gathers, complete. */
#define MAY_REPLACE(n, other) \
    (COUNT(other) >= COUNT(FILM(n)) && \
        (!IS_ROOT(n) || (COUNT(other) > COUNT(FILM(n)) && \
            (phase[n] != GATHERING || IS_COMPLETE(other)))))

inline adopt(n, other) {
    before = COUNT(FILM(n));
    replace(other, FILM(n));
    MISNAME(n)
    checkFilm(n, before);
    if :: IS_ROOT(n) -> endRound(n); dropCommitted(n) :: else fi
}

#ifdef LATE_FILMS
#define FETCH(holder) \
    :: d_step { \
        holder == _pid && !IS_EMPTY(FILM(_pid)) && IS_EMPTY(FETCHED) -> \
        add(FILM(_pid), FETCHED); \
        settle() \
    }
#define RECEIVE_FILM \
    :: d_step { \
        !IS_EMPTY(FETCHED) && MAY_REPLACE(_pid, FETCHED) -> \
        adopt(_pid, FETCHED); \
        clear(FETCHED); \
        settle() \
    }
#else
#define FETCH(holder) \
    :: d_step { \
        holder != _pid && !IS_EMPTY(FILM(holder)) && MAY_REPLACE(_pid, FILM(holder)) -> \
        adopt(_pid, FILM(holder)); \
        settle() \
    }
#define RECEIVE_FILM
#endif

active [NODES] proctype node() {
    do
    EACH_UNIT(RENDER)
    EACH_SLOT(DROP)
    EACH_NODE(LEARN)

    /* Takes over with its own film as the ledger. */
    :: d_step {
        term[_pid] != 0 && !IS_ROOT(_pid) && (term[_pid] >> 3) < TERMS ->
        term[_pid] = ((term[_pid] >> 3) + 1) * 8 + IDENTITY(_pid);
        round[_pid] = 0;
        BELIEVE_LEDGER(_pid)
        dropCommitted(_pid);
        settle()
    }

    /* The root's rounds; one can be abandoned at any time. */
    :: d_step {
        IS_ROOT(_pid) && phase[_pid] == IDLE && round[_pid] < ROUNDS && sums < SUMS ->
        round[_pid]++;
        phase[_pid] = REPORTING
    }
    EACH_SEAL(REPORT)
    EACH_NODE(PLAN)
    EACH_SEAL(DELIVER)
    EACH_SEAL(PLAN_ONLY)
    :: d_step {
        IS_ROOT(_pid) && phase[_pid] == GATHERING && sums < SUMS && !IS_EMPTY(BUFFER(_pid)) &&
            MAY_ADD(BUFFER(_pid), FILM(_pid)) ->
        commit(_pid);
        settle()
    }
    :: d_step { phase[_pid] != IDLE -> endRound(_pid); settle() }

    EACH_SUM(RECEIVE_SUM)
    EACH_SUM(HEAR_LEDGER)
    EACH_NODE(FETCH)
    RECEIVE_FILM

    /* Restarts with nothing, as another participant. */
    :: d_step {
        faults < FAULTS && boot[_pid] == 0 ->
        faults++;
        endRound(_pid);
        dropSeal(_pid, 0);
        dropSeal(_pid, 1);
        clear(FILM(_pid) | KNOWN(_pid));
        boot[_pid] = 1;
        term[_pid] = 0;
        round[_pid] = 0;
        settle()
    }
    od
}
