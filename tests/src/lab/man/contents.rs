//! Which pages there are, and what is in each.

use super::markdown::Document;
use super::page::Page;
use anyhow::Result;
use clap::{Command, CommandFactory};
use niv_node::command::{CommandInfo, EXEC};
use niv_node::{nivctl, nivsh};
use roff::{Inline, Roff, roman};

/// The command line of `vntag`, which its library, free of all that, does not have.
#[path = "../../../../vntag/src/cli/args.rs"]
#[allow(dead_code, reason = "only what the arguments are called is of interest")]
mod vntag;

const RUNNING: Document = Document { name: "running.md", text: include_str!("../../../../docs/running.md") };
const DOCTOR: Document = Document { name: "doctor.md", text: include_str!("../../../../docs/doctor.md") };
const CONFIGURATION: Document =
    Document { name: "configuration.md", text: include_str!("../../../../docs/configuration.md") };

/// A program that is installed.
pub(super) struct Program {
    pub(super) command: Command,
    section: u8,
    /// The lines that it answers.
    table: Vec<CommandInfo>,
    /// The chapters about it in `docs/running.md`.
    chapters: &'static [&'static str],
}

pub(super) fn programs() -> Vec<Program> {
    let tool = |command, chapters| Program { command, section: 1, table: Vec::new(), chapters };
    let daemon = |command, table, chapters| Program { command, section: 8, table, chapters };
    vec![
        tool(nivctl::command(), &["Looking", "Completion"]),
        tool(nivsh::command(), &["The shell"]),
        tool(vntag::Args::command(), &[]),
        daemon(
            vis_switch::cli::Cli::command(),
            vis_switch::admin::table().commands(),
            &["State", "Under systemd"],
        ),
        daemon(
            niv_adapter::cli::Cli::command(),
            niv_adapter::admin::table().commands(),
            &["A guest", "A container, or a plain interface", "vNICs that come and go", "Under systemd"],
        ),
    ]
}

/// What the docs say about a subcommand: its page, where, which chapter.
const OF_SUBCOMMANDS: [(&str, Document, &str); 2] =
    [("nivctl-capture", RUNNING, "Capturing"), ("nivctl-doctor", DOCTOR, "When something does not work")];

/// The file of a daemon.
struct File {
    /// Its page.
    name: &'static str,
    about: &'static str,
    read_by: &'static str,
    example: &'static str,
    chapters: &'static [&'static str],
}

const FILES: [File; 2] = [
    File {
        name: "vis-switch.toml",
        about: "what a vis-switch is made of: ports, devices, sockets",
        read_by: "vis-switch(8)",
        example: "vis.toml",
        chapters: &["Keys of every daemon", "Keys of the switch", "Devices"],
    },
    File {
        name: "niv-adapter.toml",
        about: "what a niv-adapter is made of: links, vNICs, devices, sockets",
        read_by: "niv-adapter(8)",
        example: "adapter.toml",
        chapters: &[
            "Keys of every daemon",
            "Keys of the adapter",
            "Devices",
            "The link of a guest",
            "Links without negotiation",
            "A firmware that misbehaves",
        ],
    },
];

/// All pages.
///
/// # Errors
/// A chapter is not there.
pub(super) fn pages() -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for program in programs() {
        let mut command = program.command.clone().disable_help_subcommand(true);
        command.build();
        let mut page = Page::of_program(&command, program.section)?;
        let lines: Vec<CommandInfo> =
            program.table.iter().filter(|line| line.mode == EXEC.name()).cloned().collect();
        if !lines.is_empty() {
            page.commands(&lines);
        }
        for chapter in program.chapters {
            page.add(&RUNNING.chapter(chapter)?);
        }
        pages.push(page);
        for subcommand in command.get_subcommands().filter(|known| !known.is_hide_set()) {
            let mut page = Page::of_program(subcommand, program.section)?;
            if let Some((_, document, chapter)) = OF_SUBCOMMANDS.iter().find(|(name, ..)| *name == page.name)
            {
                page.add(&document.chapter(chapter)?);
            }
            pages.push(page);
        }
    }
    for file in FILES {
        let mut page = Page::new(file.name, 5, file.about);
        let read = format!("The file that {} is given by --config, in TOML.", file.read_by);
        page.add(&description([roman(read)]));
        for chapter in file.chapters {
            page.add(&RUNNING.chapter(chapter)?);
        }
        page.example(&RUNNING.file(file.example)?);
        pages.push(page);
    }
    let mut page = Page::new("vis-config", 7, "the configuration of a vis-switch and its language");
    page.add(&description([]));
    page.add(&CONFIGURATION.whole());
    pages.push(page);

    let of_subcommand = |page: &Page| page.section == 1 && page.name.contains('-');
    let names: Vec<String> = pages
        .iter()
        .filter(|page| !of_subcommand(page))
        .map(|page| format!("{}({})", page.name, page.section))
        .collect();
    pages.iter_mut().for_each(|page| page.see_also(&names));
    Ok(pages)
}

/// How a page begins that is not a program's.
fn description(text: impl IntoIterator<Item = Inline>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    for text in text {
        roff.text([text]);
    }
    roff
}
