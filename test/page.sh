#!/bin/bash
# gateway/page_html.c, which GET / answers with, is gateway/page.html: under 100 KB, and nothing in it is fetched
# from anywhere; its policy has the hashes of its one style and its one script.
#
#   test/page.sh          says whether it is (TAP)
#   test/page.sh --fix    writes it anew
set -u
export LC_ALL=C
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# inside TAG: what is between the two lines, with the newlines behind the first and before the last.
inside() {
    awk -v tag="$1" '$0 == "</" tag ">" { on = 0 } on { print } $0 == "<" tag ">" { on = 1; print "" }' gateway/page.html
}
hash_of() { inside "$1" | openssl dgst -sha256 -binary | openssl base64; }
made() {
    printf '/* page_html -- see page__in.h.  Made by test/page.sh --fix. */\n'
    printf '#include "gateway/page__in.h"\n\n/* clang-format off */\nconst char gateway__page_policy[] =\n'
    printf '    "%s"\n' "default-src 'none'; script-src 'sha256-$(hash_of script)'; " \
        "style-src 'sha256-$(hash_of style)'; connect-src 'self'; img-src data:; " \
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" | sed '$s/$/;/'
    printf '\nstatic const uint8_t html[] = {\n'
    od -An -v -tu1 -w24 gateway/page.html | sed 's/ *\([0-9][0-9]*\)/\1,/g; s/^/    /'
    printf '};\n/* clang-format on */\n\nconst cs_bytes gateway__page = {html, sizeof html};\n'
}

if [ "${1:-}" = --fix ]; then
    made > "$scratch/c" && mv "$scratch/c" gateway/page_html.c
    exit
fi
. test/tap.sh
made > "$scratch/c" 2> "$scratch/said" && cmp "$scratch/c" gateway/page_html.c >> "$scratch/said" 2>&1
verdict $? "$scratch/said" "gateway/page_html.c is what gateway/page.html says"
wc -c < gateway/page.html > "$scratch/said"
[ "$(cat "$scratch/said")" -lt 100000 ]
verdict $? "$scratch/said" "the page is under 100 KB"
! grep -nE '(src|href)=|https?://|@import|url\(|style="' gateway/page.html | grep -vE 'href="data:|http://www\.w3\.org/' > "$scratch/said"
verdict $? "$scratch/said" "the page fetches nothing from elsewhere"
tap_end
