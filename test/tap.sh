# Sourced by the test scripts (bash): results in the Test Anything Protocol, which is what the driver of
# make check counts.  A script says ok or not_ok for each thing it tests, and tap_end at its end.

tap_count=0
tap_bad=0

ok() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - ${*//#/}"
}

# What went wrong comes on standard input, or is empty.
not_ok() {
    tap_count=$((tap_count + 1))
    tap_bad=$((tap_bad + 1))
    [ -t 0 ] || sed 's/^/# /'
    echo "not ok $tap_count - ${*//#/}"
}

# verdict STATUS FILE NAME: ok when STATUS is 0, else not ok with what FILE says.
verdict() {
    if [ "$1" -eq 0 ]; then ok "$3"; else not_ok "$3" < "$2"; fi
}

# A skip is for people who build a tarball without our tools; test/run counts it as a failure.
skip() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count # SKIP $*"
}

tap_end() {
    echo "1..$tap_count"
    [ "$tap_bad" -eq 0 ]
    exit
}
