//! `cargo lab man`: manual pages and shell completion, made from what the programs and the docs say.
//!
//! No page is written by hand and none is committed. A page has what a program's `--help` says, the command table of a
//! daemon, and chapters of `docs/`; each of these is true by itself, a copy would become wrong. The folder is laid out
//! as `/usr/share` is.
//!
//! | module | what it knows |
//! |---|---|
//! | `contents` | which pages there are, and what is in each |
//! | `page` | how a page is put together |
//! | `markdown` | chapters of the docs as a page has them |

mod contents;
mod markdown;
mod page;

use super::{paths, say};
use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use niv_node::nivctl;
use page::Page;
use std::path::{Path, PathBuf};

/// What is written where nobody says it: `target/share`.
fn usual_folder() -> PathBuf {
    paths::target().join("share")
}

/// The programs that have pages, with their options, words and help.
#[must_use]
pub fn programs() -> Vec<Command> {
    contents::programs().into_iter().map(|program| program.command).collect()
}

/// Writes everything below `folder` and says which files, relative to it.
///
/// # Errors
/// A file cannot be written, or a chapter that a page should have is not in the docs.
pub fn write(folder: &Path) -> Result<Vec<PathBuf>> {
    let pages = contents::pages()?;
    let pages = pages.iter().map(|page| (page_file(page), page.text()));
    let completion = contents::programs().into_iter().flat_map(|program| completion(&program.command));
    let mut files = Vec::new();
    for (file, text) in pages.chain(completion) {
        let path = folder.join(&file);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        files.push(file);
    }
    Ok(files)
}

fn page_file(page: &Page) -> PathBuf {
    format!("man/man{0}/{1}.{0}", page.section, page.name).into()
}

/// What makes each shell complete a program's words, where it looks for it.
fn completion(program: &Command) -> Vec<(PathBuf, String)> {
    let name = program.get_name();
    let files = [
        (Shell::Bash, nivctl::Shell::Bash, format!("bash-completion/completions/{name}")),
        (Shell::Zsh, nivctl::Shell::Zsh, format!("zsh/site-functions/_{name}")),
        (Shell::Fish, nivctl::Shell::Fish, format!("fish/vendor_completions.d/{name}.fish")),
    ];
    let script = |shell: Shell, of_nivctl: nivctl::Shell| {
        if name == "nivctl" {
            return of_nivctl.script().to_owned();
        }
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut program.clone(), name, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    files.into_iter().map(|(shell, of_nivctl, file)| (file.into(), script(shell, of_nivctl))).collect()
}

/// The subcommand.
pub(crate) fn run(folder: Option<&Path>) -> Result<()> {
    let folder = folder.map_or_else(usual_folder, Path::to_owned);
    let files = write(&folder)?;
    let pages = files.iter().filter(|file| file.starts_with("man")).count();
    let shown = folder.display();
    say::line(&format!("{pages} manual pages, and completion for bash, zsh and fish, in {shown}"));
    say::line(&format!("  to read one      man -l {shown}/man/man1/nivctl.1"));
    say::line(&format!("  to install them  cp -r {shown}/. /usr/local/share/"));
    Ok(())
}
