# fish completion for nivctl
function __nivctl_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l typed (commandline --current-token --cut-at-cursor)
    set -l program (string replace --regex '^~/' "$HOME/" -- $words[1])
    for candidate in ($program complete -- $words[2..] "$typed" 2>/dev/null)
        if string match --quiet --regex '^<file>' -- $candidate
            __fish_complete_path "$typed"
        else
            echo $candidate
        end
    end
end
complete --command nivctl --no-files --arguments '(__nivctl_complete)'
