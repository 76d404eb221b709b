//! Our requests: who waits for whom, who is on the way, and when it is sent again.
//!
//! Requests about one VIF, list, channel are sent one after the other: each waits until its predecessors are done.

use std::collections::{BTreeMap, VecDeque};

use super::super::{Opcode, Request};
use super::inbound::SPAN;
use super::{MS, Token};

/// Waiting times before a request is sent again; after the last one has passed twice the peer is lost.
const BACKOFF: [u64; 5] = [100 * MS, 200 * MS, 400 * MS, 800 * MS, 800 * MS];
/// Waiting time before a request is sent again that the peer is working on.
const IN_PROGRESS: u64 = 800 * MS;
/// How far the numbers jump when requests are given up, so that late copies of them are recognised.
const JUMP: u16 = 4 * SPAN;

/// What two requests may not touch at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Channel(u16),
    Vif(u16),
    List(u16),
    Events,
}

#[derive(Debug)]
struct Entry {
    request: Request,
    /// Requests that must be done first.
    blockers: usize,
    /// Requests that wait for this one; one entry for each key they share.
    followers: Vec<u64>,
}

/// A request on the way.
#[derive(Debug)]
struct Sent {
    seq: u16,
    token: u64,
    tries: usize,
    due: u64,
    /// To be sent again at the next opportunity.
    again: bool,
}

/// All our requests that have no response.
#[derive(Debug)]
pub(super) struct Outbound {
    next_token: u64,
    next_seq: u16,
    entries: BTreeMap<u64, Entry>,
    /// The last request for each key.
    last: BTreeMap<Key, u64>,
    /// Requests that wait for nothing but the window.
    ready: VecDeque<u64>,
    sent: Vec<Sent>,
}

impl Outbound {
    pub(super) fn new() -> Self {
        Self {
            next_token: 1,
            next_seq: 1,
            entries: BTreeMap::new(),
            last: BTreeMap::new(),
            ready: VecDeque::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn next_seq(&self) -> u16 {
        self.next_seq
    }

    /// The number of the next request; a session's first one is 1.
    pub(super) const fn set_next_seq(&mut self, seq: u16) {
        self.next_seq = seq;
    }

    /// Queues a request.
    pub(super) fn submit(&mut self, request: Request) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        let mut blockers = 0;
        for key in keys(&request) {
            let before = self.last.insert(key, token);
            if let Some(before) = before.and_then(|token| self.entries.get_mut(&token)) {
                before.followers.push(token);
                blockers += 1;
            }
        }
        if blockers == 0 {
            self.ready.push_back(token);
        }
        self.entries.insert(token, Entry { request, blockers, followers: Vec::new() });
        Token(token)
    }

    /// The next request to send, with its number and whether it is sent again.
    pub(super) fn next(&mut self, now: u64, window: u16) -> Option<(Token, u16, &Request, bool)> {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.again) {
            sent.again = false;
            let (token, seq) = (sent.token, sent.seq);
            return self.entries.get(&token).map(|entry| (Token(token), seq, &entry.request, true));
        }
        let oldest = self.sent.iter().map(|sent| self.next_seq.wrapping_sub(sent.seq)).max().unwrap_or(0);
        if self.sent.len() >= usize::from(window) || oldest >= SPAN {
            return None;
        }
        let token = self.ready.pop_front()?;
        let entry = self.entries.get(&token)?;
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        self.sent.push(Sent { seq, token, tries: 0, due: now.saturating_add(BACKOFF[0]), again: false });
        Some((Token(token), seq, &entry.request, false))
    }

    /// When the first unanswered request is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.sent.iter().filter(|sent| !sent.again).map(|sent| sent.due).min()
    }

    /// Marks what is to be sent again; `false` if a request was sent as often as it may be.
    pub(super) fn overdue(&mut self, now: u64) -> bool {
        for sent in self.sent.iter_mut().filter(|sent| !sent.again && sent.due <= now) {
            sent.tries += 1;
            let Some(wait) = BACKOFF.get(sent.tries) else { return false };
            sent.due = now.saturating_add(*wait);
            sent.again = true;
        }
        true
    }

    /// The request under this number.
    pub(super) fn waiting(&self, seq: u16) -> Option<(Token, Opcode)> {
        let sent = self.sent.iter().find(|sent| sent.seq == seq)?;
        self.entries.get(&sent.token).map(|entry| (Token(sent.token), entry.request.opcode()))
    }

    /// The peer has the request and works on it: ask again after the longest waiting time, with all patience anew.
    pub(super) fn in_progress(&mut self, seq: u16, now: u64) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.seq == seq) {
            sent.tries = 1;
            sent.due = now.saturating_add(IN_PROGRESS);
            sent.again = false;
        }
    }

    /// A request is done; those that waited for it may go.
    pub(super) fn done(&mut self, token: Token) {
        let Some(entry) = self.entries.remove(&token.0) else { return };
        self.sent.retain(|sent| sent.token != token.0);
        for key in keys(&entry.request) {
            if self.last.get(&key) == Some(&token.0) {
                self.last.remove(&key);
            }
        }
        for follower in entry.followers {
            let Some(waiting) = self.entries.get_mut(&follower) else { continue };
            waiting.blockers = waiting.blockers.saturating_sub(1);
            if waiting.blockers == 0 {
                self.ready.push_back(follower);
            }
        }
    }

    /// Gives up all requests, in the order in which they were made.
    pub(super) fn give_up(&mut self) -> Vec<Token> {
        if !self.sent.is_empty() {
            self.next_seq = self.next_seq.wrapping_add(JUMP);
        }
        self.last.clear();
        self.ready.clear();
        self.sent.clear();
        core::mem::take(&mut self.entries).into_keys().map(Token).collect()
    }
}

