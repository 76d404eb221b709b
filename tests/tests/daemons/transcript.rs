//! Pages of documentation that are played: what is typed on them is typed, what is answered is compared.
//!
//! A page is Markdown. Of it these are read, in order:
//!
//! - an indented block below a paragraph that ends with `` `FILE`: ``: it is put behind what the file has so far;
//! - an indented block that begins with a prompt: a conversation. `NAME# ` and `NAME(MODE)# ` are the prompts of `nivsh`
//!   at that daemon, `$ ` is that of a shell. What follows up to the next prompt is the answer;
//! - `<!-- replay: ... -->`, which no reader sees: an event of [`Replay::event`].
//!
//! In an answer `<time>`, `<date>`, `<number>`, `<mac>` and `<uuid>` stand for what differs each time; in a line with one
//! of them, blanks stand for any number of blanks. What only shows something is asked until it is as on the page, for
//! what is waited for takes time. With `NIV_REPLAY=write` a page is not judged but written: answers that differ are
//! replaced.

use super::place::{PATIENCE, Place, program, until};
use niv_lab::driver::{Features, Guest, Wire};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_node::command::Place as Standing;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long an answer may take to become that of the page, where pages are written.
const WRITING: Duration = Duration::from_secs(12);

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text for readers.
    Text(String),
    /// Lines for a file.
    File { name: String, text: String },
    /// Something happens.
    Event(String),
    /// Something is typed behind a prompt, and answered.
    Said { prompt: String, line: String, answer: Vec<String> },
}

/// A line of a conversation: its prompt, and what is typed behind it.
fn typed(line: &str) -> Option<(&str, &str)> {
    if let Some(line) = line.strip_prefix("$ ") {
        return Some(("$ ", line));
    }
    let end = line.find("# ")?;
    let (prompt, line) = line.split_at(end + 2);
    let name = prompt.split(['(', '#']).next()?;
    let daemon = ["vis", "adapter"].iter().any(|kind| name.starts_with(kind)) && !name.contains(' ');
    daemon.then_some((prompt, line))
}

/// The parts of a page. Put together again they are the page.
pub(crate) fn parts(page: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut lines = page.lines().peekable();
    let mut paragraph = String::new();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("    ") else {
            if line.is_empty() {
                // What ends a paragraph is looked at when the next one begins.
            } else if paragraph.ends_with('\n') || paragraph.is_empty() {
                line.clone_into(&mut paragraph);
            } else {
                paragraph.push_str(line);
            }
            parts.push(Part::Text(line.to_owned()));
            let events = line.split("<!-- replay: ").skip(1).filter_map(|rest| rest.split_once(" -->"));
            parts.extend(events.map(|(event, _)| Part::Event(event.to_owned())));
            if lines.peek().is_some_and(|next| next.is_empty()) {
                paragraph.push('\n');
            }
            continue;
        };
        let mut block = vec![first.to_owned()];
        while let Some(next) = lines.peek() {
            // A blank line is of the block if the block goes on behind it.
            if let Some(next) = next.strip_prefix("    ") {
                block.push(next.to_owned());
            } else if next.is_empty() {
                block.push(String::new());
            } else {
                break;
            }
            lines.next();
        }
        let blanks = block.iter().rev().take_while(|line| line.is_empty()).count();
        block.truncate(block.len() - blanks);
        let file = paragraph.trim_end().strip_suffix("`:").and_then(|text| text.rsplit('`').next());
        if typed(&block[0]).is_some() {
            for line in block {
                match (typed(&line), parts.last_mut()) {
                    (Some((prompt, line)), _) => {
                        let (prompt, line) = (prompt.to_owned(), line.to_owned());
                        parts.push(Part::Said { prompt, line, answer: Vec::new() });
                    }
                    (None, Some(Part::Said { answer, .. })) => answer.push(line),
                    (None, _) => {}
                }
            }
        } else if let Some(name) = file {
            let text = block.iter().map(|line| format!("{line}\n")).collect();
            parts.push(Part::File { name: name.to_owned(), text });
        } else {
            parts.extend(
                block.into_iter().map(|line| Part::Text(format!("    {line}").trim_end().to_owned())),
            );
        }
        parts.extend((0..blanks).map(|_| Part::Text(String::new())));
        paragraph.clear();
    }
    parts
}

