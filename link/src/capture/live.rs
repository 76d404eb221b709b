//! Captures that begin and end while frames move, with what became of each frame.
//!
//! ```text
//!  worker: Recorder --a burst at a time--> [ bounded ] --Session::read--> pcapng, for whoever asked
//!             ^                                                  |
//!             +---- Live: which places are captured now ----<----+ begin, end
//! ```
//!
//! A tee ([`super::tee`]) sits around a port and sees octets; a recorder sits in a data path and knows the *fate*
//! of a frame too, because the data path adds it when it has decided. `P` names a place of the data path
//! (a port, a link, a vNIC), `F` is what it says of a frame; both are its own types, and only the reader makes text
//! of a fate.
//!
//! While nothing is captured a recorder costs one relaxed load for each burst. While something is, frames are copied
//! into a bounded buffer; those that find no room are counted, and the reader learns how many they were from the
//! statistics blocks between the packets (`isb_ifdrop`). The data path never waits for a reader, and writes nothing.
//!
//! ```
//! use link::OutFrame;
//! use link::capture::{Direction, live::{Live, Recorder}};
//!
//! let live = Live::<&str, &str>::default();
//! let mut recorder = Recorder::new(&live);
//! assert!(!recorder.begin());                       // nobody asked
//!
//! let mut session = live.begin("link0", "link0", "memif:/run/niv/link0.sock", None).unwrap();
//! assert!(recorder.begin() && recorder.wants("link0"));
//! let frame = recorder.record("link0", Direction::In, &OutFrame::private(&[0; 60]));
//! recorder.decide(frame, "delivered");
//! recorder.finish();
//! let mut read = || session.read(core::time::Duration::ZERO, |fate| (*fate).to_owned());
//! let _beginning_of_the_file = read().unwrap();
//! let blocks = read().unwrap();
//! assert!(blocks.windows(9).any(|part| part == b"delivered"));
//! ```

use super::file::{BUFFER, GATHER, wall_clock};
use super::pcapng::{self, Direction};
use crate::frame::OutFrame;
use crate::queue::Nanos;
use core::time::Duration;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Captures that run at the same time at the most.
pub const MOST_SESSIONS: usize = 4;

/// Octets that a frame costs in the buffer beside its own.
const OVERHEAD: usize = 64;

/// As many captures run as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_SESSIONS} captures are running; one must end first")]
pub struct TooMany;

/// The captures of a data path. Clones are the same.
#[derive(Debug)]
pub struct Live<P, F>(Arc<Shared<P, F>>);

#[derive(Debug)]
struct Shared<P, F> {
    /// How often a capture began or ended.
    changes: AtomicU64,
    tapes: Mutex<Vec<Arc<Tape<P, F>>>>,
}

/// What one capture has that was not read yet.
#[derive(Debug)]
struct Tape<P, F> {
    place: P,
    buffer: Mutex<Buffer<F>>,
    wake: Condvar,
}

#[derive(Debug)]
struct Buffer<F> {
    frames: Vec<Recorded<F>>,
    octets: Vec<u8>,
    /// Frames that found no room.
    lost: u64,
    /// Frames that may still come.
    left: u64,
    /// Nothing comes any more.
    ended: bool,
}

#[derive(Debug)]
struct Recorded<F> {
    time: Nanos,
    direction: Direction,
    fate: F,
    len: usize,
}

impl<P, F> Clone for Live<P, F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P, F> Default for Live<P, F> {
    fn default() -> Self {
        Self(Arc::new(Shared { changes: AtomicU64::new(0), tapes: Mutex::default() }))
    }
}

impl<P: Copy + PartialEq, F: Copy> Live<P, F> {
    /// Captures at this place from now on, until the session is dropped, the place [ends](Self::end) or `most` frames
    /// are there. `name` and `description` are those of the interface in the capture.
    ///
    /// # Errors
    /// As many captures run as may.
    pub fn begin(
        &self,
        place: P,
        name: &str,
        description: &str,
        most: Option<u64>,
    ) -> Result<Session<P, F>, TooMany> {
        let left = most.unwrap_or(u64::MAX);
        let buffer = Buffer { frames: Vec::new(), octets: Vec::new(), lost: 0, left, ended: left == 0 };
        let tape = Arc::new(Tape { place, buffer: Mutex::new(buffer), wake: Condvar::new() });
        let mut tapes = self.0.tapes.lock();
        if tapes.len() >= MOST_SESSIONS {
            return Err(TooMany);
        }
        tapes.push(Arc::clone(&tape));
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        drop(tapes);
        let mut blocks = Vec::new();
        pcapng::section(&mut blocks);
        pcapng::interface(&mut blocks, name, description);
        let (frames, octets) = (Vec::new(), Vec::new());
        Ok(Session { live: self.clone(), tape, blocks, frames, octets, told: Told::default(), over: false })
    }

