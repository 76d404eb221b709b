//! Control PDUs in and out.

use super::inbound::Admit;
use super::{Failure, MAX_ANSWERS, RequestId, Session, SessionEvent, State, Timer, Token};
use crate::ctl::{
    Body, Hello, Message, Opcode, Parsed, Pdu, Refusal, Request, Response, Status, VERSION, Wrong,
};
use crate::ethernet::Mac;

impl Session {
    pub(super) fn handle_pdu(&mut self, now: u64, source: Mac, octets: &[u8]) {
        let Ok(pdu) = Pdu::parse(octets) else {
            self.counters.ctl_malformed += 1;
            return;
        };
        if self.peer.as_ref().is_none_or(|peer| peer.mac != source) {
            self.counters.ctl_foreign += 1;
            return;
        }
        // Damage on the way, most likely. The sender will send it again.
        if pdu.fault().is_some() {
            self.counters.ctl_malformed += 1;
            return;
        }
        let header = pdu.header;
        let parsed = Message::parse(octets).map(|Parsed { message, skipped }| {
            self.counters.ctl_unknown_tlv += skipped as u64;
            message.body
        });
        if header.version == VERSION && header.opcode == Opcode::HELLO {
            self.handle_hello(now, header.seq, parsed);
        } else if header.session != self.session_number() {
            self.counters.ctl_stale += 1;
        } else if self.state() != State::Up {
            self.counters.ctl_not_up += 1;
        } else if header.response {
            self.handle_response(now, header.seq, header.opcode, parsed);
        } else {
            self.handle_request(header.seq, header.opcode, parsed);
        }
    }

    fn handle_hello(&mut self, now: u64, seq: u16, parsed: Result<Body, Wrong>) {
        let (hello, response): (Hello, bool) = match parsed {
            Ok(Body::Hello(hello)) if hello.role == self.own.role.peer() => (hello, false),
            Ok(Body::HelloResponse(hello)) if hello.role == self.own.role.peer() => (hello, true),
            _ => {
                self.counters.ctl_hello_refused += 1;
                return;
            }
        };
        if self.past.is_former_life(hello.boot_id, now) {
            self.counters.ctl_stale += 1;
            return;
        }
        self.counters.ctl_hello_rx += 1;
        if response {
            self.heard(now, hello, Some(seq), None);
        } else {
            self.heard(now, hello, None, Some(seq));
        }
        self.review(now);
    }

    fn handle_request(&mut self, seq: u16, opcode: Opcode, parsed: Result<Body, Wrong>) {
        match self.inbound.admit(seq, opcode, self.own.window) {
            Admit::New => {}
            Admit::Pending | Admit::Answered => {
                self.counters.ctl_duplicate += 1;
                self.queue_answer(seq);
                return;
            }
            Admit::Stale => {
                self.counters.ctl_stale += 1;
                return;
            }
            Admit::Full => {
                self.counters.ctl_window_exceeded += 1;
                return;
            }
        }
        self.counters.ctl_request_rx += 1;
        let ours = opcode.sender().is_some_and(|role| role == self.own.role);
        match parsed {
            Ok(Body::Request(request)) if !ours => {
                let id = RequestId { epoch: self.epoch, seq };
                self.event(SessionEvent::Request { id, request });
            }
            Ok(_) => self.refuse(seq, opcode, Status::INVALID, "a request of the other end"),
            Err(wrong) => {
                self.counters.ctl_version += u64::from(matches!(wrong, Wrong::Version(_)));
                self.refuse(seq, opcode, wrong.status(), &wrong.to_string());
            }
        }
    }

    fn refuse(&mut self, seq: u16, opcode: Opcode, status: Status, text: &str) {
        self.counters.ctl_refused += 1;
        let refusal = Refusal::with_cause(status, 0, text);
        let pdu = refusal.emit(opcode, self.session_number(), seq);
        self.inbound.answer(seq, pdu);
        self.queue_answer(seq);
    }

    /// Sends the answer to a request, or that it is being worked on. Without room the peer will ask again.
    pub(super) fn queue_answer(&mut self, seq: u16) {
        if self.state() == State::Up && self.due.answers.len() < MAX_ANSWERS {
            self.due.answers.push_back(seq);
        }
    }

    fn handle_response(&mut self, now: u64, seq: u16, opcode: Opcode, parsed: Result<Body, Wrong>) {
        let Some((token, _)) = self.outbound.waiting(seq).filter(|(_, asked)| *asked == opcode) else {
            self.counters.ctl_unexpected_response += 1;
            return;
        };
        self.counters.ctl_response_rx += 1;
        let result = match parsed {
            Ok(Body::Refusal { refusal, .. }) if refusal.status == Status::INPROGRESS => {
                self.outbound.in_progress(seq, now);
                self.timers.put(Timer::Retransmit, self.outbound.next_due());
                return;
            }
            Ok(Body::Refusal { refusal, .. }) => Err(Failure::Refused(refusal)),
            Ok(Body::Response(response)) => Ok(response),
            Ok(_) => Err(Failure::Wrong(Wrong::Opcode(opcode))),
            Err(wrong) => Err(Failure::Wrong(wrong)),
        };
        self.finish(token, result);
    }

    fn finish(&mut self, token: Token, result: Result<Response, Failure>) {
        self.outbound.done(token);
        self.timers.put(Timer::Retransmit, self.outbound.next_due());
        self.event(SessionEvent::Response { token, result });
    }

    /// The next PDU to send: HELLOs first, then answers, then requests.
    pub(super) fn next_pdu(&mut self, now: u64) -> Option<Vec<u8>> {
        if let Some(seq) = self.due.hello_response.take() {
            self.counters.ctl_hello_tx += 1;
            return Some(self.own.hello().emit(true, seq));
        }
        if core::mem::take(&mut self.due.hello) {
            self.counters.ctl_hello_tx += 1;
            let seq = self.next_hello(now);
            return Some(self.own.hello().emit(false, seq));
        }
        while let Some(seq) = self.due.answers.pop_front() {
            if let Some(pdu) = self.answer(seq) {
                self.counters.ctl_response_tx += 1;
                return Some(pdu);
            }
        }
        self.next_request(now)
    }

    fn answer(&mut self, seq: u16) -> Option<Vec<u8>> {
        if let Some(opcode) = self.inbound.waiting(seq) {
            let working = Refusal::of(Status::INPROGRESS);
            return Some(working.emit(opcode, self.session_number(), seq));
        }
        self.inbound.answered(seq).map(<[u8]>::to_vec)
    }

    fn next_request(&mut self, now: u64) -> Option<Vec<u8>> {
        loop {
            let hello = self.peer.as_ref().filter(|peer| peer.up)?.hello.as_ref()?;
            let (window, max_pdu) = (hello.window.min(self.own.window), usize::from(hello.limits.max_pdu));
            let session = self.session_number();
            let (token, seq, request, again) = self.outbound.next(now, window)?;
            let pdu = Request::emit(request, session, seq);
            if pdu.len() > max_pdu {
                self.finish(token, Err(Failure::TooLong));
                continue;
            }
            self.counters.ctl_retransmitted += u64::from(again);
            self.counters.ctl_request_tx += u64::from(!again);
            self.timers.put(Timer::Retransmit, self.outbound.next_due());
            return Some(pdu);
        }
    }
}
