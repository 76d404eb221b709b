//! The provisioning blob: in which a vNIC says who it is and which port profile it wants.
//!
//! The format is the one that Linux' enic driver hands to its adapter (`vnic_vic.h`), unchanged:
//!
//! ```text
//!  0           3      4          8            12
//! +-----------+------+----------+------------+----------------------------------------------
//! | 00 00 0c  |  04  |  length  |  num_tlvs  | TLVs: type u16, length u16, value; no padding
//! +-----------+------+----------+------------+----------------------------------------------
//!                               |<-- length: what follows it ---
//! ```
//!
//! Strings may end in NULs, any number of them. Unknown TLVs are kept and skipped.

use core::fmt;

use super::pdu::{Tlvs, put_tlv};
use super::{Tlv, TlvType};
use crate::ethernet::{Mac, mac_at};
use crate::uuid::Uuid;

/// The most octets of a blob.
pub const MAX_LEN: usize = 1385;
/// OUI and type "generic".
const MAGIC: [u8; 4] = [0x00, 0x00, 0x0c, 0x04];
/// Octets before the first TLV.
const HEADER_LEN: usize = 12;
/// Octets of the header that `length` counts.
const COUNTED: usize = 4;

/// The TLV types that have a meaning here.
pub mod kind {
    /// Name of the port profile.
    pub const PROFILE_NAME: u16 = 0;
    /// MAC address, 6 octets.
    pub const CLIENT_MAC: u16 = 1;
    /// Name of the machine.
    pub const CLIENT_NAME: u16 = 2;
    /// Name of the port, in a cluster.
    pub const CLUSTER_PORT_NAME: u16 = 3;
    /// Identity of the port; Linux writes the MAC address as text.
    pub const CLUSTER_PORT_UUID: u16 = 4;
    /// Identity of the cluster.
    pub const CLUSTER_UUID: u16 = 5;
    /// Name of the cluster.
    pub const CLUSTER_NAME: u16 = 7;
    /// UUID of the host, as text.
    pub const HOST_UUID: u16 = 8;
    /// UUID of the instance, as text.
    pub const CLIENT_UUID: u16 = 9;
    /// Which of several claimants came last.
    pub const INCARNATION: u16 = 10;
    /// Operating system, u16: 0 unknown, 1 ESX, 2 Linux, 3 Windows, 4 Solaris.
    pub const OS_TYPE: u16 = 11;
    /// Vendor of the operating system.
    pub const OS_VENDOR: u16 = 12;
    /// Kind of client.
    pub const CLIENT_TYPE: u16 = 15;

    /// The name of a type.
    #[must_use]
    pub const fn name(kind: u16) -> Option<&'static str> {
        Some(match kind {
            PROFILE_NAME => "PORT_PROFILE_NAME_STR",
            CLIENT_MAC => "CLIENT_MAC_ADDR",
            CLIENT_NAME => "CLIENT_NAME_STR",
            CLUSTER_PORT_NAME => "CLUSTER_PORT_NAME_STR",
            CLUSTER_PORT_UUID => "CLUSTER_PORT_UUID_STR",
            CLUSTER_UUID => "CLUSTER_UUID_STR",
            CLUSTER_NAME => "CLUSTER_NAME_STR",
            HOST_UUID => "HOST_UUID_STR",
            CLIENT_UUID => "CLIENT_UUID_STR",
            INCARNATION => "INCARNATION_NUMBER",
            OS_TYPE => "OS_TYPE",
            OS_VENDOR => "OS_VENDOR",
            CLIENT_TYPE => "CLIENT_TYPE",
            _ => return None,
        })
    }
}

/// Why a blob is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobFault {
    /// Over [`MAX_LEN`].
    TooLong,
    /// No room for its header.
    Truncated,
    /// Another OUI or type.
    Magic,
    /// The length field does not fit the octets.
    Length,
    /// A TLV runs past the length.
    Tlv,
    /// num_tlvs is not the number of TLVs.
    Count,
    /// A known TLV that cannot be what its type says.
    Value,
}

