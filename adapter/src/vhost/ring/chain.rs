//! A descriptor chain as pieces of our memory.

use super::format::{DESC_F_NEXT, Desc, Format, Table};
use super::{Fault, Ring};
use core::ptr::NonNull;

/// Pieces that the chains of one burst may have together, hence also those of one frame.
pub(crate) const MAX_PIECES: usize = 512;

/// Octets of a chain at the most, header included: a 64 KiB packet with its Ethernet header and tags fits.
pub(crate) const MAX_CHAIN: usize = 65_535 + 64;

/// Some octets of guest memory in our address space; valid while the ring's lock is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Where.
    pub(crate) ptr: NonNull<u8>,
    /// How many.
    pub(crate) len: usize,
    /// Guest physical address.
    pub(crate) guest: u64,
}

// SAFETY: a Piece is an address; whoever follows it proves that the memory is there.
unsafe impl Send for Piece {}

/// What the device may do with the buffers of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read, as of the guest's transmit ring.
    Read,
    /// Write, as of the guest's receive ring.
    Write,
}

/// The pieces of chains, in order. Never grows beyond what it was made with.
#[derive(Debug)]
pub(crate) struct Pieces(Vec<Piece>);

impl Pieces {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(MAX_PIECES))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn as_slice(&self) -> &[Piece] {
        &self.0
    }

    /// Takes the first octets away, as many as `to` has, and copies them there. Says whether there were enough.
    pub(crate) fn take(&mut self, to: &mut [u8]) -> bool {
        let mut done = 0;
        for piece in &mut self.0 {
            let n = piece.len.min(to.len() - done);
            // SAFETY: n octets are mapped at piece.ptr while the ring's lock is held, and done + n <= to.len().
            unsafe { piece.ptr.as_ptr().copy_to_nonoverlapping(to.as_mut_ptr().add(done), n) };
            // SAFETY: n <= piece.len.
            piece.ptr = unsafe { piece.ptr.add(n) };
            piece.len -= n;
            piece.guest = piece.guest.wrapping_add(n as u64);
            done += n;
            if done == to.len() {
                break;
            }
        }
        self.0.retain(|piece| piece.len > 0);
        done == to.len()
    }

    fn push(&mut self, piece: Piece) -> Result<(), Fault> {
        if self.0.len() >= MAX_PIECES {
            return Err(Fault::Oversize);
        }
        self.0.push(piece);
        Ok(())
    }
}

impl<F: Format> Ring<F> {
    /// The table that this descriptor names.
    pub(super) fn indirect(&mut self, desc: Desc, nested: bool) -> Result<Table, Fault> {
        if nested || !self.features.indirect || desc.flags & DESC_F_NEXT != 0 {
            return Err(Fault::BadChain);
        }
        let base = self.at(desc.addr, desc.len).ok_or(Fault::BadAddress)?;
        // SAFETY: `at` found all its octets mapped; the map lives as long as this ring, and the table is
        // dropped at the end of the walk.
        unsafe { Table::new(base, desc.len) }.ok_or(Fault::BadChain)
    }

    /// Our address of a range that is wholly inside one region.
    #[inline(always)]
    pub(crate) fn at(&mut self, addr: u64, len: u32) -> Option<NonNull<u8>> {
        if let Some(ptr) = self.window.at(addr, len) {
            return Some(ptr);
        }
        self.at_slow(addr, len)
    }

    #[cold]
    fn at_slow(&mut self, addr: u64, len: u32) -> Option<NonNull<u8>> {
        self.window = self.memory.window(addr)?;
        self.window.at(addr, len)
    }

    /// Appends the pieces of one buffer: usually one; more where neighbouring regions meet.
    pub(super) fn translate(
        &mut self,
        mut addr: u64,
        mut len: u32,
        pieces: &mut Pieces,
    ) -> Result<(), Fault> {
        while len > 0 {
            if let Some(ptr) = self.at(addr, len) {
                return pieces.push(Piece { ptr, len: len as usize, guest: addr });
            }
            // `at` left the window of addr, if there is one: the buffer begins here and ends beyond it.
            let here = self.window.left(addr).ok_or(Fault::BadAddress)?;
            let part = u32::try_from(here).map_or(len, |here| here.min(len));
            let ptr = self.window.at(addr, part).ok_or(Fault::BadAddress)?;
            pieces.push(Piece { ptr, len: part as usize, guest: addr })?;
            addr = addr.checked_add(u64::from(part)).ok_or(Fault::BadAddress)?;
            len -= part;
        }
        Ok(())
    }
}
