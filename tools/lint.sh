#!/bin/bash
# The rules of the house that neither the compiler nor the formatter knows.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

report() { # what, matches
    if [ -n "$2" ]; then
        printf '%s:\n%s\n' "$1" "$2" >&2
        failed=1
    fi
}

core=(Sources/MeshCore Sources/Gossip Sources/WorkStealing Sources/MeshNode)
report "clocks, threads or the system in the sans-I/O core" "$(
    git grep -nE 'import (Foundation|Glibc|Dispatch|Synchronization|CLibuv|CAvahi)|ContinuousClock|SystemRandomNumberGenerator|\.random\(|\.shuffled\(\)|\.randomElement\(' -- "${core[@]}")"
report "files over 400 lines" "$(
    git ls-files 'Sources/*.swift' | grep -v '\.pb\.swift$' | xargs wc -l |
        awk '$2 != "total" && $1 > 400 { print "  " $2 ": " $1 }')"
report "file names outside the vocabulary" "$(
    git ls-files 'Sources/*.swift' | grep -iE '(manager|helper|util|handler)[^/]*\.swift$')"
report "prints outside the program" "$(
    git grep -nE '(^|[^a-zA-Z.])print\(' -- 'Sources/*.swift' ':!Sources/meshd/*')"
report "force tries" "$(git grep -nE 'try!|as! ' -- 'Sources/*.swift')"

for script in $(git ls-files '*.sh') .ci/run; do
    bash -n "$script" || failed=1
done
exit $failed