impl BlobFault {
    /// The reason in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooLong => "blob over 1385 octets",
            Self::Truncated => "blob header truncated",
            Self::Magic => "blob of another OUI or type than 00-00-0c, 4",
            Self::Length => "blob length does not fit",
            Self::Tlv => "blob TLV runs past the length",
            Self::Count => "blob has another number of TLVs than it says",
            Self::Value => "blob TLV with a wrong value",
        }
    }
}

impl fmt::Display for BlobFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for BlobFault {}

/// A checked blob: its framing holds and the TLVs that have a meaning here have values of their type.
///
/// ```
/// use vntag::ctl::Provisioning;
/// use vntag::ethernet::Mac;
///
/// let blob = Provisioning::builder().profile("web").mac(Mac([0x52, 0x54, 0, 0, 0, 1])).build().unwrap();
/// assert_eq!(Provisioning::parse(blob.as_bytes()), Ok(blob.clone()));
/// assert_eq!(blob.profile(), Some("web"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Provisioning(Box<[u8]>);

impl Provisioning {
    /// Checks a blob. Octets after the length it states are refused: the TLV that carries it says how long it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, BlobFault> {
        if bytes.len() > MAX_LEN {
            return Err(BlobFault::TooLong);
        }
        let Some((head, tlvs)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(BlobFault::Truncated);
        };
        let [m0, m1, m2, m3, l0, l1, l2, l3, n0, n1, n2, n3] = *head;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(BlobFault::Magic);
        }
        if usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])) != Ok(tlvs.len() + COUNTED) {
            return Err(BlobFault::Length);
        }
        let mut count = 0_u32;
        for tlv in Tlvs::new(tlvs) {
            let tlv = tlv.map_err(|_| BlobFault::Tlv)?;
            if !is_sound(tlv) {
                return Err(BlobFault::Value);
            }
            count += 1;
        }
        if count != u32::from_be_bytes([n0, n1, n2, n3]) {
            return Err(BlobFault::Count);
        }
        Ok(Self(bytes.into()))
    }

    /// Begins an empty one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { tlvs: Vec::new(), count: 0 }
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All TLVs, known or not, in their order; types are those of [`kind`].
    pub fn tlvs(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let tlvs = Tlvs::new(self.0.get(HEADER_LEN..).unwrap_or_default());
        tlvs.map_while(Result::ok).map(|tlv| (tlv.kind.0, tlv.value))
    }

    /// The port profile asked for; `None` where the name is missing or empty.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.text(kind::PROFILE_NAME)
    }

    /// The configured MAC address: with the instance UUID, the identity of the vEth.
    #[must_use]
    pub fn mac(&self) -> Option<Mac> {
        self.value(kind::CLIENT_MAC).and_then(|value| value.first_chunk()).map(|mac| Mac(*mac))
    }

    /// Name of the machine.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.text(kind::CLIENT_NAME)
    }

    /// Name of the machine's port: which of its network interfaces this is.
    #[must_use]
    pub fn port_name(&self) -> Option<&str> {
        self.text(kind::CLUSTER_PORT_NAME)
    }

    /// UUID of the instance.
    #[must_use]
    pub fn client_uuid(&self) -> Option<Uuid> {
        self.text(kind::CLIENT_UUID).and_then(|text| text.parse().ok())
    }

    /// UUID of the host.
    #[must_use]
    pub fn host_uuid(&self) -> Option<Uuid> {
        self.text(kind::HOST_UUID).and_then(|text| text.parse().ok())
    }

    /// Of two claimants of one identity, the one with the higher number came last.
    #[must_use]
    pub fn incarnation(&self) -> Option<u64> {
        self.value(kind::INCARNATION).and_then(number)
    }

    /// Operating system.
    #[must_use]
    pub fn os_type(&self) -> Option<u16> {
        self.value(kind::OS_TYPE).and_then(|value| value.first_chunk()).map(|word| u16::from_be_bytes(*word))
    }

    /// The value of the first TLV of this type.
    fn value(&self, wanted: u16) -> Option<&[u8]> {
        self.tlvs().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    fn text(&self, wanted: u16) -> Option<&str> {
        self.value(wanted).and_then(text).filter(|text| !text.is_empty())
    }
}

