//! The control thread: brings the firmware what happened, and has done what it wants.

use super::adapter::Adapter;
use crate::engine::Punted;
use niv_node::clock;
use niv_node::mailbox::{Mailbox, Sender};
use niv_node::stop::Stop;
use niv_node::supervise::Pulse;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Control frames of each link that may wait for control.
pub(super) const PUNTED: usize = 256;
/// Frames in one look after which control lets others have the processor: so many come only from a switch that floods.
const FLOOD: usize = PUNTED;
/// For so long.
const PAUSE: Duration = Duration::from_millis(1);

/// Starts it. It ends when `stop` is requested.
pub(super) fn spawn(
    adapter: Arc<Adapter>,
    punted: Mailbox<Punted>,
    pulse: Pulse,
    stop: Stop,
) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name("control".to_owned());
    thread.spawn(move || Control { adapter, punted }.run(&pulse, &stop))
}

struct Control {
    adapter: Arc<Adapter>,
    punted: Mailbox<Punted>,
}

impl Control {
    fn run(mut self, pulse: &Pulse, stop: &Stop) {
        while !stop.is_requested() {
            let (deadline, flooded) = self.turn();
            if flooded {
                thread::sleep(PAUSE);
            }
            let now = clock::monotonic();
            let timeout = deadline.map(|at| Timespec {
                tv_sec: i64::try_from(at.saturating_sub(now) / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (at.saturating_sub(now) % 1_000_000_000) as _,
            });
            let mut fds = vec![
                PollFd::new(stop, PollFlags::IN),
                PollFd::new(pulse, PollFlags::IN),
                PollFd::from_borrowed_fd(self.adapter.news.event(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.punted.event(), PollFlags::IN),
            ];
            let progress = self.adapter.orders.iter().map(Sender::event);
            fds.extend(progress.map(|event| PollFd::from_borrowed_fd(event, PollFlags::IN)));
            // An error can only be an interruption by a signal, or a system without memory; then look again.
            let _ = poll(&mut fds, timeout.as_ref());
            if fds[1].revents().contains(PollFlags::IN) {
                pulse.answer();
            }
        }
    }

    /// Looks at everything once. Says when to look again although nothing happened, and whether more came than any good
    /// switch sends.
    fn turn(&mut self) -> (Option<u64>, bool) {
        let did = self.adapter.news.take();
        let mut frames = Vec::new();
        self.punted.drain(|punted| frames.push(punted));
        let mut state = self.adapter.state.lock();
        let now = clock::monotonic();
        state.look_at_links(now, &self.adapter.links);
        for (slot, did) in did {
            state.guest_did(now, slot, did);
        }
        for punted in &frames {
            state.heard(now, punted);
        }
        (state.turn(now), frames.len() >= FLOOD)
    }
}
