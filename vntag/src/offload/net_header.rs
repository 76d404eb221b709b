//! The header that virtio puts in front of a frame.

use super::BadOffload;

/// `gso_type`: not segmented.
const GSO_NONE: u8 = 0;
/// `gso_type`: TCP over IPv4.
const GSO_TCPV4: u8 = 1;
/// `gso_type`: TCP over IPv6.
const GSO_TCPV6: u8 = 4;
/// `gso_type`: datagrams of UDP.
const GSO_UDP: u8 = 5;
/// Flag in `gso_type`: CWR is set, and belongs to the first segment only.
const GSO_ECN: u8 = 0x80;

/// `struct virtio_net_hdr_v1` (virtio 1.2, 5.1.6), as its writer wrote it: nothing of it is checked.
///
/// ```text
/// | flags (1) | gso_type (1) | hdr_len (2) | gso_size (2) | csum_start (2) | csum_offset (2) | num_buffers (2) |
/// ```
///
/// Words are little-endian. The default is that of a frame with nothing left to do.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NetHeader {
    /// Bit 0: the checksum is to be completed. Bit 1: it was verified (only toward a guest).
    pub flags: u8,
    /// 0: one frame. 1: TCP over IPv4, 3: UDP fragments, 4: TCP over IPv6, 5: UDP segments; bit 7: with ECN.
    pub gso_type: u8,
    /// Octets of all headers of a super-frame; a hint.
    pub hdr_len: u16,
    /// Octets of payload in each segment.
    pub gso_size: u16,
    /// Where summing begins, in octets from the frame's first one.
    pub csum_start: u16,
    /// Where the sum is written, in octets from `csum_start`.
    pub csum_offset: u16,
    /// Over how many buffers the frame is spread; only toward a guest.
    pub num_buffers: u16,
}

/// What is to be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
}

impl NetHeader {
    /// Octets of it.
    pub const LEN: usize = 12;
    /// `flags`: the checksum is to be completed.
    pub const NEEDS_CSUM: u8 = 1;

    /// Reads it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [flags, gso_type, a, b, c, d, e, f, g, h, i, j] = bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_le_bytes([a, b]),
            gso_size: u16::from_le_bytes([c, d]),
            csum_start: u16::from_le_bytes([e, f]),
            csum_offset: u16::from_le_bytes([g, h]),
            num_buffers: u16::from_le_bytes([i, j]),
        }
    }

    /// Writes it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b] = self.hdr_len.to_le_bytes();
        let [c, d] = self.gso_size.to_le_bytes();
        let [e, f] = self.csum_start.to_le_bytes();
        let [g, h] = self.csum_offset.to_le_bytes();
        let [i, j] = self.num_buffers.to_le_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h, i, j]
    }

    /// Nothing is left to do: no checksum, no segmentation.
    #[must_use]
    #[inline]
    pub const fn is_complete(&self) -> bool {
        !self.needs_checksum() && self.gso_type == GSO_NONE
    }

    /// The checksum is to be completed.
    #[must_use]
    #[inline]
    pub const fn needs_checksum(&self) -> bool {
        self.flags & Self::NEEDS_CSUM != 0
    }

    /// It is a super-frame, of whatever kind.
    #[must_use]
    pub const fn is_super_frame(&self) -> bool {
        self.gso_type != GSO_NONE
    }

    /// It is a super-frame of TCP over IPv4.
    #[must_use]
    pub const fn is_tcp4(&self) -> bool {
        self.gso_type & !GSO_ECN == GSO_TCPV4
    }

    /// It is a super-frame of TCP over IPv6.
    #[must_use]
    pub const fn is_tcp6(&self) -> bool {
        self.gso_type & !GSO_ECN == GSO_TCPV6
    }

    /// It is a super-frame of UDP, over IPv4 or IPv6.
    #[must_use]
    pub const fn is_udp(&self) -> bool {
        self.gso_type == GSO_UDP
    }

    /// It is a super-frame whose first segment tells of reduced congestion (CWR).
    #[must_use]
    pub const fn has_ecn(&self) -> bool {
        self.gso_type & GSO_ECN != 0
    }

    /// What is to be cut; `None`: nothing is.
    pub(super) fn segmentation(&self) -> Result<Option<Kind>, BadOffload> {
        match self.gso_type {
            GSO_NONE => Ok(None),
            _ if self.is_udp() => Ok(Some(Kind::Udp)),
            _ if self.is_tcp4() => Ok(Some(Kind::Tcp4)),
            _ if self.is_tcp6() => Ok(Some(Kind::Tcp6)),
            _ => Err(BadOffload::Kind),
        }
    }

    /// The same for a frame in front of whose checksum there are `by` octets more, or less where that is negative. `None`:
    /// there is no such place.
    #[must_use]
    pub fn shifted(self, by: isize) -> Option<Self> {
        let shift = |at: u16| usize::from(at).checked_add_signed(by).and_then(|at| u16::try_from(at).ok());
        let hdr_len = shift(self.hdr_len).unwrap_or_default();
        Some(Self { csum_start: shift(self.csum_start)?, hdr_len, ..self })
    }
}
