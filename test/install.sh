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

pkg-config --modversion chanserv > "$scratch/said" 2>&1
verdict $? "$scratch/said" "pkg-config finds chanserv under $prefix"

grep -rl 'pb-c\.h\|event2/\|nghttp2/' "$root$prefix/include" > "$scratch/said" 2>/dev/null
if [ -s "$scratch/said" ]; then
    not_ok "the public headers need no header of another library" < "$scratch/said"
else
    ok "the public headers need no header of another library"
fi

cp "$source/test/install/outside.c" "$scratch/"
# build_and_run NAME LIBS...
build_and_run() {
    local name=$1
    shift
    # shellcheck disable=SC2046,SC2086
    (cd "$scratch" && $cc -std=c11 -Wall -Wextra -Wpedantic -Werror ${SANITIZERS:-} \
        $(pkg-config --cflags chanserv) outside.c -o "$name" "$@") > "$scratch/said" 2>&1
    verdict $? "$scratch/said" "a program from outside links: $name"
    (cd "$scratch" && LD_LIBRARY_PATH=$lib timeout 60 "./$name") > "$scratch/said" 2>&1
    if [ "$(cat "$scratch/said")" = "hello: tick" ]; then
        ok "and runs: $name"
    else
        not_ok "and runs: $name" < "$scratch/said"
    fi
}
if [ -e "$lib/libchanserv.so" ]; then
    # shellcheck disable=SC2046
    build_and_run shared $(pkg-config --libs chanserv)

    # What the library shows is what the public headers declare: all of it and nothing else.
    nm -D --defined-only "$lib/libchanserv.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
        sort -u > "$scratch/shown"
    # shellcheck disable=SC2046
    printf '#include <chanserv/chanserv.h>\n' | $cc -E -P $(pkg-config --cflags chanserv) - |
        tr '\n' ' ' | sed 's/[;{}]/\n/g' | grep 'visibility("default")' |
        sed 's/__attribute__ *(([^)]*([^)]*)[^)]*))//g; s/__attribute__ *(([^)]*))//g' |
        grep -oE '\b(cs|mux|chanserv)_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u > "$scratch/declared"
    diff "$scratch/declared" "$scratch/shown" > "$scratch/said"
    verdict $? "$scratch/said" "the shared library shows what the headers declare, no more, no less"
fi
if [ -e "$lib/libchanserv.a" ]; then
    # shellcheck disable=SC2046
    build_and_run static $(pkg-config --static --libs chanserv | sed 's/-lchanserv\b/-l:libchanserv.a/')
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
    for file in "$lib/libchanserv.so" "$root$prefix/bin/chanserv"; do
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
