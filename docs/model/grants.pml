/*
 * Claims, grants, late units, dismissal and return (docs/PROTOCOL.md §4, §5 "Loss", §6 "Return";
 * GrantBook, ClaimDeque, PartialFilms, FrameParticipant+Devices, +Stealing, exile and clearCommitted).
 *
 * One root, node 0, that neither dies nor is succeeded: succession.pml has that. Pixels are left
 * out: rounds.pml has those. A round is one step for each node that hears its start, and one for
 * each partial film that is committed.
 *
 * Grants and their answers are messages that come late, more than once, or never. Who asks for
 * work and when, how much a victim gives, and which unit counts as late, is left open: any node
 * may lend any claims to any other, and the root may call any unit late, rightly or not.
 *
 * Checked in every state: what `checkInvariants` of the code says; that no node keeps two results
 * of a unit; that without faults no unit passes out of everybody's hands, until late units are
 * given out (an owner that is told of a helper leaves the unit to it, and the helper may not have
 * heard: then the count of losses finds it). With RECOVERY also: from each state, a run without
 * further faults, in which some nodes' devices may be stuck for good, ends with a complete ledger.
 *
 * Bounds: UNITS, GRANTS (at a time), FAULTS (crashes, dismissals, wrong verdicts of loss), HELPS
 * (late units given out). Planted bugs: see README.md.
 */

#ifndef GRANTS
#define GRANTS 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef HELPS
#define HELPS 1
#endif

#define NODES 3
#define EACH_NODE(OPTION) OPTION(0) OPTION(1) OPTION(2)
#if GRANTS == 1
#define EACH_GRANT(OPTION) OPTION(0)
#define SECOND(step)
#else
#define EACH_GRANT(OPTION) OPTION(0) OPTION(1)
#define SECOND(step) step;
#endif

#define WITHOUT_VALUES
/* At first all units are claims of the originator. */
#define AT_FIRST 1
#include "units.pml"

/* Places of a node: claims not begun, units on a device, the same on a second device, results to
 * be kept apart, late units of others, units that others render too; the open or sealed partial
 * film, partial films of one unit each; the ledger as far as it is known. */
#define DEQUE(n) (1 << (n))
#define DEVICE(n) (8 << (n))
#define DOUBLED(n) (64 << (n))
#define KEEP_APART(n) (512 << (n))
#define HELPING(n) (4096 << (n))
#define CONTESTED(n) (32768 << (n))
#define PARTIAL(n) (262144 << (n))
#define APART(n) (2097152 << (n))
#define LEDGER(n) (16777216 << (n))
/* Places of a grant: what its victim still claims, what the message says. */
#define LENT(g) (134217728 << (g))
#define SENT(g) (536870912 << (g))

#define ON_DEVICE(n) (DEVICE(n) | DOUBLED(n))
#define RENDERED(n) (PARTIAL(n) | APART(n))
#define CLAIMED(n) (DEQUE(n) | ON_DEVICE(n) | HELPING(n))
#define HELD(n) (CLAIMED(n) | RENDERED(n))
#define ALL_HELD (HELD(0) | HELD(1) | HELD(2) | LENT(0) | LENT(1) | LEDGER(0))
/* What a node has lent, all grants together. */
#define LENT_BY(n) ((victim[0] == n -> LENT(0) : 0) | (victim[1] == n -> LENT(1) : 0))

bit isUp[NODES] = 1;
/* What a node takes itself for, and what the root takes it for. */
bit isListed[NODES] = 1;
bit isMember[NODES] = 1;
/* Whether the units of the partial film return to the claims when it is dropped. */
bit isReclaimable[NODES];

/* A grant: its parties, whether it is open at its victim, whether copies of it and of its answers
 * are on their way, and the answer that the thief remembers. */
#define NOBODY 3
byte victim[2] = NOBODY;
byte thief[2] = NOBODY;
bit isOpen[2];
bit isOnWay[2];
bit yesOnWay[2];
bit noOnWay[2];
#define NONE 0
#define YES 1
#define NO 2
byte answer[2];