/// What a request touches.
fn keys(request: &Request) -> Vec<Key> {
    match request {
        Request::VifCreate { channel, .. } => vec![Key::Channel(*channel)],
        Request::VifEnable { vif }
        | Request::VifDisable { vif }
        | Request::VifDelete { vif }
        | Request::StatsGet { vif }
        | Request::Announce { vif, .. } => vec![Key::Vif(vif.get())],
        Request::VifSet { vifs, .. } | Request::LinkState { vifs, .. } => {
            vifs.iter().map(|vif| Key::Vif(vif.get())).collect()
        }
        Request::ListSet { list, .. } | Request::ListMod { list, .. } | Request::ListGet { list, .. } => {
            vec![Key::List(list.get())]
        }
        Request::Event { .. } => vec![Key::Events],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::Vifs;
    use crate::legal::VifId;

    fn vif(number: u16) -> VifId {
        VifId::new(number).expect("a VIF")
    }

    fn enable(number: u16) -> Request {
        Request::VifEnable { vif: vif(number) }
    }

    fn all_sendable(outbound: &mut Outbound, window: u16) -> Vec<Token> {
        core::iter::from_fn(|| outbound.next(0, window).map(|(token, ..)| token)).collect()
    }

    #[test]
    fn one_at_a_time_for_each_vif_in_order() {
        let mut outbound = Outbound::new();
        let both = Request::LinkState { vifs: Vifs::new([vif(1), vif(2)]).expect("a set"), up: true };
        let a = outbound.submit(enable(1));
        let b = outbound.submit(enable(2));
        let c = outbound.submit(both);
        let d = outbound.submit(enable(2));
        let e = outbound.submit(enable(3));
        assert_eq!(all_sendable(&mut outbound, 16), [a, b, e]);
        outbound.done(b);
        assert_eq!(all_sendable(&mut outbound, 16), []);
        outbound.done(a);
        assert_eq!(all_sendable(&mut outbound, 16), [c]);
        outbound.done(c);
        assert_eq!(all_sendable(&mut outbound, 16), [d]);
        outbound.done(d);
        outbound.done(e);
        assert_eq!((outbound.len(), outbound.last.len()), (0, 0));
    }

    #[test]
    fn the_window_bounds_what_is_on_the_way() {
        let mut outbound = Outbound::new();
        let tokens: Vec<Token> = (1..=5).map(|number| outbound.submit(enable(number))).collect();
        assert_eq!(all_sendable(&mut outbound, 2), tokens[..2]);
        outbound.done(tokens[1]);
        assert_eq!(all_sendable(&mut outbound, 2), tokens[2..3]);
    }

    #[test]
    fn numbers_on_the_way_are_never_further_apart_than_the_receiver_remembers() {
        let mut outbound = Outbound::new();
        outbound.submit(enable(1));
        assert!(outbound.next(0, 2).is_some());
        for number in 0..SPAN - 1 {
            outbound.submit(enable(2 + number % 100));
            let (token, ..) = outbound.next(0, 2).expect("within the span");
            outbound.done(token);
        }
        outbound.submit(enable(2));
        assert!(outbound.next(0, 2).is_none());
    }

    #[test]
    fn sent_again_after_100_200_400_800_ms_then_given_up() {
        let mut outbound = Outbound::new();
        outbound.submit(enable(1));
        assert!(outbound.next(0, 1).is_some());
        let mut now = 0;
        for wait in [100, 200, 400, 800] {
            now += wait * MS;
            assert_eq!(outbound.next_due(), Some(now));
            assert!(outbound.overdue(now));
            assert!(outbound.next(now, 1).is_some_and(|(_, seq, _, again)| again && seq == 1));
        }
        assert_eq!(outbound.next_due(), Some(now + 800 * MS));
        assert!(!outbound.overdue(now + 800 * MS));
    }

    #[test]
    fn in_progress_keeps_a_request_alive() {
        let mut outbound = Outbound::new();
        outbound.submit(enable(1));
        assert!(outbound.next(0, 1).is_some());
        for round in 1..100 {
            outbound.in_progress(1, round * 800 * MS);
            assert_eq!(outbound.next_due(), Some((round + 1) * 800 * MS));
            assert!(outbound.overdue((round + 1) * 800 * MS));
        }
    }
}
