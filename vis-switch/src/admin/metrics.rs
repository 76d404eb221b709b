//! The same numbers as OpenMetrics.

use super::interface::full_name;
use crate::config::slots::Owner;
use crate::engine::counters::{PortCounters, WorkerCounters};
use crate::switch::{Switch, Traffic};
use niv_node::metrics::{Kind, Metrics};

/// Name, help and value of a number of the whole switch.
type Whole = (&'static str, &'static str, fn(&WorkerCounters) -> u64);
/// The same of one port.
type OfPort = (&'static str, &'static str, fn(&PortCounters) -> u64);
/// The same of one vEth.
type OfVeth = (&'static str, &'static str, fn(&Traffic) -> u64);

const WHOLE: [Whole; 7] = [
    ("vis_received_frames", "Frames taken from ports", |c| c.received.get()),
    ("vis_replicated_frames", "Copies beyond the first of flooded frames", |c| c.replicated.get()),
    ("vis_sent_frames", "Frames and copies that ports took", |c| c.sent.get()),
    ("vis_no_inner_q_frames", "Frames without 802.1Q behind the VNTag (V16)", |c| c.rx_no_inner_q.get()),
    ("vis_mac_learned", "Addresses learned", |c| c.mac_learned.get()),
    ("vis_mac_moved", "Addresses that moved", |c| c.mac_moved.get()),
    ("vis_mac_table_full", "Addresses not learned for want of room", |c| c.mac_table_full.get()),
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
    let counters = &*switch.counters;
    for (name, help, read) in WHOLE {
        metrics.family(name, Kind::Counter, help).sample(&[], read(counters));
    }
    let mut drops = metrics.family("vis_dropped_frames", Kind::Counter, "Frames dropped, by reason");
    for (reason, count) in counters.drops.iter() {
        drops.sample(&[("reason", reason.name())], count);
    }

    let ports: Vec<String> = switch.ports.iter().map(|port| full_name(Owner::Ethernet(port.id))).collect();
    for (name, help, read) in OF_PORT {
        let mut family = metrics.family(name, Kind::Counter, help);
        for (port, counted) in ports.iter().zip(&counters.ports) {
            family.sample(&[("port", port)], read(counted));
        }
    }
    let mut device = metrics.family("vis_port_device", Kind::Counter, "What the device of a port counts");
    for (port, name) in switch.ports.iter().zip(&ports) {
        for counter in port.monitor.counters() {
            device.sample(&[("port", name), ("counter", counter.name)], counter.value);
        }
    }

    let mut state = switch.state();
    let mut up = metrics.family("vis_port_up", Kind::Gauge, "1 where the port passes frames");
    for (port, name) in switch.ports.iter().zip(&ports) {
        up.sample(&[("port", name)], switch.down(&state, Owner::Ethernet(port.id)).is_none());
    }
    let addresses = switch.addresses(&state).len();
    metrics.family("vis_mac_addresses", Kind::Gauge, "Learned addresses").sample(&[], addresses);

    let owners: Vec<Owner> =
        state.config.vethernets().keys().map(|number| Owner::Vethernet(*number)).collect();
    let mut up = metrics.family("vis_vethernet_up", Kind::Gauge, "1 where the interface passes frames");
    for owner in &owners {
        up.sample(&[("interface", &full_name(*owner))], switch.down(&state, *owner).is_none());
    }
    let traffic: Vec<(String, Traffic)> =
        owners.iter().map(|owner| (full_name(*owner), switch.traffic(&mut state, *owner))).collect();
    for (name, help, read) in OF_VETH {
        let mut family = metrics.family(name, Kind::Counter, help);
        for (interface, counted) in &traffic {
            family.sample(&[("interface", interface)], read(counted));
        }
    }
}