impl fmt::Debug for Provisioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Provisioning {
    /// Every TLV: known strings as text, all others as octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (number, value)) in self.tlvs().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            match kind::name(number) {
                Some(name) => write!(f, "{name} ")?,
                None => write!(f, "TLV {number} ")?,
            }
            match (number, text(value), number_of(number, value)) {
                (_, _, Some(number)) => write!(f, "{number}")?,
                (kind::CLIENT_MAC, ..) => mac_at(value, 0).unwrap_or_default().fmt(f)?,
                (0..=15, Some(text), _) if !text.chars().any(char::is_control) => write!(f, "\"{text}\"")?,
                _ => value.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?,
            }
        }
        Ok(())
    }
}

/// Puts a blob together, TLV by TLV, in the order of the calls.
#[derive(Clone, Debug)]
pub struct Builder {
    tlvs: Vec<u8>,
    count: u32,
}

impl Builder {
    /// Any TLV.
    #[must_use]
    pub fn tlv(mut self, kind: u16, value: &[u8]) -> Self {
        put_tlv(&mut self.tlvs, kind, value);
        self.count = self.count.saturating_add(1);
        self
    }

    /// A string, ended by NUL as Linux does it.
    #[must_use]
    pub fn string(self, kind: u16, text: &str) -> Self {
        self.tlv(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// The port profile.
    #[must_use]
    pub fn profile(self, name: &str) -> Self {
        self.string(kind::PROFILE_NAME, name)
    }

    /// The configured MAC address.
    #[must_use]
    pub fn mac(self, mac: Mac) -> Self {
        self.tlv(kind::CLIENT_MAC, &mac.0)
    }

    /// Name of the machine.
    #[must_use]
    pub fn client_name(self, name: &str) -> Self {
        self.string(kind::CLIENT_NAME, name)
    }

    /// Name of the machine's port.
    #[must_use]
    pub fn port_name(self, name: &str) -> Self {
        self.string(kind::CLUSTER_PORT_NAME, name)
    }

    /// UUID of the instance.
    #[must_use]
    pub fn client_uuid(self, uuid: Uuid) -> Self {
        self.string(kind::CLIENT_UUID, &uuid.to_string())
    }

    /// UUID of the host.
    #[must_use]
    pub fn host_uuid(self, uuid: Uuid) -> Self {
        self.string(kind::HOST_UUID, &uuid.to_string())
    }

    /// Incarnation number, as u64.
    #[must_use]
    pub fn incarnation(self, number: u64) -> Self {
        self.tlv(kind::INCARNATION, &number.to_be_bytes())
    }

    /// Operating system.
    #[must_use]
    pub fn os_type(self, number: u16) -> Self {
        self.tlv(kind::OS_TYPE, &number.to_be_bytes())
    }

    /// The blob, checked as one that was received.
    pub fn build(self) -> Result<Provisioning, BlobFault> {
        let length = u32::try_from(self.tlvs.len() + COUNTED).map_err(|_| BlobFault::TooLong)?;
        let head = [MAGIC, length.to_be_bytes(), self.count.to_be_bytes()].concat();
        Provisioning::parse(&[head, self.tlvs].concat())
    }
}

/// The name in a netlink `IFLA_PORT_PROFILE` attribute: 1 to 40 octets, ended by NULs or not, as the enic driver wants
/// 40 and libvirt sends the name with one NUL.
#[must_use]
pub fn profile_attribute(value: &[u8]) -> Option<&str> {
    let in_range = (1..=40).contains(&value.len());
    text(value).filter(|text| in_range && !text.is_empty())
}

/// Whether a TLV that has a meaning here holds a value of its type.
fn is_sound(tlv: Tlv<'_>) -> bool {
    let Tlv { kind: TlvType(number), value } = tlv;
    match number {
        kind::CLIENT_MAC => value.len() == 6,
        kind::OS_TYPE => value.len() == 2,
        kind::INCARNATION => number_of(number, value).is_some(),
        kind::PROFILE_NAME | kind::CLIENT_NAME => {
            text(value).is_some_and(|text| !text.chars().any(char::is_control))
        }
        kind::CLIENT_UUID | kind::HOST_UUID => {
            text(value).is_some_and(|text| text.is_empty() || text.parse::<Uuid>().is_ok())
        }
        _ => true,
    }
}

/// The octets before trailing NULs, as text.
fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value).ok().map(|text| text.trim_end_matches('\0'))
}

