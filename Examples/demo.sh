#!/bin/bash
# Renders a still life on a mesh of three unequal nodes on this machine: make demo
#
# Everything it writes is under out/. SIZE and SAMPLES may be set: SIZE=1920x1080 SAMPLES=256.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${MESHD_PROGRAM:-.build/release/meshd}
size=${SIZE:-960x540}
samples=${SAMPLES:-64}
out=out
nodes=(swift steady gentle)
threads=(2 1 1)
percent=(100 60 30) # of one processor, where control groups can be made
mkdir -p "$out"
started=()
groups=()

finish() {
    trap - EXIT INT TERM
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    for process in "${started[@]}"; do wait "$process" 2>/dev/null || true; done
    for group in "${groups[@]}"; do rmdir "$group" 2>/dev/null || true; done
}
trap finish EXIT
trap 'exit 130' INT TERM

[ -x "$program" ] || { echo "there is no $program: run make build" >&2; exit 1; }

# A free port for each node.
ports=()
for ((port = 7710; ${#ports[@]} < ${#nodes[@]}; port++)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || ports+=("$port")
done

# The file through which a process joins a group with a share of one processor; nothing where
# this machine allows no groups.
group_of() { # name, percent
    local folder=/sys/fs/cgroup/cpu group
    [ -d "$folder" ] || folder=/sys/fs/cgroup
    group=$folder/meshd-demo-$$-$1
    mkdir "$group" 2>/dev/null || return 0
    if echo 20000 2>/dev/null >"$group/cpu.cfs_period_us" &&
        echo $(($2 * 200)) 2>/dev/null >"$group/cpu.cfs_quota_us" ||
        echo "$(($2 * 200)) 20000" 2>/dev/null >"$group/cpu.max"; then
        echo "$group"
    else
        rmdir "$group"
    fi
}

if [ -z "$(find "$out/scene/still-life.gltf" -newer Examples/make-scene.py 2>/dev/null)" ]; then
    echo "writing the scene"
    python3 Examples/make-scene.py "$out/scene" >"$out/scene.log"
fi

# One mesh for all of them; the one of the last demo is kept.
first=$out/state/${nodes[0]}
[ -e "$first/mesh-key" ] || "$program" init --state "$first" >/dev/null
for name in "${nodes[@]:1}"; do
    "$program" key show --state "$first" | "$program" join - --state "$out/state/$name"
done

echo "starting ${#nodes[@]} nodes"
for index in "${!nodes[@]}"; do
    name=${nodes[$index]}
    peers=()
    for port in "${ports[@]}"; do
        [ "$port" = "${ports[$index]}" ] || peers+=(--peer "127.0.0.1:$port")
    done
    group=$(group_of "$name" "${percent[$index]}")
    [ -z "$group" ] || groups+=("$group")
    (
        # One that may not join its group runs without.
        [ -z "$group" ] || echo "$BASHPID" 2>/dev/null >"$group/cgroup.procs" || true
        exec "$program" up --name "$name" --listen "127.0.0.1:${ports[$index]}" \
            --threads "${threads[$index]}" --state "$out/state/$name" "${peers[@]}"
    ) >"$out/$name.log" 2>&1 &
    started+=("$!")
done

listed() {
    "$program" nodes --json --state "$first" 2>/dev/null |
        grep -c '"status" *: *"alive"' || true
}
deadline=$((SECONDS + 30))
until [ "$(listed)" -ge "${#nodes[@]}" ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
        echo "the nodes do not find each other; see $out/*.log" >&2
        exit 1
    fi
    sleep 0.2
done
"$program" nodes --state "$first"

echo "rendering ${size} at ${samples} samples"
"$program" render "$out/scene/still-life.gltf" --env "$out/scene/studio.hdr" \
    --size "$size" --spp "$samples" --state "$first" --stats "$out/demo.json" \
    -o "$out/demo.exr" -o "$out/demo.png"
echo "film $(sed -n 's/.*"filmHash" *: *"\([0-9a-f]*\)".*/\1/p' "$out/demo.json")"
echo "look at $out/demo.png"
