//! A whole switch: an [`Engine`] for the worker, and a [`Switch`] for everybody else, who configures it and asks it.
//!
//! Nothing here is on the path of a frame. What the two share are the published tables, the learned addresses and
//! the counters, all of which can be read at any time.

use crate::config::chassis::Chassis;
use crate::config::running::{Binding, EthernetId, PortMode, RunningConfig};
use crate::config::slots::{Owner, Slots};
use crate::control::forwarding::{Forwarding, PortForwarding, VethForwarding};
use crate::engine::counters::{CopyCounters, Total, WorkerCounters};
use crate::engine::mac::{Entry, Learned, MacTable, Second};
use crate::engine::tables::{Published, Tables};
use crate::engine::vlan::Program;
use crate::engine::worker::{Engine, EnginePort, Options};
use link::{Monitor, Port, PortState};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use vntag::Vntag;

/// Addresses that are learned at least before the table is full.
pub const ADDRESSES: usize = 32_768;

/// A port as the administrator sees it.
pub struct SwitchPort {
    /// Its name.
    pub id: EthernetId,
    /// Its device, as it is written in the file.
    pub device: String,
    /// State and counters of the device.
    pub monitor: Arc<dyn Monitor>,
}

/// What is configured, and what hangs on it.
#[derive(Debug, Default)]
pub struct State {
    /// The running configuration.
    pub config: RunningConfig,
    /// Interfaces and their slots.
    pub slots: Slots,
    /// Counters of flood copies that are in no table any more, until nobody counts on them.
    retired: Vec<Arc<CopyCounters>>,
}

/// The side of a switch that does not move frames.
pub struct Switch {
    /// The node's name.
    pub name: String,
    /// In the engine's order.
    pub ports: Vec<SwitchPort>,
    /// What the worker counts.
    pub counters: Arc<WorkerCounters>,
    published: Arc<Published>,
    mac: Arc<MacTable>,
    now: fn() -> u64,
    state: Mutex<State>,
    changing: Mutex<()>,
}

/// A port without any queue for its worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ethernet{0} has no transmit queue")]
pub struct NoQueue(EthernetId);

/// Puts a switch together. `ports` are those of the chassis, in its order; `seed` makes the hash of the address table
/// unpredictable; `now` is the clock that the worker's turns are given.
///
/// # Errors
/// A port has no transmit queue.
pub fn assemble(
    chassis: &Chassis,
    config: RunningConfig,
    ports: Vec<Port>,
    seed: u64,
    now: fn() -> u64,
) -> Result<(Switch, Engine<Vntag>), NoQueue> {
    let mut near = Vec::new();
    let mut known = Vec::new();
    for (described, port) in chassis.ports.iter().zip(ports) {
        let tx = port.tx.into_iter().next().ok_or(NoQueue(described.id))?;
        near.push(EnginePort { rx: port.rx, tx, punt: None });
        let device = described.options.device.to_string();
        known.push(SwitchPort { id: described.id, device, monitor: port.monitor });
    }
    let mut slots = Slots::default();
    let names = chassis.names();
    let plan = slots.plan(&config, &forwarding(&config, &names), &names);
    let published = Arc::new(Published::new(Tables::compile(&plan, None)));
    let mac = Arc::new(MacTable::new(ADDRESSES, seed));
    let engine = Engine::new(near, published.clone(), mac.clone(), Options::default());
    let switch = Switch {
        name: chassis.node.name.clone(),
        ports: known,
        counters: engine.counters(),
        published,
        mac,
        now,
        state: Mutex::new(State { config, slots, retired: Vec::new() }),
        changing: Mutex::new(()),
    };
    Ok((switch, engine))
}

/// What the configuration alone says: links without negotiation.
fn forwarding(config: &RunningConfig, ports: &[EthernetId]) -> Forwarding {
    let links = ports.iter().map(|id| match config.ethernets().get(id) {
        Some(ethernet) if ethernet.mode == PortMode::Vntag => PortForwarding::Static {
            lists: ethernet.lists.iter().map(|(list, members)| (*list, members.clone())).collect(),
        },
        _ => PortForwarding::Wire,
    });
    let mut programs: HashMap<Program, Arc<Program>> = HashMap::new();
    let veths = config.vethernets().iter().map(|(number, vethernet)| {
        let bound = vethernet.binding().and_then(Binding::static_vif).filter(|_| !vethernet.shutdown);
        let at = bound.and_then(|(port, vif)| Some((ports.iter().position(|id| *id == port)?, vif)));
        let program = config.effective(*number, None).switchport.program();
        let program = programs.entry(program).or_insert_with_key(|program| Arc::new(program.clone()));
        (*number, VethForwarding { at, program: program.clone(), flush: 0 })
    });
    Forwarding { ports: links.collect(), veths: veths.collect() }
}

