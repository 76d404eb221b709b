//! The transport of the control protocol, for both ends: discovery, HELLO, sessions, windows, retransmission.
//!
//! A [`Session`] is one end of one link, without I/O and without a clock: time comes in as nanoseconds that never go
//! back, frames come in and go out as octets (whole Ethernet frames), randomness is the boot id in [`Config`].
//!
//! # How to drive it
//!
//! 1. *In*: [`handle_link`](Session::handle_link), [`handle_frame`](Session::handle_frame), and from the owner
//!    [`request`](Session::request), [`respond`](Session::respond), [`shutdown`](Session::shutdown).
//! 2. *Out*, after each of them and at [`next_deadline`](Session::next_deadline):
//!    [`poll_transmit`](Session::poll_transmit) until `None`, then [`poll_event`](Session::poll_event) until `None`.
//!
//! # States
//!
//! ```text
//!              link up               a neighbour that can be the peer              HELLO answered
//!   ┌──────┐ ───────────► ┌─────────────┐ ─────────────────► ┌──────────┐ ─────────────────────────► ┌──────┐
//!   │ Down │              │ Discovering │                    │ Greeting │                            │  Up  │
//!   └──────┘ ◄─────────── └─────────────┘ ◄───────────────── └──────────┘ ◄───────────────────────── └──────┘
//!       ▲      link down         ▲         TTL 0, expired,        ▲    3 HELLOs missed,                 │ │
//!       │      (from any)        │         no peer any more       │    5 sendings unanswered,           │ │
//!       │      shutdown          │                                └──── boot id changed ────────────────┘ │
//!       └─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ └──────────────────── TTL 0, expired, no peer any more ──────────────────┘
//! ```
//!
//! Only Up carries requests. Leaving Up fails every request that has no response and gives one
//! [`SessionEvent::PeerLost`]; reaching it gives one [`SessionEvent::PeerUp`]. A HELLO is answered at once with a HELLO
//! response; a response to a HELLO of this greeting is the proof that the link works both ways.
//!
//! # Sequence numbers
//!
//! A session is a pair of boot ids. Each end numbers its requests from 1 in each session. The receiver remembers what it
//! did with the last 256 numbers: a repeated one is answered as before (INPROGRESS while there is no answer yet), an
//! older one is dropped. Requests given up when the peer was lost leave a gap of 1,024 numbers, so that late copies of
//! them are never taken for new. So each request is delivered at most once, and exactly once if it was answered. What came
//! before the peer was lost is not answered any more: a peer that has not noticed loses us in turn, and both begin anew.
//! A boot id that was replaced within the last ten seconds is not accepted again: late frames of a former life do not
//! bring it back. Numbers of the last eight peers are kept, in case that one of them returns without having restarted.

mod config;
mod control;
mod counters;
mod diagnosis;
mod discovery;
mod event;
mod inbound;
mod neighbor;
mod outbound;
mod peer;
#[cfg(test)]
mod tests;
mod timer;

use std::collections::VecDeque;

pub use config::{Config, MAX_WINDOW};
pub use counters::SessionCounters;
pub use diagnosis::NoPeer;
pub use event::{
    Failure, LostCause, NotPeer, PeerInfo, RequestError, RequestId, RespondError, SessionEvent, Token,
};
pub use neighbor::{MAX_NEIGHBORS, Neighbor, Standing};

use inbound::Inbound;
use neighbor::Neighbors;
use outbound::Outbound;
use peer::{Past, Peer};
use timer::{Timer, Timers};

use super::{DESTINATION, Refusal, Request, Response};
use crate::ethernet::{HEADER, MIN_FRAME, TYPE_LLDP, be16, mac_at};

/// Nanoseconds of a millisecond.
pub(super) const MS: u64 = 1_000_000;
/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1000 * MS;
/// HELLOs that may be missed.
const MISSED: u64 = 3;
/// Events nobody fetched, over those that our own requests will give, at which frames are no longer taken.
const MAX_EVENTS: usize = 1024;
/// Answers to repeated requests that may wait to be sent.
const MAX_ANSWERS: usize = 1024;

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The link is down, or this end was shut down.
    Down,
    /// Nobody on the link can be the peer.
    Discovering,
    /// Somebody can; HELLOs are being sent.
    Greeting,
    /// There is a peer, and it hears us.
    Up,
}

