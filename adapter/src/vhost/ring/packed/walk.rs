//! A chain of a packed ring: slots that follow each other.

use super::super::chain::{Access, MAX_CHAIN, MAX_PIECES, Pieces};
use super::super::format::{Chain, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, Desc, Format};
use super::super::{Fault, Ring};
use super::{Packed, desc};

impl Packed {
    /// The chain that waits at `pos`: all slots up to the first without a next; its id stands in the last one.
    pub(super) fn extent(&self, pos: u16) -> Result<Chain, Fault> {
        let mut at = pos;
        for slots in 1..=self.size() {
            let desc = self.first(at);
            if desc.flags & DESC_F_NEXT == 0 {
                return Ok(Chain { id: desc.link, slots });
            }
            at = self.after(at, 1);
        }
        // Nobody can say where the next one begins.
        Err(Fault::ChainLoop)
    }
}

/// See [`Format::walk`]. The chain has the slots that were counted, whatever the driver made of their flags meanwhile.
pub(super) fn walk(
    ring: &mut Ring<Packed>,
    pos: u16,
    chain: Chain,
    access: Access,
    pieces: &mut Pieces,
) -> Result<usize, Fault> {
    if chain.id >= ring.format.size() {
        return Err(Fault::BadDescriptor);
    }
    let mut total = 0;
    let mut at = pos;
    for _ in 0..chain.slots {
        let next = ring.format.first(at);
        if next.flags & DESC_F_INDIRECT != 0 {
            // A table is a chain of its own.
            let table = ring.indirect(next, chain.slots > 1)?;
            // As long as a ring may be, or a frame; drivers build tables that are longer than a small ring.
            if table.entries() > u32::from(ring.format.size()).max(MAX_PIECES as u32) {
                return Err(Fault::ChainLoop);
            }
            for entry in (0..table.entries()).map_while(|index| table.get(index)) {
                let mut entry = desc(entry);
                if entry.flags & DESC_F_INDIRECT != 0 {
                    return Err(Fault::BadChain);
                }
                if access == Access::Read {
                    // DPDK's driver leaves this on the header in its tables (seen with 22.11). We only read.
                    entry.flags &= !DESC_F_WRITE;
                }
                total += buffer(ring, entry, access, pieces, total)?;
            }
        } else {
            total += buffer(ring, next, access, pieces, total)?;
        }
        at = ring.format.after(at, 1);
    }
    Ok(total)
}

/// Appends the pieces of one buffer, with which the chain has no more octets than it may; says how many it has.
fn buffer(
    ring: &mut Ring<Packed>,
    desc: Desc,
    access: Access,
    pieces: &mut Pieces,
    before: usize,
) -> Result<usize, Fault> {
    if (desc.flags & DESC_F_WRITE != 0) != (access == Access::Write) {
        return Err(Fault::BadChain);
    }
    let len = desc.len as usize;
    if before + len > MAX_CHAIN && access == Access::Read {
        return Err(Fault::Oversize);
    }
    ring.translate(desc.addr, desc.len, pieces)?;
    Ok(len)
}
