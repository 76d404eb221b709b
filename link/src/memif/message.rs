//! The messages of the control channel, to the octet.
//!
//! Each is one `SOCK_SEQPACKET` datagram of exactly [`LEN`] octets: a 16-bit type, then a packed body in the
//! byte order of the machine (both ends share it), then anything. File descriptors ride along as `SCM_RIGHTS`.
//!
//! That "anything", zero where others write it and read by nobody else, has an [`Extensions`] in the last octets of our
//! HELLO and, where the server's HELLO had one, of our INIT. `net_memif` and VPP read no further than their structs.

use zerocopy::byteorder::native_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Octets of every message.
pub const LEN: usize = 128;

/// The only version there is: 2.0.
pub const VERSION: u16 = 0x0200;

/// What the first word of every ring reads.
pub const COOKIE: u32 = 0x03E3_1F20;

/// The largest ring: 2^14 descriptors, so that 16-bit indices tell a full ring from an empty one.
pub const MAX_LOG2_RING_SIZE: u8 = 14;

/// `mode` of an interface that carries Ethernet frames.
pub const MODE_ETHERNET: u8 = 0;

/// Flag of [`AddRing`]: the client fills this ring (S2M); without it the server does (M2S).
pub const RING_S2M: u16 = 1;

/// One message as it lies on the wire.
pub type Wire = [u8; LEN];

macro_rules! body {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
        #[repr(C)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)+ }
    };
}

body! {
    /// The server's greeting: what it is and how much it takes.
    Hello {
        /// Of the server's software; text up to the first zero.
        name: [u8; 32],
        /// Lowest version it speaks.
        min_version: U16,
        /// Highest version it speaks.
        max_version: U16,
        /// Highest region index it takes.
        max_region: U16,
        /// Highest index of a ring that the server fills.
        max_m2s_ring: U16,
        /// Highest index of a ring that the client fills.
        max_s2m_ring: U16,
        /// Logarithm of the largest ring it takes.
        max_log2_ring_size: u8,
    }
}

body! {
    /// The client's answer: which interface it wants to be the other end of.
    Init {
        /// The version that is going to be spoken.
        version: U16,
        /// Number of the interface on this socket.
        id: U32,
        /// Ethernet 0, IP 1, punt/inject 2.
        mode: u8,
        /// Text up to the first zero.
        secret: [u8; 24],
        /// Of the client's software.
        name: [u8; 32],
    }
}

body! {
    /// A piece of the client's memory; its memfd rides along.
    AddRegion {
        /// Descriptors name it by this.
        index: U16,
        /// Octets.
        size: U64,
    }
}

body! {
    /// A ring in that memory; its eventfd rides along.
    AddRing {
        /// [`RING_S2M`] or nothing.
        flags: U16,
        /// Counted per direction.
        index: U16,
        /// In which region it lies.
        region: U16,
        /// And where there.
        offset: U32,
        /// Descriptors.
        log2_ring_size: u8,
        /// Octets before the frame in each buffer; 0 here.
        private_hdr_size: U16,
    }
}

body! {
    /// All is announced (client), or all is accepted and frames may flow (server).
    Interface {
        /// Name of the sender's interface.
        name: [u8; 32],
    }
}

body! {
    /// The sender closes, and why.
    Disconnect {
        /// Free to use.
        code: U32,
        /// Text for people.
        text: [u8; 96],
    }
}

/// Where [`Extensions`] are: behind the longest body that has any.
const EXTENSIONS: usize = LEN - 16;
/// How they begin.
const MAGIC: [u8; 8] = *b"niv-emu\0";

/// What an end can do beside the protocol. Both ends do what both announced.
///
/// ```text
/// octet 112  "niv-emu" and a zero   120  u32 bits: 0 unfinished, 1 rings, 2 exchange   124  0
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// It takes frames whose checksum or segmentation is left undone, which a descriptor's metadata tells.
    pub unfinished: bool,
    /// As many rings as it names in its HELLO for what it sends are those that it sends by.
    pub rings: bool,
    /// As a server it may give a client's frames back in the buffers they came in, as a client it takes them there: see
    /// [the module](super).
    pub exchange: bool,
}

