//! A switch that is nothing but a session and a script: the far end of an adapter's link, with what it was asked and
//! what it was sent, and every liberty to answer badly.

use super::place::{PATIENCE, Place};
use link::{BURST, Defaults, Device, OutFrame, Port, PortState, Role, RxBurst};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use vntag::VifId;
use vntag::ctl::session::{self, Failure, LostCause, PeerInfo, Session, SessionEvent, Token};
use vntag::ctl::{Name, Refusal, Request, Response, VifParams, VlanMode};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// Access VLAN 10, priority 3.
pub(crate) const PARAMS: VifParams = VifParams {
    mode: VlanMode::Access,
    cos: 3,
    vlan: 10,
    priorities: 0xff,
    mtu: 1500,
    min_rate: 0,
    max_rate: 0,
};

/// By what a switch knows a vNIC.
type Identity = (Option<Uuid>, Option<Mac>);

pub(crate) struct Scripted {
    port: Port,
    begun: Instant,
    session: Session,
    /// VIFs by identity; the vEth has the number of the VIF.
    pub(crate) vifs: BTreeMap<Identity, VifId>,
    /// What the adapter asked for, answered.
    pub(crate) requests: Vec<Request>,
    channels: BTreeMap<u16, VifId>,
    answers: Vec<(Token, Result<Response, Failure>)>,
    /// Frames with a VNTag.
    pub(crate) tagged: Vec<Vec<u8>>,
    pub(crate) ups: usize,
    pub(crate) losses: Vec<LostCause>,
    /// Says no.
    pub(crate) refuse: Option<fn(&Request) -> Option<Refusal>>,
}

impl Scripted {
    /// Serves the memif `link0.sock` in this place.
    pub(crate) fn at(place: &Place, boot_id: u64) -> Self {
        let device = format!("memif:{}", place.path("link0.sock").display());
        Self::on(&device, boot_id)
    }

    /// Is at the other end of this device.
    pub(crate) fn on(device: &str, boot_id: u64) -> Self {
        let device: Device = device.parse().unwrap();
        let defaults = Defaults {
            name: "script".to_owned(),
            role: Role::Server,
            queues: 1,
            mtu: 1510,
            hosts: false,
            recognise: None,
        };
        let port = link::open(&device, &defaults).unwrap();
        let session = Session::new(config(boot_id));
        Self {
            port,
            begun: Instant::now(),
            session,
            vifs: BTreeMap::new(),
            requests: Vec::new(),
            channels: BTreeMap::new(),
            answers: Vec::new(),
            tagged: Vec::new(),
            ups: 0,
            losses: Vec::new(),
            refuse: None,
        }
    }

