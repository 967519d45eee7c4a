#!/bin/bash
# Every source as .clang-format would write it (TAP: one result a file).
# Another version of clang-format has other ideas, so only the one that wrote them is asked.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
. test/tap.sh
version=14

tool=
for try in "clang-format-$version" clang-format; do
    if "$try" --version 2>/dev/null | grep -q "version $version\\."; then
        tool=$try
        break
    fi
done
if [ -z "$tool" ]; then
    skip "clang-format $version is not installed"
    tap_end
fi

scratch=$(mktemp) || exit 1
trap 'rm -f "$scratch"' EXIT
mapfile -t files < <(find base proto mux chanserv gateway services tools examples bench test \
    \( -name node_modules -o -name .libs \) -prune -o -name '*.[ch]' ! -name '*.pb-c.*' -print \
    2>/dev/null | sort)
# All at once takes a fifth of the time; only if something is wrong, each is asked.
"$tool" --style=file --dry-run -Werror "${files[@]}" > /dev/null 2>&1
all=$?
for file in "${files[@]}"; do
    [ $all -eq 0 ] || "$tool" --style=file --dry-run -Werror "$file" > "$scratch" 2>&1
    verdict $? "$scratch" "$file is as clang-format writes it"
done
tap_end
