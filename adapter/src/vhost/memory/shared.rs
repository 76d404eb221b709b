//! A piece of a file that a front end shares, mapped and watched.
//!
//! A front end can cut its file off after it was checked. A file that can be sealed against that is sealed; the
//! rest is watched by a [`Guard`].

use core::ptr::NonNull;
use link::guard::Guard;
use rustix::fs::{FileType, SealFlags, fcntl_add_seals, fstat, fstatfs};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::BorrowedFd;

/// Memory is unmapped in pieces of at least this size. Nobody else in the process can map anything meanwhile, and a
/// page takes up to half a microsecond.
const PIECE: usize = 8 << 20;

/// A file system that answers page faults from another process could stall a worker for ever.
const FUSE_SUPER_MAGIC: rustix::fs::FsWord = 0x6573_5546;

/// Why a file cannot be shared; to be read behind the name of what it is for.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Its sums leave 64 bits, or it is empty.
    #[error("is empty or ends beyond the address space")]
    Range,
    /// The file would end inside it: touching it would kill the process.
    #[error("needs {needed} octets of its file, which has {has}")]
    FileTooShort {
        /// Offset and size together.
        needed: u64,
        /// What the file has.
        has: u64,
    },
    /// Something that is no memory.
    #[error("is not backed by memory ({0})")]
    Kind(&'static str),
    /// It cannot be watched.
    #[error("cannot be watched: {0}")]
    Guard(std::io::Error),
    /// The kernel refused.
    #[error("cannot be mapped: {0}")]
    Map(rustix::io::Errno),
}

/// The mapping of a range of a file. Others write there at any moment.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Until it is unmapped.
    guard: Option<Guard>,
    mapping: NonNull<u8>,
    mapped: usize,
    /// Octets that are unmapped at once, a multiple of the size of its pages.
    piece: usize,
    host: NonNull<u8>,
}

// SAFETY: a Shared is an address range that stays mapped until it is dropped; the bytes in it are only touched
// through raw pointers and atomics by code that expects concurrent writers.
unsafe impl Send for Shared {}
// SAFETY: as above; no method gives access to the bytes by reference.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps the `size` octets of `file` at `offset`.
    ///
    /// # Errors
    /// When they cannot lie in the file, or the kernel refuses.
    pub(crate) fn map(file: BorrowedFd<'_>, offset: u64, size: u64) -> Result<Self, ShareError> {
        let end = offset.checked_add(size).filter(|_| size > 0).ok_or(ShareError::Range)?;
        // Before its size is read. Refused by what knows no seals, or whose owner wants no more of them.
        let _ = fcntl_add_seals(file, SealFlags::SHRINK);
        let stat = fstat(file).map_err(ShareError::Map)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let has = u64::try_from(stat.st_size).unwrap_or(0);
                if has < end {
                    return Err(ShareError::FileTooShort { needed: end, has });
                }
                if fstatfs(file).map_err(ShareError::Map)?.f_type == FUSE_SUPER_MAGIC {
                    return Err(ShareError::Kind("a FUSE file"));
                }
            }
            FileType::CharacterDevice => {}
            _ => return Err(ShareError::Kind("neither a file nor a memory device")),
        }
        // Huge pages want offset and length in whole pages; the block size of hugetlbfs is its page size.
        let page = u64::try_from(stat.st_blksize).unwrap_or(0).next_power_of_two().max(4096);
        let first = offset & !(page - 1);
        let last = end.checked_add(page - 1).ok_or(ShareError::Range)? & !(page - 1);
        let mapped = usize::try_from(last - first).map_err(|_| ShareError::Range)?;
        let piece = usize::try_from(page).map_err(|_| ShareError::Range)?.max(PIECE);
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
        .map_err(ShareError::Map)?;
        let mapping = NonNull::new(mapping.cast::<u8>()).ok_or(ShareError::Range)?;
        // SAFETY: offset - first < page and offset + size <= last, so the result is inside the mapping.
        let host = unsafe { mapping.add(usize::try_from(offset - first).unwrap_or(0)) };
        let mut shared = Self { guard: None, mapping, mapped, piece, host };
        // SAFETY: a mapping of our own, of whole pages, read as memory that others write; `drop` ends the guard
        // before it unmaps.
        shared.guard = Some(unsafe { Guard::watch(mapping, mapped) }.map_err(ShareError::Guard)?);
        Ok(shared)
    }

    /// Where its first octet is; as many as were asked for are mapped there while this lives.
    #[inline(always)]
    pub(crate) fn host(&self) -> NonNull<u8> {
        self.host
    }

    /// The file was cut off: what was there is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::is_lost)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.guard = None;
        for from in (0..self.mapped).step_by(self.piece) {
            let length = self.piece.min(self.mapped - from);
            // SAFETY: the range was mapped by `map` and each piece of it is unmapped once, in whole pages; whoever
            // could still use it would hold this Shared alive. It cannot fail for a range that mmap returned.
            let _ = unsafe { munmap(self.mapping.as_ptr().add(from).cast(), length) };
        }
    }
}