/// A number of 1 to 8 octets: no source says how wide the incarnation number is.
fn number(value: &[u8]) -> Option<u64> {
    let known = (1..=8).contains(&value.len());
    known.then(|| value.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

fn number_of(kind: u16, value: &[u8]) -> Option<u64> {
    matches!(kind, kind::INCARNATION | kind::OS_TYPE).then(|| number(value)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Uuid = Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);

    /// What Linux sends, in its order, with the spare octet of its UUID buffers.
    fn linux() -> Builder {
        let uuid = [UUID.to_string().as_bytes(), &[0, 0]].concat();
        Provisioning::builder()
            .profile("web")
            .mac(Mac([0x52, 0x54, 0, 0, 0, 1]))
            .string(kind::CLUSTER_PORT_UUID, "52:54:00:00:00:01")
            .tlv(kind::CLIENT_UUID, &uuid)
            .tlv(kind::HOST_UUID, &uuid)
            .os_type(2)
    }

    #[test]
    fn linux_blob_is_understood() {
        let blob = linux().tlv(13, &[1, 2, 3]).incarnation(7).build().expect("a blob");
        assert_eq!(blob.profile(), Some("web"));
        assert_eq!(blob.mac(), Some(Mac([0x52, 0x54, 0, 0, 0, 1])));
        assert_eq!((blob.client_uuid(), blob.host_uuid()), (Some(UUID), Some(UUID)));
        assert_eq!((blob.os_type(), blob.incarnation()), (Some(2), Some(7)));
        assert_eq!(blob.tlvs().count(), 8);
        assert!(
            blob.to_string().starts_with("PORT_PROFILE_NAME_STR \"web\", CLIENT_MAC_ADDR 52:54:00:00:00:01")
        );
    }

    #[test]
    fn c11_wrong_framing_is_refused_by_name() {
        let good = linux().build().expect("a blob").as_bytes().to_vec();
        let change = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Provisioning::parse(&bytes)
        };
        assert_eq!(change(2, 0x0d), Err(BlobFault::Magic));
        assert_eq!(change(3, 5), Err(BlobFault::Magic));
        assert_eq!(change(7, 1), Err(BlobFault::Length));
        assert_eq!(change(11, 1), Err(BlobFault::Count));
        assert_eq!(change(14, 0xff), Err(BlobFault::Tlv));
        for len in 0..good.len() {
            assert!(Provisioning::parse(&good[..len]).is_err());
        }
        assert_eq!(Provisioning::parse(&[]), Err(BlobFault::Truncated));
        let long = Provisioning::builder().tlv(6, &[0; MAX_LEN - HEADER_LEN - 4]);
        assert_eq!(long.clone().build().map(|blob| blob.as_bytes().len()), Ok(MAX_LEN));
        assert_eq!(long.tlv(6, &[]).build(), Err(BlobFault::TooLong));
        assert_eq!(Provisioning::builder().tlv(kind::CLIENT_MAC, &[1; 5]).build(), Err(BlobFault::Value));
        assert_eq!(Provisioning::builder().tlv(kind::PROFILE_NAME, b"a\0b").build(), Err(BlobFault::Value));
    }

    #[test]
    fn names_may_end_in_any_number_of_nuls() {
        for value in [&b"web"[..], b"web\0", b"web\0\0\0"] {
            let blob = Provisioning::builder().tlv(kind::PROFILE_NAME, value).build().expect("a blob");
            assert_eq!(blob.profile(), Some("web"));
            assert_eq!(profile_attribute(value), Some("web"));
        }
        assert_eq!(Provisioning::builder().profile("").build().expect("a blob").profile(), None);
        assert_eq!(profile_attribute(&[b'a'; 40]).map(str::len), Some(40));
        assert_eq!(profile_attribute(&[b'a'; 41]), None);
        assert_eq!(profile_attribute(&[0; 40]), None);
    }
}
