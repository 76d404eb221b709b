//! The little language in which commands are described.
//!
//! ```text
//! items   := item*                       item  := keyword | '<' name ':' kind '>' | '[' items ']' | '{' items ('|' items)+ '}'
//! ```

use super::args::Value;
use super::input::Token;
use core::fmt;
use core::ops::RangeInclusive;
use std::net::Ipv4Addr;

/// What a parameter accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `<vlan:1-4094>`: a number.
    Number(RangeInclusive<u64>),
    /// `<members:range 1-4094>`: numbers and spans separated by commas, blanks allowed after those: `1-10, 15`.
    Ranges(RangeInclusive<u64>),
    /// `<port:port>`: the number of a physical interface, `1/1`.
    Port,
    /// `<mac:mac>`: `5254.0000.0001`, `52:54:00:00:00:01` or `52-54-00-00-00-01`.
    Mac,
    /// `<source:ip>`: an IPv4 address, `10.0.0.1`.
    Ip,
    /// `<source:prefix>`: IPv4 addresses that begin with the same bits, `10.0.0.0/24`.
    Prefix,
    /// `<name:word>`: anything without blanks.
    Word,
    /// `<text:line>`: the rest of the line.
    Line,
}

/// Spans that one list may have.
const MOST_SPANS: usize = 1024;

impl Kind {
    fn read(kind: &str) -> Option<Self> {
        let span = |text: &str| {
            let (low, high) = text.split_once('-')?;
            let (low, high) = (low.parse().ok()?, high.parse().ok()?);
            (low <= high).then_some(low..=high)
        };
        Some(match kind {
            "port" => Self::Port,
            "mac" => Self::Mac,
            "ip" => Self::Ip,
            "prefix" => Self::Prefix,
            "word" => Self::Word,
            "line" => Self::Line,
            other => match other.strip_prefix("range ") {
                Some(limits) => Self::Ranges(span(limits)?),
                None => Self::Number(span(other)?),
            },
        })
    }

    /// A number that may follow its keyword without a blank.
    pub(super) fn glues(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Ranges(_) | Self::Port)
    }

    /// Where this kind is tried among others at the same place: the narrower first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Port => 1,
            Self::Mac => 2,
            Self::Ip => 3,
            Self::Prefix => 4,
            Self::Ranges(_) => 5,
            Self::Word => 6,
            Self::Line => 7,
        }
    }

    /// The value at the beginning of `tokens` and how many of them it takes.
    pub(super) fn accept(&self, tokens: &[Token<'_>]) -> Option<(Value, usize)> {
        let first = tokens.first()?;
        let value = match self {
            Self::Number(limits) => Value::Number(number(first.text).filter(|n| limits.contains(n))?),
            Self::Ranges(limits) => return ranges(limits, tokens),
            Self::Port => Value::Text(port(first.text)?),
            Self::Mac => Value::Mac(mac(first.text)?),
            Self::Ip => Value::Ip(first.text.parse().ok()?),
            Self::Prefix => prefix(first.text)?,
            Self::Word => Value::Text(first.text.to_owned()),
            Self::Line => return Some((Value::Text(first.rest.to_owned()), tokens.len())),
        };
        Some((value, 1))
    }

    /// What is wrong with a word that this kind does not accept, if there is more to say than "invalid".
    pub(super) fn complaint(&self, text: &str) -> Option<String> {
        match self {
            Self::Number(limits) if number(text).is_some() => {
                Some(format!("Invalid number, range is ({}:{}) at '^' marker.", limits.start(), limits.end()))
            }
            Self::Ranges(limits) if text.starts_with(|c: char| c.is_ascii_digit()) => Some(format!(
                "Invalid range, it must lie in ({}:{}) at '^' marker.",
                limits.start(),
                limits.end()
            )),
            Self::Mac => Some("Invalid MAC address at '^' marker.".to_owned()),
            Self::Ip | Self::Prefix if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Some("Invalid IPv4 address at '^' marker.".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    /// As `?` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(limits) => write!(f, "<{}-{}>", limits.start(), limits.end()),
            Self::Ranges(limits) => write!(f, "<{}-{}>[,..]", limits.start(), limits.end()),
            Self::Port => f.write_str("<slot/port>"),
            Self::Mac => f.write_str("H.H.H"),
            Self::Ip => f.write_str("A.B.C.D"),
            Self::Prefix => f.write_str("A.B.C.D/LEN"),
            Self::Word => f.write_str("WORD"),
            Self::Line => f.write_str("LINE"),
        }
    }
}

/// A number in decimal digits only; more than `u64` holds is a number too, but in no range.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn port(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let fits = |part: &&str| (1..=4).contains(&part.len()) && number(part).is_some();
    ((2..=3).contains(&parts.len()) && parts.iter().all(fits)).then(|| text.to_owned())
}

