//! The peer: greeting it, hearing it, losing it, and what is remembered of former ones.

use std::collections::VecDeque;

use super::discovery::TTL;
use super::neighbor::Key;
use super::{Failure, Inbound, LostCause, MISSED, MS, PeerInfo, SECOND, Session, SessionEvent, State, Timer};
use crate::ctl::Hello;
use crate::ethernet::Mac;

/// Former peers whose numbers are kept.
const MAX_PAST: usize = 8;
/// For how long frames of a former life are dropped.
const FORMER_LIFE: u64 = 10 * SECOND;

/// Who we greet, or have as peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: Key,
    pub(super) mac: Mac,
    pub(super) boot_id: u64,
    pub(super) hello: Option<Hello>,
    pub(super) up: bool,
    /// The number of the first HELLO of this greeting.
    first_hello: u16,
    /// When the last HELLO was sent.
    hello_sent: u64,
    /// It was up before, in the same session.
    resumed: bool,
}

/// What is remembered of a session that is over.
#[derive(Debug)]
struct Record {
    boot_id: u64,
    next_seq: u16,
    high: u16,
    /// It was up.
    was_up: bool,
    /// Until then its frames are late ones: it has restarted since.
    former_life_until: u64,
}

/// Former peers, the latest last.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<Record>);

impl Past {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_former_life(&self, boot_id: u64, now: u64) -> bool {
        self.0.iter().any(|record| record.boot_id == boot_id && now < record.former_life_until)
    }

