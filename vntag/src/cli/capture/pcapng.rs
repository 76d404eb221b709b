//! pcapng: sections, interfaces, and the three kinds of block that hold a frame.
//!
//! ```text
//! block | type u32 | length u32 | body ... padded to 4 | the same length u32 |
//! ```
//!
//! Blocks of other types (names, statistics, comments) are skipped. A new section forgets the interfaces.
//! Source: draft-ietf-opsawg-pcapng.

use super::{ETHERNET, Found, MAX_FRAME, Octets, Order, Problem, Time};

/// The type of a section header block, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Octets of one block that are believed.
const MAX_BLOCK: u32 = 16 << 20;

/// The section that is being read.
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

/// What its description says about an interface.
struct Interface {
    link_type: u16,
    /// 0 for no limit.
    snapshot_len: u32,
    /// Units of the time stamps in a second.
    per_second: u64,
    /// Seconds to be added to them.
    offset: i64,
    has_fcs: bool,
}

impl Section {
    /// Reads the rest of the section header block with which the file begins.
    pub(super) fn open(octets: &mut Octets) -> Result<Self, Problem> {
        let order = section_header(octets, &mut Vec::new())?;
        Ok(Self { order, interfaces: Vec::new() })
    }

    /// The next frame, as a part of its block's body in `record`.
    pub(super) fn next(
        &mut self,
        octets: &mut Octets,
        record: &mut Vec<u8>,
    ) -> Result<Option<Found>, Problem> {
        loop {
            let mut kind = [0; 4];
            octets.begin_record();
            if !octets.fill_or_end(&mut kind, "block")? {
                return Ok(None);
            }
            if kind == MAGIC {
                self.order = section_header(octets, record)?;
                self.interfaces.clear();
                continue;
            }
            let mut length = [0; 4];
            octets.fill(&mut length, "block")?;
            let length = self.order.u32(&length, 0).unwrap_or(0);
            body(octets, record, self.order, length, 8)?;
            match self.order.u32(&kind, 0) {
                Some(INTERFACE) => self.interfaces.push(Interface::read(self.order, record)?),
                Some(ENHANCED_PACKET) => return self.enhanced(record).map(Some),
                Some(SIMPLE_PACKET) => return self.simple(record).map(Some),
                Some(OBSOLETE_PACKET) => return self.obsolete(record).map(Some),
                _ => {}
            }
        }
    }

    fn enhanced(&self, body: &[u8]) -> Result<Found, Problem> {
        const WHAT: &str = "enhanced packet block";
        let field = |at| self.order.u32(body, at).ok_or(Problem::Block(WHAT));
        let interface = self.interface(field(0)?)?;
        let time = interface.time(field(4)?, field(8)?);
        frame(body, 20, field(12)?, field(16)?, time, WHAT)
    }

    fn obsolete(&self, body: &[u8]) -> Result<Found, Problem> {
        const WHAT: &str = "packet block";
        let field = |at| self.order.u32(body, at).ok_or(Problem::Block(WHAT));
        let interface = self.order.u16(body, 0).ok_or(Problem::Block(WHAT))?;
        let interface = self.interface(u32::from(interface))?;
        let time = interface.time(field(4)?, field(8)?);
        frame(body, 20, field(12)?, field(16)?, time, WHAT)
    }

    /// No time stamp, always from the first interface, as long as that interface's snapshot length allows.
    fn simple(&self, body: &[u8]) -> Result<Found, Problem> {
        const WHAT: &str = "simple packet block";
        let interface = self.interface(0)?;
        let wire_len = self.order.u32(body, 0).ok_or(Problem::Block(WHAT))?;
        let captured = match interface.snapshot_len {
            0 => wire_len,
            limit => wire_len.min(limit),
        };
        frame(body, 4, captured, wire_len, Time::default(), WHAT)
    }

    /// An interface that frames can be read from.
    fn interface(&self, number: u32) -> Result<&Interface, Problem> {
        let interface = self.interfaces.get(number as usize).ok_or(Problem::Interface(number))?;
        if interface.link_type != ETHERNET {
            return Err(Problem::LinkType(interface.link_type));
        }
        if interface.has_fcs {
            return Err(Problem::Fcs);
        }
        Ok(interface)
    }
}

