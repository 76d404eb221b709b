//! The dirty log as the virtual machine monitor has it.

use super::memory::GuestMemory;
use std::io;
use std::os::fd::BorrowedFd;

/// Octets of guest memory for which one bit stands.
pub const PAGE: u64 = 4096;

/// A bitmap in a memfd.
pub struct Log {
    bits: GuestMemory,
    octets: u64,
}

impl Log {
    /// One that has a bit for each page below `end`, a guest physical address.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(end: u64) -> io::Result<Self> {
        let octets = end.div_ceil(PAGE * 64) * 8;
        Ok(Self { bits: GuestMemory::with_regions(&[(0, octets)])?, octets })
    }

    /// Its file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bits.fd()
    }

    /// Its size.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The pages that are marked, from the one of guest physical `from` on; they are no longer.
    pub fn take(&self, from: u64) -> Vec<u64> {
        let words = (from / (PAGE * 64)) * 8..self.octets;
        let mut pages = Vec::new();
        for at in words.step_by(8) {
            let mut word = self.bits.swap64(at, 0);
            while word != 0 {
                pages.push(at * 8 + u64::from(word.trailing_zeros()));
                word &= word - 1;
            }
        }
        pages
    }
}
