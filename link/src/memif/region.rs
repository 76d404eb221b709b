//! Memory shared with the peer: mapped, bounds-checked, copied from and to.
//!
//! This module holds most of the memif's `unsafe`. Its rule: nobody outside gets a reference into shared memory,
//! only a [`Place`] (a checked range that can be filled), a [`Seg`] (a checked range that can be copied out) or
//! atomics of a ring (`ring.rs`). The peer may rewrite all of it at any time; that garbles bytes, never bounds.

use super::fault::Fault;
use crate::frame::{OutFrame, Seg};
use crate::guard::Guard;
use crate::prefetch;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{NonNull, null_mut};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::{AsFd, OwnedFd};

/// Regions a connection may have; what net_memif allows.
pub(super) const MAX_REGIONS: u16 = 256;

/// Octets that all regions of a peer may have together. Descriptors cannot reach beyond 4 GiB of one region.
const MAX_OCTETS: u64 = 1 << 34;

/// Regions up to this size are given their pages at once, so that no worker takes the faults.
const POPULATE_OCTETS: u64 = 64 << 20;

/// One mapped region.
#[derive(Debug)]
struct Region {
    base: NonNull<u8>,
    len: usize,
    /// Over memory whose owner can still cut it off.
    guard: Option<Guard>,
}

impl Region {
    fn map(fd: impl AsFd, size: u64, sealed: bool) -> rustix::io::Result<Self> {
        let len = usize::try_from(size).map_err(|_| rustix::io::Errno::OVERFLOW)?;
        let mut flags = MapFlags::SHARED;
        flags.set(MapFlags::POPULATE, size <= POPULATE_OCTETS);
        // SAFETY: the kernel chooses the place, so no existing memory is replaced; nobody ever makes a Rust
        // reference to the non-atomic bytes in there, so that other processes may write them.
        let base = unsafe { mmap(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, fd, 0)? };
        let base = NonNull::new(base.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        let mut region = Self { base, len, guard: None };
        if !sealed {
            // SAFETY: a mapping of our own from the beginning of its file, read as memory that others write;
            // `drop` ends the guard before it unmaps.
            let guard = unsafe { Guard::watch(base, len) };
            region.guard = Some(guard.map_err(|_| rustix::io::Errno::NOMEM)?);
        }
        Ok(region)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.guard = None;
        // SAFETY: base and len are those of one successful mmap, which nobody else unmaps. Everything that
        // points in there borrows the `Memory` that owns this, or holds it in an `Arc`.
        let _ = unsafe { munmap(self.base.as_ptr().cast::<c_void>(), self.len) };
    }
}

/// All regions of one connection.
#[derive(Debug)]
pub(super) struct Memory {
    regions: Box<[Region]>,
}

// SAFETY: a region is a range of addresses valid in every thread of the process until it is dropped; all access
// goes through copies and atomics.
unsafe impl Send for Memory {}
// SAFETY: as above; there is no interior state beside the mapped octets themselves, which are shared with
// another process anyway.
unsafe impl Sync for Memory {}

impl Memory {
    /// New memory of one region, to be given to a server. It can neither shrink nor grow.
    pub(super) fn create(size: u64) -> rustix::io::Result<(Self, OwnedFd)> {
        let fd = memfd_create(c"memif", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, size)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let region = Region::map(&fd, size, true)?;
        Ok((Self { regions: Box::new([region]) }, fd))
    }

    /// Maps what a client offers: memory of tmpfs or hugetlbfs (a memfd), as large as it says.
    ///
    /// Only such files know seals, so asking for them keeps out files whose pages somebody else's program
    /// delivers (FUSE), which would let the peer stop a worker. Memory that cannot be sealed against shrinking
    /// is guarded.
    pub(super) fn map(offered: &[(OwnedFd, u64)]) -> Result<Self, Fault> {
        let total = offered.iter().try_fold(0u64, |sum, (_, size)| sum.checked_add(*size));
        if total.is_none_or(|total| total > MAX_OCTETS) {
            return Err(Fault::BadRegion);
        }
        let map = |(fd, size): &(OwnedFd, u64)| {
            let seals = fcntl_get_seals(fd).map_err(|_| Fault::BadRegion)?;
            // Refused where the memory knows no seals or its owner sealed the seals.
            let sealed = seals.contains(SealFlags::SHRINK) || fcntl_add_seals(fd, SealFlags::SHRINK).is_ok();
            let have = fstat(fd).map_err(|_| Fault::BadRegion)?.st_size;
            if *size == 0 || u64::try_from(have).is_ok_and(|have| have < *size) {
                return Err(Fault::BadRegion);
            }
            Region::map(fd, *size, sealed).map_err(|_| Fault::BadRegion)
        };
        Ok(Self { regions: offered.iter().map(map).collect::<Result<_, _>>()? })
    }

