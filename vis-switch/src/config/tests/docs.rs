//! `docs/configuration.md` has every command of the table, nothing else, and examples that work.

use super::*;
use niv_node::command::{Command, EXEC};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// A command in the words of the page: where it is known, its syntax, what undoes it, what sets it back.
type Known = (String, String, Option<String>, Option<String>);

/// A section of the page about one command.
struct Section {
    syntax: String,
    modes: Vec<String>,
    no: Option<String>,
    default: Option<String>,
    example: String,
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    for text in PAGE.split("\n### ").skip(1) {
        let text = text.split("\n## ").next().unwrap();
        let mut lines = text.lines();
        let heading = quoted(lines.next().unwrap());
        let facts = lines.find(|line| !line.is_empty()).unwrap();
        let (modes, undone) = facts.split_once(". ").unwrap_or((facts, ""));
        assert!(modes.starts_with("In `") && facts.ends_with('.'), "{facts}");
        let behind =
            |word: &str| quoted(undone).iter().find_map(|text| text.strip_prefix(word).map(str::to_owned));
        let (no, default) = (behind("no "), behind("default "));
        let example: String =
            lines.filter_map(|line| line.strip_prefix("    ")).map(|line| format!("{line}\n")).collect();
        sections.push(Section { syntax: heading[0].clone(), modes: quoted(modes), no, default, example });
    }
    sections
}

/// The chassis of the examples.
fn chassis() -> RunningConfig {
    let id = |port| EthernetId { slot: 1, port };
    RunningConfig::new([
        (id(1), ethernet(PortMode::Vntag, false, true)),
        (id(2), ethernet(PortMode::Plain, true, true)),
        (id(3), ethernet(PortMode::Vntag, false, false)),
    ])
}

fn try_example(commands: Vec<Command<Session>>, example: &str) -> Result<Output, CommandError> {
    let mut session = Session { config: chassis(), selected: None, asked: BTreeMap::new() };
    Table::new(commands, &[]).configure(&mut session, example)
}

#[test]
fn the_page_has_the_commands_of_the_table() {
    let of_page: Vec<Known> = sections()
        .into_iter()
        .flat_map(|section| {
            let Section { syntax, modes, no, default, .. } = section;
            modes.into_iter().map(move |mode| (mode, syntax.clone(), no.clone(), default.clone()))
        })
        .collect();
    let on_page: BTreeSet<Known> = of_page.iter().cloned().collect();
    assert_eq!(of_page.len(), on_page.len(), "a command has two sections");
    let in_table: BTreeSet<Known> = crate::admin::table()
        .commands()
        .into_iter()
        .filter(|command| command.mode != EXEC.name())
        .map(|command| (command.mode, command.syntax, command.no, command.default))
        .collect();
    assert_eq!(on_page.difference(&in_table).collect::<Vec<_>>(), Vec::<&Known>::new(), "not in the table");
    assert_eq!(in_table.difference(&on_page).collect::<Vec<_>>(), Vec::<&Known>::new(), "not on the page");
}

#[test]
fn the_examples_work_and_need_their_command() {
    let infos = Table::<Session>::new(commands(), &[]).commands();
    for Section { syntax, example, .. } in sections() {
        if let Err(error) = try_example(commands(), &example) {
            panic!("{syntax}: {error}");
        }
        let others = commands().into_iter().zip(&infos);
        let others = others.filter(|(_, info)| info.syntax != syntax).map(|(command, _)| command).collect();
        assert!(try_example(others, &example).is_err(), "{syntax} is not in its example");
    }
}
