//! Schedules: a machine with links, and at the other end of each somebody who speaks the protocol and lies.
//!
//! The first session of each link is up when a schedule begins. After that its octets decide step by step (see
//! [`World::step`]): what the other ends ask, answer, forge, repeat and hold back, how links and clocks go, and what
//! is done with the machine by its owner.

use super::steps::Steps;
use super::words::{Answering, answer, request};
use crate::fuzz::corpus::worked_examples;
use std::collections::VecDeque;
use vntag::Uuid;
use vntag::ctl::session::{Config, RequestId, Session, SessionEvent};
use vntag::ctl::{
    DESTINATION, HEADER_LEN, Header, Limits, Name, Opcode, Request, Role, Status, VERSION, Writer,
};
use vntag::ethernet::{Mac, TYPE_LLDP, TYPE_VIF_CONTROL};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;
/// Steps of a schedule; what follows is not looked at.
const MOST_STEPS: usize = 250;
/// Virtual time that a schedule may take.
const MOST_TIME: u64 = 600 * SECOND;
/// Rounds in which everything that happens at once must have happened.
const RESTLESS: usize = 2_000;
/// Frames of the other end that are remembered to be repeated.
const REMEMBERED: usize = 16;
/// Kinds of steps.
const KINDS: u8 = 24;
/// What the machines, and their other ends, have room for: little, so that it is soon full.
pub(super) const LIMITS: Limits = Limits { vifs: 24, lists: 16, max_pdu: 1500 };

/// The one whose other ends lie.
pub(super) trait Machine {
    /// How many links.
    fn links(&self) -> usize;
    /// Which end of them it is.
    fn role(&self) -> Role;
    fn handle_link(&mut self, now: u64, link: usize, up: bool);
    fn handle_frame(&mut self, now: u64, link: usize, frame: &[u8]);
    fn poll_transmit(&mut self, now: u64, link: usize) -> Option<Vec<u8>>;
    /// Does what is due, and carries out what it wants. Says whether there was anything.
    fn turn(&mut self, now: u64) -> bool;
    fn next_deadline(&self) -> Option<u64>;
    /// Its end of a link, if it has one just now.
    fn session(&self, link: usize) -> Option<&Session>;
    /// Its owner does something.
    fn command(&mut self, now: u64, steps: &mut Steps<'_>);
    /// What holds whenever it is at rest.
    fn check(&self, now: u64);
}

struct Peer {
    role: Role,
    node: u8,
    session: Session,
    answering: Answering,
    unanswered: Vec<(RequestId, Request)>,
    sent: VecDeque<Vec<u8>>,
    /// Frames that it has sent and that have not arrived yet.
    held: Option<Vec<Vec<u8>>>,
    /// Frames from it, and to it, that are lost next.
    mute: u8,
    deaf: u8,
}

impl Peer {
    fn new(role: Role, node: u8, life: u64) -> Self {
        let name = Name::new(&format!("peer{node}")).expect("a name");
        let mac = Mac([2, 0, 0, 0, node, 9]);
        let boot_id = 0x99aa_0000_0000_0000 + (life << 8) + u64::from(node);
        let config = Config::new(role, boot_id, mac, (Uuid([0x90 + node; 16]), name), "far");
        // Later lives have more time between HELLOs: it is they who must be waited for longest.
        let interval_ms = if life == 1 { 1000 } else { 3000 };
        let session = Session::new(Config { limits: LIMITS, window: 64, queue: 300, interval_ms, ..config });
        Self {
            role,
            node,
            session,
            answering: Answering::Well,
            unanswered: Vec::new(),
            sent: VecDeque::new(),
            held: None,
            mute: 0,
            deaf: 0,
        }
    }

    fn poll(&mut self, now: u64) {
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Request { id, request } => self.unanswered.push((id, request)),
                SessionEvent::PeerLost(_) => self.unanswered.clear(),
                _ => {}
            }
        }
        if !matches!(self.answering, Answering::Never) {
            for (id, request) in core::mem::take(&mut self.unanswered) {
                let answer = answer(&request, self.answering);
                // One that it may not give is none.
                let _ = self.session.respond(now, id, answer);
            }
        }
    }

    /// A frame with this payload, as if it came from there.
    fn frame(&self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        [&DESTINATION.0[..], &self.session.config().mac.0, &ethertype.to_be_bytes(), payload].concat()
    }
}

