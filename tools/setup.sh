#!/bin/bash
# Installs the Debian packages that meshd needs, if any is missing, and looks for Swift.
set -euo pipefail

packages=(
    make pkg-config libavahi-client-dev libavahi-core-dev libuv1-dev zlib1g-dev libssl-dev
    libembree-dev libopenexr-dev libspng-dev libturbojpeg0-dev
    avahi-daemon dbus iproute2 nftables python3
)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
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
fi

if ! command -v swift >/dev/null; then
    echo "meshd needs Swift 6.2 or newer, and there is no 'swift' on the PATH." >&2
    echo "Get it from https://www.swift.org/install/linux/ (Debian 12), then run this again." >&2
    exit 1
fi