    /// The place is gone: its captures end, for the next thing of its name is another one.
    pub fn end(&self, place: P) {
        for tape in self.0.tapes.lock().iter().filter(|tape| tape.place == place) {
            tape.buffer.lock().ended = true;
            tape.wake.notify_one();
        }
    }

    /// Captures that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.tapes.lock().len()
    }
}

/// A frame on a recorder, until the burst is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

/// The worker's side. For each burst: [`begin`](Self::begin), and if that says so, [`record`](Self::record),
/// [`decide`](Self::decide) and [`finish`](Self::finish).
#[derive(Debug)]
pub struct Recorder<P, F> {
    live: Live<P, F>,
    changes: u64,
    tapes: Vec<Arc<Tape<P, F>>>,
    burst: Vec<Noted<P, F>>,
    octets: Vec<u8>,
}

/// A frame of the burst in hand.
#[derive(Debug)]
struct Noted<P, F> {
    place: P,
    direction: Direction,
    len: usize,
    fate: Option<F>,
}

impl<P: Copy + PartialEq, F: Copy> Default for Recorder<P, F> {
    /// A recorder for captures of its own.
    fn default() -> Self {
        Self::new(&Live::default())
    }
}

impl<P: Copy + PartialEq, F: Copy> Recorder<P, F> {
    /// A recorder for these captures.
    #[must_use]
    pub fn new(live: &Live<P, F>) -> Self {
        Self { live: live.clone(), changes: 0, tapes: Vec::new(), burst: Vec::new(), octets: Vec::new() }
    }

    /// The captures that it records for.
    #[must_use]
    pub fn live(&self) -> &Live<P, F> {
        &self.live
    }

    /// Whether anything is captured in the burst that begins.
    #[inline]
    pub fn begin(&mut self) -> bool {
        let changes = self.live.0.changes.load(Ordering::Relaxed);
        if changes == self.changes && self.tapes.is_empty() {
            return false;
        }
        self.look(changes)
    }

    #[cold]
    fn look(&mut self, changes: u64) -> bool {
        if changes != self.changes {
            self.changes = changes;
            self.tapes.clone_from(&self.live.0.tapes.lock());
        }
        !self.tapes.is_empty()
    }

    /// Whether this place is captured.
    #[must_use]
    pub fn wants(&self, place: P) -> bool {
        self.tapes.iter().any(|tape| tape.place == place)
    }

    /// Records a frame as it is now. It counts only once its fate is decided: one that is still undecided when the
    /// burst is finished was put back, and will come again.
    pub fn record(&mut self, place: P, direction: Direction, frame: &OutFrame<'_>) -> Mark {
        let (at, len) = (self.octets.len(), frame.len());
        self.octets.resize(at + len, 0);
        frame.copy_to(&mut self.octets[at..]);
        self.burst.push(Noted { place, direction, len, fate: None });
        Mark(self.burst.len() - 1)
    }

    /// Says what became of a frame of this burst; the last word counts.
    pub fn decide(&mut self, frame: Mark, fate: F) {
        if let Some(noted) = self.burst.get_mut(frame.0) {
            noted.fate = Some(fate);
        }
    }

    /// Gives the burst to its readers.
    pub fn finish(&mut self) {
        if self.burst.is_empty() {
            return;
        }
        for tape in &self.tapes {
            let mut buffer = tape.buffer.lock();
            // Under the lock: the recorders of several workers write one capture in the order of time.
            let time = wall_clock();
            let (before, mut at) = (buffer.size(), 0);
            for noted in &self.burst {
                let octets = self.octets.get(at..at + noted.len).unwrap_or_default();
                at += noted.len;
                if let (true, Some(fate)) = (noted.place == tape.place, noted.fate) {
                    buffer.take(time, noted.direction, fate, octets);
                }
            }
            let (after, ended) = (buffer.size(), buffer.ended);
            drop(buffer);
            // The reader sleeps without limit while nothing waits, and for GATHER until half is full.
            if ended || (before == 0 && after > 0) || (before < BUFFER / 2 && after >= BUFFER / 2) {
                tape.wake.notify_one();
            }
        }
        self.burst.clear();
        self.octets.clear();
    }
}

impl<F: Copy> Buffer<F> {
    fn size(&self) -> usize {
        self.octets.len() + OVERHEAD * self.frames.len()
    }

