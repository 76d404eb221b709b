//! Guest memory: the regions a front end shared, mapped once, translated by table.
//!
//! A front end names its memory by regions of file descriptors. Each region has three addresses: the guest's
//! physical one (descriptors use it), the front end's virtual one (the ring addresses of `SET_VRING_ADDR` use
//! it), and ours. A [`MemoryMap`] is immutable; a change of memory makes a new one that shares the regions
//! that stayed. Whoever holds the map keeps its mappings alive.
//!
//! What is mapped is sealed or watched ([`shared`]); rings stop when memory under them is lost.

mod inflight;
mod log;
mod shared;

pub use inflight::{Inflight, InflightRegion};
pub use log::{DirtyLog, LOG_PAGE, LogCounters};
pub(crate) use log::{Pages, Stretch};
pub use shared::ShareError;

use core::ptr::NonNull;
use shared::Shared;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Regions a map may have; QEMU has used up to 509 slots.
pub const MAX_REGIONS: usize = 509;

/// Where a region lies, as the front end says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// Guest physical address.
    pub guest: u64,
    /// Address in the front end's own address space.
    pub user: u64,
    /// Octets.
    pub size: u64,
    /// Where the region begins in its file.
    pub offset: u64,
}

/// Why memory was refused.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A region that cannot be shared.
    #[error("guest memory region at {guest:#x} {cause}")]
    Region {
        /// Its guest physical address.
        guest: u64,
        /// Why.
        cause: ShareError,
    },
    /// Two regions share addresses.
    #[error("guest memory regions overlap at {guest:#x}")]
    Overlap {
        /// Guest physical address of the second one.
        guest: u64,
    },
    /// More regions than [`MAX_REGIONS`], or more than came with descriptors.
    #[error("{0} guest memory regions are too many")]
    TooMany(usize),
}

/// A mapped region.
#[derive(Debug)]
pub struct Region {
    info: RegionInfo,
    shared: Shared,
}

impl Region {
    /// Maps a region of `file`.
    ///
    /// # Errors
    /// When the region cannot lie in the file, or the kernel refuses.
    pub fn map(info: RegionInfo, file: BorrowedFd<'_>) -> Result<Self, MemoryError> {
        let wrong = |cause| MemoryError::Region { guest: info.guest, cause };
        for start in [info.guest, info.user] {
            start.checked_add(info.size).ok_or_else(|| wrong(ShareError::Range))?;
        }
        let shared = Shared::map(file, info.offset, info.size).map_err(wrong)?;
        Ok(Self { info, shared })
    }

    /// What the front end said of it.
    #[must_use]
    pub fn info(&self) -> RegionInfo {
        self.info
    }
}

/// A range of guest physical addresses that is contiguous here too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    guest: u64,
    size: u64,
    host: NonNull<u8>,
}

impl Window {
    /// A window that contains nothing.
    pub(crate) const EMPTY: Self = Self { guest: 0, size: 0, host: NonNull::dangling() };

    /// Our address of `len` octets at guest physical `addr`, when all of them are in this window.
    #[inline(always)]
    pub(crate) fn at(&self, addr: u64, len: u32) -> Option<NonNull<u8>> {
        let offset = addr.wrapping_sub(self.guest);
        // offset < size first: then size - offset cannot wrap, and an addr below guest (a huge offset) fails.
        if offset < self.size && u64::from(len) <= self.size - offset {
            // SAFETY: offset + len <= size, all of it inside the region that this window describes.
            Some(unsafe { self.host.add(offset as usize) })
        } else {
            None
        }
    }

    /// Octets from `addr` to the end of the window, when it is inside.
    pub(crate) fn left(&self, addr: u64) -> Option<u64> {
        let offset = addr.wrapping_sub(self.guest);
        (offset < self.size).then(|| self.size - offset)
    }
}

/// All memory of a guest at one time.
#[derive(Debug, Default)]
pub struct MemoryMap {
    /// Sorted by guest address, disjoint.
    regions: Vec<Arc<Region>>,
}

impl MemoryMap {
    /// A map of these regions.
    ///
    /// # Errors
    /// When they are too many or overlap in guest physical addresses.
    pub fn new(mut regions: Vec<Arc<Region>>) -> Result<Self, MemoryError> {
        if regions.len() > MAX_REGIONS {
            return Err(MemoryError::TooMany(regions.len()));
        }
        regions.sort_by_key(|region| region.info.guest);
        for pair in regions.windows(2) {
            if let [a, b] = pair
                && b.info.guest - a.info.guest < a.info.size
            {
                return Err(MemoryError::Overlap { guest: b.info.guest });
            }
        }
        Ok(Self { regions })
    }

    /// Its regions, sorted by guest address.
    #[must_use]
    pub fn regions(&self) -> &[Arc<Region>] {
        &self.regions
    }

