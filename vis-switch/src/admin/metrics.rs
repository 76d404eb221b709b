//! The same numbers as OpenMetrics.

use super::ethernet::by_state;
use super::names::full_name;
use crate::config::slots::Owner;
use crate::control::{NamespaceView, VethState};
use crate::engine::counters::{PortCounters, WorkerCounters};
use crate::switch::{State, Switch, Traffic};
use niv_node::metrics::{Kind, Metrics};
use vntag::ctl::session::State as SessionState;

/// Name, help and value of a number of the whole switch, or of one worker.
type Whole = (&'static str, &'static str, fn(&WorkerCounters) -> u64);
/// The same of one port.
type OfPort = (&'static str, &'static str, fn(&PortCounters) -> u64);
/// The same of one vEth.
type OfVeth = (&'static str, &'static str, fn(&Traffic) -> u64);
/// The same of the VIF ids of a link.
type OfIds = (&'static str, &'static str, fn(&NamespaceView) -> u16);

const WHOLE: [Whole; 7] = [
    ("vis_received_frames", "Frames taken from ports", |c| c.received.get()),
    ("vis_replicated_frames", "Copies beyond the first of flooded frames", |c| c.replicated.get()),
    ("vis_sent_frames", "Frames and copies that ports took", |c| c.sent.get()),
    ("vis_no_inner_q_frames", "Frames without 802.1Q behind the VNTag (V16)", |c| c.rx_no_inner_q.get()),
    ("vis_mac_learned", "Addresses learned", |c| c.mac_learned.get()),
    ("vis_mac_moved", "Addresses that moved", |c| c.mac_moved.get()),
    ("vis_mac_table_full", "Addresses not learned for want of room", |c| c.mac_table_full.get()),
];

const OF_WORKER: [Whole; 3] = [
    ("vis_worker_received_frames", "Frames that the worker took from ports", |c| c.received.get()),
    ("vis_worker_sent_frames", "Frames and copies of the worker that ports took", |c| c.sent.get()),
    ("vis_worker_dropped_frames", "Frames that the worker dropped", |c| c.drops.total()),
];

const OF_PORT: [OfPort; 8] = [
    ("vis_port_rx_frames", "Frames taken from the port", |c| c.rx.frames.get()),
    ("vis_port_rx_octets", "Octets taken from the port", |c| c.rx.octets.get()),
    ("vis_port_rx_dropped_frames", "Frames dropped on the way in", |c| c.rx_dropped.get()),
    ("vis_port_tx_frames", "Frames given to the port", |c| c.tx.frames.get()),
    ("vis_port_tx_octets", "Octets given to the port", |c| c.tx.octets.get()),
    ("vis_port_tx_dropped_frames", "Frames the port did not take", |c| c.tx_dropped.get()),
    ("vis_port_punted_frames", "Frames from the port that control got", |c| c.punted.get()),
    ("vis_port_originated_frames", "Frames that control gave to be sent out of the port", |c| {
        c.originated.get()
    }),
];

const OF_VETH: [OfVeth; 6] = [
    ("vis_vethernet_rx_frames", "Frames from the interface", |t| t.rx.frames),
    ("vis_vethernet_rx_octets", "Octets from the interface", |t| t.rx.octets),
    ("vis_vethernet_rx_dropped_frames", "Frames from the interface that were dropped", |t| t.rx_dropped),
    ("vis_vethernet_tx_frames", "Frames to the interface", |t| t.tx.frames),
    ("vis_vethernet_tx_octets", "Octets to the interface", |t| t.tx.octets),
    ("vis_vethernet_tx_dropped_frames", "Frames to the interface that could not be sent", |t| t.tx_dropped),
];

