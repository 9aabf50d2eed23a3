/*
 * Sets of units, for all models of this folder.
 *
 * A film, a partial film, a set of claims or what a message carries is a *place* where units may
 * be: one bit. The state holds, for each unit, one column: the bits of the places that hold it.
 * Units differ in nothing but their columns, so `settleUnits` sorts the columns after each step;
 * states that differ only in the units' names become one (symmetry reduction by a factor of up to
 * the factorial of UNITS, and exact).
 *
 * `wrong` has the same bits: the value that this place holds for the unit is not the unit's
 * result exactly once if the column has the bit, and nothing if it has not. It stands for the
 * pixels: adding right values of disjoint coverage gives right values, everything else is wrong,
 * and stays wrong wherever it is added.
 */

#ifndef UNITS
#define UNITS 2
#endif

#ifndef AT_FIRST
#define AT_FIRST 0
#endif

int column[UNITS] = AT_FIRST;
#ifdef WITHOUT_VALUES
/* The model is about who holds what, not about pixels. */
#define CLEAR_WRONG(u, places)
#define ADD_WRONG(u, from, to)
#define IS_AFTER(a, b) (column[a] > column[b])
#define SWAP_WRONG(a, b)
#else
int wrong[UNITS];
#define CLEAR_WRONG(u, places) wrong[u] = wrong[u] & ~(places);
#define ADD_WRONG(u, from, to) \
    if \
    :: (wrong[u] & (from)) != 0 || BOTH(u, from, to) -> wrong[u] = wrong[u] | (to) \
    :: else \
    fi;
#define IS_AFTER(a, b) \
    (column[a] > column[b] || (column[a] == column[b] && wrong[a] > wrong[b]))
#define SWAP_WRONG(a, b) kept = wrong[a]; wrong[a] = wrong[b]; wrong[b] = kept;
#endif

#define BOTH(u, a, b) (((column[u] & (a)) != 0) && ((column[u] & (b)) != 0))
#define HAS(u, a) ((column[u] & (a)) != 0)

#if UNITS == 1
#define OVERLAP(a, b) BOTH(0, a, b)
#define COUNT(a) HAS(0, a)
#define ALL_WRONG wrong[0]
#define EACH_UNIT(OPTION) OPTION(0)
#elif UNITS == 2
#define OVERLAP(a, b) (BOTH(0, a, b) || BOTH(1, a, b))
#define COUNT(a) (HAS(0, a) + HAS(1, a))
#define ALL_WRONG (wrong[0] | wrong[1])
#define EACH_UNIT(OPTION) OPTION(0) OPTION(1)
#elif UNITS == 3
#define OVERLAP(a, b) (BOTH(0, a, b) || BOTH(1, a, b) || BOTH(2, a, b))
#define COUNT(a) (HAS(0, a) + HAS(1, a) + HAS(2, a))
#define ALL_WRONG (wrong[0] | wrong[1] | wrong[2])
#define EACH_UNIT(OPTION) OPTION(0) OPTION(1) OPTION(2)
#else
#define OVERLAP(a, b) (BOTH(0, a, b) || BOTH(1, a, b) || BOTH(2, a, b) || BOTH(3, a, b))
#define COUNT(a) (HAS(0, a) + HAS(1, a) + HAS(2, a) + HAS(3, a))
#define ALL_WRONG (wrong[0] | wrong[1] | wrong[2] | wrong[3])
#define EACH_UNIT(OPTION) OPTION(0) OPTION(1) OPTION(2) OPTION(3)
#endif

#define IS_EMPTY(a) (COUNT(a) == 0)
#define IS_COMPLETE(a) (COUNT(a) == UNITS)

/* Scratch of the steps, not part of the state. A loop is never the last thing in a step: spin would
 * take its end for a jump out of the step. */
hidden byte u, v;
hidden int kept;

/* Empties the places of a mask. */
inline clear(places) {
    u = 0;
    do
    :: u < UNITS -> column[u] = column[u] & ~(places); CLEAR_WRONG(u, places) u++
    :: else -> break
    od;
    u = 0
}

/* Adds what is in one place to another. Overlapping units come out wrong: whoever may not rely
 * on that asks for OVERLAP before. */
inline add(from, to) {
    u = 0;
    do
    :: u < UNITS ->
        ADD_WRONG(u, from, to)
        if
        :: HAS(u, from) -> column[u] = column[u] | (to)
        :: else
        fi;
        u++
    :: else -> break
    od;
    u = 0
}

/* Replaces one place whole by another. */
inline replace(from, to) { clear(to); add(from, to) }

/* Sorts the columns: the units have no names. */
inline settleUnits() {
    u = 1;
    do
    :: u < UNITS ->
        v = u;
        do
        :: v > 0 && IS_AFTER(v - 1, v) ->
            kept = column[v - 1]; column[v - 1] = column[v]; column[v] = kept;
            SWAP_WRONG(v - 1, v)
            v--
        :: else -> break
        od;
        u++
    :: else -> break
    od;
    u = 0
}
