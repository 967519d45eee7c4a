#!/bin/bash
# The lists of files in the makefiles, held against the tree.
#
#   test/lists.sh          says where a list and the tree differ, and which sources no list has (TAP)
#   test/lists.sh --fix    rewrites the lists
#
# Automake has no portable wildcards, so a list names each file; this keeps them whole.  A list
# stands under a line that says what belongs in it ("!" takes away):
#
#   # files: base/*.c base/*.h !base/old.c
#   libbase_la_SOURCES = base/a.c ...
#
# "programs:" in place of "files:" is the same without the ending.
set -u
export LC_ALL=C
shopt -s nullglob globstar extglob
cd "$(dirname "$0")/.." || exit 1
fix=0
[ "${1:-}" = --fix ] && fix=1
makefiles=(Makefile.am */local.mk)

# expected KIND PATTERN... : the files, one a line.
expected() {
    local kind=$1 pattern file out=()
    shift
    declare -A drop=()
    for pattern in "$@"; do
        if [ "${pattern#!}" != "$pattern" ]; then
            for file in ${pattern#!}; do drop[$file]=1; done
        fi
    done
    for pattern in "$@"; do
        [ "${pattern#!}" != "$pattern" ] && continue
        for file in $pattern; do
            case $file in *.pb-c.*|*/node_modules/*|*/__pycache__/*|*.o|*.log|*.trs) continue ;; esac
            [ -f "$file" ] && [ -z "${drop[$file]:-}" ] && out+=("$file")
        done
    done
    [ ${#out[@]} -eq 0 ] && return
    if [ "$kind" = programs ]; then
        printf '%s\n' "${out[@]%.*}" | sort -u
    else
        printf '%s\n' "${out[@]}" | sort -u
    fi
}

# check FILE: writes the corrected makefile to stdout, differences to stderr.
check() {
    local line kind='' patterns='' head rest body want number=0 at
    while IFS= read -r line; do
        number=$((number + 1))
        if [ -n "$kind" ]; then
            at=$number
            head=${line%%=*}
            rest=${line#*=}
            body=${rest%\\}
            while [ "${rest%\\}" != "$rest" ] && IFS= read -r rest; do
                number=$((number + 1))
                body+=" ${rest%\\}"
            done
            set -f
            # shellcheck disable=SC2086
            set -- $patterns
            set +f
            want=$(expected "$kind" "$@")
            if [ "$(echo $body)" != "$(echo $want)" ]; then
                diff <(printf '%s\n' $body) <(printf '%s\n' $want) | sed -n \
                    -e "s|^>|$1:$at: lacks|p" -e "s|^<|$1:$at: has no file for|p" |
                    sed "s|^[^:]*:|$makefile:|" >&2
            fi
            printf '%s=' "$head"
            for file in $want; do printf ' \\\n\t%s' "$file"; done
            printf '\n'
            kind=''
            continue
        fi
        case $line in
        '# files: '*|'# programs: '*)
            kind=${line#'# '}
            patterns=${kind#*: }
            kind=${kind%%:*} ;;
        esac
        printf '%s\n' "$line"
    done < "$1"
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
: > "$scratch/wrong"
for makefile in "${makefiles[@]}"; do
    check "$makefile" > "$scratch/new" 2> "$scratch/said"
    if [ -s "$scratch/said" ]; then
        if [ $fix -eq 1 ]; then
            sed 's/^/fixed: /' "$scratch/said"
            cat "$scratch/new" > "$makefile"
        else
            cat "$scratch/said" >> "$scratch/wrong"
        fi
    elif [ $fix -eq 1 ] && ! cmp -s "$scratch/new" "$makefile"; then
        cat "$scratch/new" > "$makefile"
    fi
done

# What no list mentions is neither built nor run, and nobody notices.
for file in {base,proto,mux,chanserv,gateway,services,tools,examples,bench,test}/**/*.@(c|h|cc|sh|py|js|proto); do
    case $file in *.pb-c.*|*/node_modules/*) continue ;; esac
    plain=${file%.*}
    if ! cat "${makefiles[@]}" | tr -s ' \t\\' '\n' | grep -qxF -e "$file" -e "$plain"; then
        echo "$file: in no list of a makefile" >> "$scratch/wrong"
    fi
done
if [ $fix -eq 1 ]; then
    cat "$scratch/wrong"
    exit
fi
. test/tap.sh
[ ! -s "$scratch/wrong" ]
verdict $? "$scratch/wrong" "the lists of the makefiles are those of the tree"
tap_end