byte faults, helps;
#ifdef RECOVERY
bit isOver;
#endif

hidden byte i, heldBefore;
hidden byte isApart;

/* ---- What holds in every state ---- */

inline check() {
    i = 0;
    do
    :: i < NODES ->
        /* Rendered, and still claimed. */
        assert(!OVERLAP(RENDERED(i), DEQUE(i)));
        /* Held, and lent. */
        assert(!OVERLAP(DEQUE(i), LENT_BY(i)));
        /* Two results of one unit. */
        assert(!OVERLAP(PARTIAL(i), APART(i)));
        /* Who is not listed has no claims and has lent nothing. */
        assert(isListed[i] || (IS_EMPTY(DEQUE(i)) && IS_EMPTY(LENT_BY(i))));
        i++
    :: else -> break
    od;
    i = 0
}

/* Forgets of a grant what can make no difference any more. */
inline settleGrant(g) {
    if
    :: IS_EMPTY(LENT(g)) -> isOpen[g] = 0
    :: else
    fi;
    if
    :: !isOpen[g] -> victim[g] = NOBODY; yesOnWay[g] = 0; noOnWay[g] = 0
    :: else
    fi;
    if
    :: !isOpen[g] && !isOnWay[g] -> thief[g] = NOBODY; answer[g] = NONE; clear(SENT(g))
    :: else
    fi
}

/* Ends every step. Without faults and late units, what is held stays held. */
inline settle() {
    settleGrant(0);
    SECOND(settleGrant(1))
    if :: IS_EMPTY(PARTIAL(0)) -> isReclaimable[0] = 0 :: else fi;
    if :: IS_EMPTY(PARTIAL(1)) -> isReclaimable[1] = 0 :: else fi;
    if :: IS_EMPTY(PARTIAL(2)) -> isReclaimable[2] = 0 :: else fi;
    check();
    if
    :: faults == 0 && helps == 0 -> assert(COUNT(ALL_HELD) >= heldBefore)
    :: else
    fi;
    settleUnits()
}
#define BEGIN heldBefore = COUNT(ALL_HELD);

#include "grants-rules.pml"

/* ---- The steps of a node ---- */

#ifdef RECOVERY
#define STARTS(guard) (!isOver && (guard)) -> BEGIN
#else
#define STARTS(guard) (guard) -> BEGIN
#endif

#define TAKE(unit) \
    :: d_step { \
        STARTS(HAS(unit, DEQUE(_pid)) && IS_EMPTY(DEVICE(_pid))) \
        if \
        :: HAS(unit, CONTESTED(_pid)) -> column[unit] = column[unit] | KEEP_APART(_pid) \
        :: else \
        fi; \
        column[unit] = (column[unit] & ~DEQUE(_pid)) | DEVICE(_pid); \
        settle() \
    } \
    :: d_step { \
        STARTS(HAS(unit, HELPING(_pid)) && IS_EMPTY(DEQUE(_pid) | DEVICE(_pid))) \
        column[unit] = (column[unit] & ~HELPING(_pid)) | DEVICE(_pid) | KEEP_APART(_pid); \
        settle() \
    } \
    /* Another idle device of this node tries a unit that seems stuck. */ \
    :: d_step { \
        STARTS(HAS(unit, DEVICE(_pid)) && !HAS(unit, DOUBLED(_pid) | LEDGER(_pid)) && \
            IS_EMPTY(DEQUE(_pid) | HELPING(_pid))) \
        column[unit] = column[unit] | DOUBLED(_pid); \
        settle() \
    }

#define FINISH(unit) \
    :: d_step { STARTS(HAS(unit, ON_DEVICE(_pid))) finish(_pid, unit); settle() }

