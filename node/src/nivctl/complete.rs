//! Completion in a shell: what `nivctl` itself knows, and what the daemons say may follow.
//!
//! A shell gets a short script from `nivctl completion`. Its function asks `nivctl complete -- WORDS...`, where the last
//! word is the one that is being typed, and gets a line for each candidate: the word, a tab, its help. The line
//! [`FILE`] says that names of files fit. Daemons that do not answer soon have nothing to say, and nothing that goes
//! wrong is told: whoever types must not be disturbed.

use crate::client::{self, Client};
use crate::command::{Hint, Place};
use clap::{Arg, Command, ValueEnum, ValueHint};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// For each daemon; there are two at the most.
const PATIENCE: Duration = Duration::from_millis(500);

/// Stands for names of files.
const FILE: &str = "<file>";

/// Print what makes a shell complete nivctl's words
///
/// The words of the daemons' lines and the names of their ports come from the daemons that run.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completion {
    /// The shell
    pub(super) shell: Shell,
}

const EXAMPLES: &str = "\
For one session, or in the shell's own file for every one:
  bash    eval \"$(nivctl completion bash)\"         (~/.bashrc)
  zsh     eval \"$(nivctl completion zsh)\"          (~/.zshrc, behind compinit)
  fish    nivctl completion fish | source          (~/.config/fish/config.fish)";

/// A shell that can complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// Bash 4 or later
    Bash,
    /// Zsh with compinit
    Zsh,
    /// Fish 3 or later
    Fish,
}

impl Shell {
    /// What makes the shell complete nivctl's words: to be evaluated, or to be put where the shell looks for it.
    #[must_use]
    pub fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("completion.bash"),
            Self::Zsh => include_str!("completion.zsh"),
            Self::Fish => include_str!("completion.fish"),
        }
    }
}

/// Answer a shell
#[derive(clap::Args)]
pub(super) struct Complete {
    /// The words behind nivctl, up to the one that is being typed
    #[arg(last = true)]
    words: Vec<OsString>,
}

impl Complete {
    pub(super) fn answer(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let candidates = candidates(&super::command(), &words, ask);
        candidates.into_iter().map(|(word, help)| format!("{word}\t{help}\n")).collect()
    }
}

/// What is asked of the daemons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question<'a> {
    /// What may follow in a line.
    Line(&'a str),
    /// What can be captured.
    Ports,
}

/// Asks the daemons that a request may go to.
fn ask(api: Option<&str>, question: Question<'_>) -> Vec<Hint> {
    let answer = |client: Client| {
        let client = client.patient(PATIENCE);
        match question {
            Question::Line(line) => client.hints(&Place::default(), line).unwrap_or_default(),
            Question::Ports => {
                let ports = client.ports().unwrap_or_default();
                ports.into_iter().map(|word| Hint { word, help: String::new() }).collect()
            }
        }
    };
    client::find(api.map(Path::new)).unwrap_or_default().into_iter().flat_map(answer).collect()
}

/// What may stand in the place of the last word, in order, with its help.
fn candidates(
    nivctl: &Command,
    words: &[&str],
    ask: impl Fn(Option<&str>, Question<'_>) -> Vec<Hint>,
) -> BTreeMap<String, String> {
    let Some((typed, before)) = words.split_last() else { return BTreeMap::new() };
    let mut nivctl = nivctl.clone();
    nivctl.build();
    let read = Read::of(&nivctl, before);
    let of_daemons = |question: Question<'_>| {
        let hints = ask(read.api, question).into_iter();
        let typeable = hints.filter(|hint| question == Question::Ports || hint.is_keyword());
        typeable.map(|hint| (hint.word, hint.help)).collect::<Vec<_>>()
    };
    let found = match (read.waiting, read.stand) {
        (Some(option), _) => values(option),
        (None, Stand::Line(line)) => of_daemons(Question::Line(&format!("{} {typed}", line.join(" ")))),
        (None, Stand::Command(command, _)) if typed.starts_with('-') => match typed.split_once('=') {
            None => options(command),
            // The shell completes what is behind `=`.
            Some((option, _)) => {
                option_of(command, option).map(|(option, _)| values(option)).unwrap_or_default()
            }
        },
        (None, Stand::Command(command, passed)) => {
            let subcommands = command.get_subcommands().filter(|known| !known.is_hide_set());
            let own = subcommands.map(|known| (known.get_name().to_owned(), help(known.get_about())));
            let mut found: Vec<_> = own.collect();
            if command.is_allow_external_subcommands_set() {
                found.extend(of_daemons(Question::Line(typed)));
            }
            let arguments: Vec<&Arg> = command.get_positionals().collect();
            if let Some(argument) = arguments.get(passed).or(arguments.last().filter(|last| many(last))) {
                found.extend(match argument.get_id().as_str() {
                    "port" => of_daemons(Question::Ports),
                    _ => values(argument),
                });
            }
            found
        }
    };
    let mut fitting = BTreeMap::new();
    for (word, help) in found.into_iter().filter(|(word, _)| word.starts_with(typed) || word == FILE) {
        fitting.entry(word).or_insert(help);
    }
    fitting
}

/// Where the words have led.
enum Stand<'a> {
    /// To one of nivctl's commands, and past so many of its arguments.
    Command(&'a Command, usize),
    /// Into a line for a daemon.
    Line(&'a [&'a str]),
}

/// What the words before the last one say.
struct Read<'a> {
    stand: Stand<'a>,
    /// An option whose value comes next.
    waiting: Option<&'a Arg>,
    api: Option<&'a str>,
}

