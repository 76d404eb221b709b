//! The capture file: queues put blocks into a bounded buffer, a thread writes the buffer to the file.

use super::pcapng::{self, Direction};
use crate::error::OpenError;
use crate::frame::OutFrame;
use crate::queue::Nanos;
use parking_lot::{Condvar, Mutex};
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Octets that wait for the writer at the most; what does not fit is lost and counted.
pub(super) const BUFFER: usize = 8 << 20;

/// How long a frame waits for company before both go to the file.
pub(super) const GATHER: Duration = Duration::from_millis(100);

/// A pcapng file that frames are being written into. Clones write into the same file; when the last one is
/// dropped, everything is in the file.
#[derive(Clone)]
pub struct Capture(Arc<Writer>);

/// One interface of a capture file.
#[derive(Clone)]
pub struct Interface {
    capture: Capture,
    id: u32,
    lost: Arc<AtomicU64>,
}

struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    wake: Condvar,
}

#[derive(Default)]
struct Buffer {
    blocks: Vec<u8>,
    interfaces: u32,
    /// The last handle is gone: write what there is and end.
    closing: bool,
    /// The file could not be written; everything is lost from here on.
    broken: bool,
}

impl Capture {
    /// Makes the file, or empties the one that is there, and starts its writer.
    ///
    /// # Errors
    /// The file cannot be made, or no thread can be started.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let name = format!("capture {}", path.display());
        let mut file = make(path).map_err(|e| OpenError::io(&name, "the file cannot be made", e))?;
        // A file system without locks is no reason to do without a capture.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            let problem = "another port or process is writing this file; give each its own";
            return Err(OpenError::new(&name, problem));
        }
        empty(&file).map_err(|e| OpenError::io(&name, "the file cannot be emptied", e))?;
        let mut head = Vec::new();
        pcapng::section(&mut head);
        file.write_all(&head).map_err(|e| OpenError::io(&name, "the file cannot be written", e))?;
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let log_name = name.clone();
        let thread = std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || write(&ours, &mut file, &log_name))
            .map_err(|e| OpenError::io(&name, "no thread for its writer", e))?;
        Ok(Self(Arc::new(Writer { shared, thread: Some(thread) })))
    }

    /// A further interface of this file. `name` is the port's, `description` says what it is made of.
    #[must_use]
    pub fn interface(&self, name: &str, description: &str) -> Interface {
        let mut buffer = self.0.shared.buffer.lock();
        let id = buffer.interfaces;
        buffer.interfaces += 1;
        pcapng::interface(&mut buffer.blocks, name, description);
        drop(buffer);
        self.0.shared.wake.notify_one();
        Interface { capture: self.clone(), id, lost: Arc::default() }
    }
}

/// Opens the file, or makes it; what is in it stays until it is known to be nobody's capture.
fn make(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(path)
}

fn empty(file: &File) -> io::Result<()> {
    // A pipe (for a Wireshark that looks on) has no length.
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

impl Interface {
    /// Records frames that went the same way at the same time, in their order, each with the same comment if
    /// there is one. Never waits: frames for which there is no room are lost and counted.
    pub fn record<'a>(
        &self,
        time: Nanos,
        direction: Direction,
        comment: Option<&str>,
        frames: impl Iterator<Item = OutFrame<'a>>,
    ) {
        let shared = &self.capture.0.shared;
        let mut buffer = shared.buffer.lock();
        let before = buffer.blocks.len();
        let mut lost = 0;
        for frame in frames {
            let len = pcapng::packet_len(&frame) + comment.map_or(0, str::len);
            if buffer.broken || buffer.blocks.len() + len > BUFFER {
                lost += 1;
            } else {
                pcapng::packet(&mut buffer.blocks, self.id, time, direction, comment, &frame);
            }
        }
        let after = buffer.blocks.len();
        drop(buffer);
        self.lost.fetch_add(lost, Ordering::Relaxed);
        // The writer sleeps without limit while nothing waits, and for GATHER until half is full.
        if (before == 0 && after > 0) || (before < BUFFER / 2 && after >= BUFFER / 2) {
            shared.wake.notify_one();
        }
    }

    /// Frames that are not in the file because the writer fell behind or could not write.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Nanoseconds since 1970, for the file. The one place in this crate that reads a clock.
pub(super) fn wall_clock() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().try_into().unwrap_or(Nanos::MAX)
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.buffer.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; a panic in there was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn write(shared: &Shared, file: &mut File, name: &str) {
    let mut full = Vec::new();
    loop {
        let mut buffer = shared.buffer.lock();
        shared.wake.wait_while(&mut buffer, |b| b.blocks.is_empty() && !b.closing);
        shared.wake.wait_while_for(&mut buffer, |b| b.blocks.len() < BUFFER / 2 && !b.closing, GATHER);
        core::mem::swap(&mut buffer.blocks, &mut full);
        let closing = buffer.closing;
        drop(buffer);
        if let Err(error) = file.write_all(&full) {
            shared.buffer.lock().broken = true;
            tracing::error!("{name}: cannot be written, the capture ends here: {error}");
            return;
        }
        full.clear();
        if closing {
            return;
        }
    }
}
