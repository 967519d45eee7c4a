#!/bin/bash
# Each public header compiles alone, as C11 and as C++17, with all our warnings; and so does each
# header of a room, as C11, so that the order of includes never matters (TAP).
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
. test/tap.sh
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
c_warnings="$warnings -Wstrict-prototypes -Wmissing-prototypes"
cc=${CC:-cc}
cxx=${CXX:-$(command -v g++ || command -v clang++)}

scratch=$(mktemp) || exit 1
trap 'rm -f "$scratch"' EXIT

# one FILE HOW COMPILER...: the include stands twice, which a missing guard does not survive.
one() {
    local file=$1 how=$2
    shift 2
    printf '#include "%s"\n#include "%s"\nextern int but_for_macros;\n' "$file" "$file" |
        "$@" -fsyntax-only -I. - > "$scratch" 2>&1
    verdict $? "$scratch" "$file compiles alone as $how"
}

public=$(cat ./*/local.mk | sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' |
    sed -n 's/^[a-z]*include_HEADERS *= *//p' | tr '\n\t' '  ')
for file in $public; do
    # Public headers are for programs that define nothing before them.
    # shellcheck disable=SC2086
    one "$file" C11 $cc -std=c11 $c_warnings -x c
    if [ -n "$cxx" ]; then
        # shellcheck disable=SC2086
        one "$file" C++17 $cxx -std=c++17 $warnings -x c++
    else
        skip "$file as C++17: no C++ compiler is installed"
    fi
done
for file in base/*.h proto/*.h mux/*.h chanserv/*.h gateway/*.h services/*/*.h; do
    case " $public " in *" $file "*) continue ;; esac
    case $file in *.pb-c.h) continue ;; esac
    # shellcheck disable=SC2086
    one "$file" "C11 in its room" $cc -std=c11 -D_GNU_SOURCE $warnings -x c
done
tap_end