impl<'a> Read<'a> {
    fn of(nivctl: &'a Command, words: &'a [&'a str]) -> Self {
        let mut read = Self { stand: Stand::Command(nivctl, 0), waiting: None, api: None };
        for (at, word) in words.iter().enumerate() {
            let Stand::Command(command, passed) = read.stand else { break };
            if let Some(option) = read.waiting.take() {
                read.value(option, word);
            } else if let Some((option, value)) = option_of(command, word) {
                match value {
                    Some(value) => read.value(option, value),
                    None => read.waiting = Some(option).filter(|option| option.get_action().takes_values()),
                }
            } else if let Some(own) = command.find_subcommand(word) {
                read.stand = Stand::Command(own, 0);
            } else if command.is_allow_external_subcommands_set() && !word.starts_with('-') {
                read.stand = Stand::Line(words.get(at..).unwrap_or_default());
            } else {
                read.stand = Stand::Command(command, passed + 1);
            }
        }
        read
    }

    fn value(&mut self, option: &Arg, value: &'a str) {
        if option.get_id() == "api" {
            self.api = Some(value);
        }
    }
}

/// The option that a word is, and the value in the same word.
fn option_of<'a, 'w>(command: &'a Command, word: &'w str) -> Option<(&'a Arg, Option<&'w str>)> {
    let mut options =
        command.get_opts().chain(command.get_arguments().filter(|known| !known.is_positional()));
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        return options.find(|known| known.get_long() == Some(name)).map(|option| (option, value));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let first = letters.next()?;
    let option = options.find(|known| known.get_short() == Some(first))?;
    Some((option, Some(letters.as_str()).filter(|rest| !rest.is_empty())))
}

/// The options of a command.
fn options(command: &Command) -> Vec<(String, String)> {
    let options = command.get_arguments().filter(|known| !known.is_positional() && !known.is_hide_set());
    let names = |option: &Arg| {
        let long = option.get_long().map(|long| format!("--{long}"));
        let short = option.get_short().map(|short| format!("-{short}"));
        let help = help(option.get_help());
        long.into_iter().chain(short).map(move |word| (word, help.clone())).collect::<Vec<_>>()
    };
    options.flat_map(names).collect()
}

/// What is known of an argument's value.
fn values(argument: &Arg) -> Vec<(String, String)> {
    let known = argument.get_possible_values();
    match argument.get_value_hint() {
        _ if !known.is_empty() => {
            known.iter().map(|value| (value.get_name().to_owned(), help(value.get_help()))).collect()
        }
        ValueHint::AnyPath | ValueHint::FilePath => vec![(FILE.to_owned(), String::new())],
        _ => Vec::new(),
    }
}

fn many(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What two daemons say: the words of a line, where it stands among its known beginnings.
    fn daemons(api: Option<&str>, question: Question<'_>) -> Vec<Hint> {
        let hint = |word: &str| Hint { word: word.to_owned(), help: format!("help of {word}") };
        match question {
            Question::Ports => ["ethernet1/1", "link0"].map(hint).into(),
            Question::Line("") => ["show", "vnic"].map(hint).into(),
            Question::Line("sh") => vec![hint("show")],
            Question::Line("show ") if api == Some("vis0") => {
                ["counters", "<1-4094>", "WORD", "|", "<cr>"].map(hint).into()
            }
            Question::Line("show ") => ["counters", "drops", "counters"].map(hint).into(),
            Question::Line(_) => Vec::new(),
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        candidates(&super::super::command(), words, daemons).into_keys().collect()
    }

    #[test]
    fn own_words_and_those_of_the_daemons_together() {
        let all = words(&[""]);
        for word in ["capture", "commands", "completion", "configure", "exec", "show", "vnic"] {
            assert!(all.contains(&word.to_owned()), "{word} is not among {all:?}");
        }
        assert!(!all.contains(&"complete".to_owned()), "only shells say that");
        assert_eq!(words(&["-j", ""]), all);
        assert_eq!(words(&["--api", "adapter0", ""]), all);
        assert_eq!(words(&["com"]), ["commands", "completion"]);
        assert_eq!(words(&["sh"]), ["show"]);
        assert_eq!(words(&["show", ""]), ["counters", "drops"]);
        assert_eq!(words(&["--api", "vis0", "show", ""]), ["counters"], "what is no word is not typed");
        assert_eq!(words(&["--api=vis0", "-j", "show", ""]), ["counters"]);
        assert_eq!(words(&["show", "c", ""]), [""; 0]);
        let help = candidates(&super::super::command(), &["show", ""], daemons);
        assert_eq!(help["drops"], "help of drops");
    }

    #[test]
    fn options_ports_and_shells() {
        assert_eq!(words(&["--"]), ["--api", "--help", "--json", "--version"]);
        assert_eq!(words(&["capture", ""]), ["ethernet1/1", "link0"]);
        assert_eq!(words(&["capture", "-c", "10", "l"]), ["link0"]);
        assert_eq!(words(&["capture", "-c10", "-wfile", "l"]), ["link0"]);
        assert_eq!(words(&["capture", "link0", "--"]), ["--api", "--count", "--help", "--json", "--write"]);
        assert_eq!(words(&["capture", "link0", "-c", ""]), [""; 0]);
        assert_eq!(words(&["completion", ""]), ["bash", "fish", "zsh"]);
        assert_eq!(words(&["completion", "bash", ""]), [""; 0]);
    }

    #[test]
    fn where_a_file_is_meant_the_shell_is_told() {
        for before in
            [&["--api", ""][..], &["configure", ""], &["capture", "link0", "-w", "x"], &["--api=ni"]]
        {
            assert_eq!(words(before), [FILE], "{before:?}");
        }
        assert_eq!(words(&["exec", ""]), [""; 0]);
        assert_eq!(words(&[]), [""; 0]);
    }
}
