//! The values that TLVs carry, in the forms that are allowed.

use core::fmt;

use super::fields::array;
use super::{MAX_VIFS, TlvType, Wrong};
use crate::legal::VifId;

/// Makes a closed enum over one octet.
macro_rules! octet_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$item:meta])* $variant:ident = $value:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$item])* $variant = $value,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The one with this number.
            #[must_use]
            pub const fn new(number: u8) -> Option<Self> {
                match number {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its number on the wire.
            #[must_use]
            pub const fn get(self) -> u8 {
                self as u8
            }

            pub(crate) fn parse(kind: TlvType, number: u8) -> Result<Self, Wrong> {
                Self::new(number).ok_or(Wrong::Value { kind, why: $what })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

octet_enum! {
    /// Which end of an NIV link.
    Role, "no such role" {
        /// Interface virtualizer: the adapter.
        Iv = 1 "IV",
        /// Virtual interface switch.
        Vis = 2 "VIS",
    }
}

impl Role {
    /// The role the other end has to have.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Iv => Self::Vis,
            Self::Vis => Self::Iv,
        }
    }
}

octet_enum! {
    /// The state in which a VIF is asked for.
    InitialState, "no such initial state" {
        /// Known, without traffic.
        Standby = 0 "standby",
        /// With traffic at once.
        Active = 1 "active",
    }
}

octet_enum! {
    /// A VIF's state.
    VifState, "no such VIF state" {
        /// Down by the switch's decision.
        Disabled = 0 "disabled",
        /// Known, without traffic.
        Standby = 1 "standby",
        /// With traffic.
        Active = 2 "active",
        /// Gone, from every list too.
        Deleted = 3 "deleted",
    }
}

octet_enum! {
    /// What a VIF does with VLAN tags.
    VlanMode, "no such VLAN mode" {
        /// Tags pass; the default VLAN goes untagged.
        Trunk = 0 "trunk",
        /// Only the default VLAN, untagged.
        Access = 1 "access",
        /// Tags pass; the default VLAN goes tagged too.
        NativeTagged = 2 "native-tagged",
    }
}

/// What an end can do, in discovery and HELLO. Unknown bits are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// Bit 0: control protocol spoken.
    pub const CONTROL: Self = Self(1);
    /// Bit 1: takes super-frames.
    pub const SUPER_FRAMES: Self = Self(1 << 1);
    /// Bit 2: exchanges descriptors for a hairpin.
    pub const DESCRIPTOR_EXCHANGE: Self = Self(1 << 2);
    /// Bit 3: speaks E-TAG.
    pub const ETAG: Self = Self(1 << 3);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::CONTROL, "control"),
        (Self::SUPER_FRAMES, "super-frames"),
        (Self::DESCRIPTOR_EXCHANGE, "descriptor-exchange"),
        (Self::ETAG, "e-tag"),
    ];

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both have.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if self.contains(flag) {
                write!(f, "{separator}{name}")?;
                separator = ",";
                rest &= !flag.0;
            }
        }
        match rest {
            0 if separator.is_empty() => f.write_str("none"),
            0 => Ok(()),
            rest => write!(f, "{separator}{rest:#x}"),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

/// What an end has room for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limits {
    /// VIFs.
    pub vifs: u16,
    /// VIF lists.
    pub lists: u16,
    /// The longest PDU it takes, header included.
    pub max_pdu: u16,
}

impl Limits {
    /// A PDU that any end has to take: [`MAX_PDU`](super::MAX_PDU) is 1,500, and nothing is gained by less than this.
    pub const MIN_PDU: u16 = 256;

    pub(super) fn parse(octets: [u8; 6]) -> Result<Self, Wrong> {
        let [a, b, c, d, e, f] = octets;
        let word = |high, low| u16::from_be_bytes([high, low]);
        let limits = Self { vifs: word(a, b), lists: word(c, d), max_pdu: word(e, f) };
        if limits.max_pdu < Self::MIN_PDU {
            return Err(Wrong::Value { kind: TlvType::LIMITS, why: "maximum PDU under 256 octets" });
        }
        Ok(limits)
    }

