//! The system calls for which there is no safe wrapper. All `unsafe` of the interface devices is here.

pub(crate) mod bpf;
pub(crate) mod ethtool;
pub(crate) mod netif;
pub(crate) mod packet;
pub(crate) mod tap;
pub(crate) mod xsk;

use crate::frame::{OutFrame, Seg};
use std::io;

/// Space for the segment lists of a burst, kept between calls.
#[derive(Default)]
pub(crate) struct Scratch(Vec<libc::iovec>);

// SAFETY: the pointers in the list are written and used within one call of `writev` or `send`, which begins by
// clearing the list; what an earlier call left in it is never followed, on whatever thread.
unsafe impl Send for Scratch {}

impl Scratch {
    /// Appends what goes in front of a frame, and its segments; says where they are in the list.
    fn push(&mut self, header: &[u8], frame: &OutFrame<'_>) -> core::ops::Range<usize> {
        let start = self.0.len();
        self.0.extend(
            core::iter::once(Seg::from_slice(header))
                .chain(frame.segs())
                .filter(|seg| !seg.is_empty())
                .map(|seg| libc::iovec { iov_base: seg.as_ptr().cast_mut().cast(), iov_len: seg.len() }),
        );
        start..self.0.len()
    }
}

/// The result of a call that gives a count, or -1 and an error.
fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The result of a call that gives 0, or -1 and an error.
fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The size of a C type, as system calls want it.
fn size_of_c<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}
