//! A whole PDU in typed form.

use super::{Hello, Opcode, Pdu, Refusal, Request, Response, Status, VERSION, Wrong};

/// A PDU with legal contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Session it belongs to; 0 for HELLO.
    pub session: u32,
    /// Sequence number.
    pub seq: u16,
    /// What it says.
    pub body: Body,
}

/// What a PDU says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// I am here.
    Hello(Hello),
    /// I am here, too.
    HelloResponse(Hello),
    /// A request.
    Request(Request),
    /// It was done.
    Response(Response),
    /// It was not done.
    Refusal {
        /// What was asked for.
        opcode: Opcode,
        /// Why not.
        refusal: Refusal,
    },
}

/// What came out of a PDU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parsed {
    /// The message.
    pub message: Message,
    /// TLVs skipped because their type is unknown, or not expected there. [`Pdu::tlvs`] still shows them.
    pub skipped: usize,
}

impl Message {
    /// Reads a PDU; octets after it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, Wrong> {
        let pdu = Pdu::whole(bytes)?;
        let header = pdu.header;
        if header.version != VERSION {
            return Err(Wrong::Version(header.version));
        }
        if header.opcode.name().is_none() {
            return Err(Wrong::Opcode(header.opcode));
        }
        let hello = header.opcode == Opcode::HELLO;
        let (body, skipped) = if !header.response {
            if header.status != Status::OK {
                return Err(Wrong::StatusInRequest(header.status));
            }
            if hello {
                wrap(Hello::parse(&pdu)?, Body::Hello)
            } else {
                wrap(Request::parse(&pdu)?, Body::Request)
            }
        } else if header.status != Status::OK {
            let opcode = header.opcode;
            wrap(Refusal::parse(&pdu)?, |refusal| Body::Refusal { opcode, refusal })
        } else if hello {
            wrap(Hello::parse(&pdu)?, Body::HelloResponse)
        } else {
            wrap(Response::parse(&pdu)?, Body::Response)
        };
        Ok(Parsed { message: Self { session: header.session, seq: header.seq, body }, skipped })
    }

    /// The PDU's octets. HELLO belongs to no session: its session is written as 0.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        match &self.body {
            Body::Hello(hello) => hello.emit(false, self.seq),
            Body::HelloResponse(hello) => hello.emit(true, self.seq),
            Body::Request(request) => request.emit(self.session, self.seq),
            Body::Response(response) => response.emit(self.session, self.seq),
            Body::Refusal { opcode, refusal } => refusal.emit(*opcode, self.session, self.seq),
        }
    }
}

fn wrap<T>((value, skipped): (T, usize), body: impl FnOnce(T) -> Body) -> (Body, usize) {
    (body(value), skipped)
}