/* A paused device hands its unit back (`returnUnit`); one to be kept apart is given up. */
#define HAND_BACK(unit) \
    :: d_step { \
        STARTS(HAS(unit, DEVICE(_pid))) \
        isApart = HAS(unit, KEEP_APART(_pid)); \
        if \
        :: HAS(unit, DOUBLED(_pid)) -> column[unit] = column[unit] & ~DOUBLED(_pid) \
        :: else -> column[unit] = column[unit] & ~(DEVICE(_pid) | KEEP_APART(_pid)) \
        fi; \
        if :: !isApart && isListed[_pid] -> CLAIM(_pid, unit) :: else fi; \
        settle() \
    }

#define LEND(g, other, unit) \
    :: d_step { \
        STARTS(other != _pid && isListed[_pid] && HAS(unit, DEQUE(_pid)) && \
            !isOpen[g] && !isOnWay[g]) \
        column[unit] = (column[unit] & ~DEQUE(_pid)) | LENT(g) | SENT(g); \
        victim[g] = _pid; thief[g] = other; \
        isOpen[g] = 1; isOnWay[g] = 1; \
        settle() \
    }
#define LEND_ALL(g, other) \
    :: d_step { \
        STARTS(other != _pid && isListed[_pid] && COUNT(DEQUE(_pid)) > 1 && \
            !isOpen[g] && !isOnWay[g]) \
        add(DEQUE(_pid), LENT(g) | SENT(g)); \
        clear(DEQUE(_pid)); \
        victim[g] = _pid; thief[g] = other; \
        isOpen[g] = 1; isOnWay[g] = 1; \
        settle() \
    }

/* The messages of a grant, each of which comes late, again, or never. */
#define EXCHANGE(g) \
    :: d_step { \
        STARTS(isOpen[g] && victim[g] == _pid && thief[g] != NOBODY && !isOnWay[g]) \
        replace(LENT(g), SENT(g)); \
        isOnWay[g] = 1; \
        settle() \
    } \
    :: d_step { STARTS(isOnWay[g] && thief[g] == _pid) receiveGrant(g); settle() } \
    :: d_step { STARTS(isOnWay[g] && thief[g] == _pid) isOnWay[g] = 0; settle() } \
    :: d_step { \
        STARTS(isOpen[g] && victim[g] == _pid && yesOnWay[g]) \
        clear(LENT(g)); \
        settle() \
    } \
    :: d_step { \
        STARTS(isOpen[g] && victim[g] == _pid && noOnWay[g]) takeBack(g); settle() \
    } \
    :: d_step { STARTS(isOpen[g] && victim[g] == _pid) takeBack(g); settle() } \
    :: d_step { STARTS(victim[g] == _pid && yesOnWay[g]) yesOnWay[g] = 0; settle() } \
    :: d_step { STARTS(victim[g] == _pid && noOnWay[g]) noOnWay[g] = 0; settle() }

#define LEND_TO_EACH(unit) EACH_GRANT_TO(0, unit) EACH_GRANT_TO(1, unit) EACH_GRANT_TO(2, unit)
#if GRANTS == 1
#define EACH_GRANT_TO(other, unit) LEND(0, other, unit)
#define LEND_ALL_TO(other) LEND_ALL(0, other)
#else
#define EACH_GRANT_TO(other, unit) LEND(0, other, unit) LEND(1, other, unit)
#define LEND_ALL_TO(other) LEND_ALL(0, other) LEND_ALL(1, other)
#endif

/* A late unit, as the root says: this node renders it too, or leaves it to another. */
#ifdef BUG_NO_DUPLICATION
#define HELP(unit)
#else
#define HELP(unit) \
    :: d_step { \
        STARTS(helps < HELPS && isListed[_pid] && !HAS(unit, LEDGER(0))) \
        helps++; \
        help(_pid, unit); \
        settle() \
    } \
    :: d_step { \
        STARTS(helps > 0 && isListed[_pid] && \
            HAS(unit, ON_DEVICE(_pid) | LENT_BY(_pid) | DEQUE(_pid))) \
        contest(_pid, unit); \
        settle() \
    }
#endif

/* ---- The steps of the root ---- */

