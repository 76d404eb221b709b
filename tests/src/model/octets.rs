//! Reading a frame octet by octet.

/// What a model asks of a frame.
pub trait Octets {
    /// The 16-bit number at `at`, if both octets are there.
    fn word(&self, at: usize) -> Option<u16>;
    /// The bits of octet `at` from `high` down to `low`, bit 7 first.
    fn bits(&self, at: usize, high: u32, low: u32) -> u16;
    /// The frame without the octets `from..from + len`.
    fn without(&self, from: usize, len: usize) -> Vec<u8>;
    /// The frame with `octets` put in at `at`.
    fn with(&self, at: usize, octets: &[u8]) -> Vec<u8>;
    /// One of the EtherTypes of a VLAN tag stands at `at`.
    fn vlan_type_at(&self, at: usize) -> bool {
        matches!(self.word(at), Some(0x8100 | 0x88a8 | 0x9100))
    }
    /// An 802.1Q tag with both its words stands at `at`.
    fn q_tag_at(&self, at: usize) -> Option<u16> {
        if self.word(at)? == 0x8100 { self.word(at + 2) } else { None }
    }
}

impl Octets for [u8] {
    fn word(&self, at: usize) -> Option<u16> {
        Some(u16::from(*self.get(at)?) * 256 + u16::from(*self.get(at + 1)?))
    }

    fn bits(&self, at: usize, high: u32, low: u32) -> u16 {
        let mut value = 0;
        for bit in (low..=high).rev() {
            value = value * 2 + u16::from(self[at] / 2u8.pow(bit) % 2);
        }
        value
    }

    fn without(&self, from: usize, len: usize) -> Vec<u8> {
        [&self[..from], &self[from + len..]].concat()
    }

    fn with(&self, at: usize, octets: &[u8]) -> Vec<u8> {
        [&self[..at], octets, &self[at..]].concat()
    }
}
