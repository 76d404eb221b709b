//! The lossless layer: where the fields of a PDU are. It judges nothing but lengths, and reports those.

use super::{Opcode, Status, TlvType, Wrong};

/// Octets of the header.
pub const HEADER_LEN: usize = 16;
/// The protocol version spoken here.
pub const VERSION: u8 = 1;
/// Bit 7 of the opcode octet.
const RESPONSE: u8 = 0x80;
/// Octets of type and length before a TLV's value.
const TLV_HEADER_LEN: usize = 4;

/// The header, field by field, of any value.
///
/// ```text
///  0        1        2                 4                 6                 8                          12
/// +--------+--------+-----------------+-----------------+-----------------+-------------+-------------+
/// |version |R opcode|       seq       |     status      |     length      |   session   |  reserved   |
/// +--------+--------+-----------------+-----------------+-----------------+-------------+-------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Protocol version.
    pub version: u8,
    /// Without the response bit.
    pub opcode: Opcode,
    /// R, bit 7 of the opcode's octet.
    pub response: bool,
    /// Sequence number: a response repeats that of its request.
    pub seq: u16,
    /// 0 in requests.
    pub status: Status,
    /// Octets that follow the header.
    pub length: u16,
    /// Exclusive-or of the low halves of both boot ids; 0 in HELLO.
    pub session: u32,
    /// Sent as 0, not looked at.
    pub reserved: u32,
}

impl Header {
    /// The header of a request. [`Writer::finish`] sets the length.
    #[must_use]
    pub const fn request(opcode: Opcode, session: u32, seq: u16) -> Self {
        let status = Status::OK;
        Self { version: VERSION, opcode, response: false, seq, status, length: 0, session, reserved: 0 }
    }

    /// The header of a response.
    #[must_use]
    pub const fn response(opcode: Opcode, session: u32, seq: u16, status: Status) -> Self {
        Self { response: true, status, ..Self::request(opcode, session, seq) }
    }

    fn octets(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        let opcode = self.opcode.0 & !RESPONSE | if self.response { RESPONSE } else { 0 };
        octets[0] = self.version;
        octets[1] = opcode;
        octets[2..4].copy_from_slice(&self.seq.to_be_bytes());
        octets[4..6].copy_from_slice(&self.status.0.to_be_bytes());
        octets[6..8].copy_from_slice(&self.length.to_be_bytes());
        octets[8..12].copy_from_slice(&self.session.to_be_bytes());
        octets[12..16].copy_from_slice(&self.reserved.to_be_bytes());
        octets
    }
}

/// A length that does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// Fewer octets than a header.
    #[error("PDU header truncated: {have} octets of 16")]
    Header {
        /// Octets there are.
        have: usize,
    },
    /// The length field promises more than there is.
    #[error("PDU truncated: {have} octets of {need} after the header")]
    Body {
        /// What the length field says.
        need: usize,
        /// Octets there are.
        have: usize,
    },
    /// A TLV runs past the end of the PDU.
    #[error("TLV at octet {at} after the header runs past the end of the PDU")]
    Tlv {
        /// Where it begins.
        at: usize,
    },
}

/// A PDU: header fields and TLVs, whatever they say. Octets after the PDU (padding of a short frame) are ignored.
///
/// ```
/// use vntag::ctl::{Opcode, Pdu, TlvType};
///
/// let bytes = [1, 3, 0, 7, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0, 0, 0, 13, 0, 2, 0, 5];
/// let pdu = Pdu::parse(&bytes).unwrap();
/// assert_eq!((pdu.header.opcode, pdu.header.seq), (Opcode::VIF_ENABLE, 7));
/// let tlv = pdu.tlvs().next().unwrap().unwrap();
/// assert_eq!((tlv.kind, tlv.value), (TlvType::VIF, &[0, 5][..]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pdu<'a> {
    /// The header.
    pub header: Header,
    body: &'a [u8],
}

impl<'a> Pdu<'a> {
    /// Reads the header. A body shorter than the header says is still shown; see [`Self::fault`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Malformed::Header { have: bytes.len() });
        };
        let [version, opcode, q0, q1, s0, s1, l0, l1, a, b, c, d, r0, r1, r2, r3] = *head;
        let length = u16::from_be_bytes([l0, l1]);
        let header = Header {
            version,
            opcode: Opcode(opcode & !RESPONSE),
            response: opcode & RESPONSE != 0,
            seq: u16::from_be_bytes([q0, q1]),
            status: Status(u16::from_be_bytes([s0, s1])),
            length,
            session: u32::from_be_bytes([a, b, c, d]),
            reserved: u32::from_be_bytes([r0, r1, r2, r3]),
        };
        Ok(Self { header, body: rest.get(..usize::from(length)).unwrap_or(rest) })
    }

    /// The octets after the header, as far as there are any.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The TLVs in their order, known or not; the first one that does not fit ends them.
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs { rest: self.body, at: 0 }
    }

    /// The first length that does not hold.
    #[must_use]
    pub fn fault(&self) -> Option<Malformed> {
        let (need, have) = (usize::from(self.header.length), self.body.len());
        if have < need {
            return Some(Malformed::Body { need, have });
        }
        self.tlvs().find_map(Result::err)
    }

    /// As [`Self::parse`], and refuses what [`Self::fault`] finds.
    pub(super) fn whole(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let pdu = Self::parse(bytes)?;
        pdu.fault().map_or(Ok(pdu), |fault| Err(fault.into()))
    }
}

/// A TLV, whatever it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// Its type.
    pub kind: TlvType,
    /// Its value.
    pub value: &'a [u8],
}

/// Walks over TLVs of u16 type, u16 length and value.
#[derive(Clone, Debug)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Tlvs<'a> {
    /// The TLVs in these octets.
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest, at: 0 }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.rest.split_first_chunk::<TLV_HEADER_LEN>().and_then(|(head, rest)| {
            let [k0, k1, l0, l1] = *head;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
            Some((Tlv { kind: TlvType(u16::from_be_bytes([k0, k1])), value }, rest))
        });
        let Some((tlv, rest)) = taken else {
            self.rest = &[];
            return Some(Err(Malformed::Tlv { at: self.at }));
        };
        self.at += TLV_HEADER_LEN + tlv.value.len();
        self.rest = rest;
        Some(Ok(tlv))
    }
}

/// Puts a PDU together.
#[derive(Debug)]
pub struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// Begins a PDU with this header.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self { octets: header.octets().to_vec() }
    }

    /// Appends a TLV. A value over 65,535 octets, which no TLV can hold, is cut off.
    pub fn tlv(&mut self, kind: TlvType, value: &[u8]) -> &mut Self {
        put_tlv(&mut self.octets, kind.0, value);
        self
    }

    /// The octets, the header's length set.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = u16::try_from(self.octets.len().saturating_sub(HEADER_LEN)).unwrap_or(u16::MAX);
        if let Some(field) = self.octets.get_mut(6..8) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        self.octets
    }
}

/// Appends type, length and value.
pub(super) fn put_tlv(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend(kind.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(value.iter().take(usize::from(length)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_do_not_disturb_each_other() {
        for bit in 0..128 {
            let mut octets = [0; HEADER_LEN];
            octets[bit / 8] = 0x80 >> (bit % 8);
            let pdu = Pdu::parse(&octets).expect("a header");
            assert_eq!(pdu.header.octets(), octets, "bit {bit}");
        }
    }
}