pub(super) struct World<M> {
    pub(super) machine: M,
    pub(super) now: u64,
    peers: Vec<Peer>,
    lives: u64,
}

impl<M: Machine> World<M> {
    /// All links are up, and so are the sessions.
    pub(super) fn new(machine: M) -> Self {
        let role = machine.role().peer();
        let peers = (0..machine.links()).map(|link| Peer::new(role, link as u8, 1)).collect();
        let mut world = Self { machine, now: SECOND, peers, lives: 1 };
        for link in 0..world.peers.len() {
            world.link(link, true);
        }
        world.run(100 * MS);
        world
    }

    /// A whole schedule.
    pub(super) fn schedule(&mut self, steps: &mut Steps<'_>) {
        for _ in 0..MOST_STEPS {
            if steps.is_over() || self.now > MOST_TIME {
                break;
            }
            self.step(steps);
            self.settle();
        }
    }

    /// The other ends are what they should be from now on, and have just begun.
    pub(super) fn end_trouble(&mut self) {
        for link in 0..self.peers.len() {
            self.link(link, false);
            self.restart(link);
            self.link(link, true);
        }
        self.settle();
    }

    fn step(&mut self, steps: &mut Steps<'_>) {
        let kind = steps.octet();
        // The upper half of the kinds is about the last link.
        let link = usize::from(kind >= 0x80) * (self.peers.len() - 1);
        match kind % KINDS {
            0..7 => self.machine.command(self.now, steps),
            7..11 => self.ask(link, steps),
            11 | 12 => self.forge(link, steps),
            13 => {
                let frame = steps.octets();
                self.machine.handle_frame(self.now, link, frame);
            }
            14 => {
                let ethertype = steps.one(&[TYPE_LLDP, TYPE_VIF_CONTROL]);
                let mut peer = [0; 6];
                peer[5] = steps.octet();
                let known = self.peers[link].session.config().mac;
                let from = if peer[5] & 1 == 0 { known } else { Mac(peer) };
                let payload = steps.octets();
                let frame = [&DESTINATION.0[..], &from.0, &ethertype.to_be_bytes(), payload].concat();
                self.machine.handle_frame(self.now, link, &frame);
            }
            15 | 16 => {
                const TIMES: [u64; 10] = [1, 10, 50, 100, 800, 1_000, 3_100, 10_500, 61_000, 121_000];
                let time = steps.one(&TIMES);
                self.run(time * MS);
            }
            17 => {
                let up = steps.flag();
                self.link(link, up);
            }
            18 => self.restart(link),
            19 => {
                let peer = &mut self.peers[link];
                (peer.mute, peer.deaf) = (steps.below(16), steps.below(16));
            }
            20 => {
                let back = usize::from(steps.octet());
                let frame = self.peers[link].sent.get(back % REMEMBERED).cloned();
                if let Some(frame) = frame {
                    self.machine.handle_frame(self.now, link, &frame);
                }
            }
            21 => match self.peers[link].held.take() {
                None => self.peers[link].held = Some(Vec::new()),
                Some(mut frames) => {
                    if steps.flag() {
                        frames.reverse();
                    }
                    frames.iter().for_each(|frame| self.machine.handle_frame(self.now, link, frame));
                }
            },
            22 => {
                self.peers[link].answering = match steps.below(6) {
                    0..3 => Answering::Well,
                    3 => Answering::Refusing(u16::from(steps.octet())),
                    4 => Answering::Never,
                    _ => Answering::Oddly(steps.word()),
                };
            }
            _ => {
                // Good-bye, and back at once.
                self.peers[link].session.shutdown(self.now);
                self.settle();
                self.peers[link].session.handle_link(self.now, true);
            }
        }
    }

