//! The memory of a virtual guest: a memfd, some regions of guest physical addresses in it, and a bump
//! allocator. `unsafe` of the virtual driver is here.

use niv_adapter::vhost::memory::RegionInfo;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Where guest memory begins unless a test says otherwise: not at 0, so that an address mistaken for an offset
/// is noticed.
pub const BASE: u64 = 0x1_0000_0000;

/// A guest's memory. Shared with the device, so every access is a copy or an atomic.
pub struct GuestMemory {
    fd: OwnedFd,
    map: *mut u8,
    len: usize,
    regions: Vec<RegionInfo>,
    next: AtomicUsize,
}

// SAFETY: the mapping lives until drop and is only accessed by copies and atomics.
unsafe impl Send for GuestMemory {}
// SAFETY: as above.
unsafe impl Sync for GuestMemory {}

impl GuestMemory {
    /// One region of `len` octets at [`BASE`].
    pub fn new(len: usize) -> io::Result<Self> {
        Self::with_regions(&[(BASE, len as u64)])
    }

    /// Regions of {guest physical address, octets}, one after another in the memfd. Allocation is from the
    /// first one.
    pub fn with_regions(regions: &[(u64, u64)]) -> io::Result<Self> {
        Self::in_file(memfd_create("guest", MemfdFlags::CLOEXEC)?, regions)
    }

    /// One region at [`BASE`] of huge pages of 2 MiB; the system must have some to give.
    pub fn huge(len: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
        Self::in_file(memfd_create("guest", flags)?, &[(BASE, len as u64)])
    }

    fn in_file(fd: OwnedFd, regions: &[(u64, u64)]) -> io::Result<Self> {
        let len: u64 = regions.iter().map(|(_, size)| size).sum();
        ftruncate(&fd, len)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let map = unsafe {
            mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0)
        }?;
        let mut offset = 0;
        let regions = regions
            .iter()
            .map(|(guest, size)| {
                let info =
                    RegionInfo { guest: *guest, user: map.addr() as u64 + offset, size: *size, offset };
                offset += size;
                info
            })
            .collect();
        Ok(Self { fd, map: map.cast(), len, regions, next: AtomicUsize::new(0) })
    }

    /// The file to be shared with the device.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What to tell the device.
    pub fn regions(&self) -> &[RegionInfo] {
        &self.regions
    }

    /// Guest physical address of fresh memory in the first region.
    ///
    /// # Panics
    /// When the region has no more.
    pub fn alloc(&self, len: usize, align: usize) -> u64 {
        let mut at = 0;
        let _ = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            at = next.next_multiple_of(align);
            Some(at + len)
        });
        assert!(at + len <= self.regions[0].size as usize, "the virtual guest's memory is too small");
        self.regions[0].guest + at as u64
    }

    /// The front end's virtual address of a guest physical one.
    pub fn user(&self, guest: u64) -> u64 {
        let region = self.region(guest, 0);
        region.user + (guest - region.guest)
    }

    fn region(&self, guest: u64, len: usize) -> &RegionInfo {
        self.regions
            .iter()
            .find(|r| guest >= r.guest && guest - r.guest + len as u64 <= r.size)
            .unwrap_or_else(|| panic!("{guest:#x} is not memory of the virtual guest"))
    }

    fn ptr(&self, guest: u64, len: usize) -> *mut u8 {
        let region = self.region(guest, len);
        let offset = (region.offset + (guest - region.guest)) as usize;
        assert!(offset + len <= self.len);
        // SAFETY: offset + len is inside the mapping.
        unsafe { self.map.add(offset) }
    }

    /// Copies `bytes` to `at`.
    pub fn write(&self, at: u64, bytes: &[u8]) {
        // SAFETY: `ptr` checked the range; `bytes` is private memory.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(self.ptr(at, bytes.len()), bytes.len()) };
    }

    /// Copies from `at`.
    pub fn read(&self, at: u64, bytes: &mut [u8]) {
        // SAFETY: `ptr` checked the range; `bytes` is private memory.
        unsafe { self.ptr(at, bytes.len()).copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
    }

    /// One word, acquired.
    pub fn load16(&self, at: u64) -> u16 {
        // SAFETY: in the mapping (`ptr`), aligned (asserted).
        unsafe { AtomicU16::from_ptr(aligned(self.ptr(at, 2))) }.load(Ordering::Acquire)
    }

    /// One word, released.
    pub fn store16(&self, at: u64, value: u16) {
        // SAFETY: as in `load16`.
        unsafe { AtomicU16::from_ptr(aligned(self.ptr(at, 2))) }.store(value, Ordering::Release);
    }

    /// One word.
    pub fn load32(&self, at: u64) -> u32 {
        // SAFETY: as in `load16`.
        unsafe { AtomicU32::from_ptr(aligned(self.ptr(at, 4))) }.load(Ordering::Relaxed)
    }

    /// One word.
    pub fn store64(&self, at: u64, value: u64) {
        // SAFETY: as in `load16`.
        unsafe { AtomicU64::from_ptr(aligned(self.ptr(at, 8))) }.store(value, Ordering::Relaxed);
    }

    /// Takes a word and leaves another.
    pub fn swap64(&self, at: u64, value: u64) -> u64 {
        // SAFETY: as in `load16`.
        unsafe { AtomicU64::from_ptr(aligned(self.ptr(at, 8))) }.swap(value, Ordering::SeqCst)
    }

    /// Orders a store before a later load.
    pub fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

fn aligned<T>(ptr: *mut u8) -> *mut T {
    assert!(ptr.addr().is_multiple_of(align_of::<T>()), "misaligned word of the virtual driver");
    ptr.cast()
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        // SAFETY: mapped by `with_regions`; nobody holds a pointer into it beyond a call.
        let _ = unsafe { munmap(self.map.cast::<c_void>(), self.len) };
    }
}
