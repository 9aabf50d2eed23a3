#!/bin/bash
# fuzz.sh SECONDS [TARGET...]: builds the fuzzer and runs it on each target for so long, with address
# sanitizer. What it learns stays in .build/fuzz/corpus, what breaks a target in
# .build/fuzz/findings. Goes on after a finding; fails at the end when there was one.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?seconds for each target}
shift
scratch=.build/fuzz
# Not by --sanitize: the package manager passes two of them in any order, and in one of the two the
# compiler leaves out what tells the fuzzer where an input goes.
MESHD_FUZZ=1 swift build -c release -Xswiftc -enable-testing --scratch-path $scratch \
    --product meshd-fuzz -Xswiftc -sanitize=fuzzer,address \
    -Xcc -fsanitize=address,fuzzer-no-link || exit 1

# Embree's threads and caches outlive every input; what leaks grows until the memory's limit.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for folder in Tests/FuzzCorpora/*/; do targets+=("$(basename "$folder")"); done
fi
failed=()
for target in "${targets[@]}"; do
    corpus=$scratch/corpus/$target
    findings=$scratch/findings/$target
    mkdir -p "$corpus" "$findings"
    options=(
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1500 -malloc_limit_mb=600
        -artifact_prefix="$findings/" -print_final_stats=1 -use_value_profile=1
        -reload=0 -max_len=4096)
    case $target in
        gltf | glb | scene) dictionary=gltf ;;
        *) dictionary=$target ;;
    esac
    if [ -f "Tests/FuzzCorpora/$dictionary.dict" ]; then
        options+=(-dict="Tests/FuzzCorpora/$dictionary.dict")
    fi
    printf '== %s\n' "$target"
    MESHD_FUZZ_TARGET=$target $scratch/release/meshd-fuzz "${options[@]}" \
        "$corpus" "Tests/FuzzCorpora/$target" >"$findings/log" 2>&1
    if [ $? = 0 ]; then
        grep -E '^stat::(number_of_executed_units|average_exec|peak_rss)' "$findings/log"
    else
        failed+=("$target")
        grep -E 'ERROR|SUMMARY|Fatal|Test unit written|precondition' "$findings/log"
        printf 'the whole report is in %s\n' "$findings/log"
    fi
done
if [ ${#failed[@]} != 0 ]; then
    printf 'findings in: %s\n' "${failed[*]}" >&2
    exit 1
fi
