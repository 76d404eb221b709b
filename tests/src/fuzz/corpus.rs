//! The inputs that are kept: `tests/corpus/TARGET/NAME`, the name saying what it is about.
//!
//! Octets are written as hexadecimal digits, with remarks after `#`; texts as they are.

use super::{Form, Target};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of a target.
pub(super) fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The inputs of a target, by name.
///
/// # Errors
/// One cannot be read.
pub fn of(target: &Target) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = folder(target);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut inputs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push((name, read(target.form, &entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Reads one.
///
/// # Errors
/// It cannot be read, or is not hexadecimal.
pub(super) fn read(form: Form, path: &Path) -> Result<Vec<u8>> {
    let octets = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    match form {
        Form::Text => Ok(octets),
        Form::Octets => decode(&String::from_utf8_lossy(&octets)).with_context(|| path.display().to_string()),
    }
}

/// An input as a file holds it, with a remark if that is possible.
pub(super) fn write(form: Form, input: &[u8], remark: &str) -> Vec<u8> {
    if form == Form::Text {
        return input.to_vec();
    }
    let mut text: String = remark.lines().map(|line| format!("# {line}\n")).collect();
    for row in input.chunks(16) {
        let row: Vec<String> = row.iter().map(|octet| format!("{octet:02x}")).collect();
        text.push_str(&row.join(" "));
        text.push('\n');
    }
    text.into_bytes()
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let lines = text.lines().filter_map(|line| line.split('#').next());
    let digits: Vec<u32> = lines
        .flat_map(str::chars)
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| digit.to_digit(16).with_context(|| format!("'{digit}' is no hexadecimal digit")))
        .collect::<Result<_>>()?;
    if !digits.len().is_multiple_of(2) {
        bail!("half an octet at the end");
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// The octets shown in `docs/protocol.md`, by the names of their blocks.
///
/// # Panics
/// The document is not there, or is not as its own test wants it.
pub(super) fn worked_examples() -> BTreeMap<String, Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let text = std::fs::read_to_string(path).expect("docs/protocol.md");
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```octets ") else { continue };
        let rows = lines.by_ref().take_while(|line| *line != "```");
        let hex: String = rows.filter_map(|row| row.split('|').next()).collect();
        found.insert(name.to_owned(), decode(&hex).expect("octets"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_read_as_they_are_written() {
        let input: Vec<u8> = (0..=255).collect();
        let text = String::from_utf8(write(Form::Octets, &input, "all octets\nin two lines")).expect("text");
        assert!(text.starts_with("# all octets\n# in two lines\n00 01 02"), "{text}");
        assert_eq!(decode(&text).expect("octets"), input);
        assert!(decode("0").is_err() && decode("0g").is_err());
    }

    #[test]
    fn the_document_has_examples() {
        let examples = worked_examples();
        assert!(examples.len() > 20 && examples["VIF_CREATE request"].len() > 16);
    }
}
