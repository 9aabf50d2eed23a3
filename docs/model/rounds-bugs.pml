/*
 * The bugs that can be planted in rounds.pml, one flag each, and beside each what is right.
 */

#ifdef BUG_TERM_WITHOUT_ROOT
#define NAME_OF(t) ((t) >> 3)
#define NAME_OF_ROUND(r) ((((r) >> 5) << 2) | ((r) & 3))
#else
#define NAME_OF(t) (t)
#define NAME_OF_ROUND(r) (r)
#endif

#ifdef BUG_NO_DISJOINTNESS
#define MAY_ADD(from, to) true
#else
#define MAY_ADD(from, to) (!OVERLAP(from, to))
#endif

#ifdef BUG_PARENT_ADDS_TO_SEAL
/* The parent adds the child's pixels into its own sealed partial film. */
#define PASS_THROUGH(n, s, parent) \
    if \
    :: parent != n && parent != _pid && !IS_EMPTY(SEAL(parent, 0)) -> \
        u = 0; \
        do \
        :: u < UNITS -> \
            if :: HAS(u, SEAL(n, s)) -> wrong[u] = wrong[u] | SEAL(parent, 0) :: else fi; \
            u++ \
        :: else -> break \
        od; \
        u = 0 \
    :: else \
    fi;
#else
#define PASS_THROUGH(n, s, parent)
#endif

#if defined(BUG_PLANNED_COVERAGE) || defined(BUG_COVERAGE_FROM_MESSAGE) || \
    defined(BUG_LEDGER_ONLY_SUCCESSOR)
/* Adds a coverage to a film, and no pixels. */
inline misname(coverage, film) {
    u = 0;
    do
    :: u < UNITS ->
        if
        :: HAS(u, coverage) && !HAS(u, film) ->
            column[u] = column[u] | film;
            wrong[u] = wrong[u] | film
        :: else
        fi;
        u++
    :: else -> break
    od;
    u = 0
}
#endif

#ifdef BUG_PLANNED_COVERAGE
/* Planned, and then not delivered; the plan is believed. */
#define PLAN_ONLY(n, s) \
    :: d_step { \
        IS_ROOT(_pid) && phase[_pid] != IDLE && !IS_EMPTY(SEAL(n, s)) && OBEYS(n, _pid) && \
            !OVERLAP(SEAL(n, s), BUFFER(_pid) | FILM(_pid) | PLANNED(_pid)) -> \
        add(SEAL(n, s), PLANNED(_pid)); \
        settle() \
    }
#define BELIEVE_PLAN(n) misname(PLANNED(n), BUFFER(n));
#else
#define PLAN_ONLY(n, s)
#define BELIEVE_PLAN(n)
#endif

#ifdef BUG_COMMIT_TO_OTHER_BASE
#define NOTE_LEDGER(k) replace(FILM(_pid), LEDGER_OF(k));
/* The sum is added to whatever film there is, and its coverage is then the ledger's. */
#define ADD_SUM(n, k) \
    u = 0; \
    do \
    :: u < UNITS -> \
        if \
        :: HAS(u, LEDGER_OF(k)) != (HAS(u, FILM(n)) || HAS(u, SUM(k))) || \
                BOTH(u, FILM(n), SUM(k)) -> wrong[u] = wrong[u] | FILM(n) \
        :: else \
        fi; \
        if \
        :: HAS(u, LEDGER_OF(k)) -> column[u] = column[u] | FILM(n) \
        :: else -> column[u] = column[u] & ~FILM(n) \
        fi; \
        u++ \
    :: else -> break \
    od;
#define MAY_ADD_SUM(n, k) true
#else
#define NOTE_LEDGER(k)
#define ADD_SUM(n, k) add(SUM(k), FILM(n));
#define MAY_ADD_SUM(n, k) MAY_ADD(SUM(k), FILM(n))
#endif

#ifdef BUG_COVERAGE_FROM_MESSAGE
/* The pixels of the stream, under a coverage that the message of a sum told. */
#define MISNAME(n) if :: sums > 0 -> misname(SUM(0), FILM(n)) :: else fi;
#else
#define MISNAME(n)
#endif

#ifdef BUG_LEDGER_ONLY_SUCCESSOR
/* A ledger-only node hears what is committed, and takes that for its film when it succeeds. */
#define HEAR_LEDGER(k) \
    :: d_step { \
        k < sums && !IS_ROOT(_pid) -> \
        add(SUM(k), KNOWN(_pid)); \
        u = 0; \
        do \
        :: u < UNITS -> wrong[u] = wrong[u] & ~KNOWN(_pid); u++ \
        :: else -> break \
        od; \
        settle() \
    }
#define BELIEVE_LEDGER(n) misname(KNOWN(n), FILM(n)); checkFilm(n, 0);
#else
#define HEAR_LEDGER(k)
#define BELIEVE_LEDGER(n)
#endif
