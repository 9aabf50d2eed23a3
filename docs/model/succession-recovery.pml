/*
 * Liveness, for succession.pml: from every state in which a node is left that knows the frame, a
 * run without further faults brings the complete film to all who want it. One such run is tried
 * from each state: in turns, gossip tells terms, somebody takes over if the root is gone, the root
 * lists those who ask, adopts the largest film, commits, and renders what is lacking. One step of
 * the model, which asserts its result.
 */

#define CYCLES 5

hidden byte cycle, root, highest;
#define NOT_A_NODE 7

inline recoverTerms() {
    highest = 0;
    i = 0;
    do
    :: i < NODES ->
        if :: isUp[i] && term[i] > highest -> highest = term[i] :: else fi;
        i++
    :: else -> break
    od;
    root = NOT_A_NODE;
    i = 0;
    do
    :: i < NODES ->
        if :: isUp[i] -> term[i] = highest :: else fi;
        if :: isUp[i] && IS_ROOT(i) -> root = i :: else fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* The patience of listed nodes ends first, one after the other; then that of the others. */
inline recoverSuccession() {
    i = 0;
    do
    :: root == NOT_A_NODE && i < 2 * NODES ->
        k = i % NODES;
        if
        :: isUp[k] && (i >= NODES || standing[k] == LISTED) && MAY_SUCCEED(k) ->
            takeOver(k);
            root = k
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline recoverRound() {
    list[root] = LIVING;
    i = 0;
    do
    :: i < NODES ->
        if :: isUp[i] && i != root -> hearStart(i, root) :: else fi;
        if
        :: isUp[i] && COUNT(FILM(i)) > COUNT(FILM(root)) ->
            replace(FILM(i), FILM(root));
            applyLedger(root, FILM(root))
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < NODES ->
        if
        :: isUp[i] && !OVERLAP(PARTIAL(i), FILM(root)) ->
            add(PARTIAL(i), FILM(root));
            applyLedger(root, FILM(root))
        :: else
        fi;
        i++
    :: else -> break
    od;
    /* What nobody has is lost, and the root's. */
    i = 0;
    do
    :: i < UNITS ->
        if
        :: !HAS(i, LEDGER(root) | PARTIAL(0) | PARTIAL(1) | PARTIAL(2) | PARTIAL(3)) ->
            column[i] = column[i] | PARTIAL(root)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* A film that lags is fetched from the root, or from whoever announces a complete one. */
inline recoverFilms() {
    i = 0;
    do
    :: i < NODES * NODES ->
        k = i % NODES;
        if
        :: isUp[i / NODES] && isUp[k] && i / NODES != LEDGER_ONLY && !IS_ROOT(i / NODES) &&
                COUNT(FILM(k)) > COUNT(FILM(i / NODES)) && (k == root || IS_COMPLETE(FILM(k))) ->
            replace(FILM(k), FILM(i / NODES))
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline recover() {
    cycle = 0;
    do
    :: cycle < CYCLES ->
        recoverTerms();
        recoverSuccession();
        if :: root != NOT_A_NODE -> recoverRound() :: else fi;
        recoverFilms();
        cycle++
    :: else -> break
    od;
    check();
    i = 0;
    do
    :: i < NODES ->
        assert(!isUp[i] || i == LEDGER_ONLY || IS_COMPLETE(FILM(i)));
        assert(!isUp[i] || root == NOT_A_NODE || term[i] == term[root]);
        i++
    :: else -> break
    od;
    assert(!isUp[LEDGER_ONLY] || !IS_ROOT(LEDGER_ONLY) || IS_COMPLETE(FILM(LEDGER_ONLY)))
}

/* All that is left is that it is over. */
inline conclude() {
    clear(-1);
    i = 0;
    do
    :: i < NODES ->
        isUp[i] = 0; boot[i] = 0; term[i] = 0; list[i] = 0; standing[i] = 0;
        i++
    :: else -> break
    od;
    i = 0;
    faults = 0;
    isOver = 1
}

#define KNOWS(n) (isUp[n] && term[n] != 0)
#define RECOVER \
    :: d_step { \
        _pid == 0 && !isOver && (KNOWS(0) || KNOWS(1) || KNOWS(2) || KNOWS(3)) -> \
        recover(); \
        conclude() \
    }
