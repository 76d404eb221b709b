//! Memory that is shared with the kernel, and a ring in it.

use core::marker::PhantomData;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU32, Ordering};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::net::xdp::{XdpRingFlags, XdpRingOffset};
use std::os::fd::BorrowedFd;

/// A range of addresses of our own, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) base: NonNull<u8>,
    pub(super) len: usize,
}

// SAFETY: the addresses are valid on every thread until this is dropped. What may be read and written there, and by whom, is
// said where that is done.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Takes over what was mapped.
    ///
    /// # Safety
    /// `base` and `len` are those of one mapping, which is nobody else's.
    unsafe fn own(base: *mut core::ffi::c_void, len: usize) -> rustix::io::Result<Self> {
        Ok(Self { base: NonNull::new(base.cast()).ok_or(Errno::NOMEM)?, len })
    }

    pub(super) fn of_zeros(len: usize) -> rustix::io::Result<Self> {
        // Shared: a page stays where the kernel has it, whoever forks.
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: the kernel chooses the place, so nothing is replaced.
        unsafe { Self::own(mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags)?, len) }
    }

    fn of_ring(socket: BorrowedFd<'_>, len: usize, at: u64) -> rustix::io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: as above; the memory is the kernel's ring, of which Rust references are made to atomics only.
        unsafe {
            Self::own(mmap(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, socket, at)?, len)
        }
    }

    /// The place of a `T` so many octets behind the beginning.
    fn place<T>(&self, at: u64, count: usize) -> rustix::io::Result<NonNull<T>> {
        let at = usize::try_from(at).map_err(|_| Errno::OVERFLOW)?;
        let end = size_of::<T>().checked_mul(count).and_then(|octets| octets.checked_add(at));
        if end.is_none_or(|end| end > self.len) || at % align_of::<T>() != 0 {
            return Err(Errno::OVERFLOW);
        }
        // SAFETY: `at` is within the mapping by the check above.
        Ok(unsafe { self.base.add(at) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: a mapping of our own (contract of `own`); what points in there borrows its owner.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A ring of a socket, of `T`s that are plain integers.
#[derive(Debug)]
pub(super) struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: Option<NonNull<AtomicU32>>,
    entries: NonNull<T>,
    size: u32,
    _mapping: Mapping,
    life: PhantomData<T>,
}

// SAFETY: places in a mapping that lives as long as this does; indices and flags are atomics, and each ring's entries have
// one user in this process (module documentation), which `read` and `write` ask of their callers.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T: Copy> Ring<T> {
    pub(super) fn map(
        socket: BorrowedFd<'_>,
        at: u64,
        offsets: &XdpRingOffset,
        size: u32,
    ) -> rustix::io::Result<Self> {
        let count = size as usize;
        let begin = usize::try_from(offsets.desc).map_err(|_| Errno::OVERFLOW)?;
        let mapping = Mapping::of_ring(socket, begin + count * size_of::<T>(), at)?;
        Ok(Self {
            producer: mapping.place(offsets.producer, 1)?,
            consumer: mapping.place(offsets.consumer, 1)?,
            flags: offsets.flags.map(|flags| mapping.place(flags, 1)).transpose()?,
            entries: mapping.place(offsets.desc, count)?,
            size,
            _mapping: mapping,
            life: PhantomData,
        })
    }

    pub(super) fn producer(&self) -> &AtomicU32 {
        // SAFETY: an aligned word in the mapping (`place`), which both sides use as an atomic and nothing else.
        unsafe { self.producer.as_ref() }
    }

    pub(super) fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    /// The kernel wants a call before it goes on with this ring.
    pub(super) fn wants_wakeup(&self) -> bool {
        // SAFETY: as above.
        let flags = self.flags.map(|flags| unsafe { flags.as_ref() }.load(Ordering::Relaxed));
        flags.is_none_or(|flags| flags & XdpRingFlags::XDP_RING_NEED_WAKEUP.bits() != 0)
    }

    /// Entries between two indices; a ring never holds more than its size.
    pub(super) fn between(&self, producer: u32, consumer: u32) -> u32 {
        producer.wrapping_sub(consumer).min(self.size)
    }

    /// Nothing waits in it.
    pub(super) fn is_empty(&self) -> bool {
        self.producer().load(Ordering::Acquire) == self.consumer().load(Ordering::Acquire)
    }

    fn entry(&self, index: u32) -> *mut T {
        // SAFETY: the size is a power of two, so the masked index is below it, and there are so many entries (`map`).
        unsafe { self.entries.as_ptr().add((index & (self.size - 1)) as usize) }
    }

    /// Reads an entry.
    ///
    /// # Safety
    /// The caller is this ring's one user. Of an entry that the kernel may be writing the value is any.
    pub(super) unsafe fn read(&self, index: u32) -> T {
        // SAFETY: within the mapping, aligned; plain integers, of which every value is one.
        unsafe { self.entry(index).read_volatile() }
    }

    /// Writes an entry.
    ///
    /// # Safety
    /// The caller is this ring's one user.
    pub(super) unsafe fn write(&self, index: u32, value: T) {
        // SAFETY: within the mapping, aligned; no reference to it is ever made.
        unsafe { self.entry(index).write_volatile(value) }
    }
}