impl Extensions {
    const UNFINISHED: u32 = 1;
    const RINGS: u32 = 2;
    const EXCHANGE: u32 = 4;

    /// Reads them; bits that are not known say nothing.
    fn parse(wire: &Wire) -> Self {
        let bits = wire[EXTENSIONS..].strip_prefix(&MAGIC[..]).and_then(<[u8]>::first_chunk::<4>);
        let bits = bits.map_or(0, |bits| u32::from_ne_bytes(*bits));
        Self {
            unfinished: bits & Self::UNFINISHED != 0,
            rings: bits & Self::RINGS != 0,
            exchange: bits & Self::EXCHANGE != 0,
        }
    }

    /// Writes them; who announces nothing leaves no trace.
    fn emit(self, wire: &mut Wire) {
        let bit = |is: bool, bit: u32| if is { bit } else { 0 };
        let bits = bit(self.unfinished, Self::UNFINISHED)
            | bit(self.rings, Self::RINGS)
            | bit(self.exchange, Self::EXCHANGE);
        if bits != 0 {
            let (magic, rest) = wire[EXTENSIONS..].split_at_mut(MAGIC.len());
            magic.copy_from_slice(&MAGIC);
            rest[..4].copy_from_slice(&bits.to_ne_bytes());
        }
    }

    /// What both do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            unfinished: self.unfinished && other.unfinished,
            rings: self.rings && other.rings,
            exchange: self.exchange && other.exchange,
        }
    }
}

/// A message, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the type it holds")]
pub enum Message {
    /// The client's last message is accepted.
    Ack,
    Hello(Hello, Extensions),
    Init(Init, Extensions),
    AddRegion(AddRegion),
    AddRing(AddRing),
    /// From the client.
    Connect(Interface),
    /// From the server.
    Connected(Interface),
    Disconnect(Disconnect),
}

impl Message {
    /// Reads one; `None` where the type is none of the protocol's.
    #[must_use]
    pub fn parse(wire: &Wire) -> Option<Self> {
        fn body<T: FromBytes + KnownLayout + Immutable>(bytes: &[u8]) -> Option<T> {
            T::read_from_prefix(bytes).ok().map(|(body, _)| body)
        }
        let (kind, rest) = U16::read_from_prefix(wire).ok()?;
        Some(match kind.get() {
            1 => Self::Ack,
            2 => Self::Hello(body(rest)?, Extensions::parse(wire)),
            3 => Self::Init(body(rest)?, Extensions::parse(wire)),
            4 => Self::AddRegion(body(rest)?),
            5 => Self::AddRing(body(rest)?),
            6 => Self::Connect(body(rest)?),
            7 => Self::Connected(body(rest)?),
            8 => Self::Disconnect(body(rest)?),
            _ => return None,
        })
    }

    /// Writes one; what the body does not use is zero.
    #[must_use]
    pub fn emit(&self) -> Wire {
        let (kind, body): (u16, &[u8]) = match self {
            Self::Ack => (1, &[]),
            Self::Hello(body, _) => (2, body.as_bytes()),
            Self::Init(body, _) => (3, body.as_bytes()),
            Self::AddRegion(body) => (4, body.as_bytes()),
            Self::AddRing(body) => (5, body.as_bytes()),
            Self::Connect(body) => (6, body.as_bytes()),
            Self::Connected(body) => (7, body.as_bytes()),
            Self::Disconnect(body) => (8, body.as_bytes()),
        };
        let mut wire = [0; LEN];
        wire[..2].copy_from_slice(&kind.to_ne_bytes());
        wire[2..2 + body.len()].copy_from_slice(body);
        if let Self::Hello(_, extensions) | Self::Init(_, extensions) = self {
            extensions.emit(&mut wire);
        }
        wire
    }

    /// The protocol's name for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ack => "ACK",
            Self::Hello(..) => "HELLO",
            Self::Init(..) => "INIT",
            Self::AddRegion(_) => "ADD_REGION",
            Self::AddRing(_) => "ADD_RING",
            Self::Connect(_) => "CONNECT",
            Self::Connected(_) => "CONNECTED",
            Self::Disconnect(_) => "DISCONNECT",
        }
    }

    /// A DISCONNECT with this text, cut to what fits.
    #[must_use]
    pub fn disconnect(text: &str) -> Self {
        Self::Disconnect(Disconnect { code: U32::new(0), text: padded(text) })
    }
}

