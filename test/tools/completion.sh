#!/bin/bash
# tools/completion.bash, asked as bash asks it (TAP).
set -u
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tap.sh"
tool=${CHANSERV_TOOL:-${CHANSERV_BUILD:-$(dirname "$here")}/tools/chanserv}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
. "$here/../tools/completion.bash"
compopt() { echo "$*" >> "$scratch/compopt"; } # there is none without a completion under way

# ask LINE: what is offered with the cursor at its end, into COMPREPLY.
ask() {
    local word
    : > "$scratch/compopt"
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMPREPLY=()
    # As bash does with COMP_WORDBREAKS: blanks cut, "=" and ":" are words of their own.
    while IFS= read -r word; do COMP_WORDS+=("$word"); done < <(
        sed 's/[=:]\{1,\}/ & /g; s/  */\n/g' <<< "$1")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _chanserv "$tool" "" ""
}

# completes LINE WORD...: these are offered, and no others.
completes() {
    local line=$1
    shift
    ask "$line"
    diff <(printf '%s\n' "$@" | sort) <(printf '%s\n' "${COMPREPLY[@]}" | sort) > "$scratch/diff"
    verdict $? "$scratch/diff" "'$line' is completed by: $*"
}

# offers LINE WORD...: these are among what is offered.
offers() {
    local line=$1 word
    shift
    ask "$line"
    for word in "$@"; do
        printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -e "$word" || echo "no $word"
    done > "$scratch/diff"
    [ ! -s "$scratch/diff" ]
    verdict $? "$scratch/diff" "'$line' offers $*"
}

[ "$(complete -p chanserv)" = "complete -F _chanserv chanserv" ]
verdict $? /dev/null "bash knows whom to ask"
offers "chanserv " serve post talk meet services stat top rtt bench help --help --version
completes "chanserv po" post
completes "chanserv --v" --version
completes "chanserv help e" exit
completes "chanserv help be" bench
completes "chanserv nonsense --"
offers "chanserv post --" --only --count --sources-max --json --raw --timeout --token-file --no-verify --help
completes "chanserv post --on" --only
completes "chanserv bench --so" --sources
completes "chanserv stat --j" --json
completes "chanserv top --o" --once
completes "chanserv stat --ma" --max
completes "chanserv meet --se" --selector --server-name --service
completes "chanserv serve --list" --listen
completes "chanserv serve --rend" --rendezvous --rendezvous-waiters-max --rendezvous-waiting-max
completes "chanserv serve --http-li" --http-linger --http-lingering
offers "chanserv serve --service a=" gen echo tail: exec: exec-uplink:
completes "chanserv serve --service a=ge" gen
completes "chanserv serve --listen [::1]:0 --service=a=ta" tail:
[ "$(cat "$scratch/compopt")" = "-o nospace" ]
verdict $? "$scratch/compopt" "behind a kind its arguments may follow"
completes "chanserv serve --service a"
cd "$scratch" || exit 1
: > token-one
: > token-two
completes "chanserv post --token-file tok" token-one token-two
completes "chanserv serve --cert=token-o" token-one
completes "chanserv rtt 127.0.0.1:55"
tap_end
