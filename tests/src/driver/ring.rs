//! The driver's side of a ring of either format.

use super::memory::GuestMemory;
use super::packed::PackedRing;
use super::split::SplitRing;
use std::sync::Arc;

/// Another descriptor follows.
pub const NEXT: u16 = 1;
/// The device writes.
pub const WRITE: u16 = 2;
/// A table of descriptors.
pub const INDIRECT: u16 = 4;

/// One buffer of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Guest physical address.
    pub addr: u64,
    /// Octets.
    pub len: u32,
    /// The device may write it.
    pub write: bool,
}

/// A ring as its driver has it, with access to every word of a split one for those who want to break it; those of a packed
/// one are behind [`DriverRing::packed`].
pub enum DriverRing {
    /// Split.
    Split(SplitRing),
    /// Packed.
    Packed(PackedRing),
}

macro_rules! each {
    ($any:expr, $ring:ident => $does:expr) => {
        match $any {
            DriverRing::Split($ring) => $does,
            DriverRing::Packed($ring) => $does,
        }
    };
}

impl DriverRing {
    /// A ring of `size` slots in `memory`. `indirect`: entries of the tables to build chains in; 0 for none.
    pub fn new(memory: Arc<GuestMemory>, size: u16, packed: bool, event_idx: bool, indirect: u16) -> Self {
        if packed {
            Self::Packed(PackedRing::new(memory, size, event_idx, indirect))
        } else {
            Self::Split(SplitRing::new(memory, size, event_idx, indirect))
        }
    }

    /// The same, which is packed.
    ///
    /// # Panics
    /// When it is not.
    pub fn packed(&mut self) -> &mut PackedRing {
        match self {
            Self::Packed(ring) => ring,
            Self::Split(_) => panic!("this ring is split"),
        }
    }

    fn split(&self) -> &SplitRing {
        match self {
            Self::Split(ring) => ring,
            Self::Packed(_) => panic!("this ring is packed"),
        }
    }

    /// From where a device begins, as front ends say it.
    pub fn origin(&self) -> u16 {
        if matches!(self, Self::Packed(_)) { 1 << 15 } else { 0 }
    }

    /// A place in the words of `SET_VRING_BASE`.
    pub fn base(&self, at: u16) -> u32 {
        if matches!(self, Self::Packed(_)) { u32::from(at) | u32::from(at) << 16 } else { at.into() }
    }

    /// Slots.
    pub fn size(&self) -> u16 {
        each!(self, ring => ring.size())
    }

    /// Guest physical addresses of descriptor table, available ring, used ring; or of what a packed ring has for them.
    pub fn parts(&self) -> (u64, u64, u64) {
        each!(self, ring => ring.parts())
    }

    /// Forgets everything, as a driver does at a reset.
    pub fn reset(&mut self) {
        each!(self, ring => ring.reset());
    }

    /// Writes a descriptor of a split ring.
    pub fn write_desc(&self, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        self.split().write_desc(index, addr, len, flags, next);
    }

    /// Offers `head` in the next slot of a split ring without any check; not visible before [`publish`](Self::publish).
    ///
    /// # Panics
    /// When it is packed.
    pub fn offer(&mut self, head: u16) {
        match self {
            Self::Split(ring) => ring.offer(head),
            Self::Packed(_) => panic!("this ring is packed"),
        }
    }

    /// The head of the chain of a split ring that the device completes next.
    pub fn waiting_head(&self) -> u16 {
        self.split().waiting_head()
    }

    /// Writes any available index into a split ring, for those who lie.
    pub fn set_avail_idx(&self, idx: u16) {
        self.split().set_avail_idx(idx);
    }

    /// Offers a chain of these buffers; its number, or `None` when there are too few free descriptors.
    pub fn add(&mut self, buffers: &[Buffer]) -> Option<u16> {
        each!(self, ring => ring.add(buffers))
    }

    /// Makes visible what was offered; says whether the device wants to be told.
    pub fn publish(&mut self) -> bool {
        each!(self, ring => ring.publish())
    }

    /// The next used element {number of the chain, octets written}; its descriptors are free again.
    ///
    /// # Panics
    /// When the device returns what was never offered, or twice.
    pub fn take_used(&mut self) -> Option<(u16, u32)> {
        each!(self, ring => ring.take_used())
    }

    /// Asks to be told of the next used buffer; `false`: there is one already.
    pub fn want_call(&self) -> bool {
        each!(self, ring => ring.want_call())
    }

    /// Asks not to be told.
    pub fn refuse_call(&self) {
        each!(self, ring => ring.refuse_call());
    }

    /// Free descriptors.
    pub fn free(&self) -> usize {
        each!(self, ring => ring.free())
    }

    /// Up to where the device has used it, and our next place.
    pub fn indices(&self) -> (u16, u16) {
        each!(self, ring => ring.indices())
    }
}
