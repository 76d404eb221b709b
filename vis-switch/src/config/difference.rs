//! What is different between two configurations, both given as the lines that [`text`](super::text) writes.

use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A line without indentation, and those below it.
#[derive(Debug, PartialEq, Eq)]
struct Section<'a> {
    head: &'a str,
    lines: Vec<&'a str>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('!')) {
        match (line.strip_prefix(' '), sections.last_mut()) {
            (Some(line), Some(section)) => section.lines.push(line.trim_start()),
            _ => sections.push(Section { head: line, lines: Vec::new() }),
        }
    }
    sections
}

/// What stands in one of two sequences, or in both.
enum Merged<T> {
    Gone(T),
    New(T),
    Both(T, T),
}

/// Both sequences as one, in their order; no key is twice in one of them.
fn merge<'a, T>(from: &'a [T], to: &'a [T], key: impl Fn(&'a T) -> &'a str) -> Vec<Merged<&'a T>> {
    let places: HashMap<&str, usize> =
        to.iter().enumerate().map(|(place, item)| (key(item), place)).collect();
    let (mut merged, mut next) = (Vec::new(), 0);
    for old in from {
        match places.get(key(old)).copied().filter(|place| *place >= next) {
            Some(place) => {
                merged.extend(to.iter().take(place).skip(next).map(Merged::New));
                merged.extend(to.get(place).map(|new| Merged::Both(old, new)));
                next = place + 1;
            }
            None => merged.push(Merged::Gone(old)),
        }
    }
    merged.extend(to.iter().skip(next).map(Merged::New));
    merged
}

/// The lines that are only in one of two configurations, below the line that opens their section: `-` before those of
/// `from`, `+` before those of `to`. Empty where they are the same. The second face is for programs.
#[must_use]
pub fn changes(from: &str, to: &str) -> (String, Value) {
    let (mut text, mut value) = (String::new(), Vec::new());
    let mut put = |sign: char, line: &str, below: bool| {
        text.push(sign);
        text.push_str(if below { "  " } else { "" });
        text.push_str(line);
        text.push('\n');
    };
    for section in merge(&sections(from), &sections(to), |section| section.head) {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        let (section, sign) = match section {
            Merged::Gone(section) => {
                removed.extend(section.lines.iter().copied());
                (section, '-')
            }
            Merged::New(section) => {
                added.extend(section.lines.iter().copied());
                (section, '+')
            }
            Merged::Both(old, new) if old == new => continue,
            Merged::Both(old, new) => {
                put(' ', old.head, false);
                for line in merge(&old.lines, &new.lines, |line| line) {
                    match line {
                        Merged::Gone(line) => {
                            put('-', line, true);
                            removed.push(*line);
                        }
                        Merged::New(line) => {
                            put('+', line, true);
                            added.push(*line);
                        }
                        Merged::Both(..) => {}
                    }
                }
                value.push(
                    json!({ "section": old.head, "change": "changed", "removed": removed, "added": added }),
                );
                continue;
            }
        };
        put(sign, section.head, false);
        section.lines.iter().for_each(|line| put(sign, line, true));
        let change = if sign == '-' { "removed" } else { "added" };
        value.push(json!({ "section": section.head, "change": change, "removed": removed, "added": added }));
    }
    (text, value.into())
}

/// Settings of which there is one: whatever value follows these words, another one takes its place, and `no` before the
/// words alone takes it back.
const SETTINGS: [&str; 24] = [
    "private-vlan association",
    "private-vlan",
    "switchport private-vlan host-association",
    TRUNK_MAPPING,
    "switchport private-vlan mapping",
    "name",
    ACCESS_GROUP,
    "description",
    "inherit port-profile",
    MODE,
    "switchport access vlan",
    "switchport trunk native vlan",
    "switchport trunk allowed vlan",
    "system vlan",
    "switchport port-security maximum",
    "switchport port-security violation",
    "switchport port-security aging time",
    "switchport port-security aging type",
    "errdisable recovery interval",
    "mtu",
    "uplink-fail-action",
    "max-ports",
    "vethernet hold",
    "carrier-delay",
];

