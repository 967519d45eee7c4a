#!/bin/bash
# proto/descriptors.c, which server reflection answers with, is what protoc makes of our .proto files.
#
#   test/descriptors.sh          says whether it is (TAP)
#   test/descriptors.sh --fix    writes it anew
#
# It is kept in the tree, so that who builds needs no protoc, and a server says the same bytes whatever
# made its stubs.
set -u
export LC_ALL=C
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
files="chanserv.proto debug.proto grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto
    grpc/reflection/v1alpha/reflection.proto"

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# protoc-c is a whole protoc, and what the library is built with.
protoc=$(command -v protoc-c || command -v protoc) || protoc=protoc
made() {
    # shellcheck disable=SC2086  # it is a list
    "$protoc" -Iproto --include_imports --descriptor_set_out="$scratch/set" $files || return
    printf '/* descriptors -- see reflect.h.  Made by test/descriptors.sh --fix. */\n'
    printf '#include "proto/reflect.h"\n\n/* clang-format off */\nstatic const uint8_t set[] = {\n'
    od -An -v -tu1 -w24 "$scratch/set" | sed 's/ *\([0-9][0-9]*\)/\1,/g; s/^/    /'
    printf '};\n/* clang-format on */\n\nconst cs_bytes wire_descriptors = {set, sizeof set};\n'
}

if [ "${1:-}" = --fix ]; then
    made > "$scratch/c" && mv "$scratch/c" proto/descriptors.c
    exit
fi
. test/tap.sh
made > "$scratch/c" 2> "$scratch/said" && cmp "$scratch/c" proto/descriptors.c >> "$scratch/said" 2>&1
verdict $? "$scratch/said" "proto/descriptors.c is what our .proto files say"
tap_end