    /// A region was cut off by its owner.
    pub(super) fn is_lost(&self) -> bool {
        self.regions.iter().any(|region| region.guard.as_ref().is_some_and(Guard::is_lost))
    }

    /// Where in the first region an octet lies (or one past its end); `None` where it does not.
    #[inline]
    pub(super) fn offset_of(&self, octet: *const u8) -> Option<u32> {
        let region = self.regions.first()?;
        let offset = octet.addr().checked_sub(region.base.addr().get())?;
        u32::try_from(offset).ok().filter(|_| offset <= region.len)
    }

    /// The octets `offset .. offset + len` of a region, if they are in there.
    #[inline]
    pub(super) fn place(&self, region: u16, offset: u32, len: u32) -> Result<Place<'_>, Fault> {
        let region = self.regions.get(usize::from(region)).ok_or(Fault::BadDescriptorRegion)?;
        if u64::from(offset) + u64::from(len) > region.len as u64 {
            return Err(Fault::BadDescriptorBounds);
        }
        // SAFETY: offset <= region.len by the check above, so the result is in the mapping or one past its end.
        let ptr = unsafe { region.base.add(offset as usize) };
        Ok(Place { ptr, len: len as usize, life: PhantomData })
    }
}

/// A range of shared memory, known to be mapped for `'a`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    ptr: NonNull<u8>,
    len: usize,
    life: PhantomData<&'a Memory>,
}

impl<'a> Place<'a> {
    /// Where it begins.
    pub(super) fn ptr(self) -> NonNull<u8> {
        self.ptr
    }

    /// To be copied from.
    #[inline]
    pub(super) fn seg(self) -> Seg<'a> {
        // SAFETY: `Memory::place` checked that len octets from ptr are mapped, and the memory is borrowed for 'a.
        unsafe { Seg::from_raw(self.ptr, self.len) }
    }

    /// Asks the processor to get hold of the first line for writing.
    #[inline]
    pub(super) fn prefetch_for_write(self) {
        prefetch::for_write(self.ptr);
    }

    /// Copies octets of our own here, as far as they fit.
    pub(super) fn begin(mut self, bytes: &[u8]) {
        self.put_private(bytes);
    }

    /// Copies the whole frame here, or as much as fits.
    #[inline(always)]
    pub(super) fn fill(self, frame: &OutFrame<'_>) {
        let mut to = self;
        to.put_private(frame.head);
        for seg in frame.body.segs() {
            to.put(&seg);
        }
    }

    /// Copies octets of our own here, as far as they fit, and steps behind them.
    #[inline(always)]
    fn put_private(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(..self.len).unwrap_or(bytes);
        // SAFETY: as many octets are writable here; nobody has a reference to them, so `bytes` are others. The step is to
        // the end of the range at most.
        unsafe {
            crate::frame::put(bytes, self.ptr);
            self.ptr = self.ptr.add(bytes.len());
        }
        self.len -= bytes.len();
    }

    /// Copies octets here and steps behind them; says how many fitted.
    #[inline]
    pub(super) fn put(&mut self, seg: &Seg<'_>) -> usize {
        let n = seg.len().min(self.len);
        // SAFETY: n octets are readable at the segment (its constructors' contract) and writable here, and
        // n <= len steps to the end of the range at most. The two may overlap only when somebody hands in a
        // segment of this very buffer, which `copy` allows.
        unsafe {
            copy(seg.as_ptr(), self.ptr.as_ptr(), n);
            self.ptr = self.ptr.add(n);
        }
        self.len -= n;
        n
    }
}

