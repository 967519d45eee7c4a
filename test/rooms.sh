#!/bin/bash
# Who may know whom: reads every source for its includes and names.
#
#   test/rooms.sh              checks the tree (TAP), and that the check itself still bites
#   test/rooms.sh --list [DIR] prints what is wrong as file:line, no more
#
# The rooms stand in a total order, and a file knows its own room and those before it:
#
#   base <- proto <- mux <- chanserv <- gateway <- services <- tools, examples, bench
#
# Of another room only headers without a double underscore in their name may be included, and
# room__name is for files of that room.  Each foreign library is spoken in one place.  Tests of a
# room (test/ROOM) count as the room; the other folders of test/ may know everything.
set -u
export LC_ALL=C
top=$(cd "$(dirname "$0")/.." && pwd)

# What users get, by the makefiles.
installed=$(cat "$top"/*/local.mk | sed -e :a -e '/\\$/{N;s/\\\n//;ba' -e '}' | sed -n 's/^[a-z]*include_HEADERS *= *//p' | tr '\n' ' ')

check_tree() {
    (cd "$1" && find base proto mux chanserv gateway services tools examples bench test \
        \( -name node_modules -o -name .libs \) -prune -o \
        \( -name '*.c' -o -name '*.h' \) ! -name '*.pb-c.*' -print 2>/dev/null | sort |
        xargs awk -v installed="$installed" -f "$top/test/rooms.awk")
}

# plant DIR FILE EXPECTED LINE: adds LINE to FILE and wants it reported with EXPECTED.
plant() {
    local dir=$1 file=$2 expected=$3 line=$4 number said
    mkdir -p "$dir/$(dirname "$file")"
    touch "$dir/$file"
    cp "$dir/$file" "$dir/saved"
    printf '\n%s\n' "$line" >> "$dir/$file"
    number=$(grep -c '' "$dir/$file")
    said=$(check_tree "$dir")
    if printf '%s\n' "$said" | grep -qF "$file:$number: $expected"; then
        ok "a planted line is found: $file: $line"
    else
        not_ok "a planted line is found: $file: $line" <<< "wanted $file:$number: $expected, got: $said"
    fi
    cp "$dir/saved" "$dir/$file"
}

self_test() {
    local dir
    dir=$(mktemp -d) || exit 1
    # shellcheck disable=SC2064
    trap "rm -rf '$dir'" EXIT
    for room in base proto mux chanserv gateway services tools examples bench test; do
        [ -d "$top/$room" ] || continue
        (cd "$top" && find "$room" -name node_modules -prune -o -name '*.[ch]' -print) |
            while IFS= read -r file; do
                mkdir -p "$dir/$(dirname "$file")"
                cp "$top/$file" "$dir/$file"
            done
    done
    plant "$dir" base/planted.c "base must not know mux" '#include "mux/mux.h"'
    plant "$dir" proto/planted.c "proto must not know chanserv" '#include <chanserv/server.h>'
    plant "$dir" test/mux/planted_test.c "mux must not know chanserv" '#include "chanserv/server.h"'
    plant "$dir" chanserv/planted.c "mux/link__in.h is private to mux" '#include "mux/link__in.h"'
    plant "$dir" chanserv/planted.c "mux__planted is private to mux" 'void f(void) { mux__planted(); }'
    plant "$dir" mux/planted.c "cs__planted is private to base" 'void f(void) { cs__planted(); }'
    plant "$dir" mux/planted.c "chanserv__v1__frame__init is private to proto" \
        'void f(void) { chanserv__v1__frame__init(); }'
    plant "$dir" mux/planted.c "nghttp2_submit_ping is for mux/h2" 'int f(void) { return nghttp2_submit_ping(); }'
    plant "$dir" mux/planted.c "nghttp2/nghttp2.h is for mux/h2" '#include <nghttp2/nghttp2.h>'
    plant "$dir" mux/h2_planted.c "SSL_new is for mux/tls" 'int f(void) { return SSL_new(); }'
    plant "$dir" mux/planted.c "event_new is for base/loop" 'int f(void) { return event_new(); }'
    plant "$dir" base/planted.c "evbuffer_add is for base/loop" 'int f(void) { return evbuffer_add(); }'
    plant "$dir" chanserv/planted.c "protobuf_c_message_pack is for proto/" \
        'int f(void) { return protobuf_c_message_pack(); }'
    plant "$dir" examples/planted.c "base/mem.h is not a public header" '#include "base/mem.h"'
    plant "$dir" tools/planted.c "proto/wire.h is not a public header" '#include "proto/wire.h"'
    plant "$dir" services/planted.c "base/map.h is not a public header" '#include "base/map.h"'
    plant "$dir" base/planted.c "no room has stray.h" '#include "stray.h"'
    # What stands in a comment or a string is not code.
    printf '/* nghttp2_submit_ping(\n * mux__x */ const char *s = "SSL_new(";\n' > "$dir/base/quiet.c"
    if [ -z "$(check_tree "$dir" | grep '^base/quiet.c')" ]; then
        ok "comments and strings are left alone"
    else
        not_ok "comments and strings are left alone" < /dev/null
    fi
}

case ${1:-} in
--list)
    said=$(check_tree "${2:-$top}")
    [ -z "$said" ] && exit 0
    printf '%s\n' "$said"
    exit 1 ;;
--self-test)
    . "$top/test/tap.sh"
    self_test
    tap_end ;;
esac

. "$top/test/tap.sh"
said=$(check_tree "$top")
if [ -z "$said" ]; then ok "every file keeps to its room"; else not_ok "every file keeps to its room" <<< "$said"; fi
self_test
tap_end
