/*
 * Who leads: silence, succession, terms, lists, dismissal, exile, return, restarts, films that go
 * down with their holders (docs/PROTOCOL.md §6; Succession, FrameParticipant+Membership).
 *
 * Four nodes, the last one ledger-only. Suspicion is free: any listed node may find its root
 * silent at any time, any start, sum or film may be lost. The steps of a round are taken apart in
 * rounds.pml; here a round is what nodes hear of it, and its outcome.
 *
 * Checked in every state: the value of films; that a root is listed and its film is its ledger;
 * that two complete films are equal; that of two roots one gives way (their terms differ). With
 * RECOVERY also: from each state in which somebody is left who knows the frame, a run without
 * further faults ends with one root at most, and the complete film at all who want it. No quorum
 * is needed: one node is enough.
 *
 * Bounds: UNITS, TERMS (numbers of terms), FAULTS (crashes and wrong dismissals). Planted bugs: see
 * README.md.
 */

#ifndef TERMS
#define TERMS 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif

#define NODES 4
#define LEDGER_ONLY 3
#define EACH_NODE(OPTION) OPTION(0) OPTION(1) OPTION(2) OPTION(3)

#include "units.pml"

#define FILM(n) (1 << (n))
#define PARTIAL(n) (16 << (n))
#define LEDGER(n) (256 << (n))
#define ALL_FILMS 15

#define BIT(n) (1 << (n))

/* A term is number * 8 + identity of its root; an identity is (node, boot number). Zero: none. */
byte term[NODES] = 8;
bit boot[NODES];
bit isUp[NODES] = 1;
#define JOINING 0
#define LISTED 1
#define EXILED 2
byte standing[NODES] = LISTED;
/* The participants of the last start, or, of a root, of the next one. */
byte list[NODES] = 15;
byte faults;
#ifdef RECOVERY
bit isOver;
#define NOT_OVER (!isOver)
#define STARTS(guard) (!isOver && isUp[_pid] && (guard)) ->
#else
#define NOT_OVER true
#define STARTS(guard) (isUp[_pid] && (guard)) ->
#endif

#define IDENTITY(n) (2 * (n) + boot[n])
#define IS_ROOT(n) (term[n] != 0 && (term[n] & 7) == IDENTITY(n))
#define ROOT_OF(n) ((term[n] & 7) >> 1)
/* Whether the root that a node obeys is gone, as gossip would say. */
#define ROOT_IS_DEAD(n) \
    (!isUp[ROOT_OF(n)] || IDENTITY(ROOT_OF(n)) != (term[n] & 7))
#define IS_DONE(n) (IS_COMPLETE(FILM(n)) && IS_COMPLETE(LEDGER(n)))

hidden byte i, k;

#if UNITS == 1
#define COUNT_BOTH(a, b) BOTH(0, a, b)
#else
#define COUNT_BOTH(a, b) (BOTH(0, a, b) + BOTH(1, a, b))
#endif

inline check() {
    assert((ALL_WRONG & ALL_FILMS) == 0);
    i = 0;
    do
    :: i < NODES ->
        if
        :: isUp[i] && IS_ROOT(i) ->
            assert(standing[i] == LISTED && (list[i] & BIT(i)) != 0);
            assert(COUNT(FILM(i)) == COUNT(LEDGER(i)) &&
                COUNT(FILM(i)) == COUNT_BOTH(FILM(i), LEDGER(i)));
            assert(!OVERLAP(PARTIAL(i), FILM(i)));
            k = 0;
            do
            :: k < i -> assert(!IS_ROOT(k) || term[k] != term[i]); k++
            :: else -> break
            od
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}
inline settle() { check(); settleUnits() }

/* The ledger is what the root's film holds: partial films that overlap it are dropped. */
inline applyLedger(n, film) {
    replace(film, LEDGER(n));
    if :: OVERLAP(PARTIAL(n), LEDGER(n)) -> clear(PARTIAL(n)) :: else fi
}

/* Hears a start of the root, which names this node or does not. */
inline hearStart(n, root) {
    term[n] = term[root];
    list[n] = list[root];
    if
    :: (list[root] & BIT(n)) != 0 -> standing[n] = LISTED
    :: (list[root] & BIT(n)) == 0 && standing[n] == LISTED -> standing[n] = EXILED
    :: else
    fi;
    applyLedger(n, FILM(root))
}

#ifdef BUG_LEDGER_ONLY_SUCCESSOR
/* The new root takes the ledger it knows for its film. */
#define BELIEVE_LEDGER(n) \
    u = 0; \
    do \
    :: u < UNITS -> \
        if \
        :: HAS(u, LEDGER(n)) && !HAS(u, FILM(n)) -> \
            column[u] = column[u] | FILM(n); \
            wrong[u] = wrong[u] | FILM(n) \
        :: else \
        fi; \
        u++ \
    :: else -> break \
    od;
#else
#define BELIEVE_LEDGER(n)
#endif

#define LIVING (isUp[0] | (isUp[1] << 1) | (isUp[2] << 2) | (isUp[3] << 3))