    fn take(&mut self, time: Nanos, direction: Direction, fate: F, octets: &[u8]) {
        if self.ended {
            return;
        }
        if self.size() + octets.len() + OVERHEAD > BUFFER {
            self.lost += 1;
            return;
        }
        self.octets.extend_from_slice(octets);
        self.frames.push(Recorded { time, direction, fate, len: octets.len() });
        self.left -= 1;
        self.ended = self.left == 0;
    }
}

/// What the reader was told of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    frames: u64,
    lost: u64,
}

/// The reader's side of a capture; dropping it ends the capture.
#[derive(Debug)]
pub struct Session<P: Copy + PartialEq, F: Copy> {
    live: Live<P, F>,
    tape: Arc<Tape<P, F>>,
    /// What is to be read first.
    blocks: Vec<u8>,
    frames: Vec<Recorded<F>>,
    octets: Vec<u8>,
    told: Told,
    over: bool,
}

impl<P: Copy + PartialEq, F: Copy> Session<P, F> {
    /// The next whole pcapng blocks; waits up to `patience` for a frame and then a moment, which is no longer, for its company. Empty where
    /// no frame came, `None` where none will come any more. `describe` says of a fate what the packet's comment is
    /// to say; nothing is said where that is empty.
    pub fn read(&mut self, patience: Duration, mut describe: impl FnMut(&F) -> String) -> Option<Vec<u8>> {
        if !self.blocks.is_empty() {
            return Some(core::mem::take(&mut self.blocks));
        }
        let mut buffer = self.tape.buffer.lock();
        self.tape.wake.wait_while_for(&mut buffer, |b| b.frames.is_empty() && !b.ended, patience);
        if !buffer.frames.is_empty() {
            self.tape.wake.wait_while_for(
                &mut buffer,
                |b| b.size() < BUFFER / 2 && !b.ended,
                GATHER.min(patience),
            );
        }
        core::mem::swap(&mut buffer.frames, &mut self.frames);
        core::mem::swap(&mut buffer.octets, &mut self.octets);
        let (lost, ended) = (buffer.lost, buffer.ended);
        drop(buffer);

        let mut blocks = Vec::new();
        let mut octets = self.octets.as_slice();
        for recorded in &self.frames {
            let Some((frame, rest)) = octets.split_at_checked(recorded.len) else { break };
            octets = rest;
            let comment = describe(&recorded.fate);
            let comment = Some(comment.as_str()).filter(|comment| !comment.is_empty());
            let frame = OutFrame::private(frame);
            pcapng::packet(&mut blocks, 0, recorded.time, recorded.direction, comment, &frame);
        }
        let told = Told { frames: self.told.frames + self.frames.len() as u64, lost };
        let over = ended && !core::mem::replace(&mut self.over, ended);
        if over || told.lost != self.told.lost {
            pcapng::statistics(&mut blocks, 0, wall_clock(), told.frames, told.lost);
        }
        self.told = told;
        self.frames.clear();
        self.octets.clear();
        (!ended || over || !blocks.is_empty()).then_some(blocks)
    }
}

impl<P: Copy + PartialEq, F: Copy> Drop for Session<P, F> {
    fn drop(&mut self) {
        let mut tapes = self.live.0.tapes.lock();
        tapes.retain(|tape| !Arc::ptr_eq(tape, &self.tape));
        self.live.0.changes.fetch_add(1, Ordering::Relaxed);
        drop(tapes);
        // Until the worker looks again, it need not copy.
        self.tape.buffer.lock().ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Blocks, blocks};
    use super::*;
    use crate::Gather;
    use crate::frame::Seg;

    const NOW: Duration = Duration::ZERO;

    fn rig() -> (Live<u8, u8>, Recorder<u8, u8>) {
        let live = Live::default();
        (live.clone(), Recorder::new(&live))
    }

    /// Records one frame of `len` octets in a burst of its own.
    fn burst(recorder: &mut Recorder<u8, u8>, place: u8, fate: u8, len: usize) {
        if recorder.begin() && recorder.wants(place) {
            let mark = recorder.record(place, Direction::In, &OutFrame::private(&vec![fate; len]));
            recorder.decide(mark, fate);
        }
        recorder.finish();
    }

    fn read(session: &mut Session<u8, u8>) -> Option<Blocks> {
        let read =
            session.read(NOW, |fate| if *fate == 0 { String::new() } else { format!("fate {fate}") })?;
        Some(blocks(&read))
    }

