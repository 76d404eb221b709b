//! A vNIC as a command writes it: `device vhost-user:/run/niv/web1.sock link link0 profile web`.
//!
//! The keys are those of `[[vnic]]`, each followed by its value; `no KEY` takes one away. [`Settings`] are kept as they
//! were typed and judged as a section of the file would be, so that both mean the same and are refused in the same words.

use super::file::{AdapterFile, VnicSection};
use super::{LinkConfig, VnicConfig, vnic};
use niv_node::config::{File, Spanned};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Octets that a value may have: paths are the longest.
const LONGEST: usize = 1024;

/// Keys whose value is a number in the file.
const NUMBERS: [&str; 7] = ["channel", "queues", "vif", "vlan", "cos", "mtu", "priorities"];
/// Keys whose value is `true` or `false` in the file.
const SWITCHES: [&str; 1] = ["packed"];
/// Keys that a command cannot write.
const TABLES: [&str; 1] = ["fault"];

/// Keys and values of one vNIC, without its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, String>);

/// What is wrong, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl Settings {
    /// Reads `key value` and `no key`, any number of them, over what is there.
    ///
    /// # Errors
    /// A key without value, or one that is no key of a `[[vnic]]` that a command can write. Nothing is changed then.
    pub fn apply(&mut self, words: &str) -> Result<(), SettingsError> {
        let mut after = self.clone();
        let mut words = words.split_ascii_whitespace();
        while let Some(key) = words.next() {
            let wanted = if key == "no" { "a key" } else { "a value" };
            let word =
                words.next().ok_or_else(|| SettingsError(format!("\"{key}\": {wanted} is missing")))?;
            if key == "no" {
                if after.0.remove(word).is_none() {
                    return Err(SettingsError(format!("\"{word}\" is not set")));
                }
                continue;
            }
            if TABLES.contains(&key) || key == "name" {
                return Err(SettingsError(format!("\"{key}\" cannot be set by a command")));
            }
            if word.len() > LONGEST || word.chars().any(char::is_control) {
                return Err(SettingsError(format!("\"{key}\": 1 to {LONGEST} octets are allowed")));
            }
            after.0.insert(key.to_owned(), word.to_owned());
        }
        *self = after;
        Ok(())
    }

    /// What they mean for a vNIC of this name.
    ///
    /// # Errors
    /// The first mistake, in the words of the file's.
    pub fn judge<'a>(
        &self,
        name: &str,
        links: &[LinkConfig],
        before: impl Iterator<Item = &'a VnicConfig> + Clone,
    ) -> Result<VnicConfig, SettingsError> {
        let text = self.section(name)?;
        let file = File::new("", text);
        let refuse = |error: niv_node::config::ConfigError| {
            let place = error.place.trim_start_matches(&format!("[[vnic]] {name}")).trim_start_matches(": ");
            let separator = if place.is_empty() { "" } else { ": " };
            SettingsError(format!("{place}{separator}{}", error.message))
        };
        let written: AdapterFile = file.parse().map_err(refuse)?;
        let section: &Spanned<VnicSection> =
            written.vnic.first().ok_or_else(|| SettingsError("nothing is set".to_owned()))?;
        vnic::judge(&file, section, links, before).map_err(refuse)
    }

    /// The section as it would be written in the file.
    fn section(&self, name: &str) -> Result<String, SettingsError> {
        let mut text = format!("[[vnic]]\nname = {}\n", quoted(name));
        for (key, value) in &self.0 {
            if !key.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_') {
                return Err(SettingsError(format!("unknown key \"{key}\"")));
            }
            let value = match key.as_str() {
                known if NUMBERS.contains(&known) => number(key, value)?,
                known if SWITCHES.contains(&known) => truth(key, value)?,
                _ => quoted(value),
            };
            text.push_str(&format!("{key} = {value}\n"));
        }
        Ok(text)
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// A text as TOML has it; control characters were refused before.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `true` or `false`.
fn truth(key: &str, text: &str) -> Result<String, SettingsError> {
    match text {
        "true" | "false" => Ok(text.to_owned()),
        _ => Err(SettingsError(format!("key \"{key}\": \"{text}\" is neither true nor false"))),
    }
}

/// A number, or for priorities several with commas between them.
fn number(key: &str, text: &str) -> Result<String, SettingsError> {
    let digits = |text: &str| text.len() <= 10 && text.parse::<u64>().is_ok() && !text.starts_with('+');
    let sound = match key {
        "priorities" => text.split(',').all(digits),
        _ => digits(text),
    };
    let text = match key {
        _ if !sound => return Err(SettingsError(format!("key \"{key}\": \"{text}\" is no number"))),
        "priorities" => format!("[{text}]"),
        // A number of TOML has no zeros in front.
        _ => text.parse::<u64>().unwrap_or_default().to_string(),
    };
    Ok(text)
}
