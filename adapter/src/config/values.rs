//! Values that several sections have, judged.

use niv_node::config::{ConfigError, File, Spanned};
use vntag::VifId;
use vntag::ethernet::Mac;

pub(super) type Checked<T> = Result<T, ConfigError>;

/// A name of a link or vNIC: unique, and fit for commands and PDUs.
pub(super) fn unique<'a>(
    file: &File,
    name: &Spanned<String>,
    mut before: impl Iterator<Item = &'a String>,
) -> Checked<()> {
    let text = name.get_ref();
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    if text.is_empty() || text.len() > 63 || !text.chars().all(fits) {
        return Err(file.error(name, "1 to 63 letters, digits, `.`, `_`, `-`, `/` and `:` are allowed"));
    }
    if before.any(|known| known == text) {
        return Err(file.error(name, format!("there is a \"{text}\" already")));
    }
    Ok(())
}

/// The name of a port profile: as long as Linux and libvirt carry it, without what a command line means by itself.
pub(super) fn profile(file: &File, key: &Spanned<String>) -> Checked<String> {
    let text = key.get_ref();
    let fits = |octet: u8| octet.is_ascii_graphic() && !b"?|".contains(&octet);
    if text.is_empty() || text.len() > 39 || !text.bytes().all(fits) {
        return Err(file.error(key, "1 to 39 printing ASCII characters are allowed, but no `?` or `|`"));
    }
    Ok(text.clone())
}

/// A text for people that goes into a PDU.
pub(super) fn label(file: &File, key: &Spanned<String>) -> Checked<String> {
    let text = key.get_ref();
    if text.is_empty() || text.len() > 80 || text.chars().any(char::is_control) {
        return Err(file.error(key, "1 to 80 octets without control characters are allowed"));
    }
    Ok(text.clone())
}

pub(super) fn assignable<T>(file: &File, at: &Spanned<T>, vif: u16) -> Checked<VifId> {
    VifId::new(vif).ok_or_else(|| file.error(at, format!("{vif} is no VIF, 1 to {} are allowed", VifId::MAX)))
}

pub(super) fn within<T: Copy + PartialOrd + core::fmt::Display>(
    file: &File,
    key: Option<&Spanned<T>>,
    range: core::ops::RangeInclusive<T>,
    default: T,
) -> Checked<T> {
    let Some(key) = key else { return Ok(default) };
    let value = *key.get_ref();
    if range.contains(&value) {
        return Ok(value);
    }
    Err(file.error(key, format!("{value} is out of range, {} to {} are allowed", range.start(), range.end())))
}

/// A value that has a text form of its own.
pub(super) fn parsed<T>(file: &File, key: &Spanned<String>) -> Checked<T>
where
    T: core::str::FromStr,
    T::Err: core::fmt::Display,
{
    key.get_ref().parse().map_err(|error: T::Err| file.error(key, error.to_string()))
}

pub(super) fn mac(file: &File, key: &Spanned<String>) -> Checked<Mac> {
    let mac: Mac = parsed(file, key)?;
    if mac.is_group() || mac.is_zero() {
        return Err(file.error(key, "a station's address is neither a group address nor zero"));
    }
    Ok(mac)
}

pub(super) fn socket_mode(file: &File, key: &Spanned<String>) -> Checked<u32> {
    let mode = u32::from_str_radix(key.get_ref(), 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| file.error(key, "write octal rights such as \"0660\""))
}

/// A group by number, or by its name in `/etc/group`.
pub(super) fn group(file: &File, key: &Spanned<String>) -> Checked<u32> {
    let wanted = key.get_ref();
    if let Ok(number) = wanted.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        (name == wanted).then(|| number.parse().ok()).flatten()
    });
    found
        .ok_or_else(|| file.error(key, format!("no group \"{wanted}\" in /etc/group; a number is taken too")))
}
