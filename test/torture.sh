#!/bin/bash
# Stories on real sockets while each call of the system, and each allocation, fails in turn, over TLS every seventh (TAP).
set -u
. "${CHANSERV_SOURCE:?make check sets it}/test/tap.sh"
scratch=$(mktemp) || exit 1
certs=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch" "$certs"' EXIT
bash "$CHANSERV_SOURCE/test/support/certs.sh" "$certs" > "$scratch" 2>&1
verdict $? "$scratch" "certificates"
timeout 300 "${CHANSERV_BUILD:?make check sets it}/test/torture/torture" "$certs" 7 > "$scratch" 2>&1
verdict $? "$scratch" "whatever call fails, once: no crash, no leak, no hang, and a status that fits"
tap_end