    /// The other end asks for something, in order, or in the other end's words.
    fn ask(&mut self, link: usize, steps: &mut Steps<'_>) {
        let Some(request) = request(steps) else { return };
        if self.peers[link].session.request(self.now, request.clone()).is_err() {
            let number = self.session_number(link);
            let pdu = request.emit(number, u16::from(steps.octet()));
            let frame = self.peers[link].frame(TYPE_VIF_CONTROL, &pdu);
            self.machine.handle_frame(self.now, link, &frame);
        }
    }

    /// A PDU of the session in which everything else is as it comes.
    fn forge(&mut self, link: usize, steps: &mut Steps<'_>) {
        let opcode = steps.octet();
        let header = Header {
            version: VERSION,
            opcode: Opcode(opcode & 0x7f),
            response: opcode & 0x80 != 0,
            seq: u16::from(steps.octet()),
            status: Status(u16::from(steps.octet() % 12)),
            length: 0,
            session: self.session_number(link),
            reserved: 0,
        };
        let body = steps.octets();
        let mut pdu = Writer::new(&header).finish();
        pdu[6..8].copy_from_slice(&(body.len() as u16).to_be_bytes());
        pdu.extend(body);
        let frame = self.peers[link].frame(TYPE_VIF_CONTROL, &pdu);
        self.machine.handle_frame(self.now, link, &frame);
    }

    fn session_number(&self, link: usize) -> u32 {
        let peer = self.machine.session(link).and_then(Session::peer);
        peer.map_or(0, |peer| peer.session)
    }

    fn link(&mut self, link: usize, up: bool) {
        self.machine.handle_link(self.now, link, up);
        self.peers[link].session.handle_link(self.now, up);
        self.settle();
    }

    /// The other end begins anew.
    fn restart(&mut self, link: usize) {
        self.lives += 1;
        let Peer { role, node, .. } = self.peers[link];
        self.peers[link] = Peer::new(role, node, self.lives);
        self.peers[link].session.handle_link(self.now, true);
    }

    /// Lets everything happen that happens at once.
    pub(super) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < RESTLESS, "it does not come to rest");
            if !(self.machine.turn(self.now) | self.carry()) {
                break;
            }
        }
        self.machine.check(self.now);
    }

    /// Carries frames both ways.
    fn carry(&mut self) -> bool {
        let mut busy = false;
        for (link, peer) in self.peers.iter_mut().enumerate() {
            while let Some(frame) = self.machine.poll_transmit(self.now, link) {
                busy = true;
                assert!(frame.len() <= vntag::untagged::MAX_CONTROL, "{} octets", frame.len());
                if peer.deaf > 0 {
                    peer.deaf -= 1;
                } else {
                    peer.session.handle_frame(self.now, &frame);
                }
            }
            peer.poll(self.now);
            while let Some(frame) = peer.session.poll_transmit(self.now) {
                busy = true;
                if peer.mute > 0 {
                    peer.mute -= 1;
                } else if let Some(held) = peer.held.as_mut().filter(|held| held.len() < 200) {
                    held.push(frame);
                } else {
                    self.machine.handle_frame(self.now, link, &frame);
                    peer.sent.push_front(frame);
                    peer.sent.truncate(REMEMBERED);
                }
            }
        }
        busy
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: u64) {
        let until = self.now + time;
        loop {
            self.settle();
            let peers = self.peers.iter().filter_map(|peer| peer.session.next_deadline());
            let next = peers.chain(self.machine.next_deadline()).min();
            // What is due now has just been done; if it still is, the machine does not do it.
            match next.map(|next| next.max(self.now + 1)).filter(|next| *next <= until) {
                Some(next) => self.now = next,
                None => break,
            }
        }
        self.now = until;
        self.settle();
    }
}

/// Schedules for any machine: each kind of step once, and the PDUs of the documents forged.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..KINDS).map(|kind| vec![kind; 12]).collect();
    all.extend((0..15).map(|kind| [7, kind, 1, 2, 3, 4, 5, 6].repeat(3)));
    for pdu in worked_examples().into_values().filter(|pdu| pdu.len() > HEADER_LEN && pdu.len() < 0x100) {
        let body = &pdu[HEADER_LEN..];
        all.push([&[11, pdu[1], 1, 0, body.len() as u8][..], body, &[15, 1]].concat());
    }
    all
}
