//! A guard over shared memory: when another process cuts off the file behind a mapping, touching what is gone
//! raises SIGBUS, which would end this process and every other peer's traffic with it.
//!
//! A [`Guard`] watches one mapping. The signal handler replaces a watched mapping by anonymous memory and marks
//! it lost; the access that faulted goes on and reads zeros. Whoever uses the mapping looks at [`losses`] once a
//! burst, a load that costs nothing, and, when that number has changed, asks its own guards.
//!
//! Sealed memory (`F_SEAL_SHRINK`) never needs this. Files on hugetlbfs, and memfds whose owner forbade seals,
//! do.

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use parking_lot::Mutex;
use std::io;
use std::sync::OnceLock;

/// Mappings that can be watched at the same time.
const SLOTS: usize = 8192;

struct Slot {
    /// 0: free, or not yet valid.
    start: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicBool,
}

static TABLE: [Slot; SLOTS] =
    [const { Slot { start: AtomicUsize::new(0), len: AtomicUsize::new(0), lost: AtomicBool::new(false) } };
        SLOTS];

/// How far the table was ever used: the handler looks no further.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Mappings lost since the process began.
static LOSSES: AtomicU64 = AtomicU64::new(0);

/// What to do with a SIGBUS that is not ours. Set before the handler is installed, never freed.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(core::ptr::null_mut());

/// Serialises registration; the handler never takes it.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// How many watched mappings have been lost so far, in the whole process.
#[inline]
#[must_use]
pub fn losses() -> u64 {
    LOSSES.load(Ordering::Relaxed)
}

/// Watches one mapping until it is dropped. Drop it before the mapping is undone.
#[derive(Debug)]
pub struct Guard {
    slot: usize,
}

impl Guard {
    /// Watches the mapping of `len` octets at `start`.
    ///
    /// # Safety
    /// It is one mapping, made for sharing, of whole pages of its file; nothing else lives in it, and whoever
    /// reads it expects any octets at any time. It stays mapped for the life of the guard.
    ///
    /// # Errors
    /// When the handler cannot be installed, or too many mappings are watched.
    pub unsafe fn watch(start: NonNull<u8>, len: usize) -> io::Result<Self> {
        static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
        let installed =
            INSTALLED.get_or_init(|| install().map_err(|error| error.raw_os_error().unwrap_or(libc::EINVAL)));
        installed.map_err(io::Error::from_raw_os_error)?;
        let mut free = FREE.lock();
        let slot = match free.pop() {
            Some(slot) => slot,
            None => {
                let next = USED.load(Ordering::Relaxed);
                if next == SLOTS {
                    return Err(io::Error::other("too many shared mappings"));
                }
                USED.store(next + 1, Ordering::Release);
                next
            }
        };
        if let Some(entry) = TABLE.get(slot) {
            entry.lost.store(false, Ordering::Relaxed);
            entry.len.store(len, Ordering::Relaxed);
            entry.start.store(start.as_ptr().addr(), Ordering::Release);
        }
        Ok(Self { slot })
    }

    /// The file behind the mapping was cut off; what is there now is memory of our own.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        TABLE.get(self.slot).is_some_and(|entry| entry.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(entry) = TABLE.get(self.slot) {
            entry.start.store(0, Ordering::Release);
        }
        FREE.lock().push(self.slot);
    }
}

fn install() -> io::Result<()> {
    // SAFETY: all-zero is a valid sigaction, with an empty mask and the default action.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: as above.
    let previous = Box::leak(Box::new(unsafe { core::mem::zeroed::<libc::sigaction>() }));
    PREVIOUS.store(previous, Ordering::Release);
    // SAFETY: `action` is complete and `on_sigbus` does nothing but what a handler may do; `previous` lives for
    // ever, and nobody reads it before a SIGBUS arrives at the handler.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, previous) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Runs at any moment on any thread: only atomics and system calls.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands a valid siginfo, which for SIGBUS has an address.
    let addr = unsafe { (*info).si_addr() }.addr();
    let used = USED.load(Ordering::Acquire);
    for entry in TABLE.iter().take(used) {
        let start = entry.start.load(Ordering::Acquire);
        let len = entry.len.load(Ordering::Relaxed);
        if start == 0 || addr.wrapping_sub(start) >= len {
            continue;
        }
        // SAFETY: the range is a mapping that is shared with another process and holds nothing of ours
        // (contract of `watch`); whoever faulted in it keeps it mapped, so it has not become anything else.
        // mmap does nothing that a signal handler must not do.
        let replaced = unsafe {
            libc::mmap(
                core::ptr::with_exposed_provenance_mut(start),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if replaced == libc::MAP_FAILED {
            break;
        }
        entry.lost.store(true, Ordering::Relaxed);
        LOSSES.fetch_add(1, Ordering::Release);
        return;
    }
    // Not ours: the access faults again and meets the handler that was here before.
    // SAFETY: PREVIOUS was set before this handler was installed and points to a complete sigaction.
    unsafe { libc::sigaction(signal, PREVIOUS.load(Ordering::Acquire), core::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    #[test]
    fn a_file_that_is_cut_off_reads_as_zeros_and_is_marked() {
        let fd = memfd_create("guard", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, 8192).unwrap();
        // SAFETY: a fresh mapping.
        let map = |fd| unsafe {
            let flags = ProtFlags::READ | ProtFlags::WRITE;
            NonNull::new(
                mmap(core::ptr::null_mut(), 8192, flags, MapFlags::SHARED, fd, 0).unwrap().cast::<u8>(),
            )
        };
        let (cut, other) = (map(&fd).unwrap(), memfd_create("other", MemfdFlags::CLOEXEC).unwrap());
        ftruncate(&other, 8192).unwrap();
        let whole = map(&other).unwrap();
        // SAFETY: two mappings of their own, unmapped after the guards.
        let (cut_guard, whole_guard) =
            unsafe { (Guard::watch(cut, 8192).unwrap(), Guard::watch(whole, 8192).unwrap()) };
        // SAFETY: mapped, and watched where the file ends.
        unsafe {
            cut.write_volatile(7);
            whole.write_volatile(7);
        }
        let before = losses();
        ftruncate(&fd, 0).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { (cut.read_volatile(), whole.read_volatile()) }, (0, 7));
        assert_eq!(losses(), before + 1);
        assert!(cut_guard.is_lost() && !whole_guard.is_lost());
        drop((cut_guard, whole_guard));
        for ptr in [cut, whole] {
            // SAFETY: mapped above; nobody uses them any more.
            unsafe { munmap(ptr.as_ptr().cast(), 8192) }.unwrap();
        }
    }
}