impl core::fmt::Display for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Discovering => "discovering",
            Self::Greeting => "greeting",
            Self::Up => "up",
        })
    }
}

/// What is to be sent at the next opportunity, beside requests.
#[derive(Debug, Default)]
struct Due {
    /// LLDP with this TTL.
    lldp: Option<u16>,
    hello: bool,
    /// The number of the HELLO to answer.
    hello_response: Option<u16>,
    /// Numbers of requests to answer.
    answers: VecDeque<u16>,
}

/// One end of one link. See the [module](self).
#[derive(Debug)]
pub struct Session {
    own: Config,
    link_up: bool,
    neighbors: Neighbors,
    peer: Option<Peer>,
    past: Past,
    inbound: Inbound,
    outbound: Outbound,
    /// Counts the times that `inbound` began anew.
    epoch: u64,
    hello_seq: u16,
    /// LLDP data units still to be sent in quick succession.
    fast: u8,
    timers: Timers,
    due: Due,
    events: VecDeque<SessionEvent>,
    /// How many of the events end a request of ours.
    response_events: usize,
    counters: SessionCounters,
}

impl Session {
    /// One end of a link that is down.
    #[must_use]
    pub fn new(config: Config) -> Self {
        // Numbers of HELLOs begin elsewhere in each life, so that answers to a former life's prove nothing.
        let hello_seq = (config.boot_id >> 48) as u16;
        Self {
            own: config.bounded(),
            link_up: false,
            neighbors: Neighbors::default(),
            peer: None,
            past: Past::default(),
            inbound: Inbound::after(0),
            outbound: Outbound::new(),
            epoch: 0,
            hello_seq,
            fast: 0,
            timers: Timers::default(),
            due: Due::default(),
            events: VecDeque::new(),
            response_events: 0,
            counters: SessionCounters::default(),
        }
    }

    // ----- from outside -----

    /// The link came up or went down.
    pub fn handle_link(&mut self, now: u64, up: bool) {
        self.tick(now);
        if up == self.link_up {
            return;
        }
        self.link_up = up;
        if up {
            self.announce_fast();
        } else {
            self.stop(now, LostCause::LinkDown);
        }
    }

    /// A frame arrived. Says whether it belonged to the control plane: LLDP, or a control PDU.
    ///
    /// Only untagged frames are looked at, so that a guest's frame (which always comes in a VNTag) can never be one.
    pub fn handle_frame(&mut self, now: u64, frame: &[u8]) -> bool {
        let (Some(destination), Some(source), Some(ethertype)) =
            (mac_at(frame, 0), mac_at(frame, 6), be16(frame, HEADER - 2))
        else {
            return false;
        };
        let lldp = ethertype == TYPE_LLDP && destination.is_link_local();
        let control = ethertype == self.own.ethertype && destination == DESTINATION;
        if !lldp && !control {
            return false;
        }
        self.tick(now);
        let payload = frame.get(HEADER..).unwrap_or_default();
        if !self.link_up {
            self.counters.ctl_not_up += u64::from(control);
        } else if self.events.len() >= MAX_EVENTS + self.response_events {
            self.counters.ctl_events_full += 1;
        } else if lldp {
            self.handle_lldp(now, source, payload);
        } else {
            self.handle_pdu(now, source, payload);
        }
        true
    }

    /// Does what is due. All other calls with a time do it first, too.
    pub fn handle_timeout(&mut self, now: u64) {
        self.tick(now);
    }

    // ----- from the owner -----

    /// Asks something of the peer. The request's end is a [`SessionEvent::Response`] with the same token.
    pub fn request(&mut self, now: u64, request: Request) -> Result<Token, RequestError> {
        self.tick(now);
        request.check()?;
        if request.opcode().sender().is_some_and(|role| role != self.own.role) {
            return Err(RequestError::Direction);
        }
        if self.state() != State::Up {
            return Err(RequestError::NoPeer);
        }
        if self.outbound.len() + self.response_events >= self.own.queue {
            self.counters.ctl_queue_full += 1;
            return Err(RequestError::QueueFull);
        }
        let token = self.outbound.submit(request);
        Ok(token)
    }