    pub(super) fn octets(self) -> Vec<u8> {
        [self.vifs, self.lists, self.max_pdu].iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}

/// A node's name: 1 to 63 octets UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(String);

impl Name {
    /// The most octets.
    pub const MAX: usize = 63;

    /// `None` for what is not allowed.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let length = (1..=Self::MAX).contains(&text.len());
        (length && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a VIF treats its traffic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct VifParams {
    /// VLAN mode.
    pub mode: VlanMode,
    /// Priority of frames that bring none, 0 to 7.
    pub cos: u8,
    /// The default (access, native) VLAN, up to 4094; 0 for none, which access mode cannot have.
    pub vlan: u16,
    /// Bit n: priority n may be used.
    pub priorities: u8,
    /// Greatest payload of a frame.
    pub mtu: u16,
    /// Minimum rate in bit/s; 0 for none.
    pub min_rate: u64,
    /// Maximum rate in bit/s; 0 for none.
    pub max_rate: u64,
}

impl VifParams {
    /// Octets on the wire.
    pub const LEN: usize = 24;
    /// The least MTU: that of IPv4.
    pub const MIN_MTU: u16 = 68;

    /// Names what is not allowed.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |why| Err(Wrong::Value { kind: TlvType::VIF_PARAMS, why });
        if self.cos > 7 {
            wrong("default CoS over 7")
        } else if self.vlan > 4094 {
            wrong("default VLAN over 4094")
        } else if self.mode == VlanMode::Access && self.vlan == 0 {
            wrong("access mode without a VLAN")
        } else if self.mtu < Self::MIN_MTU {
            wrong("MTU under 68")
        } else if self.max_rate != 0 && self.min_rate > self.max_rate {
            wrong("minimum rate over the maximum")
        } else {
            Ok(())
        }
    }

    pub(super) fn parse(value: &[u8]) -> Result<Self, Wrong> {
        let kind = TlvType::VIF_PARAMS;
        let octets: [u8; Self::LEN] = array(kind, value)?;
        let [mode, cos, v0, v1, priorities, _, m0, m1, rates @ ..] = octets;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = rates;
        let params = Self {
            mode: VlanMode::parse(kind, mode)?,
            cos,
            vlan: u16::from_be_bytes([v0, v1]),
            priorities,
            mtu: u16::from_be_bytes([m0, m1]),
            min_rate: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            max_rate: u64::from_be_bytes([i, j, k, l, m, n, o, p]),
        };
        params.check().map(|()| params)
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        let mut octets = vec![self.mode.get(), self.cos];
        octets.extend(self.vlan.to_be_bytes());
        octets.extend([self.priorities, 0]);
        octets.extend(self.mtu.to_be_bytes());
        octets.extend(self.min_rate.to_be_bytes());
        octets.extend(self.max_rate.to_be_bytes());
        octets
    }
}

/// A set of at most [`MAX_VIFS`] VIF ids, in rising order.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Vifs(Vec<VifId>);

impl Vifs {
    /// Of these ids; repeated ones count once. `None` for more than [`MAX_VIFS`].
    pub fn new(ids: impl IntoIterator<Item = VifId>) -> Option<Self> {
        // A set can be long only as far as there are ids; an iterator could go on for ever.
        let mut ids: Vec<VifId> = ids.into_iter().take(usize::from(u16::MAX)).collect();
        ids.sort_unstable();
        ids.dedup();
        (ids.len() <= MAX_VIFS).then_some(Self(ids))
    }

    /// One id.
    #[must_use]
    pub fn one(id: VifId) -> Self {
        Self(vec![id])
    }

    /// The ids, rising.
    #[must_use]
    pub fn as_slice(&self) -> &[VifId] {
        &self.0
    }

