//! LLDP (IEEE 802.1AB): how the two ends of a link find each other, and the TLV with which they say that they speak NIV.
//!
//! Two layers: [`Tlvs`] walks over a data unit and loses nothing; [`Lldp`] is a data unit that 802.1AB allows, with the
//! TLVs that matter here in typed form. A [`NivTlv`] of another version is reported, not guessed at.
//!
//! ```
//! use vntag::lldp::{Id, Lldp};
//!
//! let unit = Lldp::new(Id::local("node"), Id::interface_name("ethernet1/1"), 120);
//! let octets = unit.emit([0x02, 0x4e, 0x56]);
//! assert_eq!(Lldp::parse(&octets, [0x02, 0x4e, 0x56]), Ok(unit));
//! ```

use core::fmt;

use crate::ctl::{Flags, Role};
use crate::ethernet::Mac;

/// The OUI of the NIV TLV, unless configured otherwise; locally administered.
pub const NIV_OUI: [u8; 3] = [0x02, 0x4e, 0x56];
/// The NIV TLV's sub-type.
pub const NIV_SUBTYPE: u8 = 1;
/// The version of the NIV TLV spoken here.
pub const NIV_VERSION: u8 = 1;

/// Octets of type and length.
const TLV_HEADER_LEN: usize = 2;
/// The longest value that nine bits of length can state.
const MAX_VALUE: usize = 511;
/// The longest identifier and string.
const MAX_TEXT: usize = 255;

/// TLV types.
pub mod kind {
    /// The last TLV.
    pub const END: u8 = 0;
    /// Which system.
    pub const CHASSIS_ID: u8 = 1;
    /// Which of its ports.
    pub const PORT_ID: u8 = 2;
    /// For how long all this is true.
    pub const TTL: u8 = 3;
    /// The port in words.
    pub const PORT_DESCRIPTION: u8 = 4;
    /// The system's name.
    pub const SYSTEM_NAME: u8 = 5;
    /// The system in words.
    pub const SYSTEM_DESCRIPTION: u8 = 6;
    /// What the system can do.
    pub const CAPABILITIES: u8 = 7;
    /// How to manage it.
    pub const MANAGEMENT_ADDRESS: u8 = 8;
    /// Defined by an organisation.
    pub const ORGANIZATION: u8 = 127;

    /// The name of a type.
    #[must_use]
    pub const fn name(kind: u8) -> Option<&'static str> {
        Some(match kind {
            END => "End",
            CHASSIS_ID => "Chassis ID",
            PORT_ID => "Port ID",
            TTL => "TTL",
            PORT_DESCRIPTION => "Port description",
            SYSTEM_NAME => "System name",
            SYSTEM_DESCRIPTION => "System description",
            CAPABILITIES => "Capabilities",
            MANAGEMENT_ADDRESS => "Management address",
            ORGANIZATION => "Organization",
            _ => return None,
        })
    }
}

/// Why a data unit is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LldpFault {
    /// A TLV runs past the end.
    #[error("LLDP TLV at octet {at} runs past the end")]
    Truncated {
        /// Where it begins.
        at: usize,
    },
    /// The first three TLVs are not chassis id, port id and TTL.
    #[error("LLDP does not begin with {0}")]
    Missing(&'static str),
    /// A TLV that may be there once is there again.
    #[error("LLDP has {0} twice")]
    Repeated(&'static str),
    /// A TLV's length is not allowed for its type.
    #[error("LLDP {name} of {length} octets")]
    Length {
        /// Which.
        name: &'static str,
        /// Octets of its value.
        length: usize,
    },
}

/// A TLV, whatever it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// Its type, 7 bits.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// Walks over the TLVs of a data unit, up to and without its End; what follows the End is padding.
#[derive(Clone, Debug)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Tlvs<'a> {
    /// Of the octets after the EtherType.
    #[must_use]
    pub const fn new(unit: &'a [u8]) -> Self {
        Self { rest: unit, at: 0 }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, LldpFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.rest.split_first_chunk::<TLV_HEADER_LEN>().and_then(|([high, low], rest)| {
            let length = usize::from(high & 1) << 8 | usize::from(*low);
            let (value, rest) = rest.split_at_checked(length)?;
            Some((Tlv { kind: high >> 1, value }, rest))
        });
        let Some((tlv, rest)) = taken else {
            self.rest = &[];
            return Some(Err(LldpFault::Truncated { at: self.at }));
        };
        self.at += TLV_HEADER_LEN + tlv.value.len();
        self.rest = rest;
        if tlv.kind == kind::END {
            self.rest = &[];
            return None;
        }
        Some(Ok(tlv))
    }
}

