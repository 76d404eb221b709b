//! Hints to the processor about memory that another core wrote or read last.
//!
//! A ring and its buffers wander between two cores for ever, so that each first access to a line is a miss of
//! some hundred cycles. Asked for a few frames ahead, the line comes while others are worked on.

use core::ptr::NonNull;

/// Octets that come at once.
const LINE: usize = 64;

/// Of a longer frame the processor has found out by then that its lines come one after the other.
const MOST: usize = 2048;

/// The line after the one of `ptr`.
#[inline(always)]
#[must_use]
pub fn behind(ptr: NonNull<u8>) -> NonNull<u8> {
    // Only for a prefetch: the address need not be mapped, so it is made without claiming that it is.
    ptr.map_addr(|addr| addr.saturating_add(LINE))
}

/// Asks for the line at `ptr`, to read it.
#[inline(always)]
pub fn for_read(ptr: NonNull<u8>) {
    // SAFETY: a prefetch never faults and changes nothing, whatever the address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(ptr.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ptr;
}

/// Asks for so many octets from `ptr`, to write them; for the first few lines of many.
#[inline(always)]
pub fn all_for_write(ptr: NonNull<u8>, len: usize) {
    for octet in (0..len.min(MOST)).step_by(LINE) {
        for_write(ptr.map_addr(|addr| addr.saturating_add(octet)));
    }
}

/// Asks for the line at `ptr`, to write it.
#[inline(always)]
pub fn for_write(ptr: NonNull<u8>) {
    // SAFETY: a prefetch never faults and changes nothing, whatever the address; an x86-64 that does not know this
    // one takes it for no operation. The intrinsic would need a target feature to become it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) ptr.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ptr;
}