/* Becomes the root of a new term, with its own film as the ledger, and the last list it saw without
 * those that are gone. */
inline takeOver(n) {
    term[n] = ((term[n] >> 3) + 1) * 8 + IDENTITY(n);
    standing[n] = LISTED;
    list[n] = (list[n] | BIT(n)) & LIVING;
    BELIEVE_LEDGER(n)
    applyLedger(n, FILM(n))
}

/* Who may take over in the end, if nobody else does before. */
#ifdef BUG_ONE_SUCCESSOR
/* Only the first in the list after the root. */
#define SUCCESSORS(n) (list[n] & ~BIT(ROOT_OF(n)))
#define MAY_SUCCEED(n) \
    (standing[n] == LISTED && !IS_DONE(n) && (SUCCESSORS(n) & (BIT(n) - 1)) == 0)
#else
#define MAY_SUCCEED(n) (!IS_DONE(n) && (standing[n] != JOINING || ROOT_IS_DEAD(n)))
#endif

/* ---- The steps of a node ---- */

#define RENDER(unit) \
    :: d_step { \
        STARTS(term[_pid] != 0 && !HAS(unit, PARTIAL(_pid) | LEDGER(_pid))) \
        column[unit] = column[unit] | PARTIAL(_pid); \
        settle() \
    }

/* Gossip tells a higher term; a root steps down and keeps film and partial film. */
#define LEARN(other) \
    :: d_step { \
        STARTS(other != _pid && isUp[other] && term[other] > term[_pid]) \
        term[_pid] = term[other]; \
        settle() \
    }

#define HEAR(root) \
    :: d_step { \
        STARTS(root != _pid && isUp[root] && IS_ROOT(root) && term[root] >= term[_pid] && \
            (term[_pid] != term[root] || !IS_ROOT(_pid))) \
        hearStart(_pid, root); \
        settle() \
    }

/* A root adopts a larger film; any other node one as large. */
#define FETCH(holder) \
    :: d_step { \
        STARTS(holder != _pid && isUp[holder] && term[_pid] != 0 && !IS_EMPTY(FILM(holder)) && \
            COUNT(FILM(holder)) >= COUNT(FILM(_pid)) + IS_ROOT(_pid)) \
        replace(FILM(holder), FILM(_pid)); \
        if :: IS_ROOT(_pid) -> applyLedger(_pid, FILM(_pid)) :: else fi; \
        settle() \
    }

/* A round takes in a partial film of a participant. */
#define COMMIT(owner) \
    :: d_step { \
        STARTS(IS_ROOT(_pid) && isUp[owner] && term[owner] == term[_pid] && \
            standing[owner] == LISTED && (list[_pid] & BIT(owner)) != 0 && \
            !IS_EMPTY(PARTIAL(owner)) && !OVERLAP(PARTIAL(owner), FILM(_pid))) \
        add(PARTIAL(owner), FILM(_pid)); \
        applyLedger(_pid, FILM(_pid)); \
        settle() \
    }

/* A root takes a node off its list, rightly or not, or lists one that asks. */
#define DISMISS(other) \
    :: d_step { \
        STARTS(other != _pid && IS_ROOT(_pid) && (list[_pid] & BIT(other)) != 0 && \
            (!isUp[other] || faults < FAULTS)) \
        if :: isUp[other] -> faults++ :: else fi; \
        list[_pid] = list[_pid] & ~BIT(other); \
        settle() \
    } \
    :: d_step { \
        STARTS(other != _pid && IS_ROOT(_pid) && isUp[other] && \
            (list[_pid] & BIT(other)) == 0 && term[other] == term[_pid]) \
        list[_pid] = list[_pid] | BIT(other); \
        settle() \
    }

#ifdef RECOVERY
#include "succession-recovery.pml"
#else
#define RECOVER
#endif

active [NODES] proctype node() {
end:
    do
    EACH_UNIT(RENDER)
    EACH_NODE(LEARN)
    EACH_NODE(HEAR)
    EACH_NODE(FETCH)
    EACH_NODE(COMMIT)
    EACH_NODE(DISMISS)
    :: d_step {
        STARTS(term[_pid] != 0 && !IS_ROOT(_pid) && (term[_pid] >> 3) < TERMS &&
            MAY_SUCCEED(_pid))
        takeOver(_pid);
        settle()
    }

    /* Dies with all it has; comes back once, as another participant. */
    :: d_step {
        STARTS(faults < FAULTS)
        faults++;
        clear(FILM(_pid) | PARTIAL(_pid) | LEDGER(_pid));
        isUp[_pid] = 0;
        term[_pid] = 0;
        list[_pid] = 0;
        standing[_pid] = JOINING;
        settle()
    }
    :: d_step {
        !isUp[_pid] && boot[_pid] == 0 && NOT_OVER ->
        isUp[_pid] = 1;
        boot[_pid] = 1;
        list[0] = list[0] & ~BIT(_pid);
        list[1] = list[1] & ~BIT(_pid);
        list[2] = list[2] & ~BIT(_pid);
        list[3] = list[3] & ~BIT(_pid);
        settle()
    }
    RECOVER
    od
}