impl Interface {
    fn read(order: Order, body: &[u8]) -> Result<Self, Problem> {
        const WHAT: &str = "interface description block";
        const TIME_RESOLUTION: u16 = 9;
        const FCS_LENGTH: u16 = 13;
        const TIME_OFFSET: u16 = 14;
        let short = || Problem::Block(WHAT);
        let mut interface = Self {
            link_type: order.u16(body, 0).ok_or_else(short)?,
            snapshot_len: order.u32(body, 4).ok_or_else(short)?,
            per_second: 1_000_000,
            offset: 0,
            has_fcs: false,
        };
        let mut at = 8;
        while let (Some(code @ 1..), Some(len)) = (order.u16(body, at), order.u16(body, at + 2)) {
            let value = body.get(at + 4..at + 4 + usize::from(len)).ok_or_else(short)?;
            match (code, value) {
                (TIME_RESOLUTION, [resolution]) => interface.per_second = units_per_second(*resolution),
                (TIME_OFFSET, _) => interface.offset = order.u64(value, 0).ok_or_else(short)? as i64,
                (FCS_LENGTH, [bits]) => interface.has_fcs = *bits != 0,
                _ => {}
            }
            at += 4 + usize::from(len).next_multiple_of(4);
        }
        Ok(interface)
    }

    fn time(&self, high: u32, low: u32) -> Time {
        let units = u64::from(high) << 32 | u64::from(low);
        let fraction = u128::from(units % self.per_second) * 1_000_000_000 / u128::from(self.per_second);
        Time {
            seconds: (units / self.per_second).saturating_add_signed(self.offset),
            nanoseconds: fraction as u32,
        }
    }
}

/// A power of ten, or of two where the highest bit is set; the finest there can be where it has no 64 bits.
fn units_per_second(resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 != 0 { 2 } else { 10 };
    base.checked_pow(exponent).unwrap_or(u64::MAX)
}

/// Reads the section header block behind its type and says which byte order it has.
fn section_header(octets: &mut Octets, record: &mut Vec<u8>) -> Result<Order, Problem> {
    const WHAT: &str = "section header block";
    let mut start = [0; 8];
    octets.fill(&mut start, WHAT)?;
    let (length, magic) = start.split_at(4);
    let order = match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Order { big: true },
        [0x4d, 0x3c, 0x2b, 0x1a] => Order { big: false },
        _ => return Err(Problem::ByteOrder(Order { big: true }.u32(magic, 0).unwrap_or(0))),
    };
    body(octets, record, order, order.u32(length, 0).unwrap_or(0), 12)?;
    let (Some(major), Some(minor)) = (order.u16(record, 0), order.u16(record, 2)) else {
        return Err(Problem::Block(WHAT));
    };
    if major != 1 {
        return Err(Problem::Version("pcapng", major, minor));
    }
    Ok(order)
}

/// Reads the rest of a block of `length` octets, of which `read` have been read, and leaves in `record` what
/// stands before the second length.
fn body(
    octets: &mut Octets,
    record: &mut Vec<u8>,
    order: Order,
    length: u32,
    read: u32,
) -> Result<(), Problem> {
    if !length.is_multiple_of(4) || length > MAX_BLOCK {
        return Err(Problem::BlockLength(length));
    }
    let rest = length.checked_sub(read + 4).ok_or(Problem::BlockLength(length))?;
    record.resize(rest as usize, 0);
    octets.fill(record, "block")?;
    let mut again = [0; 4];
    octets.fill(&mut again, "block")?;
    match order.u32(&again, 0) {
        Some(again) if again != length => Err(Problem::BlockLengths(length, again)),
        _ => Ok(()),
    }
}

fn frame(
    body: &[u8],
    at: usize,
    captured: u32,
    wire_len: u32,
    time: Time,
    what: &'static str,
) -> Result<Found, Problem> {
    let len = captured as usize;
    if len > MAX_FRAME {
        return Err(Problem::FrameLength(captured));
    }
    if body.len() < at + len {
        return Err(Problem::Block(what));
    }
    Ok(Found { time, data: at..at + len, wire_len: wire_len as usize })
}
