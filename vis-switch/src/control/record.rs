//! What is kept of a vEth beyond this process: one exportable record.

use core::fmt;
use serde::{Deserialize, Serialize};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// Who a vEth is: instance and configured MAC address. Whatever address the guest really uses is learned, and never
/// identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// UUID of the instance.
    #[serde(with = "text")]
    pub uuid: Uuid,
    /// Configured MAC address.
    #[serde(with = "text")]
    pub mac: Mac,
}

impl fmt::Display for Identity {
    /// `52:54:00:00:00:01 of 01234567-89ab-cdef-0123-456789abcdef`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.mac, self.uuid)
    }
}

/// A vEth that an adapter has asked for at least once. What is configured under `interface vethernet` is not repeated
/// here; a vEth that is only configured has no record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VethRecord {
    /// Its number.
    pub number: u32,
    /// Who it is.
    pub identity: Identity,
    /// The port profile that its adapter asks for.
    pub profile: Option<String>,
    /// The adapter's number of the vNIC.
    pub channel: u16,
    /// The port it was last seen at: `1/1`.
    pub port: String,
    /// Which of its machine's interfaces it is, for people.
    pub vnic: Option<String>,
    /// Name of the machine, for people.
    pub vm: Option<String>,
    /// UUID of the host it was last seen on.
    pub host: Option<String>,
    /// Of several claimants of this identity, the one with the highest number that was accepted.
    pub incarnation: Option<u64>,
    /// When it was made: seconds since 1970.
    pub created: u64,
}

/// What [`VethRecord::encode`] writes.
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u16,
    #[serde(flatten)]
    veth: VethRecord,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not what [`VethRecord::encode`] writes.
    #[error("not a vEth record: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Written by another release.
    #[error("a vEth record of version {0}; this release reads version {VERSION}")]
    Version(u16),
}

impl VethRecord {
    /// The record as JSON, with the version of its format.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // A struct of numbers and strings always is JSON.
        serde_json::to_vec(&Versioned { version: VERSION, veth: self.clone() }).unwrap_or_default()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// The octets are no record, or one of another version.
    pub fn decode(octets: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Head {
            version: u16,
        }
        let Head { version } = serde_json::from_slice(octets)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        Ok(serde_json::from_slice::<Versioned>(octets)?.veth)
    }
}

/// What is to be changed on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreOp {
    /// Keep this record under its number, whatever was there.
    Put(Box<VethRecord>),
    /// There is no such vEth any more.
    Remove(u32),
}

impl StoreOp {
    /// Which vEth it is about.
    #[must_use]
    pub fn number(&self) -> u32 {
        match self {
            Self::Put(record) => record.number,
            Self::Remove(number) => *number,
        }
    }
}

/// A group of [`StoreOp`]s; later groups have greater tickets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreTicket(pub u64);

/// Values that have a text form of their own.
mod text {
    use core::fmt::Display;
    use core::str::FromStr;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> VethRecord {
        VethRecord {
            number: 7,
            identity: Identity { uuid: Uuid([0xab; 16]), mac: Mac([0x52, 0x54, 0, 0, 0, 1]) },
            profile: Some("web".to_owned()),
            channel: 3,
            port: "1/1".to_owned(),
            vnic: Some("vnic0".to_owned()),
            vm: None,
            host: None,
            incarnation: Some(u64::MAX),
            created: 1_700_000_000,
        }
    }

    #[test]
    fn a_record_survives_writing_and_reading() {
        let octets = record().encode();
        assert_eq!(VethRecord::decode(&octets).expect("a record"), record());
        let text = String::from_utf8(octets).expect("text");
        assert!(text.starts_with(r#"{"version":1,"number":7,"identity":{"uuid":"abababab-"#), "{text}");
    }

    #[test]
    fn other_versions_and_damage_are_refused_by_name() {
        let text = String::from_utf8(record().encode()).expect("text");
        let newer = text.replace(r#""version":1"#, r#""version":9"#);
        let error = VethRecord::decode(newer.as_bytes()).expect_err("another version");
        assert_eq!(error.to_string(), "a vEth record of version 9; this release reads version 1");
        for wrong in ["", "{}", "{\"version\":1}", &text.replace("52:54", "5254")] {
            assert!(matches!(VethRecord::decode(wrong.as_bytes()), Err(RecordError::Damaged(_))), "{wrong}");
        }
    }
}