pub(super) fn write(switch: &Switch, metrics: &mut Metrics) {
    let counters = &switch.counters;
    for (name, help, read) in WHOLE {
        metrics.family(name, Kind::Counter, help).sample(&[], counters.sum(read));
    }
    let mut drops = metrics.family("vis_dropped_frames", Kind::Counter, "Frames dropped, by reason");
    for (reason, count) in counters.drops() {
        drops.sample(&[("reason", reason.name())], count);
    }

    let workers: Vec<String> = (0..counters.each().count()).map(|worker| worker.to_string()).collect();
    for (name, help, read) in OF_WORKER {
        let mut family = metrics.family(name, Kind::Counter, help);
        for (worker, counted) in workers.iter().zip(counters.each()) {
            family.sample(&[("worker", worker)], read(counted));
        }
    }
    let ports: Vec<String> = switch.ports.iter().map(|port| full_name(Owner::Ethernet(port.id))).collect();
    for (name, help, read) in OF_PORT {
        let mut family = metrics.family(name, Kind::Counter, help);
        for (index, port) in ports.iter().enumerate() {
            family.sample(&[("port", port)], counters.port(index, read));
        }
    }
    let mut device = metrics.family("vis_port_device", Kind::Counter, "What the device of a port counts");
    for (port, name) in switch.ports.iter().zip(&ports) {
        for counter in port.monitor.counters() {
            device.sample(&[("port", name), ("counter", counter.name)], counter.value);
        }
    }

    let state = switch.state();
    let mut up = metrics.family("vis_port_up", Kind::Gauge, "1 where the port passes frames");
    for (port, name) in switch.ports.iter().zip(&ports) {
        up.sample(&[("port", name)], switch.down(&state, Owner::Ethernet(port.id)).is_none());
    }
    let addresses = switch.addresses(&state).len();
    metrics.family("vis_mac_addresses", Kind::Gauge, "Learned addresses").sample(&[], addresses);

    let guarded = super::port_security::counted(switch, &state);
    let mut family = metrics.family("vis_port_security_addresses", Kind::Gauge, "Addresses that are secured");
    for (owner, addresses, _) in &guarded {
        family.sample(&[("interface", &full_name(*owner))], *addresses);
    }
    let help = "Frames from addresses that port security does not let in (protect does not count)";
    let mut family = metrics.family("vis_port_security_violations", Kind::Counter, help);
    for (owner, _, violations) in &guarded {
        family.sample(&[("interface", &full_name(*owner))], *violations);
    }
    control(switch, &state, &ports, metrics);
    let veths: Vec<(u32, String, bool)> = state
        .control
        .veths()
        .map(|veth| (veth.number, full_name(Owner::Vethernet(veth.number)), *veth.state == VethState::Up))
        .collect();
    drop(state);
    let mut up = metrics.family("vis_vethernet_up", Kind::Gauge, "1 where the interface passes frames");
    for (_, name, is_up) in &veths {
        up.sample(&[("interface", name)], *is_up);
    }
    let traffic = switch.traffic(veths.iter().map(|(number, ..)| Owner::Vethernet(*number)));
    for (name, help, read) in OF_VETH {
        let mut family = metrics.family(name, Kind::Counter, help);
        for (number, interface, _) in &veths {
            if let Some(counted) = traffic.get(&Owner::Vethernet(*number)) {
                family.sample(&[("interface", interface)], read(counted));
            }
        }
    }
}

/// Sessions, VIFs, vNICs that are refused, and what the control plane counts.
fn control(switch: &Switch, state: &State, ports: &[String], metrics: &mut Metrics) {
    let links: Vec<_> = ports
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some((index, name, state.control.session(index)?)))
        .collect();
    let mut up = metrics.family("vis_session_up", Kind::Gauge, "1 where a link has its adapter");
    for (_, name, link) in &links {
        up.sample(&[("port", name)], link.state() == SessionState::Up);
    }
    let mut neighbors = metrics.family("vis_neighbors", Kind::Gauge, "Who speaks LLDP on the link");
    for (_, name, link) in &links {
        neighbors.sample(&[("port", name)], link.neighbors().len());
    }
    let mut vifs = metrics.family("vis_vifs", Kind::Gauge, "VIFs of the link, by state");
    for (index, name, _) in &links {
        for (standing, count) in by_state(state, *index) {
            vifs.sample(&[("port", name), ("state", standing)], count);
        }
    }
    let ids = |id: fn(&NamespaceView) -> u16| {
        links.iter().filter_map(move |(index, name, _)| Some((name, id(&state.control.namespace(*index)?))))
    };
    let namespace: [OfIds; 3] = [
        ("vis_vif_ids", "VIF ids of the link", |ids| ids.size),
        ("vis_vif_ids_used", "VIF ids that cannot be given out", |ids| ids.used),
        ("vis_vif_ids_quarantine", "VIF ids in quarantine", |ids| ids.quarantine),
    ];
    for (family, help, id) in namespace {
        let mut family = metrics.family(family, Kind::Gauge, help);
        for (name, value) in ids(id) {
            family.sample(&[("port", name)], u64::from(value));
        }
    }
    let mut pending = metrics.family("vis_pending_vnics", Kind::Gauge, "vNICs of the link that are refused");
    for (index, name, _) in &links {
        let refused = state.control.pending().filter(|row| row.port == *index).count();
        pending.sample(&[("port", name)], refused);
    }
    let mut counted = metrics.family("vis_control", Kind::Counter, "What the session of a link counts");
    for (_, name, link) in &links {
        for (counter, value) in link.counters().iter() {
            counted.sample(&[("port", name), ("counter", counter)], value);
        }
    }
    let unsent = "Control frames that the worker had no room for";
    metrics.family("vis_control_unsent_frames", Kind::Counter, unsent).sample(&[], switch.unsent());
    let healthy = "1 where state is kept";
    metrics.family("vis_store_healthy", Kind::Gauge, healthy).sample(&[], switch.health().is_ok());
    metrics.family("vis_events", Kind::Counter, "Events recorded").sample(&[], switch.events.recorded());
}
