//! UUIDs as the wire has them: 16 octets, or text.

use core::fmt;

/// A UUID. Any 16 octets; versions and variants are the business of who makes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a UUID (write 01234567-89ab-cdef-0123-456789abcdef)")]
pub struct ParseUuidError(String);

impl core::str::FromStr for Uuid {
    type Err = ParseUuidError;

    /// Reads the form with dashes at their places, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseUuidError(text.chars().take(64).collect());
        let groups: Vec<&str> = text.split('-').collect();
        let widths = groups.iter().map(|group| group.len());
        let digits = groups.concat();
        if !widths.eq([8, 4, 4, 4, 12]) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u128::from_str_radix(&digits, 16).map(|value| Self(value.to_be_bytes())).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_octets_are_two_forms_of_one() {
        let text = "01234567-89ab-cdef-0123-456789abcdef";
        let uuid: Uuid = text.parse().expect("a UUID");
        assert_eq!(uuid.0[..5], [0x01, 0x23, 0x45, 0x67, 0x89]);
        assert_eq!(uuid.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(uuid));
        for wrong in ["", "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcde", "é"] {
            assert!(wrong.parse::<Uuid>().is_err(), "{wrong}");
        }
    }
}