impl Switch {
    /// What is configured, for reading.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The tables that count now.
    #[must_use]
    pub fn tables(&self) -> Arc<Tables> {
        self.published.current()
    }

    /// Changes the configuration: `edit` gets a copy, and what it returns takes effect, all at once. One change at a
    /// time.
    ///
    /// # Errors
    /// What `edit` refuses; then nothing has changed.
    pub fn change<T, E>(
        &self,
        edit: impl FnOnce(RunningConfig) -> Result<(RunningConfig, T), E>,
    ) -> Result<T, E> {
        let _one = self.changing.lock();
        let before = self.state.lock().config.clone();
        let (config, answer) = edit(before)?;
        let names: Vec<EthernetId> = self.ports.iter().map(|port| port.id).collect();
        let mut state = self.state.lock();
        let plan = state.slots.plan(&config, &forwarding(&config, &names), &names);
        state.config = config;
        let former = self.published.current();
        let tables = Tables::compile(&plan, Some(&former));
        let still: Vec<*const CopyCounters> = tables.copy_counters().map(Arc::as_ptr).collect();
        let gone = former.copy_counters().filter(|copy| !still.contains(&Arc::as_ptr(copy))).cloned();
        state.retired.extend(gone);
        drop(former);
        drop(self.published.replace(tables));
        state.settle();
        Ok(answer)
    }

    /// What an interface sent to the switch and got from it.
    #[must_use]
    pub fn traffic(&self, state: &mut State, owner: Owner) -> Traffic {
        state.settle();
        let Some(own) = state.slots.counters(owner) else { return Traffic::default() };
        let tables = self.tables();
        let copies = tables.copy_counters().chain(&state.retired);
        let lists = copies
            .filter(|copy| copy.members.iter().any(|member| Arc::ptr_eq(member, own)))
            .map(|copy| copy.sent.get())
            .fold(Total::default(), |sum, more| sum + more);
        Traffic {
            rx: own.rx.get(),
            rx_dropped: own.rx_dropped.get(),
            tx: own.transmitted(lists),
            tx_dropped: own.tx_dropped.get(),
        }
    }

    /// The learned addresses that count now, by VLAN and address, and whose they are.
    #[must_use]
    pub fn addresses(&self, state: &State) -> Vec<(Entry, Owner)> {
        let tables = self.tables();
        let live = |old: Learned| tables.remembers(old.lif, old.generation);
        let owners: HashMap<_, _> = state.slots.by_slot();
        let entries = self.mac.entries(Second::of((self.now)()), live);
        let mut known: Vec<(Entry, Owner)> =
            entries.into_iter().filter_map(|entry| Some((entry, *owners.get(&entry.learned.lif)?))).collect();
        known.sort_by_key(|(entry, _)| (entry.vlan, entry.mac));
        known
    }

    /// One line for the service manager.
    #[must_use]
    pub fn status(&self) -> String {
        let up = self.ports.iter().filter(|port| port.monitor.state() == PortState::Up).count();
        format!("{up} of {} ports up", self.ports.len())
    }

    /// The port with this name and its index.
    #[must_use]
    pub fn port(&self, id: EthernetId) -> Option<(usize, &SwitchPort)> {
        self.ports.iter().enumerate().find(|(_, port)| port.id == id)
    }

    /// Why an interface passes no frames; `None` where it does.
    #[must_use]
    pub fn down(&self, state: &State, owner: Owner) -> Option<String> {
        let port = match owner {
            Owner::Ethernet(id) => id,
            Owner::Vethernet(number) => {
                match state.config.vethernets().get(&number)?.binding().and_then(Binding::port) {
                    Some(port) => port,
                    None => return Some("not bound".to_owned()),
                }
            }
        };
        let Some((_, known)) = self.port(port) else { return Some(format!("no port ethernet{port}")) };
        match (known.monitor.state(), owner) {
            (PortState::Up, _) => None,
            (PortState::Down { cause }, Owner::Ethernet(_)) => Some(cause),
            (PortState::Down { cause }, Owner::Vethernet(_)) => Some(format!("Ethernet{port}: {cause}")),
        }
    }
}

/// What an interface sent to the switch and got from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent by it, dropped frames included.
    pub rx: Total,
    /// Dropped on the way in.
    pub rx_dropped: u64,
    /// Sent to it.
    pub tx: Total,
    /// For it, and not sent.
    pub tx_dropped: u64,
}

impl State {
    /// Gives the counts of copies that nobody counts on any more to their members.
    fn settle(&mut self) {
        for copy in core::mem::take(&mut self.retired) {
            match Arc::try_unwrap(copy) {
                Ok(copy) => {
                    let total = copy.sent.get();
                    copy.members.iter().for_each(|member| member.retired.add(total.frames, total.octets));
                }
                Err(copy) => self.retired.push(copy),
            }
        }
    }
}