    fn keep(&mut self, record: Record) {
        self.take(record.boot_id);
        if self.0.len() >= MAX_PAST {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    fn take(&mut self, boot_id: u64) -> Option<Record> {
        let at = self.0.iter().position(|record| record.boot_id == boot_id)?;
        self.0.remove(at)
    }
}

impl Session {
    /// The number of the session with the peer.
    pub(super) fn session_number(&self) -> u32 {
        let peer = self.peer.as_ref().map_or(0, |peer| peer.boot_id);
        (self.own.boot_id ^ peer) as u32
    }

    pub(super) fn peer_info(&self, peer: &Peer) -> Option<PeerInfo> {
        Some(PeerInfo {
            hello: peer.hello.clone()?,
            mac: peer.mac,
            chassis_id: peer.key.0.clone(),
            port_id: peer.key.1.clone(),
            session: self.session_number(),
            resumed: peer.resumed,
        })
    }

    /// Begins to greet: Discovering to Greeting.
    pub(super) fn greet(&mut self, now: u64, key: Key, mac: Mac, boot_id: u64) {
        let past = self.past.take(boot_id);
        let (next_seq, high) = past.as_ref().map_or((1, 0), |record| (record.next_seq, record.high));
        self.outbound.set_next_seq(next_seq);
        self.expect_after(high);
        self.peer = Some(Peer {
            key,
            mac,
            boot_id,
            hello: None,
            up: false,
            first_hello: self.hello_seq.wrapping_add(1),
            hello_sent: 0,
            resumed: past.is_some_and(|record| record.was_up),
        });
        self.due.hello = true;
        self.timers.set(Timer::Silence, now.saturating_add(MISSED * self.own.interval()));
    }

    /// The peer's boot id is another one: it knows nothing of what was before.
    pub(super) fn peer_rebooted(&mut self, now: u64, boot_id: u64) {
        let Some(peer) = &self.peer else { return };
        let (key, mac) = (peer.key.clone(), peer.mac);
        self.drop_peer(now, LostCause::Rebooted);
        self.greet(now, key, mac, boot_id);
        // It has not heard of us in its new life.
        self.announce_fast();
    }

    /// A HELLO of the peer's, or its response to one of ours.
    pub(super) fn heard(&mut self, now: u64, hello: Hello, answers: Option<u16>, asks: Option<u16>) {
        if self.peer.as_ref().is_some_and(|peer| peer.boot_id != hello.boot_id) {
            self.peer_rebooted(now, hello.boot_id);
        }
        let Some(peer) = self.peer.as_mut() else { return };
        let silence = MISSED * u64::from(hello.interval_ms) * MS;
        peer.hello = Some(hello);
        self.timers.set(Timer::Silence, now.saturating_add(silence));
        if asks.is_some() {
            self.due.hello_response = asks;
            // It is there: ask it now, and not only at the next interval. Not more often than ten times an interval.
            let idle = now.saturating_sub(peer.hello_sent) >= self.own.interval() / 10;
            self.due.hello |= !peer.up && idle;
        }
        let sent = self.hello_seq.wrapping_sub(peer.first_hello);
        let proof = answers.is_some_and(|seq| self.hello_seq.wrapping_sub(seq) <= sent && sent < 0x8000);
        if proof && !peer.up {
            peer.up = true;
            if let Some(info) = self.peer() {
                self.event(SessionEvent::PeerUp(Box::new(info)));
            }
        }
    }

    /// The number of a HELLO that is being sent.
    pub(super) fn next_hello(&mut self, now: u64) -> u16 {
        self.hello_seq = self.hello_seq.wrapping_add(1);
        if let Some(peer) = &mut self.peer {
            peer.hello_sent = now;
        }
        self.timers.set(Timer::Hello, now.saturating_add(self.own.interval()));
        self.hello_seq
    }

    /// Nothing was heard for three intervals. Perhaps the other end has forgotten us: only LLDP brings us back to mind.
    pub(super) fn silence(&mut self, now: u64) {
        self.lose(LostCause::Silence);
        self.due.lldp = Some(TTL);
        self.timers.set(Timer::Silence, now.saturating_add(MISSED * self.own.interval()));
        self.try_another(now);
    }

    /// A request's time is up.
    pub(super) fn retransmit(&mut self, now: u64) {
        if !self.outbound.overdue(now) {
            self.lose(LostCause::Unanswered);
        }
        self.timers.put(Timer::Retransmit, self.outbound.next_due());
    }

    /// Nobody waits any more for answers to requests up to this number.
    fn expect_after(&mut self, high: u16) {
        self.inbound = Inbound::after(high);
        self.epoch += 1;
    }

    /// Up to Greeting: the numbers stay, the requests fail.
    fn lose(&mut self, cause: LostCause) {
        if self.state() != State::Up {
            return;
        }
        if let Some(peer) = &mut self.peer {
            peer.up = false;
            peer.resumed = true;
            peer.first_hello = self.hello_seq.wrapping_add(1);
        }
        // The owner forgets what it was asked, or asks for it itself: it would never be answered, or too late.
        self.expect_after(self.inbound.high());
        self.fail(cause);
        self.announce_fast();
    }

    /// Ends the time with this peer, whatever its state, and keeps the numbers in mind.
    pub(super) fn drop_peer(&mut self, now: u64, cause: LostCause) {
        let Some(peer) = self.peer.take() else { return };
        if peer.up {
            self.fail(cause);
        }
        let restarted = cause == LostCause::Rebooted;
        self.past.keep(Record {
            boot_id: peer.boot_id,
            next_seq: self.outbound.next_seq(),
            high: self.inbound.high(),
            was_up: peer.up || peer.resumed,
            former_life_until: if restarted { now.saturating_add(FORMER_LIFE) } else { now },
        });
        self.timers.stop(Timer::Hello);
        self.timers.stop(Timer::Silence);
        self.due.hello = false;
        self.due.hello_response = None;
    }

    fn fail(&mut self, cause: LostCause) {
        self.counters.ctl_peer_lost += 1;
        for token in self.outbound.give_up() {
            self.event(SessionEvent::Response { token, result: Err(Failure::PeerLost) });
        }
        self.due.answers.clear();
        self.timers.stop(Timer::Retransmit);
        self.event(SessionEvent::PeerLost(cause));
    }
}
