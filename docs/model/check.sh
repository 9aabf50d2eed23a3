#!/bin/bash
# Checks the models of this folder with spin.
#
#   check.sh models      every configuration; fails on any error, and when a search that should
#                        have been exhaustive was not
#   check.sh mutations   the models with bugs planted; fails when one is not found
#
# JOBS searches run at a time (2), each in at most MEMORY megabytes (2,900).
set -uo pipefail

models=$(cd "$(dirname "$0")" && pwd)
jobs=${JOBS:-2}
memory=${MEMORY:-2900}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# model | definitions | how: "exhaustive"; "hash-compact", which ends, but takes a few states for
# others that have the same hash; "bit-state" and the minutes that it may take. The long ones come
# first.
configurations() {
    cat <<'LIST'
grants|UNITS=2 GRANTS=1 FAULTS=1 HELPS=0 RECOVERY|hash-compact
rounds|TERMS=2 ROUNDS=2 SUMS=2 FAULTS=1|hash-compact
succession|UNITS=1 TERMS=2 FAULTS=1 RECOVERY|exhaustive
grants|UNITS=1 GRANTS=1 FAULTS=2 HELPS=1 RECOVERY|exhaustive
grants|UNITS=1 GRANTS=2 FAULTS=1 HELPS=0 RECOVERY|exhaustive
grants|UNITS=1 GRANTS=1 FAULTS=1 HELPS=1 RECOVERY MUTE=2|exhaustive
rounds|TERMS=2 ROUNDS=1 SUMS=2 UNITS=3|exhaustive
rounds|TERMS=2 ROUNDS=2 SUMS=2 SEPARATE_STEPS|exhaustive
rounds|TERMS=2 ROUNDS=2 SUMS=3|exhaustive
rounds|TERMS=2 ROUNDS=1 SUMS=2 FAULTS=1|exhaustive
rounds|TERMS=3 ROUNDS=1 SUMS=2|exhaustive
rounds|TERMS=2 ROUNDS=1 SUMS=2 SLOTS=2|exhaustive
rounds|TERMS=2 ROUNDS=1 SUMS=2 LATE_FILMS|exhaustive
rounds|TERMS=3 ROUNDS=2 SUMS=3 UNITS=3 SLOTS=2 FAULTS=1 SEPARATE_STEPS LATE_FILMS|bit-state 1
grants|UNITS=2 GRANTS=2 FAULTS=2 HELPS=1 RECOVERY|bit-state 1
succession|UNITS=2 TERMS=3 FAULTS=2 RECOVERY|bit-state 1
LIST
}

# bug | model | definitions | depth of the search: errors are near the start, where a search that
# dives would find them late. Where the depth is small the model without the bug is searched alike,
# to show that the error is the bug's; for the others the configurations above show it.
mutations() {
    cat <<'LIST'
BUG_NO_DISJOINTNESS|rounds|TERMS=2 ROUNDS=2|1000
BUG_COMMIT_TO_OTHER_BASE|rounds|TERMS=2 ROUNDS=2|1000
BUG_PLANNED_COVERAGE|rounds|TERMS=2 ROUNDS=2|1000
BUG_PARENT_ADDS_TO_SEAL|rounds|TERMS=2 ROUNDS=2|1000
BUG_COVERAGE_FROM_MESSAGE|rounds|TERMS=2 ROUNDS=2|1000
BUG_TERM_WITHOUT_ROOT|rounds|TERMS=2 ROUNDS=1|1000
BUG_LEDGER_ONLY_SUCCESSOR|rounds|TERMS=2 ROUNDS=2|1000
BUG_LEDGER_ONLY_SUCCESSOR|succession|UNITS=1 FAULTS=0|1000
BUG_TWO_RESULTS|grants|UNITS=1 FAULTS=0 HELPS=0|1000
BUG_NO_DUPLICATION|grants|UNITS=1 FAULTS=0 HELPS=0 RECOVERY|1000
BUG_MUTE_MENTIONED|grants|UNITS=1 FAULTS=0 HELPS=0 RECOVERY MUTE=2|1000
BUG_SAME_SEAL_NUMBER|grants|UNITS=2 FAULTS=1 HELPS=0 RECOVERY|12
BUG_ONE_SUCCESSOR|succession|UNITS=1 FAULTS=2 RECOVERY|6
LIST
}

