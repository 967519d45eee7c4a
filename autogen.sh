#!/bin/sh
# Makes ./configure.  Needs autoconf, automake, libtool and pkg-config; test/deps installs them.
set -e
cd "$(dirname "$0")"
for tool in autoreconf automake libtoolize pkg-config; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "autogen.sh: $tool is missing; run test/deps, or install autoconf automake libtool pkg-config" >&2
        exit 1
    fi
done
autoreconf --force --install --warnings=all
echo "autogen.sh: done; now ./configure && make"
