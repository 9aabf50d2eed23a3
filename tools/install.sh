#!/bin/bash
# Installs those of the Debian packages named that are missing.
set -euo pipefail

missing=()
for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
run=()
[ "$(id -u)" = 0 ] || run=(sudo)
for needed in "${run[@]}" apt-get; do
    command -v "$needed" >/dev/null && continue
    echo "meshd needs these Debian packages, and there is no '$needed' to install them with:" >&2
    echo "  ${missing[*]}" >&2
    exit 1
done
echo "installing ${missing[*]}"
# RUNLEVEL=1 keeps the packages from starting their services.
"${run[@]}" apt-get update -qq
"${run[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
