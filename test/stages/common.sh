# Sourced by the stages (bash).  A stage is an executable file of test/stages: it runs in an
# environment that test/run sets, exits 0 when all is well, and reports how many tests it was with
#
#   count PASSED FAILED     or      check BUILD [make arguments]
#
# Sources are copied to $src and built beside it, so that the tree stays as it was.
set -eu -o pipefail
: "${CHANSERV_TREE:?run it by test/run}" "${CHANSERV_WORK:?}"
src=$CHANSERV_WORK/src
jobs=$(nproc)
export LC_ALL=C

count() {
    echo "$1 $2" >> "${CHANSERV_RESULT:-/dev/null}"
}

# The files git knows or would take (in a tarball: all), and a configure made of them.
# Once a run: each stage may ask.
prepare_source() {
    local stamp=$CHANSERV_WORK/log/source
    [ -f "$stamp" ] && return
    rm -rf "$src"
    mkdir -p "$src"
    if [ "$(git -C "$CHANSERV_TREE" rev-parse --show-toplevel 2>/dev/null)" = "$CHANSERV_TREE" ]; then
        (cd "$CHANSERV_TREE" && git ls-files -z --cached --others --exclude-standard) > "$stamp.list"
    else
        (cd "$CHANSERV_TREE" && find . -name .build -prune -o \( -type f -o -type l \) -print0) > "$stamp.list"
    fi
    # A file that is deleted and not yet committed is not there to copy.
    (cd "$CHANSERV_TREE" && xargs -0 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done; :' sh |
        tar --null --no-recursion -T - -cf - | tar -xf - -C "$src") < "$stamp.list"
    quietly autogen "$src/autogen.sh"
    touch "$stamp"
}

# quietly NAME COMMAND...: its words go to a log, and here only when it failed.
quietly() {
    local log=$CHANSERV_WORK/log/$1.log status=0
    shift
    "$@" > "$log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        tail -n 60 "$log"
        echo "(all of it: $log)"
    fi
    return $status
}

# configure NAME [arguments]: an out-of-tree build, $CHANSERV_WORK/NAME.
configure() {
    local dir=$CHANSERV_WORK/$1
    prepare_source
    rm -rf "$dir"
    mkdir -p "$dir"
    (cd "$dir" && shift && quietly "${dir##*/}.configure" "$src/configure" --enable-werror "$@")
}

# build NAME [targets]
build() {
    local dir=$CHANSERV_WORK/$1
    shift
    quietly "${dir##*/}.make" make -C "$dir" -j"$jobs" "$@"
}

# made NAME [configure's arguments]: configured and built, once a run; each stage that uses it may ask.
made() {
    local stamp=$CHANSERV_WORK/log/$1.made
    [ -f "$stamp" ] && return
    configure "$@"
    build "$1"
    touch "$stamp"
}

# The builds that more than one stage uses: with the sanitizers, and clang's without.
made_asan() {
    made gcc-asan CC=gcc --disable-shared --enable-tests=yes --enable-sanitizers=address,undefined CFLAGS='-g -O1'
}

made_clang() {
    made clang CC=clang --disable-shared --enable-tests=yes
}

# check NAME [arguments]: make check, counted.  What was skipped was not tested, so it failed.
check() {
    local dir=$CHANSERV_WORK/$1 log=$CHANSERV_WORK/log/$1.check.log status=0
    shift
    make -C "$dir" -k -j"$jobs" check "$@" > "$log" 2>&1 || status=$?
    count_check "$log" || status=1
    if [ $status -ne 0 ]; then
        grep -E '^(FAIL|ERROR|SKIP|XPASS|make.*(Error|\*\*\*))|error:|warning:' "$log" | head -n 60 || true
        for failed in $(grep -E '^(FAIL|ERROR|SKIP|XPASS): ' "$log" | awk '{ print $2 }' | sort -u); do
            echo "--- ${failed%.sh}.log"
            { grep -v -e '^ok' -e '^PASS' "$dir/${failed%.sh}.log" || true; } | tail -n 40
        done
        echo "(all of it: $log)"
    fi
    return $status
}

# count_check LOG: reads automake's summaries, says and counts them.  Fails unless there is one
# and every test of it passed.
count_check() {
    awk '/^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR):/ { n[$2] += $3 }
         END { print n["TOTAL:"] + 0, n["PASS:"] + 0, n["SKIP:"] + 0 }' "$1" > "$1.sum"
    local total passed skipped
    read -r total passed skipped < "$1.sum"
    rm -f "$1.sum"
    echo "$passed of $total tests passed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
    count "$passed" "$((total - passed))"
    [ "$total" -gt 0 ] && [ "$passed" -eq "$total" ]
}

# suite NAME BUILD [arguments]: test/NAME/run, with CHANSERV_BUILD and CHANSERV_SOURCE set.  Its last line says
# "N passed, N failed", which is counted.
suite() {
    local log=$CHANSERV_WORK/log/$1.log status=0 passed failed
    [ -x "$CHANSERV_TREE/test/$1/run" ] || { echo "test/$1/run is missing"; return 1; }
    CHANSERV_BUILD=$2 CHANSERV_SOURCE=$src "$CHANSERV_TREE/test/$1/run" "${@:3}" 2>&1 | tee "$log" || status=$?
    read -r passed failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*$/\1 \2/p' "$log" | tail -n 1)
    if [ -z "${passed:-}" ] || [ "$passed" -eq 0 ]; then
        echo "test/$1/run has not said how many tests passed"
        return 1
    fi
    count "$passed" "$failed"
    [ "$failed" -eq 0 ] || status=1
    return $status
}