    /// The ids, rising.
    pub fn iter(&self) -> impl Iterator<Item = VifId> {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `id` is one of them.
    #[must_use]
    pub fn contains(&self, id: VifId) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    pub(super) fn parse(kind: TlvType, value: &[u8]) -> Result<Self, Wrong> {
        let (words, rest) = value.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Wrong::Length { kind, length: value.len() });
        }
        if words.len() > MAX_VIFS {
            return Err(Wrong::Value { kind, why: "more than 512 VIFs" });
        }
        let ids = words.iter().map(|word| VifId::new(u16::from_be_bytes(*word)));
        let ids: Option<Vec<VifId>> = ids.collect();
        let Some(mut ids) = ids else {
            return Err(Wrong::Value { kind, why: "VIF 0 or over 4094" });
        };
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Wrong::Value { kind, why: "a VIF twice" });
        }
        Ok(Self(ids))
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        self.0.iter().flat_map(|id| id.get().to_be_bytes()).collect()
    }
}

/// Why something is as it is: a code for programs, text for people.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cause {
    /// Code; its meaning is the sender's.
    pub code: u16,
    text: String,
}

impl Cause {
    /// The most octets of text.
    pub const MAX_TEXT: usize = 255;

    /// Text over [`Self::MAX_TEXT`] octets is cut off, control characters become `�`: it will be shown to people.
    #[must_use]
    pub fn new(code: u16, text: &str) -> Self {
        let mut clean = String::new();
        for letter in text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }) {
            if clean.len() + letter.len_utf8() > Self::MAX_TEXT {
                break;
            }
            clean.push(letter);
        }
        Self { code, text: clean }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn parse(value: &[u8]) -> Result<Self, Wrong> {
        let kind = TlvType::CAUSE;
        let Some((code, text)) = value.split_first_chunk::<2>() else {
            return Err(Wrong::Length { kind, length: value.len() });
        };
        let text = core::str::from_utf8(text).map_err(|_| Wrong::Value { kind, why: "text is not UTF-8" })?;
        Ok(Self::new(u16::from_be_bytes(*code), text))
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        [&self.code.to_be_bytes()[..], self.text.as_bytes()].concat()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() { write!(f, "cause {}", self.code) } else { f.write_str(&self.text) }
    }
}

/// A VIF's sixteen counters. The first eight are what the VIF transmitted, in the order public adapters report.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Counters(pub [u64; 16]);

impl Counters {
    /// Octets on the wire.
    pub const LEN: usize = 128;

    /// The names, in order.
    pub const NAMES: [&'static str; 16] = [
        "tx_unicast_frames",
        "tx_unicast_bytes",
        "tx_multicast_frames",
        "tx_multicast_bytes",
        "tx_broadcast_frames",
        "tx_broadcast_bytes",
        "tx_discarded",
        "tx_dropped",
        "rx_unicast_frames",
        "rx_unicast_bytes",
        "rx_multicast_frames",
        "rx_multicast_bytes",
        "rx_broadcast_frames",
        "rx_broadcast_bytes",
        "rx_discarded",
        "rx_dropped",
    ];

    pub(super) fn parse(value: &[u8]) -> Result<Self, Wrong> {
        let (words, rest) = value.as_chunks::<8>();
        match <[[u8; 8]; 16]>::try_from(words) {
            Ok(words) if rest.is_empty() => Ok(Self(words.map(u64::from_be_bytes))),
            _ => Err(Wrong::Length { kind: TlvType::COUNTERS, length: value.len() }),
        }
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        self.0.iter().flat_map(|counter| counter.to_be_bytes()).collect()
    }
}

/// What happened at the switch. An open code: unknown ones are delivered too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventCode(pub u16);

impl EventCode {
    /// Pending creates may be retried.
    pub const RETRY: Self = Self(1);
    /// The catalogue of port profiles changed.
    pub const PROFILES: Self = Self(2);
}
