//! The machine around the sessions.

mod carrier;
mod host;
mod inbound;
mod lists;
mod path;
mod status;
mod vifs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vntag::VifId;
use vntag::ctl::session::{LostCause, RequestId, Session, SessionEvent, Token};
use vntag::ctl::{Counters, Opcode, Provisioning, Response, Timers};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

use crate::config::{Config, LinkId, VnicConfig, VnicError, VnicId};
use crate::fault::{FaultPlan, Faults};
use crate::life::{Input, Want};
use crate::mailbox::Device;
use crate::output::{Notice, Order, OrderId, Output, StatsId};
use crate::timer::Timer;

use carrier::Carrier;
use inbound::{Answer, Deferred};
use lists::Lists;
use path::Barrier;
use vifs::Vif;

pub use status::{FirmwareCounters, VifStatus, VnicStatus};

/// Outputs nobody fetched at which frames are no longer taken: a peer cannot make them more.
const MAX_OUTPUTS: usize = 65_536;
/// vNICs that one machine takes.
const MAX_VNICS: usize = 65_536;

/// A link and what is known of its switch.
#[derive(Debug)]
struct Link {
    session: Session,
    /// There is a switch: between the session's PeerUp and its PeerLost.
    up: bool,
    /// Boot id of the switch that gave out the VIFs and lists that are kept.
    switch: Option<u64>,
    lists: Lists,
    /// VIF_CREATEs on their way.
    creating: usize,
    /// VIFs being given back that were not wanted any more when the switch came. It may have freed their ids before it
    /// was lost, so nothing is asked for until it has answered: a late VIF_DELETE would hit somebody else's VIF.
    returning: usize,
    /// They are all answered: now the others may be asked for.
    begin: bool,
}

/// A vNIC.
#[derive(Debug)]
struct Vnic {
    config: VnicConfig,
    /// What a create carries.
    provisioning: Provisioning,
    /// The host side wants VIFs for it. Only the mailbox says no.
    provisioned: bool,
    /// The guest's rings are enabled.
    rings: bool,
    carrier: Carrier,
    /// An announcement that waits for an active VIF.
    announce: Option<Mac>,
    device: Device,
}

/// What a request of ours was about.
#[derive(Debug)]
struct Asked {
    vnic: VnicId,
    opcode: Opcode,
}

/// The adapter's firmware.
///
/// # How to drive it
///
/// 1. *In*: [`handle_link`](Self::handle_link), [`handle_frame`](Self::handle_frame), from the host side
///    [`set_vnic`](Self::set_vnic), [`remove_vnic`](Self::remove_vnic), [`set_rings`](Self::set_rings),
///    [`announce`](Self::announce), [`devcmd`](Self::devcmd), from the data path [`confirm`](Self::confirm) and
///    [`stats`](Self::stats), and [`shutdown`](Self::shutdown).
/// 2. *Out*, after each of them and at [`next_deadline`](Self::next_deadline):
///    [`poll_transmit`](Self::poll_transmit) for each link until `None`, then [`poll_output`](Self::poll_output) until
///    `None`. Outputs are to be carried out in their order.
///
/// An answer to the switch is sent when all orders given before it are confirmed: "OK" means in effect in every worker.
#[derive(Debug)]
pub struct Firmware {
    config: Config,
    links: Vec<Link>,
    vnics: BTreeMap<VnicId, Vnic>,
    vifs: BTreeMap<(VnicId, LinkId), Vif>,
    /// Whose a VIF id is.
    owners: BTreeMap<(LinkId, VifId), VnicId>,
    channels: BTreeMap<(LinkId, u16), VnicId>,
    asked: BTreeMap<(LinkId, Token), Asked>,
    /// Requests about VIFs whose create is still on its way.
    deferred: VecDeque<Deferred>,
    next_order: u64,
    /// Orders not confirmed.
    unconfirmed: BTreeSet<OrderId>,
    /// What waits for orders, in rising order.
    barriers: VecDeque<(OrderId, Barrier)>,
    late: BTreeMap<u64, Answer>,
    next_late: u64,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    faults: Faults,
    counters: FirmwareCounters,
}

