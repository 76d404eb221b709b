#compdef nivctl
# zsh completion for nivctl
_nivctl() {
    local candidate help
    local -a candidates
    while IFS=$'\t' read -r candidate help; do
        if [[ $candidate == "<file>" ]]; then
            _files
        else
            candidates+=("${candidate//:/\\:}:$help")
        fi
    done < <("${(Q)words[1]/#\~\//$HOME/}" complete -- "${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)
    (( $#candidates )) && _describe -t words word candidates
}
if [[ $funcstack[1] == _nivctl ]]; then
    _nivctl "$@"
else
    compdef _nivctl nivctl
fi
