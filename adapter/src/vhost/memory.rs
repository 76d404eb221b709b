//! Guest memory: the regions a front end shared, mapped once, translated by table.
//!
//! A front end names its memory by regions of file descriptors. Each region has three addresses: the guest's
//! physical one (descriptors use it), the front end's virtual one (the ring addresses of `SET_VRING_ADDR` use
//! it), and ours. A [`MemoryMap`] is immutable; a change of memory makes a new one that shares the regions
//! that stayed. Whoever holds the map keeps its mappings alive.
//!
//! A front end can cut its file off after it was checked. Memory that can be sealed against that is sealed;
//! the rest is watched by a [`Guard`], and the rings in it stop when it is lost.

use core::ptr::NonNull;
use link::guard::Guard;
use rustix::fs::{FileType, SealFlags, fcntl_add_seals, fstat, fstatfs};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Regions a map may have; QEMU has used up to 509 slots.
pub const MAX_REGIONS: usize = 509;

/// Memory is unmapped in pieces of at least this size. Nobody else in the process can map anything meanwhile, and a
/// page takes up to half a microsecond.
const PIECE: usize = 8 << 20;

/// A file system that answers page faults from another process could stall a worker for ever.
const FUSE_SUPER_MAGIC: rustix::fs::FsWord = 0x6573_5546;

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
    /// The sums of a region leave 64 bits, or it is empty.
    #[error("guest memory region at {guest:#x} is empty or ends beyond the address space")]
    Range {
        /// Its guest physical address.
        guest: u64,
    },
    /// The file would end inside the region: touching it would kill the process.
    #[error("guest memory region at {guest:#x} needs {needed} octets of its file, which has {has}")]
    FileTooShort {
        /// Its guest physical address.
        guest: u64,
        /// Offset and size together.
        needed: u64,
        /// What the file has.
        has: u64,
    },
    /// Something that is no memory.
    #[error("guest memory region at {guest:#x} is not backed by memory ({what})")]
    Kind {
        /// Its guest physical address.
        guest: u64,
        /// What was found instead.
        what: &'static str,
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
    /// It cannot be watched.
    #[error("cannot watch the guest memory region at {guest:#x}: {cause}")]
    Guard {
        /// Its guest physical address.
        guest: u64,
        /// Why.
        cause: std::io::Error,
    },
    /// The kernel refused.
    #[error("cannot map the guest memory region at {guest:#x}: {cause}")]
    Map {
        /// Its guest physical address.
        guest: u64,
        /// The kernel's answer.
        cause: rustix::io::Errno,
    },
}

/// A mapped region.
#[derive(Debug)]
pub struct Region {
    info: RegionInfo,
    /// Until the region is unmapped.
    guard: Option<Guard>,
    mapping: NonNull<u8>,
    mapped: usize,
    /// Octets that are unmapped at once, a multiple of the size of its pages.
    piece: usize,
    host: NonNull<u8>,
}

// SAFETY: a Region is an address range that stays mapped until it is dropped; the bytes in it are only touched
// through raw pointers and atomics by code that expects concurrent writers.
unsafe impl Send for Region {}
// SAFETY: as above; no method gives access to the bytes by reference.
unsafe impl Sync for Region {}

