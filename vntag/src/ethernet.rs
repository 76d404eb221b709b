//! The Ethernet facts that everything else here stands on.

use core::fmt;

/// Octets of the two addresses; the tag, or the EtherType, begins here.
pub const ADDRESSES: usize = 12;
/// Octets of an untagged Ethernet header.
pub const HEADER: usize = 14;
/// Shortest frame on a wire, without FCS (IEEE 802.3).
pub const MIN_FRAME: usize = 60;

/// VNTag (public decoders: Wireshark, Suricata, Zeek).
pub const TYPE_VNTAG: u16 = 0x8926;
/// IEEE 802.1BR E-TAG.
pub const TYPE_ETAG: u16 = 0x893f;
/// IEEE 802.1Q customer VLAN tag.
pub const TYPE_VLAN: u16 = 0x8100;
/// IEEE 802.1ad service VLAN tag.
pub const TYPE_SVLAN: u16 = 0x88a8;
/// Pre-standard double tagging.
pub const TYPE_QINQ: u16 = 0x9100;
/// LLDP.
pub const TYPE_LLDP: u16 = 0x88cc;
/// MAC control (pause, priority flow control).
pub const TYPE_MAC_CONTROL: u16 = 0x8808;
/// Slow protocols (LACP, marker).
pub const TYPE_SLOW: u16 = 0x8809;
/// Local experimental EtherType 1, the default of this project's VIF control.
pub const TYPE_VIF_CONTROL: u16 = 0x88b5;

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// A group address: multicast or broadcast.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// All octets zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// `01-80-C2-00-00-00` to `0F`: never forwarded by a bridge (IEEE 802.1Q table 8-1).
    #[must_use]
    pub const fn is_link_local(self) -> bool {
        matches!(self.0, [0x01, 0x80, 0xc2, 0, 0, last] if last & 0xf0 == 0)
    }

    /// `5254.0000.0001`, as NX-OS shows it.
    #[must_use]
    pub fn dotted(self) -> String {
        let [a, b, c, d, e, f] = self.0;
        format!("{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{f:02x}")
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not a MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address (write 52:54:00:00:00:01 or 5254.0000.0001)")]
pub struct ParseMacError(String);

impl core::str::FromStr for Mac {
    type Err = ParseMacError;

    /// Reads `52:54:00:00:00:01`, `52-54-00-00-00-01` and `5254.0000.0001`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseMacError(text.to_owned());
        let (width, count, separator) = if text.contains('.') {
            (4, 3, '.')
        } else if text.contains('-') {
            (2, 6, '-')
        } else {
            (2, 6, ':')
        };
        let groups: Vec<&str> = text.split(separator).collect();
        if groups.len() != count || groups.iter().any(|group| group.len() != width) {
            return Err(bad());
        }
        let digits = groups.concat();
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let value = u64::from_str_radix(&digits, 16).map_err(|_| bad())?;
        let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
        Ok(Self([a, b, c, d, e, f]))
    }
}

/// The big-endian 16-bit word at `at`, if there.
#[must_use]
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*word))
}

/// The MAC address at `at`, if there.
#[must_use]
#[inline]
pub fn mac_at(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..)?.first_chunk::<6>().map(|mac| Mac(*mac))
}
