#!/bin/bash
# test/long/keepalive between two network namespaces, whose link is taken down: no FIN, no RST, nothing.
# Needs root.  BUILD is where it was built.
#
#   test/long/keepalive.sh BUILD
set -eu
here=cs-here-$$ there=cs-there-$$
trap 'ip netns del "$here" 2> /dev/null; ip netns del "$there" 2> /dev/null' EXIT
ip netns add "$here"
ip netns add "$there"
ip -n "$here" link add veth0 type veth peer name veth0 netns "$there"
ip -n "$here" address add 198.18.0.1/30 dev veth0
ip -n "$there" address add 198.18.0.2/30 dev veth0
ip -n "$here" link set veth0 up
ip -n "$there" link set veth0 up
"${1:?BUILD}/test/long/keepalive" "/var/run/netns/$here" "/var/run/netns/$there" 198.18.0.1:7000 \
    "ip -n $here link set veth0 down"
