//! The TLVs of one PDU by their type, for the typed messages.

use super::{Pdu, TlvType, Wrong};

/// One more than the greatest known type.
const KINDS: usize = 28;

/// The expected TLVs of a PDU, each at most once.
pub(super) struct Fields<'a> {
    found: [Option<&'a [u8]>; KINDS],
    /// TLVs that were skipped: of unknown type, or not expected in this PDU.
    pub(super) skipped: usize,
}

impl<'a> Fields<'a> {
    /// Sorts the TLVs of `pdu`; those not in `expected` are skipped and counted.
    pub(super) fn of(pdu: &Pdu<'a>, expected: &[TlvType]) -> Result<Self, Wrong> {
        let mut fields = Self { found: [None; KINDS], skipped: 0 };
        for tlv in pdu.tlvs() {
            let tlv = tlv?;
            let slot = fields.found.get_mut(usize::from(tlv.kind.0));
            match slot.filter(|_| expected.contains(&tlv.kind)) {
                None => fields.skipped += 1,
                Some(Some(_)) => return Err(Wrong::Repeated(tlv.kind)),
                Some(slot) => *slot = Some(tlv.value),
            }
        }
        Ok(fields)
    }

    /// The value of a TLV that may be left out.
    pub(super) fn optional(&self, kind: TlvType) -> Option<&'a [u8]> {
        self.found.get(usize::from(kind.0)).copied().flatten()
    }

    /// The value of a TLV that must be there.
    pub(super) fn bytes(&self, kind: TlvType) -> Result<&'a [u8], Wrong> {
        self.optional(kind).ok_or(Wrong::Missing(kind))
    }

    /// As [`Self::bytes`], of one length.
    pub(super) fn array<const N: usize>(&self, kind: TlvType) -> Result<[u8; N], Wrong> {
        array(kind, self.bytes(kind)?)
    }

    pub(super) fn u8(&self, kind: TlvType) -> Result<u8, Wrong> {
        self.array(kind).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&self, kind: TlvType) -> Result<u16, Wrong> {
        self.array(kind).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, kind: TlvType) -> Result<u32, Wrong> {
        self.array(kind).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&self, kind: TlvType) -> Result<u64, Wrong> {
        self.array(kind).map(u64::from_be_bytes)
    }

    /// A TLV made of one octet that is 0 or 1.
    pub(super) fn bool(&self, kind: TlvType) -> Result<bool, Wrong> {
        match self.u8(kind)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Wrong::Value { kind, why: "neither 0 nor 1" }),
        }
    }
}

/// `value` as an array, if it has that length.
pub(super) fn array<const N: usize>(kind: TlvType, value: &[u8]) -> Result<[u8; N], Wrong> {
    <[u8; N]>::try_from(value).map_err(|_| Wrong::Length { kind, length: value.len() })
}
