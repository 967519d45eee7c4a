# Sourced by the scripts of this folder that run the real program (bash, TAP): the program, a folder
# of scratch to be in, and what they all ask.  Nothing here takes long: what does, hangs.
set -u
export LC_ALL=C.UTF-8
unset CHANSERV_ADDR CHANSERV_TOKEN CHANSERV_LOG TRACEPARENT
unset NOTIFY_SOCKET WATCHDOG_USEC LISTEN_PID LISTEN_FDS
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tap.sh"
tool=${CHANSERV_TOOL:-${CHANSERV_BUILD:-$(dirname "$here")}/tools/chanserv}
scratch=$(mktemp -d) || exit 1
server=    # the one that runs,
servers=() # or all that may
trap 'kill ${server:+"$server"} "${servers[@]}" 2>/dev/null; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

# With $input as its standard input, or none.
chanserv() { timeout 60 "$tool" "$@" < "${input:-/dev/null}" > out 2> err; }

# runs CODE NAME ARGUMENT...: the exit code is CODE.
runs() {
    local want=$1 name=$2 got
    shift 2
    chanserv "$@"
    got=$?
    [ $got -eq "$want" ] || echo "exit code $got, not $want" >> err
    [ $got -eq "$want" ]
    verdict $? err "$name"
}

# has FILE TEXT NAME: FILE has TEXT in it.
has() {
    grep -qF -- "$2" "$1"
    verdict $? "$1" "$3"
}

# stop [SIGNAL]: the server of descriptor 3 ends well.
stop() {
    local signal=${1:-TERM} got
    kill "-$signal" "$server"
    wait "$server"
    got=$?
    server=
    exec 3<&-
    [ $got -eq 0 ]
    verdict $? server "serve ends with 0 on SIG$signal"
}
