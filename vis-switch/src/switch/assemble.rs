//! Putting a switch together.

use super::start::Beginning;
use super::state::State;
use super::wake::Wake;
use super::{Controller, Kept, Switch, SwitchPort, log};
use crate::config::chassis::Chassis;
use crate::config::running::EthernetId;
use crate::control::{self, Control, PortConfig};
use crate::engine::capture::Captures;
use crate::engine::control::Punted;
use crate::engine::counters::AllCounters;
use crate::engine::mac::MacTable;
use crate::engine::secure::Alarm;
use crate::engine::tables::{Published, Tables};
use crate::engine::worker::{Engine, EnginePort, Options};
use link::{Port, share};
use niv_node::accounting::Accounting;
use niv_node::counter::Counter;
use niv_node::event::EventLog;
use niv_node::mailbox;
use niv_node::sandbox;
use niv_node::store::Store;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use vntag::Vntag;
use vntag::ctl::Name;
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// Control frames of one port that may wait for control: two windows of requests and their responses.
const PUNTED: usize = 512;
/// Orders that may wait for each worker.
const ORDERS: usize = 4096;
/// Octets that this end takes in one frame: the longest payload, an Ethernet header, a VNTag, and two 802.1Q tags.
const MAX_FRAME: u32 = 9216 + 14 + 6 + 8;

/// A worker answers within microseconds; one that does not answer at all must not keep the administrator out.
pub const IN_EFFECT: Duration = Duration::from_secs(5);

/// What a switch is put together from, beside its chassis and configuration.
pub struct Parts {
    /// The ports of the chassis, in its order.
    pub ports: Vec<Port>,
    /// Where state is kept, and what was found there.
    pub store: (Arc<dyn Store>, Kept),
    /// Which node this is.
    pub uuid: Uuid,
    /// Random at each start.
    pub boot_id: u64,
    /// Makes the hash of the address table unpredictable.
    pub seed: u64,
    /// The clock that the worker's turns are given, in nanoseconds.
    pub now: fn() -> u64,
    /// Nanoseconds from 1970 to the zero of that clock.
    pub epoch: u64,
    /// How long a command waits until its change is in effect in every worker: [`IN_EFFECT`], or not at all where the
    /// workers take their turns on the same thread.
    pub in_effect: Duration,
    /// What the process has given up.
    pub sandbox: sandbox::Report,
}

/// Why a switch cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A port without any queue for its worker.
    #[error("ethernet{0} has no transmit queue")]
    NoQueue(EthernetId),
    /// The node's name is too long.
    #[error("the name of a node has at most {} octets", Name::MAX)]
    Name,
    /// The system has no descriptor left.
    #[error("no descriptor left: {0}")]
    System(#[from] io::Error),
}

/// A switch without threads.
pub struct Assembled {
    /// For whoever configures and asks it.
    pub switch: Arc<Switch>,
    /// For the control thread.
    pub controller: Controller,
    /// For the workers, one each; each has its own receive queues of every port.
    pub engines: Vec<Engine<Vntag>>,
}

/// Puts a switch together.
///
/// # Errors
/// A port has no transmit queue, or the system has no descriptor left.
pub fn assemble(chassis: Chassis, beginning: Beginning, parts: Parts) -> Result<Assembled, AssembleError> {
    let workers = chassis.node.workers;
    let Parts { ports, store: (store, kept), uuid, boot_id, seed, now, epoch, in_effect, sandbox } = parts;
    let (punt, punted) = mailbox::lanes::<Punted>(ports.len(), PUNTED)?;
    let (mut orders, mut ordered) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (to, from) = mailbox::mailbox(ORDERS)?;
        orders.push(to);
        ordered.push(from);
    }
    let wake = Arc::new(Wake::new()?);
    let mut near: Vec<Vec<EnginePort>> = (0..workers).map(|_| Vec::new()).collect();
    let (mut known, mut configs) = (Vec::new(), Vec::new());
    for (described, (index, port)) in chassis.ports.iter().zip((0u16..).zip(ports)) {
        let tx = share::one_each(port.tx, workers).ok_or(AssembleError::NoQueue(described.id))?;
        // The only queues of different ports go to different workers.
        let rx = share::deal(port.rx, workers, usize::from(index));
        for ((near, rx), tx) in near.iter_mut().zip(rx).zip(tx) {
            near.push(EnginePort { rx, tx, punt: described.negotiation.then(|| punt.clone()) });
        }
        let told = Arc::clone(&wake);
        port.monitor.on_change(Box::new(move || told.links()));
        let device = described.options.device.to_string();
        let (negotiation, mac) = (described.negotiation, port_mac(uuid, index));
        known.push(SwitchPort { id: described.id, mac, device, monitor: port.monitor });
        configs.push(PortConfig { id: described.id, mac, negotiation, max_frame: MAX_FRAME });
    }
    let config = control::Config {
        node_uuid: uuid,
        node_name: Name::new(&chassis.node.name).ok_or(AssembleError::Name)?,
        boot_id,
        window: control::Config::WINDOW,
        epoch,
        ports: configs,
    };
    let events = EventLog::new(&chassis.node.name);
    log::began(&events, &chassis, &beginning, kept.saved.startup.is_some());
    let running = Arc::new(beginning.config);
    let mut control = Control::new(config, kept.records, Arc::clone(&running));
    control.turn(now());
    let told = Arc::clone(&wake);
    let alarm = Alarm::new(move || told.secured());
    let mut state = State::new(running, control, (kept.saved, kept.counters), known.len(), alarm);
    let names = chassis.names();
    let plan = state.slots.plan(&state.config, state.control.forwarding(), &names);
    let published = Arc::new(Published::new(Tables::compile(&plan, None)));
    let mac = Arc::new(MacTable::new(chassis.mac_table_size, seed));
    let captures = Captures::default();
    let engines: Vec<_> = (near.into_iter().zip(ordered).enumerate())
        .map(|(worker, (ports, ordered))| {
            let options = Options { worker, ..Options::default() };
            let engine = Engine::new(ports, published.clone(), mac.clone(), options);
            engine.ordered_by(ordered).recording_for(&captures)
        })
        .collect();
    let switch = Arc::new(Switch {
        name: chassis.node.name.clone(),
        uuid,
        ports: known,
        counters: AllCounters::new(engines.iter().map(Engine::counters).collect()),
        captures,
        events,
        accounting: Accounting::default(),
        started: now(),
        sandbox,
        epoch,
        unsent: Counter::default(),
        chassis,
        names,
        published,
        mac,
        orders,
        store,
        wake,
        now,
        in_effect,
        state: Mutex::new(state),
        changing: Mutex::new(()),
    });
    let controller = Controller::new(Arc::clone(&switch), punted);
    Ok(Assembled { switch, controller, engines })
}

/// The source address of control frames at a port: locally administered, the node's own by its UUID.
fn port_mac(uuid: Uuid, index: u16) -> Mac {
    let [a, b, c, ..] = uuid.0;
    let [high, low] = index.to_be_bytes();
    Mac([0x02, a, b, c, high, low])
}
