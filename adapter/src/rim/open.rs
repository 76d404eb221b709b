//! Opening what links and vNICs are made of.

use super::news::News;
use crate::config::file::Negotiation;
use crate::config::{Attachment, LinkConfig, VnicConfig};
use crate::engine::{Counted, LinkSetup, Punted, VnicSlot, workers};
use crate::inventory::LinkEntry;
use crate::vhost::{self, FrontDoor, LinkSignal, VnicMonitor};
use anyhow::{Context, bail};
use link::{
    Defaults, Device, Interface, Monitor, OpenError, Options, Port, PortCounter, PortState, Role, Undone,
};
use niv_node::mailbox::Sender;
use niv_node::sandbox::Sandbox;
use std::sync::Arc;
use vntag::offload::recognise;
use vntag::{VlanTag, Vntag};

/// What a frame grows by on the link: the VNTag, and the tag behind it.
const LINK_OVERHEAD: usize = Vntag::LEN + VlanTag::LEN;
/// The usual payload of an Ethernet frame.
const ETHERNET_MTU: u16 = 1500;
/// The greatest MTU that is offered to a guest whose VIF's MTU is the switch's to say.
const LARGEST_MTU: u16 = 9216;
/// The longest frame that a link of shared memory takes, for the longest payload.
const LARGEST_FRAME: u32 = LARGEST_MTU as u32 + 14 + LINK_OVERHEAD as u32;

/// Opens the link with this index for so many workers. `mtu` is the greatest one of its static vNICs.
pub(super) fn link(
    (index, link): (usize, &LinkConfig),
    workers: usize,
    mtu: Option<u16>,
    punt: &Sender<Punted>,
    news: &Arc<News>,
    sandbox: &Sandbox,
) -> anyhow::Result<(Vec<LinkSetup>, LinkEntry)> {
    let defaults = Defaults {
        name: link.name.clone(),
        role: Role::Client,
        // There are at most 64 workers.
        queues: u16::try_from(workers).unwrap_or(1),
        mtu: usize::from(mtu.unwrap_or(ETHERNET_MTU)) + LINK_OVERHEAD,
        hosts: false,
        recognise: Some(undone),
    };
    let port = device(&link.options, &defaults, sandbox).with_context(|| format!("link {}", link.name))?;
    let news = Arc::clone(news);
    port.monitor.on_change(Box::new(move || news.wake()));
    let punt = (link.negotiation == Negotiation::Niv).then_some(punt);
    let entry = LinkEntry {
        name: link.name.clone(),
        device: link.options.device.to_string(),
        negotiation: link.negotiation,
        monitor: Arc::clone(&port.monitor),
        stats: Counted::default(),
        lists: link
            .lists
            .iter()
            .map(|(id, members)| (id.get(), members.iter().map(|vif| vif.get()).collect()))
            .collect(),
    };
    match workers::link(port, index, workers, punt) {
        Some(setups) => Ok((setups, entry)),
        None => bail!("link {}: the device has no queue", link.name),
    }
}

/// What a local host left undone in a frame of which its kernel says nothing.
fn undone(frame: &[u8]) -> Option<Undone> {
    Undone::from_bytes(recognise(frame)?.to_bytes())
}

/// Opens what needs no more than its device.
fn device(options: &Options, defaults: &Defaults, sandbox: &Sandbox) -> Result<Port, OpenError> {
    let needs_start = options.uses(defaults.role).needs_start();
    link::open_by(options, defaults, |opening| sandbox.at_start(needs_start, move || opening.open()))
}

/// Octets that the device of a link takes in one frame, as far as that can be told when it is opened.
pub(super) fn max_frame(device: &Device) -> u32 {
    let mtu = device.interface().and_then(Interface::look).map(|interface| interface.mtu);
    // The MTU does not count the 14 octets of the header.
    mtu.map_or(LARGEST_FRAME, |mtu| mtu.saturating_add(14))
}

/// A vNIC's port, and its guest's side if it has one.
pub(super) struct Opened {
    pub(super) port: Port,
    pub(super) guest: Option<Arc<VnicMonitor>>,
}

impl Opened {
    /// A port that could not be opened.
    pub(super) fn failed(cause: String) -> Self {
        let monitor = Arc::new(Failed(cause));
        Self { port: Port { rx: Vec::new(), tx: Vec::new(), monitor }, guest: None }
    }
}

/// What is open of a vNIC: where that is different it has to be opened again.
pub(super) fn shape(vnic: &VnicConfig) -> impl PartialEq + use<> {
    let options = format!("{:?}", vnic.options);
    let is_static = vnic.fixed().is_some();
    let rings = (vnic.queues, vnic.packed);
    (options, rings, vnic.socket_mode, vnic.socket_group, mtu(vnic), signal(vnic), is_static)
}

fn mtu(vnic: &VnicConfig) -> u16 {
    vnic.fixed().map_or(LARGEST_MTU, |(_, params)| params.mtu)
}

fn signal(vnic: &VnicConfig) -> LinkSignal {
    match &vnic.attachment {
        Attachment::Negotiated { link_signal, .. } => link_signal.clone(),
        Attachment::Static { .. } => LinkSignal::None,
    }
}

/// Opens a vNIC; what its guest does is told to `news`.
pub(super) fn vnic(
    vnic: &VnicConfig,
    slot: VnicSlot,
    door: &FrontDoor,
    news: &Arc<News>,
    sandbox: &Sandbox,
) -> anyhow::Result<Opened> {
    let fixed = vnic.fixed().map(|(_, params)| params.mtu);
    let mtu_needed = usize::from(fixed.unwrap_or(ETHERNET_MTU));
    let defaults = Defaults {
        name: vnic.name.clone(),
        role: Role::Client,
        queues: 1,
        mtu: mtu_needed,
        hosts: true,
        recognise: Some(undone),
    };
    let Device::VhostUser { socket, client } = &vnic.options.device else {
        let port = device(&vnic.options, &defaults, sandbox)?;
        let news = Arc::clone(news);
        port.monitor.on_change(Box::new(move || news.tell_port(slot)));
        return Ok(Opened { port, guest: None });
    };
    let mut guest = None;
    let port = link::wrap(&vnic.options, &defaults, || {
        let config = vhost::VnicConfig {
            name: vnic.name.clone(),
            socket: socket.clone(),
            client: *client,
            queue_pairs: vnic.queues,
            packed: vnic.packed,
            mtu: mtu(vnic),
            link_signal: signal(vnic),
            socket_mode: vnic.socket_mode,
            socket_group: vnic.socket_group,
        };
        let (name, news) = (vnic.name.clone(), Arc::clone(news));
        let port = door.add(
            &config,
            Box::new(move |event| {
                tracing::debug!(vnic = name, ?event, "guest");
                news.tell(slot, event);
            }),
        )?;
        guest = Some(Arc::clone(&port.monitor));
        anyhow::Ok(Port {
            rx: port.rx.into_iter().map(|queue| Box::new(queue) as Box<dyn link::RxQueue>).collect(),
            tx: port.tx.into_iter().map(|queue| Box::new(queue) as Box<dyn link::TxQueue>).collect(),
            monitor: port.monitor,
        })
    })?;
    Ok(Opened { port, guest })
}

/// The monitor of a port that could not be opened.
struct Failed(String);

impl Monitor for Failed {
    fn state(&self) -> PortState {
        PortState::Down { cause: self.0.clone() }
    }

    fn counters(&self) -> Vec<PortCounter> {
        Vec::new()
    }
}
