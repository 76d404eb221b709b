//! Which places of the program an input came to.
//!
//! LLVM can put a counter of one octet on each edge of a program's control flow (`sancov`, the same that libFuzzer is
//! guided by), and the stable compiler passes the request on to it. [`wrap`] is the compiler with that request added;
//! cargo runs it for the crates of this workspace alone (`RUSTC_WORKSPACE_WRAPPER`), keeps what it makes apart, and
//! takes everything else as it is built already. A program built without it has no counters: [`Guide::anything_new`]
//! says no, always.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The name under which the lab's program is the compiler with counters. Another number whenever [`FLAGS`] change:
/// cargo knows by the name whether what it has was made by the same compiler.
pub(super) const WRAPPER: &str = "rustc-with-counters-1";

const FLAGS: [&str; 3] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
];

/// If this program was started as the compiler, it is.
#[must_use]
pub fn wrap() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = args.next().map(std::path::PathBuf::from)?;
    if name.file_name()? != WRAPPER {
        return None;
    }
    let mut args = args.peekable();
    let rustc: OsString = args.next()?;
    // Questions about the compiler are passed on as they are.
    let compiles = args.peek().is_some_and(|first| first == "--crate-name");
    let flags = FLAGS.iter().filter(|_| compiles);
    let status = Command::new(rustc).args(args).args(flags).status();
    Some(
        status
            .ok()
            .and_then(|status| status.code())
            .map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))),
    )
}

static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Called before `main` by each part of a program that has counters, always with all of them.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    START.store(start, Ordering::Relaxed);
    LENGTH.store(stop.addr() - start.addr(), Ordering::Relaxed);
}

/// What the counters have shown so far.
#[derive(Debug)]
pub(super) struct Guide {
    /// By counter, a bit for each class of counts that was seen: 1, 2, 3, 4, 8, 16, 32, 128 or more.
    seen: Vec<u8>,
    now: Vec<u8>,
}

impl Guide {
    pub(super) fn new() -> Self {
        let length = LENGTH.load(Ordering::Relaxed);
        Self { seen: vec![0; length], now: vec![0; length] }
    }

    /// Counts anew.
    pub(super) fn clear(&self) {
        let start = START.load(Ordering::Relaxed);
        if !start.is_null() {
            // SAFETY: `__sanitizer_cov_8bit_counters_init` was given `start..start + LENGTH`, which are static octets of
            // this program, and `now` has that length. Nobody has references to them; the code that counts in them runs
            // on this thread. (Threads that tested code begins may lose or add counts, which hurts nobody: on every
            // machine that this runs on, an octet is read and written whole.)
            unsafe { start.write_bytes(0, self.now.len()) };
        }
    }

    /// Whether a place was come to for the first time since the beginning, or so often for the first time.
    pub(super) fn anything_new(&mut self) -> bool {
        let start = START.load(Ordering::Relaxed);
        if start.is_null() {
            return false;
        }
        // SAFETY: as in `clear`; `now` is not part of them.
        unsafe { start.copy_to_nonoverlapping(self.now.as_mut_ptr(), self.now.len()) };
        let mut new = false;
        let chunks = self.now.chunks(16).zip(self.seen.chunks_mut(16));
        for (now, seen) in chunks.filter(|(now, _)| now.iter().any(|count| *count != 0)) {
            for (count, seen) in now.iter().zip(seen) {
                let class = class(*count);
                new |= class & !*seen != 0;
                *seen |= class;
            }
        }
        new
    }

    /// Places come to so far, and all there are.
    pub(super) fn places(&self) -> (usize, usize) {
        (self.seen.iter().filter(|seen| **seen != 0).count(), self.seen.len())
    }
}

fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..8 => 8,
        8..16 => 16,
        16..32 => 32,
        32..128 => 64,
        128.. => 128,
    }
}