/// What refers to something that cannot be removed or be otherwise as long as it does: taken back in any case.
const REFERENCES: [&str; 5] =
    [INHERIT, ACCESS_GROUP, TRUNK_MAPPING, "private-vlan association", "private-vlan"];
const MODE: &str = "switchport mode";
const NIV_LINK: &str = "switchport mode vntag";
const INHERIT: &str = "inherit port-profile";
/// There may be a line for each primary VLAN.
const TRUNK_MAPPING: &str = "switchport private-vlan mapping trunk";
const ACCESS_GROUP: &str = "ip access-group";
const SHUTDOWN: &str = "shutdown";

/// What a line sets.
fn setting(line: &str) -> &str {
    // A line of an access list is what has its number.
    let (first, _) = line.split_once(' ').unwrap_or((line, ""));
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        return first;
    }
    let begins = |words: &&&str| {
        line.strip_prefix(**words).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    SETTINGS.iter().find(begins).map_or(if line == "no shutdown" { SHUTDOWN } else { line }, |words| words)
}

/// The line that takes another back.
fn taken_back(line: &str) -> String {
    if line.starts_with(ACCESS_GROUP) {
        // The last word is the direction; a list may be called like one.
        let direction = line.rsplit(' ').next().unwrap_or_default();
        return format!("no {ACCESS_GROUP} {direction}");
    }
    // Both of its forms are lines.
    if setting(line) == SHUTDOWN {
        return format!("default {SHUTDOWN}");
    }
    match line.strip_prefix("no ") {
        Some(line) => line.to_owned(),
        None => format!("no {}", setting(line)),
    }
}

/// The lines that turn one configuration into another.
///
/// What has to go goes first, beginning with the interfaces: nothing can be removed while something refers to it.
#[must_use]
pub fn patch(from: &str, to: &str) -> String {
    let (from, to) = (sections(from), sections(to));
    let mut merged = merge(&from, &to, |section| section.head);
    let removed = merged.iter().filter_map(|section| match section {
        Merged::Gone(old) if REFERRED.iter().any(|kind| old.head.starts_with(kind)) => {
            old.head.rsplit(' ').next()
        }
        _ => None,
    });
    let mut patch = Patch { text: String::new(), removed: removed.collect() };
    // Most of a large configuration is the same in both, and stays.
    merged.retain(|section| !matches!(section, Merged::Both(old, new) if old == new && !patch.is_torn(old)));
    for kind in ["interface vethernet ", "interface ethernet ", PROFILE, ACCESS_LIST, "vlan "] {
        for section in &merged {
            match section {
                Merged::Both(old, new) if old.head.starts_with(kind) => patch.take_back(old, &new.lines),
                Merged::Gone(old) if kind == "interface vethernet " && old.head.starts_with(kind) => {
                    patch.line(&format!("no {}", old.head));
                }
                Merged::Gone(old) if kind == PROFILE && is_built_in(old) => patch.take_back(old, &[]),
                // Of those that go, some may inherit from others.
                Merged::Gone(old) if kind == PROFILE && old.head.starts_with(kind) => {
                    let references = |line: &&str| REFERENCES.contains(&setting(line));
                    let lines = old.lines.iter().copied().filter(references).collect();
                    patch.take_back(&Section { head: old.head, lines }, &[]);
                }
                _ => {}
            }
        }
    }
    let settings: HashSet<&str> = to.iter().map(|section| setting(section.head)).collect();
    for section in &merged {
        match section {
            Merged::Gone(old) if is_built_in(old) => {}
            Merged::Gone(old)
                if [PROFILE, ACCESS_LIST, "vlan "].iter().any(|kind| old.head.starts_with(kind)) =>
            {
                patch.line(&format!("no {}", old.head));
            }
            // A setting of the whole switch, unless another value takes its place.
            Merged::Gone(old)
                if old.lines.is_empty()
                    && !old.head.starts_with("interface ")
                    && !settings.contains(setting(old.head)) =>
            {
                patch.line(&taken_back(old.head));
            }
            _ => {}
        }
    }
    for section in &merged {
        match section {
            Merged::New(new) => patch.section(new.head, new.lines.iter().map(|line| (*line).to_owned())),
            Merged::Both(old, new) => patch.add(old, new),
            Merged::Gone(_) => {}
        }
    }
    patch.text
}

