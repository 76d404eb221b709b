# bash completion for nivctl
_nivctl() {
    # Bash would cut words at `:` and `=`, too.
    local line=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]/#\~\//$HOME/} words candidate
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        if [[ $candidate == "<file>" ]]; then
            compopt -o default 2>/dev/null
        else
            COMPREPLY+=("$candidate")
        fi
    done < <("$program" complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _nivctl nivctl