    /// Answers a request of the peer's, at once or later. OK means: in effect in every worker.
    pub fn respond(
        &mut self,
        now: u64,
        id: RequestId,
        result: Result<Response, Refusal>,
    ) -> Result<(), RespondError> {
        self.tick(now);
        if id.epoch != self.epoch {
            return Err(RespondError::Unknown);
        }
        let opcode = self.inbound.waiting(id.seq).ok_or(RespondError::Unknown)?;
        let session = self.session_number();
        let pdu = match result {
            Ok(response) if response.opcode() != opcode => return Err(RespondError::Kind),
            Ok(response) => response.emit(session, id.seq),
            Err(refusal) => refusal.emit(opcode, session, id.seq),
        };
        self.inbound.answer(id.seq, pdu);
        self.queue_answer(id.seq);
        Ok(())
    }

    /// Says good-bye: LLDP with TTL 0 is to be sent, after which there is nothing until the link comes up again.
    pub fn shutdown(&mut self, now: u64) {
        self.tick(now);
        if self.link_up {
            self.link_up = false;
            self.stop(now, LostCause::Closed);
            self.due.lldp = Some(0);
        }
    }

    // ----- what is to be done -----

    /// The next frame to send.
    pub fn poll_transmit(&mut self, now: u64) -> Option<Vec<u8>> {
        self.tick(now);
        if let Some(ttl) = self.due.lldp.take() {
            return Some(self.lldp_frame(now, ttl));
        }
        if let Some(pdu) = self.next_pdu(now) {
            return Some(self.frame(self.own.ethertype, &pdu));
        }
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        let event = self.events.pop_front()?;
        self.response_events -= usize::from(matches!(event, SessionEvent::Response { .. }));
        Some(event)
    }

    /// When [`Self::poll_transmit`] and [`Self::poll_event`] have to be called although nothing else happened.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next()
    }

    // ----- getters -----

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.peer {
            _ if !self.link_up => State::Down,
            None => State::Discovering,
            Some(peer) if peer.up => State::Up,
            Some(_) => State::Greeting,
        }
    }

    /// Everybody who speaks LLDP on the link.
    #[must_use]
    pub fn neighbors(&self) -> &[Neighbor] {
        self.neighbors.as_slice()
    }

    /// Who the peer is, while it is up.
    #[must_use]
    pub fn peer(&self) -> Option<PeerInfo> {
        self.peer.as_ref().filter(|peer| peer.up).and_then(|peer| self.peer_info(peer))
    }

    /// Requests of ours that have no response yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outbound.len()
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &SessionCounters {
        &self.counters
    }

    /// What it was told about this end.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.own
    }

    // ----- within -----

    /// Does what is due by now.
    fn tick(&mut self, now: u64) {
        for timer in Timer::ALL {
            if !self.timers.expire(timer, now) {
                continue;
            }
            match timer {
                Timer::Neighbors => self.neighbors_expired(now),
                Timer::Silence => self.silence(now),
                Timer::Retransmit => self.retransmit(now),
                Timer::Lldp => self.due.lldp = Some(discovery::TTL),
                Timer::Hello => self.due.hello = true,
            }
        }
    }

    /// The link is gone, or we are.
    fn stop(&mut self, now: u64, cause: LostCause) {
        self.drop_peer(now, cause);
        self.neighbors.clear();
        self.timers = Timers::default();
        self.due = Due::default();
    }

    fn event(&mut self, event: SessionEvent) {
        self.response_events += usize::from(matches!(event, SessionEvent::Response { .. }));
        self.events.push_back(event);
    }

    /// An Ethernet frame of ours, padded to the length that a wire wants.
    fn frame(&self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = [&DESTINATION.0[..], &self.own.mac.0, &ethertype.to_be_bytes(), payload].concat();
        frame.resize(frame.len().max(MIN_FRAME), 0);
        frame
    }
}
