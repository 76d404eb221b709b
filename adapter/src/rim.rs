//! The running adapter: opens what the configuration says, starts the worker and the admin API, and waits.

use crate::admin;
use crate::config::{AdapterConfig, LinkConfig, VnicConfig};
use crate::engine::{Datapath, LinkSetup, Order, Stats, VifState, VnicSetup};
use crate::inventory::{Inventory, LinkEntry, VnicEntry};
use crate::vhost::{self, FrontDoor, FrontendEvent};
use anyhow::{Context, bail};
use link::{Defaults, Device, Port, PortState, Role};
use niv_node::api::{self, Daemon, Identity};
use niv_node::command::{CommandError, CommandInfo, Table};
use niv_node::mailbox::mailbox;
use niv_node::metrics::{Kind, Metrics};
use niv_node::output::Output;
use niv_node::stop::Stop;
use niv_node::supervise::Supervisor;
use niv_node::worker::{self, Options};
use std::sync::Arc;
use vntag::{VlanTag, Vntag};

/// Orders that wait for the worker at the most.
const MAILBOX: usize = 4096;
/// What a frame grows by on the link: the VNTag, and the tag behind it.
const LINK_OVERHEAD: usize = Vntag::LEN + VlanTag::LEN;

/// Runs the adapter until it is asked to stop.
///
/// # Errors
/// Something cannot be opened or started; the error names it.
pub fn run(config: &AdapterConfig, stop: &Stop) -> anyhow::Result<()> {
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(startup) = &config.node.startup {
        bail!("startup = \"{}\": the adapter has no configuration commands", startup.display());
    }
    let stats = Arc::new(Stats::default());
    let (orders, mailbox) = mailbox(MAILBOX)?;
    let mut inventory = Inventory {
        name: config.node.name.clone(),
        links: Vec::new(),
        vnics: Vec::new(),
        stats: Arc::clone(&stats),
    };

    let mut links = Vec::new();
    for (index, link) in config.links.iter().enumerate() {
        let (setup, entry) = open_link(config, index, link)?;
        links.push(setup);
        inventory.links.push(entry);
    }
    let mut datapath = Datapath::<Vntag>::new(links, &stats, Some(mailbox));
    for (entry, stats) in inventory.links.iter_mut().zip(datapath.link_stats()) {
        entry.stats = stats;
    }

    let door = FrontDoor::start().context("the vhost-user front door")?;
    for (slot, vnic) in (0..).zip(&config.vnics) {
        let port = open_vnic(vnic, &door).with_context(|| format!("vNIC {}", vnic.name))?;
        let stats = stats.add_vnic();
        inventory.vnics.push(VnicEntry {
            name: vnic.name.clone(),
            device: vnic.options.device.to_string(),
            socket: AdapterConfig::socket(vnic),
            monitor: port.monitor,
            stats: Arc::clone(&stats),
            link: vnic.link,
            vif: vnic.vif,
            params: vnic.params,
            mac: vnic.mac,
            profile: vnic.profile.clone(),
            vm: vnic.vm.clone(),
            queues: vnic.queues,
        });
        datapath.apply(Order::AddVnic(slot, VnicSetup { rx: port.rx, tx: port.tx, stats }));
        datapath.apply(Order::SetVif {
            link: vnic.link,
            vif: vnic.vif,
            vnic: slot,
            state: VifState::Active,
            params: vnic.params,
        });
    }
    for (link, written) in config.links.iter().enumerate() {
        for (list, members) in &written.lists {
            let members = Some(members.clone().into_boxed_slice());
            datapath.apply(Order::SetList { link, list: *list, members });
        }
    }

    let mut supervisor = Supervisor::from_environment();
    let pulse = supervisor.pulse("worker0").context("worker0")?;
    let options = Options { cpu: config.node.cpu(0), pulse: Some(pulse), ..Options::default() };
    let worker = worker::spawn("worker0", datapath, options, stop.clone())?;
    let inventory = Arc::new(inventory);
    let adapter = Adapter { table: admin::table(), inventory: Arc::clone(&inventory) };
    let server = api::serve(&config.node.api, Arc::new(adapter))?;
    tracing::info!(
        name = config.node.name,
        links = config.links.len(),
        vnics = config.vnics.len(),
        api = %config.node.api.display(),
        "ready"
    );
    supervisor.watch(stop, || inventory.status());
    drop((server, orders));
    worker.join().map_err(|_| anyhow::anyhow!("the worker panicked"))??;
    Ok(())
}

fn open_link(
    config: &AdapterConfig,
    index: usize,
    link: &LinkConfig,
) -> anyhow::Result<(LinkSetup, LinkEntry)> {
    let mtus = config.vnics.iter().filter(|vnic| vnic.link == index).map(|vnic| vnic.params.mtu);
    let defaults = Defaults {
        name: link.name.clone(),
        role: Role::Client,
        queues: 1,
        mtu: usize::from(mtus.max().unwrap_or(1500)) + LINK_OVERHEAD,
    };
    let port = link::open_with(&link.options, &defaults).with_context(|| format!("link {}", link.name))?;
    let Some(tx) = port.tx.into_iter().next() else { bail!("link {}: the device has no queue", link.name) };
    let entry = LinkEntry {
        name: link.name.clone(),
        device: link.options.device.to_string(),
        monitor: port.monitor,
        stats: Arc::default(),
        lists: link
            .lists
            .iter()
            .map(|(id, members)| (id.get(), members.iter().map(|vif| vif.get()).collect()))
            .collect(),
    };
    Ok((LinkSetup { rx: port.rx, tx, punt: None }, entry))
}

