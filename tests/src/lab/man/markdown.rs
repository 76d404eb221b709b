//! Chapters of the docs, as a page has them.

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// A file of the docs.
pub(super) struct Document {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

impl Document {
    fn events(&self) -> impl Iterator<Item = Event<'static>> {
        Parser::new_ext(self.text, Options::ENABLE_TABLES)
    }

    /// Everything behind the title.
    pub(super) fn whole(&self) -> Roff {
        let behind_title = self.events().skip_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        Writer::new(HeadingLevel::H2).write(behind_title.skip(1))
    }

    /// A chapter with its heading and the chapters in it.
    ///
    /// # Errors
    /// There is none of this title.
    pub(super) fn chapter(&self, title: &str) -> Result<Roff> {
        let mut events = self.events().peekable();
        let no_such = || format!("docs/{} has no chapter \"{title}\"", self.name);
        loop {
            let Event::Start(Tag::Heading { level, .. }) = events.next().with_context(no_such)? else {
                continue;
            };
            let text: String = std::iter::from_fn(|| events.next_if(|event| !matches!(event, Event::End(_))))
                .filter_map(|event| match event {
                    Event::Text(text) | Event::Code(text) => Some(text.into_string()),
                    _ => None,
                })
                .collect();
            if text != title {
                continue;
            }
            let begin = [Event::Start(heading(level)), Event::Text(text.into())];
            let inside = events.take_while(
                |event| !matches!(event, Event::Start(Tag::Heading { level: next, .. }) if *next <= level),
            );
            return Ok(Writer::new(level).write(begin.into_iter().chain(inside)));
        }
    }

    /// The example behind a paragraph that says only "`FILE`:".
    ///
    /// # Errors
    /// There is none.
    pub(super) fn file(&self, file: &str) -> Result<String> {
        let (_, behind) = self
            .text
            .split_once(&format!("\n`{file}`:\n\n"))
            .with_context(|| format!("docs/{} has no example of {file}", self.name))?;
        let lines = behind.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        let text: String = lines.map(|line| format!("{}\n", line.get(4..).unwrap_or_default())).collect();
        Ok(text.trim_end().to_owned())
    }
}

fn heading(level: HeadingLevel) -> Tag<'static> {
    Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() }
}

/// Where a link in the docs leads in the manual.
fn page_of(target: &str) -> Option<&'static str> {
    let (file, _) = target.split_once('#').unwrap_or((target, ""));
    match file {
        "configuration.md" => Some("vis-config(7)"),
        "running.md" => Some("vis-switch.toml(5)"),
        _ => None,
    }
}

/// Lines as they are.
pub(super) fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("PP", []).control("RS", ["4"]).control("nf", []);
    for line in text.trim_end().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []).control("RE", []);
}

/// A heading of the first or second level.
pub(super) fn title(roff: &mut Roff, macro_: &str, text: Vec<Inline>) {
    // Without an argument it takes the line that follows, whatever characters are in it.
    roff.control(macro_, []).text(text);
}

/// Writes a page as the docs are read.
struct Writer {
    /// What becomes a section; what is below becomes a part of one.
    sections: HeadingLevel,
    roff: Roff,
    line: Vec<Inline>,
    bold: bool,
    italic: bool,
    /// A list's next number, or bullets, for each list around.
    lists: Vec<Option<u64>>,
    /// The next paragraph goes on behind its bullet or term.
    hanging: bool,
    /// What the columns of a table are called.
    columns: Vec<Vec<Inline>>,
    /// The cells of a row so far.
    cells: Vec<Vec<Inline>>,
    code: Option<String>,
    /// Where a link's text begins, and the page that is named instead.
    link: Option<(usize, &'static str)>,
}

impl Writer {
    fn new(sections: HeadingLevel) -> Self {
        Self {
            sections,
            roff: Roff::new(),
            line: Vec::new(),
            bold: false,
            italic: false,
            lists: Vec::new(),
            hanging: false,
            columns: Vec::new(),
            cells: Vec::new(),
            code: None,
            link: None,
        }
    }

    fn write(mut self, events: impl Iterator<Item = Event<'static>>) -> Roff {
        for event in events {
            match event {
                Event::Start(tag) => self.begin(&tag),
                Event::End(tag) => self.end(tag),
                Event::Text(text) => match &mut self.code {
                    Some(code) => code.push_str(&text),
                    None => self.say(&text),
                },
                Event::Code(text) => self.line.push(bold(text.into_string())),
                Event::Html(text) | Event::InlineHtml(text) => self.say(&text),
                Event::SoftBreak | Event::HardBreak => self.line.push(roman(" ")),
                _ => {}
            }
        }
        self.flush();
        self.roff
    }

