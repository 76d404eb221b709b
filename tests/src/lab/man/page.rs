//! How a page is put together.

use super::markdown::{title, verbatim};
use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use niv_node::command::CommandInfo;
use roff::{Inline, Roff, bold, italic, roman};

/// A page of the manual.
pub(super) struct Page {
    pub(super) name: String,
    pub(super) section: u8,
    text: String,
}

impl Page {
    /// A page that begins with its name and what that is.
    pub(super) fn new(name: &str, section: u8, about: &str) -> Self {
        let mut page = Self { name: name.to_owned(), section, text: String::new() };
        let mut roff = Roff::new();
        // No date: the same source makes the same page on any day.
        let version = format!("niv {}", env!("CARGO_PKG_VERSION"));
        roff.control("TH", [name, &section.to_string(), "\"\"", &version, "NIV emulator"]);
        roff.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
        page.add(&roff);
        page
    }

    /// The page of a program or of one of its subcommands, as its help has it.
    pub(super) fn of_program(command: &Command, section: u8) -> Result<Self> {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let mut page = Self::new(&name, section, &about);
        let man = Man::new(command.clone()).section(section.to_string());
        let mut text = Vec::new();
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if command.get_subcommands().any(|known| !known.is_hide_set()) {
            man.render_subcommands_section(&mut text)?;
        }
        page.text.push_str(&String::from_utf8_lossy(&text));
        if let Some(notes) = command.get_after_long_help().or(command.get_after_help()) {
            let mut roff = Roff::new();
            roff.control("SH", ["NOTES"]);
            prose(&mut roff, &notes.to_string());
            page.add(&roff);
        }
        Ok(page)
    }

    pub(super) fn add(&mut self, roff: &Roff) {
        self.text.push_str(&roff.render());
    }

    /// A section with a file in it.
    pub(super) fn example(&mut self, text: &str) {
        let mut roff = Roff::new();
        title(&mut roff, "SH", vec![roman("EXAMPLE")]);
        verbatim(&mut roff, text);
        self.add(&roff);
    }

    /// A section with commands of a table.
    pub(super) fn commands(&mut self, commands: &[CommandInfo]) {
        let mut roff = Roff::new();
        roff.control("SH", ["COMMANDS"]);
        roff.text([roman(
            "Lines for nivctl(1) and nivsh(1). Words may be shortened as long as they are clear.",
        )]);
        for command in commands {
            roff.control("TP", []).text(syntax(&command.syntax)).text([roman(command.help.as_str())]);
        }
        self.add(&roff);
    }

    /// The last section.
    pub(super) fn see_also(&mut self, pages: &[String]) {
        let mut roff = Roff::new();
        let this = format!("{}({})", self.name, self.section);
        let others: Vec<&str> = pages.iter().filter(|page| **page != this).map(String::as_str).collect();
        roff.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
        self.add(&roff);
    }

    /// The whole page, in ASCII.
    pub(super) fn text(&self) -> String {
        let escaped = |c: char| match c.is_ascii() {
            true => c.to_string(),
            false => format!("\\[u{:04X}]", u32::from(c)),
        };
        self.text.chars().map(escaped).collect()
    }
}

/// Text behind the options of a help: paragraphs, and what is indented as it is.
fn prose(roff: &mut Roff, text: &str) {
    let indented = |line: &str| line.starts_with("  ");
    let mut lines = text.trim_end().lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let mut block = vec![line];
        while let Some(next) = lines.next_if(|next| !next.is_empty() && indented(next) == indented(line)) {
            block.push(next);
        }
        if indented(line) {
            let lines: Vec<&str> = block.iter().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
            verbatim(roff, &lines.join("\n"));
        } else {
            roff.control("PP", []).text([roman(block.join(" "))]);
        }
    }
}

/// The syntax of a command: its words bold, its parameters by their names.
fn syntax(text: &str) -> Vec<Inline> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let part = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((parameter, behind)) => {
                let name = parameter.split(':').next().unwrap_or(parameter);
                rest = behind;
                italic(name)
            }
            None => {
                let mark = |c: char| c == ' ' || "[]{}|<".contains(c);
                let end = rest.find(mark).filter(|end| *end > 0);
                let of_marks = end.is_none() && rest.starts_with(mark);
                let end = end.unwrap_or(if of_marks { 1 } else { rest.len() });
                let (part, behind) = rest.split_at(end);
                rest = behind;
                if of_marks { roman(part) } else { bold(part) }
            }
        };
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bold_and_parameters_italic() {
        let parts = syntax("vnic add <name:word> [a|b]");
        let expected = [
            bold("vnic"),
            roman(" "),
            bold("add"),
            roman(" "),
            italic("name"),
            roman(" "),
            roman("["),
            bold("a"),
            roman("|"),
            bold("b"),
            roman("]"),
        ];
        assert_eq!(parts, expected);
        assert_eq!(syntax("<unclosed"), [roman("<"), bold("unclosed")]);
    }

    #[test]
    fn what_is_indented_in_a_help_stays_as_it_is() {
        let mut roff = Roff::new();
        prose(&mut roff, "Two\nlines:\n  a  b\n  c\n\nEnd.");
        let expected = ".PP\nTwo lines:\n.PP\n.RS 4\n.nf\na  b\nc\n.fi\n.RE\n.PP\nEnd.\n";
        assert_eq!(roff.to_roff(), expected);
    }
}