fn prefix(text: &str) -> Option<Value> {
    let (address, length) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length =
        number(length).and_then(|length| u8::try_from(length).ok()).filter(|length| *length <= 32)?;
    Some(Value::Prefix(address, length))
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let separator = text.chars().find(|c| matches!(c, '.' | ':' | '-'))?;
    let groups: Vec<&str> = text.split(separator).collect();
    let digits = if separator == '.' { 4 } else { 2 };
    if groups.len() != 12 / digits || groups.iter().any(|group| group.len() != digits) {
        return None;
    }
    let hex = groups.concat();
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let octets = u64::from_str_radix(&hex, 16).ok()?.to_be_bytes();
    octets.get(2..)?.try_into().ok()
}

/// A list of spans, over several words where a comma stands beside a blank.
fn ranges(limits: &RangeInclusive<u64>, tokens: &[Token<'_>]) -> Option<(Value, usize)> {
    let mut text = tokens.first()?.text.to_owned();
    let mut used = 1;
    while let Some(next) = tokens.get(used).filter(|next| text.ends_with(',') || next.text.starts_with(',')) {
        text.push_str(next.text);
        used += 1;
    }
    let mut spans = Vec::new();
    for part in text.split(',') {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high) = (number(low)?, number(high)?);
        if low > high || !limits.contains(&low) || !limits.contains(&high) || spans.len() >= MOST_SPANS {
            return None;
        }
        spans.push(low..=high);
    }
    spans.sort_by_key(|span| *span.start());
    // Merged, so that every number is in one span and counting them is cheap.
    let mut merged: Vec<RangeInclusive<u64>> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if *span.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(span.end());
            }
            _ => merged.push(span),
        }
    }
    Some((Value::Ranges(merged), used))
}

/// One place of a syntax without options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A word as it is.
    Keyword(&'static str),
    /// A value and its name.
    Parameter(&'static str, Kind),
}

/// Every sequence of items that a syntax describes.
pub(super) fn expand(syntax: &'static str) -> Result<Vec<Vec<Item>>, String> {
    let mut rest = syntax;
    let sequences = items(&mut rest, "")?;
    if rest.is_empty() { Ok(sequences) } else { Err(format!("surplus `{rest}`")) }
}

/// Reads items up to one of the characters in `until`, which is left in place.
fn items(rest: &mut &'static str, until: &str) -> Result<Vec<Vec<Item>>, String> {
    let mut sequences = vec![Vec::new()];
    loop {
        *rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        if until.contains(first) {
            break;
        }
        let next: Vec<Vec<Item>> = match first {
            '[' => {
                let mut inner = bracketed(rest, ']', |rest| items(rest, "]"))?;
                inner.push(Vec::new());
                inner
            }
            '{' => bracketed(rest, '}', |rest| {
                let mut inner = items(rest, "|}")?;
                while let Some(after) = rest.strip_prefix('|') {
                    *rest = after;
                    inner.extend(items(rest, "|}")?);
                }
                Ok(inner)
            })?,
            '<' => {
                let end = rest.find('>').ok_or("`<` without `>`")?;
                let (name, kind) = rest[1..end].split_once(':').ok_or("a parameter is `<name:kind>`")?;
                let kind = Kind::read(kind).ok_or_else(|| format!("`{kind}` is no kind"))?;
                *rest = &rest[end + 1..];
                vec![vec![Item::Parameter(name, kind)]]
            }
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || "[]{}<>|".contains(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("`{first}` stands alone"));
                }
                let keyword = &rest[..end];
                *rest = &rest[end..];
                vec![vec![Item::Keyword(keyword)]]
            }
        };
        sequences = sequences
            .iter()
            .flat_map(|head| next.iter().map(|tail| head.iter().chain(tail).cloned().collect::<Vec<_>>()))
            .collect();
    }
    Ok(sequences)
}

fn bracketed<T>(
    rest: &mut &'static str,
    close: char,
    inside: impl FnOnce(&mut &'static str) -> Result<T, String>,
) -> Result<T, String> {
    *rest = &rest[1..];
    let inner = inside(rest)?;
    *rest = rest.strip_prefix(close).ok_or_else(|| format!("`{close}` is missing"))?;
    Ok(inner)
}
