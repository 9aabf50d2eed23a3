/*
 * What a participant does with claims, results and grants, for grants.pml: each rule as the code has
 * it, one input at a time.
 */

/* ---- Claims ---- */

/* Makes a unit a claim of a node, if nothing is known of it there (`addClaims`). */
#define CLAIM(n, unit) \
    if \
    :: !HAS(unit, LEDGER(n) | RENDERED(n) | LENT_BY(n) | HELPING(n) | ON_DEVICE(n)) -> \
        column[unit] = column[unit] | DEQUE(n) \
    :: else \
    fi;

/* Takes a known ledger into account (`clearCommitted`). */
inline clearCommitted(n) {
    /* The partial film goes whole; what the ledger lacks of it is claimed again. */
    if
    :: OVERLAP(PARTIAL(n), LEDGER(n)) ->
        u = 0;
        do
        :: u < UNITS ->
            if
            :: HAS(u, PARTIAL(n)) ->
                column[u] = column[u] & ~PARTIAL(n);
                if
                :: isListed[n] && isReclaimable[n] -> CLAIM(n, u)
                :: else
                fi
            :: else
            fi;
            u++
        :: else -> break
        od;
        u = 0
    :: else
    fi;
    u = 0;
    do
    :: u < UNITS ->
        if
        :: HAS(u, LEDGER(n)) ->
            column[u] = column[u] & ~(APART(n) | DEQUE(n) | HELPING(n) | CONTESTED(n) |
                LENT_BY(n))
        :: else
        fi;
        u++
    :: else -> break
    od;
    u = 0
}

/* A device has finished a unit (`rendered`). */
#ifdef BUG_TWO_RESULTS
#define IS_WANTED(n, unit) (!HAS(unit, LEDGER(n)))
#else
#define IS_WANTED(n, unit) (!HAS(unit, LEDGER(n) | RENDERED(n)))
#endif
inline finish(n, unit) {
    isApart = HAS(unit, KEEP_APART(n) | CONTESTED(n));
    if
    :: HAS(unit, DOUBLED(n)) -> column[unit] = column[unit] & ~DOUBLED(n)
    :: else -> column[unit] = column[unit] & ~(DEVICE(n) | KEEP_APART(n))
    fi;
    if
    :: IS_WANTED(n, unit) ->
        column[unit] = column[unit] & ~(DEQUE(n) | HELPING(n));
        /* No node keeps two results of a unit. */
        assert(!HAS(unit, RENDERED(n)));
        if
        :: isApart -> column[unit] = (column[unit] & ~CONTESTED(n)) | APART(n)
        /* After a return, a partial film from before is sealed: a new one is opened. */
        :: !isApart && !isReclaimable[n] && !IS_EMPTY(PARTIAL(n)) ->
            column[unit] = column[unit] | APART(n)
        :: else ->
            if :: IS_EMPTY(PARTIAL(n)) -> isReclaimable[n] = isListed[n] :: else fi;
            column[unit] = column[unit] | PARTIAL(n)
        fi
    :: else
    fi
}

/* ---- Grants ---- */

/* The thief hears the grant: it answers a repeated one as it did the first time. */
inline receiveGrant(g) {
    if
    :: answer[g] == NONE ->
        if
        :: isListed[thief[g]] && !IS_COMPLETE(LEDGER(thief[g])) ->
            answer[g] = YES;
            /* A unit may come back before the answer to the grant it went away with. */
            u = 0;
            do
            :: u < UNITS ->
                if
                :: HAS(u, SENT(g)) ->
                    column[u] = column[u] & ~LENT_BY(thief[g]);
                    CLAIM(thief[g], u)
                :: else
                fi;
                u++
            :: else -> break
            od;
            u = 0
        :: else -> answer[g] = NO
        fi
    :: else
    fi;
    if
    :: answer[g] == YES -> yesOnWay[g] = 1
    :: else -> noOnWay[g] = 1
    fi
}

/* The grant comes back to the claims: refused, out of time, or its thief is gone. */
inline takeBack(g) {
    isOpen[g] = 0;
    u = 0;
    do
    :: u < UNITS ->
        if
        :: HAS(u, LENT(g)) ->
            column[u] = column[u] & ~LENT(g);
            CLAIM(victim[g], u)
        :: else
        fi;
        u++
    :: else -> break
    od;
    u = 0
}

/* ---- Dismissal and return ---- */

/* A start does not list this node: it drops its claims and keeps its partial films (`exile`). */
inline exile(n) {
    isListed[n] = 0;
    isReclaimable[n] = 0;
    u = 0;
    do
    :: u < UNITS ->
        column[u] = column[u] & ~(DEQUE(n) | HELPING(n) | CONTESTED(n) | LENT_BY(n));
        if
        :: HAS(u, ON_DEVICE(n)) -> column[u] = column[u] | KEEP_APART(n)
        :: else
        fi;
        u++
    :: else -> break
    od;
    u = 0
}

/* Hears the start of a round: the ledger, and whether it is listed. */
inline hearStart(n) {
    if
    :: isMember[n] -> isListed[n] = 1
    :: !isMember[n] && isListed[n] -> exile(n)
    :: else
    fi;
    replace(LEDGER(0), LEDGER(n));
    clearCommitted(n)
}

inline forgetGrants(n, g) {
    /* What it lent is closed; who it lent to may still hear of it. What was lent to it stays with
     * the victim until that takes it back. */
    if :: victim[g] == n -> isOpen[g] = 0; clear(LENT(g)) :: else fi;
    if :: thief[g] == n -> isOnWay[g] = 0; answer[g] = NONE; thief[g] = NOBODY :: else fi
}

inline dismiss(n) {
    isMember[n] = 0;
    if :: isOpen[0] && victim[0] == 0 && thief[0] == n -> takeBack(0) :: else fi;
    if :: isOpen[1] && victim[1] == 0 && thief[1] == n -> takeBack(1) :: else fi
}

/* ---- Late units ---- */

/* As the root says: one node renders it too, and others keep their results apart. */
inline help(n, unit) {
    if
    :: !HAS(unit, LEDGER(n) | RENDERED(n) | CLAIMED(n) | LENT_BY(n)) ->
        column[unit] = column[unit] | HELPING(n)
    :: else
    fi
}
inline contest(n, unit) {
    if
    :: HAS(unit, ON_DEVICE(n)) -> column[unit] = column[unit] | KEEP_APART(n)
    :: else
    fi;
    if
    :: HAS(unit, LENT_BY(n)) -> column[unit] = column[unit] | CONTESTED(n)
    :: else
    fi;
    column[unit] = column[unit] & ~DEQUE(n)
}