    #[test]
    fn nothing_is_recorded_before_the_beginning_elsewhere_or_after_the_end() {
        let (live, mut recorder) = rig();
        burst(&mut recorder, 1, 9, 60);
        let mut session = live.begin(1, "one", "what it is", None).expect("room");
        assert_eq!(read(&mut session), Some((vec![], vec![])), "the beginning of a file");
        burst(&mut recorder, 2, 9, 60);
        assert_eq!(read(&mut session), Some((vec![], vec![])));
        burst(&mut recorder, 1, 7, 5);
        burst(&mut recorder, 1, 0, 6);
        let expected = vec![(1, vec![7; 5], "fate 7".to_owned()), (1, vec![0; 6], String::new())];
        assert_eq!(read(&mut session), Some((expected, vec![])));
        drop(session);
        assert_eq!(live.running(), 0);
        assert!(!recorder.begin());
        assert!(recorder.tapes.is_empty());
    }

    #[test]
    fn head_and_body_become_one_frame_in_order_of_recording_and_the_undecided_are_none() {
        let (live, mut recorder) = rig();
        let mut session = live.begin(1, "one", "", None).expect("room");
        read(&mut session);
        assert!(recorder.begin());
        let body = Gather::one(Seg::from_slice(&[3, 4]));
        let first = recorder.record(1, Direction::In, &OutFrame::complete(&[1, 2], body));
        recorder.record(1, Direction::In, &OutFrame::private(&[6, 7]));
        let last = recorder.record(1, Direction::Out, &OutFrame::private(&[8]));
        recorder.decide(last, 5);
        recorder.decide(first, 3);
        recorder.decide(first, 4);
        recorder.finish();
        let (frames, _) = read(&mut session).expect("blocks");
        assert_eq!(frames, [(1, vec![1, 2, 3, 4], "fate 4".to_owned()), (2, vec![8], "fate 5".to_owned())]);
    }

    #[test]
    fn a_capture_of_so_many_frames_ends_by_itself() {
        let (live, mut recorder) = rig();
        let mut session = live.begin(1, "one", "", Some(2)).expect("room");
        read(&mut session);
        (0..5).for_each(|_| burst(&mut recorder, 1, 1, 60));
        let (frames, statistics) = read(&mut session).expect("blocks");
        assert_eq!(
            (frames.len(), statistics),
            (2, vec![(2, 0)]),
            "what comes later is not lost, but unwanted"
        );
        assert_eq!(read(&mut session), None);
        let mut none = live.begin(1, "one", "", Some(0)).expect("room");
        assert_eq!(read(&mut none), Some((vec![], vec![])));
        assert_eq!(read(&mut none), Some((vec![], vec![(0, 0)])));
        assert_eq!(read(&mut none), None);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told() {
        let (live, mut recorder) = rig();
        let mut session = live.begin(1, "one", "", None).expect("room");
        read(&mut session);
        let len = BUFFER / 10;
        (0..20).for_each(|_| burst(&mut recorder, 1, 1, len));
        let (frames, statistics) = read(&mut session).expect("blocks");
        assert_eq!((frames.len(), statistics), (9, vec![(9, 11)]));
        burst(&mut recorder, 1, 1, len);
        let (frames, statistics) = read(&mut session).expect("blocks");
        assert_eq!((frames.len(), statistics), (1, vec![]), "room again, and no more to tell");
        live.end(1);
        burst(&mut recorder, 1, 1, len);
        assert_eq!(read(&mut session), Some((vec![], vec![(10, 11)])));
        assert_eq!(read(&mut session), None);
    }

    #[test]
    fn several_captures_have_a_copy_each_and_are_bounded() {
        let (live, mut recorder) = rig();
        let mut sessions: Vec<_> =
            (0..MOST_SESSIONS).map(|n| live.begin((n % 2) as u8, "x", "", None).expect("room")).collect();
        assert_eq!(live.begin(0, "x", "", None).map(drop), Err(TooMany));
        sessions.iter_mut().for_each(|session| drop(read(session)));
        burst(&mut recorder, 0, 1, 60);
        for (n, session) in sessions.iter_mut().enumerate() {
            assert_eq!(read(session).expect("blocks").0.len(), usize::from(n % 2 == 0));
        }
        // The end of one place is not that of another one.
        live.end(0);
        for (n, session) in sessions.iter_mut().enumerate() {
            assert_eq!(read(session).expect("blocks").1.len(), usize::from(n % 2 == 0));
            assert_eq!(read(session).is_none(), n % 2 == 0);
        }
        sessions.pop();
        assert!(live.begin(0, "x", "", None).is_ok());
    }

    #[test]
    fn a_reader_that_waits_is_woken() {
        let (live, mut recorder) = rig();
        let mut session = live.begin(1, "one", "", Some(1)).expect("room");
        read(&mut session);
        let reader = std::thread::spawn(move || session.read(Duration::from_secs(60), |_| String::new()));
        burst(&mut recorder, 1, 1, 60);
        let (frames, _) = blocks(&reader.join().expect("no panic").expect("blocks"));
        assert_eq!(frames.len(), 1);
    }
}