    fn say(&mut self, text: &str) {
        let inline = match (self.bold, self.italic) {
            (true, _) => bold(text),
            (false, true) => italic(text),
            (false, false) => roman(text),
        };
        self.line.push(inline);
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Emphasis => self.italic = true,
            Tag::Strong => self.bold = true,
            Tag::CodeBlock(CodeBlockKind::Indented | CodeBlockKind::Fenced(_)) => {
                self.flush();
                self.code = Some(String::new());
            }
            Tag::Link { dest_url, .. } => self.link = page_of(dest_url).map(|page| (self.line.len(), page)),
            Tag::List(first) => {
                self.flush();
                if !self.lists.is_empty() {
                    self.roff.control("RS", []);
                }
                self.lists.push(*first);
            }
            Tag::Item => {
                match self.lists.last_mut() {
                    Some(Some(number)) => {
                        self.roff.control("IP", [format!("{number}.").as_str(), "4"]);
                        *number += 1;
                    }
                    _ => {
                        self.roff.control("IP", ["\\(bu", "2"]);
                    }
                }
                self.hanging = true;
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis => self.italic = false,
            TagEnd::Strong => self.bold = false,
            TagEnd::Link => {
                if let Some((begin, page)) = self.link.take() {
                    self.line.truncate(begin);
                    self.line.push(roman(page));
                }
            }
            TagEnd::Heading(level) => {
                let text = core::mem::take(&mut self.line);
                if level <= self.sections {
                    title(&mut self.roff, "SH", text.into_iter().map(upper).collect());
                } else {
                    title(&mut self.roff, "SS", text);
                }
            }
            TagEnd::CodeBlock => verbatim(&mut self.roff, &self.code.take().unwrap_or_default()),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.roff.control("RE", []);
                }
            }
            TagEnd::TableCell => self.cells.push(core::mem::take(&mut self.line)),
            TagEnd::TableHead => self.columns = core::mem::take(&mut self.cells),
            TagEnd::TableRow => self.row(),
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            _ => {}
        }
    }

    /// A row as a term and what is said of it. The term is what is typed or read, where something is.
    fn row(&mut self) {
        let mut cells: Vec<_> = self.columns.iter().zip(core::mem::take(&mut self.cells)).collect();
        let term = cells.iter().position(|(_, cell)| matches!(cell.first(), Some(Inline::Bold(_))));
        if cells.is_empty() {
            return;
        }
        let (_, term) = cells.remove(term.unwrap_or(0));
        self.roff.control("TP", []).text(term);
        // Of two columns it is plain what the other one is.
        let one = cells.len() == 1;
        for (nr, (column, cell)) in cells.into_iter().enumerate() {
            if nr > 0 {
                self.roff.control("br", []);
            }
            let called = if one { Vec::new() } else { [column.as_slice(), &[roman(": ")]].concat() };
            self.roff.text([called, cell].concat());
        }
    }

    /// Ends a paragraph.
    fn flush(&mut self) {
        let line = core::mem::take(&mut self.line);
        if line.is_empty() {
            return;
        }
        if !core::mem::take(&mut self.hanging) {
            self.roff.control(if self.lists.is_empty() { "PP" } else { "IP" }, []);
        }
        self.roff.text(line);
    }
}

fn upper(inline: Inline) -> Inline {
    match inline {
        Inline::Roman(text) => roman(text.to_uppercase()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: Document = Document {
        name: "test.md",
        text: "# Title\n\nFirst [page](configuration.md).\n\n## One\n\n.text with `code` and *stress*\nthat goes on.\n\n\
            - a\n- b\n\nSee:\n\n    .as is\n\n### Part\n\nmore\n\n## Two\n\n`a.toml`:\n\n    [a]\n\n    [b]\n\n\
            | x | y |\n|---|---|\n| `t` | u |\n\n| x | y | z |\n|---|---|---|\n| a | `t` | b |\n",
    };

    #[test]
    fn a_chapter_has_what_is_in_it() {
        let text = DOCUMENT.chapter("One").expect("it is there").to_roff();
        let expected = ".SH\nONE\n.PP\n\\&.text with \\fBcode\\fR and \\fIstress\\fR that goes on.\n\
            .IP \\(bu 2\na\n.IP \\(bu 2\nb\n.PP\nSee:\n.PP\n.RS 4\n.nf\n\\&.as is\n.fi\n.RE\n.SS\nPart\n.PP\nmore\n";
        assert_eq!(text, expected);
        let text = DOCUMENT.chapter("Part").expect("it is there").to_roff();
        assert_eq!(text, ".SH\nPART\n.PP\nmore\n");
        let error = DOCUMENT.chapter("Three").map(drop).expect_err("it is not there").to_string();
        assert_eq!(error, "docs/test.md has no chapter \"Three\"");
    }

    #[test]
    fn a_document_has_its_chapters_tables_and_links() {
        let text = DOCUMENT.whole().to_roff();
        assert!(text.starts_with(".PP\nFirst vis\\-config(7).\n.SH\nONE\n"), "{text}");
        assert!(text.ends_with(".TP\n\\fBt\\fR\nu\n.TP\n\\fBt\\fR\nx: a\n.br\nz: b\n"), "{text}");
        assert_eq!(DOCUMENT.file("a.toml").expect("it is there"), "[a]\n\n[b]");
        assert!(DOCUMENT.file("b.toml").is_err());
    }
}