impl Region {
    /// Maps a region of `file`.
    ///
    /// # Errors
    /// When the region cannot lie in the file, or the kernel refuses.
    pub fn map(info: RegionInfo, file: BorrowedFd<'_>) -> Result<Self, MemoryError> {
        let guest = info.guest;
        let range = || MemoryError::Range { guest };
        let end = info.offset.checked_add(info.size).ok_or_else(range)?;
        info.guest.checked_add(info.size).ok_or_else(range)?;
        info.user.checked_add(info.size).ok_or_else(range)?;
        if info.size == 0 {
            return Err(range());
        }
        let map_error = |cause| MemoryError::Map { guest, cause };
        // Before its size is read. Refused by what knows no seals, or whose owner wants no more of them.
        let _ = fcntl_add_seals(file, SealFlags::SHRINK);
        let stat = fstat(file).map_err(map_error)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let has = u64::try_from(stat.st_size).unwrap_or(0);
                if has < end {
                    return Err(MemoryError::FileTooShort { guest, needed: end, has });
                }
                if fstatfs(file).map_err(map_error)?.f_type == FUSE_SUPER_MAGIC {
                    return Err(MemoryError::Kind { guest, what: "a FUSE file" });
                }
            }
            FileType::CharacterDevice => {}
            _ => return Err(MemoryError::Kind { guest, what: "neither a file nor a memory device" }),
        }
        // Huge pages want offset and length in whole pages; the block size of hugetlbfs is its page size.
        let page = u64::try_from(stat.st_blksize).unwrap_or(0).next_power_of_two().max(4096);
        let first = info.offset & !(page - 1);
        let last = end.checked_add(page - 1).ok_or_else(range)? & !(page - 1);
        let mapped = usize::try_from(last - first).map_err(|_| range())?;
        let piece = usize::try_from(page).map_err(|_| range())?.max(PIECE);
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let mapping = unsafe {
            mmap(
                core::ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                first,
            )
        }
        .map_err(map_error)?;
        let mapping = NonNull::new(mapping.cast::<u8>()).ok_or_else(range)?;
        // SAFETY: offset - first < page and offset + size <= last, so the result is inside the mapping.
        let host = unsafe { mapping.add(usize::try_from(info.offset - first).unwrap_or(0)) };
        let mut region = Self { info, guard: None, mapping, mapped, piece, host };
        // SAFETY: a mapping of our own, of whole pages, read as memory that others write; `drop` ends the guard
        // before it unmaps.
        let guard = unsafe { Guard::watch(mapping, mapped) };
        region.guard = Some(guard.map_err(|cause| MemoryError::Guard { guest, cause })?);
        Ok(region)
    }

    /// What the front end said of it.
    #[must_use]
    pub fn info(&self) -> RegionInfo {
        self.info
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.guard = None;
        for from in (0..self.mapped).step_by(self.piece) {
            let length = self.piece.min(self.mapped - from);
            // SAFETY: the range was mapped by `map` and each piece of it is unmapped once, in whole pages; whoever
            // could still use it would hold the MemoryMap, hence this Region, alive. It cannot fail for a range
            // that mmap returned.
            let _ = unsafe { munmap(self.mapping.as_ptr().add(from).cast(), length) };
        }
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
        self.regions.iter().any(|region| region.guard.as_ref().is_some_and(Guard::is_lost))
    }

    /// The window in which the guest physical address `addr` lies.
    pub(crate) fn window(&self, addr: u64) -> Option<Window> {
        let next = self.regions.partition_point(|region| region.info.guest <= addr);
        let region = self.regions.get(next.checked_sub(1)?)?;
        (addr - region.info.guest < region.info.size).then(|| Window {
            guest: region.info.guest,
            size: region.info.size,
            host: region.host,
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
            Some(unsafe { region.host.add(usize::try_from(offset).ok()?) })
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
            Err(MemoryError::FileTooShort { needed: 8193, has: 8192, .. })
        ));
        assert!(matches!(
            Region::map(info(0, 8192, 4096), fd.as_fd()),
            Err(MemoryError::FileTooShort { .. })
        ));
        assert!(Region::map(info(0, 4096, 4096), fd.as_fd()).is_ok());
    }

    #[test]
    fn sums_beyond_64_bits_are_refused() {
        let fd = memfd(8192);
        for (guest, size, offset) in [(u64::MAX - 10, 4096, 0), (0, u64::MAX, 4096), (0, 0, 0)] {
            let info = RegionInfo { guest, user: 0, size, offset };
            assert!(matches!(Region::map(info, fd.as_fd()), Err(MemoryError::Range { .. })));
        }
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        let (a, _b) = rustix::pipe::pipe().unwrap();
        assert!(matches!(Region::map(info(0, 4096, 0), a.as_fd()), Err(MemoryError::Kind { .. })));
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
                inside.then(|| region.host.as_ptr() as u64 + (addr - guest))
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
