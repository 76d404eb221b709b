//! Frames made by hand, field by field, without the code under test.

/// A frame being written.
#[derive(Clone, Debug, Default)]
pub struct FrameBuilder(Vec<u8>);

/// Begins a frame with its two addresses.
#[must_use]
pub fn frame(destination: [u8; 6], source: [u8; 6]) -> FrameBuilder {
    FrameBuilder([destination, source].concat())
}

/// The MAC address of station `n`: `52:54:00:00:00:nn`.
#[must_use]
pub fn mac(n: u16) -> [u8; 6] {
    let [high, low] = n.to_be_bytes();
    [0x52, 0x54, 0, 0, high, low]
}

/// Everybody.
pub const BROADCAST: [u8; 6] = [0xff; 6];

impl FrameBuilder {
    /// A VNTag with this word.
    #[must_use]
    pub fn vntag(mut self, word: u32) -> Self {
        self.0.extend([0x89, 0x26]);
        self.0.extend(word.to_be_bytes());
        self
    }

    /// An 802.1Q tag.
    #[must_use]
    pub fn vlan(self, vid: u16, pcp: u8) -> Self {
        self.tag(0x8100, u16::from(pcp) << 13 | vid)
    }

    /// A tag of two 16-bit words.
    #[must_use]
    pub fn tag(mut self, ethertype: u16, control: u16) -> Self {
        self.0.extend(ethertype.to_be_bytes());
        self.0.extend(control.to_be_bytes());
        self
    }

    /// The EtherType and a payload.
    #[must_use]
    pub fn payload(mut self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        self.0.extend(ethertype.to_be_bytes());
        self.0.extend(payload);
        self.0
    }

    /// An IPv4-typed payload of `len` octets that differ from each other.
    #[must_use]
    pub fn ipv4(self, len: usize) -> Vec<u8> {
        let payload: Vec<u8> = (0..len).map(|n| n as u8 ^ 0x5a).collect();
        self.payload(0x0800, &payload)
    }

    /// The octets so far, nothing added.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The word of an upward VNTag.
#[must_use]
pub fn up(src_vif: u32) -> u32 {
    src_vif
}

/// The word of a downward VNTag to one VIF.
#[must_use]
pub fn down(dst_vif: u32) -> u32 {
    0x8000_0000 | dst_vif << 16
}

/// The word of a downward VNTag to a list.
#[must_use]
pub fn down_list(list: u32) -> u32 {
    0xc000_0000 | list << 16
}

/// A downward word, looped, from `src_vif`.
#[must_use]
pub fn looped(word: u32, src_vif: u32) -> u32 {
    word | 0x8000 | src_vif
}