/// A chassis or port identifier: what kind of identifier, and itself (1 to 255 octets).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    subtype: u8,
    value: Vec<u8>,
}

impl Id {
    /// Sub-type of a MAC address in a chassis id.
    pub const CHASSIS_MAC: u8 = 4;
    /// Sub-type of a MAC address in a port id.
    pub const PORT_MAC: u8 = 3;
    /// Sub-type of an interface name in a port id.
    pub const PORT_INTERFACE_NAME: u8 = 5;
    /// Sub-type, in both, of what has only local meaning.
    pub const LOCAL: u8 = 7;

    /// `None` without a value or with one over 255 octets.
    #[must_use]
    pub fn new(subtype: u8, value: &[u8]) -> Option<Self> {
        (1..=MAX_TEXT).contains(&value.len()).then(|| Self { subtype, value: value.to_vec() })
    }

    /// A text of local meaning; cut off at 255 octets, `-` if empty.
    #[must_use]
    pub fn local(text: &str) -> Self {
        Self { subtype: Self::LOCAL, value: bounded(text) }
    }

    /// An interface's name as port id; cut off at 255 octets, `-` if empty.
    #[must_use]
    pub fn interface_name(text: &str) -> Self {
        Self { subtype: Self::PORT_INTERFACE_NAME, value: bounded(text) }
    }

    /// What kind of identifier.
    #[must_use]
    pub const fn subtype(&self) -> u8 {
        self.subtype
    }

    /// Its octets.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    fn parse(name: &'static str, value: &[u8]) -> Result<Self, LldpFault> {
        let id = value.split_first().and_then(|(subtype, value)| Self::new(*subtype, value));
        id.ok_or(LldpFault::Length { name, length: value.len() })
    }

    fn octets(&self) -> Vec<u8> {
        [&[self.subtype], &self.value[..]].concat()
    }
}

impl fmt::Display for Id {
    /// Text where it is text, a MAC address where it has that length, otherwise octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (core::str::from_utf8(&self.value), <[u8; 6]>::try_from(&self.value[..])) {
            (_, Ok(mac)) if matches!(self.subtype, Self::CHASSIS_MAC | Self::PORT_MAC) => Mac(mac).fmt(f),
            (Ok(text), _) if !text.chars().any(char::is_control) => f.write_str(text),
            _ => self.value.iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({}, {self})", self.subtype)
    }
}

/// What a system can do, and what of it is switched on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Capabilities {
    /// What it can do.
    pub supported: u16,
    /// What is switched on.
    pub enabled: u16,
}

impl Capabilities {
    /// Bit of a bridge.
    pub const BRIDGE: u16 = 1 << 2;
    /// Bit of a station, which may not be set beside another.
    pub const STATION: u16 = 1 << 7;
}

/// The NIV TLV: that an end of the link speaks NIV, and as what.
///
/// ```text
///  OUI       | sub-type | version | role | boot id | VIFs | lists | flags
///  02 4e 56  |    01    |   1     |  1   |    8    |  2   |   2   |   2     octets
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NivTlv {
    /// Its end of the link.
    pub role: Role,
    /// Random at each start.
    pub boot_id: u64,
    /// VIFs this end can hold.
    pub vifs: u16,
    /// Lists this end can hold.
    pub lists: u16,
    /// What this end can do.
    pub flags: Flags,
}

/// Why a NIV TLV says nothing to us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum NivFault {
    /// Another version.
    #[error("NIV version {0}, not 1")]
    Version(u8),
    /// No such role.
    #[error("NIV role {0}, neither IV (1) nor VIS (2)")]
    Role(u8),
    /// Too short.
    #[error("NIV TLV of {0} octets, not 16")]
    Length(usize),
}

impl NivTlv {
    /// Octets after OUI and sub-type.
    pub const LEN: usize = 16;

    /// Reads the value after OUI and sub-type. Octets after the known ones are ignored.
    pub fn parse(value: &[u8]) -> Result<Self, NivFault> {
        let Some((known, _)) = value.split_first_chunk::<{ Self::LEN }>() else {
            return Err(NivFault::Length(value.len()));
        };
        let [version, role, a, b, c, d, e, f, g, h, v0, v1, l0, l1, f0, f1] = *known;
        if version != NIV_VERSION {
            return Err(NivFault::Version(version));
        }
        Ok(Self {
            role: Role::new(role).ok_or(NivFault::Role(role))?,
            boot_id: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            vifs: u16::from_be_bytes([v0, v1]),
            lists: u16::from_be_bytes([l0, l1]),
            flags: Flags(u16::from_be_bytes([f0, f1])),
        })
    }

