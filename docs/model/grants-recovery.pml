/*
 * Liveness, for grants.pml: from every state that can be reached, whatever has happened, a run
 * without further faults ends with a complete ledger. One such run is tried from each state: in
 * turns, messages arrive, working devices finish what they have, a round takes place, idle nodes
 * steal and ask for late units. Devices of the nodes in `stuck` never finish anything; nodes that
 * are down stay down; at least one node has a working device.
 *
 * It is one step of the model, which asserts its result and leads to one final state, so that it
 * adds nothing to the states to search.
 */

#define CYCLES 6

/* Which nodes' devices hang: bits. */
hidden byte stuck;
hidden byte w, cycle;

#define WORKS(n) (isUp[n] && (stuck & (1 << (n))) == 0)
#define IS_IDLE(n) (isListed[n] && IS_EMPTY(DEQUE(n) | DEVICE(n) | HELPING(n)))

/* Every message of a grant arrives, or its victim's patience ends. */
inline recoverGrant(g) {
    if
    :: thief[g] != NOBODY && isUp[thief[g]] && (isOpen[g] || isOnWay[g]) ->
        receiveGrant(g);
        if
        :: isOpen[g] && answer[g] == YES -> isOpen[g] = 0; clear(LENT(g))
        :: isOpen[g] && answer[g] != YES -> takeBack(g)
        :: else
        fi
    :: else ->
        if :: isOpen[g] -> takeBack(g) :: else fi
    fi;
    isOnWay[g] = 0;
    settleGrant(g)
}

/* Working devices finish all that their node has; a stuck one takes another unit. */
inline recoverDevices(n) {
    w = 0;
    do
    :: w < UNITS ->
        if
        :: WORKS(n) ->
            if :: HAS(w, DOUBLED(n)) -> finish(n, w) :: else fi;
            if :: HAS(w, DEVICE(n)) -> finish(n, w) :: else fi;
            if
            :: HAS(w, DEQUE(n)) ->
                if
                :: HAS(w, CONTESTED(n)) -> column[w] = column[w] | KEEP_APART(n)
                :: else
                fi;
                column[w] = (column[w] & ~DEQUE(n)) | DEVICE(n);
                finish(n, w)
            :: else
            fi;
            if
            :: HAS(w, HELPING(n)) ->
                column[w] = (column[w] & ~HELPING(n)) | DEVICE(n) | KEEP_APART(n);
                finish(n, w)
            :: else
            fi
        :: isUp[n] && !WORKS(n) && HAS(w, DEQUE(n)) && IS_EMPTY(DEVICE(n)) ->
            column[w] = (column[w] & ~DEQUE(n)) | DEVICE(n)
        :: else
        fi;
        w++
    :: else -> break
    od;
    w = 0
}

/* The partial films of a node that are disjoint from the ledger are committed. */
inline recoverCommit(n) {
    if
    :: isUp[n] && isListed[n] && CAN_DELIVER(n) ->
        if
        :: !OVERLAP(PARTIAL(n), LEDGER(0)) -> add(PARTIAL(n), LEDGER(0))
        :: else
        fi;
        add(APART(n), LEDGER(0))
    :: else
    fi;
    clearCommitted(0)
}

/* A round: who is down is dismissed, the others are listed; partial films are committed; what
 * nobody has is lost, and the root's. */
inline recoverRound() {
    i = 1;
    do
    :: i < NODES ->
        isMember[i] = isUp[i];
        if :: isUp[i] -> hearStart(i) :: else fi;
        i++
    :: else -> break
    od;
    recoverCommit(0);
    recoverCommit(1);
    recoverCommit(2);
    w = 0;
    do
    :: w < UNITS ->
        if :: !HAS(w, MENTIONED) -> CLAIM(0, w) :: else fi;
        w++
    :: else -> break
    od;
    w = 0
}

#ifdef BUG_NO_DUPLICATION
#define LATE(n, unit)
#else
#define LATE(n, unit) \
    if :: n != 0 && isUp[0] -> contest(0, unit) :: else fi; \
    if :: n != 1 && isUp[1] -> contest(1, unit) :: else fi; \
    if :: n != 2 && isUp[2] -> contest(2, unit) :: else fi; \
    help(n, unit);
#endif

#define ARRIVED(n) (RENDERED(n) & ARRIVES(n))
/* The root gives nothing to a node whose data never arrives; others might, and here do not. */
#ifdef MUTE
#define STEALS(n) (WORKS(n) && n != MUTE)
#else
#define STEALS(n) WORKS(n)
#endif

/* An idle node steals one unit of another; refused everywhere, it helps with a late one. */
inline recoverWork(n) {
    w = 0;
    do
    :: w < UNITS && STEALS(n) && IS_IDLE(n) && HAS(w, DEQUE(0) | DEQUE(1) | DEQUE(2)) ->
        column[w] = column[w] & ~(DEQUE(0) | DEQUE(1) | DEQUE(2));
        CLAIM(n, w)
        w++
    :: w < UNITS && STEALS(n) && IS_IDLE(n) && !HAS(w, DEQUE(0) | DEQUE(1) | DEQUE(2)) &&
            !HAS(w, LEDGER(0) | ARRIVED(0) | ARRIVED(1) | ARRIVED(2)) ->
        LATE(n, w)
        w++
    :: else ->
        if :: w < UNITS -> w++ :: else -> break fi
    od;
    w = 0
}
inline recover(stuckNodes) {
    stuck = stuckNodes;
    cycle = 0;
    do
    :: cycle < CYCLES ->
        recoverGrant(0);
        SECOND(recoverGrant(1))
        recoverDevices(0);
        recoverDevices(1);
        recoverDevices(2);
        recoverRound();
        recoverWork(0);
        recoverWork(1);
        recoverWork(2);
        cycle++
    :: else -> break
    od;
    assert(IS_COMPLETE(LEDGER(0)))
}

/* All that is left is that it is over. */
inline conclude() {
    clear(-1);
    i = 0;
    do
    :: i < NODES ->
        isUp[i] = 0; isListed[i] = 0; isMember[i] = 0; isReclaimable[i] = 0;
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < 2 ->
        victim[i] = 0; thief[i] = 0; isOpen[i] = 0; isOnWay[i] = 0;
        yesOnWay[i] = 0; noOnWay[i] = 0; answer[i] = 0;
        i++
    :: else -> break
    od;
    i = 0;
    faults = 0;
    helps = 0;
    isOver = 1
}

#define RECOVER_WITH(stuckNodes) \
    :: d_step { \
        _pid == 0 && !isOver && ((isUp[0] && (stuckNodes & 1) == 0) || \
            (isUp[1] && (stuckNodes & 2) == 0) || (isUp[2] && (stuckNodes & 4) == 0)) -> \
        recover(stuckNodes); \
        conclude() \
    }
#ifdef MUTE
#define RECOVER RECOVER_WITH(0)
#else
/* None, the root, the root and one other, both others. */
#define RECOVER RECOVER_WITH(0) RECOVER_WITH(1) RECOVER_WITH(3) RECOVER_WITH(5) RECOVER_WITH(6)
#endif