    /// Forgets everything but what is kept on disk, and begins anew.
    pub(crate) fn reboot(&mut self, boot_id: u64) {
        self.session = Session::new(config(boot_id));
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Takes what came, answers, sends what is due. Says whether anything happened.
    pub(crate) fn turn(&mut self) -> bool {
        let now = self.now();
        self.session.handle_link(now, self.port.monitor.state() == PortState::Up);
        let mut frames = Vec::new();
        for queue in &mut self.port.rx {
            let mut burst = RxBurst::new();
            queue.recv(now, BURST, &mut burst);
            let taken = burst.len();
            frames.extend(burst.iter().map(|frame| frame.data.to_vec()));
            drop(burst);
            queue.release(taken);
            if taken == 0 {
                // An interface tells here that it has gone up or down.
                queue.disarm();
            }
        }
        let mut quiet = frames.is_empty();
        for frame in frames {
            if frame.get(12..14) == Some(&[0x89, 0x26]) {
                self.tagged.push(frame);
            } else {
                self.session.handle_frame(now, &frame);
            }
        }
        while let Some(event) = self.session.poll_event() {
            quiet = false;
            match event {
                SessionEvent::PeerUp(_) => self.ups += 1,
                SessionEvent::PeerLost(cause) => self.losses.push(cause),
                SessionEvent::NeighborRefused { .. } => {}
                SessionEvent::Response { token, result } => self.answers.push((token, result)),
                SessionEvent::Request { id, request } => {
                    let refusal = self.refuse.and_then(|refuse| refuse(&request));
                    let result = refusal.map_or_else(|| Ok(self.answer(&request)), Err);
                    // A session that ended meanwhile wants no answer.
                    let _ = self.session.respond(now, id, result);
                    self.requests.push(request);
                }
            }
        }
        while let Some(frame) = self.session.poll_transmit(now) {
            quiet = false;
            self.send(&frame);
        }
        self.port.tx[0].kick();
        !quiet
    }

    fn answer(&mut self, request: &Request) -> Response {
        match request {
            Request::VifCreate { provisioning, channel, .. } => {
                let identity = (provisioning.client_uuid(), provisioning.mac());
                let next = self.vifs.len() as u16 + 5;
                let vif = *self.vifs.entry(identity).or_insert(VifId::new(next).unwrap());
                self.channels.insert(*channel, vif);
                Response::VifCreate { vif, veth: u32::from(vif.get()), params: PARAMS }
            }
            Request::VifEnable { .. } => Response::VifEnable { params: PARAMS },
            Request::VifDisable { .. } => Response::VifDisable,
            Request::VifDelete { vif } => {
                self.vifs.retain(|_, known| known != vif);
                Response::VifDelete
            }
            Request::Announce { .. } => Response::Announce,
            other => panic!("no request of an adapter: {other:?}"),
        }
    }

    /// Sends a frame as it is; says whether there was room.
    pub(crate) fn send(&mut self, frame: &[u8]) -> bool {
        self.port.tx[0].send(0, &[OutFrame::private(frame)]).frames == 1
    }

    /// Turns until there is something.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let busy = self.turn();
            if let Some(found) = found(self) {
                return found;
            }
            let some = &self.requests[..self.requests.len().min(8)];
            assert!(Instant::now() < end, "waited in vain: {what}; asked {}: {some:?}", self.requests.len());
            if !busy {
                // Somebody else has to have the processor.
                std::thread::sleep(Duration::from_micros(500));
            }
        }
    }

    /// What the adapter said of itself.
    pub(crate) fn peer(&self) -> PeerInfo {
        self.session.peer().expect("a peer")
    }

    /// Asks the adapter and waits for its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: Request) -> Result<Response, Failure> {
        let now = self.now();
        let token = self.session.request(now, request).unwrap();
        self.until("an answer", |this| {
            let at = this.answers.iter().position(|(known, _)| *known == token)?;
            Some(this.answers.swap_remove(at).1)
        })
    }

    /// Waits for a request, and takes it.
    #[track_caller]
    pub(crate) fn asked(&mut self, what: &str, is: impl Fn(&Request) -> bool) -> Request {
        self.until(what, |this| {
            let at = this.requests.iter().position(&is)?;
            Some(this.requests.remove(at))
        })
    }

    /// Waits for a frame with a VNTag.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        self.until("a frame", |this| (!this.tagged.is_empty()).then(|| this.tagged.remove(0)))
    }

    /// The VIF of the vNIC that was created last with this address.
    pub(crate) fn vif_of(&self, mac: &str) -> VifId {
        let found =
            self.vifs.iter().find(|((_, known), _)| known.is_some_and(|known| known.to_string() == mac));
        *found.expect("a VIF of this address").1
    }

    /// The VIF of the vNIC with this channel.
    pub(crate) fn vif_of_channel(&self, channel: u16) -> VifId {
        self.channels[&channel]
    }
}

fn config(boot_id: u64) -> session::Config {
    let node = (Uuid([7; 16]), Name::new("script").unwrap());
    session::Config::new(vntag::ctl::Role::Vis, boot_id, Mac([2, 0, 0, 0, 7, 7]), node, "Ethernet1/1")
}