    /// The value after OUI and sub-type.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = vec![NIV_VERSION, self.role.get()];
        octets.extend(self.boot_id.to_be_bytes());
        for word in [self.vifs, self.lists, self.flags.0] {
            octets.extend(word.to_be_bytes());
        }
        octets
    }
}

/// A data unit that 802.1AB allows. Other TLVs than these are skipped and counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lldp {
    /// Which system.
    pub chassis_id: Id,
    /// Which of its ports.
    pub port_id: Id,
    /// Seconds for which this is true; 0: it is true no longer.
    pub ttl: u16,
    /// The port in words.
    pub port_description: Option<String>,
    /// The system's name.
    pub system_name: Option<String>,
    /// What the system can do.
    pub capabilities: Option<Capabilities>,
    /// That it speaks NIV; the fault where it speaks it in another way.
    pub niv: Option<Result<NivTlv, NivFault>>,
    /// Other TLVs there were. Not sent.
    pub others: usize,
}

impl Lldp {
    /// With nothing but what must be there.
    #[must_use]
    pub const fn new(chassis_id: Id, port_id: Id, ttl: u16) -> Self {
        Self {
            chassis_id,
            port_id,
            ttl,
            port_description: None,
            system_name: None,
            capabilities: None,
            niv: None,
            others: 0,
        }
    }

    /// Reads the octets after the EtherType; `oui` is that of the NIV TLV.
    pub fn parse(unit: &[u8], oui: [u8; 3]) -> Result<Self, LldpFault> {
        let mut tlvs = Tlvs::new(unit);
        let mut first = |wanted: u8, name| match tlvs.next().transpose()? {
            Some(tlv) if tlv.kind == wanted => Ok(tlv.value),
            _ => Err(LldpFault::Missing(name)),
        };
        let chassis_id = Id::parse("chassis id", first(kind::CHASSIS_ID, "chassis id")?)?;
        let port_id = Id::parse("port id", first(kind::PORT_ID, "port id")?)?;
        let ttl = first(kind::TTL, "TTL")?;
        let Some(seconds) = ttl.first_chunk::<2>() else {
            return Err(LldpFault::Length { name: "TTL", length: ttl.len() });
        };
        let mut lldp = Self::new(chassis_id, port_id, u16::from_be_bytes(*seconds));
        for tlv in tlvs {
            lldp.take(tlv?, oui)?;
        }
        Ok(lldp)
    }

    fn take(&mut self, tlv: Tlv<'_>, oui: [u8; 3]) -> Result<(), LldpFault> {
        let value = tlv.value;
        match tlv.kind {
            kind::CHASSIS_ID => Err(LldpFault::Repeated("chassis id")),
            kind::PORT_ID => Err(LldpFault::Repeated("port id")),
            kind::TTL => Err(LldpFault::Repeated("TTL")),
            kind::PORT_DESCRIPTION => once(&mut self.port_description, "port description", text(value)),
            kind::SYSTEM_NAME => once(&mut self.system_name, "system name", text(value)),
            kind::CAPABILITIES => {
                let Some([a, b, c, d]) = value.first_chunk::<4>() else {
                    return Err(LldpFault::Length { name: "capabilities", length: value.len() });
                };
                let (supported, enabled) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                once(&mut self.capabilities, "capabilities", Capabilities { supported, enabled })
            }
            kind::ORGANIZATION => match niv_value(value, oui) {
                Some(value) => once(&mut self.niv, "the NIV TLV", NivTlv::parse(value)),
                None => {
                    self.others += 1;
                    Ok(())
                }
            },
            _ => {
                self.others += 1;
                Ok(())
            }
        }
    }

    /// The octets after the EtherType. A NIV TLV that is a fault is left out.
    #[must_use]
    pub fn emit(&self, oui: [u8; 3]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, kind::CHASSIS_ID, &self.chassis_id.octets());
        put(&mut out, kind::PORT_ID, &self.port_id.octets());
        put(&mut out, kind::TTL, &self.ttl.to_be_bytes());
        if let Some(text) = &self.port_description {
            put(&mut out, kind::PORT_DESCRIPTION, cut(text).as_bytes());
        }
        if let Some(text) = &self.system_name {
            put(&mut out, kind::SYSTEM_NAME, cut(text).as_bytes());
        }
        if let Some(Capabilities { supported, enabled }) = self.capabilities {
            put(&mut out, kind::CAPABILITIES, &[supported.to_be_bytes(), enabled.to_be_bytes()].concat());
        }
        if let Some(Ok(niv)) = &self.niv {
            put(&mut out, kind::ORGANIZATION, &[&oui[..], &[NIV_SUBTYPE], &niv.octets()].concat());
        }
        put(&mut out, kind::END, &[]);
        out
    }
}

