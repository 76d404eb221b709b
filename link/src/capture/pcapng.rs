//! The pcapng blocks that a capture consists of (draft-ietf-opsawg-pcapng, little-endian).

use crate::frame::OutFrame;
use crate::queue::Nanos;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const LINKTYPE_ETHERNET: u16 = 1;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;

/// Which way a frame went, seen from the port it is captured at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We received it.
    In,
    /// We sent it.
    Out,
}

/// Starts a section.
pub(super) fn section(out: &mut Vec<u8>) {
    block(out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend(1u16.to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out.extend(u64::MAX.to_le_bytes());
        option(out, SHB_USERAPPL, concat!("link ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(out, OPT_END, &[]);
    });
}

/// Describes the next interface: Ethernet, whole frames, nanoseconds.
pub(super) fn interface(out: &mut Vec<u8>, name: &str, description: &str) {
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend(LINKTYPE_ETHERNET.to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        option(out, IF_NAME, name.as_bytes());
        option(out, IF_DESCRIPTION, description.as_bytes());
        option(out, IF_TSRESOL, &[9]);
        option(out, OPT_END, &[]);
    });
}

/// One frame.
pub(super) fn packet(
    out: &mut Vec<u8>,
    interface: u32,
    time: Nanos,
    direction: Direction,
    comment: Option<&str>,
    frame: &OutFrame<'_>,
) {
    block(out, ENHANCED_PACKET, |out| {
        out.extend(interface.to_le_bytes());
        out.extend(((time >> 32) as u32).to_le_bytes());
        out.extend((time as u32).to_le_bytes());
        let len = frame.len();
        out.extend((len as u32).to_le_bytes());
        out.extend((len as u32).to_le_bytes());
        let at = out.len();
        out.resize(at + len.next_multiple_of(4), 0);
        frame.copy_to(&mut out[at..at + len]);
        let flags: u32 = match direction {
            Direction::In => 1,
            Direction::Out => 2,
        };
        option(out, EPB_FLAGS, &flags.to_le_bytes());
        if let Some(comment) = comment {
            option(out, OPT_COMMENT, comment.as_bytes());
        }
        option(out, OPT_END, &[]);
    });
}

/// How many frames of an interface are in the capture, and how many are not for want of room.
pub(super) fn statistics(out: &mut Vec<u8>, interface: u32, time: Nanos, recorded: u64, lost: u64) {
    block(out, INTERFACE_STATISTICS, |out| {
        out.extend(interface.to_le_bytes());
        out.extend(((time >> 32) as u32).to_le_bytes());
        out.extend((time as u32).to_le_bytes());
        option(out, ISB_IFRECV, &(recorded + lost).to_le_bytes());
        option(out, ISB_IFDROP, &lost.to_le_bytes());
        option(out, OPT_END, &[]);
    });
}

/// Octets that a block for this frame takes at the most, without its comment.
pub(super) fn packet_len(frame: &OutFrame<'_>) -> usize {
    frame.len() + 64
}

fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let total = ((out.len() - start + 4) as u32).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&total);
    out.extend(total);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    // An option's length is 16 bits; what is longer is cut.
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
