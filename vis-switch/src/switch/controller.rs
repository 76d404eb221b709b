//! The control thread: waits until something happens, and has it dealt with.

use super::Switch;
use crate::engine::control::{Order, Punted};
use niv_node::mailbox::{Mailbox, Sender};
use niv_node::stop::Stop;
use niv_node::supervise::Pulse;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// How long the worker may take to send the good-byes.
const GOOD_BYE: Duration = Duration::from_millis(200);

/// The control side of a switch. One thread [runs](Self::run) it, or a virtual world calls [`turn`](Self::turn).
pub struct Controller {
    switch: Arc<Switch>,
    punted: Mailbox<Punted>,
}

impl Controller {
    pub(super) fn new(switch: Arc<Switch>, punted: Mailbox<Punted>) -> Self {
        Self { switch, punted }
    }

    /// Deals with everything that happened, and says when to be called again although nothing did, on the switch's
    /// clock. Never blocks.
    pub fn turn(&mut self) -> Option<u64> {
        let switch = &*self.switch;
        // Emptied before looking: what happens later makes them readable again.
        switch.wake.empty();
        switch.orders.iter().for_each(Sender::rest);
        let mut state = switch.state.lock();
        // Read under the lock, like everybody's: the control plane's time never goes back.
        let now = switch.now();
        self.punted.drain(|punted| state.control.handle_frame(now, punted.port, &punted.frame));
        let due = state.turn(switch, now);
        drop(state);
        if !switch.adopt_sticky() {
            return due;
        }
        let mut state = switch.state.lock();
        let now = switch.now();
        state.turn(switch, now)
    }

    /// Runs until `stop` is requested; then says good-bye on all links. While nothing happens it sleeps.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn run(&mut self, stop: &Stop, pulse: Option<&Pulse>) -> io::Result<()> {
        while !stop.is_requested() {
            let deadline = self.turn();
            self.wait(deadline, stop, pulse)?;
        }
        self.good_bye();
        Ok(())
    }

    fn wait(&self, deadline: Option<u64>, stop: &Stop, pulse: Option<&Pulse>) -> io::Result<()> {
        let switch = &*self.switch;
        let timeout = deadline.map(|deadline| {
            let nanos = deadline.saturating_sub(switch.now());
            Timespec {
                tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (nanos % 1_000_000_000) as _,
            }
        });
        let events = [stop.as_fd(), switch.wake.event(), self.punted.event()];
        let events = events.into_iter().chain(switch.orders.iter().map(Sender::event));
        let mut all: Vec<PollFd<'_>> = events
            .chain(pulse.map(AsFd::as_fd))
            .map(|event| PollFd::from_borrowed_fd(event, PollFlags::IN))
            .collect();
        match poll(&mut all, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(pulse) = pulse {
            pulse.answer();
        }
        Ok(())
    }

    /// Has the peers told that this end is leaving, and waits until that is on its way.
    fn good_bye(&mut self) {
        let switch = &*self.switch;
        {
            let mut state = switch.state.lock();
            let now = switch.now();
            state.control.shutdown(now);
            state.turn(switch, now);
        }
        for worker in &switch.orders {
            if let Ok(ticket) = worker.post(Order::Quiesce) {
                // One that hangs is not waited for.
                let _ = worker.wait(ticket, GOOD_BYE);
            }
        }
    }
}
