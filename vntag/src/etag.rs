//! The IEEE 802.1BR E-TAG, without judgement.
//!
//! ```text
//! 0x89 0x3F | E-PCP(3) E-DEI(1) Ingress_E-CID_base(12) | Rsv(2) GRP(2) E-CID_base(12) | Ingress_E-CID_ext(8) | E-CID_ext(8)
//! ```

/// The six octets of tag control information of an E-TAG, in the low 48 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Etag(u64);

impl Etag {
    /// Octets on the wire: EtherType and tag control information.
    pub const LEN: usize = 8;

    /// From the six octets behind the EtherType.
    #[must_use]
    pub const fn from_bytes(b: [u8; 6]) -> Self {
        Self(u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]))
    }

    /// The six octets behind the EtherType.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }
}