fn open_vnic(vnic: &VnicConfig, door: &FrontDoor) -> anyhow::Result<Port> {
    let defaults = Defaults {
        name: vnic.name.clone(),
        role: Role::Client,
        queues: 1,
        mtu: usize::from(vnic.params.mtu),
    };
    let Device::VhostUser { socket, client } = &vnic.options.device else {
        return Ok(link::open_with(&vnic.options, &defaults)?);
    };
    link::wrap(&vnic.options, &defaults, || {
        let config = vhost::VnicConfig {
            name: vnic.name.clone(),
            socket: socket.clone(),
            client: *client,
            queue_pairs: vnic.queues,
            mtu: vnic.params.mtu,
            link_signal: vhost::LinkSignal::default(),
            socket_mode: vnic.socket_mode,
            socket_group: vnic.socket_group,
        };
        let name = vnic.name.clone();
        let port = door.add(&config, Box::new(move |event| log(&name, &event)))?;
        Ok(Port {
            rx: port.rx.into_iter().map(|queue| Box::new(queue) as Box<dyn link::RxQueue>).collect(),
            tx: port.tx.into_iter().map(|queue| Box::new(queue) as Box<dyn link::TxQueue>).collect(),
            monitor: port.monitor,
        })
    })
}

/// What a guest does at its vNIC, for the log.
fn log(vnic: &str, event: &FrontendEvent) {
    tracing::debug!(vnic, ?event, "guest");
}

/// The adapter as its admin API sees it.
struct Adapter {
    table: Table<admin::Context>,
    inventory: Arc<Inventory>,
}

impl Daemon for Adapter {
    fn identity(&self) -> Identity {
        Identity {
            daemon: "niv-adapter".to_owned(),
            name: self.inventory.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn exec(&self, line: &str) -> Result<Output, CommandError> {
        self.table.exec(&mut Arc::clone(&self.inventory), line)
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.table.commands()
    }

    fn metrics(&self, metrics: &mut Metrics) {
        self.inventory.metrics(metrics);
    }
}

impl Inventory {
    /// One line for the service manager.
    fn status(&self) -> String {
        let up = |monitor: &Arc<dyn link::Monitor>| monitor.state() == PortState::Up;
        let vnics = self.vnics.iter().filter(|vnic| up(&vnic.monitor)).count();
        let links = self.links.iter().filter(|link| up(&link.monitor)).count();
        format!("{vnics} of {} vNICs up, {links} of {} links up", self.vnics.len(), self.links.len())
    }

    /// Everything that is counted, as OpenMetrics.
    fn metrics(&self, metrics: &mut Metrics) {
        type Of<T> = fn(&T) -> u64;
        let vnic: [(&str, &str, Of<VnicEntry>); 4] = [
            ("niv_vnic_rx_frames", "Frames taken from the guest", |vnic| vnic.stats.rx_frames.get()),
            ("niv_vnic_rx_octets", "Octets taken from the guest", |vnic| vnic.stats.rx_octets.get()),
            ("niv_vnic_tx_frames", "Frames delivered to the guest", |vnic| vnic.stats.tx_frames.get()),
            ("niv_vnic_tx_octets", "Octets delivered to the guest", |vnic| vnic.stats.tx_octets.get()),
        ];
        for (name, help, value) in vnic {
            let mut family = metrics.family(name, Kind::Counter, help);
            self.vnics.iter().for_each(|entry| family.sample(&[("vnic", &entry.name)], value(entry)));
        }
        let link: [(&str, &str, Of<LinkEntry>); 8] = [
            ("niv_link_rx_frames", "Frames received from the switch", |link| link.stats.rx_frames.get()),
            ("niv_link_rx_octets", "Octets received from the switch", |link| link.stats.rx_octets.get()),
            ("niv_link_tx_frames", "Frames sent to the switch", |link| link.stats.tx_frames.get()),
            ("niv_link_tx_octets", "Octets sent to the switch", |link| link.stats.tx_octets.get()),
            ("niv_link_replicated", "Copies made for members of lists", |link| link.stats.replicated.get()),
            ("niv_link_punted", "Control frames that control got", |link| link.stats.punted.get()),
            ("niv_link_originated", "Frames that control gave to be sent", |link| {
                link.stats.originated.get()
            }),
            ("niv_link_pruned", "List members left out as originators", |link| link.stats.pruned.get()),
        ];
        for (name, help, value) in link {
            let mut family = metrics.family(name, Kind::Counter, help);
            self.links.iter().for_each(|entry| family.sample(&[("link", &entry.name)], value(entry)));
        }
        let mut drops = metrics.family("niv_adapter_drops", Kind::Counter, "Dropped frames by reason");
        for (reason, count) in self.stats.drops() {
            drops.sample(&[("reason", reason.name())], count);
        }
        let mut up = metrics.family("niv_port_up", Kind::Gauge, "1 where frames can pass");
        let links = self.links.iter().map(|link| (&link.name, &link.monitor));
        for (name, monitor) in links.chain(self.vnics.iter().map(|vnic| (&vnic.name, &vnic.monitor))) {
            up.sample(&[("port", name)], u64::from(monitor.state() == PortState::Up));
        }
        let mut device = metrics.family("niv_port_events", Kind::Counter, "What the device of a port counts");
        let links = self.links.iter().map(|link| (&link.name, &link.monitor));
        for (name, monitor) in links.chain(self.vnics.iter().map(|vnic| (&vnic.name, &vnic.monitor))) {
            for counter in monitor.counters() {
                device.sample(&[("port", name), ("event", counter.name)], counter.value);
            }
        }
    }
}
