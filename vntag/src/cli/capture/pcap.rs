//! pcap (libpcap's own format), microseconds or nanoseconds, either byte order.
//!
//! ```text
//! file   | magic u32 | major u16 | minor u16 | zone i32 | accuracy u32 | snapshot length u32 | link type u32 |
//! record | seconds u32 | fraction u32 | captured u32 | on the wire u32 | frame ... |
//! ```
//!
//! The upper bits of the link type may say that frames end in an FCS.

use super::{ETHERNET, Found, MAX_FRAME, Octets, Order, Problem, Time};

/// What the magic number says.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    order: Order,
    /// Fractions in a second.
    fractions: u32,
}

impl Variant {
    /// `None` where it is no pcap file.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        let (big, fractions) = match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 => (true, 1_000_000),
            0xa1b2_3c4d => (true, 1_000_000_000),
            0xd4c3_b2a1 => (false, 1_000_000),
            0x4d3c_b2a1 => (false, 1_000_000_000),
            _ => return None,
        };
        Some(Self { order: Order { big }, fractions })
    }
}

/// The file header, as far as it matters behind it.
pub(super) struct Header(Variant);

impl Header {
    /// Reads what follows the magic number.
    pub(super) fn open(variant: Variant, octets: &mut Octets) -> Result<Self, Problem> {
        const WHAT: &str = "capture header";
        let mut header = [0; 20];
        octets.fill(&mut header, WHAT)?;
        let order = variant.order;
        let short = || Problem::Block(WHAT);
        let major = order.u16(&header, 0).ok_or_else(short)?;
        let minor = order.u16(&header, 2).ok_or_else(short)?;
        if major != 2 {
            return Err(Problem::Version("pcap", major, minor));
        }
        let link = order.u32(&header, 16).ok_or_else(short)?;
        if link as u16 != ETHERNET {
            return Err(Problem::LinkType(link as u16));
        }
        let fcs_len_given = link & 0x0400_0000 != 0;
        if fcs_len_given && link >> 28 != 0 {
            return Err(Problem::Fcs);
        }
        Ok(Self(variant))
    }

    /// The next record, its frame in `record`.
    pub(super) fn next(
        &mut self,
        octets: &mut Octets,
        record: &mut Vec<u8>,
    ) -> Result<Option<Found>, Problem> {
        const WHAT: &str = "frame's record";
        let Variant { order, fractions } = self.0;
        let mut header = [0; 16];
        octets.begin_record();
        if !octets.fill_or_end(&mut header, WHAT)? {
            return Ok(None);
        }
        let field = |at| order.u32(&header, at).ok_or(Problem::Block(WHAT));
        let (seconds, fraction, captured, wire_len) = (field(0)?, field(4)?, field(8)?, field(12)?);
        let len = captured as usize;
        if len > MAX_FRAME {
            return Err(Problem::FrameLength(captured));
        }
        record.resize(len, 0);
        octets.fill(record, WHAT)?;
        let time = Time {
            seconds: u64::from(seconds) + u64::from(fraction / fractions),
            nanoseconds: fraction % fractions * (1_000_000_000 / fractions),
        };
        Ok(Some(Found { time, data: 0..len, wire_len: wire_len as usize }))
    }
}