/// Text as a field: cut so that a zero follows it, and zeros behind it.
#[must_use]
pub fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let mut n = text.len().min(N.saturating_sub(1));
    while !text.is_char_boundary(n) {
        n -= 1;
    }
    field[..n].copy_from_slice(&text.as_bytes()[..n]);
    field
}

/// A field as text: up to the first zero, control characters and what is not UTF-8 replaced. It comes from
/// the peer and goes into logs and states.
#[must_use]
pub fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).chars().map(|c| if c.is_control() { '.' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sizes of `memif.h`, which are the protocol.
    #[test]
    fn bodies_have_the_size_of_the_packed_structs() {
        assert_eq!(size_of::<Hello>(), 43);
        assert_eq!(size_of::<Init>(), 63);
        assert_eq!(size_of::<AddRegion>(), 10);
        assert_eq!(size_of::<AddRing>(), 13);
        assert_eq!(size_of::<Interface>(), 32);
        assert_eq!(size_of::<Disconnect>(), 100);
        const { assert!(2 + size_of::<Hello>() <= EXTENSIONS && 2 + size_of::<Init>() <= EXTENSIONS) };
    }

    #[test]
    fn an_add_ring_lies_where_memif_h_puts_it() {
        let wire = Message::AddRing(AddRing {
            flags: U16::new(1),
            index: U16::new(2),
            region: U16::new(3),
            offset: U32::new(4),
            log2_ring_size: 10,
            private_hdr_size: U16::new(0),
        })
        .emit();
        let mut want = [0; LEN];
        want[..2].copy_from_slice(&5u16.to_ne_bytes());
        want[2..4].copy_from_slice(&1u16.to_ne_bytes());
        want[4..6].copy_from_slice(&2u16.to_ne_bytes());
        want[6..8].copy_from_slice(&3u16.to_ne_bytes());
        want[8..12].copy_from_slice(&4u32.to_ne_bytes());
        want[12] = 10;
        assert_eq!(wire, want);
    }

    #[test]
    fn who_announces_nothing_writes_what_others_write() {
        let hello = Hello::read_from_bytes(&[7; size_of::<Hello>()]).unwrap();
        let said = |extensions| Message::Hello(hello, extensions).emit();
        let none = Extensions::default();
        let wire = |unfinished| said(Extensions { unfinished, ..none });
        assert!(wire(false)[2 + size_of::<Hello>()..].iter().all(|octet| *octet == 0));
        assert_eq!(wire(true)[..EXTENSIONS], wire(false)[..EXTENSIONS]);
        assert_eq!(wire(true)[EXTENSIONS..], *b"niv-emu\0\x01\0\0\0\0\0\0\0");
        let rings = said(Extensions { rings: true, ..none });
        assert_eq!(rings[EXTENSIONS..], *b"niv-emu\0\x02\0\0\0\0\0\0\0");
        let exchange = said(Extensions { exchange: true, ..none });
        assert_eq!(exchange[EXTENSIONS..], *b"niv-emu\0\x04\0\0\0\0\0\0\0");
        // What stands there by chance is no announcement.
        let mut other = wire(true);
        other[EXTENSIONS] ^= 1;
        assert_eq!(Message::parse(&other), Message::parse(&wire(false)));
    }

    #[test]
    fn text_is_cut_at_a_character_and_cleaned() {
        assert_eq!(padded::<4>("aé√"), [b'a', 0xc3, 0xa9, 0]);
        assert_eq!(padded::<3>("aé"), [b'a', 0, 0]);
        assert_eq!(text(b"a\nb\xff\0zzz"), "a.b\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_message_reads_back_as_itself(bytes in prop::collection::vec(any::<u8>(), LEN), kind in 0u16..12) {
            let mut wire: Wire = bytes.try_into().unwrap();
            wire[..2].copy_from_slice(&kind.to_ne_bytes());
            let read = Message::parse(&wire);
            prop_assert_eq!(read.is_some(), (1..=8).contains(&kind));
            if let Some(message) = read {
                prop_assert_eq!(Message::parse(&message.emit()), Some(message));
            }
        }
    }
}