/// What follows OUI and sub-type, if the TLV is ours.
#[must_use]
pub fn niv_value(value: &[u8], oui: [u8; 3]) -> Option<&[u8]> {
    value.strip_prefix(&oui)?.strip_prefix(&[NIV_SUBTYPE])
}

fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), LldpFault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(LldpFault::Repeated(name)),
    }
}

fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    // Both fit: the type has 7 bits by its constants, the length 9 by the line above.
    out.extend([kind << 1 | u8::from(value.len() > 0xff), (value.len() & 0xff) as u8]);
    out.extend(value);
}

/// A string of the neighbour's, for people: what is not text becomes `�`.
fn text(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let clean = text.trim_end_matches('\0').chars();
    clean.map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// At most 255 octets, whole characters.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}

fn bounded(text: &str) -> Vec<u8> {
    if text.is_empty() { b"-".to_vec() } else { cut(text).as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Lldp {
        Lldp {
            port_description: Some("to adapter".into()),
            system_name: Some("vis0".into()),
            capabilities: Some(Capabilities {
                supported: Capabilities::BRIDGE,
                enabled: Capabilities::BRIDGE,
            }),
            niv: Some(Ok(NivTlv {
                role: Role::Vis,
                boot_id: 0x0123_4567_89ab_cdef,
                vifs: 4094,
                lists: 4095,
                flags: Flags::CONTROL,
            })),
            ..Lldp::new(Id::local("chassis"), Id::interface_name("ethernet1/1"), 120)
        }
    }

    #[test]
    fn niv_tlv_is_laid_out_as_specified() {
        let octets = unit().emit(NIV_OUI);
        let niv = [
            0xfe, 20, 0x02, 0x4e, 0x56, 1, 1, 2, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x0f, 0xfe,
            0x0f, 0xff, 0, 1, 0, 0,
        ];
        assert!(octets.ends_with(&niv), "{octets:02x?}");
        assert_eq!(Lldp::parse(&octets, NIV_OUI), Ok(unit()));
        let padded = [&octets[..], &[0; 20]].concat();
        assert_eq!(Lldp::parse(&padded, NIV_OUI), Ok(unit()), "what follows the End is padding");
        let other = Lldp::parse(&octets, [0, 0, 0x0c]).expect("a data unit");
        assert_eq!((other.niv, other.others), (None, 1), "another OUI, another TLV");
    }

    #[test]
    fn niv_of_another_version_is_reported() {
        let value = |version, role| {
            let mut value = unit().niv.expect("there").expect("sound").octets();
            (value[0], value[1]) = (version, role);
            NivTlv::parse(&value)
        };
        assert_eq!(value(2, 1), Err(NivFault::Version(2)));
        assert_eq!(value(1, 3), Err(NivFault::Role(3)));
        assert_eq!(NivTlv::parse(&[1, 1]), Err(NivFault::Length(2)));
    }

    #[test]
    fn what_802_1ab_does_not_allow_is_refused() {
        let parse = |octets: &[u8]| Lldp::parse(octets, NIV_OUI);
        let (chassis, port, ttl) = ([2, 2, 7, b'a'], [4, 2, 7, b'b'], [6, 2, 0, 120]);
        assert!(parse(&[chassis, port, ttl].concat()).is_ok(), "an End left out is tolerated");
        assert_eq!(parse(&[port, chassis, ttl].concat()), Err(LldpFault::Missing("chassis id")));
        assert_eq!(parse(&[chassis, port].concat()), Err(LldpFault::Missing("TTL")));
        assert_eq!(parse(&[chassis, port, ttl, ttl].concat()), Err(LldpFault::Repeated("TTL")));
        assert_eq!(parse(&[2, 1, 7]), Err(LldpFault::Length { name: "chassis id", length: 1 }));
        assert_eq!(parse(&[2, 9, 7]), Err(LldpFault::Truncated { at: 0 }));
        assert_eq!(parse(&[]), Err(LldpFault::Missing("chassis id")));
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let name = "ä".repeat(200);
        let unit = Lldp { system_name: Some(name.clone()), ..unit() };
        let back = Lldp::parse(&unit.emit(NIV_OUI), NIV_OUI).expect("a data unit");
        assert_eq!(back.system_name.as_deref(), name.get(..254));
        assert_eq!(Id::local("").value(), b"-");
        assert_eq!(Id::new(7, &[]), None);
    }
}
