# bash completion for chanserv(1): commands, their options, kinds of service, files.
#
# What there is to complete is asked of the program's own help, so nothing is said twice.

_chanserv() {
    local program=$1 command=${COMP_WORDS[1]} line=${COMP_LINE:0:COMP_POINT} word before prev help
    local words=()

    COMPREPLY=()
    # bash cuts words at "=" and ":"; these are the whole one and the one before it.
    word=${line##*[[:space:]]}
    before=${line%"$word"}
    before=${before%"${before##*[![:space:]]}"}
    prev=${before##*[[:space:]]}
    if [ "$COMP_CWORD" -eq 1 ] || [ "$command" = help ]; then
        mapfile -t words < <("$program" help 2> /dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
        [ "$COMP_CWORD" -eq 1 ] && words+=(--help --version) || words+=(exit)
        [ "$COMP_CWORD" -le 2 ] && mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$word")
        return
    fi
    help=$("$program" "$command" --help 2> /dev/null) || return
    case $word in
    --*=*)
        prev=${word%%=*}
        word=${word#*=}
        ;;
    esac
    case $prev in
    --service)
        if [ "$command" = serve ] && [ "${word#*=}" != "$word" ]; then
            mapfile -t words < <(sed -n '/^Kinds:/,$s/^  \([a-z][a-z-]*:\{0,1\}\).*/\1/p' <<< "$help")
            mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "${word#*=}")
            compopt -o nospace
        fi
        return
        ;;
    --*)
        if grep -qE -- "$prev FILE" <<< "$help"; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
        fi
        ;;
    esac
    if [ "${word#-}" != "$word" ]; then
        mapfile -t words < <(grep '^  ' <<< "$help" | grep -oE -- '--[a-z][a-z-]+' | sort -u)
        mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$word")
    fi
}
complete -F _chanserv chanserv
