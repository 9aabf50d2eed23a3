#!/bin/bash
# Installs the Debian packages that meshd needs, if any is missing, and looks for Swift.
set -euo pipefail

packages=(
    make pkg-config libavahi-client-dev libavahi-core-dev libuv1-dev zlib1g-dev libssl-dev
    libipsec-mb-dev libembree-dev libopenexr-dev libspng-dev libturbojpeg0-dev libqrencode-dev
    avahi-daemon dbus iproute2 nftables python3
)

"$(dirname "$0")/install.sh" "${packages[@]}"

if ! command -v swift >/dev/null; then
    echo "meshd needs Swift 6.2 or newer, and there is no 'swift' on the PATH." >&2
    echo "Get it from https://www.swift.org/install/linux/ (Debian 12), then run this again." >&2
    exit 1
fi