    /// A file behind a region was cut off: what the guest has there is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.regions.iter().any(|region| region.shared.is_lost())
    }

    /// The window in which the guest physical address `addr` lies.
    pub(crate) fn window(&self, addr: u64) -> Option<Window> {
        let next = self.regions.partition_point(|region| region.info.guest <= addr);
        let region = self.regions.get(next.checked_sub(1)?)?;
        (addr - region.info.guest < region.info.size).then(|| Window {
            guest: region.info.guest,
            size: region.info.size,
            host: region.shared.host(),
        })
    }

    /// The guest physical address of what the front end has at its virtual address `addr`.
    pub(crate) fn guest_of_user(&self, addr: u64) -> Option<u64> {
        self.regions.iter().find_map(|region| {
            let offset = addr.checked_sub(region.info.user)?;
            (offset < region.info.size).then(|| region.info.guest + offset)
        })
    }

    /// Our address of `len` octets at the front end's virtual address `addr`, when one region has them all.
    pub(crate) fn at_user(&self, addr: u64, len: u64) -> Option<NonNull<u8>> {
        self.regions.iter().find_map(|region| {
            let offset = addr.checked_sub(region.info.user)?;
            if offset >= region.info.size || len > region.info.size - offset {
                return None;
            }
            // SAFETY: offset + len <= size: inside the region.
            Some(unsafe { region.shared.host().add(usize::try_from(offset).ok()?) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use std::os::fd::{AsFd, OwnedFd};

    fn memfd(size: u64) -> OwnedFd {
        let fd = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, size).unwrap();
        fd
    }

    fn info(guest: u64, size: u64, offset: u64) -> RegionInfo {
        RegionInfo { guest, user: guest + 0x7000_0000, size, offset }
    }

    #[test]
    fn a_file_shorter_than_its_region_is_refused() {
        let fd = memfd(8192);
        assert!(matches!(
            Region::map(info(0, 8193, 0), fd.as_fd()),
            Err(MemoryError::Region { cause: ShareError::FileTooShort { needed: 8193, has: 8192 }, .. })
        ));
        assert!(matches!(
            Region::map(info(0, 8192, 4096), fd.as_fd()),
            Err(MemoryError::Region { cause: ShareError::FileTooShort { .. }, .. })
        ));
        assert!(Region::map(info(0, 4096, 4096), fd.as_fd()).is_ok());
    }

    #[test]
    fn sums_beyond_64_bits_are_refused() {
        let fd = memfd(8192);
        for (guest, size, offset) in [(u64::MAX - 10, 4096, 0), (0, u64::MAX, 4096), (0, 0, 0)] {
            let info = RegionInfo { guest, user: 0, size, offset };
            let refused = Region::map(info, fd.as_fd());
            assert!(matches!(refused, Err(MemoryError::Region { cause: ShareError::Range, .. })));
        }
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        let (a, _b) = rustix::pipe::pipe().unwrap();
        let refused = Region::map(info(0, 4096, 0), a.as_fd());
        assert!(matches!(refused, Err(MemoryError::Region { cause: ShareError::Kind(_), .. })));
    }

    #[test]
    fn overlaps_are_refused() {
        let fd = memfd(16384);
        let a = Arc::new(Region::map(info(0x1000, 8192, 0), fd.as_fd()).unwrap());
        let b = Arc::new(Region::map(info(0x2000, 8192, 8192), fd.as_fd()).unwrap());
        assert!(matches!(MemoryMap::new(vec![b, a]), Err(MemoryError::Overlap { guest: 0x2000 })));
    }

    proptest! {
        /// The table against an address-by-address model: two regions with a hole between them.
        #[test]
        fn translation_agrees_with_a_model(addr in 0u64..0x9000, len in 0u32..0x3000, far in any::<bool>()) {
            let addr = if far { addr.wrapping_sub(0x4800) } else { addr };
            let fd = memfd(0x6000);
            let regions = [info(0x1000, 0x2000, 0x1000), info(0x4000, 0x3000, 0x3000)];
            let regions: Vec<_> = regions.iter().map(|i| Arc::new(Region::map(*i, fd.as_fd()).unwrap())).collect();
            let map = MemoryMap::new(regions.clone()).unwrap();
            let want = regions.iter().find_map(|region| {
                let RegionInfo { guest, size, .. } = region.info();
                let inside = (guest..guest + size).contains(&addr) && u128::from(addr) + u128::from(len) <= u128::from(guest + size);
                inside.then(|| region.shared.host().as_ptr() as u64 + (addr - guest))
            });
            let got = map.window(addr).and_then(|w| w.at(addr, len)).map(|p| p.as_ptr() as u64);
            prop_assert_eq!(got, want);
            if let Some(user) = addr.checked_add(0x7000_0000) {
                let got = map.at_user(user, u64::from(len)).map(|p| p.as_ptr() as u64);
                prop_assert_eq!(got, want);
            }
        }
    }
}