/// Copies `n` octets; small counts without a call, by two overlapping halves.
///
/// # Safety
/// `n` octets are readable at `src` and writable at `dst`. They may overlap, and may change meanwhile.
#[inline]
unsafe fn copy(src: *const u8, dst: *mut u8, n: usize) {
    /// # Safety
    /// As of `copy`, and `size_of::<T>() <= n <= 2 * size_of::<T>()`.
    #[inline(always)]
    unsafe fn halves<T: Copy>(src: *const u8, dst: *mut u8, n: usize) {
        let second = n - size_of::<T>();
        // SAFETY: both halves are within the n octets, by the caller's promise; T is plain integers.
        unsafe {
            let (a, b) = (src.cast::<T>().read_unaligned(), src.add(second).cast::<T>().read_unaligned());
            dst.cast::<T>().write_unaligned(a);
            dst.add(second).cast::<T>().write_unaligned(b);
        }
    }
    // SAFETY: each arm fits the promise of what it calls.
    unsafe {
        match n {
            0 => {}
            1 => dst.write(src.read()),
            2..4 => halves::<u16>(src, dst, n),
            4..8 => halves::<u32>(src, dst, n),
            8..16 => halves::<u64>(src, dst, n),
            16..32 => halves::<[u64; 2]>(src, dst, n),
            32..=64 => halves::<[u64; 4]>(src, dst, n),
            _ => src.copy_to(dst, n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Gather;

    #[test]
    fn a_place_ends_with_its_region() {
        let (memory, _fd) = Memory::create(4096).unwrap();
        assert!(memory.place(0, 0, 4096).is_ok());
        assert!(memory.place(0, 4096, 0).is_ok());
        assert_eq!(memory.place(0, 1, 4096).unwrap_err(), Fault::BadDescriptorBounds);
        assert_eq!(memory.place(0, u32::MAX, u32::MAX).unwrap_err(), Fault::BadDescriptorBounds);
        assert_eq!(memory.place(1, 0, 0).unwrap_err(), Fault::BadDescriptorRegion);
    }

    #[test]
    fn every_length_is_copied_whole_and_no_further() {
        let (memory, _fd) = Memory::create(4096).unwrap();
        let bytes: Vec<u8> = (0..200).map(|i| i as u8 + 1).collect();
        for n in 0..=bytes.len() {
            memory.place(0, 0, 300).unwrap().fill(&OutFrame::private(&[0; 300]));
            let frame = OutFrame::complete(&bytes[..n / 2], Gather::one(Seg::from_slice(&bytes[n / 2..n])));
            memory.place(0, 7, n as u32).unwrap().fill(&frame);
            let got = Gather::one(memory.place(0, 0, 300).unwrap().seg()).to_vec();
            assert_eq!(&got[7..7 + n], &bytes[..n]);
            assert!(got[..7].iter().chain(&got[7 + n..]).all(|b| *b == 0));
        }
    }

    #[test]
    fn memory_must_be_as_large_as_it_says_and_must_be_memory() {
        let (_memory, fd) = Memory::create(4096).unwrap();
        assert!(Memory::map(&[(fd.try_clone().unwrap(), 4096)]).is_ok());
        assert_eq!(Memory::map(&[(fd.try_clone().unwrap(), 4097)]).unwrap_err(), Fault::BadRegion);
        assert_eq!(Memory::map(&[(fd.try_clone().unwrap(), 0)]).unwrap_err(), Fault::BadRegion);
        assert_eq!(
            Memory::map(&[(fd, u64::MAX), (rustix::pipe::pipe().unwrap().0, 2)]).unwrap_err(),
            Fault::BadRegion
        );
        assert_eq!(Memory::map(&[(rustix::pipe::pipe().unwrap().0, 1)]).unwrap_err(), Fault::BadRegion);
    }

    #[test]
    fn memory_that_can_still_shrink_is_sealed() {
        let fd = memfd_create(c"test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&fd, 4096).unwrap();
        let _memory = Memory::map(&[(fd.try_clone().unwrap(), 4096)]).unwrap();
        assert!(ftruncate(&fd, 0).is_err());
    }
}