const PROFILE: &str = "port-profile ";
const ACCESS_LIST: &str = "ip access-list ";
/// What [`REFERENCES`] are about.
const REFERRED: [&str; 2] = [PROFILE, ACCESS_LIST];

/// The one profile that cannot be removed.
fn is_built_in(section: &Section<'_>) -> bool {
    section.head.starts_with(PROFILE) && section.head.ends_with(" default")
}

struct Patch<'a> {
    text: String,
    /// The names of profiles and lists that are removed.
    removed: BTreeSet<&'a str>,
}

impl Patch<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn section(&mut self, head: &str, lines: impl Iterator<Item = String>) {
        self.line(head);
        lines.for_each(|line| self.line(&format!("  {line}")));
    }

    /// Something refers to what is removed.
    fn is_torn(&self, section: &Section<'_>) -> bool {
        !self.removed.is_empty() && section.lines.iter().any(|line| self.refers(line))
    }

    /// The line refers to what is removed.
    fn refers(&self, line: &str) -> bool {
        REFERENCES.contains(&setting(line)) && line.split(' ').any(|word| self.removed.contains(word))
    }

    /// A setting that is to be as it is, and can stay meanwhile: what it refers to is not removed.
    fn stays(&self, old: &[&str], new: Option<&Vec<&str>>) -> bool {
        new.is_some_and(|new| new == old) && !old.iter().any(|line| self.refers(line))
    }

    /// Takes back what is not to be, and what nothing takes the place of.
    fn take_back(&mut self, old: &Section<'_>, new: &[&str]) {
        let new = by_setting(new);
        // An NIV link cannot be shut down, so what becomes one is not, before it does.
        let link = new.get(MODE).is_some_and(|mode| mode.contains(&NIV_LINK));
        let gone = by_setting(&old.lines).into_iter().filter(|(setting, lines)| {
            let first = REFERENCES.contains(setting) || link && *setting == SHUTDOWN;
            let replaced = !first && new.contains_key(setting);
            !replaced && !self.stays(lines, new.get(setting))
        });
        // What a port is goes last: until then only such a port can have the others.
        let gone: BTreeSet<(bool, String)> =
            gone.flat_map(|(_, lines)| lines).map(|line| (setting(line) == MODE, taken_back(line))).collect();
        if !gone.is_empty() {
            self.section(old.head, gone.into_iter().map(|(_, line)| line));
        }
    }

    /// Adds what was not there, or not the same.
    fn add(&mut self, old: &Section<'_>, new: &Section<'_>) {
        let (before, after) = (by_setting(&old.lines), by_setting(&new.lines));
        let differs = |line: &&&str| {
            let setting = setting(line);
            let stays = |old: &Vec<&str>| self.stays(old, after.get(setting));
            !before.get(setting).is_some_and(stays)
        };
        let lines: Vec<String> = new.lines.iter().filter(differs).map(|line| (*line).to_owned()).collect();
        if !lines.is_empty() {
            self.section(new.head, lines.into_iter());
        }
    }
}

/// The lines of each setting, in their order.
fn by_setting<'a>(lines: &[&'a str]) -> HashMap<&'a str, Vec<&'a str>> {
    let mut settings: HashMap<&str, Vec<&str>> = HashMap::new();
    lines.iter().for_each(|line| settings.entry(setting(line)).or_default().push(line));
    settings
}
