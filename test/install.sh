#!/bin/bash
# What users get: installs into an empty directory and lets a program from outside build against
# it with pkg-config alone, with the shared library and with the static one (TAP).
# make check runs it in the build directory.
set -u
source=${CHANSERV_SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
. "$source/test/tap.sh"
if [ ! -f Makefile ] || [ ! -f libtool ]; then
    echo "Bail out! test/install.sh runs in a build directory"
    exit 1
fi
make=${MAKE:-make}
cc=${CC:-cc}
setting() { sed -n "s|^$1 = ||p" Makefile | head -n 1; }
prefix=$(setting prefix)

scratch=$(mktemp -d "$PWD/install.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root

# The jobs of the make that runs us are not ours.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$make" install DESTDIR="$root" > "$scratch/said" 2>&1
verdict $? "$scratch/said" "make install DESTDIR=... works"

completions=$(find "$root" -path '*/bash-completion/completions/chanserv')
cmp -s "$source/tools/completion.bash" "$completions"
verdict $? /dev/null "bash finds the completion of chanserv"

pc=$(find "$root" -name chanserv.pc | head -n 1)
lib=$(dirname "$(find "$root" -name 'libchanserv.a' -o -name 'libchanserv.so' | head -n 1)")
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=
unset PKG_CONFIG_ALLOW_SYSTEM_CFLAGS

pkg-config --modversion chanserv chanserv-gateway chanserv-rendezvous > "$scratch/said" 2>&1
verdict $? "$scratch/said" "pkg-config finds all three libraries under $prefix"

grep -rl 'pb-c\.h\|event2/\|nghttp2/' "$root$prefix/include" > "$scratch/said" 2>/dev/null
if [ -s "$scratch/said" ]; then
    not_ok "the public headers need no header of another library" < "$scratch/said"
else
    ok "the public headers need no header of another library"
fi

cp "$source"/test/install/*.c "$scratch/"
# build_and_run PROGRAM PACKAGE SAYS HOW LIBS...
build_and_run() {
    local program=$1 package=$2 says=$3 how=$4
    shift 4
    # shellcheck disable=SC2046,SC2086
    (cd "$scratch" && $cc -std=c11 -Wall -Wextra -Wpedantic -Werror ${SANITIZERS:-} \
        $(pkg-config --cflags "$package") "$program.c" -o "$program" "$@") > "$scratch/said" 2>&1
    verdict $? "$scratch/said" "a program from outside links: $program, $how"
    (cd "$scratch" && LD_LIBRARY_PATH=$lib timeout 60 "./$program") > "$scratch/said" 2>&1
    if [ "$(cat "$scratch/said")" = "$says" ]; then
        ok "and runs: $program, $how"
    else
        not_ok "and runs: $program, $how" < "$scratch/said"
    fi
}
# declared PREFIXES HEADER...: the functions of the public headers, by what begins their names.
declared() {
    local prefixes=$1
    shift
    # shellcheck disable=SC2046
    printf '#include <%s>\n' "$@" | $cc -E -P $(pkg-config --cflags chanserv) - |
        tr '\n' ' ' | sed 's/[;{}]/\n/g' | grep 'visibility("default")' |
        sed 's/__attribute__ *(([^)]*([^)]*)[^)]*))//g; s/__attribute__ *(([^)]*))//g' |
        grep -oE "\\b($prefixes)_[a-z0-9_]+ *\\(" | tr -d ' (' | sort -u
}
# shown LIBRARY: its symbols, each with its version.
shown() {
    nm -D --defined-only "$lib/$1" | awk '$2 != "A" { print $3 }' | sort -u
}
match='{"payloads":{"a":"1","b":"2"}}'
private=CHANSERV_PRIVATE_$(pkg-config --modversion chanserv)
if [ -e "$lib/libchanserv.so" ]; then
    # shellcheck disable=SC2046
    build_and_run outside chanserv "hello: tick" shared $(pkg-config --libs chanserv)
    # shellcheck disable=SC2046
    build_and_run outside_gateway chanserv-gateway hello shared $(pkg-config --libs chanserv-gateway)
    # shellcheck disable=SC2046
    build_and_run outside_rendezvous chanserv-rendezvous "$match" shared $(pkg-config --libs chanserv-rendezvous)

    # What a library shows is what its public headers declare: all of it and nothing else.
    declared 'cs|mux|chanserv' chanserv/chanserv.h chanserv/stat.h mux/foreign.h > "$scratch/declared"
    shown libchanserv.so | grep -v "@@$private\$" | sed 's/@.*//' | diff "$scratch/declared" - > "$scratch/said"
    verdict $? "$scratch/said" "libchanserv.so shows what the headers declare, no more, no less"
    declared gateway gateway/gateway.h gateway/admin.h gateway/json.h > "$scratch/declared"
    shown libchanserv-gateway.so | sed 's/@.*//' | diff "$scratch/declared" - > "$scratch/said"
    verdict $? "$scratch/said" "libchanserv-gateway.so shows what the headers declare, no more, no less"
    declared rendezvous services/rendezvous/rendezvous.h > "$scratch/declared"
    shown libchanserv-rendezvous.so | sed 's/@.*//' | diff "$scratch/declared" - > "$scratch/said"
    verdict $? "$scratch/said" "libchanserv-rendezvous.so shows what its header declares, no more, no less"
    # What the gateway takes beside them is its own, and of the same release.
    shown libchanserv.so | sed -n "s/@@$private\$//p" > "$scratch/declared"
    nm -D --undefined-only "$lib/libchanserv-gateway.so" | sed -n "s/^ *U \(.*\)@$private\$/\1/p" | sort -u |
        diff "$scratch/declared" - > "$scratch/said" && [ -s "$scratch/declared" ]
    verdict $? "$scratch/said" "and takes what $private has, no more, no less"
fi
if [ -e "$lib/libchanserv.a" ]; then
    archives='s/-l\(chanserv[a-z-]*\)/-l:lib\1.a/g'
    # shellcheck disable=SC2046
    build_and_run outside chanserv "hello: tick" static $(pkg-config --static --libs chanserv | sed "$archives")
    # shellcheck disable=SC2046
    build_and_run outside_gateway chanserv-gateway hello static \
        $(pkg-config --static --libs chanserv-gateway | sed "$archives")
    # shellcheck disable=SC2046
    build_and_run outside_rendezvous chanserv-rendezvous "$match" static \
        $(pkg-config --static --libs chanserv-rendezvous | sed "$archives")
fi

if [ -x "$root$prefix/bin/chanserv" ]; then
    LD_LIBRARY_PATH=$lib "$root$prefix/bin/chanserv" --version > "$scratch/said" 2>&1
    verdict $? "$scratch/said" "the installed chanserv says its version"
fi

# holds NAME FILE PATTERN SAID: said of FILE, a line of SAID matches.
holds() {
    grep -qE "$3" <<< "$4"
    verdict $? /dev/null "$2 has $1"
}
if [ "$(setting enable_hardening)" = yes ]; then
    for file in "$lib"/libchanserv*.so "$root$prefix/bin/chanserv"; do
        [ -e "$file" ] || continue
        name=${file##*/}
        symbols=$(readelf -W --dyn-syms "$file")
        holds "full RELRO, its segment" "$name" '^ *GNU_RELRO ' "$(readelf -Wl "$file")"
        holds "full RELRO, bound at the start" "$name" '\((FLAGS|FLAGS_1)\).*NOW' "$(readelf -Wd "$file")"
        holds "guarded stacks" "$name" ' __stack_chk_fail(@|$)' "$symbols"
        # Without an optimizer there is no such library.
        case " $(setting CFLAGS) " in
        *" -O"[1-9sgz]*) holds "a fortified C library" "$name" ' __[a-z]+_chk(@|$)' "$symbols" ;;
        esac
    done
    holds "no fixed place (PIE)" chanserv '^ *Type: +DYN ' "$(readelf -h "$root$prefix/bin/chanserv")"
    holds "no fixed place (PIE), and is a program" chanserv '\(FLAGS_1\).*PIE' \
        "$(readelf -Wd "$root$prefix/bin/chanserv")"
fi
# What else users get, by the directories of the configuration.
installed() {
    [ -f "$root$1" ]
    verdict $? /dev/null "installed: $1"
}
mandir=$(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$make" -s --no-print-directory -f Makefile -f - print-dirs << 'END' 2>/dev/null
print-dirs: ; @echo $(mandir) $(docdir) $(systemdsystemunitdir)
END
)
read -r mandir docdir unitdir <<< "$mandir"
# Without scdoc there is no manual; test/run has it.
if [ -n "$(setting SCDOC)" ]; then
    for page in man1/chanserv.1 man5/chanserv.conf.5 man7/chanserv.7; do
        installed "$mandir/$page"
    done
fi
[ "$unitdir" = no ] || [ -z "$unitdir" ] && unitdir=$docdir/examples
installed "$docdir/examples/chanserv.conf"
installed "$unitdir/chanserv.socket"
installed "$unitdir/chanserv.service"
grep -q "^ExecStart=$prefix/bin/chanserv serve --config .*/chanserv/chanserv.conf$" "$root$unitdir/chanserv.service"
verdict $? "$root$unitdir/chanserv.service" "the unit starts what was installed"
if [ -x "$root$prefix/bin/chanserv" ]; then
    LD_LIBRARY_PATH=$lib "$root$prefix/bin/chanserv" serve --check-config \
        --config "$root$docdir/examples/chanserv.conf" > "$scratch/said" 2>&1
    verdict $? "$scratch/said" "the installed chanserv accepts the installed chanserv.conf"
fi

env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$make" uninstall DESTDIR="$root" > "$scratch/said" 2>&1
find "$root" -type f > "$scratch/said"
if [ -s "$scratch/said" ]; then
    not_ok "make uninstall leaves no file" < "$scratch/said"
else
    ok "make uninstall leaves no file"
fi
tap_end
