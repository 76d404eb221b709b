//! What real shells complete behind `nivctl`, with a real daemon (`examples/toy.rs`), one that hangs, and none.
//!
//! A shell that is not there is left out and says so; with `CI=true` that is a failure.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NIVCTL: &str = env!("CARGO_BIN_EXE_nivctl");

/// A folder with the scripts in it and, if it is wanted, a running toy.
struct Place {
    folder: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Place {
    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("lines.cfg"), "").expect("written");
        let place = Self { folder, daemon: None };
        for shell in ["bash", "zsh", "fish"] {
            let (code, script, _) = place.run(Command::new(NIVCTL).args(["completion", shell]));
            assert_eq!(code, Some(0));
            std::fs::write(place.folder.path().join(shell), script).expect("written");
        }
        place
    }

    fn with_daemon() -> Self {
        let mut place = Self::empty();
        let toy = Path::new(NIVCTL).parent().expect("a folder").join("examples").join("toy");
        assert!(toy.exists(), "`cargo test -p niv-node` builds the example; `--test completion` does not");
        let config = "[node]\nname = \"vis0\"\napi = \"niv-run/vis0.sock\"\n";
        std::fs::write(place.folder.path().join("toy.toml"), config).expect("written");
        let mut command = Command::new(toy);
        command.args(["--config", "toy.toml"]).current_dir(place.folder.path());
        let mut daemon = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("built");
        let mut line = String::new();
        BufReader::new(daemon.stdout.as_mut().expect("piped")).read_line(&mut line).expect("readable");
        assert_eq!(line, "ready\n");
        place.daemon = Some(daemon);
        place
    }

    fn run(&self, command: &mut Command) -> (Option<i32>, String, String) {
        let programs = Path::new(NIVCTL).parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(self.folder.path()).env("PATH", format!("{programs}:{path}"));
        // Fish keeps a history in the home folder.
        command.env("HOME", self.folder.path()).env_remove("NIV_API").stdin(Stdio::null());
        let output = command.output().expect("a program that is there");
        let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// What a shell offers behind this line, and that it says nothing else.
    #[track_caller]
    fn offered(&self, shell: &str, line: &str) -> Vec<String> {
        let mut command = Command::new(shell);
        match shell {
            "bash" => command.args(["--norc", "-c", IN_BASH, "bash", line]),
            "zsh" => command.args(["-f", "-c", IN_ZSH, "zsh", line]),
            "fish" => command.args(["--no-config", "-c", "source fish; complete -C $argv[1]", line]),
            other => panic!("{other}"),
        };
        let (code, said, complained) = self.run(&mut command);
        assert_eq!((code, complained.as_str()), (Some(0), ""), "{shell}: {line}");
        let words = said.lines().filter_map(|line| line.split(['\t', ':']).next());
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Completes a line as readline does: with the function that is registered for its first word.
const IN_BASH: &str = r#"
source ./bash
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"$1"
compopt() { [[ "$*" == "-o default" ]] && echo "(files)"; }
function=$(complete -p nivctl); function=${function#*-F }
${function% *} nivctl
for word in "${COMPREPLY[@]}"; do echo "$word"; done
"#;

/// The same, with what zsh's completion system would be given caught.
const IN_ZSH: &str = r#"
compdef() { function=$1 }
_describe() { local word; for word in "${(P@)${@[-1]}}"; do echo "$word"; done }
_files() { echo "(files)" }
source ./zsh
words=("${(@s: :)1}") CURRENT=$#words PREFIX=${words[-1]}
$function; true
"#;

/// The shells that are there.
fn shells() -> Vec<&'static str> {
    let there = |shell: &&str| {
        let there = Command::new(shell).args(["-c", ":"]).status().is_ok();
        assert!(there || std::env::var("CI").as_deref() != Ok("true"), "{shell} is missing");
        if !there {
            println!("skipped: {shell} is missing");
        }
        there
    };
    ["bash", "zsh", "fish"].into_iter().filter(there).collect()
}

#[test]
fn the_scripts_have_no_mistake_in_syntax() {
    let place = Place::empty();
    for shell in shells() {
        let (code, said, complained) = place.run(Command::new(shell).args(["-n", shell]));
        assert_eq!((code, said.as_str(), complained.as_str()), (Some(0), "", ""), "{shell}");
    }
    let (code, _, complained) = place.run(Command::new(NIVCTL).args(["completion", "tcsh"]));
    assert!(code == Some(2) && complained.contains("[possible values: bash, zsh, fish]"), "{complained}");
}

#[test]
fn a_shell_completes_own_words_lines_ports_and_files() {
    let place = Place::with_daemon();
    for shell in shells() {
        let own = ["capture", "commands", "completion", "configure", "exec"];
        let all = place.offered(shell, "nivctl ");
        for word in own.into_iter().chain(["show"]) {
            assert!(all.contains(&word.to_owned()), "{shell}: {word} is not among {all:?}");
        }
        assert_eq!(place.offered(shell, "nivctl sh"), ["show"], "{shell}");
        assert_eq!(place.offered(shell, "nivctl show "), ["vlan"], "{shell}");
        assert_eq!(place.offered(shell, "nivctl -j show vlan i"), ["id"], "{shell}");
        assert_eq!(place.offered(shell, "nivctl --api=niv-run/vis0.sock sho"), ["show"], "{shell}");
        assert_eq!(place.offered(shell, "nivctl capture "), ["clock"], "{shell}");
        assert_eq!(place.offered(shell, "nivctl capture clock --c"), ["--count"], "{shell}");
        let files = place.offered(shell, "nivctl configure lin");
        assert!(files == ["(files)"] || files == ["lines.cfg"], "{shell}: {files:?}");
        assert_eq!(place.offered(shell, "nivctl show nothing "), [""; 0], "{shell}");
    }
}

#[test]
fn without_a_daemon_a_shell_completes_what_is_known_and_says_nothing() {
    let place = Place::empty();
    for shell in shells() {
        assert_eq!(place.offered(shell, "nivctl comm"), ["commands"], "{shell}");
        assert_eq!(place.offered(shell, "nivctl sh"), [""; 0], "{shell}");
        assert_eq!(place.offered(shell, "nivctl --api nowhere.sock show "), [""; 0], "{shell}");
        assert_eq!(place.offered(shell, "nivctl capture "), [""; 0], "{shell}");
    }
}

#[test]
fn a_daemon_that_hangs_is_not_waited_for() {
    let place = Place::with_daemon();
    let daemon = Pid::from_child(place.daemon.as_ref().expect("it runs"));
    kill_process(daemon, Signal::STOP).expect("it runs");
    let started = Instant::now();
    assert_eq!(place.offered("bash", "nivctl sh"), [""; 0]);
    // It would be a minute, for a request that is no completion.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    kill_process(daemon, Signal::CONT).expect("it runs");
    assert_eq!(place.offered("bash", "nivctl sh"), ["show"]);
}