impl Firmware {
    /// Firmware whose links are down and that has no vNICs.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let links = config.links.iter().map(|link| Link {
            session: Session::new(link.clone()),
            up: false,
            switch: None,
            lists: Lists::new(link.limits.lists),
            creating: 0,
            returning: 0,
            begin: false,
        });
        Self {
            links: links.collect(),
            config,
            vnics: BTreeMap::new(),
            vifs: BTreeMap::new(),
            owners: BTreeMap::new(),
            channels: BTreeMap::new(),
            asked: BTreeMap::new(),
            deferred: VecDeque::new(),
            next_order: 0,
            unconfirmed: BTreeSet::new(),
            barriers: VecDeque::new(),
            late: BTreeMap::new(),
            next_late: 0,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            faults: Faults::default(),
            counters: FirmwareCounters::default(),
        }
    }

    /// Misbehaves from now on as planned; its requests are counted from now.
    pub fn set_faults(&mut self, plan: FaultPlan) {
        self.faults = Faults::new(plan);
    }

    // ----- from outside -----

    /// A link came up or went down.
    pub fn handle_link(&mut self, now: u64, link: LinkId, up: bool) {
        if let Some(this) = self.links.get_mut(usize::from(link.0)) {
            this.session.handle_link(now, up);
        }
        self.turn(now);
    }

    /// A frame arrived. Says whether it belonged to the control plane.
    pub fn handle_frame(&mut self, now: u64, link: LinkId, frame: &[u8]) -> bool {
        let Some(this) = self.links.get_mut(usize::from(link.0)) else { return false };
        if self.outputs.len() >= MAX_OUTPUTS {
            self.counters.fw_outputs_full += 1;
            return false;
        }
        let ours = this.session.handle_frame(now, frame);
        if ours {
            self.turn(now);
        }
        ours
    }

    // ----- from the host side -----

    /// A vNIC came, or changed. One whose identity, profile or channel changes gives its VIF back first.
    pub fn set_vnic(&mut self, now: u64, id: VnicId, config: VnicConfig) -> Result<(), VnicError> {
        self.check_vnic(id, &config)?;
        let provisioning = config.provisioning(self.host(config.link))?;
        self.free_channels(id);
        for link in config.links() {
            self.channels.insert((link, config.channel), id);
        }
        match self.vnics.get_mut(&id) {
            Some(vnic) => (vnic.config, vnic.provisioning) = (config, provisioning),
            None => {
                let vnic = Vnic {
                    config,
                    provisioning,
                    provisioned: true,
                    rings: false,
                    carrier: Carrier { since: now, ..Carrier::default() },
                    announce: None,
                    device: Device::default(),
                };
                self.vnics.insert(id, vnic);
            }
        }
        self.refresh(now, id);
        self.turn(now);
        Ok(())
    }

    /// A vNIC went. Its VIFs are given back.
    pub fn remove_vnic(&mut self, now: u64, id: VnicId) {
        self.free_channels(id);
        if self.vnics.remove(&id).is_some() {
            self.timers.stop(Timer::Carrier(id));
            self.refresh(now, id);
        }
        self.turn(now);
    }

    /// The guest's rings were enabled or disabled.
    pub fn set_rings(&mut self, now: u64, id: VnicId, enabled: bool) {
        if let Some(vnic) = self.vnics.get_mut(&id) {
            vnic.rings = enabled;
            self.refresh(now, id);
        }
        self.turn(now);
    }

    /// The guest announced itself under this address. Kept until a VIF is active; the last one counts.
    pub fn announce(&mut self, now: u64, id: VnicId, mac: Mac) {
        if let Some(vnic) = self.vnics.get_mut(&id).filter(|_| !mac.is_group() && !mac.is_zero()) {
            vnic.announce = Some(mac);
            self.refresh(now, id);
        }
        self.turn(now);
    }

    /// Says good-bye on all links. The data path is left as it is.
    pub fn shutdown(&mut self, now: u64) {
        for link in &mut self.links {
            link.session.shutdown(now);
        }
        self.turn(now);
    }

    // ----- from the data path -----

    /// An order is in effect in every worker.
    pub fn confirm(&mut self, now: u64, id: OrderId) {
        self.unconfirmed.remove(&id);
        self.release_barriers(now);
        self.turn(now);
    }

    /// The counters of a VIF, in AFEX order.
    pub fn stats(&mut self, now: u64, id: StatsId, counters: Counters) {
        let answer = Answer { link: id.link, id: id.request, result: Ok(Response::StatsGet { counters }) };
        self.send_answer(now, answer);
        self.turn(now);
    }

    // ----- what is to be done -----

    /// The next frame to send on a link.
    pub fn poll_transmit(&mut self, now: u64, link: LinkId) -> Option<Vec<u8>> {
        self.turn(now);
        let session = &mut self.links.get_mut(usize::from(link.0))?.session;
        let frame = session.poll_transmit(now);
        self.turn(now);
        frame
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::poll_transmit`] and [`Self::poll_output`] although nothing else happened.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let sessions = self.links.iter().filter_map(|link| link.session.next_deadline());
        sessions.chain(self.timers.next()).min()
    }

    // ----- within -----

    /// Does what is due, and what the sessions tell.
    fn turn(&mut self, now: u64) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Retry(vnic, link) => self.input(now, (vnic, link), Input::Retry),
                Timer::Carrier(vnic) => self.carrier_delay_over(now, vnic),
                Timer::Hold(link) => {
                    self.forget_switch(now, link);
                    self.counters.fw_hold_expired += 1;
                }
                Timer::Late(number) => {
                    if let Some(answer) = self.late.remove(&number) {
                        self.send_answer(now, answer);
                    }
                }
            }
        }
        for at in 0..self.links.len() {
            while let Some(event) = self.links.get_mut(at).and_then(|link| link.session.poll_event()) {
                self.session_event(now, LinkId(at as u16), event);
            }
            let begin = self.links.get_mut(at).is_some_and(|link| core::mem::take(&mut link.begin));
            if begin && self.may_ask(LinkId(at as u16)) {
                // What was wanted when the switch came may not be any more.
                self.greet(now, LinkId(at as u16));
            }
            self.retry_deferred(now, LinkId(at as u16));
        }
    }

    fn session_event(&mut self, now: u64, link: LinkId, event: SessionEvent) {
        match event {
            SessionEvent::PeerUp(info) => {
                self.timers.stop(Timer::Hold(link));
                let boot_id = info.hello.boot_id;
                let same = self.links.get(usize::from(link.0)).is_some_and(|at| at.switch == Some(boot_id));
                if !same {
                    self.forget_switch(now, link);
                }
                if let Some(at) = self.links.get_mut(usize::from(link.0)) {
                    (at.switch, at.up) = (Some(boot_id), true);
                }
                self.notice(Notice::PeerUp { link, name: info.hello.node_name.to_string(), same });
                self.greet(now, link);
            }
            SessionEvent::PeerLost(cause) => {
                self.peer_lost(now, link, cause);
            }
            SessionEvent::NeighborRefused { name, why } => {
                self.notice(Notice::NeighborRefused { link, name, why });
            }
            SessionEvent::Request { id, request } => self.handle_request(now, link, id, request),
            SessionEvent::Response { token, result } => self.handle_response(now, link, token, result),
        }
    }

    /// There is a switch: first it gets back what is not wanted any more, then it is asked for the rest.
    fn greet(&mut self, now: u64, link: LinkId) {
        let keys: Vec<_> = self.vifs.keys().filter(|key| key.1 == link).copied().collect();
        for key in keys {
            if self.want(key) == Want::Gone {
                self.input(now, key, Input::PeerUp);
            }
        }
        if self.may_ask(link) {
            self.all_on(now, link, Input::PeerUp);
        }
    }

    fn peer_lost(&mut self, now: u64, link: LinkId, cause: LostCause) {
        self.notice(Notice::PeerLost { link, cause });
        self.deferred.retain(|deferred| deferred.link != link);
        if let Some(at) = self.links.get_mut(usize::from(link.0)) {
            at.up = false;
        }
        self.timers.set(Timer::Hold(link), now.saturating_add(self.config.hold));
        if cause == LostCause::Rebooted {
            self.forget_switch(now, link);
        }
        self.all_on(now, link, Input::PeerLost);
    }

    /// Gives an input to every VIF of a link.
    fn all_on(&mut self, now: u64, link: LinkId, input: Input) {
        let keys: Vec<VnicId> = self.vifs.keys().filter(|key| key.1 == link).map(|key| key.0).collect();
        for vnic in keys {
            self.input(now, (vnic, link), input);
        }
    }

    fn is_up(&self, link: LinkId) -> bool {
        self.links.get(usize::from(link.0)).is_some_and(|link| link.up)
    }

    /// There is a switch, and nothing to be given back first.
    fn may_ask(&self, link: LinkId) -> bool {
        self.links.get(usize::from(link.0)).is_some_and(|link| link.up && link.returning == 0)
    }

    fn host(&self, link: LinkId) -> Uuid {
        self.config.links.get(usize::from(link.0)).map(|link| link.node_uuid).unwrap_or_default()
    }

    fn check_vnic(&self, id: VnicId, config: &VnicConfig) -> Result<(), VnicError> {
        if let Some(link) = config.links().find(|link| usize::from(link.0) >= self.links.len()) {
            return Err(VnicError::NoLink(link));
        }
        if config.backup == Some(config.link) {
            return Err(VnicError::SameLink);
        }
        if config.mac.is_group() || config.mac.is_zero() {
            return Err(VnicError::Mac(config.mac));
        }
        let channel = config.channel;
        let taken = |link: &LinkId| self.channels.get(&(*link, channel)).is_some_and(|other| *other != id);
        if let Some(link) = config.links().find(taken) {
            return Err(VnicError::Channel { channel, link });
        }
        if !self.vnics.contains_key(&id) && self.vnics.len() >= MAX_VNICS {
            return Err(VnicError::Full);
        }
        Ok(())
    }

    fn free_channels(&mut self, id: VnicId) {
        if let Some(config) = self.vnics.get(&id).map(|vnic| &vnic.config) {
            for link in config.links() {
                self.channels.remove(&(link, config.channel));
            }
        }
    }

    fn order(&mut self, order: Order) -> OrderId {
        self.next_order += 1;
        let id = OrderId(self.next_order);
        self.unconfirmed.insert(id);
        self.outputs.push_back(Output::Order(id, order));
        id
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    /// Keeps an answer until all orders given so far are in effect.
    fn answer(&mut self, now: u64, link: LinkId, id: RequestId, result: inbound::Outcome, late: Option<u64>) {
        let answer = Answer { link, id, result };
        self.barrier(now, Barrier::Answer(answer, late));
    }
}
