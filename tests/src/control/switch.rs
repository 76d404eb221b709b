//! The switch's end: the real control plane, with workers and a disk that take their time.

use super::mac;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use vis_switch::config::draft::configure;
use vis_switch::config::running::{ChassisMode, Ethernet, EthernetId, RunningConfig, SwitchportMode};
use vis_switch::control::life::Standing;
use vis_switch::control::{
    Change, Config, Control, Event, Forwarding, Identity, Output, PortConfig, StoreOp, StoreTicket,
    VethRecord,
};
use vntag::VifId;
use vntag::ctl::Name;
use vntag::uuid::Uuid;

/// A state of the tables, as workers may have it.
pub struct Snapshot {
    /// Which one.
    pub change: Change,
    /// The tables.
    pub forwarding: Forwarding,
    /// Who each vEth was.
    pub identities: BTreeMap<u32, Identity>,
    /// Boot id of the adapter at each port.
    pub peers: Vec<Option<u64>>,
}

pub(super) struct Batch {
    publish: Option<Change>,
    frames: Vec<(usize, Vec<u8>)>,
}

/// A switch without data path.
pub struct SwitchEnd {
    /// The control plane.
    pub control: Control,
    /// What is configured.
    pub running: Arc<RunningConfig>,
    /// Tables that workers may use: the last ones that are in effect in all of them, then newer ones.
    pub in_use: VecDeque<Snapshot>,
    /// What is on disk.
    pub disk: BTreeMap<u32, VethRecord>,
    /// What was told since this was last emptied.
    pub events: Vec<Event>,
    pub(super) batches: VecDeque<Batch>,
    pub(super) storing: VecDeque<(StoreTicket, Vec<StoreOp>)>,
    pub(super) life: u64,
    niv: usize,
}

/// Ordinary ports behind the NIV links.
const UPLINKS: usize = 1;

impl SwitchEnd {
    /// A switch with so many NIV links and one ordinary port behind them.
    pub(super) fn new(niv: usize, lines: &str, boot_id: u64) -> Self {
        let ports = (0..niv + UPLINKS).map(|at| {
            let access = ChassisMode::Plain(SwitchportMode::Access);
            (port_id(at), Ethernet::new(if at < niv { ChassisMode::Vntag } else { access }, true))
        });
        let running = Arc::new(configured(RunningConfig::new(ports), lines));
        Self {
            control: control(niv, boot_id, Vec::new(), &running),
            running,
            in_use: VecDeque::new(),
            disk: BTreeMap::new(),
            events: Vec::new(),
            batches: VecDeque::new(),
            storing: VecDeque::new(),
            life: 0,
            niv,
        }
    }

    /// Dies, and begins anew with what is on its disk.
    pub(super) fn restart(&mut self, boot_id: u64) {
        self.life += 1;
        self.control = control(self.niv, boot_id, self.disk.values().cloned().collect(), &self.running);
        self.in_use.clear();
        self.batches.clear();
        self.storing.clear();
    }

    /// Changes the configuration by these lines.
    pub fn configure(&mut self, now: u64, lines: &str) {
        self.running = Arc::new(configured((*self.running).clone(), lines));
        self.control.configure(now, Arc::clone(&self.running));
    }

    /// Takes what the control plane wants done; true each if that is something for the workers, and for the disk.
    pub(super) fn collect(&mut self, now: u64) -> (bool, usize) {
        self.control.turn(now);
        let mut batch = Batch { publish: None, frames: Vec::new() };
        for port in 0..self.niv {
            while let Some(frame) = self.control.poll_transmit(now, port) {
                batch.frames.push((port, frame));
            }
        }
        let mut stores = 0;
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Publish(change) => batch.publish = Some(change),
                Output::Store(ticket, ops) => {
                    self.storing.push_back((ticket, ops));
                    stores += 1;
                }
                // Of frames this world knows those of control only.
                Output::Announce { .. } => {}
                Output::Event(event) => self.events.push(event),
            }
        }
        if let Some(change) = batch.publish {
            self.in_use.push_back(self.snapshot(change));
        }
        let something = batch.publish.is_some() || !batch.frames.is_empty();
        if something {
            self.batches.push_back(batch);
        }
        (something, stores)
    }

    fn snapshot(&self, change: Change) -> Snapshot {
        let records = self.control.veths().filter_map(|veth| Some((veth.number, veth.record?.identity)));
        let peer = |port| Some(self.control.session(port)?.peer()?.hello.boot_id);
        Snapshot {
            change,
            forwarding: self.control.forwarding().clone(),
            identities: records.collect(),
            peers: (0..self.niv).map(peer).collect(),
        }
    }

    /// The oldest batch is in effect; its frames are to be sent.
    pub(super) fn take_effect(&mut self, now: u64) -> Vec<(usize, Vec<u8>)> {
        let Some(batch) = self.batches.pop_front() else { return Vec::new() };
        if let Some(change) = batch.publish {
            self.in_use.retain(|snapshot| snapshot.change >= change);
            self.control.published(now, change);
        }
        batch.frames
    }

    /// The oldest group is on disk.
    pub(super) fn store(&mut self, now: u64) {
        let Some((ticket, ops)) = self.storing.pop_front() else { return };
        for op in ops {
            match op {
                StoreOp::Put(record) => {
                    let octets = record.encode();
                    let record = VethRecord::decode(&octets).expect("what was written can be read");
                    self.disk.insert(record.number, record);
                }
                StoreOp::Remove(number) => {
                    self.disk.remove(&number);
                }
            }
        }
        self.control.stored(now, ticket);
    }

    /// Where somebody is active: port and VIF.
    #[must_use]
    pub fn active(&self, identity: &Identity) -> Vec<(usize, VifId)> {
        let vifs = (0..self.niv).flat_map(|port| self.control.vifs(port));
        vifs.filter(|vif| vif.state == Standing::Active && vif.identity == identity)
            .map(|vif| (vif.port, vif.vif))
            .collect()
    }

    /// NIV links.
    #[must_use]
    pub const fn links(&self) -> usize {
        self.niv
    }
}

/// A configuration with these lines run on it.
fn configured(config: RunningConfig, lines: &str) -> RunningConfig {
    configure(config, lines).expect("right lines")
}

/// The name of a port.
#[must_use]
pub fn port_id(at: usize) -> EthernetId {
    EthernetId { slot: 1, port: at as u16 + 1 }
}

fn control(niv: usize, boot_id: u64, records: Vec<VethRecord>, running: &Arc<RunningConfig>) -> Control {
    let port = |at: usize| PortConfig {
        id: port_id(at),
        mac: mac(0xff, at as u16),
        negotiation: at < niv,
        max_frame: 9216,
    };
    let config = Config {
        node_uuid: Uuid([0xff; 16]),
        node_name: Name::new("vis0").expect("a name"),
        boot_id,
        window: Config::WINDOW,
        epoch: 1_700_000_000_000_000_000,
        ports: (0..niv + UPLINKS).map(port).collect(),
    };
    Control::new(config, records, Arc::clone(running))
}