# Translates and compiles a model. Partial-order reduction has nothing to reduce here: every step
# reads what others write.
compile() { # folder, model, definitions, options of the compiler
    local define=() name
    for name in $3; do define+=("-D$name"); done
    mkdir -p "$1" && cd "$1" || return 1
    # shellcheck disable=SC2086
    spin "${define[@]}" -a "$models/$2.pml" >spin.log 2>&1 &&
        gcc -O2 -w -DSAFETY -DNOREDUCE -DMEMLIM="$memory" $4 -o pan pan.c >gcc.log 2>&1
}

number() { sed -nE "s/$2/\1/p" "$1" | head -1; }

check() { # index, model, definitions, kind of search
    local folder=$work/$1 result=ok options="" flags="-m1000000 -w25" failed=0
    local kind=${4%% *} seconds=0
    case $kind in
    hash-compact) options=-DHC4 ;;
    bit-state)
        options=-DBITSTATE
        flags="-m200000 -w32 -k3 -Q${4##* }"
        ;;
    esac
    if compile "$folder" "$2" "$3" "$options"; then
        # shellcheck disable=SC2086
        TIMEFORMAT=%U; { time nice ./pan $flags >log 2>&1; } 2>time
        seconds=$(tail -1 time)
        if ! grep -q 'errors: 0$' log; then
            result=ERROR
            failed=1
        elif grep -qE 'max search depth too small|not completed|out of memory|MEMLIM|time limit' log
        then
            result=partly
            if [ "$kind" != bit-state ]; then
                result=TRUNCATED
                failed=1
            fi
        fi
    else
        result="NOT COMPILED"
        failed=1
        cat spin.log gcc.log >log 2>/dev/null
    fi
    printf '%-10s  %-74s  %-12s  %-9s  %11s  %7s  %6s MB  %5.0f s\n' "$2" "$3" "$kind" "$result" \
        "$(number log '^ *([0-9.e+]+) states, stored.*')" \
        "$(number log '.*depth reached ([0-9]+),.*')" \
        "$(number log '^ *([0-9]+)\.[0-9]+\s+total actual memory usage.*')" \
        "$seconds"
    if [ $failed = 1 ]; then
        grep -vE '^\s*$' log | head -20
        touch "$work/failed"
    fi
    rm -rf "$folder"
}

mutate() { # index, bug, model, definitions, depth
    local folder=$work/$1 result="NOT FOUND"
    if compile "$folder" "$3" "$4 $2" ""; then
        nice ./pan -m"$5" -w22 -Q5 >log 2>&1
        grep -q 'assertion violated' log && result="found"
        if [ "$5" -lt 1000 ]; then
            compile "$folder/without" "$3" "$4" "" &&
                nice ./pan -m"$5" -w22 -Q5 >log 2>&1
            grep -q 'errors: 0$' log || result="WITHOUT TOO"
            cd "$folder" || return
        fi
    else
        result="NOT COMPILED"
    fi
    [ "$result" = found ] || touch "$work/failed"
    printf '%-26s  %-10s  %-40s  %-12s  %7s steps\n' "$2" "$3" "$4" "$result" \
        "$(number log '.*assertion violated.*at depth ([0-9]+)\).*')"
    rm -rf "$folder"
}

# Runs the lines of a list, `jobs` at a time.
each() { # function; lines on standard input
    local index=0 fields
    while IFS='|' read -r -a fields; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
        index=$((index + 1))
        "$1" "$index" "${fields[@]}" </dev/null &
    done
    wait
}

case ${1:-} in
models)
    printf '%-10s  %-74s  %-12s  %-9s  %11s  %7s  %9s  %7s\n' \
        model configuration search result states depth memory 'CPU time'
    each check < <(configurations)
    ;;
mutations) each mutate < <(mutations) ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
[ ! -e "$work/failed" ]