#ifdef BUG_SAME_SEAL_NUMBER
/* A plan that names two partial films of a node gets the first one twice: they overlap. */
#define CAN_DELIVER(n) (COUNT(APART(n)) + !IS_EMPTY(PARTIAL(n)) < 2)
#elif defined(MUTE)
/* A node that reports its partial films, and whose data never gets through. */
#define CAN_DELIVER(n) (n != MUTE)
#else
#define CAN_DELIVER(n) true
#endif

/* This node's partial films in a round of the root: report, plan, data, commit. */
#define CONTRIBUTES (isMember[_pid] && isListed[_pid] && CAN_DELIVER(_pid))
#define COMMIT(unit) \
    :: d_step { \
        STARTS(CONTRIBUTES && HAS(unit, APART(_pid)) && !HAS(unit, LEDGER(0))) \
        column[unit] = column[unit] | LEDGER(0); \
        clearCommitted(0); \
        settle() \
    }

/* After some rounds that failed because of it, a node's partial films count as unmentioned. */
#if defined(MUTE) && !defined(BUG_MUTE_MENTIONED)
#define ARRIVES(n) (n == MUTE -> CLAIMED(n) : HELD(n))
#else
#define ARRIVES(n) HELD(n)
#endif
#define IS_MENTIONED(n) (isMember[n] -> ARRIVES(n) | LENT_BY(n) : 0)
#define MENTIONED (LEDGER(0) | IS_MENTIONED(0) | IS_MENTIONED(1) | IS_MENTIONED(2))

/* The root calls a unit lost that nobody mentions; or, wrongly, one that somebody has. */
#define LOSE(unit) \
    :: d_step { \
        STARTS(_pid == 0 && !HAS(unit, MENTIONED)) CLAIM(0, unit) settle() \
    } \
    :: d_step { \
        STARTS(_pid == 0 && faults < FAULTS && HAS(unit, MENTIONED)) \
        faults++; \
        CLAIM(0, unit) \
        settle() \
    }

#ifdef RECOVERY
#include "grants-recovery.pml"
#else
#define RECOVER
#endif

active [NODES] proctype node() {
end:
    do
    EACH_UNIT(TAKE)
    EACH_UNIT(FINISH)
    EACH_UNIT(HAND_BACK)
    EACH_UNIT(LEND_TO_EACH)
    EACH_NODE(LEND_ALL_TO)
    EACH_GRANT(EXCHANGE)
    EACH_UNIT(HELP)
    EACH_UNIT(COMMIT)
    :: d_step {
        STARTS(CONTRIBUTES && !IS_EMPTY(PARTIAL(_pid)) &&
            !OVERLAP(PARTIAL(_pid), LEDGER(0)))
        add(PARTIAL(_pid), LEDGER(0));
        clearCommitted(0);
        settle()
    }
    EACH_UNIT(LOSE)

    /* Hears of what was committed, and whether it is listed. */
    :: d_step { STARTS(_pid != 0 && isUp[_pid]) hearStart(_pid); settle() }

    /* Is dismissed, rightly or not; asks for admission. */
    :: d_step {
        STARTS(_pid != 0 && isMember[_pid] && (!isUp[_pid] || faults < FAULTS))
        if :: isUp[_pid] -> faults++ :: else fi;
        dismiss(_pid);
        settle()
    }
    :: d_step { STARTS(isUp[_pid] && !isMember[_pid]) isMember[_pid] = 1; settle() }

    /* Dies; comes back as another participant. */
    :: d_step {
        STARTS(_pid != 0 && isUp[_pid] && faults < FAULTS)
        faults++;
        forgetGrants(_pid, 0);
        forgetGrants(_pid, 1);
        clear(HELD(_pid) | KEEP_APART(_pid) | CONTESTED(_pid) | LEDGER(_pid));
        isUp[_pid] = 0;
        isListed[_pid] = 0;
        settle()
    }
    :: d_step {
        STARTS(!isUp[_pid])
        dismiss(_pid);
        isUp[_pid] = 1;
        settle()
    }
    RECOVER
    od
}
