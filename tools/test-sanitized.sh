#!/bin/bash
# test-sanitized.sh address|thread [FILTER]: builds tests and program with a sanitizer, in a folder
# of their own, and runs them as `make test` does, the lab included; with FILTER, a regular
# expression of test names, only those. What a sanitizer finds in any process, the lab's daemons
# too, is a file in the folder's reports; any such file is a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
sanitizer=${1:?address or thread}
filter=${2:-}
case $sanitizer in
    address) scratch=.build-asan ;;
    thread) scratch=.build-tsan ;;
    *) printf 'there is no sanitizer %s here: address or thread\n' "$sanitizer" >&2; exit 64 ;;
esac
# Without the second one the C of our headers, functions in the place of macros, is not instrumented.
flags=(-c release -Xswiftc -enable-testing --scratch-path $scratch "--sanitize=$sanitizer"
    -Xcc "-fsanitize=$sanitizer")
swift build "${flags[@]}" --build-tests || exit 1

reports=$PWD/$scratch/reports
rm -rf "$reports"
mkdir -p "$reports"
# Address sanitizer ends a process at its first finding; the others let it go on. Leaks cannot be told:
# Swift keeps tags in the upper bits of pointers, and behind those the sanitizer takes all for lost.
export ASAN_OPTIONS=log_path=$reports/address:detect_stack_use_after_return=0:halt_on_error=1
ASAN_OPTIONS+=:detect_leaks=0
export TSAN_OPTIONS=log_path=$reports/thread:suppressions=$PWD/Tests/Sanitizers/threads.txt
TSAN_OPTIONS+=:exitcode=0:history_size=4:print_suppressions=0
export MESHD_PROGRAM=$PWD/$scratch/release/meshd MESHD_SANITIZER=$sanitizer
preload=
if [ $sanitizer = thread ]; then
    preload=$PWD/$scratch/mutex.so
    clang -O2 -Wall -Werror -shared -fPIC -o "$preload" Tests/Sanitizers/mutex.c -ldl || exit 1
fi
run=(env LD_PRELOAD="$preload" timeout --foreground 3000 swift test "${flags[@]}" --skip-build --no-parallel)
failed=0
if [ -n "$filter" ]; then
    "${run[@]}" --filter "$filter" || failed=1
else
    programs='^(LabTests|CommandLineTests)\.'
    "${run[@]}" --skip "$programs" || failed=1
    "${run[@]}" --filter "$programs" || failed=1
fi
found=("$reports"/*)
if [ -e "${found[0]}" ]; then
    grep -hE '^(SUMMARY|==[0-9]+==ERROR|WARNING: ThreadSanitizer)' "${found[@]}" |
        sed -E 's/==[0-9]+==//; s/\(pid=[0-9]+\)//' | sort | uniq -c | sort -rn
    printf '%d processes were found wanting: see %s\n' "${#found[@]}" "$reports" >&2
    failed=1
fi
exit $failed