/// The page that has these parts.
pub(crate) fn page(parts: &[Part]) -> String {
    let indented = |line: &str| format!("    {line}").trim_end().to_owned() + "\n";
    parts
        .iter()
        .map(|part| match part {
            Part::Text(line) => format!("{line}\n"),
            Part::File { text, .. } => text.lines().map(indented).collect(),
            Part::Event(_) => String::new(),
            Part::Said { prompt, line, answer } => {
                indented(&format!("{prompt}{line}"))
                    + &answer.iter().map(|line| indented(line)).collect::<String>()
            }
        })
        .collect()
}

/// Characters.
type Class = fn(char) -> bool;

/// What may stand where one of these names stands.
const WILD: [(&str, Class); 5] = [
    ("<time>", |c| c.is_ascii_digit() || ":.dhw".contains(c)),
    ("<date>", |c| c.is_ascii_alphanumeric() || " :.-+".contains(c)),
    ("<number>", |c| c.is_ascii_digit()),
    ("<mac>", |c| c.is_ascii_hexdigit() || ".:".contains(c)),
    ("<uuid>", |c| c.is_ascii_hexdigit() || c == '-'),
];

/// Whether a line is as on the page.
pub(crate) fn fits(expected: &str, got: &str) -> bool {
    let wild = |text: &str| WILD.into_iter().find(|(name, _)| text.starts_with(name));
    fn from(expected: &str, got: &str, wild: &dyn Fn(&str) -> Option<(&'static str, Class)>) -> bool {
        if let Some((name, class)) = wild(expected) {
            let rest = &expected[name.len()..];
            let ends = got.char_indices().take_while(|(_, c)| class(*c)).map(|(at, c)| at + c.len_utf8());
            return ends.collect::<Vec<_>>().into_iter().rev().any(|end| from(rest, &got[end..], wild));
        }
        match (expected.chars().next(), got.chars().next()) {
            (None, None) => true,
            (Some(a), Some(b)) if a == b => from(&expected[a.len_utf8()..], &got[b.len_utf8()..], wild),
            _ => false,
        }
    }
    if WILD.iter().all(|(name, _)| !expected.contains(name)) {
        return expected == got;
    }
    let single = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    from(&single(expected), &single(got), &wild)
}

/// Both answers, where they differ: `-` is the page, `+` is what was said. `None` where nothing differs.
pub(crate) fn difference(expected: &[String], got: &[String]) -> Option<String> {
    let same = |pair: &(&String, &String)| fits(pair.0, pair.1);
    let before = expected.iter().zip(got).take_while(same).count();
    if before == expected.len() && before == got.len() {
        return None;
    }
    let (left, right) = (&expected[before..], &got[before..]);
    let after = left.iter().rev().zip(right.iter().rev()).take_while(same).count();
    let mut text = String::new();
    let mut push = |mark: &str, lines: &[String]| {
        lines.iter().for_each(|line| text.push_str(&format!("{mark}{line}\n")));
    };
    push("  ", &got[..before]);
    push("- ", &left[..left.len() - after]);
    push("+ ", &right[..right.len() - after]);
    push("  ", &right[right.len() - after..]);
    Some(text)
}

/// The lines of an answer; those that are as on the page are written as there.
fn merged(expected: &[String], got: Vec<String>) -> Vec<String> {
    let known = |line: String| expected.iter().find(|old| fits(old, &line)).cloned().unwrap_or(line);
    got.into_iter().map(known).collect()
}

/// A page that is being played.
pub(crate) struct Replay {
    place: Place,
    /// Where the conversation with each daemon stands, and the mode in its prompt.
    standing: BTreeMap<String, (Standing, Option<String>)>,
    guests: BTreeMap<String, Guest>,
    /// The guest that sends while the next line runs.
    sending: Option<String>,
    write: bool,
}

impl Replay {
    /// Plays a page of the documentation. Whatever is not as it says ends the test with the difference.
    pub(crate) fn page(name: &str) {
        let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut parts = parts(&text);
        assert_eq!(page(&parts), text, "{name} is not read as it is written");
        let place = Place::new(&[]);
        std::fs::create_dir(place.path("niv-run")).unwrap();
        let (standing, guests) = (BTreeMap::new(), BTreeMap::new());
        let write = std::env::var("NIV_REPLAY").as_deref() == Ok("write");
        let mut replay = Self { place, standing, guests, sending: None, write };
        let mut heading = String::new();
        for part in &mut parts {
            match part {
                Part::Text(line) if line.starts_with("## ") => heading.clone_from(line),
                Part::Text(_) => {}
                Part::File { name, text } => replay.append(name, text),
                Part::Event(event) => replay.event(event),
                Part::Said { prompt, line, answer } => {
                    let got = replay.say(prompt, line, answer);
                    match difference(answer, &got) {
                        Some(_) if write => *answer = merged(answer, got),
                        Some(difference) => {
                            panic!("docs/{name}, {heading}\n{prompt}{line}\n{difference}")
                        }
                        None => {}
                    }
                }
            }
        }
        replay.place.at_rest();
        if write {
            std::fs::write(&path, page(&parts)).unwrap();
        }
    }

    fn append(&self, name: &str, text: &str) {
        let before = std::fs::read_to_string(self.place.path(name)).unwrap_or_default();
        let between = if before.is_empty() { "" } else { "\n" };
        self.place.write(name, &format!("{before}{between}{text}"));
    }

    /// `start NODE`, `restart NODE`, `guest NAME starts`, `guest NAME sends N [tagged]`, `while NAME sends`
    fn event(&mut self, event: &str) {
        let words: Vec<&str> = event.split(' ').collect();
        match words[..] {
            ["start", node] => self.start(node),
            ["restart", node] => {
                self.place.stop(&format!("niv-run/{node}"));
                self.start(node);
            }
            ["guest", name, "starts"] => {
                let socket = self.place.path(&format!("niv-run/{name}.sock"));
                let guest = until(&format!("{name} has its card"), || {
                    Guest::connect(&socket, Features::default()).ok()
                });
                self.guests.insert(name.to_owned(), guest);
            }
            ["guest", name, "sends", frames, ..] => {
                let tagged = words.ends_with(&["tagged"]);
                // The switch says that an interface is up before its adapter has heard so.
                let client = self.place.client("niv-run/adapter0");
                until(&format!("{name} is up"), || {
                    self.let_guests_return();
                    let rows = client.exec("show vnic").ok()?;
                    let row = rows.as_array()?.iter().find(|row| row["name"] == name)?;
                    (row["state"] == "up" && row["vif_state"] == "active").then_some(())
                });
                (0..frames.parse().unwrap()).for_each(|_: u32| self.send(name, tagged));
            }
            ["while", name, "sends"] => self.sending = Some(name.to_owned()),
            _ => panic!("nobody knows how to replay: {event}"),
        }
    }

    fn start(&mut self, node: &str) {
        self.place.start_with(&format!("niv-run/{node}"), &["--config", &format!("{node}.toml")]);
    }

    /// Guests that were cut off, which is how their links go down, come back as those of QEMU do.
    fn let_guests_return(&mut self) {
        for (name, guest) in &mut self.guests {
            if guest.wire().map_or(true, Wire::is_closed) {
                // There is nothing to connect to while the link is down.
                let _ = guest.reconnect(&self.place.path(&format!("niv-run/{name}.sock")));
            }
        }
    }

    /// A guest sends a broadcast from the address that its number says.
    fn send(&mut self, name: &str, tagged: bool) {
        let station = match name {
            "web1" => 1,
            "web2" => 2,
            "db1" => 3,
            _ => 4,
        };
        let guest = self.guests.get_mut(name).unwrap_or_else(|| panic!("{name} is not started"));
        let sent = frame(BROADCAST, mac(station));
        let sent = if tagged { sent.vlan(99, 0) } else { sent }.ipv4(46);
        until("a frame is sent", || guest.send(&sent).then_some(()));
    }

    /// Types a line; what shows something is typed until the answer is as expected, or for so long that it never is.
    fn say(&mut self, prompt: &str, line: &str, expected: &[String]) -> Vec<String> {
        let shows =
            ["show ", "nivctl show "].iter().any(|shows| line.starts_with(shows)) && !line.contains(" > ");
        let patience = if self.write { WRITING } else { PATIENCE };
        let end = Instant::now() + patience;
        loop {
            self.let_guests_return();
            let got = if prompt == "$ " { self.shell(line) } else { self.converse(prompt, line) };
            let got: Vec<String> = got.trim_end().lines().map(|line| line.trim_end().to_owned()).collect();
            if !shows || difference(expected, &got).is_none() || Instant::now() > end {
                return got;
            }
            // What is waited for is told by asking. The daemons have the processor meanwhile.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A line at the prompt of `nivsh`.
    fn converse(&mut self, prompt: &str, line: &str) -> String {
        let name = prompt.split(['(', '#']).next().unwrap_or_default();
        let client = self.place.client(&format!("niv-run/{name}"));
        let (place, mode) = self.standing.entry(name.to_owned()).or_default();
        let stands = mode.as_ref().map_or_else(String::new, |mode| format!("({mode})"));
        assert_eq!(format!("{name}{stands}# "), prompt, "before: {line}");
        match client.line(place, line) {
            Ok(step) => {
                (*place, *mode) = (step.place, step.prompt);
                step.text
            }
            Err(error) => format!("{error}\n"),
        }
    }

    /// A line at the prompt of a shell.
    fn shell(&mut self, line: &str) -> String {
        let programs = program("nivctl").parent().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1; {line}")]).current_dir(self.place.path(""));
        command
            .env("PATH", format!("{}:{path}", programs.display()))
            .env_remove("NIV_API")
            .env_remove("RUST_LOG");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let sending = self.sending.take();
        until(&format!("`{line}` ends"), || {
            if let Some(name) = &sending {
                self.send(&name.clone(), false);
            }
            child.try_wait().unwrap()
        });
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let text = "\
# Title

Some <!-- replay: guest a starts --> text:

    vis0# show this
    one

    two
    vis0(config)# exit

Behind it in `a.toml`:

    [node]
    x = 1

    no prompt
";
    let read = parts(text);
    assert_eq!(page(&read), text);
    assert!(read.contains(&Part::Event("guest a starts".to_owned())));
    let answer = ["one", "", "two"].map(str::to_owned).to_vec();
    let said = |prompt: &str, line: &str, answer| Part::Said {
        prompt: prompt.to_owned(),
        line: line.to_owned(),
        answer,
    };
    assert!(read.contains(&said("vis0# ", "show this", answer)));
    assert!(read.contains(&said("vis0(config)# ", "exit", Vec::new())));
    let file = "[node]\nx = 1\n\nno prompt\n".to_owned();
    assert!(read.contains(&Part::File { name: "a.toml".to_owned(), text: file }));
}

#[test]
fn what_differs_is_shown_and_wildcards_do_not() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let expected = lines("up for <time> (<number>x)\nsame\n  two  blanks");
    assert_eq!(difference(&expected, &lines("up   for 00:01:02 (33x)\nsame\n  two  blanks")), None);
    let got = lines("up for ever (33x)\nsame\n two blanks");
    let shown =
        "- up for <time> (<number>x)\n- same\n-   two  blanks\n+ up for ever (33x)\n+ same\n+  two blanks\n";
    assert_eq!(difference(&expected, &got).as_deref(), Some(shown));
    let shown = "  up for 1d02h (3x)\n+ new\n  same\n    two  blanks\n";
    let got = lines("up for 1d02h (3x)\nnew\nsame\n  two  blanks");
    assert_eq!(difference(&expected, &got).as_deref(), Some(shown));
    assert!(difference(&expected, &lines("up for 1d02h (3x)\nsame")).is_some());
    assert!(!fits("<number>", "") && !fits("<time>", "soon") && fits("<date> x", "2026 Nov 22 21:00 x"));
    // Lines that still fit keep their wildcards when a page is written.
    let written = merged(&expected, lines("new\nup for 00:00:01 (1x)"));
    assert_eq!(written, lines("new\nup for <time> (<number>x)"));
}
