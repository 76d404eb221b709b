//! A session under test, and a peer made by hand.

mod requests;
mod states;

use super::*;
use crate::ctl::{Body, Flags, Hello, Message, Name, Opcode, Role, Status};
use crate::ethernet::Mac;
use crate::legal::VifId;
use crate::lldp::Lldp;
use crate::uuid::Uuid;

const IV: Mac = Mac([2, 0, 0, 0, 0, 1]);
const VIS: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn config(role: Role, boot_id: u64) -> Config {
    let (mac, name) = match role {
        Role::Iv => (IV, "adapter0"),
        Role::Vis => (VIS, "vis0"),
    };
    let node = (Uuid([role.get(); 16]), Name::new(name).expect("a name"));
    Config::new(role, boot_id, mac, node, "port0")
}

fn enable(vif: u16) -> Request {
    Request::VifEnable { vif: VifId::new(vif).expect("a VIF") }
}

fn sent(session: &mut Session, now: u64) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| session.poll_transmit(now)).collect()
}

fn events(session: &mut Session) -> Vec<SessionEvent> {
    core::iter::from_fn(|| session.poll_event()).collect()
}

/// The IV under test, and what its VIS would send, made by hand.
struct Bench {
    session: Session,
    now: u64,
    vis: Config,
}

impl Bench {
    fn new() -> Self {
        Self { session: Session::new(config(Role::Iv, 7)), now: SECOND, vis: config(Role::Vis, 9) }
    }

    fn frame(&self, mac: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        [&DESTINATION.0[..], &mac.0, &ethertype.to_be_bytes(), payload].concat()
    }

    fn lldp(&mut self, ttl: u16) {
        let frame = self.frame(VIS, TYPE_LLDP, &self.vis.lldp(ttl).emit(self.vis.oui));
        assert!(self.session.handle_frame(self.now, &frame));
    }

    fn pdu(&mut self, pdu: &[u8]) {
        let frame = self.frame(VIS, self.vis.ethertype, pdu);
        assert!(self.session.handle_frame(self.now, &frame));
    }

    /// What the session sent, as messages.
    fn messages(&mut self) -> Vec<Message> {
        let frames = sent(&mut self.session, self.now).into_iter();
        let control = frames.filter(|frame| be16(frame, 12) == Some(self.vis.ethertype));
        control.map(|frame| Message::parse(&frame[HEADER..]).expect("a message").message).collect()
    }

    fn answer_hello(&mut self) {
        let seqs: Vec<u16> = self
            .messages()
            .into_iter()
            .filter(|message| matches!(message.body, Body::Hello(_)))
            .map(|message| message.seq)
            .collect();
        let hello: Hello = self.vis.hello();
        for seq in seqs {
            self.pdu(&hello.emit(true, seq));
        }
    }

    /// Brings the session to `state` in the usual way.
    fn to(state: State) -> Self {
        let mut bench = Self::new();
        if state != State::Down {
            bench.session.handle_link(bench.now, true);
        }
        if matches!(state, State::Greeting | State::Up) {
            bench.lldp(120);
        }
        if state == State::Up {
            bench.answer_hello();
        }
        assert_eq!(bench.session.state(), state);
        bench
    }

    fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(at) = self.session.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            sent(&mut self.session, self.now);
        }
        self.now = end;
        sent(&mut self.session, end);
    }
}
